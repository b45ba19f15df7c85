//! Holds the sources to the order of the floors, and each kind of effect to its place.
//!
//! Names are resolved through the `use` lines of their file, so that neither an alias nor a path written
//! out gets past. What stands under `#[cfg(test)]` answers to the order of the floors alone.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

const CRYPTOGRAPHY: [&str; 11] = [
    "aes",
    "aes_gcm",
    "aes_kw",
    "cbc",
    "getrandom",
    "p256",
    "p384",
    "p521",
    "ring",
    "rsa",
    "sha2",
];

/// What changes files, up to its last segment; `*` stands for anything below.
const CHANGES_FILES: [&str; 26] = [
    "std::fs::*",
    "std::fs::DirBuilder",
    "std::fs::OpenOptions",
    "std::fs::File::create",
    "std::fs::File::create_new",
    "std::fs::File::options",
    "std::fs::copy",
    "std::fs::create_dir",
    "std::fs::create_dir_all",
    "std::fs::hard_link",
    "std::fs::remove_dir",
    "std::fs::remove_dir_all",
    "std::fs::remove_file",
    "std::fs::rename",
    "std::fs::set_permissions",
    "std::fs::soft_link",
    "std::fs::write",
    "std::os::unix::fs::chown",
    "std::os::unix::fs::chroot",
    "std::os::unix::fs::fchown",
    "std::os::unix::fs::lchown",
    "std::os::unix::fs::symlink",
    "std::os::unix::fs::DirBuilderExt",
    "std::os::unix::fs::OpenOptionsExt",
    "rustix::fs",
    "tempfile",
];

/// What of `rustix::fs` only looks.
const LOOKS_AT_FILES: [&str; 6] = [
    "rustix::fs::fstat",
    "rustix::fs::lstat",
    "rustix::fs::stat",
    "rustix::fs::statvfs",
    "rustix::fs::fstatvfs",
    "rustix::fs::FileType",
];

/// Methods of `std::fs` that change files and that nothing else here has.
const METHODS_THAT_CHANGE_FILES: [&str; 6] = [
    "set_len",
    "set_modified",
    "set_permissions",
    "set_times",
    "create_new",
    "sync_all",
];

/// What reads the clock, the environment or the arguments, prints, or ends the process.
const SURROUNDINGS: [&str; 13] = [
    "std::env",
    "std::process::abort",
    "std::process::exit",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "rustix::time",
    "rustix::process::exit",
    "rustix::stdio",
];

const PRINTING: [&str; 5] = ["dbg", "eprint", "eprintln", "print", "println"];

#[test]
fn imports_point_downward_and_effects_are_in_their_places() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let floors = floors(&fs::read_to_string(root.join("src/lib/lib.rs")).unwrap());
    assert!(floors.len() > 7, "src/lib/lib.rs lists {floors:?}");
    let mut broken = Vec::new();
    let mut seen = 0;
    for (top, inside) in [("src/lib", true), ("src/bin", false)] {
        for path in sources(&root.join(top)) {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            let text = fs::read_to_string(&path).unwrap();
            let module = inside.then(|| module_of(path.strip_prefix(root.join(top)).unwrap()));
            seen += 1;
            broken.extend(check(name, &text, module.as_deref(), &floors));
        }
    }
    assert!(seen > floors.len(), "only {seen} sources were found");
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// What is wrong with one source. A binary has no module in the library.
fn check(name: &str, text: &str, module: Option<&[String]>, floors: &[String]) -> Vec<String> {
    let tokens = tokens(text);
    let floor = match module {
        Some([]) => return Vec::new(), // lib.rs itself
        Some([floor, ..]) if floors.contains(floor) => Some(floor.as_str()),
        Some(module) => return vec![format!("{name}: {} is not in src/lib/lib.rs", module[0])],
        None => None,
    };
    let mut broken = Vec::new();
    let mut say = |line: usize, what: String| broken.push(format!("{name}:{line}: {what}"));
    for mention in mentions(&tokens, module.unwrap_or_default()) {
        let (line, path) = (mention.line, mention.path.join("::"));
        let target = match (&mention.path[..], floor) {
            ([root, target, ..], Some(floor)) if root == "crate" => Some((target, floor)),
            _ => None,
        };
        if let Some((target, floor)) = target {
            let place = |floor: &str| floors.iter().position(|other| other == floor);
            match place(target) {
                None => say(line, format!("{path}: no such floor in src/lib/lib.rs")),
                Some(place_of_target) if Some(place_of_target) > place(floor) => {
                    say(line, format!("{path}: {target} is above {floor}"));
                }
                Some(_) if target == "cli" && floor != "cli" => {
                    say(line, format!("{path}: cli is for binaries alone"));
                }
                Some(_) => {}
            }
        }
        if mention.in_test {
            continue;
        }
        if floor != Some("crypto") && CRYPTOGRAPHY.contains(&mention.path[0].as_str()) {
            say(
                line,
                format!("{path}: only crypto names a cryptography crate"),
            );
        }
        if floor != Some("disk")
            && CHANGES_FILES
                .iter()
                .any(|change| is_or_is_in(&path, change))
            && !LOOKS_AT_FILES.iter().any(|look| is_or_is_in(&path, look))
        {
            say(line, format!("{path}: only disk changes files"));
        }
        if floor.is_some_and(|floor| floor != "cli")
            && SURROUNDINGS.iter().any(|effect| is_or_is_in(&path, effect))
        {
            say(
                line,
                format!("{path}: only cli reads the clock and the environment, prints and exits"),
            );
        }
    }
    for (at, token) in tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| !token.in_test)
    {
        let before = at.checked_sub(1).map(|at| tokens[at].text.as_str());
        let after = tokens.get(at + 1).map(|token| token.text.as_str());
        let (line, text) = (token.line, token.text.as_str());
        if floor != Some("disk")
            && before == Some(".")
            && after == Some("(")
            && METHODS_THAT_CHANGE_FILES.contains(&text)
        {
            say(line, format!(".{text}(): only disk changes files"));
        }
        if floor.is_some_and(|floor| floor != "cli") {
            if PRINTING.contains(&text) && after == Some("!") {
                say(line, format!("{text}!: only cli prints"));
            }
            if text == "elapsed" && before == Some(".") && after == Some("(") {
                say(line, ".elapsed(): only cli reads the clock".to_owned());
            }
        }
    }
    broken
}

