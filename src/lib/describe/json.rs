//! Lines of JSON that a terminal or a log can show as they are.

use std::fmt::Write as _;

use serde_json::Value;

use crate::message::file_name::is_harmful;

/// A value on one line, in which what could change how a terminal shows it is written `\uXXXX`: a reader of JSON gets
/// the same value.
#[must_use]
pub fn line(value: &Value) -> String {
    // Such characters can stand in strings only, and backslashes there are escaped themselves.
    let text = value.to_string();
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmful(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_could_change_a_terminal_is_escaped() {
        let value = json!({ "a\u{9b}b": "c\u{202e}d\u{e0041}\u{7f}\n\"é" });
        let written = line(&value);
        assert_eq!(written, r#"{"a\u009bb":"c\u202ed\udb40\udc41\u007f\n\"é"}"#);
    }

    proptest! {
        #[test]
        fn a_line_reads_back_and_harms_nothing(key in any::<String>(), text in any::<String>()) {
            let value = json!({ key: [text] });
            let written = line(&value);
            prop_assert!(!written.chars().any(is_harmful), "{written:?}");
            prop_assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
        }
    }
}
