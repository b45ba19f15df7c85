//! The spool as whole processes on a real file system: how many parcels of 1 KiB a second each step of their way takes
//! durably, with a tenth of the queue and with all of it; how long a listing takes; 1 GiB in parts there and back; and
//! beside both what NNCP needs for the same files, where its programs are installed (Debian's package nncp).
//!
//! `cargo bench --bench spool` measures the programs of the dist profile; `RELAY_BENCH_BIN` names another directory of
//! programs, `RELAY_BENCH_DIR` the directory whose file system is used (`target/` by default), `RELAY_BENCH_PARCELS`
//! how many parcels the longer queue has (100000), `RELAY_BENCH_LARGE` the MiB of the large file (1024, 0 for none),
//! `RELAY_BENCH_RUNS` how often that goes there and back (3), `RELAY_BENCH_SMALL` the small files sent one by one
//! (10000, 0 for none).

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a bench that cannot go on may as well stop
#![allow(clippy::cast_precision_loss)] // figures are shown, not counted on

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

#[path = "measure.rs"]
mod measure;
#[path = "nncp.rs"]
mod nncp;
#[path = "pair.rs"]
mod pair;
#[path = "parcels.rs"]
mod parcels;
#[path = "programs.rs"]
mod programs;

use pair::{Pair, settle};
use programs::{Place, Usage};

const MIB: f64 = 1024.0 * 1024.0;

