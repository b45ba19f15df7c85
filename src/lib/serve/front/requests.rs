//! The requests of HTTP: parcels, registrations and what is asked without a body.

use std::fs::File;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, ORIGIN, UPGRADE};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Uri};

use super::answers::{self, AnswerStyle, COUNTERSIGNATURE_SCHEME};
use super::bodies::{self, BodyError, BodySink};
use super::body_turns::{self, RoomHeld};
use super::link::KeeperAnswer;
use super::state::{FrontState, PeerConnection};
use super::{cogrpc, collection};
use crate::binding::cogrpc::Call;
use crate::ramf::limits::MAX_MESSAGE_LEN;
use crate::serve::channel::MAX_INLINE;
use crate::serve::protocol::{CallId, ParcelRoute, ServeRole, ServeVerdict, ToKeeper};

/// The media types, which deployed software compares literally.
const PARCEL: &str = "application/vnd.awala.parcel";
const REGISTRATION_REQUEST: &str = "application/vnd.awala.node-registration.request";
const REGISTRATION_AUTHORIZATION: &str = "application/vnd.awala.node-registration.authorization";
const REGISTRATION: &str = "application/vnd.awala.node-registration.registration";
const PARAMETERS: &str = "application/vnd.etsi.tsl.der";

/// Where parcels are collected.
const COLLECTION: &str = "/v1/parcel-collection";

/// The longest body of a step of a registration, in octets. Requests have about 900.
const MAX_STEP: u64 = 16 * 1024;

/// The longest countersignature in the head of a request, in octets of base64: about 2 500 are usual.
const MAX_COUNTERSIGNATURE: usize = 8 * 1024;

const GREETING: &str =
    "This is a server of Relaynet (Awala). It is for programs, see relay-serve(1).\n";

/// Answers a request.
pub(super) async fn answer(
    state: &Arc<FrontState>,
    peer: &Arc<PeerConnection>,
    request: Request<Body>,
) -> Response<Body> {
    let role = state.terms.role;
    if role == ServeRole::LocalGateway
        && let Some(text) = stranger(request.headers(), request.uri())
    {
        return answers::explained(StatusCode::BAD_REQUEST, text, request.headers());
    }
    if let Some(call) = Call::of_path(request.uri().path())
        && role.has_cogrpc()
    {
        return cogrpc::answer(state, peer, call, request).await;
    }
    if request.uri().path() == COLLECTION && request.method() == Method::GET && role.has_poweb() {
        return collection::upgrade(state, peer, request).await;
    }
    let (head, mut body) = request.into_parts();
    let response = answer_to(state, peer, &head, &mut body).await;
    bodies::let_go(body, &head.headers);
    response
}

/// Answers a request, whose body may be left unread.
async fn answer_to(
    state: &Arc<FrontState>,
    peer: &Arc<PeerConnection>,
    head: &Parts,
    body: &mut Body,
) -> Response<Body> {
    let (role, headers) = (state.terms.role, &head.headers);
    let allowed = |methods| answers::not_allowed(methods, head.method == Method::OPTIONS);
    match (head.uri.path(), &head.method) {
        ("/", &Method::GET | &Method::HEAD) => {
            answers::with_body(StatusCode::OK, "text/plain; charset=utf-8", GREETING.into())
        }
        ("/", &Method::POST) if role.has_pohttp() => {
            parcel(state, peer, (headers, body), false).await
        }
        ("/", _) => allowed("HEAD, GET, POST"),
        ("/connection-params.der", &Method::GET | &Method::HEAD) if role.has_pohttp() => {
            parameters(state, headers).await
        }
        ("/connection-params.der", _) if role.has_pohttp() => allowed("HEAD, GET"),
        ("/v1/parcels", &Method::POST) if role.has_poweb() => {
            parcel(state, peer, (headers, body), true).await
        }
        ("/v1/pre-registrations", &Method::POST) if role.has_poweb() => {
            registration_step(state, peer, (headers, body), RegistrationStep::First).await
        }
        ("/v1/nodes", &Method::POST) if role.has_poweb() => {
            registration_step(state, peer, (headers, body), RegistrationStep::Second).await
        }
        ("/v1/parcels" | "/v1/pre-registrations" | "/v1/nodes", _) if role.has_poweb() => {
            allowed("POST")
        }
        (COLLECTION, _) if role.has_poweb() => allowed("GET"),
        _ => answers::explained(StatusCode::NOT_FOUND, "no such path", headers),
    }
}

/// Why a request to the gateway of this machine does not come from one of its applications: a page in a browser reaches loopback, too,
/// under its own name (DNS rebinding) or with its origin. A WebSocket gets its own answer.
fn stranger(headers: &HeaderMap, uri: &Uri) -> Option<&'static str> {
    if headers.contains_key(ORIGIN) && !headers.contains_key(UPGRADE) {
        return Some("no browsers");
    }
    let host = match uri.host() {
        Some(host) => host.to_owned(),
        None => String::from_utf8_lossy(headers.get(HOST)?.as_bytes()).into_owned(),
    };
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
        _ => &host,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    (!is_loopback).then_some("the host must be this machine")
}

