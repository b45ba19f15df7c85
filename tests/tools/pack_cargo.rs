//! relay-pack-cargo: what is packed, for whom, under which certificate, and what is refused.

use jiff::Timestamp;
use relaynet::message::{Cargo, CollectionRequest};
use relaynet::pki::issuance::{self, CertificateRole};
use relaynet::pki::{Certificate, IdentityKey};
use relaynet::ramf::{Kind, SignedMessage};

use crate::testenv::{Env, HUB, forged, id, identity, interop, json_lines, self_issued};

fn parsed(cargo: Vec<u8>) -> SignedMessage {
    Cargo::parse(cargo).unwrap().into_message()
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// The digits of the key that a message is sealed to.
fn sealed_to(message: &SignedMessage) -> String {
    let sealed = relaynet::session::Sealed::parse(message.payload()).unwrap();
    sealed.recipient_key_id().to_string()
}

/// The key id in a session key file.
fn key_id(text: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix("Key-Id: "));
    line.unwrap().to_owned()
}

#[test]
fn cargo_to_an_internet_gateway_goes_under_the_registration() {
    let env = Env::with_gateways();
    let parcel = env.parcel_with("alice", "bob", b"x", &["--ttl", "10d"]);
    let known = key_id(&env.text(format!("gateway/peers/{}/session.pem", id("hub"))));
    let ran = env
        .relay("pack-cargo")
        .args(["-N", "gateway", "-t", "hub"])
        .stdin(parcel)
        .ok()
        .quiet()
        .changes(&["+gateway/sessions/HUB", "+gateway/sessions/HUB/HEX.key"]);
    let cargo = parsed(ran.stdout);
    cargo.verify_signature().unwrap();
    let fields = cargo.fields();
    assert_eq!(fields.recipient.to_string(), id("hub"));
    assert_eq!(fields.address.as_ref().unwrap().as_str(), HUB);
    assert_eq!(cargo.sender().to_string(), id("gateway"));
    let hub = identity("hub");
    cargo
        .sender_certificate()
        .verify_signature(hub.public())
        .unwrap();
    assert_eq!(cargo.attached().len(), 0);
    assert_eq!(sealed_to(&cargo), known);
    // Three hours back, to the start of the certificate; as long as the parcel.
    assert_eq!(fields.date.to_string(), "2026-03-01T09:00:00Z");
    assert_eq!(fields.expiry().to_string(), "2026-03-11T11:55:00Z");
}

#[test]
fn the_date_is_never_before_the_certificate() {
    let env = Env::with_gateways();
    let parcel = env
        .relay("seal")
        .at("2026-03-01T10:00:00Z")
        .args(["-N", "alice", "-t", "bob"])
        .stdin("x")
        .ok()
        .stdout;
    let cargo = env
        .relay("pack-cargo")
        .at("2026-03-01T10:00:00Z")
        .args(["-N", "gateway", "-t", "hub"])
        .stdin(parcel)
        .ok()
        .stdout;
    let cargo = parsed(cargo);
    assert_eq!(cargo.fields().date, at("2026-03-01T09:00:00Z"));
    assert_eq!(cargo.fields().date, cargo.sender_certificate().not_before());
}

#[test]
fn cargo_in_answer_to_a_cca_goes_under_the_authorization_in_it() {
    let env = Env::with_gateways();
    let cca = env.cca("gateway", "hub");
    let asked = SignedMessage::parse(cca.clone()).unwrap();
    let offered = relaynet::session::Sealed::parse(asked.payload()).unwrap();
    let offered = offered.originator_key_id().unwrap().to_string();
    env.write("x.cca", cca);
    let parcel = env.parcel_with("bob", "alice", b"x", &["--ttl", "10d"]);
    let ran = env
        .relay("pack-cargo")
        .args(["-N", "hub", "--cca", "x.cca"])
        .stdin(parcel.clone())
        .ok()
        .quiet()
        .changes(&[
            "*hub/sessions/GATEWAY/HEX.key",
            "+hub/peers/GATEWAY/session.pem",
            "+hub/seen/2026-03-15",
            "+hub/sessions/GATEWAY/HEX.key",
        ]);
    let cargo = parsed(ran.stdout);
    let fields = cargo.fields();
    assert_eq!(fields.recipient.to_string(), id("gateway"));
    assert_eq!(fields.address, None);
    assert_eq!(cargo.sender().to_string(), id("hub"));
    let gateway = identity("gateway");
    cargo
        .sender_certificate()
        .verify_signature(gateway.public())
        .unwrap();
    assert!(!cargo.sender_certificate().is_ca());
    // The certificate of the gateway that asked, for couriers that check whether it authorized the cargo.
    let [attached] = cargo.attached() else {
        panic!("{} attached", cargo.attached().len());
    };
    assert_eq!(attached, asked.sender_certificate());
    assert_eq!(attached.subject(), cargo.sender_certificate().issuer());
    assert_eq!(sealed_to(&cargo), offered);

    env.write("x.parcel", parcel);
    env.relay("pack-cargo")
        .args(["-N", "hub", "--cca", "x.cca", "x.parcel"])
        .fails(82, "x.cca: this CCA was answered already");
}

