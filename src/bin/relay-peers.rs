//! relay-peers: lists peers and what was authorized in either direction; renames and forgets them.

use std::process::ExitCode;

use clap::Parser;
use jiff::Timestamp;

use relaynet::cli::args::NodeDir;
use relaynet::cli::{self, files, report, table};
use relaynet::describe::{json, lines};
use relaynet::node::peers::{StoredSessionKey, short_id};
use relaynet::node::{Directory, Peer, authorizations};

/// List peers and what was authorized in either direction
#[derive(Debug, Parser)]
#[command(name = "relay-peers", version)]
pub(crate) struct Args {
    /// Only this peer: its name, its id, or the beginning of its id
    #[arg(value_name = "PEER")]
    peer: Option<String>,
    #[command(flatten)]
    node: NodeDir,
    /// Print a line of JSON for each peer
    #[arg(long)]
    json: bool,
    /// Call PEER by another name
    #[arg(long, value_name = "NEW", requires = "peer", conflicts_with = "json")]
    rename: Option<String>,
    /// Forget PEER, its session keys included
    #[arg(long, requires = "peer", conflicts_with_all = ["json", "rename"])]
    forget: bool,
}

fn main() -> ExitCode {
    cli::run(peers)
}

fn peers(args: &Args) -> anyhow::Result<()> {
    let node = args.node.open()?;
    if let (Some(peer), Some(name)) = (&args.peer, &args.rename) {
        return rename(&node, peer, name);
    }
    if let (Some(peer), true) = (&args.peer, args.forget) {
        return forget(&node, peer);
    }
    let peers = match &args.peer {
        Some(peer) => vec![node.find_peer(peer)?],
        None => node.peers()?,
    };
    let rows = peers
        .into_iter()
        .map(|peer| Row::of(&node, peer))
        .collect::<anyhow::Result<Vec<Row>>>()?;
    if args.json {
        return rows
            .iter()
            .try_for_each(|row| files::print(&json::line(&row.to_json())));
    }
    let head = [
        "NAME",
        "ID",
        "FINGERPRINT",
        "ADDRESS",
        "WE MAY SEND UNTIL",
        "THEY MAY SEND UNTIL",
        "SESSION KEY OF",
    ];
    let columns: Vec<_> = rows
        .iter()
        .map(|row| row.to_columns(files::is_terminal()))
        .collect();
    table::print(&head, &columns)
}

fn rename(node: &Directory, peer: &str, name: &str) -> anyhow::Result<()> {
    let _lock = node.lock_exclusive()?;
    let peer = node.find_peer(peer)?;
    // The first check also refuses to take the name from its holder; the second one allows renaming
    // this peer.
    node.check_name_free(peer.id, name)?;
    node.check_peer_name(peer.id, name, true)?;
    node.name_peer(peer.id, name)?;
    report::event("renamed", &[("peer", &peer.id.to_string()), ("name", name)]);
    Ok(())
}

fn forget(node: &Directory, peer: &str) -> anyhow::Result<()> {
    let _lock = node.lock_exclusive()?;
    let peer = node.find_peer(peer)?;
    // The certificate cannot be revoked: it is valid until it ends, wherever it is kept.
    if let Some(until) = authorizations::given_until(node, peer.id)? {
        report::warn(&format!(
            "{}: what we gave it authorizes it until {until} all the same",
            peer.label()
        ));
    }
    node.forget_peer(peer.id)?;
    report::event("forgotten", &[("peer", &peer.id.to_string())]);
    Ok(())
}

/// A peer with its authorizations and session key.
struct Row {
    peer: Peer,
    held_until: Option<Timestamp>,
    given_until: Option<Timestamp>,
    session_key: Option<StoredSessionKey>,
}

impl Row {
    fn of(node: &Directory, peer: Peer) -> anyhow::Result<Self> {
        Ok(Self {
            held_until: authorizations::held_until(node, peer.id)?,
            given_until: authorizations::given_until(node, peer.id)?,
            session_key: node.session_key_of(peer.id)?,
            peer,
        })
    }

    fn to_json(&self) -> serde_json::Value {
        let key = self.session_key.as_ref();
        lines::peer(&self.peer, self.held_until, self.given_until, key)
    }

    fn to_columns(&self, short: bool) -> Vec<String> {
        let date = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        let id = if short {
            short_id(self.peer.id)
        } else {
            self.peer.id.to_string()
        };
        vec![
            self.peer.name.clone().unwrap_or_else(|| "-".to_owned()),
            id,
            self.peer.id.fingerprint(),
            self.peer
                .address
                .as_ref()
                .map_or_else(|| "-".to_owned(), ToString::to_string),
            date(self.held_until),
            date(self.given_until),
            date(self.session_key.as_ref().map(|key| key.date)),
        ]
    }
}
