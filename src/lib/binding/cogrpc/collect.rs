//! Collects cargo (RS-008 §`CollectCargo`).

use std::time::Duration;

use bytes::Bytes;

use super::call::{ActiveCall, CallEvent, CallHead, parts};
use super::client::CogrpcClient;
use super::frame::{self, FrameError};
use super::message::{CargoDelivery, CargoDeliveryAck};
use super::paths::Call;
use crate::binding::Error;

/// How long more cargo is waited for once one was left: a server that waits for its acknowledgement sends no end.
const AFTER_LEFT: Duration = Duration::from_secs(5);

/// How many cargoes in a call may be of no use. A server that sends the same for ever is not well.
const MAX_USELESS: usize = 1000;

/// What becomes of a cargo that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CargoReceipt {
    /// It is stored, durably: it is acknowledged.
    Stored,
    /// It is of no use now or later, or was here before: it is acknowledged.
    Useless,
    /// It may be of use another time: it is not acknowledged.
    Left,
    /// It could not be stored: it is not acknowledged, and the call ends.
    Full,
}

/// How much came in a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CollectEnd {
    /// Cargoes that were stored.
    pub stored: usize,
    /// Cargoes that were of no use.
    pub useless: usize,
    /// Cargoes that were not acknowledged.
    pub left: usize,
}

/// Collects what a server has for who made a CCA. `take` stores each cargo before it is acknowledged. How much came is
/// counted in `tally`, however the call ends.
///
/// # Errors
/// That of `take`; within the result, how the call ended, unless it ended with OK.
pub fn collect<E: From<Error>>(
    client: &mut CogrpcClient,
    cca: &[u8],
    tally: &mut CollectEnd,
    take: &mut dyn FnMut(Bytes) -> Result<CargoReceipt, E>,
) -> Result<Result<(), Error>, E> {
    let head = CallHead {
        call: Call::Collect,
        cca: Some(cca),
        within: None,
    };
    let link = match client.link() {
        Ok(link) => link,
        Err(error) => return Ok(Err(error)),
    };
    let (runtime, sender, watch) = parts(link);
    let ended = runtime.block_on(async {
        match ActiveCall::begin(sender, watch, &head).await {
            Ok(mut call) => {
                let ended = run(&mut call, tally, take).await;
                if !matches!(ended, Ok(Ok(()))) {
                    call.cancel();
                }
                ended
            }
            Err(error) => Ok(Err(error)),
        }
    })?;
    if !matches!(ended, Ok(()) | Err(Error::Grpc { .. })) {
        client.rest();
    }
    Ok(ended)
}

async fn run<E: From<Error>>(
    call: &mut ActiveCall<'_>,
    tally: &mut CollectEnd,
    take: &mut dyn FnMut(Bytes) -> Result<CargoReceipt, E>,
) -> Result<Result<(), Error>, E> {
    loop {
        let octets = match call.next().await {
            Ok(CallEvent::Message(octets)) => octets,
            Ok(CallEvent::Ended(status)) => {
                let ended = call.result_of(status);
                if ended.is_ok() {
                    call.half_close();
                }
                return Ok(ended);
            }
            // The server waits for an acknowledgement that it does not get.
            Err(Error::Silent { .. }) if tally.left > 0 => {
                call.cancel();
                return Ok(Ok(()));
            }
            Err(error) => return Ok(Err(error)),
        };
        let Ok(delivery) = <CargoDelivery as prost::Message>::decode(octets) else {
            return Ok(Err(call.bad_frame(FrameError::Malformed)));
        };
        match take(delivery.cargo)? {
            CargoReceipt::Stored => tally.stored += 1,
            CargoReceipt::Useless => tally.useless += 1,
            CargoReceipt::Left => {
                tally.left += 1;
                call.expect_within(AFTER_LEFT);
                continue;
            }
            CargoReceipt::Full => {
                tally.left += 1;
                call.cancel();
                return Ok(Ok(()));
            }
        }
        let ack = CargoDeliveryAck { id: delivery.id };
        let ack = match frame::encode(&ack) {
            Ok(ack) => ack,
            Err(error) => return Ok(Err(call.bad_frame(error))),
        };
        // A server may end the call without waiting for acknowledgements, as deployed gateways do.
        if let Err(error) = call.send(ack).await {
            return Ok(Err(error));
        }
        if tally.useless > MAX_USELESS {
            return Ok(Err(call.protocol("it sends cargo of no use for ever")));
        }
        if tally.left > 0 {
            call.expect_within(AFTER_LEFT);
        }
    }
}
