//! Facts as text: one line each, with nested facts indented.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// The facts as lines of `key: value`. Facts that an object lacks are not shown.
#[must_use]
pub fn to_text(facts: &Map<String, Value>) -> String {
    let mut text = String::new();
    write_map(&mut text, facts, 0);
    text
}

fn write_map(text: &mut String, facts: &Map<String, Value>, depth: usize) {
    for (key, value) in facts {
        write_value(text, &key.replace('_', " "), value, depth);
    }
}

fn write_value(text: &mut String, key: &str, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Null => Ok(()),
        Value::Object(facts) => {
            let _ = writeln!(text, "{indent}{key}:");
            write_map(text, facts, depth + 1);
            Ok(())
        }
        Value::Array(values) => {
            if values.is_empty() {
                let _ = writeln!(text, "{indent}{key}: none");
            }
            for (number, value) in (1..).zip(values) {
                write_value(text, &format!("{key} {number}"), value, depth);
            }
            Ok(())
        }
        Value::Bool(true) => writeln!(text, "{indent}{key}: yes"),
        Value::Bool(false) => writeln!(text, "{indent}{key}: no"),
        Value::String(words) => writeln!(text, "{indent}{key}: {}", on_one_line(words)),
        Value::Number(number) => writeln!(text, "{indent}{key}: {number}"),
    };
}

/// Escapes everything in untrusted text that could begin a new line.
fn on_one_line(words: &str) -> String {
    let mut line = String::with_capacity(words.len());
    for character in words.chars() {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_begins_a_line_of_its_own() {
        let facts =
            serde_json::json!({ "common_name": "x\nkind: parcel\u{85}", "none": null, "list": [] });
        let Value::Object(facts) = facts else {
            panic!("an object")
        };
        assert_eq!(
            to_text(&facts),
            "common name: x\\nkind: parcel\\u{85}\nlist: none\n"
        );
    }
}
