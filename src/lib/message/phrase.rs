//! The words for objects, as a sentence needs them.

/// The word for an object, or a PEM label, for a sentence: `a public key`, `connection parameters`.
#[must_use]
pub fn phrase(word: &str) -> String {
    let word = word.to_ascii_lowercase().replace('-', " ");
    let word = word.strip_prefix("relaynet ").unwrap_or(&word);
    match word {
        "cca" | "pca" | "pdd" => format!("a {}", word.to_ascii_uppercase()),
        "cargo" => "cargo".to_owned(),
        plural if plural.ends_with('s') => plural.to_owned(),
        _ if word.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("an {word}"),
        _ => format!("a {word}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_the_right_article() {
        for (word, phrased) in [
            ("RELAYNET CONNECTION PARAMETERS", "connection parameters"),
            ("public-key", "a public key"),
            ("cca", "a CCA"),
            ("cargo", "cargo"),
            ("ENCRYPTED PRIVATE KEY", "an encrypted private key"),
        ] {
            assert_eq!(phrase(word), phrased);
        }
    }
}
