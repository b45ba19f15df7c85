//! Formats content as a mail (RFC 5322, RFC 2045) for a Maildir.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::Offset;

use super::{Content, Error};
use crate::disk::FileRole;
use crate::disk::tree::{self, EntryKind};
use crate::message::{file_name, media_type};

/// The domain of the addresses, reserved so that it never exists (RFC 2606 §2).
const DOMAIN: &str = "relay.invalid";

/// The length of a line of base64, in octets (RFC 2045 §6.8 allows 76).
const LINE: usize = 76;

/// Octets of content in such a line.
const IN_LINE: usize = LINE / 4 * 3;

/// Octets of text in an encoded word: base64 makes 60 of them (RFC 2047 §2 allows 75 for the whole
/// word).
const WORD: usize = 45;

/// The longest media type that is put into a header, in octets.
const MAX_TYPE_LEN: usize = 200;

/// Checks that a directory is a Maildir, that is, has its three folders.
///
/// # Errors
/// [`Error::NotAMaildir`] when a folder is missing.
pub fn check(dir: &Path) -> Result<(), Error> {
    let is_maildir = ["tmp", "new", "cur"]
        .iter()
        .all(|folder| dir.join(folder).is_dir());
    if is_maildir {
        Ok(())
    } else {
        Err(Error::NotAMaildir(dir.to_owned()))
    }
}

/// The file name of the mail.
#[must_use]
pub fn file_name_of(content: &Content) -> String {
    format!("{}.relay", content.file_name())
}

/// Whether a mail reader has moved the mail of this name to `cur`, where flags may follow the name.
///
/// # Errors
/// When `cur` cannot be listed.
pub fn is_seen(dir: &Path, name: &str) -> Result<bool, Error> {
    for entry in tree::entries(&dir.join("cur"), FileRole::Delivery)?.entries {
        // The flags begin with `:2,`.
        let found = entry.name.to_string_lossy();
        let is_it = found
            .strip_prefix(name)
            .is_some_and(|flags| flags.is_empty() || flags.starts_with(':'));
        if entry.kind == EntryKind::File && is_it {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The header field that names the authenticated sender, whatever the mail itself claims.
const SENDER: &str = "X-Relay-Sender";

/// The mail. Content that is a mail itself (`message/rfc822`) gets the sender field above it; other
/// content becomes the body of a new mail.
#[must_use]
pub fn mail(content: &Content, octets: &[u8]) -> Vec<u8> {
    let mut writer = MailWriter::of(content);
    let mut mail = writer.block(octets);
    mail.extend(writer.end());
    mail
}

/// Makes a mail of content that comes block by block, as [`mail`].
#[derive(Debug)]
pub struct MailWriter<'a> {
    content: &'a Content,
    body: Option<Body>,
}

/// The form that the content has in the mail.
#[derive(Debug)]
enum Body {
    /// It is a mail itself.
    Verbatim,
    Encoded(MailLines),
}

impl<'a> MailWriter<'a> {
    /// Begins with nothing.
    #[must_use]
    pub fn of(content: &'a Content) -> Self {
        Self {
            content,
            body: None,
        }
    }

    /// The octets of the mail for the next block of content. The first block decides whether it is a mail itself.
    #[must_use]
    pub fn block(&mut self, octets: &[u8]) -> Vec<u8> {
        match &mut self.body {
            Some(Body::Verbatim) => octets.to_vec(),
            Some(Body::Encoded(lines)) => lines.of(octets),
            None => {
                let content = self.content;
                let is_all = content.size <= octets.len() as u64;
                if is_mail(&content.media_type) && takes_a_line(octets, is_all) {
                    self.body = Some(Body::Verbatim);
                    return [sender(content, line_end(octets)).as_bytes(), octets].concat();
                }
                let mut mail = head(content, &media_type(content, octets, is_all)).into_bytes();
                let mut lines = MailLines::default();
                mail.extend(lines.of(octets));
                self.body = Some(Body::Encoded(lines));
                mail
            }
        }
    }

    /// The end of the mail.
    #[must_use]
    pub fn end(mut self) -> Vec<u8> {
        // Content without a single octet has no first block.
        let mut mail = if self.body.is_none() {
            self.block(&[])
        } else {
            Vec::new()
        };
        if let Some(Body::Encoded(lines)) = self.body {
            mail.extend(lines.end());
        }
        mail
    }
}

fn is_mail(media_type: &str) -> bool {
    media_type::essence(media_type).eq_ignore_ascii_case("message/rfc822")
}

/// What ends the first line of a mail. The line above it ends alike: a mail with both kinds is
/// malformed for some readers, and to change the mail itself would break signatures over it.
fn line_end(mail: &[u8]) -> &'static str {
    let end = mail.iter().position(|octet| *octet == b'\n');
    match end.and_then(|end| mail[..end].last()) {
        Some(b'\r') => "\r\n",
        _ => "\n",
    }
}

/// Whether every reader would see a field above the mail as a field of its own: the mail begins
/// with a field, not with a continuation of the field above it, and has no such field itself.
/// Of a mail of which this is not all, the head must be complete.
fn takes_a_line(mail: &[u8], is_all: bool) -> bool {
    let is_empty = |line: &&[u8]| matches!(*line, b"" | b"\r");
    let lines = || mail.split(|octet| *octet == b'\n');
    if !is_all && !lines().any(|line| is_empty(&line)) {
        return false;
    }
    let head = lines();
    let mut head = head.take_while(|line| !is_empty(line)).peekable();
    head.peek().is_some_and(|line| field_of(line).is_some())
        && head
            // Some readers take each of these characters for the end of a line.
            .flat_map(|line| line.split(|octet| matches!(octet, b'\r' | 0x0b | 0x0c)))
            .all(|line| !is_sender(line))
}

/// The name of the field that a line begins with (RFC 5322 §2.2).
fn field_of(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|octet| *octet == b':')?;
    let name = &line[..colon];
    (!name.is_empty() && name.iter().all(u8::is_ascii_graphic)).then_some(name)
}

