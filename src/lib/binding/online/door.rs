//! Which collected parcels come in, and which are never wanted.

use crate::binding::{Error, outgoing};
use crate::kind::ErrorKind;
use crate::message::{self, Item};
use crate::node::{self, Directory};
use crate::pki::{Certificate, NodeId, Window};
use crate::ramf::SignedMessage;
use crate::route::{self, Hops, Target};
use crate::spool::Time;
use crate::verify::{self, Policy};

/// Judges what one gateway delivers.
#[derive(Debug)]
pub struct Door {
    policy: Policy,
    hops: Hops,
    /// The error in the routes, without which only what stays here has a way.
    wrong_routes: Option<route::Error>,
    us: NodeId,
    gateway: NodeId,
    is_clock_believed: bool,
}

/// The verdict on a parcel.
#[derive(Debug)]
pub enum Admittance {
    /// It comes in.
    Welcome(Box<Item>),
    /// It is refused for good, and acknowledged so that it does not come again.
    Refused(Error),
    /// It is left with the gateway, since another time it may come in.
    Left(Error),
}

impl Door {
    /// Reads what the node knows of its peers, its routes and revocations.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(
        node: &Directory,
        gateway: NodeId,
        window: Window,
        time: &Time,
    ) -> Result<Self, Error> {
        let (hops, wrong_routes) = match Hops::of(node) {
            Err(error @ route::Error::Table { .. }) => {
                let hops = Hops::without_routes(node).map_err(unrouted)?;
                (hops, Some(error))
            }
            hops => (hops.map_err(unrouted)?, None),
        };
        Ok(Self {
            policy: Policy::of_node(node, Vec::new(), window, time.told)?,
            hops,
            wrong_routes,
            us: node.id(),
            gateway,
            is_clock_believed: time.is_believed(),
        })
    }

    /// Judges the octets of a parcel. `agrees` says whether the gateway's clock, asked in this run, and ours agree: by
    /// a clock that may be wrong nothing is refused for its dates.
    pub fn judge(&self, octets: Vec<u8>, agrees: &mut dyn FnMut() -> bool) -> Admittance {
        match self.admit(octets) {
            Ok(item) => Admittance::Welcome(Box::new(item)),
            Err(error) if self.is_final(&error, agrees) => Admittance::Refused(error),
            Err(error) => Admittance::Left(error),
        }
    }

    fn admit(&self, octets: Vec<u8>) -> Result<Item, Error> {
        let item = Item::parse(octets)?;
        if !matches!(item, Item::Parcel(_)) {
            return Err(outgoing::not_a_parcel(item.kind()));
        }
        let (item, is_shown) = verify::transit(item, &self.policy).map_err(of_message)?;
        if let Some(message) = item.message() {
            self.find_way(message, is_shown)?;
        }
        Ok(item)
    }

    /// Whether a parcel has a way from here.
    fn find_way(&self, parcel: &SignedMessage, is_shown: bool) -> Result<(), Error> {
        let way = self
            .hops
            .decide(parcel, Some(self.gateway.into()), is_shown);
        match way.map(|way| way.target) {
            Ok(Target::Home(_)) => Ok(()),
            Err(error @ route::Error::NotShown) => Err(unrouted(error)),
            Ok(_) | Err(_) if self.wrong_routes.is_some() => Err(Error::WrongRoutes),
            Ok(_) => Ok(()),
            // The gateway has it for us only where its path leads through us. If it does, a route or a peer is
            // missing here, which somebody may repair.
            Err(error @ (route::Error::NoRoute { .. } | route::Error::Back(_)))
                if !parcel
                    .attached()
                    .iter()
                    .map(Certificate::id)
                    .any(|id| id == self.us) =>
            {
                Err(Error::NotForUs(Box::new(error)))
            }
            Err(error) => Err(unrouted(error)),
        }
    }

    /// Whether every further try fails in the same way.
    fn is_final(&self, error: &Error, agrees: &mut dyn FnMut() -> bool) -> bool {
        use ErrorKind as K;
        if matches!(error, Error::NotForUs(_)) {
            return true;
        }
        match error.kind() {
            K::Malformed | K::Corrupt | K::Conflict | K::Unsuitable | K::Forbidden => true,
            // By a right clock these are final.
            K::Expired | K::Outlived | K::Unauthorized | K::Untrusted | K::OverRate => {
                self.is_clock_believed && agrees()
            }
            _ => false,
        }
    }
}

/// An error of a message as such, so that its kind is that of the message.
fn of_message(error: node::Error) -> Error {
    match error {
        node::Error::Message(error) => error.into(),
        node::Error::Ramf(error) => message::Error::from(error).into(),
        node::Error::Pki(error) => message::Error::from(error).into(),
        error => error.into(),
    }
}

fn unrouted(error: route::Error) -> Error {
    match error {
        route::Error::Node(error) => error.into(),
        route::Error::Disk(error) => error.into(),
        error => Error::Unrouted(Box::new(error)),
    }
}
