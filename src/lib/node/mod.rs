//! A node and what it knows: keys, peers, sessions, authorizations, and what it has seen.
//!
//! A node is a [`Directory`] of plain files, or, for a program used as a pure filter, the files
//! that its options name ([`ExplicitFiles`]). [`Keyring`] is what both can do.

pub mod config;
pub mod keyring;
mod authorization_error;
mod error;
mod files;
mod quota;
pub mod day;
pub mod directory;
pub mod creation;
pub mod passphrase; // of encrypted private keys
pub mod session_secret; // the password of session keys
mod private_keys; // plain, or encrypted
pub mod passphrase_change; // of all private keys of a node
pub mod key_file;
pub(crate) mod marks;
pub(crate) mod ownership;
mod peer_files;
pub mod nearest; // the name that was meant
pub mod peers;
pub mod pinned_host; // where a peer is on the network, if a person said so
pub mod aliases; // names for several peers
pub mod lookup;
pub mod sessions;
pub mod unknown_senders;
pub mod seen;
mod seen_days;
pub mod rates; // what senders with a limited authorization have sent
pub mod ciphertexts; // who was first to send what
mod claims; // which run hands out messages of a sender
pub mod certificates;
pub mod issued; // what this node issued to peers, and what they are still to get
pub mod authorizations;
pub mod registrations;
pub mod welcome; // which nodes may be registered online
pub mod revocations; // authorizations that do not count any more
pub mod revocation_store;
mod directory_keyring;
pub mod endpoints;
pub mod expected;
pub mod imported; // what an import takes and gives
pub mod import;
pub mod succession; // nodes that take the place of peers
pub mod predecessor; // the node whose place this one takes
mod rotations; // renewed certificates from gateways
pub mod explicit_files;

pub use authorization_error::AuthorizationError;
pub use claims::Claim;
pub use config::{Config, NodeType};
pub use directory::Directory;
pub use error::{
    DirectoryError, Error, ImportError, PassphraseError, PeerError, ReplayError, SessionKeyError,
};
pub use explicit_files::ExplicitFiles;
pub(crate) use files::read_text;
pub use keyring::{Correspondent, Keyring};
pub use passphrase::Passphrase;
pub use peers::Peer;
pub use pinned_host::PinnedHost;
pub use rates::{RateClaim, Rates};
pub use revocations::Revocations;
pub use seen::{Recall, ReplayKey};
