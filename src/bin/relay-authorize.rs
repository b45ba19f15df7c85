//! relay-authorize: lets a peer send to this node.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use relaynet::asn1::pem;
use relaynet::cli::args::{self, AuthorizationTerms, CertificateFile, IdentityKeyFile};
use relaynet::cli::args::{KeyedNode, SessionKeyFile};
use relaynet::cli::clock::NowArgs;
use relaynet::cli::errors::Usage;
use relaynet::cli::files::ObjectOutput;
use relaynet::cli::issued::Issued;
use relaynet::cli::{self, report};
use relaynet::crypto::hash;
use relaynet::message::PrivateEndpointConnectionParams as Params;
use relaynet::node::authorizations;
use relaynet::pki::IdentityKey;
use relaynet::ramf::InternetAddress;

/// Let a peer send to this node: print connection parameters with an authorization for it
#[derive(Debug, Parser)]
#[command(name = "relay-authorize", version)]
pub(crate) struct Args {
    /// The peer's public key or another object with it, or the name or id of a known peer
    #[arg(value_name = "FILE|PEER")]
    peer: Option<PathBuf>,
    #[command(flatten)]
    node: KeyedNode,
    #[command(flatten)]
    terms: AuthorizationTerms,
    /// Call the peer NAME
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    output: ObjectOutput,
    #[command(flatten)]
    now: NowArgs,
    #[command(flatten)]
    identity: IdentityKeyFile,
    #[command(flatten)]
    certificate: CertificateFile,
    /// The domain name of our Internet gateway
    #[arg(long, value_name = "NAME", requires = "identity_key")]
    address: Option<InternetAddress>,
    #[command(flatten)]
    session: SessionKeyFile,
    /// Store the new session key in FILE
    #[arg(
        long,
        value_name = "FILE",
        requires = "identity_key",
        conflicts_with = "session_key"
    )]
    save_session_key: Option<PathBuf>,
}

pub(crate) fn main() -> ExitCode {
    cli::run(authorize)
}

fn authorize(args: &Args) -> anyhow::Result<()> {
    args.terms.check()?;
    // Checked first: the session key and certificate that are stored below are not taken back.
    args.output.check()?;
    let (params, label) = if args.identity.is_given() || args.session.is_given() {
        (authorize_with_files(args)?, None)
    } else {
        authorize_in_node(args)?
    };
    let (params, peer) = (params.to_der(), label.as_deref());
    report::whole(peer, "authorization", &hash::sha256(&params));
    args.output.write(pem::CONNECTION_PARAMETERS, &params)
}

/// Issues and stores the authorization. Returns the parameters and the peer's label.
fn authorize_in_node(args: &Args) -> anyhow::Result<(Params, Option<String>)> {
    let node = args.node.open()?;
    let now = args.now.get(Some(node.config()))?;
    let key = args::peer_key(args.peer.as_deref(), Some(&node))?;
    // The lock is taken after the input is read, so that a slow pipe does not block other programs.
    let _lock = node.lock_exclusive()?;
    if key.id() == node.id() {
        return Err(Usage("a node needs no authorization to send to itself".to_owned()).into());
    }
    args.terms.check_for(node.config().node_type())?;
    if let Some(name) = &args.name {
        node.check_peer_name(key.id(), name, false)?;
    }
    Issued::Authorization.doubt_clock(args.node.open()?, now);
    let given = authorizations::give(&node, &key, &args.terms.at(now))?;
    if let Some(name) = &args.name {
        node.name_peer(key.id(), name)?;
    }
    if !given.has_gateway {
        report::detail(
            "no gateway knows this node, so parcels for it have to be carried to it by hand",
        );
    }
    let label = node.label_of(key.id());
    let until = given.params.authorization.leaf.not_after();
    Issued::Authorization.report(&label, &key, until, now + args.terms.valid);
    Ok((given.params, Some(label)))
}

/// The same with explicit files: only the session key is stored.
fn authorize_with_files(args: &Args) -> anyhow::Result<Params> {
    args.node.refuse("--identity-key")?;
    if args.name.is_some() {
        return Err(Usage("--name cannot be used with --identity-key".to_owned()).into());
    }
    let now = args.now.get(None)?;
    let key = args::peer_key(args.peer.as_deref(), None)?;
    let pkcs8 = args.identity.require(args.node.passphrase())?;
    let identity = IdentityKey::from_pkcs8(pkcs8.as_bytes())?;
    let issuer = args.certificate.require(&pkcs8)?;
    let session_key = args
        .session
        .read_or_make(args.node.passphrase(), args.save_session_key.as_deref())?
        .ok_or_else(|| Usage("--session-key or --save-session-key is needed".to_owned()))?;
    let authorization = authorizations::authorize(
        &identity,
        &issuer,
        &key,
        args.terms.rate,
        (now, now + args.terms.valid),
    )?;
    report::note(&format!("fingerprint {}", key.id().fingerprint()));
    Ok(Params {
        identity: identity.public().clone(),
        gateway_address: args
            .address
            .clone()
            .unwrap_or_else(InternetAddress::nowhere),
        authorization,
        session_key: session_key.public().clone(),
    })
}
