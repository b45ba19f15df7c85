//! The result of verifying an object.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::node::Error;
use crate::pki::NodeId;

/// Whether the sender of an object is authorized.
#[derive(Debug)]
pub enum AuthorizationVerdict {
    /// It is authorized.
    Yes,
    /// The object and the trusted keys do not show it.
    NotShown,
    /// It is not authorized, for this reason.
    No(Error),
}

/// The result of verifying an object.
#[derive(Debug)]
pub struct Verdict {
    pub(super) kind: &'static str,
    /// The node that made it.
    pub sender: Option<NodeId>,
    /// The node that it is for.
    pub recipient: Option<NodeId>,
    /// Its message id.
    pub id: Option<String>,
    /// When it was made, or is valid from.
    pub date: Option<Timestamp>,
    /// Its expiry.
    pub expiry: Option<Timestamp>,
    /// Whether its sender is authorized.
    pub authorized: AuthorizationVerdict,
    /// The nodes of the certification path, the sender first.
    pub path: Vec<NodeId>,
    /// Problems that are no reason to refuse it.
    pub warnings: Vec<String>,
}

impl Verdict {
    pub(super) fn new(kind: &'static str) -> Self {
        Self {
            kind,
            sender: None,
            recipient: None,
            id: None,
            date: None,
            expiry: None,
            authorized: AuthorizationVerdict::NotShown,
            path: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// `yes`, `no` or `not shown`.
    #[must_use]
    pub fn authorized_word(&self) -> &'static str {
        match self.authorized {
            AuthorizationVerdict::Yes => "yes",
            AuthorizationVerdict::NotShown => "not shown",
            AuthorizationVerdict::No(_) => "no",
        }
    }

    /// The verdict as JSON with stable keys.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let text = |node: &Option<NodeId>| node.map(|node| node.to_string());
        json!({
            "kind": self.kind,
            "sender": text(&self.sender),
            "recipient": text(&self.recipient),
            "id": self.id,
            "date": self.date.map(|at| at.to_string()),
            "expiry": self.expiry.map(|at| at.to_string()),
            "authorized": self.authorized_word(),
            "path": self.path.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "warnings": self.warnings,
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind)?;
        if let Some(sender) = self.sender {
            write!(formatter, " from {sender}")?;
        }
        if let Some(recipient) = self.recipient {
            write!(formatter, " to {recipient}")?;
        }
        write!(formatter, ": authorized: {}", self.authorized_word())
    }
}
