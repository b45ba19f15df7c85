//! Groups of options that several programs have.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::{SignedDuration, Timestamp};

use super::errors::{Unchecked, Usage};
use super::inputs;
use super::report;
use super::status::{Reported, Status};
use crate::asn1::pem;
use crate::cms::enveloped_data::Cipher;
use crate::crypto::Secret;
use crate::disk::{FileRole, Lock, files};
use crate::message::{self, CertificationPath, Object, file_name};
use crate::node::config::parse_duration;
use crate::node::explicit_files::{Params, ReadSessionKey};
use crate::node::{self, Directory, ExplicitFiles, Keyring, certificates, key_file};
use crate::pki::{IdentityKey, NodeId, PublicKey, Trust, Window, issuance};
use crate::ramf::limits;
use crate::session::{KeyId, PrivateSessionKey};
use crate::spool::{self, Access, Spool};
use crate::verify::Policy;

/// The longest file with keys, certificates or parameters, in octets.
pub const MAX_PARAMS_LEN: usize = 256 * 1024;

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

    /// The node, unless nobody named one and there is none where it would be by itself.
    ///
    /// # Errors
    /// When there is one that is not right, or that was named and is not there.
    pub fn open_if_any(&self) -> anyhow::Result<Option<Directory>> {
        let named =
            self.is_given() || std::env::var_os("RELAY_NODE").is_some_and(|dir| !dir.is_empty());
        match self.path().and_then(|path| Ok(Directory::open(&path)?)) {
            Ok(directory) => Ok(Some(directory)),
            Err(error) if named => Err(error),
            Err(error) if matches!(error.downcast_ref(), Some(node::Error::NotANode(_))) => {
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
    /// Wait so long for another run that is at work on the queues [default: not at all]
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
                // Cron tries again: whoever wants quiet need not hear of it.
                Err(spool::Error::Locked) if report::is_quiet() => {
                    return Err(Reported(Status::TEMP_FAIL).into());
                }
                locked => return Ok(locked?),
            }
        }
    }
}

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
    /// Whether a key is given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.session_key.is_some()
    }

    /// Reads the key, which must have an id: a program that tells others of it is asked.
    ///
    /// # Errors
    /// When it cannot be read, others can read it, it is malformed or has no id.
    pub fn read_with_id(&self) -> anyhow::Result<Option<PrivateSessionKey>> {
        match self.read()? {
            Some((_, false)) => {
                Err(Usage("--session-key-id is needed with this session key".to_owned()).into())
            }
            Some((key, true)) => Ok(Some(key)),
            None => Ok(None),
        }
    }

    /// Reads the key; with it, whether it has an id.
    fn read(&self) -> anyhow::Result<Option<(PrivateSessionKey, bool)>> {
        let Some(path) = &self.session_key else {
            return Ok(None);
        };
        let name = || report::path(path);
        let text = files::read_secret(path, FileRole::Keys, MAX_PARAMS_LEN).with_context(name)?;
        let (key, _, has_id) =
            key_file::private_from_text(&text, self.session_key_id.clone()).with_context(name)?;
        Ok(Some((key, has_id)))
    }

    /// Puts the key into a loose node.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a private session key.
    pub fn put_into(&self, loose: &mut ExplicitFiles) -> anyhow::Result<()> {
        let Some(path) = &self.session_key else {
            return Ok(());
        };
        let name = || report::path(path);
        let text = files::read_secret(path, FileRole::Keys, MAX_PARAMS_LEN).with_context(name)?;
        let id = self.session_key_id.clone();
        let (_, _, has_id) = key_file::private_from_text(&text, id.clone()).with_context(name)?;
        loose.session_key_has_id = has_id;
        let read: ReadSessionKey =
            Box::new(move || Ok(key_file::private_from_text(&text, id.clone())?.0));
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
    /// Whether a key is given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.identity_key.is_some()
    }

    /// Reads the key, as PKCS#8.
    ///
    /// # Errors
    /// When it cannot be read, others can read it, or it is no identity key.
    pub fn read(&self) -> anyhow::Result<Option<Secret>> {
        let Some(path) = &self.identity_key else {
            return Ok(None);
        };
        let name = || report::path(path);
        let text = files::read_secret(path, FileRole::Keys, MAX_PARAMS_LEN).with_context(name)?;
        let (pkcs8, _) = pem::private_key(&text).with_context(name)?;
        IdentityKey::from_pkcs8(&pkcs8).with_context(name)?;
        Ok(Some(Secret::from(pkcs8)))
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
    /// Reads the path, which must be one for the holder of this identity key (PKCS#8).
    ///
    /// # Errors
    /// When it cannot be read, is something else, or somebody else's.
    pub fn read(&self, identity: &Secret) -> anyhow::Result<Option<CertificationPath>> {
        let Some(path) = &self.certificate else {
            return Ok(None);
        };
        let certificates = match read_object(path)? {
            Object::Certificates(certificates) => certificates::path_of(certificates)?,
            Object::Path(path) => path,
            other => {
                let text = format!(
                    "{}: certificate needed, not a {}",
                    report::path(path),
                    other.word()
                );
                return Err(Usage(text).into());
            }
        };
        let (holder, own) = (
            certificates.leaf.id(),
            IdentityKey::from_pkcs8(identity.as_bytes())?.id(),
        );
        if holder != own {
            return Err(
                anyhow::Error::new(node::Error::ForAnotherNode(holder)).context(report::path(path))
            );
        }
        Ok(Some(certificates))
    }
}

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
    /// The node that the files make up, or the node directory where there are none. Without parameters
    /// the recipient has to be known in another way (`knows_recipient`).
    ///
    /// # Errors
    /// When a file that is needed is missing, cannot be read, or was made for another node.
    pub fn open(
        &self,
        node: &NodeDir,
        certificate: Option<&CertificateFile>,
        knows_recipient: bool,
    ) -> anyhow::Result<Node> {
        if !self.identity.is_given() && !self.session.is_given() && self.params.is_none() {
            return Ok(Node::Directory(node.open()?));
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
        let identity = self
            .identity
            .read()?
            .ok_or_else(|| Usage("--identity-key is needed".to_owned()))?;
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
            trust: Trust::key(own.public().clone()),
            ..ExplicitFiles::default()
        };
        if let Some(params) = &self.params {
            loose.check_params().with_context(|| report::path(params))?;
        }
        self.session.put_into(&mut loose)?;
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
    /// Open messages whoever sent them
    #[arg(long, conflicts_with = "trust")]
    any_sender: bool,
}

