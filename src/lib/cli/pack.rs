//! Messages that were verified, and wait until it is known which of them travel together.
//!
//! Small ones are set aside in a scratch file, as long as that stays small itself, and so are those of
//! streams. Any other fills a file of its own: it is read again from there, and has to be the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use rustix::io::Errno;

use super::args::Node;
use super::errors::{Changed, Fatal};
use super::input_ref::InputRef;
use super::inputs::{self, Messages};
use super::outcome::Outcome;
use super::outputs::Sink;
use super::report;
use crate::asn1::Buffer;
use crate::crypto::hash;
use crate::disk::{self, FileRole, Scratch, files};
use crate::message::{CollectionRequest, Item, cargo, message_set};
use crate::node;
use crate::pipeline::mutex;
use crate::pipeline::workers::{self, Bounds, WorkItem};
use crate::ramf::{Kind, fields, limits};
use crate::receive::{self, Arrival, ReceiveOptions};
use crate::send::{self, Sealer, Sent};
use crate::verify::{self, Policy};

/// The longest message that is set aside though it has a file of its own, in octets: to open the file
/// again takes longer.
const SMALL: usize = 64 * 1024;

/// How many octets of such messages are set aside.
const MAX_SMALL: u64 = 64 * 1024 * 1024;

/// How long messages live that have no end of their own, as acknowledgements.
const CONTROL_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Messages that wait.
#[derive(Debug)]
pub struct PackQueue {
    scratch: Scratch,
    messages: Vec<PackInput>,
    /// Memory that cargo was sealed in and is free again.
    spare: Mutex<Vec<Buffer>>,
}

/// A message that was verified and waits.
#[derive(Debug)]
pub struct PackInput {
    len: usize,
    /// When its life ends; control messages have no end of their own.
    expiry: Option<Timestamp>,
    at: PackIndex,
    /// Where it was read, if that is asked for.
    place: Option<Box<InputRef>>,
}

/// Where a message waits.
#[derive(Debug)]
enum PackIndex {
    /// In a file of its own, with this digest; boxed, since most are not.
    File(Box<(PathBuf, [u8; 32])>),
    /// From this octet on in the scratch file.
    Scratch(u64),
}

/// Cargo that was loaded and sealed.
pub struct LoadedCargo {
    /// None if nothing could be loaded.
    pub cargo: Result<Option<Sent>, node::Error>,
    /// How many messages are in it.
    pub count: usize,
    /// Whether one of them outlives it.
    pub is_cut: bool,
    /// The messages that could not be read again, by number, and why.
    pub left: Vec<(usize, anyhow::Error)>,
}

impl Default for PackQueue {
    /// Nothing waits; what will, waits where temporary files are.
    fn default() -> Self {
        Self {
            scratch: Scratch::new(&super::files::scratch_dir()),
            messages: Vec::new(),
            spare: Mutex::default(),
        }
    }
}

impl PackQueue {
    /// Verifies a message that is to be packed, and sets it aside unless it can be read again from
    /// `file`, which it fills. Several may be verified at once.
    ///
    /// # Errors
    /// When it is malformed, too large, not to be carried in cargo, or cannot be set aside.
    pub fn verify(
        &self,
        octets: Vec<u8>,
        file: Option<PathBuf>,
        judge: &Policy,
    ) -> anyhow::Result<PackInput> {
        let len = octets.len();
        fields::check_len("message", len, limits::MAX_ITEM_LEN)?;
        let item = verify::transport(Item::parse(octets)?, judge)?;
        let expiry = item.expiry();
        let octets = item.into_octets();
        let in_file = |file| PackIndex::File(Box::new((file, hash::sha256(&octets))));
        let at = match file {
            Some(file) if len > SMALL || self.scratch.len() > MAX_SMALL => in_file(file),
            // Where there is no room to set it aside, its own file will do.
            file => match (self.scratch.append(&octets), file) {
                (Ok(start), _) => PackIndex::Scratch(start),
                (Err(_), Some(file)) => in_file(file),
                (Err(error), None) => return Err(Fatal::Aside(error).into()),
            },
        };
        Ok(PackInput {
            len,
            expiry,
            at,
            place: None,
        })
    }

