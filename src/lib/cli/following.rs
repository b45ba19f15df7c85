//! A run of relay-online that goes on until it is stopped.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use super::args::NetworkOptions;
use super::arrivals::ArrivalRouter;
use super::clock::ClockArgs;
use super::gateways::{self, OnlineGateway};
use super::online::OnlineLog;
use super::report;
use crate::binding::connect::Connector;
use crate::binding::online::exchange::OnlineContext;
use crate::binding::online::follow::{self, FollowEvent, FollowReport, Pauses};
use crate::binding::online::registration::Registered;
use crate::binding::{Cutoff, Error};
use crate::command;
use crate::pipeline::mutex;
use crate::spool::Spool;

/// When the run is to end, answers that are under way have this time.
const END_WITHIN: Duration = Duration::from_secs(3);

/// How often it is looked whether they have come.
const LOOK_OFTEN: Duration = Duration::from_millis(20);

/// So often the gateway is looked up anew, and it is seen whether the registration with it is to be renewed.
const LOOK_UP_EVERY: Duration = Duration::from_secs(24 * 3600);

/// After so many failures in a row the gateway is looked up anew: it may have moved.
const LOOK_UP_AFTER: u32 = 3;

/// Exchanges with gateways until a signal ends the run.
///
/// # Errors
/// When the node or its spool cannot be read or changed.
pub fn follow(
    spool: &Spool,
    gateways: &[OnlineGateway],
    options: (&NetworkOptions, &ClockArgs),
    json: bool,
) -> anyhow::Result<()> {
    let ends = command::stop_flag()?;
    let mut locks = Vec::new();
    let mut locked = Vec::new();
    for gateway in gateways {
        match gateways::lock(spool, gateway.id)? {
            Some(lock) => {
                locks.push(lock);
                locked.push(gateway);
            }
            None => report::detail(&format!("{}: another run is active", gateway.label)),
        }
    }
    if locked.is_empty() {
        return Ok(());
    }
    let log = Mutex::new(OnlineLog::following(json));
    let cutoff = Cutoff::default();
    // An error of one thread ends all.
    let failed = AtomicBool::new(false);
    let goes_on = || !ends.load(Ordering::Relaxed) && !failed.load(Ordering::Relaxed);
    let ended = std::thread::scope(|scope| {
        let threads: Vec<_> = locked
            .iter()
            .map(|gateway| {
                let follower = Follower {
                    spool,
                    gateway,
                    options,
                    log: &log,
                    cutoff: &cutoff,
                    goes_on: &goes_on,
                };
                let failed = &failed;
                scope.spawn(move || {
                    let ended = follower.run();
                    failed.fetch_or(ended.is_err(), Ordering::Relaxed);
                    ended
                })
            })
            .collect();
        let arrivals = ArrivalRouter {
            spool,
            clock: options.1,
            goes_on: &goes_on,
            // What was not named is said from time to time.
            is_asked: &|| false,
            pulse: &|| mutex::lock(&log).tell_more(Instant::now()),
            routed: &|| {},
            trouble: &|error| {
                let now = options.1.now(Some(spool.owner().config()))?;
                mutex::lock(&log).trouble(spool, "", error, now)
            },
        };
        let routed = arrivals.run();
        failed.fetch_or(routed.is_err(), Ordering::Relaxed);
        // A server may take long over what it was asked for. What it has not acknowledged by then stays.
        let ending = Instant::now();
        while ending.elapsed() < END_WITHIN && !threads.iter().all(ScopedJoinHandle::is_finished) {
            std::thread::sleep(LOOK_OFTEN);
        }
        cutoff.cut();
        threads.into_iter().fold(routed, |ended, thread| {
            let followed = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            ended.and(followed)
        })
    });
    drop(locks);
    let log = log
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    log.finish_following(ended)
}

/// The pauses after failures. They outlast a server: one that cannot be reached is not asked more often because it is
/// looked up anew.
#[derive(Default)]
struct FollowPauses {
    looking_up: Pauses,
    starting: Pauses,
    submitting: Pauses,
    collecting: Pauses,
}

/// Follows one gateway.
struct Follower<'a> {
    spool: &'a Spool,
    gateway: &'a OnlineGateway,
    options: (&'a NetworkOptions, &'a ClockArgs),
    log: &'a Mutex<OnlineLog>,
    cutoff: &'a Cutoff,
    goes_on: &'a (dyn Fn() -> bool + Sync),
}

