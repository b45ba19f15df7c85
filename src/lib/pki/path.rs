//! Finds certification paths (RS-002, RFC 5280 §6).
//!
//! Deployed path builders differ. This one requires what gives a path its meaning: signatures, the
//! dates of every certificate, authority of every issuer, identifiers that agree where both exist,
//! and the path lengths of intermediates.

use super::{Certificate, Error, NodeId, PublicKey, Trust, Window};

/// Maximum length of a path, in certificates; deployed ones have up to four.
const MAX_LEN: usize = 8;

/// Maximum number of certificates searched; messages carry up to three.
pub(crate) const MAX_POOL: usize = 64;

/// A certification path that was found.
#[derive(Debug)]
pub struct Path<'a> {
    /// The sender's certificate first, then each one's issuer.
    pub certificates: Vec<&'a Certificate>,
    /// The nodes on the path, from the sender to the trusted one.
    pub nodes: Vec<NodeId>,
}

/// Finds a path from `leaf` through `pool` to a key or certificate in `trust`.
///
/// # Errors
/// [`Error::Expired`] or [`Error::Early`] when there is a path, but a certificate on it is not
/// valid in `window`; otherwise [`Error::NoPath`].
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
    // Search again without dates, to report an expired path instead of an untrusted one.
    let undated = search(None).from(leaf).ok_or(Error::NoPath)?;
    // A trusted certificate is not part of the path, but its dates count too.
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

/// The certificates among which issuers are looked up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Issuers<'a> {
    /// The certificates that came with the one in question; they are preferred.
    pub own: &'a [Certificate],
    /// Other certificates, known to this node.
    pub pool: &'a [Certificate],
    /// Keys of nodes that are known for certain. A certificate that names one of these nodes as its
    /// issuer must be signed with its key.
    pub known: &'a [PublicKey],
}

/// The standing of an authority's certificate, worst first, judged by its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PathStanding {
    /// The issuer that it names did not sign it.
    Bad,
    /// No key that is known for certain can tell.
    Open,
    /// It is signed by a known node, or self-issued.
    Good,
}

impl<'a> Issuers<'a> {
    /// The issuers of `leaf`, nearest first, as far as they are found. Each is valid in `window`
    /// and signed the one before. Of several, one of good standing is preferred, then the one that
    /// expires last.
    ///
    /// # Errors
    /// When an issuer is found, but none of its certificates is valid: the date error of one.
    pub fn of(&self, leaf: &Certificate, window: &Window) -> Result<Vec<&'a Certificate>, Error> {
        chain(leaf, |child| {
            let mut dates = Ok(());
            for tier in [self.own, self.pool] {
                let of_child = self.of_child(child, tier);
                let (valid, invalid): (Vec<_>, Vec<_>) = of_child
                    .into_iter()
                    .filter(|(_, standing)| *standing != PathStanding::Bad)
                    .partition(|(issuer, _)| issuer.check_dates(window).is_ok());
                if let Some(best) = best(valid, window) {
                    return Ok(Some(best));
                }
                if let (Ok(()), Some((issuer, _))) = (&dates, invalid.first()) {
                    dates = issuer.check_dates(window);
                }
            }
            dates.map(|()| None)
        })
    }

    /// Like [`Issuers::of`], but among [`own`](Self::own) alone and at any date: the part of a path
    /// that may be stored. Certificates that are valid in `window` are preferred.
    ///
    /// # Errors
    /// [`Error::Issuer`] when an authority that is named as the issuer of another certificate did
    /// not sign it, or is itself not signed by the issuer that it names.
    pub fn checked(
        &self,
        leaf: &Certificate,
        window: &Window,
    ) -> Result<Vec<&'a Certificate>, Error> {
        chain(leaf, |child| {
            let of_child = self.of_child(child, self.own);
            let is_named = self.own.iter().any(|issuer| child.names_as_issuer(issuer));
            let good = of_child
                .iter()
                .filter(|(_, standing)| *standing != PathStanding::Bad)
                .copied()
                .collect();
            match (best(good, window), of_child.first()) {
                (Some(best), _) => Ok(Some(best)),
                (None, Some((forged, _))) => Err(Error::Issuer(forged.id())),
                (None, None) if is_named => Err(Error::Issuer(child.id())),
                (None, None) => Ok(None),
            }
        })
    }

    /// Whether the issuer of this authority is certain: a known node, or itself.
    #[must_use]
    pub fn show(&self, authority: &Certificate) -> bool {
        self.standing(authority) == PathStanding::Good
    }

    /// The certificates of `tier` whose keys signed `child`, with their standing.
    fn of_child(
        &self,
        child: &Certificate,
        tier: &'a [Certificate],
    ) -> Vec<(&'a Certificate, PathStanding)> {
        tier.iter()
            .filter(|issuer| child.names_as_issuer(issuer))
            .filter(|issuer| child.verify_signature(issuer.key()).is_ok())
            .map(|issuer| (issuer, self.standing(issuer)))
            .collect()
    }

    fn standing(&self, authority: &Certificate) -> PathStanding {
        let named = authority.issuer_ids();
        let known = self.known.iter().filter(|key| named.contains(&key.id()));
        let known: Vec<&PublicKey> = known.collect();
        let is_certain = !known.is_empty() || authority.is_self_issued();
        let keys = if !known.is_empty() {
            known
        } else if is_certain {
            vec![authority.key()]
        } else {
            let there = self.own.iter().chain(self.pool);
            let issuers = there.filter(|issuer| authority.names_as_issuer(issuer));
            issuers.map(Certificate::key).collect()
        };
        let mut signers = keys
            .iter()
            .filter(|key| authority.verify_signature(key).is_ok());
        match (keys.is_empty(), signers.next()) {
            (false, None) => PathStanding::Bad,
            (false, Some(_)) if is_certain => PathStanding::Good,
            // This proves nothing: a forger of an authority can also forge one above it.
            _ => PathStanding::Open,
        }
    }
}

