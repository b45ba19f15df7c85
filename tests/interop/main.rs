//! Files that other implementations made, held against what they say of them (README.md here).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

mod openssl;
mod reference;

/// Where the vectors are.
fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

/// A line of EXPECT with its facts.
struct Entry {
    scenario: String,
    name: String,
    op: String,
    file: String,
    status: i32,
    args: Value,
    content: Value,
    facts: Value,
}

/// Every entry, and the instant that each scenario is judged at.
fn entries() -> (Vec<Entry>, BTreeMap<String, String>) {
    let mut lines = BTreeMap::new();
    for line in fs::read_to_string(vectors().join("facts.json"))
        .unwrap()
        .lines()
    {
        let line: Value = serde_json::from_str(line).unwrap();
        lines.insert(line["key"].as_str().unwrap().to_owned(), line);
    }
    let instants = ["alpha", "jvm"].map(|scenario| {
        (
            scenario.to_owned(),
            lines[scenario]["validation_instant"]
                .as_str()
                .unwrap()
                .to_owned(),
        )
    });
    let expect = fs::read_to_string(vectors().join("EXPECT")).unwrap();
    let entries = expect.lines().map(|line| {
        let [scenario, name, _class, op, file, status, _why] =
            line.split('\t').collect::<Vec<_>>()[..]
        else {
            panic!("malformed line in EXPECT: {line}");
        };
        let facts = &lines[&format!("{scenario}/{name}")];
        Entry {
            scenario: scenario.to_owned(),
            name: name.to_owned(),
            op: op.to_owned(),
            file: file.to_owned(),
            status: status.parse().unwrap(),
            args: facts["args"].clone(),
            content: facts["content"].clone(),
            facts: facts["facts"].clone(),
        }
    });
    (entries.collect(), instants.into())
}

/// A directory in which an entry is judged, so that anything left behind is seen.
struct Bench {
    dir: tempfile::TempDir,
    now: String,
}

impl Bench {
    fn new(entry: &Entry, instants: &BTreeMap<String, String>) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            now: instants[&entry.scenario].clone(),
        }
    }

    /// Runs a program with the clock of the scenario.
    fn run(&self, program: &str, args: &[String]) -> Output {
        let mut command =
            Command::new(Path::new(env!("CARGO_BIN_EXE_relay-open")).with_file_name(program));
        command
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .args(args);
        if program != "relay-inspect" {
            command.args(["--now", &self.now, "--clock-drift", "0s"]);
        }
        command.output().unwrap()
    }

    /// The input of an entry: the vector, or a copy that is padded as the entry asks.
    fn input(&self, entry: &Entry) -> PathBuf {
        let file = vectors().join(&entry.file);
        let Some(len) = entry.args["pad_to"].as_u64() else {
            return file;
        };
        let mut octets = fs::read(file).unwrap();
        octets.resize(usize::try_from(len).unwrap(), 0);
        let padded = self.dir.path().join("padded");
        fs::write(&padded, octets).unwrap();
        padded
    }

    /// A private key with the mode that programs insist on.
    fn key(&self, file: &str) -> PathBuf {
        let key = self.dir.path().join("key");
        fs::copy(vectors().join(file), &key).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        key
    }

    /// The files that a run left, but for those that the test made.
    fn leftovers(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names
            .filter_map(|name| name.into_string().ok())
            .filter(|name| name != "key" && name != "padded")
            .collect()
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// `--option FILE` for each file that the entry gives under `key`.
fn options(entry: &Entry, key: &str, option: &str) -> Vec<String> {
    let files = entry.args[key].as_array().cloned().unwrap_or_default();
    files
        .iter()
        .flat_map(|file| {
            [
                option.to_owned(),
                text(&vectors().join(file.as_str().unwrap())),
            ]
        })
        .collect()
}

/// Runs `judge` on every entry with one of these ops, and reports all that disagree.
fn each(ops: &[&str], judge: impl Fn(&Entry, &Bench) -> Result<(), String>) {
    let (entries, instants) = entries();
    let chosen: Vec<_> = entries
        .iter()
        .filter(|entry| ops.contains(&entry.op.as_str()))
        .collect();
    assert!(!chosen.is_empty(), "no entry has one of the ops {ops:?}");
    let failures: Vec<String> = chosen
        .iter()
        .filter_map(|entry| {
            let bench = Bench::new(entry, &instants);
            let problem = judge(entry, &bench).err()?;
            Some(format!("{}/{}: {problem}", entry.scenario, entry.name))
        })
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        chosen.len(),
        failures.join("\n")
    );
}

