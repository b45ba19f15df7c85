//! Successor notices: a node that must change its key names the node that takes its place.
//!
//! ```text
//! SuccessorNotice ::= SEQUENCE {
//!   statement    [0] SuccessorStatement,
//!   oldSignature [1] OCTET STRING,
//!   newSignature [2] OCTET STRING }
//!
//! SuccessorStatement ::= SEQUENCE {
//!   version    [0] INTEGER (0),
//!   old        [1] SubjectPublicKeyInfo,
//!   new        [2] SubjectPublicKeyInfo,
//!   peer       [3] VisibleString,                 -- the id of the node that is told
//!   date       [4] VisibleString,                 -- YYYYMMDDHHMMSS, UTC
//!   parameters [5] PrivateEndpointConnParams OPTIONAL }
//! ```
//!
//! No specification has such a notice. Tags are implicit, the encoding is DER, and further fields of
//! either structure are ignored. Both keys sign the same octets with RSA-PSS, SHA-256 and a salt of 32
//! octets: [`SIGNED_PREFIX`], then the statement under the tag of a SEQUENCE. Everything else that these keys
//! sign begins with a tag of ASN.1, so no signature of one serves as that of the other. The parameters,
//! if there are any, are those of the new node, with an authorization for the peer.

use jiff::Timestamp;

use super::{Error, PrivateEndpointConnectionParams, malformed};
use crate::asn1::{self, Element, date_time, tag, visible_string, write};
use crate::crypto::hash::Digest;
use crate::pki::{IdentityKey, NodeId, PublicKey};
use crate::ramf::fields;

/// The media type under which a notice goes to a peer in a parcel.
pub const SUCCESSOR_TYPE: &str = "application/vnd.relaynet.successor";

/// What both signatures cover before the statement.
pub const SIGNED_PREFIX: &[u8] = b"Awala successor notice\0";

/// Maximum length of a notice, in octets. One with a path through two gateways has about 5 KiB.
pub const MAX_LEN: usize = 24 * 1024;

/// The name of the structure in errors.
const NOTICE: &str = "successor notice";

/// The version of the statement.
const VERSION: u8 = 0;

/// What both keys sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuccessorStatement {
    /// The key of the node that is succeeded.
    pub old: PublicKey,
    /// The key of its successor.
    pub new: PublicKey,
    /// The node that is told.
    pub peer: NodeId,
    /// When the statement was made, in whole seconds.
    pub date: Timestamp,
    /// How the peer reaches the successor, with an authorization for the peer.
    pub params: Option<PrivateEndpointConnectionParams>,
}

impl SuccessorStatement {
    /// Signs the statement with both keys, whatever it says. Returns the notice in DER.
    ///
    /// # Errors
    /// When the notice would be too long, or the system's random number generator fails.
    pub fn sign(&self, old: &IdentityKey, new: &IdentityKey) -> Result<Vec<u8>, Error> {
        let statement = self.to_der();
        let signed = [SIGNED_PREFIX, &statement].concat();
        let octets = write::constructed(
            tag::SEQUENCE,
            &[
                &write::retagged(0xa0, &statement),
                &write::tlv(0x81, &old.sign(&signed)?),
                &write::tlv(0x82, &new.sign(&signed)?),
            ],
        );
        fields::check_len(NOTICE, octets.len(), MAX_LEN)?;
        Ok(octets)
    }

    fn to_der(&self) -> Vec<u8> {
        let params = self.params.as_ref();
        let params = params.map(|params| write::retagged(0xa5, &params.to_der()));
        write::constructed(
            tag::SEQUENCE,
            &[
                &write::tlv(0x80, &[VERSION]),
                &write::retagged(0xa1, self.old.spki()),
                &write::retagged(0xa2, self.new.spki()),
                &write::tlv(0x83, self.peer.to_string().as_bytes()),
                &write::tlv(0x84, date_time::to_ramf(self.date).as_bytes()),
                &params.unwrap_or_default(),
            ],
        )
    }

    fn parse(element: &Element<'_>) -> Result<Self, Error> {
        let wrong = malformed(NOTICE);
        let mut fields = element.der_children();
        let version = fields.take(0x80).map_err(wrong)?;
        if version.content() != [VERSION] {
            return Err(wrong(asn1::Error::Unsupported("version")));
        }
        // The implicit tag is replaced, since ids are hashes of the key under its own tag.
        let mut key = |tag| -> Result<PublicKey, Error> {
            let key = fields.take(tag).map_err(wrong)?;
            Ok(PublicKey::parse(&write::retagged(
                tag::SEQUENCE,
                key.whole(),
            ))?)
        };
        let (old, new) = (key(0xa1)?, key(0xa2)?);
        let peer = fields.take(0x83).map_err(wrong)?;
        let peer = visible_string::parse(peer.content()).map_err(wrong)?;
        let date = fields.take(0x84).map_err(wrong)?;
        let params = match fields.optional(0xa5).map_err(wrong)? {
            Some(params) => {
                let params = write::retagged(tag::SEQUENCE, params.whole());
                Some(PrivateEndpointConnectionParams::parse(&params)?)
            }
            None => None,
        };
        // They vouch for this key alone.
        if params.as_ref().is_some_and(|params| params.identity != new) {
            return Err(wrong(asn1::Error::Value("parameters of another node")));
        }
        Ok(Self {
            old,
            new,
            peer: peer.parse()?,
            date: date_time::parse_ramf(date.content()).map_err(wrong)?,
            params,
        })
    }
}

/// A parsed notice, whose signatures are not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuccessorNotice {
    statement: SuccessorStatement,
    octets: Vec<u8>,
    signed: Vec<u8>,
    signatures: [Vec<u8>; 2],
}