    /// Verifies all messages, on all cores, and lets them wait.
    ///
    /// # Errors
    /// Fatal errors only; others are noted, each for its message.
    pub fn fill(&mut self, messages: &mut Messages, policy: &Policy) -> anyhow::Result<()> {
        let mut verified = Vec::new();
        let read = messages.prepare_with(
            |octets, file| self.verify(octets, file, policy),
            |outcome, place, message| match message {
                Ok(message) if outcome.is_told() => {
                    verified.push(message.read_at(place));
                    Ok(())
                }
                Ok(message) => {
                    verified.push(message);
                    Ok(())
                }
                Err(error) => outcome.done(&place, Err(error)),
            },
        );
        self.messages = verified;
        read
    }

    /// Distributes the messages over as few cargoes as it can: with each the octets that its messages
    /// have.
    #[must_use]
    pub fn distribute(&self) -> Vec<(Vec<usize>, usize)> {
        let sizes: Vec<usize> = self.messages.iter().map(|message| message.len).collect();
        let weigh = |cargo: Vec<usize>| {
            let octets = cargo
                .iter()
                .map(|&at| message_set::item_len(sizes[at]))
                .sum();
            (cargo, octets)
        };
        cargo::distribute(&sizes).into_iter().map(weigh).collect()
    }

    /// Loads cargo with these messages and seals it.
    #[must_use]
    pub fn load(
        &self,
        (messages, octets): &(Vec<usize>, usize),
        sealer: &Sealer,
        now: Timestamp,
    ) -> LoadedCargo {
        let mut set = mutex::lock(&self.spare)
            .pop()
            .unwrap_or_else(|| Buffer::with_capacity(*octets));
        let mut left = Vec::new();
        let mut expiry = sealer.date();
        for (at, message) in messages.iter().map(|&at| (at, &self.messages[at])) {
            match self.append(&mut set, message) {
                // A message without an end of its own is content with what the certificates allow.
                Ok(()) => {
                    let end = message.expiry;
                    let end = end.unwrap_or_else(|| sealer.end().min(now + CONTROL_LIFE));
                    expiry = expiry.max(end);
                }
                Err(error) => left.push((at, error)),
            }
        }
        let count = messages.len() - left.len();
        let cargo = if count == 0 {
            Ok(None)
        } else {
            send::cargo(sealer, set, expiry).map(Some)
        };
        LoadedCargo {
            is_cut: expiry > sealer.end(),
            cargo,
            count,
            left,
        }
    }

    /// Where the message with this number was, for diagnostics.
    #[must_use]
    pub fn place(&self, at: usize) -> InputRef {
        self.messages[at].place()
    }

    /// Tells how every message fared but for these, if anybody is told.
    pub fn tell(&self, outcome: &mut Outcome, but: &BTreeSet<usize>, result: &anyhow::Result<()>) {
        for (at, message) in self.messages.iter().enumerate() {
            if let Some(place) = message.place.as_ref().filter(|_| !but.contains(&at)) {
                outcome.tell(place, &result.as_ref().copied());
            }
        }
    }

    /// Takes back the memory of cargo that is where it belongs.
    pub fn reuse(&self, mut buffer: Buffer) {
        buffer.reset();
        mutex::lock(&self.spare).push(buffer);
    }

