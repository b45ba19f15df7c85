//! Parcels that were cut, changed or made to do harm: refused, with nothing written.

use relaynet::asn1::Element;
use relaynet::asn1::write::{constructed, tlv};
use relaynet::cli::status::{self, Status};
use relaynet::message::Parcel;
use relaynet::message::file_name::is_harmful;
use relaynet::message::stream::Stream;
use relaynet::node::{Directory, Keyring as _};
use relaynet::pki::Window;
use relaynet::ramf::{SignedMessage, Valid};

use crate::testenv::{Env, NOW, copy_tree, forged, id, identity, self_issued};

/// What relay-open does with these octets until it decrypts them, without the cost of a process.
fn admit(node: &Directory, octets: &[u8]) -> Result<SignedMessage, Status> {
    let drift = jiff::SignedDuration::from_hours(2);
    let window = Window::new(NOW.parse().unwrap(), drift);
    let octets = match Stream::new(octets).next_message() {
        None => return Err(Status::NO_INPUT),
        Some(Err(error)) => return Err(status::status(&error.into())),
        Some(Ok(octets)) => octets,
    };
    let admitted = || -> Result<SignedMessage, relaynet::node::Error> {
        let message = Parcel::parse(octets.clone())?.into_message();
        node.admit(Valid::check(message, &window)?, &window)?;
        Ok(Parcel::parse(octets)?.into_message())
    };
    admitted().map_err(|error| status::status(&error.into()))
}

#[test]
fn a_parcel_cut_at_any_length_is_refused() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let node = Directory::open(&env.path("alice")).unwrap();
    let before = env.tree();
    for len in 0..parcel.len() {
        let expected = if len == 0 {
            Status::NO_INPUT
        } else {
            Status::DATA
        };
        assert_eq!(admit(&node, &parcel[..len]).err(), Some(expected), "{len}");
    }
    assert!(admit(&node, &parcel).is_ok());
    assert_eq!(env.tree(), before);

    env.relay("open")
        .args(["-N", "alice"])
        .fails(66, "-: empty");
    for len in [
        1,
        5,
        6,
        7,
        8,
        9,
        11,
        100,
        parcel.len() / 2,
        parcel.len() - 1,
    ] {
        env.relay("open")
            .args(["-N", "alice"])
            .stdin(&parcel[..len])
            .fails(65, "-: ");
    }
}

/// Some octets are not signed: the order of certificates, say. Whatever is accepted has the same
/// content.
#[test]
fn a_parcel_with_any_bit_changed_is_refused_or_the_same() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let node = Directory::open(&env.path("alice")).unwrap();
    let before = env.tree();
    let message = SignedMessage::parse(parcel.clone()).unwrap();
    let mut accepted = Vec::new();
    let mut changed = parcel.clone();
    for at in 0..parcel.len() {
        changed[at] ^= 1 << (at % 8);
        match admit(&node, &changed) {
            Ok(admitted) => {
                assert_eq!(admitted.fields(), message.fields(), "{at}");
                assert!(admitted.payload() == message.payload(), "{at}");
                accepted.push(at);
            }
            Err(status) => assert!(
                [
                    Status::DATA,
                    Status::NO_PERMISSION,
                    Status::EXPIRED,
                    Status::EARLY
                ]
                .contains(&status),
                "{at}: {status:?}"
            ),
        }
        changed[at] = parcel[at];
    }
    // Nothing that the sender or its issuer signed.
    for signed in [message.payload(), message.sender_certificate().octets()] {
        let start = parcel
            .windows(signed.len())
            .position(|octets| octets == signed)
            .unwrap();
        let signed = start..start + signed.len();
        accepted.retain(|at| {
            assert!(!signed.contains(at), "{at} of {signed:?}");
            true
        });
    }
    assert_eq!(env.tree(), before);

    for at in [0, 5, 6, 8, 200, parcel.len() - 1] {
        let mut changed = parcel.clone();
        changed[at] ^= 0x10;
        env.relay("open")
            .args(["-N", "alice", "-o", "out"])
            .stdin(changed)
            .fails(65, "-: ");
    }
}

const PARCEL: &[u8] = b"AwalaP\x00";

