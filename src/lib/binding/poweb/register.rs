//! Registration: a certificate from a gateway (RS-016 §Private node registration).
//!
//! ```text
//! node     SHA-256 of its key                     POST /v1/pre-registrations
//! gateway  authorization, which ends soon
//! node     the authorization, countersigned       POST /v1/nodes
//! gateway  registration: both certificates, its address and a session key
//! ```

use super::BASE;
use crate::asn1::Hex;
use crate::binding::Error;
use crate::binding::http::{Answer, Client, Request};
use crate::binding::retry::{RequestKind, SendOutcome};
use crate::crypto::hash;
use crate::kind::ErrorKind;
use crate::message::Registration;
use crate::message::registration::RegistrationRequest;
use crate::pki::IdentityKey;

/// The longest answer, in octets. A registration has about 2 500, and one that is this long takes two minutes at the
/// lowest rate.
const MAX_ANSWER_LEN: usize = 64 * 1024;

/// The media type of a registration authorization.
pub const AUTHORIZATION: &str = "application/vnd.awala.node-registration.authorization";
/// The media type of a registration request.
pub const REQUEST: &str = "application/vnd.awala.node-registration.request";
/// The media type of a registration.
pub const REGISTRATION: &str = "application/vnd.awala.node-registration.registration";

/// Registers the holder of `key` with the gateway. Returns the registration, for `node::import` to judge and store, and
/// its octets as received.
///
/// # Errors
/// When the gateway refuses, or its answer is malformed, of another type, or for another key.
pub fn register(client: &Client, key: &IdentityKey) -> Result<(Registration, Vec<u8>), Error> {
    // Deployed gateways compare neither case nor the type's parameters, and refuse a line feed.
    let digest = Hex(&hash::sha256(key.public().spki())).to_string();
    let authorization = post(
        client,
        "/pre-registrations",
        "text/plain",
        digest.as_bytes(),
    )?;
    let authorization = of_type(authorization, AUTHORIZATION, client)?;
    let request = RegistrationRequest::sign(key, &authorization)?;
    let answer = post(client, "/nodes", REQUEST, &request.to_der())?;
    let octets = of_type(answer, REGISTRATION, client)?;
    let registration = Registration::parse(&octets)?;
    registration.verify()?;
    if registration.node.key() != key.public() {
        return Err(Error::Protocol {
            server: client.server().to_string(),
            problem: "the registration is for another key".to_owned(),
        });
    }
    Ok((registration, octets))
}

fn post(client: &Client, path: &str, content_type: &str, body: &[u8]) -> Result<Answer, Error> {
    let path = format!("{BASE}{path}");
    let request = Request::post(&path, content_type, body);
    let answer = client.send(&request, MAX_ANSWER_LEN)?;
    match SendOutcome::of_status(RequestKind::Registration, answer.status) {
        SendOutcome::Accepted => Ok(answer),
        SendOutcome::RefusedForGood => Err(answer.into_error(client.server(), ErrorKind::Refused)),
        SendOutcome::Later(kind) => Err(answer.into_error(client.server(), kind)),
    }
}

/// The body of an answer that must be of this type, without parameters, as deployed clients demand.
fn of_type(answer: Answer, wanted: &str, client: &Client) -> Result<Vec<u8>, Error> {
    match answer.content_type.as_deref() {
        Some(found) if found.eq_ignore_ascii_case(wanted) => Ok(answer.body),
        found => Err(Error::Protocol {
            server: client.server().to_string(),
            problem: format!("{} instead of {wanted}", found.unwrap_or("no media type")),
        }),
    }
}