fn is_or_is_in(path: &str, container: &str) -> bool {
    path == container
        || path
            .strip_prefix(container)
            .is_some_and(|rest| rest.starts_with("::"))
}

/// The floors, ground floor first: the `pub mod` lines of lib.rs.
fn floors(lib: &str) -> Vec<String> {
    let tokens = tokens(lib);
    let mods = tokens
        .windows(3)
        .filter(|window| window[0].text == "mod" && window[2].text == ";");
    mods.map(|window| window[1].text.clone()).collect()
}

/// `cms/signed_data.rs` is `cms::signed_data`, `cms/mod.rs` is `cms`, `lib.rs` is nothing.
fn module_of(path: &Path) -> Vec<String> {
    let path = path.with_extension("");
    let parts = path.iter().map(|part| part.to_str().unwrap().to_owned());
    let mut parts: Vec<String> = parts.collect();
    parts.pop_if(|last| last == "mod" || last == "lib");
    parts
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// A path that a source mentions, resolved as far as its file tells.
#[derive(Debug)]
struct Mention {
    line: usize,
    path: Vec<String>,
    in_test: bool,
}

/// All paths: those of `use` declarations, and those elsewhere with their first segment replaced by what
/// the file imported under that name.
fn mentions(tokens: &[Token], module: &[String]) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut imports: HashMap<String, Vec<Vec<String>>> = HashMap::new();
    let mut others = Vec::new();
    let mut inline: Vec<(String, usize)> = Vec::new(); // modules in braces, and the depth inside them
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let text_at = |at: usize| tokens.get(at).map(|token| token.text.as_str());
        let here = || {
            let inline = inline.iter().map(|(name, _)| name);
            module.iter().chain(inline).cloned().collect::<Vec<_>>()
        };
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => {
                inline.pop_if(|(_, inside)| *inside == depth);
                depth = depth.saturating_sub(1);
            }
            "mod" if text_at(at + 2) == Some("{") => {
                inline.push((tokens[at + 1].text.clone(), depth + 1));
                at += 1;
            }
            // `use<>` says what a type captures.
            "use" if text_at(at + 1) != Some("<") => {
                let start = at + 1;
                while at < tokens.len() && tokens[at].text != ";" {
                    at += 1;
                }
                for (path, name) in use_tree(&tokens[start..at]) {
                    let path = absolute(&path, &here());
                    if !token.in_test {
                        imports.entry(name).or_default().push(path.clone());
                    }
                    found.push(Mention {
                        line: token.line,
                        path,
                        in_test: token.in_test,
                    });
                }
            }
            word if is_word(word) => {
                let inside = at > 0 && ["::", "."].contains(&tokens[at - 1].text.as_str());
                let rooted = at > 1 && tokens[at - 1].text == "::" && !ends_a_type(&tokens[at - 2]);
                let mut path = vec![token.text.clone()];
                while text_at(at + 1) == Some("::")
                    && let Some(segment) = tokens.get(at + 2).filter(|token| is_word(&token.text))
                {
                    path.push(segment.text.clone());
                    at += 2;
                }
                if (!inside || rooted) && path.len() > 1 {
                    others.push((token.line, absolute(&path, &here()), token.in_test));
                }
            }
            _ => {}
        }
        at += 1;
    }
    for (line, path, in_test) in others {
        match imports.get(&path[0]) {
            Some(sources) => found.extend(sources.iter().map(|source| Mention {
                line,
                path: source.iter().chain(&path[1..]).cloned().collect(),
                in_test,
            })),
            None => found.push(Mention {
                line,
                path,
                in_test,
            }),
        }
    }
    found
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn ends_a_type(token: &Token) -> bool {
    is_word(&token.text) || [">", "]", ")"].contains(&token.text.as_str())
}

