//! Cargo between couriers and gateways (RS-008), over gRPC.

use std::sync::Arc;

use axum::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};

use super::grpc::CallDeadline;
use super::state::{FrontState, PeerConnection};
use super::{answers, cargo_in, cargo_out};
use crate::binding::cogrpc::Call;

/// Answers a call. What the request shows is judged before anything is answered, so that a refusal is nothing but that.
pub(super) async fn answer(
    state: &Arc<FrontState>,
    peer: &Arc<PeerConnection>,
    call: Call,
    request: Request<Body>,
) -> Response<Body> {
    let headers = request.headers();
    if request.method() != Method::POST {
        return answers::not_allowed("POST", request.method() == Method::OPTIONS);
    }
    if request.version() != Version::HTTP_2 {
        let text = "gRPC needs HTTP/2";
        return answers::explained(StatusCode::HTTP_VERSION_NOT_SUPPORTED, text, headers);
    }
    let media_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !media_type.is_some_and(|it| it.starts_with(b"application/grpc")) {
        let text = "the type of the body must be application/grpc";
        return answers::explained(StatusCode::UNSUPPORTED_MEDIA_TYPE, text, headers);
    }
    let deadline = CallDeadline::of(headers);
    match call {
        Call::Deliver => cargo_in::answer(state, peer, request, deadline),
        Call::Collect => cargo_out::answer(state, request, deadline).await,
    }
}
