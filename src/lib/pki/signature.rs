//! The signature algorithm of certificates and messages: RSA-PSS (RS-018, RFC 4055 §3).

use super::Error;
use crate::asn1::algorithm::{self, Algorithm};
use crate::asn1::{Element, oid, tag, write};
use crate::crypto::hash::Digest;

/// The DER AlgorithmIdentifier that we sign with: SHA-256, MGF1 with SHA-256, a salt of 32 octets.
///
/// RS-018 allows larger hashes, but the deployed Internet gateway verifies only SHA-256. These are
/// the octets that deployed nodes write.
#[must_use]
pub fn pss_sha256() -> Vec<u8> {
    let sha256 = algorithm::to_der(&oid::SHA256, &[tag::NULL, 0]);
    let mgf1 = algorithm::to_der(&oid::MGF1, &sha256);
    let salt = write::tlv(tag::INTEGER, &[32]);
    let parameters = [
        write::tlv(0xa0, &sha256),
        write::tlv(0xa1, &mgf1),
        write::tlv(0xa2, &salt),
    ]
    .concat();
    algorithm::to_der(&oid::RSASSA_PSS, &write::tlv(tag::SEQUENCE, &parameters))
}

/// The digest of a hash AlgorithmIdentifier; its parameters may be NULL or absent.
///
/// # Errors
/// When it is not SHA-256, SHA-384 or SHA-512.
pub fn digest(algorithm: &Algorithm<'_>) -> Result<Digest, Error> {
    if !algorithm.is_bare() {
        return Err(Error::SignatureAlgorithm);
    }
    match algorithm.oid {
        oid::SHA256 => Ok(Digest::Sha256),
        oid::SHA384 => Ok(Digest::Sha384),
        oid::SHA512 => Ok(Digest::Sha512),
        _ => Err(Error::SignatureAlgorithm),
    }
}

/// The digest of an RSA-PSS AlgorithmIdentifier.
///
/// MGF1 must use the same digest, and the salt must have its length: deployed nodes emit nothing
/// else. PKCS#1 v1.5 is refused, and so is SHA-1, the default of each field.
///
/// # Errors
/// When it is anything else.
pub fn pss_digest(algorithm: &Algorithm<'_>) -> Result<Digest, Error> {
    let unsupported = |_| Error::SignatureAlgorithm;
    let parameters = match (algorithm.oid, algorithm.parameters) {
        (oid::RSASSA_PSS, Some(parameters)) if parameters.tag() == tag::SEQUENCE => parameters,
        _ => return Err(Error::SignatureAlgorithm),
    };
    let mut fields = parameters.children();
    // Each field has an EXPLICIT tag around exactly one value.
    let only = |element: Element<'_>, tag| {
        let mut inside = element.children();
        let value = inside.take(tag)?;
        inside.finish().map(|()| value.whole().to_vec())
    };
    let hash = fields
        .take(0xa0)
        .and_then(|field| only(field, tag::SEQUENCE))
        .map_err(unsupported)?;
    let mask = fields
        .take(0xa1)
        .and_then(|field| only(field, tag::SEQUENCE))
        .map_err(unsupported)?;
    let salt = fields
        .take(0xa2)
        .and_then(|field| only(field, tag::INTEGER))
        .map_err(unsupported)?;
    // RFC 4055 §3.1: the trailer field must be 1, if it is not left out.
    if let Some(trailer) = fields.optional(0xa3).map_err(unsupported)?
        && trailer.content() != [tag::INTEGER, 1, 1]
    {
        return Err(Error::SignatureAlgorithm);
    }
    fields.finish().map_err(unsupported)?;

    let parse = |octets| -> Result<_, crate::asn1::Error> { Element::der(octets, tag::SEQUENCE) };
    let hash = parse(&hash).map_err(unsupported)?;
    let mask = parse(&mask).map_err(unsupported)?;
    let hash = digest(&Algorithm::parse(&hash).map_err(unsupported)?)?;
    let mask = Algorithm::parse(&mask).map_err(unsupported)?;
    let mask_hash = match (mask.oid, mask.parameters) {
        (oid::MGF1, Some(inner)) => digest(&Algorithm::parse(&inner).map_err(unsupported)?)?,
        _ => return Err(Error::SignatureAlgorithm),
    };
    let salt_len = Element::der(&salt, tag::INTEGER).and_then(|salt| salt.small_integer());
    let salt_len = salt_len.map_err(unsupported)?;
    if mask_hash == hash && usize::try_from(salt_len).is_ok_and(|len| len == hash.len()) {
        Ok(hash)
    } else {
        Err(Error::SignatureAlgorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8]) -> Result<Digest, Error> {
        pss_digest(&Algorithm::parse(&Element::der(octets, tag::SEQUENCE).unwrap()).unwrap())
    }

    #[test]
    fn what_we_write_is_what_openssl_writes() {
        let octets = pss_sha256();
        assert_eq!(octets.len(), 67);
        assert_eq!(octets[..4], [0x30, 0x41, 0x06, 0x09]);
        assert_eq!(read(&octets).unwrap(), Digest::Sha256);
    }

    #[test]
    fn other_salts_and_algorithms_are_refused() {
        let mut salt_20 = pss_sha256();
        *salt_20.last_mut().unwrap() = 20;
        assert!(read(&salt_20).is_err());
        assert!(read(&algorithm::to_der(&oid::RSA_ENCRYPTION, &[tag::NULL, 0])).is_err());
        // Parameters that are left out mean SHA-1.
        assert!(read(&algorithm::to_der(&oid::RSASSA_PSS, &[tag::SEQUENCE, 0])).is_err());
    }
}
