//! Messages that were verified, and wait until it is known which of them travel together.
//!
//! A message that fills a file of its own is read again from there, and has to be the same; others are
//! set aside.

use std::path::PathBuf;

use jiff::Timestamp;

use super::inputs::Place;
use super::report;
use crate::asn1::Buffer;
use crate::crypto::hash;
use crate::disk::{Role, Scratch, files};
use crate::message::message_set;
use crate::ramf::limits;

/// Messages that wait.
#[derive(Debug)]
pub struct Aside {
    scratch: Scratch,
    messages: Vec<Waiting>,
}

/// A message that waits.
#[derive(Debug)]
struct Waiting {
    len: usize,
    /// When its life ends; control messages have no end of their own.
    expiry: Option<Timestamp>,
    at: At,
}

/// Where a message waits.
#[derive(Debug)]
enum At {
    /// In a file of its own, with this digest.
    File(PathBuf, [u8; 32]),
    /// From this octet on in the scratch file.
    Scratch(u64),
}

/// A message that was looked at: what is needed of it to wait.
#[derive(Debug)]
pub struct Looked {
    /// Its octets.
    pub octets: Vec<u8>,
    /// The digest of those.
    pub sha256: [u8; 32],
    /// When its life ends.
    pub expiry: Option<Timestamp>,
}

/// A file whose message is not the one that was verified.
#[derive(Debug, thiserror::Error)]
#[error("changed while it was being packed")]
pub struct Changed;

impl Default for Aside {
    /// Nothing waits; what will, waits where temporary files are.
    fn default() -> Self {
        Self {
            scratch: Scratch::new(&std::env::temp_dir()),
            messages: Vec::new(),
        }
    }
}

impl Aside {
    /// Lets a message wait, in the file that it fills if there is one.
    ///
    /// # Errors
    /// When it cannot be set aside.
    pub fn add(&mut self, looked: &Looked, file: Option<PathBuf>) -> anyhow::Result<()> {
        let at = match file {
            Some(file) => At::File(file, looked.sha256),
            None => At::Scratch(self.scratch.append(&looked.octets)?),
        };
        self.messages.push(Waiting {
            len: looked.octets.len(),
            expiry: looked.expiry,
            at,
        });
        Ok(())
    }

    /// The sizes of all messages, in octets.
    #[must_use]
    pub fn sizes(&self) -> Vec<usize> {
        self.messages.iter().map(|message| message.len).collect()
    }

    /// How many octets a message takes in a set.
    #[must_use]
    pub fn room(&self, message: usize) -> usize {
        message_set::item_len(self.messages[message].len)
    }

    /// When the life of a message ends.
    #[must_use]
    pub fn expiry(&self, message: usize) -> Option<Timestamp> {
        self.messages[message].expiry
    }

    /// Where a message is, for diagnostics.
    #[must_use]
    pub fn place(&self, message: usize) -> Place {
        let input = match &self.messages[message].at {
            At::File(path, _) => report::path(path),
            At::Scratch(_) => "-".to_owned(),
        };
        Place {
            input,
            index: 1,
            is_only: true,
        }
    }

    /// Puts a message into a set of messages.
    ///
    /// # Errors
    /// When it cannot be read again or is another one now; then the set is as before.
    pub fn append_to(&self, set: &mut Buffer, message: usize) -> anyhow::Result<()> {
        let waiting = &self.messages[message];
        match &waiting.at {
            At::File(path, sha256) => {
                let octets = files::read(path, Role::Input, limits::MAX_MESSAGE_LEN)?;
                if octets.len() != waiting.len || hash::sha256(&octets) != *sha256 {
                    return Err(Changed.into());
                }
                message_set::append_header(set, octets.len());
                set.append(&octets);
            }
            At::Scratch(start) => {
                let before = set.len();
                message_set::append_header(set, waiting.len);
                let (octets, first) = set.parts_mut();
                let end = octets.len();
                octets.resize(end + waiting.len, 0);
                if let Err(error) = self.scratch.read_at(*start, &mut octets[end..]) {
                    octets.truncate(first + before);
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }
}
