//! Stores deauthorizations, within bounds for each sender, and makes those of this node.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};

use super::AuthorizationError;
use super::files::store;
use super::revocations::{FOLDER, Revocations, StoredPdd, dir_of, file_name, stored_in};
use super::unknown_senders;
use super::{Directory, Error, Keyring, authorizations, certificates, registrations};
use crate::disk::{FileRole, files, tree};
use crate::message::Pdd;
use crate::message::pdd::{MAX_LEN, MAX_SERIALS, RevocationScope, Revoker};
use crate::pipeline::mutex;
use crate::pki::{Certificate, NodeId, Trust, Window, issuance, path};

/// The most octets of deauthorizations of one signer for one issuer.
const MAX_OF_SIGNER: usize = 64 * 1024;

/// The most gateways whose deauthorizations for one issuer are stored.
const MAX_GATEWAYS: usize = 4;

/// The most issuers that are unknown here, for each known node that vouches for them.
const MAX_VOUCHED: usize = 256;

/// The most of them for all nodes that vouch.
const MAX_VOUCHED_IN_ALL: usize = 4096;

/// How long a deauthorization counts at most: as long as an authorization lasts.
const LONGEST: SignedDuration = issuance::MAX_LIFE;

/// What is to happen to a deauthorization that arrived.
#[derive(Debug)]
pub enum RevocationFate {
    /// It is new, and to be stored.
    New(NewRevocation),
    /// Another one revokes as much for as long.
    Known,
    /// It has ended.
    Ended,
    /// Its signer is nobody that this node has to do with.
    FromStranger,
    /// As much is stored as may be, of its signer or for the node that vouches for it.
    NoRoom,
}

/// A deauthorization that is to be stored.
#[derive(Debug)]
pub struct NewRevocation {
    path: PathBuf,
    /// Those that it makes useless.
    covered: Vec<PathBuf>,
    voucher: Option<NodeId>,
    is_first: bool,
}

/// Why a signer is listened to.
enum Acquaintance {
    /// The issuer is this node, or known to it.
    Known,
    /// This node vouches for the issuer.
    Through(NodeId),
}

/// Stores the deauthorizations of one run.
#[derive(Debug)]
pub struct RevocationStore<'a> {
    node: &'a Directory,
    /// The number of unknown issuers for each node that vouches for them; `None` until it is
    /// needed.
    vouched: Mutex<Option<HashMap<NodeId, usize>>>,
    /// Those of the issuer that was asked for last: one who floods sends for the same again and
    /// again.
    last: Mutex<Option<LastIssuer>>,
}

/// An issuer, and its stored deauthorizations.
type LastIssuer = (NodeId, Arc<Vec<StoredPdd>>);

impl<'a> RevocationStore<'a> {
    /// The store of a node. Reads nothing yet.
    #[must_use]
    pub fn of(node: &'a Directory) -> Self {
        Self {
            node,
            vouched: Mutex::default(),
            last: Mutex::default(),
        }
    }

