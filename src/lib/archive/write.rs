//! A directory, read as a tar stream.
//!
//! [`Tree::open`] lists all of it, which gives the length of the stream and what is left out. Then
//! the files are read one by one, so that a tree of any size takes the memory of its names alone.
//! The same tree gives the same octets: entries are sorted, and say nothing of users.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::format::{BLOCK, END, HeadFields, padding_of, put_head, shown};
use super::{Error, MAX_DEPTH, MAX_ENTRIES, MAX_PATH_LEN};
use crate::disk::dir::Dir;
use crate::disk::entry::{EntryFacts, OpenEntry};
use crate::disk::publish::is_temporary;
use crate::disk::tree::EntryKind;
use crate::disk::{self, FileRole};

/// A directory that is read as a tar stream, by [`Read`] or [`Tree::fill`].
#[derive(Debug)]
pub struct Tree {
    entries: Vec<TreeEntry>,
    omissions: Vec<Omission>,
    len: u64,
    /// How many entries have been begun.
    begun: usize,
    /// The directories that lead to the current entry, the top one first.
    dirs: Vec<Dir>,
    /// Octets that come next, and how many of them have been read.
    ready: (Vec<u8>, usize),
    /// The file whose content comes after them.
    file: Option<FileInTree>,
    is_ended: bool,
}

/// A file or directory in the stream.
#[derive(Debug)]
struct TreeEntry {
    /// The number of its directory among the entries; its own for the top directory.
    above: usize,
    name: OsString,
    /// Its name in the stream, if that is another one.
    spelling: Option<String>,
    facts: EntryFacts,
}

/// A file that is being read.
#[derive(Debug)]
struct FileInTree {
    file: OpenEntry,
    facts: EntryFacts,
    /// How many octets are still to come.
    left: u64,
}

/// A file that is left out of the stream, or has another name in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Omission {
    /// Its path.
    pub path: PathBuf,
    /// The reason, as the rest of a sentence: `a symbolic link`.
    pub reason: String,
    /// Whether it is in the stream, under another name.
    pub is_renamed: bool,
}

