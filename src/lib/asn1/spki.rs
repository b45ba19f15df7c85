//! SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).

use der::asn1::ObjectIdentifier;

use super::algorithm::{self, Algorithm};
use super::{Element, Error, oid, tag, write};

/// The key inside a SubjectPublicKeyInfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpkiKey<'a> {
    /// The PKCS#1 RSAPublicKey of an RSA key (RFC 8017 §A.1.1).
    Rsa(&'a [u8]),
    /// A point on a named curve (RFC 5480 §2).
    Ec {
        /// The curve's object identifier.
        curve: ObjectIdentifier,
        /// The point, as SEC 1 §2.3.3 encodes it.
        point: &'a [u8],
    },
}

/// Reads a DER SubjectPublicKeyInfo, whose tag may have been replaced by an implicit one.
///
/// # Errors
/// When it is malformed, or the algorithm is not in use on this network: RSA keys are always
/// `rsaEncryption` with NULL, although they only sign with PSS, and EC keys name their curve.
pub fn parse<'a>(element: &Element<'a>) -> Result<SpkiKey<'a>, Error> {
    let mut fields = element.der_children();
    let algorithm = Algorithm::parse(&fields.take(tag::SEQUENCE)?)?;
    let key = fields.take(tag::BIT_STRING)?.bit_string()?;
    fields.finish()?;
    let null = algorithm
        .parameters
        .is_some_and(|parameters| parameters.whole() == [tag::NULL, 0]);
    match algorithm.oid {
        // Absent parameters are refused: ids are hashes of this encoding, so a key must have only
        // one.
        oid::RSA_ENCRYPTION if null => Ok(SpkiKey::Rsa(key)),
        oid::EC_PUBLIC_KEY => {
            let curve = algorithm
                .parameters
                .ok_or(Error::Unsupported("curve"))?
                .oid();
            Ok(SpkiKey::Ec {
                curve: curve.map_err(|_| Error::Unsupported("curve"))?,
                point: key,
            })
        }
        _ => Err(Error::Unsupported("key type")),
    }
}

/// Encodes the SubjectPublicKeyInfo of an RSA key, given its PKCS#1 RSAPublicKey.
#[must_use]
pub fn rsa_to_der(pkcs1: &[u8]) -> Vec<u8> {
    to_der(
        &algorithm::to_der(&oid::RSA_ENCRYPTION, &[tag::NULL, 0]),
        pkcs1,
    )
}

/// Encodes the SubjectPublicKeyInfo of a point on a named curve.
#[must_use]
pub fn ec_to_der(curve: &ObjectIdentifier, point: &[u8]) -> Vec<u8> {
    to_der(
        &algorithm::to_der(&oid::EC_PUBLIC_KEY, &oid::to_der(curve)),
        point,
    )
}

fn to_der(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let bits = write::tlv(tag::BIT_STRING, &[&[0], key].concat());
    write::constructed(tag::SEQUENCE, &[algorithm, &bits])
}
