//! Inputs that are read whole: one object, one message, or content to seal.

use std::io::{IsTerminal as _, Read};
use std::path::Path;

use anyhow::Context as _;

use super::errors::{Empty, Usage};
use super::{named_files, report};
use crate::asn1::Buffer;
use crate::disk::files::Standard;
use crate::disk::{self, FileRole, files};
use crate::message::object;
use crate::message::stream::{Stream, StreamError};
use crate::ramf::limits;

pub(super) use crate::transfer::cut::Source;

/// The largest object that is not a message, in octets. PEM takes four octets for three, and line
/// breaks.
pub(super) const MAX_OBJECT_LEN: usize = limits::MAX_MESSAGE_LEN * 3 / 2;

/// Opens an input. Returns also its length in octets, if it is a regular file.
pub(super) fn source(path: &Path) -> anyhow::Result<(Source, Option<u64>)> {
    if path.as_os_str() == "-" {
        let stdin = std::io::stdin();
        if stdin.is_terminal() && !report::is_quiet() {
            report::note("reading from the terminal; Ctrl-D ends it");
        }
        return Ok((Box::new(std::io::stdin()), None));
    }
    let file = files::open_input(path)?;
    named_files::note_read(&file)?;
    let len = file
        .metadata()
        .ok()
        .filter(std::fs::Metadata::is_file)
        .map(|meta| meta.len());
    Ok((Box::new(file), len))
}

pub(super) fn read_error(path: &Path, cause: std::io::Error) -> disk::Error {
    disk::Error::Io {
        path: path.to_owned(),
        role: FileRole::Input,
        doing: disk::Operation::Read,
        cause,
    }
}

/// Reads an input that is one object.
///
/// # Errors
/// When it is unreadable, empty, or longer than any object.
pub fn read_whole(path: &Path) -> anyhow::Result<Vec<u8>> {
    let name = || report::path(path);
    let (mut source, _) = source(path).with_context(name)?;
    let octets =
        files::read_from(&mut source, path, FileRole::Input, MAX_OBJECT_LEN).with_context(name)?;
    if octets.is_empty() {
        return Err(anyhow::Error::new(Empty)).with_context(name);
    }
    Ok(octets)
}

/// Reads the objects in an input, each with its name in reports: text may hold several. If `one` object is
/// needed, more are refused.
#[must_use]
pub fn objects(path: &Path, one: bool) -> Vec<anyhow::Result<(String, Vec<u8>)>> {
    let name = report::path(path);
    let octets = match read_whole(path) {
        Ok(octets) => octets,
        Err(error) => return vec![Err(error)],
    };
    match object::several(&octets) {
        None => vec![Ok((name, octets))],
        Some(_) if one => {
            let text = format!("{name}: --name and --expect are for one object");
            vec![Err(Usage(text).into())]
        }
        Some(objects) => {
            let named = (1..).zip(objects);
            let named = named.map(|(index, octets)| Ok((format!("{name}[{index}]"), octets)));
            named.collect()
        }
    }
}

/// Reads an input that is one message, in binary or PEM.
///
/// # Errors
/// When it is unreadable, empty, not a message, or more than one.
pub fn read_message(path: &Path) -> anyhow::Result<Vec<u8>> {
    let (source, _) = source(path)?;
    let mut stream = Stream::new(source);
    let read = |error| match error {
        StreamError::Read(cause) => anyhow::Error::new(read_error(path, cause)),
        StreamError::Message(error) => error.into(),
    };
    let octets = stream.next_message().ok_or(Empty)?.map_err(read)?;
    if stream.next_message().transpose().map_err(read)?.is_some() {
        return Err(Usage("more than one message".to_owned()).into());
    }
    Ok(octets)
}

/// Reads content to seal, straight into the buffer in which it is encrypted.
///
/// # Errors
/// When it is unreadable, has more than `limit` octets, or is a closed standard input.
pub fn read_content(path: &Path, limit: usize) -> anyhow::Result<Buffer> {
    let name = || report::path(path);
    // Content may be empty, so a closed standard input must be told from an empty one.
    if path.as_os_str() == "-" && Standard::input(std::io::stdin()) != Standard::Open {
        return Err(anyhow::Error::new(Empty)).with_context(name);
    }
    let (source, expected) = source(path).with_context(name)?;
    let expected = expected.and_then(|len| usize::try_from(len).ok());
    let mut buffer = Buffer::with_capacity(expected.unwrap_or(0).min(limit));
    let (octets, _) = buffer.parts_mut();
    // One octet beyond the limit shows that there is more.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    source
        .take(most)
        .read_to_end(octets)
        .map_err(|cause| read_error(path, cause))
        .with_context(name)?;
    if buffer.len() > limit {
        let error = disk::Error::TooLarge {
            path: path.to_owned(),
            role: FileRole::Input,
            limit,
        };
        return Err(anyhow::Error::new(error)).with_context(name);
    }
    Ok(buffer)
}
