//! Completions as they are typed: lines with tabs, at each shell. zsh and fish are tried with `CI_FULL=1`.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use relaynet::asn1::pem;

use crate::testenv::*;

/// What is typed, and the words that the program gets. `alice` is a node in the directory, `my node` a copy of it.
const TYPED: &[(&str, &[&str])] = &[
    // Peers, from -N in all its forms.
    ("relay-seal -N alice -t bo\t", &["-N", "alice", "-t", "bob"]),
    (
        "relay-seal --node alice --to bo\t",
        &["--node", "alice", "--to", "bob"],
    ),
    (
        "relay-seal --node=alice --to=bo\t",
        &["--node=alice", "--to=bob"],
    ),
    (
        "relay-seal -fqN alice -t bo\t",
        &["-fqN", "alice", "-t", "bob"],
    ),
    ("relay-seal -Nalice -ft bo\t", &["-Nalice", "-ft", "bob"]),
    (
        "relay-seal -N 'my node' -t bo\t",
        &["-N", "my node", "-t", "bob"],
    ),
    (
        "relay-seal -N my\\ node -t bo\t",
        &["-N", "my node", "-t", "bob"],
    ),
    (
        "relay-seal -N ./alice/ -t bo\t",
        &["-N", "./alice/", "-t", "bob"],
    ),
    ("relay-seal -N $A -t bo\t", &["-N", "alice", "-t", "bob"]),
    (
        "relay-seal -N \"$A\" -t bo\t",
        &["-N", "alice", "-t", "bob"],
    ),
    ("relay-peers -N alice ca\t", &["-N", "alice", "carol"]),
    (
        "relay-pack-cargo -N alice -t bo\t",
        &["-N", "alice", "-t", "bob"],
    ),
    (
        "relay-route -N alice --reroute ca\t",
        &["-N", "alice", "--reroute", "carol"],
    ),
    ("relay-authorize -N alice bo\t", &["-N", "alice", "bob"]),
    // There is no node, or nothing that names one.
    ("relay-seal -t bo\tx", &["-t", "box"]),
    (
        "relay-seal -N nowhere -t bo\tx",
        &["-N", "nowhere", "-t", "box"],
    ),
    (
        "relay-seal -N folder -t bo\tx",
        &["-N", "folder", "-t", "box"],
    ),
    (
        "relay-seal -N newer -t bo\tx",
        &["-N", "newer", "-t", "box"],
    ),
    ("relay-seal -N open -t bo\tx", &["-N", "open", "-t", "box"]),
    ("relay-seal -N pipe -t bo\tx", &["-N", "pipe", "-t", "box"]),
    (
        "relay-seal -N open -t @te\tx",
        &["-N", "open", "-t", "@tex"],
    ),
    // Aliases, where they count.
    (
        "relay-seal -N alice -t @te\t",
        &["-N", "alice", "-t", "@team"],
    ),
    (
        "relay-seal -N alice --to=@al\t",
        &["-N", "alice", "--to=@all"],
    ),
    (
        "relay-seal -N alice -t @st\t",
        &["-N", "alice", "-t", "@staff"],
    ),
    (
        "relay-pack-cargo -N alice -t @te\tx",
        &["-N", "alice", "-t", "@tex"],
    ),
    // relay-send has all of it.
    (
        "relay-send -N alice it\t -t bo\t -t @te\t",
        &["-N", "alice", "it's", "-t", "bob", "-t", "@team"],
    ),
    (
        "relay-send -N alice --drop it\tx",
        &["-N", "alice", "--drop", "itx"],
    ),
    // Queues and messages.
    ("relay-list -N alice fai\t", &["-N", "alice", "failed"]),
    ("relay-list -N alice out/bo\t", &["-N", "alice", "out/bob"]),
    // Words.
    ("relay-keygen --set clock-\t", &["--set", "clock-drift="]),
    ("relay-keygen --set=clock-\t", &["--set=clock-drift="]),
    ("relay-keygen --type g\t", &["--type", "gateway"]),
    ("relay-register --type g\t", &["--type", "gateway"]),
    ("relay-seal -y text/pl\t", &["-y", "text/plain"]),
    ("relay-seal --cipher=aes-256-g\t", &["--cipher=aes-256-gcm"]),
    ("relay-list --lon\t", &["--long"]),
    // Files, with blanks and quotes, and directories.
    ("relay-inspect two\t", &["two words.txt"]),
    ("relay-inspect it\t", &["it's"]),
    ("relay-inspect -- it\t", &["--", "it's"]),
    ("relay-inspect \"two w\t", &["two words.txt"]),
    ("relay-inspect my\\ n\tVERS\t", &["my node/VERSION"]),
    ("relay-seal --identity-key=it\t", &["--identity-key=it's"]),
    ("relay-authorize two\t", &["two words.txt"]),
    ("relay-sync fold\tx", &["folder/x"]),
    ("relay-sync it\tx", &["itx"]),
    ("relay-list -N my\tx", &["-N", "my node/x"]),
    ("relay-carry my\tx fold\tx", &["my node/x", "folder/x"]),
    // Neither a file nor anything that is known.
    ("relay-seal --ttl it\tx", &["--ttl", "itx"]),
    ("relay-peers it\tx", &["itx"]),
    // The same, by way of relay.
    ("relay insp\t", &["inspect"]),
    (
        "relay seal -N alice -t bo\t",
        &["seal", "-N", "alice", "-t", "bob"],
    ),
    (
        "relay list -N 'my node' out/bo\t",
        &["list", "-N", "my node", "out/bob"],
    ),
    ("relay inspect it\t", &["inspect", "it's"]),
    (
        "relay deliver -- cat it\t",
        &["deliver", "--", "cat", "it's"],
    ),
    // A command.
    ("relay-deliver -- printe\t", &["--", "printenv"]),
    ("relay-deliver -- cat it\t", &["--", "cat", "it's"]),
];

