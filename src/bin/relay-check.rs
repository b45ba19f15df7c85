//! relay-check: checks a node directory: modes, orphans, the clock, what ends soon.

use std::process::ExitCode;

use clap::Parser;
use jiff::Timestamp;
use serde_json::json;

use relaynet::cli::args::NodeDir;
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::status::{Reported, Status};
use relaynet::cli::{self, files, report, table};
use relaynet::describe;
use relaynet::node::{Directory, endpoints};
use relaynet::route::Table;
use relaynet::spool::Spool;
use relaynet::upkeep::checker::Checker;
use relaynet::upkeep::finding::{Finding, Level};
use relaynet::upkeep::restore;

/// Check a node directory, and print a line for each thing that is not as it should be
#[derive(Debug, Parser)]
#[command(name = "relay-check", version)]
pub(crate) struct Args {
    #[command(flatten)]
    node: NodeDir,
    /// Make the node safe to be used after an old backup of it was restored, then check it
    #[arg(long)]
    restored: bool,
    /// Print a line of JSON for each finding
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    clock: ClockArgs,
}

fn main() -> ExitCode {
    cli::run(check)
}

fn check(args: &Args) -> anyhow::Result<()> {
    let root = args.node.path()?;
    let now = if args.restored {
        make_good(args, Directory::open(&root)?)?
    } else {
        args.clock.now(None)?
    };
    let mut lines = Lines::new(args);
    let config = Directory::open(&root).ok();
    let config = config.as_ref().map(Directory::config);
    let mut checker = Checker {
        now,
        window: args.clock.window(now, config),
        user: rustix::process::geteuid().as_raw(),
        each: &mut |finding| lines.add(finding),
        newest: None,
    };
    let node = checker.node(&root)?;
    let mut nodes: Vec<_> = node.iter().map(Directory::id).collect();
    for path in endpoints::paths(&root)? {
        match checker.node(&path) {
            Ok(endpoint) => nodes.extend(endpoint.map(|endpoint| endpoint.id())),
            Err(error) => checker.damaged(&path, &error),
        }
    }
    if let Some(node) = node {
        // Those of other users are known, too.
        match endpoints::local(&node) {
            Ok(endpoints) => nodes.extend(endpoints.iter().map(|endpoint| endpoint.id)),
            Err(error) => checker.damaged(&root, &error),
        }
        Table::check(&node, &mut checker);
        // An endpoint's is its gateway's, and checked with that.
        let spool = Spool::shared_with(node)?;
        if spool.owner().root() == root {
            spool.check(&mut checker, &nodes);
        }
    }
    checker.newest();
    lines.finish()
}

/// Makes a node safe to be used after it was restored, and its local endpoints; gives the time.
fn make_good(args: &Args, node: Directory) -> anyhow::Result<Timestamp> {
    let spool = Spool::shared_with(node)?;
    let endpoints = endpoints::all(spool.owner())?;
    let nodes = [spool.owner()].into_iter();
    let nodes: Vec<_> = nodes
        .chain(endpoints.iter().map(|(_, node)| node))
        .collect();
    let strictest = nodes.iter().find(|node| !node.config().allows_test_clock());
    let config = strictest.map_or(spool.owner().config(), |node| node.config());
    let now = args.clock.now(Some(config))?;
    let window = args.clock.window(now, Some(spool.owner().config()));
    spool.check_not_behind(now, &window)?;
    for node in nodes {
        let retired = restore::make_good(node, now, &window)?;
        let path = report::path(node.root());
        report::note(&format!(
            "{path}: what was made until {now} is refused from now on, and {retired} session keys are replaced"
        ));
    }
    Ok(now)
}

/// How many octets of lines are written at once.
const BLOCK: usize = 64 * 1024;

/// The findings, as they are printed.
struct Lines<'a> {
    args: &'a Args,
    text: String,
    /// For a terminal.
    rows: Option<Vec<Vec<String>>>,
    /// Whether one is more than information.
    has_found: bool,
    /// Why they cannot be printed.
    failed: Option<anyhow::Error>,
}

impl<'a> Lines<'a> {
    fn new(args: &'a Args) -> Self {
        let is_table = files::is_terminal() && !args.json;
        Self {
            args,
            text: String::new(),
            rows: is_table.then(Vec::new),
            has_found: false,
            failed: None,
        }
    }

    fn add(&mut self, finding: &Finding) {
        let is_information = finding.level == Level::Information;
        self.has_found |= !is_information;
        if is_information && !report::is_verbose() {
            return;
        }
        if self.args.json {
            self.text.push_str(&facts(finding));
        } else {
            let row = [
                finding.level.word().to_owned(),
                report::escaped(&finding.what),
                report::path(&finding.path),
                report::escaped(finding.hint.as_deref().unwrap_or("-")),
            ];
            match &mut self.rows {
                Some(rows) => rows.push(row.to_vec()),
                None => self.text.push_str(&row.join("\t")),
            }
        }
        if self.rows.is_none() {
            self.text.push('\n');
        }
        if self.text.len() >= BLOCK && self.failed.is_none() {
            let text = std::mem::take(&mut self.text);
            self.failed = files::write_lines(text.as_bytes()).err();
        }
    }

    fn finish(self) -> anyhow::Result<()> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.rows {
            Some(rows) => table::print(&["LEVEL", "WHAT", "WHERE", "HINT"], &rows)?,
            None => files::write_lines(self.text.as_bytes())?,
        }
        if self.has_found {
            return Err(Reported(Status::FOUND).into());
        }
        Ok(())
    }
}

fn facts(finding: &Finding) -> String {
    json!({
        "v": describe::VERSION,
        "level": finding.level.word(),
        "check": finding.check.word(),
        "what": finding.what,
        "where": finding.path.to_string_lossy(),
        "hint": finding.hint,
    })
    .to_string()
}
