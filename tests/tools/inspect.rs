//! relay-inspect

use std::fs;

use relaynet::asn1::write::tlv;
use relaynet::asn1::{Buffer, pem};
use relaynet::message::certification_path::PathForm;
use relaynet::message::{PrivateEndpointConnectionParams, service_message};

use crate::testenv::{Env, fingerprint, id, interop, json_lines, keys_in};

fn inspect(env: &Env, octets: &[u8]) -> serde_json::Value {
    let ran = env
        .relay("inspect")
        .arg("--json")
        .stdin(octets)
        .ok()
        .quiet()
        .changes(&[]);
    let mut lines = ran.json();
    assert_eq!(lines.len(), 1);
    lines.remove(0)
}

const MESSAGE: [&str; 14] = [
    "v",
    "input",
    "index",
    "kind",
    "recipient",
    "address",
    "sender",
    "id",
    "date",
    "ttl",
    "expiry",
    "size",
    "sender_certificate",
    "attached",
];

/// What is shown of an authorization.
const PECP: [&str; 6] = [
    "node",
    "gateway_address",
    "authorization",
    "session_key",
    "sha256",
    "digits",
];

/// A file of another implementation, what it is, and the keys that are told of it.
#[test]
#[allow(clippy::too_many_lines)] // one story, told in order
fn every_kind_is_recognised() {
    let env = Env::new();
    for (file, kind, keys) in [
        (
            "alpha/pca/b-to-a.pca",
            "pca",
            &["sender", "recipient", "id"][..],
        ),
        (
            "alpha/rotation/private-gateway-a.rotation",
            "rotation",
            &["form", "path", "sha256", "digits"],
        ),
        (
            "alpha/certs/endpoint-a.der",
            "certificate",
            &["certificates"],
        ),
        (
            "alpha/nodes/endpoint-a/identity.pub.der",
            "public-key",
            &["node", "private"],
        ),
        (
            "alpha/nodes/endpoint-a/identity.key.pem",
            "private-key",
            &["node", "private"],
        ),
        (
            "alpha/nodes/endpoint-a/session.pub.der",
            "session-public-key",
            &["key_id", "curve", "sha256", "private"],
        ),
        (
            "alpha/nodes/endpoint-a/session.key.pem",
            "private-key",
            &["key_id", "curve", "sha256", "private"],
        ),
        (
            "alpha/conn/internet-gateway.ncp",
            "connection-parameters",
            &["node", "address", "session_key", "sha256", "digits"],
        ),
        (
            "alpha/conn/a-for-c.pecp",
            "private-endpoint-connection-parameters",
            &PECP,
        ),
        (
            "alpha/gsc/private-gateway-a.pnr",
            "registration",
            &[
                "node_certificate",
                "gateway_certificate",
                "gateway_address",
                "session_key",
                "sha256",
                "digits",
            ],
        ),
        (
            "alpha/gsc/private-gateway-a.pnra",
            "registration-authorization",
            &["expiry", "gateway_data"],
        ),
        (
            "alpha/gsc/private-gateway-a.pnrr",
            "registration-request",
            &["node", "authorization", "authorization_sha256"],
        ),
        (
            "alpha/gsc/handshake.challenge",
            "handshake-challenge",
            &["nonce"],
        ),
        (
            "alpha/gsc/handshake.response",
            "handshake-response",
            &["signatures"],
        ),
        (
            "alpha/gsc/small.delivery",
            "parcel-delivery",
            &["id", "parcel_size", "parcel_sha256"],
        ),
        ("alpha/gsc/nonce.endpoint-a.sig", "signature", &["signer"]),
    ] {
        let octets = fs::read(interop().join(file)).unwrap();
        let facts = inspect(&env, &octets);
        assert_eq!(facts["kind"], kind, "{file}");
        let expected: Vec<&str> = ["v", "input", "index", "kind"]
            .iter()
            .chain(keys)
            .copied()
            .collect();
        assert_eq!(keys_in(&facts), expected, "{file}");
        // The same in PEM, where it came in DER.
        if let Some(label) = match kind {
            "certificate" => Some("CERTIFICATE".to_owned()),
            "public-key" | "session-public-key" => Some("PUBLIC KEY".to_owned()),
            "private-key" => None,
            "private-endpoint-connection-parameters" => {
                Some("RELAYNET CONNECTION PARAMETERS".to_owned())
            }
            _ => Some(format!(
                "RELAYNET {}",
                kind.to_ascii_uppercase().replace('-', " ")
            )),
        } {
            let armored = pem::encode(&label, &octets);
            assert_eq!(inspect(&env, armored.as_bytes()), facts, "{label}");
        }
        env.write("file", &octets);
        let ran = env.relay("inspect").arg("file").ok().quiet().changes(&[]);
        assert!(
            ran.text().starts_with(&format!("kind: {kind}\n")),
            "{}",
            ran.text()
        );
    }
    for (file, kind) in [
        ("alpha/parcels/b-to-a-small.parcel", "parcel"),
        ("alpha/cargo/to-internet-gateway.cargo", "cargo"),
        ("alpha/cca/a-to-internet-gateway.cca", "cca"),
    ] {
        let facts = inspect(&env, &fs::read(interop().join(file)).unwrap());
        assert_eq!(facts["kind"], kind, "{file}");
        let expected: Vec<&str> = MESSAGE.into_iter().chain(["payload"]).collect();
        assert_eq!(keys_in(&facts), expected, "{file}");
        assert_eq!(
            keys_in(&facts["payload"]),
            [
                "size",
                "sha256",
                "recipient_key_id",
                "originator_key_id",
                "cipher",
                "kdf",
                "key_wrap",
                "error"
            ]
        );
        assert_eq!(
            keys_in(&facts["sender_certificate"]),
            [
                "subject",
                "subject_common_name",
                "issuer_common_name",
                "issuer_key_id",
                "serial",
                "from",
                "until",
                "ca",
                "path_length",
                "rate",
                "sha256"
            ]
        );
    }
}

