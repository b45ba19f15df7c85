//! What relay-serve does and reports.

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sd_notify::NotifyState;

use super::arrivals::ArrivalRouter;
use super::clock::ClockArgs;
use super::errors::{Postponed, Usage};
use super::exchange;
use super::listening::{self, ListenAddress};
use super::{overview, report};
use crate::binding::tls_certificate::end_of;
use crate::command;
use crate::disk::{FileRole, Lock, files};
use crate::medium::ExchangeEvent;
use crate::node::config::{NodeType, RegistrationSetting};
use crate::node::{Directory, welcome};
use crate::pipeline::mutex::lock;
use crate::pki::Window;
use crate::serve::channel::Channel;
use crate::serve::front::certificate;
use crate::serve::keeper::counts::KeeperCounts;
use crate::serve::keeper::policy::{RegistrationPolicy, shortened};
use crate::serve::keeper::{self, KeeperContext, KeeperEvent};
use crate::serve::protocol::{FrontTerms, ServeRole, ServeVerdict, ToFront};
use crate::serve::{Error, front};
use crate::spool::wire::Reception;
use crate::spool::{Spool, Time};

/// Where an Internet gateway or endpoint listens by default: at every address of the machine.
const INTERNET: &str = "[::]:443";

/// Where a local gateway listens, as deployed applications expect it.
const LOCAL: &str = "127.0.0.1:13276";

/// The largest file of a certificate or key that is read, in octets.
const MAX_PEM: usize = 1 << 20;

/// Files beside connections that the server has open.
const OTHER_FILES: u64 = 256;

/// How long before its end a certificate is warned of.
const ENDS_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The permissions of other users.
const OF_OTHERS: u32 = 0o007;

/// How long another server of the node is waited for.
const LOCK_WITHIN: Duration = Duration::from_millis(300);

/// How long a time that was read is used.
const CLOCK_FOR: Duration = Duration::from_millis(500);

/// What the events of packing and unpacking name as the medium.
const WIRE: &str = "wire";

/// How often the same error is reported, at most.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// How a server is to serve.
#[derive(Debug)]
pub struct ServeOptions {
    /// Where to listen, where the service manager passes no sockets.
    pub listen: Vec<ListenAddress>,
    /// The certificate and its issuers, in PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, in PEM.
    pub key: Option<PathBuf>,
    /// Whether a proxy stands before it.
    pub is_behind_proxy: bool,
    /// The most connections at once.
    pub connections: usize,
}

/// What a server of this node is for.
///
/// # Errors
/// When it is for nothing: an endpoint without an Internet address.
pub fn role_of(node: &Directory) -> anyhow::Result<ServeRole> {
    let config = node.config();
    match (config.node_type(), config.address()) {
        (NodeType::Gateway, Some(_)) => Ok(ServeRole::InternetGateway),
        (NodeType::Gateway, None) => Ok(ServeRole::LocalGateway),
        (NodeType::Endpoint, Some(_)) => Ok(ServeRole::Endpoint),
        (NodeType::Endpoint, None) => Err(Error::NoRole.into()),
    }
}

/// Serves until a signal ends it.
///
/// # Errors
/// When the node, its sockets or its certificate cannot be used, another server of it runs, or the process that speaks
/// with the network ends by itself.
pub fn serve(spool: &Spool, options: &ServeOptions, clock: &ClockArgs) -> anyhow::Result<()> {
    let owner = spool.owner();
    let role = role_of(owner)?;
    let path = owner.lock_file("serve")?;
    // relay-status may hold it for a moment, to see whether a server does.
    let mut patience = LOCK_WITHIN;
    let Some(_lock) = Lock::exclusive_within(&path, &mut patience)? else {
        return Err(Postponed("another relay-serve serves this node".to_owned()).into());
    };
    let shown = shown_certificate(options, role)?;
    if let Some(shown) = &shown {
        shown.warn(options, clock.now(Some(owner.config()))?);
    }
    let default = match role {
        ServeRole::LocalGateway => LOCAL,
        ServeRole::Endpoint | ServeRole::InternetGateway | ServeRole::Courier => INTERNET,
    };
    let sockets = if options.listen.is_empty() {
        let default = default.parse().map_err(Usage)?;
        listening::sockets(&[default])?
    } else {
        listening::sockets(&options.listen)?
    };
    check_exposure(&sockets, shown.is_some(), role)?;
    raise_limit(options.connections)?;
    let registration = policy_of(owner);
    // From now on a signal has its meaning, also one that comes as soon as it is said that this serves.
    let signals = ServeSignals {
        stops: command::stop_flag()?,
        reloads: command::reload_flag()?,
    };
    let (channel, other) = Channel::pair()?;
    // Before any thread is made.
    let mut front = start_front(other.into_socket())?;
    let terms = FrontTerms {
        has_tls: shown.is_some(),
        is_behind_proxy: options.is_behind_proxy,
        makes_certificates: false,
        role,
        connections: options.connections,
    };
    let passed: Vec<_> = sockets.iter().map(OwnedFd::as_fd).collect();
    channel.send(&ToFront::Begin(terms), &[], &passed)?;
    if let Some(shown) = &shown {
        shown.show(&channel)?;
    }
    let labels: Vec<String> = sockets.iter().map(listening::label).collect();
    drop(sockets);
    report::event("serving", &[("at", &labels.join(" "))]);
    tell_manager(&[NotifyState::Ready]);
    let ended = keep(
        spool,
        (role, registration),
        clock,
        &channel,
        options,
        &signals,
    );
    tell_manager(&[NotifyState::Stopping]);
    drop(channel);
    end(&mut front);
    ended
}

