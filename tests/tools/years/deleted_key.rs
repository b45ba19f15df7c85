//! Forward secrecy: what was captured cannot be opened any more once its session key is deleted.

use std::path::Path;

use super::{NODES, Step, World};
use crate::testenv::id;

/// A thief has an old captured parcel, and the whole node directory as it is after its key was deleted.
#[test]
fn a_deleted_key_opens_nothing_again() {
    let mut world = World::new();
    world.take(&Step::Seal(0));
    let captured = world.under_way[0].clone();
    // The statuses with every key that is there, whatever the programs would check first.
    let statuses = |world: &World| {
        let mut statuses = Vec::new();
        for folder in world.env.names("bob/sessions") {
            for key in world.env.names(&format!("bob/sessions/{folder}")) {
                let key = format!("bob/sessions/{folder}/{key}");
                if Path::new(&key).extension() == Some("key".as_ref()) {
                    let recipient = id("bob");
                    let args = [
                        "--any-sender",
                        "--recipient",
                        &recipient,
                        "--session-key",
                        &key,
                    ];
                    let open = world.call("open", &args, captured.sealed);
                    let open = open.stdin(captured.octets.clone()).output();
                    let status = open.status.code().unwrap();
                    assert_eq!(open.stdout.is_empty(), status != 0, "{key}");
                    statuses.push(status);
                }
            }
        }
        statuses
    };
    let opens = |statuses: &[i32]| statuses.iter().filter(|status| **status == 0).count();
    assert_eq!(opens(&statuses(&world)), 1);
    world.take(&Step::Arrive(0, false));
    // It is superseded in the first week, and kept for 30 days after that.
    for week in 0..7 {
        for pair in [1, 0, 1, 0] {
            world.take(&Step::Seal(pair));
            world.take(&Step::Arrive(0, false));
        }
        for node in 0..NODES.len() {
            world.take(&Step::Rotate(node));
            while !world.under_way.is_empty() {
                world.take(&Step::Arrive(0, false));
            }
            world.take(&Step::Purge(node));
        }
        assert_eq!(
            opens(&statuses(&world)),
            usize::from(week < 5),
            "week {week}"
        );
        world.take(&Step::Wait(7 * 24));
    }
    assert!(!statuses(&world).is_empty());
}