#[test]
fn cargo_between_peers_goes_under_the_authorization_held() {
    let env = Env::with_peering();
    let parcel = env.parcel("bob", "alice", b"x");
    let known = key_id(&env.text(format!("gateway/peers/{}/session.pem", id("mallory"))));
    let cargo = parsed(env.cargo("gateway", "mallory", parcel.clone()));
    let mallory = identity("mallory");
    cargo
        .sender_certificate()
        .verify_signature(mallory.public())
        .unwrap();
    let attached: Vec<String> = cargo
        .attached()
        .iter()
        .map(|one| one.id().to_string())
        .collect();
    assert_eq!(attached, [id("mallory")]);
    assert_eq!(
        (cargo.fields().address.as_ref(), sealed_to(&cargo)),
        (None, known)
    );
    env.write("x.cargo", env.cargo("gateway", "mallory", parcel.clone()));
    env.relay("unpack-cargo")
        .args(["-N", "mallory", "x.cargo"])
        .ok()
        .quiet()
        .stdout(parcel);
}

#[test]
fn cargo_ends_with_its_certificate_and_says_what_it_cuts() {
    let env = Env::with_gateways();
    env.write("x.cca", env.cca("gateway", "hub"));
    let parcel = env.parcel_with("bob", "alice", b"x", &["--ttl", "60d"]);
    let ran = env
        .relay("pack-cargo")
        .args(["-N", "hub", "-t", "gateway", "--cca", "x.cca"])
        .stdin(parcel)
        .ok()
        .quiet();
    let cargo = parsed(ran.stdout);
    assert_eq!(cargo.fields().expiry(), at("2026-03-15T12:00:00Z"));

    // That is so with each CCA, so only who wants to know everything is told.
    env.write("v.cca", env.cca("gateway", "hub"));
    env.relay("pack-cargo")
        .args(["-v", "-N", "hub", "--cca", "v.cca"])
        .stdin(env.parcel_with("bob", "alice", b"x", &["--ttl", "60d"]))
        .ok()
        .says(&[
            "event=packed",
            "event=cut to=gateway until=2026-03-15T12:00:00Z",
        ]);

    // An acknowledgement has no end of its own, and asks for none.
    env.write("y.cca", env.cca("gateway", "hub"));
    let pca = env
        .relay("ack")
        .stdin(env.parcel("bob", "alice", b"y"))
        .ok()
        .stdout;
    let ran = env
        .relay("pack-cargo")
        .args(["-N", "hub", "--cca", "y.cca"])
        .stdin(pca)
        .ok()
        .quiet();
    assert_eq!(
        parsed(ran.stdout).fields().expiry(),
        at("2026-03-15T12:00:00Z")
    );
}

