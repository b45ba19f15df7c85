//! Routes what comes into `in`, for runs that go on until they are stopped.

use std::time::{Duration, Instant, SystemTime};

use super::clock::ClockArgs;
use super::report;
use super::route_run::RouteTerms;
use super::routing::RouteReport;
use super::status::{self, Reported, Status};
use crate::binding::Error;
use crate::binding::online::follow::{self, Pauses};
use crate::command::RunOptions;
use crate::disk::watch::DirWatch;
use crate::spool::{self, QueueId, Spool};

/// The shortest time between two runs that route. A parcel passes up to three nodes that do so on its way, within 2 s.
const ROUTE_EVERY: Duration = Duration::from_millis(400);

/// When the queues are busy, they are tried again after this time.
const ROUTE_BUSY: Duration = Duration::from_millis(250);

/// What stays in `in` is looked at again after this time, since time alone may change what becomes of it.
const ROUTE_AGAIN: Duration = Duration::from_secs(60);

/// How long a wait lasts before it is looked whether the run is to end.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Routes what comes into `in`.
pub struct ArrivalRouter<'a> {
    /// The spool.
    pub spool: &'a Spool,
    /// The clock.
    pub clock: &'a ClockArgs,
    /// Whether to go on.
    pub goes_on: &'a dyn Fn() -> bool,
    /// Whether a run is asked for, although nothing may have come into `in`: the answer is asked for about once a second, and
    /// counts once.
    pub is_asked: &'a dyn Fn() -> bool,
    /// Called about once a second.
    pub pulse: &'a dyn Fn(),
    /// Called after each time that something was routed.
    pub routed: &'a dyn Fn(),
    /// Told of what fails and is not of a message. If it returns an error, that ends the run; else routing goes on after
    /// a pause.
    pub trouble: &'a dyn Fn(Error) -> anyhow::Result<()>,
}

impl ArrivalRouter<'_> {
    /// Routes until the run is to end.
    ///
    /// # Errors
    /// Those that `trouble` returns.
    pub fn run(&self) -> anyhow::Result<()> {
        let mut pauses = Pauses::default();
        loop {
            let started = Instant::now();
            let Err(error) = self.route_on() else {
                return Ok(());
            };
            if started.elapsed() >= ROUTE_AGAIN {
                pauses.reset();
            }
            (self.trouble)(error)?;
            follow::sleep(self.goes_on, pauses.next(follow::random()));
        }
    }

    /// Routes until the run is to end or something fails.
    fn route_on(&self) -> Result<(), Error> {
        let arrivals = self.spool.make(QueueId::In)?;
        let watch = DirWatch::of(&[arrivals.dir()]);
        let mut last: Option<(Instant, Option<SystemTime>)> = None;
        let mut is_woken = false;
        let mut pauses = Pauses::default();
        let mut is_asked = false;
        while (self.goes_on)() {
            (self.pulse)();
            is_asked |= (self.is_asked)();
            // Of another machine's changes on a network file system only the time of the directory tells.
            let modified = follow::time_of_change(arrivals.dir());
            let is_new = is_woken || is_asked || last.is_none_or(|(_, seen)| seen != modified);
            let since = last.map(|(at, _)| at.elapsed());
            let is_soon = since.is_some_and(|since| since < ROUTE_EVERY);
            let is_old = since.is_none_or(|since| since >= ROUTE_AGAIN);
            if (is_new || is_old) && !is_soon {
                let started = Instant::now();
                is_woken = false;
                if std::mem::take(&mut is_asked) || self.spool.count(QueueId::In)? > 0 {
                    match route(self.spool, self.clock)? {
                        RouteEnd::Done => {
                            pauses.reset();
                            (self.routed)();
                        }
                        RouteEnd::Busy => {
                            let _ = watch.wait(ROUTE_BUSY);
                            is_woken = true;
                            continue;
                        }
                        RouteEnd::Failed => {
                            follow::sleep(self.goes_on, pauses.next(follow::random()));
                            is_woken = true;
                            continue;
                        }
                    }
                }
                // Of before, since a message may have come meanwhile.
                last = Some((started, modified));
                continue;
            }
            let rest = since.map_or(ROUTE_EVERY, |since| ROUTE_EVERY.saturating_sub(since));
            is_woken |= watch.wait(if is_new && is_soon { rest } else { LOOK_EVERY });
        }
        Ok(())
    }
}

/// How a run that routes ended.
enum RouteEnd {
    /// What cannot be routed was reported.
    Done,
    /// Another run moves messages now.
    Busy,
    /// Reading or writing failed, which was reported.
    Failed,
}

/// Routes once. What cannot be routed ends nothing.
fn route(spool: &Spool, clock: &ClockArgs) -> Result<RouteEnd, Error> {
    let lock = match spool.lock() {
        Ok(lock) => lock,
        Err(spool::Error::Locked) => return Ok(RouteEnd::Busy),
        Err(error) => return Err(error.into()),
    };
    let owner = spool.owner();
    let now = clock.now(Some(owner.config()))?;
    let window = clock.window(now, Some(owner.config()));
    let time = spool.see_time(now, &window)?;
    let terms = RouteTerms {
        spool,
        window: &window,
        time,
        commands: RunOptions::default(),
    };
    let Err(error) = terms.run(lock, RouteReport::new(owner, &time, false)) else {
        return Ok(RouteEnd::Done);
    };
    if !error.is::<Reported>() {
        report::failure(None, &error);
    }
    Ok(if status::status(&error) == Status::IO {
        RouteEnd::Failed
    } else {
        RouteEnd::Done
    })
}