    /// Decides whether a deauthorization is stored. The caller holds the node's exclusive lock
    /// until it is.
    ///
    /// # Errors
    /// When it is badly signed, its signer may not revoke that, or it is not valid yet; when the
    /// node cannot be read.
    pub fn judge(
        &self,
        pdd: &Pdd,
        octets: &[u8],
        (now, window): (Timestamp, &Window),
    ) -> Result<RevocationFate, Error> {
        let revoker = pdd.verify()?;
        if window.is_after(pdd.expiry) {
            return Ok(RevocationFate::Ended);
        }
        pdd.check_dates(window)?;
        let end = pdd.expiry.min(longest(now));
        let dir = dir_of(self.node, pdd.issuer);
        let held = self.held(pdd.issuer)?;
        let signer = pdd.signer();
        // By the same signer only: whether a gateway's counts is asked for each message.
        let is_covered = |it: &StoredPdd| {
            it.pdd.signer() == signer && it.end >= end && it.pdd.scope.covers(&pdd.scope)
        };
        if let Some(known) = held.iter().find(|it| is_covered(it)) {
            // The run that stored it may have been killed before it synced it.
            self.node.rely_on_once(&known.path)?;
            return Ok(RevocationFate::Known);
        }
        let Some(acquaintance) = self.acquaintance(pdd, &revoker, window)? else {
            return Ok(RevocationFate::FromStranger);
        };
        let is_outdone = |it: &StoredPdd| {
            it.pdd.signer() == signer && it.end <= end && pdd.scope.covers(&it.pdd.scope)
        };
        let is_first = held.is_empty();
        let (covered, mut rest): (Vec<&StoredPdd>, Vec<&StoredPdd>) =
            held.iter().partition(|it| is_outdone(it));
        rest.retain(|it| !window.is_after(it.end)); // relay-purge removes those
        let of_signer = || rest.iter().filter(|it| it.pdd.signer() == signer);
        let serials: usize = of_signer().map(|it| it.pdd.scope.len()).sum();
        let gateways: BTreeSet<NodeId> = rest
            .iter()
            .map(|it| it.pdd.signer())
            .filter(|it| ![pdd.issuer, signer, self.node.id()].contains(it))
            .collect();
        let is_counted_gateway = ![pdd.issuer, self.node.id()].contains(&signer);
        if serials + pdd.scope.len() > MAX_SERIALS
            || of_signer().map(|it| it.len).sum::<usize>() + octets.len() > MAX_OF_SIGNER
            || (is_counted_gateway && gateways.len() >= MAX_GATEWAYS)
        {
            return Ok(RevocationFate::NoRoom);
        }
        let voucher = match acquaintance {
            Acquaintance::Known => None,
            Acquaintance::Through(voucher) => Some(voucher),
        };
        if let Some(voucher) = voucher.filter(|_| is_first)
            && !self.has_room_for(voucher)?
        {
            return Ok(RevocationFate::NoRoom);
        }
        Ok(RevocationFate::New(NewRevocation {
            path: dir.join(file_name(end, octets)),
            covered: covered.into_iter().map(|it| it.path.clone()).collect(),
            voucher,
            is_first,
        }))
    }

    /// Stores a deauthorization that [`RevocationStore::judge`] found new, then removes those that
    /// it makes useless.
    ///
    /// # Errors
    /// When it cannot be stored, or others cannot be removed.
    pub fn keep(&self, new: &NewRevocation, octets: &[u8]) -> Result<(), Error> {
        *mutex::lock(&self.last) = None;
        store(self.node.root(), &new.path, octets)?;
        for path in &new.covered {
            files::remove_unsynced(path, FileRole::Node)?;
        }
        if let (Some(dir), false) = (new.path.parent(), new.covered.is_empty()) {
            files::sync_dir(dir, FileRole::Node)?;
        }
        if let (Some(voucher), Some(counts)) = (
            new.voucher.filter(|_| new.is_first),
            mutex::lock(&self.vouched).as_mut(),
        ) {
            *counts.entry(voucher).or_default() += 1;
        }
        Ok(())
    }

    /// The deauthorizations of an issuer. What another run stores meanwhile may be missing: then one
    /// more than allowed is stored, or the same twice.
    fn held(&self, issuer: NodeId) -> Result<Arc<Vec<StoredPdd>>, Error> {
        let mut last = mutex::lock(&self.last);
        if let Some((known, held)) = &*last
            && *known == issuer
        {
            return Ok(Arc::clone(held));
        }
        let held = Arc::new(stored_in(&dir_of(self.node, issuer))?);
        *last = Some((issuer, Arc::clone(&held)));
        Ok(held)
    }

