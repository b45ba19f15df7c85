//! Bouncy Castle, with the calls that the Kotlin library of Android apps makes of it.

use std::path::Path;
use std::process::Command;

use super::{Reference, World, crossing, road};

/// Debian's libbcpkix-java, and what it needs.
const JARS: [&str; 3] = [
    "/usr/share/java/bcpkix.jar",
    "/usr/share/java/bcprov.jar",
    "/usr/share/java/bcutil.jar",
];

#[test]
fn bouncy_castle_and_these_programs_open_each_others() {
    for jar in JARS {
        assert!(
            Path::new(jar).exists(),
            "{jar} is missing: install Debian's libbcpkix-java"
        );
    }
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/reference/Reference.java");
    let mut world = World::new();
    let mut command = Command::new("java");
    command.arg("-cp").arg(JARS.join(":")).arg(source);
    let mut reference = Reference::start("Bouncy Castle", command, world.dir.path());
    road::parameters(&mut world, &mut reference);
    road::registrations(&mut world, &mut reference);
    road::conversation(&mut world, &mut reference);
    road::parcels(&mut world, &mut reference);
    road::cargo(&mut world, &mut reference);
    road::control_messages(&mut world, &mut reference, road::Rotations::Certificates);
    crossing::crossing(&mut world, &mut reference);
    assert_eq!(world.finish(), 50);
}
