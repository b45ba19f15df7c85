//! What the programs do, seen from outside: status, standard output, diagnostics and files.

#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails

#[path = "../testenv/mod.rs"]
mod testenv;

mod ack;
mod authorize;
mod export;
mod found;
mod group;
mod hostile;
mod import;
mod inspect;
mod keygen;
mod list;
mod open;
mod pack_cargo;
mod peers;
mod purge;
mod put;
mod register;
mod request_cargo;
mod route;
mod seal;
mod session;
mod state;
mod sync;
mod topology;
mod unpack_cargo;
mod verify;
