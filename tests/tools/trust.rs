//! Whom a node believes: what attackers tried, each under the name of what went wrong.

use std::fs;

use relaynet::message::certification_path::Form;
use relaynet::message::{CertificationPath, Object, PrivateEndpointConnectionParams, Rotation};
use relaynet::node::{Directory, certificates};
use relaynet::pki::issuance::{self, Role};
use relaynet::pki::{Certificate, IdentityKey};

use crate::testenv::{Env, HUB, fingerprint, forged, id, identity, interop, self_issued, sha256};

/// The path that one node issued to another.
fn path_from(env: &Env, node: &str, issuer: &str) -> CertificationPath {
    let node = Directory::open(&env.path(node)).unwrap();
    let mut paths = certificates::paths_from(&node, id(issuer).parse().unwrap()).unwrap();
    paths.remove(0)
}

/// A certificate of `subject`, until that day of 2026, by whoever has the key, under the name of `issuer`.
fn issue(
    key: &IdentityKey,
    issuer: &Certificate,
    subject: &str,
    role: Role,
    until: &str,
) -> Certificate {
    let end = format!("2026-{until}T00:00:00Z").parse().unwrap();
    let validity = ("2026-03-01T10:00:00Z".parse().unwrap(), end);
    issuance::issue(
        key,
        Some(issuer),
        identity(subject).public(),
        role,
        validity,
    )
    .unwrap()
}

fn rotation(leaf: &Certificate, authorities: &[&Certificate]) -> Vec<u8> {
    let path = CertificationPath {
        leaf: leaf.clone(),
        authorities: authorities.iter().copied().cloned().collect(),
    };
    let form = Form::OctetStrings;
    Rotation { path, form }.to_octets()
}

fn params(octets: &[u8]) -> PrivateEndpointConnectionParams {
    match Object::parse(octets).unwrap() {
        Object::PrivateEndpointConnectionParams(params) => *params,
        other => panic!("{}", other.word()),
    }
}

/// Hub, on the Internet, has registered gateway; that alice, for a month; and alice lets bob send to her.
fn world() -> Env {
    let env = Env::new();
    env.make_node("hub", &["--type", "gateway", "--address", HUB]);
    env.make_node("gateway", &["--type", "gateway"]);
    env.register("hub", "gateway", &[]);
    env.make_node("alice", &[]);
    env.register("gateway", "alice", &["--valid", "30d"]);
    env.make_node("bob", &[]);
    env.introduce("bob", "alice", &[]);
    env
}

/// What alice, behind gateway, behind hub, and Carol's forgery of it are: a renewed certificate, and the
/// gateway's with Carol's signature under the hub's name.
struct Renewal {
    leaf: Certificate,
    gateway: Certificate,
    forged: Certificate,
}

impl Renewal {
    fn of(env: &Env) -> Self {
        let gateway = path_from(env, "gateway", "hub").leaf;
        let hub = path_from(env, "hub", "hub").leaf;
        Self {
            leaf: issue(
                &identity("gateway"),
                &gateway,
                "alice",
                Role::Endpoint,
                "08-28",
            ),
            forged: issue(&identity("carol"), &hub, "gateway", Role::Gateway, "08-29"),
            gateway,
        }
    }
}

/// Whether whoever trusts only the hub believes what alice gives bob now.
fn is_believed(env: &Env) -> bool {
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", "alice", "--der", "bob/identity.pub"])
        .ok()
        .stdout;
    let path = params(&conn).authorization;
    let pem: String = certificates::path_to_pem(&path);
    let ran = env
        .relay("verify")
        .args(["--trust", "hub/identity.pub"])
        .stdin(pem)
        .run();
    assert!(ran.status == 0 || ran.status == 77, "{}", ran.stderr);
    ran.status == 0
}

