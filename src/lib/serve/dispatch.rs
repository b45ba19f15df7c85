//! Listens to the front, for whoever keeps what it brings.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Error;
use super::channel::{Channel, ReceivedMessage};
use super::protocol::{ToFront, ToKeeper};

/// How often it is looked whether the server is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long the front has to end when the server stops, before it is left alone.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Hands on what the front says, until it ends. `pulse` is called several times a second.
///
/// # Errors
/// [`Error::FrontEnded`] when it ends by itself.
pub(super) fn dispatch(
    channel: &Channel,
    stops: &AtomicBool,
    hand_on: &mut dyn FnMut(ReceivedMessage<ToKeeper>),
    pulse: &mut dyn FnMut(&Channel),
) -> Result<(), Error> {
    let mut buffer = Vec::new();
    let mut stopped: Option<Instant> = None;
    loop {
        if stops.load(Ordering::Relaxed) && stopped.is_none() {
            let _ = channel.send(&ToFront::Stop, &[], &[]);
            stopped = Some(Instant::now());
        }
        if stopped.is_some_and(|since| since.elapsed() >= STOP_WITHIN) {
            return Ok(());
        }
        pulse(channel);
        if !channel.wait(LOOK_EVERY)? {
            continue;
        }
        match channel.receive(&mut buffer)? {
            Some(message) => hand_on(message),
            None if stopped.is_some() => return Ok(()),
            None => return Err(Error::FrontEnded),
        }
    }
}
