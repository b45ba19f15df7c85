//! The cases: the command, what a stopped run may leave, and what proves that the next one worked.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use relaynet::asn1::pem;
use relaynet::message::Object;

use super::scene::{
    ANSWER, CONTENT, FIRST, LATE, MONTH, RENEWAL, RENEWED, RESTORED, SECOND, START, Scene,
    TRANSFER, carried_key, group_to_give_to, is_in_temporary, is_incomplete, is_placeholder,
    is_temporary,
};
use super::sweep::{Case, sweep, sweep_errnos};

/// The number of cases in this file.
pub(crate) const CASES: usize = 65
    + super::media::CASES
    + super::passphrases::CASES
    + super::revoking::CASES
    + super::rotating::CASES
    + super::sending::CASES
    + super::succeeding::CASES;

/// The defaults of most cases.
pub(crate) const CASE: Case<'static> = Case {
    name: "",
    program: "",
    args: &[],
    now: START,
    nodes: &[],
    dirs: &[],
    order: &[],
    is_bare: false,
    faults: &["kill", "torn", "ENOSPC", "EIO"],
    unfinished: &[],
    spare: 0,
    left: |_, _| {},
    next: |_| 0,
    force: None,
    proof: |_, _| {},
};

/// The defaults of programs that change the spool.
const SPOOL: Case<'static> = Case {
    faults: &["kill", "torn", "ENOSPC", "EDQUOT", "EIO", "EROFS"],
    ..CASE
};

// relay-keygen

#[test]
fn keygen() {
    sweep(&Case {
        name: "keygen",
        program: "relay-keygen",
        args: &["-q", "--set", "clock=test", "./new"],
        order: &["new/identity.key", "new/sessions/any/", "new/VERSION", "-"],
        next: |scene| if_there(scene, "new/VERSION", 73),
        proof: |scene, _| {
            scene.add("alone/bob");
            let mut args = vec!["-q", "-N", "new", "-o", "tmp/new.conn"];
            args.push("in/bob.pub");
            scene.run("relay-authorize", &args, START).expect(0);
            import(scene, "bob", "tmp/new.conn", START);
            deliver(scene, "bob", "peer", "new", FIRST);
        },
        ..CASE
    });
}

#[test]
fn keygen_with_a_group() {
    let group: &str = Box::leak(format!("group={}", group_to_give_to()).into_boxed_str());
    let args = ["-q", "--set", "clock=test", "--set", group, "./new"];
    sweep(&Case {
        name: "keygen --set group=NAME",
        program: "relay-keygen",
        args: Box::leak(Box::new(args)),
        order: &["new/identity.key", "new/sessions/any/", "new/VERSION", "-"],
        next: |scene| if_there(scene, "new/VERSION", 73),
        proof: |scene, _| {
            for (dir, mode) in [
                ("new", 0o710),
                ("new/spool", 0o710),
                ("new/spool/in", 0o3770),
                ("new/spool/tmp", 0o3770),
            ] {
                let found = fs::metadata(scene.path(dir)).unwrap().permissions();
                assert_eq!(found.mode() & 0o7777, mode, "{dir}");
            }
        },
        ..CASE
    });
}

// relay-authorize

/// Checks that a session key for the peer, and the note that it was given, are on disk before its public
/// half can have left.
fn authorization_left(scene: &Scene, stdout: &[u8]) {
    let mut given = scene.results();
    if !stdout.is_empty() {
        given.push(stdout.to_vec());
    }
    for given in given {
        let notes = scene.files("alice/peers");
        assert!(notes.iter().any(|path| path.contains("/given/")));
        let Ok(Object::PrivateEndpointConnectionParams(params)) = Object::parse(&given) else {
            assert_eq!(given, stdout, "not parameters"); // torn on its way, which its reader sees
            continue;
        };
        let key = params.session_key.id();
        let path = format!("alice/sessions/{}/{key}.key", scene.world().id("bob"));
        assert!(scene.path(&path).exists(), "no {path}");
    }
}

/// bob imports what alice's runs made, and they write to each other.
fn authorization_proof(scene: &Scene, printed: &[Vec<u8>]) {
    let Some(last) = scene.results().pop().or_else(|| printed.last().cloned()) else {
        panic!("no authorization")
    };
    let file = scene.keep("alice.conn", &last);
    scene.add("alone/bob");
    import(scene, "bob", &file, START);
    deliver(scene, "bob", "peer", "alice", FIRST);
}

#[test]
fn authorize() {
    sweep(&Case {
        name: "authorize -o FILE",
        program: "relay-authorize",
        args: &[
            "-q",
            "-N",
            "alice",
            "--name",
            "bob",
            "-o",
            "out/alice.conn",
            "in/bob.pub",
        ],
        nodes: &["alone/alice"],
        order: &["alice/sessions/", "out/"],
        spare: 1,
        left: authorization_left,
        next: |scene| if_there(scene, "out/alice.conn", 73),
        proof: authorization_proof,
        ..CASE
    });
}

#[test]
fn authorize_to_stdout() {
    sweep(&Case {
        name: "authorize, a known peer, to stdout",
        program: "relay-authorize",
        args: &["-q", "-N", "alice", "bob"],
        now: RENEWAL,
        nodes: &["friends/alice"],
        order: &["alice/sessions/", "alice/peers/", "-"],
        spare: 1,
        left: authorization_left,
        proof: |scene, printed| {
            let file = scene.keep("alice.conn", printed.last().unwrap());
            scene.add("sealed/bob");
            let args = ["-q", "-N", "bob", &file];
            scene.run("relay-import", &args, RENEWAL).expect(0);
            deliver(scene, "bob", "alice", "alice", RENEWED);
        },
        ..CASE
    });
}

// relay-import

#[test]
fn import_authorization() {
    sweep(&Case {
        name: "import of an authorization",
        program: "relay-import",
        args: &["-q", "-N", "bob", "in/alice-for-bob.conn"],
        nodes: &["alone/bob"],
        order: &["bob/peers/", "-"],
        proof: |scene, _| {
            scene.add("friends/alice");
            let id = scene.world().id("alice").to_owned();
            deliver(scene, "bob", &id, "alice", FIRST);
        },
        ..CASE
    });
}

#[test]
fn import_authorization_with_name() {
    sweep(&Case {
        name: "import of an authorization, --name",
        program: "relay-import",
        args: &["-q", "-N", "bob", "--name", "peer", "in/alice-for-bob.conn"],
        nodes: &["alone/bob"],
        order: &["bob/peers/", "-"],
        proof: |scene, _| {
            scene.add("friends/alice");
            deliver(scene, "bob", "peer", "alice", FIRST);
        },
        ..CASE
    });
}

/// Checks that the peer's earlier data is removed only when its replacement is on disk.
#[test]
fn import_authorization_in_place_of_another() {
    sweep(&Case {
        name: "import of an authorization, --replace",
        program: "relay-import",
        args: &["-q", "-N", "bob", "--replace", "in/renewed.conn"],
        now: RENEWAL,
        nodes: &["sealed/bob"],
        order: &["bob/peers/", "-"],
        left: |scene, _| {
            let held = scene.files("bob/peers").into_iter();
            let held = held.filter(|path| path.contains("/held/") && !is_temporary(path));
            assert!(matches!(held.count(), 1 | 2));
        },
        proof: |scene, _| {
            let held = scene.files("bob/peers").into_iter();
            let held = held.filter(|path| path.contains("/held/") && !is_temporary(path));
            assert_eq!(held.count(), 1);
            scene.add("renewed/alice");
            deliver(scene, "bob", "alice", "alice", RENEWED);
        },
        ..CASE
    });
}

#[test]
fn import_connection_parameters() {
    sweep(&Case {
        name: "import of connection parameters, --name",
        program: "relay-import",
        args: &["-q", "-N", "bob", "--name", "peer", "in/carol.pub"],
        nodes: &["alone/bob"],
        order: &["bob/peers/", "-"],
        proof: |scene, _| {
            scene.add("alone/carol");
            deliver(scene, "bob", "peer", "carol", FIRST);
        },
        ..CASE
    });
}