/// What signals set.
struct ServeSignals {
    stops: Arc<AtomicBool>,
    reloads: Arc<AtomicBool>,
}

/// Runs the keeper in this process.
fn keep(
    spool: &Spool,
    (role, registration): (ServeRole, RegistrationPolicy),
    clock: &ClockArgs,
    channel: &Channel,
    options: &ServeOptions,
    ServeSignals { stops, reloads }: &ServeSignals,
) -> anyhow::Result<()> {
    let owner = spool.owner();
    // It is asked for with each parcel, and the evidence for it is in files.
    let read: Mutex<Option<(Instant, (Time, Window))>> = Mutex::default();
    let time = || {
        let mut read = lock(&read);
        if let Some((at, time)) = *read
            && at.elapsed() < CLOCK_FOR
        {
            return Ok(time);
        }
        let config = owner.config();
        let now = clock.now(Some(config))?;
        let window = clock.window(now, Some(config));
        let time = (spool.time(now, &window)?, window);
        *read = Some((Instant::now(), time));
        Ok(time)
    };
    let log = ServeLog::default();
    let now = || time().map(|(time, _)| time.told);
    let counts = KeeperCounts::new(now()?);
    let came = AtomicBool::new(false);
    let context = KeeperContext {
        spool,
        role,
        registration,
        clock: &time,
        stops,
        report: &|event| {
            counts.note(&event);
            log.tell(owner, event);
        },
        route: &|ends: &AtomicBool, routed: &dyn Fn()| {
            let goes_on = || !ends.load(Ordering::Relaxed) && !stops.load(Ordering::Relaxed);
            let arrivals = ArrivalRouter {
                spool,
                clock,
                goes_on: &goes_on,
                is_asked: &|| came.swap(false, Ordering::Relaxed),
                pulse: &|| {},
                routed,
                // What a moment's shortage ends goes on after it: others are served meanwhile.
                trouble: &|error| {
                    log.errors.tell(&error.into());
                    Ok(())
                },
            };
            // No trouble ends it.
            let _ = arrivals.run();
        },
        came: &|| came.store(true, Ordering::Relaxed),
    };
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| counts.write(spool, &now, &ends, &|error| log.errors.tell(&error.into())));
        let kept = keeper::run(&context, channel, &mut |channel| {
            if reloads.swap(false, Ordering::Relaxed) {
                reload(channel, options, role, now().ok());
            }
        });
        ends.store(true, Ordering::Relaxed);
        kept
    })?;
    Ok(())
}

/// Reads the certificate again, on SIGHUP. One that cannot be used changes nothing.
fn reload(channel: &Channel, options: &ServeOptions, role: ServeRole, now: Option<Timestamp>) {
    let reloading = NotifyState::monotonic_usec_now().map(|now| [NotifyState::Reloading, now]);
    if let Ok(reloading) = reloading {
        tell_manager(&reloading);
    }
    let shown = shown_certificate(options, role).and_then(|shown| {
        if let Some(shown) = shown {
            shown.show(channel)?;
            report::event("reloaded", &[]);
            if let Some(now) = now {
                shown.warn(options, now);
            }
        }
        Ok(())
    });
    if let Err(error) = shown {
        report::failure(None, &error);
        report::hint("the certificate from before stays in use");
    }
    tell_manager(&[NotifyState::Ready]);
}

/// A certificate with its key, in DER.
struct ShownPair {
    chain: Vec<Vec<u8>>,
    key: Vec<u8>,
}

impl ShownPair {
    fn show(&self, channel: &Channel) -> anyhow::Result<()> {
        let chain = self.chain.clone();
        Ok(channel.send(&ToFront::Certificate { chain }, &self.key, &[])?)
    }

