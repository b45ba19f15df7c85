//! Admission: whether a parcel may enter the spool, and the file that it is written to.

use std::path::PathBuf;
use std::sync::OnceLock;

use jiff::Timestamp;

use super::clock;
use super::name::MessageKey;
use super::precedent::{Newcomer, Precedent, Precedents};
use super::{Access, Error, Name, Queue, Room};
use crate::crypto::hash;
use crate::disk::batch::{self, Staged};
use crate::disk::publish::IfExists;
use crate::disk::{self, FileRole, files, tree};
use crate::message::{Item, Parcel};
use crate::node::{self, ReplayKey};
use crate::pki::{NodeId, Window};
use crate::ramf::{self, Kind, SignedMessage};
use crate::verify::{self, Policy};

/// The queue that parcels enter, and the directory for their temporary files.
#[derive(Debug)]
pub struct Entrance {
    queue: Queue,
    tmp: PathBuf,
}

/// Admits parcels to a spool. Several threads may use one at once.
#[derive(Debug)]
pub struct Admission<'a> {
    access: &'a Access,
    entrance: Entrance,
    policy: Policy,
    /// The earlier messages; `None` if this user cannot read them.
    precedents: Option<Precedents<'a>>,
    room: Room<'a>,
    priority: Option<u8>,
    is_synced: OnceLock<()>,
}

/// A parcel that may enter. Its length is already counted in the quota.
#[derive(Debug)]
pub struct Admitted {
    parcel: AdmittedParcel,
    message: SignedMessage,
    existing: IfExists,
    /// Whether its file is to be written: false if the same parcel already waits under another name
    /// or in another queue.
    is_written: bool,
}

/// The facts about an admitted parcel, for reports.
#[derive(Debug)]
pub struct AdmittedParcel {
    /// Its file in the queue.
    pub path: PathBuf,
    /// The files of older ones, to be removed once it is stored.
    pub replaced: Vec<PathBuf>,
    /// The name of its file.
    pub name: Name,
    /// Its id.
    pub id: String,
    /// Its length, in octets.
    pub len: usize,
}

impl Entrance {
    /// Opens the entrance; creates the queue if it is missing and this user may.
    ///
    /// # Errors
    /// As [`Access::entrance`].
    pub fn of(access: &Access) -> Result<Self, Error> {
        let (queue, tmp) = access.entrance()?;
        Ok(Self { queue, tmp })
    }
}

impl<'a> Admission<'a> {
    /// Reads the earlier messages and the free room, once for all parcels. Admitted parcels get
    /// this `priority`.
    ///
    /// # Errors
    /// When the spool or the node cannot be read.
    pub fn new(
        access: &'a Access,
        entrance: Entrance,
        window: Window,
        now: Timestamp,
        priority: Option<u8>,
    ) -> Result<Self, Error> {
        if let Access::Owner(spool) = access {
            clock::note_time(Some(spool.owner()), &window);
        }
        let (precedents, room) = access.precedents_and_room()?;
        Ok(Self {
            access,
            entrance,
            precedents,
            policy: access.policy(window, now)?,
            room,
            priority,
            is_synced: OnceLock::new(),
        })
    }

    /// Verifies a parcel, and checks that it is new and that there is room for it.
    ///
    /// # Errors
    /// When it is not a parcel, not valid, a repetition, or over a quota.
    pub fn admit(&self, octets: Vec<u8>) -> Result<Admitted, Error> {
        let admitted = self.admit_beside(octets, false)?;
        admitted.ok_or(Error::HandedOn)
    }

    /// As [`Admission::admit`], for a parcel that may have been stored by a run that was killed: `None` if it waits here, in
    /// the form in which that run made it, which stays.
    ///
    /// # Errors
    /// As [`Admission::admit`].
    pub fn admit_missing(&self, octets: Vec<u8>) -> Result<Option<Admitted>, Error> {
        self.admit_beside(octets, true)
    }

