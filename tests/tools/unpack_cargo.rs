//! relay-unpack-cargo: what is accepted, message by message, and what is remembered.

use jiff::Timestamp;
use relaynet::asn1::{tag, write};
use relaynet::message::certification_path::PathForm;
use relaynet::message::{CertificationPath, Rotation};
use relaynet::pki::Certificate;
use relaynet::pki::issuance::{self, CertificateRole};
use relaynet::ramf::{Kind, SignedMessage};

use crate::testenv::{
    Call, Env, copy_tree, forged, id, identity, is_root, json_lines, keys_in, self_issued, sha256,
};

/// A set of messages, as cargo holds it.
fn set(messages: &[Vec<u8>]) -> Vec<u8> {
    let items: Vec<u8> = messages
        .iter()
        .flat_map(|message| write::tlv(tag::OCTET_STRING, message))
        .collect();
    write::tlv(tag::SEQUENCE, &items)
}

/// Cargo from gateway to hub with these messages, of which none is looked at.
fn cargo_of(env: &Env, messages: &[Vec<u8>]) -> Vec<u8> {
    env.sealed("gateway", "hub", Kind::Cargo, &set(messages))
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// A certificate of `subject` as a gateway, by `issuer`.
fn renewed(issuer: &str, subject: &str) -> (Certificate, Certificate) {
    let key = identity(issuer);
    let validity = (at("2026-03-01T00:00:00Z"), at("2026-08-20T00:00:00Z"));
    let own = issuance::issue(
        &key,
        None,
        key.public(),
        CertificateRole::SelfIssuedGateway,
        validity,
    )
    .unwrap();
    let subject = identity(subject);
    let leaf = issuance::issue(
        &key,
        Some(&own),
        subject.public(),
        CertificateRole::Gateway,
        validity,
    )
    .unwrap();
    (leaf, own)
}

fn rotation(issuer: &str, subject: &str, form: PathForm) -> Vec<u8> {
    let (leaf, own) = renewed(issuer, subject);
    let path = CertificationPath {
        leaf,
        authorities: vec![own],
    };
    Rotation { path, form }.to_octets()
}

#[test]
fn messages_come_out_as_they_went_in_and_cargo_counts_once() {
    let env = Env::with_gateways();
    let parcel = env.parcel_with("bob", "alice", b"one", &["--id", "first"]);
    let pca = env.relay("ack").stdin(parcel.clone()).ok().stdout;
    env.write(
        "x.cargo",
        env.cargo("gateway", "hub", [&parcel[..], &pca].concat()),
    );
    env.mkdir("in");
    let ran = env
        .relay("unpack-cargo")
        .args(["-N", "hub", "-d", "in", "--json", "x.cargo"])
        .ok()
        .quiet()
        .changes(&[
            "*hub/sessions/GATEWAY/HEX.key",
            "+hub/peers/GATEWAY/session.pem",
            "+hub/seen/2026-03-31",
            "+in/ALICE.BOB.HEX.parcel",
            "+in/ALICE.BOB.HEX.pca",
        ]);
    let name = format!("in/{}.{}.{}", id("alice"), id("bob"), sha256(b"first"));
    assert_eq!(env.read(format!("{name}.parcel")), parcel);
    assert_eq!(env.read(format!("{name}.pca")), pca);
    let lines = ran.json();
    assert_eq!(
        keys_in(&lines[0]),
        [
            "v",
            "input",
            "index",
            "item",
            "path",
            "kind",
            "sender",
            "recipient",
            "id",
            "expiry",
            "size"
        ]
    );
    assert_eq!(
        (&lines[0]["kind"], &lines[0]["item"]),
        (&"parcel".into(), &1.into())
    );
    assert_eq!(
        (&lines[1]["kind"], &lines[1]["expiry"]),
        (&"pca".into(), &serde_json::Value::Null)
    );
    assert_eq!(lines[1]["path"], format!("{name}.pca"));

    env.relay("unpack-cargo")
        .args(["-N", "hub", "-d", "in", "x.cargo"])
        .fails(82, "x.cargo: already received");
    env.relay("unpack-cargo")
        .args(["-N", "hub", "-d", "in", "--again", "x.cargo"])
        .ok()
        .quiet()
        .changes(&[]);
    env.relay("unpack-cargo")
        .args(["-N", "hub", "--again", "--armor", "x.cargo"])
        .ok()
        .stdout(
            [("RELAYNET PARCEL", &parcel), ("RELAYNET PCA", &pca)]
                .map(|(label, octets)| relaynet::asn1::pem::encode(label, octets))
                .concat(),
        );
    env.relay("unpack-cargo")
        .args(["-N", "hub", "--json", "x.cargo"])
        .fails(64, "--json needs -d DIR or -o FILE");
}

#[test]
fn a_stream_of_cargo_becomes_a_stream_of_messages() {
    let env = Env::with_gateways();
    let parcels: Vec<Vec<u8>> = (0..3_u8)
        .map(|at| env.parcel("bob", "alice", &[at]))
        .collect();
    let cargoes: Vec<u8> = parcels
        .iter()
        .flat_map(|parcel| env.cargo("gateway", "hub", parcel.clone()))
        .collect();
    let ran = env
        .relay("unpack-cargo")
        .args(["-N", "hub", "-o", "out"])
        .stdin(cargoes)
        .ok()
        .quiet();
    assert_eq!(
        ran.changed()
            .iter()
            .filter(|line| line.contains("/seen/"))
            .count(),
        1
    );
    assert_eq!(env.read("out"), parcels.concat());
    env.relay("verify").args(["-N", "hub", "out"]).ok();
}

#[test]
fn who_may_send_cargo_and_to_whom() {
    let env = Env::with_gateways();
    let good = env.cargo("gateway", "hub", env.parcel("bob", "alice", b"x"));
    let unpack =
        |node: &str, cargo: &[u8]| env.relay("unpack-cargo").args(["-N", node]).stdin(cargo);
    unpack("mallory", &good).fails(67, "-: addressed to");
    unpack("alice", &good).fails(64, "alice is an endpoint, not a gateway");
    // A stranger, even at a gateway that takes parcels from anybody.
    let stranger = forged(&good, "carol", |cargo| {
        cargo.certificates = vec![self_issued("carol")];
    });
    unpack("hub", &stranger).fails(77, "-: ");
    // Under an authorization of somebody else, one that has ended, and one that is not valid yet.
    let with = |issuer: &str, from: &str, until: &str| {
        forged(&good, "gateway", |cargo| {
            let key = identity(issuer);
            let validity = (at(from), at(until));
            let leaf = issuance::issue(
                &key,
                None,
                identity("gateway").public(),
                CertificateRole::Gateway,
                validity,
            );
            cargo.certificates = vec![leaf.unwrap()];
        })
    };
    let (start, end) = ("2026-02-01T00:00:00Z", "2026-05-01T00:00:00Z");
    unpack("hub", &with("mallory", start, end)).fails(77, "-: ");
    unpack("hub", &with("hub", start, "2026-03-01T09:59:59Z")).fails(80, "-: certificate of");
    unpack("hub", &with("hub", "2026-03-01T14:00:01Z", end)).fails(81, "-: certificate of");
    // Sealed to a session key of somebody else.
    let for_mallory = env.cargo("mallory", "hub", env.parcel("bob", "alice", b"x"));
    let payload = SignedMessage::parse(for_mallory)
        .unwrap()
        .payload()
        .to_vec();
    let foreign = forged(&good, "gateway", |cargo| cargo.payload = payload);
    unpack("hub", &foreign).fails(67, "-: sealed to session key");
    unpack("hub", &good)
        .at("2026-04-02T00:00:00Z")
        .fails(80, "-: expired at");
    unpack("hub", &good)
        .at("2026-03-01T06:00:00Z")
        .fails(81, "-: dated in the future");
    let parcel = env.parcel("bob", "alice", b"x");
    unpack("hub", &parcel).fails(65, "-: a parcel, not a cargo");
    unpack("hub", b"").fails(66, "-: empty");
    let mut tampered = good.clone();
    tampered[500] ^= 1;
    unpack("hub", &tampered).fails(65, "-: ");
    unpack("hub", &good[..good.len() - 1]).fails(65, "-: cut short");
    unpack("hub", &good).ok();
}

#[test]
fn an_authorization_that_ended_lets_no_cargo_in() {
    let env = Env::with_gateways();
    env.write("x.cca", env.cca("gateway", "hub"));
    let ran = env
        .relay("pack-cargo")
        .args(["-q", "-N", "hub", "--cca", "x.cca"])
        .stdin(env.parcel("bob", "alice", b"x"))
        .ok();
    let unpack = || {
        env.relay("unpack-cargo")
            .args(["-N", "gateway"])
            .stdin(ran.stdout.clone())
    };
    unpack().at("2026-03-15T14:00:01Z").fails(80, "-: ");
    unpack().at("2026-03-15T13:00:00Z").ok();
}

#[test]
fn a_content_that_is_no_set_of_messages_is_refused_whole_like_any_decryption() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"x");
    let good = set(&[parcel.clone(), parcel.clone()]);
    let longer = [&[0x30, 0x83, 0xff, 0xff, 0xff], &good[4..]].concat();
    let mut lies = good.clone();
    let second = good.len() - parcel.len() - 2;
    lies[second] = lies[second].wrapping_add(1);
    let many = write::tlv(tag::SEQUENCE, &[tag::OCTET_STRING, 0].repeat(1_000_000));
    env.mkdir("in");
    for (what, plaintext) in [
        ("junk", b"junk".to_vec()),
        ("nothing", Vec::new()),
        ("a set that is longer than what is there", longer),
        ("an item that is", lies),
        ("octets after the set", [&good[..], b"x"].concat()),
        ("other values", write::tlv(tag::SEQUENCE, &[2, 1, 0])),
        (
            "constructed strings",
            write::tlv(tag::SEQUENCE, &[0x24, 3, 4, 1, 0]),
        ),
        ("a million messages", many),
    ] {
        let cargo = env.sealed("gateway", "hub", Kind::Cargo, &plaintext);
        println!("{what}");
        env.relay("unpack-cargo")
            .args(["-N", "hub", "-d", "in"])
            .stdin(cargo)
            .fails(65, "-: cannot be decrypted");
    }
}

