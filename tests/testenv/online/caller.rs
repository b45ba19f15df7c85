//! A client of CogRPC, step by step: each message is sent and received when the test says so.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::Request;
use relaynet::binding::cogrpc::{
    Call, CargoDelivery, CargoDeliveryAck, FrameDecoder, MAX_MESSAGE, authorization, frame,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::runtime::Runtime;

use super::Authority;

/// A connection.
pub(crate) struct Caller {
    runtime: Runtime,
    client: SendRequest<Bytes>,
    name: String,
}

/// Takes any certificate; who has it must have its key, too.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallEnd {
    /// With this status and text of gRPC.
    Status(u32, Option<String>),
    /// With this status of HTTP.
    Http(u16),
    /// Without a status.
    Broken(String),
}

impl CallEnd {
    /// The status of gRPC, if it has one.
    pub(crate) fn code(&self) -> Option<u32> {
        match self {
            Self::Status(code, _) => Some(*code),
            _ => None,
        }
    }
}

impl Caller {
    /// Connects: the server must be certified by `authority` for `name`.
    pub(crate) fn connect(port: u16, name: &str, authority: &Authority) -> Self {
        Self::try_connect(port, name, authority).unwrap()
    }

    /// Connects to a courier, whose certificate nobody vouches for.
    pub(crate) fn connect_to_courier(port: u16) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let anybody = Arc::new(Anybody(Arc::clone(&provider)));
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(anybody)
            .with_no_client_auth();
        Self::over(config, port, "127.0.0.1").unwrap()
    }

    /// As [`connect`](Self::connect), at a server that may be gone.
    pub(crate) fn try_connect(port: u16, name: &str, authority: &Authority) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self::over(config, port, name)
    }

    fn over(mut config: rustls::ClientConfig, port: u16, name: &str) -> io::Result<Self> {
        config.alpn_protocols = vec![b"h2".to_vec()];
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let named = ServerName::try_from(name.to_owned()).unwrap();
        let client = runtime.block_on(async {
            let tcp = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let stream = connector.connect(named, tcp).await?;
            let begun = h2::client::handshake(stream).await;
            let (client, connection) = begun.map_err(io::Error::other)?;
            tokio::spawn(connection);
            io::Result::Ok(client)
        })?;
        Ok(Self {
            runtime,
            client,
            name: name.to_owned(),
        })
    }

    /// Begins a call with these headers.
    pub(crate) fn begin(&self, call: Call, headers: &[(&str, &str)]) -> CargoCall<'_> {
        let headers = [&[("content-type", "application/grpc")], headers].concat();
        self.request("POST", call, &headers)
    }

    /// Begins a request of any kind.
    pub(crate) fn request(
        &self,
        method: &str,
        call: Call,
        headers: &[(&str, &str)],
    ) -> CargoCall<'_> {
        self.try_request(method, call, headers).unwrap()
    }

    /// As [`begin`](Self::begin), at a server that may be gone.
    pub(crate) fn try_begin(
        &self,
        call: Call,
        headers: &[(&str, &str)],
    ) -> Result<CargoCall<'_>, h2::Error> {
        let headers = [&[("content-type", "application/grpc")], headers].concat();
        self.try_request("POST", call, &headers)
    }

    fn try_request(
        &self,
        method: &str,
        call: Call,
        headers: &[(&str, &str)],
    ) -> Result<CargoCall<'_>, h2::Error> {
        let uri = format!("https://{}{}", self.name, call.path());
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("te", "trailers").body(()).unwrap();
        let mut client = self.client.clone();
        let (answer, stream) = self.runtime.block_on(async {
            poll_fn(|cx| client.poll_ready(cx)).await?;
            client.send_request(request, false)
        })?;
        Ok(CargoCall {
            caller: self,
            answer: Some(answer),
            stream,
            body: None,
            ended: None,
            decoder: FrameDecoder::new(MAX_MESSAGE),
        })
    }

    /// Asks for cargo, with these headers besides the authorization.
    pub(crate) fn collect(&self, cca: &[u8], headers: &[(&str, &str)]) -> CargoCall<'_> {
        let shown = authorization::write(cca);
        let headers = [&[(authorization::HEADER, &*shown)], headers].concat();
        self.begin(Call::Collect, &headers)
    }

    /// Delivers cargo. Returns how many were acknowledged, and the end.
    pub(crate) fn deliver(&self, cargoes: &[&[u8]]) -> (usize, CallEnd) {
        let mut call = self.begin(Call::Deliver, &[]);
        for (at, cargo) in cargoes.iter().enumerate() {
            call.give(&at.to_string(), cargo);
        }
        call.close();
        let mut acknowledged = 0;
        while let Some(ack) = call.next::<CargoDeliveryAck>() {
            assert_eq!(ack.id, acknowledged.to_string());
            acknowledged += 1;
        }
        (acknowledged, call.end())
    }

    /// Collects everything, and acknowledges it. Returns the cargo, and the end.
    pub(crate) fn collect_all(&self, cca: &[u8]) -> (Vec<Vec<u8>>, CallEnd) {
        let mut call = self.collect(cca, &[]);
        let mut cargoes = Vec::new();
        while let Some(delivery) = call.next::<CargoDelivery>() {
            call.acknowledge(&delivery.id);
            cargoes.push(delivery.cargo.to_vec());
        }
        (cargoes, call.end())
    }
}