/// Whether any reader may take a line for the sender field.
fn is_sender(line: &[u8]) -> bool {
    // Tolerant, as some readers are: white space before the name, any case, anything after it.
    let line = line.trim_ascii_start();
    let name = line.split_at_checked(SENDER.len());
    name.is_some_and(|(name, _)| name.eq_ignore_ascii_case(SENDER.as_bytes()))
}

/// The sender field, as a line with this end.
fn sender(content: &Content, end: &str) -> String {
    format!("{SENDER}: {}{end}", content.sender)
}

/// A display name (RFC 5322 §3.4): quoted unless it is an atom, which a name with a dot is not.
fn display_name(name: &str) -> String {
    let is_atom_char =
        |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet);
    if !name.is_empty() && name.bytes().all(is_atom_char) {
        name.to_owned()
    } else if name.bytes().all(|octet| matches!(octet, 0x20..=0x7e)) {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        in_header(name)
    }
}

/// The header of a mail whose body has this media type.
fn head(content: &Content, media_type: &str) -> String {
    let mut head = sender(content, "\n");
    let date = Offset::UTC
        .to_datetime(content.date)
        .strftime("%a, %d %b %Y %H:%M:%S +0000");
    let name = content.safe_name();
    let subject = name.as_deref().unwrap_or(media_type);
    // Writing to a String cannot fail.
    let _ = write!(
        head,
        "Date: {date}\nFrom: {} <{}@{DOMAIN}>\nTo: <{}@{DOMAIN}>\nMessage-ID: <{}@{DOMAIN}>\nSubject: {}\n",
        display_name(&content.label()),
        content.sender,
        content.recipient,
        content.file_name(),
        in_header(subject),
    );
    let typed = match &name {
        Some(name) => file_name::with_name(media_type, name),
        None => media_type.to_owned(),
    };
    let _ = write!(
        head,
        "MIME-Version: 1.0\nContent-Type: {typed}\nContent-Transfer-Encoding: base64\n\n"
    );
    head
}

/// Encodes octets that come block by block as lines of base64.
#[derive(Debug, Default)]
struct MailLines {
    /// Octets that do not fill a line yet.
    rest: Vec<u8>,
}

impl MailLines {
    /// The lines that these octets complete.
    fn of(&mut self, mut octets: &[u8]) -> Vec<u8> {
        let mut lines = Vec::with_capacity(octets.len() / IN_LINE * (LINE + 1) + LINE + 1);
        if !self.rest.is_empty() {
            let (more, after) = octets.split_at((IN_LINE - self.rest.len()).min(octets.len()));
            self.rest.extend(more);
            octets = after;
            if self.rest.len() < IN_LINE {
                return lines;
            }
            line(&self.rest, &mut lines);
        }
        let whole = octets.len() - octets.len() % IN_LINE;
        for octets in octets[..whole].chunks(IN_LINE) {
            line(octets, &mut lines);
        }
        self.rest.clear();
        self.rest.extend(&octets[whole..]);
        lines
    }

    /// The last line, if it is not empty.
    fn end(self) -> Vec<u8> {
        let mut lines = Vec::new();
        if !self.rest.is_empty() {
            line(&self.rest, &mut lines);
        }
        lines
    }
}

