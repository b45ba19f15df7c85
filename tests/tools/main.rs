//! What the programs do, seen from outside: status, standard output, diagnostics and files.

#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails

#[path = "../testenv/mod.rs"]
mod testenv;

mod authorize;
mod export;
mod found;
mod hostile;
mod import;
mod inspect;
mod keygen;
mod open;
mod peers;
mod seal;
mod session;
mod state;
mod verify;
