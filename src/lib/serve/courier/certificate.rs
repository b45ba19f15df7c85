//! Certificates for addresses of this machine, which nobody else vouches for: a courier has no name.

use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

use crate::serve::Error;

/// From when to when it is valid, from now on: a phone's clock may be behind, and deployed couriers' live as long.
const VALID: (SignedDuration, SignedDuration) = (
    SignedDuration::from_hours(-2),
    SignedDuration::from_hours(24),
);

/// A certificate and its key, in DER.
pub(super) struct LanCertificate {
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) key: Vec<u8>,
}

/// Makes a certificate of the shape that deployed clients accept: self-signed, P-256, with the address as its name.
///
/// # Errors
/// When it cannot be made.
pub(super) fn make(address: IpAddr, now: Timestamp) -> Result<LanCertificate, Error> {
    let wrong = |error: rcgen::Error| Error::Certificate {
        problem: error.to_string(),
    };
    let at = |after: SignedDuration| {
        let seconds = (now + after).as_second();
        rcgen::date_time_ymd(1970, 1, 1)
            + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    };
    let name = address.to_string();
    let mut params = CertificateParams::new(vec![name.clone()]).map_err(wrong)?;
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (at(VALID.0), at(VALID.1));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(wrong)?;
    let certificate = params.self_signed(&key).map_err(wrong)?;
    Ok(LanCertificate {
        chain: vec![certificate.der().to_vec()],
        key: key.serialize_der(),
    })
}

#[cfg(test)]
mod tests {
    use der::Decode as _;

    use super::*;
    use crate::serve::front::certificate;

    #[test]
    fn a_certificate_is_made_for_the_address_and_fits_its_key() {
        let now = "2027-05-22T10:11:12Z".parse().unwrap();
        let made = make("192.168.43.1".parse().unwrap(), now).unwrap();
        let certificate = x509_cert::Certificate::from_der(&made.chain[0]).unwrap();
        let validity = *certificate.tbs_certificate().validity();
        let at = |time: x509_cert::time::Time| {
            Timestamp::from_second(time.to_unix_duration().as_secs().try_into().unwrap()).unwrap()
        };
        assert_eq!(at(validity.not_before).to_string(), "2027-05-22T08:11:12Z");
        assert_eq!(at(validity.not_after).to_string(), "2027-05-23T10:11:12Z");
        certificate::config(made.chain, made.key).unwrap();
    }
}
