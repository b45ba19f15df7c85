//! Notes on messages that wait while they are handed over: the name that a file is about to get, if
//! a later run could not otherwise find that the file belongs to the message, and how often a
//! command did not end in time.
//!
//! `spool/delivering/<node>` has a line of JSON for each such message or joined content, and
//! `spool/delivering/in` has those of relay-route. A file without notes is removed. Notes on messages
//! that are gone mean nothing, and are dropped by the next run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::folders::DELIVERING;
use super::{Error, Name, QueueId, Spool};
use crate::disk::publish::{self, IfExists, PublishOptions};
use crate::disk::{FileRole, files};

/// The largest file that is read, in octets: far more than the messages of a group need.
const MAX_LEN: usize = 4 * 1024 * 1024;

/// The notes on the messages of a queue, by key. The key of a message is its name in the queue; that
/// of content in parts is its sender and transfer.
#[derive(Debug)]
pub struct Intents {
    path: PathBuf,
    notes: BTreeMap<String, Note>,
    /// Whether the notes differ from the file.
    is_changed: bool,
    /// Whether the file exists.
    is_there: bool,
}

/// What is noted on a message.
#[derive(Debug, Default)]
struct Note {
    /// The name that its file is about to get.
    name: Option<String>,
    /// How often its command did not end in time.
    timeouts: u32,
}

impl Intents {
    /// Reads the notes of earlier runs on messages of this queue, `in` or `home`, that still wait.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of(spool: &Spool, queue: QueueId) -> Result<Self, Error> {
        let of_queue = match queue {
            QueueId::Home(node) => node.to_string(),
            other => other.path().to_string_lossy().into_owned(),
        };
        let path = spool.root().join(DELIVERING).join(of_queue);
        let mut intents = Self {
            path,
            notes: BTreeMap::new(),
            is_changed: false,
            is_there: false,
        };
        let octets = match files::read(&intents.path, FileRole::Spool, MAX_LEN) {
            Ok(octets) => octets,
            Err(error) if error.is_not_found() => return Ok(intents),
            Err(error) => return Err(error.into()),
        };
        intents.is_there = true;
        let queue = spool.queue(queue);
        for line in String::from_utf8_lossy(&octets).lines() {
            // A damaged line costs a duplicate at most.
            let Ok(line) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let text = |key: &str| line.get(key).and_then(Value::as_str);
            let Some(key) = text("key") else {
                continue;
            };
            // A message that is gone was completed, so its note means nothing. Joined content is
            // checked later.
            let waits = match key.parse::<Name>() {
                Ok(message) => files::exists(&queue.path_of(&message), FileRole::Spool)?,
                Err(_) => true,
            };
            if !waits {
                intents.is_changed = true;
                continue;
            }
            // The name becomes part of a path, and the file may have been edited.
            let name = text("name").filter(|name| !name.is_empty() && !name.contains('/'));
            let timeouts = line.get("timeouts").and_then(Value::as_u64).unwrap_or(0);
            let note = Note {
                name: name.map(str::to_owned),
                timeouts: u32::try_from(timeouts).unwrap_or(u32::MAX),
            };
            intents.notes.insert(key.to_owned(), note);
        }
        Ok(intents)
    }

    /// The name that a killed run was about to give.
    #[must_use]
    pub fn name_for(&self, key: &str) -> Option<&str> {
        self.notes.get(key)?.name.as_deref()
    }

    /// Notes a name that is about to be given.
    pub fn intend(&mut self, key: &str, name: &str) {
        let note = self.notes.entry(key.to_owned()).or_default();
        self.is_changed |= note.name.as_deref() != Some(name);
        note.name = Some(name.to_owned());
    }

    /// Stores that the command for a message did not end in time. Returns how often that was.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn count_timeout(&mut self, key: &str) -> Result<u32, Error> {
        let note = self.notes.entry(key.to_owned()).or_default();
        note.timeouts = note.timeouts.saturating_add(1);
        let times = note.timeouts;
        self.is_changed = true;
        self.save()?;
        Ok(times)
    }

    /// Forgets the note on a message or content that is completed.
    pub fn forget(&mut self, key: &str) {
        self.is_changed |= self.notes.remove(key).is_some();
    }

    /// Forgets the notes on joined contents, except those for which `is_left` returns true.
    pub fn retain_transfers(&mut self, is_left: impl Fn(&str) -> bool) {
        let before = self.notes.len();
        self.notes
            .retain(|key, _| key.parse::<Name>().is_ok() || is_left(key));
        self.is_changed |= self.notes.len() != before;
    }

    /// Stores the notes, synced.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&mut self) -> Result<(), Error> {
        if !self.is_changed {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            files::create_dir_all_private(folder, FileRole::Spool)?;
        }
        let lines = self.notes.iter().map(|(key, note)| {
            let mut line = json!({"v": 1, "key": key});
            if let Some(name) = &note.name {
                line["name"] = name.as_str().into();
            }
            if note.timeouts > 0 {
                line["timeouts"] = note.timeouts.into();
            }
            format!("{line}\n")
        });
        let text: String = lines.collect();
        let options = PublishOptions::stored(FileRole::Spool, IfExists::Replace);
        publish::publish(&self.path, &[text.as_bytes()], &options)?;
        (self.is_changed, self.is_there) = (false, true);
        Ok(())
    }

    /// Removes the file if no note is left in it; otherwise stores it.
    ///
    /// # Errors
    /// When the file cannot be removed or written.
    pub fn finish(&mut self) -> Result<(), Error> {
        if !self.notes.is_empty() {
            return self.save();
        }
        if self.is_there {
            files::remove(&self.path, FileRole::Spool)?;
            (self.is_changed, self.is_there) = (false, false);
        }
        Ok(())
    }
}
