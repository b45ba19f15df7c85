//! Holds the sources to their order: floors, effects, circles, type names and sizes.
//!
//! Paths are resolved through the `use` lines of their file, so neither an alias nor a path written out
//! in full escapes. Code under `#[cfg(test)]` answers to the order of the floors alone.
//!
//! The lists `CIRCLES`, `SHARED_NAMES` and `TOO_LONG` only get shorter. A failure says which line to
//! change or remove.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use sources::{Mention, Source, lists};

/// Files of one floor that import each other in a circle (`mod` is the floor's front page), and why.
const CIRCLES: &[(&str, &str)] = &[("asn1: mod ber", "stays: an Error's text names ber's limit")];

/// Type names that stand in more than one floor or program, and why.
const SHARED_NAMES: &[(&str, &str)] = &[
    ("Args", "the arguments of each program"),
    ("Error", "one in each floor, on its front page"),
];

/// Files over their limit, and their lines without inline tests.
const TOO_LONG: &[(&str, usize)] = &[];

const MAX_LIBRARY_LINES: usize = 600;
const MAX_PROGRAM_LINES: usize = 150;

const CRYPTOGRAPHY: &str =
    "aes aes_gcm aes_kw cbc getrandom p256 p384 p521 pbkdf2 ring rsa scrypt sha2";

/// Paths that change files, and with each what is below it. `*` is a glob import.
const CHANGES_FILES: &str = "
    std::fs::* std::fs::DirBuilder std::fs::OpenOptions
    std::fs::File::create std::fs::File::create_new std::fs::File::options
    std::fs::copy std::fs::create_dir std::fs::create_dir_all std::fs::hard_link std::fs::remove_dir
    std::fs::remove_dir_all std::fs::remove_file std::fs::rename std::fs::set_permissions
    std::fs::soft_link std::fs::write
    std::os::unix::fs::chown std::os::unix::fs::chroot std::os::unix::fs::fchown
    std::os::unix::fs::lchown std::os::unix::fs::symlink
    std::os::unix::fs::DirBuilderExt std::os::unix::fs::OpenOptionsExt
    rustix::fs tempfile";

/// What of `rustix::fs` only reads.
const READS_FILES: &str = "
    rustix::fs::fstat rustix::fs::lstat rustix::fs::stat rustix::fs::statvfs rustix::fs::fstatvfs
    rustix::fs::FileType";

/// Methods of `std::fs` that change files and whose names nothing else here has.
const METHODS_THAT_CHANGE_FILES: &str =
    "set_len set_modified set_permissions set_times create_new sync_all";

/// Reads the clock, the environment or the arguments, prints, or ends the process.
const SURROUNDINGS: &str = "
    std::env std::process::abort std::process::exit std::io::stdin std::io::stdout std::io::stderr
    std::time::Instant::now std::time::SystemTime::now jiff::Timestamp::now jiff::Zoned::now
    rustix::time rustix::process::exit rustix::stdio";

const PRINTING: &str = "dbg eprint eprintln print println";

static SOURCES: LazyLock<(Vec<String>, Vec<Source>)> = LazyLock::new(sources::read);

#[test]
fn imports_point_downward_and_effects_are_in_their_places() {
    let (floors, sources) = &*SOURCES;
    let broken = sources.iter().flat_map(|source| broken(source, floors));
    fail_on("imports and effects", &broken.collect::<Vec<_>>());
}

#[test]
fn files_of_a_floor_do_not_import_each_other_in_a_circle() {
    fail_on("CIRCLES", &differences(&circles(&SOURCES.1), CIRCLES));
}

#[test]
fn a_type_name_stands_in_one_floor() {
    fail_on(
        "SHARED_NAMES",
        &differences(&shared_names(&SOURCES.1), SHARED_NAMES),
    );
}

#[test]
fn files_are_short() {
    let mut listed = TOO_LONG.iter().copied().collect::<BTreeMap<_, _>>();
    let mut wrong = Vec::new();
    for source in &SOURCES.1 {
        let (name, lines) = (source.name.as_str(), source.lines);
        let limit = source
            .module
            .as_ref()
            .map_or(MAX_PROGRAM_LINES, |_| MAX_LIBRARY_LINES);
        let what_to_do = match listed.remove(name) {
            Some(_) if lines <= limit => "remove this line",
            Some(listed) if lines < listed => "lower this number",
            Some(listed) if lines > listed => "it has grown, split it",
            None if lines > limit => "it is over its limit, split it",
            _ => continue,
        };
        wrong.push(format!("{name} has {lines} lines: {what_to_do}"));
    }
    let gone = listed.into_keys();
    wrong.extend(gone.map(|name| format!("{name} is gone: remove this line")));
    fail_on("TOO_LONG", &wrong);
}

