//! Reports an exchange with a medium.

use std::path::{Path, PathBuf};

use super::input_ref::InputRef;
use super::limited::Limited;
use super::outcome::Outcome;
use super::tally::{self, ExchangeTally};
use super::{files, progress, report};
use crate::describe::{self, json};
use crate::medium::{self, ExchangeEvent, Medium, MediumFile, WaitReason, layout};
use crate::spool::{Spool, Time};

/// Opens the medium in a directory, or makes one with `init`. `None` if `if_present` and there is
/// no medium.
///
/// # Errors
/// When there is no medium, or it cannot be made.
pub fn open(dir: &Path, init: bool, if_present: bool) -> Result<Option<Medium>, medium::Error> {
    let opened = if init {
        Medium::init(dir)
    } else {
        Medium::open(dir)
    };
    match opened {
        Err(medium::Error::NotAMedium(_)) if if_present => Ok(None),
        opened => opened.map(Some),
    }
}

/// How many unexpected files are named in a run.
const MAX_UNEXPECTED: usize = 64;

/// How many gateways are named for which there was no room, with `-q`.
const MAX_NO_ROOM: usize = 8;

/// Reports what happens in an exchange, and collects the exit status.
#[derive(Debug)]
pub struct Log {
    medium: String,
    /// The directory on the medium that file names are prefixed with; `None` if the user gave two
    /// media.
    top: Option<PathBuf>,
    unexpected: Limited,
    /// Whether any message was written onto a medium.
    has_written: bool,
    /// The first ones that there was no room for, and the number of the others.
    left: Vec<NoRoom>,
    left_too: usize,
    outcome: Outcome,
    tally: ExchangeTally,
    /// Whether each event is printed.
    is_printed: bool,
}

/// What there was no room for.
#[derive(Debug)]
struct NoRoom {
    /// Where it was to go.
    hop: String,
    messages: usize,
    octets: u64,
}

impl Log {
    /// Notes a doubted time, so that waiting messages can be reported with the reason.
    #[must_use]
    pub fn by(mut self, time: &Time) -> Self {
        self.outcome.doubt(time);
        self
    }

    /// A log for the medium with this id, without any event.
    #[must_use]
    pub fn of(medium: &str) -> Self {
        Self {
            medium: medium.to_owned(),
            top: None,
            unexpected: Limited::new(MAX_UNEXPECTED),
            has_written: false,
            left: Vec::new(),
            left_too: 0,
            outcome: Outcome::default(),
            tally: ExchangeTally::default(),
            is_printed: false,
        }
    }

    /// Prefixes files on the medium with the directory of the medium.
    #[must_use]
    pub fn at(self, dir: &Path) -> Self {
        let top = Some(dir.join(layout::TOP));
        Self { top, ..self }
    }

    /// Prints a line of JSON for each event, and one at the end, if `is_printed`.
    #[must_use]
    pub fn printed(self, is_printed: bool) -> Self {
        Self { is_printed, ..self }
    }

    /// Prints an event as a line of JSON. What an event is about is named as in the diagnostics.
    fn print(&self, event: &ExchangeEvent) -> anyhow::Result<()> {
        let mut facts = describe::exchanged(event, &self.medium);
        if let ExchangeEvent::SetAside { what, error } | ExchangeEvent::Failed { what, error } =
            event
        {
            facts["what"] = self.named(what).into();
            facts["error"] = report::text_of_error(error).into();
        }
        files::print_line(&json::line(&facts))
    }

    /// The subject of an event for the user: a file on the medium gets its whole path.
    fn named(&self, what: &str) -> String {
        match &self.top {
            Some(top) if layout::is_within(what) => report::path(&top.join(what)),
            _ => what.to_owned(),
        }
    }

