//! An Internet gateway as the deployed one behaves towards private gateways (`PoWeb`, RS-016), and worse on request.
//!
//! Its node is a directory of the test, so what it registers is really registered. Parcels are in memory, in a mailbox
//! for each private gateway.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use relaynet::message::registration::RegistrationRequest;
use relaynet::node::Directory;
use relaynet::node::registrations::{self, RegistrationOptions};
use relaynet::pki::{Certificate, IdentityKey, NodeId, issuance};
use relaynet::ramf::{Kind, SignedMessage};

use super::authority::{Authority, Leaf};
use super::collecting::{self, Session};
use super::http::{self, Answer, Date, Fault, Faults, Request};
use super::journal::Journal;
use super::listener::{Connection, Listener, held};
use super::objects::{self, MAX_PARCEL};
use super::resolver::Resolver;
use crate::testenv::{Env, NOW, identity, sha256};

const PARCEL: &str = "application/vnd.awala.parcel";
const PROMISE: &str = "application/vnd.awala.node-registration.authorization";
const REQUEST: &str = "application/vnd.awala.node-registration.request";
const REGISTRATION: &str = "application/vnd.awala.node-registration.registration";

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// `HEAD /` and `GET /`.
    Front,
    /// A promise to be registered.
    PreRegistrations,
    /// A registration.
    Nodes,
    /// The delivery of a parcel.
    Parcels,
    /// A request for anything else.
    Other,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A request other than a collection was read.
    Asked(Place),
    /// It was answered so, though a fault may have changed or lost the answer.
    Answered(Place, u16),
    /// A node was registered.
    Registered(NodeId),
    /// A parcel was stored: SHA-256 of its octets, and who delivered it.
    Stored(String, NodeId),
    /// A collection began, with this streaming mode, if one was asked for.
    Collecting(Option<String>),
    /// A node showed that the collection is its own.
    Shown(NodeId),
    /// A parcel was sent: its delivery id, and SHA-256 of its octets.
    Sent(String, String),
    /// A delivery id was acknowledged: the id as it came, and the digest if that parcel was sent.
    Acknowledged(String, Option<String>),
    /// The client answered a ping.
    Pong,
    /// The collection ended, with this code from the client, if it sent one.
    Ended(Option<u16>),
}

/// The clock of the gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clock {
    /// It stands still.
    At(Timestamp),
    /// That of this machine.
    System,
}

/// A gateway that serves.
pub(crate) struct Gateway {
    listener: Listener,
    state: Arc<State>,
    pin: Option<String>,
}

/// What its threads share.
pub(super) struct State {
    node: PathBuf,
    identity: IdentityKey,
    settings: Mutex<Settings>,
    mail: Mutex<Mail>,
    faults: HashMap<Place, Faults>,
    sessions: Mutex<(VecDeque<Session>, Session)>,
    /// What happened.
    pub(super) journal: Journal<Event>,
}

struct Settings {
    clock: Clock,
    date: Date,
    promise_lasts: SignedDuration,
    registration_lasts: SignedDuration,
    ping_every: Option<Duration>,
}

#[derive(Default)]
struct Mail {
    boxes: HashMap<NodeId, Vec<Vec<u8>>>,
    /// Parcels for other Internet addresses.
    abroad: Vec<Vec<u8>>,
    known: Vec<(NodeId, NodeId, String)>,
}

impl Gateway {
    /// Serves the node `name` of the test under the name `host`.
    pub(crate) fn start(env: &Env, name: &str, authority: &Authority, host: &str) -> Self {
        Self::start_with(env, name, Some(&authority.leaf(&[host, "127.0.0.1"])))
    }

    /// Serves the node `name` of the test without TLS, as the gateway of one's own machine does.
    pub(crate) fn start_plain(env: &Env, name: &str) -> Self {
        Self::start_with(env, name, None)
    }