#[test]
fn import_registration() {
    sweep(&Case {
        name: "import of a registration, --name",
        program: "relay-import",
        args: &["-q", "-N", "alice", "--name", "gateway", "in/alice.pnr"],
        nodes: &["alone/alice"],
        order: &["alice/peers/", "alice/certs/", "-"],
        proof: |scene, _| {
            // What it authorizes now is under the gateway.
            let args = ["-N", "alice", "-o", "tmp/alice.conn", "in/bob.pub"];
            let outcome = scene.run("relay-authorize", &args, START);
            outcome.expect(0);
            assert!(!outcome.stderr.contains("no gateway"), "{}", outcome.stderr);
            scene.add("alone/bob");
            import(scene, "bob", "tmp/alice.conn", START);
            deliver(scene, "bob", "peer", "alice", FIRST);
        },
        ..CASE
    });
}

// relay-seal

/// Checks that the private session key of a message that left, whole or in part, is on disk.
fn seal_left(scene: &Scene, stdout: &[u8]) {
    let dir = format!("bob/sessions/{}", scene.world().id("alice"));
    for parcel in scene.results() {
        let key = carried_key(&parcel);
        assert!(
            scene.path(&format!("{dir}/{key}.key")).exists(),
            "no key {key}"
        );
    }
    if stdout.is_empty() {
        return;
    }
    if relaynet::message::Parcel::parse(stdout.to_vec()).is_ok() {
        let key = carried_key(stdout);
        assert!(
            scene.path(&format!("{dir}/{key}.key")).exists(),
            "no key {key}"
        );
    } else {
        let names = scene.files(&dir);
        let is_current = |path: &String| {
            let text = fs::read_to_string(scene.path(path)).unwrap();
            !is_temporary(path) && text.contains("Last-Carried: ")
        };
        assert!(names.iter().any(is_current), "no key");
    }
}

/// Checks that what left opens on the other side, and that its answer opens here.
fn seal_proof(scene: &Scene, printed: &[Vec<u8>]) {
    scene.add("friends/alice");
    let mut parcels = scene.results();
    parcels.extend(printed.iter().filter(|octets| is_parcel(octets)).cloned());
    assert!(!parcels.is_empty(), "no parcel");
    for parcel in parcels {
        let file = scene.keep("parcel", &parcel);
        let opened = scene.run("relay-open", &["-q", "-N", "alice", &file], SECOND);
        opened.expect(0);
        assert_eq!(opened.stdout, CONTENT);
    }
    deliver(scene, "alice", "bob", "bob", ANSWER);
}

fn is_parcel(octets: &[u8]) -> bool {
    relaynet::message::Parcel::parse(octets.to_vec()).is_ok()
}

const SEAL: Case<'static> = Case {
    program: "relay-seal",
    nodes: &["friends/bob"],
    now: FIRST,
    left: seal_left,
    proof: seal_proof,
    ..CASE
};

#[test]
fn seal_to_stdout() {
    sweep(&Case {
        name: "seal, a new session key, to stdout",
        args: &["-q", "-N", "bob", "-t", "alice", "in/report.txt"],
        order: &["bob/sessions/", "-"],
        ..SEAL
    });
}

#[test]
fn seal_into_a_file() {
    sweep(&Case {
        name: "seal, a new session key, -o FILE",
        args: &[
            "-q",
            "-N",
            "bob",
            "-t",
            "alice",
            "-o",
            "out/parcel",
            "in/report.txt",
        ],
        order: &["bob/sessions/", "out/"],
        next: |scene| if_there(scene, "out/parcel", 73),
        ..SEAL
    });
}

#[test]
fn seal_into_a_directory() {
    sweep(&Case {
        name: "seal, a new session key, -d DIR",
        args: &[
            "-q",
            "-N",
            "bob",
            "-t",
            "alice",
            "-d",
            "out",
            "in/report.txt",
        ],
        order: &["bob/sessions/", "out/"],
        spare: 1,
        ..SEAL
    });
}

#[test]
fn seal_again_to_stdout() {
    sweep(&Case {
        name: "seal, the current session key, to stdout",
        args: &["-q", "-N", "bob", "-t", "alice", "in/report.txt"],
        now: SECOND,
        nodes: &["sealed/bob"],
        order: &["bob/sessions/", "-"],
        ..SEAL
    });
}

#[test]
fn seal_again_into_a_file() {
    sweep(&Case {
        name: "seal, the current session key, -o FILE",
        args: &[
            "-q",
            "-N",
            "bob",
            "-t",
            "alice",
            "-o",
            "out/parcel",
            "in/report.txt",
        ],
        now: SECOND,
        nodes: &["sealed/bob"],
        order: &["bob/sessions/", "out/"],
        next: |scene| if_there(scene, "out/parcel", 73),
        ..SEAL
    });
}

#[test]
fn seal_parts() {
    sweep(&Case {
        name: "seal --parts -d DIR",
        args: &[
            "-q",
            "-N",
            "bob",
            "-t",
            "alice",
            "--parts",
            "-d",
            "out",
            "in/report.parts",
        ],
        order: &["bob/sessions/", "out/"],
        spare: 4,
        proof: |scene, _| {
            scene.add("friends/alice");
            let parcels = scene.results().concat();
            let file = scene.keep("parcels", &parcels);
            let opened = scene.run("relay-open", &["-q", "-N", "alice", &file], SECOND);
            opened.expect(0);
            let file = scene.keep("parts", &opened.stdout);
            let joined = scene.run("relay-join", &["-q", &file], SECOND);
            joined.expect(0);
            assert_eq!(joined.stdout, CONTENT);
        },
        ..SEAL
    });
}

// relay-open

/// Whether alice remembers a message.
fn is_remembered(scene: &Scene) -> bool {
    let files = scene.files("alice/seen");
    files
        .iter()
        .any(|path| fs::metadata(scene.path(path)).unwrap().len() >= 32)
}

/// Checks that a message is remembered only when its content is complete and its session key is stored.
fn open_left(scene: &Scene, stdout: &[u8]) {
    assert!(
        CONTENT.starts_with(stdout),
        "something else than the content"
    );
    assert!(
        scene.results().len() <= 1,
        "{} contents",
        scene.results().len()
    );
    if is_remembered(scene) {
        let is_complete = stdout == CONTENT || scene.results() == [CONTENT];
        assert!(is_complete, "remembered without its content");
        let parcel = fs::read(scene.path("in/first.parcel")).unwrap();
        let id = scene.world().id("bob");
        let key = fs::read_to_string(scene.path(&format!("alice/peers/{id}/session.pem"))).unwrap();
        let carried = format!("Key-Id: {}", carried_key(&parcel));
        assert!(
            key.contains(&carried),
            "remembered without the sender's session key"
        );
    }
}

/// Checks that the content is there (once, if it is a file), that the parcel is remembered, and that an
/// answer opens at the sender.
fn open_proof(scene: &Scene, printed: &[Vec<u8>]) {
    let printed: Vec<_> = printed.iter().filter(|octets| *octets == CONTENT).collect();
    if printed.is_empty() {
        assert_eq!(scene.results(), [CONTENT], "not the content once");
    } else {
        assert_eq!(
            scene.results().len(),
            0,
            "the content on stdout and in a file"
        );
    }
    let args = ["-q", "-N", "alice", "-d", "tmp", "in/first.parcel"];
    scene.run("relay-open", &args, SECOND).expect(82);
    scene.add("sealed/bob");
    deliver(scene, "alice", "bob", "bob", ANSWER);
}

const OPEN: Case<'static> = Case {
    program: "relay-open",
    nodes: &["friends/alice"],
    now: FIRST,
    left: open_left,
    next: |scene| if is_remembered(scene) { 82 } else { 0 },
    proof: open_proof,
    ..CASE
};

#[test]
fn open_to_stdout() {
    sweep(&Case {
        name: "open to stdout",
        args: &["-q", "-N", "alice", "in/first.parcel"],
        order: &["-", "alice/peers/", "alice/sessions/", "alice/seen/"],
        ..OPEN
    });
}

