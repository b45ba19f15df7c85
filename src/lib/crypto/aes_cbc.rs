//! AES-CBC with the padding of PKCS#7 (SP 800-38A §6.2, RFC 5652 §6.3), as CMS names it (RFC 3565
//! §2.1).
//!
//! CBC does not protect integrity: verify the signature around a ciphertext before decrypting it.
//! Every failure to decrypt is the same error, so that none tells of the padding.

use std::ops::Range;

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::array::Array;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncBackend,
    BlockModeEncClosure, BlockModeEncrypt, BlockSizeUser, KeyInit, KeyIvInit, consts::U16,
};
use sha2::{Digest as _, Sha256};

use super::Error;

/// The length of a block, and of an initialization vector, in octets.
pub const BLOCK_LEN: usize = 16;

/// The length of the ciphertext of a plaintext of `len` octets: 1 to 16 more, a multiple of 16.
#[must_use]
pub const fn encrypted_len(len: usize) -> usize {
    len - len % BLOCK_LEN + BLOCK_LEN
}

/// Octets encrypted before they are hashed: enough for the processor to start encrypting the next
/// ones while it hashes these.
const STEP: usize = 128;

/// The block length of SHA-256, in octets.
const HASHED_AT_ONCE: usize = 64;

/// Pads the plaintext `buf[from..]`, which grows by 1 to 16 octets to [`encrypted_len`] and is not
/// reallocated when it has the capacity for them.
///
/// # Errors
/// [`Error::Range`] when `from` is after the end; the buffer is then unchanged.
pub fn pad(buf: &mut Vec<u8>, from: usize) -> Result<(), Error> {
    let len = buf.len().checked_sub(from).ok_or(Error::Range)?;
    let padding = encrypted_len(len) - len;
    buf.reserve_exact(padding);
    // At most a block, so the length fits an octet.
    buf.resize(buf.len() + padding, padding.to_le_bytes()[0]);
    Ok(())
}

/// Encrypts `value[content]` in place, and returns the SHA-256 of the whole value, ciphertext
/// included.
///
/// `content` was padded by [`pad`]. `key` has 16, 24 or 32 octets; `iv` is random and new for every
/// message. In both algorithms each block depends on the one before. In one pass they take hardly
/// longer than one of them alone, since the processor works on one while the other waits.
///
/// # Errors
/// [`Error::KeyLength`], and [`Error::Range`] when `content` is not within the value or not whole
/// blocks; the value is then unchanged.
pub fn encrypt_and_hash(
    key: &[u8],
    iv: &[u8; BLOCK_LEN],
    value: &mut [u8],
    content: Range<usize>,
) -> Result<[u8; 32], Error> {
    let len = value.get(content.clone()).ok_or(Error::Range)?.len();
    if !len.is_multiple_of(BLOCK_LEN) {
        return Err(Error::Range);
    }
    match key.len() {
        16 => encrypt_with::<Aes128>(key, iv, value, content),
        24 => encrypt_with::<Aes192>(key, iv, value, content),
        32 => encrypt_with::<Aes256>(key, iv, value, content),
        found => Err(Error::KeyLength { found }),
    }
}

/// Decrypts the buffer in place, and returns the length of the plaintext, which is at its start.
///
/// `key` has 16, 24 or 32 octets. The padding follows the plaintext.
///
/// # Errors
/// [`Error::KeyLength`], and [`Error::Decrypt`] when the ciphertext is empty or not whole blocks,
/// or its padding is wrong; the buffer is then garbage.
pub fn decrypt_in_place(key: &[u8], iv: &[u8; BLOCK_LEN], buf: &mut [u8]) -> Result<usize, Error> {
    match key.len() {
        16 => decrypt_with::<Aes128>(key, iv, buf),
        24 => decrypt_with::<Aes192>(key, iv, buf),
        32 => decrypt_with::<Aes256>(key, iv, buf),
        found => Err(Error::KeyLength { found }),
    }
}