#[test]
#[allow(clippy::too_many_lines)] // one story, told in order
fn a_bad_message_is_reported_and_the_rest_is_kept() {
    let env = Env::with_gateways();
    let good = env.parcel("bob", "alice", b"good");
    let mut tampered = good.clone();
    let last = tampered.len() - 5;
    tampered[last] ^= 1;
    let early = forged(&good, "bob", |parcel| {
        parcel.fields.date = at("2026-03-02T00:00:00Z");
    });
    let stranger = forged(&good, "carol", |parcel| {
        parcel.certificates = vec![self_issued("carol")];
    });
    let nested = env.cargo("gateway", "hub", good.clone());
    let long = vec![0; 8_322_039];
    let pca = env.relay("ack").stdin(good.clone()).ok().stdout;
    let cases: [(&str, Vec<u8>, i32, &str); 11] = [
        (
            "expired",
            env.parcel_with("bob", "alice", b"old", &["--ttl", "1h"]),
            80,
            "expired at",
        ),
        ("early", early, 81, "dated in the future"),
        ("tampered", tampered, 65, "bad signature"),
        ("stranger", stranger, 77, ""),
        ("nested", nested, 65, "cargo is not carried in cargo"),
        (
            "CCA",
            env.cca("gateway", "hub"),
            65,
            "CCA is not carried in cargo",
        ),
        (
            "too long",
            long,
            65,
            "message has 8322039 octets, over 8322038",
        ),
        ("PCA", pca[..pca.len() - 1].to_vec(), 65, "malformed PCA"),
        (
            "PDD",
            b"Awala\x12\0\x30\0".to_vec(),
            65,
            "malformed signed data",
        ),
        (
            "unknown",
            b"Awala\x99\0\x30\0".to_vec(),
            65,
            "not a Relaynet message",
        ),
        ("nothing", Vec::new(), 65, "not a Relaynet message"),
    ];
    let now = "2026-03-01T16:00:00Z";
    for (what, bad, status, text) in cases {
        println!("{what}");
        let items = if bad.len() > 1_000_000 {
            vec![bad]
        } else {
            vec![good.clone(), bad, pca.clone()]
        };
        let is_alone = items.len() == 1;
        env.write("x.cargo", cargo_of(&env, &items));
        let unpack = || {
            env.relay("unpack-cargo")
                .at(now)
                .args(["-N", "hub", "x.cargo"])
        };
        let ran = unpack().run();
        let item = if is_alone { 1 } else { 2 };
        let ran = ran.says(&[&format!("x.cargo: item {item}: {text}")]);
        let expected = if status == 81 { 75 } else { status };
        assert_eq!(ran.status, expected, "{what}: {}", ran.stderr);
        let kept = if is_alone {
            Vec::new()
        } else {
            [&good[..], &pca].concat()
        };
        let ran = ran.stdout(kept);
        // Only what another try may cure is tried again.
        let is_remembered = ran.changed().iter().any(|line| line.contains("hub/seen/"));
        assert_eq!(is_remembered, status != 81, "{what}");
        let again = unpack().run();
        assert_eq!(again.status, if status == 81 { 75 } else { 82 }, "{what}");
        std::fs::remove_dir_all(env.path("hub/seen")).unwrap();
        env.mkdir("hub/seen");
    }
}

