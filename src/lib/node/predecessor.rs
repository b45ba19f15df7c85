//! The node that this one takes the place of, and the one that takes its place: `predecessor` and
//! `successor` in the node directory, each the public key of the other node, and
//! `peers/<id>/notice.pem`, the notice that the predecessor's key and this one signed for a peer.
//!
//! A notice is stored before it leaves, so that a run which was killed sends the same one again.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::authorizations::AuthorizationOptions;
use super::certificates::MIN_LIFE;
use super::files::{damaged, read_text, rely_on, store};
use super::issued::{self, IssuedKind};
use super::key_file::public_key_from_pem;
use super::peers::Peer;
use super::registrations;
use super::revocations::{dir_of, stored_in};
use super::succession::notice_in;
use super::{Directory, DirectoryError, Error, Keyring, aliases, authorizations, certificates};
use crate::asn1::pem;
use crate::disk::{FileRole, files, tree};
use crate::message::SuccessorNotice;
use crate::message::pdd::RevocationScope;
use crate::message::successor::SuccessorStatement;
use crate::pki::{Certificate, NodeId, PublicKey};

/// The file with the key of the node that takes this one's place.
pub const SUCCESSOR: &str = "successor";

/// The file with the key of the node whose place this one takes.
pub const PREDECESSOR: &str = "predecessor";

/// The file of a peer with the notice for it.
pub const NOTICE: &str = "notice.pem";

/// The text of a file with a public key.
pub(super) fn key_to_text(key: &PublicKey) -> String {
    pem::encode(pem::PUBLIC_KEY, key.spki())
}

fn key_in(path: &Path) -> Result<Option<PublicKey>, Error> {
    let Some(text) = read_text(path)? else {
        return Ok(None);
    };
    let key = public_key_from_pem(text.as_bytes()).map_err(|error| damaged(path, &error))?;
    Ok(Some(key))
}

impl Directory {
    /// The node that takes this one's place, if there is one.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn own_successor(&self) -> Result<Option<NodeId>, Error> {
        Ok(key_in(&self.root().join(SUCCESSOR))?.map(|key| key.id()))
    }

    /// The node whose place this one takes, if there is one.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn predecessor(&self) -> Result<Option<NodeId>, Error> {
        Ok(key_in(&self.root().join(PREDECESSOR))?.map(|key| key.id()))
    }

    /// Notes which node takes this one's place. The caller holds the node's exclusive lock.
    ///
    /// # Errors
    /// [`DirectoryError::Succeeded`] when another one does; when it cannot be stored.
    pub fn note_own_successor(&self, new: &PublicKey) -> Result<(), Error> {
        let path = self.root().join(SUCCESSOR);
        self.check_successor(new.id())?;
        if self.own_successor()?.is_some() {
            return rely_on(&path);
        }
        store(self.root(), &path, key_to_text(new).as_bytes())
    }

    /// Checks that no other node than this takes the place of this one.
    ///
    /// # Errors
    /// [`DirectoryError::Succeeded`] when another one does; when that cannot be read.
    pub fn check_successor(&self, new: NodeId) -> Result<(), Error> {
        match self.own_successor()? {
            Some(by) if by != new => Err(Error::Directory(DirectoryError::Succeeded {
                path: self.root().to_owned(),
                by,
            })),
            _ => Ok(()),
        }
    }
}

/// A peer of the predecessor.
#[derive(Debug)]
pub struct Contact {
    /// The peer.
    pub peer: Peer,
    /// Its part for the new node.
    pub kind: ContactKind,
}

/// What a peer of the predecessor is to the new node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactKind {
    /// It exchanges messages with the node, and is told.
    Told,
    /// It is known, and need not be told: nothing was authorized, or no mail is expected.
    Known,
    /// It is a gateway that certified the predecessor, or a node that the predecessor certified: each
    /// of them is registered anew.
    Registered,
}

/// A node and the one whose place it takes.
#[derive(Debug, Clone, Copy)]
pub struct Inheritance<'a> {
    /// The predecessor.
    pub old: &'a Directory,
    /// The new node.
    pub new: &'a Directory,
    /// The time.
    pub now: Timestamp,
}

