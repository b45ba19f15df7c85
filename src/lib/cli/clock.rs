//! The only place that reads the clock.

use std::sync::Once;
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};

use super::errors::Postponed;
use super::report;
use crate::node::config::parse_duration;
use crate::node::{self, Config};
use crate::pki::Window;
use crate::receive::{ReceiveOptions, Repeats};

/// The last second of the year 8999, in seconds since 1970. Dates computed from it are still
/// representable (year 9999).
const LAST: i64 = 221_845_391_999;

/// The default for how much clocks may differ.
pub(super) const DEFAULT_DRIFT: SignedDuration = SignedDuration::from_hours(2);

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

/// Parses an instant from 1970 to 8999, so that dates computed from it are representable.
fn time(text: &str) -> Result<Timestamp, &'static str> {
    const YEARS: std::ops::RangeInclusive<i16> = 1970..=8999;
    const OUT_OF_RANGE: &str = "not from 1970 to 8999: the last time is 8999-12-31T23:59:59Z";
    let time: Timestamp = text.parse().map_err(|_| {
        // The last days of 9999 are no instants for the parser, nor is a year of more digits.
        let year = text.trim_start_matches('+').split_once('-');
        match year.and_then(|(year, _)| year.parse::<u64>().ok()) {
            Some(9000..) => OUT_OF_RANGE,
            _ => "not a time such as 2026-03-01T10:00:00Z",
        }
    })?;
    // The parser takes a second 60 anywhere for 59; no clock here has one.
    let (_, clock) = text.split_once(['T', 't', ' ']).unwrap_or_default();
    let digits: String = clock.chars().filter(|it| *it != ':').take(6).collect();
    if digits.len() == 6 && digits.ends_with("60") {
        return Err("a time has the seconds 00 to 59");
    }
    let year = jiff::tz::Offset::UTC.to_datetime(time).year();
    if YEARS.contains(&year) {
        Ok(time)
    } else {
        Err(OUT_OF_RANGE)
    }
}

/// The system clock in whole seconds: nothing on the wire or on disk is finer. A clock out of range
/// counts as the first or last representable instant, which no program believes.
fn system_time() -> Timestamp {
    // Not `Timestamp::now()`, which panics for a clock beyond the year 9999.
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    });
    Timestamp::from_second(seconds.min(LAST)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The start of 2026, when there were no such programs yet: a clock before it was never set.
const NEVER_SET: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// Whether the time of `--now` was reported.
static NOTED: Once = Once::new();

impl NowArgs {
    /// The time, for a node that is made: its first certificate, by which others know it, would have ended under any
    /// clock that is right.
    ///
    /// # Errors
    /// [`Postponed`] when the clock was never set, and as [`Self::get`].
    pub fn get_for_new(&self, changes: Option<&Config>) -> anyhow::Result<Timestamp> {
        let now = self.get(changes)?;
        if self.now.is_none() && now < NEVER_SET {
            let text = format!(
                "this clock was never set, it says {now}: a node made now would be of no use"
            );
            return Err(Postponed(text).into());
        }
        Ok(now)
    }

    /// The time: `--now`, else the clock. `changes` is the config of the node that the program
    /// changes.
    ///
    /// # Errors
    /// [`node::DirectoryError::TestClock`] when `--now` is given and that node does not allow it.
    pub fn get(&self, changes: Option<&Config>) -> Result<Timestamp, node::Error> {
        let Some(now) = self.now else {
            return Ok(system_time());
        };
        // A false time would be stored in the node.
        if changes.is_some_and(|config| !config.allows_test_clock()) {
            return Err(node::Error::Directory(node::DirectoryError::TestClock));
        }
        // A run that goes on asks again and again.
        NOTED.call_once(|| report::note(&format!("the time is taken to be {now}")));
        Ok(now)
    }
}

/// The instants that dates are checked against where no option says so.
#[must_use]
pub fn window_of(now: Timestamp, config: Option<&Config>) -> Window {
    let drift = config.and_then(Config::clock_drift);
    Window::new(now, drift.unwrap_or(DEFAULT_DRIFT))
}

impl ClockArgs {
    /// The time; see [`NowArgs::get`].
    ///
    /// # Errors
    /// As [`NowArgs::get`].
    pub fn now(&self, changes: Option<&Config>) -> Result<Timestamp, node::Error> {
        self.now.get(changes)
    }

    /// The options for receiving messages now; `config` is that of the node that the program
    /// changes.
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

    /// The instants that dates are checked against. The option overrides the config.
    #[must_use]
    pub fn window(&self, now: Timestamp, config: Option<&Config>) -> Window {
        match self.clock_drift {
            Some(drift) => Window::new(now, drift),
            None => window_of(now, config),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_after_the_last_one_is_told_which_that_is() {
        for text in [
            "9000-01-01T00:00:00Z",
            "9999-12-30T00:00:00Z",
            "9999-12-31",
            "9999-12-31T23:59:59Z",
            "+010000-01-01T00:00:00Z",
        ] {
            let why = time(text).unwrap_err();
            assert!(
                why.ends_with("the last time is 8999-12-31T23:59:59Z"),
                "{text}"
            );
        }
        assert!(time("8999-12-31T23:59:59Z").is_ok());
        for text in ["2026-03-01", "20260301", "tomorrow", ""] {
            let why = time(text).unwrap_err();
            assert!(why.starts_with("not a time such as"), "{text}");
        }
    }

    #[test]
    fn second_60_is_no_time() {
        for text in [
            "2026-11-28T10:10:60Z",
            "2026-11-28 10:10:60+01:00",
            "2016-12-31t23:59:60z",
            "20261128T101060Z",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
        for text in [
            "2026-11-28T10:10:59Z",
            "2026-11-28T10:10:00.60Z",
            "20261128T106000Z",
        ] {
            assert_eq!(time(text).is_ok(), !text.contains("106000"), "{text}");
        }
    }
}
