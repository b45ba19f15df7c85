//! What the programs take as whole processes: time and memory, against `/bin/true`, against a C program that
//! just copies, and against the arithmetic that cannot be avoided.
//!
//! `cargo bench --bench whole` measures the programs of the dist profile, which it has cargo bring up to date
//! first; `RELAY_BENCH_BIN` names another directory of programs, `RELAY_BENCH_RUNS` how often each is run
//! (41 times by default). Everything lies in memory (/dev/shm), each command has run before it is timed, and
//! the commands take turns. Parcels are opened with `--again`.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a bench that cannot go on may as well stop
#![allow(clippy::cast_precision_loss)] // figures are shown, not counted on

use std::env;
use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use relaynet::asn1::Buffer;
use relaynet::crypto::ecdh::{Curve, PrivateKey};
use relaynet::crypto::{aes_cbc, sha256};
use relaynet::message::service_message;
use relaynet::node::{Directory, Keyring};
use relaynet::ramf::Fields;

#[path = "ber.rs"]
mod ber;
#[path = "measure.rs"]
mod measure;
#[path = "programs.rs"]
mod programs;

use measure::Samples;
use programs::Place;

const SMALL: usize = 1024;
const LARGE: usize = 8_000_000;
const MEDIA_TYPE: &str = "application/octet-stream";

fn main() {
    let shm = Path::new("/dev/shm");
    let parent = if shm.is_dir() {
        shm.to_owned()
    } else {
        env::temp_dir()
    };
    let scratch = tempfile::tempdir_in(parent).unwrap();
    let bench = Bench(Place {
        programs: programs::directory(),
        dir: scratch.path().to_owned(),
    });
    bench.prepare();
    println!("programs: {}", bench.0.programs.display());

    let mut tasks = tasks();
    for task in &tasks {
        let status = bench.0.command(&task.command).status().unwrap(); // warm
        assert!(status.success(), "{:?}: {status}", task.command);
    }
    for _ in 0..measure::number("RELAY_BENCH_RUNS", 41) {
        for task in &mut tasks {
            let mut command = bench.0.command(&task.command);
            let status = task.samples.time(|| command.status()).unwrap();
            assert!(status.success(), "{:?}: {status}", task.command);
        }
    }
    let arithmetic = Arithmetic::measure(&bench);
    arithmetic.print();
    print_times(&tasks, &arithmetic);
    print_memory(&tasks, &bench);
}

/// What is allowed in time.
#[derive(Clone, Copy)]
enum Budget {
    /// Milliseconds over `/bin/true`.
    OverTrue(f64),
    /// Milliseconds.
    Total(f64),
    Nothing,
}

/// One command, how long it may take, and the arithmetic in it.
struct Task {
    name: &'static str,
    command: Vec<&'static str>,
    budget: Budget,
    /// The command whose time is the floor beside the arithmetic.
    beside: &'static str,
    arithmetic: fn(&Arithmetic) -> f64,
    /// Octets of memory that it may hold at once.
    memory: Option<f64>,
    samples: Samples,
}