    /// Serves the node `name` of the test with this certificate.
    pub(crate) fn start_with(env: &Env, name: &str, leaf: Option<&Leaf>) -> Self {
        let places = [
            Place::Front,
            Place::PreRegistrations,
            Place::Nodes,
            Place::Parcels,
            Place::Other,
        ];
        let state = Arc::new(State {
            node: env.path(name),
            identity: identity(name),
            settings: Mutex::new(Settings {
                clock: Clock::At(NOW.parse().unwrap()),
                date: Date::Shifted(SignedDuration::ZERO),
                promise_lasts: SignedDuration::from_secs(10),
                registration_lasts: issuance::MAX_LIFE,
                ping_every: Some(Duration::from_secs(5)),
            }),
            mail: Mutex::default(),
            faults: places.map(|place| (place, Faults::default())).into(),
            sessions: Mutex::new((VecDeque::new(), Session::usual())),
            journal: Journal::new(),
        });
        let serving = Arc::clone(&state);
        Self {
            listener: Listener::start(leaf.map(Leaf::server), move |it| serving.serve(it)),
            state,
            pin: leaf.map(|it| it.pin.clone()),
        }
    }

    /// Lets a resolver say that this is the gateway of an Internet address, on a server of this name.
    pub(crate) fn announce(&self, resolver: &Resolver, address: &str, host: &str) {
        resolver.add_service("_awala-gsc", address, host, self.port());
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.listener.port()
    }

    /// The port, the connections.
    pub(crate) fn listener(&self) -> &Listener {
        &self.listener
    }

    /// SHA-256 of its TLS key, in hexadecimal: what is pinned.
    pub(crate) fn pin(&self) -> &str {
        self.pin.as_deref().unwrap()
    }

    /// What happened.
    pub(crate) fn journal(&self) -> &Journal<Event> {
        &self.state.journal
    }

    /// What goes wrong with requests for a place.
    pub(crate) fn faults(&self, place: Place) -> &Faults {
        &self.state.faults[&place]
    }

    /// What goes wrong with the next request for a place.
    pub(crate) fn fail_next(&self, place: Place, fault: Fault) {
        self.faults(place).add(Some(fault));
    }

    /// How the next collection goes.
    pub(crate) fn collect_next(&self, session: Session) {
        held(&self.state.sessions).0.push_back(session);
    }

    /// How collections go after those.
    pub(crate) fn collect_always(&self, session: Session) {
        held(&self.state.sessions).1 = session;
    }

    /// Its clock; [`NOW`] at first.
    pub(crate) fn set_clock(&self, clock: Clock) {
        held(&self.state.settings).clock = clock;
    }

    /// What it writes into `Date`; its time at first.
    pub(crate) fn set_date(&self, date: Date) {
        held(&self.state.settings).date = date;
    }

    /// How long a promise lasts; 10 s at first.
    pub(crate) fn set_promise(&self, lasts: SignedDuration) {
        held(&self.state.settings).promise_lasts = lasts;
    }

    /// How long a registration lasts; 180 days at first.
    pub(crate) fn set_registration(&self, lasts: SignedDuration) {
        held(&self.state.settings).registration_lasts = lasts;
    }

    /// How often it pings; every 5 s at first, and never for `None`.
    pub(crate) fn set_pings(&self, every: Option<Duration>) {
        held(&self.state.settings).ping_every = every;
    }

    /// Puts octets into the mailbox of a private gateway, whatever they are.
    pub(crate) fn post(&self, to: NodeId, parcel: impl Into<Vec<u8>>) {
        let mut mail = held(&self.state.mail);
        mail.boxes.entry(to).or_default().push(parcel.into());
    }

    /// What is in the mailbox of a private gateway, in order.
    pub(crate) fn mailbox(&self, of: NodeId) -> Vec<Vec<u8>> {
        self.state.mailbox(of)
    }

    /// The parcels that were delivered for other Internet addresses.
    pub(crate) fn abroad(&self) -> Vec<Vec<u8>> {
        held(&self.state.mail).abroad.clone()
    }

    /// The digests of the parcels that were delivered, in order.
    pub(crate) fn stored(&self) -> Vec<String> {
        let events = self.state.journal.all().into_iter();
        let stored = events.filter_map(|event| match event {
            Event::Stored(digest, _) => Some(digest),
            _ => None,
        });
        stored.collect()
    }

    /// The digests of the parcels that were acknowledged, in order.
    pub(crate) fn acknowledged(&self) -> Vec<String> {
        let events = self.state.journal.all().into_iter();
        let digests = events.filter_map(|event| match event {
            Event::Acknowledged(_, digest) => digest,
            _ => None,
        });
        digests.collect()
    }
}

