//! Options for the passphrase of encrypted private keys, and for a node whose keys are needed.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::node::NodeDir;
use crate::cli::errors::Usage;
use crate::crypto::Secret;
use crate::disk::{self, FileRole, files};
use crate::node::passphrase::MAX_LEN;
use crate::node::{self, Directory, Passphrase, PassphraseError};

/// The name of the passphrase among the credentials that a service manager keeps.
const CREDENTIAL: &str = "relay-passphrase";

/// `--passphrase-file` and `--passphrase-fd`.
#[derive(Debug, Default, clap::Args)]
pub struct PassphraseArgs {
    /// Open encrypted keys with the passphrase in FILE
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Open encrypted keys with the passphrase that descriptor N gives
    #[arg(long, value_name = "N", conflicts_with = "passphrase_file")]
    passphrase_fd: Option<u32>,
    /// One for the run, which derives each key once.
    #[arg(skip)]
    shared: OnceLock<Arc<Passphrase>>,
}

impl PassphraseArgs {
    /// The passphrase: that of the options, else the one among the credentials of the service. It is
    /// read when an encrypted key is met.
    #[must_use]
    pub fn get(&self) -> &Arc<Passphrase> {
        self.shared.get_or_init(|| {
            of_options(self.passphrase_file.as_deref(), self.passphrase_fd)
                .or_else(credential)
                .unwrap_or_default()
        })
    }
}

/// The passphrase in a file, which nobody else may read, or from a descriptor; `None` without either.
#[must_use]
pub fn of_options(file: Option<&Path>, descriptor: Option<u32>) -> Option<Arc<Passphrase>> {
    if let Some(path) = file {
        return Some(of_file(path.to_owned(), files::read_secret));
    }
    let path = descriptor.map(|number| PathBuf::from(format!("/dev/fd/{number}")));
    path.map(|path| of_file(path, files::read_wiped))
}

/// The passphrase in the credentials directory, which the service manager protects.
fn credential() -> Option<Arc<Passphrase>> {
    let dir = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|dir| !dir.is_empty())?;
    let path = Path::new(&dir).join(CREDENTIAL);
    path.exists().then(|| of_file(path, files::read_wiped))
}

type ReadSecretFile = fn(&Path, FileRole, usize) -> disk::Result<zeroize::Zeroizing<Vec<u8>>>;

fn of_file(path: PathBuf, read: ReadSecretFile) -> Arc<Passphrase> {
    let read = move || match read(&path, FileRole::Keys, MAX_LEN) {
        Ok(text) => Ok(Some(Secret::from(without_newline(&text)))),
        Err(cause) => {
            let path = path.clone();
            Err(node::Error::from(PassphraseError::File { path, cause }))
        }
    };
    Arc::new(Passphrase::read_by(Box::new(read)))
}

/// Text without one newline at its end, which editors and echo(1) write.
fn without_newline(text: &[u8]) -> &[u8] {
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// `-N`, and the passphrase of the node's private keys.
#[derive(Debug, Default, clap::Args)]
pub struct KeyedNode {
    #[command(flatten)]
    dir: NodeDir,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl KeyedNode {
    /// Opens the node, as [`NodeDir::open`] does.
    ///
    /// # Errors
    /// As [`NodeDir::open`].
    pub fn open(&self) -> anyhow::Result<Directory> {
        let node = self.dir.open()?;
        Ok(node.with_passphrase(Arc::clone(self.passphrase())))
    }

    /// The passphrase of private keys, also of those in explicit files.
    #[must_use]
    pub fn passphrase(&self) -> &Arc<Passphrase> {
        self.passphrase.get()
    }
}

impl KeyedNode {
    /// The passphrase for the keys of a new node: if they are `to_be` encrypted, or those of its gateway
    /// are.
    ///
    /// # Errors
    /// A [`Usage`] error when there is none; when the gateway's key cannot be read.
    pub fn to_encrypt(
        &self,
        to_be: bool,
        gateway: Option<&Directory>,
    ) -> anyhow::Result<Option<Arc<Passphrase>>> {
        let is_encrypted = gateway.map(Directory::is_encrypted).transpose()?;
        if !to_be && is_encrypted != Some(true) {
            return Ok(None);
        }
        let passphrase = self.passphrase();
        if !passphrase.is_given()? {
            let text = "a passphrase is needed: --passphrase-file or --passphrase-fd gives it";
            return Err(Usage(text.to_owned()).into());
        }
        Ok(Some(Arc::clone(passphrase)))
    }
}

impl Deref for KeyedNode {
    type Target = NodeDir;

    fn deref(&self) -> &NodeDir {
        &self.dir
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_newline_at_the_end_is_no_part_of_a_passphrase() {
        for (text, passphrase) in [
            ("secret", "secret"),
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            ("secret\n\n", "secret\n"),
            (" two words \n", " two words "),
            ("\n", ""),
        ] {
            assert_eq!(without_newline(text.as_bytes()), passphrase.as_bytes());
        }
    }
}
