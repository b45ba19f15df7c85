//! The servers of the tests (tests/testenv/online) do what they are told to: each of their modes is seen by a plain client.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;

use crate::online::authority::{LIFE, Leaf};
use crate::online::client::{Answered, answer, connect, exchange, request, rest};
use crate::online::dns::{self, Data};
use crate::online::http::Date;
use crate::online::listener::{Connection, Listener};
use crate::online::{Answer, Authority, Fault, Mode, Resolver, Web};
use crate::testenv::{Env, HUB};

/// The server of the gateway.
const HOST: &str = "poweb.hub.example.org";

#[test]
fn an_authority_certifies_names_addresses_and_days() {
    let authority = Authority::new();
    let serve = |leaf: &Leaf| Listener::start(Some(leaf.server()), Connection::stay_silent);
    let good = serve(&authority.leaf(&["a.example.org", "127.0.0.1"]));
    for name in ["a.example.org", "127.0.0.1"] {
        connect(good.port(), name, &authority).unwrap();
    }
    let refused = |listener: &Listener, name: &str, by: &Authority, why: &str| {
        let error = connect(listener.port(), name, by).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(&good, "b.example.org", &authority, "not valid for name");
    refused(&good, "a.example.org", &Authority::new(), "BadSignature");
    let days = [
        (((2001, 1, 1), (2002, 1, 1)), "expired"),
        (((2090, 1, 1), (2091, 1, 1)), "not valid yet"),
    ];
    for (life, why) in days {
        let listener = serve(&authority.leaf_between(&["a.example.org"], life));
        refused(&listener, "a.example.org", &authority, why);
    }
    let own = serve(&Leaf::self_signed(&["127.0.0.1"], LIFE));
    refused(&own, "127.0.0.1", &authority, "UnknownIssuer");
}

#[test]
fn openssl_agrees_with_the_authority_and_the_pin() {
    let env = Env::new();
    let authority = Authority::new();
    let ca = authority.write(&env);
    let leaf = authority.leaf(&["a.example.org"]);
    env.write("leaf.der", &leaf.chain[0]);
    let script = "openssl x509 -inform der -in leaf.der -out leaf.pem && openssl verify -CAfile ca.pem -verify_hostname \
                  a.example.org leaf.pem && openssl x509 -in leaf.pem -noout -pubkey | openssl pkey -pubin -outform der \
                  | sha256sum";
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", script])
        .current_dir(env.root())
        .output()
        .unwrap();
    assert!(ca.exists() && output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, format!("leaf.pem: OK\n{}  -\n", leaf.pin));
}

#[test]
fn a_server_that_is_dropped_is_gone_with_its_connections() {
    let authority = Authority::new();
    let web = Web::start(&authority, &["a.example.org"]);
    let port = web.port();
    let mut idle = connect(port, "a.example.org", &authority).unwrap();
    let silent = TcpStream::connect(("127.0.0.1", port)).unwrap();
    drop(web);
    assert_eq!(rest(&mut idle), 0);
    assert!(matches!((&silent).read(&mut [0]), Ok(0) | Err(_)));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

/// A query as core-js posts it: `vectors/bindings/dns`.
fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut octets = vec![0, 0, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in name.split('.') {
        octets.push(u8::try_from(label.len()).unwrap());
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets.extend(kind.to_be_bytes());
    octets.extend([0, 1, 0, 0, 41, 16, 0, 0, 0, 0x80, 0, 0, 0]);
    octets
}

fn ask(resolver: &Resolver, authority: &Authority, name: &str, kind: u16) -> io::Result<Answered> {
    let octets = request(
        "POST",
        "/dns-query",
        &[
            ("Host", "127.0.0.1"),
            ("Content-Type", "application/dns-message"),
        ],
        &query(name, kind),
    );
    exchange(port_of(resolver), "127.0.0.1", authority, &octets)
}

fn port_of(resolver: &Resolver) -> u16 {
    let url = resolver.url();
    let port = url.rsplit(':').next().unwrap().split('/').next();
    port.unwrap().parse().unwrap()
}

/// Whether octets have these in them.
fn has(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|it| it == part)
}

const GSC: &str = "_awala-gsc._tcp.hub.example.org";

#[test]
#[allow(clippy::too_many_lines)] // a table
fn a_resolver_answers_as_it_is_told() {
    let authority = Authority::new();
    let resolver = Resolver::start(&authority);
    resolver.add_service("_awala-gsc", HUB, HOST, 4321);
    let port = [0_u8, 0, 0, 0, 0x10, 0xe1];
    let answered = |mode: Mode| {
        resolver.set_mode(mode);
        let answered = ask(&resolver, &authority, GSC, dns::SRV).unwrap();
        assert_eq!(
            answered.header("content-type"),
            Some("application/dns-message")
        );
        answered.body
    };
    // Flags, how many records, and whether the true port is in them.
    let table = [
        (Mode::Honest, 0x81a0, 1, true),
        (Mode::NotValidated, 0x8180, 1, true),
        (Mode::ThroughAlias, 0x81a0, 2, true),
        (Mode::WrongOwner, 0x81a0, 1, true),
        (Mode::AliasLoop, 0x81a0, 2, false),
        (Mode::PortZero, 0x81a0, 1, false),
        (Mode::RootTarget, 0x81a0, 1, true),
        (Mode::NxDomain { is_validated: true }, 0x81a3, 0, false),
        (
            Mode::NxDomain {
                is_validated: false,
            },
            0x8183,
            0,
            false,
        ),
        (Mode::NoData { is_validated: true }, 0x81a0, 0, false),
        (
            Mode::NoData {
                is_validated: false,
            },
            0x8180,
            0,
            false,
        ),
        (Mode::ServFail, 0x8182, 0, false),
        (Mode::Truncated, 0x83a0, 0, false),
        (Mode::Records(Vec::new()), 0x81a0, 0, false),
    ];
    for (mode, flags, records, has_port) in table {
        let message = answered(mode.clone());
        let word = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
        assert_eq!((word(0), word(2)), (0, flags), "{mode:?}");
        assert_eq!((word(4), word(6)), (1, records), "{mode:?}");
        assert_eq!(has(&message, &port), has_port, "{mode:?}");
        let target = has(&message, b"\x05poweb\x03hub");
        assert_eq!(
            target,
            has_port && mode != Mode::RootTarget || mode == Mode::PortZero
        );
    }
    let honest = answered(Mode::Honest);
    assert_eq!(answered(Mode::WrongId)[2..], honest[2..]);
    assert_ne!(answered(Mode::WrongId)[..2], honest[..2]);
    assert_eq!(answered(Mode::Cut), honest[..honest.len() - 3]);
    assert_eq!(answered(Mode::Long).len(), 70_000);
    assert_eq!(answered(Mode::Garbage), [0xff; 40]);
    assert_eq!(answered(Mode::Echo), query(GSC, dns::SRV));
    assert!(has(&answered(Mode::WrongQuestion)[..20], b"\x05other"));
    assert!(has(&answered(Mode::WrongOwner)[20..], b"\x05other"));
    assert_eq!(resolver.count(GSC), resolver.queries().all().len());

    resolver.set_mode(Mode::Honest);
    for (name, kind, flags, records) in [
        (HOST, dns::A, 0x81a0, 1),
        (HOST, dns::AAAA, 0x81a0, 0),
        ("nobody.example.org", dns::SRV, 0x81a3, 0),
    ] {
        let message = ask(&resolver, &authority, name, kind).unwrap().body;
        let seen = u16::from_be_bytes([message[2], message[3]]);
        assert_eq!((seen, message[7]), (flags, records), "{name}");
    }
    let asked = resolver.queries().all();
    assert!(
        asked
            .iter()
            .all(|it| it.question.as_ref().unwrap().wants_validation)
    );
}

#[test]
fn a_resolver_takes_get_follows_aliases_and_fails_by_name() {
    let authority = Authority::new();
    let resolver = Resolver::start(&authority);
    resolver.add("a.example.org", Data::Alias("b.example.org".to_owned()));
    resolver.add_address("b.example.org");
    let message = URL_SAFE_NO_PAD.encode(query("a.example.org", dns::A));
    let get = request("GET", &format!("/dns-query?dns={message}"), &[], b"");
    let got = exchange(port_of(&resolver), "127.0.0.1", &authority, &get).unwrap();
    assert_eq!((got.status(), got.body[7]), (200, 2));
    assert!(has(&got.body, &[127, 0, 0, 1]));
    for wrong in [
        request("GET", "/other", &[], b""),
        request("POST", "/dns-query", &[("Content-Type", "text/plain")], b""),
    ] {
        let got = exchange(port_of(&resolver), "127.0.0.1", &authority, &wrong).unwrap();
        assert_eq!(got.status(), 400);
    }

    let mode = |mode| {
        resolver.set_mode_of("a.example.org", mode);
        ask(&resolver, &authority, "a.example.org", dns::A)
    };
    let portal = mode(Mode::Html).unwrap();
    assert_eq!(
        (portal.status(), portal.header("content-type")),
        (200, Some("text/html"))
    );
    let failed = mode(Mode::Http(Fault::Answer(Answer::new(500)))).unwrap();
    assert_eq!(failed.status(), 500);
    assert!(mode(Mode::Http(Fault::AnswerLost)).is_err());
    // The name alone has the mode.
    let other = ask(&resolver, &authority, "b.example.org", dns::A).unwrap();
    assert_eq!((other.status(), other.body[7]), (200, 1));
    // Silence lasts until the client has enough of it.
    resolver.set_mode(Mode::Http(Fault::Silence));
    let mut stream = connect(port_of(&resolver), "127.0.0.1", &authority).unwrap();
    stream.write_all(&request("GET", "/", &[], b"")).unwrap();
    stream
        .sock
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    assert_eq!(
        answer(&mut stream).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
}

#[test]
fn a_web_server_answers_each_host_as_it_is_told() {
    let authority = Authority::new();
    let web = Web::start(&authority, &["a.example.org", "b.example.org"]);
    let post = |host: &str, body: &[u8]| {
        let host_port = format!("{host}:{}", web.port());
        let headers = [
            ("Host", &*host_port),
            ("Content-Type", "application/vnd.awala.parcel"),
        ];
        exchange(
            web.port(),
            host,
            &authority,
            &request("POST", "/", &headers, body),
        )
    };
    let status = |host: &str, body: &[u8]| post(host, body).unwrap().status();
    web.answer_next("a.example.org", Answer::new(507).with("Retry-After", "120"));
    web.answer_next(
        "a.example.org",
        Answer::redirect(307, "https://b.example.org/x"),
    );
    web.answer_always("a.example.org", Answer::message(403, "no"));
    let first = post("a.example.org", b"one").unwrap();
    assert_eq!(
        (first.status(), first.header("retry-after")),
        (507, Some("120"))
    );
    assert_eq!(first.header("date"), Some("Sun, 01 Mar 2026 12:00:00 GMT"));
    let second = post("a.example.org", b"two").unwrap();
    assert_eq!(second.header("location"), Some("https://b.example.org/x"));
    assert_eq!(
        post("a.example.org", b"three").unwrap().body,
        b"{\"message\":\"no\"}"
    );
    assert_eq!(
        (
            status("a.example.org", b"four"),
            status("b.example.org", b"five")
        ),
        (403, 202)
    );
    assert_eq!(
        web.bodies("a.example.org"),
        [
            b"one".to_vec(),
            b"two".to_vec(),
            b"three".to_vec(),
            b"four".to_vec()
        ]
    );
    let seen = web.requests().all().pop().unwrap();
    assert_eq!(
        (seen.path.as_str(), seen.server_name.as_deref()),
        ("/", Some("b.example.org"))
    );

    // A fault may come before or after the body is there.
    let faults = web.faults("b.example.org");
    faults.add(Some(Fault::CutInRequest(2)));
    assert!(post("b.example.org", b"six").is_err());
    assert_eq!(web.bodies("b.example.org"), [b"five"]);
    for fault in [Fault::AnswerLost, Fault::CutInAnswer(20)] {
        faults.add(Some(fault));
        assert!(post("b.example.org", b"seven").is_err());
    }
    assert_eq!(web.bodies("b.example.org").len(), 3);
    faults.add(Some(Fault::Raw(b"HTTP/1.1 299 Odd\r\n\r\n".to_vec())));
    assert_eq!(status("b.example.org", b"eight"), 299);
    for fault in [Fault::Answer, Fault::Early] {
        faults.add(Some(fault(Answer::new(413))));
        assert_eq!(status("b.example.org", b"nine"), 413);
    }
    assert_eq!(
        web.bodies("b.example.org").len(),
        3,
        "these were not looked at"
    );
    web.set_date(Date::Absent);
    assert_eq!(post("b.example.org", b"x").unwrap().header("date"), None);
    web.set_date(Date::Shifted(SignedDuration::from_hours(-3)));
    let date = post("b.example.org", b"x").unwrap();
    assert_eq!(date.header("date"), Some("Sun, 01 Mar 2026 09:00:00 GMT"));
}
