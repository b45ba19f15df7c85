//! The JSON lines that programs print for each message or finding: relay-json(5).

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{VERSION, peer_session_key};
use crate::asn1::Hex;
use crate::deliver::{DeliveryEffect, DeliveryOutcome};
use crate::message::{Item, ServiceMessage, file_name};
use crate::node::peers::StoredSessionKey;
use crate::node::{Directory, Peer, PinnedHost};
use crate::outbox::SubmittedTo;
use crate::pki::NodeId;
use crate::ramf::{InternetAddress, SignedMessage};
use crate::receive::{Arrival, Unpacked};
use crate::route;
use crate::route::control::{Applied, ControlEffect};
use crate::route::run::RouteOutcome;
use crate::send::Sent;
use crate::spool::admission::AdmittedParcel;
use crate::spool::queue::Waiting;
use crate::spool::sent::Line;
use crate::spool::state::Story;
use crate::spool::{Name, Queue};
use crate::upkeep::finding::Finding;

/// The header that a waiting message claims; nothing is verified.
#[derive(Debug, Default)]
pub struct UnverifiedHeader {
    /// Its id; of an acknowledgement, the id of the parcel.
    pub id: Option<String>,
    /// Its date.
    pub date: Option<Timestamp>,
    /// Its length, in octets.
    pub len: Option<usize>,
}

impl UnverifiedHeader {
    /// Reads the header. A message that cannot be parsed has only a length.
    #[must_use]
    pub fn of(octets: Vec<u8>) -> Self {
        let len = Some(octets.len());
        let item = Item::parse(octets).ok();
        let fields = item
            .as_ref()
            .and_then(Item::message)
            .map(SignedMessage::fields);
        Self {
            id: match &item {
                Some(Item::Pca(pca)) => Some(pca.parcel_id.clone()),
                _ => fields.map(|fields| fields.id.clone()),
            },
            date: fields.map(|fields| fields.date),
            len,
        }
    }
}

/// The name of a queue in lists, such as `out/<node id>`.
#[must_use]
pub fn queue_name(queue: &Queue) -> String {
    queue.place().path().to_string_lossy().into_owned()
}

/// A message that waits in a queue.
#[must_use]
pub fn waiting(queue: &Queue, message: &Waiting, header: Option<&UnverifiedHeader>) -> Value {
    let (name, identity) = (&message.name, &message.name.identity);
    let mut facts = json!({
        "v": VERSION,
        "queue": queue_name(queue),
        "path": message.path.to_string_lossy(),
        "name": name.to_string(),
        "kind": identity.kind.word(),
        "recipient": identity.recipient.to_string(),
        "sender": identity.sender.to_string(),
        "expiry": name.expiry.to_string(),
        "priority": name.urgency(),
    });
    if let Some(header) = header {
        facts["unverified"] = json!({
            "id": header.id,
            "date": header.date.map(|date| date.to_string()),
            "size": header.len,
        });
    }
    facts
}

/// The state and events of a message.
#[must_use]
pub fn story(story: &Story) -> Value {
    let event = |line: &Line| json!({"time": line.time.to_string(), "event": line.event.word(), "to": line.to});
    json!({
        "v": VERSION,
        "id": story.id(),
        "recipient": story.recipient.to_string(),
        "sender": story.sender.to_string(),
        "state": story.state.word(),
        "events": story.lines.iter().map(event).collect::<Vec<_>>(),
    })
}

/// A parcel that was stored in the spool.
#[must_use]
pub fn stored(parcel: &AdmittedParcel) -> Value {
    let identity = &parcel.name.identity;
    json!({
        "v": VERSION,
        "path": parcel.path.to_string_lossy(),
        "kind": identity.kind.word(),
        "recipient": identity.recipient.to_string(),
        "sender": identity.sender.to_string(),
        "id": parcel.id,
        "expiry": parcel.name.expiry.to_string(),
        "priority": parcel.name.urgency(),
        "size": parcel.len,
    })
}

