//! The text of the codes that phones read: a public key, or the digest of an object as a whole.
//!
//! The text has nothing but capitals, digits and a colon, which codes hold in 5.5 bits a character. What a scanner gives
//! back may be in lower case, wrapped, or begin with a byte order mark.

use super::{Error, malformed};
use crate::asn1::{self, Element, base32, hex::Hex, tag, text};
use crate::pki::{self, PublicKey};

/// What the text of a public key begins with; its SubjectPublicKeyInfo in base32 follows.
const KEY: &str = "RELAYKEY:";

/// What the text of a digest begins with; a SHA-256 in hexadecimal follows.
const DIGEST: &str = "RELAYEXPECT:";

/// What zbarimg and zbarcam write before the text.
const KIND_OF_CODE: &str = "QR-Code:";

/// The name of the text of a key in diagnostics.
pub const KEY_TEXT: &str = "RELAYKEY text";

/// The text for a public key.
#[must_use]
pub fn key_to_text(key: &PublicKey) -> String {
    format!("{KEY}{}", base32::encode(key.spki()))
}

/// The text for the SHA-256 of an object as a whole.
#[must_use]
pub fn digest_to_text(digest: &[u8; 32]) -> String {
    format!("{DIGEST}{}", Hex(digest)).to_ascii_uppercase()
}

/// The public key, if the octets are the text of one.
///
/// # Errors
/// When that text is not base32, is cut short, or holds anything but a public key.
#[must_use]
pub fn key(octets: &[u8]) -> Option<Result<PublicKey, Error>> {
    let digits = after(octets, KEY)?;
    Some(parse_key(digits))
}

fn parse_key(digits: &[u8]) -> Result<PublicKey, Error> {
    let wrong = malformed(KEY_TEXT);
    let digits = std::str::from_utf8(digits).map_err(|_| wrong(asn1::Error::Value("text")))?;
    let spki = base32::decode(digits).map_err(wrong)?;
    if spki.is_empty() {
        return Err(wrong(asn1::Error::Truncated));
    }
    // A text that was cut is told by the length that the key begins with.
    Element::der(&spki, tag::SEQUENCE).map_err(wrong)?;
    PublicKey::parse(&spki).map_err(|error| match error {
        // Of a key that these programs do not take, another scan would bring the same.
        pki::Error::Key(cause) if !matches!(cause, asn1::Error::Unsupported(_)) => wrong(cause),
        error => error.into(),
    })
}

/// The digits, if the octets are the text of a digest.
#[must_use]
pub fn digest_digits(octets: &[u8]) -> Option<&[u8]> {
    after(octets, DIGEST)
}

/// What follows `head`, if the octets begin with that.
fn after<'a>(octets: &'a [u8], head: &str) -> Option<&'a [u8]> {
    let octets = text::without_mark(octets.trim_ascii_start()).trim_ascii_start();
    let octets = strip(octets, KIND_OF_CODE).unwrap_or(octets);
    strip(octets.trim_ascii_start(), head)
}

/// What follows `head` in either case.
fn strip<'a>(octets: &'a [u8], head: &str) -> Option<&'a [u8]> {
    let (first, rest) = octets.split_at_checked(head.len())?;
    first.eq_ignore_ascii_case(head.as_bytes()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::IdentityKey;

    #[test]
    fn a_key_comes_back_however_it_was_scanned() {
        let pkcs8 = IdentityKey::generate(2048).unwrap();
        let key_pair = IdentityKey::from_pkcs8(pkcs8.as_bytes()).unwrap();
        let text = key_to_text(key_pair.public());
        assert_eq!(text.len(), 9 + 471);
        let dense = |it: char| it.is_ascii_uppercase() || it.is_ascii_digit() || it == ':';
        assert!(text.chars().all(dense), "{text}");
        let wrapped: Vec<_> = text
            .as_bytes()
            .chunks(60)
            .map(String::from_utf8_lossy)
            .collect();
        for scanned in [
            text.clone(),
            text.to_lowercase(),
            format!("\u{feff}{text}\r\n"),
            format!(" \n{text}\n\n"),
            format!("QR-Code:{text}\n"),
            text.replace(':', ": "),
            wrapped.join("\r\n"),
            wrapped.join("\n\t"),
        ] {
            let found = key(scanned.as_bytes()).unwrap().unwrap();
            assert_eq!(&found, key_pair.public(), "{scanned:?}");
        }
        assert!(key(text.trim_start_matches("RELAY").as_bytes()).is_none());
        assert!(key(b"RELAYKEY").is_none());
        // Any cut is noticed, and so is anything that follows.
        for len in KEY.len()..text.len() {
            let error = key(&text.as_bytes()[..len])
                .unwrap()
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with("malformed RELAYKEY text: "),
                "{len}: {error}"
            );
        }
        for more in ["AAAAAAAA", "=", "\n-- \nBob", "RELAYKEY:", "\u{0}"] {
            assert!(
                key(format!("{text}{more}").as_bytes()).unwrap().is_err(),
                "{more:?}"
            );
        }
        assert!(key(b"RELAYKEY:\xff").unwrap().is_err());
    }

    #[test]
    fn a_digest_has_its_own_text() {
        let text = digest_to_text(&[0xab; 32]);
        assert_eq!(text, format!("RELAYEXPECT:{}", "AB".repeat(32)));
        assert_eq!(
            digest_digits(text.to_lowercase().as_bytes()).unwrap(),
            "ab".repeat(32).as_bytes()
        );
        assert!(digest_digits(b"RELAYKEY:AB").is_none());
        assert!(key(text.as_bytes()).is_none());
    }
}
