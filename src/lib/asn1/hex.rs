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

/// The value of each octet that is a lower-case digit; for others a value that no digit has.
const VALUES: [u8; 256] = {
    let mut values = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// The octets that exactly `2 * N` lower-case digits spell. Names in queues are read by the hundred
/// thousand, so this allocates nothing and has no branch for each digit.
#[must_use]
pub fn octets<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut octets = [0; N];
    let mut all = 0;
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        all |= high | low;
        *octet = high << 4 | (low & 15);
    }
    (all < 16).then_some(octets)
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
        assert_eq!(octets(b"00ff"), Some([0, 255]));
        for bad in ["00f", "00fg", "00fF", "00ff00", "00 f", "g000"] {
            assert_eq!(octets::<2>(bad.as_bytes()), None, "{bad}");
        }
    }
}
