//! How this node reaches others: resolvers, authorities, a proxy, and which addresses are allowed.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::address::dns::{self, MAX_ANSWER_LEN, SrvAnswer};
use super::address::resolver::{AskResolver, MEDIA_TYPE};
use super::address::{ResolverUrl, Resolvers, Service, hosts_file};
use super::connect::{ConnectOptions, Connection, Connector};
use super::http::{Client, Request};
use super::pace::WHOLE_AT_ONCE;
use super::paced_socket::Cutoff;
use super::peer_place::PeerPlace;
use super::proxy::Proxy;
use super::tls::Authorities;
use super::{CertificateRule, Error, Host, Server};
use crate::crypto::random;
use crate::disk;
use crate::kind::ErrorKind;
use crate::node::Config;
use crate::pipeline::mutex::lock;
use crate::ramf::InternetAddress;
use crate::spool::Spool;
use crate::spool::hosts::{HostState, SrvRecord, ValidatedSrv};

/// The time within which the answer of a resolver must be whole: another one may answer. It is one or two packets long.
const RESOLVER_WITHIN: Duration = Duration::from_secs(5);

/// A resolver, and its client, which has one request under way at a time.
type AskedResolver = (ResolverUrl, Arc<Mutex<Client>>);

/// How this node reaches others.
#[derive(Clone)]
pub struct Network {
    /// The resolvers, the first to be asked first. Without any, only what is named in `hosts_file` is found.
    pub resolvers: Vec<ResolverUrl>,
    /// The authorities whose certificates of servers are believed.
    pub authorities: Authorities,
    /// The proxy for all servers but those on loopback.
    pub proxy: Option<Proxy>,
    /// The file of names that need no resolver.
    pub hosts_file: PathBuf,
    /// Whether servers that others named may have private addresses. Those that the operator named by an address or
    /// with a pin may always.
    pub allows_private: bool,
    /// Ends all connections from outside.
    pub cutoff: Cutoff,
    /// The clients of resolvers that were asked: most are asked three times in a row.
    asked: Arc<Mutex<Vec<AskedResolver>>>,
    /// Resolvers that gave no answer in this run: the others are asked first, since each costs seconds.
    silent: Arc<Mutex<Vec<ResolverUrl>>>,
}

impl Default for Network {
    /// No resolver, the authorities of the system, no proxy, `/etc/hosts`; private addresses are allowed.
    fn default() -> Self {
        Self {
            resolvers: Vec::new(),
            authorities: Authorities::system(),
            proxy: None,
            hosts_file: PathBuf::from(hosts_file::SYSTEM),
            allows_private: true,
            cutoff: Cutoff::default(),
            asked: Arc::default(),
            silent: Arc::default(),
        }
    }
}

impl Network {
    /// The network that the settings of a node describe; with `authorities`, these are believed and not those of the
    /// settings.
    ///
    /// # Errors
    /// [`Error::Setting`] when one cannot be used.
    pub fn of_config(config: &Config, authorities: Option<Authorities>) -> Result<Self, Error> {
        let authorities = match (authorities, config.ca()) {
            (Some(given), _) => given,
            (None, Some(path)) => Authorities::from_file(path)?,
            (None, None) => Authorities::system(),
        };
        let resolvers: Result<_, Error> = config.resolvers().map(str::parse).collect();
        let network = Self {
            resolvers: resolvers?,
            authorities,
            ..Self::default()
        };
        match config.proxy() {
            Some(proxy) => network.with_proxy(proxy),
            None => Ok(network),
        }
    }

    /// The same with a proxy, as `http://HOST:PORT`; its name is looked up in the file of hosts alone, since all
    /// resolvers are reached through it.
    ///
    /// # Errors
    /// [`Error::Setting`] when it has another form, or there is no such name.
    pub fn with_proxy(self, text: &str) -> Result<Self, Error> {
        let mut proxy = Proxy::parse(text)?;
        if let Host::Name(name) = &proxy.host {
            proxy.addresses = self.known(name)?;
            if proxy.addresses.is_empty() {
                return Err(not_known(text, &self.hosts_file));
            }
        }
        Ok(Self {
            proxy: Some(proxy),
            ..self
        })
    }

