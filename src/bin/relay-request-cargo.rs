//! relay-request-cargo: lets couriers collect our cargo from a gateway.

use std::process::ExitCode;

use clap::Parser;
use jiff::SignedDuration;

use relaynet::cli::args::{self, CipherChoice, KeyedNode, SendingFiles};
use relaynet::cli::clock::NowArgs;
use relaynet::cli::outputs::MessageOutput;
use relaynet::cli::{self, report};
use relaynet::node::certificates::MIN_LIFE;
use relaynet::node::peers::short_id;
use relaynet::ramf::{Kind, limits};
use relaynet::send;

/// Make a cargo collection authorization: let couriers collect our cargo from a gateway
#[derive(Debug, Parser)]
#[command(name = "relay-request-cargo", version)]
pub(crate) struct Args {
    #[command(flatten)]
    node: KeyedNode,
    /// The gateway to collect from: its name, its id, or the beginning of its id
    #[arg(
        short,
        long,
        value_name = "GATEWAY",
        required_unless_present = "params"
    )]
    to: Option<String>,
    /// How long the request holds, and the gateway may send cargo for it
    #[arg(long, value_name = "DURATION", default_value = "14d", value_parser = args::validity)]
    valid: SignedDuration,
    #[command(flatten)]
    cipher: CipherChoice,
    #[command(flatten)]
    output: MessageOutput,
    #[command(flatten)]
    now: NowArgs,
    #[command(flatten)]
    files: SendingFiles,
}

pub(crate) fn main() -> ExitCode {
    cli::run(request)
}

fn request(args: &Args) -> anyhow::Result<()> {
    let node = args.files.open(&args.node, None, false)?;
    let now = args.now.get(node.config())?;
    args.output.check("a CCA")?;
    let gateway = node.gateway(args.to.as_deref())?;
    let sent = send::cca(node.keyring(), gateway, args.valid, args.cipher.cipher, now)?;
    let fields = &sent.fields;
    let to = fields.recipient.to_string();
    if let Some(at) = sent.cut_to {
        let name = node.keyring().peer_name(fields.recipient);
        let peer = name.unwrap_or_else(|| short_id(fields.recipient));
        report::warn(&format!(
            "the CCA for {peer} ends at {at}, with our registration there"
        ));
    }
    let left = fields.expiry().duration_since(now);
    // Gateways refuse to answer a CCA with less than a day left (Error::CcaEnds).
    if left < 2 * MIN_LIFE {
        let use_of_it = if left < MIN_LIFE {
            "never answered"
        } else {
            "of little use"
        };
        report::warn(&format!(
            "gateways stop answering a CCA a day before it ends: this one is {use_of_it}"
        ));
    }
    // Couriers on the Internet send the CCA as metadata of their request, whose size is bounded.
    if metadata_len(sent.octets.len()) > limits::MAX_CCA_METADATA_LEN {
        report::warn(
            "the CCA is too long for couriers on the Internet, which take it as metadata; it travels on media alone",
        );
    }
    let mut sink = args.output.open("a CCA")?;
    let sender = node.keyring().identity()?.id();
    let name = fields.file_name(sender, Kind::Cca.word());
    sink.put(Kind::Cca, &name, sent.octets.as_slice())?;
    sink.finish()?;
    report::event(
        "requested",
        &[
            ("id", &fields.id),
            ("to", &to),
            ("expiry", &fields.expiry().to_string()),
        ],
    );
    Ok(())
}

/// The length of a CCA as metadata, in octets: a word, a space, and base64 with padding.
fn metadata_len(cca: usize) -> usize {
    "Relaynet-CCA ".len() + cca.div_ceil(3) * 4
}
