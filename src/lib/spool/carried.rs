//! Records of cargo written onto media: `carried/<medium>/<next hop>.<sha256 of the cargo>`. Its
//! lines are the date, the expiry of the cargo, and then the names of the messages in it and of the
//! CCA that it answers. After the name of an acknowledgement, `id = ` and the id of its parcel
//! follow, so that it can be made again.
//!
//! Beside a record of cargo on the medium of the spool itself, `<next hop>.<sha256>.given` has a line for each courier
//! that acknowledged it over the network: the date, and the SHA-256 of the certificate that the courier showed.
//!
//! A record is stored before its cargo is written. Its name ends in `.new` until all effects of the
//! cargo are complete; the next run completes those that a killed run left. Records keep messages
//! from being written onto a medium twice.

use std::collections::HashSet;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::moves::Moves;
use super::name::{KeyDigest, MessageKey};
use super::{Error, Name, Spool};
use crate::asn1::{Hex, hex};
use crate::disk::publish::{self, IfExists, PublishOptions};
use crate::disk::tree::{self, EntryKind};
use crate::disk::{FileRole, files};
use crate::message::Pca;
use crate::pki::NodeId;
use crate::ramf::Kind;

/// The folder of the records, in the spool.
pub(crate) const FOLDER: &str = "carried";

/// Maximum length of a record, in octets: more than the names of all messages in one cargo need.
const MAX_LEN: usize = 32 * 1024 * 1024;

/// What begins the line with the id of the parcel that an acknowledgement is for.
const ID: &str = "id = ";

/// Suffix of the name of a record until all effects of its cargo are complete.
const NEW: &str = ".new";

/// Suffix of the note on the couriers that acknowledged the cargo of a record over the network.
const GIVEN: &str = ".given";

/// How many couriers a note keeps.
const MAX_GIVEN: usize = 16;

/// Maximum length of such a note, in octets.
const MAX_GIVEN_LEN: usize = 4096;

/// A record of cargo that was written for a next hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The next hop.
    pub hop: NodeId,
    /// The SHA-256 of the cargo's octets.
    pub cargo: [u8; 32],
    /// Whether all effects of the cargo are complete.
    pub is_settled: bool,
    pub(crate) path: PathBuf,
}

/// The content of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// When it was written.
    pub date: Timestamp,
    /// When it expires.
    pub expiry: Timestamp,
    /// The names that its messages had when they were packed, and the name of the CCA that it
    /// answers.
    pub names: Vec<Name>,
    /// The acknowledgements among them that can be made again, with their names.
    pub acks: Vec<(Name, Pca)>,
}

/// A message in cargo, for its record.
#[derive(Debug, Clone, Copy)]
pub struct Packed<'a> {
    /// The name that it had when it was packed.
    pub name: &'a Name,
    /// The id of the parcel that it acknowledges.
    pub parcel_id: Option<&'a str>,
}

/// The records of one medium.
#[derive(Debug)]
pub struct Carried {
    dir: PathBuf,
}

impl Spool {
    /// The keys of all messages that were written onto any medium, according to the records.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn all_carried(&self) -> Result<HashSet<KeyDigest>, Error> {
        let mut all = HashSet::new();
        for medium in tree::entries(&self.root().join(FOLDER), FileRole::Spool)?.entries {
            if medium.kind != EntryKind::Dir {
                continue;
            }
            let carried = Carried { dir: medium.path };
            for record in carried.records()? {
                let load = match carried.read(&record) {
                    Err(error) if error.is_of_one_file() => continue,
                    load => load?,
                };
                let names = load.into_iter().flat_map(|load| load.names);
                all.extend(names.map(|name| name.identity.key()));
            }
        }
        Ok(all)
    }

    /// When cargo for this next hop was last written onto any medium, as far as it is known, and not later than `now`: a
    /// later date is of a clock that was ahead. Records that cannot be read are left out.
    ///
    /// # Errors
    /// When the records cannot be listed.
    pub fn last_carried(&self, hop: NodeId, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let mut last = None;
        for medium in tree::entries(&self.root().join(FOLDER), FileRole::Spool)?.entries {
            if medium.kind != EntryKind::Dir {
                continue;
            }
            let carried = Carried { dir: medium.path };
            let records = carried.records()?.into_iter();
            let loads = records.filter(|record| record.hop == hop);
            let loads = loads.filter_map(|record| carried.read(&record).ok().flatten());
            let dates = loads.map(|load| load.date).filter(|date| *date <= now);
            last = last.max(dates.max());
        }
        Ok(last)
    }

    /// The records of the medium with this id, which must be safe as a directory name. Syncs the
    /// folder, since an earlier run may have been killed before it did.
    ///
    /// # Errors
    /// When the folder cannot be created or synced.
    pub fn carried(&self, medium: &str) -> Result<Carried, Error> {
        let dir = self.root().join(FOLDER).join(medium);
        files::create_dir_all_private(&dir, FileRole::Spool)?;
        files::sync_dir(&dir, FileRole::Spool)?;
        Ok(Carried { dir })
    }
}

