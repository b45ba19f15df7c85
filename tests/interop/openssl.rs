//! What we seal, as `openssl cms` verifies and decrypts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use relaynet::message::{CargoMessageSet, CollectionRequest, ServiceMessage};
use relaynet::node::Directory;
use relaynet::ramf::SignedMessage;

/// Runs one of our programs in `dir`.
fn relay(dir: &Path, program: &str, args: &[&str]) {
    let program = Path::new(env!("CARGO_BIN_EXE_relay-open")).with_file_name(program);
    let output = Command::new(program)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .args(args)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs `openssl cms` in `dir`; false if there is no openssl, which a CI must have.
fn openssl(dir: &Path, args: &[&str]) -> bool {
    match Command::new("openssl")
        .current_dir(dir)
        .arg("cms")
        .args(args)
        .stdin(Stdio::null())
        .output()
    {
        Ok(output) => {
            assert!(
                output.status.success(),
                "{args:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            true
        }
        Err(error) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "openssl cannot be run: {error}"
            );
            eprintln!("SKIPPED: openssl cannot be run: {error}");
            false
        }
    }
}

/// What openssl makes of a message, whose sender `trusted.pem` has issued: it verifies the signature and
/// decrypts the payload. None if there is no openssl.
fn open(dir: &Path, file: &str, key: &Path) -> Option<Vec<u8>> {
    let octets = fs::read(dir.join(file)).unwrap();
    fs::write(dir.join("signed"), &octets[7..]).unwrap();
    let verify = "-verify -binary -inform DER -in signed -out fields -CAfile trusted.pem -partial_chain -purpose any";
    if !openssl(dir, &verify.split(' ').collect::<Vec<_>>()) {
        return None;
    }
    let message = SignedMessage::parse(octets).unwrap();
    let fields = fs::read(dir.join("fields")).unwrap();
    assert!(
        fields.ends_with(message.payload()),
        "what openssl verified does not end with the payload"
    );
    fs::write(dir.join("sealed"), message.payload()).unwrap();
    let decrypt = "-decrypt -binary -inform DER -in sealed -out opened -inkey";
    let mut decrypt: Vec<&str> = decrypt.split(' ').collect();
    decrypt.push(key.to_str().unwrap());
    openssl(dir, &decrypt);
    Some(fs::read(dir.join("opened")).unwrap())
}

/// The certificates that a node issued to itself, for openssl to trust.
fn trust(dir: &Path, node: &str) {
    let certificates: Vec<u8> = fs::read_dir(dir.join(node).join("certs"))
        .unwrap()
        .flat_map(|issuer| fs::read_dir(issuer.unwrap().path()).unwrap())
        .flat_map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    fs::write(dir.join("trusted.pem"), certificates).unwrap();
}

/// The file in which a node has the only session key of its only peer.
fn session_key(dir: &Path, node: &str) -> PathBuf {
    let only = |dir: PathBuf| fs::read_dir(dir).unwrap().next().unwrap().unwrap();
    let peer = only(dir.join(node).join("peers")).file_name();
    only(dir.join(node).join("sessions").join(peer)).path()
}

#[test]
fn openssl_verifies_and_decrypts_our_cargo_and_ccas() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    for line in [
        "relay-keygen --type gateway --address hub.example.org hub",
        "relay-keygen --type gateway field",
        "relay-export -N field -o field.pub",
        "relay-register -N hub --name field -o field.pnr field.pub",
        "relay-import -N field --name hub field.pnr",
        "relay-keygen alice",
        "relay-keygen bob",
        "relay-export -N bob -o bob.pub",
        "relay-authorize -N alice -o alice.conn bob.pub",
        "relay-import -N bob --name alice alice.conn",
        "relay-seal -N bob -t alice -o x.parcel bob.pub",
        "relay-pack-cargo -N field -t hub -o x.cargo x.parcel x.parcel",
        "relay-request-cargo -N field -t hub -o x.cca",
    ] {
        let (program, rest) = line.split_once(' ').unwrap();
        relay(dir, program, &rest.split(' ').collect::<Vec<_>>());
    }
    trust(dir, "hub");
    let key = session_key(dir, "hub");
    let Some(opened) = open(dir, "x.cargo", &key) else {
        return;
    };
    let parcel = fs::read(dir.join("x.parcel")).unwrap();
    let set = CargoMessageSet::parse(opened).unwrap();
    assert_eq!(set.messages().collect::<Vec<_>>(), [&parcel, &parcel]);

    let opened = open(dir, "x.cca", &key).unwrap();
    let request = CollectionRequest::parse_within(&opened, 0..opened.len()).unwrap();
    let hub = Directory::open(&dir.join("hub")).unwrap();
    assert_eq!(request.authorization.id(), hub.id());
}

#[test]
fn openssl_verifies_and_decrypts_what_we_seal() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    relay(dir, "relay-keygen", &["alice"]);
    relay(dir, "relay-keygen", &["bob"]);
    relay(dir, "relay-export", &["-N", "bob", "-o", "bob.pub"]);
    relay(
        dir,
        "relay-authorize",
        &[
            "-N",
            "alice",
            "--name",
            "bob",
            "-o",
            "alice.conn",
            "bob.pub",
        ],
    );
    relay(
        dir,
        "relay-import",
        &["-N", "bob", "--name", "alice", "alice.conn"],
    );
    trust(dir, "alice");
    let key = session_key(dir, "alice");

    for (cipher, len) in [
        ("aes-128-cbc", 0),
        ("aes-128-cbc", 100_000),
        ("aes-192-cbc", 17),
        ("aes-256-cbc", 1024),
    ] {
        let content: Vec<u8> = (0..len).map(|at: usize| at.to_le_bytes()[0]).collect();
        fs::write(dir.join("content"), &content).unwrap();
        relay(
            dir,
            "relay-seal",
            &[
                "-N", "bob", "-t", "alice", "--cipher", cipher, "-f", "-o", "x.parcel", "content",
            ],
        );
        let Some(opened) = open(dir, "x.parcel", &key) else {
            return;
        };
        let opened = ServiceMessage::parse(opened).unwrap();
        assert!(
            opened.content() == content,
            "{cipher}, {len} octets: other content"
        );
    }
}
