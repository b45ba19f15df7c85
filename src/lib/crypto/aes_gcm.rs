//! AES-GCM (SP 800-38D), as CMS names it (RFC 5084 §3.2).
//!
//! Sealing always takes a nonce of 12 octets and produces a tag of 16. Opening also accepts the
//! nonces of 16 octets that deployed JavaScript makes, and tags down to 12 octets, the default of
//! RFC 5084.

use ::aes_gcm::aead::consts::{U12, U13, U14, U15, U16};
use ::aes_gcm::aead::{AeadInOut, array::ArraySize};
use ::aes_gcm::{AesGcm, KeyInit, Nonce, Tag, TagSize};
use aes::cipher::{BlockCipherEncrypt, BlockSizeUser};
use aes::{Aes128, Aes192, Aes256};
use ring::aead;

use super::Error;

/// The length of a nonce when sealing, in octets.
pub const NONCE_LEN: usize = 12;

/// The length of a tag when sealing, in octets.
pub const TAG_LEN: usize = 16;

/// Encrypts the buffer in place, except its last 16 octets, which are replaced by the tag.
///
/// `key` has 16, 24 or 32 octets. A nonce must never be used twice with a key. `aad` is
/// authenticated but not encrypted, and usually empty.
///
/// # Errors
/// [`Error::KeyLength`], and [`Error::Range`] when the buffer has no space for the tag or over 64
/// GiB.
pub fn seal_in_place(
    key: &[u8],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buf: &mut [u8],
) -> Result<(), Error> {
    let (plaintext, place) = buf.split_last_chunk_mut().ok_or(Error::Range)?;
    let tag: [u8; TAG_LEN] = match ring_key(key) {
        Some(key) => {
            let nonce = aead::Nonce::assume_unique_for_key(*nonce);
            let tag = key
                .seal_in_place_separate_tag(nonce, aead::Aad::from(aad), plaintext)
                .map_err(|_| Error::Range)?;
            let mut octets = [0; TAG_LEN];
            octets.copy_from_slice(tag.as_ref());
            octets
        }
        // ring has no AES-192; any other length is an error.
        None => AesGcm::<Aes192, U12>::new_from_slice(key)
            .map_err(|_| Error::KeyLength { found: key.len() })?
            .encrypt_inout_detached(nonce.into(), aad, plaintext.into())
            .map_err(|_| Error::Range)?
            .into(),
    };
    *place = tag;
    Ok(())
}

/// Checks and decrypts the buffer, which ends with a tag of `tag_len` octets, in place; returns the
/// length of the plaintext, which is at its start.
///
/// `key` has 16, 24 or 32 octets, `nonce` 12 or 16, and the tag 12 to 16.
///
/// # Errors
/// [`Error::KeyLength`], [`Error::NonceLength`] and [`Error::TagLength`] for parameters out of
/// range, and [`Error::Decrypt`] when the tag does not match or the buffer is shorter than it; the
/// buffer is then garbage.
pub fn open_in_place(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    tag_len: usize,
    buf: &mut [u8],
) -> Result<usize, Error> {
    if !matches!(key.len(), 16 | 24 | 32) {
        return Err(Error::KeyLength { found: key.len() });
    }
    if !(12..=TAG_LEN).contains(&tag_len) {
        return Err(Error::TagLength { found: tag_len });
    }
    if !matches!(nonce.len(), 12 | 16) {
        return Err(Error::NonceLength { found: nonce.len() });
    }
    // ring supports only nonces of 12 octets and tags of 16; other forms go to the slower crate.
    if tag_len == TAG_LEN
        && let Some(key) = ring_key(key)
        && let Ok(nonce) = aead::Nonce::try_assume_unique_for_key(nonce)
    {
        return key
            .open_in_place(nonce, aead::Aad::from(aad), buf)
            .map(|plaintext| plaintext.len())
            .map_err(|_| Error::Decrypt);
    }
    match key.len() {
        16 => open_with::<Aes128>(key, nonce, aad, tag_len, buf),
        24 => open_with::<Aes192>(key, nonce, aad, tag_len, buf),
        _ => open_with::<Aes256>(key, nonce, aad, tag_len, buf),
    }
}

