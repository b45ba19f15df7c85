//! The system's random number generator.

use zeroize::Zeroizing;

use super::{Error, Secret};

/// Fills `octets` with random ones.
///
/// # Errors
/// [`Error::Random`] when the system's generator fails.
pub fn fill(octets: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(octets).map_err(|_| Error::Random)
}

/// An array of random octets that are published, such as an IV, a nonce, a ukm or a key id. Unlike
/// a [`secret`] it is not wiped.
///
/// # Errors
/// As [`fill`].
pub fn array<const N: usize>() -> Result<[u8; N], Error> {
    let mut octets = [0; N];
    fill(&mut octets)?;
    Ok(octets)
}

/// A random secret of this many octets, such as a content-encryption key.
///
/// # Errors
/// As [`fill`].
pub fn secret(len: usize) -> Result<Secret, Error> {
    let mut octets = Zeroizing::new(vec![0; len]);
    fill(&mut octets)?;
    Ok(octets.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn never_repeats() {
        assert_ne!(array::<32>().unwrap(), array::<32>().unwrap());
        assert!(secret(16).unwrap() != secret(16).unwrap());
        assert_eq!(secret(24).unwrap().len(), 24);
    }
}
