//! Twenty loops at once, for a minute: whatever they do to each other, and whichever of them is killed, every message
//! arrives once.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::scene;

/// A gateway, its endpoint, and the recipient of the endpoint's messages.
const SITES: [(&str, &str, &str); 2] = [("field", "anna", "bert"), ("village", "bert", "anna")];

/// How often the loops run, and what they counted.
struct Loops {
    dir: TempDir,
    end: Instant,
    /// Whether some runs are killed after a random number of milliseconds.
    kill: bool,
    sent: Mutex<Vec<String>>,
    runs: AtomicUsize,
    kills: AtomicUsize,
}

impl Loops {
    /// Two gateways that peer, each with an endpoint, and one stick between them. The endpoints write to
    /// each other.
    fn new(seconds: u64, kill: bool) -> Self {
        let loops = Self {
            dir: tempfile::tempdir().unwrap(),
            end: Instant::now() + Duration::from_secs(seconds),
            kill,
            sent: Mutex::default(),
            runs: AtomicUsize::new(0),
            kills: AtomicUsize::new(0),
        };
        fs::create_dir(loops.dir.path().join("stick")).unwrap();
        for (gateway, endpoint, peer) in SITES {
            loops.ok(&format!("relay-keygen -q --type gateway -N {gateway}"));
            loops.ok(&format!(
                "relay-keygen -q -N {gateway} --endpoint {endpoint}"
            ));
            fs::create_dir(loops.dir.path().join(format!("inbox-{endpoint}"))).unwrap();
            fs::write(loops.dir.path().join(format!("to-{peer}")), "").unwrap();
        }
        for (from, to, name, peer) in [
            ("field", "village", "field", "village"),
            ("village", "field", "village", "field"),
            (
                "field/endpoints/anna",
                "village/endpoints/bert",
                "anna",
                "bert",
            ),
            (
                "village/endpoints/bert",
                "field/endpoints/anna",
                "bert",
                "anna",
            ),
        ] {
            loops.ok(&format!("relay-export -N {from} -f -o key"));
            loops.ok(&format!(
                "relay-authorize -q -N {to} --name {name} -f -o connection key"
            ));
            loops.ok(&format!(
                "relay-import -q -N {from} --name {peer} connection"
            ));
        }
        loops.ok("relay-sync -q -N field --init stick");
        loops
    }

    /// A command, by the real clock.
    fn command(&self, line: &str) -> Command {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = scene::command(self.dir.path(), words[0], &words[1..], "");
        command
            .env_remove("RELAY_NOW")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn ok(&self, line: &str) -> Output {
        let output = self.command(line).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{line}: {}: {errors}",
            output.status
        );
        output
    }

