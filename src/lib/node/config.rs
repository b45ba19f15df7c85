//! The settings of a node: `key = value` lines in its `config`.

use std::fmt::Write as _;
use std::path::Path;
use std::str::FromStr;

use jiff::SignedDuration;

use super::DirectoryError;
use super::Error;
use crate::disk::Group;
use crate::ramf::{InternetAddress, limits};

/// Every setting except `clock`, in the order in which they are written.
pub const KEYS: [&str; 22] = [
    "type",
    "address",
    "group",
    "ttl",
    "clock-drift",
    "session-grace",
    "quota",
    "reserve",
    "resend-after",
    "log",
    "resolver",
    "proxy",
    "ca",
    "direct",
    "direct-for",
    "online-every",
    "online-max-size",
    "online-when",
    "couriers",
    "registration",
    "max-peers",
    "foreign-quota",
];

/// The setting of which there may be several: resolvers, the first to be asked first.
const RESOLVER: &str = "resolver";

/// The default socket of syslog.
const SYSLOG: &str = "/dev/log";

/// The setting that allows `--now`; apart from the others, since only tests use it.
const CLOCK: &str = "clock";

/// The largest clock drift that may be allowed.
pub const MAX_DRIFT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The type of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NodeType {
    /// It sends and receives parcels.
    #[default]
    Endpoint,
    /// It carries parcels of others as cargo.
    Gateway,
}

impl NodeType {
    /// `endpoint` or `gateway`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Gateway => "gateway",
        }
    }
}

impl FromStr for NodeType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "endpoint" => Ok(Self::Endpoint),
            "gateway" => Ok(Self::Gateway),
            _ => Err(problem("type", "neither endpoint nor gateway")),
        }
    }
}

/// Whether parcels for nodes with an Internet address go there directly, and not to a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direct {
    /// Never.
    #[default]
    No,
    /// Where no gateway would take them.
    Fallback,
    /// Always; to the gateway only if that fails for too long.
    Always,
}

impl FromStr for Direct {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "no" => Ok(Self::No),
            "fallback" => Ok(Self::Fallback),
            "always" => Ok(Self::Always),
            _ => Err(problem("direct", "neither no, fallback nor always")),
        }
    }
}

/// Which nodes a gateway registers that ask online.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RegistrationSetting {
    /// None but those that are registered.
    #[default]
    Closed,
    /// Those that the operator allows.
    Known,
    /// Those that ask from a private address.
    Local,
    /// All.
    Open,
}

impl FromStr for RegistrationSetting {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "closed" => Ok(Self::Closed),
            "known" => Ok(Self::Known),
            "local" => Ok(Self::Local),
            "open" => Ok(Self::Open),
            _ => Err(problem(
                "registration",
                "neither closed, known, local nor open",
            )),
        }
    }
}

/// A node's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    entries: Vec<(String, String)>,
}