    /// The servers of a service at an address, in the order in which they are tried.
    ///
    /// What was validated before is used while its TTL lasts, and for 30 days while no resolver answers; `spool` keeps it.
    /// The bare address is never taken for a server.
    ///
    /// # Errors
    /// [`Error::NoService`] when it is proven that the address has no such server, [`Error::NoResolver`], or
    /// [`Error::Unresolved`].
    pub fn find(
        &self,
        service: Service,
        address: &InternetAddress,
        spool: Option<&Spool>,
        now: Timestamp,
    ) -> Result<Vec<Server>, Error> {
        self.find_by(service, address, spool, now, &|url, query| {
            self.ask(url, query, now)
        })
    }

    fn find_by(
        &self,
        service: Service,
        address: &InternetAddress,
        spool: Option<&Spool>,
        now: Timestamp,
        exchange: &AskResolver<'_>,
    ) -> Result<Vec<Server>, Error> {
        let none = || Error::NoService {
            address: address.to_string(),
            service: service.words(),
        };
        if address.is_nowhere() {
            return Err(none());
        }
        let new = || HostState::new(address.as_str());
        let mut state = spool.map_or_else(new, |spool| spool.host_state(address.as_str(), now));
        if let Some(records) = state.fresh(service.name(), now) {
            return Ok(in_order(records.to_vec()));
        }
        let resolvers = Resolvers {
            urls: &self.in_turn(),
            exchange,
        };
        let found = match resolvers.srv(service, address) {
            Ok(SrvAnswer::Records { records, ttl }) => {
                let ttl = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX);
                let at = now;
                let known = ValidatedSrv { records, at, ttl };
                let records = known.records.clone();
                state.servers.insert(service.name().to_owned(), known);
                Ok(records)
            }
            Ok(SrvAnswer::Absent) => {
                state.servers.remove(service.name());
                Err(none())
            }
            // What a person must change is said at once, and not in 30 days.
            Err(error) if error.kind() == ErrorKind::Config => return Err(error),
            Err(error) => {
                let old = state.old(service.name(), now);
                return Ok(in_order(old.ok_or(error)?.to_vec()));
            }
        };
        if let Some(spool) = spool {
            // It saves a question the next time, no more: a disk without space must not keep its messages from leaving.
            let _ = spool.set_host_state(&state, now);
        }
        Ok(in_order(found?))
    }

    /// The servers of a peer's service, in the order in which they are tried.
    ///
    /// # Errors
    /// As [`Network::find`]; [`Error::NoServer`] when what the operator named is neither an address nor a name.
    pub fn find_at(
        &self,
        service: Service,
        place: &PeerPlace,
        spool: Option<&Spool>,
        now: Timestamp,
    ) -> Result<Vec<Server>, Error> {
        match place {
            PeerPlace::Host(host) => {
                Ok(vec![Server::named_by_operator(&host.authority, host.pin)?])
            }
            PeerPlace::Address(address) => self.find(service, address, spool, now),
        }
    }

    /// The addresses of a server: that of a literal, or those in the file of hosts, or those that a resolver has.
    ///
    /// # Errors
    /// [`Error::NoResolver`] when a name needs a resolver and none is set, [`Error::Unresolved`] when the server has no
    /// address.
    pub fn addresses(&self, server: &Server, now: Timestamp) -> Result<Vec<IpAddr>, Error> {
        let name = match &server.host {
            Host::Literal(address) => return Ok(vec![*address]),
            Host::Name(name) => name,
        };
        let known = self.known(name)?;
        if !known.is_empty() {
            return Ok(known);
        }
        let resolvers = Resolvers {
            urls: &self.in_turn(),
            exchange: &|url, query| self.ask(url, query, now),
        };
        resolvers.addresses(name)
    }

    /// What connects to a server, and judges its certificate by `now`.
    ///
    /// # Errors
    /// As [`Network::addresses`] and [`Connector::new`].
    pub fn connector(&self, server: &Server, now: Timestamp) -> Result<Connector, Error> {
        let addresses = self.addresses(server, now)?;
        let is_the_operators = server.certificate != CertificateRule::Public;
        let options = self.options(!self.allows_private && !is_the_operators, now);
        Connector::new(server.clone(), &addresses, &options)
    }

    /// Connects to a server.
    ///
    /// # Errors
    /// As [`Network::connector`] and [`Connector::connect`].
    pub fn connect(&self, server: &Server, now: Timestamp) -> Result<Connection, Error> {
        self.connector(server, now)?.connect()
    }

    /// A client of HTTP for a server. It connects with its first request.
    ///
    /// # Errors
    /// As [`Network::connector`].
    pub fn client(&self, server: &Server, now: Timestamp) -> Result<Client, Error> {
        Ok(Client::new(self.connector(server, now)?, now))
    }

    fn options(&self, refuses_private: bool, now: Timestamp) -> ConnectOptions {
        ConnectOptions {
            authorities: self.authorities.clone(),
            proxy: self.proxy.clone(),
            refuses_private,
            cutoff: self.cutoff.clone(),
            ..ConnectOptions::new(now)
        }
    }

    /// The addresses in the file of hosts.
    fn known(&self, name: &str) -> Result<Vec<IpAddr>, Error> {
        let known = hosts_file::addresses_in(&self.hosts_file, name);
        known.map_err(|error: disk::Error| Error::Setting {
            what: self.hosts_file.display().to_string(),
            problem: error.to_string(),
        })
    }

    /// The resolvers, those that were silent in this run last.
    fn in_turn(&self) -> Vec<ResolverUrl> {
        let silent = lock(&self.silent);
        let mut urls = self.resolvers.clone();
        urls.sort_by_key(|url| silent.contains(url));
        urls
    }

    /// Sends a DNS message to a resolver, and gives its answer (RFC 8484 §4.1).
    fn ask(&self, url: &ResolverUrl, query: &[u8], now: Timestamp) -> Result<Vec<u8>, Error> {
        let client = self.client_of(url, now)?;
        let mut request = Request::post(url.path(), MEDIA_TYPE, query);
        request.accept = Some(MEDIA_TYPE);
        let answer = lock(&client).send(&request, MAX_ANSWER_LEN);
        let answer = answer.inspect_err(|_| lock(&self.silent).push(url.clone()))?;
        if answer.status != 200 {
            return Err(answer.into_error(&url.server(), ErrorKind::Unreachable));
        }
        let is_message = |kind: &str| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case(MEDIA_TYPE)
        };
        // A network that asks for a login first sends a page.
        if !answer.content_type.as_deref().is_some_and(is_message) {
            return Err(Error::Unresolved {
                name: url.to_string(),
                problem: "not a DNS message".to_owned(),
            });
        }
        Ok(answer.body)
    }

    /// The client of a resolver, which keeps its connection.
    fn client_of(&self, url: &ResolverUrl, now: Timestamp) -> Result<Arc<Mutex<Client>>, Error> {
        let mut asked = lock(&self.asked);
        if let Some((_, client)) = asked.iter().find(|(known, _)| known == url) {
            return Ok(Arc::clone(client));
        }
        let server = url.server();
        // Its own name is not to be asked of a resolver.
        let addresses = match &server.host {
            Host::Literal(address) => vec![*address],
            Host::Name(name) => self.known(name)?,
        };
        if addresses.is_empty() {
            return Err(not_known(&url.to_string(), &self.hosts_file));
        }
        // The operator named it, so its address may be private.
        let options = ConnectOptions {
            silence: RESOLVER_WITHIN,
            rate: WHOLE_AT_ONCE,
            ..self.options(false, now)
        };
        let connector = Connector::new(server, &addresses, &options)?;
        let client = Arc::new(Mutex::new(Client::new(connector, now)));
        asked.push((url.clone(), Arc::clone(&client)));
        Ok(client)
    }
}

