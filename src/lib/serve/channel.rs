//! The connection between the two processes of a server: whole messages, each with a head, octets, and perhaps open
//! files.
//!
//! It is a pair of sockets of type SEQPACKET, which keeps the bounds of messages and passes files (unix(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair, sockopt,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most octets that go in a message itself. More go in a file.
pub const MAX_INLINE: usize = 64 * 1024;

/// The most files in a message.
pub const MAX_FILES: usize = 16;

/// The longest message: head, octets and the length of the head.
const MAX_LEN: usize = MAX_INLINE + 64 * 1024;

/// One end of the connection. Several threads may send at once; one receives.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
}

/// A message that came.
#[derive(Debug)]
pub struct ReceivedMessage<T> {
    /// What it is.
    pub head: T,
    /// Its octets.
    pub body: Vec<u8>,
    /// Its open files.
    pub files: Vec<OwnedFd>,
}

impl Channel {
    /// Both ends.
    ///
    /// # Errors
    /// When the system has no more sockets.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self::of(one)?, Self::of(other)?))
    }

    /// The end that is this socket.
    ///
    /// # Errors
    /// When it is not such a socket.
    pub fn of(socket: OwnedFd) -> io::Result<Self> {
        if sockopt::socket_type(&socket)? != SocketType::SEQPACKET {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // Room for a few messages; the system may grant less.
        let _ = sockopt::set_socket_send_buffer_size(&socket, 4 * MAX_LEN);
        Ok(Self { socket })
    }

    /// The socket, for the process that is to have it.
    #[must_use]
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Sends a message. Waits while the other end is behind.
    ///
    /// # Errors
    /// When the other end is gone, or the message is too long.
    pub fn send<T: Serialize>(
        &self,
        head: &T,
        body: &[u8],
        files: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let head = postcard::to_stdvec(head).map_err(io::Error::other)?;
        let len = u32::try_from(head.len()).map_err(io::Error::other)?;
        if head.len() + body.len() + 4 > MAX_LEN || files.len() > MAX_FILES {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let len = len.to_le_bytes();
        let parts = [IoSlice::new(&len), IoSlice::new(&head), IoSlice::new(body)];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(files));
        }
        loop {
            // Without SIGPIPE: the error says as much.
            match sendmsg(&self.socket, &parts, &mut ancillary, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                sent => return sent.map(drop).map_err(io::Error::from),
            }
        }
    }

    /// Waits until a message or the end can be received, at most so long. Returns whether it can.
    ///
    /// # Errors
    /// When the system cannot wait.
    pub fn wait(&self, most: Duration) -> io::Result<bool> {
        let timeout = Timespec {
            tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: most.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => Ok(false),
            ready => Ok(ready? > 0),
        }
    }

    /// Receives a message; `None` once the other end is gone. `buffer` is reused.
    ///
    /// # Errors
    /// When what comes is no message.
    pub fn receive<T: DeserializeOwned>(
        &self,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Option<ReceivedMessage<T>>> {
        buffer.resize(MAX_LEN, 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut parts = [IoSliceMut::new(buffer)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            match recvmsg(self.socket.as_fd(), &mut parts, &mut ancillary, flags) {
                Err(rustix::io::Errno::INTR) => {}
                // The other process was killed while messages of ours waited for it.
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                received => break received?,
            }
        };
        let mut files = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(passed) = message {
                files.extend(passed);
            }
        }
        if received.bytes == 0 {
            return Ok(None);
        }
        let wrong = || io::Error::from(io::ErrorKind::InvalidData);
        if received.flags.contains(ReturnFlags::TRUNC) {
            return Err(wrong());
        }
        let octets = &buffer[..received.bytes];
        let (len, rest) = octets.split_first_chunk::<4>().ok_or_else(wrong)?;
        let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| wrong())?;
        let (head, body) = rest.split_at_checked(len).ok_or_else(wrong)?;
        Ok(Some(ReceivedMessage {
            head: postcard::from_bytes(head).map_err(|_| wrong())?,
            body: body.to_vec(),
            files,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Seek as _, Write as _};

    use super::*;

    #[test]
    fn messages_come_whole_and_in_order_with_their_files() {
        let (one, other) = Channel::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"in a file").unwrap();
        file.rewind().unwrap();
        one.send(&(7_u64, "head"), &vec![9; MAX_INLINE], &[file.as_fd()])
            .unwrap();
        one.send(&(8_u64, ""), b"", &[]).unwrap();
        let mut buffer = Vec::new();
        let first: ReceivedMessage<(u64, String)> = other.receive(&mut buffer).unwrap().unwrap();
        assert_eq!(first.head, (7, "head".to_owned()));
        assert_eq!(first.body, vec![9; MAX_INLINE]);
        let mut text = String::new();
        let mut passed = first.files.into_iter().map(File::from);
        passed.next().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "in a file");
        assert!(passed.next().is_none());
        let second: ReceivedMessage<(u64, String)> = other.receive(&mut buffer).unwrap().unwrap();
        assert_eq!((second.head.0, second.body.len()), (8, 0));
        assert!(!other.wait(Duration::ZERO).unwrap());
        drop(one);
        assert!(other.wait(Duration::from_secs(9)).unwrap());
        assert!(
            other
                .receive::<(u64, String)>(&mut buffer)
                .unwrap()
                .is_none()
        );
        assert!(other.send(&1_u8, b"", &[]).is_err());
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let (one, other) = Channel::pair().unwrap();
        assert!(one.send(&0_u8, &vec![0; MAX_LEN], &[]).is_err());
        let socket = one.into_socket();
        let mut buffer = Vec::new();
        for octets in [
            &b"\xff"[..],
            &[0xff, 0xff, 0xff, 0xff, 1],
            &[9, 0, 0, 0, 1],
            &[1, 0, 0, 0],
        ] {
            rustix::net::send(&socket, octets, SendFlags::empty()).unwrap();
            assert!(
                other.receive::<(u64, String)>(&mut buffer).is_err(),
                "{octets:?}"
            );
        }
        let (stream, _) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(Channel::of(stream.into()).is_err());
    }
}
