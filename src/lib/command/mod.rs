//! Runs a user's command, without a shell, with a message or its content on standard input and
//! facts about it in the environment. The exit status says whether the command accepted it, as in
//! sysexits(3).
//!
//! Standard input is a file, not a pipe: a command that does not read it cannot block us, and if
//! our program is killed, the command cannot mistake half of the input for the whole.
//!
//! A command may run for a limited time. It has a process group of its own, so that all of it can be
//! told to end, and signals that end our program are passed on to it.

mod child; // waits for a command, and ends it
mod runs; // for the messages of a queue
mod signals; // that end this program

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{self, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::disk;
use crate::kind::ErrorKind;
use crate::pki::NodeId;
use child::CommandEnd;
use signals::Watch;

pub use runs::{RunOptions, Runs};
pub use signals::{pending as pending_signal, reload_flag, stop_flag};

/// The statuses of sysexits(3) that refuse a message for good; after any other it is tried again.
const REFUSALS: [i32; 11] = [64, 65, 66, 67, 68, 69, 70, 73, 76, 77, 78];

/// Maximum length of a variable's value, in octets. All of them together are small compared to the
/// system's limit for arguments and environment.
const MAX_VALUE_LEN: usize = 1024;

/// How often a command may not end in time for one message, until the message is set aside.
pub const MOST_TIMEOUTS: u32 = 3;

/// The reason why a command did not accept its input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command cannot be run.
    #[error("{command}: {}", disk::reason(.cause))]
    NotRun {
        /// The command.
        command: String,
        /// The cause.
        cause: io::Error,
    },
    /// A fact of the message cannot be put into an environment variable.
    #[error("{variable} cannot be passed to a command: {why}")]
    Unfit {
        /// The name of the variable.
        variable: &'static str,
        /// The problem with its value.
        why: &'static str,
    },
    /// The command refused the message for good.
    #[error("{command} refused it with status {status}")]
    Refused {
        /// The command.
        command: String,
        /// Its exit status.
        status: i32,
    },
    /// The command did not accept the message this time.
    #[error("{command} failed: {end}")]
    Postponed {
        /// The command.
        command: String,
        /// How it ended: its exit status or a signal.
        end: process::ExitStatus,
    },
    /// The command did not end in time, and was ended.
    #[error("{command} did not end within {} (time-out {times} of {MOST_TIMEOUTS})", shown(*.limit))]
    TimedOut {
        /// The command.
        command: String,
        /// How long it was given.
        limit: Duration,
        /// How often that has been so for this message.
        times: u32,
    },
    /// The command was not run: it had not ended in time for the messages before.
    #[error("{command} did not end in time for {times} messages in a row")]
    Hangs {
        /// The command.
        command: String,
        /// For how many messages.
        times: usize,
    },
    /// Our program was told to end, and so was the command.
    #[error("{command} was ended by {signal}")]
    Stopped {
        /// The command.
        command: String,
        /// The name of the signal.
        signal: &'static str,
    },
}

fn shown(limit: Duration) -> String {
    SignedDuration::try_from(limit).map_or_else(|_| "its time".to_owned(), |it| format!("{it:#}"))
}

/// The facts for a command, as environment variables; an unknown value is an empty variable.
#[derive(Debug, Clone, Copy)]
pub struct CommandFacts<'a> {
    /// `RELAY_NODE`: the directory of the node that runs it.
    pub node: &'a Path,
    /// `RELAY_SENDER`: the id of the sender.
    pub sender: NodeId,
    /// `RELAY_PEER`: the name of the sender as a peer.
    pub peer: Option<&'a str>,
    /// `RELAY_RECIPIENT`: the id of the recipient.
    pub recipient: NodeId,
    /// `RELAY_ID`: the message id.
    pub id: &'a str,
    /// `RELAY_DATE`: when the message was created.
    pub date: Timestamp,
    /// `RELAY_EXPIRY`: when the message expires.
    pub expiry: Timestamp,
    /// `RELAY_TYPE`: the media type of the content.
    pub media_type: Option<&'a str>,
    /// `RELAY_NAME`: a safe file name for the content.
    pub name: Option<&'a str>,
    /// `RELAY_SIZE`: the length of standard input, in octets.
    pub size: u64,
}

