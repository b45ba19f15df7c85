//! relay-post: parcels for the servers of nodes on the Internet. Everything is on loopback.

use std::fs;
use std::io::Write as _;

use crate::online::{Answer, Authority, Fault, Mode, Resolver, Web};
use crate::testenv::{Call, Env, Ran, id};

/// The address of the recipient, and its server.
const ADDRESS: &str = "bob.example.org";
const HOST: &str = "pohttp.bob.example.org";

const SERVICE: &str = "_awala-pdc._tcp.bob.example.org";

struct World {
    env: Env,
    authority: Authority,
    resolver: Resolver,
    web: Web,
}

impl World {
    /// Alice, who may write to bob: he is on the Internet, and his server runs. `direct` is alice's setting.
    fn new(direct: &str) -> Self {
        let env = Env::new();
        env.make_node("alice", &["--set", &format!("direct={direct}")]);
        env.make_node("bob", &["--address", ADDRESS]);
        let params = env.relay("export").args(["-N", "bob"]).ok().stdout;
        env.relay("import")
            .args(["-q", "-N", "alice", "--name", "bob"])
            .stdin(params)
            .ok();
        let authority = Authority::new();
        authority.write(&env);
        let resolver = Resolver::start(&authority);
        let web = Web::start(&authority, &[HOST, "elsewhere.example.org"]);
        resolver.add_service("_awala-pdc", ADDRESS, HOST, web.port());
        resolver.add_address(HOST);
        Self {
            env,
            authority,
            resolver,
            web,
        }
    }

    /// A parcel for bob in alice's spool, routed.
    fn put(&self, content: &[u8]) -> Vec<u8> {
        let parcel = self.env.parcel("alice", "bob", content);
        self.env
            .relay("put")
            .args(["-N", "alice"])
            .stdin(parcel.clone())
            .ok();
        self.env.relay("route").args(["-N", "alice"]).ok();
        parcel
    }

    fn post(&self) -> Call<'_> {
        self.env
            .relay("post")
            .args(["-N", "alice", "--private", "--ca", "ca.pem"])
            .args(["--resolver", &self.resolver.url()])
    }

    /// The files that wait for servers on the Internet.
    fn waiting(&self) -> Vec<String> {
        self.env.names("alice/spool/out/@internet")
    }

    /// The number of files of what is set aside: two for each parcel.
    fn failed(&self) -> usize {
        let dir = self.env.path("alice/spool/failed").read_dir();
        dir.map_or(0, Iterator::count)
    }

    fn state(&self, parcel: &[u8]) -> Ran {
        let id = self
            .env
            .relay("inspect")
            .arg("--json")
            .stdin(parcel.to_vec())
            .ok()
            .json()[0]["id"]
            .clone();
        let list = self.env.relay("list");
        list.args(["-N", "alice", "--id", id.as_str().unwrap()])
            .run()
    }
}

#[test]
fn a_parcel_goes_to_its_recipients_own_server_once() {
    let world = World::new("fallback");
    let parcel = world.put(b"hello");
    assert_eq!(world.waiting().len(), 1);
    world.post().ok().quiet();
    assert_eq!(world.web.bodies(HOST), std::slice::from_ref(&parcel));
    assert!(world.waiting().is_empty());
    let state = world.state(&parcel);
    assert_eq!(state.status, 0, "{}", state.stderr);
    assert!(state.text().starts_with("posted\t"), "{}", state.text());
    world.post().ok().quiet();
    assert_eq!(world.web.bodies(HOST).len(), 1);
    // A repetition of what was posted is refused, as one of what was passed on.
    let put = world.env.relay("put").args(["-N", "alice"]);
    put.stdin(parcel)
        .ends(82)
        .says_somewhere("was packed or handed on before");
    // The recipient opens it.
    let body = world.web.bodies(HOST).remove(0);
    let open = world.env.relay("open").args(["-N", "bob"]).stdin(body);
    open.ok().stdout("hello");
}

