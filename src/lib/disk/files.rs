//! Files and directories: reading within a limit, appending, creating, removing.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt,
};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::fault::{self, Op};
use super::{Error, FileRole, Operation, Result, tree};

/// The permission bits that a secret file must not have.
const OTHERS: u32 = 0o077;

/// Octets of the first read beyond what a file was said to hold.
const PROBE: usize = 512;

/// The least by which a buffer grows: what a pipe holds, in octets.
const GROWTH: usize = 65_536;

/// Opens an operand. FIFOs and devices may be operands, directories may not.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Open`].
pub fn open_input(path: &Path) -> Result<File> {
    open(path, FileRole::Input).map(|(file, _)| file)
}

/// What a standard stream is for, as this process inherited it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// It is open for what it is for.
    Open,
    /// It was closed, or is `/dev/null` opened for reading and writing: before `main` the runtime of Rust
    /// opens that in the place of a stream that is closed, and afterwards nothing tells them apart.
    Closed,
    /// It is open, but only the other way. The standard library takes the EBADF of such a stream for
    /// success.
    OtherWay,
}

impl Standard {
    /// What standard input is for.
    #[must_use]
    pub fn input(stream: impl AsFd) -> Self {
        Self::of(stream, OFlags::WRONLY)
    }

    /// What standard output is for.
    #[must_use]
    pub fn output(stream: impl AsFd) -> Self {
        Self::of(stream, OFlags::RDONLY)
    }

    fn of(stream: impl AsFd, other_way: OFlags) -> Self {
        let Ok(flags) = rustix::fs::fcntl_getfl(&stream) else {
            return Self::Closed;
        };
        let mode = flags & OFlags::RWMODE;
        if mode == other_way {
            Self::OtherWay
        } else if mode == OFlags::RDWR && is_null(&stream) {
            Self::Closed
        } else {
            Self::Open
        }
    }
}

/// Whether a descriptor is `/dev/null`, wherever that is mounted.
fn is_null(stream: impl AsFd) -> bool {
    let null = fs::metadata("/dev/null");
    rustix::fs::fstat(stream).is_ok_and(|found| {
        rustix::fs::FileType::from_raw_mode(found.st_mode).is_char_device()
            && null.is_ok_and(|null| null.rdev() == found.st_rdev)
    })
}

/// Takes a descriptor that this process inherited, to write lines to: the same one where the system can, so that
/// whoever else writes to it writes after them. Where it cannot, they go to the end of the file.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Open`], when it is not open for writing.
pub fn open_descriptor(descriptor: u32) -> Result<File> {
    let path = PathBuf::from(format!("/dev/fd/{descriptor}"));
    let failed = || Error::io(&path, FileRole::Output, Operation::Open);
    #[cfg(target_os = "linux")]
    match duplicate(descriptor) {
        // An old system, or one that lets nobody ask for the files of a process.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {}
        duplicated => return duplicated.map_err(|error| failed()(error.into())),
    }
    let opened = OpenOptions::new().append(true).open(&path);
    opened.map_err(failed())
}

/// Another descriptor for what this one of ours is for: `dup` wants proof that it is open, which a number is not, but
/// a process may ask for a file of any process.
#[cfg(target_os = "linux")]
fn duplicate(descriptor: u32) -> std::result::Result<File, Errno> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let descriptor = i32::try_from(descriptor).map_err(|_| Errno::BADF)?;
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    let copy = pidfd_getfd(this, descriptor, PidfdGetfdFlags::empty())?;
    if rustix::fs::fcntl_getfl(&copy)? & OFlags::RWMODE == OFlags::RDONLY {
        return Err(Errno::BADF);
    }
    Ok(File::from(copy))
}

/// Opens a file to be read piece by piece.
///
/// # Errors
///
/// [`Error::NotRegular`] when the role asks for a regular file, [`Error::Io`] while [`Operation::Open`].
pub fn open_to_read(path: &Path, role: FileRole) -> Result<File> {
    open(path, role).map(|(file, _)| file)
}

/// Reads a whole file of at most `limit` octets.
///
/// # Errors
///
/// [`Error::TooLarge`] when there are more, [`Error::NotRegular`] when the role asks for a regular file,
/// [`Error::Io`] when it cannot be opened or read.
pub fn read(path: &Path, role: FileRole, limit: usize) -> Result<Vec<u8>> {
    read_into(Vec::new(), path, role, limit)
}

/// The same, into memory that was used before.
///
/// # Errors
///
/// As [`read`].
pub fn read_into(octets: Vec<u8>, path: &Path, role: FileRole, limit: usize) -> Result<Vec<u8>> {
    let (file, len) = open(path, role)?;
    read_opened(file, len, octets, path, role, limit)
}

