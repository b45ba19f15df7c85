//! Cargo that comes (RS-008 §`DeliverCargo`): stored on the medium within the spool, acknowledged, and then unpacked as
//! relay-sync does it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::cargo_out::CIPHER;
use super::context::{KeeperContext, KeeperEvent};
use super::newcomers::Newcomers;
use super::verdicts::verdict_of;
use crate::binding::cogrpc::CargoDelivery;
use crate::medium::{self, ExchangeEvent, Exporter, Importer, Medium, PassingMessage, passing};
use crate::ramf::Kind;
use crate::receive::{ReceiveOptions, Repeats};
use crate::serve::Error;
use crate::serve::outbox::Outbox;
use crate::serve::protocol::{CallId, ServeVerdict};
use crate::serve::rooms::Rooms;
use crate::spool::{self, Time};
use crate::verify::Policy;

/// How long a run that unpacks waits for others that move messages, before it looks whether the server is to stop.
const LOCK_AGAIN: Duration = Duration::from_millis(100);

/// What a file takes besides its octets, at most: what file systems round up to.
const OVERHEAD: u64 = 64 * 1024;

/// What is of no use any more is removed from the medium so often.
const TIDY_EVERY: Duration = Duration::from_secs(3600);

/// What stays on the medium is looked at again after this time: there may be room by then.
const IMPORT_AGAIN: Duration = Duration::from_secs(60);

/// A delivery of cargo.
pub(super) struct ArrivedCargo {
    /// Its question.
    pub call: CallId,
    /// The message, unless it is in the room of that question.
    pub octets: Option<Vec<u8>>,
}

/// Takes cargo in.
pub(super) struct CargoIntake<'a> {
    context: &'a KeeperContext<'a>,
    outbox: &'a Outbox<'a>,
    rooms: &'a Rooms,
    medium: &'a Medium,
    newcomers: &'a Newcomers<'a>,
}

impl<'a> CargoIntake<'a> {
    pub(super) fn new(
        context: &'a KeeperContext<'a>,
        outbox: &'a Outbox<'a>,
        rooms: &'a Rooms,
        (medium, newcomers): (&'a Medium, &'a Newcomers<'a>),
    ) -> Self {
        Self {
            context,
            outbox,
            rooms,
            medium,
            newcomers,
        }
    }

    /// Takes cargo until no more can come, and tells who unpacks it.
    pub(super) fn work(&self, arrived: &Receiver<ArrivedCargo>, unpacks: &Sender<()>) {
        for ArrivedCargo { call, octets } in arrived {
            let delivery = match self.rooms.delivery(call, octets) {
                Ok(Some(delivery)) => delivery,
                Ok(None) => {
                    let verdict = ServeVerdict::Malformed("no delivery of cargo".to_owned());
                    self.outbox.answer(call, verdict, &[]);
                    continue;
                }
                Err(error) => {
                    let verdict = self.context.failed(error.into(), "it cannot be stored now");
                    self.outbox.answer(call, verdict, &[]);
                    continue;
                }
            };
            let verdict = match self.take(&delivery) {
                Ok(()) => {
                    let _ = unpacks.send(());
                    ServeVerdict::Done
                }
                Err(verdict) => {
                    (self.context.report)(KeeperEvent::Refused {
                        verdict: verdict.clone(),
                        peer: None,
                    });
                    // As deployed gateways do: what is refused for good is acknowledged, or couriers would bring it again.
                    match verdict {
                        ServeVerdict::Malformed(_) | ServeVerdict::Refused(_) => ServeVerdict::Done,
                        other => other,
                    }
                }
            };
            self.outbox.answer(call, verdict, delivery.id.as_bytes());
        }
    }

    /// Stores cargo for this gateway, durably.
    fn take(&self, delivery: &CargoDelivery) -> Result<(), ServeVerdict> {
        let failed = |error| self.context.failed(error, "it cannot be stored now");
        let (time, window) = (self.context.clock)().map_err(failed)?;
        let owner = self.context.spool.owner();
        let policy = Policy::of_node(owner, Vec::new(), window, time.told);
        let policy = Policy {
            recipient: Some(owner.id()),
            ..policy.map_err(|error| failed(error.into()))?
        };
        let octets = delivery.cargo.to_vec();
        let cargo = PassingMessage::verify(octets, &[Kind::Cargo], &policy).map_err(|error| {
            if passing::is_refused_for_good(&error, time.is_believed()) {
                ServeVerdict::Refused(error.to_string())
            } else {
                verdict_of(error.kind(), "", time.is_believed())
            }
        })?;
        if !cargo.is_authorized {
            return Err(ServeVerdict::Refused(
                "this gateway did not authorize the sender".to_owned(),
            ));
        }
        // The reserve of the node stays free beside the medium.
        let free = self.medium.free_space();
        let free = free.map_err(|error| failed(error.into()))?;
        if free < cargo.octets().len() as u64 + OVERHEAD {
            return Err(ServeVerdict::Full("there is no room for it now".to_owned()));
        }
        let stored = self.medium.store(&cargo);
        let is_new = stored.map_err(|error| failed(error.into()))?;
        if let Err(error) = self.newcomers.signed(cargo.sender) {
            (self.context.report)(KeeperEvent::Failed(error.into()));
        }
        (self.context.report)(KeeperEvent::Cargo {
            sender: cargo.sender,
            len: cargo.octets().len(),
            is_new,
        });
        Ok(())
    }

    /// Unpacks what came, until no more can come.
    pub(super) fn unpack_all(&self, wakes: &Receiver<()>) {
        let mut tidied: Option<Instant> = None;
        // What an earlier run left comes first.
        loop {
            let is_due = tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY);
            let unpacked = self.unpack().and_then(|()| {
                if is_due {
                    self.tidy()?;
                    tidied = Some(Instant::now());
                }
                Ok(())
            });
            let next = match unpacked {
                Ok(()) => IMPORT_AGAIN,
                Err(Error::Spool(spool::Error::Locked)) => LOCK_AGAIN,
                Err(error) => {
                    (self.context.report)(KeeperEvent::Failed(error));
                    IMPORT_AGAIN
                }
            };
            if wakes.recv_timeout(next) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            while wakes.try_recv().is_ok() {}
        }
    }