/// What a rotation brings besides our certificate is not signed with it: a forged certificate of the gateway
/// was stored, stuck, and went along with everything that this node gave.
#[test]
fn a_rotation_brings_no_forged_authority() {
    let env = world();
    let Renewal {
        leaf,
        gateway,
        forged,
    } = Renewal::of(&env);
    env.write("forged", rotation(&leaf, &[&forged]));
    env.write("genuine", rotation(&leaf, &[&gateway]));
    let import = |file: &str| env.relay("import").args(["-N", "alice", file]);
    let refused = "forged: another certificate of the gateway than before, and nothing known here";
    import("forged").fails(73, refused);
    assert!(is_believed(&env));

    // Whoever knows the hub's key can tell.
    let ncp = env.relay("export").args(["-q", "-N", "hub"]).ok().stdout;
    env.write("hub.ncp", ncp);
    import("hub.ncp").arg("-q").ok();
    let refused = format!(
        "forged: the certificate of {} is not signed by whom it names",
        id("gateway")
    );
    import("forged").fails(65, &refused);
    import("forged").arg("--replace").fails(65, &refused);
    // And that the renewed one of the gateway is genuine.
    let key = identity("hub");
    let hub = path_from(&env, "hub", "hub").leaf;
    let renewed = issue(&key, &hub, "gateway", Role::Gateway, "08-28");
    env.write("renewed", rotation(&leaf, &[&renewed, &hub]));
    import("renewed").arg("-q").ok().quiet();
    assert!(is_believed(&env));
    import("genuine").ok().says(&[
        "gateway: this was imported before, and the certificates of its issuers were others",
        "gateway: fingerprint",
        "gateway: rotation as a whole",
    ]);
}

/// Who insists gets the forgery; then what is genuine did not help any more, nor did --replace.
#[test]
fn what_was_forged_is_repaired() {
    let env = world();
    let Renewal {
        leaf,
        gateway,
        forged,
    } = Renewal::of(&env);
    env.write("forged", rotation(&leaf, &[&forged]));
    env.write("genuine", rotation(&leaf, &[&gateway]));
    let import = |file: &str| env.relay("import").args(["-q", "-N", "alice", file]);
    let poison = || {
        import("forged").arg("--replace").ok();
        assert!(!is_believed(&env));
    };
    poison();
    import("genuine").ok();
    assert!(!is_believed(&env));
    import("genuine").arg("--replace").ok();
    assert!(is_believed(&env));

    // A registration does, too: what was stored from the gateway goes.
    poison();
    let registration = env
        .relay("register")
        .args(["-q", "-N", "gateway", "alice/identity.pub"])
        .ok()
        .stdout;
    env.write("alice.pnr", registration);
    import("alice.pnr").arg("--replace").ok();
    assert!(is_believed(&env));
    assert_eq!(
        env.names(&format!("alice/certs/{}", id("gateway"))).len(),
        1
    );

    // And so does the hub's key, once it is known.
    poison();
    let ncp = env.relay("export").args(["-q", "-N", "hub"]).ok().stdout;
    env.write("hub.ncp", ncp);
    import("hub.ncp").ok();
    import("genuine").ok();
    assert!(is_believed(&env));
}

/// The same registration with another certificate of the gateway took the place of the one held.
#[test]
fn a_registration_that_is_known_changes_nothing() {
    let env = world();
    let Renewal { forged, .. } = Renewal::of(&env);
    let registration = env
        .relay("register")
        .args(["-q", "-N", "gateway", "--der", "alice/identity.pub"])
        .ok()
        .stdout;
    let import = |octets: &[u8]| env.relay("import").args(["-N", "alice"]).stdin(octets);
    import(&registration).ok();
    let Object::Registration(mut registration) = Object::parse(&registration).unwrap() else {
        panic!("a registration")
    };
    registration.gateway = forged;
    import(&registration.to_der())
        .ok()
        .says(&[
            "gateway: this was imported before, and the certificates of its issuers were others",
            "gateway: fingerprint",
            "gateway: registration as a whole",
        ])
        .changes(&[]);
    assert!(is_believed(&env));
}

