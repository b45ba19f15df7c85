//! The successors that peers name: `peers/<id>/successors/<new id>.pem` until a person has compared the
//! digits of one, and `peers/<id>/successor` from then on.
//!
//! Whoever has stolen a key can sign notices, too. So a notice changes nothing by itself, and a second
//! one only makes it clearer that somebody has to be asked by voice.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::expected::Expected;
use super::files::{damaged, read_text, rely_on, store};
use super::imported::{Confirmation, Options, SuccessorFate};
use super::issued::{self, IssuedKind, IssuedPath};
use super::key_file::Headers;
use super::peers::{self, short_id};
use super::revocations::{dir_of, stored_in};
use super::{
    Directory, Error, ImportError, Keyring, NodeType, PeerError, Revocations, authorizations,
};
use crate::asn1::pem;
use crate::disk::tree::{Entry, EntryKind};
use crate::disk::{FileRole, files, tree};
use crate::message::SuccessorNotice;
use crate::message::pdd::RevocationScope;
use crate::message::successor::SuccessorStatement;
use crate::pki::{NodeId, Window, issuance};
use crate::ramf;

/// The folder of a peer with the notices that wait for a person.
pub const FOLDER: &str = "successors";

/// The file of a peer that says which node took its place.
pub const CONFIRMED: &str = "successor";

/// The most notices of a peer that wait. Two already show that its key may be stolen.
const MAX_WAITING: usize = 2;

/// How long a notice is good for: as long as the authorization in it may last.
pub const GOOD_FOR: SignedDuration = issuance::MAX_LIFE;

/// The most nodes that are followed from one to its successor.
const MAX_CHAIN: usize = 64;

/// Header: the successor's id.
const NODE: &str = "Node";
/// Header: the name that it took over.
const NAME: &str = "Name";

/// The successor of a peer that a person confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedSuccessor {
    /// Its id.
    pub id: NodeId,
    /// The name that it took over, if the peer had one.
    pub name: Option<String>,
}

/// The successors that a peer named, while a person has confirmed none.
#[derive(Debug, Default)]
pub struct Succession {
    /// The notices that wait, by the id of the successor.
    pub waiting: Vec<SuccessorNotice>,
    /// Whether the peer revoked all authorizations that it gave.
    pub is_withdrawn: bool,
    /// Why others cannot be read. They keep nobody from taking one of these.
    pub unreadable: Vec<Error>,
}

impl Succession {
    /// The ids of those that wait.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.waiting.iter().map(|it| it.unverified().new.id())
    }

    /// Whether somebody else may have the peer's key.
    #[must_use]
    pub fn is_contested(&self) -> bool {
        self.waiting.len() > 1 || self.is_withdrawn && !self.waiting.is_empty()
    }

    /// What is said of it, with the peer's name here; `None` if nothing waits. The digits to compare
    /// are not said: a person has to hear them.
    #[must_use]
    pub fn text(&self, peer: &str) -> Option<String> {
        let mut ids: Vec<String> = self.ids().map(short_id).collect();
        let last = ids.pop()?;
        Some(if !ids.is_empty() {
            let others = ids.join(", ");
            format!("{others} and {last} both claim to succeed {peer}: somebody may have its key")
        } else if self.is_withdrawn {
            format!(
                "{peer} revoked all, and {last} claims to succeed it: somebody may have its key"
            )
        } else {
            format!(
                "{peer} says that {last} succeeds it, which counts once the digits are compared"
            )
        })
    }

    /// How the genuine one comes in when the notices of others leave it no room.
    pub const NO_ROOM: &str = "let them hand over the notice as a file: relay-keygen --successor OLD -d DIR makes it there; here, relay-import --successor FILE --expect DIGITS takes it, with the digits that they say by voice";

    /// Whether no more notices of the peer are kept.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.waiting.len() + self.unreadable.len() >= MAX_WAITING
    }

    /// The command that takes one, and what comes before it.
    #[must_use]
    pub fn remedy(peer: &str) -> String {
        format!(
            "ask them by voice for the fingerprint of the new node, then relay-import --successor {peer} --expect DIGITS"
        )
    }
}

