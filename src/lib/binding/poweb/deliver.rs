//! Delivery of parcels to a gateway (RS-016 §Parcel delivery).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::BASE;
use crate::binding::Error;
use crate::binding::http::{Answer, Client, Request};
use crate::binding::retry::{RequestKind, SendOutcome};
use crate::kind::ErrorKind;
use crate::message::countersignature::{self, Purpose};
use crate::pki::{Certificate, IdentityKey};

/// The media type of a parcel, which deployed gateways compare octet by octet.
pub const PARCEL: &str = "application/vnd.awala.parcel";

/// The value of `Authorization` for a parcel: the scheme of deployed gateways, and the countersignature.
///
/// # Errors
/// When the system's random number generator fails.
pub fn authorization(
    parcel: &[u8],
    key: &IdentityKey,
    certificate: &Certificate,
) -> Result<String, Error> {
    let signature = countersignature::sign(Purpose::Delivery, parcel, key, certificate)?;
    Ok(format!(
        "Relaynet-Countersignature {}",
        STANDARD.encode(signature)
    ))
}

/// The answer of a server to a parcel.
#[derive(Debug)]
pub enum DeliveryAnswer {
    /// It has the parcel.
    Accepted(Answer),
    /// It will never take this parcel, and says why.
    Refused(Error),
}

/// Delivers a parcel with its [`authorization`].
///
/// # Errors
/// When there is no answer, or one after which the parcel is to be tried again.
pub fn deliver(
    client: &Client,
    parcel: &[u8],
    authorization: &str,
) -> Result<DeliveryAnswer, Error> {
    let path = format!("{BASE}/parcels");
    let request = Request {
        authorization: Some(authorization),
        ..Request::post(&path, PARCEL, parcel)
    };
    // What a gateway says of a parcel that it took is of no use, however long it is, or if it is cut.
    let answer = client.send(&request, 0)?;
    judge(answer, RequestKind::Delivery, client)
}

/// What an answer says of the parcel that was sent.
///
/// # Errors
/// When the parcel is to be tried again.
pub fn judge(answer: Answer, kind: RequestKind, client: &Client) -> Result<DeliveryAnswer, Error> {
    match SendOutcome::of_status(kind, answer.status) {
        SendOutcome::Accepted => Ok(DeliveryAnswer::Accepted(answer)),
        SendOutcome::RefusedForGood => Ok(DeliveryAnswer::Refused(
            answer.into_error(client.server(), ErrorKind::Refused),
        )),
        SendOutcome::Later(kind) => Err(answer.into_error(client.server(), kind)),
    }
}
