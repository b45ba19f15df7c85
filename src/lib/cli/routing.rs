//! The report of relay-route for each message.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use super::aside::{AsideMessage, AsideReport};
use super::input_ref::InputRef as Input;
use super::outcome::Outcome;
use super::tally::{self, ENDED_EARLY};
use super::{files, labels, progress, report};
use crate::describe::{json, lines};
use crate::node::Directory;
use crate::pki::NodeId;
use crate::route::Target;
use crate::route::control::{Applied, ControlEffect};
use crate::route::revocation::RevocationEffect;
use crate::route::run::{Fate, RouteOutcome};
use crate::spool::{self, INTERNET, Name, QueueId, Spool, Time};

/// Reports the results of a run, each as it comes.
#[derive(Debug)]
pub struct RouteReport<'a> {
    /// The results so far, also of what the command line asks for.
    pub outcome: Outcome,
    asides: AsideReport<'a>,
    /// Whether a line of JSON is printed for each message.
    json: bool,
    /// Nodes here that got parcels.
    filled: BTreeSet<NodeId>,
    home: usize,
    out: usize,
    handed_over: usize,
    applied: usize,
    aside: usize,
    left: usize,
}

impl<'a> RouteReport<'a> {
    /// Starts without results; with `json`, a line is printed for each message.
    #[must_use]
    pub fn new(node: &'a Directory, time: &Time, json: bool) -> Self {
        let mut outcome = Outcome::default();
        outcome.doubt(time);
        Self {
            outcome,
            asides: AsideReport::of(node),
            json,
            filled: BTreeSet::new(),
            home: 0,
            out: 0,
            handed_over: 0,
            applied: 0,
            aside: 0,
            left: 0,
        }
    }

    /// Reports the result for a control message of this gateway, or of `in`. One that was set aside is warned of,
    /// which is no failure.
    ///
    /// # Errors
    /// As [`Outcome::done`].
    pub fn add_control(
        &mut self,
        gateway: Option<NodeId>,
        applied: Applied,
        time: &Time,
    ) -> anyhow::Result<()> {
        let what = match &applied.result {
            Ok(
                ControlEffect::Acknowledged(_)
                | ControlEffect::Rotated
                | ControlEffect::OfPdd(RevocationEffect::Revoked(_)),
            ) => "apply",
            Ok(_) => "remove",
            Err(_) if applied.is_aside => "fail",
            Err(_) => "leave",
        };
        self.count(what, None);
        if self.json {
            let name = file_name(&applied.message.path);
            let line = lines::control_decision(&applied, gateway, &name, what);
            files::print_line(&json::line(&line))?;
        }
        if applied.is_untimely(time) {
            self.outcome.wait_for_clock(1);
            return Ok(());
        }
        report_control(gateway, applied, &mut self.outcome, &mut self.asides)
    }

    /// Reports the result for a message. One that was set aside is warned of, which is no failure.
    ///
    /// # Errors
    /// As [`Outcome::done`].
    pub fn add(&mut self, routed: RouteOutcome) -> anyhow::Result<()> {
        progress::step();
        let what = word(&routed);
        self.count(what, routed.result.as_ref().ok());
        if self.json {
            let name = file_name(&routed.path);
            let line = lines::route_decision(&routed, &name, what);
            files::print_line(&json::line(&line))?;
        }
        if routed.is_untimely {
            self.outcome.wait_for_clock(1);
            return Ok(());
        }
        report(routed, &mut self.outcome, &mut self.asides)
    }

    fn count(&mut self, what: &str, target: Option<&Target>) {
        match (what, target) {
            ("move", Some(Target::Home(node))) => {
                self.filled.insert(*node);
                self.home += 1;
            }
            ("move", Some(Target::Out(_) | Target::Internet)) => self.out += 1,
            ("move", _) => self.handed_over += 1,
            ("apply", _) => self.applied += 1,
            ("fail", _) => self.aside += 1,
            ("leave", _) => self.left += 1,
            // A repetition was removed: nothing that anybody waits for.
            _ => {}
        }
    }

