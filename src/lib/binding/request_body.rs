//! The body of a request.

use std::fmt;
use std::io::{self, Read};

use super::Error;

/// Reads some octets of a body from an offset on; none at the end alone.
pub type ReadBody<'a> = &'a dyn Fn(&mut [u8], u64) -> Result<usize, Error>;

/// The body of a request, which can be read again for a second try.
#[derive(Clone, Copy)]
pub enum RequestBody<'a> {
    /// Octets in memory.
    Octets(&'a [u8]),
    /// Octets that are read when they are sent: `len` of them.
    Stored {
        /// How many they are.
        len: u64,
        /// Reads them.
        read: ReadBody<'a>,
    },
}

impl RequestBody<'_> {
    /// Its length, in octets.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Octets(octets) => octets.len() as u64,
            Self::Stored { len, .. } => *len,
        }
    }

    /// Whether it has no octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for RequestBody<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} octets", self.len())
    }
}

/// Reads a body from its beginning. An [`Error`] of the body is within that of [`io`].
pub(super) struct BodyReader<'a> {
    body: RequestBody<'a>,
    at: u64,
}

impl<'a> BodyReader<'a> {
    pub(super) fn new(body: RequestBody<'a>) -> Self {
        Self { body, at: 0 }
    }
}

impl Read for BodyReader<'_> {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let count = match self.body {
            RequestBody::Octets(body) => {
                let at = usize::try_from(self.at).unwrap_or(usize::MAX);
                let mut left = body.get(at..).unwrap_or_default();
                left.read(octets)?
            }
            RequestBody::Stored { read, .. } => read(octets, self.at).map_err(io::Error::other)?,
        };
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::binding::testserver::{self, TestAuthority, TestServer, request};
    use crate::binding::{Client, Connector, Method, Request, Server};
    use crate::pipeline::mutex::lock;

    fn post(client: &Client, body: RequestBody<'_>) -> Result<u16, Error> {
        let request = Request {
            body,
            ..Request::new(Method::Post, "/")
        };
        client.send(&request, 0).map(|answer| answer.status)
    }

    fn client(server: &TestServer) -> Client {
        let options = testserver::options(&TestAuthority::new());
        let server = Server::local(server.address.port());
        Client::new(
            Connector::new(server, &[], &options).unwrap(),
            testserver::now(),
        )
    }

    #[test]
    fn a_stored_body_is_read_again_for_a_second_try() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&seen);
        // Each connection takes one request, and the next one on it goes unanswered.
        let server = TestServer::plain(move |_, peer| {
            lock(&all).push(request(peer));
            let _ = peer.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
            request(peer);
        });
        let octets: Vec<u8> = (0..300_000_u32).map(|at| at.to_le_bytes()[1]).collect();
        let most = Cell::new(0);
        let read = |part: &mut [u8], offset| {
            most.set(most.get().max(part.len()));
            let left = &octets[usize::try_from(offset).unwrap()..];
            let len = left.len().min(part.len());
            part[..len].copy_from_slice(&left[..len]);
            Ok(len)
        };
        let client = client(&server);
        for _ in 0..2 {
            let body = RequestBody::Stored {
                len: 300_000,
                read: &read,
            };
            assert_eq!(post(&client, body).unwrap(), 202);
        }
        assert!(most.get() <= 65_536, "{}", most.get());
        let seen = lock(&seen);
        assert_eq!(seen.len(), 2);
        for (head, body) in &*seen {
            let head = head.to_ascii_lowercase();
            assert!(
                head.contains("content-length: 300000\r\n") && !head.contains("transfer-encoding"),
                "{head}"
            );
            assert!(*body == octets);
        }
    }

    #[test]
    fn an_error_of_the_body_is_not_one_of_the_connection() {
        let server = TestServer::plain(|_, peer| testserver::answer_ok(peer));
        let body = RequestBody::Stored {
            len: 9,
            read: &|_, _| Err(Error::Loop),
        };
        let error = post(&client(&server), body).unwrap_err();
        assert!(matches!(error, Error::Loop), "{error:?}");
    }
}
