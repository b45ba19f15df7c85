//! relay-status: the numbers of a node, in four forms.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use relaynet::disk::Lock;
use relaynet::node::Directory;
use relaynet::pki::NodeId;
use relaynet::spool::Spool;
use relaynet::spool::hosts::{HostFailure, HostState};

use crate::testenv::{Call, Env, HUB, NOW, User, id, keys_in};

fn status<'a>(env: &'a Env, node: &str) -> Call<'a> {
    env.relay("status").args(["-N", node])
}

/// Puts a parcel of bob's for alice into the gateway's queue `in`.
fn put(env: &Env, message_id: &str) {
    let parcel = env.parcel_with("bob", "alice", b"x", &["--id", message_id, "--ttl", "10d"]);
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
}

/// Sets when the files of a queue were stored, to so many hours before the programs' time.
fn age(env: &Env, queue: &str, hours: i64) {
    let now: jiff::Timestamp = NOW.parse().unwrap();
    let at = SystemTime::from(now - jiff::SignedDuration::from_hours(hours));
    for name in env.names(queue) {
        let file = fs::File::open(env.path(queue).join(name)).unwrap();
        file.set_modified(at).unwrap();
    }
}

/// A gateway with two messages for the hub and one for alice, a day and some hours old, and one that
/// was set aside.
fn busy() -> Env {
    let env = Env::with_gateways();
    for message in ["m1", "m2"] {
        put(&env, message);
    }
    env.write("gateway/routes", "* peer:hub\n");
    env.relay("route").args(["-N", "gateway"]).ok();
    put(&env, "m3");
    age(&env, &format!("gateway/spool/out/{}", id("hub")), 28);
    age(&env, "gateway/spool/in", 1);
    put(&env, "m4");
    let aside = newest_of(&env);
    env.mkdir("gateway/spool/failed");
    let failed = env.path("gateway/spool/failed").join(&aside);
    fs::rename(env.path("gateway/spool/in").join(&aside), failed).unwrap();
    env
}

/// The one file in the gateway's `in` that is not an hour old by the programs' time.
fn newest_of(env: &Env) -> String {
    let dir = env.path("gateway/spool/in");
    let modified = |name: &String| fs::metadata(dir.join(name)).unwrap().modified().unwrap();
    let names = env.names("gateway/spool/in");
    names.into_iter().max_by_key(modified).unwrap()
}

