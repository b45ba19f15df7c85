//! Puts renewed certificates into the spool, for the peers that they are for.

use std::cell::OnceCell;
use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use crate::asn1::Buffer;
use crate::cms::enveloped_data::Cipher;
use crate::crypto::hash;
use crate::disk::batch::{self, Batch};
use crate::disk::publish::{IfExists, PublishOptions};
use crate::disk::{self, FileRole, files};
use crate::kind::ErrorKind;
use crate::message::certification_path::{AUTHORIZATION_TYPE, PathForm};
use crate::message::successor::SUCCESSOR_TYPE;
use crate::message::{CertificationPath, Item, Rotation, SuccessorNotice};
use crate::node::{self, Directory, authorizations};
use crate::pki::{NodeId, Window};
use crate::ramf::{Kind, limits};
use crate::send::{self, Draft, Sealer};
use crate::spool::admission::{Admission, Entrance};
use crate::spool::name::MAX_PRIORITY;
use crate::spool::{Access, Error, Name, QueueId};

/// The cipher for authorizations: every deployed reader opens it.
const CIPHER: Cipher = Cipher::Cbc { key_len: 16 };

/// The way of renewed certificates into the spool.
#[derive(Debug)]
pub struct Outlet<'a> {
    access: &'a Access,
    window: Window,
    now: Timestamp,
    /// What admits parcels; made for the first one.
    admission: OnceCell<Admission<'a>>,
    /// The senders and recipients of the authorizations that wait; listed when one is asked for.
    waiting: OnceCell<HashSet<(NodeId, NodeId)>>,
}

impl<'a> Outlet<'a> {
    /// The way into this spool.
    #[must_use]
    pub fn of(access: &'a Access, window: Window, now: Timestamp) -> Self {
        Self {
            access,
            window,
            now,
            admission: OnceCell::new(),
            waiting: OnceCell::new(),
        }
    }

    /// Queues a certificate for the gateway that it is for, in both deployed forms, since neither
    /// reader reads the other's. They go with the next cargo, before everything else, and leave the
    /// queue with it. Repeated, it adds nothing to what waits.
    ///
    /// # Errors
    /// When they cannot be stored.
    pub fn rotation(&self, hop: NodeId, path: &CertificationPath) -> Result<(), Error> {
        let Access::Owner(spool) = self.access else {
            // Cargo is the gateway's, and a guest has none.
            return Err(Error::NoQueue(format!("acks/{hop}")));
        };
        let queue = spool.make(QueueId::Acks(hop))?;
        let tmp = spool.tmp();
        let end = path.leaf.not_after();
        let mut batch = Batch::default();
        for form in [PathForm::OctetStrings, PathForm::Certificates] {
            let path = path.clone();
            let octets = Rotation { path, form }.to_octets();
            let item = Item::parse(octets).map_err(node::Error::from)?;
            let name = Name {
                priority: Some(MAX_PRIORITY),
                ..Name::of(&item, end)
            };
            let manner = PublishOptions::stored(FileRole::Spool, IfExists::SameIsSuccess);
            let manner = manner.written_in(&tmp);
            let target = queue.path_of(&name);
            batch.add(batch::stage(&target, &[item.octets()], &manner)?)?;
        }
        commit(batch)
    }

    /// Whether an authorization that was sent before waits here, since no gateway has acknowledged it.
    /// A guest, who cannot read the queues, knows of none.
    ///
    /// # Errors
    /// When a queue cannot be read.
    pub fn has_waiting(&self, sender: NodeId, peer: NodeId) -> Result<bool, Error> {
        if let Some(waiting) = self.waiting.get() {
            return Ok(waiting.contains(&(sender, peer)));
        }
        let waiting = self.list_waiting()?;
        let found = waiting.contains(&(sender, peer));
        let _ = self.waiting.set(waiting);
        Ok(found)
    }

    fn list_waiting(&self) -> Result<HashSet<(NodeId, NodeId)>, Error> {
        let mut waiting = HashSet::new();
        let Access::Owner(spool) = self.access else {
            return Ok(waiting);
        };
        for queue in spool.queues()? {
            if !matches!(
                queue.place(),
                QueueId::In | QueueId::Out(_) | QueueId::Internet
            ) {
                continue;
            }
            for message in queue.messages()? {
                let name = message?.name;
                let key = name.identity;
                // With this priority authorizations wait, and hardly anything else.
                if key.kind == Kind::Parcel
                    && name.priority == Some(MAX_PRIORITY)
                    && !name.has_expired(self.now)
                {
                    waiting.insert((key.sender, key.recipient));
                }
            }
        }
        Ok(waiting)
    }