/// Checks the status, and that a refusal has one line that says why and leaves nothing behind.
fn check_status(entry: &Entry, bench: &Bench, output: &Output) -> Result<(), String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(entry.status) {
        return Err(format!(
            "status {:?} in place of {}; {stderr}",
            output.status.code(),
            entry.status
        ));
    }
    let said: Vec<&str> = stderr
        .lines()
        .filter(|line| {
            !line.contains(": hint: ")
                && !line.contains("the time is taken to be")
                && !line.contains("over 180 days")
        })
        .collect();
    let expected = usize::from(entry.status != 0);
    if said.len() < expected || (expected == 1 && said.len() != 1) {
        return Err(format!("{} lines of diagnostics: {stderr}", said.len()));
    }
    if entry.status != 0 && !bench.leftovers().is_empty() {
        return Err(format!("left {:?}", bench.leftovers()));
    }
    Ok(())
}

/// Compares facts, naming the first that differs.
fn compare(pairs: &[(&str, &Value, &Value)]) -> Result<(), String> {
    for (name, ours, theirs) in pairs {
        if ours != theirs {
            return Err(format!("{name}: {ours} here, {theirs} there"));
        }
    }
    Ok(())
}

fn json_line(output: &Output) -> Result<Value, String> {
    let lines = String::from_utf8(output.stdout.clone()).map_err(|error| error.to_string())?;
    serde_json::from_str(&lines).map_err(|error| format!("{error}: {lines}"))
}

/// The facts that relay-inspect gives.
fn inspect(entry: &Entry, bench: &Bench) -> Result<Value, String> {
    json_line(&bench.run(
        "relay-inspect",
        &["--json".to_owned(), text(&bench.input(entry))],
    ))
}

/// The content that an entry's recipe describes.
fn expected_content(entry: &Entry) -> Vec<u8> {
    let len = usize::try_from(entry.content["length"].as_u64().unwrap()).unwrap();
    let label = entry.content["label"].as_str().unwrap();
    let mut content = Vec::with_capacity(len + 32);
    for block in 0.. {
        if content.len() >= len {
            break;
        }
        content.extend(relaynet::crypto::sha256(
            format!("{label}:{block}").as_bytes(),
        ));
    }
    content.truncate(len);
    content
}

/// Compares what relay-inspect shows of a message with the facts.
fn compare_message(entry: &Entry, bench: &Bench) -> Result<(), String> {
    let ours = inspect(entry, bench)?;
    let theirs = &entry.facts;
    let attached: Value = ours["attached"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["subject"].clone())
        .collect();
    compare(&[
        ("kind", &ours["kind"], &theirs["kind"]),
        ("id", &ours["id"], &theirs["id"]),
        ("recipient", &ours["recipient"], &theirs["recipient_id"]),
        (
            "address",
            &ours["address"],
            &theirs["recipient_internet_address"],
        ),
        ("date", &ours["date"], &theirs["creation_date"]),
        ("ttl", &ours["ttl"], &theirs["ttl"]),
        ("expiry", &ours["expiry"], &theirs["expiry_date"]),
        ("sender", &ours["sender"], &theirs["sender_id"]),
        (
            "payload",
            &ours["payload"]["sha256"],
            &theirs["payload_sha256"],
        ),
        (
            "session",
            &ours["payload"]["originator_key_id"],
            &theirs["originator_session_key_id"],
        ),
        ("attached", &attached, &theirs["attached_chain"]),
    ])?;
    compare_certificate(&ours["sender_certificate"], &theirs["sender_certificate"])
}

