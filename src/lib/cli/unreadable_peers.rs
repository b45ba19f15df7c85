//! Reports peers that cannot be read.

use std::collections::BTreeSet;

use super::input_ref::InputRef;
use super::outcome::Outcome;
use crate::node::Directory;
use crate::node::peers::UnreadablePeer;

/// Reports peers of which something cannot be read, each problem once.
///
/// # Errors
/// As [`Outcome::done`].
fn report_unreadable(
    node: &Directory,
    unreadable: Vec<UnreadablePeer>,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let mut known = BTreeSet::new();
    for UnreadablePeer { id, error } in unreadable {
        if known.insert((id, error.to_string())) {
            outcome.take();
            outcome.done(&InputRef::named(node.label_of(id)), Err(error.into()))?;
        }
    }
    Ok(())
}

/// Reports them at the end of a program that served all others.
///
/// # Errors
/// The status that they add up to, unless there are none.
pub fn finish(node: &Directory, unreadable: Vec<UnreadablePeer>) -> anyhow::Result<()> {
    let mut outcome = Outcome::default();
    report_unreadable(node, unreadable, &mut outcome)?;
    outcome.finish()
}
