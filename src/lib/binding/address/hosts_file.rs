//! The system's file of hosts, `/etc/hosts`: names that need no resolver (hosts(5)).

use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;

use crate::disk::{self, FileRole, files};

/// Where systems have it.
pub const SYSTEM: &str = "/etc/hosts";

/// Maximum length of the file, in octets: lists that block advertisements have a few MiB.
const MAX_LEN: usize = 16 * 1024 * 1024;

/// The addresses that the file at `path` has for a name, in its order, each once. A file that does not exist has none.
///
/// # Errors
/// When it cannot be read.
pub fn addresses_in(path: &Path, name: &str) -> Result<Vec<IpAddr>, disk::Error> {
    match files::read(path, FileRole::Input, MAX_LEN) {
        Ok(octets) => Ok(addresses_of(&String::from_utf8_lossy(&octets), name)),
        Err(error) if error.io_kind() == Some(ErrorKind::NotFound) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The addresses that the text of such a file has for a name. Names are compared without regard to case, and a dot at
/// their end. A line of another format is passed over, as by the resolvers of systems.
#[must_use]
pub fn addresses_of(text: &str, name: &str) -> Vec<IpAddr> {
    let bare = |name: &str| -> String {
        let name = name.strip_suffix('.').unwrap_or(name);
        name.to_ascii_lowercase()
    };
    let name = bare(name);
    let mut addresses = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else {
            continue;
        };
        if words.any(|word| bare(word) == name) && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# 192.0.2.9 gw.example.org\n\
        127.0.0.1\tlocalhost localhost.localdomain # gw.example.org\n\
        ::1 localhost ip6-localhost\r\n\
        \n   \n\
        192.0.2.1 GW.example.org  gw\n\
        192.0.2.1 gw.example.org.\n\
        2001:db8::1   other gw.example.org\n\
        300.0.0.1 gw.example.org\n\
        fe80::1%eth0 gw.example.org\n\
        gw.example.org 192.0.2.3\n\
        192.0.2.4\n";

    #[test]
    fn a_name_has_the_addresses_of_its_lines() {
        let of = |name: &str| -> Vec<String> {
            let found = addresses_of(TEXT, name);
            found.iter().map(ToString::to_string).collect()
        };
        assert_eq!(of("gw.example.org"), ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(of("gw.EXAMPLE.org."), ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(of("localhost"), ["127.0.0.1", "::1"]);
        assert_eq!(of("gw"), ["192.0.2.1"]);
        assert_eq!(of("example.org"), [""; 0]);
        assert_eq!(of("192.0.2.3"), [""; 0]);
        assert_eq!(of(""), [""; 0]);
    }

    #[test]
    fn without_the_file_no_name_has_an_address() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        assert_eq!(addresses_in(&path, "gw").unwrap(), [] as [IpAddr; 0]);
        std::fs::write(&path, TEXT).unwrap();
        let found: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap()];
        assert_eq!(addresses_in(&path, "gw").unwrap(), found);
    }
}
