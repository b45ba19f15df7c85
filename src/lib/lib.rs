//! Relaynet, today called Awala, as a library: parcels that survive any delay and any carrier.
//!
//! The `relay-*` programs are thin: each parses its arguments and calls this library. This page
//! describes its architecture: the terms, the road of a parcel with the module behind each step, an
//! example, and the floors on which the modules stand. relay(7) describes the same to users.
//!
//! # Ten words
//!
//! | word | meaning |
//! |---|---|
//! | endpoint | a node that sends and receives content; its id is the hash of its identity key ([`pki::NodeId`]) |
//! | gateway | a node that carries parcels of others: private, for a few endpoints, or Internet, for many gateways |
//! | courier | carries cargo between gateways; has no node and no keys ([`medium::Courier`]) |
//! | service message | content with its media type: the plaintext of a parcel ([`message::ServiceMessage`]) |
//! | parcel | a service message, encrypted to one endpoint and signed by another ([`message::Parcel`]) |
//! | cargo | parcels and control messages, packed, encrypted and signed by a gateway ([`message::Cargo`]) |
//! | session key | a short-lived key that payloads are encrypted to; each message brings the one for its answer ([`session`]) |
//! | authorization | a certificate by which a recipient lets one sender send to it: PDA for parcels, CDA for cargo ([`node::authorizations`]) |
//! | spool | where messages wait in a node: a directory for each queue, a file for each message ([`spool`]) |
//! | medium | a directory on a stick or a share that a courier carries ([`medium`]) |
//!
//! Control messages travel in cargo or on media: a CCA asks a gateway for cargo ([`message::Cca`]),
//! a PCA acknowledges that a parcel was stored ([`message::Pca`]), a rotation renews a certificate
//! ([`message::Rotation`]). Sizes are in octets, times in UTC with whole seconds on the wire.
//!
//! # The road of a parcel
//!
//! Down to send. The content stays in one [`asn1::Buffer`] and each layer is put around it, so it
//! is never copied:
//!
//! ```text
//!  content
//!    | message::service_message   + media type                                 RS-000
//!    | session::agreement         encrypted to the peer's session key: cms     RS-003, RFC 5652 §6
//!    | ramf::fields               + recipient, id, date, time to live          RS-001 §Format
//!    | ramf::signed_message       signed under the certificates: cms           RFC 5652 §5
//!    v
//!  parcel
//!    | spool                      in/: a file with its name, synced
//!    | route                      out/: by the table, the path or the registrar
//!    | medium::export             message::cargo, packed, sealed, signed, written
//!    v
//!  cargo on a medium
//! ```
//!
//! - [`send::parcel`] does the first four steps: it stores our session key, seals to the peer's
//!   ([`session::agreement`]) and signs ([`ramf::SignedMessage`]).
//! - [`spool`] keeps the parcel until the next node acknowledges it. [`route::Router`] decides
//!   where it goes.
//! - [`medium::Exporter`] packs the messages for a gateway into cargo ([`send::cargo`]) and writes
//!   that to a medium.
//!
//! And up to receive, where each type proves which checks were made:
//!
//! - [`medium::Importer`] opens cargo ([`receive::cargo`]), puts the parcels into the spool, queues
//!   an acknowledgement of each, and only then removes the cargo from the medium.
//! - [`message::Parcel`] is well-formed. [`ramf::Valid`] also has a good signature and is within
//!   its dates and limits, which is enough to carry it. [`ramf::Authorized`] also has a path from
//!   its sender to our certificates, with its recipient next to the sender, which is required to
//!   open it. The compiler enforces this order (RS-001: before any further processing).
//! - [`receive::parcel`] consults the replay memory, decrypts, and returns a [`receive::Arrival`].
//!   The caller stores the content, then calls [`complete`](receive::Arrival::complete), which
//!   stores the sender's next session key and remembers the parcel. A crash in between may cause a
//!   duplicate, never a loss.
//! - [`deliver::Delivery`] does that for all parcels in the queue, into a directory, a Maildir or a
//!   command.
//!
//! The state of a node is behind one trait, [`node::Keyring`], with two implementations:
//! [`node::Directory`], which is persistent, and [`node::ExplicitFiles`], which remembers nothing.
//!
//! # Example
//!
//! Alice authorizes Bob, Bob seals a parcel for her, and she opens it. Neither has a node
//! directory:
//!
//! ```
//! use jiff::{SignedDuration, Timestamp};
//! use relaynet::asn1::Buffer;
//! use relaynet::cms::enveloped_data::Cipher;
//! use relaynet::crypto::ecdh::Curve;
//! use relaynet::message::{CertificationPath, PrivateEndpointConnectionParams};
//! use relaynet::node::authorizations::authorize;
//! use relaynet::node::explicit_files::{ExplicitFiles, Params};
//! use relaynet::pki::issuance::{self, CertificateRole};
//! use relaynet::pki::{IdentityKey, Trust, Window};
//! use relaynet::ramf::InternetAddress;
//! use relaynet::receive::{self, ReceiveOptions, Repeats};
//! use relaynet::send::{self, Draft};
//! use relaynet::session::PrivateSessionKey;
//!
//! let now = Timestamp::now();
//! let drift = SignedDuration::from_hours(2);
//!
//! // Each has an identity key, and Alice a session key that Bob's first parcel is sealed to.
//! let (alice_key, bob_key) = (IdentityKey::generate(2048)?, IdentityKey::generate(2048)?);
//! let alice = IdentityKey::from_pkcs8(alice_key.as_bytes())?;
//! let bob = IdentityKey::from_pkcs8(bob_key.as_bytes())?;
//! let session_key = PrivateSessionKey::generate(Curve::P256)?;
//!
//! // Alice lets Bob's key send to her for 30 days, under a certificate that she issues to herself.
//! let month = (now - drift, now + SignedDuration::from_hours(30 * 24));
//! let own = issuance::issue(&alice, None, alice.public(), CertificateRole::Endpoint, month)?;
//! let own = CertificationPath { leaf: own, authorities: Vec::new() };
//! let params = PrivateEndpointConnectionParams {
//!     identity: alice.public().clone(),
//!     gateway_address: InternetAddress::nowhere(),
//!     authorization: authorize(&alice, &own, bob.public(), None, month)?,
//!     session_key: session_key.public().clone(),
//! };
//!
//! // Bob seals a service message.
//! let bob = ExplicitFiles {
//!     identity: Some(bob_key),
//!     params: Some(Params::Private(Box::new(params))),
//!     ..ExplicitFiles::default()
//! };
//! let mut content = Buffer::with_capacity(20);
//! content.append(b"All wells are dry.\n");
//! let draft = Draft {
//!     media_type: "text/plain",
//!     ttl: SignedDuration::from_hours(3 * 24),
//!     id: None,
//!     cipher: Cipher::Cbc { key_len: 16 },
//!     now,
//! };
//! let parcel = send::parcel(&bob, alice.id(), content, &draft)?;
//!
//! // Alice opens it: for her, from a sender that her own key authorized.
//! let (id, pkcs8) = (session_key.id().clone(), session_key.to_pkcs8()?);
//! let alice = ExplicitFiles {
//!     recipient: Some(alice.id()),
//!     trust: Trust::key(alice.public().clone()),
//!     session_key: Some(Box::new(move || {
//!         Ok(PrivateSessionKey::from_pkcs8(id.clone(), pkcs8.as_bytes())?)
//!     })),
//!     session_key_has_id: true,
//!     ..ExplicitFiles::default()
//! };
//! let options = ReceiveOptions {
//!     window: Window::new(now, drift),
//!     now,
//!     repeats: Repeats::Refused,
//! };
//! let arrival = receive::parcel(&alice, parcel.octets.as_slice().to_vec(), &options)?;
//! assert_eq!(arrival.content().media_type(), "text/plain");
//! assert_eq!(arrival.content().content(), b"All wells are dry.\n");
//! arrival.complete()?; // after the content is stored: with a node directory this remembers the parcel
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Floors
//!
//! The modules below are floors, ground floor first. Each imports only from floors before it in
//! this list (`tests/layering.rs` checks it), so a floor can be read, tested and changed without
//! those above it:
//!
//! - [`disk`] is the only floor that changes files. [`crypto`] is the only one that names a
//!   cryptography crate.
//! - [`asn1`] to [`message`] take and return values: no paths, no stores, no clock. [`transfer`]
//!   cuts content into parts and joins them, on disk; [`archive`] makes content of a directory and
//!   a directory of content.
//! - [`node`] and [`spool`] are the two stores; [`upkeep`] keeps both in order; [`outbox`] puts files and
//!   folders into the spool.
//! - [`send`] and [`receive`] fix the order of effects when a message leaves and arrives.
//! - [`cli`] is for the programs alone. Nothing below it reads the clock, the environment or the
//!   arguments, prints or exits: time is an argument everywhere.
//!
//! A floor has at most one `Error`, with a variant for each thing that a caller acts on.