#[test]
fn as_few_cargoes_are_made_as_there_can_be() {
    let env = Env::with_gateways();
    env.mkdir("queue");
    for (name, len) in [("a", 5), ("b", 5), ("c", 3), ("d", 3)] {
        let content = vec![7; len * 1_000_000];
        env.write(
            format!("queue/{name}.parcel"),
            env.parcel("bob", "alice", &content),
        );
    }
    let ran = env
        .relay("pack-cargo")
        .args(["-v", "-N", "gateway", "-t", "hub", "-d", "stick", "queue"])
        .ok()
        .says(&["event=packed", "event=packed"]);
    assert!(
        ran.diagnostics()
            .iter()
            .all(|line| line.contains("messages=2"))
    );
    assert_eq!(env.names("stick").len(), 2);
    env.mkdir("out");
    let cargoes = env
        .names("stick")
        .into_iter()
        .map(|name| format!("stick/{name}"));
    env.relay("unpack-cargo")
        .args(["-N", "hub", "-d", "out"])
        .args(cargoes)
        .ok()
        .quiet();
    let octets = |dir: &str| {
        let mut all: Vec<Vec<u8>> = env
            .names(dir)
            .iter()
            .map(|name| env.read(format!("{dir}/{name}")))
            .collect();
        all.sort();
        all
    };
    assert!(
        octets("out") == octets("queue"),
        "the parcels are not those that were packed"
    );
}

#[test]
fn directories_files_and_streams_are_packed_together() {
    let env = Env::with_gateways();
    let parcels: Vec<Vec<u8>> = (0..5_u8)
        .map(|at| env.parcel("bob", "alice", &[at]))
        .collect();
    env.mkdir("queue");
    env.mkdir("queue/deep");
    env.write("queue/deep/1", &parcels[0]);
    env.write("queue/2", &parcels[1]);
    env.write("queue/.relay-x.tmp", "half written");
    env.link("2", "queue/link");
    env.write("stream", [&parcels[2][..], &parcels[3]].concat());
    let armored = relaynet::asn1::pem::encode("RELAYNET PARCEL", &parcels[4]);
    let ran = env
        .relay("pack-cargo")
        .args(["-N", "gateway", "-t", "hub", "stream", "queue", "-"])
        .stdin(armored)
        .ok()
        .says(&["queue/link: not a regular file"]);
    let expected = [2, 3, 1, 0, 4]
        .map(|at: usize| parcels[at].clone())
        .concat();
    env.relay("unpack-cargo")
        .args(["-N", "hub"])
        .stdin(ran.stdout)
        .ok()
        .quiet()
        .stdout(expected);
}

#[test]
fn what_cannot_be_carried_is_left_out_and_the_rest_is_packed() {
    let env = Env::with_gateways();
    let good = env.parcel("bob", "alice", b"good");
    let bad = |name: &str, octets: Vec<u8>| env.write(name, octets);
    let old = env.parcel_with("bob", "alice", b"old", &["--ttl", "1h"]);
    bad("old", old);
    bad("cargo", env.cargo("gateway", "hub", good.clone()));
    bad("cca", env.cca("gateway", "hub"));
    let mut tampered = good.clone();
    let last = tampered.len() - 5;
    tampered[last] ^= 1;
    bad("tampered", tampered);
    bad(
        "early",
        forged(&good, "bob", |parcel| {
            parcel.fields.date = at("2026-03-01T16:30:00Z");
        }),
    );
    bad(
        "stranger",
        forged(&good, "carol", |parcel| {
            parcel.certificates = vec![self_issued("carol")];
        }),
    );
    bad("junk", b"junk".to_vec());
    env.write("good", &good);
    let pack = |files: &[&str]| {
        env.relay("pack-cargo")
            .at("2026-03-01T16:00:00Z")
            .args(["-N", "gateway", "-t", "hub", "--clock-drift", "0s"])
            .args(files)
    };
    for (file, status, text) in [
        ("old", 80, "old: expired at 2026-03-01T12:55:00Z"),
        ("cargo", 65, "cargo: cargo is not carried in cargo"),
        ("cca", 65, "cca: CCA is not carried in cargo"),
        ("tampered", 65, "tampered: bad signature"),
        ("early", 81, "early: dated in the future"),
        ("stranger", 77, "stranger: "),
        ("junk", 65, "junk: "),
    ] {
        pack(&[file]).fails(status, text);
        let ran = pack(&[file, "good"]).run().says(&[text]);
        let expected = if status == 81 { 75 } else { status };
        assert_eq!(ran.status, expected, "{file}: {}", ran.stderr);
        env.relay("unpack-cargo")
            .at("2026-03-01T16:00:00Z")
            .args(["-N", "hub"])
            .stdin(ran.stdout)
            .ok()
            .quiet()
            .stdout(&good);
    }
    pack(&["nowhere"]).fails(66, "nowhere: ");
    pack(&[]).fails(66, "-: empty");
    pack(&["--allow-empty"])
        .ok()
        .quiet()
        .stdout("")
        .changes(&[]);
}

