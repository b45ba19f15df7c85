//! What happened in an exchange with a gateway online, as JSON.

use serde_json::{Value, json};

use super::VERSION;
use crate::binding::direct::DirectEvent;
use crate::binding::ferry::{FerryEvent, FerryTally};
use crate::binding::online::{OnlineEvent, OnlineTally};
use crate::medium::MediumFile;
use crate::pki::NodeId;
use crate::spool::Name;

/// An event of an exchange with this gateway. What has an error lacks its text, which the caller adds.
#[must_use]
pub fn exchanged_online(event: &OnlineEvent, gateway: &str) -> Value {
    let (word, facts) = match event {
        OnlineEvent::Accepted { name, id, len } => ("accepted", message(name, id, Some(*len))),
        OnlineEvent::Refused { name, id, .. } => ("refused", message(name, id, None)),
        OnlineEvent::Collected { name, id, len } => ("collected", message(name, id, Some(*len))),
        OnlineEvent::CollectedAgain { name, id } => ("repeated", message(name, id, None)),
        OnlineEvent::Rejected { delivery, .. } => ("rejected", json!({"delivery": delivery})),
        OnlineEvent::Left { delivery, .. } => ("left", json!({"delivery": delivery})),
        OnlineEvent::Kept { what, .. } => ("kept", json!({"what": what})),
    };
    let mut line = json!({"v": VERSION, "event": word, "gateway": gateway});
    for (key, value) in facts.as_object().into_iter().flatten() {
        line[key] = value.clone();
    }
    line
}

/// The counts as the last line of a run.
#[must_use]
pub fn online_summary(tally: &OnlineTally) -> Value {
    json!({
        "v": VERSION,
        "event": "summary",
        "accepted": tally.accepted,
        "refused": tally.refused,
        "collected": tally.collected,
        "repeated": tally.again,
        "rejected": tally.rejected,
        "left": tally.left,
        "kept": tally.kept,
    })
}

/// An event of relay-post. What has an error lacks its text, which the caller adds.
#[must_use]
pub fn posted(event: &DirectEvent) -> Value {
    let (word, facts) = match event {
        DirectEvent::Posted {
            name,
            id,
            len,
            address,
        } => {
            let mut facts = message(name, id, Some(*len));
            facts["address"] = json!(address);
            ("posted", facts)
        }
        DirectEvent::Refused { name, id, .. } => ("refused", message(name, id, None)),
        DirectEvent::GivenUp { name, address } => (
            "given-up",
            json!({
                "recipient": name.identity.recipient.to_string(),
                "sender": name.identity.sender.to_string(),
                "address": address,
            }),
        ),
        DirectEvent::Kept { address, what, .. } => {
            ("kept", json!({"what": what, "address": address}))
        }
        DirectEvent::Reached { address } => ("reached", json!({"address": address})),
        DirectEvent::Unreached {
            address, parcels, ..
        } => (
            "unreached",
            json!({"address": address, "messages": parcels}),
        ),
        DirectEvent::LeftAlone { address, until } => (
            "left-alone",
            json!({"address": address, "until": until.to_string()}),
        ),
    };
    let mut line = json!({"v": VERSION, "event": word});
    for (key, value) in facts.as_object().into_iter().flatten() {
        line[key] = value.clone();
    }
    line
}

/// An event of relay-ferry. What has an error lacks its text, which the caller adds.
#[must_use]
pub fn ferried(event: &FerryEvent) -> Value {
    let file = |file: &MediumFile| {
        json!({
            "file": file.to_string(),
            "kind": file.kind().word(),
            "recipient": file.recipient.to_string(),
            "sender": file.sender.to_string(),
            "size": file.len,
        })
    };
    let ends = |recipient: &NodeId, sender: &NodeId, server: &str| {
        json!({
            "recipient": recipient.to_string(),
            "sender": sender.to_string(),
            "server": server,
        })
    };
    let (word, mut facts) = match event {
        FerryEvent::Delivered { file: it, .. } => ("delivered", file(it)),
        FerryEvent::Refused { file: it, .. } => ("refused", file(it)),
        FerryEvent::Asked { file: it, .. } => ("asked", file(it)),
        FerryEvent::Unsent { file: it, .. } => ("unsent", file(it)),
        FerryEvent::Received {
            recipient,
            sender,
            server,
            ..
        } => ("received", ends(recipient, sender, server)),
        FerryEvent::Repeated {
            recipient,
            sender,
            server,
        } => ("repeated", ends(recipient, sender, server)),
        FerryEvent::Rejected { server, .. } => ("rejected", json!({"server": server})),
        FerryEvent::Left { server, .. } => ("left", json!({"server": server})),
        FerryEvent::Reached { address } => ("reached", json!({"address": address})),
        FerryEvent::Unreached {
            address, messages, ..
        } => (
            "unreached",
            json!({"address": address, "messages": messages}),
        ),
    };
    match event {
        FerryEvent::Delivered { server, .. } => facts["server"] = json!(server),
        FerryEvent::Asked {
            server, cargoes, ..
        } => {
            facts["server"] = json!(server);
            facts["cargoes"] = json!(cargoes);
        }
        FerryEvent::Received { len, .. } => facts["size"] = json!(len),
        _ => {}
    }
    let mut line = json!({"v": VERSION, "event": word});
    for (key, value) in facts.as_object().into_iter().flatten() {
        line[key] = value.clone();
    }
    line
}

/// The counts of relay-ferry as the last line of a run.
#[must_use]
pub fn ferry_summary(tally: &FerryTally) -> Value {
    json!({
        "v": VERSION,
        "event": "summary",
        "delivered": tally.delivered,
        "refused": tally.refused,
        "asked": tally.asked,
        "received": tally.received,
        "repeated": tally.repeated,
        "rejected": tally.rejected,
        "left": tally.left,
        "kept": tally.kept,
    })
}

fn message(name: &Name, id: &str, len: Option<usize>) -> Value {
    json!({
        "recipient": name.identity.recipient.to_string(),
        "sender": name.identity.sender.to_string(),
        "id": id,
        "size": len,
    })
}
