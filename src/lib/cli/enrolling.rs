//! Where relay-enroll registers a node.

use jiff::Timestamp;

use super::args::NetworkOptions;
use super::errors::Usage;
use super::plan::certificate_word;
use super::{files, report};
use crate::asn1::Hex;
use crate::binding::address::Service;
use crate::binding::server::LOCAL_PORT;
use crate::binding::{Error, Network, Server};
use crate::describe::{self, json};
use crate::message::Registration;
use crate::node::pinned_host::parse_pin;
use crate::node::{self, Config, Directory, ownership};
use crate::ramf::InternetAddress;

/// The gateway to register with.
#[derive(Debug, clap::Args)]
pub struct EnrollTarget {
    /// The gateway: its Internet address, or HOST:PORT where its server is
    #[arg(value_name = "ADDRESS", required_unless_present = "local")]
    address: Option<String>,
    /// Register an endpoint with the gateway on this machine [default: 127.0.0.1:13276]
    #[arg(long, conflicts_with_all = ["pin", "resolver", "ca"])]
    local: bool,
    /// Accept the certificate whose public key has this SHA-256, and no other
    #[arg(long, value_name = "SHA256", value_parser = parse_pin)]
    pin: Option<[u8; 32]>,
}

impl EnrollTarget {
    /// The way to the gateway: to one on this machine no setting of the network leads.
    ///
    /// # Errors
    /// As [`NetworkOptions::network`].
    pub fn network(&self, options: &NetworkOptions, config: &Config) -> Result<Network, Error> {
        if self.local {
            return Ok(Network::default());
        }
        options.network(Some(config))
    }

    /// The servers to ask, in this order.
    ///
    /// # Errors
    /// When the address is malformed, or has no servers.
    pub fn servers(&self, network: &Network, now: Timestamp) -> anyhow::Result<Vec<Server>> {
        if self.local {
            return self.local_server().map(|server| vec![server]);
        }
        let text = self.address.as_deref().unwrap_or_default();
        if text.contains(':') {
            return Ok(vec![Server::named_by_operator(text, self.pin)?]);
        }
        let address: InternetAddress =
            text.parse().map_err(|_| Error::NoServer(text.to_owned()))?;
        let mut servers = network.find(Service::GatewaySync, &address, None, now)?;
        for server in &mut servers {
            if let Some(pin) = self.pin {
                server.certificate = crate::binding::CertificateRule::Pin(pin);
            }
        }
        Ok(servers)
    }

    /// What is to be done after the import, if the gateway was named by its host: its Internet address may lead nowhere.
    #[must_use]
    pub fn next_step(&self) -> Option<String> {
        let host = self.address.as_deref().filter(|text| text.contains(':'))?;
        if self.local {
            return None;
        }
        let pin = self.pin.map(|pin| format!(" --pin {}", Hex(&pin)));
        let pin = pin.unwrap_or_default();
        Some(format!(
            "once it is imported, relay-peers --host {host}{pin} NAME has relay-online find it there"
        ))
    }

    /// The gateway on this machine, which speaks plaintext: that must not leave it.
    fn local_server(&self) -> anyhow::Result<Server> {
        let Some(text) = &self.address else {
            return Ok(Server::local(LOCAL_PORT));
        };
        let port = text
            .strip_prefix("127.0.0.1:")
            .and_then(|port| port.parse().ok());
        match port {
            Some(port) if port > 0 => Ok(Server::local(port)),
            _ => Err(Usage(format!("--local takes 127.0.0.1:PORT, not {text}")).into()),
        }
    }

    /// Checks a registration: that of a gateway carries the session key to which cargo is sealed.
    ///
    /// # Errors
    /// When there is none.
    pub fn check(&self, registration: &Registration) -> Result<(), Error> {
        if !self.local && registration.session_key.is_none() {
            return Err(Error::Protocol {
                server: self.address.clone().unwrap_or_default(),
                problem: "the registration has no session key".to_owned(),
            });
        }
        Ok(())
    }
}

/// Refuses root the registration of another user's node, as other programs do.
///
/// # Errors
/// [`node::DirectoryError::Anothers`]; when the directory cannot be examined.
pub fn check_user(node: &Directory) -> Result<(), node::Error> {
    ownership::check_user(node.root())
}

/// Prints where a run would connect to.
///
/// # Errors
/// When standard output cannot be written.
pub fn print_plan(servers: &[Server], is_json: bool) -> anyhow::Result<()> {
    servers.iter().try_for_each(|server| {
        let rule = certificate_word(server.certificate);
        if is_json {
            return files::print(&json::line(&serde_json::json!({
                "v": describe::VERSION,
                "host": server.host.to_string(),
                "port": server.port,
                "certificate": rule,
            })));
        }
        let host = report::escaped(&server.host.to_string());
        files::print(&format!("{host}\t{}\t{rule}", server.port))
    })
}
