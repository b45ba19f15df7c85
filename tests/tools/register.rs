//! relay-register, and relay-keygen --endpoint: who is certified by whom, in one step and in three.

use relaynet::message::registration::{RegistrationAuthorization, RegistrationRequest};
use relaynet::message::{Object, Registration};

use crate::testenv::{Env, HUB, fingerprint, id, interop};

/// The registration in a PEM or DER file.
fn registration(octets: &[u8]) -> Registration {
    match Object::parse(octets).unwrap() {
        Object::Registration(registration) => *registration,
        other => panic!("{}", other.word()),
    }
}

fn world() -> Env {
    let env = Env::new();
    env.make_node("hub", &["--type", "gateway", "--address", HUB]);
    env.make_node("gateway", &["--type", "gateway"]);
    env.make_node("alice", &[]);
    for node in ["gateway", "alice"] {
        let public = format!("{node}.pub");
        env.relay("export").args(["-N", node, "-o", &public]).ok();
    }
    env
}

#[test]
fn an_internet_gateway_registers_a_gateway() {
    let env = world();
    let ran = env
        .relay("register")
        .args([
            "-N",
            "hub",
            "--name",
            "gateway",
            "-o",
            "x.pnr",
            "gateway.pub",
        ])
        .ok()
        .says(&[
            &format!("gateway: fingerprint {}", fingerprint("gateway")),
            "gateway: registration as a whole ",
        ])
        .stdout("")
        .changes(&[
            "+hub/peers/GATEWAY",
            "+hub/peers/GATEWAY/identity.pub",
            "+hub/peers/GATEWAY/name",
            "+hub/peers/GATEWAY/registered",
            "+hub/peers/GATEWAY/registered/20260828T060000Z.HEX.pem",
            "+hub/sessions/GATEWAY",
            "+hub/sessions/GATEWAY/HEX.key",
            "+x.pnr",
        ]);
    assert_eq!(ran.status, 0);
    assert!(
        env.text("x.pnr")
            .starts_with("-----BEGIN RELAYNET REGISTRATION-----\n")
    );
    let made = registration(&env.read("x.pnr"));
    made.verify().unwrap();
    assert_eq!(made.node.id().to_string(), id("gateway"));
    assert_eq!(made.gateway.id().to_string(), id("hub"));
    assert_eq!(made.gateway_address.as_str(), HUB);
    assert_eq!((made.node.is_ca(), made.node.path_len()), (true, Some(1)));
    assert_eq!(made.node.not_before().to_string(), "2026-03-01T09:00:00Z");
    let key = made.session_key.unwrap().id().to_string();
    assert!(
        env.path(format!("hub/sessions/{}/{key}.key", id("gateway")))
            .exists()
    );

    env.relay("import")
        .args(["-N", "gateway", "--name", "hub", "x.pnr"])
        .ok()
        .says(&[
            "hub: it vouches for this node from now on",
            &format!("hub: fingerprint {}", fingerprint("hub")),
            "hub: registration as a whole ",
        ])
        .changes(&[
            "+gateway/certs/HUB",
            "+gateway/certs/HUB/20260828T060000Z.HEX.pem",
            "+gateway/peers/HUB",
            "+gateway/peers/HUB/address",
            "+gateway/peers/HUB/identity.pub",
            "+gateway/peers/HUB/name",
            "+gateway/peers/HUB/session.pem",
        ]);
}

