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
use crate::disk::publish::IfExists;
use crate::disk::publish::rename_unsynced;
use crate::disk::tree::{self, EntryKind, Visited};
use crate::disk::{self, FileRole, Lock};
use crate::message::file_name::{MAX_NUMBERED, numbered};

const ROLE: FileRole = FileRole::Dropped;

/// The directory of claimed files in the folder.
const CLAIMS: &str = ".sending";

/// The file in it that a run locks.
const LOCK: &str = "lock";

/// Names that are not taken: programs give them to files that they are still writing.
const UNFINISHED: [&str; 4] = [".part", ".tmp", ".crdownload", "~"];

const ROOT: u32 = 0;
const STICKY: u32 = 0o1000;
const BY_OTHERS: u32 = 0o022;

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
    /// [`Error::Folder`] when others could exchange what is in it, or `sent` is on another file system;
    /// [`Error::Locked`]; when it cannot be used.
    pub fn open(dir: &Path, sent: Option<&Path>, settle: Duration) -> Result<Self, Error> {
        let label = dir;
        let dir = files::canonical(dir, FileRole::Input)?;
        let device = check(&dir, label)?;
        if let Some(sent) = sent
            && tree::stat_behind(sent, FileRole::Output)?.map(|found| found.device) != Some(device)
        {
            return Err(Error::Folder {
                path: sent.to_owned(),
                why: "not a directory on the file system of the drop folder",
            });
        }
        let claims = dir.join(CLAIMS);
        files::create_dir(&claims, ROLE, 0o700)?;
        check(&claims, &label.join(CLAIMS))?;
        let lock = Lock::try_exclusive(&claims.join(LOCK))?;
        let number: [u8; 16] = random::array()
            .map_err(|error| crate::node::Error::Pki(crate::pki::Error::Crypto(error)))?;
        Ok(Self {
            run: Hex(&number).to_string(),
            sent: sent.map(Path::to_owned),
            settle,
            _lock: lock.ok_or_else(|| Error::Locked(label.to_owned()))?,
            dir,
        })
    }

    /// The files that runs claimed which did not send them to their end.
    ///
    /// # Errors
    /// When the claims cannot be listed.
    pub fn claims(&self) -> Result<Vec<Claimed>, Error> {
        let mut claims = Vec::new();
        for run in tree::entries(&self.dir.join(CLAIMS), ROLE)?.entries {
            let is_run = run.name.to_str().and_then(hex::parse).map(|it| it.len()) == Some(16);
            if run.kind != EntryKind::Dir || !is_run {
                continue;
            }
            for entry in tree::entries(&run.path, ROLE)?.entries {
                if entry.kind == EntryKind::File {
                    claims.push(claimed(&run.name, None, &entry.name, entry.path));
                    continue;
                }
                let folder = Some(entry.name);
                for entry in tree::entries(&entry.path, ROLE)?.entries {
                    claims.push(claimed(&run.name, folder.clone(), &entry.name, entry.path));
                }
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
        }
        let mut scan = Scan::default();
        let label = |name: &OsStr| {
            folder.map_or_else(|| PathBuf::from(name), |it| Path::new(it).join(name))
        };
        for met in tree::stream(&dir, ROLE)? {
            let entry = match met? {
                Visited::Entry(entry) => entry,
                Visited::Other(path) => {
                    let is_hidden = path.file_name().is_some_and(is_passed_over);
                    if !is_hidden {
                        scan.others
                            .push((path, Error::NotTaken("not a regular file")));
                    }
                    continue;
                }
            };
            if is_passed_over(&entry.name) {
                continue;
            }
            if entry.kind == EntryKind::Dir {
                scan.folders.insert(entry.name);
                continue;
            }
            let Some(found) = entry.stat()? else {
                continue;
            };
            if found.links > 1 {
                let error =
                    Error::NotTaken("it has another name, too, which may be somebody else's");
                scan.others.push((label(&entry.name), error));
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
        let to = folder.map_or_else(|| run.clone(), |folder| run.join(folder));
        for dir in [&run, &to] {
            files::create_dir(dir, ROLE, 0o700)?;
        }
        let (mut claims, mut failed) = (Vec::new(), Vec::new());
        for name in names {
            let (old, new) = (from.join(name), to.join(name));
            match rename_unsynced(&old, &new, ROLE, IfExists::Refuse) {
                Ok(_) => {
                    let claim = claimed(
                        OsStr::new(&self.run),
                        folder.map(OsStr::to_owned),
                        name,
                        new,
                    );
                    claims.push(claim);
                }
                // Taken away since the folder was listed.
                Err(error) if error.is_not_found() => {}
                Err(error) => failed.push((old, error.into())),
            }
        }
        // Claims without a parcel are sent again, parcels without a claim would be sent twice.
        files::sync_dir(&to, ROLE)?;
        files::sync_dir(&from, ROLE)?;
        let (mut taken, mut odd) = (Vec::new(), Vec::new());
        for claim in claims {
            // Anything may have had the name by then.
            let found = tree::stat(&claim.path, ROLE)?;
            let is_right =
                FileState::at(&claim.path).is_some() && found.is_some_and(|it| it.links == 1);
            if is_right { &mut taken } else { &mut odd }.push(claim);
        }
        for claim in odd {
            let path = self.put_back(&claim)?;
            failed.push((path, Error::NotTaken("it was exchanged while it was taken")));
        }
        Ok((taken, failed))
    }

    /// Removes a file that was sent, or moves it away; `before` is its state when it was opened.
    ///
    /// # Errors
    /// [`Error::Changed`] when it was written to since then: it is back in the folder, to be sent anew. When it cannot be
    /// removed or moved: it stays claimed, and is not sent twice.
    pub fn finish(&self, claim: &Claimed, before: Option<FileState>) -> Result<(), Error> {
        let now = FileState::at(&claim.path);
        let is_same = match before {
            Some(before) => now == Some(before),
            None => now.is_none_or(|now| now.is_empty()),
        };
        if !is_same {
            self.put_back(claim)?;
            return Err(Error::Changed);
        }
        match &self.sent {
            None => {
                files::remove_unsynced(&claim.path, ROLE)?;
            }
            Some(sent) => {
                let dir = match &claim.folder {
                    Some(folder) => {
                        let dir = sent.join(folder);
                        files::create_dir_for_user(&dir, FileRole::Output)?;
                        dir
                    }
                    None => sent.clone(),
                };
                place_in(&dir, claim)?;
            }
        }
        Ok(())
    }

    /// Puts a claimed file back into the folder. Returns its name there.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn put_back(&self, claim: &Claimed) -> Result<PathBuf, Error> {
        place_in(&self.place(claim.folder.as_deref()), claim)
    }

    /// Ends the run: removes the directories of claims that are empty.
    ///
    /// # Errors
    /// When they cannot be listed or removed.
    pub fn end(self) -> Result<(), Error> {
        let claims = self.dir.join(CLAIMS);
        for run in tree::entries(&claims, ROLE)?.entries {
            if run.kind != EntryKind::Dir {
                continue;
            }
            for folder in tree::entries(&run.path, ROLE)?.entries {
                if folder.kind == EntryKind::Dir {
                    files::remove_dir(&folder.path, ROLE)?;
                }
            }
            files::remove_dir(&run.path, ROLE)?;
        }
        Ok(())
    }

    fn place(&self, folder: Option<&OsStr>) -> PathBuf {
        folder.map_or_else(|| self.dir.clone(), |folder| self.dir.join(folder))
    }
}

impl Claimed {
    /// Its name for people: below the folder.
    #[must_use]
    pub fn label(&self) -> PathBuf {
        match &self.folder {
            Some(folder) => Path::new(folder).join(&self.name),
            None => PathBuf::from(&self.name),
        }
    }
}

fn claimed(run: &OsStr, folder: Option<OsString>, name: &OsStr, path: PathBuf) -> Claimed {
    let folder_octets = folder.as_deref().unwrap_or_default().as_bytes();
    let known = [run.as_bytes(), b"/", folder_octets, b"/", name.as_bytes()].concat();
    let mut number = [0; 16];
    number.copy_from_slice(&hash::sha256(&known)[..16]);
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
    if found.owner != files::user() && found.owner != ROOT {
        return Err(wrong("it belongs to another user"));
    }
    if found.mode & BY_OTHERS != 0 && found.mode & STICKY == 0 {
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

/// Moves a claimed file into a directory, under its name or the next that is free.
fn place_in(dir: &Path, claim: &Claimed) -> Result<PathBuf, Error> {
    let mut path = dir.join(&claim.name);
    for count in 2..MAX_NUMBERED {
        match rename_unsynced(&claim.path, &path, ROLE, IfExists::Refuse) {
            Ok(_) => return Ok(path),
            Err(disk::Error::Exists { .. }) => {
                path = dir.join(numbered(&claim.name.to_string_lossy(), count));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::NotTaken("all names like its own are taken"))
}
