//! How long a certificate is to last.

use jiff::SignedDuration;

use crate::node::config::parse_duration;
use crate::pki::issuance;

/// Reads how long a certificate is to last: at most 180 days.
///
/// # Errors
/// What is wrong with the text.
pub fn validity(text: &str) -> Result<SignedDuration, &'static str> {
    let valid = parse_duration(text)?;
    if valid > SignedDuration::ZERO && valid <= issuance::MAX_LIFE {
        Ok(valid)
    } else {
        Err("not over 0 and at most 180d")
    }
}
