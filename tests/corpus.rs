//! Hostile input: no parser panics, runs long or breaks its promises, whatever it is given.
//!
//! Replays `tests/fuzz/corpus` and the vectors of `tests/interop` through every parser, then changes real
//! messages at random (`PROPTEST_CASES` sets how often).

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use relaynet::asn1;

#[path = "fuzz/parsers.rs"]
mod parsers;

/// Longer vectors than this, in octets, are left to `tests/interop`.
const MAX_LEN: u64 = 100 * 1024;

/// How long one parser may take, in a debug build on a busy machine, for each 100 KiB or part of it.
const TIME: Duration = Duration::from_secs(5);

#[test]
fn known_input_does_no_harm() {
    let inputs = inputs();
    assert!(
        inputs.len() > 150,
        "only {} inputs were found",
        inputs.len()
    );
    for (name, octets) in inputs {
        run_all(name, octets);
    }
}

#[test]
fn the_corpus_is_small() {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus"));
    assert!((20..200).contains(&files.len()), "{} files", files.len());
    for file in files {
        let len = fs::metadata(&file).unwrap().len();
        assert!(len < 4096, "{} has {len} octets", file.display());
    }
}

/// A change to a message.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Flip(Index, u8),
    Remove(Index, u8),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
    Cut(Index),
    Append(Index),
}

fn change() -> impl Strategy<Value = Change> {
    // Identifiers and lengths that structures turn on are likelier than others.
    let octet = || {
        prop_oneof![
            any::<u8>(),
            proptest::sample::select(vec![
                0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x24, 0x30, 0x31, 0x7f, 0x80, 0x81, 0x82, 0x83,
                0x84, 0x88, 0xa0, 0xa1, 0xa2, 0xff,
            ])
        ]
    };
    prop_oneof![
        4 => (any::<Index>(), octet()).prop_map(|(at, octet)| Change::Set(at, octet)),
        2 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        1 => (any::<Index>(), 1..40_u8).prop_map(|(at, len)| Change::Remove(at, len)),
        2 => (any::<Index>(), vec(octet(), 1..8)).prop_map(|(at, octets)| Change::Insert(at, octets)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Repeat(from, to)),
        1 => any::<Index>().prop_map(Change::Cut),
        1 => any::<Index>().prop_map(Change::Append),
    ]
}

impl Change {
    fn apply(&self, octets: &mut Vec<u8>) {
        let spot = |at: &Index, len: usize| {
            if len == 0 {
                0
            } else {
                near_the_front(at.index(len), len)
            }
        };
        let len = octets.len();
        match self {
            Self::Append(other) => octets.extend_from_slice(&other.get(inputs()).1),
            Self::Insert(at, more) => {
                let at = spot(at, len);
                octets.splice(at..at, more.iter().copied());
            }
            _ if octets.is_empty() => {}
            Self::Set(at, octet) => octets[spot(at, len)] = *octet,
            Self::Flip(at, bit) => octets[spot(at, len)] ^= 1 << bit,
            Self::Remove(at, count) => {
                let at = spot(at, len);
                octets.drain(at..(at + usize::from(*count)).min(len));
            }
            Self::Repeat(from, to) => {
                let (from, to) = (spot(from, len), spot(to, len));
                octets.extend_from_within(from.min(to)..from.max(to));
            }
            Self::Cut(at) => octets.truncate(at.index(len)),
        }
    }
}

/// Half of the spots are in the first 2000 octets, where the structure of a message is; the rest is ciphertext.
fn near_the_front(at: usize, len: usize) -> usize {
    if at.is_multiple_of(2) {
        at % len.min(2000)
    } else {
        at
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..cases(64) })]

    #[test]
    fn changed_messages_do_no_harm(which in any::<Index>(), changes in vec(change(), 1..6)) {
        let (name, octets) = which.get(inputs());
        let mut octets = octets.clone();
        for change in &changes {
            change.apply(&mut octets);
        }
        run_all(name, &octets);
    }

    #[test]
    fn random_octets_do_no_harm(octets in vec(any::<u8>(), 0..600), kind in 0_usize..10) {
        let signatures: [&[u8]; 10] =
            [b"", b"AwalaP\0", b"AwalaC\0", b"AwalaD\0", b"AwalaQ\0", b"Awala\x10\0", b"Awala\x12\0", b"\x30\x80", b"-----BEGIN ",
             b"RelayPart\0"];
        run_all("random octets", &[signatures[kind], &octets].concat());
    }
}

/// The number of cases, unless `PROPTEST_CASES` has another.
fn cases(default: u32) -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = default;
    }
    config
}

#[test]
fn nesting_costs_no_more_than_its_length() {
    for unit in [
        &[0x30, 0x80][..],
        &[0x24, 0x80],
        &[0xa0, 0x80],
        &[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff],
    ] {
        let nested = unit.repeat(50_000);
        run_all("nested", &nested);
        run_all("nested", &[b"AwalaP\0", &nested[..]].concat());
    }
    let segments = [&[0x24, 0x80][..], &[4, 0].repeat(50_000), &[0, 0]].concat();
    run_all("empty segments", &segments);
    run_all(
        "one PEM boundary after the other",
        &b"-----BEGIN A-----\n".repeat(5_000),
    );
    run_all(
        "one PEM block after the other",
        &b"-----BEGIN A-----\n-----END A-----\n".repeat(3_000),
    );
    run_all("text", &b"-----BEGI\n".repeat(10_000));
}

fn run_all(name: &str, octets: &[u8]) {
    for (parser, parse) in parsers::ALL {
        let start = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| parse(octets)));
        let took = start.elapsed();
        assert!(
            done.is_ok(),
            "{parser} panicked on {name}, {} octets: {}",
            octets.len(),
            head(octets)
        );
        let allowed = TIME * u32::try_from(1 + octets.len() / (100 * 1024)).unwrap();
        assert!(
            took < allowed,
            "{parser} took {took:?} on {name}, {} octets: {}",
            octets.len(),
            head(octets)
        );
    }
}

/// The octets in hexadecimal, as many as help.
fn head(octets: &[u8]) -> String {
    asn1::Hex(&octets[..octets.len().min(3000)]).to_string()
}

fn inputs() -> &'static [(String, Vec<u8>)] {
    static INPUTS: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    INPUTS.get_or_init(|| {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let paths = files(&tests.join("fuzz/corpus"))
            .into_iter()
            .chain(files(&tests.join("interop")));
        let small = paths.filter(|path| fs::metadata(path).unwrap().len() < MAX_LEN);
        let name = |path: &Path| path.strip_prefix(&tests).unwrap().display().to_string();
        small
            .map(|path| (name(&path), fs::read(&path).unwrap()))
            .collect()
    })
}

/// All files under a directory, sorted.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let inside = |path: PathBuf| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    };
    paths.into_iter().flat_map(inside).collect()
}
