//! Verifies objects without opening them, as couriers and gateways do with messages in transit.

mod verdict;

pub use verdict::{AuthorizationVerdict, Verdict};

use jiff::{SignedDuration, Timestamp};

use crate::kind::ErrorKind;
use crate::message::pdd::Revoker;
use crate::message::registration::{RegistrationAuthorization, RegistrationRequest};
use crate::message::{self, Item, Object, Parcel, Pdd, Registration, Rotation};
use crate::node::lookup::PeerLookup;
use crate::node::revocations::RevocationQuery;
use crate::node::{Directory, Error, Revocations, certificates};
use crate::pki::{self, Certificate, NodeId, PublicKey, Trust, Window, issuance, path};
use crate::ramf::{self, Authorization, Fields, InternetAddress, Kind, SignedMessage, Valid};

/// The policy that an object is verified against.
#[derive(Debug)]
pub struct Policy {
    /// The anchors that certification paths must end in.
    pub trust: Trust,
    /// The peers of the node, whose keys are anchors, too; `None` without a node.
    pub peers: Option<PeerLookup>,
    /// The role in which objects are verified.
    pub role: PolicyRole,
    /// Intermediate certificates for paths.
    pub chain: Vec<Certificate>,
    /// The node that messages must be for, if given.
    pub recipient: Option<NodeId>,
    /// A node that accepts parcels from any sender.
    pub accepts_anybody: Option<NodeId>,
    /// The recipients that are known to accept messages only from senders they authorized.
    pub private: Private,
    /// What the node knows to be revoked; `None` without a node.
    pub revocations: Option<Revocations>,
    /// The instants that dates are checked against.
    pub window: Window,
    /// The time, for dates without clock drift.
    pub now: Timestamp,
}

/// What a node knows of itself: with its peers, it tells which recipients are private, although
/// messages for them bear the Internet address of their gateway, and whose cargo the node accepts.
#[derive(Debug, Default)]
pub struct Private {
    /// The node itself.
    own: Option<NodeId>,
    /// The addresses of the node and of the gateways that certified it.
    addresses: Vec<InternetAddress>,
    /// The node and those gateways: messages for them are not for a node behind them.
    gateways: Vec<NodeId>,
}

impl Private {
    fn of_node(node: &Directory) -> Result<Self, Error> {
        let mut addresses: Vec<_> = node.config().address().into_iter().collect();
        let mut gateways = certificates::issuers(node)?;
        for gateway in &gateways {
            // One that cannot be read is reported where a message depends on it.
            let known = node.peer(*gateway).ok().flatten();
            addresses.extend(known.and_then(|peer| peer.address));
        }
        gateways.push(node.id());
        Ok(Self {
            own: Some(node.id()),
            addresses,
            gateways,
        })
    }

    /// Whether the message is for a node behind this one or behind its gateways.
    fn is_behind(&self, fields: &Fields) -> bool {
        let is_ours = |address| self.addresses.contains(address);
        fields.address.as_ref().is_some_and(is_ours) && !self.gateways.contains(&fields.recipient)
    }
}

impl Policy {
    /// The policy of a courier, who knows no node.
    #[must_use]
    pub fn courier(chain: Vec<Certificate>, window: Window, now: Timestamp) -> Self {
        Self {
            trust: Trust::default(),
            peers: None,
            role: PolicyRole::Courier,
            chain,
            recipient: None,
            accepts_anybody: None,
            private: Private::default(),
            revocations: None,
            window,
            now,
        }
    }

    /// The policy of a node for objects that pass through: it trusts its own key and those of its
    /// peers.
    ///
    /// # Errors
    /// When the gateways that registered it cannot be listed.
    pub fn of_node(
        node: &Directory,
        chain: Vec<Certificate>,
        window: Window,
        now: Timestamp,
    ) -> Result<Self, Error> {
        Ok(Self {
            trust: Trust::key(node.public().clone()),
            peers: Some(PeerLookup::of(node)),
            role: PolicyRole::Node,
            chain,
            recipient: None,
            accepts_anybody: node.config().address().map(|_| node.id()),
            private: Private::of_node(node)?,
            revocations: Some(Revocations::of(node)?),
            window,
            now,
        })
    }

