//! The output of relay-list for messages in queues.

use super::report;
use crate::describe::lines::{self, UnverifiedHeader};
use crate::node::peers::short_id;
use crate::pki::NodeId;
use crate::spool::Queue;
use crate::spool::queue::Waiting;
use crate::spool::state::Story;

/// Reads the header that a message claims; empty if another run has just moved the message.
///
/// # Errors
/// When the queue cannot be read. A bad file is only warned of.
pub fn read_header(message: &Waiting) -> anyhow::Result<UnverifiedHeader> {
    match message.read() {
        Ok(Some(octets)) => Ok(UnverifiedHeader::of(octets)),
        Ok(None) => Ok(UnverifiedHeader::default()),
        // One bad file does not keep the others from being listed.
        Err(error) if error.is_of_one_file() => {
            report::warn(&format!("{}: {error}", report::path(&message.path)));
            Ok(UnverifiedHeader::default())
        }
        Err(error) => Err(error.into()),
    }
}

/// The columns for a message; `short` abbreviates ids, for a terminal.
#[must_use]
pub fn columns(
    queue: &Queue,
    message: &Waiting,
    header: Option<&UnverifiedHeader>,
    short: bool,
) -> Vec<String> {
    let node = |id: NodeId| if short { short_id(id) } else { id.to_string() };
    let (name, identity) = (&message.name, &message.name.identity);
    let place = lines::queue_name(queue);
    let mut row = vec![
        match place.split_once('/') {
            // As many characters as `short_id` keeps.
            Some((folder, id)) if short => format!("{folder}/{}", id.get(..13).unwrap_or(id)),
            _ => place,
        },
        identity.kind.word().to_owned(),
        node(identity.recipient),
        node(identity.sender),
        name.expiry.to_string(),
        name.urgency().to_string(),
        name.to_string(),
    ];
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    if let Some(header) = header {
        row.extend([
            or_dash(header.id.as_deref().map(report::escaped)),
            or_dash(header.date.map(|date| date.to_string())),
            or_dash(header.len.map(|len| len.to_string())),
        ]);
    }
    row
}

/// The line for the state of a message: its state, since when, the nodes, and the hop of its last
/// event.
#[must_use]
pub fn story_row(story: &Story) -> String {
    let last = story.lines.last();
    let since = last.map_or_else(|| "-".to_owned(), |line| line.time.to_string());
    let to = last.and_then(|line| line.to.as_deref()).unwrap_or("-");
    let row = [
        story.state.word().to_owned(),
        since,
        story.recipient.to_string(),
        story.sender.to_string(),
        report::escaped(to),
    ];
    row.join("\t")
}
