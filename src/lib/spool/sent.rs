//! Notes on what happened to messages: `sent/<day>`, a line of JSON for each event.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Error, Spool};
use crate::disk::tree::{self, EntryKind};
use crate::disk::{self, FileRole, Lock, files};
use crate::message::parts::TransferId;
use crate::pki::NodeId;

use super::folders::SENT;

/// Version of the format, in each line as `v`.
const VERSION: u32 = 1;

/// Maximum length of the file of a day, in octets.
const MAX_DAY_LEN: usize = 1 << 30;

/// Maximum length of a line, in octets: many times that of any line written here.
const MAX_LINE_LEN: u64 = 64 * 1024;

/// An event of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentEvent {
    /// It was put into the queue of a next hop, or of a node here.
    Queued,
    /// It was packed into cargo.
    Packed,
    /// The next gateway has stored it, or it was delivered here.
    Acknowledged,
    /// It left, and no acknowledgement will come: it went into a directory, to a command, or as its
    /// last copy to a next hop.
    Released,
    /// It expired before that.
    Expired,
    /// It was set aside.
    Failed,
    /// It was returned to where it was set aside.
    Returned,
}

impl SentEvent {
    const ALL: [Self; 7] = [
        Self::Queued,
        Self::Packed,
        Self::Acknowledged,
        Self::Released,
        Self::Expired,
        Self::Failed,
        Self::Returned,
    ];

    /// The word in a line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Packed => "packed",
            Self::Acknowledged => "acknowledged",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Returned => "returned",
        }
    }
}

impl fmt::Display for SentEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// A line: one event of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The time of the event.
    pub time: Timestamp,
    /// The event.
    pub event: SentEvent,
    /// The recipient.
    pub recipient: NodeId,
    /// The sender.
    pub sender: NodeId,
    /// Its message id.
    pub id: String,
    /// The destination, or the reason why there is none.
    pub to: Option<String>,
    /// The id of the cargo that it was packed into.
    pub cargo: Option<String>,
    /// The id of the medium that the cargo is on.
    pub medium: Option<String>,
    /// The transfer of content that was joined here, of which it is a part.
    pub transfer: Option<TransferId>,
}

impl Line {
    fn to_json(&self) -> Value {
        let mut line = json!({
            "v": VERSION,
            "time": self.time.to_string(),
            "event": self.event.word(),
            "recipient": self.recipient.to_string(),
            "sender": self.sender.to_string(),
            "id": self.id,
            "to": self.to,
            "cargo": self.cargo,
            "medium": self.medium,
        });
        // Few messages are parts, and there are very many lines.
        if let Some(transfer) = self.transfer {
            line["transfer"] = transfer.to_string().into();
        }
        line
    }

    /// Parses a line; `None` if it has another format.
    fn parse(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let event = text("event")?;
        Some(Self {
            time: text("time")?.parse().ok()?,
            event: SentEvent::ALL
                .into_iter()
                .find(|known| known.word() == event)?,
            recipient: text("recipient")?.parse().ok()?,
            sender: text("sender")?.parse().ok()?,
            id: text("id")?.to_owned(),
            to: text("to").map(str::to_owned),
            cargo: text("cargo").map(str::to_owned),
            medium: text("medium").map(str::to_owned),
            transfer: text("transfer").and_then(|text| text.parse().ok()),
        })
    }
}

impl Spool {
    /// Appends lines to the file of the day of the first line, or of the newest known day if its
    /// time is not believed. They are on disk on return.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn note(&self, lines: &[Line]) -> Result<(), Error> {
        let Some(first) = lines.first() else {
            return Ok(());
        };
        let dir = self.root().join(SENT);
        self.make_dir(&dir)?;
        let day = dir.join(
            jiff::tz::Offset::UTC
                .to_datetime(self.day_of(first.time)?)
                .date()
                .to_string(),
        );
        let text: Vec<String> = lines
            .iter()
            .map(|line| line.to_json().to_string())
            .collect();
        // A lock of its own: a run that delivers for a local endpoint does not hold the queue lock.
        let _lock = Lock::exclusive(&self.owner().lock_file(SENT)?)?;
        files::append_line(&day, FileRole::Spool, text.join("\n").as_bytes())?;
        Ok(())
    }

    /// The notes on messages with this id, oldest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn noted(&self, id: &str) -> Result<Vec<Line>, Error> {
        self.noted_where(&Value::from(id).to_string(), |line| line.id == id)
    }

    /// The notes for which `is_meant` is true, oldest first; their lines have `part`.
    pub(super) fn noted_where(
        &self,
        part: &str,
        is_meant: impl Fn(&Line) -> bool,
    ) -> Result<Vec<Line>, Error> {
        let mut lines = Vec::new();
        for day in tree::entries(&self.root().join(SENT), FileRole::Spool)?.entries {
            if day.kind != EntryKind::File {
                continue;
            }
            let octets = files::read(&day.path, FileRole::Spool, MAX_DAY_LEN)?;
            let text = String::from_utf8_lossy(&octets);
            // A search for the id comes first, since few lines have it and parsing JSON is slower.
            let of_message = text.lines().filter(|line| line.contains(part));
            lines.extend(of_message.filter_map(Line::parse).filter(&is_meant));
        }
        Ok(lines)
    }

    /// Calls `relies` with each line of this event, in constant memory. It returns whether the
    /// caller relies on the line; such lines are on disk on return, even if the run that wrote them
    /// was killed before its sync.
    ///
    /// # Errors
    /// When a file cannot be read or synced.
    pub fn each_noted(
        &self,
        event: SentEvent,
        relies: &mut dyn FnMut(Line) -> bool,
    ) -> Result<(), Error> {
        let word = Value::from(event.word()).to_string();
        for day in tree::entries(&self.root().join(SENT), FileRole::Spool)?.entries {
            if day.kind != EntryKind::File {
                continue;
            }
            let mut lines = BufReader::new(files::open_to_read(&day.path, FileRole::Spool)?);
            let mut line = Vec::new();
            let mut is_relied_on = false;
            loop {
                line.clear();
                let read = lines
                    .by_ref()
                    // A damaged file may have no newline.
                    .take(MAX_LINE_LEN)
                    .read_until(b'\n', &mut line)
                    .map_err(|error| disk::Error::reading(&day.path, FileRole::Spool, error))?;
                if read == 0 {
                    break;
                }
                let text = String::from_utf8_lossy(&line);
                if text.contains(&word)
                    && let Some(line) = Line::parse(&text)
                    && line.event == event
                {
                    is_relied_on |= relies(line);
                }
            }
            if is_relied_on {
                files::sync(&day.path, FileRole::Spool)?;
            }
        }
        Ok(())
    }
}
