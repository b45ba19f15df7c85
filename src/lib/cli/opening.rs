//! Opens parcels, and writes their contents to the output.

use std::path::{Path, PathBuf};

use super::args::Node;
use super::errors::{Fatal, ForNeighbour, LonePart, Usage};
use super::files::{self, Output, OutputForm};
use super::input_ref::InputRef;
use super::inputs::Message;
use super::{elsewhere, outputs, report, successors};
use crate::archive;
use crate::describe::{json, lines};
use crate::message::{Part, ServiceMessage, file_name, parts};
use crate::node::{self, Directory};
use crate::ramf;
use crate::receive::{self, Arrival, ImportEffect, ReceiveOptions};

/// The outputs of relay-open.
#[derive(Debug, Clone, Copy)]
pub enum Outputs<'a> {
    /// A file for each content in this directory.
    Directory(&'a Path),
    /// All contents to standard output, one after the other.
    Concatenated,
    /// A single content to a file.
    File(&'a Path),
    /// A single content to standard output; parts of larger content one after the other.
    Stdout,
}

/// Opens parcels one by one.
pub struct Opener<'a> {
    /// The node that the parcels are for.
    pub node: &'a Node,
    /// The options for receiving them.
    pub options: ReceiveOptions,
    /// Where contents are written.
    pub outputs: Outputs<'a>,
    /// `-o` and `-f` as given.
    pub output: &'a Output,
    /// Whether files in a directory get the names that senders chose.
    pub keeps_names: bool,
    /// Whether directories are made of content that is one.
    pub extracts: bool,
    /// Whether to print a line of JSON for each parcel.
    pub json: bool,
}

impl Opener<'_> {
    /// Opens a parcel and writes its content, then stores the sender's session key and remembers
    /// the parcel. `stands_alone` says that no other parcel follows; otherwise only parts are
    /// written to a single output.
    /// # Errors
    /// A [`Usage`] error for several contents in one output that are not parts; when the parcel
    /// cannot be opened, or its content cannot be written.
    pub fn open(&self, message: Message, stands_alone: bool) -> anyhow::Result<()> {
        let arrival = receive::parcel(self.node.keyring(), message.octets, &self.options)
            .map_err(|error| self.or_neighbour(error))?;
        if arrival.is_for_node()
            && let Some(directory) = self.node.directory()
        {
            return import(arrival, directory, &self.options, &message.place);
        }
        // A stream of parts is unambiguous: relay-join finds the boundaries.
        let is_part = parts::is_part_type(arrival.content().media_type());
        if !stands_alone && (!is_part || matches!(self.outputs, Outputs::File(_))) {
            return Err(several());
        }
        // Before the parcel is remembered: nobody looks into a file that bears the name of the whole.
        if is_part && self.is_for_one_content() {
            let part = Part::parse(arrival.content().content())?;
            return Err(LonePart(part.header().index).into());
        }
        let path = match self.outputs {
            Outputs::Directory(dir)
                if self.extracts && archive::is_tree(arrival.content().media_type()) =>
            {
                let content = arrival.content().content();
                let len = content.len() as u64;
                Some(outputs::extract(
                    content,
                    len,
                    dir,
                    self.options.now.into(),
                )?)
            }
            Outputs::Directory(dir) => {
                let force = self.output.force();
                let written = write_into(dir, &arrival, self.keeps_names, force);
                // It ends the run, and of several parcels this one is not opened.
                Some(written.map_err(|error| {
                    if error.is::<Fatal>() {
                        error.context(message.place.label())
                    } else {
                        error
                    }
                })?)
            }
            Outputs::File(file) => {
                self.write(&arrival)?;
                Some(file.to_owned())
            }
            Outputs::Stdout | Outputs::Concatenated => {
                self.write(&arrival)?;
                None
            }
        };
        // Collected now, because completing the arrival consumes it.
        let facts = lines::opened(&arrival, message.place.facts(), path.as_deref());
        let head = arrival.head();
        let (id, sender) = (head.fields.id.clone(), head.sender.id().to_string());
        // The content is stored, so the parcel may be remembered: a crash before this costs a
        // duplicate, not a loss.
        drop(arrival.complete()?);
        report::event("opened", &[("id", &id), ("from", &sender)]);
        if self.json {
            files::print_line(&json::line(&facts))?;
        }
        Ok(())
    }

    /// Whether what a parcel holds is for the node, and not for a user. It is neither
    /// imported nor remembered.
    #[must_use]
    pub fn is_for_node(&self, message: &Message) -> bool {
        // Opening decrypts in place.
        let octets = message.octets.clone();
        let opened = receive::parcel(self.node.keyring(), octets, &self.options);
        self.node.directory().is_some() && opened.is_ok_and(|arrival| arrival.is_for_node())
    }

    /// The error of a parcel; one that is for another node at the same gateway names it.
    fn or_neighbour(&self, error: node::Error) -> anyhow::Error {
        if let (node::Error::Ramf(ramf::Error::Recipient(id)), Some(directory)) =
            (&error, self.node.directory())
            && let Some(node) = elsewhere::directory_of(directory, *id)
        {
            let cause = error.to_string();
            return ForNeighbour { cause, node }.into();
        }
        error.into()
    }

    /// Whether the output keeps or shows what it gets as one content: parts may only go to a program,
    /// or each into a file of its own.
    fn is_for_one_content(&self) -> bool {
        match self.outputs {
            Outputs::Directory(_) | Outputs::Concatenated => false,
            // Only a FIFO or device passes them on.
            Outputs::File(file) => file.metadata().map_or(true, |found| found.is_file()),
            Outputs::Stdout => files::is_terminal() || files::is_stdout_a_file(),
        }
    }

    fn write(&self, arrival: &Arrival<'_, ServiceMessage>) -> anyhow::Result<()> {
        let content = arrival.content().content();
        self.output.write(&[content], OutputForm::Content)
    }
}

