//! relay-online submits: what becomes of parcels after each answer of a gateway.

use std::sync::OnceLock;

use jiff::SignedDuration;
use relaynet::ramf::SignedMessage;

use crate::online::gateway::{Event, Place};
use crate::online::http::http_date;
use crate::online::site::{Site, node_id, put};
use crate::online::{Answer, Fault};
use crate::testenv::{Env, NOW, id, keys_in};

/// Nodes with so many parcels from bob, m1 and so on, that wait at mallory for the hub: one or four.
fn queued(parcels: usize) -> Site {
    static ONE: OnceLock<Env> = OnceLock::new();
    static FOUR: OnceLock<Env> = OnceLock::new();
    let made = if parcels == 1 { &ONE } else { &FOUR };
    Site::copy_of(made.get_or_init(|| {
        let env = Env::with_gateways();
        for at in 1..=parcels {
            let id = format!("m{at}");
            let ttl = format!("{at}d");
            let options = ["--id", &*id, "--ttl", &*ttl];
            put(
                &env,
                "mallory",
                env.parcel_with("bob", "alice", id.as_bytes(), &options),
            );
        }
        env
    }))
}

/// What becomes of a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Accepted,
    SetAside,
    Kept,
}

fn fate(site: &Site) -> Fate {
    let failed = site.queue("mallory", "failed");
    match (site.waiting("mallory").len(), failed.len()) {
        (0, 0) => Fate::Accepted,
        (0, 2) => Fate::SetAside,
        (1, 0) => Fate::Kept,
        other => panic!("{other:?}"),
    }
}

/// How often the gateway was asked to take a parcel.
fn offers(site: &Site) -> usize {
    let answered = |it: &Event| matches!(it, Event::Answered(Place::Parcels, _));
    site.gateway.journal().count(answered)
}

#[test]
fn each_status_has_its_effect() {
    use Fate::{Accepted, Kept, SetAside};
    for (status, exit, expected) in [
        (200, 0, Accepted),
        (202, 0, Accepted),
        (300, 75, Kept),
        (301, 75, Kept),
        (302, 75, Kept),
        (307, 76, Kept),
        (400, 0, SetAside),
        (401, 69, Kept),
        (403, 0, SetAside),
        (404, 76, Kept),
        (405, 76, Kept),
        (408, 75, Kept),
        (413, 0, SetAside),
        (415, 76, Kept),
        (422, 0, SetAside),
        (425, 75, Kept),
        (429, 75, Kept),
        (500, 75, Kept),
        (502, 75, Kept),
        (503, 75, Kept),
        (507, 75, Kept),
    ] {
        let site = queued(1);
        let answer = Answer::message(status, "because\\u001b[2J");
        let answer = answer.with("Location", "https://a.example.org/");
        let faults = site.gateway.faults(Place::Parcels);
        faults.always(Some(Fault::DoneBut(answer)));
        let ran = site.online("mallory").ends(exit).stdout("");
        assert_eq!(fate(&site), expected, "{status}");
        assert_eq!(offers(&site), 1, "{status}: redirects are not followed");
        if expected == Accepted {
            ran.quiet();
        } else {
            let why = format!("{status}: ");
            ran.says_somewhere(&why).says_somewhere("because");
        }
        let (code, word) = match expected {
            Accepted => (0, "accepted"),
            SetAside => (67, "failed"),
            Kept => (75, "out"),
        };
        assert_eq!(
            site.state("mallory", "m1"),
            (code, word.to_owned()),
            "{status}"
        );
        if expected == SetAside {
            let failed = site.queue("mallory", "failed");
            let why = failed
                .iter()
                .find(|name| !name.ends_with("parcel"))
                .unwrap();
            let why = site.env.text(format!("mallory/spool/failed/{why}"));
            assert!(
                why.contains(&status.to_string()) && why.contains("poweb.hub.example.org"),
                "{why}"
            );
            assert!(!why.contains('\u{1b}'), "{why}");
        }
    }
}

