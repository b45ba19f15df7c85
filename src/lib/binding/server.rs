//! Where a server is, and how its certificate is judged.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Error;
use crate::ramf::InternetAddress;

/// The port of a private gateway for programs on its own machine.
pub const LOCAL_PORT: u16 = 13276;

/// A server of a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where it is.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// How its certificate is judged.
    pub certificate: CertificateRule,
}

/// The host that a server runs on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A domain name, without a dot at its end, in lower case.
    Name(String),
    /// An address literal.
    Literal(IpAddr),
}

/// How the certificate of a server is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateRule {
    /// It has a path to a public authority and names the host.
    Public,
    /// Its key has this SHA-256 (of the `SubjectPublicKeyInfo`); the issuer does not matter.
    Pin([u8; 32]),
    /// It may be self-signed, if it names the address and is valid now: for private address literals that the
    /// operator gave.
    SelfSigned,
    /// Without TLS, so without a certificate: on loopback only.
    Plaintext,
}

impl Server {
    /// A server that the operator named: `host:port`, where an IPv6 address is in brackets. A private address
    /// literal may show a self-signed certificate; `pin` goes before that.
    ///
    /// # Errors
    /// [`Error::NoServer`] when the text has another form.
    pub fn named_by_operator(text: &str, pin: Option<[u8; 32]>) -> Result<Self, Error> {
        let malformed = || Error::NoServer(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(malformed)?;
        let host: Host = host.parse().map_err(|()| malformed())?;
        let is_number = port.bytes().all(|octet| octet.is_ascii_digit());
        let port = port.parse().ok().filter(|port| is_number && *port > 0);
        let certificate = match (&host, pin) {
            (_, Some(pin)) => CertificateRule::Pin(pin),
            (Host::Literal(address), None) if is_private(*address) => CertificateRule::SelfSigned,
            _ => CertificateRule::Public,
        };
        Ok(Self {
            host,
            port: port.ok_or_else(malformed)?,
            certificate,
        })
    }

    /// The server as `Host` names it (RFC 9110 §7.2): without the port that its scheme has anyway, since deployed
    /// front ends compare it with their names.
    #[must_use]
    pub fn authority(&self) -> String {
        let usual = match self.certificate {
            CertificateRule::Plaintext => 80,
            _ => 443,
        };
        if self.port == usual {
            self.host.to_string()
        } else {
            self.to_string()
        }
    }

    /// The private gateway on this machine (RS-016 §Local): without TLS.
    #[must_use]
    pub fn local(port: u16) -> Self {
        Self {
            host: Host::Literal(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port,
            certificate: CertificateRule::Plaintext,
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Host {
    /// As in a URL: an IPv6 address is in brackets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Literal(IpAddr::V4(address)) => write!(formatter, "{address}"),
            Self::Literal(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}

impl std::str::FromStr for Host {
    type Err = ();

    /// Parses a domain name or an address literal, as in a URL.
    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some(inner) = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            let address: Ipv6Addr = inner.parse().map_err(|_| ())?;
            return Ok(Self::Literal(IpAddr::V6(address)));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Literal(IpAddr::V4(address)));
        }
        // A name of one label stands in /etc/hosts.
        let is_plain = !text.is_empty()
            && !text.starts_with('-')
            && text
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
            && text.bytes().any(|octet| octet.is_ascii_alphabetic());
        let name = text.parse::<InternetAddress>();
        if is_plain || name.is_ok() {
            let name = text.strip_suffix('.').unwrap_or(text);
            return Ok(Self::Name(name.to_ascii_lowercase()));
        }
        Err(())
    }
}

/// Whether an address is one that only machines near this one have: loopback, private, link-local, shared
/// (RFC 6598), unique local, unspecified, multicast or broadcast. An IPv4 address within IPv6 counts as itself.
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => {
            let segments = address.segments();
            // Mapped (::ffff:0:0/96), compatible (::/96), and translated by NAT64 (64:ff9b::/96) or 6to4 (2002::/16).
            let within = match segments {
                [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
                | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
                | [0x2002, high, low, ..] => Some((high, low)),
                _ => None,
            };
            let within =
                within.map(|(high, low)| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                // Site-local, deprecated by RFC 3879, and still private.
                || segments[0] & 0xffc0 == 0xfec0
                || within.is_some_and(is_private_v4)
        }
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 0
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || (first == 100 && (64..128).contains(&second))
        // RFC 2544, for benchmarks between devices of one network.
        || (first == 198 && (second == 18 || second == 19))
        || first >= 240
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_names_a_host_and_a_port() {
        let parsed = |text: &str| Server::named_by_operator(text, None).unwrap();
        let name = parsed("Gw.Example.org.:8443");
        assert_eq!(name.to_string(), "gw.example.org:8443");
        assert_eq!(name.certificate, CertificateRule::Public);
        assert_eq!(parsed("[::1]:443").to_string(), "[::1]:443");
        for private in ["[::1]:443", "10.1.2.3:1", "127.0.0.1:8443", "[fe80::1]:9"] {
            assert_eq!(
                parsed(private).certificate,
                CertificateRule::SelfSigned,
                "{private}"
            );
        }
        for public in ["9.9.9.9:443", "[2606:4700::1]:443", "localhost:8443"] {
            assert_eq!(
                parsed(public).certificate,
                CertificateRule::Public,
                "{public}"
            );
        }
        let pinned = Server::named_by_operator("10.1.2.3:1", Some([7; 32])).unwrap();
        assert_eq!(pinned.certificate, CertificateRule::Pin([7; 32]));
        assert_eq!(parsed("gw.example.org:443").authority(), "gw.example.org");
        assert_eq!(parsed("[::1]:8443").authority(), "[::1]:8443");
        for bad in [
            "",
            "gw.example.org",
            "gw.example.org:",
            "gw.example.org:0",
            "gw.example.org:65536",
            "gw.example.org:+1",
            "::1:443",
            "[::1]",
            "[1.2.3.4]:1",
            "a b:1",
            "https://a.org:1",
            "a/b:1",
            "1.2.3:80",
            "-a:1",
        ] {
            assert!(Server::named_by_operator(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn private_addresses_are_known_in_every_form() {
        for private in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "fec0::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
        ] {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in [
            "9.9.9.9",
            "172.32.0.1",
            "172.15.0.1",
            "192.169.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "2606:4700::1",
            "::ffff:9.9.9.9",
            "64:ff9b::9.9.9.9",
            "2002:909:909::1",
        ] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
    }
}
