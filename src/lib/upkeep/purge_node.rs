//! Removes expired certificates, session keys and replay memory from a node.
//!
//! Every crash state is safe: the next run removes files that a killed run left, or whose removal a
//! power failure undid.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::purge_item::{PurgeItem, PurgeKind, PurgeReason};
use super::remover::Remover;
use crate::disk::tree::{self, EntryKind};
use crate::disk::{FileRole, Lock, files};
use crate::message::CertificationPath;
use crate::node::certificates::path_from_octets;
use crate::node::issued::{self, HandOver, IssuedKind};
use crate::node::seen;
use crate::node::{
    Config, Directory, Error, NodeType, authorizations, config, predecessor, rates, read_text,
    revocations, sessions, succession, unknown_senders,
};
use crate::pki::{Certificate, NodeId};
use crate::session::KeyId;
use crate::session::ratchet::{self, Keeping};

/// How long an endpoint keeps a superseded session key unless its config says otherwise.
const DEFAULT_GRACE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long the session key and authorization of an unknown sender are kept after its last message:
/// as long as a first session key is sealed to.
const UNKNOWN_SENDERS_KEPT_FOR: SignedDuration = ratchet::INITIAL_SEALED_FOR;

impl<E: From<Error>> Remover<'_, E> {
    /// Removes files of a node that are no longer needed, except session keys and the spool. The
    /// replay memory is kept for days from `seen_from` on.
    ///
    /// # Errors
    /// When something cannot be read or removed.
    pub fn node(&mut self, node: &Directory, seen_from: Option<Timestamp>) -> Result<(), E> {
        let root = node.root();
        let _lock = self.lock(node)?;
        self.seen(node, seen_from)?;
        let unknown_senders = root.join("strangers");
        let dirs = (FileRole::Node, EntryKind::Dir);
        self.days(
            &unknown_senders,
            dirs,
            PurgeKind::UnknownSenders,
            UNKNOWN_SENDERS_KEPT_FOR,
        )?;
        for pair in self.folders(&root.join(rates::FOLDER))? {
            let files = (FileRole::Node, EntryKind::File);
            self.days(&pair, files, PurgeKind::Rates, rates::KEPT_FOR)?;
        }
        // The issuers in one path may be needed for another path from the same gateway, so a path
        // stays until its longest-lived certificate ends.
        for dir in self.folders(&root.join("certs"))? {
            self.certificates(&dir, |path| path.iter().map(Certificate::not_after).max())?;
        }
        for peer in self.folders(&root.join("peers"))? {
            for folder in ["held", "given", "registered"] {
                let dir = peer.join(folder);
                self.certificates(&dir, |path| Some(path.leaf.not_after()))?;
            }
            self.renewals(node, &peer)?;
            self.notices(&peer)?;
        }
        for dir in self.folders(&root.join(revocations::FOLDER))? {
            self.revocations(&dir)?;
        }
        // Not below the root: the spool and local endpoints are purged by themselves.
        self.leftovers(root, FileRole::Node, false)?;
        for folder in [
            "certs",
            "peers",
            "sessions",
            "strangers",
            revocations::FOLDER,
            "seen",
            rates::FOLDER,
        ] {
            self.leftovers(&root.join(folder), FileRole::Node, true)?;
        }
        Ok(())
    }

    /// Locks the node, unless this is a dry run.
    fn lock(&self, node: &Directory) -> Result<Option<Lock>, Error> {
        if self.options.is_dry {
            Ok(None)
        } else {
            node.lock_exclusive().map(Some)
        }
    }

    /// Removes the replay memory of days on which no acceptable message expires, after the floor is
    /// raised to them.
    ///
    /// In this order: after a crash between the two, the floor must cover all messages whose memory
    /// is gone.
    fn seen(&mut self, node: &Directory, from: Option<Timestamp>) -> Result<(), E> {
        let dir = node.root().join("seen");
        let options = self.options;
        // The maximum drift instead of the window's: a later run may allow a larger one, by config
        // or option.
        let is_over = |end: Timestamp| {
            options.is_over(end, config::MAX_DRIFT) && from.is_none_or(|from| end < from)
        };
        let files = (FileRole::Node, EntryKind::File);
        let old = self.days_where(&dir, files, PurgeKind::Seen, &[seen::FLOOR], &is_over)?;
        if let Some(newest) = old.iter().filter_map(|day| day.since).max()
            && !options.is_dry
        {
            seen::raise_floor(node.root(), newest)?;
        }
        self.remove(&dir, FileRole::Node, old)
    }

    /// Removes the deauthorizations of an issuer that have ended, and the folder with the last one.
    fn revocations(&mut self, dir: &Path) -> Result<(), E> {
        let listing = self.readable(dir, tree::entries(dir, FileRole::Node))?;
        let listing = listing.unwrap_or_default();
        for path in listing.skipped {
            self.unexpected(path, &"not a regular file")?;
        }
        let count = listing.entries.len();
        let mut ended = Vec::new();
        for entry in listing.entries {
            // Only the name has the end that counts here: what it says itself may be later.
            match entry.name.to_str().and_then(revocations::end_in_name) {
                Some(end) if self.options.window.is_after(end) => ended.push(PurgeItem {
                    what: PurgeKind::Revocation,
                    why: PurgeReason::Ended,
                    since: Some(end),
                    path: entry.path,
                    parcel: None,
                }),
                Some(_) => {}
                None => self.unexpected(entry.path, &"not a deauthorization")?,
            }
        }
        let is_empty_then = ended.len() == count;
        self.remove(dir, FileRole::Node, ended)?;
        if is_empty_then && !self.options.is_dry {
            files::remove_dir(dir, FileRole::Node).map_err(Error::from)?;
        }
        Ok(())
    }

    /// Removes the paths in a folder that have ended according to `end_of`. If none is valid, the
    /// one that ended last stays, since errors and relay-check say when that was.
    fn certificates(
        &mut self,
        dir: &Path,
        end_of: impl Fn(&CertificationPath) -> Option<Timestamp>,
    ) -> Result<(), E> {
        let listing = self.readable(dir, tree::entries(dir, FileRole::Node))?;
        let listing = listing.unwrap_or_default();
        for path in listing.skipped {
            self.unexpected(path, &"not a regular file")?;
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
                    is_any_valid |= leaf.check_dates(&self.options.window).is_ok();
                    if end_of(&path).is_some_and(|end| self.options.window.is_after(end)) {
                        ended.push((leaf.not_after(), entry.path));
                    }
                }
                Err(error) => self.unexpected(entry.path, &error)?,
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

    /// Removes the notes that a peer is still to get certificates which have ended, or are not the
    /// newest.
    fn renewals(&mut self, node: &Directory, dir: &Path) -> Result<(), E> {
        let name = dir.file_name().and_then(|name| name.to_str());
        let Some(peer) = name.and_then(|name| name.parse().ok()) else {
            return Ok(());
        };
        let mut useless = Vec::new();
        for kind in IssuedKind::ALL {
            let path = dir.join(kind.record());
            let due = match HandOver::of(node, peer, kind) {
                Ok(Some(due)) => due,
                Ok(None) => continue,
                Err(error) => {
                    self.unexpected(path, &error)?;
                    continue;
                }
            };
            // One that cannot be read was reported with the others of its folder.
            let Ok(newest) = issued::newest(node, peer, kind, self.options.now) else {
                continue;
            };
            let newest = newest.filter(|newest| newest.name == due.certificate);
            let end = newest.map(|newest| newest.life().1);
            if end.is_none_or(|end| self.options.window.is_after(end)) {
                useless.push(PurgeItem {
                    what: PurgeKind::Renewal,
                    why: PurgeReason::Ended,
                    since: end,
                    path,
                    parcel: None,
                });
            }
        }
        self.remove(dir, FileRole::Node, useless)
    }

    /// Removes successor notices that are too old to be taken: those that wait for a person, and the
    /// one that this node made for the peer.
    fn notices(&mut self, dir: &Path) -> Result<(), E> {
        let folder = dir.join(succession::FOLDER);
        let listing = self.readable(&folder, tree::entries(&folder, FileRole::Node))?;
        let listing = listing.unwrap_or_default();
        let waiting: Vec<PathBuf> = listing.entries.into_iter().map(|it| it.path).collect();
        let count = waiting.len();
        let old = self.old_notices(waiting)?;
        // A run that was killed may have left it empty.
        let is_empty_then = old.len() == count;
        self.remove(&folder, FileRole::Node, old)?;
        if is_empty_then && !self.options.is_dry {
            let is_there = files::exists(&folder, FileRole::Node).map_err(Error::from)?;
            if is_there && files::remove_dir(&folder, FileRole::Node).map_err(Error::from)? {
                files::sync_dir(dir, FileRole::Node).map_err(Error::from)?;
            }
        }
        let own = self.old_notices(vec![dir.join(predecessor::NOTICE)])?;
        self.remove(dir, FileRole::Node, own)
    }

    fn old_notices(&mut self, paths: Vec<PathBuf>) -> Result<Vec<PurgeItem>, E> {
        let mut old = Vec::new();
        for path in paths {
            let notice = match succession::notice_in(&path) {
                Ok(Some(notice)) => notice,
                Ok(None) => continue,
                Err(error) => {
                    self.unexpected(path, &error)?;
                    continue;
                }
            };
            let date = notice.unverified().date;
            let end = date.checked_add(succession::GOOD_FOR);
            if self.options.window.is_after(end.unwrap_or(Timestamp::MAX)) {
                old.push(PurgeItem {
                    what: PurgeKind::Successor,
                    why: PurgeReason::Old,
                    since: Some(date),
                    path,
                    parcel: None,
                });
            }
        }
        Ok(old)
    }

    /// The session keys of a node that are no longer needed. The caller must keep those that a
    /// waiting message is sealed to.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn spent_keys(&mut self, node: &Directory) -> Result<Vec<SpentKey>, E> {
        let mut spent = Vec::new();
        for dir in self.folders(&node.root().join("sessions"))? {
            let name = dir.file_name().and_then(|name| name.to_str());
            let peer: Option<NodeId> = name.and_then(|name| name.parse().ok());
            if peer.is_none() && name != Some(sessions::ANYBODY) {
                self.unexpected(dir, &"not named for a peer")?;
                continue;
            }
            let keeping = self.keeping(node, peer)?;
            let sorted = match sessions::spent(node.root(), peer, &keeping) {
                Err(Error::Disk(error)) => self.readable(&dir, Err(error))?,
                sorted => Some(sorted?),
            };
            let Some(sorted) = sorted else {
                continue;
            };
            for (path, error) in sorted.others {
                self.unexpected(path, &error)?;
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

    /// The directories in one.
    fn folders(&mut self, dir: &Path) -> Result<Vec<PathBuf>, E> {
        let listing = self.readable(dir, tree::entries(dir, FileRole::Node))?;
        let entries = listing.unwrap_or_default().entries.into_iter();
        let dirs = entries.filter(|entry| entry.kind == EntryKind::Dir);
        Ok(dirs.map(|entry| entry.path).collect())
    }

    /// The rules for keeping session keys for a peer, or for anybody.
    fn keeping(&mut self, node: &Directory, peer: Option<NodeId>) -> Result<Keeping, E> {
        let config: &Config = node.config();
        let is_gateway = config.node_type() == NodeType::Gateway;
        let grace = config.session_grace().unwrap_or(DEFAULT_GRACE);
        // Anyone may send to an endpoint with an Internet address.
        let takes_from_anybody = !is_gateway && config.address().is_some();
        let may_send = match peer {
            // No answer is expected from an unknown sender that has been silent for long, once
            // messages to it have expired.
            Some(peer) if takes_from_anybody && !node.knows(peer)? => {
                unknown_senders::is_known(node.root(), peer)?
            }
            Some(peer) if !takes_from_anybody => match authorizations::given_until(node, peer) {
                Ok(until) => until.is_some_and(|until| !self.options.window.is_after(until)),
                Err(error) => {
                    // If the authorizations cannot be read, the keys stay: a removed key cannot be
                    // recovered.
                    self.unexpected(node.peer_dir(peer), &error)?;
                    true
                }
            },
            _ => true,
        };
        Ok(Keeping {
            now: self.options.now,
            grace: (!is_gateway).then_some(grace),
            may_send,
        })
    }

    /// Removes session keys of a node.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn keys(&mut self, node: &Directory, keys: Vec<SpentKey>) -> Result<(), E> {
        // After an interrupted run the removals have to be synced, even if no key is left to
        // remove.
        if keys.is_empty() && !self.options.is_unfinished {
            return Ok(());
        }
        let _lock = self.lock(node)?;
        let mut keys = keys.into_iter().map(|key| key.useless).collect::<Vec<_>>();
        for dir in self.folders(&node.root().join("sessions"))? {
            let of_dir = keys.extract_if(.., |key| key.path.parent() == Some(&dir));
            let of_dir: Vec<PurgeItem> = of_dir.collect();
            if !self.options.is_dry && dir.ends_with(sessions::ANYBODY) {
                // Before the key, which is what the next run would know them by.
                for file in of_dir
                    .iter()
                    .flat_map(|key| sessions::senders_of(&key.path))
                {
                    files::remove_unsynced(&file, FileRole::Node).map_err(Error::from)?;
                }
            }
            self.remove(&dir, FileRole::Node, of_dir)?;
        }
        Ok(())
    }
}

/// A session key that is no longer needed.
#[derive(Debug)]
pub struct SpentKey {
    /// The peer that may use it; `None` for anyone.
    pub peer: Option<NodeId>,
    /// Its id.
    pub id: KeyId,
    useless: PurgeItem,
}
