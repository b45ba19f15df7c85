//! Internet addresses: the domain names of gateways and Internet endpoints.

use std::fmt;
use std::str::FromStr;

use super::{Error, limits};

/// A domain name of two or more labels, the last of which is not a number. IP addresses are
/// refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternetAddress(String);

/// A placeholder for "no Internet gateway anywhere", in structures that require an address.
const NOWHERE: &str = "relay.invalid";

impl InternetAddress {
    /// The placeholder that a node without an Internet gateway writes where an address is required.
    #[must_use]
    pub fn nowhere() -> Self {
        Self(NOWHERE.to_owned())
    }

    /// Whether this is the placeholder for "no Internet gateway anywhere".
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        self.0.eq_ignore_ascii_case(NOWHERE)
    }

    /// Whether every deployed reader accepts it, as is required of addresses that we emit.
    #[must_use]
    pub fn is_portable(&self) -> bool {
        // The JVM requires a last label of 2 to 24 letters, or one in Punycode.
        let last = self.0.rsplit('.').next().unwrap_or_default();
        !self.0.contains('_')
            && (last.starts_with("xn--")
                || ((2..=24).contains(&last.len())
                    && last.bytes().all(|octet| octet.is_ascii_alphabetic())))
    }

    /// The domain name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InternetAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for InternetAddress {
    type Err = Error;

    /// Parses a name that some deployed reader accepts as a domain name.
    fn from_str(text: &str) -> Result<Self, Error> {
        // A dot at the end only says that the name is absolute.
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
        };
        let last = name.rsplit('.').next().unwrap_or_default();
        let valid = text.len() <= limits::MAX_ADDRESS_LEN
            && name.contains('.')
            && name.split('.').all(is_label)
            && last.bytes().any(|octet| octet.is_ascii_alphabetic());
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::Address)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_domain_name_of_two_labels() {
        for good in ["gateway.alpha.example.org", "a.xn--p1ai", "relay.invalid"] {
            assert!(
                good.parse::<InternetAddress>().unwrap().is_portable(),
                "{good}"
            );
        }
        for odd in ["a_b.example.org", "a.b", "example.com."] {
            assert!(
                !odd.parse::<InternetAddress>().unwrap().is_portable(),
                "{odd}"
            );
        }
        for bad in [
            "",
            "localhost",
            "192.0.2.1",
            "a..b",
            "-a.org",
            "a b.org",
            "a.org/x",
            "a.1",
            "[::1]",
        ] {
            assert!(bad.parse::<InternetAddress>().is_err(), "{bad}");
        }
        assert!(
            "Relay.Invalid"
                .parse::<InternetAddress>()
                .unwrap()
                .is_nowhere()
        );
    }
}
