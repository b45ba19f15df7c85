//! Promised registrations: which nodes a gateway promises to register when they ask, the request of a node, and its
//! check by the gateway.

use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;

use super::errors::{LeakedKey, Usage};
use super::{args, inputs, report};
use crate::message::Object;
use crate::message::registration::{RegistrationAuthorization, RegistrationRequest};
use crate::node::config::RegistrationSetting;
use crate::node::{self, Directory, Keyring as _, registrations, welcome};
use crate::pki::PublicKey;

/// Lets a node be registered online when it asks for it.
///
/// # Errors
/// When the operand is neither an id, a known peer nor an object with an identity key, is this node itself, or this node
/// is no gateway or cannot be changed.
pub fn allow(node: &Directory, peer: Option<&Path>) -> anyhow::Result<()> {
    node.check_is_gateway()?;
    let id = args::peer_id(peer, node)?;
    if id == node.id() {
        return Err(Usage("a node cannot register itself".to_owned()).into());
    }
    // The lock is taken after the input is read, so that a slow pipe does not block other programs.
    let _lock = node.lock_exclusive()?;
    welcome::allow(node, id)?;
    report::note(&format!("fingerprint {}", id.fingerprint()));
    let others = match node.config().registration() {
        RegistrationSetting::Known => return Ok(()),
        RegistrationSetting::Closed => "no other nodes than those it has registered",
        RegistrationSetting::Local => "all nodes that ask from a private address, and no others",
        RegistrationSetting::Open => "all nodes that ask",
    };
    report::warn_with(
        &format!("by the config of this gateway, relay-serve registers {others}"),
        "registration = known in the config admits the nodes that were allowed",
    );
    Ok(())
}

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
