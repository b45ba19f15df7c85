//! Blocks of addresses that one customer of a provider has: what limits count for, and what logs show.

use std::net::{IpAddr, Ipv6Addr};

/// What a limit counts for: an address of IPv4, or a /64 of IPv6, of which a customer has at least one.
#[must_use]
pub(super) fn host_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// The /48 of an address: the most that a customer usually has.
#[must_use]
pub(super) fn site_of(address: Ipv6Addr) -> Ipv6Addr {
    let [a, b, c, ..] = address.segments();
    Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_has_a_block() {
        let host = |text: &str| host_of(text.parse().unwrap()).to_string();
        assert_eq!(host("192.0.2.1"), "192.0.2.1");
        assert_eq!(host("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(host("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        let site = site_of("2001:db8:1:2:3:4:5:6".parse().unwrap());
        assert_eq!(site.to_string(), "2001:db8:1::");
    }
}
