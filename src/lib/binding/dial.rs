//! A connection of TCP to the first of several addresses that answers (RFC 8305).

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::pace::PaceFailure;
use super::paced_socket::Cutoff;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// The time after which the next address is tried while one has not answered (RFC 8305 §5).
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// The time until a deadline.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] when it has passed.
pub(super) fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    // A time-out of zero would mean none.
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// Addresses of both families in turn, beginning with that of the first: where one family leads nowhere, the next
/// address tried is of the other.
pub(super) fn families_in_turn(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let Some(first) = addresses.first() else {
        return Vec::new();
    };
    let (one, other): (Vec<IpAddr>, Vec<IpAddr>) = addresses
        .iter()
        .partition(|address| address.is_ipv4() == first.is_ipv4());
    let longest = one.len().max(other.len());
    (0..longest)
        .flat_map(|index| [one.get(index), other.get(index)])
        .flatten()
        .copied()
        .collect()
}

/// How long a wait lasts before it is looked whether the run is to end.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Connects to the first address that answers; the socket does not block. The next one is tried when one fails, or
/// after 250 ms.
///
/// # Errors
/// Why the last address was not reached.
pub(super) fn dial(
    targets: &[SocketAddr],
    deadline: Instant,
    cutoff: &Cutoff,
) -> io::Result<TcpStream> {
    let mut targets = targets.iter();
    let mut waiting: Vec<OwnedFd> = Vec::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut next_at = Instant::now();
    loop {
        let now = Instant::now();
        if now >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if cutoff.is_cut() {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                PaceFailure::Cut,
            ));
        }
        if waiting.is_empty() || now >= next_at {
            match targets.next().map(|target| start(*target)) {
                Some(Ok(Started::Connected(socket))) => return ready(socket),
                Some(Ok(Started::Waiting(socket))) => {
                    waiting.push(socket);
                    next_at = now + NEXT_AFTER;
                }
                Some(Err(cause)) => {
                    last = cause;
                    continue;
                }
                None if waiting.is_empty() => return Err(last),
                None => next_at = deadline,
            }
        }
        let until = next_at.min(deadline).min(now + LOOK_EVERY);
        for index in answered(&waiting, until)?.into_iter().rev() {
            let socket = waiting.swap_remove(index);
            match sockopt::socket_error(&socket)? {
                Ok(()) => return ready(socket),
                Err(cause) => last = cause.into(),
            }
            next_at = Instant::now();
        }
    }
}

enum Started {
    Connected(OwnedFd),
    Waiting(OwnedFd),
}

fn start(target: SocketAddr) -> io::Result<Started> {
    let family = if target.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &target) {
        Ok(()) => Ok(Started::Connected(socket)),
        Err(rustix::io::Errno::INPROGRESS) => Ok(Started::Waiting(socket)),
        Err(cause) => Err(cause.into()),
    }
}

/// The indexes of sockets that are connected or failed, after waiting until a time at most.
fn answered(sockets: &[OwnedFd], until: Instant) -> io::Result<Vec<usize>> {
    let left = until.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut polled: Vec<PollFd<'_>> = sockets
        .iter()
        .map(|socket| PollFd::new(socket, PollFlags::OUT))
        .collect();
    match poll(&mut polled, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(cause) => return Err(cause.into()),
    }
    let answered = polled.iter().enumerate();
    let answered = answered.filter(|(_, polled)| !polled.revents().is_empty());
    Ok(answered.map(|(index, _)| index).collect())
}

fn ready(socket: OwnedFd) -> io::Result<TcpStream> {
    let socket = TcpStream::from(socket);
    // A request is written at once, and its answer is waited for.
    socket.set_nodelay(true)?;
    Ok(socket)
}
