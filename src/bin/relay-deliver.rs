//! relay-deliver: hands what arrived to a directory, a Maildir or a command.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgGroup, Parser};
use serde_json::{Value, json};

use relaynet::cli::args::{NodeDir, Wait};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::errors::Usage;
use relaynet::cli::inputs::InputRef as Input;
use relaynet::cli::outcome::Outcome;
use relaynet::cli::unexpected::UnexpectedReport;
use relaynet::cli::{self, files, report};
use relaynet::command::Command;
use relaynet::deliver::{self, Content, Delivery, DeliveryEffect, Destination, Error};
use relaynet::describe;
use relaynet::disk::FileRole;
use relaynet::receive::{ReceiveOptions, Repeats};
use relaynet::spool::Spool;
use relaynet::transfer::join;

/// Hand what arrived for this node to a directory, a Maildir or a command
#[derive(Debug, Parser)]
#[command(
    name = "relay-deliver",
    version,
    override_usage = "relay-deliver [OPTIONS] <--dir DIR|--maildir DIR|-- COMMAND...>",
    group = ArgGroup::new("destination").required(true)
)]
pub(crate) struct Args {
    #[command(flatten)]
    node: NodeDir,
    /// Deliver only content of this media type; a * at the end stands for anything [default: all]
    #[arg(short = 'y', long = "type", value_name = "PATTERN")]
    types: Vec<String>,
    /// Write each content into DIR, in a folder for its sender
    #[arg(long, value_name = "DIR", group = "destination")]
    dir: Option<PathBuf>,
    /// In DIR, use the names that senders gave
    #[arg(long, requires = "dir", conflicts_with_all = ["maildir", "command"])]
    keep_name: bool,
    /// Write each content into this Maildir, as a mail
    #[arg(long, value_name = "DIR", group = "destination")]
    maildir: Option<PathBuf>,
    /// Run this for each content, which it gets on standard input
    #[arg(last = true, value_name = "COMMAND", group = "destination")]
    command: Vec<OsString>,
    /// Wait for all parts of content that comes in parts, and put them together
    #[arg(long)]
    join: bool,
    /// Print what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print a line of facts in JSON for each content
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    clock: ClockArgs,
}

fn main() -> ExitCode {
    cli::run(deliver)
}

fn deliver(args: &Args) -> anyhow::Result<()> {
    if args.json {
        files::check_lines()?;
    }
    let node = args.node.open()?;
    let spool = Spool::shared_with(args.node.open()?)?;
    let now = args.clock.now((!args.dry_run).then_some(node.config()))?;
    let destination = args.destination()?;
    destination.check().map_err(labelled)?;
    let _lock = if args.dry_run {
        None
    } else {
        Some(args.wait.lock_of(&spool, &node)?)
    };
    let window = args.clock.window(now, Some(node.config()));
    // Whoever delivers for a local endpoint does not hold the lock of its gateway's queues.
    let holds_queues = spool.owner().id() == node.id();
    let time = if args.dry_run || !holds_queues {
        spool.time(now, &window)?
    } else {
        spool.see_time(now, &window)?
    };
    let delivery = Delivery {
        spool: &spool,
        node: &node,
        path: std::path::absolute(node.root()).with_context(|| report::path(node.root()))?,
        terms: ReceiveOptions {
            window,
            // What is noted of sessions must not be of a time that never was.
            now: time.sure,
            repeats: Repeats::Refused,
        },
        time,
        types: args.types.clone(),
        destination,
        joins: args.join,
        is_dry: args.dry_run,
    };
    let (mut outcome, mut unexpected) = (Outcome::default(), UnexpectedReport::default());
    outcome.doubt(&time);
    let mut is_unjudged = false;
    let mut not_kept = 0_usize;
    let left = delivery.run(
        &mut |delivered| {
            is_unjudged |= delivered.result.as_ref().is_err_and(Error::is_unjudged);
            if args.dry_run {
                return files::print(&decision(&delivered, args.json));
            }
            not_kept += usize::from(matches!(delivered.result, Ok(DeliveryEffect::NotKept)));
            tell(args, delivered, &mut outcome)
        },
        &mut |path| unexpected.add(path),
    )?;
    unexpected.report();
    if is_unjudged && !args.dry_run && !report::is_quiet() {
        report::hint(
            "relay-list failed names what was set aside; relay-route --retry NAME has it delivered all the same",
        );
    }
    if not_kept > 0 {
        report::warn(&format!(
            "too many strangers wrote today: {not_kept} of their authorizations are not kept"
        ));
    }
    if let Some(left) = left {
        let queue = Input::named(format!("home/{}", node.id()));
        outcome.done(&queue, Err(Error::TooManyParts(left).into()))?;
    }
    outcome.finish()
}