/// The same authorization with other authorities took the place of the one held.
#[test]
fn an_authorization_keeps_the_authorities_that_it_came_with() {
    let env = world();
    let Renewal {
        forged, gateway, ..
    } = Renewal::of(&env);
    let conn = env
        .relay("authorize")
        .at("2026-03-01T12:01:00Z")
        .args(["-q", "-N", "alice", "--der", "bob/identity.pub"])
        .ok()
        .stdout;
    let import = |octets: &[u8]| env.relay("import").args(["-N", "bob"]).stdin(octets);
    import(&conn).ok();
    let good = params(&conn);
    let with = |authorities: &[&Certificate]| {
        let mut params = good.clone();
        params.authorization.authorities = authorities.iter().copied().cloned().collect();
        params.to_der()
    };
    // Carol certifies alice, and herself.
    let carol = identity("carol");
    let own = self_issued("carol");
    let alice = issue(&carol, &own, "alice", Role::Endpoint, "08-28");
    let tower = with(&[&alice, &own]);
    import(&tower)
        .ok()
        .says(&[
            "alice: this was imported before, and the certificates of its issuers were others",
            "alice: fingerprint",
            "alice: authorization as a whole",
        ])
        .changes(&[]);
    let of_alice = &good.authorization.authorities[0];
    import(&with(&[of_alice, &forged])).ok().changes(&[]);
    import(&with(&[])).ok().changes(&[]);
    import(&tower).arg("--replace").ok();
    let parcel = env.parcel("bob", "alice", b"x");
    let attached = relaynet::ramf::SignedMessage::parse(parcel).unwrap();
    assert_eq!(attached.attached()[0], alice);
    import(&conn).arg("--replace").ok();

    // What the path itself shows to be forged is refused, whether it is known or not.
    let alice = issue(&carol, &gateway, "alice", Role::Endpoint, "08-28");
    import(&with(&[&alice, &gateway])).fails(
        65,
        &format!(
            "-: the certificate of {} is not signed by whom",
            id("alice")
        ),
    );
    let other = issue(&carol, &gateway, "carol", Role::Endpoint, "08-28");
    import(&with(&[&other, &gateway])).ok();
}

/// The digits of the whole that relay-inspect shows of an object.
fn digits(env: &Env, octets: &[u8]) -> String {
    let shown = env.relay("inspect").arg("--json").stdin(octets).ok().json();
    shown[0]["digits"].as_str().unwrap().to_owned()
}

/// A PECP with the session key of somebody else has the same fingerprint, and a genuine authorization.
#[test]
fn a_swapped_session_key_is_seen_in_the_digits_of_the_whole() {
    let env = Env::new();
    env.make_node("alice", &[]);
    env.make_node("bob", &[]);
    env.write(
        "bob.pub",
        env.relay("export").args(["-N", "bob"]).ok().stdout,
    );
    let made = env
        .relay("authorize")
        .args([
            "-N",
            "alice",
            "--name",
            "bob",
            "-o",
            "alice.conn",
            "bob.pub",
        ])
        .ok();
    let digest = params(&env.read("alice.conn"));
    let digest = sha256(&digest.to_der());
    let groups: Vec<&str> = (0..8).map(|at| &digest[4 * at..4 * at + 4]).collect();
    let whole = format!("authorization as a whole {}", groups.join(" "));
    made.says(&[
        "no gateway knows this node",
        &format!("bob: fingerprint {}", fingerprint("bob")),
        &format!("bob: {whole}"),
    ]);
    assert_eq!(digits(&env, &env.read("alice.conn")), groups.join(" "));

    let import = |file: &str| {
        env.relay("import")
            .args(["-N", "bob", "--name", "alice", file])
    };
    let seen = format!("alice: fingerprint {}", fingerprint("alice"));
    let mut swapped = params(&env.read("alice.conn"));
    swapped.session_key = fresh_session_key();
    env.write("swapped.conn", swapped.to_der());
    import("alice.conn")
        .ok()
        .says(&[&seen, &format!("alice: {whole}")]);
    let swapped = digits(&env, &swapped.to_der());
    assert_ne!(swapped, groups.join(" "));
    import("swapped.conn")
        .arg("--replace")
        .ok()
        .says(&[&seen, &format!("alice: authorization as a whole {swapped}")]);

    // Armor, and what is around it, make no difference to the digits, nor to --expect.
    let pem = env.text("alice.conn");
    let mail = format!("Dear Bob,\r\n\r\n{}", pem.replace('\n', "\r\n"));
    env.write("mail", &mail);
    env.write("alice.der", params(pem.as_bytes()).to_der());
    for file in ["mail", "alice.der", "alice.conn"] {
        import(file)
            .args(["--replace", "--expect", &digest])
            .ok()
            .says(&[&seen, &format!("alice: {whole}")]);
    }
    import("mail")
        .args(["--expect", &sha256(mail.as_bytes())])
        .ok();
    let ran = import("swapped.conn")
        .args(["--expect", &digest])
        .fails(65, "swapped.conn: the file's SHA-256 is ");
    assert_eq!(ran.hints().len(), 1);
    let other = sha256(b"another");
    import("mail").args(["--expect", &other]).fails(
        65,
        &format!(
            "mail: the file's SHA-256 is {}, that of the object in it {digest}, not the one expected",
            sha256(mail.as_bytes())
        ),
    );
    // What is read aloud is not all of it.
    import("mail")
        .args(["--expect", &digest[..32]])
        .fails(64, "--expect needs the 64 hexadecimal digits");
}

