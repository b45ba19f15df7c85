//! Marks that somebody who showed a request of a gateway took its cargo over the network.
//!
//! `relaynet/taken/<gateway>/<sha256>` holds the time, and in a second line the SHA-256 of the request (CCA). A request
//! travels in clear and can be shown by others, so a mark says less than a hint: it keeps the same cargo from going to
//! the same request twice, and lets couriers remove the cargo a day later. `relaynet/taken/<gateway>/answering` tells
//! of the newest request, which the cargo there answers, when it was made.

use std::collections::HashMap;
use std::fmt;

use jiff::Timestamp;

use super::Error;
use super::layout::{Medium, denied, unreadable};
use crate::asn1::{Hex, hex};
use crate::disk::dir::{Dir, DirEntry};
use crate::pki::NodeId;

/// The directory of the marks.
const FOLDER: &str = "taken";

/// The largest mark that is read, in octets.
const MAX_MARK_LEN: usize = 128;

/// The name of the note on the request that is answered.
const ANSWERING: &str = "answering";

/// That cargo was taken, or a request made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenMark {
    /// When the receipt of the cargo was acknowledged, or the request made.
    pub date: Timestamp,
    /// The SHA-256 of the request.
    pub request: [u8; 32],
}

impl fmt::Display for TakenMark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n{}\n", self.date, Hex(&self.request))
    }
}

impl Medium {
    /// The marks of a gateway, by the SHA-256 of the cargo. Damaged ones do not count.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn taken(&self, gateway: NodeId) -> Result<HashMap<[u8; 32], TakenMark>, Error> {
        let mut marks = HashMap::new();
        let Some(dir) = self.marks_of(gateway)? else {
            return Ok(marks);
        };
        for named in dir.names().map_err(Error::Unreadable)? {
            let DirEntry { name, .. } = named.map_err(Error::Unreadable)?;
            let name = name.to_str().unwrap_or_default();
            let cargo = hex::octets(name.as_bytes());
            if let Some(cargo) = cargo
                && let Some(mark) = read_mark(&dir, name)
            {
                marks.insert(cargo, mark);
            }
        }
        Ok(marks)
    }

    /// The mark of a cargo, if it has one.
    ///
    /// # Errors
    /// When the directory cannot be examined.
    pub fn mark_of(&self, gateway: NodeId, cargo: &[u8; 32]) -> Result<Option<TakenMark>, Error> {
        let dir = self.marks_of(gateway)?;
        Ok(dir.and_then(|dir| read_mark(&dir, &Hex(cargo).to_string())))
    }

    /// Marks cargo as taken, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn mark_taken(
        &self,
        gateway: NodeId,
        cargo: &[u8; 32],
        mark: &TakenMark,
    ) -> Result<(), Error> {
        self.write_mark(gateway, &Hex(cargo).to_string(), &mark.to_string())
    }

    /// Removes a mark.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn unmark(&self, gateway: NodeId, cargo: &[u8; 32]) -> Result<(), Error> {
        if let Some(dir) = self.marks_of(gateway)? {
            dir.remove(Hex(cargo).to_string())?;
        }
        Ok(())
    }

    /// The newest request of a gateway, which its cargo here answers: when it was made, and its SHA-256.
    ///
    /// # Errors
    /// When the directory cannot be examined.
    pub fn answering(&self, gateway: NodeId) -> Result<Option<TakenMark>, Error> {
        let dir = self.marks_of(gateway)?;
        Ok(dir.and_then(|dir| read_mark(&dir, ANSWERING)))
    }

    /// Notes the request that cargo for a gateway answers from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_answering(&self, gateway: NodeId, request: &TakenMark) -> Result<(), Error> {
        self.write_mark(gateway, ANSWERING, &request.to_string())
    }

    fn marks_of(&self, gateway: NodeId) -> Result<Option<Dir>, Error> {
        self.has_dir(&[FOLDER, &gateway.to_string()])
            .map_err(unreadable)
    }

    fn write_mark(&self, gateway: NodeId, name: &str, text: &str) -> Result<(), Error> {
        let (dir, tmp) = self.make_dirs(FOLDER, gateway)?;
        dir.publish(name, &[text.as_bytes()], &tmp).map_err(denied)
    }
}

/// The mark of this name; `None` if it is damaged or missing.
fn read_mark(dir: &Dir, name: &str) -> Option<TakenMark> {
    let octets = dir.read(name, MAX_MARK_LEN).ok()?;
    let text = String::from_utf8(octets).ok()?;
    let (date, request) = text.trim_end().split_once('\n')?;
    Some(TakenMark {
        date: date.parse().ok()?,
        request: hex::octets(request.as_bytes())?,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn marks_come_back_and_damaged_ones_do_not_count() {
        let root = tempfile::tempdir().unwrap();
        let medium = Medium::init(root.path()).unwrap();
        let gateway = NodeId::of_spki(b"gateway");
        assert!(medium.taken(gateway).unwrap().is_empty());
        assert_eq!(medium.answering(gateway).unwrap(), None);
        let mark = TakenMark {
            date: "2027-05-22T10:11:12Z".parse().unwrap(),
            request: [7; 32],
        };
        medium.mark_taken(gateway, &[1; 32], &mark).unwrap();
        medium.mark_taken(gateway, &[2; 32], &mark).unwrap();
        medium.set_answering(gateway, &mark).unwrap();
        let path = |name: &str| root.path().join(format!("relaynet/taken/{gateway}/{name}"));
        fs::write(path(&Hex(&[2; 32]).to_string()), "2027").unwrap();
        fs::write(path("x"), "x").unwrap();
        assert_eq!(
            medium.taken(gateway).unwrap(),
            HashMap::from([([1; 32], mark)])
        );
        assert_eq!(medium.mark_of(gateway, &[1; 32]).unwrap(), Some(mark));
        assert_eq!(medium.mark_of(gateway, &[2; 32]).unwrap(), None);
        assert_eq!(medium.answering(gateway).unwrap(), Some(mark));
        medium.unmark(gateway, &[1; 32]).unwrap();
        assert!(medium.taken(gateway).unwrap().is_empty());
        // Old marks go with old hints.
        medium.mark_taken(gateway, &[1; 32], &mark).unwrap();
        let later = "2027-07-22T10:11:12Z".parse().unwrap();
        medium.tidy(later, true).unwrap();
        assert!(!path(&Hex(&[1; 32]).to_string()).exists());
        assert_eq!(medium.answering(gateway).unwrap(), Some(mark));
    }
}
