//! What relay-revoke withdraws, and how gateways learn of it.

use std::collections::BTreeSet;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};

use super::args::NodeDir;
use super::errors::Usage;
use super::status::{self, Reported};
use super::{files, report, table};
use crate::asn1::{Hex, hex};
use crate::describe::{json, lines};
use crate::disk::publish::{self, IfExists};
use crate::kind::ErrorKind;
use crate::message::pdd::RevocationScope;
use crate::message::{Item, Pdd};
use crate::node::revocation_store::{self, GivenAuthorization, RevocationOrder};
use crate::node::{AuthorizationError, Directory, Error, NodeType, certificates, endpoints};
use crate::pki::{NodeId, Window, issuance};
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
    /// Why others are not revoked.
    failures: Vec<anyhow::Error>,
}

impl RevocationRequest<'_> {
    /// Finds what is meant. A peer or serial number that is not known, or a peer that was given
    /// nothing, keeps no other from being revoked.
    ///
    /// # Errors
    /// When nothing is left, or the node cannot be read.
    pub fn plan(&self, node: &Directory) -> anyhow::Result<RevocationPlan> {
        let (issuer, meant, failures) = if let Some(endpoint) = self.issuer {
            node.check_is_gateway()?;
            (node.find_peer(endpoint)?.id, Vec::new(), Vec::new())
        } else {
            let (meant, failures) = self.meant(node)?;
            (node.id(), meant, failures)
        };
        if meant.is_empty() && !failures.is_empty() {
            finish(&failures)?;
        }
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
        Ok(RevocationPlan {
            order,
            meant,
            failures,
        })
    }

    /// What the operands stand for, and why some stand for nothing.
    fn meant(
        &self,
        node: &Directory,
    ) -> anyhow::Result<(Vec<GivenAuthorization>, Vec<anyhow::Error>)> {
        let given = revocation_store::given(node, None, self.now)?;
        if self.all {
            return Ok((given, Vec::new()));
        }
        let (mut meant, mut failures) = (Vec::new(), Vec::new());
        for operand in self.operands {
            match meant_by(operand, node, &given) {
                Ok(found) => meant.extend(found),
                Err(error) => failures.push(error.into()),
            }
        }
        meant.sort_by(|one, other| one.leaf.serial().cmp(other.leaf.serial()));
        meant.dedup_by(|one, other| one.leaf == other.leaf);
        Ok((meant, failures))
    }
}

/// What a peer or serial number stands for.
fn meant_by(
    operand: &str,
    node: &Directory,
    given: &[GivenAuthorization],
) -> Result<Vec<GivenAuthorization>, Error> {
    let is_serial = |it: &&GivenAuthorization| {
        Hex(it.leaf.serial()).to_string() == operand.to_ascii_lowercase()
    };
    if let Some(one) = given.iter().find(is_serial) {
        return Ok(vec![one.clone()]);
    }
    let peer = match node.find_peer(operand) {
        Err(error) if serial(operand).is_ok() && is_unknown(&error) => {
            let what = AuthorizationError::NotGiven(operand.to_owned());
            return Err(Error::Authorization(what));
        }
        found => found?,
    };
    let of_peer = given.iter().filter(|it| it.peer == peer.id);
    let meant: Vec<_> = of_peer.cloned().collect();
    if meant.is_empty() {
        let what = AuthorizationError::NothingGiven(peer.label());
        return Err(Error::Authorization(what));
    }
    Ok(meant)
}

/// Reports failures, and fails with the status of the first one.
fn finish(failures: &[anyhow::Error]) -> anyhow::Result<()> {
    for error in failures {
        report::failure(None, error);
    }
    match failures.first() {
        None => Ok(()),
        Some(first) => Err(Reported(status::status(first)).into()),
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
    /// Reports what was not revoked, and fails if there is something.
    ///
    /// # Errors
    /// The status of the first failure.
    pub fn finish(self) -> anyhow::Result<()> {
        finish(&self.failures)
    }

    /// Stores a deauthorization with the endpoint that issued what it revokes, if that is one of
    /// this gateway, so that it gives nothing more under it.
    ///
    /// # Errors
    /// When the endpoints of this gateway cannot be listed.
    pub fn tell_issuer(&mut self, node: &Directory, octets: &[u8]) -> anyhow::Result<()> {
        if self.order.issuer == node.id() {
            return Ok(());
        }
        let local = endpoints::local(node)?.into_iter();
        let Some(local) = local.into_iter().find(|it| it.id == self.order.issuer) else {
            return Ok(());
        };
        let name = local.name.clone();
        let Some(root) = local.own_root() else {
            report::warn_with(
                &format!("{name} belongs to another user, and does not know it yet"),
                "relay-revoke -o FILE again, and have them import that",
            );
            return Ok(());
        };
        let store = || -> anyhow::Result<()> {
            let endpoint = node.open_other(&root)?;
            let _lock = endpoint.lock_exclusive()?;
            let now = self.order.now;
            let window = Window::new(now, SignedDuration::ZERO);
            endpoint.keep_revocation(&Pdd::parse(octets)?, octets, (now, &window))?;
            Ok(())
        };
        if let Err(error) = store() {
            self.failures.push(error.context(name));
        }
        Ok(())
    }

    /// Prints a line for each authorization: the peer, the serial number, and until when it is
    /// revoked.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn print(&self, node: &Directory, is_json: bool) -> anyhow::Result<()> {
        type Row<'a> = (Option<NodeId>, Option<&'a [u8]>);
        let serials: Vec<Row<'_>> = match &self.order.scope {
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
        // An earlier one may last longer.
        let until = |serial: Option<&[u8]>| {
            let scope = match (&self.order.scope, serial) {
                (RevocationScope::All, _) | (_, None) => RevocationScope::All,
                (_, Some(serial)) => RevocationScope::Serials([serial.to_vec()].into()),
            };
            revocation_store::revoked_until(node, &self.order, &scope)
        };
        if is_json {
            return serials.into_iter().try_for_each(|(peer, serial)| {
                let until = until(serial)?;
                let line = lines::revoked(self.order.issuer, peer, of(serial).as_deref(), until);
                files::print(&json::line(&line))
            });
        }
        let rows = serials.into_iter().map(|(peer, serial)| {
            let until = until(serial)?;
            let peer = peer.map_or_else(|| "-".to_owned(), |peer| node.label_of(peer));
            let serial = of(serial).unwrap_or_else(|| "all".to_owned());
            Ok(vec![peer, serial, until.to_string()])
        });
        let rows = rows.collect::<Result<Vec<_>, Error>>()?;
        table::print(&["PEER", "SERIAL", "REVOKED UNTIL"], &rows)
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
