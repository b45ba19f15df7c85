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
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

use super::Error;
use crate::asn1::{Hex, hex};
use crate::crypto::{hash, random};
use crate::disk::publish::{self, Existing, Manner, Mode, Pending};
use crate::disk::tree::{self, Kind as EntryKind, Met};
use crate::disk::{Role, files};
use crate::pki::{self, NodeId};
use crate::ramf::{Kind, limits};

/// The directory of all that is ours.
const TOP: &str = "relaynet";

/// What VERSION says.
const VERSION: &str = "relay-medium 1";

/// The longest VERSION or ID that is read, in octets.
const MAX_TEXT_LEN: usize = 64;

/// How many names are held at a time.
const PART: usize = 1024;

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
    /// [`Error::Damaged`] when they are others; or when the file cannot be read.
    pub fn read(&self) -> Result<Option<Vec<u8>>, Error> {
        let octets = match files::read(&self.path, Role::Spool, limits::MAX_MESSAGE_LEN) {
            Ok(octets) => octets,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if hash::sha256(&octets) == self.sha256 {
            Ok(Some(octets))
        } else {
            Err(Error::Damaged)
        }
    }
}

fn file_name(sender: NodeId, sha256: &[u8; 32], kind: Kind) -> String {
    format!("{sender}.{}.{}", Hex(sha256), kind.word())
}