#[test]
fn open_into_a_file() {
    sweep(&Case {
        name: "open -o FILE",
        args: &["-q", "-N", "alice", "-o", "out/report", "in/first.parcel"],
        order: &["out/", "alice/peers/", "alice/sessions/", "alice/seen/"],
        ..OPEN
    });
}

#[test]
fn open_into_a_directory() {
    sweep(&Case {
        name: "open -d DIR",
        args: &["-q", "-N", "alice", "-d", "out", "in/first.parcel"],
        order: &["out/", "alice/peers/", "alice/sessions/", "alice/seen/"],
        ..OPEN
    });
}

#[test]
fn open_keeping_the_name() {
    sweep(&Case {
        name: "open -d DIR --keep-name",
        args: &[
            "-q",
            "-N",
            "alice",
            "-d",
            "out",
            "--keep-name",
            "in/first.parcel",
        ],
        order: &[
            "out/report.txt",
            "alice/peers/",
            "alice/sessions/",
            "alice/seen/",
        ],
        ..OPEN
    });
}

#[test]
fn open_a_directory() {
    sweep(&Case {
        name: "open -d DIR --extract",
        args: &[
            "-q",
            "-N",
            "alice",
            "-d",
            "out",
            "--extract",
            "in/tree.parcel",
        ],
        order: &[
            "out/photos",
            "alice/peers/",
            "alice/sessions/",
            "alice/seen/",
        ],
        left: |scene, _| {
            let is_whole = scene.results() == [CONTENT];
            assert!(is_whole || scene.results().is_empty(), "half of it");
            assert!(is_whole || !is_remembered(scene), "remembered too early");
        },
        proof: |scene, _| tree_proof(scene, "out", "treed/bob"),
        ..OPEN
    });
}

#[test]
fn open_authorization() {
    sweep(&Case {
        name: "open of an authorization",
        program: "relay-open",
        args: &["-q", "-N", "bob", "in/renewed.parcel"],
        now: RENEWAL,
        nodes: &["sealed/bob"],
        order: &["bob/peers/", "bob/seen/"],
        left: |scene, stdout| {
            assert_eq!(stdout, b"", "an authorization is for the node alone");
            if !scene.files("bob/seen").is_empty() && is_remembered_by(scene, "bob") {
                let held = scene.files("bob/peers").into_iter();
                let held = held.filter(|path| path.contains("/held/") && !is_temporary(path));
                assert_eq!(held.count(), 2, "remembered without the authorization");
            }
        },
        next: |scene| {
            if is_remembered_by(scene, "bob") {
                82
            } else {
                0
            }
        },
        proof: |scene, _| {
            let args = ["-q", "-N", "bob", "in/renewed.parcel"];
            scene.run("relay-open", &args, RENEWED).expect(82);
            scene.add("renewed/alice");
            deliver(scene, "bob", "alice", "alice", RENEWED);
        },
        ..CASE
    });
}

/// Checks that carol keeps bob's authorization once she remembers the parcel, and that bob is no peer.
fn heard_left(scene: &Scene, stdout: &[u8]) {
    assert_eq!(stdout, b"", "an authorization is for the node alone");
    assert!(
        scene.files("carol/peers").is_empty(),
        "a stranger is a peer"
    );
    let files = scene.files("carol").into_iter();
    let is_kept = |path: &String| {
        path.starts_with("carol/strangers/2026-12-0")
            && path.matches('/').count() == 3
            && !is_temporary(path)
    };
    let kept = files.filter(is_kept).count() as u64;
    assert!(remembered(scene) <= kept, "remembered without it");
}

/// The number of messages that carol remembers.
fn remembered(scene: &Scene) -> u64 {
    let files = scene.files("carol").into_iter();
    files
        .filter(|path| path.starts_with("carol/seen/"))
        .map(|path| fs::metadata(scene.path(&path)).unwrap().len() / 32)
        .sum()
}

/// Checks that bob opens an answer of carol.
fn heard_proof(scene: &Scene, _: &[Vec<u8>]) {
    scene.add("told/bob");
    let bob = scene.world().id("bob").to_owned();
    let args = [
        "-q",
        "-N",
        "carol",
        "-t",
        &bob,
        "-o",
        "tmp/answer",
        "in/report.txt",
    ];
    scene.run("relay-seal", &args, RENEWED).expect(0);
    let opened = scene.run("relay-open", &["-q", "-N", "bob", "tmp/answer"], RENEWED);
    opened.expect(0);
    assert_eq!(opened.stdout, CONTENT);
}

#[test]
fn open_authorization_of_a_stranger() {
    sweep(&Case {
        name: "open of a stranger's authorization",
        program: "relay-open",
        args: &["-q", "-N", "carol", "in/stranger.parcel"],
        now: FIRST,
        nodes: &["alone/carol"],
        order: &["carol/strangers/", "carol/seen/"],
        left: heard_left,
        next: |scene| {
            if is_remembered_by(scene, "carol") {
                82
            } else {
                0
            }
        },
        proof: heard_proof,
        ..CASE
    });
}

#[test]
fn open_later_authorization_of_a_stranger() {
    sweep(&Case {
        name: "open of a stranger's later authorization",
        program: "relay-open",
        args: &["-q", "-N", "carol", "in/stranger-again.parcel"],
        now: RENEWAL,
        nodes: &["heard/carol"],
        order: &["carol/strangers/2026-12-02", "carol/seen/"],
        left: heard_left,
        next: |scene| if remembered(scene) > 1 { 82 } else { 0 },
        proof: heard_proof,
        ..CASE
    });
}

#[test]
fn import_a_stranger() {
    sweep(&Case {
        name: "import of a stranger",
        program: "relay-import",
        args: &[
            "-q",
            "-N",
            "carol",
            "--name",
            "bob",
            "in/stranger-again.conn",
        ],
        now: RENEWAL,
        nodes: &["heard/carol"],
        order: &["carol/peers/", "-"],
        proof: |scene, _| {
            let held = scene.files("carol/peers").into_iter();
            assert_eq!(
                held.filter(|path| path.contains("/held/") && !is_temporary(path))
                    .count(),
                2
            );
            heard_proof(scene, &[]);
        },
        ..CASE
    });
}

// relay-peers

#[test]
fn peers_rename() {
    sweep(&Case {
        name: "peers --rename",
        program: "relay-peers",
        args: &["-q", "-N", "bob", "alice", "--rename", "alicia"],
        nodes: &["friends/bob"],
        next: |scene| {
            let path = format!("bob/peers/{}/name", scene.world().id("alice"));
            let name = fs::read_to_string(scene.path(&path)).unwrap();
            if name == "alicia\n" { 67 } else { 0 }
        },
        proof: |scene, _| {
            scene.add("friends/alice");
            deliver(scene, "bob", "alicia", "alice", FIRST);
        },
        ..CASE
    });
}

#[test]
fn peers_forget() {
    sweep(&Case {
        name: "peers --forget NAME",
        program: "relay-peers",
        args: &["-q", "-N", "bob", "alice", "--forget"],
        nodes: &["sealed/bob"],
        next: |scene| {
            let peer = scene.path(&format!("bob/peers/{}", scene.world().id("alice")));
            if peer.exists() { 0 } else { 67 }
        },
        proof: forget_proof,
        ..CASE
    });
}

/// Checks that a forgotten peer can be imported again, under the same name.
fn forget_proof(scene: &Scene, _: &[Vec<u8>]) {
    import(scene, "bob", "in/alice-for-bob.conn", START);
    scene.add("friends/alice");
    deliver(scene, "bob", "peer", "alice", FIRST);
}

// relay-export

/// Checks that the private half of the session key in parameters that left is on disk.
fn export_left(scene: &Scene, stdout: &[u8]) {
    let mut exported = scene.results();
    if pem::blocks(stdout).is_ok_and(|blocks| !blocks.is_empty()) {
        exported.push(stdout.to_vec());
    }
    for exported in exported {
        let Ok(Object::NodeConnectionParams(params)) = Object::parse(&exported) else {
            panic!("not parameters");
        };
        let path = format!("carol/sessions/any/{}.key", params.session_key.id());
        assert!(scene.path(&path).exists(), "no {path}");
    }
}

