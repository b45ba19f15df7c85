//! What relay-send does: contents from operands or a drop folder, recipients, and a line for each.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::WalkDir;

use super::errors::{Empty, Usage};
use super::input_ref::InputRef;
use super::limited::Limited;
use super::listing::List;
use super::outcome::Outcome;
use super::recipients::{recipients_of, sealers};
use super::sealing::warn_of_life;
use super::status::{self, Status};
use super::{files, progress, report, tally};
use crate::archive::{self, Tree};
use crate::crypto::random;
use crate::describe::{json, lines};
use crate::disk::files::{FileState, Standard};
use crate::disk::{self, FileRole};
use crate::message::file_name;
use crate::message::parts::MAX_EMITTED_CONTENT_LEN;
use crate::node::{Correspondent, Directory, authorizations};
use crate::outbox::{
    Claimed, DropFolder, Error, Ids, Outgoing, OutgoingSource, Submission, SubmittedTo,
};
use crate::pki::NodeId;
use crate::send::{Draft, Sealer};
use crate::spool;
use crate::upkeep::handing_on::Outlet;

/// The most files of a drop folder that are reported one by one.
pub(super) const MAX_REPORTED: usize = 20;

/// Octets that a drop folder may still have though they are queued.
const MUCH: u64 = 64 * 1024 * 1024;

/// Files that are claimed, and let go, with common syncs.
pub(super) const AT_ONCE: usize = 256;

/// The type of content of which nobody says one.
const UNTYPED: &str = "application/octet-stream";

/// Sends contents for a node.
pub struct Sending<'a> {
    node: &'a Directory,
    submission: Submission<'a>,
    media_type: &'a str,
    pub(super) json: bool,
    outcome: RefCell<Outcome>,
    list: RefCell<List>,
    /// The contents under way, the first one first.
    under_way: RefCell<VecDeque<Facts>>,
    counts: RefCell<Counts>,
    /// The recipients of which it was said what is unusual about their parcels.
    warned: RefCell<HashSet<NodeId>>,
    /// The files of a drop folder that are sent, and are to be let go.
    sent: RefCell<Vec<(Claimed, Option<FileState>)>>,
}

/// What is known of a content before it is sent.
pub(super) struct Facts {
    pub(super) label: String,
    pub(super) name: Option<String>,
    pub(super) media_type: String,
    pub(super) claim: Option<(Claimed, Option<FileState>)>,
}

#[derive(Default)]
struct Counts {
    contents: usize,
    parcels: usize,
    unready: usize,
}

/// What is sent of operands.
#[derive(Debug)]
pub struct OperandTerms<'a> {
    /// The recipients, as `-t` names them.
    pub to: &'a [String],
    /// The name to send along instead of a file's own.
    pub name: Option<&'a str>,
    /// Whether no name is sent along.
    pub is_nameless: bool,
    /// The id of the parcel.
    pub id: Option<&'a str>,
    /// The way of our authorizations to the recipients, if they are to answer.
    pub answers: Option<&'a Outlet<'a>>,
}

impl<'a> Sending<'a> {
    /// Starts without results.
    #[must_use]
    pub fn new(
        node: &'a Directory,
        submission: Submission<'a>,
        media_type: Option<&'a str>,
        json: bool,
    ) -> Self {
        Self {
            node,
            submission,
            media_type: media_type.unwrap_or(UNTYPED),
            json,
            outcome: RefCell::default(),
            list: RefCell::new(List::new(!json && files::is_terminal(), files::write_lines)),
            under_way: RefCell::default(),
            counts: RefCell::default(),
            warned: RefCell::default(),
            sent: RefCell::default(),
        }
    }

    /// Sends files, directories and standard input.
    ///
    /// # Errors
    /// When a recipient cannot be sealed for, before anything is sent; the status that all failures add up to.
    pub fn operands(self, paths: &[PathBuf], terms: &OperandTerms<'_>) -> anyhow::Result<()> {
        let to = self.sealers(terms.to)?;
        report::progress(self.json, || total(paths, to.len()));
        let mut paths = paths.iter();
        let next = || {
            loop {
                let path = paths.next()?;
                match self.operand(path, terms) {
                    Ok((source, facts)) => {
                        return Some(self.outgoing(source, facts, to.clone(), terms.id));
                    }
                    Err(error) => self.failed(&report::path(path), &error),
                }
            }
        };
        let sent = self.run(next, None);
        if let Err(error) = &sent {
            self.not_sent(error, paths);
        }
        if let (Ok(()), Some(outlet)) = (&sent, terms.answers) {
            for sealer in &to {
                self.let_answer(sealer.peer(), outlet);
            }
        }
        self.finish(sent)
    }

