//! The sockets that a server accepts connections from.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use listenfd::ListenFd;
use rustix::net::{AddressFamily, SocketType, ipproto, sockopt};

use super::errors::Usage;
use crate::disk::{FileRole, files};
use crate::serve::Error;
use crate::serve::channel::MAX_FILES;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Where to listen: `ADDRESS:PORT`, or the path of a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address of this machine and a port.
    Net(SocketAddr),
    /// A path with a slash in it.
    Unix(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return Ok(Self::Unix(PathBuf::from(text)));
        }
        let address = text.parse();
        address.map(Self::Net).map_err(|_| {
            "not ADDRESS:PORT, such as 0.0.0.0:443 or [::]:443, nor a path with a slash".to_owned()
        })
    }
}

impl ListenAddress {
    /// Whether only this machine reaches it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Net(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Begins to listen.
    ///
    /// # Errors
    /// [`Error::Listen`] when the address is taken or not allowed.
    fn listen(&self) -> Result<OwnedFd, Error> {
        let failed = |cause| Error::Listen {
            address: match self {
                Self::Net(address) => address.to_string(),
                Self::Unix(path) => path.display().to_string(),
            },
            cause,
        };
        match self {
            Self::Net(address) => listen_on(*address).map_err(failed),
            Self::Unix(path) => {
                let socket = remove_abandoned(path).and_then(|()| UnixListener::bind(path));
                socket.map(OwnedFd::from).map_err(failed)
            }
        }
    }
}

fn listen_on(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = rustix::net::socket_with(
        family,
        SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        Some(ipproto::TCP),
    )?;
    // Connections of an earlier run may still wait for their end.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // [::] is every address of the machine, also those of IPv4.
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Removes the socket of a server that has ended.
fn remove_abandoned(path: &Path) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Ok(()); // bind(2) says that the name is taken
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            files::remove(path, FileRole::Output)
                .map(drop)
                .map_err(io::Error::other)
        }
        _ => Ok(()),
    }
}

/// The sockets of the service manager (`LISTEN_FDS`), else of these addresses. Returns also where they listen.
///
/// # Errors
/// When there are none or too many, one cannot be had, or one of the service manager is no socket that listens.
pub fn sockets(addresses: &[ListenAddress]) -> anyhow::Result<Vec<OwnedFd>> {
    let mut passed = ListenFd::from_env();
    let mut sockets = Vec::new();
    for at in 0..passed.len() {
        let socket: Option<OwnedFd> = match passed.take_tcp_listener(at) {
            Ok(socket) => socket.map(OwnedFd::from),
            Err(_) => passed.take_unix_listener(at)?.map(OwnedFd::from),
        };
        sockets.extend(socket);
    }
    if sockets.is_empty() {
        for address in addresses {
            sockets.push(address.listen()?);
        }
    }
    if sockets.is_empty() || sockets.len() > MAX_FILES {
        let text = format!("a server listens on 1 to {MAX_FILES} sockets");
        return Err(Usage(text).into());
    }
    Ok(sockets)
}

/// Whether only this machine reaches a socket.
///
/// # Errors
/// When it has no address.
pub fn is_local(socket: &OwnedFd) -> io::Result<bool> {
    if sockopt::socket_domain(socket.as_fd())? == AddressFamily::UNIX {
        return Ok(true);
    }
    let address = SocketAddr::try_from(rustix::net::getsockname(socket)?)?;
    Ok(address.ip().to_canonical().is_loopback())
}

/// Where a socket listens, for a report.
#[must_use]
pub fn label(socket: &OwnedFd) -> String {
    let address = rustix::net::getsockname(socket).ok();
    match address.and_then(|address| SocketAddr::try_from(address).ok()) {
        Some(address) => address.to_string(),
        None => "a Unix socket".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_or_is_a_path() {
        for (text, is_local) in [
            ("127.0.0.1:13276", true),
            ("[::1]:443", true),
            ("0.0.0.0:443", false),
            ("[::]:443", false),
            ("./socket", true),
            ("/run/relay.sock", true),
        ] {
            assert_eq!(
                text.parse::<ListenAddress>().unwrap().is_local(),
                is_local,
                "{text}"
            );
        }
        for wrong in [
            "",
            "443",
            "localhost:443",
            "127.0.0.1",
            "127.0.0.1:65536",
            "socket",
        ] {
            assert!(wrong.parse::<ListenAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_abandoned_socket_is_replaced_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let address: ListenAddress = path.to_str().unwrap().parse().unwrap();
        let first = address.listen().unwrap();
        assert!(is_local(&first).unwrap());
        assert!(
            matches!(address.listen(), Err(Error::Listen { .. })),
            "it is used"
        );
        drop(first);
        drop(address.listen().unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        assert!(matches!(address.listen(), Err(Error::Listen { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
