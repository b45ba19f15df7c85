//! The keeper, as the front asks it.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::pipeline::mutex::lock;
use crate::serve::channel::{Channel, ReceivedMessage};
use crate::serve::protocol::{CallId, CollectionClose, ServeVerdict, SessionId, ToFront, ToKeeper};

/// How many messages wait for the keeper before those who bring more have to wait.
const WAITING: usize = 64;

/// How long the keeper may take for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// What the keeper answered.
#[derive(Debug)]
pub(super) enum KeeperAnswer {
    /// The verdict, the object that was asked for, and the registered node that asked, if it has shown itself.
    Verdict(ServeVerdict, Vec<u8>, Option<[u8; 32]>),
    /// An empty file for a body.
    Room(File),
    /// A certificate, and its key in DER.
    Certificate(Vec<Vec<u8>>, Vec<u8>),
}

/// What happens to a collection.
#[derive(Debug)]
pub(super) enum CollectionEvent {
    /// The challenge is to be sent.
    Challenge(Vec<u8>),
    /// The answer to it was right: it is this node.
    Open([u8; 32]),
    /// A parcel is to be sent.
    Delivery {
        /// The id of the delivery.
        id: String,
        /// The length of the parcel, in octets.
        len: u64,
        /// The parcel.
        parcel: ParcelSource,
    },
    /// It is over.
    End(CollectionClose),
}

/// Where the octets of a parcel are.
#[derive(Debug)]
pub(super) enum ParcelSource {
    /// Here.
    Octets(Vec<u8>),
    /// In a file, from its beginning.
    File(File),
}

/// What the keeper says that answers nothing.
#[derive(Debug)]
pub(super) enum KeeperNotice {
    /// From now on this certificate.
    Certificate(Vec<Vec<u8>>, Vec<u8>),
    /// Accept nothing more, and exit.
    Stop,
}

/// A message to the keeper.
struct MessageToKeeper {
    head: ToKeeper,
    body: Vec<u8>,
}

/// Asks the keeper.
#[derive(Debug)]
pub(super) struct KeeperLink {
    outgoing: mpsc::Sender<MessageToKeeper>,
    next: AtomicU64,
    open: Mutex<OpenEnds>,
}

/// Who waits for the keeper.
#[derive(Debug, Default)]
struct OpenEnds {
    calls: HashMap<CallId, oneshot::Sender<KeeperAnswer>>,
    sessions: HashMap<SessionId, mpsc::UnboundedSender<CollectionEvent>>,
    is_over: bool,
}

/// A question that is under way. The keeper's answer to one that was given up is dropped.
struct OpenCall<'a> {
    link: &'a KeeperLink,
    id: CallId,
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        lock(&self.link.open).calls.remove(&self.id);
    }
}

/// An open collection, as the front has it. The keeper is told when it is dropped.
#[derive(Debug)]
pub(super) struct CollectionLink {
    link: Arc<KeeperLink>,
    /// Its number.
    pub id: SessionId,
    /// What the keeper says of it. The keeper sends no more deliveries than the window of the client.
    pub events: mpsc::UnboundedReceiver<CollectionEvent>,
}

impl CollectionLink {
    /// Tells the keeper something of it.
    pub(super) async fn tell(&self, head: ToKeeper, body: Vec<u8>) {
        self.link.tell(head, body).await;
    }
}

impl Drop for CollectionLink {
    fn drop(&mut self) {
        lock(&self.link.open).sessions.remove(&self.id);
        let head = ToKeeper::Gone { session: self.id };
        let body = Vec::new();
        let outgoing = self.link.outgoing.clone();
        // Where there is room at once this needs no task of its own.
        if let Err(mpsc::error::TrySendError::Full(message)) =
            outgoing.try_send(MessageToKeeper { head, body })
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { outgoing.send(message).await });
        }
    }
}

impl KeeperLink {
    /// Starts the threads that speak to the keeper. What it says without being asked goes to the second result, which
    /// ends with the keeper.
    #[must_use]
    pub(super) fn start(
        channel: Arc<Channel>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<KeeperNotice>) {
        let (outgoing, mut messages) = mpsc::channel::<MessageToKeeper>(WAITING);
        let (told, notices) = mpsc::unbounded_channel();
        let link = Arc::new(Self {
            outgoing,
            next: AtomicU64::new(1),
            open: Mutex::default(),
        });
        let writer = Arc::clone(&channel);
        std::thread::spawn(move || {
            while let Some(message) = messages.blocking_recv() {
                if writer.send(&message.head, &message.body, &[]).is_err() {
                    break; // the keeper is gone, as the reader notices
                }
            }
        });
        let reader = Arc::clone(&link);
        std::thread::spawn(move || {
            let mut buffer = Vec::new();
            while let Ok(Some(message)) = channel.receive(&mut buffer) {
                if let Some(notice) = reader.hand_on(message)
                    && told.send(notice).is_err()
                {
                    break;
                }
            }
            let mut open = lock(&reader.open);
            open.is_over = true;
            open.calls.clear();
            open.sessions.clear();
        });
        (link, notices)
    }