/// Writes out `self::` and `super::`.
fn absolute(path: &[String], module: &[String]) -> Vec<String> {
    let ups = path
        .iter()
        .take_while(|segment| *segment == "super")
        .count();
    let skip = ups + usize::from(path[0] == "self");
    if skip == 0 {
        return path.to_vec();
    }
    let base = &module[..module.len().saturating_sub(ups)];
    let root = std::iter::once("crate".to_owned());
    root.chain(base.iter().cloned())
        .chain(path[skip..].iter().cloned())
        .collect()
}

/// The paths of a `use` declaration, each with the name that it introduces.
fn use_tree(tokens: &[Token]) -> Vec<(Vec<String>, String)> {
    let mut branches = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut alias = None;
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "::" => {}
            "as" => {
                alias = tokens.get(at + 1).map(|token| token.text.clone());
                at += 1;
            }
            "{" => {
                let mut depth = 0;
                let mut start = at + 1;
                loop {
                    match tokens[at].text.as_str() {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 || depth == 1 && tokens[at].text == "," {
                        for (inner, name) in use_tree(&tokens[start..at]) {
                            branches.push(([&path[..], &inner].concat(), name));
                        }
                        start = at + 1;
                    }
                    if depth == 0 {
                        break;
                    }
                    at += 1;
                }
                for (whole, name) in &mut branches {
                    if whole.len() > 1
                        && whole.pop_if(|last| last == "self").is_some()
                        && name == "self"
                    {
                        name.clone_from(whole.last().unwrap());
                    }
                }
                return branches;
            }
            segment => path.push(segment.to_owned()),
        }
        at += 1;
    }
    if let Some(last) = path.last() {
        let name = alias.unwrap_or_else(|| last.clone());
        branches.push((path, name));
    }
    branches
}

#[derive(Debug, PartialEq)]
struct Token {
    line: usize,
    text: String,
    in_test: bool,
}

/// Words, `::` and single signs. Comments, literals and lifetimes are left out.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at_is = |at: usize, what: &str| {
        what.chars()
            .enumerate()
            .all(|(i, c)| chars.get(at + i) == Some(&c))
    };
    let mut tokens: Vec<Token> = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let start = at;
        let c = chars[at];
        if at_is(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if at_is(at, "/*") {
            let mut depth = 0;
            while at < chars.len() {
                let step = match () {
                    () if at_is(at, "/*") => 1,
                    () if at_is(at, "*/") => -1,
                    () => 0,
                };
                depth += step;
                at += if step == 0 { 1 } else { 2 };
                if depth == 0 {
                    break;
                }
            }
        } else if let Some(end) = raw_string(&chars, at) {
            at = end;
        } else if c == '"' || (at_is(at, "b\"") || at_is(at, "c\"")) {
            at += if c == '"' { 1 } else { 2 };
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if c == '\''
            && (chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\''))
        {
            at += if chars[at + 1] == '\\' { 3 } else { 2 };
            while at < chars.len() && chars[at] != '\'' {
                at += 1;
            }
            at += 1;
        } else if c == '\'' || c.is_alphanumeric() || c == '_' {
            at += if at_is(at, "r#") { 2 } else { 1 };
            while chars
                .get(at)
                .is_some_and(|&c| c.is_alphanumeric() || c == '_')
            {
                at += 1;
            }
            if c != '\'' && !(c == 'b' && chars.get(at) == Some(&'\'')) {
                let word: String = chars[start..at].iter().collect();
                let text = word.trim_start_matches("r#").to_owned();
                tokens.push(Token {
                    line,
                    text,
                    in_test: false,
                });
            }
        } else {
            at += if at_is(at, "::") { 2 } else { 1 };
            if !c.is_whitespace() {
                let text = chars[start..at].iter().collect();
                tokens.push(Token {
                    line,
                    text,
                    in_test: false,
                });
            }
        }
        line += chars[start..at.min(chars.len())]
            .iter()
            .filter(|&&c| c == '\n')
            .count();
    }
    mark_tests(&mut tokens);
    tokens
}

