//! What the front is told.

use std::fs::File;
use std::io;

use super::channel::Channel;
use super::front::send_with;
use super::protocol::{CallId, ServeVerdict, ToFront};
use crate::pki::NodeId;

/// What the front is told. An error means that the front is gone, which who listens to it notices.
pub(super) struct Outbox<'a> {
    pub(super) channel: &'a Channel,
}

impl Outbox<'_> {
    pub(super) fn send(&self, head: &ToFront, body: &[u8], file: Option<&File>) {
        if let Err(error) = send_with(self.channel, head, body, file)
            && error.kind() == io::ErrorKind::InvalidInput
            && let ToFront::Answer { call, .. } = head
        {
            // Too long for a message. Who asked must not wait for ever.
            let answer = ToFront::Answer {
                call: *call,
                verdict: ServeVerdict::Busy("it cannot be answered".to_owned()),
                node: None,
            };
            let _ = send_with(self.channel, &answer, &[], None);
        }
    }

    pub(super) fn tell(&self, head: &ToFront) {
        self.send(head, &[], None);
    }

    pub(super) fn answer(&self, call: CallId, verdict: ServeVerdict, object: &[u8]) {
        self.answer_to(call, verdict, object, None);
    }

    /// As [`answer`](Self::answer), to a registered node.
    pub(super) fn answer_to(
        &self,
        call: CallId,
        verdict: ServeVerdict,
        object: &[u8],
        node: Option<NodeId>,
    ) {
        let node = node.map(|node| *node.digest());
        let answer = ToFront::Answer {
            call,
            verdict,
            node,
        };
        self.send(&answer, object, None);
    }
}
