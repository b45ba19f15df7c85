//! What the connections of a server share, and what is known of each.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::certificate::{LanCertificates, ShownCertificate};
use super::limits::{PeerHold, PeerLimit};
use super::link::KeeperLink;
use super::places::Places;
use crate::pipeline::mutex::lock;
use crate::serve::protocol::{FrontCounts, FrontTerms};

/// How long what is under way may take when the server stops.
pub(super) const STOP_WITHIN: Duration = Duration::from_secs(10);

/// What all connections share.
pub(super) struct FrontState {
    pub(super) terms: FrontTerms,
    pub(super) keeper: Arc<KeeperLink>,
    pub(super) certificate: ShownCertificate,
    pub(super) lan_certificates: LanCertificates,
    pub(super) places: Arc<Semaphore>,
    pub(super) connections_of_address: Arc<PeerLimit>,
    pub(super) bodies_of_address: Arc<PeerLimit>,
    pub(super) bodies_of_node: Arc<PeerLimit>,
    /// Places for bodies that are in memory while they come.
    pub(super) short_bodies: Arc<Places>,
    pub(super) long_bodies: Arc<Places>,
    /// Places for frames of up to 1 MiB that are in memory, and for longer ones, which may take long.
    pub(super) long_frames: Arc<Places>,
    pub(super) large_frames: Arc<Places>,
    /// Changes when the server stops.
    pub(super) stops: watch::Receiver<bool>,
    /// Cloned by all that is under way: once every clone is dropped, nothing is.
    pub(super) under_way: Mutex<Option<mpsc::Sender<()>>>,
    pub(super) accepted: AtomicU64,
    pub(super) open: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) collections: AtomicU64,
    pub(super) sessions: AtomicU64,
    pub(super) bodies_open: AtomicU64,
    pub(super) bodies: AtomicU64,
    pub(super) bodies_broken: AtomicU64,
    pub(super) bodies_slow: AtomicU64,
    pub(super) octets_in: AtomicU64,
    pub(super) octets_out: AtomicU64,
}

impl FrontState {
    /// Something begins that is to end before the server stops. `None` once it stops.
    pub(super) fn begin(&self) -> Option<mpsc::Sender<()>> {
        lock(&self.under_way).clone()
    }

    /// A body of this length, in octets, came whole.
    pub(super) fn came(&self, len: u64) {
        self.bodies.fetch_add(1, Ordering::Relaxed);
        self.octets_in.fetch_add(len, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> FrontCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FrontCounts {
            connections: get(&self.accepted),
            open: get(&self.open),
            refused: get(&self.refused),
            requests: get(&self.answered),
            collections: get(&self.collections),
            sessions: get(&self.sessions),
            bodies_open: get(&self.bodies_open),
            bodies: get(&self.bodies),
            bodies_broken: get(&self.bodies_broken),
            bodies_slow: get(&self.bodies_slow),
            octets_in: get(&self.octets_in),
            octets_out: get(&self.octets_out),
        }
    }
}

/// The place of a connection among all, until it and what became of it, such as a WebSocket, have ended.
pub(super) struct OpenConnection {
    pub(super) state: Arc<FrontState>,
    _place: OwnedSemaphorePermit,
    _under_way: mpsc::Sender<()>,
}

impl OpenConnection {
    pub(super) fn new(
        state: &Arc<FrontState>,
        place: OwnedSemaphorePermit,
        under_way: mpsc::Sender<()>,
    ) -> Self {
        state.accepted.fetch_add(1, Ordering::Relaxed);
        state.open.fetch_add(1, Ordering::Relaxed);
        Self {
            state: Arc::clone(state),
            _place: place,
            _under_way: under_way,
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.state.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection, as requests on it see it.
pub(super) struct PeerConnection {
    pub(super) address: IpAddr,
    /// What it takes of its address's share, until it shows a node.
    pub(super) hold: Mutex<Option<PeerHold>>,
    /// The registered node that it is, once it has shown that.
    pub(super) node: OnceLock<[u8; 32]>,
    /// The octets that were written to it, before TLS.
    pub(super) written: Arc<AtomicU64>,
    pub(super) _open: OpenConnection,
}

impl PeerConnection {
    /// The other end has shown that it is this node, which is registered here. From now on it counts for that.
    pub(super) fn shows_node(&self, node: [u8; 32]) {
        let _ = self.node.set(node);
        lock(&self.hold).take();
    }

    pub(super) fn node(&self) -> Option<[u8; 32]> {
        self.node.get().copied()
    }
}

/// The requests of a connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    pub(super) open: AtomicU64,
    pub(super) answered: AtomicU64,
}

/// A request that is under way, until it is dropped.
#[derive(Debug)]
pub(super) struct RequestUnderWay(Arc<Activity>);

impl RequestUnderWay {
    pub(super) fn new(activity: &Arc<Activity>) -> Self {
        activity.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for RequestUnderWay {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.answered.fetch_add(1, Ordering::Relaxed);
    }
}
