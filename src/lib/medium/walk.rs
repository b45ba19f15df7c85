//! Lists a medium: the gateways that have a directory on it, and the files in those.

use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use super::layout::{Medium, unreadable};
use super::names::{FOLDERS, MediumFile, parse_file_name};
use super::{Error, ExchangeEvent};
use crate::disk;
use crate::disk::dir::DirEntry;
use crate::disk::publish::is_temporary;
use crate::disk::tree::EntryKind;
use crate::pki::NodeId;
use crate::ramf::Kind;

/// The number of names in memory at a time.
const PART: usize = 1024;

/// The most unexpected files that are named.
const MAX_STRAYS: usize = 8;

/// Unexpected files: the first ones, and the number of the others.
#[derive(Debug, Default)]
pub struct UnexpectedFiles {
    /// Some of them, by path.
    pub first: Vec<PathBuf>,
    /// The number of the others.
    pub more: usize,
}

impl UnexpectedFiles {
    /// Reports them; `dir` is the directory that they are in.
    pub(super) fn tell<E>(
        self,
        dir: &Path,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        for path in self.first {
            each(ExchangeEvent::Unexpected(path))?;
        }
        if self.more > 0 {
            each(ExchangeEvent::MoreUnexpected {
                dir: dir.to_owned(),
                more: self.more,
            })?;
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf) {
        if self.first.len() < MAX_STRAYS {
            self.first.push(path);
        } else {
            self.more += 1;
        }
    }
}

impl Medium {
    /// Syncs the names on the medium, since an earlier run may have been killed before it did.
    /// Nothing may rely on the names before this.
    ///
    /// # Errors
    /// When a directory cannot be listed or synced.
    pub fn settle(&self) -> Result<(), Error> {
        for folder in FOLDERS {
            let Some(dir) = self.has_dir(&[folder])? else {
                continue;
            };
            for gateway in self.gateways_in(folder)?.0 {
                // A directory that cannot be opened is reported when it is listed.
                let inner = self.has_dir(&[folder, &gateway.to_string()]).ok().flatten();
                if let Some(inner) = inner
                    && let Err(error) = inner.sync()
                    // A directory that cannot be listed either is not relied on, and is reported
                    // later.
                    && inner.names().is_ok()
                {
                    return Err(error.into());
                }
            }
            dir.sync()?;
        }
        for dir in [&self.top, &self.dir] {
            dir.sync()?;
        }
        Ok(())
    }

    /// Files in the place of a directory of the medium, or of this gateway's directories.
    ///
    /// # Errors
    /// When a directory cannot be examined.
    pub fn unexpected(&self, gateway: Option<NodeId>) -> Result<UnexpectedFiles, Error> {
        let mut unexpected = UnexpectedFiles::default();
        for folder in FOLDERS {
            let inside = gateway.filter(|_| ["cargo", "cca"].contains(&folder));
            let found = match self.top.dir(folder) {
                // A directory that cannot be opened is reported when it is listed.
                Ok(Some(dir)) => inside.and_then(|gateway| dir.dir(gateway.to_string()).err()),
                Ok(None) => None,
                Err(error @ disk::Error::NotRegular { .. }) => Some(error),
                Err(error) => return Err(error.into()),
            };
            if let Some(disk::Error::NotRegular { path, .. }) = found {
                unexpected.add(path);
            }
        }
        Ok(unexpected)
    }

    /// The gateways that have a directory for this kind of message, and the unexpected files beside
    /// those.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn recipients(&self, kind: Kind) -> Result<(Vec<NodeId>, UnexpectedFiles), Error> {
        self.gateways_in(kind.word())
    }