    /// Warns of a certificate that has ended or soon does, which clients refuse, and of a key that others can read.
    fn warn(&self, options: &ServeOptions, now: Timestamp) {
        let end = self.chain.first().and_then(|leaf| end_of(leaf));
        if let Some(end) = end
            && end.duration_since(now) <= ENDS_SOON
        {
            let text = if end < now {
                format!("the certificate of the server has ended at {end}: clients refuse it")
            } else {
                let left = overview::words(end.duration_since(now));
                format!("the certificate of the server ends in {left}")
            };
            report::warn_with(&text, "renew it, and send SIGHUP");
        }
        // The file that a link leads to counts. What cannot be examined was read a moment ago.
        let mode = options.key.as_ref().and_then(|key| {
            let metadata = key.metadata().ok()?;
            Some((key, metadata.mode()))
        });
        if let Some((key, mode)) = mode
            && mode & OF_OTHERS != 0
        {
            let key = report::path(key);
            let text = format!("{key}: open to all users (mode {:04o})", mode & 0o7777);
            report::warn_with(&text, &format!("chmod o= {key}"));
        }
    }
}

/// The certificate that the options name; `None` for a server without TLS.
fn shown_certificate(options: &ServeOptions, role: ServeRole) -> anyhow::Result<Option<ShownPair>> {
    let (certificate, key) = match (&options.certificate, &options.key) {
        (Some(certificate), Some(key)) => (certificate, key),
        _ if options.is_behind_proxy || role == ServeRole::LocalGateway => return Ok(None),
        _ => {
            let text = "--cert and --key are needed, or --behind-proxy where a proxy has them";
            return Err(Usage(text.to_owned()).into());
        }
    };
    let wrong = |path: &Path, problem: String| Error::Certificate {
        problem: format!("{}: {problem}", path.display()),
    };
    let text = read_pem(certificate)?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| wrong(certificate, error.to_string()))?;
    let chain: Vec<Vec<u8>> = chain.into_iter().map(|it| it.to_vec()).collect();
    if chain.is_empty() {
        return Err(wrong(certificate, "no certificate in PEM".to_owned()).into());
    }
    let text = zeroize::Zeroizing::new(read_pem(key)?);
    let der = PrivateKeyDer::from_pem_slice(&text);
    let der = der.map_err(|error| wrong(key, error.to_string()))?;
    let pair = ShownPair {
        chain,
        key: der.secret_der().to_vec(),
    };
    certificate::config(pair.chain.clone(), pair.key.clone())?;
    Ok(Some(pair))
}

fn read_pem(path: &Path) -> anyhow::Result<Vec<u8>> {
    let text = files::read(path, FileRole::Input, MAX_PEM);
    text.with_context(|| path.display().to_string())
}

/// Refuses to serve without TLS what others than this machine reach.
fn check_exposure(sockets: &[OwnedFd], has_tls: bool, role: ServeRole) -> anyhow::Result<()> {
    for socket in sockets {
        if has_tls && role != ServeRole::LocalGateway || listening::is_local(socket)? {
            continue;
        }
        let at = listening::label(socket);
        let text = if role == ServeRole::LocalGateway {
            format!("a gateway without an Internet address serves this machine alone, not {at}")
        } else {
            format!("without TLS it serves a proxy on this machine alone, not {at}")
        };
        return Err(Usage(text).into());
    }
    Ok(())
}

/// Lets this process and the front open files for so many connections.
pub(super) fn raise_limit(connections: usize) -> anyhow::Result<()> {
    let wanted = connections as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
        let raised = Rlimit {
            current,
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised).map_err(std::io::Error::from)?;
        if let Some(most) = limit.maximum.filter(|most| *most < wanted) {
            report::warn_with(
                &format!("{most} files may be open, which is fewer than --connections asks for"),
                "LimitNOFILE= of the unit, or ulimit -n, raises that",
            );
        }
    }
    Ok(())
}

/// Who may be registered, by the setting of the node.
fn policy_of(node: &Directory) -> RegistrationPolicy {
    match node.config().registration() {
        RegistrationSetting::Closed => RegistrationPolicy::Closed,
        RegistrationSetting::Local => RegistrationPolicy::Local,
        RegistrationSetting::Open => RegistrationPolicy::Open,
        RegistrationSetting::Known => {
            let root = node.root().to_owned();
            RegistrationPolicy::Known(Box::new(move || Ok(welcome::allowed(&root)?)))
        }
    }
}

/// Starts this executable again, as the front.
pub(super) fn start_front(socket: OwnedFd) -> anyhow::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("relay-serve")
        .arg("--front")
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    Ok(command.spawn().map_err(Error::Channel)?)
}

