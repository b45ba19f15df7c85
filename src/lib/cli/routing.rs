//! The report of relay-route for each message.

use std::collections::BTreeSet;

use super::input_ref::InputRef as Input;
use super::outcome::Outcome;
use super::report;
use crate::describe::{json, lines};
use crate::pki::NodeId;
use crate::route::control::{Applied, ControlEffect};
use crate::route::run::RouteOutcome;
use crate::spool::{self, Spool, Time};

/// Reports the result for a control message of this gateway. One that was set aside is warned of,
/// which is no failure.
///
/// # Errors
/// As [`Outcome::done`].
pub fn report_control(
    gateway: NodeId,
    applied: Applied,
    time: &Time,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    if applied.is_untimely(time) {
        outcome.wait_for_clock(1);
        return Ok(());
    }
    outcome.take();
    let from = gateway.to_string();
    let path = report::path(&applied.message.path);
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
        Ok(ControlEffect::Outdated) => useless("the certificate here lasts as long or longer"),
        Ok(ControlEffect::Repeated) => report::event("repeated", &[("file", &path)]),
        Err(error) if applied.is_aside => report::warn(&format!("{path}: set aside: {error}")),
        Err(error) => {
            let queue = applied.message.path.parent().map(report::path);
            let queue = queue.unwrap_or_default();
            return outcome.done_in(&queue, &Input::named(path), Err(error.into()));
        }
    }
    Ok(())
}

/// Reports the result for a message. One that was set aside is warned of, which is no failure.
///
/// # Errors
/// As [`Outcome::done`].
pub fn report(routed: RouteOutcome, outcome: &mut Outcome) -> anyhow::Result<()> {
    let identity = &routed.name.identity;
    let (sender, recipient) = (identity.sender.to_string(), identity.recipient.to_string());
    if routed.is_untimely {
        outcome.wait_for_clock(1);
        return Ok(());
    }
    outcome.take();
    let path = report::path(&routed.path);
    if routed.is_repeated {
        report::event("repeated", &[("file", &path)]);
        return Ok(());
    }
    match routed.result {
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
        Err(error) if routed.is_aside => {
            report::warn(&format!("{path}: set aside: {error}"));
            Ok(())
        }
        // Bounded by directory: every user of the spool may put files into `in`.
        Err(error) => {
            let queue = routed.path.parent().map(report::path);
            let queue = queue.unwrap_or_default();
            outcome.done_in(&queue, &Input::named(path), Err(error.into()))
        }
    }
}

/// Warns of folders in `home` that were filled but cannot be read by their user.
///
/// # Errors
/// When the spool cannot be read.
pub fn warn_of_closed(spool: &Spool, filled: &BTreeSet<NodeId>) -> Result<(), spool::Error> {
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

/// The line of a dry run: the message's name, the action, and the target or the error.
#[must_use]
pub fn decision(routed: &RouteOutcome, json: bool) -> String {
    let (what, target) = match &routed.result {
        Ok(target) => ("move", target.to_string()),
        Err(error) if routed.is_aside => ("fail", error.to_string()),
        Err(error) => ("leave", error.to_string()),
    };
    let name = routed
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    if json {
        return json::line(&lines::route_decision(routed, &name, what));
    }
    format!("{name}\t{what}\t{}", report::escaped(&target))
}
