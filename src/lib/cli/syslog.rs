//! Syslog: datagrams to a local socket, `<priority>program[pid]: text` (RFC 3164 §4.1, without
//! timestamp and host name, which the receiver adds).

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// Facility "user-level messages" (RFC 5424 §6.2.1), for programs that users and cron start.
const USER: u8 = 1;

/// Severities (RFC 5424 §6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// Something failed.
    Error = 3,
    /// An unexpected condition.
    Warning = 4,
    /// A change of state.
    Info = 6,
}

/// A connection to syslog.
#[derive(Debug)]
pub(super) struct Syslog {
    socket: UnixDatagram,
    tag: String,
}

impl Syslog {
    /// Connects to the socket of syslog.
    ///
    /// # Errors
    /// When nothing listens there.
    pub(super) fn open(path: &Path, program: &str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Self {
            socket,
            tag: format!("{program}[{}]", std::process::id()),
        })
    }

    /// Sends a line. A failure is ignored: the work is more important than its log.
    pub(super) fn send(&self, severity: Severity, text: &str) {
        // RFC 5424 §6.2.1: facility times 8, plus severity.
        let priority = USER << 3 | severity as u8;
        let line = format!("<{priority}>{}: {text}", self.tag);
        let _ = self.socket.send(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_with_their_priority() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert!(Syslog::open(&path, "relay-put").is_err());
        let log = UnixDatagram::bind(&path).unwrap();
        let syslog = Syslog::open(&path, "relay-put").unwrap();
        syslog.send(Severity::Info, "event=put");
        let mut octets = [0; 100];
        let len = log.recv(&mut octets).unwrap();
        let expected = format!("<14>relay-put[{}]: event=put", std::process::id());
        assert_eq!(std::str::from_utf8(&octets[..len]), Ok(expected.as_str()));
    }
}
