//! relay-post: delivers parcels to the servers of nodes on the Internet.

use std::process::ExitCode;

use clap::Parser;
use jiff::SignedDuration;

use relaynet::binding::direct::DirectContext;
use relaynet::binding::direct::turns::TurnLimits;
use relaynet::cli::args::{NetworkOptions, NodeDir};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::inputs::Inputs;
use relaynet::cli::{self, files, posting, report};
use relaynet::disk::Lock;
use relaynet::node::Directory;
use relaynet::node::config::{Direct, parse_duration};
use relaynet::spool::Spool;

/// How long a parcel is tried directly, where a gateway is to have it then.
const DIRECT_FOR: SignedDuration = SignedDuration::from_hours(1);

/// Deliver parcels to the servers of nodes on the Internet
#[derive(Debug, Parser)]
#[command(name = "relay-post", version)]
#[command(mut_arg("files", |it| it.help("Post the parcels in these files, - for standard input [default: what waits in the spool]")))]
// Of what waits in the spool there is no input that could be empty, and no line for each.
#[command(mut_arg("allow_empty", |it| it.requires("files")), mut_arg("status_fd", |it| it.requires("files")))]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: Inputs, // [FILE]...: without any, what waits in the spool
    #[command(flatten)]
    node: NodeDir,
    /// Print where it would connect to, and connect to no server
    #[arg(short = 'n', long, conflicts_with = "files")]
    dry_run: bool,
    /// Connect to private addresses too, such as 10.0.0.1: where the network is one that you trust
    #[arg(long)]
    private: bool,
    /// Start at another moment within DURATION, which depends on the node
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with = "files")]
    splay: Option<SignedDuration>,
    /// Print a line of JSON for each event, and one at the end
    #[arg(long, conflicts_with = "files")]
    json: bool,
    #[command(flatten)]
    network: NetworkOptions,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(post)
}

fn post(args: &Args) -> anyhow::Result<()> {
    if args.json {
        files::check_lines()?;
    }
    if args.inputs.are_named() {
        return post_files(args);
    }
    let spool = Spool::of(args.node.open()?)?;
    let owner = spool.owner();
    let config = owner.config();
    let changes = (!args.dry_run).then_some(config);
    let now = args.clock.now(changes)?;
    let window = args.clock.window(now, Some(config));
    let mut network = args.network.network(Some(config))?;
    network.allows_private = args.private;
    let direct_for = config.direct_for().unwrap_or(DIRECT_FOR);
    let context = DirectContext {
        spool: &spool,
        network: &network,
        time: &spool.time(now, &window)?,
        gives_up_after: (config.direct() == Direct::Always).then_some(direct_for),
        // Somebody who looks on wants it now.
        is_patient: report::is_quiet(),
        turns: TurnLimits::default(),
    };
    if args.dry_run {
        return posting::print_plan(&context, args.json);
    }
    cli::splay::wait(owner.id(), args.splay);
    // Another run does it.
    let Some(_lock) = Lock::try_exclusive(&owner.lock_file("post")?)? else {
        report::detail("another run is active");
        return Ok(());
    };
    posting::post_queue(&context, args.json)
}

/// Posts the parcels in files. A node is not needed; one that there is has settings, and the hosts of peers.
fn post_files(args: &Args) -> anyhow::Result<()> {
    let node = args.node.open_if_any()?;
    let mut network = args.network.network(node.as_ref().map(Directory::config))?;
    network.allows_private = args.private;
    let now = args.clock.now(None)?;
    posting::post_stream(&args.inputs, (&network, node.as_ref()), now)
}