impl SuccessorNotice {
    /// Parses all of `octets` as one notice in DER.
    ///
    /// # Errors
    /// When it is malformed, too long, or of another version.
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        let wrong = malformed(NOTICE);
        fields::check_len(NOTICE, octets.len(), MAX_LEN)?;
        let notice = Element::der(octets, tag::SEQUENCE).map_err(wrong)?;
        let mut fields = notice.children();
        let statement = fields.take(0xa0).map_err(wrong)?;
        let signatures = [0x81, 0x82].map(|tag| Ok(fields.take(tag)?.content().to_vec()));
        let [by_old, by_new] = signatures;
        Ok(Self {
            statement: SuccessorStatement::parse(&statement)?,
            octets: octets.to_vec(),
            // As received: fields that are not known here are signed, too.
            signed: [
                SIGNED_PREFIX,
                &write::retagged(tag::SEQUENCE, statement.whole()),
            ]
            .concat(),
            signatures: [by_old.map_err(wrong)?, by_new.map_err(wrong)?],
        })
    }

    /// The notice as received.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// What it says, if nobody has to prove it.
    #[must_use]
    pub fn unverified(&self) -> &SuccessorStatement {
        &self.statement
    }

    /// What both keys signed.
    ///
    /// # Errors
    /// [`Error::Signature`] when either did not.
    pub fn verify(&self) -> Result<&SuccessorStatement, Error> {
        let statement = &self.statement;
        for (key, signature) in [&statement.old, &statement.new]
            .into_iter()
            .zip(&self.signatures)
        {
            key.verify(Digest::Sha256, &self.signed, signature)
                .map_err(|_| Error::Signature(NOTICE))?;
        }
        Ok(statement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asn1::pem;

    fn key(name: &str) -> IdentityKey {
        let dir = env!("CARGO_MANIFEST_DIR");
        let path = format!("{dir}/tests/interop/alpha/nodes/{name}/identity.key.pem");
        let text = std::fs::read(path).unwrap();
        IdentityKey::from_pkcs8(&pem::private_key(&text).unwrap().0).unwrap()
    }

    fn statement(old: &IdentityKey, new: &IdentityKey) -> SuccessorStatement {
        SuccessorStatement {
            old: old.public().clone(),
            new: new.public().clone(),
            peer: NodeId::of_digest([7; 32]),
            date: "2026-11-30T12:00:00Z".parse().unwrap(),
            params: None,
        }
    }

    #[test]
    fn what_both_signed_is_read_back() {
        let (old, new) = (key("endpoint-a"), key("endpoint-b"));
        let said = statement(&old, &new);
        let octets = said.sign(&old, &new).unwrap();
        let notice = SuccessorNotice::parse(&octets).unwrap();
        assert_eq!(notice.verify().unwrap(), &said);
        assert_eq!(notice.octets(), octets);
    }

    #[test]
    fn one_key_alone_names_no_successor() {
        let (old, new) = (key("endpoint-a"), key("endpoint-b"));
        let said = statement(&old, &new);
        for (first, second) in [(&old, &old), (&new, &new), (&new, &old)] {
            let octets = said.sign(first, second).unwrap();
            let notice = SuccessorNotice::parse(&octets).unwrap();
            assert!(matches!(notice.verify(), Err(Error::Signature(_))));
        }
        // Nor a signature without the prefix, over the statement or anything else.
        let mut notice = SuccessorNotice::parse(&said.sign(&old, &new).unwrap()).unwrap();
        notice.signatures = [&old, &new].map(|key| key.sign(&said.to_der()).unwrap());
        assert!(notice.verify().is_err());
    }

    #[test]
    fn a_changed_octet_is_noticed() {
        let (old, new) = (key("endpoint-a"), key("endpoint-b"));
        let octets = statement(&old, &new).sign(&old, &new).unwrap();
        for at in (0..octets.len()).step_by(7) {
            let mut changed = octets.clone();
            changed[at] ^= 1;
            let verified = SuccessorNotice::parse(&changed).map(|it| it.verify().map(|_| ()));
            assert!(!matches!(verified, Ok(Ok(()))), "octet {at}");
        }
        for len in (0..octets.len()).step_by(11) {
            assert!(SuccessorNotice::parse(&octets[..len]).is_err(), "{len}");
        }
        let longer = [&octets[..], b"\0"].concat();
        assert!(SuccessorNotice::parse(&longer).is_err());
    }

    #[test]
    fn unknown_fields_are_signed_and_ignored_and_other_versions_refused() {
        let (old, new) = (key("endpoint-a"), key("endpoint-b"));
        let said = statement(&old, &new);
        let with = |version: u8, more: &[u8]| {
            let der = said.to_der();
            let element = Element::der(&der, tag::SEQUENCE).unwrap();
            let content = element.content();
            let rest = &content[3..];
            let version = write::tlv(0x80, &[version]);
            let statement = write::constructed(tag::SEQUENCE, &[&version, rest, more]);
            let signed = [SIGNED_PREFIX, &statement].concat();
            write::constructed(
                tag::SEQUENCE,
                &[
                    &write::retagged(0xa0, &statement),
                    &write::tlv(0x81, &old.sign(&signed).unwrap()),
                    &write::tlv(0x82, &new.sign(&signed).unwrap()),
                ],
            )
        };
        let notice = SuccessorNotice::parse(&with(0, &write::tlv(0x86, b"later"))).unwrap();
        assert_eq!(notice.verify().unwrap(), &said);
        assert!(SuccessorNotice::parse(&with(1, &[])).is_err());
    }
}
