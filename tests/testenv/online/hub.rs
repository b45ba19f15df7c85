//! The hub, served by relay-serve, with the nodes that it has registered, and a plain client for it.

use std::io::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use relaynet::node::{Directory, registrations};
use relaynet::pki::Certificate;
use tungstenite::{Error, Message, WebSocket};

use super::client::{self, Answered, Tls};
use super::server::Server;
use super::site::node_id;
use super::{Authority, Resolver, objects};
use crate::testenv::{Call, Env, HUB, id, identity};

/// The name of its server.
pub(crate) const HOST: &str = "gw.hub.example.org";

/// The type of a parcel.
pub(crate) const PARCEL: (&str, &str) = ("Content-Type", "application/vnd.awala.parcel");

/// A collection that ends when everything was collected.
pub(crate) const ONCE: (&str, &str) = ("x-relaynet-streaming-mode", "close-upon-completion");

/// A collection that goes on.
pub(crate) const LIVE: (&str, &str) = ("x-relaynet-streaming-mode", "keep-alive");

/// The nodes of a test, the hub's server, and what programs need to find it.
pub(crate) struct Hub {
    /// The nodes.
    pub(crate) env: Env,
    /// The authority, in `ca.pem`; the server's certificate is `server.pem`, its key `server.key`.
    pub(crate) authority: Authority,
    /// The resolver, which knows the hub's address.
    pub(crate) resolver: Resolver,
    /// The server.
    pub(crate) server: Server,
}

/// What a client of a collection sees.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A parcel, with the id of its delivery.
    Parcel(String, Vec<u8>),
    /// The end, with this code.
    Close(u16),
    /// The end of the connection, without a code.
    Gone,
}

impl Seen {
    /// The parcel.
    #[track_caller]
    pub(crate) fn parcel(self) -> (String, Vec<u8>) {
        match self {
            Self::Parcel(id, parcel) => (id, parcel),
            other => panic!("no parcel: {other:?}"),
        }
    }
}

impl Hub {
    /// The nodes of [`Env::with_gateways`].
    pub(crate) fn new() -> Self {
        Self::of(nodes())
    }

    /// These nodes.
    pub(crate) fn of(env: Env) -> Self {
        Self::with(env, &[])
    }

    /// These with these options for the server.
    pub(crate) fn with(env: Env, options: &[&str]) -> Self {
        let authority = Authority::new();
        authority.write(&env);
        authority.leaf(&[HOST]).write(&env, "server");
        let resolver = Resolver::start(&authority);
        let server = Server::start(serve(&env).args(options));
        for service in ["_awala-gsc", "_awala-pdc"] {
            resolver.add_service(service, HUB, HOST, server.port());
        }
        Self {
            env,
            authority,
            resolver,
            server,
        }
    }

    /// A run of a program that finds the hub, and believes its certificate.
    pub(crate) fn networked(&self, program: &str) -> Call<'_> {
        let url = self.resolver.url();
        let call = self.env.relay(program);
        call.args(["--resolver", &url, "--ca", "ca.pem"])
    }

    /// A run of relay-online at a node.
    pub(crate) fn online(&self, node: &str) -> Call<'_> {
        self.networked("online").args(["-N", node])
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Tls {
        client::connect(self.server.port(), HOST, &self.authority).unwrap()
    }

    /// What octets are answered, on a connection of their own.
    pub(crate) fn exchange(&self, octets: &[u8]) -> io::Result<Answered> {
        client::exchange(self.server.port(), HOST, &self.authority, octets)
    }

    /// A request without a body, of which only the head of the answer is read.
    pub(crate) fn asks(&self, method: &str, path: &str) -> Answered {
        let mut stream = self.connect();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        client::answer_head(&mut stream).unwrap()
    }

    /// A POST.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answered {
        self.try_post(path, headers, body).unwrap()
    }

    /// A POST that may fail.
    pub(crate) fn try_post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answered> {
        self.exchange(&post(path, headers, body))
    }

    /// What a parcel is answered that anybody brings.
    pub(crate) fn bring(&self, parcel: &[u8]) -> u16 {
        self.post("/", &[PARCEL], parcel).status()
    }

    /// What a parcel is answered that a registered node delivers.
    pub(crate) fn deliver(&self, by: &str, parcel: &[u8]) -> u16 {
        self.try_deliver(by, parcel).unwrap().status()
    }

    /// A delivery that may fail.
    pub(crate) fn try_deliver(&self, by: &str, parcel: &[u8]) -> io::Result<Answered> {
        self.exchange(&delivery(&self.env, by, parcel))
    }

    /// Asks for a collection.
    pub(crate) fn collect(
        &self,
        headers: &[(&'static str, &'static str)],
    ) -> Result<WebSocket<Tls>, Error> {
        client::collect(self.server.port(), HOST, &self.authority, headers)
    }

    /// Begins a collection as a node, up to its answer to the challenge.
    pub(crate) fn collecting(
        &self,
        node: &str,
        headers: &[(&'static str, &'static str)],
    ) -> WebSocket<Tls> {
        let mut socket = self.collect(headers).unwrap();
        client::shake_hands(&mut socket, &identity(node), &certificate(&self.env, node));
        socket
    }

    /// The names of the parcels in a queue of the hub's spool.
    pub(crate) fn queue(&self, queue: &str) -> Vec<String> {
        queue_of(&self.env, "hub", queue)
    }

    /// The names of the parcels that wait at the hub for a node.
    pub(crate) fn waiting(&self, node: &str) -> Vec<String> {
        self.queue(&format!("out/{}", id(node)))
    }
}

