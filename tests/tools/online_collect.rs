//! relay-online collects: only what is stored, or refused for good, is acknowledged.

use std::sync::OnceLock;

use jiff::SignedDuration;
use relaynet::ramf::Kind;

use crate::online::Answer;
use crate::online::collecting::{Session, Step, Upgrade, frame, frame_header};
use crate::online::gateway::{Clock, Event};
use crate::online::http::Date;
use crate::online::site::{Site, each_at_once, node_id};
use crate::testenv::{Env, NOW, Ran, forged, id, self_issued, sha256};

/// What may come.
struct Made {
    env: Env,
    /// Parcels from bob for alice, whose gateway collects.
    good: Vec<Vec<u8>>,
}

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let env = Env::with_gateways();
        // Alice fetches what is for her in some other way.
        env.write("gateway/routes", format!("{} peer:alice\n", id("alice")));
        let good = ["m1", "m2", "m3"];
        let good = good.map(|it| env.parcel_with("bob", "alice", it.as_bytes(), &["--id", it]));
        Made {
            env,
            good: good.into(),
        }
    })
}

fn site() -> Site {
    Site::copy_of(&made().env)
}

fn good() -> Vec<Vec<u8>> {
    made().good.clone()
}

/// A parcel that expired half an hour before the earliest time that may be.
fn expired() -> Vec<u8> {
    forged(&made().good[0], "bob", |it| {
        it.fields.date = "2026-03-01T09:29:00Z".parse().unwrap();
        it.fields.ttl = 60;
    })
}

/// The parcels that wait at gateway.
fn stored(site: &Site) -> Vec<String> {
    let names = site.queue("gateway", "in").into_iter();
    let mut digests: Vec<String> = names
        .map(|name| sha256(&site.env.read(format!("gateway/spool/in/{name}"))))
        .collect();
    digests.sort();
    digests
}

fn digests(parcels: &[Vec<u8>]) -> Vec<String> {
    let mut digests: Vec<String> = parcels.iter().map(|it| sha256(it)).collect();
    digests.sort();
    digests
}

/// Checks that all that was acknowledged is stored, but for these.
#[track_caller]
fn nothing_is_lost(site: &Site, refused: &[Vec<u8>]) {
    let (stored, refused) = (stored(site), digests(refused));
    for digest in site.gateway.acknowledged() {
        assert!(
            stored.contains(&digest) || refused.contains(&digest),
            "{digest}"
        );
    }
}

#[test]
fn what_is_collected_is_stored_then_acknowledged() {
    let site = site();
    for parcel in good() {
        site.gateway.post(node_id("gateway"), parcel);
    }
    let ran = site.online("gateway").arg("-v").ok().stdout("");
    assert_eq!(
        ran.stderr.matches("event=collected").count(),
        3,
        "{}",
        ran.stderr
    );
    assert_eq!(stored(&site), digests(&good()));
    assert!(site.gateway.mailbox(node_id("gateway")).is_empty());
    site.online("gateway").arg("-q").ok().quiet().stdout("");
    // What comes again is known.
    site.gateway.post(node_id("gateway"), good().remove(0));
    let ran = site.online("gateway").arg("-v").ok();
    assert_eq!(
        ran.stderr.matches("event=repeated").count(),
        1,
        "{}",
        ran.stderr
    );
    assert_eq!(stored(&site), digests(&good()));
    assert!(site.gateway.mailbox(node_id("gateway")).is_empty());
}

/// What became of a parcel in the mailbox that another one follows: the run's status, whether it was acknowledged.
#[track_caller]
fn delivered(site: &Site, parcel: &[u8]) -> (i32, bool, Ran) {
    site.gateway.post(node_id("gateway"), parcel);
    site.gateway.post(node_id("gateway"), good().remove(1));
    let ran = site.online("gateway").run();
    let is_acknowledged = site.gateway.acknowledged().contains(&sha256(parcel));
    assert!(
        site.gateway.acknowledged().contains(&sha256(&good()[1])),
        "{}",
        ran.stderr
    );
    nothing_is_lost(site, &[parcel.to_vec()]);
    (ran.status, is_acknowledged, ran)
}