fn fresh_session_key() -> relaynet::session::PublicSessionKey {
    let key = relaynet::session::PrivateSessionKey::generate(relaynet::crypto::ecdh::Curve::P256);
    key.unwrap().public().clone()
}

/// Registrations and connection parameters, too, have a session key that nothing signs.
#[test]
fn whoever_hands_out_a_session_key_shows_the_digits_of_the_whole() {
    let env = Env::new();
    env.make_node("hub", &["--type", "gateway", "--address", HUB]);
    env.make_node("gateway", &["--type", "gateway"]);
    let export = || env.relay("export").args(["-N", "hub", "-o", "hub.ncp"]);
    let ran = export().ok();
    let ncp = digits(&env, &env.read("hub.ncp"));
    let said = format!("connection parameters as a whole {ncp}");
    ran.says(&[&said]);
    export().fails(73, "hub.ncp: already exists");
    export().args(["-f", "-q"]).ok().quiet();
    env.relay("export").args(["-N", "gateway"]).ok().quiet();
    env.relay("import")
        .args(["-N", "gateway", "--name", "hub", "hub.ncp"])
        .ok()
        .says(&["hub: fingerprint", &format!("hub: {said}")]);

    let ran = env
        .relay("register")
        .args(["-N", "hub", "-o", "x.pnr", "gateway/identity.pub"])
        .ok();
    let pnr = digits(&env, &env.read("x.pnr"));
    let said = format!("registration as a whole {pnr}");
    let label = &id("gateway")[..13];
    ran.says(&[
        &format!("{label}: fingerprint"),
        &format!("{label}: {said}"),
    ]);
    env.relay("import")
        .args(["-N", "gateway", "x.pnr"])
        .ok()
        .says(&[
            "hub: it vouches for this node from now on",
            "hub: fingerprint",
            &format!("hub: {said}"),
        ]);
}

/// The digits are those of what the other implementations wrote.
#[test]
fn the_digits_of_what_others_made_are_those_of_its_octets() {
    let env = Env::new();
    for file in [
        "alpha/conn/internet-gateway.ncp",
        "alpha/conn/a-for-c.pecp",
        "alpha/gsc/private-gateway-a.pnr",
        "alpha/gsc/endpoint-a.pnr",
        "alpha/rotation/private-gateway-a.rotation",
        "alpha/variants/rotation-implicit-certificates.rotation",
        "jvm/conn/internet-gateway.ncp",
        "jvm/conn/b-for-a.pecp",
        "jvm/gsc/a.pnr",
        "jvm/rotation/private-gateway-b.rotation",
    ] {
        let octets = fs::read(interop().join(file)).unwrap();
        let shown = env.relay("inspect").arg("--json").stdin(&*octets).ok();
        assert_eq!(shown.json()[0]["sha256"], sha256(&octets), "{file}");
    }
}

