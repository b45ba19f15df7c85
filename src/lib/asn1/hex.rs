//! Octets as lower-case hexadecimal digits, the form in which people see ids and digests.

use std::fmt;

/// Shows octets as two digits each.
#[derive(Debug, Clone, Copy)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|octet| write!(formatter, "{octet:02x}"))
    }
}

/// The octets that digits in either case spell; `None` if something else is among them or their
/// number is odd.
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
