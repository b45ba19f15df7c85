//! TLS of clients: versions 1.2 and 1.3, and the rules by which a server's certificate is judged.
//!
//! RS-000 asks for 1.3. Version 1.2 stays, since phones with deployed software offer nothing else to each other, and
//! gateways run behind proxies of any age.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientConfig, Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::Error;
use super::excerpt::excerpt;
use super::server::{CertificateRule, Host, Server, is_private};
use super::tls_certificate::TlsCertificate;
use crate::asn1::hex::Hex;
use crate::crypto::hash::sha256;
use crate::disk::{self, FileRole};

/// The largest file of authorities that is read, in octets. A system's has about 250 000.
const MAX_AUTHORITIES: usize = 4 << 20;

/// How far the clocks of a self-signed server and of this node may be apart (RS-000 §Clock drift). A path to an
/// authority has no such tolerance, as everywhere on the web.
const DRIFT: SignedDuration = SignedDuration::from_hours(2);

/// Sessions that are kept for resumption: a client has one server.
const SESSIONS: usize = 8;

/// Names of a certificate that a report lists.
const MAX_NAMES: usize = 4;

/// The authorities whose certificates of servers are believed.
#[derive(Debug, Clone, Default)]
pub struct Authorities {
    /// `None` for those of the system.
    given: Option<Arc<RootCertStore>>,
    /// A variable, and the file that it names for the system's.
    named: Option<(&'static str, PathBuf)>,
}

impl Authorities {
    /// Those of the operating system, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`. They are loaded on first use, once
    /// for the process: it takes milliseconds, and a pin or a server without TLS needs none.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// The certificates in a PEM file, and no others.
    ///
    /// # Errors
    /// [`Error::Setting`] when it cannot be read, or has no certificate.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let what = path.display().to_string();
        let octets = disk::files::read(path, FileRole::Keys, MAX_AUTHORITIES);
        let octets = octets.map_err(|error| Error::Setting {
            what: what.clone(),
            problem: error.to_string(),
        })?;
        Self::from_pem(&octets, &what)
    }

    /// The certificates in PEM, and no others. `what` names them in an error.
    ///
    /// # Errors
    /// [`Error::Setting`] when the text has no certificate, or a malformed one.
    pub fn from_pem(octets: &[u8], what: &str) -> Result<Self, Error> {
        let setting = |problem: String| Error::Setting {
            what: what.to_owned(),
            problem,
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(octets) {
            let certificate =
                certificate.map_err(|error| setting(format!("malformed PEM: {error}")))?;
            roots
                .add(certificate)
                .map_err(|_| setting("a certificate is malformed".to_owned()))?;
        }
        if roots.is_empty() {
            return Err(setting("no certificate in PEM".to_owned()));
        }
        Ok(Self {
            given: Some(Arc::new(roots)),
            named: None,
        })
    }

    /// Has a file that `variable` names for the authorities of the system be readable, if these are used. Otherwise what
    /// is elsewhere would be used in its place, without a word.
    pub fn expect_file(&mut self, variable: &'static str, path: PathBuf) {
        self.named = Some((variable, path));
    }

    /// Checks that the system's authorities are those that somebody named.
    fn check_named(&self) -> Result<(), Error> {
        let Some((variable, path)) = &self.named else {
            return Ok(());
        };
        let read = disk::files::read(path, FileRole::Keys, MAX_AUTHORITIES);
        read.map(drop).map_err(|error| Error::Setting {
            what: format!("{variable}: {}", path.display()),
            problem: error.to_string(),
        })
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, Error> {
        static SYSTEM: OnceLock<Result<Arc<RootCertStore>, String>> = OnceLock::new();
        if let Some(given) = &self.given {
            return Ok(Arc::clone(given));
        }
        self.check_named()?;
        let loaded = SYSTEM.get_or_init(load_system_roots).clone();
        loaded.map_err(|problem| Error::Setting {
            what: "authorities of the system".to_owned(),
            problem,
        })
    }
}

fn load_system_roots() -> Result<Arc<RootCertStore>, String> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system's store may hold a certificate that is malformed today: the others count.
    roots.add_parsable_certificates(loaded.certs);
    if !roots.is_empty() {
        return Ok(Arc::new(roots));
    }
    let causes: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
    Err(if causes.is_empty() {
        "there are none".to_owned()
    } else {
        causes.join("; ")
    })
}

/// How a client speaks TLS with one server. Its sessions are resumed, also under another connection.
#[derive(Debug, Clone)]
pub(super) struct TlsClient {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

impl TlsClient {
    /// The settings for a server, by the rule for its certificate. `now` is the time by which certificates are judged;
    /// it goes on from here.
    ///
    /// # Errors
    /// [`Error::Setting`] when no authority can be loaded.
    pub(super) fn new(
        server: &Server,
        authorities: &Authorities,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier {
            rule: Rule::of(server, authorities)?,
            algorithms: provider.signature_verification_algorithms,
        };
        let mut config = client_config(provider, now)
            .map_err(|error| failure(server, &error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        let name = match &server.host {
            Host::Literal(address) => ServerName::IpAddress((*address).into()),
            Host::Name(name) => ServerName::try_from(name.clone())
                .map_err(|_| Error::NoServer(server.to_string()))?,
        };
        Ok(Self {
            config: Arc::new(config),
            name,
        })
    }
}

type ConfigBuilder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn client_config(
    provider: Arc<CryptoProvider>,
    now: Timestamp,
) -> Result<ConfigBuilder, rustls::Error> {
    let clock = Clock {
        now,
        at: Instant::now(),
    };
    ClientConfig::builder_with_details(provider, Arc::new(clock))
        .with_safe_default_protocol_versions()
}

/// The time that the caller gave, and what has passed since.
#[derive(Debug)]
struct Clock {
    now: Timestamp,
    at: Instant,
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let passed = Instant::now().duration_since(self.at);
        let seconds = self.now.checked_add(passed).ok()?.as_second();
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            u64::try_from(seconds).ok()?,
        )))
    }
}

