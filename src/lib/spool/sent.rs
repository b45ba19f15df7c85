//! What became of messages: `sent/<day>`, a line of JSON for each event.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Error, Spool};
use crate::disk::tree::{self, EntryKind};
use crate::disk::{self, FileRole, Lock, files};
use crate::pki::NodeId;

use super::folders::SENT;

/// The version of the lines.
const VERSION: u32 = 1;

/// The longest file of a day that is read, in octets.
const MAX_DAY_LEN: usize = 1 << 30;

/// The longest line that is read, in octets: many times those that programs write here.
const MAX_LINE_LEN: u64 = 64 * 1024;

/// What happened to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentEvent {
    /// It was put into the queue of a next hop, or of a node here.
    Queued,
    /// It was packed into cargo.
    Packed,
    /// The next gateway has stored it, or it was delivered here.
    Acknowledged,
    /// It went where nobody answers for it: into a directory, to a command, or in its last copy to a next hop.
    Released,
    /// Its life ended before.
    Expired,
    /// It was set aside.
    Failed,
}

impl SentEvent {
    const ALL: [Self; 6] = [
        Self::Queued,
        Self::Packed,
        Self::Acknowledged,
        Self::Released,
        Self::Expired,
        Self::Failed,
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
        }
    }
}

impl fmt::Display for SentEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// A line: what happened to which message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub time: Timestamp,
    /// What.
    pub event: SentEvent,
    /// Whom the message is for.
    pub recipient: NodeId,
    /// Who sent it.
    pub sender: NodeId,
    /// Its message id.
    pub id: String,
    /// Where it went, or why it went nowhere.
    pub to: Option<String>,
    /// The id of the cargo that it was packed into.
    pub cargo: Option<String>,
    /// The id of the medium that the cargo is on.
    pub medium: Option<String>,
}

impl Line {
    fn to_json(&self) -> Value {
        json!({
            "v": VERSION,
            "time": self.time.to_string(),
            "event": self.event.word(),
            "recipient": self.recipient.to_string(),
            "sender": self.sender.to_string(),
            "id": self.id,
            "to": self.to,
            "cargo": self.cargo,
            "medium": self.medium,
        })
    }

    /// Reads a line; `None` for one that no program here wrote.
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
        })
    }
}

impl Spool {
    /// Notes what happened, on the day of the first line, or the last day that is believed where its time is not; it is
    /// on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn note(&self, lines: &[Line]) -> Result<(), Error> {
        let Some(first) = lines.first() else {
            return Ok(());
        };
        let dir = self.root().join(SENT);
        files::create_dir_all_private(&dir, FileRole::Spool)?;
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
        // Those who deliver for local endpoints do not keep others from routing.
        let _lock = Lock::exclusive(&self.owner().lock_file(SENT)?)?;
        files::append_line(&day, FileRole::Spool, text.join("\n").as_bytes())?;
        Ok(())
    }

    /// What was noted of messages with this id, the oldest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn noted(&self, id: &str) -> Result<Vec<Line>, Error> {
        let mut lines = Vec::new();
        let quoted = Value::from(id).to_string();
        for day in tree::entries(&self.root().join(SENT), FileRole::Spool)?.entries {
            if day.kind != EntryKind::File {
                continue;
            }
            let octets = files::read(&day.path, FileRole::Spool, MAX_DAY_LEN)?;
            let text = String::from_utf8_lossy(&octets);
            let of_message = text.lines().filter(|line| line.contains(&quoted));
            lines.extend(
                of_message
                    .filter_map(Line::parse)
                    .filter(|line| line.id == id),
            );
        }
        Ok(lines)
    }

    /// Gives each line of this event to `relies`, in memory that does not grow with what was noted. Those that it
    /// relies on are on the disk when this returns, whatever became of the run that noted them.
    ///
    /// # Errors
    /// When it cannot be read, or not be synced.
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