fn read_opened(
    mut file: File,
    len: u64,
    mut octets: Vec<u8>,
    path: &Path,
    role: FileRole,
    limit: usize,
) -> Result<Vec<u8>> {
    // Files of /proc say 0, and others may grow: the size only saves work.
    let expected = usize::try_from(len).unwrap_or(usize::MAX);
    if expected > limit {
        return Err(too_large(path, role, limit));
    }
    octets.resize(expected, 0);
    fill(&mut file, octets, path, role, limit)
}

/// The same, and gives the user whose file it is: the one that is read, whatever has its name meanwhile.
///
/// # Errors
///
/// As [`read`].
pub fn read_with_owner(
    octets: Vec<u8>,
    path: &Path,
    role: FileRole,
    limit: usize,
) -> Result<(Vec<u8>, u32)> {
    let (file, len) = open(path, role)?;
    let found = file.metadata();
    let owner = found
        .map_err(Error::io(path, role, Operation::Examine))?
        .uid();
    let octets = read_opened(file, len, octets, path, role, limit)?;
    Ok((octets, owner))
}

/// Reads a whole regular file again, of at most `limit` octets: something else that has its name meanwhile is not
/// waited for, be it a FIFO.
///
/// # Errors
///
/// As [`read`], and [`Error::NotRegular`] in every role.
pub fn read_again(path: &Path, role: FileRole, limit: usize) -> Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY));
    let file = options
        .open(path)
        .map_err(Error::io(path, role, Operation::Open))?;
    read_regular(file, path, role, limit)
}

/// Reads an open file, which has to be a regular one.
pub(super) fn read_regular(
    mut file: File,
    path: &Path,
    role: FileRole,
    limit: usize,
) -> Result<Vec<u8>> {
    let metadata = file
        .metadata()
        .map_err(Error::io(path, role, Operation::Examine))?;
    if !metadata.is_file() {
        return Err(Error::NotRegular {
            path: path.to_owned(),
            role,
        });
    }
    let expected = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if expected > limit {
        return Err(too_large(path, role, limit));
    }
    fill(&mut file, vec![0; expected], path, role, limit)
}

/// Reads all that is left of an open input, of at most `limit` octets; `path` is for the report (`-`).
///
/// # Errors
///
/// [`Error::TooLarge`] when there are more octets, [`Error::Io`] when reading fails.
pub fn read_from(
    input: &mut impl Read,
    path: &Path,
    role: FileRole,
    limit: usize,
) -> Result<Vec<u8>> {
    fill(input, Vec::new(), path, role, limit)
}

/// Reads a whole secret file of at most `limit` octets, all of which are set aside at once: no copy stays unwiped.
///
/// # Errors
///
/// [`Error::Exposed`] when the group or others have any access to it, and as [`read`].
pub fn read_secret(path: &Path, role: FileRole, limit: usize) -> Result<Zeroizing<Vec<u8>>> {
    let (mut file, _) = open(path, role)?;
    let metadata = file
        .metadata()
        .map_err(Error::io(path, role, Operation::Examine))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(Error::Exposed {
            path: path.to_owned(),
            role,
            mode,
        });
    }
    let mut octets = Zeroizing::new(vec![0; limit.saturating_add(1)]);
    let mut filled = 0;
    while filled < octets.len() {
        match read_some(&mut file, &mut octets[filled..]).map_err(Error::io(
            path,
            role,
            Operation::Read,
        ))? {
            0 => {
                octets.truncate(filled);
                return Ok(octets);
            }
            read => filled += read,
        }
    }
    Err(too_large(path, role, limit))
}

/// Whether anything, be it a dangling link, has this name.
///
/// # Errors
///
/// [`Error::Io`] when that cannot be learned.
pub fn exists(path: &Path, role: FileRole) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(Error::io(path, role, Operation::Examine)(error)),
    }
}

/// A path without links, from the root.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Examine`].
pub fn canonical(path: &Path, role: FileRole) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(Error::io(path, role, Operation::Examine))
}

