//! What waits for a gateway is submitted, the most urgent first and one at a time.

use std::cell::RefCell;

use super::OnlineEvent;
use super::registration::Registered;
use crate::binding::Error;
use crate::binding::http::Client;
use crate::binding::outgoing::{self, AcceptedParcel, AnswerEffects, FailureReach, PAGE};
use crate::binding::parcel_answer::ParcelAnswer;
use crate::binding::poweb::deliver;
use crate::message::Item;
use crate::pipeline::workers::{self, Bounds, WorkItem};
use crate::ramf::limits;
use crate::spool::queue::Rank;
use crate::spool::sent::SentEvent;
use crate::spool::wire::{MessageStore, Queued};
use crate::spool::{QueueId, Time};

/// How submitting ended.
#[derive(Debug)]
pub enum SubmissionEnd {
    /// Everything was offered.
    Done,
    /// The gateway answers, and takes nothing more now, for this reason. What it holds may be collected.
    Refused(Error),
}

/// Why a page of parcels ended before its end.
enum PageEnd<E> {
    /// As [`SubmissionEnd::Refused`].
    Refused(Error),
    /// The run ends.
    Failed(E),
}

impl<E: From<Error>> From<Error> for PageEnd<E> {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

/// What the fate of each parcel is told to.
type TakeFate<'a, E> =
    &'a mut dyn FnMut(&mut dyn MessageStore, ParcelFate) -> Result<(), PageEnd<E>>;

/// A parcel that is ready to be sent.
struct SignedParcel {
    queued: Queued,
    ready: Result<Option<Signed>, Error>,
}

/// A parcel with what shows the gateway who brings it.
struct Signed {
    octets: Vec<u8>,
    id: String,
    authorization: String,
}

/// Submits to one gateway.
pub struct GatewaySubmission<'a> {
    /// How the gateway knows this node.
    pub registered: &'a Registered,
    /// The name of the gateway for the sender of a parcel.
    pub label: &'a str,
    /// The time.
    pub time: &'a Time,
    /// Larger parcels wait for another carrier, in octets.
    pub max_len: Option<u64>,
}

impl GatewaySubmission<'_> {
    /// Submits what waits now. Reports to `each`; `goes_on` is asked before each parcel.
    ///
    /// # Errors
    /// When the gateway cannot be reached or does not know this node, the spool cannot be read or changed, or `each`
    /// failed. Parcels that it has taken before are released.
    pub fn run<E: From<Error>>(
        &self,
        store: &mut dyn MessageStore,
        client: &Client,
        goes_on: &dyn Fn() -> bool,
        each: &mut dyn FnMut(OnlineEvent) -> Result<(), E>,
    ) -> Result<SubmissionEnd, E> {
        let place = QueueId::Out(self.registered.gateway);
        let mut after: Option<Rank> = None;
        loop {
            let page = store
                .page(place, after.as_ref(), PAGE)
                .map_err(Error::from)?;
            let Some(last) = page.last() else {
                return Ok(SubmissionEnd::Done);
            };
            after = Some(last.rank());
            let mut effects =
                AnswerEffects::new(SentEvent::Accepted, self.label.to_owned(), self.time.told);
            let sent = self.send_page(page, store, client, goes_on, &mut |store, fate| {
                take(&mut effects, store, fate, each)
            });
            // Whatever ended the page: what the gateway has is released.
            let released = release(&mut effects, store, each);
            match sent {
                Err(PageEnd::Failed(error)) => return Err(error),
                Err(PageEnd::Refused(error)) => {
                    return released.map(|()| SubmissionEnd::Refused(error));
                }
                Ok(()) => released?,
            }
            if !goes_on() {
                return Ok(SubmissionEnd::Done);
            }
        }
    }

    fn send_page<E: From<Error>>(
        &self,
        page: Vec<Queued>,
        store: &mut dyn MessageStore,
        client: &Client,
        goes_on: &dyn Fn() -> bool,
        each: TakeFate<'_, E>,
    ) -> Result<(), PageEnd<E>> {
        // Read before they are signed by other threads, and changed after they were sent, both by this thread.
        let store = RefCell::new(store);
        let together = page.len().min(outgoing::STORE_TOGETHER);
        let mut waiting = page.into_iter().filter(|it| !self.is_left_out(it));
        workers::in_order(
            Bounds::octets(limits::MAX_MESSAGE_LEN),
            || {
                let queued = waiting.next()?;
                let message = store.borrow().read(&queued, Vec::new());
                let octets = message
                    .as_ref()
                    .map_or(0, |it| it.as_ref().map_or(0, Vec::len));
                let item = (queued, message.map_err(Error::from));
                goes_on().then_some(WorkItem { item, octets })
            },
            |(queued, message)| SignedParcel {
                queued,
                ready: message.and_then(|octets| octets.map(|it| self.sign(it)).transpose()),
            },
            |prepared| {
                // What was signed ahead is not begun any more when the run is to end.
                if !goes_on() {
                    return Ok(());
                }
                let has_room = store.borrow_mut().prepare(together);
                has_room.map_err(Error::from)?;
                match send(prepared, client) {
                    Some(sent) => each(&mut **store.borrow_mut(), sent),
                    None => Ok(()),
                }
            },
        )
    }

    /// Whether a parcel is not offered: it has expired, which relay-purge sees to, or is too large for this road.
    fn is_left_out(&self, queued: &Queued) -> bool {
        let is_large = self.max_len.is_some_and(|max| {
            let len = queued.len().ok().flatten();
            len.is_some_and(|len| len > max)
        });
        outgoing::has_expired(queued, self.time) || is_large
    }

    fn sign(&self, octets: Vec<u8>) -> Result<Signed, Error> {
        let item = Item::parse(octets)?;
        let Item::Parcel(parcel) = item else {
            return Err(outgoing::not_a_parcel(item.kind()));
        };
        let message = parcel.into_message();
        let id = message.fields().id.clone();
        let Registered {
            key, certificate, ..
        } = self.registered;
        let octets = message.into_octets();
        let authorization = deliver::authorization(&octets, key, certificate)?;
        Ok(Signed {
            octets,
            id,
            authorization,
        })
    }
}

