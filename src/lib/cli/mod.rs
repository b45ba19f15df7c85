//! Code that the programs share: command lines, inputs, outputs, reports and exit statuses.

pub mod escape; // text for a terminal
pub mod errors; // the programs' own
pub mod status; // which error has which exit status
pub mod hints; // what the user can do about which error
#[cfg(feature = "online")]
mod online_hints; // about those of the wire
pub mod report;
pub mod args;
pub mod words; // of the command line
pub mod slips; // of a command line
pub mod clock;
pub mod files;
mod limited; // at most so many lines on standard error
#[cfg(feature = "online")]
mod hourly; // in an hour
pub mod input_ref; // where a message was read
pub mod outcome;
pub mod named_files; // which are read, and are not replaced
pub mod peers; // what relay-peers changes
mod whole; // inputs that are read whole
pub mod inputs;
pub mod parts;
pub mod outputs;
pub mod pack;
pub mod issued; // certificates for peers, reported
pub mod promise; // registrations that a gateway promised
pub mod recipients; // that -t names
pub mod sealing; // parcels, sealed and written out
pub mod sending; // contents into the spool
pub mod drops; // files of a drop folder
pub mod elsewhere; // where messages are that are not found at a node
pub mod successors; // what is said of nodes that take the place of others
pub mod opening; // what relay-open does with content
pub mod unpack; // the messages in cargo, written out
pub mod unexpected; // files in a queue that are not ours
pub mod exchange;
pub mod tally; // what a run did, in numbers
mod syslog;
pub mod table;
pub mod listing; // a table on a terminal, else lines
pub mod progress; // a bar for who waits at a terminal
pub mod labels; // short names for a terminal
pub mod aside; // messages that were set aside
pub mod revoking; // what relay-revoke withdraws
pub mod routing; // what relay-route reports
pub mod route_run; // what it does
pub mod rotating; // what relay-rotate reports
pub mod unreadable_peers; // peers of which something cannot be read
pub mod delivery; // what relay-deliver reports
pub mod queues; // what relay-list prints
pub mod findings; // what relay-check prints
pub mod backup; // a copy of a node
pub mod succeeding; // a node that takes the place of another
pub mod making; // what relay-keygen makes
pub mod qr; // codes that phones read
pub mod single_fact; // what relay-inspect prints alone
pub mod overview; // what relay-status prints
pub mod nagios; // thresholds on its numbers
#[cfg(feature = "online")]
pub mod splay; // over the time between runs
#[cfg(feature = "online")]
pub mod host_reports; // how servers were reached
#[cfg(feature = "online")]
mod plan; // where a run would connect to
#[cfg(feature = "online")]
pub mod online; // what relay-online reports
#[cfg(feature = "online")]
pub mod enrolling; // where relay-enroll registers a node
#[cfg(feature = "online")]
pub mod gateways; // those that a node goes online with
#[cfg(feature = "online")]
pub mod online_when; // whether they are asked now
#[cfg(feature = "online")]
pub mod ferrying; // what relay-ferry does
#[cfg(feature = "online")]
pub mod visiting; // with a node
#[cfg(feature = "online")]
pub mod posting; // what relay-post does and reports
#[cfg(feature = "online")]
pub mod arrivals; // routed while a run goes on
#[cfg(feature = "online")]
pub mod following; // for as long as nobody stops it
#[cfg(feature = "online")]
pub mod listening; // the sockets of a server
#[cfg(feature = "online")]
pub mod serving; // what relay-serve does and reports
#[cfg(feature = "online")]
pub mod couriering; // what it does as a courier
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command, CommandFactory, Parser};

use crate::command::pending_signal;
use crate::disk::fault;
use named_files::NamedFiles;
use report::Verbosity;
use status::{Reported, Status};

/// Parses the command line, runs the program, reports its error, and returns the exit status.
pub fn run<A: Parser>(program: fn(&A) -> anyhow::Result<()>) -> ExitCode {
    let command = command::<A>();
    let name = command.get_name().to_owned();
    guarded(name, || match parse(command) {
        Ok((args, named)) => finish(named.check().and_then(|()| program(&args))),
        Err(error) => usage(&error),
    })
}

/// Answers a command line that names none of the programs: with help, the version, or what is wrong.
#[must_use]
pub fn answer(mut command: Command) -> ExitCode {
    guarded(command.get_name().to_owned(), move || {
        let parsed = command.try_get_matches_from_mut(words::all());
        usage(
            &parsed.err().unwrap_or_else(|| {
                command.error(ErrorKind::MissingSubcommand, "no program is named")
            }),
        )
    })
}

/// Runs a program of this name, whatever becomes of it, and returns its exit status.
fn guarded(name: String, program: impl FnOnce() -> Status) -> ExitCode {
    report::set_program(name);
    // First of all: no key is in memory yet.
    forbid_core_dumps();
    widen_pipes();
    survive_size_limit();
    // A user can do nothing with a backtrace; the place is enough for a report.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(|location| place(location.file(), location.line()))
            .unwrap_or_default();
        report::error(&format!(
            "a bug in this program, at {place}; please report it"
        ));
    }));
    // Safe to unwind: nothing of the program is used after a panic.
    let run = AssertUnwindSafe(|| {
        // Fault injection for tests, which release builds ignore.
        if let Ok(spec) = std::env::var("RELAY_FAULT")
            && cfg!(debug_assertions)
            && let Err(problem) = fault::arm(&spec)
        {
            report::error(&problem);
            return Status::USAGE;
        }
        program()
    });
    let status = std::panic::catch_unwind(run).unwrap_or_else(|_| {
        progress::end();
        Status::SOFTWARE
    });
    // It was kept while a command ran. The caller sees this program end by it, as it would have.
    if let Some(signal) = pending_signal() {
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
    status.into()
}