impl Tree {
    /// Lists a directory that is to be called `name` in the stream. A link to it is followed, those
    /// in it are not.
    ///
    /// # Errors
    /// [`Error::TooMany`], [`Error::TooDeep`] and [`Error::LongPath`] for what no reader takes;
    /// [`Error::BadName`]; [`Error::Disk`] when a directory cannot be listed.
    pub fn open(dir: &Path, name: &str) -> Result<Self, Error> {
        if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
            return Err(Error::BadName(name.to_owned()));
        }
        let top = Dir::open(dir, FileRole::Input)?;
        let mut tree = Self {
            entries: vec![TreeEntry {
                above: 0,
                name: OsString::from(name),
                spelling: None,
                facts: top.own_facts()?,
            }],
            omissions: Vec::new(),
            len: END.len() as u64,
            begun: 0,
            dirs: Vec::new(),
            ready: (Vec::new(), 0),
            file: None,
            is_ended: false,
        };
        tree.count(0)?;
        tree.list(&top, 0, 1)?;
        tree.dirs.push(top);
        Ok(tree)
    }

    /// The length of the stream, in octets.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "no tree gives an empty stream")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The number of files and directories in the stream, the top directory included.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// What is left out, and what has another name in the stream.
    #[must_use]
    pub fn omissions(&self) -> &[Omission] {
        &self.omissions
    }

    /// Adds what is in a directory, which is entry number `above` and has `depth` names in its
    /// path.
    fn list(&mut self, dir: &Dir, above: usize, depth: usize) -> Result<(), Error> {
        let mut names = BTreeSet::new();
        for entry in dir.names()? {
            names.insert(entry?.name);
            // What is left out counts, too: all names are kept in memory.
            if self.entries.len() + self.omissions.len() + names.len() > MAX_ENTRIES {
                return Err(Error::TooMany);
            }
        }
        for name in &names {
            let Some(facts) = dir.facts(name)? else {
                continue; // gone since it was listed
            };
            if let Some(reason) = self.reason_to_omit(name, &facts) {
                let path = dir.path().join(name);
                self.omit(path, reason, false);
                continue;
            }
            if depth == MAX_DEPTH {
                return Err(Error::TooDeep(shown(&self.path_of(above))));
            }
            let spelling = spelling_of(name, &names);
            if let Some(spelling) = &spelling {
                self.omit(dir.path().join(name), format!("sent as {spelling}"), true);
            }
            let number = self.entries.len();
            self.entries.push(TreeEntry {
                above,
                name: name.clone(),
                spelling,
                facts,
            });
            self.count(number)?;
            if facts.kind == Some(EntryKind::Dir)
                && let Some(dir) = dir.dir(name)?
            {
                self.list(&dir, number, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Why an entry cannot be in the stream, or should not.
    fn reason_to_omit(&self, name: &OsStr, facts: &EntryFacts) -> Option<String> {
        let is_elsewhere = facts.device != self.entries[0].facts.device;
        match facts.kind {
            None => Some(facts.word().to_owned()),
            Some(_) if is_temporary(name) => Some("a temporary file of a run".to_owned()),
            // Not of files: an overlay file system has them on several devices.
            Some(EntryKind::Dir) if is_elsewhere => Some("on another file system".to_owned()),
            Some(_) => None,
        }
    }

    fn omit(&mut self, path: PathBuf, reason: String, is_renamed: bool) {
        self.omissions.push(Omission {
            path,
            reason,
            is_renamed,
        });
    }

    /// Adds the length of an entry.
    fn count(&mut self, number: usize) -> Result<(), Error> {
        let path = self.path_of(number);
        if path.len() > MAX_PATH_LEN {
            return Err(Error::LongPath(shown(&path)));
        }
        let mut head = Vec::with_capacity(3 * BLOCK);
        let fields = self.fields(number, &path);
        put_head(&fields, &mut head);
        let padding = padding_of(fields.len) as u64;
        self.len += head.len() as u64 + fields.len + padding;
        Ok(())
    }

    fn fields<'a>(&self, number: usize, path: &'a str) -> HeadFields<'a> {
        let facts = &self.entries[number].facts;
        let is_dir = facts.kind == Some(EntryKind::Dir);
        HeadFields {
            path,
            is_dir,
            is_executable: facts.is_executable,
            len: if is_dir { 0 } else { facts.len },
            modified: facts.modified,
        }
    }

    /// The path of an entry in the stream.
    fn path_of(&self, number: usize) -> String {
        let mut names = Vec::new();
        let mut number = number;
        loop {
            let entry = &self.entries[number];
            let name = entry.name.to_string_lossy();
            names.push(entry.spelling.as_deref().map_or(name, Into::into));
            if entry.above == number {
                break;
            }
            number = entry.above;
        }
        names.reverse();
        names.join("/")
    }

    /// How many directories an entry is below.
    fn depth_of(&self, number: usize) -> usize {
        let (mut number, mut depth) = (number, 0);
        while self.entries[number].above != number {
            number = self.entries[number].above;
            depth += 1;
        }
        depth
    }

    /// Reads some octets of the stream; none at its end, or if `octets` is empty. After an error the
    /// stream is of no use.
    ///
    /// # Errors
    /// [`Error::Unsteady`] when a file is not what it was when the tree was opened; [`Error::Disk`]
    /// when it cannot be read.
    pub fn fill(&mut self, octets: &mut [u8]) -> Result<usize, Error> {
        loop {
            let (ready, read) = &mut self.ready;
            let rest = &ready[*read..];
            if !rest.is_empty() || octets.is_empty() {
                let len = rest.len().min(octets.len());
                octets[..len].copy_from_slice(&rest[..len]);
                *read += len;
                return Ok(len);
            }
            ready.clear();
            *read = 0;
            if let Some(file) = &mut self.file {
                if file.left > 0 {
                    return file.fill(octets);
                }
                file.check_end()?;
                ready.resize(padding_of(file.facts.len), 0);
                self.file = None;
            } else if self.begun < self.entries.len() {
                self.begin()?;
            } else if self.is_ended {
                return Ok(0);
            } else {
                ready.extend_from_slice(&END);
                self.is_ended = true;
            }
        }
    }

    /// Begins the next entry.
    fn begin(&mut self) -> Result<(), Error> {
        let number = self.begun;
        let depth = self.depth_of(number);
        if depth > 0 {
            self.dirs.truncate(depth);
            let entry = &self.entries[number];
            let dir = self.dirs.last().ok_or(Error::TooMany)?;
            match entry.facts.kind {
                Some(EntryKind::Dir) => {
                    let path = || dir.path().join(&entry.name);
                    let inner = dir.dir(&entry.name)?;
                    let inner = inner.ok_or_else(|| Error::Unsteady(path()))?;
                    self.dirs.push(inner);
                }
                _ => self.file = Some(FileInTree::open(dir, entry)?),
            }
        }
        let path = self.path_of(number);
        let mut head = std::mem::take(&mut self.ready.0);
        put_head(&self.fields(number, &path), &mut head);
        self.ready = (head, 0);
        self.begun += 1;
        Ok(())
    }
}

impl Read for Tree {
    /// Fails with an [`Error`] in an [`io::Error`].
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        self.fill(octets).map_err(io::Error::other)
    }
}

