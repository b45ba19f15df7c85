//! What the tests of the programs share: a scratch directory, fixed keys and a fixed clock.
//!
//! Every run has a clean environment, a foreign locale and time zone, and a snapshot of the scratch
//! directory from before and after it, so that a test can check status, output, diagnostics and files.

#![allow(dead_code)] // each test target uses its part

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use relaynet::asn1::{Buffer, pem, write};
use relaynet::cms::enveloped_data::Cipher;
use relaynet::node::{Directory, Keyring as _, NodeType, certificates};
use relaynet::pki::{Certificate, IdentityKey};
use relaynet::ramf::{Fields, Kind, SignedMessage};
use relaynet::session::agreement;
use tempfile::TempDir;

/// When the nodes of the tests were made.
pub(crate) const MADE: &str = "2026-03-01T09:00:00Z";

/// The programs' time, unless a test sets another.
pub(crate) const NOW: &str = "2026-03-01T12:00:00Z";

/// The Internet address of the hub.
pub(crate) const HUB: &str = "hub.example.org";

/// The nodes, and which of the fixed keys each has.
pub(crate) const NODES: [(&str, &str); 6] = [
    ("alice", "endpoint-a"),
    ("bob", "endpoint-b"),
    ("carol", "endpoint-i"),
    ("gateway", "private-gateway-a"),
    ("mallory", "private-gateway-b"),
    ("hub", "internet-gateway"),
];

/// The folder with the files of other implementations.
pub(crate) fn interop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

/// The id of one of the [`NODES`].
pub(crate) fn id(name: &str) -> String {
    let dir = interop().join("jvm/nodes").join(keys_of(name));
    fs::read_to_string(dir.join("identity.id"))
        .unwrap()
        .trim()
        .to_owned()
}

/// The id as people read it aloud: eight groups of digits.
pub(crate) fn fingerprint(name: &str) -> String {
    let id = id(name);
    let groups: Vec<&str> = (0..8).map(|at| &id[1 + 4 * at..5 + 4 * at]).collect();
    groups.join(" ")
}

fn keys_of(name: &str) -> &'static str {
    NODES.iter().find(|(node, _)| *node == name).unwrap().1
}

/// Whether the tests run as root, whom permissions do not stop; prints that `untested` is not tested then.
pub(crate) fn is_root(untested: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        eprintln!("not tested, since nothing is refused to root: {untested}");
    }
    is_root
}

/// A scratch directory.
pub(crate) struct Env {
    dir: TempDir,
}

impl Env {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// One with the nodes alice, bob and carol: bob and carol may send to alice, and alice to them.
    ///
    /// They are made once and copied: a node must work after it was copied.
    pub(crate) fn with_peers() -> Self {
        static PEERS: OnceLock<Env> = OnceLock::new();
        let made = PEERS.get_or_init(|| {
            let env = Self::new();
            for node in ["alice", "bob", "carol"] {
                env.make_node(node, &[]);
            }
            for (from, to) in [
                ("alice", "bob"),
                ("alice", "carol"),
                ("bob", "alice"),
                ("carol", "alice"),
            ] {
                env.introduce(from, to, &[]);
            }
            for file in ["keys", "home"] {
                fs::remove_dir_all(env.path(file)).ok();
            }
            env
        });
        let env = Self::new();
        copy_tree(made.root(), env.root());
        env
    }

    /// One with gateways: hub, on the Internet, has registered gateway and mallory; gateway has registered
    /// the endpoint alice. Bob and alice may send to each other. A directory `stick` is there.
    pub(crate) fn with_gateways() -> Self {
        static GATEWAYS: OnceLock<Env> = OnceLock::new();
        let made = GATEWAYS.get_or_init(|| {
            let env = Self::new();
            env.make_node("hub", &["--type", "gateway", "--address", HUB]);
            for gateway in ["gateway", "mallory"] {
                env.make_node(gateway, &["--type", "gateway"]);
                env.register("hub", gateway, &[]);
            }
            env.make_node("alice", &[]);
            env.register("gateway", "alice", &[]);
            env.make_node("bob", &[]);
            env.introduce("bob", "alice", &[]);
            env.introduce("alice", "bob", &[]);
            for file in ["keys", "home"] {
                fs::remove_dir_all(env.path(file)).ok();
            }
            env.mkdir("stick");
            env
        });
        let env = Self::new();
        copy_tree(made.root(), env.root());
        env
    }

