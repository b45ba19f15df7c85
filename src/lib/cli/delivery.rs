//! Reports the result of relay-deliver for each message.

use std::path::Path;

use super::input_ref::InputRef as Input;
use super::outcome::Outcome;
use super::{files, report};
use crate::deliver::{Content, DeliveryEffect, DeliveryOutcome, Error};
use crate::describe::{json, lines};
use crate::disk::FileRole;
use crate::transfer::join;

/// Reports the result for one message. A message that was set aside is warned of and does not count
/// as a failure.
///
/// # Errors
/// As [`Outcome::done`], and an error that stops every message from being delivered.
pub fn report(delivered: DeliveryOutcome, json: bool, outcome: &mut Outcome) -> anyhow::Result<()> {
    // Reported once for all messages at the end of the run.
    if delivered.is_untimely {
        outcome.wait_for_clock(1);
        return Ok(());
    }
    if !matches!(delivered.result, Ok(DeliveryEffect::Part)) {
        outcome.take(); // parts count as what they make
    }
    let input = report::path(&delivered.path);
    let content = delivered.content.as_ref();
    match &delivered.result {
        Ok(DeliveryEffect::Delivered(path)) => {
            event("delivered", content, path.as_deref());
            if json {
                files::print_line(&json::line(&lines::delivered(&delivered)))?;
            }
        }
        Ok(DeliveryEffect::Imported) => event("imported", content, None),
        Ok(DeliveryEffect::NotKept) => event("not-kept", content, None),
        Ok(DeliveryEffect::Repeated) => report::event("repeated", &[("file", &input)]),
        Err(error) if delivered.is_aside => {
            report::warn(&format!("{input}: set aside: {error}"));
        }
        Ok(DeliveryEffect::Left | DeliveryEffect::Part) | Err(_) => {}
    }
    match delivered.result {
        // A full or missing destination fails for all other messages, too.
        Err(error) if error.is_of_destination() => Err(labelled(error)),
        Err(error) if !delivered.is_aside => {
            outcome.done(&Input::named(input), Err(labelled(error)))
        }
        _ => Ok(()),
    }
}

/// Reports once for all messages that some could not be checked for repetition, and how many
/// authorizations were not kept.
pub fn report_all(is_unjudged: bool, not_kept: usize) {
    if is_unjudged && !report::is_quiet() {
        report::hint(
            "relay-list failed names what was set aside; relay-route --retry NAME has it delivered all the same",
        );
    }
    if not_kept > 0 {
        report::warn(&format!(
            "too many unknown senders wrote today: {not_kept} of their authorizations are not kept"
        ));
    }
}

fn event(name: &str, content: Option<&Content>, path: Option<&Path>) {
    let Some(content) = content else { return };
    let (sender, recipient) = (content.sender.to_string(), content.recipient.to_string());
    let path = path.map(report::path).unwrap_or_default();
    let mut facts = vec![
        ("id", content.id.as_str()),
        ("from", &sender),
        ("to", &recipient),
        ("type", &content.media_type),
    ];
    facts.extend((!path.is_empty()).then_some(("path", path.as_str())));
    report::event(name, &facts);
}

/// An error about a file below a directory that the user named, with its path.
#[must_use]
pub fn labelled(error: Error) -> anyhow::Error {
    match error {
        // The path of the file in the destination helps more than the number of parts.
        Error::Parts { cause, .. } if cause.is_of_destination() => labelled(*cause),
        Error::Join(join::Error::Disk(error)) => labelled(Error::Disk(error)),
        Error::Disk(error) if error.role() == FileRole::Delivery => {
            let path = report::path(error.path());
            anyhow::Error::new(error).context(path)
        }
        error => error.into(),
    }
}

/// The line of a dry run: the message's name, the action, and the media type or the error.
#[must_use]
pub fn decision(delivered: &DeliveryOutcome, json: bool) -> String {
    let what = match &delivered.result {
        Ok(DeliveryEffect::Delivered(_)) => "deliver",
        Ok(DeliveryEffect::Imported | DeliveryEffect::NotKept) => "import",
        Ok(DeliveryEffect::Repeated) => "remove",
        Ok(DeliveryEffect::Part) => "join",
        Err(_) if delivered.is_aside => "fail",
        Ok(DeliveryEffect::Left) | Err(_) => "leave",
    };
    let error = delivered.result.as_ref().err().map(ToString::to_string);
    if json {
        let mut facts = lines::delivered(delivered);
        facts["decision"] = what.into();
        facts["error"] = error.into();
        return json::line(&facts);
    }
    let name = delivered
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let media_type = delivered
        .content
        .as_ref()
        .map(|content| content.media_type.clone());
    let detail = error.or(media_type).unwrap_or_default();
    format!("{name}\t{what}\t{}", report::escaped(&detail))
}
