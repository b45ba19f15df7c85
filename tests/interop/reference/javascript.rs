//! The JavaScript library, which Internet gateways and desktop gateways of the network run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{Reference, World, crossing, road};

/// What the library's own folder is made of.
const SOURCES: [&str; 7] = [
    "package.json",
    "package-lock.json",
    "cargo.cjs",
    "cogrpc.cjs",
    "pohttp.cjs",
    "poweb.cjs",
    "reference.cjs",
];

/// Installs the libraries below cargo's target directory, unless they are there already, and returns the directory.
pub(super) fn installed() -> PathBuf {
    // One test of this process installs, and others wait for it.
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(install).clone()
}

fn install() -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/reference");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reference-js");
    fs::create_dir_all(&dir).unwrap();
    let lock = fs::read(sources.join("package-lock.json")).unwrap();
    let stamp = dir.join("installed");
    let is_installed = fs::read(&stamp).is_ok_and(|installed| installed == lock);
    for name in SOURCES {
        fs::copy(sources.join(name), dir.join(name)).unwrap();
    }
    if !is_installed {
        let output = Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&dir)
            .output()
            .expect("npm is needed to test against the JavaScript library");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "npm ci: {errors}");
        fs::write(&stamp, lock).unwrap();
    }
    dir
}

#[test]
fn the_javascript_library_and_these_programs_open_each_others() {
    let script = installed().join("reference.cjs");
    let mut world = World::new();
    let mut command = Command::new("node");
    command.arg(script);
    let mut reference = Reference::start("JavaScript", command, world.dir.path());
    road::parameters(&mut world, &mut reference);
    road::registrations(&mut world, &mut reference);
    road::conversation(&mut world, &mut reference);
    road::parcels(&mut world, &mut reference);
    road::cargo(&mut world, &mut reference);
    road::control_messages(&mut world, &mut reference, road::Rotations::OctetStrings);
    crossing::crossing(&mut world, &mut reference);
    assert_eq!(world.finish(), 54);
}
