//! relay-register: lets a gateway certify a private node.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use jiff::{SignedDuration, Timestamp};

use relaynet::asn1::pem;
use relaynet::cli::args::{self, KeyedNode};
use relaynet::cli::clock::NowArgs;
use relaynet::cli::errors::Usage;
use relaynet::cli::files::ObjectOutput;
use relaynet::cli::issued::Issued;
use relaynet::cli::{self, promise, report};
use relaynet::crypto::hash;
use relaynet::node::registrations::{self, RegistrationOptions};
use relaynet::node::{Directory, NodeType};
use relaynet::pki::{PublicKey, issuance};

/// How long a promise to register a node holds by default.
const PROMISE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Certify a private node as its gateway: public key to registration
#[derive(Debug, Parser)]
#[command(name = "relay-register", version)]
pub(crate) struct Args {
    /// The node's public key or another object with it, or the name or id of a known peer; with --allow any id
    #[arg(value_name = "FILE|PEER")]
    peer: Option<PathBuf>,
    #[command(flatten)]
    node: KeyedNode,
    /// What to register it as [default: gateway on a node with an Internet address, else endpoint]
    #[arg(long = "type", value_name = "TYPE")]
    node_type: Option<NodeType>,
    /// How long the registration lasts, or the promise of one [default: 180d; with --authorize 14d]
    #[arg(long, value_name = "DURATION", value_parser = args::validity)]
    valid: Option<SignedDuration>,
    /// Call the node NAME
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    step: Step,
    #[command(flatten)]
    output: ObjectOutput,
    #[command(flatten)]
    now: NowArgs,
}

/// The steps of a registration that is asked for.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Step {
    /// Only promise to register the node with this public key
    #[arg(long, conflicts_with_all = ["node_type", "name"])]
    authorize: bool,
    /// As the node: ask to be registered as FILE promises
    #[arg(long, conflicts_with_all = ["node_type", "name", "valid"])]
    request: bool,
    /// Register the node whose request is FILE
    #[arg(long)]
    complete: bool,
    /// Let relay-serve register the node when it asks (registration = known)
    #[arg(long, conflicts_with_all = ["node_type", "name", "valid", "output", "force", "der"])]
    allow: bool,
}

impl Args {
    /// The file to read; standard input if omitted.
    fn file(&self) -> &Path {
        self.peer.as_deref().unwrap_or(Path::new("-"))
    }
}

pub(crate) fn main() -> ExitCode {
    cli::run(register)
}

fn register(args: &Args) -> anyhow::Result<()> {
    if args.step.allow {
        return promise::allow(&args.node.open()?, args.peer.as_deref());
    }
    args.output.check()?;
    let node = args.node.open()?;
    let now = args.now.get(Some(node.config()))?;
    // A node asks its gateway, so this step needs no gateway here.
    if args.step.request {
        let request = promise::request(&node, args.file(), now)?;
        return args
            .output
            .write(pem::REGISTRATION_REQUEST, &request.to_der());
    }
    node.check_is_gateway()?;
    if args.step.authorize {
        let key = args::peer_key(args.peer.as_deref(), Some(&node))?;
        let expiry = now + args.valid.unwrap_or(PROMISE);
        let promise = registrations::promise(&node, &key, expiry)?;
        report::note(&format!("fingerprint {}", key.id().fingerprint()));
        return args
            .output
            .write(pem::REGISTRATION_AUTHORIZATION, &promise.to_der());
    }
    let key = if args.step.complete {
        promise::requested_key(&node, args.file(), now)?
    } else {
        args::peer_key(args.peer.as_deref(), Some(&node))?
    };
    // The lock is taken after the input is read, so that a slow pipe does not block other programs.
    let _lock = node.lock_exclusive()?;
    let der = certify(args, &node, &key, now)?;
    args.output.write(pem::REGISTRATION, &der)
}

/// Issues the registration and stores what belongs to it. Returns it as DER.
fn certify(
    args: &Args,
    node: &Directory,
    key: &PublicKey,
    now: Timestamp,
) -> anyhow::Result<Vec<u8>> {
    if key.id() == node.id() {
        return Err(Usage("a node cannot register itself".to_owned()).into());
    }
    if let Some(name) = &args.name {
        node.check_peer_name(key.id(), name, false)?;
    }
    let valid_for = args.valid.unwrap_or(issuance::MAX_LIFE);
    let terms = RegistrationOptions {
        now,
        valid_for,
        node_type: args.node_type,
    };
    Issued::Registration.doubt_clock(args.node.open()?, now);
    let given = registrations::give(node, key, &terms)?;
    if let Some(name) = &args.name {
        node.name_peer(key.id(), name)?;
    }
    if !given.has_gateway {
        report::detail(
            "no Internet gateway knows this gateway, so what it registers is reached only through gateways that peer with it",
        );
    }
    let label = node.label_of(key.id());
    let until = given.registration.node.not_after();
    let wanted = now + valid_for.min(issuance::MAX_LIFE);
    Issued::Registration.report(&label, key, until, wanted);
    let registration = given.registration.to_der();
    report::whole(Some(&label), "registration", &hash::sha256(&registration));
    Ok(registration)
}