#[test]
fn a_server_that_took_a_parcel_may_say_anything() {
    let world = World::new("fallback");
    let long = Answer::new(202).body("text/plain", vec![b'x'; 200_000]);
    world.web.answer_next(HOST, long);
    world.put(b"long");
    world.post().ok().quiet();
    assert!(world.waiting().is_empty());
    let faults = world.web.faults(HOST);
    for text in [
        "HTTP/1.1 202 A\r\nContent-Length: 100\r\n\r\nshort",
        "HTTP/1.1 200 A\r\nTransfer-Encoding: chunked\r\n\r\nzzz",
    ] {
        faults.add(Some(Fault::Raw(text.as_bytes().to_vec())));
        world.put(text.as_bytes());
        world.post().ok().quiet();
        assert!(world.waiting().is_empty(), "{text}");
    }
}

#[test]
fn by_default_nothing_goes_to_servers_of_others() {
    let world = World::new("no");
    let parcel = world.env.parcel("alice", "bob", b"hello");
    let put = world.env.relay("put").args(["-N", "alice"]);
    put.stdin(parcel).ok();
    let route = world.env.relay("route").args(["-N", "alice"]).ok();
    let hints = route.hints();
    assert!(
        hints.iter().any(|hint| hint.contains("direct = fallback")),
        "{hints:?}"
    );
    assert!(!world.env.path("alice/spool/out/@internet").exists());
    assert_eq!(world.failed(), 2);
    world.post().ok().quiet();
    assert_eq!(world.resolver.count(SERVICE), 0);
}

/// Each status, and what becomes of the parcel: it was taken, is set aside, or waits with this exit status.
#[test]
fn every_status_has_its_outcome() {
    let world = World::new("fallback");
    let (taken, aside) = (-1, -2);
    for (status, outcome) in [
        (200, taken),
        (202, taken),
        (204, taken),
        (300, 75),
        (302, 75),
        (304, 76),
        (400, aside),
        (401, 69),
        (403, aside),
        (404, 76),
        (405, 76),
        (408, 75),
        (413, aside),
        (415, 76),
        (422, aside),
        (425, 75),
        (429, 75),
        (451, 76),
        (500, 75),
        (502, 75),
        (503, 75),
        (507, 75),
    ] {
        fs::remove_dir_all(world.env.path("alice/spool")).ok();
        let parcel = world.put(format!("{status}").as_bytes());
        let answer = Answer::message(status, "because");
        world.web.answer_next(HOST, answer);
        let ran = world.post().run();
        let failed = world.failed();
        let state = world.state(&parcel);
        let facts = (ran.status, world.waiting().len(), failed, state.status);
        let expected = match outcome {
            -1 => (0, 0, 0, 0),
            -2 => (0, 0, 2, 67),
            outcome => (outcome, 1, 0, 75),
        };
        assert_eq!(facts, expected, "{status}: {}", ran.stderr);
        if outcome != taken {
            let text = format!("{HOST}:{}: {status}", world.web.port());
            assert!(ran.stderr.contains(&text), "{status}: {}", ran.stderr);
        }
    }
}