impl CommandFacts<'_> {
    fn variables(&self) -> [(&'static str, OsString); 10] {
        let text = |text: Option<&str>| OsString::from(text.unwrap_or_default());
        [
            ("RELAY_NODE", self.node.into()),
            ("RELAY_SENDER", self.sender.to_string().into()),
            ("RELAY_PEER", text(self.peer)),
            ("RELAY_RECIPIENT", self.recipient.to_string().into()),
            ("RELAY_ID", text(Some(self.id))),
            ("RELAY_DATE", self.date.to_string().into()),
            ("RELAY_EXPIRY", self.expiry.to_string().into()),
            ("RELAY_TYPE", text(self.media_type)),
            ("RELAY_NAME", text(self.name)),
            ("RELAY_SIZE", self.size.to_string().into()),
        ]
    }

    /// Returns the variables after a check. The first one, the node's directory, does not come from
    /// a message and needs none.
    fn fit(&self) -> Result<[(&'static str, OsString); 10], Error> {
        let variables = self.variables();
        for (variable, value) in &variables[1..] {
            let why = if value.len() > MAX_VALUE_LEN {
                "it is too long"
            } else if value.as_encoded_bytes().contains(&0) {
                "it has a NUL"
            } else {
                continue;
            };
            return Err(Error::Unfit { variable, why });
        }
        Ok(variables)
    }
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
}

impl Command {
    /// A command with these arguments; the program is looked up in `PATH`, as a shell would.
    #[must_use]
    pub fn new(program: &OsStr, args: &[OsString]) -> Self {
        Self {
            program: program.to_owned(),
            args: args.to_vec(),
        }
    }

    /// The program, as it was given.
    #[must_use]
    pub fn program(&self) -> &OsStr {
        &self.program
    }

    /// Runs it with `input` as standard input, and waits for it, for at most `limit`. It inherits
    /// our standard output and standard error.
    ///
    /// # Errors
    /// [`Error::Unfit`], [`Error::NotRun`], [`Error::Refused`], [`Error::Postponed`],
    /// [`Error::TimedOut`] or [`Error::Stopped`].
    pub fn run(
        &self,
        facts: &CommandFacts<'_>,
        input: File,
        limit: Option<Duration>,
    ) -> Result<(), Error> {
        let failed = |cause| Error::NotRun {
            command: self.to_string(),
            cause,
        };
        // A NUL or a value that is too long would fail in execve(2), without naming the variable.
        let variables = facts.fit()?;
        let watch = Watch::start().map_err(failed)?;
        let mut child = process::Command::new(&self.program)
            .args(&self.args)
            .envs(variables)
            .stdin(Stdio::from(input))
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let end = self.end_of(&mut child, limit, &watch)?;
        match end.code() {
            Some(0) => Ok(()),
            Some(status) if REFUSALS.contains(&status) => Err(Error::Refused {
                command: self.to_string(),
                status,
            }),
            _ => Err(Error::Postponed {
                command: self.to_string(),
                end,
            }),
        }
    }
}

impl Command {
    /// Asks it something, for at most `limit`: status 0 says yes. Its standard input is empty, and what it writes to
    /// standard output is dropped.
    ///
    /// # Errors
    /// [`Error::NotRun`], also when it says so itself as a shell does (126 and 127); [`Error::TimedOut`] or
    /// [`Error::Stopped`].
    pub fn ask(&self, limit: Duration) -> Result<bool, Error> {
        let failed = |cause| Error::NotRun {
            command: self.to_string(),
            cause,
        };
        let watch = Watch::start().map_err(failed)?;
        let started = Instant::now();
        let mut child = process::Command::new(&self.program)
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let end = self.end_of(&mut child, Some(limit), &watch)?;
        match end.code() {
            // One that ends well because it is told to end has not answered.
            Some(0) if started.elapsed() >= limit => Err(self.timed_out(limit)),
            Some(126) => Err(failed(io::ErrorKind::PermissionDenied.into())),
            Some(127) => Err(failed(io::ErrorKind::NotFound.into())),
            code => Ok(code == Some(0)),
        }
    }

    /// Waits for the end of a command that runs.
    fn end_of(
        &self,
        child: &mut process::Child,
        limit: Option<Duration>,
        watch: &Watch,
    ) -> Result<process::ExitStatus, Error> {
        let end = child::wait(child, limit, watch).map_err(|cause| Error::NotRun {
            command: self.to_string(),
            cause,
        })?;
        match end {
            CommandEnd::Exited(end) => Ok(end),
            CommandEnd::TimedOut => Err(self.timed_out(limit.unwrap_or_default())),
            CommandEnd::Stopped(signal) => Err(Error::Stopped {
                command: self.to_string(),
                signal,
            }),
        }
    }

    fn timed_out(&self, limit: Duration) -> Error {
        Error::TimedOut {
            command: self.to_string(),
            limit,
            times: 1,
        }
    }
}

impl Error {
    /// The kind of the error, for callers to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        use std::io::ErrorKind as K;
        match self {
            Self::NotRun { cause, .. } => match cause.kind() {
                // EAGAIN, ENOMEM and ETXTBSY pass by themselves.
                K::WouldBlock | K::OutOfMemory | K::ExecutableFileBusy => ErrorKind::Busy,
                _ => ErrorKind::Refused,
            },
            Self::Unfit { .. } => ErrorKind::Unsuitable,
            Self::Refused { .. } => ErrorKind::Refused,
            Self::Postponed { .. }
            | Self::TimedOut { .. }
            | Self::Hangs { .. }
            | Self::Stopped { .. } => ErrorKind::Incomplete,
        }
    }

    /// Whether no other message would be accepted either: the command itself is the cause, or the
    /// run ends.
    #[must_use]
    pub fn is_of_command(&self) -> bool {
        match self {
            // E2BIG depends on the facts of the message as well, so another message may fit.
            Self::NotRun { cause, .. } => cause.kind() != io::ErrorKind::ArgumentListTooLong,
            Self::Hangs { .. } | Self::Stopped { .. } => true,
            Self::Unfit { .. }
            | Self::Refused { .. }
            | Self::Postponed { .. }
            | Self::TimedOut { .. } => false,
        }
    }

    /// Whether another attempt with the same message would give the same result.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Unfit { .. } | Self::Refused { .. } => true,
            Self::TimedOut { times, .. } => *times >= MOST_TIMEOUTS,
            _ => false,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.program.display().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::scratch;

    fn run(script: &str, octets: &[u8]) -> Result<(), Error> {
        let shell = Command::new(OsStr::new("sh"), &["-c".into(), script.into()]);
        shell.run(&facts(octets), input(octets), None)
    }

    fn run_for(limit: Duration, script: &str) -> Result<(), Error> {
        let shell = Command::new(OsStr::new("sh"), &["-c".into(), script.into()]);
        shell.run(&facts(b""), input(b""), Some(limit))
    }

    fn input(octets: &[u8]) -> File {
        scratch::holding(tempfile::tempdir().unwrap().path(), octets).unwrap()
    }

    fn facts(octets: &[u8]) -> CommandFacts<'static> {
        CommandFacts {
            node: Path::new("/var/lib/relay"),
            sender: NodeId::of_spki(b"sender"),
            peer: Some("bob"),
            recipient: NodeId::of_spki(b"recipient"),
            id: "$(reboot)",
            date: "2027-05-22T10:11:12Z".parse().unwrap(),
            expiry: "2027-06-22T10:11:12Z".parse().unwrap(),
            media_type: Some("text/plain"),
            name: None,
            size: octets.len() as u64,
        }
    }

    #[test]
    fn octets_and_facts_arrive() {
        let script = "test \"$(cat)\" = octets && test $RELAY_SIZE = 6 && test $RELAY_PEER = bob \
                      && test \"$RELAY_ID\" = '$(reboot)' && test -z \"${RELAY_NAME-x}\" \
                      && test $RELAY_DATE = 2027-05-22T10:11:12Z";
        run(script, b"octets").unwrap();
    }

    #[test]
    fn nobody_has_to_read() {
        run("exec true", &vec![7; 9_000_000]).unwrap();
        run("head -c 1 >/dev/null", &vec![7; 9_000_000]).unwrap();
    }

    #[test]
    fn the_status_decides() {
        for status in [65, 67, 77] {
            let refused = run(&format!("exit {status}"), b"").unwrap_err();
            assert!(matches!(refused, Error::Refused { status: is, .. } if is == status));
        }
        for script in ["exit 1", "exit 75", "exit 71", "exit 82", "kill -9 $$"] {
            let postponed = run(script, b"").unwrap_err();
            assert!(matches!(postponed, Error::Postponed { .. }), "{script}");
        }
        let missing = Command::new(OsStr::new("/nonexistent/x"), &[]);
        let error = missing.run(&facts(b""), input(b""), None).unwrap_err();
        assert!(error.is_of_command() && !error.is_settled(), "{error}");
        assert_eq!(missing.to_string(), "/nonexistent/x");
    }

    #[test]
    fn a_command_is_ended_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        let rest = format!(
            "sleep 60 & echo $! >>{0}; echo $$ >>{0}; wait",
            pids.display()
        );
        // One that ends when it is told to, one that does not, and one of which only a part does not.
        for script in [
            rest.clone(),
            format!("trap '' TERM; {rest}; sleep 60"),
            format!("(trap '' TERM; sleep 60) & {rest}"),
        ] {
            let error = run_for(Duration::from_millis(200), &script).unwrap_err();
            assert!(matches!(error, Error::TimedOut { times: 1, .. }), "{error}");
            assert!(!error.is_settled() && !error.is_of_command(), "{error}");
            let why = "sh did not end within 200ms (time-out 1 of 3)";
            assert_eq!(error.to_string(), why);
        }
        let pids = std::fs::read_to_string(pids).unwrap();
        assert_eq!(pids.lines().count(), 6);
        for pid in pids.lines() {
            // Empty if nobody has asked yet how it ended.
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            assert!(line.is_empty(), "{pid} is alive");
        }
    }

    #[test]
    fn one_that_ends_well_when_it_is_told_to_has_accepted() {
        let script = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
        run_for(Duration::from_millis(300), script).unwrap();
        let script = "trap 'exit 70' TERM; while :; do sleep 0.05; done";
        let error = run_for(Duration::from_millis(300), script).unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    }

    #[test]
    fn a_question_is_answered_in_time_or_not_at_all() {
        let ask = |script: &str| {
            let shell = Command::new(OsStr::new("sh"), &["-c".into(), script.into()]);
            shell.ask(Duration::from_millis(300))
        };
        assert!(ask("exit 0").unwrap());
        for no in ["exit 1", "exit 75", "kill -9 $$"] {
            assert!(!ask(no).unwrap(), "{no}");
        }
        for missing in ["/nonexistent/x", "exit 126"] {
            let error = ask(missing).unwrap_err();
            assert!(matches!(error, Error::NotRun { .. }), "{error}");
        }
        let missing = Command::new(OsStr::new("/nonexistent/x"), &[]);
        let error = missing.ask(Duration::from_secs(1)).unwrap_err();
        assert!(matches!(error, Error::NotRun { .. }), "{error}");
        for late in ["exec sleep 60", "trap 'exit 0' TERM; sleep 60 & wait"] {
            let error = ask(late).unwrap_err();
            assert!(matches!(error, Error::TimedOut { .. }), "{late}: {error}");
        }
    }

    #[test]
    fn what_a_command_leaves_behind_keeps_nobody_waiting() {
        let started = std::time::Instant::now();
        run("sleep 60 & exit 0", b"").unwrap();
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn what_cannot_be_told_is_the_messages_failure() {
        let long = ";".repeat(MAX_VALUE_LEN + 1);
        for (facts, variable) in [
            (
                CommandFacts {
                    media_type: Some(&long),
                    ..facts(b"")
                },
                "RELAY_TYPE",
            ),
            (
                CommandFacts {
                    name: Some("a\0b"),
                    ..facts(b"")
                },
                "RELAY_NAME",
            ),
            (
                CommandFacts {
                    peer: Some("b\0b"),
                    ..facts(b"")
                },
                "RELAY_PEER",
            ),
            (
                CommandFacts {
                    id: &long,
                    ..facts(b"")
                },
                "RELAY_ID",
            ),
        ] {
            let error = Command::new(OsStr::new("true"), &[])
                .run(&facts, input(b""), None)
                .unwrap_err();
            assert!(error.to_string().contains(variable), "{error}");
            assert!(error.is_settled() && !error.is_of_command(), "{error}");
        }
        // Together with the inherited environment it exceeds the system's limit; others may fit.
        let args = ["x".repeat(200_000).into()];
        let error = Command::new(OsStr::new("true"), &args)
            .run(&facts(b""), input(b""), None)
            .unwrap_err();
        assert!(matches!(error, Error::NotRun { .. }), "{error}");
        assert!(!error.is_of_command() && !error.is_settled(), "{error}");
    }
}