    /// One with the gateways gateway and mallory, which accept cargo from each other, and no Internet gateway. Alice and bob may send to each other.
    pub(crate) fn with_peering() -> Self {
        let env = Self::new();
        for gateway in ["gateway", "mallory"] {
            env.make_node(gateway, &["--type", "gateway"]);
        }
        env.introduce("gateway", "mallory", &[]);
        env.introduce("mallory", "gateway", &[]);
        for endpoint in ["alice", "bob"] {
            env.make_node(endpoint, &[]);
        }
        env.introduce("bob", "alice", &[]);
        env.introduce("alice", "bob", &[]);
        env
    }

    /// Registers a node with a gateway; `options` are for relay-register.
    pub(crate) fn register(&self, gateway: &str, node: &str, options: &[&str]) {
        let public = self.relay("export").args(["-N", node]).ok().stdout;
        let registration = self
            .relay("register")
            .args(["-q", "-N", gateway, "--name", node])
            .args(options)
            .stdin(public)
            .ok()
            .quiet()
            .stdout;
        self.relay("import")
            .args(["-q", "-N", node, "--name", gateway])
            .stdin(registration)
            .ok()
            .quiet()
            .stdout(format!("{}\n", id(gateway)));
    }

    /// Cargo from one gateway to another with these messages.
    pub(crate) fn cargo(&self, from: &str, to: &str, messages: impl Into<Vec<u8>>) -> Vec<u8> {
        self.relay("pack-cargo")
            .args(["-N", from, "-t", to])
            .stdin(messages)
            .ok()
            .quiet()
            .stdout
    }

    /// A CCA from one gateway to another.
    pub(crate) fn cca(&self, from: &str, to: &str) -> Vec<u8> {
        self.relay("request-cargo")
            .args(["-N", from, "-t", to])
            .ok()
            .quiet()
            .stdout
    }

    /// A message of this kind from one gateway to another, as its programs would make it, but with any
    /// plaintext.
    pub(crate) fn sealed(&self, from: &str, to: &str, kind: Kind, plaintext: &[u8]) -> Vec<u8> {
        let node = Directory::open(&self.path(from)).unwrap();
        let now: jiff::Timestamp = NOW.parse().unwrap();
        let to = node.find_recipient(to).unwrap();
        let peer = match kind {
            Kind::Parcel => node.correspondent(to, now).unwrap(),
            _ => node.carrier(to, now).unwrap(),
        };
        let date = now - jiff::SignedDuration::from_hours(2);
        let originator = node.originator_key(peer.id, peer.session_key.curve(), date);
        let mut buffer = Buffer::with_capacity(plaintext.len());
        buffer.append(plaintext);
        let cipher = Cipher::Cbc { key_len: 16 };
        let payload = agreement::seal(buffer, cipher, &peer.session_key, &originator.unwrap().key);
        let fields = Fields {
            recipient: peer.id,
            address: peer.address,
            id: sha256(plaintext)[..32].to_owned(),
            date,
            ttl: 86_400,
        };
        let certificates: Vec<&Certificate> = peer.certificates.iter().collect();
        let identity = identity(from);
        let sealed = SignedMessage::seal(payload.unwrap(), kind, &fields, &identity, &certificates);
        sealed.unwrap().as_slice().to_vec()
    }

    /// A parcel whose content has a media type that relay-seal would refuse.
    pub(crate) fn parcel_of_type(
        &self,
        from: &str,
        to: &str,
        media_type: &str,
        content: &[u8],
    ) -> Vec<u8> {
        let fields = [
            write::tlv(0x80, media_type.as_bytes()),
            write::tlv(0x81, content),
        ];
        let plaintext = write::constructed(0x30, &[&fields[0], &fields[1]]);
        self.sealed(from, to, Kind::Parcel, &plaintext)
    }

