//! Renews what is past the middle of its life: the node's own certificates, those that it gave to
//! others, and the session key that a node on the Internet hands out.
//!
//! What others must learn is put into the spool. A registration goes to its gateway with the next
//! cargo, in both deployed forms, and again after a while until a message of that gateway shows that
//! it has it. An authorization goes to its peer in a parcel, which the spool sends again until the
//! next gateway acknowledges it. What is lost beyond that goes again after a tenth of its life, until
//! a message of the peer shows that it has it, or until it is itself renewed: a few times at most.
//! What a run that was killed has issued is completed by the next one.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::due::{self, Lifetime};
use super::handing_on::Outlet;
use crate::node::certificates::MIN_LIFE;
use crate::node::issued::{self, HandOver, IssuedKind, IssuedPath};
use crate::node::{
    Directory, NodeType, Revocations, authorizations, certificates, endpoints, registrations,
    sessions,
};
use crate::pki::{Certificate, NodeId, Window, issuance};
use crate::session::ratchet::{INITIAL_HANDED_OUT_FOR, INITIAL_SEALED_FOR};
use crate::spool::Error;

/// How long a renewed registration is under way before it goes again, unless the config says
/// otherwise: as other messages.
const RESEND_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long a run syncs once more what the one before it did.
const JUST_ISSUED: SignedDuration = SignedDuration::from_hours(24);

/// What is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationKind {
    /// The certificate that the node issues to itself.
    Own,
    /// The session key in the connection parameters of a node on the Internet.
    Parameters,
    /// A certificate that the node issued to a peer.
    Issued(IssuedKind),
}

impl RotationKind {
    /// The word in output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Parameters => "parameters",
            Self::Issued(kind) => kind.folder(),
        }
    }
}

/// How a renewed certificate comes to its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationWay {
    /// It is used on this machine.
    Here,
    /// With the next cargo.
    Cargo,
    /// In a parcel.
    Parcel,
    /// A person has to carry it: nothing can be sent there.
    Hand,
}

impl RotationWay {
    /// The word in output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Cargo => "cargo",
            Self::Parcel => "parcel",
            Self::Hand => "hand",
        }
    }
}

/// Something that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRotation {
    /// What it is.
    pub what: RotationKind,
    /// The peer that has it, unless the node itself.
    pub peer: Option<NodeId>,
    /// Since when it is due: the middle of its life; of a successor that is there, when it was to
    /// be sent.
    pub since: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// How its successor goes to the peer.
    pub way: RotationWay,
    /// Whether the successor exists already, and only has to be sent.
    pub is_again: bool,
}

impl DueRotation {
    /// Something that the node has for itself.
    fn here(what: RotationKind, life: Lifetime) -> Self {
        Self {
            what,
            peer: None,
            since: life.middle(),
            end: life.end,
            way: RotationWay::Here,
            is_again: false,
        }
    }
}

/// What became of something that is due.
#[derive(Debug)]
pub enum Rotated {
    /// It was renewed, or in a dry run would be; one that a person has to carry was not.
    Due(DueRotation),
    /// It could not be renewed.
    Failed {
        /// The peer, unless it concerns the node alone.
        peer: Option<NodeId>,
        /// Why not.
        error: Error,
    },
}

/// Renews what is due of a node.
#[derive(Debug)]
pub struct Rotator<'a> {
    /// The node.
    pub node: &'a Directory,
    /// The way to its peers.
    pub outlet: &'a Outlet<'a>,
    /// The local endpoints of a gateway, whose certificates are stored at once.
    pub locals: HashMap<NodeId, &'a Directory>,
    /// The time.
    pub now: Timestamp,
    /// Whether this is a dry run, which only reports.
    pub is_dry: bool,
}

/// What is to be done about a certificate that was issued to a peer.
enum RotationStep {
    /// Nothing.
    None,
    /// Nothing, since it was done not long ago; a run that was killed may not have synced that.
    Settle,
    /// The peer needs to get nothing more.
    Forget,
    /// It is due, and its successor cannot be sent.
    Leave(DueRotation),
    /// A successor is issued and sent.
    Renew(DueRotation, IssuedPath),
    /// It is sent; when it was sent before, if it was.
    Send(DueRotation, IssuedPath, Option<Timestamp>),
}