/// Where the raw string that starts here ends.
fn raw_string(chars: &[char], at: usize) -> Option<usize> {
    let mut at = at + usize::from(matches!(chars[at], 'b' | 'c'));
    if chars.get(at) != Some(&'r') {
        return None;
    }
    at += 1;
    let hashes = chars[at..].iter().take_while(|&&c| c == '#').count();
    at += hashes;
    if chars.get(at) != Some(&'"') {
        return None;
    }
    loop {
        at += 1;
        let closes = chars.get(at).is_none_or(|&c| c == '"')
            && (1..=hashes).all(|i| chars.get(at + i).is_none_or(|&c| c == '#'));
        if closes {
            return Some((at + hashes + 1).min(chars.len()));
        }
    }
}

/// Marks each item under a `cfg` attribute that asks for `test`.
fn mark_tests(tokens: &mut [Token]) {
    let mut at = 0;
    while at < tokens.len() {
        let texts = |range: std::ops::Range<usize>| -> Vec<&str> {
            tokens
                .get(range)
                .unwrap_or_default()
                .iter()
                .map(|token| token.text.as_str())
                .collect()
        };
        if texts(at..at + 3) != ["#", "[", "cfg"] {
            at += 1;
            continue;
        }
        let close = (at..tokens.len())
            .find(|&at| tokens[at].text == "]")
            .unwrap_or(tokens.len());
        let condition = texts(at..close);
        let asks = condition.contains(&"test")
            && !condition.contains(&"not")
            && !condition.contains(&"any");
        if !asks {
            at = close;
            continue;
        }
        let end = end_of_item(tokens, close + 1);
        for token in &mut tokens[at..end] {
            token.in_test = true;
        }
        at = end;
    }
}

