//! Parcel delivery deauthorizations: an endpoint, or the gateway that certified it, revokes
//! authorizations that the endpoint issued (RS-000 §PDD).
//!
//! ```text
//! ParcelDeliveryDeauthorization ::= SEQUENCE {
//!   recipientAddress [0] VisibleString, pdaSerialNumbers [1] SET OF INTEGER, expiryDateUtc [2] DATE-TIME }
//! ```
//!
//! RS-000 does not say how the structure is signed, and no deployed node emits one. Here it is the
//! content of a SignedData (RFC 5652 §5), as the fields of a RAMF message are: of the endpoint, or
//! of its gateway, which then attaches the certificate that it issued to the endpoint. An empty set
//! revokes all authorizations of the endpoint.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::pca::control_message;
use super::{Error, malformed};
use crate::asn1::{self, Buffer, Element, date_time, tag, visible_string, write};
use crate::cms::signed_data::{self, Signature, SignedData};
use crate::crypto::hash;
use crate::pki::{Certificate, IdentityKey, NodeId, PublicKey, Window};
use crate::ramf::{self, Kind, fields};

/// Maximum number of serial numbers in one deauthorization.
pub const MAX_SERIALS: usize = 256;

/// Maximum length of a serial number, in octets; RFC 5280 §4.1.2.2 allows 20.
const MAX_SERIAL_LEN: usize = 64;

/// Maximum length of the whole message, in octets: the serial numbers, with room for certificates.
pub const MAX_LEN: usize = 16 * 1024;

/// A parsed deauthorization, whose signature is not verified yet.
#[derive(Debug, Clone)]
pub struct Pdd {
    /// The endpoint that issued the authorizations.
    pub issuer: NodeId,
    /// The authorizations that are revoked.
    pub scope: RevocationScope,
    /// Until when they are revoked.
    pub expiry: Timestamp,
    content: Vec<u8>,
    signer: Certificate,
    attached: Vec<Certificate>,
    signature: Signature,
}

/// The authorizations of an issuer that are revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevocationScope {
    /// All of them.
    All,
    /// Those with these serial numbers, each as the content of its INTEGER.
    Serials(BTreeSet<Vec<u8>>),
}

impl RevocationScope {
    /// Whether it includes an authorization with this serial number.
    #[must_use]
    pub fn includes(&self, serial: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Serials(serials) => serials.contains(serial),
        }
    }

    /// Whether it includes all that `other` includes.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Serials(_), Self::All) => false,
            (Self::Serials(own), Self::Serials(others)) => others.is_subset(own),
        }
    }

    /// The number of serial numbers in it.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::All => 0,
            Self::Serials(serials) => serials.len(),
        }
    }

    /// Whether it names no serial number, and so includes all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Who signed a deauthorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoker<'a> {
    /// The issuer of the authorizations.
    Issuer(&'a PublicKey),
    /// A gateway that certified the issuer.
    Gateway {
        /// The gateway.
        gateway: &'a Certificate,
        /// The certificate that it issued to the issuer of the authorizations.
        endpoint: &'a Certificate,
    },
}

impl Revoker<'_> {
    /// The key of the issuer of the authorizations.
    #[must_use]
    pub fn issuer_key(&self) -> &PublicKey {
        match self {
            Self::Issuer(key) => key,
            Self::Gateway { endpoint, .. } => endpoint.key(),
        }
    }
}

impl Pdd {
    /// Signs a deauthorization. The first of `certificates` is the signer's; with a gateway's goes
    /// the one that it issued to the endpoint. Returns the message, format signature included.
    ///
    /// # Errors
    /// When it would be over a limit, no certificate is given, or the system's random number
    /// generator fails.
    pub fn sign(
        issuer: NodeId,
        scope: &RevocationScope,
        expiry: Timestamp,
        key: &IdentityKey,
        certificates: &[&Certificate],
    ) -> Result<Vec<u8>, Error> {
        check_count(scope.len())?;
        let serials: Vec<Vec<u8>> = match scope {
            RevocationScope::All => Vec::new(),
            RevocationScope::Serials(serials) => {
                let mut serials: Vec<_> = serials
                    .iter()
                    .map(|serial| write::tlv(tag::INTEGER, serial))
                    .collect();
                // DER orders a SET OF by the encodings (X.690 §11.6).
                serials.sort_unstable();
                serials
            }
        };
        let content = write::constructed(
            tag::SEQUENCE,
            &[
                &write::tlv(0x80, issuer.to_string().as_bytes()),
                &write::tlv(0xa1, &serials.concat()),
                &write::tlv(0x82, date_time::to_ramf(expiry).as_bytes()),
            ],
        );
        let mut buffer = Buffer::with_capacity(content.len());
        buffer.append(&content);
        signed_data::sign(&mut buffer, &hash::sha256(&content), key, certificates)
            .map_err(ramf::Error::from)?;
        buffer.prepend(&Kind::Pdd.signature());
        let octets = buffer.into_octets();
        fields::check_len("PDD", octets.len(), MAX_LEN)?;
        Ok(octets)
    }

