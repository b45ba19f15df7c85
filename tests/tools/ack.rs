//! relay-ack: parcels to acknowledgements.

use relaynet::asn1::pem;

use crate::testenv::{Env, id, json_lines, sha256};

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

#[test]
fn a_directory_is_no_stream_of_parcels() {
    let env = Env::with_peers();
    env.mkdir("queue");
    let ran = env
        .relay("ack")
        .arg("queue")
        .fails(66, "queue: cannot open: Is a directory");
    assert_eq!(ran.hints(), ["name the files in it"]);
}

/// A script that removes what has status 0 would have lost it.
#[test]
#[cfg(debug_assertions)] // without them, programs take no faults
fn a_status_is_told_when_the_acknowledgement_is_where_it_belongs() {
    let env = Env::with_peers();
    let parcels = [b"one", b"two"].map(|content| env.parcel("bob", "alice", content));
    env.write("x", parcels.concat());
    env.mkdir("in");
    for options in [["-o", "out"], ["-d", "in"]] {
        for step in 1.. {
            let ran = env
                .relay("ack")
                .args(["--status-fd", "3", "x"])
                .args(options)
                .shell("", "3>status")
                .var("RELAY_FAULT", format!("EIO:{step}"))
                .run();
            let told: Vec<_> = json_lines(&env.text("status"))
                .iter()
                .map(|line| line["status"].as_u64().unwrap())
                .collect();
            if ran.status == 0 {
                assert_eq!(told, [0, 0]);
                break;
            }
            assert_eq!(ran.status, 74, "{}", ran.stderr);
            assert!(told.iter().all(|status| *status == 74), "{step}: {told:?}");
            assert_eq!(ran.diagnostics().len(), 1, "{}", ran.stderr);
        }
    }
}

/// Another writer to the descriptor wrote over the lines.
#[test]
fn status_lines_stay_where_others_write_too() {
    let env = Env::with_peers();
    env.write("x", env.parcel("bob", "alice", b"x"));
    env.relay("ack")
        .args(["-o", "out", "--status-fd", "3", "x"])
        .shell(
            "exec 3>status; echo before >&3; \"$0\" \"$@\" || exit; echo after >&3; exit 0",
            "",
        )
        .ok();
    let text = env.text("status");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[2]), (3, "before", "after"));
    assert_eq!(json_lines(lines[1])[0]["status"], 0);
    // One that is only read from is no place for them.
    env.relay("ack")
        .args(["--status-fd", "3", "x"])
        .shell("", "3<x")
        .fails(64, "file descriptor 3 is not open for writing");
    // A socket or pipe has no name to be opened by.
    let ran = env
        .relay("ack")
        .args(["-f", "-o", "out", "--status-fd", "1", "x"])
        .ok();
    assert_eq!(ran.json()[0]["status"], 0);
}
