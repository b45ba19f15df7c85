//! The numbers of a node as gauges in Prometheus's text format 0.0.4, for the textfile
//! collector of its `node_exporter`: that refuses timestamps, so the time of the run is a gauge of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;

use crate::message::file_name::is_harmful;
use crate::spool::QueueId;
use crate::spool::sent::SentEvent;
use crate::spool::served::ServeCount;
use crate::upkeep::status::{NodeStatus, QueueNumbers};

/// Maximum number of values of a label that others choose: each is a time series, which a server
/// keeps in memory.
const MAX_VALUES: usize = 1000;

/// The value of a label under which the rest is counted.
const OTHERS: &str = "others";

/// The numbers of a node and its spool.
#[must_use]
pub fn metrics(status: &NodeStatus) -> String {
    let mut metrics = Metrics::default();
    queues(&mut metrics, status);
    metrics.gauge(
        "relay_failed_messages",
        "Messages that were set aside.",
        [(labels(&[]), integer(status.failed()))],
    );
    media(&mut metrics, status);
    hosts(&mut metrics, status);
    serve(&mut metrics, status);
    endings(&mut metrics, status);
    metrics.gauge(
        "relay_successors_waiting",
        "Nodes that claim to take the place of a peer, until a person compares digits.",
        [(
            labels(&[]),
            integer(
                status
                    .successions
                    .iter()
                    .map(|it| it.ids.len())
                    .sum::<usize>(),
            ),
        )],
    );
    let events = SentEvent::ALL.iter().zip(status.events);
    metrics.gauge(
        "relay_events_last_day",
        "Events of messages in the last 24 hours.",
        events.map(|(event, count)| (labels(&[("event", event.word())]), integer(count))),
    );
    metrics.gauge(
        "relay_disk_free_bytes",
        "Free space on the file system of the spool.",
        status.free.map(|free| (labels(&[]), integer(free))),
    );
    metrics.gauge(
        "relay_disk_reserve_bytes",
        "Space that is kept free there.",
        [(labels(&[]), integer(status.reserve))],
    );
    metrics.gauge(
        "relay_clock_doubted",
        "Whether the clock is not believed, so that nothing expires.",
        [(labels(&[]), i64::from(status.doubt.is_some()))],
    );
    metrics.gauge(
        "relay_status_run_timestamp_seconds",
        "When these numbers were collected.",
        [(labels(&[]), status.now.as_second())],
    );
    metrics.text
}

/// Of all queues with the same labels.
#[derive(Default)]
struct Sum {
    messages: i64,
    octets: i64,
    oldest: Option<Timestamp>,
    next_expiry: Option<Timestamp>,
}

fn queues(metrics: &mut Metrics, status: &NodeStatus) {
    let peers = status.queues.iter().filter_map(|it| it.peer.as_deref());
    let known = LabelValues::of(peers);
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    // What was set aside waits for nothing, and is a gauge of its own.
    let waiting = |it: &&QueueNumbers| it.place != QueueId::Failed;
    for queue in status.queues.iter().filter(waiting) {
        let peer = queue.peer.as_deref().map(|peer| known.value(peer));
        let peer = peer.unwrap_or_default();
        let sum = sums
            .entry(labels(&[("queue", queue.place.folder()), ("peer", &peer)]))
            .or_default();
        sum.messages += integer(queue.messages);
        sum.octets += integer(queue.octets);
        sum.oldest = earlier(sum.oldest, queue.oldest);
        sum.next_expiry = earlier(sum.next_expiry, queue.next_expiry);
    }
    let all = |value: &dyn Fn(&Sum) -> Option<i64>| -> Vec<(String, i64)> {
        let values = sums.iter();
        let values = values.filter_map(|(labels, sum)| Some((labels.clone(), value(sum)?)));
        values.collect()
    };
    metrics.gauge(
        "relay_queue_messages",
        "Messages in a queue.",
        all(&|sum| Some(sum.messages)),
    );
    metrics.gauge(
        "relay_queue_bytes",
        "Size of the messages in a queue.",
        all(&|sum| Some(sum.octets)),
    );
    metrics.gauge(
        "relay_queue_oldest_timestamp_seconds",
        "When the oldest message in a queue was stored.",
        all(&|sum| sum.oldest.map(Timestamp::as_second)),
    );
    metrics.gauge(
        "relay_queue_next_expiry_timestamp_seconds",
        "When the first message that has not expired expires.",
        all(&|sum| sum.next_expiry.map(Timestamp::as_second)),
    );
}

fn media(metrics: &mut Metrics, status: &NodeStatus) {
    let known = LabelValues::of(status.media.iter().map(|(medium, _)| medium.as_str()));
    let dates = status.media.iter().map(|(medium, last)| {
        let medium = known.value(medium);
        (labels(&[("medium", &medium)]), last.date.as_second())
    });
    metrics.gauge(
        "relay_medium_last_sync_timestamp_seconds",
        "When this node and the medium last exchanged messages.",
        earliest(dates),
    );
}