    /// Parses all of `octets` as one deauthorization.
    ///
    /// # Errors
    /// When it is malformed, over a limit, or another kind of message.
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        fields::check_len("PDD", octets.len(), MAX_LEN)?;
        let value = control_message(octets, Kind::Pdd)?;
        let parsed = SignedData::parse(value).map_err(ramf::Error::from)?;
        let (content, signer, attached, signature) = parsed.into_parts();
        let content = content
            .ok_or(crate::cms::Error::NoContent)
            .map_err(ramf::Error::from)?;
        let (issuer, scope, expiry) = parse_content(&content)?;
        Ok(Self {
            issuer,
            scope,
            expiry,
            content: content.into_owned(),
            signer,
            attached,
            signature,
        })
    }

    /// The node that signed it.
    #[must_use]
    pub fn signer(&self) -> NodeId {
        self.signer.id()
    }

    /// The signer's certificate, then the others that are attached.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        [&self.signer].into_iter().chain(&self.attached)
    }

    /// Verifies the signature, and that the signer may revoke authorizations of the issuer. That a
    /// gateway certified the issuer is its own claim: what it revokes has to show the same.
    ///
    /// # Errors
    /// When the signature does not match; [`Error::Revoker`] when the signer is neither the issuer
    /// nor a gateway that certified it.
    pub fn verify(&self) -> Result<Revoker<'_>, Error> {
        self.signature
            .verify(&self.signer, &self.content)
            .map_err(ramf::Error::from)?;
        if self.signer.id() == self.issuer {
            return Ok(Revoker::Issuer(self.signer.key()));
        }
        let is_certified = |endpoint: &&Certificate| {
            endpoint.id() == self.issuer
                && endpoint.is_ca()
                && endpoint.verify_signature(self.signer.key()).is_ok()
        };
        match self.attached.iter().find(is_certified) {
            Some(endpoint) if self.signer.is_ca() => Ok(Revoker::Gateway {
                gateway: &self.signer,
                endpoint,
            }),
            _ => Err(Error::Revoker {
                signer: self.signer.id(),
                issuer: self.issuer,
            }),
        }
    }

    /// Checks that it counts at some instant of `window`. It counts until its end even if the
    /// signer's certificate ends before.
    ///
    /// # Errors
    /// When it has ended, or a certificate is not valid yet; when a gateway's certificate for the
    /// issuer is not valid.
    pub fn check_dates(&self, window: &Window) -> Result<(), Error> {
        if window.is_after(self.expiry) {
            return Err(ramf::Error::Expired(self.expiry).into());
        }
        if window.is_before(self.signer.not_before()) {
            return Err(ramf::Error::Early(self.signer.not_before()).into());
        }
        if let Revoker::Gateway { endpoint, .. } = self.verify()? {
            endpoint.check_dates(window)?;
        }
        Ok(())
    }
}

type PddContent = (NodeId, RevocationScope, Timestamp);

fn parse_content(content: &[u8]) -> Result<PddContent, Error> {
    let wrong = malformed("PDD");
    let mut fields = Element::der(content, tag::SEQUENCE)
        .map_err(wrong)?
        .children();
    let issuer = fields
        .take(0x80)
        .and_then(|field| visible_string::parse(field.content()))
        .map_err(wrong)?;
    let issuer = issuer
        .parse()
        .map_err(|_| wrong(asn1::Error::Value("node id")))?;
    let mut numbers = fields.take(0xa1).map_err(wrong)?.children();
    let mut serials = BTreeSet::new();
    let mut count = 0;
    while let Some(number) = numbers.any().map_err(wrong)? {
        let serial = number.content();
        if number.tag() != tag::INTEGER || serial.is_empty() || serial.len() > MAX_SERIAL_LEN {
            return Err(wrong(asn1::Error::Value("serial number")));
        }
        count += 1;
        check_count(count)?;
        serials.insert(serial.to_vec());
    }
    let expiry = fields
        .take(0x82)
        .and_then(|field| date_time::parse_ramf(field.content()))
        .map_err(wrong)?;
    fields.finish().map_err(wrong)?;
    let scope = if serials.is_empty() {
        RevocationScope::All
    } else {
        RevocationScope::Serials(serials)
    };
    Ok((issuer, scope, expiry))
}

