//! Publication: a file appears under its final name whole and synced, or not at all.
//!
//! It is written as `.relay-*.tmp` in the directory of its final name (or in a `tmp` directory of
//! the same file system), synced and renamed, and then the directory is synced. The rename makes it
//! visible to others.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, Write};
#[cfg(target_os = "linux")]
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;

use super::existing::{
    PublishTarget, TargetState, behind_links, is_free, is_same, is_taken, keep, open_existing,
    same, survey,
};
use super::fault;
use super::metadata::{FileId, FileSet, set_mode};
use super::names::parent;
use super::open::flags;
use super::placeholder;
use super::sync::sync_dir;
use super::temporary::{self, Temporary};
use super::{Error, FileRole, Operation, Result};

pub use super::existing::ExistingFile;
pub use super::leftovers::{Leftover, leftovers, sweep, sweep_ours, sweep_trees};
pub use super::names::is_temporary;
pub use super::options::{IfExists, Mode, PublishOptions, Published};
pub use super::placeholder::{boot_id, is_abandoned};
pub use super::rename::{link, rename, rename_unsynced};
pub use super::standard::emit;

/// Publishes a file that consists of `parts`.
///
/// If the user named `path` ([`FileRole::Output`]), a symbolic link stays and its target is
/// replaced, and a device or FIFO is written to, regardless of [`IfExists`].
///
/// # Errors
///
/// [`Error::Exists`]; [`Error::NotRegular`] for anything but a regular file in the way, in other
/// roles; [`Error::Io`] while [`Operation::Create`] or [`Operation::Open`] (no file can be created
/// there), [`Operation::Write`], [`Operation::Sync`], [`Operation::Rename`]. After an error nothing
/// is left behind, but if only the sync of the directory failed, the file has its name.
pub fn publish(path: &Path, parts: &[&[u8]], options: &PublishOptions<'_>) -> Result<Published> {
    if options.existing == IfExists::SameIsSuccess
        && let Some(mut existing) = open_existing(path, options.role)
    {
        // Compared without concatenating the parts, which may be large.
        let mut content: Box<dyn Read + '_> = Box::new(io::empty());
        for part in parts {
            content = Box::new(content.chain(*part));
        }
        return same(
            path,
            options.role,
            &mut existing,
            &mut content,
            options.syncs_dir,
        );
    }
    let mut pending = Pending::create(path, options)?;
    pending.write(parts)?;
    pending.finish()
}

/// Checks that a file could be published now: creates its temporary file, and removes it again.
///
/// # Errors
///
/// As [`publish`], as far as [`Operation::Create`].
pub fn check(path: &Path, options: &PublishOptions<'_>) -> Result<()> {
    match survey(path, options.role, options.existing)? {
        // Opening and closing a FIFO would be end of file to its reader.
        PublishTarget::Through => Ok(()),
        target => Pending::create_in(target, path, options).map(drop),
    }
}

/// Refuses to replace a file that is to be spared.
fn check_spared(
    target: &Path,
    role: FileRole,
    existing: IfExists,
    spared: Option<&FileSet>,
) -> Result<()> {
    let is_spared = |files: &FileSet| FileId::at(target).is_some_and(|file| files.contains(file));
    if existing == IfExists::Replace && spared.is_some_and(is_spared) {
        return Err(Error::IsInput {
            path: target.to_owned(),
            role,
        });
    }
    Ok(())
}

/// Publishes a secret key: mode 0600, by hard link, which fails if the name is taken.
///
/// # Errors
///
/// As [`publish`], with [`Operation::Link`] for [`Operation::Rename`].
pub fn publish_key(path: &Path, role: FileRole, parts: &[&[u8]]) -> Result<()> {
    let mut pending = Pending::create(path, &PublishOptions::stored(role, IfExists::Refuse))?;
    pending.naming = Naming::Link;
    pending.write(parts)?;
    pending.finish().map(drop)
}

#[derive(Clone, Copy, Debug)]
enum Naming {
    Rename,
    Link,
}

/// A file that is being written. It gets its final name from [`Pending::finish`]; if it is dropped
/// before, nothing is left.
#[derive(Debug)]
#[must_use = "the file is removed unless it is finished"]
pub struct Pending {
    file: File,
    /// `None` for a device or FIFO, which is written to directly.
    temporary: Option<Temporary>,
    target: PathBuf,
    role: FileRole,
    existing: IfExists,
    naming: Naming,
    /// The permission bits to set before it gets its name.
    mode: Option<u32>,
    syncs_dir: bool,
    spared: Option<&'static FileSet>,
    /// The time that it has at least.
    not_before: Option<SystemTime>,
}

