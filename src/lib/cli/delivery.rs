//! Reports the result of relay-deliver for each message.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use super::aside::{AsideMessage, AsideReport};
use super::input_ref::InputRef as Input;
use super::outcome::Outcome;
use super::tally::{self, ENDED_EARLY};
use super::{files, labels, progress, report, successors};
use crate::deliver::{Content, DeliveryEffect, DeliveryOutcome, Error, MessageHead, PartsLeft};
use crate::describe::{VERSION, json, lines};
use crate::disk::{self, FileRole};
use crate::node::Directory;
use crate::pki::NodeId;
use crate::spool::Time;
use crate::transfer::join;

/// Reports the results of a run, each as it comes.
#[derive(Debug)]
pub struct DeliveryReport<'a> {
    outcome: Outcome,
    node: &'a Directory,
    now: Timestamp,
    asides: AsideReport<'a>,
    /// Senders without a name, of whom it is known whether theirs cannot be read.
    nameless: BTreeSet<NodeId>,
    is_dry: bool,
    json: bool,
    /// Whether a message waited, be it a part.
    is_used: bool,
    not_kept: usize,
    /// Notices of peers that name a successor.
    notices: usize,
    delivered: usize,
    imported: usize,
    aside: usize,
    left: usize,
    /// Parts that were delivered as they are.
    parts: usize,
    /// The folders that took nothing, each with the reason, and how many messages waited for it
    /// after the first.
    folders: BTreeMap<(PathBuf, String), usize>,
}

impl<'a> DeliveryReport<'a> {
    /// Starts without results. A dry run prints a line for each message.
    #[must_use]
    pub fn new(node: &'a Directory, time: &Time, is_dry: bool, json: bool) -> Self {
        let mut outcome = Outcome::default();
        outcome.doubt(time);
        Self {
            outcome,
            node,
            now: time.told,
            asides: AsideReport::of(node),
            nameless: BTreeSet::new(),
            is_dry,
            json,
            is_used: false,
            not_kept: 0,
            notices: 0,
            delivered: 0,
            imported: 0,
            aside: 0,
            left: 0,
            parts: 0,
            folders: BTreeMap::new(),
        }
    }

    /// Gives hints for a node in the spool of another user, if it `is_guest`.
    #[must_use]
    pub fn for_guest(mut self, is_guest: bool) -> Self {
        self.asides.is_guest = is_guest;
        self
    }

