//! Thresholds on the numbers of a node, and the line that a monitoring system reads, as the
//! guidelines for plugins of Nagios say.

use std::ffi::OsString;

use super::errors::Usage;
use super::overview::{ends, words};
use super::status::{Reported, Status};
use super::tally::{counted, size};
use super::{files, report};
use crate::node::config::{parse_duration, parse_size};
use crate::upkeep::status::NodeStatus;

/// A number of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Metric {
    /// How long the oldest message waits, in seconds.
    Oldest,
    /// How many messages wait.
    Messages,
    /// How many are set aside.
    Failed,
    /// How long ago any medium was here, in seconds.
    Medium,
    /// How long ago any server on the network was reached, in seconds.
    Online,
    /// How long ago the server of the node said that it runs, in seconds.
    Serve,
    /// When the next authorization or registration ends, in seconds from now.
    Ends,
    /// Free space, in octets.
    Free,
}

impl Metric {
    const ALL: [Self; 8] = [
        Self::Oldest,
        Self::Messages,
        Self::Failed,
        Self::Medium,
        Self::Online,
        Self::Serve,
        Self::Ends,
        Self::Free,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Oldest => "oldest",
            Self::Messages => "messages",
            Self::Failed => "failed",
            Self::Medium => "medium",
            Self::Online => "online",
            Self::Serve => "serve",
            Self::Ends => "ends",
            Self::Free => "free",
        }
    }

    /// Whether a small number is bad.
    fn is_left(self) -> bool {
        matches!(self, Self::Ends | Self::Free)
    }

    /// Its unit in performance data.
    fn unit(self) -> &'static str {
        match self {
            Self::Oldest | Self::Medium | Self::Online | Self::Serve | Self::Ends => "s",
            Self::Messages | Self::Failed => "",
            Self::Free => "B",
        }
    }

    fn parse(self, text: &str) -> Result<i64, &'static str> {
        match self {
            Self::Oldest | Self::Medium | Self::Online | Self::Serve | Self::Ends => {
                parse_duration(text).map(|duration| duration.as_secs())
            }
            Self::Messages | Self::Failed => {
                let is_number = text.bytes().all(|octet| octet.is_ascii_digit());
                let number = text.parse().ok().filter(|_| is_number);
                number.ok_or("not a number")
            }
            Self::Free => {
                let octets = parse_size(text)?;
                i64::try_from(octets).map_err(|_| "too large a number of octets")
            }
        }
    }

    /// What it is, and in words; the number is missing where nothing says it.
    fn of(self, status: &NodeStatus) -> (Option<i64>, String) {
        let now = status.now;
        let since = |at: jiff::Timestamp| now.duration_since(at);
        let count = |count: usize| Some(i64::try_from(count).unwrap_or(i64::MAX));
        match self {
            Self::Oldest => {
                let age = status.oldest().map(since).unwrap_or_default();
                (Some(age.as_secs().max(0)), format!("oldest {}", words(age)))
            }
            Self::Messages => {
                let waiting = status.waiting();
                (count(waiting), counted(waiting, "message", "messages"))
            }
            Self::Failed => (
                count(status.failed()),
                format!("{} failed", status.failed()),
            ),
            // The latest of all: a stick that was lost does not come again.
            Self::Medium => {
                let last = status.media.iter().map(|(_, last)| last.date).max();
                age_of(
                    now,
                    last,
                    "last medium",
                    "no exchange with a medium is known",
                )
            }
            // The latest of all: others may have servers that are gone.
            Self::Online => {
                let last = status.last_online();
                age_of(now, last, "last online", "no server was reached yet")
            }
            Self::Serve => {
                let last = status.serve.as_ref().map(|serve| serve.at);
                age_of(now, last, "server ran", "no server ran here yet")
            }
            // They are sorted by their ends, those that are missing first.
            Self::Ends => match status.counted_endings().next() {
                Some(ending) => {
                    let left = ending.end().map(|end| end.duration_since(now));
                    // A bar separates the performance data.
                    let text = ends(ending, now).replace('|', "/");
                    (Some(left.unwrap_or_default().as_secs()), text)
                }
                None => (Some(i64::MAX), "nothing ends".to_owned()),
            },
            Self::Free => match status.free {
                Some(free) => {
                    let text = format!("{} free", size(free));
                    (Some(i64::try_from(free).unwrap_or(i64::MAX)), text)
                }
                None => (None, "free space is not known".to_owned()),
            },
        }
    }
}

