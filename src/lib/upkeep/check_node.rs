//! Whether a node directory is as it should be. Nothing is changed, and what cannot be read is a finding, too.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

use super::purge_node::end_of_day;
use crate::disk::publish::leftovers;
use crate::disk::tree::{self, EntryKind, Visited};
use crate::disk::{self, FileRole};
use crate::node::authorizations::HeldAuthorization;
use crate::node::certificates::path_from_octets;
use crate::node::key_file::public_key_from_pem;
use crate::node::read_text;
use crate::node::seen::Floor;
use crate::node::{Directory, Error, Keyring as _, NodeType, Peer};
use crate::node::{authorizations, certificates, peers, seen, sessions, unknown_senders};
use crate::pki::{NodeId, Window, issuance};

/// What ends within this is told of.
pub const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// After how long a file that is being written is one that a killed run left.
const LEFTOVER_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing, and in order.
    Information,
    /// It will be bad, or is a little.
    Warning,
    /// Something does not work, or is not safe.
    Error,
}

impl Level {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// Permission bits.
    Mode,
    /// Whose a file is.
    Owner,
    /// Whether a file belongs there.
    Unknown,
    /// Whether a file holds what it should.
    Damaged,
    /// Whether what a file belongs to is there.
    Orphan,
    /// Files that were being written.
    Temporary,
    /// The time.
    Clock,
    /// When certificates and authorizations end.
    Ending,
    /// Keys to seal to.
    SessionKey,
    /// Ways of messages.
    Route,
    /// How long messages wait.
    Waiting,
    /// Messages that were set aside.
    Failed,
    /// Space that is left.
    Room,
}

impl Check {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Unknown => "unknown",
            Self::Damaged => "damaged",
            Self::Orphan => "orphan",
            Self::Temporary => "temporary",
            Self::Clock => "clock",
            Self::Ending => "ending",
            Self::SessionKey => "session-key",
            Self::Route => "route",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Room => "room",
        }
    }
}

/// Something that is worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at.
    pub check: Check,
    /// Where.
    pub path: PathBuf,
    /// What was found.
    pub what: String,
    /// What the user can do, where there is something.
    pub hint: Option<String>,
}

/// What a file or directory is to be like.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A file for the node alone.
    File,
    /// A file without secrets that people write with an editor.
    Text,
    /// A private key.
    Key,
    /// A directory for the node alone, with others in it that have shapes.
    Dir,
    /// A directory that a group may go through to others.
    Gate,
    /// A directory into which a group may write.
    Shared,
    /// Such a directory, for one endpoint: whose it is and its mode are looked at elsewhere.
    Given,
    /// Something that is looked at elsewhere.
    Elsewhere,
    /// A node that may be another user's, who looks at it himself.
    Endpoint,
}

impl Shape {
    fn modes(self) -> &'static [u32] {
        match self {
            Self::File | Self::Key => &[0o600],
            Self::Text => &[0o600, 0o640, 0o644],
            Self::Dir | Self::Elsewhere | Self::Endpoint => &[0o700],
            Self::Gate => &[0o710, 0o700],
            Self::Shared => &[0o3770],
            Self::Given => &[],
        }
    }
}

/// The shape of what lies here, by its path below the top; `None` for what does not belong there.
pub type Shapes<'a> = &'a dyn Fn(&[&str], EntryKind) -> Option<Shape>;

/// Whoever looks at a node.
pub struct Checker<'a> {
    /// The time.
    pub now: Timestamp,
    /// The instants that times are held against.
    pub window: Window,
    /// The user who runs this.
    pub user: u32,
    /// Whom it tells.
    pub each: &'a mut dyn FnMut(&Finding),
    /// The file that changed last, and when.
    pub newest: Option<(Timestamp, PathBuf)>,
}

/// Whose files they should be, and whether those of others are theirs to write here.
#[derive(Clone, Copy)]
struct Ownership {
    owner: u32,
    is_shared: bool,
}

