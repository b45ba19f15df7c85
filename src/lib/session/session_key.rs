//! Session keys: elliptic curve keys, named by opaque ids (RS-003, RS-018).

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use super::Error;
use crate::asn1::{self, Element, Hex, hex, oid, spki, tag};
use crate::cms::enveloped_data::MAX_KEY_ID_LEN;
use crate::crypto;
use crate::crypto::ecdh::{self, Curve};
use crate::crypto::random;
use crate::crypto::secret::Secret;

/// The id of a session key: 1 to 64 opaque octets, compared as octets, so that leading zeros count.
/// It is shown in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Vec<u8>);

impl KeyId {
    /// The id with these octets.
    ///
    /// # Errors
    /// When there are no octets or more than 64.
    pub fn new(octets: &[u8]) -> Result<Self, Error> {
        if (1..=MAX_KEY_ID_LEN).contains(&octets.len()) {
            Ok(Self(octets.to_vec()))
        } else {
            Err(Error::KeyId)
        }
    }

    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(formatter)
    }
}

impl FromStr for KeyId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(&hex::parse(text).ok_or(Error::KeyId)?)
    }
}

/// The public half of a session key, with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicSessionKey {
    id: KeyId,
    curve: Curve,
    point: Vec<u8>,
}

impl PublicSessionKey {
    /// Parses a DER SubjectPublicKeyInfo, whose tag may have been replaced by an implicit one.
    ///
    /// # Errors
    /// When it is malformed, on another curve than P-256, P-384 or P-521, or the point is not on
    /// it.
    pub fn parse(id: KeyId, element: &Element<'_>) -> Result<Self, Error> {
        match spki::parse(element).map_err(Error::Key)? {
            spki::SpkiKey::Ec { curve, point } => Self::from_point(id, curve, point),
            spki::SpkiKey::Rsa(_) => Err(Error::Key(asn1::Error::Unsupported("key type"))),
        }
    }

    /// Parses all of `octets` as a DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// As [`PublicSessionKey::parse`].
    pub fn from_spki(id: KeyId, octets: &[u8]) -> Result<Self, Error> {
        Self::parse(
            id,
            &Element::der(octets, tag::SEQUENCE).map_err(Error::Key)?,
        )
    }

    /// The key with this uncompressed point on the curve with this object identifier.
    ///
    /// # Errors
    /// When the curve is not allowed or the point is not on it.
    pub fn from_point(
        id: KeyId,
        curve: der::asn1::ObjectIdentifier,
        point: &[u8],
    ) -> Result<Self, Error> {
        let curve = match curve {
            oid::P256 => Curve::P256,
            oid::P384 => Curve::P384,
            oid::P521 => Curve::P521,
            _ => return Err(Error::Key(asn1::Error::Unsupported("curve"))),
        };
        // Refused when it is parsed, before it can be stored as the key of a peer.
        ecdh::check_point(curve, point).map_err(|_| Error::Key(asn1::Error::Value("point")))?;
        Ok(Self {
            id,
            curve,
            point: point.to_vec(),
        })
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The curve.
    #[must_use]
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// The object identifier of the curve.
    #[must_use]
    pub fn curve_oid(&self) -> der::asn1::ObjectIdentifier {
        match self.curve {
            Curve::P256 => oid::P256,
            Curve::P384 => oid::P384,
            Curve::P521 => oid::P521,
        }
    }

    /// The uncompressed point (SEC 1 §2.3.3).
    #[must_use]
    pub fn point(&self) -> &[u8] {
        &self.point
    }

    /// The DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki(&self) -> Vec<u8> {
        spki::ec_to_der(&self.curve_oid(), &self.point)
    }
}

/// A session key, private half included.
pub struct PrivateSessionKey {
    id: KeyId,
    private: ecdh::PrivateKey,
    /// Computed on first use: opening a payload needs only the private half.
    public: OnceLock<PublicSessionKey>,
}

impl PrivateSessionKey {
    /// Generates a key with a random id of eight octets, as deployed nodes do. It is on P-256,
    /// unless the key of the peer is on another curve.
    ///
    /// # Errors
    /// When the system's random number generator fails.
    pub fn generate(curve: Curve) -> Result<Self, Error> {
        let id = random::array::<8>().map_err(Error::Crypto)?;
        let private = ecdh::PrivateKey::generate(curve).map_err(Error::Crypto)?;
        Ok(Self::new(KeyId(id.to_vec()), private))
    }

    /// Parses a DER PKCS#8 PrivateKeyInfo.
    ///
    /// # Errors
    /// When it is malformed or on a curve that is not allowed.
    pub fn from_pkcs8(id: KeyId, octets: &[u8]) -> Result<Self, Error> {
        Ok(Self::new(
            id,
            ecdh::PrivateKey::from_pkcs8_der(octets).map_err(Error::PrivateKey)?,
        ))
    }

    fn new(id: KeyId, private: ecdh::PrivateKey) -> Self {
        Self {
            id,
            private,
            public: OnceLock::new(),
        }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The DER PKCS#8 PrivateKeyInfo.
    ///
    /// # Errors
    /// When the key cannot be encoded.
    pub fn to_pkcs8(&self) -> Result<Secret, Error> {
        self.private.to_pkcs8_der().map_err(Error::Crypto)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicSessionKey {
        self.public.get_or_init(|| PublicSessionKey {
            id: self.id.clone(),
            curve: self.private.curve(),
            point: self.private.public_point(),
        })
    }

    /// Agrees on a secret with the holder of the other key: an x-coordinate (SEC 1 §3.3.1).
    pub(super) fn agree(&self, curve: Curve, point: &[u8]) -> Result<Secret, crypto::Error> {
        if curve == self.private.curve() {
            self.private.agree(point)
        } else {
            // The same error as for a key that does not fit, since the sender chooses the curve.
            Err(crypto::Error::Decrypt)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_ids_keep_their_leading_zeros() {
        let id: KeyId = "00ad218102fcd0e5".parse().unwrap();
        assert_eq!(id.octets()[0], 0);
        assert_eq!(id.to_string(), "00ad218102fcd0e5");
        assert_eq!("0A".parse::<KeyId>().unwrap().to_string(), "0a");
        for bad in ["", "0", "0g", &"00".repeat(65), "+1"] {
            assert!(bad.parse::<KeyId>().is_err(), "{bad}");
        }
    }
}
