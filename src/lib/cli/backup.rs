//! What relay-check does with `--backup`.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;

use super::args::Wait;
use super::errors::Usage;
use super::input_ref::InputRef;
use super::outcome::Outcome;
use super::{files, report};
use crate::disk::FileRole;
use crate::disk::files::canonical;
use crate::node::{self, Directory};
use crate::upkeep::backup::{self, Backup, Omitted};

/// Makes a backup of the node in `root`, which is to be called `target`.
///
/// # Errors
/// When it cannot be made, or lacks a file that cannot be read; [`Locked`](crate::spool::Error::Locked) when
/// another run holds a lock until `--wait` is over.
pub fn back_up(root: &Path, target: &Path, wait: &Wait) -> anyhow::Result<()> {
    if target == Path::new("-") {
        let text = "--backup makes a directory, and - stands for standard output: ./- is a name";
        return Err(Usage(text.to_owned()).into());
    }
    let node = Directory::open(root)?;
    let name = || report::path(target);
    check_beside(target, node.root())?;
    if let Some(place) = target.parent() {
        files::sweep(place);
        files::sweep_trees(place);
    }
    let mut made = Backup::create(target).with_context(name)?;
    let mut outcome = Outcome::default();
    let mut each = |omitted: &Omitted| note(omitted, &mut outcome);
    report::progress(false, || None);
    let locks = wait.until(|| Ok(backup::lock(&node)?))?;
    let started = Instant::now();
    let taken = made.take(&node, &mut each);
    if locks.is_incomplete {
        let text = "read-only, and without locks: nothing may change it elsewhere meanwhile";
        report::warn(&format!("{}: {text}", report::path(node.root())));
    }
    drop(locks);
    let locked = started.elapsed();
    taken.with_context(name)?;
    let totals = made.finish(&mut each).with_context(name)?;
    let (count, octets) = (totals.files.to_string(), totals.octets.to_string());
    let millis = locked.as_millis().to_string();
    let facts = [
        ("dir", &*name()),
        ("files", &count),
        ("octets", &octets),
        ("locked-ms", &millis),
    ];
    report::event("backed-up", &facts);
    report::summary(&format!(
        "{}: {count} files, {octets} octets; it holds the node's keys",
        name()
    ));
    outcome.finish()
}

/// Refuses a new name within a node: the backup would be copied too, or be taken for a part of it.
fn check_beside(target: &Path, root: &Path) -> anyhow::Result<()> {
    let place = target.parent().filter(|dir| !dir.as_os_str().is_empty());
    let place = place.unwrap_or(Path::new("."));
    // What cannot be resolved is reported when the copy is begun there.
    if let (Ok(place), Some(name)) = (canonical(place, FileRole::Delivery), target.file_name())
        && !target.is_dir()
        && (Directory::owns(&place.join(name))
            || canonical(root, FileRole::Delivery).is_ok_and(|root| place.starts_with(root)))
    {
        let text = format!(
            "{}: within a node directory: name a place outside",
            report::path(target)
        );
        return Err(Usage(text).into());
    }
    Ok(())
}

/// Reports what is not in the backup.
fn note(omitted: &Omitted, outcome: &mut Outcome) {
    match omitted {
        Omitted::Unreadable(error) => {
            let place = InputRef::named(error.path().to_string_lossy().into_owned());
            outcome.take();
            let error = node::Error::Disk(error.repeated()).into();
            outcome.failed(&place, &place.label(), &error);
        }
        Omitted::OfAnother(path) => report::warn(&format!(
            "{}: not in the backup; its user makes one of it",
            report::path(path)
        )),
    }
}
