//! When what peers gave each other ends: authorizations and registrations, which people renew.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::checker::Checker;
use super::finding::Level;
use crate::node::Directory;
use crate::pki::issuance;

/// How long before its end a certificate is reported.
pub const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The kind of certificate that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndingKind {
    /// An authorization that the peer gave this node.
    Held,
    /// An authorization that this node gave the peer.
    Given,
    /// A registration that this node, a gateway, gave the peer.
    Registered,
    /// The registration of this node with a gateway.
    Registration,
}

impl EndingKind {
    /// The word in output: for the first three, the folder of the peer that it is in.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Given => "given",
            Self::Registered => "registered",
            Self::Registration => "registration",
        }
    }

    /// What it is, with the peer's name after it.
    #[must_use]
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Held => "the authorization from",
            Self::Given => "the authorization given to",
            Self::Registered => "the registration given to",
            Self::Registration => "the registration with",
        }
    }
}

/// The last authorization or registration of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Its kind.
    pub kind: EndingKind,
    /// The name of the peer, or the beginning of its id.
    pub peer: String,
    /// When it starts and ends; `None` if it is revoked, or if it ended and was removed, and there
    /// was mail not long ago.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Whether it is never renewed.
    pub is_once: bool,
    /// Whether the peer revoked it.
    pub is_revoked: bool,
    /// Whether mail is missed without it.
    pub is_missed: bool,
    /// The folder that it is in.
    pub dir: PathBuf,
}

impl Ending {
    /// How it is renewed.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self.kind {
            EndingKind::Held if self.is_revoked => {
                "ask them for a new one (relay-authorize), and import that"
            }
            EndingKind::Held => {
                "ask them to run relay-rotate, or for a new one (relay-authorize), and import that"
            }
            EndingKind::Given if self.is_once => {
                "it was given once, so nothing renews it; relay-authorize gives a new one"
            }
            EndingKind::Given => "relay-rotate renews it, and relay-authorize gives a new one",
            EndingKind::Registered => "relay-rotate renews it, and relay-register gives a new one",
            EndingKind::Registration => {
                "ask it to run relay-rotate, or to register this node anew (relay-register), and import that"
            }
        }
    }

    /// When it ends.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        self.span.map(|(_, end)| end)
    }

    /// How serious its end is; `None` for a short-lived one, which programs renew on use. What has
    /// ended is no more than worth knowing, unless it is missed.
    #[must_use]
    pub fn level(&self, now: Timestamp) -> Option<Level> {
        let Some((start, end)) = self.span else {
            let is_worth_knowing = self.is_revoked && !self.is_missed;
            return Some(if is_worth_knowing {
                Level::Information
            } else {
                Level::Warning
            });
        };
        // The start is backdated when it is issued, so a lifetime of `SOON` is that much longer
        // here.
        if end.duration_since(start) <= SOON + issuance::BACKDATED {
            return None;
        }
        let left = end.duration_since(now);
        let is_due = if left.is_negative() {
            self.is_missed
        } else {
            left <= SOON
        };
        Some(if is_due {
            Level::Warning
        } else {
            Level::Information
        })
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.end().is_none_or(|end| end < now)
    }

    /// What is said of it.
    #[must_use]
    pub fn text(&self, now: Timestamp) -> String {
        let what = format!("{} {}", self.kind.phrase(), self.peer);
        match self.end() {
            None if self.is_revoked => format!("{what} is revoked"),
            None => format!("{what} has ended"),
            Some(end) if end < now => format!("{what} ended at {end}"),
            Some(end) => format!("{what} ends at {end}"),
        }
    }
}

impl Checker<'_> {
    /// When what a node exchanged with its peers ends, of those with whom mail is expected. Files
    /// that cannot be read are reported.
    pub fn endings(&mut self, node: &Directory) -> Vec<Ending> {
        let mut endings = self.endings_of_registrations(node);
        for (id, dir) in self.folders_of_nodes(&node.root().join("peers")) {
            match node.peer(id) {
                Ok(Some(peer)) => endings.extend(self.endings_of(node, &peer, &dir)),
                // relay-check reports a folder without a peer.
                Ok(None) => {}
                Err(error) => self.damaged(&dir, &error),
            }
        }
        endings
    }
}
