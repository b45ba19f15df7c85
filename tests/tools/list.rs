//! relay-list: what waits, in which form, and what became of a message.

use std::fs;

use crate::testenv::{Env, id, keys_in};

fn put(env: &Env, message_id: &str) {
    let parcel = env.parcel_with("bob", "alice", b"x", &["--id", message_id, "--ttl", "10d"]);
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
}

fn list<'a>(env: &'a Env, args: &[&str]) -> crate::testenv::Call<'a> {
    env.relay("list").args(["-N", "gateway"]).args(args)
}

#[test]
fn names_tell_what_waits() {
    let env = Env::with_gateways();
    list(&env, &[]).ok().quiet().stdout("");
    put(&env, "first");
    let name = env.names("gateway/spool/in").remove(0);
    let row = [
        "in",
        "parcel",
        &id("alice"),
        &id("bob"),
        "2026-03-11T11:55:00Z",
        "5",
        &name,
    ];
    let line = row.join("\t");
    list(&env, &["in"]).ok().stdout(format!("{line}\n"));
    list(&env, &[]).ok().stdout(format!("{line}\n"));
    list(&env, &["out"]).ok().stdout("");
    let path = format!("gateway/spool/in/{name}");
    list(&env, &["-0"]).ok().stdout(format!("{path}\0"));
    let size = env.read(&path).len();
    list(&env, &["--long"])
        .ok()
        .stdout(format!("{line}\tfirst\t2026-03-01T11:55:00Z\t{size}\n"));
    let ran = list(&env, &["--long", "--json"]).ok();
    let facts = &ran.json()[0];
    let keys = [
        "v",
        "queue",
        "path",
        "name",
        "kind",
        "recipient",
        "sender",
        "expiry",
        "priority",
        "unverified",
    ];
    assert_eq!(keys_in(facts), keys);
    assert_eq!(facts["unverified"]["id"], "first");
}

#[test]
fn queues_are_found_by_the_names_of_peers() {
    let env = Env::with_gateways();
    put(&env, "first");
    env.relay("route").args(["-N", "gateway"]).ok();
    env.relay("peers").args(["-N", "gateway"]).ok();
    for queue in ["out", "home"] {
        let own = list(&env, &[queue]).ok();
        let place = own.text().split('\t').next().unwrap_or_default().to_owned();
        if !place.is_empty() {
            list(&env, &[&place[..queue.len() + 17]])
                .ok()
                .stdout(own.stdout);
        }
    }
    list(&env, &["nowhere"]).fails(64, "nowhere: no such queue");
    list(&env, &["tmp/x"]).fails(64, "tmp/x: no such queue");
    list(&env, &["out/nobody"]).fails(67, "no peer is known as nobody");
    for (typed, meant) in [
        ("faild", "failed"),
        ("oout/bob", "out/bob"),
        ("contro", "control"),
    ] {
        let ran = list(&env, &[typed]).fails(64, &format!("{typed}: no such queue"));
        let hint = format!("did you mean {meant}? relay-list without one lists them all");
        assert_eq!(ran.hints(), [hint]);
    }
}

#[test]
fn what_no_program_put_there_is_reported_and_left() {
    let env = Env::with_gateways();
    put(&env, "first");
    env.write("gateway/spool/in/README", "x");
    env.link("/etc/passwd", "gateway/spool/in/link.parcel");
    env.mkdir("gateway/spool/in/dir");
    let ran = list(&env, &["in"]).ok().changes(&[]);
    assert_eq!(ran.text().lines().count(), 1);
    assert_eq!(ran.diagnostics().len(), 3, "{}", ran.stderr);
    // A name is no evidence, and what it promises may be missing.
    let name = env
        .names("gateway/spool/in")
        .into_iter()
        .find(|name| name.starts_with('0'));
    env.write(format!("gateway/spool/in/{}", name.unwrap()), "junk");
    let ran = list(&env, &["in", "--long"]).ok();
    assert!(ran.text().ends_with("\t-\t-\t4\n"), "{}", ran.text());
}