/// Whether a type is this one, with or without parameters.
fn is_type(headers: &HeaderMap, expected: &str) -> bool {
    let given = headers
        .get(CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    given.is_some_and(|given| {
        let name = given.split(';').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case(expected)
    })
}

fn wrong_type(expected: &str, headers: &HeaderMap) -> Response<Body> {
    let text = format!("the type of the body must be {expected}");
    answers::explained(StatusCode::UNSUPPORTED_MEDIA_TYPE, &text, headers)
}

/// The signature in the head of a delivery.
fn countersignature(headers: &HeaderMap) -> Result<Vec<u8>, &'static str> {
    let value = headers
        .get(AUTHORIZATION)
        .ok_or("a countersignature is missing")?;
    let value = value
        .to_str()
        .map_err(|_| "the countersignature is malformed")?;
    let (scheme, encoded) = value
        .split_once(' ')
        .ok_or("the countersignature is malformed")?;
    let spelt = [COUNTERSIGNATURE_SCHEME, "Awala-Countersignature"];
    if !spelt.iter().any(|it| it.eq_ignore_ascii_case(scheme)) {
        return Err("a countersignature is missing");
    }
    if encoded.len() > MAX_COUNTERSIGNATURE {
        return Err("the countersignature is malformed");
    }
    STANDARD
        .decode(encoded.trim_start())
        .map_err(|_| "the countersignature is malformed")
}

/// Takes a parcel, from a registered node or from anybody.
async fn parcel(
    state: &Arc<FrontState>,
    peer: &Arc<PeerConnection>,
    (headers, body): (&HeaderMap, &mut Body),
    is_registered: bool,
) -> Response<Body> {
    if !is_type(headers, PARCEL) {
        return wrong_type(PARCEL, headers);
    }
    let (style, route) = if is_registered {
        let style = AnswerStyle::PoWebParcel;
        match countersignature(headers) {
            Ok(signature) => (style, ParcelRoute::Registered(signature)),
            Err(text) => {
                let verdict = ServeVerdict::Unregistered(text.to_owned());
                return answers::of_verdict(&verdict, style, headers);
            }
        }
    } else {
        (AnswerStyle::PoHttp, ParcelRoute::Anybody)
    };
    let most = MAX_MESSAGE_LEN as u64;
    let announced = bodies::announced(body);
    if announced.is_some_and(|len| len > most) {
        return answers::of_body_error(BodyError::TooLong, most, headers);
    }
    let Some(_turn) = body_turns::turn(state, peer).await else {
        return answers::of_body_error(BodyError::NoPlace, most, headers);
    };
    let is_long = announced.is_none_or(|len| len > MAX_INLINE as u64);
    let counted = CountedBody::new(state);
    let received = if is_long {
        long_parcel(state, route, body, announced.unwrap_or(most)).await
    } else {
        short_parcel(state, route, body).await
    };
    counted.ended(received.as_ref().err());
    match received {
        Ok((verdict, node)) => {
            if let Some(node) = node {
                peer.shows_node(node);
            }
            answers::of_verdict(&verdict, style, headers)
        }
        Err(error) => answers::of_body_error(error, most, headers),
    }
}

/// A parcel that is received, as it is counted.
struct CountedBody<'a>(&'a FrontState);

impl<'a> CountedBody<'a> {
    fn new(state: &'a FrontState) -> Self {
        state.bodies_open.fetch_add(1, Ordering::Relaxed);
        Self(state)
    }

