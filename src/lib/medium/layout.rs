//! Where things lie on a medium.
//!
//! ```text
//! relaynet/VERSION  relaynet/ID
//! relaynet/cargo/<recipient gateway>/<sender>.<sha256>.cargo
//! relaynet/cca/<gateway asked>/<sender>.<sha256>.cca
//! relaynet/got/<gateway>/<sha256>
//! relaynet/tmp/
//! ```
//!
//! Names are in lower case and files are only ever renamed, so that FAT will do.

use std::collections::BinaryHeap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

use super::{Error, Event};
use crate::asn1::{Hex, hex};
use crate::crypto::{hash, random};
use crate::disk::batch::{self, Staged};
use crate::disk::publish::{self, Existing, Manner, Mode, Pending};
use crate::disk::tree::{self, Kind as EntryKind, Met};
use crate::disk::{self, Role, files};
use crate::message::{Item, Object};
use crate::pki::{self, NodeId};
use crate::ramf::{Kind, limits};
use crate::verify::{self, Judge, Verdict};

/// The directory of all that is ours.
const TOP: &str = "relaynet";

/// What VERSION says.
const VERSION: &str = "relay-medium 1";

/// The longest VERSION or ID that is read, in octets.
const MAX_TEXT_LEN: usize = 64;

/// What every VERSION of a medium begins with.
const ANY_VERSION: &str = "relay-medium ";

/// How many names are held at a time.
const PART: usize = 1024;

/// How many things that do not belong somewhere are named.
const MAX_STRAYS: usize = 8;

/// After how long a hint that cargo arrived is of no use any more.
const HINT_LIFE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// After how long what a killed run left is removed.
const LEFTOVER_LIFE: Duration = Duration::from_secs(36 * 3600);

/// A medium that is there.
#[derive(Debug)]
pub struct Medium {
    top: PathBuf,
    id: String,
}

/// A message that lies on a medium, as far as its name tells.
#[derive(Debug, Clone)]
pub struct Lying {
    /// Whom it is for.
    pub recipient: NodeId,
    /// Who sent it.
    pub sender: NodeId,
    /// The SHA-256 of its octets.
    pub sha256: [u8; 32],
    /// Its file.
    pub path: PathBuf,
    /// Octets in the file.
    pub len: u64,
    kind: Kind,
}

impl fmt::Display for Lying {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = file_name(self.sender, &self.sha256, self.kind);
        write!(formatter, "{}/{}/{name}", self.kind.word(), self.recipient)
    }
}

impl Lying {
    /// What kind of message it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its octets, which are those that its name tells; `None` when it has gone.
    ///
    /// # Errors
    /// [`Error::Damaged`] when they are others; [`Error::Unreadable`] when the file cannot be read.
    pub fn read(&self) -> Result<Option<Vec<u8>>, Error> {
        let octets = match files::read(&self.path, Role::Spool, limits::MAX_MESSAGE_LEN) {
            Ok(octets) => octets,
            Err(error) if error.is_not_found() => return Ok(None),
            // Whatever it became since it was listed.
            Err(disk::Error::NotRegular { .. }) => return Err(Error::Damaged),
            Err(error) => return Err(Error::Unreadable(error)),
        };
        if hash::sha256(&octets) == self.sha256 {
            Ok(Some(octets))
        } else {
            Err(Error::Damaged)
        }
    }
}

impl Lying {
    /// Judges its octets, which have to be what its name says.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::OtherSender`] when they are not; or when they are malformed, badly signed or not
    /// valid now.
    pub(super) fn judged(&self, octets: Vec<u8>, judge: &Judge) -> Result<Verdict, Error> {
        let item = Item::parse(octets)?;
        if item.kind() != self.kind {
            return Err(Error::Damaged);
        }
        let verdict = verify::object(Object::Message(Box::new(item)), judge)?;
        if (verdict.sender, verdict.recipient) == (Some(self.sender), Some(self.recipient)) {
            Ok(verdict)
        } else {
            Err(Error::OtherSender)
        }
    }
}

/// What does not belong where it lies: the first, and how many more there are.
#[derive(Debug, Default)]
pub struct Strays {
    /// Some of them.
    pub first: Vec<PathBuf>,
    /// How many others there are.
    pub more: usize,
}