fn line(octets: &[u8], lines: &mut Vec<u8>) {
    let mut text = [b'\n'; LINE + 1];
    // IN_LINE octets always fit into LINE octets of base64.
    let len = STANDARD
        .encode_slice(octets, &mut text[..LINE])
        .unwrap_or(0);
    text[len] = b'\n';
    lines.extend(&text[..=len]);
}

/// The media type for the header. Its sender chose it, so anything unfit becomes
/// `application/octet-stream`. UTF-8 text without a charset is labelled as such. `message/` and
/// `multipart/` cannot be in base64 (RFC 2045 §6.4).
fn media_type(content: &Content, octets: &[u8], is_all: bool) -> String {
    let media_type = &content.media_type;
    let is_fit = media_type.contains('/')
        && media_type.len() <= MAX_TYPE_LEN
        && media_type.bytes().all(|octet| matches!(octet, 0x20..=0x7e));
    if !is_fit {
        return "application/octet-stream".to_owned();
    }
    let plain = media_type.to_ascii_lowercase();
    if plain.starts_with("message/") || plain.starts_with("multipart/") {
        return "application/octet-stream".to_owned();
    }
    let is_utf8 = || is_all && str::from_utf8(octets).is_ok();
    if plain.starts_with("text/") && !plain.contains("charset") && is_utf8() {
        return format!("{media_type}; charset=utf-8");
    }
    media_type.clone()
}

