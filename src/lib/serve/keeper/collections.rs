//! Collections: what waits for registered nodes is given to those that are connected (RS-016 §Parcel collection).

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use super::context::{KeeperContext, KeeperEvent};
use super::intake::Intake;
use crate::crypto::random;
use crate::message::Item;
use crate::message::countersignature::Purpose;
use crate::message::parcel_collection::{Challenge, Response};
use crate::pki::NodeId;
use crate::send::uuid;
use crate::serve::Error;
use crate::serve::channel::MAX_INLINE;
use crate::serve::outbox::Outbox;
use crate::serve::protocol::{CollectionClose, ServeRole, ServeVerdict, SessionId, ToFront};
use crate::spool::QueueId;
use crate::spool::queue::Rank;
use crate::spool::sent::SentEvent;
use crate::spool::wire::{MessageStore, Queued, SpoolMessages, Taken};

/// A collection that ends once everything was collected lasts this long, if something waits to be routed: that may be
/// for it.
const ROUTED_WITHIN: Duration = Duration::from_secs(3);

/// How often collections are gone through.
const TICK: Duration = Duration::from_secs(1);

/// How often it is looked whether another program put something into a mailbox that was empty: that examines a directory
/// for each collection, of which thousands may be idle. What this server routes is looked for at once.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The messages of a mailbox that are looked up at once.
const PAGE: usize = 512;

/// The most collections of one node; the oldest of more ends.
const OF_NODE: usize = 2;

/// The most nodes in one collection.
const MAX_NODES: usize = 64;

/// A delivery that is not acknowledged for this long is left, as our own programs do with what they cannot take now:
/// others may then take its place.
const LEFT_AFTER: Duration = Duration::from_secs(10);

/// The octets of deliveries that wait to be sent in one collection, above which no more are added.
const MAX_UNSENT: usize = 1 << 20;

/// The most deliveries that are left in one collection.
const MAX_LEFT: usize = 4096;

/// What calls are handled together, so that acknowledgements share a sync.
const TOGETHER: usize = 512;

/// What happens to collections.
pub(super) enum CollectionCall {
    /// One begins.
    Begin(SessionId),
    /// The answer to its challenge.
    Response {
        /// Which collection.
        session: SessionId,
        /// The answer.
        octets: Vec<u8>,
        /// How many deliveries may be unacknowledged.
        window: u16,
        /// Whether it ends once everything was collected.
        ends: bool,
    },
    /// A parcel was sent.
    Sent {
        /// Which collection.
        session: SessionId,
        /// Its delivery.
        delivery: String,
    },
    /// A parcel was stored at the other end.
    Collected {
        /// Which collection.
        session: SessionId,
        /// Its delivery.
        delivery: String,
    },
    /// It is over.
    Gone(SessionId),
    /// Something may have come for those who wait.
    Look,
}

/// A parcel that was sent and is not acknowledged yet.
struct OpenDelivery {
    /// The node that it is for.
    node: NodeId,
    message: Queued,
    id: String,
    len: usize,
    /// When the front had sent it.
    sent: Option<Instant>,
}

/// What waits for one node.
struct Mailbox {
    node: NodeId,
    /// What was looked up and not sent yet.
    ready: VecDeque<Queued>,
    /// Up to where it was looked up.
    after: Option<Rank>,
    /// The time of the directory before it was last looked up.
    seen: Option<SystemTime>,
    state: MailboxState,
    /// Whether it was empty before this time: the time of a directory is coarse, so an empty one is looked up twice.
    is_second_look: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MailboxState {
    /// More may be looked up.
    More,
    /// It was empty a moment ago.
    JustEmpty,
    /// It is empty until its directory changes.
    Empty,
}

/// A collection.
struct CollectionSession {
    nonce: Vec<u8>,
    mailboxes: Vec<Mailbox>,
    window: usize,
    ends: bool,
    open: HashMap<String, OpenDelivery>,
    /// The files of what is open, which are not sent again.
    labels: HashSet<String>,
    since: Instant,
}

/// All collections.
pub(super) struct Collections<'a> {
    context: &'a KeeperContext<'a>,
    outbox: &'a Outbox<'a>,
    intake: &'a Intake<'a>,
    store: SpoolMessages<'a>,
    sessions: HashMap<SessionId, CollectionSession>,
}

/// An acknowledged delivery.
type Acknowledged = (SessionId, OpenDelivery);

