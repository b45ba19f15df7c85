//! Registrations that are asked for online (RS-016 §Registration), and the parameters of this node.

use std::net::IpAddr;
use std::time::Instant;

use jiff::SignedDuration;

use super::context::{KeeperContext, KeeperEvent};
use super::newcomers::Newcomers;
use super::policy::{RegistrationFlow, RegistrationPolicy};
use crate::asn1::hex;
use crate::binding::server::is_private;
use crate::kind::ErrorKind;
use crate::message::NodeConnectionParams;
use crate::message::registration::{RegistrationAuthorization, RegistrationRequest};
use crate::node::registrations::{self, RegistrationOptions};
use crate::node::{self, AuthorizationError, Keyring as _};
use crate::pki::{NodeId, issuance};
use crate::serve::Error;
use crate::serve::outbox::Outbox;
use crate::serve::protocol::{CallId, ServeVerdict};

/// How long a promise to register a node holds, as deployed gateways have it.
const PROMISE: SignedDuration = SignedDuration::from_secs(10);

/// A question about registration.
pub(super) enum DeskCall {
    /// The digest of a key, to be promised a registration.
    Promise {
        /// Its number.
        call: CallId,
        /// Who asks.
        peer: IpAddr,
        /// The digest, as it was sent.
        digest: Vec<u8>,
    },
    /// A request, to be registered as promised.
    Request {
        /// Its number.
        call: CallId,
        /// Who asks.
        peer: IpAddr,
        /// The request.
        octets: Vec<u8>,
    },
    /// The parameters of this node.
    Parameters(CallId),
}

/// Registers nodes.
pub(super) struct Desk<'a> {
    context: &'a KeeperContext<'a>,
    outbox: &'a Outbox<'a>,
    newcomers: &'a Newcomers<'a>,
    flow: RegistrationFlow,
}

impl<'a> Desk<'a> {
    /// Registers nodes by the policy of the context.
    pub(super) fn new(
        context: &'a KeeperContext<'a>,
        outbox: &'a Outbox<'a>,
        newcomers: &'a Newcomers<'a>,
    ) -> Self {
        Self {
            context,
            outbox,
            newcomers,
            flow: RegistrationFlow::default(),
        }
    }

    /// Answers a question. Returns the node that was registered, if one was.
    pub(super) fn answer(&mut self, call: DeskCall) -> Option<NodeId> {
        let mut registered = None;
        let (call, peer, result) = match call {
            DeskCall::Promise { call, peer, digest } => {
                (call, Some(peer), self.promise(peer, &digest))
            }
            DeskCall::Request { call, peer, octets } => {
                let result = self.register(peer, &octets).map(|(id, object)| {
                    registered = Some(id);
                    object
                });
                (call, Some(peer), result)
            }
            DeskCall::Parameters(call) => (call, None, self.parameters()),
        };
        match result {
            Ok(object) => self.outbox.answer(call, ServeVerdict::Done, &object),
            Err(verdict) => {
                let told = verdict.clone();
                (self.context.report)(KeeperEvent::Refused { verdict, peer });
                self.outbox.answer(call, told, &[]);
            }
        }
        registered
    }

    fn failed(&self, error: Error) -> ServeVerdict {
        self.context.failed(error, "it cannot be done now")
    }

    /// Whether a node is registered: it renews its registration, whatever the policy and the limits for others are.
    fn is_registered(&self, node: NodeId) -> Result<bool, ServeVerdict> {
        let known = registrations::is_registered(self.context.spool.owner(), node);
        known.map_err(|error| self.failed(error.into()))
    }

    /// Whether this gateway would register a new node that asks from this address.
    fn admits(&self, node: NodeId, peer: IpAddr) -> Result<(), ServeVerdict> {
        let is_welcome = match &self.context.registration {
            RegistrationPolicy::Closed => false,
            RegistrationPolicy::Known(known) => {
                let ids = known().map_err(|error| self.failed(error))?;
                ids.contains(&node)
            }
            RegistrationPolicy::Local => is_private(peer),
            RegistrationPolicy::Open => true,
        };
        if !is_welcome {
            let text = "this gateway does not register this node".to_owned();
            return Err(ServeVerdict::Refused(text));
        }
        let owner = self.context.spool.owner();
        let Some(most) = owner.config().max_peers() else {
            return Ok(());
        };
        let count = owner.count_peers();
        let count = count.map_err(|error| self.failed(error.into()))?;
        if count as u64 >= most {
            let text = "this gateway has as many nodes as it may".to_owned();
            return Err(ServeVerdict::Full(text));
        }
        Ok(())
    }