#[test]
fn a_pause_that_the_gateway_asks_for_is_made() {
    let now: jiff::Timestamp = NOW.parse().unwrap();
    let date = http_date(now + SignedDuration::from_secs(120));
    for (value, next) in [
        ("120", "2026-03-01T12:02:00Z"),
        (&*date, "2026-03-01T12:02:00Z"),
        ("999999999999", "2026-03-01T13:00:00Z"),
        ("soon", "2026-03-01T12:01:00Z"),
    ] {
        let site = queued(4);
        // What it holds is collected although it takes nothing.
        site.gateway.post(node_id("mallory"), b"junk".to_vec());
        let answer = Answer::message(503, "busy").with("Retry-After", value);
        site.gateway
            .faults(Place::Parcels)
            .always(Some(Fault::Answer(answer)));
        site.online("mallory").ends(75).says_somewhere("503: ");
        assert_eq!(site.waiting("mallory").len(), 4);
        assert!(
            site.gateway.mailbox(node_id("mallory")).is_empty(),
            "{value}"
        );
        assert_eq!(site.host("mallory")["next_try"], next, "{value}");

        // Before that time only those who look on try.
        let before = site.gateway.journal().all().len();
        let quiet = site.online("mallory").arg("-q").at("2026-03-01T12:00:30Z");
        quiet.ends(75).quiet().stdout("").changes(&[]);
        assert_eq!(site.gateway.journal().all().len(), before);
        site.gateway.faults(Place::Parcels).always(None);
        let at = if next.contains("13:00") {
            "2026-03-01T13:00:00Z"
        } else {
            "2026-03-01T12:02:00Z"
        };
        if value == "120" {
            site.online("mallory")
                .at("2026-03-01T12:00:30Z")
                .ok()
                .quiet();
        } else {
            site.online("mallory").arg("-q").at(at).ok().quiet();
        }
        assert_eq!(site.waiting("mallory"), [""; 0]);
        assert!(site.host("mallory")["next_try"].is_null());
    }
}

#[test]
fn a_parcel_whose_answer_is_lost_is_offered_again_and_arrives_once() {
    let step = if std::env::var_os("CI_FULL").is_some() {
        1
    } else {
        17
    };
    let site = queued(1);
    let whole = 200;
    let mut is_accepted = false;
    for fault in [
        Fault::AnswerLost,
        Fault::CutInRequest(0),
        Fault::CutInRequest(700),
    ]
    .into_iter()
    .chain((0..whole).step_by(step).map(Fault::CutInAnswer))
    {
        let site = queued(1);
        let is_stored = !matches!(fault, Fault::CutInRequest(_));
        site.gateway.fail_next(Place::Parcels, fault.clone());
        let ran = site.online("mallory").run();
        // Once the head is there, the parcel is accepted.
        let is_done = ran.status == 0;
        assert!(is_done || ran.status == 75, "{fault:?}: {}", ran.stderr);
        assert!(!is_accepted || is_done, "{fault:?}: {}", ran.stderr);
        is_accepted |= is_done;
        assert_eq!(
            fate(&site),
            if is_done { Fate::Accepted } else { Fate::Kept },
            "{fault:?}"
        );
        assert_eq!(
            site.gateway.stored().len(),
            usize::from(is_stored),
            "{fault:?}"
        );
        if !is_done {
            site.online("mallory").ok().quiet();
            assert_eq!(site.gateway.stored().len(), 1 + usize::from(is_stored));
        }
        assert_eq!(fate(&site), Fate::Accepted);
        assert_eq!(
            site.gateway.mailbox(node_id("gateway")).len(),
            1,
            "{fault:?}"
        );
        assert_eq!(site.state("mallory", "m1"), (0, "accepted".to_owned()));
        if is_done {
            break;
        }
    }
    drop(site);
    assert!(is_accepted, "the head is shorter than {whole}");
}

#[test]
fn a_bad_parcel_holds_up_no_other() {
    for (status, exit, kept, set_aside) in [(500, 75, 1, 0), (422, 0, 0, 2)] {
        for bad in 0..4 {
            let site = queued(4);
            let faults = site.gateway.faults(Place::Parcels);
            for _ in 0..bad {
                faults.add(None);
            }
            faults.add(Some(Fault::Answer(Answer::new(status))));
            let ran = site.online("mallory").ends(exit);
            assert_eq!(ran.diagnostics().len(), 1, "{}", ran.stderr);
            assert_eq!(site.gateway.stored().len(), 3, "{status} for {bad}");
            assert_eq!(site.waiting("mallory").len(), kept);
            assert_eq!(site.queue("mallory", "failed").len(), set_aside);
            // The gateway is well: it is tried again by the next run, which is silent.
            assert!(site.host("mallory")["next_try"].is_null());
            site.online("mallory").arg("-q").ok().quiet().stdout("");
            assert_eq!(site.gateway.stored().len(), 3 + kept);
            assert_eq!(site.waiting("mallory"), [""; 0]);
        }
    }
}