fn export_proof(scene: &Scene, printed: &[Vec<u8>]) {
    let exported = scene.results().pop().or_else(|| printed.last().cloned());
    let file = scene.keep("carol.ncp", &exported.unwrap());
    scene.add("alone/bob");
    import(scene, "bob", &file, MONTH);
    deliver(scene, "bob", "peer", "carol", MONTH);
}

#[test]
fn export() {
    sweep(&Case {
        name: "export -o FILE",
        program: "relay-export",
        args: &["-q", "-N", "carol", "-o", "out/carol.ncp"],
        now: MONTH,
        nodes: &["alone/carol"],
        order: &["carol/sessions/any/", "out/"],
        left: export_left,
        next: |scene| if_there(scene, "out/carol.ncp", 73),
        proof: export_proof,
        ..CASE
    });
}

#[test]
fn export_to_stdout() {
    sweep(&Case {
        name: "export to stdout",
        program: "relay-export",
        args: &["-q", "-N", "carol"],
        now: MONTH,
        nodes: &["alone/carol"],
        order: &["carol/sessions/any/", "-"],
        left: export_left,
        proof: export_proof,
        ..CASE
    });
}

// relay-check

#[test]
fn check_restored() {
    sweep(&Case {
        name: "check --restored",
        program: "relay-check",
        args: &["-q", "-N", "bob", "--restored"],
        now: RESTORED,
        nodes: &["sealed/bob"],
        order: &["bob/seen/floor", "bob/sessions/"],
        proof: |scene, _| {
            let floor = fs::read_to_string(scene.path("bob/seen/floor")).unwrap();
            assert_eq!(floor, format!("dated {RESTORED}\n"));
            let keys = scene.files(&format!("bob/sessions/{}", scene.world().id("alice")));
            let keys = keys.iter().filter(|path| !is_temporary(path));
            let texts = keys.map(|path| fs::read_to_string(scene.path(path)).unwrap());
            let texts: Vec<String> = texts.collect();
            let is_carried = |text: &&String| text.contains("Last-Carried: ");
            let carried: Vec<_> = texts.iter().filter(is_carried).collect();
            let retired = format!("Retired: {RESTORED}\n");
            assert!(carried.len() == 1 && carried[0].contains(&retired));
        },
        ..CASE
    });
}

#[test]
fn check_backup() {
    sweep(&Case {
        name: "check --backup DIR",
        program: "relay-check",
        args: &["-q", "-N", "alice", "--backup", "copy"],
        now: FIRST,
        nodes: &["arrived/alice"],
        order: &["copy"],
        left: |scene, _| {
            // Whole or not at all: VERSION is its last file.
            let is_there = scene.path("copy").exists();
            let is_whole = scene.path("copy/VERSION").exists();
            assert_eq!(is_there, is_whole);
        },
        next: |scene| if_there(scene, "copy", 73),
        proof: |scene, _| {
            let (node, copy) = (scene.path("alice"), scene.path("copy"));
            fs::remove_dir_all(&node).unwrap();
            fs::rename(copy, node).unwrap();
            let restore = ["-q", "-N", "alice", "--restored"];
            scene.run("relay-check", &restore, FIRST).expect(0);
            assert_eq!(queue(scene, "alice/spool").len(), 1);
            // It may have been delivered since the backup was made.
            let open = ["-q", "-N", "alice", "in/first.parcel"];
            scene.run("relay-open", &open, SECOND).expect(82);
            let args = ["-q", "-N", "alice", "--again", "in/first.parcel"];
            let opened = scene.run("relay-open", &args, SECOND);
            assert_eq!(opened.expect(0).stdout, CONTENT);
        },
        ..CASE
    });
}

// Gateways

/// Checks that the private half of the session key in a registration that left is on disk, with its note.
fn registration_left(scene: &Scene, _: &[u8]) {
    for result in scene.results() {
        let Ok(Object::Registration(registration)) = Object::parse(&result) else {
            panic!("not a registration");
        };
        let field = scene.world().id("field");
        let key = registration.session_key.unwrap();
        let path = format!("hub/sessions/{field}/{}.key", key.id());
        assert!(scene.path(&path).exists(), "no {path}");
        assert!(
            !scene
                .files(&format!("hub/peers/{field}/registered"))
                .is_empty()
        );
    }
}

#[test]
fn register() {
    sweep(&Case {
        name: "register -o FILE",
        program: "relay-register",
        args: &[
            "-q",
            "-N",
            "hub",
            "--name",
            "field",
            "-o",
            "out/field.pnr",
            "in/field.pub",
        ],
        nodes: &["lone/hub"],
        order: &["hub/sessions/", "out/"],
        spare: 1,
        left: registration_left,
        next: |scene| if_there(scene, "out/field.pnr", 73),
        proof: |scene, _| {
            scene.add("lone/field");
            import(scene, "field", "out/field.pnr", START);
            carry(
                scene,
                &["-q", "-N", "field", "-t", "peer", "in/first.parcel"],
                "hub",
            );
        },
        ..CASE
    });
}

#[test]
fn keygen_endpoint() {
    sweep(&Case {
        name: "keygen --endpoint NAME",
        program: "relay-keygen",
        args: &[
            "-q",
            "-N",
            "field",
            "--endpoint",
            "mail",
            "--set",
            "clock=test",
            "--identity-key",
            "in/mail.key",
        ],
        nodes: &["gateways/field"],
        order: &[
            "field/endpoints/mail/identity.key",
            "field/endpoints/mail/VERSION",
            "field/peers/",
            "-",
        ],
        spare: 1,
        next: |scene| {
            let gateway = scene.world().id("field");
            let named = format!("field/endpoints/mail/peers/{gateway}/name");
            if_there(scene, &named, 73)
        },
        proof: |scene, _| {
            let mail = "field/endpoints/mail";
            let args = ["-q", "-N", mail, "-o", "tmp/mail.conn", "in/bob.pub"];
            scene.run("relay-authorize", &args, START).expect(0);
            scene.add("alone/bob");
            import(scene, "bob", "tmp/mail.conn", START);
            deliver(scene, "bob", "peer", mail, FIRST);
        },
        ..CASE
    });
}

#[test]
fn keygen_endpoint_with_a_group() {
    sweep(&Case {
        name: "keygen --endpoint NAME, with a group",
        program: "relay-keygen",
        args: &[
            "-q",
            "-N",
            "field",
            "--endpoint",
            "mail",
            "--set",
            "clock=test",
            "--identity-key",
            "in/mail.key",
        ],
        nodes: &["grouped/field"],
        order: &["field/endpoints/mail/VERSION", "field/peers/", "-"],
        spare: 1,
        next: |scene| {
            let gateway = scene.world().id("field");
            let named = format!("field/endpoints/mail/peers/{gateway}/name");
            if_there(scene, &named, 73)
        },
        proof: |scene, _| {
            // Whatever is missing, the next run that locks the queues makes.
            let route = scene.run("relay-route", &["-q", "-N", "field"], START);
            route.expect(0);
            let homes = fs::read_dir(scene.path("field/spool/home")).unwrap();
            let homes: Vec<_> = homes.map(|home| home.unwrap().path()).collect();
            let [home] = &homes[..] else {
                panic!("{homes:?}")
            };
            let mode = fs::metadata(home).unwrap().permissions().mode() & 0o7777;
            // Who has no group for themselves shares it with all members.
            assert!(matches!(mode, 0o770 | 0o3770), "{mode:o}");
            let check = ["-q", "-N", "field"];
            let found = scene.run("relay-check", &check, START);
            let found = String::from_utf8(found.stdout).unwrap();
            assert!(!found.contains("/spool/home/"), "{found}");
        },
        ..CASE
    });
}

