//! Unpacks cargo: verifies each message in it, writes it out, then remembers the cargo.

use std::path::Path;

use super::args::Node;
use super::errors::{Again, Fatal};
use super::input_ref::InputRef;
use super::inputs::{Message, Messages};
use super::outcome::{Outcome, PartReports};
use super::outputs::Sink;
use super::{files, report, status};
use crate::describe::{json, lines};
use crate::message::CargoMessageSet;
use crate::node;
use crate::pipeline::Buffers;
use crate::pipeline::workers::{self, Bounds, WorkItem};
use crate::ramf::limits;
use crate::receive::{self, Arrival, PendingReceipt, ReceiveOptions, Unpacked};
use crate::verify::Policy;

/// Unpacks cargo into an output.
pub struct Unpacker<'a> {
    /// The node that the cargo is for.
    pub node: &'a Node,
    /// The options for receiving cargo.
    pub options: ReceiveOptions,
    /// The policy that each message in it is verified against.
    pub policy: Policy,
    /// The output for the messages.
    pub sink: Sink,
    /// The directory of the output, if it is one.
    pub directory: Option<&'a Path>,
    /// Whether to print a line of JSON for each message.
    pub json: bool,
}

/// The result for one cargo.
enum CargoEffect<'a> {
    /// All its messages are written, and it is remembered.
    Completed,
    /// Not remembered, because another run may get more of it.
    LeftForAnotherRun,
    /// Remembered as soon as the output is complete. Boxed, since the other variants are empty.
    Pending(Box<PendingReceipt<'a>>),
}

/// The items of one cargo, counted.
#[derive(Default)]
struct Items {
    count: usize,
    /// Whether an item failed that another run may get.
    may_pass: bool,
}

impl<'a> Unpacker<'a> {
    /// Unpacks all cargo. Each is remembered once all its messages are in the output.
    ///
    /// # Errors
    /// The status that all failures add up to, or the first fatal error.
    pub fn run(mut self, mut messages: Messages) -> anyhow::Result<()> {
        let mut pending = Vec::new();
        let read = self.unpack(&mut messages, &mut pending);
        let written = read.and_then(|()| self.sink.finish());
        // A single output file is complete only now.
        for (place, receipt) in pending {
            match &written {
                Ok(()) => messages.done(&place, receipt.complete_later().map_err(Into::into))?,
                Err(error) => messages.outcome().tell(&place, &Err(error)),
            }
        }
        written?;
        messages.finish()
    }

    fn unpack(
        &mut self,
        messages: &mut Messages,
        pending: &mut Vec<(InputRef, PendingReceipt<'a>)>,
    ) -> anyhow::Result<()> {
        while let Some(message) = messages.next_message() {
            let place = message.place.clone();
            match self.unpack_one(messages, message, pending) {
                Ok(CargoEffect::Completed) => messages.done(&place, Ok(()))?,
                Ok(CargoEffect::LeftForAnotherRun) => {
                    let error = Again.into();
                    messages.outcome().tell(&place, &Err(&error));
                }
                Ok(CargoEffect::Pending(receipt)) => pending.push((place, *receipt)),
                Err(error) => messages.done(&place, Err(error))?,
            }
        }
        Ok(())
    }

    /// Verifies one cargo and writes out its messages.
    fn unpack_one(
        &mut self,
        messages: &mut Messages,
        message: Message,
        pending: &[(InputRef, PendingReceipt<'_>)],
    ) -> anyhow::Result<CargoEffect<'a>> {
        let place = message.place;
        let cargo = receive::cargo(self.node.keyring(), message.octets, &self.options)?;
        // Not remembered yet, so the replay memory cannot tell.
        if pending.iter().any(|(_, receipt)| cargo.repeats(receipt)) {
            return Err(node::Error::Replay(node::ReplayError::Seen).into());
        }
        let pool = messages.spare();
        let items = self.write_items(&cargo, &place, &pool, messages.outcome())?;
        let head = cargo.head();
        report::event(
            "unpacked",
            &[
                ("cargo", &head.fields.id),
                ("from", &head.sender.id().to_string()),
                ("messages", &items.count.to_string()),
            ],
        );
        // A cargo is remembered only after its messages are synced.
        let is_settled = self.sink.settle()?;
        if let Some(refused) = self.sink.take_refused().into_iter().next() {
            return Err(refused);
        }
        if items.may_pass {
            // Another run may get the failed items, so this cargo is not remembered.
            return Ok(CargoEffect::LeftForAnotherRun);
        }
        let (set, effect) = if is_settled {
            (cargo.complete()?, CargoEffect::Completed)
        } else {
            let (set, receipt) = cargo.into_due();
            (set, CargoEffect::Pending(Box::new(receipt)))
        };
        messages.spare().put(set.into_octets());
        Ok(effect)
    }

    /// Verifies the items of one cargo, on all cores, and writes them out in order.
    fn write_items(
        &mut self,
        cargo: &Arrival<'_, CargoMessageSet>,
        place: &InputRef,
        pool: &Buffers,
        outcome: &mut Outcome,
    ) -> anyhow::Result<Items> {
        let mut reports = PartReports::of(place);
        let mut items = Items::default();
        let mut octets_of_items = cargo.content().messages();
        let stager = self.sink.stager();
        let (sink, policy) = (&mut self.sink, &self.policy);
        let (directory, json) = (self.directory, self.json);
        workers::in_order(
            Bounds::octets(limits::MAX_MESSAGE_LEN),
            || {
                let item = octets_of_items.next()?;
                let octets = item.len();
                Some(WorkItem { item, octets })
            },
            |octets| {
                let unpacked = receive::item(octets, cargo.head(), policy, pool)?;
                let ready = stager.stage(unpacked.kind, &unpacked.file_name, octets);
                Ok((unpacked, octets, ready))
            },
            |item: Result<_, node::Error>| {
                items.count += 1;
                let (unpacked, octets, ready) = match item {
                    Ok(item) => item,
                    Err(error) => {
                        let error = anyhow::Error::new(error);
                        items.may_pass |= status::status(&error).may_pass();
                        reports.failed(outcome, items.count, &error);
                        return Ok(());
                    }
                };
                // If a message cannot be written, the cargo is not unpacked and will be tried
                // again.
                let path = ready.and_then(|ready| sink.take(ready, octets));
                let path = path.map_err(|error| {
                    if error.is::<Fatal>() {
                        error
                    } else {
                        error.context(format!("item {}", items.count))
                    }
                })?;
                let path = path.as_deref();
                if let (Some(dir), Some(path)) = (directory, path) {
                    warn_of_name(dir, &unpacked, path, items.count, &mut reports);
                }
                if json {
                    let (place, len) = (place.facts(), octets.len());
                    let facts = lines::unpacked(&unpacked, place, items.count, len, path);
                    files::print_line(&json::line(&facts))?;
                }
                anyhow::Ok(())
            },
        )?;
        reports.finish("have another name");
        Ok(items)
    }
}

/// Warns of a message that did not get its own name.
fn warn_of_name(
    dir: &Path,
    unpacked: &Unpacked,
    path: &Path,
    item: usize,
    reports: &mut PartReports<'_>,
) {
    if !path.ends_with(&unpacked.file_name) {
        let own = report::path(&dir.join(&unpacked.file_name));
        let path = report::path(path);
        reports.warn(item, &format!("{own} is something else; it is {path}"));
    }
}
