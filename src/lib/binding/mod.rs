//! The wire: how this node reaches gateways and nodes on the Internet (RS-007, RS-016).
//!
//! A message's next hop does not depend on whether there is a network. A binding empties the queue of a hop
//! while its server can be reached, and leaves the rest where it is. It reaches messages only through
//! [`spool::wire`], and holds no lock of the queues while a socket is open.
//!
//! Protocols are separate from sockets: tables, orders and deadlines take values and times, so the captures of
//! other implementations are replayed without a network.

pub mod server; // where a server is, and how its certificate is judged
pub mod address; // how the servers of an Internet address are found
pub mod peer_place; // where the servers of a peer are
pub mod walk; // of several servers, the first that is reached
pub mod cogrpc; // cargo between couriers and gateways
pub mod retry; // the one table of outcomes: accepted, refused for good, later
pub mod tls; // TLS, and the rules for a server's certificate
pub mod tls_certificate; // what rustls does not show of a certificate
pub mod pace; // how fast a message must move
mod paced_socket; // a socket on which messages keep their pace
mod dial; // TCP to the first address that answers
pub mod proxy; // a proxy that connects for this node
pub mod connect; // connections, with TLS or without
pub mod request_body; // what a request carries, in memory or read when it is sent
pub mod http; // a client of HTTP/1.1 for one server
pub mod redirect; // where an answer leads that is elsewhere
#[cfg(test)]
mod testserver; // servers of the tests, on loopback
pub mod network; // how this node reaches others
pub mod excerpt; // the beginning of what a server said, for reports
pub mod parcel_answer; // what a server answers to a parcel, whichever way it was sent
pub mod outgoing; // what becomes of parcels that servers answer for
pub mod poweb; // a private node and its gateway
pub mod pohttp; // a node on the Internet
pub mod direct; // what waits for nodes on the Internet
pub mod ferry; // cargo of a medium, taken to servers and fetched from them
pub mod online; // an exchange with a gateway that can be reached

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crate::kind::ErrorKind;
use crate::{disk, medium, message, node, route, spool};

pub use cogrpc::GrpcCode;
pub use connect::{ConnectOptions, Connection, Connector, connect};
pub use http::{Answer, Client, Method, Request};
pub use network::Network;
pub use paced_socket::Cutoff;
pub use peer_place::PeerPlace;
pub use proxy::Proxy;
pub use request_body::RequestBody;
pub use retry::{RequestKind, SendOutcome};
pub use server::{CertificateRule, Host, Server};
pub use tls::Authorities;

