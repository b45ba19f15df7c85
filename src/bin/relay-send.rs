//! relay-send: seals files for peers and stores them in the spool.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{ArgAction, Parser};
use jiff::SignedDuration;

use relaynet::cli::args::{CipherChoice, KeyedNode, Life, message_id};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::drops::{self, DropTerms};
use relaynet::cli::errors::Usage;
use relaynet::cli::sending::{OperandTerms, Sending};
use relaynet::cli::{self, files, sealing};
use relaynet::message::{file_name, service_message};
use relaynet::node::config::parse_duration;
use relaynet::outbox::Submission;
use relaynet::spool::admission::{Admission, Entrance};
use relaynet::upkeep::handing_on::Outlet;

/// How long a file in a drop folder must not have changed, in seconds.
const SETTLE: SignedDuration = SignedDuration::from_secs(60);

/// Send files and directories to peers: seal them, and store them in the spool
#[derive(Debug, Parser)]
#[command(name = "relay-send", version)]
pub(crate) struct Args {
    /// Files and directories to send; - for standard input
    #[arg(
        value_name = "FILE",
        required_unless_present = "drop",
        conflicts_with = "drop"
    )]
    files: Vec<PathBuf>,
    #[command(flatten)]
    node: KeyedNode,
    /// Send to this peer: its name, its id, or the beginning of its id; @NAME for an alias
    #[arg(short, long, value_name = "PEER", action = ArgAction::Append)]
    to: Vec<String>,
    /// The media type of files [default: application/octet-stream]
    #[arg(short = 'y', long = "type", value_name = "TYPE")]
    media_type: Option<String>,
    /// Send NAME along as the name of the only FILE
    #[arg(long, value_name = "NAME", conflicts_with = "drop")]
    name: Option<String>,
    /// Send no names along
    #[arg(long, conflicts_with_all = ["name", "drop"])]
    no_name: bool,
    /// The id of the only FILE's message [default: a random UUID]
    #[arg(long, value_name = "ID", value_parser = message_id, conflicts_with = "drop")]
    id: Option<String>,
    /// Send what waits in DIR, each file once
    #[arg(long, value_name = "DIR")]
    drop: Option<PathBuf>,
    /// Move what was sent from the drop folder into DIR, instead of removing it
    #[arg(long, value_name = "DIR", requires = "drop")]
    sent: Option<PathBuf>,
    /// Leave files in the drop folder that changed in the last DURATION [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "drop")]
    settle: Option<SignedDuration>,
    /// Let the peers answer: send each our authorization, too
    #[arg(long, conflicts_with = "drop")]
    authorize: bool,
    #[command(flatten)]
    life: Life,
    /// How urgent they are; 9 goes first
    #[arg(long, value_name = "DIGIT", value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: Option<u8>,
    #[command(flatten)]
    cipher: CipherChoice,
    /// Print a line of facts in JSON for each file and recipient
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(send)
}

fn send(args: &Args) -> anyhow::Result<()> {
    files::check_lines()?;
    if let Some(media_type) = &args.media_type {
        service_message::check_syntax(media_type)?;
    }
    args.check_files()?;
    // A run that finds claims must look at the queues after the one that made them has ended.
    let settle = args.settle.unwrap_or(SETTLE).unsigned_abs();
    let drop = args.drop.as_deref();
    let folder = drop.map(|dir| drops::open(dir, args.sent.as_deref(), settle));
    let folder = folder.transpose()?;
    let node = args.node.open()?;
    let access = args.node.access()?;
    sealing::check_answerable(args.authorize.then_some(node.config()))?;
    let now = args.clock.now(Some(node.config()))?;
    let window = args.clock.window(now, Some(node.config()));
    let entrance = Entrance::of(&access)?;
    let admission = Admission::new(&access, entrance, window, now, args.priority)?;
    let submission = Submission {
        admission: &admission,
        ttl: args.life.get(Some(node.config()))?,
        cipher: args.cipher.cipher,
        now,
    };
    let sending = Sending::new(&node, submission, args.media_type.as_deref(), args.json);
    if let (Some(dir), Some(folder)) = (drop, folder) {
        let terms = DropTerms { dir, to: &args.to };
        let sent = drops::send(sending, folder, &terms, SystemTime::now());
        admission.close();
        return sent;
    }
    let outlet = Outlet::of(&access, window, now);
    let terms = OperandTerms {
        to: &args.to,
        name: args.name.as_deref(),
        is_nameless: args.no_name,
        id: args.id.as_deref(),
        answers: args.authorize.then_some(&outlet),
    };
    let sent = sending.operands(&args.files, &terms);
    admission.close();
    sent
}

impl Args {
    /// Checks what is said of the only file, and that standard input is named once.
    fn check_files(&self) -> Result<(), Usage> {
        let is_one = self.files.len() == 1;
        for (option, is_given) in [("--name", self.name.is_some()), ("--id", self.id.is_some())] {
            if is_given && !is_one {
                return Err(Usage(format!("{option} goes with one FILE")));
            }
        }
        if let Some(name) = &self.name
            && file_name::safe(name).as_deref() != Some(name)
        {
            return Err(Usage(format!("{name:?} cannot be the name of a file")));
        }
        if self.files.iter().filter(|it| it.as_os_str() == "-").count() > 1 {
            return Err(Usage("- is named twice".to_owned()));
        }
        Ok(())
    }
}
