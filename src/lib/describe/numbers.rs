//! The numbers of a node as JSON: relay-json(5).

use serde_json::{Map, Value, json};

use super::VERSION;
use crate::spool::sent::SentEvent;
use crate::spool::served::ServeNumbers;
use crate::upkeep::status::{NodeStatus, QueueNumbers};

/// The numbers of a node and its spool.
#[must_use]
pub fn numbers(status: &NodeStatus) -> Value {
    let media = status.media.iter().map(|(medium, last)| {
        json!({
            "medium": medium,
            "date": last.date.to_string(),
            "taken": last.taken,
            "given": last.given,
            "waiting": last.waiting,
            "failed": last.failed,
        })
    });
    let hosts = status.hosts.iter().map(|host| {
        json!({
            "address": host.address,
            "last_success": host.last_success.map(|at| at.to_string()),
            "failures": host.failures,
            "failing_since": host.failing_since.map(|at| at.to_string()),
            "next_try": host.next_try.map(|at| at.to_string()),
            "error": host.last_error,
            "hint": host.remedy,
        })
    });
    let endings = status.counted_endings().map(|ending| {
        json!({
            "kind": ending.kind.word(),
            "peer": ending.peer,
            "end": ending.end().map(|end| end.to_string()),
        })
    });
    let successors = status.successions.iter().map(|waiting| {
        json!({
            "peer": waiting.peer,
            "waiting": waiting.ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "contested": waiting.is_contested,
        })
    });
    let events = SentEvent::ALL.iter().zip(status.events);
    let events: Map<String, Value> = events
        .map(|(event, count)| (event.word().to_owned(), count.into()))
        .collect();
    json!({
        "v": VERSION,
        "time": status.now.to_string(),
        "clock_doubted": status.doubt,
        "queues": status.queues.iter().map(queue).collect::<Vec<_>>(),
        "media": media.collect::<Vec<_>>(),
        "hosts": hosts.collect::<Vec<_>>(),
        "serve": status.serve.as_ref().map(serve),
        "endings": endings.collect::<Vec<_>>(),
        "successors": successors.collect::<Vec<_>>(),
        "events_last_day": events,
        "disk_free": status.free,
        "reserve": status.reserve,
    })
}

fn queue(queue: &QueueNumbers) -> Value {
    json!({
        "queue": queue.place.path().to_string_lossy(),
        "peer": queue.peer,
        "messages": queue.messages,
        "size": queue.octets,
        "oldest": queue.oldest.map(|at| at.to_string()),
        "next_expiry": queue.next_expiry.map(|at| at.to_string()),
    })
}

fn serve(numbers: &ServeNumbers) -> Value {
    let oldest = numbers.oldest.iter();
    let oldest: Map<String, Value> = oldest
        .map(|(node, at)| (node.to_string(), at.to_string().into()))
        .collect();
    json!({
        "running": numbers.is_running,
        "since": numbers.since.to_string(),
        "written": numbers.at.to_string(),
        "counts": numbers.counts(),
        "oldest": oldest,
    })
}
