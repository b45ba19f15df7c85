//! Cargo on its way to somebody who collects it, from a medium (RS-008 §`CollectCargo`).

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::Error;
use super::outbox::Outbox;
use super::protocol::{SessionId, ToFront, ToKeeper};
use crate::crypto::random;
use crate::medium::{self, Medium, MediumFile, WaitingCargo};
use crate::pki::NodeId;
use crate::ramf::Kind;
use crate::send::uuid;
use crate::verify::Policy;

/// The longest request, in octets: what a head of HTTP can hold.
pub(super) const MAX_REQUEST: usize = 16 * 1024;

/// The most deliveries that are not acknowledged (RS-000 §Binding).
const WINDOW: usize = 5;

/// What happens to collections of cargo.
pub(super) enum CarriageCall {
    /// One begins.
    Begin {
        /// Which collection.
        session: SessionId,
        /// The request that is shown.
        request: Vec<u8>,
        /// Nothing new is sent after this.
        within: Duration,
    },
    /// Cargo was stored at the other end.
    Collected {
        /// Which collection.
        session: SessionId,
        /// Its delivery.
        delivery: String,
    },
    /// Its time is over.
    TimeUp(SessionId),
    /// The other end is gone.
    Gone(SessionId),
}

impl CarriageCall {
    /// What the front tells of such a collection, with its body; `None` for something else.
    pub(super) fn of(head: ToKeeper, body: Vec<u8>) -> Option<Self> {
        Some(match head {
            ToKeeper::CargoCollection { session, within } => Self::Begin {
                session,
                request: body,
                within: Duration::from_millis(within),
            },
            ToKeeper::CargoCollected { session, delivery } => Self::Collected { session, delivery },
            ToKeeper::CargoTimeUp { session } => Self::TimeUp(session),
            ToKeeper::Gone { session } => Self::Gone(session),
            _ => return None,
        })
    }
}

/// Cargo on its way to who shows a request for it.
pub(super) struct CargoSending {
    session: SessionId,
    /// The gateway that the cargo is for, which made the request.
    pub(super) gateway: NodeId,
    /// The SHA-256 of the request.
    pub(super) request: [u8; 32],
    waiting: VecDeque<WaitingCargo>,
    open: HashMap<String, MediumFile>,
    /// What was acknowledged in this collection.
    done: HashSet<[u8; 32]>,
    /// Nothing new is sent after this.
    until: Instant,
}

impl CargoSending {
    pub(super) fn new(
        session: SessionId,
        gateway: NodeId,
        request: [u8; 32],
        within: Duration,
    ) -> Self {
        Self {
            session,
            gateway,
            request,
            waiting: VecDeque::new(),
            open: HashMap::new(),
            done: HashSet::new(),
            until: Instant::now() + within,
        }
    }

    /// Looks on the medium what is still to be sent: what nobody took who showed the same request. With `is_once` what
    /// anybody took does not go again.
    ///
    /// # Errors
    /// When the medium cannot be read.
    pub(super) fn look(
        &mut self,
        medium: &Medium,
        policy: &Policy,
        is_once: bool,
        report: &mut dyn FnMut(MediumFile, medium::Error),
    ) -> Result<(), Error> {
        let taken = medium.taken(self.gateway)?;
        let waiting = medium.waiting(Kind::Cargo, self.gateway, policy, report)?;
        let open: HashSet<[u8; 32]> = self.open.values().map(|file| file.sha256).collect();
        let is_new = |it: &WaitingCargo| {
            let sha256 = &it.file.sha256;
            let was_taken = taken
                .get(sha256)
                .is_some_and(|mark| is_once || mark.request == self.request);
            !was_taken && !open.contains(sha256) && !self.done.contains(sha256)
        };
        self.waiting = waiting.into_iter().filter(is_new).collect();
        Ok(())
    }

    /// How much waits to be sent, in octets.
    pub(super) fn octets(&self) -> u64 {
        self.waiting.iter().map(|it| it.file.len).sum()
    }

    /// Whether nothing is left to send or to be acknowledged.
    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.open.is_empty()
    }

    /// Sends what may be sent now.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub(super) fn send(&mut self, outbox: &Outbox<'_>) -> Result<(), Error> {
        while self.open.len() < WINDOW
            && Instant::now() < self.until
            && let Some(cargo) = self.waiting.pop_front()
        {
            let file = cargo.file;
            let Some(opened) = file.open()? else {
                continue;
            };
            let delivery = uuid(random::array::<16>().map_err(unlucky)?);
            let head = ToFront::Delivery {
                session: self.session,
                delivery: delivery.clone(),
                len: file.len,
            };
            outbox.send(&head, &[], Some(&opened));
            self.open.insert(delivery, file);
        }
        Ok(())
    }

    /// The cargo of a delivery that was acknowledged; `None` for another id.
    pub(super) fn acknowledged(&mut self, delivery: &str) -> Option<MediumFile> {
        let file = self.open.remove(delivery)?;
        self.done.insert(file.sha256);
        Some(file)
    }
}

fn unlucky(error: crate::crypto::Error) -> Error {
    crate::node::Error::from(crate::pki::Error::Crypto(error)).into()
}
