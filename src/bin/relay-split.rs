//! relay-split: cuts content of any size into parts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgAction, Parser};

use relaynet::cli::args::SuggestedName;
use relaynet::cli::errors::{Empty, Usage};
use relaynet::cli::outputs::PartOutput;
use relaynet::cli::parts::ContentInput;
use relaynet::cli::{self, report};
use relaynet::crypto::random;
use relaynet::message::parts::{
    self, MAX_COUNT, MAX_EMITTED_CONTENT_LEN, PartHeader, TransferId, ledger,
};
use relaynet::node::config::parse_size;
use relaynet::transfer::cut::Piece;

/// Cut content too large for one parcel into parts
#[derive(Debug, Parser)]
#[command(name = "relay-split", version)]
pub(crate) struct Args {
    /// Content to cut; standard input if omitted or -
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    name: SuggestedName,
    /// Octets of content in each part but the last [default: 8257536]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Option<u32>,
    /// Id of the transfer, in hexadecimal [default: random]
    #[arg(long, value_name = "HEX")]
    transfer: Option<TransferId>,
    /// Write only these parts, such as 7, 3-5 or 9-
    #[arg(long, value_name = "RANGE", value_parser = ledger::parse_range, action = ArgAction::Append)]
    only: Vec<(u32, u32)>,
    #[command(flatten)]
    output: PartOutput,
    /// Accept an input without a single octet
    #[arg(long)]
    allow_empty: bool,
}

pub(crate) fn main() -> ExitCode {
    cli::run(split)
}

fn split(args: &Args) -> anyhow::Result<()> {
    let size = args.size.unwrap_or(MAX_EMITTED_CONTENT_LEN);
    let name = args.name.of(args.file.as_deref())?;
    let transfer = match args.transfer {
        Some(transfer) => transfer,
        None => random::array()?.into(),
    };
    let path = args.file.as_deref().unwrap_or(Path::new("-"));
    let content = ContentInput::open(path)?;
    let most = u64::from(size) * u64::from(MAX_COUNT);
    if content.known_len().is_some_and(|len| len > most) {
        return Err(too_many(size));
    }
    let mut sink = args.output.open(args.transfer.is_some())?;
    let (pieces, spare) = content.pieces(usize::try_from(size)?);
    let mut written = 0;
    for (index, piece) in (1..=MAX_COUNT).zip(pieces) {
        let Piece {
            octets: mut part,
            sha256,
        } = piece?;
        // A pipe whose writer failed looks like empty content, so that needs `--allow-empty`.
        if part.is_empty() && path.as_os_str() == "-" && !args.allow_empty {
            return Err(anyhow::Error::new(Empty).context("-"));
        }
        let header = PartHeader {
            transfer,
            index,
            size,
            name: name.clone(),
            sha256: sha256.map(|hash| hash.as_bytes().try_into()).transpose()?,
        };
        let is_wanted = |(first, last): &(u32, u32)| (*first..=*last).contains(&index);
        if args.only.is_empty() || args.only.iter().any(is_wanted) {
            parts::wrap(&mut part, &header)?;
            sink.put_part(&header.file_name(), part.as_slice())?;
            written += 1;
        }
        // Only the last part carries the digest of all content, so it is also the end.
        if header.sha256.is_some() {
            if written == 0 {
                return Err(Usage(format!("--only: the last part is {index}")).into());
            }
            sink.finish()?;
            let (transfer, parts) = (transfer.to_string(), index.to_string());
            report::event("split", &[("transfer", &transfer), ("parts", &parts)]);
            return Ok(());
        }
        // The buffer is used again: parts are about 8 MB each.
        spare.put(part);
    }
    Err(too_many(size))
}

/// Parses the size of parts, which must fit into a parcel.
fn size(text: &str) -> Result<u32, String> {
    match u32::try_from(parse_size(text)?) {
        Ok(size) if (1..=MAX_EMITTED_CONTENT_LEN).contains(&size) => Ok(size),
        _ => Err(format!("not over 0 and at most {MAX_EMITTED_CONTENT_LEN}")),
    }
}

fn too_many(size: u32) -> anyhow::Error {
    Usage(format!(
        "the content makes over {MAX_COUNT} parts of {size} octets: --size says how many each has"
    ))
    .into()
}
