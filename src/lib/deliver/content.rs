//! Content that was opened, with what is known of it.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::asn1::Hex;
use crate::command::CommandFacts;
use crate::crypto::hash;
use crate::message::parts::{self, TransferId};
use crate::message::{ServiceMessage, file_name};
use crate::node::peers::{check_name, short_id};
use crate::pki::NodeId;
use crate::receive::Arrival;

/// Digits of a digest that tell messages of one second apart.
const DIGITS: usize = 8;

/// What is known of content.
#[derive(Debug, Clone)]
pub struct Content {
    /// Who sent it.
    pub sender: NodeId,
    /// What the sender is called here, if it has a name.
    pub peer: Option<String>,
    /// Whom it is for.
    pub recipient: NodeId,
    /// The parcel's id.
    pub id: String,
    /// When it was sealed.
    pub date: Timestamp,
    /// When the parcel's life ends.
    pub expiry: Timestamp,
    /// Its media type, without a name.
    pub media_type: String,
    /// The name that its sender gave it, as it travelled.
    pub name: Option<String>,
    /// Octets of it.
    pub size: u64,
    /// What its parts belonged to, if it came in parts; then this is its id, too.
    pub transfer: Option<TransferId>,
}

impl Content {
    /// What is known of what a parcel holds.
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

    /// The name that its sender gave it, as a file may have it.
    #[must_use]
    pub fn safe_name(&self) -> Option<String> {
        self.name.as_deref().and_then(file_name::safe)
    }

    /// The folder for what this sender sends: its name here, or its id.
    #[must_use]
    pub fn folder(&self) -> String {
        // The file of a peer may have been edited by hand, and its name not be fit for a path.
        let name = self.peer.as_ref().filter(|name| check_name(name).is_ok());
        name.cloned().unwrap_or_else(|| self.sender.to_string())
    }

    /// What a command gets in its environment.
    #[must_use]
    pub fn facts<'a>(&'a self, node: &'a Path, safe_name: Option<&'a str>) -> CommandFacts<'a> {
        CommandFacts {
            node,
            sender: self.sender,
            // The file of a peer may have been edited by hand, and its name not be fit for a path.
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

    /// What to call the sender.
    #[must_use]
    pub fn label(&self) -> String {
        self.peer.clone().unwrap_or_else(|| short_id(self.sender))
    }

    /// The name of a file for it, in which nothing untrusted is: `20270522T101112Z.0123abcd`.
    #[must_use]
    pub fn file_name(&self) -> String {
        let date = Offset::UTC
            .to_datetime(self.date)
            .strftime("%Y%m%dT%H%M%SZ");
        let identity = format!("{}.{}.{}", self.recipient, self.sender, self.id);
        let digest = Hex(&hash::sha256(identity.as_bytes())).to_string();
        format!("{date}.{}", &digest[..DIGITS])
    }

    /// Whether it is a part of something larger.
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.media_type.eq_ignore_ascii_case(parts::MEDIA_TYPE)
    }

    /// Whether its media type matches one of these: `text/plain`, `text/*`, or `*`. No patterns match all.
    #[must_use]
    pub fn is_of(&self, patterns: &[String]) -> bool {
        let (media_type, _) = self
            .media_type
            .split_once(';')
            .unwrap_or((&self.media_type, ""));
        let media_type = media_type.trim().to_ascii_lowercase();
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
            name.starts_with("20270522T101112Z.") && name.len() == 25,
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
    fn types_are_matched_without_their_parameters() {
        let is_of =
            |media_type: &str, pattern: &str| sample(media_type).is_of(&[pattern.to_owned()]);
        assert!(is_of("Text/Plain; charset=utf-8", "text/plain"));
        assert!(is_of("text/html", "text/*"));
        assert!(is_of("x", "*"));
        assert!(!is_of("text/html", "text/plain"));
        assert!(!is_of("application/text", "text/*"));
        assert!(sample("x").is_of(&[]));
    }
}
