//! What both directions agree on: limits, blocks, headers and pax records.

use tar::{EntryType, Header};

use crate::message::media_type;

/// The media type of a directory as a tar stream.
pub const MEDIA_TYPE: &str = "application/x-tar; tree=1";

/// The most files and directories in a tree, the top one included.
pub const MAX_ENTRIES: usize = 100_000;

/// The most names in a path, the top directory's included.
pub const MAX_DEPTH: usize = 32;

/// The longest path in a tree, in octets: with the path of the directory that it is extracted into
/// it has to fit the 4096 that Linux takes.
pub const MAX_PATH_LEN: usize = 2048;

/// The length of headers, to which content is padded, in octets (pax §ustar Interchange Format).
pub(super) const BLOCK: usize = 512;

/// An archive ends with these octets: two blocks of zeros.
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The largest number that eleven octal digits hold.
const MAX_OCTAL: u64 = 0o777_7777_7777;

/// The keys of pax records that are written and read.
pub(super) const PATH: &str = "path";
pub(super) const SIZE: &str = "size";
pub(super) const MTIME: &str = "mtime";
pub(super) const COMMENT: &str = "comment";

/// Whether content of this media type is a directory: `application/x-tar` with the parameter
/// `tree=1`.
#[must_use]
pub fn is_tree(media_type: &str) -> bool {
    media_type::essence(media_type).eq_ignore_ascii_case("application/x-tar")
        && media_type::parameter(media_type, "tree").is_some_and(|value| value == "1")
}

/// The beginning of a path or key from a stream, for errors.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 120;
    let mut shown: String = text.chars().take(MOST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// The octets that fill up the last block of content with this length.
pub(super) fn padding_of(len: u64) -> usize {
    let block = BLOCK as u64;
    // Less than a block, so nothing is cut off.
    usize::try_from((block - len % block) % block).unwrap_or_default()
}

/// A file or directory of a tree, as its header says it.
#[derive(Debug)]
pub(super) struct HeadFields<'a> {
    /// Its path, which begins with the name of the top directory.
    pub(super) path: &'a str,
    pub(super) is_dir: bool,
    pub(super) is_executable: bool,
    /// The length of its content in octets.
    pub(super) len: u64,
    /// When it was changed: seconds since 1970, and nanoseconds.
    pub(super) modified: (i64, u32),
}

/// Appends the header of an entry, and before it a pax header for what a ustar header cannot hold.
pub(super) fn put_head(fields: &HeadFields<'_>, out: &mut Vec<u8>) {
    let mut path = fields.path.to_owned();
    if fields.is_dir {
        path.push('/');
    }
    let mut records = String::new();
    let place = split(&path);
    if place.is_none() {
        records.push_str(&record(PATH, &path));
    }
    if fields.len > MAX_OCTAL {
        records.push_str(&record(SIZE, &fields.len.to_string()));
    }
    let (seconds, nanoseconds) = fields.modified;
    let whole = u64::try_from(seconds).ok().filter(|it| *it <= MAX_OCTAL);
    if whole.is_none() || nanoseconds != 0 {
        records.push_str(&record(MTIME, &decimal(seconds, nanoseconds)));
    }
    if !records.is_empty() {
        let len = records.len() as u64;
        let header = header(("", "PaxHeader"), EntryType::XHeader, len, 0);
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(records.as_bytes());
        out.resize(out.len() + padding_of(len), 0);
    }
    let shown = in_ascii(&path);
    let kind = if fields.is_dir {
        EntryType::Directory
    } else {
        EntryType::Regular
    };
    let len = Some(fields.len).filter(|len| *len <= MAX_OCTAL);
    let mut header = header(
        place.unwrap_or(("", &shown)),
        kind,
        len.unwrap_or_default(),
        whole.unwrap_or_default(),
    );
    header.set_mode(if fields.is_dir || fields.is_executable {
        0o700
    } else {
        0o600
    });
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
}

/// A ustar header with mode 0600, of no user; both numbers fit their fields.
fn header((prefix, name): (&str, &str), kind: EntryType, len: u64, modified: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(len);
    header.set_mtime(modified);
    if let Some(ustar) = header.as_ustar_mut() {
        ustar.set_device_major(0);
        ustar.set_device_minor(0);
        ustar.name[..name.len()].copy_from_slice(name.as_bytes());
        ustar.prefix[..prefix.len()].copy_from_slice(prefix.as_bytes());
    }
    header.set_cksum();
    header
}