#[derive(Debug)]
enum Rule {
    Public(Arc<RootCertStore>),
    Pin([u8; 32]),
    SelfSigned(Authorities),
}

impl Rule {
    fn of(server: &Server, authorities: &Authorities) -> Result<Self, Error> {
        Ok(match (server.certificate, &server.host) {
            (CertificateRule::Pin(pin), _) => Self::Pin(pin),
            // Authorities are loaded only if the certificate turns out not to be self-signed.
            (CertificateRule::SelfSigned, Host::Literal(address)) if is_private(*address) => {
                Self::SelfSigned(authorities.clone())
            }
            // A name proves nothing about where it leads, and a public address belongs to anybody.
            _ => Self::Public(authorities.roots()?),
        })
    }
}

#[derive(Debug)]
struct Verifier {
    rule: Rule,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let is_by_authority = |roots: &RootCertStore| {
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                roots,
                intermediates,
                now,
                algorithms,
            )
            .map_err(|error| explained(error, end_entity, &certificate, algorithms))?;
            verify_server_name(&certificate, server_name)
        };
        match &self.rule {
            Rule::Public(roots) => is_by_authority(roots)?,
            Rule::Pin(pin) => {
                // The operator has compared the key. Dates, names and issuers would add nothing to that, and a node
                // whose clock is wrong must reach its gateway all the same.
                let found = sha256(&certificate.subject_public_key_info());
                if found != *pin {
                    return Err(other(format!(
                        "its key is not the pinned one: its SHA-256 is {}",
                        Hex(&found)
                    )));
                }
            }
            Rule::SelfSigned(authorities) => match TlsCertificate::parse(end_entity) {
                Some(shape) if shape.is_self_signed(self.algorithms.all) => {
                    check_dates(&shape, now)?;
                    verify_server_name(&certificate, server_name)?;
                }
                _ => {
                    let roots = authorities
                        .roots()
                        .map_err(|error| other(error.to_string()))?;
                    is_by_authority(&roots)?;
                }
            },
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The dates of a self-signed certificate, with the tolerance for clocks.
fn check_dates(certificate: &TlsCertificate<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let unix = |at: Timestamp| {
        let seconds = u64::try_from(at.as_second()).unwrap_or(0);
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
    };
    let at = timestamp(now);
    if at < certificate.not_before.saturating_sub(DRIFT).unwrap_or(at) {
        return Err(rustls::Error::InvalidCertificate(
            CertificateError::NotValidYetContext {
                time: now,
                not_before: unix(certificate.not_before),
            },
        ));
    }
    if at > certificate.not_after.saturating_add(DRIFT).unwrap_or(at) {
        return Err(rustls::Error::InvalidCertificate(
            CertificateError::ExpiredContext {
                time: now,
                not_after: unix(certificate.not_after),
            },
        ));
    }
    Ok(())
}

/// An unknown issuer, with what a person needs to find out why.
fn explained(
    error: rustls::Error,
    end_entity: &[u8],
    certificate: &ParsedCertificate<'_>,
    algorithms: &[&'static dyn rustls::pki_types::SignatureVerificationAlgorithm],
) -> rustls::Error {
    if error != rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) {
        return error;
    }
    let Some(shape) = TlsCertificate::parse(end_entity) else {
        return error;
    };
    if shape.is_self_signed(algorithms) {
        let found = sha256(&certificate.subject_public_key_info());
        return other(format!(
            "it is self-signed: the SHA-256 of its key is {}",
            Hex(&found)
        ));
    }
    let issuer = shape.issuer_common_name().map(excerpt);
    other(match issuer {
        Some(issuer) => format!("its issuer is no authority here: {issuer}"),
        None => "its issuer is no authority here".to_owned(),
    })
}

/// A text of our own as an error of rustls.
fn other(problem: String) -> rustls::Error {
    let problem: Arc<dyn std::error::Error + Send + Sync> = Arc::from(Box::from(problem));
    rustls::Error::InvalidCertificate(CertificateError::Other(rustls::OtherError(problem)))
}

/// A failure of TLS, as what it says about the server.
pub(super) fn failure(server: &Server, error: &rustls::Error) -> Error {
    let problem = match error {
        rustls::Error::InvalidCertificate(error) => problem(error, server),
        rustls::Error::NoCertificatesPresented => "it shows none".to_owned(),
        _ => {
            return Error::Broken {
                server: server.to_string(),
                cause: io::Error::new(io::ErrorKind::InvalidData, format!("TLS: {error}")),
            };
        }
    };
    Error::Certificate {
        server: server.to_string(),
        problem,
    }
}

fn problem(error: &CertificateError, server: &Server) -> String {
    let by_this_clock = |now: UnixTime| format!("and this clock shows {}", timestamp(now));
    match error {
        CertificateError::ExpiredContext { time, not_after } => {
            format!(
                "expired at {}, {}",
                timestamp(*not_after),
                by_this_clock(*time)
            )
        }
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "not valid before {}, {}",
            timestamp(*not_before),
            by_this_clock(*time)
        ),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            format!("it names no host, and not {}", server.host)
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let mut names: Vec<String> = presented
                .iter()
                .take(MAX_NAMES)
                .map(|name| excerpt(name_within(name).as_bytes()))
                .collect();
            if presented.len() > MAX_NAMES {
                names.push(format!("{} more", presented.len() - MAX_NAMES));
            }
            format!("it is for {}, not for {}", names.join(", "), server.host)
        }
        CertificateError::UnknownIssuer => "its issuer is no authority here".to_owned(),
        CertificateError::BadSignature => "a signature of it or by it is wrong".to_owned(),
        CertificateError::BadEncoding => "malformed".to_owned(),
        CertificateError::Other(error) => error.0.to_string(),
        error => error.to_string(),
    }
}

/// The name in the form in which rustls shows it: `DnsName("gw.example.org")`, `IpAddress(10.0.0.1)`.
fn name_within(shown: &str) -> &str {
    let within = shown.split_once('(').map_or(shown, |(_, within)| within);
    within.trim_end_matches(')').trim_matches('"')
}

fn timestamp(time: UnixTime) -> Timestamp {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}