impl Pending {
    /// Creates the temporary file. Fails already if the name is taken and `options` do not let the
    /// existing file be replaced or compared.
    ///
    /// # Errors
    ///
    /// As [`publish`].
    pub fn create(path: &Path, options: &PublishOptions<'_>) -> Result<Self> {
        Self::create_in(survey(path, options.role, options.existing)?, path, options)
    }

    /// Creates the temporary file for a name that [`survey`] examined.
    pub(super) fn create_in(
        found: PublishTarget,
        path: &Path,
        options: &PublishOptions<'_>,
    ) -> Result<Self> {
        let PublishOptions { role, existing, .. } = *options;
        let failed = || Error::io(path, role, Operation::Create);
        let mut later = None;
        let (file, temporary, target) = if let PublishTarget::Through = found {
            let mut options = OpenOptions::new();
            // A terminal that is named as output must not become our controlling terminal.
            options.write(true).custom_flags(flags(OFlags::NOCTTY));
            let file = options
                .open(path)
                .map_err(Error::io(path, role, Operation::Open))?;
            (file, None, path.to_owned())
        } else {
            // rename(2) would replace the link itself, and the target may be on another file
            // system.
            let target = if role == FileRole::Output && existing == IfExists::Replace {
                behind_links(path).map_err(failed())?
            } else {
                path.to_owned()
            };
            check_spared(&target, role, existing, options.spared)?;
            let (bits, exact) = match (options.mode, found) {
                (Mode::User, PublishTarget::Taken(mode)) if existing == IfExists::Replace => {
                    (mode, Some(mode))
                }
                (Mode::Exact(mode), _) => (mode, Some(mode)),
                (Mode::User, _) => (0o666, None),
                (Mode::Secret, _) => (0o600, Some(0o600)),
            };
            let dir = options.temporary_dir.unwrap_or_else(|| parent(&target));
            // linkat(2), which names such a file, cannot replace another: it takes a step more, which
            // is worth it where a killed run would leave what the user never sees.
            let unnamed =
                if options.is_unnamed && (is_result(role) || existing != IfExists::Replace) {
                    Temporary::unnamed(dir, bits & 0o777).map_err(failed())?
                } else {
                    None
                };
            let (file, temporary) = match unnamed {
                Some(unnamed) => unnamed,
                None => Temporary::create(dir, bits & 0o777).map_err(failed())?,
            };
            if is_result(role) && !temporary.is_unnamed {
                let _ = file.try_lock(); // for `sweep_ours`; not every file system has locks
                later = hide(&file, &temporary.path, exact);
            }
            // The umask may have removed bits at creation.
            if let (Some(mode), None) = (exact, later) {
                set_mode(&file, &temporary.path, mode).map_err(failed())?;
            }
            (file, Some(temporary), target)
        };
        Ok(Self {
            file,
            temporary,
            target,
            role,
            existing,
            naming: Naming::Rename,
            mode: later,
            syncs_dir: options.syncs_dir,
            spared: options.spared,
            not_before: options.not_before,
        })
    }

    /// Appends `parts`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Write`].
    pub fn write(&mut self, parts: &[&[u8]]) -> Result<()> {
        let path = match &self.temporary {
            Some(temporary) => &temporary.path,
            None => &self.target,
        };
        let written = temporary::write(&mut self.file, path, parts).and_then(|()| self.date());
        written.map_err(Error::io(&self.target, self.role, Operation::Write))
    }

    /// Gives it the time that it has at least.
    fn date(&self) -> io::Result<()> {
        match self.not_before {
            Some(time) if self.file.metadata()?.modified()? < time => self.file.set_modified(time),
            _ => Ok(()),
        }
    }

    /// Whether it is a device or FIFO, which can only be written from beginning to end.
    #[must_use]
    pub fn is_through(&self) -> bool {
        self.temporary.is_none()
    }

    /// Writes octets at an offset of `start` octets. A gap before them becomes a hole (lseek(2)),
    /// where the file system supports it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Write`].
    pub fn write_at(&mut self, start: u64, octets: &[u8]) -> Result<()> {
        temporary::write_at(&self.file, self.shown(), start, octets).map_err(Error::io(
            &self.target,
            self.role,
            Operation::Write,
        ))
    }

    /// Reads back octets that were written, from an offset of `start` octets.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Read`].
    pub fn read_at(&self, start: u64, octets: &mut [u8]) -> Result<()> {
        let read = self.file.read_exact_at(octets, start);
        read.map_err(Error::io(&self.target, self.role, Operation::Read))
    }

