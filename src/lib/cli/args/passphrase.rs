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
pub(super) struct PassphraseArgs {
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
    /// Whether an option names one.
    fn is_given(&self) -> bool {
        self.passphrase_file.is_some() || self.passphrase_fd.is_some()
    }

    /// The passphrase: that of the options, else the one among the credentials of the service. It is
    /// read when an encrypted key is met.
    #[must_use]
    fn get(&self) -> &Arc<Passphrase> {
        self.shared.get_or_init(|| {
            of_options(self.passphrase_file.as_deref(), self.passphrase_fd)
                .or_else(credential)
                .unwrap_or_default()
        })
    }
}

/// The passphrase in a file, which nobody else may read, or from a descriptor; `None` without either.
fn of_options(file: Option<&Path>, descriptor: Option<u32>) -> Option<Arc<Passphrase>> {
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

/// What relay-keygen does with the passphrase of a node that there is.
#[derive(Debug, clap::Args)]
pub struct PassphraseChange {
    /// Set, change or remove the passphrase of all private keys of the node
    #[arg(long, conflicts_with_all = [
        "passphrase", "endpoint", "node_type", "address", "set", "identity_key", "session_key", "json",
    ])]
    change_passphrase: bool,
    /// With --change-passphrase: the new passphrase is in FILE
    #[arg(long, value_name = "FILE", requires = "change_passphrase")]
    new_passphrase_file: Option<PathBuf>,
    /// With --change-passphrase: descriptor N gives the new passphrase
    #[arg(
        long,
        value_name = "N",
        requires = "change_passphrase",
        conflicts_with = "new_passphrase_file"
    )]
    new_passphrase_fd: Option<u32>,
    /// With --change-passphrase: the keys are to have none
    #[arg(
        long,
        requires = "change_passphrase",
        conflicts_with_all = ["new_passphrase_file", "new_passphrase_fd"]
    )]
    no_passphrase: bool,
}

impl PassphraseChange {
    /// Whether it is asked for.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.change_passphrase
    }

    /// The new passphrase; `None` if the keys are to have none.
    ///
    /// # Errors
    /// A [`Usage`] error when none of these is said; when the passphrase cannot be read.
    pub fn new_passphrase(&self) -> anyhow::Result<Option<Arc<Passphrase>>> {
        let new = of_options(self.new_passphrase_file.as_deref(), self.new_passphrase_fd);
        match (new, self.no_passphrase) {
            (None, false) => {
                let text =
                    "--new-passphrase-file, --new-passphrase-fd or --no-passphrase is needed";
                Err(Usage(text.to_owned()).into())
            }
            (Some(new), _) => {
                // Read before anything is changed.
                new.is_given()?;
                Ok(Some(new))
            }
            (None, true) => Ok(None),
        }
    }
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

    /// The node, if there is one that can be used, without its keys; as [`NodeDir::open_if_any`].
    ///
    /// # Errors
    /// As [`NodeDir::open_if_any`].
    pub fn open_if_any(&self) -> anyhow::Result<Option<Directory>> {
        self.dir.open_if_any()
    }

    /// Opens the node in this directory, else as [`KeyedNode::open`].
    ///
    /// # Errors
    /// As [`NodeDir::open`].
    pub fn open_at(&self, dir: Option<&Path>) -> anyhow::Result<Directory> {
        match dir {
            Some(dir) => Ok(Directory::open(dir)?.with_passphrase(Arc::clone(self.passphrase()))),
            None => self.open(),
        }
    }

    /// The passphrase of private keys, also of those in explicit files.
    #[must_use]
    pub fn passphrase(&self) -> &Arc<Passphrase> {
        self.passphrase.get()
    }
}

impl KeyedNode {
    /// The passphrase for the keys of a new node: if they are `to_be` encrypted, or those of its gateway
    /// are. `opens` tells whether it may be given for other keys, which the node takes.
    ///
    /// # Errors
    /// A [`Usage`] error when there is none, or it is given for nothing; when the gateway's key cannot be
    /// read.
    pub fn to_encrypt(
        &self,
        to_be: bool,
        gateway: Option<&Directory>,
        opens: bool,
    ) -> anyhow::Result<Option<Arc<Passphrase>>> {
        let is_encrypted = gateway.map(Directory::is_encrypted).transpose()?;
        if !to_be && is_encrypted != Some(true) {
            if self.passphrase.is_given() && !opens {
                let text = "--passphrase is needed to encrypt the keys of the new node";
                return Err(Usage(text.to_owned()).into());
            }
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
