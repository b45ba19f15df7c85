//! The digits of an object that somebody told by another way than that by which it came.

use crate::asn1::hex;

/// The octets that the digits which are read aloud spell: eight groups of four.
const READ_ALOUD: usize = 16;

/// SHA-256 that an object must have: all of it, or the part that programs show to be compared by telephone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected(Vec<u8>);

impl Expected {
    /// Reads digits in either case, between which there may be blanks; `None` if they are neither all of a digest nor
    /// the part that is shown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|it| !it.is_whitespace()).collect();
        let octets = hex::parse(&digits)?;
        matches!(octets.len(), READ_ALOUD | 32).then_some(Self(octets))
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
        for text in [
            &*shown,
            &shown.replace(' ', ""),
            &format!(" {shown}\n"),
            &all,
            &all.to_uppercase(),
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
        ] {
            assert!(Expected::parse(text).is_none(), "{text}");
        }
    }
}
