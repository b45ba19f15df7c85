//! A node at a courier: its requests are shown and its cargo is delivered, from the medium within its spool.
//!
//! Nobody knows whose machine the courier is. So what it acknowledged is only noted, with the digest of its certificate:
//! it is not given the same again for a while, and everything still goes in other ways.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use jiff::SignedDuration;

use super::FerryEvent;
use super::errand::is_used;
use super::fetch::{Fetch, is_young};
use crate::binding::Error;
use crate::binding::cogrpc::{CogrpcClient, CollectEnd, DeliverySource, deliver};
use crate::medium::{Medium, MediumFile, PassingMessage};
use crate::node::certificates;
use crate::pki::NodeId;
use crate::ramf::Kind;
use crate::spool::carried::{Carried, Given, Record, goes_to};
use crate::spool::{Spool, Time};
use crate::verify::Policy;

/// The pause after cargo came, as stock gateways make it: a courier needs time to note what was acknowledged.
pub const VISIT_PAUSE: Duration = Duration::from_secs(5);

/// How long the same courier is not given the same cargo, unless the config says otherwise.
const RESEND_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A node at a courier.
pub struct Visit<'a> {
    /// The spool of the node.
    pub spool: &'a Spool,
    /// The medium within it.
    pub medium: &'a Medium,
    /// The policy of the node.
    pub policy: &'a Policy,
    /// The time, with the verdict on it.
    pub time: Time,
    /// Next hops that are reached in another way now.
    pub others: &'a BTreeSet<NodeId>,
}

impl Visit<'_> {
    /// Shows the requests of the node, and stores what comes. Returns how many cargoes were stored.
    ///
    /// # Errors
    /// When the spool or the medium cannot be read or changed, or `each` failed; within the result, how a call ended that
    /// did not end well.
    pub fn collect<E: From<Error>>(
        &self,
        client: &mut CogrpcClient,
        each: &mut dyn FnMut(FerryEvent) -> Result<(), E>,
    ) -> Result<(usize, Result<(), Error>), E> {
        let mut stored = 0;
        let requests = self.requests()?;
        for (file, request) in requests {
            let fetch = Fetch {
                medium: self.medium,
                policy: self.policy,
                // A courier says no time that could be compared with this clock.
                is_clock_believed: false,
                asker: self.spool.owner().id(),
            };
            let mut tally = CollectEnd::default();
            let ended = fetch.run(client, request.octets(), &mut tally, each)?;
            stored += tally.stored;
            // A courier may have shown it to the gateway already, which takes each once.
            if tally.stored > 0 || is_used(&ended) || !is_young(&request, self.time.told) {
                self.medium.remove(&file).map_err(Error::from)?;
            }
            match ended {
                Ok(()) => {}
                Err(_) if is_used(&ended) => {}
                Err(error) => return Ok((stored, Err(error))),
            }
            each(FerryEvent::Asked {
                file,
                cargoes: tally.stored,
                server: client.server().to_string(),
            })?;
        }
        Ok((stored, Ok(())))
    }

    /// The requests of the node that are on the medium.
    fn requests(&self) -> Result<Vec<(MediumFile, PassingMessage)>, Error> {
        let owner = self.spool.owner();
        let mut requests = Vec::new();
        for gateway in certificates::issuers(owner)? {
            if self.others.contains(&gateway) {
                continue;
            }
            let mut files = self.medium.files_for(Kind::Cca, gateway)?;
            while let Some(file) = files.next_message()? {
                // What others left here, or what has ended, the next export replaces.
                if file.sender == owner.id()
                    && let Some(octets) = file.read()?
                    && let Ok(request) = PassingMessage::verify(octets, &[Kind::Cca], self.policy)
                {
                    requests.push((file, request));
                }
            }
        }
        Ok(requests)
    }

    /// Delivers the cargo of the node that this courier is not to be spared.
    ///
    /// # Errors
    /// When the spool or the medium cannot be read or changed, or `each` failed; within the result, why not everything
    /// was acknowledged or refused.
    pub fn deliver<E: From<Error>>(
        &self,
        client: &mut CogrpcClient,
        each: &mut dyn FnMut(FerryEvent) -> Result<(), E>,
    ) -> Result<Result<(), Error>, E> {
        let carried = self.spool.carried(self.medium.id()).map_err(Error::from)?;
        let certificate = client.certificate().unwrap_or_default();
        let cargo = self.cargo(&carried, &certificate)?;
        let mut load = VisitLoad {
            carried: &carried,
            given: Given {
                date: self.time.told,
                certificate,
            },
            server: client.server().to_string(),
            each,
        };
        deliver(client, cargo, &mut load)
    }

    /// The cargo for a courier, what expires first first.
    fn cargo(
        &self,
        carried: &Carried,
        certificate: &[u8; 32],
    ) -> Result<Vec<(Record, MediumFile)>, Error> {
        let owner = self.spool.owner();
        let resend_after = owner.config().resend_after().unwrap_or(RESEND_AFTER);
        let mut cargo = Vec::new();
        for record in carried.records()? {
            let given = carried.given(&record);
            let is_due = goes_to(&given, certificate, self.time.told, resend_after);
            // What has consequences that are not complete waits for the next export.
            if !is_due || !record.is_settled || self.others.contains(&record.hop) {
                continue;
            }
            // Its next hop took it over the network by itself.
            if self.medium.mark_of(record.hop, &record.cargo)?.is_some() {
                continue;
            }
            let ends = (record.hop, owner.id());
            let Some(file) = self.medium.find(Kind::Cargo, ends, record.cargo)? else {
                continue;
            };
            let load = carried.read(&record)?;
            let expiry = load.map_or(self.time.told, |load| load.expiry);
            cargo.push((expiry, record, file));
        }
        cargo.sort_by_key(|(expiry, record, _)| (*expiry, record.cargo));
        let cargo = cargo.into_iter();
        Ok(cargo.map(|(_, record, file)| (record, file)).collect())
    }
}

/// The cargo for a courier.
struct VisitLoad<'a, E> {
    carried: &'a Carried,
    given: Given,
    server: String,
    each: &'a mut dyn FnMut(FerryEvent) -> Result<(), E>,
}

impl<E: From<Error>> DeliverySource for VisitLoad<'_, E> {
    type Cargo = (Record, MediumFile);
    type Failure = E;

    fn len(&self, (_, file): &(Record, MediumFile)) -> u64 {
        file.len
    }

    fn read(&mut self, (_, file): &(Record, MediumFile)) -> Result<Option<Bytes>, E> {
        match file.read() {
            Ok(octets) => Ok(octets.map(Bytes::from)),
            Err(error) => {
                let (file, error) = (file.clone(), error.into());
                (self.each)(FerryEvent::Unsent { file, error })?;
                Ok(None)
            }
        }
    }

    fn acknowledged(&mut self, (record, file): (Record, MediumFile)) -> Result<(), E> {
        let noted = self.carried.note_given(&record, self.given);
        noted.map_err(Error::from)?;
        let server = self.server.clone();
        (self.each)(FerryEvent::Delivered { file, server })
    }

    fn refused(&mut self, (_, file): (Record, MediumFile), error: Error) -> Result<(), E> {
        (self.each)(FerryEvent::Refused { file, error })
    }
}
