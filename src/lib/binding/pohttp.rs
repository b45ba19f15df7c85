//! PoHTTP: a parcel to its recipient's own server, or to that of the Internet gateway that it is behind (RS-007).

use jiff::Timestamp;

use super::http::{Answer, Client, Request};
use super::redirect;
use super::retry::{RequestKind, SendOutcome};
use super::{Error, Network, Server};
use crate::kind::ErrorKind;

/// The media type of a parcel, which deployed servers compare octet by octet.
const PARCEL: &str = "application/vnd.awala.parcel";

/// The longest explanation that is read, in octets.
const MAX_EXPLANATION_LEN: usize = 64 * 1024;

/// The answer of a server to a parcel.
#[derive(Debug)]
pub enum PostAnswer {
    /// It has the parcel.
    Accepted,
    /// It will never take this parcel, and says why.
    Refused(Error),
}

/// Posts parcels to one server, whose connection is kept.
pub struct Poster<'a> {
    network: &'a Network,
    client: Client,
    now: Timestamp,
}

impl<'a> Poster<'a> {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// When the server has no address that may be dialled.
    pub fn new(network: &'a Network, server: &Server, now: Timestamp) -> Result<Self, Error> {
        let client = network.client(server, now)?;
        Ok(Self {
            network,
            client,
            now,
        })
    }

    /// Posts a parcel, and follows where the server sends it, three times at most and to https alone.
    ///
    /// # Errors
    /// When there is no answer, or one after which the parcel is to be tried again.
    pub fn post(&self, parcel: &[u8]) -> Result<PostAnswer, Error> {
        let mut path = "/".to_owned();
        let mut answer = self
            .client
            .send(&Request::post(&path, PARCEL, parcel), MAX_EXPLANATION_LEN)?;
        let mut server = self.client.server().clone();
        for _ in 0..redirect::MAX_REDIRECTS {
            let (307 | 308, Some(location)) = (answer.status, &answer.location) else {
                break;
            };
            (server, path) = redirect::target(&server, &path, location)?;
            // What a server says must not lead this node to machines near it.
            let client = self.network.client(&server, self.now)?;
            answer = client.send(&Request::post(&path, PARCEL, parcel), MAX_EXPLANATION_LEN)?;
        }
        judge(answer, &server)
    }
}

fn judge(answer: Answer, server: &Server) -> Result<PostAnswer, Error> {
    match SendOutcome::of_status(RequestKind::PoHttp, answer.status) {
        SendOutcome::Accepted => Ok(PostAnswer::Accepted),
        SendOutcome::RefusedForGood => {
            let error = answer.into_error(server, ErrorKind::Refused);
            Ok(PostAnswer::Refused(error))
        }
        SendOutcome::Later(kind) => Err(answer.into_error(server, kind)),
    }
}
