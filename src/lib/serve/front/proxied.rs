//! The header by which a proxy says whose connection it passes on (PROXY protocol, version 2).

use std::io;
use std::net::IpAddr;

use ppp::v2::{Addresses, Header};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The part of a header that has a fixed length, in octets; its last two are the length of the rest.
const FIXED: usize = 16;

/// The longest rest. Addresses take at most 36 octets, what else stands there is ignored.
const MAX_REST: usize = 2048;

/// Reads the header, and returns the address of the client; `None` for a connection of the proxy's own, with which it
/// sees that the server is well.
///
/// # Errors
/// When there is no such header.
pub(super) async fn client_of<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<IpAddr>> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    let mut header = vec![0; FIXED];
    stream.read_exact(&mut header).await?;
    let rest = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if rest > MAX_REST {
        return Err(wrong());
    }
    header.resize(FIXED + rest, 0);
    stream.read_exact(&mut header[FIXED..]).await?;
    let header = Header::try_from(header.as_slice()).map_err(|_| wrong())?;
    Ok(match header.addresses {
        Addresses::IPv4(it) => Some(it.source_address.into()),
        Addresses::IPv6(it) => Some(it.source_address.into()),
        Addresses::Unspecified | Addresses::Unix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use ppp::v2::{Builder, Command, IPv4, Protocol, Version};

    use super::*;

    fn read(mut octets: &[u8]) -> io::Result<Option<IpAddr>> {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(client_of(&mut octets))
    }

    #[test]
    fn a_proxy_names_its_client() {
        let addresses = IPv4::new([192, 0, 2, 7], [127, 0, 0, 1], 40_000, 443);
        let header = |command: Command| {
            Builder::with_addresses(Version::Two | command, Protocol::Stream, addresses)
                .write_payload(&[3_u8; 40][..])
                .and_then(Builder::build)
                .unwrap()
        };
        let proxied = header(Command::Proxy);
        assert_eq!(read(&proxied).unwrap(), Some("192.0.2.7".parse().unwrap()));
        for len in 0..proxied.len() {
            assert!(read(&proxied[..len]).is_err(), "{len}");
        }
        for wrong in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            &[0; 64],
            &[0xff; 4096],
        ] {
            assert!(read(wrong).is_err());
        }
    }
}
