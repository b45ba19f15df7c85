//! relay-serve: what it refuses to begin with.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;

use crate::online::Authority;
use crate::online::client::{answer, request};
use crate::online::hub::serve;
use crate::online::server::Server;
use crate::testenv::{Call, Env, HUB, Ran};

/// The hub, which serves nobody yet, and two certificates with their keys.
fn hub() -> Env {
    let env = Env::new();
    env.make_node("hub", &["--type", "gateway", "--address", HUB]);
    let authority = Authority::new();
    for name in ["server", "other"] {
        authority.leaf(&["127.0.0.1"]).write(&env, name);
    }
    env
}

/// A run that would listen on any port of loopback.
fn at_any_port(env: &Env) -> Call<'_> {
    serve(env).args(["--listen", "127.0.0.1:0"])
}

/// A run with these options alone.
fn with<'a>(env: &'a Env, options: &[&str]) -> Call<'a> {
    env.relay("serve").args(options)
}

/// Checks what a run says that did not begin: this status, this text, and no event.
#[track_caller]
fn refused(call: Call<'_>, status: i32, text: &str) -> Ran {
    let ran = call.ends(status).says_somewhere(text);
    assert!(!ran.stderr.contains("event="), "{}", ran.stderr);
    assert_eq!(ran.diagnostics().len(), 1, "{}", ran.stderr);
    ran
}

#[test]
fn a_port_that_is_taken_is_tried_again_later() {
    let env = hub();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = format!("{address}: cannot listen: ");
    refused(serve(&env).args(["--listen", &address]), 75, &text);
    env.write("socket", "mine");
    refused(
        serve(&env).args(["--listen", "./socket"]),
        75,
        "./socket: cannot listen: ",
    );
    assert_eq!(env.text("socket"), "mine");
}

#[test]
fn another_server_of_the_node_comes_first() {
    let env = hub();
    let first = Server::start(serve(&env));
    first.wait_for("event=serving", 1);
    refused(
        at_any_port(&env),
        75,
        "another relay-serve serves this node",
    );
    assert_eq!(first.stop().status, Some(0));
    let second = Server::start(serve(&env));
    second.wait_for("event=serving", 1);
    assert_eq!(second.stop().status, Some(0));
}

#[test]
fn a_gateway_on_the_internet_needs_a_certificate() {
    let env = hub();
    let listen = ["-N", "hub", "--listen", "127.0.0.1:0"];
    refused(with(&env, &listen), 64, "--cert and --key are needed");
    let ran = with(&env, &[&listen[..], &["--cert", "server.pem"]].concat()).ends(64);
    assert!(ran.stderr.contains("--key"), "{}", ran.stderr);
    let key = |certificate: &str, key: &str| {
        with(
            &env,
            &[&listen[..], &["--cert", certificate, "--key", key]].concat(),
        )
    };
    refused(
        key("server.pem", "other.key"),
        78,
        "the certificate cannot be used",
    );
    refused(
        key("server.key", "server.key"),
        78,
        "server.key: no certificate in PEM",
    );
    refused(key("server.pem", "server.pem"), 78, "server.pem: ");
    env.write("empty.pem", "");
    refused(
        key("empty.pem", "server.key"),
        78,
        "empty.pem: no certificate in PEM",
    );
    refused(key("none.pem", "server.key"), 66, "none.pem");
    refused(key("server.pem", "none.key"), 66, "none.key");
}

#[test]
fn an_endpoint_without_an_address_serves_nobody() {
    let env = Env::new();
    env.make_node("alice", &[]);
    let text = "an endpoint without an Internet address has nothing to serve";
    refused(
        with(&env, &["-N", "alice", "--listen", "127.0.0.1:0"]),
        78,
        text,
    );
}

/// What is answered to a GET, on any kind of connection.
fn greeting(mut stream: impl Read + Write, header: &[u8]) -> u16 {
    let octets = request("GET", "/", &[("Host", "127.0.0.1")], b"");
    stream.write_all(&[header, &octets].concat()).unwrap();
    answer(&mut stream).unwrap().status()
}

