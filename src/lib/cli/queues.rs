//! The output of relay-list for messages in queues.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::labels::Labels;
use super::status::{Reported, Status};
use super::{files, report};
use crate::describe::json;
use crate::describe::lines::{self, UnverifiedHeader};
use crate::spool::queue::Waiting;
use crate::spool::sent::SentEvent;
use crate::spool::state::{MessageState, Story};
use crate::spool::{self, Queue, Spool};

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

/// The columns for a message; with `labels`, for a terminal, nodes have their names there, and messages
/// the first digits of the digests of their ids.
#[must_use]
pub fn columns(
    queue: &Queue,
    message: &Waiting,
    header: Option<&UnverifiedHeader>,
    labels: Option<&mut Labels<'_>>,
) -> Vec<String> {
    let (name, identity) = (&message.name, &message.name.identity);
    let mut place = lines::queue_name(queue);
    let (mut to, mut from) = (identity.recipient.to_string(), identity.sender.to_string());
    let mut file = name.to_string();
    if let Some(labels) = labels {
        if let Some((folder, id)) = place.split_once('/')
            && let Ok(id) = id.parse()
        {
            place = format!("{folder}/{}", labels.label(id));
        }
        to = labels.label_or_self(identity.recipient);
        from = labels.label_or_self(identity.sender);
        file = identity.short();
    }
    let mut row = vec![
        place,
        identity.kind.word().to_owned(),
        to,
        from,
        name.expiry.to_string(),
        name.urgency().to_string(),
        file,
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
/// event; with `labels`, for a terminal, with the names of nodes.
fn story_row(story: &Story, labels: Option<&mut Labels<'_>>) -> String {
    let last = story.last();
    let since = last.map_or_else(|| "-".to_owned(), |line| line.time.to_string());
    let to = last.map_or("-", |line| match line.event {
        // The state says where to.
        SentEvent::Returned => line.event.word(),
        _ => line.to.as_deref().unwrap_or("-"),
    });
    let row = [
        story.state.word().to_owned(),
        since,
        story.recipient.to_string(),
        story.sender.to_string(),
        report::escaped(to),
    ];
    let row = row.join("\t");
    labels.map_or_else(|| row.clone(), |labels| labels.in_text(&row))
}

/// The states of the parts of one content in a line: `9 of 13 acknowledged, 4 out`.
fn parts_row(stories: &[Story]) -> String {
    let mut counts: Vec<(MessageState, usize)> = vec![(MessageState::Acknowledged, 0)];
    for story in stories {
        match counts.iter_mut().find(|(state, _)| *state == story.state) {
            Some((_, count)) => *count += 1,
            None => counts.push((story.state, 1)),
        }
    }
    let mut counts = counts.into_iter();
    let acknowledged = counts.next().map_or(0, |(_, count)| count);
    let mut row = format!("{acknowledged} of {} acknowledged", stories.len());
    for (state, count) in counts {
        let _ = write!(row, ", {count} {}", state.word());
    }
    row
}

/// Prints what became of the messages that a user means by this text. Of several, the least finished
/// one decides the status. Parts of one content have one line on a terminal, unless `-v` is given.
///
/// # Errors
/// That status, unless it is 0; when no message or several are meant, or the spool cannot be read.
pub fn tell(spool: &Spool, text: &str, now: Timestamp, json: bool) -> anyhow::Result<()> {
    let meant = spool.meant(text)?;
    let stories = spool.stories(&meant, now)?;
    let Some(first) = stories.first() else {
        return Err(spool::Error::UnknownMessage(text.to_owned()).into());
    };
    let is_terminal = files::is_terminal();
    let ends = |story: &Story| (story.recipient, story.sender);
    let is_one = meant.are_parts && stories.iter().all(|story| ends(story) == ends(first));
    if is_one && is_terminal && !json && !report::is_verbose() {
        files::print_line(&parts_row(&stories))?;
    } else {
        let mut labels = is_terminal.then(|| Labels::of(spool.owner()));
        for story in &stories {
            files::print_line(&if json {
                json::line(&lines::story(story))
            } else {
                story_row(story, labels.as_mut())
            })?;
        }
    }
    let told: Vec<Status> = stories.iter().map(status_of).collect();
    // From least to most finished; the first that occurs decides.
    let worst = [Status::TEMP_FAIL, Status::NO_USER, Status::EXPIRED];
    match worst.into_iter().find(|one| told.contains(one)) {
        Some(one) => Err(Reported(one).into()),
        None => Ok(()),
    }
}

fn status_of(story: &Story) -> Status {
    match story.state {
        MessageState::Acknowledged
        | MessageState::Released
        | MessageState::Accepted
        | MessageState::Posted => Status::OK,
        MessageState::In | MessageState::Out | MessageState::Home => Status::TEMP_FAIL,
        MessageState::Expired => Status::EXPIRED,
        MessageState::Failed | MessageState::Missing => Status::NO_USER,
    }
}