impl Strays {
    /// Tells `each` of them; `dir` is where they are.
    pub(super) fn tell<E>(
        self,
        dir: &Path,
        each: &mut dyn FnMut(Event) -> Result<(), E>,
    ) -> Result<(), E> {
        for path in self.first {
            each(Event::Stray(path))?;
        }
        if self.more > 0 {
            each(Event::Strays {
                dir: dir.to_owned(),
                more: self.more,
            })?;
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf) {
        if self.first.len() < MAX_STRAYS {
            self.first.push(path);
        } else {
            self.more += 1;
        }
    }
}

/// A hint that cargo has arrived.
#[derive(Debug, Clone, Copy)]
pub struct Hint {
    /// The gateway that has it.
    pub gateway: NodeId,
    /// The SHA-256 of the cargo's octets.
    pub sha256: [u8; 32],
    /// When the gateway said so.
    pub date: Timestamp,
}

/// What becomes of a file that has the name of a hint; whether that is of use.
type EachHint<'a> = dyn FnMut(&Path, bool) -> Result<(), Error> + 'a;

fn file_name(sender: NodeId, sha256: &[u8; 32], kind: Kind) -> String {
    format!("{sender}.{}.{}", Hex(sha256), kind.word())
}

impl Medium {
    /// Makes a medium of a directory that exists; one that is a medium stays the one that it is, unless its id was
    /// damaged: then it gets a new one.
    ///
    /// # Errors
    /// [`Error::NotADirectory`]; [`Error::NotAPlace`] within a medium or a node; or when it cannot be made.
    pub fn init(dir: &Path) -> Result<Self, Error> {
        match Self::open(dir) {
            Err(Error::NotAMedium(_) | Error::Broken(_)) => {}
            opened => return opened,
        }
        if !dir.is_dir() {
            return Err(Error::NotADirectory(dir.to_owned()));
        }
        let own = files::read(&dir.join("VERSION"), Role::Spool, MAX_TEXT_LEN);
        if own.is_ok_and(|version| version.starts_with(b"relay-")) {
            return Err(Error::NotAPlace(dir.to_owned()));
        }
        let top = dir.join(TOP);
        let folders = ["cargo", "cca", "got", "tmp"].map(|folder| top.join(folder));
        for made in [&top].into_iter().chain(&folders) {
            if !files::create_dir_plain(made, Role::Spool).map_err(in_the_way)? {
                // A run that was killed may have made it and no more.
                files::sync_dir(made.parent().unwrap_or(dir), Role::Spool)?;
            }
        }
        for file in ["ID", "VERSION"].map(|file| top.join(file)) {
            if files::exists(&file, Role::Spool)? && files::len(&file, Role::Spool)?.is_none() {
                return Err(Error::InTheWay(file));
            }
        }
        let id =
            random::array::<16>().map_err(|error| Error::Node(pki::Error::Crypto(error).into()))?;
        let manner = Manner::stored(Role::Spool, Existing::Replace).mode(Mode::User);
        // It is a medium from the moment at which it has a version, and then it has all else.
        for (name, text) in [
            ("ID", Hex(&id).to_string()),
            ("VERSION", VERSION.to_owned()),
        ] {
            publish::publish(&top.join(name), &[text.as_bytes(), b"\n"], &manner)
                .map_err(in_the_way)?;
        }
        Self::open(dir)
    }

    /// The medium in a directory.
    ///
    /// # Errors
    /// [`Error::NotAMedium`] where there is none; [`Error::Broken`] for what is left of one; [`Error::Version`] for one
    /// that we do not know.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let top = dir.join(TOP);
        let none = || Error::NotAMedium(dir.to_owned());
        match files::is_dir(&top, Role::Spool) {
            Ok(true) => {}
            Ok(false) | Err(disk::Error::NotRegular { .. }) => return Err(none()),
            Err(error) if error.io_kind() == Some(ErrorKind::NotADirectory) => return Err(none()),
            Err(error) => return Err(error.into()),
        }
        let is_there = |name: &str| files::exists(&top.join(name), Role::Spool);
        if !is_there("VERSION")? && !is_there("ID")? {
            return Err(none());
        }
        let broken = || Error::Broken(dir.to_owned());
        let text = |name: &str| match files::read(&top.join(name), Role::Spool, MAX_TEXT_LEN) {
            Ok(octets) => Ok(String::from_utf8_lossy(&octets).trim().to_owned()),
            Err(disk::Error::NotRegular { .. } | disk::Error::TooLarge { .. }) => Err(broken()),
            Err(error) if error.is_not_found() => Err(broken()),
            Err(error) => Err(error.into()),
        };
        let version = text("VERSION")?;
        if version != VERSION {
            return Err(if version.starts_with(ANY_VERSION) {
                Error::Version(dir.to_owned())
            } else {
                broken()
            });
        }
        let id = text("ID")?;
        let is_id = id.len() == 32 && hex::parse(&id).is_some() && id == id.to_ascii_lowercase();
        if is_id {
            Ok(Self { top, id })
        } else {
            Err(broken())
        }
    }

