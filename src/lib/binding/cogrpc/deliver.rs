//! Delivers cargo (RS-008 §`DeliverCargo`).
//!
//! At most five cargoes are unacknowledged at a time (RS-000 §Cargo relay). The client closes its side only after the
//! last acknowledgement, since the couriers of phones end the call then and drop what they have not acknowledged. A call
//! that ends with `INVALID_ARGUMENT` does not say at which cargo: each that was unacknowledged gets a call of its own.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::call::{ActiveCall, CallEvent, CallHead, parts};
use super::client::CogrpcClient;
use super::frame;
use super::message::{CargoDelivery, CargoDeliveryAck};
use super::paths::Call;
use crate::binding::Error;
use crate::binding::pace::LOWEST_RATE;
use crate::send::uuid4;

/// How many cargoes may be unacknowledged.
const MAX_UNACKNOWLEDGED: usize = 5;

/// How long each cargo may take beside its octets, and the call itself.
const PER_CARGO: Duration = Duration::from_secs(30);

/// How long the end of a call is waited for in which everything was acknowledged: it says nothing new.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Where cargo comes from, and what becomes of it.
pub trait DeliverySource {
    /// A cargo, before it is read.
    type Cargo;
    /// An error of this node, which ends the delivery.
    type Failure: From<Error>;

    /// Its length, in octets.
    fn len(&self, cargo: &Self::Cargo) -> u64;

    /// Its octets; `None` if it is gone.
    ///
    /// # Errors
    /// When the delivery is to end.
    fn read(&mut self, cargo: &Self::Cargo) -> Result<Option<Bytes>, Self::Failure>;

    /// The server acknowledged it.
    ///
    /// # Errors
    /// When that cannot be stored: the delivery ends.
    fn acknowledged(&mut self, cargo: Self::Cargo) -> Result<(), Self::Failure>;

    /// The server refused it, alone in its call.
    ///
    /// # Errors
    /// When the delivery is to end.
    fn refused(&mut self, cargo: Self::Cargo, error: Error) -> Result<(), Self::Failure>;
}

/// Delivers cargo, in this order. What neither is acknowledged nor refused has not arrived as far as anybody knows.
///
/// # Errors
/// An error of the source; within the result, why not everything was acknowledged or refused.
pub fn deliver<S: DeliverySource>(
    client: &mut CogrpcClient,
    cargoes: Vec<S::Cargo>,
    source: &mut S,
) -> Result<Result<(), Error>, S::Failure> {
    let mut unsent = VecDeque::from(cargoes);
    while !unsent.is_empty() {
        let ended = one_call(client, unsent, source)?;
        let Err(error) = ended.end else {
            return Ok(Ok(()));
        };
        if !is_of_one_cargo(&error) || ended.unacknowledged.is_empty() {
            return Ok(Err(error));
        }
        unsent = ended.unsent;
        for cargo in ended.unacknowledged {
            let alone = one_call(client, VecDeque::from([cargo]), source)?;
            match (alone.end, alone.unacknowledged.into_iter().next()) {
                (Ok(()), _) => {}
                (Err(error), Some(cargo)) if is_of_one_cargo(&error) => {
                    source.refused(cargo, error)?;
                }
                (Err(error), _) => return Ok(Err(error)),
            }
        }
    }
    Ok(Ok(()))
}

/// Whether a call ended because of a cargo in it.
fn is_of_one_cargo(error: &Error) -> bool {
    use crate::binding::retry::SendOutcome;
    match error {
        Error::Grpc { code, .. } => SendOutcome::of_grpc(*code) == SendOutcome::RefusedForGood,
        _ => false,
    }
}

/// What is left when a call has ended.
struct DeliverCall<C> {
    unacknowledged: Vec<C>,
    unsent: VecDeque<C>,
    end: Result<(), Error>,
}

fn one_call<S: DeliverySource>(
    client: &mut CogrpcClient,
    unsent: VecDeque<S::Cargo>,
    source: &mut S,
) -> Result<DeliverCall<S::Cargo>, S::Failure> {
    let octets: u64 = unsent.iter().map(|cargo| source.len(cargo)).sum();
    let each = PER_CARGO.saturating_mul(u32::try_from(unsent.len() + 1).unwrap_or(u32::MAX));
    let head = CallHead {
        call: Call::Deliver,
        cca: None,
        within: Some(each.saturating_add(Duration::from_secs(octets / LOWEST_RATE))),
    };
    let mut window = DeliveryWindow {
        source,
        unsent,
        sent: Vec::new(),
        acknowledged: HashSet::new(),
    };
    let link = match client.link() {
        Ok(link) => link,
        Err(error) => return Ok(window.ended(Err(error))),
    };
    let (runtime, sender, watch) = parts(link);
    let ended = runtime.block_on(async {
        match ActiveCall::begin(sender, watch, &head).await {
            Ok(mut call) => window.run(&mut call).await,
            Err(error) => Ok(Err(error)),
        }
    })?;
    // After a status the connection is as good as before; anything else may be its fault.
    if !matches!(ended, Ok(()) | Err(Error::Grpc { .. })) {
        client.rest();
    }
    Ok(window.ended(ended))
}

