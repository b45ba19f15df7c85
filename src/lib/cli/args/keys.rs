//! Options for files: keys, certificates, parameters, and trust anchors.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use crate::cli::errors::Usage;
use crate::cli::report;
use crate::crypto::Secret;
use crate::crypto::ecdh::Curve;
use crate::crypto::pbes2::EncryptedKey;
use crate::disk::{FileRole, files};
use crate::message::{CertificationPath, Object};
use crate::node::explicit_files::{Params, ReadSessionKey};
use crate::node::session_secret::SessionSecret;
use crate::node::{self, ExplicitFiles, Passphrase, certificates, key_file};
use crate::pki::{IdentityKey, NodeId, Trust};
use crate::ramf::limits;
use crate::session::{KeyId, PrivateSessionKey};

/// The largest file with keys, certificates or parameters, in octets.
pub const MAX_PARAMS_LEN: usize = 256 * 1024;

/// `--session-key` and `--session-key-id`.
#[derive(Debug, clap::Args)]
pub struct SessionKeyFile {
    /// Our private session key (PKCS#8, PEM or DER)
    #[arg(long, value_name = "FILE")]
    session_key: Option<PathBuf>,
    /// The id of that key, in hexadecimal
    #[arg(long, value_name = "HEX", requires = "session_key")]
    session_key_id: Option<KeyId>,
}

impl SessionKeyFile {
    /// Whether the option is given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.session_key.is_some()
    }

    /// Reads the key, which must have an id: the caller sends the key along, and answers name it by
    /// its id.
    ///
    /// # Errors
    /// When the file is unreadable, malformed or readable by others, or the key has no id.
    pub fn read_with_id(
        &self,
        passphrase: &Passphrase,
    ) -> anyhow::Result<Option<PrivateSessionKey>> {
        match self.read(passphrase)? {
            Some((_, false)) => {
                Err(Usage("--session-key-id is needed with this session key".to_owned()).into())
            }
            Some((key, true)) => Ok(Some(key)),
            None => Ok(None),
        }
    }

    /// Reads the key as [`Self::read_with_id`] does; without the option, makes a key and stores it
    /// in the file `save`.
    ///
    /// # Errors
    /// As [`Self::read_with_id`], and when the new key cannot be stored.
    pub fn read_or_make(
        &self,
        passphrase: &Passphrase,
        save: Option<&Path>,
    ) -> anyhow::Result<Option<PrivateSessionKey>> {
        match (self.read_with_id(passphrase)?, save) {
            (None, Some(path)) => {
                let node = ExplicitFiles {
                    save_session_key: Some(path.to_owned()),
                    ..ExplicitFiles::default()
                };
                Ok(Some(node.new_session_key(Curve::P256)?))
            }
            (key, _) => Ok(key),
        }
    }

    /// Reads the key. Returns with it whether it has an id.
    fn read(&self, passphrase: &Passphrase) -> anyhow::Result<Option<(PrivateSessionKey, bool)>> {
        let Some(path) = &self.session_key else {
            return Ok(None);
        };
        let name = || report::path(path);
        let text = files::read_secret(path, FileRole::Keys, MAX_PARAMS_LEN).with_context(name)?;
        let open = |key: &EncryptedKey| passphrase.open(key);
        let id = self.session_key_id.clone();
        let (key, _, has_id) = key_file::private_from_text(&text, id, &open).with_context(name)?;
        Ok(Some((key, has_id)))
    }

    /// Puts the key into a node of explicit files.
    ///
    /// # Errors
    /// When the file is unreadable, malformed or readable by others.
    pub fn put_into(
        &self,
        loose: &mut ExplicitFiles,
        passphrase: &Arc<Passphrase>,
    ) -> anyhow::Result<()> {
        let Some(path) = &self.session_key else {
            return Ok(());
        };
        let name = || report::path(path);
        let text = files::read_secret(path, FileRole::Keys, MAX_PARAMS_LEN).with_context(name)?;
        let id = self.session_key_id.clone();
        // Parsed once here to report errors with the path; the closure below parses it for each
        // use.
        let passphrase = Arc::clone(passphrase);
        // A session key of an encrypted node is opened by the node's identity key.
        let is_encrypted = key_file::is_encrypted(&text).with_context(name)?;
        let identity = loose.identity.as_ref().filter(|_| is_encrypted);
        let secret = identity.map(|pkcs8| {
            let identity = IdentityKey::from_pkcs8(pkcs8.as_bytes())?;
            SessionSecret::of(&identity)
        });
        let secret = secret.transpose().with_context(name)?;
        let open = move |key: &EncryptedKey| match secret.as_ref().map(|secret| secret.open(key)) {
            Some(Ok(opened)) => Ok(opened),
            _ => passphrase.open(key),
        };
        let parse = move || key_file::private_from_text(&text, id.clone(), &open);
        let (_, _, has_id) = parse().with_context(name)?;
        loose.session_key_has_id = has_id;
        let read: ReadSessionKey = Box::new(move || Ok(parse()?.0));
        loose.session_key = Some(read);
        Ok(())
    }
}