#[test]
fn request_cargo() {
    sweep(&Case {
        name: "request-cargo -o FILE",
        program: "relay-request-cargo",
        args: &["-q", "-N", "field", "-t", "hub", "-o", "out/field.cca"],
        now: FIRST,
        nodes: &["gateways/field"],
        order: &["field/peers/", "field/sessions/", "out/"],
        spare: 1,
        next: |scene| if_there(scene, "out/field.cca", 73),
        proof: |scene, _| {
            scene.add("gateways/hub");
            carry(
                scene,
                &[
                    "-q",
                    "-N",
                    "hub",
                    "--cca",
                    "out/field.cca",
                    "in/first.parcel",
                ],
                "field",
            );
        },
        ..CASE
    });
}

#[test]
fn pack_cargo_into_a_directory() {
    sweep(&Case {
        name: "pack-cargo -d DIR",
        program: "relay-pack-cargo",
        args: &[
            "-q",
            "-N",
            "field",
            "-t",
            "hub",
            "-d",
            "out",
            "in/first.parcel",
        ],
        now: FIRST,
        nodes: &["gateways/field"],
        order: &["field/sessions/", "out/"],
        spare: 1,
        proof: |scene, _| {
            scene.add("gateways/hub");
            for cargo in scene.results() {
                let file = scene.keep("cargo", &cargo);
                unpack(scene, "hub", &file);
            }
        },
        ..CASE
    });
}

#[test]
fn pack_cargo_in_answer_to_a_cca() {
    sweep(&Case {
        name: "pack-cargo --cca FILE -o FILE",
        program: "relay-pack-cargo",
        args: &[
            "-q",
            "-N",
            "hub",
            "--cca",
            "in/field.cca",
            "-o",
            "out/x.cargo",
            "in/first.parcel",
        ],
        now: FIRST,
        nodes: &["gateways/hub"],
        order: &["hub/sessions/", "out/", "hub/peers/", "hub/seen/"],
        left: |scene, _| {
            if is_remembered_by(scene, "hub") {
                assert!(
                    scene.path("out/x.cargo").exists(),
                    "used up without an answer"
                );
            }
        },
        next: |scene| if_there(scene, "out/x.cargo", 73),
        force: Some("-f"),
        proof: |scene, _| {
            scene.add("asked/field");
            unpack(scene, "field", "out/x.cargo");
            let args = [
                "-q",
                "-N",
                "hub",
                "--cca",
                "in/field.cca",
                "in/first.parcel",
            ];
            scene.run("relay-pack-cargo", &args, FIRST).expect(82);
        },
        ..CASE
    });
}

/// Checks that the messages of a cargo are written before the cargo is remembered.
fn unpack_left(scene: &Scene, _: &[u8]) {
    if is_remembered_by(scene, "hub") {
        assert_eq!(
            scene.results().concat(),
            first_messages(scene),
            "remembered before it was unpacked"
        );
    }
}

/// The messages in `in/first.cargo`. By name, the parcel comes before its acknowledgement.
fn first_messages(scene: &Scene) -> Vec<u8> {
    ["in/first.parcel", "in/first.pca"]
        .map(|name| fs::read(scene.path(name)).unwrap())
        .concat()
}

fn unpack_proof(scene: &Scene, _: &[Vec<u8>]) {
    assert_eq!(scene.results().concat(), first_messages(scene));
    let args = ["-q", "-N", "hub", "-d", "tmp", "in/first.cargo"];
    scene.run("relay-unpack-cargo", &args, SECOND).expect(82);
}

const UNPACK: Case<'static> = Case {
    program: "relay-unpack-cargo",
    nodes: &["gateways/hub"],
    now: FIRST,
    order: &["out/", "hub/peers/", "hub/seen/"],
    left: unpack_left,
    next: |scene| {
        if is_remembered_by(scene, "hub") {
            82
        } else {
            0
        }
    },
    proof: unpack_proof,
    ..CASE
};

#[test]
fn unpack_cargo_into_a_directory() {
    sweep(&Case {
        name: "unpack-cargo -d DIR",
        args: &["-q", "-N", "hub", "-d", "out", "in/first.cargo"],
        ..UNPACK
    });
}

#[test]
fn unpack_cargo_into_a_file() {
    sweep(&Case {
        name: "unpack-cargo -o FILE",
        args: &["-q", "-N", "hub", "-o", "out/messages", "in/first.cargo"],
        ..UNPACK
    });
}

/// A cargo whose messages could not be written was remembered, and the next run said that it had been unpacked.
#[test]
fn unpack_cargo_whatever_the_system_answers() {
    for output in [["-d", "out"], ["-o", "out/messages"]] {
        let args = ["-q", "-N", "hub", output[0], output[1], "in/first.cargo"];
        sweep_errnos(&Case {
            args: &args,
            ..UNPACK
        });
    }
}

#[test]
fn open_whatever_the_system_answers() {
    for options in [
        &["-d", "out"][..],
        &["-d", "out", "--keep-name"],
        &["-o", "out/x"],
    ] {
        let args = [&["-q", "-N", "alice"], options, &["in/first.parcel"]].concat();
        sweep_errnos(&Case {
            args: &args,
            ..OPEN
        });
    }
}

#[test]
fn acknowledge() {
    sweep(&Case {
        name: "ack -d DIR",
        program: "relay-ack",
        args: &["-q", "-d", "out", "in/first.parcel"],
        now: FIRST,
        order: &["out/"],
        proof: |scene, _| {
            let pca = fs::read(scene.path("in/first.pca")).unwrap();
            assert_eq!(scene.results(), [pca]);
        },
        ..CASE
    });
}

// Where files can be named only by replacing others

/// 73 if a run was killed after it took the name, and before it wrote that it is only taken: nobody can tell
/// such a file from a user's.
fn if_taken(scene: &Scene, done: i32) -> i32 {
    let files = scene.files("out").into_iter();
    let mut files = files.filter(|path| !is_temporary(path) && scene.path(path).is_file());
    match files.find(|path| is_incomplete(&fs::read(scene.path(path)).unwrap())) {
        Some(path) if !is_placeholder(&fs::read(scene.path(&path)).unwrap()) => 73,
        Some(_) => 0,
        None => done,
    }
}

#[test]
fn seal_into_a_file_by_a_placeholder() {
    sweep(&Case {
        name: "seal -o FILE, by a placeholder",
        args: &[
            "-q",
            "-N",
            "bob",
            "-t",
            "alice",
            "-o",
            "out/parcel",
            "in/report.txt",
        ],
        now: SECOND,
        nodes: &["sealed/bob"],
        order: &["bob/sessions/", "out/"],
        is_bare: true,
        next: |scene| if_taken(scene, if_there(scene, "out/parcel", 73)),
        force: Some("-f"),
        ..SEAL
    });
}

#[test]
fn open_into_a_directory_by_a_placeholder() {
    sweep(&Case {
        name: "open -d DIR, by a placeholder",
        args: &["-q", "-N", "alice", "-d", "out", "in/first.parcel"],
        order: &["out/", "alice/peers/", "alice/sessions/", "alice/seen/"],
        is_bare: true,
        next: |scene| if_taken(scene, if is_remembered(scene) { 82 } else { 0 }),
        force: Some("-f"),
        ..OPEN
    });
}

#[test]
fn export_by_a_placeholder() {
    sweep(&Case {
        name: "export -o FILE, by a placeholder",
        program: "relay-export",
        args: &["-q", "-N", "carol", "-o", "out/carol.ncp"],
        now: MONTH,
        nodes: &["alone/carol"],
        order: &["carol/sessions/any/", "out/"],
        left: export_left,
        is_bare: true,
        next: |scene| if_taken(scene, if_there(scene, "out/carol.ncp", 73)),
        force: Some("-f"),
        proof: export_proof,
        ..CASE
    });
}

#[test]
fn deliver_into_a_directory_by_a_placeholder() {
    sweep(&Case {
        name: "deliver --dir DIR, by a placeholder",
        args: &["-q", "-N", "alice", "--dir", "out"],
        is_bare: true,
        // A name that nobody can tell from a user's file is left to it.
        unfinished: &["out/"],
        ..DELIVER
    });
}

