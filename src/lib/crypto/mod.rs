//! RS-018: the cryptographic primitives of Relaynet, each in one file.
//!
//! This is the only floor that names a cryptography crate. Algorithms are enums and functions here;
//! their names on the wire (object identifiers and parameters) belong to the ASN.1 floor. Functions
//! take and return values. Lengths are in octets unless bits are named.
//!
//! * [`hash`]: SHA-256, SHA-384 and SHA-512 (FIPS 180-4). SHA-1 does not exist here.
//! * [`secret`]: octets that are wiped when dropped, and that cannot be printed or copied by
//!   accident.
//! * [`random`]: the system's randomness.
//! * [`rsa_pss`]: identity keys, signatures and their verification (RFC 8017 §8.1).
//! * [`ecdh`]: session keys and their agreement on P-256, P-384 and P-521 (SEC 1 §3.3.1).
//! * [`x963_kdf`]: derives a key-encryption key from an agreement (ANSI X9.63 §5.6.3).
//! * [`key_wrap`]: AES key wrap (RFC 3394, RFC 3565).
//! * [`aes_cbc`]: the content cipher of deployed nodes (RFC 3565), without integrity of its own.
//! * [`pbes2`]: private keys that are encrypted under a passphrase (RFC 8018 §6.2).
//! * [`aes_gcm`]: the content cipher that RS-018 requires (RFC 5084).
//!
//! Every failure to decrypt (unwrapping, padding or tag) is [`Error::Decrypt`] with one text, so
//! that an attacker does not learn which check failed.

pub mod hash;
pub mod secret;
pub mod random;
pub mod rsa_pss;
pub mod ecdh;
pub mod x963_kdf;
pub mod key_wrap;
pub mod aes_cbc;
pub mod aes_gcm;
pub mod pbes2;

pub use hash::{Digest, Hash, Hasher, sha256};
pub use secret::Secret;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod vectors;

/// Why a cryptographic operation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The ciphertext, the wrapped key or their key is wrong. Deliberately without details.
    #[error("cannot be decrypted")]
    Decrypt,
    /// The signature was not made over this message with this key and this algorithm, or its salt
    /// is not as long as its digest (RFC 8017 §8.1.2).
    #[error("signature does not match")]
    Signature,
    /// The private key cannot sign: its parts contradict one another (RFC 8017 §5.2.1).
    #[error("private key cannot sign")]
    Sign,
    /// The system's source of randomness failed.
    #[error("no randomness available from the system")]
    Random,
    /// A key is not DER of this structure; it may be PEM, or encrypted.
    #[error("key is not a well-formed {expected}")]
    KeyMalformed {
        /// The structure that was expected, such as `PKCS#8 PrivateKeyInfo`.
        expected: &'static str,
    },
    /// A well-formed key is for another algorithm.
    #[error("key is not of the kind {expected}")]
    KeyAlgorithm {
        /// The kind of key that was expected: `RSA` or `EC`.
        expected: &'static str,
    },
    /// An RSA modulus is too small, too large or of an odd size; all are in bits.
    #[error("RSA key has {bits} bits, not {min} to {max} in steps of {step}")]
    KeySize {
        /// The size of the modulus, found or asked for.
        bits: usize,
        /// The smallest size allowed.
        min: usize,
        /// The largest size allowed.
        max: usize,
        /// Sizes must be multiples of this.
        step: usize,
    },
    /// An RSA public exponent is even, under 65537 (under 3 in the keys of others) or over 33 bits.
    #[error("RSA key has an unusable public exponent")]
    KeyExponent,
    /// The parts of a private key contradict one another, or are out of range.
    #[error("private key is inconsistent")]
    KeyInconsistent,
    /// An elliptic curve other than P-256, P-384 and P-521, or one that is not named (RFC 5480
    /// §2.1.1).
    #[error("key is not on one of the curves P-256, P-384 and P-521")]
    Curve,
    /// A public key is not an uncompressed point of this curve's length (SEC 1 §2.3.3): it is
    /// compressed, the point at infinity, for another curve, or something else.
    #[error("public key is not an uncompressed {curve} point")]
    PointForm {
        /// The curve that the point should be on.
        curve: ecdh::Curve,
    },
    /// A public key has the right form, but does not satisfy the curve's equation.
    #[error("public key is not on the curve {curve}")]
    PointOffCurve {
        /// The curve that the point should be on.
        curve: ecdh::Curve,
    },
    /// An AES key, or a key to be wrapped, is not of 16, 24 or 32 octets.
    #[error("symmetric key has {found} octets, not 16, 24 or 32")]
    KeyLength {
        /// Its length in octets.
        found: usize,
    },
    /// A GCM nonce is not of 12 or 16 octets.
    #[error("nonce has {found} octets, not 12 or 16")]
    NonceLength {
        /// Its length in octets.
        found: usize,
    },
    /// A GCM tag is not of 12 to 16 octets (RFC 5084 §3.2).
    #[error("authentication tag has {found} octets, not 12 to 16")]
    TagLength {
        /// Its length in octets.
        found: usize,
    },
    /// A private key is encrypted with something else than PBES2, scrypt or PBKDF2 with SHA-2, and
    /// AES-CBC.
    #[error("encrypted with an unsupported {0}")]
    Encryption(&'static str),
    /// The parameters of an encrypted private key ask for too much memory or time.
    #[error("opening it would take over {} MiB of memory or {} rounds", pbes2::MAX_MEMORY >> 20, pbes2::MAX_ROUNDS)]
    Costly,
    /// The part of a buffer to work on starts after its end, or is longer than the cipher allows.
    #[error("nothing to encrypt, or more than the algorithm takes")]
    Range,
}
