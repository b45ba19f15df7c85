//! relay-keygen --successor: a node takes the place of another, whose peers are told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::args::KeyedNode;
use super::errors::{Postponed, Usage};
use super::input_ref::InputRef;
use super::outcome::Outcome;
use super::successors::has_spool;
use super::{named_files, report, tally};
use crate::asn1::pem;
use crate::disk::publish::{self, IfExists, PublishOptions};
use crate::kind::ErrorKind;
use crate::message::SuccessorNotice;
use crate::node::predecessor::{ContactKind, Inheritance};
use crate::node::{Directory, Keyring as _, NodeType, ownership, peers, registrations};
use crate::pki::{NodeId, Window};
use crate::spool::{Access, Spool};
use crate::upkeep::handing_on::Outlet;

/// The most peers that are named in one line.
const MAX_NAMED: usize = 20;

/// `--successor` and `-d`.
#[derive(Debug, clap::Args)]
pub struct SuccessorArgs {
    /// Make the node that takes the place of the node in OLD, and tell the peers of that
    #[arg(long, value_name = "OLD", conflicts_with_all = ["node_type", "address", "change_passphrase"])]
    successor: Option<PathBuf>,
    /// With --successor: also write what each peer is to import into DIR
    #[arg(short = 'd', long, value_name = "DIR", requires = "successor")]
    directory: Option<PathBuf>,
}

impl SuccessorArgs {
    /// The node whose place is taken.
    ///
    /// # Errors
    /// When it cannot be opened, is another user's, or its identity key cannot be read.
    pub fn old(&self, dir: &KeyedNode) -> anyhow::Result<Option<Directory>> {
        let Some(path) = &self.successor else {
            return Ok(None);
        };
        let old = Directory::open(path)?.with_passphrase(Arc::clone(dir.passphrase()));
        // Root opens every node. But the commands in the routes of another user's are not root's, nor
        // can root note there who succeeds it.
        ownership::check_user(old.root())?;
        old.identity()?; // read first: without it, nothing can be signed
        if let Some(dir) = &self.directory
            && !dir.is_dir()
        {
            let path = report::path(dir);
            return Err(Usage(format!("-d {path}: not a directory")).into());
        }
        Ok(Some(old))
    }
}

/// How much the clock may be wrong, as the old node says.
fn window_of(old: &Directory, now: Timestamp) -> Window {
    let drift = old.config().clock_drift();
    Window::new(now, drift.unwrap_or(super::clock::DEFAULT_DRIFT))
}

/// Checks that the old node has no other successor than what is made in `root`, and that the clock is
/// believed: all peers would refuse a notice from a wrong one, and the new node would have its dates.
///
/// # Errors
/// When it has, or the clock is doubted; when `root` or the spool cannot be read.
pub fn check(old: &Directory, root: &Path, now: Timestamp) -> anyhow::Result<()> {
    let spool = Spool::shared_with(Directory::open(old.root())?)?;
    if let Some(doubt) = spool.time(now, &window_of(old, now))?.doubt() {
        return Err(doubt.into());
    }
    let Some(by) = old.own_successor()? else {
        return Ok(());
    };
    let made = Directory::open(root);
    match made {
        Ok(node) if node.id() == by => Ok(()),
        _ => Ok(old.check_successor(old.id())?),
    }
}

/// The node in `root`, if a run before this one made it to take the place of the `old` one.
#[must_use]
pub fn made_before(old: Option<NodeId>, root: &Path, dir: &KeyedNode) -> Option<Directory> {
    let node = Directory::open(root).ok()?;
    let is_its = old.is_some() && node.predecessor().ok().flatten() == old;
    is_its.then(|| node.with_passphrase(Arc::clone(dir.passphrase())))
}

/// What is done for each peer.
struct Telling<'a> {
    inheritance: Inheritance<'a>,
    outlet: Option<Outlet<'a>>,
    directory: Option<&'a Path>,
    outcome: Outcome,
    told: usize,
    sent: usize,
    by_hand: Vec<String>,
    unregistered: Vec<String>,
}

/// Lets a node take over the contacts of the old one, and tells those. A repeated run goes on where the
/// one before it ended.
///
/// # Errors
/// [`Postponed`] when the new node is to be registered first; when nothing can be taken over; the
/// status that all failures add up to.
pub fn succeed(
    old: &Directory,
    new: &Directory,
    args: &SuccessorArgs,
    now: Timestamp,
) -> anyhow::Result<()> {
    let inheritance = Inheritance { old, new, now };
    inheritance.take_settings()?;
    let window = window_of(old, now);
    let access = Access::of(old.root(), Directory::open(old.root()))?;
    let (peers, unreadable) = old.peers()?;
    let mut outcome = Outcome::default();
    for peer in unreadable {
        outcome.take();
        outcome.done(
            &InputRef::named(old.label_of(peer.id)),
            Err(peer.error.into()),
        )?;
    }
    let gateways = inheritance.lacks_registration()?;
    let is_endpoint = old.config().node_type() == NodeType::Endpoint;
    let has_way = is_endpoint && has_spool(&access)?;
    let mut telling = Telling {
        inheritance,
        outlet: has_way.then(|| Outlet::of(&access, window, now)),
        directory: args.directory.as_deref(),
        outcome,
        told: 0,
        sent: 0,
        by_hand: Vec::new(),
        unregistered: Vec::new(),
    };
    let mut to_tell = Vec::new();
    for peer in peers {
        match inheritance.take_contact(&peer) {
            Ok(ContactKind::Told) => to_tell.push(peer),
            Ok(ContactKind::Known) => {}
            Ok(ContactKind::Registered) if gateways.contains(&peer.id) => {}
            Ok(ContactKind::Registered) => telling.note_registered(peer.id)?,
            Err(error) => telling.failed(&peer.label(), &error.into()),
        }
    }
    if !gateways.is_empty() {
        return Err(unregistered(old, new, &gateways));
    }
    {
        let _lock = old.lock_exclusive()?;
        old.note_own_successor(new.public())?;
    }
    for peer in to_tell {
        if let Err(error) = telling.tell(peer.id, &peer.label()) {
            telling.failed(&peer.label(), &error);
        }
    }
    telling.finish()
}