impl OpeningFiles {
    /// The node that the files make up, or the node directory where there are none.
    ///
    /// # Errors
    /// When a file that is needed is missing or cannot be read.
    pub fn open(&self, node: &NodeDir) -> anyhow::Result<Node> {
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
            return Ok(Node::Directory(node.open()?));
        }
        node.refuse("--identity-key, --session-key, --trust and --any-sender")?;
        if !self.session.is_given() {
            return Err(Usage("--session-key is needed".to_owned()).into());
        }
        if !self.trust.is_given() && !self.any_sender {
            return Err(Usage("--trust or --any-sender is needed".to_owned()).into());
        }
        let mut loose = ExplicitFiles {
            identity: self.identity.read()?,
            any_sender: self.any_sender,
            ..ExplicitFiles::default()
        };
        self.session.put_into(&mut loose)?;
        self.trust.put_into(&mut loose)?;
        Ok(Node::ExplicitFiles(Box::new(loose)))
    }
}

/// `--keep-name` and `--name`.
#[derive(Debug, clap::Args)]
pub struct SuggestedName {
    /// Tell the recipient the name of FILE
    #[arg(long, conflicts_with = "name")]
    keep_name: bool,
    /// Tell the recipient this name for a file
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

impl SuggestedName {
    /// The name that the recipient is told for what this file or standard input holds.
    ///
    /// # Errors
    /// When there is none to keep, or no file can have it.
    pub fn of(&self, file: Option<&Path>) -> anyhow::Result<Option<String>> {
        let told = match (&self.name, file) {
            (Some(name), _) => name.clone(),
            (None, _) if !self.keep_name => return Ok(None),
            (None, Some(file)) if file.as_os_str() != "-" => {
                let name = file.file_name().unwrap_or_default();
                name.to_string_lossy().into_owned()
            }
            _ => {
                let text = "--keep-name needs a FILE; --name gives one";
                return Err(Usage(text.to_owned()).into());
            }
        };
        let safe = file_name::safe(&told);
        let safe = safe.ok_or_else(|| Usage(format!("{told:?} cannot be the name of a file")))?;
        Ok(Some(safe))
    }
}

/// `--cipher`.
#[derive(Debug, clap::Args)]
pub struct CipherChoice {
    /// How the content is encrypted; only aes-128-cbc is opened by every deployed node
    #[arg(long, value_name = "CIPHER", default_value = "aes-128-cbc", value_parser = cipher_parser())]
    pub cipher: Cipher,
}

/// Reads the name of a content cipher.
fn cipher_parser() -> impl TypedValueParser<Value = Cipher> {
    const NAMES: [&str; 6] = [
        "aes-128-cbc",
        "aes-192-cbc",
        "aes-256-cbc",
        "aes-128-gcm",
        "aes-192-gcm",
        "aes-256-gcm",
    ];
    PossibleValuesParser::new(NAMES).map(|name| {
        let key_len = match &name[4..7] {
            "128" => 16,
            "192" => 24,
            _ => 32,
        };
        if name.ends_with("cbc") {
            Cipher::Cbc { key_len }
        } else {
            Cipher::Gcm { key_len }
        }
    })
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
    /// Whether anything to trust is given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        !self.trust.is_empty()
    }

