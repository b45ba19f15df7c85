//! The command of `online-when`, which says whether the network may be used now.

use std::ffi::{OsStr, OsString};
use std::sync::OnceLock;
use std::time::Duration;

use crate::binding::Error;
use crate::command::{self, Command};
use crate::node::Config;

/// The setting.
const KEY: &str = "online-when";

/// How long the command may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Asks the command once in a run, for all gateways, and only if one of them is to be asked.
#[derive(Debug)]
pub struct NetworkLeave<'a> {
    config: &'a Config,
    limit: Duration,
    answer: OnceLock<LeaveAnswer>,
}

/// What the command said.
#[derive(Debug)]
enum LeaveAnswer {
    Yes,
    No,
    /// It cannot be run, and why.
    Unable(String),
    /// It did not end in time; its name.
    Late(String),
}

impl<'a> NetworkLeave<'a> {
    /// Asks nothing yet.
    #[must_use]
    pub fn of(config: &'a Config) -> Self {
        Self {
            config,
            limit: LIMIT,
            answer: OnceLock::new(),
        }
    }

    /// Whether the network may be used now: always, where there is no command.
    ///
    /// # Errors
    /// [`Error::Setting`] when the command cannot be run, [`Error::Undecided`] when it did not end in time.
    pub fn is_given(&self) -> Result<bool, Error> {
        match self.answer.get_or_init(|| self.ask()) {
            LeaveAnswer::Yes => Ok(true),
            LeaveAnswer::No => Ok(false),
            LeaveAnswer::Unable(problem) => Err(Error::Setting {
                what: KEY.to_owned(),
                problem: problem.clone(),
            }),
            LeaveAnswer::Late(command) => Err(Error::Undecided {
                command: command.clone(),
                waited: self.limit,
            }),
        }
    }

    fn ask(&self) -> LeaveAnswer {
        let words = self.config.online_when().unwrap_or_default();
        let mut words = words.split_whitespace();
        let Some(program) = words.next() else {
            return LeaveAnswer::Yes;
        };
        let args: Vec<OsString> = words.map(OsString::from).collect();
        match Command::new(OsStr::new(program), &args).ask(self.limit) {
            Ok(true) => LeaveAnswer::Yes,
            // A signal ends this run once it has ended the command.
            Ok(false) | Err(command::Error::Stopped { .. }) => LeaveAnswer::No,
            Err(command::Error::TimedOut { command, .. }) => LeaveAnswer::Late(command),
            Err(error) => LeaveAnswer::Unable(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(command: &str) -> Result<bool, Error> {
        let config = Config::parse(&format!("online-when = {command}\n")).unwrap();
        let mut leave = NetworkLeave::of(&config);
        leave.limit = Duration::from_millis(200);
        leave.is_given()
    }

    #[test]
    fn a_command_says_whether_the_network_may_be_used() {
        assert!(NetworkLeave::of(&Config::default()).is_given().unwrap());
        assert!(answer("test -e /").unwrap());
        assert!(!answer("test -e /nowhere").unwrap());
        let error = answer("/nowhere/command with words").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("online-when: /nowhere/command: "),
            "{error}"
        );
        assert_eq!(error.kind(), crate::kind::ErrorKind::Config);
        let error = answer("sleep 60").unwrap_err();
        assert!(matches!(error, Error::Undecided { .. }), "{error}");
        assert_eq!(error.kind(), crate::kind::ErrorKind::Unreachable);
    }

    #[test]
    fn it_is_asked_once_in_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("made");
        let config = Config::parse(&format!("online-when = mkdir {}\n", made.display())).unwrap();
        let leave = NetworkLeave::of(&config);
        assert!(!made.exists());
        for _ in 0..3 {
            assert!(leave.is_given().unwrap());
        }
        assert!(made.exists());
    }
}
