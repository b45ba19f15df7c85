//! Diagnostics on standard error, and in syslog if the node's config asks for it: one line for each
//! message, `program: input: text`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock};

pub use super::escape::{escaped, path};
use super::syslog::{Severity, Syslog};
use super::{hints, labels, progress};
use crate::asn1::hex;
use crate::pipeline::mutex;

/// How much is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Only errors.
    Quiet,
    /// Warnings and errors.
    Normal,
    /// Every event, too.
    Verbose,
}

static PROGRAM: OnceLock<String> = OnceLock::new();
static SYSLOG: OnceLock<Syslog> = OnceLock::new();
static VERBOSITY: AtomicU8 = AtomicU8::new(Verbosity::Normal as u8);

/// Sets the program's name, which begins each line.
pub(super) fn set_program(name: String) {
    // Only the first name counts; a second one in a process would be a bug.
    let _ = PROGRAM.set(name);
}

/// Sets how much is reported.
pub(super) fn set_verbosity(verbosity: Verbosity) {
    VERBOSITY.store(verbosity as u8, Ordering::Relaxed);
}

/// Sends every event, warning and error to this socket, too. A missing log is warned of.
pub(super) fn log_to(socket: &Path) {
    let program = program();
    match Syslog::open(socket, program) {
        // If a run opens two nodes, the log of the first one is used.
        Ok(syslog) => drop(SYSLOG.set(syslog)),
        Err(error) => warn(&format!("{}: {error}", path(socket))),
    }
}

fn log(severity: Severity, text: &str) {
    if let Some(syslog) = SYSLOG.get() {
        syslog.send(severity, &escaped(text));
    }
}

fn says(verbosity: Verbosity) -> bool {
    VERBOSITY.load(Ordering::Relaxed) >= verbosity as u8
}

/// Whether only errors are reported.
#[must_use]
pub fn is_quiet() -> bool {
    !says(Verbosity::Normal)
}

/// Whether every event is reported.
#[must_use]
pub fn is_verbose() -> bool {
    says(Verbosity::Verbose)
}

/// Whether a person reads what is reported.
#[must_use]
pub(super) fn is_at_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Writes one line to standard error. If that fails, there is no other place to report it.
fn line(text: &str) {
    let program = program();
    // A hint has what can be typed.
    let text = if is_at_terminal() && !text.starts_with("hint: ") {
        labels::named(text)
    } else {
        text.to_owned()
    };
    let line = format!("{program}: {}\n", escaped(&text));
    let _ = progress::away(|| std::io::stderr().write_all(line.as_bytes()));
}

/// The name of the program.
pub(super) fn program() -> &'static str {
    PROGRAM.get().map_or("relay", String::as_str)
}

/// Reports an error.
pub fn error(text: &str) {
    log(Severity::Error, text);
    line(text);
}

/// Prints a hint, once in a run: what the user can do about the error reported last.
pub fn hint(text: &str) {
    static GIVEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if mutex::lock(&GIVEN).insert(text.to_owned()) {
        line(&format!("hint: {text}"));
    }
}

/// Prints a hint about a warning, unless only errors are reported.
pub(super) fn advise(text: &str) {
    if says(Verbosity::Normal) {
        hint(text);
    }
}

/// Warns of a problem that does not stop the program.
pub fn warn(text: &str) {
    log(Severity::Warning, text);
    if says(Verbosity::Normal) {
        line(text);
    }
}

/// Warns of a problem, and prints a hint.
pub fn warn_with(text: &str, what_helps: &str) {
    warn(text);
    advise(what_helps);
}

/// Reports a fact that the user needs but did not ask for, such as a fingerprint.
pub fn note(text: &str) {
    warn(text);
}

/// Says something that is as it should be and may explain something later: only with `-v`, and in the system's log.
pub fn detail(text: &str) {
    log(Severity::Info, text);
    if says(Verbosity::Verbose) {
        line(text);
    }
}

/// Says at the end what a run did: to somebody at a terminal. Logs and mails of cron have nothing from it.
pub fn summary(text: &str) {
    // Otherwise the bar would be drawn once more below the last line.
    progress::end();
    if says(Verbosity::Normal) && is_at_terminal() {
        line(text);
    }
}

/// Shows from one second on how far this run is, until it ends: to somebody at a terminal. With `-v`
/// and `--json` its lines tell that. `total` tells how much there is to do, if that is known.
pub fn progress(json: bool, total: impl FnOnce() -> Option<usize>) {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let is_talking = json || is_quiet() || is_verbose();
    if !is_dumb && !is_talking && is_at_terminal() {
        progress::start(program(), total());
    }
}