#[test]
fn a_private_gateway_registers_an_endpoint_under_its_newest_certificate() {
    let env = world();
    let warning = "no Internet gateway knows this gateway, so what it registers is reached only";
    let own = env
        .relay("register")
        .args(["-v", "-N", "gateway", "--der", "alice.pub"])
        .ok()
        .says_somewhere(warning);
    env.relay("register")
        .args(["-N", "gateway", "--der", "alice.pub"])
        .ok()
        .says(&[
            &format!("{}: fingerprint", &id("alice")[..16]),
            &format!("{}: registration as a whole ", &id("alice")[..16]),
        ]);
    let own = registration(&own.stdout);
    assert!(own.gateway.is_self_issued() && own.gateway_address.is_nowhere());

    env.register("hub", "gateway", &["--valid", "30d"]);
    let ran = env
        .relay("register")
        .args(["-N", "gateway", "--der", "alice.pub"])
        .ok()
        .says(&["0", "0", "0"])
        .says_somewhere("the registration ends at 2026-03-31T12:00:00Z, with our own certificate");
    let made = registration(&ran.stdout);
    made.verify().unwrap();
    assert_eq!(made.gateway_address.as_str(), HUB);
    assert!(!made.gateway.is_self_issued());
    assert_eq!((made.node.is_ca(), made.node.path_len()), (true, Some(0)));
    assert_eq!(made.session_key, None, "endpoints send no cargo");
    assert_eq!(made.node.not_after().to_string(), "2026-03-31T12:00:00Z");

    // What the endpoint gives then leads up to the hub.
    env.write("alice.pnr", &ran.stdout);
    env.relay("import")
        .args(["-q", "-N", "alice", "alice.pnr"])
        .ok();
    let params = env
        .relay("authorize")
        .args(["-q", "-N", "alice", "--valid", "10d", "gateway.pub"])
        .ok()
        .quiet()
        .stdout;
    env.write("alice.conn", params);
    let shown = env
        .relay("inspect")
        .args(["--json", "alice.conn"])
        .ok()
        .json();
    let path = &shown[0]["authorization"]["authorities"];
    assert_eq!(path.as_array().unwrap().len(), 2, "{shown:#?}");
    assert_eq!(shown[0]["gateway_address"], HUB);
}

#[test]
fn a_type_may_be_asked_for() {
    let env = world();
    let ran = env
        .relay("register")
        .args(["-q", "-N", "hub", "--type", "endpoint", "alice.pub"])
        .ok();
    let made = registration(&ran.stdout);
    assert_eq!((made.node.path_len(), made.session_key), (Some(0), None));
    let ran = env
        .relay("register")
        .args(["-q", "-N", "gateway", "--type", "gateway", "alice.pub"])
        .ok();
    let made = registration(&ran.stdout);
    assert_eq!(made.node.path_len(), Some(1));
    assert!(made.session_key.is_some());
    env.relay("register")
        .args(["-N", "hub", "--type", "courier", "alice.pub"])
        .fails(64, "");
}

#[test]
fn what_cannot_be_registered_is_refused_and_nothing_is_kept() {
    let env = world();
    env.relay("register")
        .args(["-N", "alice", "gateway.pub"])
        .fails(64, "alice is an endpoint, not a gateway");
    env.relay("register")
        .args(["-N", "gateway", "gateway.pub"])
        .fails(64, "a node cannot register itself");
    env.relay("register")
        .args(["-N", "hub", "nobody"])
        .fails(67, "nobody: neither a file nor a peer");
    env.relay("register")
        .args(["-N", "hub"])
        .fails(66, "-: empty");
    env.relay("register")
        .args(["-N", "hub"])
        .stdin("nonsense")
        .fails(65, "-: neither a message");
    for valid in ["0", "181d", "x"] {
        for program in ["register", "request-cargo"] {
            let ran = env
                .relay(program)
                .args(["-N", "hub", "--valid", valid, "-t", "gateway"])
                .fails(64, "");
            assert_eq!(ran.status, 64);
        }
    }
    env.write("taken", "x");
    env.relay("register")
        .args(["-N", "hub", "-o", "taken", "alice.pub"])
        .fails(73, "taken: already exists");
    env.relay("register")
        .args(["-N", "hub", "--authorize", "--complete", "alice.pub"])
        .fails(64, "");
}

/// The three steps of a registration; what travels between them.
fn three_steps(env: &Env) -> (Vec<u8>, Vec<u8>) {
    let promise = env
        .relay("register")
        .args(["-q", "-N", "hub", "--authorize", "--der", "gateway.pub"])
        .ok()
        .quiet()
        .changes(&[])
        .stdout;
    let request = env
        .relay("register")
        .args(["-q", "-N", "gateway", "--request", "--der"])
        .stdin(promise.clone())
        .ok()
        .quiet()
        .changes(&[])
        .stdout;
    (promise, request)
}

