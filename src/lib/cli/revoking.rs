//! What relay-revoke withdraws, and how gateways learn of it.

use std::collections::BTreeSet;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};

use super::args::NodeDir;
use super::errors::Usage;
use super::{files, report, table};
use crate::asn1::{Hex, hex};
use crate::describe::{json, lines};
use crate::disk::publish::{self, IfExists};
use crate::kind::ErrorKind;
use crate::message::Item;
use crate::message::pdd::RevocationScope;
use crate::node::revocation_store::{self, GivenAuthorization, RevocationOrder};
use crate::node::{AuthorizationError, Directory, Error, NodeType, certificates};
use crate::pki::{NodeId, issuance};
use crate::spool::{Access, Name};

/// What the command line asks for.
#[derive(Debug, Clone, Copy)]
pub struct RevocationRequest<'a> {
    /// Peers and serial numbers.
    pub operands: &'a [String],
    /// Whether all authorizations are meant.
    pub all: bool,
    /// The endpoint that issued them; `None` for this node.
    pub issuer: Option<&'a str>,
    /// For how long; by default, as long as they last.
    pub valid_for: Option<SignedDuration>,
    /// The time.
    pub now: Timestamp,
}

/// What will be revoked, and the authorizations that are known to be among it.
#[derive(Debug)]
pub struct RevocationPlan {
    /// What is to be revoked.
    pub order: RevocationOrder,
    meant: Vec<GivenAuthorization>,
}

impl RevocationRequest<'_> {
    /// Finds what is meant.
    ///
    /// # Errors
    /// When a peer or serial number is not known, or nothing was given to a peer.
    pub fn plan(&self, node: &Directory) -> anyhow::Result<RevocationPlan> {
        let (issuer, meant) = match self.issuer {
            Some(endpoint) => {
                node.check_is_gateway()?;
                (node.find_peer(endpoint)?.id, Vec::new())
            }
            None => (node.id(), self.meant(node)?),
        };
        let scope = if self.all {
            RevocationScope::All
        } else if self.issuer.is_some() {
            let serials = self.operands.iter().map(|text| serial(text));
            RevocationScope::Serials(serials.collect::<Result<_, _>>()?)
        } else {
            let serials = meant.iter().map(|it| it.leaf.serial().to_vec());
            RevocationScope::Serials(serials.collect::<BTreeSet<_>>())
        };
        let longest = self.now + issuance::MAX_LIFE;
        let until = match self.valid_for {
            Some(valid_for) => self.now + valid_for,
            // What was given, or can be given yet under our certificates.
            None if self.all && self.issuer.is_none() => {
                let ends = meant.iter().map(|it| it.leaf.not_after());
                let own = certificates::newest_end(node)?;
                ends.chain(own).max().unwrap_or(longest)
            }
            None => {
                let ends = meant.iter().map(|it| it.leaf.not_after());
                ends.max().unwrap_or(longest)
            }
        };
        let order = RevocationOrder {
            issuer,
            scope,
            until,
            now: self.now,
        };
        Ok(RevocationPlan { order, meant })
    }

    fn meant(&self, node: &Directory) -> anyhow::Result<Vec<GivenAuthorization>> {
        let given = revocation_store::given(node, None, self.now)?;
        if self.all {
            return Ok(given);
        }
        let mut meant: Vec<GivenAuthorization> = Vec::new();
        for operand in self.operands {
            let is_meant = |it: &&GivenAuthorization| {
                Hex(it.leaf.serial()).to_string() == operand.to_ascii_lowercase()
            };
            if let Some(one) = given.iter().find(is_meant) {
                meant.push(one.clone());
                continue;
            }
            let peer = match node.find_peer(operand) {
                Err(error) if serial(operand).is_ok() && is_unknown(&error) => {
                    let what = AuthorizationError::NotGiven(operand.clone());
                    return Err(Error::Authorization(what).into());
                }
                found => found?,
            };
            let of_peer = given.iter().filter(|it| it.peer == peer.id);
            let before = meant.len();
            meant.extend(of_peer.cloned());
            if meant.len() == before {
                let what = AuthorizationError::NothingGiven(peer.label());
                return Err(Error::Authorization(what).into());
            }
        }
        meant.sort_by(|one, other| one.leaf.serial().cmp(other.leaf.serial()));
        meant.dedup_by(|one, other| one.leaf == other.leaf);
        Ok(meant)
    }
}

fn is_unknown(error: &Error) -> bool {
    error.kind() == ErrorKind::UnknownPeer
}

/// The serial number that a text is, in hexadecimal digits.
fn serial(text: &str) -> Result<Vec<u8>, Usage> {
    let serial = hex::parse(text).filter(|octets| !octets.is_empty());
    serial.ok_or_else(|| Usage(format!("{text}: not a serial number in hexadecimal digits")))
}

impl RevocationPlan {
    /// Prints a line for each authorization: the peer, the serial number, and until when it is
    /// revoked.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn print(&self, node: &Directory, is_json: bool) -> anyhow::Result<()> {
        let until = self.order.until;
        let serials: Vec<(Option<NodeId>, Option<&[u8]>)> = match &self.order.scope {
            _ if !self.meant.is_empty() => {
                let meant = self.meant.iter();
                meant
                    .map(|it| (Some(it.peer), Some(it.leaf.serial())))
                    .collect()
            }
            RevocationScope::All => vec![(None, None)],
            RevocationScope::Serials(serials) => {
                serials.iter().map(|it| (None, Some(&**it))).collect()
            }
        };
        let of = |serial: Option<&[u8]>| serial.map(|serial| Hex(serial).to_string());
        if is_json {
            return serials.into_iter().try_for_each(|(peer, serial)| {
                let line = lines::revoked(self.order.issuer, peer, of(serial).as_deref(), until);
                files::print(&json::line(&line))
            });
        }
        let rows = serials.into_iter().map(|(peer, serial)| {
            let peer = peer.map_or_else(|| "-".to_owned(), |peer| node.label_of(peer));
            let serial = of(serial).unwrap_or_else(|| "all".to_owned());
            vec![peer, serial, until.to_string()]
        });
        table::print(
            &["PEER", "SERIAL", "REVOKED UNTIL"],
            &rows.collect::<Vec<_>>(),
        )
    }
}

/// Leaves a deauthorization where relay-route of the gateway whose spool this node uses takes it.
/// False if no gateway does.
///
/// # Errors
/// When the spool cannot be used.
pub fn queue(dir: &NodeDir, octets: &[u8], now: Timestamp) -> anyhow::Result<bool> {
    let access = dir.access()?;
    if let Access::Owner(spool) = &access
        && spool.owner().config().node_type() != NodeType::Gateway
    {
        return Ok(false);
    }
    let (queue, tmp) = access.entrance()?;
    let name = Name::of(&Item::parse(octets.to_vec())?, now);
    let path = queue.path_of(&name);
    let options = access.manner(IfExists::SameIsSuccess);
    publish::publish(&path, &[octets], &options.written_in(&tmp))
        .with_context(|| report::path(queue.dir()))?;
    Ok(true)
}