/// How many octets may still be written to the file system of a directory, by whoever runs this.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Examine`].
pub fn free_space(dir: &Path, role: FileRole) -> Result<u64> {
    let found = rustix::fs::statvfs(dir).map_err(io::Error::from);
    let found = found.map_err(Error::io(dir, role, Operation::Examine))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Creates one directory with exactly the permission bits of `mode`, whatever the umask, and syncs its parent.
///
/// Gives `false` for a directory that is already there, which stays as it is.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Create`] or [`Operation::Sync`].
pub fn create_dir(path: &Path, role: FileRole, mode: u32) -> Result<bool> {
    let failed = || Error::io(path, role, Operation::Create);
    if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(false);
    }
    fault::step(Op::Mkdir, &[path]).map_err(failed())?;
    match DirBuilder::new().mode(mode & 0o777).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            return Ok(false);
        }
        created => created.map_err(failed())?,
    }
    set_dir_mode(path, mode).map_err(failed())?;
    sync_dir(parent(path), role)?;
    Ok(true)
}

/// Creates a directory that the user may use as the umask says; gives `false` when there was one. Its name is
/// synced in either case: a run that was killed may have created it and no more.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Create`] or [`Operation::Sync`].
pub fn create_dir_for_user(path: &Path, role: FileRole) -> Result<bool> {
    let is_there = || fs::metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let mut created = false;
    if !is_there() {
        match fault::step(Op::Mkdir, &[path]).and_then(|()| fs::create_dir(path)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_there() => {}
            done => {
                done.map_err(Error::io(path, role, Operation::Create))?;
                created = true;
            }
        }
    }
    sync_dir(parent(path), role)?;
    Ok(created)
}

/// The user whose a file or directory is, itself and not what a link names; `None` when it is not there.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Examine`].
pub fn owner(path: &Path, role: FileRole) -> Result<Option<u32>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found.uid())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(path, role, Operation::Examine)(error)),
    }
}

/// Whether this is another user than the one who runs this.
#[must_use]
pub fn is_another(user: u32) -> bool {
    user != rustix::process::geteuid().as_raw()
}

/// Whether a file is of another user than the one who runs this; one that is not there is nobody's.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Examine`].
pub fn is_of_another(path: &Path, role: FileRole) -> Result<bool> {
    Ok(owner(path, role)?.is_some_and(is_another))
}

/// Whether a directory is there in which whoever runs this may make files.
#[must_use]
pub fn is_writable_dir(path: &Path) -> bool {
    let wanted = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
        && rustix::fs::access(path, wanted).is_ok()
}

/// Creates a directory and those above it that are missing, for their owner alone (0700).
///
/// # Errors
///
/// As [`create_dir`].
pub fn create_dir_all_private(path: &Path, role: FileRole) -> Result<bool> {
    let above = parent(path);
    if above != path && !fs::metadata(above).is_ok_and(|metadata| metadata.is_dir()) {
        create_dir_all_private(above, role)?;
    }
    let created = create_dir(path, role, 0o700)?;
    if !created {
        sync_dir(above, role)?; // a run that was killed may have created it and no more
    }
    Ok(created)
}

/// Removes a file, or a symbolic link itself, and syncs its directory. Gives `false` when there was none.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Remove`] or [`Operation::Sync`].
pub fn remove(path: &Path, role: FileRole) -> Result<bool> {
    let removed = remove_unsynced(path, role)?;
    if removed {
        sync_dir(parent(path), role)?;
    }
    Ok(removed)
}

