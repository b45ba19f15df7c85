//! Decides where one message goes next.

use std::collections::{HashMap, HashSet};

use super::{Error, Table, Target};
use crate::disk::{FileRole, files};
use crate::node::peers::{UnreadablePeer, short_id};
use crate::node::{self, Directory, Peer, certificates, endpoints, registrations};
use crate::pki::{Certificate, NodeId};
use crate::ramf::SignedMessage;
use crate::spool::Name;

/// A routing decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The target.
    pub target: Target,
    /// The priority, if the route sets one.
    pub priority: Option<u8>,
    /// The number of copies to export, if nobody will acknowledge one.
    pub copies: Option<u8>,
}

impl From<Target> for Decision {
    fn from(target: Target) -> Self {
        Self {
            target,
            priority: None,
            copies: None,
        }
    }
}

/// The next hops that a node knows.
#[derive(Debug)]
pub struct Hops {
    /// The nodes whose messages stay here: this one and its local endpoints, with their names.
    home: HashMap<NodeId, String>,
    /// Gateways that take cargo from this node.
    gateways: HashSet<NodeId>,
    /// The gateways among them that certified this node.
    registrars: Vec<NodeId>,
    table: Table,
    /// Peers of which something cannot be read: they may be next hops, or nodes here.
    unreadable: Vec<UnreadablePeer>,
}

impl Hops {
    /// Reads the next hops and the routes of this node.
    ///
    /// # Errors
    /// When the routes are wrong, or a file cannot be read.
    pub fn of(node: &Directory) -> Result<Self, Error> {
        let mut home = HashMap::from([(node.id(), "this node".to_owned())]);
        for endpoint in endpoints::local(node)? {
            home.insert(endpoint.id, endpoint.name);
        }
        let mut registrars = certificates::issuers(node)?;
        registrars.retain(|issuer| *issuer != node.id());
        let mut gateways: HashSet<NodeId> = registrars.iter().copied().collect();
        let (peers, mut unreadable) = node.peers()?;
        for Peer { id, .. } in peers {
            match takes_cargo(node, id) {
                Ok(true) => {
                    gateways.insert(id);
                }
                Ok(false) => {}
                Err(error) => unreadable.push(UnreadablePeer { id, error }),
            }
        }
        Ok(Self {
            home,
            gateways,
            registrars,
            table: Table::of(node)?,
            unreadable,
        })
    }

    /// Peers of which something cannot be read, so that there may be a route where none is found.
    pub fn take_unreadable(&mut self) -> Vec<UnreadablePeer> {
        std::mem::take(&mut self.unreadable)
    }

    /// Decides where a verified message goes. `is_shown` says whether the message shows that its
    /// recipient authorized its sender.
    ///
    /// # Errors
    /// When there is no route, or only one back; when the recipient is a node here and `is_shown`
    /// is false.
    pub fn decide(
        &self,
        message: &SignedMessage,
        name: &Name,
        is_shown: bool,
    ) -> Result<Decision, Error> {
        let fields = message.fields();
        let recipient = fields.recipient;
        if self.home.contains_key(&recipient) {
            return if is_shown {
                Ok(Target::Home(recipient).into())
            } else {
                Err(Error::NotShown)
            };
        }
        if let Some(route) = self.table.route(fields) {
            // Never back to the hop that brought it: that would be a loop of two.
            return match &route.target {
                Target::Out(hop) if name.is_from(*hop) => Err(Error::Back(short_id(recipient))),
                target => Ok(Decision {
                    target: target.clone(),
                    priority: route.priority,
                    copies: route.copies,
                }),
            };
        }
        // The root of a path is not attached, but the last certificate names it as issuer.
        let attached = message.attached();
        let of_path = attached.iter().map(Certificate::id);
        let of_anchor = attached.last().map(Certificate::issuer_ids);
        let of_path = of_path.chain(of_anchor.unwrap_or_default());
        let on_the_way = of_path.filter(|id| *id != recipient && self.gateways.contains(id));
        // Of several registrars, none is the default: a route has to choose.
        let registrar = match &self.registrars[..] {
            [only] => Some(*only),
            _ => None,
        };
        let mut hops = on_the_way.chain(registrar).peekable();
        if hops.peek().is_none() {
            return Err(Error::NoRoute(short_id(recipient)));
        }
        let hop = hops.find(|hop| !name.is_from(*hop));
        let hop = hop.ok_or_else(|| Error::Back(short_id(recipient)))?;
        Ok(Target::Out(hop).into())
    }
}

/// Whether a peer takes cargo from this node.
fn takes_cargo(node: &Directory, id: NodeId) -> Result<bool, node::Error> {
    let held = node.peer_dir(id).join("held");
    Ok(files::exists(&held, FileRole::Node)? || registrations::is_registered(node, id)?)
}