impl Config {
    /// Reads the text of a `config`.
    ///
    /// # Errors
    /// The number of the line, counted from 1, and the problem.
    pub fn parse(text: &str) -> Result<Self, (usize, Error)> {
        let mut config = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| (number, problem(line, "not key = value")))?;
            config
                .set(key.trim(), value.trim())
                .map_err(|error| (number, error))?;
        }
        Ok(config)
    }

    /// Sets `key` to `value`, replacing an earlier value; of resolvers there may be several, and this is one more.
    ///
    /// # Errors
    /// [`DirectoryError::Setting`] when the key is unknown or the value not valid for it.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        check(key, value)?;
        self.entries
            .retain(|(set, old)| set != key || (key == RESOLVER && old != value));
        self.entries.push((key.to_owned(), value.to_owned()));
        Ok(())
    }

    /// The text of a `config` with these settings.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text =
            String::from("# Settings of this node, one `key = value` a line: relay-node(5)\n");
        for key in KEYS.into_iter().chain([CLOCK]) {
            for (_, value) in self.entries.iter().filter(|(set, _)| set == key) {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        text
    }

    /// The value of `key`, if it is set; of several the first.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries
            .iter()
            .find(|(set, _)| set == key)
            .map(|(_, value)| value.as_str())
    }

    /// The type of the node; an endpoint by default.
    #[must_use]
    pub fn node_type(&self) -> NodeType {
        self.get("type")
            .and_then(|value| value.parse().ok())
            .unwrap_or_default()
    }

    /// The Internet address of the node, if it has one.
    #[must_use]
    pub fn address(&self) -> Option<InternetAddress> {
        self.get("address").and_then(|value| value.parse().ok())
    }

    /// The group whose members share the node's spool, if there is one.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.get("group")
    }

    /// The entry of that group in the system's database.
    ///
    /// # Errors
    /// [`DirectoryError::UnknownGroup`] when there is none.
    pub fn find_group(&self) -> Result<Option<Group>, Error> {
        let Some(name) = self.group() else {
            return Ok(None);
        };
        match Group::find(name)? {
            Some(group) => Ok(Some(group)),
            None => Err(Error::Directory(DirectoryError::UnknownGroup(
                name.to_owned(),
            ))),
        }
    }

    /// How long messages live by default, if set.
    #[must_use]
    pub fn ttl(&self) -> Option<SignedDuration> {
        self.get("ttl").and_then(|value| parse_duration(value).ok())
    }

    /// How much clocks may differ, if set.
    #[must_use]
    pub fn clock_drift(&self) -> Option<SignedDuration> {
        self.get("clock-drift")
            .and_then(|value| parse_duration(value).ok())
    }

    /// The age at which a message is exported again to a medium that still has it, if set.
    #[must_use]
    pub fn resend_after(&self) -> Option<SignedDuration> {
        self.get("resend-after")
            .and_then(|value| parse_duration(value).ok())
    }

    /// How long a session key is kept after the peer stops using it, if set.
    #[must_use]
    pub fn session_grace(&self) -> Option<SignedDuration> {
        self.get("session-grace")
            .and_then(|value| parse_duration(value).ok())
    }

    /// The octets that the messages of one peer may take in a queue, if bounded.
    #[must_use]
    pub fn quota(&self) -> Option<u64> {
        self.get("quota").and_then(|value| parse_size(value).ok())
    }

    /// The octets of the disk that must stay free, if set.
    #[must_use]
    pub fn reserve(&self) -> Option<u64> {
        self.get("reserve").and_then(|value| parse_size(value).ok())
    }

    /// The socket of syslog, if events go there.
    #[must_use]
    pub fn syslog(&self) -> Option<&Path> {
        self.get("log").and_then(syslog_socket)
    }

    /// The URLs of resolvers, the first to be asked first. What asks them parses them.
    pub fn resolvers(&self) -> impl Iterator<Item = &str> {
        let set = self.entries.iter().filter(|(set, _)| set == RESOLVER);
        set.map(|(_, value)| value.as_str())
    }

    /// The proxy for all servers, as `http://HOST:PORT`, if there is one.
    #[must_use]
    pub fn proxy(&self) -> Option<&str> {
        self.get("proxy")
    }

    /// The file of authorities whose certificates of servers are believed, if it is not to be the system's.
    #[must_use]
    pub fn ca(&self) -> Option<&Path> {
        self.get("ca").map(Path::new)
    }

    /// Whether parcels go to nodes with an Internet address directly; they do not by default.
    #[must_use]
    pub fn direct(&self) -> Direct {
        self.get("direct")
            .and_then(|value| value.parse().ok())
            .unwrap_or_default()
    }

    /// How long that is tried before a parcel goes to the gateway, if set.
    #[must_use]
    pub fn direct_for(&self) -> Option<SignedDuration> {
        self.get("direct-for")
            .and_then(|value| parse_duration(value).ok())
    }

    /// The least time between two exchanges with the gateway, if set.
    #[must_use]
    pub fn online_every(&self) -> Option<SignedDuration> {
        self.get("online-every")
            .and_then(|value| parse_duration(value).ok())
    }

    /// The octets of the largest message that goes over a network, if bounded.
    #[must_use]
    pub fn online_max_size(&self) -> Option<u64> {
        self.get("online-max-size")
            .and_then(|value| parse_size(value).ok())
    }

    /// The command that says whether the network may be used now, if there is one.
    #[must_use]
    pub fn online_when(&self) -> Option<&str> {
        self.get("online-when")
    }

    /// Whether cargo is exchanged with whoever is the courier on the network that this node is in; not by default.
    #[must_use]
    pub fn couriers(&self) -> bool {
        self.get("couriers") == Some("yes")
    }

    /// Which nodes are registered that ask online; by default none.
    #[must_use]
    pub fn registration(&self) -> RegistrationSetting {
        self.get("registration")
            .and_then(|value| value.parse().ok())
            .unwrap_or_default()
    }

    /// The most peers that the node may have for a new one to be registered online, if bounded.
    #[must_use]
    pub fn max_peers(&self) -> Option<u64> {
        self.get("max-peers").and_then(parse_count)
    }

    /// How many messages a registered node may send to other servers in a day, if bounded.
    #[must_use]
    pub fn foreign_quota(&self) -> Option<u64> {
        self.get("foreign-quota").and_then(parse_count)
    }

    /// Whether programs that change this node accept `--now`; only for tests.
    #[must_use]
    pub fn allows_test_clock(&self) -> bool {
        self.get(CLOCK) == Some("test")
    }
}