#[test]
fn a_rotation_must_be_of_the_sender_and_for_us() {
    let env = Env::with_gateways();
    // Hub sends to gateway, in answer to a CCA of it.
    let cargo = |messages: &[Vec<u8>]| {
        env.write("x.cca", env.cca("gateway", "hub"));
        env.relay("pack-cargo")
            .args(["-q", "-N", "hub", "--cca", "x.cca"])
            .stdin(messages.concat())
            .ok()
            .stdout
    };
    let unpack = |cargo: Vec<u8>| {
        env.relay("unpack-cargo")
            .args(["-N", "gateway", "-d", "stick"])
            .stdin(cargo)
    };
    let both = [PathForm::OctetStrings, PathForm::Certificates]
        .map(|form| rotation("hub", "gateway", form));
    let ran = unpack(cargo(&both)).ok().quiet();
    let written: Vec<String> = ran
        .changed()
        .into_iter()
        .filter(|line| line.contains("stick"))
        .collect();
    assert_eq!(
        written,
        [
            "+stick/GATEWAY.HUB.HEX.rotation",
            "+stick/GATEWAY.HUB.HEX.rotation"
        ]
    );
    for form in [PathForm::OctetStrings, PathForm::Certificates] {
        let ran = unpack(cargo(&[rotation("hub", "mallory", form)])).run();
        assert_eq!(ran.says(&["-: item 1: made for"]).status, 67);
        let ran = unpack(cargo(&[rotation("mallory", "gateway", form)])).run();
        assert_eq!(
            ran.says(&["-: item 1: a rotation that the cargo's sender did not sign"])
                .status,
            77
        );
    }
}

