//! The reference implementations at work: what they make is opened here, what is made here they open, and a
//! conversation goes on for ten turns each way (README.md here).

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

mod bouncycastle;
mod cargo;
mod cogrpc;
mod crossing;
mod javascript;
mod pohttp;
mod poweb;
mod road;

/// A reference implementation that runs.
struct Reference {
    /// What it is called in the table.
    name: &'static str,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Reference {
    /// Starts it in `dir`, where its files will be.
    fn start(name: &'static str, mut command: Command, dir: &Path) -> Self {
        let mut child = command
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            name,
            child,
            input,
            output,
        }
    }

    /// Gives it a command; its results, or what it said was wrong.
    fn tell(&mut self, words: &[&str]) -> Result<Vec<String>, String> {
        writeln!(self.input, "{}", words.join("\t")).unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let mut words = line.trim_end_matches('\n').split('\t').map(str::to_owned);
        match words.next().as_deref() {
            Some("ok") => Ok(words.collect()),
            Some("error") => Err(words.collect()),
            other => panic!("{} said {other:?}", self.name),
        }
    }

    /// Gives it a command that must succeed.
    fn ask(&mut self, words: &[&str]) -> Vec<String> {
        match self.tell(words) {
            Ok(results) => results,
            Err(error) => panic!("{}: {words:?}: {error}", self.name),
        }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory that both sides work in, and the rows of the table.
struct World {
    dir: tempfile::TempDir,
    rows: Vec<[String; 4]>,
}

impl World {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            rows: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, octets: &[u8]) {
        fs::write(self.path(name), octets).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Runs one of our programs with a line of arguments; what it printed.
    fn relay(&self, line: &str) -> String {
        let mut words = line.split(' ');
        let program = format!("relay-{}", words.next().unwrap());
        let program = Path::new(env!("CARGO_BIN_EXE_relay-open")).with_file_name(program);
        let output = Command::new(program)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .args(words)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "relay-{line}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What is shown of an object of ours.
    fn inspect(&self, file: &str) -> Value {
        serde_json::from_str(&self.relay(&format!("inspect --json {file}"))).unwrap()
    }

    /// The id that `relay-keygen` printed, or of a peer that was imported.
    fn id(&self, line: &str) -> String {
        self.relay(line).trim().to_owned()
    }

    /// A row of the table: something was made by one side and opened by the other.
    fn row(&mut self, what: &str, made_by: &str, opened_by: &str, size: usize) {
        let row = [what, made_by, opened_by, &size.to_string()].map(str::to_owned);
        self.rows.push(row);
    }

    /// Prints the table; how many rows it has.
    fn finish(&self) -> usize {
        let mut table = String::new();
        for [what, made_by, opened_by, size] in &self.rows {
            writeln!(table, "{what:<44} {made_by:<14} {opened_by:<14} {size:>9}").unwrap();
        }
        println!("\nwhat, made by, opened by, octets\n{table}");
        self.rows.len()
    }
}

/// Octets that look like anything.
fn content(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()[0])
        .collect()
}

/// An instant so many seconds ago, as options have it.
fn ago(seconds: i64) -> String {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    (now - SignedDuration::from_secs(seconds)).to_string()
}
