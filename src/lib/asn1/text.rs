//! Text that people and their editors write: UTF-8, with or without a byte order mark.

use super::Error;

/// The byte order mark, which Notepad and PowerShell write before UTF-8.
pub const MARK: &str = "\u{feff}";

/// The octets after a byte order mark, or all of them.
#[must_use]
pub fn without_mark(octets: &[u8]) -> &[u8] {
    octets.strip_prefix(MARK.as_bytes()).unwrap_or(octets)
}

/// The text that octets are in UTF-8, without a byte order mark.
///
/// # Errors
/// [`Error::Utf16`], or [`Error::Value`] when they are no text at all.
pub fn read(octets: &[u8]) -> Result<&str, Error> {
    if is_utf16(octets) {
        return Err(Error::Utf16);
    }
    std::str::from_utf8(without_mark(octets)).map_err(|_| Error::Value("text"))
}

/// What is wrong with a file that was to be text, and what to do about it.
#[must_use]
pub fn problem(error: &Error) -> &'static str {
    match error {
        Error::Utf16 => "text in UTF-16: save it as UTF-8",
        _ => "not text",
    }
}

/// Whether octets are text in UTF-16, which the redirection of PowerShell writes: by its mark, or by two characters of
/// ASCII.
#[must_use]
pub fn is_utf16(octets: &[u8]) -> bool {
    let is_ascii = |octet: u8| octet.is_ascii_graphic() || octet.is_ascii_whitespace();
    match *octets {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [first, 0, second, 0, ..] | [0, first, 0, second, ..] => {
            is_ascii(first) && is_ascii(second)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_for_nothing_and_utf_16_is_told() {
        for octets in [&b"type: gateway"[..], b"\xef\xbb\xbftype: gateway"] {
            assert_eq!(read(octets), Ok("type: gateway"));
        }
        let wide = |mark: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            let text = format!("{mark}type: gateway");
            text.encode_utf16().flat_map(order).collect()
        };
        for mark in ["", MARK] {
            assert_eq!(read(&wide(mark, u16::to_le_bytes)), Err(Error::Utf16));
            assert_eq!(read(&wide(mark, u16::to_be_bytes)), Err(Error::Utf16));
        }
        assert_eq!(read(b"\x30\x82\x01\x00\xff"), Err(Error::Value("text")));
        assert_eq!(read(b""), Ok(""));
    }
}
