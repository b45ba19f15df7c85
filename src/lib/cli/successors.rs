//! What programs say of nodes that take the place of others.

use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::args::KeyedNode;
use super::whole::read_whole;
use super::{files, report};
use crate::disk::{self, FileRole};
use crate::kind::ErrorKind;
use crate::node::import::{Confirmation, ImportedSuccession, Options, SuccessorFate};
use crate::node::issued::{self, HandOver, IssuedKind};
use crate::node::peers::short_id;
use crate::node::succession::Succession;
use crate::node::{Directory, Error, NodeType, authorizations};
use crate::pki::NodeId;
use crate::spool::Access;
use crate::upkeep::handing_on::Outlet;

/// Reports a successor notice of a peer that came.
///
/// # Errors
/// When what waits of that peer cannot be read.
pub fn came(
    node: &Directory,
    old: NodeId,
    fate: SuccessorFate,
    now: Timestamp,
) -> Result<(), Error> {
    let (label, id) = (node.label_of(old), old.to_string());
    let event = |name| report::event(name, &[("peer", &id)]);
    match fate {
        SuccessorFate::Waits => {
            event("successor-waits");
            waits(node, old, now)?;
        }
        SuccessorFate::Known => event("successor-known"),
        SuccessorFate::NoRoom => {
            event("successor-dropped");
            report::warn_with(
                &format!("{label}: one more node claims to succeed it, and is not kept"),
                Succession::NO_ROOM,
            );
        }
        SuccessorFate::Settled => {
            event("successor-dropped");
            let last = node.label_of(node.last_successor(old)?);
            report::warn(&format!(
                "{}: its key names another successor, and nothing changes: {last} was confirmed before",
                short_id(old)
            ));
        }
    }
    Ok(())
}

/// Warns of the successors that a peer named and that wait for a person, if any do.
///
/// # Errors
/// When they cannot be read.
pub fn waits(node: &Directory, peer: NodeId, now: Timestamp) -> Result<(), Error> {
    let label = node.label_of(peer);
    if let Some(text) = node.succession_of(peer, now)?.text(&label) {
        report::warn_with(&text, &Succession::remedy(&label));
    }
    Ok(())
}

/// Which node took the place of a peer, which ones claim to, and whether somebody else may have its
/// key.
///
/// # Errors
/// When that cannot be read.
pub fn facts(node: &Directory, peer: NodeId) -> Result<Value, Error> {
    let confirmed = node.successor_of(peer)?;
    let found = node.succession_of(peer, Timestamp::MIN)?;
    let ids = found.ids().map(|id| id.to_string());
    Ok(json!({
        "successor": confirmed.map(|confirmed| confirmed.id.to_string()),
        "waiting": ids.collect::<Vec<_>>(),
        "contested": found.is_contested(),
    }))
}

/// Confirms the successor of a peer that has the expected digits: one that waits, or one in a file.
///
/// # Errors
/// When no peer and no file is meant, none of its successors has these digits, or it cannot be taken.
pub fn confirm(
    dir: &KeyedNode,
    node: &Directory,
    text: &str,
    options: &Options<'_>,
) -> anyhow::Result<()> {
    let Some(expected) = &options.expected else {
        return Ok(()); // the command line demands it
    };
    let confirmed = match node.find_succeeded(text, expected) {
        Ok(old) => {
            let _lock = node.lock_exclusive()?;
            node.confirm_waiting(old, expected, options)?
        }
        Err(error) if error.kind() == ErrorKind::UnknownPeer && Path::new(text).is_file() => {
            let octets = read_whole(Path::new(text))?;
            let _lock = node.lock_exclusive()?;
            let imported = node.import(&octets, options);
            match imported.with_context(|| report::escaped(text))?.succession {
                Some(ImportedSuccession::Confirmed(confirmed)) => confirmed,
                _ => return Err(error.into()),
            }
        }
        Err(error) => return Err(error.into()),
    };
    taken(dir, node, &confirmed, options)?;
    files::print(&confirmed.new.to_string())
}

