//! Session keys and authorizations of unknown senders: `strangers/<day>/<id>.pem`.
//!
//! Anybody may write to an Internet node, and it can answer. What unknown senders send for that is
//! stored apart from peers and within a quota, since no user vouches for it. It serves to seal to
//! that same id only: an unknown sender has no name, is no next hop and no trust anchor, until a
//! user imports, authorizes or registers it. Each sender has one file a day, and the newest
//! includes everything in the older ones. relay-purge removes old days.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::certificates::{certificates_from_octets, path_of, path_to_pem};
use super::day::day_name;
use super::files::{damaged, read_text, rely_on, store as store_file};
use super::key_file::{self, Headers};
use super::{Directory, Error};
use super::{DirectoryError, ImportError};
use crate::disk::{FileRole, files, tree};
use crate::message::CertificationPath;
use crate::pki::NodeId;
use crate::ramf::InternetAddress;
use crate::session::PublicSessionKey;

/// The largest file of one sender, in octets. A path through two gateways takes about 5 KiB.
const MAX_LEN: usize = 16 * 1024;

/// Header: the date of the message that brought the key.
const DATE: &str = "Date";

/// Header: the Internet address of the sender, or of its gateway.
const ADDRESS: &str = "Address";

/// The data that an unknown sender sent for answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The session key to answer under.
    pub key: PublicSessionKey,
    /// The date of the message that brought the key.
    pub date: Timestamp,
    /// The authorization to send to it, if it sent one.
    pub authorization: Option<SentAuthorization>,
}

/// An authorization that an unknown sender sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentAuthorization {
    /// The certification path of this node.
    pub path: CertificationPath,
    /// The Internet address of the sender's gateway.
    pub address: Option<InternetAddress>,
}

impl Heard {
    /// Merges this with what was stored before: the later key, and the authorization that ends
    /// last.
    fn and(self, known: &Self) -> Self {
        let (key, date) = if self.date > known.date {
            (self.key, self.date)
        } else {
            (known.key.clone(), known.date)
        };
        // The end may be that of one gateway certificate for several authorizations: then the
        // newest counts.
        let rank = |it: &SentAuthorization| (it.path.leaf.not_after(), it.path.leaf.not_before());
        let known = known.authorization.as_ref();
        let is_better =
            |new: &SentAuthorization| known.is_none_or(|known| rank(new) >= rank(known));
        Self {
            key,
            date,
            authorization: self
                .authorization
                .filter(is_better)
                .or_else(|| known.cloned()),
        }
    }

    fn to_text(&self) -> String {
        let mut headers = Headers::default();
        headers.set(DATE, &self.date);
        let mut path = String::new();
        if let Some(authorization) = &self.authorization {
            if let Some(address) = &authorization.address {
                headers.set(ADDRESS, address);
            }
            path = path_to_pem(&authorization.path);
        }
        key_file::public_to_text(&self.key, &headers) + &path
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let (key, headers) = key_file::public_from_text(text.as_bytes())?;
        let certificates = certificates_from_octets(text.as_bytes())?;
        let authorization = if certificates.is_empty() {
            None
        } else {
            let address = headers.get(ADDRESS).map(str::parse).transpose()?;
            let path = path_of(certificates)?;
            Some(SentAuthorization { path, address })
        };
        Ok(Self {
            key,
            date: headers.date(DATE).unwrap_or(Timestamp::MIN),
            authorization,
        })
    }
}

/// A file of a sender.
struct Kept {
    path: PathBuf,
    len: u64,
    heard: Result<Heard, Error>,
}

/// Stores the data from an unknown sender. Returns whether today's quota had room for it. For a
/// sender that is stored already, a later session key is stored in any case. The caller holds the
/// lock of unknown senders.
///
/// # Errors
/// When it is too large, or cannot be stored.
pub fn store(
    node: &Directory,
    sender: NodeId,
    heard: Heard,
    now: Timestamp,
) -> Result<bool, Error> {
    let root = node.root();
    let kept = find(root, sender)?;
    let today = root
        .join(FOLDER)
        .join(day_name(now))
        .join(format!("{sender}.pem"));
    let replaced = kept.iter().find(|kept| kept.path == today);
    let replaced = replaced.map(|kept| kept.len);
    // A damaged file is replaced. Otherwise every message of this sender would fail.
    let Some((known, before)) = newest_of(&kept) else {
        return put(node, &today, &heard, replaced);
    };
    let all = heard.and(before);
    if all == *before {
        // The run that stored it may have been killed before it synced the name.
        rely_on(&known.path)?;
        return Ok(true);
    }
    if put(node, &today, &all, replaced)? {
        return Ok(true);
    }
    // No room today: only the key is replaced in the existing file, which does not make it longer.
    let key_alone = Heard {
        authorization: before.authorization.clone(),
        ..all.clone()
    };
    store_file(root, &known.path, key_alone.to_text().as_bytes())?;
    Ok(all == key_alone)
}

