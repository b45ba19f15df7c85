//! The gateways that a node goes online with.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

use super::clock::ClockArgs;
use super::online::OnlineLog;
use super::plan::PlannedServer;
use super::{files, labels, report};
use crate::binding::address::Service;
use crate::binding::connect::Connector;
use crate::binding::http::Client;
use crate::binding::online::exchange::{self, OnlineContext};
use crate::binding::online::registration::Registered;
use crate::binding::online::renew;
use crate::binding::{Error, Network, PeerPlace, Server, walk};
use crate::describe::json;
use crate::disk::Lock;
use crate::node::{self, Config, Directory, certificates};
use crate::pipeline::mutex;
use crate::pki::{NodeId, Window};
use crate::spool::wire::{MessageStore as _, SpoolMessages};
use crate::spool::{QueueId, Spool, Time};

/// The most gateways that parcels are exchanged with at a time.
const MAX_AT_ONCE: usize = 16;

/// The priority from which a parcel does not wait for the next time.
const URGENT: u8 = 7;

/// A gateway that registered this node.
#[derive(Debug, Clone)]
pub struct OnlineGateway {
    /// Its id.
    pub id: NodeId,
    /// Its name here.
    pub label: String,
    /// Where its servers are.
    pub place: PeerPlace,
    /// What its state is kept under: its Internet address, or the host that the operator named.
    pub address: String,
}

/// The gateways that these names mean, else all that registered this node and that can be found on a network.
///
/// # Errors
/// When a name means no gateway, or one that cannot be found.
pub fn chosen(node: &Directory, names: &[String]) -> Result<Vec<OnlineGateway>, Error> {
    let registrars = certificates::issuers(node)?;
    let mut found = Vec::new();
    if names.is_empty() {
        for id in registrars {
            found.extend(of(node, id)?);
        }
        return Ok(found);
    }
    for name in names {
        let id = node.find_gateway(name)?;
        let label = node.label_of(id);
        if !registrars.contains(&id) {
            let error = node::AuthorizationError::NotRegistered(label);
            return Err(node::Error::from(error).into());
        }
        let gateway = of(node, id)?;
        found.push(gateway.ok_or(Error::NoAddress(label))?);
    }
    Ok(found)
}

/// A gateway that can be found: it has an Internet address, or the operator named its host.
fn of(node: &Directory, id: NodeId) -> Result<Option<OnlineGateway>, node::Error> {
    let address = node.peer(id)?.and_then(|peer| peer.address);
    let place = PeerPlace::of(node, id, address)?;
    Ok(place.map(|place| OnlineGateway {
        id,
        label: node.label_of(id),
        address: place.to_string(),
        place,
    }))
}

/// The servers of a gateway that parcels are exchanged with, in the order in which they are to be tried. What is learned
/// of them is kept in `cache`, unless the run is to change nothing.
///
/// # Errors
/// When they cannot be found.
pub fn servers(
    network: &Network,
    cache: Option<&Spool>,
    gateway: &OnlineGateway,
    now: Timestamp,
) -> Result<Vec<Server>, Error> {
    network.find_at(Service::GatewaySync, &gateway.place, cache, now)
}

/// Prints where a run would connect to, and why.
///
/// # Errors
/// When the output cannot be written.
pub fn print_plan(
    gateway: &OnlineGateway,
    servers: &[Server],
    is_json: bool,
) -> anyhow::Result<()> {
    for server in servers {
        let planned = PlannedServer {
            address: &gateway.address,
            place: &gateway.place,
            server,
        };
        let id = gateway.id.to_string();
        let line = if is_json {
            json::line(&planned.json(Some(("gateway", id))))
        } else {
            labels::shown(format!("{id}\t{}", planned.columns()))
        };
        files::print(&line)?;
    }
    Ok(())
}

/// What a run that is started again and again has in its node's config.
#[derive(Debug)]
pub struct OnlinePolicy<'a> {
    config: &'a Config,
    now: Timestamp,
}

impl<'a> OnlinePolicy<'a> {
    /// The policy of a node at a time.
    #[must_use]
    pub fn of(config: &'a Config, now: Timestamp) -> Self {
        Self { config, now }
    }

    /// Until when a gateway is left alone, since it could not be reached or asked for that; `None` if it is not.
    #[must_use]
    pub fn pause(&self, spool: &Spool, gateway: &OnlineGateway) -> Option<Timestamp> {
        self.pause_of(spool, &gateway.address)
    }

    /// The same for a server of this address.
    #[must_use]
    pub fn pause_of(&self, spool: &Spool, address: &str) -> Option<Timestamp> {
        let state = spool.host_state(address, self.now);
        state.next_try.filter(|_| !state.is_due(self.now))
    }

    /// Whether it is time for the next exchange with a gateway. An urgent parcel does not wait for that.
    ///
    /// # Errors
    /// When the queue cannot be listed.
    pub fn is_time(
        &self,
        spool: &Spool,
        gateway: &OnlineGateway,
    ) -> Result<bool, crate::spool::Error> {
        let state = spool.host_state(&gateway.address, self.now);
        let every = self.config.online_every().unwrap_or(SignedDuration::ZERO);
        match state.last_success.map(|last| last + every) {
            Some(next) if next > self.now => is_urgent(spool, gateway.id),
            _ => Ok(true),
        }
    }
}