    /// The anchors for these certificates: those of the policy, and the peers that they name as
    /// issuers. Returns also the error for a peer that cannot be read, so that one may be missing.
    fn anchors<'a>(
        &self,
        certificates: impl Iterator<Item = &'a Certificate>,
    ) -> (Trust, Result<(), Error>) {
        let (mut keys, mut doubt) = (self.trust.keys.clone(), Ok(()));
        if let Some(peers) = &self.peers {
            let mut named: Vec<NodeId> = certificates
                .take(path::MAX_POOL + 1)
                .flat_map(Certificate::issuer_ids)
                .collect();
            named.sort_unstable();
            named.dedup();
            for id in named {
                match peers.get(id) {
                    Ok(peer) => keys.extend(peer.map(|peer| peer.key.clone())),
                    Err(error) => doubt = Err(error),
                }
            }
        }
        (self.trust.with_keys(keys), doubt)
    }

    /// Checks that the sender's authorization is not revoked.
    fn check_revoked(&self, message: &SignedMessage) -> Result<(), Error> {
        let Some(revocations) = &self.revocations else {
            return Ok(());
        };
        let query = RevocationQuery {
            issuer: message.fields().recipient,
            leaf: message.sender_certificate(),
            attached: message.attached(),
            stored: Timestamp::MAX,
        };
        revocations.check(&query, &self.window)
    }

    fn registered(&self, id: NodeId) -> Result<bool, Error> {
        let peer = self.peers.as_ref().map(|peers| peers.get(id)).transpose()?;
        Ok(peer.flatten().is_some_and(|peer| peer.is_registered))
    }

    fn knows(&self, id: NodeId) -> Result<bool, Error> {
        let peer = self.peers.as_ref().map(|peers| peers.get(id)).transpose()?;
        Ok(peer.flatten().is_some())
    }

    /// Whether the message is cargo or a CCA for the node itself from a sender that may not send
    /// it: an unknown node, or an endpoint, even one that the node certified.
    fn bars(&self, message: &SignedMessage) -> Result<bool, Error> {
        let sender = message.sender_certificate();
        let is_for_node = self.private.own == Some(message.fields().recipient);
        Ok(is_for_node
            && message.kind() != Kind::Parcel
            && (sender.is_endpoint() || !self.knows(sender.id())?))
    }
}

/// The role in which objects are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyRole {
    /// Only the given anchors are trusted.
    Strict,
    /// A node: parcels in transit may show their recipient's own certificate.
    Node,
    /// A courier, who trusts no key: every message may show its recipient's own certificate.
    Courier,
}

/// Verifies an object.
///
/// # Errors
/// When it is badly signed, not valid now, for another node, or of a kind that cannot be verified.
/// An unauthorized sender is a verdict, not an error.
pub fn object(object: Object, policy: &Policy) -> Result<Verdict, Error> {
    match object {
        Object::Message(item) => match *item {
            Item::Pca(pca) => Ok(Verdict {
                sender: Some(pca.sender),
                recipient: Some(pca.recipient),
                id: Some(pca.into_value().parcel_id),
                // Unsigned: it counts only with the cargo that brings it.
                ..Verdict::new(Kind::Pca.word())
            }),
            Item::Rotation(rotation) => rotation_verdict(&rotation, policy),
            Item::Pdd(pdd) => pdd_verdict(&pdd, policy),
            item => match item.into_message() {
                Some(message) => message_verdict(message, policy),
                None => Err(message::Error::Unknown.into()),
            },
        },
        Object::Certificates(certificates) => {
            certificates_verdict("certificate", &certificates, policy)
        }
        Object::Path(path) => {
            let certificates: Vec<Certificate> = path.iter().cloned().collect();
            certificates_verdict("certification-path", &certificates, policy)
        }
        Object::PrivateEndpointConnectionParams(params) => {
            let path = &params.authorization;
            path.leaf.verify_signature(&params.identity)?;
            path.leaf.check_dates(&policy.window)?;
            Ok(Verdict {
                authorized: AuthorizationVerdict::Yes,
                path: vec![path.leaf.id(), params.identity.id()],
                ..leaf_verdict(
                    "private-endpoint-connection-parameters",
                    &path.leaf,
                    params.identity.id(),
                )
            })
        }
        Object::Registration(registration) => registration_verdict(&registration, policy),
        Object::RegistrationRequest(request) => request_verdict(&request, policy),
        Object::RegistrationAuthorization(authorization) => Ok(Verdict {
            expiry: Some(authorization.expiry),
            authorized: check_authorization(&authorization, policy)?,
            ..Verdict::new("registration-authorization")
        }),
        Object::SuccessorNotice(notice) => {
            let said = notice.verify()?;
            Ok(Verdict {
                sender: Some(said.old.id()),
                recipient: Some(said.peer),
                date: Some(said.date),
                ..Verdict::new("successor-notice")
            })
        }
        other => Err(message::Error::NotVerifiable(other.word()).into()),
    }
}

