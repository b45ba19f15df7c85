//! Opens the messages that arrived in time and wait in `home`, many in one run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;

use super::{
    Arrival, Held, PendingReceipt, ReceiveOptions, Verified, complete_all, opened, sent_by_another,
};
use crate::message::parts::TransferId;
use crate::message::{Parcel, ServiceMessage};
use crate::node::ciphertexts::{self, Ciphertext};
use crate::node::seen::Memory;
use crate::node::{Claim, Directory, Error, Keyring, ReplayKey, Revocations};
use crate::pipeline::mutex;
use crate::pki::{Certificate, NodeId, Window};
use crate::ramf::Valid;
use crate::session::{KeyId, PrivateSessionKey};

/// The most session keys in memory.
const MAX_KEYS: usize = 64;

/// How long a run waits for claims of others, all together. Such a run writes out one message, but
/// may write to a pager that nobody leaves; other senders, and who needs the queue, need not wait
/// for that.
const PATIENCE: Duration = Duration::from_secs(5);

/// The private keys for one key id.
type SharedKeys = Arc<Vec<PrivateSessionKey>>;

/// What is left to do for the parts of one content after it is stored, in little memory for each
/// part.
#[derive(Default)]
pub struct Joined<'a> {
    /// Of the parts sealed to one key of ours, the newest.
    newest: BTreeMap<KeyId, PendingReceipt<'a>>,
    identities: Vec<ReplayKey>,
    expiry: Option<Timestamp>,
}

impl<'a> Joined<'a> {
    /// Adds what is left to do for a part.
    pub fn add(&mut self, mut due: PendingReceipt<'a>) {
        self.expiry = self.expiry.max(Some(due.head.fields.expiry()));
        self.identities.extend(due.identity.take());
        let date = |due: &PendingReceipt<'_>| due.head.fields.date;
        let known = self.newest.get(&due.used_key);
        if known.is_none_or(|known| date(known) < date(&due)) {
            self.newest.insert(due.used_key.clone(), due);
        }
    }
}

/// A claim on a sender.
struct HeldClaim {
    _claim: Claim,
    /// Whether the memory of the run was read under it.
    is_in_memory: bool,
}

/// The system clock, whatever time [`ReceiveOptions`] have.
#[derive(Debug, Clone, Copy)]
pub struct ClockReading {
    /// Its time.
    pub told: Timestamp,
    /// Whether it is believed.
    pub is_believed: bool,
}

/// Opens the messages that wait for a node. The caller's lock on the queue keeps other runs of
/// relay-deliver from them, and claims on their senders ([`InboxReader::claim`]) keep relay-open
/// from copies of them.
pub struct InboxReader<'a> {
    node: &'a Directory,
    terms: ReceiveOptions,
    clock: ClockReading,
    seen: Memory,
    revocations: Revocations,
    /// The claims of the senders whose messages are opened now; `None` if nothing is handed out.
    claims: Mutex<Option<BTreeMap<NodeId, HeldClaim>>>,
    /// What is left of [`PATIENCE`].
    patience: Duration,
    /// The keys that were read last, by sender and key id.
    keys: Mutex<VecDeque<((NodeId, KeyId), SharedKeys)>>,
}

impl<'a> InboxReader<'a> {
    /// Reads the node's replay memory. Under a doubted clock no dates are checked, since messages
    /// here were verified when they arrived.
    ///
    /// # Errors
    /// When the memory cannot be read.
    pub fn new(
        node: &'a Directory,
        terms: ReceiveOptions,
        clock: ClockReading,
    ) -> Result<Self, Error> {
        Ok(Self {
            node,
            terms,
            clock,
            seen: Memory::of(node.root())?,
            revocations: Revocations::of(node)?,
            claims: Mutex::default(),
            patience: PATIENCE,
            keys: Mutex::default(),
        })
    }

    /// Claims senders before messages of theirs are opened to be handed out: waits a while for runs
    /// of relay-open that write one out, then learns what such runs have remembered since. Messages
    /// of a sender that is still claimed by another run are not opened
    /// ([`ReplayError::Claimed`](crate::node::ReplayError::Claimed)). Nor are those of a sender whose
    /// file of claims is there and cannot be used, and each of them fails by itself. Earlier claims
    /// are released.
    ///
    /// # Errors
    /// When no claim can be taken, or the memory cannot be read.
    pub fn claim(&mut self, senders: &BTreeSet<NodeId>) -> Result<(), Error> {
        self.release();
        let mut claims = BTreeMap::new();
        for sender in senders {
            let claim = match self.node.claim(*sender, &mut self.patience) {
                // It will fail again when a message of this sender is opened.
                Err(_) if self.node.has_claim_file(*sender) => None,
                claim => claim?,
            };
            if let Some(claim) = claim {
                let held = HeldClaim {
                    _claim: claim,
                    is_in_memory: true,
                };
                claims.insert(*sender, held);
            }
        }
        self.seen.refresh()?;
        *mutex::lock(&self.claims) = Some(claims);
        Ok(())
    }

