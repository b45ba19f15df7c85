//! Octets that are wiped from memory when they are dropped.

use p256::elliptic_curve::subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Key material of any length: wiped when dropped, and deliberately without `Debug`, `Display` and
/// `Clone`.
///
/// Two secrets are compared in a time that depends on their lengths only.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The octets. Copies of them are not wiped.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The length in octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<u8>> for Secret {
    fn from(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }
}

impl From<Zeroizing<Vec<u8>>> for Secret {
    fn from(octets: Zeroizing<Vec<u8>>) -> Self {
        Self(octets)
    }
}

/// A copy; the original is the caller's to wipe.
impl From<&[u8]> for Secret {
    fn from(octets: &[u8]) -> Self {
        octets.to_vec().into()
    }
}

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Eq for Secret {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn compares_octets_and_lengths() {
        let secret = Secret::from(vec![1, 2, 3]);
        assert!(secret == Secret::from(&[1, 2, 3][..]));
        assert!(secret != Secret::from(vec![1, 2, 4]));
        assert!(secret != Secret::from(vec![1, 2]));
        assert_eq!(secret.len(), 3);
        assert!(Secret::from(Zeroizing::new(Vec::new())).is_empty());
    }
}
