//! relay-ferry --sync: a node at the courier of its network.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::SignedDuration;

use super::args::{CipherChoice, NetworkOptions};
use super::clock::ClockArgs;
use super::errors::{Postponed, Usage};
use super::exchange::Log;
use super::ferrying::{COURIER_PORT, FerryLog};
use super::gateways::OnlinePolicy;
use super::{gateways, report};
use crate::binding::cogrpc::CogrpcClient;
use crate::binding::ferry::default_route;
use crate::binding::ferry::visit::{VISIT_PAUSE, Visit};
use crate::binding::{Network, Server};
use crate::disk::Lock;
use crate::medium::{Exporter, Importer, Medium};
use crate::node::Directory;
use crate::pki::NodeId;
use crate::receive::{ReceiveOptions, Repeats};
use crate::spool::{self, Spool, Time};
use crate::verify::Policy;

/// How long the lock of the queues is waited for: other runs hold it while they route.
const LOCK_WITHIN: Duration = Duration::from_secs(30);

/// How a visit is made.
pub struct VisitOptions<'a> {
    /// Where the courier is, if the user said so.
    pub address: Option<&'a str>,
    /// The pause between collecting and delivering, if something came.
    pub pause: Option<Duration>,
    /// Whether lines of JSON are printed.
    pub json: bool,
    /// Starts at another moment within this time.
    pub splay: Option<SignedDuration>,
    /// The way to servers.
    pub network: &'a NetworkOptions,
    /// How cargo is encrypted.
    pub cipher: &'a CipherChoice,
    /// The clock.
    pub clock: &'a ClockArgs,
}

/// How long a courier has for calls on one connection, however fast it is: others come by, and other runs wait for the lock.
const CALLS_WITHIN: Duration = Duration::from_secs(15 * 60);

/// The courier that somebody named, as `ADDRESS` or `ADDRESS:PORT`: of a private network, or this machine.
fn named(text: &str) -> anyhow::Result<SocketAddrV4> {
    let with_port = text.parse::<SocketAddrV4>().ok();
    let alone = || Some(SocketAddrV4::new(text.parse().ok()?, COURIER_PORT));
    let found = with_port.or_else(alone);
    let is_of_courier =
        |it: &SocketAddrV4| default_route::is_of_courier(*it.ip()) || it.ip().is_loopback();
    found.filter(is_of_courier).ok_or_else(|| {
        let text = format!("--courier-address is a private IPv4 address, not {text}");
        Usage(text).into()
    })
}

/// The courier: the named one, or the gateway of the default route; `None` where nobody is to be asked, or nobody is there.
fn courier(node: &Directory, given: Option<&str>) -> anyhow::Result<Option<SocketAddrV4>> {
    if let Some(text) = given {
        return named(text).map(Some);
    }
    if !node.config().couriers() {
        return Ok(None);
    }
    let gateway = default_route::gateway(Path::new(default_route::SYSTEM));
    let gateway = gateway.filter(|it: &Ipv4Addr| default_route::is_of_courier(*it));
    let at = gateway.map(|it| SocketAddrV4::new(it, COURIER_PORT));
    at.map(Some).ok_or_else(|| {
        Postponed("no courier: this machine has no gateway in a private network".to_owned()).into()
    })
}

/// Prints where a visit would go to.
///
/// # Errors
/// When there is no courier, or the output cannot be written.
pub fn print_plan(node: &Directory, options: &VisitOptions<'_>) -> anyhow::Result<()> {
    let Some(courier) = courier(node, options.address)? else {
        tell_unasked();
        return Ok(());
    };
    let from = if options.address.is_some() {
        "option"
    } else {
        "route"
    };
    let (host, port) = (courier.ip().to_string(), courier.port());
    let line = if options.json {
        let line = serde_json::json!({
            "v": crate::describe::VERSION,
            "address": courier.to_string(),
            "host": host,
            "port": port,
            "certificate": "self-signed",
            "from": from,
        });
        crate::describe::json::line(&line)
    } else {
        super::labels::shown(format!("{courier}\t{host}\t{port}\tself-signed\t{from}"))
    };
    super::files::print(&line)?;
    Ok(())
}

fn tell_unasked() {
    if !report::is_quiet() {
        report::warn_with(
            "no courier is asked: couriers is no in the node's config",
            "relay-site(7) says what a stranger's network learns; --courier-address asks one",
        );
    }
}

/// Visits the courier.
///
/// # Errors
/// The status of all that failed, or why the run ended early.
pub fn visit(node: Directory, options: &VisitOptions<'_>) -> anyhow::Result<()> {
    node.check_is_gateway()?;
    let spool = Spool::of(node)?;
    let owner = spool.owner();
    let mut log = FerryLog::new(options.json);
    let courier = match courier(owner, options.address) {
        Ok(Some(courier)) => courier,
        Ok(None) => {
            tell_unasked();
            return Ok(());
        }
        Err(error) if error.is::<Postponed>() => {
            log.absent("courier", &error);
            return log.finish(Ok(()));
        }
        Err(error) => return Err(error),
    };
    super::splay::wait(owner.id(), options.splay);
    // Another run does it.
    let Some(_lock) = Lock::try_exclusive(&owner.lock_file("ferry")?)? else {
        report::detail("another run is active");
        return Ok(());
    };
    let address = courier.to_string();
    let now = options.clock.now(Some(owner.config()))?;
    let policy = OnlinePolicy::of(owner.config(), now);
    if let (true, Some(until)) = (report::is_quiet(), policy.pause_of(&spool, &address)) {
        log.left_alone(&address, until);
        return log.finish(Ok(()));
    }
    let mut failures = Ok(());
    let ended = exchange(&spool, courier, options, (&mut log, &mut failures));
    let ended = log.ended(&spool, &address, ended, now);
    log.finish(ended.and(failures))
}

