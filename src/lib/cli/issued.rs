//! Reports a certificate that was issued to a peer.

use jiff::Timestamp;

use super::report;
use crate::node::certificates::SLACK;
use crate::pki::PublicKey;

/// What was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issued {
    /// An authorization to send to this node.
    Authorization,
    /// A registration with this gateway.
    Registration,
}

impl Issued {
    /// Warns where it ends before `wanted`, and shows the fingerprint of the peer's key.
    pub fn report(self, label: &str, key: &PublicKey, until: Timestamp, wanted: Timestamp) {
        let (word, event) = match self {
            Self::Authorization => ("authorization", "authorized"),
            Self::Registration => ("registration", "registered"),
        };
        if until < wanted - SLACK {
            report::warn(&format!(
                "{label}: the {word} ends at {until}, with our own certificate"
            ));
        }
        let (peer, until) = (key.id().to_string(), until.to_string());
        report::event(event, &[("peer", &peer), ("until", &until)]);
        report::note(&format!("{label}: fingerprint {}", key.id().fingerprint()));
    }
}