impl Follower<'_> {
    fn run(&self) -> anyhow::Result<()> {
        let mut pauses = FollowPauses::default();
        while (self.goes_on)() {
            match self.connectors() {
                Ok(connectors) => {
                    pauses.looking_up.reset();
                    for connector in &connectors {
                        self.with(connector, &mut pauses)
                            .or_else(|error| self.fail(error, &mut pauses))?;
                    }
                }
                // What was to be found is not needed any more.
                Err(_) if !(self.goes_on)() => {}
                Err(error) => {
                    self.trouble(error)?;
                    let pause = pauses.looking_up.next(follow::random());
                    follow::sleep(self.goes_on, pause);
                }
            }
        }
        Ok(())
    }

    /// Pauses after an error, and ends the run if it is of this node and does not pass by itself.
    fn fail(&self, error: anyhow::Error, pauses: &mut FollowPauses) -> anyhow::Result<()> {
        self.trouble(error.downcast::<Error>()?)?;
        let pause = pauses.starting.next(follow::random());
        follow::sleep(self.goes_on, pause);
        Ok(())
    }

    /// The ways to the gateway, as they are now.
    fn connectors(&self) -> Result<Vec<Connector>, Error> {
        let config = self.spool.owner().config();
        let mut network = self.options.0.network(Some(config))?;
        network.cutoff = self.cutoff.clone();
        let now = self.options.1.now(Some(config))?;
        let servers = gateways::servers(&network, Some(self.spool), self.gateway, now)?;
        let connectors = servers.iter().map(|server| network.connector(server, now));
        connectors.collect()
    }

    /// Submits and collects with one server, until it fails several times in a row or the registration changes.
    fn with(&self, connector: &Connector, pauses: &mut FollowPauses) -> anyhow::Result<()> {
        let mut registered = Registered::with(self.spool.owner(), self.gateway.id)?;
        let (gateway, clock) = (self.gateway, self.options.1);
        if gateways::renew(connector, self.spool, gateway, &registered, clock)? {
            registered = Registered::with(self.spool.owner(), gateway.id)?;
        }
        let started = Instant::now();
        let failures = AtomicU32::new(0);
        let failed = AtomicBool::new(false);
        let goes_on = || {
            (self.goes_on)()
                && failures.load(Ordering::Relaxed) < LOOK_UP_AFTER
                && started.elapsed() < LOOK_UP_EVERY
                && !failed.load(Ordering::Relaxed)
        };
        let clock = || gateways::time_of(self.spool, self.options.1);
        let context = OnlineContext {
            spool: self.spool,
            registered: &registered,
            label: &self.gateway.address,
            connector,
            max_len: self.spool.owner().config().online_max_size(),
            clock: &clock,
            goes_on: &goes_on,
        };
        let report = |event| {
            match &event {
                FollowEvent::Connected => failures.store(0, Ordering::Relaxed),
                FollowEvent::Trouble(_) => {
                    failures.fetch_add(1, Ordering::Relaxed);
                }
                FollowEvent::Exchange(_) => {}
            }
            self.tell(event)
        };
        let report: FollowReport<'_, anyhow::Error> = &report;
        let FollowPauses {
            submitting,
            collecting,
            ..
        } = pauses;
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                let ended = follow::submit(&context, submitting, report);
                failed.fetch_or(ended.is_err(), Ordering::Relaxed);
                ended
            });
            let collected = follow::collect(&context, collecting, report);
            failed.fetch_or(collected.is_err(), Ordering::Relaxed);
            let sent = sender
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            collected.and(sent)
        })
    }

    fn tell(&self, event: FollowEvent) -> anyhow::Result<()> {
        match event {
            FollowEvent::Exchange(event) => mutex::lock(self.log).tell(&self.gateway.label, event),
            FollowEvent::Connected => {
                let now = self.options.1.now(Some(self.spool.owner().config()))?;
                report::event("connected", &[("gateway", &self.gateway.label)]);
                mutex::lock(self.log).connected(&self.gateway.address);
                super::host_reports::noted(
                    self.spool.note_host_success(&self.gateway.address, now),
                );
                Ok(())
            }
            FollowEvent::Trouble(error) => self.trouble(error),
        }
    }

    /// Reports an error once, and ends the run if it is of this node and does not pass by itself.
    fn trouble(&self, error: Error) -> anyhow::Result<()> {
        let now = self.options.1.now(Some(self.spool.owner().config()))?;
        let mut log = mutex::lock(self.log);
        log.trouble(self.spool, &self.gateway.address, error, now)
    }
}
