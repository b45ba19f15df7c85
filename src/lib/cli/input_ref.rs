//! The position of a message in the inputs, as diagnostics name it.

use super::report;

/// The position of a message in the inputs.
#[derive(Debug, Clone)]
pub struct InputRef {
    /// The name of the input as it is; `-` is standard input.
    pub input: String,
    /// The index of the message in the input, counted from 1.
    pub index: usize,
    /// Whether the input has no other message.
    pub is_only: bool,
}

impl InputRef {
    /// An input that is one object by itself.
    #[must_use]
    pub fn named(input: String) -> Self {
        Self {
            input,
            index: 1,
            is_only: true,
        }
    }

    /// The input and index, for a line of JSON.
    #[must_use]
    pub fn facts(&self) -> (&str, usize) {
        (&self.input, self.index)
    }

    /// The input, with the index if there are several messages: `FILE[2]`.
    #[must_use]
    pub fn label(&self) -> String {
        if self.is_only {
            report::escaped(&self.input)
        } else {
            format!("{}[{}]", report::escaped(&self.input), self.index)
        }
    }
}
