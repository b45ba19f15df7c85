//! The context that all steps of an export share.

use std::collections::BTreeSet;

use crate::cms::enveloped_data::Cipher;
use crate::medium::{Error, ExchangeEvent, Medium};
use crate::message::{self, cargo};
use crate::pki::NodeId;
use crate::ramf::fields;
use crate::receive::ReceiveOptions;
use crate::spool::carried::Carried;
use crate::spool::queue::Waiting;
use crate::spool::{self, Queue, Spool, Time};
use crate::verify::Policy;

/// The next hops that an export is for.
pub(super) enum Coverage {
    /// One that asks; without requests for our own cargo.
    Only(NodeId),
    /// All but these, and requests to the same.
    AllBut(BTreeSet<NodeId>),
}

/// Source, medium and options of an export. Nothing in it changes during a run.
pub(super) struct Context<'a> {
    pub spool: &'a Spool,
    pub medium: &'a Medium,
    pub options: ReceiveOptions,
    pub time: Time,
    pub policy: Policy,
    pub cipher: Cipher,
    /// The records of cargo on this medium.
    pub carried: Carried,
    /// The next hops of this export.
    pub coverage: Coverage,
}

impl Context<'_> {
    /// Whether this export is for a next hop.
    pub(super) fn covers(&self, hop: NodeId) -> bool {
        match &self.coverage {
            Coverage::Only(only) => *only == hop,
            Coverage::AllBut(others) => !others.contains(&hop),
        }
    }

    /// The space for messages in one cargo, in octets.
    pub(super) fn room(&self) -> usize {
        match &self.coverage {
            Coverage::Only(_) => cargo::COLLECTED_ROOM,
            Coverage::AllBut(_) => cargo::ROOM,
        }
    }

    /// Whether an error may only be due to the clock, which is doubted.
    pub(super) fn is_untimely(&self, error: &Error) -> bool {
        !self.time.is_believed() && error.kind().depends_on_clock()
    }
}

/// Refuses a file that is too long for a message, before it is read.
pub(super) fn check_len(waiting: &Waiting, limit: usize) -> Result<(), Error> {
    let len = waiting.len()?.unwrap_or_default();
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    fields::check_len("message", len, limit).map_err(message::Error::from)?;
    Ok(())
}

/// That a queue cannot be listed, which keeps no other waiting.
pub(super) fn unlisted(queue: &Queue, error: spool::Error) -> ExchangeEvent {
    ExchangeEvent::Failed {
        what: queue.dir().display().to_string(),
        error: error.into(),
    }
}
