//! Checks a spool, and whether the messages in it move.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use jiff::SignedDuration;

use crate::crypto::hash;
use crate::disk::tree::EntryKind;
use crate::disk::{FileRole, files};
use crate::node::day::end_of_day;
use crate::node::peers::short_id;
use crate::node::{Keyring as _, NodeType, registrations};
use crate::pki::NodeId;
use crate::spool::clock::ClockVerdict;
use crate::spool::homes::OwnGroup;
use crate::spool::name::HopPrefix;
use crate::spool::payers::Payer;
use crate::spool::queue::WHY;
use crate::spool::room::DEFAULT_RESERVE;
use crate::spool::sent::SentEvent;
use crate::spool::{
    DELIVERING, Error, HOME, INTERNET, LEDGER, Name, Queue, QueueId, QueueKind, Room, SENT, Spool,
    TMP, WIRE, carried, clock, exchanges, hosts, served,
};
use crate::upkeep::check_files::Shape;
use crate::upkeep::checker::Checker;
use crate::upkeep::finding::{Check, Level};
use crate::upkeep::queue_tally::QueueTally;

/// How long a message may wait for relay-route before it is reported.
const MOVED_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// How long a message may wait for a next hop, or for delivery, before it is reported.
const WAITS_LONG: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Maximum number of users that a finding names.
const NAMED: usize = 3;

impl Spool {
    /// Checks the spool, and the messages that wait there for the nodes of this machine.
    pub fn check(&self, checker: &mut Checker<'_>, nodes: &[NodeId]) {
        let has_group = self.owner().config().get("group").is_some();
        let shapes = |parts: &[&str], kind: EntryKind| shape(parts, kind, has_group);
        let modes: &[u32] = if has_group { &[0o710, 0o700] } else { &[0o700] };
        if let Err(error) = self.check_homes(checker) {
            report_error(checker, &self.root().join(HOME), &error);
        }
        checker.tree(self.root(), FileRole::Spool, modes, &shapes);
        if files::is_mounted(self.root()) {
            checker.file_system(self.root());
        }
        self.check_clock(checker);
        match self.queues() {
            Ok(queues) => {
                for queue in queues {
                    if let Err(error) = self.check_queue(&queue, checker, nodes) {
                        report_error(checker, queue.dir(), &error);
                    }
                }
            }
            Err(error) => report_error(checker, self.root(), &error),
        }
        if let Err(error) = self.check_gateways(checker) {
            report_error(checker, self.root(), &error);
        }
        match self.exchanges() {
            Ok(exchanges) => {
                for error in exchanges.into_iter().filter_map(|(_, last)| last.err()) {
                    report_error(checker, self.root(), &error);
                }
            }
            Err(error) => report_error(checker, self.root(), &error),
        }
        if let Err(error) = self.check_room(checker) {
            report_error(checker, self.root(), &error);
        }
    }

    /// Checks that each user who shares the spool has access to their own queue, and nobody else
    /// has.
    fn check_homes(&self, checker: &mut Checker<'_>) -> Result<(), Error> {
        if let Some(own) = self.own_group_of_others()? {
            let OwnGroup { user, group, .. } = &own;
            let too = if own.is_shared {
                "the node's".to_owned()
            } else {
                format!("that of {}", listed(&own.others))
            };
            let what = format!(
                "{group} is the own group of user {user}, and {too}: others may write in home"
            );
            let hint = format!("give {user} a group without others, then check once more");
            let path = self.root().join(HOME);
            let (level, check) = (Level::Warning, Check::Owner);
            checker.report(level, check, &path, &what, Some(hint));
        }
        for amiss in self.homes_amiss()? {
            let level = if amiss.is_closed || amiss.is_shut {
                Level::Error
            } else {
                Level::Warning
            };
            let check = if amiss.is_anothers {
                Check::Owner
            } else {
                Check::Mode
            };
            let hint = Some(amiss.remedy);
            checker.report(level, check, &amiss.path, &amiss.what, hint);
        }
        Ok(())
    }

