//! The line about a message that was set aside: which one, why, and what to do, short enough to be read.

use std::path::Path;

use super::hints;
use super::labels::Labels;
use super::{report, status};
use crate::node::Directory;
use crate::pki::NodeId;

/// The most characters of a line, with the name of the program. The whole reason is in the `.why` file.
const MAX_LINE: usize = 160;

/// The most characters of a message id. Those of these programs have 36; others choose theirs.
const MAX_ID: usize = 40;

/// Reports messages that were set aside.
#[derive(Debug)]
pub struct AsideReport<'a> {
    labels: Labels<'a>,
    /// Whether the spool is another user's, whose relay-route returns nothing of this node.
    pub(super) is_guest: bool,
}

/// A message that was set aside.
#[derive(Debug, Clone, Copy)]
pub struct AsideMessage<'a> {
    /// Its file before.
    pub path: &'a Path,
    /// Its id, if it could be read.
    pub id: Option<&'a str>,
    /// The sender, as its content or its file's name says.
    pub sender: NodeId,
    /// The recipient.
    pub recipient: NodeId,
}

impl<'a> AsideReport<'a> {
    /// Names nodes as this one knows them.
    #[must_use]
    pub fn of(node: &'a Directory) -> Self {
        Self {
            labels: Labels::of(node),
            is_guest: false,
        }
    }

    /// Warns of a message that is in `failed` now, because of this error.
    pub fn set_aside(&mut self, message: &AsideMessage<'_>, why: &anyhow::Error) {
        let text = format!("{}: set aside in failed: ", self.named(message));
        self.warn(&text, message, why);
        let is_unjudged = status::is_unjudged(why);
        if let (false, Some(hint)) = (is_unjudged, hints::hint(why)) {
            report::advise(&hint);
        }
        let what_helps = match (self.is_guest, is_unjudged) {
            (false, false) => "relay-route --retry NAME tries it again",
            (false, true) => "relay-route --retry NAME has it delivered all the same",
            (true, false) => "relay-put puts such a file once more, relay-open opens it",
            (true, true) => "relay-open --again opens such a file all the same",
        };
        report::advise(&format!(
            "relay-list failed names what was set aside; {what_helps}"
        ));
    }

    /// Warns of another user's file that was no message, and was removed.
    pub fn removed(&mut self, message: &AsideMessage<'_>, why: &anyhow::Error) {
        let text = format!("{}: removed: ", self.named(message));
        self.warn(&text, message, why);
    }

    /// How a diagnostic names a message that stays: at a terminal as one that is set aside, else by the
    /// path of its file, which scripts and logs can use. An error that begins with the path keeps it.
    pub(super) fn label(
        &mut self,
        path: &Path,
        message: Option<&AsideMessage<'_>>,
        error: &(dyn std::error::Error + 'static),
    ) -> String {
        let whole = report::path(path);
        match message {
            Some(message)
                if report::is_at_terminal()
                    && !report::text_of_error(error).starts_with(&whole) =>
            {
                self.named(message)
            }
            _ => whole,
        }
    }

    fn warn(&mut self, begin: &str, message: &AsideMessage<'_>, why: &anyhow::Error) {
        // An error of the file begins with its path, where it is no longer.
        let path = format!("{}: ", message.path.display());
        let why = self
            .labels
            .in_text(&report::text_of(why).replace(&path, ""));
        let room = MAX_LINE.saturating_sub(report::program().len() + 2);
        report::warn(&cut(&format!("{begin}{why}"), room));
    }

    /// `ID from SENDER to RECIPIENT`.
    fn named(&mut self, message: &AsideMessage<'_>) -> String {
        let (from, to) = (
            self.labels.label_or_self(message.sender),
            self.labels.label_or_self(message.recipient),
        );
        match message.id {
            Some(id) => format!("{} from {from} to {to}", cut(&report::escaped(id), MAX_ID)),
            None => format!("a file from {from} to {to}"),
        }
    }
}

/// At most so many characters of a text.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(cut("añb", 3), "añb");
        assert_eq!(cut("añbc", 3), "añ…");
    }
}