#[test]
fn redirects_are_followed_three_times_and_to_https_alone() {
    let world = World::new("fallback");
    let port = world.web.port();
    let here = format!("https://{HOST}:{port}/there");
    let other = format!("https://elsewhere.example.org:{port}/there");
    world.resolver.add_address("elsewhere.example.org");
    let again = |status: u16, location: &str, times: usize| {
        for _ in 0..times {
            world
                .web
                .answer_next(HOST, Answer::redirect(status, location));
        }
    };
    // To another path, to another host, relative, three times.
    again(307, &other, 1);
    let parcel = world.put(b"other");
    world.post().ok().quiet();
    assert_eq!(world.web.bodies("elsewhere.example.org"), [parcel]);
    again(308, "/relative", 3);
    world.put(b"relative");
    world.post().ok().quiet();
    assert!(world.waiting().is_empty());
    // A fourth, to itself for ever, to http, to nothing, malformed.
    for (location, times) in [
        (here.as_str(), 4),
        ("/", 4),
        (&here.replace("https", "http"), 1),
        ("ftp://a.example.org/", 1),
        ("https://", 1),
        ("https://a b/", 1),
    ] {
        again(307, location, times);
        fs::remove_dir_all(world.env.path("alice/spool")).ok();
        world.put(location.as_bytes());
        let ran = world.post().run();
        assert_eq!(
            (ran.status, world.waiting().len()),
            (76, 1),
            "{location}: {}",
            ran.stderr
        );
    }
    // 302 is what a network answers that asks for a login first.
    fs::remove_dir_all(world.env.path("alice/spool")).ok();
    world.put(b"portal");
    again(302, "https://login.example.org/", 1);
    world.post().ends(75);
    assert_eq!(world.waiting().len(), 1);
}

#[test]
fn private_addresses_are_refused_whoever_names_them() {
    let world = World::new("fallback");
    world.put(b"hello");
    let post = || {
        let post = world.env.relay("post");
        let resolver = world.resolver.url();
        post.args(["-N", "alice", "--ca", "ca.pem", "--resolver", &resolver])
    };
    post()
        .ends(69)
        .says_somewhere("127.0.0.1 is a private address");
    assert!(world.web.bodies(HOST).is_empty());
    assert_eq!(world.waiting().len(), 1);
    // A redirect to a literal, in each of its forms.
    for literal in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "169.254.1.1",
    ] {
        // With the option they would be dialled, so only what needs no dialling is tried here.
        let target = format!("https://{literal}:1/");
        let server = relaynet::binding::Server::named_by_operator(&format!("{literal}:1"), None);
        let relaynet::binding::Host::Literal(address) = server.unwrap().host else {
            panic!("{target}");
        };
        assert!(relaynet::binding::server::is_private(address), "{literal}");
    }
}

#[test]
fn only_what_is_proven_is_believed_of_names() {
    let world = World::new("fallback");
    world.put(b"hello");
    for (mode, status) in [
        (Mode::NotValidated, 75),
        (Mode::WrongOwner, 75),
        (Mode::AliasLoop, 75),
        (Mode::WrongQuestion, 75),
        (Mode::PortZero, 75),
        (Mode::RootTarget, 69),
        (Mode::NxDomain { is_validated: true }, 69),
        (
            Mode::NxDomain {
                is_validated: false,
            },
            75,
        ),
        (Mode::NoData { is_validated: true }, 69),
        (Mode::ServFail, 75),
        (Mode::Truncated, 75),
        (Mode::Cut, 75),
        (Mode::Html, 75),
        (Mode::Garbage, 75),
        (Mode::Http(Fault::Answer(Answer::new(500))), 75),
    ] {
        let shown = format!("{mode:?}");
        world.resolver.set_mode(mode);
        let ran = world.post().run();
        assert_eq!(
            (ran.status, world.waiting().len()),
            (status, 1),
            "{shown}: {}",
            ran.stderr
        );
        assert!(!ran.stderr.is_empty(), "{shown}");
    }
    assert!(world.web.bodies(HOST).is_empty());
    world.resolver.set_mode(Mode::Honest);
    world.post().ok().quiet();
    // What was validated is used for as long as it may be.
    let asked = world.resolver.count(SERVICE);
    world.put(b"again");
    world.post().ok().quiet();
    assert_eq!(world.resolver.count(SERVICE), asked);
}

#[test]
fn without_a_resolver_no_name_is_dialled() {
    let world = World::new("fallback");
    let post = || {
        world
            .env
            .relay("post")
            .args(["-N", "alice", "--ca", "ca.pem"])
    };
    // Nothing waits: nothing is wrong.
    post().ok().quiet();
    world.put(b"hello");
    let ran = post().ends(78).says_somewhere("there is no resolver");
    assert!(
        ran.hints()[0].contains("resolver = URL"),
        "{:?}",
        ran.hints()
    );
    assert_eq!(world.waiting().len(), 1);
}

