//! Registration: a gateway certifies a private node (RS-000, RS-016).
//!
//! RS-000 shows keys, certificates and the authorization inline; deployed nodes wrap each of them
//! in an OCTET STRING.

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
    /// The address of the Internet gateway.
    pub gateway_address: InternetAddress,
    /// The gateway's session key; a private gateway sends none to its endpoints.
    pub session_key: Option<PublicSessionKey>,
}

impl Registration {
    /// Parses all of `octets` as a registration.
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
        // Further fields are ignored, as deployed readers do.
        Ok(Self {
            node,
            gateway,
            gateway_address,
            session_key,
        })
    }

    /// Encodes the registration in DER.
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
        // A delivery authorization is signed alike, but its subject is not an authority.
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
    /// When the promise expires; there is no tolerance for clock drift.
    pub expiry: Timestamp,
    /// Data that the gateway gets back; deployed gateways write the SHA-256 of the node's key.
    pub gateway_data: Vec<u8>,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

impl RegistrationAuthorization {
    /// Signs an authorization, as `gateway`, to register `node` until `expiry`.
    ///
    /// # Errors
    /// When the system's random number generator fails.
    pub fn sign(gateway: &IdentityKey, node: &PublicKey, expiry: Timestamp) -> Result<Self, Error> {
        Self::sign_for(gateway, &hash::sha256(node.spki()), expiry)
    }

    /// As [`sign`](Self::sign), for the node whose key has this SHA-256: all that a gateway knows of it at this step
    /// online (RS-016 §Registration).
    ///
    /// # Errors
    /// When the system's random number generator fails.
    pub fn sign_for(
        gateway: &IdentityKey,
        key_sha256: &[u8; 32],
        expiry: Timestamp,
    ) -> Result<Self, Error> {
        let gateway_data = key_sha256.to_vec();
        let signed = signed_authorization(date_time::to_ramf(expiry).as_bytes(), &gateway_data);
        let signature = gateway.sign(&signed)?;
        Ok(Self {
            expiry,
            gateway_data,
            signed,
            signature,
        })
    }

    /// Encodes the authorization in DER.
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

    /// Whether it authorizes the node with this key.
    #[must_use]
    pub fn is_for(&self, node: &PublicKey) -> bool {
        self.gateway_data == hash::sha256(node.spki())
    }

    /// Parses all of `octets` as an authorization.
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
        // From the octets as received, which the gateway has signed.
        let signed = signed_authorization(expiry.content(), data.content());
        let expiry = date_time::parse_ramf(expiry.content()).map_err(wrong)?;
        Ok(Self {
            expiry,
            gateway_data: data.content().to_vec(),
            signed,
            signature,
        })
    }

    /// Verifies that the gateway with this key signed it.
    ///
    /// # Errors
    /// [`Error::Signature`] when it did not.
    pub fn verify(&self, gateway: &PublicKey) -> Result<(), Error> {
        // A bare RSA-PSS signature instead of CMS: the node has no certificate yet.
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

/// The octets that a gateway signs. The purpose takes the first tag, so the tags of the other
/// fields are one higher than in the PNRA.
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

/// The octets that a node signs: the purpose, then the authorization.
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
    /// Signs a request, as `node`, to be registered as promised in `authorization`, the octets of a
    /// PNRA as received.
    ///
    /// # Errors
    /// When the authorization is malformed, or the system's random number generator fails.
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

    /// Encodes the request in DER.
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

    /// Parses all of `octets` as a request.
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

    /// Verifies that the node countersigned the authorization.
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
