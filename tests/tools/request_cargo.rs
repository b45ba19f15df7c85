//! relay-request-cargo: CCAs.

use relaynet::message::Cca;
use relaynet::ramf::SignedMessage;

use crate::testenv::{Env, HUB, id};

fn parsed(cca: Vec<u8>) -> SignedMessage {
    Cca::parse(cca).unwrap().into_message()
}

#[test]
fn a_cca_is_signed_under_the_registration_and_dated_back() {
    let env = Env::with_gateways();
    let ran = env
        .relay("request-cargo")
        .args(["-N", "gateway", "-t", "hub"])
        .ok()
        .quiet()
        .changes(&[
            "+gateway/peers/HUB/given",
            "+gateway/peers/HUB/given/20260315T120000Z.HEX.pem",
            "+gateway/sessions/HUB",
            "+gateway/sessions/HUB/HEX.key",
        ]);
    let cca = parsed(ran.stdout.clone());
    let fields = cca.fields();
    assert_eq!(fields.recipient.to_string(), id("hub"));
    assert_eq!(fields.address.as_ref().unwrap().as_str(), HUB);
    assert_eq!(fields.date.to_string(), "2026-03-01T10:30:00Z");
    assert_eq!(fields.expiry().to_string(), "2026-03-15T12:00:00Z");
    assert_eq!(
        cca.attached().len(),
        0,
        "it must fit the metadata of a request"
    );
    let issuer = env
        .relay("inspect")
        .arg("--json")
        .stdin(ran.stdout.clone())
        .ok()
        .json();
    assert_eq!(
        issuer[0]["sender_certificate"]["issuer_common_name"],
        id("hub")
    );
    assert!("Relaynet-CCA ".len() + ran.stdout.len().div_ceil(3) * 4 <= 6000);
    env.relay("verify")
        .args(["-N", "hub"])
        .stdin(ran.stdout)
        .ok();

    env.relay("request-cargo")
        .args(["-q", "-N", "gateway", "-t", "hub", "-d", "stick"])
        .ok()
        .changes(&[
            "+gateway/peers/HUB/given/20260315T120000Z.HEX.pem",
            "+stick/HUB.GATEWAY.HEX.cca",
        ]);
    let longer = env
        .relay("request-cargo")
        .args(["-N", "gateway", "-t", "hub", "--valid", "60d"])
        .ok()
        .quiet();
    assert_eq!(
        parsed(longer.stdout).fields().expiry().to_string(),
        "2026-04-30T12:00:00Z"
    );
}

#[test]
fn only_a_gateway_that_registered_us_can_be_asked() {
    let env = Env::with_gateways();
    let ask = |node: &str, to: &str| env.relay("request-cargo").args(["-N", node, "-t", to]);
    ask("alice", "gateway").fails(64, "alice is an endpoint, not a gateway");
    ask("gateway", "alice").fails(77, "alice has not registered this node");
    ask("gateway", "nobody").fails(67, "no peer is known as nobody");
    ask("hub", "gateway").fails(77, "gateway has not registered this node");
    ask("gateway", "hub")
        .at("2026-08-28T00:00:00Z")
        .fails(80, "the registration with hub ends at 2026-08-28T06:00:00Z");
    ask("gateway", "hub")
        .at("2026-05-05T00:00:00Z")
        .fails(80, "the first session key of hub expired at");
    env.relay("request-cargo")
        .args(["-N", "gateway"])
        .fails(64, "");
    env.write("x", "");
    ask("gateway", "hub")
        .args(["-o", "x"])
        .fails(73, "x: already exists");
    env.chmod("gateway/identity.key", 0o644);
    ask("gateway", "hub")
        .run()
        .says(&["gateway/identity.key: open to other users"]);
}

#[test]
fn peers_without_an_internet_gateway_need_no_cca() {
    let env = Env::with_peering();
    env.relay("request-cargo")
        .args(["-N", "gateway", "-t", "mallory"])
        .fails(77, "mallory has not registered this node");
}

#[test]
fn explicit_files_leave_no_trace() {
    let env = Env::with_gateways();
    let keys = env.keys("mallory");
    let public = env.relay("export").args(["-N", "mallory"]).ok().stdout;
    let registration = env
        .relay("register")
        .args(["-q", "-N", "hub"])
        .stdin(public)
        .ok()
        .stdout;
    env.write("mallory.pnr", registration);
    let ask = |options: &[&str]| {
        env.relay("request-cargo")
            .args(["--identity-key", &keys.identity, "--params", "mallory.pnr"])
            .args(options)
    };
    let ran = ask(&["--save-session-key", "s.key", "-o", "x.cca"])
        .ok()
        .quiet()
        .changes(&["+s.key", "+x.cca"]);
    assert_eq!(ran.status, 0);
    env.relay("pack-cargo")
        .args(["-q", "-N", "hub", "--cca", "x.cca", "-o", "x.cargo"])
        .stdin(env.parcel("bob", "alice", b"x"))
        .ok();
    env.relay("unpack-cargo")
        .args(["--session-key", "s.key", "--trust", &keys.public, "x.cargo"])
        .args(["--recipient", &id("mallory")])
        .ok()
        .quiet();
    ask(&["-N", "mallory"]).fails(64, "-N cannot be used with --params");
    ask(&["-t", "hub"]).fails(64, "");
    let other = env.keys("gateway");
    env.relay("request-cargo")
        .args(["--identity-key", &other.identity, "--params", "mallory.pnr"])
        .fails(67, "mallory.pnr: made for");
}

#[test]
fn a_cca_that_ends_too_soon_is_warned_of() {
    let env = Env::with_gateways();
    let ask = |valid: &str| {
        env.relay("request-cargo")
            .args(["-N", "gateway", "-t", "hub", "--valid", valid])
    };
    let never = "gateways stop answering a CCA a day before it ends: this one is never answered";
    let little = "gateways stop answering a CCA a day before it ends: this one is of little use";
    ask("1h").ok().says(&[never]);
    ask("86399s").ok().says(&[never]);
    ask("24h").ok().says(&[little]);
    ask("47h").ok().says(&[little]);
    ask("48h").ok().quiet();
    // So does the registration.
    env.register("hub", "gateway", &["--valid", "30h"]);
    std::fs::remove_dir_all(env.path("gateway/certs")).unwrap();
    env.register("hub", "gateway", &["--valid", "30h"]);
    ask("14d").ok().says(&[
        "the CCA for hub ends at 2026-03-02T18:00:00Z, with our registration there",
        little,
    ]);
}
