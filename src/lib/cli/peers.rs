//! What relay-peers changes of a peer.

use super::report;
use crate::describe::lines::PeerMarks;
use crate::node::{Directory, Error, authorizations};
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
    }
    Ok(())
}
