//! What time has made useless in a node, and its removal.
//!
//! A run that is killed on the way, or a power failure that undoes a removal, leaves what the next run removes.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::disk::publish::leftovers;
use crate::disk::tree::{self, EntryKind, Visited};
use crate::disk::{FileRole, Lock, files};
use crate::message::CertificationPath;
use crate::node::certificates::path_from_octets;
use crate::node::read_text;
use crate::node::{
    Config, Directory, Error, NodeType, authorizations, config, seen, sessions, unknown_senders,
};
use crate::pki::{Certificate, NodeId, Window};
use crate::session::KeyId;
use crate::session::ratchet::{self, Keeping};

/// How long an endpoint keeps a superseded session key unless its config says otherwise.
const DEFAULT_GRACE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long after it was heard of last a stranger's session key and authorization are kept: as long as a first key is
/// sealed to.
const STRANGERS_KEPT_FOR: SignedDuration = ratchet::INITIAL_SEALED_FOR;

/// After how long a file that is being written was left by a killed run: writers give up after 24 hours.
const LEFTOVER_AFTER: Duration = Duration::from_secs(36 * 3600);

/// What kind of thing is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PurgeKind {
    /// A message that waits.
    Message,
    /// Why a message was set aside.
    Reason,
    /// A file that was being written.
    Temporary,
    /// The replay memory of a day.
    Seen,
    /// The session keys and authorizations of strangers that were heard of last on a day.
    Strangers,
    /// A certificate with its issuers'.
    Certificate,
    /// A private session key of ours.
    SessionKey,
    /// What happened to messages on a day.
    Sent,
    /// What was written onto a medium.
    Carried,
}

impl PurgeKind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Reason => "reason",
            Self::Temporary => "temporary",
            Self::Seen => "seen",
            Self::Strangers => "strangers",
            Self::Certificate => "certificate",
            Self::SessionKey => "session-key",
            Self::Sent => "sent",
            Self::Carried => "carried",
        }
    }
}

/// Why something is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PurgeReason {
    /// The message's life has ended.
    Expired,
    /// What it belongs to is not there.
    Orphan,
    /// It is older than such things are kept.
    Old,
    /// It is not valid any more.
    Ended,
    /// The peer uses a later one.
    Superseded,
}

impl PurgeReason {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Orphan => "orphan",
            Self::Old => "old",
            Self::Ended => "ended",
            Self::Superseded => "superseded",
        }
    }
}

/// Something that is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeItem {
    /// What it is.
    pub what: PurgeKind,
    /// Why it is of no use.
    pub why: PurgeReason,
    /// Since when; of what is kept for some time, when that time began.
    pub since: Option<Timestamp>,
    /// Its file or directory.
    pub path: PathBuf,
    /// The parcel that it is.
    pub parcel: Option<ParcelId>,
}

/// Which parcel it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ParcelId {
    /// Whom it is for.
    pub recipient: NodeId,
    /// Who sent it.
    pub sender: NodeId,
    /// Its message id.
    pub id: String,
}

/// What a sweep comes upon.
#[derive(Debug)]
pub enum PurgeFinding {
    /// This is of no use, and has gone unless nothing is to be removed.
    Useless(PurgeItem),
    /// This is not what belongs there, and why; it stays.
    Stray(PathBuf, String),
}

/// How useless things are removed.
#[derive(Debug, Clone, Copy)]
pub struct PurgeOptions {
    /// The time.
    pub now: Timestamp,
    /// The instants that ends are held against.
    pub window: Window,
    /// Whether nothing is to be removed.
    pub is_dry: bool,
    /// Whether what an earlier run removed may not be on the disk yet.
    pub is_unfinished: bool,
}

impl PurgeOptions {
    /// Whether this has passed, however slow the clocks of others may be, and then this long.
    #[must_use]
    pub fn is_over(&self, end: Timestamp, kept_for: SignedDuration) -> bool {
        end.checked_add(kept_for)
            .is_ok_and(|end| self.window.is_after(end))
    }

    fn leftover_before(&self) -> SystemTime {
        SystemTime::from(self.now) - LEFTOVER_AFTER
    }
}

