//! Joined content, as JSON.

use serde_json::{Value, json};

use super::VERSION;
use crate::asn1::Hex;
use crate::message::parts::Ledger;
use crate::transfer::joiner::Transfer;

/// The facts about content before it is stored: `path` and `error` are null.
#[must_use]
pub fn transfer(transfer: &Transfer) -> Value {
    let ledger = transfer.ledger();
    json!({
        "v": VERSION,
        "transfer": transfer.id.to_string(),
        "name": transfer.name,
        "path": null,
        "size": ledger.and_then(Ledger::len),
        "sha256": ledger.and_then(Ledger::sha256).map(|digest| Hex(digest).to_string()),
        "parts": ledger.and_then(Ledger::parts),
        "received": ledger.map(Ledger::received),
        "missing": ledger.map(|ledger| ledger.missing().ranges().collect::<Vec<_>>()),
        "error": null,
    })
}
