//! An exchange with a gateway that goes on: parcels leave as soon as they are routed, and come as soon as the gateway
//! has them.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::OnlineEvent;
use super::exchange::{self, OnlineContext};
use super::registration::Registered;
use super::submit::SubmissionEnd;
use crate::binding::Error;
use crate::binding::http::Client;
use crate::binding::poweb::collect::StreamingMode;
use crate::binding::poweb::socket::CollectionSocket;
use crate::disk::watch::DirWatch;
use crate::kind::ErrorKind;
use crate::spool::QueueId;
use crate::spool::wire::SpoolMessages;

/// The first pause after a failure; each further one is twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A connection that lasted so long was well, so that the pauses begin anew.
const WELL_AFTER: Duration = Duration::from_secs(30);

/// How long a thread waits before it looks whether to go on.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What waits is listed again after this time without a change: another run may have made the queue anew, so that
/// nobody watches it.
const LIST_AGAIN: Duration = Duration::from_secs(60);

/// What a follower tells.
#[derive(Debug)]
pub enum FollowEvent {
    /// An event of the exchange.
    Exchange(OnlineEvent),
    /// The gateway can be reached: this node collects there.
    Connected,
    /// It cannot, or something else failed; another try follows.
    Trouble(Error),
}

/// What a thread of a follower tells its events to. An error ends the follower.
pub type FollowReport<'a, E> = &'a (dyn Fn(FollowEvent) -> Result<(), E> + Sync);

/// Why a part of an exchange ended.
enum PartEnd<E> {
    /// It failed, and another try follows.
    Failed(Error),
    /// What was told could not be taken, which ends the follower.
    Told(E),
}

impl<E> From<Error> for PartEnd<E> {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The pauses between tries.
#[derive(Debug, Default)]
pub struct Pauses {
    failures: u32,
}

impl Pauses {
    /// The next pause; `random` from 0 to 1 spreads the nodes that lost the same gateway.
    pub fn next(&mut self, random: f64) -> Duration {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        pause
            .min(LONGEST_PAUSE)
            .mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    /// Begins anew after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Submits whatever is routed to the gateway, until `goes_on` says no. `pauses` are those after failures, of earlier runs
/// too.
///
/// # Errors
/// Those of `report`.
pub fn submit<E: From<Error>>(
    context: &OnlineContext<'_>,
    pauses: &mut Pauses,
    report: FollowReport<'_, E>,
) -> Result<(), E> {
    let place = QueueId::Out(context.registered.gateway);
    let queue = context.spool.make(place).map_err(Error::from)?;
    let watch = DirWatch::of(&[queue.dir()]);
    let (time, _) = (context.clock)()?;
    let client = Client::new(context.connector.clone(), time.told);
    while (context.goes_on)() {
        // Of before, since a parcel may be routed while others are sent.
        let modified = time_of_change(queue.dir());
        let mut store = SpoolMessages::of(context.spool);
        let mut is_any_kept = false;
        let each = &mut |event| {
            is_any_kept |= matches!(event, OnlineEvent::Kept { .. });
            report(FollowEvent::Exchange(event)).map_err(PartEnd::Told)
        };
        let sent = match exchange::submit(context, &mut store, &client, each) {
            Ok(SubmissionEnd::Refused(error)) => Err(PartEnd::Failed(error)),
            ended => ended.map(drop),
        };
        match sent {
            // One that failed by itself is tried again as after any failure.
            Ok(()) if is_any_kept => sleep(context.goes_on, pauses.next(random())),
            Ok(()) => {
                pauses.reset();
                // What is left waits for another carrier, or for the next change.
                let listed = Instant::now();
                while (context.goes_on)()
                    && !watch.wait(LOOK_EVERY)
                    && time_of_change(queue.dir()) == modified
                    && listed.elapsed() < LIST_AGAIN
                {}
            }
            Err(PartEnd::Told(error)) => return Err(error),
            // The connection was given up because the run is to end.
            Err(PartEnd::Failed(error)) if !(context.goes_on)() && is_of_server(&error) => break,
            Err(PartEnd::Failed(error)) => {
                let pause = pause_after(&error, pauses);
                report(FollowEvent::Trouble(error))?;
                sleep(context.goes_on, pause);
            }
        }
    }
    Ok(())
}

/// Collects whatever the gateway has, until `goes_on` says no. `pauses` are those after failures, of earlier runs too.
///
/// # Errors
/// Those of `report`.
pub fn collect<E: From<Error>>(
    context: &OnlineContext<'_>,
    pauses: &mut Pauses,
    report: FollowReport<'_, E>,
) -> Result<(), E> {
    while (context.goes_on)() {
        let started = Instant::now();
        let ended = stream(context, report);
        if !(context.goes_on)() {
            break;
        }
        if started.elapsed() >= WELL_AFTER {
            pauses.reset();
        }
        let pause = match ended {
            // A gateway that ends the stream without an error, as it must not, is not asked at once again.
            Ok(()) => pauses.next(random()),
            Err(PartEnd::Told(error)) => return Err(error),
            Err(PartEnd::Failed(error)) => {
                let pause = pause_after(&error, pauses);
                report(FollowEvent::Trouble(error))?;
                pause
            }
        };
        sleep(context.goes_on, pause);
    }
    Ok(())
}

/// Collects on one connection.
fn stream<E: From<Error>>(
    context: &OnlineContext<'_>,
    report: FollowReport<'_, E>,
) -> Result<(), PartEnd<E>> {
    let connection = context.connector.connect()?;
    let Registered {
        key, certificate, ..
    } = context.registered;
    let mode = StreamingMode::KeepAlive;
    let (time, _) = (context.clock)()?;
    let mut socket = CollectionSocket::open(connection, mode, (key, certificate), time.told)?;
    let tell = |event| report(event).map_err(PartEnd::Told);
    tell(FollowEvent::Connected)?;
    let client = Client::new(context.connector.clone(), time.told);
    let mut store = SpoolMessages::of(context.spool);
    let mut each = |event| tell(FollowEvent::Exchange(event));
    exchange::collect(
        context,
        &mut store,
        &mut socket,
        &client,
        (false, &mut each),
    )?;
    socket.close();
    Ok(())
}

fn is_of_server(error: &Error) -> bool {
    error.kind() == ErrorKind::Unreachable
}

/// When names in a directory changed last. Of changes by another machine on a network file system nothing else tells.
#[must_use]
pub fn time_of_change(dir: &Path) -> Option<SystemTime> {
    dir.metadata().and_then(|it| it.modified()).ok()
}

/// The pause after an error: at least as long as the server asks for, who may ask for none.
fn pause_after(error: &Error, pauses: &mut Pauses) -> Duration {
    let asked = match error {
        Error::Answer { retry_after, .. } => *retry_after,
        _ => None,
    };
    pauses.next(random()).max(asked.unwrap_or_default())
}

/// Pauses, and looks from time to time whether to go on.
pub fn sleep(goes_on: &dyn Fn() -> bool, pause: Duration) {
    let until = Instant::now() + pause;
    while goes_on() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(LOOK_EVERY));
    }
}

/// A number from 0 to 1, for [`Pauses::next`]. Without randomness, all wait for the longest time.
#[must_use]
pub fn random() -> f64 {
    let mut octets = [0; 4];
    match crate::crypto::random::fill(&mut octets) {
        Ok(()) => f64::from(u32::from_le_bytes(octets)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_begin_anew() {
        let mut pauses = Pauses::default();
        let longest: Vec<u64> = (0..9).map(|_| pauses.next(1.0).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        pauses.reset();
        assert_eq!(pauses.next(0.0), Duration::from_millis(500));
    }
}