/// What is typed, and what fish offers then.
const OFFERED: &[(&str, &[&str])] = &[
    ("relay-seal -N alice -t b", &["bob"]),
    ("relay-seal -fqN 'my node' --to=c", &["--to=carol"]),
    ("relay-seal --node=my\\ node -t c", &["carol"]),
    ("relay-seal -N $A -t b", &["bob"]),
    ("relay-seal -N alice -t @", &["@all", "@staff", "@team"]),
    ("relay-pack-cargo -N alice -t @", &[]),
    ("relay-seal -t b", &[]),
    ("relay-seal -N nowhere -t b", &[]),
    ("relay-seal -N folder -t b", &[]),
    ("relay-seal -N newer -t b", &[]),
    ("relay-seal -N open -t b", &[]),
    ("relay-seal -N pipe -t b", &[]),
    ("relay-seal -N open -t @", &[]),
    ("relay-seal -N (touch run) -t b", &[]),
    ("relay-list -N alice fai", &["failed"]),
    ("relay-list -N alice out/", &["out/bob", "out/carol"]),
    ("relay-keygen --set clock-", &["clock-drift="]),
    ("relay-register --type g", &["gateway"]),
    ("relay-seal -y text/pl", &["text/plain"]),
    ("relay-inspect two", &["two words.txt"]),
    ("relay-authorize -N alice b", &["bob"]),
    ("relay-authorize it", &["it's"]),
    ("relay-sync fold", &["folder/"]),
    ("relay-sync it", &[]),
    ("relay-seal --ttl it", &[]),
    ("relay-peers it", &[]),
    ("relay insp", &["inspect"]),
    ("relay seal -N alice -t b", &["bob"]),
    ("relay list -N 'my node' out/b", &["out/bob"]),
    ("relay inspect it", &["it's"]),
    ("relay deliver -- cat it", &["it's"]),
    ("relay-deliver -- cat it", &["it's"]),
];

#[test]
fn bash_completes_values() {
    let env = env_to_complete();
    let before = env.tree();
    let Some(output) = bash(&env, "", TYPED.iter().map(|(line, _)| *line)) else {
        return;
    };
    assert_words(&output.stdout, TYPED.iter().copied());
    assert_silent(&output);
    assert!(env.tree() == before, "completing changes nothing");
}

