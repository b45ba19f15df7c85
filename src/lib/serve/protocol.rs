//! What the two processes of a server say to each other. The *front* speaks with the network and has neither keys nor
//! files; the *keeper* has both, and judges, stores and signs.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Ties an answer to its question.
pub type CallId = u64;

/// A collection that is open.
pub type SessionId = u64;

/// By which binding a parcel came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParcelRoute {
    /// From anybody, for a node of this address (PoHTTP, RS-007).
    Anybody,
    /// From a node that is registered here, as this detached signature shows (PoWeb, RS-016).
    Registered(Vec<u8>),
    /// No parcel but a delivery of cargo, from whoever carries it (CogRPC, RS-008).
    Carried,
}

/// What the front tells the keeper.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToKeeper {
    /// A node wants to be registered; the body is the digest of its key, as it was sent.
    PreRegistration {
        /// Of this question.
        call: CallId,
        /// Who asks.
        peer: IpAddr,
    },
    /// A node asks for its registration; the body is its request.
    Registration {
        /// Of this question.
        call: CallId,
        /// Who asks.
        peer: IpAddr,
    },
    /// Room is wanted for a parcel of this length, in octets.
    Room {
        /// Of this question.
        call: CallId,
        /// How it comes.
        route: ParcelRoute,
        /// Its greatest length, in octets.
        len: u64,
    },
    /// A parcel came: as the body, or in the file of the [`Room`](Self::Room) of the same call.
    Parcel {
        /// Of this question.
        call: CallId,
        /// How it came.
        route: ParcelRoute,
    },
    /// No parcel came into that room.
    NoParcel {
        /// Of the question for room.
        call: CallId,
    },
    /// The connection parameters of this node are wanted.
    Parameters {
        /// Of this question.
        call: CallId,
    },
    /// Somebody wants to collect parcels.
    Collection {
        /// A new one.
        session: SessionId,
    },
    /// The body is the answer to the challenge of a collection.
    CollectionResponse {
        /// Which collection.
        session: SessionId,
        /// How many deliveries may be unacknowledged.
        window: u16,
        /// Whether it ends once everything was collected.
        ends: bool,
    },
    /// A parcel was sent.
    Sent {
        /// Which collection.
        session: SessionId,
        /// Its delivery.
        delivery: String,
    },
    /// A parcel was stored at the other end.
    Collected {
        /// Which collection.
        session: SessionId,
        /// Its delivery.
        delivery: String,
    },
    /// The collection is over.
    Gone {
        /// Which collection.
        session: SessionId,
    },
    /// Somebody wants to collect cargo; the body is the request (CCA) that they show.
    CargoCollection {
        /// A new one.
        session: SessionId,
        /// The time until nothing new is to be sent, in milliseconds.
        within: u64,
    },
    /// Cargo was stored at the other end.
    CargoCollected {
        /// Which collection.
        session: SessionId,
        /// Its delivery.
        delivery: String,
    },
    /// The time for a collection of cargo is over.
    CargoTimeUp {
        /// Which collection.
        session: SessionId,
    },
    /// A certificate for connections to an address of this machine is wanted.
    LanCertificate {
        /// Of this question.
        call: CallId,
        /// The address.
        address: IpAddr,
    },
    /// What was counted since the start.
    Counts(FrontCounts),
}

