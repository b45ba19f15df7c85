//! What relay-serve did since its start: `metrics/serve`, a JSON object that it writes whole every ten seconds.
//!
//! It has numbers and the ids of nodes, and nothing of messages. A file that cannot be read, or is of another version,
//! counts as none.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{Error, Spool};
use crate::disk::publish::{self, IfExists, PublishOptions};
use crate::disk::{FileRole, Lock, files};
use crate::pki::NodeId;

/// The folder, in the spool.
pub(crate) const FOLDER: &str = "metrics";

/// The file in it.
pub(crate) const FILE: &str = "serve";

/// The version of the format.
const VERSION: u64 = 1;

/// Maximum length of the file, in octets.
const MAX_LEN: usize = 1024 * 1024;

/// The most nodes of which it says since when something waits: those for whom it waits longest.
pub const MAX_NODES: usize = 1000;

/// A file that is older than this, in seconds, is of a server that has ended or hangs.
pub const FRESH_FOR: SignedDuration = SignedDuration::from_secs(30);

macro_rules! serve_counts {
    ($($name:ident = $word:literal, $help:literal;)+) => {
        /// Something that relay-serve counts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ServeCount {
            $(#[doc = $help] $name,)+
        }

        impl ServeCount {
            /// All of them, in the order in which they are shown.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its word in the file, in JSON and in metrics.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

serve_counts! {
    OpenConnections = "connections_open", "Connections that are open now.";
    OpenCollections = "collections_open", "Collections that are open now.";
    OpenBodies = "bodies_open", "Parcels that are received now.";
    Connections = "connections", "Connections that were accepted.";
    RefusedConnections = "connections_refused", "Connections that were one too many of their address.";
    Requests = "requests", "Requests that were answered.";
    Sessions = "collections", "Collections that began.";
    Bodies = "bodies", "Parcels that were received whole.";
    BrokenBodies = "bodies_broken", "Parcels that did not come whole, or were too long.";
    SlowBodies = "bodies_slow", "Parcels that came too slowly, or had to make room.";
    OctetsIn = "octets_in", "Octets of parcels that were received.";
    OctetsOut = "octets_out", "Octets of parcels that were given.";
    Stored = "stored", "Parcels that were stored.";
    Repeated = "repeated", "Parcels that were here before.";
    Looped = "loop", "Parcels that came round too often.";
    Collected = "collected", "Parcels that registered nodes collected.";
    Cargo = "cargo", "Cargoes that came.";
    CargoTaken = "cargo_collected", "Cargoes that were collected.";
    Registered = "registered", "Nodes that were registered, or renewed that.";
    Dropped = "dropped", "Nodes that were forgotten, since they signed nothing in a day.";
    Malformed = "refused_malformed", "What could not be parsed.";
    Refused = "refused_for_good", "What was refused for good.";
    Unregistered = "refused_unregistered", "What was not of a registered node.";
    Busy = "refused_busy", "What could not be done at that time.";
    Full = "refused_full", "What there was no room for.";
    Failures = "failures", "Errors of this node.";
}

/// What relay-serve did since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeNumbers {
    /// When it was started.
    pub since: Timestamp,
    /// When this was written.
    pub at: Timestamp,
    /// Whether a server holds the lock of the node; only for a file that is old.
    pub is_running: bool,
    counts: Vec<u64>,
    /// Since when something waits for a node.
    pub oldest: BTreeMap<NodeId, Timestamp>,
}

impl ServeNumbers {
    /// Nothing was counted yet.
    #[must_use]
    pub fn new(since: Timestamp) -> Self {
        Self {
            since,
            at: since,
            is_running: true,
            counts: vec![0; ServeCount::ALL.len()],
            oldest: BTreeMap::new(),
        }
    }

    /// One of the counts.
    #[must_use]
    pub fn get(&self, count: ServeCount) -> u64 {
        self.counts.get(count as usize).copied().unwrap_or_default()
    }

    /// Sets one of the counts.
    pub fn set(&mut self, count: ServeCount, value: u64) {
        if let Some(known) = self.counts.get_mut(count as usize) {
            *known = value;
        }
    }

    /// Adds one to one of the counts.
    pub fn add(&mut self, count: ServeCount) {
        self.set(count, self.get(count).saturating_add(1));
    }

    /// Whether the numbers are of now.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) <= FRESH_FOR
    }

    /// The counts by their words.
    #[must_use]
    pub fn counts(&self) -> Map<String, Value> {
        let all = ServeCount::ALL.iter();
        all.map(|count| (count.word().to_owned(), self.get(*count).into()))
            .collect()
    }

    fn to_json(&self) -> Value {
        let oldest = self.oldest.iter();
        let oldest: Map<String, Value> = oldest
            .map(|(node, at)| (node.to_string(), at.to_string().into()))
            .collect();
        json!({
            "version": VERSION,
            "since": self.since.to_string(),
            "time": self.at.to_string(),
            "counts": self.counts(),
            "oldest": oldest,
        })
    }

    fn parse(octets: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(octets).ok()?;
        if value.get("version")?.as_u64()? != VERSION {
            return None;
        }
        let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
        let mut numbers = Self::new(time(value.get("since")?)?);
        numbers.at = time(value.get("time")?)?;
        let counts = value.get("counts")?.as_object()?;
        for count in ServeCount::ALL {
            let known = counts.get(count.word()).and_then(Value::as_u64);
            numbers.set(*count, known.unwrap_or_default());
        }
        let oldest = value.get("oldest")?.as_object()?.iter();
        let oldest = oldest.map(|(node, at)| Some((node.parse().ok()?, time(at)?)));
        numbers.oldest = oldest.collect::<Option<_>>()?;
        Some(numbers)
    }
}

impl Spool {
    fn serve_file(&self) -> PathBuf {
        self.root().join(FOLDER).join(FILE)
    }

    /// Stores what the server of this node did. Only that server calls it.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn set_serve_numbers(&self, numbers: &ServeNumbers) -> Result<(), Error> {
        files::create_dir_all_private(&self.root().join(FOLDER), FileRole::Spool)?;
        let text = format!("{}\n", numbers.to_json());
        let manner = PublishOptions::stored(FileRole::Spool, IfExists::Replace);
        publish::publish(&self.serve_file(), &[text.as_bytes()], &manner)?;
        Ok(())
    }

    /// What the server of this node did; `None` if none ever ran, or it cannot be read.
    ///
    /// # Errors
    /// When the lock of the server cannot be examined, which is done for numbers that are old.
    pub fn serve_numbers(&self, now: Timestamp) -> Result<Option<ServeNumbers>, Error> {
        let Ok(octets) = files::read(&self.serve_file(), FileRole::Spool, MAX_LEN) else {
            return Ok(None);
        };
        let Some(mut numbers) = ServeNumbers::parse(&octets) else {
            return Ok(None);
        };
        if !numbers.is_fresh(now) {
            let lock = self.owner().root().join("lock").join(FILE);
            numbers.is_running = Lock::try_read_only(&lock)?.is_none();
        }
        Ok(Some(numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::testspool;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(&dir.path().join("node"));
        let since: Timestamp = "2027-05-01T00:00:00Z".parse().unwrap();
        assert_eq!(spool.serve_numbers(since).unwrap(), None);
        let mut numbers = ServeNumbers::new(since);
        for (value, count) in (7..).zip(ServeCount::ALL) {
            numbers.set(*count, value);
        }
        numbers.add(ServeCount::Stored);
        numbers.at = since + SignedDuration::from_secs(60);
        let node = NodeId::of_digest([7; 32]);
        numbers.oldest.insert(node, since);
        spool.set_serve_numbers(&numbers).unwrap();
        let read = spool.serve_numbers(numbers.at).unwrap();
        assert_eq!(read.as_ref(), Some(&numbers));
        // Later, it depends on the lock.
        let later = numbers.at + SignedDuration::from_secs(31);
        assert!(!spool.serve_numbers(later).unwrap().unwrap().is_running);
        let lock = spool.owner().lock_file(FILE).unwrap();
        let _lock = Lock::exclusive(&lock).unwrap();
        assert!(spool.serve_numbers(later).unwrap().unwrap().is_running);
        for damaged in ["", "{}", "{\"version\":2}", "[1]"] {
            std::fs::write(spool.serve_file(), damaged).unwrap();
            assert_eq!(spool.serve_numbers(later).unwrap(), None, "{damaged}");
        }
    }
}
