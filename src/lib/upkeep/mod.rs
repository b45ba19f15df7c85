//! Upkeep of a node and its spool: check, purge, restore.

pub mod finding; // what a check finds
pub mod checker; // the state of a check
pub mod check_files; // modes, owners, and what does not belong there
pub mod check_keys; // certificates and session keys
pub mod check_peers; // what is known of peers
pub mod check_node; // a whole node
pub mod check_spool; // whether what waits gets on
pub mod purge_item; // what a purge removes, and why
pub mod remover; // how it removes
pub mod purge_node; // what time has made useless in a node
pub mod purge_spool; // what time has made useless in a spool and the nodes that use it
pub mod restore; // a node whose directory was restored from an old backup
