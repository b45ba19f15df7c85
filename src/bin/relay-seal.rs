//! relay-seal: makes a parcel of a service message.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgAction, Parser};
use jiff::SignedDuration;

use relaynet::asn1::Buffer;
use relaynet::cli::args::{
    CertificateFile, CipherChoice, Node, NodeDir, SendingFiles, SuggestedName,
};
use relaynet::cli::clock::NowArgs;
use relaynet::cli::errors::Usage;
use relaynet::cli::outputs::{MessageOutput, Sink};
use relaynet::cli::parts::{PartFeed, PartJob};
use relaynet::cli::{self, inputs, report};
use relaynet::message::{file_name, parts, service_message};
use relaynet::node;
use relaynet::node::config::parse_duration;
use relaynet::node::peers::short_id;
use relaynet::pipeline::workers::{self, Bounds};
use relaynet::pki::NodeId;
use relaynet::ramf::{Kind, fields, limits};
use relaynet::send::{self, Draft, Sealer, Sent};

/// How long parcels live unless something else is said.
const DEFAULT_TTL: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Seal content for a peer: service message to parcel
#[derive(Debug, Parser)]
#[command(name = "relay-seal", version)]
pub(crate) struct Args {
    /// The content; - is standard input, as is none
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    node: NodeDir,
    /// Seal for this peer: its name, its id, or the beginning of its id
    #[arg(short, long, value_name = "PEER", action = ArgAction::Append)]
    to: Vec<String>,
    /// The media type of the content
    #[arg(
        short = 'y',
        long = "type",
        value_name = "TYPE",
        default_value = "application/octet-stream"
    )]
    media_type: String,
    /// How long the parcel lives [default: 30d]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    ttl: Option<SignedDuration>,
    /// The parcel's id [default: a random UUID]
    #[arg(long, value_name = "ID", value_parser = message_id)]
    id: Option<String>,
    #[command(flatten)]
    name: SuggestedName,
    /// Make a parcel of each part that relay-split makes
    #[arg(long, conflicts_with_all = ["media_type", "keep_name", "name"])]
    parts: bool,
    #[command(flatten)]
    cipher: CipherChoice,
    #[command(flatten)]
    output: MessageOutput,
    #[command(flatten)]
    now: NowArgs,
    #[command(flatten)]
    files: SendingFiles,
    #[command(flatten)]
    certificate: CertificateFile,
}

fn main() -> ExitCode {
    cli::run(seal)
}

fn seal(args: &Args) -> anyhow::Result<()> {
    let node = args
        .files
        .open(&args.node, Some(&args.certificate), false)?;
    let peers = recipients(args, &node)?;
    let now = args.now.get(node.config())?;
    let media_type = media_type(args)?;
    service_message::check_type(&media_type)?;
    let draft = Draft {
        media_type: &media_type,
        ttl: args
            .ttl
            .or_else(|| node.config()?.ttl())
            .unwrap_or(DEFAULT_TTL),
        id: args.id.as_deref(),
        cipher: args.cipher.cipher,
        now,
    };
    check_ttl(draft.ttl)?;
    args.output.check("a parcel")?;
    let path = args.file.clone().unwrap_or_else(|| PathBuf::from("-"));
    if args.parts {
        return seal_parts(args, &node, &peers, &path, &draft);
    }
    let content = inputs::read_content(&path, limits::MAX_EMITTED_PARCEL_LEN)?;

    let Some((last, others)) = peers.split_last() else {
        return Err(Usage("-t PEER is needed".to_owned()).into());
    };
    let sender = node
        .keyring()
        .node()
        .ok_or(node::Error::Needs("--identity-key"))?;
    // A file gets its name when all is in it, and each file of a directory is whole; but what goes to
    // standard output goes there at once or not at all.
    let mut sink = args.output.open("a parcel")?;
    let mut parcels = Vec::new();
    let mut finish = |sent: Sent| {
        if args.output.leaves_stdout() {
            return put(&mut sink, sender, &sent);
        }
        parcels.push(sent);
        Ok(())
    };
    for peer in others {
        let mut copy = Buffer::with_capacity(content.len());
        copy.append(content.as_slice());
        finish(seal_for(&node, *peer, copy, &draft)?)?;
    }
    finish(seal_for(&node, *last, content, &draft)?)?;
    for sent in &parcels {
        put(&mut sink, sender, sent)?;
    }
    sink.finish()?;
    Ok(())
}

