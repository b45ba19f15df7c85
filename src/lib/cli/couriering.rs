//! A courier that gateways in a local network reach.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use sd_notify::NotifyState;

use super::clock::ClockArgs;
use super::listening::{self, ListenAddress};
use super::serving::{self, ServeErrors};
use super::{exchange, report};
use crate::command;
use crate::medium::Medium;
use crate::serve::channel::Channel;
use crate::serve::courier::{self, CourierContext, CourierEvent};
use crate::serve::protocol::{FrontTerms, ServeRole, ToFront};

/// Where deployed gateways look for a courier: at the port of the machine that gives them the network.
const COURIER: &str = "[::]:21473";

/// How a courier is to serve.
#[derive(Debug)]
pub struct CourierOptions {
    /// The directory of its medium.
    pub medium: PathBuf,
    /// Whether it is made a medium, if it is not one.
    pub makes_medium: bool,
    /// The most octets of messages on it.
    pub quota: Option<u64>,
    /// Where to listen, where the service manager passes no sockets.
    pub listen: Vec<ListenAddress>,
    /// The most connections at once.
    pub connections: usize,
}

/// Serves until a signal ends it.
///
/// # Errors
/// When the medium or the sockets cannot be used, or the process that speaks with the network ends by itself.
pub fn serve(options: &CourierOptions, clock: &ClockArgs) -> anyhow::Result<()> {
    let medium = if options.makes_medium {
        Medium::init(&options.medium)?
    } else {
        Medium::open(&options.medium)?
    };
    clock.now(None)?;
    let sockets = if options.listen.is_empty() {
        let default = COURIER.parse().map_err(super::errors::Usage)?;
        listening::sockets(&[default])?
    } else {
        listening::sockets(&options.listen)?
    };
    serving::raise_limit(options.connections)?;
    let stops = command::stop_flag()?;
    let (channel, other) = Channel::pair()?;
    // Before any thread is made.
    let mut front = serving::start_front(other.into_socket())?;
    let terms = FrontTerms {
        has_tls: true,
        is_behind_proxy: false,
        makes_certificates: true,
        role: ServeRole::Courier,
        connections: options.connections,
    };
    let passed: Vec<_> = sockets.iter().map(OwnedFd::as_fd).collect();
    channel.send(&ToFront::Begin(terms), &[], &passed)?;
    let labels: Vec<String> = sockets.iter().map(listening::label).collect();
    drop(sockets);
    report::event("serving", &[("at", &labels.join(" "))]);
    serving::tell_manager(&[NotifyState::Ready]);
    let log = CourierLog {
        medium: medium.id().to_owned(),
        errors: ServeErrors::default(),
    };
    let context = CourierContext {
        medium: &medium,
        quota: options.quota,
        clock: &|| {
            let now = clock.now(None)?;
            Ok((now, clock.window(now, None)))
        },
        stops: &stops,
        report: &|event| log.tell(event),
    };
    let ended = courier::run(&context, &channel);
    serving::tell_manager(&[NotifyState::Stopping]);
    drop(channel);
    serving::end(&mut front);
    Ok(ended?)
}

/// Reports what a courier does.
struct CourierLog {
    medium: String,
    errors: ServeErrors,
}

impl CourierLog {
    fn tell(&self, event: CourierEvent) {
        let told = |word: &str, facts: &[(&str, String)]| {
            let facts: Vec<(&str, &str)> = facts
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            report::event(word, &facts);
        };
        match event {
            CourierEvent::Received {
                sender,
                recipient,
                len,
                is_new,
            } => {
                let word = if is_new { "received" } else { "repeated" };
                let facts = [
                    ("from", sender.to_string()),
                    ("to", recipient.to_string()),
                    ("octets", len.to_string()),
                ];
                told(word, &facts);
            }
            CourierEvent::Asked { gateway, by } => {
                told(
                    "asked",
                    &[("from", by.to_string()), ("to", gateway.to_string())],
                );
            }
            CourierEvent::Taken { gateway, len } => {
                told(
                    "taken",
                    &[("to", gateway.to_string()), ("octets", len.to_string())],
                );
            }
            CourierEvent::Freed(file) => {
                let medium = self.medium.clone();
                let event = crate::medium::ExchangeEvent::Freed { file, medium };
                exchange::log_change(event, &self.medium);
            }
            CourierEvent::Refused(why) => told("refused", &[("why", why)]),
            CourierEvent::Unread { file, error } => {
                self.errors
                    .tell(&anyhow::Error::from(error).context(file.to_string()));
            }
            CourierEvent::Counted(_) => {}
            CourierEvent::Failed(error) => self.errors.tell(&error.into()),
        }
    }
}
