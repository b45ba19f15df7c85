//! How each step of a message's way grows with the messages there are: whole processes on a real file system, with
//! queues of growing length.
//!
//! `cargo bench --bench growth` measures the programs of the dist profile; `RELAY_BENCH_BIN` names another directory of
//! programs, `RELAY_BENCH_DIR` the directory whose file system is used (`target/` by default), `RELAY_BENCH_PARCELS`
//! how many parcels the longest queue has (100000); the others have a tenth and a hundredth.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a bench that cannot go on may as well stop
#![allow(clippy::cast_precision_loss)] // figures are shown, not counted on

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "measure.rs"]
mod measure;
#[path = "pair.rs"]
mod pair;
#[path = "parcels.rs"]
mod parcels;
#[path = "programs.rs"]
mod programs;

use pair::Pair;
use programs::{Place, Usage};

const MIB: f64 = 1024.0 * 1024.0;

/// One parcel more than the queue has is sealed, for the put that finds the queue there.
const SINGLE: &str = "put one more";

/// What is measured, in the order of a message's way.
const STEPS: [(&str, &str); 17] = [
    ("put", "relay-put -q -N anton stream"),
    ("put again", "relay-put -q -N anton stream"),
    (SINGLE, "relay-put -q -N anton single"),
    ("list", "relay-list -N anton"),
    ("check", "relay-check -q -N anton"),
    ("purge, nothing to remove", "relay-purge -q -N anton"),
    ("route", "relay-route -q -N anton"),
    ("sync: give", "relay-sync -q -N anton stick"),
    ("carry", "relay-carry -q stick copy"),
    ("carry again", "relay-carry -q stick copy"),
    ("sync: take", "relay-sync -q -N berta stick"),
    ("sync: take again", "relay-sync -q -N berta copy"),
    ("route, to home", "relay-route -q -N berta"),
    (
        "deliver",
        "relay-deliver -q -N berta/endpoints/bert --dir inbox",
    ),
    ("sync: acknowledge", "relay-sync -q -N berta stick"),
    (
        "sync: take acknowledgements",
        "relay-sync -q -N anton stick",
    ),
    ("route, what is acknowledged", "relay-route -q -N anton"),
];

fn main() {
    let parent = env::var_os("RELAY_BENCH_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    let programs = programs::directory();
    println!("programs: {}", programs.display());
    let longest = measure::number("RELAY_BENCH_PARCELS", 100_000);
    let lengths = [longest / 100, longest / 10, longest];
    let columns = lengths.map(|parcels| {
        let scratch = tempfile::tempdir_in(&parent).unwrap();
        let place = Place {
            programs: programs.clone(),
            dir: scratch.path().to_owned(),
        };
        measure(&Pair::prepare(place), parcels)
    });

    println!("\nmilliseconds of a whole run, microseconds for each message, and MiB of memory");
    print!("{:<28}", "");
    for parcels in lengths {
        print!("{parcels:>10}   each    MiB");
    }
    println!();
    for (at, (name, _)) in STEPS.iter().enumerate() {
        print!("{name:<28}");
        for (parcels, column) in lengths.iter().zip(&columns) {
            let (seconds, usage) = column[at];
            let each = if *name == SINGLE {
                String::new()
            } else {
                format!("{:.0}", seconds * 1e6 / *parcels as f64)
            };
            let memory = usage.memory as f64 / MIB;
            print!("{:>10.0} {each:>6} {memory:>6.1}", seconds * 1e3);
        }
        println!();
    }
}

/// What each step takes with so many parcels.
fn measure(pair: &Pair, parcels: usize) -> Vec<(f64, Usage)> {
    pair.seal(1);
    fs::rename(pair.0.dir.join("stream"), pair.0.dir.join("single")).unwrap();
    pair.seal(parcels);
    fs::create_dir(pair.0.dir.join("copy")).unwrap();
    pair.0.run("relay-sync -q -N berta --init copy");
    let steps = STEPS.iter().map(|(name, line)| {
        let taken = pair.time(line);
        if *name == "deliver" {
            assert_eq!(pair.files("inbox"), parcels + 1, "delivered");
        }
        taken
    });
    let taken = steps.collect();
    assert_eq!(pair.files("anton/spool/out"), 0, "acknowledged");
    taken
}
