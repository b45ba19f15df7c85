//! relay-pack-cargo: packs messages into cargo for a gateway.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use jiff::Timestamp;

use relaynet::cli::args::{CipherChoice, KeyedNode, Node, SendingFiles};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::errors::Usage;
use relaynet::cli::inputs::Trees;
use relaynet::cli::outcome::Outcome;
use relaynet::cli::outputs::MessageOutput;
use relaynet::cli::pack::{self, CargoPacker, PackQueue};
use relaynet::cli::{self, report};
use relaynet::node::Correspondent;
use relaynet::ramf::Kind;
use relaynet::receive::{ReceiveOptions, Repeats};
use relaynet::send::Sealer;

/// Pack messages into as few cargoes as possible, sealed and signed for a gateway
#[derive(Debug, Parser)]
#[command(name = "relay-pack-cargo", version)]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: Trees,
    #[command(flatten)]
    node: KeyedNode,
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

pub(crate) fn main() -> ExitCode {
    cli::run(run)
}

fn run(args: &Args) -> anyhow::Result<()> {
    let node = args.files.open(&args.node, None, args.cca.is_some())?;
    let now = args.clock.now(node.config())?;
    let options = ReceiveOptions {
        window: args.clock.window(now, node.config()),
        now,
        repeats: Repeats::Refused,
    };
    args.output.check("cargo")?;
    let peer = addressee(args, &node, now)?;

    let policy = node.judge(options.window, now)?;
    let mut messages = args.inputs.read()?;
    let mut queue = PackQueue::default();
    let mut left = BTreeSet::new();
    // The CCA is opened after the inputs are read: its sender stays locked while it is open.
    let packed = queue.fill(&mut messages, &policy).and_then(|()| {
        let run = Run {
            args,
            node: &node,
            options,
            queue: &queue,
        };
        run.pack(peer, messages.outcome(), &mut left)
    });
    // Nothing counts as packed before all is written: a failing output may lose any of it.
    queue.tell(messages.outcome(), &left, &packed);
    packed?;
    messages.finish()
}

/// Everything that packing needs.
struct Run<'a> {
    args: &'a Args,
    node: &'a Node,
    options: ReceiveOptions,
    queue: &'a PackQueue,
}

impl Run<'_> {
    /// Packs what waits, under the CCA if one is given. The CCA is verified even if nothing waits.
    fn pack(
        &self,
        peer: Option<Correspondent>,
        outcome: &mut Outcome,
        left: &mut BTreeSet<usize>,
    ) -> anyhow::Result<()> {
        let (args, keyring, now) = (self.args, self.node.keyring(), self.options.now);
        let (cca, peer) = match (&args.cca, peer) {
            (None, Some(peer)) => (None, peer),
            (file, _) => {
                let file = file.as_deref().unwrap_or(Path::new("-"));
                let cca = pack::open_cca(self.node, file, args.to.as_deref(), &self.options)?;
                let peer = cca.correspondent().with_context(|| report::path(file))?;
                (Some(cca), peer)
            }
        };
        let cargoes = self.queue.distribute();
        if cargoes.is_empty() {
            return Ok(());
        }
        // An open CCA holds the lock of its sender already.
        let locks = match &cca {
            Some(_) => Vec::new(),
            None => keyring.lock_peer(peer.id)?,
        };
        let sealer = Sealer::new(keyring, peer, Kind::Cargo, args.cipher.cipher, now)?;
        drop(locks);
        let packer = CargoPacker {
            queue: self.queue,
            sealer: &sealer,
            now,
            sink: args.output.open("cargo")?,
        };
        let count = packer.pack(cargoes, outcome, left)?;
        // The CCA is used up last: after a crash before this, it can be answered again.
        if let Some(cca) = cca.filter(|_| count > 0) {
            cca.complete()?;
        }
        Ok(())
    }
}

/// The gateway to pack for, or `None` if the CCA names it.
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