    /// Whom messages must be for.
    #[must_use]
    pub fn recipient(&self) -> Option<NodeId> {
        self.recipient
    }

    /// Whether a chain or recipient is given, which only explicit files need.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.chain.is_empty() || self.recipient.is_some()
    }

    /// Reads what is trusted.
    ///
    /// # Errors
    /// When a file cannot be read, or has neither certificates nor keys.
    pub fn trust(&self) -> anyhow::Result<Trust> {
        let mut trust = Trust::default();
        for path in &self.trust {
            match read_object(path)? {
                Object::Certificates(certificates) => trust.certificates.extend(certificates),
                object => {
                    if let Some(key) = object.identity_key() {
                        trust.keys.push(key.clone());
                    } else {
                        let text = format!(
                            "{}: a {} cannot be trusted",
                            report::path(path),
                            object.word()
                        );
                        return Err(Usage(text).into());
                    }
                }
            }
        }
        Ok(trust)
    }

    /// Reads the certificates that may be needed.
    ///
    /// # Errors
    /// When a file cannot be read, or has other things than certificates.
    pub fn chain(&self) -> anyhow::Result<Vec<crate::pki::Certificate>> {
        let mut chain = Vec::new();
        for path in &self.chain {
            let name = || report::path(path);
            let octets = files::read(path, FileRole::Input, MAX_PARAMS_LEN).with_context(name)?;
            chain.extend(certificates::certificates_from_octets(&octets).with_context(name)?);
        }
        Ok(chain)
    }

    /// Puts all of it into a loose node.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn put_into(&self, loose: &mut ExplicitFiles) -> anyhow::Result<()> {
        loose.trust = self.trust()?;
        loose.chain = self.chain()?;
        loose.recipient = self.recipient;
        Ok(())
    }
}

/// Reads an object of this network from a file that an option names.
///
/// # Errors
/// When it cannot be read or is none.
pub fn read_object(path: &Path) -> anyhow::Result<Object> {
    let name = || report::path(path);
    let octets = files::read(path, FileRole::Input, limits::MAX_MESSAGE_LEN).with_context(name)?;
    Object::parse(&octets).with_context(name)
}

/// Reads the parameters that an option names.
///
/// # Errors
/// When they cannot be read or are something else.
pub fn read_params(path: &Path) -> anyhow::Result<Params> {
    match read_object(path)? {
        Object::NodeConnectionParams(params) => Ok(Params::Internet(params)),
        Object::PrivateEndpointConnectionParams(params) => Ok(Params::Private(params)),
        Object::Registration(registration) => Ok(Params::Registration(registration)),
        other => {
            let text = format!(
                "{}: connection parameters needed, not a {}",
                report::path(path),
                other.word()
            );
            Err(Usage(text).into())
        }
    }
}

/// Reads how long a certificate is to last: at most 180 days.
///
/// # Errors
/// What is wrong with the text.
pub fn validity(text: &str) -> Result<SignedDuration, &'static str> {
    let valid = parse_duration(text)?;
    if valid > SignedDuration::ZERO && valid <= issuance::MAX_LIFE {
        Ok(valid)
    } else {
        Err("not over 0 and at most 180d")
    }
}

/// The identity key of a peer: a known one's, or that in a file or on standard input.
///
/// # Errors
/// When it is neither a known peer nor an object with such a key, or a request to be registered, of which
/// nobody knows yet whether its key is its sender's.
pub fn peer_key(peer: Option<&Path>, node: Option<&Directory>) -> anyhow::Result<PublicKey> {
    let path = peer.unwrap_or(Path::new("-"));
    if let (Some(node), Some(text)) = (node, path.to_str())
        && text != "-"
        && !path.metadata().is_ok_and(|meta| !meta.is_dir())
    {
        match node.find_peer(text) {
            Ok(peer) => return Ok(node.identity_of(peer.id)?),
            // A directory is no peer, but something that cannot be read.
            Err(node::Error::UnknownPeer(_)) if path.exists() => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("{}: neither a file nor a peer", report::path(path)));
            }
        }
    }
    let octets = inputs::read_whole(path)?;
    let name = || report::path(path);
    let object = Object::parse(&octets).with_context(name)?;
    if let Object::RegistrationRequest(_) = object {
        return Err(anyhow::Error::new(Unchecked)).with_context(name);
    }
    match object.identity_key() {
        Some(key) => Ok(key.clone()),
        None => Err(message::Error::Lacks {
            object: object.word(),
            what: "identity key",
        })
        .with_context(name),
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
