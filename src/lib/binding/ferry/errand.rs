//! A medium without a node: its cargo goes to the Internet gateways that it is for, and cargo for those who request it
//! comes back.
//!
//! The order of effects: a cargo leaves the medium when a server that showed who it is has acknowledged it, and a request
//! when such a server has no more for it, or says without a word that it was used before; one that no cargo came for stays
//! for an hour. A crash in between delivers a cargo twice, which its recipient notices.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::FerryEvent;
use super::fetch::{Fetch, is_young};
use crate::binding::address::Service;
use crate::binding::cogrpc::{CogrpcClient, CollectEnd, DeliverySource, deliver};
use crate::binding::{CertificateRule, Error, GrpcCode, Network, PeerPlace, Server, walk};
use crate::medium::{Medium, MediumFile, PassingMessage, WaitingCargo};
use crate::node::Directory;
use crate::ramf::Kind;
use crate::verify::Policy;

/// A medium that is taken to servers.
pub struct Errand<'a> {
    /// The medium.
    pub medium: &'a Medium,
    /// The way to servers.
    pub network: &'a Network,
    /// A node whose operator named hosts.
    pub node: Option<&'a Directory>,
    /// The only server, where the user named one: then nothing leaves the medium.
    pub target: Option<FerryTarget>,
    /// The policy of a courier.
    pub policy: Policy,
    /// The pause after something was delivered, before cargo is collected.
    pub pause: Duration,
    /// The time of the run.
    pub now: Timestamp,
}

/// A server that the user named.
#[derive(Debug, Clone)]
pub struct FerryTarget {
    /// As the user named it.
    pub name: String,
    /// The servers, in the order in which they are tried.
    pub servers: Vec<Server>,
}

/// Where the servers of a stop are.
#[derive(Debug, Clone)]
enum StopPlace {
    Peer(PeerPlace),
    Target(FerryTarget),
}

/// A place that messages of the medium go to.
pub struct Stop {
    /// The Internet address, or the server that somebody named.
    pub address: String,
    place: StopPlace,
    cargo: Vec<WaitingCargo>,
    requests: Vec<WaitingCargo>,
}

impl Stop {
    /// How many messages of the medium go there.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.cargo.len() + self.requests.len()
    }

    /// Who named it, where the operator or a message did.
    #[must_use]
    pub fn peer_place(&self) -> Option<&PeerPlace> {
        match &self.place {
            StopPlace::Peer(place) => Some(place),
            StopPlace::Target(_) => None,
        }
    }
}

