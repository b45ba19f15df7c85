//! Hints about errors of the wire.

use std::error::Error as StdError;
use std::io;

use rustix::io::Errno;

use super::escape;
use crate::binding::Error;
use crate::serve;

/// Gives the hint for an error of any floor.
type HintFor<'a> = &'a dyn Fn(&(dyn StdError + 'static)) -> Option<String>;

/// The hint, or that there is none, for an error of a client or a server; `None` for other errors. For an error that
/// another floor's is in, `hint_for` is asked.
#[allow(clippy::option_option)] // both have a meaning here
pub(super) fn hint_for_online(
    cause: &(dyn StdError + 'static),
    hint_for: HintFor<'_>,
) -> Option<Option<String>> {
    if let Some(error) = cause.downcast_ref::<Error>() {
        let own = || hint_for_binding(error);
        return Some(error.inner().map_or_else(own, hint_for));
    }
    let error = cause.downcast_ref::<serve::Error>()?;
    let own = || hint_for_serve(error).map(str::to_owned);
    Some(error.inner().map_or_else(own, hint_for))
}

fn hint_for_serve(error: &serve::Error) -> Option<&'static str> {
    match error {
        serve::Error::Listen { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
            Some(
                "a port below 1024 needs a socket from the service manager, or CAP_NET_BIND_SERVICE: relay-gateway(7)",
            )
        }
        serve::Error::Listen { cause, .. }
            if cause.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) =>
        {
            Some(
                "without IPv6, --listen 0.0.0.0:443; in its unit it needs its socket: relay-gateway(7)",
            )
        }
        serve::Error::Certificate { .. } => Some(
            "--cert has the server's certificate, then its issuers; --key the key of the first",
        ),
        _ => None,
    }
}

/// The hint for an error of the servers of this address.
pub(super) fn hint_for_address(error: &Error, address: &str) -> Option<String> {
    match error {
        Error::Unauthenticated { .. } => Some(enroll_again(address)),
        error => hint_for_binding(error),
    }
}

fn enroll_again(address: &str) -> String {
    let address = escape::escaped(address);
    format!(
        "if it has forgotten this node: relay-enroll {address} | relay-import registers it again"
    )
}

/// The hint for an error of the wire, if there is one. What another floor's error says is that floor's.
pub(super) fn hint_for_binding(error: &Error) -> Option<String> {
    match error {
        Error::NoServer(_) => Some("as in gw.example.org, 192.0.2.1:443 or [2001:db8::1]:443".to_owned()),
        Error::NoAddress(_) => Some("relay-peers --host HOST:PORT PEER says where it is".to_owned()),
        Error::NoResolver(_) => Some(
            "write resolver = URL into the node's config, as in https://9.9.9.9/dns-query: relay-node(5)".to_owned(),
        ),
        Error::Unresolved { .. } => Some(
            "if it goes on, try another resolver, or check this one: relay-node(5); HOST:PORT needs a name that has an address"
                .to_owned(),
        ),
        Error::NoService { .. } => Some("ask its operator which address it has".to_owned()),
        Error::PrivateAddress { .. } => {
            Some("--private allows it, where the network is one that you trust".to_owned())
        }
        Error::Certificate { .. } => Some(
            "--ca names another authority, relay-peers --host --pin a key; else the network may ask for a login first, or this clock be wrong"
                .to_owned(),
        ),
        Error::Unauthenticated { .. } => Some(enroll_again("ADDRESS")),
        Error::WrongRoutes => Some("relay-check names the line: relay-routes(5)".to_owned()),
        Error::Loop => Some("relay-route -n shows where messages go: relay-routes(5)".to_owned()),
        Error::Undecided { .. } => Some("online-when in the node's config names it: relay-node(5)".to_owned()),
        Error::NotForUs(_) | Error::Unrouted(_) | Error::Setting { .. }
        | Error::NoConnection { .. }
        | Error::Proxy { .. }
        | Error::Broken { .. }
        | Error::Silent { .. }
        | Error::Slow { .. }
        | Error::Answer { .. }
        | Error::Protocol { .. }
        | Error::Grpc { .. }
        | Error::Unacknowledged { .. }
        | Error::Closed { .. }
        | Error::Message(_)
        | Error::Node(_)
        | Error::Medium(_)
        | Error::Spool(_)
        | Error::Disk(_) => None,
    }
}
