//! DNS messages: the question as deployed software asks it, and what an answer proves (RFC 1035, RFC 2782).
//!
//! SRV records count only if the resolver says that it validated them (the AD bit, RFC 4035 §3.2.3), since they decide
//! which host's certificate is accepted. That an address has no records counts only if that is validated, too. Addresses
//! need no proof: the certificate of the host is judged once there is a connection.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr as _;
use std::time::Duration;

use domain::base::iana::{Class, OptRcode, Rtype};
use domain::base::name::{FlattenInto as _, ToName};
use domain::base::wire::ParseError;
use domain::base::{Message, Name, ParsedRecord};
use domain::rdata::{A, Aaaa, Cname, Srv};

use super::Service;
use crate::ramf::InternetAddress;
use crate::spool::hosts::SrvRecord;

/// Maximum length of an answer, in octets: the length of a DNS message has 16 bits (RFC 1035 §4.2.2).
pub const MAX_ANSWER_LEN: usize = 65_535;

/// Aliases that lead from the name in question to its records, at most.
const MAX_ALIASES: usize = 8;

/// Records of an answer, at most. Deployed services have one.
const MAX_RECORDS: usize = 256;

/// The identifier (0, RFC 8484 §4.1), the flags RD and AD, and the numbers of records: one question, and one additional
/// record.
const HEADER: [u8; 12] = [0, 0, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1];

/// The additional record OPT (RFC 6891 §6.1.2): the root, messages over UDP of up to 4096 octets, the bit DO, no options.
/// This and the header are as core-js writes them.
const OPT: [u8; 11] = [0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0];

/// Two kinds of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A records (RFC 1035 §3.4.1).
    V4,
    /// AAAA records (RFC 3596).
    V6,
}

/// What is asked of a resolver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    name: Name<Vec<u8>>,
    kind: Rtype,
}

/// What a resolver proved about a service at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SrvAnswer {
    /// Its servers, at least one, in the order of the answer.
    Records {
        /// The servers.
        records: Vec<SrvRecord>,
        /// How long that may be relied on: the smallest of all records that lead there.
        ttl: Duration,
    },
    /// There is no such service: the name does not exist, has no such records, or its target is the root (RFC 2782).
    Absent,
}

/// Why a message is not the answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerProblem {
    /// It is no DNS message, or a part of one.
    Malformed,
    /// It answers another question, or is a question.
    OtherQuestion,
    /// The resolver failed, or refused to answer; its code.
    Failed(String),
    /// The resolver does not say that it validated the answer.
    NotValidated,
    /// A record of a name that the question does not lead to.
    OtherName,
    /// Aliases lead in a circle, in two directions, or too far.
    Aliases,
    /// More records than any service has.
    TooMany,
    /// A server without a port, or under a name that is no domain name.
    NoServer,
}

impl fmt::Display for AnswerProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => "not a well-formed answer",
            Self::OtherQuestion => "the answer to another question",
            Self::Failed(code) => return write!(formatter, "the resolver says {code}"),
            Self::NotValidated => "the answer is not validated by DNSSEC",
            Self::OtherName => "a record of another name",
            Self::Aliases => "aliases that lead nowhere",
            Self::TooMany => return write!(formatter, "over {MAX_RECORDS} records"),
            Self::NoServer => "a record that names no server",
        })
    }
}

impl From<ParseError> for AnswerProblem {
    fn from(_: ParseError) -> Self {
        Self::Malformed
    }
}

impl Question {
    /// The servers of a service at an address; `None` if the name would be too long to exist.
    #[must_use]
    pub fn srv(service: Service, address: &InternetAddress) -> Option<Self> {
        let name = Name::from_str(&service.owner_name(address)).ok()?;
        Some(Self {
            name,
            kind: Rtype::SRV,
        })
    }

    /// The addresses of a host; `None` if it is no domain name.
    #[must_use]
    pub fn addresses(host: &str, family: Family) -> Option<Self> {
        let kind = match family {
            Family::V4 => Rtype::A,
            Family::V6 => Rtype::AAAA,
        };
        let name = Name::from_str(host).ok()?;
        Some(Self { name, kind })
    }

