//! The front opens no files and has no privileges, whatever an attacker makes of it (landlock(7), capabilities(7)).

use landlock::{ABI, Access as _, AccessFs, Ruleset, RulesetAttr as _};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use crate::serve::Error;

/// Gives up what privileges this thread has, and forbids it to open or change anything in the file system; the same goes for
/// the threads that it makes. What is open stays so. A system that does not know such rules has none.
///
/// # Errors
/// When the system knows them and refuses.
pub(super) fn enter() -> Result<(), Error> {
    give_up_privileges()?;
    Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V3))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map(drop)
        .map_err(|error| Error::Sandbox(error.to_string()))
}

/// Without privileges from now on (capabilities(7)): a unit may give `CAP_NET_BIND_SERVICE` to both processes, of which the
/// keeper alone opens ports.
fn give_up_privileges() -> Result<(), Error> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    // An ambient capability goes with the permitted one.
    set_capabilities(None, sets)
        .map_err(|errno| Error::Sandbox(std::io::Error::from(errno).to_string()))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::{ErrorKind, Read as _};
    use std::thread;

    use landlock::{CompatLevel, Compatible as _};

    use super::*;

    #[test]
    fn a_thread_and_those_that_it_makes_open_no_files() {
        let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let handled = ruleset.handle_access(AccessFs::from_all(ABI::V3));
        if handled.and_then(Ruleset::create).is_err() {
            eprintln!("not tested: this system does not know such rules");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "mine").unwrap();
        let mut open = File::open(&path).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                enter().unwrap();
                let refused = || {
                    let results = [
                        File::open(&path).map(drop),
                        fs::write(&path, "yours"),
                        fs::write(dir.path().join("new"), ""),
                        fs::remove_file(&path),
                        fs::read_dir(dir.path()).map(drop),
                    ];
                    results.map(|it| it.unwrap_err().kind())
                };
                assert_eq!(refused(), [ErrorKind::PermissionDenied; 5]);
                let made = thread::scope(|scope| scope.spawn(refused).join().unwrap());
                assert_eq!(made, [ErrorKind::PermissionDenied; 5]);
                // What is open stays open.
                let mut text = String::new();
                open.read_to_string(&mut text).unwrap();
                assert_eq!(text, "mine");
            });
        });
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine", "others go on");
    }
}
