//! What becomes of parcels in a queue that servers answer for, whichever binding sends them.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Error;
use crate::kind::ErrorKind;
use crate::ramf::Kind;
use crate::spool::Time;
use crate::spool::sent::SentEvent;
use crate::spool::wire::{MessageStore, Queued, Taken};

/// How many names are read at once.
pub const PAGE: usize = 4096;

/// How many parcels in a row may fail before the rest waits for the next run: the server is not well.
const MAX_FAILURES: usize = 3;

/// The effects of so many answers are stored together, or of those that came within 100 ms.
pub const STORE_TOGETHER: usize = 256;

/// The longest time between an answer and its effects, unless the server is slower.
const STORE_WITHIN: Duration = Duration::from_millis(100);

/// Whether a parcel is not sent: it has expired, which relay-purge sees to.
#[must_use]
pub fn has_expired(queued: &Queued, time: &Time) -> bool {
    time.is_believed() && queued.name().has_expired(time.told)
}

/// A message of another kind where only parcels are exchanged.
pub(super) fn not_a_parcel(found: Kind) -> Error {
    let expected = Kind::Parcel;
    crate::message::Error::from(crate::ramf::Error::Kind { expected, found }).into()
}

/// What a failure says of the parcels that are to be sent after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureReach {
    /// They may do better.
    Parcel,
    /// The server takes no more now: it asked for a pause, or several in a row failed.
    Server,
    /// They would meet the same error: it is of the connection, of this node, or of what it may do there.
    Run,
}

/// How many parcels in a row a server did not take.
#[derive(Debug, Default)]
pub struct FailureCount {
    failures: usize,
}

impl FailureCount {
    /// The server took a parcel, or refused it for good.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure, and says whether the next parcel is to be sent.
    pub fn fail(&mut self, error: &Error) -> FailureReach {
        let reach = reach(error);
        // A file of ours that is bad says nothing of the server.
        if reach == FailureReach::Parcel && matches!(error, Error::Answer { .. }) {
            self.failures += 1;
            if self.failures >= MAX_FAILURES {
                return FailureReach::Server;
            }
        }
        reach
    }
}

/// A parcel that the server has, and whose effects are not stored yet.
#[derive(Debug)]
pub struct AcceptedParcel {
    /// Its handle.
    pub queued: Queued,
    /// Its message id.
    pub id: String,
    /// Its length, in octets.
    pub len: usize,
}

/// Stores the effects of a server's answers, several together.
#[derive(Debug)]
pub struct AnswerEffects {
    /// The state of a parcel that was taken.
    event: SentEvent,
    /// The name of the server for the senders of parcels.
    by: String,
    now: Timestamp,
    accepted: Vec<AcceptedParcel>,
    /// When the first of them was.
    since: Instant,
    failures: FailureCount,
}

impl AnswerEffects {
    /// For a server that has answered nothing yet. `event` is the state of a parcel that it takes, and `by` its name for
    /// the sender of the parcel.
    #[must_use]
    pub fn new(event: SentEvent, by: String, now: Timestamp) -> Self {
        Self {
            event,
            by,
            now,
            accepted: Vec::new(),
            since: Instant::now(),
            failures: FailureCount::default(),
        }
    }

    /// Keeps a parcel that the server took. Returns whether its effects are to be stored now.
    pub fn accept(&mut self, accepted: AcceptedParcel) -> bool {
        self.failures.reset();
        if self.accepted.is_empty() {
            self.since = Instant::now();
        }
        self.accepted.push(accepted);
        self.accepted.len() >= STORE_TOGETHER || self.since.elapsed() >= STORE_WITHIN
    }

    /// Performs the effects of the answers so far, and returns the parcels.
    ///
    /// # Errors
    /// When an effect cannot be stored.
    pub fn release(&mut self, store: &mut dyn MessageStore) -> Result<Vec<AcceptedParcel>, Error> {
        let accepted = std::mem::take(&mut self.accepted);
        let taken: Vec<Taken<'_>> = accepted
            .iter()
            .map(|it| self.taken(&it.queued, &it.id))
            .collect();
        store.release(&taken, self.now)?;
        Ok(accepted)
    }

    /// Sets aside a parcel that the server will never take.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn set_aside(
        &mut self,
        store: &mut dyn MessageStore,
        (queued, id): (&Queued, &str),
        error: &Error,
    ) -> Result<(), Error> {
        self.failures.reset();
        let why = error.to_string();
        store.set_aside(&self.taken(queued, id), &why, self.now)?;
        Ok(())
    }

    /// Counts a failure, and says whether the next parcel is to be sent.
    pub fn fail(&mut self, error: &Error) -> FailureReach {
        self.failures.fail(error)
    }

    fn taken<'b>(&'b self, message: &'b Queued, id: &'b str) -> Taken<'b> {
        Taken {
            message,
            id,
            event: self.event,
            by: &self.by,
        }
    }
}

/// How far an error reaches by itself.
fn reach(error: &Error) -> FailureReach {
    match error {
        Error::Answer {
            kind: ErrorKind::Unreachable,
            retry_after,
            ..
        } => match retry_after {
            Some(_) => FailureReach::Server,
            None => FailureReach::Parcel,
        },
        Error::Message(_) => FailureReach::Parcel,
        Error::Spool(error) if error.is_of_one_file() => FailureReach::Parcel,
        _ => FailureReach::Run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: ErrorKind, retry_after: Option<Duration>) -> Error {
        Error::Answer {
            server: "gw.example.org:443".to_owned(),
            status: 500,
            text: String::new(),
            kind,
            retry_after,
        }
    }

    #[test]
    fn three_failures_in_a_row_are_the_servers() {
        let mut failures = FailureCount::default();
        let mut fail = |error: &Error| failures.fail(error);
        let busy = answer(ErrorKind::Unreachable, None);
        let own = not_a_parcel(Kind::Cargo);
        let reaches = [&busy, &own, &busy, &own, &busy].map(&mut fail);
        let mut expected = [FailureReach::Parcel; 5];
        expected[4] = FailureReach::Server;
        assert_eq!(reaches, expected);
    }

    #[test]
    fn a_failure_of_the_connection_or_of_this_node_ends_the_run() {
        let broken = Error::Broken {
            server: "gw.example.org:443".to_owned(),
            cause: std::io::ErrorKind::ConnectionReset.into(),
        };
        let pause = Some(Duration::ZERO);
        for (error, expected) in [
            (broken, FailureReach::Run),
            (answer(ErrorKind::Refused, pause), FailureReach::Run),
            (answer(ErrorKind::Protocol, None), FailureReach::Run),
            (answer(ErrorKind::Unreachable, pause), FailureReach::Server),
            (answer(ErrorKind::Unreachable, None), FailureReach::Parcel),
        ] {
            assert_eq!(reach(&error), expected, "{error}");
        }
    }
}
