//! A folder from which files are taken and sent: each is claimed, sent, and then removed or moved away.
//!
//! A claim is a rename to `.sending/RUN/NAME`, synced before a parcel of the file can be. The ids of its parcels follow
//! from that path, so that a run after one that was killed sends what was claimed as the same messages.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Error;
use crate::asn1::{Hex, hex};
use crate::crypto::{hash, random};
use crate::disk::files::{self, FileState};
use crate::disk::publish::{IfExists, rename_unsynced};
use crate::disk::tree::{self, EntryKind, Visited};
use crate::disk::{self, FileRole, Lock};
use crate::message::file_name::numbered;
use crate::node::Directory;

const ROLE: FileRole = FileRole::Dropped;

/// The directory of claimed files in the folder.
const CLAIMS: &str = ".sending";

/// The file in it that a run locks.
const LOCK: &str = "lock";

/// Names that are not taken: programs give them to files that they are still writing.
const UNFINISHED: [&str; 4] = [".part", ".tmp", ".crdownload", "~"];

const STICKY: u32 = 0o1000;

/// A folder, locked for this run.
#[derive(Debug)]
pub struct DropFolder {
    dir: PathBuf,
    sent: Option<PathBuf>,
    settle: Duration,
    /// The name of this run's claims.
    run: String,
    _lock: Lock,
}

/// A file that was claimed.
#[derive(Debug)]
pub struct Claimed {
    /// Where it is now.
    pub path: PathBuf,
    /// The subfolder that it was in.
    pub folder: Option<OsString>,
    /// Its name in the folder.
    pub name: OsString,
    /// What the ids of its parcels follow from.
    pub number: [u8; 16],
}

/// A file or directory that is not taken, and why.
pub type NotTaken = (PathBuf, Error);

/// What is in a folder.
#[derive(Debug, Default)]
pub struct Scan {
    /// The names of files to be claimed, in order.
    pub ready: Vec<OsString>,
    /// The names of those that were changed a moment ago.
    pub unready: Vec<OsString>,
    /// What is not taken, and why.
    pub others: Vec<NotTaken>,
    /// The subfolders.
    pub folders: BTreeSet<OsString>,
}

impl DropFolder {
    /// Opens a folder and locks it. Files go to `sent` once they are sent, or are removed. A file is
    /// taken once it has not changed for `settle`.
    ///
    /// # Errors
    /// [`Error::OfNode`]; [`Error::Folder`] when others could exchange what is in it, or `sent` is on another file system;
    /// [`Error::Locked`]; when it cannot be used.
    pub fn open(dir: &Path, sent: Option<&Path>, settle: Duration) -> Result<Self, Error> {
        let label = dir;
        let dir = files::canonical(dir, ROLE)?;
        if Directory::owns(&dir) {
            return Err(Error::OfNode(label.to_owned()));
        }
        let device = check(&dir, label)?;
        let sent = match sent {
            None => None,
            Some(sent) => {
                let found = tree::stat_behind(sent, ROLE)?;
                if !found.is_some_and(|found| found.is_dir && found.device == device) {
                    return Err(Error::Folder {
                        path: sent.to_owned(),
                        why: "not a directory on the file system of the drop folder",
                    });
                }
                let place = files::canonical(sent, ROLE)?;
                if Directory::owns(&place) {
                    return Err(Error::OfNode(sent.to_owned()));
                }
                Some(place)
            }
        };
        let claims = dir.join(CLAIMS);
        let is_new =
            tree::stat(&claims, ROLE)?.is_none() && files::create_dir(&claims, ROLE, 0o700)?;
        check(&claims, &label.join(CLAIMS))?;
        if !is_new {
            // A run that was killed may not have done so.
            for dir in [&dir, &claims] {
                files::sync_dir(dir, ROLE)?;
            }
        }
        let lock = Lock::try_exclusive(&claims.join(LOCK))?;
        let number: [u8; 16] = random::array()
            .map_err(|error| crate::node::Error::Pki(crate::pki::Error::Crypto(error)))?;
        Ok(Self {
            run: Hex(&number).to_string(),
            sent,
            settle,
            _lock: lock.ok_or_else(|| Error::Locked(label.to_owned()))?,
            dir,
        })
    }