/// The error for several parcels where only one can be written.
#[must_use]
pub fn several() -> anyhow::Error {
    Usage("more than one parcel: -d DIR writes a file for each, --cat writes them one after the other; parts of larger content: relay-open PARCEL... | relay-join".to_owned()).into()
}

/// The warning for an authorization that is not stored.
const NOT_KEPT: &str = "the authorization in it is not kept: too many unknown senders wrote today";

/// Imports content into the node instead of writing it out, since it is not for a user.
///
/// # Errors
/// When it is not valid for this node, or cannot be stored.
fn import(
    arrival: Arrival<'_, ServiceMessage>,
    node: &Directory,
    options: &ReceiveOptions,
    place: &InputRef,
) -> anyhow::Result<()> {
    let imported = arrival.import_for_node(node, &options.window)?;
    let id = arrival.head().sender.id();
    let sender = id.to_string();
    drop(arrival.complete()?);
    match imported {
        ImportEffect::Successor(fate) => successors::came(node, id, fate, options.now)?,
        ImportEffect::Ignored => report::event("ignored", &[("stranger", &sender)]),
        ImportEffect::OfPeer => report::event("imported", &[("peer", &sender)]),
        ImportEffect::OfStranger => report::event("imported", &[("stranger", &sender)]),
        // The parcel is done in any case: if it stayed, the flood of one day would fill the next
        // day's quota, too.
        ImportEffect::NoRoom => report::warn(&format!("{}: {NOT_KEPT}", place.label())),
    }
    Ok(())
}

/// Writes content into a directory, with `keeps_name` under the name that its sender chose. Returns
/// the path.
///
/// # Errors
/// When it cannot be written, or another file has the name and is not to be replaced (`force`).
fn write_into(
    dir: &Path,
    arrival: &Arrival<'_, ServiceMessage>,
    keeps_name: bool,
    force: bool,
) -> anyhow::Result<PathBuf> {
    let content = arrival.content().content();
    let (_, given) = file_name::split(arrival.content().media_type());
    let given = given.filter(|_| keeps_name);
    if let Some(given) = given.and_then(|given| file_name::safe(&given))
        && let Some(path) = files::write_numbered(dir, &given, content)?
    {
        return Ok(path);
    }
    let head = arrival.head();
    let own = head.fields.file_name(head.sender.id(), "content");
    files::write_into(dir, &own, &[content], force)
}
