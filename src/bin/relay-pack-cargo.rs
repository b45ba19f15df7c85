//! relay-pack-cargo: packs messages into cargo for a gateway.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use jiff::Timestamp;

use relaynet::cli::args::{CipherChoice, Node, NodeDir, SendingFiles};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::errors::Usage;
use relaynet::cli::inputs::{self, Messages, Trees};
use relaynet::cli::outputs::{MessageOutput, Sink};
use relaynet::cli::pack::PackQueue;
use relaynet::cli::{self, report};
use relaynet::message::CollectionRequest;
use relaynet::node::{self, Correspondent};
use relaynet::pipeline::workers::{self, Bounds, WorkItem};
use relaynet::ramf::{Kind, limits};
use relaynet::receive::{self, Arrival, ReceiveOptions, Repeats};
use relaynet::send::{Sealer, Sent};
use relaynet::verify::Policy;

/// Pack messages into as few cargoes as possible, sealed and signed for a gateway
#[derive(Debug, Parser)]
#[command(name = "relay-pack-cargo", version)]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: Trees,
    #[command(flatten)]
    node: NodeDir,
    /// Pack for this gateway: its name, its id, or the beginning of its id
    #[arg(short, long, value_name = "GATEWAY")]
    to: Option<String>,
    /// Answer this cargo collection authorization, which is used up by it
    #[arg(long, value_name = "FILE", conflicts_with = "params")]
    cca: Option<PathBuf>,
    #[command(flatten)]
    cipher: CipherChoice,
    #[command(flatten)]
    output: MessageOutput,
    #[command(flatten)]
    clock: ClockArgs,
    #[command(flatten)]
    files: SendingFiles,
}

fn main() -> ExitCode {
    cli::run(pack)
}

fn pack(args: &Args) -> anyhow::Result<()> {
    let node = args.files.open(&args.node, None, args.cca.is_some())?;
    let now = args.clock.now(node.config())?;
    let window = args.clock.window(now, node.config());
    args.output.check("cargo")?;
    let peer = addressee(args, &node, now)?;

    let judge = node.judge(window, now)?;
    let mut messages = args.inputs.read()?;
    let mut aside = PackQueue::default();
    let mut left = BTreeSet::new();
    let packed = set_aside(&mut aside, &mut messages, &judge).and_then(|()| {
        // Nobody is kept waiting by an open CCA while messages are read.
        let terms = ReceiveOptions {
            window,
            now,
            repeats: Repeats::Refused,
        };
        answer(args, &node, peer, &terms, &aside, &mut left, &mut messages)
    });
    // None of the messages is in cargo before all cargo is where it belongs.
    aside.tell(messages.outcome(), &left, &packed);
    packed?;
    messages.finish()
}

/// Packs what waits, under the CCA if there is one. That is looked at even where nothing waits.
fn answer(
    args: &Args,
    node: &Node,
    peer: Option<Correspondent>,
    terms: &ReceiveOptions,
    aside: &PackQueue,
    left: &mut BTreeSet<usize>,
    messages: &mut Messages,
) -> anyhow::Result<()> {
    let (cca, peer) = match (&args.cca, peer) {
        (None, Some(peer)) => (None, peer),
        (file, _) => {
            let file = file.as_deref().unwrap_or(Path::new("-"));
            let cca = collection(args, node, file, terms)?;
            let peer = cca.correspondent().with_context(|| report::path(file))?;
            (Some(cca), peer)
        }
    };
    let cargoes = aside.distribute();
    if cargoes.is_empty() {
        return Ok(());
    }
    let sealer = {
        // An open CCA keeps others from its sender.
        let _locks = match &cca {
            Some(_) => Vec::new(),
            None => node.keyring().lock_peer(peer.id)?,
        };
        sealer(args, node, peer, terms.now)?
    };
    let packed = seal(args, aside, cargoes, &sealer, terms.now, left, messages)?;
    // A CCA is used up once all that answers it is where it belongs.
    if let Some(cca) = cca.filter(|_| packed > 0) {
        cca.complete()?;
    }
    Ok(())
}

