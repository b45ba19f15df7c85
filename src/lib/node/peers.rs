//! The nodes that this one knows: `peers/<id>/`.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::PeerError;
use super::files::{damaged, read_text, rely_on, store};
use super::key_file::{self, Headers};
use super::nearest::Nearest;
use super::peer_files::{read_identity, read_name};
use super::{Directory, Error, certificates, registrations, sessions, unknown_senders};
use crate::asn1::pem;
use crate::disk::{FileRole, files, tree};
use crate::pipeline::mutex;
use crate::pki::{Certificate, NodeId, PublicKey};
use crate::ramf::InternetAddress;
use crate::session::PublicSessionKey;
use crate::session::ratchet::{self, PeerKey};

/// The longest name, in characters.
const MAX_NAME_LEN: usize = 63;

/// The nearest name that a peer can have.
#[must_use]
pub fn nearest_name(text: &str) -> Option<String> {
    let legal = |it: char| match it.to_ascii_lowercase() {
        lower if lower.is_ascii_alphanumeric() || matches!(lower, '.' | '_' | '-') => lower,
        _ => '-',
    };
    let name: String = text.chars().map(legal).take(MAX_NAME_LEN).collect();
    let name = name.trim_matches(['.', '_', '-']);
    (name != text && check_name(name).is_ok()).then(|| name.to_owned())
}

/// The digits of a short id, and the fewest that are accepted in place of an id: 60 bits, since the
/// first is always 0. Nobody makes another node whose id begins alike.
const SHORT_LEN: usize = 16;

/// From so many digits on, what begins like an id is meant as one, and is no name.
const LIKE_ID_LEN: usize = 8;

/// Header: the date of the message or object that brought the session key.
const DATE: &str = "Date";
/// Header: until when an initial session key is sealed to. A key from a message has none.
const SEALED_UNTIL: &str = "Sealed-Until";
/// Header: the session key came with connection parameters, which have no date. Its date is that of
/// the import.
const UNDATED: &str = "Undated";

/// A node that this one knows.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its id.
    pub id: NodeId,
    /// Its name here.
    pub name: Option<String>,
    /// Its Internet address, or that of its gateway.
    pub address: Option<InternetAddress>,
}

impl Peer {
    /// Its name for diagnostics: its name here, or the beginning of its id.
    #[must_use]
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| short_id(self.id))
    }
}

/// The beginning of an id, enough to tell peers apart and to name one on a command line.
#[must_use]
pub fn short_id(id: NodeId) -> String {
    id.to_string().chars().take(SHORT_LEN).collect()
}

/// Whether a text is meant as an id, or as the beginning of one: ids begin with 0.
fn is_like_id(text: &str) -> bool {
    text.len() >= LIKE_ID_LEN
        && text.starts_with('0')
        && text.bytes().all(|octet| octet.is_ascii_hexdigit())
}

/// Whether a text is the beginning of this id, and long enough to stand for it.
#[must_use]
pub fn is_short_for(text: &str, id: NodeId) -> bool {
    text.len() >= SHORT_LEN && id.to_string().starts_with(&text.to_ascii_lowercase())
}

/// A peer's session key as it is stored.
#[derive(Debug, Clone)]
pub struct StoredSessionKey {
    /// The key.
    pub key: PublicSessionKey,
    /// The date of the message or object that brought it.
    pub date: Timestamp,
    /// Until when it is sealed to; `None` for a key from a message.
    pub sealed_until: Option<Timestamp>,
    /// Whether it came with connection parameters, which have no date.
    pub is_undated: bool,
}

/// A peer of which something cannot be read.
#[derive(Debug)]
pub struct UnreadablePeer {
    /// Which one.
    pub id: NodeId,
    /// What, and why not.
    pub error: Error,
}

/// The options for storing an initial session key.
#[derive(Debug, Clone, Copy)]
pub struct Initial {
    /// Until when it is sealed to.
    pub sealed_until: Timestamp,
    /// Whether its date is that of the import.
    pub is_undated: bool,
}

