//! Lists a medium: the gateways that have a directory on it, and the files in those.

use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use super::layout::{Medium, unreadable};
use super::names::{FOLDERS, MediumFile, file_name, parse_file_name};
use super::{Error, ExchangeEvent};
use crate::disk;
use crate::disk::dir::{Dir, DirEntry};
use crate::disk::publish::is_temporary;
use crate::disk::tree::EntryKind;
use crate::pki::NodeId;
use crate::ramf::Kind;

/// The number of names that are in memory at first, at 64 octets each. Each later part is twice as
/// large: parts of one size would list a directory of n files n times as often as n grows.
const PART: usize = if cfg!(test) { 4 } else { 64 * 1024 };

/// What a file's name says: the sender and the digest, in whose order names are.
type Named = (NodeId, [u8; 32]);

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

    /// The files for a gateway, in the order of their names. Names are read in parts, which
    /// take less memory than the names of the whole directory, and few listings.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when the directory cannot be listed.
    pub fn files_for(&self, kind: Kind, recipient: NodeId) -> Result<RecipientDir<'_>, Error> {
        let mut files = RecipientDir {
            medium: self,
            kind,
            recipient,
            dir: None,
            after: None,
            most: PART,
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
    dir: Option<Dir>,
    after: Option<Named>,
    /// The most names of the next part.
    most: usize,
    part: std::vec::IntoIter<Named>,
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
            let named = self.part.next();
            if let (Some((sender, sha256)), Some(dir)) = (named, &self.dir) {
                let name = file_name(sender, &sha256, self.kind);
                if let Some(len) = dir.len_of(&name).map_err(Error::Unreadable)? {
                    return Ok(Some(MediumFile {
                        recipient: self.recipient,
                        sender,
                        sha256,
                        path: dir.path().join(name),
                        len,
                        kind: self.kind,
                        top: self.medium.top.clone(),
                    }));
                }
                continue;
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
        let mut first: BinaryHeap<Named> = BinaryHeap::new();
        for named in dir.names().map_err(Error::Unreadable)? {
            let DirEntry { name, kind } = named.map_err(Error::Unreadable)?;
            if is_temporary(&name) {
                continue;
            }
            let text = name.to_str().filter(|_| kind == Some(EntryKind::File));
            let Some(named) = text.and_then(|name| parse_file_name(name, self.kind)) else {
                report(dir.path().join(name));
                continue;
            };
            if self.after.is_some_and(|after| named <= after) {
                continue;
            }
            first.push(named);
            if first.len() > self.most {
                first.pop();
                self.is_over = false;
            }
        }
        let part = first.into_sorted_vec();
        self.after = part.last().copied().or(self.after);
        self.most = self.most.saturating_mul(2);
        self.part = part.into_iter();
        self.dir = Some(dir);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::crypto::hash;

    #[test]
    fn many_files_come_in_the_order_of_their_names() {
        let root = tempfile::tempdir().unwrap();
        let medium = Medium::init(root.path()).unwrap();
        let recipient = NodeId::of_spki(b"recipient");
        let dir = medium.top.path().join(format!("cargo/{recipient}"));
        fs::create_dir_all(&dir).unwrap();
        let mut names: Vec<String> = (0..100_u8)
            .map(|nth| {
                file_name(
                    NodeId::of_spki(&[nth / 2]),
                    &hash::sha256(&[nth]),
                    Kind::Cargo,
                )
            })
            .collect();
        for name in &names {
            fs::write(dir.join(name), name).unwrap();
        }
        fs::write(dir.join("x"), "").unwrap();
        names.sort_unstable();
        let mut files = medium.files_for(Kind::Cargo, recipient).unwrap();
        let unexpected = files.take_unexpected();
        assert_eq!(unexpected.first, [dir.join("x")]);
        let mut found = Vec::new();
        let mut listings = 0;
        let mut most = 0;
        while let Some(file) = files.next_message().unwrap() {
            listings += usize::from(files.most != most);
            most = files.most;
            assert_eq!(file.path, dir.join(file.name()));
            found.push(file.name());
        }
        assert_eq!(found, names);
        // 4, 8, 16, 32 and what is left.
        assert_eq!(listings, 5);
    }
}