#[test]
fn an_unsealed_service_message() {
    let env = Env::new();
    let mut buffer = Buffer::with_capacity(4096);
    buffer.append(b"12345");
    service_message::wrap(&mut buffer, "text/plain").unwrap();
    let facts = inspect(&env, buffer.as_slice());
    assert_eq!(facts["kind"], "service-message");
    assert_eq!(
        keys_in(&facts),
        [
            "v",
            "input",
            "index",
            "kind",
            "type",
            "content_size",
            "content_sha256"
        ]
    );
    assert_eq!(facts["type"], "text/plain");
    assert_eq!(facts["content_size"], 5);
}

/// What cargo and CCAs hold, unsealed, and a path as one structure.
#[test]
fn parts_of_other_objects() {
    let env = Env::new();
    let messages = tlv(0x30, &[tlv(0x04, b"one"), tlv(0x04, b"")].concat());
    let facts = inspect(&env, &messages);
    assert_eq!(facts["kind"], "cargo-message-set");
    assert_eq!(facts["messages"][0]["size"], 3);
    assert_eq!(facts["messages"][1]["size"], 0);

    let certificate =
        fs::read(interop().join("alpha/certs/cda.a-to-internet-gateway.der")).unwrap();
    let request = tlv(0x30, &tlv(0x80, &certificate));
    let facts = inspect(&env, &request);
    assert_eq!(facts["kind"], "cargo-collection-request");
    assert_eq!(
        keys_in(&facts),
        ["v", "input", "index", "kind", "authorization"]
    );

    let pecp = fs::read(interop().join("alpha/conn/a-for-c.pecp")).unwrap();
    let params = PrivateEndpointConnectionParams::parse(&pecp).unwrap();
    let facts = inspect(
        &env,
        &params.authorization.to_der(0x30, PathForm::Certificates),
    );
    assert_eq!(facts["kind"], "certification-path");
    assert_eq!(
        keys_in(&facts),
        ["v", "input", "index", "kind", "leaf", "authorities"]
    );
}

#[test]
fn one_fact_only() {
    let env = Env::with_peers();
    env.write(
        "x.parcel",
        env.parcel_with("bob", "alice", b"x", &["--id", "the id"]),
    );
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", "alice", &id("bob")])
        .ok()
        .stdout;
    env.write("alice.conn", conn);
    let keys = env.keys("alice");
    for (option, file, fact) in [
        ("--id", "x.parcel", id("bob")),
        ("--sender", "x.parcel", id("bob")),
        ("--recipient", "x.parcel", id("alice")),
        ("--message-id", "x.parcel", "the id".to_owned()),
        ("--id", "alice.conn", id("alice")),
        ("--id", "alice/identity.pub", id("alice")),
        ("--id", &*keys.identity, id("alice")),
        ("--id", &*keys.public, id("alice")),
    ] {
        env.relay("inspect")
            .args([option, file])
            .ok()
            .quiet()
            .stdout(format!("{fact}\n"))
            .changes(&[]);
    }
    for (option, file) in [
        ("--id", &*keys.session),
        ("--sender", "alice.conn"),
        ("--recipient", "alice/identity.pub"),
        ("--message-id", "alice/identity.pub"),
    ] {
        env.relay("inspect")
            .args([option, file])
            .fails(65, &format!("{file}: "));
    }
    env.relay("inspect")
        .args(["--id", "--sender", "x.parcel"])
        .fails(64, "the argument ");
    env.relay("inspect")
        .args(["--id", "--json", "x.parcel"])
        .fails(64, "the argument ");
}

