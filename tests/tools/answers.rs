//! Authorizations that are sent along, so that the peer can answer without a command.

use crate::testenv::{Env, id};

/// Bob may write to alice, who has an Internet address if one is given, and knows nothing of him.
fn strangers() -> Env {
    let env = Env::new();
    env.make_node("alice", &["--address", "alice.example.org"]);
    env.make_node("bob", &[]);
    let params = env.relay("export").args(["-q", "-N", "alice"]).ok().stdout;
    let import = env
        .relay("import")
        .args(["-q", "-N", "bob", "--name", "alice"]);
    import.stdin(params).ok();
    env
}

/// Bob may write to alice, and she not to him.
fn one_sided() -> Env {
    let env = Env::new();
    for node in ["alice", "bob"] {
        env.make_node(node, &[]);
    }
    env.introduce("bob", "alice", &[]);
    env
}

/// The messages of a stream.
fn messages(octets: &[u8]) -> Vec<Vec<u8>> {
    let mut starts: Vec<usize> = (0..octets.len())
        .filter(|at| octets[*at..].starts_with(b"Awala"))
        .collect();
    starts.push(octets.len());
    let ends = starts
        .windows(2)
        .map(|pair| octets[pair[0]..pair[1]].to_vec());
    ends.collect()
}

fn given(env: &Env) -> usize {
    env.names(&format!("bob/peers/{}/given", id("alice"))).len()
}

#[test]
fn a_first_message_can_be_answered_without_a_command() {
    // The authorization comes after the content, or before it.
    for is_last in [true, false] {
        let env = one_sided();
        env.relay("seal")
            .args(["-N", "alice", "-t", "bob"])
            .fails(67, "no session key of bob is known");
        let seal = env.relay("seal").args(["-N", "bob", "-t", "alice"]);
        let sealed = seal
            .args(["--authorize", "--id", "first"])
            .stdin("hello")
            .ok()
            .quiet();
        let mut parcels = messages(&sealed.stdout);
        assert_eq!(parcels.len(), 2);
        if !is_last {
            parcels.reverse();
        }
        env.relay("open")
            .args(["-N", "alice"])
            .stdin(parcels.concat())
            .ok()
            .quiet()
            .stdout("hello");
        let answer = env.relay("seal").args(["-N", "alice", "-t"]).arg(id("bob"));
        let answer = answer.stdin("hello, bob").ok().stdout;
        env.relay("open")
            .args(["-N", "bob"])
            .stdin(answer)
            .ok()
            .stdout("hello, bob");
        // The next one brings the same authorization, which is not issued anew.
        assert_eq!(given(&env), 1);
        let seal = env
            .relay("seal")
            .args(["-N", "bob", "-t", "alice", "--authorize"]);
        let again = seal.stdin("again").ok().stdout;
        assert_eq!(given(&env), 1);
        env.relay("open")
            .args(["-N", "alice"])
            .stdin(again)
            .ok()
            .stdout("again");
        let held = env.names(&format!("alice/peers/{}/held", id("bob")));
        assert_eq!(held.len(), 1);
    }
}

/// A node on the Internet keeps what strangers send for its answers, and makes no peers of them.
#[test]
fn a_stranger_is_answered() {
    for is_last in [true, false] {
        let env = strangers();
        let seal = env
            .relay("seal")
            .args(["-N", "bob", "-t", "alice", "--authorize"]);
        let mut parcels = messages(&seal.stdin("hello").ok().stdout);
        assert_eq!(parcels.len(), 2);
        if !is_last {
            parcels.reverse();
        }
        for parcel in parcels {
            env.relay("open").args(["-N", "alice"]).stdin(parcel).ok();
        }
        assert_eq!(env.names("alice/strangers/2026-03-01").len(), 1);
        assert!(!env.path(format!("alice/peers/{}", id("bob"))).exists());
        let answer = env.relay("seal").args(["-N", "alice", "-t"]).arg(id("bob"));
        let answer = answer.stdin("who are you?").ok().stdout;
        env.relay("open")
            .args(["-N", "bob"])
            .stdin(answer)
            .ok()
            .stdout("who are you?");
    }
}

