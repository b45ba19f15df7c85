//! relay-ferry, stopped at each step: cargo gets to each side, and nothing is acknowledged that is not on the disk.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use super::law::{self, Step};
use super::refusals::is_sampled;
use crate::servers::authority::{LIFE, Leaf};
use crate::servers::site::each_at_once;
use crate::servers::{Authority, CargoRelay};
use crate::testenv::{Call, Env, copy_tree, id, sha256};

/// The gateway has cargo and a request for the hub on the medium red, and two parcels for it in its spool. There is cargo
/// for the gateway, two for the errand and one with the parcel c1 for the visit.
struct Made {
    env: Env,
    out: Vec<Vec<u8>>,
    back: Vec<Vec<u8>>,
    arriving: Vec<u8>,
    parcel: Vec<u8>,
}

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let env = Env::with_gateways();
        env.mkdir("red");
        env.relay("sync")
            .args(["-q", "-N", "hub", "--init", "red"])
            .ok();
        let parcel = |ends: (&str, &str), id: &str| {
            env.parcel_with(ends.0, ends.1, id.as_bytes(), &["--id", id])
        };
        let out: Vec<Vec<u8>> = ["o1", "o2"]
            .map(|id| env.cargo("gateway", "hub", parcel(("alice", "bob"), id)))
            .into();
        for cargo in &out {
            put(&env, "cargo", cargo);
        }
        put(&env, "cca", &env.cca("gateway", "hub"));
        let packed = |octets: Vec<u8>| {
            env.write("asked.cca", env.cca("gateway", "hub"));
            let pack = env
                .relay("pack-cargo")
                .args(["-N", "hub", "--cca", "asked.cca"]);
            pack.stdin(octets).ok().stdout
        };
        let back: Vec<Vec<u8>> = ["b1", "b2"]
            .map(|id| packed(parcel(("bob", "alice"), id)))
            .into();
        let arriving = parcel(("bob", "alice"), "c1");
        let made = packed(arriving.clone());
        for id in ["m1", "m2"] {
            let put = env.relay("put").args(["-q", "-N", "gateway"]);
            put.stdin(parcel(("alice", "bob"), id)).ok();
        }
        env.relay("route").args(["-q", "-N", "gateway"]).ok();
        Made {
            env,
            out,
            back,
            arriving: made,
            parcel: arriving,
        }
    })
}

fn put(env: &Env, kind: &str, octets: &[u8]) {
    let dir = format!("red/relaynet/{kind}/{}", id("hub"));
    fs::create_dir_all(env.path(&dir)).unwrap();
    let name = format!("{}.{}.{kind}", id("gateway"), sha256(octets));
    env.write(format!("{dir}/{name}"), octets);
}

/// A copy of it all, and a server that has shown who it is, or may be anybody.
struct Scene {
    env: Env,
    server: CargoRelay,
    is_visit: bool,
    /// What the server saw, all runs together.
    got: Vec<Vec<u8>>,
    acknowledged: Vec<Vec<u8>>,
}

impl Scene {
    fn errand() -> Self {
        let leaf = Authority::new().leaf(&["127.0.0.1"]);
        let scene = Self::with(&leaf, false, &made().back);
        // Pinned by the operator of a node, it is believed.
        let address = scene.server.address();
        let named = ["--host", &address, "--pin", &leaf.pin, "hub"];
        let named = scene.env.relay("peers").args(["-N", "gateway"]).args(named);
        named.ok();
        scene
    }

    fn visit() -> Self {
        let leaf = Leaf::self_signed(&["127.0.0.1"], LIFE);
        Self::with(&leaf, true, std::slice::from_ref(&made().arriving))
    }

    fn with(leaf: &Leaf, is_visit: bool, gives: &[Vec<u8>]) -> Self {
        let env = Env::new();
        copy_tree(made().env.root(), env.root());
        let server = CargoRelay::start(leaf);
        server.gives(gives);
        Self {
            env,
            server,
            is_visit,
            got: Vec::new(),
            acknowledged: Vec::new(),
        }
    }

