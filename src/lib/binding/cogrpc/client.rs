//! A client of one server of `CogRPC`: its connection, which calls share.

use std::time::Instant;

use super::link::Link;
use crate::binding::connect::Connector;
use crate::binding::{Error, Server};

/// A client of one server, which makes one call after another.
pub struct CogrpcClient {
    connector: Connector,
    link: Option<Link>,
    /// When calls are given up, however fast they are.
    ends: Option<Instant>,
}

impl CogrpcClient {
    /// Connects to a server.
    ///
    /// # Errors
    /// As [`Connector::connect`], and [`Error::Protocol`] when it does not speak HTTP/2.
    pub fn connect(connector: Connector) -> Result<Self, Error> {
        let link = Some(Link::open(&connector)?);
        Ok(Self {
            connector,
            link,
            ends: None,
        })
    }

    /// The same, whose calls are given up at an instant, however fast they are.
    #[must_use]
    pub fn until(mut self, ends: Instant) -> Self {
        self.ends = Some(ends);
        self
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        self.connector.server()
    }

    /// The SHA-256 of the certificate that the server showed; `None` without a connection.
    #[must_use]
    pub fn certificate(&self) -> Option<[u8; 32]> {
        self.link.as_ref().map(|link| link.certificate)
    }

    /// Ends the connection. The next call makes another one: servers end those that are idle for seconds.
    pub fn rest(&mut self) {
        self.link = None;
    }

    /// The connection, which is made if there is none.
    pub(super) fn link(&mut self) -> Result<&mut Link, Error> {
        let link = match self.link.take() {
            Some(link) => link,
            None => Link::open(&self.connector)?,
        };
        let link = self.link.insert(link);
        link.watch.ends = self.ends;
        Ok(link)
    }
}
