//! Bugs that were found and fixed, each under the name of what went wrong.

use crate::testenv::*;

/// relay-open --keep-name: a blank before the dot keeps the dot.
#[test]
fn a_name_with_a_blank_before_its_dot_hides_no_file() {
    let env = Env::with_peers();
    for (number, parameter) in [
        "name=\" .bashrc\"",
        "name=\". .bashrc\"",
        "name*=UTF-8''%20%2Ebashrc",
        "name*=UTF-8''%C2%A0%2Ebashrc",
    ]
    .iter()
    .enumerate()
    {
        let dir = format!("in{number}");
        env.mkdir(&dir);
        let media_type = format!("text/plain; {parameter}");
        let parcel = env.parcel_with("bob", "alice", b"content", &["-y", &media_type]);
        env.relay("open")
            .args(["-N", "alice", "-d", &dir, "--keep-name"])
            .stdin(parcel)
            .ok()
            .quiet()
            .stdout("");
        assert_eq!(env.names(&dir), ["bashrc"], "{parameter}");
    }
}

/// relay-open --keep-name: a directory of the sender's name is in the way: 73 instead of ~2.
#[test]
fn a_directory_under_the_senders_name_is_a_collision() {
    let env = Env::with_peers();
    env.mkdir("in");
    env.mkdir("in/dir");
    let parcel = env.parcel_with("bob", "alice", b"content", &["--name", "dir"]);
    env.relay("open")
        .args(["-N", "alice", "-d", "in", "--keep-name"])
        .stdin(parcel)
        .ok()
        .quiet()
        .stdout("")
        .changes_outside_nodes(&["+in/dir~2"]);
}

/// --save-session-key: the diagnostic does not name the file.
#[test]
fn a_session_key_file_that_exists_is_named() {
    let env = Env::with_peers();
    let keys = env.keys("bob");
    let carol = env.keys("carol");
    let params = env
        .relay("authorize")
        .args(["-q", "-N", "alice", &keys.public])
        .ok()
        .stdout;
    env.write("alice.conn", params);
    env.write("new.key", "mine");
    env.relay("seal")
        .args(["--identity-key", &keys.identity, "--params", "alice.conn"])
        .args(["--save-session-key", "new.key"])
        .stdin("content")
        .fails(73, "new.key: already exists");
    let certificate = format!("alice/certs/{}", id("alice"));
    let certificate = format!("{certificate}/{}", env.names(&certificate)[0]);
    env.relay("authorize")
        .args([
            "--identity-key",
            &env.keys("alice").identity,
            "--certificate",
            &certificate,
        ])
        .args(["--save-session-key", "new.key", &carol.public])
        .fails(73, "new.key: already exists");
}

/// A file whose name contains the reason: the reason is left out.
#[test]
fn the_reason_is_given_whatever_the_file_is_called() {
    let env = Env::with_peers();
    env.write("empty-box", "");
    env.relay("authorize")
        .args(["-N", "alice", "empty-box"])
        .fails(66, "empty-box: empty");
}

/// keygen where a directory cannot be: 73 (its page; design: cannot be created).
#[test]
fn a_node_that_cannot_be_created() {
    let env = Env::new();
    let keys = env.keys("alice");
    env.write("file", "");
    for place in ["file", "file/node", "/proc/node"] {
        env.relay("keygen")
            .args([
                "--set",
                "clock=test",
                "--identity-key",
                &keys.identity,
                place,
            ])
            .fails(73, &format!("{place}: cannot create"));
    }
}

/// The key that a stranger's message brought is taken over when the stranger is imported.
#[test]
fn the_session_key_of_a_stranger_is_adopted() {
    let env = Env::new();
    env.make_node("alice", &["--address", "alice.example.org"]);
    env.make_node("bob", &["--address", "bob.example.org"]);
    let alice = env.relay("export").args(["-N", "alice"]).ok().stdout;
    let bob = env.relay("export").args(["-N", "bob"]).ok().stdout;
    env.relay("import")
        .args(["-q", "-N", "alice", "--name", "bob"])
        .stdin(bob)
        .ok();
    let parcel = env.parcel("alice", "bob", b"hello");
    let facts = env
        .relay("inspect")
        .arg("--json")
        .stdin(&*parcel)
        .ok()
        .json();
    env.relay("open")
        .args(["-N", "bob"])
        .stdin(parcel)
        .ok()
        .stdout("hello");
    env.relay("import")
        .args(["-q", "-N", "bob", "--name", "alice"])
        .stdin(alice)
        .ok();
    let answer = env.parcel("bob", "alice", b"answer");
    let answer = env.relay("inspect").arg("--json").stdin(answer).ok().json();
    assert_eq!(
        answer[0]["payload"]["recipient_key_id"],
        facts[0]["payload"]["originator_key_id"]
    );
}

