//! Options, pages and completions agree, and a letter means one thing in every program.
//!
//! `BLESS=1 cargo test --test surface` rewrites the completions.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;

use clap::Command;
use clap_complete::Shell;

#[allow(dead_code)] // it is run by its own test
#[path = "../src/bin/relay.rs"]
mod relay;

#[path = "surface/completions.rs"]
mod completions;

/// The programs, and relay, which is all of them.
fn programs() -> Vec<Command> {
    let single = relay::PROGRAMS.iter().map(|program| {
        let command = (program.command)();
        assert_eq!(command.get_name(), program.name);
        command
    });
    let mut all: Vec<Command> = single.chain([relay::command()]).collect();
    all.iter_mut().for_each(Command::build);
    all
}

/// What each letter means, in every program that has it.
const LETTERS: [(char, &str); 12] = [
    ('0', "null"),
    ('d', "directory"),
    ('f', "force"),
    ('h', "help"),
    ('n', "dry-run"),
    ('N', "node"),
    ('o', "output"),
    ('q', "quiet"),
    ('t', "to"),
    ('v', "verbose"),
    ('V', "version"),
    ('y', "type"),
];

/// Options of every program, which a SYNOPSIS may leave out. relay has the first two.
const EVERYWHERE: [&str; 4] = ["help", "version", "quiet", "verbose"];

#[test]
fn every_program_has_a_page_and_every_page_a_program() {
    let sources = names("src/bin", "", ".rs");
    let listed: BTreeSet<String> = programs()
        .iter()
        .map(|command| command.get_name().to_owned())
        .collect();
    assert_eq!(listed, sources, "list in src/bin/relay.rs, and src/bin");
    assert_eq!(names("man", "", ".1"), sources, "man/*.1, and src/bin");
}

#[test]
fn cargo_install_makes_single_programs() {
    let manifest = read("Cargo.toml");
    let target = "[[bin]]\nname = \"relay\"\npath = \"src/bin/relay.rs\"\nrequired-features = [\"multicall\"]\n";
    assert!(manifest.contains(target));
    let default = manifest.lines().find(|line| line.starts_with("default = "));
    assert_eq!(default, Some("default = [\"online\"]"));
}

#[test]
fn pages_describe_the_options_that_there_are() {
    let mut differences = Vec::new();
    for command in programs() {
        let name = command.get_name().to_owned();
        let text = read(&format!("man/{name}.1"));
        let page = Page::parse(&text);
        let options = options(&command);
        let mut say = |what: String| differences.push(format!("man/{name}.1: {what}"));
        if page.name != name {
            say(format!(".Nm is {:?}", page.name));
        }
        for missing in options.difference(&page.items) {
            say(format!("no \".It {missing}\""));
        }
        for unknown in page.items.difference(&options) {
            say(format!("\".It {unknown}\" is no option of the program"));
        }
        for (flag, value) in &page.synopsis {
            if !options
                .iter()
                .any(|option| option.has(flag) && option.value == *value)
            {
                say(format!(
                    "{flag} in SYNOPSIS is no option, or its value is wrong"
                ));
            }
        }
        for option in &options {
            let shown = page.synopsis.iter().any(|(flag, _)| option.has(flag));
            let everywhere = option
                .long
                .as_deref()
                .is_some_and(|long| EVERYWHERE.contains(&long));
            if !shown && !everywhere {
                say(format!("{option} is not in SYNOPSIS"));
            }
        }
        let has_operands = command.get_positionals().next().is_some() || command.has_subcommands();
        if has_operands != page.has_operands {
            say(format!(
                "SYNOPSIS {} operands",
                if has_operands { "lacks" } else { "has" }
            ));
        }
    }
    assert!(differences.is_empty(), "\n{}\n", differences.join("\n"));
}

#[test]
fn a_letter_means_one_thing() {
    let letters = BTreeMap::from(LETTERS);
    for command in programs() {
        let name = command.get_name().to_owned();
        for option in options(&command) {
            if let Some(letter) = option.short {
                let long = option.long.as_deref();
                assert_eq!(long, letters.get(&letter).copied(), "{name}: {option}");
            }
        }
        let count = if command.has_subcommands() { 2 } else { 4 };
        for long in &EVERYWHERE[..count] {
            let found = options(&command)
                .into_iter()
                .any(|option| option.long.as_deref() == Some(*long));
            assert!(found, "{name} lacks --{long}");
        }
    }
}

