//! Limits of the size and lifetime of messages; sizes are in octets (RS-001 §Format, RS-000).
//!
//! Where the specification and the deployed readers differ, we emit what all of them read and
//! accept what any of them emits.

use jiff::SignedDuration;

/// Maximum time to live, in seconds: 180 days.
pub const MAX_TTL: u32 = 15_552_000;

/// Largest message accepted: 9 MiB, as in both deployed readers.
pub const MAX_MESSAGE_LEN: usize = 9_437_184;

/// Largest message emitted: the limit of RS-001, just under that of the Android courier.
pub const MAX_EMITTED_MESSAGE_LEN: usize = 8_396_800;

/// Largest payload accepted: the limit of RS-001.
pub const MAX_PAYLOAD_LEN: usize = 8_388_608;

/// Largest payload emitted; JavaScript nodes accept no more.
pub const MAX_EMITTED_PAYLOAD_LEN: usize = 8_388_607;

/// Largest parcel emitted, so that it fits into cargo (RS-000).
pub const MAX_EMITTED_PARCEL_LEN: usize = 8_322_037;

/// Longest message id accepted, as in both deployed readers.
pub const MAX_ID_LEN: usize = 64;

/// Longest message id emitted: the limit in the schema of RS-001.
pub const MAX_EMITTED_ID_LEN: usize = 63;

/// Longest Internet address accepted.
pub const MAX_ADDRESS_LEN: usize = 255;

/// How far parcels are backdated: deployed readers refuse a date that is one second ahead of their
/// clock.
pub const PARCEL_BACKDATED: SignedDuration = SignedDuration::from_mins(5);

/// Largest message in cargo: deployed packers go one octet further than RS-000.
pub const MAX_ITEM_LEN: usize = 8_322_038;

/// Largest plaintext emitted: the message set of cargo.
pub const MAX_EMITTED_PLAINTEXT_LEN: usize = 8_322_048;

/// Maximum number of messages in one cargo.
pub const MAX_ITEMS: usize = 100_000;

/// How far cargo is backdated, as deployed gateways do.
pub const CARGO_BACKDATED: SignedDuration = SignedDuration::from_hours(3);

/// How far CCAs are backdated, as deployed gateways do.
pub const CCA_BACKDATED: SignedDuration = SignedDuration::from_mins(90);

/// Default lifetime of a CCA and of the authorization in it.
pub const CCA_LIFE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Maximum length of the gRPC metadata that carries a CCA: a word, then the CCA in base64. Deployed
/// gateways and couriers accept no more.
pub const MAX_CCA_METADATA_LEN: usize = 6000;
