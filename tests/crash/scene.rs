//! Prepared nodes, scratch copies of them for each run, and what is found there afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, Weak};

use relaynet::archive;
use relaynet::asn1::{Hex, pem};
use relaynet::crypto::hash::sha256;
use relaynet::message::certification_path::PathForm;
use relaynet::message::{CertificationPath, Item, Object, Parcel, Rotation};
use relaynet::node::Directory;
use relaynet::session::Sealed;
use relaynet::spool::Name;
use tempfile::TempDir;

/// The hour at which the nodes are made and authorize each other.
pub(crate) const START: &str = "2026-12-01T12:00:00Z";
/// When bob writes first.
pub(crate) const FIRST: &str = "2026-12-01T13:00:00Z";
/// When bob writes again.
pub(crate) const SECOND: &str = "2026-12-01T14:00:00Z";
/// When the other side answers.
pub(crate) const ANSWER: &str = "2026-12-01T15:00:00Z";
/// When alice renews her authorization for bob.
pub(crate) const RENEWAL: &str = "2026-12-02T00:00:00Z";
/// An hour after that.
pub(crate) const RENEWED: &str = "2026-12-02T01:00:00Z";
/// When the session key that carol hands out is too old.
pub(crate) const MONTH: &str = "2027-01-01T12:00:00Z";
/// When much of what was stored before has expired.
pub(crate) const LATE: &str = "2027-01-10T12:00:00Z";

/// When what was renewed in January goes again.
pub(crate) const AGAIN: &str = "2027-01-20T12:00:00Z";

/// When half of the life of the first certificates is over.
pub(crate) const HALF: &str = "2027-03-15T12:00:00Z";

/// Long after everything that was made here, by any clock.
pub(crate) const RESTORED: &str = "2040-01-01T12:00:00Z";

/// What bob writes.
pub(crate) const CONTENT: &[u8] = b"a few lines\nthat must not be lost\n";

/// The octets of content in two parts, about.
const LARGE_LEN: usize = 8_300_000;

/// The directory of the prepared nodes.
const DIRS: [&str; 44] = [
    "in",
    "keys",
    "alone",
    "friends",
    "sealed",
    "locked",
    "renewed",
    "told",
    "heard",
    "arrived",
    "lone",
    "gateways",
    "grouped",
    "asked",
    "routed",
    "unroutable",
    "limited",
    "queued",
    "acked",
    "worn",
    "parts",
    "parts/box",
    "parted",
    "parted/box",
    "treed",
    "treed/box",
    "piecemeal",
    "blank",
    "empty",
    "given",
    "laden",
    "both",
    "outgoing",
    "withdrawn",
    "unfit",
    "dropped",
    "due",
    "again",
    "homely",
    "revoking",
    "succeeding",
    "succeeded",
    "named",
    "passing",
];

/// The transfer id of its parts.
pub(crate) const TRANSFER: &str = "000102030405060708090a0b0c0d0e0f";

/// The media type of authorizations in parcels.
pub(crate) const AUTHORIZATION_TYPE: &str = "application/vnd+relaycorp.awala.pda-path";

/// The path of a program under test.
pub(crate) fn program(name: &str) -> &'static str {
    match name {
        "relay-keygen" => env!("CARGO_BIN_EXE_relay-keygen"),
        "relay-check" => env!("CARGO_BIN_EXE_relay-check"),
        "relay-list" => env!("CARGO_BIN_EXE_relay-list"),
        "relay-export" => env!("CARGO_BIN_EXE_relay-export"),
        "relay-authorize" => env!("CARGO_BIN_EXE_relay-authorize"),
        "relay-import" => env!("CARGO_BIN_EXE_relay-import"),
        "relay-peers" => env!("CARGO_BIN_EXE_relay-peers"),
        "relay-seal" => env!("CARGO_BIN_EXE_relay-seal"),
        "relay-open" => env!("CARGO_BIN_EXE_relay-open"),
        "relay-ack" => env!("CARGO_BIN_EXE_relay-ack"),
        "relay-unpack-cargo" => env!("CARGO_BIN_EXE_relay-unpack-cargo"),
        "relay-pack-cargo" => env!("CARGO_BIN_EXE_relay-pack-cargo"),
        "relay-request-cargo" => env!("CARGO_BIN_EXE_relay-request-cargo"),
        "relay-purge" => env!("CARGO_BIN_EXE_relay-purge"),
        "relay-split" => env!("CARGO_BIN_EXE_relay-split"),
        "relay-join" => env!("CARGO_BIN_EXE_relay-join"),
        "relay-put" => env!("CARGO_BIN_EXE_relay-put"),
        "relay-route" => env!("CARGO_BIN_EXE_relay-route"),
        "relay-sync" => env!("CARGO_BIN_EXE_relay-sync"),
        "relay-carry" => env!("CARGO_BIN_EXE_relay-carry"),
        "relay-rotate" => env!("CARGO_BIN_EXE_relay-rotate"),
        "relay-register" => env!("CARGO_BIN_EXE_relay-register"),
        "relay-deliver" => env!("CARGO_BIN_EXE_relay-deliver"),
        "relay-revoke" => env!("CARGO_BIN_EXE_relay-revoke"),
        "relay-verify" => env!("CARGO_BIN_EXE_relay-verify"),
        "relay-send" => env!("CARGO_BIN_EXE_relay-send"),
        other => panic!("{other}: not a program that is tested here"),
    }
}

/// A program's end.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.status.code(), Some(code), "{}", self.stderr);
        self
    }
}

/// A command of one of the programs in `dir`, with an empty environment.
pub(crate) fn command(dir: &Path, name: &str, args: &[&str], now: &str) -> Command {
    let mut command = Command::new(program(name));
    command
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .env("RELAY_NOW", now)
        .stdin(Stdio::null());
    command
}