fn compare_certificate(ours: &Value, theirs: &Value) -> Result<(), String> {
    compare(&[
        ("subject", &ours["subject"], &theirs["subject_id"]),
        (
            "common name",
            &ours["subject_common_name"],
            &theirs["common_name"],
        ),
        (
            "issuer",
            &ours["issuer_common_name"],
            &theirs["issuer_common_name"],
        ),
        ("serial", &ours["serial"], &theirs["serial"]),
        ("from", &ours["from"], &theirs["not_before"]),
        ("until", &ours["until"], &theirs["not_after"]),
        ("ca", &ours["ca"], &theirs["ca"]),
        ("certificate", &ours["sha256"], &theirs["sha256"]),
    ])
}

fn compare_path(ours: &Value, theirs: &Value) -> Result<(), String> {
    compare_certificate(&ours["leaf"], &theirs["leaf"])?;
    let (ours, theirs) = (
        ours["authorities"].as_array().unwrap(),
        theirs["certificate_authorities"].as_array().unwrap(),
    );
    if ours.len() != theirs.len() {
        return Err(format!(
            "{} authorities in place of {}",
            ours.len(),
            theirs.len()
        ));
    }
    ours.iter()
        .zip(theirs)
        .try_for_each(|(ours, theirs)| compare_certificate(ours, theirs))
}

#[test]
fn parcels_open_as_the_references_say() {
    each(&["open-parcel"], |entry, bench| {
        let mut args = options(entry, "trusted", "--trust");
        if entry.args["any_sender"] == true {
            args.push("--any-sender".to_owned());
        }
        args.extend([
            "--session-key".to_owned(),
            text(&bench.key(entry.args["session_key"].as_str().unwrap())),
        ]);
        if let Some(recipient) = entry.args["expect_recipient"].as_str() {
            args.extend(["--recipient".to_owned(), recipient.to_owned()]);
        }
        args.extend(["-o", "content", "--json"].map(str::to_owned));
        args.push(text(&bench.input(entry)));
        let output = bench.run("relay-open", &args);
        check_status(entry, bench, &output)?;
        if entry.status != 0 {
            return if output.stdout.is_empty() {
                Ok(())
            } else {
                Err("wrote to standard output".to_owned())
            };
        }
        let facts = json_line(&output)?;
        compare(&[
            ("sender", &facts["sender"], &entry.facts["sender_id"]),
            ("type", &facts["type"], &entry.facts["service_message_type"]),
            ("size", &facts["size"], &entry.facts["content_length"]),
        ])?;
        let content = fs::read(bench.dir.path().join("content")).unwrap();
        let digest = relaynet::asn1::Hex(&relaynet::crypto::sha256(&content)).to_string();
        compare(&[("content", &digest.into(), &entry.facts["content_sha256"])])?;
        if entry.content.is_object() && content != expected_content(entry) {
            return Err("other content".to_owned());
        }
        compare_message(entry, bench)
    });
}

