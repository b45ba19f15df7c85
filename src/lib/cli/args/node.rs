//! Options for the node that a program works for, and for how long it waits for other runs.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::cli::errors::Usage;
use crate::cli::status::{Reported, Status};
use crate::cli::{labels, progress, report};
use crate::command::RunOptions;
use crate::disk::Lock;
use crate::node::config::parse_duration;
use crate::node::{self, Directory, ExplicitFiles, Keyring};
use crate::pki::{NodeId, Window};
use crate::spool::{self, Access, Spool};
use crate::verify::Policy;

/// The node directory of the user `relay`, which services run as.
const SYSTEM_NODE: &str = "/var/lib/relay";

/// `-N`.
#[derive(Debug, Default, clap::Args)]
pub struct NodeDir {
    /// The node directory [default: `$RELAY_NODE`, else ~/.relay]
    #[arg(short = 'N', long, value_name = "DIR")]
    node: Option<PathBuf>,
}

impl NodeDir {
    /// The node directory: of the option, of `RELAY_NODE`, or the user's own.
    ///
    /// # Errors
    /// A [`Usage`] error when none of these is set.
    pub fn path(&self) -> anyhow::Result<PathBuf> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(dir) = self
            .node
            .clone()
            .or_else(|| set("RELAY_NODE").map(PathBuf::from))
        {
            return Ok(dir);
        }
        if set("LOGNAME")
            .or_else(|| set("USER"))
            .is_some_and(|user| user == "relay")
        {
            return Ok(PathBuf::from(SYSTEM_NODE));
        }
        let home =
            set("HOME").ok_or_else(|| Usage("-N is needed where HOME is not set".to_owned()))?;
        Ok(Path::new(&home).join(".relay"))
    }

    /// Whether the option is given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.node.is_some()
    }

    /// Opens the node, and logs to syslog if its config says so.
    ///
    /// # Errors
    /// When there is no node, or it is damaged or of another version.
    pub fn open(&self) -> anyhow::Result<Directory> {
        Ok(Self::open_at(&self.path()?)?)
    }

    fn open_at(path: &Path) -> Result<Directory, node::Error> {
        let directory = Directory::open(path)?;
        labels::use_names_of(path);
        if let Some(socket) = directory.config().syslog() {
            report::log_to(socket);
        }
        Ok(directory)
    }

    /// The access of this user to the spool that the node uses.
    ///
    /// # Errors
    /// As [`Access::of`].
    pub fn access(&self) -> anyhow::Result<Access> {
        let path = self.path()?;
        // An error to open is passed on: a group member may use the spool of a node that they
        // cannot read.
        let opened = Self::open_at(&path);
        Ok(Access::of(&path, opened)?)
    }

    /// What `read` gives for the node. Where no option names one, there may be none, and one that
    /// cannot be used is reported and does without: `None`.
    ///
    /// # Errors
    /// When the node that the option names does not exist, is damaged, or `read` fails.
    pub fn use_if_any<T>(
        &self,
        read: impl FnOnce(&Directory) -> Result<T, node::Error>,
    ) -> anyhow::Result<Option<T>> {
        self.if_any(|node| read(&node))
    }

    /// The node, if there is one that can be used, as [`NodeDir::use_if_any`].
    ///
    /// # Errors
    /// When the node that the option names does not exist or is damaged.
    pub fn open_if_any(&self) -> anyhow::Result<Option<Directory>> {
        self.if_any(Ok)
    }

    fn if_any<T>(
        &self,
        read: impl FnOnce(Directory) -> Result<T, node::Error>,
    ) -> anyhow::Result<Option<T>> {
        let used = self.path().and_then(|path| {
            let node = Directory::open(&path)?;
            labels::use_names_of(&path);
            Ok(read(node)?)
        });
        let error = match used {
            Ok(used) => return Ok(Some(used)),
            Err(error) if self.is_given() => return Err(error),
            Err(error) => error,
        };
        let is_named = std::env::var_os("RELAY_NODE").is_some_and(|dir| !dir.is_empty());
        let is_absent = error.is::<Usage>()
            || matches!(
                error.downcast_ref(),
                Some(node::Error::Directory(node::DirectoryError::NotANode(_)))
            );
        if is_named || !is_absent {
            let text = report::text_of(&error);
            report::warn(&format!("{text}: going on without a node"));
        }
        Ok(None)
    }

    /// Refuses `-N` beside explicit files, which are used without a node.
    ///
    /// # Errors
    /// A [`Usage`] error.
    pub fn refuse(&self, beside: &str) -> anyhow::Result<()> {
        if self.is_given() {
            return Err(Usage(format!("-N cannot be used with {beside}")).into());
        }
        Ok(())
    }
}

