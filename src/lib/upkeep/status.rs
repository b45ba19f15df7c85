//! The numbers of a node and its spool (relay-status), from names and dates of files alone: no
//! message is opened, no lock taken, no key read, and nothing changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::checker::Checker;
use super::endings::Ending;
use super::finding::{Check, Finding, Level};
use super::queue_tally::QueueTally;
use crate::disk::{FileRole, files};
use crate::node::config::Direct;
use crate::node::peers::Peer;
use crate::node::{self, Directory, DirectoryError, endpoints};
use crate::pki::{NodeId, Window};
use crate::spool::exchanges::Exchange;
use crate::spool::hosts::HostState;
use crate::spool::room::DEFAULT_RESERVE;
use crate::spool::sent::SentEvent;
use crate::spool::served::ServeNumbers;
use crate::spool::{Error, INTERNET, QueueId, QueueKind, Spool};

/// The time over which events are counted.
pub const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The numbers of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueNumbers {
    /// The queue.
    pub place: QueueId,
    /// The name of the node that it is for, or the beginning of its id; `None` for `in`, `failed`
    /// and the node's own `home`.
    pub peer: Option<String>,
    /// The number of messages.
    pub messages: usize,
    /// Their octets together.
    pub octets: u64,
    /// When the one that has waited longest was stored.
    pub oldest: Option<Timestamp>,
    /// When the first of those that have not expired expires.
    pub next_expiry: Option<Timestamp>,
}

/// Something that could not be counted; the rest was.
#[derive(Debug)]
pub enum StatusProblem {
    /// An unknown file in a queue.
    Unexpected(PathBuf),
    /// A file or directory that cannot be read.
    Unreadable(PathBuf, Error),
}

/// What waits until a person has compared digits.
#[derive(Debug)]
pub struct WaitingSuccession {
    /// The name of the peer, or the beginning of its id.
    pub peer: String,
    /// The nodes that claim to succeed it.
    pub ids: Vec<NodeId>,
    /// Whether somebody else may have the peer's key.
    pub is_contested: bool,
    /// What is said of it.
    pub text: String,
}

/// The numbers of a node and its spool.
#[derive(Debug)]
pub struct NodeStatus {
    /// The time of these numbers.
    pub now: Timestamp,
    /// Why the clock is not believed; `None` if it is.
    pub doubt: Option<String>,
    /// The queues that there are, and `in` and `failed`.
    pub queues: Vec<QueueNumbers>,
    /// The last exchange with each medium, by its id.
    pub media: Vec<(String, Exchange)>,
    /// What is known of each server on the network that was tried and is used, by its address.
    pub hosts: Vec<HostState>,
    /// What the server of the node did since its start; `None` if none ever ran.
    pub serve: Option<ServeNumbers>,
    /// The authorizations and registrations that people renew.
    pub endings: Vec<Ending>,
    /// The peers of which a node claims to be the successor, while no person has confirmed one.
    pub successions: Vec<WaitingSuccession>,
    /// Events of the last 24 hours, as in [`SentEvent::ALL`].
    pub events: [u64; SentEvent::ALL.len()],
    /// Free space on the file system of the spool, in octets.
    pub free: Option<u64>,
    /// What is kept free of it, in octets.
    pub reserve: u64,
}

impl NodeStatus {
    /// Collects the numbers of the node in `root`, which uses `spool`. What cannot be read is given
    /// to `problem`, and the rest is collected.
    #[must_use]
    pub fn of(
        root: &Path,
        spool: &Spool,
        (now, window): (Timestamp, Window),
        problem: &mut dyn FnMut(StatusProblem),
    ) -> Self {
        let mut gathering = Gathering {
            spool,
            now,
            window,
            problem,
        };
        let top = spool.root();
        let time = gathering.read(top, spool.time(now, &window));
        let since = clock_before(now);
        let events = spool.events_between(since, now);
        Self {
            now,
            doubt: time.and_then(|time| time.doubt()).map(|it| it.to_string()),
            queues: gathering.queues(),
            media: gathering.media(),
            hosts: gathering.hosts(),
            serve: gathering.read(top, spool.serve_numbers(now)).flatten(),
            endings: gathering.endings(root),
            successions: gathering.successions(root),
            events: gathering.read(top, events).unwrap_or_default(),
            free: gathering.free(),
            reserve: spool.owner().config().reserve().unwrap_or(DEFAULT_RESERVE),
        }
    }