impl Checker<'_> {
    /// Tells of something.
    pub fn tell(
        &mut self,
        level: Level,
        check: Check,
        path: &Path,
        what: &impl ToString,
        hint: Option<String>,
    ) {
        (self.each)(&Finding {
            level,
            check,
            path: path.to_owned(),
            what: what.to_string(),
            hint,
        });
    }

    /// Tells of something that is not what it should be.
    pub fn damaged(&mut self, path: &Path, error: &Error) {
        let (path, what) = match error {
            Error::Disk(disk::Error::Exposed { .. }) => return, // the mode was looked at
            Error::Damaged { path, problem } => (path.as_path(), problem.clone()),
            error => (path, error.to_string()),
        };
        self.tell(Level::Error, Check::Damaged, path, &what, None);
    }

    /// Looks at modes, owners and kinds of all that is in a directory, which itself has one of these modes, and at what
    /// does not belong there.
    pub fn tree(&mut self, top: &Path, role: FileRole, modes: &[u32], shapes: Shapes<'_>) {
        let stat = match tree::stat(top, role) {
            Ok(Some(stat)) => stat,
            Ok(None) => return,
            Err(error) => return self.damaged(top, &error.into()),
        };
        self.mode(top, Shape::Dir, stat.mode, modes);
        let ownership = Ownership {
            owner: stat.owner,
            is_shared: false,
        };
        self.dir(top, role, &mut Vec::new(), ownership, shapes);
    }

    fn dir(
        &mut self,
        dir: &Path,
        role: FileRole,
        above: &mut Vec<String>,
        ownership: Ownership,
        shapes: Shapes<'_>,
    ) {
        let before = SystemTime::from(self.now) - LEFTOVER_AFTER;
        match leftovers(dir, role, Some(before)) {
            Ok(found) => {
                for leftover in found {
                    let hint = "relay-purge removes it after 36 hours".to_owned();
                    let what = "left by a run that was killed";
                    let (level, check) = (Level::Warning, Check::Temporary);
                    self.tell(level, check, &leftover.path, &what, Some(hint));
                }
            }
            Err(error) => return self.damaged(dir, &error.into()),
        }
        let entries = match tree::stream(dir, role) {
            Ok(entries) => entries,
            Err(error) => return self.damaged(dir, &error.into()),
        };
        for met in entries {
            match met {
                Ok(Visited::Entry(entry)) => self.entry(&entry, role, above, ownership, shapes),
                Ok(Visited::Other(path)) => {
                    let what = "neither a file nor a directory";
                    self.tell(Level::Error, Check::Unknown, &path, &what, None);
                }
                Err(error) => return self.damaged(dir, &error.into()),
            }
        }
    }

    fn entry(
        &mut self,
        entry: &tree::Entry,
        role: FileRole,
        above: &mut Vec<String>,
        ownership: Ownership,
        shapes: Shapes<'_>,
    ) {
        let path = &entry.path;
        above.push(entry.name.to_string_lossy().into_owned());
        let parts: Vec<&str> = above.iter().map(String::as_str).collect();
        let shape = shapes(&parts, entry.kind).filter(|_| entry.name.to_str().is_some());
        match (shape, entry.stat()) {
            (_, Ok(None)) => {}
            (_, Err(error)) => self.damaged(path, &error.into()),
            (None, Ok(Some(_))) => {
                let what = "does not belong here";
                self.tell(Level::Warning, Check::Unknown, path, &what, None);
            }
            (Some(shape), Ok(Some(stat))) => {
                self.stat(path, shape, &stat, ownership, entry.kind);
                let is_shared = matches!(shape, Shape::Shared | Shape::Given);
                if matches!(shape, Shape::Dir | Shape::Gate) || is_shared {
                    let ownership = Ownership {
                        is_shared,
                        ..ownership
                    };
                    self.dir(path, role, above, ownership, shapes);
                }
            }
        }
        above.pop();
    }

    fn stat(
        &mut self,
        path: &Path,
        shape: Shape,
        stat: &tree::Stat,
        ownership: Ownership,
        kind: EntryKind,
    ) {
        let modes: &[u32] = if ownership.is_shared {
            &[0o600, 0o640, 0o660]
        } else {
            shape.modes()
        };
        if !matches!(shape, Shape::Elsewhere | Shape::Endpoint) {
            self.mode(path, shape, stat.mode, modes);
        }
        let is_given = ownership.is_shared || matches!(shape, Shape::Given | Shape::Endpoint);
        if stat.owner != ownership.owner && !is_given {
            let what = format!(
                "belongs to user {}, and the directory to user {}",
                stat.owner, ownership.owner
            );
            let hint = format!("chown {} {}", ownership.owner, path.display());
            self.tell(Level::Error, Check::Owner, path, &what, Some(hint));
        }
        if kind == EntryKind::File
            && let Ok(modified) = Timestamp::try_from(stat.modified)
            && self.newest.as_ref().is_none_or(|(at, _)| modified > *at)
        {
            self.newest = Some((modified, path.to_owned()));
        }
    }

    fn mode(&mut self, path: &Path, shape: Shape, mode: u32, modes: &[u32]) {
        let Some(expected) = modes.first().filter(|_| !modes.contains(&mode)) else {
            return;
        };
        let what = format!("mode {mode:04o}, not {expected:04o}");
        let level = match shape {
            Shape::Key if mode & 0o077 != 0 => Level::Error,
            _ => Level::Warning,
        };
        // GNU's needs five digits to take such bits away from a directory.
        let digits = if mode & !expected & 0o6000 == 0 { 4 } else { 5 };
        let hint = format!("chmod {expected:0digits$o} {}", path.display());
        self.tell(level, Check::Mode, path, &what, Some(hint));
    }

    /// Looks at a node but for its spool and its local endpoints, and gives it if it can be used at all.
    ///
    /// # Errors
    /// [`Error::NotANode`] and [`Error::Version`]: then there is nothing to look at.
    pub fn node(&mut self, root: &Path) -> Result<Option<Directory>, Error> {
        let node = match Directory::open(root) {
            Ok(node) => Some(node),
            Err(error @ (Error::NotANode(_) | Error::Version { .. })) => return Err(error),
            Err(Error::Config {
                path,
                line,
                problem,
            }) => {
                let what = format!("line {line}: {problem}");
                self.tell(Level::Error, Check::Damaged, &path, &what, None);
                None
            }
            Err(error) => {
                let path = match &error {
                    Error::Disk(error) => error.path(),
                    _ => root,
                };
                self.damaged(path, &error);
                None
            }
        };
        let has_group = node
            .as_ref()
            .is_some_and(|node| node.config().get("group").is_some());
        if let Ok(Some(stat)) = tree::stat(root, FileRole::Node)
            && stat.owner != self.user
        {
            let what = format!(
                "belongs to user {}, and this is user {}",
                stat.owner, self.user
            );
            self.tell(Level::Warning, Check::Owner, root, &what, None);
        }
        let mode = if has_group { 0o710 } else { 0o700 };
        let shapes = |parts: &[&str], kind: EntryKind| shape_in_node(parts, kind, has_group);
        self.tree(root, FileRole::Node, &[mode], &shapes);
        if let Some(node) = &node {
            self.contents(node);
        }
        Ok(node)
    }

    /// Looks at what the files of a node hold.
    fn contents(&mut self, node: &Directory) {
        if let Err(error) = node.identity() {
            self.damaged(&node.root().join("identity.key"), &error);
        }
        match Floor::of(node.root()) {
            Ok(floor) => self.floor(node, floor),
            Err(error) => self.damaged(&node.root().join("seen").join(seen::FLOOR), &error),
        }
        self.registrations(node);
        let mut names = HashMap::new();
        for (id, dir) in self.folders_of_nodes(&node.root().join("peers")) {
            self.peer(node, id, &dir, &mut names);
        }
        self.sessions(node);
        match certificates::own_since(node) {
            Ok(Some(since)) if self.window.is_before(since) => {
                let what = format!(
                    "the clock tells {}, and the node was made at {since}",
                    self.now
                );
                let hint = Some("check this clock".to_owned());
                self.tell(Level::Error, Check::Clock, node.root(), &what, hint);
            }
            Ok(_) => {}
            Err(error) => self.damaged(&node.root().join("certs"), &error),
        }
    }

    fn floor(&mut self, node: &Directory, floor: Floor) {
        // What was received before a purge is not remembered any more, so nothing but the floor keeps it from being
        // taken a second time; a restoration can be repeated.
        let times = [
            (
                floor.expiry,
                "expires",
                "relay-purge ran under a clock that was ahead; keep the line: relay-open --again and relay-route --retry \
                 take single parcels all the same",
            ),
            (
                floor.dated,
                "was made",
                "the node was restored under a clock that was ahead; relay-check --restored, with the right one, mends that",
            ),
        ];
        for (time, what, hint) in times {
            if let Some(time) = time.filter(|time| self.window.is_before(*time)) {
                let what = format!("everything that {what} until {time} is refused");
                let hint = hint.to_owned();
                let path = node.root().join("seen").join(seen::FLOOR);
                self.tell(Level::Error, Check::Clock, &path, &what, Some(hint));
            }
        }
    }

    /// The folders that are named for nodes.
    fn folders_of_nodes(&mut self, dir: &Path) -> Vec<(NodeId, PathBuf)> {
        let entries = match tree::entries(dir, FileRole::Node) {
            Ok(listing) => listing.entries,
            Err(error) => {
                self.damaged(dir, &error.into());
                return Vec::new();
            }
        };
        let folders = entries.into_iter().filter_map(|entry| {
            let id = entry.name.to_str()?.parse().ok()?;
            (entry.kind == EntryKind::Dir).then_some((id, entry.path))
        });
        folders.collect()
    }

    /// Looks at the certificates that gateways gave this node.
    fn registrations(&mut self, node: &Directory) {
        let mut latest: Option<Timestamp> = None;
        for (issuer, dir) in self.folders_of_nodes(&node.root().join("certs")) {
            let found = self.latest_in(&dir, node.id());
            if issuer == node.id() {
                continue; // it makes another one when it needs it
            }
            let label = match node.peer(issuer) {
                Ok(Some(peer)) => peer.label(),
                Ok(None) => {
                    let what = "certificates of a gateway that is not known";
                    self.tell(Level::Warning, Check::Orphan, &dir, &what, None);
                    continue;
                }
                Err(error) => {
                    self.damaged(&dir, &error);
                    continue;
                }
            };
            if let Some((_, end)) = found {
                latest = latest.max(Some(end));
            }
            let hint = "let it register this node anew (relay-register), and import that";
            self.ends(&dir, found, &format!("the registration with {label}"), hint);
        }
        if let Some(end) = latest.filter(|end| *end < self.now) {
            let what = format!("no gateway certifies this node since {end}");
            let hint = "let one register it (relay-register), and import that".to_owned();
            let path = node.root().join("certs");
            self.tell(Level::Warning, Check::Ending, &path, &what, Some(hint));
        }
    }

    /// The start and end of the path in a folder that ends last; each is to be for `subject`.
    fn latest_in(&mut self, dir: &Path, subject: NodeId) -> Option<(Timestamp, Timestamp)> {
        let entries = match tree::entries(dir, FileRole::Node) {
            Ok(listing) => listing.entries,
            Err(error) => {
                self.damaged(dir, &error.into());
                return None;
            }
        };
        let mut latest: Option<(Timestamp, Timestamp)> = None;
        for entry in entries.into_iter().filter(|it| it.kind == EntryKind::File) {
            let path = match read_text(&entry.path) {
                Ok(text) => path_from_octets(text.unwrap_or_default().as_bytes()),
                Err(error) => Err(error),
            };
            match path {
                Ok(path) if path.leaf.id() != subject => {
                    let what = format!("for {}", path.leaf.id());
                    self.tell(Level::Error, Check::Damaged, &entry.path, &what, None);
                }
                Ok(path) => {
                    let (start, end) = (path.leaf.not_before(), path.leaf.not_after());
                    if latest.is_none_or(|(_, latest)| end > latest) {
                        latest = Some((start, end));
                    }
                }
                Err(error) => self.damaged(&entry.path, &error),
            }
        }
        latest
    }

    /// Tells when something ends that is renewed by hand: what never lasts long is renewed as it is used.
    fn ends(&mut self, dir: &Path, latest: Option<(Timestamp, Timestamp)>, what: &str, hint: &str) {
        let Some((start, end)) = latest else {
            return;
        };
        if end.duration_since(start) <= SOON + issuance::BACKDATED {
            return;
        }
        let left = end.duration_since(self.now);
        let (level, verb, hint) = if left.is_negative() {
            (Level::Information, "ended", None)
        } else if left <= SOON {
            (Level::Warning, "ends", Some(hint.to_owned()))
        } else {
            (Level::Information, "ends", None)
        };
        let what = format!("{what} {verb} at {end}");
        self.tell(level, Check::Ending, dir, &what, hint);
    }

    /// Looks at what is known of a peer.
    fn peer(
        &mut self,
        node: &Directory,
        id: NodeId,
        dir: &Path,
        names: &mut HashMap<String, NodeId>,
    ) {
        let peer = match node.peer(id) {
            Ok(Some(peer)) => peer,
            Ok(None) => {
                let what = "a peer without its key, which is not known";
                let hint = "import what it sent once more".to_owned();
                return self.tell(Level::Warning, Check::Orphan, dir, &what, Some(hint));
            }
            Err(error) => return self.damaged(dir, &error),
        };
        let path = dir.join("identity.pub");
        match read_text(&path)
            .and_then(|text| public_key_from_pem(text.unwrap_or_default().as_bytes()))
        {
            Ok(key) if key.id() != id => {
                let what = "not the key that the directory is named for";
                self.tell(Level::Error, Check::Damaged, &path, &what, None);
            }
            Ok(_) => {}
            Err(error) => self.damaged(&path, &error),
        }
        if let Some(name) = &peer.name {
            let path = dir.join("name");
            if let Err(error) = peers::check_name(name) {
                self.damaged(&path, &error);
            }
            if let Some(other) = names.insert(name.clone(), id) {
                let what = format!("{name} is the name of {other}, too");
                let hint = "relay-peers ID --rename gives another".to_owned();
                self.tell(Level::Error, Check::Damaged, &path, &what, Some(hint));
            }
        }
        let label = peer.label();
        let held = dir.join("held");
        let found = self.latest_in(&held, node.id());
        let hint = "ask them for a new one (relay-authorize), and import that";
        self.ends(
            &held,
            found,
            &format!("the authorization from {label}"),
            hint,
        );
        for (folder, what, program) in [
            ("given", "authorization", "relay-authorize"),
            ("registered", "registration", "relay-register"),
        ] {
            let dir = dir.join(folder);
            let found = self.latest_in(&dir, id);
            let what = format!("the {what} given to {label}");
            self.ends(&dir, found, &what, &format!("{program} gives a new one"));
        }
        self.sealed_to(node, &peer, dir);
    }

    /// Looks at the key to seal to, of a peer to whom this node may send.
    fn sealed_to(&mut self, node: &Directory, peer: &Peer, dir: &Path) {
        let path = dir.join("session.pem");
        let stored = match node.session_key_of(peer.id) {
            Ok(stored) => stored,
            Err(error) => return self.damaged(&path, &error),
        };
        let may_send = match authorizations::newest_held(node, peer.id, self.now) {
            Ok(HeldAuthorization::Valid(_)) => true,
            Ok(_) => {
                let label = peer.label();
                node.config().node_type() == NodeType::Gateway
                    && certificates::registration_with(node, peer.id, &label, self.now).is_ok()
            }
            Err(_) => return, // told of already
        };
        if !may_send {
            return;
        }
        let error = match stored {
            None => Error::NoSessionKey(peer.label()),
            Some(stored) => match stored.sealed_until.filter(|until| *until < self.now) {
                None => return,
                Some(at) => Error::SessionKeyExpired {
                    peer: peer.label(),
                    at,
                },
            },
        };
        let hint = "ask them for new connection parameters (relay-authorize), and import those";
        let (level, check) = (Level::Warning, Check::SessionKey);
        self.tell(level, check, &path, &error, Some(hint.to_owned()));
    }

    /// Looks at the private session keys.
    fn sessions(&mut self, node: &Directory) {
        let top = node.root().join("sessions");
        let mut folders = vec![top.join(sessions::ANYBODY)];
        for (id, dir) in self.folders_of_nodes(&top) {
            let is_stranger = || matches!(unknown_senders::is_known(node.root(), id), Ok(true));
            if matches!(node.peer(id), Ok(None)) && !is_stranger() {
                let what = "session keys for a peer that is not known";
                self.tell(Level::Warning, Check::Orphan, &dir, &what, None);
            }
            folders.push(dir);
        }
        for dir in folders {
            let entries = match tree::entries(&dir, FileRole::Node) {
                Ok(listing) => listing.entries,
                Err(error) => {
                    self.damaged(&dir, &error.into());
                    continue;
                }
            };
            for entry in entries.into_iter().filter(|it| it.kind == EntryKind::File) {
                if let Err(error) = sessions::check(&entry.path) {
                    self.damaged(&entry.path, &error);
                }
            }
        }
    }

    /// Tells of a file that changed at a time that is still to come.
    pub fn newest(&mut self) {
        let newest = self.newest.clone();
        if let Some((at, path)) = newest.filter(|(at, _)| self.window.is_before(*at)) {
            let what = format!("the clock tells {}, and this changed at {at}", self.now);
            let hint = "check this clock, which is wrong or was it then".to_owned();
            self.tell(Level::Error, Check::Clock, &path, &what, Some(hint));
        }
    }
}

