//! Slips of a command line that can be recognised: a misspelt option, or a `-N`, `-t` or `--` that is missing.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};

use super::args::NodeDir;
use super::errors::Usage;
use super::{escape, words};
use crate::node::{Directory, DirectoryError, Error};

/// What would put right a command line that clap refuses.
pub(super) fn hint_for_usage(error: &clap::Error, program: &str) -> Option<String> {
    let suggested = [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
        ContextKind::SuggestedSubcommand,
    ];
    for kind in suggested {
        match error.get(kind) {
            Some(ContextValue::String(right)) => return Some(format!("did you mean {right}?")),
            Some(ContextValue::Strings(all)) => {
                let right = all.first()?;
                return Some(format!("did you mean {right}?"));
            }
            _ => {}
        }
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    if word.starts_with('-') {
        return None;
    }
    if program == "relay-deliver" {
        return Some(format!(
            "a command stands after --: relay-deliver -- {}",
            escape::escaped(word)
        ));
    }
    let words = words::arguments();
    unnamed_node(&words).or_else(|| unnamed_peer(&words))
}

/// The text of an error, in which a value from the environment is called by its variable.
pub(super) fn named_for_source(error: &clap::Error, text: &str) -> String {
    const OPTION: &str = "--now";
    const VARIABLE: &str = "RELAY_NOW";
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return text.to_owned();
    };
    let is_of_option = option.split(' ').next() == Some(OPTION);
    // After `--` there is a command with options of its own.
    let words = std::env::args_os().skip(1);
    let words = words.take_while(|word| word != "--");
    let is_typed = |word: OsString| {
        let word = word.to_string_lossy();
        let rest = word.strip_prefix(OPTION);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    if is_of_option && !words.into_iter().any(is_typed) {
        text.replacen(option.as_str(), VARIABLE, 1)
    } else {
        text.to_owned()
    }
}

/// Subcommands of other programs that make keys, configure something or show what there is.
const COMMANDS: &str = "add authorize config create delete export forget gen generate get import init inspect keygen \
    list ls make new open peers register remove rename restore rm run seal send set setup show start status stop sync \
    update upgrade verify";

/// Checks that the operand of relay-keygen is not meant as a subcommand, of which a node would be made that nobody
/// wants. `has_type` tells whether the type of the node is given. A path with a slash is always meant as a directory.
///
/// # Errors
/// [`Usage`], which tells how to name a directory like that.
pub fn check_not_a_command(dir: &Path, has_type: bool) -> Result<(), Usage> {
    let Some(word) = dir.to_str() else {
        return Ok(());
    };
    let text = match word {
        "help" | "version" => format!("--{word} shows it; ./{word} would be a directory"),
        "gateway" | "endpoint" if !has_type => {
            format!("--type {word} DIR makes one; ./{word} would be a directory")
        }
        word if COMMANDS.split(' ').any(|it| it == word) => {
            format!("there is no subcommand {word}; ./{word} would be a directory")
        }
        _ => return Ok(()),
    };
    Err(Usage(text))
}

/// What would put right a command line for which there is no default node.
pub(super) fn hint_for(error: &anyhow::Error) -> Option<String> {
    let is_absent = error.chain().any(|cause| {
        matches!(
            cause.downcast_ref(),
            Some(Error::Directory(DirectoryError::NotANode(_)))
        )
    });
    let words = words::arguments();
    is_absent.then(|| unnamed_node(&words)).flatten()
}

/// An operand that is a node directory, where no option names one.
fn unnamed_node(words: &[OsString]) -> Option<String> {
    if node_option(words).is_some() {
        return None;
    }
    let node = words
        .iter()
        .find(|word| Path::new(word).join("VERSION").is_file())?;
    Some(format!(
        "a node is named with -N: -N {}",
        escape::path(Path::new(node))
    ))
}

/// An operand that is a peer of the node, where no option names one.
fn unnamed_peer(words: &[OsString]) -> Option<String> {
    let is_to = |word: &OsString| {
        let word = word.to_string_lossy();
        word.starts_with("-t") || word.starts_with("--to")
    };
    if words.iter().any(is_to) {
        return None;
    }
    let root = match node_option(words) {
        Some(root) => root,
        None => NodeDir::default().path().ok()?,
    };
    let node = Directory::open(&root).ok()?;
    let peer = words.iter().filter_map(|word| word.to_str());
    let peer = peer.filter(|word| !word.starts_with('-') && Path::new(word) != root);
    let peer = peer.into_iter().find(|word| node.find_peer(word).is_ok())?;
    Some(format!(
        "a recipient is named with -t: -t {}",
        escape::escaped(peer)
    ))
}

/// The value of `-N`.
fn node_option(words: &[OsString]) -> Option<PathBuf> {
    let at = words
        .iter()
        .position(|word| word == OsStr::new("-N") || word == OsStr::new("--node"));
    let attached = |word: &OsString| {
        let word = word.to_str()?;
        let value = word
            .strip_prefix("--node=")
            .or_else(|| word.strip_prefix("-N"))?;
        (!value.is_empty()).then(|| PathBuf::from(value))
    };
    match at {
        Some(at) => words.get(at + 1).map(PathBuf::from),
        None => words.iter().find_map(attached),
    }
}
