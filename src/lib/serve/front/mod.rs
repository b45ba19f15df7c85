//! The process that speaks with the network. It has no keys but that of TLS, and opens no files: what it receives goes
//! to the keeper, in messages or in files that the keeper opened.

mod first_head; // a connection must bring a request soon
mod limits; // how much one address may take
mod proxied; // whose connection a proxy passes on
mod places; // who moves how much at once, and who goes first
mod bodies; // how long and how slow
mod answers; // verdicts, as clients know them
mod link; // the keeper, as it is asked
pub mod certificate; // what the server shows
mod state; // what connections share
mod body_turns; // whose body is received when
mod grpc; // calls of gRPC, and how they end
mod cargo_in; // cargo that a client delivers
mod cargo_out; // cargo that a client collects
mod cogrpc; // the calls for cargo
mod requests; // HTTP
mod collection; // the WebSocket
mod listener; // connections
mod sandbox; // no files, whatever happens

use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{Semaphore, mpsc, watch};

use super::Error;
use super::channel::Channel;
use super::protocol::{FrontCounts, ToKeeper};
use crate::pipeline::mutex::lock;
use certificate::{LanCertificates, ShownCertificate};
use limits::{BODIES_OF_ADDRESS, BODIES_OF_NODE, CONNECTIONS_OF_ADDRESS, PeerLimit};
use link::{KeeperLink, KeeperNotice};
use places::Places;
use state::{FrontState, STOP_WITHIN};

pub use link::send_with;

/// How many bodies are received into memory at once, of 64 KiB each at most.
const SHORT_BODIES: usize = 256;

/// How many longer ones into files.
const LONG_BODIES: usize = 32;

/// How many long frames are in memory at once.
const LONG_FRAMES: usize = 16;

/// How many of those that are longer than 1 MiB.
const LARGE_FRAMES: usize = 3;

/// How often the keeper is told what was counted.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// Serves until the keeper says that it is enough, or is gone.
///
/// # Errors
/// When the keeper does not begin, or the system has no threads.
pub fn run(socket: OwnedFd) -> Result<(), Error> {
    let channel = Arc::new(Channel::of(socket)?);
    let (terms, sockets) = link::begin(&channel)?;
    // The restriction counts for this thread and for those that are made after it, so it comes before all of them.
    sandbox::enter()?;
    let (keeper, mut notices) = KeeperLink::start(channel);
    let runtime = Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |it| it.get().clamp(1, 4)))
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let (stop, stops) = watch::channel(false);
        let (under_way, mut all_ended) = mpsc::channel(1);
        let state = Arc::new(FrontState {
            places: Arc::new(Semaphore::new(terms.connections)),
            terms,
            keeper,
            certificate: ShownCertificate::default(),
            lan_certificates: LanCertificates::default(),
            connections_of_address: PeerLimit::new(CONNECTIONS_OF_ADDRESS),
            bodies_of_address: PeerLimit::new(BODIES_OF_ADDRESS),
            bodies_of_node: PeerLimit::new(BODIES_OF_NODE),
            short_bodies: Places::new(SHORT_BODIES),
            long_bodies: Places::new(LONG_BODIES),
            long_frames: Places::new(LONG_FRAMES),
            large_frames: Places::new(LARGE_FRAMES),
            stops,
            under_way: Mutex::new(Some(under_way)),
            accepted: AtomicU64::new(0),
            open: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            collections: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            bodies_open: AtomicU64::new(0),
            bodies: AtomicU64::new(0),
            bodies_broken: AtomicU64::new(0),
            bodies_slow: AtomicU64::new(0),
            octets_in: AtomicU64::new(0),
            octets_out: AtomicU64::new(0),
        });
        if state.terms.has_tls && !state.terms.makes_certificates {
            // Before the first connection is accepted.
            match notices.recv().await {
                Some(KeeperNotice::Certificate(chain, key)) => state.certificate.set(chain, key)?,
                Some(KeeperNotice::Stop) | None => return Ok(()),
            }
        }
        for socket in sockets {
            listener::start(&state, socket)?;
        }
        tokio::spawn(count(Arc::clone(&state)));
        while let Some(notice) = notices.recv().await {
            match notice {
                // The keeper has seen that it fits.
                KeeperNotice::Certificate(chain, key) => state.certificate.set(chain, key)?,
                KeeperNotice::Stop => break,
            }
        }
        let _ = stop.send(true);
        lock(&state.under_way).take();
        let _ = tokio::time::timeout(STOP_WITHIN, all_ended.recv()).await;
        let counts = ToKeeper::Counts(state.counts());
        state.keeper.tell(counts, Vec::new()).await;
        Ok(())
    })
}

/// Tells the keeper from time to time what was counted.
async fn count(state: Arc<FrontState>) {
    let mut told = FrontCounts::default();
    let mut stops = state.stops.clone();
    loop {
        tokio::select! {
            () = tokio::time::sleep(COUNT_EVERY) => {}
            _ = stops.changed() => return,
        }
        let counts = state.counts();
        if counts != told {
            told = counts;
            state
                .keeper
                .tell(ToKeeper::Counts(counts), Vec::new())
                .await;
        }
    }
}
