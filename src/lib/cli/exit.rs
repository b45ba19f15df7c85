//! The former path of what `errors`, `hints` and `status` hold.

pub use super::errors::*;
pub use super::hints::hint;
pub use super::status::*;
