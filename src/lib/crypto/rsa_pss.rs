//! Identity keys: RSASSA-PSS (RFC 8017 §8.1), with MGF1 over the same hash and a salt as long as
//! the hash.
//!
//! RS-018 and the deployed nodes sign with SHA-256; signatures with SHA-384 and SHA-512 are
//! verified too. Any other salt length is refused, as are PKCS#1 v1.5 and SHA-1.

use std::ops::RangeInclusive;

use ring::rand::SystemRandom;
use ring::signature::{
    self, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RsaKeyPair, RsaParameters, UnparsedPublicKey,
};
use rsa::pkcs1::{self, RsaPrivateKeyRef, RsaPublicKeyRef};
use rsa::pkcs8::{EncodePrivateKey, ObjectIdentifier, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::{Digest, Error, Secret, random};

/// Sizes of private keys, in bits; ring signs with no others.
const PRIVATE_BITS: RangeInclusive<usize> = 2048..=4096;

/// Sizes of private keys are multiples of this, in bits; ring refuses others.
const PRIVATE_STEP: usize = 512;

/// Sizes of public keys, in bits.
const PUBLIC_BITS: RangeInclusive<usize> = 2048..=8192;

/// The algorithm that a private key file may name instead of `rsaEncryption` (RFC 8017 §A.2.3).
const ID_RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

/// A private key of 2048 to 4096 bits, in steps of 512, with two primes and an exponent from 65537.
pub struct PrivateKey(RsaKeyPair);

impl PrivateKey {
    /// Parses a PKCS#8 `PrivateKeyInfo` in DER (RFC 5208 §5, RFC 5958 §2) that holds an
    /// `RSAPrivateKey` (RFC 8017 §A.1.2), under `rsaEncryption` or `id-RSASSA-PSS`. The parameters
    /// of the latter are ignored.
    ///
    /// # Errors
    /// [`Error::KeyMalformed`], [`Error::KeyAlgorithm`], [`Error::KeySize`],
    /// [`Error::KeyExponent`], and [`Error::KeyInconsistent`] when the numbers contradict one
    /// another. Some contradictions are found only when signing.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| Error::KeyMalformed {
            expected: "PKCS#8 PrivateKeyInfo",
        })?;
        if ![pkcs1::ALGORITHM_OID, ID_RSASSA_PSS].contains(&info.algorithm.oid) {
            return Err(Error::KeyAlgorithm { expected: "RSA" });
        }
        // Not the whole PKCS#8: ring refuses one whose algorithm is id-RSASSA-PSS.
        Self::from_pkcs1(info.private_key.as_bytes())
    }

    /// Parses a bare `RSAPrivateKey` in DER (RFC 8017 §A.1.2), as OpenSSL writes it under `RSA
    /// PRIVATE KEY`.
    ///
    /// # Errors
    /// As [`from_pkcs8`](Self::from_pkcs8).
    pub fn from_pkcs1(der: &[u8]) -> Result<Self, Error> {
        let key = RsaPrivateKeyRef::try_from(der).map_err(|_| Error::KeyMalformed {
            expected: "two-prime RSAPrivateKey",
        })?;
        check_numbers(
            key.modulus.as_bytes(),
            key.public_exponent.as_bytes(),
            PRIVATE_BITS,
            PRIVATE_STEP,
            65537,
        )?;
        RsaKeyPair::from_der(der)
            .map(Self)
            .map_err(|_| Error::KeyInconsistent)
    }

    /// Signs a message (not its hash) with SHA-256 and a random salt of 32 octets (RFC 8017
    /// §8.1.1).
    ///
    /// The signature is as long as the modulus, and differs each time.
    ///
    /// # Errors
    /// [`Error::Sign`] when the key's numbers contradict one another.
    pub fn sign_sha256(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(
                &RSA_PSS_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_| Error::Sign)?;
        Ok(signature)
    }

    /// A secret that only this key gives, and always the same: the SHA-256 of its PKCS#1 v1.5
    /// signature over `label` (RFC 8017 §8.2.1), which has no randomness. No program signs a message
    /// so.
    ///
    /// # Errors
    /// [`Error::Sign`] when the key's numbers contradict one another.
    pub fn derive(&self, label: &[u8]) -> Result<Secret, Error> {
        let mut signature = Zeroizing::new(vec![0; self.0.public().modulus_len()]);
        let random = SystemRandom::new();
        let signed = self
            .0
            .sign(&RSA_PKCS1_SHA256, &random, label, &mut signature);
        signed.map_err(|_| Error::Sign)?;
        Ok(Secret::from(super::sha256(&signature).to_vec()))
    }

    /// The public key: an `RSAPublicKey` in DER (RFC 8017 §A.1.1), which is what the BIT STRING of
    /// a `SubjectPublicKeyInfo` holds.
    #[must_use]
    pub fn public_key_der(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// The size of the modulus, in bits.
    #[must_use]
    pub fn modulus_bits(&self) -> usize {
        // Sizes are multiples of 512 bits, so whole octets.
        self.0.public().modulus_len() * 8
    }
}