#[test]
fn a_file_that_is_in_the_way_loses_no_message() {
    let env = Env::with_gateways();
    let one = env.parcel_with("bob", "alice", b"one", &["--id", "first"]);
    let two = env.parcel("bob", "alice", b"two");
    env.write(
        "x.cargo",
        env.cargo("gateway", "hub", [&one[..], &two].concat()),
    );
    env.mkdir("in");
    let stem = format!("{}.{}.{}", id("alice"), id("bob"), sha256(b"first"));
    let name = format!("in/{stem}.parcel");
    env.write(&name, "something else");
    let unpack = |options: &[&str]| {
        env.relay("unpack-cargo")
            .args(["-N", "hub", "-d", "in", "--json", "x.cargo"])
            .args(options)
    };
    // It is left, and the message has a name that nothing else can have.
    let ran = unpack(&[])
        .ok()
        .says(&[&format!("x.cargo: item 1: {name} is something else")]);
    assert_eq!(env.text(&name), "something else");
    assert_eq!(env.names("in").len(), 3);
    let beside = format!("in/{stem}.{}.parcel", &sha256(&one)[..32]);
    assert_eq!(env.read(&beside), one);
    assert_eq!(ran.json()[0]["path"], beside);
    unpack(&[]).fails(82, "x.cargo: already received");
    // In a run that is repeated the message lands on itself; with -f it has its own name.
    unpack(&["--again"]).ok().changes(&[]);
    unpack(&["--again", "-f"]).ok().quiet();
    assert_eq!(env.read(&name), one);

    // Where even that name is taken, the cargo is one for another run.
    env.write("y.cargo", env.cargo("gateway", "hub", &*one));
    env.write(&name, "something else");
    env.write(&beside, "something else");
    let unpack = || {
        env.relay("unpack-cargo")
            .args(["-N", "hub", "-d", "in", "y.cargo"])
    };
    unpack().fails(73, &format!("y.cargo: item 1: {beside}: already exists"));
    std::fs::remove_file(env.path(&name)).unwrap();
    unpack().ok().quiet();
    assert_eq!(env.read(&name), one);
}