/// Whom the cargo is for, unless the CCA says it. What can be known to be wrong is said before anything is
/// read.
fn addressee(args: &Args, node: &Node, now: Timestamp) -> anyhow::Result<Option<Correspondent>> {
    match (&args.cca, &args.to) {
        (Some(file), _) if file.as_os_str() == "-" && args.inputs.has_stdin() => {
            Err(Usage("standard input can be read only once".to_owned()).into())
        }
        (Some(_), _) => Ok(None),
        (None, None) if node.directory().is_some() => {
            Err(Usage("-t GATEWAY or --cca FILE is needed".to_owned()).into())
        }
        (None, to) => {
            let gateway = node.gateway(to.as_deref())?;
            Ok(Some(node.keyring().carrier(gateway, now)?))
        }
    }
}

/// Verifies the messages and lets them wait for each other.
fn set_aside(aside: &mut PackQueue, messages: &mut Messages, judge: &Policy) -> anyhow::Result<()> {
    let mut verified = Vec::new();
    let read = messages.prepare_with(
        |octets, file| aside.verify(octets, file, judge),
        |outcome, place, message| match message {
            Ok(message) if outcome.is_told() => {
                verified.push(message.read_at(place));
                Ok(())
            }
            Ok(message) => {
                verified.push(message);
                Ok(())
            }
            Err(error) => outcome.done(&place, Err(error)),
        },
    );
    aside.wait(verified);
    read
}

/// Opens the CCA that is to be answered, which must be from the gateway that is packed for.
fn collection<'a>(
    args: &Args,
    node: &'a Node,
    file: &Path,
    terms: &ReceiveOptions,
) -> anyhow::Result<Arrival<'a, CollectionRequest>> {
    let name = || report::path(file);
    let octets = inputs::read_message(file).with_context(name)?;
    let wanted = match (&args.to, node.directory()) {
        (Some(to), Some(directory)) => Some(directory.find_peer(to)?.id),
        _ => None,
    };
    let cca = receive::cca(node.keyring(), octets, terms).with_context(name)?;
    let sender = cca.head().sender.id();
    if wanted.is_some_and(|wanted| wanted != sender) {
        return Err(anyhow::Error::new(node::Error::OtherCollector(sender)).context(name()));
    }
    Ok(cca)
}

fn sealer(
    args: &Args,
    node: &Node,
    peer: Correspondent,
    now: Timestamp,
) -> Result<Sealer, node::Error> {
    Sealer::new(node.keyring(), peer, Kind::Cargo, args.cipher.cipher, now)
}

/// Loads, seals and writes the cargoes; how many are where they belong. What is `left` is in none.
fn seal(
    args: &Args,
    aside: &PackQueue,
    cargoes: Vec<(Vec<usize>, usize)>,
    sealer: &Sealer,
    now: Timestamp,
    left: &mut BTreeSet<usize>,
    messages: &mut Messages,
) -> anyhow::Result<usize> {
    let mut sink = args.output.open("cargo")?;
    let (mut is_cut, mut packed) = (false, 0);
    let mut cargoes = cargoes.into_iter();
    workers::in_order(
        Bounds::octets(limits::MAX_EMITTED_MESSAGE_LEN),
        || {
            let item = cargoes.next()?;
            let octets = item.1;
            Some(WorkItem { item, octets })
        },
        |cargo| aside.load(&cargo, sealer, now),
        |loaded| {
            for (at, error) in loaded.left {
                left.insert(at);
                messages.done(&aside.place(at), Err(error))?;
            }
            if let Some(sent) = loaded.cargo? {
                is_cut |= loaded.is_cut;
                put(&mut sink, sealer, &sent, loaded.count)?;
                aside.reuse(sent.octets);
                packed += 1;
            }
            anyhow::Ok(())
        },
    )?;
    sink.finish()?;
    if is_cut {
        // With a CCA that is so by itself: it ends before most messages do.
        let end = sealer.end().to_string();
        report::event("cut", &[("to", &sealer.peer().name), ("until", &end)]);
    }
    Ok(packed)
}

fn put(sink: &mut Sink, sealer: &Sealer, sent: &Sent, count: usize) -> anyhow::Result<()> {
    let fields = &sent.fields;
    let name = fields.file_name(sealer.sender(), Kind::Cargo.word());
    sink.put(Kind::Cargo, &name, sent.octets.as_slice())?;
    report::event(
        "packed",
        &[
            ("cargo", &fields.id),
            ("to", &fields.recipient.to_string()),
            ("messages", &count.to_string()),
            ("expiry", &fields.expiry().to_string()),
        ],
    );
    Ok(())
}
