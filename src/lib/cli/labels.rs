//! Short names for a person at a terminal: a node by its name as a peer, or the first digits of its
//! id. Scripts and logs get ids in full.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use crate::node::Directory;
use crate::node::peers::short_id;
use crate::pipeline::mutex;
use crate::pki::NodeId;
use crate::spool::Name;

/// The names of nodes as one node knows them, each looked up once in a run.
#[derive(Debug)]
pub struct Labels<'a> {
    node: Option<&'a Directory>,
    known: HashMap<NodeId, String>,
}

impl<'a> Labels<'a> {
    /// Names nodes as this one knows them.
    #[must_use]
    pub fn of(node: &'a Directory) -> Self {
        Self {
            node: Some(node),
            known: HashMap::new(),
        }
    }

    /// The name of a node.
    pub fn label(&mut self, id: NodeId) -> String {
        let Some(node) = self.node else {
            return short_id(id);
        };
        self.known
            .entry(id)
            .or_insert_with(|| node.label_of(id))
            .clone()
    }

    /// As [`Labels::label`], with words for the node itself.
    pub fn label_or_self(&mut self, id: NodeId) -> String {
        if self.node.is_some_and(|node| node.id() == id) {
            "this node".to_owned()
        } else {
            self.label(id)
        }
    }

    /// A text with names in place of ids. Paths stay, so that they can be used.
    pub fn in_text(&mut self, text: &str) -> String {
        let is_part = |character: char| character.is_ascii_alphanumeric();
        let mut short = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let len = rest.find(|it| !is_part(it)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(len);
            let is_of_path = short.ends_with(['/', '.'])
                || after.starts_with('/')
                || after
                    .strip_prefix('.')
                    .is_some_and(|it| it.starts_with(is_part));
            match word.parse() {
                Ok(id) if !is_of_path => short += &self.label(id),
                _ => short += word,
            }
            let next = after.find(is_part).unwrap_or(after.len());
            short += &after[..next];
            rest = &after[next..];
        }
        short
    }
}

static NODE: OnceLock<PathBuf> = OnceLock::new();

/// Has diagnostics name nodes as the node in this directory knows them.
pub(super) fn use_names_of(node: &Path) {
    // If a run opens two nodes, the first one counts.
    let _ = NODE.set(node.to_owned());
}

/// A diagnostic for a terminal: as [`Labels::in_text`], with the names that the node of this run
/// gave.
pub(super) fn named(text: &str) -> String {
    static OPENED: OnceLock<Option<Directory>> = OnceLock::new();
    static LABELS: OnceLock<Mutex<Labels<'static>>> = OnceLock::new();
    // Not before it is known which node that is.
    let Some(root) = NODE.get() else {
        let mut labels = Labels {
            node: None,
            known: HashMap::new(),
        };
        return labels.in_text(text);
    };
    let labels = LABELS.get_or_init(|| {
        Mutex::new(Labels {
            node: OPENED.get_or_init(|| Directory::open(root).ok()).as_ref(),
            known: HashMap::new(),
        })
    });
    mutex::lock(labels).in_text(text)
}

fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// A line for standard output: with short names if that is a terminal.
#[must_use]
pub fn shown(line: String) -> String {
    if is_terminal() { named(&line) } else { line }
}

/// The name of a message's file for standard output: on a terminal the first digits of the digest of
/// the message's id, as in the table of relay-list.
#[must_use]
pub fn shown_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.parse::<Name>() {
        Ok(name) if is_terminal() => name.identity.short(),
        _ => name.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shortened_and_paths_are_not() {
        let id = NodeId::of_spki(b"x");
        let short = short_id(id);
        for (text, expected) in [
            (
                format!("event=routed from={id} next=peer:{id}"),
                format!("event=routed from={short} next=peer:{short}"),
            ),
            (
                format!("for {id}, not {id}."),
                format!("for {short}, not {short}."),
            ),
            (
                format!("n/spool/home/{id}: no"),
                format!("n/spool/home/{id}: no"),
            ),
            (
                format!("{id}.{id}.0a.parcel: bad"),
                format!("{id}.{id}.0a.parcel: bad"),
            ),
            (format!("{id}/name, é{id}"), format!("{id}/name, é{short}")),
            ("no id at all".to_owned(), "no id at all".to_owned()),
        ] {
            assert_eq!(named(&text), expected);
        }
    }
}
