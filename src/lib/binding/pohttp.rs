//! PoHTTP: a parcel to its recipient's own server, or to that of the Internet gateway that it is behind (RS-007).

use jiff::Timestamp;

use super::http::{Client, Request};
use super::parcel_answer::{PARCEL, ParcelAnswer};
use super::redirect;
use super::retry::RequestKind;
use super::{Error, Network, RequestBody, Server};

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
    pub fn post(&self, parcel: RequestBody<'_>) -> Result<ParcelAnswer, Error> {
        let mut path = "/".to_owned();
        // What a server says of a parcel that it took is of no use, however long it is, or if it is cut.
        let mut answer = self.client.send(&request(&path, parcel), 0)?;
        let mut server = self.client.server().clone();
        for _ in 0..redirect::MAX_REDIRECTS {
            let (307 | 308, Some(location)) = (answer.status, &answer.location) else {
                break;
            };
            (server, path) = redirect::target(&server, &path, location)?;
            // What a server says must not lead this node to machines near it.
            let client = self.network.client(&server, self.now)?;
            answer = client.send(&request(&path, parcel), 0)?;
        }
        ParcelAnswer::of(answer, RequestKind::PoHttp, &server)
    }
}

fn request<'a>(path: &'a str, parcel: RequestBody<'a>) -> Request<'a> {
    Request {
        body: parcel,
        ..Request::post(path, PARCEL, &[])
    }
}
