//! Private keys that are encrypted under a passphrase.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::testenv::{Call, Env, MADE, NOW, id, sha256};

const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// Alice, whose keys are encrypted, and bob, whose are not: both may send to the other. `pass` holds the passphrase.
fn peers() -> Env {
    let env = Env::new();
    secret(&env, "pass", "correct horse\n");
    env.make_node("alice", &["--passphrase", "--passphrase-file", "pass"]);
    env.make_node("bob", &[]);
    for (from, to) in [("alice", "bob"), ("bob", "alice")] {
        let public = env.relay("export").args(["-N", from]).ok().stdout;
        let authorize = keyed(&env, "authorize", to).args(["-q", "--name", from]);
        let conn = authorize.stdin(public).ok().quiet().stdout;
        let import = env.relay("import").args(["-q", "-N", from, "--name", to]);
        import.stdin(conn).ok();
    }
    env
}

fn secret(env: &Env, name: &str, text: &str) {
    env.write(name, text);
    env.chmod(name, 0o600);
}

/// A program with the passphrase, which it needs only for alice.
fn keyed<'a>(env: &'a Env, program: &str, node: &str) -> Call<'a> {
    let call = env.relay(program).args(["-N", node]);
    call.args(["--passphrase-file", "pass"])
}

/// The session keys of a node, with their texts.
fn session_keys(env: &Env, node: &str) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    for folder in env.names(&format!("{node}/sessions")) {
        let dir = format!("{node}/sessions/{folder}");
        for name in env.names(&dir) {
            let path = format!("{dir}/{name}");
            if Path::new(&name).extension().is_some_and(|it| it == "key") {
                keys.push((path.clone(), env.text(&path)));
            }
        }
    }
    keys
}

/// Runs openssl(1) in the scratch directory; `None` if there is none.
fn openssl(env: &Env, script: &str) -> Option<Vec<u8>> {
    let found = Command::new("openssl").arg("version").output();
    if found.is_err() {
        eprintln!("not tested without openssl: {script}");
        return None;
    }
    let run = Command::new("sh")
        .args(["-euc", script])
        .current_dir(env.root())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{script}: {errors}");
    Some(run.stdout)
}

#[test]
fn all_private_keys_of_a_node_are_encrypted_and_used() {
    let env = peers();
    assert!(env.text("alice/identity.key").starts_with(ENCRYPTED));
    assert_eq!(env.mode("alice/identity.key"), 0o600);
    for (content, (from, to)) in [
        ("one", ("alice", "bob")),
        ("two", ("bob", "alice")),
        ("three", ("alice", "bob")),
    ] {
        let sealed = keyed(&env, "seal", from).args(["-t", to]).stdin(content);
        let parcel = sealed.ok().quiet().stdout;
        keyed(&env, "open", to).stdin(parcel).ok().stdout(content);
    }
    let keys = session_keys(&env, "alice");
    assert!(keys.len() >= 3, "{}", keys.len());
    for (path, text) in &keys {
        assert!(text.contains(ENCRYPTED), "{path}");
        assert!(text.starts_with("Key-Id: "), "{path}");
        assert!(!text.contains("BEGIN PRIVATE KEY"), "{path}");
    }
    // What needs no private key asks for none.
    for program in ["peers", "list", "route", "export"] {
        env.relay(program).args(["-N", "alice"]).ok();
    }
    keyed(&env, "check", "alice").at(MADE).run();
    let check = keyed(&env, "check", "alice").arg("-v").run().stdout;
    let check = String::from_utf8(check).unwrap();
    let all = format!("encrypted, as are the {} session keys", keys.len());
    assert!(check.contains(&all), "{check}");
    let check = env.relay("check").args(["-N", "alice", "-v"]).run().stdout;
    let check = String::from_utf8(check).unwrap();
    assert!(check.contains("not opened without a passphrase"), "{check}");
    assert!(
        !check.contains("damaged") && !check.contains("does not open"),
        "{check}"
    );
}

