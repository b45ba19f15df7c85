//! Base32 (RFC 4648 §6) without padding: the only encoding of octets with nothing but capitals and digits, so that
//! codes that phones read hold it in their dense mode.

use super::Error;

const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Encodes octets in upper case.
#[must_use]
pub fn encode(octets: &[u8]) -> String {
    let mut text = String::with_capacity((octets.len() * 8).div_ceil(5));
    let (mut bits, mut held) = (0_u32, 0);
    for octet in octets {
        bits = bits << 8 | u32::from(*octet);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(digit(bits >> held));
        }
    }
    if held > 0 {
        text.push(digit(bits << (5 - held)));
    }
    text
}

/// The digit for the lowest five bits.
fn digit(bits: u32) -> char {
    char::from(DIGITS[(bits & 31) as usize])
}

/// Decodes text in either case, between whose digits there may be blanks, line ends and byte order marks.
///
/// # Errors
/// [`Error::Base32`] for any other character, padding among them; [`Error::Truncated`] when it ends inside an octet.
pub fn decode(text: &str) -> Result<Vec<u8>, Error> {
    let mut octets = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut held) = (0_u32, 0);
    for character in text.chars() {
        if character.is_whitespace() || character == '\u{feff}' {
            continue;
        }
        bits = bits << 5 | value(character).ok_or(Error::Base32(character))?;
        held += 5;
        if held >= 8 {
            held -= 8;
            octets.push((bits >> held & 0xff) as u8);
            bits &= (1 << held) - 1;
        }
    }
    // What is left of the last digit is a filling of zeros, or the beginning of an octet.
    if held >= 5 || bits != 0 {
        return Err(Error::Truncated);
    }
    Ok(octets)
}

/// The five bits that a digit stands for.
fn value(character: char) -> Option<u32> {
    let capital = u8::try_from(character).ok()?.to_ascii_uppercase();
    let at = DIGITS.iter().position(|digit| *digit == capital)?;
    u32::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 §10, without its padding.
    const VECTORS: [(&str, &str); 7] = [
        ("", ""),
        ("f", "MY"),
        ("fo", "MZXQ"),
        ("foo", "MZXW6"),
        ("foob", "MZXW6YQ"),
        ("fooba", "MZXW6YTB"),
        ("foobar", "MZXW6YTBOI"),
    ];

    #[test]
    fn the_vectors_of_the_standard() {
        for (octets, text) in VECTORS {
            assert_eq!(encode(octets.as_bytes()), text);
            for text in [text, &text.to_lowercase()] {
                assert_eq!(decode(text), Ok(octets.as_bytes().to_vec()), "{text}");
            }
        }
        let all: Vec<u8> = (0..=255).collect();
        for len in 0..all.len() {
            let text = encode(&all[..len]);
            assert_eq!(decode(&text).unwrap(), all[..len]);
            let wrapped: Vec<_> = text
                .as_bytes()
                .chunks(7)
                .map(String::from_utf8_lossy)
                .collect();
            assert_eq!(decode(&wrapped.join(" \r\n\u{feff}")).unwrap(), all[..len]);
        }
    }

    #[test]
    fn other_characters_and_cut_texts_are_told() {
        for bad in ['0', '1', '8', '9', '=', '-', 'é', '☎', '\0'] {
            assert_eq!(decode(&format!("MZ{bad}")), Err(Error::Base32(bad)));
        }
        // The last one ends with bits that no octet has.
        for cut in ["M", "MZX", "MZXW6Y", "MZ"] {
            assert_eq!(decode(cut), Err(Error::Truncated), "{cut}");
        }
    }
}
