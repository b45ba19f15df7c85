//! Waits for a command, which has a process group of its own, and ends it if need be.

use std::io;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use super::signals::Watch;

/// How long a group that was told to end may take, until it is killed.
const GRACE: Duration = Duration::from_millis(if cfg!(test) { 500 } else { 10_000 });

/// How often it is looked whether the command has ended, should no signal tell.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often it is looked whether the rest of a group has ended, which no signal tells.
const LOOK_AT_GROUP_EVERY: Duration = Duration::from_millis(20);

/// How a command ended.
pub(super) enum CommandEnd {
    /// By itself, or as it was told to, successfully.
    Exited(ExitStatus),
    /// It did not end in time.
    TimedOut,
    /// This program got a signal of this name, and passed it on.
    Stopped(&'static str),
}

/// Waits for a command for at most `limit`.
pub(super) fn wait(
    child: &mut Child,
    limit: Option<Duration>,
    watch: &Watch,
) -> io::Result<CommandEnd> {
    let group = Pid::from_child(child);
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let mut told: Option<Told> = None;
    let exited = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        let now = Instant::now();
        if let Some((signal, name)) = watch.take() {
            send(group, signal);
            told.get_or_insert(Told::new(CommandEnd::Stopped(name), now));
        } else if told.is_none() && deadline.is_some_and(|deadline| deadline <= now) {
            send(group, Signal::TERM);
            // One that was stopped, since it wanted to read from the terminal, sees it only then.
            send(group, Signal::CONT);
            told = Some(Told::new(CommandEnd::TimedOut, now));
        }
        let mut until = deadline;
        if let Some(told) = &mut told {
            if told.kill_at <= now {
                // The disk or the network that it waits for does not let it go.
                if told.is_killed {
                    break None;
                }
                told.kill(group);
            }
            until = Some(told.kill_at);
        }
        let left = until.map_or(LOOK_EVERY, |until| until.saturating_duration_since(now));
        watch.wait(left.min(LOOK_EVERY));
    };
    let Some(mut told) = told else {
        // `None` only comes from one that was told to end.
        return exited
            .map(CommandEnd::Exited)
            .ok_or_else(|| io::ErrorKind::TimedOut.into());
    };
    if exited.is_some() {
        end_rest(group, &mut told);
    }
    Ok(match exited {
        Some(status) if status.success() => CommandEnd::Exited(status),
        _ => told.why,
    })
}

/// A group that was told to end.
struct Told {
    why: CommandEnd,
    kill_at: Instant,
    is_killed: bool,
}

impl Told {
    fn new(why: CommandEnd, now: Instant) -> Self {
        Self {
            why,
            kill_at: now + GRACE,
            is_killed: false,
        }
    }

    fn kill(&mut self, group: Pid) {
        send(group, Signal::KILL);
        self.is_killed = true;
        self.kill_at += GRACE;
    }
}

/// Waits for what the command started and left behind, and kills it in the end.
fn end_rest(group: Pid, told: &mut Told) {
    while test_kill_process_group(group).is_ok() {
        if told.kill_at <= Instant::now() {
            if told.is_killed {
                return;
            }
            told.kill(group);
        }
        std::thread::sleep(LOOK_AT_GROUP_EVERY);
    }
}

/// Sends a signal to a group. It may have ended meanwhile, or be another user's.
fn send(group: Pid, signal: Signal) {
    let _ = kill_process_group(group, signal);
}
