//! Web servers that take parcels (`PoHTTP`, RS-007): one port, any number of hosts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::authority::{Authority, Leaf};
use super::http::{self, Answer, Date, Fault, Faults, Request};
use super::journal::Journal;
use super::listener::{Connection, Listener, held};
use crate::testenv::NOW;

/// A web server.
pub(crate) struct Web {
    listener: Listener,
    site: Arc<Site>,
}

struct Site {
    faults: Mutex<HashMap<String, Arc<Faults>>>,
    date: Mutex<Date>,
    requests: Journal<Request>,
}

impl Web {
    /// One that takes all parcels for these hosts: it answers 202.
    pub(crate) fn start(authority: &Authority, hosts: &[&str]) -> Self {
        Self::start_with(Some(&authority.leaf(hosts)))
    }

    /// One with this certificate, or without TLS.
    pub(crate) fn start_with(leaf: Option<&Leaf>) -> Self {
        let site = Arc::new(Site {
            faults: Mutex::default(),
            date: Mutex::new(Date::Shifted(jiff::SignedDuration::ZERO)),
            requests: Journal::new(),
        });
        let serving = Arc::clone(&site);
        let tls = leaf.map(Leaf::server);
        Self {
            listener: Listener::start(tls, move |it| serving.serve(it)),
            site,
        }
    }

    /// Its port, for all hosts.
    pub(crate) fn port(&self) -> u16 {
        self.listener.port()
    }

    /// The port, the connections.
    pub(crate) fn listener(&self) -> &Listener {
        &self.listener
    }

    /// What goes wrong at a host: the name in `Host`, without its port.
    pub(crate) fn faults(&self, host: &str) -> Arc<Faults> {
        Arc::clone(held(&self.site.faults).entry(host.to_owned()).or_default())
    }

    /// The next answer of a host.
    pub(crate) fn answer_next(&self, host: &str, answer: Answer) {
        self.faults(host).add(Some(Fault::DoneBut(answer)));
    }

    /// Every answer of a host from now on.
    pub(crate) fn answer_always(&self, host: &str, answer: Answer) {
        self.faults(host).always(Some(Fault::DoneBut(answer)));
    }

    /// What it writes into `Date`.
    pub(crate) fn set_date(&self, date: Date) {
        *held(&self.site.date) = date;
    }

    /// The requests that it has read, whatever it answered.
    pub(crate) fn requests(&self) -> &Journal<Request> {
        &self.site.requests
    }

    /// The parcels that a host got.
    pub(crate) fn bodies(&self, host: &str) -> Vec<Vec<u8>> {
        let requests = self.site.requests.all();
        let of_host = requests.into_iter().filter(|it| host_of(it) == host);
        of_host.map(|it| it.body).collect()
    }
}

/// The host that a request is for, without its port.
fn host_of(request: &Request) -> String {
    let host = request.header("host").unwrap_or_default();
    let end = host.rfind(':').filter(|at| !host[*at..].contains(']'));
    host[..end.unwrap_or(host.len())].to_ascii_lowercase()
}

impl Site {
    fn serve(&self, connection: &mut Connection) {
        while let Some(request) = http::read_head(connection) {
            let faults = held(&self.faults).get(&host_of(&request)).cloned();
            let fault = faults.and_then(|it| it.next());
            let date = held(&self.date).at(NOW.parse().unwrap());
            let goes_on = http::exchange(connection, request, fault, date.as_deref(), |it| {
                self.requests.add(it.clone());
                match (it.method.as_str(), it.header("content-type")) {
                    ("POST", Some("application/vnd.awala.parcel")) => Answer::new(202),
                    ("POST", _) => Answer::message(415, "Unsupported Media Type"),
                    ("GET" | "HEAD", _) => Answer::new(200).body("text/plain", "It works"),
                    _ => Answer::new(405).with("Allow", "HEAD, GET, POST"),
                }
            });
            if !goes_on {
                return;
            }
        }
    }
}