impl State {
    pub(super) fn mailbox(&self, of: NodeId) -> Vec<Vec<u8>> {
        let mail = held(&self.mail);
        mail.boxes.get(&of).cloned().unwrap_or_default()
    }

    /// Removes a parcel from a mailbox.
    pub(super) fn remove(&self, of: NodeId, parcel: &[u8]) {
        let mut mail = held(&self.mail);
        if let Some(parcels) = mail.boxes.get_mut(&of)
            && let Some(at) = parcels.iter().position(|it| it == parcel)
        {
            parcels.remove(at);
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        match held(&self.settings).clock {
            Clock::At(now) => now,
            Clock::System => Timestamp::now(),
        }
    }

    pub(super) fn ping_every(&self) -> Option<Duration> {
        held(&self.settings).ping_every
    }

    /// The registered node that signed `nonce` or a parcel.
    pub(super) fn countersigner(
        &self,
        signature: &[u8],
        purpose: &[u8],
        plaintext: &[u8],
    ) -> Result<NodeId, String> {
        let gateway = self.identity.public();
        let signer = objects::countersigner(signature, purpose, plaintext, gateway, self.now())?;
        Ok(signer.id())
    }

    fn serve(&self, connection: &mut Connection) {
        while let Some(request) = http::read_head(connection) {
            if request.path.split('?').next() == Some("/v1/parcel-collection") {
                let session = {
                    let mut sessions = held(&self.sessions);
                    sessions.0.pop_front().unwrap_or_else(|| sessions.1.clone())
                };
                return collecting::serve(self, connection, &request, session);
            }
            let place = match request.path.as_str() {
                "/" => Place::Front,
                "/v1/pre-registrations" => Place::PreRegistrations,
                "/v1/nodes" => Place::Nodes,
                "/v1/parcels" => Place::Parcels,
                _ => Place::Other,
            };
            let date = {
                let now = self.now();
                held(&self.settings).date.at(now)
            };
            let fault = self.faults[&place].next();
            let goes_on = http::exchange(connection, request, fault, date.as_deref(), |request| {
                self.journal.add(Event::Asked(place));
                let answer = self.answer(place, request);
                self.journal.add(Event::Answered(place, answer.status));
                answer
            });
            if !goes_on {
                return;
            }
        }
    }

    fn answer(&self, place: Place, request: &Request) -> Answer {
        let is_read = ["GET", "HEAD"].contains(&request.method.as_str());
        let answer = match (place, request.method.as_str()) {
            (Place::Front, _) if is_read => {
                Ok(Answer::new(200).body("text/plain", "This is a gateway"))
            }
            (Place::PreRegistrations, "POST") => self.promise(request),
            (Place::Nodes, "POST") => self.register(request),
            (Place::Parcels, "POST") => self.store(request),
            (Place::Other, _) => Err(Answer::message(404, "Not Found")),
            (Place::Front, _) => Err(Answer::new(405).with("Allow", "HEAD, GET")),
            _ => Err(Answer::new(405).with("Allow", "POST")),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }

    fn promise(&self, request: &Request) -> Result<Answer, Answer> {
        check_type(request, "text/plain")?;
        let digest = std::str::from_utf8(&request.body).unwrap_or_default();
        let digest = (digest.len() == 64)
            .then(|| {
                let octets = (0..64).step_by(2);
                let octets = octets.map(|at| u8::from_str_radix(digest.get(at..at + 2)?, 16).ok());
                octets.collect::<Option<Vec<u8>>>()
            })
            .flatten()
            .ok_or_else(|| Answer::message(400, "Payload is not a SHA-256 digest"))?;
        let expiry = self.now() + held(&self.settings).promise_lasts;
        let promise = objects::promise(&self.identity, &digest, expiry);
        Ok(Answer::new(200).body(PROMISE, promise))
    }

    fn register(&self, request: &Request) -> Result<Answer, Answer> {
        check_type(request, REQUEST)?;
        let now = self.now();
        let refused = |status, text: &str| Answer::message(status, text);
        let request = RegistrationRequest::parse(&request.body)
            .map_err(|_| refused(400, "Payload is not a valid registration request"))?;
        let node = Directory::open(&self.node).unwrap();
        let is_for_node = request.authorization.is_for(&request.node);
        if !is_for_node && request.verify().is_ok() {
            return Err(refused(403, "Authorization was granted to another node"));
        }
        registrations::check_request(&node, &request, now)
            .map_err(|error| refused(400, &error.to_string()))?;
        let _lock = node.lock_exclusive().unwrap();
        let options = RegistrationOptions {
            now,
            valid_for: held(&self.settings).registration_lasts,
            node_type: None,
        };
        let given = registrations::give(&node, &request.node, &options).unwrap();
        self.journal.add(Event::Registered(request.node.id()));
        Ok(Answer::new(200).body(REGISTRATION, given.registration.to_der()))
    }

    fn store(&self, request: &Request) -> Result<Answer, Answer> {
        if request.body.len() > MAX_PARCEL {
            return Err(Answer::message(413, "Payload Too Large"));
        }
        check_type(request, PARCEL)?;
        let by = self.deliverer(request).map_err(|why| {
            Answer::message(401, &why).with("WWW-Authenticate", "Relaynet-Countersignature")
        })?;
        let parcel = SignedMessage::parse(request.body.clone()).ok();
        let parcel = parcel
            .filter(|it| it.kind() == Kind::Parcel)
            .ok_or_else(|| Answer::message(400, "Payload is not a valid RAMF-serialized parcel"))?;
        let invalid = |why: &str| Answer::message(422, &format!("Invalid parcel: {why}"));
        self.check(&parcel).map_err(invalid)?;
        let mailbox = self.mailbox_of(&parcel).map_err(invalid)?;
        let key = (
            parcel.sender(),
            parcel.fields().recipient,
            parcel.fields().id.clone(),
        );
        let mut mail = held(&self.mail);
        if !mail.known.contains(&key) {
            mail.known.push(key);
            match mailbox {
                Some(node) => mail.boxes.entry(node).or_default(),
                None => &mut mail.abroad,
            }
            .push(request.body.clone());
        }
        drop(mail);
        self.journal.add(Event::Stored(sha256(&request.body), by));
        Ok(Answer::new(202).body("application/json; charset=utf-8", "{}"))
    }

    /// Who countersigned the parcel in a request.
    fn deliverer(&self, request: &Request) -> Result<NodeId, String> {
        let missing = "Parcel countersignature is missing";
        let header = request.header("authorization").ok_or(missing)?;
        // The deployed gateway takes no other spelling.
        let signature = header.strip_prefix("Relaynet-Countersignature ");
        let signature = STANDARD.decode(signature.ok_or(missing)?);
        let signature = signature.map_err(|_| "Parcel countersignature is not base64")?;
        self.countersigner(&signature, objects::DELIVERY, &request.body)
    }

    fn check(&self, parcel: &SignedMessage) -> Result<(), &'static str> {
        let fields = parcel.fields();
        let end = fields.date + SignedDuration::from_secs(i64::from(fields.ttl));
        let now = self.now();
        if now < fields.date || now > end {
            return Err("not valid now");
        }
        parcel.verify_signature().map_err(|_| "bad signature")
    }

    /// The private gateway whose mailbox a parcel belongs to; `None` for another Internet address.
    fn mailbox_of(&self, parcel: &SignedMessage) -> Result<Option<NodeId>, &'static str> {
        let node = Directory::open(&self.node).unwrap();
        let own = node.config().address().map(|it| it.as_str().to_owned());
        let address = parcel.fields().address.as_ref();
        if address.is_some_and(|it| Some(it.as_str()) != own.as_deref()) {
            return Ok(None);
        }
        let recipient = parcel.fields().recipient;
        // The sender's authorization leads to the recipient, and its path to the gateway that we registered.
        let issued_here = |it: &&Certificate| it.verify_signature(self.identity.public()).is_ok();
        let mut path = parcel.attached().iter();
        let registered = path.find(issued_here).map(Certificate::id);
        let of_recipient = registrations::is_registered(&node, recipient).unwrap_or(false);
        registered
            .or(of_recipient.then_some(recipient))
            .map(Some)
            .ok_or("sender is not authorized")
    }
}

fn check_type(request: &Request, media_type: &str) -> Result<(), Answer> {
    // Literally, as the deployed gateway does.
    if request.header("content-type") == Some(media_type) {
        Ok(())
    } else {
        Err(Answer::message(415, "Unsupported Media Type"))
    }
}