    fn check_clock(&self, checker: &mut Checker<'_>) {
        // Without a spool nothing is purged by the clock.
        if matches!(files::exists(self.root(), FileRole::Spool), Ok(false)) {
            return;
        }
        let path = self.root().join(clock::FILE);
        let (clock, evidence) = match (self.clock(), self.evidence()) {
            (Ok(clock), Ok(evidence)) => (clock, evidence),
            (Err(error), _) | (_, Err(error)) => return report_error(checker, &path, &error),
        };
        let now = checker.now;
        let changed = checker.newest.as_ref().map(|(at, _)| *at);
        let verdict = clock.judge(now, &checker.window, &evidence);
        let (level, hint) = match verdict {
            ClockVerdict::Ahead(_) => (
                Level::Warning,
                "check this clock; relay-purge takes it for right after a day",
            ),
            _ => (
                Level::Error,
                "check this clock; relay-purge --trust-clock takes it for right",
            ),
        };
        let is_due = match verdict {
            ClockVerdict::Believed => false,
            // The check of the node already reports a clock before its creation.
            ClockVerdict::Impossible(known) | ClockVerdict::Behind(known) => {
                evidence.made != Some(known)
            }
            ClockVerdict::Ahead(_) => {
                changed.is_none_or(|at| now > clock::after(at, clock::QUIET_FOR))
            }
        };
        if let Some(doubt) = verdict.doubt(now, None).filter(|_| is_due) {
            checker.report(level, Check::Clock, &path, &doubt, Some(hint.to_owned()));
        }
        let mut days = evidence.days.iter();
        // Days that relay-purge has noted as false are no evidence of the time any more.
        if let Some(day) = days.rfind(|day| !clock.false_days.contains(day))
            && checker.window.is_before(*day)
        {
            let what = format!("the clock says {now}, and something was noted at {day} or later");
            let hint = "check this clock; if it was wrong then, remove that file".to_owned();
            let path = self.root().join(SENT);
            checker.report(Level::Error, Check::Clock, &path, &what, Some(hint));
        }
    }

    fn check_queue(
        &self,
        queue: &Queue,
        checker: &mut Checker<'_>,
        nodes: &[NodeId],
    ) -> Result<(), Error> {
        let patience = match queue.place() {
            QueueId::In | QueueId::Control(_) => MOVED_AFTER,
            _ => WAITS_LONG,
        };
        // What is no message, the check of files reports.
        let tally = match QueueTally::of(queue, checker.now, patience, &mut |_| {}) {
            // A closed queue is its user's.
            Err(Error::Closed(_)) => QueueTally::default(),
            tally => tally?,
        };
        if queue.place() == QueueId::Failed {
            self.check_set_aside(queue, checker)?;
        }
        let mut say = |level: Level, check: Check, what: String, hint: &str| {
            checker.report(level, check, queue.dir(), &what, Some(hint.to_owned()));
        };
        let warning = Level::Warning;
        match queue.place() {
            // A guest cannot tell whether other users' messages in `in` are late: the owner routes
            // them.
            QueueId::In if self.is_guest() => {}
            QueueId::In | QueueId::Control(_) => {
                if let Some(late) = late(&tally) {
                    let hint = "relay-route moves them, or says why not";
                    say(warning, Check::Waiting, late, hint);
                }
            }
            QueueId::Home(node) => {
                if tally.count > 0 && !nodes.contains(&node) {
                    let what = format!(
                        "{} for {}, which is not a node here",
                        messages(tally.count),
                        short_id(node)
                    );
                    say(
                        warning,
                        Check::Orphan,
                        what,
                        "move them to in, to be routed again",
                    );
                }
                if let Some(late) = late(&tally) {
                    say(
                        warning,
                        Check::Waiting,
                        late,
                        "relay-deliver hands them over",
                    );
                }
            }
            QueueId::Failed if tally.count > 0 => {
                let what = format!("{} set aside", messages(tally.count));
                let hint = if self.is_guest() {
                    "NAME.why says why; relay-put puts it once more, relay-open opens it"
                } else {
                    "NAME.why says why; relay-route --retry NAME tries again"
                };
                say(warning, Check::Failed, what, hint);
            }
            QueueId::Out(hop) if tally.count > 0 => {
                self.check_way(hop, queue, tally.count, checker)?;
                self.check_packed(queue, &tally, checker)?;
                self.check_carriers(hop, queue, &tally, checker)?;
            }
            QueueId::Internet if tally.count > 0 => {
                self.check_direct(queue, &tally, checker);
            }
            QueueId::Failed
            | QueueId::Out(_)
            | QueueId::Internet
            | QueueId::Acks(_)
            | QueueId::Cca(_) => {}
        }
        Ok(())
    }