    /// Why this node listens to the signer; `None` if it does not.
    fn acquaintance(
        &self,
        pdd: &Pdd,
        revoker: &Revoker<'_>,
        window: &Window,
    ) -> Result<Option<Acquaintance>, Error> {
        let (node, issuer, signer) = (self.node, pdd.issuer, pdd.signer());
        let is_issuer_known = issuer == node.id() || node.knows(issuer)?;
        let is_signer_known = signer == node.id() || node.knows(signer)?;
        if is_issuer_known && (is_signer_known || self.has_certificate_of(signer, issuer)?) {
            return Ok(Some(Acquaintance::Known));
        }
        if let Revoker::Gateway { .. } = revoker {
            // Its claim that it certified the issuer costs it nothing, so these are counted for it.
            return Ok(is_signer_known.then_some(Acquaintance::Through(signer)));
        }
        if unknown_senders::is_known(node.root(), issuer)? {
            return Ok(Some(Acquaintance::Through(node.id())));
        }
        // An endpoint that a known gateway certified, or one above that.
        let certificates: Vec<Certificate> = pdd.certificates().cloned().collect();
        let trust = Trust::default().with_keys(node.issuer_keys(&certificates)?);
        let Some((own, above)) = certificates.split_first() else {
            return Ok(None);
        };
        let found = path::find(own, above, &trust, window).ok();
        let voucher = found.and_then(|path| path.nodes.last().copied());
        Ok(voucher.map(Acquaintance::Through))
    }

    /// Whether a certificate that the gateway issued lies here: ours, or one of the issuer of an
    /// authorization that we hold.
    fn has_certificate_of(&self, gateway: NodeId, issuer: NodeId) -> Result<bool, Error> {
        let node = self.node;
        let ours = certificates::folder_of(node.root(), gateway);
        if files::exists(&ours, FileRole::Node)? {
            return Ok(true);
        }
        let held = authorizations::held(node, issuer)?;
        let mut authorities = held.iter().flat_map(|path| &path.authorities);
        Ok(authorities.any(|it| it.id() == issuer && it.issuer_ids().contains(&gateway)))
    }

    /// Whether one more unknown issuer may be stored for a node that vouches.
    fn has_room_for(&self, voucher: NodeId) -> Result<bool, Error> {
        let mut kept = mutex::lock(&self.vouched);
        if kept.is_none() {
            *kept = Some(self.count_vouched()?);
        }
        let counts = kept.get_or_insert_default();
        let own = counts.get(&voucher).copied().unwrap_or_default();
        let all: usize = counts.values().sum();
        Ok(own < MAX_VOUCHED && all < MAX_VOUCHED_IN_ALL)
    }

    fn count_vouched(&self) -> Result<HashMap<NodeId, usize>, Error> {
        let mut counts = HashMap::new();
        let folder = self.node.root().join(FOLDER);
        for entry in tree::entries(&folder, FileRole::Node)?.entries {
            let issuer: Option<NodeId> = entry.name.to_str().and_then(|name| name.parse().ok());
            let Some(issuer) = issuer else { continue };
            if issuer == self.node.id() || self.node.knows(issuer)? {
                continue;
            }
            // relay-check reports one that cannot be read.
            let stored = stored_in(&entry.path).unwrap_or_default();
            let Some(first) = stored.first() else {
                continue;
            };
            let Ok(revoker) = first.pdd.verify() else {
                continue;
            };
            let why = self.acquaintance(&first.pdd, &revoker, &Window::unbounded())?;
            let voucher = match why {
                Some(Acquaintance::Through(voucher)) => voucher,
                // By somebody who was known then.
                _ => self.node.id(),
            };
            *counts.entry(voucher).or_default() += 1;
        }
        Ok(counts)
    }
}

/// The authorizations that a node revokes.
#[derive(Debug, Clone)]
pub struct RevocationOrder {
    /// The node that issued them: this one, or an endpoint that it certified.
    pub issuer: NodeId,
    /// Those that are revoked.
    pub scope: RevocationScope,
    /// Until when.
    pub until: Timestamp,
    /// The time.
    pub now: Timestamp,
}

/// The latest end of a deauthorization that is stored now.
fn longest(now: Timestamp) -> Timestamp {
    now.checked_add(LONGEST).unwrap_or(Timestamp::MAX)
}

/// An authorization that this node gave, and to whom.
#[derive(Debug, Clone)]
pub struct GivenAuthorization {
    /// The node that it was given to.
    pub peer: NodeId,
    /// The authorization.
    pub leaf: Certificate,
}

