//! Calls of gRPC over HTTP/2: how long they may take, and how they end.

use std::time::Duration;

use axum::body::Body;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::binding::cogrpc::status::percent_encode;
use crate::binding::cogrpc::{GrpcCode, GrpcStatus, timeout};
use crate::serve::protocol::ServeVerdict;

/// The media type of answers, as deployed servers have it.
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc+proto");

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// When a call must have ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallDeadline {
    begun: Instant,
    within: Option<Duration>,
}

impl CallDeadline {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let value = headers.get(timeout::HEADER);
        let value = value.and_then(|value| value.to_str().ok());
        Self {
            begun: Instant::now(),
            within: value.and_then(timeout::parse),
        }
    }

    /// So many hundredths of the time that the client gave; `None` if it gave none.
    pub(super) fn part(&self, hundredths: u32) -> Option<Duration> {
        self.within.map(|within| within * hundredths / 100)
    }

    /// The instant after so many hundredths of that time.
    pub(super) fn at(&self, hundredths: u32) -> Option<Instant> {
        self.part(hundredths).map(|part| self.begun + part)
    }
}

/// The head of an answer whose body and status follow.
pub(super) fn begun(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// An answer that is only a status.
pub(super) fn refusal(status: &GrpcStatus) -> Response<Body> {
    let mut response = begun(Body::empty());
    response.headers_mut().extend(trailers(status));
    response
}

/// A status as it ends an answer.
pub(super) fn trailers(status: &GrpcStatus) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, status.code.number().into());
    // Clients tell a status without a text from one with an empty text.
    let text = status.text.as_deref().map(percent_encode);
    if let Some(text) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
        trailers.insert(GRPC_MESSAGE, text);
    }
    trailers
}

/// The status that ends a call because of a verdict on what came; `None` for what was taken.
pub(super) fn status_of(verdict: &ServeVerdict) -> Option<GrpcStatus> {
    let (code, text) = match verdict {
        ServeVerdict::Done => return None,
        ServeVerdict::Malformed(text) => (GrpcCode::Internal, text),
        ServeVerdict::Refused(text) => (GrpcCode::InvalidArgument, text),
        ServeVerdict::Unregistered(text) => (GrpcCode::Unauthenticated, text),
        ServeVerdict::Busy(text) => (GrpcCode::Unavailable, text),
        ServeVerdict::Full(text) => (GrpcCode::ResourceExhausted, text),
    };
    Some(GrpcStatus::with_text(code, text.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_in_the_trailers_with_its_text_if_it_has_one() {
        let bare = trailers(&GrpcStatus::bare(GrpcCode::PermissionDenied));
        assert_eq!(bare["grpc-status"], "7");
        assert!(!bare.contains_key("grpc-message"));
        let status = GrpcStatus::with_text(GrpcCode::Unavailable, "später\n");
        let text = trailers(&status);
        assert_eq!(text["grpc-status"], "14");
        assert_eq!(text["grpc-message"], "sp%C3%A4ter%0A");
    }

    #[test]
    fn verdicts_end_a_call_as_couriers_need_it() {
        let text = || "why".to_owned();
        assert_eq!(status_of(&ServeVerdict::Done), None);
        for (verdict, number) in [
            (ServeVerdict::Malformed(text()), 13),
            (ServeVerdict::Refused(text()), 3),
            (ServeVerdict::Unregistered(text()), 16),
            (ServeVerdict::Busy(text()), 14),
            (ServeVerdict::Full(text()), 8),
        ] {
            let status = status_of(&verdict).unwrap();
            assert_eq!(status.code.number(), number, "{verdict:?}");
        }
    }

    #[test]
    fn a_deadline_has_parts_if_the_client_gave_one() {
        let mut headers = HeaderMap::new();
        assert!(CallDeadline::of(&headers).part(80).is_none());
        headers.insert("grpc-timeout", HeaderValue::from_static("2904m"));
        let deadline = CallDeadline::of(&headers);
        assert_eq!(deadline.part(50), Some(Duration::from_millis(1452)));
        assert_eq!(
            deadline.at(100),
            Some(deadline.begun + Duration::from_millis(2904))
        );
    }
}
