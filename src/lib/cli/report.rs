//! What programs say on standard error, and to the system's log if the node's config wants it: one line for each
//! thing, `program: input: text`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

pub use super::escape::{escaped, path};
use super::hints;
use super::syslog::{Severity, Syslog};
use crate::asn1::hex;

/// How much is said.
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

/// Names the program that speaks.
pub(super) fn set_program(name: String) {
    // A second name in one process would be a bug; the first one stays.
    let _ = PROGRAM.set(name);
}

/// Says how much is to be said.
pub(super) fn set_verbosity(verbosity: Verbosity) {
    VERBOSITY.store(verbosity as u8, Ordering::Relaxed);
}

/// Sends every event, warning and error to the system's log from here on, too. Where there is no log, that is said.
pub(super) fn log_to(socket: &Path) {
    let program = PROGRAM.get().map_or("relay", String::as_str);
    match Syslog::open(socket, program) {
        // Of two nodes in one run the first decides.
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

/// Whether only errors are to be said.
#[must_use]
pub fn is_quiet() -> bool {
    !says(Verbosity::Normal)
}

/// Whether every event is to be said, too.
#[must_use]
pub fn is_verbose() -> bool {
    says(Verbosity::Verbose)
}

/// Writes one line. What cannot be written to standard error cannot be reported anywhere.
fn line(text: &str) {
    let program = PROGRAM.get().map_or("relay", String::as_str);
    let line = format!("{program}: {}\n", escaped(text));
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Reports an error.
pub fn error(text: &str) {
    log(Severity::Error, text);
    line(text);
}

/// Says what the user can do about the error before.
pub fn hint(text: &str) {
    line(&format!("hint: {text}"));
}

/// Warns of something that does not stop the program.
pub fn warn(text: &str) {
    log(Severity::Warning, text);
    if says(Verbosity::Normal) {
        line(text);
    }
}

/// Warns of something, and says what the user can do about it.
pub fn warn_with(text: &str, what_helps: &str) {
    warn(text);
    if says(Verbosity::Normal) {
        hint(what_helps);
    }
}

/// Says something that a user wants to know but did not ask for.
pub fn note(text: &str) {
    warn(text);
}

/// Shows the digits that vouch for all of an object with this SHA-256, where a fingerprint vouches for an
/// identity key alone; `peer` is whom it is about.
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

/// Reports a failure, with its input and a hint.
pub fn failure(input: Option<&str>, error: &anyhow::Error) {
    failure_with(input, error, |_| true);
}

/// Reports a failure, with its input, and a hint if it is to be said.
pub(super) fn failure_with(
    input: Option<&str>,
    error: &anyhow::Error,
    is_said: impl FnOnce(&str) -> bool,
) {
    let text = text_of(error);
    match input {
        Some(input) => self::error(&format!("{input}: {text}")),
        None => self::error(&text),
    }
    if says(Verbosity::Normal)
        && let Some(text) = hints::hint(error)
        && is_said(&text)
    {
        hint(&text);
    }
}

/// The words of an error and of its causes, but for a cause that the words before end with.
#[must_use]
pub fn text_of(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let words = cause.to_string();
        if text.is_empty() {
            text = words;
        } else if !text.ends_with(&format!(": {words}")) {
            text = format!("{text}: {words}");
        }
    }
    text
}
