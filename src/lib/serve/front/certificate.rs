//! The certificate that the server shows, which may change while it runs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::link::{KeeperAnswer, KeeperLink};
use crate::pipeline::mutex::lock;
use crate::serve::Error;
use crate::serve::protocol::ToKeeper;

/// After this time a certificate for an address is made anew: it is valid for 24 hours.
const ANEW_AFTER: Duration = Duration::from_secs(12 * 3600);

/// The certificate that new connections are shown.
#[derive(Debug, Default)]
pub struct ShownCertificate {
    config: Mutex<Option<Arc<ServerConfig>>>,
}

impl ShownCertificate {
    /// Shows another certificate from now on: its chain and its key, in DER.
    ///
    /// # Errors
    /// When they do not fit together.
    pub fn set(&self, chain: Vec<Vec<u8>>, key: Vec<u8>) -> Result<(), Error> {
        let config = config(chain, key)?;
        *lock(&self.config) = Some(Arc::new(config));
        Ok(())
    }

    /// What a connection is made with; `None` before the first certificate.
    #[must_use]
    pub fn get(&self) -> Option<Arc<ServerConfig>> {
        lock(&self.config).clone()
    }
}

/// Certificates for addresses of this machine, made when they are first needed.
#[derive(Debug, Default)]
pub(super) struct LanCertificates {
    made: tokio::sync::Mutex<HashMap<IpAddr, (Instant, Arc<ServerConfig>)>>,
}

impl LanCertificates {
    /// What connections to an address are made with; `None` if there is no certificate for it.
    pub(super) async fn get(
        &self,
        address: IpAddr,
        keeper: &KeeperLink,
    ) -> Option<Arc<ServerConfig>> {
        let mut made = self.made.lock().await;
        if let Some((at, config)) = made.get(&address)
            && at.elapsed() < ANEW_AFTER
        {
            return Some(Arc::clone(config));
        }
        let call = keeper.new_call();
        let asks = ToKeeper::LanCertificate { call, address };
        let Some(KeeperAnswer::Certificate(chain, key)) = keeper.ask(call, asks, Vec::new()).await
        else {
            return None;
        };
        let config = Arc::new(config(chain, key).ok()?);
        made.insert(address, (Instant::now(), Arc::clone(&config)));
        Some(config)
    }
}

/// TLS 1.2 and 1.3 with this certificate. Deployed phones offer nothing else than 1.2.
///
/// # Errors
/// When the chain and the key do not fit together, or are malformed.
pub fn config(chain: Vec<Vec<u8>>, key: Vec<u8>) -> Result<ServerConfig, Error> {
    let wrong = |problem: String| Error::Certificate { problem };
    let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::try_from(key).map_err(|problem| wrong(problem.to_owned()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| wrong(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
