//! Runs commands for the messages of a queue, one after another, each for a limited time.

use std::fs::File;
use std::time::Duration;

use super::{Command, CommandFacts, Error, signals};
use crate::spool::{self, Intents};

/// After how many messages in a row that it was not done with in time a command gets no other one in
/// this run: something that it waits for is down, and each message would take as long.
const MOST_IN_A_ROW: usize = 5;

/// The limit for a command, if none is given; and how much longer it is for each [`PER_OCTETS`].
const USUAL_LIMIT: Duration = Duration::from_secs(600);
const LONGER_BY: Duration = Duration::from_secs(60);
const PER_OCTETS: u64 = 16 * 1024 * 1024;

/// The options for running commands.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    /// How long a command may run for a message; zero is no limit. By default it follows from the
    /// length of the input.
    pub limit: Option<Duration>,
    /// Told `true` before a command runs, which may write to the terminal, and `false` after it.
    pub on_run: fn(bool),
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            limit: None,
            on_run: |_| {},
        }
    }
}

impl RunOptions {
    /// The limit for an input of this length, in octets.
    pub(super) fn limit_for(&self, size: u64) -> Option<Duration> {
        let limit = self.limit.unwrap_or_else(|| {
            let times = u32::try_from(size / PER_OCTETS).unwrap_or(u32::MAX);
            USUAL_LIMIT.saturating_add(LONGER_BY.saturating_mul(times))
        });
        (!limit.is_zero()).then_some(limit)
    }
}

/// Runs commands, and remembers which did not end in time.
#[derive(Debug)]
pub struct Runs {
    options: RunOptions,
    /// The commands whose last run did not end in time, and how many did not in a row.
    late: Vec<(Command, usize)>,
}

impl Runs {
    /// Starts without runs.
    #[must_use]
    pub fn new(options: RunOptions) -> Self {
        Self {
            options,
            late: Vec::new(),
        }
    }

    /// Runs a command for the message with this key in `intents`, which count how often it did not
    /// end in time.
    ///
    /// # Errors
    /// As [`Command::run`]; [`Error::Hangs`] or [`Error::Stopped`] without running it; or the count cannot be stored.
    pub fn run<E: From<Error> + From<spool::Error>>(
        &mut self,
        command: &Command,
        facts: &CommandFacts<'_>,
        input: File,
        (intents, key): (&mut Intents, &str),
    ) -> Result<(), E> {
        let at = self.late.iter().position(|(late, _)| late == command);
        if let Some(at) = at
            && self.late[at].1 >= MOST_IN_A_ROW
        {
            return Err(E::from(Error::Hangs {
                command: command.to_string(),
                times: self.late[at].1,
            }));
        }
        // The command before accepted its message although it was told to end.
        if let Some(signal) = signals::pending() {
            return Err(E::from(Error::Stopped {
                command: command.to_string(),
                signal: signals::name(signal),
            }));
        }
        (self.options.on_run)(true);
        let ran = command.run(facts, input, self.options.limit_for(facts.size));
        (self.options.on_run)(false);
        match ran {
            Err(Error::TimedOut {
                command: name,
                limit,
                ..
            }) => {
                match at {
                    Some(at) => self.late[at].1 += 1,
                    None => self.late.push((command.clone(), 1)),
                }
                let times = intents.count_timeout(key)?;
                Err(E::from(Error::TimedOut {
                    command: name,
                    limit,
                    times,
                }))
            }
            ran => {
                self.late.retain(|(late, _)| late != command);
                Ok(ran?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_grows_with_the_input() {
        let usual = RunOptions::default();
        let minutes = |size| usual.limit_for(size).unwrap().as_secs() / 60;
        assert_eq!(minutes(0), 10);
        assert_eq!(minutes(9_000_000), 10);
        assert_eq!(minutes(16 << 20), 11);
        assert_eq!(minutes(10 << 30), 650);
        assert!(usual.limit_for(u64::MAX).is_some());
    }

    #[test]
    fn a_limit_that_is_given_does_not_grow_and_zero_is_none() {
        let of = |seconds| RunOptions {
            limit: Some(Duration::from_secs(seconds)),
            ..RunOptions::default()
        };
        assert_eq!(of(5).limit_for(1 << 40), Some(Duration::from_secs(5)));
        assert_eq!(of(0).limit_for(1 << 40), None);
    }
}
