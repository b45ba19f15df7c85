//! relay: every program in one executable, for packages and small systems.
//!
//! Called by a link named for a program, it is that program; called relay, it takes the program from its first word.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::Command;

use relaynet::cli::{self, words};

/// A program of this executable.
pub(crate) struct Program {
    /// The name of its link.
    pub(crate) name: &'static str,
    main: fn() -> ExitCode,
    pub(crate) command: fn() -> Command,
}

macro_rules! programs {
    ($($(#[$if:meta])? $module:ident $name:literal $source:literal)*) => {
        $(
            $(#[$if])?
            #[path = $source]
            mod $module;
        )*

        pub(crate) const PROGRAMS: &[Program] = &[$(
            $(#[$if])?
            Program {
                name: $name,
                main: $module::main,
                command: cli::command::<$module::Args>,
            },
        )*];
    };
}

programs! {
    relay_ack "relay-ack" "relay-ack.rs"
    relay_authorize "relay-authorize" "relay-authorize.rs"
    relay_carry "relay-carry" "relay-carry.rs"
    relay_check "relay-check" "relay-check.rs"
    relay_deliver "relay-deliver" "relay-deliver.rs"
    #[cfg(feature = "online")]
    relay_enroll "relay-enroll" "relay-enroll.rs"
    relay_export "relay-export" "relay-export.rs"
    #[cfg(feature = "online")]
    relay_ferry "relay-ferry" "relay-ferry.rs"
    relay_import "relay-import" "relay-import.rs"
    relay_inspect "relay-inspect" "relay-inspect.rs"
    relay_join "relay-join" "relay-join.rs"
    relay_keygen "relay-keygen" "relay-keygen.rs"
    relay_list "relay-list" "relay-list.rs"
    #[cfg(feature = "online")]
    relay_online "relay-online" "relay-online.rs"
    relay_open "relay-open" "relay-open.rs"
    relay_pack_cargo "relay-pack-cargo" "relay-pack-cargo.rs"
    relay_peers "relay-peers" "relay-peers.rs"
    #[cfg(feature = "online")]
    relay_post "relay-post" "relay-post.rs"
    relay_purge "relay-purge" "relay-purge.rs"
    relay_put "relay-put" "relay-put.rs"
    relay_register "relay-register" "relay-register.rs"
    relay_request_cargo "relay-request-cargo" "relay-request-cargo.rs"
    relay_revoke "relay-revoke" "relay-revoke.rs"
    relay_rotate "relay-rotate" "relay-rotate.rs"
    relay_route "relay-route" "relay-route.rs"
    relay_seal "relay-seal" "relay-seal.rs"
    relay_send "relay-send" "relay-send.rs"
    #[cfg(feature = "online")]
    relay_serve "relay-serve" "relay-serve.rs"
    relay_split "relay-split" "relay-split.rs"
    relay_status "relay-status" "relay-status.rs"
    relay_sync "relay-sync" "relay-sync.rs"
    relay_unpack_cargo "relay-unpack-cargo" "relay-unpack-cargo.rs"
    relay_verify "relay-verify" "relay-verify.rs"
}

/// What the links of programs begin with.
const PREFIX: &str = "relay-";

pub(crate) fn main() -> ExitCode {
    let mut words_of_process = std::env::args_os();
    let own = words_of_process.next().unwrap_or_default();
    let mut rest: Vec<OsString> = words_of_process.collect();
    let link = Path::new(&own).file_name().and_then(OsStr::to_str);
    if let Some(program) = PROGRAMS.iter().find(|one| Some(one.name) == link) {
        return (program.main)();
    }
    // The link of a program that this version lacks is refused as `relay NAME` is.
    if let Some(lacking) = link.and_then(|link| link.strip_prefix(PREFIX)) {
        rest.insert(0, lacking.into());
    }
    // `relay help seal` is `relay seal --help`, and a misspelt program is refused as `relay` refuses it.
    if rest.len() == 2 && rest[0] == "help" {
        rest.remove(0);
        if find(&rest[0]).is_some() {
            rest.push("--help".into());
        }
    }
    if let Some(program) = rest.first().and_then(|word| find(word)) {
        rest[0] = program.name.into();
        words::set(rest);
        (program.main)()
    } else {
        rest.insert(0, "relay".into());
        words::set(rest);
        cli::answer(command())
    }
}

/// The program that this word names: `seal` or `relay-seal`.
fn find(word: &OsStr) -> Option<&'static Program> {
    let word = word.to_str()?;
    let mut programs = PROGRAMS.iter();
    programs.find(|one| one.name == word || one.name.strip_prefix(PREFIX) == Some(word))
}

/// The command line of relay itself.
pub(crate) fn command() -> Command {
    let programs = PROGRAMS.iter().map(|one| {
        let short = one.name.strip_prefix(PREFIX).unwrap_or(one.name);
        (one.command)().name(short)
    });
    Command::new("relay")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Run one of the programs of Relaynet; relay-seal and relay seal are the same")
        .subcommand_value_name("PROGRAM")
        .subcommand_help_heading("Programs")
        .subcommands(programs)
}