fn fail_on(list: &str, wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{list} in tests/layering.rs:\n{}\n",
        wrong.join("\n")
    );
}

/// What is found and not listed, and what is listed and not found. `found` has details of each.
fn differences(found: &BTreeMap<String, String>, listed: &[(&str, &str)]) -> Vec<String> {
    let words = |name: &str| name.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
    let mut wrong = Vec::new();
    for (name, details) in found {
        let mut larger = listed
            .iter()
            .filter(|(listed, _)| words(listed).is_superset(&words(name)));
        match larger.next() {
            None => wrong.push(format!("{name:?} is new, undo it: {details}")),
            Some((listed, _)) if listed != name => {
                wrong.push(format!(
                    "{name:?} is what remains of {listed:?}: shorten this line"
                ));
            }
            Some(_) => {}
        }
    }
    let gone = listed.iter().filter(|(name, _)| !found.contains_key(*name));
    wrong.extend(gone.map(|(name, _)| format!("{name:?} is gone: remove this line")));
    wrong
}

/// What breaks the order of the floors, or has an effect that belongs elsewhere.
fn broken(source: &Source, floors: &[String]) -> Vec<String> {
    let height = |floor: &str| floors.iter().position(|other| other == floor);
    let (name, floor) = (&source.name, source.floor());
    match floor {
        Some("lib") => return Vec::new(),
        Some(floor) if height(floor).is_none() => {
            return vec![format!("{name}: {floor} is not in src/lib/lib.rs")];
        }
        _ => {}
    }
    let is_below_cli = floor.is_some_and(|floor| floor != "cli");
    let may_change_files = floor == Some("disk");
    // A timer limits how long a command or a connection lasts.
    let has_timers = matches!(floor, Some("command" | "binding" | "serve"));
    let mut broken = Vec::new();
    let mut say =
        |line: usize, what: &str, why: &str| broken.push(format!("{name}:{line}: {what}: {why}"));
    for Mention {
        line,
        path,
        in_test,
        ..
    } in source.mentions()
    {
        let whole = path.join("::");
        if let (Some(floor), [root, target, ..]) = (floor, &path[..])
            && root == "crate"
        {
            if height(target).is_none() {
                say(line, &whole, "no such floor in src/lib/lib.rs");
            } else if height(target) > height(floor) {
                say(line, &whole, &format!("{target} is above {floor}"));
            } else if target == "cli" && floor != "cli" {
                say(line, &whole, "cli is for binaries alone");
            }
        }
        if in_test {
            continue;
        }
        if floor != Some("crypto") && lists(CRYPTOGRAPHY, &path[0]) {
            say(line, &whole, "only crypto names a cryptography crate");
        }
        if !may_change_files && lists(CHANGES_FILES, &whole) && !lists(READS_FILES, &whole) {
            say(line, &whole, "only disk changes files");
        }
        let is_timer = has_timers && whole == "std::time::Instant::now";
        if is_below_cli && lists(SURROUNDINGS, &whole) && !is_timer {
            say(
                line,
                &whole,
                "only cli reads the clock and the environment, prints and exits",
            );
        }
    }
    for (line, method) in &source.methods {
        if !may_change_files && lists(METHODS_THAT_CHANGE_FILES, method) {
            say(*line, method, "only disk changes files");
        }
        if is_below_cli && method == "elapsed" && !has_timers {
            say(*line, method, "only cli reads the clock");
        }
    }
    for (line, called) in &source.macros {
        if is_below_cli && lists(PRINTING, called) {
            say(*line, called, "only cli prints");
        }
    }
    broken
}

/// The names of several floors or programs, and these.
fn shared_names(sources: &[Source]) -> BTreeMap<String, String> {
    let mut places: BTreeMap<&String, BTreeSet<&str>> = BTreeMap::new();
    for source in sources {
        for name in &source.types {
            places
                .entry(name)
                .or_default()
                .insert(source.floor().unwrap_or(&source.name));
        }
    }
    let shared = places.into_iter().filter(|(_, places)| places.len() > 1);
    shared
        .map(|(name, places)| (name.clone(), Vec::from_iter(places).join(", ")))
        .collect()
}

type Module = [String];

