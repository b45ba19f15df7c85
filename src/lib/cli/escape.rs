//! Text for a terminal, which can neither move the cursor nor reorder the text around it.

use std::path::Path;

use crate::message::file_name::is_harmful;

/// A path as text, with unprintable characters escaped.
#[must_use]
pub fn path(path: &Path) -> String {
    if path.as_os_str().is_empty() {
        "''".to_owned()
    } else {
        escaped(&path.to_string_lossy())
    }
}

/// Text with control and bidirectional-order characters escaped.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmful(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_untrusted_reaches_a_terminal_raw() {
        assert_eq!(escaped("a\x1b[2Jb\n\u{202e}é"), "a\\u{1b}[2Jb\\n\\u{202e}é");
    }
}
