//! Where a peer is on the network, if a person said so: `peers/<id>/host`.
//!
//! Then no resolver is asked for the servers of its address. The first line is `HOST:PORT`; a second one may be
//! `pin = ` and the SHA-256 of the public key (`SubjectPublicKeyInfo`) in its certificate, in hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use super::files::{damaged, read_text, store};
use super::{Directory, Error};
use crate::asn1::{Hex, hex};
use crate::disk::{FileRole, files};
use crate::pki::NodeId;

/// The file, in the directory of the peer.
pub(crate) const FILE: &str = "host";

/// The key of the second line.
const PIN: &str = "pin";

/// A host that a person named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PinnedHost {
    /// `HOST:PORT`, as the person wrote it; an IPv6 address is in brackets.
    pub authority: String,
    /// The SHA-256 of the public key that its certificate has, if that alone counts.
    pub pin: Option<[u8; 32]>,
}

/// Reads a pin: 64 hexadecimal digits of either case, among which there may be colons.
///
/// # Errors
/// When it is not that.
pub fn parse_pin(text: &str) -> Result<[u8; 32], &'static str> {
    let octets = hex::parse(&text.replace(':', ""));
    let octets = octets.and_then(|octets| octets.try_into().ok());
    octets.ok_or("not 64 hexadecimal digits of a SHA-256")
}

impl FromStr for PinnedHost {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let authority = lines.next().unwrap_or_default();
        let (host, port) = authority.rsplit_once(':').ok_or("not HOST:PORT")?;
        let is_port = port.bytes().all(|it| it.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|it| it > 0);
        if host.is_empty() || !host.bytes().all(|it| it.is_ascii_graphic()) || !is_port {
            return Err("not HOST:PORT");
        }
        let pin = match lines.next().map(|line| line.split_once('=')) {
            None => None,
            Some(Some((key, digits))) if key.trim() == PIN => Some(parse_pin(digits.trim())?),
            Some(_) => return Err("the second line is not pin = DIGITS"),
        };
        if lines.next().is_some() {
            return Err("more than two lines");
        }
        Ok(Self {
            authority: authority.to_owned(),
            pin,
        })
    }
}

impl fmt::Display for PinnedHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.authority)?;
        match &self.pin {
            Some(pin) => writeln!(formatter, "{PIN} = {}", Hex(pin)),
            None => Ok(()),
        }
    }
}

impl Directory {
    /// Where a person said that the peer is.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn pinned_host(&self, peer: NodeId) -> Result<Option<PinnedHost>, Error> {
        let path = self.peer_dir(peer).join(FILE);
        let text = read_text(&path)?;
        text.map(|text| {
            text.parse()
                .map_err(|problem: &str| damaged(&path, &problem))
        })
        .transpose()
    }

    /// Notes where the peer is; with `None`, that its address says so again. The caller holds the node's lock alone.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn pin_host(&self, peer: NodeId, host: Option<&PinnedHost>) -> Result<(), Error> {
        let path = self.peer_dir(peer).join(FILE);
        if let Some(host) = host {
            return store(self.root(), &path, host.to_string().as_bytes());
        }
        files::remove(&path, FileRole::Node)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_port_and_may_have_a_pin() {
        let digits = "0123456789abcdef".repeat(4);
        let pin: [u8; 32] = hex::parse(&digits).unwrap().try_into().unwrap();
        let host = |authority: &str, pin| PinnedHost {
            authority: authority.to_owned(),
            pin,
        };
        for (text, expected) in [
            ("gw.example.org:443\n", host("gw.example.org:443", None)),
            ("[::1]:8443", host("[::1]:8443", None)),
            (
                &*format!(" 10.0.0.1:1 \r\n\r\npin={}\n\n", digits.to_uppercase()),
                host("10.0.0.1:1", Some(pin)),
            ),
        ] {
            let read: PinnedHost = text.parse().unwrap();
            assert_eq!(read, expected);
            assert_eq!(read.to_string().parse::<PinnedHost>().unwrap(), read);
        }
        let colons: Vec<&str> = digits
            .as_bytes()
            .chunks(2)
            .map(|it| std::str::from_utf8(it).unwrap())
            .collect();
        assert_eq!(parse_pin(&colons.join(":")), Ok(pin));
        for bad in [
            "",
            "gw.example.org",
            "gw.example.org:0",
            "gw.example.org:+1",
            "gw.example.org:65536",
            ":443",
            "a b:443",
            "a:1\npin = 12",
            "a:1\npin",
            "a:1\nb:2",
            &format!("a:1\npin = {digits}\nx"),
            &format!("a:1\npin = {digits}0"),
        ] {
            assert!(bad.parse::<PinnedHost>().is_err(), "{bad}");
        }
    }
}