/// The nodes that the tests start from. A stage of a node is a directory `STAGE/NAME`.
///
/// - `alone`: alice, bob and carol, who has an Internet address, have just been made.
/// - `friends`: alice and bob authorized each other.
/// - `sealed`: bob has sealed `in/first.parcel` for alice.
/// - `locked`: the same, and all private keys of bob are encrypted under the passphrase in `in/pass`.
/// - `lone`: the gateways hub, who has an Internet address, and field have just been made.
/// - `gateways`: hub has registered field, who has packed `in/first.cargo` for it.
/// - `asked`: field has made `in/field.cca`.
/// - `limited`: hub has two parcels of bob's in its spool, and alice lets him send one a day.
/// - `unroutable`: hub has `in/first.parcel` in its spool, and no way for it.
/// - `queued`: the same with a way, to field.
/// - `acked`: field has it on its way to hub, whose acknowledgement has come.
/// - `worn`: field has been in use for weeks, and has much that is of no use at [`LATE`]. For alice waits a parcel
///   that is sealed to a session key which is too old then.
/// - `arrived`: `in/first.parcel` waits for alice in her spool, and `in/renewed.parcel` for bob in bob's.
/// - `parts`: box has `in/report.txt` in four parts, each in a file, which `in/report.parts` has in a stream.
/// - `parted`: bob has sealed these parts, and the parcels wait for alice in her spool.
/// - `treed`: bob has sealed a directory `photos` for alice, `in/tree.parcel`, which waits in her spool.
/// - `piecemeal`: the same directory waits there in parts.
/// - `blank`: the media stick and blue have just been made. In `empty`, stick is an ordinary directory.
/// - `given`: on stick is what field has for hub: `in/first.cargo`, and `in/field.cca`.
/// - `laden`: on stick is what hub has for field, in answer to that: both parcels, an acknowledgement and a rotation.
/// - `both`: stick has all of that, and a hint that field got its cargo.
/// - `outgoing`: field has both parcels for hub, and asks for no acknowledgement of the second, but for two copies.
/// - `unfit`: hub has set `in/first.parcel` aside, and has it once more in another encoding; field's cargo brought it a
///   rotation that is for another node.
/// - `told`: bob knows carol, and lets her send to bob: in `in/stranger.parcel`, and later again.
/// - `due`: alice and hub as in `friends` and `gateways`, but a month later, as relay-purge knows.
/// - `homely`: the same time, and field has the local endpoint `home`.
/// - `dropped`: in the drop folder `drop` lie two files for alice, in `all` one for whom `-t` names, in `large` one of two
///   parts.
/// - `revoking`: field has registered alice, whom bob may send to.
/// - `passing`: alice has revoked that, and `in/alice.pdd` waits in the spool of field.
/// - `heard`: carol, who does not know bob, has opened that.
/// - `renewed`: alice has sealed `in/renewed.parcel`, a new authorization, for bob.
pub(crate) struct World {
    root: TempDir,
    ids: BTreeMap<String, String>,
}

impl World {
    /// The world that the tests of this process share while one of them needs it.
    pub(crate) fn get() -> Arc<Self> {
        static SHARED: Mutex<Weak<World>> = Mutex::new(Weak::new());
        let mut shared = SHARED
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(world) = shared.upgrade() {
            return world;
        }
        let world = Arc::new(Self::make());
        *shared = Arc::downgrade(&world);
        world
    }

    #[allow(clippy::too_many_lines)] // a scene is set in order
    fn make() -> Self {
        let root = scratch();
        let path = root.path();
        let run = |name: &str, args: &[&str], now: &str| {
            let output = command(path, name, args, now).output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name} {args:?}: {text}");
        };
        make_dirs(path);
        let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/alpha");
        let copied = |from: &Path, to: &Path, mode: u32| {
            fs::write(to, fs::read(from).unwrap()).unwrap();
            fs::set_permissions(to, PermissionsExt::from_mode(mode)).unwrap();
        };
        fs::write(path.join("in/report.txt"), CONTENT).unwrap();
        for (name, text) in [("pass", "old\n"), ("pass.new", "new\n")] {
            let secret = path.join("in").join(name);
            fs::write(&secret, text).unwrap();
            fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
        }
        copied(
            &vectors.join("gsc/endpoint-a.pnr"),
            &path.join("in/alice.pnr"),
            0o644,
        );
        for (name, vector) in [
            ("alice", "endpoint-a"),
            ("bob", "endpoint-b"),
            ("carol", "internet-gateway"),
        ] {
            let key = format!("keys/{name}.key");
            let from = vectors.join("nodes").join(vector).join("identity.key.pem");
            copied(&from, &path.join(&key), 0o600);
            let node = format!("alone/{name}");
            let mut args = vec!["--identity-key", &key, "--set", "clock=test", &node];
            if name == "carol" {
                args.extend(["--address", "carol.example.org"]);
            }
            run("relay-keygen", &args, START);
            let file = format!("in/{name}.pub");
            run("relay-export", &["-N", &node, "-o", &file], START);
        }
        for name in ["alice", "bob"] {
            copy_tree(
                &path.join("alone").join(name),
                &path.join("friends").join(name),
            );
        }
        for (by, to) in [("alice", "bob"), ("bob", "alice")] {
            let (node, other) = (format!("friends/{by}"), format!("friends/{to}"));
            let (key, file) = (format!("in/{to}.pub"), format!("in/{by}-for-{to}.conn"));
            let args = ["-q", "-N", &node, "--name", to, "-o", &file, &key];
            run("relay-authorize", &args, START);
            let args = ["-q", "-N", &other, "--name", by, &file];
            run("relay-import", &args, START);
        }
        copy_tree(&path.join("friends/bob"), &path.join("sealed/bob"));
        let mut args = vec!["-N", "sealed/bob", "-t", "alice", "--keep-name"];
        args.extend(["-o", "in/first.parcel", "in/report.txt"]);
        run("relay-seal", &args, FIRST);
        copy_tree(&path.join("sealed/bob"), &path.join("locked/bob"));
        let mut args = vec!["-q", "-N", "locked/bob", "--change-passphrase"];
        args.extend(["--new-passphrase-file", "in/pass"]);
        run("relay-keygen", &args, START);
        copy_tree(&path.join("friends/alice"), &path.join("renewed/alice"));
        let mut args = vec!["-q", "-N", "renewed/alice", "--der"];
        args.extend(["-o", "in/renewed.conn", "bob"]);
        run("relay-authorize", &args, RENEWAL);
        let mut args = vec!["-N", "renewed/alice", "-t", "bob", "-y", AUTHORIZATION_TYPE];
        args.extend(["-o", "in/renewed.parcel", "in/renewed.conn"]);
        run("relay-seal", &args, RENEWAL);

