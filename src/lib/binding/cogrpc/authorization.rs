//! The CCA by which cargo is collected, in the metadata of a call (RS-008 §CollectCargo):
//!
//! ```text
//! authorization: Relaynet-CCA <base64 of the CCA>
//! ```
//!
//! The specification says `Awala-CCA`, which no deployed server accepts.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The scheme that is written.
const SCHEME: &str = "Relaynet-CCA";

/// The schemes that are read, in any case.
const SCHEMES: [&str; 2] = [SCHEME, "Awala-CCA"];

/// The name of the header.
pub const HEADER: &str = "authorization";

/// Reads both alphabets as deployed gateways do: with padding or without, and whatever the last bits are.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD_ALPHABET: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_ALPHABET: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The octets of the CCA, of which nothing is verified yet. `None` if the scheme is another one, or if what follows it
/// and one blank is not base64 of at least one octet.
///
/// A server looks at this only if there is exactly one such header.
#[must_use]
pub fn parse(value: &str) -> Option<Vec<u8>> {
    let (scheme, text) = value.split_once(' ')?;
    if !SCHEMES.iter().any(|one| one.eq_ignore_ascii_case(scheme)) {
        return None;
    }
    let engine = if text.contains(['-', '_']) {
        URL_ALPHABET
    } else {
        STANDARD_ALPHABET
    };
    let octets = engine.decode(text).ok()?;
    (!octets.is_empty()).then_some(octets)
}

/// The value for a CCA.
#[must_use]
pub fn write(cca: &[u8]) -> String {
    format!("{SCHEME} {}", STANDARD.encode(cca))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_deployed_gateways_read_is_read() {
        let cca = [0xfb, 0xff, 0xfe, 1];
        assert_eq!(write(&cca), "Relaynet-CCA +//+AQ==");
        for value in [
            "Relaynet-CCA +//+AQ==",
            "Relaynet-CCA +//+AQ",
            "Relaynet-CCA -__-AQ==",
            "Relaynet-CCA -__-AQ",
            "relaynet-cca +//+AQ=",
            "RELAYNET-CCA +//+AR",
            "Awala-CCA +//+AQ==",
            "awala-cca -__-AQ",
        ] {
            assert_eq!(parse(value).as_deref(), Some(&cca[..]), "{value}");
        }
        for malformed in [
            "",
            "Relaynet-CCA",
            "Relaynet-CCA ",
            "Relaynet-CCA  +//+AQ==", // two blanks
            " Relaynet-CCA +//+AQ==",
            "Relaynet-CCA\t+//+AQ==",
            "Relaynet-CCA +//+AQ== ",
            "Relaynet-CCA +//+\u{e4}Q==",
            "Relaynet-CCA +_/+AQ==", // of both alphabets
            "Relaynet-CCA A",
            "Relaynet-Countersignature +//+AQ==",
            "Bearer +//+AQ==",
            "+//+AQ==",
        ] {
            assert_eq!(parse(malformed), None, "{malformed:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_cca_is_read_back(cca in proptest::collection::vec(any::<u8>(), 1..200)) {
            prop_assert_eq!(parse(&write(&cca)), Some(cca));
        }

        #[test]
        fn any_value_is_judged(value in any::<String>()) {
            prop_assert_eq!(parse(&format!("Bearer {value}")), None);
        }
    }
}