/// Writes a file, if the quota of its day has room for it.
fn put(node: &Directory, path: &Path, heard: &Heard, replaced: Option<u64>) -> Result<bool, Error> {
    let text = heard.to_text();
    if text.len() > MAX_LEN {
        return Err(Error::Import(ImportError::Unsuitable(
            "too large to be kept",
        )));
    }
    let Some(day) = path.parent() else {
        return Ok(false);
    };
    let is_admitted = node.tally().of(day)?.admit(text.len() as u64, replaced);
    if is_admitted {
        store_file(node.root(), path, text.as_bytes())?;
    }
    Ok(is_admitted)
}

/// The newest data from an unknown sender, if any is stored.
///
/// # Errors
/// When it cannot be read.
pub fn newest(root: &Path, sender: NodeId) -> Result<Option<Heard>, Error> {
    let mut heard = Vec::new();
    for kept in find(root, sender)? {
        heard.push(kept.heard?);
    }
    Ok(heard.into_iter().max_by_key(|heard| heard.date))
}

/// Whether any data from this unknown sender is stored.
///
/// # Errors
/// When the folders cannot be read.
pub fn is_known(root: &Path, sender: NodeId) -> Result<bool, Error> {
    for day in tree::entries(&root.join(FOLDER), FileRole::Node)?.entries {
        if files::exists(&day.path.join(format!("{sender}.pem")), FileRole::Node)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The unknown senders of whom anything is stored.
///
/// # Errors
/// When the folders cannot be read.
pub fn all(root: &Path) -> Result<BTreeSet<NodeId>, Error> {
    let mut senders = BTreeSet::new();
    for day in tree::entries(&root.join(FOLDER), FileRole::Node)?.entries {
        for kept in tree::entries(&day.path, FileRole::Node)?.entries {
            let name = kept
                .name
                .to_str()
                .and_then(|name| name.strip_suffix(".pem"));
            senders.extend(name.and_then(|id| id.parse::<NodeId>().ok()));
        }
    }
    Ok(senders)
}

/// Removes all files of an unknown sender.
///
/// # Errors
/// When a file cannot be removed.
pub fn forget(root: &Path, sender: NodeId) -> Result<(), Error> {
    for kept in find(root, sender)? {
        files::remove(&kept.path, FileRole::Node)?;
    }
    Ok(())
}

/// The readable file with the latest key; of several, the one of the latest day, which includes the
/// others.
fn newest_of(kept: &[Kept]) -> Option<(&Kept, &Heard)> {
    let whole = kept
        .iter()
        .filter_map(|kept| Some((kept, kept.heard.as_ref().ok()?)));
    whole.max_by_key(|(_, heard)| heard.date)
}

/// The files of a sender, sorted by day.
fn find(root: &Path, sender: NodeId) -> Result<Vec<Kept>, Error> {
    let mut kept = Vec::new();
    for day in tree::entries(&root.join(FOLDER), FileRole::Node)?.entries {
        let path = day.path.join(format!("{sender}.pem"));
        let text = match read_text(&path) {
            Ok(Some(text)) => Ok(text),
            Ok(None) => continue,
            // A damaged file is passed on as such, so that it can be replaced; any other error ends
            // the search.
            Err(error @ Error::Directory(DirectoryError::Damaged { .. })) => Err(error),
            Err(error) => return Err(error),
        };
        kept.push(Kept {
            len: text.as_ref().map_or(0, String::len) as u64,
            heard: text
                .and_then(|text| Heard::parse(&text).map_err(|error| damaged(&path, &error))),
            path,
        });
    }
    Ok(kept)
}

/// The folder in the node. The name is part of the format (relay-node(5)).
const FOLDER: &str = "strangers";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::ecdh::Curve;
    use crate::session::PrivateSessionKey;

    fn heard(date: &str) -> Heard {
        let key = PrivateSessionKey::generate(Curve::P256).unwrap();
        Heard {
            key: key.public().clone(),
            date: date.parse().unwrap(),
            authorization: None,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let heard = heard("2026-03-01T12:00:00Z");
        assert_eq!(Heard::parse(&heard.to_text()).unwrap(), heard);
        assert!(Heard::parse("").is_err());
    }

    #[test]
    fn the_later_key_counts_whichever_comes_first() {
        let (earlier, later) = (heard("2026-03-01T12:00:00Z"), heard("2026-03-01T12:00:01Z"));
        assert_eq!(later.clone().and(&earlier), later);
        assert_eq!(earlier.and(&later), later);
    }
}
