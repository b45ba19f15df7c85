//! Twenty rounds in which both sides write twice before anything is opened, and open the later one first, some only rounds
//! later. In the middle their gateways renew certificates, and both endpoints the authorizations that they gave.
//!
//! Ours are `omar`, behind the gateway `oasis`, behind `old` on the Internet; all were made and certified fifty days ago for
//! ninety, so that in the middle everything is due. Theirs are `rend` (`road` has it) and `rlate`, a private gateway behind `old`.

use std::collections::BTreeSet;

use super::road::{OURS, THEIRS, identity_of};
use super::*;

/// The type of a parcel that holds an authorization.
const AUTHORIZATION: &str = "application/vnd+relaycorp.awala.pda-path";

/// Our endpoint.
const OMAR: &str = "oasis/endpoints/omar";

/// In each of them either side writes two messages.
const ROUNDS: i64 = 20;

/// After this one certificates and authorizations are renewed.
const ROTATED: i64 = 4;

/// Messages of one side that wait to be opened.
type Waiting = Vec<(String, Vec<u8>)>;

/// The session keys that one side used.
#[derive(Default)]
struct Keys {
    /// Those that its messages named.
    sent: Vec<String>,
    /// The one of its newest message that the other side has opened.
    newest_opened: Option<String>,
}

impl Keys {
    /// All messages are opened.
    fn opened(&mut self) {
        self.newest_opened = self.sent.last().cloned();
    }
}

pub(super) fn crossing(world: &mut World, them: &mut Reference) {
    introduce(world, them);
    let (mut ours, mut theirs) = (Keys::default(), Keys::default());
    let mut late: [Waiting; 2] = Default::default();
    for round in 0..ROUNDS {
        let waiting = write(world, them, round, (&mut ours, &mut theirs));
        for (side, mut messages) in waiting.into_iter().enumerate() {
            messages.reverse();
            // The first of the round is opened only after the rotation.
            if round == 3 {
                late[side].extend(messages.pop());
            }
            if round == 7 {
                messages.append(&mut late[side]);
            }
            for (file, text) in messages {
                open(world, them, side, &file, &text);
            }
        }
        for keys in [&mut ours, &mut theirs] {
            keys.opened();
        }
        if round == ROTATED {
            rotate(world, them, (&mut ours, &mut theirs));
        }
    }
    assert!(late.iter().all(Vec::is_empty));
    for side in ["ours", "theirs"] {
        let serial = |round: i64| {
            let file = format!("{side}.{round}.0");
            world.inspect(&file)["sender_certificate"]["serial"].clone()
        };
        assert_eq!(serial(0), serial(ROTATED));
        assert_ne!(serial(ROTATED), serial(ROTATED + 1), "{side}: not renewed");
        assert_eq!(serial(ROTATED + 1), serial(ROUNDS - 1));
    }
    // What they answer was written before ours of the same round came: a key of ours lasts two rounds, and the rotation.
    ours.sent.dedup();
    assert_eq!(ours.sent.len(), 11, "{:?}", ours.sent);
    let of_theirs: BTreeSet<&String> = theirs.sent.iter().collect();
    assert_eq!(of_theirs.len(), 41, "each message of theirs has another");
    world.row("messages that cross, 40 each way", "both", "both", 0);
}

/// When our nodes were made, and when rend was authorized. First session keys last sixty days.
fn made() -> [String; 2] {
    [ago(50 * 86_400), ago(49 * 86_400)]
}

/// Makes our nodes, and lets each endpoint send to the other.
fn introduce(world: &mut World, them: &mut Reference) {
    let [made, later] = made();
    let set = format!("--set clock=test --now {made}");
    world.relay(&format!("keygen {set} --type gateway --address {OURS} old"));
    world.relay(&format!("keygen {set} --type gateway oasis"));
    for node in ["old", "oasis"] {
        world.write(&format!("{node}.pub"), &identity_of(world, node));
    }
    them.ask(&["node", "rlate", "gateway"]);
    for node in ["oasis", "rlate"] {
        world.relay(&format!(
            "register --now {made} --valid 90d -N old --name {node} --der -o {node}.pnr {node}.pub"
        ));
    }
    world.relay(&format!(
        "import --now {made} -N oasis --name old oasis.pnr"
    ));
    them.ask(&["read-pnr", "rlate", "rlate.pnr"]);
    world.relay(&format!("keygen {set} -N oasis --endpoint omar"));
    world.write("omar.pub", &identity_of(world, OMAR));
    world.relay(&format!(
        "authorize --now {later} --valid 90d --der -N {OMAR} --name rend -o omar.pecp rend.pub"
    ));
    them.ask(&["read-pecp", "rend", "omar.pecp"]);
    them.ask(&["write-pecp", "rend", THEIRS, "omar.pub", "rend.pecp", "30"]);
    world.relay(&format!("import -q -N {OMAR} rend.pecp"));
    fs::create_dir(world.path("stick")).unwrap();
    world.relay("sync -q -N old --init stick");
}

