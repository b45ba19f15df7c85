//! The key derivation function of ANSI X9.63 §5.6.3, the same as that of SEC 1 §3.6.1.

use zeroize::Zeroizing;

use super::{Digest, Hasher, Secret};

/// Derives `len` octets: the start of H(`z` ‖ 00000001 ‖ `shared_info`) ‖ H(`z` ‖ 00000002 ‖
/// `shared_info`) ‖ …
///
/// `z` is the result of [`agree`](super::ecdh::PrivateKey::agree). `shared_info` is the DER of
/// `ECC-CMS-SharedInfo` in CMS (RFC 5753 §7.2), and may be empty here. The counter has 32 bits, so
/// the output ends after 2³² − 1 hashes, more than memory holds.
#[must_use]
pub fn derive(digest: Digest, z: &[u8], shared_info: &[u8], len: usize) -> Secret {
    // Space for whole hashes, since a reallocation would leave a copy that is not wiped.
    let mut octets = Zeroizing::new(Vec::with_capacity(len.next_multiple_of(digest.len())));
    for counter in 1..=u32::MAX {
        if octets.len() >= len {
            break;
        }
        let mut hasher = Hasher::new(digest);
        hasher.update(z);
        hasher.update(&counter.to_be_bytes());
        hasher.update(shared_info);
        octets.extend_from_slice(hasher.finish().as_bytes());
    }
    octets.truncate(len);
    octets.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::crypto::vectors::hex;

    /// NIST CAVP, ANS X9.63 with SHA-256, first case.
    #[test]
    fn derives_the_nist_vector() {
        let z = hex("96c05619d56c328ab95fe84b18264b08725b85e33fd34f08");
        let key = derive(Digest::Sha256, &z, b"", 16);
        assert_eq!(key.as_bytes(), hex("443024c3dae66b95e6f5670601558f71"));
    }

    /// Computed with the X963KDF of Python's `cryptography`, over OpenSSL.
    #[test]
    fn derives_more_than_one_hash() {
        let z: Vec<u8> = (0..32).collect();
        let expected = [
            "a2ba25392f91013464ed530b7260876d7d85630fd24cd7894a49600ab4c7a8c33354555992b455eb
             e41e722867504954a4df484c1d3c0c1bdf6ecefb467afb36a3c7188e88fda97d332a145bdf22011d
             44d591cb579b49ac234d950bfb1ee52a0fc7d3cc",
            "fe47a5704e323b60d97fbdfa55af2525a9efc40096903d5429bde8357b7dbff91bcabad902d4268d
             e06cec789de712635a4e9611e1cb5d2c07520309d03456477a434792978183d5e527ef98fca9e070
             b561f32a93c0fe5b89dbef5366ffd127ace66a33",
            "690226c0e6ac85fe577d4e7f1751e44be3028e400b2a2f4c824cbe97e147b133e204741bb20286e1
             14d6907b66113c6f38396388e0000477725636aacd40db67b5fe27c2eb0f2c73ea5c5cd2d3037c60
             70681b3e28194d091a8fd39a5159b6b225843a99",
        ];
        for (digest, expected) in Digest::ALL.into_iter().zip(expected) {
            let expected = hex(expected);
            for len in [0, 1, 16, digest.len(), digest.len() + 1, 100] {
                let key = derive(digest, &z, b"shared info", len);
                assert_eq!(key.as_bytes(), &expected[..len], "{digest}, {len} octets");
            }
        }
    }
}
