//! What we seal, as `openssl cms` verifies and decrypts it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use relaynet::message::ServiceMessage;
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
    let bob = fs::read_dir(dir.join("alice/peers"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .file_name();
    let keys = dir.join("alice/sessions").join(bob);
    let key = fs::read_dir(keys).unwrap().next().unwrap().unwrap().path();
    let certificates: Vec<u8> = fs::read_dir(dir.join("alice/certs"))
        .unwrap()
        .flat_map(|issuer| fs::read_dir(issuer.unwrap().path()).unwrap())
        .flat_map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    fs::write(dir.join("trusted.pem"), certificates).unwrap();

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
        let parcel = fs::read(dir.join("x.parcel")).unwrap();
        fs::write(dir.join("signed"), &parcel[7..]).unwrap();
        let verify = [
            "-verify",
            "-binary",
            "-inform",
            "DER",
            "-in",
            "signed",
            "-out",
            "fields",
            "-CAfile",
            "trusted.pem",
            "-partial_chain",
            "-purpose",
            "any",
        ];
        if !openssl(dir, &verify) {
            return;
        }
        let message = SignedMessage::parse(parcel).unwrap();
        let fields = fs::read(dir.join("fields")).unwrap();
        assert!(
            fields.ends_with(message.payload()),
            "what openssl verified does not end with the payload"
        );
        fs::write(dir.join("sealed"), message.payload()).unwrap();
        let key = key.to_str().unwrap();
        openssl(
            dir,
            &[
                "-decrypt", "-binary", "-inform", "DER", "-in", "sealed", "-inkey", key, "-out",
                "opened",
            ],
        );
        let opened = ServiceMessage::parse(fs::read(dir.join("opened")).unwrap()).unwrap();
        assert!(
            opened.content() == content,
            "{cipher}, {len} octets: other content"
        );
    }
}
