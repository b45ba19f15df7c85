//! Reports a certificate that was issued to a peer.

use jiff::Timestamp;

use super::{clock, report};
use crate::disk::{FileRole, files};
use crate::node::Directory;
use crate::node::certificates::SLACK;
use crate::pki::PublicKey;
use crate::spool::Spool;

/// The kind of certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issued {
    /// An authorization to send to this node.
    Authorization,
    /// A registration with this gateway.
    Registration,
}

impl Issued {
    /// Warns if the clock of a node contradicts what is known here: the certificate begins then.
    pub fn doubt_clock(self, node: Directory, now: Timestamp) {
        let window = clock::window_of(now, Some(node.config()));
        // What keeps the clock from being judged keeps no certificate from being issued. Where there
        // is no spool, nothing happens for months while the clock is right.
        let time = Spool::shared_with(node).and_then(|spool| {
            let is_used = files::exists(spool.root(), FileRole::Spool)?;
            is_used.then(|| spool.time(now, &window)).transpose()
        });
        if let Ok(Some(time)) = time
            && let Some(doubt) = time.doubt()
        {
            report::warn_with(
                &format!("{doubt}: the {} is dated by it", self.word()),
                "check this clock; if it is wrong, issue another one under the right one",
            );
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Registration => "registration",
        }
    }

    /// Reports the certificate, warns if it ends before `wanted`, and shows the fingerprint of the
    /// peer's key.
    pub fn report(self, label: &str, key: &PublicKey, until: Timestamp, wanted: Timestamp) {
        let word = self.word();
        let event = match self {
            Self::Authorization => "authorized",
            Self::Registration => "registered",
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
