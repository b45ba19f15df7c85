//! VisibleString (X.680 §41): printable ASCII, the type of every text field of RAMF.

use super::Error;

/// The content octets of a VisibleString as text.
///
/// # Errors
/// When an octet is outside the printable ASCII characters, space included.
pub fn parse(content: &[u8]) -> Result<&str, Error> {
    match std::str::from_utf8(content) {
        Ok(text) if is_visible(text) => Ok(text),
        _ => Err(Error::Value("visible string")),
    }
}

/// Whether the text can be written as a VisibleString.
#[must_use]
pub fn is_visible(text: &str) -> bool {
    text.bytes().all(|octet| matches!(octet, 0x20..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_printable_ascii_is_visible() {
        assert_eq!(
            parse(b"text/plain; name=\"a b\""),
            Ok("text/plain; name=\"a b\"")
        );
        for bad in [&b"a\n"[..], b"\x1b[2J", "é".as_bytes(), b"\x7f", b"\xff"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