fn encrypt_with<C>(
    key: &[u8],
    iv: &[u8; BLOCK_LEN],
    value: &mut [u8],
    content: Range<usize>,
) -> Result<[u8; 32], Error>
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let mut sha256 = Sha256::new();
    cbc::Encryptor::<C>::new_from_slices(key, iv)
        .map_err(|_| Error::KeyLength { found: key.len() })?
        .encrypt_with_backend(OnePass {
            value,
            content,
            sha256: &mut sha256,
        });
    Ok(sha256.finalize().into())
}

/// Hashes a value while a part of it is encrypted.
struct OnePass<'a> {
    value: &'a mut [u8],
    content: Range<usize>,
    sha256: &'a mut Sha256,
}

impl BlockSizeUser for OnePass<'_> {
    type BlockSize = U16;
}

impl BlockModeEncClosure for OnePass<'_> {
    #[inline]
    fn call<B: BlockModeEncBackend<BlockSize = U16>>(self, backend: &mut B) {
        let Self {
            value,
            content,
            sha256,
        } = self;
        let mut encrypted = content.start;
        // The hash starts with the headers before the content, which are final already.
        let mut hashed = 0;
        while encrypted < content.end {
            let end = content.end.min(encrypted + STEP);
            let (blocks, _) = Array::slice_as_chunks_mut(&mut value[encrypted..end]);
            for block in blocks {
                backend.encrypt_block(block.into());
            }
            encrypted = end;
            // Whole blocks are hashed where they are; a part of one would be copied into the
            // hasher.
            let whole = end - end % HASHED_AT_ONCE;
            sha256.update(&value[hashed..whole]);
            hashed = whole;
        }
        // The rest of the last block, and the octets after the content.
        sha256.update(&value[hashed..]);
    }
}