#[test]
fn a_server_that_is_not_the_one_meant_gets_nothing() {
    let world = World::new("fallback");
    world.put(b"hello");
    let other = Authority::new();
    fs::write(world.env.path("ca.pem"), other.pem()).unwrap();
    let ran = world.post().run();
    assert_eq!(ran.status, 75, "{}", ran.stderr);
    fs::write(world.env.path("ca.pem"), world.authority.pem()).unwrap();
    let stranger = Web::start(&world.authority, &["stranger.example.org"]);
    world.resolver.remove(SERVICE);
    world
        .resolver
        .add_service("_awala-pdc", ADDRESS, HOST, stranger.port());
    world.post().ends(75).says_somewhere("certificate");
    assert!(stranger.bodies(HOST).is_empty());
    assert_eq!(world.waiting().len(), 1);
}

#[test]
fn one_that_asks_to_be_left_alone_is_under_cron() {
    let world = World::new("fallback");
    world.put(b"hello");
    let answer = Answer::message(503, "busy").with("Retry-After", "600");
    world.web.answer_next(HOST, answer);
    let first = world.post().arg("-q").ends(75);
    assert!(first.stderr.contains("503"), "{}", first.stderr);
    // Too early: nothing is asked and nothing said.
    let requests = world.web.requests().all().len();
    world.post().arg("-q").ends(75).quiet();
    assert_eq!(world.web.requests().all().len(), requests);
    // Somebody who looks on has it tried at once.
    world.post().ok().quiet();
    assert_eq!(world.web.bodies(HOST).len(), 2);
}

#[test]
fn what_cannot_be_posted_for_an_hour_takes_the_gateway() {
    let env = Env::with_gateways();
    env.relay("keygen").args(["-N", "gateway"]).run();
    let mut config = fs::OpenOptions::new()
        .append(true)
        .open(env.path("alice/config"))
        .unwrap();
    config.write_all(b"direct = always\n").unwrap();
    env.make_node("carol", &["--address", "carol.example.org"]);
    let params = env.relay("export").args(["-N", "carol"]).ok().stdout;
    let import = env
        .relay("import")
        .args(["-q", "-N", "alice", "--name", "carol"]);
    import.stdin(params).ok();
    let parcel = env.parcel("alice", "carol", b"hello");
    env.relay("put").args(["-N", "alice"]).stdin(parcel).ok();
    env.relay("route").args(["-N", "alice"]).ok();
    assert_eq!(env.names("alice/spool/out"), ["@internet"]);
    let authority = Authority::new();
    authority.write(&env);
    let resolver = Resolver::start(&authority);
    resolver.set_mode(Mode::ServFail);
    let post = |now: &str| {
        let post = env.relay("post").at(now);
        let resolver = resolver.url();
        post.args(["-N", "alice", "--ca", "ca.pem", "--resolver", &resolver])
    };
    // The file has the time of this machine; a test's own time is far from it.
    let file = env.path("alice/spool/out/@internet").read_dir().unwrap();
    let file = file.map(|it| it.unwrap().path()).next().unwrap();
    let at: jiff::Timestamp = crate::testenv::NOW.parse().unwrap();
    let stored = std::time::SystemTime::from(at);
    fs::File::open(&file).unwrap().set_modified(stored).unwrap();
    post(crate::testenv::NOW).ends(75);
    assert_eq!(env.names("alice/spool/out/@internet").len(), 1);
    let later = (at + jiff::SignedDuration::from_mins(61)).to_string();
    post(&later).ends(75);
    assert!(env.names("alice/spool/out/@internet").is_empty());
    env.relay("route").at(&later).args(["-N", "alice"]).ok();
    assert_eq!(
        env.names(&format!("alice/spool/out/{}", id("gateway")))
            .len(),
        1
    );
}