/// How long ago something was, in seconds and in words; or that it is not known.
fn age_of(
    now: jiff::Timestamp,
    last: Option<jiff::Timestamp>,
    what: &str,
    none: &str,
) -> (Option<i64>, String) {
    let Some(last) = last else {
        return (None, none.to_owned());
    };
    let age = now.duration_since(last);
    let text = format!("{what} {} ago", words(age));
    (Some(age.as_secs().max(0)), text)
}

/// How serious a number is, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Ok,
    Unknown,
    Warning,
    Critical,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Unknown => "UNKNOWN",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        }
    }

    fn status(self) -> Status {
        match self {
            Self::Ok => Status::OK,
            Self::Unknown => Status::UNKNOWN,
            Self::Warning => Status::WARNING,
            Self::Critical => Status::CRITICAL,
        }
    }
}

/// A number that is watched, and from where on it is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    metric: Metric,
    warning: i64,
    critical: i64,
}

impl Threshold {
    /// Parses `METRIC=WARNING:CRITICAL`.
    ///
    /// # Errors
    /// A [`Usage`] error.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let problem = |what: String| Usage(format!("{}: {what}", report::escaped(text)));
        let parts = text.split_once('=').and_then(|(metric, limits)| {
            let (warning, critical) = limits.split_once(':')?;
            Some((metric, warning, critical))
        });
        let parts = parts.ok_or_else(|| problem("not METRIC=WARNING:CRITICAL".to_owned()))?;
        let metric = Metric::ALL.into_iter().find(|it| it.word() == parts.0);
        let metric = metric.ok_or_else(|| {
            let all = Metric::ALL.map(Metric::word).join(", ");
            problem(format!("no such metric; there are {all}"))
        })?;
        let limit = |text| metric.parse(text).map_err(|what| problem(what.to_owned()));
        let (warning, critical) = (limit(parts.1)?, limit(parts.2)?);
        let is_in_order = if metric.is_left() {
            critical <= warning
        } else {
            warning <= critical
        };
        if !is_in_order {
            return Err(problem("critical comes before warning".to_owned()).into());
        }
        Ok(Self {
            metric,
            warning,
            critical,
        })
    }

    fn judge(&self, value: Option<i64>) -> Severity {
        let reaches = |value: i64, limit| {
            if self.metric.is_left() {
                value <= limit
            } else {
                value >= limit
            }
        };
        match value {
            None => Severity::Unknown,
            Some(value) if reaches(value, self.critical) => Severity::Critical,
            Some(value) if reaches(value, self.warning) => Severity::Warning,
            Some(_) => Severity::Ok,
        }
    }

    /// `label=value;warning;critical`, in which `U` is an unknown number and a colon means that less
    /// is bad.
    fn performance(&self, value: Option<i64>) -> String {
        let unit = self.metric.unit();
        let value = value.filter(|value| *value != i64::MAX);
        let value = value.map_or_else(|| "U".to_owned(), |value| format!("{value}{unit}"));
        let colon = if self.metric.is_left() { ":" } else { "" };
        let (warning, critical) = (self.warning, self.critical);
        format!(
            "{}={value};{warning}{colon};{critical}{colon}",
            self.metric.word()
        )
    }
}

/// The line on the numbers of a node, of which so many files could not be read, and its severity. An
/// age by a clock that is not believed proves nothing, so that alone is a warning.
fn line(status: &NodeStatus, thresholds: &[Threshold], unreadable: usize) -> (String, Status) {
    let mut severity = Severity::Ok;
    let (mut words, mut data) = (Vec::new(), Vec::new());
    for threshold in thresholds {
        let (value, text) = threshold.metric.of(status);
        let one = threshold.judge(value);
        severity = severity.max(one);
        words.push(if one == Severity::Ok {
            text
        } else {
            format!("{text} ({})", one.word())
        });
        data.push(threshold.performance(value));
    }
    if status.doubt.is_some() {
        severity = severity.max(Severity::Warning);
        words.push("the clock is not believed (WARNING)".to_owned());
    }
    for waiting in &status.successions {
        let one = if waiting.is_contested {
            Severity::Critical
        } else {
            Severity::Warning
        };
        severity = severity.max(one);
        words.push(format!("{} ({})", waiting.text, one.word()));
    }
    if unreadable > 0 {
        severity = severity.max(Severity::Unknown);
        let files = counted(unreadable, "file or directory", "files or directories");
        words.push(format!("{files} cannot be read (UNKNOWN)"));
    }
    let (words, data) = (words.join(", "), data.join(" "));
    let line = format!("RELAY {}: {words} | {data}", severity.word());
    (line, severity.status())
}

