//! relay-online with several gateways: one that is hostile keeps nothing from the others.

use crate::online::Gateway;
use crate::online::collecting::{Session, Step, Upgrade};
use crate::online::gateway::Event;
use crate::online::site::{Site, each_at_once, node_id};
use crate::testenv::{Env, HUB, sha256};

/// The address of the gateway that is hostile, and its server.
const OTHER: &str = "other.example.org";
const OTHER_HOST: &str = "poweb.other.example.org";

/// Nodes of which gateway is registered with two Internet gateways, hub and mallory.
fn made() -> Env {
    let env = Env::new();
    env.make_node("hub", &["--type", "gateway", "--address", HUB]);
    env.make_node("mallory", &["--type", "gateway", "--address", OTHER]);
    env.make_node("gateway", &["--type", "gateway"]);
    env.register("hub", "gateway", &[]);
    let public = env.relay("export").args(["-N", "gateway"]).ok().stdout;
    let register = env
        .relay("register")
        .args(["-q", "-N", "mallory", "--name", "gateway"]);
    let registration = register.stdin(public).ok().stdout;
    let import = env.relay("import").args(["-q", "-N", "gateway"]);
    let import = import.args(["--name", "mallory", "--replace"]);
    import.stdin(registration).ok();
    env.make_node("bob", &[]);
    env.introduce("bob", "gateway", &[]);
    env
}

/// How a gateway is hostile.
fn hostile(how: usize) -> Session {
    let again = || Step::Deliver(b"junk".to_vec());
    match how {
        // It delivers the same again and again, and does not end.
        0 => Session::after_handshake((0..4200).map(|_| again()).chain([Step::OnlyPings])),
        // It acknowledges what nobody sends: text, where a delivery must be.
        1 => Session::after_handshake([Step::Text("8f14e45f".to_owned()), Step::Silence]),
        // It hangs.
        _ => Session::usual().upgraded(Upgrade::Silence),
    }
}

#[test]
fn a_hostile_gateway_keeps_nothing_from_another() {
    let made = made();
    let from_hub = made.parcel_with("bob", "gateway", b"from hub", &["--id", "m1"]);
    each_at_once(0..3, |how| {
        let site = Site::copy_of(&made);
        let other = Gateway::start(&site.env, "mallory", &site.authority, OTHER_HOST);
        other.announce(&site.resolver, OTHER, OTHER_HOST);
        other.collect_always(hostile(how));
        site.gateway.post(node_id("gateway"), from_hub.clone());
        let mut run = site
            .online("gateway")
            .arg("-q")
            .to_command()
            .spawn()
            .unwrap();
        drop(run.stdin.take());
        // While the hostile one still has the run.
        let digest = sha256(&from_hub);
        let is_it = |it: &Event| matches!(it, Event::Acknowledged(_, Some(of)) if *of == digest);
        let journal = site.gateway.journal();
        journal.wait("the parcel is taken", |all| all.iter().any(is_it));
        if how == 2 {
            assert!(run.try_wait().unwrap().is_none(), "the other one hangs");
            run.kill().unwrap();
        }
        let output = run.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let status = [Some(0), Some(76), None][how];
        assert_eq!(output.status.code(), status, "{how}: {said}");
    });
}