#[test]
fn what_is_refused_for_good_is_acknowledged_and_what_may_come_in_later_is_not() {
    let first = good().remove(0);
    let env = &made().env;
    let mut broken = first.clone();
    *broken.last_mut().unwrap() ^= 1;
    let day = SignedDuration::from_hours(24);
    for (what, parcel, status, is_acknowledged) in [
        ("no message", b"junk".to_vec(), 0, true),
        ("nothing", Vec::new(), 0, true),
        ("cut", first[..first.len() - 1].to_vec(), 0, true),
        ("a bad signature", broken, 0, true),
        (
            "of another key",
            forged(&first, "mallory", |it| it.fields.id = "x".to_owned()),
            0,
            true,
        ),
        (
            "cargo",
            forged(&first, "bob", |it| it.kind = Kind::Cargo),
            0,
            true,
        ),
        ("for others", env.parcel("alice", "bob", b"hello"), 0, true),
        ("expired", expired(), 0, true),
        (
            "early",
            forged(&first, "bob", |it| it.fields.date += day),
            75,
            false,
        ),
    ] {
        let site = site();
        let (found, acknowledged, ran) = delivered(&site, &parcel);
        assert_eq!(
            (found, acknowledged),
            (status, is_acknowledged),
            "{what}: {}",
            ran.stderr
        );
        assert_eq!(ran.diagnostics().len(), 1, "{what}: {}", ran.stderr);
        assert_eq!(site.queue("gateway", "failed"), [""; 0], "{what}");
    }
}

#[test]
fn by_clocks_that_differ_nothing_is_refused_for_its_dates() {
    let hours = SignedDuration::from_hours;
    let mut table = vec![
        (Date::Absent, false),
        (Date::Text("yesterday".to_owned()), false),
    ];
    for (shift, agrees) in [
        (0, true),
        (1, true),
        (-1, true),
        (3, false),
        (-3, false),
        (72, false),
        (-72, false),
        (24 * 365, false),
        (-24 * 365, false),
    ] {
        table.push((Date::Shifted(hours(shift)), agrees));
    }
    each_at_once(table, |(date, agrees)| {
        let site = site();
        site.gateway.set_date(date.clone());
        let (status, is_acknowledged, ran) = delivered(&site, &expired());
        let expected = if agrees { 0 } else { 80 };
        assert_eq!(
            (status, is_acknowledged),
            (expected, agrees),
            "{date:?}: {}",
            ran.stderr
        );
    });
}

#[test]
fn by_a_clock_that_is_not_believed_nothing_is_refused_for_its_dates() {
    let site = site();
    let late = "2026-07-01T12:00:00Z";
    site.gateway.set_clock(Clock::At(late.parse().unwrap()));
    let parcel = good().remove(0);
    site.gateway.post(node_id("gateway"), parcel.clone());
    let ran = site.online("gateway").at(late).ends(80);
    assert_eq!(site.gateway.acknowledged(), [""; 0], "{}", ran.stderr);
    assert_eq!(stored(&site), [""; 0]);
    site.gateway.set_clock(Clock::At(NOW.parse().unwrap()));
    site.online("gateway").ok();
    assert_eq!(site.gateway.acknowledged(), [sha256(&parcel)]);
}

/// The steps after the handshake in which these parcels are sent.
fn sends(parcels: &[Vec<u8>], then: impl IntoIterator<Item = Step>) -> Session {
    let deliveries = parcels.iter().cloned().map(Step::Deliver);
    Session::after_handshake(deliveries.chain(then))
}

/// A run with the next session: its status. Nothing that is acknowledged is lost, and the run after it gets the rest.
#[track_caller]
fn session(site: &Site, session: Session) -> Ran {
    site.gateway.collect_next(session);
    let ran = site.online("gateway").run();
    nothing_is_lost(site, &[]);
    for parcel in good() {
        site.gateway.post(node_id("gateway"), parcel);
    }
    site.online("gateway").ok();
    assert_eq!(stored(site), digests(&good()), "{}", ran.stderr);
    ran
}

