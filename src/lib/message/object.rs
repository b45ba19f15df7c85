//! Recognises an object of this network from its octets, in any form.
//!
//! Messages begin with a format signature. Everything else is DER, recognised by the tags of its
//! fields, and by the content of a field where two structures have the same tags.

use super::certification_path::CertificationPath;
use super::connection_params::{NodeConnectionParams, PrivateEndpointConnectionParams};
use super::registration::{Registration, RegistrationAuthorization, RegistrationRequest};
use super::{
    CargoMessageSet, CollectionRequest, Error, Item, ServiceMessage, SuccessorNotice, malformed,
    scanned,
};
use crate::asn1::{self, Element, pem, spki, tag, text, visible_string};
use crate::cms::SignedData;
use crate::crypto::hash;
use crate::pki::{Certificate, IdentityKey, NodeId, PublicKey};
use crate::ramf::{InternetAddress, SignedMessage, format_signature};
use crate::session::{KeyId, PrivateSessionKey, PublicSessionKey};

/// Length of the nonce of a handshake, in octets.
const NONCE_LEN: usize = 16;

/// An object of this network.
pub enum Object {
    /// A message with a format signature.
    Message(Box<Item>),
    /// A certificate, with those of its issuers where it came as a path in PEM.
    Certificates(Vec<Certificate>),
    /// A certification path as one structure.
    Path(CertificationPath),
    /// A public identity key.
    IdentityKey(PublicKey),
    /// A public session key; its id, if it came with one.
    SessionKey(PublicSessionKey, Option<KeyId>),
    /// A private identity key.
    PrivateIdentityKey(PublicKey),
    /// A private session key; its id, if it came with one.
    PrivateSessionKey(PublicSessionKey, Option<KeyId>),
    /// Connection parameters of a node with an Internet address.
    NodeConnectionParams(NodeConnectionParams),
    /// Connection parameters of a private endpoint.
    PrivateEndpointConnectionParams(Box<PrivateEndpointConnectionParams>),
    /// A registration.
    Registration(Box<Registration>),
    /// A node names its successor.
    SuccessorNotice(Box<SuccessorNotice>),
    /// A gateway's promise to register a node.
    RegistrationAuthorization(RegistrationAuthorization),
    /// A node's request to be registered.
    RegistrationRequest(RegistrationRequest),
    /// The challenge of a parcel collection handshake: its nonce.
    Challenge(Vec<u8>),
    /// The answer to a challenge: its signatures.
    Response(Vec<Vec<u8>>),
    /// A parcel on its way between an endpoint and its gateway.
    ParcelDelivery {
        /// The id by which the delivery is acknowledged.
        id: String,
        /// The parcel.
        parcel: Vec<u8>,
    },
    /// A detached signature: the certificate of its signer.
    Signature(Box<Certificate>),
    /// An unsealed service message.
    ServiceMessage(ServiceMessage),
    /// The unsealed content of cargo: its messages.
    CargoMessageSet(CargoMessageSet),
    /// The unsealed content of a CCA: its cargo delivery authorization.
    CargoCollectionRequest(Box<CollectionRequest>),
}

/// Text that is no PEM.
fn not_pem(cause: asn1::Error) -> Error {
    match cause {
        asn1::Error::Utf16 => Error::Malformed {
            what: "object",
            cause,
        },
        _ => Error::Pem,
    }
}

/// The objects, in binary, of a text that holds several of them; `None` for any other input, such as a path
/// of certificates, which is one object.
#[must_use]
pub fn several(octets: &[u8]) -> Option<Vec<Vec<u8>>> {
    if octets.first() == Some(&tag::SEQUENCE) || !pem::is_pem(octets) {
        return None;
    }
    // The general decoder keeps copies that are not wiped.
    if text::read(octets).ok()?.contains("PRIVATE KEY-----") {
        return None;
    }
    let blocks = pem::blocks(octets).ok()?;
    if blocks.len() < 2 || blocks.iter().any(|block| block.label == pem::CERTIFICATE) {
        return None;
    }
    Some(blocks.into_iter().map(|block| block.contents).collect())
}