    /// The directory.
    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A path in it.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: impl AsRef<Path>, octets: impl AsRef<[u8]>) {
        fs::write(self.path(name), octets).unwrap();
    }

    /// Makes a directory.
    pub(crate) fn mkdir(&self, name: &str) {
        fs::create_dir(self.path(name)).unwrap();
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Reads a text.
    pub(crate) fn text(&self, name: impl AsRef<Path>) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    /// The permission bits of a file.
    pub(crate) fn mode(&self, name: impl AsRef<Path>) -> u32 {
        let metadata = fs::symlink_metadata(self.path(name)).unwrap();
        metadata.permissions().mode() & 0o7777
    }

    /// Sets the permission bits of a file.
    pub(crate) fn chmod(&self, name: impl AsRef<Path>, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Makes a symbolic link.
    pub(crate) fn link(&self, target: impl AsRef<Path>, name: &str) {
        symlink(target, self.path(name)).unwrap();
    }

    /// The names in a directory.
    pub(crate) fn names(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(dir)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Copies the fixed keys of a node into `keys/NAME.*`, as they must be: 0600.
    pub(crate) fn keys(&self, name: &str) -> Keys {
        let from = interop().join("jvm/nodes").join(keys_of(name));
        fs::create_dir_all(self.path("keys")).unwrap();
        let copy = |what: &str| {
            let to = format!("keys/{name}.{what}");
            self.write(&to, fs::read(from.join(what)).unwrap());
            self.chmod(&to, 0o600);
            to
        };
        Keys {
            identity: copy("identity.key.pem"),
            public: copy("identity.pub.der"),
            session: copy("session.key.pem"),
            session_id: fs::read_to_string(from.join("session.keyid"))
                .unwrap()
                .trim()
                .to_owned(),
        }
    }

    /// Makes a node directory with fixed keys and a clock that tests may set.
    pub(crate) fn make_node(&self, name: &str, options: &[&str]) {
        let keys = self.keys(name);
        self.relay("keygen")
            .at(MADE)
            .args(["--set", "clock=test", "--identity-key", &keys.identity])
            .args(["--session-key", &keys.session])
            .args(["--session-key-id", &keys.session_id])
            .args(options)
            .arg(name)
            .ok()
            .quiet()
            .stdout(format!("{}\n", id(name)));
    }

    /// Lets `from` send to `to`; `options` are for relay-authorize. Leaves no files but in the nodes.
    pub(crate) fn introduce(&self, from: &str, to: &str, options: &[&str]) {
        self.relay("export")
            .args(["-N", from, "-o", "introduce.pub"])
            .ok();
        let conn = self
            .relay("authorize")
            .args(["-q", "-N", to, "--name", from])
            .args(options)
            .arg("introduce.pub")
            .ok()
            .quiet()
            .stdout;
        let one_way = options.contains(&"--one-way").then_some("--one-way");
        self.relay("import")
            .args(["-q", "-N", from, "--name", to])
            .args(one_way)
            .stdin(conn)
            .ok()
            .quiet();
        fs::remove_file(self.path("introduce.pub")).unwrap();
    }

    /// A parcel from one node to another with this content.
    pub(crate) fn parcel(&self, from: &str, to: &str, content: &[u8]) -> Vec<u8> {
        self.parcel_with(from, to, content, &[])
    }

    /// The same with options for relay-seal.
    pub(crate) fn parcel_with(
        &self,
        from: &str,
        to: &str,
        content: &[u8],
        options: &[&str],
    ) -> Vec<u8> {
        self.relay("seal")
            .args(["-N", from, "-t", to])
            .args(options)
            .stdin(content)
            .ok()
            .quiet()
            .stdout
    }

    /// A run of `relay-NAME`, to be given its arguments.
    pub(crate) fn relay(&self, name: &str) -> Call<'_> {
        Call {
            env: self,
            program: format!("relay-{name}"),
            args: Vec::new(),
            now: Some(NOW.to_owned()),
            stdin: Vec::new(),
            vars: Vec::new(),
            shell: None,
            user: None,
            has_reader: true,
            at_terminal: false,
            is_shown: None,
        }
    }

    /// Everything in the directory.
    pub(crate) fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        fill_tree(self.root(), "", &mut tree);
        tree
    }
}