#[test]
fn a_message_that_fills_cargo_fits_and_a_longer_one_does_not() {
    let env = Env::with_gateways();
    let len = 8_322_037 - env.parcel("bob", "alice", &vec![7; 8_000_000]).len() + 8_000_000;
    let parcel = env.parcel("bob", "alice", &vec![7; len / 16 * 16 - 16]);
    assert!(
        (8_322_000..=8_322_037).contains(&parcel.len()),
        "{}",
        parcel.len()
    );
    let cargo = env.cargo("gateway", "hub", parcel.clone());
    env.relay("unpack-cargo")
        .args(["-N", "hub"])
        .stdin(cargo)
        .ok()
        .quiet()
        .stdout(parcel);

    let long = std::fs::read(interop().join("alpha/negative/oversize-9mib.parcel")).unwrap();
    env.write("long", [&long[..], &vec![0; 8_400_000]].concat());
    let ran = env
        .relay("pack-cargo")
        .args(["-N", "gateway", "-t", "hub", "long"])
        .run();
    assert_eq!(ran.status, 65, "{}", ran.stderr);
}

/// A CCA like one of gateway's, but with another authorization, or signed by another.
fn cca_with(env: &Env, authorization: &Certificate) -> Vec<u8> {
    let request = CollectionRequest {
        authorization: authorization.clone(),
    };
    let plaintext = request.to_buffer();
    env.sealed("gateway", "hub", Kind::Cca, plaintext.as_slice())
}

/// A certificate for cargo from `subject`, issued by `issuer` for this time.
fn authorization(issuer: &str, subject: &str, validity: (&str, &str)) -> Certificate {
    let key: IdentityKey = identity(issuer);
    let validity = (at(validity.0), at(validity.1));
    let own = issuance::issue(
        &key,
        None,
        key.public(),
        CertificateRole::SelfIssuedGateway,
        (at("2026-01-01T00:00:00Z"), at("2026-06-01T00:00:00Z")),
    );
    let subject = identity(subject);
    issuance::issue(
        &key,
        Some(&own.unwrap()),
        subject.public(),
        CertificateRole::DeliveryAuthorization(None),
        validity,
    )
    .unwrap()
}

