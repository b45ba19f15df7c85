//! The process that has the keys and the spool, and no network. It judges and stores what the front received, registers
//! nodes, and gives to those that are connected what waits for them.

mod verdicts; // errors, as clients know them
mod judge; // which parcels and nodes are welcome
mod mailboxes; // how full they are
pub mod policy; // who may be registered
mod context; // what all of it works with
mod newcomers; // who has signed nothing yet
mod abroad; // how much goes to other servers
pub mod counts; // what it did, in numbers
mod intake; // parcels, into the spool
mod desk; // registrations
mod collections; // parcels, out of the spool
mod cargo_out; // cargo, out of the queues
mod cargo_in; // cargo, onto the medium within the spool and from there into the queues

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use super::Error;
use super::carriage::CarriageCall;
use super::channel::{Channel, ReceivedMessage};
use super::dispatch::dispatch;
use super::outbox::Outbox;
use super::protocol::{CallId, ParcelRoute, ToKeeper};
use super::rooms::Rooms;
use crate::medium::Medium;
use crate::spool::room::DEFAULT_RESERVE;
use cargo_in::{ArrivedCargo, CargoIntake};
use cargo_out::Carriage;

use collections::{CollectionCall, Collections};
use desk::{Desk, DeskCall};
use intake::{ArrivedParcel, Intake};
use newcomers::Newcomers;

pub use context::{KeeperContext, KeeperEvent, Routing};

/// How often it is looked whether the server is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often nodes that signed nothing are looked for.
const DROP_EVERY: Duration = Duration::from_secs(300);

/// The threads that take parcels in: while one waits for the disk, another judges.
const INTAKE_THREADS: usize = 4;

/// Where questions go.
struct Desks {
    parcels: Sender<ArrivedParcel>,
    /// Those in files, which are read into memory by one thread alone, and keep no short one waiting.
    long_parcels: Sender<ArrivedParcel>,
    rooms: Sender<RoomCall>,
    registrations: Sender<DeskCall>,
    collections: Sender<CollectionCall>,
    cargo: Sender<ArrivedCargo>,
    carriage: Sender<CarriageCall>,
}

/// A question for room.
enum RoomCall {
    Make(CallId, ParcelRoute, u64),
    GiveUp(CallId),
}

/// Keeps until the server is to stop, or the front ends. `pulse` is called several times a second, so that the caller
/// can act on a signal.
///
/// # Errors
/// [`Error::FrontEnded`] when it ends by itself.
pub fn run(
    context: &KeeperContext<'_>,
    channel: &Channel,
    pulse: &mut dyn FnMut(&Channel),
) -> Result<(), Error> {
    let outbox = Outbox { channel };
    let newcomers = Newcomers::of(context.spool.owner())?;
    let reserve = context.spool.owner().config().reserve();
    let files = Rooms::new(context.spool.tmp(), reserve.unwrap_or(DEFAULT_RESERVE));
    let intake = Intake::new(context, &outbox, &newcomers, &files);
    let (parcels, arrived) = mpsc::channel();
    let (long_parcels, long_arrived) = mpsc::channel();
    let (rooms, asked) = mpsc::channel();
    let (registrations, requested) = mpsc::channel();
    let (collections, collected) = mpsc::channel();
    let (cargo, carried) = mpsc::channel();
    let (carriage, called) = mpsc::channel();
    let medium = if context.role.has_cogrpc() {
        Some(Medium::of_spool(context.spool)?)
    } else {
        None
    };
    let cargo_intake = medium
        .as_ref()
        .map(|medium| CargoIntake::new(context, &outbox, &files, (medium, &newcomers)));
    let desks = Desks {
        parcels,
        long_parcels,
        rooms,
        registrations,
        collections: collections.clone(),
        cargo,
        carriage,
    };
    let (arrived, long_arrived) = (Mutex::new(arrived), Mutex::new(long_arrived));
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..INTAKE_THREADS {
            scope.spawn(|| intake.work(&arrived));
        }
        scope.spawn(|| intake.work(&long_arrived));
        scope.spawn(|| {
            for call in asked {
                match call {
                    RoomCall::Make(call, route, len) => intake.make_room(call, &route, len),
                    RoomCall::GiveUp(call) => files.give_up(call),
                }
            }
        });
        scope.spawn(|| {
            let mut desk = Desk::new(context, &outbox, &newcomers);
            for call in requested {
                if desk.answer(call).is_some() {
                    intake.forget();
                }
            }
        });
        scope.spawn(|| drop_newcomers(context, &newcomers, &ends));
        if let (Some(medium), Some(cargo_intake)) = (&medium, &cargo_intake) {
            let (unpacks, wakes) = mpsc::channel();
            scope.spawn(move || cargo_intake.work(&carried, &unpacks));
            scope.spawn(move || cargo_intake.unpack_all(&wakes));
            let mut carriage = Carriage::new(context, &outbox, medium);
            scope.spawn(move || carriage.work(&called));
        }
        let mut sessions = Collections::new(context, &outbox, &intake);
        scope.spawn(move || sessions.work(&collected));
        scope.spawn(|| {
            let look = || {
                let _ = collections.send(CollectionCall::Look);
            };
            (context.route)(&ends, &look);
            drop(collections);
        });
        let mut hand_on = |message| desks.hand_on(context, message);
        let listened = dispatch(channel, context.stops, &mut hand_on, pulse);
        ends.store(true, Ordering::Relaxed);
        drop(desks);
        listened
    })
}