    /// Reports the result for one message. A message that was set aside is warned of and does not
    /// count as a failure.
    ///
    /// # Errors
    /// As [`Outcome::done`], and an error that stops every message from being delivered.
    pub fn add(&mut self, delivered: DeliveryOutcome) -> anyhow::Result<()> {
        self.is_used = true;
        // The bar counts messages, and each part was one.
        if !delivered.is_joined {
            progress::step();
        }
        if self.is_dry {
            return files::print(&decision(&delivered, self.json));
        }
        self.count(&delivered);
        // Reported once for all messages at the end of the run.
        if delivered.is_untimely {
            self.outcome.wait_for_clock(1);
            return Ok(());
        }
        if !matches!(delivered.result, Ok(DeliveryEffect::Part)) {
            self.outcome.take(); // parts count as what they make
        }
        let input = report::path(&delivered.path);
        let content = delivered.content.as_ref();
        match &delivered.result {
            Ok(DeliveryEffect::Delivered(path)) => {
                self.look_for_name(content);
                event("delivered", content, path.as_deref());
                self.parts += usize::from(content.is_some_and(Content::is_part));
                if self.json {
                    files::print_line(&json::line(&lines::delivered(&delivered)))?;
                }
            }
            Ok(DeliveryEffect::Imported) => event("imported", content, None),
            Ok(DeliveryEffect::NotKept) => {
                self.not_kept += 1;
                event("not-kept", content, None);
            }
            Ok(DeliveryEffect::Successor(fate)) => {
                self.notices += 1;
                event("imported", content, None);
                if let Some(sender) = content.map(|content| content.sender) {
                    successors::came(self.node, sender, *fate, self.now)?;
                }
            }
            Ok(DeliveryEffect::Ignored) => event("ignored", content, None),
            Ok(DeliveryEffect::Repeated) => report::event("repeated", &[("file", &input)]),
            Err(_) | Ok(DeliveryEffect::Left | DeliveryEffect::Part) => {}
        }
        match delivered.result {
            // A full or missing destination fails for all other messages, too.
            Err(error) if error.is_of_destination() => Err(labelled(error)),
            Err(error) if !delivered.is_aside => {
                let (path, head) = (&delivered.path, delivered.head.as_ref());
                let message = aside_message(path, head, delivered.content.as_ref());
                let label = self.asides.label(path, message.as_ref(), &error);
                self.failed(&Input::named(label), error)
            }
            Err(error) => {
                self.set_aside(
                    &delivered.path,
                    delivered.head.as_ref(),
                    content,
                    &error.into(),
                );
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    fn set_aside(
        &mut self,
        path: &Path,
        head: Option<&MessageHead>,
        content: Option<&Content>,
        why: &anyhow::Error,
    ) {
        if let Some(message) = aside_message(path, head, content) {
            self.asides.set_aside(&message, why);
        }
    }

    /// Warns, once in a run, that the name of a sender cannot be read: its content has the id instead,
    /// in its folder or its mail.
    fn look_for_name(&mut self, content: Option<&Content>) {
        let Some(content) = content.filter(|content| content.peer.is_none()) else {
            return;
        };
        if self.nameless.insert(content.sender)
            && let Err(error) = self.node.peer(content.sender)
        {
            let label = content.label();
            report::warn(&format!("{error}: {label} is named by its id"));
        }
    }

    fn count(&mut self, delivered: &DeliveryOutcome) {
        match &delivered.result {
            Ok(DeliveryEffect::Delivered(_)) => self.delivered += 1,
            Ok(DeliveryEffect::Imported) => self.imported += 1,
            // A part may yet be joined in this run.
            Ok(
                DeliveryEffect::Part
                | DeliveryEffect::NotKept
                | DeliveryEffect::Successor(_)
                | DeliveryEffect::Ignored
                | DeliveryEffect::Repeated,
            ) => {}
            Err(_) if delivered.is_aside => self.aside += 1,
            Ok(DeliveryEffect::Left) | Err(_) => self.left += 1,
        }
    }

    /// The counts as the last line of a run's JSON. `left` is unknown after a run that ended early.
    fn facts(&self, left: Option<&PartsLeft>) -> Value {
        serde_json::json!({
            "v": VERSION,
            "event": "summary",
            "delivered": self.delivered,
            "imported": self.imported,
            "set_aside": self.aside,
            "waiting": self.left,
            "parts_waiting": left.map(|left| left.parts),
            "contents_waiting": left.map(|left| left.contents),
        })
    }

    /// The counts in words.
    fn sentence(&self, left: Option<&PartsLeft>) -> String {
        let mut parts = Vec::new();
        if self.delivered > 0 {
            parts.push(format!("delivered {}", self.delivered));
        }
        if self.imported > 0 {
            let what = tally::counted(self.imported, "authorization", "authorizations");
            parts.push(format!("imported {what}"));
        }
        if self.notices > 0 {
            let what = tally::counted(self.notices, "successor notice", "successor notices");
            parts.push(format!("took {what}"));
        }
        if self.aside > 0 {
            parts.push(format!("set {} aside", self.aside));
        }
        if self.left > 0 {
            let wait = if self.left == 1 { "waits" } else { "wait" };
            parts.push(format!("{} {wait}", self.left));
        }
        if let Some(left) = left.filter(|left| left.contents > 0) {
            let wait = if left.parts == 1 { "waits" } else { "wait" };
            let what = tally::counted(left.parts, "part", "parts");
            let of = tally::counted(left.contents, "content", "contents");
            parts.push(format!("{what} of {of} {wait} for the rest"));
        }
        match (parts.is_empty(), left.is_some()) {
            (false, true) => parts.join(", "),
            (true, true) => "nothing to deliver".to_owned(),
            (false, false) => format!("{}; {ENDED_EARLY}", parts.join(", ")),
            (true, false) => format!("delivered nothing; {ENDED_EARLY}"),
        }
    }

    /// Reports the error of one message. What a folder refuses, it refuses for each message that
    /// belongs there, and is reported once.
    fn failed(&mut self, input: &Input, error: Error) -> anyhow::Result<()> {
        if let Error::Disk(cause) = &error
            && cause.role() == FileRole::Delivery
            && !matches!(
                cause,
                disk::Error::Exists { .. } | disk::Error::NotRegular { .. }
            )
        {
            let path = cause.path();
            let parent = path.parent().filter(|_| !path.is_dir());
            let folder = parent.unwrap_or(path).to_owned();
            let told = self.folders.entry((folder, cause.to_string()));
            if let Entry::Occupied(mut more) = told {
                *more.get_mut() += 1;
                self.outcome.count(input, &labelled(error));
                return Ok(());
            }
            told.or_insert(0);
        }
        self.outcome.done(input, Err(labelled(error)))
    }

    /// Whether no message waited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.is_used
    }

    /// Reports what is reported once for all messages, and what was done for this node, also by a run
    /// that `ended` early. If it did not, that gives what it leaves of contents in parts.
    ///
    /// # Errors
    /// That of the run, else the status that all failures add up to, unless it is 0; the output cannot
    /// be written.
    pub fn finish(mut self, node: NodeId, ended: anyhow::Result<PartsLeft>) -> anyhow::Result<()> {
        for ((folder, why), more) in std::mem::take(&mut self.folders) {
            if more > 0 {
                let folder = report::path(&folder);
                report::error(&format!("{folder}: {why}: {more} more messages wait"));
            }
        }
        if self.not_kept > 0 {
            report::warn(&format!(
                "too many unknown senders wrote today: {} of their authorizations are not kept",
                self.not_kept
            ));
        }
        if self.parts > 0 {
            report::warn(&format!(
                "{} of these are parts of larger content: relay-join puts them together",
                self.parts
            ));
        }
        let ended = ended.and_then(|mut left| match left.left_out.take() {
            Some(left_out) => {
                // Reported as one input: the parts come from any number of messages.
                let queue = Input::named(format!("home/{node}"));
                let error = Error::TooManyParts(left_out);
                self.outcome.done(&queue, Err(error.into()))?;
                Ok(left)
            }
            None => Ok(left),
        });
        let left = ended.as_ref().ok();
        let printed = if self.json && !self.is_dry {
            files::print_line(&json::line(&self.facts(left)))
        } else {
            Ok(())
        };
        let sentence = self.sentence(left);
        let failures = self.outcome.finish();
        if !self.is_dry {
            report::summary(&sentence);
        }
        ended.and(failures).and(printed)
    }
}

/// How a message is named beside others: by its header or its content.
fn aside_message<'a>(
    path: &'a Path,
    head: Option<&'a MessageHead>,
    content: Option<&'a Content>,
) -> Option<AsideMessage<'a>> {
    let head = head.map(|head| (head.id.as_deref(), head.sender, head.recipient));
    let content = content.map(|it| (Some(it.id.as_str()), it.sender, it.recipient));
    let (id, sender, recipient) = head.or(content)?;
    Some(AsideMessage {
        path,
        id,
        sender,
        recipient,
    })
}