fn refused(octets: impl AsRef<[u8]>, text: &str) {
    let env = Env::with_peers();
    for program in ["open", "verify", "inspect"] {
        let mut call = env.relay(program).arg("hostile");
        if program == "open" {
            call = call.args(["-N", "alice", "-o", "out"]);
        }
        if env.names(".").iter().all(|name| name != "hostile") {
            env.write("hostile", &octets);
        }
        call.fails(65, text);
    }
}

#[test]
fn values_nested_ten_thousand_deep() {
    refused([PARCEL, &b"\x30\x80".repeat(10_000)].concat(), "hostile: ");
}

#[test]
fn values_nested_ten_thousand_deep_and_ended() {
    let octets = [PARCEL, &b"\x30\x80".repeat(10_000), &b"\0\0".repeat(10_000)].concat();
    refused(octets, "hostile: ");
}

#[test]
fn strings_nested_ten_thousand_deep_in_signed_data() {
    let deep = [
        &b"\x24\x80".repeat(10_000)[..],
        b"\x04\x00",
        &b"\0\0".repeat(10_000),
    ]
    .concat();
    refused([PARCEL, &signed_data_around(&deep)].concat(), "hostile: ");
}

#[test]
fn lengths_of_four_gibibytes() {
    for length in [
        &b"\x84\xff\xff\xff\xff"[..],
        b"\x84\x7f\xff\xff\xff",
        b"\x88\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x88\x00\x00\x00\x01\x00\x00\x00\x00",
        b"\xff",
    ] {
        refused([PARCEL, b"\x30", length, b"\x06\x09"].concat(), "hostile: ");
    }
}

#[test]
fn inner_lengths_of_four_gibibytes() {
    let inner = [&b"\x04\x84\xff\xff\xff\xff"[..], &[0; 100]].concat();
    refused([PARCEL, &tlv(0x30, &inner)].concat(), "hostile: ");
}

/// A ContentInfo with SignedData whose content is `content`, and without signers.
fn signed_data_around(content: &[u8]) -> Vec<u8> {
    const SIGNED_DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
    const DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    let encapsulated = tlv(0x30, &[DATA, &tlv(0xa0, content)].concat());
    let signed = tlv(
        0x30,
        &[b"\x02\x01\x01\x31\x00", &encapsulated[..], b"\x31\x00"].concat(),
    );
    tlv(0x30, &[SIGNED_DATA, &tlv(0xa0, &signed)].concat())
}

#[test]
fn four_million_empty_segments() {
    let segments = [&b"\x24\x80"[..], &b"\x04\x00".repeat(4_000_000), b"\0\0"].concat();
    refused(
        [PARCEL, &signed_data_around(&segments)].concat(),
        "hostile: ",
    );
}

/// The same in a parcel that is right otherwise: the content is joined from its segments.
#[test]
fn a_right_parcel_in_a_million_segments_is_opened() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let info = Element::der(&parcel[7..], 0x30).unwrap();
    let mut fields = info.children();
    let oid = fields.take(0x06).unwrap();
    let explicit = fields.take(0xa0).unwrap();
    let signed = explicit.children().take(0x30).unwrap();
    let mut children = signed.children();
    let version = children.take(0x02).unwrap();
    let digests = children.take(0x31).unwrap();
    let encapsulated = children.take(0x30).unwrap();
    let rest = children.rest();
    let mut inner = encapsulated.children();
    let data = inner.take(0x06).unwrap();
    let octets = inner.take(0xa0).unwrap().children().take(0x04).unwrap();
    let segments: Vec<u8> = [&b"\x04\x00".repeat(1_000_000)[..], octets.whole()].concat();
    let segmented = tlv(0x24, &segments);
    let encapsulated = constructed(0x30, &[data.whole(), &tlv(0xa0, &segmented)]);
    let signed = constructed(
        0x30,
        &[version.whole(), digests.whole(), &encapsulated, rest],
    );
    let info = constructed(0x30, &[oid.whole(), &tlv(0xa0, &signed)]);
    env.relay("open")
        .args(["-N", "alice"])
        .stdin([PARCEL, &info].concat())
        .ok()
        .quiet()
        .stdout("content")
        .changes_outside_nodes(&[]);
}