#[test]
fn each_end_has_its_status() {
    let closes = |code| {
        vec![
            Step::Acknowledgements(3),
            Step::Close(code, "because\u{1b}[2J"),
        ]
    };
    let early = |code| vec![Step::Close(code, "")];
    let table = [
        (0, closes(1000)),
        (75, closes(1001)),
        (76, closes(1002)),
        (76, closes(1003)),
        (76, closes(1008)),
        (76, closes(1009)),
        (75, closes(1011)),
        (75, closes(1012)),
        (76, closes(3000)),
        (75, closes(4000)),
        (76, closes(4001)),
        (75, vec![Step::Acknowledgements(3), Step::CloseWithoutCode]),
        (75, vec![Step::Acknowledgements(3), Step::Cut]),
        (75, early(1000)),
        (75, early(4000)),
        (76, early(1003)),
        (75, vec![Step::Cut]),
        (76, vec![Step::Text("hello".to_owned())]),
        (76, vec![Step::Binary(b"junk".to_vec())]),
        (76, vec![Step::Binary(Vec::new())]),
        (76, vec![Step::Nonce(16)]),
        // Of a message that is too long, not even the frame's head is believed.
        (
            76,
            vec![Step::Raw(frame_header(0x82, 9_438_209)), Step::Silence],
        ),
        (
            76,
            vec![Step::Raw(frame_header(0x82, u64::MAX)), Step::Silence],
        ),
        (76, vec![Step::Raw(frame(0x83, b"x")), Step::Silence]),
        (76, vec![Step::Raw(frame(0xc2, b"x")), Step::Silence]),
        (
            75,
            vec![
                Step::Raw(frame_header(0x82, 5000)),
                Step::Raw(vec![0; 1000]),
                Step::Cut,
            ],
        ),
        (75, vec![Step::Raw(frame_header(0x82, 5000)), Step::Cut]),
    ];
    each_at_once(table, |(status, steps)| {
        let site = site();
        let shown = format!("{:.200}", format!("{steps:?}"));
        let ran = session(&site, sends(&good(), steps));
        assert_eq!(ran.status, status, "{shown}: {}", ran.stderr);
        assert_eq!(
            ran.diagnostics().len(),
            usize::from(status > 0),
            "{shown}: {}",
            ran.stderr
        );
        ran.stdout("");
    });
}

#[test]
fn each_refusal_before_the_first_parcel_has_its_status() {
    let answer = |status| Session::refused(Answer::message(status, "because"));
    let usual = |upgrade| Session::usual().upgraded(upgrade);
    let of = |steps: &[Step]| Session::of(steps.to_vec());
    for (status, refusal) in [
        (76, answer(200)),
        (75, answer(302)),
        (76, answer(400)),
        (69, answer(401)),
        (76, answer(403)),
        (76, answer(404)),
        (75, answer(429)),
        (75, answer(500)),
        (75, answer(503)),
        (76, usual(Upgrade::WrongKey)),
        (
            76,
            usual(Upgrade::With("Sec-WebSocket-Protocol", "chat".to_owned())),
        ),
        (
            76,
            usual(Upgrade::Raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec())),
        ),
        (75, usual(Upgrade::Raw(Vec::new()))),
        (75, usual(Upgrade::Raw(b"HTTP/1.1 101 Switch".to_vec()))),
        (76, of(&[Step::Nonce(0), Step::AnyResponse])),
        (76, of(&[Step::Nonce(65), Step::AnyResponse])),
        (76, of(&[Step::Binary(b"junk".to_vec()), Step::AnyResponse])),
        (76, of(&[Step::Text("hello".to_owned()), Step::AnyResponse])),
        (
            76,
            of(&[Step::Deliver(good().remove(0)), Step::AnyResponse]),
        ),
        (76, of(&[Step::Close(1000, "")])),
        (75, of(&[Step::Close(1011, "")])),
        (76, of(&[Step::Close(1003, "")])),
        (75, of(&[Step::Cut])),
        (75, of(&[Step::Nonce(16), Step::Cut])),
        (75, of(&[Step::Nonce(16), Step::AnyResponse, Step::Cut])),
        (
            76,
            of(&[
                Step::Nonce(16),
                Step::AnyResponse,
                Step::Close(1003, "Nonce signature is invalid"),
            ]),
        ),
        // RS-016's nonces have 16 octets, and other gateways have others.
        (0, of(&[Step::Nonce(1), Step::Response, Step::Mailbox])),
        (0, of(&[Step::Nonce(64), Step::Response, Step::Mailbox])),
    ] {
        let site = site();
        let shown = format!("{:.200}", format!("{refusal:?}"));
        let ran = session(&site, refusal);
        assert_eq!(ran.status, status, "{shown}: {}", ran.stderr);
        assert_eq!(
            ran.diagnostics().len(),
            usize::from(status > 0),
            "{shown}: {}",
            ran.stderr
        );
    }
}

