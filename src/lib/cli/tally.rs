//! What a run did, counted: the last line on a terminal, and the last line of JSON.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::describe::VERSION;
use crate::kind::ErrorKind;
use crate::medium::{ExchangeEvent, WaitReason};
use crate::ramf::Kind;
use crate::spool::exchanges::Exchange;

/// What the summary of a run says that an error ended.
pub(super) const ENDED_EARLY: &str = "the run ended early";

/// Counts of an exchange with a medium.
#[derive(Debug, Default)]
pub struct ExchangeTally {
    cargoes_taken: usize,
    taken: usize,
    repeated: usize,
    asked: usize,
    cargoes_given: usize,
    given: usize,
    requested: usize,
    carried: usize,
    octets: u64,
    no_room: usize,
    waiting: usize,
    failed: usize,
    /// Whether a file could not be read or written, be it on the medium or here.
    is_amiss: bool,
    /// Whether an error ended the run.
    is_cut_short: bool,
}

impl ExchangeTally {
    /// Counts an event.
    pub fn count(&mut self, event: &ExchangeEvent) {
        match event {
            ExchangeEvent::Stored { .. } => self.taken += 1,
            ExchangeEvent::Repeated { .. } => self.repeated += 1,
            ExchangeEvent::Unpacked { .. } => self.cargoes_taken += 1,
            ExchangeEvent::Asked(_) => self.asked += 1,
            ExchangeEvent::Packed { messages, len, .. } => {
                self.cargoes_given += 1;
                self.given += messages;
                self.octets += u64::try_from(*len).unwrap_or(u64::MAX);
            }
            ExchangeEvent::Requested { .. } => self.requested += 1,
            ExchangeEvent::Carried(file) => {
                self.carried += 1;
                self.requested += usize::from(file.kind() == Kind::Cca);
                self.octets += file.len;
            }
            ExchangeEvent::Untimely(messages) => self.waiting += messages,
            ExchangeEvent::Waiting { messages, why, .. } => {
                self.waiting += messages;
                if *why == WaitReason::NoRoom {
                    self.no_room += messages;
                }
            }
            ExchangeEvent::SetAside { error, .. } | ExchangeEvent::Failed { error, .. } => {
                self.failed += 1;
                self.is_amiss |= matches!(
                    error.kind(),
                    ErrorKind::Disk { .. } | ErrorKind::Io | ErrorKind::CannotCreate
                );
            }
            ExchangeEvent::Freed { .. }
            | ExchangeEvent::Withdrawn { .. }
            | ExchangeEvent::Strangers { .. }
            | ExchangeEvent::Unexpected(_)
            | ExchangeEvent::MoreUnexpected { .. } => {}
        }
    }

    /// Notes that an error ended the run: the medium may have failed.
    pub fn end_early(&mut self) {
        self.is_cut_short = true;
        self.is_amiss = true;
    }

    /// What the spool keeps of it.
    #[must_use]
    pub fn exchange_at(&self, date: Timestamp) -> Exchange {
        let count = |count| u64::try_from(count).unwrap_or(u64::MAX);
        Exchange {
            date,
            taken: count(self.taken),
            given: count(self.given),
            waiting: count(self.waiting),
            failed: count(self.failed),
        }
    }

    /// The counts as the last line of a run's JSON.
    #[must_use]
    pub fn json(&self, medium: &str) -> Value {
        json!({
            "v": VERSION,
            "event": "summary",
            "medium": medium,
            "cargoes_taken": self.cargoes_taken,
            "messages_taken": self.taken,
            "messages_repeated": self.repeated,
            "asked": self.asked,
            "cargoes_given": self.cargoes_given,
            "messages_given": self.given,
            "requested": self.requested,
            "carried": self.carried,
            "size": self.octets,
            "waiting": self.waiting,
            "failed": self.failed,
            "safe_to_remove": !self.is_amiss,
        })
    }

