//! Where a message goes.

use std::fmt;
use std::path::PathBuf;

use crate::command::Command;
use crate::pki::NodeId;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To this node, which is here.
    Home(NodeId),
    /// To this next hop.
    Out(NodeId),
    /// Into a directory.
    Directory(PathBuf),
    /// To a command.
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
