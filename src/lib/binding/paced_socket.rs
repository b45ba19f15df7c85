//! A socket on which messages keep their pace, and which can be given up from outside.

use std::fs;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::pace::{Pace, PaceFailure};

/// How long a wait lasts before it is looked whether the run is to end.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Octets that may come before one of them is of use to the reader: the largest record of TLS, and what goes with it.
///
/// Those beyond win no time: a server could send empty records for ever.
pub(super) const MAX_UNUSED: u64 = 64 << 10;

/// Ends all connections that were made with it, once a run is to end and does not wait for answers any more.
#[derive(Debug, Clone, Default)]
pub struct Cutoff(Arc<AtomicBool>);

impl Cutoff {
    /// Ends the connections, and lets none be made any more.
    pub fn cut(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether they are to end.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A socket that does not block. Reading and writing wait as long as the message under way keeps its pace: then they fail
/// with a [`PaceFailure`].
#[derive(Debug)]
pub(super) struct PacedSocket {
    pub(super) socket: TcpStream,
    pace: Pace,
    cutoff: Cutoff,
    /// When a read fails with [`io::ErrorKind::WouldBlock`], whatever comes.
    read_until: Option<Instant>,
    /// Octets that came since one was of use.
    unused: u64,
    /// At most so many octets were written and are not acknowledged by the peer's system.
    unacknowledged: u64,
}

impl PacedSocket {
    /// A socket in non-blocking mode.
    pub(super) fn new(socket: TcpStream, pace: Pace, cutoff: Cutoff) -> Self {
        Self {
            socket,
            pace,
            cutoff,
            read_until: None,
            unused: 0,
            unacknowledged: 0,
        }
    }

    /// A message begins, of this pace.
    pub(super) fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
        self.unused = 0;
    }

    /// A message begins.
    pub(super) fn begin(&mut self, silence: Duration) {
        self.pace.begin(silence, Instant::now());
        self.unused = 0;
    }

    /// Sets how long reads may take from now on, all together, whatever comes.
    pub(super) fn read_within(&mut self, wait: Duration) {
        self.read_until = Some(Instant::now() + wait);
    }

    /// Notes that what came was of use.
    pub(super) fn note_use(&mut self) {
        self.unused = 0;
    }

    /// Waits until the socket is ready, a moment at most.
    fn wait(&mut self, flags: PollFlags) -> io::Result<()> {
        let now = Instant::now();
        let mut left = match self.pace.left(now) {
            Ok(left) => left,
            Err(failure) => self.left_for_the_peer(failure, now)?,
        };
        if let (true, Some(until)) = (flags == PollFlags::IN, self.read_until) {
            left = left.min(until.saturating_duration_since(now));
        }
        let left = left.min(LOOK_EVERY);
        let timeout = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&self.socket, flags)], Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(cause) => Err(cause.into()),
        }
    }

    /// The time that is left because the peer still takes what was written: the system takes some hundred thousand octets
    /// at once, for which a slow line needs minutes.
    fn left_for_the_peer(&mut self, failure: PaceFailure, now: Instant) -> io::Result<Duration> {
        let failed = |failure| io::Error::new(io::ErrorKind::TimedOut, failure);
        let unacknowledged = match octets_to_acknowledge(&self.socket) {
            Some(octets) if octets > 0 => octets,
            _ => return Err(failed(failure)),
        };
        let taken = self.unacknowledged.saturating_sub(unacknowledged);
        self.unacknowledged = unacknowledged;
        if taken == 0 {
            return Err(failed(failure));
        }
        self.pace.add(taken, now);
        self.pace.left(now).map_err(|_| failed(failure))
    }

    fn check_cut(&self) -> io::Result<()> {
        if self.cutoff.is_cut() {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                PaceFailure::Cut,
            ));
        }
        Ok(())
    }

    fn write_by(
        &mut self,
        write: impl Fn(&mut TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            self.check_cut()?;
            match write(&mut self.socket) {
                Ok(written) => {
                    self.unacknowledged += written as u64;
                    self.pace.add(written as u64, Instant::now());
                    return Ok(written);
                }
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::OUT)?;
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
    }
}

impl Read for PacedSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.check_cut()?;
            if self.read_until.is_some_and(|until| Instant::now() >= until) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            // What is there is taken, even if it is late: this side may have been busy.
            match self.socket.read(buffer) {
                Ok(read) => {
                    self.unused = self.unused.saturating_add(read as u64);
                    if self.unused <= MAX_UNUSED {
                        self.pace.add(read as u64, Instant::now());
                    }
                    return Ok(read);
                }
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::IN)?;
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
    }
}