    /// The current path of the file, as in traces: the temporary one, or that of a device or FIFO.
    fn shown(&self) -> &Path {
        match &self.temporary {
            Some(temporary) => &temporary.path,
            None => &self.target,
        }
    }

    /// The final path.
    pub(super) fn target(&self) -> &OsStr {
        self.target.as_os_str()
    }

    /// Syncs the file, gives it its name and syncs the directory.
    ///
    /// # Errors
    ///
    /// As [`publish`].
    pub fn finish(mut self) -> Result<Published> {
        self.sync()?;
        self.place()
    }

    /// Finishes the file as [`Pending::finish`] does, under the first of these paths that is free
    /// or has the same octets. If the file system refuses a name, the next list is tried. All must
    /// be in its directory. Returns that path, too.
    ///
    /// # Errors
    ///
    /// As [`publish`]; [`Error::Exists`] when all are taken.
    pub fn finish_as<N: IntoIterator<Item = PathBuf>>(
        &mut self,
        lists: impl IntoIterator<Item = N>,
    ) -> Result<(PathBuf, Published)> {
        self.sync()?;
        let mut refused = None;
        for names in lists {
            for name in names {
                self.target.clone_from(&name);
                match self.try_place() {
                    Err(error) if error.is_taken() => {}
                    Err(error) if error.is_of_name() => {
                        refused = Some(error);
                        break;
                    }
                    placed => return Ok((name, placed?)),
                }
            }
        }
        Err(refused.unwrap_or_else(|| Error::Exists {
            path: self.target.clone(),
            role: self.role,
        }))
    }

    /// Waits until the octets are on the disk; returns at once for a device or FIFO.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Sync`].
    pub fn sync(&mut self) -> Result<()> {
        let Some(temporary) = &self.temporary else {
            return Ok(());
        };
        let shown: &[&Path] = &[&temporary.path];
        fault::change(Operation::Sync, shown, &self.target, self.role, || {
            self.file.sync_all()
        })
    }

    /// The device number of the file's file system.
    #[cfg(target_os = "linux")]
    pub(super) fn device(&self) -> Result<u64> {
        let found = self.file.metadata();
        let found = found.map_err(Error::io(&self.target, self.role, Operation::Examine))?;
        Ok(found.dev())
    }

    /// Syncs the whole file system that the file is on.
    #[cfg(target_os = "linux")]
    pub(super) fn sync_file_system(&self) -> Result<()> {
        let Some(temporary) = &self.temporary else {
            return Ok(());
        };
        let shown = &[parent(&temporary.path)];
        fault::change(Operation::SyncFs, shown, &self.target, self.role, || {
            Ok(rustix::fs::syncfs(&self.file)?)
        })
    }

    /// Compares the file with an existing one at `target`; one with the same octets is synced.
    pub(super) fn held_at(&mut self, target: &Path) -> Result<TargetState> {
        let role = self.role;
        match survey(target, role, IfExists::SameIsSuccess) {
            Ok(PublishTarget::Free) => return Ok(TargetState::Nothing),
            Ok(PublishTarget::Taken(_)) => {}
            Ok(PublishTarget::Through) | Err(Error::NotRegular { .. }) => {
                return Ok(TargetState::Other);
            }
            Err(error) => return Err(error),
        }
        let Some(mut found) = open_existing(target, role) else {
            return Ok(TargetState::Other);
        };
        self.file
            .rewind()
            .map_err(Error::io(target, role, Operation::Read))?;
        match same(target, role, &mut found, &mut self.file, false) {
            Ok(_) => Ok(TargetState::Same),
            Err(Error::Exists { .. }) => Ok(TargetState::Other),
            Err(error) => Err(error),
        }
    }

    /// Changes the path that the file will get.
    pub(super) fn set_target(&mut self, target: PathBuf) {
        self.target = target;
    }

    /// Gives the synced file its name, and syncs the directory.
    ///
    /// # Errors
    ///
    /// As [`Pending::finish`].
    pub fn place(mut self) -> Result<Published> {
        self.try_place()
    }