#[test]
fn bash_lists_ids_and_messages() {
    let env = env_to_complete();
    let bob = id("bob");
    let parcel = env.parcel("alice", "bob", b"x");
    env.relay("put").args(["-N", "alice"]).stdin(parcel).ok();
    let name = env.names("alice/spool/in").remove(0);
    env.mkdir("alice/spool/failed");
    env.write(format!("alice/spool/failed/{name}"), "");
    let (begun_id, begun_name) = (&bob[..20], &name[..12]);
    let lines = [
        format!("relay-peers -N alice {begun_id}\t"),
        format!("relay-carry -N alice --for {begun_id}\t"),
        format!("relay-verify -N alice --recipient {begun_id}\t"),
        format!("relay-list -N alice --id {begun_name}\t"),
        format!("relay-route -N alice --retry {begun_name}\t"),
        "relay-seal -N alice -t \u{1b}*".to_owned(),
        "relay-list -N alice out/\u{1b}*".to_owned(),
    ];
    let expected: [&[&str]; 7] = [
        &["-N", "alice", &bob],
        &["-N", "alice", "--for", &bob],
        &["-N", "alice", "--recipient", &bob],
        &["-N", "alice", "--id", &name],
        &["-N", "alice", "--retry", &name],
        &[
            "-N", "alice", "-t", "@all", "@team", "@staff", "bob", "carol",
        ],
        &["-N", "alice", "out/bob", "out/carol"],
    ];
    let lines = lines.iter().map(String::as_str);
    let Some(output) = bash(&env, "", lines.clone()) else {
        return;
    };
    assert_words(&output.stdout, lines.zip(expected));
    assert_silent(&output);
}

#[test]
fn bash_finds_the_node_of_the_environment() {
    let env = env_to_complete();
    fs::rename(env.path("my node"), env.path(".relay")).unwrap();
    let lines = [
        "relay-seal -t bo\t",
        "RELAY_NODE=alice relay-peers -N folder bo\tx",
    ];
    let expected: [&[&str]; 2] = [&["-t", "bob"], &["-N", "folder", "box"]];
    for before in ["export RELAY_NODE=alice HOME=/nowhere", "export HOME=$PWD"] {
        let Some(output) = bash(&env, before, lines.iter().copied()) else {
            return;
        };
        assert_words(&output.stdout, lines.into_iter().zip(expected));
        assert_silent(&output);
    }
}

#[test]
fn bash_says_nothing_without_programs_or_helper() {
    let env = env_to_complete();
    let lines = ["relay-seal -N alice -t bo\tx", "relay-inspect it\t"];
    let expected: [&[&str]; 2] = [&["-N", "alice", "-t", "box"], &["it's"]];
    let befores = ["PATH=/nowhere", "unset -f _relay_complete _relay_line"];
    for before in befores {
        let Some(output) = bash(&env, before, lines.iter().copied()) else {
            return;
        };
        assert_words(&output.stdout, lines.into_iter().zip(expected));
        assert_silent(&output);
    }
}

#[test]
fn bash_finds_the_helper_as_packages_name_it() {
    let env = env_to_complete();
    env.mkdir("installed");
    let completions = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    for name in ["relay-seal", "relay-complete"] {
        let file = completions.join(format!("{name}.bash"));
        fs::copy(file, env.path("installed").join(name)).unwrap();
    }
    let before = "complete -r; unset -f _relay_complete _relay_line _relay__seal; cd installed; . ./relay-seal; cd ..";
    let lines = ["relay-seal -N alice -t bo\t"];
    let Some(output) = bash(&env, before, lines.into_iter()) else {
        return;
    };
    let expected: &[&str] = &["-N", "alice", "-t", "bob"];
    assert_words(&output.stdout, lines.into_iter().zip([expected]));
    assert_silent(&output);
}

#[test]
fn nothing_on_the_line_is_run() {
    let env = env_to_complete();
    // The line is not entered, but removed.
    let lines = [
        "relay-seal -N $(touch run) -t bo\t\u{15}",
        "relay-seal -N `touch run` -t bo\t\u{15}",
        "relay-seal -N \"$(touch run)\" -t @\t\u{15}",
    ];
    let Some(output) = bash(&env, "", lines.into_iter()) else {
        return;
    };
    assert_silent(&output);
    assert!(!env.path("run").exists());
}