    /// Reports what is reported once for all messages, and what was done, also by a run that `ended`
    /// early.
    ///
    /// # Errors
    /// That of the run, else the status that all failures add up to, unless it is 0; when the spool
    /// cannot be read.
    pub fn finish(self, spool: &Spool, ended: anyhow::Result<()>) -> anyhow::Result<()> {
        let closed = warn_of_closed(spool, &self.filled);
        let ended = ended.and(closed.map_err(anyhow::Error::from));
        let sentence = self.sentence(ended.is_ok());
        let failures = self.outcome.finish();
        report::summary(&sentence);
        ended.and(failures)
    }

    fn sentence(&self, is_complete: bool) -> String {
        let mut parts = Vec::new();
        if self.applied > 0 {
            let what = tally::counted(self.applied, "control message", "control messages");
            parts.push(format!("applied {what}"));
        }
        let moved = [(self.home, "home"), (self.out, "to other gateways")];
        for (number, whereto) in moved {
            if number > 0 {
                let what = tally::counted(number, "parcel", "parcels");
                parts.push(format!("moved {what} {whereto}"));
            }
        }
        if self.handed_over > 0 {
            let what = tally::counted(self.handed_over, "parcel", "parcels");
            parts.push(format!("handed over {what}"));
        }
        if self.aside > 0 {
            parts.push(format!("set {} aside", self.aside));
        }
        if self.left > 0 {
            parts.push(format!("left {} where they were", self.left));
        }
        match (parts.is_empty(), is_complete) {
            (false, true) => parts.join(", "),
            (true, true) => "nothing to move".to_owned(),
            (false, false) => format!("{}; {ENDED_EARLY}", parts.join(", ")),
            (true, false) => format!("moved nothing; {ENDED_EARLY}"),
        }
    }
}

/// Returns messages that were set aside, and those that wait for peers, to be routed again. False if
/// nothing that was named could be returned, so that the run is to end before it moves anything.
///
/// # Errors
/// As [`Outcome::done`].
pub fn return_all(
    spool: &Spool,
    (messages, peers): (&[String], &[String]),
    time: &Time,
    outcome: &mut Outcome,
) -> anyhow::Result<bool> {
    let mut returned = messages.is_empty() && peers.is_empty();
    let of_messages = messages.iter().map(|text| {
        let result = spool.retry(text, time.told, &mut report_returned);
        (text, result.map_err(anyhow::Error::from))
    });
    let of_peers = peers.iter().map(|peer| (peer, recall(spool, peer)));
    for (name, result) in of_messages.chain(of_peers) {
        outcome.take();
        returned |= result.is_ok();
        let place = Input::named(name.clone());
        match result {
            // The text says the name already.
            Err(error) if report::text_of(&error).contains(name.as_str()) => {
                report::failure(None, &error);
                outcome.count(&place, &error);
            }
            result => outcome.done(&place, result)?,
        }
    }
    Ok(returned)
}

fn report_returned(name: &Name, queue: QueueId) {
    let (name, queue) = (name.to_string(), queue.path());
    let facts = [("file", &*name), ("queue", &*queue.to_string_lossy())];
    report::event("retried", &facts);
}

/// Moves what waits for a peer back to `in`, to be routed again.
///
/// # Errors
/// When no peer is known as this, or a message cannot be moved.
fn recall(spool: &Spool, peer: &str) -> anyhow::Result<()> {
    let (queue, from) = if peer == INTERNET {
        (QueueId::Internet, peer.to_owned())
    } else {
        let hop = spool.owner().find_peer(peer)?.id;
        (QueueId::Out(hop), hop.to_string())
    };
    let count = spool.recall(queue)?.to_string();
    report::event("recalled", &[("from", &from), ("messages", &count)]);
    Ok(())
}