/// Reports what a successor notice in a file did, about the peer that it is of.
///
/// # Errors
/// As [`came`], and when the authorization for a successor cannot be sent.
pub fn imported(
    dir: &KeyedNode,
    node: &Directory,
    (peer, succession): (NodeId, &ImportedSuccession),
    options: &Options<'_>,
) -> anyhow::Result<()> {
    match succession {
        ImportedSuccession::Confirmed(confirmed) => taken(dir, node, confirmed, options),
        ImportedSuccession::Kept(fate) => Ok(came(node, peer, *fate, options.now)?),
    }
}

/// Reports a successor that was confirmed, and sends it our authorization. If that fails, the same
/// command tries again.
fn taken(
    dir: &KeyedNode,
    node: &Directory,
    confirmed: &Confirmation,
    options: &Options<'_>,
) -> anyhow::Result<()> {
    let (old, new) = (confirmed.old, confirmed.new);
    let label = node.label_of(new);
    report::event(
        "succeeded",
        &[
            ("peer", &old.to_string()),
            ("by", &new.to_string()),
            ("new", if confirmed.is_known { "no" } else { "yes" }),
        ],
    );
    if confirmed.is_known {
        report::detail(&format!("{label} was confirmed before"));
    } else {
        report::note(&format!("{label}: fingerprint {}", new.fingerprint()));
        tell_of_old(node, old, &label, options.now)?;
    }
    if confirmed.is_unanswered {
        report::warn_with(
            &format!("{label} may not send here yet: no parcel can bring it our authorization"),
            &format!("relay-authorize {label} -o FILE makes what it has to import"),
        );
    }
    if !confirmed.is_to_get {
        return Ok(());
    }
    let access = dir.access()?;
    if !has_spool(&access)? {
        report::warn_with(
            &format!("{label} may not send here yet: this node has no spool to send from"),
            &format!("relay-authorize {label} -o FILE makes what it has to import"),
        );
        return Ok(());
    }
    let sent = send(&access, node, new, options);
    sent.with_context(|| format!("the authorization for {label}"))
}

/// Says what the old node may still do.
fn tell_of_old(node: &Directory, old: NodeId, label: &str, now: Timestamp) -> Result<(), Error> {
    let old_label = node.label_of(old);
    let until = authorizations::given_until(node, old)?;
    match until.filter(|until| *until >= now) {
        Some(until) if !node.has_revoked(old)? => report::warn_with(
            &format!("{label} succeeds {old_label}, which may send until {until}"),
            &format!("if the old key was stolen: relay-revoke {old_label}"),
        ),
        _ => report::note(&format!("{label} succeeds {old_label}")),
    }
    Ok(())
}

/// Whether messages of the node have a way out: it uses a gateway's spool, or has used its own.
///
/// # Errors
/// When that cannot be examined.
pub fn has_spool(access: &Access) -> disk::Result<bool> {
    match access {
        Access::Owner(spool) => {
            let is_gateway = spool.owner().config().node_type() == NodeType::Gateway;
            Ok(is_gateway || disk::files::exists(spool.root(), FileRole::Spool)?)
        }
        Access::Member(_) => Ok(true),
    }
}

/// Sends a peer the authorization that it is still to get.
fn send(
    access: &Access,
    node: &Directory,
    peer: NodeId,
    options: &Options<'_>,
) -> anyhow::Result<()> {
    let kind = IssuedKind::Given;
    let Some(newest) = issued::newest(node, peer, kind, options.now)? else {
        return Ok(());
    };
    issued::rely_on_issued(node, peer, kind)?;
    let outlet = Outlet::of(access, options.window, options.now);
    outlet.authorization(node, peer, (&newest.path, None))?;
    let _lock = node.lock_exclusive()?;
    // relay-rotate sends it again until a message of the peer shows that it has it.
    if let Some(waits) = HandOver::of(node, peer, kind)? {
        let emitted = Some(options.now);
        HandOver { emitted, ..waits }.store(node, peer, kind)?;
    }
    Ok(())
}
