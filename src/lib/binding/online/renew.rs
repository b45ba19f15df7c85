//! The registration with a gateway is renewed while it can be reached (RS-016 §Private node registration).

use jiff::{SignedDuration, Timestamp};

use super::registration::Registered;
use crate::binding::Error;
use crate::binding::http::Client;
use crate::binding::poweb::register;
use crate::message::Registration;
use crate::node::import::Options;
use crate::node::peers::StoredSessionKey;
use crate::node::{self, Directory, NodeType};
use crate::pki::{NodeId, Window, issuance};
use crate::session::PublicSessionKey;
use crate::upkeep::due::{Lifetime, next_end};

/// How often a renewal is tried that fails.
const TRY_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// Whether a registration is to be renewed now: from the middle of its life on, or when no cargo can be sealed any more
/// because the session key that came with it has ended; at most once a day. `tried` is when it was tried last.
///
/// # Errors
/// When the session key cannot be read.
pub fn is_due(
    node: &Directory,
    registered: &Registered,
    tried: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, node::Error> {
    let was_tried = tried.is_some_and(|tried| now.duration_since(tried).abs() < TRY_EVERY);
    if was_tried {
        return Ok(false);
    }
    let certificate = &registered.certificate;
    let life = Lifetime::from((certificate.not_before(), certificate.not_after()));
    let is_old = life.is_due(next_end(now, issuance::MAX_LIFE, None), now);
    Ok(is_old || is_keyless(node, registered.gateway, now)?)
}

/// Whether a session key of the gateway is known here and has ended.
fn is_keyless(node: &Directory, gateway: NodeId, now: Timestamp) -> Result<bool, node::Error> {
    // Endpoints seal nothing to their gateways.
    if node.config().node_type() != NodeType::Gateway {
        return Ok(false);
    }
    let known = node.session_key_of(gateway)?;
    Ok(known.is_some_and(|known| has_ended(&known, now)))
}

fn has_ended(known: &StoredSessionKey, now: Timestamp) -> bool {
    known.sealed_until.is_some_and(|until| until < now)
}

/// Whether the session key of a renewal is to be stored. Nothing signs it: a server that
/// ends TLS in the gateway's place could offer its own key, and read the cargo that goes by stick later. So it never
/// replaces a key that is in use, least of all one that came in signed cargo. One that has ended is of no use, and then
/// the new one is believed as at the first registration.
fn is_believed(
    offered: &PublicSessionKey,
    known: Option<&StoredSessionKey>,
    now: Timestamp,
) -> bool {
    match known {
        None => true,
        // The same key, which is used for longer; that of a message has no end.
        Some(known) if known.key == *offered => known.sealed_until.is_some(),
        Some(known) => has_ended(known, now),
    }
}

/// Registers this node anew with the gateway that it is registered with, and stores the certificate, and the session key
/// only where that is in place of none or of one that has ended. Returns when the certificate ends.
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
    let (registration, _) = register::register(client, &registered.key)?;
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
    let known = node.session_key_of(registered.gateway)?;
    let registration = Registration {
        session_key: registration
            .session_key
            .filter(|offered| is_believed(offered, known.as_ref(), now)),
        ..registration
    };
    node.import(
        &registration.to_der(),
        &Options {
            name: None,
            replace: false,
            expected: None,
            vouched: false,
            is_local: false,
            one_way: false,
            now,
            window,
        },
    )?;
    Ok(registration.node.not_after())
}