#[test]
fn deliver_keeping_the_name_by_a_placeholder() {
    sweep(&Case {
        name: "deliver --dir DIR --keep-name, by a placeholder",
        args: &["-q", "-N", "alice", "--dir", "out", "--keep-name"],
        order: &[
            "alice/spool/delivering/",
            "out/bob/report.txt",
            "alice/spool/sent/",
            "alice/peers/",
            "alice/sessions/",
            "alice/seen/",
        ],
        is_bare: true,
        unfinished: &["out/", "alice/spool/delivering/"],
        ..DELIVER
    });
}

// relay-split, relay-join

/// Checks that the parts can be joined.
fn split_proof(scene: &Scene, printed: &[Vec<u8>]) {
    let parts = match scene.results() {
        none if none.is_empty() => printed.last().unwrap().clone(),
        results => results.concat(),
    };
    let file = scene.keep("parts", &parts);
    let joined = scene.run("relay-join", &["-q", &file], START);
    joined.expect(0);
    assert_eq!(joined.stdout, CONTENT);
}

const SPLIT: Case = Case {
    program: "relay-split",
    proof: split_proof,
    ..CASE
};

#[test]
fn split_to_stdout() {
    sweep(&Case {
        name: "split to stdout",
        args: &[
            "-q",
            "--size",
            "10",
            "--transfer",
            TRANSFER,
            "in/report.txt",
        ],
        order: &["-"],
        ..SPLIT
    });
}

#[test]
fn split_into_a_file() {
    sweep(&Case {
        name: "split -o FILE",
        args: &[
            "-q",
            "--size",
            "10",
            "--transfer",
            TRANSFER,
            "-o",
            "out/parts",
            "in/report.txt",
        ],
        order: &["out/"],
        ..SPLIT
    });
}

#[test]
fn split_into_a_directory() {
    sweep(&Case {
        name: "split -d DIR",
        args: &[
            "-q",
            "--size",
            "10",
            "--transfer",
            TRANSFER,
            "-d",
            "out",
            "in/report.txt",
        ],
        order: &["out/"],
        ..SPLIT
    });
}

/// Checks that only whole content has a name, and that what was printed is a start of it.
fn join_left(scene: &Scene, stdout: &[u8]) {
    assert!(CONTENT.starts_with(stdout), "something else");
    let results = scene.results();
    assert!(results.iter().all(|result| result == CONTENT));
    assert!(results.len() <= 1);
}

const JOIN: Case = Case {
    program: "relay-join",
    left: join_left,
    proof: |scene, _| assert_eq!(scene.results(), [CONTENT]),
    ..SPOOL
};

#[test]
fn join_to_stdout() {
    sweep(&Case {
        name: "join to stdout",
        args: &["-q", "in/report.parts"],
        order: &["-"],
        proof: |_, printed| assert_eq!(printed.last().unwrap(), CONTENT),
        ..JOIN
    });
}

#[test]
fn join_into_a_file() {
    sweep(&Case {
        name: "join -o FILE",
        args: &["-q", "-o", "out/report", "in/report.parts"],
        order: &["out/report"],
        ..JOIN
    });
}

#[test]
fn join_over_a_file() {
    sweep(&Case {
        name: "join -f -o FILE",
        args: &["-q", "-f", "-o", "out/report", "in/report.parts"],
        order: &["out/report"],
        ..JOIN
    });
}

#[test]
fn join_into_a_directory() {
    sweep(&Case {
        name: "join -d DIR",
        args: &["-q", "-d", "out", "in/report.parts"],
        order: &["out/"],
        ..JOIN
    });
}

/// Checks that parts are removed only when the content is there.
fn join_and_remove_left(scene: &Scene, stdout: &[u8]) {
    join_left(scene, stdout);
    if scene.results().is_empty() {
        assert_eq!(scene.files("box").len(), 4, "parts were removed too early");
    }
}

#[test]
fn join_and_remove() {
    sweep(&Case {
        name: "join --remove -o FILE",
        args: &["-q", "--remove", "-o", "out/report", "box"],
        nodes: &["parts/box"],
        order: &["out/report"],
        left: join_and_remove_left,
        ..JOIN
    });
}

#[test]
fn join_and_remove_keeping_the_name() {
    sweep(&Case {
        name: "join --remove -d DIR --keep-name",
        args: &["-q", "--remove", "-d", "out", "--keep-name", "box"],
        nodes: &["parts/box"],
        order: &["out/report"],
        left: join_and_remove_left,
        ..JOIN
    });
}

// The spool

/// The messages in a queue of a node's spool.
fn queue(scene: &Scene, path: &str) -> Vec<Vec<u8>> {
    let dir = format!("{path}/");
    let files = scene.files(path);
    let messages = files
        .iter()
        .filter(|file| file.starts_with(&dir) && file.ends_with(".parcel"));
    messages
        .map(|file| fs::read(scene.path(file)).unwrap())
        .collect()
}

fn first(scene: &Scene) -> Vec<Vec<u8>> {
    vec![fs::read(scene.path("in/first.parcel")).unwrap()]
}

/// Checks that the first parcel is in the spool once, in any queue.
fn is_once(scene: &Scene, node: &str) {
    assert_eq!(queue(scene, &format!("{node}/spool")), first(scene));
}

#[test]
fn put() {
    sweep(&Case {
        name: "put",
        program: "relay-put",
        args: &["-q", "-N", "hub", "in/first.parcel"],
        now: FIRST,
        nodes: &["gateways/hub"],
        order: &["hub/spool/in/", "-"],
        left: |scene, stdout| {
            if !stdout.is_empty() {
                is_once(scene, "hub");
            }
        },
        proof: |scene, _| assert_eq!(queue(scene, "hub/spool/in"), first(scene)),
        ..SPOOL
    });
}

#[test]
fn route_to_the_next_hop() {
    sweep(&Case {
        name: "route to a next hop",
        program: "relay-route",
        args: &["-q", "-N", "hub"],
        now: FIRST,
        nodes: &["queued/hub"],
        order: &["hub/spool/sent/", "hub/spool/out/"],
        left: |scene, _| is_once(scene, "hub"),
        proof: |scene, _| {
            let out = format!("hub/spool/out/{}", scene.world().id("field"));
            assert_eq!(queue(scene, &out), first(scene));
        },
        ..SPOOL
    });
}

#[test]
fn route_to_nowhere() {
    sweep(&Case {
        name: "route, set aside",
        program: "relay-route",
        args: &["-q", "-N", "hub"],
        now: FIRST,
        nodes: &["unroutable/hub"],
        order: &["hub/spool/sent/", "hub/spool/failed/"],
        left: |scene, _| is_once(scene, "hub"),
        proof: |scene, _| assert_eq!(queue(scene, "hub/spool/failed"), first(scene)),
        ..SPOOL
    });
}

#[test]
fn route_one_too_many() {
    sweep(&Case {
        name: "route, one over the rate",
        program: "relay-route",
        args: &["-q", "-N", "hub"],
        now: FIRST,
        nodes: &["limited/hub"],
        order: &["hub/rates/", "hub/spool/failed/"],
        left: |scene, _| {
            assert_eq!(queue(scene, "hub/spool").len(), 2);
            let files = scene.files("hub/spool").into_iter();
            let out = files
                .filter(|file| file.starts_with("hub/spool/out/") && file.ends_with(".parcel"));
            assert!(out.count() <= 1);
        },
        proof: |scene, _| {
            for place in ["out", "failed"] {
                assert_eq!(
                    queue(scene, &format!("hub/spool/{place}")).len(),
                    1,
                    "{place}"
                );
            }
        },
        ..SPOOL
    });
}

#[test]
fn route_acknowledgements() {
    sweep(&Case {
        name: "route, an acknowledgement",
        program: "relay-route",
        args: &["-q", "-N", "field"],
        now: FIRST,
        nodes: &["acked/field"],
        order: &["field/spool/sent/"],
        // That a message went on may count twice, which costs one of the three times that it is taken again.
        unfinished: &["field/seen/"],
        left: |scene, _| {
            // It goes only when it is noted why.
            let noted = scene.files("field/spool/sent").iter().any(|file| {
                let text = fs::read_to_string(scene.path(file)).unwrap_or_default();
                text.contains("\"acknowledged\"")
            });
            assert!(noted || queue(scene, "field/spool/out") == first(scene));
        },
        proof: |scene, _| {
            assert_eq!(queue(scene, "field/spool"), [[0; 0]; 0]);
            let control = scene.files("field/spool/control");
            assert!(!control.iter().any(|file| file.contains("Z.pca")));
        },
        ..SPOOL
    });
}

