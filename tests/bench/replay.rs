//! What a long replay memory costs: one message, and many, on nodes that remember none, and up to a million messages a
//! day for 180 days.
//!
//! `cargo bench --bench replay` measures the programs of the dist profile; `RELAY_BENCH_BIN` names another directory of
//! programs, `RELAY_BENCH_DIR` the directory whose file system is used (`target/` by default; 180 million records take
//! 6 GB there), `RELAY_BENCH_RECORDS` how many records the longest memory has (180000000).

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a bench that cannot go on may as well stop
#![allow(clippy::cast_precision_loss)] // figures are shown, not counted on

use std::env;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

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
const DAYS: usize = 180;
/// Octets of a record (relay-node(5)).
const RECORD: usize = 32;
/// Messages of the runs that take many. They expire on one day, whose records have to be sorted for them.
const MANY: usize = 3000;

/// What is measured; the memory is that of the node whose name stands there.
const STEPS: [(&str, &str); 7] = [
    ("put one", "relay-put -q -N anton single"),
    ("route one", "relay-route -q -N anton"),
    (
        "open one",
        "relay-open -N berta/endpoints/bert -f -o opened single",
    ),
    ("put many", "relay-put -q -N anton stream"),
    ("route many", "relay-route -q -N anton"),
    ("take many", "relay-sync -q -N berta stick"),
    (
        "deliver many",
        "relay-deliver -q -N berta/endpoints/bert --dir inbox",
    ),
];

fn main() {
    let parent = env::var_os("RELAY_BENCH_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    let programs = programs::directory();
    println!("programs: {}", programs.display());
    let most = measure::number("RELAY_BENCH_RECORDS", 180_000_000);
    let counts = [0, most / 10, most];
    let columns = counts.map(|records| {
        let scratch = tempfile::tempdir_in(&parent).unwrap();
        let place = Place {
            programs: programs.clone(),
            dir: scratch.path().to_owned(),
        };
        measure(&Pair::prepare(place), records)
    });
    println!(
        "\nmilliseconds of a whole run and MiB of memory, with that many records of {RECORD} octets"
    );
    print!("{:<16}", "");
    for records in counts {
        print!("{records:>12}    MiB");
    }
    println!();
    for (at, (name, _)) in STEPS.iter().enumerate() {
        print!("{name:<16}");
        for column in &columns {
            let (seconds, usage) = column[at];
            print!("{:>12.1} {:>6.1}", seconds * 1e3, usage.memory as f64 / MIB);
        }
        println!();
    }
}

/// What each step takes with so many records in each memory.
fn measure(pair: &Pair, records: usize) -> Vec<(f64, Usage)> {
    let dir = &pair.0.dir;
    pair.seal(1);
    fs::rename(dir.join("stream"), dir.join("single")).unwrap();
    pair.seal(MANY);
    let memory = dir.join("memory");
    remember(&memory, records);
    for node in ["anton", "berta", "berta/endpoints/bert"] {
        share(&memory, &dir.join(node).join("seen"));
    }
    let steps = STEPS.iter().map(|(name, line)| {
        if *name == "take many" {
            pair.0.run("relay-sync -q -N anton stick");
        }
        if *name == "deliver many" {
            pair.0.run("relay-route -q -N berta");
        }
        pair.time(line)
    });
    let taken = steps.collect();
    // Opened by hand, one was not delivered once more.
    assert_eq!(pair.files("inbox"), MANY, "delivered");
    taken
}

/// Writes a memory as years of mail would leave it: for each day from today on a sorted file, whose records are spread
/// as digests are.
fn remember(memory: &Path, records: usize) {
    fs::create_dir(memory).unwrap();
    let each = records / DAYS;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for day in 0..DAYS {
        let date = Timestamp::now() + SignedDuration::from_hours(24 * i64::try_from(day).unwrap());
        let path = memory.join(format!("{}.sorted", date.strftime("%F")));
        let mut file = BufWriter::new(File::create(path).unwrap());
        let step = (u64::MAX / (each as u64 + 1)).max(1);
        for nth in 0..each as u64 {
            let mut record = [0; RECORD];
            record[..8].copy_from_slice(&(nth * step + random() % step).to_be_bytes());
            for part in record[8..].chunks_exact_mut(8) {
                part.copy_from_slice(&random().to_be_bytes());
            }
            file.write_all(&record).unwrap();
        }
        file.flush().unwrap();
    }
}

/// Gives a node this memory, without copying it: sorted files are replaced, and never written to.
fn share(memory: &Path, seen: &Path) {
    fs::create_dir_all(seen).unwrap();
    for entry in fs::read_dir(memory).unwrap() {
        let entry = entry.unwrap();
        let target = seen.join(entry.file_name());
        if fs::metadata(entry.path()).unwrap().len() > 0 {
            let _ = fs::remove_file(&target);
            fs::hard_link(entry.path(), target).unwrap();
        }
    }
}