#[test]
fn parcels_in_files_are_posted_without_a_node() {
    let world = World::new("no");
    let parcel = world.env.parcel("alice", "bob", b"hello");
    world.env.write("p.parcel", &parcel);
    let post = || {
        let post = world
            .env
            .relay("post")
            .args(["--private", "--ca", "ca.pem"]);
        post.args(["--resolver", &world.resolver.url()])
    };
    post()
        .args(["p.parcel", "-"])
        .stdin(parcel.clone())
        .ok()
        .quiet();
    assert_eq!(world.web.bodies(HOST), [parcel.clone(), parcel]);
    let ran = post().args(["-v", "p.parcel"]).ok();
    ran.says_somewhere("event=posted id=")
        .says_somewhere(&format!(" to={} address={ADDRESS}", id("bob")));
    world
        .web
        .answer_next(HOST, Answer::message(403, "not authorized"));
    post().arg("p.parcel").ends(69).says_somewhere("403");
    post().arg("/dev/null").ends(66).says_somewhere("empty");
    world.env.write("junk", "junk");
    post().args(["junk", "p.parcel"]).ends(65);
    assert_eq!(world.web.bodies(HOST).len(), 5);
}

#[test]
fn a_dry_run_says_where_it_would_connect_to() {
    let world = World::new("fallback");
    world.put(b"hello");
    let port = world.web.port();
    let ran = world.post().arg("-n").ok().quiet();
    assert_eq!(
        ran.text(),
        format!("{ADDRESS}\t{HOST}\t{port}\tpublic\tresolver\t1\n")
    );
    let ran = world.post().args(["-n", "--json"]).ok().quiet();
    let line = &ran.json()[0];
    assert_eq!(
        (line["host"].as_str(), line["port"].as_u64()),
        (Some(HOST), Some(port.into()))
    );
    assert!(world.web.requests().all().is_empty());
    let ran = world.post().arg("--json").ok().quiet();
    let events: Vec<_> = ran.json().iter().map(|it| it["event"].clone()).collect();
    assert_eq!(events, ["posted", "reached", "summary"]);
}

/// Adds lines to alice's config.
fn set(env: &Env, lines: &str) {
    let config = env.text("alice/config");
    env.write("alice/config", config + lines);
}

/// Dates what waits in `@internet`, since a test's time is not that of this machine.
fn date(env: &Env, at: jiff::Timestamp) {
    for name in env.names("alice/spool/out/@internet") {
        let file = env.path("alice/spool/out/@internet").join(name);
        let stored = std::time::SystemTime::from(at);
        fs::File::open(file).unwrap().set_modified(stored).unwrap();
    }
}

#[test]
fn what_waits_is_listed_and_counted() {
    let world = World::new("fallback");
    world.put(b"hello");
    for queue in ["out/@internet", "out", ""] {
        let list = world.env.relay("list").args(["-N", "alice"]);
        let list = if queue.is_empty() {
            list
        } else {
            list.arg(queue)
        };
        let ran = list.ok().quiet();
        assert!(ran.text().starts_with("out/@internet\tparcel\t"), "{queue}");
        assert_eq!(ran.text().lines().count(), 1, "{queue}");
    }
    let status = || world.env.relay("status").args(["-N", "alice"]);
    let text = status().ok().text().to_owned();
    let row = text.lines().find(|row| row.starts_with("out/@internet "));
    assert!(
        row.is_some_and(|row| row.contains(" 1, ") || row.contains(" 1 ")),
        "{text}"
    );
    let numbers = status().arg("--json").ok().json().remove(0);
    let queues = numbers["queues"].as_array().unwrap();
    let queue = queues.iter().find(|it| it["queue"] == "out/@internet");
    let queue = queue.unwrap();
    assert_eq!(
        (queue["peer"].as_str(), queue["messages"].as_u64()),
        (Some("@internet"), Some(1))
    );
    let metrics = status().arg("--prometheus").ok().text().to_owned();
    let sample = "relay_queue_messages{queue=\"out\",peer=\"@internet\"} 1\n";
    assert!(metrics.contains(sample), "{metrics}");
}

