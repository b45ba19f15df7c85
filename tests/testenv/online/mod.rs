//! Servers for the tests of the programs that use a network: an authority of certificates, a resolver, an
//! Internet gateway and a web server, all on loopback and with misbehaviour to order.
//!
//! Each server takes a port that is free, serves from threads of its own, and stops when it is dropped, with all of its
//! connections. Nothing here waits for a time to pass: tests wait for an event, with a limit that only a fault reaches.

#![allow(dead_code, unused_imports)] // each test target uses its part

pub(crate) mod authority; // a certification authority, and certificates of servers
pub(crate) mod caller; // a client of `CogRPC`, step by step
pub(crate) mod cargo_relay; // a courier or Internet gateway (`CogRPC`)
pub(crate) mod client; // a plain client, to see what a server does
pub(crate) mod collecting; // one session of parcel collection, step by step
pub(crate) mod dns; // DNS messages
pub(crate) mod gateway; // an Internet gateway (`PoWeb`)
pub(crate) mod hub; // an Internet gateway that is relay-serve
pub(crate) mod http; // requests and answers of HTTP/1.1
pub(crate) mod journal; // what happened at a server, in order
pub(crate) mod listener; // the port, the threads and TLS
pub(crate) mod objects; // what a gateway signs, checks and sends
pub(crate) mod resolver; // DNS over HTTPS
pub(crate) mod server; // relay-serve, from its start to its end
pub(crate) mod site; // nodes with all of these
pub(crate) mod web; // endpoints' and gateways' web servers (`PoHTTP`)

pub(crate) use authority::Authority;
pub(crate) use cargo_relay::{CargoRelay, Collects, Delivers};
pub(crate) use gateway::Gateway;
pub(crate) use http::{Answer, Fault};
pub(crate) use resolver::{Mode, Resolver};
pub(crate) use web::Web;
