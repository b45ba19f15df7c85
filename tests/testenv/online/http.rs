//! HTTP/1.1 as a server speaks it: requests, answers, and faults of a connection.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

use super::listener::{Connection, held};

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `GET`, `POST` and so on.
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) path: String,
    /// Header fields in their order, as they were sent.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// The name that the client asked for in TLS (SNI).
    pub(crate) server_name: Option<String>,
}

impl Request {
    /// A header field, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let field = self
            .headers
            .iter()
            .find(|(it, _)| it.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// Header fields, without Content-Length and Date.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// One with this status and no body.
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// The same with a header field.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with a body of this type.
    pub(crate) fn body(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.with("Content-Type", media_type)
    }

    /// An explanation in JSON, as the deployed gateway gives it.
    pub(crate) fn message(status: u16, text: &str) -> Self {
        let body = format!("{{\"message\":\"{text}\"}}");
        Self::new(status).body("application/json; charset=utf-8", body)
    }

    /// Where to go instead.
    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::new(status).with("Location", location)
    }

    /// The octets on the wire.
    pub(crate) fn octets(&self, date: Option<&str>, has_body: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Something\r\n", self.status);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if let Some(date) = date {
            let _ = write!(head, "Date: {date}\r\n");
        }
        if !has_header(&self.headers, "content-length") && self.status != 101 {
            let _ = write!(head, "Content-Length: {}\r\n", self.body.len());
        }
        let mut octets = (head + "\r\n").into_bytes();
        if has_body {
            octets.extend_from_slice(&self.body);
        }
        octets
    }
}

fn has_header(headers: &[(String, String)], name: &str) -> bool {
    headers.iter().any(|(it, _)| it.eq_ignore_ascii_case(name))
}

/// What a server does wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does nothing, and answers so.
    Answer(Answer),
    /// It answers so before it has read the body, and ends the connection.
    Early(Answer),
    /// It does what it should, and answers so.
    DoneBut(Answer),
    /// It does what it should, and the connection ends without an answer.
    AnswerLost,
    /// The connection ends after so many octets of the body.
    CutInRequest(usize),
    /// It does what it should, and the connection ends after so many octets of the answer.
    CutInAnswer(usize),
    /// It sends these octets instead of an answer, and ends the connection.
    Raw(Vec<u8>),
    /// It reads the request and never answers.
    Silence,
    /// It does what it should, sends so many octets of the answer, and then nothing more.
    SilenceInAnswer(usize),
}

/// Faults to come: those of single requests, in order, then one for all that follow.
#[derive(Default)]
pub(crate) struct Faults {
    queue: Mutex<(VecDeque<Option<Fault>>, Option<Fault>)>,
}

impl Faults {
    /// For one more request; `None` is none.
    pub(crate) fn add(&self, fault: Option<Fault>) {
        held(&self.queue).0.push_back(fault);
    }

    /// For all requests after those.
    pub(crate) fn always(&self, fault: Option<Fault>) {
        held(&self.queue).1 = fault;
    }

    /// The fault of the request that is here now.
    pub(crate) fn next(&self) -> Option<Fault> {
        let mut queue = held(&self.queue);
        queue.0.pop_front().unwrap_or_else(|| queue.1.clone())
    }
}

/// What a server writes into `Date`.
#[derive(Debug, Clone)]
pub(crate) enum Date {
    /// Its time, which is this much later than the time of the test.
    Shifted(SignedDuration),
    /// Any text.
    Text(String),
    /// No such field.
    Absent,
}

impl Date {
    /// The field at a time.
    pub(crate) fn at(&self, now: Timestamp) -> Option<String> {
        match self {
            Self::Shifted(by) => Some(http_date(now + *by)),
            Self::Text(text) => Some(text.clone()),
            Self::Absent => None,
        }
    }
}

