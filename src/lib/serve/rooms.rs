//! Files for what is on its way: made by the keeper, written by the front, read by the keeper.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::PathBuf;
use std::sync::Mutex;

use bytes::Bytes;
use prost::Message as _;

use super::Error;
use super::protocol::CallId;
use crate::binding::cogrpc::{CargoDelivery, MAX_ID, MAX_MESSAGE};
use crate::disk::scratch::Scratch;
use crate::disk::{FileRole, files};
use crate::pipeline::mutex::lock;

/// A file for a body that is on its way.
struct BodyRoom {
    file: File,
    len: u64,
}

/// The files for bodies that are on their way.
pub(super) struct Rooms {
    /// Where they are.
    tmp: PathBuf,
    /// What is to stay free beside them, in octets.
    reserve: u64,
    open: Mutex<HashMap<CallId, BodyRoom>>,
}

impl Rooms {
    /// None yet. They are made in a directory that must exist by then.
    pub(super) fn new(tmp: PathBuf, reserve: u64) -> Self {
        Self {
            tmp,
            reserve,
            open: Mutex::default(),
        }
    }

    /// Makes a file for at most `len` octets, and returns a copy of it for the front; `None` if there is no space for it.
    ///
    /// # Errors
    /// When the disk cannot be examined or the file not made.
    pub(super) fn make(&self, call: CallId, len: u64) -> Result<Option<File>, Error> {
        let asked: u64 = lock(&self.open).values().map(|room| room.len).sum();
        let free = files::free_space(&self.tmp, FileRole::Spool)?;
        if free < self.reserve.saturating_add(asked).saturating_add(len) {
            return Ok(None);
        }
        let file = Scratch::new(&self.tmp).into_file()?;
        let passed = file.try_clone()?;
        // Before the front can answer.
        lock(&self.open).insert(call, BodyRoom { file, len });
        Ok(Some(passed))
    }

    /// Nothing came into the file of this question.
    pub(super) fn give_up(&self, call: CallId) {
        lock(&self.open).remove(&call);
    }

    /// The delivery of cargo that came: these octets, or what is in the file of this question. `None` if it is none, and so
    /// has no id by which it could be acknowledged.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(super) fn delivery(
        &self,
        call: CallId,
        octets: Option<Vec<u8>>,
    ) -> io::Result<Option<CargoDelivery>> {
        let octets = match octets {
            Some(octets) => octets,
            None => self.take(call, MAX_MESSAGE)?.unwrap_or_default(),
        };
        let decoded = CargoDelivery::decode(Bytes::from(octets)).ok();
        Ok(decoded.filter(|it| it.id.len() <= MAX_ID))
    }

    /// What came into the file of this question; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is longer than `most` octets.
    pub(super) fn take(&self, call: CallId, most: usize) -> io::Result<Option<Vec<u8>>> {
        let room = lock(&self.open).remove(&call);
        let Some(BodyRoom { mut file, .. }) = room else {
            return Ok(None);
        };
        let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if len > most {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut octets = Vec::with_capacity(len);
        file.rewind()?;
        file.take(most as u64).read_to_end(&mut octets)?;
        Ok(Some(octets))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_room_is_made_once_there_is_space_and_read_once() {
        let dir = tempfile::tempdir().unwrap();
        let rooms = Rooms::new(dir.path().to_owned(), 0);
        let mut file = rooms.make(1, 10).unwrap().unwrap();
        file.write_all(b"0123456789").unwrap();
        assert_eq!(rooms.take(1, 10).unwrap().unwrap(), b"0123456789");
        assert_eq!(rooms.take(1, 10).unwrap(), None);
        let mut file = rooms.make(2, 10).unwrap().unwrap();
        file.write_all(b"0123456789").unwrap();
        assert!(rooms.take(2, 9).is_err());
        assert!(rooms.make(3, u64::MAX).unwrap().is_none());
        rooms.make(4, 1).unwrap().unwrap();
        rooms.give_up(4);
        assert_eq!(rooms.take(4, 1).unwrap(), None);
        let full = Rooms::new(dir.path().to_owned(), u64::MAX);
        assert!(full.make(5, 1).unwrap().is_none());
    }
}