#[test]
fn without_its_passphrase_a_key_is_not_opened() {
    let env = peers();
    let parcel = env.parcel("bob", "alice", b"x");
    let seal = || {
        env.relay("seal")
            .args(["-N", "alice", "-t", "bob"])
            .stdin("x")
    };
    let open = || {
        env.relay("open")
            .args(["-N", "alice"])
            .stdin(parcel.clone())
    };
    let missing = "alice/identity.key: encrypted, and no passphrase is given";
    let ran = seal().fails(78, missing);
    assert!(ran.hints()[0].starts_with("--passphrase-file names a file"));
    let ran = open().run();
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    assert!(ran.stderr.contains(missing), "{}", ran.stderr);
    secret(&env, "other", "wrong\n");
    let wrong = "alice/identity.key: the passphrase does not open it, or it is damaged";
    seal().args(["--passphrase-file", "other"]).fails(78, wrong);
    let refused = |content: Option<&str>, mode: u32, status: i32, why: &str| {
        if let Some(content) = content {
            env.write("file", content);
            env.chmod("file", mode);
        } else {
            fs::remove_file(env.path("file")).unwrap();
        }
        let why = format!("alice/identity.key: {why}");
        seal()
            .args(["--passphrase-file", "file"])
            .fails(status, &why);
    };
    refused(
        Some("correct horse"),
        0o644,
        78,
        "passphrase in file: open to other users (mode 0644)",
    );
    refused(
        Some("correct horse"),
        0o640,
        78,
        "passphrase in file: open to other users",
    );
    refused(Some(""), 0o600, 78, "the passphrase is empty");
    refused(Some("\n"), 0o600, 78, "the passphrase is empty");
    refused(
        Some(&"x".repeat(1 << 20)),
        0o600,
        78,
        "passphrase in file: over 1024 octets",
    );
    refused(
        Some("correct horse \n"),
        0o600,
        78,
        "the passphrase does not open it",
    );
    refused(None, 0, 78, "passphrase in file: cannot open");
    for right in ["correct horse", "correct horse\n", "correct horse\r\n"] {
        secret(&env, "file", right);
        env.chmod("file", 0o400);
        seal().args(["--passphrase-file", "file"]).ok();
        env.chmod("file", 0o600);
    }
    let both = ["--passphrase-file", "pass", "--passphrase-fd", "3"];
    assert_eq!(seal().args(both).run().status, 64);
    // Nobody is harmed by a passphrase that is not needed.
    env.relay("seal")
        .args(["-N", "bob", "-t", "alice", "--passphrase-file", "none"])
        .stdin("x")
        .ok();
}

#[test]
fn a_passphrase_comes_from_a_descriptor_or_the_service_manager() {
    let env = peers();
    let seal = || {
        env.relay("seal")
            .args(["-N", "alice", "-t", "bob"])
            .stdin("x")
    };
    seal()
        .args(["--passphrase-fd", "3"])
        .shell("", "3<pass")
        .ok();
    let piped = seal().args(["--passphrase-fd", "3"]);
    piped.shell("exec 3<<END\ncorrect horse\nEND", "").ok();
    seal()
        .args(["--passphrase-fd", "7"])
        .fails(78, "alice/identity.key: passphrase in /dev/fd/7: cannot");
    env.mkdir("credentials");
    let credentials = env.path("credentials");
    let service = || seal().var("CREDENTIALS_DIRECTORY", &credentials);
    service().fails(78, "alice/identity.key: encrypted, and no passphrase");
    env.write("credentials/relay-passphrase", "correct horse");
    // The access control list of a service manager shows as rights of the group.
    env.chmod("credentials/relay-passphrase", 0o440);
    service().ok();
    secret(&env, "other", "wrong");
    service()
        .args(["--passphrase-file", "other"])
        .fails(78, "alice/identity.key: the passphrase");
}

#[test]
fn openssl_opens_the_keys_as_the_page_says() {
    let env = peers();
    let by_hand = "openssl asn1parse -in alice/identity.key > parsed
salt=$(sed -n 's/.*OCTET STRING *\\[HEX DUMP\\]://p' parsed | sed -n 1p)
iv=$(sed -n 's/.*OCTET STRING *\\[HEX DUMP\\]://p' parsed | sed -n 2p)
at=$(sed -n 's/^ *\\([0-9]*\\):d=1 .*OCTET STRING.*/\\1/p' parsed)
key=$(openssl kdf -keylen 32 -kdfopt pass:\"$(cat pass)\" -kdfopt hexsalt:$salt \\
    -kdfopt n:32768 -kdfopt r:8 -kdfopt p:1 -kdfopt maxmem_bytes:67108864 SCRYPT | tr -d :)
openssl asn1parse -in alice/identity.key -strparse $at -noout -out sealed
openssl enc -d -aes-256-cbc -K $key -iv $iv -in sealed -out plain.der
openssl pkey -inform DER -in plain.der -out plain.pem
openssl pkey -in plain.pem -pubout -outform DER -out plain.pub";
    if openssl(&env, by_hand).is_none() {
        return;
    }
    let public = "openssl pkey -pubin -in alice/identity.pub -outform DER";
    assert_eq!(env.read("plain.pub"), openssl(&env, public).unwrap());
    // And the session keys, by the secret that this key gives.
    for (path, _) in session_keys(&env, "alice") {
        let script = format!(
            "printf 'relay-node session keys' | openssl dgst -sha256 -sign plain.pem |
openssl dgst -sha256 -r | cut -c 1-64 > secret
openssl pkcs8 -in {path} -passin file:secret | openssl pkey -pubout -outform DER"
        );
        let public = openssl(&env, &script).unwrap();
        assert_eq!(public.len(), 91, "{path}");
    }
}