impl<'a> Collections<'a> {
    /// Nobody collects yet.
    pub(super) fn new(
        context: &'a KeeperContext<'a>,
        outbox: &'a Outbox<'a>,
        intake: &'a Intake<'a>,
    ) -> Self {
        Self {
            context,
            outbox,
            intake,
            store: SpoolMessages::of(context.spool),
            sessions: HashMap::new(),
        }
    }

    /// Handles calls until no more can come.
    pub(super) fn work(&mut self, calls: &Receiver<CollectionCall>) {
        let (mut looked, mut ticked) = (Instant::now(), Instant::now());
        loop {
            let mut batch = Vec::new();
            match calls.recv_timeout(TICK) {
                Ok(call) => batch.push(call),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            batch.extend(calls.try_iter().take(TOGETHER));
            let mut touched = HashSet::new();
            let mut acknowledged = Vec::new();
            let mut looks = looked.elapsed() >= LOOK_EVERY;
            for call in batch {
                self.handle(call, &mut touched, &mut acknowledged, &mut looks);
            }
            self.release(acknowledged);
            if looks {
                looked = Instant::now();
            }
            if looks || ticked.elapsed() >= TICK {
                ticked = Instant::now();
                touched.extend(self.sessions.keys().copied());
            }
            for session in touched {
                self.pump(session, looks);
            }
        }
    }

    fn handle(
        &mut self,
        call: CollectionCall,
        touched: &mut HashSet<SessionId>,
        acknowledged: &mut Vec<Acknowledged>,
        looks: &mut bool,
    ) {
        match call {
            CollectionCall::Begin(session) => self.begin(session),
            CollectionCall::Response {
                session,
                octets,
                window,
                ends,
            } => {
                match self.open(session, &octets, window, ends) {
                    Ok(()) => touched.insert(session),
                    Err(end) => self.end(session, end),
                };
            }
            CollectionCall::Collected { session, delivery } => {
                let Some(state) = self.sessions.get_mut(&session) else {
                    return;
                };
                if let Some(open) = state.open.remove(&delivery) {
                    touched.insert(session);
                    acknowledged.push((session, open));
                } else {
                    let reason = "Unknown delivery id sent as acknowledgement".to_owned();
                    self.end(session, CollectionClose::Refused(reason));
                }
            }
            CollectionCall::Sent { session, delivery } => {
                let state = self.sessions.get_mut(&session);
                if let Some(open) = state.and_then(|state| state.open.get_mut(&delivery)) {
                    open.sent = Some(Instant::now());
                    touched.insert(session);
                }
            }
            CollectionCall::Gone(session) => {
                self.sessions.remove(&session);
            }
            CollectionCall::Look => *looks = true,
        }
    }

    fn begin(&mut self, session: SessionId) {
        let Ok(nonce) = random::array::<16>() else {
            self.outbox.tell(&ToFront::CollectionEnd {
                session,
                end: CollectionClose::Failed,
            });
            return;
        };
        let challenge = Challenge::new(nonce.to_vec()).to_der();
        let head = ToFront::Challenge { session };
        self.outbox.send(&head, &challenge, None);
        let state = CollectionSession {
            nonce: nonce.to_vec(),
            mailboxes: Vec::new(),
            window: 1,
            ends: false,
            open: HashMap::new(),
            labels: HashSet::new(),
            since: Instant::now(),
        };
        self.sessions.insert(session, state);
    }

    fn end(&mut self, session: SessionId, end: CollectionClose) -> bool {
        self.sessions.remove(&session);
        self.outbox.tell(&ToFront::CollectionEnd { session, end });
        false
    }

    /// Opens a collection, if the answer to its challenge is that of registered nodes.
    fn open(
        &mut self,
        session: SessionId,
        octets: &[u8],
        window: u16,
        ends: bool,
    ) -> Result<(), CollectionClose> {
        let refused = |reason: String| CollectionClose::Refused(reason);
        let state = self.sessions.get_mut(&session);
        let state = state.ok_or(CollectionClose::Again)?;
        if !state.mailboxes.is_empty() {
            return Err(refused("Invalid handshake response".to_owned()));
        }
        let response = Response::parse(octets)
            .map_err(|_| refused("Invalid handshake response".to_owned()))?;
        let count = response.signatures.len();
        let is_right = match self.context.role {
            ServeRole::LocalGateway => (1..=MAX_NODES).contains(&count),
            _ => count == 1,
        };
        if !is_right {
            return Err(refused(format!(
                "Handshake response did not include exactly one nonce signature (got {count})"
            )));
        }
        let judge = self.intake.judge().map_err(|error| {
            (self.context.report)(KeeperEvent::Failed(error));
            CollectionClose::Again
        })?;
        let mut nodes = Vec::new();
        for signature in &response.signatures {
            let node = judge.signer(signature, Purpose::Collection, &state.nonce);
            nodes.push(node.map_err(|verdict| match verdict {
                ServeVerdict::Busy(_) => CollectionClose::Again,
                _ => refused("Nonce signature is invalid".to_owned()),
            })?);
        }
        nodes.sort_unstable();
        nodes.dedup();
        state.window = usize::from(window.max(1));
        state.ends = ends;
        state.mailboxes = nodes.iter().copied().map(Mailbox::of).collect();
        if let Some(first) = nodes.first() {
            let node = *first.digest();
            self.outbox.tell(&ToFront::CollectionOpen { session, node });
        }
        for node in nodes {
            self.intake.has_signed(node);
            self.end_oldest(node);
        }
        Ok(())
    }

    /// Ends the oldest collection of a node that has too many.
    fn end_oldest(&mut self, node: NodeId) {
        let of_node = self.sessions.iter().filter(|(_, state)| {
            let mut mailboxes = state.mailboxes.iter();
            mailboxes.any(|it| it.node == node)
        });
        let of_node: Vec<_> = of_node.map(|(id, state)| (state.since, *id)).collect();
        if of_node.len() > OF_NODE
            && let Some((_, oldest)) = of_node.into_iter().min()
        {
            self.end(oldest, CollectionClose::Again);
        }
    }

    /// Removes what was acknowledged, with one sync.
    fn release(&mut self, acknowledged: Vec<Acknowledged>) {
        if acknowledged.is_empty() {
            return;
        }
        let labels: Vec<String> = acknowledged
            .iter()
            .map(|(_, open)| self.context.spool.owner().label_of(open.node))
            .collect();
        let taken: Vec<Taken<'_>> = acknowledged
            .iter()
            .zip(&labels)
            .map(|((_, open), by)| Taken {
                message: &open.message,
                id: &open.id,
                event: SentEvent::Accepted,
                by,
            })
            .collect();
        let released = (self.context.clock)()
            .and_then(|(time, _)| Ok(self.store.release(&taken, time.told)?));
        match released {
            Ok(()) => {
                for (session, open) in &acknowledged {
                    if let Some(state) = self.sessions.get_mut(session) {
                        state.labels.remove(&open.message.label());
                    }
                    (self.context.report)(KeeperEvent::Collected {
                        name: open.message.name().clone(),
                        id: open.id.clone(),
                        by: open.node,
                    });
                }
            }
            // They wait still, and are sent again in another collection.
            Err(error) => {
                (self.context.report)(KeeperEvent::Failed(error));
                for (session, _) in acknowledged {
                    self.end(session, CollectionClose::Failed);
                }
            }
        }
    }

    /// Sends what may be sent. `looks` also into mailboxes that were empty.
    fn pump(&mut self, session: SessionId, looks: bool) {
        let Some(mut state) = self.sessions.remove(&session) else {
            return;
        };
        if state.mailboxes.is_empty() {
            self.sessions.insert(session, state);
            return;
        }
        let end = match self.fill(session, &mut state, looks) {
            Ok(()) => state.end().filter(|_| !self.awaits_routing(&state)),
            Err(error) => {
                (self.context.report)(KeeperEvent::Failed(error));
                Some(CollectionClose::Failed)
            }
        };
        match end {
            Some(end) => self.outbox.tell(&ToFront::CollectionEnd { session, end }),
            None => {
                self.sessions.insert(session, state);
            }
        }
    }

    /// Whether something that came before a collection may still be routed to it.
    fn awaits_routing(&self, state: &CollectionSession) -> bool {
        state.since.elapsed() < ROUTED_WITHIN
            && self
                .context
                .spool
                .count(QueueId::In)
                .is_ok_and(|count| count > 0)
    }

    fn fill(
        &self,
        session: SessionId,
        state: &mut CollectionSession,
        looks: bool,
    ) -> Result<(), Error> {
        let now = Instant::now();
        let mut at = 0;
        while at < state.mailboxes.len() && state.has_place(now) {
            let mailbox = &mut state.mailboxes[at];
            if looks {
                self.look(mailbox);
            }
            match self.next(mailbox, &state.labels)? {
                None => at += 1,
                Some(message) => {
                    let node = mailbox.node;
                    self.send((session, node), state, message)?;
                }
            }
        }
        Ok(())
    }

    /// Looks whether something came into an empty mailbox.
    fn look(&self, mailbox: &mut Mailbox) {
        let is_changed = match mailbox.state {
            MailboxState::More => false,
            MailboxState::JustEmpty => true,
            MailboxState::Empty => mailbox.seen != self.modified(mailbox.node),
        };
        if is_changed {
            let was_just_empty = mailbox.state == MailboxState::JustEmpty;
            mailbox.begin_anew();
            mailbox.is_second_look = was_just_empty;
        }
    }

    fn modified(&self, node: NodeId) -> Option<SystemTime> {
        let queue = self.context.spool.queue(QueueId::Out(node));
        queue.dir().metadata().and_then(|it| it.modified()).ok()
    }

    /// The next message of a mailbox that is not open.
    fn next(&self, mailbox: &mut Mailbox, open: &HashSet<String>) -> Result<Option<Queued>, Error> {
        loop {
            while let Some(message) = mailbox.ready.pop_front() {
                if !open.contains(&message.label()) {
                    return Ok(Some(message));
                }
            }
            if mailbox.state != MailboxState::More {
                return Ok(None);
            }
            if mailbox.after.is_none() {
                mailbox.seen = self.modified(mailbox.node);
            }
            let place = QueueId::Out(mailbox.node);
            let page = self.store.page(place, mailbox.after.as_ref(), PAGE)?;
            match page.last() {
                Some(last) => mailbox.after = Some(last.rank()),
                None => mailbox.is_empty_now(),
            }
            mailbox.ready.extend(page);
        }
    }

    /// Sends a message, unless it has left or ended meanwhile.
    fn send(
        &self,
        (session, node): (SessionId, NodeId),
        state: &mut CollectionSession,
        message: Queued,
    ) -> Result<(), Error> {
        let (time, _) = (self.context.clock)()?;
        if message.name().expiry < time.sure {
            return Ok(());
        }
        let Some(octets) = self.store.read(&message, Vec::new())? else {
            return Ok(());
        };
        let len = octets.len();
        let file = if len > MAX_INLINE {
            match self.store.open(&message)? {
                Some(file) => Some(file.into_file()),
                None => return Ok(()),
            }
        } else {
            None
        };
        // What is no parcel, or no message at all, is the affair of other programs.
        let Ok(item) = Item::parse(octets) else {
            return Ok(());
        };
        let (Item::Parcel(_), Some(parcel)) = (&item, item.message()) else {
            return Ok(());
        };
        let delivery = uuid(
            random::array::<16>()
                .map_err(crate::pki::Error::Crypto)
                .map_err(crate::node::Error::from)?,
        );
        let head = ToFront::Delivery {
            session,
            delivery: delivery.clone(),
            len: len as u64,
        };
        let body = if file.is_some() {
            &[][..]
        } else {
            parcel.octets()
        };
        self.outbox.send(&head, body, file.as_ref());
        state.labels.insert(message.label());
        let open = OpenDelivery {
            node,
            id: parcel.fields().id.clone(),
            message,
            len,
            sent: None,
        };
        state.open.insert(delivery, open);
        Ok(())
    }
}

impl Mailbox {
    fn of(node: NodeId) -> Self {
        Self {
            node,
            ready: VecDeque::new(),
            after: None,
            seen: None,
            state: MailboxState::More,
            is_second_look: false,
        }
    }