/// Content that was sealed and stored for a recipient; `label` is where it was read.
#[must_use]
pub fn submitted(sent: &SubmittedTo, label: &str, name: Option<&str>, media_type: &str) -> Value {
    json!({
        "v": VERSION,
        "input": label,
        "recipient": sent.recipient.to_string(),
        "id": sent.id,
        "parcels": sent.parcels,
        "parts": sent.is_in_parts,
        "type": media_type,
        "name": name,
        "date": sent.date.to_string(),
        "expiry": sent.expiry.to_string(),
    })
}

/// Content that was delivered, or would be in a dry run.
#[must_use]
pub fn delivered(delivered: &DeliveryOutcome) -> Value {
    let content = delivered.content.as_ref();
    let path = match &delivered.result {
        Ok(DeliveryEffect::Delivered(path)) => path.as_ref(),
        _ => None,
    };
    json!({
        "v": VERSION,
        "input": delivered.path.to_string_lossy(),
        "index": 1,
        "path": path.map(|path| path.to_string_lossy()),
        "sender": content.map(|content| content.sender.to_string()),
        "peer": content.map(|content| &content.peer),
        "recipient": content.map(|content| content.recipient.to_string()),
        "type": content.map(|content| &content.media_type),
        "name": content.map(|content| &content.name),
        "id": content.map(|content| &content.id),
        "date": content.map(|content| content.date.to_string()),
        "expiry": content.map(|content| content.expiry.to_string()),
        "size": content.map(|content| content.size),
        "transfer": content.and_then(|content| content.transfer).map(|transfer| transfer.to_string()),
    })
}

/// Content of an opened parcel: the position of the parcel in the inputs, and the file with the
/// content.
#[must_use]
pub fn opened(
    arrival: &Arrival<'_, ServiceMessage>,
    (input, index): (&str, usize),
    path: Option<&Path>,
) -> Value {
    let head = arrival.head();
    let (media_type, given) = file_name::split(arrival.content().media_type());
    json!({
        "v": VERSION,
        "input": input,
        "index": index,
        "path": path.map(|path| path.to_string_lossy()),
        "sender": head.sender.id().to_string(),
        "peer": arrival.peer_name(),
        "recipient": head.fields.recipient.to_string(),
        "type": media_type,
        "name": given,
        "id": head.fields.id,
        "date": head.fields.date.to_string(),
        "expiry": head.fields.expiry().to_string(),
        "size": arrival.content().content().len(),
    })
}

/// A message of `len` octets in cargo; `item` is its number there.
#[must_use]
pub fn unpacked(
    unpacked: &Unpacked,
    (input, index): (&str, usize),
    item: usize,
    len: usize,
    path: Option<&Path>,
) -> Value {
    json!({
        "v": VERSION,
        "input": input,
        "index": index,
        "item": item,
        "path": path.map(|path| path.to_string_lossy()),
        "kind": unpacked.kind.word(),
        "sender": unpacked.sender.to_string(),
        "recipient": unpacked.recipient.to_string(),
        "id": unpacked.id,
        "expiry": unpacked.expiry.map(|at| at.to_string()),
        "size": len,
    })
}

/// The decision on a message in the queue `in`.
#[must_use]
pub fn route_decision(routed: &RouteOutcome, name: &str, decision: &str) -> Value {
    let mut line = decided(&routed.name, name, decision, routed.result.as_ref().err());
    line["id"] = json!(routed.id);
    line["priority"] = json!(routed.name.urgency());
    line["target"] = json!(routed.result.as_ref().ok().map(ToString::to_string));
    line
}

/// An authorization that was revoked, or all of an issuer.
#[must_use]
pub fn revoked(
    issuer: NodeId,
    peer: Option<NodeId>,
    serial: Option<&str>,
    until: Timestamp,
) -> Value {
    json!({
        "v": VERSION,
        "issuer": issuer.to_string(),
        "peer": peer.map(|peer| peer.to_string()),
        "serial": serial,
        "until": until.to_string(),
    })
}

