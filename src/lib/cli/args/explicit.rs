//! Options for explicit files in place of a node directory.

use std::path::PathBuf;

use anyhow::Context as _;

use super::keys::{CertificateFile, IdentityKeyFile, SessionKeyFile, TrustFiles, read_params};
use super::node::Node;
use super::passphrase::KeyedNode;
use crate::cli::errors::Usage;
use crate::cli::report;
use crate::node::ExplicitFiles;
use crate::pki::{IdentityKey, Trust};

/// What a program that seals needs where no node directory is read.
#[derive(Debug, clap::Args)]
pub struct SendingFiles {
    #[command(flatten)]
    pub(crate) identity: IdentityKeyFile,
    /// How to reach the recipient: connection parameters, or for cargo a registration
    #[arg(
        long,
        value_name = "FILE",
        requires = "identity_key",
        conflicts_with = "to"
    )]
    params: Option<PathBuf>,
    #[command(flatten)]
    session: SessionKeyFile,
    /// Store the session key to be answered under in FILE
    #[arg(
        long,
        value_name = "FILE",
        requires = "params",
        conflicts_with = "session_key"
    )]
    save_session_key: Option<PathBuf>,
}

impl SendingFiles {
    /// Builds the node from the files; without any, opens the node directory. Without `--params`,
    /// the recipient has to be known in another way (`knows_recipient`).
    ///
    /// # Errors
    /// When a file that is needed is missing, cannot be read, or was made for another node.
    pub fn open(
        &self,
        node: &KeyedNode,
        certificate: Option<&CertificateFile>,
        knows_recipient: bool,
    ) -> anyhow::Result<Node> {
        if !self.identity.is_given() && !self.session.is_given() && self.params.is_none() {
            return Ok(Node::Directory(Box::new(node.open()?)));
        }
        if self.params.is_none() && !knows_recipient {
            return Err(Usage(
                "--params is needed beside --identity-key and --session-key".to_owned(),
            )
            .into());
        }
        node.refuse(match self.params {
            Some(_) => "--params",
            None => "--identity-key",
        })?;
        let identity = self.identity.require(node.passphrase())?;
        let own = IdentityKey::from_pkcs8(identity.as_bytes())?;
        let mut loose = ExplicitFiles {
            params: match &self.params {
                Some(params) => Some(read_params(params)?),
                None => None,
            },
            certificate: match certificate {
                Some(certificate) => certificate.read(&identity)?,
                None => None,
            },
            identity: Some(identity),
            save_session_key: self.save_session_key.clone(),
            // A node that certified itself trusts its own key, as a node directory does.
            trust: Trust::key(own.public().clone()),
            ..ExplicitFiles::default()
        };
        if let Some(params) = &self.params {
            loose.check_params().with_context(|| report::path(params))?;
        }
        self.session.put_into(&mut loose, node.passphrase())?;
        // An answer names the key by its id, so a key that is sent along must have its real one.
        if self.session.is_given() && !loose.session_key_has_id && self.params.is_some() {
            return Err(
                Usage("--session-key-id is needed with this session key".to_owned()).into(),
            );
        }
        Ok(Node::ExplicitFiles(Box::new(loose)))
    }
}

/// What a program that opens needs where no node directory is read.
#[derive(Debug, clap::Args)]
pub struct OpeningFiles {
    #[command(flatten)]
    identity: IdentityKeyFile,
    #[command(flatten)]
    session: SessionKeyFile,
    #[command(flatten)]
    trust: TrustFiles,
    /// Open messages from any sender
    #[arg(long, conflicts_with = "trust")]
    any_sender: bool,
}

impl OpeningFiles {
    /// Builds the node from the files; without any, opens the node directory.
    ///
    /// # Errors
    /// When a file that is needed is missing or cannot be read.
    pub fn open(&self, node: &KeyedNode) -> anyhow::Result<Node> {
        if !(self.identity.is_given()
            || self.session.is_given()
            || self.trust.is_given()
            || self.any_sender)
        {
            if self.trust.has_more() {
                return Err(Usage(
                    "--chain and --recipient go with --trust or --any-sender".to_owned(),
                )
                .into());
            }
            return Ok(Node::Directory(Box::new(node.open()?)));
        }
        node.refuse("--identity-key, --session-key, --trust and --any-sender")?;
        if !self.session.is_given() {
            return Err(Usage("--session-key is needed".to_owned()).into());
        }
        // Without an anchor, every message would be refused, so accepting any sender must be asked
        // for.
        if !self.trust.is_given() && !self.any_sender {
            return Err(Usage("--trust or --any-sender is needed".to_owned()).into());
        }
        let mut loose = ExplicitFiles {
            identity: self.identity.read(node.passphrase())?,
            any_sender: self.any_sender,
            ..ExplicitFiles::default()
        };
        self.session.put_into(&mut loose, node.passphrase())?;
        self.trust.put_into(&mut loose)?;
        Ok(Node::ExplicitFiles(Box::new(loose)))
    }
}