fn message_verdict(message: SignedMessage, policy: &Policy) -> Result<Verdict, Error> {
    let valid = Valid::check(message, &policy.window)?;
    if let Some(recipient) = policy.recipient {
        valid.check_recipient(recipient)?;
    }
    let message = valid.message();
    let fields = message.fields();
    let mut verdict = Verdict {
        sender: Some(message.sender()),
        recipient: Some(fields.recipient),
        id: Some(fields.id.clone()),
        date: Some(fields.date),
        expiry: Some(fields.expiry()),
        ..Verdict::new(message.kind().word())
    };
    let certificate = message.sender_certificate();
    if fields.date < certificate.not_before() || fields.date > certificate.not_after() {
        verdict
            .warnings
            .push("dated outside the validity of its sender's certificate".to_owned());
    }
    warn_of_long_life(certificate, &mut verdict.warnings);

    let (authorized, path) = authorization(&valid, policy)?;
    if matches!(authorized, AuthorizationVerdict::NotShown) {
        verdict
            .warnings
            .push("nothing shows that the recipient authorized its sender".to_owned());
    }
    verdict.authorized = authorized;
    verdict.path = path;
    Ok(verdict)
}

/// Whether the sender of a message is authorized, and the certification path that shows it.
fn authorization(
    valid: &Valid,
    policy: &Policy,
) -> Result<(AuthorizationVerdict, Vec<NodeId>), Error> {
    let message = valid.message();
    let recipient = message.fields().recipient;
    match policy.check_revoked(message) {
        Err(revoked) if revoked.kind() == ErrorKind::Unauthorized => {
            return Ok((AuthorizationVerdict::No(revoked), Vec::new()));
        }
        checked => checked?,
    }
    if message.kind() == Kind::Parcel && policy.accepts_anybody == Some(recipient) {
        return Ok((AuthorizationVerdict::Yes, Vec::new()));
    }
    let sender = message.sender();
    let refused = |error: ramf::Error| Ok((AuthorizationVerdict::No(error.into()), Vec::new()));
    let certificates = [message.sender_certificate()];
    let certificates = certificates.into_iter().chain(message.attached());
    let (trust, doubt) = policy.anchors(certificates.chain(&policy.chain));
    match valid.authorization_path(&trust, &policy.chain, &policy.window) {
        Ok(_) if policy.bars(message)? => return refused(ramf::Error::Unauthorized { sender }),
        Ok(nodes) => return Ok((AuthorizationVerdict::Yes, nodes)),
        // For messages to itself, the node knows for certain.
        Err(error)
            if policy.role == PolicyRole::Strict || policy.private.own == Some(recipient) =>
        {
            doubt?;
            return match error {
                error @ ramf::Error::Unauthorized { .. } => refused(error),
                dates => Err(dates.into()),
            };
        }
        Err(_) => {}
    }
    // Without a path to an anchor, the recipient's own certificate in the message may show the
    // authorization.
    match valid.authorization(&trust, &policy.window) {
        Authorization::Shown
            if policy.role == PolicyRole::Courier || message.kind() == Kind::Parcel =>
        {
            Ok((AuthorizationVerdict::Yes, Vec::new()))
        }
        Authorization::Refuted => {
            doubt?;
            refused(ramf::Error::Unauthorized { sender })
        }
        Authorization::NotShown
            if policy.private.is_behind(message.fields()) || policy.registered(recipient)? =>
        {
            doubt?;
            refused(ramf::Error::Unauthorized { sender })
        }
        // Only the recipient could tell, and it may accept anybody.
        Authorization::Shown | Authorization::NotShown => {
            doubt?;
            Ok((AuthorizationVerdict::NotShown, Vec::new()))
        }
    }
}