/// The command line of a program, with `-q` and `-v`, which every program has.
#[must_use]
pub fn command<A: CommandFactory>() -> Command {
    let flag = |name: &'static str, letter| {
        Arg::new(name)
            .long(name)
            .short(letter)
            .action(ArgAction::SetTrue)
    };
    A::command()
        .arg(
            flag(QUIET, 'q')
                .conflicts_with(VERBOSE)
                .help("Report errors only"),
        )
        .arg(flag(VERBOSE, 'v').help("Report every change of state"))
}

const QUIET: &str = "quiet";
const VERBOSE: &str = "verbose";

/// Parses the command line, and sets the verbosity for everything that follows.
fn parse<A: Parser>(mut command: Command) -> Result<(A, NamedFiles), clap::Error> {
    let mut matches = command.try_get_matches_from_mut(words::all())?;
    report::set_verbosity(if matches.get_flag(QUIET) {
        Verbosity::Quiet
    } else if matches.get_flag(VERBOSE) {
        Verbosity::Verbose
    } else {
        Verbosity::Normal
    });
    let named = NamedFiles::of(&command, &matches);
    let args = A::from_arg_matches_mut(&mut matches);
    let args = args.map_err(|error| error.format(&mut command))?;
    Ok((args, named))
}

fn finish(result: anyhow::Result<()>) -> Status {
    // Before the error, below which the bar would be drawn once more.
    progress::end();
    match result {
        Ok(()) => Status::OK,
        Err(error) => {
            let status = status::status(&error);
            // The reader of the output has gone (SIGPIPE), or the failure was reported already.
            if status != Status::BROKEN_PIPE && !error.is::<Reported>() {
                match slips::hint_for(&error) {
                    Some(hint) => report::failure_hinted(&error, &hint),
                    None => report::failure(None, &error),
                }
            }
            status
        }
    }
}

/// Reports a usage error, or prints the help that was asked for.
fn usage(error: &clap::Error) -> Status {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return match files::write_stdout(&[error.render().to_string().as_bytes()]) {
            Ok(()) => Status::OK,
            Err(error) => finish(Err(error)),
        };
    }
    let text = error.render().to_string();
    // clap's message has several paragraphs; the first one is the error.
    let lines: Vec<&str> = text
        .lines()
        .take_while(|line| !line.trim().is_empty())
        .map(str::trim)
        .collect();
    let text = slips::named_for_source(error, &lines.join(" "));
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    if report::program() == "relay-status" && nagios::is_asked(&words::arguments()) {
        return finish(nagios::unknown(text));
    }
    report::error(text);
    let hint = slips::hint_for_usage(error, report::program());
    report::hint(hint.as_deref().unwrap_or("see --help"));
    Status::USAGE
}

/// A line of the sources, by the last two parts of its file's path: before them is where the program was built.
fn place(file: &str, line: u32) -> String {
    let mut parts = file.rsplit(['/', '\\']);
    match (parts.next(), parts.next()) {
        (Some(name), Some(dir)) => format!("{dir}/{name}:{line}"),
        _ => format!("{file}:{line}"),
    }
}

/// Keeps keys out of core dumps.
fn forbid_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // If the limit cannot be set, there is no other way to prevent dumps.
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
}

/// Lets a write beyond the limit on file sizes (`ulimit -f`) fail with EFBIG, which is reported:
/// by default its signal kills, and leaves a temporary file. The signal is handled, not ignored,
/// because a COMMAND would inherit that it is ignored.
fn survive_size_limit() {
    // If the handler cannot be installed, the signal kills as it does by default.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// The size that pipes are set to, in octets; an unprivileged process may set up to 1 MiB by
/// default (pipe(7)).
#[cfg(target_os = "linux")]
const PIPE_LEN: usize = 1 << 20;

/// Enlarges the pipes at both ends, so that programs in a pipeline wait for each other less often:
/// a message is larger than the default size.
fn widen_pipes() {
    #[cfg(target_os = "linux")]
    {
        // Fails for anything but a pipe, or beyond the system's limit; then nothing changes.
        let _ = rustix::pipe::fcntl_setpipe_size(std::io::stdin(), PIPE_LEN);
        let _ = rustix::pipe::fcntl_setpipe_size(std::io::stdout(), PIPE_LEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_says_nothing_of_the_machine_that_built_it() {
        let long = "/home/builder/.cargo/registry/src/index/aes-0.9.4/src/soft.rs";
        assert_eq!(place(long, 7), "src/soft.rs:7");
        assert_eq!(place("src/lib/cli/mod.rs", 9), "cli/mod.rs:9");
        assert_eq!(place("C:\\build\\main.rs", 1), "build/main.rs:1");
        assert_eq!(place("main.rs", 1), "main.rs:1");
    }
}
