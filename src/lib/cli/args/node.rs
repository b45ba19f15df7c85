//! The node that a program works for, and how long it waits for others.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::cli::errors::Usage;
use crate::cli::report;
use crate::cli::status::{Reported, Status};
use crate::disk::Lock;
use crate::node::config::parse_duration;
use crate::node::{self, Directory, ExplicitFiles, Keyring};
use crate::pki::{NodeId, Window};
use crate::spool::{self, Access, Spool};
use crate::verify::Policy;

/// Where the node of the user `relay` is, which services run as.
const SYSTEM_NODE: &str = "/var/lib/relay";

/// `-N`.
#[derive(Debug, clap::Args)]
pub struct NodeDir {
    /// The node directory [default: `$RELAY_NODE`, else ~/.relay]
    #[arg(short = 'N', long, value_name = "DIR")]
    node: Option<PathBuf>,
}

impl NodeDir {
    /// The directory: the option's, the environment's, or the user's own.
    ///
    /// # Errors
    /// When there is nothing to go by.
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

    /// Whether the option was given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.node.is_some()
    }

    /// Opens the node.
    ///
    /// # Errors
    /// When there is none, or it is not right.
    pub fn open(&self) -> anyhow::Result<Directory> {
        Ok(Self::open_at(&self.path()?)?)
    }

    fn open_at(path: &Path) -> Result<Directory, node::Error> {
        let directory = Directory::open(path)?;
        if let Some(socket) = directory.config().syslog() {
            report::log_to(socket);
        }
        Ok(directory)
    }

    /// What may be done with the spool that the node uses.
    ///
    /// # Errors
    /// As [`Access::of`].
    pub fn access(&self) -> anyhow::Result<Access> {
        let path = self.path()?;
        let opened = Self::open_at(&path);
        Ok(Access::of(&path, opened)?)
    }

    /// The node, unless no option names one and the default directory does not exist.
    ///
    /// # Errors
    /// When there is one that is not right, or that was named and is not there.
    pub fn open_if_any(&self) -> anyhow::Result<Option<Directory>> {
        let named =
            self.is_given() || std::env::var_os("RELAY_NODE").is_some_and(|dir| !dir.is_empty());
        match self.path().and_then(|path| Ok(Directory::open(&path)?)) {
            Ok(directory) => Ok(Some(directory)),
            Err(error) if named => Err(error),
            Err(error)
                if matches!(
                    error.downcast_ref(),
                    Some(node::Error::Directory(node::DirectoryError::NotANode(_)))
                ) =>
            {
                Ok(None)
            }
            Err(error) if error.is::<Usage>() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Refuses `-N` beside explicit files, of which nothing is looked up in a node.
    ///
    /// # Errors
    /// A [`Usage`] error.
    pub fn refuse(&self, beside: &str) -> anyhow::Result<()> {
        if self.is_given() {
            return Err(Usage(format!("-N has no place beside {beside}")).into());
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

/// How often a lock is tried.
const TRY_EVERY: std::time::Duration = std::time::Duration::from_millis(50);

impl Wait {
    /// Keeps other runs from moving what is in the queues.
    ///
    /// # Errors
    /// [`spool::Error::Locked`] when another one does, all the time.
    pub fn lock(&self, spool: &Spool) -> anyhow::Result<Lock> {
        self.lock_of(spool, spool.owner())
    }

    /// Keeps other runs from delivering what waits for a node; see [`Spool::lock_of`].
    ///
    /// # Errors
    /// [`spool::Error::Locked`] when another one does, all the time.
    pub fn lock_of(&self, spool: &Spool, node: &Directory) -> anyhow::Result<Lock> {
        let patience = self.wait.unwrap_or_default().unsigned_abs();
        let started = std::time::Instant::now();
        loop {
            match spool.lock_of(node) {
                Err(spool::Error::Locked) if started.elapsed() < patience => {
                    std::thread::sleep(TRY_EVERY);
                }
                // Cron tries again, so `-q` leaves this out.
                Err(spool::Error::Locked) if report::is_quiet() => {
                    return Err(Reported(Status::TEMP_FAIL).into());
                }
                locked => return Ok(locked?),
            }
        }
    }
}

/// A node directory, or explicit files in its place.
pub enum Node {
    /// A node directory.
    Directory(Directory),
    /// Explicit files.
    ExplicitFiles(Box<ExplicitFiles>),
}

impl Node {
    /// What a program that seals or opens needs of it.
    #[must_use]
    pub fn keyring(&self) -> &dyn Keyring {
        match self {
            Self::Directory(directory) => directory,
            Self::ExplicitFiles(loose) => &**loose,
        }
    }

    /// The gateway that `to` names, or with explicit files the one whose parameters were given.
    ///
    /// # Errors
    /// As [`Directory::find_gateway`] and [`ExplicitFiles::peer`].
    pub fn gateway(&self, to: Option<&str>) -> Result<NodeId, node::Error> {
        match self {
            Self::Directory(directory) => directory.find_gateway(to.unwrap_or_default()),
            Self::ExplicitFiles(files) => files.peer(),
        }
    }

    /// The node directory, if it is one.
    #[must_use]
    pub fn directory(&self) -> Option<&Directory> {
        match self {
            Self::Directory(directory) => Some(directory),
            Self::ExplicitFiles(_) => None,
        }
    }

    /// What is held against messages that pass: as a node knows its peers, or as a courier who trusts
    /// what the files say.
    ///
    /// # Errors
    /// When what the node knows of a peer cannot be read.
    pub fn judge(&self, window: Window, now: Timestamp) -> Result<Policy, node::Error> {
        match self {
            Self::Directory(directory) => Policy::of_node(directory, Vec::new(), window, now),
            Self::ExplicitFiles(loose) => Ok(Policy {
                trust: loose.trust_anew(),
                ..Policy::courier(loose.chain.clone(), window, now)
            }),
        }
    }

    /// The settings, if it is a directory.
    #[must_use]
    pub fn config(&self) -> Option<&crate::node::Config> {
        self.directory().map(Directory::config)
    }
}
