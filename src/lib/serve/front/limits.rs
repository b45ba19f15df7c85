//! How much of a server one peer may take.
//!
//! Until a client has shown which node it is, it counts for its address; from then on for that node. Addresses of IPv6
//! count by /64, of which a customer has many, so the /48 has a limit of its own. Loopback is exempt: who may connect from
//! there may do worse.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use crate::pipeline::mutex::lock;
use crate::serve::blocks::{host_of, site_of};

/// The connections of an address that have not shown a node.
pub(super) const CONNECTIONS_OF_ADDRESS: u32 = 8;

/// The bodies that an address sends at once.
pub(super) const BODIES_OF_ADDRESS: u32 = 2;

/// The bodies that a registered node sends at once.
pub(super) const BODIES_OF_NODE: u32 = 4;

/// How many times the limits of a /64 a /48 has.
const SUBNETS: u32 = 8;

/// What something is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Account {
    /// A registered node.
    Node([u8; 32]),
    /// One address of IPv4, or a /64.
    Host(IpAddr),
    /// A /48.
    Site(Ipv6Addr),
}

/// Counts what each address or node holds, up to a limit.
#[derive(Debug)]
pub(super) struct PeerLimit {
    most: u32,
    held: Mutex<HashMap<Account, u32>>,
}

/// Something that a peer holds, until it is dropped.
#[derive(Debug)]
pub(super) struct PeerHold {
    limit: Arc<PeerLimit>,
    accounts: Vec<Account>,
}

impl PeerLimit {
    /// At most so many for each.
    #[must_use]
    pub(super) fn new(most: u32) -> Arc<Self> {
        Arc::new(Self {
            most,
            held: Mutex::default(),
        })
    }

    /// One more for this address; `None` if it has its share.
    #[must_use]
    pub(super) fn hold(self: &Arc<Self>, address: IpAddr) -> Option<PeerHold> {
        self.hold_for(accounts_of(address))
    }

    /// One more for this node; `None` if it has its share.
    #[must_use]
    pub(super) fn hold_of_node(self: &Arc<Self>, node: [u8; 32]) -> Option<PeerHold> {
        self.hold_for(vec![Account::Node(node)])
    }

    fn hold_for(self: &Arc<Self>, accounts: Vec<Account>) -> Option<PeerHold> {
        let mut held = lock(&self.held);
        let is_full = |account: &Account| {
            let most = match account {
                Account::Node(_) | Account::Host(_) => self.most,
                Account::Site(_) => self.most.saturating_mul(SUBNETS),
            };
            held.get(account).is_some_and(|count| *count >= most)
        };
        if accounts.iter().any(is_full) {
            return None;
        }
        for account in &accounts {
            *held.entry(*account).or_default() += 1;
        }
        Some(PeerHold {
            limit: Arc::clone(self),
            accounts,
        })
    }
}

impl Drop for PeerHold {
    fn drop(&mut self) {
        let mut held = lock(&self.limit.held);
        for account in &self.accounts {
            if let Some(count) = held.get_mut(account) {
                *count -= 1;
                if *count == 0 {
                    held.remove(account);
                }
            }
        }
    }
}

/// What an address counts for; nothing for loopback.
fn accounts_of(address: IpAddr) -> Vec<Account> {
    match address.to_canonical() {
        address if address.is_loopback() => Vec::new(),
        IpAddr::V4(address) => vec![Account::Host(address.into())],
        IpAddr::V6(address) => vec![
            Account::Host(host_of(address.into())),
            Account::Site(site_of(address)),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_share() {
        let limit = PeerLimit::new(2);
        let held: Vec<_> = (0..2)
            .map(|_| limit.hold(ip("192.0.2.1")).unwrap())
            .collect();
        assert!(limit.hold(ip("192.0.2.1")).is_none());
        assert!(limit.hold(ip("::ffff:192.0.2.1")).is_none());
        let other = limit.hold(ip("192.0.2.2")).unwrap();
        drop(held);
        assert!(limit.hold(ip("192.0.2.1")).is_some());
        drop(other);
        assert!(
            lock(&limit.held).is_empty(),
            "what nobody holds is forgotten"
        );
    }

    #[test]
    fn a_customer_with_many_subnets_has_a_limit_too() {
        let limit = PeerLimit::new(2);
        let of = |subnet: u32| limit.hold(ip(&format!("2001:db8:1:{subnet:x}::1")));
        let mut held: Vec<_> = (0..2).map(|_| of(0).unwrap()).collect();
        assert!(limit.hold(ip("2001:db8:1:0:ffff::2")).is_none());
        held.extend((1..8).flat_map(|subnet| [of(subnet).unwrap(), of(subnet).unwrap()]));
        assert!(of(9).is_none());
        assert!(limit.hold(ip("2001:db8:2::1")).is_some());
        held.clear();
        assert!(of(9).is_some());
    }

    #[test]
    fn a_node_has_its_share_wherever_it_is() {
        let limit = PeerLimit::new(1);
        let held = limit.hold_of_node([1; 32]).unwrap();
        assert!(limit.hold_of_node([1; 32]).is_none());
        assert!(limit.hold_of_node([2; 32]).is_some());
        drop(held);
        assert!(limit.hold_of_node([1; 32]).is_some());
    }

    #[test]
    fn loopback_is_exempt() {
        let limit = PeerLimit::new(1);
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            let held: Vec<_> = (0..3).map(|_| limit.hold(ip(address))).collect();
            assert!(held.iter().all(Option::is_some), "{address}");
        }
    }
}
