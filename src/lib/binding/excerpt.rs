//! The beginning of what a server said, for reports.

use serde_json::Value;

/// Octets of a server's text that are shown.
const MAX_SHOWN: usize = 200;

/// The beginning of a text from a server, as one line in which nothing changes how a terminal shows it.
#[must_use]
pub fn excerpt(text: &[u8]) -> String {
    let shown = &text[..text.len().min(MAX_SHOWN)];
    let text = String::from_utf8_lossy(shown);
    let mut line = String::new();
    for character in text.trim().chars() {
        // Other white space is as good as a space. Right-to-left marks and what else a terminal obeys is escaped.
        match character {
            ' ' | '\n' | '\r' | '\t' if line.ends_with(' ') => {}
            ' ' | '\n' | '\r' | '\t' => line.push(' '),
            '"' | '\'' => line.push(character),
            _ => line.extend(character.escape_debug()),
        }
    }
    line
}

/// What a server says of its answer: the text in a body of JSON, as servers of the field send it, or its beginning.
#[must_use]
pub fn explanation(body: &[u8]) -> String {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let message = parsed.as_ref().and_then(|it| it.get("message")?.as_str());
    message.map_or_else(|| excerpt(body), |text| excerpt(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_an_answer_is_shown_without_what_is_around_it() {
        for (body, text) in [
            (
                &b"{\"message\":\"no \\u001b[2J room\"}"[..],
                "no \\u{1b}[2J room",
            ),
            (b"{\"error\":\"x\"}\n", "{\"error\":\"x\"}"),
            (b"{\"message\":7}", "{\"message\":7}"),
            (b"{\"message\":\"cut", "{\"message\":\"cut"),
            (b"no\n", "no"),
            (b"", ""),
        ] {
            assert_eq!(explanation(body), text);
        }
    }

    #[test]
    fn a_servers_text_is_one_safe_line() {
        assert_eq!(
            excerpt(b" no\r\n\r\n \"room\" \x1b[2J\n"),
            "no \"room\" \\u{1b}[2J"
        );
        assert_eq!(excerpt("\u{202e}a".as_bytes()), "\\u{202e}a");
        assert_eq!(excerpt(b"\xff\n"), "\u{fffd}");
        assert!(excerpt(&[b'x'; 9000]).len() <= MAX_SHOWN);
    }
}
