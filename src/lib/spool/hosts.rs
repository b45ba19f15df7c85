//! What is known of servers on the network: `hosts/<sha256 of the address>`, a JSON object for each Internet address.
//!
//! It keeps validated SRV records beyond one run, spares a server that does not answer, and says since when none does.
//! Nothing in it must be right for a message to be safe: a file that cannot be read, or is of another version, counts as
//! none and is replaced.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::clock::after;
use super::{Error, Spool};
use crate::asn1::{Hex, hex};
use crate::crypto::sha256;
use crate::disk::publish::{self, IfExists, PublishOptions};
use crate::disk::tree::{self, EntryKind};
use crate::disk::{self, FileRole, files};
use crate::ramf::InternetAddress;

/// The folder of the files, in the spool.
pub(crate) const FOLDER: &str = "hosts";

/// The version of the format.
const VERSION: u64 = 1;

/// Maximum length of a file, in octets: more than the servers of all services need.
const MAX_LEN: usize = 512 * 1024;

/// How long validated records are used at least, since an answer with a TTL of 0 is as good for a run.
const USED_FOR: SignedDuration = SignedDuration::from_mins(5);

/// How long they are used while no resolver answers.
const OLD_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long after the first failure the server is tried again; doubled with each that follows.
const TRY_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// How long it is left alone at most.
const TRY_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// How long it is left alone at most if it asks for that.
const ASKED_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// How often a failure that goes on is news.
const NEWS_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// The start of 2000: no state is older.
const FIRST: Timestamp = Timestamp::constant(946_684_800, 0);

/// Maximum length of an error that is kept, in characters.
const MAX_ERROR_LEN: usize = 500;

/// A server of a service, as DNS has it (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SrvRecord {
    /// Those with the lowest number are tried first.
    pub priority: u16,
    /// The share that it takes among those of one priority.
    pub weight: u16,
    /// Its port; not 0.
    pub port: u16,
    /// Its host: a domain name in lower case, without a dot at its end.
    pub target: String,
}

/// The servers of a service, as a resolver validated them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatedSrv {
    /// The servers, at least one.
    pub records: Vec<SrvRecord>,
    /// When they were validated.
    pub at: Timestamp,
    /// How long they may be relied on.
    pub ttl: SignedDuration,
}

/// What is known of the servers of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostState {
    /// The Internet address, or `host:port` of a server that the operator named; in lower case.
    pub address: String,
    /// The servers that were validated, by the registered names of their services.
    pub servers: BTreeMap<String, ValidatedSrv>,
    /// When it may be tried again, after a failure.
    pub next_try: Option<Timestamp>,
    /// The number of failures since the last success.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
    /// The last of them: one line without control characters.
    pub last_error: Option<String>,
    /// Whether a server answered then.
    pub is_answered: bool,
    /// What somebody must do about it, if that does not pass by itself.
    pub remedy: Option<String>,
    /// When that was news, and so reported even in a run that reports nothing else.
    pub told: Option<Timestamp>,
    /// When a server last did what it was asked for.
    pub last_success: Option<Timestamp>,
    /// When a renewal of the registration with it was last tried.
    pub renewal_tried: Option<Timestamp>,
    /// When the file was last written.
    pub changed: Option<Timestamp>,
}

/// A failure of the servers of an address, to be noted.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostFailure<'a> {
    /// What is said of it.
    pub error: &'a str,
    /// Whether a server answered.
    pub is_answered: bool,
    /// What somebody must do about it, if that does not pass by itself.
    pub remedy: Option<&'a str>,
    /// How long the server asks to be left alone.
    pub asked: Option<SignedDuration>,
}

impl HostState {
    /// Nothing is known yet of this address.
    #[must_use]
    pub fn new(address: &str) -> Self {
        let address = address.strip_suffix('.').unwrap_or(address);
        Self {
            address: address.to_ascii_lowercase(),
            servers: BTreeMap::new(),
            next_try: None,
            failures: 0,
            failing_since: None,
            last_error: None,
            is_answered: false,
            remedy: None,
            told: None,
            last_success: None,
            renewal_tried: None,
            changed: None,
        }
    }

