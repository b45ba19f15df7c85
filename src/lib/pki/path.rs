//! Finding a certification path (RS-002, RFC 5280 §6).
//!
//! Deployed path builders differ; this one requires what keeps the meaning of a path: signatures,
//! the dates of every certificate, authority on every issuer, identifiers that agree where both
//! exist, and path lengths on intermediates.

use super::{Certificate, Error, NodeId, Trust, Window};

/// The most certificates a path may have; deployed ones have up to four.
const MAX_LEN: usize = 8;

/// The most certificates that are looked at; messages carry up to three.
const MAX_POOL: usize = 64;

/// A certification path that was found.
#[derive(Debug)]
pub struct Path<'a> {
    /// The sender's certificate first, then each one's issuer.
    pub certificates: Vec<&'a Certificate>,
    /// The nodes on the path, from the sender to the trusted one.
    pub nodes: Vec<NodeId>,
}

/// Finds a path from `leaf` through `pool` to what `trust` has.
///
/// # Errors
/// [`Error::Expired`] or [`Error::Early`] when a path is there but for its dates, otherwise
/// [`Error::NoPath`].
pub fn find<'a>(
    leaf: &'a Certificate,
    pool: &'a [Certificate],
    trust: &'a Trust,
    window: &Window,
) -> Result<Path<'a>, Error> {
    let search = |window| Search {
        pool: &pool[..pool.len().min(MAX_POOL)],
        trust,
        window,
        steps: 0,
    };
    if let Some(path) = search(Some(window)).from(leaf) {
        return Ok(path);
    }
    let undated = search(None).from(leaf).ok_or(Error::NoPath)?;
    let trusted = trust
        .certificates
        .iter()
        .filter(|anchor| Some(&anchor.id()) == undated.nodes.last());
    undated
        .certificates
        .into_iter()
        .chain(trusted)
        .try_for_each(|certificate| certificate.check_dates(window))?;
    Err(Error::NoPath)
}

/// The issuers of `leaf` among `pool`, nearest first, as far as they are there: at each step the one
/// that is valid and lasts longest. They are told by names and key identifiers; no signature is verified.
///
/// # Errors
/// When an issuer is there, but none of its certificates is valid: the dates of one.
pub fn issuers<'a>(
    leaf: &Certificate,
    pool: &'a [Certificate],
    window: &Window,
) -> Result<Vec<&'a Certificate>, Error> {
    let mut issuers: Vec<&Certificate> = Vec::new();
    while issuers.len() < MAX_LEN {
        let child = issuers.last().map_or(leaf, |last| *last);
        if child.is_self_issued() {
            break;
        }
        let named: Vec<&Certificate> = pool
            .iter()
            .filter(|issuer| child.names_as_issuer(issuer))
            .collect();
        let valid = named
            .iter()
            .filter(|issuer| issuer.check_dates(window).is_ok());
        match (valid.max_by_key(|issuer| issuer.not_after()), named.first()) {
            (Some(issuer), _) => issuers.push(issuer),
            (None, Some(invalid)) => {
                invalid.check_dates(window)?;
                break;
            }
            (None, None) => break,
        }
    }
    Ok(issuers)
}

/// The most signatures that one search verifies.
const MAX_STEPS: usize = 256;

struct Search<'a, 'w> {
    pool: &'a [Certificate],
    trust: &'a Trust,
    window: Option<&'w Window>,
    steps: usize,
}