#[test]
fn no_secret_is_shown() {
    let env = Env::new();
    let keys = env.keys("alice");
    let ran = env.relay("inspect").arg(&keys.identity).ok().quiet();
    assert_eq!(
        ran.text(),
        format!(
            "kind: private-key\nnode:\n  id: {}\n  fingerprint: {}\nprivate: yes\n",
            id("alice"),
            fingerprint("alice")
        )
    );
}

#[test]
fn streams_and_several_files() {
    let env = Env::with_peers();
    let one = env.parcel_with("bob", "alice", b"x", &["--id", "one"]);
    let two = env.parcel_with("bob", "alice", b"x", &["--id", "two", "--armor"]);
    env.write("x.parcels", [&*one, &two].concat());
    env.relay("inspect")
        .args(["--message-id", "x.parcels"])
        .ok()
        .quiet()
        .stdout("one\ntwo\n");
    let ran = env.relay("inspect").arg("x.parcels").ok().quiet();
    assert!(
        ran.text().starts_with("x.parcels[1]:\nkind: parcel\n"),
        "{}",
        ran.text()
    );
    assert!(
        ran.text().contains("\nx.parcels[2]:\nkind: parcel\n"),
        "{}",
        ran.text()
    );

    env.write("junk", "junk");
    let ran = env
        .relay("inspect")
        .args([
            "--json",
            "--status-fd",
            "3",
            "x.parcels",
            "junk",
            "alice/identity.pub",
            "missing",
        ])
        .shell("", "3>>status")
        .run()
        .says(&["junk: ", "missing: "])
        .changes(&["+status"]);
    assert_eq!(ran.status, 65);
    let kinds: Vec<_> = ran
        .json()
        .iter()
        .map(|line| line["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["parcel", "parcel", "public-key"]);
    let statuses = json_lines(&env.text("status"));
    let statuses: Vec<_> = statuses
        .iter()
        .map(|line| line["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [0, 0, 65, 0, 66]);
}

/// What it shows is what the object claims, with nothing that could harm a terminal.
#[test]
fn what_an_object_says_is_escaped() {
    let env = Env::new();
    let mut buffer = Buffer::with_capacity(4096);
    service_message::wrap(&mut buffer, "text/plain").unwrap();
    let mut octets = buffer.as_slice().to_vec();
    let at = octets.windows(5).position(|part| part == b"/plai").unwrap();
    octets[at + 1..at + 5].copy_from_slice(b"\x1b[2J");
    let ran = env.relay("inspect").stdin(octets).run();
    assert!(
        !ran.stdout.contains(&0x1b) && !ran.stderr.contains('\x1b'),
        "{}",
        ran.stderr
    );
    let ran = env
        .relay("inspect")
        .arg("\x1b[2J")
        .fails(66, "\\u{1b}[2J: cannot open");
    assert!(!ran.stderr.contains('\x1b'));
}

#[test]
fn inputs_and_outputs_that_fail() {
    let env = Env::with_peers();
    env.write("nothing", "");
    env.relay("inspect").fails(66, "-: empty");
    env.relay("inspect")
        .arg("nothing")
        .fails(66, "nothing: empty");
    env.relay("inspect")
        .args(["--allow-empty", "nothing"])
        .ok()
        .quiet()
        .stdout("");
    env.relay("inspect")
        .arg("missing")
        .fails(66, "missing: cannot open: No such file or directory");
    env.relay("inspect").arg("alice").fails(66, "alice: ");
    env.relay("inspect")
        .arg("alice/config")
        .fails(65, "alice/config: ");
    let key = || env.relay("inspect").arg("alice/identity.pub");
    let ran = key().without_reader().run().quiet();
    assert_eq!(ran.status, 141);
    let ran = key().shell("", ">/dev/full").run();
    assert_eq!(ran.status, 74);
    assert_eq!(ran.diagnostics().len(), 1);
}

#[test]
fn objects_cut_at_any_length() {
    let env = Env::with_peers();
    for file in [
        "alpha/conn/a-for-c.pecp",
        "alpha/gsc/private-gateway-a.pnr",
        "alpha/certs/endpoint-a.der",
    ] {
        let octets = fs::read(interop().join(file)).unwrap();
        for len in 0..octets.len() {
            let parsed = relaynet::message::Object::parse(&octets[..len]);
            assert!(parsed.is_err(), "{file} {len}");
        }
        env.relay("inspect")
            .stdin(&octets[..octets.len() - 1])
            .fails(65, "-: ");
    }
}
