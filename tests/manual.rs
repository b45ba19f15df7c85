//! Runs the examples of the pages and of the README, so that what they show works.
//!
//! In the `.Bd -literal` blocks of a page's EXAMPLES, or of a tutorial, a line that starts with `$ ` is a command
//! and `> ` continues it; what else stands there is output. In the README the `sh` blocks that begin with one of
//! these programs, or that sets PATH, are commands. All commands of a page are one script, in an empty home.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

#[test]
fn the_examples_of_every_page_work() {
    let pages = files("man", "1").into_iter().chain(files("man", "7"));
    // relay is built with the feature only, and relaynet(7) is another name of relay(7).
    let pages = pages.filter(|page| cfg!(feature = "multicall") || !page.ends_with("relay.1"));
    let pages = pages.filter(|page| !page.is_symlink());
    let mut failures = Vec::new();
    for page in pages {
        let script = script_of_page(&fs::read_to_string(&page).unwrap());
        if script.is_empty() {
            failures.push(format!("{}: has no example to run", page.display()));
        }
        failures.extend(failure(&page, &script));
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn what_the_readme_shows_works() {
    let readme = root().join("README.md");
    let Ok(text) = fs::read_to_string(&readme) else {
        return;
    };
    let script = script_of_readme(&text);
    assert!(
        !script.is_empty(),
        "README.md: no block of shell begins with a program"
    );
    let failure = failure(&readme, &script);
    assert!(failure.is_none(), "\n{}", failure.unwrap());
}

/// `examples/site.sh` runs what relay-site(7) tells people to type, so that the page stays true.
#[test]
fn the_steps_of_a_site_are_those_of_the_example() {
    let page = fs::read_to_string(root().join("man/relay-site.7")).unwrap();
    let example = fs::read_to_string(root().join("examples/site.sh")).unwrap();
    let steps = joined(&script(&page, |title| {
        title.starts_with("step")
            || title.starts_with("backup")
            || title.starts_with("aliases")
            || title.starts_with("what to do")
    }));
    assert!(steps.lines().count() > 25, "{steps}");
    let missing: Vec<&str> = steps
        .lines()
        .filter(|step| !step.starts_with("cd ") && !example.contains(step))
        .collect();
    assert!(missing.is_empty(), "not in examples/site.sh: {missing:#?}");
}

/// One line for each command, with paths inside of a scratch root, as `examples/site.sh` has them.
fn joined(script: &str) -> String {
    let joined = script.replace("\\\n", " ");
    let commands = joined.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let line = words.join(" ").replace(" /", " ");
        match line.strip_prefix("relay-list --id ") {
            Some(_) => "relay-list --id $id".to_owned(),
            None => line,
        }
    });
    commands.collect::<Vec<_>>().join("\n")
}

/// What would surprise in the crontabs: files that others can read, and one job at different times.
#[test]
fn crontabs_have_a_umask_and_do_not_contradict_each_other() {
    let crontabs: Vec<PathBuf> = fs::read_dir(root().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("/cron.d-"))
        .collect();
    assert_eq!(crontabs.len(), 5);
    let mut times = BTreeMap::new();
    for crontab in &crontabs {
        let text = fs::read_to_string(crontab).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for setting in ["MAILTO=root", "PATH=/usr/local/bin:/usr/bin:/bin"] {
            assert!(lines.contains(&setting), "{}", crontab.display());
        }
        let jobs = lines
            .iter()
            .filter(|line| line.starts_with(|c: char| c == '*' || c.is_ascii_digit()));
        for job in jobs {
            let mut fields = job.splitn(7, ' ');
            let time: Vec<&str> = fields.by_ref().take(5).collect();
            assert_eq!(fields.next(), Some("relay"), "{job}");
            let command = fields.next().unwrap();
            let command = command.strip_prefix("umask 077; ").expect(job);
            assert!(!command.contains('%'), "a new line to cron: {job}");
            // The daily and weekly jobs are the same ones everywhere.
            if time[0].parse::<u8>().is_ok() {
                let time = time.join(" ");
                let other = times
                    .entry(command.to_owned())
                    .or_insert_with(|| time.clone());
                assert_eq!(*other, time, "{command}");
            }
        }
        for program in ["relay-sync", "relay-route"] {
            let waits = text.matches(&format!("{program} -q ")).count();
            let all = text.matches(&format!("; {program} ")).count()
                + text.matches(&format!("do {program} ")).count();
            assert_eq!(
                waits,
                all,
                "{}: {program} reports another run",
                crontab.display()
            );
        }
    }
    assert!(
        times.contains_key("relay-check") && times.len() >= 2,
        "{times:?}"
    );
}

/// An interactive zsh knows no comments, and a quote in one would be that of a string.
#[test]
fn the_first_session_of_the_readme_can_be_pasted() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let session = readme.split("```sh\nPATH=").nth(1).unwrap();
    let session = session.split("```").next().unwrap();
    assert!(session.contains("\nrelay-open "), "{session}");
    assert!(!session.contains(['#', '!']), "{session}");
}

#[test]
fn an_example_says_which_rust_it_found_and_needs() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let needed = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let needed = needed.unwrap().trim_matches('"');
    let old = build_error("echo 'rustc 1.63.0 (4b91a6ea7 2022-08-08)'");
    assert!(
        old.contains("is Rust 1.63.0, and the programs need ") && old.contains(needed),
        "{old}"
    );
    let silent = build_error("exit 1");
    assert!(
        silent.contains("does not say its version") && silent.contains(needed),
        "{silent}"
    );
    let later = build_error("echo 'rustc 2.0.0 (0123456789 2032-01-01)'");
    assert!(
        later.contains("with Rust 2.0.0") && later.contains("cannot be built"),
        "{later}"
    );
}