/// The reason why a server was not reached, or why its answer does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Text that is neither a host with a port nor an Internet address.
    #[error("{0} is neither HOST:PORT nor a domain name")]
    NoServer(String),
    /// A gateway that is to be reached has no address, and nobody said where it is.
    #[error("{0} has no Internet address")]
    NoAddress(String),
    /// A name is to be looked up, and the node has no resolver.
    #[error("{0} cannot be looked up: there is no resolver")]
    NoResolver(String),
    /// A resolver, a proxy or an authority that the operator named cannot be used.
    #[error("{what}: {problem}")]
    Setting {
        /// The setting or file.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The command that says whether the network may be used now was ended, since it took too long.
    #[error("{command}: no answer within {} s, so the network is not used", waited.as_secs())]
    Undecided {
        /// The command.
        command: String,
        /// How long it had.
        waited: Duration,
    },
    /// The resolver gave no answer that proves anything about a name.
    #[error("{name} was not resolved: {problem}")]
    Unresolved {
        /// The name.
        name: String,
        /// What is wrong with the answer, or why no answer came.
        problem: String,
    },
    /// It is proven that there is no such service at an address.
    #[error("{address} has no {service} server")]
    NoService {
        /// The Internet address.
        address: String,
        /// What the server would do.
        service: &'static str,
    },
    /// No connection to any address of the server.
    #[error("{server}: no connection: {cause}")]
    NoConnection {
        /// The server, as `host:port`.
        server: String,
        /// Why the last address was not reached.
        cause: io::Error,
    },
    /// An address that only machines near this one have, where none is allowed.
    #[error("{server}: {address} is a private address")]
    PrivateAddress {
        /// The server, as `host:port`.
        server: String,
        /// The address.
        address: IpAddr,
    },
    /// The server does not show that it is the one that was meant.
    #[error("{server}: certificate: {problem}")]
    Certificate {
        /// The server, as `host:port`.
        server: String,
        /// What is wrong with its certificate.
        problem: String,
    },
    /// The proxy did not connect to the server.
    #[error("{server}: the proxy refused: {answer}")]
    Proxy {
        /// The server, as `host:port`.
        server: String,
        /// The first line of its answer.
        answer: String,
    },
    /// The connection ended before the answer did, or failed.
    #[error("{server}: the connection failed: {cause}")]
    Broken {
        /// The server, as `host:port`.
        server: String,
        /// The cause.
        cause: io::Error,
    },
    /// Nothing came for too long.
    #[error("{server}: no answer for {} s", waited.as_secs())]
    Silent {
        /// The server, as `host:port`.
        server: String,
        /// How long.
        waited: Duration,
    },
    /// A message moved, and too slowly.
    #[error("{server}: too slow, given up after {} s", waited.as_secs())]
    Slow {
        /// The server, as `host:port`.
        server: String,
        /// How long the message was under way.
        waited: Duration,
    },
    /// The server refused what it was asked for, or cannot do it now.
    #[error("{server}: {status}{}{text}", if text.is_empty() { "" } else { ": " })]
    Answer {
        /// The server, as `host:port`.
        server: String,
        /// The status of HTTP.
        status: u16,
        /// The beginning of its explanation, escaped.
        text: String,
        /// The kind of failure, from the table of outcomes.
        kind: ErrorKind,
        /// When it asks to be tried again.
        retry_after: Option<Duration>,
    },
    /// The gateway does not accept the signature by which this node shows who it is: it may have forgotten the registration.
    #[error("{server}: {answer}")]
    Unauthenticated {
        /// The server, as `host:port`.
        server: String,
        /// What it said, escaped.
        answer: String,
        /// The kind of failure, from the table of outcomes.
        kind: ErrorKind,
    },
    /// What the server sent breaks the protocol.
    #[error("{server}: {problem}")]
    Protocol {
        /// The server, as `host:port`.
        server: String,
        /// How.
        problem: String,
    },
    /// A call ended with another status than OK.
    #[error("{server}: {code}{}{}", if text.is_some() { ": " } else { "" }, text.as_deref().unwrap_or_default())]
    Grpc {
        /// The server, as `host:port`.
        server: String,
        /// The status of gRPC.
        code: GrpcCode,
        /// The beginning of its explanation, escaped; `None` if there was none, not even an empty one.
        text: Option<String>,
        /// The kind of failure, from the table of outcomes.
        kind: ErrorKind,
    },
    /// A call ended well, and the server did not acknowledge all that it was sent.
    #[error("{server}: {cargoes} sent and not acknowledged")]
    Unacknowledged {
        /// The server, as `host:port`.
        server: String,
        /// How many.
        cargoes: usize,
    },
    /// The server said that it goes away or failed, and may be asked again.
    #[error("{server}: closed: {code} {reason}")]
    Closed {
        /// The server, as `host:port`.
        server: String,
        /// The code of the close frame.
        code: u16,
        /// Its reason, escaped.
        reason: String,
    },
    /// A parcel that has no way from here, and does not pass through here by its certificates.
    #[error("not for this node: {0}")]
    NotForUs(Box<route::Error>),
    /// A parcel that passes through here, and has no way now.
    #[error(transparent)]
    Unrouted(Box<route::Error>),
    /// The routes of the node are wrong, so that no way can be found.
    #[error("no way can be found while the routes are wrong")]
    WrongRoutes,
    /// The routes of a parcel form a loop.
    #[error("it was passed on too often: its routes form a loop")]
    Loop,
    /// An object that it sent, or that it is sent, is not acceptable.
    #[error(transparent)]
    Message(#[from] message::Error),
    /// The node cannot be read.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// A message on a medium is not acceptable, or the medium cannot be read or changed.
    #[error(transparent)]
    Medium(#[from] medium::Error),
    /// The spool cannot be read or changed.
    #[error(transparent)]
    Spool(#[from] spool::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] disk::Error),
}

impl Error {
    /// The error of another floor that this one passes on.
    #[must_use]
    pub fn inner(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Message(error) => Some(error),
            Self::Unrouted(error) => Some(&**error),
            Self::Node(error) => Some(error),
            Self::Medium(error) => Some(error),
            Self::Spool(error) => Some(error),
            Self::Disk(error) => Some(error),
            _ => None,
        }
    }

    /// Whether no server was reached, so that another one of the same service may be.
    #[must_use]
    pub fn is_of_connection(&self) -> bool {
        matches!(
            self,
            Self::Unresolved { .. }
                | Self::NoConnection { .. }
                | Self::Certificate { .. }
                | Self::Proxy { .. }
        )
    }

    /// Whether a server was reached, and said something else than it should.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::Answer { .. }
                | Self::Unauthenticated { .. }
                | Self::Protocol { .. }
                | Self::Closed { .. }
                | Self::Grpc { .. }
                | Self::Unacknowledged { .. }
        )
    }

    /// The kind of the error, for callers to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoServer(_) => ErrorKind::Usage,
            Self::NoResolver(_) | Self::Setting { .. } | Self::WrongRoutes => ErrorKind::Config,
            // The network may be at fault: a resolver that lies, a captive portal, a clock that is wrong.
            Self::Unresolved { .. }
            | Self::Undecided { .. }
            | Self::NoConnection { .. }
            | Self::Certificate { .. }
            | Self::Proxy { .. }
            | Self::Broken { .. }
            | Self::Silent { .. }
            | Self::Slow { .. }
            | Self::Closed { .. }
            | Self::Unacknowledged { .. } => ErrorKind::Unreachable,
            Self::NoService { .. } | Self::PrivateAddress { .. } => ErrorKind::Refused,
            Self::Answer { kind, .. }
            | Self::Unauthenticated { kind, .. }
            | Self::Grpc { kind, .. } => *kind,
            Self::Protocol { .. } => ErrorKind::Protocol,
            Self::NoAddress(_) => ErrorKind::UnknownPeer,
            Self::NotForUs(_) => ErrorKind::OtherRecipient,
            Self::Unrouted(error) => error.kind(),
            Self::Loop => ErrorKind::Loop,
            Self::Message(error) => error.kind(),
            Self::Node(error) => error.kind(),
            Self::Medium(error) => error.kind(),
            Self::Spool(error) => error.kind(),
            Self::Disk(error) => error.kind(),
        }
    }
}