/// Splits a path into the prefix and the name of a ustar header; `None` if it does not fit, or is
/// not ASCII, of which POSIX alone says how it is to be read.
fn split(path: &str) -> Option<(&str, &str)> {
    const MAX_NAME: usize = 100;
    const MAX_PREFIX: usize = 155;
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= MAX_NAME {
        return Some(("", path));
    }
    let mut slashes = path.match_indices('/').map(|(at, _)| at);
    // The name is not empty, so the slash at the end of a directory does not divide it.
    let fits = |at: &usize| {
        (1..=MAX_PREFIX).contains(at) && (1..=MAX_NAME).contains(&(path.len() - at - 1))
    };
    let at = slashes.find(fits)?;
    Some((&path[..at], &path[at + 1..]))
}

/// What readers without pax show of a path that the header does not hold.
fn in_ascii(path: &str) -> String {
    let ascii = path.chars().map(|it| if it.is_ascii() { it } else { '_' });
    ascii.take(100).collect()
}

/// A pax record: its own length in decimal, a key and a value (pax §pax Extended Header).
fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + " =\n".len();
    let mut len = rest;
    // The digits count, too, and may make the number longer.
    while rest + len.to_string().len() != len {
        len = rest + len.to_string().len();
    }
    format!("{len} {key}={value}\n")
}

/// A time in decimal. Nanoseconds count forward, also before 1970.
fn decimal(seconds: i64, nanoseconds: u32) -> String {
    let nanoseconds = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let (whole, part) = (
        nanoseconds.unsigned_abs() / 1_000_000_000,
        nanoseconds.unsigned_abs() % 1_000_000_000,
    );
    let text = format!("{sign}{whole}.{part:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_digits() {
        assert_eq!(record("path", "x"), "9 path=x\n");
        for len in 0..1200 {
            let text = record("path", &"x".repeat(len));
            let (digits, _) = text.split_once(' ').unwrap();
            assert_eq!(digits.parse(), Ok(text.len()));
        }
    }

    #[test]
    fn times_are_exact() {
        for (time, text) in [
            ((0, 0), "0"),
            ((1, 500_000_000), "1.5"),
            ((10, 1), "10.000000001"),
            ((-1, 0), "-1"),
            ((-1, 750_000_000), "-0.25"),
        ] {
            assert_eq!(decimal(time.0, time.1), text);
        }
    }

    #[test]
    fn a_path_is_split_where_it_fits() {
        let long = "x".repeat(100);
        assert_eq!(split(&long), Some(("", &*long)));
        assert_eq!(split(&format!("a/{long}")), Some(("a", &*long)));
        assert_eq!(split(&format!("{long}/")), None);
        assert_eq!(split(&format!("a/{long}x")), None);
        assert_eq!(split("é"), None);
        let deep = format!("{long}/{}/{long}", "y".repeat(54));
        assert_eq!(split(&deep), Some((&deep[..155], &*long)));
        assert_eq!(split(&format!("z{deep}")), None);
    }

    #[test]
    fn only_a_tar_that_says_so_is_a_tree() {
        for media_type in [
            MEDIA_TYPE,
            "application/x-tar;tree=1",
            "Application/X-Tar; name=photos.tar; Tree = \"1\"",
        ] {
            assert!(is_tree(media_type), "{media_type}");
        }
        for media_type in [
            "",
            "application/x-tar",
            "application/x-tar; tree=2",
            "application/x-tar; tree",
            "application/x-tar; subtree=1",
            "application/x-tar; name=\"x; tree=1\"",
            "application/tar; tree=1",
            "text/plain; x=application/x-tar; tree=1",
        ] {
            assert!(!is_tree(media_type), "{media_type}");
        }
    }

    #[test]
    fn only_the_last_block_is_padded() {
        assert_eq!(padding_of(0), 0);
        assert_eq!(padding_of(1), 511);
        assert_eq!(padding_of(512), 0);
        assert_eq!(padding_of(u64::MAX), 1);
    }
}
