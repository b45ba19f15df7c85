//! Packing and unpacking many parcels of 1 KiB from files, as whole processes: time beside what verifying one RSA
//! signature a parcel takes on the cores that there are, how busy those are, and memory beside the largest cargo.
//!
//! `cargo bench --bench cargo` measures the programs of the dist profile; `RELAY_BENCH_BIN` names another directory
//! of programs, `RELAY_BENCH_RUNS` how often each is run (7 times by default), `RELAY_BENCH_PARCELS` how many parcels
//! there are (10000). Everything lies in memory (/dev/shm).

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a bench that cannot go on may as well stop
#![allow(clippy::cast_precision_loss)] // figures are shown, not counted on

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use jiff::Timestamp;
use relaynet::asn1::{Buffer, tag, write};
use relaynet::cms::enveloped_data::Cipher;
use relaynet::crypto::ecdh::Curve;
use relaynet::node::{Directory, Keyring};
use relaynet::pki::Certificate;
use relaynet::ramf::{Fields, Kind, SignedMessage};
use relaynet::session::agreement;

#[path = "measure.rs"]
mod measure;
#[path = "parcels.rs"]
mod parcels;
#[path = "programs.rs"]
mod programs;

use measure::Samples;
use programs::{Place, Usage};

const MIB: f64 = 1024.0 * 1024.0;
const SENDERS: [&str; 2] = ["anna", "arno"];

#[allow(clippy::too_many_lines)] // one measurement after the other
fn main() {
    let shm = Path::new("/dev/shm");
    let parent = if shm.is_dir() {
        shm.to_owned()
    } else {
        env::temp_dir()
    };
    let scratch = tempfile::tempdir_in(parent).unwrap();
    let parcels = measure::number("RELAY_BENCH_PARCELS", 10_000);
    let bench = Bench {
        place: Place {
            programs: programs::directory(),
            dir: scratch.path().to_owned(),
        },
        parcels,
    };
    bench.prepare();
    let cores = thread::available_parallelism().unwrap().get();
    let verify = bench.verification();
    println!("programs: {}", bench.place.programs.display());
    println!(
        "{parcels} parcels of 1 KiB, {cores} cores, an RSA-2048 verification {:.1} us",
        verify * 1e3
    );
    println!("\n                          ms   us each    ratio   cores     MiB   / cargo");

    for (name, command) in [
        (
            "pack files to DIR",
            "relay-pack-cargo -q -N anton -t hub -f -d cargo parcels",
        ),
        (
            "pack a stream",
            "relay-pack-cargo -q -N anton -t hub -f -d cargo stream",
        ),
        (
            "unpack to stdout",
            "relay-unpack-cargo -q -N hub --again CARGO",
        ),
        (
            "unpack to DIR",
            "relay-unpack-cargo -q -N hub --again -d out CARGO",
        ),
        ("verify a stream", "relay-verify -N hub stream"),
        ("acknowledge a stream", "relay-ack stream"),
    ] {
        let words = bench.words(command);
        let (mut wall, mut busy, mut peak) = (Samples::default(), Vec::new(), 0_u64);
        for _ in 0..=measure::number("RELAY_BENCH_RUNS", 7) {
            bench.clear();
            let start = Instant::now();
            let usage = wall.time(|| bench.measured(&words, true));
            busy.push(usage.cpu / start.elapsed().as_secs_f64());
            peak = peak.max(usage.memory);
        }
        busy.sort_by(f64::total_cmp);
        let each = wall.median() * 1e3 / parcels as f64;
        let cargo = peak as f64 / bench.largest_cargo() as f64;
        println!(
            "{name:<20} {:>8.1} {each:>9.1} {:>7.0}% {:>7.2} {:>7.1} {cargo:>9.2}",
            wall.median(),
            verify * 1e3 / each * 100.0,
            busy[busy.len() / 2],
            peak as f64 / MIB,
        );
    }
    println!("\nhostile cargo                             MiB   / cargo");
    let item = |len: usize| write::tlv(tag::OCTET_STRING, &vec![7; len]);
    for (name, items) in [
        ("a million empty messages", item(0).repeat(1_000_000)),
        ("100 000 messages of nonsense", item(75).repeat(100_000)),
        ("one message of 8 MB", item(8_300_000)),
    ] {
        fs::write(
            bench.place.dir.join("hostile"),
            bench.sealed(&write::tlv(tag::SEQUENCE, &items)),
        )
        .unwrap();
        let words = bench.words("relay-unpack-cargo -q -N hub hostile");
        let peak = bench.measured(&words, false).memory;
        let cargo = peak as f64 / bench.largest_cargo() as f64;
        println!("{name:<36} {:>8.1} {cargo:>9.2}", peak as f64 / MIB);
    }
    println!(
        "\nratio: the time of one verification, over the time that each parcel took; 50 % is the budget, 3.00 that of memory"
    );
}

