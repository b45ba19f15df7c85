//! relay-sync and relay-carry: what goes onto a medium and comes off it.

use std::fs;

use relaynet::message::CollectionRequest;
use relaynet::ramf::Kind;

use crate::medium::bound;
use crate::testenv::{Call, Env, Ran, id, keys_in, self_issued};

fn sync<'a>(env: &'a Env, at: &str, medium: &str) -> Call<'a> {
    env.relay("sync").args(["-N", at, medium])
}

fn put(env: &Env, at: &str, parcel: Vec<u8>) {
    env.relay("put").args(["-N", at]).stdin(parcel).ok().quiet();
}

fn route(env: &Env, at: &str) {
    env.relay("route").args(["-N", at]).ok().quiet();
}

/// A medium in the directory `stick`.
fn medium(env: &Env) {
    sync(env, "gateway", "stick").arg("--init").ok().quiet();
}

/// The files of a queue of a node's spool.
fn queue(env: &Env, at: &str, queue: &str) -> Vec<String> {
    let dir = format!("{at}/spool/{queue}");
    if env.path(&dir).exists() {
        env.names(&dir)
    } else {
        Vec::new()
    }
}

/// What lies on the medium for a gateway.
fn on_medium(env: &Env, kind: &str, gateway: &str) -> Vec<String> {
    let dir = format!("stick/relaynet/{kind}/{}", id(gateway));
    if env.path(&dir).exists() {
        env.names(&dir)
    } else {
        Vec::new()
    }
}

fn state(env: &Env, at: &str, message: &str) -> (i32, String) {
    let ran = env.relay("list").args(["-N", at, "--id", message]).run();
    let text = String::from_utf8(ran.stdout).unwrap();
    (
        ran.status,
        text.split('\t')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned(),
    )
}

