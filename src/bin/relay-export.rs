//! relay-export: prints what others need to reach this node.

use std::process::ExitCode;

use clap::Parser;

use relaynet::asn1::pem;
use relaynet::cli::args::{IdentityKeyFile, KeyedNode, SessionKeyFile};
use relaynet::cli::clock::NowArgs;
use relaynet::cli::errors::Usage;
use relaynet::cli::files::ObjectOutput;
use relaynet::cli::{self, qr, report};
use relaynet::crypto::hash;
use relaynet::message::{NodeConnectionParams, scanned};
use relaynet::pki::{IdentityKey, PublicKey};
use relaynet::ramf::InternetAddress;

/// Print what others need to reach this node: its public key, or its connection parameters
#[derive(Debug, Parser)]
#[command(name = "relay-export", version)]
pub(crate) struct Args {
    #[command(flatten)]
    node: KeyedNode,
    #[command(flatten)]
    output: ObjectOutput,
    /// Draw the public key as a code that phones read; an image if FILE ends with .png
    #[arg(long, conflicts_with_all = ["der", "address", "session_key"])]
    qr: bool,
    #[command(flatten)]
    identity: IdentityKeyFile,
    /// The domain name to print with that key
    #[arg(long, value_name = "NAME", requires_all = ["identity_key", "session_key"])]
    address: Option<InternetAddress>,
    #[command(flatten)]
    session: SessionKeyFile,
    #[command(flatten)]
    now: NowArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(export)
}

fn export(args: &Args) -> anyhow::Result<()> {
    args.output.check()?;
    if args.identity.is_given() || args.session.is_given() {
        return export_files(args);
    }
    let node = args.node.open()?;
    let address = match node.config().address() {
        Some(address) if !args.qr => address,
        _ => return write_key(args, node.public()),
    };
    let now = args.now.get(Some(node.config()))?;
    // Making or renewing the key changes the node, hence the exclusive lock.
    let _lock = node.lock_exclusive()?;
    let session_key = node.unbound_session_key(now)?.public().clone();
    write_params(
        args,
        &NodeConnectionParams {
            address,
            identity: node.public().clone(),
            session_key,
        },
    )
}

/// The same from explicit files; nothing is stored.
fn export_files(args: &Args) -> anyhow::Result<()> {
    args.node.refuse("--identity-key")?;
    let pkcs8 = args
        .identity
        .read(args.node.passphrase())?
        .ok_or_else(|| Usage("--identity-key is needed".to_owned()))?;
    let identity = IdentityKey::from_pkcs8(pkcs8.as_bytes())?.public().clone();
    match (
        &args.address,
        args.session.read_with_id(args.node.passphrase())?,
    ) {
        (None, None) => write_key(args, &identity),
        (Some(address), Some(key)) => write_params(
            args,
            &NodeConnectionParams {
                address: address.clone(),
                identity,
                session_key: key.public().clone(),
            },
        ),
        (Some(_), None) => Err(Usage("--session-key is needed beside --address".to_owned()).into()),
        (None, Some(_)) => Err(Usage("--address is needed beside --session-key".to_owned()).into()),
    }
}

fn write_key(args: &Args, key: &PublicKey) -> anyhow::Result<()> {
    if args.qr {
        return qr::draw(&scanned::key_to_text(key), &args.output);
    }
    args.output.write(pem::PUBLIC_KEY, key.spki())
}

fn write_params(args: &Args, params: &NodeConnectionParams) -> anyhow::Result<()> {
    let params = params.to_der();
    args.output.write(pem::CONNECTION_PARAMETERS, &params)?;
    report::whole(None, "connection parameters", &hash::sha256(&params));
    Ok(())
}