struct Bench {
    place: Place,
    parcels: usize,
}

impl Bench {
    fn prepare(&self) {
        programs::compile(&["peak"], &self.place.dir);
        for dir in ["parcels", "cargo", "kept", "out"] {
            fs::create_dir(self.place.dir.join(dir)).unwrap();
        }
        for command in [
            "relay-keygen --type gateway --address hub.example.org -N hub",
            "relay-keygen --type gateway -N anton",
            "relay-keygen --type gateway -N berta",
            "relay-export -N anton -o anton.pub",
            "relay-export -N berta -o berta.pub",
            "relay-register -q -N hub --name anton -o anton.pnr anton.pub",
            "relay-register -q -N hub --name berta -o berta.pnr berta.pub",
            "relay-import -q -N anton --name hub anton.pnr",
            "relay-import -q -N berta --name hub berta.pnr",
            "relay-keygen -N anton --endpoint anna",
            "relay-keygen -N anton --endpoint arno",
            "relay-keygen -N berta --endpoint bert",
        ] {
            self.place.run(command);
        }
        for sender in SENDERS {
            for command in [
                "relay-export -N anton/endpoints/S -o S.pub",
                "relay-authorize -q -N berta/endpoints/bert -o S.conn S.pub",
                "relay-import -q -N anton/endpoints/S --name bert S.conn",
            ] {
                self.place.run(&command.replace('S', sender));
            }
        }
        thread::scope(|scope| {
            for sender in SENDERS {
                scope.spawn(|| self.seal_from(sender));
            }
        });
        let mut names: Vec<PathBuf> = fs::read_dir(self.place.dir.join("parcels"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort();
        let stream: Vec<u8> = names
            .iter()
            .flat_map(|name| fs::read(name).unwrap())
            .collect();
        fs::write(self.place.dir.join("stream"), stream).unwrap();
        self.place
            .run("relay-pack-cargo -q -N anton -t hub -d kept parcels");
    }

    fn seal_from(&self, sender: &str) {
        let node = self.place.dir.join("anton/endpoints").join(sender);
        parcels::seal(&node, self.parcels / SENDERS.len(), |node, sent| {
            let name = sent.fields.file_name(node.id(), Kind::Parcel.word());
            let path = self.place.dir.join("parcels").join(name);
            fs::write(path, sent.octets.as_slice()).unwrap();
        });
    }

    /// Cargo from anton for the hub with this plaintext, which no program would make.
    fn sealed(&self, plaintext: &[u8]) -> Vec<u8> {
        let node = Directory::open(&self.place.dir.join("anton")).unwrap();
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
        let peer = node
            .carrier(node.find_gateway("hub").unwrap(), now)
            .unwrap();
        let date = peer.certificates[0].not_before();
        let key = node.originator_key(peer.id, Curve::P256, date).unwrap().key;
        let mut buffer = Buffer::with_capacity(plaintext.len());
        buffer.append(plaintext);
        let cipher = Cipher::Cbc { key_len: 16 };
        let payload = agreement::seal(buffer, cipher, &peer.session_key, &key).unwrap();
        let fields = Fields {
            recipient: peer.id,
            address: peer.address,
            id: "hostile".to_owned(),
            date,
            ttl: 864_000,
        };
        let certificates: Vec<&Certificate> = peer.certificates.iter().collect();
        let identity = node.identity().unwrap();
        let sealed = SignedMessage::seal(payload, Kind::Cargo, &fields, &identity, &certificates);
        sealed.unwrap().as_slice().to_vec()
    }

    /// Milliseconds for one verification.
    fn verification(&self) -> f64 {
        let identity = Directory::open(&self.place.dir.join("anton"))
            .unwrap()
            .identity()
            .unwrap();
        let signature = identity.sign(b"message").unwrap();
        let digest = relaynet::crypto::Digest::Sha256;
        Samples::repeat(201, || {
            identity.public().verify(digest, b"message", &signature)
        })
        .median()
    }

    fn clear(&self) {
        for dir in ["cargo", "out"] {
            fs::remove_dir_all(self.place.dir.join(dir)).unwrap();
            fs::create_dir(self.place.dir.join(dir)).unwrap();
        }
    }

    fn kept(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.place.dir.join("kept")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn largest_cargo(&self) -> u64 {
        let lens = self
            .kept()
            .into_iter()
            .map(|path| path.metadata().unwrap().len());
        lens.max().unwrap()
    }

    fn measured(&self, words: &[String], succeeds: bool) -> Usage {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.place.measured(&words, succeeds)
    }

    /// The words of a command; CARGO stands for all that was packed.
    fn words(&self, command: &str) -> Vec<String> {
        command
            .split(' ')
            .flat_map(|word| match word {
                "CARGO" => self
                    .kept()
                    .into_iter()
                    .map(|path| path.to_str().unwrap().to_owned())
                    .collect(),
                word => vec![word.to_owned()],
            })
            .collect()
    }
}