/// An answer within five minutes of the import of an NCP: its key is dated before the import.
#[test]
fn the_key_of_a_quick_answer_is_sealed_to() {
    let env = Env::new();
    env.make_node("alice", &[]);
    env.make_node("bob", &["--address", "bob.example.org"]);
    let ncp = env.relay("export").args(["-N", "bob"]).ok().stdout;
    env.relay("import")
        .args(["-q", "-N", "alice", "--name", "bob"])
        .stdin(ncp)
        .ok();
    env.introduce("bob", "alice", &[]);
    let answer = env.parcel("bob", "alice", b"answer");
    let facts = env
        .relay("inspect")
        .arg("--json")
        .stdin(&*answer)
        .ok()
        .json();
    env.relay("open").args(["-N", "alice"]).stdin(answer).ok();
    let next = env.parcel("alice", "bob", b"next");
    let next = env.relay("inspect").arg("--json").stdin(next).ok().json();
    assert_eq!(
        next[0]["payload"]["recipient_key_id"],
        facts[0]["payload"]["originator_key_id"]
    );
}

/// An authorization or certificate for another node: the file is not named.
#[test]
fn a_file_for_another_node_is_named() {
    let env = Env::with_peers();
    let (alice, bob) = (env.keys("alice"), env.keys("bob"));
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", "alice", &bob.public])
        .ok()
        .stdout;
    env.write("alice.conn", conn);
    env.relay("seal")
        .args(["--identity-key", &alice.identity, "--params", "alice.conn"])
        .stdin("x")
        .fails(67, &format!("alice.conn: made for {}", id("bob")));
}

/// A failed authorization leaves no peer behind.
#[test]
fn an_authorization_that_failed_leaves_no_peer() {
    let env = Env::new();
    env.make_node("alice", &[]);
    let bob = env.keys("bob");
    env.chmod("alice/identity.key", 0o640);
    env.relay("authorize")
        .args(["-N", "alice", "--name", "bob", "-o", "out", &bob.public])
        .fails(78, "alice/identity.key: open to other users");
}

/// Impossible ids on the command line are 64, before a session key is made for them.
#[test]
fn ids_that_no_message_can_have() {
    let env = Env::with_peers();
    for message_id in ["", &"x".repeat(64), "é", "a\nb"] {
        env.relay("seal")
            .args(["-N", "bob", "-t", "alice", "-o", "out", "--id", message_id])
            .stdin("x")
            .fails(64, "");
    }
}

/// relay-open -d: a link or FIFO under the name that a result will have is not followed.
#[test]
fn what_others_planted_in_a_directory_is_not_followed() {
    let env = Env::with_peers();
    env.mkdir("in");
    env.write("mine", "mine");
    env.link("../mine", "in/note");
    let parcel = env.parcel_with("bob", "alice", b"content", &["--name", "note"]);
    env.relay("open")
        .args(["-N", "alice", "-d", "in", "--keep-name"])
        .stdin(&*parcel)
        .ok()
        .quiet()
        .stdout("");
    assert_eq!(env.names("in"), ["note", "note~2"]);
    assert_eq!(env.read("in/note~2"), b"content");
    // Under a name of our own making there is no other one to take.
    env.mkdir("own");
    let facts = env
        .relay("inspect")
        .arg("--json")
        .stdin(&*parcel)
        .ok()
        .json();
    let text = |key: &str| facts[0][key].as_str().unwrap().to_owned();
    let digest = sha256(text("id").as_bytes());
    let name = format!(
        "own/{}.{}.{digest}.content",
        text("recipient"),
        text("sender")
    );
    env.link("../mine", &name);
    env.relay("open")
        .args(["-N", "alice", "-d", "own", "-f", "--again"])
        .stdin(parcel)
        .fails(73, "");
    assert_eq!(env.read("mine"), b"mine");
}

/// A keyless courier makes a registration of an authorization: the same key signed both.
#[test]
fn an_authorization_is_no_registration() {
    use relaynet::asn1::write;
    use relaynet::message::PrivateEndpointConnectionParams;
    let env = Env::new();
    env.make_node("alice", &[]);
    env.make_node("bob", &[]);
    let bob = env.keys("bob");
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", "alice", "--der", &bob.public])
        .ok()
        .stdout;
    let path = PrivateEndpointConnectionParams::parse(&conn)
        .unwrap()
        .authorization;
    let registration = write::constructed(
        0x30,
        &[
            &write::tlv(0x80, path.leaf.octets()),
            &write::tlv(0x81, path.authorities[0].octets()),
            &write::tlv(0x82, b"evil.example.net"),
        ],
    );
    env.relay("import")
        .args(["-N", "bob"])
        .stdin(registration)
        .fails(65, "-: bad signature in the registration");
}

