//! A run that routes what waits, for relay-route and for programs that route while they go on.

use std::sync::Mutex;

use super::input_ref::InputRef as Input;
use super::routing::{self, RouteReport};
use super::unexpected::UnexpectedReport;
use super::{files, report};
use crate::command::RunOptions;
use crate::disk::Lock;
use crate::node::Rates;
use crate::pki::Window;
use crate::route::control::ControlQueue;
use crate::route::revocation::RevocationDesk;
use crate::route::{self, Hops, Router};
use crate::spool::{QueueId, QueueKind, Room, Spool, Time};
use crate::verify::Policy;

/// What a run needs to judge messages.
#[derive(Clone, Copy)]
pub struct RouteTerms<'a> {
    /// The spool.
    pub spool: &'a Spool,
    /// The instants that dates are checked against.
    pub window: &'a Window,
    /// The time.
    pub time: Time,
    /// How commands are run.
    pub commands: RunOptions,
}

impl<'a> RouteTerms<'a> {
    /// What moves the messages.
    ///
    /// # Errors
    /// When the routes are wrong, or the node cannot be read.
    fn router(&self, is_dry: bool) -> Result<Router<'a>, route::Error> {
        let owner = self.spool.owner();
        let policy = Policy::of_node(owner, Vec::new(), *self.window, self.time.told)?;
        Ok(Router {
            spool: self.spool,
            hops: Hops::of(owner)?,
            policy,
            room: Room::new(self.spool.root(), owner.config(), Some(self.spool)),
            rates: Mutex::new(Rates::of(owner.root())),
            time: self.time,
            commands: self.commands,
            is_dry,
        })
    }

    /// Applies what control messages say, and moves the messages in `in`. `lock` is the queue lock.
    ///
    /// # Errors
    /// When the run ended early, else the status of all failures.
    pub fn run(&self, lock: Lock, mut reports: RouteReport<'_>) -> anyhow::Result<()> {
        if let Err(error) = self.apply(&mut reports) {
            return reports.finish(self.spool, Err(error));
        }
        let mut unexpected = UnexpectedReport::default();
        let router = self.router(false)?;
        let ended = router.run(Some(lock), &mut |routed| reports.add(routed), &mut |path| {
            unexpected.add(path);
        });
        unexpected.report();
        reports.finish(self.spool, ended)
    }

    /// Prints what a run would decide, and moves nothing.
    ///
    /// # Errors
    /// When the spool cannot be read, or standard output not be written.
    pub fn print(&self, json: bool) -> anyhow::Result<()> {
        let mut unexpected = UnexpectedReport::default();
        let ended = self.router(true)?.run(
            None,
            &mut |routed| files::print(&routing::decision(&routed, json)),
            &mut |path| unexpected.add(path),
        );
        unexpected.report();
        ended
    }

    /// Applies the control messages of each gateway, and the deauthorizations in `in`. An error of one queue keeps neither the other
    /// queues nor the parcels from being handled.
    fn apply(&self, reports: &mut RouteReport<'_>) -> anyhow::Result<()> {
        let Self {
            spool,
            window,
            time,
            ..
        } = self;
        let revocations = RevocationDesk::new(spool, window, time);
        let by_gateways = spool.queues_in(QueueKind::Control)?.into_iter();
        let by_gateways = by_gateways.map(|(gateway, queue)| (Some(gateway), queue));
        let left_here = (None, spool.queue(QueueId::In));
        for (gateway, queue) in by_gateways.chain([left_here]) {
            let desk = ControlQueue {
                spool,
                gateway,
                desk: &revocations,
                window,
                time,
            };
            let mut unexpected = UnexpectedReport::default();
            let applied = desk.apply(
                &mut |applied| reports.add_control(gateway, applied, time),
                &mut |path| unexpected.add(path),
            );
            unexpected.report();
            if applied.is_err() {
                reports.outcome.take();
                let queue = Input::named(report::path(queue.dir()));
                reports.outcome.done(&queue, applied)?;
            }
        }
        Ok(())
    }
}