/// The authorizations that this node gave a peer, or all peers, and that have not ended.
///
/// # Errors
/// When they cannot be read.
pub fn given(
    node: &Directory,
    peer: Option<NodeId>,
    now: Timestamp,
) -> Result<Vec<GivenAuthorization>, Error> {
    let peers = match peer {
        Some(peer) => vec![peer],
        None => node.peer_ids()?.collect(),
    };
    let mut given = Vec::new();
    for peer in peers {
        for path in certificates::paths_in(&node.peer_dir(peer).join("given"))? {
            if path.leaf.not_after() >= now {
                let leaf = path.leaf;
                given.push(GivenAuthorization { peer, leaf });
            }
        }
    }
    Ok(given)
}

/// The deauthorization by this node that does what is ordered: one that is stored, or a new one,
/// which is stored. The caller holds the node's exclusive lock. Returns also whether it is new.
///
/// # Errors
/// When the issuer is neither this node nor an endpoint that it certified, more serial numbers
/// would be revoked than allowed, the node cannot be read, or it cannot be stored.
pub fn revoke(node: &Directory, order: &RevocationOrder) -> Result<(Vec<u8>, bool), Error> {
    let dir = dir_of(node, order.issuer);
    let until = order.until.min(longest(order.now));
    for stored in stored_in(&dir)? {
        let is_ours = stored.pdd.signer() == node.id();
        if is_ours && stored.end >= until && stored.pdd.scope.covers(&order.scope) {
            let octets = files::read(&stored.path, FileRole::Node, MAX_LEN)?;
            node.rely_on_once(&stored.path)?;
            return Ok((octets, false));
        }
    }
    let octets = sign(node, order)?;
    let window = Window::new(order.now, SignedDuration::ZERO);
    node.keep_revocation(&Pdd::parse(&octets)?, &octets, (order.now, &window))?;
    Ok((octets, true))
}

/// Until when a stored deauthorization by this node revokes all of this scope, or until it would by
/// such an order.
///
/// # Errors
/// When what is stored cannot be read.
pub fn revoked_until(
    node: &Directory,
    order: &RevocationOrder,
    scope: &RevocationScope,
) -> Result<Timestamp, Error> {
    let stored = stored_in(&dir_of(node, order.issuer))?;
    let stored = stored.iter().filter(|it| it.pdd.signer() == node.id());
    let ends = stored
        .filter(|it| it.pdd.scope.covers(scope))
        .map(|it| it.end);
    let ordered = order.until.min(longest(order.now));
    Ok(ends.fold(ordered, Timestamp::max))
}

/// Signs a deauthorization by this node. Before there is no room for more, it also revokes what the
/// earlier ones for the same issuer revoke, and takes their place.
fn sign(node: &Directory, order: &RevocationOrder) -> Result<Vec<u8>, Error> {
    let window = Window::new(order.now, SignedDuration::ZERO);
    let (mut scope, mut until) = (order.scope.clone(), order.until);
    let mut earlier = stored_in(&dir_of(node, order.issuer))?;
    earlier.retain(|it| it.pdd.signer() == node.id() && !window.is_after(it.end));
    // Not at once: each one ends with what it revokes.
    if earlier.iter().map(|it| it.len).sum::<usize>() < MAX_OF_SIGNER / 2 {
        earlier.clear();
    }
    for earlier in earlier {
        until = until.max(earlier.end);
        scope = match (scope, earlier.pdd.scope) {
            (RevocationScope::Serials(mut all), RevocationScope::Serials(more)) => {
                all.extend(more);
                RevocationScope::Serials(all)
            }
            _ => RevocationScope::All,
        };
    }
    let until = until.min(longest(order.now));
    let certificates = if order.issuer == node.id() {
        let (path, _) = certificates::issuing_path(node, order.now, until)?;
        path.iter().cloned().collect()
    } else {
        gateway_certificates(node, order.issuer, &window)?
    };
    let certificates: Vec<&Certificate> = certificates.iter().collect();
    let key = node.identity()?;
    Ok(Pdd::sign(order.issuer, &scope, until, &key, &certificates)?)
}

