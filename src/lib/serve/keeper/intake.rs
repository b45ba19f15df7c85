//! Parcels that come: judged, stored together, and then answered.

use std::fs::File;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::abroad::ForeignCounts;
use super::context::{KeeperContext, KeeperEvent};
use super::judge::{Judge, WelcomeParcel};
use super::mailboxes::MailboxCounts;
use super::newcomers::Newcomers;
use crate::pipeline::mutex::lock;
use crate::pki::NodeId;
use crate::ramf::limits::MAX_MESSAGE_LEN;
use crate::serve::Error;
use crate::serve::outbox::Outbox;
use crate::serve::protocol::{CallId, ParcelRoute, ServeVerdict, ToFront};
use crate::serve::rooms::Rooms;
use crate::spool::wire::{Arrived, MessageStore as _, Reception, SpoolMessages};
use crate::spool::{self, QueueId};

/// The most parcels that are stored with one sync.
const TOGETHER: usize = 32;

/// The most octets that are.
const TOGETHER_OCTETS: usize = 4 << 20;

/// How long what was read of the node is used.
const JUDGE_FOR: Duration = Duration::from_secs(1);

/// How long a quota that is reached is not counted anew.
const RECOUNT_AFTER: Duration = Duration::from_secs(2);

/// After so many parcels the queues are listed anew: what is known of them takes memory.
const STORE_FOR: usize = 50_000;

/// A parcel that came.
pub(super) struct ArrivedParcel {
    /// Its question.
    pub call: CallId,
    /// How it came.
    pub route: ParcelRoute,
    /// Its octets, unless they are in the room of that question.
    pub octets: Option<Vec<u8>>,
}

/// What takes parcels in. Several threads work on it.
pub(super) struct Intake<'a> {
    context: &'a KeeperContext<'a>,
    outbox: &'a Outbox<'a>,
    rooms: &'a Rooms,
    judge: Mutex<Option<(Instant, Arc<Judge>)>>,
    store: Mutex<ParcelStore<'a>>,
    mailboxes: MailboxCounts<'a>,
    abroad: ForeignCounts,
    newcomers: &'a Newcomers<'a>,
}

struct ParcelStore<'a> {
    messages: SpoolMessages<'a>,
    put: usize,
    /// When a quota was last found to be reached although all was counted anew.
    recounted: Instant,
}

/// A parcel of a batch, once it was judged.
struct JudgedParcel {
    call: CallId,
    len: usize,
    verdict: Result<WelcomeParcel, ServeVerdict>,
}

impl<'a> Intake<'a> {
    /// Takes parcels into the spool of the context.
    pub(super) fn new(
        context: &'a KeeperContext<'a>,
        outbox: &'a Outbox<'a>,
        newcomers: &'a Newcomers<'a>,
        rooms: &'a Rooms,
    ) -> Self {
        Self {
            abroad: ForeignCounts::of(context.spool.owner()),
            newcomers,
            context,
            outbox,
            rooms,
            mailboxes: MailboxCounts::of(context.spool),
            judge: Mutex::default(),
            store: Mutex::new(ParcelStore {
                messages: SpoolMessages::of(context.spool),
                put: 0,
                recounted: Instant::now(),
            }),
        }
    }