/// Removes a file as [`remove`] does; the caller syncs the directory, once for many.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Remove`].
pub fn remove_unsynced(path: &Path, role: FileRole) -> Result<bool> {
    match fault::step(Op::Remove, &[path]).and_then(|()| fs::remove_file(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed
            .map(|()| true)
            .map_err(Error::io(path, role, Operation::Remove)),
    }
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// That of an open file, if it is a regular one.
    #[must_use]
    pub fn of(file: &File) -> Option<Self> {
        file.metadata()
            .ok()
            .and_then(|metadata| Self::from(&metadata))
    }

    fn from(metadata: &fs::Metadata) -> Option<Self> {
        metadata.is_file().then(|| Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

/// Removes files, or the symbolic links that lead to them, each provided that it is still this one, and syncs
/// their directories, each once. Gives how many were removed.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Remove`] or [`Operation::Sync`]; some may be removed then.
pub fn remove_same<'a>(
    files: impl IntoIterator<Item = (&'a Path, FileId)>,
    role: FileRole,
) -> Result<usize> {
    let mut removed = 0;
    let mut dirs = BTreeSet::new();
    for (path, identity) in files {
        let found = fs::metadata(path).ok();
        let is_same = found.and_then(|found| FileId::from(&found)) == Some(identity);
        if is_same && remove_unsynced(path, role)? {
            removed += 1;
            dirs.insert(parent(path));
        }
    }
    dirs.into_iter().try_for_each(|dir| sync_dir(dir, role))?;
    Ok(removed)
}

/// Removes a directory of a node with all that is in it, then syncs its parent. Gives `false` when there was none.
///
/// Symbolic links in it are removed, not followed. It must not be writable by others meanwhile.
///
/// # Errors
///
/// [`Error::NotRegular`] when `path` is not itself a directory; [`Error::Io`] while [`Operation::List`],
/// [`Operation::Remove`] or [`Operation::Sync`], with a part removed.
pub fn remove_tree(path: &Path, role: FileRole) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            sync_dir_if_any(parent(path), role)?; // a killed run may have removed it
            return Ok(false);
        }
        Err(error) => return Err(Error::io(path, role, Operation::Examine)(error)),
        Ok(metadata) if !metadata.is_dir() => {
            return Err(Error::NotRegular {
                path: path.to_owned(),
                role,
            });
        }
        Ok(_) => {}
    }
    remove_content(path, role)?;
    sync_dir(parent(path), role)?;
    Ok(true)
}

/// Removes a directory and all in it at one instant: it is renamed first, to a name that [`sweep`] takes for a
/// leftover. Gives `false` when there was none.
///
/// # Errors
///
/// As [`remove_tree`], and [`Error::Io`] while [`Operation::Rename`].
///
/// [`sweep`]: super::publish::sweep
pub fn retire_tree(path: &Path, role: FileRole) -> Result<bool> {
    let Some(name) = path.file_name() else {
        return Ok(false);
    };
    let hidden = path.with_file_name(super::publish::temporary_name(name));
    remove_tree(&hidden, role)?;
    if !exists(path, role)? {
        return Ok(false);
    }
    fault::step(Op::Rename, &[path, &hidden])
        .and_then(|()| fs::rename(path, &hidden))
        .map_err(Error::io(path, role, Operation::Rename))?;
    sync_dir(parent(path), role)?;
    remove_tree(&hidden, role)
}

fn sync_dir_if_any(dir: &Path, role: FileRole) -> Result<()> {
    if dir.is_dir() {
        sync_dir(dir, role)
    } else {
        Ok(())
    }
}

fn remove_content(dir: &Path, role: FileRole) -> Result<()> {
    let mut found: Vec<(PathBuf, bool)> = Vec::new();
    tree::each(dir, role, |path, _: OsString, file_type| {
        found.push((path, file_type.is_dir()));
        Ok(())
    })?;
    found.sort_unstable();
    for (path, is_dir) in found {
        if is_dir {
            remove_content(&path, role)?;
        } else {
            remove_unsynced(&path, role)?;
        }
    }
    fault::step(Op::Remove, &[dir])
        .and_then(|()| fs::remove_dir(dir))
        .map_err(Error::io(dir, role, Operation::Remove))
}

/// Waits until the names in a directory are on the disk.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Sync`].
pub fn sync_dir(dir: &Path, role: FileRole) -> Result<()> {
    synced(dir, role, || {
        // What has the name may be a FIFO by now, which would keep this waiting.
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(flags(OFlags::DIRECTORY | OFlags::NONBLOCK));
        options.open(dir)?.sync_all()
    })
}

/// Announces that a directory is synced, and does so.
pub(super) fn synced(
    dir: &Path,
    role: FileRole,
    sync: impl FnOnce() -> io::Result<()>,
) -> Result<()> {
    match fault::step(Op::SyncDir, &[dir]).and_then(|()| sync()) {
        // Some file systems (FUSE, SMB) cannot, and a user may write into a directory that they cannot read, also
        // one of another user in a spool: the file is in its place by now, and to call that a failure would be worse.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => Ok(()),
        Err(error)
            if matches!(role, FileRole::Output | FileRole::Spool)
                && error.kind() == io::ErrorKind::PermissionDenied =>
        {
            Ok(())
        }
        synced => synced.map_err(Error::io(dir, role, Operation::Sync)),
    }
}

/// Waits until the octets of a file are on the disk, which the run that wrote them may not have done.
///
/// # Errors
///
/// [`Error::NotRegular`], or [`Error::Io`] while [`Operation::Open`] or [`Operation::Sync`].
pub fn sync(path: &Path, role: FileRole) -> Result<()> {
    let file = open_to_read(path, role)?;
    fault::step(Op::Sync, &[path])
        .and_then(|()| file.sync_all())
        .map_err(Error::io(path, role, Operation::Sync))
}

/// Appends one record to a file of records of `N` octets each, created with mode 0600, and syncs it.
///
/// What a killed run left of a record is cut off first. The caller holds the lock of the file.
///
/// # Errors
///
/// [`Error::NotRegular`], or [`Error::Io`] while [`Operation::Open`], [`Operation::Create`], [`Operation::Truncate`],
/// [`Operation::Write`] or [`Operation::Sync`].
pub fn append_record<const N: usize>(path: &Path, role: FileRole, record: &[u8; N]) -> Result<()> {
    append_records(path, role, std::slice::from_ref(record))
}

/// Appends many records as [`append_record`] does one, with one sync.
///
/// # Errors
///
/// As [`append_record`].
pub fn append_records<const N: usize>(
    path: &Path,
    role: FileRole,
    records: &[[u8; N]],
) -> Result<()> {
    const { assert!(N > 0) };
    append(path, role, &[records.as_flattened()], |_, len| {
        Ok(len - len % N as u64)
    })
}

/// Appends one line to a text file, created with mode 0600, and syncs it. `line` comes without its newline.
///
/// What a killed run left of a line is cut off first. The caller holds the lock of the file.
///
/// # Errors
///
/// As [`append_record`].
pub fn append_line(path: &Path, role: FileRole, line: &[u8]) -> Result<()> {
    append(path, role, &[line, b"\n"], end_of_last_line)
}

fn append(
    path: &Path,
    role: FileRole,
    parts: &[&[u8]],
    whole: impl FnOnce(&mut File, u64) -> io::Result<u64>,
) -> Result<()> {
    let failed = |doing| Error::io(path, role, doing);
    let mut file = open_appendable(path, role)?;
    let metadata = file.metadata().map_err(failed(Operation::Examine))?;
    if !metadata.is_file() {
        return Err(Error::NotRegular {
            path: path.to_owned(),
            role,
        });
    }
    let len = whole(&mut file, metadata.len()).map_err(failed(Operation::Read))?;
    if len < metadata.len() {
        fault::step(Op::Truncate, &[path])
            .and_then(|()| file.set_len(len))
            .map_err(failed(Operation::Truncate))?;
    }
    fault::write(Op::Append, path, &mut file, parts).map_err(failed(Operation::Write))?;
    let synced = fault::step(Op::Sync, &[path])
        .and_then(|()| file.sync_data())
        .map_err(failed(Operation::Sync))
        .and_then(|()| {
            if len == 0 {
                sync_dir(parent(path), role)?; // also when an earlier run created the file and was killed
            }
            Ok(())
        });
    if synced.is_err() {
        // What may not last must not be found by the next run either; that this fails, too, changes nothing.
        let _ = fault::step(Op::Truncate, &[path]).and_then(|()| file.set_len(len));
    }
    synced
}

fn open_appendable(path: &Path, role: FileRole) -> Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .append(true)
        .mode(0o600)
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK));
    match options.open(path) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let created = fault::step(Op::Create, &[path]).and_then(|()| {
                let file = options.create_new(true).open(path)?;
                set_mode(&file, path, 0o600)?;
                Ok(file)
            });
            created.map_err(Error::io(path, role, Operation::Create))
        }
        Err(error) => Err(refused(path, role, error)),
    }
}

