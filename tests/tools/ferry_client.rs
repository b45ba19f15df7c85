//! The client of CogRPC against servers that do not answer. Everything is on loopback.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use relaynet::binding::cogrpc::{
    CargoReceipt, CogrpcClient, CollectEnd, DeliverySource, collect, deliver,
};
use relaynet::binding::connect::{ConnectOptions, Connector};
use relaynet::binding::{Cutoff, Error, Server};

use crate::online::authority::{LIFE, Leaf};
use crate::online::{CargoRelay, Collects, Delivers};

fn courier() -> CargoRelay {
    CargoRelay::start(&Leaf::self_signed(&["127.0.0.1"], LIFE))
}

/// A client with a short time of silence.
fn client(courier: &CargoRelay, cutoff: &Cutoff) -> CogrpcClient {
    let server = Server::named_by_operator(&courier.address(), None).unwrap();
    let options = ConnectOptions {
        silence: Duration::from_millis(400),
        rate: 1_000_000_000,
        cutoff: cutoff.clone(),
        ..ConnectOptions::new(Timestamp::now())
    };
    CogrpcClient::connect(Connector::new(server, &[], &options).unwrap()).unwrap()
}

/// Cargoes of so many octets.
struct Load {
    len: usize,
    acknowledged: Vec<usize>,
    refused: usize,
}

impl DeliverySource for Load {
    type Cargo = usize;
    type Failure = Error;

    fn len(&self, _cargo: &usize) -> u64 {
        self.len as u64
    }

    fn read(&mut self, _cargo: &usize) -> Result<Option<Bytes>, Error> {
        Ok(Some(vec![7; self.len].into()))
    }

    fn acknowledged(&mut self, cargo: usize) -> Result<(), Error> {
        self.acknowledged.push(cargo);
        Ok(())
    }

    fn refused(&mut self, _cargo: usize, _error: Error) -> Result<(), Error> {
        self.refused += 1;
        Ok(())
    }
}

fn load(len: usize) -> Load {
    Load {
        len,
        acknowledged: Vec::new(),
        refused: 0,
    }
}

#[test]
fn a_silent_server_is_given_up() {
    let courier = courier();
    courier.delivers(Delivers::Silent);
    let mut client = client(&courier, &Cutoff::default());
    // What fits into its window is sent, and what does not is not waited for.
    for len in [100, 200_000] {
        let mut load = load(len);
        let ended = deliver(&mut client, vec![1, 2], &mut load).unwrap();
        let error = ended.unwrap_err();
        assert!(
            matches!(error, Error::Silent { .. } | Error::Slow { .. }),
            "{error}"
        );
        assert!(load.acknowledged.is_empty() && load.refused == 0);
    }
    // One that sends an octet now and then is too slow.
    for collects in [Collects::TooLong(9_000_000), Collects::Trickles] {
        courier.collects(collects);
        let mut tally = CollectEnd::default();
        let ended = collect::<Error>(&mut client, b"cca", &mut tally, &mut |_| {
            Ok(CargoReceipt::Stored)
        });
        let error = ended.unwrap().unwrap_err();
        assert!(
            matches!(error, Error::Silent { .. } | Error::Slow { .. }),
            "{error}"
        );
        assert_eq!(tally, CollectEnd::default());
    }
    // The server is well again, and the client connects anew.
    courier.delivers(Delivers::Acknowledges);
    let mut load = load(100_000);
    deliver(&mut client, (0..9).collect(), &mut load)
        .unwrap()
        .unwrap();
    load.acknowledged.sort_unstable();
    assert_eq!(load.acknowledged, (0..9).collect::<Vec<_>>());
}

#[test]
fn a_run_that_is_to_end_waits_for_nothing() {
    let courier = courier();
    courier.delivers(Delivers::Silent);
    let cutoff = Cutoff::default();
    let mut client = client(&courier, &cutoff);
    cutoff.cut();
    let ended = deliver(&mut client, vec![1], &mut load(10)).unwrap();
    let error = ended.unwrap_err();
    assert!(error.to_string().contains("the run ends"), "{error}");
}

#[test]
fn cargo_that_is_left_or_does_not_fit_is_not_acknowledged() {
    let courier = courier();
    courier.gives(&[b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    let mut client = client(&courier, &Cutoff::default());
    for (receipts, expected) in [
        ([CargoReceipt::Stored; 3], (3, 0, 0, 3)),
        (
            [
                CargoReceipt::Stored,
                CargoReceipt::Left,
                CargoReceipt::Useless,
            ],
            (1, 1, 1, 2),
        ),
        (
            [
                CargoReceipt::Stored,
                CargoReceipt::Full,
                CargoReceipt::Stored,
            ],
            (1, 0, 1, 1),
        ),
    ] {
        let mut tally = CollectEnd::default();
        let mut receipts = receipts.into_iter();
        let ended = collect::<Error>(&mut client, b"cca", &mut tally, &mut |_| {
            Ok(receipts.next().unwrap())
        });
        ended.unwrap().unwrap();
        let CollectEnd {
            stored,
            useless,
            left,
        } = tally;
        let (stored_expected, useless_expected, left_expected, acknowledged) = expected;
        assert_eq!(
            (stored, useless, left),
            (stored_expected, useless_expected, left_expected)
        );
        // The last acknowledgement may still be under way when the client ends the call.
        client.rest();
        let seen = courier.seen();
        assert!(seen.acknowledged <= acknowledged, "{}", seen.acknowledged);
        assert_eq!(seen.ccas, [b"cca".to_vec()]);
    }
}