/// Forgets nodes that signed nothing in time, until the flag is set.
fn drop_newcomers(context: &KeeperContext<'_>, newcomers: &Newcomers<'_>, ends: &AtomicBool) {
    let mut due = Instant::now();
    while !ends.load(Ordering::Relaxed) {
        if Instant::now() >= due {
            due = Instant::now() + DROP_EVERY;
            let dropped = (context.clock)().and_then(|(time, _)| {
                // By a clock that is ahead, who registered a moment ago would be old.
                if !time.is_believed() {
                    return Ok(Vec::new());
                }
                Ok(newcomers.drop_old(time.told)?)
            });
            match dropped {
                Ok(dropped) => {
                    for node in dropped {
                        (context.report)(KeeperEvent::Dropped(node));
                    }
                }
                Err(error) => (context.report)(KeeperEvent::Failed(error)),
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

impl Desks {
    fn hand_on(&self, context: &KeeperContext<'_>, message: ReceivedMessage<ToKeeper>) {
        let ReceivedMessage { head, body, .. } = message;
        // A desk that is gone has panicked, which ends the keeper.
        let _ = match head {
            ToKeeper::PreRegistration { call, peer } => {
                let digest = body;
                let asked = DeskCall::Promise { call, peer, digest };
                self.registrations.send(asked).ok()
            }
            ToKeeper::Registration { call, peer } => {
                let octets = body;
                let asked = DeskCall::Request { call, peer, octets };
                self.registrations.send(asked).ok()
            }
            ToKeeper::Parameters { call } => {
                self.registrations.send(DeskCall::Parameters(call)).ok()
            }
            ToKeeper::Room { call, route, len } => {
                self.rooms.send(RoomCall::Make(call, route, len)).ok()
            }
            ToKeeper::NoParcel { call } => self.rooms.send(RoomCall::GiveUp(call)).ok(),
            ToKeeper::Parcel {
                call,
                route: ParcelRoute::Carried,
            } => {
                let octets = (!body.is_empty()).then_some(body);
                self.cargo.send(ArrivedCargo { call, octets }).ok()
            }
            ToKeeper::Parcel { call, route } => {
                // A parcel is never empty, so an empty body means that it is in a file.
                let octets = (!body.is_empty()).then_some(body);
                let queue = match octets {
                    Some(_) => &self.parcels,
                    None => &self.long_parcels,
                };
                let arrived = ArrivedParcel {
                    call,
                    route,
                    octets,
                };
                queue.send(arrived).ok()
            }
            ToKeeper::Collection { session } => {
                self.collections.send(CollectionCall::Begin(session)).ok()
            }
            ToKeeper::CollectionResponse {
                session,
                window,
                ends,
            } => {
                let octets = body;
                let response = CollectionCall::Response {
                    session,
                    octets,
                    window,
                    ends,
                };
                self.collections.send(response).ok()
            }
            ToKeeper::Sent { session, delivery } => {
                let sent = CollectionCall::Sent { session, delivery };
                self.collections.send(sent).ok()
            }
            ToKeeper::Collected { session, delivery } => {
                let collected = CollectionCall::Collected { session, delivery };
                self.collections.send(collected).ok()
            }
            ToKeeper::Gone { session } => {
                // It is the session of one of them.
                let _ = self.carriage.send(CarriageCall::Gone(session));
                self.collections.send(CollectionCall::Gone(session)).ok()
            }
            ToKeeper::CargoCollection { .. }
            | ToKeeper::CargoCollected { .. }
            | ToKeeper::CargoTimeUp { .. } => {
                CarriageCall::of(head, body).and_then(|call| self.carriage.send(call).ok())
            }
            // A gateway on the Internet has its own.
            ToKeeper::LanCertificate { .. } => None,
            ToKeeper::Counts(counts) => {
                (context.report)(KeeperEvent::Counted(counts));
                Some(())
            }
        };
    }
}