/// Verifies a signature over a message (not its hash), with a salt as long as the hash (RFC 8017
/// §8.1.2).
///
/// The key is an `RSAPublicKey` in DER, of 2048 to 8192 bits.
///
/// # Errors
/// [`Error::Signature`] when it does not match; those of [`check_public_key`] for an unusable key.
pub fn verify(
    digest: Digest,
    public_key_pkcs1: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    // ring would report an unusable key as a signature that does not match.
    check_public_key(public_key_pkcs1)?;
    let parameters: &'static RsaParameters = match digest {
        Digest::Sha256 => &RSA_PSS_2048_8192_SHA256,
        Digest::Sha384 => &RSA_PSS_2048_8192_SHA384,
        Digest::Sha512 => &RSA_PSS_2048_8192_SHA512,
    };
    let key: UnparsedPublicKey<&[u8]> =
        signature::UnparsedPublicKey::new(parameters, public_key_pkcs1);
    key.verify(message, signature).map_err(|_| Error::Signature)
}

/// Checks that these octets are an `RSAPublicKey` in DER (RFC 8017 §A.1.1) of 2048 to 8192 bits,
/// and returns its size in bits.
///
/// # Errors
/// [`Error::KeyMalformed`], [`Error::KeySize`] and [`Error::KeyExponent`].
pub fn check_public_key(pkcs1: &[u8]) -> Result<usize, Error> {
    let key = RsaPublicKeyRef::try_from(pkcs1).map_err(|_| Error::KeyMalformed {
        expected: "RSAPublicKey",
    })?;
    check_numbers(
        key.modulus.as_bytes(),
        key.public_exponent.as_bytes(),
        PUBLIC_BITS,
        1,
        3,
    )
}

/// Generates a key of 2048, 3072 or 4096 bits with the exponent 65537, as PKCS#8 in DER for
/// [`PrivateKey::from_pkcs8`]. It takes 0.1 to 1 second, with a wide spread.
///
/// # Errors
/// [`Error::KeySize`] for another size, [`Error::Random`].
pub fn generate(bits: usize) -> Result<Secret, Error> {
    if !matches!(bits, 2048 | 3072 | 4096) {
        return Err(Error::KeySize {
            bits,
            min: 2048,
            max: 4096,
            step: 1024,
        });
    }
    // The generator panics if the system has no randomness, so ask for an octet first.
    random::array::<1>()?;
    // This crate only generates keys: ring signs 4 times faster, and RUSTSEC-2023-0071 has no fix.
    let mut rng = rsa::rand_core::UnwrapErr(getrandom::SysRng);
    let key = rsa::RsaPrivateKey::new(&mut rng, bits).map_err(|_| Error::Random)?;
    let document = key.to_pkcs8_der().map_err(|_| Error::KeyInconsistent)?;
    let octets: Zeroizing<Vec<u8>> = document.to_bytes();
    Ok(octets.into())
}

