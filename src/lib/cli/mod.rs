//! What the programs share: their command lines, inputs, outputs, reports and exit statuses.

pub mod escape; // text for a terminal
pub mod errors; // the programs' own
pub mod status; // which error has which exit status
pub mod hints; // what the user can do about which error
pub mod report;
pub mod args;
pub mod clock;
pub mod files;
mod limited; // at most so many lines on standard error
pub mod input_ref; // where a message was read
pub mod outcome;
mod whole; // inputs that are read whole
pub mod inputs;
pub mod parts;
pub mod outputs;
pub mod pack;
pub mod issued; // certificates for peers, reported
pub mod promise; // registrations that a gateway promised
pub mod sealing; // parcels, sealed and written out
pub mod opening; // what relay-open does with content
pub mod unpack; // the messages in cargo, written out
pub mod unexpected; // files in a queue that are not ours
pub mod exchange;
mod syslog;
pub mod table;
pub mod listing; // a table on a terminal, else lines
pub mod routing; // what relay-route reports
pub mod delivery; // what relay-deliver reports
pub mod queues; // what relay-list prints
pub mod findings; // what relay-check prints

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command, CommandFactory, Parser};

use crate::disk::fault;
use report::Verbosity;
use status::{Reported, Status};

/// Parses the command line, runs the program, reports its error and picks its exit status.
pub fn run<A: Parser>(program: fn(&A) -> anyhow::Result<()>) -> ExitCode {
    let command = command::<A>();
    report::set_program(command.get_name().to_owned());
    forbid_core_dumps();
    widen_pipes();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        report::error(&format!(
            "a bug in this program, at {place}; please report it"
        ));
    }));
    // The program is a plain function, and nothing of it is used after it panicked.
    let run = AssertUnwindSafe(|| {
        if let Ok(spec) = std::env::var("RELAY_FAULT")
            && cfg!(debug_assertions)
            && let Err(problem) = fault::arm(&spec)
        {
            report::error(&problem);
            return Status::USAGE;
        }
        match parse(command) {
            Ok(args) => finish(program(&args)),
            Err(error) => usage(&error),
        }
    });
    std::panic::catch_unwind(run)
        .unwrap_or(Status::SOFTWARE)
        .into()
}

/// The command line of a program: its own arguments, and those that every program has.
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

/// Parses the command line; how much is reported applies from here on.
fn parse<A: Parser>(mut command: Command) -> Result<A, clap::Error> {
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    report::set_verbosity(if matches.get_flag(QUIET) {
        Verbosity::Quiet
    } else if matches.get_flag(VERBOSE) {
        Verbosity::Verbose
    } else {
        Verbosity::Normal
    });
    A::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

fn finish(result: anyhow::Result<()>) -> Status {
    match result {
        Ok(()) => Status::OK,
        Err(error) => {
            let status = status::status(&error);
            if status != Status::BROKEN_PIPE && !error.is::<Reported>() {
                report::failure(None, &error);
            }
            status
        }
    }
}

/// Says what is wrong with a command line, or prints the help that it asks for.
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
    // clap explains over several lines; the first paragraph is what is wrong.
    let lines: Vec<&str> = text
        .lines()
        .take_while(|line| !line.trim().is_empty())
        .map(str::trim)
        .collect();
    let text = lines.join(" ");
    report::error(text.strip_prefix("error: ").unwrap_or(&text));
    report::hint("see --help");
    Status::USAGE
}

/// Keys must not be found in a core dump.
fn forbid_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // Where this is not allowed there is nothing that could be done about it.
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
}

/// How many octets a pipe takes before its writer has to wait, if the system lets it.
#[cfg(target_os = "linux")]
const PIPE_LEN: usize = 1 << 20;

/// Lets programs at both ends of a pipe work for longer before one waits for the other: a message is larger than
/// what a pipe takes by itself.
fn widen_pipes() {
    #[cfg(target_os = "linux")]
    {
        // Where it is no pipe, or one may not be longer, nothing changes.
        let _ = rustix::pipe::fcntl_setpipe_size(std::io::stdin(), PIPE_LEN);
        let _ = rustix::pipe::fcntl_setpipe_size(std::io::stdout(), PIPE_LEN);
    }
}