#[test]
fn cargo_that_could_not_be_written_is_not_remembered() {
    let env = Env::with_gateways();
    env.write(
        "x.cargo",
        env.cargo("gateway", "hub", env.parcel("bob", "alice", b"x")),
    );
    env.relay("unpack-cargo")
        .args(["-N", "hub", "-d", "nowhere", "x.cargo"])
        .fails(73, "nowhere: ");
    let ran = env
        .relay("unpack-cargo")
        .args(["-N", "hub", "x.cargo"])
        .shell("", ">/dev/full")
        .run();
    assert_eq!(ran.status, 74, "{}", ran.stderr);
    env.relay("unpack-cargo")
        .args(["-N", "hub", "-d", "stick", "x.cargo"])
        .ok();
}

#[test]
fn sessions_advance_and_old_cargo_still_opens() {
    let env = Env::with_gateways();
    let time = |hour: u32| format!("2026-03-02T{hour:02}:00:00Z");
    let parcel = env.parcel("bob", "alice", b"x");
    let mut to_hub = Vec::new();
    let mut keys = Vec::new();
    for hour in 0..5 {
        let now = time(4 * hour);
        let run = |program: &str, node: &str, options: &[&str], stdin: &[u8]| {
            env.relay(program)
                .at(&now)
                .args(["-q", "-N", node])
                .args(options)
                .stdin(stdin)
                .ok()
                .stdout
        };
        let out = run("pack-cargo", "gateway", &["-t", "hub"], &parcel);
        let sealed = SignedMessage::parse(out.clone()).unwrap();
        let sealed = relaynet::session::Sealed::parse(sealed.payload()).unwrap();
        keys.push(sealed.recipient_key_id().to_string());
        to_hub.push(out.clone());
        if hour > 0 {
            run("unpack-cargo", "hub", &[], &out);
        }
        let cca = run("request-cargo", "gateway", &["-t", "hub"], b"");
        env.write("x.cca", cca);
        let back = run("pack-cargo", "hub", &["--cca", "x.cca"], &parcel);
        run("unpack-cargo", "gateway", &[], &back);
    }
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 5, "each answer brings a new key to seal to");
    env.relay("unpack-cargo")
        .at(&time(20))
        .args(["-N", "hub"])
        .stdin(to_hub.remove(0))
        .ok()
        .quiet()
        .stdout(parcel);
}

