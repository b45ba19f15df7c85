//! Where a redirect leads (RFC 9110 §10.2.2): to https alone, and to no server that is believed without a certificate.

use super::Error;
use super::excerpt::excerpt;
use super::server::{CertificateRule, Server};

/// The most redirects that are followed for one message (RS-007).
pub const MAX_REDIRECTS: usize = 3;

/// The longest path that is followed, in octets.
const MAX_PATH: usize = 2048;

/// The server and the path that `location` means in an answer to a request for `path` at `server`.
///
/// A pin and a self-signed certificate count for the server that the operator named, so another one needs a public
/// certificate. Its addresses are to be looked up and judged like those of any server.
///
/// # Errors
/// [`Error::Protocol`] when it is malformed or does not lead to https.
pub fn target(server: &Server, path: &str, location: &str) -> Result<(Server, String), Error> {
    let refused = |why: &str| Error::Protocol {
        server: server.to_string(),
        problem: format!("redirected to {}, {why}", excerpt(location.as_bytes())),
    };
    let malformed = || refused("which is malformed");
    let reference = location.trim().split('#').next().unwrap_or_default();
    let is_plain = reference.bytes().all(|octet| octet.is_ascii_graphic());
    if !is_plain || reference.len() > MAX_PATH {
        return Err(malformed());
    }
    let is_plaintext = server.certificate == CertificateRule::Plaintext;
    let after_scheme = match scheme(reference) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => Some(rest),
        Some(_) => return Err(refused("which is not https")),
        None if reference.starts_with("//") && is_plaintext => {
            return Err(refused("which is not https"));
        }
        None if reference.starts_with("//") => Some(reference),
        None => None,
    };
    let Some(rest) = after_scheme else {
        return Ok((server.clone(), resolve(path, reference)));
    };
    let rest = rest.strip_prefix("//").ok_or_else(malformed)?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, reference) = rest.split_at(end);
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.ends_with(']'));
    let authority = if has_port {
        authority.to_owned()
    } else {
        format!("{authority}:443")
    };
    let mut other = Server::named_by_operator(&authority, None).map_err(|_| malformed())?;
    let is_same = other.host == server.host && other.port == server.port && !is_plaintext;
    other.certificate = if is_same {
        server.certificate
    } else {
        CertificateRule::Public
    };
    Ok((other, resolve("/", reference)))
}

/// The scheme of a reference, if it has one, and what follows the colon.
fn scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet));
    is_scheme.then_some((scheme, rest))
}

/// A path, from another one (RFC 3986 §5.2).
fn resolve(base: &str, reference: &str) -> String {
    let without_query = base.split('?').next().unwrap_or_default();
    if reference.is_empty() {
        return base.to_owned();
    }
    if reference.starts_with('?') {
        return format!("{without_query}{reference}");
    }
    let whole = if reference.starts_with('/') {
        reference.to_owned()
    } else {
        let directory = without_query
            .rfind('/')
            .map_or("/", |slash| &without_query[..=slash]);
        format!("{directory}{reference}")
    };
    let (path, query) = whole.split_at(whole.find('?').unwrap_or(whole.len()));
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match part {
            "." if is_last => segments.push(""),
            "." => {}
            ".." => {
                segments.pop();
                if is_last {
                    segments.push("");
                }
            }
            part => segments.push(part),
        }
    }
    format!("/{}{query}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(location: &str) -> Result<(Server, String), Error> {
        let server = Server::named_by_operator("gw.example.org:8443", Some([7; 32])).unwrap();
        target(&server, "/a/b?c", location)
    }

    #[test]
    fn a_redirect_leads_to_another_path_or_server() {
        for (location, expected) in [
            ("https://other.example.org", "other.example.org:443 /"),
            (
                "HTTPS://Other.Example.org:444/x?y#z",
                "other.example.org:444 /x?y",
            ),
            ("https://other.example.org?y", "other.example.org:443 /?y"),
            ("https://[2001:db8::1]/", "[2001:db8::1]:443 /"),
            ("https://[2001:db8::1]:9/", "[2001:db8::1]:9 /"),
            ("//other.example.org/x", "other.example.org:443 /x"),
            ("/x", "gw.example.org:8443 /x"),
            ("/x:y", "gw.example.org:8443 /x:y"),
            ("d", "gw.example.org:8443 /a/d"),
            ("./d/", "gw.example.org:8443 /a/d/"),
            ("../../d?../e", "gw.example.org:8443 /d?../e"),
            ("..", "gw.example.org:8443 /"),
            ("?d", "gw.example.org:8443 /a/b?d"),
            ("", "gw.example.org:8443 /a/b?c"),
            ("#top", "gw.example.org:8443 /a/b?c"),
        ] {
            let (server, path) = followed(location).unwrap();
            assert_eq!(format!("{server} {path}"), expected, "{location}");
        }
    }

    #[test]
    fn a_rule_for_a_certificate_counts_for_its_server_alone() {
        let rule = |location: &str| followed(location).unwrap().0.certificate;
        let pin = CertificateRule::Pin([7; 32]);
        assert_eq!(rule("/x"), pin);
        assert_eq!(rule("https://gw.example.org:8443/x"), pin);
        for other in [
            "https://gw.example.org/",
            "https://10.0.0.1/",
            "https://127.0.0.1:8443/",
        ] {
            assert_eq!(rule(other), CertificateRule::Public, "{other}");
        }
        let local = Server::local(13276);
        assert_eq!(target(&local, "/", "/v1").unwrap().0, local);
        let (server, _) = target(&local, "/", "https://127.0.0.1:13276/").unwrap();
        assert_eq!(server.certificate, CertificateRule::Public);
        assert!(target(&local, "/", "//127.0.0.1:13276/").is_err());
    }

    #[test]
    fn a_redirect_leads_to_https_alone() {
        for (location, why) in [
            ("http://gw.example.org/", "not https"),
            ("ftp://a.org/", "not https"),
            ("javascript:alert(1)", "not https"),
            ("https:", "malformed"),
            ("https:///x", "malformed"),
            ("https://user:secret@a.org/", "malformed"),
            ("https://a.org:0/", "malformed"),
            ("https://a.org:http/", "malformed"),
            ("/a b", "malformed"),
            ("/\u{7f}", "malformed"),
            ("/é", "malformed"),
        ] {
            let error = followed(location).unwrap_err();
            assert!(error.to_string().ends_with(why), "{location}: {error}");
            assert_eq!(error.kind(), crate::kind::ErrorKind::Protocol);
        }
        assert!(followed(&format!("/{}", "x".repeat(MAX_PATH))).is_err());
    }
}