impl Medium {
    /// Makes a medium of a directory that exists; one that is a medium stays the one that it is.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn init(dir: &Path) -> Result<Self, Error> {
        let top = dir.join(TOP);
        if files::exists(&top.join("VERSION"), Role::Spool)? {
            return Self::open(dir);
        }
        files::create_dir_plain(&top, Role::Spool)?;
        for folder in ["cargo", "cca", "got", "tmp"] {
            files::create_dir_plain(&top.join(folder), Role::Spool)?;
        }
        let id =
            random::array::<16>().map_err(|error| Error::Node(pki::Error::Crypto(error).into()))?;
        let manner = Manner::stored(Role::Spool, Existing::Replace).mode(Mode::User);
        // It is a medium from the moment at which it has a version, and then it has all else.
        for (name, text) in [
            ("ID", Hex(&id).to_string()),
            ("VERSION", VERSION.to_owned()),
        ] {
            publish::publish(&top.join(name), &[text.as_bytes(), b"\n"], &manner)?;
        }
        Self::open(dir)
    }

    /// The medium in a directory.
    ///
    /// # Errors
    /// [`Error::NotAMedium`] where there is none; [`Error::Version`] for one that we do not know.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let top = dir.join(TOP);
        let none = || Error::NotAMedium(dir.to_owned());
        if !files::is_dir(&top, Role::Spool)? {
            return Err(none());
        }
        let text = |name: &str| match files::read(&top.join(name), Role::Spool, MAX_TEXT_LEN) {
            Ok(octets) => Ok(String::from_utf8_lossy(&octets).trim().to_owned()),
            Err(error) if error.is_not_found() => Err(none()),
            Err(error) => Err(error.into()),
        };
        if text("VERSION")? != VERSION {
            return Err(Error::Version(dir.to_owned()));
        }
        let id = text("ID")?;
        let is_id = id.len() == 32 && hex::parse(&id).is_some() && id == id.to_ascii_lowercase();
        if is_id {
            Ok(Self { top, id })
        } else {
            Err(none())
        }
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

    /// Whether a directory below the top is there, itself and not behind a link, as each above it.
    fn has_dir(&self, parts: &[&str]) -> Result<Option<PathBuf>, Error> {
        let mut dir = self.top.clone();
        if !files::is_dir(&dir, Role::Spool)? {
            return Ok(None);
        }
        for part in parts {
            dir.push(part);
            if !files::is_dir(&dir, Role::Spool)? {
                return Ok(None);
            }
        }
        Ok(Some(dir))
    }

    /// The gateways for which there are messages of this kind.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn recipients(&self, kind: Kind) -> Result<Vec<NodeId>, Error> {
        self.gateways_in(kind.word())
    }

    fn gateways_in(&self, folder: &str) -> Result<Vec<NodeId>, Error> {
        let Some(dir) = self.has_dir(&[folder])? else {
            return Ok(Vec::new());
        };
        let mut gateways = Vec::new();
        for met in tree::stream(&dir, Role::Spool)? {
            if let Met::Entry(entry) = met?
                && entry.kind == EntryKind::Dir
                && let Some(gateway) = entry.name.to_str().and_then(|name| name.parse().ok())
            {
                gateways.push(gateway);
            }
        }
        gateways.sort_unstable();
        Ok(gateways)
    }

    /// What lies here for a gateway, in the order of the names, and told to `stray` what else does. Names are held a
    /// part at a time, so a large directory costs time and no memory.
    ///
    /// # Errors
    /// When the directory cannot be listed, or is none.
    pub fn lying(
        &self,
        kind: Kind,
        recipient: NodeId,
        stray: &mut dyn FnMut(PathBuf),
    ) -> Result<Pile<'_>, Error> {
        let mut pile = Pile {
            medium: self,
            kind,
            recipient,
            after: None,
            part: Vec::new().into_iter(),
            is_over: false,
        };
        pile.fill(stray)?;
        Ok(pile)
    }

    /// Whether a message lies here.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn has(
        &self,
        kind: Kind,
        recipient: NodeId,
        sender: NodeId,
        sha256: &[u8; 32],
    ) -> Result<bool, Error> {
        let name = recipient.to_string();
        let Some(dir) = self.has_dir(&[kind.word(), &name])? else {
            return Ok(false);
        };
        Ok(files::exists(
            &dir.join(file_name(sender, sha256, kind)),
            Role::Spool,
        )?)
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
        // Not the directories above: where they are missing, the medium is gone.
        files::create_dir_plain(&self.top.join(kind.word()), Role::Spool)?;
        files::create_dir_plain(&dir, Role::Spool)?;
        let tmp = self.top.join("tmp");
        files::create_dir_plain(&tmp, Role::Spool)?;
        let path = dir.join(file_name(sender, &sha256, kind));
        // What has the name holds the same octets, or what somebody made of them.
        let manner = Manner::stored(Role::Spool, Existing::Replace)
            .mode(Mode::User)
            .written_in(&tmp);
        Ok((publish::prepare(&path, &[octets], &manner)?, sha256))
    }

    /// Removes a message that is where it was going.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, lying: &Lying) -> Result<(), Error> {
        files::remove(&lying.path, Role::Spool)?;
        Ok(())
    }

    /// Removes cargo that we wrote; it may have gone.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_cargo(
        &self,
        recipient: NodeId,
        sender: NodeId,
        sha256: &[u8; 32],
    ) -> Result<(), Error> {
        let name = recipient.to_string();
        if let Some(dir) = self.has_dir(&[Kind::Cargo.word(), &name])? {
            let path = dir.join(file_name(sender, sha256, Kind::Cargo));
            files::remove(&path, Role::Spool)?;
        }
        Ok(())
    }

    /// Leaves a hint that cargo has arrived, for couriers who have it elsewhere, too.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn hint(&self, gateway: NodeId, sha256: &[u8; 32], now: Timestamp) -> Result<(), Error> {
        let got = self.top.join("got");
        let dir = got.join(gateway.to_string());
        files::create_dir_plain(&got, Role::Spool)?;
        files::create_dir_plain(&dir, Role::Spool)?;
        let tmp = self.top.join("tmp");
        files::create_dir_plain(&tmp, Role::Spool)?;
        let manner = Manner::stored(Role::Spool, Existing::Replace)
            .mode(Mode::User)
            .written_in(&tmp);
        let path = dir.join(Hex(sha256).to_string());
        publish::publish(&path, &[now.to_string().as_bytes(), b"\n"], &manner)?;
        Ok(())
    }

    /// Whether there is a hint that this cargo has arrived.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn has_hint(&self, gateway: NodeId, sha256: &[u8; 32]) -> Result<bool, Error> {
        let Some(dir) = self.has_dir(&["got", &gateway.to_string()])? else {
            return Ok(false);
        };
        Ok(files::exists(
            &dir.join(Hex(sha256).to_string()),
            Role::Spool,
        )?)
    }

    /// The hints that there are.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn hints(&self) -> Result<Vec<(NodeId, [u8; 32])>, Error> {
        let mut hints = Vec::new();
        for (gateway, path) in self.hint_files()? {
            let name = path.file_name().and_then(|name| name.to_str());
            let sha256 = name.and_then(hex::parse).and_then(|it| it.try_into().ok());
            if let Some(sha256) = sha256 {
                hints.push((gateway, sha256));
            }
        }
        Ok(hints)
    }

    fn hint_files(&self) -> Result<Vec<(NodeId, PathBuf)>, Error> {
        let mut found = Vec::new();
        for gateway in self.gateways_in("got")? {
            let Some(dir) = self.has_dir(&["got", &gateway.to_string()])? else {
                continue;
            };
            for met in tree::stream(&dir, Role::Spool)? {
                if let Met::Entry(entry) = met?
                    && entry.kind == EntryKind::File
                {
                    found.push((gateway, entry.path));
                }
            }
        }
        Ok(found)
    }

    /// Removes what is of no use any more: old hints, and what killed runs left.
    ///
    /// # Errors
    /// When it cannot be listed or removed.
    pub fn tidy(&self, now: Timestamp) -> Result<(), Error> {
        for (_, path) in self.hint_files()? {
            let Ok(text) = files::read(&path, Role::Spool, MAX_TEXT_LEN) else {
                continue;
            };
            let date = String::from_utf8_lossy(&text).trim().parse::<Timestamp>();
            if date.is_ok_and(|date| date + HINT_LIFE < now) {
                files::remove(&path, Role::Spool)?;
            }
        }
        if let Some(tmp) = self.has_dir(&["tmp"])? {
            let before = SystemTime::from(now).checked_sub(LEFTOVER_LIFE);
            publish::sweep(&tmp, Role::Spool, before)?;
        }
        Ok(())
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
}

impl Pile<'_> {
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
