//! relay-verify

use std::fs;

use relaynet::asn1::pem;

use crate::testenv::{Env, copy_tree, forged, id, interop, json_lines, keys_in, self_issued};

/// When the vectors of one of the other implementations are judged.
const ALPHA: &str = "2026-12-01T12:00:00Z";

#[test]
fn a_courier_sees_who_authorized_whom() {
    let env = Env::with_peers();
    env.write("x.parcel", env.parcel("bob", "alice", b"x"));
    let line = format!(
        "parcel from {} to {}: authorized: yes\n",
        id("bob"),
        id("alice")
    );
    let verify = || env.relay("verify").arg("x.parcel");
    let line = format!("x.parcel: {line}");
    verify().ok().quiet().stdout(&line).changes(&[]);
    for trust in [
        &["--trust", "alice/identity.pub"][..],
        &[
            "--trust",
            "bob/identity.pub",
            "--trust",
            "alice/identity.pub",
        ],
        &["--trust", "alice/identity.pub", "--recipient", &id("alice")],
        &["-N", "alice"],
        &["-N", "carol"],
    ] {
        verify().args(trust).ok().quiet().stdout(&line).changes(&[]);
    }
    let keys = env.keys("alice");
    verify()
        .args(["--identity-key", &keys.identity])
        .ok()
        .quiet()
        .stdout(&line)
        .changes(&[]);
    // A node that is not there is no harm unless it was named.
    verify()
        .args(["-N", "nowhere"])
        .fails(78, "nowhere is not a node directory");
    env.mkdir("home");
    env.mkdir("home/.relay");
    verify().ok().quiet().stdout(&line);
}

/// A courier needs no node, so one that cannot be used does not stop one.
#[test]
fn a_node_that_is_not_named_and_cannot_be_used_is_done_without() {
    let env = Env::with_peers();
    env.write("x.parcel", env.parcel("bob", "alice", b"x"));
    let verify = || env.relay("verify").arg("x.parcel");
    let line = verify().ok().quiet().stdout;
    env.mkdir("home");
    for (file, content) in [
        ("VERSION", "relay-node 9\n"),
        ("config", "nonsense\n"),
        ("identity.pub", "nonsense\n"),
    ] {
        env.mkdir("home/.relay");
        copy_tree(&env.path("carol"), &env.path("home/.relay"));
        env.write(format!("home/.relay/{file}"), content);
        let ran = verify().ok().stdout(&line);
        assert!(ran.diagnostics()[0].ends_with(": going on without a node"));
        for call in [
            verify().var("RELAY_NODE", "home/.relay"),
            verify().var("RELAY_NODE", "nowhere"),
        ] {
            let ran = call.ok().stdout(&line);
            assert_eq!(ran.diagnostics().len(), 1, "{}", ran.stderr);
        }
        assert_eq!(
            verify().args(["-N", "home/.relay"]).run().status,
            78,
            "{file}"
        );
        fs::remove_dir_all(env.path("home/.relay")).unwrap();
    }
    env.write("home/.relay", "a file");
    verify().ok().stdout(&line).says(&[""]);
}

#[test]
fn an_authorization_that_is_not_trusted() {
    let env = Env::with_peers();
    env.write("x.parcel", env.parcel("bob", "alice", b"x"));
    let facts = format!("parcel from {} to {}", id("bob"), id("alice"));
    let ran = env
        .relay("verify")
        .args(["--trust", "carol/identity.pub", "x.parcel"])
        .run()
        .says(&["x.parcel: the recipient has not authorized "])
        .stdout(format!("x.parcel: {facts}: authorized: no\n"))
        .changes(&[]);
    assert_eq!(ran.status, 77);
    let bob = env.keys("bob");
    env.relay("verify")
        .args(["--identity-key", &bob.identity, "x.parcel"])
        .fails(67, &format!("x.parcel: addressed to {}", id("alice")));
    env.relay("verify")
        .args([
            "--trust",
            "alice/identity.pub",
            "--recipient",
            &id("bob"),
            "x.parcel",
        ])
        .fails(67, &format!("x.parcel: addressed to {}", id("alice")));
}