    /// Reports an event.
    ///
    /// # Errors
    /// Fatal errors only: the output is closed, or cannot be written for anything.
    pub fn tell(&mut self, event: ExchangeEvent) -> anyhow::Result<()> {
        let event = match event {
            // Said once, and not of each cargo.
            ExchangeEvent::Failed { error, .. } if error.is_locked() => return Err(error.into()),
            event => event,
        };
        self.tally.count(&event);
        progress::step();
        if self.is_printed {
            self.print(&event)?;
        }
        if let ExchangeEvent::Untimely(messages) = event {
            self.outcome.wait_for_clock(messages);
            return Ok(());
        }
        self.outcome.take();
        match event {
            ExchangeEvent::Waiting {
                hop,
                messages,
                octets,
                why,
            } => self.waiting(&hop, messages, octets, why),
            ExchangeEvent::Strangers {
                recipients,
                messages,
                not_shown,
                left,
            } => strangers(recipients, messages, not_shown, left),
            ExchangeEvent::Unexpected(path) => {
                // A medium is not trusted and may hold any number of such files.
                if self.unexpected.admit() {
                    report::warn(&format!("{}: does not belong there", report::path(&path)));
                }
            }
            ExchangeEvent::MoreUnexpected { more, .. } if self.unexpected.is_full() => {
                self.unexpected.suppress(more);
            }
            // A summary of a whole directory does not count towards the limit.
            ExchangeEvent::MoreUnexpected { dir, more } => {
                others_do_not_belong(&report::path(&dir), more);
            }
            ExchangeEvent::SetAside { what, error } => {
                self.failed(&what, anyhow::Error::from(error).context("set aside"))?;
            }
            ExchangeEvent::Failed { what, error } => self.failed(&what, error.into())?,
            change => {
                self.has_written |= matches!(
                    change,
                    ExchangeEvent::Packed { .. } | ExchangeEvent::Carried(_)
                );
                log_change(change, &self.medium);
            }
        }
        Ok(())
    }

    fn failed(&mut self, what: &str, error: anyhow::Error) -> anyhow::Result<()> {
        let place = InputRef::named(self.named(what));
        // Bounded by directory: anybody may fill one with bad files.
        match container_of(what).map(|dir| self.named(dir)) {
            Some(dir) => self.outcome.done_in(&dir, &place, Err(error)),
            None => self.outcome.done(&place, Err(error)),
        }
    }

    fn waiting(&mut self, hop: &str, messages: usize, octets: u64, why: WaitReason) {
        let count = messages.to_string();
        match why {
            WaitReason::NoRoom => {
                report::warn(&no_room(hop, messages, octets));
                self.no_room(hop, messages, octets);
            }
            // Not a warning: a gateway that requests its cargo on each trip is expected not to have
            // asked yet.
            WaitReason::NoWay | WaitReason::Ended => report::event(
                "waiting",
                &[
                    ("to", hop),
                    ("messages", &count),
                    ("octets", &octets.to_string()),
                    (
                        "why",
                        if why == WaitReason::Ended {
                            "CCA ended"
                        } else {
                            "no CCA"
                        },
                    ),
                    ("medium", &self.medium),
                ],
            ),
        }
    }

    fn no_room(&mut self, hop: &str, messages: usize, octets: u64) {
        if let Some(left) = self.left.iter_mut().find(|left| left.hop == hop) {
            left.messages += messages;
            left.octets += octets;
        } else if self.left.len() < MAX_NO_ROOM {
            self.left.push(NoRoom {
                hop: hop.to_owned(),
                messages,
                octets,
            });
        } else {
            self.left_too += 1;
        }
    }

    /// Notes in the spool that there was an exchange with the medium.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn remember(&self, spool: &Spool, time: &Time) -> anyhow::Result<()> {
        Ok(spool.note_exchange(&self.medium, &self.tally.exchange_at(time.sure))?)
    }

    /// The exit status of all events, of a part of a run that says by itself what was done.
    ///
    /// # Errors
    /// That status, unless it is 0.
    pub fn failures(self) -> anyhow::Result<()> {
        self.outcome.finish()
    }

    /// Ends the run with the exit status of all events, and says what was done, also by a run that
    /// `ended` early.
    ///
    /// # Errors
    /// That of the run, else that status, unless it is 0.
    pub fn finish(mut self, ended: anyhow::Result<()>) -> anyhow::Result<()> {
        if ended.is_err() {
            self.tally.end_early();
        }
        if let Some(more) = self.unexpected.suppressed() {
            others_do_not_belong(&self.medium, more);
        }
        // A medium that nothing fits onto trip after trip is more than a detail, and those who want
        // only errors have not read a line of it.
        if !self.has_written && report::is_quiet() {
            for left in &self.left {
                report::error(&no_room(&left.hop, left.messages, left.octets));
            }
            if self.left_too > 0 {
                let others = tally::counted(self.left_too, "other gateway", "other gateways");
                report::error(&format!("and no room for what waits for {others}"));
            }
        }
        let printed = if self.is_printed {
            files::print_line(&json::line(&self.tally.json(&self.medium)))
        } else {
            Ok(())
        };
        let failures = self.outcome.finish();
        report::summary(&self.tally.sentence());
        ended.and(failures).and(printed)
    }
}

