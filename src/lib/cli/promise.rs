//! Promised registrations: the request of a node, and its check by the gateway.

use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;

use super::errors::{LeakedKey, Usage};
use super::{inputs, report};
use crate::message::Object;
use crate::message::registration::{RegistrationAuthorization, RegistrationRequest};
use crate::node::{self, Directory, Keyring as _, registrations};
use crate::pki::PublicKey;

/// Reads a gateway's promise to register this node, and signs the request that answers it.
///
/// # Errors
/// When the promise cannot be read, is something else, or has expired.
pub fn request(
    node: &Directory,
    path: &Path,
    now: Timestamp,
) -> anyhow::Result<RegistrationRequest> {
    let name = || report::path(path);
    let object = Object::parse(&inputs::read_whole(path)?).with_context(name)?;
    let Object::RegistrationAuthorization(authorization) = &object else {
        return Err(not_a("registration authorization", path, &object));
    };
    if authorization.expiry < now {
        let over = node::Error::Authorization(node::AuthorizationError::PromiseExpired(
            authorization.expiry,
        ));
        return Err(anyhow::Error::new(over).context(name()));
    }
    warn_of_another_node(node, authorization);
    Ok(RegistrationRequest::sign(
        &node.identity()?,
        &authorization.to_der(),
    )?)
}

/// Reads and checks a request that answers a promise of this gateway. Returns the key of the node
/// to register.
///
/// # Errors
/// When it cannot be read, is something else, or answers no valid promise of this gateway.
pub fn requested_key(node: &Directory, path: &Path, now: Timestamp) -> anyhow::Result<PublicKey> {
    let name = || report::path(path);
    let request = match Object::parse(&inputs::read_whole(path)?).with_context(name)? {
        Object::RegistrationRequest(request) => request,
        other => return Err(not_a("registration request", path, &other)),
    };
    registrations::check_request(node, &request, now).with_context(name)?;
    Ok(request.node)
}

/// Only a warning: `gateway_data` is opaque to the node; deployed gateways put the digest of the
/// node's key there.
fn warn_of_another_node(node: &Directory, authorization: &RegistrationAuthorization) {
    if !authorization.is_for(node.public()) {
        report::warn(
            "the authorization does not name this node; its gateway may refuse the request",
        );
    }
}

fn not_a(expected: &str, path: &Path, found: &Object) -> anyhow::Error {
    if let Object::PrivateIdentityKey(_) | Object::PrivateSessionKey(..) = found {
        return anyhow::Error::new(LeakedKey).context(report::path(path));
    }
    let found = found.phrase();
    Usage(format!(
        "{}: a {expected} is needed, not {found}",
        report::path(path)
    ))
    .into()
}
