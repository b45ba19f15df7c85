//! Options and results of an import.

use jiff::Timestamp;

use super::expected::Expected;
use crate::pki::{NodeId, Window};

/// Options of an import.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// The name for the peer.
    pub name: Option<&'a str>,
    /// Whether to change what is pinned.
    pub replace: bool,
    /// The SHA-256 of the whole file, or of the object in it in binary form. If given, it vouches
    /// for a new gateway.
    pub expected: Option<Expected>,
    /// Whether the object came in a parcel that the peer signed, so that it may change the peer's
    /// address.
    pub vouched: bool,
    /// Whether nobody has to compare the peer's digits, since both nodes are here.
    pub is_local: bool,
    /// Whether the peer gave its authorization with `--one-way`: its first session key lasts as
    /// long.
    pub one_way: bool,
    /// The time of the import.
    pub now: Timestamp,
    /// The instants that certificates must be valid at.
    pub window: Window,
}

impl Options<'_> {
    /// Whether somebody vouches for the whole object, including the parts that nothing signs.
    pub(super) fn is_vouched(&self) -> bool {
        self.vouched || self.expected.is_some()
    }

    /// Whether the import may change what is pinned.
    pub(super) fn may_change(&self) -> bool {
        self.replace || self.is_vouched()
    }
}

/// What became of a notice that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuccessorFate {
    /// It is new, and waits for a person.
    Waits,
    /// It waits already, or was confirmed.
    Known,
    /// As many wait as may, and it is not kept.
    NoRoom,
    /// Another successor was confirmed before, and stays.
    Settled,
}

/// What a confirmation did.
#[derive(Debug, Clone)]
pub struct Confirmation {
    /// The node that is succeeded.
    pub old: NodeId,
    /// Its successor.
    pub new: NodeId,
    /// Whether it was confirmed before.
    pub is_known: bool,
    /// Whether our authorization for the successor is still to be sent.
    pub is_to_get: bool,
    /// Whether the old node may send here, and no parcel can bring the successor an authorization.
    pub is_unanswered: bool,
    /// Remarks for the user.
    pub remarks: Vec<Remark>,
}

/// What a successor notice that was imported did.
#[derive(Debug, Clone)]
pub enum ImportedSuccession {
    /// It waits for a person, or does not.
    Kept(SuccessorFate),
    /// Its successor is taken.
    Confirmed(Confirmation),
}

/// The result of an import.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The peer that the object is from.
    pub peer: NodeId,
    /// The kind of object, in a word.
    pub kind: &'static str,
    /// SHA-256 of the whole object in its binary form.
    pub digest: [u8; 32],
    /// The deauthorization, which gateways pass on.
    pub revocation: Option<Vec<u8>>,
    /// What a successor notice did.
    pub succession: Option<ImportedSuccession>,
    /// Remarks for the user.
    pub remarks: Vec<Remark>,
}

/// A remark on an import, for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Remark {
    /// The stored session key of the peer has a later date, and is kept.
    #[error("the session key held is newer and stays in use; --replace takes this one")]
    NewerSessionKeyKept,
    /// Parameters, which have no date, brought another session key than the stored one.
    #[error("another session key than before is taken; --expect makes sure")]
    OtherSessionKeyTaken,
    /// A gateway certified this node for the first time.
    #[error("it vouches for this node from now on, as a gateway of this node")]
    NewGateway,
    /// A gateway registered this one, and no session key of it is known, so that no cargo can go to it.
    #[error(
        "no session key came with the registration, as if for an endpoint: no cargo can go to it"
    )]
    NoSessionKey,
    /// What is revoked here already, for as long.
    #[error("this is revoked here already")]
    RevokedAlready,
    /// The same certificate is stored already, with other certificates of its issuers.
    #[error(
        "this was imported before, and the certificates of its issuers were others; those are kept, \
         --replace takes these"
    )]
    OtherIssuersKept,
}
