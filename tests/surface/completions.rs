//! Makes the files in completions/: those of clap, in which each value and operand is completed by the helper of the shell.

use std::collections::BTreeSet;

use clap::builder::{PossibleValuesParser, Resettable};
use clap::{Arg, Command};
use clap_complete::Shell;

use relaynet::node::config;

/// The helpers, which are written by hand.
pub(crate) const HELPERS: [&str; 3] = [
    "_relay_complete",
    "relay-complete.bash",
    "relay_complete.fish",
];

/// How each value is completed: the name that a program's option or operand has for it; the option, if it is not so for
/// all; and what the helpers call it. The first row that fits counts.
const KINDS: &[(&str, &str, &str)] = &[
    ("ADDRESS", "listen", "file"), // a Unix socket
    ("ADDRESS", "", "none"),
    ("BITS", "", "none"),
    ("CIPHER", "", "none"),
    ("COMMAND", "", "command"),
    ("DIGIT", "", "words 0 1 2 3 4 5 6 7 8 9"),
    ("DIR", "", "dir"),
    ("DURATION", "", "none"),
    ("N/DURATION", "", "none"),
    ("FILE", "", "file"),
    ("FILE|DIR", "", "file"),
    ("FILE|PEER", "", "file-or-peer"),
    ("PEER|FILE", "", "file-or-peer"),
    ("OLD", "", "dir"),
    ("FROM", "", "dir"),
    ("GATEWAY", "", "peer"),
    ("HEX", "", "none"),
    ("HOST:PORT", "", "none"),
    ("ID", "for", "node-id"),
    ("ID", "recipient", "node-id"),
    ("ID", "", "none"),
    ("KEY=VALUE", "", SETTINGS),
    ("MEDIUM", "", "dir"),
    ("MESSAGE", "", "message"),
    ("N", "", "none"),
    ("NAME", "retry", "set-aside"),
    ("NAME", "", "none"),
    ("NEW", "", "none"),
    ("PATTERN", "", MEDIA_TYPES),
    ("PEER", "to", "recipient"),
    ("ENDPOINT", "", "peer"),
    ("PEER", "", "peer"),
    ("PEER|SERIAL", "", "peer"),
    ("QUEUE", "", "queue in failed home out control acks cca"),
    ("RANGE", "", "none"),
    ("SHA256", "", "none"),
    ("SIZE", "", "none"),
    ("URL", "", "none"),
    ("METRIC=WARNING:CRITICAL", "", "none"),
    ("TIME", "", "none"),
    ("TO", "", "dir"),
    ("TYPE", "y", MEDIA_TYPES),
    ("TYPE", "", "words endpoint gateway"),
];

/// Stands for the keys of a node's config.
const SETTINGS: &str = "settings";

/// Some common media types. Which ones are in use is not known to a node: it keeps no record of what it sealed.
const MEDIA_TYPES: &str = "words application/gzip application/json application/octet-stream application/pdf \
    application/x-tar application/zip audio/mpeg audio/ogg image/jpeg image/png image/svg+xml message/rfc822 text/calendar \
    text/csv text/html text/markdown text/plain text/vcard video/mp4";

/// What stands around a kind in what clap makes.
const MARK: &str = "@@";

/// The kinds that the helpers complete; `file` and `none` may be left to the shell.
pub(crate) fn kinds() -> BTreeSet<&'static str> {
    let rows = KINDS.iter().map(|(_, _, kind)| *kind);
    let first = rows.filter(|kind| !["file", "none", SETTINGS].contains(kind));
    first.filter_map(|kind| kind.split(' ').next()).collect()
}

/// The kind of an argument's value, if it takes one and clap does not list those there are.
///
/// # Panics
/// If [`KINDS`] lacks its name.
pub(crate) fn kind(argument: &Arg) -> Option<&'static str> {
    let is_listed = !argument.get_possible_values().is_empty();
    if !argument.get_action().takes_values() || is_listed {
        return None;
    }
    let value = argument.get_value_names()?.first()?.as_str();
    let short = argument.get_short().map(String::from);
    let is_option = |option: &str| {
        [argument.get_long(), short.as_deref()].contains(&Some(option)) || option.is_empty()
    };
    let row = KINDS
        .iter()
        .find(|(name, option, _)| *name == value && is_option(option));
    let (_, _, kind) = row.unwrap_or_else(|| {
        panic!("{argument}: say in KINDS of tests/surface/completions.rs how {value} is completed")
    });
    Some(kind)
}