#[test]
fn a_registration_in_three_steps() {
    let env = world();
    let (promise, request) = three_steps(&env);
    let promise = RegistrationAuthorization::parse(&promise).unwrap();
    assert_eq!(promise.expiry.to_string(), "2026-03-15T12:00:00Z");
    assert_eq!(promise.gateway_data.len(), 32);
    RegistrationRequest::parse(&request)
        .unwrap()
        .verify()
        .unwrap();
    env.relay("verify")
        .args(["-N", "hub"])
        .stdin(request.clone())
        .ok();
    let made = env
        .relay("register")
        .args(["-N", "hub", "--complete", "--name", "gateway"])
        .stdin(request)
        .ok()
        .says(&["gateway: fingerprint", "gateway: registration as a whole "])
        .stdout;
    env.relay("import")
        .args(["-N", "gateway", "--name", "hub"])
        .stdin(made)
        .ok()
        .says(&[
            "hub: it vouches for this node from now on",
            "hub: fingerprint",
            "hub: registration as a whole ",
        ]);
}

#[test]
fn a_request_that_the_promise_does_not_cover_is_refused() {
    let env = world();
    let (promise, request) = three_steps(&env);
    let complete = |node: &str| {
        env.relay("register")
            .args(["-N", node, "--complete"])
            .stdin(request.clone())
    };
    // To the second, with no drift allowed for.
    complete("hub").at("2026-03-15T12:00:00Z").ok();
    complete("hub").at("2026-03-15T12:00:01Z").fails(
        80,
        "-: the authorization to register ended at 2026-03-15T12:00:00Z",
    );
    complete("gateway").fails(65, "-: bad signature in the registration authorization");

    let other = env
        .relay("register")
        .args(["-N", "alice", "--request", "--der"])
        .stdin(promise)
        .ok()
        .says(&["the authorization does not name this node"])
        .stdout;
    env.relay("register")
        .args(["-N", "hub", "--complete"])
        .stdin(other)
        .fails(77, "-: the authorization is to register another node");

    for at in [request.len() - 1, request.len() - 300, 400] {
        let mut bad = request.clone();
        bad[at] ^= 1;
        let ran = env
            .relay("register")
            .args(["-N", "hub", "--complete"])
            .stdin(bad)
            .run();
        assert_eq!(ran.status, 65, "{at}: {}", ran.stderr);
        assert_eq!(ran.changes(&[]).status, 65);
    }
    env.relay("register")
        .args(["-N", "hub", "--complete", "gateway.pub"])
        .fails(
            64,
            "gateway.pub: a registration request is needed, not a public key",
        );
    env.relay("register")
        .args(["-N", "gateway", "--request", "gateway.pub"])
        .fails(
            64,
            "gateway.pub: a registration authorization is needed, not a public key",
        );
}

#[test]
fn a_gateway_allows_nodes_to_be_registered_online() {
    let env = world();
    let allow = |operand: &str| {
        env.relay("register")
            .args(["-N", "hub", "--allow", operand])
    };
    let closed = "by the config of this gateway, relay-serve registers no other nodes";
    allow("gateway.pub")
        .ok()
        .says(&[&format!("fingerprint {}", fingerprint("gateway")), closed])
        .stdout("")
        .changes(&["+hub/register.allow"]);
    let config = env.text("hub/config") + "registration = known\n";
    env.write("hub/config", config);
    // An id of a node that is not known here, and a key on standard input.
    let stranger = id("bob");
    allow(&stranger)
        .ok()
        .says(&[&format!("fingerprint {}", fingerprint("bob"))])
        .changes(&["*hub/register.allow"]);
    env.relay("register")
        .args(["-q", "-N", "hub", "--allow"])
        .stdin(env.read("alice.pub"))
        .ok()
        .quiet()
        .changes(&["*hub/register.allow"]);
    // Whoever is allowed already stays so, by name as well.
    env.register("hub", "gateway", &[]);
    allow("gateway").ok().changes(&[]);
    let expected = [id("gateway"), stranger, id("alice")].join("\n");
    let text = env.text("hub/register.allow");
    let (comment, ids) = text.split_once('\n').unwrap();
    assert!(comment.starts_with("# "), "{comment}");
    assert_eq!(ids, expected + "\n");
    let found = env.relay("check").args(["-N", "hub"]).run();
    assert!(!found.text().contains("register.allow"), "{}", found.text());
}