/// Gives `each` the records of a file that [`append_record`] made, in little memory, until it says that this is
/// enough. A torn one at the end was never relied upon; a file that is not there has none.
///
/// # Errors
///
/// [`Error::NotRegular`], or [`Error::Io`] while [`Operation::Open`] or [`Operation::Read`].
pub fn each_record<const N: usize>(
    path: &Path,
    role: FileRole,
    mut each: impl FnMut(&[u8; N]) -> ControlFlow<()>,
) -> Result<()> {
    const { assert!(N > 0) };
    let file = match open(path, role) {
        Ok((file, _)) => file,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut records = BufReader::with_capacity(GROWTH, file);
    let mut record = [0; N];
    loop {
        match records.read_exact(&mut record) {
            Ok(()) if each(&record).is_break() => return Ok(()),
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(Error::io(path, role, Operation::Read)(error)),
        }
    }
}

/// Where the last whole line ends.
fn end_of_last_line(file: &mut File, len: u64) -> io::Result<u64> {
    let mut end = len;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(4096);
        block.clear();
        file.seek(SeekFrom::Start(start))?;
        file.by_ref().take(end - start).read_to_end(&mut block)?;
        if let Some(newline) = block.iter().rposition(|octet| *octet == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// The directory that holds a file's name.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => path,
    }
}

/// Gives an open file its exact mode, which the umask may have narrowed.
pub(super) fn set_mode(file: &File, path: &Path, mode: u32) -> io::Result<()> {
    if file.metadata()?.permissions().mode() & 0o7777 == mode {
        return Ok(());
    }
    fault::step(Op::Chmod, &[path])?;
    file.set_permissions(PermissionsExt::from_mode(mode))
}

fn set_dir_mode(path: &Path, mode: u32) -> io::Result<()> {
    let nofollow = OpenOptions::new()
        .read(true)
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::DIRECTORY))
        .open(path);
    match nofollow {
        Ok(dir) => set_mode(&dir, path, mode),
        // The umask took even the owner's right to open it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            fault::step(Op::Chmod, &[path])?;
            fs::set_permissions(path, PermissionsExt::from_mode(mode))
        }
        Err(error) => Err(error),
    }
}