/// Reports the result for a control message of this gateway.
fn report_control(
    gateway: Option<NodeId>,
    applied: Applied,
    outcome: &mut Outcome,
    asides: &mut AsideReport<'_>,
) -> anyhow::Result<()> {
    outcome.take();
    let from = gateway.map_or_else(String::new, |gateway| gateway.to_string());
    let path = report::path(&applied.message.path);
    let identity = &applied.message.name.identity;
    let message = AsideMessage {
        path: &applied.message.path,
        id: None,
        sender: identity.sender,
        recipient: identity.recipient,
    };
    // Normal after a repetition, so an event and not a warning.
    let useless = |why| report::event("useless", &[("file", &path), ("why", why)]);
    match applied.result {
        Ok(ControlEffect::Acknowledged(pca)) => {
            let (by, to) = (pca.sender.to_string(), pca.recipient.to_string());
            let facts = [
                ("id", pca.parcel_id.as_str()),
                ("from", &by),
                ("to", &to),
                ("by", &from),
            ];
            report::event("acknowledged", &facts);
        }
        Ok(ControlEffect::AlreadyAcknowledged) => useless("nothing waits that it acknowledges"),
        Ok(ControlEffect::Rotated) => report::event("rotated", &[("by", &from)]),
        Ok(ControlEffect::OfPdd(RevocationEffect::Revoked(issuer))) => {
            let (issuer, by) = (issuer.to_string(), identity.sender.to_string());
            report::event("revoked", &[("issuer", &issuer), ("by", &by)]);
        }
        Ok(ControlEffect::OfPdd(RevocationEffect::Useless(why))) => useless(why),
        Ok(ControlEffect::Outdated) => useless("the certificate here lasts as long or longer"),
        Ok(ControlEffect::Repeated) => report::event("repeated", &[("file", &path)]),
        Err(error) if applied.is_aside => asides.set_aside(&message, &error.into()),
        Err(error) => {
            let queue = applied.message.path.parent().map(report::path);
            let queue = queue.unwrap_or_default();
            let label = asides.label(&applied.message.path, Some(&message), &error);
            return outcome.done_in(&queue, &Input::named(label), Err(error.into()));
        }
    }
    Ok(())
}

/// Reports the result for a message.
fn report(
    routed: RouteOutcome,
    outcome: &mut Outcome,
    asides: &mut AsideReport<'_>,
) -> anyhow::Result<()> {
    let identity = &routed.name.identity;
    let (sender, recipient) = (identity.sender.to_string(), identity.recipient.to_string());
    outcome.take();
    let path = report::path(&routed.path);
    let message = AsideMessage {
        path: &routed.path,
        id: routed.id.as_deref(),
        sender: identity.sender,
        recipient: identity.recipient,
    };
    match routed.result {
        _ if routed.fate == Fate::Repeated => {
            report::event("repeated", &[("file", &path)]);
            Ok(())
        }
        Ok(target) => {
            let facts = [
                ("id", routed.id.as_deref().unwrap_or_default()),
                ("from", &sender),
                ("to", &recipient),
                ("next", &target.to_string()),
            ];
            report::event("routed", &facts);
            Ok(())
        }
        Err(error) if routed.fate == Fate::SetAside => {
            asides.set_aside(&message, &error.into());
            Ok(())
        }
        Err(error) if routed.fate == Fate::Useless => {
            asides.removed(&message, &error.into());
            Ok(())
        }
        // Bounded by directory: every user of the spool may put files into `in`.
        Err(error) => {
            let queue = routed.path.parent().map(report::path);
            let queue = queue.unwrap_or_default();
            let label = asides.label(&routed.path, Some(&message), &error);
            outcome.done_in(&queue, &Input::named(label), Err(error.into()))
        }
    }
}

/// Warns of folders in `home` that were filled but cannot be read by their user.
fn warn_of_closed(spool: &Spool, filled: &BTreeSet<NodeId>) -> Result<(), spool::Error> {
    if filled.is_empty() {
        return Ok(());
    }
    for amiss in spool.homes_amiss()? {
        if amiss.is_closed && filled.contains(&amiss.node) {
            let path = report::path(&amiss.path);
            report::warn_with(
                &format!("{path}: {}", amiss.what),
                &format!("as root, run: {}", amiss.remedy),
            );
        }
    }
    Ok(())
}

/// The decision on a message, in a word that stands in JSON.
fn word(routed: &RouteOutcome) -> &'static str {
    match routed.fate {
        Fate::Repeated | Fate::Useless => "remove",
        Fate::Routed => "move",
        Fate::SetAside => "fail",
        Fate::Stays => "leave",
    }
}

/// The name of a message's file.
fn file_name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// The line of a dry run: the message's name, the action, and the target or the error.
#[must_use]
pub fn decision(routed: &RouteOutcome, json: bool) -> String {
    let what = word(routed);
    if json {
        let name = file_name(&routed.path);
        return json::line(&lines::route_decision(routed, &name, what));
    }
    let name = labels::shown_name(&routed.path);
    let target = match &routed.result {
        Ok(target) => target.to_string(),
        Err(error) => error.to_string(),
    };
    labels::shown(format!("{name}\t{what}\t{}", report::escaped(&target)))
}