    /// Hands a message to who waits for it.
    fn hand_on(&self, message: ReceivedMessage<ToFront>) -> Option<KeeperNotice> {
        let ReceivedMessage { head, body, files } = message;
        let file = || files.into_iter().next().map(File::from);
        let mut open = lock(&self.open);
        match head {
            ToFront::Answer {
                call,
                verdict,
                node,
            } => {
                if let Some(waiting) = open.calls.remove(&call) {
                    // Who asked may have given up.
                    let _ = waiting.send(KeeperAnswer::Verdict(verdict, body, node));
                }
            }
            ToFront::Room { call } => {
                if let (Some(waiting), Some(file)) = (open.calls.remove(&call), file()) {
                    let _ = waiting.send(KeeperAnswer::Room(file));
                }
            }
            ToFront::LanCertificate { call, chain } => {
                if let Some(waiting) = open.calls.remove(&call) {
                    let _ = waiting.send(KeeperAnswer::Certificate(chain, body));
                }
            }
            ToFront::Challenge { session } => {
                open.tell(session, CollectionEvent::Challenge(body));
            }
            ToFront::CollectionOpen { session, node } => {
                open.tell(session, CollectionEvent::Open(node));
            }
            ToFront::Delivery {
                session,
                delivery,
                len,
            } => {
                let parcel = match file() {
                    Some(file) => ParcelSource::File(file),
                    None => ParcelSource::Octets(body),
                };
                let is_here = match &parcel {
                    ParcelSource::Octets(octets) => octets.len() as u64 == len,
                    ParcelSource::File(_) => true,
                };
                // A file does not come where this process has no room for another one.
                open.tell(
                    session,
                    if is_here {
                        let id = delivery;
                        CollectionEvent::Delivery { id, len, parcel }
                    } else {
                        CollectionEvent::End(CollectionClose::Failed)
                    },
                );
            }
            ToFront::CollectionEnd { session, end } => {
                open.tell(session, CollectionEvent::End(end));
            }
            ToFront::Certificate { chain } => return Some(KeeperNotice::Certificate(chain, body)),
            ToFront::Stop => return Some(KeeperNotice::Stop),
            // It comes once, before this link is made.
            ToFront::Begin(_) => {}
        }
        None
    }

    /// A number for a question, or for several about one thing.
    #[must_use]
    pub(super) fn new_call(&self) -> CallId {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks something, and waits for the answer. `None` when the keeper is gone.
    pub(super) async fn ask(
        &self,
        call: CallId,
        head: ToKeeper,
        body: Vec<u8>,
    ) -> Option<KeeperAnswer> {
        let (answer, answered) = oneshot::channel();
        {
            let mut open = lock(&self.open);
            if open.is_over {
                return None;
            }
            open.calls.insert(call, answer);
        }
        let _ended = OpenCall {
            link: self,
            id: call,
        };
        self.outgoing
            .send(MessageToKeeper { head, body })
            .await
            .ok()?;
        // The keeper answers whatever it is asked; who waits must not hold a place for ever if it does not.
        timeout(ANSWER_WITHIN, answered).await.ok()?.ok()
    }

    /// Tells something that has no answer.
    pub(super) async fn tell(&self, head: ToKeeper, body: Vec<u8>) {
        // Without a keeper this process is about to end.
        let _ = self.outgoing.send(MessageToKeeper { head, body }).await;
    }

    /// Begins a collection, of which this tells the keeper. `None` when the keeper is gone.
    pub(super) async fn begin_session(
        self: &Arc<Self>,
        begin: impl FnOnce(SessionId) -> ToKeeper,
        body: Vec<u8>,
    ) -> Option<CollectionLink> {
        let id = self.new_call();
        let (sender, events) = mpsc::unbounded_channel();
        {
            let mut open = lock(&self.open);
            if open.is_over {
                return None;
            }
            open.sessions.insert(id, sender);
        }
        self.tell(begin(id), body).await;
        Some(CollectionLink {
            link: Arc::clone(self),
            id,
            events,
        })
    }
}

impl OpenEnds {
    fn tell(&self, session: SessionId, event: CollectionEvent) {
        if let Some(waiting) = self.sessions.get(&session) {
            let _ = waiting.send(event);
        }
    }
}

/// The first message of the keeper: how to serve, and the sockets to accept from.
///
/// # Errors
/// When it is another message, or none.
pub(super) fn begin(
    channel: &Channel,
) -> io::Result<(crate::serve::protocol::FrontTerms, Vec<OwnedFd>)> {
    match channel.receive(&mut Vec::new())? {
        Some(ReceivedMessage {
            head: ToFront::Begin(terms),
            files,
            ..
        }) => Ok((terms, files)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Sends an open file with a message.
///
/// # Errors
/// When the front is gone.
pub fn send_with(
    channel: &Channel,
    head: &ToFront,
    body: &[u8],
    file: Option<&File>,
) -> io::Result<()> {
    match file {
        Some(file) => channel.send(head, body, &[file.as_fd()]),
        None => channel.send(head, body, &[]),
    }
}