/// The file of a program for a shell, and its name.
pub(crate) fn make(shell: Shell, command: &Command) -> (String, String) {
    let name = command.get_name().to_owned();
    let mut made = Vec::new();
    clap_complete::generate(shell, &mut marked(command.clone()), &name, &mut made);
    let made = String::from_utf8(made).expect("clap writes UTF-8");
    let (file, text) = match shell {
        Shell::Bash => (format!("{name}.bash"), bash(&made, command)),
        Shell::Zsh => (format!("_{name}"), zsh(&made)),
        Shell::Fish => (format!("{name}.fish"), fish(&made, command)),
        _ => unreachable!("there are files for three shells"),
    };
    assert!(
        !text.contains(MARK),
        "{file}: what clap makes has changed:\n{text}"
    );
    (file, text)
}

/// The command, whose values have their kind, marked, as the only one that is possible.
fn marked(command: Command) -> Command {
    let arguments: Vec<_> = command
        .get_arguments()
        .filter_map(|argument| Some((argument.get_id().clone(), kind(argument)?)))
        .collect();
    let mut command = command;
    for (id, kind) in arguments {
        let at = KINDS.iter().position(|(_, _, other)| *other == kind);
        let mark = format!("{MARK}{}{MARK}", at.expect("it is of the table"));
        command = command.mut_arg(id, |argument| {
            argument
                .default_value(Resettable::Reset)
                .value_parser(PossibleValuesParser::new([&*mark.leak()]))
        });
    }
    command.mut_subcommands(marked)
}

/// What the helper is given: the kind, and words that are fixed.
fn words(kind: &str) -> String {
    if kind == SETTINGS {
        format!("words {}=", config::KEYS.join("= "))
    } else {
        kind.to_owned()
    }
}

/// What the helper is given for what stands between two marks.
fn words_of_mark(at: &str) -> String {
    let (_, _, kind) = KINDS[at.parse::<usize>().expect("a row of the table")];
    words(kind)
}

/// Replaces each `before`, a mark and `after` by what `make` makes of the mark.
fn replace(text: &str, before: &str, after: &str, make: impl Fn(String) -> String) -> String {
    let opening = format!("{before}{MARK}");
    let closing = format!("{MARK}{after}");
    let mut parts = text.split(opening.as_str());
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (mark, rest) = part.split_once(&closing).expect("a mark is closed");
        replaced += &make(words_of_mark(mark));
        replaced += rest;
    }
    replaced
}

/// Bash's `$2` and `$3` divide words at `=` and `@` and have their quotes, so the helper finds the words anew; and operands
/// are completed, where clap offers options again.
fn bash(made: &str, command: &Command) -> String {
    let call = |words: String| format!("_relay_complete {words} 2>/dev/null");
    let made = replace(
        made,
        "COMPREPLY=($(compgen -W \"",
        "\" -- \"${cur}\"))",
        call,
    );
    let mut text = String::from(
        "# The helper is beside this file, under either name.\n\
         if ! declare -F _relay_complete >/dev/null; then\n    \
             for _relay_helper in \"$(dirname -- \"${BASH_SOURCE[0]}\")\"/relay-complete{.bash,}; do\n        \
                 if [[ -r $_relay_helper ]]; then\n            \
                     . \"$_relay_helper\"\n            \
                     break\n        \
                 fi\n    \
             done\n    \
             unset -v _relay_helper\n\
         fi\n\n",
    );
    let mut operands: Vec<String> = Vec::new();
    let mut is_first = command.has_subcommands();
    for line in made.lines() {
        let line = match line.trim() {
            "local i cur prev opts cmd" => format!("{line} words ended typed"),
            "prev=\"$3\"" => format!("{line}\n    _relay_line \"$2\" 2>/dev/null"),
            "COMPREPLY=( $(compgen -W \"${opts}\" -- \"${cur}\") )"
                if line.starts_with("            C") =>
            {
                complete_operands(&operands)
            }
            options if options.starts_with("opts=") => {
                operands.clear();
                let (line, kinds) = without_marks(line);
                operands.extend(kinds);
                line
            }
            // The first test of relay(1) is left: it offers subcommands as the first word.
            condition if condition.starts_with("if [[ ${cur} == -* ||") && !is_first => {
                format!(
                    "{}if [[ ${{cur}} == -* && -z ${{ended}} ]] ; then",
                    indent(12)
                )
            }
            _ => line.to_owned(),
        };
        is_first &= !line.contains("${COMP_CWORD} -eq");
        text += &line;
        text.push('\n');
    }
    text
}