#[test]
fn a_thousand_peers_are_completed() {
    let env = env_to_complete();
    for peer in 0..1000_u16 {
        let key = env.text("alice/identity.pub");
        let mut key = pem_contents(&key);
        // Another modulus is another key; it has to stay odd.
        let at = key.len() - 20;
        key[at..at + 2].copy_from_slice(&peer.to_be_bytes());
        let dir = format!("alice/peers/0{}", sha256(&key));
        env.mkdir(&dir);
        env.write(
            format!("{dir}/identity.pub"),
            pem::encode("PUBLIC KEY", &key),
        );
        env.write(format!("{dir}/name"), format!("site-{peer:03}\n"));
    }
    let script = r#"
        . "$COMPLETIONS/relay-seal.bash"
        COMP_LINE='relay-seal -N alice -t site-' COMP_POINT=${#COMP_LINE}
        COMP_WORDS=($COMP_LINE) COMP_CWORD=4
        _relay__seal relay-seal site- -t
        printf '%s\t' "${COMPREPLY[@]}""#;
    if !has_bash() {
        return;
    }
    let began = Instant::now();
    let home = Env::new();
    let output = shell("bash", &env, home.root())
        .args(["-c", script])
        .output()
        .unwrap();
    eprintln!("1 000 peers: {:?}, with the start of bash", began.elapsed());
    let names: Vec<String> = (0..1000).map(|peer| format!("site-{peer:03}")).collect();
    let expected: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_words(&output.stdout, [("relay-seal", &*expected)].into_iter());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn zsh_completes_values() {
    if !is_wanted("zsh") {
        return;
    }
    let env = env_to_complete();
    let before = env.tree();
    let place = Env::new();
    // zsh completes only at a terminal, which script(1) gives it.
    let setup = "exec 2>>$HOME/errors; PS1=; unsetopt prompt_cr prompt_sp; unset zle_bracketed_paste; A=alice\n\
        fpath=($COMPLETIONS $fpath); autoload -Uz compinit; compinit -u -D\n";
    let functions = functions(">>$HOME/words");
    place.write(".zshrc", format!("{setup}{functions}"));
    // A terminal keeps 4 KiB that nobody has read yet.
    for some in TYPED.chunks(16) {
        let mut script = shell("script", &env, place.root());
        script.args(["-qec", "zsh -d -i", "/dev/null"]);
        let lines = some.iter().map(|(line, _)| *line).chain(["exit"]);
        let output = typed(script, lines);
        assert!(output.status.success(), "{output:?}");
    }
    // It takes the / of a directory away again where the line ends.
    assert_words(&place.read("words"), TYPED.iter().copied());
    assert_eq!(place.text("errors"), "");
    assert!(env.tree() == before, "completing changes nothing");
}

#[test]
fn fish_completes_values() {
    if !is_wanted("fish") {
        return;
    }
    let env = env_to_complete();
    let before = env.tree();
    let place = Env::new();
    let mut script =
        "set A alice\nfor file in $COMPLETIONS/relay*.fish; source $file; end\n".to_owned();
    for (line, _) in OFFERED {
        let line = line.replace('\\', "\\\\").replace('\'', "\\'");
        script.extend(["complete -C '", &line, "'; echo .\n"]);
    }
    place.write("script", script);
    let mut fish = shell("fish", &env, place.root());
    fish.arg("--no-config").arg(place.path("script"));
    let output = fish.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let offers: Vec<&str> = text.split_terminator(".\n").collect();
    assert_eq!(offers.len(), OFFERED.len(), "{text}");
    for ((line, expected), offer) in OFFERED.iter().zip(offers) {
        let words: BTreeSet<&str> = offer
            .lines()
            .map(|line| line.split('\t').next().unwrap())
            .collect();
        assert_eq!(
            words,
            expected.iter().copied().collect::<BTreeSet<_>>(),
            "{line}"
        );
    }
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(env.tree() == before, "completing changes nothing");
}

/// The node alice, who knows bob and carol and has aliases; a copy of it; directories that are no nodes of ours; files.
fn env_to_complete() -> Env {
    let env = Env::with_peers();
    for node in ["bob", "carol"] {
        fs::remove_dir_all(env.path(node)).unwrap();
    }
    env.write("alice/aliases", "# mine\nteam: bob, carol\n  and: nobody\n");
    env.mkdir("alice/aliases.d");
    for name in ["staff", "staff~", ".hidden"] {
        env.write(format!("alice/aliases.d/{name}"), "bob\n");
    }
    for copy in ["my node", "newer", "open", "pipe"] {
        env.mkdir(copy);
        copy_tree(&env.path("alice"), &env.path(copy));
    }
    env.write("newer/VERSION", "relay-node 99\n");
    env.chmod("open", 0o777);
    fs::remove_file(env.path("pipe/VERSION")).unwrap();
    let made = Command::new("mkfifo")
        .arg(env.path("pipe/VERSION"))
        .status();
    assert!(made.unwrap().success());
    env.mkdir("folder");
    env.write("two words.txt", "");
    env.write("it's", "");
    env
}

/// The contents of the only block.
fn pem_contents(text: &str) -> Vec<u8> {
    let blocks = pem::blocks(text.as_bytes()).unwrap();
    blocks[0].contents.clone()
}

/// Functions in the place of the programs, which print their arguments.
fn functions(redirection: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    let mut text = format!("say() {{ printf '%s\\t' \"$@\"; printf '\\n'; }} {redirection}\n");
    for entry in fs::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.trim_end_matches(".rs");
        text.extend([name, "() { say \"$@\"; }\n"]);
    }
    text
}

/// A shell in the directory, with the programs and the completions.
fn shell(name: &str, env: &Env, home: &Path) -> Command {
    let programs = Path::new(env!("CARGO_BIN_EXE_relay-peers"))
        .parent()
        .unwrap();
    let mut command = Command::new(name);
    command
        .current_dir(env.root())
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .env(
            "COMPLETIONS",
            Path::new(env!("CARGO_MANIFEST_DIR")).join("completions"),
        )
        .env("HOME", home)
        .env("ZDOTDIR", home)
        .env("XDG_RUNTIME_DIR", home)
        .env("INPUTRC", "/dev/null")
        .env("TERM", "dumb")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Types lines at a shell.
fn typed<'a>(mut shell: Command, lines: impl Iterator<Item = &'a str>) -> Output {
    let mut child = shell.stdin(Stdio::piped()).spawn().unwrap();
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output
}

/// Whether there is a bash; its absence is reported.
fn has_bash() -> bool {
    let has = Command::new("bash").args(["-c", ":"]).output().is_ok();
    if !has {
        eprintln!("there is no bash, so its completions are not tried");
        assert!(env::var_os("CI").is_none(), "bash is needed in CI");
    }
    has
}

/// Types lines at bash, after `before`; `None` if there is no bash.
fn bash<'a>(env: &Env, before: &str, lines: impl Iterator<Item = &'a str>) -> Option<Output> {
    if !has_bash() {
        return None;
    }
    let place = Env::new();
    let setup = "unset HISTFILE; PS1=; A=alice\nfor file in \"$COMPLETIONS\"/*.bash; do . \"$file\"; done\n";
    let functions = functions("");
    place.write("setup", format!("{setup}{functions}{before}\n"));
    let mut bash = shell("bash", env, place.root());
    bash.args(["--noprofile", "--rcfile"])
        .arg(place.path("setup"))
        .arg("-i");
    Some(typed(bash, lines))
}