/// The files of each floor that import each other in a circle, and what each imports of the circle.
///
/// What only tests import does not count, and neither does a floor's `Error`: every file imports it from
/// the front page, and it holds types of the files.
fn circles(sources: &[Source]) -> BTreeMap<String, String> {
    let library = sources
        .iter()
        .filter_map(|source| Some((source.module.as_deref()?, source)));
    let files: BTreeMap<&Module, &Source> = library.filter(|(file, _)| !file.is_empty()).collect();
    let mut imports: BTreeMap<&Module, BTreeSet<&Module>> = BTreeMap::new();
    for (&file, source) in &files {
        let error = ["crate", &file[0], "Error"].map(str::to_owned);
        let mut mentions = source.mentions();
        mentions.retain(|one| !one.in_test && !one.is_passed_on && !one.path.starts_with(&error));
        let targets = mentions
            .iter()
            .filter_map(|one| file_of(&files, file, &one.path));
        let of_the_floor = |target: &&Module| target[0] == file[0] && *target != file;
        imports.insert(file, targets.filter(of_the_floor).collect());
    }
    let mut reached = imports.clone();
    for &file in files.keys() {
        let mut next: Vec<&Module> = imports[file].iter().copied().collect();
        while let Some(other) = next.pop() {
            let new = imports[other]
                .iter()
                .filter(|new| !reached[file].contains(*new));
            next.extend(new);
            let all = reached.get_mut(file).unwrap();
            all.extend(&imports[other]);
        }
    }
    let names = |files: &mut dyn Iterator<Item = &&Module>| {
        let short = files.map(|file| {
            if file.len() > 1 {
                file[1..].join("/")
            } else {
                "mod".to_owned()
            }
        });
        short.collect::<Vec<_>>().join(" ")
    };
    let mut circles: BTreeMap<String, String> = BTreeMap::new();
    for (file, all) in reached.iter().filter(|(file, all)| all.contains(*file)) {
        let is_in_circle =
            |other: &&&Module| all.contains(**other) && reached[**other].contains(file);
        let circle = names(&mut all.iter().filter(is_in_circle));
        let imported = names(&mut imports[file].iter().filter(is_in_circle));
        let details = format!("\n    {} imports {imported}", names(&mut [*file].iter()));
        circles
            .entry(format!("{}: {circle}", file[0]))
            .or_default()
            .push_str(&details);
    }
    circles
}

/// The file that a path leads to, through what the files on its way pass on.
fn file_of<'a>(
    files: &BTreeMap<&'a Module, &Source>,
    from: &'a Module,
    path: &[String],
) -> Option<&'a Module> {
    let (mut from, mut path) = (from, path);
    loop {
        let whole = match path {
            [root, rest @ ..] if root == "crate" => rest.to_vec(),
            _ => [from, path].concat(), // of a child, or else of another crate
        };
        let mut starts = (1..=whole.len()).rev().map(|end| &whole[..end]);
        let (file, source) = starts.find_map(|start| files.get_key_value(start))?;
        let name = whole.get(file.len());
        match name.and_then(|name| source.imports.get(name)) {
            Some(passed_on) if *file != from => (from, path) = (file, &passed_on[0]),
            _ if path[0] != "crate" && *file == from => return None,
            _ => return Some(file),
        }
    }
}

/// Each rule against a source made up to break it, and one that comes close.
mod rules {
    use super::*;

    const PATH: &str = "src/lib/pki/path.rs";
    const SEEN: &str = "src/lib/node/seen.rs";
    const SEAL: &str = "src/bin/relay-seal.rs";

    fn complaints(file: &str, text: &str) -> Vec<String> {
        let lib = "pub mod disk; // files\npub mod asn1; pub mod crypto; pub mod pki; pub mod node; pub mod cli;";
        broken(&Source::parse(file, text), &sources::floors(lib))
    }

    /// All complaints say this, and there is one at least.
    fn breaks(file: &str, text: &str, complaint: &str) {
        let found = complaints(file, text);
        let all = found.iter().all(|one| one.contains(complaint));
        assert!(all && !found.is_empty(), "{text}: {found:?}");
    }

    fn breaks_once(file: &str, text: &str, complaint: &str) {
        breaks(file, text, complaint);
        assert_eq!(complaints(file, text).len(), 1, "{text}");
    }

    fn keeps(file: &str, text: &str) {
        assert_eq!(complaints(file, text), [""; 0], "{text}");
    }