/// `--identity-key`.
#[derive(Debug, clap::Args)]
pub struct IdentityKeyFile {
    /// Our private identity key (PKCS#8, PEM or DER)
    #[arg(long, value_name = "FILE")]
    identity_key: Option<PathBuf>,
}

impl IdentityKeyFile {
    /// Whether the option is given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.identity_key.is_some()
    }

    /// Reads the key, as PKCS#8; the option is required.
    ///
    /// # Errors
    /// As [`Self::read`], and a [`Usage`] error without the option.
    pub fn require(&self, passphrase: &Passphrase) -> anyhow::Result<Secret> {
        let key = self.read(passphrase)?;
        Ok(key.ok_or_else(|| Usage("--identity-key is needed".to_owned()))?)
    }

    /// Reads the key, as PKCS#8.
    ///
    /// # Errors
    /// When the file is unreadable, readable by others, or not an identity key.
    pub fn read(&self, passphrase: &Passphrase) -> anyhow::Result<Option<Secret>> {
        let Some(path) = &self.identity_key else {
            return Ok(None);
        };
        let name = || report::path(path);
        let text = files::read_secret(path, FileRole::Keys, MAX_PARAMS_LEN).with_context(name)?;
        let open = |key: &EncryptedKey| passphrase.open(key);
        let (pkcs8, _) = key_file::pkcs8_from_text(&text, &open).with_context(name)?;
        // Parsed to report a bad key with its path, and before anything is done.
        IdentityKey::from_pkcs8(pkcs8.as_bytes()).with_context(name)?;
        Ok(Some(pkcs8))
    }
}

/// `--certificate`.
#[derive(Debug, clap::Args)]
pub struct CertificateFile {
    /// Our own certificate, and its issuers', to sign under
    #[arg(long, value_name = "FILE", requires = "identity_key")]
    certificate: Option<PathBuf>,
}

impl CertificateFile {
    /// Reads the path as [`Self::read`] does; the option is required.
    ///
    /// # Errors
    /// As [`Self::read`], and a [`Usage`] error without the option.
    pub fn require(&self, identity: &Secret) -> anyhow::Result<CertificationPath> {
        let path = self.read(identity)?;
        Ok(path.ok_or_else(|| Usage("--certificate is needed".to_owned()))?)
    }

    /// Reads the path, whose leaf must certify this identity key (PKCS#8).
    ///
    /// # Errors
    /// When the file is unreadable, holds something else, or certifies another key.
    pub fn read(&self, identity: &Secret) -> anyhow::Result<Option<CertificationPath>> {
        let Some(path) = &self.certificate else {
            return Ok(None);
        };
        let certificates = match read_object(path)? {
            Object::Certificates(certificates) => certificates::path_of(certificates)?,
            Object::Path(path) => path,
            other => {
                let text = format!(
                    "{}: a certificate is needed, not {}",
                    report::path(path),
                    other.phrase()
                );
                return Err(Usage(text).into());
            }
        };
        let (holder, own) = (
            certificates.leaf.id(),
            IdentityKey::from_pkcs8(identity.as_bytes())?.id(),
        );
        if holder != own {
            return Err(anyhow::Error::new(node::Error::Import(
                node::ImportError::ForAnotherNode(holder),
            ))
            .context(report::path(path)));
        }
        Ok(Some(certificates))
    }
}

