//! A courier that gateways in a local network reach: it takes their cargo and gives them theirs, from a medium. It has no
//! node and no keys.

mod context; // what all of it works with
mod certificate; // for addresses of this machine
mod store; // what is on the medium
mod carriage; // cargo that gateways collect

use std::sync::mpsc::{self, Receiver};

use super::Error;
use super::carriage::CarriageCall;
use super::channel::{Channel, ReceivedMessage};
use super::dispatch::dispatch;
use super::outbox::Outbox;
use super::protocol::{CallId, ParcelRoute, ServeVerdict, ToFront, ToKeeper};
use super::rooms::Rooms;
use crate::binding::cogrpc::CargoDelivery;
use crate::kind::{DiskCause, ErrorKind};
use crate::medium::PassingMessage;
use crate::ramf::Kind;
use crate::verify::Policy;
use carriage::CourierCarriage;
use store::CourierStore;

pub use context::{CourierContext, CourierEvent};

/// A delivery of cargo: its question, and the message, unless that is in the room of the question.
type ArrivedDelivery = (CallId, Option<Vec<u8>>);

/// Serves until the server is to stop, or the front ends.
///
/// # Errors
/// [`Error::FrontEnded`] when it ends by itself, and when the medium cannot be used.
pub fn run(context: &CourierContext<'_>, channel: &Channel) -> Result<(), Error> {
    let outbox = Outbox { channel };
    let rooms = Rooms::new(context.medium.make_tmp()?, 0);
    let store = CourierStore::new(context.medium, context.quota);
    let (cargo, arrived) = mpsc::channel();
    let (carriage, called) = mpsc::channel();
    let keeper = CourierKeeper {
        context,
        outbox: &outbox,
        rooms: &rooms,
        store: &store,
    };
    std::thread::scope(|scope| {
        scope.spawn(|| keeper.take_all(arrived));
        let mut sessions = CourierCarriage::new(context, &outbox, &store);
        scope.spawn(move || sessions.work(&called));
        let mut hand_on = |message: ReceivedMessage<ToKeeper>| {
            let ReceivedMessage { head, body, .. } = message;
            match head {
                ToKeeper::Parcel {
                    call,
                    route: ParcelRoute::Carried,
                } => {
                    // A thread that is gone has panicked, which ends the server.
                    let octets = (!body.is_empty()).then_some(body);
                    let _ = cargo.send((call, octets));
                }
                ToKeeper::Room { call, len, .. } => keeper.make_room(call, len),
                ToKeeper::NoParcel { call } => rooms.give_up(call),
                ToKeeper::LanCertificate { call, address } => keeper.certify(call, address),
                ToKeeper::Counts(counts) => (context.report)(CourierEvent::Counted(counts)),
                head => {
                    if let Some(call) = CarriageCall::of(head, body) {
                        let _ = carriage.send(call);
                    }
                }
            }
        };
        let listened = dispatch(channel, context.stops, &mut hand_on, &mut |_| {});
        drop(cargo);
        drop(carriage);
        listened
    })
}

/// Takes cargo in, and makes certificates.
struct CourierKeeper<'a> {
    context: &'a CourierContext<'a>,
    outbox: &'a Outbox<'a>,
    rooms: &'a Rooms,
    store: &'a CourierStore<'a>,
}

impl CourierKeeper<'_> {
    fn failed(&self, error: Error) -> ServeVerdict {
        let is_full = matches!(
            error.kind(),
            ErrorKind::Disk {
                cause: DiskCause::Full,
                ..
            }
        );
        (self.context.report)(CourierEvent::Failed(error));
        if is_full {
            ServeVerdict::Full("the medium is full".to_owned())
        } else {
            ServeVerdict::Busy("it cannot be stored now".to_owned())
        }
    }

    fn make_room(&self, call: CallId, len: u64) {
        let verdict = match self.rooms.make(call, len) {
            Ok(Some(file)) => {
                return self.outbox.send(&ToFront::Room { call }, &[], Some(&file));
            }
            Ok(None) => ServeVerdict::Full("there is no room for it now".to_owned()),
            Err(error) => self.failed(error),
        };
        self.outbox.answer(call, verdict, &[]);
    }

    fn certify(&self, call: CallId, address: std::net::IpAddr) {
        let made = (self.context.clock)().and_then(|(now, _)| certificate::make(address, now));
        match made {
            Ok(certificate::LanCertificate { chain, key }) => {
                let head = ToFront::LanCertificate { call, chain };
                self.outbox.send(&head, &key, None);
            }
            Err(error) => {
                let verdict = self.failed(error);
                self.outbox.answer(call, verdict, &[]);
            }
        }
    }

    /// Takes cargo until no more can come.
    fn take_all(&self, arrived: Receiver<ArrivedDelivery>) {
        for (call, octets) in arrived {
            let (verdict, id) = match self.rooms.delivery(call, octets) {
                Ok(Some(delivery)) => {
                    let taken = self.take(&delivery);
                    (taken.err().unwrap_or(ServeVerdict::Done), delivery.id)
                }
                Ok(None) => {
                    let text = "no delivery of cargo".to_owned();
                    (ServeVerdict::Malformed(text), String::new())
                }
                Err(error) => (self.failed(error.into()), String::new()),
            };
            self.outbox.answer(call, verdict, id.as_bytes());
        }
    }

    /// Stores cargo, durably.
    fn take(&self, delivery: &CargoDelivery) -> Result<(), ServeVerdict> {
        let (now, window) = (self.context.clock)().map_err(|error| self.failed(error))?;
        let policy = Policy::courier(Vec::new(), window, now);
        let refused = |text: String| {
            (self.context.report)(CourierEvent::Refused(text.clone()));
            ServeVerdict::Refused(text)
        };
        let octets = delivery.cargo.to_vec();
        let cargo = PassingMessage::verify(octets, &[Kind::Cargo], &policy)
            .map_err(|error| refused(error.to_string()))?;
        // As deployed couriers have it: a gateway on the Internet is found by its address, and who writes to another one
        // shows its leave.
        if cargo.address.is_none() && !cargo.is_authorized {
            let text = "its gateway has no Internet address, and does not show that it wants it";
            return Err(refused(text.to_owned()));
        }
        let stored = self.store.store(&cargo, &policy, self.context.report);
        let Some(is_new) = stored.map_err(|error| self.failed(error))? else {
            let text = "there is no room for it".to_owned();
            (self.context.report)(CourierEvent::Refused(text.clone()));
            return Err(ServeVerdict::Full(text));
        };
        (self.context.report)(CourierEvent::Received {
            sender: cargo.sender,
            recipient: cargo.recipient,
            len: cargo.octets().len(),
            is_new,
        });
        Ok(())
    }
}
