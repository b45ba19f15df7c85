//! Octets as lower-case hexadecimal digits, the form in which ids and digests are shown.

use std::fmt;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Displays octets as two digits each.
#[derive(Debug, Clone, Copy)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One `write_str` for 32 octets: ids and digests are written by the thousand.
        for octets in self.0.chunks(32) {
            let mut digits = [0; 64];
            for (pair, octet) in digits.chunks_exact_mut(2).zip(octets) {
                pair[0] = DIGITS[usize::from(octet >> 4)];
                pair[1] = DIGITS[usize::from(octet & 15)];
            }
            let digits = std::str::from_utf8(&digits[..2 * octets.len()]);
            formatter.write_str(digits.map_err(|_| fmt::Error)?)?;
        }
        Ok(())
    }
}

/// Digits of a fingerprint that people compare: half of a SHA-256.
const READ_ALOUD: usize = 32;

/// The first 32 digits of a digest in eight groups of four, to compare by telephone.
#[must_use]
pub fn groups(digest: &[u8]) -> String {
    let digits = Hex(digest).to_string();
    let groups: Vec<&str> = (0..READ_ALOUD)
        .step_by(4)
        .filter_map(|at| digits.get(at..at + 4))
        .collect();
    groups.join(" ")
}

/// Decodes hexadecimal digits of either case; `None` for another character or an odd number of
/// digits.
#[must_use]
pub fn parse(digits: &str) -> Option<Vec<u8>> {
    let values: Option<Vec<u8>> = digits
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        })
        .collect();
    let values = values.filter(|values| values.len().is_multiple_of(2))?;
    Some(
        values
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_in_pairs() {
        assert_eq!(parse("00fF"), Some(vec![0, 255]));
        assert_eq!(Hex(&[0, 255]).to_string(), "00ff");
        for bad in ["0", "0g", "+1", "é"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
