//! Counts the messages of senders whose authorization has a rate.

use super::run::Decided;
use super::{Error, Router};
use crate::node::{self, seen};
use crate::pipeline::mutex;

impl Router<'_> {
    /// Counts the messages of senders who may not send any number. One too many is not sent on.
    pub(super) fn count(&self, group: &mut [Decided]) -> Result<(), Error> {
        // A panicking thread leaves a message uncounted at worst.
        let mut rates = mutex::lock(&self.rates);
        for decided in group {
            let (Ok(_), Some(claim)) = (&decided.result, &decided.rate) else {
                continue;
            };
            let is_accepted = |decided: &Decided| {
                decided.identity().map_or(Ok(false), |identity| {
                    let accepted = identity.whatever_its_rate();
                    let recall = seen::recall(self.spool.owner().root(), &accepted)?;
                    Ok::<_, node::Error>(recall == seen::Recall::Seen)
                })
            };
            let counted = match rates.count(claim) {
                Ok(false) => is_accepted(decided),
                counted => counted,
            };
            match counted {
                Ok(true) => {}
                Ok(false) => {
                    let over = node::AuthorizationError::OverRate(claim.limit());
                    decided.result = Err(node::Error::Authorization(over).into());
                }
                Err(error) => decided.result = Err(error.into()),
            }
        }
        if !self.is_dry {
            rates.store()?;
        }
        Ok(())
    }
}