impl Directory {
    fn successors_dir(&self, peer: NodeId) -> PathBuf {
        self.peer_dir(peer).join(FOLDER)
    }

    /// The successor of a peer that a person confirmed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn successor_of(&self, peer: NodeId) -> Result<Option<ConfirmedSuccessor>, Error> {
        let path = self.peer_dir(peer).join(CONFIRMED);
        let Some(text) = read_text(&path)? else {
            return Ok(None);
        };
        let headers = Headers::parse(&text);
        let id = headers.get(NODE).and_then(|id| id.parse().ok());
        let id = id.ok_or_else(|| damaged(&path, &"names no node"))?;
        let name = headers.get(NAME).map(str::to_owned);
        Ok(Some(ConfirmedSuccessor { id, name }))
    }

    /// The node that took the place of a peer, or of one that took its place; the peer itself if none
    /// did.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn last_successor(&self, peer: NodeId) -> Result<NodeId, Error> {
        let mut last = peer;
        // Bounded, since files can be edited.
        for _ in 0..MAX_CHAIN {
            match self.successor_of(last)? {
                Some(successor) => last = successor.id,
                None => break,
            }
        }
        Ok(last)
    }

    /// The peer that a user means whose successor is to have these digits: by its name or id, or once
    /// a successor with these digits was confirmed, also by the name that this took over.
    ///
    /// # Errors
    /// As [`Directory::find_peer`].
    pub fn find_succeeded(&self, text: &str, expected: &Expected) -> Result<NodeId, Error> {
        let found = self.find_peer(text).map(|peer| peer.id);
        let id = found.as_ref().ok().copied();
        if let Some(id) = id
            && files::exists(&self.successors_dir(id), FileRole::Node)?
        {
            return Ok(id);
        }
        // A run that was killed may have left the name to nobody.
        for peer in self.peer_ids()? {
            let Some(successor) = self.successor_of(peer)? else {
                continue;
            };
            let is_named = successor.name.as_deref() == Some(text) || id == Some(successor.id);
            if is_named && expected.is_of(successor.id.digest()) {
                return Ok(peer);
            }
        }
        found
    }

    /// The successors that a peer named, and that wait for a person.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn succession_of(&self, peer: NodeId, now: Timestamp) -> Result<Succession, Error> {
        let (mut waiting, mut unreadable) = (Vec::new(), Vec::new());
        let found = tree::entries(&self.successors_dir(peer), FileRole::Node)?.entries;
        for entry in found.into_iter().filter(is_file) {
            match notice_in(&entry.path) {
                Ok(notice) => waiting.extend(notice),
                Err(error) => unreadable.push(error),
            }
        }
        let is_withdrawn = !waiting.is_empty() && self.has_withdrawn_all(peer, now)?;
        Ok(Succession {
            waiting,
            is_withdrawn,
            unreadable,
        })
    }

    /// Whether a peer itself revoked all authorizations that it gave.
    fn has_withdrawn_all(&self, peer: NodeId, now: Timestamp) -> Result<bool, Error> {
        let stored = stored_in(&dir_of(self, peer))?;
        Ok(stored.iter().any(|it| {
            it.end >= now && it.pdd.scope == RevocationScope::All && it.pdd.signer() == peer
        }))
    }

    /// Checks what needs nobody's word: that both keys signed the notice, for this node, about two
    /// nodes that can succeed each other, and not in the future.
    fn check_notice<'a>(
        &self,
        notice: &'a SuccessorNotice,
        window: &Window,
    ) -> Result<&'a SuccessorStatement, Error> {
        let said = notice.verify()?;
        let (old, new) = (said.old.id(), said.new.id());
        let unsuitable = |why| Err(Error::Import(ImportError::Unsuitable(why)));
        if said.peer != self.id() {
            return Err(Error::Import(ImportError::ForAnotherNode(said.peer)));
        }
        if old == new {
            return unsuitable("a node that names itself as its successor");
        }
        if old == self.id() || new == self.id() {
            return unsuitable("this node itself is named, or names its successor");
        }
        if self.successor_of(new)?.is_some() {
            return unsuitable("the successor that is named has one itself");
        }
        if window.is_before(said.date) {
            return Err(ramf::Error::Early(said.date).into());
        }
        let end = said.date.checked_add(GOOD_FOR).unwrap_or(Timestamp::MAX);
        if window.is_after(end) {
            return Err(ramf::Error::Expired(end).into());
        }
        if let Some(params) = &said.params {
            self.check_authorization(params, window)?;
        }
        Ok(said)
    }

    /// Stores a notice until a person confirms it. The caller holds the lock of the peer, or of the
    /// node.
    ///
    /// # Errors
    /// When either key did not sign it, it is not for this node, its date is in the future or long
    /// past, or it names nodes that cannot succeed each other; [`PeerError::Unknown`] when the node
    /// that is succeeded is no peer; when it cannot be stored.
    pub fn keep_notice(
        &self,
        notice: &SuccessorNotice,
        window: &Window,
    ) -> Result<SuccessorFate, Error> {
        let said = self.check_notice(notice, window)?;
        let (old, new) = (said.old.id(), said.new.id());
        if !self.knows(old)? {
            return Err(Error::Peer(PeerError::Unknown(old.to_string())));
        }
        if let Some(confirmed) = self.successor_of(old)? {
            return Ok(if confirmed.id == new {
                SuccessorFate::Known
            } else {
                SuccessorFate::Settled
            });
        }
        let path = self.successors_dir(old).join(format!("{new}.pem"));
        // A file that cannot be read is replaced by a good one.
        let known = notice_in(&path).ok().flatten();
        let is_new = known.is_none();
        if known.is_some_and(|known| known.unverified().date >= said.date) {
            rely_on(&path)?;
            return Ok(SuccessorFate::Known);
        }
        let waiting = tree::entries(&self.successors_dir(old), FileRole::Node)?.entries;
        let others = waiting.iter();
        let others = others.filter(|entry| is_file(entry) && entry.path != path);
        if others.count() >= MAX_WAITING {
            return Ok(SuccessorFate::NoRoom);
        }
        let text = pem::encode(pem::SUCCESSOR_NOTICE, notice.octets());
        store(self.root(), &path, text.as_bytes())?;
        Ok(if is_new {
            SuccessorFate::Waits
        } else {
            SuccessorFate::Known
        })
    }

    /// Lets the successor in a notice take the place of the old node: a person compared its digits. It
    /// gets the old node's name unless `options` give another, and an authorization to send as the old
    /// one had. Other notices are void. The caller holds the node's exclusive lock.
    ///
    /// The record of the confirmation comes before the name, so that a run that was killed in between
    /// is completed by the same command.
    ///
    /// # Errors
    /// As [`Directory::keep_notice`], and as for the import of the authorization in the notice.
    pub fn confirm_successor(
        &self,
        notice: &SuccessorNotice,
        options: &Options<'_>,
    ) -> Result<Confirmation, Error> {
        let said = self.check_notice(notice, &options.window)?;
        let (old, new) = (said.old.id(), said.new.id());
        let peer = self.known_peer(old)?;
        if let Some(confirmed) = self.successor_of(old)? {
            if confirmed.id == new {
                return self.complete_confirmation(old, &confirmed);
            }
            return Err(Error::Import(ImportError::SucceededByAnother));
        }
        let name = options.name.map(str::to_owned).or(peer.name);
        if let Some(name) = &name {
            self.check_successor_name(name, old, new, options.replace)?;
        }
        let terms = self.terms_for_successor(old, options.now)?;
        // Gateways take no parcels, and no rotation brings the first authorization.
        let takes_parcels = self.config().node_type() == NodeType::Endpoint;
        let gives = terms.is_some() && said.params.is_some() && takes_parcels;
        if gives {
            // Read first: without it, nothing is to change.
            self.identity()?;
        }
        let unnamed = Options {
            name: None,
            replace: false,
            ..options.clone()
        };
        let remarks = if let Some(params) = &said.params {
            self.import_successor(params, &unnamed)?
        } else {
            self.pin_identity(&said.new)?;
            self.note_compared(new)?;
            Vec::new()
        };
        // A run that was killed may have issued it.
        if let Some(terms) = terms.as_ref().filter(|_| gives)
            && issued::newest(self, new, IssuedKind::Given, options.now)?.is_none()
        {
            authorizations::renew(self, &said.new, terms, options.now)?;
        }
        self.keep_host(old, new)?;
        self.expect_mail(old, false)?;
        let confirmed = ConfirmedSuccessor { id: new, name };
        self.note_successor(old, &confirmed)?;
        let done = self.complete_confirmation(old, &confirmed)?;
        Ok(Confirmation {
            is_known: false,
            is_unanswered: terms.is_some() && !gives,
            remarks,
            ..done
        })
    }

    /// Where a person said that a node is, its successor is, unless they said otherwise.
    fn keep_host(&self, old: NodeId, new: NodeId) -> Result<(), Error> {
        // One that cannot be read is reported where it is used, and keeps nobody from being succeeded.
        match (self.pinned_host(old), self.pinned_host(new)) {
            (Ok(Some(host)), Ok(None)) => self.pin_host(new, Some(&host)),
            _ => Ok(()),
        }
    }

    /// As [`Directory::confirm_successor`], for the one of those that wait which has these digits.
    ///
    /// # Errors
    /// [`ImportError::NoSuccessor`] when none waits, [`ImportError::SuccessorDigits`] when none of
    /// them has these digits, and [`ImportError::OtherSuccessors`] when there was no room for another.
    pub fn confirm_waiting(
        &self,
        old: NodeId,
        expected: &Expected,
        options: &Options<'_>,
    ) -> Result<Confirmation, Error> {
        let is_meant = |id: NodeId| expected.is_of(id.digest());
        let label = || self.label_of(old);
        if let Some(confirmed) = self.successor_of(old)? {
            if is_meant(confirmed.id) {
                return self.complete_confirmation(old, &confirmed);
            }
            return Err(Error::Import(ImportError::SuccessorDigits(label())));
        }
        let found = self.succession_of(old, options.now)?;
        if found.waiting.is_empty() {
            return Err(Error::Import(ImportError::NoSuccessor(label())));
        }
        let mut waiting = found.waiting.iter();
        let meant = waiting.find(|notice| is_meant(notice.unverified().new.id()));
        let meant = meant.ok_or_else(|| {
            Error::Import(if found.is_full() {
                ImportError::OtherSuccessors(label())
            } else {
                ImportError::SuccessorDigits(label())
            })
        })?;
        self.confirm_successor(meant, options)
    }

    /// Does what follows the record of a confirmation, unless it is done: names the successor, and
    /// removes the notices that waited.
    ///
    /// # Errors
    /// When files cannot be changed.
    pub fn complete_confirmation(
        &self,
        old: NodeId,
        confirmed: &ConfirmedSuccessor,
    ) -> Result<Confirmation, Error> {
        let new = confirmed.id;
        let (of_old, of_new) = (self.peer_dir(old), self.peer_dir(new));
        // A run that was killed may not have synced what it stored.
        let given = of_new.join(IssuedKind::Given.folder());
        if files::exists(&given, FileRole::Node)? {
            files::sync_dir(&given, FileRole::Node)?;
        }
        files::sync_dir(&of_old, FileRole::Node)?;
        if let Some(name) = &confirmed.name {
            self.hand_name_on(name, old, new)?;
        }
        files::sync_dir(&of_new, FileRole::Node)?;
        let dir = self.successors_dir(old);
        if files::exists(&dir, FileRole::Node)? {
            // What else somebody put there keeps nobody from taking the successor: relay-check says it.
            let found = tree::entries(&dir, FileRole::Node)?.entries;
            for entry in found.into_iter().filter(is_file) {
                files::remove_unsynced(&entry.path, FileRole::Node)?;
            }
            files::remove_dir(&dir, FileRole::Node)?; // unless something is in it
        }
        files::sync_dir(&of_old, FileRole::Node)?;
        let due = issued::HandOver::of(self, new, IssuedKind::Given)?;
        Ok(Confirmation {
            old,
            new,
            is_known: true,
            is_to_get: due.is_some_and(|due| due.emitted.is_none()),
            is_unanswered: false,
            remarks: Vec::new(),
        })
    }

    /// Gives the successor its name, unless it has it, or a user has named it or a third peer so since.
    fn hand_name_on(&self, name: &str, old: NodeId, new: NodeId) -> Result<(), Error> {
        let name_of = |id| -> Result<_, Error> { Ok(self.peer(id)?.and_then(|peer| peer.name)) };
        let is_of_old = name_of(old)?.as_deref() == Some(name);
        if !is_of_old && name_of(new)?.is_some() {
            return Ok(());
        }
        match self.check_successor_name(name, old, new, is_of_old) {
            Err(Error::Peer(PeerError::NameTaken { .. })) => Ok(()),
            checked => {
                checked?;
                self.name_peer(new, name)
            }
        }
    }

    /// Checks that the successor may have a name, which the old node may have now.
    fn check_successor_name(
        &self,
        name: &str,
        old: NodeId,
        new: NodeId,
        replace: bool,
    ) -> Result<(), Error> {
        let is_of_old = self
            .peer(old)?
            .is_some_and(|peer| peer.name.as_deref() == Some(name));
        if !is_of_old {
            return self.check_peer_name(new, name, replace);
        }
        peers::check_name(name)?;
        match self.peer(new)?.and_then(|peer| peer.name) {
            Some(known) if known != name && !replace => {
                Err(Error::Peer(PeerError::NamedAlready(known)))
            }
            _ => Ok(()),
        }
    }

    /// The authorization of the old node, on whose terms its successor gets one; `None` if it may not
    /// send now, or is not to get another.
    fn terms_for_successor(
        &self,
        old: NodeId,
        now: Timestamp,
    ) -> Result<Option<IssuedPath>, Error> {
        let newest = issued::newest(self, old, IssuedKind::Given, now)?;
        let Some(newest) = newest.filter(|it| it.life().1 >= now && !it.terms.is_once) else {
            return Ok(None);
        };
        let at = Window::new(now, SignedDuration::ZERO);
        let revoked = Revocations::of(self)?.own(Some(&newest.path.leaf), &at)?;
        Ok(revoked.is_none().then_some(newest))
    }

    fn note_successor(&self, old: NodeId, confirmed: &ConfirmedSuccessor) -> Result<(), Error> {
        let mut headers = Headers::default();
        headers.set(NODE, &confirmed.id);
        if let Some(name) = &confirmed.name {
            headers.set(NAME, name);
        }
        let path = self.peer_dir(old).join(CONFIRMED);
        store(self.root(), &path, headers.to_text().as_bytes())
    }
}

/// Whether an entry of the folder can be a notice. relay-check reports the others.
pub(crate) fn is_file(entry: &Entry) -> bool {
    entry.kind == EntryKind::File
}

/// The notice in a file; `None` if there is no file.
pub(crate) fn notice_in(path: &Path) -> Result<Option<SuccessorNotice>, Error> {
    let Some(text) = read_text(path)? else {
        return Ok(None);
    };
    let read = || -> Result<SuccessorNotice, Error> {
        let blocks = pem::blocks(text.as_bytes())?;
        let is_one = |block: &&pem::Block<'_>| block.label == pem::SUCCESSOR_NOTICE;
        let block = blocks.iter().find(is_one);
        let block = block.ok_or(crate::asn1::Error::Value("successor notice"))?;
        Ok(SuccessorNotice::parse(&block.contents)?)
    };
    read().map(Some).map_err(|error| damaged(path, &error))
}
