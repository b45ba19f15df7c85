//! Identifies queues, and the folders that have a queue for each node.

use std::path::{Path, PathBuf};

use crate::pki::NodeId;

/// The folder with a queue for each local node.
pub(crate) const HOME: &str = "home";

/// The queue in `out` of what goes to recipients on the Internet directly, instead of a node's id.
pub const INTERNET: &str = "@internet";

/// Identifies a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QueueId {
    /// Arrived or sent from here, not yet routed.
    In,
    /// For this node or a local endpoint.
    Home(NodeId),
    /// For a next hop.
    Out(NodeId),
    /// For recipients on the Internet, whose own servers take it: in `out`, under a name that no node has.
    Internet,
    /// Control messages that this gateway's cargo brought.
    Control(NodeId),
    /// Acknowledgements for a next hop.
    Acks(NodeId),
    /// Requests for cargo by this gateway.
    Cca(NodeId),
    /// Messages that were set aside.
    Failed,
}

impl QueueId {
    /// The queue with this path in the spool, if messages return to it from `failed`.
    #[must_use]
    pub fn to_return_to(path: &str) -> Option<Self> {
        match path.split_once('/') {
            None if path == "in" => Some(Self::In),
            Some(("home", node)) => Some(Self::Home(node.parse().ok()?)),
            Some(("cca", gateway)) => Some(Self::Cca(gateway.parse().ok()?)),
            Some(("control", gateway)) => Some(Self::Control(gateway.parse().ok()?)),
            // Not `out` and `acks`: what goes to a hop is routed anew.
            _ => None,
        }
    }

    /// Whether members of the group use it, in a shared spool.
    pub(super) fn is_of_group(self) -> bool {
        matches!(self, Self::In | Self::Home(_))
    }

    /// The queue's path in the spool.
    #[must_use]
    pub fn path(self) -> PathBuf {
        match self.node() {
            None if self == Self::Internet => Path::new(self.folder()).join(INTERNET),
            Some(node) => Path::new(self.folder()).join(node.to_string()),
            None => self.folder().into(),
        }
    }

    /// The folder in the spool that the queue is, or that it is in.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Failed => "failed",
            Self::Home(_) => QueueKind::Home.folder(),
            Self::Out(_) | Self::Internet => QueueKind::Out.folder(),
            Self::Control(_) => QueueKind::Control.folder(),
            Self::Acks(_) => QueueKind::Acks.folder(),
            Self::Cca(_) => QueueKind::Cca.folder(),
        }
    }

    /// The node that the queue is for, or of; `None` for `in`, `@internet` and `failed`.
    #[must_use]
    pub fn node(self) -> Option<NodeId> {
        match self {
            Self::In | Self::Internet | Self::Failed => None,
            Self::Home(node)
            | Self::Out(node)
            | Self::Control(node)
            | Self::Acks(node)
            | Self::Cca(node) => Some(node),
        }
    }
}

/// A kind of queue of which there is one for each node, in a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueKind {
    /// `home`: for this node and each local endpoint.
    Home,
    /// `out`: for each next hop.
    Out,
    /// `control`: what each gateway's cargo brought for this one.
    Control,
    /// `acks`: acknowledgements for each next hop.
    Acks,
    /// `cca`: requests for cargo by each gateway.
    Cca,
}

impl QueueKind {
    /// All, in the order in which queues are listed.
    pub const ALL: [Self; 5] = [Self::Home, Self::Out, Self::Control, Self::Acks, Self::Cca];

    /// The kind whose folder has this name.
    #[must_use]
    pub fn of_folder(folder: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.folder() == folder)
    }

    /// The folder in the spool that these queues are in.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Home => HOME,
            Self::Out => "out",
            Self::Control => "control",
            Self::Acks => "acks",
            Self::Cca => "cca",
        }
    }

    /// The queue of this kind for a node.
    #[must_use]
    pub fn of(self, node: NodeId) -> QueueId {
        match self {
            Self::Home => QueueId::Home(node),
            Self::Out => QueueId::Out(node),
            Self::Control => QueueId::Control(node),
            Self::Acks => QueueId::Acks(node),
            Self::Cca => QueueId::Cca(node),
        }
    }
}