/// The next hop and the cargo that the name of a record tells, and whether it is settled; `None` for another name.
fn parse_name(name: &str) -> Option<(NodeId, [u8; 32], bool)> {
    let (hop, cargo) = name.split_once('.')?;
    let settled = cargo.strip_suffix(NEW);
    let (cargo, is_settled) = (settled.unwrap_or(cargo), settled.is_none());
    let cargo = hex::parse(cargo)?.try_into().ok()?;
    Some((hop.parse().ok()?, cargo, is_settled))
}

/// Whether a file of this name is a record.
pub(crate) fn is_record(name: &str) -> bool {
    parse_name(name).is_some() || is_note(name)
}

/// Whether a file of this name is a note on who acknowledged a cargo.
fn is_note(name: &str) -> bool {
    let record = name.strip_suffix(GIVEN).and_then(parse_name);
    record.is_some_and(|(_, _, is_settled)| is_settled)
}

/// The acknowledgement of this name for a parcel with this id; `None` if they do not match.
fn pca_of(name: &Name, parcel_id: &str) -> Option<Pca> {
    let identity = &name.identity;
    let pca = Pca {
        sender: identity.sender,
        recipient: identity.recipient,
        parcel_id: parcel_id.to_owned(),
    };
    let is_same = identity.kind == Kind::Pca && MessageKey::from(&pca) == identity.of_parcel();
    is_same.then_some(pca)
}