    /// The DNS message that asks it.
    #[must_use]
    pub fn query(&self) -> Vec<u8> {
        let mut message = HEADER.to_vec();
        message.extend_from_slice(self.name.as_slice());
        message.extend_from_slice(&self.kind.to_int().to_be_bytes());
        message.extend_from_slice(&Class::IN.to_int().to_be_bytes());
        message.extend_from_slice(&OPT);
        message
    }
}

/// What an answer proves about a service.
///
/// # Errors
/// When it proves nothing.
pub fn srv_answer(octets: &[u8], question: &Question) -> Result<SrvAnswer, AnswerProblem> {
    let answer = Answer::parse(octets, question)?;
    if !answer.is_validated {
        return Err(AnswerProblem::NotValidated);
    }
    let Some((found, ttl)) = answer.records()? else {
        return Ok(SrvAnswer::Absent);
    };
    let mut records = Vec::new();
    for record in found {
        let Some(record) = record.to_record::<Srv<_>>()? else {
            continue;
        };
        let srv = record.data();
        // The root says that there is no such service here (RFC 2782 §Target).
        if srv.target().is_root() {
            continue;
        }
        // An IP address is no target, and neither is a name without a dot: such names belong to a local network.
        let target = srv.target().to_string().to_ascii_lowercase();
        if srv.port() == 0 || target.parse::<InternetAddress>().is_err() {
            return Err(AnswerProblem::NoServer);
        }
        records.push(SrvRecord {
            priority: srv.priority(),
            weight: srv.weight(),
            port: srv.port(),
            target,
        });
    }
    if records.is_empty() {
        return Ok(SrvAnswer::Absent);
    }
    Ok(SrvAnswer::Records { records, ttl })
}

/// The addresses in an answer, each once; none where the host has none of the kind in question.
///
/// # Errors
/// When it is not the answer to the question.
pub fn address_answer(octets: &[u8], question: &Question) -> Result<Vec<IpAddr>, AnswerProblem> {
    let answer = Answer::parse(octets, question)?;
    let Some((found, _)) = answer.records()? else {
        return Ok(Vec::new());
    };
    let mut addresses = Vec::new();
    for record in found {
        let address = if let Some(record) = record.to_record::<A>()? {
            IpAddr::V4(record.data().addr())
        } else if let Some(record) = record.to_record::<Aaaa>()? {
            IpAddr::V6(record.data().addr())
        } else {
            continue;
        };
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// The order in which servers are tried (RFC 2782 §Usage): by priority, the lowest first, and among those of one priority
/// by chance, where each has a share of its weight. `random` gives a number of which all bits are random.
#[must_use]
pub fn order(mut records: Vec<SrvRecord>, random: &mut dyn FnMut() -> u64) -> Vec<SrvRecord> {
    // Those of weight 0 first, so that they are chosen as rarely as the text asks for.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let alike = records
            .iter()
            .take_while(|record| record.priority == priority);
        let total: u64 = alike.map(|record| u64::from(record.weight)).sum();
        let chosen = random() % (total + 1);
        let mut sum = 0;
        let at = records.iter().position(|record| {
            sum += u64::from(record.weight);
            sum >= chosen
        });
        // There is one, since the last sum is the total.
        ordered.push(records.remove(at.unwrap_or_default()));
    }
    ordered
}

/// Records, and the smallest TTL on the way to them.
type FoundRecords<'m, 'a> = (Vec<ParsedRecord<'m, &'a [u8]>>, Duration);

/// A message that answers a question.
struct Answer<'a> {
    message: Message<&'a [u8]>,
    question: &'a Question,
    /// Whether the resolver says that it validated the answer.
    is_validated: bool,
    /// Whether it says that the name exists.
    exists: bool,
}

