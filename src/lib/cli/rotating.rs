//! Reports what relay-rotate renews.

use serde_json::{Value, json};

use super::input_ref::InputRef;
use super::listing::List;
use super::outcome::Outcome;
use super::{files, report};
use crate::describe::{VERSION, json as lines};
use crate::node::Directory;
use crate::spool::Error;
use crate::upkeep::rotate::{DueRotation, Rotated, RotationWay};

/// The reports of a run.
#[derive(Debug)]
pub struct Rotating {
    is_dry: bool,
    is_json: bool,
    list: List,
    outcome: Outcome,
    renewed: usize,
}

impl Rotating {
    /// Starts. A dry run lists what is due; another one prints lines only in JSON.
    #[must_use]
    pub fn new(is_dry: bool, is_json: bool, outcome: Outcome) -> Self {
        Self {
            is_dry,
            is_json,
            list: List::new(!is_json && files::is_terminal(), files::write_lines),
            outcome,
            renewed: 0,
        }
    }

    /// Reports an item of a node, which is a local endpoint if it has a name.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn tell(&mut self, node: &Directory, name: &str, item: Rotated) -> anyhow::Result<()> {
        match item {
            Rotated::Due(due) => self.due(node, name, &due),
            Rotated::Failed { peer, error } => {
                let peer = peer.map(|peer| node.label_of(peer));
                let label = [Some(name.to_owned()), peer].into_iter().flatten();
                let label: Vec<String> = label.filter(|it| !it.is_empty()).collect();
                self.failed(&label.join(": "), error)
            }
        }
    }

    fn due(&mut self, node: &Directory, name: &str, due: &DueRotation) -> anyhow::Result<()> {
        if !self.is_dry {
            event(node, due);
            if due.way == RotationWay::Hand {
                return Ok(());
            }
            self.renewed += 1;
        }
        if self.is_json {
            return files::print(&lines::line(&facts(node, due)));
        }
        if !self.is_dry {
            return Ok(());
        }
        let (own, peer) = if self.list.is_table() {
            let own = if name.is_empty() { "-" } else { name };
            (own.to_owned(), due.peer.map(|peer| node.label_of(peer)))
        } else {
            (node.id().to_string(), due.peer.map(|peer| peer.to_string()))
        };
        self.list.row(vec![
            own,
            due.what.word().to_owned(),
            peer.unwrap_or_else(|| "-".to_owned()),
            due.since.to_string(),
            due.end.to_string(),
            due.way.word().to_owned(),
        ])
    }

    /// Reports what ended the run of a node; the others go on.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn ended(
        &mut self,
        label: impl FnOnce() -> String,
        ended: anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match ended {
            Err(error) if error.is::<Error>() => {
                self.outcome.take();
                let place = InputRef::named(label());
                self.outcome.done(&place, Err(error))
            }
            ended => ended,
        }
    }

    fn failed(&mut self, label: &str, error: Error) -> anyhow::Result<()> {
        self.outcome.take();
        let place = InputRef::named(label.to_owned());
        self.outcome.done(&place, Err(error.into()))
    }

    /// Ends the run, with the status that all failures add up to.
    ///
    /// # Errors
    /// That status, unless it is 0.
    pub fn finish(self) -> anyhow::Result<()> {
        let heads = ["NODE", "WHAT", "PEER", "SINCE", "END", "WAY"];
        self.list.finish(&heads)?;
        self.outcome.finish()
    }
}

/// The event of something that was renewed, or that a person has to renew.
fn event(node: &Directory, due: &DueRotation) {
    let (own, end) = (node.id().to_string(), due.end.to_string());
    let peer = due.peer.map(|peer| peer.to_string());
    let mut facts = vec![("what", due.what.word()), ("node", &own)];
    if let Some(peer) = &peer {
        facts.push(("peer", peer));
    }
    facts.extend([("end", end.as_str()), ("way", due.way.word())]);
    let event = match (due.way, due.is_again) {
        (RotationWay::Hand, _) => "due",
        (_, true) => "resent",
        (_, false) => "renewed",
    };
    report::event(event, &facts);
}

/// The line of JSON for something that is due.
fn facts(node: &Directory, due: &DueRotation) -> Value {
    json!({
        "v": VERSION,
        "node": node.id().to_string(),
        "what": due.what.word(),
        "peer": due.peer.map(|peer| peer.to_string()),
        "since": due.since.to_string(),
        "end": due.end.to_string(),
        "way": due.way.word(),
        "again": due.is_again,
    })
}
