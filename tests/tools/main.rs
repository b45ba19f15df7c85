//! What the programs do, seen from outside: status, standard output, diagnostics and files.

#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails

#[path = "../testenv/mod.rs"]
mod testenv;

mod ack;
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
mod found;
mod full;
mod group;
mod hostile;
mod import;
mod inspect;
mod interleaved;
mod join;
mod keygen;
mod list;
mod medium;
mod mounted;
mod once;
mod open;
mod outputs;
mod pack_cargo;
mod peers;
mod purge;
mod put;
mod register;
mod replay;
mod request_cargo;
mod rotate;
mod route;
mod seal;
mod send;
mod session;
mod split;
mod state;
mod status;
mod streams;
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