impl<'a> Answer<'a> {
    fn parse(octets: &'a [u8], question: &'a Question) -> Result<Self, AnswerProblem> {
        if octets.len() > MAX_ANSWER_LEN {
            return Err(AnswerProblem::Malformed);
        }
        let message = Message::from_octets(octets).map_err(|_| AnswerProblem::Malformed)?;
        let header = message.header();
        if !header.qr() || header.id() != 0 || header.opcode().to_int() != 0 {
            return Err(AnswerProblem::OtherQuestion);
        }
        let asked = message.sole_question()?;
        let is_asked = asked.qtype() == question.kind && asked.qclass() == Class::IN;
        if !is_asked || !asked.qname().name_eq(&question.name) {
            return Err(AnswerProblem::OtherQuestion);
        }
        // With the octet of the record OPT, where there is one: BADVERS has 0 in the header.
        let exists = match message.opt_rcode() {
            OptRcode::NOERROR => true,
            OptRcode::NXDOMAIN => false,
            code => return Err(AnswerProblem::Failed(code.to_string())),
        };
        // Over HTTPS nothing is ever cut off.
        if header.tc() {
            return Err(AnswerProblem::Malformed);
        }
        Ok(Self {
            is_validated: header.ad(),
            message,
            question,
            exists,
        })
    }

    /// The records in question behind the aliases of the name, and the smallest TTL on the way; `None` without records.
    fn records(&self) -> Result<Option<FoundRecords<'_, 'a>>, AnswerProblem> {
        let (mut aliases, mut found) = (Vec::new(), Vec::new());
        for (at, record) in self.message.answer()?.enumerate() {
            let record = record?;
            if at == MAX_RECORDS {
                return Err(AnswerProblem::TooMany);
            }
            if record.class() != Class::IN {
                continue;
            }
            // Signatures come with what they sign, since the question asks for them.
            if record.rtype() == Rtype::CNAME {
                aliases.push(record);
            } else if record.rtype() == self.question.kind {
                found.push(record);
            }
        }
        // What stands in the other sections proves nothing here, but a message that breaks off does not count.
        for record in self.message.authority()? {
            record?;
        }
        let (name, mut ttl) = self.follow(aliases)?;
        if found.iter().any(|record| !record.owner().name_eq(&name)) {
            return Err(AnswerProblem::OtherName);
        }
        if found.is_empty() {
            return Ok(None);
        }
        if !self.exists {
            return Err(AnswerProblem::Malformed);
        }
        ttl = found
            .iter()
            .map(|record| record.ttl().into_duration())
            .fold(ttl, Duration::min);
        Ok(Some((found, ttl)))
    }

