//! DNS messages (RFC 1035 §4), as far as a resolver of the tests needs them: names are never compressed.

use std::net::IpAddr;

/// Types of records.
pub(crate) const A: u16 = 1;
/// An alias.
pub(crate) const CNAME: u16 = 5;
/// IPv6 address.
pub(crate) const AAAA: u16 = 28;
/// Where a service is (RFC 2782).
pub(crate) const SRV: u16 = 33;

/// Response codes.
pub(crate) const SERVFAIL: u8 = 2;
/// There is no such name.
pub(crate) const NXDOMAIN: u8 = 3;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    /// The id of the message.
    pub(crate) id: u16,
    /// The name, in lower case, without a dot at its end.
    pub(crate) name: String,
    /// The type of record.
    pub(crate) kind: u16,
    /// Whether the client wants to know that the answer is validated: AD, or DO in EDNS.
    pub(crate) wants_validation: bool,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its owner.
    pub(crate) name: String,
    /// Seconds for which it may be kept.
    pub(crate) ttl: u32,
    /// What it says.
    pub(crate) data: Data,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// An alias of this name.
    Alias(String),
    /// Where a service is.
    Service {
        /// The lower, the sooner.
        priority: u16,
        /// Its share among those of the same priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The name of the server; empty for the root, which says that there is none.
        target: String,
    },
}

impl Data {
    /// The type of record.
    pub(crate) fn kind(&self) -> u16 {
        match self {
            Self::Address(IpAddr::V4(_)) => A,
            Self::Address(IpAddr::V6(_)) => AAAA,
            Self::Alias(_) => CNAME,
            Self::Service { .. } => SRV,
        }
    }

    fn octets(&self) -> Vec<u8> {
        match self {
            Self::Address(IpAddr::V4(address)) => address.octets().to_vec(),
            Self::Address(IpAddr::V6(address)) => address.octets().to_vec(),
            Self::Alias(name) => name_octets(name),
            Self::Service {
                priority,
                weight,
                port,
                target,
            } => {
                let mut octets = Vec::new();
                for field in [priority, weight, port] {
                    octets.extend(field.to_be_bytes());
                }
                octets.extend(name_octets(target));
                octets
            }
        }
    }
}

/// An answer to a question.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    /// The response code.
    pub(crate) code: u8,
    /// Whether the resolver validated it (AD).
    pub(crate) is_validated: bool,
    /// Whether it was cut (TC).
    pub(crate) is_truncated: bool,
    /// The records of the answer.
    pub(crate) records: Vec<Record>,
}

impl Question {
    /// Reads a query with one question.
    pub(crate) fn parse(octets: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u16::from_be_bytes([*octets.get(at)?, *octets.get(at + 1)?]));
        let (flags, questions, additional) = (word(2)?, word(4)?, word(10)?);
        if flags & 0xf800 != 0 || questions != 1 {
            return None;
        }
        let mut at = 12;
        let mut labels = Vec::new();
        loop {
            let length = usize::from(*octets.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            let label = octets.get(at..at + length)?;
            labels.push(String::from_utf8(label.to_ascii_lowercase()).ok()?);
            at += length;
        }
        let kind = word(at)?;
        // OPT: root, type 41, size, then the extended code and version, then flags with DO first.
        let has_do = additional == 1 && word(at + 5) == Some(41) && word(at + 11)? & 0x8000 != 0;
        Some(Self {
            id: word(0)?,
            name: labels.join("."),
            kind,
            wants_validation: flags & 0x20 != 0 || has_do,
        })
    }

    /// Encodes an answer to it.
    pub(crate) fn answer(&self, response: &Response) -> Vec<u8> {
        let mut flags = 0x8180 | u16::from(response.code);
        flags |= if response.is_validated { 0x20 } else { 0 };
        flags |= if response.is_truncated { 0x200 } else { 0 };
        let count = u16::try_from(response.records.len()).unwrap();
        let mut octets = Vec::new();
        for field in [self.id, flags, 1, count, 0, 0] {
            octets.extend(field.to_be_bytes());
        }
        octets.extend(name_octets(&self.name));
        octets.extend(self.kind.to_be_bytes());
        octets.extend(1_u16.to_be_bytes());
        for record in &response.records {
            let data = record.data.octets();
            octets.extend(name_octets(&record.name));
            octets.extend(record.data.kind().to_be_bytes());
            octets.extend(1_u16.to_be_bytes());
            octets.extend(record.ttl.to_be_bytes());
            octets.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            octets.extend(data);
        }
        octets
    }
}

fn name_octets(name: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        octets.push(u8::try_from(label.len()).unwrap());
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets
}