#[test]
fn messages_over_the_limit() {
    // Its length says so.
    refused(
        [PARCEL, b"\x30\x84\x00\x90\x00\x01"].concat(),
        "hostile: message has 9437185 octets, over 9437184",
    );
    // It does not end.
    let endless = [&b"\x30\x80"[..], &tlv(0x04, &vec![0; 1 << 20]).repeat(10)].concat();
    refused([PARCEL, &endless].concat(), "hostile: message has ");
}

#[test]
fn what_is_no_message() {
    for (octets, text) in [
        (&b"\0"[..], "hostile: "),
        (b"Awal", "hostile: "),
        (b"Awala", "hostile: "),
        (b"AwalaP", "hostile: "),
        (b"AwalaP\x01\x30\x00", "hostile: "),
        (b"AwalaZ\x00\x30\x00", "hostile: "),
        (b"AwalaP\x00\x30\x00", "hostile: "),
        (b"AwalaP\x00\x00", "hostile: "),
        (b"hello", "hostile: "),
        (
            b"-----BEGIN RELAYNET PARCEL-----\n!!!!\n-----END RELAYNET PARCEL-----\n",
            "hostile: ",
        ),
        (
            b"-----BEGIN RELAYNET PARCEL-----\nQXdhbGFQAA==\n",
            "hostile: ",
        ),
    ] {
        refused(octets, text);
    }
}

#[test]
fn the_former_format_is_named() {
    let env = Env::with_peers();
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(b"RelaynetP\x00\x30\x00")
        .fails(65, "-: ")
        .says_somewhere("Relaynet");
}

#[test]
fn endless_input_is_refused_soon() {
    let env = Env::with_peers();
    for program in ["open", "verify", "inspect"] {
        let call = env.relay(program).arg("/dev/zero");
        let call = if program == "open" {
            call.args(["-N", "alice"])
        } else {
            call
        };
        call.fails(65, "/dev/zero: ");
    }
    env.relay("import")
        .args(["-N", "alice", "/dev/zero"])
        .fails(65, "/dev/zero: ");
    env.relay("authorize")
        .args(["-N", "alice", "/dev/zero"])
        .fails(65, "/dev/zero: ");
    env.relay("seal")
        .args(["-N", "bob", "-t", "alice", "/dev/zero"])
        .fails(65, "/dev/zero: ");
}

#[test]
fn a_message_of_another_kind() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let cargo = forged(&parcel, "bob", |message| {
        message.kind = relaynet::ramf::Kind::Cargo;
    });
    env.relay("open")
        .args(["-N", "alice", "-o", "out"])
        .stdin(cargo)
        .fails(65, "-: ");
    // Only the format signature was changed: it is not signed, so nothing else tells.
    let mut renamed = parcel;
    renamed[5] = b'C';
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(renamed)
        .fails(65, "-: ");
}

#[test]
fn a_signature_by_another_key() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let forged = forged(&parcel, "mallory", |_| {});
    env.relay("open")
        .args(["-N", "alice", "-o", "out"])
        .stdin(&*forged)
        .fails(65, "-: bad signature");
    env.relay("verify")
        .stdin(forged)
        .fails(65, "-: bad signature");
}

#[test]
fn a_sender_whom_nobody_authorized() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let forged = forged(&parcel, "mallory", |message| {
        message.certificates = vec![self_issued("mallory")];
    });
    env.relay("open")
        .args(["-N", "alice", "-o", "out"])
        .stdin(forged)
        .fails(77, "-: ");
}

/// A certificate of Alice's authorizes Bob, but Mallory signed, with Alice's certificate in tow.
#[test]
fn a_recipients_certificate_in_tow_authorizes_nobody() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let forged = forged(&parcel, "mallory", |message| {
        message.certificates.insert(0, self_issued("mallory"));
    });
    env.relay("open")
        .args(["-N", "alice", "-o", "out"])
        .stdin(forged)
        .fails(77, "-: ");
}

#[test]
fn a_parcel_for_somebody_else() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    env.relay("open")
        .args(["-N", "carol", "-o", "out"])
        .stdin(&*parcel)
        .fails(67, &format!("-: addressed to {}", id("alice")));
    // Readdressed by an authorized sender of somebody else.
    let forged = forged(&parcel, "bob", |message| {
        message.fields.recipient = identity("carol").id();
    });
    env.relay("open")
        .args(["-N", "carol", "-o", "out"])
        .stdin(forged)
        .fails(77, "-: ");
}