/// The flags as [`OpenOptionsExt::custom_flags`](std::os::unix::fs::OpenOptionsExt::custom_flags) takes them.
pub(super) fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

/// Opens a file as its role allows; the size is 0 unless it is a regular file.
fn open(path: &Path, role: FileRole) -> Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.read(true);
    if !role.named_by_user() {
        options.custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK)); // a FIFO would block before it is refused
    }
    let file = options
        .open(path)
        .map_err(|error| refused(path, role, error))?;
    let metadata = file
        .metadata()
        .map_err(Error::io(path, role, Operation::Examine))?;
    match (metadata.is_file(), metadata.is_dir(), role.named_by_user()) {
        (true, ..) => Ok((file, metadata.len())),
        (_, true, true) => Err(Error::io(path, role, Operation::Open)(Errno::ISDIR.into())),
        (_, false, true) => Ok((file, 0)),
        (.., false) => Err(Error::NotRegular {
            path: path.to_owned(),
            role,
        }),
    }
}

/// Why a file was not opened: without following links, one is answered with `ELOOP`, a socket with `ENXIO`.
pub(super) fn refused(path: &Path, role: FileRole, error: io::Error) -> Error {
    match Errno::from_io_error(&error) {
        Some(Errno::LOOP | Errno::NXIO | Errno::ISDIR) if !role.named_by_user() => {
            Error::NotRegular {
                path: path.to_owned(),
                role,
            }
        }
        _ => Error::io(path, role, Operation::Open)(error),
    }
}

fn too_large(path: &Path, role: FileRole, limit: usize) -> Error {
    Error::TooLarge {
        path: path.to_owned(),
        role,
        limit,
    }
}

/// Reads to the end into `octets`, which is as long as the input is thought to be.
fn fill(
    input: &mut impl Read,
    mut octets: Vec<u8>,
    path: &Path,
    role: FileRole,
    limit: usize,
) -> Result<Vec<u8>> {
    let mut filled = 0;
    loop {
        let mut probe = [0; PROBE];
        let full = filled == octets.len();
        let space = if full {
            &mut probe[..]
        } else {
            &mut octets[filled..]
        };
        let read = read_some(input, space).map_err(Error::io(path, role, Operation::Read))?;
        if read == 0 {
            octets.truncate(filled);
            return Ok(octets);
        }
        if read > limit - filled {
            return Err(too_large(path, role, limit));
        }
        if full {
            let wanted = octets
                .len()
                .saturating_mul(2)
                .max(GROWTH)
                .min(limit)
                .max(filled + read);
            octets.resize(wanted, 0);
            octets[filled..filled + read].copy_from_slice(&probe[..read]);
        }
        filled += read;
    }
}

