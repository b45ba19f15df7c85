//! Upkeep of a node and its spool: check, purge, restore.

pub mod check_node; // modes, orphans, the clock, what ends soon
pub mod check_spool; // whether what waits gets on
pub mod purge_node; // what time has made useless in a node
pub mod purge_spool; // what time has made useless in a spool and the nodes that use it
pub mod restore; // a node whose directory was restored from an old backup
