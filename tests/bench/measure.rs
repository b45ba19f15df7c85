//! Timing by hand: samples, and how they are shown.

use std::time::{Duration, Instant};

/// How long something took, each time.
#[derive(Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// Runs `work` once and keeps how long it took.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = std::hint::black_box(work());
        self.0.push(start.elapsed());
        done
    }

    /// Runs `work` often enough for a figure: at least `runs` times, and for at least 50 ms.
    #[allow(dead_code)] // not every bench repeats
    pub(crate) fn repeat<T>(runs: usize, mut work: impl FnMut() -> T) -> Self {
        let mut samples = Self::default();
        let start = Instant::now();
        work(); // warm
        while samples.0.len() < runs || start.elapsed() < Duration::from_millis(50) {
            samples.time(&mut work);
        }
        samples
    }

    #[allow(dead_code)] // not every bench repeats
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted.get(sorted.len() / 2).map_or(f64::NAN, millis)
    }

    #[allow(dead_code)] // not every bench shows it
    pub(crate) fn min(&self) -> f64 {
        self.0.iter().min().map_or(f64::NAN, millis)
    }
}

fn millis(duration: &Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The value of an environment variable that holds a number.
pub(crate) fn number(variable: &str, default: usize) -> usize {
    let value = std::env::var(variable).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}
