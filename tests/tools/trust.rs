//! Which certificates a node accepts: attacks, each named for what would go wrong.

use std::fs;

use relaynet::message::certification_path::PathForm;
use relaynet::message::{CertificationPath, Object, PrivateEndpointConnectionParams, Rotation};
use relaynet::node::{Directory, certificates};
use relaynet::pki::issuance::{self, CertificateRole};
use relaynet::pki::{Certificate, IdentityKey};
use relaynet::receive::AUTHORIZATION_TYPE;

use crate::testenv::{
    Env, HUB, NOW, fingerprint, forged, id, identity, interop, self_issued, sha256,
};

/// The path that one node issued to another.
fn path_from(env: &Env, node: &str, issuer: &str) -> CertificationPath {
    let node = Directory::open(&env.path(node)).unwrap();
    let mut paths = certificates::paths_from(&node, id(issuer).parse().unwrap()).unwrap();
    paths.remove(0)
}

/// A certificate of `subject`, until that day of 2026, signed with `key` in the name of `issuer`.
fn issue(
    key: &IdentityKey,
    issuer: &Certificate,
    subject: &str,
    role: CertificateRole,
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
    let form = PathForm::OctetStrings;
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
                CertificateRole::Endpoint,
                "08-28",
            ),
            forged: issue(
                &identity("carol"),
                &hub,
                "gateway",
                CertificateRole::Gateway,
                "08-29",
            ),
            gateway,
        }
    }
}

/// Whether a node that trusts only the hub accepts what alice gives bob now.
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

    // A program that knows the hub's key can tell.
    let ncp = env.relay("export").args(["-q", "-N", "hub"]).ok().stdout;
    env.write("hub.ncp", ncp);
    import("hub.ncp").arg("-q").ok();
    let refused = format!(
        "forged: the certificate of {} is not signed by the issuer",
        id("gateway")
    );
    import("forged").fails(65, &refused);
    import("forged").arg("--replace").fails(65, &refused);
    // And that the renewed one of the gateway is genuine.
    let key = identity("hub");
    let hub = path_from(&env, "hub", "hub").leaf;
    let renewed = issue(&key, &hub, "gateway", CertificateRole::Gateway, "08-28");
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
    let alice = issue(&carol, &own, "alice", CertificateRole::Endpoint, "08-28");
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
    let alice = issue(
        &carol,
        &gateway,
        "alice",
        CertificateRole::Endpoint,
        "08-28",
    );
    import(&with(&[&alice, &gateway])).fails(
        65,
        &format!(
            "-: the certificate of {} is not signed by the issuer",
            id("alice")
        ),
    );
    let other = issue(
        &carol,
        &gateway,
        "carol",
        CertificateRole::Endpoint,
        "08-28",
    );
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
    // What is read aloud will do, and nothing less.
    import("mail")
        .args(["--expect", &digest[..31]])
        .fails(64, "--expect needs the 64 hexadecimal digits");
    let groups: Vec<&str> = (0..8).map(|at| &digest[4 * at..4 * at + 4]).collect();
    let groups = groups.join(" ");
    import("mail").args(["--expect", &groups]).ok();
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
    let label = &id("gateway")[..16];
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

/// Alice, on the Internet, and bob and carol, whom she does not know and who know her; bob lets her send to him.
fn internet() -> Env {
    let env = Env::new();
    env.make_node("alice", &["--address", "alice.example.org"]);
    let ncp = env.relay("export").args(["-q", "-N", "alice"]).ok().stdout;
    for node in ["bob", "carol"] {
        env.make_node(node, &[]);
        env.relay("import")
            .args(["-q", "-N", node, "--name", "alice"])
            .stdin(&*ncp)
            .ok();
    }
    env
}

/// A parcel in which `from` lets alice send to it for 30 days.
fn reverse(env: &Env, from: &str, at: &str) -> Vec<u8> {
    let conn = env
        .relay("authorize")
        .at(at)
        .args(["-q", "-N", from, "--valid", "30d", "--der"])
        .arg("alice/identity.pub")
        .ok()
        .stdout;
    env.relay("seal")
        .at(at)
        .args(["-N", from, "-t", "alice", "-y", AUTHORIZATION_TYPE])
        .stdin(conn)
        .ok()
        .stdout
}

/// relay-check finds nothing foreign at alice's, and no keys for nobody; that files are newer than the clock of the tests
/// is all it may say.
fn is_in_order(env: &Env) {
    let found = env.relay("check").args(["-N", "alice"]).run();
    let found: Vec<&str> = found.text().lines().collect();
    let is_of_clock = |line: &&str| line.starts_with("error\tthe clock says ");
    assert!(found.iter().all(is_of_clock), "{found:?}");
}

