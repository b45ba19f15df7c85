//! How a gateway certifies a private node (RS-000, RS-016).
//!
//! RS-000 shows keys, certificates and the authorization inline; what is deployed wraps each of
//! them in an OCTET STRING.

use jiff::Timestamp;

use super::{Error, connection_params, malformed};
use crate::asn1::{Element, date_time, oid, tag, write};
use crate::crypto::hash::{self, Digest};
use crate::pki::{Certificate, IdentityKey, PublicKey};
use crate::ramf::InternetAddress;
use crate::session::PublicSessionKey;

/// A registration (PNR): the certificate that a gateway gives a private node.
///
/// ```text
/// PrivateNodeRegistration ::= SEQUENCE {
///   nodeCertificate    [0] OCTET STRING,
///   gatewayCertificate [1] OCTET STRING,
///   gatewayAddress     [2] VisibleString,
///   sessionKey         [3] SEQUENCE { keyId [0] OCTET STRING, publicKey [1] OCTET STRING } OPTIONAL }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The node's certificate, issued by the gateway.
    pub node: Certificate,
    /// The gateway's own certificate.
    pub gateway: Certificate,
    /// Where the Internet gateway is.
    pub gateway_address: InternetAddress,
    /// The gateway's session key; a private gateway gives none to its endpoints.
    pub session_key: Option<PublicSessionKey>,
}

impl Registration {
    /// Reads a registration that is all of `octets`.
    ///
    /// # Errors
    /// When it, or a key or certificate in it, is malformed.
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        let wrong = malformed("registration");
        let mut fields = Element::der(octets, tag::SEQUENCE)
            .map_err(wrong)?
            .children();
        let node = Certificate::parse(fields.take(0x80).map_err(wrong)?.content())?;
        let gateway = Certificate::parse(fields.take(0x81).map_err(wrong)?.content())?;
        let gateway_address = connection_params::address(&fields.take(0x82).map_err(wrong)?)?;
        let session_key = match fields.optional(0xa3).map_err(wrong)? {
            Some(key) => Some(connection_params::session_key_in_strings(&key)?),
            None => None,
        };
        Ok(Self {
            node,
            gateway,
            gateway_address,
            session_key,
        })
    }

    /// The registration as DER.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        let session_key = self
            .session_key
            .as_ref()
            .map(|key| connection_params::session_key_to_strings(0xa3, key));
        write::constructed(
            tag::SEQUENCE,
            &[
                &write::tlv(0x80, self.node.octets()),
                &write::tlv(0x81, self.gateway.octets()),
                &write::tlv(0x82, self.gateway_address.as_str().as_bytes()),
                session_key.as_deref().unwrap_or_default(),
            ],
        )
    }

    /// Checks that the gateway issued the node's certificate.
    ///
    /// # Errors
    /// [`Error::Signature`] when it did not.
    pub fn verify(&self) -> Result<(), Error> {
        // An authorization to deliver is signed alike, but makes nobody an authority.
        let issued = self.gateway.is_ca()
            && self.node.is_ca()
            && self.node.names_as_issuer(&self.gateway)
            && self.node.verify_signature(self.gateway.key()).is_ok();
        if issued {
            Ok(())
        } else {
            Err(Error::Signature("registration"))
        }
    }
}

/// A gateway's promise to register a node (PNRA).
///
/// ```text
/// PrivateNodeRegistrationAuthorization ::= SEQUENCE {
///   expiryDate [0] DATE-TIME, gatewayData [1] OCTET STRING, signature [2] OCTET STRING }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationAuthorization {
    /// When the promise ends; no clock drift is allowed for.
    pub expiry: Timestamp,
    /// What the gateway wants back; deployed gateways put SHA-256 of the node's key there.
    pub gateway_data: Vec<u8>,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

impl RegistrationAuthorization {
    /// Promises to register the node with this key until `expiry`, as a gateway with that key.
    ///
    /// # Errors
    /// When there are no random octets.
    pub fn sign(gateway: &IdentityKey, node: &PublicKey, expiry: Timestamp) -> Result<Self, Error> {
        let gateway_data = hash::sha256(node.spki()).to_vec();
        let signed = signed_authorization(date_time::to_ramf(expiry).as_bytes(), &gateway_data);
        let signature = gateway.sign(&signed)?;
        Ok(Self {
            expiry,
            gateway_data,
            signed,
            signature,
        })
    }