    /// The messages in all queues but `failed`.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let queues = self.queues.iter();
        let waiting = queues.filter(|queue| queue.place != QueueId::Failed);
        waiting.map(|queue| queue.messages).sum()
    }

    /// The messages in `failed`.
    #[must_use]
    pub fn failed(&self) -> usize {
        let failed = self.queues.iter();
        let failed = failed.filter(|queue| queue.place == QueueId::Failed);
        failed.map(|queue| queue.messages).sum()
    }

    /// When the message was stored that has waited longest in any queue but `failed`.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        let queues = self.queues.iter();
        let waiting = queues.filter(|queue| queue.place != QueueId::Failed);
        waiting.filter_map(|queue| queue.oldest).min()
    }

    /// When any server on the network last did what it was asked for.
    #[must_use]
    pub fn last_online(&self) -> Option<Timestamp> {
        self.hosts.iter().filter_map(|host| host.last_success).max()
    }

    /// The authorizations and registrations that count: none that is renewed by use, nor one that
    /// ended and is not missed.
    pub fn counted_endings(&self) -> impl Iterator<Item = &Ending> {
        self.endings.iter().filter(|ending| {
            let level = ending.level(self.now);
            level == Some(Level::Warning) || level.is_some() && !ending.has_ended(self.now)
        })
    }

    /// Those of them that relay-check warns of.
    pub fn due_endings(&self) -> impl Iterator<Item = &Ending> {
        let is_due = |ending: &&Ending| ending.level(self.now) == Some(Level::Warning);
        self.endings.iter().filter(is_due)
    }
}

/// The start of the time over which events are counted.
fn clock_before(now: Timestamp) -> Timestamp {
    now.checked_sub(DAY).unwrap_or(Timestamp::MIN)
}

/// A collection in progress.
struct Gathering<'a> {
    spool: &'a Spool,
    now: Timestamp,
    window: Window,
    problem: &'a mut dyn FnMut(StatusProblem),
}