/// Verifies a message that is carried in cargo, as the gateway that packs or unpacks it must: a
/// parcel must be valid and its sender not refuted, a rotation must be signed by its issuer. An
/// acknowledgement has nothing to verify, and counts only with the cargo that brings it.
///
/// # Errors
/// When the message is not valid, or is cargo or a CCA, which are not carried in cargo.
pub fn transport(item: Item, policy: &Policy) -> Result<Item, Error> {
    Ok(transit(item, policy)?.0)
}

/// As [`transport`]. Returns also whether the message shows that its recipient authorized its
/// sender.
///
/// # Errors
/// As [`transport`].
pub fn transit(item: Item, policy: &Policy) -> Result<(Item, bool), Error> {
    match item {
        Item::Parcel(parcel) => {
            let valid = Valid::check(parcel.into_message(), &policy.window)?;
            let is_shown = match authorization(&valid, policy)? {
                (AuthorizationVerdict::No(error), _) => return Err(error),
                (AuthorizationVerdict::Yes, _) => true,
                (AuthorizationVerdict::NotShown, _) => false,
            };
            let parcel = Parcel::try_from(valid.into_message())?;
            Ok((Item::Parcel(parcel), is_shown))
        }
        Item::Rotation(rotation) => {
            rotation.verify()?;
            rotation.path.leaf.check_dates(&policy.window)?;
            Ok((Item::Rotation(rotation), false))
        }
        Item::Pdd(pdd) => {
            pdd.verify()?;
            pdd.check_dates(&policy.window)?;
            Ok((Item::Pdd(pdd), false))
        }
        Item::Pca(_) => Ok((item, false)),
        Item::Cargo(_) | Item::Cca(_) => Err(message::Error::NotInCargo(item.kind()).into()),
    }
}

fn certificates_verdict(
    kind: &'static str,
    certificates: &[Certificate],
    policy: &Policy,
) -> Result<Verdict, Error> {
    let (leaf, rest) = certificates.split_first().ok_or(message::Error::Unknown)?;
    let pool: Vec<Certificate> = rest.iter().chain(&policy.chain).cloned().collect();
    let mut verdict = Verdict {
        sender: Some(leaf.id()),
        date: Some(leaf.not_before()),
        expiry: Some(leaf.not_after()),
        ..Verdict::new(kind)
    };
    warn_of_long_life(leaf, &mut verdict.warnings);
    let (trust, doubt) = policy.anchors([leaf].into_iter().chain(&pool));
    match path::find(leaf, &pool, &trust, &policy.window) {
        Ok(path) => {
            verdict.authorized = AuthorizationVerdict::Yes;
            verdict.recipient = path.nodes.get(1).copied();
            verdict.path = path.nodes;
            Ok(verdict)
        }
        Err(error @ pki::Error::NoPath) if policy.role == PolicyRole::Strict => {
            verdict.authorized = AuthorizationVerdict::No(error.into());
            Ok(verdict)
        }
        Err(pki::Error::NoPath) => {
            doubt?;
            // Without named anchors, only its own signature and dates can be checked.
            leaf.check_dates(&policy.window)?;
            let signer = pool
                .iter()
                .chain([leaf])
                .find(|issuer| leaf.names_as_issuer(issuer));
            if let Some(signer) = signer {
                leaf.verify_signature(signer.key())?;
                verdict.recipient = Some(signer.id());
            }
            verdict
                .warnings
                .push("nothing that is trusted shows who issued it".to_owned());
            Ok(verdict)
        }
        Err(dates) => Err(dates.into()),
    }
}

fn rotation_verdict(rotation: &Rotation, policy: &Policy) -> Result<Verdict, Error> {
    let issuer = rotation.verify()?;
    let path = &rotation.path;
    path.leaf.check_dates(&policy.window)?;
    let is_trusted = trusts(policy, issuer.key())?;
    Ok(Verdict {
        authorized: authorized_if(is_trusted, policy),
        path: vec![path.leaf.id(), issuer.id()],
        ..leaf_verdict(Kind::Rotation.word(), &path.leaf, issuer.id())
    })
}

