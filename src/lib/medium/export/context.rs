//! What every step of an export works with.

use crate::cms::enveloped_data::Cipher;
use crate::medium::{Error, Medium};
use crate::receive::ReceiveOptions;
use crate::spool::carried::Carried;
use crate::spool::{Spool, Time};
use crate::verify::Policy;

/// Where from, where to, and under which rules; none of it changes during a run.
pub(super) struct Context<'a> {
    pub spool: &'a Spool,
    pub medium: &'a Medium,
    pub options: ReceiveOptions,
    pub time: Time,
    pub policy: Policy,
    pub cipher: Cipher,
    /// The records of the cargo that was written to this medium.
    pub carried: Carried,
}

impl Context<'_> {
    /// Whether the clock, which is not believed, may be the only reason for an error.
    pub(super) fn is_untimely(&self, error: &Error) -> bool {
        !self.time.is_believed() && error.kind().depends_on_clock()
    }
}