/// Past the item, field or statement that starts here.
fn end_of_item(tokens: &[Token], start: usize) -> usize {
    const ITEMS: [&str; 14] = [
        "#", "async", "const", "enum", "extern", "fn", "impl", "mod", "pub", "static", "struct",
        "trait", "type", "use",
    ];
    let is_item = tokens
        .get(start)
        .is_some_and(|token| ITEMS.contains(&token.text.as_str()));
    let is_use = tokens[start..]
        .iter()
        .take(6)
        .any(|token| token.text == "use");
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 0 => return at,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth == 0 && !is_use {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            "," if depth == 0 && !is_item => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Each rule against a source made up to break it, and one that comes close.
mod rules {
    use super::*;

    fn complaints(file: &str, text: &str) -> Vec<String> {
        let floors = floors(
            "pub mod disk; // files\npub mod asn1;\npub mod crypto;\npub mod pki;\npub mod node;\npub mod cli;\n",
        );
        match file.strip_prefix("src/lib/") {
            Some(path) => check(file, text, Some(&module_of(Path::new(path))), &floors),
            None => check(file, text, None, &floors),
        }
    }

    fn broken(file: &str, text: &str, complaint: &str) {
        let found = complaints(file, text);
        assert!(
            found.len() == 1 && found[0].contains(complaint),
            "{text}: {found:?}"
        );
    }

    fn kept(file: &str, text: &str) {
        assert_eq!(complaints(file, text), [""; 0], "{text}");
    }

    #[test]
    fn floors_above_are_not_imported() {
        broken(
            "src/lib/pki/path.rs",
            "use crate::node::Keyring;",
            "path.rs:1: crate::node::Keyring: node is above pki",
        );
        broken(
            "src/lib/pki/path.rs",
            "use crate::{asn1, node};",
            "node is above pki",
        );
        broken(
            "src/lib/pki/path.rs",
            "\n\nfn f() { crate::node::check(); }",
            "path.rs:3:",
        );
        broken(
            "src/lib/pki/path.rs",
            "use super::super::node as n;",
            "node is above pki",
        );
        broken(
            "src/lib/pki/mod.rs",
            "use super::node::X;",
            "node is above pki",
        );
        broken(
            "src/lib/pki/mod.rs",
            "mod deep { fn f() { super::super::node::x(); } }",
            "node is above pki",
        );
        broken(
            "src/lib/pki/path.rs",
            "#[cfg(test)] mod tests { use crate::node::X; }",
            "node is above pki",
        );
        broken(
            "src/lib/pki/path.rs",
            "use crate::nowhere::X;",
            "no such floor",
        );
        broken("src/lib/attic/mod.rs", "", "attic is not in");
        kept(
            "src/lib/pki/path.rs",
            "use crate::{asn1, pki}; use super::super::crypto; // crate::node\n/* crate::node */",
        );
        kept(
            "src/lib/pki/path.rs",
            "const A: &str = \"crate::node\"; const B: &str = r#\"\"crate::node\"#;",
        );
        kept(
            "src/lib/pki/path.rs",
            "fn f<'a>(x: &'a str) -> char { '\"' } use super::node_id; // x: crate::node",
        );
    }

    #[test]
    fn cli_is_for_binaries_alone() {
        broken(
            "src/lib/pki/path.rs",
            "use crate::cli::args;",
            "cli is above pki",
        );
        kept(
            "src/lib/cli/args.rs",
            "use crate::cli::exit; use super::report;",
        );
        kept("src/bin/relay-seal.rs", "use relaynet::cli;");
    }

    #[test]
    fn cryptography_is_named_in_one_floor() {
        for text in [
            "use ring::digest;",
            "use aes_gcm::Aes128Gcm;",
            "fn f() { rsa::x(); }",
            "fn f() { ::p256::x(); }",
            "use getrandom as entropy;",
        ] {
            broken("src/lib/pki/path.rs", text, "only crypto names");
            broken("src/bin/relay-seal.rs", text, "only crypto names");
            kept("src/lib/crypto/aes_gcm.rs", text);
        }
        kept(
            "src/lib/pki/path.rs",
            "use crate::crypto::{aes_gcm, hash}; fn f() { aes_gcm::open(); }",
        );
        kept("src/lib/pki/path.rs", "fn f(ring: u8) -> u8 { ring }");
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
        ] {
            let found = complaints("src/lib/node/seen.rs", text);
            assert!(
                !found.is_empty()
                    && found
                        .iter()
                        .all(|one| one.contains("only disk changes files")),
                "{text}: {found:?}"
            );
            assert!(!complaints("src/bin/relay-seal.rs", text).is_empty());
            kept("src/lib/disk/publish.rs", text);
        }
        kept(
            "src/lib/node/seen.rs",
            "use std::fs::{self, File}; fn f() { File::open(p); fs::read(p); fs::metadata(p); }",
        );
        kept(
            "src/lib/node/seen.rs",
            "use crate::disk::files; fn f() { files::write(p); files::rename(a, b); }",
        );
        kept(
            "src/lib/node/seen.rs",
            "use std::fs; #[cfg(test)]\nmod tests { use super::*; fn f() { fs::write(p, b); tempfile::tempdir(); } }",
        );
        kept(
            "src/lib/node/seen.rs",
            "#[cfg(all(test, unix))] use tempfile::{tempdir, TempDir};",
        );
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
            let found = complaints("src/lib/disk/files.rs", text);
            assert!(
                !found.is_empty() && found.iter().all(|one| one.contains("only cli ")),
                "{text}: {found:?}"
            );
            kept("src/lib/cli/exit.rs", text);
            kept("src/bin/relay-seal.rs", text);
        }
        kept(
            "src/lib/node/seen.rs",
            "const V: &str = env!(\"CARGO_PKG_VERSION\"); fn f() { write!(out, \"x\"); now(); }",
        );
        kept(
            "src/lib/node/seen.rs",
            "#[cfg(test)] mod tests { fn f() { std::env::var(\"X\"); println!(); } }",
        );
    }

    #[test]
    fn sources_are_read_as_rust_reads_them() {
        let words = |text: &str| -> Vec<String> {
            tokens(text).into_iter().map(|token| token.text).collect()
        };
        assert_eq!(
            words("a::b // c\n/* d /* e */ f */ g"),
            ["a", "::", "b", "g"]
        );
        assert_eq!(
            words(r##"x("a\"b", b"c", r#"d"e"#, 'f', '\'', b'g', &'h i)"##).join(" "),
            "x ( , , , , , , & i )"
        );
        let names: Vec<String> = mentions(&tokens("use a::{self, b::{c as d, e}, f::*};"), &[])
            .into_iter()
            .map(|mention| mention.path.join("::"))
            .collect();
        assert_eq!(names, ["a", "a::b::c", "a::b::e", "a::f::*"]);
    }
}