    fn call(&self) -> Call<'_> {
        let call = self.env.relay("ferry");
        let call = call.args(["-q", "-N", "gateway", "--pause", "0s"]);
        if self.is_visit {
            let address = self.server.address();
            call.args(["--sync", "--courier-address", &address])
        } else {
            call.args(["--private", "red"])
        }
    }

    /// A run under a fault, or without one: its status, `None` if it was killed, and its diagnostics.
    fn run(&mut self, fault: &str) -> (Option<i32>, String) {
        let call = self.call();
        let output = match fault {
            "" => call.output(),
            fault => call.var("RELAY_FAULT", fault).output(),
        };
        // The server may still read what a killed client sent.
        self.server.settle();
        let seen = self.server.seen();
        self.got.extend(seen.cargo);
        self.acknowledged.extend(seen.acknowledged_cargo);
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    }

    fn steps(&mut self) -> Vec<Step> {
        let trace = self.env.path("trace");
        let (status, said) = self.run(&format!("trace:{}", trace.display()));
        assert_eq!((status, &*said), (Some(0), ""));
        let node = fs::canonicalize(self.env.path("gateway")).unwrap();
        let root = fs::canonicalize(self.env.root()).unwrap();
        // The law knows media by these names.
        let relative = |path: &str| {
            let path = path.replace(&*node.to_string_lossy(), "field");
            let path = path.replace(&*format!("{}/", root.display()), "");
            match path.split_once('/') {
                Some(("gateway", rest)) => format!("field/{rest}"),
                Some(("red", rest)) => format!("stick/{rest}"),
                _ => path,
            }
        };
        let text = fs::read_to_string(trace).unwrap();
        let lines = text.lines().map(|line| {
            let mut fields = line.split('\t');
            Step {
                op: fields.next().unwrap().to_owned(),
                paths: fields.map(relative).collect(),
            }
        });
        lines.collect()
    }

    /// Whether a file below a directory has these octets.
    fn holds(&self, dir: &str, octets: &[u8]) -> bool {
        let root = self.env.path(dir);
        root.exists() && files(&root).iter().any(|file| file == octets)
    }

    /// Checks what holds at every instant.
    fn nothing_is_lost(&self, what: &str) {
        for cargo in &self.acknowledged {
            let is_here = if self.is_visit {
                // Unpacked, what was in it is stored.
                self.holds("gateway/spool", cargo) || self.holds("gateway/spool", &made().parcel)
            } else {
                self.holds("red/relaynet/cargo", cargo)
            };
            assert!(is_here, "{what}: acknowledged, and not stored");
        }
        for cargo in &made().out {
            let is_somewhere = self.holds("red/relaynet/cargo", cargo) || self.got.contains(cargo);
            assert!(is_somewhere, "{what}: neither here nor at the server");
        }
    }

    /// Runs again until all is done, and checks it.
    fn finish(&mut self, what: &str) {
        for _ in 0..2 {
            let (status, said) = self.run("");
            assert_eq!((status, &*said), (Some(0), ""), "{what}");
        }
        if self.is_visit {
            let route = self.env.relay("route").args(["-q", "-N", "gateway"]);
            route.ok().quiet();
            let mailbox = format!("gateway/spool/out/{}", id("alice"));
            assert_eq!(self.env.names(&mailbox).len(), 1, "{what}");
            // A courier's word counts for nothing: both parcels still wait, and it has them.
            let out = format!("gateway/spool/out/{}", id("hub"));
            assert_eq!(self.env.names(&out).len(), 2, "{what}");
            assert!(!self.got.is_empty(), "{what}");
            // A killed run may leave a temporary file, which is removed after a day.
            let unpacked = format!("gateway/spool/wire/relaynet/cargo/{}", id("gateway"));
            assert!(!self.holds(&unpacked, &made().arriving), "{what}");
            return;
        }
        for cargo in &made().out {
            assert!(self.got.contains(cargo), "{what}");
            assert!(!self.holds("red/relaynet/cargo", cargo), "{what}");
        }
        for cargo in &made().back {
            assert!(self.holds("red/relaynet/cargo", cargo), "{what}");
        }
        let requests = format!("red/relaynet/cca/{}", id("hub"));
        assert!(self.env.names(&requests).is_empty(), "{what}");
    }
}

/// What is in the files below a directory.
fn files(dir: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(fs::read(entry.path()).unwrap());
        }
    }
    found
}

#[test]
fn the_order_of_steps_keeps_the_law() {
    let steps = Scene::errand().steps();
    law::check(&steps).unwrap();
    println!("an errand of two and two cargoes has {} steps", steps.len());
    let steps = Scene::visit().steps();
    law::check(&steps).unwrap();
    println!("a visit of one and one cargo has {} steps", steps.len());
}

/// Whether a file is one of what relay-ferry does by itself: the rest is that of relay-sync, which has tests of its own.
fn is_of_ferry(path: &str) -> bool {
    path.starts_with("stick/") || path.contains("/wire/relaynet/c") || path.contains(".given")
}

/// Stops runs at each step of its own and some of the others, and inside of each write.
fn sweep(name: &str, scene: fn() -> Scene) {
    let steps = scene().steps();
    let is_all = std::env::var_os("RELAY_ALL_FAULTS").is_some();
    let mut chunks: [Vec<String>; 4] = Default::default();
    let mut tried = 0;
    for (at, step) in (1..).zip(&steps) {
        let torn = step.writes().then_some("torn");
        for fault in ["kill"].into_iter().chain(torn) {
            let is_own = step.paths.iter().any(|path| is_of_ferry(path));
            if !is_all && !is_own && !is_sampled(&format!("{name} {at} {fault}")) {
                continue;
            }
            chunks[tried % 4].push(format!("{fault}:{at}"));
            tried += 1;
        }
    }
    assert!(tried > 0);
    each_at_once(chunks, |faults| {
        for fault in faults {
            let mut scene = scene();
            let (status, said) = scene.run(&fault);
            // What came in another order may take fewer steps.
            assert!(matches!(status, None | Some(0)), "{fault}: {said}");
            scene.nothing_is_lost(&fault);
            scene.finish(&fault);
            scene.nothing_is_lost(&fault);
        }
    });
    println!("{name}: {tried} points");
}

#[test]
fn an_errand_that_is_killed_anywhere_loses_nothing() {
    sweep("errand", Scene::errand);
}

#[test]
fn a_visit_that_is_killed_anywhere_loses_nothing() {
    sweep("visit", Scene::visit);
}