/// Shows the digits to compare for a whole object, by its SHA-256. A fingerprint vouches for an
/// identity key alone. `peer` is the label of the peer that the object is about.
pub fn whole(peer: Option<&str>, object: &str, digest: &[u8; 32]) {
    let digits = hex::groups(digest);
    match peer {
        Some(peer) => note(&format!("{peer}: {object} as a whole {digits}")),
        None => note(&format!("{object} as a whole {digits}")),
    }
}

/// Reports a change of state: `event=NAME key=value …`.
pub fn event(name: &str, facts: &[(&str, &str)]) {
    if says(Verbosity::Verbose) || SYSLOG.get().is_some() {
        let mut text = format!("event={name}");
        // Unquoted only if the value cannot be taken for another key or the end of the line.
        for (key, value) in facts {
            let plain = !value.is_empty()
                && value
                    .bytes()
                    .all(|octet| octet.is_ascii_graphic() && octet != b'"' && octet != b'=');
            // Writing to a String cannot fail.
            let _ = if plain {
                write!(text, " {key}={value}")
            } else {
                write!(text, " {key}={value:?}")
            };
        }
        log(Severity::Info, &text);
        if says(Verbosity::Verbose) {
            line(&text);
        }
    }
}

/// Reports a failure with a hint of its own.
pub(super) fn failure_hinted(error: &anyhow::Error, what_helps: &str) {
    self::error(&text_of(error));
    advise(what_helps);
}

/// Reports a failure, with its input and a hint.
pub fn failure(input: Option<&str>, error: &anyhow::Error) {
    let text = text_of(error);
    match input {
        Some(input) => self::error(&labelled(input, &text)),
        None => self::error(&text),
    }
    if let Some(text) = hints::hint(error) {
        advise(&text);
    }
}

/// The text of an error with its input before it, which the text then leaves out.
fn labelled(input: &str, text: &str) -> String {
    if begins_with(text, input) {
        return text.to_owned();
    }
    let cause = format!(": {input}: ");
    let object = format!(" {input}: ");
    let text = if text.contains(&cause) {
        text.replacen(&cause, ": ", 1)
    } else if input.contains('/') {
        // After a verb; a name without a folder may be any word of the text.
        text.replacen(&object, ": ", 1)
    } else {
        text.to_owned()
    };
    format!("{input}: {text}")
}

/// Whether a text begins with the path of this file, of which `name` may be the end.
fn begins_with(text: &str, name: &str) -> bool {
    let path = text.split_once(": ").map(|(path, _)| path);
    let before = path.and_then(|path| path.strip_suffix(name));
    // Words before the path say what could not be done with it.
    before.is_some_and(|it| it.is_empty() || it.ends_with('/') && !it.contains(' '))
}

/// The text of an error and its causes. A cause that the text before ends with is left out, and so is
/// a path that the cause after it begins with.
#[must_use]
pub fn text_of(error: &anyhow::Error) -> String {
    text_of_chain(error.chain())
}

/// As [`text_of`], for an error of the library.
#[must_use]
pub fn text_of_error(error: &(dyn std::error::Error + 'static)) -> String {
    text_of_chain(anyhow::Chain::new(error))
}

fn text_of_chain(chain: anyhow::Chain<'_>) -> String {
    let mut text = String::new();
    for cause in chain {
        let words = cause.to_string();
        if text.is_empty() {
            text = words;
        } else if words.starts_with(&format!("{text}: ")) {
            // The text so far is the path that this cause names, too.
            text = words;
        } else if !text.ends_with(&format!(": {words}")) {
            text = format!("{text}: {words}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_named_once() {
        let named = |text| labelled("m/cargo/x", text);
        for (text, expected) in [
            ("damaged", "m/cargo/x: damaged"),
            (
                "m/cargo/x: not a regular file",
                "m/cargo/x: not a regular file",
            ),
            (
                "cannot remove m/cargo/x: Read-only",
                "m/cargo/x: cannot remove: Read-only",
            ),
            (
                "set aside: m/cargo/x: damaged",
                "m/cargo/x: set aside: damaged",
            ),
            ("m/got is in the way", "m/cargo/x: m/got is in the way"),
            (
                "cannot remove m/cargo/xy: no",
                "m/cargo/x: cannot remove m/cargo/xy: no",
            ),
        ] {
            assert_eq!(named(text), expected);
        }
        assert_eq!(
            labelled("in", "no room in in: full"),
            "in: no room in in: full"
        );
        let cause = anyhow::anyhow!("m/cargo/x: not a regular file");
        assert_eq!(
            text_of(&cause.context("m/cargo/x")),
            "m/cargo/x: not a regular file"
        );
    }
}