#[test]
fn a_point_off_the_curve() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let forged = forged(&parcel, "bob", |message| {
        let start = message
            .payload
            .windows(4)
            .position(|octets| octets == b"\x03\x42\x00\x04")
            .expect("an uncompressed point of P-256");
        message.payload[start + 4 + 63] ^= 1;
    });
    env.relay("open")
        .args(["-N", "alice", "-o", "out"])
        .stdin(forged)
        .fails(65, "-: ");
}

/// Whatever fails from key agreement to the parsed plaintext fails alike.
#[test]
fn every_failure_of_decryption_is_the_same() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let message = SignedMessage::parse(parcel.clone()).unwrap();
    let payload = message.payload();
    let info = Element::der(payload, 0x30).unwrap();
    let mut info = info.children();
    info.take(0x06).unwrap();
    let enveloped = info.take(0xa0).unwrap().children().take(0x30).unwrap();
    let mut enveloped = enveloped.children();
    enveloped.take(0x02).unwrap();
    let recipients = enveloped.take(0x31).unwrap();
    let encrypted = enveloped.take(0x30).unwrap();
    let end_of = |part: &[u8]| {
        let start = payload
            .windows(part.len())
            .position(|octets| octets == part);
        start.unwrap() + part.len()
    };
    let key_end = end_of(recipients.whole());
    let end = end_of(encrypted.whole());
    // The wrapped key, the padding, the last block and the first.
    let texts: Vec<String> = [key_end - 1, key_end - 24, end - 17, end - 1, end - 48]
        .into_iter()
        .map(|at| {
            let forged = forged(&parcel, "bob", |message| {
                message.payload[at] ^= 0x80;
            });
            let ran = env
                .relay("open")
                .args(["-N", "alice"])
                .stdin(forged)
                .fails(65, "-: ");
            ran.diagnostics().concat()
        })
        .collect();
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");

    let keys = env.keys("carol");
    let first = env
        .relay("inspect")
        .arg("--json")
        .stdin(&*parcel)
        .ok()
        .json();
    let key_id = first[0]["payload"]["recipient_key_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let ran = env
        .relay("open")
        .args(["--any-sender", "--session-key", &keys.session])
        .args(["--session-key-id", &key_id])
        .stdin(parcel)
        .fails(65, "-: ");
    assert_eq!(ran.diagnostics().concat(), texts[0], "a wrong key, too");
}

/// Unknown, deleted and another peer's: 67 with the same words.
#[test]
fn a_session_key_that_is_not_known() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let facts = env
        .relay("inspect")
        .arg("--json")
        .stdin(&*parcel)
        .ok()
        .json();
    let key_id = facts[0]["payload"]["recipient_key_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let expected = format!("-: sealed to session key {key_id}, which is not known here");

    // Another peer's: Carol seals to the key that Alice gave Bob.
    let session_key = env.text(format!("bob/peers/{}/session.pem", id("alice")));
    let path = format!("carol/peers/{}/session.pem", id("alice"));
    env.write(path, session_key);
    let stolen = env.parcel("carol", "alice", b"content");
    env.relay("open")
        .args(["-N", "alice", "-o", "out"])
        .stdin(stolen)
        .fails(67, &expected);

    // Deleted.
    std::fs::remove_file(env.path(format!("alice/sessions/{}/{key_id}.key", id("bob")))).unwrap();
    env.relay("open")
        .args(["-N", "alice", "-o", "out"])
        .stdin(parcel)
        .fails(67, &expected);
}

/// What nobody could be told in an environment, and what the bounds are on both sides of.
fn odd_types() -> [(String, bool); 6] {
    [
        (";".repeat(65_536), false),
        (format!("text/plain; x=\"{}\"", "y".repeat(60_000)), false),
        (
            format!("text/plain; name=\"{}\"", "n".repeat(60_000)),
            false,
        ),
        (";name".repeat(13_000), false),
        ("t".repeat(256), false),
        ("t".repeat(255), true),
    ]
}

