//! PoWeb: a private node and its gateway (RS-016).
//!
//! The wire names are those that deployed gateways accept, where RS-016 has others.

pub mod register; // a certificate from the gateway
pub mod deliver; // a parcel to the gateway
pub mod collect; // parcels from the gateway, as a state machine
pub mod socket; // the WebSocket on which they come

/// Where the API begins on a gateway.
const BASE: &str = "/v1";