    fn ended(self, error: Option<&BodyError>) {
        let count = match error {
            None => return, // counted with its octets
            Some(BodyError::TooSlow | BodyError::NoPlace) => &self.0.bodies_slow,
            Some(BodyError::TooLong | BodyError::Broken | BodyError::NotWritten) => {
                &self.0.bodies_broken
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for CountedBody<'_> {
    fn drop(&mut self) {
        self.0.bodies_open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Receives a short parcel into memory.
async fn short_parcel(
    state: &FrontState,
    route: ParcelRoute,
    body: &mut Body,
) -> Result<ParcelVerdict, BodyError> {
    let place = state.short_bodies.enter_for_body().await;
    let place = place.ok_or(BodyError::NoPlace)?;
    let mut octets = Vec::with_capacity(bodies::announced(body).map_or(0, |len| {
        usize::try_from(len).map_or(0, |len| len.min(MAX_INLINE))
    }));
    let sink = BodySink::Memory(&mut octets);
    let len = bodies::receive_in(&place, body, MAX_INLINE as u64, sink).await?;
    place.is_done();
    state.came(len);
    let call = state.keeper.new_call();
    Ok(verdict(state, call, ToKeeper::Parcel { call, route }, octets).await)
}

/// Receives a long parcel into a file that the keeper made for it.
async fn long_parcel(
    state: &FrontState,
    route: ParcelRoute,
    body: &mut Body,
    len: u64,
) -> Result<ParcelVerdict, BodyError> {
    let place = state.long_bodies.enter_for_body().await;
    let place = place.ok_or(BodyError::NoPlace)?;
    let call = state.keeper.new_call();
    let asks = ToKeeper::Room {
        call,
        route: route.clone(),
        len,
    };
    let mut file: File = match state.keeper.ask(call, asks, Vec::new()).await {
        Some(KeeperAnswer::Room(file)) => file,
        Some(KeeperAnswer::Verdict(verdict, _, node)) => return Ok((verdict, node)),
        Some(KeeperAnswer::Certificate(..)) | None => return Ok((body_turns::stopping(), None)),
    };
    // The keeper keeps the room until it hears what became of it, also when this request is dropped.
    let room = RoomHeld::new(state, call);
    let sink = BodySink::File(&mut file);
    let received = bodies::receive_in(&place, body, len, sink).await?;
    place.is_done();
    state.came(received);
    room.used();
    Ok(verdict(state, call, ToKeeper::Parcel { call, route }, Vec::new()).await)
}

/// The verdict on a parcel, and the registered node that brought it, if it has shown itself.
type ParcelVerdict = (ServeVerdict, Option<[u8; 32]>);

async fn verdict(state: &FrontState, call: CallId, head: ToKeeper, body: Vec<u8>) -> ParcelVerdict {
    match state.keeper.ask(call, head, body).await {
        Some(KeeperAnswer::Verdict(verdict, _, node)) => (verdict, node),
        Some(KeeperAnswer::Room(_) | KeeperAnswer::Certificate(..)) | None => {
            (body_turns::stopping(), None)
        }
    }
}

/// The step of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RegistrationStep {
    /// The digest of a key, for an authorization.
    First,
    /// The request, for the registration.
    Second,
}

async fn registration_step(
    state: &FrontState,
    peer: &PeerConnection,
    (headers, body): (&HeaderMap, &mut Body),
    step: RegistrationStep,
) -> Response<Body> {
    let (expected, given) = match step {
        RegistrationStep::First => ("text/plain", REGISTRATION_AUTHORIZATION),
        RegistrationStep::Second => (REGISTRATION_REQUEST, REGISTRATION),
    };
    if !is_type(headers, expected) {
        return wrong_type(expected, headers);
    }
    if bodies::announced(body).is_some_and(|len| len > MAX_STEP) {
        return answers::of_body_error(BodyError::TooLong, MAX_STEP, headers);
    }
    let mut octets = Vec::new();
    let sink = BodySink::Memory(&mut octets);
    if let Err(error) = bodies::receive(body, MAX_STEP, sink, &AtomicU64::new(0)).await {
        return answers::of_body_error(error, MAX_STEP, headers);
    }
    let (call, peer) = (state.keeper.new_call(), peer.address);
    let asks = match step {
        RegistrationStep::First => ToKeeper::PreRegistration { call, peer },
        RegistrationStep::Second => ToKeeper::Registration { call, peer },
    };
    let answered = state.keeper.ask(call, asks, octets).await;
    object(answered, given, AnswerStyle::Registration, headers)
}

/// The connection parameters of this node.
async fn parameters(state: &FrontState, headers: &HeaderMap) -> Response<Body> {
    let call = state.keeper.new_call();
    let asks = ToKeeper::Parameters { call };
    let answered = state.keeper.ask(call, asks, Vec::new()).await;
    object(answered, PARAMETERS, AnswerStyle::PoHttp, headers)
}

/// The answer with an object of this type that the keeper was asked for, or why there is none.
fn object(
    answered: Option<KeeperAnswer>,
    given: &'static str,
    style: AnswerStyle,
    headers: &HeaderMap,
) -> Response<Body> {
    match answered {
        Some(KeeperAnswer::Verdict(ServeVerdict::Done, object, _)) => {
            answers::with_body(StatusCode::OK, given, object.into())
        }
        Some(KeeperAnswer::Verdict(verdict, _, _)) => answers::of_verdict(&verdict, style, headers),
        Some(KeeperAnswer::Room(_) | KeeperAnswer::Certificate(..)) | None => {
            answers::of_verdict(&body_turns::stopping(), style, headers)
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn pages_in_browsers_are_no_applications_of_this_machine() {
        let judged = |uri: &str, headers: &[(HeaderName, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(name, HeaderValue::from_static(value));
            }
            stranger(&map, &uri.parse().unwrap()).is_none()
        };
        for host in [
            "127.0.0.1:13276",
            "localhost:13276",
            "LOCALHOST",
            "[::1]:13276",
            "127.0.0.1",
        ] {
            assert!(judged("/v1/parcels", &[(HOST, host)]), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:13276",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
        ] {
            assert!(!judged("/v1/parcels", &[(HOST, host)]), "{host}");
        }
        // HTTP/2 has the host in the URI.
        assert!(judged("http://127.0.0.1:13276/", &[]));
        assert!(!judged("http://evil.example:13276/", &[]));
        let local = (HOST, "127.0.0.1:13276");
        let origin = (ORIGIN, "https://evil.example");
        assert!(!judged("/", &[local.clone(), origin.clone()]));
        // Its answer is a close code.
        assert!(judged("/", &[local, origin, (UPGRADE, "websocket")]));
    }
}
