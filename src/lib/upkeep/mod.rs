//! Upkeep of a node and its spool: check, purge, rotate, back up, restore.
//!
//! A check (relay-check) changes nothing and reports a [`finding::Finding`] for each problem, also
//! for each file that it cannot read. A purge (relay-purge) removes files that are no longer needed
//! and reports a [`purge_item::PurgeItem`] for each of them.

pub mod finding; // what a check reports
pub mod checker; // the state of a check
pub mod endings; // when authorizations and registrations end
pub mod queue_tally; // what waits in a queue, counted
pub mod check_files; // modes, owners, and unexpected files
pub mod check_keys; // certificates and session keys
pub mod check_peers; // what is known of peers
mod check_successors; // nodes that take the place of others
pub mod check_node; // a whole node
mod check_carriers; // that something carries what waits for a gateway
pub mod check_spool; // a spool, and whether its messages move
pub mod status; // the numbers of a node
pub mod purge_item; // what a purge removes, and why
pub mod remover; // how files are removed
pub mod purge_node; // expired files of a node
pub mod purge_spool; // expired messages and records of a spool, then the nodes that use it
pub mod backup; // a copy of a node as it is at one instant
pub mod due; // when something is renewed
pub mod handing_on; // renewed certificates, on their way to peers
pub mod rotate; // renewed certificates and keys
pub mod restore; // a node whose directory was restored from an old backup
