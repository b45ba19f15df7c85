//! Bounds the number of lines of one kind on standard error in a run that goes on for days.

use std::time::{Duration, Instant};

use super::limited::Limited;

/// How often it begins anew.
const PERIOD: Duration = Duration::from_secs(3600);

/// Has the first lines of an hour reported, and counts the others.
#[derive(Debug)]
pub(super) struct HourlyLimit {
    limit: usize,
    lines: Limited,
    since: Option<Instant>,
}

impl HourlyLimit {
    /// Starts without any line.
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            lines: Limited::new(limit),
            since: None,
        }
    }

    /// Counts a line. Returns whether to report it.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        self.since.get_or_insert(now);
        self.lines.admit()
    }

    /// How many lines were not reported in an hour that is over, unless it is 0.
    pub(super) fn take_over(&mut self, now: Instant) -> Option<usize> {
        let since = self.since?;
        if now.saturating_duration_since(since) < PERIOD {
            return None;
        }
        self.take()
    }

    /// How many lines were not reported since that was told last, unless it is 0.
    pub(super) fn take(&mut self) -> Option<usize> {
        let lines = std::mem::replace(&mut self.lines, Limited::new(self.limit));
        self.since = None;
        lines.suppressed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hour_has_its_lines_and_its_count() {
        let start = Instant::now();
        let mut lines = HourlyLimit::new(2);
        let admitted = |lines: &mut HourlyLimit, now| (0..5).filter(|_| lines.admit(now)).count();
        assert_eq!(admitted(&mut lines, start), 2);
        let soon = start + PERIOD / 2;
        assert_eq!(lines.take_over(soon), None);
        assert_eq!(admitted(&mut lines, soon), 0);
        let later = start + PERIOD;
        assert_eq!(lines.take_over(later), Some(8));
        assert_eq!(lines.take_over(later), None);
        assert_eq!(admitted(&mut lines, later), 2);
        // The hour begins with its first line.
        assert_eq!(lines.take_over(later + PERIOD / 2), None);
        assert_eq!(lines.take(), Some(3));
        assert_eq!(lines.take(), None);
    }
}
