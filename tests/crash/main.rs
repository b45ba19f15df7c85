//! Crashes, full disks and broken disks: what they leave, and that the next run completes the work.
//!
//! `RELAY_FAULT=trace:FILE` makes a program list the changes it makes to the file system, `kill:N`
//! stops it right before the Nth of them, `torn:N` in the middle of it, and `ENOSPC:N` or `EIO:N` fails
//! only that one. Each program is stopped and failed at each of its steps. Each time the invariants must
//! hold, and running the same command again must lead to the state that an undisturbed run leads to.
//!
//! A killed process leaves the page cache intact, so this does not show what a power failure would do:
//! for that, the traces are checked against the rules of [`law`]. `cargo test --test crash -- --nocapture`
//! shows how many steps each program has.

#![allow(clippy::unwrap_used)] // what fails here fails the test

#[cfg(all(debug_assertions, feature = "online"))]
#[path = "../testenv/online/mod.rs"]
mod servers; // those that programs go online with
#[cfg(all(debug_assertions, feature = "online"))]
#[path = "../testenv/mod.rs"]
mod testenv; // the nodes of the tests of the programs

#[cfg(debug_assertions)] // without them, programs take no faults
mod calls; // no change of the file system bypasses the traced steps
#[cfg(all(debug_assertions, feature = "online"))]
mod ferry; // cargo taken to servers and fetched from them
#[cfg(debug_assertions)]
mod invariants; // what holds at every instant
mod law; // the order of writes, syncs and names
#[cfg(debug_assertions)]
mod loops; // twenty loops at once
#[cfg(debug_assertions)]
mod media; // what comes from media and goes onto them
#[cfg(all(debug_assertions, feature = "online"))]
mod online; // parcels exchanged over a network
#[cfg(debug_assertions)]
mod parallel; // two runs at once
#[cfg(debug_assertions)]
mod passphrases; // encrypted private keys
#[cfg(debug_assertions)]
mod programs; // what is run, and what proves that it worked
#[cfg(debug_assertions)]
mod refusals; // a file system that says no
#[cfg(debug_assertions)]
mod revoking; // authorizations that end before their time
#[cfg(debug_assertions)]
mod rotating; // what is renewed, once
#[cfg(debug_assertions)]
mod scene; // nodes to start from, copies of them, and what a run left
#[cfg(debug_assertions)]
mod sending; // contents sent from operands and drop folders
#[cfg(debug_assertions)]
mod succeeding; // a node takes the place of another
#[cfg(debug_assertions)]
mod sweep; // stopping and failing a program at each step