/// Checks that `key` may have `value`.
fn check(key: &str, value: &str) -> Result<(), Error> {
    let size = || {
        parse_size(value)
            .map(drop)
            .map_err(|error| problem(key, error))
    };
    let duration = |most: SignedDuration| match parse_duration(value) {
        Ok(duration) if duration <= most => Ok(()),
        Ok(_) => Err(problem(key, "too long")),
        Err(error) => Err(problem(key, error)),
    };
    match key {
        "type" => value.parse::<NodeType>().map(drop),
        "address" => match value.parse::<InternetAddress>() {
            Ok(address) if address.is_portable() => Ok(()),
            _ => Err(problem(key, "not a domain name of two labels or more")),
        },
        "group" if !value.is_empty() && value.bytes().all(|octet| octet.is_ascii_graphic()) => {
            Ok(())
        }
        "group" => Err(problem(key, "not the name of a group")),
        "ttl" => duration(SignedDuration::from_secs(i64::from(limits::MAX_TTL))),
        "clock-drift" => duration(MAX_DRIFT),
        "session-grace" => duration(SignedDuration::from_hours(180 * 24)),
        "resend-after" => duration(SignedDuration::from_hours(365 * 24)),
        "quota" | "reserve" | "online-max-size" => size(),
        "max-peers" | "foreign-quota" if parse_count(value).is_some() => Ok(()),
        "max-peers" | "foreign-quota" => Err(problem(key, "not a number")),
        "log" if value == "stderr" || syslog_socket(value).is_some() => Ok(()),
        "log" => Err(problem(key, "neither stderr, syslog nor syslog:PATH")),
        RESOLVER if is_url(value, "https://") => Ok(()),
        RESOLVER => Err(problem(key, "not https://HOST/PATH")),
        "proxy" if is_url(value, "http://") => Ok(()),
        "proxy" => Err(problem(key, "not http://HOST:PORT")),
        // Programs of this node are started in any directory.
        "ca" if value.starts_with('/') => Ok(()),
        "ca" => Err(problem(key, "not the absolute path of a file")),
        "direct" => value.parse::<Direct>().map(drop),
        "direct-for" => duration(SignedDuration::from_secs(i64::from(limits::MAX_TTL))),
        "online-every" => duration(SignedDuration::from_hours(365 * 24)),
        "online-when" if !value.is_empty() => Ok(()),
        "online-when" => Err(problem(key, "not a command")),
        "couriers" if matches!(value, "yes" | "no") => Ok(()),
        "couriers" => Err(problem(key, "neither yes nor no")),
        "registration" => value.parse::<RegistrationSetting>().map(drop),
        CLOCK if matches!(value, "system" | "test") => Ok(()),
        CLOCK => Err(problem(key, "neither system nor test")),
        _ => Err(problem(key, "no such setting")),
    }
}

/// A number of things, in decimal digits alone.
fn parse_count(value: &str) -> Option<u64> {
    let is_number = value.bytes().all(|octet| octet.is_ascii_digit());
    value.parse().ok().filter(|_| is_number)
}

/// Whether a value looks like a URL of this scheme; who uses it parses it.
fn is_url(value: &str, scheme: &str) -> bool {
    let rest = value.strip_prefix(scheme);
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|octet| octet.is_ascii_graphic()))
}

/// The socket that a value of `log` names.
fn syslog_socket(value: &str) -> Option<&Path> {
    let path = match value.strip_prefix("syslog")? {
        "" => SYSLOG,
        path => path
            .strip_prefix(':')
            .filter(|path| path.starts_with('/'))?,
    };
    Some(Path::new(path))
}

fn problem(setting: &str, problem: &str) -> Error {
    Error::Directory(DirectoryError::Setting {
        setting: setting.to_owned(),
        problem: problem.to_owned(),
    })
}

/// Parses a duration such as `90s`, `15m`, `12h` or `30d`; a bare `0` is zero.
///
/// # Errors
/// When it is not a number with one of these units, or over a century.
pub fn parse_duration(text: &str) -> Result<SignedDuration, &'static str> {
    const MALFORMED: &str = "not a duration such as 90s, 15m, 12h or 30d";
    if text == "0" {
        return Ok(SignedDuration::ZERO);
    }
    let (number, unit) = text
        .char_indices()
        .next_back()
        .map(|(at, unit)| (&text[..at], unit))
        .ok_or(MALFORMED)?;
    if number.is_empty() || !number.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(MALFORMED);
    }
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(MALFORMED),
    };
    // A century is longer than anything here lives, and cannot overflow a timestamp.
    let number: i64 = number.parse().map_err(|_| "too long a duration")?;
    match number.checked_mul(seconds) {
        Some(seconds) if seconds <= 100 * 366 * 86_400 => Ok(SignedDuration::from_secs(seconds)),
        _ => Err("too long a duration"),
    }
}

