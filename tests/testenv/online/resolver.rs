//! A resolver that answers over HTTPS (RFC 8484), as it is told to.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::authority::{Authority, Leaf};
use super::dns::{self, Data, Question, Record, Response};
use super::http::{self, Answer, Fault, Request};
use super::journal::Journal;
use super::listener::{Connection, Listener, held};

/// The media type of DNS messages.
const DNS_MESSAGE: &str = "application/dns-message";

/// How a name is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With its records, validated.
    Honest,
    /// With its records, not validated (no AD).
    NotValidated,
    /// With its records, preceded by an alias.
    ThroughAlias,
    /// With records of another owner.
    WrongOwner,
    /// With records to which no alias leads: it leads to itself by way of another name.
    AliasLoop,
    /// With its records, as an answer to another question.
    WrongQuestion,
    /// With its records under another id.
    WrongId,
    /// With services on port 0.
    PortZero,
    /// With services whose target is the root: there is none (RFC 2782).
    RootTarget,
    /// With these records in this order, validated.
    Records(Vec<Record>),
    /// It does not exist.
    NxDomain {
        /// Whether that is validated.
        is_validated: bool,
    },
    /// It has no such records.
    NoData {
        /// Whether that is validated.
        is_validated: bool,
    },
    /// The lookup failed: SERVFAIL.
    ServFail,
    /// The message says that it was cut (TC).
    Truncated,
    /// The message ends in the middle of its records.
    Cut,
    /// A page for people, with status 200: a captive portal.
    Html,
    /// Octets that are no message, with the right type.
    Garbage,
    /// The query, sent back.
    Echo,
    /// The message and 70 000 octets after it.
    Long,
    /// Anything that goes wrong in HTTP.
    Http(Fault),
}

/// A query as it came.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// The question, if it can be read.
    pub(crate) question: Option<Question>,
    /// The request.
    pub(crate) request: Request,
}

/// A resolver.
pub(crate) struct Resolver {
    listener: Listener,
    zone: Arc<Zone>,
}

struct Zone {
    records: Mutex<Vec<Record>>,
    modes: Mutex<(HashMap<String, Mode>, Mode)>,
    ttl: Mutex<u32>,
    queries: Journal<Query>,
}

impl Resolver {
    /// One that knows no name: it says so, validated.
    pub(crate) fn start(authority: &Authority) -> Self {
        Self::start_with(&authority.leaf(&["127.0.0.1"]))
    }

    /// One with this certificate.
    pub(crate) fn start_with(leaf: &Leaf) -> Self {
        let zone = Arc::new(Zone {
            records: Mutex::default(),
            modes: Mutex::new((HashMap::new(), Mode::Honest)),
            ttl: Mutex::new(300),
            queries: Journal::new(),
        });
        let serving = Arc::clone(&zone);
        Self {
            listener: Listener::start(Some(leaf.server()), move |it| serving.serve(it)),
            zone,
        }
    }

    /// Its URL: that of `--resolver URL`.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}/dns-query", self.listener.port())
    }

    /// Adds a record.
    pub(crate) fn add(&self, name: &str, data: Data) {
        let ttl = *held(&self.zone.ttl);
        let name = name.to_ascii_lowercase();
        held(&self.zone.records).push(Record { name, ttl, data });
    }

    /// Forgets all records of a name.
    pub(crate) fn remove(&self, name: &str) {
        held(&self.zone.records).retain(|record| record.name != name);
    }

    /// Adds a service of an address, such as `_awala-gsc`, on a server of this machine.
    pub(crate) fn add_service(&self, service: &str, address: &str, target: &str, port: u16) {
        let data = Data::Service {
            priority: 0,
            weight: 0,
            port,
            target: target.to_owned(),
        };
        self.add(&format!("{service}._tcp.{address}"), data);
        self.add_address(target);
    }

    /// Says that a server is this machine.
    pub(crate) fn add_address(&self, target: &str) {
        self.add(target, Data::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }

    /// How long answers may be kept, in seconds; for records that are added later.
    pub(crate) fn set_ttl(&self, ttl: u32) {
        *held(&self.zone.ttl) = ttl;
    }

    /// How all names are answered that have no mode of their own.
    pub(crate) fn set_mode(&self, mode: Mode) {
        held(&self.zone.modes).1 = mode;
    }

    /// How one name is answered.
    pub(crate) fn set_mode_of(&self, name: &str, mode: Mode) {
        held(&self.zone.modes).0.insert(name.to_owned(), mode);
    }

    /// What was asked, in order.
    pub(crate) fn queries(&self) -> &Journal<Query> {
        &self.zone.queries
    }

    /// How often a name was asked for.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.zone
            .queries
            .count(|it| it.question.as_ref().is_some_and(|it| it.name == name))
    }
}

impl Zone {
    fn serve(&self, connection: &mut Connection) {
        while let Some(mut request) = http::read_head(connection) {
            if http::read_body(connection, &mut request).is_err() {
                return;
            }
            let octets = message_of(&request);
            let question = octets.as_deref().and_then(Question::parse);
            self.queries.add(Query {
                question: question.clone(),
                request: request.clone(),
            });
            let mode = self.mode_of(question.as_ref());
            let (fault, answer) = match (mode, question) {
                (Mode::Http(fault), _) => (Some(fault), Answer::new(500)),
                (mode, Some(question)) => (None, self.answer(&mode, &question, octets.as_deref())),
                (_, None) => (None, Answer::new(400)),
            };
            // The body was read above.
            request.headers.retain(|(name, _)| {
                !["content-length", "expect", "transfer-encoding"].contains(&&*name.to_lowercase())
            });
            if !http::exchange(connection, request, fault, None, |_| answer) {
                return;
            }
        }
    }

