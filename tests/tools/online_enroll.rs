//! relay-enroll: a registration from a gateway, or nothing.

use std::sync::OnceLock;

use jiff::SignedDuration;
use relaynet::message::Registration;

use crate::online::authority::{LIFE, Leaf};
use crate::online::gateway::{Event, Place};
use crate::online::site::{HOST, Site, each_at_once, node_id};
use crate::online::{Answer, Authority, Fault, Gateway, Mode, objects};
use crate::testenv::{Call, Env, HUB, NOW, Ran, fingerprint, id, identity, sha256};

const PROMISE: &str = "application/vnd.awala.node-registration.authorization";
const REGISTRATION: &str = "application/vnd.awala.node-registration.registration";

/// What the resolver is asked.
const SERVICE: &str = "_awala-gsc._tcp.hub.example.org";

/// The hub, and a gateway that is not registered.
fn site() -> Site {
    static MADE: OnceLock<Env> = OnceLock::new();
    Site::copy_of(MADE.get_or_init(|| {
        let env = Env::new();
        env.make_node("hub", &["--type", "gateway", "--address", HUB]);
        env.make_node("gateway", &["--type", "gateway"]);
        env
    }))
}

/// A run that is to be given its address.
fn enroll(site: &Site) -> Call<'_> {
    site.networked("enroll").args(["-N", "gateway"])
}

/// Checks a run that gave nothing.
#[track_caller]
fn nothing(ran: Ran, status: i32, text: &str) {
    let lines = ran.diagnostics();
    assert_eq!(ran.status, status, "{text}: {}", ran.stderr);
    assert!(
        lines.len() == 1 && lines[0].contains(text),
        "{text}: {}",
        ran.stderr
    );
    // The hub may have registered the node.
    let changed = ran.changed();
    assert!(
        changed.iter().all(|it| it[1..].starts_with("hub/")),
        "{text}: {changed:?}"
    );
    ran.stdout("");
}

#[test]
fn a_registration_goes_to_standard_output_and_is_imported() {
    let site = site();
    let ran = enroll(&site).arg(HUB).ok();
    let said = format!("fingerprint {}", fingerprint("hub"));
    let ran = ran.says(&[&said, "registration as a whole "]);
    ran.changed()
        .iter()
        .for_each(|it| assert!(it.starts_with("+hub/"), "{it}"));
    assert_eq!(
        site.gateway
            .journal()
            .count(|it| *it == Event::Registered(node_id("gateway"))),
        1
    );
    let import = site.env.relay("import");
    let import = import.args([
        "-q",
        "-N",
        "gateway",
        "--name",
        "hub",
        "--expect",
        &sha256(&ran.stdout),
    ]);
    import
        .stdin(ran.stdout)
        .ok()
        .quiet()
        .stdout(format!("{}\n", id("hub")));
    site.online("gateway").ok().quiet();
    // Again, into a file, by the host, with a pin, and without a resolver.
    let host = format!("127.0.0.1:{}", site.gateway.port());
    let pinned = site.env.relay("enroll").args([
        "-N",
        "gateway",
        "--pin",
        site.gateway.pin(),
        "-o",
        "pnr",
        &host,
    ]);
    pinned.ok().stdout("").changes_outside_nodes(&["+pnr"]);
    assert_eq!(
        site.gateway
            .journal()
            .count(|it| matches!(it, Event::Registered(_))),
        2
    );
    let again = site.env.relay("enroll").args([
        "-N",
        "gateway",
        "--pin",
        site.gateway.pin(),
        "-o",
        "pnr",
        &host,
    ]);
    again.fails(73, "pnr: ");
    assert_eq!(
        site.gateway
            .journal()
            .count(|it| matches!(it, Event::Registered(_))),
        2,
        "looked before"
    );
    // A self-signed certificate of an address that the operator gave is as good as another.
    let own = Gateway::start_with(
        &site.env,
        "hub",
        Some(&Leaf::self_signed(&["127.0.0.1"], LIFE)),
    );
    let host = format!("127.0.0.1:{}", own.port());
    site.env
        .relay("enroll")
        .args(["-q", "-N", "gateway", &host])
        .ok()
        .quiet();
}