/// The parts that a message is made from.
pub(crate) struct Forgery {
    /// The kind in its format signature.
    pub(crate) kind: Kind,
    /// Its fields.
    pub(crate) fields: Fields,
    /// The payload, usually sealed.
    pub(crate) payload: Vec<u8>,
    /// The certificates, the signer's first.
    pub(crate) certificates: Vec<Certificate>,
}

/// The message as `change` changes it, signed again with the key of `signer`.
pub(crate) fn forged(message: &[u8], signer: &str, change: impl FnOnce(&mut Forgery)) -> Vec<u8> {
    let message = SignedMessage::parse(message.to_vec()).unwrap();
    let certificates = [message.sender_certificate()]
        .into_iter()
        .chain(message.attached());
    let mut forgery = Forgery {
        kind: message.kind(),
        fields: message.fields().clone(),
        payload: message.payload().to_vec(),
        certificates: certificates.cloned().collect(),
    };
    change(&mut forgery);
    let mut buffer = Buffer::with_capacity(forgery.payload.len() + 16 * 1024);
    buffer.append(&forgery.payload);
    let certificates: Vec<&Certificate> = forgery.certificates.iter().collect();
    let forged = SignedMessage::sign(
        buffer,
        forgery.kind,
        &forgery.fields,
        &identity(signer),
        &certificates,
    );
    forged.unwrap().as_slice().to_vec()
}

/// The fixed identity key of a node.
pub(crate) fn identity(name: &str) -> IdentityKey {
    let dir = interop().join("jvm/nodes").join(keys_of(name));
    let text = fs::read(dir.join("identity.key.pem")).unwrap();
    let (pkcs8, _) = pem::private_key(&text).unwrap();
    IdentityKey::from_pkcs8(&pkcs8).unwrap()
}

/// The certificate that a node issues to itself.
pub(crate) fn self_issued(name: &str) -> Certificate {
    let now = NOW.parse().unwrap();
    certificates::issue_own(&identity(name), NodeType::Endpoint, now).unwrap()
}

/// The files of a node's fixed keys, relative to the scratch directory.
pub(crate) struct Keys {
    /// The private identity key, PEM.
    pub(crate) identity: String,
    /// The public identity key, DER.
    pub(crate) public: String,
    /// The private session key, PEM.
    pub(crate) session: String,
    /// The id of that.
    pub(crate) session_id: String,
}

/// A snapshot of a directory: the mode and content of each path.
pub(crate) type Tree = BTreeMap<String, (u32, Content)>;

/// The type of a directory entry, with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// A directory.
    Dir,
    /// A file with its octets.
    File(Vec<u8>),
    /// A symbolic link and its target.
    Link(PathBuf),
    /// Anything else.
    Other,
}

fn fill_tree(dir: &Path, prefix: &str, tree: &mut Tree) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let path = format!("{prefix}{}", Path::new(&name).display());
        let Ok(metadata) = fs::symlink_metadata(entry.path()) else {
            continue;
        };
        let content = if metadata.is_dir() {
            // Whether a lock file exists says nothing: only flock(2) on it does.
            if name != "lock" {
                fill_tree(&entry.path(), &format!("{path}/"), tree);
            }
            Content::Dir
        } else if metadata.is_symlink() {
            Content::Link(fs::read_link(entry.path()).unwrap())
        } else if metadata.is_file() {
            Content::File(fs::read(entry.path()).unwrap_or_default())
        } else {
            Content::Other
        };
        tree.insert(path, (metadata.permissions().mode() & 0o7777, content));
    }
}

/// Copies a directory, modes included.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            let mode = metadata.permissions().mode() & 0o7777;
            fs::DirBuilder::new().mode(mode).create(&target).unwrap();
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Gives a process its standard input, while others read its output.
fn feed(child: &mut Child, octets: Vec<u8>) -> std::thread::JoinHandle<()> {
    let mut stdin = child.stdin.take().unwrap();
    std::thread::spawn(move || {
        // A program may end without reading its input: that is not this test's failure.
        let _ = stdin.write_all(&octets);
    })
}