/// A time as RFC 9110 §5.6.7 wants it.
pub(crate) fn http_date(time: Timestamp) -> String {
    let time = time.to_zoned(jiff::tz::TimeZone::UTC);
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads the head of a request, and not its body.
///
/// Returns `None` at the end of the connection.
pub(crate) fn read_head(connection: &mut Connection) -> Option<Request> {
    let mut head = Vec::new();
    let mut octet = [0];
    // Octet by octet, so that nothing of a body or of a WebSocket is taken; TLS has it in memory.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 64 * 1024 || !matches!(connection.read(&mut octet), Ok(1)) {
            return None;
        }
        head.push(octet[0]);
    }
    let text = String::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let headers = lines.filter_map(|line| line.split_once(':'));
    Some(Request {
        method: first.next()?.to_owned(),
        path: first.next()?.to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect(),
        body: Vec::new(),
        server_name: connection.server_name.clone(),
    })
}

/// Reads the body that belongs to a head.
pub(crate) fn read_body(connection: &mut Connection, request: &mut Request) -> io::Result<()> {
    if request.header("expect").is_some() {
        connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let length = request.header("content-length").map(str::parse);
    if let Some(length) = length {
        request.body = vec![0; length.map_err(io::Error::other)?];
        return connection.read_exact(&mut request.body);
    }
    if request.header("transfer-encoding").is_none() {
        return Ok(());
    }
    loop {
        let line = read_line(connection)?;
        let length = line.split(';').next().unwrap_or_default();
        let length = usize::from_str_radix(length.trim(), 16).map_err(io::Error::other)?;
        let start = request.body.len();
        request.body.resize(start + length, 0);
        connection.read_exact(&mut request.body[start..])?;
        read_line(connection)?;
        if length == 0 {
            return Ok(());
        }
    }
}

fn read_line(connection: &mut Connection) -> io::Result<String> {
    let mut line = Vec::new();
    let mut octet = [0];
    while !line.ends_with(b"\r\n") {
        connection.read_exact(&mut octet)?;
        line.push(octet[0]);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// Reads a request's body, lets `act` answer it, and sends the answer, all with the fault that is given.
///
/// Returns whether the connection goes on.
pub(crate) fn exchange(
    connection: &mut Connection,
    mut request: Request,
    fault: Option<Fault>,
    date: Option<&str>,
    act: impl FnOnce(&Request) -> Answer,
) -> bool {
    if let Some(Fault::CutInRequest(octets)) = fault {
        let mut some = vec![0; octets];
        let _ = connection.read_exact(&mut some);
        connection.cut();
        return false;
    }
    if let Some(Fault::Early(answer)) = fault {
        let _ = connection.write_all(&answer.octets(date, true));
        return false;
    }
    if read_body(connection, &mut request).is_err() {
        return false;
    }
    let has_body = request.method != "HEAD";
    let acted = || act(&request).octets(date, has_body);
    let sent = match fault {
        None => connection.write_all(&acted()),
        Some(Fault::Answer(answer)) => connection.write_all(&answer.octets(date, has_body)),
        Some(Fault::DoneBut(answer)) => {
            acted();
            connection.write_all(&answer.octets(date, has_body))
        }
        Some(Fault::AnswerLost) => {
            acted();
            connection.cut();
            return false;
        }
        Some(Fault::CutInAnswer(octets)) => {
            let answer = acted();
            let _ = connection.write_all(&answer[..octets.min(answer.len())]);
            let _ = connection.flush();
            connection.cut();
            return false;
        }
        Some(Fault::SilenceInAnswer(octets)) => {
            let answer = acted();
            let _ = connection.write_all(&answer[..octets.min(answer.len())]);
            let _ = connection.flush();
            connection.stay_silent();
            return false;
        }
        Some(Fault::Raw(octets)) => {
            let _ = connection.write_all(&octets);
            return false;
        }
        Some(Fault::Silence) => {
            connection.stay_silent();
            return false;
        }
        Some(Fault::CutInRequest(_) | Fault::Early(_)) => unreachable!(),
    };
    let is_last = request
        .header("connection")
        .is_some_and(|it| it.eq_ignore_ascii_case("close"));
    sent.and_then(|()| connection.flush()).is_ok() && !is_last
}
