//! Bounds the number of lines of one kind on standard error, since others can put any number of bad
//! files into a directory.

/// Counts lines: the first ones are reported, the others only counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limited {
    limit: usize,
    reported: usize,
    suppressed: usize,
}

impl Limited {
    /// Starts without any line.
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            reported: 0,
            suppressed: 0,
        }
    }

    /// Counts a line. Returns whether to report it.
    pub(super) fn admit(&mut self) -> bool {
        let admitted = !self.is_full();
        if admitted {
            self.reported += 1;
        } else {
            self.suppress(1);
        }
        admitted
    }

    /// Whether the next line would only be counted.
    pub(super) fn is_full(&self) -> bool {
        self.reported >= self.limit
    }

    /// Counts lines that are not reported.
    pub(super) fn suppress(&mut self, lines: usize) {
        self.suppressed += lines;
    }

    /// The number of lines that were not reported, unless it is 0.
    pub(super) fn suppressed(&self) -> Option<usize> {
        (self.suppressed > 0).then_some(self.suppressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_are_reported_and_the_others_counted() {
        let mut lines = Limited::new(2);
        assert_eq!([lines.admit(), lines.admit()], [true, true]);
        assert_eq!(lines.suppressed(), None);
        assert!(!lines.admit());
        lines.suppress(3);
        assert_eq!(lines.suppressed(), Some(4));
    }
}