fn pdd_verdict(pdd: &Pdd, policy: &Policy) -> Result<Verdict, Error> {
    let revoker = pdd.verify()?;
    pdd.check_dates(&policy.window)?;
    let mut is_trusted = trusts(policy, revoker.issuer_key())?;
    let mut path = vec![pdd.issuer];
    if let Revoker::Gateway { gateway, .. } = revoker {
        is_trusted |= trusts(policy, gateway.key())?;
        path.push(gateway.id());
    }
    Ok(Verdict {
        sender: Some(pdd.signer()),
        recipient: Some(pdd.issuer),
        expiry: Some(pdd.expiry),
        authorized: authorized_if(is_trusted, policy),
        path,
        ..Verdict::new(Kind::Pdd.word())
    })
}

fn registration_verdict(registration: &Registration, policy: &Policy) -> Result<Verdict, Error> {
    registration.verify()?;
    registration.node.check_dates(&policy.window)?;
    registration.gateway.check_dates(&policy.window)?;
    let gateway = registration.gateway.id();
    Ok(Verdict {
        authorized: authorized_if(trusts(policy, registration.gateway.key())?, policy),
        path: vec![registration.node.id(), gateway],
        ..leaf_verdict("registration", &registration.node, gateway)
    })
}

fn request_verdict(request: &RegistrationRequest, policy: &Policy) -> Result<Verdict, Error> {
    request.verify()?;
    Ok(Verdict {
        sender: Some(request.node.id()),
        expiry: Some(request.authorization.expiry),
        authorized: check_authorization(&request.authorization, policy)?,
        ..Verdict::new("registration-request")
    })
}

/// Verifies a gateway's promise to register a node. No clock drift is allowed.
fn check_authorization(
    authorization: &RegistrationAuthorization,
    policy: &Policy,
) -> Result<AuthorizationVerdict, Error> {
    if authorization.expiry < policy.now {
        return Err(ramf::Error::Expired(authorization.expiry).into());
    }
    // It does not name its gateway, so each key has to be tried.
    let peers = policy.peers.as_ref().map(PeerLookup::keys).transpose()?;
    let peers = peers.unwrap_or_default();
    let anchors = policy.trust.certificates.iter().map(Certificate::key);
    let keys = policy.trust.keys.iter().chain(&peers).chain(anchors);
    let mut failure = None;
    for key in keys {
        match authorization.verify(key) {
            Ok(()) => return Ok(AuthorizationVerdict::Yes),
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        // Without named anchors, the gateway may just be unknown.
        Some(error) if policy.role == PolicyRole::Strict => Err(error.into()),
        _ => Ok(AuthorizationVerdict::NotShown),
    }
}

fn trusts(policy: &Policy, key: &PublicKey) -> Result<bool, Error> {
    let anchors = policy.trust.certificates.iter().map(Certificate::key);
    if policy
        .trust
        .keys
        .iter()
        .chain(anchors)
        .any(|anchor| anchor == key)
    {
        return Ok(true);
    }
    let peer = policy
        .peers
        .as_ref()
        .map(|peers| peers.get(key.id()))
        .transpose()?;
    Ok(peer.flatten().is_some_and(|peer| peer.key == *key))
}

fn authorized_if(is_trusted: bool, policy: &Policy) -> AuthorizationVerdict {
    match (is_trusted, policy.role == PolicyRole::Strict) {
        (true, _) => AuthorizationVerdict::Yes,
        (false, true) => AuthorizationVerdict::No(pki::Error::NoPath.into()),
        (false, false) => AuthorizationVerdict::NotShown,
    }
}

fn leaf_verdict(kind: &'static str, leaf: &Certificate, issuer: NodeId) -> Verdict {
    let mut verdict = Verdict {
        sender: Some(leaf.id()),
        recipient: Some(issuer),
        date: Some(leaf.not_before()),
        expiry: Some(leaf.not_after()),
        ..Verdict::new(kind)
    };
    warn_of_long_life(leaf, &mut verdict.warnings);
    verdict
}

fn warn_of_long_life(certificate: &Certificate, warnings: &mut Vec<String>) {
    let life = certificate
        .not_after()
        .duration_since(certificate.not_before());
    // The validity includes its last second, so other verifiers may count one second more.
    if life > issuance::MAX_LIFE + SignedDuration::from_secs(1) {
        warnings.push(format!(
            "the certificate of {} lasts over 180 days",
            certificate.id()
        ));
    }
}
