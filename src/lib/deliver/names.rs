//! Chooses names for the files of a group, each of which gets a different one.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Error;
use crate::disk::batch::{Staged, TargetState, UnnamedFile};
use crate::disk::new_tree::NewTree;
use crate::disk::{self, FileRole};
use crate::message::file_name::{self, MAX_NUMBERED};

/// The names to try for a file, in this order.
#[derive(Debug)]
pub struct Wish {
    /// The name that a killed run was about to give. A file there with the same octets is this one.
    pub intended: Option<String>,
    /// The name that the sender chose. A file there is always another one, whatever is in it.
    pub given: Option<String>,
    /// The name that follows from the message. A file there with the same octets is this one.
    pub own: String,
}

/// The names that were chosen for files of a group that have none yet, and those that were refused.
#[derive(Debug, Default)]
pub struct Names {
    chosen: HashSet<PathBuf>,
    /// The count at which each name chosen by senders was last free, so that a search starts there.
    taken: HashMap<PathBuf, usize>,
    /// The names that the file system refused in this run.
    refused: HashSet<PathBuf>,
}

impl Names {
    /// Starts a group: the files of the one before it have their names.
    pub fn begin(&mut self) {
        self.chosen.clear();
        self.taken.clear();
    }

    /// Notes that the file system refused a name, so that the file gets another one.
    pub fn refuse(&mut self, path: PathBuf) {
        self.refused.insert(path);
    }

    /// Chooses a name in `dir` for a file that is written there. No existing file is replaced.
    ///
    /// # Errors
    /// When too many files have names of this form, or one cannot be examined.
    pub fn choose(
        &mut self,
        dir: &Path,
        mut file: UnnamedFile,
        wish: &Wish,
    ) -> Result<(String, Staged), Error> {
        if let Some(name) = &wish.intended
            && !self.is_unusable(&dir.join(name))
        {
            match held_at(&mut file, name)? {
                TargetState::Same => return Ok((name.clone(), file.there())),
                TargetState::Nothing => return Ok(self.take(dir, name.clone(), file)),
                TargetState::Other => {}
            }
        }
        let given = wish.given.iter();
        for given in given.flat_map(|given| file_name::spellings(given)) {
            let base = dir.join(&given);
            let first = self.taken.get(&base).copied().unwrap_or(0) + 1;
            let found = first_free(dir, &given, first, |path| self.chosen.contains(path))?;
            if let Some((name, count)) = found
                && !self.refused.contains(&dir.join(&name))
            {
                self.taken.insert(base, count);
                return Ok(self.take(dir, name, file));
            }
        }
        for name in file_name::numbered_names(&wish.own) {
            if self.chosen.contains(&dir.join(&name)) {
                continue;
            }
            match held_at(&mut file, &name)? {
                TargetState::Same => return Ok((name, file.there())),
                TargetState::Nothing => return Ok(self.take(dir, name, file)),
                TargetState::Other => {}
            }
        }
        Err(Error::Disk(disk::Error::Exists {
            path: dir.join(&wish.own),
            role: FileRole::Delivery,
        }))
    }

    /// Chooses a name in `dir` for a directory that was made there. Returns also whether it has that
    /// name already, because a killed run gave it.
    ///
    /// # Errors
    /// As [`Names::choose`].
    pub fn choose_for_tree(
        &mut self,
        dir: &Path,
        tree: &NewTree,
        wish: &Wish,
    ) -> Result<(String, bool), Error> {
        if let Some(name) = &wish.intended
            && !self.is_unusable(&dir.join(name))
        {
            match tree.is_at(name) {
                Ok(true) => return Ok((name.clone(), true)),
                Ok(false) if !exists(&dir.join(name))? => {
                    self.chosen.insert(dir.join(name));
                    return Ok((name.clone(), false));
                }
                Err(error) if !error.is_of_name() => return Err(error.into()),
                _ => {}
            }
        }
        let given = wish.given.iter();
        let given = given.flat_map(|given| file_name::spellings(given));
        for base in given.chain([wish.own.clone()]) {
            let found = first_free(dir, &base, 1, |path| self.chosen.contains(path))?;
            if let Some((name, _)) = found
                && !self.refused.contains(&dir.join(&name))
            {
                self.chosen.insert(dir.join(&name));
                return Ok((name, false));
            }
        }
        Err(Error::Disk(disk::Error::Exists {
            path: dir.join(&wish.own),
            role: FileRole::Delivery,
        }))
    }

    fn is_unusable(&self, path: &Path) -> bool {
        self.chosen.contains(path) || self.refused.contains(path)
    }

    fn take(&mut self, dir: &Path, name: String, file: UnnamedFile) -> (String, Staged) {
        self.chosen.insert(dir.join(&name));
        let staged = file.named(OsStr::new(&name));
        (name, staged)
    }
}

/// Whether something has this name; one that the file system refuses is as good as taken.
fn exists(path: &Path) -> Result<bool, Error> {
    match disk::files::exists(path, FileRole::Delivery) {
        Err(error) if error.is_of_name() => Ok(true),
        exists => Ok(exists?),
    }
}

/// Compares the file with what has this name; a name that the file system refuses is as good as
/// taken.
fn held_at(file: &mut UnnamedFile, name: &str) -> Result<TargetState, Error> {
    match file.held_at(OsStr::new(name)) {
        Err(error) if error.is_of_name() => Ok(TargetState::Other),
        held => Ok(held?),
    }
}

