//! relay-seal: makes a parcel of a service message.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgAction, Parser};

use relaynet::cli::args::{
    CertificateFile, CipherChoice, KeyedNode, Life, SendingFiles, SuggestedName, message_id,
};
use relaynet::cli::clock::{NowArgs, window_of};
use relaynet::cli::outputs::MessageOutput;
use relaynet::cli::sealing::Sealing;
use relaynet::cli::{self, inputs, recipients, report, sealing};
use relaynet::message::{file_name, parts, service_message};
use relaynet::ramf::limits;
use relaynet::send::Draft;
use relaynet::spool::clock::note_time;

/// Seal content for a peer: service message to parcel
#[derive(Debug, Parser)]
#[command(name = "relay-seal", version)]
pub(crate) struct Args {
    /// Content to seal; standard input if omitted or -
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    node: KeyedNode,
    /// Seal for this peer: its name, its id, or the beginning of its id; @NAME for an alias
    #[arg(short, long, value_name = "PEER", action = ArgAction::Append)]
    to: Vec<String>,
    /// The media type of the content [default: application/octet-stream]
    #[arg(short = 'y', long = "type", value_name = "TYPE")]
    media_type: Option<String>,
    #[command(flatten)]
    life: Life,
    /// The parcel's id [default: a random UUID]
    #[arg(long, value_name = "ID", value_parser = message_id)]
    id: Option<String>,
    #[command(flatten)]
    name: SuggestedName,
    /// Make a parcel of each part that relay-split makes
    #[arg(long, conflicts_with_all = ["keep_name", "name"])]
    parts: bool,
    /// Let the peer answer: seal our authorization for it as a parcel of its own
    #[arg(long, conflicts_with_all = ["identity_key", "params"])]
    authorize: bool,
    #[command(flatten)]
    cipher: CipherChoice,
    #[command(flatten)]
    output: MessageOutput,
    /// Print a line of facts in JSON for each parcel
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    now: NowArgs,
    #[command(flatten)]
    files: SendingFiles,
    #[command(flatten)]
    certificate: CertificateFile,
}

pub(crate) fn main() -> ExitCode {
    cli::run(seal)
}

fn seal(args: &Args) -> anyhow::Result<()> {
    if args.json {
        args.output.check_lines("parcels")?;
    }
    let node = args
        .files
        .open(&args.node, Some(&args.certificate), false)?;
    let now = args.now.get(node.config())?;
    note_time(node.directory(), &window_of(now, node.config()));
    sealing::check_answerable(node.config().filter(|_| args.authorize))?;
    let peers = recipients::recipients(&args.to, &node, now)?;
    let media_type = media_type(args)?;
    service_message::check_syntax(&media_type)?;
    let draft = Draft {
        media_type: &media_type,
        ttl: args.life.get(node.config())?,
        id: args.id.as_deref(),
        cipher: args.cipher.cipher,
        now,
    };
    args.output.check("a parcel")?;
    // Read after all checks, since the content may be large or come from a pipe.
    let path = args.file.clone().unwrap_or_else(|| PathBuf::from("-"));
    // Nothing comes between what a user types.
    if path != Path::new("-") || !std::io::stdin().is_terminal() {
        report::progress(args.json, || None);
    }
    let sealing = Sealing {
        keyring: node.keyring(),
        peers: &peers,
        draft: &draft,
        output: &args.output,
        json: args.json,
        answerable: node.directory().filter(|_| args.authorize),
    };
    if args.parts {
        return sealing.seal_parts(&path);
    }
    sealing.seal(inputs::read_content(&path, limits::MAX_EMITTED_PARCEL_LEN)?)
}

/// The media type, with the file name as a parameter if it is to be sent along; of parts, with the type of the whole.
fn media_type(args: &Args) -> anyhow::Result<String> {
    let media_type = args.media_type.as_deref();
    if args.parts {
        let of = media_type.map(parts::media_type_of).transpose()?;
        return Ok(of.unwrap_or_else(|| parts::MEDIA_TYPE.to_owned()));
    }
    let media_type = media_type.unwrap_or("application/octet-stream");
    Ok(match args.name.of(args.file.as_deref())? {
        Some(name) => file_name::with_name(media_type, &name),
        None => media_type.to_owned(),
    })
}