    /// Waits until the names on the medium last, which an earlier run may have been killed before it could do. Nothing
    /// may rely on them before.
    ///
    /// # Errors
    /// When a directory cannot be listed or synced.
    pub fn settle(&self) -> Result<(), Error> {
        for folder in ["cargo", "cca", "got", "tmp"] {
            let Some(dir) = self.has_dir(&[folder])? else {
                continue;
            };
            for gateway in self.gateways_in(folder)?.0 {
                files::sync_dir(&dir.join(gateway.to_string()), Role::Spool)?;
            }
            files::sync_dir(&dir, Role::Spool)?;
        }
        for dir in [self.top.as_path(), self.dir()] {
            files::sync_dir(dir, Role::Spool)?;
        }
        Ok(())
    }

    /// The medium's id: 32 lower-case digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The directory that it is in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.top.parent().unwrap_or(&self.top)
    }

    /// How many octets may be written to it.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn free_space(&self) -> Result<u64, Error> {
        Ok(files::free_space(&self.top, Role::Spool)?)
    }

    fn pile(&self, kind: Kind, recipient: NodeId) -> PathBuf {
        self.top.join(kind.word()).join(recipient.to_string())
    }

    /// A directory below the top if it is there, itself and not behind a link, as each above it.
    fn has_dir(&self, parts: &[&str]) -> Result<Option<PathBuf>, Error> {
        let mut dir = self.top.clone();
        for part in [None].into_iter().chain(parts.iter().map(Some)) {
            dir.extend(part);
            match files::is_dir(&dir, Role::Spool) {
                Ok(true) => {}
                Ok(false) | Err(disk::Error::NotRegular { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(dir))
    }

    /// What has the name of a directory of the medium, or of one in it for this gateway, and is none.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn strays(&self, gateway: Option<NodeId>) -> Result<Strays, Error> {
        let mut paths = ["cargo", "cca", "got", "tmp"]
            .map(|folder| self.top.join(folder))
            .to_vec();
        if let Some(gateway) = gateway {
            paths.extend([Kind::Cargo, Kind::Cca].map(|kind| self.pile(kind, gateway)));
        }
        let mut strays = Strays::default();
        for path in paths {
            match files::is_dir(&path, Role::Spool) {
                Ok(_) => {}
                Err(disk::Error::NotRegular { .. }) => strays.add(path),
                // What is above it is none, and was told.
                Err(error) if error.io_kind() == Some(ErrorKind::NotADirectory) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(strays)
    }

    /// The gateways for which there are messages of this kind, and what else is where they should be.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn recipients(&self, kind: Kind) -> Result<(Vec<NodeId>, Strays), Error> {
        self.gateways_in(kind.word())
    }

    fn gateways_in(&self, folder: &str) -> Result<(Vec<NodeId>, Strays), Error> {
        let (mut gateways, mut strays) = (Vec::new(), Strays::default());
        let Some(dir) = self.has_dir(&[folder])? else {
            return Ok((gateways, strays));
        };
        for met in tree::stream(&dir, Role::Spool)? {
            let entry = match met? {
                Met::Entry(entry) => entry,
                Met::Other(path) => {
                    strays.add(path);
                    continue;
                }
            };
            let gateway = entry
                .name
                .to_str()
                .filter(|_| entry.kind == EntryKind::Dir)
                .and_then(|name| name.parse().ok());
            match gateway {
                Some(gateway) => gateways.push(gateway),
                None => strays.add(entry.path),
            }
        }
        gateways.sort_unstable();
        Ok((gateways, strays))
    }

    /// What lies here for a gateway, in the order of the names. Names are held a part at a time, so a large directory
    /// costs time and no memory.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn lying(&self, kind: Kind, recipient: NodeId) -> Result<Pile<'_>, Error> {
        let mut pile = Pile {
            medium: self,
            kind,
            recipient,
            after: None,
            part: Vec::new().into_iter(),
            is_over: false,
            strays: Strays::default(),
        };
        let mut strays = Strays::default();
        pile.fill(&mut |path| strays.add(path))?;
        pile.strays = strays;
        Ok(pile)
    }

    /// A message that lies here, if it does.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn find(
        &self,
        kind: Kind,
        (recipient, sender): (NodeId, NodeId),
        sha256: [u8; 32],
    ) -> Result<Option<Lying>, Error> {
        let name = recipient.to_string();
        let Some(dir) = self.has_dir(&[kind.word(), &name])? else {
            return Ok(None);
        };
        let path = dir.join(file_name(sender, &sha256, kind));
        let len = files::len(&path, Role::Spool)?;
        Ok(len.map(|len| Lying {
            recipient,
            sender,
            sha256,
            path,
            len,
            kind,
        }))
    }

    /// Whether what lies on another medium lies here as well, whole as far as its length tells, or its octets if
    /// `is_certain`.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn holds(&self, other: &Lying, is_certain: bool) -> Result<bool, Error> {
        let ends = (other.recipient, other.sender);
        Ok(match self.find(other.kind, ends, other.sha256)? {
            Some(own) if own.len == other.len => !is_certain || matches!(own.read(), Ok(Some(_))),
            _ => false,
        })
    }

    /// Writes a message, and reads it back; [`Pending::place`] puts it where it belongs.
    ///
    /// # Errors
    /// When it cannot be written, or reads back as something else.
    pub fn prepare(
        &self,
        kind: Kind,
        (recipient, sender): (NodeId, NodeId),
        octets: &[u8],
    ) -> Result<(Pending, [u8; 32]), Error> {
        let sha256 = hash::sha256(octets);
        let dir = self.pile(kind, recipient);
        let tmp = self.make_dirs(&self.top.join(kind.word()), &dir)?;
        let path = dir.join(file_name(sender, &sha256, kind));
        // What has the name holds the same octets, or what somebody made of them.
        let manner = Manner::stored(Role::Spool, Existing::Replace)
            .mode(Mode::User)
            .written_in(&tmp);
        let pending = publish::prepare(&path, &[octets], &manner).map_err(in_the_way)?;
        Ok((pending, sha256))
    }

    /// Makes a directory, the one that it is in, and the one where files are written, and gives that. Not those above:
    /// where they are missing, the medium is gone.
    fn make_dirs(&self, above: &Path, dir: &Path) -> Result<PathBuf, Error> {
        let tmp = self.top.join("tmp");
        for dir in [above, dir, &tmp] {
            files::create_dir_plain(dir, Role::Spool).map_err(in_the_way)?;
        }
        Ok(tmp)
    }

    /// Removes a message that is where it was going.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, lying: &Lying) -> Result<(), Error> {
        files::remove(&lying.path, Role::Spool)?;
        Ok(())
    }

    /// Leaves a hint, for couriers who have the cargo elsewhere, too.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn hint(&self, hint: &Hint) -> Result<(), Error> {
        let got = self.top.join("got");
        let dir = got.join(hint.gateway.to_string());
        let tmp = self.make_dirs(&got, &dir)?;
        let manner = Manner::stored(Role::Spool, Existing::Replace)
            .mode(Mode::User)
            .written_in(&tmp);
        let path = dir.join(Hex(&hint.sha256).to_string());
        publish::publish(&path, &[hint.date.to_string().as_bytes(), b"\n"], &manner)
            .map_err(in_the_way)?;
        Ok(())
    }

    /// Writes a hint as [`Medium::hint`] does, for a batch to name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn stage_hint(&self, hint: &Hint) -> Result<Staged, Error> {
        let got = self.top.join("got");
        let dir = got.join(hint.gateway.to_string());
        let tmp = self.make_dirs(&got, &dir)?;
        let manner = Manner::stored(Role::Spool, Existing::Replace)
            .mode(Mode::User)
            .written_in(&tmp);
        let path = dir.join(Hex(&hint.sha256).to_string());
        batch::stage(&path, &[hint.date.to_string().as_bytes(), b"\n"], &manner).map_err(in_the_way)
    }

    /// The hint that this cargo has arrived, if there is one that is of use.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn hint_of(
        &self,
        gateway: NodeId,
        sha256: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<Hint>, Error> {
        let Some(dir) = self.has_dir(&["got", &gateway.to_string()])? else {
            return Ok(None);
        };
        let date = date_of_hint(&dir.join(Hex(&sha256).to_string()), now);
        Ok(date.map(|date| Hint {
            gateway,
            sha256,
            date,
        }))
    }

    /// Gives `each` the files that have the name of a hint, and whether they are of use.
    fn each_hint(&self, now: Timestamp, each: &mut EachHint<'_>) -> Result<(), Error> {
        for gateway in self.gateways_in("got")?.0 {
            let Some(dir) = self.has_dir(&["got", &gateway.to_string()])? else {
                continue;
            };
            for met in tree::stream(&dir, Role::Spool)? {
                let Met::Entry(entry) = met? else {
                    continue;
                };
                let name = entry.name.to_str().unwrap_or_default();
                let sha256: Option<[u8; 32]> = hex::parse(name).and_then(|it| it.try_into().ok());
                let is_hint = sha256.is_some_and(|sha256| {
                    entry.kind == EntryKind::File && Hex(&sha256).to_string() == name
                });
                if !is_hint {
                    continue;
                }
                each(&entry.path, date_of_hint(&entry.path, now).is_some())?;
            }
        }
        Ok(())
    }

    /// Removes what is of no use any more: old hints, and what killed runs left.
    ///
    /// # Errors
    /// When it cannot be listed or removed.
    pub fn tidy(&self, now: Timestamp) -> Result<(), Error> {
        self.each_hint(now, &mut |path, is_of_use| {
            if !is_of_use {
                files::remove(path, Role::Spool)?;
            }
            Ok(())
        })?;
        if let Some(tmp) = self.has_dir(&["tmp"])? {
            let before = SystemTime::from(now).checked_sub(LEFTOVER_LIFE);
            publish::sweep(&tmp, Role::Spool, before)?;
        }
        Ok(())
    }
}