/// Both sides write twice; what each wrote, in the order of its dates.
fn write(
    world: &World,
    them: &mut Reference,
    round: i64,
    (ours, theirs): (&mut Keys, &mut Keys),
) -> [Waiting; 2] {
    let omar = world.id("inspect --id omar.pub");
    let [mut from_us, mut from_them]: [Waiting; 2] = Default::default();
    for nth in 0..2 {
        // Seconds ago, while our messages are dated back by five minutes.
        let age = 2000 - 80 * round - 20 * nth;
        let text = format!("{round}.{nth} of ours").into_bytes();
        world.write("content", &text);
        let file = format!("ours.{round}.{nth}");
        let at = ago(age);
        world.relay(&format!(
            "seal -q --now {at} -N {OMAR} -t rend -o {file} content"
        ));
        note(world, &file, ours, theirs);
        from_us.push((file, text));

        let text = format!("{round}.{nth} of theirs").into_bytes();
        world.write("content", &text);
        let file = format!("theirs.{round}.{nth}");
        let age = (age - 10 + 300).to_string();
        them.ask(&["parcel", "rend", &omar, OURS, "content", &age, &file]);
        note(world, &file, theirs, ours);
        from_them.push((file, text));
    }
    [from_us, from_them]
}

/// Notes the key that a message names, and checks that it is sealed to the newest one that its sender can know.
fn note(world: &World, file: &str, own: &mut Keys, other: &Keys) {
    let payload = &world.inspect(file)["payload"];
    let key = |name: &str| payload[name].as_str().unwrap().to_owned();
    if let Some(newest) = &other.newest_opened {
        assert_eq!(key("recipient_key_id"), *newest, "{file}");
    }
    own.sent.push(key("originator_key_id"));
}

/// Opens a message of ours (0) or theirs (1).
fn open(world: &World, them: &mut Reference, side: usize, file: &str, text: &[u8]) {
    if side == 0 {
        them.ask(&["open-parcel", "rend", file, "rend.registered.der", "opened"]);
    } else {
        world.relay(&format!("open -q -f -N {OMAR} -o opened {file}"));
    }
    assert_eq!(world.read("opened"), text, "{file}");
}

/// Both sides' gateways renew what they issued, and the endpoints what they gave.
fn rotate(world: &mut World, them: &mut Reference, (ours, theirs): (&mut Keys, &mut Keys)) {
    // Else they would not believe that so many days passed at once.
    for node in ["old", "oasis"] {
        world.relay(&format!("purge -q -N {node} --trust-clock"));
    }
    world.relay("rotate -q -N old");
    ours_to_their_gateway(world, them);
    theirs_to_our_gateway(world, them);
    let parcel = ours_to_their_endpoint(world, them);
    note(world, &parcel, ours, theirs);
    theirs_to_our_endpoint(world, them);
    note(world, "theirs.parcel", theirs, ours);
    ours.opened();
    theirs.opened();
}

/// Their private gateway collects cargo with both forms of its rotation, takes the one that it can read, and uses it.
fn ours_to_their_gateway(world: &mut World, them: &mut Reference) {
    let [old, rlate] = ["old", "rlate"].map(|node| world.id(&format!("inspect --id {node}.pub")));
    them.ask(&["cca", "rlate", &old, OURS, "old.pub", "late.cca"]);
    lay(world, ("cca", &old, &rlate), "late.cca");
    visit(world, "old");
    let dir = format!("stick/relaynet/cargo/{rlate}");
    let [name] = names(world, &dir).try_into().unwrap();
    let file = format!("{dir}/{name}");
    let taken = them.ask(&["open-rotations", "rlate", &file, "rlate.der"]);
    assert_eq!(
        taken,
        ["2", "1"],
        "one in each form, of which they read one"
    );
    let what = "cargo with a rotation in both forms";
    world.row(what, "us", them.name, world.read(&file).len());

    them.ask(&["cargo", "rlate", &old, OURS, "late.cargo", "small.pca"]);
    world.relay("unpack-cargo -f -N old -o opened late.cargo");
    assert_eq!(world.read("opened"), world.read("small.pca"));
    let until = |file: &str| signed_until(world, file);
    assert!(
        until("late.cargo") > ago(-60 * 86_400),
        "the old certificate"
    );
}

