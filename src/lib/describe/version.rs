//! The version of what is printed as JSON.

/// The version of the JSON that describes objects.
pub const VERSION: u32 = 1;
