//! The gateway of the network that this machine is in: a courier's phone is one.

use std::net::Ipv4Addr;
use std::path::Path;

use crate::disk::{FileRole, files};

/// The table of routes of the system (`proc(5)`).
pub const SYSTEM: &str = "/proc/net/route";

/// The longest table that is read, in octets.
const MAX_LEN: usize = 1 << 20;

/// A route that is up, and one that leads through a gateway (`RTF_UP` and `RTF_GATEWAY` in `linux/route.h`).
const IS_UP: u32 = 1;
const HAS_GATEWAY: u32 = 2;

/// The gateway of the default route, in this table; `None` without one, or where the system has no such table.
#[must_use]
pub fn gateway(table: &Path) -> Option<Ipv4Addr> {
    let octets = files::read(table, FileRole::Input, MAX_LEN).ok()?;
    gateway_in(&String::from_utf8_lossy(&octets))
}

/// The gateway of the default route with the lowest metric.
fn gateway_in(table: &str) -> Option<Ipv4Addr> {
    let routes = table.lines().skip(1).filter_map(|line| {
        // Iface, Destination, Gateway, Flags, RefCnt, Use, Metric, Mask; addresses in the order of this machine.
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, destination, gateway, flags, _, _, metric, mask, ..] = fields[..] else {
            return None;
        };
        let number = |text| u32::from_str_radix(text, 16).ok();
        let flags = number(flags)?;
        let is_default = number(destination)? == 0 && number(mask)? == 0;
        let is_usable = flags & IS_UP != 0 && flags & HAS_GATEWAY != 0;
        let gateway = Ipv4Addr::from(number(gateway)?.to_ne_bytes());
        let metric: u32 = metric.parse().ok()?;
        (is_default && is_usable).then_some((metric, gateway))
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, it)| it)
}

/// Whether a courier may be at an address: one of a private network (RFC 1918), as stock clients have it.
#[must_use]
pub fn is_of_courier(address: Ipv4Addr) -> bool {
    address.is_private()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

    fn found(lines: &[&str]) -> Option<Ipv4Addr> {
        gateway_in(&[HEAD, &lines.join("\n")].concat())
    }

    /// A line of the table for a gateway, as a machine of this byte order has it.
    fn route(gateway: [u8; 4], flags: &str, metric: u32) -> String {
        let gateway = u32::from_ne_bytes(gateway);
        format!("wlan0\t00000000\t{gateway:08X}\t{flags}\t0\t0\t{metric}\t00000000\t0\t0\t0")
    }

    #[test]
    fn the_default_route_with_the_lowest_metric_counts() {
        let near = route([192, 168, 43, 1], "0003", 600);
        let wire = route([10, 0, 0, 1], "0003", 100);
        let down = route([10, 0, 0, 9], "0002", 1);
        let alone = route([10, 0, 0, 8], "0001", 1);
        let lan = "wlan0\t002BA8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0";
        assert_eq!(found(&[lan, &near]), Some(Ipv4Addr::new(192, 168, 43, 1)));
        assert_eq!(
            found(&[&near, &wire, &down, &alone]),
            Some(Ipv4Addr::new(10, 0, 0, 1))
        );
        for none in [&[][..], &[lan], &[&down], &[&alone], &["x y z"]] {
            assert_eq!(found(none), None, "{none:?}");
        }
        assert_eq!(gateway_in(""), None);
        assert_eq!(gateway(Path::new("/nowhere/route")), None);
    }

    #[test]
    fn couriers_are_in_private_networks() {
        for courier in ["192.168.43.1", "10.1.2.3", "172.16.0.1"] {
            assert!(is_of_courier(courier.parse().unwrap()), "{courier}");
        }
        for other in [
            "9.9.9.9",
            "127.0.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "172.32.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ] {
            assert!(!is_of_courier(other.parse().unwrap()), "{other}");
        }
    }
}