fn check_count(count: usize) -> Result<(), Error> {
    if count > MAX_SERIALS {
        return Err(Error::TooManySerials {
            found: count,
            limit: MAX_SERIALS,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::asn1::pem;
    use crate::kind::ErrorKind;
    use crate::pki::issuance::{self, CertificateRole};

    fn key(name: &str) -> IdentityKey {
        let dir = env!("CARGO_MANIFEST_DIR");
        let text = std::fs::read(format!(
            "{dir}/tests/interop/alpha/nodes/{name}/identity.key.pem"
        ));
        IdentityKey::from_pkcs8(&pem::private_key(&text.unwrap()).unwrap().0).unwrap()
    }

    fn at(day: i64) -> Timestamp {
        "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * day)
    }

    fn window(day: i64) -> Window {
        Window::new(at(day), SignedDuration::ZERO)
    }

    fn own(key: &IdentityKey, role: CertificateRole) -> Certificate {
        issuance::issue(key, None, key.public(), role, (at(0), at(90))).unwrap()
    }

    fn serials(range: std::ops::Range<u16>) -> RevocationScope {
        RevocationScope::Serials(range.map(|nth| nth.to_be_bytes().to_vec()).collect())
    }

    #[test]
    fn an_issuer_revokes_some_or_all_of_its_authorizations() {
        let bob = key("endpoint-b");
        let certificate = own(&bob, CertificateRole::Endpoint);
        for scope in [RevocationScope::All, serials(0..1), serials(0..256)] {
            let octets = Pdd::sign(bob.id(), &scope, at(30), &bob, &[&certificate]).unwrap();
            assert!(octets.starts_with(b"Awala\x12\0"));
            let pdd = Pdd::parse(&octets).unwrap();
            assert_eq!(
                (pdd.issuer, &pdd.scope, pdd.expiry),
                (bob.id(), &scope, at(30))
            );
            assert_eq!(pdd.verify().unwrap(), Revoker::Issuer(bob.public()));
            pdd.check_dates(&window(29)).unwrap();
            let ended = pdd.check_dates(&window(31)).unwrap_err();
            assert_eq!(ended.kind(), ErrorKind::Expired);
            let early = pdd.check_dates(&window(-1)).unwrap_err();
            assert_eq!(early.kind(), ErrorKind::Early);
        }
    }

    #[test]
    fn a_gateway_revokes_for_an_endpoint_that_it_certified_and_for_no_other() {
        let (hub, bob, eve) = (key("internet-gateway"), key("endpoint-b"), key("stranger"));
        let hub_own = own(&hub, CertificateRole::SelfIssuedGateway);
        let eve_own = own(&eve, CertificateRole::SelfIssuedGateway);
        let issue = |issuer: &IdentityKey, own: &Certificate| {
            let role = CertificateRole::Endpoint;
            issuance::issue(issuer, Some(own), bob.public(), role, (at(0), at(60))).unwrap()
        };
        let endpoint = issue(&hub, &hub_own);
        let sign = |key: &IdentityKey, certificates: &[&Certificate]| {
            let octets = Pdd::sign(bob.id(), &serials(0..1), at(80), key, certificates).unwrap();
            Pdd::parse(&octets).unwrap()
        };
        let pdd = sign(&hub, &[&hub_own, &endpoint]);
        let revoker = pdd.verify().unwrap();
        assert!(matches!(revoker, Revoker::Gateway { gateway, .. } if *gateway == hub_own));
        assert_eq!(revoker.issuer_key(), bob.public());
        pdd.check_dates(&window(59)).unwrap();
        let ended = pdd.check_dates(&window(61)).unwrap_err();
        assert_eq!(ended.kind(), ErrorKind::Expired);
        // Without the certificate, with one of another gateway, or as a plain endpoint.
        let carol = key("endpoint-a");
        let carol_own = own(&carol, CertificateRole::Endpoint);
        for pdd in [
            sign(&hub, &[&hub_own]),
            sign(&eve, &[&eve_own, &endpoint]),
            sign(&carol, &[&carol_own, &endpoint]),
        ] {
            let refused = pdd.verify().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unauthorized, "{refused}");
        }
    }

    #[test]
    fn too_many_serials_and_changed_octets_are_refused() {
        let bob = key("endpoint-b");
        let certificate = own(&bob, CertificateRole::Endpoint);
        let over = Pdd::sign(bob.id(), &serials(0..257), at(30), &bob, &[&certificate]);
        assert!(matches!(
            over,
            Err(Error::TooManySerials { found: 257, .. })
        ));
        let octets = Pdd::sign(bob.id(), &serials(0..9), at(30), &bob, &[&certificate]).unwrap();
        for len in 0..octets.len() {
            assert!(Pdd::parse(&octets[..len]).is_err(), "{len}");
        }
        // The year of the end, which is signed.
        let place = octets.windows(8).position(|it| it == b"20260331").unwrap();
        let mut changed = octets.clone();
        changed[place + 3] = b'9';
        let pdd = Pdd::parse(&changed).unwrap();
        assert_eq!(pdd.verify().unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(Pdd::parse(&[&octets[..], &[0; MAX_LEN]].concat()).is_err());
    }
}
