//! The output of relay-status for people.

use jiff::{SignedDuration, Timestamp};

use super::report;
use super::tally::{counted, size};
use crate::node::succession::Succession;
use crate::spool::QueueId;
use crate::spool::hosts::HostState;
use crate::spool::served::{ServeCount, ServeNumbers};
use crate::upkeep::endings::Ending;
use crate::upkeep::status::{NodeStatus, QueueNumbers};

/// The digits of a medium's id that are shown, as of other ids.
const ID_DIGITS: usize = 16;

/// How many servers are shown.
const MAX_HOSTS: usize = 20;

/// The numbers of a node as aligned lines: of `in`, `failed` and each queue that is not empty, of
/// each medium and server, of what ends soon, of the disk, and of the clock if it is not believed.
#[must_use]
pub fn text(status: &NodeStatus) -> String {
    let now = status.now;
    let mut rows: Vec<Vec<String>> = Vec::new();
    for queue in &status.queues {
        let is_shown = matches!(queue.place, QueueId::In | QueueId::Failed);
        if is_shown || queue.messages > 0 {
            rows.push(queue_row(queue, now));
        }
    }
    for (medium, last) in &status.media {
        let id: String = medium.chars().take(ID_DIGITS).collect();
        rows.push(vec![
            "medium".to_owned(),
            report::escaped(&id),
            format!("last exchange {}", ago(now, last.date)),
            format!("took {}, gave {}", last.taken, last.given),
        ]);
    }
    rows.extend(host_rows(&status.hosts, now));
    rows.extend(status.serve.as_ref().map(|serve| serve_row(serve, now)));
    for ending in status.due_endings() {
        rows.push(vec![
            "keys".to_owned(),
            format!("{} ({})", ends(ending, now), ending.remedy()),
        ]);
    }
    for waiting in &status.successions {
        let text = format!("{} ({})", waiting.text, Succession::remedy(&waiting.peer));
        rows.push(vec!["successor".to_owned(), report::escaped(&text)]);
    }
    rows.extend(status.free.map(|free| {
        let amiss = if free < status.reserve {
            format!(", less than the reserve of {}", size(status.reserve))
        } else {
            String::new()
        };
        vec!["disk".to_owned(), format!("{} free{amiss}", size(free))]
    }));
    rows.extend(status.doubt.iter().map(|doubt| {
        let text = format!("not believed: {}", report::escaped(doubt));
        vec!["clock".to_owned(), text]
    }));
    aligned(&rows)
}

/// What the server of this node does.
fn serve_row(numbers: &ServeNumbers, now: Timestamp) -> Vec<String> {
    let get = |count| numbers.get(count);
    let refused = [
        ServeCount::Malformed,
        ServeCount::Refused,
        ServeCount::Unregistered,
        ServeCount::Busy,
        ServeCount::Full,
    ];
    let refused: u64 = refused.into_iter().map(get).sum();
    let state = if numbers.is_fresh(now) || numbers.is_running {
        let news = if numbers.is_fresh(now) {
            String::new()
        } else {
            format!(", which last said so {}", ago(now, numbers.at))
        };
        let (connections, collections) = (
            get(ServeCount::OpenConnections),
            get(ServeCount::OpenCollections),
        );
        format!("{connections} connections, {collections} collections{news}")
    } else {
        format!("not running, last seen {}", ago(now, numbers.at))
    };
    let (stored, collected) = (get(ServeCount::Stored), get(ServeCount::Collected));
    let since = words(now.duration_since(numbers.since));
    vec![
        "serve".to_owned(),
        state,
        format!("in {since}: stored {stored}, collected {collected}, refused {refused}"),
    ]
}

/// The servers on the network, those that fail first: a node that posts to endpoints meets very many.
fn host_rows(hosts: &[HostState], now: Timestamp) -> Vec<Vec<String>> {
    let mut hosts: Vec<&HostState> = hosts.iter().collect();
    hosts.sort_by_key(|host| host.failures == 0);
    let shown = hosts.iter().take(MAX_HOSTS).map(|host| {
        let address = report::escaped(&host.address);
        vec!["server".to_owned(), address, reached(host, now)]
    });
    let mut rows: Vec<Vec<String>> = shown.collect();
    if hosts.len() > MAX_HOSTS {
        let others = counted(hosts.len() - MAX_HOSTS, "other", "others");
        rows.push(vec!["server".to_owned(), others]);
    }
    rows
}