#[test]
fn three_failures_in_a_row_end_the_run() {
    let site = queued(4);
    let faults = site.gateway.faults(Place::Parcels);
    for status in [500, 502, 422, 500, 503, 504] {
        faults.add(Some(Fault::Answer(Answer::new(status))));
    }
    // The third parcel is refused for good, so the first run offers all; of the second one, none is left.
    site.online("mallory").ends(75);
    assert_eq!(offers(&site), 0, "none was looked at");
    assert_eq!(
        (
            site.waiting("mallory").len(),
            site.queue("mallory", "failed").len()
        ),
        (3, 2)
    );
    assert!(site.host("mallory")["next_try"].is_null());
    faults.always(Some(Fault::Answer(Answer::new(500))));
    let ran = site.online("mallory").ends(75);
    assert_eq!(ran.diagnostics().len(), 3, "{}", ran.stderr);
    assert_eq!(site.host("mallory")["next_try"], "2026-03-01T12:01:00Z");
    faults.always(None);
    site.online("mallory").ok().quiet();
    assert_eq!(
        (site.gateway.stored().len(), site.waiting("mallory").len()),
        (3, 0)
    );
}

#[test]
fn the_most_urgent_goes_first_and_what_waits_for_another_carrier_stays() {
    let site = queued(4);
    site.online("mallory").ok().quiet();
    let contents = site.gateway.mailbox(node_id("gateway"));
    assert_eq!(contents.len(), 4);
    for (at, parcel) in contents.into_iter().enumerate() {
        let id = SignedMessage::parse(parcel).unwrap().fields().id.clone();
        assert_eq!(id, format!("m{}", at + 1), "the one that expires first");
    }
    let site = queued(4);
    let config = site.env.text("mallory/config");
    site.env
        .write("mallory/config", format!("{config}online-max-size = 100\n"));
    site.online("mallory").ok().quiet();
    assert_eq!(site.waiting("mallory").len(), 4);
    site.env
        .write("mallory/config", format!("{config}online-max-size = 1M\n"));
    site.online("mallory").ok().quiet();
    assert_eq!(site.waiting("mallory").len(), 0);
    // What has expired is not offered.
    let site = queued(4);
    site.online("mallory").at("2026-03-03T13:00:00Z").run();
    assert_eq!(
        (site.waiting("mallory").len(), site.gateway.stored().len()),
        (2, 2)
    );
}

#[test]
fn a_dry_run_connects_to_no_gateway_and_changes_nothing() {
    let site = queued(1);
    let port = site.gateway.port();
    let plan = format!(
        "{}\thub.example.org\tpoweb.hub.example.org\t{port}\tpublic\tresolver\n",
        id("hub")
    );
    site.online("mallory")
        .arg("-n")
        .ok()
        .quiet()
        .stdout(plan)
        .changes(&[]);
    let ran = site.online("mallory").args(["-n", "--json"]).ok().quiet();
    let line = &ran.json()[0];
    assert_eq!(
        keys_in(line),
        [
            "v",
            "gateway",
            "address",
            "host",
            "port",
            "certificate",
            "from"
        ]
    );
    assert_eq!(
        (&line["port"], &line["from"]),
        (&port.into(), &"resolver".into())
    );
    assert_eq!(site.gateway.listener().accepted(), 0);
    assert_eq!(site.waiting("mallory").len(), 1);
}

#[test]
fn json_has_a_line_for_each_event_and_one_at_the_end() {
    let site = queued(4);
    let faults = site.gateway.faults(Place::Parcels);
    faults.add(Some(Fault::Answer(Answer::message(422, "no"))));
    faults.add(Some(Fault::Answer(Answer::message(500, "no"))));
    site.gateway.post(node_id("mallory"), b"junk".to_vec());
    let ran = site.online("mallory").args(["-q", "--json"]).ends(75);
    let lines = ran.json();
    let events: Vec<&str> = lines
        .iter()
        .map(|it| it["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        events,
        [
            "refused", "kept", "accepted", "accepted", "rejected", "summary"
        ]
    );
    assert_eq!(
        keys_in(&lines[0]),
        [
            "v",
            "event",
            "gateway",
            "recipient",
            "sender",
            "id",
            "size",
            "error"
        ]
    );
    assert_eq!(
        (&lines[0]["id"], &lines[0]["gateway"]),
        (&"m1".into(), &"hub".into())
    );
    assert!(
        lines[0]["error"].as_str().unwrap().ends_with("422: no"),
        "{}",
        lines[0]
    );
    assert_eq!(lines[2]["id"], "m3");
    let summary = &lines[5];
    for (key, count) in [
        ("accepted", 2),
        ("refused", 1),
        ("kept", 1),
        ("rejected", 1),
        ("collected", 0),
    ] {
        assert_eq!(summary[key], count, "{summary}");
    }
}