    /// What the node knows now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn judge(&self) -> Result<Arc<Judge>, Error> {
        let mut judge = lock(&self.judge);
        if let Some((since, judge)) = &*judge
            && since.elapsed() < JUDGE_FOR
        {
            return Ok(Arc::clone(judge));
        }
        let (time, window) = (self.context.clock)()?;
        let made = Arc::new(Judge::of(self.context.spool.owner(), window, &time)?);
        *judge = Some((Instant::now(), Arc::clone(&made)));
        Ok(made)
    }

    /// The node has changed: what was read of it counts no longer.
    pub(super) fn forget(&self) {
        *lock(&self.judge) = None;
    }

    /// Makes a file for a parcel, unless its sender or the disk is against it.
    pub(super) fn make_room(&self, call: CallId, route: &ParcelRoute, len: u64) {
        match self.room(call, route, len) {
            Ok(file) => self.outbox.send(&ToFront::Room { call }, &[], Some(&file)),
            Err(verdict) => self.outbox.answer(call, verdict, &[]),
        }
    }

    fn room(&self, call: CallId, route: &ParcelRoute, len: u64) -> Result<File, ServeVerdict> {
        if let ParcelRoute::Registered(signature) = route {
            let judge = self.judge().map_err(|error| self.failed(error))?;
            judge.claimed(signature)?;
        }
        // A node that is new has no spool yet.
        let made = self.context.spool.make(QueueId::In);
        made.map_err(|error| self.failed(error.into()))?;
        let room = self.rooms.make(call, len);
        let room = room.map_err(|error| self.failed(error))?;
        room.ok_or_else(|| ServeVerdict::Full("there is no room for it now".to_owned()))
    }

    /// An error of this node, which is reported here, and not told to who asked.
    fn failed(&self, error: Error) -> ServeVerdict {
        self.context.failed(error, "it cannot be stored now")
    }

    /// Takes parcels until no more can come. What waits is stored together.
    pub(super) fn work(&self, parcels: &Mutex<Receiver<ArrivedParcel>>) {
        loop {
            let mut batch = Vec::new();
            {
                // The others wait here while this thread collects its batch, and it gives the lock back at once.
                let parcels = lock(parcels);
                let Ok(first) = parcels.recv() else {
                    return;
                };
                let mut octets = first.octets.as_ref().map_or(MAX_MESSAGE_LEN, Vec::len);
                batch.push(first);
                while batch.len() < TOGETHER && octets < TOGETHER_OCTETS {
                    let Ok(next) = parcels.try_recv() else {
                        break;
                    };
                    octets += next.octets.as_ref().map_or(MAX_MESSAGE_LEN, Vec::len);
                    batch.push(next);
                }
            }
            self.take(batch);
        }
    }

    /// Judges and stores a batch, and answers.
    fn take(&self, batch: Vec<ArrivedParcel>) {
        let judge = match self.judge() {
            Ok(judge) => judge,
            Err(error) => {
                let verdict = self.failed(error);
                for parcel in batch {
                    self.rooms.give_up(parcel.call);
                    self.outbox.answer(parcel.call, verdict.clone(), &[]);
                }
                return;
            }
        };
        let judged = batch.into_iter().map(|parcel| self.judged(parcel, &judge));
        let mut judged: Vec<JudgedParcel> = judged.collect();
        let arrived: Vec<Arrived<'_>> = judged
            .iter()
            .filter_map(|it| {
                let welcome = it.verdict.as_ref().ok()?;
                let arrived = Arrived::new(&welcome.item, welcome.hop)?;
                Some(arrived.expected_at(welcome.expected))
            })
            .collect();
        let stored = self.store(&arrived);
        let is_new: Vec<bool> = match &stored {
            Ok(results) => results
                .iter()
                .map(|it| matches!(it, Ok(Reception::Stored)))
                .collect(),
            Err(_) => Vec::new(),
        };
        let mut answers = Vec::with_capacity(judged.len());
        match stored {
            Ok(results) => {
                let mut results = results.into_iter().zip(&arrived);
                for it in &judged {
                    answers.push(match &it.verdict {
                        Err(verdict) => verdict.clone(),
                        Ok(_) => match results.next() {
                            Some((result, arrived)) => self.answer_to(result, arrived, it.len),
                            None => ServeVerdict::Busy("it cannot be stored now".to_owned()),
                        },
                    });
                }
            }
            Err(error) => {
                let verdict = self.failed(error);
                answers.extend(judged.iter().map(|it| match &it.verdict {
                    Err(refused) => refused.clone(),
                    Ok(_) => verdict.clone(),
                }));
            }
        }
        drop(arrived);
        let welcome = judged.iter().filter_map(|it| it.verdict.as_ref().ok());
        let mut is_new = is_new.into_iter();
        for welcome in welcome {
            self.settle(welcome, is_new.next().unwrap_or(false));
        }
        for (it, answer) in judged.drain(..).zip(answers) {
            if it.verdict.is_err() {
                (self.context.report)(KeeperEvent::Refused {
                    verdict: answer.clone(),
                    peer: None,
                });
            }
            let node = it.verdict.ok().and_then(|welcome| welcome.session);
            self.outbox.answer_to(it.call, answer, &[], node);
        }
    }

    /// Reads and judges a parcel.
    fn judged(&self, parcel: ArrivedParcel, judge: &Judge) -> JudgedParcel {
        let ArrivedParcel {
            call,
            route,
            octets,
        } = parcel;
        let octets = match octets {
            Some(octets) => Ok(octets),
            // Or without a body.
            None => self
                .rooms
                .take(call, MAX_MESSAGE_LEN)
                .map(Option::unwrap_or_default),
        };
        let (len, verdict) = match octets {
            Ok(octets) => {
                let len = octets.len();
                let welcome = judge.parcel(octets, &route);
                (len, welcome.and_then(|welcome| self.fits(welcome, len)))
            }
            Err(error) => (0, Err(self.failed(error.into()))),
        };
        JudgedParcel { call, len, verdict }
    }

    /// Refuses a parcel whose mailbox is full, or one too many of its node.
    fn fits(&self, welcome: WelcomeParcel, len: usize) -> Result<WelcomeParcel, ServeVerdict> {
        if let Some(next) = welcome.next {
            match self.mailboxes.admits(next, len) {
                Ok(true) => {}
                Ok(false) => return Err(ServeVerdict::Full("the mailbox is full".to_owned())),
                Err(error) => return Err(self.failed(error)),
            }
        }
        if let Some(node) = welcome.session.filter(|_| welcome.is_foreign) {
            let (time, _) = (self.context.clock)().map_err(|error| self.failed(error))?;
            if !self.abroad.admits(node, time.told) {
                let text = "as many messages as it may have gone to other servers today";
                return Err(ServeVerdict::Full(text.to_owned()));
            }
        }
        Ok(welcome)
    }

    /// Takes note of what became of a parcel that was to be stored.
    fn settle(&self, welcome: &WelcomeParcel, is_stored: bool) {
        let Some(node) = welcome.session else {
            return;
        };
        if welcome.is_foreign && !is_stored {
            self.abroad.takes_back(node);
        }
        self.has_signed(node);
    }

    /// A registered node has signed something that shows that it is in use.
    pub(super) fn has_signed(&self, node: NodeId) {
        if let Err(error) = self.newcomers.signed(node) {
            self.failed(error.into());
        }
    }

    fn store(
        &self,
        arrived: &[Arrived<'_>],
    ) -> Result<Vec<Result<Reception, spool::Error>>, Error> {
        if arrived.is_empty() {
            return Ok(Vec::new());
        }
        let mut store = lock(&self.store);
        if store.put > STORE_FOR {
            store.messages = SpoolMessages::of(self.context.spool);
            store.put = 0;
        }
        store.put += arrived.len();
        let mut results = store.messages.put(arrived)?;
        // What came may have been collected since quotas were counted.
        if store.recounted.elapsed() >= RECOUNT_AFTER {
            store.messages.retry_quota(arrived, &mut results)?;
            if results
                .iter()
                .any(|it| matches!(it, Err(spool::Error::Quota { .. })))
            {
                store.recounted = Instant::now();
            }
        }
        Ok(results)
    }

    /// The verdict on a parcel that was to be stored.
    fn answer_to(
        &self,
        result: Result<Reception, spool::Error>,
        arrived: &Arrived<'_>,
        len: usize,
    ) -> ServeVerdict {
        let event = |fate| KeeperEvent::Parcel {
            name: arrived.name().clone(),
            id: arrived.id().to_owned(),
            len,
            fate,
        };
        match result {
            Ok(Reception::Stored) => {
                (self.context.report)(event(Reception::Stored));
                ServeVerdict::Done
            }
            Ok(Reception::Repeated) => {
                (self.context.report)(event(Reception::Repeated));
                ServeVerdict::Done
            }
            Ok(Reception::Loop) => {
                (self.context.report)(event(Reception::Loop));
                ServeVerdict::Busy("it was passed on too often".to_owned())
            }
            Err(error) => self.failed(error.into()),
        }
    }
}
