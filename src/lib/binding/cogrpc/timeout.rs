//! How long a call may take: the header `grpc-timeout` (gRPC over HTTP/2 §Requests).
//!
//! ```text
//! Timeout → 1 to 8 digits, and one of H (hours), M (minutes), S (seconds), m (milliseconds), u (microseconds), n
//! ```

use std::time::Duration;

/// The name of the header.
pub const HEADER: &str = "grpc-timeout";

/// Nanoseconds of each unit, the smallest unit first.
const UNITS: [(char, u128); 6] = [
    ('n', 1),
    ('u', 1_000),
    ('m', 1_000_000),
    ('S', 1_000_000_000),
    ('M', 60_000_000_000),
    ('H', 3_600_000_000_000),
];

/// The largest number that has eight digits.
const MAX: u128 = 99_999_999;

/// Parses a value. `None` if it is malformed.
#[must_use]
pub fn parse(value: &str) -> Option<Duration> {
    let (unit, nanoseconds) = UNITS.into_iter().find(|(unit, _)| value.ends_with(*unit))?;
    let digits = value.strip_suffix(unit)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let whole = digits.parse::<u128>().ok()? * nanoseconds;
    let seconds = u64::try_from(whole / 1_000_000_000).ok()?;
    let rest = u32::try_from(whole % 1_000_000_000).ok()?;
    Some(Duration::new(seconds, rest))
}

/// Writes a value: in the smallest unit that has eight digits for it, rounded up. One over 99 999 999 hours, which is
/// 11 000 years, becomes that.
#[must_use]
pub fn write(timeout: Duration) -> String {
    let nanoseconds = timeout.as_nanos();
    let counts = UNITS.map(|(unit, length)| (unit, nanoseconds.div_ceil(length)));
    let fitting = counts.into_iter().find(|(_, count)| *count <= MAX);
    let (unit, count) = fitting.unwrap_or(('H', MAX));
    format!("{count}{unit}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_of_deployed_clients_are_read() {
        for (value, expected) in [
            ("2904m", Duration::from_millis(2904)),         // grpc-js
            ("4999123u", Duration::from_micros(4_999_123)), // grpc-java
            ("0n", Duration::ZERO),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
            ("5M", Duration::from_secs(300)),
            ("00000007S", Duration::from_secs(7)),
        ] {
            assert_eq!(parse(value), Some(expected), "{value}");
        }
        for malformed in [
            "",
            "m",
            "5",
            "5h",
            "5s",
            "5 S",
            " 5S",
            "-5S",
            "+5S",
            "5.0S",
            "123456789n",
            "5Sm",
            "５S",
        ] {
            assert_eq!(parse(malformed), None, "{malformed:?}");
        }
    }

    #[test]
    fn the_smallest_unit_that_fits_is_written() {
        for (timeout, expected) in [
            (Duration::ZERO, "0n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_millis(100), "100000u"),
            (Duration::from_secs(30), "30000000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(86_400 * 7), "604800S"),
            (Duration::MAX, "99999999H"),
        ] {
            assert_eq!(write(timeout), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_time_is_shortened(seconds in 0..1_000_000_000u64, nanoseconds in 0..1_000_000_000u32) {
            let timeout = Duration::new(seconds, nanoseconds);
            let read = parse(&write(timeout)).unwrap();
            // It grows by a minute at most, where minutes are the unit.
            prop_assert!(read >= timeout && read <= timeout + Duration::from_mins(1));
        }
    }
}
