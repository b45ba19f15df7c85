//! CogRPC: cargo between a courier and a gateway (RS-008), over gRPC.
//!
//! What is here takes and gives octets and values: client and server share it. Deployed software names the service
//! `relaynet.cogrpc`, and the specification `awala.cogrpc`.

pub mod message; // what is exchanged: cargo and acknowledgements
pub mod status; // how a call ends
pub mod frame; // messages in a stream of octets
pub mod timeout; // how long a call may take
pub mod authorization; // the CCA by which cargo is collected
pub mod paths; // the names of the calls

pub use frame::{FrameDecoder, FrameError, MAX_MESSAGE};
pub use message::{CargoDelivery, CargoDeliveryAck};
pub use paths::Call;
pub use status::{GrpcCode, GrpcStatus};
