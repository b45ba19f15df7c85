//! What relay-send does: contents from operands or a drop folder, recipients, and a line for each.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::errors::{Postponed, Usage};
use super::input_ref::InputRef;
use super::limited::Limited;
use super::listing::List;
use super::outcome::Outcome;
use super::recipients::{recipients_of, sealers};
use super::sealing::warn_of_life;
use super::status::{Reported, Status};
use super::{files, progress, report, tally};
use crate::archive::{self, Tree};
use crate::crypto::random;
use crate::describe::{json, lines};
use crate::disk::files::FileState;
use crate::disk::{self, FileRole};
use crate::message::file_name;
use crate::message::parts::MAX_EMITTED_CONTENT_LEN;
use crate::node::Directory;
use crate::outbox::drop_folder::Scan;
use crate::outbox::{
    Claimed, DropFolder, Error, Ids, Outgoing, OutgoingSource, Submission, SubmittedTo,
};
use crate::pki::NodeId;
use crate::send::{Draft, Sealer};

/// Files of a drop folder that are claimed with common syncs.
const CLAIMED_AT_ONCE: usize = 256;

/// The most files of a drop folder that are reported one by one.
const MAX_REPORTED: usize = 20;

/// The type of content of which nobody says one.
const UNTYPED: &str = "application/octet-stream";

/// Sends contents for a node.
pub struct Sending<'a> {
    node: &'a Directory,
    submission: Submission<'a>,
    media_type: &'a str,
    json: bool,
    outcome: RefCell<Outcome>,
    list: RefCell<List>,
    /// The contents under way, the first one first.
    under_way: RefCell<VecDeque<Facts>>,
    counts: RefCell<Counts>,
    /// The recipients of which it was said what is unusual about their parcels.
    warned: RefCell<HashSet<NodeId>>,
}

/// What is known of a content before it is sent.
struct Facts {
    label: String,
    name: Option<String>,
    media_type: String,
    claim: Option<(Claimed, Option<FileState>)>,
}

#[derive(Default)]
struct Counts {
    contents: usize,
    parcels: usize,
    unready: usize,
}

/// What is sent of operands.
#[derive(Debug, Clone)]
pub struct OperandTerms<'a> {
    /// The recipients, as `-t` names them.
    pub to: &'a [String],
    /// The name to send along instead of a file's own.
    pub name: Option<&'a str>,
    /// Whether no name is sent along.
    pub is_nameless: bool,
    /// The id of the parcel.
    pub id: Option<&'a str>,
}

