//! PoWeb: a private node and its gateway (RS-016).
//!
//! The wire names are those that deployed gateways accept, where RS-016 has others.

pub mod register; // a certificate from the gateway
pub mod deliver; // a parcel to the gateway
pub mod collect; // parcels from the gateway, as a state machine
mod frame_watch; // what of its octets moves a message on
pub mod socket; // the WebSocket on which they come

use super::Error;

/// Where the API begins on a gateway.
const BASE: &str = "/v1";

/// The answer to something that this node signed: a 401 is about who signed it.
fn unauthenticated(error: Error) -> Error {
    match error {
        Error::Answer {
            server,
            status: 401,
            text,
            kind,
            ..
        } => {
            let separator = if text.is_empty() { "" } else { ": " };
            let answer = format!("401{separator}{text}");
            Error::Unauthenticated {
                server,
                answer,
                kind,
            }
        }
        error => error,
    }
}
