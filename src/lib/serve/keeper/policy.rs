//! Who may be registered online, and how often.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use crate::pki::NodeId;
use crate::serve::Error;
use crate::serve::blocks::{host_of, site_of};

/// The registrations that an address of IPv4, or a /64, may begin in an hour.
const OF_ADDRESS: usize = 10;
const ADDRESS_WINDOW: Duration = Duration::from_secs(3600);

/// The registrations that all may begin in a minute.
const OF_ALL: usize = 60;
const ALL_WINDOW: Duration = Duration::from_secs(60);

/// The addresses that are remembered. With more of them, the limit of all is the narrower one.
const ADDRESSES: usize = 10_000;

/// Reads the ids of the nodes that the operator allows.
pub type KnownNodes = Box<dyn Fn() -> Result<Vec<NodeId>, Error> + Sync>;

/// Who may be registered online. A node that is registered already may renew its registration under each of them.
pub enum RegistrationPolicy {
    /// Nobody.
    Closed,
    /// The nodes that the operator allows, which are read each time.
    Known(KnownNodes),
    /// Who has a private address.
    Local,
    /// Anybody.
    Open,
}

impl fmt::Debug for RegistrationPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Closed => "Closed",
            Self::Known(_) => "Known",
            Self::Local => "Local",
            Self::Open => "Open",
        })
    }
}

/// How many registrations were begun lately. Loopback has no limit: its users share one address.
#[derive(Debug, Default)]
pub struct RegistrationFlow {
    by_address: HashMap<IpAddr, VecDeque<Instant>>,
    all: VecDeque<Instant>,
}

impl RegistrationFlow {
    /// Whether one more may begin from this address now; if so it is counted.
    pub fn admits(&mut self, peer: IpAddr, now: Instant) -> bool {
        let peer = peer.to_canonical();
        if peer.is_loopback() {
            return true;
        }
        drop_before(&mut self.all, now, ALL_WINDOW);
        if self.all.len() >= OF_ALL {
            return false;
        }
        if self.by_address.len() >= ADDRESSES {
            self.by_address.retain(|_, begun| {
                drop_before(begun, now, ADDRESS_WINDOW);
                !begun.is_empty()
            });
            if self.by_address.len() >= ADDRESSES {
                return false;
            }
        }
        let begun = self.by_address.entry(host_of(peer)).or_default();
        drop_before(begun, now, ADDRESS_WINDOW);
        if begun.len() >= OF_ADDRESS {
            return false;
        }
        begun.push_back(now);
        self.all.push_back(now);
        true
    }
}

fn drop_before(begun: &mut VecDeque<Instant>, now: Instant, window: Duration) {
    while begun
        .front()
        .is_some_and(|at| now.duration_since(*at) >= window)
    {
        begun.pop_front();
    }
}

/// An address as it may stand in a log: without the part that tells machines of one network apart.
#[must_use]
pub fn shortened(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{}/24", Ipv4Addr::new(a, b, c, 0))
        }
        IpAddr::V6(address) => format!("{}/48", site_of(address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_begins_ten_an_hour() {
        let mut flow = RegistrationFlow::default();
        let start = Instant::now();
        let later = |minutes: u64| start + Duration::from_secs(60 * minutes);
        for minute in 0..10 {
            assert!(flow.admits(ip("192.0.2.1"), later(minute)));
        }
        assert!(!flow.admits(ip("::ffff:192.0.2.1"), later(10)));
        assert!(flow.admits(ip("192.0.2.2"), later(10)));
        assert!(flow.admits(ip("192.0.2.1"), later(60)));
        assert!(!flow.admits(ip("192.0.2.1"), later(60)));
        for host in 0..10 {
            assert!(flow.admits(ip(&format!("2001:db8::{host}")), later(70)));
        }
        assert!(!flow.admits(ip("2001:db8::ffff:1"), later(70)));
        assert!(flow.admits(ip("2001:db8:0:1::1"), later(70)));
    }

    #[test]
    fn all_begin_sixty_a_minute() {
        let mut flow = RegistrationFlow::default();
        let now = Instant::now();
        let admitted = (0..200).filter(|host| flow.admits(ip(&format!("192.0.2.{host}")), now));
        assert_eq!(admitted.count(), 60);
        assert!((0..100).all(|_| flow.admits(ip("127.0.0.1"), now)));
        assert!(flow.admits(ip("192.0.2.250"), now + ALL_WINDOW));
    }

    #[test]
    fn a_log_names_networks() {
        assert_eq!(shortened(ip("192.0.2.77")), "192.0.2.0/24");
        assert_eq!(shortened(ip("2001:db8:7:8::9")), "2001:db8:7::/48");
    }
}
