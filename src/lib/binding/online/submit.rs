//! What waits for a gateway is submitted, the most urgent first and one at a time.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::OnlineEvent;
use super::registration::Registered;
use crate::binding::Error;
use crate::binding::http::Client;
use crate::binding::parcel_answer::ParcelAnswer;
use crate::binding::poweb::deliver;
use crate::kind::ErrorKind;
use crate::message::Item;
use crate::pipeline::workers::{self, Bounds, WorkItem};
use crate::ramf::limits;
use crate::spool::queue::Rank;
use crate::spool::sent::SentEvent;
use crate::spool::wire::{MessageStore, Queued, Taken};
use crate::spool::{QueueId, Time};

/// How many names are read at once.
const PAGE: usize = 4096;

/// The effects of so many answers are stored together, or of those that came within [`STORE_WITHIN`].
const STORE_TOGETHER: usize = 256;

/// The longest time between an answer and its effects, unless the server is slower.
const STORE_WITHIN: Duration = Duration::from_millis(100);

/// How many parcels in a row may fail before the rest waits for the next run: the server is not well.
const MAX_FAILURES: usize = 3;

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

/// A parcel that the gateway has, and whose effects are not stored yet.
struct AcceptedParcel {
    queued: Queued,
    id: String,
    len: usize,
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
            let mut sending = AnswerEffects {
                submission: self,
                answered: Vec::new(),
                since: Instant::now(),
                failures: 0,
            };
            let sent = self.send_page(page, store, client, goes_on, &mut |store, event| {
                sending.take(store, event, each)
            });
            // Whatever ended the page: what the gateway has is released.
            let released = sending.release(store, each);
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
                match send(prepared, client) {
                    Some(sent) => each(&mut **store.borrow_mut(), sent),
                    None => Ok(()),
                }
            },
        )
    }

    /// Whether a parcel is not offered: it has expired, which relay-purge sees to, or is too large for this road.
    fn is_left_out(&self, queued: &Queued) -> bool {
        let is_over = self.time.is_believed() && queued.name().has_expired(self.time.told);
        let is_large = self.max_len.is_some_and(|max| {
            let len = queued.len().ok().flatten();
            len.is_some_and(|len| len > max)
        });
        is_over || is_large
    }

    fn sign(&self, octets: Vec<u8>) -> Result<Signed, Error> {
        let item = Item::parse(octets)?;
        let Item::Parcel(parcel) = item else {
            return Err(super::not_a_parcel(item.kind()));
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

/// The effects of answers, stored together.
struct AnswerEffects<'a> {
    submission: &'a GatewaySubmission<'a>,
    answered: Vec<AcceptedParcel>,
    /// When the first of them came.
    since: Instant,
    /// How many parcels failed in a row.
    failures: usize,
}

impl AnswerEffects<'_> {
    fn now(&self) -> Timestamp {
        self.submission.time.told
    }

    fn take<E: From<Error>>(
        &mut self,
        store: &mut dyn MessageStore,
        sent: ParcelFate,
        each: &mut dyn FnMut(OnlineEvent) -> Result<(), E>,
    ) -> Result<(), PageEnd<E>> {
        match sent {
            ParcelFate::Accepted(answered) => {
                self.failures = 0;
                if self.answered.is_empty() {
                    self.since = Instant::now();
                }
                self.answered.push(answered);
                if self.answered.len() >= STORE_TOGETHER || self.since.elapsed() >= STORE_WITHIN {
                    self.release(store, each).map_err(PageEnd::Failed)?;
                }
                Ok(())
            }
            ParcelFate::Refused { queued, id, error } => {
                self.failures = 0;
                let taken = Taken {
                    message: &queued,
                    id: &id,
                    event: SentEvent::Accepted,
                    by: self.submission.label,
                };
                let why = error.to_string();
                store
                    .set_aside(&taken, &why, self.now())
                    .map_err(Error::from)?;
                let name = queued.name().clone();
                each(OnlineEvent::Refused { name, id, error }).map_err(PageEnd::Failed)
            }
            ParcelFate::Failed { error, .. } if is_pause(&error) => Err(PageEnd::Refused(error)),
            ParcelFate::Failed { error, .. } if ends_run(&error) => Err(error.into()),
            ParcelFate::Failed { queued, error } => {
                self.failures += usize::from(is_of_server(&error));
                if self.failures >= MAX_FAILURES {
                    return Err(PageEnd::Refused(error));
                }
                let what = queued.label();
                each(OnlineEvent::Kept { what, error }).map_err(PageEnd::Failed)
            }
        }
    }

    /// Performs the effects of the answers so far.
    fn release<E: From<Error>>(
        &mut self,
        store: &mut dyn MessageStore,
        each: &mut dyn FnMut(OnlineEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        let answered = std::mem::take(&mut self.answered);
        let taken: Vec<Taken<'_>> = answered
            .iter()
            .map(|it| Taken {
                message: &it.queued,
                id: &it.id,
                event: SentEvent::Accepted,
                by: self.submission.label,
            })
            .collect();
        store.release(&taken, self.now()).map_err(Error::from)?;
        answered.into_iter().try_for_each(|it| {
            each(OnlineEvent::Accepted {
                name: it.queued.name().clone(),
                id: it.id,
                len: it.len,
            })
        })
    }
}

/// Whether the server asked for a pause.
fn is_pause(error: &Error) -> bool {
    matches!(
        error,
        Error::Answer {
            kind: ErrorKind::Unreachable,
            retry_after: Some(_),
            ..
        }
    )
}

/// Whether the next parcel would meet the same error: it is of the connection, or of this node's registration.
fn ends_run(error: &Error) -> bool {
    match error {
        Error::Answer { kind, .. } => *kind != ErrorKind::Unreachable,
        Error::Message(_) => false,
        Error::Spool(error) => !error.is_of_one_file(),
        _ => true,
    }
}

fn is_of_server(error: &Error) -> bool {
    matches!(error, Error::Answer { .. })
}
