//! A client of HTTP/1.1 for one server, over a connection that is kept.
//!
//! There are no cookies, no compression, no total time but a lowest rate, and no redirects: who may follow one decides by its target
//! ([`redirect`](super::redirect)).

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ureq::http::{Request as HttpRequest, Response, header};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector as HttpConnector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Body, SendBody};

use super::Error;
use super::connect::{Connection, Connector};
use super::excerpt::{excerpt, explanation};
use super::request_body::{BodyReader, RequestBody};
use super::retry::{http_date, retry_after};
use super::server::{CertificateRule, Server};
use crate::kind::ErrorKind;
use crate::pipeline::mutex::lock;

/// The longest head of an answer, in octets.
const MAX_HEAD: usize = 16 << 10;

/// Octets until the end of that head: whatever a server sends before it, such as heads of status 1xx.
const MAX_BEFORE_BODY: u64 = 64 << 10;

/// Octets that are kept of a body that is only shown or ignored.
const MAX_EXPLANATION: usize = 4096;

/// The buffers of a connection, in octets: from the server, and to it.
const INPUT: usize = 32 << 10;
const OUTPUT: usize = 64 << 10;

/// How long a server that takes no more of a request may have an answer to it under way.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A kept connection is asked whether it is still open before it is used again, whatever its age.
const MAX_IDLE: Duration = Duration::from_secs(3600);

const USER_AGENT: &str = concat!("relaynet/", env!("CARGO_PKG_VERSION"));

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
}

/// A request. It must be safe to repeat, as all of these protocols are.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Its method.
    pub method: Method,
    /// The path and query, beginning with a slash.
    pub path: &'a str,
    /// The type of the body.
    pub content_type: Option<&'a str>,
    /// The value of `Authorization`.
    pub authorization: Option<&'a str>,
    /// The value of `Accept`; by default `*/*`.
    pub accept: Option<&'a str>,
    /// The body, of POST alone.
    pub body: RequestBody<'a>,
}

