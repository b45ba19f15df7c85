//! Requests for our own cargo: a CCA for each gateway that registered this one.

use super::context::Context;
use crate::medium::layout::denied;
use crate::medium::{Error, ExchangeEvent, MediumFile, is_full};
use crate::node::certificates;
use crate::pki::NodeId;
use crate::ramf::{Kind, limits};
use crate::send;

impl Context<'_> {
    /// Requests cargo from the gateways that registered this one, unless a valid request is on the
    /// medium already.
    ///
    /// # Errors
    /// Fatal errors only: the node or its spool cannot be read, the medium cannot be changed, or
    /// `each` failed.
    pub(super) fn request<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        let node = self.spool.owner();
        for gateway in certificates::issuers(node).map_err(Error::from)? {
            if !self.covers(gateway) {
                continue;
            }
            let requested = self.request_from(gateway);
            match requested {
                Ok(None) => {}
                Ok(Some(id)) => each(ExchangeEvent::Requested { id, gateway })?,
                // A full medium is reported, and the run goes on: cargo on it may be replaced or
                // removed.
                Err(error @ Error::Disk(_)) if !matches!(&error, Error::Disk(it) if is_full(it)) => {
                    return Err(error.into());
                }
                Err(error @ Error::Spool(_)) => return Err(error.into()),
                // The messages that wait for the clock are counted with their next hop.
                Err(error) if self.is_untimely(&error) => {}
                Err(error) => each(ExchangeEvent::Failed {
                    what: node.label_of(gateway),
                    error,
                })?,
            }
        }
        Ok(())
    }

    /// Writes a request and returns its id; `None` if the medium has one that the gateway will
    /// accept.
    fn request_from(&self, gateway: NodeId) -> Result<Option<String>, Error> {
        let node = self.spool.owner();
        let mut files = self.medium.files_for(Kind::Cca, gateway)?;
        let mut ended = Vec::new();
        while let Some(file) = files.next_message()? {
            if file.sender != node.id() {
                continue;
            }
            if self.is_request_of_ours(&file) {
                return Ok(None);
            }
            ended.push(file);
        }
        let sent = send::cca(node, gateway, limits::CCA_LIFE, self.cipher, self.time.told)?;
        let ends = (gateway, node.id());
        let (pending, _) = self
            .medium
            .prepare(Kind::Cca, ends, sent.octets.as_slice())?;
        pending.place().map_err(denied)?;
        // By a doubted clock they may not have expired, and the new request may be dated in the
        // future.
        if self.time.is_believed() {
            for file in &ended {
                self.medium.remove(file)?;
            }
        }
        Ok(Some(sent.fields.id))
    }

    /// Whether a CCA that names us as sender will be accepted: undamaged, signed by us and not
    /// expired.
    fn is_request_of_ours(&self, file: &MediumFile) -> bool {
        let Ok(Some(octets)) = file.read() else {
            return false;
        };
        let verdict = file.verified(octets, &self.policy);
        verdict.is_ok_and(|verdict| verdict.expiry.is_some_and(|end| end > self.time.told))
    }
}
