//! Targets of routed messages.

use std::fmt;
use std::path::PathBuf;

use crate::command::Command;
use crate::pki::NodeId;

/// The target of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A node here: this one, or a local endpoint.
    Home(NodeId),
    /// A next hop.
    Out(NodeId),
    /// A directory.
    Directory(PathBuf),
    /// A command.
    Command(Command),
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Home(node) => write!(formatter, "home:{node}"),
            Self::Out(hop) => write!(formatter, "peer:{hop}"),
            Self::Directory(path) => write!(formatter, "dir:{}", path.display()),
            Self::Command(command) => write!(formatter, "exec:{command}"),
        }
    }
}
