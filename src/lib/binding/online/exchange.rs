//! One exchange with a gateway: what waits is submitted, then what it holds is collected.

use std::cell::Cell;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use super::OnlineEvent;
use super::door::Door;
use super::receive::{CollectionEnd, Receiving};
use super::registration::Registered;
use super::submit::{GatewaySubmission, SubmissionEnd};
use crate::binding::Error;
use crate::binding::connect::Connector;
use crate::binding::http::{Client, Method, Request};
use crate::binding::poweb::collect::StreamingMode;
use crate::binding::poweb::socket::CollectionSocket;
use crate::pki::Window;
use crate::spool::wire::{MessageStore, SpoolMessages};
use crate::spool::{Spool, Time};

/// How far the clocks of the gateway and of this node may differ where something is refused for its dates.
const DRIFT: SignedDuration = SignedDuration::from_hours(2);

/// What an exchange needs.
#[derive(Clone, Copy)]
pub struct OnlineContext<'a> {
    /// The spool.
    pub spool: &'a Spool,
    /// How the gateway knows this node.
    pub registered: &'a Registered,
    /// The name of the gateway for the senders of parcels.
    pub label: &'a str,
    /// Makes connections to the gateway.
    pub connector: &'a Connector,
    /// Larger parcels wait for another carrier, in octets.
    pub max_len: Option<u64>,
    /// The time, and the instants that dates are checked against. It is asked anew in runs that go on for days.
    pub clock: &'a (dyn Fn() -> Result<(Time, Window), Error> + Sync),
    /// Whether to go on.
    pub goes_on: &'a (dyn Fn() -> bool + Sync),
}

/// Submits and collects once. Reports to `each`.
///
/// # Errors
/// When the gateway cannot be reached or breaks the protocol, the spool is full or cannot be changed, or `each` failed.
/// A gateway that answers, and takes no parcels now, is asked for what it holds all the same; why it takes none is the
/// error then.
pub fn once<E: From<Error>>(
    context: &OnlineContext<'_>,
    each: &mut dyn FnMut(OnlineEvent) -> Result<(), E>,
) -> Result<CollectionEnd, E> {
    let (time, _) = (context.clock)()?;
    let client = Client::new(context.connector.clone(), time.told);
    let mut store = SpoolMessages::of(context.spool);
    // Where nothing waits, nothing is connected for it.
    let submitted = submit(context, &mut store, &client, each)?;
    let connection = context.connector.connect()?;
    let Registered {
        key, certificate, ..
    } = context.registered;
    let mode = StreamingMode::CloseUponCompletion;
    let mut socket = CollectionSocket::open(connection, mode, (key, certificate), time.told)?;
    let collected = collect(context, &mut store, &mut socket, &client, (true, each))?;
    if collected != CollectionEnd::Done {
        socket.close();
    }
    match submitted {
        SubmissionEnd::Done => Ok(collected),
        SubmissionEnd::Refused(error) => Err(error.into()),
    }
}

/// Submits what waits now.
///
/// # Errors
/// As [`GatewaySubmission::run`].
pub fn submit<E: From<Error>>(
    context: &OnlineContext<'_>,
    store: &mut dyn MessageStore,
    client: &Client,
    each: &mut dyn FnMut(OnlineEvent) -> Result<(), E>,
) -> Result<SubmissionEnd, E> {
    let (time, _) = (context.clock)()?;
    let submission = GatewaySubmission {
        registered: context.registered,
        label: context.label,
        time: &time,
        max_len: context.max_len,
    };
    submission.run(store, client, context.goes_on, each)
}

/// Collects on an open socket; `ends` says whether the gateway closes it when everything was sent.
///
/// # Errors
/// As [`Receiving::run`].
pub fn collect<E: From<Error>>(
    context: &OnlineContext<'_>,
    store: &mut dyn MessageStore,
    socket: &mut CollectionSocket,
    client: &Client,
    (ends, each): (bool, &mut dyn FnMut(OnlineEvent) -> Result<(), E>),
) -> Result<CollectionEnd, E> {
    let gateway = context.registered.gateway;
    // Asked at most once in a run, and only where something would be refused for its dates.
    let asked = Cell::new(None);
    let mut agrees = || {
        asked.get().unwrap_or_else(|| {
            let is_near = clocks_agree(client, context);
            asked.set(Some(is_near));
            is_near
        })
    };
    let mut door = || {
        let (time, window) = (context.clock)()?;
        Door::of(context.spool.owner(), gateway, window, &time)
    };
    let mut receiving = Receiving {
        door: &mut door,
        gateway,
        agrees: &mut agrees,
        goes_on: context.goes_on,
        ends,
        useless: 0,
        recounted: Instant::now(),
    };
    receiving.run(store, socket, each)
}

/// Whether the gateway, asked now, shows the same time as this node's clock. One that shows none does not.
fn clocks_agree(client: &Client, context: &OnlineContext<'_>) -> bool {
    let asked = client.send(&Request::new(Method::Head, "/"), 0);
    let date = asked.ok().and_then(|answer| answer.date);
    let now = (context.clock)().ok().map(|(time, _)| time.told);
    match (date, now) {
        (Some(date), Some(now)) => is_near(date, now),
        _ => false,
    }
}

fn is_near(date: Timestamp, now: Timestamp) -> bool {
    date.duration_since(now).abs() <= DRIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_agree_within_two_hours() {
        let now: Timestamp = "2027-05-22T10:00:00Z".parse().unwrap();
        for (date, agrees) in [
            ("2027-05-22T10:00:00Z", true),
            ("2027-05-22T12:00:00Z", true),
            ("2027-05-22T08:00:00Z", true),
            ("2027-05-22T12:01:00Z", false),
            ("2027-05-22T07:59:00Z", false),
            ("2027-05-25T10:00:00Z", false),
            ("2026-05-22T10:00:00Z", false),
        ] {
            assert_eq!(is_near(date.parse().unwrap(), now), agrees, "{date}");
        }
    }
}