/// The certificates for a deauthorization by this gateway: its own, then the one that it issued to
/// the endpoint, and the others of that path.
fn gateway_certificates(
    node: &Directory,
    endpoint: NodeId,
    window: &Window,
) -> Result<Vec<Certificate>, Error> {
    for path in registrations::given_to(node, endpoint)? {
        let own = path.authorities.iter().find(|it| it.id() == node.id());
        if let (Some(own), Ok(())) = (own, path.leaf.check_dates(window)) {
            let others = path.iter().filter(|it| *it != own);
            return Ok([own].into_iter().chain(others).cloned().collect());
        }
    }
    Err(Error::Authorization(AuthorizationError::NotCertified(
        node.label_of(endpoint),
    )))
}

impl Directory {
    /// Stores a deauthorization that a user imports, or that this node made. The caller holds the
    /// node's exclusive lock. Returns whether it is new.
    ///
    /// # Errors
    /// When it is not acceptable, has ended, is from a stranger, or there is no room for it.
    pub fn keep_revocation(
        &self,
        pdd: &Pdd,
        octets: &[u8],
        times: (Timestamp, &Window),
    ) -> Result<bool, Error> {
        let store = RevocationStore::of(self);
        let error = match store.judge(pdd, octets, times)? {
            RevocationFate::New(new) => {
                store.keep(&new, octets)?;
                return Ok(true);
            }
            RevocationFate::Known => return Ok(false),
            RevocationFate::Ended => return Err(crate::ramf::Error::Expired(pdd.expiry).into()),
            RevocationFate::FromStranger => AuthorizationError::UnknownRevoker(pdd.signer()),
            RevocationFate::NoRoom => AuthorizationError::TooManyRevoked(pdd.issuer),
        };
        Err(Error::Authorization(error))
    }