/// relay-deliver: a media type that no system lets a command have is the message's failure. Before, every run ended
/// with 69 (Argument list too long), and no parcel was named.
#[test]
fn a_media_type_without_bound_is_set_aside() {
    for destination in [
        &["--dir", "inbox"][..],
        &[
            "--no-join",
            "--",
            "sh",
            "-c",
            "cat >>got; printf %s \"$RELAY_TYPE\" >type",
        ],
        &[
            "--",
            "sh",
            "-c",
            "cat >>got; printf %s \"$RELAY_TYPE\" >type",
        ],
        &["-y", "text/other", "--dir", "inbox"],
    ] {
        let env = Env::with_peers();
        env.mkdir("inbox");
        let arrive = |parcel: Vec<u8>| {
            env.relay("put").args(["-N", "alice"]).stdin(parcel).ok();
            env.relay("route").args(["-N", "alice"]).ok().quiet();
        };
        for (media_type, _) in odd_types() {
            arrive(env.parcel_of_type("bob", "alice", &media_type, b"odd"));
        }
        arrive(env.parcel_with("bob", "alice", b"good", &["-y", "text/good"]));
        let deliver = || env.relay("deliver").args(["-N", "alice"]).args(destination);
        let ran = deliver().ok();
        let said = ran.diagnostics();
        assert_eq!(said.len(), 5, "{said:?}");
        for line in said {
            assert!(
                line.contains(
                    " from bob to this node: set aside in failed: it has a media type of "
                ),
                "{line}"
            );
        }
        assert_eq!(env.names("alice/spool/failed").len(), 10);
        if destination[0] == "--" || destination[0] == "--no-join" {
            assert_eq!(env.text("got").len(), "goododd".len());
        }
        deliver().ok().quiet();
        // Who wants to see it all the same opens it by hand, since nothing is run.
        let failed = env.names("alice/spool/failed");
        let aside = failed.iter().find(|name| name.ends_with(".parcel"));
        let aside = format!("alice/spool/failed/{}", aside.unwrap());
        let open = env
            .relay("open")
            .args(["-N", "alice", "-d", "inbox", "--json"]);
        let told = open.args(["--keep-name", &aside]).ok().quiet();
        assert!(told.stdout.len() < 70_000);
    }
}

/// Names of files, of parts and of senders reach a terminal through JSON as well.
#[test]
fn lines_of_json_change_no_terminal() {
    let env = Env::with_peers();
    let name = "a\u{9b}31m\u{202e}b\u{e0041}\u{7f}";
    let dir = format!("dir{name}");
    env.mkdir(&dir);
    let parcel = env.parcel("bob", "alice", b"content");
    env.write(format!("{dir}/{name}"), &parcel);
    env.write(format!("{dir}/no"), "no message");
    let input = format!("{dir}/{name}");
    let split = env
        .relay("split")
        .args(["--name", "whole"])
        .stdin("content");
    env.write(format!("{dir}/parts"), split.ok().stdout);
    let parts = format!("{dir}/parts");
    let node = format!("{dir}/alice");
    env.mkdir(&node);
    copy_tree(&env.path("alice"), &env.path(&node));
    let harmful = |text: &str| text.chars().any(|it| it != '\n' && is_harmful(it));
    for args in [
        vec!["verify", "--json", &input],
        vec!["verify", "--json", "--status-fd", "1", &input],
        vec!["inspect", "--json", &input],
        vec!["open", "-N", "alice", "--json", "-d", &dir, &input],
        vec!["join", "--json", "-d", &dir, &parts],
        vec!["put", "-N", &node, "--json", &input],
        vec!["list", "-N", &node, "--json"],
        vec!["check", "-N", &node, "--json"],
        vec!["route", "-N", &node, "-n", "--json"],
        vec!["deliver", "-N", &node, "-n", "--json"],
        vec!["purge", "-N", &node, "-n", "--json"],
    ] {
        let ran = env.relay(args[0]).args(&args[1..]).run();
        let text = ran.text();
        assert!(!harmful(text), "{args:?}: {text:?}");
        for line in ran.json() {
            if let Some(read) = line["input"].as_str().filter(|_| args[0] != "join") {
                assert_eq!(read, input, "{args:?}");
            }
        }
    }
    let listed = env.relay("list").args(["-N", &node, "--json"]).ok();
    assert!(listed.text().contains("\\u009b"), "{}", listed.text());
}