fn event(name: &str, content: Option<&Content>, path: Option<&Path>) {
    let Some(content) = content else { return };
    let (sender, recipient) = (content.sender.to_string(), content.recipient.to_string());
    let path = path.map(report::path).unwrap_or_default();
    let mut facts = vec![
        ("id", content.id.as_str()),
        ("from", &sender),
        ("to", &recipient),
        ("type", &content.media_type),
    ];
    facts.extend((!path.is_empty()).then_some(("path", path.as_str())));
    report::event(name, &facts);
}

/// An error about a file below a directory that the user named, with its path.
#[must_use]
pub fn labelled(error: Error) -> anyhow::Error {
    match error {
        // The path of the file in the destination helps more than the number of parts.
        Error::Parts { cause, .. } if cause.is_of_destination() => labelled(*cause),
        Error::Join(join::Error::Disk(error)) => labelled(Error::Disk(error)),
        Error::Disk(error) if error.role() == FileRole::Delivery => {
            let path = report::path(error.path());
            anyhow::Error::new(error).context(path)
        }
        error => error.into(),
    }
}

/// The line of a dry run: the message's name, the action, and the media type or the error.
#[must_use]
pub fn decision(delivered: &DeliveryOutcome, json: bool) -> String {
    let what = match &delivered.result {
        Ok(DeliveryEffect::Delivered(_)) => "deliver",
        Ok(
            DeliveryEffect::Imported
            | DeliveryEffect::NotKept
            | DeliveryEffect::Successor(_)
            | DeliveryEffect::Ignored,
        ) => "import",
        Ok(DeliveryEffect::Repeated) => "remove",
        Ok(DeliveryEffect::Part) => "join",
        Err(_) if delivered.is_aside => "fail",
        Ok(DeliveryEffect::Left) | Err(_) => "leave",
    };
    let error = delivered.result.as_ref().err().map(ToString::to_string);
    if json {
        let mut facts = lines::delivered(delivered);
        facts["decision"] = what.into();
        facts["error"] = error.into();
        return json::line(&facts);
    }
    let name = labels::shown_name(&delivered.path);
    let media_type = delivered
        .content
        .as_ref()
        .map(|content| content.media_type.clone());
    let detail = error.or(media_type).unwrap_or_default();
    labels::shown(format!("{name}\t{what}\t{}", report::escaped(&detail)))
}
