//! Options for the terms of an authorization.

use jiff::{SignedDuration, Timestamp};

use crate::cli::errors::Usage;
use crate::cli::report;
use crate::node::NodeType;
use crate::node::authorizations::AuthorizationOptions;
use crate::node::config::parse_duration;
use crate::pki::{RateLimit, issuance};

/// A shorter validity is warned of: it leaves a sender too little time to use the authorization.
const USEFUL_VALID: SignedDuration = SignedDuration::from_hours(48);

/// `--valid`, `--one-way`, `--once` and `--rate`.
#[derive(Debug, clap::Args)]
pub struct AuthorizationTerms {
    /// How long the authorization lasts
    #[arg(long, value_name = "DURATION", default_value = "180d", value_parser = parse_duration)]
    pub valid: SignedDuration,
    /// The peer will never be answered: let its first session key last as long as the authorization
    #[arg(long)]
    one_way: bool,
    /// Let it end: relay-rotate does not renew it
    #[arg(long, conflicts_with = "identity_key")]
    once: bool,
    /// Let the peer send at most N parcels in any such time, such as 24/1d
    #[arg(long, value_name = "N/DURATION", value_parser = parse_rate)]
    pub rate: Option<RateLimit>,
}

impl AuthorizationTerms {
    /// Checks the validity, and warns of one that is of little use.
    ///
    /// # Errors
    /// A [`Usage`] error.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.valid > issuance::MAX_LIFE || self.valid <= SignedDuration::ZERO {
            return Err(Usage("--valid must be over 0 and at most 180d".to_owned()).into());
        }
        if self.valid < USEFUL_VALID {
            report::warn(
                "senders stop a day before an authorization ends: this one is of little use",
            );
        }
        Ok(())
    }

    /// Refuses terms that make no sense for a node of this type.
    ///
    /// # Errors
    /// A [`Usage`] error when a gateway is to limit parcels.
    pub fn check_for(&self, node: NodeType) -> anyhow::Result<()> {
        match (node, self.rate) {
            (NodeType::Gateway, Some(_)) => {
                Err(Usage("--rate limits parcels, and a gateway takes cargo".to_owned()).into())
            }
            _ => Ok(()),
        }
    }

    /// The options for issuing it now.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> AuthorizationOptions {
        AuthorizationOptions {
            now,
            valid_for: self.valid,
            one_way: self.one_way,
            once: self.once,
            rate: self.rate,
        }
    }
}

/// Parses how many parcels may be sent in a period, such as `24/1d`. An error is for clap to print.
fn parse_rate(text: &str) -> Result<RateLimit, &'static str> {
    const FORM: &str = "not a number and a duration such as 24/1d";
    let (parcels, period) = text.split_once('/').ok_or(FORM)?;
    let parcels = parcels.parse().map_err(|_| FORM)?;
    RateLimit::new(parcels, parse_duration(period)?)
}
