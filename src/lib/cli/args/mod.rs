//! Groups of options that several programs share.

mod authority;
mod content;
mod explicit;
mod keys;
mod life;
#[cfg(feature = "online")]
mod network;
mod node;
mod passphrase;
mod peer;
mod peer_change;
mod validity;

pub use authority::AuthorizationTerms;
pub use content::{CipherChoice, SuggestedName};
pub use explicit::{OpeningFiles, SendingFiles};
pub use keys::{
    CertificateFile, IdentityKeyFile, MAX_PARAMS_LEN, SessionKeyFile, TrustFiles, read_object,
    read_params,
};
pub use life::{Life, message_id};
#[cfg(feature = "online")]
pub use network::NetworkOptions;
pub use node::{CommandTime, Node, NodeDir, Wait};
pub use passphrase::{KeyedNode, PassphraseChange};
pub use peer::{peer_id, peer_key};
pub use peer_change::PeerChanges;
pub use validity::validity;