fn stranger(day: &str, name: &str) -> String {
    format!("alice/strangers/{day}/{}.pem", id(name))
}

/// One parcel of anybody made a peer for good, under any address, whose cargo was then packed and whose key was an
/// anchor of trust.
#[test]
fn a_strangers_authorization_makes_no_peer() {
    let env = internet();
    env.relay("open")
        .args(["-N", "alice", "-v"])
        .stdin(reverse(&env, "bob", NOW))
        .ok()
        .says(&[&format!("event=imported stranger={}", id("bob"))])
        .stdout("")
        .changes(&[
            "+alice/seen/2026-03-31",
            "+alice/sessions/any/HEX.senders",
            "+alice/strangers",
            "+alice/strangers/2026-03-01",
            "+alice/strangers/2026-03-01/BOB.pem",
        ]);
    env.relay("peers").args(["-N", "alice"]).ok().stdout("");
    is_in_order(&env);

    // Nothing shows her that bob lets carol send to him.
    env.introduce("carol", "bob", &[]);
    let parcel = forged(&env.parcel("carol", "bob", b"x"), "carol", |forgery| {
        forgery.certificates.truncate(1);
    });
    let verdict = env
        .relay("verify")
        .args(["-N", "alice", "--json"])
        .stdin(parcel)
        .ok()
        .json();
    assert_eq!(verdict[0]["authorized"], "not shown");

    // But she can answer bob, by his id, whole or as lists show it, and bob opens it.
    let answer = |peer: &str| {
        env.relay("seal")
            .args(["-N", "alice", "-t", peer])
            .stdin("answer")
    };
    answer(&id("bob")[..15]).fails(64, &id("bob")[..15]);
    answer(&id("bob")[..16]).ok().quiet();
    answer(&id("carol")).fails(67, "no peer is known as ");
    let parcel = answer(&id("bob")).ok().quiet().stdout;
    env.relay("open")
        .args(["-N", "bob"])
        .stdin(parcel)
        .ok()
        .quiet()
        .stdout("answer");
    is_in_order(&env);
    // The answer to that opens, too, and is answered under the key that it brought.
    let next = env.parcel("bob", "alice", b"next");
    let key = env.relay("inspect").arg("--json").stdin(&*next).ok().json();
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(next)
        .ok()
        .stdout("next");
    let parcel = answer(&id("bob")).ok().stdout;
    let facts = env.relay("inspect").arg("--json").stdin(parcel).ok().json();
    assert_eq!(
        facts[0]["payload"]["recipient_key_id"],
        key[0]["payload"]["originator_key_id"]
    );
}

/// An answer to a stranger goes where the routes say, and a stranger is no next hop.
#[test]
fn a_stranger_is_no_next_hop() {
    let env = Env::new();
    env.make_node("hub", &["--type", "gateway", "--address", HUB]);
    env.make_node("mallory", &["--type", "gateway"]);
    for endpoint in ["alice", "bob"] {
        env.make_node(endpoint, &[]);
    }
    env.register("mallory", "alice", &[]);
    env.introduce("bob", "alice", &[]);
    let ncp = env.relay("export").args(["-q", "-N", "hub"]).ok().stdout;
    env.relay("import")
        .args(["-q", "-N", "mallory", "--name", "hub"])
        .stdin(ncp)
        .ok();
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", "mallory", "--der", "hub/identity.pub"])
        .ok()
        .stdout;
    let parcel = env.parcel_with("mallory", "hub", &conn, &["-y", AUTHORIZATION_TYPE]);
    env.relay("open").args(["-N", "hub"]).stdin(parcel).ok();
    // Mallory is in the path of this one.
    env.relay("put")
        .args(["-N", "hub"])
        .stdin(env.parcel("bob", "alice", b"x"))
        .ok();
    env.relay("route")
        .args(["-N", "hub"])
        .ok()
        .says_somewhere("set aside in failed: ");
    assert!(
        !env.path(format!("hub/spool/out/{}", id("mallory")))
            .exists()
    );

    env.mkdir("outbox");
    let outbox = env.path("outbox");
    env.write(
        "hub/routes",
        format!("{} dir:{}\n", id("mallory"), outbox.display()),
    );
    let answer = env.parcel("hub", &id("mallory"), b"answer");
    env.relay("put").args(["-N", "hub"]).stdin(answer).ok();
    env.relay("route").args(["-N", "hub"]).ok().quiet();
    let name = env.names("outbox").remove(0);
    env.relay("open")
        .args(["-N", "mallory", &format!("outbox/{name}")])
        .ok()
        .stdout("answer");
}

/// How somebody makes a stranger a peer, who may get parameters for it.
type Accept<'a> = &'a dyn Fn(&Env, Vec<u8>);

