//! How large and how long-lived messages may be; sizes in octets (RS-001 §Format, RS-000).
//!
//! Where the specification and the deployed readers differ, we emit what all of them read and
//! accept what any of them emits.

use jiff::SignedDuration;

/// The longest life of a message, in seconds: 180 days.
pub const MAX_TTL: u32 = 15_552_000;

/// The largest message accepted.
pub const MAX_MESSAGE_LEN: usize = 9_437_184;

/// The largest payload accepted.
pub const MAX_PAYLOAD_LEN: usize = 8_388_608;

/// The largest payload emitted.
pub const MAX_EMITTED_PAYLOAD_LEN: usize = 8_388_607;

/// The largest parcel emitted, so that it fits into cargo.
pub const MAX_EMITTED_PARCEL_LEN: usize = 8_322_037;

/// The longest message id accepted.
pub const MAX_ID_LEN: usize = 64;

/// The longest message id emitted.
pub const MAX_EMITTED_ID_LEN: usize = 63;

/// The longest Internet address accepted.
pub const MAX_ADDRESS_LEN: usize = 255;

/// How far back a parcel is dated, since deployed readers have no tolerance for the future.
pub const PARCEL_BACKDATED: SignedDuration = SignedDuration::from_mins(5);
