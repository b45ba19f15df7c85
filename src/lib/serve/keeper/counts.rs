//! What a server did since its start, as it is written for relay-status.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::KeeperEvent;
use crate::pipeline::mutex::lock;
use crate::pki::NodeId;
use crate::serve::Error;
use crate::serve::protocol::{FrontCounts, ServeVerdict};
use crate::spool::served::{MAX_NODES, ServeCount, ServeNumbers};
use crate::spool::wire::Reception;
use crate::spool::{QueueKind, Spool};
use crate::upkeep::queue_tally::QueueTally;

/// How often the numbers are written.
const WRITE_EVERY: Duration = Duration::from_secs(10);

/// How often it is looked whether the server ends.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often it is looked since when something waits for whom, at most: that examines each file that waits.
const OLDEST_EVERY: Duration = Duration::from_secs(60);

/// At most this part of the time is taken by that.
const OLDEST_SHARE: u32 = 100;

/// What a server did since its start.
#[derive(Debug)]
pub struct KeeperCounts(Mutex<ServeNumbers>);

impl KeeperCounts {
    /// Nothing was counted yet.
    #[must_use]
    pub fn new(since: Timestamp) -> Self {
        Self(Mutex::new(ServeNumbers::new(since)))
    }

    /// Counts an event.
    pub fn note(&self, event: &KeeperEvent) {
        let mut numbers = lock(&self.0);
        match event {
            KeeperEvent::Counted(counts) => set_front(&mut numbers, counts),
            KeeperEvent::Parcel { fate, .. } => numbers.add(match fate {
                Reception::Stored => ServeCount::Stored,
                Reception::Repeated => ServeCount::Repeated,
                Reception::Loop => ServeCount::Looped,
            }),
            KeeperEvent::Refused { verdict, .. } => {
                let count = match verdict {
                    ServeVerdict::Done => return,
                    ServeVerdict::Malformed(_) => ServeCount::Malformed,
                    ServeVerdict::Refused(_) => ServeCount::Refused,
                    ServeVerdict::Unregistered(_) => ServeCount::Unregistered,
                    ServeVerdict::Busy(_) => ServeCount::Busy,
                    ServeVerdict::Full(_) => ServeCount::Full,
                };
                numbers.add(count);
            }
            KeeperEvent::Registered { .. } => numbers.add(ServeCount::Registered),
            KeeperEvent::Dropped(_) => numbers.add(ServeCount::Dropped),
            KeeperEvent::Collected { .. } => numbers.add(ServeCount::Collected),
            KeeperEvent::Cargo { .. } => numbers.add(ServeCount::Cargo),
            KeeperEvent::CargoTaken { .. } => numbers.add(ServeCount::CargoTaken),
            // Parcels in cargo are counted with the cargo.
            KeeperEvent::Exchange(_) => {}
            KeeperEvent::Failed(_) => numbers.add(ServeCount::Failures),
        }
    }

    /// Writes the numbers from time to time, until the flag is set, and then once more. `now` tells the time. Returns
    /// what went wrong in the last write; the server goes on meanwhile.
    pub fn write(
        &self,
        spool: &Spool,
        now: &dyn Fn() -> Result<Timestamp, Error>,
        ends: &AtomicBool,
        trouble: &dyn Fn(Error),
    ) {
        let mut counting = OldestCount {
            oldest: BTreeMap::new(),
            due: Instant::now(),
        };
        let mut due = Instant::now();
        loop {
            let is_last = ends.load(Ordering::Relaxed);
            if is_last || Instant::now() >= due {
                due = Instant::now() + WRITE_EVERY;
                let written = now().and_then(|now| {
                    if !is_last {
                        counting.renew(spool, now)?;
                    }
                    let mut numbers = lock(&self.0).clone();
                    numbers.at = now;
                    if is_last {
                        for count in [
                            ServeCount::OpenConnections,
                            ServeCount::OpenCollections,
                            ServeCount::OpenBodies,
                        ] {
                            numbers.set(count, 0);
                        }
                    }
                    numbers.oldest.clone_from(&counting.oldest);
                    Ok(spool.set_serve_numbers(&numbers)?)
                });
                if let Err(error) = written {
                    trouble(error);
                }
            }
            if is_last {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

fn set_front(numbers: &mut ServeNumbers, counts: &FrontCounts) {
    for (count, value) in [
        (ServeCount::Connections, counts.connections),
        (ServeCount::OpenConnections, counts.open),
        (ServeCount::RefusedConnections, counts.refused),
        (ServeCount::Requests, counts.requests),
        (ServeCount::OpenCollections, counts.collections),
        (ServeCount::Sessions, counts.sessions),
        (ServeCount::OpenBodies, counts.bodies_open),
        (ServeCount::Bodies, counts.bodies),
        (ServeCount::BrokenBodies, counts.bodies_broken),
        (ServeCount::SlowBodies, counts.bodies_slow),
        (ServeCount::OctetsIn, counts.octets_in),
        (ServeCount::OctetsOut, counts.octets_out),
    ] {
        numbers.set(count, value);
    }
}

/// Since when something waits for each node.
struct OldestCount {
    oldest: BTreeMap<NodeId, Timestamp>,
    due: Instant,
}

impl OldestCount {
    /// Counts anew, if it is time for that.
    fn renew(&mut self, spool: &Spool, now: Timestamp) -> Result<(), Error> {
        let began = Instant::now();
        if began < self.due {
            return Ok(());
        }
        let mut all = Vec::new();
        for queue in spool.queues_of(QueueKind::Out)? {
            let Some(node) = queue.place().node() else {
                continue;
            };
            // What is no message is reported by relay-check.
            let tally = QueueTally::of(&queue, now, SignedDuration::MAX, &mut |_| {})?;
            all.extend(tally.oldest.map(|oldest| (oldest, node)));
        }
        all.sort_unstable();
        all.truncate(MAX_NODES);
        self.oldest = all
            .into_iter()
            .map(|(oldest, node)| (node, oldest))
            .collect();
        let took = began.elapsed() * OLDEST_SHARE;
        self.due = began + took.max(OLDEST_EVERY);
        Ok(())
    }
}