#[test]
fn route_what_ends() {
    sweep(&Case {
        name: "route, a rotation and a twin that end",
        program: "relay-route",
        args: &["-q", "-N", "hub"],
        now: FIRST,
        nodes: &["unfit/hub"],
        order: &["hub/spool/failed/"],
        left: |scene, _| {
            // The rotation is in one of both places, and the parcel stays where it was set aside.
            let files = scene.files("hub/spool");
            let rotations = files
                .iter()
                .filter(|file| file.split(".rotation").nth(1) == Some(""));
            assert_eq!(rotations.count(), 1, "{files:?}");
            assert_eq!(queue(scene, "hub/spool/failed"), first(scene));
        },
        proof: |scene, _| {
            is_once(scene, "hub");
            let mut failed = scene.files("hub/spool/failed");
            failed.retain(|file| scene.path(file).is_file() && !is_temporary(file));
            assert_eq!(failed.len(), 4, "{failed:?}");
        },
        ..SPOOL
    });
}

/// Checks that live data is kept, and that removals are noted first: the end of a parcel, and how far the
/// removed memory reached.
fn purge_left(scene: &Scene, _: &[u8]) {
    let out = format!("field/spool/out/{}", scene.world().id("hub"));
    let waiting = queue(scene, &out);
    let long = fs::read(scene.path("in/long.parcel")).unwrap();
    assert!(waiting.contains(&long), "what lives went");
    let first = fs::read(scene.path("in/first.parcel")).unwrap();
    let is_noted = || {
        let text = fs::read_to_string(scene.path("field/spool/sent/2027-01-10"));
        text.is_ok_and(|text| text.contains("\"expired\""))
    };
    assert!(waiting.contains(&first) || is_noted(), "it went unnoted");
    if !scene.path("field/seen/2026-12-15").exists() {
        let floor = fs::read_to_string(scene.path("field/seen/floor")).unwrap();
        assert_eq!(floor, "2026-12-15T23:59:59Z\n");
    }
}

#[test]
fn purge() {
    sweep(&Case {
        name: "purge",
        program: "relay-purge",
        args: &["-q", "-N", "field"],
        now: LATE,
        nodes: &["worn/field"],
        order: &["field/spool/clock", "field/spool/sent/", "field/seen/floor"],
        left: purge_left,
        proof: |scene, _| {
            let long = fs::read(scene.path("in/long.parcel")).unwrap();
            assert_eq!(queue(scene, "field/spool"), [long]);
            let hub = scene.world().id("hub");
            let count = |dir: &str| scene.files(&format!("field/{dir}")).len();
            for (dir, left) in [
                (&*format!("sessions/{hub}"), 2),
                (&*format!("peers/{hub}/given"), 1),
                ("seen", 1),
                ("strangers", 0),
                ("spool/failed", 0),
                ("spool/carried", 0),
                ("spool/sent", 3),
            ] {
                assert_eq!(count(dir), left, "{dir}");
            }
            scene.add("worn/hub");
            let args = ["-q", "-N", "field", "-t", "hub", "-o", "tmp/cca"];
            scene.run("relay-request-cargo", &args, LATE).expect(0);
            let mut args = vec!["-q", "-N", "hub", "--cca", "tmp/cca"];
            args.extend(["-o", "tmp/cargo", "in/long.parcel"]);
            scene.run("relay-pack-cargo", &args, LATE).expect(0);
            let args = ["-q", "-N", "field", "tmp/cargo"];
            scene.run("relay-unpack-cargo", &args, LATE).expect(0);
        },
        ..SPOOL
    });
}

/// Checks that a message is removed only when it is remembered, and remembered only when its content is
/// delivered and the sender's session key is stored.
fn deliver_left(scene: &Scene, stdout: &[u8]) {
    let is_there = !queue(scene, "alice/spool/home").is_empty();
    assert!(
        is_there || is_remembered(scene),
        "gone before it was remembered"
    );
    open_left(scene, stdout);
}

/// Checks that the content is there once, that nothing waits, and that an answer opens at the sender.
fn deliver_proof(scene: &Scene, printed: &[Vec<u8>]) {
    assert_eq!(queue(scene, "alice/spool"), [[0; 0]; 0]);
    open_proof(scene, printed);
}

const DELIVER: Case = Case {
    program: "relay-deliver",
    nodes: &["arrived/alice"],
    now: SECOND,
    order: &[
        "out/",
        "alice/spool/sent/",
        "alice/peers/",
        "alice/sessions/",
        "alice/seen/",
    ],
    left: deliver_left,
    proof: deliver_proof,
    ..SPOOL
};

#[test]
fn deliver_into_a_directory() {
    sweep(&Case {
        name: "deliver --dir DIR",
        args: &["-q", "-N", "alice", "--dir", "out"],
        ..DELIVER
    });
}

#[test]
fn deliver_keeping_the_name() {
    sweep(&Case {
        name: "deliver --dir DIR --keep-name",
        args: &["-q", "-N", "alice", "--dir", "out", "--keep-name"],
        order: &[
            "alice/spool/delivering/",
            "out/bob/report.txt",
            "alice/spool/sent/",
            "alice/peers/",
            "alice/sessions/",
            "alice/seen/",
        ],
        ..DELIVER
    });
}

/// Checks that a directory is there whole or not at all, and that its message is remembered only when it is.
fn tree_left(scene: &Scene, _: &[u8]) {
    let is_whole = scene.results() == [CONTENT];
    assert!(is_whole || scene.results().is_empty(), "half of it");
    assert!(is_whole || !is_remembered(scene), "remembered too early");
    let is_there = !queue(scene, "alice/spool/home").is_empty();
    assert!(is_there || is_remembered(scene), "gone too early");
}

/// Checks that the directory is there once, and that an answer opens at the sender.
fn tree_proof(scene: &Scene, folder: &str, sender: &str) {
    let files = scene.files("out").into_iter();
    let found: Vec<_> = files.filter(|path| !is_in_temporary(path)).collect();
    let found: Vec<_> = found.iter().filter(|path| *path != folder).collect();
    // It has another name if the first one was refused.
    let [top, inner, file] = found[..] else {
        panic!("{found:?}");
    };
    assert!(top.starts_with(&format!("{folder}/")));
    assert_eq!(*inner, format!("{top}/d"));
    assert_eq!(*file, format!("{top}/report.txt"));
    assert_eq!(scene.results(), [CONTENT]);
    scene.add(sender);
    deliver(scene, "alice", "bob", "bob", ANSWER);
}

#[test]
fn deliver_a_directory() {
    sweep(&Case {
        name: "deliver --dir DIR --extract",
        args: &["-q", "-N", "alice", "--dir", "out", "--extract"],
        nodes: &["treed/alice"],
        order: &[
            "alice/spool/delivering/",
            "out/bob/photos",
            "alice/spool/sent/",
            "alice/peers/",
            "alice/sessions/",
            "alice/seen/",
        ],
        left: tree_left,
        proof: |scene, _| {
            assert_eq!(queue(scene, "alice/spool"), [[0; 0]; 0]);
            tree_proof(scene, "out/bob", "treed/bob");
        },
        ..DELIVER
    });
}

#[test]
fn deliver_into_a_maildir() {
    sweep(&Case {
        name: "deliver --maildir DIR",
        args: &["-q", "-N", "alice", "--maildir", "out"],
        dirs: &["out/tmp", "out/new", "out/cur"],
        order: &[
            "alice/spool/delivering/",
            "out/new/",
            "alice/spool/sent/",
            "alice/peers/",
            "alice/sessions/",
            "alice/seen/",
        ],
        left: |scene, _| {
            let is_there = !queue(scene, "alice/spool/home").is_empty();
            assert!(
                is_there || is_remembered(scene),
                "gone before it was remembered"
            );
            assert!(!is_remembered(scene) || scene.results().len() == 1);
        },
        proof: |scene, _| {
            assert_eq!(scene.results().len(), 1, "not one mail");
            assert_eq!(queue(scene, "alice/spool"), [[0; 0]; 0]);
        },
        ..DELIVER
    });
}

