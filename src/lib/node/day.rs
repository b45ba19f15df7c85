//! Names of files and folders by day.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The name of a file or folder for this day (UTC): `2027-05-22`.
pub(super) fn day_name(at: Timestamp) -> String {
    jiff::tz::Offset::UTC.to_datetime(at).date().to_string()
}

/// The last second of the day (UTC) in a name such as `2027-05-22`; `None` for other names.
#[must_use]
pub fn end_of_day(name: &str) -> Option<Timestamp> {
    let day: Date = name.parse().ok()?;
    // Only the canonical spelling counts.
    if day.to_string() != name {
        return None;
    }
    let last = day.at(23, 59, 59, 0).to_zoned(TimeZone::UTC).ok()?;
    Some(last.timestamp())
}