/// The key for ring, which is by far the fastest; `None` for AES-192, which it does not have.
fn ring_key(key: &[u8]) -> Option<aead::LessSafeKey> {
    let algorithm = match key.len() {
        16 => &aead::AES_128_GCM,
        32 => &aead::AES_256_GCM,
        _ => return None,
    };
    aead::UnboundKey::new(algorithm, key)
        .map(aead::LessSafeKey::new)
        .ok()
}

fn open_with<C>(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    tag_len: usize,
    buf: &mut [u8],
) -> Result<usize, Error>
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let plaintext_len = buf.len().checked_sub(tag_len).ok_or(Error::Decrypt)?;
    let (ciphertext, tag) = buf.split_at_mut(plaintext_len);
    // The crate has both lengths in its types, so each pair is another function.
    let open = match (nonce.len(), tag_len) {
        (12, 12) => open_exactly::<C, U12, U12>,
        (12, 13) => open_exactly::<C, U12, U13>,
        (12, 14) => open_exactly::<C, U12, U14>,
        (12, 15) => open_exactly::<C, U12, U15>,
        (12, _) => open_exactly::<C, U12, U16>,
        (_, 12) => open_exactly::<C, U16, U12>,
        (_, 13) => open_exactly::<C, U16, U13>,
        (_, 14) => open_exactly::<C, U16, U14>,
        (_, 15) => open_exactly::<C, U16, U15>,
        (_, _) => open_exactly::<C, U16, U16>,
    };
    open(key, nonce, aad, ciphertext, tag)?;
    Ok(plaintext_len)
}

