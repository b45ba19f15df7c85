//! Finding the servers of an Internet address: SRV records by DNS over HTTPS, and addresses of hosts.
//!
//! - [`Service`] is what a server does, and the name of its records.
//! - [`dns`] asks and judges: messages alone, without sockets.
//! - [`resolver`] asks several resolvers in turn, by an exchange that is an argument.
//! - [`hosts_file`] has names that need no resolver.
//!
//! A resolver learns which gateways and nodes this one exchanges messages with, and when it looks for them. It learns
//! neither messages nor the peers of others.

pub mod service; // what a server does
pub mod dns; // questions and answers
pub mod resolver; // who is asked
pub mod hosts_file; // names that the system knows

pub use resolver::{ResolverUrl, Resolvers};
pub use service::Service;
