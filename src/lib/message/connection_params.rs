//! Connection parameters: what peers need to reach a node (RS-000 §Connection Parameters).

use super::certification_path::{CertificationPath, PathForm};
use super::{Error, malformed};
use crate::asn1::{self, Element, tag, visible_string, write};
use crate::pki::PublicKey;
use crate::ramf::InternetAddress;
use crate::session::{KeyId, PublicSessionKey};

/// Connection parameters of a node with an Internet address (NCP).
///
/// ```text
/// NodeConnectionParams ::= SEQUENCE {
///   internetAddress   [0] VisibleString,
///   identityPublicKey [1] OCTET STRING,           -- SubjectPublicKeyInfo
///   sessionKey        [2] SEQUENCE {
///     keyId     [0] OCTET STRING,
///     publicKey [1] OCTET STRING } }              -- SubjectPublicKeyInfo
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConnectionParams {
    /// The node's Internet address.
    pub address: InternetAddress,
    /// Its identity key.
    pub identity: PublicKey,
    /// The session key to seal the first message to.
    pub session_key: PublicSessionKey,
}

/// Connection parameters of a private endpoint, with the authorization to send to it (PECP).
///
/// ```text
/// PrivateEndpointConnParams ::= SEQUENCE {
///   identityPublicKey      [0] SubjectPublicKeyInfo,
///   internetGatewayAddress [1] VisibleString,
///   deliveryAuthorization  [2] CertificationPath,
///   sessionKey             [3] SEQUENCE {
///     keyId     [0] OCTET STRING,
///     publicKey [1] SubjectPublicKeyInfo } }
/// ```
///
/// The session key is encoded differently than in [`NodeConnectionParams`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateEndpointConnectionParams {
    /// The endpoint's identity key.
    pub identity: PublicKey,
    /// The address of its Internet gateway.
    pub gateway_address: InternetAddress,
    /// The delivery authorization and its issuers.
    pub authorization: CertificationPath,
    /// The session key to seal the first message to.
    pub session_key: PublicSessionKey,
}

impl NodeConnectionParams {
    /// Parses all of `octets` as connection parameters.
    ///
    /// # Errors
    /// When they or a key in them are malformed.
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        let wrong = malformed("connection parameters");
        let mut fields = Element::der(octets, tag::SEQUENCE)
            .map_err(wrong)?
            .children();
        let address = address(&fields.take(0x80).map_err(wrong)?)?;
        let identity = PublicKey::parse(fields.take(0x81).map_err(wrong)?.content())?;
        let session_key = session_key_in_strings(&fields.take(0xa2).map_err(wrong)?)?;
        // Further fields are ignored, as deployed readers do.
        Ok(Self {
            address,
            identity,
            session_key,
        })
    }

    /// Encodes the parameters in DER.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        write::constructed(
            tag::SEQUENCE,
            &[
                &write::tlv(0x80, self.address.as_str().as_bytes()),
                &write::tlv(0x81, self.identity.spki()),
                &session_key_to_strings(0xa2, &self.session_key),
            ],
        )
    }
}

impl PrivateEndpointConnectionParams {
    /// Parses all of `octets` as connection parameters.
    ///
    /// # Errors
    /// When they, or a key or certificate in them, are malformed.
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        let wrong = malformed("private endpoint connection parameters");
        let mut fields = Element::der(octets, tag::SEQUENCE)
            .map_err(wrong)?
            .children();
        let identity = fields.take(0xa0).map_err(wrong)?;
        // The implicit tag is replaced, since ids are hashes of the key under its own tag.
        let identity = PublicKey::parse(&write::retagged(tag::SEQUENCE, identity.whole()))?;
        let gateway_address = address(&fields.take(0x81).map_err(wrong)?)?;
        let (authorization, _) = CertificationPath::parse(&fields.take(0xa2).map_err(wrong)?)?;
        let mut session_key = fields.take(0xa3).map_err(wrong)?.children();
        let key_id = KeyId::new(session_key.take(0x80).map_err(wrong)?.content())?;
        let session_key = PublicSessionKey::parse(key_id, &session_key.take(0xa1).map_err(wrong)?)?;
        Ok(Self {
            identity,
            gateway_address,
            authorization,
            session_key,
        })
    }

    /// Encodes the parameters in DER.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        let session_key = write::constructed(
            0xa3,
            &[
                &write::tlv(0x80, self.session_key.id().octets()),
                &write::retagged(0xa1, &self.session_key.spki()),
            ],
        );
        write::constructed(
            tag::SEQUENCE,
            &[
                &write::retagged(0xa0, self.identity.spki()),
                &write::tlv(0x81, self.gateway_address.as_str().as_bytes()),
                &self.authorization.to_der(0xa2, PathForm::Certificates),
                &session_key,
            ],
        )
    }
}

/// Parses an Internet address in a VisibleString.
pub(super) fn address(element: &Element<'_>) -> Result<InternetAddress, Error> {
    let text = visible_string::parse(element.content())
        .map_err(|_| malformed("Internet address")(asn1::Error::Value("visible string")))?;
    Ok(text.parse()?)
}

/// Parses a session key in the form of two OCTET STRINGs.
pub(super) fn session_key_in_strings(element: &Element<'_>) -> Result<PublicSessionKey, Error> {
    let wrong = malformed("session key");
    let mut fields = element.der_children();
    let id = KeyId::new(fields.take(0x80).map_err(wrong)?.content())?;
    let spki = fields.take(0x81).map_err(wrong)?;
    fields.finish().map_err(wrong)?;
    Ok(PublicSessionKey::from_spki(id, spki.content())?)
}

/// Encodes a session key as two OCTET STRINGs, in DER under this tag.
pub(super) fn session_key_to_strings(tag: u8, key: &PublicSessionKey) -> Vec<u8> {
    write::constructed(
        tag,
        &[
            &write::tlv(0x80, key.id().octets()),
            &write::tlv(0x81, &key.spki()),
        ],
    )
}