impl<'a> Request<'a> {
    /// A request without a body.
    #[must_use]
    pub fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            content_type: None,
            authorization: None,
            accept: None,
            body: RequestBody::Octets(&[]),
        }
    }

    /// A POST of a body.
    #[must_use]
    pub fn post(path: &'a str, content_type: &'a str, body: &'a [u8]) -> Self {
        Self {
            content_type: Some(content_type),
            body: RequestBody::Octets(body),
            ..Self::new(Method::Post, path)
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// The value of `Content-Type`.
    pub content_type: Option<String>,
    /// The value of `Location`.
    pub location: Option<String>,
    /// When the server asks to be tried again, an hour at most.
    pub retry_after: Option<Duration>,
    /// The time by the server's clock.
    pub date: Option<Timestamp>,
    /// The body; of a status other than 2xx the first 4096 octets.
    pub body: Vec<u8>,
}

impl Answer {
    /// The answer as an error of a kind, which the table of outcomes gives.
    #[must_use]
    pub fn into_error(self, server: &Server, kind: ErrorKind) -> Error {
        Error::Answer {
            server: server.to_string(),
            status: self.status,
            text: explanation(&self.body),
            kind,
            retry_after: self.retry_after,
        }
    }
}

/// A client of one server. The connection is made with the first request, and kept.
pub struct Client {
    server: Server,
    agent: Agent,
    progress: Arc<Mutex<AnswerProgress>>,
    /// The time that the caller gave, and when.
    clock: (Timestamp, Instant),
}

/// What a connection tells the request that is under way, around ureq.
#[derive(Debug, Default)]
struct AnswerProgress {
    /// The connection was made for this request.
    is_new: bool,
    /// The request is being sent.
    is_sending: bool,
    /// Its answer is waited for.
    is_awaited: bool,
    /// Something of the answer came.
    has_begun: bool,
    /// Octets that may still come.
    left: u64,
    failure: Option<Error>,
}

impl Client {
    /// A client that connects with a connector. `now` is the time by which a `Retry-After` without a date is judged.
    #[must_use]
    pub fn new(connector: Connector, now: Timestamp) -> Self {
        let server = connector.server().clone();
        let progress = Arc::new(Mutex::new(AnswerProgress::default()));
        let config = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            // ureq would take one from the environment.
            .proxy(None)
            .user_agent(USER_AGENT)
            .max_response_header_size(MAX_HEAD)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .max_idle_age(MAX_IDLE)
            .build();
        let wires = Wires {
            connector,
            progress: Arc::clone(&progress),
        };
        Self {
            server,
            agent: Agent::with_parts(config, wires, Unresolved),
            progress,
            clock: (now, Instant::now()),
        }
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Sends a request, and reads its answer, whatever its status. A body of 2xx has at most `limit` octets; with a
    /// limit of 0 it is not wanted, and how it ends does not matter.
    ///
    /// A connection that was kept, and that the server closed meanwhile, is made anew once.
    ///
    /// # Errors
    /// Those of [`Connector::connect`], [`Error::Broken`], [`Error::Silent`], and [`Error::Protocol`] when the answer
    /// is malformed or over a limit.
    pub fn send(&self, request: &Request<'_>, limit: usize) -> Result<Answer, Error> {
        let first = self.attempt(request, limit);
        let was_stale = {
            let progress = self.progress();
            !progress.is_new && !progress.has_begun
        };
        match first {
            Err(Error::Broken { .. }) if was_stale => self.attempt(request, limit),
            first => first,
        }
    }

    fn attempt(&self, request: &Request<'_>, limit: usize) -> Result<Answer, Error> {
        *self.progress() = AnswerProgress {
            left: MAX_BEFORE_BODY,
            ..AnswerProgress::default()
        };
        let response = self.exchange(request).map_err(|error| self.failed(error))?;
        let header = |name: header::HeaderName| {
            let value = response.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let date = header(header::DATE).and_then(|value| http_date(&value));
        let mut answer = Answer {
            status: response.status().as_u16(),
            content_type: header(header::CONTENT_TYPE),
            location: header(header::LOCATION),
            retry_after: header(header::RETRY_AFTER)
                .and_then(|value| retry_after(&value, date, self.now())),
            date,
            body: Vec::new(),
        };
        let is_wanted = response.status().is_success() && limit > 0;
        let limit = if is_wanted { limit } else { MAX_EXPLANATION };
        // Chunks of one octet take six.
        self.progress().left = (limit as u64).saturating_mul(8) + MAX_BEFORE_BODY;
        match self.body(response.into_body(), limit) {
            Ok(body) => answer.body = body,
            Err(error) if is_wanted => return Err(error),
            // The status alone is as good: what was refused stays refused.
            Err(_) => {}
        }
        Ok(answer)
    }

    fn exchange(&self, request: &Request<'_>) -> Result<Response<Body>, ureq::Error> {
        let scheme = match self.server.certificate {
            CertificateRule::Plaintext => "http",
            _ => "https",
        };
        let mut built = HttpRequest::builder()
            .uri(format!("{scheme}://{}{}", self.server, request.path))
            .method(match request.method {
                Method::Get => "GET",
                Method::Head => "HEAD",
                Method::Post => "POST",
            });
        for (name, value) in [
            (header::CONTENT_TYPE, request.content_type),
            (header::AUTHORIZATION, request.authorization),
            (header::ACCEPT, request.accept),
        ] {
            if let Some(value) = value {
                built = built.header(name, value);
            }
        }
        match request.method {
            Method::Post => {
                let mut body = BodyReader::new(request.body);
                let built = built.header(header::CONTENT_LENGTH, request.body.len());
                self.agent
                    .run(built.body(SendBody::from_reader(&mut body))?)
            }
            Method::Get | Method::Head => self.agent.run(built.body(())?),
        }
    }

    fn body(&self, body: Body, limit: usize) -> Result<Vec<u8>, Error> {
        let too_long = || self.protocol(format!("an answer of over {limit} octets"));
        if body
            .content_length()
            .is_some_and(|length| length > limit as u64)
        {
            return Err(too_long());
        }
        let mut octets = Vec::new();
        let mut reader = body.into_reader().take(limit as u64 + 1);
        reader
            .read_to_end(&mut octets)
            .map_err(|error| self.failed(ureq::Error::from(error)))?;
        if octets.len() > limit {
            return Err(too_long());
        }
        Ok(octets)
    }

    /// An error of ureq, or rather that of the connection under it.
    fn failed(&self, error: ureq::Error) -> Error {
        if let Some(failure) = self.progress().failure.take() {
            return failure;
        }
        match error {
            // One of the body, which is no fault of the connection.
            ureq::Error::Io(cause) => match cause.downcast() {
                Ok(error) => error,
                Err(cause) => Error::Broken {
                    server: self.server.to_string(),
                    cause,
                },
            },
            error => self.protocol(excerpt(error.to_string().as_bytes())),
        }
    }

    fn protocol(&self, problem: String) -> Error {
        Error::Protocol {
            server: self.server.to_string(),
            problem,
        }
    }

    fn now(&self) -> Timestamp {
        let (now, at) = self.clock;
        let passed = Instant::now().duration_since(at);
        now.saturating_add(passed).unwrap_or(now)
    }

    fn progress(&self) -> MutexGuard<'_, AnswerProgress> {
        lock(&self.progress)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Client");
        shown.field("server", &self.server).finish_non_exhaustive()
    }
}

/// ureq asks for addresses before it asks for a connection, which here knows its own.
#[derive(Debug)]
struct Unresolved;

impl Resolver for Unresolved {
    fn resolve(
        &self,
        _: &ureq::http::Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

/// Makes the connections of a client.
#[derive(Debug)]
struct Wires {
    connector: Connector,
    progress: Arc<Mutex<AnswerProgress>>,
}

impl HttpConnector for Wires {
    type Out = Wire;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Wire>, ureq::Error> {
        lock(&self.progress).is_new = true;
        match self.connector.connect() {
            Ok(connection) => Ok(Some(Wire {
                connection,
                buffers: LazyBuffers::new(INPUT, OUTPUT),
                progress: Arc::clone(&self.progress),
                unsent: None,
            })),
            Err(error) => Err(give_up(&self.progress, error)),
        }
    }
}

/// Leaves an error for the client. What ureq gets instead only ends its work.
fn give_up(progress: &Mutex<AnswerProgress>, error: Error) -> ureq::Error {
    lock(progress).failure = Some(error);
    ureq::Error::ConnectionFailed
}

/// A connection under ureq.
#[derive(Debug)]
struct Wire {
    connection: Connection,
    buffers: LazyBuffers,
    progress: Arc<Mutex<AnswerProgress>>,
    /// Why the rest of the request did not go out.
    unsent: Option<io::Error>,
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        if !std::mem::replace(&mut lock(&self.progress).is_sending, true) {
            self.connection.begin();
        }
        // A server that refuses a body need not read it: it may have answered and closed. So ureq goes on to read.
        if self.unsent.is_none() {
            let output = &self.buffers.output()[..amount];
            let written = self.connection.write_all(output);
            self.unsent = written.and_then(|()| self.connection.flush()).err();
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        if !std::mem::replace(&mut lock(&self.progress).is_awaited, true) {
            match self.unsent {
                None => self.connection.begin(),
                Some(_) => self.connection.begin_within(LAST_WORDS),
            }
        }
        let input = self.buffers.input_append_buf();
        let read = if self.unsent.is_some() {
            self.connection.read_last_words(input)
        } else {
            loop {
                match self.connection.read(input) {
                    Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                    read => break read,
                }
            }
        };
        let mut progress = lock(&self.progress);
        let read = match (read, self.unsent.take()) {
            (Ok(0) | Err(_), Some(cause)) if !progress.has_begun => Err(cause),
            (read, unsent) => {
                self.unsent = unsent;
                read
            }
        };
        let read = match read {
            Ok(read) => read,
            Err(cause) => {
                progress.failure = Some(self.connection.error(cause));
                return Err(ureq::Error::ConnectionFailed);
            }
        };
        progress.has_begun |= read > 0;
        let Some(left) = progress.left.checked_sub(read as u64) else {
            progress.failure = Some(Error::Protocol {
                server: self.connection.server().to_string(),
                problem: "an answer that does not end".to_owned(),
            });
            return Err(ureq::Error::ConnectionFailed);
        };
        progress.left = left;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        // What comes unasked, as 408 does from servers that close idle connections, answers no later request.
        self.unsent.is_none() && self.connection.is_idle()
    }

    /// Whether there is TLS was decided before: [`Connector::new`] makes none without it but on loopback.
    fn is_tls(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::binding::connect::ConnectOptions;
    use crate::binding::testserver::{
        CertificateShape, ClientSide, TestAuthority, TestServer, answer_ok, now, options, request,
        stay_silent,
    };

    const LIMIT: usize = 1 << 20;

    fn client(server: Server) -> Client {
        let options = options(&TestAuthority::new());
        Client::new(Connector::new(server, &[], &options).unwrap(), now())
    }

    fn local(server: &TestServer) -> Client {
        client(Server::local(server.address.port()))
    }

    /// A server that gives these octets to each request, and then closes.
    fn answering(answer: impl Into<Vec<u8>>) -> TestServer {
        let answer = answer.into();
        TestServer::plain(move |_, peer| {
            request(peer);
            let _ = peer.write_all(&answer);
        })
    }

    fn get(server: &TestServer) -> Result<Answer, Error> {
        local(server).send(&Request::new(Method::Get, "/"), LIMIT)
    }

    fn numbered(connections: &Arc<AtomicUsize>, index: usize) {
        connections.fetch_max(index + 1, Ordering::SeqCst);
    }

    #[test]
    fn a_request_is_whole_and_its_answer_too() {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let server = TestServer::plain(move |_, peer| {
            let (head, body) = request(peer);
            assert_eq!(body, b"parcel");
            seen.lock().unwrap().push(head);
            let answer = "HTTP/1.1 503 Busy\r\nContent-Type: text/plain\r\nLocation: /x\r\n\
                Retry-After: Mon, 01 Jun 2026 13:00:10 GMT\r\nDate: Mon, 01 Jun 2026 13:00:00 GMT\r\n\
                Content-Length: 7\r\n\r\nno room";
            peer.write_all(answer.as_bytes()).unwrap();
        });
        let mut sent = Request::post("/v1/parcels?x", "application/vnd.awala.parcel", b"parcel");
        sent.authorization = Some("Relaynet-Countersignature AAAA");
        let client = local(&server);
        let answer = client.send(&sent, LIMIT).unwrap();
        let expected = Answer {
            status: 503,
            content_type: Some("text/plain".to_owned()),
            location: Some("/x".to_owned()),
            retry_after: Some(Duration::from_secs(10)),
            date: Some("2026-06-01T13:00:00Z".parse().unwrap()),
            body: b"no room".to_vec(),
        };
        assert_eq!(answer, expected);
        let head = heads.lock().unwrap()[0].to_ascii_lowercase();
        let mut lines: Vec<&str> = head.trim_end().lines().collect();
        lines[1..].sort_unstable();
        let host = format!("host: {}", server.address);
        let agent = format!("user-agent: {}", USER_AGENT.to_ascii_lowercase());
        assert_eq!(
            lines,
            [
                "post /v1/parcels?x http/1.1",
                "accept: */*",
                "authorization: relaynet-countersignature aaaa",
                "content-length: 6",
                "content-type: application/vnd.awala.parcel",
                &host,
                &agent,
            ]
        );
        let error = answer.into_error(client.server(), ErrorKind::Unreachable);
        assert_eq!(
            error.to_string(),
            format!("{}: 503: no room", server.address)
        );
    }

    #[test]
    fn a_connection_is_kept_and_made_anew_when_it_was_closed() {
        let ca = TestAuthority::new();
        let identity = ca.issue(&CertificateShape::of(&["127.0.0.1"]));
        for requests in [1, 3, 1000] {
            // The server closes after so many answers, without a word.
            let connections = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&connections);
            let server = TestServer::tls(&identity, move |index, peer| {
                numbered(&count, index);
                for _ in 0..requests {
                    if request(peer).0.is_empty() {
                        return;
                    }
                    let _ = peer.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
                }
            });
            let connector = Connector::new(server.named("127.0.0.1"), &[], &options(&ca)).unwrap();
            let client = Client::new(connector, now());
            for _ in 0..6 {
                let body = vec![7; 70_000];
                let sent = Request::post("/", "text/plain", &body);
                assert_eq!(client.send(&sent, LIMIT).unwrap().status, 202);
            }
            let made = connections.load(Ordering::SeqCst);
            assert_eq!(made, 6_usize.div_ceil(requests), "{requests}");
        }
    }

    #[test]
    fn a_kept_connection_that_dies_under_a_request_is_made_anew_once() {
        // The second request of a connection is taken, and never answered.
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let server = TestServer::plain(move |index, peer| {
            numbered(&count, index);
            request(peer);
            let _ = peer.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
            request(peer);
        });
        let client = local(&server);
        for made in 1..4 {
            let answer = client.send(&Request::post("/", "text/plain", b"x"), LIMIT);
            assert_eq!(answer.unwrap().status, 202);
            assert_eq!(connections.load(Ordering::SeqCst), made);
        }
        // A new connection that dies is an error, and is not tried again.
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let server = TestServer::plain(move |index, peer| {
            numbered(&count, index);
            request(peer);
        });
        let error = get(&server).unwrap_err();
        assert!(matches!(error, Error::Broken { .. }), "{error:?}");
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn what_comes_unasked_is_no_answer() {
        for pause in [0, 50] {
            let server = TestServer::plain(move |index, peer| {
                let number = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{index}");
                let unasked = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
                request(peer);
                if pause == 0 {
                    peer.write_all(format!("{number}{unasked}").as_bytes())
                        .unwrap();
                } else {
                    peer.write_all(number.as_bytes()).unwrap();
                    std::thread::sleep(Duration::from_millis(pause));
                    peer.write_all(unasked.as_bytes()).unwrap();
                }
                stay_silent(peer);
            });
            let client = local(&server);
            for number in [b"0", b"1"] {
                let answer = client.send(&Request::new(Method::Get, "/"), LIMIT).unwrap();
                assert_eq!(
                    (answer.status, &answer.body[..]),
                    (200, &number[..]),
                    "{pause}"
                );
                std::thread::sleep(Duration::from_millis(3 * pause));
            }
        }
    }

    #[test]
    fn an_answer_that_is_cut_off_is_an_error_at_every_octet() {
        let answers = [
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbod\r\n1\r\ny\r\n0\r\n\r\n",
        ];
        for answer in answers {
            assert_eq!(get(&answering(answer)).unwrap().body, b"body");
            for end in 0..answer.len() {
                match get(&answering(&answer[..end])) {
                    Err(Error::Broken { .. } | Error::Protocol { .. }) => {}
                    // The last line end of a chunked body says nothing any more.
                    Ok(answer) if answer.body == b"body" => {}
                    other => panic!("{end}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_refusal_counts_without_its_text() {
        // Its text is cut off, too long, or malformed: a refusal is a refusal.
        for rest in [
            "Content-Length: 9000000\r\n\r\nno".to_owned(),
            format!("\r\n{}", "no".repeat(1 << 20)),
            "Transfer-Encoding: chunked\r\n\r\nzzz".to_owned(),
        ] {
            let server = answering(format!("HTTP/1.1 413 Too long\r\n{rest}"));
            assert_eq!(get(&server).unwrap().status, 413);
        }
        // And so is acceptance, where the text is not wanted.
        let server = answering("HTTP/1.1 202 Accepted\r\nContent-Length: 9000000\r\n\r\nno");
        let sent = Request::post("/", "text/plain", b"x");
        assert_eq!(local(&server).send(&sent, 0).unwrap().status, 202);
        let error = local(&server).send(&sent, LIMIT).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("an answer of over 1048576 octets"),
            "{error}"
        );
    }

    #[test]
    fn a_refusal_is_read_although_the_body_was_not_taken() {
        let refuse = |_, peer: &mut dyn ClientSide| {
            let mut head = [0; 10];
            peer.read_exact(&mut head).unwrap();
            let _ = peer.write_all(b"HTTP/1.1 413 Too long\r\nContent-Length: 0\r\n\r\n");
        };
        let body = vec![7; 8 << 20];
        let identity = CertificateShape::of(&["127.0.0.1"]).self_signed();
        let (plain, tls) = (
            TestServer::plain(refuse),
            TestServer::tls(&identity, refuse),
        );
        for client in [local(&plain), client(tls.named("127.0.0.1"))] {
            let answer = client.send(&Request::post("/", "text/plain", &body), LIMIT);
            assert_eq!(answer.unwrap().status, 413);
        }
        // Nothing is read, nothing is answered.
        let server = TestServer::plain(|_, _| {});
        let answer = local(&server).send(&Request::post("/", "text/plain", &body), LIMIT);
        assert!(matches!(answer, Err(Error::Broken { .. })), "{answer:?}");
    }

    #[test]
    fn a_server_that_stops_is_left() {
        for said in [
            "",
            "HTTP/1.1 20",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo",
        ] {
            let server = TestServer::plain(move |_, peer| {
                request(peer);
                peer.write_all(said.as_bytes()).unwrap();
                stay_silent(peer);
            });
            let error = get(&server).unwrap_err();
            assert!(matches!(error, Error::Silent { .. }), "{said}: {error:?}");
        }
        // One that takes nothing of a body, and says nothing.
        let server = TestServer::plain(|_, peer| {
            std::thread::sleep(Duration::from_secs(5));
            stay_silent(peer);
        });
        let body = vec![7; 8 << 20];
        let answer = local(&server).send(&Request::post("/", "text/plain", &body), LIMIT);
        assert!(matches!(answer, Err(Error::Silent { .. })), "{answer:?}");
    }

    #[test]
    fn a_server_that_trickles_is_left() {
        // In the head, in the body, in the length of a chunk, and in front of the answer.
        for (start, octet) in [
            ("HTTP/1.1 200 OK\r\nX: ", b'x'),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b'x'),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                b'0',
            ),
            ("", b'\n'),
        ] {
            let error = get(&trickling(start, octet)).unwrap_err();
            assert!(matches!(error, Error::Slow { .. }), "{start}: {error:?}");
        }
        // Where a refusal is known, its text does not matter.
        let server = trickling("HTTP/1.1 503 X\r\nContent-Length: 90\r\n\r\n", b'x');
        assert_eq!(get(&server).unwrap().status, 503);
        // One that takes a request so.
        let server = TestServer::plain(|_, peer| {
            while matches!(peer.read(&mut [0]), Ok(1)) {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let body = vec![7; 32 << 20];
        let sent = Request::post("/", "text/plain", &body);
        match local(&server).send(&sent, LIMIT).unwrap_err() {
            // The system tells it of room only when there is much of it.
            Error::Slow { .. } | Error::Silent { .. } => {}
            error => panic!("{error:?}"),
        }
    }

    /// A server that begins an answer, and then sends the same octet, again and again.
    fn trickling(start: &'static str, octet: u8) -> TestServer {
        TestServer::plain(move |_, peer| {
            request(peer);
            peer.write_all(start.as_bytes()).unwrap();
            while peer.write_all(&[octet]).is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        })
    }

    /// A server that writes the same again and again, as long as the client reads.
    fn endless(start: &'static str, more: &'static str) -> TestServer {
        TestServer::plain(move |_, peer: &mut dyn ClientSide| {
            request(peer);
            let _ = peer.write_all(start.as_bytes());
            let more = more.repeat(1 + 4096 / more.len());
            while peer.write_all(more.as_bytes()).is_ok() {}
        })
    }

    #[test]
    fn an_answer_without_end_is_left() {
        for (start, more) in [
            ("HTTP/1.1 200 OK\r\n", "X-More: and more\r\n"),
            ("HTTP/1.1 200 OK\r\nX: ", "x"),
            ("HTTP/1.1 ", "2"),
            ("", "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"),
            ("", "HTTP/1.1 100 Continue\r\n\r\n"),
            ("HTTP/1.1 200 OK\r\n\r\n", "body"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n", "body"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "4\r\nbody\r\n",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "4;x=y\r\nbody\r\n",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;",
                "x=y;",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                "X: y\r\n",
            ),
        ] {
            match get(&endless(start, more)) {
                Err(Error::Protocol { .. } | Error::Broken { .. }) => {}
                other => panic!("{start:?} {more:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_http_breaks_the_protocol() {
        for answer in [
            "SSH-2.0-OpenSSH_9.6\r\n\r\n",
            "HTTP/1.1 2\u{1b}[0 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        ] {
            let error = get(&answering(answer)).unwrap_err();
            let Error::Protocol { problem, .. } = error else {
                panic!("{answer:?}: {error:?}");
            };
            assert!(!problem.contains('\u{1b}'), "{problem}");
        }
    }

    #[test]
    fn redirects_are_the_callers() {
        for status in [301, 302, 303, 307, 308] {
            let location = "https://portal.example.net/";
            let server = answering(format!(
                "HTTP/1.1 {status} X\r\nLocation: {location}\r\n\r\n"
            ));
            let answer = local(&server).send(&Request::post("/", "text/plain", b"x"), LIMIT);
            let answer = answer.unwrap();
            assert_eq!(
                (answer.status, answer.location.as_deref()),
                (status, Some(location))
            );
        }
    }

    #[test]
    fn why_there_is_no_connection_is_told() {
        let ca = TestAuthority::new();
        let identity = CertificateShape::of(&["10.9.8.7"]).self_signed();
        let server = TestServer::tls(&identity, |_, peer| answer_ok(peer));
        let options = ConnectOptions {
            refuses_private: false,
            ..options(&ca)
        };
        let connector = Connector::new(server.named("127.0.0.1"), &[], &options).unwrap();
        let error = Client::new(connector, now())
            .send(&Request::new(Method::Head, "/"), LIMIT)
            .unwrap_err();
        assert!(matches!(error, Error::Certificate { .. }), "{error:?}");
        let closed = Server::local(1);
        let error = client(closed)
            .send(&Request::new(Method::Head, "/"), LIMIT)
            .unwrap_err();
        assert!(matches!(error, Error::NoConnection { .. }), "{error:?}");
    }

    #[test]
    fn a_head_has_no_body() {
        let server = answering("HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n");
        let answer = local(&server)
            .send(&Request::new(Method::Head, "/"), 0)
            .unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, 0));
    }
}