#[test]
fn keys_that_openssl_encrypted_are_opened() {
    let env = Env::with_peers();
    secret(&env, "pass", "correct horse\n");
    let plain = env.read("alice/identity.key");
    for options in [
        "-scrypt",
        "",
        "-v2 aes-128-cbc -v2prf hmacWithSHA512",
        "-scrypt -scrypt_N 1024 -scrypt_r 4 -scrypt_p 3 -v2 aes-192-cbc",
        "-iter 100000",
    ] {
        env.write("plain", &plain);
        let script = format!(
            "openssl pkcs8 -topk8 -in plain {options} -passout file:pass -out alice/identity.key"
        );
        if openssl(&env, &script).is_none() {
            return;
        }
        env.chmod("alice/identity.key", 0o600);
        let seal = keyed(&env, "seal", "alice").args(["-t", "bob"]).stdin("x");
        let parcel = seal.ok().quiet().stdout;
        let open = keyed(&env, "open", "bob").stdin(parcel);
        open.ok().stdout("x");
    }
    // PBKDF2 with SHA-1 is what openssl writes when asked, and nobody should.
    let script = "openssl pkcs8 -topk8 -in plain -v2prf hmacWithSHA1 -passout file:pass -out alice/identity.key";
    openssl(&env, script).unwrap();
    let seal = keyed(&env, "seal", "alice").args(["-t", "bob"]).stdin("x");
    let ran = seal.fails(
        78,
        "alice/identity.key: encrypted with an unsupported PBKDF2",
    );
    assert!(ran.hints()[0].contains("openssl-pkcs8"));
}

/// An encrypted key in PEM whose scrypt has this N, as INTEGER, and that is otherwise right.
fn with_n(n: &[u8]) -> String {
    use relaynet::asn1::{algorithm, oid, pem, tag, write};
    let integer = |octets: &[u8]| write::tlv(tag::INTEGER, octets);
    let salt = write::tlv(tag::OCTET_STRING, &[1; 16]);
    let fields = [salt, integer(n), integer(&[8]), integer(&[1])].concat();
    let kdf = algorithm::to_der(&oid::SCRYPT, &write::tlv(tag::SEQUENCE, &fields));
    let cipher = algorithm::to_der(&oid::AES256_CBC, &write::tlv(tag::OCTET_STRING, &[2; 16]));
    let parameters = write::constructed(tag::SEQUENCE, &[&kdf, &cipher]);
    let scheme = algorithm::to_der(&oid::PBES2, &parameters);
    let content = write::tlv(tag::OCTET_STRING, &[3; 1232]);
    let whole = write::constructed(tag::SEQUENCE, &[&scheme, &content]);
    pem::encode(pem::ENCRYPTED_PRIVATE_KEY, &whole)
}

