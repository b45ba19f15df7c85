//! A next hop during an export: what is chosen for it, and what was written.

use super::answer::Answered;
use super::on_medium::Unsettled;
use super::space::{Left, Space};
use crate::medium::Error;
use crate::pki::NodeId;
use crate::ramf::limits;
use crate::send::Sealer;
use crate::spool::carried::Record;
use crate::spool::queue::Waiting;

/// A next hop for which something waits.
pub(super) struct NextHop<'a> {
    pub id: NodeId,
    pub sealer: Sealer,
    /// The CCA that the cargo answers.
    pub answered: Option<Answered<'a>>,
    /// Chosen, and not packed yet.
    pub chosen: Vec<Chosen>,
    /// How many cargoes were written.
    pub cargoes: usize,
    /// The records of those from which not everything has followed yet.
    pub records: Vec<Record>,
    pub left: Left,
    /// Something is where its cargo should be, or its directory may not be used.
    pub is_blocked: bool,
}

/// A message that is to go, and the octets in its file.
pub(super) struct Chosen {
    pub message: Waiting,
    pub len: usize,
}

impl<'a> NextHop<'a> {
    /// Begins with what a killed run left to do.
    pub(super) fn new(
        id: NodeId,
        sealer: Sealer,
        answered: Option<Answered<'a>>,
        unsettled: Unsettled,
    ) -> Self {
        // Cargo of a killed run answers the CCA already: it is used up although this run may write none.
        let is_answered_already = answered
            .as_ref()
            .is_some_and(|it| Some(&it.name) == unsettled.answered.as_ref());
        Self {
            id,
            sealer,
            answered,
            chosen: Vec::new(),
            cargoes: usize::from(is_answered_already),
            records: unsettled.records,
            left: Left::default(),
            is_blocked: false,
        }
    }

    /// Chooses the messages that there is space for, in order.
    ///
    /// # Errors
    /// When a file cannot be examined.
    pub(super) fn choose(
        &mut self,
        messages: Vec<Waiting>,
        space: &mut Space,
    ) -> Result<(), Error> {
        for message in messages {
            let Some(octets) = message.len()? else {
                continue;
            };
            let len = usize::try_from(octets).unwrap_or(usize::MAX);
            // No program here stores a longer one; somebody who put it there by hand sees it counted as left.
            if len <= limits::MAX_ITEM_LEN && space.reserve(len) {
                self.chosen.push(Chosen { message, len });
            } else {
                self.left.add(1, octets);
            }
        }
        Ok(())
    }
}
