//! The servers of a service are tried in turn until one is reached.

use super::{Error, Server};

/// What `ask` gives for the first server that is reached. Only where there was no connection, another server may do
/// better: any other result is that of the service, a failure too. An error of `E` is of this node, and ends the walk.
///
/// # Errors
/// Within the result, why the last server was not reached, or [`Error::NoServer`] with `service` when the list is
/// empty.
pub fn first_reached<T, E>(
    servers: &[Server],
    service: &str,
    mut ask: impl FnMut(&Server) -> Result<Result<T, Error>, E>,
) -> Result<Result<T, Error>, E> {
    let mut failed = None;
    for server in servers {
        match ask(server)? {
            Err(error) if error.is_of_connection() => failed = Some(error),
            asked => return Ok(asked),
        }
    }
    Ok(Err(
        failed.unwrap_or_else(|| Error::NoServer(service.to_owned()))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_reached(server: &Server) -> Error {
        Error::NoConnection {
            server: server.to_string(),
            cause: std::io::ErrorKind::ConnectionRefused.into(),
        }
    }

    fn asked(results: &[Result<u8, ()>]) -> (String, u16) {
        let servers: Vec<Server> = (1..).take(results.len()).map(Server::local).collect();
        let mut asked = 0;
        let found = first_reached(&servers, "a.example.org", |server| {
            asked = server.port;
            match results[usize::from(server.port) - 1] {
                Ok(0) => Err("this node"),
                Ok(1) => Ok(Err(Error::NoAddress(server.to_string()))),
                Ok(value) => Ok(Ok(value)),
                Err(()) => Ok(Err(not_reached(server))),
            }
        });
        let found = match found {
            Err(error) => error.to_owned(),
            Ok(Err(error)) => error.to_string(),
            Ok(Ok(value)) => value.to_string(),
        };
        (found, asked)
    }

    #[test]
    fn the_next_server_is_asked_only_where_there_is_no_connection() {
        let at = |text: &str, port| (text.to_owned(), port);
        assert_eq!(asked(&[Err(()), Ok(7), Ok(8)]), at("7", 2));
        assert_eq!(
            asked(&[Ok(1), Ok(7)]),
            at("127.0.0.1:1 has no Internet address", 1)
        );
        assert_eq!(asked(&[Err(()), Ok(0), Ok(7)]), at("this node", 2));
        let none = asked(&[]).0;
        assert!(none.starts_with("a.example.org is neither"), "{none}");
        let (last, port) = asked(&[Err(()), Err(())]);
        assert!(
            last.starts_with("127.0.0.1:2: no connection") && port == 2,
            "{last}"
        );
    }
}