    /// As [`Pending::place`], but the file stays: if the name is taken, the caller may try another.
    fn try_place(&mut self) -> Result<Published> {
        let (path, role) = (&*self.target, self.role);
        // A file that was opened to be read after this one was begun.
        check_spared(path, role, self.existing, self.spared)?;
        let replace = self.existing == IfExists::Replace;
        let Some((mut placed, doing)) = self.give_name(replace)? else {
            return Ok(Published::Written);
        };
        let is_refused = |placed: &io::Result<()>| {
            placed
                .as_ref()
                .is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists)
        };
        // What had the name may have been removed in between.
        if is_refused(&placed)
            && is_free(&self.target)
            && let Some((again, _)) = self.give_name(replace)?
        {
            placed = again;
        }
        if is_refused(&placed)
            && let Some(_held) = placeholder::take(&self.target)
            && let Some((replaced, _)) = self.give_name(true)?
        {
            placed = replaced;
        }
        let target = &*self.target;
        match placed {
            Err(error) if !replace && is_taken(&error, target) => {
                // Another run may have published the same octets while this one wrote them.
                if self.existing == IfExists::SameIsSuccess
                    && let Some(mut found) = open_existing(target, role)
                {
                    let file = &mut self.file;
                    let same = file.rewind().and_then(|()| is_same(&mut found, file));
                    if same.map_err(Error::io(target, role, Operation::Read))? {
                        drop(self.temporary.take());
                        return keep(target, role, &found, self.syncs_dir);
                    }
                }
                return Err(Error::Exists {
                    path: target.to_owned(),
                    role,
                });
            }
            placed => placed.map_err(Error::io(target, role, doing))?,
        }
        // After a link the temporary name still exists. It is removed before the directory is
        // synced.
        drop(self.temporary.take());
        if self.syncs_dir {
            sync_dir(parent(target), role)?;
        }
        Ok(Published::Written)
    }

    /// Gives the file its name. Returns how that went, and the operation; `None` for a device or
    /// FIFO. Without `replace`, it fails if the name was taken since [`survey`].
    fn give_name(&mut self, replace: bool) -> Result<Option<(io::Result<()>, Operation)>> {
        if let Some(unnamed) = self.temporary.as_mut().filter(|it| it.is_unnamed) {
            match unnamed.name(&self.file, &self.target, replace) {
                Err(error) if temporary::is_unsupported(&error) => self.copy_to_named()?,
                named => return Ok(Some((named, Operation::Link))),
            }
        }
        let Some(temporary) = &mut self.temporary else {
            return Ok(None);
        };
        if let Some(mode) = self.mode {
            let shown = set_mode(&self.file, &temporary.path, mode);
            shown.map_err(Error::io(&self.target, self.role, Operation::SetMode))?;
        }
        let target = &*self.target;
        Ok(Some(match self.naming {
            Naming::Rename => {
                let reserves = is_result(self.role);
                (
                    temporary.rename(target, replace, reserves),
                    Operation::Rename,
                )
            }
            Naming::Link => (temporary.link(target), Operation::Link),
        }))
    }

    /// Copies a file without a name, which the file system does not link, to one with a temporary
    /// name.
    fn copy_to_named(&mut self) -> Result<()> {
        let (target, role) = (&*self.target, self.role);
        let failed = |operation| Error::io(target, role, operation);
        let mode = self
            .file
            .metadata()
            .map(|it| it.permissions().mode() & 0o7777);
        let mode = mode.map_err(failed(Operation::Examine))?;
        let (mut file, named) =
            Temporary::create(parent(target), 0o600).map_err(failed(Operation::Create))?;
        let path: &[&Path] = &[&named.path];
        let from = &mut self.file;
        fault::change(Operation::Write, path, target, role, || {
            from.rewind()?;
            io::copy(from, &mut file)
        })?;
        fault::change(Operation::Sync, path, target, role, || file.sync_all())?;
        self.mode = Some(mode);
        self.file = file;
        self.temporary = Some(named);
        Ok(())
    }
}

/// Whether files of this role are results, in directories of users.
const fn is_result(role: FileRole) -> bool {
    matches!(role, FileRole::Output | FileRole::Delivery)
}

/// Keeps content that is being written from others, since a killed run leaves it under its temporary
/// name. Returns the permission bits that it is to have in the end: `exact`, or those that the umask
/// and an ACL of the directory gave it. `None` where nobody else could read it, or the file system
/// has no permissions. Who opened the empty file before may read the result anyway.
fn hide(file: &File, path: &Path, exact: Option<u32>) -> Option<u32> {
    let given = file.metadata().ok()?.permissions().mode() & 0o7777;
    let mode = exact.unwrap_or(given);
    let is_open = (mode | given) & 0o077 != 0;
    (is_open && set_mode(file, path, 0o600).is_ok()).then_some(mode)
}

impl Write for Pending {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let path = self
            .temporary
            .as_ref()
            .map_or(&self.target, |temporary| &temporary.path);
        fault::write(Operation::Write, path, &mut self.file, &[octets])?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
    use std::process::Command;

    use tempfile::tempdir;

    use super::*;
    use crate::disk::testdir::{mode, names};
    use crate::disk::{dirs, records};