    #[test]
    fn floors_above_are_not_imported() {
        let above = "node is above pki";
        breaks_once(
            PATH,
            "use crate::node::Keyring;",
            "path.rs:1: crate::node::Keyring: node is above pki",
        );
        breaks_once(PATH, "use crate::{asn1, node};", above);
        breaks_once(PATH, "\n\nfn f() { crate::node::check(); }", "path.rs:3:");
        breaks_once(PATH, "use super::super::node as n;", above);
        breaks_once("src/lib/pki/mod.rs", "use super::node::X;", above);
        breaks_once(
            "src/lib/pki/mod.rs",
            "mod deep { fn f() { super::super::node::x(); } }",
            above,
        );
        breaks_once(
            PATH,
            "#[cfg(test)] mod tests { use crate::node::X; }",
            above,
        );
        breaks_once(PATH, "fn f() { assert!(x == crate::node::X); }", above);
        breaks_once(PATH, "fn f() -> X { X { a, ..crate::node::x() } }", above);
        breaks_once(
            PATH,
            "#[arg(value_parser = crate::node::parse)] struct X;",
            above,
        );
        breaks_once(
            PATH,
            "macro_rules! m { () => { use crate::{asn1, node}; } }",
            above,
        );
        breaks_once(PATH, "use crate::nowhere::X;", "no such floor");
        breaks_once("src/lib/attic/mod.rs", "", "attic is not in");
        keeps(
            PATH,
            "use crate::{asn1, pki}; use super::super::crypto; // crate::node\n/* crate::node */",
        );
        keeps(
            PATH,
            r##"const A: &str = "crate::node"; const B: &str = r#""crate::node"#;"##,
        );
        keeps(
            PATH,
            "fn f<'a>(x: &'a str) -> char { '\"' } use super::node_id; // x: crate::node",
        );
        keeps(PATH, "/// crate::node::X\nfn f() -> impl Sized + use<> {}");
    }

    #[test]
    fn cli_is_for_binaries_alone() {
        breaks_once(PATH, "use crate::cli::args;", "cli is above pki");
        keeps(
            "src/lib/cli/args.rs",
            "use crate::cli::exit; use super::report;",
        );
        keeps(SEAL, "use relaynet::cli;");
    }

    #[test]
    fn cryptography_is_named_in_one_floor() {
        for text in [
            "use ring::digest;",
            "use aes_gcm::Aes128Gcm;",
            "fn f() { rsa::x(); }",
            "fn f() { ::p256::x(); }",
            "use getrandom as entropy;",
            "use ::rsa::X;",
        ] {
            breaks_once(PATH, text, "only crypto names");
            breaks_once(SEAL, text, "only crypto names");
            keeps("src/lib/crypto/aes_gcm.rs", text);
        }
        keeps(
            PATH,
            "use crate::crypto::{aes_gcm, hash}; fn f() { aes_gcm::open(); }",
        );
        keeps(PATH, "fn f(ring: u8) -> u8 { ring }");
    }

    #[test]
    fn files_are_changed_in_one_floor() {
        for text in [
            "use std::fs::File; fn f() { File::create(p); }",
            "use std::{fs, io}; fn f() { fs::write(p, b); }",
            "use std::fs as files; fn f() { files::rename(a, b); }",
            "fn f() { std::fs::remove_dir_all(p); }",
            "use std::fs::remove_file;",
            "use std::fs::OpenOptions;",
            "use std::fs::*;",
            "use std::os::unix::fs::symlink;",
            "use rustix::fs::renameat;",
            "use rustix::fs; fn f() { fs::unlinkat(d, p); }",
            "use tempfile::NamedTempFile;",
            "fn f(file: &File) { file.set_len(0); }",
            "fn f(file: &File) { file.set_permissions(mode); }",
            "#[cfg(not(test))] fn f() { std::fs::write(p, b); }",
            "#[cfg_attr(test, inline)] fn f() { std::fs::write(p, b); }",
            "#[cfg(test)] use x::{a, b}; fn f() { std::fs::write(p, b); }",
        ] {
            breaks(SEEN, text, "only disk changes files");
            breaks(SEAL, text, "only disk changes files");
            keeps("src/lib/disk/publish.rs", text);
        }
        for text in [
            "use std::fs::{self, File}; fn f() { File::open(p); fs::read(p); fs::metadata(p); }",
            "use crate::disk::files; fn f() { files::write(p); files::rename(a, b); }",
            "use std::fs; #[cfg(test)]\nmod tests { use super::*; fn f() { fs::write(p, b); tempfile::tempdir(); } }",
            "#[cfg(all(test, unix))] use tempfile::{tempdir, TempDir};",
            "struct X { #[cfg(test)] dir: tempfile::TempDir, name: String }",
        ] {
            keeps(SEEN, text);
        }
    }

