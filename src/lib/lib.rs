//! Relaynet (Awala) as a library: the floors of the relay tools, ground floor first.
//!
//! Each floor imports only from floors above it in this list (`tests/layering.rs` holds it to that).

pub mod disk; // files, atomic publication, locks: the only floor that changes files
pub mod pipeline; // work on many messages at once, in order and in bounded memory
pub mod asn1; // BER, PEM, dates and identifiers: what the `der` crate lacks
pub mod crypto; // RS-018: the primitives; the only floor that names a cryptography crate
pub mod pki; // RS-002: node ids, identity keys, certificates, paths, trust
pub mod cms; // RFC 5652: SignedData and EnvelopedData
pub mod session; // RS-003: session keys, agreement, and which key comes next
pub mod ramf; // RS-001: the message format, its limits and its validation
pub mod message; // RS-000: parcels, control messages, parameters, and streams of them
pub mod transfer; // content of any size: cut into parts, joined again
pub mod node; // a node: its directory, or explicit files; peers, sessions, authorizations, replay memory
pub mod verify; // judging objects without opening them
pub mod send; // the order of effects when a message leaves: key, message
pub mod receive; // the order of effects when one arrives: content, key, memory
pub mod spool; // messages that wait: a queue for each place
pub mod upkeep; // check, purge and restore: of a node and its spool
pub mod command; // a command of the user's, given octets and facts
pub mod route; // where each message goes next
pub mod deliver; // what arrived, handed to those whom it is for
pub mod medium; // what couriers carry: cargo on sticks and shares
pub mod describe; // every object as text and JSON
pub mod cli; // what the programs share: arguments, inputs, outputs, reports, exit statuses
