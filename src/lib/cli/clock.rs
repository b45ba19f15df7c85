//! The only place that reads the clock.

use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};

use super::report;
use crate::node::config::parse_duration;
use crate::node::{self, Config};
use crate::pki::Window;
use crate::receive::{ReceiveOptions, Repeats};

/// The end of the year 8999, in seconds since 1970: what is reckoned from it stays within what can be written.
const LAST: i64 = 221_845_391_999;

/// How much clocks may differ unless something else is said.
const DEFAULT_DRIFT: SignedDuration = SignedDuration::from_hours(2);

/// `--now`, for programs that do not judge what others made.
#[derive(Debug, clap::Args)]
pub struct NowArgs {
    /// Use TIME (RFC 3339) instead of the system clock
    #[arg(long, value_name = "TIME", env = "RELAY_NOW", hide_env = true, value_parser = time)]
    now: Option<Timestamp>,
}

/// `--now` and `--clock-drift`, for programs that judge what others made.
#[derive(Debug, clap::Args)]
pub struct ClockArgs {
    #[command(flatten)]
    now: NowArgs,
    /// Allow clocks to differ by up to DURATION [default: 2h]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    clock_drift: Option<SignedDuration>,
}

/// Reads an instant from 1970 to 8999, which leaves room for what is reckoned from it.
fn time(text: &str) -> Result<Timestamp, &'static str> {
    const YEARS: std::ops::RangeInclusive<i16> = 1970..=8999;
    let time: Timestamp = text
        .parse()
        .map_err(|_| "not a time such as 2026-03-01T10:00:00Z")?;
    let year = jiff::tz::Offset::UTC.to_datetime(time).year();
    if YEARS.contains(&year) {
        Ok(time)
    } else {
        Err("not a time from 1970 to 8999")
    }
}

/// What the system's clock tells, in whole seconds, since nothing on the wire or on disk is finer. A clock outside of
/// what can be reckoned with counts as the first or last instant that can: no program believes either.
fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    });
    Timestamp::from_second(seconds.min(LAST)).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl NowArgs {
    /// The time, for a program that may not change a node, or for a node that allows it.
    ///
    /// # Errors
    /// [`node::DirectoryError::TestClock`] when another time than the clock's is given and `changes` is the
    /// config of a node that does not allow it.
    pub fn get(&self, changes: Option<&Config>) -> Result<Timestamp, node::Error> {
        let Some(now) = self.now else {
            return Ok(system_time());
        };
        if changes.is_some_and(|config| !config.allows_test_clock()) {
            return Err(node::Error::Directory(node::DirectoryError::TestClock));
        }
        report::note(&format!("the time is taken to be {now}"));
        Ok(now)
    }
}

impl ClockArgs {
    /// The time; see [`NowArgs::get`].
    ///
    /// # Errors
    /// As [`NowArgs::get`].
    pub fn now(&self, changes: Option<&Config>) -> Result<Timestamp, node::Error> {
        self.now.get(changes)
    }

    /// How messages are received now: by a program that changes nothing, or a node with these settings.
    ///
    /// # Errors
    /// As [`NowArgs::get`].
    pub fn receive_options(
        &self,
        config: Option<&Config>,
        repeats: Repeats,
    ) -> Result<ReceiveOptions, node::Error> {
        let now = self.now(config)?;
        Ok(ReceiveOptions {
            window: self.window(now, config),
            now,
            repeats,
        })
    }

    /// The instants that things are judged at: the option beats the config.
    #[must_use]
    pub fn window(&self, now: Timestamp, config: Option<&Config>) -> Window {
        let drift = self
            .clock_drift
            .or_else(|| config.and_then(Config::clock_drift))
            .unwrap_or(DEFAULT_DRIFT);
        Window::new(now, drift)
    }
}
