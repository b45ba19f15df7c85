//! The version of the JSON output.

/// The value of `v` in every line of JSON (relay-json(5)).
pub const VERSION: u32 = 1;
