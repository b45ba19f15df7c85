//! A spool for unit tests.

use std::path::Path;

use jiff::Timestamp;

use super::Spool;
use crate::asn1::pem;
use crate::crypto::Secret;
use crate::node::Config;
use crate::node::creation::{self, NodePlan};

/// The spool of a new node in this directory.
pub(super) fn spool(dir: &Path) -> Spool {
    let plan = NodePlan {
        config: Config::default(),
        rsa_bits: 2048,
        identity: Some(identity()),
        session_key: None,
        now: "2027-05-01T00:00:00Z".parse::<Timestamp>().unwrap(),
    };
    Spool::of(creation::create(dir, plan).unwrap()).unwrap()
}

fn identity() -> Secret {
    let key =
        include_bytes!("../../../tests/interop/alpha/nodes/internet-gateway/identity.key.pem");
    Secret::from(pem::private_key(key).unwrap().0.to_vec())
}
