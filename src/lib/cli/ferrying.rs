//! What relay-ferry does, and reports.

use jiff::Timestamp;

use super::host_reports::{HostReports, report_host};
use super::input_ref::InputRef;
use super::limited::Limited;
use super::outcome::Outcome;
use super::plan::PlannedServer;
use super::tally::counted;
use super::{files, labels, report};
use crate::binding::address::Service;
use crate::binding::ferry::errand::{Errand, FerryTarget};
use crate::binding::ferry::{FerryEvent, FerryTally};
use crate::binding::{Error, Host, Network, PeerPlace, Server};
use crate::describe::{self, json};
use crate::medium::MediumFile;
use crate::node::PinnedHost;
use crate::ramf::InternetAddress;
use crate::spool::Spool;

/// The port of couriers.
pub const COURIER_PORT: u16 = 21473;

/// How many messages that failed are named in a run.
const MAX_NAMED: usize = 20;

/// The server that the user named: `HOST:PORT`, the address of a courier, or an Internet address whose servers are looked
/// up.
///
/// # Errors
/// When the text has another form, or there are no such servers.
pub fn target(network: &Network, text: &str, now: Timestamp) -> Result<FerryTarget, Error> {
    let servers = match text.parse::<std::net::IpAddr>() {
        Ok(address) => {
            let host = Host::Literal(address);
            vec![Server::named_by_operator(
                &format!("{host}:{COURIER_PORT}"),
                None,
            )?]
        }
        Err(_) if text.contains(':') => vec![Server::named_by_operator(text, None)?],
        Err(_) => {
            let address: InternetAddress =
                text.parse().map_err(|_| Error::NoServer(text.to_owned()))?;
            network.find(Service::CargoRelay, &address, None, now)?
        }
    };
    Ok(FerryTarget {
        name: text.to_owned(),
        servers,
    })
}

/// Reports an errand, and collects the exit status.
pub struct FerryLog {
    is_printed: bool,
    outcome: Outcome,
    /// How couriers were reached.
    hosts: HostReports,
    tally: FerryTally,
    named: Limited,
}

impl FerryLog {
    /// Starts without events. With `json`, a line is printed for each.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self {
            is_printed: json,
            outcome: Outcome::default(),
            hosts: HostReports::default(),
            tally: FerryTally::default(),
            named: Limited::new(MAX_NAMED),
        }
    }

    /// Reports an event.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn tell(&mut self, event: FerryEvent) -> anyhow::Result<()> {
        self.tally.count(&event);
        self.outcome.take();
        if self.is_printed {
            print(&event)?;
        }
        match event {
            FerryEvent::Reached { .. } => {}
            FerryEvent::Unreached { address, error, .. } => {
                let error = error.into();
                report_host(&error, &address);
                self.outcome.count(&InputRef::named(address), &error);
            }
            FerryEvent::Refused { file, error } => {
                // It will be refused each time, so a run of it is no failure; it stays until it expires.
                self.warn(&format!("{file}: refused"), &error);
            }
            FerryEvent::Rejected { server, error } => {
                self.warn(&format!("{server}: something of no use"), &error);
            }
            FerryEvent::Left { server, error } => {
                let place = InputRef::named(server.clone());
                return self.outcome.done_in(&server, &place, Err(error.into()));
            }
            FerryEvent::Unsent { file, error } => {
                let place = InputRef::named(file.to_string());
                return self.outcome.done_in("", &place, Err(error.into()));
            }
            FerryEvent::Delivered { file, server } => tell_file("delivered", &file, &server),
            FerryEvent::Asked { file, server, .. } => tell_file("asked", &file, &server),
            FerryEvent::Received {
                recipient,
                sender,
                server,
                ..
            } => tell_ends(
                "received",
                [&sender.to_string(), &recipient.to_string()],
                &server,
            ),
            FerryEvent::Repeated {
                recipient,
                sender,
                server,
            } => tell_ends(
                "repeated",
                [&sender.to_string(), &recipient.to_string()],
                &server,
            ),
        }
        Ok(())
    }

    fn warn(&mut self, what: &str, error: &Error) {
        if self.named.admit() {
            report::warn(&format!("{what}: {}", report::text_of_error(error)));
        }
    }

    /// Notes that there is no courier: no news, since that is so most of the time.
    pub fn absent(&mut self, what: &str, error: &anyhow::Error) {
        self.hosts.absent(what, error);
    }

    /// Notes a courier that is left alone until a time, since it did not do what it was asked for.
    pub fn left_alone(&mut self, address: &str, until: Timestamp) {
        self.hosts.left_alone(address, until);
    }

    /// Notes how an exchange with a courier ended, in the spool too, unless there is none.
    ///
    /// # Errors
    /// As [`HostReports::ended`].
    pub fn ended(
        &mut self,
        spool: &Spool,
        address: &str,
        result: anyhow::Result<()>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        match result {
            Err(error) if error.downcast_ref().is_some_and(is_absence) => {
                self.hosts.absent(address, &error);
                Ok(())
            }
            result => self.hosts.ended(spool, address, result, now),
        }
    }

    /// Ends the run with the exit status of all events, and says what was done.
    ///
    /// # Errors
    /// That of the run, else that status, unless it is 0.
    pub fn finish(self, ended: anyhow::Result<()>) -> anyhow::Result<()> {
        if let Some(more) = self.named.suppressed() {
            report::warn(&format!("and {more} more"));
        }
        let printed = if self.is_printed {
            files::print_line(&json::line(&describe::ferry_summary(&self.tally)))
        } else {
            Ok(())
        };
        let couriers = self.hosts.finish();
        let failures = self.outcome.finish().and(couriers);
        report::summary(&sentence(&self.tally));
        ended.and(failures).and(printed)
    }
}