#[test]
fn it_opens_its_sockets_by_itself() {
    let env = hub();
    env.make_node("gateway", &["--type", "gateway"]);
    let local = with(&env, &["-v", "-N", "gateway", "--listen", "127.0.0.1:0"]);
    let local = Server::start_by_itself(&local);
    let stream = TcpStream::connect(("127.0.0.1", local.port())).unwrap();
    assert_eq!(greeting(stream, b""), 200);
    let options = ["-v", "-N", "hub", "--behind-proxy", "--listen", "./socket"];
    let proxied = Server::start_by_itself(&with(&env, &options));
    let header = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    let stream = UnixStream::connect(env.path("socket")).unwrap();
    assert_eq!(greeting(stream, header), 200);
    // A socket that a killed server left is no obstacle.
    proxied.signal(Signal::KILL);
    proxied.ended();
    let again = Server::start_by_itself(&with(&env, &options));
    let stream = UnixStream::connect(env.path("socket")).unwrap();
    assert_eq!(greeting(stream, header), 200);
    assert_eq!(again.stop().status, Some(0));
    assert_eq!(local.stop().status, Some(0));
}

#[test]
fn without_tls_only_this_machine_is_served() {
    let env = hub();
    env.make_node("gateway", &["--type", "gateway"]);
    for (options, text) in [
        (
            ["-N", "gateway", "--listen", "0.0.0.0:0"].as_slice(),
            "serves this machine alone",
        ),
        (
            &["-N", "gateway", "--listen", "[::]:0"],
            "serves this machine alone",
        ),
        (
            &["-N", "hub", "--behind-proxy", "--listen", "0.0.0.0:0"],
            "serves a proxy on this machine alone",
        ),
    ] {
        refused(with(&env, options), 64, text);
    }
    let both = [
        "-N",
        "hub",
        "--behind-proxy",
        "--cert",
        "server.pem",
        "--key",
        "server.key",
    ];
    with(&env, &both).ends(64);
}

#[test]
fn the_part_for_the_network_is_not_started_by_hand() {
    let env = Env::new();
    // A time that is set counts as an option.
    let front = |options: &[&str]| env.relay("serve").args(options).at_any_time();
    refused(front(&["--front"]), 64, "--front is for relay-serve itself");
    front(&["--front", "-N", "hub"]).ends(64);
}

#[test]
fn wrong_options_begin_nothing() {
    let env = hub();
    for options in [
        ["-N", "hub", "--listen", "localhost:443"],
        ["-N", "hub", "--listen", "443"],
        ["-N", "hub", "--connections", "0"],
        ["-N", "hub", "--connections", "many"],
    ] {
        let ran = with(&env, &options).ends(64);
        assert!(ran.stderr.contains("invalid value"), "{}", ran.stderr);
    }
    refused(
        with(&env, &["-N", "none", "--behind-proxy", "--listen", "./s"]),
        78,
        "none",
    );
}

#[test]
fn root_serves_no_node_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not tested, since only root may give a node away");
        return;
    }
    let env = hub();
    for path in env.tree().keys() {
        chown(env.path(path), Some(4711), Some(4711)).unwrap();
    }
    let ran = at_any_port(&env).ends(78);
    assert!(!ran.stderr.contains("event="), "{}", ran.stderr);
    assert_eq!(ran.diagnostics().len(), 1, "{}", ran.stderr);
}

#[test]
fn a_certificate_that_ends_and_a_key_that_all_can_read_are_warned_of() {
    let env = hub();
    let authority = Authority::new();
    let leaf = |from, to| authority.leaf_between(&["127.0.0.1"], (from, to));
    let soon = "the certificate of the server ends in 9d 12h";
    let ended = "the certificate of the server has ended at 2026-02-01T00:00:00Z";
    leaf((2026, 1, 1), (2026, 3, 11)).write(&env, "server");
    let server = Server::start_by_itself(&at_any_port(&env));
    assert_eq!(server.count(soon), 1);
    // As it is read again.
    leaf((2026, 1, 1), (2026, 2, 1)).write(&env, "server");
    env.chmod("server.key", 0o644);
    server.signal(Signal::HUP);
    server.wait_for("server.key: open to all users (mode 0644)", 1);
    assert_eq!(server.count(ended), 1);
    // A group such as ssl-cert may read it, and what lasts longer is nobody's concern.
    leaf((2026, 1, 1), (2026, 3, 16)).write(&env, "server");
    env.chmod("server.key", 0o640);
    server.signal(Signal::HUP);
    server.wait_for("event=reloaded", 2);
    let ended = server.stop();
    assert_eq!((ended.status, ended.errors().len()), (Some(0), 3));
}