/// Where a peer is reached is not signed: a courier could change it.
#[test]
fn a_carrier_cannot_move_a_peer() {
    use relaynet::message::PrivateEndpointConnectionParams;
    let env = Env::new();
    env.make_node("alice", &["--address", "alice.example.org"]);
    env.make_node("bob", &[]);
    let bob = env.keys("bob");
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", "alice", "--der", &bob.public])
        .ok()
        .stdout;
    let import = || env.relay("import").args(["-q", "-N", "bob"]);
    import().stdin(&*conn).ok();
    let mut moved = PrivateEndpointConnectionParams::parse(&conn).unwrap();
    moved.gateway_address = "evil.example.net".parse().unwrap();
    import()
        .stdin(moved.to_der())
        .fails(73, "-: the peer is known under another Internet address");
    import().arg("--replace").stdin(moved.to_der()).ok();
}

/// Certificates are judged in time that grows with their size only.
#[test]
fn a_certificate_of_many_parts_is_refused_at_once() {
    use relaynet::asn1::write;
    use relaynet::pki::Certificate;
    let own = self_issued("alice");
    // One extension after the other, each of its own kind.
    let extensions: Vec<u8> = (0..40_000_u32)
        .flat_map(|kind| {
            let digits = [
                0x55,
                0x1d,
                0x80 | (kind >> 14 & 0x7f) as u8,
                0x80 | (kind >> 7 & 0x7f) as u8,
                (kind & 0x7f) as u8,
            ];
            write::constructed(0x30, &[&write::tlv(6, &digits), &write::tlv(4, &[5, 0])])
        })
        .collect();
    let mut outer = relaynet::asn1::Cursor::der(own.octets())
        .take(0x30)
        .unwrap()
        .children();
    let mut fields = outer.take(0x30).unwrap().children();
    let mut tbs = Vec::new();
    while let Some(field) = fields.any().unwrap() {
        if field.tag() == 0xa3 {
            tbs.extend(write::tlv(0xa3, &write::tlv(0x30, &extensions)));
        } else {
            tbs.extend_from_slice(field.whole());
        }
    }
    let forged = write::constructed(0x30, &[&write::tlv(0x30, &tbs), outer.rest()]);
    let error = Certificate::parse(&forged).unwrap_err();
    assert_eq!(
        error.to_string(),
        "malformed certificate: malformed number of extensions"
    );
}

/// Times from which nothing can be reckoned are refused, not panicked over.
#[test]
fn times_at_the_end_of_time() {
    let env = Env::with_peers();
    for now in [
        "9999-12-30T00:00:00Z",
        "-009999-01-01T00:00:00Z",
        "yesterday",
        "",
    ] {
        let now = format!("--now={now}");
        env.relay("seal")
            .at_any_time()
            .args(["-N", "bob", "-t", "alice", "-o", "out", &now])
            .stdin("x")
            .fails(64, "");
    }
}

/// A message of another kind is for another program, which the hint names.
#[test]
fn a_message_of_another_kind_says_who_takes_it() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"x");
    let cargo = env.cargo("gateway", "hub", parcel.clone());
    let cca = env.cca("gateway", "hub");
    for (program, message, hint) in [
        ("unpack-cargo", &parcel, "relay-open takes it"),
        ("ack", &cargo, "relay-unpack-cargo takes it"),
        ("open", &cca, "relay-pack-cargo --cca answers it"),
    ] {
        let node = if program == "ack" {
            vec![]
        } else {
            vec!["-N", "hub"]
        };
        let ran = env.relay(program).args(node).stdin(message.clone()).run();
        assert_eq!((ran.status, ran.hints()), (65, vec![hint]), "{program}");
    }
}

/// Where there is no room for what has to wait, a file of its own will do, and for others one line is
/// enough.
#[test]
fn messages_wait_in_their_files_where_there_is_no_room() {
    let env = Env::with_gateways();
    let parcels: Vec<Vec<u8>> = (0..3_u8)
        .map(|at| env.parcel("bob", "alice", &[at]))
        .collect();
    env.mkdir("queue");
    for (at, parcel) in parcels.iter().enumerate() {
        env.write(format!("queue/{at}"), parcel);
    }
    let pack = || {
        env.relay("pack-cargo")
            .args(["-N", "gateway", "-t", "hub"])
            .var("TMPDIR", env.path("nowhere"))
    };
    let files = ["queue/0", "queue/1", "queue/2"];
    let cargo = pack().args(files).ok().quiet().stdout;
    env.relay("unpack-cargo")
        .args(["-N", "hub"])
        .stdin(cargo)
        .ok()
        .stdout(parcels.concat());
    let ran = pack()
        .stdin(parcels.concat())
        .run()
        .says(&["cannot create"]);
    assert_eq!(ran.status, 74, "{}", ran.stderr);
    assert_eq!(
        ran.hints(),
        ["set TMPDIR to another directory for temporary files"]
    );
}
