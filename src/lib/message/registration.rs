//! How a gateway certifies a private node (RS-000, RS-016).
//!
//! RS-000 shows keys, certificates and the authorization inline; what is deployed wraps each of
//! them in an OCTET STRING.

use jiff::Timestamp;

use super::{Error, connection_params, malformed};
use crate::asn1::{Element, date_time, oid, tag, write};
use crate::crypto::hash::Digest;
use crate::pki::{Certificate, PublicKey};
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
        // The purpose takes the first tag, which moves the others on by one.
        let signed = write::constructed(
            tag::SEQUENCE,
            &[
                &write::retagged(0x80, &oid::to_der(&oid::PNRA_SIGNATURE)),
                &write::retagged(0x81, expiry.whole()),
                &write::retagged(0x82, data.whole()),
            ],
        );
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

impl RegistrationRequest {
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
        let signed = write::constructed(
            tag::SEQUENCE,
            &[
                &write::retagged(0x80, &oid::to_der(&oid::PNRA_COUNTERSIGNATURE)),
                pnra.whole(),
            ],
        );
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
