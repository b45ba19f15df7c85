//! Requests for cargo on their way into the queue of the gateway that made them.

use jiff::Timestamp;

use crate::disk::publish::{self, IfExists, PublishOptions};
use crate::disk::{FileRole, files};
use crate::medium::Error;
use crate::message::Item;
use crate::pki::NodeId;
use crate::receive::ReceiveOptions;
use crate::spool::queue::Waiting;
use crate::spool::{Name, QueueId, Spool, Time};

/// Stores a request that was opened, in place of earlier ones, unless a later one of the same gateway waits. `report`
/// gets those that cannot be read. Whether it was stored.
///
/// # Errors
/// When it cannot be stored, or the queue cannot be listed.
pub fn store_request(
    spool: &Spool,
    (sender, date): (NodeId, Timestamp),
    octets: Vec<u8>,
    (terms, time): (&ReceiveOptions, &Time),
    report: &mut dyn FnMut(&Waiting, Error),
) -> Result<bool, Error> {
    let queue = spool.make(QueueId::Cca(sender))?;
    let cca = Item::parse(octets)?;
    let name = Name::of(&cca, terms.now);
    let mut older = Vec::new();
    for held in queue.messages()? {
        let held = held?;
        if held.name.identity == name.identity {
            continue;
        }
        match date_of(&held) {
            // A CCA dated in the future was made or accepted under a wrong clock, and does not count as newer.
            Ok(Some(other)) if other > date && !terms.window.is_before(other) => {
                return Ok(false);
            }
            Ok(_) if time.is_believed() => older.push(held.path),
            Ok(_) => {}
            // An unreadable CCA does not keep a new one out, but somebody should look at it.
            Err(error) => report(&held, error),
        }
    }
    let tmp = spool.tmp();
    let manner = PublishOptions::stored(FileRole::Spool, IfExists::SameIsSuccess).written_in(&tmp);
    publish::publish(&queue.path_of(&name), &[cca.octets()], &manner)?;
    // Older CCAs go only after the new one is stored.
    for path in older {
        files::remove(&path, FileRole::Spool)?;
    }
    Ok(true)
}

/// The date of a waiting CCA; `None` if it is gone or malformed.
fn date_of(waiting: &Waiting) -> Result<Option<Timestamp>, Error> {
    let Some(octets) = waiting.read()? else {
        return Ok(None);
    };
    let item = Item::parse(octets).ok();
    Ok(item
        .as_ref()
        .and_then(Item::message)
        .map(|message| message.fields().date))
}