#[test]
fn completions_are_those_of_the_options() {
    let bless = env::var_os("BLESS").is_some();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    let mut expected = BTreeMap::new();
    for command in programs() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            expected.extend([completions::make(shell, &command)]);
        }
    }
    if bless {
        fs::create_dir_all(&dir).unwrap();
        for file in made_completions() {
            fs::remove_file(dir.join(file)).unwrap();
        }
        for (file, text) in &expected {
            fs::write(dir.join(file), text).unwrap();
        }
    }
    let files: BTreeSet<String> = expected.keys().cloned().collect();
    assert_eq!(made_completions(), files, "BLESS=1 rewrites completions/");
    for (file, text) in expected {
        let same = read(&format!("completions/{file}")) == text;
        assert!(
            same,
            "completions/{file} is out of date; BLESS=1 rewrites it"
        );
    }
}

/// The files in completions/ without the helpers, which have to be there.
fn made_completions() -> BTreeSet<String> {
    let mut files = names("completions", "", "");
    for helper in completions::HELPERS {
        assert!(files.remove(helper), "completions/{helper} is missing");
    }
    files
}

#[test]
fn every_value_has_a_kind_of_completion() {
    for command in programs() {
        for argument in command.get_arguments() {
            let is_listed = !argument.get_possible_values().is_empty();
            let is_completed = is_listed || completions::kind(argument).is_some();
            let takes_value = argument.get_action().takes_values();
            assert_eq!(is_completed, takes_value || is_listed, "{argument}");
        }
    }
}

#[test]
fn helpers_of_all_shells_know_every_kind() {
    for helper in completions::HELPERS {
        let text = read(&format!("completions/{helper}"));
        for kind in completions::kinds() {
            let is_known = text.lines().any(|line| {
                let words = line.split([' ', '(', ')', '|']);
                words.into_iter().any(|word| word == kind)
            });
            assert!(is_known, "completions/{helper} does not complete {kind}");
        }
    }
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names in a directory, without `prefix` and `suffix`; those that lack either are left out.
fn names(dir: &str, prefix: &str, suffix: &str) -> BTreeSet<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let entries = fs::read_dir(dir).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter_map(|name| Some(name.strip_prefix(prefix)?.strip_suffix(suffix)?.to_owned()))
        .collect()
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Opt {
    short: Option<char>,
    long: Option<String>,
    value: bool,
}

impl Opt {
    /// Whether this is one of its names: `-o` or `--output`.
    fn has(&self, flag: &str) -> bool {
        match flag.strip_prefix("--") {
            Some(long) => self.long.as_deref() == Some(long),
            None => flag.strip_prefix('-').map(str::to_owned) == self.short.map(String::from),
        }
    }
}

impl std::fmt::Display for Opt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short = self.short.map(|short| format!("Fl {short}"));
        let long = self.long.as_ref().map(|long| format!("Fl -{long}"));
        let value = self.value.then(|| "Ar ...".to_owned());
        let names = [short, long]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" , ");
        formatter.write_str(&names)?;
        value.map_or(Ok(()), |value| write!(formatter, " {value}"))
    }
}

fn options(command: &Command) -> BTreeSet<Opt> {
    let arguments = command
        .get_arguments()
        .filter(|argument| !argument.is_positional() && !argument.is_hide_set());
    let options = arguments.map(|argument| Opt {
        short: argument.get_short(),
        long: argument.get_long().map(str::to_owned),
        value: argument.get_action().takes_values(),
    });
    options.collect()
}

/// What an mdoc page says about the command line.
#[derive(Debug, Default)]
struct Page {
    name: String,
    /// The `.It Fl` lines.
    items: BTreeSet<Opt>,
    /// Each flag in SYNOPSIS, and whether a value follows it.
    synopsis: Vec<(String, bool)>,
    /// Whether something in SYNOPSIS is no flag's value.
    has_operands: bool,
}