/// The decision on a control message of this gateway.
#[must_use]
pub fn control_decision(
    applied: &Applied,
    gateway: Option<NodeId>,
    name: &str,
    decision: &str,
) -> Value {
    let mut line = decided(
        &applied.message.name,
        name,
        decision,
        applied.result.as_ref().err(),
    );
    if let Ok(ControlEffect::Acknowledged(pca)) = &applied.result {
        line["id"] = json!(pca.parcel_id);
    }
    line["by"] = json!(gateway.map(|gateway| gateway.to_string()));
    line
}

/// What both kinds of decision say; the keys of the other kind are null.
fn decided(of: &Name, name: &str, decision: &str, error: Option<&route::Error>) -> Value {
    let identity = &of.identity;
    json!({
        "v": VERSION,
        "name": name,
        "kind": identity.kind.word(),
        "recipient": identity.recipient.to_string(),
        "sender": identity.sender.to_string(),
        "id": null,
        "priority": null,
        "by": null,
        "decision": decision,
        "target": null,
        "error": error.map(ToString::to_string),
    })
}

/// A parcel that was sealed, and the file that it was written to.
#[must_use]
pub fn sealed(sent: &Sent, sender: NodeId, path: Option<&Path>) -> Value {
    let fields = &sent.fields;
    json!({
        "v": VERSION,
        "path": path.map(|path| path.to_string_lossy()),
        "recipient": fields.recipient.to_string(),
        "sender": sender.to_string(),
        "id": fields.id,
        "date": fields.date.to_string(),
        "expiry": fields.expiry().to_string(),
        "cut_to": sent.cut_to.map(|at| at.to_string()),
        "size": sent.octets.len(),
    })
}

/// A node that was made.
#[must_use]
pub fn made(node: &Directory) -> Value {
    let config = node.config();
    json!({
        "v": VERSION,
        "id": node.id().to_string(),
        "fingerprint": node.id().fingerprint(),
        "path": node.root().to_string_lossy(),
        "type": config.node_type().word(),
        "address": config.address().map(|address| address.as_str().to_owned()),
    })
}

/// A finding of relay-check.
#[must_use]
pub fn finding(finding: &Finding) -> Value {
    json!({
        "v": VERSION,
        "level": finding.level.word(),
        "check": finding.check.word(),
        "what": finding.what,
        "where": finding.path.to_string_lossy(),
        "hint": finding.hint,
    })
}

/// What is known of a peer beside its keys and dates.
#[derive(Debug, Clone, Copy)]
pub struct PeerMarks {
    /// Whether somebody compared its digits.
    pub is_compared: bool,
    /// Whether mail is to be exchanged with it.
    pub expects_mail: bool,
    /// Whether what this node gave it is revoked.
    pub is_revoked: bool,
    /// Whether it revoked what it gave this node.
    pub has_revoked: bool,
}

impl PeerMarks {
    /// The words for whether its digits were compared.
    #[must_use]
    pub fn digits(self) -> &'static str {
        if self.is_compared {
            "compared"
        } else {
            "not compared"
        }
    }
}

/// A peer, with the times until which either side may send, and the session key that this node
/// seals to.
#[must_use]
pub fn peer(
    (peer, host): (&Peer, Option<&PinnedHost>),
    (held_until, given_until): (Option<Timestamp>, Option<Timestamp>),
    key: Option<&StoredSessionKey>,
    marks: PeerMarks,
    succession: &Value,
) -> Value {
    json!({
        "v": VERSION,
        "id": peer.id.to_string(),
        "name": peer.name,
        "fingerprint": peer.id.fingerprint(),
        "address": peer.address.as_ref().map(InternetAddress::as_str),
        "host": host.map(|host| &host.authority),
        "host_pin": host.and_then(|host| host.pin).map(|pin| Hex(&pin).to_string()),
        "we_may_send_until": held_until.map(|until| until.to_string()),
        "they_may_send_until": given_until.map(|until| until.to_string()),
        "session_key": key.map(|key| peer_session_key(&key.key, key.date, key.sealed_until)),
        "compared": marks.is_compared,
        "expects_mail": marks.expects_mail,
        "revoked": marks.is_revoked,
        "revoked_by_peer": marks.has_revoked,
        "successor": succession["successor"],
        "successors_waiting": succession["waiting"],
        "successor_contested": succession["contested"],
    })
}
