//! Identity keys: RSA keys whose digest names a node (RS-002, RS-018).

use super::{Error, NodeId};
use crate::asn1::{Element, spki, tag};
use crate::crypto::hash::Digest;
use crate::crypto::rsa_pss;
use crate::crypto::secret::Secret;

/// The public half of an identity key, as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    spki: Vec<u8>,
    pkcs1: Vec<u8>,
    id: NodeId,
}

impl PublicKey {
    /// Parses all of `octets` as a DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// When it is malformed or not an RSA key in the deployed form.
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        let element = Element::der(octets, tag::SEQUENCE).map_err(Error::Key)?;
        match spki::parse(&element).map_err(Error::Key)? {
            spki::SpkiKey::Rsa(pkcs1) => {
                // Otherwise an unusable or oversized key would be found only when it has to verify
                // something.
                rsa_pss::check_public_key(pkcs1)
                    .map_err(|_| Error::Key(crate::asn1::Error::Unsupported("key size or form")))?;
                Ok(Self {
                    spki: octets.to_vec(),
                    pkcs1: pkcs1.to_vec(),
                    id: NodeId::of_spki(octets),
                })
            }
            spki::SpkiKey::Ec { .. } => {
                Err(Error::Key(crate::asn1::Error::Unsupported("key type")))
            }
        }
    }

    /// The node that the key belongs to.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Verifies an RSA-PSS signature whose salt is as long as the digest.
    ///
    /// # Errors
    /// [`Error::Signature`] when it was not made over `message` with this key.
    pub fn verify(&self, digest: Digest, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        rsa_pss::verify(digest, &self.pkcs1, message, signature).map_err(|_| Error::Signature)
    }
}

/// A node's identity key, private half included.
pub struct IdentityKey {
    private: rsa_pss::PrivateKey,
    public: PublicKey,
}

impl IdentityKey {
    /// Parses a DER PKCS#8 PrivateKeyInfo.
    ///
    /// # Errors
    /// When it is malformed, or not an RSA key of 2048 to 4096 bits.
    pub fn from_pkcs8(octets: &[u8]) -> Result<Self, Error> {
        let private = rsa_pss::PrivateKey::from_pkcs8(octets).map_err(Error::PrivateKey)?;
        let public = PublicKey::parse(&spki::rsa_to_der(private.public_key_der()))?;
        Ok(Self { private, public })
    }

    /// Generates a key of 2048, 3072 or 4096 bits, as DER PKCS#8.
    ///
    /// # Errors
    /// When the size is another one or the system's random number generator fails.
    pub fn generate(bits: usize) -> Result<Secret, Error> {
        rsa_pss::generate(bits).map_err(Error::Crypto)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The node that the key belongs to.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.public.id
    }

    /// A secret that only this key gives, and always the same for a label.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn derive(&self, label: &[u8]) -> Result<Secret, Error> {
        self.private.derive(label).map_err(Error::Crypto)
    }

    /// Signs with RSA-PSS, SHA-256 and a salt of 32 octets.
    ///
    /// # Errors
    /// When the system's random number generator fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.private.sign_sha256(message).map_err(Error::Crypto)
    }
}
