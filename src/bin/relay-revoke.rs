//! relay-revoke: withdraws authorizations.

use std::process::ExitCode;

use clap::Parser;
use jiff::SignedDuration;

use relaynet::asn1::pem;
use relaynet::cli::args::KeyedNode;
use relaynet::cli::clock::NowArgs;
use relaynet::cli::errors::Usage;
use relaynet::cli::files::ObjectOutput;
use relaynet::cli::revoking::{self, RevocationRequest};
use relaynet::cli::{self, report};
use relaynet::node::config::parse_duration;
use relaynet::node::revocation_store;
use relaynet::pki::issuance;

/// Withdraw authorizations to send to this node
#[derive(Debug, Parser)]
#[command(name = "relay-revoke", version)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["operands", "all"]))]
pub(crate) struct Args {
    /// Peers, for all that was given to them, or serial numbers of authorizations
    #[arg(value_name = "PEER|SERIAL")]
    operands: Vec<String>,
    #[command(flatten)]
    node: KeyedNode,
    /// Print what would be revoked, and change nothing
    #[arg(short = 'n', long, conflicts_with = "output")]
    dry_run: bool,
    /// Print a line of JSON for each authorization
    #[arg(long)]
    json: bool,
    /// Revoke all authorizations of this node, and give no more
    #[arg(long)]
    all: bool,
    /// Gateway: revoke what this endpoint, which is registered here, gave; only with serial numbers or --all
    #[arg(long, value_name = "ENDPOINT")]
    issuer: Option<String>,
    /// How long it is revoked [default: as long as it lasts]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    valid: Option<SignedDuration>,
    #[command(flatten)]
    output: ObjectOutput,
    #[command(flatten)]
    now: NowArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(revoke)
}

fn revoke(args: &Args) -> anyhow::Result<()> {
    let is_possible =
        |valid: SignedDuration| valid > SignedDuration::ZERO && valid <= issuance::MAX_LIFE;
    if args.valid.is_some_and(|valid| !is_possible(valid)) {
        return Err(Usage("--valid must be over 0 and at most 180d".to_owned()).into());
    }
    args.output.check()?;
    let node = args.node.open()?;
    let now = args.now.get((!args.dry_run).then_some(node.config()))?;
    let request = RevocationRequest {
        operands: &args.operands,
        all: args.all,
        issuer: args.issuer.as_deref(),
        valid_for: args.valid,
        now,
    };
    if args.dry_run {
        let plan = request.plan(&node)?;
        plan.print(&node, args.json)?;
        return plan.finish();
    }
    let (mut plan, octets, is_new) = {
        let _lock = node.lock_exclusive()?;
        let plan = request.plan(&node)?;
        let (octets, is_new) = revocation_store::revoke(&node, &plan.order)?;
        (plan, octets, is_new)
    };
    plan.tell_issuer(&node, &octets)?;
    if args.output.is_given() {
        args.output.write(pem::PDD, &octets)?;
    }
    let issuer = plan.order.issuer.to_string();
    let fact = if is_new { "yes" } else { "no" };
    report::event("revoked", &[("issuer", &issuer), ("new", fact)]);
    // Queued again even if it is not new: a run that was killed may have stored it alone.
    let is_own_of_gateway = plan.order.issuer == node.id() && node.check_is_gateway().is_ok();
    if !is_own_of_gateway && !revoking::queue(&args.node, &octets, now)? && !args.output.is_given()
    {
        report::warn_with(
            "only this node knows it: no gateway uses its spool",
            "relay-revoke -o FILE again, and have the gateways of this node import that",
        );
    }
    if !args.output.is_to_stdout() {
        plan.print(&node, args.json)?;
    }
    plan.finish()
}
