//! Dates in ASN.1 form: always UTC, in whole seconds.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::{Element, Error, tag, write};

/// Length of a date in RAMF, `YYYYMMDDHHMMSS`, in octets.
pub const RAMF_DATE_LEN: usize = 14;

/// The last year that UTCTime can express (RFC 5280 §4.1.2.5).
const LAST_UTC_TIME_YEAR: i16 = 2049;

/// Parses a date of RAMF or of a registration message: 14 digits, no zone.
///
/// RS-001 §Format requires an ASN.1 DATE-TIME. Deployed nodes write the digits of a GeneralizedTime
/// without its `Z`, and refuse any zone.
///
/// # Errors
/// When it is not 14 digits, or the date does not exist.
pub fn parse_ramf(content: &[u8]) -> Result<Timestamp, Error> {
    let malformed = Error::Value("date");
    if content.len() != RAMF_DATE_LEN {
        return Err(malformed);
    }
    from_digits(content).ok_or(malformed)
}

/// Formats a date for RAMF: the 14 digits of `at`.
#[must_use]
pub fn to_ramf(at: Timestamp) -> String {
    Offset::UTC
        .to_datetime(at)
        .strftime("%Y%m%d%H%M%S")
        .to_string()
}

/// Parses a Time of a certificate: UTCTime or GeneralizedTime, with seconds and `Z` (RFC 5280
/// §4.1.2.5).
///
/// # Errors
/// When it is neither, or the date does not exist.
pub fn parse_x509(element: &Element<'_>) -> Result<Timestamp, Error> {
    let malformed = Error::Value("date");
    let Some((b'Z', digits)) = element.content().split_last() else {
        return Err(malformed);
    };
    match (element.tag(), digits) {
        (tag::UTC_TIME, [first, .., _]) if digits.len() == 12 => {
            // RFC 5280 §4.1.2.5.1: two digits from 50 on are of the 20th century.
            let century: &[u8] = if *first >= b'5' { b"19" } else { b"20" };
            from_digits(&[century, digits].concat()).ok_or(malformed)
        }
        // RFC 5280 §4.1.2.5: no well-defined end. The date is later than any `Timestamp`.
        (tag::GENERALIZED_TIME, b"99991231235959") => Ok(Timestamp::MAX),
        (tag::GENERALIZED_TIME, _) if digits.len() == 14 => from_digits(digits).ok_or(malformed),
        _ => Err(malformed),
    }
}

/// Encodes a Time for a certificate: UTCTime through 2049, GeneralizedTime after that.
#[must_use]
pub fn to_x509(at: Timestamp) -> Vec<u8> {
    let at = Offset::UTC.to_datetime(at);
    if (1950..=LAST_UTC_TIME_YEAR).contains(&at.year()) {
        write::tlv(
            tag::UTC_TIME,
            at.strftime("%y%m%d%H%M%SZ").to_string().as_bytes(),
        )
    } else {
        write::tlv(
            tag::GENERALIZED_TIME,
            at.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes(),
        )
    }
}

fn from_digits(digits: &[u8]) -> Option<Timestamp> {
    // Not `str::parse`, which also accepts a sign.
    let number = |range: std::ops::Range<usize>| {
        digits.get(range)?.iter().try_fold(0_i16, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + i16::from(digit - b'0'))
        })
    };
    let small = |range| number(range).and_then(|number| i8::try_from(number).ok());
    let date_time = DateTime::new(
        number(0..4)?,
        small(4..6)?,
        small(6..8)?,
        small(8..10)?,
        small(10..12)?,
        small(12..14)?,
        0,
    )
    .ok()?;
    Offset::UTC.to_timestamp(date_time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ramf_dates_are_fourteen_digits_and_nothing_else() {
        let at: Timestamp = "2026-11-20T08:15:30Z".parse().unwrap();
        assert_eq!(parse_ramf(b"20261120081530"), Ok(at));
        assert_eq!(to_ramf(at), "20261120081530");
        for bad in [
            &b"20261120081530Z"[..],
            b"2026112008153",
            b"20261320081530",
            b"20260230000000",
            b"2026112008153x",
            b"+0261120081530",
            b"20261120246060",
            b"20261120081560",
            b"",
        ] {
            assert!(parse_ramf(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn certificate_dates_change_form_in_2050() {
        for (text, first) in [
            ("2049-12-31T23:59:59Z", tag::UTC_TIME),
            ("2050-01-01T00:00:00Z", tag::GENERALIZED_TIME),
        ] {
            let at: Timestamp = text.parse().unwrap();
            let octets = to_x509(at);
            assert_eq!(octets[0], first);
            assert_eq!(parse_x509(&Element::der(&octets, first).unwrap()), Ok(at));
        }
    }
}