    /// Whether all that this node gave a peer, and that could still be valid, is revoked.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn has_revoked(&self, peer: NodeId) -> Result<bool, Error> {
        let revocations = Revocations::of(self)?;
        let given = given(self, Some(peer), Timestamp::MIN)?;
        let end = given.iter().map(|it| it.leaf.not_after()).max();
        let Some(end) = end.filter(|_| revocations.is_any()) else {
            return Ok(false);
        };
        // Those that have ended do not count any more; which these are is not asked here.
        for it in given.iter().filter(|it| it.leaf.not_after() == end) {
            let at = Window::new(end, SignedDuration::ZERO);
            if revocations.own(Some(&it.leaf), &at)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Until when an authorization that this node gave is revoked; `None` if it is not.
    ///
    /// # Errors
    /// When what this node revoked cannot be read.
    pub fn revoked_until(
        &self,
        leaf: &Certificate,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Error> {
        let window = Window::new(now, SignedDuration::ZERO);
        Revocations::of(self)?.own(Some(leaf), &window)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::asn1::pem;
    use crate::crypto::Secret;
    use crate::node::Config;
    use crate::node::creation::{self, NodePlan};
    use crate::pki::IdentityKey;
    use crate::pki::issuance::CertificateRole;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn identity(name: &str) -> Secret {
        let dir = env!("CARGO_MANIFEST_DIR");
        let path = format!("{dir}/tests/interop/alpha/nodes/{name}/identity.key.pem");
        let text = std::fs::read(path).unwrap();
        Secret::from(pem::private_key(&text).unwrap().0.to_vec())
    }

    fn key(name: &str) -> IdentityKey {
        IdentityKey::from_pkcs8(identity(name).as_bytes()).unwrap()
    }

    fn start() -> Timestamp {
        "2027-05-01T00:00:00Z".parse().unwrap()
    }

    /// A node that knows bob and a gateway.
    fn node(dir: &std::path::Path) -> Directory {
        let plan = NodePlan {
            config: Config::default(),
            rsa_bits: 2048,
            passphrase: None,
            identity: Some(identity("internet-gateway")),
            session_key: None,
            predecessor: None,
            now: start(),
        };
        let node = creation::create(&dir.join("node"), plan).unwrap();
        for peer in ["endpoint-b", "private-gateway-a"] {
            node.pin_identity(key(peer).public()).unwrap();
        }
        node
    }

    /// A deauthorization that arrives.
    #[derive(Debug, Clone)]
    struct Sent {
        /// Whether the gateway signs it, and not the issuer.
        by_gateway: bool,
        /// Every so many of the serial numbers from the first one; none for all.
        serials: Option<(u16, u16)>,
        /// How many days it counts.
        days: i32,
        /// How many days later than the one before it arrives.
        later: i32,
    }

    fn sent() -> impl Strategy<Value = Sent> {
        let serials = prop::option::weighted(0.9, (0..400_u16, 1..120_u16));
        (any::<bool>(), serials, 1..250_i32, 0..40_i32).prop_map(
            |(by_gateway, serials, days, later)| Sent {
                by_gateway,
                serials,
                days,
                later,
            },
        )
    }

    fn scope(serials: Option<(u16, u16)>) -> RevocationScope {
        serials.map_or(RevocationScope::All, |(first, count)| {
            let numbers = first..first + count;
            RevocationScope::Serials(numbers.map(|it| it.to_be_bytes().to_vec()).collect())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Whatever arrives in any order: what was taken counts until its end, cut to 180 days, and
        /// the bounds hold.
        #[test]
        fn what_was_taken_counts_until_its_end_and_bounds_hold(all in vec(sent(), 1..14)) {
            let dir = tempfile::tempdir().unwrap();
            let node = node(dir.path());
            let (bob, gateway) = (key("endpoint-b"), key("private-gateway-a"));
            let long = (start() - DAY, start() + DAY * 1000);
            let issue = |key: &IdentityKey, issuer: Option<&Certificate>, of: &IdentityKey, role| {
                issuance::issue(key, issuer, of.public(), role, long).unwrap()
            };
            let own = issue(&bob, None, &bob, CertificateRole::Endpoint);
            let above = issue(&gateway, None, &gateway, CertificateRole::SelfIssuedGateway);
            let certified = issue(&gateway, Some(&above), &bob, CertificateRole::Endpoint);
            let store = RevocationStore::of(&node);
            let mut now = start();
            let mut taken: Vec<(NodeId, RevocationScope, Timestamp)> = Vec::new();
            for one in all {
                now += DAY * one.later;
                let (scope, end) = (scope(one.serials), now + DAY * one.days);
                let (signer, certificates) = if one.by_gateway {
                    (&gateway, vec![&above, &certified])
                } else {
                    (&bob, vec![&own])
                };
                let octets = Pdd::sign(bob.id(), &scope, end, signer, &certificates).unwrap();
                let pdd = Pdd::parse(&octets).unwrap();
                let window = Window::new(now, SignedDuration::ZERO);
                match store.judge(&pdd, &octets, (now, &window)).unwrap() {
                    RevocationFate::New(new) => {
                        store.keep(&new, &octets).unwrap();
                        taken.push((signer.id(), scope, end.min(longest(now))));
                    }
                    RevocationFate::Known => {
                        taken.push((signer.id(), scope, end.min(longest(now))));
                    }
                    RevocationFate::NoRoom => {}
                    other => prop_assert!(false, "{other:?}"),
                }
                let stored = stored_in(&dir_of(&node, bob.id())).unwrap();
                for (signer, scope, end) in &taken {
                    let counts = |it: &&StoredPdd| {
                        it.pdd.signer() == *signer && it.end >= *end && it.pdd.scope.covers(scope)
                    };
                    prop_assert!(*end < now || stored.iter().any(|it| counts(&it)), "{scope:?}");
                }
                for signer in [bob.id(), gateway.id()] {
                    let active = stored.iter().filter(|it| {
                        it.pdd.signer() == signer && it.end >= now
                    });
                    let sizes = active.map(|it| (it.pdd.scope.len(), it.len));
                    let (serials, octets) = sizes.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
                    prop_assert!(serials <= MAX_SERIALS && octets <= MAX_OF_SIGNER);
                }
            }
        }
    }
}