/// Prints the line on the numbers that `collect` gives, with the number of files that could not be
/// read, or why there are none.
///
/// # Errors
/// The status for a monitoring system: 1, 2 or 3; or when the line cannot be printed.
pub fn answer(
    thresholds: &[String],
    collect: impl FnOnce() -> anyhow::Result<(NodeStatus, usize)>,
) -> anyhow::Result<()> {
    let thresholds = thresholds.iter().map(|text| Threshold::parse(text));
    let collected = thresholds.collect::<anyhow::Result<Vec<_>>>();
    let collected = collected.and_then(|thresholds| Ok((thresholds, collect()?)));
    let (line, status) = match collected {
        Ok((thresholds, (status, unreadable))) => line(&status, &thresholds, unreadable),
        Err(error) => return unknown(&report::text_of(&error)),
    };
    files::print_line(&line)?;
    match status {
        Status::OK => Ok(()),
        status => Err(Reported(status).into()),
    }
}

/// Prints the line that says why there are no numbers.
///
/// # Errors
/// The status for a monitoring system, 3; or when the line cannot be printed.
pub(super) fn unknown(why: &str) -> anyhow::Result<()> {
    // A bar separates the performance data.
    let why = why.replace('|', "/");
    files::print_line(&format!("RELAY UNKNOWN: {why}"))?;
    Err(Reported(Status::UNKNOWN).into())
}

/// Whether a command line, which may be wrong, asks for the line for a monitoring system. Such a system knows only the
/// statuses up to 3, and shows only the standard output.
pub(super) fn is_asked(words: &[OsString]) -> bool {
    let mut words = words.iter().map(|word| word.as_encoded_bytes());
    words.any(|word| word == b"--nagios" || word.starts_with(b"--nagios="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_have_an_order() {
        for good in [
            "oldest=3d:7d",
            "failed=1:10",
            "failed=1:1",
            "medium=0:90s",
            "ends=30d:7d",
            "free=1G:100M",
            "messages=0:18446744",
        ] {
            Threshold::parse(good).unwrap();
        }
        for (bad, why) in [
            ("", ": not METRIC=WARNING:CRITICAL"),
            ("oldest", "oldest: not METRIC=WARNING:CRITICAL"),
            ("oldest=3d", "oldest=3d: not METRIC=WARNING:CRITICAL"),
            (
                "oldest=7d:3d",
                "oldest=7d:3d: critical comes before warning",
            ),
            ("ends=7d:30d", "ends=7d:30d: critical comes before warning"),
            ("failed=x:1", "failed=x:1: not a number"),
            ("failed=+1:2", "failed=+1:2: not a number"),
            ("failed=-1:2", "failed=-1:2: not a number"),
            ("failed=:", "failed=:: not a number"),
            (
                "oldest=1:2",
                "oldest=1:2: not a duration such as 90s, 15m, 12h or 30d",
            ),
            (
                "age=1:2",
                "age=1:2: no such metric; there are oldest, messages, failed, medium, online, serve, ends, free",
            ),
        ] {
            let error = Threshold::parse(bad).unwrap_err();
            assert_eq!(error.to_string(), why);
        }
    }

    #[test]
    fn a_limit_that_is_reached_counts() {
        let judge = |threshold: &str, value| Threshold::parse(threshold).unwrap().judge(value);
        for (threshold, value, expected) in [
            ("failed=1:10", Some(0), Severity::Ok),
            ("failed=1:10", Some(1), Severity::Warning),
            ("failed=1:10", Some(10), Severity::Critical),
            ("failed=1:10", None, Severity::Unknown),
            ("free=2K:1K", Some(2049), Severity::Ok),
            ("free=2K:1K", Some(2048), Severity::Warning),
            ("free=2K:1K", Some(1024), Severity::Critical),
            ("ends=30d:7d", Some(-5), Severity::Critical),
            ("ends=30d:7d", Some(i64::MAX), Severity::Ok),
        ] {
            assert_eq!(judge(threshold, value), expected, "{threshold} {value:?}");
        }
        let performance = |threshold: &str, value| {
            let threshold = Threshold::parse(threshold).unwrap();
            threshold.performance(value)
        };
        assert_eq!(performance("oldest=1m:2m", Some(9)), "oldest=9s;60;120");
        assert_eq!(performance("free=2K:1K", Some(9)), "free=9B;2048:;1024:");
        assert_eq!(
            performance("ends=2d:1d", Some(i64::MAX)),
            "ends=U;172800:;86400:"
        );
    }
}