/// The error for a host that is to be named in the file of hosts.
fn not_known(what: &str, hosts_file: &Path) -> Error {
    Error::Setting {
        what: what.to_owned(),
        problem: format!(
            "its host must be an address, or named in {}",
            hosts_file.display()
        ),
    }
}

/// The servers of these records, in the order in which they are tried.
fn in_order(records: Vec<SrvRecord>) -> Vec<Server> {
    // It shares the load, and keeps nothing secret: without randomness any order is as good.
    let mut random = || random::array().map_or(0, u64::from_ne_bytes);
    let server = |record: SrvRecord| Server {
        host: Host::Name(record.target),
        port: record.port,
        certificate: CertificateRule::Public,
    };
    let ordered = dns::order(records, &mut random);
    ordered.into_iter().map(server).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::binding::testserver::{self, CertificateShape, TestAuthority, TestServer, request};
    use crate::spool::testspool;

    const ADDRESS: &str = "gateway.alpha.example.org";

    fn fixture(name: &str) -> Vec<u8> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::read(root.join("tests/fixtures/bindings/dns").join(name)).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        testserver::now() + SignedDuration::from_secs(seconds)
    }

    fn network(urls: &[&str]) -> Network {
        Network {
            resolvers: urls.iter().map(|url| url.parse().unwrap()).collect(),
            hosts_file: PathBuf::from("/nowhere/hosts"),
            ..Network::default()
        }
    }

    #[test]
    fn what_was_validated_is_kept_for_later() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(dir.path());
        let network = network(&["https://127.0.0.1:1/q"]);
        let questions = Cell::new(0);
        let find = |answer: Option<&str>, now: Timestamp| {
            let exchange = |_: &ResolverUrl, _: &[u8]| {
                questions.set(questions.get() + 1);
                let silent = || Error::Silent {
                    server: "127.0.0.1:1".to_owned(),
                    waited: Duration::from_secs(1),
                };
                Ok(fixture(&format!("{}.response", answer.ok_or_else(silent)?)))
            };
            let address = ADDRESS.parse().unwrap();
            let servers =
                network.find_by(Service::CargoRelay, &address, Some(&spool), now, &exchange)?;
            Ok::<_, Error>(servers.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let server = ["cogrpc.alpha.example.org:8443"];
        let day = 24 * 3600;
        let error = find(None, at(0)).unwrap_err();
        assert!(matches!(error, Error::Unresolved { .. }), "{error}");
        assert_eq!(find(Some("good"), at(0)).unwrap(), server);
        assert_eq!(questions.get(), 2);
        // Its TTL is 300 s.
        assert_eq!(find(Some("nxdomain"), at(299)).unwrap(), server);
        assert_eq!(questions.get(), 2);
        for failure in [
            None,
            Some("no-ad"),
            Some("servfail"),
            Some("nxdomain-no-ad"),
        ] {
            assert_eq!(find(failure, at(300)).unwrap(), server);
            assert_eq!(find(failure, at(30 * day - 1)).unwrap(), server);
            assert!(find(failure, at(30 * day)).is_err());
        }
        let both = [
            "cogrpc.alpha.example.org:8443",
            "backup.alpha.example.org:443",
        ];
        assert_eq!(find(Some("priorities"), at(300)).unwrap(), both);
        // Proven absence is believed, and what was known goes.
        let error = find(Some("nxdomain"), at(day)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{ADDRESS} has no cargo relay server")
        );
        assert!(find(None, at(day)).is_err());
    }

    #[test]
    fn no_name_is_found_without_a_resolver() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(dir.path());
        let nobody = network(&[]);
        let address = ADDRESS.parse().unwrap();
        let find = |address| nobody.find(Service::GatewaySync, &address, Some(&spool), at(0));
        let error = find(address).unwrap_err();
        assert!(matches!(error, Error::NoResolver(_)), "{error}");
        let error = find(InternetAddress::nowhere()).unwrap_err();
        assert!(matches!(error, Error::NoService { .. }), "{error}");
        let named = |text| Server::named_by_operator(text, None).unwrap();
        let literal = nobody.addresses(&named("[::1]:1"), at(0)).unwrap();
        assert_eq!(literal, ["::1".parse::<IpAddr>().unwrap()]);
        let error = nobody
            .addresses(&named("gw.example.org:1"), at(0))
            .unwrap_err();
        assert!(matches!(error, Error::NoResolver(_)), "{error}");
        let hosts_file = dir.path().join("hosts");
        std::fs::write(&hosts_file, "192.0.2.7 gw.example.org\n10.0.0.1 proxy\n").unwrap();
        let nobody = Network {
            hosts_file,
            ..nobody
        };
        let known = nobody.addresses(&named("gw.example.org:1"), at(0)).unwrap();
        assert_eq!(known, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        let with_proxy = nobody.clone().with_proxy("http://proxy:3128").unwrap();
        assert_eq!(
            with_proxy.proxy.unwrap().addresses,
            ["10.0.0.1".parse::<IpAddr>().unwrap()]
        );
        let error = nobody.with_proxy("http://other:3128").unwrap_err_kind();
        assert_eq!(error, ErrorKind::Config);
    }

    #[test]
    fn settings_give_resolvers_and_a_proxy() {
        let config = |text: &str| Network::of_config(&Config::parse(text).unwrap(), None);
        let text = "resolver = https://127.0.0.1/a\nresolver = https://127.0.0.2/b\nproxy = http://127.0.0.1:9\n";
        let network = config(text).unwrap();
        let urls: Vec<String> = network.resolvers.iter().map(ToString::to_string).collect();
        assert_eq!(urls, ["https://127.0.0.1/a", "https://127.0.0.2/b"]);
        assert_eq!(network.proxy.unwrap().port, 9);
        for bad in ["resolver = https://127.0.0.1", "proxy = http://127.0.0.1"] {
            assert_eq!(config(bad).unwrap_err_kind(), ErrorKind::Config, "{bad}");
        }
    }

    /// `Result::unwrap_err` for a value that is not shown.
    trait UnwrapErrKind {
        fn unwrap_err_kind(self) -> ErrorKind;
    }

    impl UnwrapErrKind for Result<Network, Error> {
        fn unwrap_err_kind(self) -> ErrorKind {
            match self {
                Ok(_) => panic!("no error"),
                Err(error) => error.kind(),
            }
        }
    }

    /// A resolver on loopback, whose connections are counted.
    fn resolver(
        authority: &TestAuthority,
        name: &'static str,
        answer: impl Fn() -> (&'static str, Vec<u8>) + Send + Sync + 'static,
    ) -> (TestServer, Arc<AtomicUsize>) {
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let identity = authority.issue(&CertificateShape::of(&[name]));
        let server = TestServer::tls(&identity, move |_, peer| {
            count.fetch_add(1, Ordering::SeqCst);
            loop {
                let (head, body) = request(peer);
                if head.is_empty() {
                    return;
                }
                assert!(head.starts_with("POST /dns-query HTTP/1.1\r\n"), "{head}");
                let head = head.to_ascii_lowercase();
                for line in ["content-type", "accept"] {
                    assert!(
                        head.contains(&format!("\r\n{line}: {MEDIA_TYPE}\r\n")),
                        "{head}"
                    );
                }
                assert_eq!(body, fixture("crc.query"));
                let (line, answer) = answer();
                let head = format!(
                    "HTTP/1.1 {line}\r\nContent-Length: {}\r\n\r\n",
                    answer.len()
                );
                if peer
                    .write_all(&[head.as_bytes(), &answer].concat())
                    .is_err()
                {
                    return;
                }
            }
        });
        (server, connections)
    }

    const GOOD: &str = "200 OK\r\nContent-Type: application/dns-message";

    #[test]
    fn a_resolver_is_asked_over_https_on_one_connection() {
        let authority = TestAuthority::new();
        let (server, connections) =
            resolver(&authority, "127.0.0.1", || (GOOD, fixture("good.response")));
        let url = format!("https://127.0.0.1:{}/dns-query", server.address.port());
        let network = Network {
            authorities: testserver::options(&authority).authorities,
            ..network(&[&url])
        };
        let address: InternetAddress = ADDRESS.parse().unwrap();
        for _ in 0..3 {
            let found = network
                .find(Service::CargoRelay, &address, None, at(0))
                .unwrap();
            assert_eq!(found[0].to_string(), "cogrpc.alpha.example.org:8443");
            assert_eq!(found[0].certificate, CertificateRule::Public);
        }
        assert_eq!(connections.load(Ordering::SeqCst), 1);
        // Threads share it.
        let find = || network.find(Service::CargoRelay, &address, None, at(0));
        std::thread::scope(|scope| {
            let found: Vec<_> = (0..4).map(|_| scope.spawn(find)).collect();
            for one in found {
                assert!(one.join().unwrap().is_ok());
            }
        });
    }

    #[test]
    fn a_silent_resolver_is_asked_last_from_then_on() {
        let authority = TestAuthority::new();
        let (server, _) = resolver(&authority, "127.0.0.1", || (GOOD, fixture("good.response")));
        // Two ports of which one closes without a word.
        let count = Arc::new(AtomicUsize::new(0));
        let closed = Arc::clone(&count);
        let closing = TestServer::plain(move |_, _| {
            closed.fetch_add(1, Ordering::SeqCst);
        });
        let url =
            |server: &TestServer| format!("https://127.0.0.1:{}/dns-query", server.address.port());
        let network = Network {
            authorities: testserver::options(&authority).authorities,
            ..network(&[&url(&closing), &url(&server)])
        };
        let address: InternetAddress = ADDRESS.parse().unwrap();
        let mut met = Vec::new();
        for _ in 0..3 {
            assert!(
                network
                    .find(Service::CargoRelay, &address, None, at(0))
                    .is_ok()
            );
            met.push(count.load(Ordering::SeqCst));
        }
        assert!(met[0] > 0 && met[2] == met[0], "{met:?}");
    }

    #[test]
    fn a_resolver_that_does_not_resolve_is_no_proof() {
        let authority = TestAuthority::new();
        let good = || fixture("good.response");
        let html = "200 OK\r\nContent-Type: text/html";
        for (line, answer, problem) in [
            (html, good(), "not a DNS message"),
            ("200 OK\r\nX: y", good(), "not a DNS message"),
            (
                "302 Found\r\nLocation: https://127.0.0.1/login",
                Vec::new(),
                "302",
            ),
            ("503 Busy", b"later".to_vec(), "503: later"),
            (GOOD, b"<html>".to_vec(), "not a well-formed answer"),
            (GOOD, vec![0; MAX_ANSWER_LEN + 1], ""),
        ] {
            let (server, _) = resolver(&authority, "127.0.0.1", move || (line, answer.clone()));
            let url = format!("https://127.0.0.1:{}/dns-query", server.address.port());
            let network = Network {
                authorities: testserver::options(&authority).authorities,
                ..network(&[&url])
            };
            let address = ADDRESS.parse().unwrap();
            let error = network.find(Service::CargoRelay, &address, None, at(0));
            let error = error.unwrap_err();
            assert!(matches!(error, Error::Unresolved { .. }), "{line}: {error}");
            assert!(error.to_string().contains(problem), "{line}: {error}");
        }
        // The certificate of a captive portal.
        let (server, _) = resolver(&authority, "portal.example.org", move || (GOOD, good()));
        let url = format!("https://127.0.0.1:{}/dns-query", server.address.port());
        let network = Network {
            authorities: testserver::options(&authority).authorities,
            ..network(&[&url])
        };
        let address = ADDRESS.parse().unwrap();
        let error = network
            .find(Service::CargoRelay, &address, None, at(0))
            .unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
        // Its name is looked up in the file of hosts alone.
        let named = Network {
            resolvers: vec!["https://resolver.example.org/dns-query".parse().unwrap()],
            ..network
        };
        let error = named
            .find(Service::CargoRelay, &address, None, at(0))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }

    #[test]
    fn private_addresses_are_for_what_the_operator_named() {
        let network = Network {
            allows_private: false,
            ..network(&[])
        };
        let named = Server::named_by_operator("127.0.0.1:1", None).unwrap();
        assert!(network.connector(&named, at(0)).is_ok());
        let found = Server {
            certificate: CertificateRule::Public,
            ..named
        };
        let refused = network.connector(&found, at(0)).unwrap_err();
        assert!(matches!(refused, Error::PrivateAddress { .. }), "{refused}");
    }
}