impl Inheritance<'_> {
    /// Takes over aliases and routes, as far as the new node has none.
    ///
    /// # Errors
    /// When they cannot be read or stored.
    pub fn take_settings(&self) -> Result<(), Error> {
        let _lock = self.new.lock_exclusive()?;
        // A run that was killed may not have synced what makes it a node.
        rely_on(&self.new.root().join(PREDECESSOR))?;
        self.take_file(Path::new(aliases::FILE))?;
        self.take_file(Path::new("routes"))?;
        let folder = Path::new(aliases::FOLDER);
        for entry in tree::entries(&self.old.root().join(folder), FileRole::Node)?.entries {
            self.take_file(&folder.join(&entry.name))?;
        }
        Ok(())
    }

    fn take_file(&self, name: &Path) -> Result<(), Error> {
        let path = self.new.root().join(name);
        if files::exists(&path, FileRole::Node)? {
            return rely_on(&path);
        }
        match read_text(&self.old.root().join(name))? {
            Some(text) => store(self.new.root(), &path, text.as_bytes()),
            None => Ok(()),
        }
    }

    /// Takes over a peer: its key, name and address, and what a person here noted of it.
    ///
    /// # Errors
    /// When it cannot be read or stored.
    pub fn take_contact(&self, peer: &Peer) -> Result<ContactKind, Error> {
        let (old, new, id) = (self.old, self.new, peer.id);
        let is_registered = certificates::issuers(old)?.contains(&id)
            || registrations::is_registered(old, id)?
            || id == new.id();
        if is_registered || old.successor_of(id)?.is_some() {
            return Ok(ContactKind::Registered);
        }
        let _lock = new.lock_exclusive()?;
        new.pin_identity(&old.identity_of(id)?)?;
        if let Some(address) = &peer.address {
            new.set_address(id, address)?;
        }
        if old.is_compared(id)? {
            new.note_compared(id)?;
        }
        let is_expected = old.expects_mail(id)?;
        if !is_expected {
            new.expect_mail(id, false)?;
        }
        if let Some(name) = &peer.name
            && new.known_peer(id)?.name.is_none()
            && new.check_name_unused(name).is_ok()
        {
            new.name_peer(id, name)?;
        }
        // Whatever was there may be of a run that was killed.
        files::sync_dir(&new.peer_dir(id), FileRole::Node)?;
        files::sync_dir(&new.root().join("peers"), FileRole::Node)?;
        let is_authorized = issued::newest(old, id, IssuedKind::Given, self.now)?.is_some()
            || !authorizations::held(old, id)?.is_empty();
        Ok(if is_expected && is_authorized {
            ContactKind::Told
        } else {
            ContactKind::Known
        })
    }

    /// The notice for a peer: the one that was made before, unless what it gives the peer soon ends, or
    /// a new one, which is stored.
    ///
    /// # Errors
    /// When a key cannot be read, or it cannot be made or stored.
    pub fn notice(&self, peer: NodeId) -> Result<SuccessorNotice, Error> {
        let _lock = self.new.lock_exclusive()?;
        let path = self.new.peer_dir(peer).join(NOTICE);
        // One that cannot be read is made anew.
        let known = notice_in(&path).ok().flatten();
        if let Some(known) = known.filter(|known| self.is_good(known, peer)) {
            self.rely_on_given(peer)?;
            return Ok(known);
        }
        let key = self.new.identity_of(peer)?;
        let params = match self.terms_of(peer)? {
            Some(terms) => Some(authorizations::give(self.new, &key, &terms)?.params),
            None => None,
        };
        let statement = SuccessorStatement {
            old: self.old.public().clone(),
            new: self.new.public().clone(),
            peer,
            date: Timestamp::from_second(self.now.as_second()).unwrap_or(self.now),
            params,
        };
        let octets = statement.sign(&self.old.identity()?, &self.new.identity()?)?;
        let text = pem::encode(pem::SUCCESSOR_NOTICE, &octets);
        store(self.new.root(), &path, text.as_bytes())?;
        Ok(SuccessorNotice::parse(&octets)?)
    }

    /// Syncs the names of what an earlier run gave a peer.
    fn rely_on_given(&self, peer: NodeId) -> Result<(), Error> {
        let dir = self.new.peer_dir(peer);
        let sessions = self.new.root().join("sessions");
        let of_peer = sessions.join(peer.to_string());
        for dir in [dir.join("given"), of_peer, sessions, dir] {
            if files::exists(&dir, FileRole::Node)? {
                files::sync_dir(&dir, FileRole::Node)?;
            }
        }
        Ok(())
    }

    fn is_good(&self, notice: &SuccessorNotice, peer: NodeId) -> bool {
        let Ok(said) = notice.verify() else {
            return false;
        };
        let ends = said.params.as_ref().map(|params| {
            let ends = params.authorization.iter().map(Certificate::not_after);
            ends.min().unwrap_or(Timestamp::MIN)
        });
        let age = self.now.duration_since(said.date).abs();
        let is_ours = said.old == *self.old.public() && said.new == *self.new.public();
        // The session key in it is sealed to for twice as long.
        is_ours
            && said.peer == peer
            && age < crate::session::ratchet::INITIAL_HANDED_OUT_FOR
            && ends.is_none_or(|end| end >= self.now + MIN_LIFE)
    }

    /// How the peer may send to the new node: as it may to the old one now; `None` if it may not.
    fn terms_of(&self, peer: NodeId) -> Result<Option<AuthorizationOptions>, Error> {
        let newest = issued::newest(self.old, peer, IssuedKind::Given, self.now)?;
        let Some(newest) = newest.filter(|it| it.life().1 >= self.now) else {
            return Ok(None);
        };
        // Who withdrew all because a key was lost means the key, and not this peer.
        let leaf = &newest.path.leaf;
        let revoked = stored_in(&dir_of(self.old, self.old.id()))?;
        let is_revoked = revoked.iter().any(|it| {
            let scope = &it.pdd.scope;
            *scope != RevocationScope::All && scope.includes(leaf.serial()) && it.end >= self.now
        });
        if is_revoked {
            return Ok(None);
        }
        let left: SignedDuration = newest.life().1.duration_since(self.now);
        Ok(Some(AuthorizationOptions {
            now: self.now,
            valid_for: if newest.terms.is_once {
                newest.terms.valid_for.min(left)
            } else {
                newest.terms.valid_for
            },
            one_way: false,
            once: newest.terms.is_once,
            rate: leaf.rate_limit(),
        }))
    }

    /// Whether anything of the predecessor's leads through a gateway that certified it, and the new
    /// node has none that did.
    ///
    /// # Errors
    /// When their certificates cannot be read.
    pub fn lacks_registration(&self) -> Result<Vec<NodeId>, Error> {
        if certificates::issuers(self.new)?.is_empty() {
            return certificates::issuers(self.old);
        }
        Ok(Vec::new())
    }
}