fn others_do_not_belong(place: &str, count: usize) {
    let others = tally::counted(count, "other does", "others do");
    report::warn(&format!("{place}: {others} not belong there"));
}

/// What is said of messages that do not fit: `what` is the gateway that they are for, or the medium
/// that they were to be carried to.
fn no_room(what: &str, messages: usize, octets: u64) -> String {
    let (noun, wait) = if messages == 1 {
        ("message", "waits")
    } else {
        ("messages", "wait")
    };
    format!(
        "{what}: no room for {messages} {noun} ({octets} octets), which {wait} for another medium"
    )
}

/// Reports messages for recipients that a courier has no reason to know. On the first trip to a
/// gateway that is usual: only what may be junk, or had no room, is worth a warning.
fn strangers(recipients: usize, messages: usize, not_shown: usize, left: usize) {
    if not_shown == 0 && left == 0 {
        let counts = [recipients, messages].map(|count| count.to_string());
        return report::event(
            "strangers",
            &[("recipients", &counts[0]), ("messages", &counts[1])],
        );
    }
    report::warn(&format!(
        "{messages} {} for {recipients} {} that no request, hint or --for names: authorized: not shown for \
         {not_shown}, {left} not carried (they get at most half of the room)",
        if messages == 1 { "message" } else { "messages" },
        if recipients == 1 {
            "gateway"
        } else {
            "gateways"
        },
    ));
}

/// Logs a change of state in an exchange with this medium.
pub(super) fn log_change(event: ExchangeEvent, medium: &str) {
    let medium = ("medium", medium);
    match event {
        ExchangeEvent::Stored { name, id, cargo } => report::event(
            "stored",
            &[
                ("kind", name.identity.kind.word()),
                ("id", id.as_deref().unwrap_or_default()),
                ("from", &name.identity.sender.to_string()),
                ("to", &name.identity.recipient.to_string()),
                ("cargo", &cargo),
                medium,
            ],
        ),
        ExchangeEvent::Repeated { name, id } => report::event(
            "repeated",
            &[
                ("id", id.as_deref().unwrap_or_default()),
                ("from", &name.identity.sender.to_string()),
                ("to", &name.identity.recipient.to_string()),
                medium,
            ],
        ),
        ExchangeEvent::Unpacked { file, messages } => {
            let messages = messages.map_or_else(|| "seen".to_owned(), |it| it.to_string());
            let facts = [("file", file.to_string()), ("messages", messages)];
            report::event(
                "unpacked",
                &[
                    (facts[0].0, &facts[0].1),
                    ("from", &file.sender.to_string()),
                    (facts[1].0, &facts[1].1),
                    medium,
                ],
            );
        }
        ExchangeEvent::Asked(file) => {
            report::event("asked", &[("from", &file.sender.to_string()), medium]);
        }
        ExchangeEvent::Packed {
            cargo,
            hop,
            messages,
            len,
        } => report::event(
            "packed",
            &[
                ("cargo", &cargo),
                ("to", &hop.to_string()),
                ("messages", &messages.to_string()),
                ("octets", &len.to_string()),
                medium,
            ],
        ),
        ExchangeEvent::Requested { id, gateway } => report::event(
            "requested",
            &[("id", &id), ("from", &gateway.to_string()), medium],
        ),
        ExchangeEvent::Carried(file) => report::event(
            "carried",
            &[
                ("file", &file.to_string()),
                ("octets", &file.len.to_string()),
                medium,
            ],
        ),
        ExchangeEvent::Freed { file, medium } => report::event(
            "freed",
            &[
                ("file", &file.to_string()),
                ("octets", &file.len.to_string()),
                ("medium", &medium),
            ],
        ),
        ExchangeEvent::Withdrawn { file, acks } => log_withdrawn(&file, acks, medium),
        // The other events are not changes of state; `Log::tell` handles them.
        _ => {}
    }
}

/// Logs that our own cargo was taken off a medium.
fn log_withdrawn(file: &MediumFile, acks: usize, medium: (&str, &str)) {
    report::event(
        "withdrawn",
        &[
            ("file", &file.to_string()),
            ("to", &file.recipient.to_string()),
            ("acknowledgements", &acks.to_string()),
            ("octets", &file.len.to_string()),
            medium,
        ],
    );
}

/// The directory of a file on the medium or in the spool, or the file of an item; `None` for what is
/// not a path.
fn container_of(what: &str) -> Option<&str> {
    match what.split_once(": item ") {
        Some((file, _)) => Some(file),
        None => what.rsplit_once('/').map(|(folder, _)| folder),
    }
}
