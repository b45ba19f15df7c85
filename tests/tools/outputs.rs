//! Outputs that are inputs, or files of a node: no `-f` destroys what is read, or a key.

use std::fs;

use crate::testenv::*;

/// An environment in which every program has something to read.
fn env_with_inputs() -> Env {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"content");
    env.write("parcel", &parcel);
    env.write("cargo", env.cargo("gateway", "hub", &*parcel));
    env.write("cca", env.cca("gateway", "hub"));
    env.write("text", b"some text");
    env.write("parts", env.relay("split").arg("text").ok().stdout);
    let public = env.relay("export").args(["-N", "bob"]).ok().stdout;
    env.write("bob.pub", public);
    let authorize = env.relay("authorize").args(["-q", "-N", "hub", "bob.pub"]);
    env.write("conn", authorize.ok().stdout);
    env
}

/// Every program that takes `-f`, and what it reads.
const CALLS: [(&str, &str); 14] = [
    ("ack parcel", "parcel"),
    ("authorize -q -N alice bob.pub", "bob.pub"),
    ("join parts", "parts"),
    ("open -N alice parcel", "parcel"),
    ("open -N alice --cat parcel", "parcel"),
    ("pack-cargo -N gateway -t hub parcel", "parcel"),
    ("pack-cargo -N hub --cca cca parcel", "cca"),
    ("register -q -N gateway bob.pub", "bob.pub"),
    ("register -q -N gateway --authorize bob.pub", "bob.pub"),
    ("seal -N bob -t alice text", "text"),
    ("seal -N bob -t alice --parts parts", "parts"),
    ("split text", "text"),
    ("unpack-cargo -N hub cargo", "cargo"),
    ("ack < parcel", "parcel"),
];

#[test]
fn no_output_replaces_what_is_read() {
    let env = env_with_inputs();
    for (call, input) in CALLS {
        let hard = format!("{input}.hard");
        let soft = format!("{input}.soft");
        fs::remove_file(env.path(&hard)).ok();
        fs::hard_link(env.path(input), env.path(&hard)).unwrap();
        if !env.path(&soft).exists() {
            env.link(input, &soft);
        }
        let (args, stdin) = call.split_once(" < ").unwrap_or((call, "/dev/null"));
        let mut words = args.split(' ');
        let program = words.next().unwrap();
        let words: Vec<&str> = words.collect();
        let stdin = format!("<{stdin}");
        for output in [input, &hard, &soft, &format!("./{input}")] {
            let call = env.relay(program).args(&words).args(["-f", "-o", output]);
            let diagnostic = format!("{output}: is read, too");
            call.shell("", &stdin).fails(64, &diagnostic);
        }
        let call = env.relay(program).args(&words);
        let append = format!("{stdin} >>{input}");
        call.shell("", &append).fails(64, "standard output goes to");
    }
}

/// A file in a directory that is read is known only when its turn comes.
#[test]
fn no_output_replaces_what_is_read_in_a_directory() {
    let env = env_with_inputs();
    env.mkdir("dir");
    for file in ["dir/1", "dir/2"] {
        env.write(file, env.parcel("bob", "alice", file.as_bytes()));
    }
    let second = env.read("dir/2");
    let pack = |output: &str| {
        let pack = env.relay("pack-cargo").args(["-N", "gateway", "-t", "hub"]);
        pack.args(["-f", "-o", output, "dir"])
    };
    for output in ["dir/1", "dir/2"] {
        let diagnostic = format!("{output}: is read by this run");
        pack(output).fails(64, &diagnostic);
    }
    for redirection in [">>dir/2", ">>dir/new"] {
        let pack = pack("-").shell("touch dir/new", redirection).run();
        assert_eq!(pack.status, 64, "{}", pack.stderr);
        pack.says(&["standard output goes to "]);
        assert_eq!(env.read("dir/2"), second);
    }
    fs::remove_file(env.path("dir/new")).unwrap();
    pack("dir/3").ok();
    env.mkdir("parts.dir");
    env.write("parts.dir/1", env.read("parts"));
    let join = env
        .relay("join")
        .args(["-f", "-o", "parts.dir/1", "--remove", "parts.dir"]);
    join.fails(64, "parts.dir/1: is read by this run");
}

/// What options name is read, too, and two outputs are not one file.
#[test]
fn no_output_replaces_what_an_option_names_or_another_output() {
    let env = env_with_inputs();
    let keys = env.keys("mallory");
    let key = keys.session;
    let request = |output: &str, options: &[&str]| {
        let request = env.relay("seal").args(["--params", "conn"]);
        let request = request.args(["--identity-key", &keys.identity]);
        request.args(options).args(["-f", "-o", output])
    };
    let diagnostic = format!("{key}: is read, too");
    request(&key, &["--session-key", &key]).fails(64, &diagnostic);
    request("./key", &["--save-session-key", "key"]).fails(64, "key: is named for two outputs");
}

#[test]
fn no_output_is_a_file_of_a_node() {
    let env = env_with_inputs();
    env.mkdir("alice/mine");
    env.link("alice/identity.key", "link");
    let export = |output: &str| {
        let export = env.relay("export").args(["-N", "bob", "-f", "-o", output]);
        export.fails(64, &format!("{output}: belongs to a node"));
    };
    for output in [
        "alice/identity.key",
        "bob/identity.pub",
        "link",
        "alice/mine/../config",
        "alice/routes",
        "gateway/peers/x",
    ] {
        export(output);
    }
    for dir in ["alice", "alice/spool", "alice/peers"] {
        let open = env.relay("open").args(["-N", "alice", "-d", dir, "parcel"]);
        open.fails(64, &format!("{dir}: belongs to a node"));
        for option in ["--dir", "--maildir"] {
            let deliver = env.relay("deliver").args(["-N", "alice", option, dir]);
            deliver.fails(64, &format!("{dir}: belongs to a node"));
        }
    }
    // The node's directory may be the home of its user.
    let export = env.relay("export").args(["-N", "bob"]);
    export.args(["-o", "alice/mine/bob.pub"]).ok();
}