    fn unpack(&self) -> Result<(), Error> {
        let spool = self.context.spool;
        let us = spool.owner().id();
        if self
            .medium
            .files_for(Kind::Cargo, us)?
            .next_message()?
            .is_none()
        {
            return Ok(());
        }
        let _lock = spool.lock()?;
        let (time, window) = (self.context.clock)()?;
        let terms = ReceiveOptions {
            window,
            now: time.sure,
            repeats: Repeats::Unjudged,
        };
        let mut importer = Importer::new(spool, self.medium, terms, time)?;
        importer.run(&mut |event| {
            self.tell(event, &time);
            Ok::<(), Error>(())
        })?;
        (self.context.came)();
        Ok(())
    }

    /// Removes cargo that has expired although nobody asked for it, and old hints, marks and leftovers.
    fn tidy(&self) -> Result<(), Error> {
        let spool = self.context.spool;
        let (time, window) = (self.context.clock)()?;
        if !time.is_believed() {
            return Ok(());
        }
        let terms = ReceiveOptions {
            window,
            now: time.sure,
            repeats: Repeats::Unjudged,
        };
        let _lock = spool.lock()?;
        // It surveys the medium.
        Exporter::new(spool, self.medium, terms, time, CIPHER)?;
        self.medium.clean(time.told, &mut |event| {
            self.tell(event, &time);
            Ok::<(), Error>(())
        })
    }

    /// Reports what happens to cargo. What is refused for good leaves the medium, where nobody would look at it.
    fn tell(&self, event: ExchangeEvent, time: &Time) {
        if let ExchangeEvent::Failed { what, error } = &event
            && passing::is_refused_for_good(error, time.is_believed())
            && let Err(error) = self.drop_cargo(what)
        {
            (self.context.report)(KeeperEvent::Failed(error.into()));
        }
        (self.context.report)(KeeperEvent::Exchange(Box::new(event)));
    }

    /// Removes the cargo that an event is about, if it is about a whole one.
    fn drop_cargo(&self, what: &str) -> Result<(), medium::Error> {
        let mut files = self
            .medium
            .files_for(Kind::Cargo, self.context.spool.owner().id())?;
        while let Some(file) = files.next_message()? {
            if file.to_string() == what {
                self.medium.remove(&file)?;
            }
        }
        Ok(())
    }
}