/// When a server was reached, or since when it is not, and why.
fn reached(host: &HostState, now: Timestamp) -> String {
    if host.failures == 0 {
        let last = host.last_success.map(|at| ago(now, at));
        return last.map_or_else(
            || "not tried yet".to_owned(),
            |ago| format!("reached {ago}"),
        );
    }
    // The first failure has no time if the clock was ahead then.
    let since = host.failing_since.map(|at| now.duration_since(at));
    let since = since.map_or_else(String::new, |since| format!(" for {}", words(since)));
    let why = host.last_error.as_deref().unwrap_or("no reason is known");
    // What a server says is no failure of the network, and neither is a missing setting.
    let what = if host.is_answered || host.remedy.is_some() {
        "no success"
    } else {
        "not reached"
    };
    let remedy = host.remedy.as_ref();
    let remedy = remedy.map_or_else(String::new, |remedy| format!(" ({remedy})"));
    report::escaped(&format!("{what}{since}: {why}{remedy}"))
}

fn queue_row(queue: &QueueNumbers, now: Timestamp) -> Vec<String> {
    let place = match &queue.peer {
        Some(peer) => format!("{}/{}", queue.place.folder(), report::escaped(peer)),
        None => queue.place.folder().to_owned(),
    };
    if queue.messages == 0 {
        return vec![place, "0".to_owned()];
    }
    let oldest = queue.oldest.map(|at| now.duration_since(at));
    let oldest = oldest.map_or_else(
        || "of no date".to_owned(),
        |age| format!("oldest {}", age_of(age)),
    );
    let next = queue.next_expiry.map(|at| at.duration_since(now));
    let next = next.map_or_else(
        || "all expired".to_owned(),
        |left| format!("next expiry in {}", words(left)),
    );
    vec![
        place,
        counted(queue.messages, "message", "messages"),
        size(queue.octets),
        oldest,
        next,
    ]
}

/// When something ends, in words.
#[must_use]
pub fn ends(ending: &Ending, now: Timestamp) -> String {
    let what = format!("{} {}", ending.kind.phrase(), report::escaped(&ending.peer));
    match ending.end() {
        None if ending.is_revoked => format!("{what} is revoked"),
        None => format!("{what} has ended"),
        Some(end) if end < now => format!("{what} ended {} ago", words(now.duration_since(end))),
        Some(end) => format!("{what} ends in {}", words(end.duration_since(now))),
    }
}

fn ago(now: Timestamp, at: Timestamp) -> String {
    let since = now.duration_since(at);
    if since.is_negative() {
        format!("at {at}, which is still to come")
    } else {
        format!("{} ago", words(since))
    }
}

fn age_of(age: SignedDuration) -> String {
    if age.is_negative() {
        "from a time still to come".to_owned()
    } else {
        words(age)
    }
}

/// A duration in its two largest units.
#[must_use]
pub fn words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let units = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let first = units.iter().position(|(len, _)| seconds >= *len);
    let Some(first) = first else {
        return "0s".to_owned();
    };
    let (len, unit) = units[first];
    let rest = units
        .get(first + 1)
        .map(|(next, unit)| (seconds % len / next, unit));
    match rest {
        Some((more, next)) if more > 0 => format!("{}{unit} {more}{next}", seconds / len),
        _ => format!("{}{unit}", seconds / len),
    }
}

/// The rows with their columns below each other; the last column of a row sets no width.
fn aligned(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        let columns = &row[..row.len() - 1];
        for (at, column) in columns.iter().enumerate() {
            let width = column.chars().count();
            match widths.get_mut(at) {
                Some(known) => *known = width.max(*known),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        let last = row.len() - 1;
        for (column, width) in row[..last].iter().zip(&widths) {
            text.push_str(column);
            let gap = width + 3 - column.chars().count();
            text.extend(std::iter::repeat_n(' ', gap));
        }
        text.push_str(&row[last]);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        for (seconds, text) in [
            (-5, "0s"),
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (61, "1m 1s"),
            (3600, "1h"),
            (3659, "1h"),
            (187_200, "2d 4h"),
            (86_400 * 400 + 59, "400d"),
        ] {
            assert_eq!(words(SignedDuration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn columns_are_below_each_other() {
        let row = |row: &[&str]| row.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let rows = [
            row(&["é", "b", "c"]),
            row(&["aa", "long last"]),
            row(&["x", "yy", "z"]),
        ];
        assert_eq!(aligned(&rows), "é    b    c\naa   long last\nx    yy   z\n");
    }
}