/// A text without the numbers that depend on the disk.
fn without_disk(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("disk"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn an_empty_node_has_numbers_too() {
    let env = Env::with_gateways();
    let ran = status(&env, "alice").ok().quiet().changes(&[]);
    assert_eq!(without_disk(ran.text()), "in       0\nfailed   0\n");
    assert!(ran.text().contains(" free\n"), "{}", ran.text());
    let facts = status(&env, "alice")
        .arg("--json")
        .ok()
        .quiet()
        .changes(&[])
        .json();
    let facts = &facts[0];
    let keys = [
        "v",
        "time",
        "clock_doubted",
        "queues",
        "media",
        "hosts",
        "serve",
        "endings",
        "successors",
        "events_last_day",
        "disk_free",
        "reserve",
    ];
    assert_eq!(keys_in(facts), keys);
    assert_eq!(facts["time"], NOW);
    let queue = serde_json::json!({
        "queue": "in", "peer": null, "messages": 0, "size": 0, "oldest": null, "next_expiry": null,
    });
    assert_eq!(facts["queues"][0], queue);
    assert_eq!(facts["queues"].as_array().unwrap().len(), 2);
    for form in [
        &["--prometheus"][..],
        &["--nagios", "oldest=1d:2d", "ends=30d:7d"],
    ] {
        status(&env, "alice").args(form).ok().quiet().changes(&[]);
    }
}

#[test]
fn only_a_node_has_a_status() {
    let env = Env::with_gateways();
    env.mkdir("other");
    for form in [&[][..], &["--json"], &["--prometheus"]] {
        for dir in ["other", "stick", "nowhere", "gateway/spool"] {
            let ran = status(&env, dir).args(form).run().changes(&[]);
            assert_eq!((ran.status, ran.text()), (78, ""), "{dir} {form:?}");
        }
    }
    let ran = status(&env, "nowhere")
        .args(["--nagios", "failed=1:2"])
        .run();
    assert_eq!(
        (ran.status, ran.text()),
        (3, "RELAY UNKNOWN: nowhere is not a node directory\n")
    );
}

#[test]
fn each_queue_has_a_line() {
    let env = busy();
    env.relay("sync")
        .args(["-N", "gateway", "--init", "stick"])
        .ok();
    let ran = status(&env, "gateway")
        .at("2026-03-01T13:30:00Z")
        .ok()
        .quiet()
        .changes(&[]);
    let text = without_disk(ran.text());
    let sizes = |queue: &str| -> u64 {
        let files = env.names(queue).into_iter();
        files
            .map(|name| fs::metadata(env.path(queue).join(name)).unwrap().len())
            .sum()
    };
    let size = |octets: u64| format!("{}.{} kB", octets / 1000, octets % 1000 / 100);
    let waits = size(sizes("gateway/spool/in"));
    let out = size(sizes(&format!("gateway/spool/out/{}", id("hub"))));
    let medium: String = env.names("gateway/spool/carried")[0]
        .chars()
        .take(16)
        .collect();
    let aside = size(sizes("gateway/spool/failed"));
    let columns = |line: &str| -> Vec<String> {
        line.split("   ")
            .map(str::trim)
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let lines: Vec<Vec<String>> = text.lines().map(columns).collect();
    let next = "next expiry in 9d 22h";
    assert_eq!(
        lines[0],
        ["in", "1 message", &waits, "oldest 2h 30m", next],
        "{text}"
    );
    assert_eq!(
        lines[1],
        ["out/hub", "2 messages", &out, "oldest 1d 5h", next],
        "{text}"
    );
    assert_eq!(
        lines[2],
        [
            "failed",
            "1 message",
            &aside,
            "oldest from a time still to come",
            next
        ]
    );
    let given = "took 0, gave 2";
    assert_eq!(
        lines[3],
        ["medium", &medium, "last exchange 1h 30m ago", given],
        "{text}"
    );
    assert_eq!(lines.len(), 4, "{text}");
}

/// The messages in each queue, as relay-list and relay-status tell.
#[test]
fn the_numbers_are_those_of_relay_list() {
    let env = busy();
    let mut listed: BTreeMap<String, u64> = BTreeMap::new();
    for message in env
        .relay("list")
        .args(["-N", "gateway", "--json"])
        .ok()
        .json()
    {
        *listed
            .entry(message["queue"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    let facts = status(&env, "gateway").arg("--json").ok().json();
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for queue in facts[0]["queues"].as_array().unwrap() {
        let name = queue["queue"].as_str().unwrap().to_owned();
        counted.insert(name, queue["messages"].as_u64().unwrap());
    }
    counted.retain(|_, count| *count > 0);
    assert_eq!(counted, listed);
    assert_eq!(counted.values().sum::<u64>(), 4);
    let events = &facts[0]["events_last_day"];
    assert_eq!(
        (&events["queued"], &events["packed"]),
        (&2.into(), &0.into())
    );
    // What happened more than a day ago is not counted.
    let later = status(&env, "gateway")
        .arg("--json")
        .at("2026-03-02T12:00:01Z")
        .ok()
        .json();
    assert_eq!(later[0]["events_last_day"]["queued"], 0);
}

#[test]
fn what_ends_soon_is_what_relay_check_warns_of() {
    let env = Env::with_gateways();
    let warned = |node: &str, now: &str| -> BTreeSet<String> {
        let ran = env
            .relay("check")
            .args(["-N", node, "--json"])
            .at(now)
            .run();
        let endings = ran.json().into_iter().filter(|it| it["check"] == "ending");
        let ends =
            endings.filter_map(|it| Some(it["what"].as_str()?.split_once(" end")?.0.to_owned()));
        ends.collect()
    };
    let shown = |node: &str, now: &str| -> BTreeSet<String> {
        let ran = status(&env, node).at(now).run();
        let keys = ran
            .text()
            .lines()
            .filter_map(|line| line.strip_prefix("keys"));
        keys.map(|line| line.trim().split_once(" end").unwrap().0.to_owned())
            .collect()
    };
    let mut seen = 0;
    for node in ["alice", "bob", "gateway"] {
        for now in [
            "2026-03-01T12:00:00Z",
            "2026-08-10T12:00:00Z",
            "2026-09-10T12:00:00Z",
        ] {
            let mut warned = warned(node, now);
            // relay-check says this once more of all gateways together.
            warned.retain(|it| !it.starts_with("no gateway"));
            assert_eq!(shown(node, now), warned, "{node} {now}");
            seen += warned.len();
        }
    }
    assert!(seen > 3, "{seen}");
    // Those of a gateway's local endpoints are shown with its own.
    env.relay("keygen")
        .args(["-N", "gateway", "--endpoint", "local"])
        .ok();
    let soon = "2026-08-10T12:00:00Z";
    assert_eq!(shown("gateway", soon), warned("gateway", soon));
}

/// The samples of an exposition by name and labels, after a check of its format: each family has its
/// HELP and TYPE once and before its samples, which are together; names and labels are well-formed;
/// no sample has a timestamp, and none comes twice.
fn samples(text: &str) -> BTreeMap<String, i64> {
    let mut samples = BTreeMap::new();
    let mut families = BTreeSet::new();
    let mut family = String::new();
    assert!(text.ends_with('\n') && !text.contains("\n\n"), "{text}");
    let is_name = |name: &str| {
        name.starts_with("relay_")
            && name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_')
            && !name.ends_with("_total")
            && !name.contains("octets")
    };
    let mut lines = text.split_terminator('\n');
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(is_name(name) && !help.is_empty(), "{line}");
            assert!(families.insert(name.to_owned()), "twice: {line}");
            assert_eq!(lines.next().unwrap(), format!("# TYPE {name} gauge"));
            name.clone_into(&mut family);
            continue;
        }
        let rest = line
            .strip_prefix(&family)
            .unwrap_or_else(|| panic!("{line}: not of {family}"));
        let value = match rest.strip_prefix('{') {
            None => rest.strip_prefix(' ').unwrap(),
            Some(labels) => after_labels(labels).unwrap_or_else(|| panic!("{line}")),
        };
        // A second number would be a timestamp.
        let number: i64 = value.parse().unwrap_or_else(|_| panic!("{line}: {value}"));
        let key = line[..line.len() - value.len() - 1].to_owned();
        assert!(samples.insert(key, number).is_none(), "twice: {line}");
    }
    samples
}

/// What follows `name="value",…} `, in which a value escapes backslash, quotation mark and newline.
fn after_labels(mut labels: &str) -> Option<&str> {
    loop {
        let (name, rest) = labels.split_once("=\"")?;
        if name.is_empty() || !name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_') {
            return None;
        }
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next()? {
                (_, '\\') => match characters.next()?.1 {
                    '\\' | '"' | 'n' => {}
                    _ => return None,
                },
                (at, '"') => break at,
                _ => {}
            }
        };
        labels = &rest[end + 1..];
        match labels.split_at_checked(1)? {
            (",", more) => labels = more,
            ("}", more) => return more.strip_prefix(' '),
            _ => return None,
        }
    }
}

/// Has promtool(1) check a file, if it is there.
fn promtool(text: &str) {
    if std::env::var_os("CI_FULL").is_none() {
        return;
    }
    let path = std::env::temp_dir().join(format!("relay-status-{}.prom", std::process::id()));
    fs::write(&path, text).unwrap();
    let checked = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(fs::File::open(&path).unwrap())
        .output();
    fs::remove_file(&path).unwrap();
    match checked {
        Ok(checked) => {
            let said = String::from_utf8_lossy(&checked.stderr).into_owned();
            assert!(
                checked.status.success() && said.is_empty(),
                "{said}\n{text}"
            );
        }
        Err(error) => eprintln!("promtool is not used, so only our own check was made: {error}"),
    }
}

#[test]
fn metrics_have_the_form_that_prometheus_reads() {
    let env = busy();
    env.relay("sync")
        .args(["-N", "gateway", "--init", "stick"])
        .ok();
    let ran = status(&env, "gateway")
        .arg("--prometheus")
        .ok()
        .quiet()
        .changes(&[]);
    promtool(ran.text());
    let found = samples(ran.text());
    let of = |text: &str| jiff::Timestamp::as_second(text.parse().unwrap());
    let expiry = of("2026-03-11T11:55:00Z");
    let medium = &env.names("gateway/spool/carried")[0];
    for (sample, value) in [
        ("relay_queue_messages{queue=\"in\",peer=\"\"}", 1),
        ("relay_queue_messages{queue=\"out\",peer=\"hub\"}", 2),
        (
            "relay_queue_oldest_timestamp_seconds{queue=\"out\",peer=\"hub\"}",
            of("2026-02-28T08:00:00Z"),
        ),
        (
            "relay_queue_next_expiry_timestamp_seconds{queue=\"out\",peer=\"hub\"}",
            expiry,
        ),
        ("relay_failed_messages", 1),
        (
            &format!("relay_medium_last_sync_timestamp_seconds{{medium=\"{medium}\"}}"),
            of(NOW),
        ),
        ("relay_events_last_day{event=\"queued\"}", 2),
        ("relay_events_last_day{event=\"packed\"}", 2),
        ("relay_clock_doubted", 0),
        ("relay_disk_reserve_bytes", 16 << 20),
        ("relay_status_run_timestamp_seconds", of(NOW)),
    ] {
        assert_eq!(found.get(sample), Some(&value), "{sample}: {found:#?}");
    }
    let is_there = |part: &str| found.keys().any(|key| key.starts_with(part));
    assert!(is_there("relay_disk_free_bytes") && is_there("relay_queue_bytes{queue=\"out\""));
    assert!(is_there(
        "relay_certificate_not_after_timestamp_seconds{kind=\"registration\",peer=\"hub\"}"
    ));
    assert!(!is_there("relay_queue_messages{queue=\"failed\""));
}

#[test]
fn hostile_names_stay_labels() {
    let env = busy();
    let name = "h\"u}b\\n 1\nrelay_x 2\n# HELP é\u{202e}\u{1b}[2J";
    env.write(format!("gateway/peers/{}/name", id("hub")), name);
    let ran = status(&env, "gateway").arg("--prometheus").ok();
    promtool(ran.text());
    let found = samples(ran.text());
    let label = "h\\\"u}b\\\\n 1\\nrelay_x 2\\n# HELP é\u{fffd}\u{fffd}[2J";
    let key = format!("relay_queue_messages{{queue=\"out\",peer=\"{label}\"}}");
    assert_eq!(found.get(&key), Some(&2), "{found:#?}");
    let text = status(&env, "gateway").ok();
    assert!(
        !text.text().contains(['\u{1b}', '\u{202e}']),
        "{}",
        text.text()
    );
    assert!(
        text.text().lines().all(|line| !line.starts_with("relay_x")),
        "{}",
        text.text()
    );
    let facts = status(&env, "gateway").arg("--json").ok();
    assert!(!facts.text().contains(['\u{1b}', '\u{202e}']));
    assert_eq!(facts.json()[0]["queues"][1]["peer"], name);
    // Two peers with one name are one series.
    let other = id("mallory");
    env.write(format!("gateway/peers/{}/name", id("hub")), "x");
    let out = format!("gateway/spool/out/{other}");
    env.mkdir(&out);
    fs::create_dir_all(env.path(format!("gateway/peers/{other}"))).unwrap();
    let key = env.read("mallory/identity.pub");
    env.write(format!("gateway/peers/{other}/identity.pub"), key);
    env.write(format!("gateway/peers/{other}/name"), "x");
    let from = format!("gateway/spool/out/{}", id("hub"));
    let moved = env.names(&from).remove(0);
    fs::rename(env.path(&from).join(&moved), env.path(&out).join(&moved)).unwrap();
    let found = samples(status(&env, "gateway").arg("--prometheus").ok().text());
    assert_eq!(
        found.get("relay_queue_messages{queue=\"out\",peer=\"x\"}"),
        Some(&2)
    );
}

#[test]
fn a_thousand_peers_are_told_apart_and_the_rest_counted_together() {
    let env = busy();
    for number in 0..1010_u32 {
        let hop = NodeId::of_spki(&number.to_be_bytes());
        env.mkdir(&format!("gateway/spool/out/{hop}"));
    }
    let found = samples(status(&env, "gateway").arg("--prometheus").ok().text());
    let counted = found
        .iter()
        .filter(|(key, _)| key.starts_with("relay_queue_messages{"));
    let (mut peers, mut messages) = (BTreeSet::new(), 0);
    for (key, count) in counted {
        peers.insert(key.split_once("peer=").unwrap().1);
        messages += count;
    }
    // With that of `in`, which has none.
    assert_eq!((peers.len(), messages), (1002, 3));
    assert!(peers.contains("\"others\"}"));
}

#[test]
fn the_file_is_replaced_whole() {
    let env = busy();
    let write = |options: &[&str]| {
        let args = ["--prometheus", "-o", "relay.prom"];
        status(&env, "gateway").args(args).args(options)
    };
    write(&[]).ok().quiet().stdout("").changes(&["+relay.prom"]);
    let first = env.text("relay.prom");
    assert!(!samples(&first).is_empty());
    write(&[])
        .fails(73, "relay.prom: already exists")
        .changes(&[]);
    write(&["-f"])
        .at("2026-03-01T12:00:01Z")
        .ok()
        .quiet()
        .changes(&["*relay.prom"]);
    assert_ne!(env.text("relay.prom"), first);
    assert_eq!(
        env.mode("relay.prom") & 0o444,
        0o444,
        "the collector is another user"
    );
    let nagios = ["-o", "x", "--nagios", "failed=1:2"];
    assert_eq!(status(&env, "gateway").args(nagios).run().status, 3);
}

#[test]
fn thresholds_decide_the_status() {
    let env = busy();
    let ask = |thresholds: &[&str], now: &str| {
        let ran = status(&env, "gateway")
            .arg("--nagios")
            .args(thresholds)
            .at(now)
            .run();
        assert_eq!(ran.text().lines().count(), 1, "{}", ran.text());
        (ran.status, ran.text().trim_end().to_owned())
    };
    let (code, line) = ask(&["oldest=2d:7d", "failed=2:10", "messages=4:9"], NOW);
    let expected = "RELAY OK: oldest 1d 4h, 1 failed, 3 messages | \
                    oldest=100800s;172800;604800 failed=1;2;10 messages=3;4;9";
    assert_eq!((code, line.as_str()), (0, expected));
    let (code, line) = ask(&["oldest=1d:7d", "failed=2:10"], NOW);
    assert_eq!(code, 1);
    assert!(
        line.starts_with("RELAY WARNING: oldest 1d 4h (WARNING), 1 failed | "),
        "{line}"
    );
    let (code, line) = ask(&["oldest=1d:7d", "failed=1:1"], NOW);
    assert_eq!(code, 2);
    assert!(
        line.starts_with("RELAY CRITICAL: oldest 1d 4h (WARNING), 1 failed (CRITICAL)"),
        "{line}"
    );
    // No stick has come yet.
    let (code, line) = ask(&["medium=7d:14d"], NOW);
    assert_eq!(
        (code, line.contains("medium=U;604800;1209600")),
        (3, true),
        "{line}"
    );
    env.relay("sync")
        .args(["-N", "gateway", "--init", "stick"])
        .ok();
    assert_eq!(ask(&["medium=7d:14d"], NOW).0, 0);
    for (now, expected) in [("2026-03-08T12:00:00Z", 1), ("2026-03-15T12:00:00Z", 2)] {
        assert_eq!(ask(&["medium=7d:14d"], now).0, expected, "{now}");
    }
    // Less is worse.
    assert_eq!(ask(&["free=0:0"], NOW).0, 0);
    assert_eq!(ask(&["free=8000000G:1"], NOW).0, 1);
    let (code, line) = ask(&["ends=300d:7d"], NOW);
    assert_eq!(code, 1, "{line}");
    assert!(line.contains("the registration"), "{line}");
    for bad in [
        &["age=1:2"][..],
        &["failed=1"],
        &["failed=1:2", "oldest=2d:1d"],
        &["x|y=1:2"],
    ] {
        let (code, line) = ask(bad, NOW);
        assert_eq!(code, 3);
        assert!(
            line.starts_with("RELAY UNKNOWN: ") && !line.contains('|'),
            "{line}"
        );
    }
    // A command line that is wrong, too: the system shows the standard output.
    for (wrong, why) in [
        (&["--nagios"][..], "a value is required for '--nagios"),
        (
            &["--nagios=failed=1:2", "--bogus"],
            "unexpected argument '--bogus'",
        ),
        (&["--json", "--nagios", "failed=1:2"], "cannot be used with"),
    ] {
        let ran = status(&env, "gateway").args(wrong).run();
        assert_eq!(ran.status, 3, "{wrong:?}");
        let line = ran.text();
        assert!(
            line.starts_with("RELAY UNKNOWN: ") && line.contains(why),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1, "{line}");
    }
    assert_eq!(status(&env, "gateway").arg("--bogus").run().status, 64);
}

#[test]
fn a_wrong_clock_is_shown_and_hides_nothing() {
    let env = busy();
    for now in ["2036-03-01T12:00:00Z", "1970-01-01T00:00:00Z"] {
        let ran = status(&env, "gateway").at(now).ok().changes(&[]);
        let clock = ran.text().lines().find(|line| line.starts_with("clock"));
        assert!(
            clock.is_some_and(|line| line.contains("not believed: ")),
            "{}",
            ran.text()
        );
        let facts = status(&env, "gateway").at(now).arg("--json").ok().json();
        assert!(facts[0]["clock_doubted"].is_string());
        let metrics = status(&env, "gateway").at(now).arg("--prometheus").ok();
        assert_eq!(samples(metrics.text())["relay_clock_doubted"], 1);
        let nagios = ["--nagios", "oldest=30000d:36000d", "failed=9:9"];
        let ran = status(&env, "gateway").at(now).args(nagios).run();
        assert_eq!(ran.status, 1, "{}", ran.text());
        assert!(
            ran.text().contains("the clock is not believed"),
            "{}",
            ran.text()
        );
    }
}

#[test]
fn an_endpoint_shows_the_spool_of_its_gateway() {
    let env = busy();
    env.relay("keygen")
        .args(["-N", "gateway", "--endpoint", "local"])
        .ok();
    let queues = |node: &str| status(&env, node).arg("--json").ok().json()[0]["queues"].clone();
    assert_eq!(queues("gateway/endpoints/local"), queues("gateway"));
}

#[test]
fn what_is_damaged_is_reported_and_the_rest_shown() {
    let env = busy();
    env.relay("sync")
        .args(["-N", "gateway", "--init", "stick"])
        .ok();
    let good = without_disk(status(&env, "gateway").ok().text());
    // Foreign files in a queue are no messages.
    env.write("gateway/spool/in/README", "x");
    env.mkdir("gateway/spool/in/dir");
    let ran = status(&env, "gateway").ok().changes(&[]);
    assert_eq!(without_disk(ran.text()), good);
    assert_eq!(ran.diagnostics().len(), 2, "{}", ran.stderr);
    fs::remove_file(env.path("gateway/spool/in/README")).unwrap();
    fs::remove_dir(env.path("gateway/spool/in/dir")).unwrap();
    // A damaged exchange, certificate and clock.
    env.mkdir("gateway/spool/carried/5a");
    env.write("gateway/spool/carried/5a/last", "today");
    let certs = format!("gateway/certs/{}", id("hub"));
    env.write(format!("{certs}/x.pem"), "x");
    for form in [&[][..], &["--json"], &["--prometheus"]] {
        let ran = status(&env, "gateway").args(form).run().changes(&[]);
        assert_eq!(ran.status, 78, "{}", ran.stderr);
        assert!(
            ran.stderr.contains("does not begin with a date"),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains("x.pem"), "{}", ran.stderr);
        match form {
            [] => assert_eq!(without_disk(ran.text()), good),
            ["--json"] => assert_eq!(ran.json()[0]["media"].as_array().unwrap().len(), 1),
            _ => assert_eq!(samples(ran.text())["relay_failed_messages"], 1),
        }
    }
    let ran = status(&env, "gateway")
        .args(["--nagios", "failed=2:3"])
        .run();
    assert_eq!(ran.status, 3);
    assert!(
        ran.text().contains("2 files or directories cannot be read"),
        "{}",
        ran.text()
    );
    // Worse things are not hidden by that.
    let ran = status(&env, "gateway")
        .args(["--nagios", "failed=1:1"])
        .run();
    assert_eq!(ran.status, 2, "{}", ran.text());
}

#[test]
fn it_needs_no_lock_and_no_key() {
    let env = busy();
    let expected = status(&env, "gateway").ok().text().to_owned();
    let locks = ["queue", "node", "commands", "sent"].map(|name| {
        let path = env.path(format!("gateway/lock/{name}"));
        Lock::exclusive(&path).unwrap()
    });
    fs::remove_file(env.path("gateway/identity.key")).unwrap();
    let ran = status(&env, "gateway").ok().quiet().changes(&[]);
    assert_eq!(without_disk(ran.text()), without_disk(&expected));
    drop(locks);
}

#[test]
fn root_and_the_user_of_a_node_see_the_same() {
    let env = busy();
    if !rustix::process::geteuid().is_root() {
        eprintln!("not tested, since only root can become another user");
        return;
    }
    let user = |uid| User { uid, group: None };
    env.chmod("", 0o711);
    give(&env.path("gateway"), 61_001);
    let ask = |uid| {
        status(&env, "gateway")
            .at(NOW)
            .by(user(uid))
            .run()
            .changes(&[])
    };
    let (by_root, by_user) = (ask(0), ask(61_001));
    assert_eq!(
        (by_root.status, by_user.status),
        (0, 0),
        "{}{}",
        by_root.stderr,
        by_user.stderr
    );
    assert_eq!(without_disk(by_root.text()), without_disk(by_user.text()));
    assert!(by_root.text().contains("out/hub"), "{}", by_root.text());
    let by_other = ask(61_002);
    assert_eq!(
        (by_other.status, by_other.text()),
        (78, ""),
        "{}",
        by_other.stderr
    );
}

/// Gives a directory and all that is in it to a user.
fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), user);
        }
    }
}

