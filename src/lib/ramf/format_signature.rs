//! The format signature: the octets that begin a message and give its kind (RS-001 §Format,
//! RS-000).

use std::fmt;

use super::Error;

/// The start of every format signature.
pub const MAGIC: &[u8; 5] = b"Awala";

/// The start of format signatures until 2020.
const FORMER_MAGIC: &[u8; 8] = b"Relaynet";

/// The only version, for every kind.
const VERSION: u8 = 0;

/// The length in octets: `"Awala"`, the concrete type, its version.
///
/// RS-001 §Format says ten, but the parts that it lists add up to seven, and seven is what the
/// other implementations write.
pub const LEN: usize = 7;

/// The kinds of message, as format signatures announce them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A parcel: a sealed service message from endpoint to endpoint.
    Parcel,
    /// Cargo: sealed messages from gateway to gateway.
    Cargo,
    /// A cargo collection authorization.
    Cca,
    /// A parcel collection acknowledgement.
    Pca,
    /// A certificate rotation.
    Rotation,
    /// A parcel delivery deauthorization.
    Pdd,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Parcel,
        Self::Cargo,
        Self::Cca,
        Self::Pca,
        Self::Rotation,
        Self::Pdd,
    ];

    /// The type octet.
    #[must_use]
    pub fn octet(self) -> u8 {
        match self {
            Self::Parcel => 0x50,
            Self::Cargo => 0x43,
            Self::Cca => 0x44,
            Self::Pca => 0x51,
            Self::Rotation => 0x10,
            Self::Pdd => 0x12,
        }
    }

    /// The format signature of this kind.
    #[must_use]
    pub fn signature(self) -> [u8; LEN] {
        let mut signature = [0; LEN];
        signature[..MAGIC.len()].copy_from_slice(MAGIC);
        signature[MAGIC.len()] = self.octet();
        signature[MAGIC.len() + 1] = VERSION;
        signature
    }

    /// Parses the format signature at the start of `octets`; more may follow.
    ///
    /// # Errors
    /// When it is missing, or of an unknown kind or version.
    pub fn read(octets: &[u8]) -> Result<Self, Error> {
        // Reported apart, so that it is clear why an old file is not read.
        if octets.starts_with(FORMER_MAGIC) {
            return Err(Error::FormerFormat);
        }
        let rest = octets.strip_prefix(MAGIC).ok_or(Error::NotRamf)?;
        let kind = Self::ALL
            .into_iter()
            .find(|kind| rest.first() == Some(&kind.octet()));
        match (kind, rest.get(1)) {
            (Some(kind), Some(&VERSION)) => Ok(kind),
            (Some(_), Some(&version)) => Err(Error::Version(version)),
            _ => Err(Error::NotRamf),
        }
    }

    /// The word for it in file names and JSON: `parcel`, `cargo`, `cca`, `pca`, `rotation`, `pdd`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Parcel => "parcel",
            Self::Cargo => "cargo",
            Self::Cca => "cca",
            Self::Pca => "pca",
            Self::Rotation => "rotation",
            Self::Pdd => "pdd",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cca => "CCA",
            Self::Pca => "PCA",
            Self::Pdd => "PDD",
            other => other.word(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::read(&kind.signature()).unwrap(), kind);
        }
    }

    #[test]
    fn other_octets_say_what_they_are_not() {
        assert!(matches!(
            Kind::read(b"RelaynetP\0"),
            Err(Error::FormerFormat)
        ));
        assert!(matches!(Kind::read(b"AwalaP\x01"), Err(Error::Version(1))));
        for bad in [&b""[..], b"Awala", b"AwalaP", b"Awala\x11\0", b"awalaP\0"] {
            assert!(matches!(Kind::read(bad), Err(Error::NotRamf)), "{bad:?}");
        }
    }
}