    /// Whether the server may be tried.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.next_try.is_none_or(|at| at <= now)
    }

    /// Whether the server was ever asked for something, as far as is known.
    #[must_use]
    pub fn is_tried(&self) -> bool {
        self.failures > 0 || self.last_success.is_some()
    }

    /// The validated servers of a service, while their TTL lasts, or for five minutes.
    #[must_use]
    pub fn fresh(&self, service: &str, now: Timestamp) -> Option<&[SrvRecord]> {
        let known = self.servers.get(service)?;
        let lasts = known.ttl.clamp(USED_FOR, OLD_FOR);
        (now < after(known.at, lasts)).then_some(&known.records)
    }

    /// The validated servers of a service, for 30 days, for when no resolver answers.
    #[must_use]
    pub fn old(&self, service: &str, now: Timestamp) -> Option<&[SrvRecord]> {
        let known = self.servers.get(service)?;
        (now < after(known.at, OLD_FOR)).then_some(&known.records)
    }

    /// The state after the server did what it was asked for.
    fn succeeding(self, now: Timestamp) -> Self {
        Self {
            next_try: None,
            failures: 0,
            failing_since: None,
            last_error: None,
            is_answered: false,
            remedy: None,
            told: None,
            last_success: Some(now),
            ..self
        }
    }

    /// The state after a failure.
    fn failing(self, failure: &HostFailure<'_>, now: Timestamp) -> Self {
        // After six failures the hour is reached.
        let doubled = TRY_AFTER.saturating_mul(1 << self.failures.min(6));
        let wait = match failure.asked {
            Some(asked) => asked.clamp(SignedDuration::ZERO, ASKED_WITHIN),
            None => doubled.min(TRY_WITHIN),
        };
        let error = Some(one_line(failure.error));
        let told = self
            .told
            .filter(|told| self.last_error == error && now.duration_since(*told) < NEWS_EVERY);
        Self {
            next_try: Some(after(now, wait)),
            failures: self.failures.saturating_add(1),
            failing_since: self.failing_since.or(Some(now)),
            last_error: error,
            is_answered: failure.is_answered,
            remedy: failure.remedy.map(one_line),
            told: told.or(Some(now)),
            ..self
        }
    }

    /// The state without what lies in the future, or before there was any such server: the clock was wrong then, or is
    /// now, or somebody wrote there.
    fn at(mut self, now: Timestamp) -> Self {
        let past = |at: &Timestamp| (FIRST..=now).contains(at);
        self.servers.retain(|_, known| past(&known.at));
        self.failing_since = self.failing_since.filter(past);
        self.told = self.told.filter(past);
        self.last_success = self.last_success.filter(past);
        self.renewal_tried = self.renewal_tried.filter(past);
        self.changed = self.changed.filter(past);
        let soon = after(now, ASKED_WITHIN);
        self.next_try = self.next_try.filter(|at| (FIRST..=soon).contains(at));
        self
    }

    fn parse(octets: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(octets).ok()?;
        if value.get("version")?.as_u64()? != VERSION {
            return None;
        }
        let time = |key: &str| value.get(key)?.as_str()?.parse::<Timestamp>().ok();
        let servers = value.get("services")?.as_object()?;
        let servers = servers
            .iter()
            .map(|(service, known)| Some((service.clone(), ValidatedSrv::parse(known)?)));
        let failures = value.get("failures")?.as_u64()?;
        let error = value.get("last_error").and_then(Value::as_str);
        Some(Self {
            servers: servers.collect::<Option<_>>()?,
            next_try: time("next_try"),
            failures: u32::try_from(failures).ok()?,
            failing_since: time("failing_since"),
            last_error: error.map(one_line),
            is_answered: value.get("answered").and_then(Value::as_bool) == Some(true),
            remedy: value.get("remedy").and_then(Value::as_str).map(one_line),
            told: time("told"),
            last_success: time("last_success"),
            renewal_tried: time("renewal_tried"),
            changed: Some(time("changed")?),
            ..Self::new(value.get("address")?.as_str()?)
        })
    }

    fn to_json(&self) -> Value {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let servers = self.servers.iter();
        let servers: serde_json::Map<String, Value> = servers
            .map(|(service, known)| (service.clone(), known.to_json()))
            .collect();
        json!({
            "version": VERSION,
            "address": self.address,
            "services": servers,
            "failures": self.failures,
            "failing_since": time(self.failing_since),
            "next_try": time(self.next_try),
            "last_error": self.last_error,
            "answered": self.is_answered,
            "remedy": self.remedy,
            "told": time(self.told),
            "last_success": time(self.last_success),
            "renewal_tried": time(self.renewal_tried),
            "changed": time(self.changed),
        })
    }
}