/// Signed by mallory, with and without the certificates that Alice gave Bob.
#[test]
fn what_certificates_show_and_refute() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"x");
    let refuted = forged(&parcel, "mallory", |message| {
        message.certificates.insert(0, self_issued("mallory"));
    });
    let alone = forged(&parcel, "mallory", |message| {
        message.certificates = vec![self_issued("mallory")];
    });
    let line = format!(
        "-: parcel from {} to {}: authorized:",
        id("mallory"),
        id("alice")
    );
    for parcel in [refuted, alone] {
        let ran = env
            .relay("verify")
            .stdin(parcel)
            .run()
            .stdout(format!("{line} no\n"))
            .says(&["-: the recipient has not authorized "])
            .changes(&[]);
        assert_eq!(ran.status, 77);
    }
    // Bob's authorization without Alice's own certificate: somebody who has that can tell.
    let line = format!(
        "-: parcel from {} to {}: authorized:",
        id("bob"),
        id("alice")
    );
    let not_shown = forged(&parcel, "bob", |message| message.certificates.truncate(1));
    env.relay("verify")
        .stdin(&*not_shown)
        .ok()
        .stdout(format!("{line} not shown\n"))
        .says(&["-: nothing shows that the recipient authorized its sender"])
        .changes(&[]);
    env.relay("verify")
        .arg("-q")
        .stdin(&*not_shown)
        .ok()
        .quiet()
        .stdout(format!("{line} not shown\n"));
    env.relay("verify")
        .args(["--trust", "alice/identity.pub"])
        .stdin(not_shown)
        .ok()
        .quiet()
        .stdout(format!("{line} yes\n"));
}

/// To a node with an Internet address everything is authorized, as that node sees it.
#[test]
fn what_goes_to_an_internet_node() {
    let env = Env::new();
    env.make_node("alice", &[]);
    env.make_node("bob", &["--address", "bob.example.org"]);
    let ncp = env.relay("export").args(["-N", "bob"]).ok().stdout;
    env.relay("import")
        .args(["-q", "-N", "alice", "--name", "bob"])
        .stdin(ncp)
        .ok();
    env.write("x.parcel", env.parcel("alice", "bob", b"x"));
    let line = format!(
        "x.parcel: parcel from {} to {}: authorized:",
        id("alice"),
        id("bob")
    );
    env.relay("verify")
        .arg("x.parcel")
        .ok()
        .stdout(format!("{line} not shown\n"))
        .says(&["x.parcel: nothing shows"]);
    env.relay("verify")
        .args(["-N", "bob", "x.parcel"])
        .ok()
        .quiet()
        .stdout(format!("{line} yes\n"));
}

#[test]
fn what_is_dated_wrong() {
    let env = Env::with_peers();
    env.write(
        "x.parcel",
        env.parcel_with("bob", "alice", b"x", &["--ttl", "1h"]),
    );
    let verify = |now: &str| env.relay("verify").at(now).arg("x.parcel");
    verify("2026-03-01T14:55:01Z").fails(80, "x.parcel: expired at 2026-03-01T12:55:00Z");
    verify("2026-03-01T09:54:59Z").fails(81, "x.parcel: dated in the future");
    verify("2026-03-01T14:55:01Z")
        .args(["--clock-drift", "3h"])
        .ok();
    // Nothing of a node changes, so any time may be asked about, also where no clock but the system's is allowed.
    let config = env.text("alice/config").replace("clock = test\n", "");
    env.write("alice/config", config);
    verify("2026-03-01T12:30:00Z")
        .args(["-N", "alice"])
        .ok()
        .quiet();
}

