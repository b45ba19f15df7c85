//! Keys in files: a PEM block. A session key has `Name: value` lines above it.

use std::borrow::Cow;
use std::fmt::Write as _;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::session_secret::SessionSecret;
use super::{Error, PassphraseError};
use crate::asn1::{pem, text};
use crate::crypto::pbes2::EncryptedKey;
use crate::crypto::{self, Secret};
use crate::pki::{self, PublicKey};
use crate::session::{KeyId, PrivateSessionKey, PublicSessionKey};

/// The identity key in a `PUBLIC KEY` block.
pub(crate) fn public_key_from_pem(octets: &[u8]) -> Result<PublicKey, Error> {
    let blocks = pem::blocks(octets)?;
    let block = blocks.iter().find(|block| block.label == pem::PUBLIC_KEY);
    Ok(PublicKey::parse(
        &block
            .ok_or(crate::asn1::Error::Value("public key"))?
            .contents,
    )?)
}

/// The lines above a PEM block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

/// The header with a session key's id.
const KEY_ID: &str = "Key-Id";

impl Headers {
    /// Reads the lines above a PEM block. Lines of any other form are comments.
    #[must_use]
    pub fn parse(preamble: &str) -> Self {
        let pairs = preamble.lines().filter_map(|line| line.split_once(':'));
        Self(
            pairs
                .map(|(name, value)| {
                    let name = name.trim_start_matches(text::MARK).trim();
                    (name.to_owned(), value.trim().to_owned())
                })
                .collect(),
        )
    }

    /// The value of a header, if there is one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The time that a header gives, if it is valid.
    #[must_use]
    pub fn date(&self, name: &str) -> Option<Timestamp> {
        self.get(name).and_then(|value| value.parse().ok())
    }

    /// Sets a header.
    pub fn set(&mut self, name: &str, value: &impl ToString) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value.to_string(),
            None => self.0.push((name.to_owned(), value.to_string())),
        }
    }

    /// The session key id, if a header gives one.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn key_id(&self) -> Result<Option<KeyId>, Error> {
        Ok(self.get(KEY_ID).map(str::parse).transpose()?)
    }

    /// The lines.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.0 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name}: {value}");
        }
        text
    }
}

/// A public session key with its headers, as text.
#[must_use]
pub fn public_to_text(key: &PublicSessionKey, headers: &Headers) -> String {
    let mut all = Headers::default();
    all.set(KEY_ID, key.id());
    all.0
        .extend(headers.0.iter().filter(|(name, _)| name != KEY_ID).cloned());
    all.to_text() + &pem::encode(pem::PUBLIC_KEY, &key.spki())
}

/// Parses the text of [`public_to_text`].
///
/// # Errors
/// When the key or its id is missing or malformed.
pub fn public_from_text(text: &[u8]) -> Result<(PublicSessionKey, Headers), Error> {
    let blocks = pem::blocks(text)?;
    let block = blocks.iter().find(|block| block.label == pem::PUBLIC_KEY);
    let block = block.ok_or(crate::asn1::Error::Value("public key"))?;
    let headers = Headers::parse(block.preamble);
    let id = headers.key_id()?.ok_or(crate::session::Error::KeyId)?;
    Ok((PublicSessionKey::from_spki(id, &block.contents)?, headers))
}

/// Decrypts a private key, and returns its PKCS#8.
pub type OpenKey<'a> = &'a dyn Fn(&EncryptedKey) -> Result<Secret, Error>;

/// The octets of a private key file, PEM or DER, and the text above the PEM block. They are PKCS#8, or
/// PKCS#1 or SEC 1 where the label of the block says so. An encrypted key is opened by `open`.
///
/// # Errors
/// When it is PEM without a private key, or malformed, and those of `open`.
pub fn pkcs8_from_text<'a>(
    text: &'a [u8],
    open: OpenKey<'_>,
) -> Result<(Secret, Cow<'a, str>), Error> {
    let block = pem::key_block(text)?;
    match encrypted(&block)? {
        Some(encrypted) => Ok((open(&encrypted)?, block.preamble)),
        None => Ok((block.octets.into(), block.preamble)),
    }
}

/// Whether a private key file, PEM or DER, holds an encrypted key.
///
/// # Errors
/// When it is PEM without a private key, malformed, or encrypted in a way that is not supported.
pub fn is_encrypted(text: &[u8]) -> Result<bool, Error> {
    Ok(encrypted(&pem::key_block(text)?)?.is_some())
}

