//! What clients are answered: verdicts of the keeper in the words of each binding (RS-007, RS-016).

use axum::body::Body;
use hyper::header::{
    ACCEPT, ALLOW, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use serde_json::json;

use super::bodies::BodyError;
use crate::serve::protocol::ServeVerdict;

/// When a client is asked to come again, in seconds, if the server is busy.
const BUSY_FOR: u64 = 30;

/// The same, if it is full.
const FULL_FOR: u64 = 600;

/// The scheme of the detached signature of a delivery.
pub(super) const COUNTERSIGNATURE_SCHEME: &str = "Relaynet-Countersignature";

/// Whose answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerStyle {
    /// To a parcel by PoHTTP. Stock senders discard a parcel on every 4xx.
    PoHttp,
    /// To a parcel by PoWeb. Stock senders discard a parcel on 422 alone.
    PoWebParcel,
    /// To a step of a registration.
    Registration,
}

/// An answer with a text that explains it, as JSON where the client takes that.
#[must_use]
pub(super) fn explained(status: StatusCode, text: &str, request: &HeaderMap) -> Response<Body> {
    let accepts = request
        .get(ACCEPT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    let takes_json =
        accepts.is_some_and(|it| it.contains("application/json") || it.contains("*/*"));
    let (content_type, body) = if takes_json {
        ("application/json", json!({ "message": text }).to_string())
    } else {
        ("text/plain; charset=utf-8", format!("{text}\n"))
    };
    with_body(status, content_type, body.into())
}

/// An answer with a body of this type.
#[must_use]
pub(super) fn with_body(
    status: StatusCode,
    content_type: &'static str,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// An answer without a body.
#[must_use]
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// That a method is not for this path, which has these.
#[must_use]
pub(super) fn not_allowed(methods: &'static str, is_question: bool) -> Response<Body> {
    let mut response = empty(if is_question {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::METHOD_NOT_ALLOWED
    });
    let methods = HeaderValue::from_static(methods);
    response.headers_mut().insert(ALLOW, methods);
    response
}

/// The answer that a verdict is.
#[must_use]
pub(super) fn of_verdict(
    verdict: &ServeVerdict,
    style: AnswerStyle,
    request: &HeaderMap,
) -> Response<Body> {
    let (status, text) = match verdict {
        ServeVerdict::Done => return empty(StatusCode::ACCEPTED),
        ServeVerdict::Malformed(text) => (StatusCode::BAD_REQUEST, text),
        ServeVerdict::Refused(text) => {
            let status = match style {
                AnswerStyle::PoWebParcel => StatusCode::UNPROCESSABLE_ENTITY,
                AnswerStyle::PoHttp | AnswerStyle::Registration => StatusCode::FORBIDDEN,
            };
            (status, text)
        }
        ServeVerdict::Unregistered(text) => (StatusCode::UNAUTHORIZED, text),
        ServeVerdict::Busy(text) => (StatusCode::SERVICE_UNAVAILABLE, text),
        ServeVerdict::Full(text) => (StatusCode::INSUFFICIENT_STORAGE, text),
    };
    let mut response = explained(status, text, request);
    let headers = response.headers_mut();
    match verdict {
        ServeVerdict::Unregistered(_) => {
            let scheme = HeaderValue::from_static(COUNTERSIGNATURE_SCHEME);
            headers.insert(WWW_AUTHENTICATE, scheme);
        }
        ServeVerdict::Busy(_) => {
            headers.insert(RETRY_AFTER, BUSY_FOR.into());
        }
        ServeVerdict::Full(_) => {
            headers.insert(RETRY_AFTER, FULL_FOR.into());
        }
        _ => {}
    }
    response
}

/// The answer to a body that did not come whole. The connection ends: the rest of the body is not waited for. Stock
/// senders discard a parcel on every 4xx, so one that came too slowly is asked for again.
#[must_use]
pub(super) fn of_body_error(error: BodyError, most: u64, request: &HeaderMap) -> Response<Body> {
    let mut response = match error {
        BodyError::TooLong => explained(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("at most {most} octets"),
            request,
        ),
        BodyError::Broken => explained(
            StatusCode::BAD_REQUEST,
            "the body is malformed or cut off",
            request,
        ),
        BodyError::TooSlow => of_verdict(
            &ServeVerdict::Busy("the body came too slowly".to_owned()),
            AnswerStyle::PoHttp,
            request,
        ),
        BodyError::NoPlace | BodyError::NotWritten => of_verdict(
            &ServeVerdict::Busy("too many long bodies at once".to_owned()),
            AnswerStyle::PoHttp,
            request,
        ),
    };
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_answered_as_stock_clients_need_it() {
        use AnswerStyle::{PoHttp, PoWebParcel, Registration};
        let text = || "why".to_owned();
        let table = [
            (ServeVerdict::Done, [202, 202, 202]),
            (ServeVerdict::Malformed(text()), [400, 400, 400]),
            (ServeVerdict::Refused(text()), [403, 422, 403]),
            (ServeVerdict::Unregistered(text()), [401, 401, 401]),
            (ServeVerdict::Busy(text()), [503, 503, 503]),
            (ServeVerdict::Full(text()), [507, 507, 507]),
        ];
        for (verdict, expected) in table {
            for (style, status) in [PoHttp, PoWebParcel, Registration]
                .into_iter()
                .zip(expected)
            {
                let response = of_verdict(&verdict, style, &HeaderMap::new());
                assert_eq!(response.status().as_u16(), status, "{verdict:?} {style:?}");
                let is_later = matches!(status, 503 | 507);
                assert_eq!(response.headers().contains_key(RETRY_AFTER), is_later);
            }
        }
    }

    #[test]
    fn a_text_is_json_where_the_client_takes_that() {
        for (accept, expected) in [
            (None, "text/plain; charset=utf-8"),
            (Some("text/html"), "text/plain; charset=utf-8"),
            (Some("application/json, text/plain"), "application/json"),
            (Some("*/*"), "application/json"),
        ] {
            let mut request = HeaderMap::new();
            if let Some(accept) = accept {
                request.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            let response = explained(StatusCode::FORBIDDEN, "no", &request);
            assert_eq!(response.headers()[CONTENT_TYPE], expected);
        }
    }
}
