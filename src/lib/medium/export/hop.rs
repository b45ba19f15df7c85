//! The state of a next hop during an export: the chosen messages, and the cargo written so far.

use super::answer::Answered;
use super::on_medium::Unsettled;
use super::space::{Left, Space};
use crate::pki::NodeId;
use crate::ramf::limits;
use crate::send::Sealer;
use crate::spool::carried::Record;
use crate::spool::queue::Waiting;

/// A next hop that messages wait for.
pub(super) struct NextHop<'a> {
    pub id: NodeId,
    pub sealer: Sealer,
    /// The CCA that the cargo answers.
    pub answered: Option<Answered<'a>>,
    /// The messages that are chosen but not packed yet.
    pub chosen: Vec<Chosen>,
    /// The number of cargoes that were written.
    pub cargoes: usize,
    /// The records of cargo whose consequences are not complete.
    pub records: Vec<Record>,
    pub left: Left,
    /// Whether the directory for its cargo cannot be used.
    pub is_blocked: bool,
}

/// A chosen message, and the length of its file in octets.
pub(super) struct Chosen {
    pub message: Waiting,
    pub len: usize,
}

impl<'a> NextHop<'a> {
    /// Starts with what a killed run left to do.
    pub(super) fn new(
        id: NodeId,
        sealer: Sealer,
        answered: Option<Answered<'a>>,
        unsettled: Unsettled,
    ) -> Self {
        // Cargo of a killed run answers this CCA, so it is used up even if this run writes none.
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
    pub(super) fn choose(&mut self, messages: Vec<Waiting>, space: &mut Space) {
        for message in messages {
            // One that cannot be examined, or is too long, takes no space: it is reported when it is packed.
            let Some(octets) = message.len().unwrap_or(Some(0)) else {
                continue;
            };
            let len = usize::try_from(octets).unwrap_or(usize::MAX);
            let len = if len > limits::MAX_ITEM_LEN { 0 } else { len };
            if space.reserve(len) {
                self.chosen.push(Chosen { message, len });
            } else {
                self.left.add(1, octets);
            }
        }
    }
}