#[test]
#[allow(clippy::too_many_lines)] // one story, told in order
fn a_cca_that_is_not_right_is_refused_and_nothing_is_packed() {
    let env = Env::with_gateways();
    // An acknowledgement has no dates of its own.
    let parcel = env.parcel("bob", "alice", b"x");
    env.write("x.pca", env.relay("ack").stdin(parcel).ok().stdout);
    let now = ("2026-02-01T00:00:00Z", "2026-05-01T00:00:00Z");
    let good = env.cca("gateway", "hub");
    let pack = |name: &str, cca: Vec<u8>| {
        env.write(name, cca);
        env.relay("pack-cargo")
            .args(["-N", "hub", "--cca", name, "x.pca"])
    };
    pack(
        "foreign",
        cca_with(&env, &authorization("mallory", "hub", now)),
    )
    .fails(
        77,
        "foreign: the authorization in the CCA is for another node, or not from",
    );
    pack(
        "other",
        cca_with(&env, &authorization("gateway", "mallory", now)),
    )
    .fails(
        77,
        "other: the authorization in the CCA is for another node, or not from",
    );
    let ended = ("2026-02-01T00:00:00Z", "2026-03-01T09:00:00Z");
    pack(
        "ended",
        cca_with(&env, &authorization("gateway", "hub", ended)),
    )
    .fails(80, "ended: certificate of");
    let short = ("2026-02-01T00:00:00Z", "2026-03-02T11:00:00Z");
    pack(
        "short",
        cca_with(&env, &authorization("gateway", "hub", short)),
    )
    .fails(
        80,
        "short: the CCA from gateway ends at 2026-03-02T11:00:00Z, and cargo needs a day of it",
    );
    let later = ("2026-03-02T00:00:00Z", "2026-05-01T00:00:00Z");
    pack(
        "later",
        cca_with(&env, &authorization("gateway", "hub", later)),
    )
    .fails(81, "later: certificate of");
    pack("junk", env.sealed("gateway", "hub", Kind::Cca, b"junk"))
        .fails(65, "junk: cannot be decrypted");
    pack(
        "stranger",
        forged(&good, "carol", |cca| {
            cca.certificates = vec![self_issued("carol")];
        }),
    )
    .fails(77, "stranger: ");
    pack(
        "cargo",
        env.sealed("gateway", "hub", Kind::Cargo, &[0x30, 0]),
    )
    .fails(65, "cargo: a cargo, not a CCA");
    pack("two", [&good[..], &good].concat()).fails(64, "two: more than one message");
    pack("none", Vec::new()).fails(66, "none: empty");
    // It is looked at even where there is nothing to pack.
    let nothing = |cca: &str| {
        env.relay("pack-cargo")
            .args(["-N", "hub", "--cca", cca, "--allow-empty"])
    };
    nothing("nowhere").fails(66, "nowhere: ");
    nothing("none").fails(66, "none: empty");
    nothing("junk").fails(65, "junk: cannot be decrypted");
    nothing("short").fails(80, "short: the CCA from gateway ends at");
    pack("late", good.clone())
        .at("2026-03-15T14:00:01Z")
        .fails(80, "late: expired at 2026-03-15T12:00:00Z");
    pack("early", good.clone())
        .at("2026-03-01T10:00:00Z")
        .args(["--clock-drift", "0s"])
        .fails(81, "early: dated in the future");

    env.write("good", &good);
    env.relay("pack-cargo")
        .args(["-N", "hub", "-t", "mallory", "--cca", "good", "x.pca"])
        .fails(
            67,
            &format!(
                "good: the CCA is from {}, not from the gateway that",
                id("gateway")
            ),
        );
    env.relay("pack-cargo")
        .args(["-N", "mallory", "--cca", "good", "x.pca"])
        .fails(67, "good: addressed to");
    env.relay("pack-cargo")
        .args(["-N", "hub", "--cca", "-"])
        .stdin(good.clone())
        .fails(64, "standard input can be read only once");
    // Where nothing was packed the CCA stays good; and it may come from standard input.
    env.relay("pack-cargo")
        .args(["-N", "hub", "--cca", "good", "--allow-empty"])
        .ok()
        .stdout("")
        .changes(&[]);
    env.relay("pack-cargo")
        .args(["-N", "hub", "--cca", "-", "-d", "stick", "x.pca"])
        .stdin(relaynet::asn1::pem::encode("RELAYNET CCA", &good))
        .ok();
    assert_eq!(env.names("stick").len(), 1);
}

#[test]
fn nobody_is_packed_for_without_a_certificate() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"x");
    let pack = |node: &str, to: &str| {
        env.relay("pack-cargo")
            .args(["-N", node, "-t", to])
            .stdin(parcel.clone())
    };
    pack("hub", "gateway").fails(
        77,
        "gateway has neither registered this node nor authorized it to send cargo",
    );
    pack("gateway", "nobody").fails(67, "no peer is known as nobody");
    pack("alice", "gateway").fails(64, "alice is an endpoint, not a gateway");
    pack("gateway", "hub")
        .at("2026-08-27T06:00:01Z")
        .fails(80, "the registration with hub ends at");
    env.relay("pack-cargo")
        .args(["-N", "hub"])
        .stdin(parcel.clone())
        .fails(64, "-t GATEWAY or --cca FILE is needed");
    env.write("taken", "mine");
    pack("gateway", "hub")
        .args(["-o", "taken"])
        .fails(73, "taken: already exists");
    pack("gateway", "hub")
        .args(["-d", "nowhere"])
        .fails(73, "nowhere: ");
}

