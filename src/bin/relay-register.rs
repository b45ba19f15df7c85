//! relay-register: lets a gateway certify a private node.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use jiff::{SignedDuration, Timestamp};

use relaynet::asn1::pem;
use relaynet::cli::args::{self, NodeDir};
use relaynet::cli::clock::NowArgs;
use relaynet::cli::errors::Usage;
use relaynet::cli::files::ObjectOutput;
use relaynet::cli::{self, inputs, report};
use relaynet::crypto::hash;
use relaynet::message::Object;
use relaynet::message::registration::{RegistrationAuthorization, RegistrationRequest};
use relaynet::node::certificates::SLACK;
use relaynet::node::registrations::{self, RegistrationOptions};
use relaynet::node::{self, Directory, Keyring as _, NodeType};
use relaynet::pki::{PublicKey, issuance};

/// How long a gateway's promise to register a node holds, unless something else is said.
const PROMISE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Certify a private node as its gateway: public key to registration
#[derive(Debug, Parser)]
#[command(name = "relay-register", version)]
pub(crate) struct Args {
    /// The node's public key or another object with it, or the name or id of a known peer
    #[arg(value_name = "FILE|PEER")]
    peer: Option<PathBuf>,
    #[command(flatten)]
    node: NodeDir,
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
}

fn main() -> ExitCode {
    cli::run(register)
}

fn register(args: &Args) -> anyhow::Result<()> {
    args.output.check()?;
    let node = args.node.open()?;
    let now = args.now.get(Some(node.config()))?;
    if args.step.request {
        let request = request(args, &node, now)?;
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
        let path = args.peer.clone().unwrap_or_else(|| PathBuf::from("-"));
        let name = || report::path(&path);
        let request = match Object::parse(&inputs::read_whole(&path)?).with_context(name)? {
            Object::RegistrationRequest(request) => request,
            other => return Err(not_a("registration request", &path, &other)),
        };
        registrations::check_request(&node, &request, now).with_context(name)?;
        request.node
    } else {
        args::peer_key(args.peer.as_deref(), Some(&node))?
    };
    // Nobody is kept waiting while the input is read.
    let _lock = node.lock_exclusive()?;
    let der = certify(args, &node, &key, now)?;
    args.output.write(pem::REGISTRATION, &der)
}

/// Makes the registration and stores what belongs to it.
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
    let given = registrations::give(node, key, &terms)?;
    if let Some(name) = &args.name {
        node.name_peer(key.id(), name)?;
    }
    if !given.has_gateway {
        report::warn(
            "no Internet gateway knows this gateway, so what it registers is reached only through gateways that peer with it",
        );
    }
    let label = node.label_of(key.id())?;
    let until = given.registration.node.not_after();
    if until < now + valid_for.min(issuance::MAX_LIFE) - SLACK {
        report::warn(&format!(
            "{label}: the registration ends at {until}, with our own certificate"
        ));
    }
    let id = key.id().to_string();
    report::event(
        "registered",
        &[("peer", &id), ("until", &until.to_string())],
    );
    report::note(&format!("{label}: fingerprint {}", key.id().fingerprint()));
    let registration = given.registration.to_der();
    report::whole(Some(&label), "registration", &hash::sha256(&registration));
    Ok(registration)
}

/// Answers a gateway's promise.
fn request(args: &Args, node: &Directory, now: Timestamp) -> anyhow::Result<RegistrationRequest> {
    let path = args.peer.clone().unwrap_or_else(|| PathBuf::from("-"));
    let name = || report::path(&path);
    let object = Object::parse(&inputs::read_whole(&path)?).with_context(name)?;
    let Object::RegistrationAuthorization(authorization) = &object else {
        return Err(not_a("registration authorization", &path, &object));
    };
    if authorization.expiry < now {
        let over = node::Error::PromiseExpired(authorization.expiry);
        return Err(anyhow::Error::new(over).context(name()));
    }
    warn_of_another_node(node, authorization);
    Ok(RegistrationRequest::sign(
        &node.identity()?,
        &authorization.to_der(),
    )?)
}

/// What a gateway wants back is its own business; deployed ones want the digest of the node's key.
fn warn_of_another_node(node: &Directory, authorization: &RegistrationAuthorization) {
    if !authorization.is_for(node.public()) {
        report::warn(
            "the authorization does not name this node; its gateway may refuse the request",
        );
    }
}

fn not_a(expected: &str, path: &std::path::Path, found: &Object) -> anyhow::Error {
    let found = found.word().replace('-', " ");
    Usage(format!(
        "{}: a {expected} is needed, not a {found}",
        report::path(path)
    ))
    .into()
}