impl FileInTree {
    fn open(dir: &Dir, entry: &TreeEntry) -> Result<Self, Error> {
        let unsteady = || Error::Unsteady(dir.path().join(&entry.name));
        let file = match dir.open_file(&entry.name) {
            Err(error) if error.is_not_found() => return Err(unsteady()),
            Err(disk::Error::NotRegular { .. }) => return Err(unsteady()),
            file => file?,
        };
        if !file.facts()?.is_unchanged_since(&entry.facts) {
            return Err(unsteady());
        }
        Ok(Self {
            file,
            facts: entry.facts,
            left: entry.facts.len,
        })
    }

    fn unsteady(&self) -> Error {
        Error::Unsteady(self.file.path().to_owned())
    }

    fn fill(&mut self, octets: &mut [u8]) -> Result<usize, Error> {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let room = octets.len().min(left);
        match self.file.read(&mut octets[..room])? {
            0 => Err(self.unsteady()), // it is shorter by now
            len => {
                self.left -= len as u64;
                Ok(len)
            }
        }
    }

    /// Checks that the file ends where it did, and was not written to meanwhile.
    fn check_end(&mut self) -> Result<(), Error> {
        // Some file systems that programs provide give files of length 0 that have content.
        let is_longer = self.file.read(&mut [0])? > 0;
        if is_longer || !self.file.facts()?.is_unchanged_since(&self.facts) {
            return Err(self.unsteady());
        }
        Ok(())
    }
}