#[test]
fn what_keeps_it_waiting_is_found() {
    let world = World::new("fallback");
    world.put(b"hello");
    let now: jiff::Timestamp = crate::testenv::NOW.parse().unwrap();
    let found = || {
        let ran = world.env.relay("check").args(["-N", "alice"]).run();
        let lines = ran.text().lines().filter(|it| it.contains("@internet"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    date(&world.env, now);
    let lines = found();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("no resolver"), "{lines:?}");
    set(
        &world.env,
        &format!("resolver = {}\n", world.resolver.url()),
    );
    assert!(found().is_empty(), "{:?}", found());
    date(&world.env, now - jiff::SignedDuration::from_hours(8 * 24));
    let lines = found();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("relay-post"), "{lines:?}");
}

#[test]
fn quotas_count_what_waits() {
    let world = World::new("fallback");
    let parcel = world.put(b"first");
    let quota = parcel.len() + parcel.len() / 2;
    set(&world.env, &format!("quota = {quota}\n"));
    let second = world.env.parcel("alice", "bob", b"second");
    let put = || {
        let put = world.env.relay("put").args(["-N", "alice"]);
        put.stdin(second.clone())
    };
    put().ends(75).says_somewhere("over the quota");
    world.post().ok().quiet();
    put().ok();
}

#[test]
fn what_has_expired_is_purged_and_not_posted() {
    let world = World::new("fallback");
    let ttl = ["--ttl", "2d"];
    let parcel = world.env.parcel_with("alice", "bob", b"hello", &ttl);
    let put = world.env.relay("put").args(["-N", "alice"]);
    put.stdin(parcel.clone()).ok();
    world.env.relay("route").args(["-N", "alice"]).ok();
    let late = "2026-03-04T12:00:00Z";
    world.post().at(late).ok().quiet();
    assert_eq!(world.waiting().len(), 1);
    let purge = world.env.relay("purge").args(["-N", "alice"]);
    purge.at(late).ok();
    assert!(world.waiting().is_empty());
    assert!(world.web.bodies(HOST).is_empty());
    let state = world.state(&parcel);
    assert_eq!(state.status, 80, "{}", state.stderr);
}

#[test]
fn what_waits_is_routed_anew_after_a_change() {
    let world = World::new("fallback");
    world.put(b"hello");
    let config = world.env.text("alice/config");
    let config = config.replace("direct = fallback", "direct = no");
    world.env.write("alice/config", config);
    let route = world.env.relay("route").args(["-N", "alice"]);
    let ran = route.args(["--reroute", "@internet"]).ok();
    ran.says_somewhere("no route to");
    assert_eq!((world.waiting().len(), world.failed()), (0, 2));
}

#[test]
fn a_host_that_the_operator_named_goes_before_what_resolvers_say() {
    let world = World::new("fallback");
    world.put(b"hello");
    let web = Web::start(&world.authority, &["127.0.0.1"]);
    let host = format!("127.0.0.1:{}", web.port());
    let peers = world.env.relay("peers");
    peers.args(["-N", "alice", "--host", &host, "bob"]).ok();
    let ran = world.post().arg("-n").ok().quiet();
    assert!(
        ran.text().contains("\tself-signed\thost\t1"),
        "{}",
        ran.text()
    );
    world.post().ok().quiet();
    assert_eq!(web.bodies("127.0.0.1").len(), 1);
    assert_eq!(world.resolver.count(SERVICE), 0);
    assert!(world.waiting().is_empty());
}

/// The lines of a run that have this text.
fn lines(ran: &Ran, text: &str) -> usize {
    ran.stderr
        .lines()
        .filter(|line| line.contains(text))
        .count()
}

#[test]
fn a_host_that_takes_no_parcels_now_is_reported_once() {
    let world = World::new("fallback");
    for content in [b"1", b"2", b"3", b"4", b"5"] {
        world.put(content);
    }
    for pause in [None, Some("60")] {
        let answer = Answer::message(429, "slow down");
        let answer = pause
            .into_iter()
            .fold(answer, |answer, pause| answer.with("Retry-After", pause));
        world.web.answer_always(HOST, answer);
        let before = world.web.bodies(HOST).len();
        let ran = world.post().arg("--json").ends(75);
        assert_eq!(lines(&ran, "429"), 1, "{}", ran.stderr);
        // Three in a row, or one that asks for a pause.
        let asked = if pause.is_some() { 1 } else { 3 };
        assert_eq!(world.web.bodies(HOST).len() - before, asked);
        let summary = ran.json().pop().unwrap();
        assert_eq!(
            (summary["posted"].as_u64(), summary["kept"].as_u64()),
            (Some(0), Some(5))
        );
    }
    // Where others are taken, what was said of one is reported all the same.
    world.web.faults(HOST).always(None);
    for _ in 0..2 {
        world
            .web
            .answer_next(HOST, Answer::message(500, "a moment"));
    }
    let ran = world.post().ends(75);
    assert_eq!(
        (lines(&ran, "500"), world.waiting().len()),
        (1, 2),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_host_that_takes_no_parcels_of_a_stream_is_reported_once() {
    let world = World::new("no");
    let parcels = (0..5).map(|at| world.env.parcel("alice", "bob", &[at]));
    world
        .env
        .write("stream", parcels.collect::<Vec<_>>().concat());
    world
        .web
        .answer_always(HOST, Answer::message(429, "slow down"));
    let post = || {
        let post = world
            .env
            .relay("post")
            .args(["--private", "--ca", "ca.pem"]);
        post.args([
            "--resolver",
            &world.resolver.url(),
            "--status-fd",
            "1",
            "stream",
        ])
    };
    let ran = post().ends(75);
    assert_eq!(lines(&ran, "429"), 1, "{}", ran.stderr);
    let statuses: Vec<_> = ran.json().iter().map(|it| it["status"].as_i64()).collect();
    assert_eq!(statuses, [Some(75); 5]);
    assert_eq!(world.web.bodies(HOST).len(), 3);
    // What one parcel is refused for says nothing of the others.
    world
        .web
        .answer_always(HOST, Answer::message(403, "not authorized"));
    let ran = post().ends(69);
    assert_eq!(lines(&ran, "403"), 5, "{}", ran.stderr);
}

#[test]
fn a_host_that_the_operator_named_gets_parcels_of_files_too() {
    let world = World::new("no");
    let parcel = world.env.parcel("alice", "bob", b"hello");
    world.env.write("p.parcel", &parcel);
    let web = Web::start(&world.authority, &["127.0.0.1"]);
    let host = format!("127.0.0.1:{}", web.port());
    let peers = world.env.relay("peers");
    peers.args(["-N", "alice", "--host", &host, "bob"]).ok();
    world.post().arg("p.parcel").ok().quiet();
    assert_eq!(web.bodies("127.0.0.1"), [parcel]);
    assert_eq!(world.resolver.count(SERVICE), 0);
    // Without the node it is what the resolver says.
    let post = world
        .env
        .relay("post")
        .args(["--private", "--ca", "ca.pem"]);
    let post = post.args(["--resolver", &world.resolver.url(), "p.parcel"]);
    post.ok().quiet();
    assert_eq!(world.web.bodies(HOST).len(), 1);
}

#[test]
fn options_of_files_need_files() {
    let world = World::new("fallback");
    world.put(b"hello");
    for options in [&["--allow-empty"][..], &["--status-fd", "1"]] {
        let ran = world.post().args(options).ends(64);
        assert!(ran.stderr.contains("FILE"), "{options:?}: {}", ran.stderr);
    }
    assert_eq!(world.waiting().len(), 1);
    world
        .post()
        .args(["--allow-empty", "/dev/null"])
        .ok()
        .quiet();
}