    /// Reports unexpired messages in `failed` that were set aside at a time in the future.
    fn check_set_aside(&self, failed: &Queue, checker: &mut Checker<'_>) -> Result<(), Error> {
        let mut early = 0;
        for message in failed.messages()? {
            let message = message?;
            let is_alive = !checker.window.is_after(message.name.expiry);
            let time = self.set_aside_at(&message.name)?;
            early += usize::from(is_alive && time.is_some_and(|at| checker.window.is_before(at)));
        }
        if early > 0 {
            let what = format!("{} set aside by a clock that was ahead", messages(early));
            let hint = "relay-route --retry NAME returns each; relay-list failed names them";
            let (level, check) = (Level::Error, Check::Clock);
            checker.report(level, check, failed.dir(), &what, Some(hint.to_owned()));
        }
        Ok(())
    }

    /// Checks that the servers of recipients on the Internet can be found.
    fn check_direct(&self, queue: &Queue, tally: &QueueTally, checker: &mut Checker<'_>) {
        let dir = queue.dir();
        if self.owner().config().resolvers().next().is_none() {
            let what = format!(
                "{} for recipients on the Internet, and no resolver to find their servers",
                messages(tally.count)
            );
            let hint = "write resolver = URL into config: relay-node(5)".to_owned();
            checker.report(Level::Warning, Check::Route, dir, &what, Some(hint));
        }
        if let Some(late) = late(tally) {
            let hint = "relay-post delivers them, or says why not".to_owned();
            checker.report(Level::Warning, Check::Waiting, dir, &late, Some(hint));
        }
    }

    /// Checks that cargo can be packed for a next hop.
    fn check_way(
        &self,
        hop: NodeId,
        queue: &Queue,
        count: usize,
        checker: &mut Checker<'_>,
    ) -> Result<(), Error> {
        let owner = self.owner();
        if owner.config().node_type() != NodeType::Gateway {
            return Ok(());
        }
        let Err(refusal) = owner.carrier(hop, checker.now) else {
            return Ok(());
        };
        let requests = self.queue(QueueId::Cca(hop));
        let mut is_asked_for = false;
        for request in requests.messages()? {
            is_asked_for |= request?.name.expiry > checker.now;
        }
        // A request for cargo authorizes the answer to it, without any other certificate.
        if is_asked_for {
            return Ok(());
        }
        let waits = format!("{} for {}", messages(count), owner.label_of(hop));
        let dir = queue.dir();
        if registrations::is_registered(owner, hop)? {
            let what = format!("{waits}, and no request for cargo to answer");
            let hint = "relay-sync takes one from a medium".to_owned();
            checker.report(Level::Warning, Check::Route, dir, &what, Some(hint));
        } else {
            let what = format!("{waits}, and no way there: {refusal}");
            checker.report(Level::Error, Check::Route, dir, &what, None);
        }
        Ok(())
    }

    /// Reports messages that have waited long and were never packed.
    fn check_packed(
        &self,
        queue: &Queue,
        tally: &QueueTally,
        checker: &mut Checker<'_>,
    ) -> Result<(), Error> {
        if tally.late == 0 {
            return Ok(());
        }
        let facts = |name: &Name| {
            let identity = name.identity;
            (identity.recipient, identity.sender, identity.id)
        };
        // What was packed only waits for its acknowledgement, which may take weeks.
        let mut unpacked: HashSet<_> = tally.some.iter().map(facts).collect();
        self.each_noted(SentEvent::Packed, &mut |line| {
            let id = hash::sha256(line.id.as_bytes());
            unpacked.remove(&(line.recipient, line.sender, id));
            false
        })?;
        let (looked_at, count) = (tally.some.len(), unpacked.len());
        if count == 0 {
            return Ok(());
        }
        let more = if tally.late > looked_at {
            "at least "
        } else {
            ""
        };
        let what = format!(
            "{more}{} not packed since {}",
            messages(count),
            tally.oldest.map_or_else(String::new, |at| at.to_string())
        );
        let hint = "relay-sync packs them onto a medium".to_owned();
        let (level, check) = (Level::Warning, Check::Waiting);
        checker.report(level, check, queue.dir(), &what, Some(hint));
        Ok(())
    }