/// A folder that files are taken from.
#[derive(Debug, Clone)]
pub struct DropTerms<'a> {
    /// The folder.
    pub dir: &'a Path,
    /// Where files go that were sent; they are removed without.
    pub sent: Option<&'a Path>,
    /// How long a file must not have changed.
    pub settle: Duration,
    /// The recipients; without any, subfolders are named like them.
    pub to: &'a [String],
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
        self.finish(sent)
    }

    /// Sends what waits in a drop folder.
    ///
    /// # Errors
    /// When the folder cannot be used; the status that all failures add up to.
    pub fn drop_folder(self, terms: &DropTerms<'_>, now: SystemTime) -> anyhow::Result<()> {
        let folder = match DropFolder::open(terms.dir, terms.sent, terms.settle) {
            // Run by cron with `-q`: the next run goes on, so this is not worth a mail.
            Err(Error::Locked(_)) if report::is_quiet() => {
                return Err(Reported(Status::TEMP_FAIL).into());
            }
            opened => opened?,
        };
        // Before anything is claimed.
        let to = if terms.to.is_empty() {
            None
        } else {
            Some(self.sealers(terms.to)?)
        };
        report::progress(self.json, || None);
        let mut drops = Drops {
            sending: &self,
            folder: &folder,
            to,
            of_folder: HashMap::new(),
            claimed: folder.claims()?.into(),
            to_claim: VecDeque::new(),
            reported: Limited::new(MAX_REPORTED),
        };
        drops.scan(now)?;
        let sent = self.run(|| drops.next(), Some(&folder));
        drops.end(terms.dir);
        let ended = folder.end();
        let sent = sent.and_then(|()| Ok(ended?));
        self.finish(sent)
    }

    /// Prepares to seal for recipients, and warns of what is unusual about one.
    fn sealers(&self, to: &[String]) -> anyhow::Result<Vec<Arc<Sealer>>> {
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
            OutgoingSource::stream(Box::new(std::io::stdin()))
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

    fn outgoing(
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

    fn run(
        &self,
        next: impl FnMut() -> Option<Outgoing>,
        folder: Option<&DropFolder>,
    ) -> anyhow::Result<()> {
        self.submission.run(next, progress::step, &mut |_, result| {
            let facts = self.under_way.borrow_mut().pop_front();
            match facts {
                Some(facts) => self.done(&facts, result, folder),
                None => Ok(()),
            }
        })
    }

    /// Reports what became of a content, and lets its file go.
    fn done(
        &self,
        facts: &Facts,
        result: Result<Vec<SubmittedTo>, Error>,
        folder: Option<&DropFolder>,
    ) -> anyhow::Result<()> {
        let claim = facts.claim.as_ref().zip(folder);
        match result {
            Ok(sent) => {
                self.counts.borrow_mut().contents += 1;
                for sent in &sent {
                    if self.warned.borrow_mut().insert(sent.recipient) {
                        warn_of_life(sent.recipient, sent.cut_to, sent.dated_ahead);
                    }
                    self.counts.borrow_mut().parcels += usize::try_from(sent.parcels).unwrap_or(0);
                    self.line(facts, sent)?;
                }
                let finished = claim.map(|((claim, state), folder)| folder.finish(claim, *state));
                match finished.unwrap_or(Ok(())) {
                    Ok(()) => self.outcome.borrow_mut().take(),
                    Err(error) => self.failed(&facts.label, &error.into()),
                }
            }
            Err(error) => {
                if let (Some(((claim, _), folder)), Error::Changed) = (claim, &error) {
                    folder.put_back(claim)?;
                }
                self.failed(&facts.label, &error.into());
            }
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
        ])
    }

    fn failed(&self, label: &str, error: &anyhow::Error) {
        let mut outcome = self.outcome.borrow_mut();
        outcome.take();
        outcome.failed(&InputRef::named(label.to_owned()), label, error);
    }

    fn finish(self, sent: anyhow::Result<()>) -> anyhow::Result<()> {
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

/// Files of a drop folder on their way.
struct Drops<'a, 'b> {
    sending: &'b Sending<'a>,
    folder: &'b DropFolder,
    /// Who gets everything; `None` if subfolders say it.
    to: Option<Vec<Arc<Sealer>>>,
    /// Who gets what is in a subfolder; `None` if that is nobody known.
    of_folder: HashMap<OsString, Option<Vec<Arc<Sealer>>>>,
    claimed: VecDeque<Claimed>,
    to_claim: VecDeque<(Option<OsString>, Vec<OsString>)>,
    reported: Limited,
}

impl Drops<'_, '_> {
    /// Notes what is to be claimed.
    fn scan(&mut self, now: SystemTime) -> anyhow::Result<()> {
        let Scan {
            ready,
            unready,
            others,
            folders,
        } = self.folder.scan(None, now)?;
        self.tell(others);
        if self.to.is_some() {
            self.unready(None, unready);
            self.to_claim.push_back((None, ready));
            for folder in folders {
                let error = Error::NotTaken("a directory, which is sent only as an operand");
                self.not_taken(Path::new(&folder), &error.into());
            }
            return Ok(());
        }
        for name in ready.into_iter().chain(unready) {
            let error =
                Error::NotTaken("without -t, files lie in subfolders named like their recipients");
            self.not_taken(Path::new(&name), &error.into());
        }
        for folder in folders {
            // Before anything in it is claimed.
            if self.to(Some(&folder)).is_none() {
                continue;
            }
            match self.folder.scan(Some(&folder), now) {
                Ok(scan) => {
                    self.tell(scan.others);
                    self.unready(Some(&folder), scan.unready);
                    for inner in scan.folders {
                        let error = Error::NotTaken("a directory in a directory");
                        self.not_taken(&Path::new(&folder).join(inner), &error.into());
                    }
                    self.to_claim.push_back((Some(folder), scan.ready));
                }
                Err(error) => self.not_taken(Path::new(&folder), &error.into()),
            }
        }
        Ok(())
    }

    /// Who gets what is in a subfolder, or in the folder itself.
    fn to(&mut self, folder: Option<&OsStr>) -> Option<Vec<Arc<Sealer>>> {
        if let Some(to) = &self.to {
            return Some(to.clone());
        }
        let folder = folder?;
        if let Some(known) = self.of_folder.get(folder) {
            return known.clone();
        }
        let name = folder.to_string_lossy().into_owned();
        let to = self.sending.sealers(std::slice::from_ref(&name));
        let to = to.map_err(|error| self.not_taken(Path::new(folder), &error));
        let to = to.ok();
        self.of_folder.insert(folder.to_owned(), to.clone());
        to
    }

    /// The next content: first what runs before this one claimed.
    fn next(&mut self) -> Option<Outgoing> {
        loop {
            while let Some(claim) = self.claimed.pop_front() {
                let Some(to) = self.to(claim.folder.as_deref()) else {
                    continue;
                };
                match self.content(claim) {
                    Ok((source, facts)) => {
                        return Some(self.sending.outgoing(source, facts, to, None));
                    }
                    Err((label, error)) => self.not_taken(&label, &error),
                }
            }
            let (folder, mut names) = self.to_claim.pop_front()?;
            let rest = names.split_off(names.len().min(CLAIMED_AT_ONCE));
            if names.is_empty() {
                continue;
            }
            if !rest.is_empty() {
                self.to_claim.push_front((folder.clone(), rest));
            }
            match self.folder.claim(folder.as_deref(), &names) {
                Ok((claimed, failed)) => {
                    self.claimed.extend(claimed);
                    self.tell(failed);
                }
                Err(error) => {
                    self.to_claim.retain(|(other, _)| *other != folder);
                    let label = folder.unwrap_or_else(|| OsString::from("."));
                    self.not_taken(Path::new(&label), &error.into());
                }
            }
        }
    }

    fn content(&self, claim: Claimed) -> Result<(OutgoingSource, Facts), (PathBuf, anyhow::Error)> {
        let label = claim.label();
        let source = match OutgoingSource::dropped(&claim.path) {
            Ok(source) => source,
            // It would fail in each run, where nobody sees it.
            Err(error) => {
                let label = self.folder.put_back(&claim).unwrap_or(label);
                return Err((label, error.into()));
            }
        };
        let facts = Facts {
            label: report::path(&label),
            name: file_name::safe(&claim.name.to_string_lossy()),
            media_type: self.sending.media_type.to_owned(),
            claim: Some((claim, source.state())),
        };
        Ok((source, facts))
    }

    fn unready(&mut self, folder: Option<&OsStr>, names: Vec<OsString>) {
        self.sending.counts.borrow_mut().unready += names.len();
        for name in names {
            let path = folder.map_or_else(|| PathBuf::from(&name), |it| Path::new(it).join(&name));
            let error = anyhow::Error::new(Postponed(
                "changed a moment ago; a later run takes it".to_owned(),
            ));
            self.not_taken(&path, &error);
        }
    }

    fn tell(&mut self, others: Vec<(PathBuf, Error)>) {
        for (path, error) in others {
            self.not_taken(&path, &error.into());
        }
    }

    /// Reports what is not taken: of very many, the first ones.
    fn not_taken(&mut self, path: &Path, error: &anyhow::Error) {
        let label = report::path(path);
        // With `-q` from cron, a file that is still being written is not worth a mail either.
        let is_told = !(report::is_quiet() && error.is::<Postponed>());
        if is_told && self.reported.admit() {
            self.sending.failed(&label, error);
        } else {
            let mut outcome = self.sending.outcome.borrow_mut();
            outcome.take();
            outcome.count(&InputRef::named(label), error);
        }
    }

    fn end(self, dir: &Path) {
        if let Some(more) = self.reported.suppressed() {
            report::error(&format!("{}: and {more} more", report::path(dir)));
        }
    }
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
