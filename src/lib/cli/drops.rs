//! Files of a drop folder on their way: those that earlier runs claimed, and those that are claimed now.

use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::errors::{Postponed, Usage};
use super::limited::Limited;
use super::report;
use super::sending::{AT_ONCE, Facts, MAX_REPORTED, Sending};
use super::status::{Reported, Status};
use crate::message::file_name;
use crate::outbox::drop_folder::{self, Scan};
use crate::outbox::{Claimed, DropFolder, Error, Outgoing, OutgoingSource};
use crate::send::Sealer;

/// A folder that files are taken from.
#[derive(Debug, Clone)]
pub struct DropTerms<'a> {
    /// The folder.
    pub dir: &'a Path,
    /// The recipients; without any, subfolders are named like them.
    pub to: &'a [String],
}

/// Opens a drop folder; see [`DropFolder::open`].
///
/// # Errors
/// When it cannot be used, or another run does.
pub fn open(dir: &Path, sent: Option<&Path>, settle: Duration) -> anyhow::Result<DropFolder> {
    match DropFolder::open(dir, sent, settle) {
        // Run by cron with `-q`: the next run tries again, so this is not worth a mail.
        Err(Error::Locked(_)) if report::is_quiet() => Err(Reported(Status::TEMP_FAIL).into()),
        Err(error @ Error::OfNode(_)) => {
            Err(Usage(format!("{error}: name a place outside")).into())
        }
        opened => Ok(opened?),
    }
}

/// Sends what waits in a drop folder.
///
/// # Errors
/// When the folder cannot be used; the status that all failures add up to.
pub fn send(
    sending: Sending<'_>,
    folder: DropFolder,
    terms: &DropTerms<'_>,
    now: SystemTime,
) -> anyhow::Result<()> {
    // Before anything is claimed.
    let to = if terms.to.is_empty() {
        None
    } else {
        Some(sending.sealers(terms.to)?)
    };
    report::progress(sending.json, || None);
    let mut drops = Drops::of(&sending, &folder, to)?;
    drops.scan(now)?;
    let sent = sending.run(|| drops.next(), Some(&folder));
    let let_go = sending.let_go(&folder);
    drops.end(terms.dir);
    let ended = folder.end();
    let sent = sent.and(let_go).and_then(|()| Ok(ended?));
    sending.finish(sent)
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

impl<'a, 'b> Drops<'a, 'b> {
    /// Starts with what earlier runs claimed.
    fn of(
        sending: &'b Sending<'a>,
        folder: &'b DropFolder,
        to: Option<Vec<Arc<Sealer>>>,
    ) -> Result<Self, Error> {
        Ok(Self {
            sending,
            folder,
            to,
            of_folder: HashMap::new(),
            claimed: folder.claims()?.into(),
            to_claim: VecDeque::new(),
            reported: Limited::new(MAX_REPORTED),
        })
    }

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
                        let error =
                            Error::NotTaken("a directory, and a drop folder takes files only");
                        self.not_taken(&Path::new(&folder).join(inner), &error.into());
                    }
                    self.to_claim.push_back((Some(folder), scan.ready));
                }
                Err(error) => self.not_taken(Path::new(&folder), &error.into()),
            }
        }
        Ok(())
    }

    /// Who gets what is in a subfolder, or in the folder itself. What a run claimed in a subfolder is for whom that names,
    /// even if this run has other recipients for the folder.
    fn to(&mut self, folder: Option<&OsStr>) -> Option<Vec<Arc<Sealer>>> {
        let Some(folder) = folder else {
            return self.to.clone();
        };
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
                if let Err(error) = self.folder.check(&claim) {
                    self.put_back(&claim, &error.into());
                    continue;
                }
                let Some(to) = self.to(claim.folder.as_deref()) else {
                    let error = Error::NotTaken(match claim.folder {
                        Some(_) => "waits there until its recipient is known",
                        None => "waits there for a run with -t, as the one that took it",
                    });
                    self.not_taken(&claim.place(), &error.into());
                    continue;
                };
                match OutgoingSource::dropped(&claim.path) {
                    Ok(source) => {
                        let facts = self.facts(claim, &source);
                        return Some(self.sending.outgoing(source, facts, to, None));
                    }
                    // It would fail in each run, where nobody sees it.
                    Err(error) => self.put_back(&claim, &error.into()),
                }
            }
            let (folder, mut names) = self.to_claim.pop_front()?;
            let rest = names.split_off(names.len().min(AT_ONCE));
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

    fn facts(&self, claim: Claimed, source: &OutgoingSource) -> Facts {
        Facts {
            label: report::path(&claim.label()),
            name: file_name::safe(&claim.name.to_string_lossy()),
            media_type: self.sending.media_type().to_owned(),
            claim: Some((claim, source.state())),
        }
    }

    /// Puts a file back that is not sent, and reports it.
    fn put_back(&mut self, claim: &Claimed, error: &anyhow::Error) {
        let label = self.folder.put_back(claim);
        self.not_taken(&label.unwrap_or_else(|_| claim.place()), error);
    }

    fn unready(&mut self, folder: Option<&OsStr>, names: Vec<OsString>) {
        self.sending.note_unready(names.len());
        for name in names {
            let path = drop_folder::label(folder, &name);
            let error = anyhow::Error::new(Postponed(
                "changed a moment ago; a later run takes it".to_owned(),
            ));
            if report::is_quiet() {
                // Run by cron: not worth a mail.
                self.sending.count(&report::path(&path), &error);
            } else {
                self.not_taken(&path, &error);
            }
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
        if self.reported.admit() {
            self.sending.failed(&label, error);
        } else {
            self.sending.count(&label, error);
        }
    }

    fn end(self, dir: &Path) {
        if let Some(more) = self.reported.suppressed() {
            report::error(&format!("{}: and {more} more", report::path(dir)));
        }
    }
}
