//! The peers that `-t` names, and what it takes to seal for them.

use std::collections::HashMap;

use jiff::Timestamp;

use super::args::Node;
use super::errors::Usage;
use super::report;
use crate::node::aliases::{Aliases, MARK};
use crate::node::peers::short_id;
use crate::node::{Directory, Error, Keyring, PeerError};
use crate::pki::NodeId;
use crate::send::{self, Draft, Sealer};

/// A peer to seal for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Its id.
    pub id: NodeId,
    /// The alias that brought it, if no option names the peer itself. Then the others are served even if it cannot be.
    pub alias: Option<String>,
}

/// The recipients: peers of the node, those that an alias comes to, or the one that `--params` describes.
///
/// # Errors
/// When there is none, one is named twice, or a peer or alias is not known.
pub fn recipients(to: &[String], node: &Node, now: Timestamp) -> anyhow::Result<Vec<Recipient>> {
    match node {
        Node::ExplicitFiles(files) => Ok(vec![Recipient {
            id: files.peer()?,
            alias: None,
        }]),
        Node::Directory(directory) => recipients_of(to, directory, now),
    }
}

/// The recipients that a node with a directory knows, as [`recipients`].
///
/// # Errors
/// As [`recipients`].
pub fn recipients_of(
    to: &[String],
    node: &Directory,
    now: Timestamp,
) -> anyhow::Result<Vec<Recipient>> {
    if to.is_empty() {
        return Err(Usage("-t PEER is needed".to_owned()).into());
    }
    warn_of_successor(node)?;
    let mut recipients: Vec<Recipient> = Vec::new();
    let mut places: HashMap<NodeId, usize> = HashMap::new();
    let (mut aliases, mut unknown) = (None, None);
    for text in to {
        let Some(name) = text.strip_prefix(MARK) else {
            let found = node.find_recipient(text);
            let found = found.map_err(|error| marked(text, node, error))?;
            let id = current(node, found)?;
            match places.get(&id).map(|place| &mut recipients[*place].alias) {
                Some(None) => {
                    return Err(Usage(format!("-t {text}: the same peer twice")).into());
                }
                Some(alias) => *alias = None,
                None => {
                    places.insert(id, recipients.len());
                    recipients.push(Recipient { id, alias: None });
                }
            }
            continue;
        };
        let aliases = match &aliases {
            Some(aliases) => aliases,
            None => aliases.insert(Aliases::of(node)?),
        };
        let members = aliases.resolve(name, node, now)?;
        for (member, error) in members.unknown {
            report::warn(&format!(
                "{member}, a member of {text}, gets nothing: {error}"
            ));
            unknown.get_or_insert(error);
        }
        for id in members.ids {
            let id = current(node, id)?;
            if let std::collections::hash_map::Entry::Vacant(place) = places.entry(id) {
                place.insert(recipients.len());
                let alias = Some(text.clone());
                recipients.push(Recipient { id, alias });
            }
        }
    }
    if recipients.is_empty() {
        let text = format!("{}: nobody to send to", to.join(", "));
        return Err(match unknown {
            Some(error) => anyhow::Error::from(error).context(text),
            None => Usage(text).into(),
        });
    }
    Ok(recipients)
}

/// The error for a peer that is not known; if an alias has its name, that is what was meant.
fn marked(text: &str, node: &Directory, error: Error) -> Error {
    let is_unknown = matches!(
        error,
        Error::Peer(PeerError::Unknown(_) | PeerError::Mistyped { .. })
    );
    if is_unknown && Aliases::read(node.root()).0.has(text) {
        return Error::Peer(PeerError::Mistyped {
            text: text.to_owned(),
            meant: format!("{MARK}{}", text.to_ascii_lowercase()),
        });
    }
    error
}

/// Warns that another node takes the place of the one that sends.
fn warn_of_successor(node: &Directory) -> anyhow::Result<()> {
    if let Some(by) = node.own_successor()? {
        let by = short_id(by);
        report::warn_with(
            &format!(
                "{} has the successor {by}, which should send this",
                report::path(node.root())
            ),
            "use -N with the directory of that node",
        );
    }
    Ok(())
}

/// The node that takes the place of a recipient; the recipient itself if none does.
fn current(node: &Directory, id: NodeId) -> anyhow::Result<NodeId> {
    let last = node.last_successor(id)?;
    if last != id {
        report::warn(&format!(
            "{} was succeeded by {}, which gets this",
            node.label_of(id),
            node.label_of(last)
        ));
    }
    Ok(last)
}

/// Prepares to seal for recipients. A member of an alias that nothing can be sealed for is reported, and left out.
///
/// # Errors
/// When nothing can be sealed for one that an option names, or for any of an alias.
pub fn sealers(
    keyring: &dyn Keyring,
    recipients: &[Recipient],
    draft: &Draft<'_>,
) -> anyhow::Result<Vec<Sealer>> {
    let mut sealers = Vec::with_capacity(recipients.len());
    let mut failed = None;
    for recipient in recipients {
        match send::parcels(keyring, recipient.id, draft) {
            Ok(sealer) => sealers.push(sealer),
            Err(error) => match &recipient.alias {
                Some(alias) => {
                    report::warn(&format!("{alias}: {error}"));
                    failed.get_or_insert(error);
                }
                None => return Err(error.into()),
            },
        }
    }
    match failed {
        Some(error) if sealers.is_empty() => Err(error.into()),
        _ => Ok(sealers),
    }
}
