//! Asking resolvers by DNS over HTTPS (RFC 8484), without sockets: how octets are exchanged is an argument.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::Service;
use super::dns::{self, AnswerProblem, Family, Question, SrvAnswer};
use crate::binding::{CertificateRule, Error, Host, Server};
use crate::kind::ErrorKind;
use crate::ramf::InternetAddress;

/// The media type of questions and answers.
pub const MEDIA_TYPE: &str = "application/dns-message";

/// The port of HTTPS.
const HTTPS: u16 = 443;

/// A template names the parameter of GET at its end (RFC 8484 §4.1); a POST goes without.
const TEMPLATE: &str = "{?dns}";

/// Where a resolver is: `https://HOST[:PORT]/PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolverUrl {
    host: Host,
    port: u16,
    path: String,
}

impl ResolverUrl {
    /// Its server. The certificate must name the host, also of a private address: what it says of other hosts counts
    /// because it is known (RS-000 §Addressing).
    #[must_use]
    pub fn server(&self) -> Server {
        Server {
            host: self.host.clone(),
            port: self.port,
            certificate: CertificateRule::Public,
        }
    }

    /// The path that questions are sent to, from its slash on.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for ResolverUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let problem = |problem: &str| Error::Setting {
            what: text.escape_debug().to_string(),
            problem: problem.to_owned(),
        };
        let malformed = || problem("not the URL of a resolver: https://HOST/PATH");
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => {
                return Err(problem("a resolver is asked over https alone"));
            }
            _ => return Err(malformed()),
        };
        let at = rest.find('/').ok_or_else(malformed)?;
        let (authority, path) = rest.split_at(at);
        let path = path.strip_suffix(TEMPLATE).unwrap_or(path);
        let is_of_path = |octet: u8| octet.is_ascii_graphic() && !b"#{}\"<>\\^`|".contains(&octet);
        if !path.bytes().all(is_of_path) {
            return Err(malformed());
        }
        // The colons of an IPv6 address are in brackets.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let is_number = port.bytes().all(|octet| octet.is_ascii_digit());
                let port = port.parse().ok().filter(|port| is_number && *port > 0);
                (host, port.ok_or_else(malformed)?)
            }
            _ => (authority, HTTPS),
        };
        Ok(Self {
            host: host.parse().map_err(|()| malformed())?,
            port,
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for ResolverUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "https://{}", self.host)?;
        if self.port != HTTPS {
            write!(formatter, ":{}", self.port)?;
        }
        formatter.write_str(&self.path)
    }
}

/// Sends a DNS message to a resolver, and gives its answer.
pub type AskResolver<'a> = dyn Fn(&ResolverUrl, &[u8]) -> Result<Vec<u8>, Error> + 'a;

/// Resolvers that are asked in turn until one has an answer that counts.
pub struct Resolvers<'a> {
    /// Where they are, the first to be asked first.
    pub urls: &'a [ResolverUrl],
    /// How they are asked.
    pub exchange: &'a AskResolver<'a>,
}