fn indent(width: usize) -> String {
    " ".repeat(width)
}

/// The line without the marks of operands, which clap puts among the options, and what the helper is given for them.
fn without_marks(line: &str) -> (String, Vec<String>) {
    let parts: Vec<&str> = line.split(MARK).collect();
    let marks = parts.iter().skip(1).step_by(2);
    let kinds = marks.map(|at| words_of_mark(at)).collect();
    let rest: Vec<&str> = parts
        .iter()
        .step_by(2)
        .map(|part| part.trim_end())
        .collect();
    (rest.join("").replace(" \"", "\""), kinds)
}

/// The operands of a program have one kind, except those that only come after `--`.
fn complete_operands(kinds: &[String]) -> String {
    let indent = indent(12);
    let call = |kind: &str| format!("{indent}_relay_complete {kind} 2>/dev/null");
    let before = kinds.iter().find(|kind| *kind != "command");
    let before = before.map_or("none", String::as_str);
    if kinds.iter().any(|kind| kind == "command") {
        format!(
            "{indent}if [[ -n ${{ended}} ]]; then\n    {}\n{indent}else\n    {}\n{indent}fi",
            call("command"),
            call(before)
        )
    } else {
        call(before)
    }
}

/// The helper is a function that zsh loads when it is called. The blank keeps `_arguments` from giving it options.
fn zsh(made: &str) -> String {
    let made = replace(made, ":(", ")", |words| {
        format!(": _relay_complete {words}")
    });
    // A colon in the name of a value, which clap does not quote, would begin what zsh runs.
    let names = KINDS.iter().map(|(value, ..)| *value);
    let made = names
        .filter(|name| name.contains(':'))
        .fold(made, |made, name| {
            made.replace(
                &format!(":{name}:"),
                &format!(":{}:", name.replace(':', "\\:")),
            )
        });
    let lines = made.lines().map(|line| match line.strip_prefix("'*::") {
        // With two colons, options after the first operand are not completed.
        Some(operand) if !operand.contains("_relay_complete command") => format!("'*:{operand}\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// Operands are completed, too, which clap leaves out.
fn fish(made: &str, command: &Command) -> String {
    let call = |words: String| match words.as_str() {
        "file" => " -F".to_owned(),
        "none" => " -f".to_owned(),
        "file-or-peer" => " -F -a '(_relay_complete file-or-peer)'".to_owned(),
        _ => format!(" -f -a '(_relay_complete {words})'"),
    };
    let mut text = String::from(
        "# The helper is beside this file.\n\
         functions -q _relay_complete; or source (status dirname)/relay_complete.fish\n\n",
    );
    text += &replace(made, " -f -a \"", "\\t''\"", call);
    let name = command.get_name();
    if !command.has_subcommands() {
        return text + &fish_operands(name, command, None, call);
    }
    let with_operands = command.get_subcommands();
    for each in with_operands.filter(|each| each.get_name() != "help") {
        let function = format!("__fish_{}_using_subcommand", name.replace('-', "_"));
        let condition = format!("{function} {}", each.get_name());
        text += &fish_operands(name, each, Some(&condition), call);
    }
    text
}

/// The lines for the operands of a command, where a condition holds.
fn fish_operands(
    program: &str,
    command: &Command,
    condition: Option<&str>,
    call: impl Fn(String) -> String,
) -> String {
    let mut text = String::new();
    let mut add = |conditions: &[&str], completion: &str| {
        let condition = match conditions {
            [] => String::new(),
            _ => format!(" -n '{}'", conditions.join("; and ")),
        };
        text.extend(["complete -c ", program, &condition, completion, "\n"]);
    };
    let (last, first): (Vec<_>, Vec<_>) =
        command.get_positionals().partition(|one| one.is_last_set());
    let mut completions: Vec<String> = first
        .into_iter()
        .filter_map(kind)
        .map(|kind| call(words(kind)))
        .collect();
    completions.dedup();
    if completions.is_empty() {
        completions.push(" -f".to_owned());
    }
    let condition: Vec<&str> = condition.into_iter().collect();
    for completion in completions {
        add(&condition, &completion);
    }
    for kind in last.into_iter().filter_map(kind) {
        // fish before 3.4 takes only one condition.
        let is_after = [&condition[..], &["contains -- -- (commandline -opc)"]].concat();
        add(&is_after, &format!(" -F -a '(_relay_complete {kind})'"));
    }
    text
}
