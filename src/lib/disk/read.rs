//! Reading whole files, within a limit.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::open::{flags, is_placeholder, open};
use super::{Error, FileRole, Operation, Result};

/// The permission bits that a secret file must not have.
const OTHERS: u32 = 0o077;

/// How far past the reported size a read goes to notice growth, in octets.
const PROBE: usize = 512;

/// Minimum size that a buffer grows to, in octets: the default capacity of a pipe on Linux.
pub(super) const GROWTH: usize = 65_536;

/// Reads a whole file of at most `limit` octets.
///
/// # Errors
///
/// [`Error::TooLarge`] when there are more, [`Error::NotRegular`] when the role asks for a regular
/// file, [`Error::Io`] when it cannot be opened or read.
pub fn read(path: &Path, role: FileRole, limit: usize) -> Result<Vec<u8>> {
    read_into(Vec::new(), path, role, limit)
}

/// Reads a whole file as [`read`] does, into a buffer that is reused.
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
    // Files of /proc report 0, and others may grow: the size only saves reallocation.
    let expected = usize::try_from(len).unwrap_or(usize::MAX);
    if expected > limit {
        return Err(too_large(path, role, limit));
    }
    octets.resize(expected, 0);
    fill(&mut file, octets, path, role, limit)
}

/// Reads a whole file as [`read_into`] does, and returns the user id of its owner: that of the file
/// that is read, even if another one has its name by then.
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

/// Reads a whole regular file of at most `limit` octets that was read before. If its name is that
/// of a FIFO by now, this is an error and does not wait for a writer.
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

/// Reads an open file of at most `limit` octets, which must be a regular one.
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
    if is_placeholder(&file, role, metadata.len()) {
        return Err(Error::Placeholder {
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

/// Reads an open input to its end, at most `limit` octets; errors name `path` (`-` for standard
/// input).
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

/// Reads a whole secret file of at most `limit` octets, in one allocation: growing a buffer would
/// leave a copy that is not wiped.
///
/// # Errors
///
/// [`Error::Exposed`] when the group or others have any access to it, and as [`read`].
pub fn read_secret(path: &Path, role: FileRole, limit: usize) -> Result<Zeroizing<Vec<u8>>> {
    // The mode is that of the open file: a path could lead to another one by then.
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
    fill_wiped(&mut file, path, role, limit)
}

/// Reads a secret as [`read_secret`] does, whatever the mode of the file: what reaches a process through a
/// descriptor, or from its service manager, is protected by that.
///
/// # Errors
///
/// As [`read`].
pub fn read_wiped(path: &Path, role: FileRole, limit: usize) -> Result<Zeroizing<Vec<u8>>> {
    let (mut file, _) = open(path, role)?;
    fill_wiped(&mut file, path, role, limit)
}

fn fill_wiped(
    file: &mut File,
    path: &Path,
    role: FileRole,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>> {
    // One octet more than allowed, to notice a longer file without growing the buffer.
    let mut octets = Zeroizing::new(vec![0; limit.saturating_add(1)]);
    let mut filled = 0;
    while filled < octets.len() {
        match read_some(file, &mut octets[filled..]).map_err(Error::io(
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

fn too_large(path: &Path, role: FileRole, limit: usize) -> Error {
    Error::TooLarge {
        path: path.to_owned(),
        role,
        limit,
    }
}

/// Reads to the end into `octets`, whose length is the expected one.
fn fill(
    input: &mut impl Read,
    mut octets: Vec<u8>,
    path: &Path,
    role: FileRole,
    limit: usize,
) -> Result<Vec<u8>> {
    let mut filled = 0;
    loop {
        // At the expected end the next read goes to the stack: a regular file takes one allocation,
        // and its end is noticed without another.
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
                // Doubled, so that a stream of unknown size is copied only a few times.
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
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::disk::metadata::{exists, is_another};
    use crate::disk::open::open_input;
    use crate::disk::testdir::{chmod, mkfifo};

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