fn decrypt_with<C>(key: &[u8], iv: &[u8; BLOCK_LEN], buf: &mut [u8]) -> Result<usize, Error>
where
    C: KeyInit + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
{
    cbc::Decryptor::<C>::new_from_slices(key, iv)
        .map_err(|_| Error::KeyLength { found: key.len() })?
        .decrypt_padded::<Pkcs7>(buf)
        .map(<[u8]>::len)
        .map_err(|_| Error::Decrypt)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::hash;
    use crate::crypto::vectors::hex;

    /// SP 800-38A §F.2.1, §F.2.3 and §F.2.5: key and ciphertext.
    const SP_800_38A: [(&str, &str); 3] = [
        (
            "2b7e151628aed2a6abf7158809cf4f3c",
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2
             73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
        ),
        (
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a
             571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd",
        ),
        (
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d
             39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
        ),
    ];
    const PLAINTEXT: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51
                             30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";

    /// Pads `buf[from..]` and encrypts it; the hash is that of all.
    fn encrypt(key: &[u8], iv: &[u8; 16], buf: &mut Vec<u8>, from: usize) -> Result<(), Error> {
        pad(buf, from)?;
        let content = from..buf.len();
        let sha256 = encrypt_and_hash(key, iv, buf, content)?;
        assert_eq!(sha256, hash::sha256(buf));
        Ok(())
    }

    fn iv() -> [u8; 16] {
        std::array::from_fn(|at| u8::try_from(at).unwrap())
    }

    #[test]
    fn encrypts_and_decrypts_as_sp_800_38a_does() {
        for (key, expected) in SP_800_38A {
            let (key, expected, plaintext) = (hex(key), hex(expected), hex(PLAINTEXT));
            let mut buf = plaintext.clone();
            encrypt(&key, &iv(), &mut buf, 0).unwrap();
            assert_eq!(buf.len(), 80, "a block of padding follows whole blocks");
            assert_eq!(buf[..64], expected);
            assert_eq!(decrypt_in_place(&key, &iv(), &mut buf), Ok(64));
            assert_eq!(buf[..64], plaintext);
            assert_eq!(buf[64..], [16; 16]);
        }
    }

    #[test]
    fn grows_in_place() {
        let mut buf = Vec::with_capacity(100 + encrypted_len(5));
        buf.resize(105, 7);
        let place = buf.as_ptr();
        encrypt(&[1; 16], &iv(), &mut buf, 100).unwrap();
        assert_eq!((buf.as_ptr(), buf.len()), (place, 116));
        assert_eq!(buf[..100], [7; 100]);
        assert_eq!(decrypt_in_place(&[1; 16], &iv(), &mut buf[100..]), Ok(5));
        assert_eq!(buf[100..105], [7; 5]);
    }

    #[test]
    fn refuses_bad_padding_and_lengths_alike() {
        for len in [0, 1, 15, 17, 31] {
            let error = decrypt_in_place(&[0; 16], &iv(), &mut vec![0; len]);
            assert_eq!(error, Err(Error::Decrypt), "{len} octets");
        }
        // Paddings of length 0, of length 17, and with an octet that differs.
        for last in [[5; 16].map(|_| 0), [17; 16], {
            let mut last = [4; 16];
            last[13] = 3;
            last
        }] {
            let mut buf = last.to_vec();
            encrypt(&[9; 32], &iv(), &mut buf, 0).unwrap();
            let error = decrypt_in_place(&[9; 32], &iv(), &mut buf[..16]);
            assert_eq!(error, Err(Error::Decrypt), "{last:?}");
        }
    }

    #[test]
    fn refuses_other_keys_and_ranges() {
        let mut buf = vec![1; 48];
        let mut refused = |key_len, content| {
            let refused = encrypt_and_hash(&vec![0; key_len], &iv(), &mut buf, content);
            assert_eq!(buf, [1; 48]);
            refused.err()
        };
        let found = 20;
        assert_eq!(refused(20, 0..48), Some(Error::KeyLength { found }));
        for content in [0..47, 1..48, 16..64, 64..80, Range { start: 32, end: 16 }] {
            assert_eq!(refused(16, content), Some(Error::Range));
        }
        let key = Error::KeyLength { found };
        assert_eq!(decrypt_in_place(&[0; 20], &iv(), &mut buf), Err(key));

        let mut buf = vec![1, 2, 3];
        assert_eq!(pad(&mut buf, 4), Err(Error::Range));
        assert_eq!(buf, [1, 2, 3]);
        encrypt(&[0; 16], &iv(), &mut buf, 3).unwrap();
        assert_eq!(decrypt_in_place(&[0; 16], &iv(), &mut buf[3..]), Ok(0));
    }

    /// `cargo test --release -- --ignored --nocapture aes_cbc`: about 6.2 and 1.6 ms; SHA-256 alone
    /// takes 5.5 ms.
    #[test]
    #[ignore = "a measurement"]
    fn times_eight_million_octets() {
        let mut buf = Vec::with_capacity(8_388_608 + 16);
        buf.resize(8_388_600, 0x55);
        pad(&mut buf, 0).unwrap();
        let start = std::time::Instant::now();
        let all = 0..buf.len();
        encrypt_and_hash(&[1; 16], &iv(), &mut buf, all).unwrap();
        let encrypted = start.elapsed();
        let start = std::time::Instant::now();
        decrypt_in_place(&[1; 16], &iv(), &mut buf).unwrap();
        println!(
            "encrypt and hash {encrypted:?}, decrypt {:?}",
            start.elapsed()
        );
    }

    proptest! {
        #[test]
        fn decrypts_what_it_encrypts(
            key in any::<[u8; 32]>(),
            key_len in prop::sample::select(vec![16_usize, 24, 32]),
            iv in any::<[u8; 16]>(),
            plaintext in prop::collection::vec(any::<u8>(), 0..700),
            behind in prop::collection::vec(any::<u8>(), 0..200),
            from in any::<prop::sample::Index>(),
        ) {
            let from = from.index(plaintext.len() + 1);
            let mut buf = plaintext.clone();
            pad(&mut buf, from).unwrap();
            prop_assert_eq!(buf.len(), from + encrypted_len(plaintext.len() - from));
            let content = from..buf.len();
            buf.extend_from_slice(&behind);
            let sha256 = encrypt_and_hash(&key[..key_len], &iv, &mut buf, content.clone()).unwrap();
            prop_assert_eq!(sha256, hash::sha256(&buf));
            prop_assert_eq!(&buf[content.end..], &behind[..]);
            buf.truncate(content.end);
            let len = decrypt_in_place(&key[..key_len], &iv, &mut buf[from..]).unwrap();
            prop_assert_eq!(&buf[..from + len], &plaintext[..]);
        }
    }
}