        for (stage, name, parcel, now) in [
            ("friends", "alice", "in/first.parcel", FIRST),
            ("sealed", "bob", "in/renewed.parcel", RENEWAL),
        ] {
            let node = format!("arrived/{name}");
            copy_tree(&path.join(stage).join(name), &path.join(&node));
            run("relay-put", &["-N", &node, parcel], now);
            run("relay-route", &["-N", &node], now);
        }

        let mail = vectors.join("nodes/endpoint-c/identity.key.pem");
        copied(&mail, &path.join("in/mail.key"), 0o600);
        for (name, vector, address) in [
            (
                "hub",
                "private-gateway-c",
                &["--address", "hub.example.org"][..],
            ),
            ("field", "private-gateway-a", &[]),
        ] {
            let key = format!("keys/{name}.key");
            let from = vectors.join("nodes").join(vector).join("identity.key.pem");
            copied(&from, &path.join(&key), 0o600);
            let node = format!("lone/{name}");
            let mut args = vec!["--type", "gateway", "--identity-key", &key];
            args.extend(["--set", "clock=test"].iter().chain(address));
            args.push(&node);
            run("relay-keygen", &args, START);
            let to = path.join("gateways").join(name);
            copy_tree(&path.join("lone").join(name), &to);
        }
        let export = ["-N", "lone/field", "-o", "in/field.pub"];
        run("relay-export", &export, START);
        let mut args = vec!["-q", "-N", "gateways/hub", "--name", "field"];
        args.extend(["-o", "in/field.pnr", "in/field.pub"]);
        run("relay-register", &args, START);
        let args = [
            "-q",
            "-N",
            "gateways/field",
            "--name",
            "hub",
            "in/field.pnr",
        ];
        run("relay-import", &args, START);
        make_grouped(path);
        let args = ["-o", "in/first.pca", "in/first.parcel"];
        run("relay-ack", &args, FIRST);
        copy_tree(&path.join("gateways/field"), &path.join("asked/field"));
        let mut args = vec![
            "-q",
            "-N",
            "asked/field",
            "-t",
            "hub",
            "-o",
            "in/first.cargo",
        ];
        args.extend(["in/first.parcel", "in/first.pca"]);
        run("relay-pack-cargo", &args, FIRST);
        let args = ["-q", "-N", "asked/field", "-t", "hub", "-o", "in/field.cca"];
        run("relay-request-cargo", &args, FIRST);

        copy_tree(&path.join("gateways/hub"), &path.join("unroutable/hub"));
        run(
            "relay-put",
            &["-N", "unroutable/hub", "in/first.parcel"],
            FIRST,
        );
        copy_tree(&path.join("unroutable/hub"), &path.join("queued/hub"));
        fs::write(path.join("queued/hub/routes"), "* peer:field\n").unwrap();
        let mode = PermissionsExt::from_mode(0o600);
        fs::set_permissions(path.join("queued/hub/routes"), mode).unwrap();
        make_limited(path);
        copy_tree(&path.join("gateways/field"), &path.join("acked/field"));
        run(
            "relay-put",
            &["-N", "acked/field", "in/first.parcel"],
            FIRST,
        );
        run("relay-route", &["-N", "acked/field"], FIRST);
        let hub = Directory::open(&path.join("lone/hub")).unwrap().id();
        let spool = path.join("acked/field/spool");
        let queued = fs::read_dir(spool.join(format!("out/{hub}"))).unwrap();
        let parcel = queued.last().unwrap().unwrap().file_name();
        let control = spool.join(format!("control/{hub}"));
        fs::create_dir_all(&control).unwrap();
        let name = parcel.to_str().unwrap().replace(".parcel", ".pca");
        copied(&path.join("in/first.pca"), &control.join(name), 0o600);

        Self::wear(path, &hub.to_string(), &run);

        make_heard(path, &run);
        make_due(path, &run);
        make_dropped(path);
        make_parts(path, run);
        make_parted(path, run);
        make_treed(path, run);
        make_media(path, &run);
        make_revoking(path, &run);
        make_succession(path, &run);