#[test]
fn a_dry_run_asks_only_the_resolver() {
    let site = site();
    let ran = enroll(&site).args(["-n", HUB]).ok().quiet().changes(&[]);
    assert_eq!(
        ran.text(),
        format!("{HOST}\t{}\tpublic\n", site.gateway.port())
    );
    assert_eq!(
        (
            site.gateway.listener().accepted(),
            site.resolver.count(SERVICE)
        ),
        (0, 1)
    );
    let lines = enroll(&site).args(["-n", "--json", HUB]).ok().json();
    let expected = serde_json::json!({
        "v": 1, "host": HOST, "port": site.gateway.port(), "certificate": "public",
    });
    assert_eq!(lines, [expected]);
    enroll(&site).args(["--json", HUB]).ends(64);
}

#[test]
#[allow(clippy::too_many_lines)] // a table
fn each_bad_answer_has_its_status() {
    let typed = |status, media_type: &str, body: &[u8]| Answer::new(status).body(media_type, body);
    let now: jiff::Timestamp = NOW.parse().unwrap();
    let expiry = now + SignedDuration::from_secs(10);
    let digest = |of: &str| relaynet::crypto::hash::sha256(identity(of).public().spki());
    let promise = |by: &str, of: &str, expiry| objects::promise(&identity(by), &digest(of), expiry);
    let to = |at: Place, answer: Answer| (at, Fault::Answer(answer));
    let mut table = Vec::new();
    for at in [Place::PreRegistrations, Place::Nodes] {
        for (status, exit) in [
            (201, 76),
            (202, 76),
            (204, 76),
            (302, 75),
            (307, 76),
            (308, 76),
            (400, 69),
            (401, 69),
            (403, 69),
            (404, 76),
            (405, 76),
            (413, 69),
            (415, 76),
            (422, 69),
            (429, 75),
            (500, 75),
            (503, 75),
        ] {
            let answer = Answer::message(status, "no").with("Location", "https://127.0.0.1:1/");
            table.push((exit, to(at, answer), format!("{status}")));
        }
        let media_type = if at == Place::Nodes {
            REGISTRATION
        } else {
            PROMISE
        };
        let (other, with) = ("text/html", format!("{media_type}; charset=utf-8"));
        table.push((76, to(at, typed(200, other, b"<html>")), other.to_owned()));
        table.push((76, to(at, typed(200, &with, b"x")), with));
        table.push((76, to(at, Answer::new(200)), "no media type".to_owned()));
        table.push((65, to(at, typed(200, media_type, b"x")), String::new()));
        table.push((65, to(at, typed(200, media_type, b"")), String::new()));
        table.push((
            76,
            to(at, typed(200, media_type, &vec![0x30; 64 * 1024 + 1])),
            "65536".to_owned(),
        ));
        table.push((75, (at, Fault::CutInAnswer(60)), String::new()));
        table.push((
            76,
            (at, Fault::Raw(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec())),
            String::new(),
        ));
    }
    each_at_once(table, |(status, (at, fault), text)| {
        let site = site();
        site.gateway.fail_next(at, fault.clone());
        let ran = enroll(&site).arg(HUB).run();
        assert_eq!(
            ran.status,
            status,
            "{at:?} {:.300}: {}",
            format!("{fault:?}"),
            ran.stderr
        );
        nothing(ran, status, &text);
    });
    // Promises that are not for this node, or not now.
    for (promise, status) in [
        (promise("hub", "mallory", expiry), 69),
        (
            promise("hub", "gateway", now - SignedDuration::from_secs(1)),
            69,
        ),
        (promise("mallory", "gateway", expiry), 69),
    ] {
        let site = site();
        site.gateway.fail_next(
            Place::PreRegistrations,
            Fault::Answer(typed(200, PROMISE, &promise)),
        );
        nothing(enroll(&site).arg(HUB).run(), status, "");
        assert_eq!(
            site.gateway
                .journal()
                .count(|it| matches!(it, Event::Registered(_))),
            0
        );
    }
}