/// The spelling of a name that is not UTF-8, as paths in the stream have to be: other octets become
/// `%E9`. `None` for any other name. It differs from those of all other `names`.
fn spelling_of(name: &OsStr, names: &BTreeSet<OsString>) -> Option<String> {
    if name.to_str().is_some() {
        return None;
    }
    let mut spelling = String::new();
    for chunk in name.as_bytes().utf8_chunks() {
        spelling.push_str(chunk.valid());
        for octet in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(spelling, "%{octet:02X}");
        }
    }
    // A second name with the same spelling is one that has it as it is.
    while names.contains(OsStr::new(&spelling)) {
        spelling.push('~');
    }
    Some(spelling)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::time::{Duration, SystemTime};

    use super::*;

    fn stream(tree: &mut Tree) -> Vec<u8> {
        let mut octets = Vec::new();
        tree.read_to_end(&mut octets).unwrap();
        octets
    }

    /// A tree `t` with files and directories, and the directory that it is in.
    fn sample() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let top = root.path().join("t");
        fs::create_dir_all(top.join("b/c")).unwrap();
        fs::create_dir(top.join("empty")).unwrap();
        for (name, len) in [("a", 0), ("b/one", 1), ("b/c/block", 512), ("z", 513)] {
            fs::write(top.join(name), vec![b'x'; len]).unwrap();
        }
        fs::set_permissions(top.join("z"), fs::Permissions::from_mode(0o4755)).unwrap();
        (root, top)
    }

    fn set_modified(path: &Path, modified: SystemTime) {
        let file = fs::File::open(path).unwrap();
        file.set_modified(modified).unwrap();
    }

    #[test]
    fn a_tree_is_sorted_and_as_long_as_it_says() {
        let (_root, top) = sample();
        let half = SystemTime::UNIX_EPOCH + Duration::from_millis(1500);
        set_modified(&top.join("z"), half);
        set_modified(
            &top.join("a"),
            SystemTime::UNIX_EPOCH + Duration::from_secs(9),
        );
        let mut tree = Tree::open(&top, "photos").unwrap();
        assert_eq!((tree.entries(), tree.omissions()), (8, &[][..]));
        let octets = stream(&mut tree);
        assert_eq!(octets.len() as u64, tree.len());
        assert_eq!(stream(&mut Tree::open(&top, "photos").unwrap()), octets);
        let mut archive = tar::Archive::new(&*octets);
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            assert_eq!(header.username().unwrap(), Some(""));
            let mode = header.mode().unwrap();
            let path = entry.path().unwrap().display().to_string();
            found.push((path, mode, content.len()));
        }
        let expected = [
            ("photos/", 0o700, 0),
            ("photos/a", 0o600, 0),
            ("photos/b/", 0o700, 0),
            ("photos/b/c/", 0o700, 0),
            ("photos/b/c/block", 0o600, 512),
            ("photos/b/one", 0o600, 1),
            ("photos/empty/", 0o700, 0),
            ("photos/z", 0o700, 513),
        ];
        let expected = expected.map(|(path, mode, len)| (path.to_owned(), mode, len));
        assert_eq!(found, expected);
        let text = String::from_utf8_lossy(&octets);
        assert!(text.contains("13 mtime=1.5\n"), "{text}");
        assert!(!text.contains("mtime=9"));
    }

    #[test]
    fn small_buffers_and_an_empty_directory_do() {
        let root = tempfile::tempdir().unwrap();
        let mut tree = Tree::open(root.path(), "nothing").unwrap();
        let mut octets = Vec::new();
        let mut one = [0; 7];
        loop {
            match tree.fill(&mut one).unwrap() {
                0 => break,
                len => octets.extend_from_slice(&one[..len]),
            }
        }
        assert_eq!(octets.len() as u64, tree.len());
        assert_eq!(tar::Archive::new(&*octets).entries().unwrap().count(), 1);
        assert_eq!(tree.fill(&mut []).unwrap(), 0);
    }

    #[test]
    fn what_is_no_file_is_left_out_and_told() {
        let (_root, top) = sample();
        symlink("a", top.join("link")).unwrap();
        symlink("/", top.join("b/up")).unwrap();
        fs::write(top.join(".relay-x.tmp"), "half").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(top.join("socket")).unwrap();
        let mut mkfifo = std::process::Command::new("mkfifo");
        let made = mkfifo.arg(top.join("fifo")).status().unwrap();
        assert!(made.success());
        let mut tree = Tree::open(&top, "t").unwrap();
        let told = tree.omissions().iter();
        let told: Vec<_> = told
            .map(|it| {
                (
                    it.path.strip_prefix(&top).unwrap().to_str().unwrap(),
                    &*it.reason,
                )
            })
            .collect();
        let expected = [
            (".relay-x.tmp", "a temporary file of a run"),
            ("b/up", "a symbolic link"),
            ("fifo", "a FIFO"),
            ("link", "a symbolic link"),
            ("socket", "a socket"),
        ];
        assert_eq!(told, expected);
        let octets = stream(&mut tree);
        assert_eq!(tar::Archive::new(&*octets).entries().unwrap().count(), 8);
    }

    #[test]
    fn names_of_all_kinds_are_carried() {
        let root = tempfile::tempdir().unwrap();
        let longest = "l".repeat(255);
        let latin = OsStr::from_bytes(b"caf\xe9");
        for name in ["new\nline", "grün", "caf%E9", "-", "back\\slash", &*longest] {
            fs::write(root.path().join(name), name).unwrap();
        }
        fs::write(root.path().join(latin), "latin").unwrap();
        let mut tree = Tree::open(root.path(), "t").unwrap();
        assert_eq!(
            tree.omissions(),
            [Omission {
                path: root.path().join(latin),
                reason: "sent as caf%E9~".to_owned(),
                is_renamed: true,
            }]
        );
        let octets = stream(&mut tree);
        let names = [
            "-",
            "back\\slash",
            "caf%E9",
            "caf%E9~",
            "grün",
            &longest,
            "new\nline",
        ];
        // The crate's own reader takes no records with a line feed in them.
        for name in names {
            let path = format!("t/{name}");
            let is_there = octets.windows(path.len()).any(|it| it == path.as_bytes());
            assert!(is_there, "{name:?}");
        }
        assert_eq!(octets.len() as u64, tree.len());
    }

    #[test]
    fn limits_are_told_before_anything_is_read() {
        let root = tempfile::tempdir().unwrap();
        let deep = |depth: usize| root.path().join(vec!["d"; depth].join("/"));
        fs::create_dir_all(deep(MAX_DEPTH - 1)).unwrap();
        assert_eq!(Tree::open(root.path(), "t").unwrap().entries(), MAX_DEPTH);
        fs::write(deep(MAX_DEPTH - 1).join("f"), "").unwrap();
        let refused = Tree::open(root.path(), "t").unwrap_err();
        assert!(matches!(&refused, Error::TooDeep(path) if path.len() == 2 * MAX_DEPTH - 1));
        fs::remove_dir_all(deep(1)).unwrap();
        let long = vec!["n".repeat(250); 8].join("/");
        fs::create_dir_all(root.path().join(&long)).unwrap();
        assert!(Tree::open(root.path(), "t").is_ok());
        fs::write(root.path().join(&long).join("x".repeat(50)), "").unwrap();
        assert!(matches!(
            Tree::open(root.path(), "t"),
            Err(Error::LongPath(_))
        ));
        for name in ["", ".", "..", "a/b", "a\0"] {
            assert!(matches!(
                Tree::open(root.path(), name),
                Err(Error::BadName(_))
            ));
        }
        let missing = Tree::open(&root.path().join("none"), "t").unwrap_err();
        assert!(matches!(missing, Error::Disk(error) if error.is_not_found()));
    }

    #[test]
    fn what_changes_while_it_is_read_is_an_error_that_names_it() {
        let grow = |path: &Path| fs::write(path, vec![b'y'; 2000]).unwrap();
        let shrink = |path: &Path| fs::write(path, "").unwrap();
        let remove = |path: &Path| fs::remove_file(path).unwrap();
        let link = |path: &Path| {
            fs::remove_file(path).unwrap();
            symlink("a", path).unwrap();
        };
        let changes: [&dyn Fn(&Path); 4] = [&grow, &shrink, &remove, &link];
        for (number, change) in changes.into_iter().enumerate() {
            let (_root, top) = sample();
            let mut tree = Tree::open(&top, "t").unwrap();
            change(&top.join("z"));
            let error = tree.read_to_end(&mut Vec::new()).unwrap_err();
            let error = error.downcast::<Error>().unwrap();
            assert!(
                matches!(&error, Error::Unsteady(path) if *path == top.join("z")),
                "{number}: {error}"
            );
        }
        // In the middle of the file.
        let (_root, top) = sample();
        fs::write(top.join("z"), vec![b'x'; 100_000]).unwrap();
        let mut tree = Tree::open(&top, "t").unwrap();
        let mut half = vec![0; usize::try_from(tree.len()).unwrap() - 50_000];
        tree.read_exact(&mut half).unwrap();
        fs::write(top.join("z"), vec![b'x'; 60_000]).unwrap();
        assert!(tree.read_to_end(&mut Vec::new()).is_err());
    }

    #[test]
    fn a_directory_that_becomes_a_link_is_not_followed() {
        let (root, top) = sample();
        let mut tree = Tree::open(&top, "t").unwrap();
        fs::rename(top.join("b"), root.path().join("b")).unwrap();
        symlink("../b", top.join("b")).unwrap();
        let error = tree.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("t/b"), "{error}");
    }

    #[test]
    fn a_tree_may_be_read_in_another_thread() {
        fn is_send<T: Send>() {}
        is_send::<Tree>();
    }
}