/// Removes what is of no use, and tells of it.
pub struct Sweeper<'a, E> {
    /// How.
    pub terms: PurgeOptions,
    /// Whom it tells.
    pub each: &'a mut dyn FnMut(PurgeFinding) -> Result<(), E>,
}

impl<E: From<Error>> Sweeper<'_, E> {
    /// Removes files or directories that are in `dir`, which then lasts.
    ///
    /// # Errors
    /// When one cannot be removed, or nobody wants to be told.
    pub fn remove(&mut self, dir: &Path, role: FileRole, useless: Vec<PurgeItem>) -> Result<(), E> {
        let removed = || -> Result<(), Error> {
            for one in &useless {
                match one.what {
                    PurgeKind::Strangers => files::remove_tree(&one.path, role)?,
                    _ => files::remove_unsynced(&one.path, role)?,
                };
            }
            let may_lack = self.terms.is_unfinished && files::exists(dir, role)?;
            if !useless.is_empty() || may_lack {
                files::sync_dir(dir, role)?;
            }
            Ok(())
        };
        if !self.terms.is_dry {
            removed()?;
        }
        self.tell(useless)
    }

    /// Tells of what has gone.
    ///
    /// # Errors
    /// When nobody wants to be told.
    pub fn tell(&mut self, useless: Vec<PurgeItem>) -> Result<(), E> {
        useless
            .into_iter()
            .try_for_each(|one| (self.each)(PurgeFinding::Useless(one)))
    }

    /// Tells of something that does not belong where it is.
    ///
    /// # Errors
    /// When nobody wants to be told.
    pub fn stray(&mut self, path: PathBuf, problem: &impl ToString) -> Result<(), E> {
        (self.each)(PurgeFinding::Stray(path, problem.to_string()))
    }

    /// Removes what killed runs left of files in `dir`, and where `is_deep` in all directories in it.
    ///
    /// # Errors
    /// When a directory cannot be listed, or a file not removed.
    pub fn leftovers(&mut self, dir: &Path, role: FileRole, is_deep: bool) -> Result<(), E> {
        let before = self.terms.leftover_before();
        for leftover in leftovers(dir, role, Some(before)).map_err(Error::from)? {
            // No program here makes such a directory in a spool, and in one that another user made nothing is safe.
            if role == FileRole::Spool && leftover.is_dir() {
                continue;
            }
            if !self.terms.is_dry {
                leftover.remove().map_err(Error::from)?;
            }
            self.tell(vec![PurgeItem {
                what: PurgeKind::Temporary,
                why: PurgeReason::Old,
                since: None,
                path: leftover.path,
                parcel: None,
            }])?;
        }
        if !is_deep {
            return Ok(());
        }
        for met in tree::stream(dir, role).map_err(Error::from)? {
            if let Visited::Entry(entry) = met.map_err(Error::from)?
                && entry.kind == EntryKind::Dir
            {
                self.leftovers(&entry.path, role, true)?;
            }
        }
        Ok(())
    }

    /// Removes what each day left in `dir` that is older than it is kept.
    ///
    /// # Errors
    /// When it cannot be listed, or something not removed.
    pub fn days(
        &mut self,
        dir: &Path,
        (role, kind): (FileRole, EntryKind),
        what: PurgeKind,
        kept_for: SignedDuration,
    ) -> Result<(), E> {
        let terms = self.terms;
        let old = self.days_where(dir, (role, kind), what, &[], &|end| {
            terms.is_over(end, kept_for)
        })?;
        self.remove(dir, role, old)
    }

    fn days_where(
        &mut self,
        dir: &Path,
        (role, kind): (FileRole, EntryKind),
        what: PurgeKind,
        others: &[&str],
        is_over: &dyn Fn(Timestamp) -> bool,
    ) -> Result<Vec<PurgeItem>, E> {
        let listing = tree::entries(dir, role).map_err(Error::from)?;
        for path in listing.skipped {
            self.stray(path, &"not a regular file")?;
        }
        let mut old = Vec::new();
        for entry in listing.entries {
            if others.iter().any(|other| entry.name == *other) {
                continue;
            }
            let day = entry.name.to_str().and_then(end_of_day);
            match day.filter(|_| entry.kind == kind) {
                Some(end) if is_over(end) => old.push(PurgeItem {
                    what,
                    why: PurgeReason::Old,
                    since: Some(end),
                    path: entry.path,
                    parcel: None,
                }),
                Some(_) => {}
                None => self.stray(entry.path, &"not named for a day")?,
            }
        }
        Ok(old)
    }

    /// Removes what is of no use in a node, but for its session keys and its spool. Of the replay memory it
    /// keeps all from `seen_from` on.
    ///
    /// # Errors
    /// When something cannot be read or removed.
    pub fn node(&mut self, node: &Directory, seen_from: Option<Timestamp>) -> Result<(), E> {
        let root = node.root();
        let _lock = self.lock(node)?;
        self.seen(node, seen_from)?;
        let strangers = root.join("strangers");
        let dirs = (FileRole::Node, EntryKind::Dir);
        self.days(&strangers, dirs, PurgeKind::Strangers, STRANGERS_KEPT_FOR)?;
        // The issuers in one path may be needed for another from the same gateway.
        for dir in folders(&root.join("certs"))? {
            self.certificates(&dir, |path| path.iter().map(Certificate::not_after).max())?;
        }
        for peer in folders(&root.join("peers"))? {
            for folder in ["held", "given", "registered"] {
                let dir = peer.join(folder);
                self.certificates(&dir, |path| Some(path.leaf.not_after()))?;
            }
        }
        self.leftovers(root, FileRole::Node, false)?;
        for folder in ["certs", "peers", "sessions", "strangers", "seen"] {
            self.leftovers(&root.join(folder), FileRole::Node, true)?;
        }
        Ok(())
    }

    /// Keeps other runs from changing the node, unless nothing is changed here.
    fn lock(&self, node: &Directory) -> Result<Option<Lock>, Error> {
        if self.terms.is_dry {
            Ok(None)
        } else {
            node.lock_exclusive().map(Some)
        }
    }

    /// Removes the memory of days that nothing acceptable expires on, once it is noted how far that goes.
    fn seen(&mut self, node: &Directory, from: Option<Timestamp>) -> Result<(), E> {
        let dir = node.root().join("seen");
        let terms = self.terms;
        // The drift may be set anew, and another may be given with an option.
        let is_over = |end: Timestamp| {
            terms.is_over(end, config::MAX_DRIFT) && from.is_none_or(|from| end < from)
        };
        let files = (FileRole::Node, EntryKind::File);
        let old = self.days_where(&dir, files, PurgeKind::Seen, &[seen::FLOOR], &is_over)?;
        if let Some(newest) = old.iter().filter_map(|day| day.since).max()
            && !terms.is_dry
        {
            seen::raise_floor(node.root(), newest)?;
        }
        self.remove(&dir, FileRole::Node, old)
    }

    /// Removes the paths in a folder that have ended, as `end_of` tells. Where none is valid, the one that was
    /// valid last stays, to tell when that was.
    fn certificates(
        &mut self,
        dir: &Path,
        end_of: impl Fn(&CertificationPath) -> Option<Timestamp>,
    ) -> Result<(), E> {
        let listing = tree::entries(dir, FileRole::Node).map_err(Error::from)?;
        for path in listing.skipped {
            self.stray(path, &"not a regular file")?;
        }
        let mut is_any_valid = false;
        let mut ended = Vec::new();
        for entry in listing.entries {
            let path = match read_text(&entry.path) {
                Ok(None) => continue,
                Ok(Some(text)) => path_from_octets(text.as_bytes()),
                Err(error) => Err(error),
            };
            match path {
                Ok(path) => {
                    let leaf = &path.leaf;
                    is_any_valid |= leaf.check_dates(&self.terms.window).is_ok();
                    if end_of(&path).is_some_and(|end| self.terms.window.is_after(end)) {
                        ended.push((leaf.not_after(), entry.path));
                    }
                }
                Err(error) => self.stray(entry.path, &error)?,
            }
        }
        ended.sort_unstable();
        if !is_any_valid {
            ended.pop();
        }
        let useless = ended.into_iter().map(|(end, path)| PurgeItem {
            what: PurgeKind::Certificate,
            why: PurgeReason::Ended,
            since: Some(end),
            path,
            parcel: None,
        });
        self.remove(dir, FileRole::Node, useless.collect())
    }

    /// The session keys of a node that are of no use any more, unless a message that waits was sealed to one.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn spent_keys(&mut self, node: &Directory) -> Result<Vec<SpentKey>, E> {
        let mut spent = Vec::new();
        for dir in folders(&node.root().join("sessions"))? {
            let name = dir.file_name().and_then(|name| name.to_str());
            let peer: Option<NodeId> = name.and_then(|name| name.parse().ok());
            if peer.is_none() && name != Some(sessions::ANYBODY) {
                self.stray(dir, &"not named for a peer")?;
                continue;
            }
            let keeping = self.keeping(node, peer)?;
            let sorted = sessions::spent(node.root(), peer, &keeping)?;
            for (path, error) in sorted.others {
                self.stray(path, &error)?;
            }
            spent.extend(sorted.spent.into_iter().map(|key| {
                let (why, since) = match key.why {
                    ratchet::SpentReason::Superseded(since) => (PurgeReason::Superseded, since),
                    ratchet::SpentReason::Over(end) => (PurgeReason::Ended, end),
                };
                SpentKey {
                    peer,
                    id: key.id,
                    useless: PurgeItem {
                        what: PurgeKind::SessionKey,
                        why,
                        since: Some(since),
                        path: key.path,
                        parcel: None,
                    },
                }
            }));
        }
        Ok(spent)
    }

    /// How long the keys for a peer (or anybody) are kept.
    fn keeping(&mut self, node: &Directory, peer: Option<NodeId>) -> Result<Keeping, E> {
        let config: &Config = node.config();
        let is_gateway = config.node_type() == NodeType::Gateway;
        let grace = config.session_grace().unwrap_or(DEFAULT_GRACE);
        // Anybody may write to an endpoint on the Internet.
        let takes_from_anybody = !is_gateway && config.address().is_some();
        let may_send = match peer {
            // An answer of one that was not heard of for long is not waited for longer than messages live.
            Some(peer) if takes_from_anybody && !node.knows(peer)? => {
                unknown_senders::is_known(node.root(), peer)?
            }
            Some(peer) if !takes_from_anybody => match authorizations::given_until(node, peer) {
                Ok(until) => until.is_some_and(|until| !self.terms.window.is_after(until)),
                Err(error) => {
                    self.stray(node.peer_dir(peer), &error)?;
                    true
                }
            },
            _ => true,
        };
        Ok(Keeping {
            now: self.terms.now,
            grace: (!is_gateway).then_some(grace),
            may_send,
        })
    }

    /// Removes session keys of a node.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn keys(&mut self, node: &Directory, keys: Vec<SpentKey>) -> Result<(), E> {
        if keys.is_empty() && !self.terms.is_unfinished {
            return Ok(());
        }
        let _lock = self.lock(node)?;
        let mut keys = keys.into_iter().map(|key| key.useless).collect::<Vec<_>>();
        for dir in folders(&node.root().join("sessions"))? {
            let of_dir = keys.extract_if(.., |key| key.path.parent() == Some(&dir));
            let of_dir = of_dir.collect();
            self.remove(&dir, FileRole::Node, of_dir)?;
        }
        Ok(())
    }
}

/// A session key that is of no use any more.
#[derive(Debug)]
pub struct SpentKey {
    /// The peer that may use it; `None` for anybody.
    pub peer: Option<NodeId>,
    /// Its id.
    pub id: KeyId,
    useless: PurgeItem,
}

/// The directories in one.
fn folders(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = tree::entries(dir, FileRole::Node)?.entries.into_iter();
    let dirs = entries.filter(|entry| entry.kind == EntryKind::Dir);
    Ok(dirs.map(|entry| entry.path).collect())
}

/// The last second of a day that a file is named for: `2027-05-22`.
#[must_use]
pub fn end_of_day(name: &str) -> Option<Timestamp> {
    let day: Date = name.parse().ok()?;
    if day.to_string() != name {
        return None;
    }
    let last = day.at(23, 59, 59, 0).to_zoned(TimeZone::UTC).ok()?;
    Some(last.timestamp())
}
