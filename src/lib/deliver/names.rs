//! Chooses names for the files of a group, each of which gets a different one.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Error;
use crate::disk::batch::{Staged, TargetState, UnnamedFile};
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

/// The names that were chosen for files of a group that have none yet.
#[derive(Debug, Default)]
pub struct Names {
    chosen: HashSet<PathBuf>,
    /// The count at which each name chosen by senders was last free, so that a search starts there.
    taken: HashMap<PathBuf, usize>,
}

impl Names {
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
            && !self.chosen.contains(&dir.join(name))
        {
            match file.held_at(OsStr::new(name))? {
                TargetState::Same => return Ok((name.clone(), file.there())),
                TargetState::Nothing => return Ok(self.take(dir, name.clone(), file)),
                TargetState::Other => {}
            }
        }
        if let Some(given) = &wish.given {
            let first = self.taken.get(&dir.join(given)).copied().unwrap_or(0) + 1;
            for count in first..MAX_NUMBERED {
                let name = file_name::numbered(given, count);
                let path = dir.join(&name);
                // Whether a file exists is asked without comparing it: two files of one name and
                // content may both be wanted.
                if !self.chosen.contains(&path) && !disk::files::exists(&path, FileRole::Delivery)?
                {
                    self.taken.insert(dir.join(given), count);
                    return Ok(self.take(dir, name, file));
                }
            }
        }
        for name in file_name::numbered_names(&wish.own) {
            if self.chosen.contains(&dir.join(&name)) {
                continue;
            }
            match file.held_at(OsStr::new(&name))? {
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

    fn take(&mut self, dir: &Path, name: String, file: UnnamedFile) -> (String, Staged) {
        self.chosen.insert(dir.join(&name));
        let staged = file.named(OsStr::new(&name));
        (name, staged)
    }
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
}
