//! Control messages, which count with the gateway whose cargo brought them.
//!
//! An acknowledgement removes exactly one message from the queue of that gateway; a rotation renews our
//! certificate from it.

use std::collections::HashMap;

use super::Error;
use crate::disk::{Role, files};
use crate::message::{Item, Object, Pca};
use crate::node::import::Options;
use crate::node::peers::short_id;
use crate::node::seen::{self, Memory};
use crate::pki::{NodeId, Window};
use crate::ramf::Kind;
use crate::spool::name::Identity;
use crate::spool::queue::Waiting;
use crate::spool::sent::{Event, Line};
use crate::spool::{Place, Spool};
use jiff::Timestamp;

/// How many acknowledgements are applied at once.
const MAX_AT_ONCE: usize = 4096;

/// What became of a control message.
#[derive(Debug)]
pub struct Applied {
    /// The message, by its file's name.
    pub message: Waiting,
    /// What it was, or why it could not be applied.
    pub result: Result<Done, Error>,
}

/// What a control message did.
#[derive(Debug)]
pub enum Done {
    /// The gateway has this message, which waits no longer.
    Acknowledged(Pca),
    /// It has it, and nothing waited any more.
    AlreadyAcknowledged,
    /// The certificate from the gateway was renewed.
    Rotated,
}

/// Applies what this gateway's cargo brought, and removes it.
///
/// # Errors
/// When the spool cannot be read or changed. What cannot be applied is given to `each`, and stays.
pub fn apply<E: From<Error>>(
    spool: &Spool,
    gateway: NodeId,
    window: &Window,
    now: Timestamp,
    each: &mut dyn FnMut(Applied) -> Result<(), E>,
) -> Result<(), E> {
    let queue = spool.queue(Place::Control(gateway));
    let mut messages = queue.messages().map_err(Error::from)?;
    loop {
        let mut acks = HashMap::new();
        for message in messages.by_ref() {
            let message = message.map_err(Error::from)?;
            if message.name.identity.kind == Kind::Pca {
                let acked = Identity {
                    kind: Kind::Parcel,
                    ..message.name.identity
                };
                acks.insert(acked, message);
            } else {
                let result = rotate(spool, gateway, &message, window, now);
                if result.is_ok() {
                    files::remove(&message.path, Role::Spool).map_err(Error::from)?;
                }
                each(Applied { message, result })?;
            }
            if acks.len() >= MAX_AT_ONCE {
                break;
            }
        }
        if acks.is_empty() {
            return Ok(());
        }
        acknowledge(spool, gateway, acks, now)?
            .into_iter()
            .try_for_each(&mut *each)?;
    }
}

/// Removes what these acknowledge from the queue of the gateway: first it is noted and remembered, then the messages go, then the acknowledgements.
fn acknowledge(
    spool: &Spool,
    gateway: NodeId,
    acks: HashMap<Identity, Waiting>,
    now: Timestamp,
) -> Result<Vec<Applied>, Error> {
    let mut applied = Vec::new();
    let mut waiting: HashMap<Identity, Vec<Waiting>> = HashMap::new();
    for message in spool.queue(Place::Out(gateway)).messages()? {
        let message = message?;
        if acks.contains_key(&message.name.identity) {
            waiting
                .entry(message.name.identity)
                .or_default()
                .push(message);
        }
    }
    let (mut lines, mut gone, mut passed) = (Vec::new(), Vec::new(), Vec::new());
    for (identity, message) in acks {
        let result = match read(&message) {
            Ok(pca) => match waiting.remove(&identity) {
                Some(acked) => {
                    lines.push(Line {
                        time: now,
                        event: Event::Acknowledged,
                        recipient: pca.recipient,
                        sender: pca.sender,
                        id: pca.parcel_id.clone(),
                        to: Some(gateway.to_string()),
                        cargo: None,
                        medium: None,
                    });
                    passed.extend(acked.first().map(|acked| {
                        seen::Identity::new(
                            Kind::Parcel,
                            pca.recipient,
                            pca.sender,
                            &pca.parcel_id,
                            acked.name.expiry,
                        )
                    }));
                    gone.extend(acked.into_iter().map(|acked| acked.path));
                    Ok(Done::Acknowledged(pca))
                }
                None => Ok(Done::AlreadyAcknowledged),
            },
            Err(error) => Err(error),
        };
        applied.push(Applied { message, result });
    }
    spool.note(&lines)?;
    if !passed.is_empty() {
        Memory::of(spool.owner().root())?.pass_on(&passed)?;
    }
    let out = spool.queue(Place::Out(gateway));
    for path in &gone {
        files::remove_unsynced(path, Role::Spool)?;
    }
    if !gone.is_empty() {
        files::sync_dir(out.dir(), Role::Spool)?;
    }
    let control = spool.queue(Place::Control(gateway));
    for applied in applied.iter().filter(|applied| applied.result.is_ok()) {
        files::remove_unsynced(&applied.message.path, Role::Spool)?;
    }
    files::sync_dir(control.dir(), Role::Spool)?;
    Ok(applied)
}

/// The acknowledgement in a file, which has to be what the file's name says.
fn read(message: &Waiting) -> Result<Pca, Error> {
    let octets = message.read()?.unwrap_or_default();
    let pca = Pca::parse(&octets)?;
    let id = crate::crypto::hash::sha256(pca.parcel_id.as_bytes());
    let named = &message.name.identity;
    if (pca.recipient, pca.sender, id) == (named.recipient, named.sender, named.id) {
        Ok(pca)
    } else {
        Err(Error::NothingAcknowledged(short_id(pca.recipient)))
    }
}

/// Takes a renewed certificate from the gateway: our key in it, signed by that gateway, lasting longer.
fn rotate(
    spool: &Spool,
    gateway: NodeId,
    message: &Waiting,
    window: &Window,
    now: Timestamp,
) -> Result<Done, Error> {
    let node = spool.owner();
    let octets = message.read()?.unwrap_or_default();
    let Item::Rotation(rotation) = Item::parse(octets.clone())? else {
        return Err(Error::Kind(message.name.identity.kind.word()));
    };
    let leaf = &rotation.path.leaf;
    if leaf.id() != node.id() {
        return Err(crate::node::Error::ForAnotherNode(leaf.id()).into());
    }
    let key = node.identity_of(gateway)?;
    if leaf.verify_signature(&key).is_err() {
        return Err(crate::node::Error::ForeignRotation.into());
    }
    let options = Options {
        name: None,
        replace: false,
        expected: None,
        vouched: true,
        one_way: false,
        now,
        window: *window,
    };
    let _lock = node.lock_exclusive()?;
    // What the import takes is an object of this network; its own checks come on top of those here.
    Object::parse(&octets)?;
    node.import(&octets, &options)?;
    Ok(Done::Rotated)
}