/// Ends the front, if it has not ended by itself.
pub(super) fn end(front: &mut Child) {
    for _ in 0..20 {
        if front.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = front.kill();
    let _ = front.wait();
}

/// Speaks with the network for the keeper, which is the other end of standard input.
///
/// # Errors
/// When standard input is no such socket, and those of [`front::run`].
pub fn run_front() -> anyhow::Result<()> {
    // The keeper says when it is enough; a terminal sends its signals to both.
    let _stops = command::stop_flag()?;
    let socket = std::io::stdin().as_fd().try_clone_to_owned();
    let channel = socket.map_err(Error::Channel)?;
    let is_channel = Channel::of(channel.try_clone().map_err(Error::Channel)?).is_ok();
    if !is_channel {
        return Err(Usage("--front is for relay-serve itself".to_owned()).into());
    }
    Ok(front::run(channel)?)
}

pub(super) fn tell_manager(state: &[NotifyState<'_>]) {
    // Without a service manager there is nobody to tell.
    let _ = sd_notify::notify(state);
}

/// Reports what a server does.
#[derive(Default)]
struct ServeLog {
    errors: ServeErrors,
}

impl ServeLog {
    fn tell(&self, node: &Directory, event: KeeperEvent) {
        match event {
            KeeperEvent::Parcel { name, id, fate, .. } => {
                let word = match fate {
                    Reception::Stored => "stored",
                    Reception::Repeated => "repeated",
                    Reception::Loop => "loop",
                };
                let (from, to) = (name.identity.sender, name.identity.recipient);
                let facts = [
                    ("id", id.as_str()),
                    ("from", &from.to_string()),
                    ("to", &to.to_string()),
                ];
                report::event(word, &facts);
            }
            KeeperEvent::Refused { verdict, peer } => {
                let (word, why) = match &verdict {
                    ServeVerdict::Done => return,
                    ServeVerdict::Malformed(why)
                    | ServeVerdict::Refused(why)
                    | ServeVerdict::Unregistered(why) => ("refused", why),
                    ServeVerdict::Busy(why) | ServeVerdict::Full(why) => ("deferred", why),
                };
                let peer = peer.map(shortened);
                let mut facts = vec![("why", why.as_str())];
                facts.extend(peer.as_deref().map(|peer| ("from", peer)));
                report::event(word, &facts);
            }
            KeeperEvent::Registered { node: id, until } => {
                let facts = [("node", id.to_string()), ("until", until.to_string())];
                let [node, until] = &facts;
                report::event("registered", &[(node.0, &node.1), (until.0, &until.1)]);
            }
            KeeperEvent::Dropped(id) => report::event("dropped", &[("node", &id.to_string())]),
            KeeperEvent::Collected { name, id, by } => {
                let to = name.identity.recipient.to_string();
                let facts = [("id", id.as_str()), ("to", &to), ("by", &node.label_of(by))];
                report::event("collected", &facts);
            }
            KeeperEvent::Cargo {
                sender,
                len,
                is_new,
            } => {
                let facts = [("from", sender.to_string()), ("octets", len.to_string())];
                let [from, octets] = &facts;
                let word = if is_new { "received" } else { "repeated" };
                report::event(word, &[(from.0, &from.1), (octets.0, &octets.1)]);
            }
            KeeperEvent::CargoTaken { gateway, len } => {
                let facts = [("to", gateway.to_string()), ("octets", len.to_string())];
                let [to, octets] = &facts;
                report::event("taken", &[(to.0, &to.1), (octets.0, &octets.1)]);
            }
            KeeperEvent::Exchange(event) => self.exchanged(*event),
            KeeperEvent::Counted(_) => {}
            KeeperEvent::Failed(error) => self.errors.tell(&error.into()),
        }
    }

    /// Reports what was unpacked or packed. What waits and cannot go is reported by relay-status.
    fn exchanged(&self, event: ExchangeEvent) {
        match event {
            ExchangeEvent::Failed { what, error } | ExchangeEvent::SetAside { what, error } => {
                self.errors.tell(&anyhow::Error::from(error).context(what));
            }
            event => exchange::log_change(event, WIRE),
        }
    }
}

/// Reports errors.
#[derive(Default)]
pub(super) struct ServeErrors {
    /// The last one, and when it was reported.
    last: Mutex<Option<(String, Instant)>>,
}

impl ServeErrors {
    /// Reports an error, unless the same one was reported a moment ago: each request would repeat it.
    pub(super) fn tell(&self, error: &anyhow::Error) {
        let text = report::text_of(error);
        let mut last = lock(&self.last);
        let is_again = last
            .as_ref()
            .is_some_and(|(told, at)| *told == text && at.elapsed() < AGAIN_AFTER);
        if !is_again {
            report::failure(None, error);
            *last = Some((text, Instant::now()));
        }
    }
}
