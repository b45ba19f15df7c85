//! A spool and parcels for unit tests.

use std::path::Path;

use jiff::Timestamp;

use super::Spool;
use crate::asn1::{Buffer, pem};
use crate::crypto::Secret;
use crate::node::Config;
use crate::node::creation::{self, NodePlan};
use crate::pki::IdentityKey;
use crate::pki::issuance::{self, CertificateRole};
use crate::ramf::{Fields, Kind, SignedMessage};

/// The spool of a new node in this directory.
pub(crate) fn spool(dir: &Path) -> Spool {
    let plan = NodePlan {
        config: Config::default(),
        rsa_bits: 2048,
        passphrase: None,
        identity: Some(identity()),
        session_key: None,
        predecessor: None,
        now: "2027-05-01T00:00:00Z".parse::<Timestamp>().unwrap(),
    };
    Spool::of(creation::create(dir, plan).unwrap()).unwrap()
}

fn identity() -> Secret {
    let key =
        include_bytes!("../../../tests/interop/alpha/nodes/internet-gateway/identity.key.pem");
    Secret::from(pem::private_key(key).unwrap().0.to_vec())
}

/// A parcel that was made so many seconds after the first one.
pub(crate) fn parcel(later: i64) -> SignedMessage {
    parcel_called("id", later)
}

/// The same with another id.
pub(crate) fn parcel_called(id: &str, later: i64) -> SignedMessage {
    let key = IdentityKey::from_pkcs8(identity().as_bytes()).unwrap();
    let date = Timestamp::from_second(1_800_000_000 + later).unwrap();
    let fields = Fields {
        recipient: key.public().id(),
        address: None,
        id: id.to_owned(),
        date,
        ttl: 86400,
    };
    let role = CertificateRole::Endpoint;
    let certificate = issuance::issue(&key, None, key.public(), role, (date, fields.expiry()));
    let mut payload = Buffer::with_capacity(4096);
    payload.append(b"payload");
    let certificates = [&certificate.unwrap()];
    let signed = SignedMessage::sign(payload, Kind::Parcel, &fields, &key, &certificates);
    SignedMessage::parse(signed.unwrap().as_slice().to_vec()).unwrap()
}
