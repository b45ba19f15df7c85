//! Where a message was read, as diagnostics name it.

/// Where a message was.
#[derive(Debug, Clone)]
pub struct InputRef {
    /// The input, as diagnostics name it; `-` is standard input.
    pub input: String,
    /// Which message of the input, counted from 1.
    pub index: usize,
    /// Whether the input has only this one.
    pub is_only: bool,
}

impl InputRef {
    /// An input that is one thing by itself.
    #[must_use]
    pub fn named(input: String) -> Self {
        Self {
            input,
            index: 1,
            is_only: true,
        }
    }

    /// The input and the index, for a line of JSON.
    #[must_use]
    pub fn facts(&self) -> (&str, usize) {
        (&self.input, self.index)
    }

    /// The input, with the message's index if there are several: `FILE[2]`.
    #[must_use]
    pub fn label(&self) -> String {
        if self.is_only {
            self.input.clone()
        } else {
            format!("{}[{}]", self.input, self.index)
        }
    }
}