fn open_exactly<C, N, T>(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    ciphertext: &mut [u8],
    tag: &[u8],
) -> Result<(), Error>
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
    N: ArraySize,
    T: TagSize,
{
    let nonce = <&Nonce<N>>::try_from(nonce).map_err(|_| Error::Decrypt)?;
    let tag = <&Tag<T>>::try_from(tag).map_err(|_| Error::Decrypt)?;
    AesGcm::<C, N, T>::new_from_slice(key)
        .map_err(|_| Error::KeyLength { found: key.len() })?
        .decrypt_inout_detached(nonce, aad, ciphertext.into(), tag)
        .map_err(|_| Error::Decrypt)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::vectors::hex;

    /// The plaintext, and room for the tag.
    fn with_room(plaintext: &[u8]) -> Vec<u8> {
        [plaintext, &[0xff; TAG_LEN]].concat()
    }

    /// `McGrew` and Viega, *The Galois/Counter Mode of Operation*, test case 4.
    #[test]
    fn seals_test_case_4() {
        let key = hex("feffe9928665731c6d6a8f9467308308");
        let nonce: [u8; 12] = hex("cafebabefacedbaddecaf888").try_into().unwrap();
        let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let plaintext = hex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        );
        let sealed = hex(
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091
             5bc94fbc3221a5db94fae95ae7121a47",
        );
        let mut buf = with_room(&plaintext);
        seal_in_place(&key, &nonce, &aad, &mut buf).unwrap();
        assert_eq!(buf, sealed);
        assert_eq!(open_in_place(&key, &nonce, &aad, 16, &mut buf), Ok(60));
        assert_eq!(buf[..60], plaintext);
    }

    /// Made by OpenSSL through Python: lengths of key and nonce, ciphertext and tag. Keys count up
    /// from 0, nonces from 100; the additional data is `aad`.
    const OPENSSL: [(u8, u8, &str); 6] = [
        (
            16,
            12,
            "6a033cc6be6ecbdaef4c3666e3a60b8e49a81b90e7dbb43f86d0dd0368afa94c8ea160dd22546ce0f1",
        ),
        (
            16,
            16,
            "52976882d1a9e672135a8a7c56fc2ea36de76e83131b7ab2e36568b7c820b28bb8dc07e01fd424500e",
        ),
        (
            24,
            12,
            "9909c91f37c37d18a7a383779f9ebbdca4793da58ffb188af37a535e8f2deba92970a3f623e482c856",
        ),
        (
            24,
            16,
            "e656cafe74d93c6db3dc64fcf762c0b878592292908281d0b75852eb6acb0790d795a63f2c451bb7fb",
        ),
        (
            32,
            12,
            "387aac051c8525be4a103e9ebf094a9f3be26565fe1e9a17d50179f530f62160e46b393576ee33afe9",
        ),
        (
            32,
            16,
            "a8d23132817854f8c68bccff22bbcc0723513bafe99d896eb7e0afd19b09088326c6c89b693b436f74",
        ),
    ];
    const PLAINTEXT: &[u8] = b"parcels travel by courier";

    #[test]
    fn opens_what_openssl_seals() {
        for (key_len, nonce_len, sealed) in OPENSSL {
            let key: Vec<u8> = (0..key_len).collect();
            let nonce: Vec<u8> = (100..100 + nonce_len).collect();
            let sealed = hex(sealed);
            for tag_len in 12..=16 {
                let cut = sealed.len() - 16 + tag_len;
                let mut buf = sealed[..cut].to_vec();
                let opened = open_in_place(&key, &nonce, b"aad", tag_len, &mut buf);
                assert_eq!(opened, Ok(25), "{key_len} {nonce_len} {tag_len}");
                assert_eq!(&buf[..25], PLAINTEXT);

                let mut changed = sealed[..cut].to_vec();
                changed[cut - 1] ^= 1;
                let opened = open_in_place(&key, &nonce, b"aad", tag_len, &mut changed);
                assert_eq!(opened, Err(Error::Decrypt));
                let mut buf = sealed[..cut].to_vec();
                let opened = open_in_place(&key, &nonce, b"AAD", tag_len, &mut buf);
                assert_eq!(opened, Err(Error::Decrypt));
            }
            if let Ok(nonce) = nonce.try_into() {
                let mut buf = with_room(PLAINTEXT);
                seal_in_place(&key, &nonce, b"aad", &mut buf).unwrap();
                assert_eq!(buf, sealed);
            }
        }
    }

    #[test]
    fn refuses_other_parameters() {
        let mut buf = vec![0; 40];
        let mut open = |key: &[u8], nonce: &[u8], tag_len| {
            open_in_place(key, nonce, b"", tag_len, &mut buf).err()
        };
        assert_eq!(
            open(&[0; 20], &[0; 12], 16),
            Some(Error::KeyLength { found: 20 })
        );
        assert_eq!(
            open(&[0; 16], &[0; 8], 16),
            Some(Error::NonceLength { found: 8 })
        );
        assert_eq!(
            open(&[0; 16], &[], 16),
            Some(Error::NonceLength { found: 0 })
        );
        for tag_len in [0, 4, 8, 11, 17] {
            let error = Some(Error::TagLength { found: tag_len });
            assert_eq!(open(&[0; 16], &[0; 12], tag_len), error);
        }
        for (key_len, tag_len) in [(16, 16), (24, 16), (32, 12)] {
            let opened = open_in_place(&vec![0; key_len], &[0; 12], b"", tag_len, &mut [0; 11]);
            assert_eq!(opened, Err(Error::Decrypt), "shorter than its tag");
        }
        let mut buf = vec![0; 19];
        let sealed = seal_in_place(&[0; 20], &[0; 12], b"", &mut buf);
        assert_eq!(sealed, Err(Error::KeyLength { found: 20 }));
        let sealed = seal_in_place(&[0; 16], &[0; 12], b"", &mut buf[..15]);
        assert_eq!(sealed, Err(Error::Range));
        assert_eq!(buf, [0; 19]);
    }

    proptest! {
        #[test]
        fn opens_what_it_seals(
            key in any::<[u8; 32]>(),
            key_len in prop::sample::select(vec![16_usize, 24, 32]),
            nonce in any::<[u8; 12]>(),
            aad in prop::collection::vec(any::<u8>(), 0..20),
            plaintext in prop::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
        ) {
            let key = &key[..key_len];
            let mut buf = with_room(&plaintext);
            seal_in_place(key, &nonce, &aad, &mut buf).unwrap();
            let mut changed = buf.clone();
            prop_assert_eq!(open_in_place(key, &nonce, &aad, 16, &mut buf), Ok(plaintext.len()));
            prop_assert_eq!(&buf[..plaintext.len()], &plaintext[..]);
            let at = at.index(changed.len());
            changed[at] ^= 0x80;
            let opened = open_in_place(key, &nonce, &aad, 16, &mut changed);
            prop_assert_eq!(opened, Err(Error::Decrypt));
        }
    }
}