/// The certificates that lead up from `leaf`, as far as `issuer_of` finds issuers.
fn chain<'a>(
    leaf: &Certificate,
    issuer_of: impl Fn(&Certificate) -> Result<Option<&'a Certificate>, Error>,
) -> Result<Vec<&'a Certificate>, Error> {
    let mut chain: Vec<&Certificate> = Vec::new();
    while chain.len() < MAX_LEN {
        let child = chain.last().map_or(leaf, |last| *last);
        if child.is_self_issued() {
            break;
        }
        match issuer_of(child)? {
            // Two authorities may have certified each other.
            Some(issuer) if !chain.contains(&issuer) => chain.push(issuer),
            _ => break,
        }
    }
    Ok(chain)
}

/// Chooses one of several certificates of an issuer.
fn best<'a>(
    issuers: Vec<(&'a Certificate, PathStanding)>,
    window: &Window,
) -> Option<&'a Certificate> {
    let rank = |(issuer, standing): &(&Certificate, PathStanding)| {
        let is_valid = issuer.check_dates(window).is_ok();
        (is_valid, *standing, issuer.not_after())
    };
    issuers
        .into_iter()
        .max_by_key(rank)
        .map(|(issuer, _)| issuer)
}

/// Maximum number of signatures that one search verifies: the sender chooses the certificates.
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

    /// Extends the path that ends with `path.last()` to an anchor, whose node it returns. The
    /// recursion is at most [`MAX_LEN`] deep.
    fn extend(&mut self, path: &mut Vec<&'a Certificate>) -> Option<NodeId> {
        let child = *path.last()?;
        if child.has_unknown_critical_extension() || !self.is_valid_now(child) {
            return None;
        }
        // Only the key of such an anchor counts: it has no dates and no constraints.
        for anchor in &self.trust.keys {
            let named = child
                .authority_key_id()
                .is_none_or(|id| id == anchor.id().digest());
            if named && self.verifies(child, anchor) {
                return Some(anchor.id());
            }
        }
        for anchor in &self.trust.certificates {
            // An anchor's dates count, as in JavaScript; its path length does not, as in both
            // deployed builders.
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

    fn verifies(&mut self, child: &Certificate, key: &PublicKey) -> bool {
        self.steps += 1;
        self.steps <= MAX_STEPS && self.trust.verifies(child, key)
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::asn1::pem;
    use crate::pki::issuance::{self, CertificateRole};
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
        let gateway = issue(
            &gateway_key,
            None,
            own,
            CertificateRole::SelfIssuedGateway,
            100,
        );
        let endpoint = endpoint_key.public();
        let early = issue(
            &gateway_key,
            Some(&gateway),
            endpoint,
            CertificateRole::Gateway,
            10,
        );
        let late = issue(
            &gateway_key,
            Some(&gateway),
            endpoint,
            CertificateRole::Gateway,
            50,
        );
        let leaf = issue(
            &endpoint_key,
            Some(&late),
            own,
            CertificateRole::DeliveryAuthorization(None),
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
        let issuers = |pool: &[Certificate], day| {
            let issuers = Issuers {
                pool,
                ..Issuers::default()
            };
            let found = issuers.of(&leaf, &window(day));
            found.map(|found| found.into_iter().cloned().collect::<Vec<_>>())
        };
        for day in [1, 20] {
            let found = issuers(&pool, day).unwrap();
            assert_eq!(found, [late.clone(), gateway.clone()]);
        }
        assert_eq!(issuers(&pool[..1], 1).unwrap(), pool[..1]);
        assert!(matches!(
            issuers(&pool[..1], 20),
            Err(Error::Expired { .. })
        ));
        assert_eq!(issuers(&[], 1).unwrap(), []);
    }

    /// Eve certifies the endpoint under the gateway's name, with a later end.
    #[test]
    fn who_signed_decides_and_not_the_names() {
        let Family {
            gateway,
            late,
            leaf,
            ..
        } = family();
        let eve = key(include_bytes!(
            "../../../tests/interop/alpha/nodes/stranger/identity.key.pem"
        ));
        let validity = (at(0), at(90));
        let forged = issuance::issue(
            &eve,
            Some(&gateway),
            late.key(),
            CertificateRole::Gateway,
            validity,
        )
        .unwrap();
        let root = issuance::issue(
            &eve,
            None,
            eve.public(),
            CertificateRole::SelfIssuedGateway,
            validity,
        );
        let root = root.unwrap();
        let above = issuance::issue(
            &eve,
            Some(&root),
            late.key(),
            CertificateRole::Gateway,
            validity,
        );
        let above = above.unwrap();
        let known = [gateway.key().clone()];
        let own = |own| Issuers {
            own,
            pool: &[],
            known: &[],
        };
        let day = window(1);

        // The gateway's own certificate shows that it did not sign the forgery; so does its key.
        let pool = [forged.clone(), late.clone(), gateway.clone()];
        assert_eq!(own(&pool).of(&leaf, &day).unwrap(), [&late, &gateway]);
        assert_eq!(own(&pool).checked(&leaf, &day).unwrap(), [&late, &gateway]);
        let alone = [forged.clone()];
        let with_key = Issuers {
            known: &known,
            ..own(&alone)
        };
        assert_eq!(with_key.of(&leaf, &day).unwrap(), [&leaf; 0]);
        assert!(matches!(
            with_key.checked(&leaf, &day),
            Err(Error::Issuer(id)) if id == late.id()
        ));
        let pair = [forged.clone(), gateway.clone()];
        assert!(own(&pair).checked(&leaf, &day).is_err());
        // Without them the forgery is not recognised, and what came along is preferred.
        assert_eq!(own(&alone).checked(&leaf, &day).unwrap(), [&forged]);
        assert!(!own(&alone).show(&forged));
        let both = Issuers {
            own: std::slice::from_ref(&late),
            pool: &alone,
            known: &[],
        };
        assert_eq!(both.of(&leaf, &day).unwrap(), [&late]);
        assert!(with_key.show(&late) && own(&[]).show(&gateway));
        // The authority that Eve put above her forgery proves nothing.
        let tower = [above.clone(), root.clone()];
        assert_eq!(own(&tower).checked(&leaf, &day).unwrap(), [&above, &root]);
        assert!(!own(&tower).show(&above));
        // The node that is named as issuer must have signed.
        let other = issuance::issue(
            &eve,
            Some(&late),
            eve.public(),
            CertificateRole::Endpoint,
            validity,
        );
        let other = other.unwrap();
        assert!(matches!(
            own(std::slice::from_ref(&late)).checked(&other, &day),
            Err(Error::Issuer(id)) if id == eve.public().id()
        ));
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
        // Trusting the sender's own key is not trusting its issuer's.
        let own = Trust::key(leaf.key().clone());
        assert!(matches!(
            find(&late, &[], &Trust::key(late.key().clone()), &window(20)),
            Err(Error::NoPath)
        ));
        assert!(find(&leaf, &pool, &own, &window(20)).is_ok());
    }
}