/// Parameters have no date, so those of today replace those of yesterday; the session key went with them,
/// without a word.
#[test]
fn another_session_key_of_an_internet_node_is_told() {
    let env = Env::new();
    env.make_node("alice", &[]);
    env.make_node("bob", &["--address", "bob.example.org"]);
    let ncp = env.relay("export").args(["-q", "-N", "bob"]).ok().stdout;
    let Object::NodeConnectionParams(mut params) = Object::parse(&ncp).unwrap() else {
        panic!("connection parameters")
    };
    params.session_key = fresh_session_key();
    env.write("swapped", params.to_der());
    let import = |octets: &[u8]| {
        env.relay("import")
            .args(["-N", "alice", "--name", "bob"])
            .stdin(octets)
    };
    let (fingerprint, whole) = ("bob: fingerprint", "bob: connection parameters as a whole");
    let warning = "bob: another session key than before is taken; --expect makes sure";
    import(&ncp).ok().says(&[fingerprint, whole]);
    import(&ncp).ok().says(&[fingerprint, whole]);
    import(&env.read("swapped"))
        .ok()
        .says(&[warning, fingerprint, whole])
        .changes(&["*alice/peers/BOB/session.pem"]);
    import(&ncp)
        .arg("--replace")
        .ok()
        .says(&[warning, fingerprint, whole]);
    import(&env.read("swapped"))
        .args(["--expect", &sha256(&env.read("swapped"))])
        .ok()
        .says(&[fingerprint, whole]);
}

/// A registration where an authorization was expected was taken as if it were one.
#[test]
fn what_is_imported_is_named() {
    let env = Env::with_gateways();
    let registration = env
        .relay("register")
        .args([
            "-q",
            "-N",
            "mallory",
            "--type",
            "endpoint",
            "bob/identity.pub",
        ])
        .ok()
        .stdout;
    env.write("mal.conn", registration);
    let import = |file: &str| env.relay("import").args(["-v", "-N", "bob", file]);
    let event = |kind: &str, peer: &str| format!("event=imported kind={kind} peer={}", id(peer));
    let imported = event("registration", "mallory");
    import("mal.conn").args(["--name", "mallory"]).ok().says(&[
        &imported,
        "mallory: it vouches for this node from now on, as a gateway of this node",
        "mallory: fingerprint",
        "mallory: registration as a whole",
    ]);
    import("mal.conn").ok().says(&[
        &imported,
        "mallory: fingerprint",
        "mallory: registration as a whole",
    ]);
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", "alice", "-o", "alice.conn", "bob/identity.pub"])
        .ok();
    assert_eq!(conn.status, 0);
    import("alice.conn").arg("--replace").ok().says(&[
        &event("authorization", "alice"),
        "alice: fingerprint",
        "alice: authorization as a whole",
    ]);
}

/// Cargo from anybody was `authorized: yes` at a gateway on the Internet, which takes parcels from anybody.
#[test]
fn strangers_cargo_is_not_authorized_at_an_internet_gateway() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"x");
    for message in [
        env.cargo("gateway", "hub", parcel),
        env.cca("gateway", "hub"),
    ] {
        let stranger = forged(&message, "carol", |message| {
            message.certificates = vec![self_issued("carol")];
        });
        let verify = |octets: &[u8]| env.relay("verify").args(["-N", "hub"]).stdin(octets);
        let ran = verify(&stranger)
            .run()
            .says(&["-: the recipient has not authorized "]);
        assert_eq!(ran.status, 77);
        assert!(ran.text().ends_with(": authorized: no\n"), "{}", ran.text());
        let ran = verify(&message).ok().quiet();
        assert!(
            ran.text().ends_with(": authorized: yes\n"),
            "{}",
            ran.text()
        );
    }
}

/// A gateway that was forgotten seals to the session key that anybody may have, under the certificate
/// that it has still: it was taken, and known again.
#[test]
fn a_gateway_that_was_forgotten_does_not_come_back() {
    let env = Env::with_gateways();
    let ncp = env.relay("export").args(["-q", "-N", "hub"]).ok().stdout;
    env.relay("import")
        .args(["-q", "-N", "mallory", "--replace"])
        .stdin(ncp)
        .ok();
    let cargo = env.cargo("mallory", "hub", env.parcel("bob", "alice", b"x"));
    let cca = env.cca("mallory", "hub");
    env.write("mal.cargo", &cargo);
    env.write("mal.cca", &cca);
    env.write("x.parcel", env.parcel("bob", "alice", b"x"));
    env.relay("peers")
        .args(["-q", "-N", "hub", "--forget", "mallory"])
        .ok();

    let unknown = format!(
        "mal.cargo: {} is certified by this gateway, but not known here",
        id("mallory")
    );
    env.relay("unpack-cargo")
        .args(["-N", "hub", "mal.cargo"])
        .fails(77, &unknown);
    env.relay("pack-cargo")
        .args(["-N", "hub", "--cca", "mal.cca", "x.parcel"])
        .fails(77, &unknown.replace("cargo: ", "cca: "));
    for message in ["mal.cargo", "mal.cca"] {
        let ran = env
            .relay("verify")
            .args(["-N", "hub", message])
            .run()
            .says(&[&format!("{message}: the recipient has not authorized ")]);
        assert_eq!(ran.status, 77);
    }
    assert!(!env.path(format!("hub/peers/{}", id("mallory"))).exists());

    // Known again, its cargo counts again.
    env.relay("register")
        .args(["-q", "-N", "hub", "mallory/identity.pub"])
        .ok();
    env.relay("unpack-cargo")
        .args(["-q", "-N", "hub", "mal.cargo"])
        .ok();
}

