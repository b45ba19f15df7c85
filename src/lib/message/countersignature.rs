//! Signatures by which a registered node shows its gateway who it is: detached, over a purpose and what is signed
//! (RS-016 §Parcel delivery, §Parcel collection).
//!
//! ```text
//! Signed ::= SEQUENCE { purpose [0] OBJECT IDENTIFIER, content [1] OCTET STRING }
//! ```

use der::asn1::ObjectIdentifier;

use super::Error;
use crate::asn1::{oid, tag, write};
use crate::cms::{self, signed_data};
use crate::crypto::hash::{Digest, Hasher};
use crate::pki::{Certificate, IdentityKey};
use crate::ramf;

/// What a signature is for. One that was made for another purpose is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To deliver this parcel.
    Delivery,
    /// To collect parcels: what is signed is the gateway's nonce.
    Collection,
}

impl Purpose {
    fn oid(self) -> &'static ObjectIdentifier {
        match self {
            Self::Delivery => &oid::PARCEL_DELIVERY,
            Self::Collection => &oid::PARCEL_COLLECTION,
        }
    }

    /// What is signed before the content. The content follows as it is, since a parcel is too long to be copied.
    fn head(self, content_len: usize) -> Vec<u8> {
        let purpose = write::retagged(0x80, &oid::to_der(self.oid()));
        let content = write::header(0x81, content_len);
        let len = purpose.len() + content.len() + content_len;
        [write::header(tag::SEQUENCE, len), purpose, content].concat()
    }
}

/// Signs content with the key of a certificate that the gateway issued. Returns a ContentInfo in DER, of about
/// 1 800 octets, with only that certificate.
///
/// # Errors
/// When the system's random number generator fails.
pub fn sign(
    purpose: Purpose,
    content: &[u8],
    key: &IdentityKey,
    certificate: &Certificate,
) -> Result<Vec<u8>, Error> {
    let mut hasher = Hasher::new(Digest::Sha256);
    hasher.update(&purpose.head(content.len()));
    hasher.update(content);
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(hasher.finish().as_bytes());
    signed_data::sign_detached(&sha256, key, certificate).map_err(of_cms)
}

/// Verifies a signature, and returns the certificate of its signer. Whether the gateway issued that, and whether it is
/// valid now, is not judged here.
///
/// # Errors
/// When it is malformed, not detached, for another purpose or over other content.
pub fn verify(octets: &[u8], purpose: Purpose, content: &[u8]) -> Result<Certificate, Error> {
    let signed = signed_data::SignedData::parse(octets).map_err(of_cms)?;
    signed
        .verify_detached_parts(&[&purpose.head(content.len()), content])
        .map_err(of_cms)?;
    Ok(signed.signer().clone())
}

/// The certificate of the signer, of which nothing is verified yet: it may be copied from anywhere.
///
/// # Errors
/// When the signature is malformed.
pub fn claimed_signer(octets: &[u8]) -> Result<Certificate, Error> {
    let signed = signed_data::SignedData::parse(octets).map_err(of_cms)?;
    Ok(signed.signer().clone())
}

fn of_cms(error: cms::Error) -> Error {
    ramf::Error::Cms(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Registration;
    use crate::message::parcel_collection::{Challenge, Response};

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("tests/fixtures/bindings/poweb/{name}")).unwrap()
    }

    /// The payload of the first binary frame after the head of HTTP.
    fn first_frame(capture: &[u8]) -> Vec<u8> {
        let end = capture.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
        let frame = &capture[end..];
        assert_eq!(frame[0], 0x82, "a whole binary frame");
        let is_masked = frame[1] & 0x80 != 0;
        let (len, rest) = match frame[1] & 0x7f {
            126 => (
                usize::from(u16::from_be_bytes([frame[2], frame[3]])),
                &frame[4..],
            ),
            len => (usize::from(len), &frame[2..]),
        };
        if !is_masked {
            return rest[..len].to_vec();
        }
        let mask = &rest[..4];
        let masked = rest[4..4 + len].iter().zip(mask.iter().cycle());
        masked.map(|(octet, mask)| octet ^ mask).collect()
    }

    /// What the JavaScript client signed for the deployed gateway.
    #[test]
    fn signatures_of_the_field_verify() {
        let challenge = Challenge::parse(&first_frame(&fixture("collect.server.ws"))).unwrap();
        let response = Response::parse(&first_frame(&fixture("collect.client.ws"))).unwrap();
        let registration = Registration::parse(&fixture("pgw-a.pnr")).unwrap();
        let signature = &response.signatures[0];
        let signer = verify(signature, Purpose::Collection, challenge.nonce()).unwrap();
        assert_eq!(signer, registration.node);
        assert!(verify(signature, Purpose::Delivery, challenge.nonce()).is_err());
        assert!(verify(signature, Purpose::Collection, b"another nonce").is_err());
    }

    #[test]
    fn a_signature_is_for_one_purpose_and_content() {
        let key = IdentityKey::from_pkcs8(IdentityKey::generate(2048).unwrap().as_bytes()).unwrap();
        let validity =
            ["2027-01-01T00:00:00Z", "2027-06-01T00:00:00Z"].map(|it| it.parse().unwrap());
        let role = crate::pki::issuance::CertificateRole::Endpoint;
        let certificate =
            crate::pki::issuance::issue(&key, None, key.public(), role, (validity[0], validity[1]))
                .unwrap();
        let other_key =
            IdentityKey::from_pkcs8(IdentityKey::generate(2048).unwrap().as_bytes()).unwrap();
        for content in [&b""[..], b"nonce", &[7; 200], &vec![7; 70_000]] {
            let signature = sign(Purpose::Delivery, content, &key, &certificate).unwrap();
            let signer = verify(&signature, Purpose::Delivery, content).unwrap();
            assert_eq!(signer, certificate);
            assert!(verify(&signature, Purpose::Collection, content).is_err());
            assert!(verify(&signature, Purpose::Delivery, &[content, b"x"].concat()).is_err());
            assert!(
                verify(
                    &signature[..signature.len() - 1],
                    Purpose::Delivery,
                    content
                )
                .is_err()
            );
            let forged = sign(Purpose::Delivery, content, &other_key, &certificate).unwrap();
            assert!(verify(&forged, Purpose::Delivery, content).is_err());
        }
    }
}
