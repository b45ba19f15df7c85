//! A single fact of an object, which relay-inspect prints alone.

use crate::message::{self, Item, Object, Pca, scanned};
use crate::ramf::SignedMessage;

use super::qr::Code;
use super::{files, report};

/// `--id`, `--message-id`, `--sender`, `--recipient` and `--qr`.
#[derive(Debug, clap::Args)]
#[group(multiple = false, conflicts_with = "json")]
pub struct SingleFact {
    /// Print just the id of the node behind the object
    #[arg(long)]
    id: bool,
    /// Print just the id of the message
    #[arg(long)]
    message_id: bool,
    /// Print just the id of the node that sent the message
    #[arg(long)]
    sender: bool,
    /// Print just the id of the node that the message is for
    #[arg(long)]
    recipient: bool,
    /// Draw the SHA-256 of the object as a whole as a code, for relay-import --expect
    #[arg(long)]
    qr: bool,
}

/// A fact to print alone.
pub enum Fact {
    /// A line of text.
    Text(String),
    /// The text of a code.
    Code(String),
}

impl SingleFact {
    /// The fact that an option asks for; `None` without such an option.
    #[must_use]
    pub fn of(&self, object: &Object) -> Option<anyhow::Result<Fact>> {
        let (what, fact) = if self.id {
            ("node id", object.node().map(|id| id.to_string()))
        } else if self.message_id {
            let of_message = |message: &SignedMessage| message.fields().id.clone();
            (
                "message id",
                of_transit(object, of_message, |pca| pca.parcel_id.clone()),
            )
        } else if self.sender {
            let of_message = |message: &SignedMessage| message.sender().to_string();
            (
                "sender",
                of_transit(object, of_message, |pca| pca.sender.to_string()),
            )
        } else if self.recipient {
            let of_message = |message: &SignedMessage| message.fields().recipient.to_string();
            (
                "recipient",
                of_transit(object, of_message, |pca| pca.recipient.to_string()),
            )
        } else if self.qr {
            (
                "digest to compare",
                object
                    .digest()
                    .map(|digest| scanned::digest_to_text(&digest)),
            )
        } else {
            return None;
        };
        let lacks = || message::Error::Lacks {
            object: object.word(),
            what,
        };
        let fact = fact.ok_or_else(|| lacks().into());
        Some(fact.map(|text| {
            if self.qr {
                Fact::Code(text)
            } else {
                Fact::Text(text)
            }
        }))
    }
}

impl Fact {
    /// Prints it.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn print(&self) -> anyhow::Result<()> {
        match self {
            Self::Text(text) => files::print(&report::escaped(text)),
            Self::Code(text) => files::write_stdout(&[Code::of(text)?.for_stdout().as_bytes()]),
        }
    }
}

/// A fact of a message or an acknowledgement.
fn of_transit(
    object: &Object,
    of_message: impl Fn(&SignedMessage) -> String,
    of_pca: impl Fn(&Pca) -> String,
) -> Option<String> {
    match object {
        Object::Message(item) => match &**item {
            Item::Pca(pca) => Some(of_pca(pca)),
            item => item.message().map(of_message),
        },
        _ => None,
    }
}