    /// Reports the operands that a run which ends early leaves.
    fn not_sent(&self, error: &anyhow::Error, paths: std::slice::Iter<'_, PathBuf>) {
        // Nobody reads the lines any more, and the program ends without a word.
        if status::status(error) == Status::BROKEN_PIPE {
            return;
        }
        let begun = self.under_way.take().into_iter().map(|facts| facts.label);
        let left: Vec<_> = begun.chain(paths.map(|path| report::path(path))).collect();
        let mut reported = Limited::new(MAX_REPORTED);
        for label in left {
            if reported.admit() {
                report::error(&format!("{label}: not sent"));
            }
        }
        if let Some(more) = reported.suppressed() {
            report::error(&format!("and {more} more are not sent"));
        }
    }

    /// Sends a recipient our authorization.
    fn let_answer(&self, peer: &Correspondent, outlet: &Outlet<'_>) {
        let path = authorizations::offer(self.node, peer.id, self.submission.now);
        let stored = path.map_err(spool::Error::from).and_then(|path| {
            outlet.authorization(self.node, peer.id, (&path, None))?;
            Ok(path.leaf.not_after().to_string())
        });
        match stored {
            Ok(until) => {
                let peer = peer.id.to_string();
                report::event("authorized", &[("peer", &peer), ("until", &until)]);
            }
            Err(error) => self.failed(&peer.name, &error.into()),
        }
    }

    /// Prepares to seal for recipients, and warns of what is unusual about one.
    pub(super) fn sealers(&self, to: &[String]) -> anyhow::Result<Vec<Arc<Sealer>>> {
        let draft = Draft {
            media_type: self.media_type,
            ttl: self.submission.ttl,
            id: None,
            cipher: self.submission.cipher,
            now: self.submission.now,
        };
        let recipients = recipients_of(to, self.node, draft.now)?;
        let sealers = sealers(self.node, &recipients, &draft)?;
        Ok(sealers.into_iter().map(Arc::new).collect())
    }

    fn operand(
        &self,
        path: &Path,
        terms: &OperandTerms<'_>,
    ) -> anyhow::Result<(OutgoingSource, Facts)> {
        let label = report::path(path);
        let is_stdin = path == Path::new("-");
        let own = path.file_name().filter(|_| !is_stdin);
        if !is_stdin && path.is_dir() {
            return Self::tree(path, label, terms);
        }
        let name = match terms.name {
            Some(name) => Some(name.to_owned()),
            None if terms.is_nameless => None,
            None => own.and_then(|name| file_name::safe(&name.to_string_lossy())),
        };
        let source = if is_stdin {
            stdin()?
        } else {
            OutgoingSource::operand(path)?
        };
        Ok((
            source,
            Facts {
                label,
                name,
                media_type: self.media_type.to_owned(),
                claim: None,
            },
        ))
    }

    /// A directory as one content. What of it is left out is reported.
    fn tree(
        path: &Path,
        label: String,
        terms: &OperandTerms<'_>,
    ) -> anyhow::Result<(OutgoingSource, Facts)> {
        let whole = disk::files::canonical(path, FileRole::Input)?;
        let own = whole.file_name().unwrap_or_default().to_string_lossy();
        let name = terms
            .name
            .map(str::to_owned)
            .or_else(|| file_name::safe(&own));
        let name = name.ok_or_else(|| Usage("--name gives this directory a name".to_owned()))?;
        check_no_node(path, &whole)?;
        let tree = Tree::open(path, &name).map_err(Error::from)?;
        let mut reported = Limited::new(MAX_REPORTED);
        for omission in tree.omissions() {
            if reported.admit() {
                let (path, reason) = (report::path(&omission.path), &omission.reason);
                let text = if omission.is_renamed {
                    format!("{path}: sent under another name: {reason}")
                } else {
                    format!("{path}: left out: {reason}")
                };
                report::warn(&text);
            }
        }
        if let Some(more) = reported.suppressed() {
            report::warn(&format!("{label}: and {more} more are left out"));
        }
        let facts = Facts {
            label,
            name: (!terms.is_nameless).then(|| format!("{name}.tar")),
            media_type: archive::MEDIA_TYPE.to_owned(),
            claim: None,
        };
        Ok((OutgoingSource::tree(tree), facts))
    }