#[allow(clippy::too_many_lines)] // a table
fn tasks() -> Vec<Task> {
    use Budget::{Nothing, OverTrue, Total};
    type Floor = fn(&Arithmetic) -> f64;
    type Row = (
        &'static str,
        &'static str,
        Budget,
        &'static str,
        Floor,
        Option<f64>,
    );

    let none: Floor = |_| 0.0;
    let seal: Floor = |it| it.sign + it.agree;
    let open: Floor = |it| 3.0 * it.verify + it.agree;
    let seal_large: Floor = |it| it.sign + it.agree + it.encrypt_and_hash;
    let open_large: Floor = |it| 3.0 * it.verify + it.agree + it.decrypt + it.hash;
    let verify_large: Floor = |it| 3.0 * it.verify + it.hash;
    let small = Some(6.0 * 1024.0 * 1024.0);
    let large = |times: f64| Some(times * LARGE as f64);

    let rows: [Row; 11] = [
        ("true", "true", Nothing, "true", none, None),
        (
            "C copy 8 MB",
            "copy large out.copy",
            Nothing,
            "copy",
            none,
            None,
        ),
        (
            "start-up",
            "relay-seal --version",
            OverTrue(0.7),
            "true",
            none,
            small,
        ),
        (
            "seal 1 KiB",
            "relay-seal -N bob -t alice -f -o out.parcel small",
            OverTrue(2.5),
            "true",
            seal,
            small,
        ),
        (
            "open 1 KiB",
            "relay-open -N alice --again -f -o out small.parcel",
            OverTrue(2.0),
            "true",
            open,
            small,
        ),
        (
            "verify 1 KiB",
            "relay-verify -N alice small.parcel",
            Nothing,
            "true",
            |it| 3.0 * it.verify,
            small,
        ),
        (
            "seal 8 MB",
            "relay-seal -N bob -t alice -f -o out.parcel large",
            Total(30.0),
            "copy",
            seal_large,
            large(2.6),
        ),
        (
            "open 8 MB",
            "relay-open -N alice --again -f -o out large.parcel",
            Total(27.0),
            "copy",
            open_large,
            large(2.6),
        ),
        (
            "open 8 MB, BER",
            "relay-open -N alice --again -f -o out ber.parcel",
            Total(30.0),
            "copy",
            open_large,
            large(3.6),
        ),
        (
            "verify 8 MB",
            "relay-verify -N alice large.parcel",
            Nothing,
            "true",
            verify_large,
            large(2.6),
        ),
        (
            "verify 8 MB, BER",
            "relay-verify -N alice ber.parcel",
            Nothing,
            "true",
            verify_large,
            large(3.6),
        ),
    ];
    let task =
        |(name, command, budget, beside, arithmetic, memory): (_, &'static str, _, _, _, _)| Task {
            name,
            command: command.split(' ').collect(),
            budget,
            beside,
            arithmetic,
            memory,
            samples: Samples::default(),
        };
    rows.into_iter().map(task).collect()
}

fn print_times(tasks: &[Task], arithmetic: &Arithmetic) {
    let samples = |program: &str| {
        let task = tasks.iter().find(|task| task.command[0] == program);
        &task.unwrap().samples
    };
    let (idle, best_idle) = (samples("true").median(), samples("true").min());
    println!("\ntime, ms            median     min  - true    budget median min      floor  ratio");
    for task in tasks {
        let (took, best) = (task.samples.median(), task.samples.min());
        let (budget, kept, kept_at_best) = match task.budget {
            Budget::OverTrue(limit) => {
                let kept = (took - idle <= limit, best - best_idle <= limit);
                (format!("true+{limit}"), Some(kept.0), Some(kept.1))
            }
            Budget::Total(limit) => (limit.to_string(), Some(took <= limit), Some(best <= limit)),
            Budget::Nothing => ("-".to_owned(), None, None),
        };
        let floor = samples(task.beside).median() + (task.arithmetic)(arithmetic);
        println!(
            "{:<17} {took:8.2} {best:7.2} {:7.2}  {budget:>8} {:<6} {:<4} {floor:8.2} {:6.2}",
            task.name,
            took - idle,
            verdict(kept),
            verdict(kept_at_best),
            took / floor,
        );
    }
    println!(
        "floor: the median of true (of the C copy where 8 MB are written), and the arithmetic above;"
    );
    println!(
        "where median and min differ in verdict, or the arithmetic varies from run to run, others are using the machine"
    );
}

fn print_memory(tasks: &[Task], bench: &Bench) {
    println!("\npeak memory, MiB    median    budget        / content");
    for task in tasks {
        let peak = bench.peak(&task.command);
        let kept = task.memory.map(|limit| peak <= limit);
        let budget = task
            .memory
            .map_or("-".to_owned(), |limit| format!("{:.1}", limit / MIB));
        let large = task
            .name
            .contains("8 MB")
            .then(|| format!("{:.2}", peak / LARGE as f64));
        let ratio = large.unwrap_or_default();
        println!(
            "{:<17} {:8.2}  {budget:>8} {:<4} {ratio:>8}",
            task.name,
            peak / MIB,
            verdict(kept)
        );
    }
}

const MIB: f64 = 1024.0 * 1024.0;

fn verdict(kept: Option<bool>) -> &'static str {
    match kept {
        Some(true) => "ok",
        Some(false) => "over",
        None => "",
    }
}

/// What sealing and opening cannot do without, in milliseconds, measured in this process.
struct Arithmetic {
    sign: f64,
    verify: f64,
    agree: f64,
    encrypt_and_hash: f64,
    decrypt: f64,
    hash: f64,
}

