//! What relay-post does, and reports.

use std::sync::Mutex;

use jiff::Timestamp;

use super::input_ref::InputRef;
use super::inputs::Inputs;
use super::online::OnlineLog;
use super::outcome::Outcome;
use super::tally::counted;
use super::{files, report};
use crate::binding::address::Service;
use crate::binding::direct::destination::{DirectDestination, place_of, planned};
use crate::binding::direct::run::post_waiting;
use crate::binding::direct::{DirectContext, DirectEvent};
use crate::binding::parcel_answer::ParcelAnswer;
use crate::binding::pohttp::Poster;
use crate::binding::{Error, Network, RequestBody, Server, walk};
use crate::describe::{self, json};
use crate::message::Parcel;
use crate::pipeline::mutex;
use crate::spool::Spool;

/// Reports what becomes of the parcels in `@internet`.
struct PostLog<'a> {
    spool: &'a Spool,
    is_printed: bool,
    now: Timestamp,
    hosts: OnlineLog,
    posted: usize,
    refused: usize,
    given_up: usize,
    kept: usize,
}

/// Posts what waits in the spool.
///
/// # Errors
/// The status of all failures, or why the run ended early.
pub fn post_queue(context: &DirectContext<'_>, json: bool) -> anyhow::Result<()> {
    let log = Mutex::new(PostLog {
        spool: context.spool,
        is_printed: json,
        now: context.time.told,
        hosts: OnlineLog::new(false),
        posted: 0,
        refused: 0,
        given_up: 0,
        kept: 0,
    });
    let ended = post_waiting(context, &|event| mutex::lock(&log).tell(event));
    let log = log.into_inner();
    log.unwrap_or_else(std::sync::PoisonError::into_inner)
        .finish(ended)
}

impl PostLog<'_> {
    fn tell(&mut self, event: DirectEvent) -> anyhow::Result<()> {
        if self.is_printed {
            let mut line = describe::posted(&event);
            if let DirectEvent::Refused { error, .. }
            | DirectEvent::Kept { error, .. }
            | DirectEvent::Unreached { error, .. } = &event
            {
                line["error"] = report::text_of_error(error).into();
            }
            files::print_line(&json::line(&line))?;
        }
        match event {
            DirectEvent::Posted {
                name, id, address, ..
            } => {
                self.posted += 1;
                let (from, to) = (name.identity.sender, name.identity.recipient);
                let facts = [
                    ("id", id.as_str()),
                    ("from", &from.to_string()),
                    ("to", &to.to_string()),
                    ("address", &address),
                ];
                report::event("posted", &facts);
            }
            DirectEvent::Refused { id, error, .. } => {
                self.refused += 1;
                let text = report::text_of_error(&error);
                report::warn(&format!("{}: set aside: {text}", report::escaped(&id)));
            }
            DirectEvent::GivenUp { name, address } => {
                self.given_up += 1;
                let (from, to) = (name.identity.sender, name.identity.recipient);
                let facts = [
                    ("from", &*from.to_string()),
                    ("to", &to.to_string()),
                    ("address", &address),
                ];
                report::event("given-up", &facts);
            }
            DirectEvent::Kept { what, error } => {
                self.kept += 1;
                return self.hosts.kept(&what, error);
            }
            DirectEvent::Reached { address } => {
                return self.hosts.ended(self.spool, &address, Ok(()), self.now);
            }
            DirectEvent::Unreached {
                address,
                parcels,
                error,
            } => {
                self.kept += parcels;
                let ended = Err(error.into());
                return self.hosts.ended(self.spool, &address, ended, self.now);
            }
            DirectEvent::LeftAlone { address, until } => {
                self.hosts.left_alone(&address, until);
            }
        }
        Ok(())
    }

    fn finish(self, ended: anyhow::Result<()>) -> anyhow::Result<()> {
        let summary = serde_json::json!({
            "v": describe::VERSION,
            "event": "summary",
            "posted": self.posted,
            "refused": self.refused,
            "given_up": self.given_up,
            "kept": self.kept,
        });
        let printed = if self.is_printed {
            files::print_line(&json::line(&summary))
        } else {
            Ok(())
        };
        let failures = self.hosts.into_outcome().finish();
        let sentence = if self.posted + self.refused + self.given_up + self.kept == 0 {
            "nothing to post".to_owned()
        } else {
            let posted = counted(self.posted, "parcel", "parcels");
            format!("posted {posted}, {} left", self.kept)
        };
        report::summary(&sentence);
        ended.and(failures).and(printed)
    }
}

/// Posts the parcels of a stream, without a node and without any memory.
///
/// # Errors
/// The status of all failures, or why the run ended early.
pub fn post_stream(inputs: &Inputs, network: &Network, now: Timestamp) -> anyhow::Result<()> {
    inputs.each(|message| {
        let parcel = Parcel::parse(message.octets)?;
        let place = place_of(&parcel, None)?;
        let servers = network.find_at(Service::ParcelDelivery, &place, None, now)?;
        let octets = parcel.as_ref().octets();
        let posted = walk::first_reached(&servers, &place.to_string(), |server| {
            let client = Poster::new(network, server, now);
            Ok::<_, Error>(client.and_then(|client| client.post(RequestBody::Octets(octets))))
        });
        match posted?? {
            ParcelAnswer::Accepted => Ok(()),
            ParcelAnswer::Refused(error) => Err(error.into()),
        }
    })
}

/// Prints where a run would connect to for what waits in the spool.
///
/// # Errors
/// When the spool cannot be read or standard output not be written; the status of addresses that were not found.
pub fn print_plan(context: &DirectContext<'_>, json: bool) -> anyhow::Result<()> {
    let mut outcome = Outcome::default();
    for destination in planned(context.spool)? {
        outcome.take();
        let place = InputRef::named(destination.address.clone());
        match destination.servers(context) {
            Ok(servers) => {
                for server in servers {
                    files::print(&plan_line(&destination, &server, json))?;
                }
            }
            Err(error) => outcome.done(&place, Err(error.into()))?,
        }
    }
    outcome.finish()
}

fn plan_line(destination: &DirectDestination, server: &Server, is_json: bool) -> String {
    let (address, count) = (&destination.address, destination.parcels.len());
    let from = destination.place.named_by();
    let host = server.host.to_string();
    let rule = super::gateways::certificate_word(server.certificate);
    if is_json {
        return json::line(&serde_json::json!({
            "v": describe::VERSION,
            "address": address,
            "host": host,
            "port": server.port,
            "certificate": rule,
            "from": from,
            "messages": count,
        }));
    }
    let (address, host) = (report::escaped(address), report::escaped(&host));
    format!(
        "{address}\t{host}\t{}\t{rule}\t{from}\t{count}",
        server.port
    )
}