/// What a stranger told is a peer's once somebody here says so, whichever way.
#[test]
fn what_a_stranger_told_is_adopted() {
    let conn = |env: &Env| {
        let args = ["-q", "-N", "bob", "alice/identity.pub"];
        env.relay("authorize")
            .at("2026-03-01T12:05:00Z")
            .args(args)
            .ok()
            .stdout
    };
    let import = |env: &Env, conn: Vec<u8>| {
        let args = ["-q", "-N", "alice", "--name", "bob"];
        env.relay("import").args(args).stdin(conn).ok();
    };
    let authorize = |env: &Env, _: Vec<u8>| {
        let args = ["-q", "-N", "alice", "--name", "bob", "bob/identity.pub"];
        env.relay("authorize").args(args).ok();
    };
    let ways: [(Accept<'_>, usize); 2] = [(&import, 2), (&authorize, 1)];
    for (accept, held) in ways {
        let env = internet();
        let parcel = reverse(&env, "bob", NOW);
        let key = env
            .relay("inspect")
            .arg("--json")
            .stdin(&*parcel)
            .ok()
            .json();
        env.relay("open").args(["-N", "alice"]).stdin(parcel).ok();
        let second = conn(&env);
        accept(&env, second);
        assert_eq!(
            env.names(&format!("alice/peers/{}/held", id("bob"))).len(),
            held
        );
        let answer = env.parcel("alice", "bob", b"answer");
        let facts = env
            .relay("inspect")
            .arg("--json")
            .stdin(&*answer)
            .ok()
            .json();
        assert_eq!(
            facts[0]["payload"]["recipient_key_id"],
            key[0]["payload"]["originator_key_id"]
        );
        env.relay("open")
            .args(["-N", "bob"])
            .stdin(answer)
            .ok()
            .stdout("answer");

        // What is forgotten is so for good, until they write again.
        env.relay("open")
            .args(["-N", "alice"])
            .stdin(env.parcel("bob", "alice", b"x"))
            .ok();
        env.relay("peers")
            .args(["-q", "-N", "alice", "--forget", "bob"])
            .ok();
        env.relay("seal")
            .args(["-N", "alice", "-t", &id("bob")])
            .stdin("x")
            .fails(67, "no peer is known as ");
        assert!(!env.path(stranger("2026-03-01", "bob")).exists());
    }
}

/// A stranger has one file for a day, and the newest has all that counts.
#[test]
fn a_stranger_has_one_file_for_a_day() {
    let env = internet();
    let open =
        |at: &str, parcel: Vec<u8>| env.relay("open").at(at).args(["-N", "alice"]).stdin(parcel);
    open(NOW, reverse(&env, "bob", NOW)).ok();
    let before = env.text(stranger("2026-03-01", "bob"));
    for day in ["2026-03-02", "2026-03-05"] {
        let at = format!("{day}T12:00:00Z");
        let parcel = env
            .relay("seal")
            .at(&at)
            .args(["-N", "bob", "-t", "alice"])
            .stdin("x")
            .ok()
            .stdout;
        open(&at, parcel).ok();
    }
    let days = env.names("alice/strangers");
    assert_eq!(days, ["2026-03-01", "2026-03-02", "2026-03-05"]);
    let after = env.text(stranger("2026-03-05", "bob"));
    let certificates = |text: &str| {
        text.split_once("-----BEGIN CERTIFICATE")
            .unwrap()
            .1
            .to_owned()
    };
    assert_eq!(certificates(&after), certificates(&before));
    assert_ne!(after, before);
    // One that lasts longer takes the place of the other, and an earlier one that comes late does not.
    let late = reverse(&env, "bob", "2026-03-05T13:00:00Z");
    let last = reverse(&env, "bob", "2026-03-06T13:00:00Z");
    open("2026-03-06T14:00:00Z", last).ok();
    let newest = env.text(stranger("2026-03-06", "bob"));
    assert_ne!(certificates(&newest), certificates(&before));
    open("2026-03-06T14:00:00Z", late).ok();
    assert_eq!(env.text(stranger("2026-03-06", "bob")), newest);
    // What is damaged keeps no message of theirs from being opened.
    env.write(stranger("2026-03-06", "bob"), b"\xffjunk");
    let seal = || {
        let args = ["-N", "alice", "-t", &id("bob")];
        env.relay("seal")
            .at("2026-03-06T15:00:00Z")
            .args(args)
            .stdin("x")
    };
    let damaged = stranger("2026-03-06", "bob");
    seal().fails(78, &format!("{damaged}: "));
    let again = reverse(&env, "bob", "2026-03-06T14:30:00Z");
    open("2026-03-06T15:00:00Z", again).ok();
    seal().ok();
}

/// Where too many wrote, an authorization ends like every other message, and nobody waits for it.
#[test]
fn a_flood_of_strangers_ends() {
    for fill in [
        (&|env: &Env| {
            for number in 0..10_000 {
                env.write(format!("alice/strangers/2026-03-01/{number}.pem"), "");
            }
        }) as &dyn Fn(&Env),
        &|env| {
            let file = fs::File::create(env.path("alice/strangers/2026-03-01/x.pem")).unwrap();
            file.set_len(16 * 1024 * 1024).unwrap();
        },
    ] {
        let env = internet();
        let known = env.parcel("carol", "alice", b"hello");
        env.relay("open").args(["-N", "alice"]).stdin(known).ok();
        fill(&env);
        let parcel = reverse(&env, "bob", NOW);
        let why = "too many unknown senders wrote today";
        env.relay("open")
            .args(["-N", "alice", "--again"])
            .stdin(&*parcel)
            .ok()
            .stdout("")
            .says(&[&format!("-: the authorization in it is not kept: {why}")]);
        env.relay("open")
            .args(["-N", "alice"])
            .stdin(parcel)
            .fails(82, "-: already received");
        let parcel = reverse(&env, "bob", NOW);
        env.relay("put").args(["-N", "alice"]).stdin(parcel).ok();
        env.relay("route").args(["-N", "alice"]).ok().quiet();
        env.mkdir("inbox");
        let deliver = || env.relay("deliver").args(["-N", "alice", "--dir", "inbox"]);
        deliver()
            .ok()
            .says(&[&format!("{why}: 1 of their authorizations are not kept")]);
        assert_eq!(
            env.names(&format!("alice/spool/home/{}", id("alice")))
                .len(),
            0
        );
        deliver().ok().quiet();
        assert!(!env.path(stranger("2026-03-01", "bob")).exists());
        // Whom she heard of before the flood still changes keys, where it was.
        let before = env.text(stranger("2026-03-01", "carol"));
        let parcel = env
            .relay("seal")
            .at("2026-03-01T13:00:00Z")
            .args(["-N", "carol", "-t", "alice"])
            .stdin("again")
            .ok()
            .stdout;
        env.relay("open")
            .args(["-N", "alice"])
            .at("2026-03-01T13:00:00Z")
            .stdin(parcel)
            .ok();
        assert_ne!(env.text(stranger("2026-03-01", "carol")), before);
        // And tomorrow there is room again.
        let tomorrow = "2026-03-02T12:00:00Z";
        let parcel = reverse(&env, "bob", tomorrow);
        env.relay("open")
            .args(["-N", "alice"])
            .at(tomorrow)
            .stdin(parcel)
            .ok()
            .quiet();
        assert!(env.path(stranger("2026-03-02", "bob")).exists());
    }
}

/// A peer that sends one authorization after another filled its directory.
#[test]
fn of_the_authorizations_that_a_peer_sends_few_are_kept() {
    let env = internet();
    env.introduce("alice", "bob", &[]);
    let held = format!("alice/peers/{}/held", id("bob"));
    let mut all = env.names(&held);
    for hour in 13..19 {
        let at = format!("2026-03-01T{hour}:00:00Z");
        let parcel = reverse(&env, "bob", &at);
        env.relay("open")
            .at(&at)
            .args(["-N", "alice"])
            .stdin(parcel)
            .ok();
        all.extend(env.names(&held));
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 7);
    assert_eq!(env.names(&held), all[3..]);
}

/// An authorization that begins in years stayed in the queue, and was complained of with each run until then.
#[test]
fn an_authorization_that_begins_after_its_parcel_is_set_aside() {
    let env = internet();
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", "bob", "--der", "alice/identity.pub"])
        .ok()
        .stdout;
    let mut early = params(&conn);
    let own = early.authorization.authorities.remove(0);
    let (key, begins) = (identity("bob"), "2026-08-01T00:00:00Z".parse().unwrap());
    let validity = (begins, "2026-08-20T00:00:00Z".parse().unwrap());
    let role = CertificateRole::DeliveryAuthorization(None);
    let leaf = issuance::issue(&key, Some(&own), identity("alice").public(), role, validity);
    early.authorization = CertificationPath {
        leaf: leaf.unwrap(),
        authorities: vec![own],
    };
    let args = ["-y", AUTHORIZATION_TYPE];
    let parcel = env.parcel_with("bob", "alice", &early.to_der(), &args);
    env.relay("put").args(["-N", "alice"]).stdin(parcel).ok();
    env.relay("route").args(["-N", "alice"]).ok();
    env.mkdir("inbox");
    let deliver = || env.relay("deliver").args(["-N", "alice", "--dir", "inbox"]);
    deliver()
        .ok()
        .says_somewhere("set aside in failed: its authorization cannot be imported: ");
    deliver().ok().quiet();
    assert_eq!(env.names("alice/spool/failed").len(), 2);
}
