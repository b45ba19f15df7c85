//! How large and how long-lived messages may be; sizes in octets (RS-001 §Format, RS-000).
//!
//! Where the specification and the deployed readers differ, we emit what all of them read and
//! accept what any of them emits.

use jiff::SignedDuration;

/// The longest life of a message, in seconds: 180 days.
pub const MAX_TTL: u32 = 15_552_000;

/// The largest message accepted.
pub const MAX_MESSAGE_LEN: usize = 9_437_184;

/// The largest message emitted.
pub const MAX_EMITTED_MESSAGE_LEN: usize = 8_396_800;

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

/// The largest message that is put into cargo; the deployed packers go one octet further than RS-000.
pub const MAX_ITEM_LEN: usize = 8_322_038;

/// The largest plaintext emitted: a cargo's set of messages.
pub const MAX_EMITTED_PLAINTEXT_LEN: usize = 8_322_048;

/// The most messages in one cargo.
pub const MAX_ITEMS: usize = 100_000;

/// How far back cargo is dated.
pub const CARGO_BACKDATED: SignedDuration = SignedDuration::from_hours(3);

/// How far back a CCA is dated.
pub const CCA_BACKDATED: SignedDuration = SignedDuration::from_mins(90);

/// How long a CCA lives, and the authorization in it, unless something else is said.
pub const CCA_LIFE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The most octets that a courier's request may have as metadata: a CCA in base64, and the word before it.
pub const MAX_CCA_METADATA_LEN: usize = 6000;
