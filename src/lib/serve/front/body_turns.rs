//! Whose body is received when, and the file that it is received into.

use std::sync::Arc;
use std::time::Duration;

use super::limits::PeerHold;
use super::state::{FrontState, PeerConnection};
use crate::serve::protocol::{CallId, ServeVerdict, ToKeeper};

/// How long a body waits while others of its address are received.
pub(super) const TURN_WITHIN: Duration = Duration::from_secs(5);

/// How often it looks.
const TURN_EVERY: Duration = Duration::from_millis(50);

/// The turn of a body among those of its node or address; `None` if it does not come in time.
pub(super) async fn turn(state: &FrontState, peer: &PeerConnection) -> Option<PeerHold> {
    let since = tokio::time::Instant::now();
    loop {
        let hold = match peer.node() {
            Some(node) => state.bodies_of_node.hold_of_node(node),
            None => state.bodies_of_address.hold(peer.address),
        };
        if hold.is_some() || since.elapsed() >= TURN_WITHIN {
            return hold;
        }
        tokio::time::sleep(TURN_EVERY).await;
    }
}

/// The room for a body. If it is dropped before the body came, the keeper is told.
pub(super) struct RoomHeld<'a> {
    state: &'a FrontState,
    call: Option<CallId>,
}

impl<'a> RoomHeld<'a> {
    pub(super) fn new(state: &'a FrontState, call: CallId) -> Self {
        let call = Some(call);
        Self { state, call }
    }

    /// The body came.
    pub(super) fn used(mut self) {
        self.call = None;
    }
}

impl Drop for RoomHeld<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            let keeper = Arc::clone(&self.state.keeper);
            tokio::spawn(async move { keeper.tell(ToKeeper::NoParcel { call }, Vec::new()).await });
        }
    }
}

pub(super) fn stopping() -> ServeVerdict {
    ServeVerdict::Busy("the server is about to stop".to_owned())
}