/// Two parcels with the same identity and other octets would have the same file.
#[test]
fn of_two_parcels_of_one_identity_both_are_kept_and_so_is_the_rest() {
    let env = Env::with_gateways();
    let parcel = |content: &[u8]| env.parcel_with("bob", "alice", content, &["--id", "same"]);
    let (one, two, three) = (parcel(b"one"), parcel(b"two"), parcel(b"three"));
    let other = env.parcel("bob", "alice", b"other");
    let items = [one, two.clone(), other, two, three];
    env.write("x.cargo", cargo_of(&env, &items));
    let unpack = || {
        env.relay("unpack-cargo")
            .args(["-N", "hub", "-d", "in", "x.cargo"])
    };
    for _ in 0..2 {
        env.mkdir("in");
        let is_else = |item: u8| format!("x.cargo: item {item}: in/{}.", id("alice"));
        let said = [2, 4, 5].map(is_else);
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        unpack().args(["--again"]).ok().says(&said);
        let mut kept: Vec<Vec<u8>> = env
            .names("in")
            .iter()
            .map(|name| env.read(format!("in/{name}")))
            .collect();
        let mut expected = items.to_vec();
        expected.remove(3);
        kept.sort();
        expected.sort();
        assert_eq!(kept, expected);
        std::fs::remove_dir_all(env.path("in")).unwrap();
    }
    env.mkdir("in");
    unpack().fails(82, "x.cargo: already received");
}

/// Runs with this fault where a file is created in `in`: that is said, once, and nothing changes.
#[cfg(debug_assertions)]
fn fails_to_create<'a>(call: impl Fn() -> Call<'a>, errno: &str, status: i32) {
    for step in 1..20 {
        let ran = call().var("RELAY_FAULT", format!("{errno}:{step}")).run();
        assert_ne!(ran.status, 0, "{errno}:{step}");
        if ran.stderr.contains("in/") && ran.stderr.contains(": cannot create: ") {
            assert_eq!(ran.status, status, "{}", ran.stderr);
            ran.says(&["in/"]).stdout("").changes(&[]);
            return;
        }
        ran.changes(&[]);
    }
    panic!("no file was created");
}

/// Nothing was written where this happened, and the next run said that all had been.
#[test]
#[cfg(debug_assertions)] // without them, programs take no faults
fn cargo_for_a_directory_that_cannot_be_written_is_for_another_run() {
    let env = Env::with_gateways();
    let parcels = [b"one", b"two"].map(|content| env.parcel("bob", "alice", content));
    env.write("x.cargo", env.cargo("gateway", "hub", parcels.concat()));
    env.mkdir("in");
    let unpack = || {
        env.relay("unpack-cargo")
            .args(["-N", "hub", "-d", "in", "x.cargo"])
    };
    for (errno, status) in [("EACCES", 73), ("EROFS", 73), ("EMFILE", 73), ("EIO", 74)] {
        fails_to_create(unpack, errno, status);
    }
    if !is_root("a directory without permission to write") {
        env.chmod("in", 0o555);
        unpack().fails(73, "in/");
        env.chmod("in", 0o755);
    }
    unpack().ok().quiet();
    let mut kept: Vec<Vec<u8>> = env
        .names("in")
        .iter()
        .map(|name| env.read(format!("in/{name}")))
        .collect();
    let mut expected = parcels.to_vec();
    kept.sort();
    expected.sort();
    assert_eq!(kept, expected);
}