impl Args {
    fn destination(&self) -> anyhow::Result<Destination> {
        Ok(
            match (&self.dir, &self.maildir, self.command.split_first()) {
                (Some(dir), ..) => Destination::Directory {
                    dir: dir.clone(),
                    keeps_names: self.keep_name,
                },
                (_, Some(dir), _) => Destination::Maildir(dir.clone()),
                (.., Some((program, args))) => Destination::Command(Command::new(program, args)),
                (None, None, None) => {
                    return Err(Usage("--dir, --maildir or a command is needed".to_owned()).into());
                }
            },
        )
    }
}

/// Says what became of a message; what was set aside is work done.
fn tell(
    args: &Args,
    delivered: deliver::DeliveryOutcome,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    if delivered.is_untimely {
        outcome.wait_for_clock(1);
        return Ok(());
    }
    if !matches!(delivered.result, Ok(DeliveryEffect::Part)) {
        outcome.take(); // parts count as what they make
    }
    let input = report::path(&delivered.path);
    let content = delivered.content.as_ref();
    match &delivered.result {
        Ok(DeliveryEffect::Delivered(path)) => {
            event("delivered", content, path.as_deref());
            if args.json {
                files::print_line(&facts(&delivered).to_string())?;
            }
        }
        Ok(DeliveryEffect::Imported) => event("imported", content, None),
        Ok(DeliveryEffect::NotKept) => event("not-kept", content, None),
        Ok(DeliveryEffect::Repeated) => report::event("repeated", &[("file", &input)]),
        Err(error) if delivered.is_aside => {
            report::warn(&format!("{input}: set aside: {error}"));
        }
        Ok(DeliveryEffect::Left | DeliveryEffect::Part) | Err(_) => {}
    }
    match delivered.result {
        Err(error) if error.is_of_destination() => Err(labelled(error)),
        Err(error) if !delivered.is_aside => {
            outcome.done(&Input::named(input), Err(labelled(error)))
        }
        _ => Ok(()),
    }
}

fn event(name: &str, content: Option<&Content>, path: Option<&Path>) {
    let Some(content) = content else { return };
    let (sender, recipient) = (content.sender.to_string(), content.recipient.to_string());
    let path = path.map(report::path).unwrap_or_default();
    let mut facts = vec![
        ("id", content.id.as_str()),
        ("from", &sender),
        ("to", &recipient),
        ("type", &content.media_type),
    ];
    facts.extend((!path.is_empty()).then_some(("path", path.as_str())));
    report::event(name, &facts);
}

/// An error about a file that the user named a directory for, with its path.
fn labelled(error: Error) -> anyhow::Error {
    match error {
        Error::Parts { cause, .. } if cause.is_of_destination() => labelled(*cause),
        Error::Join(join::Error::Disk(error)) => labelled(Error::Disk(error)),
        Error::Disk(error) if error.role() == FileRole::Delivery => {
            let path = report::path(error.path());
            anyhow::Error::new(error).context(path)
        }
        error => error.into(),
    }
}

fn facts(delivered: &deliver::DeliveryOutcome) -> Value {
    let content = delivered.content.as_ref();
    let path = match &delivered.result {
        Ok(DeliveryEffect::Delivered(path)) => path.as_ref(),
        _ => None,
    };
    json!({
        "v": describe::VERSION,
        "input": delivered.path.to_string_lossy(),
        "index": 1,
        "path": path.map(|path| path.to_string_lossy()),
        "sender": content.map(|content| content.sender.to_string()),
        "peer": content.map(|content| &content.peer),
        "recipient": content.map(|content| content.recipient.to_string()),
        "type": content.map(|content| &content.media_type),
        "name": content.map(|content| &content.name),
        "id": content.map(|content| &content.id),
        "date": content.map(|content| content.date.to_string()),
        "expiry": content.map(|content| content.expiry.to_string()),
        "size": content.map(|content| content.size),
        "transfer": content.and_then(|content| content.transfer).map(|transfer| transfer.to_string()),
    })
}

/// What would be done as a line: the message's name, what, and the content's type or why not.
fn decision(delivered: &deliver::DeliveryOutcome, json: bool) -> String {
    let what = match &delivered.result {
        Ok(DeliveryEffect::Delivered(_)) => "deliver",
        Ok(DeliveryEffect::Imported | DeliveryEffect::NotKept) => "import",
        Ok(DeliveryEffect::Repeated) => "remove",
        Ok(DeliveryEffect::Part) => "join",
        Err(_) if delivered.is_aside => "fail",
        Ok(DeliveryEffect::Left) | Err(_) => "leave",
    };
    let error = delivered.result.as_ref().err().map(ToString::to_string);
    if json {
        let mut facts = facts(delivered);
        facts["decision"] = what.into();
        facts["error"] = error.into();
        return facts.to_string();
    }
    let name = delivered
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let media_type = delivered
        .content
        .as_ref()
        .map(|content| content.media_type.clone());
    let detail = error.or(media_type).unwrap_or_default();
    format!("{name}\t{what}\t{}", report::escaped(&detail))
}