impl Page {
    fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut section = "";
        for line in text.lines() {
            if let Some(title) = line.strip_prefix(".Sh ") {
                section = title.trim();
            } else if let Some(item) = line.strip_prefix(".It Fl ") {
                let (flags, _) = flags(&format!("Fl {item}"));
                page.items.insert(Opt {
                    short: flags.iter().find_map(|(flag, _)| match flag.as_bytes() {
                        [b'-', letter] => Some(char::from(*letter)),
                        _ => None,
                    }),
                    long: flags
                        .iter()
                        .find_map(|(flag, _)| flag.strip_prefix("--").map(str::to_owned)),
                    value: flags.iter().any(|(_, value)| *value),
                });
            } else if section == "NAME" && page.name.is_empty() {
                page.name = String::from(line.strip_prefix(".Nm ").unwrap_or_default().trim());
            } else if let (true, Some(line)) = (section == "SYNOPSIS", line.strip_prefix('.')) {
                let (flags, operands) = flags(line);
                page.synopsis.extend(flags);
                page.has_operands |= operands;
            }
        }
        page
    }
}

/// The flags of a macro line, each with whether a value follows, and whether some value follows none.
fn flags(line: &str) -> (Vec<(String, bool)>, bool) {
    const OTHER_MACROS: [&str; 12] = [
        "Op", "Oo", "Oc", "Ns", "Nm", "Xo", "Xc", "Brq", "Bro", "Brc", "No", "Li",
    ];
    let line = line.replace("\\-", "-").replace("\\&", "");
    let mut flags: Vec<(String, bool)> = Vec::new();
    let (mut in_flags, mut may_take_value, mut operands) = (false, false, false);
    for word in line.split_whitespace() {
        match word {
            "Fl" => in_flags = true,
            "Ar" | "Cm" => {
                in_flags = false;
                match flags.last_mut() {
                    Some((_, value)) if may_take_value => *value = true,
                    _ => operands = true,
                }
                may_take_value = true; // the words after it are one value
            }
            "|" | "Op" | "Oo" | "Oc" => {
                in_flags = in_flags && word == "|";
                may_take_value = false;
            }
            "," | "." | "=" | "..." | "(" | ")" | "[" | "]" => {}
            word if OTHER_MACROS.contains(&word) => in_flags = false,
            word if in_flags => {
                // `Fl fq` is two letters, `Fl -quiet` is a word.
                let letters = if word.starts_with('-') { 1 } else { word.len() };
                let names = word.as_bytes().chunks(word.len() / letters);
                flags.extend(
                    names.map(|name| (format!("-{}", String::from_utf8_lossy(name)), false)),
                );
                may_take_value = true;
            }
            _ => {}
        }
    }
    (flags, operands)
}

#[test]
fn a_page_is_read_as_mandoc_shows_it() {
    let page = Page::parse(
        ".Sh NAME\n.Nm relay-x\n.Sh SYNOPSIS\n.Nm\n.Op Fl fx\n.Op Fl N Ar dir\n.Op Fl o Ar file | Fl d Ar dir\n\
         .Op Fl -valid Ar duration\n.Fl t Ar peer\n.Oo Fl a | b Oc\n.Sh OPTIONS\n.It Fl N , -node Ar dir\n\
         .It Fl N Ar dir , Fl -node Ar dir\n.It Fl f , Fl \\-force\n.It Fl -id\n",
    );
    assert_eq!(page.name, "relay-x");
    let items: Vec<String> = page.items.iter().map(ToString::to_string).collect();
    assert_eq!(
        items,
        ["Fl -id", "Fl N , Fl -node Ar ...", "Fl f , Fl -force"]
    );
    let synopsis: Vec<(&str, bool)> = page
        .synopsis
        .iter()
        .map(|(flag, value)| (flag.as_str(), *value))
        .collect();
    let expected = [
        ("-f", false),
        ("-x", false),
        ("-N", true),
        ("-o", true),
        ("-d", true),
        ("--valid", true),
        ("-t", true),
        ("-a", false),
        ("-b", false),
    ];
    assert_eq!(synopsis, expected);
    assert!(!page.has_operands);
    assert!(Page::parse(".Sh SYNOPSIS\n.Op Fl f\n.Op Ar\n").has_operands);
    assert!(Page::parse(".Sh SYNOPSIS\n.Op Fl f Ar x | Ar y\n").has_operands);
}
