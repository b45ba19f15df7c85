//! At most so many lines of one kind on standard error: others can put any number of bad files in a directory, and
//! nobody reads ten thousand lines.

/// Counts lines: the first ones are reported, the others only counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limited {
    limit: usize,
    reported: usize,
    suppressed: usize,
}

impl Limited {
    /// Nothing was reported yet.
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            reported: 0,
            suppressed: 0,
        }
    }

    /// Counts a line; gives whether to report it.
    pub(super) fn admit(&mut self) -> bool {
        let admitted = !self.is_full();
        if admitted {
            self.reported += 1;
        } else {
            self.suppress(1);
        }
        admitted
    }

    /// Whether the next line would not be reported.
    pub(super) fn is_full(&self) -> bool {
        self.reported >= self.limit
    }

    /// Counts lines that are not reported.
    pub(super) fn suppress(&mut self, lines: usize) {
        self.suppressed += lines;
    }

    /// How many lines were not reported, if any.
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
