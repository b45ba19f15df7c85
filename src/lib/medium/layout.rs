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

use super::{Error, ExchangeEvent};
use crate::asn1::{Hex, hex};
use crate::crypto::{hash, random};
use crate::disk::dir::{Dir, DirEntry, PendingEntry};
use crate::disk::publish::is_temporary;
use crate::disk::tree::EntryKind;
use crate::disk::{self, FileRole, Operation, files};
use crate::message::{Item, Object};
use crate::pki::{self, NodeId};
use crate::ramf::{Kind, limits};
use crate::verify::{self, Policy, Verdict};

/// The directory of all that is ours.
pub(crate) const TOP: &str = "relaynet";

/// The directories in it.
const FOLDERS: [&str; 4] = ["cargo", "cca", "got", "tmp"];

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
    /// The directory that it is in.
    dir: Dir,
    /// The one of all that is ours; what is below it may be changed by somebody else at any time.
    top: Dir,
    id: String,
}

/// A message that lies on a medium, as far as its name tells.
#[derive(Debug, Clone)]
pub struct MediumFile {
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
    top: Dir,
}

impl fmt::Display for MediumFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = (self.kind.word(), self.name());
        write!(formatter, "{kind}/{}/{name}", self.recipient)
    }
}

impl MediumFile {
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
        let read = self.dir().and_then(|dir| match dir {
            Some(dir) => dir.read(self.name(), limits::MAX_MESSAGE_LEN).map(Some),
            None => Ok(None),
        });
        let octets = match read {
            Ok(Some(octets)) => octets,
            Ok(None) => return Ok(None),
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

    fn name(&self) -> String {
        file_name(self.sender, &self.sha256, self.kind)
    }

    /// The directory that it is in, unless that has gone.
    fn dir(&self) -> disk::Result<Option<Dir>> {
        below(&self.top, &[self.kind.word(), &self.recipient.to_string()])
    }
}

impl MediumFile {
    /// Judges its octets, which have to be what its name says.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::OtherSender`] when they are not; or when they are malformed, badly signed or not
    /// valid now.
    pub(super) fn verified(&self, octets: Vec<u8>, policy: &Policy) -> Result<Verdict, Error> {
        let item = Item::parse(octets)?;
        if item.kind() != self.kind {
            return Err(Error::Damaged);
        }
        let verdict = verify::object(Object::Message(Box::new(item)), policy)?;
        if (verdict.sender, verdict.recipient) == (Some(self.sender), Some(self.recipient)) {
            Ok(verdict)
        } else {
            Err(Error::OtherSender)
        }
    }
}

/// What does not belong where it lies: the first, and how many more there are.
#[derive(Debug, Default)]
pub struct UnexpectedFiles {
    /// Some of them.
    pub first: Vec<PathBuf>,
    /// How many others there are.
    pub more: usize,
}

impl UnexpectedFiles {
    /// Tells `each` of them; `dir` is where they are.
    pub(super) fn tell<E>(
        self,
        dir: &Path,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        for path in self.first {
            each(ExchangeEvent::Stray(path))?;
        }
        if self.more > 0 {
            each(ExchangeEvent::Strays {
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

/// Directories that cannot be listed, and why not; all others are.
pub(super) type Unlisted = Vec<(String, Error)>;

/// Whether something in a medium's folders is named so, as [`MediumFile`] and [`dir_name`] do.
pub(crate) fn is_within(name: &str) -> bool {
    let mut segments = name.split('/');
    let (folder, node) = (segments.next(), segments.next());
    folder.is_some_and(|folder| FOLDERS.contains(&folder))
        && node.is_some_and(|node| node.parse::<NodeId>().is_ok())
}

/// How the directory of what lies for a gateway is told.
pub(super) fn dir_name(kind: Kind, recipient: NodeId) -> String {
    format!("{}/{recipient}", kind.word())
}

fn file_name(sender: NodeId, sha256: &[u8; 32], kind: Kind) -> String {
    format!("{sender}.{}.{}", Hex(sha256), kind.word())
}

/// A directory below another one; `None` when it, or one above it, is not there.
fn below(dir: &Dir, parts: &[&str]) -> disk::Result<Option<Dir>> {
    let mut dir = dir.clone();
    for part in parts {
        match dir.dir(part)? {
            Some(next) => dir = next,
            None => return Ok(None),
        }
    }
    Ok(Some(dir))
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
        let outer = Dir::open(dir, FileRole::Spool)?;
        check_place(dir)?;
        // A run that was killed may have made a directory and no more.
        let make = |above: &Dir, name: &str| match above.make_dir(name).map_err(in_the_way)? {
            (made, true) => Ok(made),
            (found, false) => above.sync().map(|()| found).map_err(Error::from),
        };
        let top = make(&outer, TOP)?;
        for folder in FOLDERS {
            make(&top, folder)?;
        }
        for name in ["ID", "VERSION"] {
            if top.has(name)? && top.len_of(name)?.is_none() {
                return Err(Error::InTheWay(top.path().join(name)));
            }
        }
        let id =
            random::array::<16>().map_err(|error| Error::Node(pki::Error::Crypto(error).into()))?;
        // It is a medium from the moment at which it has a version, and then it has all else.
        for (name, text) in [
            ("ID", Hex(&id).to_string()),
            ("VERSION", VERSION.to_owned()),
        ] {
            top.publish(name, &[text.as_bytes(), b"\n"], &top)
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
        let none = || Error::NotAMedium(dir.to_owned());
        let found = Dir::open(dir, FileRole::Spool).and_then(|outer| {
            let top = outer.dir(TOP)?;
            Ok(top.map(|top| (outer, top)))
        });
        let (outer, top) = match found {
            Ok(Some(found)) => found,
            Ok(None) | Err(disk::Error::NotRegular { .. }) => return Err(none()),
            Err(error) => match error.io_kind() {
                Some(ErrorKind::NotFound | ErrorKind::NotADirectory) => return Err(none()),
                _ => return Err(error.into()),
            },
        };
        if !top.has("VERSION")? && !top.has("ID")? {
            return Err(none());
        }
        let broken = || Error::Broken(dir.to_owned());
        let text = |name: &str| match top.read(name, MAX_TEXT_LEN) {
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
            Ok(Self {
                dir: outer,
                top,
                id,
            })
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
        for folder in FOLDERS {
            let Some(dir) = self.has_dir(&[folder])? else {
                continue;
            };
            for gateway in self.gateways_in(folder)?.0 {
                // One that cannot be opened is told of by whoever lists it.
                let inner = self.has_dir(&[folder, &gateway.to_string()]).ok().flatten();
                if let Some(inner) = inner
                    && let Err(error) = inner.sync()
                    && inner.names().is_ok()
                {
                    return Err(error.into());
                }
            }
            dir.sync()?;
        }
        for dir in [&self.top, &self.dir] {
            dir.sync()?;
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
        self.dir.path()
    }

    /// How many octets may be written to it.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn free_space(&self) -> Result<u64, Error> {
        Ok(self.top.free_space()?)
    }

    /// A directory below the top if it is there, itself and not behind a link, as each above it.
    fn has_dir(&self, parts: &[&str]) -> Result<Option<Dir>, Error> {
        match below(&self.top, parts) {
            Err(disk::Error::NotRegular { .. }) => Ok(None),
            found => Ok(found?),
        }
    }

    /// What has the name of a directory of the medium, or of one in it for this gateway, and is none.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn unexpected(&self, gateway: Option<NodeId>) -> Result<UnexpectedFiles, Error> {
        let mut unexpected = UnexpectedFiles::default();
        for folder in FOLDERS {
            let inside = gateway.filter(|_| ["cargo", "cca"].contains(&folder));
            let found = match self.top.dir(folder) {
                // One that cannot be opened is told of by whoever lists it.
                Ok(Some(dir)) => inside.and_then(|gateway| dir.dir(gateway.to_string()).err()),
                Ok(None) => None,
                Err(error @ disk::Error::NotRegular { .. }) => Some(error),
                Err(error) => return Err(error.into()),
            };
            if let Some(disk::Error::NotRegular { path, .. }) = found {
                unexpected.add(path);
            }
        }
        Ok(unexpected)
    }

    /// The gateways for which there are messages of this kind, and what else is where they should be.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn recipients(&self, kind: Kind) -> Result<(Vec<NodeId>, UnexpectedFiles), Error> {
        self.gateways_in(kind.word())
    }

    fn gateways_in(&self, folder: &str) -> Result<(Vec<NodeId>, UnexpectedFiles), Error> {
        let (mut gateways, mut unexpected) = (Vec::new(), UnexpectedFiles::default());
        let Some(dir) = self.has_dir(&[folder])? else {
            return Ok((gateways, unexpected));
        };
        for named in dir.names()? {
            let DirEntry { name, kind } = named?;
            if is_temporary(&name) {
                continue;
            }
            let gateway = name
                .to_str()
                .filter(|_| kind == Some(EntryKind::Dir))
                .and_then(|name| name.parse().ok());
            match gateway {
                Some(gateway) => gateways.push(gateway),
                None => unexpected.add(dir.path().join(name)),
            }
        }
        gateways.sort_unstable();
        Ok((gateways, unexpected))
    }

    /// What lies here for a gateway, in the order of the names. Names are held a part at a time, so a large directory
    /// costs time and no memory.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when the directory cannot be listed.
    pub fn files_for(&self, kind: Kind, recipient: NodeId) -> Result<RecipientDir<'_>, Error> {
        let mut files = RecipientDir {
            medium: self,
            kind,
            recipient,
            after: None,
            part: Vec::new().into_iter(),
            is_over: false,
            unexpected: UnexpectedFiles::default(),
        };
        let mut unexpected = UnexpectedFiles::default();
        files.fill(&mut |path| unexpected.add(path))?;
        files.unexpected = unexpected;
        Ok(files)
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
    ) -> Result<Option<MediumFile>, Error> {
        let name = recipient.to_string();
        let found = self.has_dir(&[kind.word(), &name]);
        let Some(dir) = found.map_err(unreadable)? else {
            return Ok(None);
        };
        let name = file_name(sender, &sha256, kind);
        let len = dir.len_of(&name).map_err(Error::Unreadable)?;
        Ok(len.map(|len| MediumFile {
            recipient,
            sender,
            sha256,
            path: dir.path().join(name),
            len,
            kind,
            top: self.top.clone(),
        }))
    }

    /// Whether what lies on another medium lies here as well, whole as far as its length tells, or its octets if
    /// `is_certain`.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn holds(&self, other: &MediumFile, is_certain: bool) -> Result<bool, Error> {
        let ends = (other.recipient, other.sender);
        Ok(match self.find(other.kind, ends, other.sha256)? {
            Some(own) if own.len == other.len => !is_certain || matches!(own.read(), Ok(Some(_))),
            _ => false,
        })
    }

    /// Writes a message, and reads it back; [`PendingEntry::place`] puts it where it belongs.
    ///
    /// # Errors
    /// When it cannot be written, or reads back as something else; [`Error::Unreadable`] when its directory may not be
    /// used.
    pub fn prepare(
        &self,
        kind: Kind,
        (recipient, sender): (NodeId, NodeId),
        octets: &[u8],
    ) -> Result<(PendingEntry, [u8; 32]), Error> {
        let sha256 = hash::sha256(octets);
        let (dir, tmp) = self.make_dirs(kind.word(), recipient)?;
        // What has the name holds the same octets, or what somebody made of them.
        let name = file_name(sender, &sha256, kind);
        let pending = dir.prepare(&name, &[octets], &tmp).map_err(denied)?;
        Ok((pending, sha256))
    }

    /// Makes the directory of a gateway, the one that it is in, and the one where files are written. Not those above:
    /// where they are missing, the medium is gone.
    fn make_dirs(&self, folder: &str, gateway: NodeId) -> Result<(Dir, Dir), Error> {
        let made = |above: &Dir, name: &str| above.make_dir(name).map_err(denied);
        let (above, _) = made(&self.top, folder)?;
        let (dir, _) = made(&above, &gateway.to_string())?;
        let (tmp, _) = made(&self.top, "tmp")?;
        Ok((dir, tmp))
    }

    /// Removes a message that is where it was going.
    ///
    /// # Errors
    /// When it cannot be removed; [`Error::InTheWay`] when a directory above it is none any more.
    pub fn remove(&self, file: &MediumFile) -> Result<(), Error> {
        if let Some(dir) = file.dir().map_err(in_the_way)? {
            dir.remove(file.name())?;
        }
        Ok(())
    }

    /// Leaves a hint, for couriers who have the cargo elsewhere, too.
    ///
    /// # Errors
    /// When it cannot be written; [`Error::Unreadable`] when its directory may not be used.
    pub fn hint(&self, hint: &Hint) -> Result<(), Error> {
        let (dir, tmp) = self.make_dirs("got", hint.gateway)?;
        let name = Hex(&hint.sha256).to_string();
        dir.publish(&name, &[hint.date.to_string().as_bytes(), b"\n"], &tmp)
            .map_err(denied)?;
        Ok(())
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
        let found = self.has_dir(&["got", &gateway.to_string()]);
        let dir = found.map_err(unreadable)?;
        let date = dir.and_then(|dir| date_of_hint(&dir, &Hex(&sha256).to_string(), now));
        Ok(date.map(|date| Hint {
            gateway,
            sha256,
            date,
        }))
    }

    /// Removes the hints of a gateway that are of no use.
    fn tidy_hints(&self, gateway: NodeId, now: Timestamp) -> Result<(), Error> {
        let found = self.has_dir(&["got", &gateway.to_string()]);
        let Some(dir) = found.map_err(unreadable)? else {
            return Ok(());
        };
        for named in dir.names().map_err(Error::Unreadable)? {
            let DirEntry { name, kind } = named.map_err(Error::Unreadable)?;
            let name = name.to_str().unwrap_or_default();
            let sha256: Option<[u8; 32]> = hex::parse(name).and_then(|it| it.try_into().ok());
            let is_hint = kind == Some(EntryKind::File)
                && sha256.is_some_and(|sha256| Hex(&sha256).to_string() == name);
            if is_hint && date_of_hint(&dir, name, now).is_none() {
                dir.remove(name)?;
            }
        }
        Ok(())
    }

    /// Removes what is of no use any more: old hints, and what killed runs left. Tells `each` what cannot be listed.
    ///
    /// # Errors
    /// When it cannot be removed, or `each` failed.
    pub fn clean<E: From<Error>>(
        &self,
        now: Timestamp,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        super::tell_unlisted(self.tidy(now)?, each)
    }

    /// Removes what is of no use any more, and gives what cannot be listed.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(super) fn tidy(&self, now: Timestamp) -> Result<Unlisted, Error> {
        let mut unlisted = Vec::new();
        for gateway in self.gateways_in("got")?.0 {
            match self.tidy_hints(gateway, now) {
                Err(error @ Error::Unreadable(_)) => {
                    unlisted.push((format!("got/{gateway}"), error));
                }
                tidied => tidied?,
            }
        }
        let before = SystemTime::from(now).checked_sub(LEFTOVER_LIFE);
        if let (Some(tmp), Some(before)) = (self.has_dir(&["tmp"])?, before) {
            tmp.sweep(before)?;
        }
        Ok(unlisted)
    }
}

/// Refuses a directory that is something else's, or in one that is: what begins with a version of ours is a node or the
/// inside of a medium, and nobody else makes directories there.
fn check_place(dir: &Path) -> Result<(), Error> {
    let place = files::canonical(dir, FileRole::Spool)?;
    for above in place.ancestors() {
        let version = files::read(&above.join("VERSION"), FileRole::Spool, MAX_TEXT_LEN);
        if version.is_ok_and(|version| version.starts_with(b"relay-")) {
            return Err(Error::NotAPlace(dir.to_owned()));
        }
    }
    Ok(())
}

/// What a hint says, unless it is damaged or too old. One dated ahead of this clock counts as well: either may be
/// wrong.
fn date_of_hint(dir: &Dir, name: &str, now: Timestamp) -> Option<Timestamp> {
    let octets = dir.read(name, MAX_TEXT_LEN).ok()?;
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

/// The same; and one directory may be used though another may not.
pub(super) fn denied(error: disk::Error) -> Error {
    if error.is_denied() || error.doing() == Some(Operation::Examine) {
        Error::Unreadable(error)
    } else {
        in_the_way(error)
    }
}

/// What concerns one directory is no reason to end.
fn unreadable(error: Error) -> Error {
    match error {
        Error::Disk(error) => Error::Unreadable(error),
        error => error,
    }
}

/// What lies on a medium for one gateway.
pub struct RecipientDir<'a> {
    medium: &'a Medium,
    kind: Kind,
    recipient: NodeId,
    after: Option<String>,
    part: std::vec::IntoIter<MediumFile>,
    is_over: bool,
    unexpected: UnexpectedFiles,
}

impl RecipientDir<'_> {
    /// What else is in the directory.
    pub fn take_unexpected(&mut self) -> UnexpectedFiles {
        std::mem::take(&mut self.unexpected)
    }