pub mod pipeline; // work on many items at once, in order and in bounded memory
pub mod disk; // files, atomic publication, locks: the only floor that changes files
pub mod kind; // what went wrong, in a word that callers act on
pub mod asn1; // BER, PEM, dates and identifiers: what the `der` crate lacks
pub mod crypto; // RS-018: the primitives; the only floor that names a cryptography crate
pub mod pki; // RS-002: node ids, identity keys, certificates, paths, trust
pub mod cms; // RFC 5652: SignedData and EnvelopedData
pub mod session; // RS-003: session keys, agreement, and which key comes next
pub mod ramf; // RS-001: the message format, its limits and its validation
pub mod message; // RS-000: parcels, control messages, parameters, and streams of them
pub mod transfer; // content of any size: cut into parts, joined again
pub mod archive; // a directory as one content, and back
pub mod node; // a node: its directory, or explicit files; peers, sessions, authorizations, replay memory
pub mod verify; // judging objects without opening them
pub mod send; // the order of effects when a message leaves: key, message
pub mod receive; // the order of effects when one arrives: content, key, memory
pub mod spool; // messages that wait: a queue for each place
pub mod outbox; // files and folders, sealed and put into the spool
pub mod upkeep; // check, purge and restore: of a node and its spool
pub mod command; // a command of the user's, given octets and facts
pub mod route; // where each message goes next
pub mod deliver; // what arrived, handed to those whom it is for
pub mod medium; // what couriers carry: cargo on sticks and shares
#[cfg(feature = "online")]
pub mod binding; // the wire: gateways and nodes on the Internet, reached over it
#[cfg(feature = "online")]
pub mod serve; // a server for others: registration, parcels in and out
pub mod describe; // every object as text and JSON
pub mod cli; // what the programs share: arguments, inputs, outputs, reports, exit statuses