impl<'a> Search<'a, '_> {
    fn from(mut self, leaf: &'a Certificate) -> Option<Path<'a>> {
        let mut certificates = vec![leaf];
        let anchor = self.extend(&mut certificates)?;
        let mut nodes: Vec<NodeId> = certificates
            .iter()
            .map(|certificate| certificate.id())
            .collect();
        nodes.push(anchor);
        Some(Path {
            certificates,
            nodes,
        })
    }

    /// Completes the path that ends with `path.last()`; at most [`MAX_LEN`] calls deep.
    fn extend(&mut self, path: &mut Vec<&'a Certificate>) -> Option<NodeId> {
        let child = *path.last()?;
        if child.has_unknown_critical_extension() || !self.is_valid_now(child) {
            return None;
        }
        for anchor in &self.trust.keys {
            let named = child
                .authority_key_id()
                .is_none_or(|id| id == anchor.id().digest());
            if named && self.verifies(child, anchor) {
                return Some(anchor.id());
            }
        }
        for anchor in &self.trust.certificates {
            if anchor.is_ca()
                && !anchor.has_unknown_critical_extension()
                && child.names_as_issuer(anchor)
                && self.is_valid_now(anchor)
                && self.verifies(child, anchor.key())
            {
                return Some(anchor.id());
            }
        }
        if path.len() == MAX_LEN {
            return None;
        }
        for issuer in self.pool {
            // Self-issued certificates do not count towards a path length (RFC 5280 §6.1.4 l).
            let below = path
                .iter()
                .skip(1)
                .filter(|authority| !authority.is_self_issued())
                .count();
            let long_enough = issuer
                .path_len()
                .is_none_or(|len| usize::try_from(len).is_ok_and(|len| below <= len));
            if issuer.is_ca()
                && long_enough
                && !path.contains(&issuer)
                && child.names_as_issuer(issuer)
                && self.verifies(child, issuer.key())
            {
                path.push(issuer);
                if let Some(anchor) = self.extend(path) {
                    return Some(anchor);
                }
                path.pop();
            }
        }
        None
    }

    fn is_valid_now(&self, certificate: &Certificate) -> bool {
        self.window
            .is_none_or(|window| certificate.check_dates(window).is_ok())
    }

    fn verifies(&mut self, child: &Certificate, key: &super::PublicKey) -> bool {
        self.steps += 1;
        self.steps <= MAX_STEPS && self.trust.verifies(child, key)
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::asn1::pem;
    use crate::pki::issuance::{self, Role};
    use crate::pki::{IdentityKey, PublicKey};

    fn key(text: &[u8]) -> IdentityKey {
        IdentityKey::from_pkcs8(&pem::private_key(text).unwrap().0).unwrap()
    }

    fn at(day: i64) -> Timestamp {
        "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * day)
    }

    fn window(day: i64) -> Window {
        Window::new(at(day), SignedDuration::ZERO)
    }

    /// An endpoint that a gateway certified twice, and its authorization for itself.
    struct Family {
        gateway: Certificate,
        early: Certificate,
        late: Certificate,
        leaf: Certificate,
    }

    fn family() -> Family {
        let gateway_key = key(include_bytes!(
            "../../../tests/interop/alpha/nodes/internet-gateway/identity.key.pem"
        ));
        let endpoint_key = key(include_bytes!(
            "../../../tests/interop/alpha/nodes/endpoint-a/identity.key.pem"
        ));
        let issue =
            |key: &IdentityKey, issuer: Option<&Certificate>, subject: &PublicKey, role, days| {
                issuance::issue(key, issuer, subject, role, (at(0), at(days))).unwrap()
            };
        let own = gateway_key.public();
        let gateway = issue(&gateway_key, None, own, Role::SelfIssuedGateway, 100);
        let endpoint = endpoint_key.public();
        let early = issue(&gateway_key, Some(&gateway), endpoint, Role::Gateway, 10);
        let late = issue(&gateway_key, Some(&gateway), endpoint, Role::Gateway, 50);
        let leaf = issue(
            &endpoint_key,
            Some(&late),
            own,
            Role::DeliveryAuthorization,
            50,
        );
        Family {
            gateway,
            early,
            late,
            leaf,
        }
    }

    #[test]
    fn of_several_certificates_of_an_issuer_the_one_that_lasts_longest_is_taken() {
        let Family {
            gateway,
            early,
            late,
            leaf,
        } = family();
        let pool = [early.clone(), late.clone(), gateway.clone()];
        assert_eq!(
            issuers(&leaf, &pool, &window(1)).unwrap(),
            [&late, &gateway]
        );
        assert_eq!(
            issuers(&leaf, &pool, &window(20)).unwrap(),
            [&late, &gateway]
        );
        assert_eq!(issuers(&leaf, &pool[..1], &window(1)).unwrap(), [&early]);
        assert!(matches!(
            issuers(&leaf, &pool[..1], &window(20)),
            Err(Error::Expired { .. })
        ));
        assert_eq!(issuers(&leaf, &[], &window(1)).unwrap(), [&leaf; 0]);
    }

    #[test]
    fn a_path_says_which_date_is_in_its_way() {
        let Family {
            gateway,
            early,
            late,
            leaf,
        } = family();
        let trust = Trust::certificates(vec![gateway.clone()]);
        let nodes = find(&leaf, &[early, late.clone()], &trust, &window(20))
            .unwrap()
            .nodes;
        assert_eq!(nodes, [leaf.id(), late.id(), gateway.id()]);
        let pool = [late.clone()];
        assert!(matches!(
            find(&leaf, &pool, &trust, &window(60)),
            Err(Error::Expired { .. })
        ));
        assert!(matches!(
            find(&leaf, &pool, &trust, &window(-1)),
            Err(Error::Early { .. })
        ));
        assert!(matches!(
            find(&leaf, &[], &trust, &window(20)),
            Err(Error::NoPath)
        ));
        // Trust in the sender's own key is none in its issuer's.
        let own = Trust::key(leaf.key().clone());
        assert!(matches!(
            find(&late, &[], &Trust::key(late.key().clone()), &window(20)),
            Err(Error::NoPath)
        ));
        assert!(find(&leaf, &pool, &own, &window(20)).is_ok());
    }
}