    /// The files that runs claimed which did not send them to their end. What those runs moved is synced: they may have been
    /// killed before they did.
    ///
    /// # Errors
    /// When the claims cannot be listed or synced.
    pub fn claims(&self) -> Result<Vec<Claimed>, Error> {
        let mut claims = Vec::new();
        let (mut dirs, mut folders) = (Vec::new(), BTreeSet::new());
        for run in tree::entries(&self.dir.join(CLAIMS), ROLE)?.entries {
            let is_run = run.name.to_str().and_then(hex::parse).map(|it| it.len()) == Some(16);
            if run.kind != EntryKind::Dir || !is_run {
                continue;
            }
            for (name, path) in all_in(&run.path)? {
                if !is_of_a_run(&path)? {
                    claims.push(claimed(&run.name, None, &name, path));
                    continue;
                }
                for (file, path) in all_in(&path)? {
                    claims.push(claimed(&run.name, Some(name.clone()), &file, path));
                }
                dirs.push(path);
                folders.insert(Some(name));
            }
            dirs.push(run.path);
            folders.insert(None);
        }
        // Where files came to before where they were.
        let sent = folders
            .iter()
            .filter_map(|folder| self.sent_place(folder.as_deref()));
        let places = folders.iter().map(|folder| self.place(folder.as_deref()));
        for dir in sent.chain(dirs).chain(places) {
            if files::exists(&dir, ROLE)? {
                files::sync_dir(&dir, ROLE)?;
            }
        }
        Ok(claims)
    }

    /// Looks what is in the folder, or in a subfolder.
    ///
    /// # Errors
    /// When it cannot be listed, or others could exchange what is in the subfolder.
    pub fn scan(&self, folder: Option<&OsStr>, now: SystemTime) -> Result<Scan, Error> {
        let dir = self.place(folder);
        if let Some(folder) = folder {
            check(&dir, Path::new(folder))?;
            if Directory::owns(&dir) {
                return Err(Error::OfNode(PathBuf::from(folder)));
            }
        }
        let mut scan = Scan::default();
        for met in tree::stream(&dir, ROLE)? {
            let entry = match met? {
                Visited::Entry(entry) => entry,
                Visited::Other(path) => {
                    let name = path.file_name().unwrap_or_default();
                    if !is_passed_over(name) {
                        let error = Error::NotTaken("not a regular file");
                        scan.others.push((label(folder, name), error));
                    }
                    continue;
                }
            };
            if is_passed_over(&entry.name) {
                continue;
            }
            if entry.kind == EntryKind::Dir {
                // It may be in the folder.
                if self.sent.as_ref() != Some(&entry.path) {
                    scan.folders.insert(entry.name);
                }
                continue;
            }
            let Some(found) = entry.stat()? else {
                continue;
            };
            if found.links > 1 {
                let error =
                    Error::NotTaken("it has another name, too, which may be somebody else's");
                scan.others.push((label(folder, &entry.name), error));
            } else if self.is_settled(found.changed, now) {
                scan.ready.push(entry.name);
            } else {
                scan.unready.push(entry.name);
            }
        }
        scan.ready.sort_unstable();
        scan.others.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(scan)
    }

    /// Whether a file has not changed for long enough. One from the future is not waited for: the clock was set.
    fn is_settled(&self, changed: SystemTime, now: SystemTime) -> bool {
        let apart = now.duration_since(changed);
        apart.unwrap_or_else(|error| error.duration()) >= self.settle
    }

    /// Claims files of the folder, or of a subfolder, with common syncs. Returns those that were claimed, and the others
    /// with the reason.
    ///
    /// # Errors
    /// When nothing can be claimed.
    pub fn claim(
        &self,
        folder: Option<&OsStr>,
        names: &[OsString],
    ) -> Result<(Vec<Claimed>, Vec<NotTaken>), Error> {
        let from = self.place(folder);
        let run = self.dir.join(CLAIMS).join(&self.run);
        let to = within(&run, folder);
        for dir in [&run, &to] {
            files::create_dir(dir, ROLE, 0o700)?;
        }
        let (mut moved, mut failed) = (Vec::new(), Vec::new());
        for name in names {
            let (old, new) = (from.join(name), to.join(name));
            match rename_unsynced(&old, &new, ROLE, IfExists::Refuse) {
                Ok(_) => moved.push((name, new)),
                // Taken away since the folder was listed.
                Err(error) if error.is_not_found() => {}
                Err(error) => failed.push((label(folder, name), error.into())),
            }
        }
        // Claims without a parcel are sent again, parcels without a claim would be sent twice.
        files::sync_dir(&to, ROLE)?;
        files::sync_dir(&from, ROLE)?;
        let run = OsStr::new(&self.run);
        let claims = moved.into_iter();
        let claims =
            claims.map(|(name, path)| claimed(run, folder.map(OsStr::to_owned), name, path));
        Ok((claims.collect(), failed))
    }