impl Rotator<'_> {
    /// Renews what is due, and reports each item to `each`. One that fails does not stop the others.
    ///
    /// # Errors
    /// When the peers cannot be listed, or `each` fails.
    pub fn rotate<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(Rotated) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut tell = |peer, result: Result<Option<DueRotation>, Error>| match result {
            Ok(None) => Ok(()),
            Ok(Some(due)) => each(Rotated::Due(due)),
            Err(error) => each(Rotated::Failed { peer, error }),
        };
        tell(None, self.own())?;
        tell(None, self.parameters())?;
        let above = certificates::issuing_until(self.node, self.now).map_err(Error::from)?;
        let revocations = Revocations::of(self.node).map_err(Error::from)?;
        let (peers, unreadable) = self.node.peers().map_err(Error::from)?;
        for peer in unreadable {
            tell(Some(peer.id), Err(peer.error.into()))?;
        }
        for peer in peers {
            for kind in IssuedKind::ALL {
                tell(
                    Some(peer.id),
                    self.issued(peer.id, kind, above, &revocations),
                )?;
            }
        }
        Ok(())
    }

    fn is_new(&self, life: Lifetime) -> bool {
        self.now.duration_since(life.start) < JUST_ISSUED
    }

    /// The certificate that the node issues to itself.
    fn own(&self) -> Result<Option<DueRotation>, Error> {
        let life = || -> Result<Option<Lifetime>, Error> {
            let paths = certificates::paths_from(self.node, self.node.id())?;
            let newest = paths.first().map(|path| &path.leaf);
            Ok(newest.map(|it| (it.not_before(), it.not_after()).into()))
        };
        let next = due::next_end(self.now, issuance::MAX_LIFE, None);
        let due = || -> Result<Option<DueRotation>, Error> {
            let due = life()?.filter(|life| life.is_due(next, self.now));
            Ok(due.map(|life| DueRotation::here(RotationKind::Own, life)))
        };
        if self.is_dry {
            return due();
        }
        if due()?.is_none() {
            if life()?.is_some_and(|life| self.is_new(life)) {
                certificates::rely_on_own(self.node)?;
            }
            return Ok(None);
        }
        let _lock = self.node.lock_exclusive()?;
        let found = due()?;
        if found.is_some() {
            certificates::renew_own(self.node, self.now)?;
        }
        Ok(found)
    }

    /// The session key that a node on the Internet hands out.
    fn parameters(&self) -> Result<Option<DueRotation>, Error> {
        if self.node.config().address().is_none() {
            return Ok(None);
        }
        let due = || -> Result<Option<DueRotation>, Error> {
            let newest = self.node.newest_unbound_key()?;
            let Some(start) = newest.and_then(|key| key.first()) else {
                return Ok(None); // relay-export makes the first one
            };
            let end = start.checked_add(INITIAL_HANDED_OUT_FOR);
            let life = Lifetime::from((start, end.unwrap_or(start)));
            let is_due = self.now >= life.middle();
            Ok(is_due.then(|| DueRotation::here(RotationKind::Parameters, life)))
        };
        if self.is_dry {
            return due();
        }
        if due()?.is_none() {
            if let Some(newest) = self.node.newest_unbound_key()?
                && let Some(start) = newest.first()
                && self.is_new(Lifetime { start, end: start })
            {
                newest.key_to_hand_out(self.node)?;
            }
            return Ok(None);
        }
        let _lock = self.node.lock_exclusive()?;
        let found = due()?;
        if found.is_some() {
            self.node.renew_unbound_key(self.now)?;
        }
        Ok(found)
    }

    /// A certificate that was issued to a peer. `above` is the end of the path that its successor
    /// would be issued under.
    fn issued(
        &self,
        peer: NodeId,
        kind: IssuedKind,
        above: Option<Timestamp>,
        revocations: &Revocations,
    ) -> Result<Option<DueRotation>, Error> {
        let step = self.step(peer, kind, above, revocations)?;
        if self.is_dry || matches!(step, RotationStep::None | RotationStep::Leave(_)) {
            return Ok(match step {
                RotationStep::None | RotationStep::Settle | RotationStep::Forget => None,
                RotationStep::Leave(due)
                | RotationStep::Renew(due, _)
                | RotationStep::Send(due, ..) => Some(due),
            });
        }
        let lock = self.node.lock_exclusive()?;
        // Decided once more: another run may have been faster, or relay-revoke.
        let revocations = Revocations::of(self.node)?;
        let (due, path, before) = match self.step(peer, kind, above, &revocations)? {
            RotationStep::None => return Ok(None),
            RotationStep::Leave(due) => return Ok(Some(due)),
            RotationStep::Settle => {
                issued::rely_on_issued(self.node, peer, kind)?;
                if kind == IssuedKind::Given && self.outlet.has_waiting(self.node.id(), peer)? {
                    self.outlet.settle()?;
                }
                return Ok(None);
            }
            RotationStep::Forget => {
                HandOver::end(self.node, peer, kind)?;
                return Ok(None);
            }
            RotationStep::Renew(due, newest) => {
                certificates::rely_on_own(self.node)?;
                let key = self.node.identity_of(peer)?;
                let path = match kind {
                    IssuedKind::Given => authorizations::renew(self.node, &key, &newest, self.now),
                    IssuedKind::Registered => {
                        registrations::renew(self.node, &key, &newest, self.now)
                    }
                };
                (due, path?, None)
            }
            RotationStep::Send(due, newest, before) => {
                certificates::rely_on_own(self.node)?;
                issued::rely_on_issued(self.node, peer, kind)?;
                (due, newest.path, before)
            }
        };
        // Sealing takes the lock by itself.
        drop(lock);
        match due.way {
            RotationWay::Here => {
                if let Some(local) = self.locals.get(&peer) {
                    endpoints::hand_in(self.node, local, &path, self.now)?;
                }
            }
            RotationWay::Cargo => self.outlet.rotation(peer, &path)?,
            RotationWay::Parcel => self
                .outlet
                .authorization(self.node, peer, (&path, before))?,
            RotationWay::Hand => {}
        }
        self.note(peer, kind, &due, &path.leaf)?;
        Ok(Some(due))
    }

    /// Notes that a certificate was sent.
    fn note(
        &self,
        peer: NodeId,
        kind: IssuedKind,
        due: &DueRotation,
        leaf: &Certificate,
    ) -> Result<(), Error> {
        let _lock = self.node.lock_exclusive()?;
        let certificate = issued::name_of(leaf);
        // A message may have shown meanwhile that the peer has it.
        let waits = HandOver::of(self.node, peer, kind)?;
        if waits.is_none_or(|waits| waits.certificate != certificate) {
            return Ok(());
        }
        if matches!(due.way, RotationWay::Cargo | RotationWay::Parcel) {
            let emitted = Some(self.now);
            let waits = HandOver {
                certificate,
                emitted,
            };
            waits.store(self.node, peer, kind)?;
        } else {
            HandOver::end(self.node, peer, kind)?;
        }
        Ok(())
    }

    /// What is to be done about the certificates of a kind that were issued to a peer.
    fn step(
        &self,
        peer: NodeId,
        kind: IssuedKind,
        above: Option<Timestamp>,
        revocations: &Revocations,
    ) -> Result<RotationStep, Error> {
        let waits = HandOver::of(self.node, peer, kind)?;
        let forget = if waits.is_some() {
            RotationStep::Forget
        } else {
            RotationStep::None
        };
        let Some(newest) = issued::newest(self.node, peer, kind, self.now)? else {
            return Ok(forget);
        };
        let life = Lifetime::from(newest.life());
        let is_new = self.is_new(life);
        let forget = match forget {
            RotationStep::None if is_new => RotationStep::Settle,
            forget => forget,
        };
        let Some(way) = self.way(peer, kind, &newest, revocations)? else {
            return Ok(forget);
        };
        // A gateway issues authorizations to send cargo under its own certificate.
        let is_gateway = self.node.config().node_type() == NodeType::Gateway;
        let above = above.filter(|_| !(is_gateway && kind == IssuedKind::Given));
        let next = due::next_end(self.now, newest.terms.valid_for, above);
        let waits = waits.filter(|waits| waits.certificate == newest.name);
        let due = |is_again| DueRotation {
            peer: Some(peer),
            way,
            is_again,
            ..DueRotation::here(RotationKind::Issued(kind), life)
        };
        if let Some(local) = self.locals.get(&peer).filter(|_| way == RotationWay::Here) {
            // Nothing has to get through, so it is renewed even if it has ended.
            return Ok(if life.is_due(next, self.now) {
                RotationStep::Renew(due(false), newest)
            } else if !life.has_ended(self.now)
                && (waits.is_some() || !endpoints::has(local, self.node.id(), &newest.path.leaf)?)
            {
                let since = life.start;
                RotationStep::Send(DueRotation { since, ..due(true) }, newest, None)
            } else {
                forget
            });
        }
        // Who missed one for the whole of its life has to be asked by a person.
        if life.has_ended(self.now) || !self.node.expects_mail(peer)? {
            return Ok(forget);
        }
        let is_due = life.is_due(next, self.now);
        // Other than in cargo, the next one is issued in time though the peer has not used this one:
        // it may only read.
        let is_replaced = |waits: &HandOver| match way {
            RotationWay::Parcel => is_due && waits.emitted.is_some(),
            way => is_due && way == RotationWay::Hand,
        };
        if let Some(waits) = waits.filter(|waits| !is_replaced(waits)) {
            // No other is issued before this one is in use: a node that is gone would get them for
            // ever.
            return self.waiting(peer, &waits, newest, &due(true));
        }
        if is_due {
            return Ok(match way {
                RotationWay::Hand => RotationStep::Leave(due(false)),
                _ => RotationStep::Renew(due(false), newest),
            });
        }
        let first_key = self.first_key(peer, way, life.start)?;
        Ok(match first_key.filter(|key| self.now >= key.middle()) {
            Some(key) => {
                let since = key.middle();
                RotationStep::Renew(
                    DueRotation {
                        since,
                        ..due(false)
                    },
                    newest,
                )
            }
            None => forget,
        })
    }

    /// What is to be done about a certificate that the peer is still to get.
    fn waiting(
        &self,
        peer: NodeId,
        waits: &HandOver,
        newest: IssuedPath,
        due: &DueRotation,
    ) -> Result<RotationStep, Error> {
        let (life, way) = (Lifetime::from(newest.life()), due.way);
        let is_just_sent = waits.emitted.is_some_and(|at| self.is_new((at, at).into()));
        Ok(match self.again(waits, way, life) {
            // Another one would wait behind it.
            Some(_)
                if way == RotationWay::Parcel
                    && waits.emitted.is_some()
                    && self.outlet.has_waiting(self.node.id(), peer)? =>
            {
                RotationStep::Settle
            }
            Some(since) => {
                let due = DueRotation {
                    since,
                    ..due.clone()
                };
                RotationStep::Send(due, newest, waits.emitted)
            }
            None if is_just_sent || self.is_new(life) => RotationStep::Settle,
            None => RotationStep::None,
        })
    }

    /// Since when a certificate is to be sent that the peer does not use yet; `None` if it is on its
    /// way.
    fn again(&self, waits: &HandOver, way: RotationWay, life: Lifetime) -> Option<Timestamp> {
        let after = match way {
            RotationWay::Cargo => self.node.config().resend_after().unwrap_or(RESEND_AFTER),
            RotationWay::Parcel => life.tenth(),
            RotationWay::Here | RotationWay::Hand => return None,
        };
        let Some(emitted) = waits.emitted else {
            return Some(life.start); // a run was killed before it was sent
        };
        let since = emitted.checked_add(after).unwrap_or(life.start);
        due::is_due_again(emitted, after, self.now).then_some(since)
    }

    /// The life of the session key that came with a certificate, if the peer has no other one of
    /// ours: who writes for the first time after that could not seal anything.
    fn first_key(
        &self,
        peer: NodeId,
        way: RotationWay,
        start: Timestamp,
    ) -> Result<Option<Lifetime>, Error> {
        if way == RotationWay::Hand || sessions::last_sent(self.node.root(), peer)?.is_some() {
            return Ok(None);
        }
        let end = start.checked_add(INITIAL_SEALED_FOR).unwrap_or(start);
        Ok(Some(Lifetime { start, end }))
    }

    /// How the successor of a certificate goes to a peer; `None` if it gets none.
    fn way(
        &self,
        peer: NodeId,
        kind: IssuedKind,
        newest: &IssuedPath,
        revocations: &Revocations,
    ) -> Result<Option<RotationWay>, Error> {
        let leaf = &newest.path.leaf;
        let at = Window::new(self.now, SignedDuration::ZERO);
        if newest.terms.is_once || revocations.own(Some(leaf), &at)?.is_some() {
            return Ok(None);
        }
        // Peers are to write to the node that takes the place of this one.
        if kind == IssuedKind::Given && self.node.own_successor()?.is_some() {
            return Ok(None);
        }
        let is_gateway = self.node.config().node_type() == NodeType::Gateway;
        Ok(match kind {
            IssuedKind::Registered if self.locals.contains_key(&peer) => Some(RotationWay::Here),
            // Endpoints take no cargo.
            IssuedKind::Registered if newest.path.leaf.is_endpoint() => Some(RotationWay::Hand),
            IssuedKind::Registered => Some(RotationWay::Cargo),
            IssuedKind::Given if is_gateway && newest.is_of_request() => None,
            IssuedKind::Given if is_gateway => Some(RotationWay::Cargo),
            IssuedKind::Given if self.can_write(peer, revocations)? => Some(RotationWay::Parcel),
            IssuedKind::Given => Some(RotationWay::Hand),
        })
    }

    /// Whether a parcel can be sealed for a peer.
    fn can_write(&self, peer: NodeId, revocations: &Revocations) -> Result<bool, Error> {
        let key = self.node.session_key_of(peer)?;
        let has_key = key.is_some_and(|it| it.sealed_until.is_none_or(|until| until >= self.now));
        if !has_key {
            return Ok(false);
        }
        Ok(
            match authorizations::newest_held(self.node, peer, revocations, self.now)? {
                authorizations::HeldAuthorization::Valid(path) => {
                    let ends = path.iter().map(Certificate::not_after);
                    ends.min().is_some_and(|end| end >= self.now + MIN_LIFE)
                }
                // A node on the Internet takes parcels from anybody.
                authorizations::HeldAuthorization::None => {
                    let peer = self.node.peer(peer)?;
                    peer.is_some_and(|peer| peer.address.is_some())
                }
                _ => false,
            },
        )
    }
}
