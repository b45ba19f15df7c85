//! File names in media types: how a sender adds one, and which name a receiver uses.
//!
//! A name is the `name` parameter (RFC 2045 §5.1), or `name*` with percent-encoding if it is not
//! plain ASCII (RFC 8187 §3.2).

use std::fmt::Write as _;

use super::media_type;

/// Maximum length of a name that is used for a file, in octets.
const MAX_LEN: usize = 200;

/// Characters that need no encoding in `name*` (RFC 8187 §3.2.1, attr-char).
fn is_attr_char(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&octet)
}

/// Adds the name of a file to a media type, as a parameter.
#[must_use]
pub fn with_name(media_type: &str, name: &str) -> String {
    let mut text = format!("{media_type}; name");
    if name.bytes().all(|octet| matches!(octet, 0x20..=0x7e)) {
        text.push('=');
        text.push_str(&media_type::quoted(name));
    } else {
        text.push_str("*=UTF-8''");
        for octet in name.bytes() {
            // Writing to a String cannot fail.
            let _ = if is_attr_char(octet) {
                write!(text, "{}", char::from(octet))
            } else {
                write!(text, "%{octet:02X}")
            };
        }
    }
    text
}

/// Splits a media type into the type without its name parameter, and the name, both as the sender
/// gave them. Neither is longer than the whole.
#[must_use]
pub fn split(media_type: &str) -> (String, Option<String>) {
    let mut plain = String::with_capacity(media_type.len());
    let mut name = None;
    for (at, part) in media_type::fields(media_type).enumerate() {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let key = key.trim();
        if at > 0 && key.eq_ignore_ascii_case("name*") {
            // The encoded form wins, in whichever order the two come.
            name = decoded(value.trim()).or(name);
        } else if at > 0 && key.eq_ignore_ascii_case("name") {
            name.get_or_insert_with(|| media_type::unquoted(value.trim()));
        } else {
            if at > 0 {
                plain.push(';');
            }
            plain.push_str(part);
        }
    }
    (plain.trim().to_owned(), name)
}

/// Decodes `UTF-8''percent-encoded`; `None` for another charset or malformed text.
fn decoded(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let mut octets = Vec::new();
    let mut rest = encoded.bytes();
    while let Some(octet) = rest.next() {
        if octet == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            octets.extend(crate::asn1::hex::parse(digits)?);
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets).ok()
}

