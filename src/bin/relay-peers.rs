//! relay-peers: lists peers and what was authorized in either direction; renames and forgets them.

use std::process::ExitCode;

use clap::Parser;
use jiff::Timestamp;

use relaynet::cli::args::{NodeDir, PeerChanges};
use relaynet::cli::{self, files, peers, successors, table, unreadable_peers};
use relaynet::describe::json;
use relaynet::describe::lines::{self, PeerMarks};
use relaynet::node::peers::{StoredSessionKey, UnreadablePeer, short_id};
use relaynet::node::{self, Directory, Peer, PinnedHost, authorizations};

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
    #[command(flatten)]
    changes: PeerChanges,
}

pub(crate) fn main() -> ExitCode {
    cli::run(list)
}

fn list(args: &Args) -> anyhow::Result<()> {
    let node = args.node.open()?;
    if let (Some(peer), Some(change)) = (&args.peer, args.changes.change()) {
        return peers::change(&node, peer, change);
    }
    let (known, mut unreadable) = match &args.peer {
        Some(peer) => (vec![node.find_peer(peer)?], Vec::new()),
        None => node.peers()?,
    };
    let mut rows = Vec::new();
    for peer in known {
        let id = peer.id;
        let row = Row::of(&node, peer).map(|row| rows.push(row));
        unreadable.extend(row.err().map(|error| UnreadablePeer { id, error }));
    }
    show(&rows, args.json)?;
    for row in &rows {
        successors::waits(&node, row.peer.id, Timestamp::MIN)?;
    }
    unreadable_peers::finish(&node, unreadable)
}

fn show(rows: &[Row], json: bool) -> anyhow::Result<()> {
    if json {
        let mut lines = rows.iter().map(|row| json::line(&row.to_json()));
        return lines.try_for_each(|line| files::print(&line));
    }
    let head = [
        "NAME",
        "ID",
        "FINGERPRINT",
        "ADDRESS",
        "WE MAY SEND UNTIL",
        "THEY MAY SEND UNTIL",
        "SESSION KEY OF",
        "DIGITS",
    ];
    let columns = rows.iter().map(|row| row.to_columns(files::is_terminal()));
    table::print(&head, &columns.collect::<Vec<_>>())
}

/// A peer with its authorizations and session key.
struct Row {
    peer: Peer,
    held_until: Option<Timestamp>,
    given_until: Option<Timestamp>,
    session_key: Option<StoredSessionKey>,
    marks: PeerMarks,
    host: Option<PinnedHost>,
    succession: serde_json::Value,
}

impl Row {
    fn of(node: &Directory, peer: Peer) -> Result<Self, node::Error> {
        let (held_until, has_revoked) = authorizations::held_until(node, peer.id)?;
        Ok(Self {
            held_until,
            given_until: authorizations::given_until(node, peer.id)?,
            session_key: node.session_key_of(peer.id)?,
            marks: peers::marks(node, peer.id, has_revoked)?,
            host: node.pinned_host(peer.id)?,
            succession: successors::facts(node, peer.id)?,
            peer,
        })
    }

    fn to_json(&self) -> serde_json::Value {
        let ends = (self.held_until, self.given_until);
        let key = self.session_key.as_ref();
        lines::peer(
            (&self.peer, self.host.as_ref()),
            ends,
            key,
            self.marks,
            &self.succession,
        )
    }

    fn to_columns(&self, short: bool) -> Vec<String> {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let date = |at: Option<Timestamp>| or_dash(at.map(|at| at.to_string()));
        let id = if short {
            short_id(self.peer.id)
        } else {
            self.peer.id.to_string()
        };
        let revoked = |is_revoked: bool| is_revoked.then(|| "revoked".to_owned());
        vec![
            or_dash(self.peer.name.clone()),
            id,
            self.peer.id.fingerprint(),
            or_dash(self.peer.address.as_ref().map(ToString::to_string)),
            revoked(self.marks.has_revoked).unwrap_or_else(|| date(self.held_until)),
            revoked(self.marks.is_revoked).unwrap_or_else(|| date(self.given_until)),
            date(self.session_key.as_ref().map(|key| key.date)),
            self.marks.digits().to_owned(),
        ]
    }
}
