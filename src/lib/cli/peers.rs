//! What relay-peers changes of a peer.

use super::errors::Usage;
use super::report;
use crate::describe::lines::PeerMarks;
use crate::node::{Directory, Error, PinnedHost, authorizations};
use crate::pki::NodeId;

/// A change of what is kept of a peer.
#[derive(Debug, Clone, Copy)]
pub enum PeerChange<'a> {
    /// Another name.
    Rename(&'a str),
    /// Nothing is kept.
    Forget,
    /// Somebody compared the digits.
    Confirm,
    /// No mail is expected any more.
    ExpectNone,
    /// It is at `HOST:PORT`; its certificate has this key, if that alone counts.
    Host(&'a str, Option<[u8; 32]>),
    /// It is where its address says.
    NoHost,
}

/// What is known of a peer beside its keys and dates. `has_revoked` says whether it revoked all that it
/// gave this node.
///
/// # Errors
/// When that cannot be read.
pub fn marks(node: &Directory, peer: NodeId, has_revoked: bool) -> Result<PeerMarks, Error> {
    Ok(PeerMarks {
        has_revoked,
        is_compared: node.is_compared(peer)?,
        expects_mail: node.expects_mail(peer)?,
        is_revoked: node.has_revoked(peer)?,
    })
}

/// Changes what is kept of the peer that this means.
///
/// # Errors
/// When there is none, or it cannot be changed.
pub fn change(node: &Directory, peer: &str, change: PeerChange<'_>) -> anyhow::Result<()> {
    let _lock = node.lock_exclusive()?;
    let peer = node.find_peer(peer)?;
    let id = peer.id.to_string();
    match change {
        PeerChange::Rename(name) => {
            node.check_name_free(peer.id, name)?;
            node.check_peer_name(peer.id, name, true)?;
            node.name_peer(peer.id, name)?;
            report::event("renamed", &[("peer", &id), ("name", name)]);
        }
        PeerChange::Forget => {
            let until = authorizations::given_until(node, peer.id)?;
            if let Some(until) = until
                && !node.has_revoked(peer.id)?
            {
                report::warn_with(
                    &format!(
                        "{}: what we gave it authorizes it until {until} all the same",
                        peer.label()
                    ),
                    "relay-revoke withdraws that, before a peer is forgotten",
                );
            }
            node.forget_peer(peer.id)?;
            report::event("forgotten", &[("peer", &id)]);
        }
        PeerChange::Confirm => {
            node.note_compared(peer.id)?;
            report::event("confirmed", &[("peer", &id)]);
            report::note(&format!(
                "{}: fingerprint {}",
                peer.label(),
                peer.id.fingerprint()
            ));
        }
        PeerChange::ExpectNone => {
            node.expect_mail(peer.id, false)?;
            report::event("expects-none", &[("peer", &id)]);
        }
        PeerChange::Host(authority, pin) => {
            let host = named_host(authority, pin)?;
            node.pin_host(peer.id, Some(&host))?;
            report::event("host", &[("peer", &id), ("host", authority)]);
        }
        PeerChange::NoHost => {
            node.pin_host(peer.id, None)?;
            report::event("no-host", &[("peer", &id)]);
        }
    }
    Ok(())
}

/// The host that a person named.
fn named_host(authority: &str, pin: Option<[u8; 32]>) -> anyhow::Result<PinnedHost> {
    // What the clients will do with it.
    #[cfg(feature = "online")]
    crate::binding::Server::named_by_operator(authority, pin)?;
    let host: PinnedHost = authority
        .parse()
        .map_err(|problem| Usage(format!("{authority}: {problem}")))?;
    Ok(PinnedHost { pin, ..host })
}
