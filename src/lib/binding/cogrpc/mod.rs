//! CogRPC: cargo between a courier and a gateway (RS-008), over gRPC.
//!
//! The pure parts take and give octets and values: client and server share them. The client is built on them and h2,
//! which hyper has beneath it. tonic would hold whole messages that a prefix announces, could not say whether a status is
//! the server's or its own, and hides what moved on the connection, by which a slow server is told from a silent one.
//! Deployed software names the service
//! `relaynet.cogrpc`, and the specification `awala.cogrpc`.

pub mod message; // what is exchanged: cargo and acknowledgements
pub mod status; // how a call ends
pub mod frame; // messages in a stream of octets
pub mod timeout; // how long a call may take
pub mod authorization; // the CCA by which cargo is collected
pub mod paths; // the names of the calls
mod link; // a connection of HTTP/2
mod call; // one call on it
pub mod client; // connections and calls to one server
pub mod deliver; // cargo to a server
pub mod collect; // cargo from a server

pub use client::CogrpcClient;
pub use collect::{CargoReceipt, CollectEnd, collect};
pub use deliver::{DeliverySource, deliver};
pub use frame::{FrameDecoder, FrameError, MAX_MESSAGE};
pub use message::{CargoDelivery, CargoDeliveryAck, MAX_ID};
pub use paths::Call;
pub use status::{GrpcCode, GrpcStatus};