/// Exchanges cargo with a courier: collects, unpacks and packs, delivers. The queues are not locked meanwhile. What cannot be
/// unpacked or packed is in `failures`, and keeps nothing else from being exchanged.
fn exchange(
    spool: &Spool,
    courier: SocketAddrV4,
    options: &VisitOptions<'_>,
    (log, failures): (&mut FerryLog, &mut anyhow::Result<()>),
) -> anyhow::Result<()> {
    let owner = spool.owner();
    let mut network = options.network.network(Some(owner.config()))?;
    // A proxy is no way to the network that this machine is in.
    network.proxy = None;
    // A courier is found before anything is packed for it.
    let mut client = connect(&network, courier, options)?;
    client.rest();
    let others = reached_online(spool, options)?;
    let medium = Medium::of_spool(spool)?;
    *failures = turn_over(spool, &medium, &others, options)?;
    let (time, window) = gateways::time_of(spool, options.clock)?;
    let policy = Policy::of_node(owner, Vec::new(), window, time.told)?;
    let visit = Visit {
        spool,
        medium: &medium,
        policy: &policy,
        time,
        others: &others,
    };
    let (stored, collected) = visit.collect(&mut client, &mut |event| log.tell(event))?;
    client.rest();
    if stored > 0 {
        // What came is acknowledged in the cargo that goes.
        let failed = turn_over(spool, &medium, &others, options)?;
        *failures = failed;
    }
    collected?;
    if stored > 0 {
        std::thread::sleep(options.pause.unwrap_or(VISIT_PAUSE));
    }
    let mut client = connect(&network, courier, options)?;
    visit.deliver(&mut client, &mut |event| log.tell(event))??;
    Ok(())
}

fn connect(
    network: &Network,
    courier: SocketAddrV4,
    options: &VisitOptions<'_>,
) -> anyhow::Result<CogrpcClient> {
    let now = options.clock.now(None)?;
    let server = Server::named_by_operator(&courier.to_string(), None)?;
    let connector = network.connector(&server, now)?;
    let client = CogrpcClient::connect(connector)?;
    Ok(client.until(Instant::now() + CALLS_WITHIN))
}

/// The gateways with which another run exchanges parcels over a network, which works.
fn reached_online(spool: &Spool, options: &VisitOptions<'_>) -> anyhow::Result<BTreeSet<NodeId>> {
    let now = options.clock.now(None)?;
    let mut reached = BTreeSet::new();
    for gateway in gateways::chosen(spool.owner(), &[])? {
        let state = spool.host_state(&gateway.address, now);
        let is_well = state.failures == 0 && state.last_success.is_some();
        if is_well && gateways::lock(spool, gateway.id)?.is_none() {
            reached.insert(gateway.id);
        }
    }
    Ok(reached)
}

/// Unpacks what is on the medium for this node, and packs what waits. Within the result, what could not be.
fn turn_over(
    spool: &Spool,
    medium: &Medium,
    others: &BTreeSet<NodeId>,
    options: &VisitOptions<'_>,
) -> anyhow::Result<anyhow::Result<()>> {
    let config = spool.owner().config();
    let now = options.clock.now(Some(config))?;
    let window = options.clock.window(now, Some(config));
    let _lock = lock_queues(spool)?;
    let time: Time = spool.see_time(now, &window)?;
    let terms = ReceiveOptions {
        window,
        now: time.sure,
        // Cargo holds sealed messages, each of which its recipient checks for repetition.
        repeats: Repeats::Unjudged,
    };
    let mut log = Log::of(medium.id())
        .at(medium.dir())
        .by(&time)
        .printed(options.json);
    let mut turn = || -> anyhow::Result<()> {
        Importer::new(spool, medium, terms, time)?.run(&mut |event| log.tell(event))?;
        let cipher = options.cipher.cipher;
        let mut exporter = Exporter::all_but(others.clone(), spool, medium, terms, time, cipher)?;
        exporter.run(&mut |event| log.tell(event))?;
        if time.is_believed() {
            medium.clean(now, &mut |event| log.tell(event))?;
        }
        Ok(())
    };
    turn()?;
    Ok(log.failures())
}

/// Takes the lock of the queues, for which a run that routes is waited.
fn lock_queues(spool: &Spool) -> Result<Lock, spool::Error> {
    let begun = std::time::Instant::now();
    loop {
        match spool.lock_of(spool.owner()) {
            Err(spool::Error::Locked) if begun.elapsed() < LOCK_WITHIN => {
                std::thread::sleep(Duration::from_millis(50));
            }
            locked => return locked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn couriers_are_named_by_private_addresses() {
        let shown = |text: &str| named(text).map(|it| it.to_string());
        assert_eq!(shown("192.168.43.1").unwrap(), "192.168.43.1:21473");
        assert_eq!(shown("127.0.0.1:99").unwrap(), "127.0.0.1:99");
        for other in [
            "9.9.9.9",
            "9.9.9.9:1",
            "gw.example.org",
            "[::1]:1",
            "",
            "10.0.0.1:",
        ] {
            let error = named(other).unwrap_err();
            assert!(error.is::<Usage>(), "{other}: {error}");
        }
    }
}