    fn mode_of(&self, question: Option<&Question>) -> Mode {
        let modes = held(&self.modes);
        let own = question.and_then(|it| modes.0.get(&it.name));
        own.unwrap_or(&modes.1).clone()
    }

    fn answer(&self, mode: &Mode, question: &Question, query: Option<&[u8]>) -> Answer {
        let message = match mode {
            Mode::Html => {
                return Answer::new(200).body("text/html", "<html>Pay for the network</html>");
            }
            Mode::Garbage => vec![0xff; 40],
            Mode::Echo => query.unwrap_or_default().to_vec(),
            Mode::Cut => {
                let mut whole = question.answer(&self.response(mode, question));
                whole.truncate(whole.len() - 3);
                whole
            }
            Mode::Long => {
                let mut long = question.answer(&self.response(mode, question));
                long.resize(70_000, 0);
                long
            }
            Mode::WrongId => {
                let mut other = question.clone();
                other.id ^= 0x5555;
                other.answer(&self.response(mode, question))
            }
            Mode::WrongQuestion => {
                let mut other = question.clone();
                other.name = format!("other.{}", other.name);
                other.answer(&self.response(mode, question))
            }
            _ => question.answer(&self.response(mode, question)),
        };
        Answer::new(200).body(DNS_MESSAGE, message)
    }

    fn response(&self, mode: &Mode, question: &Question) -> Response {
        let records = self.changed(mode, question);
        let exists = held(&self.records)
            .iter()
            .any(|record| record.name == question.name);
        let code = match mode {
            Mode::ServFail => dns::SERVFAIL,
            Mode::NxDomain { .. } => dns::NXDOMAIN,
            Mode::NoData { .. } | Mode::Records(_) => 0,
            _ if exists => 0,
            _ => dns::NXDOMAIN,
        };
        let is_validated = match mode {
            Mode::NotValidated | Mode::ServFail => false,
            Mode::NxDomain { is_validated } | Mode::NoData { is_validated } => *is_validated,
            _ => true,
        };
        Response {
            code,
            is_validated,
            is_truncated: *mode == Mode::Truncated,
            records,
        }
    }

    /// The records of the answer, as the mode changes them.
    fn changed(&self, mode: &Mode, question: &Question) -> Vec<Record> {
        let mut records = self.records_for(question);
        let alias = |name: &str, of: &str| Record {
            name: name.to_owned(),
            ttl: 300,
            data: Data::Alias(of.to_owned()),
        };
        let other = format!("other.{}", question.name);
        match mode {
            Mode::ServFail | Mode::NxDomain { .. } | Mode::NoData { .. } => records.clear(),
            Mode::Truncated => records.truncate(records.len() / 2),
            Mode::Records(given) => records.clone_from(given),
            Mode::WrongOwner => rename(&mut records, &other),
            Mode::ThroughAlias => {
                rename(&mut records, &other);
                records.insert(0, alias(&question.name, &other));
            }
            Mode::AliasLoop => {
                records = vec![alias(&question.name, &other), alias(&other, &question.name)];
            }
            Mode::PortZero | Mode::RootTarget => {
                for record in &mut records {
                    if let Data::Service { port, target, .. } = &mut record.data {
                        match mode {
                            Mode::PortZero => *port = 0,
                            _ => target.clear(),
                        }
                    }
                }
            }
            _ => {}
        }
        records
    }

    /// The records of a name; its aliases are followed.
    fn records_for(&self, question: &Question) -> Vec<Record> {
        let all = held(&self.records);
        let mut name = question.name.clone();
        let mut found = Vec::new();
        for _ in 0..16 {
            let own = |kind: u16| {
                let matching = |it: &&Record| it.name == name && it.data.kind() == kind;
                all.iter().filter(matching).cloned().collect::<Vec<_>>()
            };
            found.extend(own(question.kind));
            let aliases = own(dns::CNAME);
            let Some(Data::Alias(next)) = aliases.first().map(|it| it.data.clone()) else {
                break;
            };
            if question.kind != dns::CNAME {
                found.extend(aliases);
            }
            name = next;
        }
        found
    }
}

/// Gives records another owner.
fn rename(records: &mut [Record], owner: &str) {
    for record in records {
        owner.clone_into(&mut record.name);
    }
}

/// The message in a request: the body of a POST, or the parameter of a GET (RFC 8484 §4.1).
fn message_of(request: &Request) -> Option<Vec<u8>> {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    if path != "/dns-query" {
        return None;
    }
    if request.method == "POST" {
        let is_message = request.header("content-type") == Some(DNS_MESSAGE);
        return is_message.then(|| request.body.clone());
    }
    let message = query.split('&').find_map(|it| it.strip_prefix("dns="))?;
    URL_SAFE_NO_PAD.decode(message).ok()
}
