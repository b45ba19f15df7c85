//! The messages of CogRPC (RS-008 §Service), in proto3:
//!
//! ```text
//! message CargoDelivery { string id = 1; bytes cargo = 2; }
//! message CargoDeliveryAck { string id = 1; }
//! ```
//!
//! As deployed peers do, a reader skips unknown fields, takes the last of repeated ones, and takes an absent one as
//! empty.

use bytes::Bytes;

/// The longest id of a delivery that a server takes, in octets. Deployed clients send UUIDs, of 36.
pub const MAX_ID: usize = 256;

/// One cargo under way.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct CargoDelivery {
    /// The id of this delivery, a UUID of version 4. It says nothing about the cargo, and means nothing in another call.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The cargo as it was made.
    #[prost(bytes = "bytes", tag = "2")]
    pub cargo: Bytes,
}

/// Says that the cargo of a delivery was stored. It does not say that anybody will accept it: deployed Internet
/// gateways acknowledge whatever comes.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct CargoDeliveryAck {
    /// The id of the delivery.
    #[prost(string, tag = "1")]
    pub id: String,
}