#[test]
#[cfg(debug_assertions)] // without them, programs take no faults
fn what_an_output_fails_with_is_said_once() {
    let env = Env::with_gateways();
    let parcels: Vec<u8> = (0..40_u8)
        .flat_map(|at| env.parcel("bob", "alice", &[at]))
        .collect();
    env.write("x.parcels", &parcels);
    env.write("x.cargo", env.cargo("gateway", "hub", &*parcels));
    env.mkdir("in");
    for (program, input) in [("unpack-cargo", "x.cargo"), ("ack", "x.parcels")] {
        let run = |options: &[&str], redirection: &str| {
            let node = (program == "unpack-cargo").then_some(["-N", "hub"]);
            env.relay(program)
                .args(node.into_iter().flatten())
                .args(options)
                .arg(input)
                .shell("", redirection)
        };
        run(&["-o", "/proc/nosuch/x"], "").fails(73, "/proc/nosuch/x: cannot create");
        run(&["-o", "nosuch/x"], "").fails(73, "nosuch/x: cannot create");
        run(&["-o", "/dev/full"], "").fails(74, "/dev/full: cannot write");
        run(&[], ">/dev/full").fails(74, "cannot write");
        fails_to_create(|| run(&["-d", "in"], ""), "EACCES", 73);
    }
    env.relay("unpack-cargo")
        .args(["-N", "hub", "-o", "out", "x.cargo"])
        .ok()
        .quiet();
    assert_eq!(env.read("out"), parcels);
}

#[test]
fn the_first_of_many_bad_messages_are_said_and_the_others_counted() {
    let env = Env::with_gateways();
    let good = env.parcel("bob", "alice", b"good");
    let mut items = vec![b"junk".to_vec(); 2000];
    items.push(good.clone());
    env.write("x.cargo", cargo_of(&env, &items));
    let ran = env
        .relay("unpack-cargo")
        .args(["-N", "hub", "--status-fd", "3", "x.cargo"])
        .shell("", "3>status")
        .run();
    assert_eq!((ran.status, &ran.stdout), (65, &good));
    let said = ran.diagnostics();
    assert_eq!(said.len(), 21, "{}", ran.stderr);
    assert!(said[19].starts_with("x.cargo: item 20: "), "{said:#?}");
    assert_eq!(said[20], "x.cargo: 1980 more messages in it are bad");
    assert_eq!(statuses(&env).len(), 2001);
    // As many as are said are not counted.
    env.write("y.cargo", cargo_of(&env, &items[1980..]));
    let ran = env
        .relay("unpack-cargo")
        .args(["-N", "hub", "y.cargo"])
        .run();
    assert_eq!(ran.diagnostics().len(), 20, "{}", ran.stderr);
}

/// What was written to `status`: the input, its index and the status.
fn statuses(env: &Env) -> Vec<String> {
    let lines = json_lines(&env.text("status")).into_iter();
    lines
        .map(|line| {
            let input = line["input"].as_str().unwrap();
            format!("{input} {} {}", line["index"], line["status"])
        })
        .collect()
}

