//! Takes deauthorizations: stores those that concern this node, and passes them on to its gateways.

use super::Error;
use crate::disk::publish::{self, IfExists};
use crate::message::Pdd;
use crate::message::item::Received;
use crate::node::revocation_store::{RevocationFate, RevocationStore};
use crate::node::{self, Keyring as _, NodeType, authorizations, certificates};
use crate::pipeline::once::Once;
use crate::pki::{NodeId, Window};
use crate::ramf::{self, Kind};
use crate::spool::name::HopPrefix;
use crate::spool::{Name, QueueId, Spool, Time};

/// The effect of a deauthorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationEffect {
    /// It revokes authorizations of this node from now on.
    Revoked(NodeId),
    /// It changes nothing here, for this reason.
    Useless(&'static str),
}

/// Takes the deauthorizations of one run. The caller holds the queue lock.
#[derive(Debug)]
pub struct RevocationDesk<'a> {
    spool: &'a Spool,
    store: RevocationStore<'a>,
    window: &'a Window,
    time: &'a Time,
    /// The gateways that they are passed on to.
    gateways: Once<Vec<NodeId>>,
}

impl<'a> RevocationDesk<'a> {
    /// Reads nothing yet.
    #[must_use]
    pub fn new(spool: &'a Spool, window: &'a Window, time: &'a Time) -> Self {
        Self {
            spool,
            store: RevocationStore::of(spool.owner()),
            window,
            time,
            gateways: Once::default(),
        }
    }

    /// Takes a deauthorization that the cargo of a gateway brought, or that was left here: `None`.
    /// One that is new is passed on; one that was left here is, even if it is known, since the node
    /// that made it has stored it already.
    ///
    /// It is passed on before it is stored: a run that was killed in between passes it on again.
    /// The caller then removes the file that it was read from.
    ///
    /// # Errors
    /// When it is badly signed, its signer may not revoke that, or it is not valid yet; when it
    /// cannot be stored.
    pub fn take(
        &self,
        pdd: &Received<Pdd>,
        name: &Name,
        from: Option<NodeId>,
    ) -> Result<RevocationEffect, Error> {
        let _lock = self.spool.owner().lock_exclusive()?;
        let times = (self.time.told, self.window);
        let useless = |why| Ok(RevocationEffect::Useless(why));
        match self.store.judge(pdd, pdd.octets(), times)? {
            RevocationFate::New(new) => {
                self.pass_on(pdd, name, from)?;
                self.store.keep(&new, pdd.octets())?;
                Ok(RevocationEffect::Revoked(pdd.issuer))
            }
            RevocationFate::Known if from.is_none() => {
                self.pass_on(pdd, name, from)?;
                Ok(RevocationEffect::Revoked(pdd.issuer))
            }
            // The clock may be wrong.
            RevocationFate::Ended if !self.time.is_believed() => {
                Err(node::Error::from(ramf::Error::Expired(pdd.expiry)).into())
            }
            RevocationFate::Known => useless("this is revoked here already"),
            RevocationFate::Ended => useless("it has ended"),
            RevocationFate::FromStranger => useless("nothing here is of its signer"),
            RevocationFate::NoRoom => useless("as much is revoked as may be for its signer"),
        }
    }

    /// Queues a deauthorization for the gateways of this node, except for who has it.
    fn pass_on(&self, pdd: &Received<Pdd>, name: &Name, from: Option<NodeId>) -> Result<(), Error> {
        let gateways = self.gateways.get_or_read(|| self.gateways())?;
        let name = Name {
            from: from.map(HopPrefix::from),
            priority: None,
            copies: None,
            ..name.clone()
        };
        for gateway in gateways {
            // Not even where two gateways have the same one.
            if from == Some(*gateway) || pdd.signer() == *gateway || pdd.issuer == *gateway {
                continue;
            }
            let queue = self.spool.make(QueueId::Out(*gateway))?;
            let tmp = self.spool.tmp();
            let options = self.spool.arriving(Kind::Pdd, IfExists::SameIsSuccess);
            let options = options.written_in(&tmp);
            publish::publish(&queue.path_of(&name), &[pdd.octets()], &options)?;
        }
        Ok(())
    }

    /// Those that certified this node, and those that let it send cargo to them. Not those whose
    /// certificate has ended: it would wait there, and relay-sync would complain each time.
    fn gateways(&self) -> Result<Vec<NodeId>, Error> {
        let node = self.spool.owner();
        if node.config().node_type() == NodeType::Endpoint {
            return Ok(Vec::new()); // it sends no cargo
        }
        let mut gateways = certificates::issuers(node)?;
        gateways.extend(authorizations::holders(node)?);
        gateways.sort_unstable();
        gateways.dedup();
        gateways.retain(|gateway| node.carrier(*gateway, self.time.told).is_ok());
        Ok(gateways)
    }
}