#[test]
fn hostile_and_damaged_keys_are_refused_before_any_work() {
    let env = peers();
    let seal = || keyed(&env, "seal", "alice").args(["-t", "bob"]).stdin("x");
    let costly =
        "alice/identity.key: opening it would take over 64 MiB of memory or 10000000 rounds";
    for n in [
        &[0x40, 0, 0, 0][..],
        &[0, 0x80, 0, 0, 0],
        &[1, 0, 0, 0, 0, 0],
        &[2, 0, 0],
    ] {
        secret(&env, "alice/identity.key", &with_n(n));
        seal().fails(78, costly);
        // It is not asked for a passphrase.
        let plain = env
            .relay("seal")
            .args(["-N", "alice", "-t", "bob"])
            .stdin("x");
        plain.fails(78, costly);
    }
    secret(&env, "alice/identity.key", &with_n(&[0x40, 0]));
    seal().fails(
        78,
        "alice/identity.key: the passphrase does not open it, or it is damaged",
    );
    let text = with_n(&[0x40, 0]);
    let lines: Vec<&str> = text.lines().collect();
    secret(
        &env,
        "alice/identity.key",
        &lines[..lines.len() - 2].join("\n"),
    );
    seal().fails(78, "alice/identity.key: malformed PEM");
    let cut = [&lines[..5], &lines[lines.len() - 1..]].concat().join("\n");
    secret(&env, "alice/identity.key", &cut);
    seal().fails(78, "alice/identity.key: ");
    secret(&env, "key", &with_n(&[0x40, 0, 0, 0]));
    let explicit = env
        .relay("export")
        .args(["--identity-key", "key", "--passphrase-file", "pass"]);
    explicit.fails(78, "key: opening it would take over 64 MiB");
    secret(&env, "key", &cut);
    let explicit = env
        .relay("export")
        .args(["--identity-key", "key", "--passphrase-file", "pass"]);
    explicit.fails(65, "key: ");
}

#[test]
fn explicit_files_may_be_encrypted() {
    let env = peers();
    let public = env.read("alice/identity.pub");
    let export = |passphrase: &[&str]| {
        let export = env
            .relay("export")
            .args(["--identity-key", "alice/identity.key"]);
        export.args(passphrase)
    };
    export(&["--passphrase-file", "pass"]).ok().stdout(public);
    export(&[]).fails(
        78,
        "alice/identity.key: encrypted, and no passphrase is given",
    );
    // Session keys of the node are opened by its identity key, and others by the passphrase.
    let parcel = env.parcel("bob", "alice", b"x");
    let bound = format!("alice/sessions/{}", id("bob"));
    let bound = format!("{bound}/{}", env.names(&bound)[0]);
    let open = |key: &str, identity: &[&str]| {
        let open = env
            .relay("open")
            .args(["--any-sender", "--session-key", key]);
        open.args(identity)
            .args(["--passphrase-file", "pass"])
            .stdin(parcel.clone())
    };
    open(&bound, &["--identity-key", "alice/identity.key"])
        .ok()
        .stdout("x");
    open(&bound, &[]).fails(78, &format!("{bound}: the passphrase does not open it"));
    // The one that alice was given, not the one that bob's parcel carried.
    let of_bob = session_keys(&env, "bob").into_iter();
    let mut given =
        of_bob.filter(|(path, text)| path.contains(&id("alice")) && text.contains("Kept-Until"));
    let (_, plain) = given.next().unwrap();
    secret(&env, "plain.key", &plain);
    let script = "sed -n '/^Key-Id/p' plain.key > own.key
openssl pkcs8 -topk8 -in plain.key -scrypt -passout file:pass >> own.key; chmod 600 own.key";
    if openssl(&env, script).is_none() {
        return;
    }
    let parcel = keyed(&env, "seal", "alice")
        .args(["-t", "bob"])
        .stdin("y")
        .ok()
        .stdout;
    let open = env
        .relay("open")
        .args(["--any-sender", "--session-key", "own.key"]);
    open.args(["--passphrase-file", "pass"])
        .stdin(parcel)
        .ok()
        .stdout("y");
}