/// What is to be done before anybody can be told: what peers are given leads through a gateway.
fn unregistered(old: &Directory, new: &Directory, gateways: &[NodeId]) -> anyhow::Error {
    let labels: Vec<String> = gateways.iter().map(|id| old.label_of(*id)).collect();
    let key = report::path(&new.root().join("identity.pub"));
    report::warn(&format!(
        "{} is registered with {}, and nobody is told before the new node is: there, relay-register {key}; here, relay-import what it prints; then this command again",
        report::path(old.root()),
        labels.join(", ")
    ));
    Postponed("its peers are not told yet".to_owned()).into()
}

impl Telling<'_> {
    fn failed(&mut self, label: &str, error: &anyhow::Error) {
        self.outcome.take();
        self.outcome
            .failed(&InputRef::named(label.to_owned()), label, error);
    }

    /// Notes a node that the old one registered, which the new one has to register anew.
    fn note_registered(&mut self, id: NodeId) -> Result<(), crate::node::Error> {
        let old = self.inheritance.old;
        if registrations::is_registered(old, id)? {
            self.unregistered.push(old.label_of(id));
        }
        Ok(())
    }

    fn tell(&mut self, peer: NodeId, label: &str) -> anyhow::Result<()> {
        let notice = self.inheritance.notice(peer)?;
        let sent = self
            .outlet
            .as_ref()
            .map(|outlet| outlet.successor_notice(self.inheritance.old, peer, &notice));
        let mut ways = Vec::new();
        let mut failed = None;
        match sent {
            Some(Ok(())) => {
                ways.push("parcel");
                self.sent += 1;
            }
            // A person can carry a file to whom nothing can be sent.
            Some(Err(error)) if is_of_peer(error.kind()) => {
                report::detail(&format!("{label}: {error}"));
            }
            Some(Err(error)) => failed = Some(error),
            None => {}
        }
        if let Some(dir) = self.directory {
            // A name that somebody wrote into the file for it may lead anywhere.
            let id = peer.to_string();
            let name = peers::check_name(label).map_or(&*id, |()| label);
            write(dir, name, &notice)?;
            ways.push("file");
        }
        let id = peer.to_string();
        for way in &ways {
            report::event("told", &[("peer", &id), ("way", way)]);
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        if ways.is_empty() {
            self.by_hand.push(label.to_owned());
        } else {
            self.told += 1;
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        let named = |labels: &[String]| {
            let shown = labels[..labels.len().min(MAX_NAMED)].join(", ");
            match labels.len().saturating_sub(MAX_NAMED) {
                0 => shown,
                more => format!("{shown} and {more} more"),
            }
        };
        if !self.unregistered.is_empty() {
            report::warn(&format!(
                "the new gateway has to register these anew (relay-register): {}",
                named(&self.unregistered)
            ));
        }
        if !self.by_hand.is_empty() {
            report::warn_with(
                &format!(
                    "not told, since nothing can be sent there: {}",
                    named(&self.by_hand)
                ),
                "the same command with -d DIR writes a file for each, which they give to relay-import",
            );
        }
        if self.told == 0 {
            report::summary("nobody is told");
            return self.outcome.finish();
        }
        let told = tally::counted(self.told, "peer is told", "peers are told");
        let how = if self.sent > 0 {
            ", once relay-route sends the notices that wait in the spool"
        } else {
            ""
        };
        report::summary(&format!(
            "{told}{how}; each takes the new node once somebody there has compared its fingerprint {}",
            self.inheritance.new.id().fingerprint()
        ));
        self.outcome.finish()
    }
}

/// Whether an error says that a peer cannot be written to, and not that something fails here.
fn is_of_peer(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unauthorized
            | ErrorKind::UnknownPeer
            | ErrorKind::UnknownKey
            | ErrorKind::Expired
            | ErrorKind::Early
    )
}

/// Writes the notice for a peer into a file.
fn write(dir: &Path, name: &str, notice: &SuccessorNotice) -> anyhow::Result<()> {
    let path = dir.join(format!("{name}.successor"));
    let text = pem::encode(pem::SUCCESSOR_NOTICE, notice.octets());
    // The notice of an earlier run, which is too old by now.
    let options = named_files::sparing(PublishOptions::output(IfExists::Replace));
    publish::publish(&path, &[text.as_bytes()], &options)?;
    Ok(())
}
