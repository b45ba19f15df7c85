//! Where messages are that are not found at a node: at another node of the same gateway, or not
//! routed yet.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::{report, tally};
use crate::node::endpoints::{self, Local};
use crate::node::{Directory, peers::short_id};
use crate::pki::NodeId;
use crate::spool::queue::Waiting;
use crate::spool::{Queue, QueueId, Spool};

/// The most messages that are counted.
const MOST: usize = 1000;

/// A message that came in less long ago is not reported off a terminal: another job routes it soon.
const SOON: SignedDuration = SignedDuration::from_mins(10);

/// Warns of messages that wait elsewhere, after a run that found none for the node. Errors are
/// passed over: the run itself has not failed.
pub fn tell_what_waits(spool: &Spool, node: &Directory, now: Timestamp) {
    let gateway = spool.owner();
    let mut here = vec![node.id()];
    if gateway.id() == node.id() {
        for local in endpoints::local(gateway).unwrap_or_default() {
            here.push(local.id);
            let waiting = count(&spool.queue(QueueId::Home(local.id)), |_| true);
            if let Some(waiting) = waiting {
                let (name, root) = (&local.name, report::path(&root_of(gateway, &local)));
                report::warn(&format!(
                    "{waiting} for {name}: relay-deliver -N {root} delivers them"
                ));
            }
        }
    }
    let is_old = |message: &Waiting| {
        let stored = message.stored().ok().flatten();
        stored.is_some_and(|stored| now.duration_since(stored) > SOON)
    };
    let is_watched = std::io::stderr().is_terminal();
    let waiting = count(&spool.queue(QueueId::In), |message| {
        here.contains(&message.name.identity.recipient) && (is_watched || is_old(message))
    });
    if let Some(waiting) = waiting {
        let root = if spool.is_guest() {
            String::new()
        } else {
            format!(" -N {}", report::path(gateway.root()))
        };
        report::warn(&format!(
            "{waiting} in the queue in: relay-route{root} brings them home"
        ));
    }
}

/// The directory of the node at the same gateway that has this id: another endpoint, or the gateway.
#[must_use]
pub fn directory_of(node: &Directory, id: NodeId) -> Option<PathBuf> {
    let spool = Spool::shared_with(Directory::open(node.root()).ok()?).ok()?;
    let gateway = spool.owner();
    if gateway.id() == id && id != node.id() {
        return Some(gateway.root().to_owned());
    }
    let locals = endpoints::local(gateway).ok()?;
    let local = locals.iter().find(|local| local.id == id)?;
    Some(root_of(gateway, local))
}

fn root_of(gateway: &Directory, local: &Local) -> PathBuf {
    let name = &local.name;
    endpoints::path_of(gateway, name).unwrap_or_else(|_| PathBuf::from(short_id(local.id)))
}

/// "3 messages wait", unless there is none.
fn count(queue: &Queue, is_wanted: impl Fn(&Waiting) -> bool) -> Option<String> {
    let messages = queue.messages().ok()?;
    let wanted = messages.flatten().filter(is_wanted);
    match wanted.take(MOST).count() {
        0 => None,
        MOST => Some(format!("{MOST} messages or more wait")),
        count => Some(tally::counted(count, "message waits", "messages wait")),
    }
}