#[test]
fn an_early_parcel_alone_ends_as_early() {
    let site = site();
    let day = SignedDuration::from_hours(24);
    let early = forged(&made().good[0], "bob", |it| it.fields.date += day);
    site.gateway.post(node_id("gateway"), early.clone());
    let text = "hub: delivery 8f14e45f-ceea-467f-a0e6-000000000001: dated in the future";
    let ran = site.online("gateway").ends(81).says(&[text]).stdout("");
    assert_eq!(site.gateway.acknowledged(), [""; 0], "{}", ran.stderr);
    let journal = site.gateway.journal();
    journal.wait("an end in good order", |it| {
        it.last() == Some(&Event::Ended(Some(1000)))
    });
    // A day later it comes in.
    let later = "2026-03-02T12:00:00Z";
    site.gateway.set_clock(Clock::At(later.parse().unwrap()));
    site.online("gateway").at(later).ok().quiet();
    assert_eq!(stored(&site), [sha256(&early)]);
}

#[test]
fn the_same_parcel_under_two_ids_is_stored_once_and_one_id_names_one_parcel() {
    let site = site();
    let [first, second, _] = &good()[..] else {
        unreachable!()
    };
    let twice = [first.clone(), first.clone()];
    site.gateway.collect_next(sends(
        &twice,
        [Step::Acknowledgements(2), Step::Close(1000, "")],
    ));
    let ran = site.online("gateway").arg("-v").ok();
    assert!(
        ran.stderr.contains("event=repeated") && ran.stderr.contains("event=collected"),
        "{}",
        ran.stderr
    );
    assert_eq!(stored(&site), digests(std::slice::from_ref(first)));
    let as_one = |parcel: &Vec<u8>| Step::DeliverAs("one".to_owned(), parcel.clone());
    let steps = [
        as_one(second),
        as_one(first),
        Step::Acknowledgements(1),
        Step::Silence,
    ];
    site.gateway.collect_next(Session::after_handshake(steps));
    site.online("gateway").ends(76).says_somewhere("came twice");
    nothing_is_lost(&site, &[]);
    // Once it is acknowledged, an id may name another parcel.
    let steps = [
        as_one(first),
        Step::Acknowledgements(1),
        as_one(second),
        Step::Acknowledgements(1),
        Step::Close(1000, ""),
    ];
    site.gateway.collect_next(Session::after_handshake(steps));
    site.online("gateway").ok();
    assert_eq!(stored(&site), digests(&[first.clone(), second.clone()]));
}

#[test]
fn hundreds_of_parcels_are_stored_in_batches() {
    let site = site();
    let parcel = &good()[0];
    let many: Vec<Vec<u8>> = (0..200)
        .map(|at| forged(parcel, "bob", |it| it.fields.id = format!("n{at}")))
        .collect();
    for parcel in &many {
        site.gateway.post(node_id("gateway"), parcel.clone());
    }
    site.online("gateway").ok().quiet();
    assert_eq!(stored(&site), digests(&many));
    assert_eq!(site.gateway.acknowledged().len(), 200);
}