/// A call. When it is dropped, the stream is reset if it has not ended.
pub(crate) struct CargoCall<'a> {
    caller: &'a Caller,
    answer: Option<ResponseFuture>,
    stream: SendStream<Bytes>,
    body: Option<RecvStream>,
    ended: Option<CallEnd>,
    decoder: FrameDecoder,
}

impl CargoCall<'_> {
    /// Sends octets. A server that has ended the call does not want them.
    pub(crate) fn send(&mut self, octets: impl Into<Vec<u8>>) {
        let _ = self.stream.send_data(octets.into().into(), false);
    }

    /// Sends cargo.
    pub(crate) fn give(&mut self, id: &str, cargo: &[u8]) {
        self.send(delivery(id, cargo));
    }

    /// Acknowledges a delivery.
    pub(crate) fn acknowledge(&mut self, id: &str) {
        let ack = CargoDeliveryAck { id: id.to_owned() };
        self.send(frame::encode(&ack).unwrap());
    }

    /// Sends nothing more.
    pub(crate) fn close(&mut self) {
        let _ = self.stream.send_data(Bytes::new(), true);
    }

    /// The next message; `None` at the end.
    pub(crate) fn next<M: prost::Message + Default>(&mut self) -> Option<M> {
        loop {
            if let Some(message) = self.decoder.next_decoded().unwrap() {
                return Some(message);
            }
            let octets = self.octets()?;
            self.decoder.feed(octets);
        }
    }

    /// Takes octets that came as a part of messages.
    pub(crate) fn feed(&mut self, octets: Bytes) {
        self.decoder.feed(octets);
    }

    /// The next octets; `None` at the end.
    pub(crate) fn octets(&mut self) -> Option<Bytes> {
        let runtime = &self.caller.runtime;
        match runtime.block_on(received(&mut self.answer, &mut self.body)) {
            Ok(octets) => Some(octets),
            Err(end) => {
                self.ended.get_or_insert(end);
                None
            }
        }
    }

    /// How it ends; messages that still come are left out.
    pub(crate) fn end(mut self) -> CallEnd {
        while self.ended.is_none() {
            self.octets();
        }
        self.ended.take().unwrap()
    }
}

/// A message with cargo, and what is before it.
pub(crate) fn delivery(id: &str, cargo: &[u8]) -> Vec<u8> {
    let message = CargoDelivery {
        id: id.to_owned(),
        cargo: cargo.to_vec().into(),
    };
    frame::encode(&message).unwrap().to_vec()
}

async fn received(
    answer: &mut Option<ResponseFuture>,
    body: &mut Option<RecvStream>,
) -> Result<Bytes, CallEnd> {
    let broken = |error: h2::Error| CallEnd::Broken(error.to_string());
    if let Some(answer) = answer.take() {
        let response = answer.await.map_err(broken)?;
        if response.status() != 200 {
            return Err(CallEnd::Http(response.status().as_u16()));
        }
        if let Some(status) = status(response.headers()) {
            return Err(status);
        }
        *body = Some(response.into_body());
    }
    let Some(body) = body else {
        return Err(CallEnd::Broken("it has ended".to_owned()));
    };
    if let Some(octets) = body.data().await {
        let octets = octets.map_err(broken)?;
        let _ = body.flow_control().release_capacity(octets.len());
        return Ok(octets);
    }
    let trailers = body.trailers().await.map_err(broken)?;
    let status = trailers.as_ref().and_then(status);
    Err(status.unwrap_or_else(|| CallEnd::Broken("no status".to_owned())))
}

fn status(headers: &http::HeaderMap) -> Option<CallEnd> {
    let text = |name: &str| Some(headers.get(name)?.to_str().unwrap().to_owned());
    let code = text("grpc-status")?.parse().unwrap();
    Some(CallEnd::Status(code, text("grpc-message")))
}
