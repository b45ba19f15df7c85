//! Names that files are about to get: noted before they are given where the next run could not tell otherwise
//! that a file is that of a message which still waits.
//!
//! `spool/delivering/<node>` has a line of JSON for each such message; it is there only while a run is at work, or
//! after one that was killed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::disk::publish::{self, Existing, Manner};
use crate::disk::{Role, files};
use crate::node::Directory;
use crate::spool::queue::Waiting;
use crate::spool::{self, DELIVERING, Place, Spool};

/// The longest file, in octets: far more than the messages of a group need.
const MAX_LEN: usize = 4 * 1024 * 1024;

/// Names that files are about to get, by the names of their messages in the queue.
#[derive(Debug)]
pub struct Intents {
    path: PathBuf,
    names: BTreeMap<String, String>,
    /// Whether the file has something else.
    is_changed: bool,
    /// Whether there is a file.
    is_there: bool,
}

impl Intents {
    /// What an earlier run left for this node, of messages that still wait.
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
        let octets = match files::read(&intents.path, Role::Spool, MAX_LEN) {
            Ok(octets) => octets,
            Err(error) if error.is_not_found() => return Ok(intents),
            Err(error) => return Err(error.into()),
        };
        intents.is_there = true;
        let home = spool.queue(Place::Home(node.id()));
        for line in String::from_utf8_lossy(&octets).lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let text = |key: &str| line.get(key).and_then(Value::as_str);
            let (Some(message), Some(name)) = (text("message"), text("name")) else {
                continue;
            };
            // It becomes part of a path, whoever wrote it.
            let is_name = |name: &str| !name.is_empty() && !name.contains('/');
            if is_name(message)
                && is_name(name)
                && files::exists(&home.dir().join(message), Role::Spool)?
            {
                intents.names.insert(message.to_owned(), name.to_owned());
            }
        }
        Ok(intents)
    }

    /// The name that the file of a message was about to get.
    #[must_use]
    pub fn name_for(&self, message: &Waiting) -> Option<&str> {
        self.names
            .get(&message.name.to_string())
            .map(String::as_str)
    }

    /// Notes the name that the file of a message is about to get.
    pub fn intend(&mut self, message: &Waiting, name: &str) {
        let before = self.names.insert(message.name.to_string(), name.to_owned());
        self.is_changed |= before.as_deref() != Some(name);
    }

    /// Forgets about a message that is done with.
    pub fn forget(&mut self, message: &Waiting) {
        self.is_changed |= self.names.remove(&message.name.to_string()).is_some();
    }

    /// Waits until all that was noted is on the disk.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn save(&mut self) -> Result<(), spool::Error> {
        if !self.is_changed {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            files::create_dir_all_private(folder, Role::Spool)?;
        }
        let lines = self.names.iter().map(|(message, name)| {
            let line = json!({"v": 1, "message": message, "name": name});
            format!("{line}\n")
        });
        let text: String = lines.collect();
        let manner = Manner::stored(Role::Spool, Existing::Replace);
        publish::publish(&self.path, &[text.as_bytes()], &manner)?;
        (self.is_changed, self.is_there) = (false, true);
        Ok(())
    }

    /// Removes the file, unless messages still wait that it tells of.
    ///
    /// # Errors
    /// When it cannot be removed or stored.
    pub fn finish(&mut self) -> Result<(), spool::Error> {
        if !self.names.is_empty() {
            return self.save();
        }
        if self.is_there {
            files::remove(&self.path, Role::Spool)?;
            (self.is_changed, self.is_there) = (false, false);
        }
        Ok(())
    }
}