    /// A registration has dates, which a clock that may be wrong would make wrong for months.
    fn check_clock(&self) -> Result<(), ServeVerdict> {
        let (time, _) = (self.context.clock)().map_err(|error| self.failed(error))?;
        if time.is_believed() {
            return Ok(());
        }
        let text = "the clock of this server may be wrong".to_owned();
        Err(ServeVerdict::Busy(text))
    }

    fn promise(&mut self, peer: IpAddr, digest: &[u8]) -> Result<Vec<u8>, ServeVerdict> {
        let node = parse_digest(digest).ok_or_else(|| {
            ServeVerdict::Malformed("it is not a SHA-256 in 64 hexadecimal digits".to_owned())
        })?;
        if !self.is_registered(node)? {
            // A flood of new ones keeps no node from renewing its registration.
            if !self.flow.admits(peer, Instant::now()) {
                return Err(ServeVerdict::Busy("too many registrations".to_owned()));
            }
            self.admits(node, peer)?;
        }
        self.check_clock()?;
        let owner = self.context.spool.owner();
        let signed = (self.context.clock)().and_then(|(time, _)| {
            let expiry = time.told + PROMISE;
            let key = owner.identity()?;
            Ok(RegistrationAuthorization::sign_for(
                &key,
                node.digest(),
                expiry,
            )?)
        });
        let signed = signed.map_err(|error| self.failed(error))?;
        Ok(signed.to_der())
    }

    fn register(&mut self, peer: IpAddr, octets: &[u8]) -> Result<(NodeId, Vec<u8>), ServeVerdict> {
        let request = RegistrationRequest::parse(octets)
            .map_err(|error| ServeVerdict::Malformed(error.to_string()))?;
        let owner = self.context.spool.owner();
        let (time, _) = (self.context.clock)().map_err(|error| self.failed(error))?;
        registrations::check_request(owner, &request, time.told).map_err(|error| match error {
            node::Error::Authorization(AuthorizationError::ForeignPromise) => {
                ServeVerdict::Refused(error.to_string())
            }
            error if error.kind() == ErrorKind::Io => self.failed(error.into()),
            error => ServeVerdict::Malformed(error.to_string()),
        })?;
        let id = request.node.id();
        if !self.is_registered(id)? {
            self.admits(id, peer)?;
        }
        self.check_clock()?;
        let given = self.give(&request, time.told);
        let given = given.map_err(|error| self.failed(error))?;
        let until = given.registration.node.not_after();
        (self.context.report)(KeeperEvent::Registered { node: id, until });
        Ok((id, given.registration.to_der()))
    }

    fn give(
        &self,
        request: &RegistrationRequest,
        now: jiff::Timestamp,
    ) -> Result<registrations::IssuedRegistration, Error> {
        let owner = self.context.spool.owner();
        let _lock = owner.lock_exclusive()?;
        let options = RegistrationOptions {
            now,
            valid_for: issuance::MAX_LIFE,
            node_type: None,
        };
        let id = request.node.id();
        // A person, or a message, has brought others; nothing of those is dropped.
        let is_newcomer = matches!(self.context.registration, RegistrationPolicy::Open)
            && owner.peer(id)?.is_none();
        let given = registrations::give(owner, &request.node, &options)?;
        if is_newcomer {
            self.newcomers.add(id, now)?;
        }
        Ok(given)
    }

    fn parameters(&self) -> Result<Vec<u8>, ServeVerdict> {
        let owner = self.context.spool.owner();
        let Some(address) = owner.config().address() else {
            let text = "this node has no Internet address".to_owned();
            return Err(ServeVerdict::Refused(text));
        };
        let made = (self.context.clock)().and_then(|(time, _)| {
            let _lock = owner.lock_exclusive()?;
            let key = owner.unbound_session_key(time.told)?;
            Ok(NodeConnectionParams {
                address,
                identity: owner.public().clone(),
                session_key: key.public().clone(),
            })
        });
        let made = made.map_err(|error| self.failed(error))?;
        Ok(made.to_der())
    }
}

/// The node whose key has this digest.
fn parse_digest(text: &[u8]) -> Option<NodeId> {
    let digest = hex::parse(std::str::from_utf8(text).ok()?)?;
    Some(NodeId::of_digest(digest.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_64_digits() {
        let digits = "0123456789abcdefABCDEF00".repeat(3)[..64].to_owned();
        let id = parse_digest(digits.as_bytes()).unwrap();
        assert_eq!(id.digest()[..4], [0x01, 0x23, 0x45, 0x67]);
        for wrong in [
            "",
            &digits[1..],
            &format!("{digits}\n"),
            &"+1".repeat(32),
            &"é".repeat(32),
        ] {
            assert!(parse_digest(wrong.as_bytes()).is_none(), "{wrong}");
        }
        assert!(parse_digest(&[0xff; 64]).is_none());
    }
}
