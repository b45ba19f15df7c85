//! PEM: the textual form of keys, certificates, parameters and armored messages (RFC 7468).

use std::borrow::Cow;

use der::pem::LineEnding;
use zeroize::Zeroizing;

use super::{Error, text};

/// The start of the first line of every block.
pub const BEGIN: &[u8] = b"-----BEGIN ";
/// A PKCS#8 `EncryptedPrivateKeyInfo`.
pub const ENCRYPTED_PRIVATE_KEY: &str = "ENCRYPTED PRIVATE KEY";
/// A SubjectPublicKeyInfo.
pub const PUBLIC_KEY: &str = "PUBLIC KEY";
/// A PKCS#8 PrivateKeyInfo.
pub const PRIVATE_KEY: &str = "PRIVATE KEY";
/// A certificate; a path is several, leaf first.
pub const CERTIFICATE: &str = "CERTIFICATE";
/// Prefix of the labels of Relaynet's own objects, as in `RELAYNET PARCEL`.
pub const RELAYNET: &str = "RELAYNET ";
/// A parcel.
pub const PARCEL: &str = "RELAYNET PARCEL";
/// A parcel delivery deauthorization.
pub const PDD: &str = "RELAYNET PDD";
/// Connection parameters, of a private endpoint or a node on the Internet.
pub const CONNECTION_PARAMETERS: &str = "RELAYNET CONNECTION PARAMETERS";
/// A successor notice.
pub const SUCCESSOR_NOTICE: &str = "RELAYNET SUCCESSOR NOTICE";

/// A registration (PNR).
pub const REGISTRATION: &str = "RELAYNET REGISTRATION";
/// A gateway's promise to register a node (PNRA).
pub const REGISTRATION_AUTHORIZATION: &str = "RELAYNET REGISTRATION AUTHORIZATION";
/// A node's request to be registered (PNRR).
pub const REGISTRATION_REQUEST: &str = "RELAYNET REGISTRATION REQUEST";

/// One block, and the text above it.
#[derive(Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The text between the block before (or the start) and this one.
    pub preamble: &'a str,
    /// The text between `BEGIN` and the dashes.
    pub label: &'a str,
    /// The decoded octets.
    pub contents: Vec<u8>,
}

/// Whether the octets look like PEM: text with a block in it, or text in UTF-16, which is refused as such.
#[must_use]
pub fn is_pem(octets: &[u8]) -> bool {
    let is_wide = text::is_utf16(octets);
    let octets = text::without_mark(octets);
    is_wide
        || octets.starts_with(BEGIN)
        || (octets
            .first()
            .is_some_and(|first| first.is_ascii_graphic() || first.is_ascii_whitespace())
            && first_line_that_begins(octets).is_some())
}

fn first_line_that_begins(octets: &[u8]) -> Option<usize> {
    octets
        .windows(BEGIN.len())
        // Text above a block may have 64 KiB at most, as in streams of messages.
        .take(1 << 16)
        .enumerate()
        .find(|(at, window)| *window == BEGIN && is_line_start(&octets[..*at]))
        .map(|(at, _)| at)
}

/// Whether a line starts after these octets. Where files were joined, a byte order mark may stand there.
#[must_use]
pub fn is_line_start(before: &[u8]) -> bool {
    let before = before.strip_suffix(text::MARK.as_bytes()).unwrap_or(before);
    before.last().is_none_or(|octet| *octet == b'\n')
}

/// Decodes the blocks of a text, in their order; at least one.
///
/// # Errors
/// When a block is malformed, or the text has none.
pub fn blocks(octets: &[u8]) -> Result<Vec<Block<'_>>, Error> {
    let mut text = text(octets)?;
    let mut blocks = Vec::new();
    while let Some((preamble, label, body, rest)) = next_block(text)? {
        let contents = pem::parse(body.as_bytes())
            .map_err(|_| Error::Value("PEM"))?
            .into_contents();
        blocks.push(Block {
            preamble,
            label,
            contents,
        });
        text = rest;
    }
    if blocks.is_empty() {
        Err(Error::Value("PEM"))
    } else {
        Ok(blocks)
    }
}

fn text(octets: &[u8]) -> Result<&str, Error> {
    text::read(octets).map_err(|error| match error {
        Error::Utf16 => error,
        _ => Error::Value("PEM"),
    })
}

/// The text above a block, its label, the block with its boundary lines, and the text after it.
type Split<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Splits a text at its first block; `None` if it has none.
fn next_block(text: &str) -> Result<Option<Split<'_>>, Error> {
    let Some(begin) = first_line_that_begins(text.as_bytes()) else {
        return Ok(None);
    };
    let (preamble, block) = text.split_at(begin);
    let malformed = Error::Value("PEM");
    let (label, _) = block[BEGIN.len()..]
        .split_once("-----")
        .ok_or(malformed.clone())?;
    let end = format!("-----END {label}-----");
    let at = block.find(&end).ok_or(malformed)? + end.len();
    let (block, rest) = block.split_at(at);
    Ok(Some((
        preamble
            .trim_start_matches(text::MARK)
            .trim_end_matches(text::MARK),
        label,
        block,
        rest.trim_start_matches(['\r', '\n']),
    )))
}

