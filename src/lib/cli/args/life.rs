//! How long parcels live, and their ids.

use jiff::SignedDuration;

use crate::cli::errors::Usage;
use crate::node::Config;
use crate::node::config::parse_duration;
use crate::ramf::{self, fields, limits};

/// How long parcels live if neither the option nor the config says so.
const DEFAULT_TTL: SignedDuration = SignedDuration::from_hours(30 * 24);

/// `--ttl`.
#[derive(Debug, clap::Args)]
pub struct Life {
    /// Let the parcel expire after DURATION [default: 30d]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    ttl: Option<SignedDuration>,
}

impl Life {
    /// How long parcels live: as the option says, else the node's config.
    ///
    /// # Errors
    /// A [`Usage`] error when a parcel cannot live so long, or would be expired at once.
    pub fn get(&self, config: Option<&Config>) -> Result<SignedDuration, Usage> {
        let ttl = self.ttl.or_else(|| config?.ttl()).unwrap_or(DEFAULT_TTL);
        let longest = SignedDuration::from_secs(i64::from(limits::MAX_TTL));
        // A parcel dated back by 5 minutes with a shorter life would be expired at once.
        if ttl > longest || ttl <= limits::PARCEL_BACKDATED {
            let text =
                "--ttl must be over 5m, since parcels are dated back by as much, and at most 180d";
            return Err(Usage(text.to_owned()));
        }
        Ok(ttl)
    }
}

/// Parses a message id, and checks that a message can have it.
///
/// # Errors
/// When no message can have it.
pub fn message_id(id: &str) -> Result<String, ramf::Error> {
    fields::check_id(id).map(|()| id.to_owned())
}
