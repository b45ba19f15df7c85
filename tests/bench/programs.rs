//! Where the programs to measure are, and those that help to measure.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