#[test]
fn the_state_of_a_message_is_told_at_each_stage() {
    let env = Env::with_gateways();
    list(&env, &["--id", "first"]).fails(67, "no message is known as first");
    put(&env, "first");
    let told = |env: &Env, now: &str| {
        let ran = list(env, &["--id", "first"]).at(now).run();
        let word = ran.text().split('\t').next().unwrap().to_owned();
        (word, ran.status)
    };
    let now = "2026-03-01T12:00:00Z";
    assert_eq!(told(&env, now), ("in".to_owned(), 75));
    env.write("gateway/routes", "* peer:hub\n");
    env.relay("route").args(["-N", "gateway"]).ok();
    assert_eq!(told(&env, now), ("out".to_owned(), 75));
    let ran = list(&env, &["--id", "first", "--json"]).run();
    let story = &ran.json()[0];
    assert_eq!(
        keys_in(story),
        ["v", "id", "recipient", "sender", "state", "events"]
    );
    assert_eq!(story["events"][0]["event"], "queued");
    assert_eq!(story["events"][0]["to"], format!("peer:{}", id("hub")));
    assert_eq!(
        told(&env, "2026-03-20T12:00:00Z"),
        ("expired".to_owned(), 80)
    );
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let env = Env::with_gateways();
    for args in [
        &["--id", "x", "in"][..],
        &["--id", "x", "--long"],
        &["-0", "--json"],
        &["-0", "--long"],
        &["in", "out"],
    ] {
        list(&env, args).fails(64, "");
    }
}

/// What a terminal shows: the first fields of each line.
fn table(env: &Env, args: &[&str]) -> Vec<Vec<String>> {
    let ran = list(env, args).shown().ok().quiet();
    let lines = ran.text().lines();
    let fields = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    lines.map(fields).collect()
}

#[test]
fn a_terminal_shows_short_names_and_they_are_taken_back() {
    let env = Env::with_gateways();
    for message_id in ["first", "second"] {
        put(&env, message_id);
    }
    env.write("gateway/routes", "* peer:hub\n");
    env.relay("route").args(["-N", "gateway"]).ok();
    let table = table(&env, &["out"]);
    assert_eq!(table.len(), 3, "{table:?}");
    assert_eq!(table[1][0], "out/hub");
    // Bob is no peer of the gateway.
    assert_eq!(table[1][2..4], ["alice", &id("bob")[..16]]);
    let names: Vec<&String> = table[1..].iter().map(|row| &row[6]).collect();
    assert!(names.iter().all(|name| name.len() == 16), "{names:?}");
    let told = |id: &str| list(&env, &["--id", id]).run().stdout;
    let ids = ["first", "second"].map(told);
    let by_name: Vec<_> = names.iter().map(|name| told(name)).collect();
    assert!(ids.iter().all(|told| by_name.contains(told)), "{names:?}");
    // Everything is whole elsewhere.
    let ran = list(&env, &["out"]).ok();
    assert!(ran.text().contains(&id("alice")), "{}", ran.text());
    list(&env, &["--id", &names[0][..15]]).fails(67, "no message is known as ");
}

#[test]
fn parts_are_found_by_what_their_ids_begin_with() {
    let env = Env::with_gateways();
    let stream = env.relay("split").args(["--size", "1"]).stdin("abcd").ok();
    let seal = env.relay("seal").args(["-N", "bob", "-t", "alice"]);
    let sealed = seal
        .args(["--parts", "--id", "report"])
        .stdin(stream.stdout)
        .ok();
    env.relay("put")
        .args(["-N", "gateway"])
        .stdin(sealed.stdout)
        .ok();
    let told = |shown: bool, args: &[&str]| {
        let call = list(&env, &["--id", "report"]).args(args);
        let ran = if shown {
            call.shown().run()
        } else {
            call.run()
        };
        (ran.status, ran.text().trim_end().replace('\r', ""))
    };
    assert_eq!(
        told(true, &[]),
        (75, "0 of 4 acknowledged, 4 in".to_owned())
    );
    for (shown, args) in [(false, &[][..]), (true, &["-v"]), (true, &["--json"])] {
        let (status, text) = told(shown, args);
        assert_eq!((status, text.lines().count()), (75, 4), "{text}");
    }
    let (_, text) = told(false, &["--json"]);
    assert!(text.contains("\"id\":\"report.3\""), "{text}");
    // Two have gone, and one of them is still noted.
    env.write("gateway/routes", "* peer:hub\n");
    env.relay("route").args(["-N", "gateway"]).ok();
    let out = format!("gateway/spool/out/{}", id("hub"));
    for name in &env.names(&out)[..2] {
        fs::remove_file(env.path(format!("{out}/{name}"))).unwrap();
    }
    let (status, text) = told(true, &[]);
    assert_eq!(status, 75);
    assert!(
        [
            "0 of 4 acknowledged, 2 out, 2 missing",
            "0 of 4 acknowledged, 2 missing, 2 out"
        ]
        .contains(&&*text),
        "{text}"
    );
    list(&env, &["--id", "report.9"]).fails(67, "no message is known as report.9");
}
