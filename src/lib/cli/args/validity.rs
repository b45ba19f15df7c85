//! Parses a certificate's validity.

use jiff::SignedDuration;

use crate::node::config::parse_duration;
use crate::pki::issuance;

/// Parses how long a certificate is to last: over 0, and at most 180 days.
///
/// # Errors
/// The reason for the refusal, for clap to print.
pub fn validity(text: &str) -> Result<SignedDuration, &'static str> {
    let valid = parse_duration(text)?;
    if valid > SignedDuration::ZERO && valid <= issuance::MAX_LIFE {
        Ok(valid)
    } else {
        Err("not over 0 and at most 180d")
    }
}