    fn begin_anew(&mut self) {
        self.ready.clear();
        self.after = None;
        self.state = MailboxState::More;
        self.is_second_look = false;
    }

    fn is_empty_now(&mut self) {
        self.state = if self.is_second_look {
            MailboxState::Empty
        } else {
            MailboxState::JustEmpty
        };
    }
}

impl CollectionSession {
    /// Whether another delivery may be sent.
    fn has_place(&self, now: Instant) -> bool {
        // What the client has not read yet is in the memory of the front.
        let unsent = self.open.values().filter(|open| open.sent.is_none());
        let unsent: usize = unsent.map(|open| open.len).sum();
        if self.open.len() >= MAX_LEFT || unsent >= MAX_UNSENT {
            return false;
        }
        let is_waited_for = |open: &&OpenDelivery| {
            open.sent
                .is_none_or(|sent| now.duration_since(sent) < LEFT_AFTER)
        };
        self.open.len() < self.window
            || self.open.values().filter(is_waited_for).count() < self.window
    }

    /// Why it ends now, if it does.
    fn end(&self) -> Option<CollectionClose> {
        let is_empty = |it: &Mailbox| it.state != MailboxState::More && it.ready.is_empty();
        let is_over = self.ends && self.open.is_empty() && self.mailboxes.iter().all(is_empty);
        is_over.then_some(CollectionClose::Complete)
    }
}