    pub(super) fn outgoing(
        &self,
        source: OutgoingSource,
        facts: Facts,
        to: Vec<Arc<Sealer>>,
        id: Option<&str>,
    ) -> Outgoing {
        let ids = match (&facts.claim, id) {
            (Some((claim, _)), _) => Ids::Repeated(claim.number),
            (None, Some(id)) => Ids::Given(id.to_owned()),
            // Where the system has no random octets, nothing could be sealed either.
            (None, None) => Ids::Drawn(random::array().unwrap_or_default()),
        };
        let outgoing = Outgoing {
            to,
            media_type: facts.media_type.clone(),
            name: facts.name.clone(),
            source,
            ids,
        };
        self.under_way.borrow_mut().push_back(facts);
        outgoing
    }

    pub(super) fn run(
        &self,
        next: impl FnMut() -> Option<Outgoing>,
        folder: Option<&DropFolder>,
    ) -> anyhow::Result<()> {
        self.submission.run(next, progress::step, &mut |_, result| {
            let facts = self.under_way.borrow_mut().pop_front();
            match facts {
                Some(facts) => self.done(facts, result, folder),
                None => Ok(()),
            }
        })
    }

    /// Reports what became of a content, and lets its file go.
    fn done(
        &self,
        mut facts: Facts,
        result: Result<Vec<SubmittedTo>, Error>,
        folder: Option<&DropFolder>,
    ) -> anyhow::Result<()> {
        let claim = facts.claim.take().zip(folder);
        match result {
            Ok(sent) => {
                self.counts.borrow_mut().contents += 1;
                for sent in &sent {
                    if self.warned.borrow_mut().insert(sent.recipient) {
                        warn_of_life(sent.recipient, sent.cut_to, sent.dated_ahead);
                    }
                    self.counts.borrow_mut().parcels += usize::try_from(sent.parcels).unwrap_or(0);
                    if let Err(error) = self.line(&facts, sent) {
                        if status::status(&error) != Status::BROKEN_PIPE {
                            let (label, id) = (&facts.label, &sent.id);
                            report::error(&format!("{label}: queued as {id}, without its line"));
                        }
                        return Err(error);
                    }
                }
                self.outcome.borrow_mut().take();
                if let Some((claim, folder)) = claim {
                    let mut sent = self.sent.borrow_mut();
                    sent.push(claim);
                    let octets = sent
                        .iter()
                        .filter_map(|(_, state)| Some(state.as_ref()?.len()));
                    let is_much = octets.sum::<u64>() >= MUCH;
                    let is_due = is_much || sent.len() >= AT_ONCE;
                    drop(sent);
                    if is_due {
                        self.let_go(folder)?;
                    }
                }
            }
            Err(error) => {
                let is_of_content = error.is_of_content();
                self.failed(&facts.label, &error.into());
                // There it can be seen; in its place it would fail in each run.
                if let Some(((claim, _), folder)) = claim
                    && is_of_content
                    && let Err(error) = folder.put_back(&claim)
                {
                    self.failed(&report::path(&claim.place()), &error.into());
                }
            }
        }
        Ok(())
    }

    /// Lets files go that were sent.
    pub(super) fn let_go(&self, folder: &DropFolder) -> anyhow::Result<()> {
        let sent = self.sent.take();
        if sent.is_empty() {
            return Ok(());
        }
        for (path, error) in folder.finish(sent)? {
            // It was counted when it was sent.
            let label = report::path(&path);
            let mut outcome = self.outcome.borrow_mut();
            outcome.failed(&InputRef::named(label.clone()), &label, &error.into());
        }
        Ok(())
    }