/// The first name of a form that no file has, from the count `first` on, and its count; `None` if
/// all are taken, or the file system refuses such names. Files are not compared: two files of one
/// name and content may both be wanted.
pub(super) fn first_free(
    dir: &Path,
    given: &str,
    first: usize,
    is_chosen: impl Fn(&Path) -> bool,
) -> Result<Option<(String, usize)>, Error> {
    for count in first..MAX_NUMBERED {
        let name = file_name::numbered(given, count);
        let path = dir.join(&name);
        if is_chosen(&path) {
            continue;
        }
        match disk::files::exists(&path, FileRole::Delivery) {
            Ok(true) => {}
            Ok(false) => return Ok(Some((name, count))),
            Err(error) if error.is_of_name() => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk::batch::{self, Batch};
    use crate::disk::publish::{IfExists, PublishOptions};

    fn wish(intended: Option<&str>, given: Option<&str>) -> Wish {
        Wish {
            intended: intended.map(str::to_owned),
            given: given.map(str::to_owned),
            own: "own".to_owned(),
        }
    }

    /// Writes files with this content in one group, and returns their names.
    fn name(dir: &Path, files: &[(&str, Wish)]) -> Vec<String> {
        let (mut names, mut batch) = (Names::default(), Batch::default());
        let given = files.iter().map(|(content, wish)| {
            let options = PublishOptions::delivery(IfExists::SameIsSuccess);
            let file = batch::write(dir, &[content.as_bytes()], &options).unwrap();
            let (name, staged) = names.choose(dir, file, wish).unwrap();
            batch.add(staged).unwrap();
            name
        });
        let given = given.collect();
        batch.commit().unwrap();
        assert!(batch.take_refused().is_empty());
        given
    }

    #[test]
    fn each_file_that_has_its_senders_name_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let given = |content| (content, wish(None, Some("a.txt")));
        let first = name(dir.path(), &[given("one"), given("one"), given("two")]);
        assert_eq!(first, ["a.txt", "a~2.txt", "a~3.txt"]);
        assert_eq!(name(dir.path(), &[given("one")]), ["a~4.txt"]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    }

    #[test]
    fn what_was_about_to_be_named_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let again = |content| (content, wish(Some("a~2.txt"), Some("a.txt")));
        name(dir.path(), &[("one", wish(None, Some("a.txt")))]);
        assert_eq!(name(dir.path(), &[again("one")]), ["a~2.txt"]);
        assert_eq!(name(dir.path(), &[again("one")]), ["a~2.txt"]);
        assert_eq!(name(dir.path(), &[again("other")]), ["a~3.txt"]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_name_that_follows_from_the_message_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let own = |content| (content, wish(None, None));
        assert_eq!(
            name(dir.path(), &[own("one"), own("two")]),
            ["own", "own~2"]
        );
        assert_eq!(name(dir.path(), &[own("two")]), ["own~2"]);
        assert_eq!(name(dir.path(), &[own("one")]), ["own"]);
        assert_eq!(name(dir.path(), &[own("three")]), ["own~3"]);
    }

    #[test]
    fn a_directory_gets_another_spelling_where_its_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let tree = NewTree::create(dir.path()).unwrap();
        let mut names = Names::default();
        let wish = wish(Some("in:tended"), Some("10:30"));
        let mut chosen = Vec::new();
        for _ in 0..4 {
            let (name, is_there) = names.choose_for_tree(dir.path(), &tree, &wish).unwrap();
            assert!(!is_there);
            names.begin();
            names.refuse(dir.path().join(&name));
            chosen.push(name);
        }
        assert_eq!(chosen, ["in:tended", "10:30", "10_30", "own"]);
        assert!(names.choose_for_tree(dir.path(), &tree, &wish).is_err());
        // One that is taken, or chosen for another of the group, has a number.
        fs::create_dir(dir.path().join("t")).unwrap();
        let mut names = Names::default();
        let wish = wish_for_tree("t");
        let mut choose = || names.choose_for_tree(dir.path(), &tree, &wish).unwrap();
        assert_eq!(
            (choose().0, choose().0),
            ("t~2".to_owned(), "t~3".to_owned())
        );
    }

    fn wish_for_tree(given: &str) -> Wish {
        wish(None, Some(given))
    }

    #[test]
    fn a_name_that_was_refused_is_not_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut names = Names::default();
        let mut chosen = Vec::new();
        for _ in 0..3 {
            let options = PublishOptions::delivery(IfExists::SameIsSuccess);
            let file = batch::write(dir.path(), &[b"x"], &options).unwrap();
            let wish = wish(Some("in:tended"), Some("10:30.txt"));
            let (name, _) = names.choose(dir.path(), file, &wish).unwrap();
            names.begin();
            names.refuse(dir.path().join(&name));
            chosen.push(name);
        }
        assert_eq!(chosen, ["in:tended", "10:30.txt", "10_30.txt"]);
        let long = "x".repeat(300);
        let options = PublishOptions::delivery(IfExists::SameIsSuccess);
        let file = batch::write(dir.path(), &[b"x"], &options).unwrap();
        let wish = wish(Some(&long), Some(&long));
        assert_eq!(
            names.choose(dir.path(), file, &wish).unwrap().0,
            long[..100]
        );
    }
}