/// Cargo is opened: what comes out are the messages that the reference found, without the entries that are not messages.
#[test]
fn cargo_is_unpacked_as_the_references_say() {
    each(&["open-cargo"], |entry, bench| {
        let dir = bench.dir.path().join("out");
        fs::create_dir(&dir).unwrap();
        let key = entry.args["session_key"].as_str().unwrap();
        let mut args = options(entry, "trusted", "--trust");
        args.extend([
            "-d".to_owned(),
            text(&dir),
            "--session-key".to_owned(),
            text(&bench.key(key)),
        ]);
        args.extend([
            "--recipient".to_owned(),
            entry.args["expect_recipient"].as_str().unwrap().to_owned(),
        ]);
        args.push(text(&bench.input(entry)));
        let output = bench.run("relay-unpack-cargo", &args);
        let mut found: Vec<String> = fs::read_dir(&dir)
            .unwrap()
            .map(|file| fs::read(file.unwrap().path()).unwrap())
            .map(|octets| relaynet::asn1::Hex(&relaynet::crypto::sha256(&octets)).to_string())
            .collect();
        found.sort_unstable();
        let messages = entry.facts["messages"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let is_message = |message: &&Value| !message["type"].is_null();
        let mut expected: Vec<String> = messages
            .iter()
            .filter(is_message)
            .map(|message| message["sha256"].as_str().unwrap().to_owned())
            .collect();
        expected.sort_unstable();
        // relay-verify does not see what is wrong with the encrypted part.
        let is_sound = entry.facts["messages"].is_array() && expected.len() == messages.len();
        let status = match entry.status {
            0 if !is_sound => 65,
            status => status,
        };
        compare(&[
            (
                "status",
                &Value::from(output.status.code()),
                &Value::from(status),
            ),
            ("messages", &Value::from(found), &Value::from(expected)),
        ])
    });
}

#[test]
fn cargo_and_ccas_verify_as_the_references_say() {
    each(&["open-cargo", "open-cca"], |entry, bench| {
        let mut args = options(entry, "trusted", "--trust");
        if let Some(recipient) = entry.args["expect_recipient"].as_str() {
            args.extend(["--recipient".to_owned(), recipient.to_owned()]);
        }
        args.extend(["--json".to_owned(), text(&bench.input(entry))]);
        let output = bench.run("relay-verify", &args);
        check_status(entry, bench, &output)?;
        if entry.status != 0 {
            return Ok(());
        }
        compare(&[(
            "path",
            &json_line(&output)?["path"],
            &entry.facts["certification_path"],
        )])?;
        compare_message(entry, bench)
    });
}

#[test]
fn certification_paths_are_found_as_the_references_say() {
    each(&["cert-path"], |entry, bench| {
        let mut args = options(entry, "trusted", "--trust");
        args.extend(options(entry, "chain", "--chain"));
        args.extend(["--json".to_owned(), text(&bench.input(entry))]);
        let output = bench.run("relay-verify", &args);
        check_status(entry, bench, &output)?;
        if entry.status != 0 {
            return Ok(());
        }
        compare(&[("path", &json_line(&output)?["path"], &entry.facts["path"])])
    });
}

#[test]
fn registrations_verify_as_the_references_say() {
    each(&["read-pnra", "read-pnrr"], |entry, bench| {
        let mut args = Vec::new();
        if let Some(key) = entry.args["gateway_pub"].as_str() {
            args.extend(["--trust".to_owned(), text(&vectors().join(key))]);
        }
        args.push(text(&bench.input(entry)));
        check_status(entry, bench, &bench.run("relay-verify", &args))?;
        if entry.status != 0 {
            return Ok(());
        }
        let ours = inspect(entry, bench)?;
        if entry.op == "read-pnra" {
            return compare(&[
                ("expiry", &ours["expiry"], &entry.facts["expiry_date"]),
                (
                    "gateway data",
                    &ours["gateway_data"],
                    &entry.facts["gateway_data_hex"],
                ),
            ]);
        }
        compare(&[
            ("node", &ours["node"]["id"], &entry.facts["node_id"]),
            (
                "authorization",
                &ours["authorization_sha256"],
                &entry.facts["pnra_sha256"],
            ),
        ])
    });
}

#[test]
#[allow(clippy::too_many_lines)] // one story, told in order
fn everything_else_is_shown_as_the_references_read_it() {
    let ops = [
        "read-pca",
        "read-rotation",
        "read-ncp",
        "read-pecp",
        "read-pnr",
        "inspect",
    ];
    each(&ops, |entry, bench| {
        let output = bench.run(
            "relay-inspect",
            &["--json".to_owned(), text(&bench.input(entry))],
        );
        check_status(entry, bench, &output)?;
        if entry.status != 0 {
            return if output.stdout.is_empty() {
                Ok(())
            } else {
                Err("wrote to standard output".to_owned())
            };
        }
        let ours = json_line(&output)?;
        let theirs = &entry.facts;
        match theirs["kind"].as_str().unwrap_or_default() {
            "pca" => compare(&[
                ("sender", &ours["sender"], &theirs["sender_endpoint_id"]),
                (
                    "recipient",
                    &ours["recipient"],
                    &theirs["recipient_endpoint_id"],
                ),
                ("id", &ours["id"], &theirs["parcel_id"]),
            ]),
            "certificate-rotation" => compare_path(&ours["path"], theirs),
            "node-connection-params" => compare(&[
                ("address", &ours["address"], &theirs["internet_address"]),
                ("node", &ours["node"]["id"], &theirs["identity_id"]),
                (
                    "key id",
                    &ours["session_key"]["key_id"],
                    &theirs["session_key"]["key_id"],
                ),
                (
                    "key",
                    &ours["session_key"]["sha256"],
                    &theirs["session_key"]["public_key_sha256"],
                ),
            ]),
            "private-endpoint-conn-params" => {
                compare(&[
                    ("node", &ours["node"]["id"], &theirs["identity_id"]),
                    (
                        "address",
                        &ours["gateway_address"],
                        &theirs["internet_gateway_address"],
                    ),
                    (
                        "key id",
                        &ours["session_key"]["key_id"],
                        &theirs["session_key"]["key_id"],
                    ),
                    (
                        "key",
                        &ours["session_key"]["sha256"],
                        &theirs["session_key"]["public_key_sha256"],
                    ),
                ])?;
                compare_path(&ours["authorization"], &theirs["delivery_auth"])
            }
            "pnr" => {
                compare_certificate(&ours["node_certificate"], &theirs["node_certificate"])?;
                compare_certificate(&ours["gateway_certificate"], &theirs["gateway_certificate"])?;
                let key = &theirs["session_key"];
                compare(&[(
                    "key id",
                    &ours["session_key"]["key_id"],
                    if key.is_null() { key } else { &key["key_id"] },
                )])
            }
            "handshake-challenge" => compare(&[("nonce", &ours["nonce"], &theirs["nonce_hex"])]),
            "handshake-response" => {
                compare(&[("signatures", &ours["signatures"], &theirs["signatures"])])
            }
            "parcel-delivery" => compare(&[
                ("id", &ours["id"], &theirs["delivery_id"]),
                ("parcel", &ours["parcel_sha256"], &theirs["parcel_sha256"]),
            ]),
            "detached-nonce" | "detached-delivery" => {
                compare_certificate(&ours["signer"], &theirs["signer"])
            }
            _ if theirs.is_null() => Ok(()),
            kind => Err(format!("nothing compares a {kind}")),
        }
    });
}

/// What is not this network's at all, or not yet sealed, is refused by every reader.
#[test]
fn a_message_of_another_kind_is_not_opened() {
    let (entries, instants) = entries();
    for entry in entries.iter().filter(|entry| {
        ["open-cargo", "open-cca", "read-pca", "read-ncp"].contains(&entry.op.as_str())
    }) {
        let bench = Bench::new(entry, &instants);
        let key = text(&bench.key("alpha/nodes/endpoint-a/session.key.pem"));
        let args = [
            "--any-sender",
            "--session-key",
            &key,
            "-o",
            "content",
            &text(&bench.input(entry)),
        ]
        .map(str::to_owned);
        let output = bench.run("relay-open", &args);
        assert_eq!(
            output.status.code(),
            Some(65),
            "{}: {}",
            entry.name,
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(bench.leftovers(), [""; 0], "{}", entry.name);
    }
}

/// Nodes with the keys of the vectors hold the session that the vectors began.
#[test]
#[allow(clippy::too_many_lines)] // one story, told in order
fn nodes_of_the_vectors_go_on_with_their_session() {
    let (_, instants) = entries();
    let dir = tempfile::tempdir().unwrap();
    let run = |program: &str, args: &[&str], stdin: &[u8]| {
        let program = Path::new(env!("CARGO_BIN_EXE_relay-open")).with_file_name(program);
        let mut command = assert_cmd::Command::new(program);
        command
            .current_dir(dir.path())
            .env_clear()
            .env("HOME", dir.path());
        let output = command
            .env("RELAY_NOW", &instants["alpha"])
            .args(args)
            .write_stdin(stdin)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    let vector = |name: &str| text(&vectors().join("alpha").join(name));
    for (node, session_key_id) in [
        ("endpoint-a", "0593a70a044a16c5"),
        ("endpoint-c", "8ab8cca67aa13ccd"),
    ] {
        for key in ["identity", "session"] {
            let copy = dir.path().join(format!("{node}.{key}"));
            fs::copy(vector(&format!("nodes/{node}/{key}.key.pem")), &copy).unwrap();
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let (identity, session) = (format!("{node}.identity"), format!("{node}.session"));
        let keys = [
            "--identity-key",
            &identity,
            "--session-key",
            &session,
            "--session-key-id",
            session_key_id,
        ];
        run(
            "relay-keygen",
            &[&keys[..], &["--set", "clock=test", node]].concat(),
            b"",
        );
    }
    run(
        "relay-import",
        &["-N", "endpoint-a", &vector("gsc/endpoint-a.pnr")],
        b"",
    );
    run(
        "relay-import",
        &[
            "-N",
            "endpoint-c",
            "--name",
            "a",
            &vector("conn/a-for-c.pecp"),
        ],
        b"",
    );
    let opened = run(
        "relay-open",
        &[
            "-N",
            "endpoint-c",
            "--clock-drift",
            "0s",
            &vector("parcels/a-to-c-mebibyte.parcel"),
        ],
        b"",
    );
    assert_eq!(opened.len(), 1_048_576);

    // A's message brought the key to answer under; A's authorization lets C do so.
    let answer = run("relay-seal", &["-N", "endpoint-c", "-t", "a"], b"answer");
    let message = relaynet::ramf::SignedMessage::parse(answer.clone()).unwrap();
    let sealed = relaynet::session::Sealed::parse(message.payload()).unwrap();
    let brought = relaynet::ramf::SignedMessage::parse(
        fs::read(vector("parcels/a-to-c-mebibyte.parcel")).unwrap(),
    );
    let brought = relaynet::session::Sealed::parse(brought.unwrap().payload()).unwrap();
    assert_eq!(
        Some(sealed.recipient_key_id().clone()),
        brought.originator_key_id()
    );

    // Before any message the key of the parameters is the one, although they are years old.
    run("relay-peers", &["-N", "endpoint-c", "--forget", "a"], b"");
    run(
        "relay-import",
        &[
            "-N",
            "endpoint-c",
            "--name",
            "a",
            &vector("conn/a-for-c.pecp"),
        ],
        b"",
    );
    let first = run("relay-seal", &["-N", "endpoint-c", "-t", "a"], b"first");
    assert_eq!(run("relay-open", &["-N", "endpoint-a"], &first), b"first");
    // And A's Internet gateway, whose certificate stands behind all of them, can tell.
    let verdict = run(
        "relay-verify",
        &["--trust", &vector("certs/internet-gateway.der")],
        &first,
    );
    assert!(
        String::from_utf8(verdict)
            .unwrap()
            .ends_with("authorized: yes\n")
    );
}