fn main() {
    let parent = env::var_os("RELAY_BENCH_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    let programs = programs::directory();
    println!("programs: {}", programs.display());
    let place = |dir: &Path| Place {
        programs: programs.clone(),
        dir: dir.to_owned(),
    };
    let scratch = || tempfile::tempdir_in(&parent).unwrap();

    let parcels = measure::number("RELAY_BENCH_PARCELS", 100_000);
    for parcels in [parcels / 10, parcels] {
        let scratch = scratch();
        queue(&Pair::prepare(place(scratch.path())), parcels);
    }
    let large = measure::number("RELAY_BENCH_LARGE", 1024);
    if large > 0 {
        let scratch = scratch();
        compare_large(&Pair::prepare(place(scratch.path())), large);
    }
    let small = measure::number("RELAY_BENCH_SMALL", 10_000);
    if small > 0 {
        let scratch = scratch();
        compare_small(&Pair::prepare(place(scratch.path())), small);
    }
}

fn queue(pair: &Pair, parcels: usize) {
    pair.seal(parcels);
    println!("\n{parcels} parcels of 1 KiB                    s  a second   cores     MiB");
    for (name, line) in [
        ("put", "relay-put -q -N anton stream"),
        ("list", "relay-list -N anton"),
        ("list --long", "relay-list -N anton --long"),
        ("route", "relay-route -q -N anton"),
        ("sync: pack", "relay-sync -q -N anton stick"),
        ("sync: unpack", "relay-sync -q -N berta stick"),
        ("route, to home", "relay-route -q -N berta"),
        (
            "deliver",
            "relay-deliver -q -N berta/endpoints/bert --dir inbox",
        ),
    ] {
        step(pair, name, line, parcels);
    }
    assert_eq!(pair.files("inbox"), parcels, "delivered");
    for (name, line) in [
        (
            "sync: pack acknowledgements",
            "relay-sync -q -N berta stick",
        ),
        (
            "sync: unpack acknowledgements",
            "relay-sync -q -N anton stick",
        ),
        ("route, what is acknowledged", "relay-route -q -N anton"),
    ] {
        step(pair, name, line, parcels);
    }
    assert_eq!(pair.files("anton/spool/out"), 0, "acknowledged");
}

/// Runs a command and prints how many messages a second it made its way with.
fn step(pair: &Pair, name: &str, line: &str, parcels: usize) {
    let (seconds, usage) = pair.time(line);
    println!(
        "{name:<34} {seconds:>8.2} {:>9.0} {:>7.2} {:>7.1}",
        parcels as f64 / seconds,
        usage.cpu / seconds,
        usage.memory as f64 / MIB,
    );
}

/// Takes as much memory as the next one needs, and frees it: a virtual machine may have given it back to its host,
/// and the first run would pay seconds for each GiB.
fn warm(dir: &Path, mib: usize) {
    let path = dir.join("warm");
    let mut zeros = io::repeat(0).take((mib as u64) << 20);
    io::copy(&mut zeros, &mut File::create(&path).unwrap()).unwrap();
    fs::remove_file(path).unwrap();
}

/// Seconds of what some work took, and the memory of the process that took the most.
#[derive(Default)]
struct Taken {
    seconds: Vec<f64>,
    memory: Vec<u64>,
}

impl Taken {
    /// Runs the work and keeps what it took; what was written before is on the disk.
    fn time(&mut self, work: impl FnOnce() -> Vec<Usage>) {
        settle();
        let start = Instant::now();
        let usages = work();
        self.seconds.push(start.elapsed().as_secs_f64());
        let most = |at: usize| self.memory.get(at).copied().unwrap_or_default();
        self.memory = (0..usages.len())
            .map(|at| usages[at].memory.max(most(at)))
            .collect();
    }

    fn print(&mut self, name: &str) {
        self.seconds.sort_by(f64::total_cmp);
        if let Some(median) = self.seconds.get(self.seconds.len() / 2) {
            println!(
                "{name:<34} {median:>8.2} {:>8.2}   {}",
                self.seconds[0],
                self.mebibytes()
            );
        }
    }

    fn print_each(&self, name: &str, files: usize) {
        for seconds in &self.seconds {
            let each = seconds * 1e3 / files as f64;
            println!(
                "{name:<30} {seconds:>8.2} {each:>9.2}   {}",
                self.mebibytes()
            );
        }
    }

    fn mebibytes(&self) -> String {
        let memory = self
            .memory
            .iter()
            .map(|octets| format!("{:.1}", *octets as f64 / MIB));
        memory.collect::<Vec<_>>().join(" | ")
    }
}

fn compare_large(pair: &Pair, mib: usize) {
    let place = &pair.0;
    let file = place.dir.join("large");
    let random = File::open("/dev/urandom").unwrap();
    let mut random = random.take((mib as u64) << 20);
    io::copy(&mut random, &mut File::create(&file).unwrap()).unwrap();

    let nncp = nncp::Pair::prepare(place);
    let [
        mut put,
        mut put_gcm,
        mut delivered,
        mut opened,
        mut sent,
        mut received,
    ]: [Taken; 6] = Default::default();
    let warm = || warm(&place.dir, 2 * mib + 512);
    for _ in 0..measure::number("RELAY_BENCH_RUNS", 3) {
        let seal = "relay-seal -q -N anton/endpoints/anna --parts -t bert";
        let seal_gcm = format!("{seal} --cipher aes-256-gcm");
        for (taken, seal) in [(&mut put, seal), (&mut put_gcm, &seal_gcm)] {
            let split = "relay-split -q --keep-name large";
            warm();
            taken.time(|| place.pipe(&[split, seal, "relay-put -q -N anton"]));
            pair.carry();
            if seal == seal_gcm {
                let home = place.dir.join("berta/spool/home");
                let parcels = walkdir::WalkDir::new(home).sort_by_file_name().into_iter();
                let parcels: Vec<String> = parcels
                    .map(|entry| entry.unwrap())
                    .filter(|entry| entry.file_type().is_file())
                    .map(|entry| entry.path().to_str().unwrap().to_owned())
                    .collect();
                let open = format!(
                    "relay-open -q -N berta/endpoints/bert {}",
                    parcels.join(" ")
                );
                warm();
                opened.time(|| place.pipe(&[&open, "relay-join -q -o inbox/large"]));
                same(&file, &place.dir.join("inbox/large"));
                for parcel in parcels {
                    fs::remove_file(parcel).unwrap();
                }
            } else {
                let deliver = "relay-deliver -q -N berta/endpoints/bert --keep-name --dir inbox";
                warm();
                delivered.time(|| place.pipe(&[deliver]));
                same(&file, &place.dir.join("inbox/anna/large"));
            }
            pair.acknowledge();
        }
        if let Some(nncp) = &nncp {
            warm();
            sent.time(|| place.pipe(&[&nncp::Pair::send("large", true)]));
            nncp.carry();
            warm();
            received.time(|| {
                let toss = place.pipe(&[&nncp::Pair::toss()]);
                [toss, place.pipe(&[&nncp::Pair::reassemble()])].concat()
            });
            same(&file, &nncp.received("large"));
        }
    }
    println!("\n{mib} MiB                              s, median      min   MiB of each process");
    put.print("split | seal | put");
    put_gcm.print("split | seal (AES-256-GCM) | put");
    sent.print("nncp-file -chunked");
    delivered.print("deliver");
    opened.print("open | join");
    received.print("nncp-toss, nncp-reass");
}

/// Files that are sent one by one, each by processes of its own, and received together.
fn compare_small(pair: &Pair, files: usize) {
    let place = &pair.0;
    fs::write(place.dir.join("small"), [7; 1024]).unwrap();
    let nncp = nncp::Pair::prepare(place);
    let [mut put, mut delivered, mut sent, mut received]: [Taken; 4] = Default::default();
    let most = |usages: Vec<Vec<Usage>>| usages.into_iter().next_back().unwrap();
    put.time(|| {
        let each = |_| {
            place.pipe(&[
                "relay-seal -q -N anton/endpoints/anna -t bert small",
                "relay-put -q -N anton",
            ])
        };
        most((0..files).map(each).collect())
    });
    pair.carry();
    delivered.time(|| place.pipe(&["relay-deliver -q -N berta/endpoints/bert --dir inbox"]));
    if let Some(nncp) = &nncp {
        sent.time(|| {
            most(
                (0..files)
                    .map(|at| place.pipe(&[&nncp::Pair::send(&format!("small:{at}"), false)]))
                    .collect(),
            )
        });
        nncp.carry();
        received.time(|| place.pipe(&[&nncp::Pair::toss()]));
    }
    println!("\n{files} files of 1 KiB, one by one        s   each ms   MiB of each process");
    for (taken, name) in [
        (&put, "seal | put"),
        (&sent, "nncp-file"),
        (&delivered, "deliver"),
        (&received, "nncp-toss"),
    ] {
        taken.print_each(name, files);
    }
}

fn same(sent: &Path, received: &Path) {
    assert!(
        Command::new("cmp")
            .args([sent, received])
            .status()
            .unwrap()
            .success(),
        "{} is not what was sent",
        received.display()
    );
    fs::remove_file(received).unwrap();
}