impl Carried {
    /// The records, sorted by file name. Unknown files are ignored.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn records(&self) -> Result<Vec<Record>, Error> {
        let mut records = Vec::new();
        for entry in tree::entries(&self.dir, FileRole::Spool)?.entries {
            let name = entry.name.to_str().and_then(parse_name);
            if let Some((hop, cargo, is_settled)) = name
                && entry.kind == EntryKind::File
            {
                records.push(Record {
                    hop,
                    cargo,
                    is_settled,
                    path: entry.path,
                });
            }
        }
        Ok(records)
    }

    /// Reads a record; `None` if it has another format.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, record: &Record) -> Result<Option<Load>, Error> {
        let octets = files::read(&record.path, FileRole::Spool, MAX_LEN)?;
        let text = String::from_utf8_lossy(&octets);
        let mut lines = text.lines();
        let mut date = || lines.next().and_then(|line| line.parse().ok());
        let (Some(date), Some(expiry)) = (date(), date()) else {
            return Ok(None);
        };
        let mut load = Load {
            date,
            expiry,
            names: Vec::new(),
            acks: Vec::new(),
        };
        for line in lines {
            // Any other line is skipped: the names still keep their messages from going out twice.
            if let Ok(name) = line.parse::<Name>() {
                load.names.push(name);
            } else if let (Some(id), Some(name)) = (line.strip_prefix(ID), load.names.last()) {
                load.acks
                    .extend(pca_of(name, id).map(|pca| (name.clone(), pca)));
            }
        }
        Ok(Some(load))
    }

    /// Stores the record of a cargo that is written at `now` and expires at `expiry`, with the
    /// names of its messages. It is on disk on return, and not settled.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn note<'a>(
        &self,
        (hop, cargo): (NodeId, &[u8; 32]),
        (now, expiry): (Timestamp, Timestamp),
        messages: impl Iterator<Item = Packed<'a>>,
    ) -> Result<Record, Error> {
        let mut text = format!("{now}\n{expiry}\n");
        for message in messages {
            text.push_str(&message.name.to_string());
            text.push('\n');
            // One that would be another line cannot be made again.
            if let Some(id) = message.parcel_id.filter(|id| !id.contains(['\n', '\r'])) {
                text.push_str(ID);
                text.push_str(id);
                text.push('\n');
            }
        }
        let record = Record {
            hop,
            cargo: *cargo,
            is_settled: false,
            path: self.dir.join(format!("{hop}.{}{NEW}", Hex(cargo))),
        };
        // A killed run may have left a record of the same cargo.
        let manner = PublishOptions::stored(FileRole::Spool, IfExists::Replace);
        publish::publish(&record.path, &[text.as_bytes()], &manner)?;
        Ok(record)
    }

    /// Records that all effects of these cargoes are complete.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub fn settle(&self, records: &[Record]) -> Result<(), Error> {
        let mut moves = Moves::default();
        for record in records {
            // Removes the suffix `.new`.
            moves.rename(&record.path, &record.path.with_extension(""))?;
        }
        moves.commit()
    }

    /// Removes a record whose cargo has left the medium.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn forget(&self, record: &Record) -> Result<(), Error> {
        files::remove(&record.path, FileRole::Spool)?;
        files::remove(&self.path_of_given(record), FileRole::Spool)?;
        Ok(())
    }

    /// The couriers that acknowledged a cargo over the network, the last one last; none where the note cannot be read.
    #[must_use]
    pub fn given(&self, record: &Record) -> Vec<Given> {
        let path = self.path_of_given(record);
        let octets = files::read(&path, FileRole::Spool, MAX_GIVEN_LEN);
        let text = octets.map(|octets| String::from_utf8_lossy(&octets).into_owned());
        text.unwrap_or_default()
            .lines()
            .filter_map(Given::parse)
            .collect()
    }

    /// Notes that a courier acknowledged a cargo, durably.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn note_given(&self, record: &Record, given: Given) -> Result<(), Error> {
        let mut all = self.given(record);
        all.retain(|one| one.certificate != given.certificate);
        all.push(given);
        let surplus = all.len().saturating_sub(MAX_GIVEN);
        let lines = all.iter().skip(surplus);
        let lines = lines.map(|one| format!("{} {}\n", one.date, Hex(&one.certificate)));
        let text: String = lines.collect();
        let manner = PublishOptions::stored(FileRole::Spool, IfExists::Replace);
        let path = self.path_of_given(record);
        publish::publish(&path, &[text.as_bytes()], &manner)?;
        Ok(())
    }

    fn path_of_given(&self, record: &Record) -> PathBuf {
        let name = format!("{}.{}{GIVEN}", record.hop, Hex(&record.cargo));
        self.dir.join(name)
    }
}

/// That a courier acknowledged a cargo. Nobody has shown who it is, so it may be anybody on the same network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// When it did.
    pub date: Timestamp,
    /// The SHA-256 of the certificate that it showed.
    pub certificate: [u8; 32],
}

/// How long after one courier another one gets the same cargo.
const ANOTHER_AFTER: SignedDuration = SignedDuration::from_hours(1);

impl Given {
    fn parse(line: &str) -> Option<Self> {
        let (date, certificate) = line.split_once(' ')?;
        Some(Self {
            date: date.parse().ok()?,
            certificate: hex::octets(certificate.as_bytes())?,
        })
    }

    /// Whether this keeps the cargo from a courier with a certificate. A date far in the future is of a wrong clock.
    fn keeps_from(
        &self,
        certificate: &[u8; 32],
        now: Timestamp,
        resend_after: SignedDuration,
    ) -> bool {
        let age = now.duration_since(self.date).abs();
        age < ANOTHER_AFTER || self.certificate == *certificate && age < resend_after
    }
}