    /// The next message.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when the directory cannot be listed.
    pub fn next_message(&mut self) -> Result<Option<MediumFile>, Error> {
        loop {
            if let Some(file) = self.part.next() {
                return Ok(Some(file));
            }
            if self.is_over {
                return Ok(None);
            }
            self.fill(&mut |_| {})?;
        }
    }

    /// Reads the next part of the names.
    fn fill(&mut self, report: &mut dyn FnMut(PathBuf)) -> Result<(), Error> {
        self.is_over = true;
        let name = self.recipient.to_string();
        let found = self.medium.has_dir(&[self.kind.word(), &name]);
        let Some(dir) = found.map_err(unreadable)? else {
            return Ok(());
        };
        let mut first: BinaryHeap<String> = BinaryHeap::new();
        for named in dir.names().map_err(Error::Unreadable)? {
            let DirEntry { name, kind } = named.map_err(Error::Unreadable)?;
            if is_temporary(&name) {
                continue;
            }
            let told = name
                .to_str()
                .filter(|name| kind == Some(EntryKind::File) && self.parsed(name).is_some());
            let Some(name) = told else {
                report(dir.path().join(name));
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
            let Some((sender, sha256)) = self.parsed(&name) else {
                continue;
            };
            let Some(len) = dir.len_of(&name).map_err(Error::Unreadable)? else {
                continue;
            };
            part.push(MediumFile {
                recipient: self.recipient,
                sender,
                sha256,
                path: dir.path().join(name),
                len,
                kind: self.kind,
                top: self.medium.top.clone(),
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
