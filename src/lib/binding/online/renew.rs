//! The registration with a gateway is renewed while it can be reached (RS-016 §Private node registration).

use jiff::{SignedDuration, Timestamp};

use super::registration::Registered;
use crate::binding::Error;
use crate::binding::http::Client;
use crate::binding::poweb::register;
use crate::node::Directory;
use crate::node::import::Options;
use crate::pki::Window;
use crate::pki::issuance;
use crate::upkeep::due::{Lifetime, next_end};

/// How often a renewal is tried that fails.
const TRY_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// Whether a registration is to be renewed now: from the middle of its life on, at most once a day. `tried` is when it
/// was tried last.
#[must_use]
pub fn is_due(registered: &Registered, tried: Option<Timestamp>, now: Timestamp) -> bool {
    let certificate = &registered.certificate;
    let life = Lifetime::from((certificate.not_before(), certificate.not_after()));
    let was_tried = tried.is_some_and(|tried| now.duration_since(tried).abs() < TRY_EVERY);
    life.is_due(next_end(now, issuance::MAX_LIFE, None), now) && !was_tried
}

/// Registers this node anew with the gateway that it is registered with, and stores the certificate. Returns when it
/// ends.
///
/// # Errors
/// When the gateway refuses, another one answers in its place, or the registration cannot be stored.
pub fn renew(
    node: &Directory,
    registered: &Registered,
    client: &Client,
    window: Window,
    now: Timestamp,
) -> Result<Timestamp, Error> {
    let (registration, octets) = register::register(client, &registered.key)?;
    if registration.gateway.id() != registered.gateway {
        return Err(Error::Protocol {
            server: client.server().to_string(),
            problem: format!(
                "the registration is by {}, another gateway",
                registration.gateway.id()
            ),
        });
    }
    if registration.node.not_after() <= registered.certificate.not_after() {
        return Err(Error::Protocol {
            server: client.server().to_string(),
            problem: format!(
                "the new one ends at {}, no later",
                registration.node.not_after()
            ),
        });
    }
    let _lock = node.lock_exclusive()?;
    node.import(
        &octets,
        &Options {
            name: None,
            replace: false,
            expected: None,
            // The certificate shows that it is the gateway, and nothing signs the session key beside it: that is believed
            // as at the first registration.
            vouched: false,
            is_local: false,
            one_way: false,
            now,
            window,
        },
    )?;
    Ok(registration.node.not_after())
}