/// Whether a parcel waits for a gateway that does not wait for the next turn.
fn is_urgent(spool: &Spool, gateway: NodeId) -> Result<bool, crate::spool::Error> {
    let first = SpoolMessages::of(spool).page(QueueId::Out(gateway), None, 1)?;
    Ok(first
        .first()
        .is_some_and(|it| it.name().urgency() >= URGENT))
}

/// The lock of those who exchange parcels with a gateway online; `None` if another run does.
///
/// # Errors
/// When the lock file cannot be opened or locked.
pub fn lock(spool: &Spool, gateway: NodeId) -> anyhow::Result<Option<Lock>> {
    let path = spool.owner().lock_file(&format!("online.{gateway}"))?;
    Ok(Lock::try_exclusive(&path)?)
}

/// Exchanges with gateways, with several at a time: one that hangs, or delivers without end, keeps nothing from the
/// others.
///
/// # Errors
/// The first error of an exchange, after which no other begins.
pub fn side_by_side(
    gateways: &[OnlineGateway],
    exchange: &(dyn Fn(&OnlineGateway) -> anyhow::Result<()> + Sync),
) -> anyhow::Result<()> {
    let waiting = Mutex::new(gateways.iter());
    let next = || mutex::lock(&waiting).next();
    let work = || -> anyhow::Result<()> {
        while let Some(gateway) = next() {
            if let Err(error) = exchange(gateway) {
                *mutex::lock(&waiting) = [].iter();
                return Err(error);
            }
        }
        Ok(())
    };
    if gateways.len() < 2 {
        return work();
    }
    std::thread::scope(|scope| {
        let threads = gateways.len().min(MAX_AT_ONCE);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut ended = Ok(());
        for thread in threads {
            let worked = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            ended = ended.and(worked);
        }
        ended
    })
}

/// Exchanges once with the first server of a gateway that can be reached.
///
/// # Errors
/// When none can, and those of [`exchange::once`].
pub fn exchange_once(
    (network, servers): (&Network, &[Server]),
    spool: &Spool,
    gateway: &OnlineGateway,
    clock: &ClockArgs,
    log: &Mutex<OnlineLog>,
) -> anyhow::Result<()> {
    let mut registered = Registered::with(spool.owner(), gateway.id)?;
    let now = clock.now(Some(spool.owner().config()))?;
    let time = || time_of(spool, clock);
    walk::first_reached(servers, &gateway.address, |server| {
        let connector = match network.connector(server, now) {
            Ok(connector) => connector,
            Err(error) => return Ok(Err(error)),
        };
        if renew(&connector, spool, gateway, &registered, clock)? {
            registered = Registered::with(spool.owner(), gateway.id)?;
        }
        let context = OnlineContext {
            spool,
            registered: &registered,
            label: &gateway.address,
            connector: &connector,
            max_len: spool.owner().config().online_max_size(),
            clock: &time,
            goes_on: &|| true,
        };
        let mut each = |event| mutex::lock(log).tell(&gateway.label, event);
        match exchange::once(&context, &mut each) {
            Ok(_) => Ok(Ok(())),
            Err(error) => error.downcast::<Error>().map(Err),
        }
    })?
    .map_err(anyhow::Error::from)
}

/// Renews the registration with a gateway if that is due. Returns whether it was: a failure is reported, and keeps no
/// parcel from being exchanged.
///
/// # Errors
/// When the attempt cannot be noted.
pub fn renew(
    connector: &Connector,
    spool: &Spool,
    gateway: &OnlineGateway,
    registered: &Registered,
    clock: &ClockArgs,
) -> Result<bool, Error> {
    let (time, window) = time_of(spool, clock)?;
    let now = time.told;
    let tried = spool.host_state(&gateway.address, now).renewal_tried;
    // By a clock that is wrong everything ends soon.
    if !time.is_believed() || !renew::is_due(spool.owner(), registered, tried, now)? {
        return Ok(false);
    }
    super::host_reports::noted(spool.note_renewal(&gateway.address, now));
    let client = Client::new(connector.clone(), now);
    match renew::renew(spool.owner(), registered, &client, window, now) {
        Ok(end) => {
            let (label, end) = (gateway.label.as_str(), end.to_string());
            report::event("renewed", &[("gateway", label), ("until", &end)]);
            Ok(true)
        }
        Err(error) => {
            let text = report::text_of_error(&error);
            let end = registered.certificate.not_after();
            let label = &gateway.label;
            report::warn(&format!(
                "{label}: the registration ends at {end} and was not renewed: {text}"
            ));
            Ok(false)
        }
    }
}

/// The time now, with the verdict on it.
///
/// # Errors
/// When it is not allowed, or the spool cannot be read.
pub fn time_of(spool: &Spool, clock: &ClockArgs) -> Result<(Time, Window), Error> {
    let config = spool.owner().config();
    let now = clock.now(Some(config))?;
    let window = clock.window(now, Some(config));
    Ok((spool.time(now, &window)?, window))
}
