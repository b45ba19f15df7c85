//! A parcel goes online and on sticks at once, in every order: it arrives once, and is lost nowhere.

use std::sync::OnceLock;

use crate::online::Fault;
use crate::online::gateway::Place;
use crate::online::site::{Site, each_at_once, node_id, put};
use crate::testenv::{Env, id};

/// What happens, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// The sender's gateway submits.
    Submit,
    /// It does, and the answer is lost.
    SubmitUnheard,
    /// It exchanges with the stick.
    SenderSyncs,
    /// The hub exchanges with the stick, routes, and exchanges again.
    HubSyncs,
    /// The recipient collects.
    Collect,
    /// It does, and the connection is cut before the acknowledgement is read.
    CollectUnheard,
    /// It exchanges with the stick, and routes.
    RecipientSyncs,
}

use Deed::{Collect, CollectUnheard, HubSyncs, RecipientSyncs, SenderSyncs, Submit, SubmitUnheard};

/// A parcel from bob to the node gateway waits at mallory for the hub.
fn site() -> Site {
    static MADE: OnceLock<Env> = OnceLock::new();
    Site::copy_of(MADE.get_or_init(|| {
        let env = Env::with_gateways();
        env.introduce("bob", "gateway", &[]);
        env.write("hub/routes", format!("{} peer:gateway\n", id("gateway")));
        env.relay("sync")
            .args(["-q", "-N", "gateway", "stick", "--init"])
            .ok();
        let parcel = env.parcel_with("bob", "gateway", b"hello", &["--id", "m1"]);
        put(&env, "mallory", parcel);
        env
    }))
}

fn sync(site: &Site, node: &str) {
    let sync = site.env.relay("sync").args(["-q", "-N", node, "stick"]);
    sync.ok().quiet();
    site.env
        .relay("route")
        .args(["-q", "-N", node])
        .ok()
        .quiet();
}

fn act(site: &Site, deed: Deed) {
    let online = |node: &str| site.online(node).arg("-v").run();
    match deed {
        Submit => assert_eq!(online("mallory").status, 0),
        SubmitUnheard => {
            site.gateway.fail_next(Place::Parcels, Fault::AnswerLost);
            let status = online("mallory").status;
            assert!([0, 75].contains(&status));
            // Where nothing waited any more, nothing was lost.
            while site.gateway.faults(Place::Parcels).next().is_some() {}
        }
        SenderSyncs => sync(site, "mallory"),
        HubSyncs => {
            sync(site, "hub");
            sync(site, "hub");
        }
        Collect => {
            assert_eq!(online("gateway").status, 0);
            site.env
                .relay("route")
                .args(["-q", "-N", "gateway"])
                .ok()
                .quiet();
        }
        CollectUnheard => {
            use crate::online::collecting::{Session, Step};
            site.gateway
                .collect_next(Session::after_handshake([Step::SendMail, Step::Cut]));
            assert_eq!(online("gateway").status, 75);
            site.env
                .relay("route")
                .args(["-q", "-N", "gateway"])
                .ok()
                .quiet();
        }
        RecipientSyncs => sync(site, "gateway"),
    }
}

/// The parcels at a node, wherever in its spool.
fn parcels(site: &Site, node: &str, queue: &str) -> usize {
    let tree = site.env.tree();
    let start = format!("{node}/spool/{queue}");
    let found = tree.keys().filter(|path| path.starts_with(&start));
    found.filter(|path| path.ends_with(".parcel")).count()
}

/// Checks that the parcel is somewhere on its way or at home, at home at most once.
fn is_somewhere(site: &Site, walk: &[Deed]) {
    let home = parcels(site, "gateway", "home");
    assert!(home <= 1, "{walk:?}");
    let is_at_hub =
        !site.gateway.mailbox(node_id("gateway")).is_empty() || parcels(site, "hub", "") > 0;
    let is_on_stick = site
        .env
        .tree()
        .keys()
        .any(|path| path.starts_with("stick/") && path.contains(".cargo"));
    let is_with_sender = parcels(site, "mallory", "out") > 0;
    let is_here = parcels(site, "gateway", "") > 0;
    assert!(
        is_here || is_at_hub || is_on_stick || is_with_sender,
        "{walk:?}"
    );
}

