//! What relay-post does, and reports.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use jiff::Timestamp;

use super::errors::Postponed;
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
use crate::binding::outgoing::{FailureCount, FailureReach};
use crate::binding::parcel_answer::ParcelAnswer;
use crate::binding::pohttp::Poster;
use crate::binding::{Error, Network, PeerPlace, RequestBody, Server, walk};
use crate::describe::{self, json};
use crate::message::{Item, Parcel};
use crate::node::Directory;
use crate::pipeline::mutex;
use crate::spool::{Name, Spool};

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
            DirectEvent::Kept {
                address,
                what,
                error,
            } => {
                self.kept += 1;
                return self.hosts.kept(address.as_deref(), what, error);
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

/// Posts the parcels of a stream, without any memory. A host that the operator of `node` named goes before an address.
///
/// # Errors
/// The status of all failures, or why the run ended early.
pub fn post_stream(
    inputs: &Inputs,
    (network, node): (&Network, Option<&Directory>),
    now: Timestamp,
) -> anyhow::Result<()> {
    let mut messages = inputs.read()?;
    let mut hosts: HashMap<String, StreamHost> = HashMap::new();
    while let Some(message) = messages.next_message() {
        let input = message.place.clone();
        let parcel = Parcel::parse(message.octets).map_err(anyhow::Error::from);
        let placed = parcel.and_then(|parcel| Ok((place_of(&parcel, node)?, parcel)));
        let (place, parcel) = match placed {
            Ok(placed) => placed,
            Err(error) => {
                messages.done(&input, Err(error))?;
                continue;
            }
        };
        let name = place.to_string();
        let host = hosts.entry(name.to_ascii_lowercase()).or_default();
        if host.is_left {
            let error = Postponed(format!("{name}: not tried again in this run"));
            messages.outcome().count(&input, &error.into());
            continue;
        }
        match host.post(network, &place, &parcel, now) {
            Ok(ParcelAnswer::Accepted) => {
                let expiry = parcel.as_ref().fields().expiry();
                let item = Item::Parcel(parcel);
                let id = item.message().map(|message| message.fields().id.clone());
                moved(
                    "posted",
                    &Name::of(&item, expiry),
                    id.as_deref(),
                    ("address", &name),
                );
                messages.done(&input, Ok(()))?;
            }
            // Each is refused for itself.
            Ok(ParcelAnswer::Refused(error)) => messages.done(&input, Err(error.into()))?,
            Err(error) => {
                let error = error.into();
                if host.told.insert(report::text_of(&error)) {
                    messages.done(&input, Err(error))?;
                } else {
                    messages.outcome().count(&input, &error);
                }
            }
        }
    }
    messages.finish()
}

/// The servers of a place that parcels of a stream are for.
#[derive(Default)]
struct StreamHost {
    /// The servers, once they are found.
    servers: Option<Vec<Server>>,
    failures: FailureCount,
    /// Whether nothing more is sent to them in this run.
    is_left: bool,
    /// What was reported of them.
    told: BTreeSet<String>,
}

impl StreamHost {
    fn post(
        &mut self,
        network: &Network,
        place: &PeerPlace,
        parcel: &Parcel,
        now: Timestamp,
    ) -> Result<ParcelAnswer, Error> {
        let posted = self.offer(network, place, parcel, now);
        match &posted {
            Ok(_) => self.failures.reset(),
            Err(error) => self.is_left = self.failures.fail(error) != FailureReach::Parcel,
        }
        posted
    }

    fn offer(
        &mut self,
        network: &Network,
        place: &PeerPlace,
        parcel: &Parcel,
        now: Timestamp,
    ) -> Result<ParcelAnswer, Error> {
        let servers = match self.servers.take() {
            Some(servers) => servers,
            None => network.find_at(Service::ParcelDelivery, place, None, now)?,
        };
        let octets = RequestBody::Octets(parcel.as_ref().octets());
        let posted = walk::first_reached(&servers, &place.to_string(), |server| {
            let client = Poster::new(network, server, now);
            Ok::<_, Error>(client.and_then(|client| client.post(octets)))
        });
        self.servers = Some(servers);
        posted?
    }
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