/// The folders of a peer with what was given in either direction.
const GIVEN: [&str; 3] = ["held", "given", "registered"];

/// The shape of what lies in a node.
fn shape_in_node(parts: &[&str], kind: EntryKind, has_group: bool) -> Option<Shape> {
    let is_node = |name: &str| name.parse::<NodeId>().is_ok();
    let is_day = |name: &str| end_of_day(name).is_some();
    if kind == EntryKind::Dir {
        let is_elsewhere = match *parts {
            ["endpoints", name] => peers::check_name(name).is_ok(),
            [name] => name == "spool",
            _ => false,
        };
        let is_ours = match *parts {
            [name] => [
                "certs",
                "peers",
                "sessions",
                "strangers",
                "seen",
                "endpoints",
                "lock",
            ]
            .contains(&name),
            ["certs" | "peers", id] => is_node(id),
            ["sessions", id] => is_node(id) || id == sessions::ANYBODY,
            ["strangers", day] => is_day(day),
            ["peers", _, folder] => GIVEN.contains(&folder),
            _ => false,
        };
        return match (is_elsewhere, is_ours) {
            (true, _) if has_group && parts.len() > 1 => Some(Shape::Endpoint),
            (true, _) => Some(Shape::Elsewhere),
            (_, true) if has_group && *parts == ["endpoints"] => Some(Shape::Gate),
            (_, true) => Some(Shape::Dir),
            _ => None,
        };
    }
    let ends_with = |name: &str, end: &str| name.strip_suffix(end).is_some_and(|it| !it.is_empty());
    let is_key = match *parts {
        ["identity.key"] => true,
        ["sessions", _, name] => ends_with(name, ".key"),
        _ => false,
    };
    let is_ours = match *parts {
        ["VERSION" | "identity.pub"] | ["lock", _] => true,
        ["seen", name] => name == seen::FLOOR || is_day(name),
        ["peers", _, name] => ["identity.pub", "name", "address", "session.pem"].contains(&name),
        ["certs" | "strangers", _, name] | ["peers", _, _, name] => ends_with(name, ".pem"),
        _ => false,
    };
    match (is_key, is_ours) {
        _ if matches!(*parts, ["config" | "routes"]) => Some(Shape::Text),
        (true, _) => Some(Shape::Key),
        (_, true) => Some(Shape::File),
        _ => None,
    }
}