/// Seals each part by itself. To read so much again would take long, so each parcel goes out when it is made.
fn seal_parts(
    args: &Args,
    node: &Node,
    peers: &[NodeId],
    path: &Path,
    draft: &Draft<'_>,
) -> anyhow::Result<()> {
    let mut feed = PartFeed::open(path, peers.len(), args.id.as_deref())?;
    let draft = Draft {
        media_type: parts::MEDIA_TYPE,
        ..*draft
    };
    let sealers: Vec<Sealer> = peers
        .iter()
        .map(|peer| send::parcels(node.keyring(), *peer, &draft))
        .collect::<Result<_, _>>()?;
    let mut sink = args.output.open("a parcel")?;
    let stager = sink.stager();
    let spare = feed.spare();
    let mut warned = vec![false; sealers.len()];
    workers::in_order(
        Bounds::octets(2 * parts::MAX_LEN),
        || feed.next_job(),
        |job: anyhow::Result<PartJob>| {
            let PartJob {
                octets, peer, id, ..
            } = job?;
            let id = id.as_deref();
            let sealer = &sealers[peer];
            let sent = send::content(sealer, octets, &Draft { id, ..draft })?;
            let name = sent.fields.file_name(sealer.sender(), Kind::Parcel.word());
            let ready = stager.stage(Kind::Parcel, &name, sent.octets.as_slice())?;
            Ok((peer, sent, ready))
        },
        |sealed: anyhow::Result<_>| {
            let (peer, sent, ready) = sealed?;
            sink.take(ready, sent.octets.as_slice())?;
            tell(&sent, !std::mem::replace(&mut warned[peer], true));
            spare.put(sent.octets);
            anyhow::Ok(())
        },
    )?;
    sink.finish()?;
    Ok(())
}

fn put(sink: &mut Sink, sender: NodeId, sent: &Sent) -> anyhow::Result<()> {
    let name = sent.fields.file_name(sender, Kind::Parcel.word());
    sink.put(Kind::Parcel, &name, sent.octets.as_slice())?;
    // A parcel in a directory does not wait for those to others.
    sink.settle()?;
    Ok(())
}

/// Whom to seal for; with explicit files, the one that the parameters are of.
fn recipients(args: &Args, node: &Node) -> anyhow::Result<Vec<NodeId>> {
    match node {
        Node::ExplicitFiles(files) => Ok(vec![files.peer()?]),
        Node::Directory(_) if args.to.is_empty() => {
            Err(Usage("-t PEER is needed".to_owned()).into())
        }
        Node::Directory(directory) => {
            let mut ids = Vec::new();
            for peer in &args.to {
                let id = directory.find_recipient(peer)?;
                if ids.contains(&id) {
                    return Err(Usage(format!("-t {peer}: the same peer twice")).into());
                }
                ids.push(id);
            }
            Ok(ids)
        }
    }
}

/// The media type, with the file's name if it is to be told.
fn media_type(args: &Args) -> anyhow::Result<String> {
    Ok(match args.name.of(args.file.as_deref())? {
        Some(name) => file_name::with_name(&args.media_type, &name),
        None => args.media_type.clone(),
    })
}

/// An id that a message can have.
fn message_id(id: &str) -> Result<String, relaynet::ramf::Error> {
    fields::check_id(id).map(|()| id.to_owned())
}

fn check_ttl(ttl: SignedDuration) -> anyhow::Result<()> {
    let longest = SignedDuration::from_secs(i64::from(limits::MAX_TTL));
    if ttl > longest || ttl <= limits::PARCEL_BACKDATED {
        let text =
            "--ttl must be over 5m, since parcels are dated back by as much, and at most 180d";
        return Err(Usage(text.to_owned()).into());
    }
    Ok(())
}

fn seal_for(node: &Node, peer: NodeId, content: Buffer, draft: &Draft<'_>) -> anyhow::Result<Sent> {
    let sent = send::parcel(node.keyring(), peer, content, draft)?;
    tell(&sent, true);
    Ok(sent)
}

/// Says what was sealed, and warns of a life that was cut.
fn tell(sent: &Sent, warns: bool) {
    if let (Some(at), true) = (sent.cut_to, warns) {
        let peer = short_id(sent.fields.recipient);
        report::warn(&format!(
            "the life of the parcel for {peer} is cut to {at}, when a certificate of its path ends"
        ));
    }
    report::event(
        "sealed",
        &[
            ("id", &sent.fields.id),
            ("to", &sent.fields.recipient.to_string()),
            ("expiry", &sent.fields.expiry().to_string()),
        ],
    );
}
