//! What these tests found in the programs once.

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
