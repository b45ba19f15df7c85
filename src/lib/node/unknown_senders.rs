//! What senders that an Internet node does not know told of themselves: `strangers/<day>/<id>.pem`.
//!
//! Anybody may write to such a node, and it answers: so their session keys and authorizations are kept, apart from
//! those of peers and bounded, since nobody here vouches for them. They serve to seal to that very id and for nothing
//! else: a stranger has no name, is no next hop and no anchor of trust until somebody imports, authorizes or registers
//! it. Each has one file for a day, which has all that counts of those of earlier days; these go with their days.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::certificates::{certificates_from_octets, path_of, path_to_pem};
use super::day::day_name;
use super::files::{damaged, read_text, rely_on, store as store_file};
use super::key_file::{self, Headers};
use super::{Directory, Error};
use crate::disk::{FileRole, files, tree};
use crate::message::CertificationPath;
use crate::pki::NodeId;
use crate::ramf::InternetAddress;
use crate::session::PublicSessionKey;

/// The most octets that are kept of one. A path through two gateways takes about 5 KiB.
const MAX_LEN: usize = 16 * 1024;

/// The date of the message that brought a key.
const DATE: &str = "Date";

/// Where the stranger, or its gateway, is on the Internet.
const ADDRESS: &str = "Address";

/// What a stranger told of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The session key to answer under.
    pub key: PublicSessionKey,
    /// The date of the message that brought the key.
    pub date: Timestamp,
    /// An authorization to send to it.
    pub authorization: Option<SentAuthorization>,
}

/// An authorization that a stranger sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentAuthorization {
    /// The certification path of this node.
    pub path: CertificationPath,
    /// Where the stranger's gateway is.
    pub address: Option<InternetAddress>,
}

impl Heard {
    /// This and what was known before: the later key, and the authorization that ends last.
    fn and(self, known: &Self) -> Self {
        let (key, date) = if self.date > known.date {
            (self.key, self.date)
        } else {
            (known.key.clone(), known.date)
        };
        // Of several that end with the certificate of one gateway, the newest.
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

/// What is kept of one stranger, in one file.
struct Kept {
    path: PathBuf,
    len: u64,
    heard: Result<Heard, Error>,
}

/// Keeps what a stranger told, unless today's quota is reached; gives whether it is kept. Of one that is known
/// already a later session key is kept in any case. The caller holds the lock of strangers.
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
    // What is damaged is replaced: its stranger's messages would wait for that for ever.
    let Some((known, before)) = newest_of(&kept) else {
        return put(node, &today, &heard, replaced);
    };
    let all = heard.and(before);
    if all == *before {
        // The run that stored it may have been killed before its name was synced.
        rely_on(&known.path)?;
        return Ok(true);
    }
    if put(node, &today, &all, replaced)? {
        return Ok(true);
    }
    // It stays where it is, and does not grow.
    let key_alone = Heard {
        authorization: before.authorization.clone(),
        ..all.clone()
    };
    store_file(root, &known.path, key_alone.to_text().as_bytes())?;
    Ok(all == key_alone)
}

/// Writes a file, if there is room for it in its day.
fn put(node: &Directory, path: &Path, heard: &Heard, replaced: Option<u64>) -> Result<bool, Error> {
    let text = heard.to_text();
    if text.len() > MAX_LEN {
        return Err(Error::Import("too large to be kept"));
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

/// What a stranger told last, if anything is known of it.
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

/// Whether anything is kept of a stranger.
///
/// # Errors
/// When that cannot be learned.
pub fn is_known(root: &Path, sender: NodeId) -> Result<bool, Error> {
    for day in tree::entries(&root.join(FOLDER), FileRole::Node)?.entries {
        if files::exists(&day.path.join(format!("{sender}.pem")), FileRole::Node)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes what is kept of a stranger.
///
/// # Errors
/// When a file cannot be removed.
pub fn forget(root: &Path, sender: NodeId) -> Result<(), Error> {
    for kept in find(root, sender)? {
        files::remove(&kept.path, FileRole::Node)?;
    }
    Ok(())
}

/// The file with the latest key; of equal ones that of the later day, which has what the other has.
fn newest_of(kept: &[Kept]) -> Option<(&Kept, &Heard)> {
    let whole = kept
        .iter()
        .filter_map(|kept| Some((kept, kept.heard.as_ref().ok()?)));
    whole.max_by_key(|(_, heard)| heard.date)
}

/// The files of a stranger, by the day.
fn find(root: &Path, sender: NodeId) -> Result<Vec<Kept>, Error> {
    let mut kept = Vec::new();
    for day in tree::entries(&root.join(FOLDER), FileRole::Node)?.entries {
        let path = day.path.join(format!("{sender}.pem"));
        let text = match read_text(&path) {
            Ok(Some(text)) => Ok(text),
            Ok(None) => continue,
            Err(error @ Error::Damaged { .. }) => Err(error),
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

/// Where they are.
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
