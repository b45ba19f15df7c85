//! Text as editors on other systems leave it: with a byte order mark, with CR LF, in UTF-16.

use crate::testenv::*;

const MARK: &str = "\u{feff}";

/// Forms of a text that mean the same.
fn forms(text: &str) -> [String; 3] {
    let dos = text.replace('\n', "\r\n");
    [format!("{MARK}{text}"), dos.clone(), format!("{MARK}{dos}")]
}

/// The text in UTF-16, as PowerShell and Notepad write it.
fn wide(text: &str) -> [Vec<u8>; 2] {
    let units = || format!("{MARK}{text}").encode_utf16().collect::<Vec<u16>>();
    [
        units().into_iter().flat_map(u16::to_le_bytes).collect(),
        units().into_iter().flat_map(u16::to_be_bytes).collect(),
    ]
}

/// An environment with every object that is PEM, and the calls that read it.
fn env_with_texts() -> (Env, [(&'static str, &'static str); 12]) {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"content");
    env.write("cargo.bin", env.cargo("gateway", "hub", &*parcel));
    env.write("parcel.bin", parcel);
    let armored = |program: &str, input: &str| env.relay(program).arg("--armor").arg(input);
    let parcel = env.parcel_with("bob", "alice", b"content", &["--armor", "--id", "armored"]);
    env.write("parcel", parcel);
    env.write("pca", armored("ack", "parcel.bin").ok().stdout);
    let pack = env.relay("pack-cargo").args(["-N", "gateway", "-t", "hub"]);
    let cargo = pack.args(["--armor", "parcel.bin"]).ok().stdout;
    env.write("cargo", cargo);
    env.write("pub", env.relay("export").args(["-N", "bob"]).ok().stdout);
    let authorize = env.relay("authorize").args(["-q", "-N", "alice", "pub"]);
    env.write("conn", authorize.ok().stdout);
    let register = env.relay("register").args(["-q", "-N", "gateway", "pub"]);
    env.write("pnr", register.ok().stdout);
    env.write("key", env.text("bob/identity.key"));
    env.write("trust", env.text("alice/identity.pub"));
    env.chmod("key", 0o600);
    let calls = [
        ("open --again -N alice parcel", "parcel"),
        ("verify parcel", "parcel"),
        ("inspect parcel", "parcel"),
        ("inspect pca", "pca"),
        ("unpack-cargo --again -N hub cargo", "cargo"),
        ("inspect conn", "conn"),
        ("import -N bob conn", "conn"),
        ("import -N bob pnr", "pnr"),
        ("authorize -N alice pub", "pub"),
        ("register -N gateway pub", "pub"),
        ("inspect key", "key"),
        ("verify --trust trust parcel", "trust"),
    ];
    (env, calls)
}

#[test]
fn a_byte_order_mark_counts_for_nothing() {
    let (env, calls) = env_with_texts();
    for (call, file) in calls {
        let text = env.text(file);
        for form in forms(&text) {
            env.write(file, &form);
            let mut words = call.split(' ');
            let program = words.next().unwrap();
            let ran = env.relay(program).args(words).run();
            assert_eq!(ran.status, 0, "{call} {:?}: {}", &form[..30], ran.stderr);
        }
        env.write(file, text);
    }
}

/// As `cat` and `copy` make it.
#[test]
fn a_mark_may_stand_where_files_were_joined() {
    let (env, _) = env_with_texts();
    let armored = format!("{MARK}{}", env.text("parcel"));
    let binary = env.read("parcel.bin");
    let parts: [&[u8]; 4] = [
        armored.as_bytes(),
        &binary,
        armored.as_bytes(),
        armored.as_bytes(),
    ];
    let inspect = env.relay("inspect").arg("--json").stdin(parts.concat());
    assert_eq!(inspect.ok().json().len(), 4);
    let public = env.text("bob/identity.pub");
    let key = format!("{MARK}{public}{MARK}{}", env.text("bob/identity.key"));
    env.relay("inspect").stdin(key).ok();
}

#[test]
fn utf_16_is_named() {
    let (env, calls) = env_with_texts();
    for (call, file) in calls {
        let text = env.text(file);
        for form in wide(&text) {
            env.write(file, form);
            let mut words = call.split(' ');
            let program = words.next().unwrap();
            let ran = env.relay(program).args(words).run();
            assert_eq!(ran.status, 65, "{call}: {}", ran.stderr);
            assert!(ran.stderr.contains("text in UTF-16"), "{}", ran.stderr);
            assert_eq!(ran.hints().len(), 1, "{call}: {}", ran.stderr);
        }
        env.write(file, text);
    }
}

/// Files of a node that people edit.
#[test]
fn files_of_a_node_may_have_a_mark() {
    let (env, _) = env_with_texts();
    env.write("gateway/routes", "* peer:hub\n");
    for (file, problem) in [
        ("VERSION", "save it as UTF-8"),
        ("config", "save it as UTF-8"),
        ("routes", "save it as UTF-8"),
        ("identity.pub", "text in UTF-16"),
        ("identity.key", "text in UTF-16"),
    ] {
        let file = format!("gateway/{file}");
        let text = env.text(&file);
        let request = || {
            let route = env.relay("route").args(["-N", "gateway"]).run();
            match route.status {
                0 => env
                    .relay("request-cargo")
                    .args(["-N", "gateway", "-t", "hub"])
                    .run(),
                _ => route,
            }
        };
        for form in forms(&text) {
            env.write(&file, form);
            let ran = request();
            assert_eq!(ran.status, 0, "{file}: {}", ran.stderr);
        }
        for form in wide(&text) {
            env.write(&file, form);
            let ran = request();
            assert_eq!(ran.status, 78, "{file}: {}", ran.stderr);
            ran.says_somewhere(problem);
        }
        env.write(&file, text);
    }
}
