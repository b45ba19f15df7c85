//! What relay-online says in a run of cron(8) (`-q`): what goes on is said once a day, and with what helps.

use crate::online::collecting::{Session, Step};
use crate::online::gateway::Place;
use crate::online::site::Site;
use crate::online::{Answer, Fault};
use crate::testenv::{HUB, Ran, id};

/// Runs at so many minutes, and gives the lines on standard error.
fn runs(at: impl IntoIterator<Item = i64>, run: impl Fn(&str) -> Ran) -> Vec<Vec<String>> {
    let start: jiff::Timestamp = crate::testenv::NOW.parse().unwrap();
    let times = at.into_iter().map(|minutes| {
        let at = start + jiff::SignedDuration::from_mins(minutes);
        let stderr = run(&at.to_string()).stderr;
        stderr.lines().map(str::to_owned).collect()
    });
    times.collect()
}

const DAY: i64 = 24 * 60;

#[test]
fn that_there_is_no_resolver_is_said_once_a_day() {
    let site = Site::new();
    let quiet = |now: &str| {
        let online = site.env.relay("online").at(now);
        let args = ["-q", "-N", "gateway", "--ca", "ca.pem"];
        online.args(args).ends(78).stdout("")
    };
    let said = runs([0, 1, DAY - 1, DAY, DAY + 1], quiet);
    let counts: Vec<usize> = said.iter().map(Vec::len).collect();
    assert_eq!(counts, [2, 0, 0, 2, 0], "{said:?}");
    assert!(said[0][0].contains("there is no resolver"), "{said:?}");
    assert!(said[0][1].contains("resolver = URL"), "{said:?}");
    // Once there is one, it is used with the next run.
    let config = format!("resolver = {}\n", site.resolver.url());
    let before = site.env.text("gateway/config");
    site.env.write("gateway/config", before + &config);
    let online = site.env.relay("online").at("2026-03-02T12:02:00Z");
    let args = ["-q", "-N", "gateway", "--ca", "ca.pem"];
    online.args(args).ok().quiet();
}

#[test]
fn what_goes_on_is_said_to_somebody_who_looks_on() {
    let site = Site::new();
    for _ in 0..2 {
        let online = site.env.relay("online").args(["-N", "gateway"]);
        let ran = online.ends(78).says_somewhere("there is no resolver");
        assert_eq!(ran.hints().len(), 1, "{}", ran.stderr);
    }
    assert!(
        !site
            .env
            .path(format!("gateway/spool/out/{}", id("hub")))
            .exists()
    );
}

#[test]
fn a_command_that_cannot_be_run_is_said_once_a_day() {
    let site = Site::new();
    let config = site.env.text("gateway/config");
    let set = |command: &str| {
        let line = format!("online-when = {command}\n");
        site.env.write("gateway/config", config.clone() + &line);
    };
    set("/nowhere/is-online");
    let quiet = |now: &str| site.online("gateway").arg("-q").at(now).ends(78);
    let said = runs([0, 1, DAY], quiet);
    let counts: Vec<usize> = said.iter().map(Vec::len).collect();
    assert_eq!(counts, [1, 0, 1], "{said:?}");
    let text = "online-when: /nowhere/is-online: No such file or directory";
    assert!(said[0][0].contains(text), "{said:?}");
    // Not now.
    set("false");
    let online = |now: &str| site.online("gateway").arg("-q").at(now).ok().quiet();
    let asked = site.resolver.queries().all().len();
    online("2026-03-02T12:01:00Z");
    assert_eq!(site.resolver.queries().all().len(), asked);
    set("true");
    online("2026-03-02T12:02:00Z");
    assert!(site.resolver.queries().all().len() > asked);
    // Somebody who looks on wants it now.
    set("/nowhere/is-online");
    site.online("gateway").at("2026-03-02T12:03:00Z").ok();
}

/// What relay-status and relay-check say of the gateway.
fn said_of_it(site: &Site) -> (String, String) {
    let status = site.env.relay("status").args(["-N", "gateway"]).ok();
    let check = site.env.relay("check").args(["-N", "gateway"]).run();
    let line = |text: &str, with: &str| {
        let found = text.lines().find(|line| line.contains(with));
        found.unwrap_or_default().to_owned()
    };
    let check = line(check.text(), "nothing is exchanged");
    (line(status.text(), "server "), check)
}

#[test]
fn a_gateway_that_has_forgotten_the_node_is_named_with_the_way_back() {
    let steps = [
        Step::Nonce(16),
        Step::AnyResponse,
        Step::Close(1003, "unknown node"),
    ];
    let site = Site::new();
    site.gateway.collect_always(Session::of(steps.to_vec()));
    let quiet = |now: &str| site.online("gateway").arg("-q").at(now).ends(76);
    let said = runs([0, 5], quiet);
    let counts: Vec<usize> = said.iter().map(Vec::len).collect();
    assert_eq!(counts, [2, 0], "{said:?}");
    assert!(said[0][0].contains("closed: 1003 unknown node"), "{said:?}");
    let again = format!("relay-enroll {HUB} | relay-import");
    assert!(said[0][1].contains(&again), "{said:?}");
    let (status, check) = said_of_it(&site);
    for line in [&status, &check] {
        assert!(line.contains("1003") && line.contains(&again), "{line}");
    }
    assert!(status.contains("no success for"), "{status}");
    // It knows the node again.
    site.gateway.collect_always(Session::usual());
    site.online("gateway").ok();
    let (status, check) = said_of_it(&site);
    assert!(status.contains("reached 0s ago"), "{status}");
    assert_eq!(check, "");
}

#[test]
fn one_that_does_not_take_its_signature_is_named_alike() {
    let site = Site::new();
    let parcel = site.env.parcel("alice", "bob", b"hello");
    site.put("gateway", parcel);
    let refused = Answer::message(401, "who is that?");
    let refused = Fault::Answer(refused);
    site.gateway.fail_next(Place::Parcels, refused);
    let ran = site.online("gateway").ends(69).says_somewhere("401");
    let again = format!("relay-enroll {HUB} | relay-import");
    assert!(ran.hints()[0].contains(&again), "{}", ran.stderr);
    assert_eq!(site.waiting("gateway").len(), 1);
}