/// What the keeper tells the front.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToFront {
    /// How to serve; the files are the sockets to accept from.
    Begin(FrontTerms),
    /// From now on this certificate, and its key, of which the body is the DER.
    Certificate {
        /// The certificate and its issuers, in DER.
        chain: Vec<Vec<u8>>,
    },
    /// The certificate that was asked for; the body is its key in DER.
    LanCertificate {
        /// Of which question.
        call: CallId,
        /// The certificate, in DER.
        chain: Vec<Vec<u8>>,
    },
    /// The answer to a question; the body is the object that was asked for, or the id of the delivery that is judged.
    Answer {
        /// Of which question.
        call: CallId,
        /// The answer.
        verdict: ServeVerdict,
        /// The registered node that asked, as it has shown.
        node: Option<[u8; 32]>,
    },
    /// The file is the room that was asked for.
    Room {
        /// Of which question.
        call: CallId,
    },
    /// The body is the challenge for a collection.
    Challenge {
        /// Which collection.
        session: SessionId,
    },
    /// The answer to the challenge was right: it is a node that is registered here.
    CollectionOpen {
        /// Which collection.
        session: SessionId,
        /// The node.
        node: [u8; 32],
    },
    /// A parcel for a collection: the body, or the file.
    Delivery {
        /// Which collection.
        session: SessionId,
        /// The id of the delivery.
        delivery: String,
        /// Its length in octets.
        len: u64,
    },
    /// A collection is over.
    CollectionEnd {
        /// Which collection.
        session: SessionId,
        /// Why.
        end: CollectionClose,
    },
    /// Accept nothing more, end what is under way, and exit.
    Stop,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServeVerdict {
    /// It was done: what came is on the disk, or was here before.
    Done,
    /// What came cannot be parsed.
    Malformed(String),
    /// It is refused for good.
    Refused(String),
    /// It is no node that is registered here.
    Unregistered(String),
    /// It cannot be done now.
    Busy(String),
    /// There is no room for it now.
    Full(String),
}

/// Why the keeper ends a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CollectionClose {
    /// Everything was sent and acknowledged.
    Complete,
    /// The answer to the challenge, or an acknowledgement, or the request for cargo, was wrong.
    Refused(String),
    /// The request for cargo was answered before.
    Used,
    /// Try again.
    Again,
    /// The spool cannot be read.
    Failed,
}

/// How the front serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FrontTerms {
    /// Whether TLS is expected: then a certificate follows.
    pub has_tls: bool,
    /// Whether a proxy stands before it, which names the address of each client (PROXY protocol, version 2).
    pub is_behind_proxy: bool,
    /// Whether it shows certificates that are made for the address of each connection, to private addresses alone.
    pub makes_certificates: bool,
    /// What it is for.
    pub role: ServeRole,
    /// The most connections at once.
    pub connections: usize,
}

/// What a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServeRole {
    /// A node on the Internet that receives its own parcels.
    Endpoint,
    /// A gateway on the Internet, for nodes that it registers.
    InternetGateway,
    /// A gateway for the applications on this machine.
    LocalGateway,
    /// A courier in a local network, without a node.
    Courier,
}

impl ServeRole {
    /// Whether parcels come from anybody (RS-007).
    #[must_use]
    pub fn has_pohttp(self) -> bool {
        matches!(self, Self::Endpoint | Self::InternetGateway)
    }

    /// Whether nodes register, deliver and collect (RS-016).
    #[must_use]
    pub fn has_poweb(self) -> bool {
        matches!(self, Self::InternetGateway | Self::LocalGateway)
    }

    /// Whether cargo comes and goes (RS-008).
    #[must_use]
    pub fn has_cogrpc(self) -> bool {
        matches!(self, Self::InternetGateway | Self::Courier)
    }
}

/// What a front counted since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontCounts {
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections that are open.
    pub open: u64,
    /// Connections that were refused since there were too many.
    pub refused: u64,
    /// Requests that were answered.
    pub requests: u64,
    /// Collections that are open.
    pub collections: u64,
    /// Collections that began.
    pub sessions: u64,
    /// Parcels that are received.
    pub bodies_open: u64,
    /// Parcels that were received whole.
    pub bodies: u64,
    /// Parcels that did not come whole, or were too long.
    pub bodies_broken: u64,
    /// Parcels that came too slowly, or had to make room.
    pub bodies_slow: u64,
    /// Octets of bodies that came.
    pub octets_in: u64,
    /// Octets of parcels that were sent.
    pub octets_out: u64,
}