/// A run that has not started yet.
#[must_use]
pub(crate) struct Call<'a> {
    env: &'a Env,
    program: String,
    args: Vec<OsString>,
    now: Option<String>,
    stdin: Vec<u8>,
    vars: Vec<(String, OsString)>,
    shell: Option<String>,
    user: Option<User>,
    has_reader: bool,
    at_terminal: bool,
    /// The columns of the terminal that its standard output is; 0 if it does not tell.
    is_shown: Option<u16>,
}

/// A user of the system, by number: /etc/passwd need not have them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    /// Their user id, and the id of their own group.
    pub(crate) uid: u32,
    /// A second group that they are in.
    pub(crate) group: Option<u32>,
}

impl User {
    /// setpriv(1), which root runs to become this user; append the command.
    pub(crate) fn command(self) -> Command {
        let uid = self.uid.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &uid, "--regid", &uid]);
        match self.group {
            Some(group) => command.args(["--groups", &group.to_string()]),
            None => command.arg("--clear-groups"),
        };
        command.arg("--");
        command
    }
}

impl Call<'_> {
    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Runs it at this time (`--now`).
    pub(crate) fn at(mut self, now: &str) -> Self {
        self.now = Some(now.to_owned());
        self
    }

    /// Runs it at the system's time.
    pub(crate) fn at_any_time(mut self) -> Self {
        self.now = None;
        self
    }

    /// Gives it this on standard input.
    pub(crate) fn stdin(mut self, octets: impl Into<Vec<u8>>) -> Self {
        self.stdin = octets.into();
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn var(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.vars.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs it from a shell, after `before` and with `redirection`.
    pub(crate) fn shell(mut self, before: &str, redirection: &str) -> Self {
        self.shell = Some(format!("{before}\nexec \"$0\" \"$@\" {redirection}"));
        self
    }

    /// Runs it as another user; only root can.
    pub(crate) fn by(mut self, user: User) -> Self {
        self.user = Some(user);
        self
    }

    /// Gives it a standard output that nobody reads.
    pub(crate) fn without_reader(mut self) -> Self {
        self.has_reader = false;
        self
    }

    /// Gives it a terminal for its standard output.
    pub(crate) fn shown(mut self) -> Self {
        self.is_shown = Some(0);
        self
    }

    /// Gives it a terminal of so many columns for its standard output.
    pub(crate) fn shown_in(mut self, columns: u16) -> Self {
        self.is_shown = Some(columns);
        self
    }

    /// Gives it a terminal for its standard error.
    pub(crate) fn at_terminal(mut self) -> Self {
        self.at_terminal = true;
        self
    }

    /// Runs it, however it ends, and looks at no files.
    pub(crate) fn output(mut self) -> Output {
        let stdin = std::mem::take(&mut self.stdin);
        let mut child = self.to_command().spawn().unwrap();
        let writer = feed(&mut child, stdin);
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    }

    /// The command that runs it, with pipes.
    pub(crate) fn to_command(&self) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_relay-open")).with_file_name(&self.program);
        let mut command = if let Some(script) = &self.shell {
            let mut command = Command::new("/bin/sh");
            command.arg("-c").arg(script).arg(program);
            command
        } else if let Some(user) = self.user {
            let mut command = user.command();
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        command
            .args(&self.args)
            .current_dir(self.env.root())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.env.path("home"))
            .env("LC_ALL", "de_DE.UTF-8")
            .env("TZ", "Asia/Tokyo")
            .envs(self.now.iter().map(|now| ("RELAY_NOW", now)))
            .envs(self.vars.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it.
    pub(crate) fn run(mut self) -> Ran {
        let mut command = self.to_command();
        if !self.has_reader {
            let (_, writer) = std::io::pipe().unwrap();
            command.stdout(writer);
        }
        let screen = self.is_shown.map(|columns| {
            let (screen, line) = terminal();
            let size = rustix::termios::Winsize {
                ws_row: 24,
                ws_col: columns,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            rustix::termios::tcsetwinsize(&screen, size).unwrap();
            command.stdout(line);
            screen
        });
        let terminal = self.at_terminal.then(|| {
            let (screen, line) = terminal();
            command.stderr(line);
            screen
        });
        let before = self.env.tree();
        let mut child = command.spawn().unwrap();
        drop(command); // a terminal ends when nobody holds it any more
        let show = |screen| std::thread::spawn(move || shown(screen));
        let (shown, printed) = (terminal.map(show), screen.map(show));
        let writer = feed(&mut child, std::mem::take(&mut self.stdin));
        let mut output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        if let Some(shown) = shown {
            output.stderr = shown.join().unwrap();
        }
        if let Some(printed) = printed {
            output.stdout = printed.join().unwrap();
        }
        let line = format!("{}{:?}", self.program, self.args);
        let code = output.status.code();
        assert_eq!(output.status.signal(), None, "{line}");
        Ran {
            line,
            status: code.unwrap(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).expect("diagnostics are UTF-8"),
            program: self.program,
            before,
            after: self.env.tree(),
        }
    }

    /// Runs it and checks that it succeeds.
    #[track_caller]
    pub(crate) fn ok(self) -> Ran {
        let ran = self.run();
        assert_eq!(ran.status, 0, "{}: {}", ran.line, ran.stderr);
        ran
    }

    /// Runs it and checks only its status.
    #[track_caller]
    pub(crate) fn ends(self, status: i32) -> Ran {
        let ran = self.run();
        assert_eq!(ran.status, status, "{}: {}", ran.line, ran.stderr);
        ran
    }

    /// Runs it and checks that it fails: this status, one diagnostic line that begins like this (and at
    /// most one hint), nothing on standard output, and every file as before.
    #[track_caller]
    pub(crate) fn fails(self, status: i32, diagnostic: &str) -> Ran {
        let ran = self.run();
        assert_eq!(
            ran.status,
            status,
            "{}: {} {}",
            ran.line,
            ran.stderr,
            String::from_utf8_lossy(&ran.stdout)
        );
        ran.says(&[diagnostic]).stdout("").changes(&[])
    }
}

/// A terminal: what reads its screen, and what a program has of it.
fn terminal() -> (fs::File, fs::File) {
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    // No other program that is started meanwhile gets it, nor do the tests come under its control.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let line = rustix::fs::open(name, flags, Mode::empty()).unwrap();
    (screen.into(), line.into())
}

/// What a terminal showed until its program ended, with the ends of lines as the program wrote them.
fn shown(mut screen: fs::File) -> Vec<u8> {
    use std::io::Read as _;
    let mut octets = Vec::new();
    // Linux ends it with an error, and not with an end of file.
    let _ = screen.read_to_end(&mut octets);
    let text = String::from_utf8(octets).unwrap();
    text.replace("\r\n", "\n").into_bytes()
}

/// A run that has ended.
pub(crate) struct Ran {
    line: String,
    program: String,
    /// The exit status.
    pub(crate) status: i32,
    /// What it wrote to standard output.
    pub(crate) stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub(crate) stderr: String,
    before: Tree,
    after: Tree,
}

impl Ran {
    /// The diagnostics without the program's name, hints, and the notice about `--now`.
    #[track_caller]
    pub(crate) fn diagnostics(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for line in self.stderr.lines() {
            let text = line
                .strip_prefix(&format!("{}: ", self.program))
                .unwrap_or_else(|| panic!("{}: not named: {line:?}", self.line));
            assert!(!text.chars().any(char::is_control), "{text:?}");
            if !text.starts_with("hint: ") && !text.starts_with("the time is taken to be ") {
                lines.push(text.to_owned());
            }
        }
        assert!(
            self.stderr.is_empty() || self.stderr.ends_with('\n'),
            "{}",
            self.stderr
        );
        lines
    }

    /// The hints.
    pub(crate) fn hints(&self) -> Vec<&str> {
        let start = format!("{}: hint: ", self.program);
        let lines = self.stderr.lines();
        lines.filter_map(|line| line.strip_prefix(&start)).collect()
    }

    /// Checks that the diagnostics are as many, begin like these, and have at most one hint each.
    #[track_caller]
    pub(crate) fn says(self, lines: &[&str]) -> Self {
        let said = self.diagnostics();
        let matches = said.len() == lines.len()
            && said
                .iter()
                .zip(lines)
                .all(|(said, line)| said.starts_with(line));
        assert!(matches, "{}: {said:#?} for {lines:#?}", self.line);
        assert!(
            self.hints().len() <= lines.len(),
            "{}: {}",
            self.line,
            self.stderr
        );
        self
    }

    /// Checks that a diagnostic contains this.
    #[track_caller]
    pub(crate) fn says_somewhere(self, text: &str) -> Self {
        let said = self.diagnostics();
        assert!(said.iter().any(|line| line.contains(text)), "{said:?}");
        self
    }

    /// Checks that standard output does not contain this.
    #[track_caller]
    pub(crate) fn says_nothing_of(self, text: &str) -> Self {
        assert!(!self.text().contains(text), "{}", self.text());
        self
    }

    /// Checks that there are no diagnostics.
    #[track_caller]
    pub(crate) fn quiet(self) -> Self {
        self.says(&[])
    }

    /// Checks standard output.
    #[track_caller]
    pub(crate) fn stdout(self, octets: impl AsRef<[u8]>) -> Self {
        let octets = octets.as_ref();
        assert!(
            self.stdout == octets,
            "{}: {:?} for {:?}",
            self.line,
            String::from_utf8_lossy(&self.stdout[..self.stdout.len().min(500)]),
            String::from_utf8_lossy(&octets[..octets.len().min(500)])
        );
        self
    }

    /// Standard output as text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Standard output as lines of JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        json_lines(self.text())
    }

    /// What changed in the scratch directory: `+` for new, `-` for gone, `*` for other octets or modes.
    /// Ids of the [`NODES`] are shown as `ALICE`, and other long hexadecimal numbers as `HEX`.
    #[track_caller]
    pub(crate) fn changed(&self) -> Vec<String> {
        let mut changed = Vec::new();
        for (path, entry) in &self.after {
            match self.before.get(path) {
                None => changed.push(format!("+{}", readable(path))),
                Some(before) if before != entry => changed.push(format!("*{}", readable(path))),
                Some(_) => {}
            }
        }
        let gone = self
            .before
            .keys()
            .filter(|path| !self.after.contains_key(*path));
        changed.extend(gone.map(|path| format!("-{}", readable(path))));
        changed.sort();
        changed
    }

    /// Checks that exactly this changed.
    #[track_caller]
    pub(crate) fn changes(self, expected: &[&str]) -> Self {
        assert_eq!(self.changed(), expected, "{}", self.line);
        self
    }

    /// Checks that exactly this changed outside of the node directories.
    #[track_caller]
    pub(crate) fn changes_outside_nodes(self, expected: &[&str]) -> Self {
        let mut changed = self.changed();
        changed.retain(|path| {
            let first = path[1..].split('/').next().unwrap();
            !NODES.iter().any(|(node, _)| *node == first)
        });
        assert_eq!(changed, expected, "{}", self.line);
        self
    }
}

/// A path with node ids replaced by the nodes' names.
pub(crate) fn readable(path: &str) -> String {
    let mut path = path.to_owned();
    for (name, _) in NODES {
        path = path.replace(&id(name), &name.to_uppercase());
    }
    let mut out = String::new();
    let mut rest = path.as_str();
    while let Some(first) = rest.chars().next() {
        let digits = rest
            .bytes()
            .take_while(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'))
            .count();
        if digits >= 16 {
            out.push_str("HEX");
            rest = &rest[digits..];
        } else {
            let step = digits.max(first.len_utf8());
            out.push_str(&rest[..step]);
            rest = &rest[step..];
        }
    }
    out
}

/// Lines of JSON, each an object with `"v":1`.
#[track_caller]
pub(crate) fn json_lines(text: &str) -> Vec<serde_json::Value> {
    let lines = text.lines().map(|line| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["v"], 1, "{line}");
        value
    });
    lines.collect()
}

/// The keys of a JSON object, in their order.
pub(crate) fn keys_in(value: &serde_json::Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// The SHA-256 of octets, in hexadecimal.
pub(crate) fn sha256(octets: &[u8]) -> String {
    relaynet::asn1::Hex(&relaynet::crypto::hash::sha256(octets)).to_string()
}

/// A file name that is not valid UTF-8.
pub(crate) fn not_utf8() -> &'static OsStr {
    OsStr::from_bytes(b"na\xffme")
}