/// Encodes octets as a PEM block with LF line ends.
#[must_use]
pub fn encode(label: &str, contents: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, contents), config)
}

/// Encodes a PKCS#8 key as PEM; the text is wiped when dropped.
///
/// # Errors
/// When it is too long to be a key.
pub fn encode_private_key(pkcs8: &[u8]) -> Result<Zeroizing<String>, Error> {
    // Not the `pem` crate, which keeps a copy that is not wiped.
    der::pem::encode_string(PRIVATE_KEY, LineEnding::LF, pkcs8)
        .map(Zeroizing::new)
        .map_err(|_| Error::Value("private key"))
}

/// A private key from a file.
#[derive(Debug)]
pub struct KeyBlock<'a> {
    /// PKCS#8, or PKCS#1 or SEC 1 where the label of the block says so; encrypted PKCS#8 if it says
    /// that, or perhaps if there is no block.
    pub octets: Zeroizing<Vec<u8>>,
    /// The text above the block.
    pub preamble: Cow<'a, str>,
    /// The label; `None` for DER.
    pub label: Option<&'a str>,
}

/// Extracts the octets of a private key file as [`key_block`] does, if the key is not encrypted.
///
/// # Errors
/// When it is PEM without a private key, or the key is encrypted.
pub fn private_key(octets: &[u8]) -> Result<(Zeroizing<Vec<u8>>, Cow<'_, str>), Error> {
    let block = key_block(octets)?;
    if block.label == Some(ENCRYPTED_PRIVATE_KEY) {
        return Err(Error::Unsupported("encrypted private key"));
    }
    Ok((block.octets, block.preamble))
}

/// Extracts the octets of a private key file, PEM or DER.
///
/// # Errors
/// When it is PEM without a private key.
pub fn key_block(octets: &[u8]) -> Result<KeyBlock<'_>, Error> {
    if !is_pem(octets) {
        return Ok(KeyBlock {
            octets: Zeroizing::new(octets.to_vec()),
            preamble: Cow::Borrowed(""),
            label: None,
        });
    }
    let text = text(octets)?;
    // OpenSSL writes EC keys with an `EC PARAMETERS` block above the key, so other blocks are
    // skipped.
    let mut rest = text;
    while let Some((preamble, label, block, after)) = next_block(rest)? {
        match label {
            PRIVATE_KEY | ENCRYPTED_PRIVATE_KEY | "EC PRIVATE KEY" | "RSA PRIVATE KEY" => {
                let (_, contents) =
                    der::pem::decode_vec(block.as_bytes()).map_err(|_| Error::Value("PEM"))?;
                return Ok(KeyBlock {
                    octets: Zeroizing::new(contents),
                    preamble: Cow::Borrowed(preamble),
                    label: Some(label),
                });
            }
            _ => rest = after,
        }
    }
    Err(Error::Value("private key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_blocks_with_text_above_come_in_order() {
        let text = format!(
            "Key-Id: 0a\n{}note\n{}",
            encode("PUBLIC KEY", b"one"),
            encode("CERTIFICATE", &[9; 100])
        );
        assert!(is_pem(text.as_bytes()));
        let blocks = blocks(text.as_bytes()).unwrap();
        assert_eq!(blocks.len(), 2);
        assert_eq!(
            (blocks[0].preamble, blocks[0].label),
            ("Key-Id: 0a\n", "PUBLIC KEY")
        );
        assert_eq!(blocks[0].contents, b"one");
        assert_eq!(
            (blocks[1].label, blocks[1].contents.len()),
            ("CERTIFICATE", 100)
        );
    }

    #[test]
    fn a_private_key_is_found_below_its_parameters() {
        let text = format!(
            "{}{}",
            encode("EC PARAMETERS", b"p"),
            *encode_private_key(&[3; 90]).unwrap()
        );
        assert_eq!(*private_key(text.as_bytes()).unwrap().0, [3; 90]);
        assert!(private_key(encode("PUBLIC KEY", b"p").as_bytes()).is_err());
        assert_eq!(*private_key(b"0der").unwrap().0, b"0der");
    }

    #[test]
    fn damaged_blocks_are_refused() {
        for bad in [
            "-----BEGIN X-----\nAAAA\n",
            "-----BEGIN X-----\n!!\n-----END X-----\n",
            "-----BEGIN ",
            "text",
        ] {
            assert!(blocks(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
