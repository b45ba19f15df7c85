//! What the programs do, seen from outside: status, standard output, diagnostics and files.

#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails

#[path = "../testenv/mod.rs"]
mod testenv;

#[cfg(feature = "online")]
#[path = "../testenv/online/mod.rs"]
mod online;

mod ack;
mod answers;
mod chains;
mod aliases;
mod bounds;
mod check;
mod authorize;
mod bare;
mod authors;
mod backup;
mod carry;
mod clock;
mod clocks;
mod completions;
mod codes;
mod control;
mod deliver;
mod drops;
mod ends;
mod export;
mod extract;
#[cfg(feature = "online")]
mod ferry;
#[cfg(feature = "online")]
mod ferry_client;
#[cfg(feature = "online")]
mod ferry_serve;
#[cfg(feature = "online")]
mod ferry_sync;
mod found;
mod full;
mod group;
mod hostile;
mod import;
mod inspect;
mod interleaved;
mod join;
mod key_flood;
mod keygen;
mod list;
mod medium;
mod mounted;
mod once;
#[cfg(feature = "online")]
mod online_cable;
mod online_collect;
#[cfg(feature = "online")]
mod online_submit;
#[cfg(feature = "online")]
mod online_walks;
#[cfg(feature = "online")]
mod online_enroll;
#[cfg(feature = "online")]
mod online_env;
#[cfg(feature = "online")]
mod online_fair;
mod online_follow;
#[cfg(feature = "online")]
mod online_full;
#[cfg(feature = "online")]
mod online_gateway;
mod online_quiet;
mod online_renew;
mod open;
mod outputs;
mod pack_cargo;
mod passphrase;
mod peers;
mod post;
#[cfg(feature = "online")]
mod post_turns;
mod purge;
mod put;
mod rates;
mod register;
mod replay;
mod request_cargo;
mod revoke;
mod rotate;
mod route;
mod seal;
mod send;
#[cfg(feature = "online")]
mod serve_bounds;
#[cfg(feature = "online")]
mod serve_cargo;
#[cfg(feature = "online")]
mod serve_cargo_kills;
#[cfg(feature = "online")]
mod serve_courier;
#[cfg(feature = "online")]
mod serve_collect;
#[cfg(feature = "online")]
mod serve_ends;
#[cfg(feature = "online")]
mod serve_parcels;
#[cfg(feature = "online")]
mod serve_register;
#[cfg(feature = "online")]
mod serve_sites;
#[cfg(feature = "online")]
mod serve_starts;
mod session;
mod split;
mod state;
mod status;
mod streams;
mod successor;
mod sync;
mod syncs;
mod text;
mod timeout;
mod told;
mod topology;
mod trust;
mod trips;
mod unpack_cargo;
mod unreadable;
mod verify;
mod years;