/// `--wait`, for programs that move what is in the queues.
#[derive(Debug, clap::Args)]
pub struct Wait {
    /// Wait up to DURATION for another run [default: fail at once]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    wait: Option<SignedDuration>,
}

/// `--timeout`, for programs that run commands.
#[derive(Debug, clap::Args)]
pub struct CommandTime {
    /// Give a command DURATION for each message; 0 for ever [default: 10m, and 1m for each 16 MiB]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<SignedDuration>,
}

impl CommandTime {
    /// The options that commands are run with.
    #[must_use]
    pub fn options(&self) -> RunOptions {
        RunOptions {
            limit: self.timeout.map(SignedDuration::unsigned_abs),
            // It may write to the terminal.
            on_run: |is_running| {
                if is_running {
                    progress::end();
                }
            },
        }
    }
}

/// The interval between tries to take a lock.
const TRY_EVERY: std::time::Duration = std::time::Duration::from_millis(50);

impl Wait {
    /// Whether the option is given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.wait.is_some()
    }

    /// Takes the lock of the queues, so that no other run moves messages.
    ///
    /// # Errors
    /// [`spool::Error::Locked`] when another run holds it until `--wait` is over.
    pub fn lock(&self, spool: &Spool) -> anyhow::Result<Lock> {
        self.lock_of(spool, spool.owner())
    }

    /// Takes the lock for delivering a node's messages; see [`Spool::lock_of`].
    ///
    /// # Errors
    /// [`spool::Error::Locked`] when another run holds it until `--wait` is over.
    pub fn lock_of(&self, spool: &Spool, node: &Directory) -> anyhow::Result<Lock> {
        self.until(|| match spool.lock_of(node) {
            Err(spool::Error::Locked) => Ok(None),
            locked => locked.map(Some),
        })
    }

    /// Tries to take locks until that succeeds, or `--wait` is over.
    ///
    /// # Errors
    /// [`spool::Error::Locked`] when it did not succeed, and those of `lock`.
    pub fn until<T>(
        &self,
        lock: impl Fn() -> Result<Option<T>, spool::Error>,
    ) -> anyhow::Result<T> {
        let patience = self.wait.unwrap_or_default().unsigned_abs();
        let started = std::time::Instant::now();
        // Polled, since flock(2) has no timeout.
        loop {
            match lock()? {
                Some(locked) => return Ok(locked),
                None if started.elapsed() < patience => std::thread::sleep(TRY_EVERY),
                // Run by cron with `-q`: the next run tries again, so this is not worth a mail.
                None if report::is_quiet() => return Err(Reported(Status::TEMP_FAIL).into()),
                None => return Err(spool::Error::Locked.into()),
            }
        }
    }
}

/// A node directory, or explicit files in its place.
pub enum Node {
    /// A node directory.
    Directory(Box<Directory>),
    /// Explicit files.
    ExplicitFiles(Box<ExplicitFiles>),
}

impl Node {
    /// The node's keys, trust and peers, for sealing and opening.
    #[must_use]
    pub fn keyring(&self) -> &dyn Keyring {
        match self {
            Self::Directory(directory) => &**directory,
            Self::ExplicitFiles(loose) => &**loose,
        }
    }

    /// The gateway that `to` names; with explicit files, the one that `--params` describes.
    ///
    /// # Errors
    /// As [`Directory::find_gateway`] and [`ExplicitFiles::peer`].
    pub fn gateway(&self, to: Option<&str>) -> Result<NodeId, node::Error> {
        match self {
            Self::Directory(directory) => directory.find_gateway(to.unwrap_or_default()),
            Self::ExplicitFiles(files) => files.peer(),
        }
    }

    /// The node directory, unless the node is made of explicit files.
    #[must_use]
    pub fn directory(&self) -> Option<&Directory> {
        match self {
            Self::Directory(directory) => Some(directory),
            Self::ExplicitFiles(_) => None,
        }
    }

    /// The policy for messages that pass: of a node that knows its peers, or of a courier with the
    /// trust anchors that the files give.
    ///
    /// # Errors
    /// When a peer of the node cannot be read.
    pub fn judge(&self, window: Window, now: Timestamp) -> Result<Policy, node::Error> {
        match self {
            Self::Directory(directory) => Policy::of_node(directory, Vec::new(), window, now),
            Self::ExplicitFiles(loose) => Ok(Policy {
                trust: loose.trust_anew(),
                ..Policy::courier(loose.chain.clone(), window, now)
            }),
        }
    }

    /// The settings of a node directory.
    #[must_use]
    pub fn config(&self) -> Option<&crate::node::Config> {
        self.directory().map(Directory::config)
    }
}
