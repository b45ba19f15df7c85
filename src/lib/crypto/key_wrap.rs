//! AES key wrap (RFC 3394), as CMS names it (RFC 3565 §2.3.2).

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U16};
use aes::{Aes128, Aes192, Aes256};
use aes_kw::{AesKw, IV_LEN, InnerInit};
use zeroize::Zeroizing;

use super::{Error, Secret};

/// Wraps a key of 16, 24 or 32 octets under a key-encryption key of 16, 24 or 32 octets (RFC 3394
/// §2.2.1).
///
/// The result has 8 octets more than the key. The same keys always give the same result.
///
/// # Errors
/// [`Error::KeyLength`] when either key has another length.
pub fn wrap(kek: &[u8], key: &[u8]) -> Result<Vec<u8>, Error> {
    match kek.len() {
        16 => wrap_with::<Aes128>(kek, key),
        24 => wrap_with::<Aes192>(kek, key),
        32 => wrap_with::<Aes256>(kek, key),
        found => Err(Error::KeyLength { found }),
    }
}

/// Unwraps a key of 16, 24 or 32 octets from 24, 32 or 40 (RFC 3394 §2.2.2).
///
/// # Errors
/// [`Error::KeyLength`] when the key-encryption key is not of 16, 24 or 32 octets;
/// [`Error::Decrypt`] when the wrapped key has another length, was changed, or was wrapped under
/// another key.
pub fn unwrap(kek: &[u8], wrapped: &[u8]) -> Result<Secret, Error> {
    match kek.len() {
        16 => unwrap_with::<Aes128>(kek, wrapped),
        24 => unwrap_with::<Aes192>(kek, wrapped),
        32 => unwrap_with::<Aes256>(kek, wrapped),
        found => Err(Error::KeyLength { found }),
    }
}

fn wrap_with<C>(kek: &[u8], key: &[u8]) -> Result<Vec<u8>, Error>
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    if !matches!(key.len(), 16 | 24 | 32) {
        return Err(Error::KeyLength { found: key.len() });
    }
    let cipher = C::new_from_slice(kek).map_err(|_| Error::KeyLength { found: kek.len() })?;
    let mut wrapped = vec![0; key.len() + IV_LEN];
    AesKw::inner_init(cipher)
        .wrap_key(key, &mut wrapped)
        .map_err(|_| Error::KeyLength { found: key.len() })?;
    Ok(wrapped)
}

fn unwrap_with<C>(kek: &[u8], wrapped: &[u8]) -> Result<Secret, Error>
where
    C: KeyInit + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
{
    // The same error as a failed check, so that nothing is learned from the difference.
    if !matches!(wrapped.len(), 24 | 32 | 40) {
        return Err(Error::Decrypt);
    }
    let cipher = C::new_from_slice(kek).map_err(|_| Error::KeyLength { found: kek.len() })?;
    // Wiped also when unwrapping fails.
    let mut key = Zeroizing::new(vec![0; wrapped.len() - IV_LEN]);
    AesKw::inner_init(cipher)
        .unwrap_key(wrapped, &mut key)
        .map_err(|_| Error::Decrypt)?;
    Ok(key.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::vectors::hex;

    /// RFC 3394 §4.1 to §4.6: the length of both keys, and the wrapped key.
    const RFC_3394: [(usize, usize, &str); 6] = [
        (16, 16, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"),
        (24, 16, "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d"),
        (32, 16, "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"),
        (
            24,
            24,
            "031d33264e15d33268f24ec260743edce1c6c7ddee725a936ba814915c6762d2",
        ),
        (
            32,
            24,
            "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1",
        ),
        (
            32,
            32,
            "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
        ),
    ];

    #[test]
    fn wraps_and_unwraps_as_rfc_3394_does() {
        let kek: Vec<u8> = (0..32).collect();
        let key = hex("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f");
        for (kek_len, key_len, expected) in RFC_3394 {
            let (kek, key, expected) = (&kek[..kek_len], &key[..key_len], hex(expected));
            assert_eq!(wrap(kek, key).unwrap(), expected);
            assert_eq!(unwrap(kek, &expected).unwrap().as_bytes(), key);
        }
    }

    #[test]
    fn refuses_other_lengths() {
        assert_eq!(
            wrap(&[0; 15], &[0; 16]),
            Err(Error::KeyLength { found: 15 })
        );
        assert_eq!(
            wrap(&[0; 16], &[0; 40]),
            Err(Error::KeyLength { found: 40 })
        );
        assert_eq!(wrap(&[0; 16], &[]), Err(Error::KeyLength { found: 0 }));
        let error = |kek: &[u8], wrapped: &[u8]| unwrap(kek, wrapped).err();
        assert_eq!(
            error(&[0; 17], &[0; 24]),
            Some(Error::KeyLength { found: 17 })
        );
        for len in [0, 8, 16, 23, 25, 48] {
            assert_eq!(
                error(&[0; 16], &vec![0; len]),
                Some(Error::Decrypt),
                "{len}"
            );
        }
    }

    proptest! {
        #[test]
        fn unwraps_what_it_wraps(
            kek in any::<[u8; 32]>(),
            key in any::<[u8; 32]>(),
            kek_len in prop::sample::select(vec![16_usize, 24, 32]),
            key_len in prop::sample::select(vec![16_usize, 24, 32]),
            at in any::<prop::sample::Index>(),
        ) {
            let (kek, key) = (&kek[..kek_len], &key[..key_len]);
            let mut wrapped = wrap(kek, key).unwrap();
            let unwrapped = unwrap(kek, &wrapped).unwrap();
            prop_assert_eq!(unwrapped.as_bytes(), key);
            let at = at.index(wrapped.len());
            wrapped[at] ^= 1;
            prop_assert_eq!(unwrap(kek, &wrapped).err(), Some(Error::Decrypt));
        }
    }
}