/// Whether the completions of this shell are to be tried.
fn is_wanted(shell: &str) -> bool {
    if env::var_os("CI_FULL").is_none() {
        return false;
    }
    let is_there = Command::new(shell).arg("-c").arg(":").output().is_ok();
    if !is_there {
        eprintln!("there is no {shell}, so its completions are not tried");
        assert!(env::var_os("CI").is_none(), "{shell} is needed in CI");
    }
    is_there
}

/// Checks the words that each line led to.
fn assert_words<'a>(printed: &[u8], expected: impl Iterator<Item = (&'a str, &'a [&'a str])>) {
    let printed = String::from_utf8(printed.to_vec()).unwrap();
    let mut lines = printed.lines();
    for (line, words) in expected {
        let found = lines.next().unwrap_or_default();
        let found: Vec<&str> = found.split_terminator('\t').collect();
        assert_eq!(found, words, "{line:?}");
    }
    assert_eq!(lines.next(), None);
}

/// Checks that standard error has what was typed, and what bash says where there is no terminal, but no error.
fn assert_silent(output: &Output) {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines = text.lines().filter(|line| {
        !line.starts_with("bash: cannot set terminal process group")
            && *line != "bash: no job control in this shell"
    });
    for line in lines {
        let is_error = [
            "bash:",
            "relay-peers:",
            "relay-list:",
            "awk:",
            "sed:",
            "not found",
            "No such",
        ]
        .iter()
        .any(|word| line.contains(word));
        assert!(!is_error, "{text}");
    }
}