#[test]
fn explicit_files_read_no_node() {
    let env = Env::with_peering();
    let keys = env.keys("gateway");
    let parcel = env.parcel("bob", "alice", b"x");
    let public = env.relay("export").args(["-N", "gateway"]).ok().stdout;
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", "mallory"])
        .stdin(public)
        .ok()
        .stdout;
    env.write("mallory.conn", conn);
    let ran = env
        .relay("pack-cargo")
        .args(["--identity-key", &keys.identity, "--params", "mallory.conn"])
        .args([
            "--session-key",
            &keys.session,
            "--session-key-id",
            &keys.session_id,
        ])
        .stdin(parcel.clone())
        .ok()
        .quiet()
        .changes(&[]);
    env.relay("unpack-cargo")
        .args(["-N", "mallory"])
        .stdin(ran.stdout)
        .ok()
        .quiet()
        .stdout(parcel);
    env.relay("pack-cargo")
        .args([
            "-N",
            "gateway",
            "--identity-key",
            &keys.identity,
            "--params",
            "mallory.conn",
        ])
        .fails(64, "-N cannot be used with --params");
    env.relay("pack-cargo")
        .args(["--identity-key", &keys.identity])
        .fails(64, "--params is needed");
}

#[test]
fn the_ccas_of_the_references_are_answered() {
    let env = Env::with_peers();
    env.write("x.parcel", env.parcel("bob", "alice", b"x"));
    for (folder, file, now) in [
        (
            "alpha",
            "cca/a-to-internet-gateway.cca",
            "2026-12-01T12:00:00Z",
        ),
        ("alpha", "variants/jvm-cca.cca", "2026-12-01T12:00:00Z"),
        ("jvm", "cca/to-internet-gateway.cca", "2026-12-01T00:00:00Z"),
    ] {
        let nodes = interop().join(folder).join("nodes/internet-gateway");
        for key in ["identity", "session"] {
            env.write(
                format!("{key}.key"),
                std::fs::read(nodes.join(format!("{key}.key.pem"))).unwrap(),
            );
            env.chmod(format!("{key}.key"), 0o600);
        }
        let pca = env.relay("ack").arg("x.parcel").ok().stdout;
        env.write("x.pca", &pca);
        let ran = env
            .relay("pack-cargo")
            .at(now)
            .args([
                "--identity-key",
                "identity.key",
                "--session-key",
                "session.key",
            ])
            .args(["--clock-drift", "0s", "--cca"])
            .arg(interop().join(folder).join(file))
            .stdin(pca.clone())
            .ok()
            .changes(&[]);
        let cargo = parsed(ran.stdout);
        assert_eq!(cargo.attached().len(), 1, "{file}");
        assert_eq!(cargo.fields().recipient, cargo.attached()[0].id(), "{file}");
    }
    let identity = interop().join("alpha/nodes/internet-gateway/identity.key.pem");
    let session = interop().join("alpha/nodes/internet-gateway/session.key.pem");
    env.write("identity.key", std::fs::read(identity).unwrap());
    env.write("session.key", std::fs::read(session).unwrap());
    env.relay("pack-cargo")
        .at("2026-12-01T12:00:00Z")
        .args([
            "--identity-key",
            "identity.key",
            "--session-key",
            "session.key",
            "--cca",
        ])
        .arg(interop().join("alpha/negative/cca-empty-request.cca"))
        .arg("x.pca")
        .fails(
            65,
            &format!(
                "{}: cannot be decrypted",
                interop()
                    .join("alpha/negative/cca-empty-request.cca")
                    .display()
            ),
        );
}

/// A script that removes what has status 0 would have lost all of it.
#[test]
fn a_status_is_told_when_the_cargo_is_where_it_belongs() {
    let env = Env::with_gateways();
    let parcels = [b"one", b"two"].map(|content| env.parcel("bob", "alice", content));
    env.mkdir("queue");
    env.write("queue/both", parcels.concat());
    env.write("queue/junk", "junk");
    let pack = |options: &[&str]| {
        env.relay("pack-cargo")
            .args(["-N", "hub", "--cca", "x.cca", "--status-fd", "3", "queue"])
            .args(options)
            .shell("", "3>status")
    };
    let told = || {
        let mut told: Vec<String> = json_lines(&env.text("status"))
            .iter()
            .map(|line| {
                format!(
                    "{} {} {}",
                    line["input"].as_str().unwrap(),
                    line["index"],
                    line["status"]
                )
            })
            .collect();
        told.sort();
        told
    };
    let all = |status: u8| {
        let both = [1, 2].map(|at| format!("queue/both {at} {status}"));
        [&both[..], &["queue/junk 1 65".to_owned()]].concat()
    };
    env.write("x.cca", env.cca("gateway", "hub"));
    for (options, status) in [
        (&["-o", "/dev/full"][..], 74),
        (&["-o", "/proc/nosuch/x"], 73),
        (&["-t", "mallory"], 67),
    ] {
        let ran = pack(options).run();
        assert_eq!(ran.status, i32::from(status), "{}", ran.stderr);
        assert_eq!(told(), all(status), "{options:?}");
    }
    assert_eq!(pack(&["-o", "out"]).run().status, 65);
    assert_eq!(told(), all(0));
    let ran = pack(&["-o", "another"]).run();
    assert_eq!(ran.status, 82, "{}", ran.stderr);
    assert_eq!(told(), all(82));
}