        let nodes = [("alone", "alice"), ("alone", "bob"), ("alone", "carol")].into_iter();
        let ids = nodes
            .chain([("lone", "hub"), ("lone", "field")])
            .map(|(stage, name)| {
                let node = Directory::open(&path.join(stage).join(name)).unwrap();
                (node.id().to_string(), name.to_owned())
            });
        Self {
            ids: ids.collect(),
            root,
        }
    }

    /// Makes the stage `worn`.
    fn wear(path: &Path, hub: &str, run: &dyn Fn(&str, &[&str], &str)) {
        for (stage, name) in [
            ("gateways", "field"),
            ("gateways", "hub"),
            ("sealed", "bob"),
        ] {
            copy_tree(&path.join(stage).join(name), &path.join("worn").join(name));
        }
        let field = ["-q", "-N", "worn/field"];
        let with = |args: &[&'static str]| [&field[..], args].concat();
        for now in [FIRST, SECOND, ANSWER] {
            let ask = with(&["-t", "hub", "-f", "-o", "worn/cca"]);
            run("relay-request-cargo", &ask, now);
            let mut pack = vec!["-q", "-N", "worn/hub", "--cca", "worn/cca", "-f"];
            pack.extend(["-o", "worn/cargo", "in/first.parcel"]);
            run("relay-pack-cargo", &pack, now);
            let unpack = with(&["-f", "-o", "worn/messages", "worn/cargo"]);
            run("relay-unpack-cargo", &unpack, now);
        }
        run("relay-put", &with(&["in/first.parcel"]), FIRST);
        run("relay-route", &field, FIRST);
        let out = path.join("worn/field/spool/out").join(hub);
        let first = fs::read_dir(&out).unwrap().last().unwrap().unwrap();
        let failed = path.join("worn/field/spool/failed");
        private_dir(&failed);
        let name = first.file_name().into_string().unwrap();
        private(&failed.join(&name), &fs::read(first.path()).unwrap());
        private(&failed.join(format!("{name}.why")), b"{}\n");
        private(
            &failed.join(format!("{}.why", name.replace(".parcel", ".p9.parcel"))),
            b"{}\n",
        );
        let mut seal = vec!["-q", "-N", "worn/bob", "-t", "alice", "--ttl", "100d"];
        seal.extend(["-o", "in/long.parcel", "in/report.txt"]);
        run("relay-seal", &seal, SECOND);
        run(
            "relay-put",
            &with(&["in/long.parcel"]),
            "2026-12-20T12:00:00Z",
        );
        run("relay-route", &field, "2026-12-20T12:00:00Z");

        copy_tree(&path.join("friends/alice"), &path.join("worn/alice"));
        // Alice's next key is in use, and what waits for her is sealed to the one before.
        for (from, to) in [("alice", "bob"), ("bob", "alice")] {
            let (from, node) = (format!("worn/{from}"), format!("worn/{to}"));
            let mut seal = vec!["-q", "-N", &from, "-t", to, "-f", "-o", "worn/parcel"];
            seal.push("in/report.txt");
            run("relay-seal", &seal, ANSWER);
            let open = ["-q", "-N", &node, "-f", "-o", "worn/content", "worn/parcel"];
            run("relay-open", &open, ANSWER);
        }
        let alice = ["-q", "-N", "worn/alice"];
        let put = [&alice[..], &["in/long.parcel"]].concat();
        run("relay-put", &put, "2026-12-20T12:00:00Z");
        run("relay-route", &alice, "2026-12-20T12:00:00Z");

        let medium = path.join(format!("worn/field/spool/carried/{}", "5a".repeat(16)));
        private_dir(&medium);
        let record = format!("{hub}.{}", "5a".repeat(32));
        let dates = b"2026-05-01T12:00:00Z\n2026-05-31T12:00:00Z\n";
        private(&medium.join(record), dates);
        private(&medium.join("last"), b"2026-05-01T12:00:00Z\ngiven = 1\n");
        private(&path.join("worn/field/spool/sent/2026-05-01"), b"");
        let strangers = path.join("worn/field/strangers/2026-10-01");
        private_dir(&strangers);
        let key = fs::read_dir(path.join("friends/alice/peers"))
            .unwrap()
            .last()
            .unwrap();
        let key = fs::read(key.unwrap().path().join("session.pem")).unwrap();
        private(&strangers.join(format!("{hub}.pem")), &key);
    }

    /// The id of a node.
    pub(crate) fn id(&self, name: &str) -> &str {
        let found = self.ids.iter().find(|(_, known)| *known == name);
        found.map(|(id, _)| id.as_str()).unwrap()
    }

    /// Copies of these nodes, given as `STAGE/NAME`, and of what there is to read; `out` is empty.
    pub(crate) fn scene(self: &Arc<Self>, nodes: &[&str]) -> Scene {
        let root = scratch();
        symlink(self.root.path().join("in"), root.path().join("in")).unwrap();
        fs::create_dir(root.path().join("out")).unwrap();
        fs::create_dir(root.path().join("tmp")).unwrap();
        let scene = Scene {
            root,
            world: Arc::clone(self),
            is_bare: false,
        };
        for node in nodes {
            scene.add(node);
        }
        scene
    }
}

/// Makes the stage `parted`.
fn make_parted(root: &Path, run: impl Fn(&str, &[&str], &str)) {
    for name in ["alice", "bob"] {
        let (from, to) = (format!("friends/{name}"), format!("parted/{name}"));
        copy_tree(&root.join(from), &root.join(to));
    }
    let mut args = vec!["-q", "-N", "parted/bob", "-t", "alice", "--parts"];
    args.extend(["-d", "parted/box", "in/report.parts"]);
    run("relay-seal", &args, FIRST);
    run("relay-put", &["-N", "parted/alice", "parted/box"], FIRST);
    run("relay-route", &["-N", "parted/alice"], FIRST);
}

/// Makes the stage `treed`.
fn make_treed(root: &Path, run: impl Fn(&str, &[&str], &str)) {
    for name in ["alice", "bob"] {
        let (from, to) = (format!("friends/{name}"), format!("treed/{name}"));
        copy_tree(&root.join(from), &root.join(to));
    }
    let photos = root.join("treed/photos");
    fs::create_dir_all(photos.join("d")).unwrap();
    fs::write(photos.join("report.txt"), CONTENT).unwrap();
    let mut tree = archive::Tree::open(&photos, "photos").unwrap();
    let mut octets = Vec::new();
    tree.read_to_end(&mut octets).unwrap();
    fs::write(root.join("in/photos.tar"), octets).unwrap();
    let mut args = vec!["-N", "treed/bob", "-t", "alice", "-y", archive::MEDIA_TYPE];
    args.extend(["-o", "in/tree.parcel", "in/photos.tar"]);
    run("relay-seal", &args, FIRST);
    run("relay-put", &["-N", "treed/alice", "in/tree.parcel"], FIRST);
    run("relay-route", &["-N", "treed/alice"], FIRST);
    for name in ["alice", "bob"] {
        let (from, to) = (format!("friends/{name}"), format!("piecemeal/{name}"));
        copy_tree(&root.join(from), &root.join(to));
    }
    let args = ["--size", "1000", "-o", "in/photos.parts", "in/photos.tar"];
    run("relay-split", &args, FIRST);
    let mut args = vec!["-q", "-N", "piecemeal/bob", "-t", "alice", "--parts"];
    args.extend([
        "-y",
        archive::MEDIA_TYPE,
        "-d",
        "treed/box",
        "in/photos.parts",
    ]);
    run("relay-seal", &args, FIRST);
    run("relay-put", &["-N", "piecemeal/alice", "treed/box"], FIRST);
    run("relay-route", &["-N", "piecemeal/alice"], FIRST);
}

fn make_dirs(path: &Path) {
    for dir in DIRS {
        fs::create_dir(path.join(dir)).unwrap();
    }
}