    #[test]
    fn surroundings_are_for_cli() {
        for text in [
            "use std::env;",
            "fn f() { std::env::var(name); }",
            "use std::process; fn f() { process::exit(1); }",
            "fn f() { println!(); }",
            "fn f() { eprintln!(\"{x}\"); }",
            "fn f() { print!(\"x\"); }",
            "use std::time::SystemTime; fn f() { SystemTime::now(); }",
            "use jiff::{SignedDuration, Timestamp}; fn f() { Timestamp::now(); }",
            "fn f() { std::time::Instant::now(); }",
            "use std::io::{self, Write}; fn f() { io::stdout(); }",
            "fn f(start: Instant) { start.elapsed(); }",
        ] {
            breaks("src/lib/disk/files.rs", text, "only cli ");
            keeps("src/lib/cli/exit.rs", text);
            keeps(SEAL, text);
        }
        keeps(
            SEEN,
            "const V: &str = env!(\"CARGO_PKG_VERSION\"); fn f() { write!(out, \"x\"); now(); }",
        );
        keeps(
            SEEN,
            "#[cfg(test)] mod tests { fn f() { std::env::var(\"X\"); println!(); } }",
        );
    }

    #[test]
    fn paths_are_read_as_rust_reads_them() {
        let source = Source::parse(
            PATH,
            r##"use a::{self, b::{c as d, e}, f::*}; fn g() { x("a::b", r#"d"e"#, 'f', '\''); d::h(); }"##,
        );
        let mentions = source.mentions();
        let mentions: Vec<String> = mentions
            .iter()
            .map(|mention| mention.path.join("::"))
            .collect();
        assert_eq!(
            mentions,
            ["a", "a::b::c", "a::b::e", "a::f::*", "a::b::c::h"]
        );
    }

    #[test]
    fn circles_are_found_through_the_front_page() {
        let circles = |texts: [(&str, &str); 3]| {
            let sources =
                texts.map(|(name, text)| Source::parse(&format!("src/lib/pki/{name}.rs"), text));
            super::circles(&sources).into_keys().collect::<Vec<_>>()
        };
        let front = (
            "mod",
            "pub use a::{A, helper}; use a::A as Other; pub enum Error { A(Other), B(b::B) }",
        );
        let apart = [
            front,
            (
                "a",
                "use super::Error; use crate::asn1::B; #[cfg(test)] use super::b;",
            ),
            ("b", "use super::{A, Error};"),
        ];
        assert_eq!(circles(apart), [""; 0]);
        let knot = [
            front,
            ("a", "fn f() { super::b::g(); }"),
            ("b", "use super::A;"),
        ];
        assert_eq!(circles(knot), ["pki: a b"]);
        let with_front = [front, ("a", "use super::b;"), ("b", "use super::Kind;")];
        assert_eq!(circles(with_front), ["pki: mod a b"]);
    }

    #[test]
    fn types_and_lines_are_those_of_the_program() {
        let text = "struct A;\nenum B { C }\nimpl D for A { type E = A; }\ntrait F {}\ntype G = A;\n\
            #[cfg(test)]\nmod tests {\n    struct H;\n}\nfn f() {}\n";
        let source = Source::parse(PATH, text);
        assert_eq!(Vec::from_iter(&source.types), ["A", "B", "F", "G"]);
        assert_eq!(source.lines, 6);
        let other = Source::parse(SEEN, "struct B; struct I;");
        let shared = shared_names(&[source, other]);
        assert_eq!(
            shared,
            BTreeMap::from([("B".to_owned(), "node, pki".to_owned())])
        );
    }

    #[test]
    fn lists_follow_what_is_found() {
        let differences = |found: &str, listed: &str| {
            let found = BTreeMap::from([(found.to_owned(), String::new())]);
            differences(&found, &[(listed, "")])
        };
        assert_eq!(differences("pki: a b", "pki: a b"), [""; 0]);
        let shrunk = differences("pki: a b", "pki: a b c");
        assert!(
            shrunk[0].ends_with("\"pki: a b c\": shorten this line"),
            "{shrunk:?}"
        );
        let changed = differences("pki: a b", "pki: b c");
        assert!(changed[0].starts_with("\"pki: a b\" is new"), "{changed:?}");
        assert_eq!(changed[1], "\"pki: b c\" is gone: remove this line");
    }
}
