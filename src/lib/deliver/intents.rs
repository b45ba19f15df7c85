//! Notes names that files are about to get, if a later run could not otherwise find that the file
//! belongs to a message which still waits.
//!
//! `spool/delivering/<node>` has a line of JSON for each such message or joined content. The file
//! exists only during a run, or after a killed one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::disk::publish::{self, IfExists, PublishOptions};
use crate::disk::{FileRole, files};
use crate::node::Directory;
use crate::spool::{self, DELIVERING, Name, QueueId, Spool};

/// The largest file that is read, in octets: far more than the messages of a group need.
const MAX_LEN: usize = 4 * 1024 * 1024;

/// The noted names, by key. The key of a message is its name in the queue; that of content in parts
/// is its sender and transfer.
#[derive(Debug)]
pub struct Intents {
    path: PathBuf,
    names: BTreeMap<String, String>,
    /// Whether the names differ from the file.
    is_changed: bool,
    /// Whether the file exists.
    is_there: bool,
}

impl Intents {
    /// Reads the names that a killed run noted, for messages that still wait.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of(spool: &Spool, node: &Directory) -> Result<Self, spool::Error> {
        let path = spool.root().join(DELIVERING).join(node.id().to_string());
        let mut intents = Self {
            path,
            names: BTreeMap::new(),
            is_changed: false,
            is_there: false,
        };
        let octets = match files::read(&intents.path, FileRole::Spool, MAX_LEN) {
            Ok(octets) => octets,
            Err(error) if error.is_not_found() => return Ok(intents),
            Err(error) => return Err(error.into()),
        };
        intents.is_there = true;
        let home = spool.queue(QueueId::Home(node.id()));
        for line in String::from_utf8_lossy(&octets).lines() {
            // A damaged line costs a duplicate at most.
            let Ok(line) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let text = |key: &str| line.get(key).and_then(Value::as_str);
            let (Some(key), Some(name)) = (text("key"), text("name")) else {
                continue;
            };
            // A message that is gone was completed, so its name means nothing. Joined content is
            // checked later.
            let waits = match key.parse::<Name>() {
                Ok(message) => files::exists(&home.path_of(&message), FileRole::Spool)?,
                Err(_) => true,
            };
            // The name becomes part of a path, and the file may have been edited.
            if waits && !name.is_empty() && !name.contains('/') {
                intents.names.insert(key.to_owned(), name.to_owned());
            }
        }
        Ok(intents)
    }

    /// The name that a killed run was about to give.
    #[must_use]
    pub fn name_for(&self, key: &str) -> Option<&str> {
        self.names.get(key).map(String::as_str)
    }

    /// Notes a name that is about to be given.
    pub fn intend(&mut self, key: &str, name: &str) {
        let before = self.names.insert(key.to_owned(), name.to_owned());
        self.is_changed |= before.as_deref() != Some(name);
    }

    /// Forgets the name for a message or content that is completed.
    pub fn forget(&mut self, key: &str) {
        self.is_changed |= self.names.remove(key).is_some();
    }

    /// Forgets the names for joined contents, except those for which `is_left` returns true.
    pub fn retain_transfers(&mut self, is_left: impl Fn(&str) -> bool) {
        let before = self.names.len();
        self.names
            .retain(|key, _| key.parse::<Name>().is_ok() || is_left(key));
        self.is_changed |= self.names.len() != before;
    }

    /// Stores the names, synced.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&mut self) -> Result<(), spool::Error> {
        if !self.is_changed {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            files::create_dir_all_private(folder, FileRole::Spool)?;
        }
        let lines = self.names.iter().map(|(key, name)| {
            let line = json!({"v": 1, "key": key, "name": name});
            format!("{line}\n")
        });
        let text: String = lines.collect();
        let options = PublishOptions::stored(FileRole::Spool, IfExists::Replace);
        publish::publish(&self.path, &[text.as_bytes()], &options)?;
        (self.is_changed, self.is_there) = (false, true);
        Ok(())
    }

    /// Removes the file if no name is left in it; otherwise stores it.
    ///
    /// # Errors
    /// When the file cannot be removed or written.
    pub fn finish(&mut self) -> Result<(), spool::Error> {
        if !self.names.is_empty() {
            return self.save();
        }
        if self.is_there {
            files::remove(&self.path, FileRole::Spool)?;
            (self.is_changed, self.is_there) = (false, false);
        }
        Ok(())
    }
}
