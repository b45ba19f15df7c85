//! What becomes of a message when a server answers, refuses or is silent: the one table of outcomes.
//!
//! A message is given up only when the server says that the message itself is unacceptable. Whatever may be the
//! network's fault, the server's or this node's leaves it in its queue until it expires.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::{rfc2822, strtime};

use super::Error;
use super::GrpcCode;
use crate::kind::ErrorKind;

/// The longest time that a server's `Retry-After` is obeyed.
///
/// It is the longest pause that this node makes by itself. A server that asks for a day, by mistake or because its
/// clock is wrong, does not hold messages back while it could take them.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// A kind of request, since a status means different things for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// Delivery of a parcel to a node on the Internet (RS-007).
    PoHttp,
    /// Delivery of a parcel to a gateway (RS-016 §Parcel delivery).
    Delivery,
    /// Either step of a registration with a gateway (RS-016 §Private node registration).
    Registration,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendOutcome {
    /// The server has it, or did what it was asked for.
    Accepted,
    /// The server refuses this very message, now and later.
    RefusedForGood,
    /// The message stays in its queue. The run ends with the status of the kind.
    Later(ErrorKind),
}

impl SendOutcome {
    /// The outcome of a status of HTTP.
    ///
    /// A status 307 or 308 comes here only where it is not followed: it was followed too often already, it does not
    /// lead to https, or the protocol has no redirects.
    #[must_use]
    pub fn of_status(kind: RequestKind, status: u16) -> Self {
        let refused = match kind {
            RequestKind::PoHttp | RequestKind::Delivery => Self::RefusedForGood,
            // There is no message: a person has to look why the gateway does not want this node.
            RequestKind::Registration => Self::Later(ErrorKind::Refused),
        };
        match status {
            // A registration is in the body of the answer, and only 200 promises one.
            201..=299 if kind == RequestKind::Registration => Self::Later(ErrorKind::Protocol),
            200..=299 => Self::Accepted,
            400 | 403 | 413 | 422 => refused,
            // What captive portals answer, and servers that are busy or fail.
            300..=303 | 408 | 425 | 429 | 500..=599 => Self::Later(ErrorKind::Unreachable),
            401 => Self::Later(ErrorKind::Refused),
            // Another kind of server, another path, or a protocol that this program does not speak.
            _ => Self::Later(ErrorKind::Protocol),
        }
    }

    /// The outcome of a WebSocket that is to be closed by the server when everything was sent (RFC 6455 §7.4,
    /// RS-016 §Parcel collection), by the code of the close frame: none where there was no code or no such frame.
    #[must_use]
    pub fn of_close(code: Option<u16>) -> Self {
        match code {
            Some(1000) => Self::Accepted,
            // 1005, 1006 and 1015 stand for a frame without a code, no frame and a failure of TLS. 1001 and 1012 to
            // 1014 say that the server restarts, is busy or has no server behind it, and RS-016's 4000 is "try again".
            None | Some(1001 | 1005 | 1006 | 1011..=1015 | 4000) => {
                Self::Later(ErrorKind::Unreachable)
            }
            Some(_) => Self::Later(ErrorKind::Protocol),
        }
    }

    /// The outcome of a call that ended with a status of gRPC.
    ///
    /// Only `INVALID_ARGUMENT` is about a cargo: the couriers of phones end a call with it at the first cargo that they
    /// refuse. OK is said of a call, and not of what was not acknowledged in it.
    #[must_use]
    pub fn of_grpc(code: GrpcCode) -> Self {
        match code {
            GrpcCode::Ok => Self::Accepted,
            GrpcCode::InvalidArgument => Self::RefusedForGood,
            // Who is asked does not know this gateway or its CCA: a person has to look.
            GrpcCode::NotFound | GrpcCode::PermissionDenied | GrpcCode::Unauthenticated => {
                Self::Later(ErrorKind::Refused)
            }
            GrpcCode::Cancelled
            | GrpcCode::Unknown
            | GrpcCode::DeadlineExceeded
            | GrpcCode::ResourceExhausted
            | GrpcCode::Aborted
            | GrpcCode::Internal
            | GrpcCode::Unavailable => Self::Later(ErrorKind::Unreachable),
            // No server of this protocol ends a call so.
            GrpcCode::AlreadyExists
            | GrpcCode::FailedPrecondition
            | GrpcCode::OutOfRange
            | GrpcCode::Unimplemented
            | GrpcCode::DataLoss => Self::Later(ErrorKind::Protocol),
        }
    }

    /// The outcome of a call of gRPC that was answered with a status of HTTP alone, as proxies and captive portals do.
    #[must_use]
    pub fn of_http_without_grpc(status: u16) -> Self {
        match status {
            300..=303 | 408 | 425 | 429 | 500..=599 => Self::Later(ErrorKind::Unreachable),
            401 | 403 => Self::Later(ErrorKind::Refused),
            // 200 as well: gRPC's own status is missing.
            _ => Self::Later(ErrorKind::Protocol),
        }
    }

    /// The outcome when there is no answer.
    #[must_use]
    pub fn of_error(error: &Error) -> Self {
        Self::Later(error.kind())
    }
}

/// The value of `Retry-After` (RFC 9110 §10.2.3), in seconds or as a date, and at most [`MAX_RETRY_AFTER`]. A date is
/// relative to `date`, which the server gave with it, since its clock may differ from this one; else to `now`.
/// `None` when the value is malformed.
#[must_use]
pub fn retry_after(value: &str, date: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let is_number = !value.is_empty() && value.bytes().all(|octet| octet.is_ascii_digit());
    let after = if is_number {
        // A number over u64 is a long time as well.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let span = http_date(value)?.duration_since(date.unwrap_or(now));
        Duration::try_from(span).unwrap_or(Duration::ZERO)
    };
    Some(after.min(MAX_RETRY_AFTER))
}

