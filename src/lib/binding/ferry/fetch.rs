//! Cargo that a server gives: judged as relay-carry does, stored on the medium, then acknowledged.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::FerryEvent;
use crate::binding::cogrpc::{CargoReceipt, CogrpcClient, CollectEnd, collect};
use crate::binding::{Error, Server};
use crate::medium::passing::is_refused_for_good;
use crate::medium::{self, Medium, PassingMessage};
use crate::pki::NodeId;
use crate::ramf::{Kind, limits};
use crate::verify::Policy;

/// What cargo takes on a medium besides its octets, at most.
const OVERHEAD: u64 = 64 << 10;

/// How long a request is shown again that no cargo came for.
const REQUEST_LIFE: SignedDuration = SignedDuration::from_hours(1);

/// Whether a request that no cargo came for is shown again: its gateway may have been answering it to somebody else.
pub(super) fn is_young(request: &PassingMessage, now: Timestamp) -> bool {
    let made = request.date.saturating_add(limits::CCA_BACKDATED);
    made.is_ok_and(|made| now.duration_since(made).abs() <= REQUEST_LIFE)
}

/// Where cargo goes that comes, and who asked for it.
pub struct Fetch<'a> {
    /// The medium.
    pub medium: &'a Medium,
    /// The policy that cargo is verified against.
    pub policy: &'a Policy,
    /// Whether the clock is believed, so that cargo is refused for good when it has expired.
    pub is_clock_believed: bool,
    /// The gateway that made the request that is shown.
    pub asker: NodeId,
}

impl Fetch<'_> {
    /// Shows a request to a server, and stores what it gives. What came is counted in `tally`.
    ///
    /// # Errors
    /// That of `each`; within the result, how the call ended, unless with OK.
    pub fn run<E: From<Error>>(
        &self,
        client: &mut CogrpcClient,
        cca: &[u8],
        tally: &mut CollectEnd,
        each: &mut dyn FnMut(FerryEvent) -> Result<(), E>,
    ) -> Result<Result<(), Error>, E> {
        let server = client.server().clone();
        collect(client, cca, tally, &mut |octets| {
            let (receipt, event) = self.take(&octets, &server);
            each(event)?;
            Ok(receipt)
        })
    }

    fn take(&self, octets: &Bytes, server: &Server) -> (CargoReceipt, FerryEvent) {
        let by = || server.to_string();
        let cargo = match PassingMessage::verify(octets.to_vec(), &[Kind::Cargo], self.policy) {
            Ok(cargo) => cargo,
            Err(error) => return self.unusable(error, server),
        };
        if cargo.recipient != self.asker {
            let problem = format!("it gave cargo for {}, who did not ask", cargo.recipient);
            let server = by();
            let event = FerryEvent::Rejected {
                error: Error::Protocol {
                    server: server.clone(),
                    problem,
                },
                server,
            };
            return (CargoReceipt::Useless, event);
        }
        let (recipient, sender, server) = (cargo.recipient, cargo.sender, by());
        match self.store(&cargo) {
            Ok(true) => {
                let len = octets.len();
                let event = FerryEvent::Received {
                    recipient,
                    sender,
                    len,
                    server,
                };
                (CargoReceipt::Stored, event)
            }
            Ok(false) => {
                let event = FerryEvent::Repeated {
                    recipient,
                    sender,
                    server,
                };
                (CargoReceipt::Useless, event)
            }
            Err(error) => {
                let error = error.into();
                (CargoReceipt::Full, FerryEvent::Left { server, error })
            }
        }
    }

    /// What becomes of something that is not acceptable.
    fn unusable(&self, error: medium::Error, server: &Server) -> (CargoReceipt, FerryEvent) {
        let is_final = is_refused_for_good(&error, self.is_clock_believed);
        let (server, error) = (server.to_string(), error.into());
        if is_final {
            (
                CargoReceipt::Useless,
                FerryEvent::Rejected { server, error },
            )
        } else {
            (CargoReceipt::Left, FerryEvent::Left { server, error })
        }
    }

    fn store(&self, cargo: &PassingMessage) -> Result<bool, medium::Error> {
        let needed = cargo.octets().len() as u64 + OVERHEAD;
        let free = self.medium.free_space()?;
        if free < needed {
            let reserve = OVERHEAD;
            return Err(crate::spool::Error::Reserve { free, reserve }.into());
        }
        self.medium.store(cargo)
    }
}
