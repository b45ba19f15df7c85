//! Servers of the tests, on loopback: certificates of any shape, and whatever a test writes as an answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    PublicKeyData,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::connect::ConnectOptions;
use super::server::{CertificateRule, Server};
use super::tls::Authorities;
use crate::asn1::pem;
use crate::crypto::hash::sha256;

/// The time of the tests.
pub(super) fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

/// Options of tests: short times, and no authority of the system.
pub(super) fn options(authority: &TestAuthority) -> ConnectOptions {
    ConnectOptions {
        authorities: Authorities::from_pem(authority.pem.as_bytes(), "test").unwrap(),
        within: Duration::from_secs(5),
        silence: Duration::from_millis(500),
        rate: 100_000,
        ..ConnectOptions::new(now())
    }
}

/// What a certificate says: its names, when it is valid in minutes from now, and whether it is a CA's.
pub(super) struct CertificateShape {
    pub(super) names: Vec<&'static str>,
    pub(super) minutes: (i64, i64),
    pub(super) ca: bool,
}

impl CertificateShape {
    pub(super) fn of(names: &[&'static str]) -> Self {
        Self {
            names: names.to_vec(),
            minutes: (-60, 60),
            ca: false,
        }
    }

    fn params(&self) -> CertificateParams {
        let names: Vec<String> = self.names.iter().map(|it| (*it).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let at = |minutes: i64| {
            let at = now() + SignedDuration::from_mins(minutes);
            rcgen::date_time_ymd(1970, 1, 1)
                + Duration::from_secs(u64::try_from(at.as_second()).unwrap())
        };
        (params.not_before, params.not_after) = (at(self.minutes.0), at(self.minutes.1));
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "server of the tests");
        if self.ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params
    }

    pub(super) fn self_signed(&self) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = self.params().self_signed(&key).unwrap();
        Identity::new(vec![certificate.der().clone()], &key)
    }
}

/// An authority that only the tests believe.
pub(super) struct TestAuthority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

impl TestAuthority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "test authority");
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    pub(super) fn issue(&self, shape: &CertificateShape) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = shape.params().signed_by(&key, &self.issuer).unwrap();
        Identity::new(vec![certificate.der().clone()], &key)
    }
}

/// A certificate and its key.
pub(super) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    pub(super) pin: [u8; 32],
}

impl Identity {
    fn new(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Self {
        Self {
            chain,
            key: key.serialize_der(),
            pin: sha256(&key.subject_public_key_info()),
        }
    }

    /// Its first certificate.
    pub(super) fn pem(&self) -> String {
        pem::encode("CERTIFICATE", &self.chain[0])
    }

    fn config(&self, version: Option<&'static rustls::SupportedProtocolVersion>) -> ServerConfig {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = match version {
            None => builder.with_safe_default_protocol_versions(),
            Some(version) => builder.with_protocol_versions(&[version]),
        };
        let builder = builder.unwrap().with_no_client_auth();
        builder.with_single_cert(self.chain.clone(), key).unwrap()
    }
}

/// A connection as a server of a test sees it.
pub(super) trait ClientSide: Read + Write {}

impl<T: Read + Write> ClientSide for T {}

/// A server of a test. Each connection has a thread, and a number from 0.
pub(super) struct TestServer {
    pub(super) address: SocketAddr,
}

impl TestServer {
    /// A server without TLS.
    pub(super) fn plain(
        handle: impl Fn(usize, &mut dyn ClientSide) + Send + Sync + 'static,
    ) -> Self {
        Self::raw(move |index, mut socket| handle(index, &mut socket))
    }

    /// A server with TLS, which starts with the first octet that is read or written.
    pub(super) fn tls(
        identity: &Identity,
        handle: impl Fn(usize, &mut dyn ClientSide) + Send + Sync + 'static,
    ) -> Self {
        Self::tls_of(None, identity, handle)
    }

    /// A server with one version of TLS.
    pub(super) fn tls_of(
        version: Option<&'static rustls::SupportedProtocolVersion>,
        identity: &Identity,
        handle: impl Fn(usize, &mut dyn ClientSide) + Send + Sync + 'static,
    ) -> Self {
        let config = Arc::new(identity.config(version));
        Self::raw(move |index, socket| handle(index, &mut accept(&config, socket)))
    }

    /// A proxy that answers `answer` to the head of each request, and then is the server itself.
    pub(super) fn proxy(
        identity: &Identity,
        answer: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        let config = Arc::new(identity.config(None));
        Self::raw(move |_, mut socket| {
            let (head, _) = request(&mut socket);
            socket.write_all(answer(&head).as_bytes()).unwrap();
            answer_ok(&mut accept(&config, socket));
        })
    }

    fn raw(handle: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let handle = Arc::new(handle);
        thread::spawn(move || {
            for (index, socket) in listener.incoming().enumerate() {
                let (handle, socket) = (Arc::clone(&handle), socket.unwrap());
                // What is written last is sent, although the server closes without having read everything.
                socket.set_nodelay(true).unwrap();
                thread::spawn(move || handle(index, socket));
            }
        });
        Self { address }
    }

    /// This server under its address, or under a name that the caller resolves to it.
    pub(super) fn under(&self, host: &str, certificate: CertificateRule) -> Server {
        let mut server = self.named(host);
        server.certificate = certificate;
        server
    }

    pub(super) fn named(&self, host: &str) -> Server {
        Server::named_by_operator(&format!("{host}:{}", self.address.port()), None).unwrap()
    }
}

fn accept(
    config: &Arc<ServerConfig>,
    socket: TcpStream,
) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), socket)
}

/// Answers each request with 202, until the client goes away.
pub(super) fn answer_ok(peer: &mut dyn ClientSide) {
    while !request(peer).0.is_empty() {
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok";
        if peer.write_all(answer).is_err() {
            break;
        }
    }
}

/// The head and the body of the next request. Both are empty when the client goes away.
pub(super) fn request(peer: &mut (impl Read + ?Sized)) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match peer.read(&mut octet) {
            Ok(1) => head.push(octet[0]),
            _ => return (String::new(), Vec::new()),
        }
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    if peer.read_exact(&mut body).is_err() {
        return (String::new(), Vec::new());
    }
    (head, body)
}

/// Reads until the client goes away, and says nothing.
pub(super) fn stay_silent(peer: &mut (impl Read + ?Sized)) {
    let mut buffer = [0; 4096];
    while matches!(peer.read(&mut buffer), Ok(1..)) {}
}