/// Text for a header: unchanged if it is ASCII, else as encoded words (RFC 2047), one on each line.
fn in_header(text: &str) -> String {
    if text.bytes().all(|octet| matches!(octet, 0x20..=0x7e)) {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut len = WORD.min(rest.len());
        // A character must not be split between encoded words (RFC 2047 §5).
        while !rest.is_char_boundary(len) {
            len -= 1;
        }
        let (word, after) = rest.split_at(len);
        words.push(format!("=?UTF-8?B?{}?=", STANDARD.encode(word)));
        rest = after;
    }
    words.join("\n ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::peers::short_id;
    use crate::pki::NodeId;

    fn sample(media_type: &str, name: Option<&str>) -> Content {
        Content {
            sender: NodeId::of_spki(b"sender"),
            peer: Some("bob".to_owned()),
            recipient: NodeId::of_spki(b"recipient"),
            id: "x".to_owned(),
            date: "2027-05-22T10:11:12Z".parse().unwrap(),
            expiry: "2027-06-22T10:11:12Z".parse().unwrap(),
            media_type: media_type.to_owned(),
            name: name.map(str::to_owned),
            size: 0,
            transfer: None,
        }
    }

    #[test]
    fn a_sender_cannot_add_headers() {
        let content = sample("text/plain\nBcc: all", Some("a\nBcc: all"));
        let mail = String::from_utf8(mail(&content, b"hello")).unwrap();
        let (head, body) = mail.split_once("\n\n").unwrap();
        assert_eq!(head.lines().count(), 9, "{head}");
        let start = format!(
            "X-Relay-Sender: {}\nDate: Sat, 22 May 2027 10:11:12 +0000\nFrom: bob <",
            content.sender
        );
        assert!(head.starts_with(&start), "{head}");
        assert!(
            head.contains("Content-Type: application/octet-stream; name=\"aBcc: all\""),
            "{head}"
        );
        assert_eq!(body, "aGVsbG8=\n");
    }

    #[test]
    fn lines_are_the_same_however_octets_come() {
        let octets: Vec<u8> = (0..1000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let encoded = STANDARD.encode(&octets).into_bytes();
        let expected: Vec<u8> = encoded
            .chunks(LINE)
            .flat_map(|line| [line, b"\n"].concat())
            .collect();
        for size in [1, 20, 56, 57, 58, 114, 1000] {
            let mut lines = MailLines::default();
            let mut found: Vec<u8> = octets
                .chunks(size)
                .flat_map(|block| lines.of(block))
                .collect();
            found.extend(lines.end());
            assert_eq!(found, expected, "{size}");
        }
        assert!(MailLines::default().end().is_empty());
    }

    #[test]
    fn a_mail_stays_one_and_says_whose_it_is() {
        let content = sample("message/rfc822", None);
        let mail = String::from_utf8(mail(&content, b"From: eve\n\ny")).unwrap();
        let expected = format!("X-Relay-Sender: {}\nFrom: eve\n\ny", content.sender);
        assert_eq!(mail, expected);
    }

    #[test]
    fn the_line_above_a_mail_ends_as_its_own_lines_do() {
        for media_type in ["message/rfc822", "Message/RFC822; charset=utf-8"] {
            let content = sample(media_type, None);
            for end in ["\n", "\r\n"] {
                let mail_of = format!("From: eve{end}Subject: x{end}{end}y{end}");
                let mail = String::from_utf8(mail(&content, mail_of.as_bytes())).unwrap();
                let (first, rest) = mail.split_once(end).unwrap();
                assert_eq!(first, format!("X-Relay-Sender: {}", content.sender));
                assert_eq!(rest, mail_of);
            }
        }
    }

    #[test]
    fn a_display_name_is_quoted_where_it_must_be() {
        for (name, expected) in [
            ("bob", "bob"),
            ("bob-2_x", "bob-2_x"),
            ("b.jr", "\"b.jr\""),
            ("a \"b\" \\", "\"a \\\"b\\\" \\\\\""),
            ("", "\"\""),
            ("é", "=?UTF-8?B?w6k=?="),
        ] {
            assert_eq!(display_name(name), expected);
        }
        let content = Content {
            peer: Some("b.jr".to_owned()),
            ..sample("text/plain", None)
        };
        let mail = String::from_utf8(mail(&content, b"x")).unwrap();
        assert!(mail.contains(&format!("\nFrom: \"b.jr\" <{}@", content.sender)));
        // A name file that was edited by hand adds nothing to the head.
        let content = Content {
            peer: Some("b\nBcc: all".to_owned()),
            ..content
        };
        let head = head(&content, "text/plain");
        assert!(
            !head.contains("Bcc") && head.contains(&short_id(content.sender)),
            "{head}"
        );
    }

    #[test]
    fn what_would_change_the_line_above_it_becomes_no_mail() {
        let content = sample("message/rfc822", None);
        for forged in [
            &b" 0bad0bad forged\nFrom: eve\n\ny"[..],
            b"\t0bad0bad\nFrom: eve\n\ny",
            b"\r 0bad0bad\n\ny",
            b"\x0bx: y\n\ny",
            b"",
            b"\n\ny",
            b"\r\n\r\ny",
            b": y\n\ny",
            b"From eve\nFrom: eve\n\ny",
            b"no field\n\ny",
            b"\xa0x: y\n\ny",
            b"From: eve\nx-relay-sender: 0bad\n\ny",
            b"From: eve\rX-Relay-Sender : 0bad\n\ny",
            b"From: eve\r\nX-Relay-Sender: 0bad\r\n\r\ny",
        ] {
            let mail = String::from_utf8(mail(&content, forged)).unwrap();
            let (head, body) = mail.split_once("\n\n").unwrap();
            assert_eq!(head.lines().count(), 9, "{head}");
            let start = format!("X-Relay-Sender: {}\nDate: ", content.sender);
            assert!(head.starts_with(&start), "{head}");
            assert!(
                head.contains("\nContent-Type: application/octet-stream\n"),
                "{head}"
            );
            assert_eq!(body.trim_end(), STANDARD.encode(forged));
        }
        for mail_of in [
            &b"From: eve\r\nTo: bob\r\n\r\nX-Relay-Sender: 0bad"[..],
            b"a:b",
        ] {
            let end = if mail_of.contains(&b'\r') {
                "\r\n"
            } else {
                "\n"
            };
            let expected = [sender(&content, end).as_bytes(), mail_of].concat();
            assert_eq!(mail(&content, mail_of), expected);
        }
    }

    #[test]
    fn names_and_texts_that_are_not_ascii_are_encoded() {
        let name = "résumé – für die Kolleginnen und Kollegen in Ōsaka.txt";
        let content = sample("text/plain", Some(name));
        let mail = String::from_utf8(mail(&content, "é".as_bytes())).unwrap();
        assert!(mail.is_ascii() && mail.lines().all(|line| line.len() < 998));
        assert!(mail.contains("Content-Type: text/plain; charset=utf-8; name*=UTF-8''r%C3"));
        let (_, subject) = mail.split_once("\nSubject: ").unwrap();
        let (subject, _) = subject.split_once("\nMIME").unwrap();
        let decoded = subject.split("\n ").map(|word| {
            assert!(word.len() <= 75, "{word}");
            let encoded = word.strip_prefix("=?UTF-8?B?").unwrap();
            STANDARD
                .decode(encoded.strip_suffix("?=").unwrap())
                .unwrap()
        });
        assert_eq!(
            String::from_utf8(decoded.collect::<Vec<_>>().concat()).unwrap(),
            name
        );
    }
}