    /// Runs a command, and sometimes kills it. Returns its status, or `None` if it was killed.
    fn run(&self, line: &str) -> Option<i32> {
        let count = self.runs.fetch_add(1, Ordering::Relaxed);
        if !self.kill || !count.is_multiple_of(3) {
            let output = self.command(line).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            let status = output
                .status
                .code()
                .unwrap_or_else(|| panic!("{line}: {errors}"));
            // 75: another run is at work.
            let is_repeated = status == 82 && line.starts_with("relay-put ");
            assert!(
                [0, 75].contains(&status) || is_repeated,
                "{line}: {status}: {errors}"
            );
            return Some(status);
        }
        let mut child = self.command(line).spawn().unwrap();
        thread::sleep(Duration::from_micros(
            u64::try_from(count * 7919 % 40_000).unwrap(),
        ));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.signal() == Some(9) {
            self.kills.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        output.status.code()
    }

    /// Seals messages, and repeats relay-put for each until the spool has it.
    fn put(&self, (gateway, endpoint, peer): (&str, &str, &str), writer: usize) {
        for number in 0.. {
            if Instant::now() > self.end {
                return;
            }
            let content = format!("from {endpoint}, {writer}, {number}");
            let files = [
                format!("content-{endpoint}-{writer}"),
                format!("parcel-{endpoint}-{writer}"),
            ];
            fs::write(self.dir.path().join(&files[0]), &content).unwrap();
            self.ok(&format!(
                "relay-seal -q -N {gateway}/endpoints/{endpoint} -t {peer} -f -o {} {}",
                files[1], files[0]
            ));
            // One that was killed may have put it, and it may have gone on since (82).
            let put = format!("relay-put -q -N {gateway} {}", files[1]);
            while !self
                .run(&put)
                .is_some_and(|status| [0, 82].contains(&status))
            {}
            self.sent.lock().unwrap().push(content);
        }
    }

    fn repeat(&self, line: &str) {
        while Instant::now() < self.end {
            self.run(line);
        }
    }

    /// Twenty at once.
    fn all(&self) {
        thread::scope(|scope| {
            for site in SITES {
                let (gateway, endpoint, _) = site;
                for writer in 0..2 {
                    scope.spawn(move || self.put(site, writer));
                    for line in [
                        format!("relay-route -q -N {gateway}"),
                        format!("relay-sync -q -N {gateway} stick"),
                        format!(
                            "relay-deliver -q -N {gateway}/endpoints/{endpoint} --dir inbox-{endpoint}"
                        ),
                        format!("relay-purge -q -N {gateway}"),
                    ] {
                        scope.spawn(move || self.repeat(&line));
                    }
                }
            }
        });
    }

    /// Runs everything in turn until nothing is on its way any more.
    fn finish(&self) {
        for _ in 0..3 {
            for (gateway, endpoint, _) in SITES {
                self.ok(&format!("relay-route -q -N {gateway}"));
                self.ok(&format!("relay-sync -q -N {gateway} stick"));
                self.ok(&format!("relay-route -q -N {gateway}"));
                self.ok(&format!(
                    "relay-deliver -q -N {gateway}/endpoints/{endpoint} --dir inbox-{endpoint}"
                ));
            }
        }
    }

    /// Checks that every message is in a file of its own, and that nothing waits or is left anywhere.
    fn check(&self) {
        let mut sent: BTreeMap<String, usize> = BTreeMap::new();
        for content in self.sent.lock().unwrap().iter() {
            sent.insert(content.clone(), 1);
        }
        let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
        for (gateway, endpoint, peer) in SITES {
            let inbox = self.dir.path().join(format!("inbox-{endpoint}"));
            assert_eq!(names(&inbox), [peer.to_owned()]);
            for name in names(&inbox.join(peer)) {
                let content = fs::read_to_string(inbox.join(peer).join(name)).unwrap();
                *arrived.entry(content).or_default() += 1;
            }
            let listed = self.ok(&format!("relay-list -N {gateway}")).stdout;
            assert_eq!(String::from_utf8_lossy(&listed), "", "{gateway}");
            let checked = self.ok(&format!("relay-check -N {gateway}"));
            assert_eq!(String::from_utf8_lossy(&checked.stdout), "", "{gateway}");
        }
        let differ = |(content, count): &(&String, &usize)| arrived.get(*content) != Some(*count);
        assert_eq!(
            sent.iter().filter(differ).collect::<Vec<_>>(),
            [],
            "lost or more than once"
        );
        assert_eq!(arrived.len(), sent.len(), "what nobody sent");
        println!(
            "{} messages, {} runs of which {} were killed: each message once",
            sent.len(),
            self.runs.load(Ordering::Relaxed),
            self.kills.load(Ordering::Relaxed)
        );
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn twenty_loops_deliver_every_message_once() {
    let loops = Loops::new(60, false);
    loops.all();
    loops.finish();
    loops.check();
    assert!(loops.sent.lock().unwrap().len() > 100);
}

#[test]
fn twenty_loops_of_which_some_are_killed_deliver_every_message_once() {
    let loops = Loops::new(30, true);
    loops.all();
    loops.finish();
    loops.check();
    assert!(loops.kills.load(Ordering::Relaxed) > 100);
}
