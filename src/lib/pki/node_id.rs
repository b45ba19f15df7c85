//! The name of a node: a digest of its identity key (RS-002).

use std::fmt;
use std::str::FromStr;

use super::Error;
use crate::asn1::{Hex, hex};
use crate::crypto::hash;

/// A node id: `0`, then SHA-256 of the DER SubjectPublicKeyInfo in lower-case hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 32]);

impl NodeId {
    /// The length of an id, in characters.
    pub const LEN: usize = 65;

    /// The id of the key with this DER SubjectPublicKeyInfo, as received: another encoding gives
    /// another id.
    #[must_use]
    pub fn of_spki(spki: &[u8]) -> Self {
        Self(hash::sha256(spki))
    }

    /// The id of the key with this digest.
    #[must_use]
    pub fn of_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest of the key, which is also its identifier in certificates.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 32 digits after the leading 0, in eight groups of four, to compare by telephone.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::groups(&self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "0{}", Hex(&self.0))
    }
}

impl FromStr for NodeId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // Lower case only: deployed readers refuse upper case in ids.
        let octets = text.strip_prefix('0').map(str::as_bytes);
        let octets = octets.and_then(hex::octets);
        octets.map(Self).ok_or(Error::NodeId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "07676987e02983a0f68e49430747f43995e0fd18961130a3aad88b7e67b4ef549";

    #[test]
    fn an_id_is_a_zero_and_lower_case_digits() {
        assert_eq!(ID.parse::<NodeId>().unwrap().to_string(), ID);
        for bad in [
            "",
            "0",
            &ID[1..],
            &ID.to_uppercase(),
            &ID.replacen('0', "1", 1),
            &format!("{ID}0"),
            &ID.replace('f', "g"),
        ] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fingerprint_has_eight_groups_of_four() {
        let id: NodeId = ID.parse().unwrap();
        assert_eq!(id.fingerprint(), "7676 987e 0298 3a0f 68e4 9430 747f 4399");
    }
}