    fn line(&self, facts: &Facts, sent: &SubmittedTo) -> anyhow::Result<()> {
        let recipient = sent.recipient.to_string();
        report::event(
            "queued",
            &[("id", &sent.id), ("to", &recipient), ("file", &facts.label)],
        );
        if self.json {
            let facts =
                lines::submitted(sent, &facts.label, facts.name.as_deref(), &facts.media_type);
            return files::print_line(&json::line(&facts));
        }
        let mut list = self.list.borrow_mut();
        let name = facts.name.as_deref().unwrap_or(&facts.label);
        let (to, parcels) = if list.is_table() {
            let parcels = usize::try_from(sent.parcels).unwrap_or(usize::MAX);
            (
                self.node.label_of(sent.recipient),
                tally::counted(parcels, "part", "parts"),
            )
        } else {
            (recipient, sent.parcels.to_string())
        };
        let date = sent.date.to_string();
        let date = if list.is_table() { &date[..10] } else { &date };
        list.row(vec![
            to,
            report::escaped(name),
            date.to_owned(),
            parcels,
            sent.id.clone(),
        ])?;
        // Before the file is let go: what is printed later would be lost with a run that is killed.
        list.flush()
    }

    pub(super) fn failed(&self, label: &str, error: &anyhow::Error) {
        let mut outcome = self.outcome.borrow_mut();
        outcome.take();
        outcome.failed(&InputRef::named(label.to_owned()), label, error);
    }

    /// Counts a failure without a word.
    pub(super) fn count(&self, label: &str, error: &anyhow::Error) {
        let mut outcome = self.outcome.borrow_mut();
        outcome.take();
        outcome.count(&InputRef::named(label.to_owned()), error);
    }

    /// Counts files that are not taken yet.
    pub(super) fn note_unready(&self, files: usize) {
        self.counts.borrow_mut().unready += files;
    }

    pub(super) fn media_type(&self) -> &str {
        self.media_type
    }

    pub(super) fn finish(self, sent: anyhow::Result<()>) -> anyhow::Result<()> {
        progress::end();
        let counts = self.counts.into_inner();
        self.list
            .into_inner()
            .finish(&["TO", "NAME", "DATE", "PARTS", "ID"])?;
        let mut what = vec![match counts.contents {
            0 => "nothing queued".to_owned(),
            contents => format!(
                "queued {} in {}",
                tally::counted(contents, "content", "contents"),
                tally::counted(counts.parcels, "parcel", "parcels")
            ),
        }];
        if counts.unready > 0 {
            let files = tally::counted(counts.unready, "file", "files");
            what.push(format!("{files} not ready yet"));
        }
        report::summary(&what.join(", "));
        sent?;
        self.outcome.into_inner().finish()
    }
}

/// Refuses a directory that is of a node, or has one in it: its private keys would go with it.
fn check_no_node(path: &Path, whole: &Path) -> Result<(), Error> {
    if Directory::owns(whole) {
        return Err(Error::OfNode(path.to_owned()));
    }
    // What cannot be read is reported when the content is.
    for entry in WalkDir::new(whole).into_iter().filter_map(Result::ok) {
        let dir = entry.path().parent().unwrap_or(whole);
        if entry.file_name() == "VERSION" && Directory::owns(dir) {
            let below = dir.strip_prefix(whole).unwrap_or(dir);
            return Err(Error::OfNode(path.join(below)));
        }
    }
    Ok(())
}

/// Standard input, which may be empty, but not closed.
fn stdin() -> anyhow::Result<OutgoingSource> {
    let stdin = std::io::stdin();
    if Standard::input(&stdin) != Standard::Open {
        return Err(Empty.into());
    }
    if stdin.is_terminal() && !report::is_quiet() {
        report::note("reading from the terminal; Ctrl-D ends it");
    }
    Ok(OutgoingSource::stream(Box::new(stdin)))
}

/// The number of parcels, if it is known.
fn total(paths: &[PathBuf], recipients: usize) -> Option<usize> {
    let mut parcels = 0;
    for path in paths {
        let found = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let size = u64::from(MAX_EMITTED_CONTENT_LEN);
        parcels += usize::try_from(found.len().div_ceil(size).max(1)).ok()?;
    }
    parcels.checked_mul(recipients)
}