#[test]
fn deliver_to_a_command() {
    sweep(&Case {
        name: "deliver -- COMMAND",
        args: &[
            "-q",
            "-N",
            "alice",
            "--",
            "/bin/sh",
            "-c",
            "/bin/cat > out/content",
        ],
        order: &[
            "alice/spool/sent/",
            "alice/peers/",
            "alice/sessions/",
            "alice/seen/",
        ],
        ..DELIVER
    });
}

#[test]
fn deliver_to_a_command_that_refuses() {
    sweep(&Case {
        name: "deliver, refused by COMMAND",
        args: &["-q", "-N", "alice", "--", "/bin/sh", "-c", "exit 65"],
        order: &["alice/spool/sent/", "alice/spool/failed/"],
        left: |scene, _| is_once(scene, "alice"),
        proof: |scene, _| {
            assert_eq!(queue(scene, "alice/spool/failed"), first(scene));
            let failed = scene.files("alice/spool/failed");
            let path = failed.iter().find(|path| path.ends_with(".parcel"));
            let name = path.unwrap().rsplit('/').next().unwrap();
            let args = ["-q", "-N", "alice", "--retry", name];
            scene.run("relay-route", &args, SECOND).expect(0);
            let args = ["-q", "-N", "alice", "--", "/bin/cat"];
            let delivered = scene.run("relay-deliver", &args, SECOND);
            assert_eq!(delivered.expect(0).stdout, CONTENT);
        },
        ..DELIVER
    });
}

/// Checks that parts are removed only when their content is remembered, and that only when it is delivered.
fn parts_left(scene: &Scene, _: &[u8]) {
    let waiting = queue(scene, "alice/spool/home").len();
    assert!(
        waiting == 4 || is_remembered(scene),
        "gone before remembered"
    );
    let is_there = scene.results() == [CONTENT];
    assert!(is_there || !is_remembered(scene), "remembered too early");
    assert!(is_there || scene.results().is_empty());
}

/// Checks that the content is there once, that nothing waits, and that an answer opens at the sender.
fn parts_proof(scene: &Scene, _: &[Vec<u8>]) {
    assert_eq!(queue(scene, "alice/spool"), [[0; 0]; 0]);
    assert_eq!(scene.results(), [CONTENT], "not the content once");
    scene.add("parted/bob");
    deliver(scene, "alice", "bob", "bob", ANSWER);
}

const JOIN_PARTS: Case = Case {
    nodes: &["parted/alice"],
    left: parts_left,
    proof: parts_proof,
    ..DELIVER
};

#[test]
fn deliver_parts_into_a_directory() {
    sweep(&Case {
        name: "deliver parts --dir DIR",
        args: &["-q", "-N", "alice", "--dir", "out"],
        ..JOIN_PARTS
    });
}

#[test]
fn deliver_parts_keeping_the_name() {
    sweep(&Case {
        name: "deliver parts --dir DIR --keep-name",
        args: &["-q", "-N", "alice", "--dir", "out", "--keep-name"],
        order: &[
            "alice/spool/delivering/",
            "out/bob/",
            "alice/spool/sent/",
            "alice/peers/",
            "alice/sessions/",
            "alice/seen/",
        ],
        ..JOIN_PARTS
    });
}

#[test]
fn deliver_parts_of_a_directory() {
    sweep(&Case {
        name: "deliver parts --dir DIR --extract",
        args: &["-q", "-N", "alice", "--dir", "out", "--extract"],
        nodes: &["piecemeal/alice"],
        order: &[
            "alice/spool/delivering/",
            "out/bob/",
            "alice/spool/sent/",
            "alice/peers/",
            "alice/sessions/",
            "alice/seen/",
        ],
        left: |scene, _| {
            let is_whole = scene.results() == [CONTENT];
            assert!(is_whole || scene.results().is_empty(), "half of it");
            assert!(is_whole || !is_remembered(scene), "remembered too early");
            let is_there = !queue(scene, "alice/spool/home").is_empty();
            assert!(is_there || is_remembered(scene), "gone too early");
        },
        proof: |scene, _| {
            assert_eq!(queue(scene, "alice/spool"), [[0; 0]; 0]);
            tree_proof(scene, "out/bob", "piecemeal/bob");
        },
        ..JOIN_PARTS
    });
}

#[test]
fn deliver_parts_to_a_command() {
    sweep(&Case {
        name: "deliver parts -- COMMAND",
        args: &[
            "-q",
            "-N",
            "alice",
            "--",
            "/bin/sh",
            "-c",
            "/bin/cat > out/content",
        ],
        order: &[
            "alice/spool/sent/",
            "alice/peers/",
            "alice/sessions/",
            "alice/seen/",
        ],
        ..JOIN_PARTS
    });
}

#[test]
fn deliver_an_authorization() {
    sweep(&Case {
        name: "deliver an authorization",
        args: &["-q", "-N", "bob", "--dir", "out"],
        nodes: &["arrived/bob"],
        now: RENEWED,
        order: &["bob/peers/", "bob/spool/sent/", "bob/seen/"],
        left: |scene, _| {
            assert_eq!(scene.results().len(), 0, "it is for the node alone");
            let is_there = !queue(scene, "bob/spool/home").is_empty();
            assert!(is_there || is_remembered_by(scene, "bob"));
            if is_remembered_by(scene, "bob") {
                let held = scene.files("bob/peers").into_iter();
                let held = held.filter(|path| path.contains("/held/") && !is_temporary(path));
                assert_eq!(held.count(), 2, "remembered without the authorization");
            }
        },
        proof: |scene, _| {
            assert_eq!(queue(scene, "bob/spool"), [[0; 0]; 0]);
            scene.add("renewed/alice");
            deliver(scene, "bob", "alice", "alice", RENEWED);
        },
        ..DELIVER
    });
}

pub(crate) fn is_remembered_by(scene: &Scene, node: &str) -> bool {
    let files = scene.files(&format!("{node}/seen"));
    files
        .iter()
        .any(|path| fs::metadata(scene.path(path)).unwrap().len() >= 32)
}

/// Packs the first parcel as `args` say, and `to` unpacks it.
fn carry(scene: &Scene, args: &[&str], to: &str) {
    let packed = scene.run("relay-pack-cargo", args, FIRST);
    packed.expect(0);
    let file = scene.keep("cargo", &packed.stdout);
    unpack(scene, to, &file);
}

/// A gateway unpacks the first parcel.
fn unpack(scene: &Scene, gateway: &str, cargo: &str) {
    let unpacked = scene.run("relay-unpack-cargo", &["-q", "-N", gateway, cargo], FIRST);
    unpacked.expect(0);
    assert_eq!(
        unpacked.stdout,
        fs::read(scene.path("in/first.parcel")).unwrap()
    );
}

// What shows that nodes work

/// This status if the file is there, else 0.
pub(crate) fn if_there(scene: &Scene, file: &str, status: i32) -> i32 {
    if scene.path(file).exists() { status } else { 0 }
}

/// `node` imports `file` under the name `peer`.
pub(crate) fn import(scene: &Scene, node: &str, file: &str, now: &str) {
    let args = ["-q", "-N", node, "--name", "peer", file];
    scene.run("relay-import", &args, now).expect(0);
}

/// `from` seals for `to`, which it calls `name`, and `to` opens it.
pub(crate) fn deliver(scene: &Scene, from: &str, name: &str, to: &str, now: &str) {
    let args = ["-q", "-N", from, "-t", name, "in/report.txt"];
    let sealed = scene.run("relay-seal", &args, now);
    sealed.expect(0);
    let file = scene.keep("message", &sealed.stdout);
    let opened = scene.run("relay-open", &["-q", "-N", to, &file], now);
    opened.expect(0);
    assert_eq!(opened.stdout, CONTENT);
}