#[test]
fn what_cannot_be_allowed_is_refused() {
    let env = world();
    let allow =
        |node: &str, operand: &str| env.relay("register").args(["-N", node, "--allow", operand]);
    allow("alice", "gateway.pub").fails(64, "alice is an endpoint, not a gateway");
    allow("hub", &id("hub")).fails(64, "a node cannot register itself");
    allow("hub", "nobody").fails(67, "nobody: neither a file nor a peer");
    allow("hub", "hub/identity.key").fails(65, "hub/identity.key: a private key");
    for option in [
        "--authorize",
        "--complete",
        "--request",
        "--der",
        "-ox",
        "--valid=1d",
    ] {
        allow("hub", "gateway.pub").arg(option).fails(64, "");
    }
    env.write("hub/register.allow", "Anna's phone\n");
    let damaged = "hub/register.allow: line 1 does not begin with an id";
    allow("hub", "gateway.pub").fails(78, damaged);
    let found = env.relay("check").args(["-N", "hub"]).run();
    assert!(
        found.text().contains("line 1 does not begin with an id"),
        "{}",
        found.text()
    );
    env.chmod("hub/register.allow", 0o666);
    allow("hub", "gateway.pub").fails(78, "hub/register.allow can be changed by other users");
}

#[test]
fn the_structures_are_those_of_the_references() {
    for folder in ["alpha", "jvm"] {
        let name = if folder == "alpha" {
            "private-gateway-a"
        } else {
            "a"
        };
        let read = |extension: &str| {
            std::fs::read(interop().join(format!("{folder}/gsc/{name}.{extension}"))).unwrap()
        };
        let promise = read("pnra");
        assert_eq!(
            RegistrationAuthorization::parse(&promise).unwrap().to_der(),
            promise
        );
        let request = read("pnrr");
        assert_eq!(
            RegistrationRequest::parse(&request).unwrap().to_der(),
            request
        );
        let registration = read("pnr");
        assert_eq!(
            Registration::parse(&registration).unwrap().to_der(),
            registration
        );
    }
}

#[test]
fn a_swapped_session_key_or_gateway_is_noticed() {
    let env = world();
    env.relay("register")
        .args(["-q", "-N", "hub", "--der", "-o", "x.pnr", "gateway.pub"])
        .ok();
    let good = env.read("x.pnr");
    let digest = crate::testenv::sha256(&good);
    let mut made = registration(&good);
    let swapped =
        relaynet::session::PrivateSessionKey::generate(relaynet::crypto::ecdh::Curve::P256);
    made.session_key = Some(swapped.unwrap().public().clone());
    env.write("bad.pnr", made.to_der());
    let import = |file: &str| {
        env.relay("import")
            .args(["-N", "gateway", "--expect", &digest, file])
    };
    import("bad.pnr").fails(65, "bad.pnr: the file's SHA-256 is");
    import("x.pnr").ok();

    // Another gateway beside it is taken only on request.
    env.make_node(
        "mallory",
        &["--type", "gateway", "--address", "other.example.org"],
    );
    env.relay("register")
        .args(["-q", "-N", "mallory", "-o", "y.pnr", "gateway.pub"])
        .ok();
    env.relay("import")
        .args(["-N", "gateway", "y.pnr"])
        .fails(73, "y.pnr: this node is registered with another gateway");
    env.relay("import")
        .args(["-q", "-N", "gateway", "--replace", "y.pnr"])
        .ok();
}