fn hosts(metrics: &mut Metrics, status: &NodeStatus) {
    let known = LabelValues::of(status.hosts.iter().map(|host| host.address.as_str()));
    let of = |address: &str| labels(&[("host", &known.value(address))]);
    let successes = status.hosts.iter().filter_map(|host| {
        let at = host.last_success?.as_second();
        Some((of(&host.address), at))
    });
    metrics.gauge(
        "relay_host_last_success_timestamp_seconds",
        "When a server on the network last did what it was asked for.",
        earliest(successes),
    );
    let mut failures: BTreeMap<String, i64> = BTreeMap::new();
    for host in &status.hosts {
        *failures.entry(of(&host.address)).or_default() += i64::from(host.failures);
    }
    metrics.gauge(
        "relay_host_failures",
        "How often a server on the network failed since then.",
        failures,
    );
}

/// What the server did. The counts since its start begin anew with it, which its start tells.
fn serve(metrics: &mut Metrics, status: &NodeStatus) {
    let Some(numbers) = &status.serve else {
        return;
    };
    let one = |value| [(labels(&[]), value)];
    metrics.gauge(
        "relay_serve_running",
        "Whether relay-serve runs.",
        one(i64::from(numbers.is_running)),
    );
    metrics.gauge(
        "relay_serve_start_timestamp_seconds",
        "When relay-serve was started.",
        one(numbers.since.as_second()),
    );
    metrics.gauge(
        "relay_serve_written_timestamp_seconds",
        "When relay-serve last wrote its numbers.",
        one(numbers.at.as_second()),
    );
    let counts = ServeCount::ALL.iter().map(|count| {
        let labels = labels(&[("what", count.word())]);
        (labels, integer(numbers.get(*count)))
    });
    metrics.gauge(
        "relay_serve_count",
        "What relay-serve counted since its start, or what is open now.",
        counts,
    );
}

fn endings(metrics: &mut Metrics, status: &NodeStatus) {
    let known = LabelValues::of(status.counted_endings().map(|ending| ending.peer.as_str()));
    let ends = status.counted_endings().filter_map(|ending| {
        let peer = known.value(&ending.peer);
        let labels = labels(&[("kind", ending.kind.word()), ("peer", &peer)]);
        Some((labels, ending.end()?.as_second()))
    });
    metrics.gauge(
        "relay_certificate_not_after_timestamp_seconds",
        "When an authorization or registration with a peer ends and has to be renewed.",
        earliest(ends),
    );
}

/// The earliest of the times with the same labels, since that one needs attention first.
fn earliest(times: impl Iterator<Item = (String, i64)>) -> BTreeMap<String, i64> {
    let mut earliest: BTreeMap<String, i64> = BTreeMap::new();
    for (labels, time) in times {
        let first = earliest.entry(labels).or_insert(time);
        *first = time.min(*first);
    }
    earliest
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn integer<T: TryInto<i64>>(number: T) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// The values of a label that are told apart.
struct LabelValues(BTreeSet<String>);

impl LabelValues {
    /// The first of these by their names: the same ones in each run, so that no series comes and goes.
    fn of<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let all: BTreeSet<String> = values.map(harmless).collect();
        Self(all.into_iter().take(MAX_VALUES).collect())
    }

    fn value(&self, value: &str) -> String {
        let value = harmless(value);
        if self.0.contains(&value) {
            value
        } else {
            OTHERS.to_owned()
        }
    }
}

/// A name in which nothing changes how a terminal shows it; [`labels`] escapes newlines.
fn harmless(name: &str) -> String {
    let shown = |character| match character {
        '\n' => '\n',
        character if is_harmful(character) => char::REPLACEMENT_CHARACTER,
        character => character,
    };
    name.chars().map(shown).collect()
}

/// The labels of a sample, in braces; empty without any.
fn labels(labels: &[(&str, &str)]) -> String {
    let escaped = |value: &str| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        value.replace('\n', "\\n")
    };
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    if labels.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", labels.join(","))
    }
}

#[derive(Default)]
struct Metrics {
    text: String,
}

impl Metrics {
    /// Adds a gauge with its samples; nothing without any.
    fn gauge(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (String, i64)>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(self.text, "{name}{labels} {value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_bounded() {
        assert_eq!(labels(&[]), "");
        let hostile = "a\\b\"c\nd\u{1b}[2Jé\u{202e}";
        let found = labels(&[("peer", &harmless(hostile))]);
        assert_eq!(found, "{peer=\"a\\\\b\\\"c\\nd\u{fffd}[2Jé\u{fffd}\"}");
        let names: Vec<String> = (0..1002).map(|number| format!("{number:04}")).collect();
        let known = LabelValues::of(names.iter().map(String::as_str));
        assert_eq!(known.value("0999"), "0999");
        assert_eq!(known.value("1000"), "others");
        assert_eq!(known.value("1001"), "others");
    }

    #[test]
    fn the_earliest_of_equal_labels_counts() {
        let times = [("a", 3), ("b", 1), ("a", 2)];
        let times = times.map(|(labels, time)| (labels.to_owned(), time));
        let expected = BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]);
        assert_eq!(earliest(times.into_iter()), expected);
    }
}