#[test]
fn a_registration_for_another_or_without_a_session_key_is_refused() {
    let made = Env::with_gateways();
    let registration = |node: &str, gateway: &str| {
        let public = made.relay("export").args(["-N", node]).ok().stdout;
        made.relay("register")
            .args(["-q", "--der", "-N", gateway, "--name", node])
            .stdin(public)
            .ok()
            .stdout
    };
    // That of a private gateway for its endpoints has none.
    let mut keyless = Registration::parse(&registration("gateway", "hub")).unwrap();
    keyless.session_key = None;
    for (body, text) in [
        (
            registration("mallory", "hub"),
            "the registration is for another key",
        ),
        (
            registration("bob", "gateway"),
            "the registration is for another key",
        ),
        (keyless.to_der(), "the registration has no session key"),
    ] {
        let site = site();
        let answer = Answer::new(200).body(REGISTRATION, body);
        site.gateway.fail_next(Place::Nodes, Fault::Answer(answer));
        nothing(enroll(&site).arg(HUB).run(), 76, text);
    }
}

#[test]
fn each_wrong_certificate_is_told() {
    let site = site();
    let authority = &site.authority;
    let past = ((2001, 1, 1), (2002, 1, 1));
    let future = ((2090, 1, 1), (2091, 1, 1));
    for (leaf, text) in [
        (
            authority.leaf(&["poweb.other.example.org"]),
            "poweb.other.example.org",
        ),
        (authority.leaf_between(&[HOST], past), "expired"),
        (authority.leaf_between(&[HOST], future), "not valid"),
        (Authority::new().leaf(&[HOST]), "signature"),
        (Leaf::self_signed(&[HOST], LIFE), "self-signed"),
    ] {
        let other = Gateway::start_with(&site.env, "hub", Some(&leaf));
        site.resolver.remove(SERVICE);
        other.announce(&site.resolver, HUB, HOST);
        let ran = enroll(&site).arg(HUB).run();
        nothing(ran, 75, text);
    }
    // The text says which pin would be right.
    let host = format!("127.0.0.1:{}", site.gateway.port());
    let wrong = "00".repeat(32);
    let ran = enroll(&site).args(["--pin", &wrong, &host]).run();
    nothing(ran, 75, site.gateway.pin());
}

#[test]
fn each_bad_resolution_has_its_status() {
    let yes = |is_validated| Mode::NxDomain { is_validated };
    let none = |is_validated| Mode::NoData { is_validated };
    each_at_once(
        [
            (Mode::RootTarget, 69, "hub.example.org has no"),
            (Mode::PortZero, 75, ""),
            (Mode::AliasLoop, 75, ""),
            (Mode::NotValidated, 75, ""),
            (Mode::WrongOwner, 75, ""),
            (Mode::WrongQuestion, 75, ""),
            (Mode::WrongId, 75, ""),
            (yes(true), 69, "hub.example.org has no"),
            (yes(false), 75, ""),
            (none(true), 69, "hub.example.org has no"),
            (none(false), 75, ""),
            (Mode::ServFail, 75, ""),
            (Mode::Truncated, 75, ""),
            (Mode::Cut, 75, ""),
            (Mode::Html, 75, ""),
            (Mode::Garbage, 75, ""),
            (Mode::Echo, 75, ""),
            (Mode::Long, 75, ""),
            (Mode::Http(Fault::Answer(Answer::new(500))), 75, ""),
            (
                Mode::Http(Fault::Answer(Answer::redirect(302, "https://127.0.0.1:1/"))),
                75,
                "",
            ),
            (Mode::Http(Fault::AnswerLost), 75, ""),
            (Mode::Http(Fault::Silence), 75, ""),
        ],
        |(mode, status, text)| {
            let site = site();
            site.resolver.set_mode_of(SERVICE, mode.clone());
            let started = std::time::Instant::now();
            let ran = enroll(&site).arg(HUB).run();
            assert_eq!(ran.status, status, "{mode:?}: {}", ran.stderr);
            nothing(ran, status, text);
            assert!(started.elapsed().as_secs() < 20, "{mode:?}");
            assert_eq!(site.gateway.listener().accepted(), 0, "{mode:?}");
        },
    );
    let site = site();
    site.resolver.set_mode_of(SERVICE, Mode::ThroughAlias);
    enroll(&site).args(["-q", HUB]).ok().quiet();
}

#[test]
fn what_cannot_be_looked_up_is_told() {
    let site = site();
    let enroll = |args: &[&str]| site.env.relay("enroll").args(["-N", "gateway"]).args(args);
    enroll(&[HUB]).fails(78, &format!("{SERVICE} cannot be looked up"));
    enroll(&["hub..example.org"]).fails(64, "");
    enroll(&["127.0.0.1:0"]).fails(64, "127.0.0.1:0 is neither");
    enroll(&["--local", "192.0.2.1:443"]).fails(64, "--local takes 127.0.0.1:PORT");
    // Nobody listens there.
    let port = {
        std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
    };
    let host = format!("127.0.0.1:{port}");
    enroll(&[&host]).fails(75, &format!("{host}: no connection"));
}