/// Whether a character could change how a terminal or a log shows the text around it.
#[must_use]
pub fn is_harmful(character: char) -> bool {
    character.is_control()
        // Soft hyphen, zero-width, bidirectional, separator, annotation and tag characters.
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A safe file name from a sender's name: the last component, without what could harm a terminal,
/// hide the file or leave its directory; `None` when nothing is left.
#[must_use]
pub fn safe(name: &str) -> Option<String> {
    // Both separators, since the sender may use another system.
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = last
        .chars()
        .filter(|character| !is_harmful(*character))
        .collect();
    // A dot in front hides the file, and a dash makes it look like an option.
    let hides = |character: char| matches!(character, '.' | '-') || character.is_whitespace();
    let mut safe = visible.trim_start_matches(hides).trim_end().to_owned();
    if safe.len() > MAX_LEN {
        safe = shortened(&safe, "", MAX_LEN);
    }
    (!safe.is_empty()).then_some(safe)
}

/// The longest name that is used where a longer one is refused, in octets: encrypted directories (eCryptfs) take 143.
const MAX_PORTABLE_LEN: usize = 100;

/// Names that Windows keeps for devices, with any extension; COM and LPT have a digit after them.
const DEVICES: [&str; 6] = ["con", "nul", "prn", "aux", "com", "lpt"];

/// The spellings of a name to try one after the other, where a file system refuses the one before: as it is, then one
/// that they all take.
#[must_use]
pub fn spellings(name: &str) -> Vec<String> {
    let mut names = vec![name.to_owned(), portable(name)];
    names.dedup();
    names
}

/// A name for file systems that take fewer names than POSIX allows, such as FAT, NTFS and CIFS.
fn portable(name: &str) -> String {
    let taken = |character| match character {
        ':' | '*' | '?' | '"' | '<' | '>' | '|' | '\\' | '/' => '_',
        character if character.is_control() => '_',
        character => character,
    };
    let name: String = name.chars().map(taken).collect();
    // FAT and NTFS drop them.
    let name =
        name.trim_end_matches(|character: char| character == '.' || character.is_whitespace());
    let (stem, _) = name.split_once('.').unwrap_or((name, ""));
    let stem = stem.trim_end().to_ascii_lowercase();
    let device = stem.trim_end_matches(|character: char| character.is_ascii_digit());
    let digits = stem.len() - device.len();
    let is_device =
        DEVICES.contains(&device) && digits == usize::from(matches!(device, "com" | "lpt"));
    let mark = if is_device || name.is_empty() {
        "_"
    } else {
        ""
    };
    shortened(&format!("{mark}{name}"), "", MAX_PORTABLE_LEN)
}

/// Exclusive upper bound of the number in a numbered name.
pub const MAX_NUMBERED: usize = 10_000;

/// The name of the `count`th file of this name: `report.pdf`, then `report~2.pdf`.
#[must_use]
pub fn numbered(name: &str, count: usize) -> String {
    match count {
        1 => name.to_owned(),
        _ => shortened(name, &format!("~{count}"), MAX_LEN),
    }
}

/// The candidate names for a file that its sender calls `name`: that, then `name~2` and so on.
pub fn numbered_names(name: &str) -> impl Iterator<Item = String> {
    (1..MAX_NUMBERED).map(move |count| numbered(name, count))
}

/// Inserts `mark` before the extension of `name`, and cuts the stem so that the result fits `limit`
/// octets.
fn shortened(name: &str, mark: &str, limit: usize) -> String {
    // An extension has 20 octets at most, dot included; anything longer is part of the stem.
    let dot = name
        .rfind('.')
        .filter(|&at| at > 0 && name.len() - at <= 20);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let mut len = limit
        .saturating_sub(mark.len() + extension.len())
        .min(stem.len());
    while !stem.is_char_boundary(len) {
        len -= 1;
    }
    format!("{}{mark}{extension}", &stem[..len])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_as_it_was_given() {
        for name in [
            "report.pdf",
            "a \"b\"; c\\d.txt",
            "résumé – 2.pdf",
            "100%",
            "x;y",
        ] {
            let typed = with_name("application/pdf; version=1", name);
            assert!(typed.is_ascii(), "{typed}");
            assert_eq!(
                split(&typed),
                (
                    "application/pdf; version=1".to_owned(),
                    Some(name.to_owned())
                ),
                "{typed}"
            );
        }
        assert_eq!(split("text/plain"), ("text/plain".to_owned(), None));
        assert_eq!(split("text/plain; name*=UTF-8''%zz").1, None);
    }

    #[test]
    fn a_type_does_not_grow() {
        for media_type in [
            ";".repeat(65_536),
            "a;".repeat(32_768),
            ";name".repeat(10_000),
            ";name*=utf-8''x".repeat(4000),
            ";name=\"\\".repeat(8000),
            "\"".repeat(65_536),
        ] {
            let (plain, name) = split(&media_type);
            assert!(plain.len() <= media_type.len(), "{}", &media_type[..9]);
            assert!(name.is_none_or(|name| name.len() <= media_type.len()));
        }
        assert_eq!(
            split(" a/b ;c=\"; name=d\"; name=e ; f").0,
            "a/b ;c=\"; name=d\"; f"
        );
    }

    #[test]
    fn no_name_leaves_its_directory_or_hides() {
        for (name, expected) in [
            ("/etc/passwd", Some("passwd")),
            ("..\\..\\x.exe", Some("x.exe")),
            (".bashrc", Some("bashrc")),
            (" .bashrc", Some("bashrc")),
            ("-rf", Some("rf")),
            (". \u{a0}.bashrc ", Some("bashrc")),
            ("...", None),
            ("a/", None),
            ("", None),
            ("a\n\x1b[2Jb", Some("a[2Jb")),
            ("x\u{202e}fdp.exe", Some("xfdp.exe")),
        ] {
            assert_eq!(safe(name).as_deref(), expected, "{name:?}");
        }
    }

    #[test]
    fn a_name_that_some_file_systems_refuse_has_another_spelling() {
        let long = format!("{}.pdf", "x".repeat(196));
        let cut = format!("{}.pdf", "x".repeat(96));
        for (name, expected) in [
            ("10:30.txt", "10_30.txt"),
            ("a<b>c|d?e*f\"g.txt", "a_b_c_d_e_f_g.txt"),
            ("report. .", "report"),
            ("NUL", "_NUL"),
            ("con.txt", "_con.txt"),
            ("Aux .c", "_Aux .c"),
            ("lpt1.log", "_lpt1.log"),
            ("...", "_"),
            (&long, &cut),
        ] {
            assert_eq!(spellings(name), [name, expected]);
        }
        for name in [
            "report.pdf",
            "com.txt",
            "com10",
            "null",
            "console.log",
            "é~2",
        ] {
            assert_eq!(spellings(name), [name]);
        }
    }

    #[test]
    fn long_and_repeated_names_keep_their_extension() {
        let long = format!("{}.pdf", "é".repeat(300));
        let safe = safe(&long).unwrap();
        assert!(safe.len() <= MAX_LEN && safe.ends_with("é.pdf"), "{safe}");
        assert_eq!(numbered("report.pdf", 2), "report~2.pdf");
        assert_eq!(numbered("README", 3), "README~3");
        assert!(numbered(&safe, 2).len() <= MAX_LEN);
    }
}