/// Checks that the text can be a peer's name: it is safe in paths, and cannot be taken for an id.
///
/// # Errors
/// [`PeerError::BadName`] when it cannot.
pub fn check_name(name: &str) -> Result<(), Error> {
    let mut octets = name.bytes();
    let first = octets
        .next()
        .is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit());
    let rest = octets.all(|octet| {
        octet.is_ascii_lowercase() || octet.is_ascii_digit() || matches!(octet, b'.' | b'_' | b'-')
    });
    // `any` is the folder for session keys that are bound to nobody.
    if first && rest && name.len() <= MAX_NAME_LEN && !is_like_id(name) && name != "any" {
        Ok(())
    } else {
        Err(Error::Peer(PeerError::BadName(name.to_owned())))
    }
}

fn ambiguous(text: &str, ids: &[NodeId]) -> Error {
    Error::Peer(PeerError::Ambiguous {
        text: text.to_owned(),
        ids: ids.iter().map(ToString::to_string).collect(),
    })
}

impl Directory {
    pub(crate) fn peer_dir(&self, id: NodeId) -> PathBuf {
        self.root().join("peers").join(id.to_string())
    }

    /// Whether the peer with this id is known.
    ///
    /// # Errors
    /// When its directory cannot be examined.
    pub fn knows(&self, id: NodeId) -> Result<bool, Error> {
        Ok(files::exists(
            &self.peer_dir(id).join("identity.pub"),
            FileRole::Node,
        )?)
    }