    /// Puts a message into a set of messages; if it cannot be read, the set stays as it was.
    fn append(&self, set: &mut Buffer, message: &PackInput) -> anyhow::Result<()> {
        match &message.at {
            PackIndex::File(file) => {
                let (path, sha256) = &**file;
                let octets = read_again(path)?;
                if octets.len() != message.len || hash::sha256(&octets) != *sha256 {
                    return Err(Changed.into());
                }
                message_set::append_header(set, octets.len());
                set.append(&octets);
            }
            PackIndex::Scratch(start) => {
                let before = set.len();
                message_set::append_header(set, message.len);
                let (octets, first) = set.parts_mut();
                let end = octets.len();
                octets.resize(end + message.len, 0);
                if let Err(error) = self.scratch.read_at(*start, &mut octets[end..]) {
                    octets.truncate(first + before);
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }
}

impl PackInput {
    /// The same, with where it was read.
    #[must_use]
    pub fn read_at(mut self, place: InputRef) -> Self {
        self.place = Some(Box::new(place));
        self
    }

    /// Where the message is, for diagnostics.
    fn place(&self) -> InputRef {
        match (&self.place, &self.at) {
            (Some(place), _) => (**place).clone(),
            (None, PackIndex::File(file)) => InputRef::named(report::path(&file.0)),
            (None, PackIndex::Scratch(_)) => InputRef::named("-".to_owned()),
        }
    }
}

/// Packs what waits into cargo.
pub struct CargoPacker<'a> {
    /// What waits.
    pub queue: &'a PackQueue,
    /// What seals the cargo.
    pub sealer: &'a Sealer,
    /// The time.
    pub now: Timestamp,
    /// Where the cargo goes.
    pub sink: Sink,
}

impl CargoPacker<'_> {
    /// Loads, seals and writes the cargoes; gives how many are where they belong. Messages that are in none, since
    /// they could not be read again, are noted in `left`, by number.
    ///
    /// # Errors
    /// When a cargo cannot be sealed or written.
    pub fn pack(
        mut self,
        cargoes: Vec<(Vec<usize>, usize)>,
        outcome: &mut Outcome,
        left: &mut BTreeSet<usize>,
    ) -> anyhow::Result<usize> {
        let (queue, sealer, now) = (self.queue, self.sealer, self.now);
        let (mut is_cut, mut packed) = (false, 0);
        let mut cargoes = cargoes.into_iter();
        workers::in_order(
            Bounds::octets(limits::MAX_EMITTED_MESSAGE_LEN),
            || {
                let item = cargoes.next()?;
                let octets = item.1;
                Some(WorkItem { item, octets })
            },
            |cargo| queue.load(&cargo, sealer, now),
            |loaded| {
                for (at, error) in loaded.left {
                    left.insert(at);
                    outcome.done(&queue.place(at), Err(error))?;
                }
                if let Some(sent) = loaded.cargo? {
                    is_cut |= loaded.is_cut;
                    self.write(&sent, loaded.count)?;
                    queue.reuse(sent.octets);
                    packed += 1;
                }
                anyhow::Ok(())
            },
        )?;
        self.sink.finish()?;
        if is_cut {
            // With a CCA that is so by itself: it ends before most messages do.
            let end = sealer.end().to_string();
            report::event("cut", &[("to", &sealer.peer().name), ("until", &end)]);
        }
        Ok(packed)
    }

    fn write(&mut self, sent: &Sent, count: usize) -> anyhow::Result<()> {
        let fields = &sent.fields;
        let name = fields.file_name(self.sealer.sender(), Kind::Cargo.word());
        self.sink.put(Kind::Cargo, &name, sent.octets.as_slice())?;
        report::event(
            "packed",
            &[
                ("cargo", &fields.id),
                ("to", &fields.recipient.to_string()),
                ("messages", &count.to_string()),
                ("expiry", &fields.expiry().to_string()),
            ],
        );
        Ok(())
    }
}

/// Opens the CCA that is to be answered, which must be from the gateway that is packed for, if one is named.
///
/// # Errors
/// When it cannot be read or opened, or is from another gateway.
pub fn open_cca<'a>(
    node: &'a Node,
    file: &Path,
    to: Option<&str>,
    options: &ReceiveOptions,
) -> anyhow::Result<Arrival<'a, CollectionRequest>> {
    let name = || report::path(file);
    let octets = inputs::read_message(file).with_context(name)?;
    let wanted = match (to, node.directory()) {
        (Some(to), Some(directory)) => Some(directory.find_peer(to)?.id),
        _ => None,
    };
    let cca = receive::cca(node.keyring(), octets, options).with_context(name)?;
    let sender = cca.head().sender.id();
    if wanted.is_some_and(|wanted| wanted != sender) {
        return Err(anyhow::Error::new(node::Error::Authorization(
            node::AuthorizationError::OtherCollector(sender),
        ))
        .context(name()));
    }
    Ok(cca)
}

/// Reads a file once more. Whatever else stands there now, if anything, may be what it was when all is tried
/// again.
fn read_again(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = files::read_again(path, FileRole::Input, limits::MAX_MESSAGE_LEN);
    read.map_err(|error| match error {
        disk::Error::NotRegular { .. } | disk::Error::TooLarge { .. } => Changed.into(),
        // A socket is not opened, a link may lead to itself.
        error => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT | Errno::NXIO | Errno::LOOP) => Changed.into(),
            _ => error.into(),
        },
    })
}