#[track_caller]
fn said(ran: &Ran, event: &str) {
    assert!(
        ran.stderr.contains(&format!("event={event}")),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_parcel_crosses_two_gateways_and_is_acknowledged() {
    let env = Env::with_gateways();
    medium(&env);
    let parcel = env.parcel_with("bob", "alice", b"hello", &["--id", "m1"]);
    put(&env, "mallory", parcel.clone());
    route(&env, "mallory");
    let ran = sync(&env, "mallory", "stick").arg("-v").ok();
    said(&ran, "packed");
    said(&ran, "requested");
    assert_eq!(on_medium(&env, "cargo", "hub").len(), 1);
    assert_eq!(on_medium(&env, "cca", "hub").len(), 2); // that of gateway, which made the medium, and this one
    assert_eq!(state(&env, "mallory", "m1").0, 75);

    // The hub has it, says so to mallory, and waits for somebody to ask for it.
    let ran = sync(&env, "hub", "stick").arg("-v").ok();
    said(&ran, "stored");
    said(&ran, "asked");
    assert_eq!(on_medium(&env, "cargo", "hub"), [""; 0]);
    assert_eq!(on_medium(&env, "cca", "hub"), [""; 0]);
    assert_eq!(on_medium(&env, "cargo", "mallory").len(), 1);
    route(&env, "hub");
    assert_eq!(
        queue(&env, "hub", &format!("out/{}", id("gateway"))).len(),
        1
    );
    sync(&env, "hub", "stick").ok().quiet();
    assert_eq!(on_medium(&env, "cargo", "gateway").len(), 1);

    sync(&env, "mallory", "stick").ok().quiet();
    route(&env, "mallory");
    assert_eq!(state(&env, "mallory", "m1"), (0, "acknowledged".to_owned()));
    assert_eq!(
        queue(&env, "mallory", &format!("out/{}", id("hub"))),
        [""; 0]
    );

    // Alice fetches what is for her in some other way.
    env.write("gateway/routes", format!("{} peer:alice\n", id("alice")));
    sync(&env, "gateway", "stick").ok().quiet();
    let arrived = queue(&env, "gateway", "in");
    assert_eq!(arrived.len(), 1);
    assert_eq!(env.read(format!("gateway/spool/in/{}", arrived[0])), parcel);
    sync(&env, "hub", "stick").ok().quiet();
    route(&env, "hub");
    assert_eq!(state(&env, "hub", "m1"), (0, "acknowledged".to_owned()));
    assert_eq!(
        queue(&env, "hub", &format!("out/{}", id("gateway"))),
        [""; 0]
    );
}

/// A message that is alone over the quota of the node would never be taken.
#[test]
fn what_never_fits_is_refused_and_its_cargo_does_not_wait() {
    let env = Env::with_gateways();
    medium(&env);
    let large = env.parcel_with("bob", "alice", &[0; 9000], &["--id", "large"]);
    let small = env.parcel_with("bob", "alice", b"hello", &["--id", "small"]);
    let (len, limit) = (large.len(), large.len() - 1);
    assert!(small.len() < limit);
    for parcel in [large, small] {
        put(&env, "mallory", parcel);
    }
    route(&env, "mallory");
    sync(&env, "mallory", "stick").ok().quiet();
    let config = env.text("hub/config");
    env.write(
        "hub/config",
        format!("{config}quota = {limit}\nreserve = 0\n"),
    );
    let ran = sync(&env, "hub", "stick").run();
    assert_eq!(ran.status, 65, "{}", ran.stderr);
    ran.says_somewhere(&format!(
        "{len} octets are more than the whole quota of {limit} octets for "
    ));
    assert_eq!(on_medium(&env, "cargo", "hub"), [""; 0]);
    assert_eq!(queue(&env, "hub", "in").len(), 1);
    // The next run has nothing to try again, and only the small one is acknowledged.
    sync(&env, "hub", "stick").ok().quiet();
    sync(&env, "mallory", "stick").ok().quiet();
    route(&env, "mallory");
    let told = |id| state(&env, "mallory", id);
    assert_eq!(told("small"), (0, "acknowledged".to_owned()));
    assert_eq!(told("large"), (75, "out".to_owned()));
}

#[test]
fn what_is_no_medium_is_left_alone() {
    let env = Env::with_gateways();
    sync(&env, "gateway", "stick").fails(66, "stick is not a medium");
    sync(&env, "gateway", "stick")
        .arg("--if-present")
        .ok()
        .quiet()
        .changes(&[]);
    sync(&env, "gateway", "nowhere")
        .arg("--if-present")
        .ok()
        .quiet()
        .changes(&[]);
    fs::create_dir(env.path("stick/relaynet")).unwrap();
    env.write("stick/relaynet/VERSION", "relay-medium 2\n");
    sync(&env, "gateway", "stick").fails(66, "stick is a medium of another version");
}

/// The first file of a directory on the medium.
fn first(env: &Env, kind: &str, gateway: &str) -> String {
    format!(
        "stick/relaynet/{kind}/{}/{}",
        id(gateway),
        on_medium(env, kind, gateway)[0]
    )
}

/// A world in which a parcel of bob's for alice waits at mallory for the hub.
fn waiting() -> Env {
    let env = Env::with_gateways();
    medium(&env);
    put(
        &env,
        "mallory",
        env.parcel_with("bob", "alice", b"hello", &["--id", "m1"]),
    );
    route(&env, "mallory");
    env
}

#[test]
fn a_message_goes_once_onto_a_medium_and_again_when_its_cargo_has_left() {
    let env = waiting();
    sync(&env, "mallory", "stick").ok().quiet();
    sync(&env, "mallory", "stick").ok().quiet().changes(&[]);
    let cargo = first(&env, "cargo", "hub");
    fs::remove_file(env.path(&cargo)).unwrap();
    let ran = sync(&env, "mallory", "stick").arg("-v").ok();
    said(&ran, "packed");
    assert_eq!(on_medium(&env, "cargo", "hub").len(), 1);
    assert_ne!(first(&env, "cargo", "hub"), cargo);
    // Another medium is another chance.
    env.mkdir("other");
    let ran = sync(&env, "mallory", "other").args(["--init", "-v"]).ok();
    said(&ran, "packed");
    // What lies there for as long as the node's config says goes again.
    let later = "2026-03-08T12:00:01Z";
    let ran = sync(&env, "mallory", "stick").at(later).arg("-v").ok();
    said(&ran, "packed");
    assert_eq!(on_medium(&env, "cargo", "hub").len(), 2);
    sync(&env, "mallory", "stick")
        .at(later)
        .ok()
        .quiet()
        .changes(&[]);
}

#[test]
fn cargo_that_comes_again_is_acknowledged_again_and_nothing_is_there_twice() {
    let env = waiting();
    sync(&env, "mallory", "stick").ok().quiet();
    let cargo = first(&env, "cargo", "hub");
    let octets = env.read(&cargo);
    sync(&env, "hub", "stick").ok().quiet();
    let answer = first(&env, "cargo", "mallory");
    fs::remove_file(env.path(&answer)).unwrap();
    // The same cargo once more: it was seen, and is taken off.
    env.write(&cargo, &octets);
    sync(&env, "hub", "stick").ok().quiet();
    assert_eq!(on_medium(&env, "cargo", "hub"), [""; 0]);
    assert_eq!(queue(&env, "hub", "in").len(), 1);
    // The acknowledgement was lost, so mallory sends again, in other cargo; that is acknowledged, too.
    sync(&env, "mallory", "stick").ok().quiet();
    let ran = sync(&env, "hub", "stick").arg("-v").ok();
    said(&ran, "repeated");
    assert_eq!(queue(&env, "hub", "in").len(), 1);
    sync(&env, "mallory", "stick").ok().quiet();
    route(&env, "mallory");
    assert_eq!(state(&env, "mallory", "m1"), (0, "acknowledged".to_owned()));
}

/// A world in which, at the hub, a parcel waits for gateway and an acknowledgement for mallory, which both have asked
/// for their cargo.
fn asked() -> Env {
    let env = waiting();
    sync(&env, "gateway", "stick").ok().quiet();
    sync(&env, "mallory", "stick").ok().quiet();
    sync(&env, "hub", "stick").arg("--take").ok().quiet();
    route(&env, "hub");
    for hop in ["gateway", "mallory"] {
        assert_eq!(queue(&env, "hub", &format!("cca/{}", id(hop))).len(), 1);
    }
    env
}

/// The only CCA of gateway at the hub.
fn held(env: &Env) -> String {
    let dir = format!("cca/{}", id("gateway"));
    format!("hub/spool/{dir}/{}", queue(env, "hub", &dir)[0])
}

/// What went wrong with a CCA was swallowed: status 0, not a word, and nothing was given, with each run.
#[test]
fn a_cca_that_cannot_be_answered_is_reported_and_keeps_no_other_waiting() {
    let of_gateway = format!("hub/sessions/{}", id("gateway"));
    let key = |env: &Env| format!("{of_gateway}/{}", env.names(&of_gateway)[0]);
    let given_to = |env: &Env, hop: &str| on_medium(env, "cargo", hop).len();

    // Keys that others can read.
    let env = asked();
    env.chmod(key(&env), 0o644);
    let ran = sync(&env, "hub", "stick").run();
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    let line = format!("{}: {}: open to other users", held(&env), key(&env));
    let ran = ran.says(&[&line]);
    assert_eq!(ran.hints().len(), 1);
    assert_eq!(
        (given_to(&env, "gateway"), given_to(&env, "mallory")),
        (0, 1)
    );
    env.chmod(key(&env), 0o600);
    sync(&env, "hub", "stick").ok().quiet();
    assert_eq!(given_to(&env, "gateway"), 1);
    assert_eq!(
        queue(&env, "hub", &format!("cca/{}", id("gateway"))).len(),
        0
    );

    // A file, or a directory, that cannot be read.
    for is_dir in [false, true] {
        let env = asked();
        let file = env.path(held(&env));
        let path = if is_dir {
            file.parent().unwrap()
        } else {
            &file
        };
        let ran = bound(sync(&env, "hub", "stick"), 0, path);
        assert!([74, 75].contains(&ran.status), "{}", ran.stderr);
        let shown = path.strip_prefix(env.root()).unwrap().display().to_string();
        let ran = ran.says(&[&format!("{shown}: ")]);
        assert!(ran.stderr.contains("Permission denied"), "{}", ran.stderr);
        assert_eq!(
            (given_to(&env, "gateway"), given_to(&env, "mallory")),
            (0, 1)
        );
        // Nor does it keep a newer one out.
        if !is_dir {
            fs::remove_dir_all(env.path("stick/relaynet/cca")).unwrap();
            let later = "2026-03-01T13:00:00Z";
            sync(&env, "gateway", "stick").at(later).ok().quiet();
            let ran = bound(sync(&env, "hub", "stick").at(later), 0, path);
            assert!([74, 75].contains(&ran.status), "{}", ran.stderr);
            assert_eq!(given_to(&env, "gateway"), 1);
        }
    }
    // A link is nothing that was put there.
    let env = asked();
    let file = held(&env);
    fs::rename(env.path(&file), env.path("moved")).unwrap();
    env.link(env.path("moved"), &file);
    sync(&env, "hub", "stick")
        .ok()
        .says(&[&format!("{file}: does not belong there")]);

    // The clock: too early is said, and that the time of a CCA is over only where every event is.
    let env = asked();
    let ran = sync(&env, "hub", "stick").at("2026-03-01T07:00:00Z").run();
    assert_eq!(ran.status, 75, "{}", ran.stderr); // both are early
    assert!(ran.stderr.contains("dated in the future"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains(&format!("{}: ", held(&env))),
        "{}",
        ran.stderr
    );
    let env = asked();
    let ran = sync(&env, "hub", "stick")
        .at("2026-03-20T12:00:00Z")
        .arg("-v")
        .ok();
    let text = ran.stderr.clone();
    assert_eq!(text.matches("why=\"CCA ended\"").count(), 2, "{text}");
    sync(&env, "hub", "stick")
        .at("2026-03-20T12:00:00Z")
        .ok()
        .quiet();
    assert!(env.path(held(&env)).exists());
}

/// What spoils a CCA, the status that follows, and why.
type Case<'a> = (&'a dyn Fn(&Env), i32, &'a str);

/// What no key and no clock will ever make answerable is said with its status, and set aside: the next run is silent.
#[test]
fn a_cca_that_can_never_be_answered_is_set_aside() {
    let malformed = |env: &Env| env.write(held(env), "no CCA");
    let forgotten = |env: &Env| {
        env.relay("peers")
            .args(["-N", "hub", "--forget", "gateway"])
            .ok();
    };
    let foreign = |env: &Env| {
        let authorization = self_issued("gateway");
        let request = CollectionRequest { authorization }.to_buffer();
        let cca = env.sealed("gateway", "hub", Kind::Cca, request.as_slice());
        env.write(held(env), cca);
    };
    let unknown_key = |env: &Env| {
        let keys = env.path(format!("hub/sessions/{}", id("gateway")));
        fs::remove_dir_all(keys).unwrap();
    };
    let cases: [Case<'_>; 4] = [
        (&malformed, 65, ""),
        (
            &forgotten,
            77,
            &format!(
                "{} is certified by this gateway, but not known",
                id("gateway")
            ),
        ),
        (
            &foreign,
            77,
            "the authorization in the CCA is for another node",
        ),
        (&unknown_key, 67, "sealed to session key"),
    ];
    for (spoil, status, why) in cases {
        let env = asked();
        spoil(&env);
        let file = held(&env);
        let ran = sync(&env, "hub", "stick").run();
        assert_eq!(ran.status, status, "{}", ran.stderr);
        let line = format!("{file}: set aside: {why}");
        ran.says(&[&line]);
        assert_eq!(on_medium(&env, "cargo", "mallory").len(), 1);
        let name = file.rsplit_once('/').unwrap().1;
        assert_eq!(
            queue(&env, "hub", "failed"),
            [name.to_owned(), format!("{name}.why")]
        );
        sync(&env, "hub", "stick").ok().quiet();
        // Back where it came from, if somebody thinks better of it.
        env.relay("route").args(["-N", "hub", "--retry", name]).ok();
        assert_eq!(held(&env), file);
    }
}

/// One bad CCA kept a good one of the same gateway from being answered.
#[test]
fn a_bad_cca_does_not_stop_a_good_one_of_the_same_gateway() {
    let env = asked();
    let good = held(&env);
    let (dir, name) = good.rsplit_once('/').unwrap();
    let sha = name.split('.').nth(2).unwrap();
    for digit in "0123456789abcdef".chars() {
        let other = digit.to_string().repeat(64);
        env.write(format!("{dir}/{}", name.replace(sha, &other)), "no CCA");
    }
    let ran = sync(&env, "hub", "stick").run();
    assert!([0, 65].contains(&ran.status), "{}", ran.stderr);
    assert_eq!(on_medium(&env, "cargo", "gateway").len(), 1);
    assert!(!env.path(&good).exists());
}

#[test]
fn the_last_exchange_with_each_medium_is_kept() {
    let env = waiting();
    let media = || env.names("mallory/spool/carried");
    assert!(!env.path("mallory/spool/carried").exists());
    sync(&env, "mallory", "stick").ok().quiet();
    let last = format!("mallory/spool/carried/{}/last", media()[0]);
    let gave = "2026-03-01T12:00:00Z\ntaken = 0\ngiven = 1\nwaiting = 0\nfailed = 0\n";
    assert_eq!(env.text(&last), gave);
    // A stick that stays there is not written of each minute.
    let again = |now| sync(&env, "mallory", "stick").at(now).ok().quiet();
    again("2026-03-01T12:59:59Z").changes(&[]);
    again("2026-03-01T13:00:00Z").changes(&["*mallory/spool/carried/HEX/last"]);
    let idle = "2026-03-01T13:00:00Z\ntaken = 0\ngiven = 0\nwaiting = 0\nfailed = 0\n";
    assert_eq!(env.text(&last), idle);
    let check = || env.relay("check").args(["-N", "mallory"]).run();
    assert!(
        !check().text().contains("does not belong"),
        "{}",
        check().text()
    );
    // Another medium has its own; what is damaged is reported, and replaced.
    env.mkdir("other");
    sync(&env, "mallory", "other").arg("--init").ok();
    assert_eq!(media().len(), 2);
    env.write(&last, "today");
    let ran = check();
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(
        ran.text().contains("does not begin with a date"),
        "{}",
        ran.text()
    );
    again("2026-03-01T13:00:01Z");
    assert!(env.text(&last).starts_with("2026-03-01T13:00:01Z\n"));
    // Where the clock is not believed, the date is the newest that is.
    let far = sync(&env, "mallory", "stick")
        .at("2036-03-01T12:00:00Z")
        .run();
    assert!(
        env.text(&last).starts_with("2026-"),
        "{} {}",
        far.stderr,
        env.text(&last)
    );
}

/// Removes the parcels that wait at a node for the hub as if a server had taken them.
fn taken_online(env: &Env, at: &str) {
    let dir = format!("{at}/spool/out/{}", id("hub"));
    for name in env.names(&dir) {
        fs::remove_file(env.path(&dir).join(name)).unwrap();
    }
}

/// The medium, with cargo from mallory for the hub that holds one parcel for each of these ids.
fn carried_for_hub(env: &Env, parcels: &[&str]) {
    for message in parcels {
        let parcel = env.parcel_with("bob", "alice", b"x", &["--id", message]);
        put(env, "mallory", parcel);
    }
    route(env, "mallory");
    sync(env, "mallory", "stick").ok().quiet();
}

#[test]
fn cargo_goes_when_all_its_parcels_have_left_by_another_way() {
    let env = Env::with_gateways();
    medium(&env);
    carried_for_hub(&env, &["m1", "m2"]);
    let cargo = on_medium(&env, "cargo", "hub");
    assert_eq!(cargo.len(), 1);
    let out = format!("mallory/spool/out/{}", id("hub"));
    // One of them still waits.
    let first = env.names(&out).remove(0);
    fs::remove_file(env.path(&out).join(first)).unwrap();
    sync(&env, "mallory", "stick").ok().quiet();
    assert_eq!(on_medium(&env, "cargo", "hub"), cargo);
    taken_online(&env, "mallory");
    // Not by a run that only takes.
    let take = sync(&env, "mallory", "stick").arg("--take");
    take.ok().quiet();
    assert_eq!(on_medium(&env, "cargo", "hub"), cargo);
    let ran = sync(&env, "mallory", "stick").arg("--json").ok();
    let withdrawn: Vec<_> = ran
        .json()
        .into_iter()
        .filter(|it| it["event"] == "withdrawn")
        .collect();
    let [event] = &withdrawn[..] else {
        panic!("{withdrawn:?}");
    };
    let keys = [
        "v",
        "event",
        "medium",
        "file",
        "recipient",
        "acknowledgements",
        "size",
    ];
    assert_eq!(keys_in(event), keys);
    assert_eq!(
        (&event["recipient"], &event["acknowledgements"]),
        (&id("hub").into(), &0.into())
    );
    assert_eq!(on_medium(&env, "cargo", "hub"), [""; 0]);
    let records = env.names("mallory/spool/carried").remove(0);
    assert_eq!(
        env.names(&format!("mallory/spool/carried/{records}")),
        ["last"]
    );
    sync(&env, "mallory", "stick").ok().quiet();
    assert_eq!(on_medium(&env, "cargo", "hub"), [""; 0]);
}

/// The acknowledgements of the parcels that came from the hub go back, and with the next cargo.
#[test]
fn acknowledgements_in_cargo_that_goes_are_not_lost() {
    let env = Env::with_gateways();
    medium(&env);
    env.write("hub/routes", "* peer:mallory\n");
    put(
        &env,
        "hub",
        env.parcel_with("bob", "alice", b"y", &["--id", " an \"id\" "]),
    );
    route(&env, "hub");
    env.mkdir("inbox");
    env.write(
        "mallory/routes",
        format!(
            "{} dir:{}\n* peer:hub\n",
            id("alice"),
            env.path("inbox").display()
        ),
    );
    sync(&env, "mallory", "stick").ok().quiet();
    sync(&env, "hub", "stick").ok().quiet();
    assert_eq!(on_medium(&env, "cargo", "mallory").len(), 1);
    // Cargo with the acknowledgement and a parcel.
    put(
        &env,
        "mallory",
        env.parcel_with("alice", "bob", b"x", &["--id", "m1"]),
    );
    route(&env, "mallory");
    let ran = sync(&env, "mallory", "stick").arg("-v").ok();
    said(&ran, "stored");
    let cargo = on_medium(&env, "cargo", "hub");
    assert_eq!(cargo.len(), 1);
    let acks = format!("acks/{}", id("hub"));
    assert_eq!(queue(&env, "mallory", &acks), [""; 0]);
    taken_online(&env, "mallory");
    let ran = sync(&env, "mallory", "stick").arg("-v").ok();
    said(&ran, "withdrawn");
    assert!(ran.stderr.contains("acknowledgements=1"), "{}", ran.stderr);
    // It is in another cargo, which only acknowledges, and stays.
    let other = on_medium(&env, "cargo", "hub");
    assert_eq!(other.len(), 1);
    assert_ne!(other, cargo);
    assert_eq!(queue(&env, "mallory", &acks), [""; 0]);
    let ran = sync(&env, "mallory", "stick").arg("-v").ok();
    assert!(!ran.stderr.contains("withdrawn"), "{}", ran.stderr);
    assert_eq!(on_medium(&env, "cargo", "hub"), other);
    sync(&env, "hub", "stick").ok().quiet();
    route(&env, "hub");
    assert_eq!(
        state(&env, "hub", " an \"id\" "),
        (0, "acknowledged".to_owned())
    );
}

/// A parcel that nobody acknowledges is only in cargo: it has left its queue because of that.
#[test]
fn the_last_copy_of_a_parcel_stays_on_the_medium() {
    let env = Env::with_gateways();
    medium(&env);
    env.write("mallory/routes", "* peer:hub ack=no copies=1\n");
    carried_for_hub(&env, &["m1"]);
    assert_eq!(state(&env, "mallory", "m1"), (0, "released".to_owned()));
    let cargo = on_medium(&env, "cargo", "hub");
    assert_eq!(cargo.len(), 1);
    sync(&env, "mallory", "stick").ok().quiet();
    assert_eq!(on_medium(&env, "cargo", "hub"), cargo);
}