#[test]
fn a_gateway_makes_an_endpoint_of_its_own() {
    let env = Env::with_gateways();
    let ran = env
        .relay("keygen")
        .args(["-N", "gateway", "--endpoint", "mail"])
        .ok()
        .quiet();
    let made = ran.text().trim().to_owned();
    let registered = format!("gateway/peers/{made}/registered");
    assert_eq!(env.names(&registered).len(), 1);
    assert_eq!(env.text(format!("gateway/peers/{made}/name")), "mail\n");
    let node = "gateway/endpoints/mail";
    assert_eq!(env.mode(node), 0o700);
    assert_eq!(env.names(&format!("{node}/certs")).len(), 2);
    let peers = env.relay("peers").args(["-N", node, "--json"]).ok().json();
    assert_eq!(
        (&peers[0]["id"], &peers[0]["name"]),
        (&id("gateway").into(), &"gateway".into())
    );
    env.relay("export").args(["-N", node]).ok();

    env.relay("keygen")
        .args(["-N", "gateway", "--endpoint", "mail"])
        .fails(73, "gateway/endpoints/mail is a node directory already");
    env.relay("keygen")
        .args(["-N", "gateway", "--endpoint", "alice"])
        .fails(73, "the name alice is taken by");
    env.relay("keygen")
        .args(["-N", "gateway", "--endpoint", "../x"])
        .fails(64, "../x cannot be a peer's name");
    env.relay("keygen")
        .args(["-N", "alice", "--endpoint", "mail"])
        .fails(64, "alice is an endpoint, not a gateway");
    env.relay("keygen")
        .args(["-N", "nowhere", "--endpoint", "mail"])
        .fails(78, "nowhere is not a node directory");
    env.relay("keygen")
        .args(["--endpoint", "mail", "--type", "gateway"])
        .fails(64, "");
}

#[test]
fn both_sides_list_until_when_a_registration_lasts() {
    let env = Env::with_gateways();
    let peer = |node: &str, name: &str| {
        let peers = env.relay("peers").args(["-N", node, "--json"]).ok().json();
        peers.into_iter().find(|peer| peer["name"] == name).unwrap()
    };
    let end = "2026-08-28T06:00:00Z";
    assert_eq!(peer("hub", "gateway")["they_may_send_until"], end);
    assert_eq!(
        peer("hub", "gateway")["we_may_send_until"],
        serde_json::Value::Null
    );
    assert_eq!(peer("gateway", "hub")["we_may_send_until"], end);

    // A gateway that is forgotten is no gateway of ours any more, and another may take its place.
    env.relay("peers")
        .args(["-N", "gateway", "hub", "--forget"])
        .ok();
    assert_eq!(env.names("gateway/certs"), [id("gateway")]);
    env.make_node(
        "carol",
        &["--type", "gateway", "--address", "carol.example.org"],
    );
    env.register("carol", "gateway", &[]);
}

#[test]
fn a_request_is_not_registered_unchecked() {
    let env = world();
    let (_, request) = three_steps(&env);
    env.write("x.pnrr", request);
    for (program, node) in [("register", "hub"), ("authorize", "alice")] {
        let ran = env.relay(program).args(["-N", node, "x.pnrr"]).fails(
            64,
            "x.pnrr: a registration request, which nobody has checked",
        );
        assert_eq!(
            ran.hints(),
            ["relay-register --complete checks and registers it"]
        );
    }
    env.relay("register")
        .args(["-q", "-N", "hub", "--complete", "x.pnrr"])
        .ok();
}

#[test]
fn a_promise_that_is_over_is_not_answered() {
    let env = world();
    let (promise, _) = three_steps(&env);
    env.write("x.pnra", promise);
    let ask = |now: &str| {
        env.relay("register")
            .at(now)
            .args(["-N", "gateway", "--request", "x.pnra"])
    };
    ask("2026-03-15T12:00:00Z").ok();
    ask("2026-03-15T12:00:01Z").fails(
        80,
        "x.pnra: the authorization to register ended at 2026-03-15T12:00:00Z",
    );
}

/// The peer had its name, and there was no file.
#[test]
fn an_output_that_cannot_be_made_leaves_no_peer_behind() {
    let env = world();
    for (program, node) in [("register", "hub"), ("authorize", "alice")] {
        for output in ["/proc/x", "nowhere/x", "/dev"] {
            let ran = env
                .relay(program)
                .args(["-N", node, "--name", "x", "-o", output, "gateway.pub"])
                .fails(73, &format!("{output}: "));
            assert_eq!(ran.status, 73);
        }
        env.relay(program)
            .args([
                "-q",
                "-N",
                node,
                "--name",
                "x",
                "-o",
                "/dev/null",
                "gateway.pub",
            ])
            .ok();
    }
}