/// The nodes of [`Env::with_gateways`]; the node gateway has a route to alice.
pub(crate) fn nodes() -> Env {
    let env = Env::with_gateways();
    route_to_alice(&env);
    env
}

/// Gives the node gateway a route to alice.
pub(crate) fn route_to_alice(env: &Env) {
    env.write("gateway/routes", format!("{} peer:alice\n", id("alice")));
}

/// A run of relay-serve at the hub that tells everything.
pub(crate) fn serve(env: &Env) -> Call<'_> {
    let call = env.relay("serve");
    call.args([
        "-v",
        "-N",
        "hub",
        "--cert",
        "server.pem",
        "--key",
        "server.key",
    ])
}

/// The names of the parcels in a queue of a node.
pub(crate) fn queue_of(env: &Env, node: &str, queue: &str) -> Vec<String> {
    let dir = format!("{node}/spool/{queue}");
    if !env.path(&dir).exists() {
        return Vec::new();
    }
    let mut names = env.names(&dir);
    names.retain(|it| it.ends_with(".parcel"));
    names
}

/// The certificate that the hub gave to a gateway.
pub(crate) fn certificate(env: &Env, of: &str) -> Certificate {
    let hub = Directory::open(&env.path("hub")).unwrap();
    registrations::given_to(&hub, node_id(of)).unwrap()[0]
        .leaf
        .clone()
}

/// The octets of a POST.
pub(crate) fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let headers = [&[("Host", HOST)], headers].concat();
    client::request("POST", path, &headers, body)
}

/// The value of `Authorization` for a delivery by a node.
pub(crate) fn authorization(env: &Env, by: &str, purpose: &[u8], parcel: &[u8]) -> String {
    let (key, certificate) = (identity(by), certificate(env, by));
    let signature = client::countersigned(&key, &certificate, purpose, parcel);
    format!("Relaynet-Countersignature {}", STANDARD.encode(signature))
}

/// The octets of a delivery by a node.
pub(crate) fn delivery(env: &Env, by: &str, parcel: &[u8]) -> Vec<u8> {
    let authorization = authorization(env, by, objects::DELIVERY, parcel);
    post(
        "/v1/parcels",
        &[PARCEL, ("Authorization", &authorization)],
        parcel,
    )
}

/// What comes next in a collection; pings are answered on the way.
pub(crate) fn next(socket: &mut WebSocket<Tls>) -> Seen {
    loop {
        match socket.read() {
            Ok(Message::Binary(octets)) => {
                let (id, parcel) = client::delivered(&octets).unwrap();
                return Seen::Parcel(id, parcel);
            }
            Ok(Message::Close(frame)) => {
                // Sends our own.
                let _ = socket.flush();
                return frame.map_or(Seen::Gone, |it| Seen::Close(it.code.into()));
            }
            Ok(_) => {}
            Err(_) => return Seen::Gone,
        }
    }
}

/// Acknowledges a delivery.
pub(crate) fn acknowledge(socket: &mut WebSocket<Tls>, delivery: &str) {
    socket.send(Message::text(delivery.to_owned())).unwrap();
}

/// Collects everything, and acknowledges it. Returns the parcels and what ended it.
pub(crate) fn collect_all(socket: &mut WebSocket<Tls>) -> (Vec<Vec<u8>>, Seen) {
    let mut parcels = Vec::new();
    loop {
        match next(socket) {
            Seen::Parcel(id, parcel) => {
                acknowledge(socket, &id);
                parcels.push(parcel);
            }
            end => return (parcels, end),
        }
    }
}
