//! A bar for somebody at a terminal who waits: from one second on, how far a run is. Nothing is left
//! of it at the end. The only file that names the crate.

use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::pipeline::mutex;

/// How long nothing is shown.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// How often the bar moves while nothing is counted, to show that the program still works.
const MOVES_EVERY: Duration = Duration::from_millis(250);

static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Starts to count for this program; `total` is how much there is to count, if that is known.
pub(super) fn start(program: &str, total: Option<usize>) {
    let total = total.and_then(|total| u64::try_from(total).ok());
    let template = match total {
        Some(_) => "{prefix}: [{bar:30}] {pos} of {len}",
        None => "{prefix}: {spinner} {elapsed}{msg}",
    };
    let Ok(style) = ProgressStyle::with_template(template) else {
        return;
    };
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
    bar.set_style(style.progress_chars("=> ").tick_chars("|/-\\ "));
    bar.set_prefix(program.to_owned());
    *mutex::lock(&BAR) = Some(bar);
    std::thread::spawn(|| {
        std::thread::sleep(SHOWN_AFTER);
        if let Some(bar) = &*mutex::lock(&BAR) {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(MOVES_EVERY);
        }
    });
}

/// Counts one thing as done.
pub fn step() {
    if let Some(bar) = &*mutex::lock(&BAR) {
        // More may have come since the total was counted.
        if bar.length().is_some_and(|len| bar.position() >= len) {
            bar.inc_length(1);
        }
        bar.inc(1);
        if bar.length().is_none() {
            bar.set_message(format!(", {} done", bar.position()));
        }
    }
}

/// Ends the bar. Nothing is left on its line.
pub fn end() {
    if let Some(bar) = mutex::lock(&BAR).take() {
        bar.finish_and_clear();
    }
}

/// Writes something to the terminal while the bar is away.
pub(super) fn away<T>(write: impl FnOnce() -> T) -> T {
    let bar = mutex::lock(&BAR).clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}