fn encrypted(block: &pem::KeyBlock<'_>) -> Result<Option<EncryptedKey>, Error> {
    let is_it = match block.label {
        Some(label) => label == pem::ENCRYPTED_PRIVATE_KEY,
        None => EncryptedKey::is_in(&block.octets),
    };
    if !is_it {
        return Ok(None);
    }
    match EncryptedKey::parse(&block.octets) {
        Ok(encrypted) => Ok(Some(encrypted)),
        Err(error @ (crypto::Error::Costly | crypto::Error::Encryption(_))) => {
            Err(PassphraseError::Refused(error).into())
        }
        Err(error) => Err(pki::Error::PrivateKey(error).into()),
    }
}

/// A private session key with its headers, as text that is zeroed when it is dropped; encrypted if there is
/// a password for that.
///
/// # Errors
/// When the key cannot be encoded.
pub fn private_to_text(
    key: &PrivateSessionKey,
    headers: &Headers,
    secret: Option<&SessionSecret>,
) -> Result<Zeroizing<String>, Error> {
    let mut all = Headers::default();
    all.set(KEY_ID, key.public().id());
    all.0
        .extend(headers.0.iter().filter(|(name, _)| name != KEY_ID).cloned());
    let block = pkcs8_to_block(key.to_pkcs8()?.as_bytes(), secret)?;
    let lines = all.to_text();
    // Allocated at its full size: growing would leave a copy of the key in freed memory.
    let mut text = Zeroizing::new(String::with_capacity(lines.len() + block.len()));
    text.push_str(&lines);
    text.push_str(&block);
    Ok(text)
}

/// The PEM block of a PKCS#8 key; encrypted if there is a password for that.
///
/// # Errors
/// When it cannot be encoded.
fn pkcs8_to_block(
    pkcs8: &[u8],
    secret: Option<&SessionSecret>,
) -> Result<Zeroizing<String>, Error> {
    Ok(match secret {
        Some(secret) => pem::encode(pem::ENCRYPTED_PRIVATE_KEY, &secret.seal(pkcs8)?).into(),
        None => pem::encode_private_key(pkcs8)?,
    })
}

/// The lines above the first PEM block of a text.
#[must_use]
pub fn headers_of(text: &[u8]) -> Headers {
    Headers::parse(&String::from_utf8_lossy(&text[..block_start(text)]))
}

/// The PEM block of a text, with other headers above it.
#[must_use]
pub fn with_headers(text: &[u8], headers: &Headers) -> Zeroizing<Vec<u8>> {
    let block = &text[block_start(text)..];
    let lines = headers.to_text();
    // As above: growing would leave a copy of the key.
    let mut changed = Zeroizing::new(Vec::with_capacity(lines.len() + block.len()));
    changed.extend_from_slice(lines.as_bytes());
    changed.extend_from_slice(block);
    changed
}

/// The lines above the PEM block of a text, with this PKCS#8 key below them; encrypted if there is a
/// password for that.
///
/// # Errors
/// When the key cannot be encoded.
pub(super) fn with_key(
    text: &[u8],
    pkcs8: &[u8],
    secret: Option<&SessionSecret>,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let block = pkcs8_to_block(pkcs8, secret)?;
    let lines = &text[..block_start(text)];
    let mut changed = Zeroizing::new(Vec::with_capacity(lines.len() + block.len()));
    changed.extend_from_slice(lines);
    changed.extend_from_slice(block.as_bytes());
    Ok(changed)
}

/// The offset of the first PEM block; the length of the text if there is none.
fn block_start(text: &[u8]) -> usize {
    text.windows(pem::BEGIN.len())
        .position(|window| window == pem::BEGIN)
        .unwrap_or(text.len())
}

/// Parses a private session key, PEM or DER; an encrypted one is opened by `open`. `id` overrides the id in the headers. Without either,
/// the key gets a placeholder. Returns also whether the key has its real id.
///
/// # Errors
/// When the key or its id is malformed, and those of `open`.
pub fn private_from_text(
    text: &[u8],
    id: Option<KeyId>,
    open: OpenKey<'_>,
) -> Result<(PrivateSessionKey, Headers, bool), Error> {
    let (pkcs8, preamble) = pkcs8_from_text(text, open)?;
    let headers = Headers::parse(&preamble);
    let named = match id {
        Some(id) => Some(id),
        None => headers.key_id()?,
    };
    let has_id = named.is_some();
    let id = named.map_or_else(|| KeyId::new(&[0]), Ok)?;
    Ok((
        PrivateSessionKey::from_pkcs8(id, pkcs8.as_bytes())?,
        headers,
        has_id,
    ))
}