impl Object {
    /// Parses all of `octets` as one object, in binary or PEM; a public key also as the text of a code. The octets of a
    /// message are copied.
    ///
    /// # Errors
    /// When it is malformed, or not an object of this network.
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        if octets.starts_with(format_signature::MAGIC) {
            return Ok(Self::Message(Box::new(Item::parse(octets.to_vec())?)));
        }
        if octets.first() != Some(&tag::SEQUENCE) && pem::is_pem(octets) {
            return Self::from_pem(octets);
        }
        if octets.first() == Some(&tag::SEQUENCE) {
            return Self::from_der(octets);
        }
        if let Some(key) = scanned::key(octets) {
            return Ok(Self::IdentityKey(key?));
        }
        if scanned::digest_digits(octets).is_some() {
            return Err(Error::LoneDigest);
        }
        // The former format and unknown versions have errors of their own.
        Err(match crate::ramf::Kind::read(octets) {
            Err(crate::ramf::Error::NotRamf) | Ok(_) => Error::Unknown,
            Err(former) => former.into(),
        })
    }

    /// Like [`Object::parse`] without a copy: a message keeps its octets.
    ///
    /// # Errors
    /// As [`Object::parse`].
    pub fn parse_owned(octets: Vec<u8>) -> Result<Self, Error> {
        if octets.starts_with(format_signature::MAGIC) {
            Ok(Self::Message(Box::new(Item::parse(octets)?)))
        } else {
            Self::parse(&octets)
        }
    }

    fn from_pem(octets: &[u8]) -> Result<Self, Error> {
        let text = text::read(octets).map_err(not_pem)?;
        // Before the general decoder, which keeps copies that are not wiped.
        if text.contains("PRIVATE KEY-----") {
            let (key, preamble) = pem::private_key(octets).map_err(malformed("private key"))?;
            return Self::private_key(&key, key_id_line(&preamble)?);
        }
        let blocks = pem::blocks(octets).map_err(not_pem)?;
        let certificates: Vec<_> = blocks
            .iter()
            .filter(|block| block.label == pem::CERTIFICATE)
            .collect();
        if !certificates.is_empty() {
            let parsed: Result<_, _> = certificates
                .iter()
                .map(|block| Certificate::parse(&block.contents))
                .collect();
            return Ok(Self::Certificates(parsed?));
        }
        match &blocks[..] {
            [block] => match Self::parse(&block.contents)? {
                Self::SessionKey(key, _) => {
                    let id = key_id_line(block.preamble)?;
                    let key = match &id {
                        Some(id) => PublicSessionKey::from_spki(id.clone(), &block.contents)?,
                        None => key,
                    };
                    Ok(Self::SessionKey(key, id))
                }
                object => Ok(object),
            },
            _ => Err(Error::Pem),
        }
    }

    fn from_der(octets: &[u8]) -> Result<Self, Error> {
        let wrong = malformed("object");
        let element = match Element::der(octets, tag::SEQUENCE) {
            Ok(element) => element,
            // Only detached signatures are in BER; everything else is DER.
            Err(asn1::Error::Indefinite | asn1::Error::Length) => {
                return Self::from_content_info(octets);
            }
            Err(cause) => return Err(wrong(cause)),
        };
        let mut fields = element.children();
        let mut tags = Vec::new();
        // The first tags decide, and a message set may have 100 000.
        while tags.len() < 5 {
            match fields.any() {
                Ok(Some(field)) => tags.push(field.tag()),
                Ok(None) => break,
                Err(asn1::Error::Indefinite | asn1::Error::Length) => {
                    return Self::from_content_info(octets);
                }
                Err(cause) => return Err(wrong(cause)),
            }
        }
        match tags[..] {
            // TBSCertificate, algorithm, signature; a SubjectPublicKeyInfo has no first of these.
            [0x30, 0x30, 0x03] => Ok(Self::Certificates(vec![Certificate::parse(octets)?])),
            [0x30, 0x03] => Self::public_key(octets, &element),
            // A version, then the algorithm of PKCS#8 or the number of SEC 1.
            [0x02, 0x30 | 0x04, ..] => Self::private_key(octets, None),
            [0x06, 0xa0] => Self::from_content_info(octets),
            [0x80, 0x81, 0xa2, ..] => Ok(Self::NodeConnectionParams(NodeConnectionParams::parse(
                octets,
            )?)),
            [0xa0, 0x81, 0xa2, 0xa3, ..] => Ok(Self::PrivateEndpointConnectionParams(Box::new(
                PrivateEndpointConnectionParams::parse(octets)?,
            ))),
            [0xa0, 0x81, 0x82, ..] => Ok(Self::SuccessorNotice(Box::new(SuccessorNotice::parse(
                octets,
            )?))),
            [0x80, 0x81, 0x82, 0xa3, ..] => {
                Ok(Self::Registration(Box::new(Registration::parse(octets)?)))
            }
            [0x80, 0x81, 0x82, ..] => Self::from_three_strings(octets, &element),
            [0x80 | 0xa0, 0xa1, ..] => Ok(Self::Path(CertificationPath::parse(&element)?.0)),
            [0x80, 0x81, ..] => Self::from_two_strings(octets, &element),
            [0x80] => Self::from_string(&element),
            [0xa0] => Self::response(&element),
            // A message set may be empty; no other structure is.
            [] | [0x04, ..] => Ok(Self::CargoMessageSet(CargoMessageSet::parse(
                octets.to_vec(),
            )?)),
            _ => Err(Error::Unknown),
        }
    }

    fn public_key(octets: &[u8], element: &Element<'_>) -> Result<Self, Error> {
        match spki::parse(element).map_err(malformed("public key"))? {
            spki::SpkiKey::Rsa(_) => Ok(Self::IdentityKey(PublicKey::parse(octets)?)),
            spki::SpkiKey::Ec { .. } => Ok(Self::SessionKey(
                // A placeholder, until a `Key-Id:` line above the block gives the id.
                PublicSessionKey::from_spki(KeyId::new(&[0])?, octets)?,
                None,
            )),
        }
    }

    fn private_key(pkcs8: &[u8], id: Option<KeyId>) -> Result<Self, Error> {
        let session_id = match &id {
            Some(id) => id.clone(),
            None => KeyId::new(&[0])?,
        };
        match (
            IdentityKey::from_pkcs8(pkcs8),
            PrivateSessionKey::from_pkcs8(session_id, pkcs8),
        ) {
            (Ok(key), _) => Ok(Self::PrivateIdentityKey(key.public().clone())),
            (_, Ok(key)) => Ok(Self::PrivateSessionKey(key.public().clone(), id)),
            (Err(error), Err(_)) => Err(error.into()),
        }
    }

    fn from_content_info(octets: &[u8]) -> Result<Self, Error> {
        let signature = SignedData::parse(octets).map_err(crate::ramf::Error::Cms)?;
        if signature.content().is_some() {
            return Err(Error::Unknown);
        }
        let (_, signer, _, _) = signature.into_parts();
        Ok(Self::Signature(Box::new(signer)))
    }

    /// A registration, a registration request, or a registration authorization, by the first field:
    /// a certificate, a key, or a date.
    fn from_three_strings(octets: &[u8], element: &Element<'_>) -> Result<Self, Error> {
        let first = element
            .children()
            .take(0x80)
            .map_err(malformed("object"))?
            .content();
        if PublicKey::parse(first).is_ok() {
            Ok(Self::RegistrationRequest(RegistrationRequest::parse(
                octets,
            )?))
        } else if first.first() == Some(&tag::SEQUENCE) {
            Ok(Self::Registration(Box::new(Registration::parse(octets)?)))
        } else {
            Ok(Self::RegistrationAuthorization(
                RegistrationAuthorization::parse(octets)?,
            ))
        }
    }

    /// A service message or a parcel delivery. They are told apart by the slash of a media type,
    /// and by the format signature of a parcel.
    fn from_two_strings(octets: &[u8], element: &Element<'_>) -> Result<Self, Error> {
        let wrong = malformed("parcel delivery");
        let mut fields = element.children();
        let id = fields.take(0x80).map_err(wrong)?;
        let id = visible_string::parse(id.content()).map_err(wrong)?;
        let content = fields.take(0x81).map_err(wrong)?.content();
        if PublicKey::parse(content).is_ok() {
            // Connection parameters without their session key have the same two tags.
            return Err(malformed("connection parameters")(asn1::Error::Missing(
                0xa2,
            )));
        }
        if id.contains('/') && !content.starts_with(format_signature::MAGIC) {
            return Ok(Self::ServiceMessage(ServiceMessage::parse(
                octets.to_vec(),
            )?));
        }
        Ok(Self::ParcelDelivery {
            id: id.to_owned(),
            parcel: content.to_vec(),
        })
    }

    /// A cargo collection request or a challenge; a certificate is longer than a nonce.
    fn from_string(element: &Element<'_>) -> Result<Self, Error> {
        let content = element
            .children()
            .take(0x80)
            .map_err(malformed("object"))?
            .content();
        if content.len() == NONCE_LEN {
            Ok(Self::Challenge(content.to_vec()))
        } else {
            let whole = element.whole();
            match CollectionRequest::parse_within(whole, 0..whole.len()) {
                Ok(request) => Ok(Self::CargoCollectionRequest(Box::new(request))),
                Err(_) => Err(Error::Unknown),
            }
        }
    }

    fn response(element: &Element<'_>) -> Result<Self, Error> {
        let wrong = malformed("handshake response");
        let mut list = element.children().take(0xa0).map_err(wrong)?.children();
        let mut signatures = Vec::new();
        while list.peek().is_some() {
            signatures.push(
                list.take(tag::OCTET_STRING)
                    .map_err(wrong)?
                    .content()
                    .to_vec(),
            );
        }
        Ok(Self::Response(signatures))
    }

    /// The word for it, in JSON and in diagnostics.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Message(item) => item.kind().word(),
            Self::Certificates(_) => "certificate",
            Self::Path(_) => "certification-path",
            Self::IdentityKey(_) => "public-key",
            Self::SessionKey(..) => "session-public-key",
            Self::PrivateIdentityKey(_) | Self::PrivateSessionKey(..) => "private-key",
            Self::NodeConnectionParams(_) => "connection-parameters",
            Self::PrivateEndpointConnectionParams(_) => "private-endpoint-connection-parameters",
            Self::Registration(_) => "registration",
            Self::SuccessorNotice(_) => "successor-notice",
            Self::RegistrationAuthorization(_) => "registration-authorization",
            Self::RegistrationRequest(_) => "registration-request",
            Self::Challenge(_) => "handshake-challenge",
            Self::Response(_) => "handshake-response",
            Self::ParcelDelivery { .. } => "parcel-delivery",
            Self::Signature(_) => "signature",
            Self::ServiceMessage(_) => "service-message",
            Self::CargoMessageSet(_) => "cargo-message-set",
            Self::CargoCollectionRequest(_) => "cargo-collection-request",
        }
    }

    /// The object for a sentence: `a public key`, `connection parameters`.
    #[must_use]
    pub fn phrase(&self) -> String {
        super::phrase(self.word())
    }

    /// SHA-256 of the whole object in its binary form, for the objects that relay-import takes,
    /// since signatures cover only a part of them; `None` for others.
    #[must_use]
    pub fn digest(&self) -> Option<[u8; 32]> {
        let octets = match self {
            Self::NodeConnectionParams(params) => params.to_der(),
            Self::PrivateEndpointConnectionParams(params) => params.to_der(),
            Self::Registration(registration) => registration.to_der(),
            Self::SuccessorNotice(notice) => notice.octets().to_vec(),
            Self::Message(item) => match &**item {
                Item::Rotation(rotation) => rotation.to_octets(),
                Item::Pdd(pdd) => pdd.octets().to_vec(),
                _ => return None,
            },
            _ => return None,
        };
        Some(hash::sha256(&octets))
    }

    /// The identity key of the node behind the object: its owner, or its author.
    #[must_use]
    pub fn identity_key(&self) -> Option<&PublicKey> {
        match self {
            Self::Message(item) => item
                .message()
                .map(|message| message.sender_certificate().key()),
            Self::Certificates(certificates) => certificates.first().map(Certificate::key),
            Self::Path(path) => Some(path.leaf.key()),
            Self::IdentityKey(key) | Self::PrivateIdentityKey(key) => Some(key),
            Self::NodeConnectionParams(params) => Some(&params.identity),
            Self::PrivateEndpointConnectionParams(params) => Some(&params.identity),
            Self::Registration(registration) => Some(registration.node.key()),
            Self::RegistrationRequest(request) => Some(&request.node),
            Self::SuccessorNotice(notice) => Some(&notice.unverified().new),
            Self::Signature(signer) => Some(signer.key()),
            Self::CargoCollectionRequest(request) => Some(request.authorization.key()),
            Self::SessionKey(..)
            | Self::PrivateSessionKey(..)
            | Self::RegistrationAuthorization(_)
            | Self::Challenge(_)
            | Self::Response(_)
            | Self::ParcelDelivery { .. }
            | Self::ServiceMessage(_)
            | Self::CargoMessageSet(_) => None,
        }
    }

    /// The id of the node behind the object.
    #[must_use]
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::Message(item) => match &**item {
                Item::Pca(pca) => Some(pca.recipient),
                Item::Rotation(rotation) => Some(rotation.path.leaf.id()),
                Item::Pdd(pdd) => Some(pdd.signer()),
                item => item.message().map(SignedMessage::sender),
            },
            other => other.identity_key().map(PublicKey::id),
        }
    }

    /// The Internet address of the node behind the object, if the object has one.
    #[must_use]
    pub fn address(&self) -> Option<&InternetAddress> {
        match self {
            Self::NodeConnectionParams(params) => Some(&params.address),
            Self::PrivateEndpointConnectionParams(params) => Some(&params.gateway_address),
            Self::Registration(registration) => Some(&registration.gateway_address),
            _ => None,
        }
    }
}

/// Parses the session key id in a `Key-Id:` line above a PEM block.
fn key_id_line(preamble: &str) -> Result<Option<KeyId>, Error> {
    let line = preamble
        .lines()
        .find_map(|line| line.strip_prefix("Key-Id:"));
    Ok(line.map(|id| id.trim().parse()).transpose()?)
}