impl Errand<'_> {
    /// The stops of the errand. Files that cannot be sent are reported.
    ///
    /// # Errors
    /// When the medium or the node cannot be read, or `each` failed.
    pub fn stops<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(FerryEvent) -> Result<(), E>,
    ) -> Result<Vec<Stop>, E> {
        let mut stops: BTreeMap<String, Stop> = BTreeMap::new();
        for kind in [Kind::Cca, Kind::Cargo] {
            let recipients = self.medium.recipients(kind).map_err(Error::from)?.0;
            for recipient in recipients {
                let mut unsent = Vec::new();
                let waiting =
                    self.medium
                        .waiting(kind, recipient, &self.policy, &mut |file, error| {
                            unsent.push(FerryEvent::Unsent {
                                file,
                                error: error.into(),
                            });
                        });
                unsent.into_iter().try_for_each(&mut *each)?;
                for message in waiting.map_err(Error::from)? {
                    let Some(place) = self.place_of(&message).map_err(Error::from)? else {
                        continue; // it goes to a gateway without an Internet address
                    };
                    let address = match &place {
                        StopPlace::Peer(place) => place.to_string(),
                        StopPlace::Target(target) => target.name.clone(),
                    };
                    let stop = stops.entry(address.clone()).or_insert_with(|| Stop {
                        address,
                        place,
                        cargo: Vec::new(),
                        requests: Vec::new(),
                    });
                    match kind {
                        Kind::Cca => stop.requests.push(message),
                        _ => stop.cargo.push(message),
                    }
                }
            }
        }
        let mut stops: Vec<Stop> = stops.into_values().collect();
        for stop in &mut stops {
            stop.cargo.sort_by_key(|it| (it.expiry, it.file.sha256));
        }
        Ok(stops)
    }

    fn place_of(&self, message: &WaitingCargo) -> Result<Option<StopPlace>, crate::node::Error> {
        if let Some(target) = &self.target {
            return Ok(Some(StopPlace::Target(target.clone())));
        }
        let address = message.address.clone().filter(|it| !it.is_nowhere());
        let place = match self.node {
            Some(node) => PeerPlace::of(node, message.file.recipient, address)?,
            None => address.map(PeerPlace::Address),
        };
        Ok(place.map(StopPlace::Peer))
    }

    /// The servers of a stop, in the order in which they are tried.
    ///
    /// # Errors
    /// As [`Network::find_at`].
    pub fn servers(&self, stop: &Stop) -> Result<Vec<Server>, Error> {
        match &stop.place {
            StopPlace::Target(target) => Ok(target.servers.clone()),
            StopPlace::Peer(place) => {
                self.network
                    .find_at(Service::CargoRelay, place, None, self.now)
            }
        }
    }

    /// Delivers to each stop, waits, and collects from each. A stop that is not reached keeps nothing from the others.
    ///
    /// # Errors
    /// When the medium cannot be read or changed, or `each` failed.
    pub fn run<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(FerryEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        self.medium.settle().map_err(Error::from)?;
        let stops = self.stops(each)?;
        let mut delivered = 0;
        let mut reached = Vec::new();
        for stop in stops {
            let messages = stop.messages();
            let client = match self.connect(&stop) {
                Ok(client) => client,
                Err(error) => {
                    each(FerryEvent::Unreached {
                        address: stop.address,
                        messages,
                        error,
                    })?;
                    continue;
                }
            };
            if let Some(asking) = self.deliver(stop, client, &mut delivered, each)? {
                reached.push(asking);
            }
        }
        if delivered > 0 && reached.iter().any(|it| !it.requests.is_empty()) {
            std::thread::sleep(self.pause);
        }
        for asking in reached {
            self.collect(asking, each)?;
        }
        Ok(())
    }

    fn connect(&self, stop: &Stop) -> Result<CogrpcClient, Error> {
        let servers = self.servers(stop)?;
        walk::first_reached(&servers, &stop.address, |server| {
            let connector = self.network.connector(server, self.now);
            Ok::<_, Error>(connector.and_then(CogrpcClient::connect))
        })?
    }

    /// Whether messages leave the medium because this server says that it has them: not where the user named it, nor
    /// where it may be anybody.
    fn is_trusted(&self, server: &Server) -> bool {
        let is_known = match server.certificate {
            CertificateRule::Public | CertificateRule::Pin(_) => true,
            CertificateRule::SelfSigned | CertificateRule::Plaintext => false,
        };
        is_known && self.target.is_none()
    }

    /// Delivers to a stop. What is still to be done there, unless it is not well.
    fn deliver<E: From<Error>>(
        &self,
        stop: Stop,
        mut client: CogrpcClient,
        delivered: &mut usize,
        each: &mut dyn FnMut(FerryEvent) -> Result<(), E>,
    ) -> Result<Option<Asking>, E> {
        let cargoes = stop.cargo.len();
        let mut load = CargoLoad {
            medium: self.medium,
            is_removed: self.is_trusted(client.server()),
            server: client.server().to_string(),
            settled: 0,
            acknowledged: 0,
            each,
        };
        let files = stop.cargo.into_iter().map(|it| it.file).collect();
        let ended = deliver(&mut client, files, &mut load)?;
        let (settled, acknowledged) = (load.settled, load.acknowledged);
        *delivered += acknowledged;
        client.rest();
        match ended {
            Ok(()) => Ok(Some(Asking {
                address: stop.address,
                requests: stop.requests,
                client,
            })),
            Err(error) => {
                let messages = cargoes.saturating_sub(settled) + stop.requests.len();
                each(FerryEvent::Unreached {
                    address: stop.address,
                    messages,
                    error,
                })?;
                Ok(None)
            }
        }
    }

    fn is_young(&self, request: Vec<u8>) -> bool {
        let request = PassingMessage::verify(request, &[Kind::Cca], &self.policy);
        request.is_ok_and(|it| is_young(&it, self.now))
    }

    /// Collects what a stop has, with one request after another.
    fn collect<E: From<Error>>(
        &self,
        asking: Asking,
        each: &mut dyn FnMut(FerryEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        let Asking {
            address,
            requests,
            mut client,
        } = asking;
        let (mut left, mut failed) = (requests.len(), None);
        for request in requests {
            let Some(octets) = request.file.read().map_err(Error::from)? else {
                left -= 1;
                continue;
            };
            let fetch = Fetch {
                medium: self.medium,
                policy: &self.policy,
                // Nothing here vouches for the clock.
                is_clock_believed: false,
                asker: request.file.sender,
            };
            let mut tally = CollectEnd::default();
            let ended = fetch.run(&mut client, &octets, &mut tally, each)?;
            let is_used = is_used(&ended);
            match ended {
                Ok(()) => {}
                Err(_) if is_used => {}
                Err(error) => {
                    let goes_on = matches!(error, Error::Grpc { .. });
                    failed = failed.or(Some(error));
                    if goes_on {
                        continue;
                    }
                    break;
                }
            }
            // The request stays for what was not acknowledged.
            if tally.left > 0 {
                continue;
            }
            left -= 1;
            let stays = !is_used && tally.stored + tally.useless == 0 && self.is_young(octets);
            if self.is_trusted(client.server()) && !stays {
                self.medium.remove(&request.file).map_err(Error::from)?;
            }
            each(FerryEvent::Asked {
                file: request.file,
                cargoes: tally.stored,
                server: client.server().to_string(),
            })?;
        }
        match failed {
            None => each(FerryEvent::Reached { address }),
            Some(error) => each(FerryEvent::Unreached {
                address,
                messages: left,
                error,
            }),
        }
    }
}

