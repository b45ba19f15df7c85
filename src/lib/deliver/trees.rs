//! Directories that are made of content ([`archive`](crate::archive)), and their names.
//!
//! A directory is named as a file is whose name its sender chose: the name is noted before it is
//! given, so that a later run finds the directory that a killed one left.

use std::path::{Path, PathBuf};

use super::Error;
use super::names::{Names, Wish};
use crate::archive::Extracted;
use crate::disk;
use crate::disk::new_tree::NewTree;
use crate::spool::Intents;

/// A directory under its temporary name, with the names to try for it.
pub(super) struct StagedTree {
    /// The directory that it is in.
    pub(super) dir: PathBuf,
    pub(super) tree: NewTree,
    pub(super) wish: Wish,
}

/// A directory whose name is chosen.
pub(super) struct NamedTree {
    tree: NewTree,
    name: String,
    /// The path that it will have.
    pub(super) path: PathBuf,
    /// Whether it is there already: a killed run left it.
    is_there: bool,
}

impl StagedTree {
    /// Of a directory that was made in `dir`, for the content with this name of its own.
    pub(super) fn new(dir: &Path, made: Extracted, intended: Option<String>, own: String) -> Self {
        Self {
            dir: dir.to_owned(),
            tree: made.tree,
            wish: Wish {
                intended,
                given: Some(made.name),
                own,
            },
        }
    }

    /// Chooses a name.
    pub(super) fn choose(self, names: &mut Names) -> Result<NamedTree, Error> {
        let (name, is_there) = names.choose_for_tree(&self.dir, &self.tree, &self.wish)?;
        Ok(NamedTree {
            tree: self.tree,
            path: self.dir.join(&name),
            name,
            is_there,
        })
    }
}

impl NamedTree {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Waits until it is on the disk.
    pub(super) fn sync(&self) -> disk::Result<()> {
        if self.is_there {
            return Ok(());
        }
        self.tree.sync()
    }

    /// Gives it its name, which is noted by now.
    pub(super) fn place(&mut self) -> disk::Result<()> {
        if self.is_there {
            return Ok(());
        }
        self.tree.place(&self.name)
    }
}

/// Gives a directory that was made of joined content its name, which is noted under `key` before.
pub(super) fn place_joined(
    mut staged: StagedTree,
    key: &str,
    intents: &mut Intents,
) -> Result<PathBuf, Error> {
    let mut names = Names::default();
    staged.tree.sync()?;
    loop {
        let (name, is_there) = names.choose_for_tree(&staged.dir, &staged.tree, &staged.wish)?;
        let path = staged.dir.join(&name);
        if is_there {
            return Ok(path);
        }
        intents.intend(key, &name);
        intents.save()?;
        match staged.tree.place(&name) {
            Ok(()) => return Ok(path),
            // Another program took the name, or the file system refuses it.
            Err(error) if error.is_of_name() => {
                names.begin();
                names.refuse(path);
            }
            Err(error) => return Err(error.into()),
        }
    }
}
