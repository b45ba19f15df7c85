//! Delivery of parcels to a gateway (RS-016 §Parcel delivery).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{BASE, unauthenticated};
use crate::binding::Error;
use crate::binding::http::{Client, Request};
use crate::binding::parcel_answer::{PARCEL, ParcelAnswer};
use crate::binding::retry::RequestKind;
use crate::message::countersignature::{self, Purpose};
use crate::pki::{Certificate, IdentityKey};

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

/// Delivers a parcel with its [`authorization`].
///
/// # Errors
/// When there is no answer, or one after which the parcel is to be tried again.
pub fn deliver(client: &Client, parcel: &[u8], authorization: &str) -> Result<ParcelAnswer, Error> {
    let path = format!("{BASE}/parcels");
    let request = Request {
        authorization: Some(authorization),
        ..Request::post(&path, PARCEL, parcel)
    };
    // What a gateway says of a parcel that it took is of no use, however long it is, or if it is cut.
    let answer = client.send(&request, 0)?;
    ParcelAnswer::of(answer, RequestKind::Delivery, client.server()).map_err(unauthenticated)
}