    /// Releases the claims, after the messages are remembered.
    pub fn release(&mut self) {
        *mutex::lock(&self.claims) = None;
    }

    /// Claims the sender of a message as well, if the name of its file says another one, or another
    /// run had the claim. Returns whether the memory was read under the claim.
    fn claim_also(&self, sender: NodeId) -> Result<bool, Error> {
        // A thread that panicked with the lock held had added no claim or a whole one.
        let mut claims = mutex::lock(&self.claims);
        let Some(claims) = claims.as_mut() else {
            return Ok(true);
        };
        if let Some(held) = claims.get(&sender) {
            return Ok(held.is_in_memory);
        }
        // Not waited for, since it is out of order.
        if let Some(claim) = self.node.claim_sender(sender)? {
            let held = HeldClaim {
                _claim: claim,
                is_in_memory: false,
            };
            claims.insert(sender, held);
        }
        Ok(false)
    }

    /// Opens a parcel in a file last written at `stored`. One that arrived in time is opened at any
    /// age, and although its authorization was revoked since; another is checked as if it arrived
    /// now. Other runs may receive messages from the same
    /// sender meanwhile.
    ///
    /// # Errors
    /// As [`super::parcel`], except that a parcel which arrived in time may have expired.
    pub fn open(
        &self,
        octets: Vec<u8>,
        stored: Timestamp,
        is_in_time: bool,
    ) -> Result<Arrival<'a, ServiceMessage>, Error> {
        let parcel = Parcel::parse(octets)?.into_message();
        let window = if is_in_time && self.clock.is_believed {
            let certificates = parcel.attached().iter();
            let ends = certificates
                .chain([parcel.sender_certificate()])
                .map(Certificate::not_after);
            // Verified as of the first end among the parcel and its certificates, when it was here
            // already.
            let end = ends.fold(parcel.fields().expiry(), Ord::min);
            self.terms.window.back_to(end)
        } else if is_in_time {
            Window::unbounded()
        } else {
            self.terms.window
        };
        let message = Valid::check(parcel, &window)?;
        // Not as of its arrival: what was stored before a deauthorization came is told by `stored`.
        let at = (stored, &self.terms.window);
        let message = self
            .node
            .admit_stored(message, &window, &self.revocations, at)?;
        let identity = ReplayKey::of(message.message());
        let ask = |seen: &Memory| seen.recall(&identity, stored, self.clock.told);
        let recall = if self.claim_also(message.message().sender())? {
            ask(&self.seen)?
        } else {
            ask(&Memory::of(self.node.root())?)?
        };
        let admitted = Verified {
            message,
            identity,
            recall,
            // The sender is claimed already, and its session keys are locked when they change.
            held: Held::default(),
        };
        opened(
            self.node,
            admitted,
            &self.terms,
            |sender, id| self.keys(sender, id),
            ServiceMessage::parse_within,
        )
    }

    /// Checks that no other sender sent the ciphertexts of opened messages first, and remembers who
    /// did, unless nothing is handed out. Returns the error for each where another did, except for
    /// those that the user wants all the same, and the error for each whose records cannot be read.
    ///
    /// # Errors
    /// When records cannot be stored.
    pub fn check_senders(&self, dues: &[&PendingReceipt<'_>]) -> Result<Vec<Option<Error>>, Error> {
        let with_any = dues.iter().enumerate();
        let with_any = with_any.filter_map(|(nth, due)| Some((nth, due.ciphertext.as_ref()?)));
        let (numbers, sent): (Vec<usize>, Vec<&Ciphertext>) = with_any.unzip();
        let is_dry = mutex::lock(&self.claims).is_none();
        let check = if is_dry {
            ciphertexts::others
        } else {
            ciphertexts::record
        };
        let root = self.node.root();
        let mut errors: Vec<Option<Error>> = dues.iter().map(|_| None).collect();
        let mut sent: Vec<_> = numbers.into_iter().zip(sent).collect();
        let ciphertexts = |sent: &[(usize, &'_ Ciphertext)]| {
            check(root, &sent.iter().map(|it| it.1).collect::<Vec<_>>())
        };
        let firsts = match ciphertexts(&sent) {
            Ok(firsts) => firsts,
            // The records of one key that cannot be read are the failure of messages to that key.
            Err(error) => {
                let asked = sent.len();
                sent.retain(|(nth, ciphertext)| {
                    errors[*nth] = ciphertexts::others(root, &[ciphertext]).err();
                    errors[*nth].is_none()
                });
                if sent.len() == asked {
                    return Err(error);
                }
                ciphertexts(&sent)?
            }
        };
        for ((nth, ciphertext), first) in sent.into_iter().zip(firsts) {
            let accepted = dues[nth].identity.as_ref().map(ReplayKey::whoever_wrote_it);
            if let Some(first) = first
                && !accepted.map_or(Ok(false), |it| self.seen.contains(&it))?
            {
                errors[nth] = Some(sent_by_another(first, ciphertext));
            }
        }
        Ok(errors)
    }

    fn keys(&self, sender: NodeId, id: &KeyId) -> Result<SharedKeys, Error> {
        // A panicking thread leaves the cache consistent.
        let held = || mutex::lock(&self.keys);
        let is_it =
            |((of, known), _): &&((NodeId, KeyId), SharedKeys)| (*of, known) == (sender, id);
        if let Some((_, keys)) = held().iter().find(is_it) {
            return Ok(Arc::clone(keys));
        }
        // Read without the lock, so that other threads need not wait for the disk.
        let keys = Arc::new(self.node.session_keys(sender, id)?);
        let mut held = held();
        if held.len() >= MAX_KEYS {
            held.pop_front();
        }
        held.push_back(((sender, id.clone()), Arc::clone(&keys)));
        Ok(keys)
    }

    /// Whether a content in parts was joined before; there is a synced record.
    ///
    /// # Errors
    /// When the memory cannot be read.
    pub fn is_joined(&self, sender: NodeId, transfer: TransferId) -> Result<bool, Error> {
        // The expiry is not part of the record, so any will do.
        let (id, any) = (self.node.id(), self.terms.now);
        let transfer = ReplayKey::of_transfer(id, sender, transfer, any);
        self.seen.contains(&transfer)
    }

    /// Completes the receipts of a content in parts: stores the session keys, then remembers the
    /// content, then its parts. After a crash in between, the remaining parts are known by the
    /// content.
    ///
    /// # Errors
    /// When a session key or the memory cannot be stored.
    pub fn complete_joined(
        &mut self,
        joined: &Joined<'_>,
        transfer: TransferId,
    ) -> Result<(), Error> {
        let transfer = joined.newest.values().next().map(|receipt| {
            let (id, sender) = (self.node.id(), receipt.head.sender.id());
            let expiry = joined.expiry.unwrap_or(self.terms.now);
            ReplayKey::of_transfer(id, sender, transfer, expiry)
        });
        // The content before its parts: remaining parts are known by it.
        let groups = [transfer.as_slice(), &joined.identities];
        let receipts = joined.newest.values();
        complete_all(receipts, || Ok(()), &mut self.seen, &groups)
    }

    /// Completes many receipts, as [`PendingReceipt::complete_later`] does for each, with one sync
    /// of the memory: first all session keys, then the memory. Returns those that failed, by
    /// number.
    ///
    /// # Errors
    /// When the memory cannot be stored.
    pub fn complete(&mut self, dues: &[PendingReceipt<'_>]) -> Result<Vec<(usize, Error)>, Error> {
        let mut sessions: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (number, due) in dues.iter().enumerate() {
            let session = (due.head.sender.id(), &due.used_key);
            sessions.entry(session).or_default().push(number);
        }
        let mut failed = Vec::new();
        for numbers in sessions.into_values() {
            let advance = |number: usize| dues[number].advance_locked();
            // Of the messages sealed to one key of ours, the newest has the session key that stays.
            let date_of = |number: &&usize| dues[**number].head.fields.date;
            let Some(newest) = numbers.iter().max_by_key(date_of).copied() else {
                continue;
            };
            let Err(error) = advance(newest) else {
                continue;
            };
            // Without the newest, each of the others is tried by itself.
            failed.push((newest, error));
            for number in numbers.into_iter().filter(|number| *number != newest) {
                failed.extend(advance(number).err().map(|error| (number, error)));
            }
        }
        let is_done = |number: &usize| !failed.iter().any(|(failed, _)| failed == number);
        let done = (0..dues.len()).filter(is_done);
        let identities: Vec<ReplayKey> = done
            .filter_map(|number| dues[number].identity.clone())
            .collect();
        self.seen.add_all(&identities)?;
        Ok(failed)
    }
}