/// What became of a parcel.
enum ParcelFate {
    Accepted(AcceptedParcel),
    Refused {
        queued: Queued,
        id: String,
        error: Error,
    },
    Failed {
        queued: Queued,
        error: Error,
    },
}

/// Sends a parcel; `None` if it has left meanwhile.
fn send(prepared: SignedParcel, client: &Client) -> Option<ParcelFate> {
    let SignedParcel { queued, ready } = prepared;
    let signed = match ready {
        Ok(signed) => signed?,
        Err(error) => return Some(ParcelFate::Failed { queued, error }),
    };
    let len = signed.octets.len();
    let id = signed.id;
    Some(
        match deliver::deliver(client, &signed.octets, &signed.authorization) {
            Ok(ParcelAnswer::Accepted) => ParcelFate::Accepted(AcceptedParcel { queued, id, len }),
            Ok(ParcelAnswer::Refused(error)) => ParcelFate::Refused { queued, id, error },
            Err(error) => ParcelFate::Failed { queued, error },
        },
    )
}

fn take<E: From<Error>>(
    effects: &mut AnswerEffects,
    store: &mut dyn MessageStore,
    fate: ParcelFate,
    each: &mut dyn FnMut(OnlineEvent) -> Result<(), E>,
) -> Result<(), PageEnd<E>> {
    match fate {
        ParcelFate::Accepted(accepted) => {
            if effects.accept(accepted) {
                release(effects, store, each).map_err(PageEnd::Failed)?;
            }
            Ok(())
        }
        ParcelFate::Refused { queued, id, error } => {
            effects.set_aside(store, (&queued, &id), &error)?;
            let name = queued.name().clone();
            each(OnlineEvent::Refused { name, id, error }).map_err(PageEnd::Failed)
        }
        ParcelFate::Failed { queued, error } => match effects.fail(&error) {
            FailureReach::Server => Err(PageEnd::Refused(error)),
            FailureReach::Run => Err(error.into()),
            FailureReach::Parcel => {
                let what = queued.label();
                each(OnlineEvent::Kept { what, error }).map_err(PageEnd::Failed)
            }
        },
    }
}

/// Performs the effects of the answers so far.
fn release<E: From<Error>>(
    effects: &mut AnswerEffects,
    store: &mut dyn MessageStore,
    each: &mut dyn FnMut(OnlineEvent) -> Result<(), E>,
) -> Result<(), E> {
    effects.release(store)?.into_iter().try_for_each(|it| {
        each(OnlineEvent::Accepted {
            name: it.queued.name().clone(),
            id: it.id,
            len: it.len,
        })
    })
}