#[test]
fn json_and_status_lines() {
    let env = Env::with_peers();
    let one = env.parcel_with("bob", "alice", b"x", &["--id", "one", "--ttl", "1d"]);
    let mut two = env.parcel("carol", "alice", b"x");
    let last = two.len() - 1;
    two[last] ^= 1;
    env.write("x.parcels", [&*one, &two, &one].concat());
    let ran = env
        .relay("verify")
        .args(["--json", "--status-fd", "3", "x.parcels"])
        .shell("", "3>>status")
        .run()
        .says(&["x.parcels[2]: bad signature"])
        .changes(&["+status"]);
    assert_eq!(ran.status, 65);
    let lines = ran.json();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        keys_in(&lines[0]),
        [
            "v",
            "input",
            "index",
            "kind",
            "sender",
            "recipient",
            "id",
            "date",
            "expiry",
            "authorized",
            "path",
            "warnings"
        ]
    );
    assert_eq!(
        lines[0],
        serde_json::json!({
            "v": 1, "input": "x.parcels", "index": 1, "kind": "parcel", "sender": id("bob"), "recipient": id("alice"),
            "id": "one", "date": "2026-03-01T11:55:00Z", "expiry": "2026-03-02T11:55:00Z", "authorized": "yes",
            "path": lines[0]["path"], "warnings": [],
        })
    );
    assert_eq!(lines[1]["index"], 3);
    let statuses = json_lines(&env.text("status"));
    let statuses: Vec<_> = statuses
        .iter()
        .map(|line| line["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [0, 65, 0]);
}

#[test]
fn several_failures_have_one_status() {
    let env = Env::with_peers();
    env.write("good", env.parcel("bob", "alice", b"x"));
    let late = env
        .relay("seal")
        .at("2026-03-02T12:00:00Z")
        .args(["-N", "bob", "-t", "alice"])
        .stdin("x")
        .ok()
        .stdout;
    env.write("early", late);
    env.write("junk", "junk");
    env.write("nothing", "");
    let status = |files: &[&str]| env.relay("verify").args(files).run().changes(&[]).status;
    assert_eq!(status(&["early"]), 81);
    assert_eq!(status(&["early", "good"]), 75);
    assert_eq!(status(&["early", "junk"]), 65);
    assert_eq!(status(&["nothing", "junk"]), 66);
    assert_eq!(status(&["good", "good"]), 0, "nothing is remembered");
    env.relay("verify")
        .arg("nothing")
        .fails(66, "nothing: empty");
    env.relay("verify")
        .args(["--allow-empty", "nothing"])
        .ok()
        .quiet()
        .stdout("");
    env.relay("verify").fails(66, "-: empty");
}

/// Objects that are no messages: what is asked of other implementations' files.
#[test]
#[allow(clippy::too_many_lines)] // one story, told in order
fn certificates_parameters_and_registrations() {
    let env = Env::new();
    let file = |name: &str| {
        let octets = fs::read(interop().join("alpha").join(name)).unwrap();
        env.write(name.rsplit('/').next().unwrap(), octets);
    };
    for name in [
        "certs/endpoint-a.der",
        "certs/pda.a-to-b.der",
        "certs/private-gateway-a.der",
        "certs/internet-gateway.der",
        "certs/stranger.der",
        "gsc/private-gateway-a.pnra",
        "gsc/private-gateway-a.pnrr",
        "gsc/private-gateway-a.pnr",
        "conn/a-for-c.pecp",
        "conn/internet-gateway.ncp",
        "negative/pnra-expired.pnra",
        "negative/pnra-other-gateway.pnra",
        "negative/pnra-gateway-data-tampered.pnra",
        "negative/pnrr-bad-countersignature.pnrr",
        "negative/pnr-bad-certificate.pnr",
        "pca/b-to-a.pca",
        "rotation/private-gateway-a.rotation",
    ] {
        file(name);
    }
    let verify = |args: &[&str]| {
        let call = env
            .relay("verify")
            .at(ALPHA)
            .args(["-q", "--clock-drift", "0s"]);
        let ran = call.args(args).run().changes(&[]);
        let word = ran
            .text()
            .rsplit("authorized: ")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        (ran.status, word)
    };
    let yes = || (0, "yes".to_owned());
    let no = || (77, "no".to_owned());
    let not_shown = || (0, "not shown".to_owned());
    let refused = |status: i32| (status, String::new());

    // Certificates.
    assert_eq!(verify(&["endpoint-a.der"]), not_shown());
    assert_eq!(
        verify(&["--trust", "private-gateway-a.der", "endpoint-a.der"]),
        yes()
    );
    assert_eq!(
        verify(&["--trust", "internet-gateway.der", "endpoint-a.der"]),
        no()
    );
    assert_eq!(
        verify(&[
            "--trust",
            "internet-gateway.der",
            "--chain",
            "private-gateway-a.der",
            "endpoint-a.der"
        ]),
        yes()
    );
    assert_eq!(verify(&["--trust", "stranger.der", "endpoint-a.der"]), no());

    // A gateway's promise to register, and a request with it.
    assert_eq!(
        verify(&["--trust", "private-gateway-a.der", "private-gateway-a.pnra"]).0,
        65
    );
    assert_eq!(
        verify(&["--trust", "internet-gateway.der", "private-gateway-a.pnra"]),
        yes()
    );
    assert_eq!(verify(&["private-gateway-a.pnra"]), not_shown());
    assert_eq!(verify(&["pnra-expired.pnra"]), refused(80));
    assert_eq!(
        verify(&[
            "--trust",
            "private-gateway-a.der",
            "pnra-other-gateway.pnra"
        ]),
        refused(65)
    );
    assert_eq!(
        verify(&[
            "--trust",
            "internet-gateway.der",
            "pnra-gateway-data-tampered.pnra"
        ]),
        refused(65)
    );
    assert_eq!(
        verify(&["--trust", "internet-gateway.der", "private-gateway-a.pnrr"]),
        yes()
    );
    assert_eq!(verify(&["private-gateway-a.pnrr"]), not_shown());
    assert_eq!(verify(&["pnrr-bad-countersignature.pnrr"]), refused(65));

    // What a gateway answers, parameters, and what cargo brings.
    assert_eq!(verify(&["private-gateway-a.pnr"]), not_shown());
    assert_eq!(
        verify(&["--trust", "internet-gateway.der", "private-gateway-a.pnr"]),
        yes()
    );
    assert_eq!(
        verify(&["--trust", "stranger.der", "private-gateway-a.pnr"]),
        no()
    );
    assert_eq!(verify(&["pnr-bad-certificate.pnr"]), refused(65));
    assert_eq!(verify(&["a-for-c.pecp"]), yes());
    assert_eq!(verify(&["internet-gateway.ncp"]), refused(65));
    assert_eq!(verify(&["b-to-a.pca"]), not_shown());
    assert_eq!(verify(&["private-gateway-a.rotation"]), not_shown());
    assert_eq!(
        verify(&[
            "--trust",
            "internet-gateway.der",
            "private-gateway-a.rotation"
        ]),
        yes()
    );
}

#[test]
fn keys_have_nothing_to_verify() {
    let env = Env::with_peers();
    let keys = env.keys("alice");
    env.relay("verify")
        .arg("alice/identity.pub")
        .fails(65, "alice/identity.pub: ");
    env.relay("verify")
        .arg(&keys.identity)
        .fails(65, &format!("{}: ", keys.identity));
    env.relay("verify")
        .arg("missing")
        .fails(66, "missing: cannot open");
    env.relay("verify").arg(".").fails(66, ".: ");
}

/// A path as PEM, its leaf first.
#[test]
fn a_path_in_pem() {
    let env = Env::new();
    let read = |name: &str| fs::read(interop().join("alpha/certs").join(name)).unwrap();
    let path: String = ["endpoint-a.der", "private-gateway-a.der"]
        .iter()
        .map(|name| pem::encode("CERTIFICATE", &read(name)))
        .collect();
    env.write("path.pem", path);
    env.write("root.der", read("internet-gateway.der"));
    let ran = env
        .relay("verify")
        .at(ALPHA)
        .args(["--json", "--trust", "root.der", "path.pem"])
        .ok();
    let line = &ran.json()[0];
    assert_eq!(line["kind"], "certificate");
    assert_eq!(line["authorized"], "yes");
    assert_eq!(line["path"].as_array().unwrap().len(), 3);
}

#[test]
fn command_lines_that_are_wrong() {
    let env = Env::with_peers();
    let keys = env.keys("alice");
    for (args, text) in [
        (
            &["-N", "alice", "--trust", "alice/identity.pub"][..],
            "-N cannot be used with",
        ),
        (
            &["-N", "alice", "--identity-key", &keys.identity],
            "-N cannot be used with",
        ),
        (
            &["--recipient", &id("alice")],
            "--recipient goes with --trust or a node",
        ),
        (
            &["--recipient", "07"],
            "invalid value '07' for '--recipient <ID>'",
        ),
        (
            &["--trust", &keys.session],
            &format!("{}: a private key cannot be trusted", keys.session),
        ),
        (&["--status-fd", "77"], "file descriptor 77 is not open"),
        (&["-", "-"], "standard input can be read only once"),
        (&["-t", "alice"], "unexpected argument '-t' found"),
    ] {
        env.relay("verify").args(args).fails(64, text);
    }
    env.relay("verify")
        .args(["--trust", "missing"])
        .fails(66, "missing: cannot open");
    env.relay("verify")
        .args(["--trust", "alice/config"])
        .fails(65, "alice/config: ");
    env.relay("verify")
        .args(["--chain", "alice/config"])
        .fails(65, "alice/config: ");
}

#[test]
fn outputs_that_fail() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"x");
    let ran = env
        .relay("verify")
        .stdin(&*parcel)
        .without_reader()
        .run()
        .quiet();
    assert_eq!(ran.status, 141);
    let ran = env
        .relay("verify")
        .stdin(parcel)
        .shell("", ">/dev/full")
        .run()
        .changes(&[]);
    assert_eq!(ran.status, 74);
    assert_eq!(ran.diagnostics().len(), 1);
}

#[test]
fn a_stream_in_pem_may_be_longer_than_any_object() {
    let env = Env::with_peers();
    let content = vec![7; 6_000_000];
    let one = env.parcel_with("bob", "alice", &content, &["--armor"]);
    let two = env.parcel_with("bob", "alice", &content, &["--armor"]);
    let stream = [one, two].concat();
    assert!(stream.len() > 15_000_000);
    let verified = env.relay("verify").stdin(stream).ok().quiet();
    assert_eq!(verified.text().lines().count(), 2);
}
