//! Waits until something changes in directories (inotify(7)), for runs that go on for days.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

/// How often directories are looked at where changes by other machines may go unnoticed, as on a network file system.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often they are looked at where the system cannot watch them: its limit of watches may be reached.
const LOOK_OFTEN: Duration = Duration::from_millis(250);

/// Watches directories for files that get their names in them.
#[derive(Debug)]
pub struct DirWatch {
    /// `None` where the system cannot watch.
    queue: Option<OwnedFd>,
}

impl DirWatch {
    /// Watches these directories, each of which must exist. Where that is not possible, [`DirWatch::wait`] returns often.
    #[must_use]
    pub fn of(dirs: &[&Path]) -> Self {
        let watched = || {
            let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
            for dir in dirs {
                let events = WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::ONLYDIR;
                inotify::add_watch(&queue, *dir, events).ok()?;
            }
            Some(queue)
        };
        Self { queue: watched() }
    }

    /// Waits until a file gets its name in one of the directories, at most so long; returns at once for what came since
    /// the last call. It may return early. Returns whether there was a change.
    #[must_use]
    pub fn wait(&self, most: Duration) -> bool {
        let Some(queue) = &self.queue else {
            std::thread::sleep(most.min(LOOK_OFTEN));
            return true; // or perhaps not
        };
        let most = most.min(LOOK_EVERY);
        let seconds = i64::try_from(most.as_secs()).unwrap_or(i64::MAX);
        let timeout = Timespec {
            tv_sec: seconds,
            tv_nsec: most.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(queue, PollFlags::IN)];
        // A signal ends the wait, as a change does.
        let is_changed = poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0);
        if is_changed {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut events = Reader::new(queue, &mut buffer);
            while events.next().is_ok() {}
        }
        is_changed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_name_ends_the_wait() {
        let dir = tempfile::tempdir().unwrap();
        let watch = DirWatch::of(&[dir.path()]);
        assert!(watch.queue.is_some());
        let started = Instant::now();
        assert!(!watch.wait(Duration::from_millis(50)));
        assert!(
            started.elapsed() >= Duration::from_millis(50),
            "nothing had changed"
        );
        let path = dir.path().join("file");
        let written = std::thread::spawn(move || std::fs::write(path, "x").unwrap());
        let started = Instant::now();
        while !dir.path().join("file").exists() {
            let _ = watch.wait(Duration::from_secs(4));
        }
        assert!(started.elapsed() < Duration::from_secs(4));
        written.join().unwrap();
        // What came before the call counts.
        std::fs::write(dir.path().join("second"), "x").unwrap();
        assert!(watch.wait(Duration::from_secs(4)));
    }
}