/// Makes the stage `dropped`.
fn make_dropped(path: &Path) {
    for dir in ["drop", "drop/alice", "all", "large", "sent"] {
        fs::create_dir(path.join("dropped").join(dir)).unwrap();
    }
    for file in ["drop/alice/one.txt", "drop/alice/two.txt", "all/one.txt"] {
        fs::write(path.join("dropped").join(file), CONTENT).unwrap();
    }
    fs::write(
        path.join("in/large.txt"),
        CONTENT.repeat(LARGE_LEN / CONTENT.len()),
    )
    .unwrap();
    fs::copy(
        path.join("in/large.txt"),
        path.join("dropped/large/large.txt"),
    )
    .unwrap();
}

/// Makes the stages `due`, `again` and `homely`.
fn make_due(path: &Path, run: &impl Fn(&str, &[&str], &str)) {
    for (from, to) in [
        ("friends/alice", "due/alice"),
        ("gateways/hub", "due/hub"),
        ("lone/field", "homely/field"),
    ] {
        copy_tree(&path.join(from), &path.join(to));
        if to == "homely/field" {
            let args = ["-q", "-N", to, "--set", "clock=test", "--endpoint", "home"];
            run("relay-keygen", &args, START);
            let args = ["-q", "-N", to, "--trust-clock"];
            run("relay-purge", &args, HALF);
        } else {
            let args = ["-q", "-N", to, "--trust-clock"];
            run("relay-purge", &args, MONTH);
        }
    }
    // What it renewed left, and was lost.
    copy_tree(&path.join("due/alice"), &path.join("again/alice"));
    run("relay-rotate", &["-q", "-N", "again/alice"], MONTH);
    let waiting = path.join("again/alice/spool/in");
    fs::remove_dir_all(&waiting).unwrap();
    fs::create_dir(&waiting).unwrap();
}

/// Makes the stages `told` and `heard`.
fn make_heard(path: &Path, run: &impl Fn(&str, &[&str], &str)) {
    copy_tree(&path.join("friends/bob"), &path.join("told/bob"));
    copy_tree(&path.join("alone/carol"), &path.join("heard/carol"));
    let args = ["-q", "-N", "told/bob", "--name", "carol", "in/carol.pub"];
    run("relay-import", &args, START);
    for (name, now) in [("stranger", FIRST), ("stranger-again", RENEWAL)] {
        let (conn, parcel) = (format!("in/{name}.conn"), format!("in/{name}.parcel"));
        let mut args = vec!["-q", "-N", "told/bob", "--valid", "30d", "--der"];
        args.extend(["-o", &conn, "carol"]);
        run("relay-authorize", &args, now);
        let mut args = vec!["-N", "told/bob", "-t", "carol", "-y", AUTHORIZATION_TYPE];
        args.extend(["-o", &parcel, &conn]);
        run("relay-seal", &args, now);
    }
    let args = ["-q", "-N", "heard/carol", "in/stranger.parcel"];
    run("relay-open", &args, FIRST);
}

/// Makes the stage `parts`, and `in/report.parts`.
fn make_parts(root: &Path, run: impl Fn(&str, &[&str], &str)) {
    let mut args = vec!["--size", "10", "--transfer", TRANSFER, "--name", "report"];
    args.extend(["-o", "in/report.parts", "in/report.txt"]);
    run("relay-split", &args, START);
    args.splice(6.., ["-d", "parts/box", "in/report.txt"]);
    run("relay-split", &args, START);
    for part in fs::read_dir(root.join("parts/box")).unwrap() {
        let mode = PermissionsExt::from_mode(0o600);
        fs::set_permissions(part.unwrap().path(), mode).unwrap();
    }
}

/// Makes the stages `succeeding`, `succeeded` and `named`, with `in/successor.parcel` and
/// `in/bob.successor`: alice's node has a successor, and bob is told.
fn make_succession(path: &Path, run: &dyn Fn(&str, &[&str], &str)) {
    for name in ["alice", "bob"] {
        let node = path.join("succeeding").join(name);
        copy_tree(&path.join("friends").join(name), &node);
        private_dir(&node.join("spool"));
    }
    copy_tree(
        &path.join("succeeding/alice"),
        &path.join("succeeded/alice"),
    );
    let mut args = vec!["-q", "--successor", "succeeded/alice", "-d", "in"];
    args.extend(["--identity-key", "in/mail.key", "succeeded/new"]);
    run("relay-keygen", &args, START);
    let queue = path.join("succeeded/alice/spool/in");
    let parcel = fs::read_dir(queue).unwrap().last().unwrap().unwrap();
    fs::copy(parcel.path(), path.join("in/successor.parcel")).unwrap();
    copy_tree(&path.join("succeeding/bob"), &path.join("named/bob"));
    let args = ["-q", "-N", "named/bob", "in/successor.parcel"];
    run("relay-open", &args, FIRST);
}

/// Makes the stages `revoking` and `passing`.
fn make_revoking(path: &Path, run: &dyn Fn(&str, &[&str], &str)) {
    let field = path.join("revoking/field");
    copy_tree(&path.join("gateways/field"), &field);
    copy_tree(&path.join("friends/alice"), &path.join("revoking/alice"));
    let mut args = vec!["-q", "-N", "revoking/field", "--name", "alice"];
    args.extend(["-o", "in/alice-field.pnr", "in/alice.pub"]);
    run("relay-register", &args, START);
    let args = ["-q", "-N", "revoking/alice", "in/alice-field.pnr"];
    run("relay-import", &args, START);
    let mut args = vec!["-q", "-N", "revoking/alice", "--der"];
    args.extend(["-o", "in/alice.pdd", "bob"]);
    run("relay-revoke", &args, START);
    let node = path.join("passing/field");
    copy_tree(&field, &node);
    let octets = fs::read(path.join("in/alice.pdd")).unwrap();
    let item = Item::parse(octets.clone()).unwrap();
    let name = Name::of(&item, SECOND.parse().unwrap()).to_string();
    let queue = node.join("spool/in");
    fs::create_dir_all(&queue).unwrap();
    private(&queue.join(name), &octets);
}