/// While the sender was not known, the lock was that of strangers; opening made it known, and a second run
/// took the lock of the peer before the first had remembered the message.
#[test]
fn whoever_this_node_certified_has_a_lock_of_its_own() {
    let env = Env::new();
    env.make_node("alice", &["--address", "alice.example.org"]);
    env.make_node("bob", &[]);
    env.make_node("carol", &[]);
    let ncp = env.relay("export").args(["-q", "-N", "alice"]).ok().stdout;
    env.introduce("bob", "alice", &[]);
    for node in ["bob", "carol"] {
        env.relay("import")
            .args(["-q", "-N", node, "--replace", "--name", "alice"])
            .stdin(&*ncp)
            .ok();
    }
    let parcels = ["bob", "carol"].map(|from| env.parcel(from, "alice", b"x"));
    env.relay("peers")
        .args(["-q", "-N", "alice", "--forget", "bob"])
        .ok();
    fs::remove_dir_all(env.path("alice/lock")).unwrap();
    for parcel in parcels {
        env.relay("open")
            .args(["-N", "alice"])
            .stdin(&*parcel)
            .ok()
            .stdout("x");
        env.relay("open")
            .args(["-N", "alice"])
            .stdin(parcel)
            .fails(82, "-: already received");
    }
    let locks = env.names("alice/lock");
    let own = format!("peer.{}", id("bob"));
    assert_eq!(locks, ["node", &own, "seen", "strangers"]);
    // Nor does it come back by a message of its own.
    env.relay("peers").args(["-N", "alice"]).ok().stdout("");
}

/// An endpoint's certificate is one of an authority, too: cargo and CCAs under it were taken.
#[test]
fn an_endpoint_is_no_gateway() {
    let env = Env::new();
    env.make_node("hub", &["--type", "gateway", "--address", HUB]);
    env.make_node("mallory", &["--type", "gateway"]);
    env.make_node("alice", &[]);
    env.make_node("bob", &[]);
    env.introduce("bob", "alice", &[]);
    env.register("hub", "mallory", &["--type", "endpoint"]);
    let ncp = env.relay("export").args(["-q", "-N", "hub"]).ok().stdout;
    env.relay("import")
        .args(["-q", "-N", "mallory", "--replace"])
        .stdin(ncp)
        .ok();
    env.write("x.parcel", env.parcel("bob", "alice", b"x"));
    env.write(
        "mal.cargo",
        env.cargo("mallory", "hub", env.read("x.parcel")),
    );
    env.write("mal.cca", env.cca("mallory", "hub"));
    let endpoint = format!("{} is registered here as an endpoint", id("mallory"));
    env.relay("unpack-cargo")
        .args(["-N", "hub", "mal.cargo"])
        .fails(77, &format!("mal.cargo: {endpoint}"));
    env.relay("pack-cargo")
        .args(["-N", "hub", "--cca", "mal.cca", "x.parcel"])
        .fails(77, &format!("mal.cca: {endpoint}"));
    for message in ["mal.cargo", "mal.cca"] {
        let ran = env
            .relay("verify")
            .args(["-N", "hub", message])
            .run()
            .says(&[&format!("{message}: the recipient has not authorized ")]);
        assert_eq!(ran.status, 77);
    }
}
