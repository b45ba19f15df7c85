//! SHA-2 (FIPS 180-4), of whole messages or piece by piece.

use std::fmt;

use ring::digest;

/// A hash function that RS-018 allows. SHA-1 is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Digest {
    /// SHA-256: 32 octets.
    Sha256,
    /// SHA-384: 48 octets.
    Sha384,
    /// SHA-512: 64 octets.
    Sha512,
}

impl Digest {
    /// Every hash function, shortest first.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The length of its results, in octets: 32, 48 or 64.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "no hash is empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The hash of a whole message.
    #[must_use]
    pub fn of(self, message: &[u8]) -> Hash {
        Hash {
            digest: self,
            octets: digest::digest(self.algorithm(), message),
        }
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

/// A hash of 32, 48 or 64 octets, with the function that made it.
#[derive(Clone, Copy)]
pub struct Hash {
    digest: Digest,
    octets: digest::Digest,
}

impl Hash {
    /// The function that made it.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Its octets, as many as [`Digest::len`].
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.as_ref()
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Equal function and octets. Hashes are public here, so the time of a comparison need not be
/// constant.
impl PartialEq for Hash {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Hash {}

/// As `SHA-256:` and lower-case hexadecimal.
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.digest)?;
        self.as_bytes()
            .iter()
            .try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// An incremental hash, for messages that arrive in pieces. It can move to another thread.
#[derive(Clone)]
pub struct Hasher {
    digest: Digest,
    context: digest::Context,
}

impl Hasher {
    /// A hasher that was given no octets yet.
    #[must_use]
    pub fn new(digest: Digest) -> Self {
        Self {
            digest,
            context: digest::Context::new(digest.algorithm()),
        }
    }

    /// Hashes the next piece, of any length.
    pub fn update(&mut self, piece: &[u8]) {
        self.context.update(piece);
    }

    /// The hash of all pieces.
    #[must_use]
    pub fn finish(self) -> Hash {
        Hash {
            digest: self.digest,
            octets: self.context.finish(),
        }
    }
}

/// SHA-256 of a whole message, as an array of 32 octets.
#[must_use]
pub fn sha256(message: &[u8]) -> [u8; 32] {
    let mut octets = [0; 32];
    octets.copy_from_slice(Digest::Sha256.of(message).as_bytes());
    octets
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::crypto::vectors::hex;

    #[test]
    fn hashes_abc_as_fips_180_4_does() {
        let expected = [
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed
             8086072ba1e7cc2358baeca134c825a7",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ];
        for (digest, expected) in Digest::ALL.into_iter().zip(expected) {
            let hash = digest.of(b"abc");
            assert_eq!(hash.as_bytes(), hex(expected), "{digest}");
            assert_eq!(hash.as_bytes().len(), digest.len());
            assert_eq!(hash.digest(), digest);

            let mut hasher = Hasher::new(digest);
            hasher.update(b"a");
            hasher.update(b"");
            hasher.update(b"bc");
            assert_eq!(hasher.finish(), hash);
        }
        assert_eq!(sha256(b"abc")[..], hex(expected[0]));
    }

    #[test]
    fn hashes_by_different_functions_differ() {
        assert_ne!(Digest::Sha256.of(b""), Digest::Sha384.of(b""));
        assert!(format!("{:?}", Digest::Sha256.of(b"abc")).starts_with("SHA-256:ba7816bf"));
    }
}