impl ValidatedSrv {
    fn parse(value: &Value) -> Option<Self> {
        let record = |value: &Value| {
            let number = |key: &str| u16::try_from(value.get(key)?.as_u64()?).ok();
            let target = value.get("target")?.as_str()?;
            target.parse::<InternetAddress>().ok()?;
            Some(SrvRecord {
                priority: number("priority")?,
                weight: number("weight")?,
                port: number("port").filter(|port| *port > 0)?,
                target: target.to_owned(),
            })
        };
        let records = value.get("records")?.as_array()?.iter();
        let records: Vec<SrvRecord> = records.map(record).collect::<Option<_>>()?;
        let ttl = value.get("ttl")?.as_u64()?;
        Some(Self {
            records: Some(records).filter(|records| !records.is_empty())?,
            at: value.get("at")?.as_str()?.parse().ok()?,
            ttl: SignedDuration::from_secs(u32::try_from(ttl).ok()?.into()),
        })
    }

    fn to_json(&self) -> Value {
        let record = |record: &SrvRecord| {
            json!({
                "priority": record.priority,
                "weight": record.weight,
                "port": record.port,
                "target": record.target,
            })
        };
        let records: Vec<Value> = self.records.iter().map(record).collect();
        let ttl = u32::try_from(self.ttl.as_secs().max(0)).unwrap_or(u32::MAX);
        json!({ "at": self.at.to_string(), "ttl": ttl, "records": records })
    }
}

/// An error as one line: a server may have written a part of it.
fn one_line(text: &str) -> String {
    let escape = |it: char| -> String {
        if it.is_control() {
            it.escape_default().collect()
        } else {
            it.into()
        }
    };
    text.chars().take(MAX_ERROR_LEN).map(escape).collect()
}

/// Whether a file of this name is one for an address.
pub(crate) fn is_named(name: &str) -> bool {
    hex::octets::<32>(name.as_bytes()).is_some()
}

/// Checks that the folder is one, if it is there: what a link leads to is not this spool's.
fn check_folder(folder: &Path) -> Result<(), Error> {
    let found = tree::stat(folder, FileRole::Spool)?;
    if found.is_none_or(|found| found.is_dir) {
        return Ok(());
    }
    let (path, role) = (folder.to_owned(), FileRole::Spool);
    Err(disk::Error::NotRegular { path, role }.into())
}

/// What is said in a file of this folder; `None` if it cannot be read, or is of another version.
fn read(path: &Path) -> Option<HostState> {
    let octets = files::read(path, FileRole::Spool, MAX_LEN).ok()?;
    HostState::parse(&octets)
}

/// When a file of this folder was last written; `None` if it does not say so.
pub(crate) fn changed_at(path: &Path) -> Option<Timestamp> {
    read(path)?.changed
}

impl Spool {
    /// The file with what is known of the servers of an address.
    pub(crate) fn host_path(&self, address: &str) -> PathBuf {
        let name = Hex(&sha256(address.as_bytes())).to_string();
        self.root().join(FOLDER).join(name)
    }

    /// What is known of the servers of an address, or of a server that the operator named as `host:port`.
    #[must_use]
    pub fn host_state(&self, address: &str, now: Timestamp) -> HostState {
        let new = HostState::new(address);
        let is_folder = check_folder(&self.root().join(FOLDER)).is_ok();
        let known = is_folder.then(|| read(&self.host_path(&new.address)));
        let known = known.flatten();
        let known = known.filter(|known| known.address == new.address);
        known.map_or(new, |known| known.at(now))
    }

