//! Opened content, with the facts about it.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::asn1::Hex;
use crate::command::CommandFacts;
use crate::crypto::hash;
use crate::message::parts::{self, TransferId};
use crate::message::{ServiceMessage, file_name, media_type};
use crate::node::peers::{check_name, short_id};
use crate::pki::NodeId;
use crate::receive::Arrival;

/// Digits of the digest in a file name. Two messages of one second with the same content and the same
/// name would be taken for one: of 100 000 with eight digits, one or two were.
const DIGITS: usize = 16;

/// The facts about content.
#[derive(Debug, Clone)]
pub struct Content {
    /// The sender.
    pub sender: NodeId,
    /// The sender's name here, if it has one.
    pub peer: Option<String>,
    /// The recipient.
    pub recipient: NodeId,
    /// The id of the parcel.
    pub id: String,
    /// The date of the parcel.
    pub date: Timestamp,
    /// The expiry of the parcel.
    pub expiry: Timestamp,
    /// The media type, without a file name.
    pub media_type: String,
    /// The file name that the sender chose, unchecked.
    pub name: Option<String>,
    /// Its length, in octets.
    pub size: u64,
    /// The transfer, if it came in parts; then `id` is that of the transfer, too.
    pub transfer: Option<TransferId>,
}

impl Content {
    /// The facts about the content of a parcel.
    #[must_use]
    pub fn of(arrival: &Arrival<'_, ServiceMessage>) -> Self {
        let head = arrival.head();
        let (media_type, name) = file_name::split(arrival.content().media_type());
        Self {
            sender: head.sender.id(),
            peer: arrival.peer_name(),
            recipient: head.fields.recipient,
            id: head.fields.id.clone(),
            date: head.fields.date,
            expiry: head.fields.expiry(),
            media_type,
            name,
            size: arrival.content().content().len() as u64,
            transfer: None,
        }
    }

    /// The file name that the sender chose, made safe.
    #[must_use]
    pub fn safe_name(&self) -> Option<String> {
        self.name.as_deref().and_then(file_name::safe)
    }

    /// The folder for this sender's content: the sender's name here, or its id.
    #[must_use]
    pub fn folder(&self) -> String {
        // The peer's name may have been edited by hand, and not be safe in a path.
        let name = self.peer.as_ref().filter(|name| check_name(name).is_ok());
        name.cloned().unwrap_or_else(|| self.sender.to_string())
    }

    /// The environment of a command that gets the content.
    #[must_use]
    pub fn facts<'a>(&'a self, node: &'a Path, safe_name: Option<&'a str>) -> CommandFacts<'a> {
        CommandFacts {
            node,
            sender: self.sender,
            // The peer's name may have been edited by hand, and not be safe in a path.
            peer: self.peer.as_deref().filter(|name| check_name(name).is_ok()),
            recipient: self.recipient,
            id: &self.id,
            date: self.date,
            expiry: self.expiry,
            media_type: Some(&self.media_type),
            name: safe_name,
            size: self.size,
        }
    }

    /// The sender's name for diagnostics.
    #[must_use]
    pub fn label(&self) -> String {
        // The file of a peer may have been edited by hand.
        let name = self.peer.as_ref().filter(|name| check_name(name).is_ok());
        name.cloned().unwrap_or_else(|| short_id(self.sender))
    }

    /// A file name without any untrusted text: `20270522T101112Z.0123456789abcdef`.
    #[must_use]
    pub fn file_name(&self) -> String {
        let date = Offset::UTC
            .to_datetime(self.date)
            .strftime("%Y%m%dT%H%M%SZ");
        // The id is hashed because its sender chose it.
        let identity = format!("{}.{}.{}", self.recipient, self.sender, self.id);
        let digest = Hex(&hash::sha256(identity.as_bytes())).to_string();
        format!("{date}.{}", &digest[..DIGITS])
    }

    /// Whether it is a part of larger content.
    #[must_use]
    pub fn is_part(&self) -> bool {
        parts::is_part_type(&self.media_type)
    }

    /// Whether the media type matches a pattern: `text/plain`, `text/*`, or `*`. An empty list
    /// matches all. With `joins`, what a part is a part of counts, where its sender says it.
    #[must_use]
    pub fn is_of(&self, patterns: &[String], joins: bool) -> bool {
        let whole = parts::whole_type(&self.media_type).ok().flatten();
        let whole = whole.filter(|_| joins && self.is_part());
        let media_type = whole.as_deref().unwrap_or(&self.media_type);
        // Parameters such as charset do not count.
        let media_type = media_type::essence(media_type).to_ascii_lowercase();
        patterns.is_empty()
            || patterns.iter().any(|pattern| {
                let pattern = pattern.to_ascii_lowercase();
                match pattern.strip_suffix('*') {
                    Some(beginning) => media_type.starts_with(beginning),
                    None => media_type == pattern,
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(media_type: &str) -> Content {
        Content {
            sender: NodeId::of_spki(b"sender"),
            peer: None,
            recipient: NodeId::of_spki(b"recipient"),
            id: "../../x".to_owned(),
            date: "2027-05-22T10:11:12Z".parse().unwrap(),
            expiry: "2027-06-22T10:11:12Z".parse().unwrap(),
            media_type: media_type.to_owned(),
            name: None,
            size: 0,
            transfer: None,
        }
    }

    #[test]
    fn nothing_untrusted_is_in_a_name() {
        let content = sample("text/plain");
        let name = content.file_name();
        assert!(
            name.starts_with("20270522T101112Z.") && name.len() == 33,
            "{name}"
        );
        assert_eq!(content.folder(), content.sender.to_string());
        let called = |name: &str| Content {
            peer: Some(name.to_owned()),
            ..content.clone()
        };
        assert_eq!(called("bob").folder(), "bob");
        assert_eq!(called("../bob").folder(), content.sender.to_string());
        let other = Content {
            id: "y".to_owned(),
            ..content
        };
        assert_ne!(other.file_name(), name);
    }

    #[test]
    fn messages_of_one_second_have_different_names() {
        let messages = 200_000_u32;
        let names = (0..messages).map(|number| {
            let id = number.to_string();
            Content { id, ..sample("x") }.file_name()
        });
        let names: std::collections::HashSet<String> = names.collect();
        assert_eq!(names.len(), messages as usize);
    }

    #[test]
    fn types_are_matched_without_their_parameters() {
        let is_of =
            |media_type: &str, pattern: &str| sample(media_type).is_of(&[pattern.to_owned()], true);
        assert!(is_of("Text/Plain; charset=utf-8", "text/plain"));
        assert!(is_of("text/html", "text/*"));
        assert!(is_of("x", "*"));
        assert!(!is_of("text/html", "text/plain"));
        assert!(!is_of("application/text", "text/*"));
        assert!(sample("x").is_of(&[], true));
        let part = r#"application/vnd.relaynet.part; of="Text/Plain; charset=utf-8""#;
        assert!(is_of(part, "text/plain") && !is_of(part, "application/*"));
        assert!(sample(part).is_of(&["application/*".to_owned()], false));
    }
}
