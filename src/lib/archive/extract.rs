//! A directory, made of a tar stream.
//!
//! It is made under a temporary name beside the one that it gets, and is complete and synced when it
//! gets that. Names become what `--keep-name` makes of those of files; two that differ only in case
//! are kept apart by a number, so that the directory may be copied to any file system.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Error;
use super::format::shown;
use super::read::{ArchivedFile, TarReader};
use crate::crypto::hash::sha256;
use crate::disk::new_tree::NewTree;
use crate::disk::{self, FileRole};
use crate::message::file_name;

/// The name of what has none that is left when it is made safe.
const NAMELESS: &str = "_";

/// How far in the future a time may be that is kept.
const MOST_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// How many octets of a file are written at once: from this size on, the disk begins with them at
/// once.
const BLOCK: usize = 1 << 20;

/// A directory that is made of a stream, and has no name yet. If it is dropped, nothing is left.
#[derive(Debug)]
#[must_use = "the directory is removed unless it is placed"]
pub struct Extracted {
    /// The directory under its temporary name.
    pub tree: NewTree,
    /// The name that the stream gives it, made safe.
    pub name: String,
}

impl Extracted {
    /// Syncs the directory, and gives it the first name that is free: its own, then `name~2` and so
    /// on. One of these that has the same files already is kept instead, so that a repeated run leaves
    /// no second one. Returns its name.
    ///
    /// # Errors
    /// [`Error::Disk`]; then nothing is left, unless the sync of the directory above failed.
    pub fn place(mut self) -> Result<String, Error> {
        self.tree.sync()?;
        let mut failed = None;
        for spelling in file_name::spellings(&self.name) {
            for name in file_name::numbered_names(&spelling) {
                let placed = match self.tree.is_at(&name) {
                    Ok(true) => return Ok(name),
                    Ok(false) => self.tree.place(&name),
                    Err(error) => Err(error),
                };
                match placed {
                    Ok(()) => return Ok(name),
                    Err(error @ disk::Error::Exists { .. }) => failed = Some(error),
                    Err(error) if error.is_of_name() => {
                        failed = Some(error);
                        break;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let taken = disk::Error::Exists {
            path: PathBuf::from(self.name),
            role: FileRole::Delivery,
        };
        Err(failed.unwrap_or(taken).into())
    }
}

/// Reads a stream of `len` octets, and makes the directory that is in it, in `dir`, where it will
/// get its name. `now` tells which of its times are in the future.
///
/// # Errors
/// All of [`Error`]; then nothing is left.
pub fn extract(
    source: impl Read,
    len: u64,
    dir: &Path,
    now: SystemTime,
) -> Result<Extracted, Error> {
    let mut reader = TarReader::new(source, len);
    // Before anything is made: most streams that are no archives fail here.
    let Some(top) = reader.next_file()? else {
        let what = "a stream without an entry";
        return Err(Error::Malformed { what, at: 0 });
    };
    let ([top_name], true) = (&*top.names, top.is_dir) else {
        let what = "a first entry that is not the top directory";
        return Err(Error::Unsuitable(shown(&top.path()), what));
    };
    let name = safe(top_name);
    let mut extractor = Extractor {
        tree: NewTree::create(dir)?,
        top: top_name.clone(),
        dirs: vec![NewDir {
            path: PathBuf::new(),
            modified: time(&top, now),
        }],
        known: HashMap::new(),
        taken: HashMap::new(),
        block: Vec::new(),
        now,
    };
    while let Some(file) = reader.next_file()? {
        extractor.add(&file, &mut reader)?;
    }
    Ok(Extracted {
        tree: extractor.finish()?,
        name,
    })
}

/// A directory that is being made of a stream.
struct Extractor {
    tree: NewTree,
    /// The name of the top directory in the stream.
    top: String,
    dirs: Vec<NewDir>,
    /// The number of a directory, by that of the one above and its name in the stream.
    known: HashMap<NameKey, usize>,
    /// The names that are taken, by the number of their directory and what differs not only in case;
    /// each with the last count that was given to a file of this name.
    taken: HashMap<NameKey, usize>,
    /// Room for content.
    block: Vec<u8>,
    now: SystemTime,
}

struct NewDir {
    /// Its path from the top directory.
    path: PathBuf,
    modified: Option<SystemTime>,
}

/// A hash of a directory's number and a name in it: 100 000 names of a hostile stream would take 100
/// times as much.
type NameKey = [u8; 32];

fn key(dir: usize, name: &str) -> NameKey {
    sha256(format!("{dir}/{name}").as_bytes())
}

/// The key that a name shares with those that differ only in case.
fn folded(dir: usize, name: &str) -> NameKey {
    key(dir, &name.to_lowercase())
}

impl Extractor {
    fn add(&mut self, file: &ArchivedFile, reader: &mut TarReader<impl Read>) -> Result<(), Error> {
        let refused = |what| Err(Error::Unsuitable(shown(&file.path()), what));
        let (Some(top), Some(last)) = (file.names.first(), file.names.last()) else {
            return refused("an empty path");
        };
        if *top != self.top {
            return refused("outside of the top directory");
        }
        let mut above = 0;
        if file.names.len() == 1 {
            if !file.is_dir {
                return refused("a file with the name of the top directory");
            }
            self.dirs[0].modified = time(file, self.now);
            return Ok(());
        }
        for name in &file.names[1..file.names.len() - 1] {
            match self.known.get(&key(above, name)) {
                Some(dir) => above = *dir,
                None => return refused("a path whose directory does not come before it"),
            }
        }
        if file.is_dir {
            self.add_dir(file, above, last)
        } else {
            self.add_file(file, above, reader)
        }
    }

    fn add_dir(&mut self, file: &ArchivedFile, above: usize, name: &str) -> Result<(), Error> {
        let modified = time(file, self.now);
        if let Some(known) = self.known.get(&key(above, name)) {
            self.dirs[*known].modified = modified;
            return Ok(());
        }
        let (path, ()) = self.make(file, above, NewTree::make_dir)?;
        self.known.insert(key(above, name), self.dirs.len());
        self.dirs.push(NewDir { path, modified });
        Ok(())
    }

    fn add_file(
        &mut self,
        file: &ArchivedFile,
        above: usize,
        reader: &mut TarReader<impl Read>,
    ) -> Result<(), Error> {
        let is_executable = file.is_executable;
        let (_, mut made) = self.make(file, above, |tree, path| {
            tree.create_file(path, is_executable)
        })?;
        let room = BLOCK.min(usize::try_from(file.len).unwrap_or(BLOCK));
        if self.block.len() < room {
            self.block.resize(room, 0);
        }
        loop {
            let len = reader.content(&mut self.block)?;
            if len == 0 {
                break;
            }
            made.write(&self.block[..len])?;
        }
        if let Some(modified) = time(file, self.now) {
            made.date(modified)?;
        }
        Ok(())
    }

    /// Makes a file or directory under the first name that is free. Returns its path, too.
    fn make<T>(
        &mut self,
        file: &ArchivedFile,
        above: usize,
        mut create: impl FnMut(&mut NewTree, &Path) -> disk::Result<T>,
    ) -> Result<(PathBuf, T), Error> {
        let wanted = safe(file.names.last().map_or("", String::as_str));
        let mut refused = None;
        for spelling in file_name::spellings(&wanted) {
            let base = folded(above, &spelling);
            let first = self.taken.get(&base).copied().unwrap_or(0) + 1;
            for count in first..file_name::MAX_NUMBERED {
                let name = file_name::numbered(&spelling, count);
                let own = folded(above, &name);
                if self.taken.contains_key(&own) && own != base {
                    continue;
                }
                let path = self.dirs[above].path.join(&name);
                match create(&mut self.tree, &path) {
                    Ok(made) => {
                        self.taken.insert(own, 1);
                        self.taken.insert(base, count);
                        return Ok((path, made));
                    }
                    // The file system takes more names for one than we do.
                    Err(disk::Error::Exists { .. }) => {}
                    Err(error) if error.is_of_name() => {
                        refused = Some(error);
                        break;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let what = "too many files with this name";
        Err(refused.map_or_else(|| Error::Unsuitable(shown(&file.path()), what), Error::Disk))
    }

    /// Sets the times of the directories, which changed with each file in them.
    fn finish(self) -> Result<NewTree, Error> {
        for dir in self.dirs.iter().rev() {
            if let Some(modified) = dir.modified {
                self.tree.date_dir(&dir.path, modified)?;
            }
        }
        Ok(self.tree)
    }
}

/// The time of a file, unless it is before 1970 or in the future.
fn time(file: &ArchivedFile, now: SystemTime) -> Option<SystemTime> {
    let (seconds, nanoseconds) = file.modified;
    let since = Duration::new(u64::try_from(seconds).ok()?, nanoseconds);
    let time = SystemTime::UNIX_EPOCH.checked_add(since)?;
    let latest = now.checked_add(MOST_AHEAD)?;
    (time <= latest).then_some(time)
}

fn safe(name: &str) -> String {
    file_name::safe(name).unwrap_or_else(|| NAMELESS.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;
    use crate::archive::Tree;
    use crate::archive::format::{END, HeadFields, padding_of, put_head};

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)
    }

    /// A stream of files and directories, whose paths end with a slash.
    fn stream(files: &[(&str, &str)]) -> Vec<u8> {
        let mut octets = Vec::new();
        for (path, content) in files {
            let fields = HeadFields {
                path: path.trim_end_matches('/'),
                is_dir: path.ends_with('/'),
                is_executable: false,
                len: content.len() as u64,
                modified: (1000, 0),
            };
            put_head(&fields, &mut octets);
            octets.extend_from_slice(content.as_bytes());
            octets.resize(octets.len() + padding_of(content.len() as u64), 0);
        }
        octets.extend_from_slice(&END);
        octets
    }

    fn extracted(octets: &[u8], dir: &Path) -> Result<String, Error> {
        extract(octets, octets.len() as u64, dir, now())?.place()
    }

    /// The paths and contents below a directory, sorted.
    fn found(dir: &Path) -> Vec<(String, String)> {
        let walk = walkdir::WalkDir::new(dir).min_depth(1).sort_by_file_name();
        let found = walk.into_iter().map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().strip_prefix(dir).unwrap();
            let content = fs::read_to_string(entry.path()).unwrap_or_else(|_| "/".to_owned());
            (path.to_str().unwrap().to_owned(), content)
        });
        found.collect()
    }

    fn owned(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = expected.iter();
        owned
            .map(|(path, content)| ((*path).to_owned(), (*content).to_owned()))
            .collect()
    }

    #[test]
    fn a_tree_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("sent");
        fs::create_dir_all(top.join("b/c")).unwrap();
        let long = "n".repeat(190);
        fs::create_dir_all(top.join(&long).join(&long)).unwrap();
        for name in ["a", "b/c/grün", &format!("{long}/{long}/{long}")] {
            fs::write(top.join(name), name).unwrap();
        }
        fs::write(top.join("big"), vec![7; 3 * BLOCK + 1]).unwrap();
        let run = fs::Permissions::from_mode(0o755);
        fs::set_permissions(top.join("a"), run).unwrap();
        let then = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_500_000_001);
        for name in ["a", "b", "b/c", ""] {
            let file = fs::File::open(top.join(name)).unwrap();
            file.set_modified(then).unwrap();
        }
        let mut tree = Tree::open(&top, "photos").unwrap();
        let len = tree.len();
        let name = extract(&mut tree, len, dir.path(), now()).unwrap().place();
        assert_eq!(name.unwrap(), "photos");
        let back = dir.path().join("photos");
        assert_eq!(found(&back), found(&top));
        for (name, mode) in [("", 0o700), ("a", 0o700), ("b", 0o700), ("b/c/grün", 0o600)] {
            let found = fs::metadata(back.join(name)).unwrap();
            assert_eq!(found.mode() & 0o7777, mode, "{name}");
        }
        for name in ["a", "b", "b/c", ""] {
            let modified = fs::metadata(back.join(name)).unwrap().modified().unwrap();
            assert_eq!(modified, then, "{name}");
        }
        // A time in the future is not kept.
        let late = now() + MOST_AHEAD + Duration::from_secs(1);
        let modified = |name| fs::metadata(back.join(name)).unwrap().modified().unwrap();
        assert!(modified("big") > late);
    }

    #[test]
    fn names_are_made_safe_and_kept_apart() {
        let dir = tempfile::tempdir().unwrap();
        let octets = stream(&[
            (".Photos/", ""),
            (".Photos/a.txt", "1"),
            (".Photos/A.TXT", "2"),
            (".Photos/a.txt", "3"),
            (".Photos/a~2.txt", "4"),
            (".Photos/new\nline", "5"),
            (".Photos/-", "6"),
            (".Photos/...", "7"),
            (".Photos/D/", ""),
            (".Photos/d/", ""),
            (".Photos/D/", ""),
            (".Photos/D/x", "8"),
            (".Photos/d/x", "9"),
            (".Photos/d", "10"),
            (".Photos/back\\slash", "11"),
            (".Photos/É", "12"),
            (".Photos/é", "13"),
        ]);
        assert_eq!(extracted(&octets, dir.path()).unwrap(), "Photos");
        let expected = [
            ("A~2.TXT", "2"),
            ("D", "/"),
            ("D/x", "8"),
            ("_", "6"),
            ("_~2", "7"),
            ("a.txt", "1"),
            ("a~2~2.txt", "4"),
            ("a~3.txt", "3"),
            ("d~2", "/"),
            ("d~2/x", "9"),
            ("d~3", "10"),
            ("newline", "5"),
            ("slash", "11"),
            ("É", "12"),
            ("é~2", "13"),
        ];
        assert_eq!(found(&dir.path().join("Photos")), owned(&expected));
    }

    #[test]
    fn nothing_is_replaced_and_the_same_is_no_second_one() {
        let dir = tempfile::tempdir().unwrap();
        let one = stream(&[("t/", ""), ("t/x", "1")]);
        let two = stream(&[("t/", ""), ("t/x", "2")]);
        fs::write(dir.path().join("t"), "file").unwrap();
        for (octets, name) in [(&one, "t~2"), (&two, "t~3"), (&one, "t~2"), (&two, "t~3")] {
            assert_eq!(extracted(octets, dir.path()).unwrap(), name);
        }
        assert_eq!(fs::read(dir.path().join("t")).unwrap(), b"file");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_is_refused_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for files in [
            &[][..],
            &[("x", "")],
            &[("t/x", "")],
            &[("t/a/", "")],
            &[("t/", ""), ("x", "")],
            &[("t/", ""), ("t", "file")],
            &[("t/", ""), ("T/", "")],
            &[("t/", ""), ("t/a/b", "")],
            &[("t/", ""), ("t/a", ""), ("t/a/b", "")],
            &[("t/", ""), ("t/../x", "")],
            &[("t/", ""), ("../x", "")],
            &[("t/", ""), ("/x", "")],
            &[("t/", ""), ("t//x", "")],
            &[("t/", ""), ("t/./x", "")],
            &[("../", "")],
            &[("t/", ""), ("t/é\0b", "")],
        ] {
            let refused = extracted(&stream(files), dir.path()).unwrap_err();
            assert!(
                matches!(refused, Error::Unsuitable(..) | Error::Malformed { .. }),
                "{files:?}: {refused}"
            );
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{files:?}");
        }
    }

    #[test]
    fn a_cut_stream_is_refused_wherever_it_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let octets = stream(&[("t/", ""), ("t/é", "1"), ("t/x", &"2".repeat(1000))]);
        for len in 0..octets.len() {
            if len % 512 > 2 && len % 97 > 0 {
                continue;
            }
            let cut = &octets[..len];
            for told in [len, octets.len()] {
                let refused = extract(cut, told as u64, dir.path(), now());
                let refused = refused.map(drop).unwrap_err();
                assert!(
                    matches!(refused, Error::Malformed { .. }),
                    "{len}: {refused}"
                );
            }
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        }
        for more in [0, 1, 512, 10_000] {
            let mut padded = octets.clone();
            padded.resize(octets.len() + more, 0);
            assert!(extracted(&padded, dir.path()).is_ok(), "{more}");
            padded.push(1);
            assert!(extracted(&padded, dir.path()).is_err(), "{more}");
        }
    }
}