    /// The peer with this id, if it is known.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub fn peer(&self, id: NodeId) -> Result<Option<Peer>, Error> {
        if !self.knows(id)? {
            return Ok(None);
        }
        let dir = self.peer_dir(id);
        let name = read_name(&dir)?;
        let path = dir.join("address");
        let address = match read_text(&path)? {
            Some(address) => Some(
                address
                    .trim()
                    .parse()
                    .map_err(|error| damaged(&path, &error))?,
            ),
            None => None,
        };
        Ok(Some(Peer { id, name, address }))
    }

    /// The peer with this id, which must be known.
    ///
    /// # Errors
    /// [`PeerError::Unknown`], or when its files cannot be read.
    pub(super) fn known_peer(&self, id: NodeId) -> Result<Peer, Error> {
        self.peer(id)?
            .ok_or_else(|| Error::Peer(PeerError::Unknown(id.to_string())))
    }

    /// The name of a node for diagnostics: as [`Peer::label`], also for one that is unknown or cannot be read.
    #[must_use]
    pub fn label_of(&self, id: NodeId) -> String {
        let peer = self.peer(id).ok().flatten();
        peer.map_or_else(|| short_id(id), |peer| peer.label())
    }

    /// Every peer, by id, and those of which something cannot be read: they keep nobody from working with the others.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn peers(&self) -> Result<(Vec<Peer>, Vec<UnreadablePeer>), Error> {
        let (mut peers, mut unreadable) = (Vec::new(), Vec::new());
        for id in self.peer_ids()? {
            match self.peer(id) {
                Ok(peer) => peers.extend(peer),
                Err(error) => unreadable.push(UnreadablePeer { id, error }),
            }
        }
        Ok((peers, unreadable))
    }

    /// The peer that a user means: by its name, its id, or the beginning of its id.
    ///
    /// # Errors
    /// [`PeerError::Unknown`], [`PeerError::Mistyped`] or [`PeerError::Ambiguous`].
    pub fn find_peer(&self, text: &str) -> Result<Peer, Error> {
        let unknown = || PeerError::Unknown(text.to_owned());
        if let Ok(id) = text.parse() {
            return self.peer(id)?.ok_or_else(|| Error::Peer(unknown()));
        }
        let mut nearest = Nearest::to(text);
        // It may be the one that cannot be read.
        let (named, mut unreadable) = self.named(text, &mut nearest)?;
        if let Some(peer) = named {
            return Ok(peer);
        }
        if is_like_id(text) && text.len() < SHORT_LEN {
            return Err(Error::Peer(PeerError::ShortId(text.to_owned())));
        }
        let mut meant = Vec::new();
        for id in self.peer_ids()?.filter(|id| is_short_for(text, *id)) {
            match self.peer(id) {
                Ok(peer) => meant.extend(peer),
                Err(error) => unreadable = Some(error),
            }
        }
        if meant.len() > 1 {
            let ids: Vec<NodeId> = meant.iter().map(|peer| peer.id).collect();
            return Err(ambiguous(text, &ids));
        }
        // No name is near an id: two ids that look alike are two nodes.
        let near = nearest.into_name().filter(|_| !is_like_id(text));
        let unknown = || match near {
            Some(meant) => PeerError::Mistyped {
                text: text.to_owned(),
                meant,
            },
            None => unknown(),
        };
        meant
            .pop()
            .ok_or_else(|| unreadable.unwrap_or_else(|| Error::Peer(unknown())))
    }

    /// The peer of this name, and why the name of another one cannot be read, if so. Reads no more
    /// than names of all others: there may be thousands. `nearest` sees all names.
    fn named(
        &self,
        name: &str,
        nearest: &mut Nearest,
    ) -> Result<(Option<Peer>, Option<Error>), Error> {
        let mut unreadable = None;
        for id in self.peer_ids()? {
            match read_name(&self.peer_dir(id)) {
                Ok(Some(its)) if its == name => {}
                Ok(its) => {
                    if let Some(its) = its {
                        nearest.offer(&its);
                    }
                    continue;
                }
                Err(error) => {
                    unreadable.get_or_insert(error);
                    continue;
                }
            }
            if let Some(peer) = self.peer(id)? {
                return Ok((Some(peer), None));
            }
        }
        Ok((None, unreadable))
    }

    /// The ids in `peers`, in order; a directory that is being removed is among them.
    pub(super) fn peer_ids(&self) -> Result<impl Iterator<Item = NodeId> + use<>, Error> {
        let listed = tree::entries(&self.root().join("peers"), FileRole::Node)?;
        let names = listed.entries.into_iter().map(|entry| entry.name);
        Ok(names.filter_map(|name| name.to_str()?.parse().ok()))
    }

    /// The recipient that a user means: a peer as in [`Directory::find_peer`], or an unknown sender
    /// by its id, or the beginning of that.
    ///
    /// # Errors
    /// As [`Directory::find_peer`].
    pub fn find_recipient(&self, text: &str) -> Result<NodeId, Error> {
        let unknown = match self.find_peer(text) {
            Ok(peer) => return Ok(peer.id),
            Err(error @ Error::Peer(PeerError::Unknown(_))) => error,
            Err(error) => return Err(error),
        };
        if !is_like_id(text) {
            return Err(unknown);
        }
        let senders = unknown_senders::all(self.root())?.into_iter();
        let meant: Vec<NodeId> = senders.filter(|id| is_short_for(text, *id)).collect();
        match meant[..] {
            [] => Err(unknown),
            [id] => Ok(id),
            _ => Err(ambiguous(text, &meant)),
        }
    }

    /// The gateway that a user of this gateway means, as in [`Directory::find_peer`].
    ///
    /// # Errors
    /// [`super::DirectoryError::NotAGateway`] when this node is an endpoint; otherwise as
    /// [`Directory::find_peer`].
    pub fn find_gateway(&self, text: &str) -> Result<NodeId, Error> {
        self.check_is_gateway()?;
        Ok(self.find_peer(text)?.id)
    }

    /// Checks that the peer may be called `name`. With `replace`, the name may be taken from
    /// another peer.
    ///
    /// # Errors
    /// When it is not a valid name, is taken, or the peer has another name.
    pub fn check_peer_name(&self, id: NodeId, name: &str, replace: bool) -> Result<(), Error> {
        check_name(name)?;
        if let Some(known) = self.peer(id)?.and_then(|peer| peer.name)
            && known != name
            && !replace
        {
            return Err(Error::Peer(PeerError::NamedAlready(known)));
        }
        if replace {
            Ok(())
        } else {
            self.check_name_free(id, name)
        }
    }

    /// Checks that no other peer is called `name`.
    ///
    /// # Errors
    /// [`PeerError::NameTaken`].
    pub fn check_name_free(&self, id: NodeId, name: &str) -> Result<(), Error> {
        match self.holder_of(name)? {
            Some(holder) if holder != id => Err(Error::Peer(PeerError::NameTaken {
                name: name.to_owned(),
                holder,
            })),
            _ => Ok(()),
        }
    }

    /// Checks that no peer at all is called `name`.
    ///
    /// # Errors
    /// [`PeerError::NameTaken`].
    pub fn check_name_unused(&self, name: &str) -> Result<(), Error> {
        match self.holder_of(name)? {
            Some(holder) => Err(Error::Peer(PeerError::NameTaken {
                name: name.to_owned(),
                holder,
            })),
            None => Ok(()),
        }
    }

    fn holder_of(&self, name: &str) -> Result<Option<NodeId>, Error> {
        match self.named(name, &mut Nearest::to(""))? {
            (None, Some(error)) => Err(error), // it may have that name
            (named, _) => Ok(named.map(|peer| peer.id)),
        }
    }

    /// The nodes that this one registered and gave a name, by their names; read once in a run.
    ///
    /// # Errors
    /// When they cannot be listed or examined.
    pub(super) fn registered_names(&self) -> Result<Arc<HashMap<String, NodeId>>, Error> {
        if let Some(known) = &*mutex::lock(self.registered_cache()) {
            return Ok(Arc::clone(known));
        }
        let mut named = HashMap::new();
        for id in self.peer_ids()? {
            // One that cannot be read is reported where a message depends on it.
            if let Ok(Some(name)) = read_name(&self.peer_dir(id))
                && self.is_registered_as(id, &name)?
            {
                named.insert(name, id);
            }
        }
        let named = Arc::new(named);
        *mutex::lock(self.registered_cache()) = Some(Arc::clone(&named));
        Ok(named)
    }

    /// Whether this node registered a node and gave it this name.
    ///
    /// # Errors
    /// When that cannot be examined.
    pub(super) fn is_registered_as(&self, id: NodeId, name: &str) -> Result<bool, Error> {
        Ok(registrations::is_registered(self, id)?
            && self.knows(id)?
            && read_name(&self.peer_dir(id))?.as_deref() == Some(name))
    }

    /// Names the peer `name`. A peer that has the name loses it.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn name_peer(&self, id: NodeId, name: &str) -> Result<(), Error> {
        // Removed first: a crash in between leaves the name to nobody, and never to two peers.
        if let Some(holder) = self.holder_of(name)?.filter(|holder| *holder != id) {
            files::remove(&self.peer_dir(holder).join("name"), FileRole::Node)?;
        }
        let path = self.peer_dir(id).join("name");
        if read_text(&path)?.is_some_and(|known| known.trim() == name) {
            return rely_on(&path);
        }
        *mutex::lock(self.registered_cache()) = None;
        store(self.root(), &path, format!("{name}\n").as_bytes())
    }

    /// Stores the identity key of a peer, which makes it known.
    ///
    /// # Errors
    /// When it cannot be stored, or what is stored is another key.
    pub fn pin_identity(&self, key: &PublicKey) -> Result<(), Error> {
        let dir = self.peer_dir(key.id());
        let path = dir.join("identity.pub");
        if let Some(known) = read_identity(&dir)? {
            if known != *key {
                return Err(damaged(
                    &path,
                    &"not the key that the directory is named for",
                ));
            }
            return rely_on(&path);
        }
        store(
            self.root(),
            &path,
            pem::encode(pem::PUBLIC_KEY, key.spki()).as_bytes(),
        )
    }

    /// The pinned identity key of a peer.
    ///
    /// # Errors
    /// When it is not known or cannot be read.
    pub fn identity_of(&self, id: NodeId) -> Result<PublicKey, Error> {
        read_identity(&self.peer_dir(id))?
            .ok_or_else(|| Error::Peer(PeerError::Unknown(short_id(id))))
    }

    /// The known keys of nodes that these certificates name as issuers: our own and those of peers.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(super) fn issuer_keys(
        &self,
        certificates: &[Certificate],
    ) -> Result<Vec<PublicKey>, Error> {
        let named = certificates.iter().flat_map(Certificate::issuer_ids);
        let named: BTreeSet<NodeId> = named.collect();
        let mut keys = Vec::new();
        for id in named {
            if id == self.id() {
                keys.push(self.public().clone());
            } else if self.knows(id)? {
                keys.push(self.identity_of(id)?);
            }
        }
        Ok(keys)
    }

    /// Stores the Internet address of a peer, or of its gateway.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn set_address(&self, id: NodeId, address: &InternetAddress) -> Result<(), Error> {
        if address.is_nowhere() {
            return Ok(());
        }
        let path = self.peer_dir(id).join("address");
        if read_text(&path)?.is_some_and(|known| known.trim() == address.as_str()) {
            return rely_on(&path);
        }
        store(self.root(), &path, format!("{address}\n").as_bytes())
    }

    /// The session key to seal messages for the peer to.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn session_key_of(&self, id: NodeId) -> Result<Option<StoredSessionKey>, Error> {
        let path = self.peer_dir(id).join("session.pem");
        let Some(text) = read_text(&path)? else {
            return Ok(None);
        };
        let (key, headers) =
            key_file::public_from_text(text.as_bytes()).map_err(|error| damaged(&path, &error))?;
        Ok(Some(StoredSessionKey {
            key,
            date: headers
                .date(DATE)
                .ok_or_else(|| damaged(&path, &"no Date"))?,
            sealed_until: headers.date(SEALED_UNTIL),
            is_undated: headers.get(UNDATED).is_some(),
        }))
    }

    /// The date of the newest message, authorization or registration that brought a session key of
    /// this peer, by the peer's own clock; `None` if there is none.
    #[must_use]
    pub fn newest_date_from(&self, id: NodeId) -> Option<Timestamp> {
        let stored = self.session_key_of(id).ok().flatten()?;
        (!stored.is_undated).then_some(stored.date)
    }

    /// Stores a session key of a peer if its date is later than that of the stored one. Returns
    /// whether it is the stored one afterwards.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn offer_session_key(
        &self,
        id: NodeId,
        key: &PublicSessionKey,
        date: Timestamp,
        initial: Option<Initial>,
    ) -> Result<bool, Error> {
        let stored = self.session_key_of(id)?;
        let known = stored.as_ref().map(|stored| stored.key.clone());
        let stored = stored.map(|stored| PeerKey {
            date: (!stored.is_undated).then_some(stored.date),
        });
        if ratchet::replaces(stored.as_ref(), date) {
            self.set_session_key(id, key, date, initial)?;
            return Ok(true);
        }
        // The caller relies on the stored key, whose name a killed run may not have synced.
        self.rely_on_once(&self.peer_dir(id).join("session.pem"))?;
        Ok(known.is_some_and(|known| known == *key))
    }

    /// Stores a session key of a peer, in place of the stored one.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn set_session_key(
        &self,
        id: NodeId,
        key: &PublicSessionKey,
        date: Timestamp,
        initial: Option<Initial>,
    ) -> Result<(), Error> {
        let mut headers = Headers::default();
        headers.set(DATE, &date);
        if let Some(initial) = initial {
            headers.set(SEALED_UNTIL, &initial.sealed_until);
            if initial.is_undated {
                headers.set(UNDATED, &"yes");
            }
        }
        let path = self.peer_dir(id).join("session.pem");
        store(
            self.root(),
            &path,
            key_file::public_to_text(key, &headers).as_bytes(),
        )
    }

    /// Forgets a peer: its keys and name, our session keys for it, its certificates for us, and
    /// what it sent as an unknown sender.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn forget_peer(&self, id: NodeId) -> Result<(), Error> {
        sessions::forget(self.root(), id)?;
        certificates::forget(self, id)?;
        unknown_senders::forget(self.root(), id)?;
        files::retire_tree(&self.peer_dir(id), "identity.pub", FileRole::Node)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_cannot_be_taken_for_ids() {
        for good in ["bob", "b", "9", "a.b_c-d", "00", "0ff", "1234567890"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "any",
            "Bob",
            ".bob",
            "-b",
            "a/b",
            "a b",
            "0123456789",
            &"a".repeat(64),
            "bé",
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