/// Makes the stages with media.
#[allow(clippy::too_many_lines)] // a scene is set in order
fn make_media(path: &Path, run: &dyn Fn(&str, &[&str], &str)) {
    let id = |node: &str| Directory::open(&path.join(node)).unwrap().id().to_string();
    let (hub, field) = (id("lone/hub"), id("lone/field"));
    fs::create_dir(path.join("empty/stick")).unwrap();
    for medium in ["blank/stick", "blank/blue"] {
        fs::create_dir(path.join(medium)).unwrap();
        // There is nothing that this one could give.
        run("relay-sync", &["-N", "lone/hub", "--init", medium], START);
    }
    for stage in ["given", "laden", "both"] {
        copy_tree(&path.join("blank/stick"), &path.join(stage).join("stick"));
    }
    copy_tree(&path.join("blank/blue"), &path.join("both/blue"));
    let lay = |medium: &str, (to, from): (&str, &str), file: &str| {
        let octets = fs::read(path.join("in").join(file)).unwrap();
        let (_, kind) = file.split_once('.').unwrap();
        let sha256 = Hex(&sha256(&octets)).to_string();
        let dir = path.join(medium).join("relaynet").join(kind).join(to);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!("{from}.{sha256}.{kind}")), octets).unwrap();
        sha256
    };

    // What field has for hub.
    for medium in ["given/stick", "both/stick"] {
        lay(medium, (&hub, &field), "first.cargo");
        lay(medium, (&hub, &field), "field.cca");
    }

    // What hub has for field: a new certificate among others.
    let mut args = vec!["-N", "sealed/bob", "-t", "alice", "-y", "text/plain"];
    args.extend(["-o", "in/second.parcel", "in/report.txt"]);
    run("relay-seal", &args, FIRST);
    copy_tree(&path.join("gateways/hub"), &path.join("laden/hub"));
    let args = [
        "-q",
        "-N",
        "laden/hub",
        "-o",
        "in/again.pnr",
        "in/field.pub",
    ];
    run("relay-register", &args, FIRST);
    let Object::Registration(again) =
        Object::parse(&fs::read(path.join("in/again.pnr")).unwrap()).unwrap()
    else {
        panic!("not a registration");
    };
    let rotation = Rotation {
        path: CertificationPath {
            leaf: again.node,
            authorities: vec![again.gateway],
        },
        form: PathForm::OctetStrings,
    };
    fs::write(path.join("in/field.rotation"), rotation.to_octets()).unwrap();
    let mut args = vec!["-q", "-N", "laden/hub", "--cca", "in/field.cca", "-o"];
    args.extend(["in/answer.cargo", "in/first.parcel", "in/second.parcel"]);
    args.extend(["in/first.pca", "in/field.rotation"]);
    run("relay-pack-cargo", &args, FIRST);
    lay("laden/stick", (&field, &hub), "answer.cargo");
    let sha256 = lay("both/stick", (&field, &hub), "answer.cargo");
    let got = path.join("both/stick/relaynet/got").join(&field);
    fs::create_dir(&got).unwrap();
    fs::write(got.join(sha256), format!("{FIRST}\n")).unwrap();

    // What field has, and has not given yet.
    let node = path.join("outgoing/field");
    copy_tree(&path.join("gateways/field"), &node);
    for (parcel, route) in [
        ("in/first.parcel", "* peer:hub\n"),
        ("in/second.parcel", "* peer:hub ack=no copies=2\n"),
    ] {
        fs::write(node.join("routes"), route).unwrap();
        run("relay-put", &["-N", "outgoing/field", parcel], FIRST);
        run("relay-route", &["-N", "outgoing/field"], FIRST);
    }
    fs::remove_file(node.join("routes")).unwrap();

    // Field gave an acknowledgement and a parcel, which has left by another way since.
    copy_tree(&path.join("gateways/field"), &path.join("withdrawn/field"));
    copy_tree(&path.join("blank/stick"), &path.join("withdrawn/stick"));
    let args = ["-N", "withdrawn/field", "in/first.parcel"];
    run("relay-put", &args, FIRST);
    run("relay-route", &["-N", "withdrawn/field"], FIRST);
    let spool = path.join("withdrawn/field/spool");
    let out = spool.join("out").join(&hub);
    let parcel = fs::read_dir(&out).unwrap().last().unwrap().unwrap();
    let name = parcel.file_name().into_string().unwrap();
    let acks = spool.join("acks").join(&hub);
    fs::create_dir_all(&acks).unwrap();
    let name = name.replace(".parcel", ".pca");
    let pca = fs::read(path.join("in/first.pca")).unwrap();
    private(&acks.join(name), &pca);
    let args = ["-N", "withdrawn/field", "withdrawn/stick"];
    run("relay-sync", &args, FIRST);
    fs::remove_file(parcel.path()).unwrap();

    // Those that know a way for all that comes: what has none is not taken.
    for node in ["hub", "field"] {
        copy_tree(
            &path.join("gateways").join(node),
            &path.join("routed").join(node),
        );
    }
    for node in ["routed/hub", "routed/field", "laden/hub", "asked/field"] {
        private(&path.join(node).join("routes"), b"* dir:/nonexistent\n");
    }

    // What hub cannot handle.
    let node = path.join("unfit/hub");
    copy_tree(&path.join("unroutable/hub"), &node);
    let queued = fs::read_dir(node.join("spool/in")).unwrap().last();
    let parcel = queued.unwrap().unwrap().file_name();
    run("relay-route", &["-q", "-N", "unfit/hub"], FIRST);
    let octets = fs::read(path.join("in/first.parcel")).unwrap();
    let twin = [&octets[..7], &[0x30, 0x80], &octets[11..], &[0, 0]].concat();
    let octets = rotation.to_octets();
    let item = Item::parse(octets.clone()).unwrap();
    let name = Name::of(&item, SECOND.parse().unwrap()).to_string();
    let control = node.join("spool/control").join(&field);
    for (file, octets) in [
        (node.join("spool/in").join(parcel), twin),
        (control.join(name), octets),
    ] {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, octets).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    }
}

/// A directory where one test runs programs.
///
/// Nodes are in `NAME`, inputs in `in`, results in `out`, and the test's own files in `tmp`.
pub(crate) struct Scene {
    root: TempDir,
    world: Arc<World>,
    /// Whether the file system of `out` can only create names and replace them.
    pub(crate) is_bare: bool,
}

