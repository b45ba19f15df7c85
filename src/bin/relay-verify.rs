//! relay-verify: checks messages as a courier or gateway must, without opening them.

use std::process::ExitCode;

use clap::Parser;
use serde_json::{Value, json};

use relaynet::cli::args::{IdentityKeyFile, KeyedNode, TrustFiles};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::errors::Usage;
use relaynet::cli::inputs::Objects;
use relaynet::cli::{self, files, labels, report};
use relaynet::describe;
use relaynet::pki::IdentityKey;
use relaynet::verify::{self, AuthorizationVerdict, Policy, PolicyRole, Private};

/// Check messages and certificates as a courier or gateway must, without opening them
#[derive(Debug, Parser)]
#[command(name = "relay-verify", version)]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: Objects,
    #[command(flatten)]
    node: KeyedNode,
    #[command(flatten)]
    trust: TrustFiles,
    #[command(flatten)]
    identity: IdentityKeyFile,
    /// Print a line of JSON for each object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(run)
}

fn run(args: &Args) -> anyhow::Result<()> {
    let judge = judge(args)?;
    let verdict = |object| Ok(verify::object(object, &judge)?);
    args.inputs.each(verdict, |place, verdict| {
        let label = place.label();
        if args.json {
            let mut line =
                json!({ "v": describe::VERSION, "input": place.input, "index": place.index });
            if let (Value::Object(line), Value::Object(facts)) = (&mut line, verdict.to_json()) {
                line.extend(facts);
            }
            files::print_line(&describe::json::line(&line))?;
        } else {
            let line = report::escaped(&format!("{label}: {verdict}"));
            files::print_line(&labels::shown(line))?;
        }
        for warning in &verdict.warnings {
            report::warn(&format!("{label}: {warning}"));
        }
        match verdict.authorized {
            AuthorizationVerdict::No(error) => Err(error.into()),
            AuthorizationVerdict::Yes | AuthorizationVerdict::NotShown => Ok(()),
        }
    })
}

/// The policy to verify against: of the files named, else of the node, else of a courier, who
/// trusts nobody.
fn judge(args: &Args) -> anyhow::Result<Policy> {
    if args.trust.is_given() || args.identity.is_given() {
        args.node.refuse("--trust and --identity-key")?;
        let mut trust = args.trust.trust()?;
        let mut recipient = args.trust.recipient();
        // With the recipient's own key, messages for it are checked as it would check them.
        if let Some(pkcs8) = args.identity.read(args.node.passphrase())? {
            let own = IdentityKey::from_pkcs8(pkcs8.as_bytes())?;
            recipient = recipient.or(Some(own.id()));
            trust.keys.push(own.public().clone());
        }
        let now = args.clock.now(None)?;
        let window = args.clock.window(now, None);
        return Ok(Policy {
            trust,
            peers: None,
            role: PolicyRole::Strict,
            chain: args.trust.chain()?,
            recipient,
            accepts_anybody: None,
            private: Private::default(),
            revocations: None,
            window,
            now,
        });
    }
    // Nothing of the node changes, so any `--now` is allowed.
    let now = args.clock.now(None)?;
    let chain = args.trust.chain()?;
    let recipient = args.trust.recipient();
    let of_node = args.node.use_if_any(|node| {
        let window = args.clock.window(now, Some(node.config()));
        Policy::of_node(node, chain.clone(), window, now)
    })?;
    let policy = match of_node {
        Some(policy) => policy,
        None if recipient.is_some() => {
            return Err(Usage("--recipient goes with --trust or a node".to_owned()).into());
        }
        None => Policy::courier(chain, args.clock.window(now, None), now),
    };
    Ok(Policy {
        recipient,
        ..policy
    })
}
