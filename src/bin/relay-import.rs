//! relay-import: accepts what another node sent, and pins it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

use relaynet::cli::args::KeyedNode;
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::errors::Usage;
use relaynet::cli::status::{self, Reported, Status};
use relaynet::cli::{self, files, inputs, report, revoking, successors};
use relaynet::node::Directory;
use relaynet::node::expected::Expected;
use relaynet::node::import::{Options, Remark};

/// Accept a registration, authorization, connection parameters, rotation, PDD or successor, and pin it
#[derive(Debug, Parser)]
#[command(name = "relay-import", version)]
pub(crate) struct Args {
    /// Files to import; standard input if omitted or -
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    node: KeyedNode,
    /// Call the peer NAME
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Accept only a file whose SHA-256 is HEX, or begins with eight groups of it, or that of the object in it
    #[arg(long, value_name = "HEX")]
    expect: Option<String>,
    /// Let the node with the digits of --expect take the place of PEER, or do what the notice in FILE says
    #[arg(long, value_name = "PEER|FILE", requires = "expect", conflicts_with_all = ["files", "one_way"])]
    successor: Option<String>,
    /// Change what is pinned
    #[arg(long)]
    replace: bool,
    /// The peer authorized us with --one-way: its first session key lasts as long as that
    #[arg(long)]
    one_way: bool,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(import)
}

fn import(args: &Args) -> anyhow::Result<()> {
    if args.files.len() > 1 && (args.name.is_some() || args.expect.is_some()) {
        return Err(Usage("--name and --expect are for one FILE".to_owned()).into());
    }
    let malformed = || {
        let needed = "--expect needs the 64 hexadecimal digits of a SHA-256, the eight groups that are shown of it, or what a scanner reads of relay-inspect --qr";
        Usage(needed.to_owned())
    };
    let digits = args.expect.as_deref();
    let expected = digits.map(|digits| Expected::parse(digits).ok_or_else(malformed));
    files::check_stdout()?;
    let node = args.node.open()?;
    let now = args.clock.now(Some(node.config()))?;
    let options = Options {
        name: args.name.as_deref(),
        replace: args.replace,
        expected: expected.transpose()?,
        vouched: false,
        is_local: false,
        one_way: args.one_way,
        now,
        window: args.clock.window(now, Some(node.config())),
    };
    if let Some(text) = &args.successor {
        return successors::confirm(&args.node, &node, text, &options);
    }
    let files = if args.files.is_empty() {
        vec![PathBuf::from("-")]
    } else {
        args.files.clone()
    };
    let mut failures = Vec::new();
    for file in &files {
        for object in inputs::objects(file, args.name.is_some() || args.expect.is_some()) {
            match object.and_then(|object| import_object(args, &node, &object, &options)) {
                Ok(()) => {}
                // Nobody reads the output any more, so the others are not tried.
                Err(error) if status::status(&error) == Status::BROKEN_PIPE => return Err(error),
                Err(error) => {
                    report::failure(None, &error);
                    failures.push(status::status(&error));
                }
            }
        }
    }
    match failures.first() {
        None => Ok(()),
        Some(status) => Err(Reported(*status).into()),
    }
}

fn import_object(
    args: &Args,
    node: &Directory,
    (name, octets): &(String, Vec<u8>),
    options: &Options<'_>,
) -> anyhow::Result<()> {
    let imported = {
        // Locked after the file is read, so that a slow pipe does not block other programs.
        let _lock = node.lock_exclusive()?;
        node.import(octets, options).with_context(|| name.clone())?
    };
    if let Some(pdd) = &imported.revocation {
        // relay-route of the gateway passes it on.
        revoking::queue(&args.node, pdd, options.now)?;
    }
    let id = imported.peer;
    let label = node.label_of(id);
    report::event(
        "imported",
        &[("kind", imported.kind), ("peer", &id.to_string())],
    );
    for remark in &imported.remarks {
        let text = format!("{label}: {remark}");
        match remark {
            // So it is whenever a file is imported a second time, or an answer came before it.
            Remark::NewerSessionKeyKept => report::detail(&text),
            Remark::NoSessionKey => report::warn_with(
                &text,
                "let it register this gateway anew with relay-register --type gateway, and import that",
            ),
            _ => report::warn(&text),
        }
    }
    if let Some(succession) = &imported.succession {
        successors::imported(&args.node, node, (id, succession), options)?;
        return files::print(&id.to_string());
    }
    report::note(&format!("{label}: fingerprint {}", id.fingerprint()));
    let kind = imported.kind.replace('-', " ");
    report::whole(Some(&label), &kind, &imported.digest);
    files::print(&id.to_string())
}