#[test]
fn a_mixture_is_opened_and_reported() {
    let env = peers();
    let parcel = || env.parcel("bob", "alice", b"x");
    let encrypted = env.read("alice/identity.key");
    let check = || {
        let ran = keyed(&env, "check", "alice").run();
        let found = String::from_utf8(ran.stdout).unwrap();
        let lines = found.lines().filter(|line| line.contains("encrypted"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(check(), [""; 0]);
    // Session keys encrypted, the identity key not.
    let keys = env.keys("alice");
    env.write("alice/identity.key", env.read(&keys.identity));
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(parcel())
        .ok()
        .stdout("x");
    let found = check();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("not encrypted, but 2 of 2 session keys are"),
        "{found:?}"
    );
    // The reverse: what is new is encrypted, as the node is.
    let plain = Env::with_peers();
    secret(&plain, "pass", "correct horse\n");
    plain.write("alice/identity.key", &encrypted);
    let parcel = plain.parcel("bob", "alice", b"y");
    keyed(&plain, "open", "alice")
        .stdin(parcel)
        .ok()
        .stdout("y");
    keyed(&plain, "seal", "alice")
        .args(["-t", "bob"])
        .stdin("z")
        .ok();
    let keys = session_keys(&plain, "alice");
    let count = keys
        .iter()
        .filter(|(_, text)| text.contains(ENCRYPTED))
        .count();
    assert_eq!(count, 1);
    let ran = keyed(&plain, "check", "alice").run();
    let found = String::from_utf8(ran.stdout).unwrap();
    let what = format!(
        "encrypted, but {} of {} session keys are not",
        keys.len() - 1,
        keys.len()
    );
    assert!(found.contains(&what), "{found}");
}

#[test]
fn a_run_derives_one_key() {
    let env = peers();
    for number in 0..100 {
        let seal = env.relay("seal").args(["-N", "bob", "-t", "alice"]);
        let parcel = seal.stdin(format!("m{number}")).output().stdout;
        env.write(format!("{number}.parcel"), parcel);
    }
    env.mkdir("inbox");
    let files = (0..100).map(|number| format!("{number}.parcel"));
    env.relay("put")
        .args(["-q", "-N", "alice"])
        .args(files)
        .ok();
    env.relay("route").args(["-q", "-N", "alice"]).ok();
    let deliver = keyed(&env, "deliver", "alice").args(["-q", "--dir", "inbox"]);
    let command = deliver.to_command();
    let mut traced = Command::new("strace");
    traced
        .args(["-f", "-qq", "-e", "trace=mmap", "-o", "trace", "--"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(env.root())
        .env("RELAY_NOW", NOW)
        .stdin(Stdio::null());
    match traced.output() {
        Err(error) => return eprintln!("not tested without strace: {error}"),
        Ok(ran) => assert!(
            ran.status.success(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        ),
    }
    assert_eq!(env.names("inbox/bob").len(), 100);
    // Each derivation needs 32 MiB at once, and nothing else here does.
    let trace = env.text("trace");
    let sizes = trace.lines().filter_map(|line| {
        let size = line.split_once("mmap(NULL, ")?.1.split_once(',')?.0;
        size.parse::<usize>().ok()
    });
    let large = sizes.filter(|size| (32 << 20..33 << 20).contains(size));
    assert_eq!(large.count(), 1, "{trace}");
}

/// One line, whatever number of cargoes wait for the key, and they wait on.
#[test]
fn relay_sync_says_once_that_there_is_no_passphrase() {
    let env = Env::with_peering();
    env.mkdir("stick");
    secret(&env, "pass", "correct horse");
    env.relay("sync")
        .args(["-q", "-N", "gateway", "--init", "stick"])
        .ok();
    let cargo = format!("stick/relaynet/cargo/{}", id("gateway"));
    fs::create_dir_all(env.path(&cargo)).unwrap();
    for content in ["one", "two"] {
        let parcel = env.parcel("bob", "alice", content.as_bytes());
        let octets = env.cargo("mallory", "gateway", parcel);
        let name = format!("{}.{}.cargo", id("mallory"), sha256(&octets));
        env.write(format!("{cargo}/{name}"), octets);
    }
    assert_eq!(env.names(&cargo).len(), 2);
    change(&env, "gateway", &["--new-passphrase-file", "pass"]).ok();
    let sync = || env.relay("sync").args(["-N", "gateway", "stick"]);
    let missing = "gateway/identity.key: encrypted, and no passphrase is given";
    for dry in [&[][..], &["-q"]] {
        sync().args(dry).ends(78).says(&[missing]);
    }
    assert_eq!(env.names(&cargo).len(), 2);
    sync().args(["-q", "--passphrase-file", "pass"]).run();
    assert_eq!(env.names(&cargo).len(), 0);
}

/// An endpoint that has a passphrase of its own is as it should be when the gateway's does not open it.
#[test]
fn relay_check_names_another_passphrase_and_no_damage() {
    let env = Env::new();
    env.make_node("gateway", &["--type", "gateway"]);
    for endpoint in ["anna", "bert"] {
        let keygen = env
            .relay("keygen")
            .args(["-q", "-N", "gateway", "--endpoint", endpoint]);
        keygen.args(["--set", "clock=test"]).ok();
    }
    secret(&env, "pass", "correct horse");
    secret(&env, "own", "battery staple");
    change(
        &env,
        "gateway/endpoints/bert",
        &["--new-passphrase-file", "own"],
    )
    .ok();
    let new = ["--passphrase-file", "own", "--new-passphrase-file", "pass"];
    change(&env, "gateway", &new[2..]).run();
    let check = |pass: &str| {
        let check = env.relay("check").args(["-v", "-N", "gateway"]);
        check
            .args(["--passphrase-file", pass])
            .run()
            .text()
            .to_owned()
    };
    let found = check("pass");
    let about: Vec<_> = found
        .lines()
        .filter(|it| it.contains("bert/identity.key"))
        .collect();
    assert!(about[0].starts_with("information\t"), "{found}");
    assert!(
        about[0].contains("encrypted under another passphrase than the one given"),
        "{found}"
    );
    let damaged = |it: &&str| it.starts_with("error") && !it.contains("the clock says");
    assert_eq!(found.lines().find(damaged), None, "{found}");
    // Of the node itself it is a fault.
    let found = check("own");
    let line = found.lines().find(|it| it.contains("gateway/identity.key"));
    assert!(line.unwrap().starts_with("error\t"), "{found}");
}

#[test]
fn what_waits_stays_until_the_passphrase_is_there() {
    let env = peers();
    let parcels =
        ["one", "two", "three"].map(|content| env.parcel("bob", "alice", content.as_bytes()));
    let put = env.relay("put").args(["-q", "-N", "alice"]);
    put.stdin(parcels.concat()).ok();
    env.relay("route").args(["-q", "-N", "alice"]).ok();
    env.mkdir("inbox");
    let home = format!("alice/spool/home/{}", id("alice"));
    secret(&env, "other", "wrong");
    let deliver = || env.relay("deliver").args(["-N", "alice", "--dir", "inbox"]);
    // Said once, and not of each message.
    deliver().fails(
        78,
        "alice/identity.key: encrypted, and no passphrase is given",
    );
    let wrong = deliver().args(["--passphrase-file", "other"]);
    wrong.fails(78, "alice/identity.key: the passphrase does not open it");
    assert_eq!(env.names(&home).len(), 3);
    assert_eq!(env.names("inbox").len(), 0);
    deliver().args(["--passphrase-file", "pass"]).ok();
    assert_eq!(env.names("inbox/bob").len(), 3);
    // Nothing waits, so nothing need be opened.
    deliver().ok();
}

#[test]
fn an_encrypted_node_is_backed_up_and_restored() {
    let env = peers();
    let parcel = env.parcel("bob", "alice", b"x");
    // Neither copies with a passphrase nor restores with one: keys stay as they are.
    env.relay("check")
        .args(["-N", "alice", "--backup", "copy"])
        .ok();
    assert_eq!(
        session_keys(&env, "copy").len(),
        session_keys(&env, "alice").len()
    );
    assert_eq!(
        env.read("copy/identity.key"),
        env.read("alice/identity.key")
    );
    fs::remove_dir_all(env.path("alice")).unwrap();
    fs::rename(env.path("copy"), env.path("alice")).unwrap();
    let restored = env
        .relay("check")
        .args(["-N", "alice", "--restored", "-q"])
        .run();
    assert!([0, 1].contains(&restored.status), "{}", restored.stderr);
    let open = keyed(&env, "open", "alice").arg("--again").stdin(parcel);
    open.ok().stdout("x");
    assert!(seals(&env, "alice", "bob", Some("pass")));
    let keys = session_keys(&env, "alice");
    assert!(keys.iter().all(|(_, text)| text.contains(ENCRYPTED)));
}

#[test]
fn an_endpoint_is_encrypted_as_its_gateway_is() {
    let env = Env::new();
    secret(&env, "pass", "correct horse\n");
    let gateway = ["--passphrase", "--type", "gateway", "--set", "clock=test"];
    keyed(&env, "keygen", "gateway").args(gateway).at(MADE).ok();
    let endpoint = ["--endpoint", "anna", "--set", "clock=test"];
    let without = env
        .relay("keygen")
        .args(["-N", "gateway"])
        .args(endpoint)
        .at(MADE);
    without.fails(64, "a passphrase is needed");
    keyed(&env, "keygen", "gateway")
        .args(endpoint)
        .at(MADE)
        .ok();
    let anna = "gateway/endpoints/anna";
    assert!(
        env.text(format!("{anna}/identity.key"))
            .starts_with(ENCRYPTED)
    );
    let keys = session_keys(&env, anna);
    assert!(keys.iter().all(|(_, text)| text.contains(ENCRYPTED)));
    let check = keyed(&env, "check", "gateway").arg("-v").at(MADE).run();
    let found = String::from_utf8(check.stdout).unwrap();
    assert_eq!(found.matches("encrypted, as are the").count(), 2, "{found}");
    // Nobody is to think that keys are encrypted which are not.
    let forgotten = env
        .relay("keygen")
        .args(["--passphrase-file", "pass", "other"]);
    forgotten
        .at_any_time()
        .fails(64, "--passphrase is needed to encrypt");
    let alone = env.relay("keygen").args(["--passphrase", "other"]);
    alone.at_any_time().fails(64, "a passphrase is needed");
}

// Changing it

fn change<'a>(env: &'a Env, node: &str, options: &[&str]) -> Call<'a> {
    let change = env
        .relay("keygen")
        .args(["-N", node, "--change-passphrase"]);
    change.args(options)
}

/// Whether a node seals with this passphrase file, or without any.
fn seals(env: &Env, node: &str, to: &str, pass: Option<&str>) -> bool {
    let seal = env.relay("seal").args(["-N", node, "-t", to]).stdin("x");
    let options = pass.iter().flat_map(|pass| ["--passphrase-file", pass]);
    let ran = seal.args(options).run();
    assert!([0, 78].contains(&ran.status), "{}", ran.stderr);
    ran.status == 0
}

#[test]
fn a_passphrase_is_set_changed_and_removed_for_all_keys() {
    let env = Env::with_peers();
    secret(&env, "one", "one\n");
    secret(&env, "two", "two\n");
    let parcel = env.parcel("bob", "alice", b"x");
    env.parcel("alice", "bob", b"y");
    let before = session_keys(&env, "alice");
    let headers = |keys: &[(String, String)]| -> Vec<String> {
        let above = keys
            .iter()
            .map(|(_, text)| text.split("-----").next().unwrap().to_owned());
        above.collect()
    };
    let encrypted = || {
        let keys = session_keys(&env, "alice");
        assert_eq!(headers(&keys), headers(&before));
        let identity = env.text("alice/identity.key").contains(ENCRYPTED);
        let all = keys.iter().map(|(_, text)| text.contains(ENCRYPTED));
        assert!(all.clone().all(|it| it == identity), "{keys:?}");
        identity
    };
    let ran = change(&env, "alice", &["-v", "--new-passphrase-file", "one"]).ok();
    let event = format!(
        "event=passphrase-changed identity=stored session-keys={}",
        before.len()
    );
    assert!(ran.stderr.contains(&event), "{}", ran.stderr);
    assert!(encrypted() && seals(&env, "alice", "bob", Some("one")));
    assert!(!seals(&env, "alice", "bob", None));
    // Wrong and missing ones change nothing.
    let missing = "alice/identity.key: encrypted, and no passphrase is given";
    change(&env, "alice", &["--new-passphrase-file", "two"]).fails(
        78,
        "alice/identity.key: encrypted, and no passphrase is given",
    );
    change(&env, "alice", &["--no-passphrase"]).fails(78, missing);
    let wrong = ["--passphrase-file", "two", "--no-passphrase"];
    change(&env, "alice", &wrong).fails(78, "alice/identity.key: the passphrase does not open it");
    let to_two = [
        "-v",
        "--passphrase-file",
        "one",
        "--new-passphrase-file",
        "two",
    ];
    let ran = change(&env, "alice", &to_two).ok();
    assert!(
        ran.stderr.contains("identity=stored session-keys=0"),
        "{}",
        ran.stderr
    );
    // Again, as after a run that was killed.
    let ran = change(&env, "alice", &to_two).ok();
    assert!(
        ran.stderr.contains("identity=kept session-keys=0"),
        "{}",
        ran.stderr
    );
    assert!(encrypted() && seals(&env, "alice", "bob", Some("two")));
    assert!(!seals(&env, "alice", "bob", Some("one")));
    change(
        &env,
        "alice",
        &["--passphrase-file", "two", "--no-passphrase"],
    )
    .ok();
    assert!(!encrypted() && seals(&env, "alice", "bob", None));
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(parcel)
        .ok()
        .stdout("x");
    change(&env, "alice", &["--no-passphrase"]).ok();
}

#[test]
fn a_new_passphrase_must_be_said_and_readable() {
    let env = Env::with_peers();
    secret(&env, "one", "one\n");
    let usage = change(&env, "alice", &[]);
    usage.fails(
        64,
        "--new-passphrase-file, --new-passphrase-fd or --no-passphrase is needed",
    );
    secret(&env, "none", "");
    change(&env, "alice", &["--new-passphrase-file", "none"]).fails(78, "the passphrase is empty");
    env.chmod("one", 0o644);
    let open = change(&env, "alice", &["--new-passphrase-file", "one"]);
    open.fails(78, "passphrase in one: open to other users");
    let alone = env.relay("keygen").args(["new", "--no-passphrase"]).run();
    assert_eq!(alone.status, 64);
    let other = change(&env, "nowhere", &["--no-passphrase"]);
    other.fails(78, "nowhere is not a node directory");
}

#[test]
fn what_cannot_be_changed_does_not_stop_the_others() {
    let env = peers();
    let bound = format!("alice/sessions/{}", id("bob"));
    let bad = format!("{bound}/{}", env.names(&bound)[0]);
    let text = env.text(&bad);
    let mut lines: Vec<&str> = text.lines().collect();
    lines.remove(lines.len() - 3);
    secret(&env, &bad, &lines.join("\n"));
    let ran = change(
        &env,
        "alice",
        &["--passphrase-file", "pass", "--no-passphrase"],
    )
    .run();
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("{bad}: ")), "{}", ran.stderr);
    let plain = session_keys(&env, "alice");
    let changed = plain.iter().filter(|(_, text)| !text.contains(ENCRYPTED));
    assert_eq!(changed.count(), plain.len() - 1);
    // A mixture of any kind becomes one kind.
    secret(&env, &bad, &text);
    change(&env, "alice", &["--no-passphrase"]).ok();
    let keys = session_keys(&env, "alice");
    assert!(keys.iter().all(|(_, text)| !text.contains(ENCRYPTED)));
    assert!(seals(&env, "alice", "bob", None));
}

#[test]
fn two_changes_at_once_and_many_keys() {
    const COUNT: usize = 300;
    let env = peers();
    // Each is another session key to a node that reads no further than its form.
    let bound = format!("alice/sessions/{}", id("bob"));
    let text = env.text(format!("{bound}/{}", env.names(&bound)[0]));
    let own = text
        .lines()
        .next()
        .unwrap()
        .trim_start_matches("Key-Id: ")
        .to_owned();
    for number in 0..COUNT {
        let key_id = format!("{number:016x}");
        secret(
            &env,
            &format!("{bound}/{key_id}.key"),
            &text.replace(&own, &key_id),
        );
    }
    secret(&env, "one", "one\n");
    for options in [
        &["--passphrase-file", "pass", "--no-passphrase"][..],
        &["--new-passphrase-file", "one"],
    ] {
        change(&env, "alice", options).ok();
    }
    for (name, text) in [("two", "two\n"), ("three", "three\n")] {
        secret(&env, name, text);
    }
    // Others work meanwhile: they find the one passphrase or the other.
    let runs: Vec<_> = ["two", "three"]
        .iter()
        .map(|new| {
            let options = ["--passphrase-file", "one", "--new-passphrase-file", new];
            change(&env, "alice", &options)
                .to_command()
                .spawn()
                .unwrap()
        })
        .collect();
    for pass in ["one", "two", "three"].iter().cycle().take(12) {
        let seal = env
            .relay("seal")
            .args(["-N", "alice", "-t", "bob"])
            .stdin("x");
        let status = seal
            .args(["--passphrase-file", pass])
            .output()
            .status
            .code();
        assert!([Some(0), Some(78)].contains(&status), "{status:?}");
    }
    let ended: Vec<i32> = runs
        .into_iter()
        .map(|run| run.wait_with_output().unwrap().status.code().unwrap())
        .collect();
    assert!(ended == [0, 78] || ended == [78, 0], "{ended:?}");
    let new = if ended[0] == 0 { "two" } else { "three" };
    assert!(seals(&env, "alice", "bob", Some(new)));
    let keys = session_keys(&env, "alice");
    assert!(keys.len() > COUNT);
    assert!(keys.iter().all(|(_, text)| text.contains(ENCRYPTED)));
}