/// Whether cargo goes to a courier with this certificate: the same one gets it again after `resend_after`, another one
/// an hour after the last. A courier makes a new certificate each day, and any machine could have acknowledged.
#[must_use]
pub fn goes_to(
    given: &[Given],
    certificate: &[u8; 32],
    now: Timestamp,
    resend_after: SignedDuration,
) -> bool {
    let mut given = given.iter();
    !given.any(|given| given.keeps_from(certificate, now, resend_after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Item;

    #[test]
    fn each_courier_gets_cargo_in_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let carried = Carried {
            dir: dir.path().to_owned(),
        };
        let hop = NodeId::of_spki(b"hop");
        let now: Timestamp = "2027-05-01T00:00:00Z".parse().unwrap();
        let record = carried.note((hop, &[1; 32]), (now, now), std::iter::empty());
        let record = record.unwrap();
        assert!(carried.given(&record).is_empty());
        let after = |minutes: i64| now + SignedDuration::from_mins(minutes);
        let week = SignedDuration::from_hours(7 * 24);
        let goes = |certificate: u8, at: Timestamp| {
            goes_to(&carried.given(&record), &[certificate; 32], at, week)
        };
        assert!(goes(7, now) && goes(8, now));
        let given = |certificate: u8, date: Timestamp| Given {
            date,
            certificate: [certificate; 32],
        };
        carried.note_given(&record, given(7, now)).unwrap();
        assert!(!goes(7, now) && !goes(8, now) && !goes(8, after(59)));
        assert!(goes(8, after(60)) && !goes(7, after(60)) && goes(7, now + week));
        carried.note_given(&record, given(8, after(60))).unwrap();
        assert!(!goes(8, after(61)) && !goes(9, after(61)) && goes(9, after(120)));
        // A clock that was far ahead keeps it from nobody.
        assert!(goes(8, now - week));
        for one in 0..40 {
            carried.note_given(&record, given(one, after(120))).unwrap();
        }
        assert_eq!(carried.given(&record).len(), MAX_GIVEN);
        // The note is no record, and goes with it.
        assert_eq!(carried.records().unwrap(), std::slice::from_ref(&record));
        let name = format!("{hop}.{}.given", Hex(&[1; 32]));
        assert!(is_record(&name) && !is_record("x.given") && dir.path().join(&name).exists());
        carried.forget(&record).unwrap();
        assert!(!dir.path().join(&name).exists());
    }

    #[test]
    fn records_come_back_and_others_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let carried = Carried {
            dir: dir.path().to_owned(),
        };
        let hop = NodeId::of_spki(b"hop");
        let name = Name {
            identity: MessageKey {
                recipient: NodeId::of_spki(b"recipient"),
                sender: NodeId::of_spki(b"sender"),
                id: [7; 32],
                kind: Kind::Parcel,
            },
            expiry: "2027-05-22T10:11:12Z".parse().unwrap(),
            priority: None,
            copies: None,
            from: None,
        };
        let now: Timestamp = "2027-05-01T00:00:00Z".parse().unwrap();
        let dates = (now, name.expiry);
        let pca = Pca {
            sender: name.identity.sender,
            recipient: name.identity.recipient,
            parcel_id: " an \"id\" ".to_owned(),
        };
        let ack = Name::of(&Item::from(pca.clone()), name.expiry);
        let packed = [
            (&name, None),
            (&ack, Some(&*pca.parcel_id)),
            (&ack, Some("x")),
        ];
        let packed = packed.map(|(name, parcel_id)| Packed { name, parcel_id });
        let noted = carried
            .note((hop, &[9; 32]), dates, packed.into_iter())
            .unwrap();
        let noted = [noted];
        assert_eq!(carried.records().unwrap(), noted);
        assert!(!noted[0].is_settled);
        carried.settle(&noted).unwrap();
        std::fs::write(dir.path().join("x.y"), "").unwrap();
        let records = carried.records().unwrap();
        let [record] = &records[..] else {
            panic!("{records:?}");
        };
        assert_eq!((record.hop, record.cargo), (hop, [9; 32]));
        assert!(record.is_settled);
        let read = carried.read(record).unwrap();
        let expected = Load {
            date: now,
            expiry: name.expiry,
            names: vec![name, ack.clone(), ack.clone()],
            acks: vec![(ack, pca)],
        };
        assert_eq!(read, Some(expected));
        std::fs::write(&record.path, "torn").unwrap();
        assert_eq!(carried.read(record).unwrap(), None);
        carried.forget(record).unwrap();
        assert_eq!(carried.records().unwrap(), []);
    }
}
