//! Where the servers of a peer are.

use std::fmt;

use crate::node::{self, Directory, PinnedHost};
use crate::pki::NodeId;
use crate::ramf::InternetAddress;

/// Where the servers of a peer are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerPlace {
    /// At the host that the operator named, which goes before its address.
    Host(PinnedHost),
    /// Where a resolver says that they are, for its Internet address.
    Address(InternetAddress),
}

impl PeerPlace {
    /// The place of a peer with this Internet address; `None` if it has none, and the operator named no host.
    ///
    /// # Errors
    /// When the node cannot be read.
    pub fn of(
        node: &Directory,
        peer: NodeId,
        address: Option<InternetAddress>,
    ) -> Result<Option<Self>, node::Error> {
        let host = node.pinned_host(peer)?.map(Self::Host);
        let address = address.filter(|address| !address.is_nowhere());
        Ok(host.or(address.map(Self::Address)))
    }

    /// Who named it, in a word: `host` for the file of that name, or `resolver`.
    #[must_use]
    pub fn named_by(&self) -> &'static str {
        match self {
            Self::Host(_) => "host",
            Self::Address(_) => "resolver",
        }
    }
}

impl fmt::Display for PeerPlace {
    /// `HOST:PORT`, or the address.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => formatter.write_str(&host.authority),
            Self::Address(address) => formatter.write_str(address.as_str()),
        }
    }
}