    /// Checks free space, and the quotas of recipients.
    fn check_room(&self, checker: &mut Checker<'_>) -> Result<(), Error> {
        let config = self.owner().config();
        if !files::exists(self.root(), FileRole::Spool)? {
            return Ok(());
        }
        let free = files::free_space(self.root(), FileRole::Spool)?;
        let reserve = config.reserve().unwrap_or(DEFAULT_RESERVE);
        if free < reserve {
            let error = Error::Reserve { free, reserve };
            let hint = "nothing more is stored: make room, or change the setting reserve";
            let (level, check) = (Level::Error, Check::Room);
            checker.report(level, check, self.root(), &error, Some(hint.to_owned()));
        }
        let Some(limit) = config.quota() else {
            return Ok(());
        };
        // As the programs that store messages count it.
        let full = Room::new(self.root(), config, Some(self)).full()?;
        if full.is_empty() {
            return Ok(());
        }
        let owner = self.owner();
        let peers = owner.peers()?.0.into_iter();
        let mut hops: HashMap<_, _> = peers
            .map(|it| (HopPrefix::from(it.id), it.label()))
            .collect();
        hops.insert(HopPrefix::internet(), INTERNET.to_owned());
        // Else it stands for the user of whose files the messages are copies.
        let hop = |hop| hops.get(&hop).map_or("another user", String::as_str);
        let listed = "relay-list shows where they are";
        for (payer, used) in full {
            let (of, hint) = match payer {
                Payer::Recipient(id) => (format!("for {}", owner.label_of(id)), listed),
                Payer::Hop(by) => (format!("brought by {}", hop(by)), listed),
                Payer::HopTo(by, id) => (
                    format!("for {}, brought by {}", owner.label_of(id), hop(by)),
                    "relay-deliver hands them over",
                ),
                Payer::Acks(to) => (
                    format!("of acknowledgements for {}", hop(to)),
                    "relay-sync gives them with cargo",
                ),
            };
            let what = format!("a quota is used up: {used} octets {of}, and it is {limit}");
            let (level, check) = (Level::Warning, Check::Room);
            checker.report(level, check, self.root(), &what, Some(hint.to_owned()));
        }
        Ok(())
    }
}

/// The first of these names, and the number of the others.
fn listed(names: &[String]) -> String {
    let first = names.iter().take(NAMED);
    let first: Vec<&str> = first.map(String::as_str).collect();
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} others", first.join(", ")),
    }
}

/// The words for messages that have waited too long, if there are any.
fn late(tally: &QueueTally) -> Option<String> {
    let oldest = tally.oldest.filter(|_| tally.late > 0)?;
    Some(format!("{} waiting since {oldest}", messages(tally.late)))
}

fn messages(count: usize) -> String {
    match count {
        1 => "1 message".to_owned(),
        count => format!("{count} messages"),
    }
}

/// Reports a file or directory that could not be checked.
fn report_error(checker: &mut Checker<'_>, path: &Path, error: &Error) {
    match error {
        Error::Node(error) => checker.damaged(path, error),
        error => checker.report(Level::Error, Check::Damaged, path, error, None),
    }
}

/// The shape of an entry of a spool.
fn shape(parts: &[&str], kind: EntryKind, has_group: bool) -> Option<Shape> {
    let is_node = |name: &str| name.parse::<NodeId>().is_ok();
    let is_message = |name: &str| name.parse::<Name>().is_ok();
    let is_folder = |name: &str| QueueKind::of_folder(name).is_some();
    if kind == EntryKind::Dir {
        let others = [
            TMP,
            "in",
            "failed",
            SENT,
            carried::FOLDER,
            DELIVERING,
            hosts::FOLDER,
            served::FOLDER,
        ];
        let is_ours = match *parts {
            [name] => is_folder(name) || others.contains(&name),
            [carried::FOLDER, _] => true,
            [folder, INTERNET] => QueueKind::of_folder(folder) == Some(QueueKind::Out),
            [folder, id] => is_folder(folder) && is_node(id),
            _ => false,
        };
        let shape = match *parts {
            // A medium, which is not trusted either.
            [WIRE] => return Some(Shape::Elsewhere),
            _ if !has_group => Shape::Dir,
            ["in" | TMP] => Shape::Shared,
            [HOME, _] => Shape::Given,
            [HOME] => Shape::Gate,
            _ => Shape::Dir,
        };
        return is_ours.then_some(shape);
    }
    let is_ours = match *parts {
        [name] => name == clock::FILE || name == LEDGER,
        ["in", name] => is_message(name),
        ["failed", name] => is_message(name.strip_suffix(WHY).unwrap_or(name)),
        [SENT, day] => end_of_day(day).is_some(),
        [hosts::FOLDER, name] => hosts::is_named(name),
        [served::FOLDER, name] => name == served::FILE,
        [DELIVERING, queue] => queue == "in" || is_node(queue),
        [carried::FOLDER, _, name] => name == exchanges::LAST || carried::is_record(name),
        [folder, _, name] => is_folder(folder) && is_message(name),
        _ => false,
    };
    is_ours.then_some(Shape::File)
}