impl Write for PacedSocket {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.write_by(|socket| socket.write(octets))
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_by(|socket| socket.write_vectored(parts))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // a socket keeps nothing back
    }
}

/// How many octets were written to a socket that the peer's system has not acknowledged, where this system says so
/// (`/proc/net/tcp`). The call for it, TIOCOUTQ, is in no safe interface.
pub(super) fn octets_to_acknowledge(socket: &TcpStream) -> Option<u64> {
    let inode = rustix::fs::fstat(socket).ok()?.st_ino.to_string();
    ["tcp", "tcp6"].into_iter().find_map(|table| {
        let table = fs::read_to_string(format!("/proc/thread-self/net/{table}")).ok()?;
        table.lines().find_map(|line| {
            // sl, local address, remote address, state, tx_queue:rx_queue, timer, retransmits, user, timeout, inode
            let fields: Vec<&str> = line.split_ascii_whitespace().take(10).collect();
            let [_, _, _, _, queues, .., found] = fields[..] else {
                return None;
            };
            let (sent, _) = queues.split_once(':')?;
            (found == inode).then(|| u64::from_str_radix(sent, 16).ok())?
        })
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A socket with these limits, and its peer.
    fn pair(silence: Duration, rate: u64) -> (PacedSocket, TcpStream, Cutoff) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let cutoff = Cutoff::default();
        let pace = Pace::new(silence, rate, Instant::now());
        let (peer, _) = listener.accept().unwrap();
        (PacedSocket::new(socket, pace, cutoff.clone()), peer, cutoff)
    }

    fn failure(error: &io::Error) -> PaceFailure {
        *error.get_ref().unwrap().downcast_ref().unwrap()
    }

    #[test]
    fn a_peer_that_trickles_is_given_up_whichever_side_writes() {
        let silence = Duration::from_millis(200);
        for is_read in [true, false] {
            let (mut socket, mut peer, stops) = pair(silence, 1 << 40);
            let stopped = stops.clone();
            let trickles = std::thread::spawn(move || {
                while !stopped.is_cut() {
                    std::thread::sleep(Duration::from_millis(20));
                    let moved = if is_read {
                        peer.write(&[0])
                    } else {
                        peer.read(&mut [0])
                    };
                    if !matches!(moved, Ok(1)) {
                        return;
                    }
                }
            });
            let error = loop {
                let moved = if is_read {
                    socket.read(&mut [0])
                } else {
                    socket.write(&[0; 1 << 14])
                };
                if let Err(error) = moved {
                    break error;
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error:?}");
            assert_ne!(failure(&error), PaceFailure::Cut);
            stops.cut();
            trickles.join().unwrap();
        }
    }

    #[test]
    fn what_the_system_holds_for_a_slow_peer_is_seen() {
        let (mut socket, mut peer, _) = pair(Duration::from_millis(50), 1);
        while socket.socket.write(&[7; 1 << 14]).is_ok() {}
        let held = octets_to_acknowledge(&socket.socket).unwrap();
        assert!(held > 0);
        let mut octets = vec![0; 1 << 20];
        while octets_to_acknowledge(&socket.socket) == Some(held) {
            assert!(peer.read(&mut octets).unwrap() > 0);
        }
        // The peer took some of what the system held: the answer is waited for longer.
        socket.unacknowledged = held;
        let now = Instant::now();
        let silent = PaceFailure::Silent(Duration::ZERO);
        let left = socket.left_for_the_peer(silent, now + Duration::from_secs(1));
        match octets_to_acknowledge(&socket.socket) {
            // It has taken everything meanwhile.
            Some(0) => {}
            _ => assert!(left.is_ok(), "{left:?}"),
        }
        // And when it takes no more, no longer.
        let mut later = now + Duration::from_secs(9);
        while socket.left_for_the_peer(silent, later).is_ok() {
            later += Duration::from_secs(1);
        }
    }

    #[test]
    fn reads_end_when_they_are_to() {
        let (mut socket, mut peer, cutoff) = pair(Duration::from_secs(60), 1);
        socket.read_within(Duration::from_millis(20));
        let error = socket.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        peer.write_all(b"x").unwrap();
        socket.read_within(Duration::from_secs(60));
        assert_eq!(socket.read(&mut [0]).unwrap(), 1);
        let cutting = std::thread::spawn(move || cutoff.cut());
        let error = socket.read(&mut [0]).unwrap_err();
        assert_eq!(failure(&error), PaceFailure::Cut);
        let error = socket.write(&[0]).unwrap_err();
        assert_eq!(failure(&error), PaceFailure::Cut);
        cutting.join().unwrap();
    }
}
