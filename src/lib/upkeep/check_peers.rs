//! Checks the files of peers, and whether this node can send to them.

use std::collections::HashMap;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::checker::Checker;
use super::endings::{Ending, EndingKind};
use super::finding::{Check, Level};
use crate::disk::{FileRole, files};
use crate::node::SessionKeyError;
use crate::node::aliases::{self, Aliases};
use crate::node::authorizations::HeldAuthorization;
use crate::node::issued::{HandOver, IssuedKind};
use crate::node::key_file::public_key_from_pem;
use crate::node::{
    Directory, Error, NodeType, Peer, Revocations, authorizations, certificates, peers, read_text,
    sessions,
};
use crate::pki::NodeId;

/// How long after the last mail an authorization is missed.
const RECENT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What was exchanged with a peer not long ago.
#[derive(Debug, Clone, Copy, Default)]
struct Mail {
    /// Whether anything is to be exchanged with it at all.
    is_expected: bool,
    /// Whether something went there.
    sent: bool,
    /// Whether something came from there.
    received: bool,
}

impl Checker<'_> {
    /// Checks the files of a peer. `names` collects the names of all peers, which must differ.
    pub(super) fn peer(
        &mut self,
        node: &Directory,
        id: NodeId,
        dir: &Path,
        names: &mut HashMap<String, NodeId>,
    ) {
        let peer = match node.peer(id) {
            Ok(Some(peer)) => peer,
            Ok(None) => {
                let what = "a peer without its key, which is not known";
                let hint = "import what it sent once more".to_owned();
                return self.report(Level::Warning, Check::Orphan, dir, &what, Some(hint));
            }
            Err(error) => return self.damaged(dir, &error),
        };
        if let Err(error) = node.pinned_host(id) {
            self.damaged(dir, &error);
        }
        let path = dir.join("identity.pub");
        match read_text(&path)
            .and_then(|text| public_key_from_pem(text.unwrap_or_default().as_bytes()))
        {
            // Programs look a peer up by the name of its directory.
            Ok(key) if key.id() != id => {
                let what = "not the key that the directory is named for";
                self.report(Level::Error, Check::Damaged, &path, &what, None);
            }
            Ok(_) => {}
            Err(error) => self.damaged(&path, &error),
        }
        if let Some(name) = &peer.name {
            let path = dir.join("name");
            if let Err(error) = peers::check_name(name) {
                self.damaged(&path, &error);
            }
            if let Some(other) = names.insert(name.clone(), id) {
                let what = format!("{name} is the name of {other}, too");
                let hint = "relay-peers ID --rename gives another".to_owned();
                self.report(Level::Error, Check::Damaged, &path, &what, Some(hint));
            }
        }
        for kind in IssuedKind::ALL {
            if let Err(error) = HandOver::of(node, id, kind) {
                self.damaged(&dir.join(kind.record()), &error);
            }
        }
        self.successors(node, &peer, dir);
        self.authorizations(node, &peer, dir);
        self.sealed_to(node, &peer, dir);
    }

    /// Checks the aliases, and whether their members are known.
    pub(super) fn aliases(&mut self, node: &Directory) {
        let path = node.root().join(aliases::FILE);
        let (aliases, problems) = Aliases::read(node.root());
        for error in &problems {
            self.damaged(&path, error);
        }
        for (name, member, error) in aliases.unknown(node) {
            let what = format!("{member}, a member of {name}, gets nothing: {error}");
            let hint = "relay-peers lists the peers".to_owned();
            self.report(Level::Warning, Check::Alias, &path, &what, Some(hint));
        }
    }

    /// Checks when what the peer gave this node ends, and what this node gave the peer.
    fn authorizations(&mut self, node: &Directory, peer: &Peer, dir: &Path) {
        for ending in self.endings_of(node, peer, dir) {
            let remedy = ending.remedy();
            if ending.is_missed || ending.span.is_none() {
                let expect_none = "relay-peers --expect-none ends these reports";
                self.ends(&ending, &format!("{remedy}; {expect_none}"));
            } else {
                self.ends(&ending, remedy);
            }
        }
    }

    /// When what the peer gave this node ends, and what this node gave the peer, if mail is expected.
    pub(super) fn endings_of(&mut self, node: &Directory, peer: &Peer, dir: &Path) -> Vec<Ending> {
        let mail = match self.mail_with(node, peer.id) {
            Ok(mail) => mail,
            Err(error) => {
                self.damaged(dir, &error);
                return Vec::new();
            }
        };
        // Gateways get them with each request for cargo, and do not keep them.
        let is_endpoint = node.config().node_type() == NodeType::Endpoint;
        let was_answered = mail.received && node.config().address().is_none();
        let mut endings = Vec::new();
        for (kind, subject, was_used) in [
            (EndingKind::Held, node.id(), mail.sent),
            (EndingKind::Given, peer.id, was_answered),
            (EndingKind::Registered, peer.id, false),
        ] {
            let dir = dir.join(kind.word());
            let latest = self.latest_in(&dir, subject);
            let is_taken_back = kind == EndingKind::Held
                && authorizations::held_until(node, peer.id).is_ok_and(|(_, it)| it);
            let span = latest.map(|it| (it.start, it.end));
            let span = span.filter(|_| !is_taken_back);
            // relay-purge has removed what was used.
            let is_revoked = kind == EndingKind::Given && node.has_revoked(peer.id).unwrap_or(true);
            // A node on the Internet takes parcels without one. None has ended if there never was any.
            let is_needless = kind == EndingKind::Held
                && peer.address.is_some()
                && matches!(files::exists(&dir, FileRole::Node), Ok(false));
            let was_used = was_used && !is_needless;
            let is_due = (span.is_some() || is_taken_back) && mail.is_expected && !is_revoked;
            if is_due || span.is_none() && was_used && is_endpoint {
                endings.push(Ending {
                    kind,
                    peer: peer.label(),
                    span,
                    is_once: latest.is_some_and(|it| it.is_once),
                    is_revoked: is_taken_back,
                    is_missed: kind != EndingKind::Registered && (mail.sent || mail.received),
                    dir,
                });
            }
        }
        endings
    }

    /// What went to a peer and came from it not long ago.
    fn mail_with(&self, node: &Directory, peer: NodeId) -> Result<Mail, Error> {
        // Peers are to write to the node that takes the place of this one.
        if !node.expects_mail(peer)? || node.own_successor()?.is_some() {
            return Ok(Mail::default());
        }
        let is_recent = |date: Option<Timestamp>| {
            date.is_some_and(|date| self.now.duration_since(date) <= RECENT)
        };
        // A key that came with an authorization or parameters says until when it is sealed to.
        let stored = node.session_key_of(peer).ok().flatten();
        let received = stored.filter(|key| key.sealed_until.is_none());
        Ok(Mail {
            is_expected: true,
            sent: is_recent(sessions::last_sent(node.root(), peer)?),
            received: is_recent(received.map(|key| key.date)),
        })
    }

    /// Checks that there is a session key to seal to, if this node may send to the peer.
    fn sealed_to(&mut self, node: &Directory, peer: &Peer, dir: &Path) {
        let path = dir.join("session.pem");
        let stored = match node.session_key_of(peer.id) {
            Ok(stored) => stored,
            Err(error) => return self.damaged(&path, &error),
        };
        let held = Revocations::of(node)
            .and_then(|it| authorizations::newest_held(node, peer.id, &it, self.now));
        let may_send = match held {
            Ok(HeldAuthorization::Valid(_)) => true,
            Ok(_) => {
                let label = peer.label();
                // Gateways send cargo under a registration as well as under an authorization.
                node.config().node_type() == NodeType::Gateway
                    && certificates::registration_with(node, peer.id, &label, self.now).is_ok()
            }
            Err(_) => return, // `latest_in` reported it
        };
        if !may_send {
            return;
        }
        let error = match stored {
            None => Error::SessionKey(SessionKeyError::Missing(peer.label())),
            Some(stored) => match stored.sealed_until.filter(|until| *until < self.now) {
                None => return,
                Some(at) => Error::SessionKey(SessionKeyError::Expired {
                    peer: peer.label(),
                    at,
                }),
            },
        };
        let hint = "ask them for new connection parameters (relay-authorize), and import those";
        let (level, check) = (Level::Warning, Check::SessionKey);
        self.report(level, check, &path, &error, Some(hint.to_owned()));
    }
}