    /// Syncs what an earlier run queued: it may have been killed before it did.
    ///
    /// # Errors
    /// When the queue cannot be synced.
    pub fn settle(&self) -> Result<(), Error> {
        Ok(self.admission()?.sync_earlier()?)
    }

    /// Seals an authorization for its peer, and stores the parcel. Its id follows from the
    /// authorization and from when it was sent `before`, so that a repeated run stores no second one,
    /// and one that is sent again is another parcel to those who passed the first one on.
    ///
    /// # Errors
    /// When the peer cannot be sealed to, or the parcel cannot be stored.
    pub fn authorization(
        &self,
        node: &Directory,
        peer: NodeId,
        (path, before): (&CertificationPath, Option<Timestamp>),
    ) -> Result<(), Error> {
        let longest = SignedDuration::from_secs(i64::from(limits::MAX_TTL));
        let ttl = path.leaf.not_after().duration_since(self.now).min(longest);
        let draft = self.draft(AUTHORIZATION_TYPE, ttl);
        let sealer = send::parcels(node, peer, &draft)?;
        // The key that the parcel carries anyway: with another one, it would depend on the order
        // of the two which is in use.
        let key = sealer.session_key().clone();
        let params = authorizations::params_of(node, path.clone(), key)?.to_der();
        let before = before.map_or_else(String::new, |before| before.to_string());
        let unique = [path.leaf.octets(), before.as_bytes()].concat();
        self.seal(&sealer, &params, &unique, &draft)
    }

    /// Seals for a peer the notice that another node takes this one's place, and stores the parcel. A
    /// repeated run stores no second one.
    ///
    /// # Errors
    /// When the peer cannot be sealed to, or the parcel cannot be stored.
    pub fn successor_notice(
        &self,
        node: &Directory,
        peer: NodeId,
        notice: &SuccessorNotice,
    ) -> Result<(), Error> {
        let longest = SignedDuration::from_secs(i64::from(limits::MAX_TTL));
        let draft = self.draft(SUCCESSOR_TYPE, longest);
        let sealer = send::parcels(node, peer, &draft)?;
        self.seal(&sealer, notice.octets(), notice.octets(), &draft)
    }

    fn draft(&self, media_type: &'static str, ttl: SignedDuration) -> Draft<'static> {
        Draft {
            media_type,
            ttl,
            id: None,
            cipher: CIPHER,
            now: self.now,
        }
    }

    /// Seals a content, and stores the parcel under an id that follows from `named_for`.
    fn seal(
        &self,
        sealer: &Sealer,
        octets: &[u8],
        named_for: &[u8],
        draft: &Draft<'_>,
    ) -> Result<(), Error> {
        let mut content = Buffer::with_capacity(octets.len());
        content.append(octets);
        let mut number = [0; 16];
        number.copy_from_slice(&hash::sha256(named_for)[..16]);
        let id = send::uuid(number);
        let id = Some(id.as_str());
        let sent = send::content(sealer, content, &Draft { id, ..*draft })?;
        self.store(sent.octets.into_octets())
    }

    /// Stores a parcel that a run before this one may have stored.
    fn store(&self, parcel: Vec<u8>) -> Result<(), Error> {
        let admission = self.admission()?;
        let admitted = match admission.admit_missing(parcel) {
            Err(error) if error.kind() == ErrorKind::Seen => None,
            admitted => admitted?,
        };
        let Some(admitted) = admitted else {
            return Ok(admission.sync_earlier()?);
        };
        let staged = match admission.write(&admitted) {
            // Who cannot read the queues learns only here that it was stored before.
            Err(disk::Error::Exists { .. }) => return Ok(admission.sync_earlier()?),
            staged => staged?,
        };
        let (parcel, _) = admitted.into_parts();
        let mut batch = Batch::default();
        if let Some(staged) = staged {
            batch.add(staged)?;
        }
        commit(batch)?;
        for older in &parcel.replaced {
            files::remove(older, FileRole::Spool)?;
        }
        Ok(())
    }

    fn admission(&self) -> Result<&Admission<'a>, Error> {
        if let Some(admission) = self.admission.get() {
            return Ok(admission);
        }
        let entrance = Entrance::of(self.access)?;
        let priority = Some(MAX_PRIORITY);
        let made = Admission::new(self.access, entrance, self.window, self.now, priority)?;
        Ok(self.admission.get_or_init(|| made))
    }
}

/// Waits until files have their names, all of them.
fn commit(mut batch: Batch) -> Result<(), Error> {
    batch.commit()?;
    match batch.take_refused().into_iter().next() {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}