/// Parses a date of HTTP in any of its three forms (RFC 9110 §5.6.7).
#[must_use]
pub fn http_date(value: &str) -> Option<Timestamp> {
    let value = value.trim();
    if let Ok(time) = rfc2822::DateTimeParser::new().parse_timestamp(value) {
        return Some(time);
    }
    // The forms of RFC 850 and asctime, which recipients must accept.
    ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .into_iter()
        .find_map(|form| {
            let parsed = strtime::parse(form, value).ok()?.to_datetime().ok()?;
            let utc = parsed.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
            Some(utc.timestamp())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: SendOutcome = SendOutcome::Later(ErrorKind::Unreachable);
    const REFUSED: SendOutcome = SendOutcome::Later(ErrorKind::Refused);
    const PROTOCOL: SendOutcome = SendOutcome::Later(ErrorKind::Protocol);

    #[test]
    fn every_status_has_its_outcome() {
        use SendOutcome::{Accepted, RefusedForGood};
        // Statuses, and the outcome of PoHTTP, delivery and registration.
        let rows = [
            (vec![200], [Accepted, Accepted, Accepted]),
            ((201..300).collect(), [Accepted, Accepted, PROTOCOL]),
            (
                vec![400, 403, 413, 422],
                [RefusedForGood, RefusedForGood, REFUSED],
            ),
            (vec![401], [REFUSED; 3]),
            ((300..304).collect(), [LATER; 3]),
            (vec![408, 425, 429], [LATER; 3]),
            ((500..600).collect(), [LATER; 3]),
            ((304..400).collect(), [PROTOCOL; 3]),
            (
                vec![404, 405, 406, 409, 410, 411, 415, 417, 421, 426, 431, 451],
                [PROTOCOL; 3],
            ),
            ((0..200).collect(), [PROTOCOL; 3]),
            ((600..1100).collect(), [PROTOCOL; 3]),
        ];
        let kinds = [
            RequestKind::PoHttp,
            RequestKind::Delivery,
            RequestKind::Registration,
        ];
        for (statuses, outcomes) in rows {
            for status in statuses {
                for (kind, outcome) in kinds.into_iter().zip(outcomes) {
                    let found = SendOutcome::of_status(kind, status);
                    assert_eq!(found, outcome, "{kind:?} {status}");
                }
            }
        }
        // Nothing else is the message's affair.
        let for_good = (0..=u16::MAX).filter(|status| {
            SendOutcome::of_status(RequestKind::PoHttp, *status) == RefusedForGood
        });
        assert_eq!(for_good.collect::<Vec<_>>(), [400, 403, 413, 422]);
    }

    #[test]
    fn every_close_code_has_its_outcome() {
        let later = [1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015, 4000];
        for code in 0..=u16::MAX {
            let outcome = match code {
                1000 => SendOutcome::Accepted,
                code if later.contains(&code) => LATER,
                _ => PROTOCOL,
            };
            assert_eq!(SendOutcome::of_close(Some(code)), outcome, "{code}");
        }
        assert_eq!(SendOutcome::of_close(None), LATER);
    }

    #[test]
    fn every_status_of_grpc_has_its_outcome() {
        for code in GrpcCode::ALL {
            let outcome = match code.number() {
                0 => SendOutcome::Accepted,
                3 => SendOutcome::RefusedForGood,
                5 | 7 | 16 => REFUSED,
                6 | 9 | 11 | 12 | 15 => PROTOCOL,
                _ => LATER,
            };
            assert_eq!(SendOutcome::of_grpc(code), outcome, "{code}");
        }
        for status in 0..=u16::MAX {
            let outcome = match status {
                300..=303 | 408 | 425 | 429 | 500..=599 => LATER,
                401 | 403 => REFUSED,
                _ => PROTOCOL,
            };
            let found = SendOutcome::of_http_without_grpc(status);
            assert_eq!(found, outcome, "{status}");
        }
    }

    #[test]
    fn without_an_answer_the_message_waits() {
        let server = || "gw.example.org:443".to_owned();
        let silent = Error::Silent {
            server: server(),
            waited: Duration::from_secs(30),
        };
        assert_eq!(SendOutcome::of_error(&silent), LATER);
        let certificate = Error::Certificate {
            server: server(),
            problem: "expired".to_owned(),
        };
        assert_eq!(SendOutcome::of_error(&certificate), LATER);
    }

    #[test]
    fn a_pause_is_in_seconds_or_until_a_date() {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        let after = |value: &str| retry_after(value, None, now).map(|it| it.as_secs());
        assert_eq!(after("0"), Some(0));
        assert_eq!(after(" 120 "), Some(120));
        assert_eq!(after("3600"), Some(3600));
        assert_eq!(after("3601"), Some(3600));
        assert_eq!(after("99999999999999999999999999"), Some(3600));
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(after(date), Some(37), "{date}");
        }
        assert_eq!(after("Sat, 05 Nov 1994 08:49:37 GMT"), Some(0)); // it is over
        assert_eq!(after("Tue, 06 Nov 2040 08:49:37 GMT"), Some(3600));
        // The server's clock is a year ahead: what counts is the pause that it means.
        let date = http_date("Mon, 06 Nov 1995 08:49:07 GMT");
        let pause = retry_after("Mon, 06 Nov 1995 08:49:37 GMT", date, now);
        assert_eq!(pause, Some(Duration::from_secs(30)));
        for malformed in [
            "",
            "soon",
            "-1",
            "+5",
            "1.5",
            "12 s",
            "06 Nov",
            "9 Brumaire 1994",
        ] {
            assert_eq!(after(malformed), None, "{malformed:?}");
        }
    }
}
