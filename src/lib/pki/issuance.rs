//! Issues certificates that both deployed path builders accept (RS-002).

use jiff::{SignedDuration, Timestamp};

use super::{Certificate, Error, IdentityKey, PublicKey, RateLimit, signature};
use crate::asn1::{date_time, oid, tag, write};
use crate::crypto::random;

/// How far certificates are backdated, for verifiers whose clocks are slow; deployed gateways do so
/// too.
pub const BACKDATED: SignedDuration = SignedDuration::from_hours(3);

/// Maximum validity of a certificate that we issue: 180 days.
pub const MAX_LIFE: SignedDuration = SignedDuration::from_hours(180 * 24);

/// The role of the subject, which decides `(cA, pathLenConstraint)` in basicConstraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateRole {
    /// A gateway's own, self-issued certificate.
    SelfIssuedGateway,
    /// A gateway that a peer gateway certifies.
    Gateway,
    /// An endpoint, self-issued or certified by its gateway.
    Endpoint,
    /// A sender that may deliver to the issuer: a PDA or a CDA, with the rate of a PDA, if it is limited.
    DeliveryAuthorization(Option<RateLimit>),
}

impl CertificateRole {
    fn basic_constraints(self) -> (u8, u8) {
        match self {
            Self::SelfIssuedGateway => (0xff, 2),
            Self::Gateway => (0xff, 1),
            Self::Endpoint => (0xff, 0),
            // DER leaves out FALSE, the default; deployed issuers write it nevertheless.
            Self::DeliveryAuthorization(_) => (0x00, 0),
        }
    }
}

/// Issues a certificate to `subject`, signed with `key`, whose own certificate is `issuer` (`None`:
/// self-issued). The validity is clamped to the issuer's, as deployed issuers do.
///
/// # Errors
/// When the system's random number generator fails.
pub fn issue(
    key: &IdentityKey,
    issuer: Option<&Certificate>,
    subject: &PublicKey,
    role: CertificateRole,
    (not_before, not_after): (Timestamp, Timestamp),
) -> Result<Certificate, Error> {
    let name = distinguished_name(subject);
    // The issuer's Name as it is, since Bouncy Castle compares the encodings of names.
    let issuer_name = issuer.map_or(name.as_slice(), Certificate::subject);
    // Both deployed path builders refuse an AKI that differs from the issuer's SKI.
    let authority = issuer
        .and_then(Certificate::subject_key_id)
        .unwrap_or(key.public().id().digest().as_slice())
        .to_vec();
    let not_before = issuer.map_or(not_before, |issuer| not_before.max(issuer.not_before()));
    let not_after = issuer.map_or(not_after, |issuer| not_after.min(issuer.not_after()));

    // Between 0x40 and 0x7f at first: positive, nonzero and minimal.
    let mut serial = random::array::<8>().map_err(Error::Crypto)?;
    serial[0] = serial[0] & 0x3f | 0x40;
    let (ca, path_len) = role.basic_constraints();
    let mut extensions = vec![
        extension(
            &oid::BASIC_CONSTRAINTS,
            true,
            &write::tlv(
                tag::SEQUENCE,
                &[tag::BOOLEAN, 1, ca, tag::INTEGER, 1, path_len],
            ),
        ),
        extension(
            &oid::AUTHORITY_KEY_IDENTIFIER,
            false,
            &write::tlv(tag::SEQUENCE, &write::tlv(0x80, &authority)),
        ),
        extension(
            &oid::SUBJECT_KEY_IDENTIFIER,
            false,
            &write::tlv(tag::OCTET_STRING, subject.id().digest()),
        ),
    ];
    // Not critical (RS-002), so that those who do not count parcels take it.
    if let CertificateRole::DeliveryAuthorization(Some(rate)) = role {
        extensions.push(extension(&oid::PDA_RATE_LIMIT, false, &rate.to_der()));
    }
    let pss = signature::pss_sha256();
    let tbs = write::constructed(
        tag::SEQUENCE,
        &[
            &write::tlv(0xa0, &[tag::INTEGER, 1, 2]),
            &write::tlv(tag::INTEGER, &serial),
            &pss,
            issuer_name,
            &write::constructed(
                tag::SEQUENCE,
                &[
                    &date_time::to_x509(not_before),
                    &date_time::to_x509(not_after),
                ],
            ),
            &name,
            subject.spki(),
            &write::tlv(0xa3, &write::tlv(tag::SEQUENCE, &extensions.concat())),
        ],
    );
    let signature = write::tlv(
        tag::BIT_STRING,
        &[&[0], key.sign(&tbs)?.as_slice()].concat(),
    );
    Certificate::parse(&write::constructed(
        tag::SEQUENCE,
        &[&tbs, &pss, &signature],
    ))
}

/// A Name with one commonName that holds the node id, as BMPString: the type that deployed issuers
/// write, and that the JVM's path builder compares octet for octet.
fn distinguished_name(subject: &PublicKey) -> Vec<u8> {
    let units: Vec<u8> = subject
        .id()
        .to_string()
        .bytes()
        .flat_map(|character| [0, character])
        .collect();
    let attribute = write::constructed(
        tag::SEQUENCE,
        &[
            &oid::to_der(&oid::COMMON_NAME),
            &write::tlv(tag::BMP_STRING, &units),
        ],
    );
    write::tlv(tag::SEQUENCE, &write::tlv(tag::SET, &attribute))
}

fn extension(kind: &der::asn1::ObjectIdentifier, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical {
        &[tag::BOOLEAN, 1, 0xff]
    } else {
        &[]
    };
    write::constructed(
        tag::SEQUENCE,
        &[
            &oid::to_der(kind),
            critical,
            &write::tlv(tag::OCTET_STRING, value),
        ],
    )
}
