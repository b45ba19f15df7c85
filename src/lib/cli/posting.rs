//! What relay-post does, and reports.

use std::sync::Mutex;

use jiff::Timestamp;

use super::host_reports::{HostReports, moved};
use super::input_ref::InputRef;
use super::inputs::Inputs;
use super::outcome::Outcome;
use super::plan::PlannedServer;
use super::tally::counted;
use super::{files, report};
use crate::binding::address::Service;
use crate::binding::direct::destination::{place_of, planned};
use crate::binding::direct::run::post_waiting;
use crate::binding::direct::{DirectContext, DirectEvent};
use crate::binding::parcel_answer::ParcelAnswer;
use crate::binding::pohttp::Poster;
use crate::binding::{Error, Network, RequestBody, walk};
use crate::describe::{self, json};
use crate::message::Parcel;
use crate::pipeline::mutex;
use crate::spool::Spool;

/// Reports what becomes of the parcels in `@internet`.
struct PostLog<'a> {
    spool: &'a Spool,
    is_printed: bool,
    now: Timestamp,
    hosts: HostReports,
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
        hosts: HostReports::default(),
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
                moved("posted", &name, Some(&id), ("address", &address));
            }
            DirectEvent::Refused { id, error, .. } => {
                self.refused += 1;
                let text = report::text_of_error(&error);
                report::warn(&format!("{}: set aside: {text}", report::escaped(&id)));
            }
            DirectEvent::GivenUp { name, address } => {
                self.given_up += 1;
                moved("given-up", &name, None, ("address", &address));
            }
            DirectEvent::Kept { what, error } => {
                self.kept += 1;
                self.hosts.take();
                let place = InputRef::named(what);
                return self.hosts.failed_in("", &place, error.into());
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
        let failures = self.hosts.finish();
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
pub fn print_plan(context: &DirectContext<'_>, is_json: bool) -> anyhow::Result<()> {
    let mut outcome = Outcome::default();
    for destination in planned(context.spool)? {
        outcome.take();
        let place = InputRef::named(destination.address.clone());
        match destination.servers(context) {
            Ok(servers) => {
                for server in &servers {
                    let planned = PlannedServer {
                        address: &destination.address,
                        place: &destination.place,
                        server,
                    };
                    let count = destination.parcels.len();
                    files::print(&if is_json {
                        let mut line = planned.json(None);
                        line["messages"] = count.into();
                        json::line(&line)
                    } else {
                        format!("{}\t{count}", planned.columns())
                    })?;
                }
            }
            Err(error) => outcome.done(&place, Err(error.into()))?,
        }
    }
    outcome.finish()
}
