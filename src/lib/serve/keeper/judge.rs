//! Judges parcels and nodes by what this node knows of its peers and routes.

use std::time::Instant;

use crate::kind::ErrorKind;
use crate::message::Item;
use crate::message::countersignature::{self, Purpose};
use crate::node::Directory;
use crate::node::lookup::PeerLookup;
use crate::pki::{Certificate, NodeId, PublicKey, Window};
use crate::ramf::InternetAddress;
use crate::route::{self, Hops, Target};
use crate::serve::Error;
use crate::serve::protocol::{ParcelRoute, ServeVerdict};
use crate::spool::arrival::ExpectedPlace;
use crate::spool::{QueueId, Time};
use crate::verify::{self, Policy};

use super::verdicts::verdict_of;

/// What is known at a moment. It is made anew from time to time, since other programs change the node.
pub(super) struct Judge {
    policy: Policy,
    hops: Hops,
    peers: PeerLookup,
    us: NodeId,
    key: PublicKey,
    address: Option<InternetAddress>,
    window: Window,
    is_clock_believed: bool,
}

/// A parcel that may be stored, and the node that brought it.
pub(super) struct WelcomeParcel {
    /// The parcel.
    pub item: Item,
    /// The node that it counts as brought by: that of the session, else its sender.
    pub hop: NodeId,
    /// The registered node that brought it.
    pub session: Option<NodeId>,
    /// The next hop that it will wait for, if any.
    pub next: Option<NodeId>,
    /// Where it will wait, if it does.
    pub expected: Option<ExpectedPlace>,
    /// Whether it leaves for another server.
    pub is_foreign: bool,
}

impl Judge {
    /// Reads what the node knows.
    ///
    /// # Errors
    /// When it cannot be read, or the routes are wrong.
    pub(super) fn of(node: &Directory, window: Window, time: &Time) -> Result<Self, Error> {
        Ok(Self {
            policy: Policy::of_node(node, Vec::new(), window, time.told)?,
            hops: Hops::of(node)?,
            peers: PeerLookup::of(node),
            us: node.id(),
            key: node.public().clone(),
            address: node.config().address(),
            window,
            is_clock_believed: time.is_believed(),
        })
    }

    /// The registered node that a certificate is of.
    ///
    /// # Errors
    /// The reason, if it is not a registered node.
    pub(super) fn registered(&self, certificate: &Certificate) -> Result<NodeId, ServeVerdict> {
        let id = certificate.id();
        let refuse = |text: &str| Err(ServeVerdict::Unregistered(text.to_owned()));
        if !certificate.issuer_ids().contains(&self.us)
            || certificate.verify_signature(&self.key).is_err()
        {
            return refuse("this gateway did not issue the certificate");
        }
        match self.peers.get(id) {
            Ok(Some(peer)) if peer.is_registered && peer.key == *certificate.key() => {}
            Ok(_) => return refuse("no such node is registered here"),
            Err(_) => return Err(ServeVerdict::Busy("try again".to_owned())),
        }
        match certificate.check_dates(&self.window) {
            Ok(()) => Ok(id),
            Err(_) if !self.is_clock_believed => Err(ServeVerdict::Busy(
                "the clock of this server may be wrong".to_owned(),
            )),
            Err(error) => Err(ServeVerdict::Unregistered(error.to_string())),
        }
    }

    /// The registered node that a countersignature claims to be of. It proves nothing before the parcel is here.
    ///
    /// # Errors
    /// The reason, if it is not a registered node.
    pub(super) fn claimed(&self, countersignature: &[u8]) -> Result<NodeId, ServeVerdict> {
        let signer = countersignature::claimed_signer(countersignature);
        let signer = signer.map_err(|error| ServeVerdict::Unregistered(error.to_string()))?;
        self.registered(&signer)
    }

    /// The registered node that signed octets for a purpose.
    ///
    /// # Errors
    /// The reason, if it is not a registered node.
    pub(super) fn signer(
        &self,
        signature: &[u8],
        purpose: Purpose,
        octets: &[u8],
    ) -> Result<NodeId, ServeVerdict> {
        let signer = countersignature::verify(signature, purpose, octets);
        let signer = signer.map_err(|error| ServeVerdict::Unregistered(error.to_string()))?;
        self.registered(&signer)
    }

    /// Judges the octets of a parcel that came by a route.
    ///
    /// # Errors
    /// The verdict on what is not stored.
    pub(super) fn parcel(
        &self,
        octets: Vec<u8>,
        route: &ParcelRoute,
    ) -> Result<WelcomeParcel, ServeVerdict> {
        let session = match route {
            ParcelRoute::Anybody | ParcelRoute::Carried => None,
            ParcelRoute::Registered(signature) => {
                Some(self.signer(signature, Purpose::Delivery, &octets)?)
            }
        };
        let refused = |kind: ErrorKind, text: &str| verdict_of(kind, text, self.is_clock_believed);
        let item =
            Item::parse(octets).map_err(|error| refused(error.kind(), &error.to_string()))?;
        if !matches!(item, Item::Parcel(_)) {
            return Err(ServeVerdict::Malformed("it is not a parcel".to_owned()));
        }
        let (item, is_shown) = verify::transit(item, &self.policy)
            .map_err(|error| refused(error.kind(), &error.to_string()))?;
        let Some(message) = item.message() else {
            return Err(ServeVerdict::Malformed("it is not a parcel".to_owned()));
        };
        // Strangers bring only what is for this address: this is no way to other servers.
        if session.is_none() && message.fields().address != self.address {
            return Err(ServeVerdict::Refused(
                "it is not for this server".to_owned(),
            ));
        }
        let sender = message.sender();
        let hop = session.unwrap_or(sender);
        match self.hops.decide(message, Some(hop.into()), is_shown) {
            Ok(way) => {
                let next = match way.target {
                    Target::Out(next) => Some(next),
                    _ => None,
                };
                let queue = match way.target {
                    Target::Home(node) => Some(QueueId::Home(node)),
                    Target::Out(hop) => Some(QueueId::Out(hop)),
                    Target::Internet => Some(QueueId::Internet),
                    Target::Directory(_) | Target::Command(_) => None,
                };
                let expected = queue.map(|queue| ExpectedPlace {
                    queue,
                    priority: way.priority,
                    copies: way.copies,
                    at: Instant::now(),
                });
                let fields = message.fields();
                let is_foreign = fields.address.is_some()
                    && fields.address != self.address
                    && !matches!(way.target, Target::Home(_))
                    && next != Some(fields.recipient);
                Ok(WelcomeParcel {
                    item,
                    hop,
                    session,
                    next,
                    expected,
                    is_foreign,
                })
            }
            // A deployed gateway gives its Internet gateway all that its endpoints send, also what another of them is
            // to have: that goes back to where it came from. It counts as brought by its sender, so that routing allows it.
            Err(route::Error::Back(_)) if session.is_some() => Ok(WelcomeParcel {
                item,
                hop: sender,
                session,
                next: session,
                expected: session.map(|session| ExpectedPlace {
                    queue: QueueId::Out(session),
                    priority: None,
                    copies: None,
                    at: Instant::now(),
                }),
                is_foreign: false,
            }),
            Err(error) => Err(refused(error.kind(), &text_of(&error))),
        }
    }
}

/// The text of an error of routing, for a stranger: without names of peers.
fn text_of(error: &route::Error) -> String {
    match error {
        route::Error::Message(error) => error.to_string(),
        error if error.kind() == ErrorKind::Unauthorized => {
            "its recipient has not authorized its sender".to_owned()
        }
        _ => "there is no way to its recipient from here".to_owned(),
    }
}
