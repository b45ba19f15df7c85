//! What becomes of a parcel that was not stored: who may try again, and when.

use crate::kind::{DiskCause, ErrorKind};
use crate::serve::protocol::ServeVerdict;

/// The verdict that an error is. The text of an error of this node stays here: it names paths and peers.
///
/// Stock senders discard a parcel that is refused, so by a clock that may be wrong nothing is refused for its dates.
#[must_use]
pub(super) fn verdict_of(kind: ErrorKind, text: &str, is_clock_believed: bool) -> ServeVerdict {
    use ErrorKind as K;
    match kind {
        kind if kind.depends_on_clock() && kind != K::Early && !is_clock_believed => {
            ServeVerdict::Busy("the clock of this server may be wrong".to_owned())
        }
        K::Malformed | K::Unsuitable => ServeVerdict::Malformed(text.to_owned()),
        K::Corrupt
        | K::Conflict
        | K::Outlived
        | K::OtherRecipient
        | K::NoRoute
        | K::Refused
        | K::Unauthorized
        | K::Untrusted
        | K::OverRate
        | K::Forbidden
        | K::Expired
        | K::Seen => ServeVerdict::Refused(text.to_owned()),
        // The clock of its sender may heal.
        K::Early => ServeVerdict::Busy("it is not valid yet".to_owned()),
        K::Full => ServeVerdict::Full("there is no room for it now".to_owned()),
        K::Disk {
            cause: DiskCause::Full,
            ..
        } => ServeVerdict::Full("the disk is full".to_owned()),
        _ => ServeVerdict::Busy("it cannot be stored now".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::FileRole;

    #[test]
    fn what_may_heal_is_never_refused() {
        use ErrorKind as K;
        let verdict = |kind| verdict_of(kind, "why", true);
        let text = "why".to_owned();
        for kind in [K::Malformed, K::Unsuitable] {
            assert_eq!(verdict(kind), ServeVerdict::Malformed(text.clone()));
        }
        for kind in [
            K::Corrupt,
            K::NoRoute,
            K::Unauthorized,
            K::Untrusted,
            K::Expired,
        ] {
            assert_eq!(
                verdict(kind),
                ServeVerdict::Refused(text.clone()),
                "{kind:?}"
            );
        }
        let full = K::Disk {
            role: FileRole::Spool,
            operation: None,
            cause: DiskCause::Full,
        };
        for kind in [K::Full, full] {
            assert!(matches!(verdict(kind), ServeVerdict::Full(_)), "{kind:?}");
        }
        for kind in [
            K::Early,
            K::Busy,
            K::Config,
            K::Internal,
            K::Io,
            K::Loop,
            K::ClockDoubted,
        ] {
            assert!(matches!(verdict(kind), ServeVerdict::Busy(_)), "{kind:?}");
        }
        // By a clock that may be wrong nothing is refused for its dates, but for all else.
        for kind in [
            K::Expired,
            K::Unauthorized,
            K::Untrusted,
            K::Outlived,
            K::OverRate,
        ] {
            assert!(matches!(
                verdict_of(kind, "why", false),
                ServeVerdict::Busy(_)
            ));
        }
        assert_eq!(
            verdict_of(K::Corrupt, "why", false),
            ServeVerdict::Refused(text)
        );
    }
}
