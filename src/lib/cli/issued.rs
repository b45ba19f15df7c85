//! Reports a certificate that was issued to a peer.

use jiff::Timestamp;

use super::report;
use crate::node::certificates::SLACK;
use crate::pki::PublicKey;

/// The kind of certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issued {
    /// An authorization to send to this node.
    Authorization,
    /// A registration with this gateway.
    Registration,
}

impl Issued {
    /// Reports the certificate, warns if it ends before `wanted`, and shows the fingerprint of the
    /// peer's key.
    pub fn report(self, label: &str, key: &PublicKey, until: Timestamp, wanted: Timestamp) {
        let (word, event) = match self {
            Self::Authorization => ("authorization", "authorized"),
            Self::Registration => ("registration", "registered"),
        };
        // Less than the slack is expected: our own certificate is renewed only when it is shorter
        // by that.
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
