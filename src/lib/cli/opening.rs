//! Opens parcels, and writes their contents where they are to go.

use std::path::{Path, PathBuf};

use super::args::Node;
use super::errors::Usage;
use super::files::{self, Output, OutputForm};
use super::input_ref::InputRef;
use super::inputs::Message;
use super::report;
use crate::describe::lines;
use crate::message::{ServiceMessage, file_name, parts};
use crate::node::Directory;
use crate::pki::Window;
use crate::receive::{self, Arrival, AuthorizationEffect, ReceiveOptions};

/// Where contents go.
#[derive(Debug, Clone, Copy)]
pub enum Outputs<'a> {
    /// Each into a file of this directory.
    Directory(&'a Path),
    /// All to standard output, one after the other.
    Concatenated,
    /// A single one into a file.
    File(&'a Path),
    /// A single one to standard output, or parts of larger content one after the other.
    Stdout,
}

/// Opens parcels, one by one.
pub struct Opener<'a> {
    /// The node that they are for.
    pub node: &'a Node,
    /// How they are received.
    pub options: ReceiveOptions,
    /// Where their contents go.
    pub outputs: Outputs<'a>,
    /// The options that say so.
    pub output: &'a Output,
    /// Whether files in a directory get the names that senders gave.
    pub keeps_names: bool,
    /// Whether to print a line of JSON for each parcel.
    pub json: bool,
}

impl Opener<'_> {
    /// The order of effects: what the parcel holds is stored, then the session advances and the parcel is
    /// remembered. Beside other content only parts are written.
    ///
    /// # Errors
    /// A [`Usage`] error for other content than a single one or parts; when the parcel cannot be opened, or its
    /// content not be written.
    pub fn open(&self, message: Message, stands_alone: bool) -> anyhow::Result<()> {
        let arrival = receive::parcel(self.node.keyring(), message.octets, &self.options)?;
        if arrival.is_authorization()
            && let Some(directory) = self.node.directory()
        {
            return import(arrival, directory, &self.options.window, &message.place);
        }
        // Parts are told apart by relay-join.
        let is_part = arrival.content().media_type() == parts::MEDIA_TYPE;
        if !stands_alone && (!is_part || matches!(self.outputs, Outputs::File(_))) {
            return Err(several());
        }
        let path = match self.outputs {
            Outputs::Directory(dir) => {
                let force = self.output.force();
                Some(write_into(dir, &arrival, self.keeps_names, force)?)
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
        let facts = lines::opened(&arrival, message.place.facts(), path.as_deref());
        let head = arrival.head();
        let (id, sender) = (head.fields.id.clone(), head.sender.id().to_string());
        drop(arrival.complete()?);
        report::event("opened", &[("id", &id), ("from", &sender)]);
        if self.json {
            files::print_line(&facts.to_string())?;
        }
        Ok(())
    }

    fn write(&self, arrival: &Arrival<'_, ServiceMessage>) -> anyhow::Result<()> {
        let content = arrival.content().content();
        self.output.write(&[content], OutputForm::Content)
    }
}

/// The error for several parcels where only one can be written.
#[must_use]
pub fn several() -> anyhow::Error {
    Usage("more than one parcel: -d DIR writes a file for each, --cat writes them one after the other".to_owned()).into()
}

/// The warning of an authorization that is not kept.
const NOT_KEPT: &str = "the authorization in it is not kept: too many strangers wrote today";

/// Imports an authorization into the node, instead of writing it out.
///
/// # Errors
/// When it is not valid for this node, or cannot be stored.
fn import(
    arrival: Arrival<'_, ServiceMessage>,
    node: &Directory,
    window: &Window,
    place: &InputRef,
) -> anyhow::Result<()> {
    let imported = arrival.import_authorization(node, window)?;
    let sender = arrival.head().sender.id().to_string();
    drop(arrival.complete()?);
    match imported {
        AuthorizationEffect::OfPeer => report::event("imported", &[("peer", &sender)]),
        AuthorizationEffect::OfStranger => report::event("imported", &[("stranger", &sender)]),
        // It ends here all the same: tomorrow's room is for those who write tomorrow.
        AuthorizationEffect::NoRoom => report::warn(&format!("{}: {NOT_KEPT}", place.label())),
    }
    Ok(())
}

/// Writes content into a directory, under the name that its sender gave if `keeps_name`; gives its file.
///
/// # Errors
/// When it cannot be written, or another file has its name and is not to be replaced (`force`).
fn write_into(
    dir: &Path,
    arrival: &Arrival<'_, ServiceMessage>,
    keeps_name: bool,
    force: bool,
) -> anyhow::Result<PathBuf> {
    let content = arrival.content().content();
    let (_, given) = file_name::split(arrival.content().media_type());
    let given = given.filter(|_| keeps_name);
    if let Some(given) = given.and_then(|given| file_name::safe(&given)) {
        return files::write_numbered(dir, &given, content);
    }
    let head = arrival.head();
    let own = head.fields.file_name(head.sender.id(), "content");
    files::write_into(dir, &own, &[content], force)
}
