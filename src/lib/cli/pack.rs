//! Messages that are verified and wait to be packed into cargo.
//!
//! Small messages and those of streams are copied to a scratch file. A larger one stays in its own
//! file, is read again when it is packed, and must not have changed.

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

/// The largest message that is copied to the scratch file although it has a file of its own, in
/// octets: opening the file again would take longer than the copy.
const SMALL: usize = 64 * 1024;

/// The most octets in the scratch file for such messages.
const MAX_SMALL: u64 = 64 * 1024 * 1024;

/// How long messages without an expiry of their own live, such as acknowledgements.
const CONTROL_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Messages that wait to be packed.
#[derive(Debug)]
pub struct PackQueue {
    scratch: Scratch,
    messages: Vec<PackInput>,
    /// Buffers of cargo that is written, to be used again.
    spare: Mutex<Vec<Buffer>>,
}

/// A verified message that waits.
#[derive(Debug)]
pub struct PackInput {
    len: usize,
    /// Its expiry; `None` for control messages.
    expiry: Option<Timestamp>,
    at: PackIndex,
    /// Its position in the inputs, if there are status lines.
    place: Option<Box<InputRef>>,
}

/// The place where a message waits.
#[derive(Debug)]
enum PackIndex {
    /// Its own file and the SHA-256 of that; boxed, since most messages are in the scratch file.
    File(Box<(PathBuf, [u8; 32])>),
    /// The offset in the scratch file.
    Scratch(u64),
}

/// Cargo that was filled and sealed.
pub struct LoadedCargo {
    /// `None` if no message could be read.
    pub cargo: Result<Option<Sent>, node::Error>,
    /// The number of messages in it.
    pub count: usize,
    /// Whether a message in it outlives it.
    pub is_cut: bool,
    /// The messages that could not be read again, by number, and the reasons.
    pub left: Vec<(usize, anyhow::Error)>,
}

impl Default for PackQueue {
    /// An empty queue, with a scratch file in the directory for temporary files.
    fn default() -> Self {
        Self {
            scratch: Scratch::new(&super::files::scratch_dir()),
            messages: Vec::new(),
            spare: Mutex::default(),
        }
    }
}

impl PackQueue {
    /// Verifies a message, and copies it to the scratch file unless it can be read again from
    /// `file`, which holds it alone. Thread-safe.
    ///
    /// # Errors
    /// When the message is malformed, too large or not carried in cargo, or cannot be copied.
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
        // The digest shows later that the file is still the message that was verified.
        let in_file = |file| PackIndex::File(Box::new((file, hash::sha256(&octets))));
        let at = match file {
            Some(file) if len > SMALL || self.scratch.len() > MAX_SMALL => in_file(file),
            // If the scratch file cannot be written, a message with its own file is left there.
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

    /// Verifies all messages, on all cores, and queues them.
    ///
    /// # Errors
    /// Fatal errors only; others are noted for their message.
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

    /// Distributes the messages over as few cargoes as possible. Returns the messages of each, by
    /// number, and their size together in octets.
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
        cargo::distribute(&sizes, cargo::ROOM)
            .into_iter()
            .map(weigh)
            .collect()
    }

    /// Fills a cargo with these messages and seals it.
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
                // Without an expiry of its own, a message is satisfied with what the certificates
                // allow.
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
        // Reported at the end: the certificates end before a message does.
        LoadedCargo {
            is_cut: expiry > sealer.end(),
            cargo,
            count,
            left,
        }
    }

    /// The position of the message with this number, for diagnostics.
    #[must_use]
    pub fn place(&self, at: usize) -> InputRef {
        self.messages[at].place()
    }

    /// Writes the status lines of all messages except `but`.
    pub fn tell(&self, outcome: &mut Outcome, but: &BTreeSet<usize>, result: &anyhow::Result<()>) {
        for (at, message) in self.messages.iter().enumerate() {
            if let Some(place) = message.place.as_ref().filter(|_| !but.contains(&at)) {
                outcome.tell(place, &result.as_ref().copied());
            }
        }
    }

    /// Takes back the buffer of cargo that is written.
    pub fn reuse(&self, mut buffer: Buffer) {
        buffer.reset();
        mutex::lock(&self.spare).push(buffer);
    }

    /// Appends a message to the set; if it cannot be read, the set is unchanged.
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
                // Read straight into the set: no copy in between.
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
    /// Adds the position in the inputs.
    #[must_use]
    pub fn read_at(mut self, place: InputRef) -> Self {
        self.place = Some(Box::new(place));
        self
    }

    /// The position of the message, for diagnostics.
    fn place(&self) -> InputRef {
        match (&self.place, &self.at) {
            (Some(place), _) => (**place).clone(),
            (None, PackIndex::File(file)) => InputRef::named(file.0.to_string_lossy().into_owned()),
            (None, PackIndex::Scratch(_)) => InputRef::named("-".to_owned()),
        }
    }
}

/// Packs queued messages into cargo and writes it.
pub struct CargoPacker<'a> {
    /// The messages.
    pub queue: &'a PackQueue,
    /// Seals the cargo.
    pub sealer: &'a Sealer,
    /// The time of the run.
    pub now: Timestamp,
    /// The output for the cargo.
    pub sink: Sink,
}

impl CargoPacker<'_> {
    /// Fills, seals and writes the cargoes. Returns how many were written. Messages that could not
    /// be read again are noted in `left`, by number.
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
            // An event and not a warning: under a CCA this is normal, which ends before most
            // messages do.
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

/// Opens the CCA to answer. If `to` names a gateway, the CCA must be from that one.
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

/// Reads a file again. Whatever is in its place now counts as changed, which another run may cure.
fn read_again(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = files::read_again(path, FileRole::Input, limits::MAX_MESSAGE_LEN);
    read.map_err(|error| match error {
        disk::Error::NotRegular { .. } | disk::Error::TooLarge { .. } => Changed.into(),
        // Opening a socket gives ENXIO, a looping link ELOOP.
        error => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT | Errno::NXIO | Errno::LOOP) => Changed.into(),
            _ => error.into(),
        },
    })
}