impl Scene {
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Adds a copy of a node.
    pub(crate) fn add(&self, node: &str) {
        let (_, name) = node.split_once('/').unwrap();
        copy_tree(&self.world.root.path().join(node), &self.path(name));
    }

    /// Runs a program.
    pub(crate) fn run(&self, name: &str, args: &[&str], now: &str) -> Outcome {
        Self::finish(command(self.root.path(), name, args, now))
    }

    /// Runs a program under a fault.
    pub(crate) fn run_under(&self, fault: &str, name: &str, args: &[&str], now: &str) -> Outcome {
        let mut command = command(self.root.path(), name, args, now);
        let bare = if self.is_bare { "bare=out+" } else { "" };
        command.env("RELAY_FAULT", format!("{bare}{fault}"));
        Self::finish(command)
    }

    /// Runs a program and returns its trace, with paths relative to here.
    pub(crate) fn run_traced(
        &self,
        name: &str,
        args: &[&str],
        now: &str,
    ) -> (Outcome, Vec<super::law::Step>) {
        let trace = self.path("tmp/trace");
        let outcome = self.run_under(&format!("trace:{}", trace.display()), name, args, now);
        (outcome, self.trace())
    }

    /// The trace in `tmp/trace`.
    pub(crate) fn trace(&self) -> Vec<super::law::Step> {
        let text = fs::read_to_string(self.path("tmp/trace")).unwrap();
        text.lines().map(|line| self.step(line)).collect()
    }

    /// The command of a program here, to be run by the caller.
    pub(crate) fn command(&self, name: &str, args: &[&str], now: &str) -> Command {
        command(self.root.path(), name, args, now)
    }

    fn finish(mut command: Command) -> Outcome {
        let output = command.output().unwrap();
        Outcome {
            status: output.status,
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn step(&self, line: &str) -> super::law::Step {
        let mut fields = line.split('\t');
        let op = fields.next().unwrap().to_owned();
        let paths = fields.map(|path| self.relative(Path::new(path))).collect();
        super::law::Step { op, paths }
    }

    /// A path relative to here, without `.`; here itself is the empty path.
    pub(crate) fn relative(&self, path: &Path) -> String {
        let path = path.strip_prefix(self.root.path()).unwrap_or(path);
        let parts = path
            .components()
            .filter(|part| *part != std::path::Component::CurDir);
        let path: PathBuf = parts.collect();
        path.to_str().unwrap().to_owned()
    }

    /// A path with its random parts replaced by what they stand for.
    pub(crate) fn generic(&self, path: &str) -> String {
        let part = |part: &str| {
            if is_temporary(part) {
                return ".relay-<>.tmp".to_owned();
            }
            let words: Vec<&str> = part.split('.').map(|word| self.word(word)).collect();
            words.join(".")
        };
        path.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    fn word<'a>(&'a self, word: &'a str) -> &'a str {
        let is_hex = word.bytes().all(|octet| octet.is_ascii_hexdigit());
        match (self.world.ids.get(word), is_hex, word.len()) {
            (Some(name), ..) => name,
            (None, true, 65) => "<id>",
            (None, true, 64) => "<digest>",
            (None, true, 14..) => "<number>",
            _ => word,
        }
    }

    /// A snapshot with random parts replaced: path, mode and content of each file and directory, and how
    /// many look the same. Temporary files and `in` and `tmp` are left out.
    pub(crate) fn tree(&self) -> BTreeMap<String, usize> {
        let mut tree = BTreeMap::new();
        for path in self.files("") {
            let top = path.split('/').next().unwrap();
            if is_in_temporary(&path) || ["in", "tmp"].contains(&top) {
                continue;
            }
            let full = self.path(&path);
            let metadata = fs::symlink_metadata(&full).unwrap();
            let mode = metadata.permissions().mode() & 0o7777;
            let content = if metadata.is_dir() {
                "directory".to_owned()
            } else if path.contains("/spool/sent/") {
                // What was noted before a run was killed is noted again; cargo and media have random ids.
                let text = fs::read_to_string(&full).unwrap();
                let lines: BTreeSet<String> = text.lines().map(without_ids).collect();
                self.generic_content(format!("{lines:?}").as_bytes())
            } else if path.contains("/spool/carried/") && path.ends_with("/last") {
                // Its counts are those of the last run: another one had less to do, or failed.
                let text = fs::read_to_string(&full).unwrap();
                text.lines().take(1).collect()
            } else if path.contains("/seen/") {
                // What was remembered before a run failed may be remembered once more.
                let octets = fs::read(&full).unwrap();
                let records: BTreeSet<&[u8]> = octets.chunks(32).collect();
                self.generic_content(&records.into_iter().collect::<Vec<_>>().concat())
            } else {
                self.generic_content(&fs::read(&full).unwrap())
            };
            let line = format!("{} {mode:04o} {content}", self.generic(&path));
            *tree.entry(line).or_default() += 1;
        }
        tree
    }

    /// What a file holds or a program printed, without its random parts.
    pub(crate) fn generic_content(&self, octets: &[u8]) -> String {
        if octets.starts_with(b"Awala") {
            return match Parcel::parse(octets.to_vec()) {
                Ok(_) => "parcel".to_owned(),
                Err(error) => format!("malformed parcel: {error}"),
            };
        }
        let Ok(text) = std::str::from_utf8(octets) else {
            return Hex(octets).to_string();
        };
        if pem::is_pem(octets) {
            let lines = text.lines().filter(|line| {
                line.contains("-----") || line.contains(": ") && !line.starts_with("Key-Id: ")
            });
            return lines.collect::<Vec<_>>().join("|");
        }
        if text.contains('\t') {
            let word = |word| match word {
                uuid if str::len(uuid) == 36 && uuid.split('-').count() == 5 => "<uuid>",
                word => self.word(word),
            };
            let lines = text.lines().map(|line| {
                let words: Vec<&str> = line.split('\t').map(word).collect();
                words.join("\t") + "\n"
            });
            return lines.collect();
        }
        if text.starts_with("Certificate: ") {
            let words = text.split(['.', '\n']).map(|word| self.word(word));
            return words.collect::<Vec<_>>().join(" ");
        }
        match self.word(text.trim_end()) {
            word if word == text.trim_end() => format!("{text:?}"),
            word => word.to_owned(),
        }
    }

    /// Every file and directory below `dir`, as paths from here, sorted.
    pub(crate) fn files(&self, dir: &str) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.path(dir), &mut found);
        let mut found: Vec<String> = found.iter().map(|path| self.relative(path)).collect();
        found.sort();
        found
    }

    /// The results in `out`, temporary files left out.
    pub(crate) fn results(&self) -> Vec<Vec<u8>> {
        let files = self.files("out").into_iter();
        files
            .filter(|path| !is_in_temporary(path) && self.path(path).is_file())
            .map(|path| fs::read(self.path(&path)).unwrap())
            .filter(|octets| !(self.is_bare && is_incomplete(octets)))
            .collect()
    }

    /// Whether a name in `out` is only taken.
    pub(crate) fn has_taken_names(&self) -> bool {
        let mut files = self.files("out").into_iter().map(|path| self.path(&path));
        let is_it = |path: PathBuf| path.is_file() && is_incomplete(&fs::read(path).unwrap());
        self.is_bare && files.any(is_it)
    }

    /// Keeps octets in a file of the test's own.
    pub(crate) fn keep(&self, name: &str, octets: &[u8]) -> String {
        let name = format!("tmp/{name}");
        fs::write(self.path(&name), octets).unwrap();
        name
    }
}

/// A line of `sent` without the ids of cargo and medium.
fn without_ids(line: &str) -> String {
    let Ok(serde_json::Value::Object(mut line)) = serde_json::from_str(line) else {
        return line.to_owned();
    };
    for key in ["cargo", "medium"] {
        line.entry(key)
            .and_modify(|id| *id = serde_json::Value::Bool(id.is_string()));
    }
    serde_json::Value::Object(line).to_string()
}

/// A directory in memory if there is one, since thousands of runs sync what they write.
fn scratch() -> TempDir {
    let is_free = std::env::var_os("TMPDIR").is_none();
    let in_memory = is_free.then(|| tempfile::tempdir_in("/dev/shm"));
    in_memory
        .and_then(Result::ok)
        .unwrap_or_else(|| tempfile::tempdir().unwrap())
}

/// Whether a path is that of a temporary file.
pub(crate) fn is_temporary(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_prefix(".relay-")
        .is_some_and(|rest| rest.strip_suffix(".tmp").is_some())
}

/// Whether a path is that of a temporary file or directory, or of a file in one.
pub(crate) fn is_in_temporary(path: &str) -> bool {
    path.split('/').any(is_temporary)
}

/// Whether a file only takes its name: the line is whole, torn, or not there yet.
pub(crate) fn is_incomplete(octets: &[u8]) -> bool {
    let line = b"relay placeholder ";
    octets.starts_with(line) || line.starts_with(octets)
}

/// Whether a file says that it only takes its name.
pub(crate) fn is_placeholder(octets: &[u8]) -> bool {
    is_incomplete(octets) && octets.ends_with(b"\n")
}

/// The id of the session key that a whole parcel carries.
pub(crate) fn carried_key(parcel: &[u8]) -> String {
    let message = Parcel::parse(parcel.to_vec()).unwrap().into_message();
    let sealed = Sealed::parse(message.payload()).unwrap();
    sealed.originator_key_id().unwrap().to_string()
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            walk(&path, found);
        }
        found.push(path);
    }
}