impl Arithmetic {
    fn measure(bench: &Bench) -> Self {
        let identity = bench.node("bob").identity().unwrap();
        let signature = identity.sign(b"message").unwrap();
        let sha256_pss = relaynet::crypto::Digest::Sha256;
        let [mine, theirs] = [(); 2].map(|()| PrivateKey::generate(Curve::P256).unwrap());
        let point = theirs.public_point();
        let mut octets = vec![7; LARGE];
        let (mut encrypt, mut decrypt) = (Samples::default(), Samples::default());
        for _ in 0..21 {
            octets.truncate(LARGE);
            aes_cbc::pad(&mut octets, 0).unwrap();
            let all = 0..octets.len();
            encrypt
                .time(|| aes_cbc::encrypt_and_hash(&[1; 16], &[2; 16], &mut octets, all))
                .unwrap();
            decrypt
                .time(|| aes_cbc::decrypt_in_place(&[1; 16], &[2; 16], &mut octets))
                .unwrap();
        }
        Self {
            sign: Samples::repeat(21, || identity.sign(b"message")).median(),
            verify: Samples::repeat(21, || {
                identity.public().verify(sha256_pss, b"message", &signature)
            })
            .median(),
            agree: Samples::repeat(21, || mine.agree(&point)).median(),
            encrypt_and_hash: encrypt.median(),
            decrypt: decrypt.median(),
            hash: Samples::repeat(21, || sha256(&octets)).median(),
        }
    }

    fn print(&self) {
        println!("\narithmetic, ms      median");
        for (name, figure) in [
            ("RSA-2048 sign", self.sign),
            ("RSA-2048 verify", self.verify),
            ("P-256 agreement", self.agree),
            ("AES-128-CBC and SHA-256", self.encrypt_and_hash),
            ("  back again", self.decrypt),
            ("SHA-256 8 MB", self.hash),
        ] {
            println!("{name:<17} {figure:8.3}");
        }
    }
}

/// The programs, and a directory with two nodes, bob who may send to alice.
struct Bench(Place);

impl Bench {
    fn prepare(&self) {
        programs::compile(&["copy", "peak"], &self.0.dir);
        let octets: Vec<u8> = (0..LARGE).map(|at| (at % 251).to_le_bytes()[0]).collect();
        fs::write(self.0.dir.join("large"), &octets).unwrap();
        fs::write(self.0.dir.join("small"), &octets[..SMALL]).unwrap();
        for command in [
            "relay-keygen -N alice",
            "relay-keygen -N bob",
            "relay-export -N bob -o bob.pub",
            "relay-authorize -q -N alice --name bob -o alice.conn bob.pub",
            "relay-import -q -N bob --name alice alice.conn",
            "relay-seal -N bob -t alice -o small.parcel small",
            "relay-seal -N bob -t alice -o large.parcel large",
        ] {
            self.0.run(command);
        }
        fs::write(self.0.dir.join("ber.parcel"), self.ber_parcel(&octets)).unwrap();
        self.0.run("relay-open -N alice -o out ber.parcel");
        assert!(
            fs::read(self.0.dir.join("out")).unwrap() == octets,
            "the BER parcel has another content"
        );
    }

    /// A parcel like those that `relay-seal -N bob -t alice` makes, but in BER.
    fn ber_parcel(&self, content: &[u8]) -> Vec<u8> {
        let bob = self.node("bob");
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
        let alice = bob
            .correspondent(bob.find_recipient("alice").unwrap(), now)
            .unwrap();
        let date = (now - SignedDuration::from_mins(5)).max(alice.certificates[0].not_before());
        let mut buffer = Buffer::with_capacity(content.len() + 1024);
        buffer.append(content);
        service_message::wrap(&mut buffer, MEDIA_TYPE).unwrap();
        let fields = Fields {
            recipient: alice.id,
            address: alice.address,
            id: "in-ber".to_owned(),
            date,
            ttl: 86_400,
        };
        let parts = ber::Parts {
            fields: &fields,
            identity: &bob.identity().unwrap(),
            certificates: &alice.certificates.iter().collect::<Vec<_>>(),
            recipient: &alice.session_key,
            originator: &bob.originator_key(alice.id, Curve::P256, date).unwrap().key,
        };
        ber::parcel(buffer, &parts)
    }

    fn node(&self, name: &str) -> Directory {
        Directory::open(&self.0.dir.join(name)).unwrap()
    }

    /// The most memory that a command held at once, in octets; the median of five runs.
    fn peak(&self, words: &[&str]) -> f64 {
        let mut peaks: Vec<u64> = (0..5)
            .map(|_| self.0.measured(words, true).memory)
            .collect();
        peaks.sort_unstable();
        peaks[2] as f64
    }
}