/// `--trust`, `--chain` and `--recipient`.
#[derive(Debug, clap::Args)]
pub struct TrustFiles {
    /// Trust these certificates or public keys, and nothing else
    #[arg(long, value_name = "FILE")]
    trust: Vec<PathBuf>,
    /// Certificates that may be needed to find a path
    #[arg(long, value_name = "FILE")]
    chain: Vec<PathBuf>,
    /// The node id that messages must be for
    #[arg(long, value_name = "ID")]
    recipient: Option<NodeId>,
}

impl TrustFiles {
    /// Whether any trust anchor is given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        !self.trust.is_empty()
    }

    /// The node that messages must be for.
    #[must_use]
    pub fn recipient(&self) -> Option<NodeId> {
        self.recipient
    }

    /// Whether a chain or recipient is given, which only explicit files need.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.chain.is_empty() || self.recipient.is_some()
    }

    /// Reads the trust anchors.
    ///
    /// # Errors
    /// When a file is unreadable, or has neither certificates nor a key.
    pub fn trust(&self) -> anyhow::Result<Trust> {
        let mut trust = Trust::default();
        for path in &self.trust {
            match read_object(path)? {
                Object::Certificates(certificates) => trust.certificates.extend(certificates),
                object => {
                    // Connection parameters and the like count as the identity key in them.
                    if let Some(key) = object.identity_key() {
                        trust.keys.push(key.clone());
                    } else {
                        let text = format!(
                            "{}: {} cannot be trusted",
                            report::path(path),
                            object.phrase()
                        );
                        return Err(Usage(text).into());
                    }
                }
            }
        }
        Ok(trust)
    }

    /// Reads the intermediate certificates.
    ///
    /// # Errors
    /// When a file is unreadable, or has other objects than certificates.
    pub fn chain(&self) -> anyhow::Result<Vec<crate::pki::Certificate>> {
        let mut chain = Vec::new();
        for path in &self.chain {
            let name = || report::path(path);
            let octets = files::read(path, FileRole::Input, MAX_PARAMS_LEN).with_context(name)?;
            chain.extend(certificates::certificates_from_octets(&octets).with_context(name)?);
        }
        Ok(chain)
    }

    /// Puts all three options into a node of explicit files.
    ///
    /// # Errors
    /// When a file is unreadable or of the wrong kind.
    pub fn put_into(&self, loose: &mut ExplicitFiles) -> anyhow::Result<()> {
        loose.trust = self.trust()?;
        loose.chain = self.chain()?;
        loose.recipient = self.recipient;
        Ok(())
    }
}

/// Reads an object from the file that an option names.
///
/// # Errors
/// When the file is unreadable or not an object of this network.
pub fn read_object(path: &Path) -> anyhow::Result<Object> {
    let name = || report::path(path);
    let octets = files::read(path, FileRole::Input, limits::MAX_MESSAGE_LEN).with_context(name)?;
    Object::parse(&octets).with_context(name)
}

/// Reads the connection parameters that `--params` names.
///
/// # Errors
/// When the file is unreadable or holds something else.
pub fn read_params(path: &Path) -> anyhow::Result<Params> {
    match read_object(path)? {
        Object::NodeConnectionParams(params) => Ok(Params::Internet(params)),
        Object::PrivateEndpointConnectionParams(params) => Ok(Params::Private(params)),
        Object::Registration(registration) => Ok(Params::Registration(registration)),
        other => {
            let text = format!(
                "{}: connection parameters are needed, not {}",
                report::path(path),
                other.phrase()
            );
            Err(Usage(text).into())
        }
    }
}