/// Checks the size and the exponent of a key, both big-endian without leading zeros; returns the
/// size in bits.
fn check_numbers(
    modulus: &[u8],
    exponent: &[u8],
    allowed: RangeInclusive<usize>,
    step: usize,
    least_exponent: u64,
) -> Result<usize, Error> {
    let bits = match modulus.first() {
        Some(first) => modulus.len() * 8 - first.leading_zeros() as usize,
        None => 0,
    };
    if !allowed.contains(&bits) || bits % step != 0 {
        return Err(Error::KeySize {
            bits,
            min: *allowed.start(),
            max: *allowed.end(),
            step,
        });
    }
    // ring accepts exponents of up to 33 bits, which bounds the time of a verification.
    let usable = exponent.len() <= 5 && {
        let value = exponent
            .iter()
            .fold(0_u64, |value, octet| value << 8 | u64::from(*octet));
        value >= least_exponent && value < 1 << 33 && value % 2 == 1
    };
    if usable {
        Ok(bits)
    } else {
        Err(Error::KeyExponent)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::crypto::vectors::{
        ED25519_PKCS8, MESSAGE, RSA_1024_PKCS8, RSA_2056_PKCS8, RSA_EXPONENT_3_PKCS8, RSA_PKCS8,
        RSA_PSS_PKCS8, RSA_PUBLIC, SIGNATURES_ACCEPTED, SIGNATURES_REFUSED, hex,
    };

    fn error(der: &[u8]) -> Option<Error> {
        PrivateKey::from_pkcs8(der).err()
    }

    #[test]
    fn signs_what_it_verifies() {
        let key = PrivateKey::from_pkcs8(&hex(RSA_PKCS8)).unwrap();
        assert_eq!(key.public_key_der(), hex(RSA_PUBLIC));
        assert_eq!(key.modulus_bits(), 2048);
        let signature = key.sign_sha256(MESSAGE).unwrap();
        assert_eq!(signature.len(), 256);
        assert_ne!(signature, key.sign_sha256(MESSAGE).unwrap());

        let public = key.public_key_der();
        assert_eq!(verify(Digest::Sha256, public, MESSAGE, &signature), Ok(()));
        let refused = Err(Error::Signature);
        assert_eq!(verify(Digest::Sha384, public, MESSAGE, &signature), refused);
        assert_eq!(
            verify(Digest::Sha256, public, b"cargo", &signature),
            refused
        );
        assert_eq!(
            verify(Digest::Sha256, public, MESSAGE, &signature[1..]),
            refused
        );
        assert_eq!(verify(Digest::Sha256, public, MESSAGE, b""), refused);
        let mut changed = signature;
        changed[100] ^= 1;
        assert_eq!(verify(Digest::Sha256, public, MESSAGE, &changed), refused);
    }

    #[test]
    fn verifies_what_openssl_signs() {
        for (digest, signature) in SIGNATURES_ACCEPTED {
            let verified = verify(digest, &hex(RSA_PUBLIC), MESSAGE, &hex(signature));
            assert_eq!(verified, Ok(()), "{digest}");
        }
    }

    #[test]
    fn refuses_other_salts_and_pkcs1_v1_5() {
        for (what, digest, signature) in SIGNATURES_REFUSED {
            let verified = verify(digest, &hex(RSA_PUBLIC), MESSAGE, &hex(signature));
            assert_eq!(verified, Err(Error::Signature), "{what}");
        }
    }

    #[test]
    fn reads_keys_marked_for_pss_only() {
        let key = PrivateKey::from_pkcs8(&hex(RSA_PSS_PKCS8)).unwrap();
        let signature = key.sign_sha256(MESSAGE).unwrap();
        let verified = verify(Digest::Sha256, key.public_key_der(), MESSAGE, &signature);
        assert_eq!(verified, Ok(()));
    }

    #[test]
    fn generates_keys_that_sign() {
        let key = PrivateKey::from_pkcs8(generate(2048).unwrap().as_bytes()).unwrap();
        assert_eq!(key.modulus_bits(), 2048);
        assert_eq!(check_public_key(key.public_key_der()), Ok(2048));
        let signature = key.sign_sha256(MESSAGE).unwrap();
        let verified = verify(Digest::Sha256, key.public_key_der(), MESSAGE, &signature);
        assert_eq!(verified, Ok(()));
        for bits in [0, 1024, 2047, 2560, 8192] {
            assert!(
                matches!(generate(bits).err(), Some(Error::KeySize { .. })),
                "{bits}"
            );
        }
    }

    #[test]
    fn says_why_a_private_key_is_refused() {
        let expected = "PKCS#8 PrivateKeyInfo";
        let malformed = Some(Error::KeyMalformed { expected });
        assert_eq!(error(b""), malformed);
        assert_eq!(error(b"-----BEGIN PRIVATE KEY-----"), malformed);
        let mut trailing = hex(RSA_PKCS8);
        trailing.push(0);
        assert_eq!(error(&trailing), malformed);
        assert_eq!(
            error(&hex(ED25519_PKCS8)),
            Some(Error::KeyAlgorithm { expected: "RSA" })
        );
        for (der, bits) in [(RSA_1024_PKCS8, 1024), (RSA_2056_PKCS8, 2056)] {
            let (min, max, step) = (2048, 4096, 512);
            assert_eq!(
                error(&hex(der)),
                Some(Error::KeySize {
                    bits,
                    min,
                    max,
                    step
                })
            );
        }
        assert_eq!(error(&hex(RSA_EXPONENT_3_PKCS8)), Some(Error::KeyExponent));

        // The modulus of another key.
        let mut other = hex(RSA_PKCS8);
        other[60] ^= 1;
        assert_eq!(error(&other), Some(Error::KeyInconsistent));
    }

    #[test]
    fn says_why_a_public_key_is_refused() {
        let malformed = Error::KeyMalformed {
            expected: "RSAPublicKey",
        };
        for der in [&b""[..], b"\x30\x00", &hex(RSA_PKCS8)] {
            assert_eq!(check_public_key(der), Err(malformed.clone()));
            assert_eq!(
                verify(Digest::Sha256, der, MESSAGE, &[0; 256]),
                Err(malformed.clone())
            );
        }
        assert_eq!(check_public_key(&hex(RSA_PUBLIC)), Ok(2048));
        let small = RsaKeyPair::from_pkcs8(&hex(RSA_1024_PKCS8));
        assert!(small.is_err());
        // SEQUENCE { modulus 255, exponent 3 }, then a good modulus with an even exponent.
        let tiny = check_public_key(&[0x30, 7, 2, 2, 0, 255, 2, 1, 3]);
        assert!(matches!(
            tiny,
            Err(Error::KeySize {
                bits: 8,
                min: 2048,
                max: 8192,
                step: 1
            })
        ));
        let mut even = hex(RSA_PUBLIC);
        *even.last_mut().unwrap() = 0;
        assert_eq!(check_public_key(&even), Err(Error::KeyExponent));
    }
}