    /// The counts in words.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut parts = Vec::new();
        if self.carried > 0 {
            let cargoes = self.carried - self.requested;
            let what = listed(&[
                (cargoes, "cargo", "cargoes"),
                (self.requested, "request", "requests"),
            ]);
            parts.push(format!("carried {what}, {}", size(self.octets)));
        } else {
            parts.extend(self.exchange());
        }
        if self.no_room > 0 {
            let what = counted(self.no_room, "message", "messages");
            parts.push(format!("no room for {what}"));
        }
        let others = self.waiting - self.no_room;
        if others > 0 {
            let wait = if others == 1 { "waits" } else { "wait" };
            let what = counted(others, "message", "messages");
            parts.push(format!("{what} here {wait}"));
        }
        if self.failed > 0 {
            parts.push(format!("{} failed", self.failed));
        }
        if parts.is_empty() {
            let nothing = if self.is_cut_short {
                "nothing done"
            } else {
                "nothing to do"
            };
            parts.push(nothing.to_owned());
        }
        let text = parts.join(", ");
        if self.is_cut_short {
            format!("{text}; {ENDED_EARLY}")
        } else if self.is_amiss {
            text
        } else {
            format!("{text}; safe to remove")
        }
    }

    /// What was taken and given.
    fn exchange(&self) -> Vec<String> {
        let mut parts = Vec::new();
        if self.cargoes_taken + self.taken + self.asked > 0 {
            let mut what = Vec::new();
            if self.cargoes_taken + self.taken > 0 {
                let cargoes = counted(self.cargoes_taken, "cargo", "cargoes");
                let messages = counted(self.taken, "new message", "new messages");
                what.push(format!("{cargoes} with {messages}"));
            }
            if self.asked > 0 {
                what.push(counted(self.asked, "request", "requests"));
            }
            parts.push(format!("took {}", what.join(" and ")));
        }
        if self.cargoes_given + self.requested > 0 {
            let mut what = Vec::new();
            if self.cargoes_given > 0 {
                let messages = counted(self.given, "message", "messages");
                let cargoes = counted(self.cargoes_given, "cargo", "cargoes");
                what.push(format!("{messages} in {cargoes}, {}", size(self.octets)));
            }
            if self.requested > 0 {
                what.push(counted(self.requested, "request", "requests"));
            }
            parts.push(format!("gave {}", what.join(" and ")));
        }
        parts
    }
}

/// A number and its noun.
#[must_use]
pub fn counted(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// Those of the things that there are: `3 cargoes and 1 request`.
#[must_use]
pub fn listed(things: &[(usize, &str, &str)]) -> String {
    let there = things.iter().filter(|(number, ..)| *number > 0);
    let there: Vec<String> = there
        .map(|(number, one, more)| counted(*number, one, more))
        .collect();
    there.join(" and ")
}

/// A size as people read it, in units of 1000 and rounded down.
#[must_use]
pub fn size(octets: u64) -> String {
    let (unit, prefix) = match octets {
        0..1_000 => return format!("{octets} B"),
        1_000..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    let tenths = octets / (unit / 10);
    format!("{}.{} {prefix}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{self, FileRole, Operation};
    use crate::medium;

    #[test]
    fn sizes_are_short() {
        let sizes = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_999, "999.9 kB"),
            (4_150_000, "4.1 MB"),
            (u64::MAX, "18446744073.7 GB"),
        ];
        for (octets, text) in sizes {
            assert_eq!(size(octets), text);
        }
    }

    #[test]
    fn a_medium_that_fails_is_not_called_safe() {
        let failed = |error| ExchangeEvent::Failed {
            what: "cargo/x".to_owned(),
            error,
        };
        let mut tally = ExchangeTally::default();
        tally.count(&failed(medium::Error::Damaged));
        assert_eq!(tally.sentence(), "1 failed; safe to remove");
        let error = disk::Error::Io {
            path: "cargo/x".into(),
            role: FileRole::Spool,
            doing: Operation::Read,
            cause: std::io::Error::other("worn out"),
        };
        tally.count(&failed(medium::Error::Disk(error)));
        tally.count(&ExchangeEvent::Untimely(1));
        assert_eq!(tally.sentence(), "1 message here waits, 2 failed");
        assert_eq!(tally.json("M")["safe_to_remove"], false);
    }

    #[test]
    fn things_that_there_are_not_are_not_listed() {
        let things =
            |one, other| listed(&[(one, "cargo", "cargoes"), (other, "request", "requests")]);
        assert_eq!(things(3, 1), "3 cargoes and 1 request");
        assert_eq!(things(0, 2), "2 requests");
        assert_eq!(things(1, 0), "1 cargo");
    }
}