/// Whether an error says that there is no courier, which is no news for anybody.
fn is_absence(error: &Error) -> bool {
    matches!(error, Error::NoConnection { .. })
}

fn print(event: &FerryEvent) -> anyhow::Result<()> {
    let mut line = describe::ferried(event);
    if let FerryEvent::Refused { error, .. }
    | FerryEvent::Rejected { error, .. }
    | FerryEvent::Left { error, .. }
    | FerryEvent::Unsent { error, .. }
    | FerryEvent::Unreached { error, .. } = event
    {
        line["error"] = report::text_of_error(error).into();
    }
    files::print_line(&json::line(&line))
}

fn tell_file(event: &str, file: &MediumFile, server: &str) {
    let (name, octets) = (file.to_string(), file.len.to_string());
    report::event(
        event,
        &[("file", &name), ("octets", &octets), ("server", server)],
    );
}

fn tell_ends(event: &str, [from, to]: [&str; 2], server: &str) {
    report::event(event, &[("from", from), ("to", to), ("server", server)]);
}

/// What was done, in words.
fn sentence(tally: &FerryTally) -> String {
    let mut parts = Vec::new();
    for (count, verb) in [
        (tally.delivered, "delivered"),
        (tally.received, "received"),
        (tally.refused, "refused"),
        (tally.left, "left"),
    ] {
        if count > 0 {
            parts.push(format!("{verb} {}", counted(count, "cargo", "cargoes")));
        }
    }
    if tally.kept > 0 {
        let kept = counted(tally.kept, "message", "messages");
        parts.push(format!("{kept} on the medium not delivered"));
    }
    if parts.is_empty() {
        parts.push("nothing moved".to_owned());
    }
    parts.join(", ")
}

/// Prints where an errand would connect to.
///
/// # Errors
/// When the medium cannot be read, servers are not found, or the output cannot be written.
pub fn print_plan(errand: &Errand<'_>, is_json: bool) -> anyhow::Result<()> {
    let mut unsent = FerryLog::new(false);
    let stops = errand.stops(&mut |event| unsent.tell(event))?;
    for stop in &stops {
        let named = PeerPlace::Host(PinnedHost {
            authority: stop.address.clone(),
            pin: None,
        });
        for server in &errand.servers(stop)? {
            let planned = PlannedServer {
                address: &stop.address,
                place: stop.peer_place().unwrap_or(&named),
                server,
            };
            let line = if is_json {
                let mut line = planned.json(None);
                line["messages"] = stop.messages().into();
                json::line(&line)
            } else {
                labels::shown(format!("{}\t{}", planned.columns(), stop.messages()))
            };
            files::print(&line)?;
        }
    }
    Ok(())
}