/// What an example prints when it has to build the programs with such a `rustc`, and a `cargo` that fails.
fn build_error(rustc: &str) -> String {
    let scratch = tempfile::tempdir().unwrap();
    for (name, script) in [("rustc", rustc), ("cargo", "exit 101"), ("cc", "exit 1")] {
        let program = scratch.path().join(name);
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output = Command::new("sh")
        .arg(root().join("examples/first-parcel.sh"))
        .env_remove("RELAY_BIN")
        .env(
            "PATH",
            format!("{}:/usr/bin:/bin", scratch.path().display()),
        )
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn example_scripts_are_shell() {
    for script in files("examples", "sh") {
        let status = Command::new("sh").arg("-n").arg(&script).status().unwrap();
        assert!(status.success(), "{}", script.display());
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a directory with this extension, sorted; none where the directory is missing.
fn files(dir: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(dir)).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

/// What went wrong when the script was run.
fn failure(source: &Path, script: &str) -> Option<String> {
    let output = run(script, "-eu");
    if output.status.success() {
        return None;
    }
    let traced = run(script, "-eux"); // once more, since a trace would end up where examples redirect stderr
    Some(format!(
        "{}: {}\n--- script\n{script}--- output\n{}--- trace of another run\n{}",
        source.display(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&traced.stderr),
    ))
}

/// Runs a script with the programs just built, without any of this process's surroundings.
fn run(script: &str, options: &str) -> Output {
    let scratch = tempfile::tempdir().unwrap();
    let mut path = programs().into_os_string();
    path.push(":");
    path.push(env::var_os("PATH").unwrap());
    Command::new("sh")
        .args([options, "-c", script])
        .env_clear()
        .env("PATH", path)
        .env("HOME", scratch.path())
        .env("TMPDIR", scratch.path())
        .env("LC_ALL", "C")
        .current_dir(scratch.path())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Where cargo put the programs: above this test's own `deps`.
fn programs() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_owned()
}

fn script_of_page(page: &str) -> String {
    script(page, |title| {
        title.contains("examples") || title.contains("tutorial")
    })
}

/// The commands in the sections whose titles, in lower case, are taken.
fn script(page: &str, takes: impl Fn(&str) -> bool) -> String {
    let mut script = String::new();
    let (mut in_section, mut in_block, mut in_command) = (false, false, false);
    for line in page.lines() {
        if let Some(title) = line.strip_prefix(".Sh ").or(line.strip_prefix(".Ss ")) {
            in_section = takes(&title.to_lowercase());
        } else if line.starts_with(".Bd ") {
            in_block = line.contains("-literal");
        } else if line.starts_with(".Ed") {
            in_block = false;
        } else if in_section && in_block {
            let line = plain(line);
            let command = match line.strip_prefix("> ").or(line.strip_prefix('>')) {
                Some(rest) if in_command => Some(rest),
                _ => line.strip_prefix("$ "),
            };
            in_command = command.is_some();
            if let Some(command) = command {
                script.push_str(command);
                script.push('\n');
            }
        }
    }
    script
}

/// A line of roff as it is shown.
fn plain(line: &str) -> String {
    let shown = [
        ("\\&", ""),
        ("\\-", "-"),
        ("\\(aq", "'"),
        ("\\(dq", "\""),
        ("\\(ti", "~"),
        ("\\(ha", "^"),
        ("\\(ga", "`"),
        ("\\e", "\\"),
    ];
    shown.iter().fold(line.to_owned(), |line, (roff, text)| {
        line.replace(roff, text)
    })
}

fn script_of_readme(readme: &str) -> String {
    let mut script = String::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        let lines = lines.by_ref().take_while(|line| line.trim_start() != "```");
        let block: Vec<&str> = lines
            .map(|line| line.strip_prefix("$ ").unwrap_or(line))
            .collect();
        if info == "sh"
            && block
                .first()
                .is_some_and(|first| first.starts_with("relay-") || first.starts_with("PATH="))
        {
            script.push_str(&block.join("\n"));
            script.push('\n');
        }
    }
    script
}

#[test]
fn commands_are_told_from_output() {
    let page = ".Sh DESCRIPTION\n.Bd -literal\n$ no\n.Ed\n.Sh EXAMPLES\nText:\n$ no\n.Bd -literal -offset indent\n\
                $ relay\\-keygen \\e\n> \\-N a\noutput\n> no\n$ cat <<E\n> \n>\n> E\n.Ed\n.Ss More\n.Bd -literal\n$ no\n.Ed\n";
    assert_eq!(
        script_of_page(page),
        "relay-keygen \\\n-N a\ncat <<E\n\n\nE\n"
    );
    let readme = "```sh\nno\n```\n```sh\n$ relay-a\nb\n```\n```\nrelay-no\n```\n";
    assert_eq!(script_of_readme(readme), "relay-a\nb\n");
}

#[test]
fn a_script_that_fails_is_shown() {
    let failure = failure(
        Path::new("page"),
        "echo one; mkdir two\nfalse\necho three\n",
    )
    .unwrap();
    assert!(
        failure.contains("page: exit status: 1") && failure.contains("one\n--- trace"),
        "{failure}"
    );
    assert!(
        failure.contains("+ false") && !failure.contains("+ echo three"),
        "{failure}"
    );
    let surroundings = "test \"$HOME\" = \"$PWD\"; test -z \"$(ls -A)\"; test -z \"$(cat)\"\n";
    assert!(run(surroundings, "-eu").status.success());
}
