//! Checks that something carries the messages that wait for a gateway on the network.

use jiff::SignedDuration;

use super::checker::Checker;
use super::finding::{Check, Level};
use super::queue_tally::QueueTally;
use crate::node::certificates;
use crate::pki::NodeId;
use crate::spool::clock;
use crate::spool::hosts::HostState;
use crate::spool::{Error, Queue, Spool};

/// How long no carrier may have worked before it is reported.
const IDLE_FOR: SignedDuration = SignedDuration::from_hours(24);

impl Spool {
    /// Reports messages that wait for a gateway that was tried on the network, while for a day neither its server was
    /// reached nor cargo for it was written onto a medium. Under a clock that is not believed no age proves anything.
    pub(super) fn check_carriers(
        &self,
        hop: NodeId,
        queue: &Queue,
        tally: &QueueTally,
        checker: &mut Checker<'_>,
    ) -> Result<(), Error> {
        let is_long_ago = |at| checker.now > clock::after(at, IDLE_FOR);
        if !tally.oldest.is_some_and(is_long_ago) {
            return Ok(());
        }
        let Some(host) = self.host_of(hop, checker) else {
            return Ok(());
        };
        // A medium that goes elsewhere carries nothing for this gateway.
        let carried = self.last_carried(hop, checker.now)?;
        let last = host.last_success.max(carried);
        // A server that was never reached may have been tried first a minute ago.
        let since = last.or(host.failing_since);
        let is_idle = since.is_none_or(is_long_ago);
        if !is_idle || !self.time(checker.now, &checker.window)?.is_believed() {
            return Ok(());
        }
        let since = since.map_or_else(String::new, |at| format!(" since {at}"));
        let why = host
            .last_error
            .map_or_else(String::new, |error| format!(": {}: {error}", host.address));
        let (noun, wait) = if tally.count == 1 {
            ("message", "waits")
        } else {
            ("messages", "wait")
        };
        let what = format!(
            "{} {noun} for {} {wait}, and no carrier has worked{since}{why}",
            tally.count,
            self.owner().label_of(hop),
        );
        let hint = "relay-online tries again and says why not; relay-sync packs them onto a medium";
        let hint = host.remedy.unwrap_or_else(|| hint.to_owned());
        let (level, check) = (Level::Warning, Check::Waiting);
        checker.report(level, check, queue.dir(), &what, Some(hint));
        Ok(())
    }

    /// Reports gateways of this node that nothing is exchanged with over the network until somebody does something.
    pub(super) fn check_gateways(&self, checker: &mut Checker<'_>) -> Result<(), Error> {
        for gateway in certificates::issuers(self.owner())? {
            let Some(host) = self.host_of(gateway, checker) else {
                continue;
            };
            let (Some(error), Some(remedy)) = (host.last_error, host.remedy) else {
                continue;
            };
            let label = self.owner().label_of(gateway);
            let since = host.failing_since;
            let since = since.map_or_else(String::new, |at| format!(" since {at}"));
            let what = format!("nothing is exchanged with {label} online{since}: {error}");
            let path = self.host_path(&host.address);
            checker.report(Level::Warning, Check::Online, &path, &what, Some(remedy));
        }
        Ok(())
    }

    /// What is known of the server of a gateway, if it was tried. What cannot be read of the peer, the check of the node
    /// reports.
    fn host_of(&self, hop: NodeId, checker: &Checker<'_>) -> Option<HostState> {
        let owner = self.owner();
        let address = match owner.pinned_host(hop).ok()? {
            Some(host) => host.authority,
            None => owner.peer(hop).ok()??.address?.to_string(),
        };
        let state = self.host_state(&address, checker.now);
        state.is_tried().then_some(state)
    }
}
