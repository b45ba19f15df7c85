//! What a request on the wire takes, in a process of its own.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use jiff::Timestamp;
use relaynet::binding::connect::{ConnectOptions, Connector};
use relaynet::binding::http::{Client, Request};
use relaynet::binding::server::Server;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A server with TLS on loopback that takes requests to POST, and keeps nothing of them.
fn server() -> Server {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(&mut StreamOwned::new(connection, socket.unwrap()));
        }
    });
    Server::named_by_operator(&address.to_string(), None).unwrap()
}

fn serve(stream: &mut StreamOwned<ServerConnection, std::net::TcpStream>) {
    loop {
        let mut head = Vec::new();
        let mut octet = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut octet) {
                Ok(1) => head.push(octet[0]),
                _ => return,
            }
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap();
        let mut left: usize = length.lines().next().unwrap().parse().unwrap();
        let mut buffer = vec![0; 16384];
        while left > 0 {
            let end = left.min(buffer.len());
            left -= stream.read(&mut buffer[..end]).unwrap();
        }
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).unwrap();
    }
}

/// A line of `/proc/self/status`, in KiB.
fn memory(line: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let value = status.lines().find_map(|it| it.strip_prefix(line)).unwrap();
    value
        .trim_matches([':', '\t', ' ', 'k', 'B'])
        .parse()
        .unwrap()
}

#[test]
fn a_body_is_sent_without_a_copy_of_it() {
    let server = server();
    let body = vec![7; 8 << 20];
    let connector = Connector::new(server, &[], &ConnectOptions::new(Timestamp::now())).unwrap();
    let client = Client::new(connector, Timestamp::now());
    // What is made once: the connection, its buffers, threads.
    let small = Request::post("/", "application/octet-stream", &body[..100]);
    assert_eq!(client.send(&small, 0).unwrap().status, 202);
    let before = memory("VmRSS");
    let whole = Request::post("/", "application/octet-stream", &body);
    assert_eq!(client.send(&whole, 0).unwrap().status, 202);
    let after = memory("VmHWM");
    assert!(after < before + 1024, "{after} KiB after {before} KiB");
}