/// A script that removes what has status 0 would have lost it.
#[test]
#[cfg(debug_assertions)] // without them, programs take no faults
fn a_status_is_told_when_it_is_so() {
    let env = Env::with_gateways();
    let parcels = [b"one", b"two"].map(|content| env.parcel("bob", "alice", content));
    let cargoes = parcels
        .clone()
        .map(|parcel| env.cargo("gateway", "hub", parcel));
    env.write("x", cargoes.concat());
    env.mkdir("kept");
    copy_tree(&env.path("hub"), &env.path("kept"));
    for options in [["-o", "out"], ["-d", "in"]] {
        let mut step = 1;
        loop {
            for dir in ["hub", "in"] {
                std::fs::remove_dir_all(env.path(dir)).ok();
                env.mkdir(dir);
            }
            std::fs::remove_file(env.path("out")).ok();
            copy_tree(&env.path("kept"), &env.path("hub"));
            let fault = format!("EIO:{step}");
            let ran = env
                .relay("unpack-cargo")
                .args(["-N", "hub", "--status-fd", "3", "x"])
                .args(options)
                .shell("", "3>status")
                .var("RELAY_FAULT", &fault)
                .run();
            let told = statuses(&env);
            let mut kept = std::fs::read(env.path("out")).unwrap_or_default();
            for name in env.names("in") {
                kept.extend(env.read(format!("in/{name}")));
            }
            for (at, parcel) in parcels.iter().enumerate() {
                let is_kept = kept.windows(parcel.len()).any(|part| part == parcel);
                let is_told = told.contains(&format!("x {} 0", at + 1));
                assert!(is_kept || !is_told, "{options:?} {fault}: {told:?}");
            }
            if ran.status == 0 {
                assert_eq!(told, ["x 1 0", "x 2 0"]);
                break;
            }
            assert!([74, 75].contains(&ran.status), "{fault}: {}", ran.stderr);
            // What the run did not get to has no line; of what it did, one tells why not.
            assert!(
                told.iter().any(|line| line.ends_with(" 74")),
                "{fault}: {told:?}"
            );
            step += 1;
        }
        assert!(step > 5, "{options:?}: {step}");
    }
}

#[test]
fn cargo_that_is_left_for_another_run_is_not_told_to_be_done() {
    let env = Env::with_gateways();
    let good = env.parcel("bob", "alice", b"good");
    let early = dated(&good, "2026-03-02T00:00:00Z");
    for (item, expected) in [
        (early, ["x 1 81", "x 1 75"]),
        (b"junk".to_vec(), ["x 1 65", "x 1 0"]),
    ] {
        env.write("x", cargo_of(&env, &[good.clone(), item]));
        env.relay("unpack-cargo")
            .args(["-N", "hub", "--status-fd", "3", "x"])
            .shell("", "3>status")
            .run();
        assert_eq!(statuses(&env), expected);
    }
}

/// The same parcel with another date.
fn dated(parcel: &[u8], date: &str) -> Vec<u8> {
    forged(parcel, "bob", |parcel| parcel.fields.date = at(date))
}

/// It was tried again until the cargo was gone.
#[test]
fn an_item_that_is_dated_after_the_end_of_its_cargo_is_bad_for_ever() {
    let env = Env::with_gateways();
    let good = env.parcel("bob", "alice", b"good");
    // The cargo lives to 10:00 on the second.
    for (date, first, second) in [
        ("2026-03-02T09:00:00Z", 75, 75),
        ("2026-03-02T10:00:01Z", 65, 82),
        ("2027-01-01T00:00:00Z", 65, 82),
    ] {
        let items = [good.clone(), dated(&good, date)];
        env.write("x.cargo", cargo_of(&env, &items));
        let unpack = || {
            env.relay("unpack-cargo")
                .args(["-N", "hub", "x.cargo"])
                .run()
        };
        let ran = unpack();
        assert_eq!(ran.status, first, "{date}: {}", ran.stderr);
        ran.says(&["x.cargo: item 2: dated "]);
        assert_eq!(unpack().status, second, "{date}");
    }
}

#[test]
fn the_same_cargo_twice_in_one_run_comes_out_once() {
    let env = Env::with_gateways();
    let parcels = [b"one", b"two"].map(|content| env.parcel("bob", "alice", content));
    for (at, parcel) in parcels.iter().enumerate() {
        env.write(format!("{at}"), env.cargo("gateway", "hub", parcel.clone()));
    }
    env.relay("unpack-cargo")
        .args(["-N", "hub", "-o", "out", "0", "1", "0"])
        .ok()
        .says(&["0: already received"]);
    assert_eq!(env.read("out"), parcels.concat());
}
