//! Two gateways with an endpoint each, and the way between them.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::process::Command;
use std::thread;
use std::time::Instant;

use crate::parcels;
use crate::programs::{self, Place, Usage};

/// Two gateways that peer, each with an endpoint: anna, in anton's, may send to bert, in berta's.
pub(crate) struct Pair(pub(crate) Place);

impl Pair {
    pub(crate) fn prepare(place: Place) -> Self {
        programs::compile(&["peak"], &place.dir);
        for (gateway, endpoint) in [("anton", "anna"), ("berta", "bert")] {
            place.run(&format!(
                "relay-keygen -q --type gateway --set quota=64G -N {gateway}"
            ));
            place.run(&format!(
                "relay-keygen -q -N {gateway} --endpoint {endpoint}"
            ));
        }
        let (anna, bert) = ("anton/endpoints/anna", "berta/endpoints/bert");
        for (from, to, from_name, to_name) in [
            ("anton", "berta", "anton", "berta"),
            ("berta", "anton", "berta", "anton"),
            (anna, bert, "anna", "bert"),
        ] {
            for command in [
                format!("relay-export -N {from} -f -o key"),
                format!("relay-authorize -q -N {to} --name {from_name} -f -o connection key"),
                format!("relay-import -q -N {from} --name {to_name} connection"),
            ] {
                place.run(&command);
            }
        }
        place.run("relay-route -q -N anton");
        place.run("relay-route -q -N berta");
        for dir in ["stick", "inbox"] {
            fs::create_dir(place.dir.join(dir)).unwrap();
        }
        place.run("relay-sync -q -N anton --init stick");
        Self(place)
    }

    /// Writes that many parcels from anna to bert to the file `stream`.
    pub(crate) fn seal(&self, parcels: usize) {
        let anna = self.0.dir.join("anton/endpoints/anna");
        let cores = thread::available_parallelism().unwrap().get();
        let sealed = thread::scope(|scope| {
            let seal = || {
                let mut stream = Vec::new();
                parcels::seal(&anna, parcels.div_ceil(cores), |_, sent| {
                    stream.push(sent.octets.as_slice().to_vec());
                });
                stream
            };
            let workers: Vec<_> = (0..cores).map(|_| scope.spawn(seal)).collect();
            let streams = workers.into_iter().map(|worker| worker.join().unwrap());
            streams.flatten().collect::<Vec<_>>()
        });
        let mut stream = BufWriter::new(File::create(self.0.dir.join("stream")).unwrap());
        for octets in &sealed[..parcels] {
            stream.write_all(octets).unwrap();
        }
        stream.flush().unwrap();
    }

    /// From anton's spool to the one of bert.
    #[allow(dead_code)] // not every bench goes all the way
    pub(crate) fn carry(&self) {
        for line in [
            "relay-route -q -N anton",
            "relay-sync -q -N anton stick",
            "relay-sync -q -N berta stick",
            "relay-route -q -N berta",
        ] {
            self.0.run(line);
        }
    }

    /// The acknowledgements from berta to anton, so that nothing waits there.
    #[allow(dead_code)] // not every bench goes all the way
    pub(crate) fn acknowledge(&self) {
        for line in [
            "relay-sync -q -N berta stick",
            "relay-sync -q -N anton stick",
            "relay-route -q -N anton",
        ] {
            self.0.run(line);
        }
        assert_eq!(self.files("anton/spool/out"), 0, "acknowledged");
    }

    /// Runs a command, which must succeed, and says how many seconds it took, and what else.
    pub(crate) fn time(&self, line: &str) -> (f64, Usage) {
        let words: Vec<&str> = line.split(' ').collect();
        settle();
        let start = Instant::now();
        let usage = self.0.measured(&words, true);
        (start.elapsed().as_secs_f64(), usage)
    }

    pub(crate) fn files(&self, dir: &str) -> usize {
        let walk = walkdir::WalkDir::new(self.0.dir.join(dir)).into_iter();
        let files = walk.filter(|entry| entry.as_ref().unwrap().file_type().is_file());
        files.count()
    }
}

/// What is on its way to the disk does not count for the next one.
pub(crate) fn settle() {
    assert!(Command::new("sync").status().unwrap().success());
}
