//! The syntax of media types: a type and a subtype, then parameters (RFC 2045 §5.1).

/// The type and subtype, without parameters and the blanks around.
#[must_use]
pub fn essence(media_type: &str) -> &str {
    let (plain, _) = media_type.split_once(';').unwrap_or((media_type, ""));
    plain.trim()
}

/// Splits a media type at semicolons outside of quotes: the type and subtype, then each parameter.
pub fn fields(media_type: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    media_type.split(move |character: char| {
        if character == ';' && !quoted {
            return true;
        }
        if character == '"' && !escaped {
            quoted = !quoted;
        }
        // A backslash escapes only within quotes, and can be escaped itself.
        escaped = quoted && !escaped && character == '\\';
        false
    })
}

/// The value of the first parameter of this name, in whichever case, without its quotes.
#[must_use]
pub fn parameter(media_type: &str, name: &str) -> Option<String> {
    fields(media_type).skip(1).find_map(|field| {
        let (key, value) = field.split_once('=')?;
        let is_it = key.trim().eq_ignore_ascii_case(name);
        is_it.then(|| unquoted(value.trim()))
    })
}

/// A value between quotes, as [`unquoted`] reads it.
#[must_use]
pub fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for character in value.chars() {
        if matches!(character, '"' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('"');
    text
}

/// The value of a parameter without its quotes.
#[must_use]
pub fn unquoted(value: &str) -> String {
    let Some(inner) = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
    else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_found_by_name() {
        let media_type = r#"Text/Plain ; Charset=utf-8; a="b;\"c\\"; A=2"#;
        assert_eq!(essence(media_type), "Text/Plain");
        assert_eq!(parameter(media_type, "charset").as_deref(), Some("utf-8"));
        assert_eq!(parameter(media_type, "a").as_deref(), Some(r#"b;"c\"#));
        assert_eq!(parameter(media_type, "b"), None);
        assert_eq!(parameter("text/plain", "text/plain"), None);
    }

    proptest! {
        #[test]
        fn a_quoted_value_is_read_back(value in "[ -~]{0,40}", after in "[ -~&&[^\"]]{0,9}") {
            let media_type = format!("x/y; of={}; z={after}", quoted(&value));
            prop_assert_eq!(parameter(&media_type, "of"), Some(value));
        }
    }
}
