//! What relay-online says in a run of cron(8) (`-q`): what goes on is said once a day, and with what helps.

use crate::online::site::Site;
use crate::testenv::{Ran, id};

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