fn walk(deeds: &[Deed]) {
    let site = site();
    for (at, deed) in deeds.iter().enumerate() {
        act(&site, *deed);
        is_somewhere(&site, &deeds[..=at]);
    }
    for deed in [
        Submit,
        SenderSyncs,
        HubSyncs,
        Collect,
        RecipientSyncs,
        HubSyncs,
        SenderSyncs,
    ] {
        act(&site, deed);
    }
    assert_eq!(parcels(&site, "gateway", "home"), 1, "{deeds:?}");
    assert_eq!(parcels(&site, "gateway", ""), 1, "{deeds:?}");
    assert_eq!(parcels(&site, "mallory", ""), 0, "{deeds:?}");
    assert!(
        site.gateway.mailbox(node_id("gateway")).is_empty(),
        "{deeds:?}"
    );
    assert_eq!(site.state("mallory", "m1").0, 0, "{deeds:?}");
    for node in ["mallory", "gateway"] {
        assert_eq!(site.queue(node, "failed"), [""; 0], "{deeds:?}");
        let check = site.env.relay("check").args(["-q", "-N", node]).run();
        // Of the files, it says that they are newer than the time of the tests.
        let mut found = check.text().lines();
        assert!(
            found.all(|it| it.contains("the clock says")),
            "{node}: {deeds:?}: {}",
            check.text()
        );
    }
}

/// Every order of these.
fn orders(deeds: &[Deed]) -> Vec<Vec<Deed>> {
    if deeds.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for at in 0..deeds.len() {
        let mut rest = deeds.to_vec();
        let first = rest.remove(at);
        all.extend(orders(&rest).into_iter().map(|mut order| {
            order.insert(0, first);
            order
        }));
    }
    all
}

/// `CI_FULL=1` walks all orders, which takes minutes.
fn walk_some(deeds: &[Deed], step: usize) {
    let step = if std::env::var_os("CI_FULL").is_some() {
        1
    } else {
        step
    };
    let orders: Vec<_> = orders(deeds).into_iter().step_by(step).collect();
    let mut chunks: [Vec<Vec<Deed>>; 2] = Default::default();
    for (at, order) in orders.into_iter().enumerate() {
        chunks[at % 2].push(order);
    }
    each_at_once(chunks, |orders| orders.iter().for_each(|it| walk(it)));
}

#[test]
fn online_and_on_a_stick_in_each_order() {
    walk_some(
        &[Submit, SenderSyncs, HubSyncs, Collect, RecipientSyncs],
        13,
    );
}

#[test]
fn with_answers_that_are_lost_in_each_order() {
    walk_some(
        &[
            SubmitUnheard,
            SenderSyncs,
            HubSyncs,
            CollectUnheard,
            RecipientSyncs,
        ],
        17,
    );
}

#[test]
fn what_was_sent_twice_is_accepted_twice() {
    walk(&[SubmitUnheard, SubmitUnheard, CollectUnheard, CollectUnheard]);
}

/// Two carriers at once: each takes what it finds, and neither is in the way of the other.
#[test]
fn a_stick_and_a_network_at_once() {
    for _ in 0..3 {
        let site = site();
        each_at_once([true, false], |is_online| {
            if is_online {
                site.online("mallory").arg("-q").output();
            } else {
                site.env
                    .relay("sync")
                    .args(["-q", "-N", "mallory", "stick"])
                    .output();
            }
        });
        is_somewhere(&site, &[]);
        for deed in [HubSyncs, Submit] {
            act(&site, deed);
        }
        each_at_once([true, false], |is_online| {
            if is_online {
                site.online("gateway").arg("-q").output();
            } else {
                site.env
                    .relay("sync")
                    .args(["-q", "-N", "gateway", "stick"])
                    .output();
            }
        });
        is_somewhere(&site, &[]);
        for deed in [Collect, RecipientSyncs, HubSyncs, SenderSyncs] {
            act(&site, deed);
        }
        assert_eq!(parcels(&site, "gateway", ""), 1);
        assert_eq!(parcels(&site, "gateway", "home"), 1);
        assert_eq!(parcels(&site, "mallory", ""), 0);
    }
}
