//! What happened in an exchange with a medium, as JSON.

use serde_json::{Value, json};

use super::VERSION;
use crate::medium::{ExchangeEvent, MediumFile, WaitReason};
use crate::spool::Name;

/// An event of an exchange with the medium of this id.
#[must_use]
pub fn exchanged(event: &ExchangeEvent, medium: &str) -> Value {
    let (word, facts) = word_and_facts(event);
    let mut line = json!({"v": VERSION, "event": word, "medium": medium});
    for (key, value) in facts.as_object().into_iter().flatten() {
        line[key] = value.clone();
    }
    line
}

fn word_and_facts(event: &ExchangeEvent) -> (&'static str, Value) {
    match event {
        ExchangeEvent::Stored { name, id, cargo } => {
            let mut facts = message(name, id.as_deref());
            facts["cargo"] = json!(cargo);
            ("stored", facts)
        }
        ExchangeEvent::Repeated { name, id } => ("repeated", message(name, id.as_deref())),
        ExchangeEvent::Unpacked { file, messages } => (
            "unpacked",
            json!({
                "file": file.to_string(),
                "sender": file.sender.to_string(),
                "messages": messages,
                "size": file.len,
            }),
        ),
        ExchangeEvent::Asked(file) => (
            "asked",
            json!({"file": file.to_string(), "sender": file.sender.to_string()}),
        ),
        ExchangeEvent::Packed {
            cargo,
            hop,
            messages,
            len,
        } => (
            "packed",
            json!({"cargo": cargo, "recipient": hop.to_string(), "messages": messages, "size": len}),
        ),
        ExchangeEvent::Requested { id, gateway } => (
            "requested",
            json!({"id": id, "recipient": gateway.to_string()}),
        ),
        ExchangeEvent::Carried(file) => ("carried", carried(file)),
        ExchangeEvent::Freed { file, medium } => (
            "freed",
            json!({"medium": medium, "file": file.to_string(), "size": file.len}),
        ),
        ExchangeEvent::Withdrawn { file, acks } => ("withdrawn", withdrawn(file, *acks)),
        ExchangeEvent::Untimely(messages) => (
            "waiting",
            json!({"for": null, "messages": messages, "size": null, "why": "clock"}),
        ),
        ExchangeEvent::Waiting {
            hop,
            messages,
            octets,
            why,
        } => (
            "waiting",
            json!({"for": hop, "messages": messages, "size": octets, "why": reason(*why)}),
        ),
        ExchangeEvent::Strangers {
            recipients,
            messages,
            not_shown,
            left,
        } => (
            "strangers",
            json!({"recipients": recipients, "messages": messages, "not_shown": not_shown, "left": left}),
        ),
        ExchangeEvent::Unexpected(path) => (
            "unexpected",
            json!({"what": path.to_string_lossy(), "more": null}),
        ),
        ExchangeEvent::MoreUnexpected { dir, more } => (
            "unexpected",
            json!({"what": dir.to_string_lossy(), "more": more}),
        ),
        ExchangeEvent::SetAside { what, error } => (
            "set-aside",
            json!({"what": what, "error": error.to_string()}),
        ),
        ExchangeEvent::Failed { what, error } => {
            ("failed", json!({"what": what, "error": error.to_string()}))
        }
    }
}

fn carried(file: &MediumFile) -> Value {
    json!({
        "file": file.to_string(),
        "kind": file.kind().word(),
        "recipient": file.recipient.to_string(),
        "sender": file.sender.to_string(),
        "size": file.len,
    })
}

fn withdrawn(file: &MediumFile, acks: usize) -> Value {
    json!({
        "file": file.to_string(),
        "recipient": file.recipient.to_string(),
        "acknowledgements": acks,
        "size": file.len,
    })
}

/// A message that was in cargo.
fn message(name: &Name, id: Option<&str>) -> Value {
    json!({
        "kind": name.identity.kind.word(),
        "recipient": name.identity.recipient.to_string(),
        "sender": name.identity.sender.to_string(),
        "id": id,
    })
}

fn reason(why: WaitReason) -> &'static str {
    match why {
        WaitReason::NoRoom => "room",
        WaitReason::NoWay => "no CCA",
        WaitReason::Ended => "CCA ended",
    }
}