/// Ours collects cargo with a rotation of theirs, and uses it.
fn theirs_to_our_gateway(world: &mut World, them: &mut Reference) {
    let [rhub, field] = ["rhub", "field"].map(|node| world.id(&format!("inspect --id {node}.pub")));
    world.relay("pack-cargo -f -N field -t rhub -o before.cargo small.parcel");
    them.ask(&[
        "write-rotation",
        "rhub",
        "gateway",
        "field.pub",
        "theirs.rotation",
    ]);
    them.ask(&[
        "cargo",
        "rhub",
        &field,
        "-",
        "theirs.cargo",
        "theirs.rotation",
    ]);
    lay(world, ("cargo", &field, &rhub), "theirs.cargo");
    visit(world, "field");
    let what = "cargo with a rotation";
    world.row(what, them.name, "us", world.read("theirs.cargo").len());

    world.relay("pack-cargo -f -N field -t rhub -o after.cargo small.parcel");
    them.ask(&["open-cargo", "rhub", "after.cargo", "rhub.der", "opened"]);
    let until = |file: &str| signed_until(world, file);
    assert!(until("after.cargo") > until("before.cargo"));
}

/// Ours reach oasis, by it omar, and by him rend.
fn ours_to_their_endpoint(world: &mut World, them: &mut Reference) -> String {
    for node in ["oasis", "old", "oasis"] {
        visit(world, node);
    }
    // Dated between the rounds.
    world.relay(&format!("rotate -q --now {} -N oasis", ago(1630)));
    let rend = world.id("inspect --id rend.pub");
    let dir = "oasis/spool/in";
    let for_rend = |name: &String| name.starts_with(&rend);
    let renewed: Vec<String> = names(world, dir).into_iter().filter(for_rend).collect();
    let [renewed] = renewed.as_slice() else {
        panic!("one authorization is renewed: {renewed:?}");
    };
    let parcel = format!("{dir}/{renewed}");
    let trust = "rend.registered.der";
    let opened = them.ask(&["open-parcel", "rend", &parcel, trust, "renewed"]);
    assert_eq!(opened[4], AUTHORIZATION);
    let facts = them.ask(&["read-pecp", "rend", "renewed"]);
    assert_eq!(facts[0], world.id("inspect --id omar.pub"));
    let until = |file: &str| world.inspect(file)["authorization"]["leaf"]["until"].clone();
    assert!(until("renewed").as_str() > until("omar.pecp").as_str());
    let size = world.read("renewed").len();
    world.row("renewed authorization", "us", them.name, size);
    parcel
}

/// Theirs is imported when it is opened, and never handed out.
fn theirs_to_our_endpoint(world: &mut World, them: &mut Reference) {
    let [omar, rend] = ["omar", "rend"].map(|node| world.id(&format!("inspect --id {node}.pub")));
    let held = format!("{OMAR}/peers/{rend}/held");
    assert_eq!(names(world, &held).len(), 1);
    them.ask(&["write-pecp", "rend", THEIRS, "omar.pub", "renewed"]);
    let parcel = [
        "parcel",
        "rend",
        &omar,
        OURS,
        "renewed",
        "1920",
        "theirs.parcel",
    ];
    them.ask(&[&parcel[..], &[AUTHORIZATION]].concat());
    let opened = world.relay(&format!("open -q -N {OMAR} theirs.parcel"));
    assert_eq!(opened, "");
    assert_eq!(names(world, &held).len(), 2);
    let size = world.read("renewed").len();
    world.row("renewed authorization", them.name, "us", size);
}

/// A stick comes to a gateway.
fn visit(world: &World, node: &str) {
    for (program, rest) in [("sync", " --take stick"), ("route", ""), ("sync", " stick")] {
        world.relay(&format!("{program} -q -N {node}{rest}"));
    }
}

/// Lays a message from one gateway to another onto the stick.
fn lay(world: &World, (kind, to, from): (&str, &str, &str), file: &str) {
    let octets = world.read(file);
    let digest = relaynet::asn1::Hex(&relaynet::crypto::sha256(&octets)).to_string();
    let dir = format!("stick/relaynet/{kind}/{to}");
    fs::create_dir_all(world.path(&dir)).unwrap();
    world.write(&format!("{dir}/{from}.{digest}.{kind}"), &octets);
}

/// The names in a directory.
fn names(world: &World, dir: &str) -> Vec<String> {
    let entries = fs::read_dir(world.path(dir)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// When the certificate ends under which a message is signed.
fn signed_until(world: &World, file: &str) -> String {
    let message = world.inspect(file);
    message["sender_certificate"]["until"]
        .as_str()
        .unwrap()
        .to_owned()
}