/// Past the middle of its life, a new one goes.
#[test]
fn an_old_authorization_is_not_sent_along() {
    let env = one_sided();
    let seal = |at: &str| {
        let seal = env
            .relay("seal")
            .args(["-N", "bob", "-t", "alice", "--authorize"]);
        seal.at(at).stdin("x").ok().stdout
    };
    // Alice's first session key lasts for 60 days only.
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", "bob", "--valid", "40d", "-"])
        .stdin(env.read("alice/identity.pub"))
        .ok()
        .stdout;
    env.relay("import")
        .args(["-q", "-N", "alice", "--name", "bob"])
        .stdin(conn)
        .ok();
    seal("2026-03-10T12:00:00Z");
    assert_eq!(given(&env), 1);
    let parcels = seal("2026-03-25T12:00:00Z");
    assert_eq!(given(&env), 2);
    env.relay("open")
        .at("2026-03-25T12:00:00Z")
        .args(["-N", "alice"])
        .stdin(parcels)
        .ok()
        .stdout("x");
    assert_eq!(
        env.names(&format!("alice/peers/{}/held", id("bob"))).len(),
        2
    );
}

#[test]
fn parts_and_several_peers_and_directories() {
    let env = Env::with_peers();
    env.mkdir("out");
    let seal = env
        .relay("seal")
        .args(["-N", "alice", "-t", "bob", "-t", "carol"]);
    let ran = seal
        .args(["--authorize", "-d", "out", "--json"])
        .stdin("x")
        .ok();
    assert_eq!(ran.json().len(), 4);
    assert_eq!(env.names("out").len(), 4);
    env.write("content", "0123456789");
    let parts = env
        .relay("split")
        .args(["--size", "4", "content"])
        .ok()
        .stdout;
    let seal = env
        .relay("seal")
        .args(["-N", "alice", "-t", "bob", "--parts"]);
    let sealed = seal.arg("--authorize").stdin(parts).ok().stdout;
    assert_eq!(messages(&sealed).len(), 4);
    let opened = env
        .relay("open")
        .args(["-N", "bob", "--cat"])
        .stdin(sealed)
        .ok();
    let joined = env.relay("join").stdin(opened.stdout).ok();
    joined.stdout("0123456789");
}

/// relay-send puts it beside the content, each authorization once.
#[test]
fn what_is_sent_can_be_answered() {
    let env = one_sided();
    env.write("one", "1");
    env.write("two", "2");
    let send = |file: &str| {
        let send = env
            .relay("send")
            .args(["-N", "bob", "-t", "alice", "--authorize"]);
        send.args(["-v", file]).ok()
    };
    let ran = send("one");
    assert!(ran.stderr.contains("event=authorized "), "{}", ran.stderr);
    assert_eq!(env.names("bob/spool/in").len(), 2);
    send("two");
    assert_eq!(env.names("bob/spool/in").len(), 3);
    let mut stream = Vec::new();
    for name in env.names("bob/spool/in") {
        stream.extend(env.read(format!("bob/spool/in/{name}")));
    }
    env.relay("open")
        .args(["-N", "alice", "--cat"])
        .stdin(stream)
        .ok();
    let answer = env.relay("seal").args(["-N", "alice", "-t"]).arg(id("bob"));
    answer.stdin("x").ok();
}

#[test]
fn who_cannot_be_answered_is_told() {
    let env = Env::with_gateways();
    let text = "--authorize is for endpoints: nobody writes to a gateway";
    for program in ["seal", "send"] {
        env.write("file", "x");
        let call = env.relay(program).args(["-N", "gateway", "-t", "hub"]);
        call.args(["--authorize", "file"]).fails(64, text);
    }
    let call = env
        .relay("send")
        .args(["-N", "bob", "-t", "alice", "--authorize"]);
    call.args(["--drop", "stick"]).fails(64, "");
}

/// What was withdrawn does not come back with a message.
#[test]
fn who_was_revoked_gets_no_authorization_with_a_message() {
    let env = Env::with_peers();
    let revoke = env.relay("revoke").args(["-q", "-N", "alice", "bob"]);
    revoke.ok();
    let seal = env
        .relay("seal")
        .args(["-N", "alice", "-t", "bob", "--authorize"]);
    let ran = seal.stdin("x").run();
    assert_eq!(ran.status, 77, "{}", ran.stderr);
    ran.stdout("")
        .says(&["this node revoked the authorization of bob"]);
    // Nor does it when it would be due, and the others are renewed.
    let now = "2026-04-05T12:00:00Z";
    let purge = env.relay("purge").args(["-N", "alice", "--trust-clock"]);
    purge.at(now).ok();
    let ran = env
        .relay("rotate")
        .args(["-N", "alice", "--json"])
        .at(now)
        .ok();
    let lines = ran.json();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["peer"], id("carol"));
    // A new one is given by hand.
    let given = env
        .relay("authorize")
        .args(["-q", "-N", "alice", "bob"])
        .at(now);
    given.ok();
    let seal = env
        .relay("seal")
        .args(["-N", "alice", "-t", "bob", "--authorize"]);
    assert_eq!(messages(&seal.at(now).stdin("x").ok().stdout).len(), 2);
}
