//! The executable that is every program: by the name of a link, and by its first word.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const RELAY: &str = env!("CARGO_BIN_EXE_relay");

/// The single programs: the files beside relay that are named for a source.
fn names() -> Vec<String> {
    let sources = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin")).unwrap();
    let names = sources.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter_map(|name| Some(name.strip_suffix(".rs")?.to_owned()))
        .filter(|name| name != "relay")
        .collect();
    names.sort();
    assert!(names.len() > 20, "{names:?}");
    names
}

fn run(program: impl AsRef<Path>, arguments: &[&str]) -> Output {
    command(program.as_ref(), arguments).output().unwrap()
}

fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("HOME", "/nowhere");
    command
}

/// Status, standard output and standard error of the same arguments to both, which must agree.
fn same(single: &Output, multiple: &Output, what: &str) {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    assert_eq!(text(&multiple.stdout), text(&single.stdout), "{what}");
    assert_eq!(text(&multiple.stderr), text(&single.stderr), "{what}");
    assert_eq!(multiple.status, single.status, "{what}");
}

/// Status and standard error of relay with these words.
fn refused(words: &[&str]) -> String {
    let output = run(RELAY, words);
    assert_eq!(output.status.code(), Some(64), "{words:?}: {output:?}");
    assert!(output.stdout.is_empty(), "{words:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn each_program_is_itself_by_word_by_link_and_in_help() {
    let dir = TempDir::new().unwrap();
    for name in names() {
        let single = Path::new(RELAY).with_file_name(&name);
        let link = dir.path().join(&name);
        symlink(RELAY, &link).unwrap();
        let short = name.strip_prefix("relay-").unwrap();
        let help = run(&single, &["--help"]);
        assert!(help.status.success() && !help.stdout.is_empty(), "{name}");
        for words in [
            [short, "--help"],
            [&name, "--help"],
            ["help", short],
            ["help", &name],
        ] {
            same(&help, &run(RELAY, &words), &words.join(" "));
        }
        for arguments in [["--help"], ["--version"], ["--no-such-option"]] {
            let single = run(&single, &arguments);
            same(&single, &run(&link, &arguments), &name);
            let words = [short, arguments[0]];
            same(&single, &run(RELAY, &words), &words.join(" "));
        }
    }
}

#[test]
fn messages_and_hints_are_those_of_the_single_program() {
    let dir = TempDir::new().unwrap();
    let node = dir
        .path()
        .join("alice")
        .into_os_string()
        .into_string()
        .unwrap();
    let made = run(RELAY, &["keygen", &node]);
    assert!(made.status.success(), "{made:?}");
    // The hint looks at the words of the command line once more.
    let words = ["check", &node];
    let single = run(Path::new(RELAY).with_file_name("relay-check"), &words[1..]);
    let text = String::from_utf8_lossy(&single.stderr).into_owned();
    assert!(
        text.starts_with("relay-check: ") && text.contains("hint: a node is named with -N"),
        "{text}"
    );
    same(&single, &run(RELAY, &words), "relay check");
}

#[test]
fn what_is_no_program_is_refused_with_what_was_meant() {
    let text = refused(&["sael", "-t", "bob"]);
    assert!(
        text.starts_with("relay: ") && text.contains("'sael'"),
        "{text}"
    );
    assert!(
        text.ends_with("relay: hint: did you mean seal?\n"),
        "{text}"
    );
    assert_eq!(refused(&["help", "sael"]), refused(&["sael"]));
    let text = "relay: no program is named\nrelay: hint: see --help\n";
    assert_eq!(refused(&[]), text);
    assert!(refused(&["--quiet", "seal"]).contains("'--quiet'"));
    // No octet of a word reaches the terminal as it is.
    assert!(!refused(&["se\u{1b}[2Jal"]).contains('\u{1b}'));
}

#[test]
fn a_link_that_this_version_does_not_know_is_refused() {
    let dir = TempDir::new().unwrap();
    let link = dir.path().join("relay-levitate");
    symlink(RELAY, &link).unwrap();
    let output = run(&link, &["-N", "alice"]);
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.starts_with("relay: ") && text.contains("'levitate'"),
        "{text}"
    );
}

#[test]
fn any_other_name_takes_the_program_from_its_first_word() {
    let dir = TempDir::new().unwrap();
    let copy = dir.path().join("tools");
    symlink(RELAY, &copy).unwrap();
    let version = format!("relay-seal {}\n", env!("CARGO_PKG_VERSION"));
    for program in [&copy, Path::new(RELAY)] {
        assert_eq!(run(program, &["seal", "-V"]).stdout, version.as_bytes());
    }
    // What execs it may leave out the name.
    let nameless = command(Path::new(RELAY), &["seal", "-V"])
        .arg0("")
        .output()
        .unwrap();
    assert_eq!(nameless.stdout, version.as_bytes(), "{nameless:?}");
}

#[test]
fn help_lists_each_program_with_its_job() {
    for words in [&["help"][..], &["--help"], &["-h"]] {
        let output = run(RELAY, words);
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{output:?}"
        );
        let text = String::from_utf8(output.stdout).unwrap();
        for name in names() {
            let short = name.strip_prefix("relay-").unwrap();
            let line = text
                .lines()
                .find(|line| line.trim_start().starts_with(&format!("{short} ")));
            let about = line.unwrap_or_else(|| panic!("{short}: {text}"));
            assert!(about.trim().len() > short.len() + 10, "{about}");
        }
    }
    let version = run(RELAY, &["--version"]);
    assert_eq!(
        version.stdout,
        format!("relay {}\n", env!("CARGO_PKG_VERSION")).as_bytes()
    );
}