/// It hung, with locks held.
#[test]
fn a_file_that_is_something_else_when_it_is_packed_is_left_for_another_run() {
    use std::io::Write as _;
    use std::process::Command;

    let env = Env::with_gateways();
    let small = env.parcel("bob", "alice", b"small");
    let large = env.parcel("bob", "alice", &vec![7; 100_000]);
    let make = |name: &str, what: &str| {
        let path = env.path(name);
        let _ = std::fs::remove_file(&path);
        match what {
            "fifo" => {
                let made = Command::new("mkfifo").arg(&path).status().unwrap();
                assert!(made.success());
            }
            "directory" => std::fs::create_dir(&path).unwrap(),
            "device" => env.link("/dev/zero", name),
            "nothing" => {}
            "other" => env.write(name, &small),
            _ => env.link("dangling", name),
        }
    };
    for what in ["fifo", "directory", "device", "nothing", "other", "link"] {
        let _ = std::fs::remove_dir(env.path("large"));
        let _ = std::fs::remove_file(env.path("large"));
        env.write("large", &large);
        env.write("small", &small);
        let cca = env.cca("gateway", "hub");
        make("x.cca", "fifo");
        let ran = std::thread::scope(|scope| {
            let ran = scope.spawn(|| {
                env.relay("pack-cargo")
                    .args([
                        "-N", "hub", "--cca", "x.cca", "-o", "out", "-f", "large", "small",
                    ])
                    .run()
            });
            // The CCA is opened when all messages are read.
            let mut fifo = std::fs::OpenOptions::new()
                .write(true)
                .open(env.path("x.cca"))
                .unwrap();
            make("large", what);
            fifo.write_all(&cca).unwrap();
            drop(fifo);
            ran.join().unwrap()
        });
        assert_eq!(ran.status, 75, "{what}: {}", ran.stderr);
        ran.says(&["large: changed while it was being packed"]);
        env.relay("unpack-cargo")
            .args(["-N", "gateway", "out"])
            .ok()
            .stdout(&small);
    }
}

/// A queue that was not mounted looked like one in which all was done.
#[test]
fn a_directory_with_nothing_in_it_is_empty_input() {
    let env = Env::with_gateways();
    env.mkdir("queue");
    env.mkdir("queue/deep");
    let pack = |options: &[&str]| {
        env.relay("pack-cargo")
            .args(["-N", "gateway", "-t", "hub"])
            .args(options)
    };
    pack(&["queue"]).fails(66, "queue: no file in it");
    pack(&["--allow-empty", "queue"]).ok().quiet().stdout("");
    env.link("nowhere", "queue/link");
    let ran = pack(&["queue"]).run();
    assert_eq!(ran.status, 66);
    ran.says(&["queue/link: not a regular file", "queue: no file in it"])
        .stdout("");
    env.write("queue/deep/.relay-x.tmp", "half written");
    assert_eq!(pack(&["queue"]).run().status, 66);
    // One of several: the rest is packed.
    env.write("x", env.parcel("bob", "alice", b"x"));
    let ran = pack(&["-o", "out", "queue", "x"]).run();
    assert_eq!(ran.status, 66);
    assert!(env.path("out").exists());
    env.write("queue/deep/x", env.parcel("bob", "alice", b"x"));
    pack(&["queue"]).ok();
}

