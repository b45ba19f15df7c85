//! Describes every object of this network as JSON and text. Needs no keys and verifies nothing.

mod exchange;
mod facts;
mod numbers;
#[cfg(feature = "online")]
mod online;
pub mod json; // lines that a terminal can show
pub mod metrics; // the numbers of a node for Prometheus
pub mod lines; // what programs print for each message or finding
mod text;
mod transfer;
mod version;

pub use exchange::exchanged;
pub use facts::{object, peer_session_key};
pub use numbers::numbers;
#[cfg(feature = "online")]
pub use online::{exchanged_online, ferried, ferry_summary, online_summary, posted};
pub use text::to_text;
pub use transfer::transfer;
pub use version::VERSION;