/// What a hint says, unless it is damaged, or too old or too far ahead to become of use.
fn date_of_hint(path: &Path, now: Timestamp) -> Option<Timestamp> {
    let octets = files::read(path, Role::Spool, MAX_TEXT_LEN).ok()?;
    let date: Timestamp = String::from_utf8_lossy(&octets).trim().parse().ok()?;
    (date.duration_since(now).abs() <= HINT_LIFE).then_some(date)
}

/// What stands where something of the medium should be is no error of the disk.
fn in_the_way(error: disk::Error) -> Error {
    match error {
        disk::Error::NotRegular { path, .. } => Error::InTheWay(path),
        error => error.into(),
    }
}

/// What lies on a medium for one gateway.
pub struct Pile<'a> {
    medium: &'a Medium,
    kind: Kind,
    recipient: NodeId,
    after: Option<String>,
    part: std::vec::IntoIter<Lying>,
    is_over: bool,
    strays: Strays,
}

impl Pile<'_> {
    /// What else is in the directory.
    pub fn take_strays(&mut self) -> Strays {
        std::mem::take(&mut self.strays)
    }

    /// The next message.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn next_message(&mut self) -> Result<Option<Lying>, Error> {
        loop {
            if let Some(lying) = self.part.next() {
                return Ok(Some(lying));
            }
            if self.is_over {
                return Ok(None);
            }
            self.fill(&mut |_| {})?;
        }
    }

    /// Reads the next part of the names.
    fn fill(&mut self, stray: &mut dyn FnMut(PathBuf)) -> Result<(), Error> {
        self.is_over = true;
        let name = self.recipient.to_string();
        let Some(dir) = self.medium.has_dir(&[self.kind.word(), &name])? else {
            return Ok(());
        };
        let mut first: BinaryHeap<String> = BinaryHeap::new();
        for met in tree::stream(&dir, Role::Spool)? {
            let entry = match met? {
                Met::Entry(entry) if entry.kind == EntryKind::File => entry,
                Met::Entry(entry) => {
                    stray(entry.path);
                    continue;
                }
                Met::Other(path) => {
                    stray(path);
                    continue;
                }
            };
            let name = entry
                .name
                .to_str()
                .filter(|name| self.parsed(name).is_some());
            let Some(name) = name else {
                stray(entry.path);
                continue;
            };
            if self.after.as_deref().is_some_and(|after| name <= after) {
                continue;
            }
            first.push(name.to_owned());
            if first.len() > PART {
                first.pop();
                self.is_over = false;
            }
        }
        let names = first.into_sorted_vec();
        self.after = names.last().cloned().or(self.after.take());
        let mut part = Vec::new();
        for name in names {
            let path = dir.join(&name);
            let Some((sender, sha256)) = self.parsed(&name) else {
                continue;
            };
            let Some(len) = files::len(&path, Role::Spool)? else {
                continue;
            };
            part.push(Lying {
                recipient: self.recipient,
                sender,
                sha256,
                path,
                len,
                kind: self.kind,
            });
        }
        self.part = part.into_iter();
        Ok(())
    }

    /// What a name says, if it is one that is given here.
    fn parsed(&self, name: &str) -> Option<(NodeId, [u8; 32])> {
        let mut parts = name.split('.');
        let sender = parts.next()?.parse().ok()?;
        let sha256 = hex::parse(parts.next()?)?.try_into().ok()?;
        (file_name(sender, &sha256, self.kind) == name).then_some((sender, sha256))
    }
}