#[test]
fn options_for_a_network_have_their_form_and_their_place() {
    let env = Env::with_gateways();
    let enroll = |args: &[&str]| env.relay("enroll").args(["-N", "gateway"]).args(args);
    for malformed in ["foo", "http://127.0.0.1/dns-query"] {
        enroll(&["--resolver", malformed, HUB]).ends(64);
    }
    // No setting of the network leads to the gateway of the machine.
    for option in [
        ["--ca", "/nowhere.pem"],
        ["--resolver", "https://127.0.0.1/"],
    ] {
        enroll(&[&["--local"][..], &option].concat()).ends(64);
    }
    let config = env.text("gateway/config");
    env.write(
        "gateway/config",
        config + "proxy = http://nobody.invalid:1\n",
    );
    let plan = "127.0.0.1\t13276\tnone\n";
    enroll(&["-n", "--local"]).ok().stdout(plan);
    enroll(&["-n", HUB]).ends(78);
}

#[test]
fn the_config_names_the_authorities_unless_an_option_does() {
    let site = site();
    let config = site.env.text("gateway/config");
    let set = |ca: &std::path::Path| {
        let line = format!("ca = {}\n", ca.display());
        site.env.write("gateway/config", config.clone() + &line);
    };
    let enroll = |args: &[&str]| {
        let url = site.resolver.url();
        let call = site.env.relay("enroll").args(["-q", "-N", "gateway"]);
        call.args(["--resolver", &url]).args(args)
    };
    set(&site.env.path("ca.pem"));
    enroll(&[HUB]).ok().quiet();
    set("/nowhere/ca.pem".as_ref());
    let said = "/nowhere/ca.pem: ";
    enroll(&[HUB]).ends(78).says_somewhere(said);
    enroll(&["--ca", "ca.pem", HUB]).ok().quiet();
    set("ca.pem".as_ref());
    enroll(&[HUB]).ends(78).says_somewhere("absolute path");
}

#[test]
fn authorities_that_a_variable_names_are_read_or_named() {
    let site = site();
    let url = site.resolver.url();
    let enroll = |file: &str| {
        let call = site.env.relay("enroll").var("SSL_CERT_FILE", file);
        let call = call.args(["-q", "-N", "gateway", "--resolver", &url]);
        call.var("SSL_CERT_DIR", site.env.root())
    };
    let said = "SSL_CERT_FILE: /nowhere/ca.pem: ";
    enroll("/nowhere/ca.pem")
        .arg(HUB)
        .ends(78)
        .says_somewhere(said);
    let file = site.env.path("ca.pem");
    enroll(file.to_str().unwrap()).arg(HUB).ok().quiet();
    // Where they are not used, nothing is wrong.
    let pinned = ["--pin", &"7".repeat(64), "127.0.0.1:9"];
    enroll("/nowhere/ca.pem").args(pinned).ends(75);
}

#[test]
fn an_endpoint_registers_with_the_gateway_of_its_machine() {
    let env = Env::with_gateways();
    env.make_node("carol", &[]);
    let gateway = Gateway::start_plain(&env, "gateway");
    let host = format!("127.0.0.1:{}", gateway.port());
    let ran = env
        .relay("enroll")
        .args(["-q", "-N", "carol", "--local", &host])
        .ok()
        .quiet()
        .changes_outside_nodes(&[]);
    let import = env
        .relay("import")
        .args(["-q", "-N", "carol", "--name", "gateway"]);
    import
        .stdin(ran.stdout)
        .ok()
        .quiet()
        .stdout(format!("{}\n", id("gateway")));
}

#[test]
fn another_time_is_for_nodes_of_tests_alone() {
    let site = site();
    let config = site.env.text("gateway/config");
    assert!(config.contains("clock = test"), "{config}");
    let config = config.replace("clock = test\n", "");
    site.env.write("gateway/config", config);
    nothing(enroll(&site).arg(HUB).run(), 78, "--now is refused");
}