/// The cargoes of one call.
struct DeliveryWindow<'a, S: DeliverySource> {
    source: &'a mut S,
    unsent: VecDeque<S::Cargo>,
    sent: Vec<(String, S::Cargo)>,
    /// The ids that were acknowledged: servers may do that twice.
    acknowledged: HashSet<String>,
}

impl<S: DeliverySource> DeliveryWindow<'_, S> {
    async fn run(&mut self, call: &mut ActiveCall<'_>) -> Result<Result<(), Error>, S::Failure> {
        let mut is_open = true;
        loop {
            if is_open {
                is_open = match self.fill(call).await? {
                    Ok(is_open) => is_open,
                    Err(error) => return Ok(Err(error)),
                };
            }
            if is_open && self.sent.is_empty() {
                call.half_close();
                return Ok(self.finish(call).await);
            }
            match call.next().await {
                Err(error) => return Ok(Err(error)),
                Ok(CallEvent::Ended(status)) => return Ok(self.end(call, status)),
                Ok(CallEvent::Message(octets)) => {
                    if let Err(error) = self.acknowledge(call, octets)? {
                        call.cancel();
                        return Ok(Err(error));
                    }
                }
            }
        }
    }

    /// Sends cargo while more may be unacknowledged. Whether the server takes more.
    async fn fill(&mut self, call: &mut ActiveCall<'_>) -> Result<Result<bool, Error>, S::Failure> {
        while self.sent.len() < MAX_UNACKNOWLEDGED {
            let Some(cargo) = self.unsent.pop_front() else {
                break;
            };
            let Some(octets) = self.source.read(&cargo)? else {
                continue; // it is gone
            };
            let id = uuid4().map_err(Error::from)?;
            let message = CargoDelivery {
                id: id.clone(),
                cargo: octets,
            };
            let frame = match frame::encode(&message) {
                Ok(frame) => frame,
                Err(error) => {
                    self.sent.push((id, cargo));
                    return Ok(Err(call.bad_frame(error)));
                }
            };
            drop(message);
            self.sent.push((id, cargo));
            match call.send(frame).await {
                Ok(true) => {}
                ended => return Ok(ended),
            }
        }
        Ok(Ok(true))
    }

    fn acknowledge(
        &mut self,
        call: &mut ActiveCall<'_>,
        octets: Bytes,
    ) -> Result<Result<(), Error>, S::Failure> {
        let decoded: Result<CargoDeliveryAck, _> = prost::Message::decode(octets);
        let Ok(CargoDeliveryAck { id }) = decoded else {
            return Ok(Err(call.bad_frame(frame::FrameError::Malformed)));
        };
        if let Some(at) = self.sent.iter().position(|(sent, _)| *sent == id) {
            let (id, cargo) = self.sent.swap_remove(at);
            self.source.acknowledged(cargo)?;
            self.acknowledged.insert(id);
            call.expect();
            return Ok(Ok(()));
        }
        // A second acknowledgement says nothing, and prolongs nothing.
        Ok(if self.acknowledged.contains(&id) {
            Ok(())
        } else {
            Err(call.protocol("it acknowledges what it was not sent"))
        })
    }

    /// How the call ended, by the server's status.
    fn end(&self, call: &ActiveCall<'_>, status: super::GrpcStatus) -> Result<(), Error> {
        call.result_of(status)?;
        let cargoes = self.sent.len() + self.unsent.len();
        if cargoes == 0 {
            return Ok(());
        }
        Err(Error::Unacknowledged {
            server: call.server().to_string(),
            cargoes,
        })
    }

    /// Waits for the status, once everything was acknowledged. Stock clients do not.
    async fn finish(&self, call: &mut ActiveCall<'_>) -> Result<(), Error> {
        call.expect_within(END_WITHIN);
        loop {
            match call.next().await {
                Ok(CallEvent::Ended(status)) => return call.result_of(status),
                Ok(CallEvent::Message(_)) => {}
                Err(_) => {
                    call.cancel();
                    return Ok(());
                }
            }
        }
    }

    fn ended(self, end: Result<(), Error>) -> DeliverCall<S::Cargo> {
        DeliverCall {
            unacknowledged: self.sent.into_iter().map(|(_, cargo)| cargo).collect(),
            unsent: self.unsent,
            end,
        }
    }
}