    /// Checks that a claimed file is one that is sent: anything may have had its name when it was claimed.
    ///
    /// # Errors
    /// [`Error::NotTaken`] when it is not; when it cannot be examined.
    pub fn check(&self, claim: &Claimed) -> Result<(), Error> {
        let found = tree::stat(&claim.path, ROLE)?;
        let is_alone = found.is_some_and(|it| it.links == 1);
        if is_alone && FileState::at(&claim.path).is_some() {
            return Ok(());
        }
        Err(Error::NotTaken("it was exchanged while it was taken"))
    }

    /// Removes files that were sent, or moves them away, and syncs that; each comes with its state when it was opened.
    /// Returns those of which that failed. They stay claimed, and are not sent twice. One that was written to since it was
    /// opened is back in the folder, to be sent anew: [`Error::Changed`].
    ///
    /// # Errors
    /// When a directory cannot be synced.
    pub fn finish(&self, sent: Vec<(Claimed, Option<FileState>)>) -> Result<Vec<NotTaken>, Error> {
        let (mut failed, mut dirs) = (Vec::new(), (BTreeSet::new(), BTreeSet::new()));
        for (claim, before) in sent {
            match self.let_go(&claim, before) {
                Ok(to) => dirs.0.extend(to),
                Err(error) => failed.push((claim.label(), error)),
            }
            dirs.1.insert(claim.dir().to_owned());
        }
        // The new places first: a file must not be lost between two.
        for dir in dirs.0.into_iter().chain(dirs.1) {
            files::sync_dir(&dir, ROLE)?;
        }
        Ok(failed)
    }

    /// Returns the directory that the file was moved to.
    fn let_go(&self, claim: &Claimed, before: Option<FileState>) -> Result<Option<PathBuf>, Error> {
        let now = FileState::at(&claim.path);
        let is_same = match before {
            Some(before) => now == Some(before),
            None => now.is_none_or(|now| now.is_empty()),
        };
        if !is_same {
            self.put_back(claim)?;
            return Err(Error::Changed);
        }
        let Some(dir) = self.sent_place(claim.folder.as_deref()) else {
            files::remove_unsynced(&claim.path, ROLE)?;
            return Ok(None);
        };
        if claim.folder.is_some() {
            files::create_dir_for_user(&dir, FileRole::Output)?;
        }
        place_in(&dir, claim)?;
        Ok(Some(dir))
    }

    /// Puts a claimed file back into the folder. Returns its name there.
    ///
    /// # Errors
    /// When it cannot be moved: it stays claimed.
    pub fn put_back(&self, claim: &Claimed) -> Result<PathBuf, Error> {
        let dir = self.place(claim.folder.as_deref());
        let path = place_in(&dir, claim)?;
        files::sync_dir(&dir, ROLE)?;
        files::sync_dir(claim.dir(), ROLE)?;
        let name = path.file_name().unwrap_or_default();
        Ok(label(claim.folder.as_deref(), name))
    }

    /// Ends the run: removes the directories of claims that are empty.
    ///
    /// # Errors
    /// When they cannot be listed or removed.
    pub fn end(self) -> Result<(), Error> {
        let claims = self.dir.join(CLAIMS);
        let mut is_changed = false;
        for run in tree::entries(&claims, ROLE)?.entries {
            if run.kind != EntryKind::Dir {
                continue;
            }
            for folder in tree::entries(&run.path, ROLE)?.entries {
                if folder.kind == EntryKind::Dir {
                    files::remove_dir(&folder.path, ROLE)?;
                }
            }
            is_changed |= files::remove_dir(&run.path, ROLE)?;
        }
        if is_changed {
            files::sync_dir(&claims, ROLE)?;
        }
        Ok(())
    }

    /// Where files of the folder go that were sent, if they are kept.
    fn sent_place(&self, folder: Option<&OsStr>) -> Option<PathBuf> {
        Some(within(self.sent.as_ref()?, folder))
    }

    fn place(&self, folder: Option<&OsStr>) -> PathBuf {
        within(&self.dir, folder)
    }
}