#[test]
fn a_gateway_that_stops_pinging_is_gone_and_one_that_never_pings_is_not() {
    each_at_once([true, false], |pings| {
        let site = site();
        let first = [
            Step::Ping,
            Step::Deliver(good().remove(0)),
            Step::Acknowledgements(1),
        ];
        let steps = if pings { &first[..] } else { &first[1..] };
        let mut session = Session::after_handshake(steps.to_vec()).without_pings();
        if pings {
            session.steps.push(Step::Silence);
        } else {
            session.steps.push(Step::Close(1000, ""));
        }
        site.gateway.collect_next(session);
        let ran = site.online("gateway").ends(if pings { 75 } else { 0 });
        if pings {
            ran.says_somewhere("no answer for 7 s");
        }
        assert_eq!(stored(&site), digests(&good()[..1]));
    });
}

/// Half a minute each, all at once: with `CI_FULL=1`.
#[test]
fn silence_at_any_point_ends_the_run() {
    if std::env::var_os("CI_FULL").is_none() {
        return;
    }
    let steps = |steps: &[Step]| Session::of(steps.to_vec()).without_pings();
    let table = [
        Session::usual().upgraded(Upgrade::Silence),
        Session::usual().upgraded(Upgrade::Raw(b"HTTP/1.1 101 ".to_vec())),
        steps(&[Step::Silence]),
        Session::of(vec![Step::OnlyPings]),
        steps(&[Step::Nonce(16), Step::Silence]),
        steps(&[Step::Nonce(16), Step::AnyResponse, Step::Silence]),
        Session::after_handshake([Step::OnlyPings]),
        Session::after_handshake([Step::Raw(frame_header(0x82, 5000)), Step::Silence])
            .without_pings(),
        sends(&good(), [Step::Acknowledgements(3), Step::OnlyPings]),
    ];
    each_at_once(table, |session| {
        let site = site();
        let shown = format!("{:.200}", format!("{session:?}"));
        site.gateway.collect_next(session);
        let started = std::time::Instant::now();
        let ran = site.online("gateway").run();
        let is_cut = shown.contains("Raw([72, 84");
        assert_eq!(ran.status, 75, "{shown}: {}", ran.stderr);
        assert!(started.elapsed().as_secs() < 60, "{shown}");
        assert_eq!(
            ran.stderr.contains("no answer for 30 s"),
            !is_cut,
            "{shown}: {}",
            ran.stderr
        );
        nothing_is_lost(&site, &[]);
    });
}

#[test]
fn the_largest_parcel_keeps_no_other_from_coming() {
    let site = site();
    let mut junk = b"Awala\x50\x00".to_vec();
    junk.resize(9_437_184, 0x30);
    site.gateway.post(node_id("gateway"), junk.clone());
    site.gateway.post(node_id("gateway"), good().remove(0));
    site.online("gateway").ok();
    assert_eq!(stored(&site), digests(&good()[..1]));
    let acknowledged = site.gateway.acknowledged();
    assert_eq!(acknowledged, [sha256(&junk), sha256(&good()[0])]);
}

#[test]
fn a_pause_that_is_asked_for_where_parcels_are_collected_is_made() {
    let site = site();
    let answer = Answer::message(503, "busy").with("Retry-After", "300");
    site.gateway.collect_next(Session::refused(answer));
    site.online("gateway").ends(75).says_somewhere("503: ");
    assert_eq!(site.host("gateway")["next_try"], "2026-03-01T12:05:00Z");
    site.online("gateway").ok().quiet();
    assert!(site.host("gateway")["next_try"].is_null());
}

/// Whether a path is missing may depend on the clock, as for dates.
#[test]
fn without_authorization_nothing_comes_home() {
    let env = Env::with_gateways();
    env.introduce("bob", "gateway", &[]);
    let good = env.parcel("bob", "gateway", b"hello");
    let bad = forged(&good, "bob", |it| {
        it.certificates = vec![self_issued("bob")];
    });
    let site = Site::of(env);
    site.gateway.post(node_id("gateway"), bad.clone());
    site.gateway.set_date(Date::Absent);
    site.online("gateway").ends(77).stdout("");
    assert_eq!(site.gateway.acknowledged(), [""; 0]);
    site.gateway.set_date(Date::Shifted(SignedDuration::ZERO));
    site.gateway.post(node_id("gateway"), good.clone());
    site.online("gateway").ok();
    assert_eq!(site.gateway.acknowledged(), [sha256(&bad), sha256(&good)]);
    assert_eq!(stored(&site), [sha256(&good)]);
}