fn read_some(input: &mut impl Read, space: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(space) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    fn mkfifo(path: &Path) {
        assert!(
            std::process::Command::new("mkfifo")
                .arg(path)
                .status()
                .unwrap()
                .success()
        );
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"12345").unwrap();
        for limit in [5, 6, usize::MAX] {
            assert_eq!(read(&path, FileRole::Input, limit).unwrap(), b"12345");
        }
        let error = read(&path, FileRole::Spool, 4).unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 4, .. }));
        fs::write(&path, b"").unwrap();
        assert_eq!(read(&path, FileRole::Node, 0).unwrap(), b"");
    }

    #[test]
    fn a_file_is_read_with_whose_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"12345").unwrap();
        let (octets, owner) = read_with_owner(vec![0; 9], &path, FileRole::Spool, 5).unwrap();
        assert_eq!(octets, b"12345");
        assert!(!is_another(owner) && is_another(owner + 1));
        let error = read_with_owner(Vec::new(), &path, FileRole::Spool, 4).unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 4, .. }));
        symlink(&path, dir.path().join("l")).unwrap();
        let error = read_with_owner(Vec::new(), &dir.path().join("l"), FileRole::Spool, 5);
        assert!(matches!(error.unwrap_err(), Error::NotRegular { .. }));
    }

    #[test]
    fn a_regular_file_takes_one_allocation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let octets: Vec<u8> = (0..8_388_608_u32).map(|i| i.to_le_bytes()[1]).collect();
        fs::write(&path, &octets).unwrap();
        let read = read(&path, FileRole::Input, 9_437_184).unwrap();
        assert!(read == octets);
        assert_eq!(read.capacity(), octets.len());
    }

    #[test]
    fn streams_of_unknown_size_are_read_up_to_the_limit() {
        let octets = vec![7; 300_000];
        for limit in [300_000, 300_001, 10_000_000] {
            assert!(
                read_from(&mut &octets[..], Path::new("-"), FileRole::Input, limit).unwrap()
                    == octets
            );
        }
        for limit in [0, 1, PROBE, GROWTH, 299_999] {
            let error =
                read_from(&mut &octets[..], Path::new("-"), FileRole::Input, limit).unwrap_err();
            assert!(matches!(error, Error::TooLarge { .. }), "{limit}");
        }
        assert_eq!(
            read(Path::new("/dev/null"), FileRole::Input, 9).unwrap(),
            b""
        );
        assert!(matches!(
            read(Path::new("/dev/zero"), FileRole::Input, 9999),
            Err(Error::TooLarge { .. })
        ));
        assert!(
            !read(Path::new("/proc/self/stat"), FileRole::Input, 65_536)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_fifo_is_an_input_but_not_a_node_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        mkfifo(&path);
        assert!(matches!(
            read(&path, FileRole::Node, 9),
            Err(Error::NotRegular { .. })
        ));
        std::thread::scope(|scope| {
            scope.spawn(|| fs::write(&path, b"through").unwrap());
            assert_eq!(read(&path, FileRole::Input, 9).unwrap(), b"through");
        });
    }

    #[test]
    fn links_are_followed_for_the_user_only() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("f"), dir.path().join("l"));
        fs::write(&file, b"x").unwrap();
        chmod(&file, 0o600);
        symlink("f", &link).unwrap();
        assert_eq!(read(&link, FileRole::Input, 9).unwrap(), b"x");
        assert_eq!(*read_secret(&link, FileRole::Keys, 9).unwrap(), b"x");
        assert!(matches!(
            read(&link, FileRole::Spool, 9),
            Err(Error::NotRegular { .. })
        ));
        assert!(matches!(
            read_secret(&link, FileRole::Node, 9),
            Err(Error::NotRegular { .. })
        ));
    }

    #[test]
    fn directories_and_missing_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let error = read(dir.path(), FileRole::Input, 9).unwrap_err();
        assert_eq!(
            (error.doing(), error.io_kind()),
            (Some(Operation::Open), Some(io::ErrorKind::IsADirectory))
        );
        assert!(matches!(
            read(dir.path(), FileRole::Node, 9),
            Err(Error::NotRegular { .. })
        ));
        let error = open_input(&dir.path().join("x")).unwrap_err();
        assert!(error.is_not_found());
        assert!(!exists(&dir.path().join("x"), FileRole::Node).unwrap());
        assert!(exists(dir.path(), FileRole::Node).unwrap());
    }

    #[test]
    fn a_secret_that_others_can_reach_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, b"secret").unwrap();
        for exposed in [0o640, 0o604, 0o610, 0o602, 0o644] {
            chmod(&path, exposed);
            let error = read_secret(&path, FileRole::Node, 99).unwrap_err();
            assert!(matches!(error, Error::Exposed { mode, .. } if mode == exposed));
        }
        chmod(&path, 0o600);
        assert_eq!(*read_secret(&path, FileRole::Node, 6).unwrap(), b"secret");
        assert!(matches!(
            read_secret(&path, FileRole::Node, 5),
            Err(Error::TooLarge { .. })
        ));
    }

    #[test]
    fn directories_have_the_mode_that_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let shared = dir.path().join("in");
        assert!(create_dir(&shared, FileRole::Node, 0o3770).unwrap());
        assert_eq!(mode(&shared), 0o3770);
        assert!(!create_dir(&shared, FileRole::Node, 0o700).unwrap());
        assert_eq!(mode(&shared), 0o3770);
        assert!(create_dir_all_private(&dir.path().join("a/b/c"), FileRole::Node).unwrap());
        assert_eq!(
            (mode(&dir.path().join("a")), mode(&dir.path().join("a/b/c"))),
            (0o700, 0o700)
        );
        fs::write(dir.path().join("f"), b"").unwrap();
        let error = create_dir(&dir.path().join("f"), FileRole::Node, 0o700).unwrap_err();
        assert_eq!(
            (error.doing(), error.io_kind()),
            (Some(Operation::Create), Some(io::ErrorKind::AlreadyExists))
        );
    }

    #[test]
    fn removing_twice_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"").unwrap();
        assert!(remove(&path, FileRole::Spool).unwrap());
        assert!(!remove(&path, FileRole::Spool).unwrap());
    }

    #[test]
    fn only_the_file_that_was_read_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("f"), b"one").unwrap();
        let file = open_input(&at("f")).unwrap();
        let identity = FileId::of(&file).unwrap();
        fs::write(at("g"), b"two").unwrap();
        fs::rename(at("f"), at("h")).unwrap();
        fs::rename(at("g"), at("f")).unwrap();
        let paths = [at("f"), at("g"), at("h"), at("h")];
        let files = paths.iter().map(|path| (&**path, identity));
        assert_eq!(remove_same(files, FileRole::Spool).unwrap(), 1);
        assert!(at("f").exists() && !at("h").exists());
        assert_eq!(FileId::of(&File::open(dir.path()).unwrap()), None);
    }

    #[test]
    fn a_tree_is_removed_without_following_links() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("peer");
        fs::create_dir_all(tree.join("held/deep")).unwrap();
        fs::create_dir(dir.path().join("kept")).unwrap();
        fs::write(dir.path().join("kept/f"), b"").unwrap();
        fs::write(tree.join("held/deep/f"), b"").unwrap();
        fs::write(tree.join(".relay-x.tmp"), b"").unwrap();
        symlink("../kept", tree.join("link")).unwrap();
        symlink("peer", dir.path().join("alias")).unwrap();
        assert!(matches!(
            remove_tree(&dir.path().join("alias"), FileRole::Node),
            Err(Error::NotRegular { .. })
        ));
        assert!(remove_tree(&tree, FileRole::Node).unwrap());
        assert!(!tree.exists() && dir.path().join("kept/f").exists());
        assert!(!remove_tree(&tree, FileRole::Node).unwrap());
    }

    #[test]
    fn records_follow_one_another_and_torn_ones_are_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seen");
        append_record(&path, FileRole::Node, b"1111").unwrap();
        assert_eq!(mode(&path), 0o600);
        append_record(&path, FileRole::Node, b"2222").unwrap();
        fs::write(&path, b"11112222333").unwrap();
        append_record(&path, FileRole::Node, b"4444").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"111122224444");
        append_records(&path, FileRole::Node, &[*b"5555", *b"6666"]).unwrap();
        append_records::<4>(&path, FileRole::Node, &[]).unwrap();
        fs::write(&path, b"1111222244445555666677").unwrap();
        let mut records = Vec::new();
        let take = |record: &[u8; 4]| {
            records.push(*record);
            match record {
                b"6666" => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        };
        each_record(&path, FileRole::Node, take).unwrap();
        assert_eq!(records.as_flattened(), b"11112222444455556666");
        let missing = dir.path().join("missing");
        each_record::<4>(&missing, FileRole::Node, |_| panic!("a record of nothing")).unwrap();
        symlink("seen", dir.path().join("link")).unwrap();
        let error = append_record(&dir.path().join("link"), FileRole::Node, b"5555").unwrap_err();
        assert!(matches!(error, Error::NotRegular { .. }));
    }

    #[test]
    fn lines_follow_one_another_and_torn_ones_are_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("day");
        append_line(&path, FileRole::Spool, b"first").unwrap();
        let mut torn = fs::read(&path).unwrap();
        torn.extend_from_slice(&[b'x'; 9000]);
        fs::write(&path, torn).unwrap();
        append_line(&path, FileRole::Spool, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first\nsecond\n");
        fs::write(&path, b"only torn").unwrap();
        append_line(&path, FileRole::Spool, b"third").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third\n");
    }

    #[test]
    fn what_is_read_again_is_a_file_or_nothing_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link, fifo) = (
            dir.path().join("f"),
            dir.path().join("l"),
            dir.path().join("p"),
        );
        fs::write(&file, b"octets").unwrap();
        symlink("f", &link).unwrap();
        mkfifo(&fifo);
        for path in [&file, &link] {
            assert_eq!(read_again(path, FileRole::Input, 6).unwrap(), b"octets");
        }
        let long = read_again(&file, FileRole::Input, 5).unwrap_err();
        assert!(matches!(long, Error::TooLarge { .. }));
        for path in [&fifo, dir.path(), Path::new("/dev/zero")] {
            let error = read_again(path, FileRole::Input, 6).unwrap_err();
            assert!(matches!(error, Error::NotRegular { .. }), "{error}");
        }
        let missing = read_again(&dir.path().join("x"), FileRole::Input, 6);
        assert!(missing.unwrap_err().is_not_found());
    }
}