    /// `None` only where an older form of the message stays.
    fn admit_beside(&self, octets: Vec<u8>, older_stays: bool) -> Result<Option<Admitted>, Error> {
        let item = Item::parse(octets).map_err(node::Error::from)?;
        match item {
            Item::Parcel(_) => {}
            // From here they prove nothing: they count only in the gateway's own cargo.
            Item::Pca(_) | Item::Rotation(_) | Item::Pdd(_) => {
                return Err(Error::Control(item.kind().word()));
            }
            Item::Cargo(_) | Item::Cca(_) => return Err(not_a_parcel(item.kind())),
        }
        let (item, is_shown) = verify::transit(item, &self.policy)?;
        let kind = item.kind();
        let name = item
            .message()
            .map(|message| Name::of(&item, message.fields().expiry()));
        let (Some(name), Some(message)) = (name, item.into_message()) else {
            return Err(not_a_parcel(kind));
        };
        let name = Name {
            priority: self.priority,
            ..name
        };
        let (octets, fields) = (message.octets(), message.fields());
        let precedent = match &self.precedents {
            Some(precedents) => {
                let newcomer = Newcomer {
                    message: &message,
                    is_shown,
                    shows: &|held| {
                        let item = Parcel::try_from(held).map(Item::Parcel);
                        item.is_ok_and(|item| {
                            let verdict = verify::transit(item, &self.policy);
                            verdict.is_ok_and(|(_, is_shown)| is_shown)
                        })
                    },
                };
                precedents.of(&name, &ReplayKey::of(&message), &newcomer)?
            }
            None => Precedent::None,
        };
        let path = self.entrance.queue.path_of(&name);
        let is_same = matches!(precedent, Precedent::Same | Precedent::Twin);
        let mut replaced = match &precedent {
            Precedent::Older(_) if older_stays => return Ok(None),
            Precedent::Older(paths) => paths.clone(),
            _ => Vec::new(),
        };
        // A repetition takes no more room.
        if !is_same {
            let peer = name.identity.recipient;
            self.room
                .promise(self.room.payer(&name), &name, peer, octets.len())?;
        }
        // An older parcel with exactly this name is replaced by the rename itself, without a gap.
        let existing = if replaced.contains(&path) {
            IfExists::Replace
        } else {
            IfExists::SameIsSuccess
        };
        replaced.retain(|old| *old != path);
        // An existing file is written again, which syncs it: the run that wrote it may have been
        // killed before it did. A twin is synced as it is.
        let is_written = match precedent {
            Precedent::Same => files::exists(&path, FileRole::Spool)?,
            Precedent::Twin => {
                self.entrance.queue.sync(&name)?;
                false
            }
            _ => true,
        };
        let parcel = AdmittedParcel {
            path,
            replaced,
            name,
            id: fields.id.clone(),
            len: octets.len(),
        };
        Ok(Some(Admitted {
            parcel,
            message,
            existing,
            is_written,
        }))
    }

    /// Waits until what runs before this one stored is on the disk; they may have been killed before they waited for that.
    /// It is done once.
    ///
    /// # Errors
    /// When the directory of the queue cannot be synced.
    pub fn sync_earlier(&self) -> disk::Result<()> {
        if self.is_synced.get().is_none() {
            files::sync_dir(self.entrance.queue.dir(), FileRole::Spool)?;
            let _ = self.is_synced.set(());
        }
        Ok(())
    }

    /// Ends a run that is done: the next one need not list what this one stored.
    pub fn close(&self) {
        self.room.close();
    }

    /// The octets that may wait for one recipient, if that is limited.
    #[must_use]
    pub fn quota(&self) -> Option<u64> {
        self.room.quota()
    }

    /// Gives back the room of a parcel that was admitted, and is not stored.
    pub fn give_back(&self, parcel: &AdmittedParcel) {
        self.room
            .give_back(self.room.payer(&parcel.name), parcel.len);
    }

    /// Removes a parcel of this run from the queue that it entered. Returns whether it was still there. Nothing is synced.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn withdraw(
        &self,
        (recipient, sender): (NodeId, NodeId),
        id: &str,
        expiry: Timestamp,
    ) -> disk::Result<bool> {
        let name = Name {
            identity: MessageKey {
                recipient,
                sender,
                id: hash::sha256(id.as_bytes()),
                kind: Kind::Parcel,
            },
            expiry,
            priority: self.priority,
            copies: None,
            from: None,
        };
        let path = self.entrance.queue.path_of(&name);
        let found = tree::stat(&path, FileRole::Spool)?;
        let is_removed = files::remove_unsynced(&path, FileRole::Spool)?;
        if let Some(len) = found.and_then(|found| usize::try_from(found.len).ok())
            && is_removed
        {
            self.room.give_back(self.room.payer(&name), len);
        }
        Ok(is_removed)
    }

    /// Writes an admitted parcel; the batch that it is added to gives it its name. `None` if its
    /// file need not be written.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, admitted: &Admitted) -> disk::Result<Option<Staged>> {
        if !admitted.is_written {
            return Ok(None);
        }
        let options = self.access.manner(admitted.existing);
        let options = options.written_in(&self.entrance.tmp);
        let octets = admitted.message.octets();
        batch::stage(&admitted.parcel.path, &[octets], &options).map(Some)
    }
}

impl Admitted {
    /// The facts for the report, and the buffer of the message for reuse.
    #[must_use]
    pub fn into_parts(self) -> (AdmittedParcel, Vec<u8>) {
        (self.parcel, self.message.into_octets())
    }
}

fn not_a_parcel(found: Kind) -> Error {
    let expected = Kind::Parcel;
    node::Error::from(ramf::Error::Kind { expected, found }).into()
}