    pub(super) fn gateways_in(
        &self,
        folder: &str,
    ) -> Result<(Vec<NodeId>, UnexpectedFiles), Error> {
        let (mut gateways, mut unexpected) = (Vec::new(), UnexpectedFiles::default());
        let Some(dir) = self.has_dir(&[folder])? else {
            return Ok((gateways, unexpected));
        };
        for named in dir.names()? {
            let DirEntry { name, kind } = named?;
            if is_temporary(&name) {
                continue;
            }
            let gateway = name
                .to_str()
                .filter(|_| kind == Some(EntryKind::Dir))
                .and_then(|name| name.parse().ok());
            match gateway {
                Some(gateway) => gateways.push(gateway),
                None => unexpected.add(dir.path().join(name)),
            }
        }
        gateways.sort_unstable();
        Ok((gateways, unexpected))
    }

    /// The files for a gateway, in the order of their names. Names are read in parts, so that a
    /// large directory costs time but no memory.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when the directory cannot be listed.
    pub fn files_for(&self, kind: Kind, recipient: NodeId) -> Result<RecipientDir<'_>, Error> {
        let mut files = RecipientDir {
            medium: self,
            kind,
            recipient,
            after: None,
            part: Vec::new().into_iter(),
            is_over: false,
            unexpected: UnexpectedFiles::default(),
        };
        let mut unexpected = UnexpectedFiles::default();
        // Unexpected files are collected in the first pass only: each pass lists all of them.
        files.fill(&mut |path| unexpected.add(path))?;
        files.unexpected = unexpected;
        Ok(files)
    }
}

/// The files for one gateway on a medium.
pub struct RecipientDir<'a> {
    medium: &'a Medium,
    kind: Kind,
    recipient: NodeId,
    after: Option<String>,
    part: std::vec::IntoIter<MediumFile>,
    is_over: bool,
    unexpected: UnexpectedFiles,
}

impl RecipientDir<'_> {
    /// Takes the unexpected files in the directory.
    pub fn take_unexpected(&mut self) -> UnexpectedFiles {
        std::mem::take(&mut self.unexpected)
    }

    /// The next file.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when the directory cannot be listed.
    pub fn next_message(&mut self) -> Result<Option<MediumFile>, Error> {
        loop {
            if let Some(file) = self.part.next() {
                return Ok(Some(file));
            }
            if self.is_over {
                return Ok(None);
            }
            self.fill(&mut |_| {})?;
        }
    }

    /// Reads the next part of the names: the smallest ones after the last part.
    fn fill(&mut self, report: &mut dyn FnMut(PathBuf)) -> Result<(), Error> {
        self.is_over = true;
        let name = self.recipient.to_string();
        let found = self.medium.has_dir(&[self.kind.word(), &name]);
        let Some(dir) = found.map_err(unreadable)? else {
            return Ok(());
        };
        // A max-heap: the largest name leaves when there is a smaller one.
        let mut first: BinaryHeap<String> = BinaryHeap::new();
        for named in dir.names().map_err(Error::Unreadable)? {
            let DirEntry { name, kind } = named.map_err(Error::Unreadable)?;
            if is_temporary(&name) {
                continue;
            }
            let told = name.to_str().filter(|name| {
                kind == Some(EntryKind::File) && parse_file_name(name, self.kind).is_some()
            });
            let Some(name) = told else {
                report(dir.path().join(name));
                continue;
            };
            if self.after.as_deref().is_some_and(|after| name <= after) {
                continue;
            }
            first.push(name.to_owned());
            if first.len() > PART {
                first.pop();
                self.is_over = false;
            }
        }
        let names = first.into_sorted_vec();
        self.after = names.last().cloned().or(self.after.take());
        let mut part = Vec::new();
        for name in names {
            let Some((sender, sha256)) = parse_file_name(&name, self.kind) else {
                continue;
            };
            let Some(len) = dir.len_of(&name).map_err(Error::Unreadable)? else {
                continue;
            };
            part.push(MediumFile {
                recipient: self.recipient,
                sender,
                sha256,
                path: dir.path().join(name),
                len,
                kind: self.kind,
                top: self.medium.top.clone(),
            });
        }
        self.part = part.into_iter();
        Ok(())
    }
}