impl Resolvers<'_> {
    /// The servers of a service at an address, or the proof that it has no server.
    ///
    /// # Errors
    /// [`Error::NoResolver`] without a resolver to ask, [`Error::Unresolved`] when no answer proves anything,
    /// or an error of the exchange that a person must look at.
    pub fn srv(&self, service: Service, address: &InternetAddress) -> Result<SrvAnswer, Error> {
        let Some(question) = Question::srv(service, address) else {
            return Ok(SrvAnswer::Absent);
        };
        let name = service.owner_name(address);
        self.ask(&name, &question, dns::srv_answer)
    }

    /// The addresses of a host: IPv6 and IPv4, in this order.
    ///
    /// # Errors
    /// As [`Resolvers::srv`]; [`Error::Unresolved`] also when the host has no address.
    pub fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let unresolved = |problem: &str| Error::Unresolved {
            name: host.to_owned(),
            problem: problem.to_owned(),
        };
        let (mut addresses, mut failure) = (Vec::new(), None);
        for family in [Family::V6, Family::V4] {
            let question = Question::addresses(host, family);
            let question = question.ok_or_else(|| unresolved("not a domain name"))?;
            // One kind is enough: many resolvers fail for the other where a zone is broken.
            match self.ask(host, &question, dns::address_answer) {
                Ok(found) => addresses.extend(found),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if addresses.is_empty() {
            return Err(failure.unwrap_or_else(|| unresolved("it has no address")));
        }
        Ok(addresses)
    }

    fn ask<T>(
        &self,
        name: &str,
        question: &Question,
        judge: impl Fn(&[u8], &Question) -> Result<T, AnswerProblem>,
    ) -> Result<T, Error> {
        let query = question.query();
        let mut failures = Vec::new();
        for url in self.urls {
            let unresolved = |problem: AnswerProblem| Error::Unresolved {
                name: url.to_string(),
                problem: problem.to_string(),
            };
            let answer = (self.exchange)(url, &query);
            match answer.and_then(|answer| judge(&answer, question).map_err(unresolved)) {
                Ok(found) => return Ok(found),
                Err(error) => failures.push((url, error)),
            }
        }
        // What only a person can change is said as it is, unless another resolver may answer the next time.
        let is_of_settings = |error: &Error| error.kind() == ErrorKind::Config;
        if failures.iter().all(|(_, error)| is_of_settings(error)) {
            let first = failures.into_iter().next().map(|(_, error)| error);
            return Err(first.unwrap_or_else(|| Error::NoResolver(name.to_owned())));
        }
        let problems: Vec<String> = failures
            .iter()
            .map(|(url, error)| match error {
                Error::Unresolved { problem, .. } => format!("{url}: {problem}"),
                error => error.to_string(),
            })
            .collect();
        Err(Error::Unresolved {
            name: name.to_owned(),
            problem: problems.join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::path::Path;

    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        let dns = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bindings/dns");
        std::fs::read(dns.join(name)).unwrap()
    }

    fn urls(texts: &[&str]) -> Vec<ResolverUrl> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn broken() -> Error {
        Error::Silent {
            server: "127.0.0.1:1".to_owned(),
            waited: std::time::Duration::from_secs(30),
        }
    }

    #[test]
    fn a_resolver_is_an_https_url() {
        for (text, server, shown) in [
            (
                "https://127.0.0.1/dns-query",
                "127.0.0.1:443",
                "https://127.0.0.1/dns-query",
            ),
            (
                "HTTPS://Dns.example.org:8443/",
                "dns.example.org:8443",
                "https://dns.example.org:8443/",
            ),
            ("https://[::1]:1/q{?dns}", "[::1]:1", "https://[::1]:1/q"),
            ("https://[::1]/q?a=b", "[::1]:443", "https://[::1]/q?a=b"),
            ("https://resolver/q", "resolver:443", "https://resolver/q"),
        ] {
            let url: ResolverUrl = text.parse().unwrap();
            assert_eq!(url.server().to_string(), server);
            assert_eq!(url.server().certificate, CertificateRule::Public);
            assert_eq!(url.to_string(), shown);
            assert_eq!(url.to_string().parse::<ResolverUrl>().unwrap(), url);
        }
        for bad in [
            "",
            "127.0.0.1",
            "http://127.0.0.1/q",
            "https://127.0.0.1",
            "https:///q",
            "https://a.org:0/q",
            "https://a.org:/q",
            "https://a.org:x/q",
            "https://u@a.org/q",
            "https://a.org/q#x",
            "https://a.org/q x",
            "https://a.org/{dns}",
            "https://a.org/\r\nX: y",
            "https://::1/q",
            "tls://127.0.0.1/q",
        ] {
            let error = bad.parse::<ResolverUrl>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
        }
    }

    #[test]
    fn resolvers_are_asked_in_turn_until_one_proves_something() {
        let address: InternetAddress = "gateway.alpha.example.org".parse().unwrap();
        let urls = urls(&[
            "https://127.0.0.1/a",
            "https://127.0.0.1/b",
            "https://127.0.0.1/c",
        ]);
        let asked = RefCell::new(Vec::new());
        let ask = |answers: [Option<&str>; 3]| {
            asked.borrow_mut().clear();
            let exchange = |url: &ResolverUrl, query: &[u8]| {
                assert_eq!(query, fixture("crc.query"));
                let at = usize::from(url.path().as_bytes()[1] - b'a');
                asked.borrow_mut().push(at);
                let name = answers[at].ok_or_else(broken)?;
                Ok(fixture(&format!("{name}.response")))
            };
            let resolvers = Resolvers {
                urls: &urls,
                exchange: &exchange,
            };
            resolvers.srv(Service::CargoRelay, &address)
        };
        let found = ask([Some("no-ad"), None, Some("good")]).unwrap();
        assert!(matches!(found, SrvAnswer::Records { .. }));
        assert_eq!(*asked.borrow(), [0, 1, 2]);
        // A proof that there is no such record is an answer.
        let none = ask([Some("servfail"), Some("nxdomain"), Some("good")]).unwrap();
        assert_eq!(none, SrvAnswer::Absent);
        assert_eq!(*asked.borrow(), [0, 1]);
        let error = ask([Some("nxdomain-no-ad"), None, Some("servfail")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert_eq!(
            error.to_string(),
            "_awala-crc._tcp.gateway.alpha.example.org was not resolved: https://127.0.0.1/a: the answer is not \
             validated by DNSSEC, 127.0.0.1:1: no answer for 30 s, https://127.0.0.1/c: the resolver says SERVFAIL"
        );
    }

    #[test]
    fn without_a_resolver_nothing_is_found() {
        let resolvers = Resolvers {
            urls: &[],
            exchange: &|_, _| panic!("nobody is asked"),
        };
        let address = "gw.example.org".parse().unwrap();
        let error = resolvers.srv(Service::GatewaySync, &address).unwrap_err();
        assert!(matches!(error, Error::NoResolver(_)), "{error}");
        let error = resolvers.addresses("gw.example.org").unwrap_err();
        assert!(matches!(error, Error::NoResolver(_)), "{error}");
    }

    #[test]
    fn one_kind_of_address_is_enough() {
        let urls = urls(&["https://127.0.0.1/a"]);
        // The question comes back as its own answer, with an address if it is for one of IPv4.
        let answer = |query: &[u8]| {
            let end = query.len() - 11;
            let mut answer = query[..end].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
            if query[end - 3] == 1 {
                answer[7] = 1;
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1]);
            }
            answer
        };
        let fails_for = |family: u8| {
            let exchange = move |_: &ResolverUrl, query: &[u8]| {
                if query[query.len() - 14] == family {
                    return Err(broken());
                }
                Ok(answer(query))
            };
            let resolvers = Resolvers {
                urls: &urls,
                exchange: &exchange,
            };
            resolvers.addresses("host.example.org")
        };
        let found: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap()];
        assert_eq!(fails_for(0).unwrap(), found);
        assert_eq!(fails_for(28).unwrap(), found);
        let error = fails_for(1).unwrap_err();
        assert!(error.to_string().contains("no answer for 30 s"), "{error}");
    }
}
