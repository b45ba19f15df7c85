//! Decides where one message goes next.

use std::collections::HashMap;
use std::path::PathBuf;

use super::{Error, Table, Target};
use crate::node::config::Direct;
use crate::node::lookup::PeerLookup;
use crate::node::peers::short_id;
use crate::node::{self, Directory, certificates, endpoints, registrations};
use crate::pki::{Certificate, NodeId};
use crate::ramf::SignedMessage;
use crate::spool::name::HopPrefix;

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
    /// The gateways that certified this node.
    registrars: Vec<NodeId>,
    /// The peers, of which some take cargo from this node.
    peers: PeerLookup,
    table: Table,
    /// What goes to recipients on the Internet directly.
    direct: Direct,
    /// The node, to look up whom it registered.
    root: PathBuf,
}

impl Hops {
    /// Reads the next hops and the routes of this node.
    ///
    /// # Errors
    /// When the routes are wrong, or a file cannot be read.
    pub fn of(node: &Directory) -> Result<Self, Error> {
        Ok(Self {
            table: Table::of(node)?,
            ..Self::without_routes(node)?
        })
    }

    /// The same as if the node had no routes.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn without_routes(node: &Directory) -> Result<Self, Error> {
        let mut home = HashMap::from([(node.id(), "this node".to_owned())]);
        for endpoint in endpoints::local(node)? {
            home.insert(endpoint.id, endpoint.name);
        }
        let mut registrars = certificates::issuers(node)?;
        registrars.retain(|issuer| *issuer != node.id());
        Ok(Self {
            home,
            registrars,
            peers: PeerLookup::of(node),
            table: Table::default(),
            direct: node.config().direct(),
            root: node.root().to_owned(),
        })
    }

    /// Whether a node takes cargo from this one.
    fn takes_cargo(&self, id: NodeId) -> Result<bool, node::Error> {
        if self.registrars.contains(&id) {
            return Ok(true);
        }
        Ok(self.peers.get(id)?.is_some_and(|peer| peer.takes_cargo))
    }

    /// Whether a node registered with this one, so that it collects what is for it.
    fn is_registered(&self, id: NodeId) -> Result<bool, node::Error> {
        Ok(self.peers.get(id)?.is_some_and(|peer| peer.is_registered))
    }

    /// Decides where a verified message goes. `is_shown` says whether the message shows that its
    /// recipient authorized its sender, `from` which hop brought it.
    ///
    /// # Errors
    /// When there is no route, or only one back; when the recipient is a node here, or is registered here and no
    /// route is for it, and `is_shown` is false; when a peer that may be the next hop cannot be read.
    pub fn decide(
        &self,
        message: &SignedMessage,
        from: Option<HopPrefix>,
        is_shown: bool,
    ) -> Result<Decision, Error> {
        let is_back = |hop: NodeId| from == Some(hop.into());
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
                Target::Out(hop) if is_back(*hop) => Err(Error::Back(short_id(recipient))),
                target => Ok(Decision {
                    target: target.clone(),
                    priority: route.priority,
                    copies: route.copies,
                }),
            };
        }
        // Its own mailbox. Whoever brought the message: a recipient passes on nothing that is for itself.
        if self.is_registered(recipient)? {
            return if is_shown {
                Ok(Target::Out(recipient).into())
            } else {
                Err(Error::NotShown)
            };
        }
        if self.direct == Direct::Always && self.may_go_directly(message, from)? {
            return Ok(Target::Internet.into());
        }
        // The root of a path is not attached, but the last certificate names it as issuer.
        let attached = message.attached();
        let of_path = attached.iter().map(Certificate::id);
        let of_anchor = attached.last().map(Certificate::issuer_ids);
        let of_path = of_path.chain(of_anchor.unwrap_or_default());
        let mut unreadable = None;
        let on_the_way = of_path.filter(|id| {
            *id != recipient
                && self.takes_cargo(*id).unwrap_or_else(|error| {
                    unreadable.get_or_insert(error);
                    false
                })
        });
        // Of several registrars, none is the default: a route has to choose.
        let registrar = match &self.registrars[..] {
            [only] => Some(*only),
            _ => None,
        };
        let (mut back, mut next) = (false, None);
        for hop in on_the_way.chain(registrar) {
            if !is_back(hop) {
                next = Some(hop);
                break;
            }
            back = true;
        }
        match (next, unreadable) {
            (Some(hop), _) => Ok(Target::Out(hop).into()),
            (None, Some(error)) => Err(error.into()),
            (None, None) if back => Err(Error::Back(short_id(recipient))),
            (None, None)
                if self.direct == Direct::Fallback && self.may_go_directly(message, from)? =>
            {
                Ok(Target::Internet.into())
            }
            (None, None) => Err(Error::NoRoute {
                to: short_id(recipient),
                is_direct_off: self.direct == Direct::No && self.may_go_directly(message, from)?,
            }),
        }
    }

    /// Whether a message goes to its recipient's own server: that has an Internet address, the sender is a node here or
    /// one that this gateway registered, and it was not tried before.
    fn may_go_directly(
        &self,
        message: &SignedMessage,
        from: Option<HopPrefix>,
    ) -> Result<bool, node::Error> {
        let address = &message.fields().address;
        let has_address = address
            .as_ref()
            .is_some_and(|address| !address.is_nowhere());
        if !has_address || from == Some(HopPrefix::internet()) {
            return Ok(false);
        }
        let sender = message.sender();
        Ok(self.home.contains_key(&sender) || registrations::is_known(&self.root, sender)?)
    }
}
