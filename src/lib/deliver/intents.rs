//! Notes the names that files are about to get, where a later run could not tell otherwise that a file belongs to a
//! message which still waits.
//!
//! `spool/delivering/<node>` has a line of JSON for each such message or joined content. The file exists only during
//! a run, or after one that was killed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::disk::publish::{self, IfExists, PublishOptions};
use crate::disk::{FileRole, files};
use crate::node::Directory;
use crate::spool::{self, DELIVERING, Name, QueueId, Spool};

/// The longest file, in octets: far more than the messages of a group need.
const MAX_LEN: usize = 4 * 1024 * 1024;

/// Names that files are about to get, each by a key: that of a message is its name in the queue, that of content
/// which came in parts its sender and transfer.
#[derive(Debug)]
pub struct Intents {
    path: PathBuf,
    names: BTreeMap<String, String>,
    /// Whether the file has to be written again.
    is_changed: bool,
    /// Whether the file exists.
    is_there: bool,
}

impl Intents {
    /// Reads what a killed run left for this node, of messages that still wait.
    ///
    /// # Errors
    /// When it cannot be read.
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
            let Ok(line) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let text = |key: &str| line.get(key).and_then(Value::as_str);
            let (Some(key), Some(name)) = (text("key"), text("name")) else {
                continue;
            };
            let waits = match key.parse::<Name>() {
                Ok(message) => files::exists(&home.path_of(&message), FileRole::Spool)?,
                Err(_) => true,
            };
            // It becomes part of a path, and the file may have been edited.
            if waits && !name.is_empty() && !name.contains('/') {
                intents.names.insert(key.to_owned(), name.to_owned());
            }
        }
        Ok(intents)
    }

    /// The name that a file was about to get.
    #[must_use]
    pub fn name_for(&self, key: &str) -> Option<&str> {
        self.names.get(key).map(String::as_str)
    }

    /// Notes the name that a file is about to get.
    pub fn intend(&mut self, key: &str, name: &str) {
        let before = self.names.insert(key.to_owned(), name.to_owned());
        self.is_changed |= before.as_deref() != Some(name);
    }

    /// Forgets the name of a message or content that is done with.
    pub fn forget(&mut self, key: &str) {
        self.is_changed |= self.names.remove(key).is_some();
    }

    /// Forgets the names of joined contents, except for those that are left.
    pub fn retain_transfers(&mut self, is_left: impl Fn(&str) -> bool) {
        let before = self.names.len();
        self.names
            .retain(|key, _| key.parse::<Name>().is_ok() || is_left(key));
        self.is_changed |= self.names.len() != before;
    }

    /// Stores what was noted, synced.
    ///
    /// # Errors
    /// When it cannot be stored.
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

    /// Removes the file, unless something still waits that it tells of.
    ///
    /// # Errors
    /// When it cannot be removed or stored.
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