    /// The name that aliases lead to, and the smallest TTL of them. Each of them must be on the way.
    fn follow(
        &self,
        mut aliases: Vec<ParsedRecord<'_, &'a [u8]>>,
    ) -> Result<(Name<Vec<u8>>, Duration), AnswerProblem> {
        let (mut name, mut ttl) = (self.question.name.clone(), Duration::MAX);
        let mut met = vec![name.clone()];
        if aliases.len() > MAX_ALIASES {
            return Err(AnswerProblem::Aliases);
        }
        while !aliases.is_empty() {
            let at = aliases.iter().position(|it| it.owner().name_eq(&name));
            let alias = aliases.remove(at.ok_or(AnswerProblem::OtherName)?);
            ttl = ttl.min(alias.ttl().into_duration());
            let alias = alias.to_record::<Cname<_>>()?;
            let target = alias
                .ok_or(AnswerProblem::Malformed)?
                .into_data()
                .into_cname();
            name = target
                .try_flatten_into()
                .map_err(|_| AnswerProblem::Malformed)?;
            if met.contains(&name) {
                return Err(AnswerProblem::Aliases);
            }
            met.push(name.clone());
        }
        Ok((name, ttl))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use domain::base::MessageBuilder;
    use domain::base::iana::Rcode;
    use domain::base::record::Ttl;
    use proptest::prelude::*;

    use super::*;

    const ADDRESS: &str = "gateway.alpha.example.org";

    fn fixture(name: &str) -> Vec<u8> {
        let dns = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bindings/dns");
        std::fs::read(dns.join(name)).unwrap()
    }

    fn question() -> Question {
        Question::srv(Service::CargoRelay, &ADDRESS.parse().unwrap()).unwrap()
    }

    fn judge(octets: &[u8]) -> Result<SrvAnswer, AnswerProblem> {
        srv_answer(octets, &question())
    }

    fn name(text: &str) -> Name<Vec<u8>> {
        Name::from_str(text).unwrap()
    }

    /// A validated answer with these records: an owner, and a port and target, or else the owner that it is an alias of.
    fn answer(records: &[(&str, Option<u16>, &str)]) -> Vec<u8> {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_qr(true);
        builder.header_mut().set_ad(true);
        let mut builder = builder.question();
        builder.push((&question().name, Rtype::SRV)).unwrap();
        let mut builder = builder.answer();
        for (owner, port, target) in records {
            let (owner, ttl, target) = (name(owner), Ttl::from_secs(60), name(target));
            match port {
                Some(port) => builder.push((owner, ttl, Srv::new(1, 2, *port, target))),
                None => builder.push((owner, ttl, Cname::new(target))),
            }
            .unwrap();
        }
        builder.finish()
    }

    #[test]
    fn questions_are_those_of_deployed_software() {
        let address: InternetAddress = ADDRESS.parse().unwrap();
        for (service, query) in [
            (Service::CargoRelay, "crc.query"),
            (Service::GatewaySync, "gsc.query"),
            (Service::ParcelDelivery, "pdc.query"),
        ] {
            let question = Question::srv(service, &address).unwrap();
            assert_eq!(question.query(), fixture(query), "{query}");
        }
        let absolute = format!("{ADDRESS}.").parse().unwrap();
        assert_eq!(
            Question::srv(Service::CargoRelay, &absolute),
            Some(question())
        );
        let label = "a".repeat(60);
        let long = format!("{label}.{label}.{label}.{label}.org").parse();
        let long: InternetAddress = long.unwrap();
        assert_eq!(Question::srv(Service::CargoRelay, &long), None);
    }

    #[test]
    fn each_captured_answer_has_its_verdict() {
        let server = |target: &str, (priority, port)| SrvRecord {
            priority,
            weight: 1,
            port,
            target: format!("{target}.alpha.example.org"),
        };
        let found = |records: Vec<SrvRecord>, ttl| {
            let ttl = Duration::from_secs(ttl);
            Ok(SrvAnswer::Records { records, ttl })
        };
        let first = server("cogrpc", (0, 8443));
        let expected = [
            ("good", found(vec![first.clone()], 300)),
            // The alias has the smaller TTL.
            ("cname", found(vec![first.clone()], 1)),
            ("no-ad", Err(AnswerProblem::NotValidated)),
            ("nxdomain", Ok(SrvAnswer::Absent)),
            ("nxdomain-no-ad", Err(AnswerProblem::NotValidated)),
            (
                "servfail",
                Err(AnswerProblem::Failed("SERVFAIL".to_owned())),
            ),
            ("empty", Ok(SrvAnswer::Absent)),
            ("port-0", Err(AnswerProblem::NoServer)),
            ("truncated", Err(AnswerProblem::Malformed)),
            ("target-root", Ok(SrvAnswer::Absent)),
            ("other-name", Err(AnswerProblem::OtherName)),
        ];
        for (name, expected) in expected {
            let verdict = judge(&fixture(&format!("{name}.response")));
            assert_eq!(verdict, expected, "{name}");
        }
        let Ok(SrvAnswer::Records { records, .. }) = judge(&fixture("priorities.response")) else {
            panic!("no records");
        };
        let ordered = order(records, &mut || 0);
        let shown: Vec<String> = ordered
            .iter()
            .map(|record| format!("{}:{}", record.target, record.port))
            .collect();
        let (first, second) = (
            "cogrpc.alpha.example.org:8443",
            "backup.alpha.example.org:443",
        );
        assert_eq!(shown, [first, second]);
    }

    #[test]
    fn an_answer_is_to_this_question_alone() {
        let good = fixture("good.response");
        for (service, address) in [
            (Service::GatewaySync, ADDRESS),
            (Service::CargoRelay, "gateway.beta.example.org"),
        ] {
            let other = Question::srv(service, &address.parse().unwrap()).unwrap();
            assert_eq!(srv_answer(&good, &other), Err(AnswerProblem::OtherQuestion));
        }
        let query = fixture("crc.query");
        assert_eq!(judge(&query), Err(AnswerProblem::OtherQuestion));
        let mut other_id = good.clone();
        other_id[1] = 1;
        assert_eq!(judge(&other_id), Err(AnswerProblem::OtherQuestion));
        // Letters of either case are one name.
        let mut upper = good.clone();
        upper[13..23].make_ascii_uppercase();
        assert!(judge(&upper).is_ok());
        let addresses = Question::addresses("a.example.org", Family::V4).unwrap();
        assert_eq!(
            address_answer(&good, &addresses),
            Err(AnswerProblem::OtherQuestion)
        );
    }

    #[test]
    fn aliases_are_followed_and_circles_refused() {
        let owner = question().name.to_string();
        let srv = |owner| (owner, Some(1), "host.example.org");
        let chain: Vec<String> = (0..10).map(|at| format!("x{at}.example.org")).collect();
        let mut names = vec![owner.as_str()];
        names.extend(chain.iter().map(String::as_str));
        for len in [1, 8, 9] {
            let mut records: Vec<_> = names
                .windows(2)
                .take(len)
                .map(|it| (it[0], None, it[1]))
                .collect();
            records.push(srv(names[len]));
            // In any order.
            records.reverse();
            let verdict = judge(&answer(&records));
            if len <= MAX_ALIASES {
                assert!(matches!(verdict, Ok(SrvAnswer::Records { .. })), "{len}");
            } else {
                assert_eq!(verdict, Err(AnswerProblem::Aliases));
            }
        }
        let (x, y) = ("x.example.org", "y.example.org");
        let to_itself = answer(&[(&owner, None, &owner)]);
        assert_eq!(judge(&to_itself), Err(AnswerProblem::Aliases));
        let circle = answer(&[(&owner, None, x), (x, None, y), (y, None, &owner)]);
        assert_eq!(judge(&circle), Err(AnswerProblem::Aliases));
        let fork = answer(&[(&owner, None, x), (&owner, None, y), srv(x)]);
        assert_eq!(judge(&fork), Err(AnswerProblem::OtherName));
        let beside = answer(&[srv(&owner), (x, None, y)]);
        assert_eq!(judge(&beside), Err(AnswerProblem::OtherName));
        let left = answer(&[(&owner, None, x), srv(&owner)]);
        assert_eq!(judge(&left), Err(AnswerProblem::OtherName));
    }

    #[test]
    fn targets_are_domain_names() {
        let owner = question().name.to_string();
        for target in [
            "10.0.0.1",
            "localhost",
            "-a.example.org",
            "a\\032b.example.org",
            "a\\.b.org",
        ] {
            let verdict = judge(&answer(&[(&owner, Some(1), target)]));
            assert_eq!(verdict, Err(AnswerProblem::NoServer), "{target}");
        }
        let many = vec![(owner.as_str(), Some(1), "host.example.org"); MAX_RECORDS + 1];
        assert_eq!(judge(&answer(&many)), Err(AnswerProblem::TooMany));
        assert!(judge(&answer(&many[1..])).is_ok());
        // One of several says nothing about the others.
        let one = [
            (owner.as_str(), Some(1), "."),
            (&owner, Some(7), "Host.example.org"),
        ];
        let Ok(SrvAnswer::Records { records, .. }) = judge(&answer(&one)) else {
            panic!("no records");
        };
        let [record] = &records[..] else {
            panic!("{records:?}");
        };
        assert_eq!(
            (record.target.as_str(), record.port),
            ("host.example.org", 7)
        );
    }

    #[test]
    fn addresses_need_no_proof() {
        let question = Question::addresses("Host.example.org", Family::V4).unwrap();
        let owner = name("host.example.org");
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_qr(true);
        let mut builder = builder.question();
        builder.push((&owner, Rtype::A)).unwrap();
        let mut builder = builder.answer();
        let (ttl, target) = (Ttl::from_secs(1), name("b.example.org"));
        builder.push((&owner, ttl, Cname::new(&target))).unwrap();
        for last in [1, 2, 1] {
            let address = A::from_octets(192, 0, 2, last);
            builder.push((&target, ttl, address)).unwrap();
        }
        let mut octets = builder.finish();
        let expected: Vec<IpAddr> =
            vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
        assert_eq!(address_answer(&octets, &question), Ok(expected));
        let v6 = Question::addresses("host.example.org", Family::V6).unwrap();
        assert_eq!(
            address_answer(&octets, &v6),
            Err(AnswerProblem::OtherQuestion)
        );
        octets[3] |= u8::from(Rcode::REFUSED);
        let refused = Err(AnswerProblem::Failed("REFUSED".to_owned()));
        assert_eq!(address_answer(&octets, &question), refused);
    }

    #[test]
    fn servers_of_one_priority_share_by_weight() {
        let record = |priority, weight, port| SrvRecord {
            priority,
            weight,
            port,
            target: "a.example.org".to_owned(),
        };
        let records = [
            record(2, 9, 1),
            record(1, 3, 2),
            record(1, 0, 3),
            record(1, 1, 4),
        ];
        let ports = |random: &[u64]| {
            let mut random = random.iter().copied();
            let ordered = order(records.to_vec(), &mut || random.next().unwrap());
            ordered.iter().map(|record| record.port).collect::<Vec<_>>()
        };
        // The running sums are 0, 1 and 4.
        assert_eq!(ports(&[0, 0, 0, 0]), [3, 4, 2, 1]);
        assert_eq!(ports(&[1, 0, 0, 0]), [4, 3, 2, 1]);
        assert_eq!(ports(&[2, 1, 0, 0]), [2, 4, 3, 1]);
        assert_eq!(ports(&[4, 0, 0, 0]), [2, 3, 4, 1]);
        assert_eq!(ports(&[u64::MAX, u64::MAX, 0, 5]).len(), 4);
        assert_eq!(order(Vec::new(), &mut || panic!()), []);
    }

    proptest! {
        #[test]
        fn hostile_answers_are_refused(
            which in 0..11_usize,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            cut in any::<Option<prop::sample::Index>>(),
            more in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let names = ["good", "cname", "priorities", "no-ad", "nxdomain", "servfail", "empty", "port-0",
                "target-root", "other-name", "truncated"];
            let mut octets = fixture(&format!("{}.response", names[which]));
            for (at, octet) in changes {
                let at = at.index(octets.len());
                octets[at] = octet;
            }
            if let Some(cut) = cut {
                octets.truncate(cut.index(octets.len()));
            }
            octets.extend(more);
            acceptable(&octets)?;
        }

        #[test]
        fn random_octets_are_refused(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let question = question().query();
            acceptable(&octets)?;
            // With a head and question that fit, so that records are read.
            let mut octets = [&[0, 0, 0x81, 0xa0, 0, 1, 0, 9, 0, 3, 0, 3], &question[12..59], &octets].concat();
            acceptable(&octets)?;
            octets.splice(40.., question[40..59].iter().copied());
            acceptable(&octets)?;
        }
    }

    /// Whatever is accepted is something to connect to.
    fn acceptable(octets: &[u8]) -> Result<(), TestCaseError> {
        for family in [Family::V4, Family::V6] {
            let mut question = Question::addresses("a.example.org", family).unwrap();
            let _ = address_answer(octets, &question);
            question.name = self::question().name;
            let _ = address_answer(octets, &question);
        }
        let Ok(SrvAnswer::Records { records, .. }) = judge(octets) else {
            return Ok(());
        };
        prop_assert!(!records.is_empty() && records.len() <= MAX_RECORDS);
        for record in &records {
            prop_assert!(record.port > 0 && record.target.parse::<InternetAddress>().is_ok());
        }
        let count = records.len();
        prop_assert_eq!(order(records, &mut || 7).len(), count);
        Ok(())
    }
}