impl Claimed {
    /// Its name for people: below the folder.
    #[must_use]
    pub fn label(&self) -> PathBuf {
        label(self.folder.as_deref(), &self.name)
    }

    fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Where it is meanwhile, below the folder.
    #[must_use]
    pub fn place(&self) -> PathBuf {
        let mut parts: Vec<_> = self.path.iter().rev().collect();
        parts.truncate(if self.folder.is_some() { 4 } else { 3 });
        parts.into_iter().rev().collect()
    }
}

/// A subfolder of a directory, or the directory itself.
fn within(dir: &Path, folder: Option<&OsStr>) -> PathBuf {
    folder.map_or_else(|| dir.to_owned(), |folder| dir.join(folder))
}

/// The name of a file for people: below the folder.
#[must_use]
pub fn label(folder: Option<&OsStr>, name: &OsStr) -> PathBuf {
    within(Path::new(""), folder).join(name)
}

/// The names and paths of whatever is in a directory.
fn all_in(dir: &Path) -> Result<Vec<(OsString, PathBuf)>, Error> {
    let found = tree::entries(dir, ROLE)?;
    let paths = found.entries.into_iter().map(|it| it.path);
    let paths = paths.chain(found.skipped);
    Ok(paths
        .map(|path| (path.file_name().unwrap_or_default().to_owned(), path))
        .collect())
}

/// Whether a run has made this directory; others could have come under the name of a file that was claimed.
fn is_of_a_run(path: &Path) -> Result<bool, Error> {
    let found = tree::stat(path, ROLE)?;
    Ok(found.is_some_and(|it| it.is_dir && it.is_of(files::user()) && !it.is_writable_by_others()))
}

/// The number follows from the name and from the state of the file: one that was written to after a run had claimed it is
/// another content, which must not count as sent.
fn claimed(run: &OsStr, folder: Option<OsString>, name: &OsStr, path: PathBuf) -> Claimed {
    let folder_octets = folder.as_deref().unwrap_or_default().as_bytes();
    let state = FileState::at(&path).map_or_else(String::new, |state| state.version());
    let known = [
        run.as_bytes(),
        b"/",
        folder_octets,
        b"/",
        name.as_bytes(),
        b"/",
        state.as_bytes(),
    ];
    let mut number = [0; 16];
    number.copy_from_slice(&hash::sha256(&known.concat())[..16]);
    Claimed {
        path,
        folder,
        name: name.to_owned(),
        number,
    }
}

/// Checks that nobody but this user and root can exchange what is in a directory. Others may write there if the sticky
/// bit keeps them from what is not theirs. Returns its device.
fn check(dir: &Path, label: &Path) -> Result<u64, Error> {
    let wrong = |why| Error::Folder {
        path: label.to_owned(),
        why,
    };
    let Some(found) = tree::stat(dir, ROLE)?.filter(|found| found.is_dir) else {
        return Err(wrong("not a directory"));
    };
    if !found.is_of(files::user()) {
        return Err(wrong("it belongs to another user"));
    }
    if found.is_writable_by_others() && found.mode & STICKY == 0 {
        return Err(wrong(
            "others can write there and exchange what is in it: chmod +t keeps them from that",
        ));
    }
    Ok(found.device)
}

/// Whether a file of this name is still being written, or hidden.
fn is_passed_over(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(b".") || UNFINISHED.iter().any(|end| name.ends_with(end.as_bytes()))
}

/// How many names are tried one after the other.
const MAX_TRIED: usize = 100;

/// Moves a claimed file into a directory, under its name or one that is free.
fn place_in(dir: &Path, claim: &Claimed) -> Result<PathBuf, Error> {
    let name = claim.name.to_string_lossy();
    let [a, b, c, d, ..] = claim.number;
    // Where one name comes again and again, the last one is as good as any.
    let last = u32::from_be_bytes([a, b, c, d]) as usize;
    let mut path = dir.join(&claim.name);
    for count in (2..MAX_TRIED).chain([last]) {
        match rename_unsynced(&claim.path, &path, ROLE, IfExists::Refuse) {
            Err(disk::Error::Exists { .. }) => path = dir.join(numbered(&name, count)),
            moved => return Ok(moved.map(|_| path)?),
        }
    }
    rename_unsynced(&claim.path, &path, ROLE, IfExists::Refuse)?;
    Ok(path)
}