    /// The authorization as DER.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        write::constructed(
            tag::SEQUENCE,
            &[
                &write::tlv(0x80, date_time::to_ramf(self.expiry).as_bytes()),
                &write::tlv(0x81, &self.gateway_data),
                &write::tlv(0x82, &self.signature),
            ],
        )
    }

    /// Whether the promise is to the node with this key.
    #[must_use]
    pub fn is_for(&self, node: &PublicKey) -> bool {
        self.gateway_data == hash::sha256(node.spki())
    }

    /// Reads an authorization that is all of `octets`.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        let wrong = malformed("registration authorization");
        let mut fields = Element::der(octets, tag::SEQUENCE)
            .map_err(wrong)?
            .children();
        let expiry = fields.take(0x80).map_err(wrong)?;
        let data = fields.take(0x81).map_err(wrong)?;
        let signature = fields.take(0x82).map_err(wrong)?.content().to_vec();
        fields.finish().map_err(wrong)?;
        let signed = signed_authorization(expiry.content(), data.content());
        let expiry = date_time::parse_ramf(expiry.content()).map_err(wrong)?;
        Ok(Self {
            expiry,
            gateway_data: data.content().to_vec(),
            signed,
            signature,
        })
    }

    /// Checks that the gateway with this key made it.
    ///
    /// # Errors
    /// [`Error::Signature`] when it did not.
    pub fn verify(&self, gateway: &PublicKey) -> Result<(), Error> {
        let verified = gateway.verify(Digest::Sha256, &self.signed, &self.signature);
        verified.map_err(|_| Error::Signature("registration authorization"))
    }
}

/// A node's request to be registered (PNRR).
///
/// ```text
/// PrivateNodeRegistrationRequest ::= SEQUENCE {
///   nodePublicKey [0] OCTET STRING, pnra [1] OCTET STRING, countersignature [2] OCTET STRING }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationRequest {
    /// The node's identity key.
    pub node: PublicKey,
    /// The authorization that the gateway gave.
    pub authorization: RegistrationAuthorization,
    /// The authorization's octets as received.
    pub authorization_octets: Vec<u8>,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

/// What a gateway signs: the purpose takes the first tag, which moves the others on by one.
fn signed_authorization(expiry: &[u8], data: &[u8]) -> Vec<u8> {
    write::constructed(
        tag::SEQUENCE,
        &[
            &write::retagged(0x80, &oid::to_der(&oid::PNRA_SIGNATURE)),
            &write::tlv(0x81, expiry),
            &write::tlv(0x82, data),
        ],
    )
}

/// What a node signs: the purpose, then the authorization.
fn signed_request(authorization: &[u8]) -> Vec<u8> {
    write::constructed(
        tag::SEQUENCE,
        &[
            &write::retagged(0x80, &oid::to_der(&oid::PNRA_COUNTERSIGNATURE)),
            &write::tlv(0x81, authorization),
        ],
    )
}

impl RegistrationRequest {
    /// Asks to be registered as promised in `authorization`, a PNRA as received, as the node with this key.
    ///
    /// # Errors
    /// When the authorization is malformed, or there are no random octets.
    pub fn sign(node: &IdentityKey, authorization: &[u8]) -> Result<Self, Error> {
        let signed = signed_request(authorization);
        let signature = node.sign(&signed)?;
        Ok(Self {
            node: node.public().clone(),
            authorization: RegistrationAuthorization::parse(authorization)?,
            authorization_octets: authorization.to_vec(),
            signed,
            signature,
        })
    }

    /// The request as DER.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        write::constructed(
            tag::SEQUENCE,
            &[
                &write::tlv(0x80, self.node.spki()),
                &write::tlv(0x81, &self.authorization_octets),
                &write::tlv(0x82, &self.signature),
            ],
        )
    }

    /// Reads a request that is all of `octets`.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        let wrong = malformed("registration request");
        let mut fields = Element::der(octets, tag::SEQUENCE)
            .map_err(wrong)?
            .children();
        let node = PublicKey::parse(fields.take(0x80).map_err(wrong)?.content())?;
        let pnra = fields.take(0x81).map_err(wrong)?;
        let signature = fields.take(0x82).map_err(wrong)?.content().to_vec();
        fields.finish().map_err(wrong)?;
        let signed = signed_request(pnra.content());
        let authorization = RegistrationAuthorization::parse(pnra.content())?;
        Ok(Self {
            node,
            authorization,
            authorization_octets: pnra.content().to_vec(),
            signed,
            signature,
        })
    }

    /// Checks that the node countersigned the authorization.
    ///
    /// # Errors
    /// [`Error::Signature`] when it did not.
    pub fn verify(&self) -> Result<(), Error> {
        let verified = self
            .node
            .verify(Digest::Sha256, &self.signed, &self.signature);
        verified.map_err(|_| Error::Signature("registration request"))
    }
}