/// Makes a directory, and those above it, as nodes have them.
fn private_dir(path: &Path) {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).unwrap();
}

/// Makes a file as nodes have them.
fn private(path: &Path, octets: &[u8]) {
    fs::write(path, octets).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

/// Makes a gateway whose config names a group.
fn make_limited(path: &Path) {
    let run = |program: &str, args: &[&str]| {
        let output = command(path, program, args, FIRST).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {text}");
    };
    for node in ["alice", "bob"] {
        copy_tree(
            &path.join("friends").join(node),
            &path.join("limited").join(node),
        );
    }
    let mut args = vec!["-q", "-N", "limited/alice", "--rate", "1/1d"];
    args.extend(["-o", "in/limited.conn", "bob"]);
    run("relay-authorize", &args);
    // The one without a rate ends at the same time.
    for peer in fs::read_dir(path.join("limited/bob/peers")).unwrap() {
        fs::remove_dir_all(peer.unwrap().path().join("held")).ok();
    }
    run(
        "relay-import",
        &["-q", "-N", "limited/bob", "in/limited.conn"],
    );
    copy_tree(&path.join("queued/hub"), &path.join("limited/hub"));
    fs::remove_dir_all(path.join("limited/hub/spool/in")).unwrap();
    for parcel in ["in/limited-1.parcel", "in/limited-2.parcel"] {
        let seal = [
            "-N",
            "limited/bob",
            "-t",
            "alice",
            "-o",
            parcel,
            "in/report.txt",
        ];
        run("relay-seal", &seal);
        run("relay-put", &["-N", "limited/hub", parcel]);
    }
    for node in ["alice", "bob"] {
        fs::remove_dir_all(path.join("limited").join(node)).unwrap();
    }
}

fn make_grouped(path: &Path) {
    let node = path.join("grouped/field");
    copy_tree(&path.join("gateways/field"), &node);
    let text = fs::read_to_string(node.join("config")).unwrap();
    let text = format!("{text}group = {}\n", group_to_give_to());
    fs::write(node.join("config"), text).unwrap();
}

/// A group that this process may give directories to; for root, not its own.
pub(crate) fn group_to_give_to() -> String {
    let gid = match nix::unistd::Group::from_name("games") {
        Ok(Some(games)) if nix::unistd::geteuid().is_root() => games.gid,
        _ => nix::unistd::getegid(),
    };
    nix::unistd::Group::from_gid(gid).unwrap().unwrap().name
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            let mut file = File::create_new(&target).unwrap();
            std::io::copy(&mut File::open(&path).unwrap(), &mut file).unwrap();
            file.set_permissions(fs::metadata(&path).unwrap().permissions())
                .unwrap();
        }
    }
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
}