/// Parses a size such as `8000`, `64K` (units of 1024), `8M` or `2G`, in octets.
///
/// # Errors
/// When it is not a number with at most one of these units, or does not fit in 64 bits.
pub fn parse_size(text: &str) -> Result<u64, &'static str> {
    const MALFORMED: &str = "not a number of octets such as 8000, 64K, 8M or 2G";
    let (number, unit) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1_u64),
    };
    if number.is_empty() || !number.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(MALFORMED);
    }
    let number: u64 = number.parse().map_err(|_| "too large a number of octets")?;
    number
        .checked_mul(unit)
        .ok_or("too large a number of octets")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_unit() {
        assert_eq!(parse_duration("90s"), Ok(SignedDuration::from_secs(90)));
        assert_eq!(parse_duration("30d"), Ok(SignedDuration::from_hours(720)));
        assert_eq!(parse_duration("0"), Ok(SignedDuration::ZERO));
        for bad in [
            "",
            "d",
            "1",
            "1w",
            "-1d",
            "1.5h",
            "1 d",
            "999999999999999999d",
            "99999999999999999999d",
            "1é",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_one_unit_at_most() {
        assert_eq!(parse_size("0"), Ok(0));
        assert_eq!(parse_size("64K"), Ok(65_536));
        assert_eq!(parse_size("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(parse_size("17179869183G"), Ok(u64::MAX - (1 << 30) + 1));
        for bad in [
            "",
            "K",
            "1k",
            "1KB",
            "-1",
            "+1",
            "1.5M",
            "1 M",
            "1é",
            "17179869184G",
            "18446744073709551616",
        ] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        let config = Config::parse("quota = 2G\nreserve = 64K\n").unwrap();
        assert_eq!(
            (config.quota(), config.reserve()),
            (Some(1 << 31), Some(65_536))
        );
    }

    #[test]
    fn a_config_is_read_back_as_it_was_written() {
        let mut config =
            Config::parse("# comment\n\ntype = gateway\naddress=gw.example.org\n").unwrap();
        config.set("ttl", "7d").unwrap();
        assert_eq!(config.node_type(), NodeType::Gateway);
        let again = Config::parse(&config.to_text()).unwrap();
        assert_eq!(again.address(), config.address());
        assert_eq!(again.ttl(), Some(SignedDuration::from_hours(168)));
    }

    #[test]
    fn several_resolvers_keep_their_order() {
        let text = "resolver = https://127.0.0.1/b\nproxy = http://127.0.0.1:3128\nresolver=https://[::1]/a\n";
        let mut config = Config::parse(text).unwrap();
        let resolvers = |config: &Config| config.resolvers().map(str::to_owned).collect::<Vec<_>>();
        let both = ["https://127.0.0.1/b", "https://[::1]/a"];
        assert_eq!(resolvers(&config), both);
        config.set("resolver", both[1]).unwrap();
        config.set("proxy", "http://127.0.0.1:8080").unwrap();
        let again = Config::parse(&config.to_text()).unwrap();
        assert_eq!(resolvers(&again), both);
        assert_eq!(again.proxy(), Some("http://127.0.0.1:8080"));
        assert_eq!(resolvers(&Config::default()), [""; 0]);
    }

    #[test]
    fn the_network_is_used_as_the_settings_say() {
        let config = Config::default();
        assert_eq!((config.direct(), config.direct_for()), (Direct::No, None));
        let text = "direct = always\ndirect-for = 2h\nonline-every = 15m\nonline-max-size = 1M\n\
            online-when = test -e /run/online\n";
        let config = Config::parse(text).unwrap();
        assert_eq!(config.direct(), Direct::Always);
        assert_eq!(config.direct_for(), Some(SignedDuration::from_hours(2)));
        assert_eq!(config.online_every(), Some(SignedDuration::from_mins(15)));
        assert_eq!(config.online_max_size(), Some(1 << 20));
        assert_eq!(config.online_when(), Some("test -e /run/online"));
        assert_eq!(
            Config::parse(&config.to_text()).unwrap().online_when(),
            config.online_when()
        );
    }

    #[test]
    fn unknown_settings_and_values_name_their_line() {
        for bad in [
            "type = courier",
            "adress = a.example",
            "address = localhost",
            "ttl = 181d",
            "nonsense",
            "clock = fake",
            "resolver = http://127.0.0.1/q",
            "resolver = https://127.0.0.1/q x",
            "proxy = 127.0.0.1:3128",
            "direct = yes",
            "direct-for = 181d",
            "online-max-size = 1MB",
            "online-when =",
        ] {
            let (line, error) = Config::parse(&format!("# one\n{bad}\n")).unwrap_err();
            assert_eq!(line, 2, "{bad}");
            assert!(
                matches!(error, Error::Directory(DirectoryError::Setting { .. })),
                "{bad}"
            );
        }
    }
}
