//! Notes on what happened to messages: `sent/<day>`, a line of JSON for each event.

use std::collections::HashSet;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Error, Spool, clock};
use crate::disk::tree::{self, EntryKind};
use crate::disk::{self, FileRole, Lock, files};
use crate::message::parts::TransferId;
use crate::node::day::end_of_day;
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
    /// A gateway took it over the network, for its recipient.
    Accepted,
    /// The Internet node that it is for took it over the network.
    Posted,
    /// It expired before that.
    Expired,
    /// It was set aside.
    Failed,
    /// It was returned to where it was set aside.
    Returned,
}

impl SentEvent {
    /// All, in the order in which a message meets them.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Packed,
        Self::Acknowledged,
        Self::Released,
        Self::Accepted,
        Self::Posted,
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
            Self::Accepted => "accepted",
            Self::Posted => "posted",
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
            let mut is_relied_on = false;
            each_line(&day, &mut |line| {
                let text = String::from_utf8_lossy(line);
                if text.contains(&word)
                    && let Some(line) = Line::parse(&text)
                    && line.event == event
                {
                    is_relied_on |= relies(line);
                }
            })?;
            if is_relied_on {
                files::sync(&day.path, FileRole::Spool)?;
            }
        }
        Ok(())
    }

    /// Calls `each` with the lines of messages that have one of these ids, oldest first, in constant memory.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn each_noted_of<'a>(
        &self,
        ids: impl Iterator<Item = &'a str>,
        each: &mut dyn FnMut(Line),
    ) -> Result<(), Error> {
        let quoted: HashSet<String> = ids.map(|id| Value::from(id).to_string()).collect();
        if quoted.is_empty() {
            return Ok(());
        }
        for day in tree::entries(&self.root().join(SENT), FileRole::Spool)?.entries {
            if day.kind != EntryKind::File {
                continue;
            }
            each_line(&day, &mut |line| {
                let text = String::from_utf8_lossy(line);
                // The id is compared first, since few lines have one of these and parsing JSON is slower.
                if quoted_id_of(&text).is_some_and(|id| quoted.contains(id))
                    && let Some(line) = Line::parse(&text)
                {
                    each(line);
                }
            })?;
        }
        Ok(())
    }

    /// How many events of each kind there were from `first` to `last`, as in [`SentEvent::ALL`]. In
    /// constant memory; only days are read that may have such a line.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn events_between(
        &self,
        first: Timestamp,
        last: Timestamp,
    ) -> Result<[u64; SentEvent::ALL.len()], Error> {
        let mut counts = [0; SentEvent::ALL.len()];
        for day in tree::entries(&self.root().join(SENT), FileRole::Spool)?.entries {
            // A line has the file of the day on which its run began, or of the newest known one.
            let end = day.name.to_str().and_then(end_of_day);
            let is_near = |end| first <= clock::after(end, RUNS_FOR);
            if day.kind != EntryKind::File || !end.is_some_and(is_near) {
                continue;
            }
            each_line(&day, &mut |line| {
                if let Some((at, event)) = head_of(line)
                    && (first..=last).contains(&at)
                {
                    counts[event as usize] += 1;
                }
            })?;
        }
        Ok(counts)
    }
}

/// How long a run may last that notes events under the day of its start.
const RUNS_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Gives each line of the file of a day to `each`, in constant memory.
fn each_line(day: &tree::Entry, each: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
    let mut lines = BufReader::new(files::open_to_read(&day.path, FileRole::Spool)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines
            .by_ref()
            // A damaged file may have no newline.
            .take(MAX_LINE_LEN)
            .read_until(b'\n', &mut line)
            .map_err(|error| disk::Error::reading(&day.path, FileRole::Spool, error))?;
        if read == 0 {
            return Ok(());
        }
        each(&line);
    }
}

/// The id in a line, as JSON with its quotation marks. Its key is found nowhere else, as in [`head_of`].
fn quoted_id_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("\"id\":")?;
    let mut is_escaped = false;
    let end = rest.bytes().skip(1).position(|octet| {
        let is_end = octet == b'"' && !is_escaped;
        is_escaped = octet == b'\\' && !is_escaped;
        is_end
    })?;
    rest.get(..end + 2)
}

/// The time and event of a line, without the rest, which takes several times as long to parse: there
/// may be a hundred thousand lines a day. In a string a quotation mark has a backslash before it, so
/// these keys are found nowhere else.
fn head_of(line: &[u8]) -> Option<(Timestamp, SentEvent)> {
    let line = std::str::from_utf8(line).ok()?;
    // A torn line is not counted.
    if !line.ends_with("}\n") {
        return None;
    }
    let value = |key: &str| Some(line.split_once(key)?.1.split_once('"')?.0);
    let event = value("\"event\":\"")?;
    let event = SentEvent::ALL.into_iter().find(|it| it.word() == event)?;
    Some((value("\"time\":\"")?.parse().ok()?, event))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_line_is_what_all_of_it_says() {
        for id in [
            "m1",
            "\",\"event\":\"failed",
            "\\\",\"time\":\"1970-01-01T00:00:00Z",
            "é\n\u{1}",
        ] {
            for event in SentEvent::ALL {
                let line = Line {
                    time: "2027-05-01T10:11:12Z".parse().unwrap(),
                    event,
                    recipient: NodeId::of_spki(b"recipient"),
                    sender: NodeId::of_spki(b"sender"),
                    id: id.to_owned(),
                    to: Some(id.to_owned()),
                    cargo: None,
                    medium: Some(id.to_owned()),
                    transfer: None,
                };
                let text = format!("{}\n", line.to_json());
                assert_eq!(head_of(text.as_bytes()), Some((line.time, event)), "{text}");
                assert_eq!(
                    quoted_id_of(&text),
                    Some(&*Value::from(id).to_string()),
                    "{text}"
                );
                assert_eq!(SentEvent::ALL[event as usize], event);
                assert_eq!(head_of(text.trim_end().as_bytes()), None);
            }
        }
        for torn in [
            "",
            "{}\n",
            "\"event\":\"failed\n",
            "{\"event\":\"failed\"}\n",
        ] {
            assert_eq!(head_of(torn.as_bytes()), None, "{torn}");
        }
        for torn in ["", "\"id\":", "\"id\":\"", "\"id\":\"m\\\""] {
            assert_eq!(quoted_id_of(torn), None, "{torn}");
        }
    }
}
