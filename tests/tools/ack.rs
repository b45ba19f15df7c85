//! relay-ack: parcels to acknowledgements.

use relaynet::asn1::pem;

use crate::testenv::{Env, id, sha256};

/// Octets as wire-format has them: a format signature, then three strings in a sequence.
fn expected(sender: &str, recipient: &str, parcel: &str) -> Vec<u8> {
    let text = |tag: u8, text: &str| {
        let len = u8::try_from(text.len()).unwrap();
        [&[tag, len], text.as_bytes()].concat()
    };
    let fields = [
        text(0x80, sender),
        text(0x81, recipient),
        text(0x82, parcel),
    ]
    .concat();
    let len = u8::try_from(fields.len()).unwrap();
    [b"AwalaQ\0\x30\x81".as_slice(), &[len], &fields].concat()
}

#[test]
fn each_parcel_is_acknowledged() {
    let env = Env::with_peers();
    let one = env.parcel_with("bob", "alice", b"one", &["--id", "first"]);
    let two = env.parcel_with("carol", "alice", b"two", &["--id", "second"]);
    let pcas = [
        expected(&id("bob"), &id("alice"), "first"),
        expected(&id("carol"), &id("alice"), "second"),
    ];
    env.relay("ack")
        .stdin([one.clone(), two.clone()].concat())
        .ok()
        .quiet()
        .stdout(pcas.concat())
        .changes(&[]);

    env.write("two.parcel", &two);
    env.mkdir("out");
    env.relay("ack")
        .args(["-d", "out", "two.parcel"])
        .ok()
        .quiet()
        .changes(&["+out/ALICE.CAROL.HEX.pca"]);
    let name = format!("{}.{}.{}.pca", id("alice"), id("carol"), sha256(b"second"));
    assert_eq!(env.read(format!("out/{name}")), pcas[1]);

    // What is in the way of cargo's messages is passed over.
    env.relay("ack")
        .stdin([pcas[0].clone(), one.clone(), pcas[1].clone()].concat())
        .ok()
        .quiet()
        .stdout(&pcas[0]);
    let armored = env.relay("ack").arg("--armor").stdin(one).ok();
    assert_eq!(armored.text(), pem::encode("RELAYNET PCA", &pcas[0]));
}

#[test]
fn a_parcel_that_expired_is_acknowledged_all_the_same() {
    let env = Env::with_peers();
    let parcel = env.parcel_with("bob", "alice", b"old", &["--ttl", "1h"]);
    env.relay("ack").at_any_time().stdin(parcel).ok().quiet();
}

#[test]
fn what_is_no_good_parcel_is_not_acknowledged() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"content");
    let cargo = env.cargo("gateway", "hub", parcel.clone());
    env.relay("ack")
        .stdin(cargo.clone())
        .fails(65, "-: a cargo, not a parcel");
    let mut forged = parcel.clone();
    let at = forged.len() - 10;
    forged[at] ^= 1;
    env.relay("ack")
        .stdin(forged.clone())
        .fails(65, "-: bad signature");
    env.relay("ack").fails(66, "-: empty");
    env.relay("ack")
        .arg("--allow-empty")
        .ok()
        .quiet()
        .stdout("");
    env.relay("ack").args(["-N", "hub"]).fails(64, "");

    let ran = env
        .relay("ack")
        .stdin([forged, parcel.clone(), cargo].concat())
        .run();
    let ran = ran.says(&["-[1]: bad signature", "-[3]: "]);
    assert_eq!(ran.status, 65);
    let good = env.relay("ack").stdin(parcel).ok().stdout;
    assert_eq!(ran.stdout, good);
}

#[test]
fn no_file_is_made_of_nothing() {
    let env = Env::with_peers();
    env.relay("ack")
        .args(["-o", "out"])
        .stdin("junk")
        .fails(65, "-: ");
    env.write("out", "mine");
    let parcel = env.parcel("bob", "alice", b"content");
    env.relay("ack")
        .args(["-o", "out"])
        .stdin(parcel.clone())
        .fails(73, "out: already exists");
    env.relay("ack")
        .args(["-f", "-o", "out"])
        .stdin(parcel)
        .ok()
        .changes(&["*out"]);
    env.relay("ack")
        .args(["-d", "nowhere"])
        .stdin("junk")
        .fails(73, "nowhere: ");
}