impl Gathering<'_> {
    /// What was read; `None` where it could not be, which is reported.
    fn read<T>(&mut self, path: &Path, read: Result<T, impl Into<Error>>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(error) => {
                (self.problem)(StatusProblem::Unreadable(path.to_owned(), error.into()));
                None
            }
        }
    }

    fn queues(&mut self) -> Vec<QueueNumbers> {
        let spool = self.spool;
        let mut queues = vec![spool.queue(QueueId::In)];
        for kind in QueueKind::ALL {
            let folder = spool.root().join(kind.folder());
            let found = self.read(&folder, spool.queues_of(kind));
            queues.extend(found.into_iter().flatten());
        }
        queues.push(spool.queue(QueueId::Failed));
        let owner = spool.owner();
        let mut numbers = Vec::new();
        for queue in queues {
            let problem = &mut *self.problem;
            let tally = QueueTally::of(&queue, self.now, SignedDuration::MAX, &mut |path| {
                problem(StatusProblem::Unexpected(path));
            });
            let Some(tally) = self.read(queue.dir(), tally) else {
                continue;
            };
            let place = queue.place();
            let own_home = QueueId::Home(owner.id());
            let peer = place.node().filter(|_| place != own_home);
            let peer = match place {
                QueueId::Internet => Some(INTERNET.to_owned()),
                _ => peer.map(|id| owner.label_of(id)),
            };
            numbers.push(QueueNumbers {
                place,
                peer,
                messages: tally.count,
                octets: tally.octets,
                oldest: tally.oldest,
                next_expiry: tally.next_expiry,
            });
        }
        numbers
    }

    fn media(&mut self) -> Vec<(String, Exchange)> {
        let top = self.spool.root().to_owned();
        let found = self.read(&top, self.spool.exchanges());
        let mut media = Vec::new();
        for (medium, last) in found.unwrap_or_default() {
            media.extend(self.read(&top, last).map(|last| (medium, last)));
        }
        media
    }

    /// Those that were asked for something, since the others were only looked up, and that are still used.
    fn hosts(&mut self) -> Vec<HostState> {
        let top = self.spool.root().to_owned();
        let found = self.read(&top, self.spool.host_states(self.now));
        let mut hosts = found.unwrap_or_default();
        let used = self.used_addresses();
        let posts = self.posts();
        // Recipients of what is posted need not be peers. A server that is in use is tried each hour, or each day.
        let since = clock_before(self.now);
        let is_recent = |host: &HostState| host.changed.is_some_and(|at| at >= since);
        hosts.retain(|host| {
            host.is_tried() && (used.contains(&host.address) || posts && is_recent(host))
        });
        hosts
    }

    /// The addresses of peers, or the hosts that the operator named, as states of servers name them.
    fn used_addresses(&mut self) -> BTreeSet<String> {
        let owner = self.spool.owner();
        // What cannot be read was reported with what ends, or is by relay-check.
        let (peers, _) = owner.peers().unwrap_or_default();
        let address = |peer: Peer| match owner.pinned_host(peer.id).ok()? {
            Some(host) => Some(host.authority),
            None => peer.address.map(|address| address.to_string()),
        };
        let addresses = peers.into_iter().filter_map(address);
        addresses.map(|it| HostState::new(&it).address).collect()
    }

    /// Whether parcels go from here to servers of their recipients.
    fn posts(&self) -> bool {
        let is_set = self.spool.owner().config().direct() != Direct::No;
        is_set
            || self
                .spool
                .count(QueueId::Internet)
                .is_ok_and(|count| count > 0)
    }

    /// Of the node and its local endpoints, as relay-check.
    fn endings(&mut self, root: &Path) -> Vec<Ending> {
        let paths = self.read(root, endpoints::paths(root));
        let mut endings = Vec::new();
        for path in [root.to_owned()]
            .into_iter()
            .chain(paths.unwrap_or_default())
        {
            let Some(node) = self.read(&path, Directory::open_to_check(&path)) else {
                continue;
            };
            let problem = &mut *self.problem;
            let mut checker = Checker {
                passphrase: node.passphrase(),
                now: self.now,
                window: self.window,
                user: files::user(),
                each: &mut |finding| report(finding, problem),
                newest: None,
            };
            endings.extend(checker.endings(&node));
        }
        endings.sort_by_key(|ending| (ending.end(), ending.kind, ending.peer.clone()));
        endings
    }

    /// Of the node and its local endpoints.
    fn successions(&mut self, root: &Path) -> Vec<WaitingSuccession> {
        // What cannot be listed was reported with what ends.
        let paths = endpoints::paths(root).unwrap_or_default();
        let mut waiting = Vec::new();
        for path in [root.to_owned()].into_iter().chain(paths) {
            let Ok(node) = Directory::open_to_check(&path) else {
                continue;
            };
            let (peers, _) = node.peers().unwrap_or_default();
            for peer in peers {
                let label = peer.label();
                let found = self.read(&path, node.succession_of(peer.id, self.now));
                let Some(found) = found else { continue };
                waiting.extend(found.text(&label).map(|text| WaitingSuccession {
                    peer: label,
                    ids: found.ids().collect(),
                    is_contested: found.is_contested(),
                    text,
                }));
            }
        }
        waiting
    }

    fn free(&mut self) -> Option<u64> {
        let spool = self.spool;
        let is_there = matches!(files::exists(spool.root(), FileRole::Spool), Ok(true));
        let dir = if is_there {
            spool.root()
        } else {
            spool.owner().root()
        };
        self.read(dir, files::free_space(dir, FileRole::Spool))
    }
}

/// Passes on that a file is damaged; what else relay-check finds is its own.
fn report(finding: &Finding, problem: &mut dyn FnMut(StatusProblem)) {
    if finding.check == Check::Damaged {
        let error = node::Error::Directory(DirectoryError::Damaged {
            path: finding.path.clone(),
            problem: finding.what.clone(),
        });
        problem(StatusProblem::Unreadable(
            finding.path.clone(),
            error.into(),
        ));
    }
}