/// Servers on the network, in all forms.
#[test]
fn each_server_that_was_tried_has_a_line() {
    let env = Env::with_gateways();
    set_direct(&env);
    let spool = Spool::of(Directory::open(&env.path("gateway")).unwrap()).unwrap();
    let at = |time: &str| time.parse::<jiff::Timestamp>().unwrap();
    let ask = |threshold: &str| {
        let ran = status(&env, "gateway").args(["--nagios", threshold]).run();
        (ran.status, ran.text().to_owned())
    };
    assert_eq!(ask("online=1h:2h").0, 3);
    let reached = at("2026-03-01T11:56:00Z");
    spool.note_host_success("a.example.org", reached).unwrap();
    for time in ["2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z"] {
        let error = "no\nanswer | at all";
        let (address, time) = ("b.example.org:443", at(time));
        let failure = HostFailure {
            error,
            ..HostFailure::default()
        };
        spool.note_host_failure(address, &failure, time).unwrap();
    }
    // One that was only looked up.
    let looked_up = HostState::new("c.example.org");
    spool.set_host_state(&looked_up, reached).unwrap();
    let ran = status(&env, "gateway").ok().quiet().changes(&[]);
    let lines: Vec<&str> = ran
        .text()
        .lines()
        .filter(|line| line.starts_with("server"))
        .collect();
    let expected = [
        "server   b.example.org:443   not reached for 2h: no\\nanswer | at all",
        "server   a.example.org       reached 4m ago",
    ];
    assert_eq!(lines, expected, "{}", ran.text());
    let facts = status(&env, "gateway").arg("--json").ok().json();
    let hosts = facts[0]["hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), 2);
    let keys = [
        "address",
        "last_success",
        "failures",
        "failing_since",
        "next_try",
        "error",
        "hint",
    ];
    assert_eq!(keys_in(&hosts[0]), keys);
    assert_eq!(hosts[0]["last_success"], "2026-03-01T11:56:00Z");
    assert_eq!(hosts[1]["failing_since"], "2026-03-01T10:00:00Z");
    assert_eq!(hosts[1]["failures"], 2);
    let ran = status(&env, "gateway").arg("--prometheus").ok();
    let samples = samples(ran.text());
    let of = |metric: &str, host: &str| {
        let key = format!("relay_host_{metric}{{host=\"{host}\"}}");
        samples.get(&key).copied()
    };
    let success = "last_success_timestamp_seconds";
    assert_eq!(of(success, "a.example.org"), Some(reached.as_second()));
    assert_eq!(of(success, "b.example.org:443"), None);
    assert_eq!(of("failures", "a.example.org"), Some(0));
    assert_eq!(of("failures", "b.example.org:443"), Some(2));
    let (code, line) = ask("online=3m:1h");
    assert_eq!(code, 1, "{line}");
    assert!(
        line.contains("last online 4m ago (WARNING) | online=240s;180;3600"),
        "{line}"
    );
    assert_eq!(ask("online=5m:1h").0, 0);
}

/// A node that posts to endpoints meets very many servers.
#[test]
fn of_many_servers_those_that_fail_are_shown() {
    let env = Env::with_gateways();
    set_direct(&env);
    let spool = Spool::of(Directory::open(&env.path("gateway")).unwrap()).unwrap();
    let at = "2026-03-01T11:56:00Z".parse().unwrap();
    for host in 0..30 {
        let address = format!("h{host}.example.org");
        spool.note_host_success(&address, at).unwrap();
    }
    let failure = HostFailure {
        error: "no",
        ..HostFailure::default()
    };
    spool
        .note_host_failure("z.example.org", &failure, at)
        .unwrap();
    let ran = status(&env, "gateway").ok().quiet();
    let lines: Vec<&str> = ran
        .text()
        .lines()
        .filter(|line| line.starts_with("server"))
        .collect();
    assert_eq!(lines.len(), 21, "{}", ran.text());
    assert!(lines[0].contains("z.example.org"), "{}", lines[0]);
    assert!(lines[20].ends_with("11 others"), "{}", lines[20]);
}

/// Has the gateway post to servers of recipients, so that all that are tried are shown.
fn set_direct(env: &Env) {
    let config = env.text("gateway/config");
    env.write("gateway/config", config + "direct = fallback\n");
}

#[test]
fn servers_that_are_not_used_any_more_are_left_out() {
    let env = Env::with_gateways();
    let spool = Spool::of(Directory::open(&env.path("gateway")).unwrap()).unwrap();
    let at = |time: &str| time.parse::<jiff::Timestamp>().unwrap();
    for (address, time) in [
        (HUB, "2026-02-01T00:00:00Z"),
        ("a.example.org", "2026-03-01T11:00:00Z"),
        ("b.example.org", "2026-02-27T11:00:00Z"),
    ] {
        spool.note_host_success(address, at(time)).unwrap();
    }
    let shown = || -> Vec<String> {
        let facts = status(&env, "gateway").arg("--json").ok().json();
        let hosts = facts[0]["hosts"].as_array().unwrap().iter();
        hosts
            .map(|it| it["address"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(shown(), [HUB]);
    // Of the recipients of parcels, those of the last day.
    set_direct(&env);
    assert_eq!(shown(), ["a.example.org", HUB]);
    // It was moved.
    let host = format!("gateway/peers/{}/host", id("hub"));
    env.write(&host, "B.example.org:443\n");
    env.chmod(&host, 0o600);
    assert_eq!(shown(), ["a.example.org"]);
    let moved = "b.example.org:443";
    spool
        .note_host_success(moved, at("2026-02-01T00:00:00Z"))
        .unwrap();
    assert_eq!(shown(), ["a.example.org", moved]);
}
