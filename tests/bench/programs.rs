//! The programs to measure and those that help to measure, and how they are run.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The directory of the programs to measure.
pub(crate) fn directory() -> PathBuf {
    if let Some(dir) = env::var_os("RELAY_BENCH_BIN") {
        return fs::canonicalize(dir).unwrap();
    }
    // This bench is in target/release/deps.
    let bench = env::current_exe().unwrap();
    let dist = bench.ancestors().nth(3).unwrap().join("dist");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--profile", "dist", "--locked", "--bins"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(cargo.status().unwrap().success());
    dist
}

/// Compiles small C programs of this directory into `dir`.
pub(crate) fn compile(programs: &[&str], dir: &Path) {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench");
    for program in programs {
        let mut compiler = Command::new("cc");
        compiler
            .args(["-O2", "-o"])
            .arg(dir.join(program))
            .arg(sources.join(format!("{program}.c")));
        assert!(
            compiler.status().unwrap().success(),
            "cc is needed for {program}.c"
        );
    }
}

/// The programs, and a directory to run them in.
pub(crate) struct Place {
    pub(crate) programs: PathBuf,
    pub(crate) dir: PathBuf,
}

/// What a process took.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    /// The most octets of memory at once.
    pub(crate) memory: u64,
    /// Seconds of all cores together.
    #[allow(dead_code)] // not every bench shows it
    pub(crate) cpu: f64,
}

impl Place {
    /// A command that reads nothing, and whose output is dropped.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.program(words[0]));
        command
            .args(&words[1..])
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &self.dir)
            .env("TMPDIR", &self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// One of the programs, one that was compiled here, or one of the system.
    fn program(&self, name: &str) -> PathBuf {
        let places = [&self.programs, &self.dir];
        let found = places.map(|dir| dir.join(name));
        let found = found.into_iter().find(|path| path.is_file());
        found.unwrap_or_else(|| PathBuf::from(name))
    }

    /// Runs a line of words, which must succeed.
    #[allow(dead_code)] // not every bench runs lines
    pub(crate) fn run(&self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let status = self.command(&words).status().unwrap();
        assert!(status.success(), "{line}: {status}");
    }

    /// Runs commands, each reading what the one before it writes, and says what each took; all must succeed.
    #[allow(dead_code)] // not every bench has pipes
    pub(crate) fn pipe(&self, lines: &[&str]) -> Vec<Usage> {
        let mut running: Vec<Child> = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let words: Vec<&str> = line.split(' ').collect();
            let mut command = self.watched(&words, at);
            if let Some(before) = running.last_mut() {
                command.stdin(before.stdout.take().unwrap());
            }
            if at + 1 < lines.len() {
                command.stdout(Stdio::piped());
            }
            running.push(command.spawn().unwrap());
        }
        let usages = running.into_iter().enumerate().map(|(at, mut child)| {
            let status = child.wait().unwrap();
            assert!(status.success(), "{}: {status}", lines[at]);
            self.usage(at)
        });
        usages.collect()
    }

    /// Runs one command and says what it took.
    #[allow(dead_code)] // not every bench has single commands
    pub(crate) fn measured(&self, words: &[&str], succeeds: bool) -> Usage {
        let output = self.watched(words, 0).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), succeeds, "{words:?}: {errors}");
        self.usage(0)
    }

    /// The command under `peak`, which [`compile`] put here.
    fn watched(&self, words: &[&str], at: usize) -> Command {
        let mut command = self.command(&["peak"]);
        let program = self.program(words[0]);
        command
            .arg(self.dir.join(format!("usage.{at}")))
            .arg(program)
            .args(&words[1..]);
        command
    }

    fn usage(&self, at: usize) -> Usage {
        let text = fs::read_to_string(self.dir.join(format!("usage.{at}"))).unwrap();
        let (memory, cpu) = text.trim_end().split_once(' ').unwrap();
        Usage {
            memory: memory.parse::<u64>().unwrap() * 1024,
            cpu: cpu.parse::<f64>().unwrap() / 1e6,
        }
    }
}
