//! The signals that end this program. While a command runs they are passed on to it, and end this
//! program once the command has ended and its result is stored.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use rustix::process::Signal;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::low_level::{self, pipe};
use signal_hook::{SigId, flag};

/// The signals that are passed on.
const PASSED_ON: [(i32, Signal); 4] = [
    (SIGHUP, Signal::HUP),
    (SIGINT, Signal::INT),
    (SIGQUIT, Signal::QUIT),
    (SIGTERM, Signal::TERM),
];

/// Whether no command runs, so that a signal ends this program at once.
static IS_IDLE: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| Arc::new(AtomicBool::new(true)));

/// The signal that arrived while a command ran and is still to end this program; 0 if there is none.
static PENDING: AtomicUsize = AtomicUsize::new(0);

/// The number of the signal that ends this program, if one arrived while a command ran.
#[must_use]
pub fn pending() -> Option<i32> {
    i32::try_from(PENDING.load(Ordering::SeqCst))
        .ok()
        .filter(|signal| *signal != 0)
}

/// A flag that SIGTERM and SIGINT set, for a run that ends in its own time. A second one ends it at once.
///
/// # Errors
/// When they cannot be handled.
pub fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for number in [SIGTERM, SIGINT] {
        // In this order: the first signal finds the flag unset.
        flag::register_conditional_default(number, Arc::clone(&stop))?;
        flag::register(number, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// A flag that SIGHUP sets, for a run that reads its settings again.
///
/// # Errors
/// When it cannot be handled.
pub fn reload_flag() -> io::Result<Arc<AtomicBool>> {
    let reload = Arc::new(AtomicBool::new(false));
    flag::register(SIGHUP, Arc::clone(&reload))?;
    Ok(reload)
}

/// The name of a signal.
pub(super) fn name(signal: i32) -> &'static str {
    low_level::signal_name(signal).unwrap_or("a signal")
}

/// Notices signals and the ends of children, until it is dropped.
pub(super) struct Watch {
    actions: Vec<SigId>,
    /// The last signal that arrived and was not taken; 0 if there is none.
    arrived: Arc<AtomicUsize>,
    /// Gets an octet for each signal.
    wakes: UnixStream,
}

impl Watch {
    /// Starts before the command does, so that no signal is missed.
    pub(super) fn start() -> io::Result<Self> {
        keep_default()?;
        let (wakes, bell) = UnixStream::pair()?;
        let mut watch = Self {
            actions: Vec::new(),
            arrived: Arc::default(),
            wakes,
        };
        let child = pipe::register(SIGCHLD, bell.try_clone()?)?;
        watch.actions.push(child);
        for (number, _) in passed_on() {
            let arrived = Arc::clone(&watch.arrived);
            let value = usize::try_from(number).unwrap_or_default();
            let noted = flag::register_usize(number, arrived, value)?;
            watch.actions.push(noted);
            let woken = pipe::register(number, bell.try_clone()?)?;
            watch.actions.push(woken);
        }
        IS_IDLE.store(false, Ordering::SeqCst);
        Ok(watch)
    }

    /// The signal that arrived since this was asked last.
    pub(super) fn take(&self) -> Option<(Signal, &'static str)> {
        let number = self.arrived.swap(0, Ordering::SeqCst);
        let (number, signal) = PASSED_ON
            .into_iter()
            .find(|(passed, _)| usize::try_from(*passed) == Ok(number))?;
        PENDING.store(
            usize::try_from(number).unwrap_or_default(),
            Ordering::SeqCst,
        );
        Some((signal, name(number)))
    }

    /// Waits for a signal or the end of a child, but not longer than `most`.
    pub(super) fn wait(&self, most: Duration) {
        // Zero would mean to wait for ever.
        let most = most.max(Duration::from_millis(1));
        if self.wakes.set_read_timeout(Some(most)).is_err() {
            std::thread::sleep(most.min(Duration::from_millis(50)));
            return;
        }
        let _ = (&self.wakes).read(&mut [0; 64]);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        IS_IDLE.store(true, Ordering::SeqCst);
        // One that arrived after the command had ended.
        let _ = self.take();
        for action in self.actions.drain(..) {
            low_level::unregister(action);
        }
    }
}

/// Has the signals end this program as before whenever no command runs: once handled, a signal never
/// gets its default action back.
fn keep_default() -> io::Result<()> {
    static KEPT: OnceLock<Result<(), io::ErrorKind>> = OnceLock::new();
    let keep = || {
        for (number, _) in passed_on() {
            flag::register_conditional_default(number, Arc::clone(&IS_IDLE))
                .map_err(|error| error.kind())?;
        }
        Ok(())
    };
    KEPT.get_or_init(keep).map_err(io::Error::from)
}

/// The signals that are passed on: not those that were ignored when this program started, as
/// nohup(1) does.
fn passed_on() -> impl Iterator<Item = (i32, Signal)> {
    static IGNORED: LazyLock<u64> = LazyLock::new(ignored);
    PASSED_ON
        .into_iter()
        .filter(|(number, _)| *IGNORED & (1 << (number - 1)) == 0)
}

/// The set of ignored signals, as Linux shows it; empty where that cannot be read.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let set = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or_default()
}