/// Whether a server says without a word that a request was used before. With words, deployed gateways say the same of
/// requests that they could still accept.
pub(super) fn is_used(ended: &Result<(), Error>) -> bool {
    matches!(
        ended,
        Err(Error::Grpc {
            code: GrpcCode::PermissionDenied,
            text: None,
            ..
        })
    )
}

/// A stop where cargo is to be collected.
struct Asking {
    address: String,
    requests: Vec<WaitingCargo>,
    client: CogrpcClient,
}

/// The cargo for a stop.
struct CargoLoad<'a, E> {
    medium: &'a Medium,
    is_removed: bool,
    server: String,
    /// How many were acknowledged or refused, or are gone.
    settled: usize,
    acknowledged: usize,
    each: &'a mut dyn FnMut(FerryEvent) -> Result<(), E>,
}

impl<E: From<Error>> DeliverySource for CargoLoad<'_, E> {
    type Cargo = MediumFile;
    type Failure = E;

    fn len(&self, cargo: &MediumFile) -> u64 {
        cargo.len
    }

    fn read(&mut self, cargo: &MediumFile) -> Result<Option<Bytes>, E> {
        match cargo.read() {
            Ok(Some(octets)) => return Ok(Some(octets.into())),
            Ok(None) => {}
            Err(error) => (self.each)(FerryEvent::Unsent {
                file: cargo.clone(),
                error: error.into(),
            })?,
        }
        self.settled += 1;
        Ok(None)
    }

    fn acknowledged(&mut self, cargo: MediumFile) -> Result<(), E> {
        if self.is_removed {
            self.medium.remove(&cargo).map_err(Error::from)?;
        }
        self.settled += 1;
        self.acknowledged += 1;
        (self.each)(FerryEvent::Delivered {
            file: cargo,
            server: self.server.clone(),
        })
    }

    fn refused(&mut self, cargo: MediumFile, error: Error) -> Result<(), E> {
        self.settled += 1;
        (self.each)(FerryEvent::Refused { file: cargo, error })
    }
}
