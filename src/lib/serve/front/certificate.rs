//! The certificate that the server shows, which may change while it runs.

use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::pipeline::mutex::lock;
use crate::serve::Error;

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
