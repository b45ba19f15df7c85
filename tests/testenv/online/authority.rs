//! A certification authority for servers of the tests.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, date_time_ymd,
};
use relaynet::asn1::pem;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::testenv::{Env, sha256};

/// A day: year, month, day, UTC.
pub(crate) type Day = (i32, u8, u8);

/// The days on which certificates begin and end, unless a test says otherwise: the fixed clock of the tests and the
/// clock of the machine are both between them.
pub(crate) const LIFE: (Day, Day) = ((2025, 1, 1), (2049, 1, 1));

/// A self-signed authority. All keys are P-256, which takes under a millisecond to make.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A server's certificate with its private key.
#[derive(Clone)]
pub(crate) struct Leaf {
    /// The server's certificate, then those above it.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// SHA-256 of its SubjectPublicKeyInfo, in hexadecimal: what is pinned.
    pub(crate) pin: String,
    key: Vec<u8>,
}

fn between(names: &[&str], (from, to): (Day, Day)) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(from.0, from.1, from.2);
    params.not_after = date_time_ymd(to.0, to.1, to.2);
    params
}

fn server_params(names: &[&str], life: (Day, Day)) -> CertificateParams {
    let mut params = between(names, life);
    let common_name = names.first().copied().unwrap_or("nobody");
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

impl Authority {
    /// A new one, which nobody trusts yet.
    pub(crate) fn new() -> Self {
        let mut params = between(&[], LIFE);
        params
            .distinguished_name
            .push(DnType::CommonName, "authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    /// Its certificate, PEM: the FILE of `--ca FILE`.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Its certificate.
    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Writes its certificate as `ca.pem`, and returns the path.
    pub(crate) fn write(&self, env: &Env) -> PathBuf {
        env.write("ca.pem", self.pem());
        env.path("ca.pem")
    }

    /// Certifies a server with these names or IP addresses.
    pub(crate) fn leaf(&self, names: &[&str]) -> Leaf {
        self.leaf_between(names, LIFE)
    }

    /// Certifies a server from one day to another.
    pub(crate) fn leaf_between(&self, names: &[&str], life: (Day, Day)) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = server_params(names, life).signed_by(&key, &self.issuer);
        Leaf::new(certificate.unwrap().der().clone(), &key)
    }
}

impl Leaf {
    /// A self-signed certificate, as couriers and gateways of a local network have.
    pub(crate) fn self_signed(names: &[&str], life: (Day, Day)) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = server_params(names, life).self_signed(&key);
        Self::new(certificate.unwrap().der().clone(), &key)
    }

    fn new(certificate: CertificateDer<'static>, key: &KeyPair) -> Self {
        Self {
            chain: vec![certificate],
            pin: sha256(&key.subject_public_key_info()),
            key: key.serialize_der(),
        }
    }

    /// Writes `NAME.pem` and `NAME.key`: the FILEs of `--cert FILE` and `--key FILE`.
    pub(crate) fn write(&self, env: &Env, name: &str) {
        let chain = self.chain.iter();
        let chain: String = chain.map(|it| pem::encode(pem::CERTIFICATE, it)).collect();
        env.write(format!("{name}.pem"), chain);
        env.write(
            format!("{name}.key"),
            pem::encode(pem::PRIVATE_KEY, &self.key),
        );
        env.chmod(format!("{name}.key"), 0o600);
    }

    /// The settings of a TLS server with this certificate: TLS 1.2 and 1.3, no ALPN.
    pub(crate) fn server(&self) -> Arc<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        Arc::new(config.with_single_cert(self.chain.clone(), key).unwrap())
    }
}