    /// What is known of all servers, in the order of their addresses.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn host_states(&self, now: Timestamp) -> Result<Vec<HostState>, Error> {
        let folder = self.root().join(FOLDER);
        check_folder(&folder)?;
        let listed = tree::entries(&folder, FileRole::Spool)?.entries;
        let files = listed.iter().filter(|it| it.kind == EntryKind::File);
        let named = files.filter(|it| it.name.to_str().is_some_and(is_named));
        let mut states: Vec<HostState> = named.filter_map(|it| read(&it.path)).collect();
        states.sort_by(|one, other| one.address.cmp(&other.address));
        Ok(states.into_iter().map(|state| state.at(now)).collect())
    }

    /// Stores what is known at `now`.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn set_host_state(&self, state: &HostState, now: Timestamp) -> Result<(), Error> {
        let path = self.host_path(&state.address);
        let folder = self.root().join(FOLDER);
        check_folder(&folder)?;
        files::create_dir_all_private(&folder, FileRole::Spool)?;
        let state = HostState {
            changed: Some(now),
            ..state.clone()
        };
        let text = format!("{}\n", state.to_json());
        let manner = PublishOptions::stored(FileRole::Spool, IfExists::Replace);
        publish::publish(&path, &[text.as_bytes()], &manner)?;
        Ok(())
    }

    /// Notes that a server of an address did what it was asked for.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub fn note_host_success(&self, address: &str, now: Timestamp) -> Result<(), Error> {
        let state = self.host_state(address, now).succeeding(now);
        self.set_host_state(&state, now)
    }

    /// Notes that a renewal of the registration with the gateway at an address is tried.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub fn note_renewal(&self, address: &str, now: Timestamp) -> Result<(), Error> {
        let state = HostState {
            renewal_tried: Some(now),
            ..self.host_state(address, now)
        };
        self.set_host_state(&state, now)
    }

    /// Notes that no server of an address did so, and why. Returns whether that is news: the failure before was another
    /// one, or was news a day ago.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub fn note_host_failure(
        &self,
        address: &str,
        failure: &HostFailure<'_>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let before = self.host_state(address, now);
        let told = before.told;
        let state = before.failing(failure, now);
        self.set_host_state(&state, now)?;
        Ok(state.told != told)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::spool::testspool;

    const ADDRESS: &str = "gw.example.org";

    fn at(seconds: i64) -> Timestamp {
        let start: Timestamp = "2027-05-01T00:00:00Z".parse().unwrap();
        start + SignedDuration::from_secs(seconds)
    }

    fn failure(error: &str, asked: Option<SignedDuration>) -> HostFailure<'_> {
        HostFailure {
            error,
            asked,
            ..HostFailure::default()
        }
    }

    fn state(ttl: i64) -> HostState {
        let record = SrvRecord {
            priority: 1,
            weight: 2,
            port: 443,
            target: "host.example.org".to_owned(),
        };
        let mut state = HostState::new("GW.example.org.");
        let known = ValidatedSrv {
            records: vec![record],
            at: at(0),
            ttl: SignedDuration::from_secs(ttl),
        };
        state.servers.insert("awala-gsc".to_owned(), known);
        state
    }

    #[test]
    fn servers_are_used_until_their_ttl_and_longer_without_a_resolver() {
        let day = 24 * 3600;
        for (ttl, lasts) in [(0, 300), (299, 300), (3600, 3600), (90 * day, 30 * day)] {
            let state = state(ttl);
            assert!(state.fresh("awala-gsc", at(lasts - 1)).is_some(), "{ttl}");
            assert!(state.fresh("awala-gsc", at(lasts)).is_none(), "{ttl}");
            assert!(state.fresh("awala-crc", at(0)).is_none());
            assert!(state.old("awala-gsc", at(30 * day - 1)).is_some());
            assert!(state.old("awala-gsc", at(30 * day)).is_none());
        }
    }

    #[test]
    fn what_is_stored_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(dir.path());
        assert_eq!(spool.host_states(at(0)).unwrap(), []);
        let failure = HostFailure {
            is_answered: true,
            remedy: Some("ask"),
            ..failure("no\nway\u{1b}[31m", None)
        };
        let mut stored = state(60).failing(&failure, at(0));
        stored.last_success = Some(at(-5));
        spool.set_host_state(&stored, at(1)).unwrap();
        let read = spool.host_state(ADDRESS, at(2));
        let expected = HostState {
            changed: Some(at(1)),
            ..stored
        };
        assert_eq!(read, expected);
        assert_eq!(read.last_error.as_deref(), Some("no\\nway\\u{1b}[31m"));
        assert_eq!(spool.host_states(at(2)).unwrap(), [expected]);
        let path = spool.host_path(ADDRESS);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(changed_at(&path), Some(at(1)));
        // The clock went back.
        let read = spool.host_state(ADDRESS, at(-10));
        let nothing = HostState {
            failures: 1,
            next_try: Some(at(60)),
            last_error: read.last_error.clone(),
            is_answered: true,
            remedy: Some("ask".to_owned()),
            ..HostState::new(ADDRESS)
        };
        assert_eq!(read, nothing);
        assert!(
            spool
                .host_state(ADDRESS, at(-30 * 3600))
                .is_due(at(-30 * 3600))
        );
    }

    #[test]
    fn what_cannot_be_read_counts_as_none_and_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(dir.path());
        spool.set_host_state(&state(60), at(0)).unwrap();
        let path = spool.host_path(ADDRESS);
        let good = std::fs::read_to_string(&path).unwrap();
        let long = "x".repeat(MAX_LEN + 1);
        for bad in [
            "",
            "{",
            "[]",
            &good[..good.len() / 2],
            &good.replace("\"version\":1", "\"version\":2"),
            &good.replace("443", "0"),
            &good.replace("host.example.org", "10.0.0.1"),
            &good.replace("443", "65536"),
            &good.replace("gw.example", "gx.example"),
            &good.replace("2027-05-01", "2027-99-01"),
            &long,
        ] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(
                spool.host_state(ADDRESS, at(0)),
                HostState::new(ADDRESS),
                "{bad}"
            );
        }
        spool.note_host_success(ADDRESS, at(7)).unwrap();
        assert_eq!(spool.host_state(ADDRESS, at(8)).last_success, Some(at(7)));
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert_eq!(spool.host_state(ADDRESS, at(0)), HostState::new(ADDRESS));
    }

    #[test]
    fn a_server_that_fails_is_tried_less_and_less_often() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(dir.path());
        let minutes = |asked: Option<i64>| {
            let asked = asked.map(SignedDuration::from_mins);
            spool
                .note_host_failure("Gw.example.org", &failure("no", asked), at(0))
                .unwrap();
            let state = spool.host_state(ADDRESS, at(0));
            assert!(!state.is_due(at(0)) || asked == Some(SignedDuration::ZERO));
            let next = state.next_try.unwrap();
            assert!(state.is_due(next));
            next.duration_since(at(0)).as_mins()
        };
        let waits: Vec<i64> = (0..9).map(|_| minutes(None)).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(minutes(Some(3)), 3);
        assert_eq!(minutes(Some(0)), 0);
        assert_eq!(minutes(Some(100 * 24 * 60)), 24 * 60);
        let state = spool.host_state(ADDRESS, at(0));
        assert_eq!((state.failures, state.failing_since), (12, Some(at(0))));
        spool.note_host_success(ADDRESS, at(1)).unwrap();
        let state = spool.host_state(ADDRESS, at(1));
        assert_eq!((state.failures, state.failing_since), (0, None));
        assert_eq!((state.last_error, state.next_try), (None, None));
        assert_eq!(minutes(None), 1);
    }

    #[test]
    fn a_link_in_the_place_of_the_folder_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(dir.path());
        spool.note_host_success(ADDRESS, at(0)).unwrap();
        let folder = spool.root().join(FOLDER);
        let elsewhere = dir.path().join("elsewhere");
        std::fs::rename(&folder, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &folder).unwrap();
        assert_eq!(spool.host_state(ADDRESS, at(1)), HostState::new(ADDRESS));
        assert!(spool.host_states(at(1)).is_err());
        assert!(spool.note_host_success("other.example.org", at(1)).is_err());
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 1);
    }

    #[test]
    fn times_that_cannot_be_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(dir.path());
        for absurd in [
            "0001-01-01T00:00:00Z",
            "1999-12-31T23:59:59Z",
            "9000-01-01T00:00:00Z",
        ] {
            let absurd: Timestamp = absurd.parse().unwrap();
            let mut stored = state(60).failing(&failure("no", None), at(0));
            for servers in stored.servers.values_mut() {
                servers.at = absurd;
            }
            stored.failing_since = Some(absurd);
            stored.next_try = Some(absurd);
            stored.last_success = Some(absurd);
            stored.renewal_tried = Some(absurd);
            stored.told = Some(absurd);
            spool.set_host_state(&stored, at(0)).unwrap();
            let expected = HostState {
                failures: 1,
                last_error: Some("no".to_owned()),
                changed: Some(at(0)),
                ..HostState::new(ADDRESS)
            };
            assert_eq!(spool.host_state(ADDRESS, at(0)), expected, "{absurd}");
        }
    }

    #[test]
    fn a_failure_is_news_once_a_day_and_when_it_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(dir.path());
        let is_news = |error: &str, time: i64| {
            let noted = spool.note_host_failure(ADDRESS, &failure(error, None), at(time));
            // A resolver was asked in the same run.
            let state = spool.host_state(ADDRESS, at(time));
            spool.set_host_state(&state, at(time)).unwrap();
            noted.unwrap()
        };
        let day = 24 * 3600;
        assert!(is_news("no", 0));
        assert!(!is_news("no", 60));
        assert!(is_news("other", 120));
        assert!(is_news("no", 180));
        assert!(!is_news("no", 180 + day - 1));
        assert!(is_news("no", 180 + day));
        assert!(!is_news("no", 240 + day));
        spool.note_host_success(ADDRESS, at(300 + day)).unwrap();
        assert!(is_news("no", 360 + day));
        // The clock went back.
        assert!(is_news("no", 0));
    }
}