    const OUTPUT: PublishOptions<'static> = PublishOptions::output(IfExists::Refuse);

    const REPLACE: PublishOptions<'static> = PublishOptions::output(IfExists::Replace);

    const SAME: PublishOptions<'static> = PublishOptions::output(IfExists::SameIsSuccess);

    #[test]
    fn parts_become_one_file() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        assert_eq!(
            publish(&path, &[b"ab", b"", b"cd"], &OUTPUT).unwrap(),
            Published::Written
        );
        assert_eq!(fs::read(&path).unwrap(), b"abcd");
        assert_eq!(
            publish(&dir.path().join("empty"), &[], &OUTPUT).unwrap(),
            Published::Written
        );
        assert_eq!(names(dir.path()), ["empty", "f"]);
    }

    #[test]
    fn an_existing_file_is_refused_replaced_or_the_same() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"old").unwrap();
        let taken = |options, octets: &[u8]| {
            assert!(matches!(
                publish(&path, &[octets], &options),
                Err(Error::Exists { .. })
            ));
            assert_eq!(fs::read(&path).unwrap(), b"old");
        };
        taken(OUTPUT, b"old");
        taken(SAME, b"new");
        taken(SAME, b"ol");
        taken(SAME, b"older");
        assert_eq!(
            publish(&path, &[b"o", b"ld"], &SAME).unwrap(),
            Published::Same
        );
        assert_eq!(
            publish(&path, &[b"new"], &REPLACE).unwrap(),
            Published::Written
        );
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["f"]);
    }

    #[test]
    fn a_name_taken_while_writing_is_noticed() {
        for (options, octets, expected) in [
            (OUTPUT, &b"ours"[..], None),
            (SAME, b"theirs", None),
            (SAME, b"ours", Some(Published::Same)),
        ] {
            let dir = tempdir().unwrap();
            let path = dir.path().join("f");
            let mut pending = Pending::create(&path, &options).unwrap();
            pending.write(&[b"ou", b"rs"]).unwrap();
            fs::write(&path, octets).unwrap();
            assert_eq!(pending.finish().ok(), expected);
            assert_eq!(fs::read(&path).unwrap(), octets);
            assert_eq!(names(dir.path()), ["f"]);
        }
    }

    #[test]
    fn an_unfinished_file_is_read_by_nobody_else_and_leaves_nothing() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        // Where there are no files without a name, all have one.
        let named = PublishOptions::stored(FileRole::Output, IfExists::Replace).mode(Mode::User);
        for (options, has_name) in [(OUTPUT, false), (REPLACE, false), (named, true)] {
            let mut pending = Pending::create(&path, &options).unwrap();
            pending.write(&[b"octets"]).unwrap();
            let during = names(dir.path());
            assert!(during.len() == 1 || !has_name, "{during:?}");
            for name in &during {
                assert!(is_temporary(name.as_ref()), "{during:?}");
                assert_eq!(mode(&dir.path().join(name)), 0o600);
            }
            drop(pending);
            assert!(names(dir.path()).is_empty());
        }
        fs::write(dir.path().join("usual"), b"").unwrap();
        for options in [OUTPUT, REPLACE, named] {
            publish(&path, &[b"octets"], &options).unwrap();
            assert_eq!(mode(&path), mode(&dir.path().join("usual")));
            fs::remove_file(&path).unwrap();
        }
        for options in [REPLACE, named] {
            fs::write(&path, b"before").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            publish(&path, &[b"octets"], &options).unwrap();
            assert_eq!(
                (fs::read(&path).unwrap(), mode(&path)),
                (b"octets".to_vec(), 0o640)
            );
        }
        assert_eq!(names(dir.path()), ["f", "usual"]);
    }

    /// A file system with neither renames that replace nothing nor hard links.
    #[cfg(debug_assertions)]
    #[test]
    fn a_name_is_reserved_where_nothing_else_takes_it_without_replacing() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        let left = "relay placeholder 7 -\n";
        fault::arm("bare=/").unwrap();
        let delivery = PublishOptions::delivery(IfExists::SameIsSuccess);
        for options in [OUTPUT, SAME, delivery, REPLACE] {
            for before in [None, Some(left)] {
                if let Some(before) = before {
                    fs::write(&path, before).unwrap();
                }
                let published = publish(&path, &[b"oct", b"ets"], &options);
                assert_eq!(published.unwrap(), Published::Written);
                assert_eq!(fs::read(&path).unwrap(), b"octets");
                assert_eq!(names(dir.path()), ["f"]);
                fs::remove_file(&path).unwrap();
            }
        }
        // What a run is about to replace, and what somebody wrote, stay.
        fs::write(&path, left).unwrap();
        let held = placeholder::take(&path).unwrap();
        for options in [OUTPUT, SAME] {
            let error = publish(&path, &[b"octets"], &options).unwrap_err();
            assert!(matches!(error, Error::Exists { .. }), "{error}");
            assert_eq!(fs::read(&path).unwrap(), left.as_bytes());
        }
        drop(held);
        let mut late = Pending::create(&path, &OUTPUT).unwrap();
        late.write(&[b"late"]).unwrap();
        fs::write(&path, "the user's").unwrap();
        assert!(matches!(late.finish(), Err(Error::Exists { .. })));
        assert_eq!(names(dir.path()), ["f"]);
        let key = publish_key(&dir.path().join("key"), FileRole::Node, &[b"k"]);
        assert!(matches!(key, Err(Error::CannotHold { .. })));
        let stored = PublishOptions::stored(FileRole::Node, IfExists::Refuse);
        let stored = publish(&dir.path().join("config"), &[b"x"], &stored);
        assert!(matches!(stored, Err(Error::CannotHold { .. })));
        fault::disarm();
        assert_eq!(names(dir.path()), ["f"]);
    }

    /// Another run may have removed the file that had the name, and a file system may say so of a name that it
    /// does not take.
    #[test]
    #[cfg(debug_assertions)]
    fn a_name_that_is_taken_by_nothing_is_tried_again() {
        let stored = PublishOptions::stored(FileRole::Spool, IfExists::SameIsSuccess);
        for (options, step) in [(OUTPUT, 4), (SAME.unnamed(), 4), (stored, 4)] {
            let dir = tempdir().unwrap();
            let path = dir.path().join("f");
            fault::arm(&format!("EEXIST:{step}")).unwrap();
            let placed = publish(&path, &[b"octets"], &options);
            fault::disarm();
            assert_eq!(placed.unwrap(), Published::Written, "{options:?}");
            assert_eq!(fs::read(&path).unwrap(), b"octets");
            assert_eq!(names(dir.path()), ["f"]);

            let path = dir.path().join("never");
            fault::arm("EEXIST=never").unwrap();
            let refused = publish(&path, &[b"octets"], &options).unwrap_err();
            fault::disarm();
            assert!(matches!(refused, Error::Io { .. }), "{refused}");
            assert!(refused.is_of_name());
            assert_eq!(names(dir.path()), ["f"]);
        }
    }

    /// It was said to exist already, by programs whose pages have no such status.
    #[test]
    #[cfg(debug_assertions)]
    fn a_file_that_is_not_replaced_is_no_name_that_is_taken() {
        let stored = PublishOptions::stored(FileRole::Node, IfExists::Replace);
        for options in [REPLACE, stored] {
            let dir = tempdir().unwrap();
            let path = dir.path().join("f");
            fs::write(&path, b"before").unwrap();
            fault::arm("EEXIST=f").unwrap();
            let refused = publish(&path, &[b"octets"], &options).unwrap_err();
            let moved = rename_unsynced(&path, &path, FileRole::Node, IfExists::Replace);
            fault::disarm();
            assert!(matches!(refused, Error::Io { .. }), "{refused}");
            assert!(matches!(moved, Err(Error::Io { .. })), "{moved:?}");
            assert_eq!(fs::read(&path).unwrap(), b"before");
        }
    }

    /// The file was on a file system without such names when a run was killed, and is not now.
    #[test]
    fn what_is_reserved_by_a_killed_run_is_replaced() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        let named = PublishOptions::stored(FileRole::Spool, IfExists::SameIsSuccess);
        for options in [OUTPUT, SAME, named] {
            fs::write(&path, "relay placeholder 7 -\n").unwrap();
            publish(&path, &[b"octets"], &options).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"octets");
            assert_eq!(names(dir.path()), ["f"]);
        }
    }

    #[test]
    fn octets_may_come_in_any_order() {
        for options in [OUTPUT, SAME.unnamed()] {
            let dir = tempdir().unwrap();
            let path = dir.path().join("f");
            let mut pending = Pending::create(&path, &options).unwrap();
            assert!(!pending.is_through());
            pending.write_at(70_000, b"end").unwrap();
            pending.write_at(0, b"begin").unwrap();
            let mut octets = [1; 6];
            pending.read_at(69_997, &mut octets).unwrap();
            assert_eq!(&octets, b"\0\0\0end");
            let error = pending.read_at(70_000, &mut octets).unwrap_err();
            assert_eq!(error.doing(), Some(Operation::Read));
            pending.finish().unwrap();
            let read = fs::read(&path).unwrap();
            assert_eq!((read.len(), &read[..6]), (70_003, &b"begin\0"[..]));
        }
        let null = Pending::create(Path::new("/dev/null"), &OUTPUT).unwrap();
        assert!(null.is_through());
    }

    #[test]
    fn a_file_takes_the_first_name_that_is_free_or_its_own() {
        for options in [
            SAME,
            SAME.unnamed(),
            PublishOptions::delivery(IfExists::SameIsSuccess),
        ] {
            let dir = tempdir().unwrap();
            let at = |name: &str| dir.path().join(name);
            let under = |content: &[u8], names: &[&str]| {
                let mut pending = Pending::create(&at(names[0]), &options)?;
                pending.write(&[content])?;
                pending.finish_as([names.iter().map(|name| at(name))])
            };
            let all = ["a", "b", "c"];
            for (content, name, published) in [
                (b"one", "a", Published::Written),
                (b"two", "b", Published::Written),
                (b"one", "a", Published::Same),
                (b"two", "b", Published::Same),
            ] {
                assert_eq!(under(content, &all).unwrap(), (at(name), published));
            }
            fs::create_dir(at("c")).unwrap();
            let error = under(b"tri", &all).unwrap_err();
            assert!(matches!(error, Error::Exists { path, .. } if path == at("c")));
            assert_eq!(names(dir.path()), all);
            assert_eq!(fs::read(at("a")).unwrap(), b"one");
        }
    }

    #[test]
    fn what_could_be_published_leaves_nothing() {
        let dir = tempdir().unwrap();
        let at = |name| dir.path().join(name);
        fs::write(at("taken"), b"old").unwrap();
        for options in [OUTPUT, REPLACE, SAME] {
            check(&at("f"), &options).unwrap();
            check(Path::new("/dev/null"), &options).unwrap();
            let error = check(&at("none/f"), &options).unwrap_err();
            assert_eq!(error.doing(), Some(Operation::Create));
        }
        check(&at("taken"), &REPLACE).unwrap();
        let refused = check(&at("taken"), &OUTPUT);
        assert!(matches!(refused, Err(Error::Exists { .. })));
        assert_eq!(names(dir.path()), ["taken"]);
        assert_eq!(fs::read(at("taken")).unwrap(), b"old");
    }

    #[test]
    fn a_missing_or_wrong_directory_is_an_uncreatable_output() {
        let dir = tempdir().unwrap();
        for path in [dir.path().join("none/f"), dir.path().to_owned()] {
            for options in [OUTPUT, REPLACE, SAME] {
                let error = publish(&path, &[b"x"], &options).unwrap_err();
                assert_eq!(
                    (error.doing(), error.role()),
                    (Some(Operation::Create), FileRole::Output)
                );
            }
        }
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn a_link_stays_and_its_target_is_replaced() {
        let dir = tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let (file, link) = (dir.path().join("sub/f"), dir.path().join("l"));
        symlink("sub/m", &link).unwrap();
        symlink("f", dir.path().join("sub/m")).unwrap();
        assert!(matches!(
            publish(&link, &[b"x"], &OUTPUT),
            Err(Error::Exists { .. })
        ));
        assert!(matches!(
            publish(&link, &[b"x"], &SAME),
            Err(Error::Exists { .. })
        ));
        for octets in [b"first", b"other"] {
            publish(&link, &[octets], &REPLACE).unwrap();
            assert_eq!(fs::read(&file).unwrap(), octets);
        }
        assert_eq!(publish(&link, &[b"other"], &SAME).unwrap(), Published::Same);
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("sub/m"));
        symlink("loop", dir.path().join("loop")).unwrap();
        assert!(publish(&dir.path().join("loop"), &[b"x"], &REPLACE).is_err());
    }

    #[test]
    fn a_node_never_writes_through_links_or_fifos() {
        let dir = tempdir().unwrap();
        symlink("elsewhere", dir.path().join("l")).unwrap();
        for existing in [IfExists::Refuse, IfExists::Replace, IfExists::SameIsSuccess] {
            let error = publish(
                &dir.path().join("l"),
                &[b"x"],
                &PublishOptions::stored(FileRole::Spool, existing),
            )
            .unwrap_err();
            assert!(matches!(error, Error::NotRegular { .. }));
        }
        assert_eq!(names(dir.path()), ["l"]);
    }

    #[test]
    fn devices_and_fifos_are_written_through() {
        for options in [OUTPUT, REPLACE, SAME] {
            publish(Path::new("/dev/null"), &[b"x"], &options).unwrap();
        }
        assert!(
            fs::metadata("/dev/null")
                .unwrap()
                .file_type()
                .is_char_device()
        );
        let dir = tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| fs::read(&fifo).unwrap());
            publish(&fifo, &[b"thr", b"ough"], &OUTPUT).unwrap();
            assert_eq!(reader.join().unwrap(), b"through");
        });
        assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_device_is_a_failure_to_write() {
        let error = publish(Path::new("/dev/full"), &[b"x"], &OUTPUT).unwrap_err();
        assert_eq!(
            (error.doing(), error.io_kind()),
            (Some(Operation::Write), Some(io::ErrorKind::StorageFull))
        );
        assert_eq!(error.to_string(), "cannot write: No space left on device");
    }

    #[test]
    fn keys_are_never_replaced() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("identity.key");
        publish_key(&path, FileRole::Node, &[b"key"]).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(matches!(
            publish_key(&path, FileRole::Node, &[b"key"]),
            Err(Error::Exists { .. })
        ));
        let other = dir.path().join("other");
        let mut pending = Pending::create(
            &other,
            &PublishOptions::stored(FileRole::Keys, IfExists::Refuse),
        )
        .unwrap();
        pending.naming = Naming::Link;
        fs::write(&other, b"theirs").unwrap();
        assert!(matches!(pending.finish(), Err(Error::Exists { .. })));
        assert_eq!(names(dir.path()), ["identity.key", "other"]);
    }

    #[test]
    fn modes_are_what_was_asked_for_under_any_umask() {
        for (umask, user) in [(0, 0o666), (0o022, 0o644), (0o777, 0)] {
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "disk::publish::tests::umask_child"])
                .env("DISK_TEST_UMASK", format!("{umask} {user}"))
                .stdout(std::process::Stdio::null())
                .status()
                .unwrap();
            assert!(status.success(), "{umask:o}");
        }
    }

    #[test]
    fn umask_child() {
        let Ok(masks) = std::env::var("DISK_TEST_UMASK") else {
            return;
        };
        let (umask, user) = masks.split_once(' ').unwrap();
        let dir = tempdir().unwrap();
        rustix::process::umask(umask.parse::<u32>().unwrap().into());
        let at = |name| dir.path().join(name);
        publish(&at("user"), &[b"x"], &OUTPUT).unwrap();
        assert_eq!(mode(&at("user")), user.parse::<u32>().unwrap());
        let stored = PublishOptions::stored(FileRole::Node, IfExists::Refuse);
        publish(&at("secret"), &[b"x"], &stored).unwrap();
        publish(&at("shared"), &[b"x"], &stored.mode(Mode::Exact(0o664))).unwrap();
        publish_key(&at("key"), FileRole::Node, &[b"x"]).unwrap();
        assert_eq!(
            (mode(&at("secret")), mode(&at("shared")), mode(&at("key"))),
            (0o600, 0o664, 0o600)
        );
        dirs::create_dir(&at("dir"), FileRole::Node, 0o3770).unwrap();
        dirs::create_dir_all_private(&at("a/b"), FileRole::Node).unwrap();
        assert_eq!(
            (mode(&at("dir")), mode(&at("a")), mode(&at("a/b"))),
            (0o3770, 0o700, 0o700)
        );
        records::append_record(&at("seen"), FileRole::Node, b"1234").unwrap();
        drop(crate::disk::Lock::exclusive(&at("lock")).unwrap());
        assert_eq!((mode(&at("seen")), mode(&at("lock"))), (0o600, 0o600));
    }

    #[test]
    fn a_replaced_file_keeps_its_mode() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"private").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        publish(&path, &[b"new"], &REPLACE).unwrap();
        assert_eq!(mode(&path), 0o640);
    }

    #[test]
    fn a_spool_writes_in_its_own_tmp() {
        let dir = tempdir().unwrap();
        let (tmp, queue) = (dir.path().join("tmp"), dir.path().join("in"));
        fs::create_dir(&tmp).unwrap();
        fs::create_dir(&queue).unwrap();
        let options = PublishOptions::stored(FileRole::Spool, IfExists::SameIsSuccess)
            .written_in(&tmp)
            .dir_unsynced();
        let mut pending = Pending::create(&queue.join("m"), &options).unwrap();
        io::copy(&mut &b"message"[..], &mut pending).unwrap();
        assert_eq!(fs::read_dir(&tmp).unwrap().count(), 1);
        pending.finish().unwrap();
        assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0);
        assert_eq!(fs::read(queue.join("m")).unwrap(), b"message");
    }
}
