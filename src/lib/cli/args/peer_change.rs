//! What relay-peers is to change.

use crate::cli::peers::PeerChange;
use crate::node::pinned_host::parse_pin;

/// The options of which one may be given.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("change").requires("peer").conflicts_with("json"))]
pub struct PeerChanges {
    /// Call PEER by another name
    #[arg(long, value_name = "NEW", group = "change")]
    rename: Option<String>,
    /// Forget PEER, its session keys included
    #[arg(long, group = "change")]
    forget: bool,
    /// Note that the digits of PEER were compared
    #[arg(long, group = "change")]
    confirm: bool,
    /// Expect no more mail with PEER: relay-check reports nothing that ends
    #[arg(long, group = "change")]
    expect_none: bool,
    /// Reach PEER at HOST:PORT, whatever DNS says of its address
    #[arg(long, value_name = "HOST:PORT", group = "change")]
    host: Option<String>,
    /// Accept no other key there than the one with this SHA-256
    #[arg(long, value_name = "SHA256", requires = "host", value_parser = parse_pin)]
    pin: Option<[u8; 32]>,
    /// Reach PEER where its address says
    #[arg(long, group = "change")]
    no_host: bool,
}

impl PeerChanges {
    /// The change, if one is asked for.
    #[must_use]
    pub fn change(&self) -> Option<PeerChange<'_>> {
        let rename = self.rename.as_deref().map(PeerChange::Rename);
        let host = self.host.as_deref();
        rename
            .or(self.forget.then_some(PeerChange::Forget))
            .or(self.confirm.then_some(PeerChange::Confirm))
            .or(self.expect_none.then_some(PeerChange::ExpectNone))
            .or(host.map(|host| PeerChange::Host(host, self.pin)))
            .or(self.no_host.then_some(PeerChange::NoHost))
    }
}