#[test]
fn an_operand_may_be_a_link_to_a_directory() {
    let env = Env::with_gateways();
    env.mkdir("queue");
    env.write("queue/x", env.parcel("bob", "alice", b"x"));
    env.link("queue", "link");
    env.link("link", "queue/back");
    env.relay("pack-cargo")
        .args(["-N", "gateway", "-t", "hub", "link"])
        .ok()
        .says(&["link/back: not a regular file"]);
}

#[test]
fn a_clock_that_is_behind_is_what_is_wrong() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"x");
    let pca = env.relay("ack").stdin(parcel).ok().stdout;
    for program in ["pack-cargo", "request-cargo"] {
        let ran = env
            .relay(program)
            .at("1970-01-01T00:00:00Z")
            .args(["-N", "gateway", "-t", "hub"])
            .stdin(pca.clone())
            .fails(
                81,
                "the registration with hub is valid only from 2026-03-01T09:00:00Z",
            );
        assert_eq!(ran.hints(), ["check this clock"]);
    }
}

#[test]
fn what_is_too_old_says_who_can_renew_it() {
    let env = Env::with_gateways();
    let pca = env
        .relay("ack")
        .stdin(env.parcel("bob", "alice", b"x"))
        .ok()
        .stdout;
    env.write("x.cca", env.cca("gateway", "hub"));
    let ran = env
        .relay("pack-cargo")
        .at("2026-03-14T12:00:01Z")
        .args(["-N", "hub", "--cca", "x.cca"])
        .stdin(pca.clone())
        .fails(
            80,
            "x.cca: the CCA from gateway ends at 2026-03-15T12:00:00Z",
        );
    assert_eq!(
        ran.hints(),
        ["ask the gateway for a new one (relay-request-cargo)"]
    );
    let ran = env
        .relay("pack-cargo")
        .at("2026-05-05T00:00:00Z")
        .args(["-N", "gateway", "-t", "hub"])
        .stdin(pca)
        .fails(80, "the first session key of hub expired at");
    assert_eq!(
        ran.hints(),
        ["let it register this node anew (relay-register), and import that"]
    );
}

/// The JVM library of some months mixed the two encodings of a path; a gateway behind us may use it.
#[test]
fn control_messages_are_carried_as_they_came() {
    use jiff::SignedDuration;
    use relaynet::asn1::{Element, tag, write};
    use relaynet::node::Directory;
    use relaynet::pki::Window;
    use relaynet::receive::{self, ReceiveOptions, Repeats};

    let env = Env::with_gateways();
    let file = interop().join("jvm/rotation/private-gateway-b.rotation");
    let rotation = std::fs::read(file).unwrap();
    let path = Element::der(&rotation[7..], tag::SEQUENCE).unwrap();
    let mut fields = path.children();
    let leaf = fields.take(0xa0).unwrap();
    let mut authorities = fields.take(0xa1).unwrap().children();
    let mut wrapped = Vec::new();
    while let Some(authority) = authorities.any().unwrap() {
        wrapped.extend(write::tlv(tag::OCTET_STRING, authority.whole()));
    }
    let mixed = write::constructed(tag::SEQUENCE, &[leaf.whole(), &write::tlv(0xa1, &wrapped)]);
    let mixed = [&rotation[..7], &mixed].concat();
    let now = "2026-12-01T00:00:00Z";
    let gateway = env.keys("gateway");
    let public = env.relay("export").args(["-N", "gateway"]).ok().stdout;
    let registration = env
        .relay("register")
        .at(now)
        .args(["-q", "-N", "hub"])
        .stdin(public)
        .ok()
        .stdout;
    env.write("gateway.pnr", registration);
    let cargo = env
        .relay("pack-cargo")
        .at(now)
        .args([
            "--identity-key",
            &gateway.identity,
            "--params",
            "gateway.pnr",
        ])
        .stdin(mixed.clone())
        .ok()
        .stdout;
    let node = Directory::open(&env.path("hub")).unwrap();
    let terms = ReceiveOptions {
        window: Window::new(at(now), SignedDuration::ZERO),
        now: at(now),
        repeats: Repeats::Refused,
    };
    let opened = receive::cargo(&node, cargo, &terms).unwrap();
    assert_eq!(opened.content().messages().collect::<Vec<_>>(), [&mixed]);
    assert_ne!(mixed, rotation);
}
