//! The digits of an object that somebody told by another way than that by which it came.

use crate::asn1::hex;
use crate::message::scanned;

/// The octets that the digits which are read aloud spell: eight groups of four.
const READ_ALOUD: usize = 16;

/// SHA-256 that an object must have: all of it, or the part that programs show to be compared by telephone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected(Vec<u8>);

impl Expected {
    /// Reads digits in either case, between which there may be blanks, or the text of a code with all of them; `None` if
    /// they are neither all of a digest nor the part that is shown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let scanned = scanned::digest_digits(text.as_bytes());
        let digits = match scanned {
            Some(digits) => std::str::from_utf8(digits).ok()?,
            None => text,
        };
        let digits: String = digits.chars().filter(|it| !it.is_whitespace()).collect();
        // A node id has a 0 before the digest of the key.
        let digits = match digits.strip_prefix('0') {
            Some(digest) if digits.len() == 65 => digest,
            _ => &digits,
        };
        let octets = hex::parse(digits)?;
        match octets.len() {
            32 => Some(Self(octets)),
            // A code has all of them, so it was cut.
            READ_ALOUD if scanned.is_none() => Some(Self(octets)),
            _ => None,
        }
    }

    /// Whether it is the digest's.
    #[must_use]
    pub fn is_of(&self, digest: &[u8; 32]) -> bool {
        digest.starts_with(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asn1::Hex;

    #[test]
    fn what_programs_show_is_expected() {
        let digest: [u8; 32] = std::array::from_fn(|at| 0xf0 ^ u8::try_from(at).unwrap());
        let shown = hex::groups(&digest);
        let all = Hex(&digest).to_string();
        let code = scanned::digest_to_text(&digest);
        for text in [
            &*shown,
            &shown.replace(' ', ""),
            &format!(" {shown}\n"),
            &all,
            &all.to_uppercase(),
            &format!("0{all}"),
            &code,
            &code.to_lowercase(),
            &format!("\u{feff}{}\r\n{}\n", &code[..40], &code[40..]),
        ] {
            assert!(Expected::parse(text).unwrap().is_of(&digest), "{text}");
        }
        let mut other = digest;
        other[15] ^= 1;
        assert!(!Expected::parse(&shown).unwrap().is_of(&other));
        other = digest;
        other[31] ^= 1;
        assert!(Expected::parse(&shown).unwrap().is_of(&other));
        assert!(!Expected::parse(&all).unwrap().is_of(&other));
        for text in [
            "",
            " ",
            "abcd",
            &shown[..35],
            &all[..62],
            &format!("{all}00"),
            &shown.replace('f', "g"),
            &code[..12 + 32],
            &code[..75],
            &code.replace(':', ""),
            "RELAYEXPECT:",
        ] {
            assert!(Expected::parse(text).is_none(), "{text}");
        }
    }
}
