//! A gateway whose local endpoints are other users': its config names a group that all of them are in.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use relaynet::message::Item;
use relaynet::spool::Name;

use crate::testenv::{Call, Env, Forgery, User, forged, id, sha256};

/// The gateway's directory.
const GATEWAY: &str = "var/relay";
const ANNA: &str = "var/relay/endpoints/anna";
const BERT: &str = "var/relay/endpoints/bert";

/// Who may do everything.
const ROOT: User = User {
    uid: 0,
    group: None,
};

/// The gateway's user, those of its two local endpoints, and one who has nothing to do with them.
struct Users {
    relay: User,
    anna: User,
    bert: User,
    carol: User,
    /// The name of the group of the first three, and its number.
    group: (String, u32),
}

struct World {
    env: Env,
    users: Users,
}

/// A group of this system that the users are to be in; they have no names.
fn group() -> Option<(String, u32)> {
    let text = fs::read_to_string("/etc/group").ok()?;
    let mut groups: Vec<(String, u32)> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            Some((name, fields.nth(1)?.parse().ok()?))
        })
        .collect();
    let known = |wanted: &str| groups.iter().position(|(name, _)| name == wanted);
    let at = ["games", "users", "nogroup"].into_iter().find_map(known)?;
    Some(groups.swap_remove(at))
}

/// Such a world, empty; nothing, and why, where it cannot be made.
fn empty() -> Option<World> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not tested, since only root can run programs as several users");
        return None;
    }
    let Some(group) = group() else {
        eprintln!("not tested, since no group is there that users could be in");
        return None;
    };
    let user = |uid, group| User { uid, group };
    let users = Users {
        relay: user(61_001, Some(group.1)),
        anna: user(61_002, Some(group.1)),
        bert: user(61_003, Some(group.1)),
        carol: user(61_004, None),
        group,
    };
    let env = Env::new();
    env.chmod("", 0o711);
    let program = Path::new(env!("CARGO_BIN_EXE_relay-put"));
    let run = users.carol.command().arg(program).arg("--version").output();
    if !run.is_ok_and(|run| run.status.success()) {
        eprintln!("not tested, since setpriv is missing, or other users may not run the programs");
        return None;
    }
    env.mkdir("var");
    env.chmod("var", 0o755);
    own(&env, users.relay, "var");
    Some(World { env, users })
}

/// When everything that is sealed now has expired, and every authorization has ended.
fn in_a_year() -> String {
    let year = jiff::SignedDuration::from_hours(365 * 24);
    (jiff::Timestamp::now() + year).to_string()
}

/// Where messages wait for a node.
fn home_of(node: &str) -> String {
    format!("{GATEWAY}/spool/home/{}", id(node))
}

fn own(env: &Env, user: User, path: &str) {
    chown(env.path(path), Some(user.uid), Some(user.uid)).unwrap();
}

fn own_all(env: &Env, user: User, dir: &str) {
    own(env, user, dir);
    for name in env.names(dir) {
        let path = format!("{dir}/{name}");
        if env.path(&path).is_dir() {
            own_all(env, user, &path);
        } else {
            own(env, user, &path);
        }
    }
}

/// With the gateway, and the endpoints anna and bert, who may send to each other.
fn world() -> Option<World> {
    let world = empty()?;
    let World { env, users } = &world;
    let group = format!("group={}", users.group.0);
    world
        .keygen(
            "gateway",
            &["--type", "gateway", "--set", &group, "-N", GATEWAY],
        )
        .ok()
        .quiet();
    for (name, keys, user) in [("anna", "alice", users.anna), ("bert", "bob", users.bert)] {
        world
            .keygen(keys, &["-N", GATEWAY, "--endpoint", name])
            .ok();
        own_all(env, user, &format!("{GATEWAY}/endpoints/{name}"));
        chown(env.path(home_of(keys)), Some(user.uid), None).unwrap();
    }
    world.introduce((users.anna, ANNA, "anna"), (users.bert, BERT, "bert"));
    world.introduce((users.bert, BERT, "bert"), (users.anna, ANNA, "anna"));
    Some(world)
}

impl World {
    fn run(&self, user: User, program: &str, args: &[&str]) -> Call<'_> {
        let call = self.env.relay(program).at_any_time();
        call.by(user).args(args)
    }

    /// relay-keygen by the gateway's user, with fixed keys.
    fn keygen(&self, keys: &str, args: &[&str]) -> Call<'_> {
        let keys = self.env.keys(keys);
        own(&self.env, self.users.relay, &keys.identity);
        own(&self.env, self.users.relay, &keys.session);
        self.run(self.users.relay, "keygen", args)
            .args(["--identity-key", &keys.identity])
            .args(["--session-key", &keys.session])
            .args(["--session-key-id", &keys.session_id])
    }

    /// Lets one send to another.
    fn introduce(&self, from: (User, &str, &str), to: (User, &str, &str)) {
        let public = self.run(from.0, "export", &["-N", from.1]).ok().stdout;
        let authorize = ["-q", "-N", to.1, "--name", from.2];
        let conn = self.run(to.0, "authorize", &authorize).stdin(public).ok();
        let import = ["-q", "-N", from.1, "--name", to.2];
        self.run(from.0, "import", &import).stdin(conn.stdout).ok();
    }

    /// A parcel of anna's for bert, in the spool.
    fn sent(&self, content: &str) -> Vec<u8> {
        let seal = self.run(self.users.anna, "seal", &["-N", ANNA, "-t", "bert"]);
        let parcel = seal.stdin(content).ok().stdout;
        let put = self.run(self.users.anna, "put", &["-N", ANNA]);
        put.stdin(&parcel[..]).ok().quiet();
        parcel
    }

    /// Lets a node take another time than the clock's.
    fn takes_any_time(&self, node: &str) {
        let config = format!("{node}/config");
        let text = self.env.text(&config);
        self.env.write(&config, format!("{text}clock = test\n"));
    }

    /// Makes the home of a node what earlier versions made it, for its user: every member may leave files there.
    fn make_old_home(&self, node: &str, user: User) {
        let home = home_of(node);
        chown(
            self.env.path(&home),
            Some(user.uid),
            Some(self.users.group.1),
        )
        .unwrap();
        self.env.chmod(&home, 0o3770);
    }

    /// Leaves a parcel beside another one, as the file of this user, under a name that would be a message's.
    fn leave(&self, user: User, parcel: &[u8], beside: &str) {
        self.env.write("left", parcel);
        self.env.chmod("left", 0o644);
        let (dir, name) = beside.rsplit_once('/').unwrap();
        let (ids, rest) = name.split_at(2 * 66);
        let is_free = |digit: &char| {
            let name = format!("{ids}{digit}{}", &rest[1..]);
            !self.env.path(format!("{dir}/{name}")).exists()
        };
        let digit = "0123456789".chars().find(is_free).unwrap();
        let path = format!("{dir}/{ids}{digit}{}", &rest[1..]);
        let group = self.users.group.1;
        let script = format!("cp left {path} && chgrp {group} {path} && chmod 640 {path}");
        assert!(self.shell(user, &script));
    }

    fn route(&self) -> Call<'_> {
        self.run(self.users.relay, "route", &["-N", GATEWAY])
    }

    /// The status of a shell command that a user runs.
    fn shell(&self, user: User, script: &str) -> bool {
        let mut command = user.command();
        command.args(["/bin/sh", "-c", script]);
        let run = command.current_dir(self.env.root()).output().unwrap();
        run.status.success()
    }

    /// What waits for a node.
    fn waiting(&self, node: &str) -> Vec<String> {
        let home = home_of(node);
        let names = self.env.names(&home).into_iter();
        names.map(|name| format!("{home}/{name}")).collect()
    }

    fn stat(&self, path: &str) -> (u32, u32, u32) {
        let found = fs::metadata(self.env.path(path)).unwrap();
        (
            found.uid(),
            found.gid(),
            found.permissions().mode() & 0o7777,
        )
    }
}

#[test]
fn directories_are_as_relay_node_says() {
    let Some(world) = world() else { return };
    let (relay, gid) = (world.users.relay.uid, world.users.group.1);
    for (dir, mode) in [
        ("", 0o710),
        ("/endpoints", 0o710),
        ("/spool", 0o710),
        ("/spool/home", 0o710),
        ("/spool/in", 0o3770),
        ("/spool/tmp", 0o3770),
    ] {
        let found = world.stat(&format!("{GATEWAY}{dir}"));
        assert_eq!(found, (relay, gid, mode), "{dir} {:o}", found.2);
    }
    // The gateway's user has a group of the same number for themselves.
    let bert = (world.users.bert.uid, relay, 0o770);
    assert_eq!(world.stat(&home_of("bob")), bert);
    assert_eq!(world.stat(BERT).2, 0o700);
    for file in ["VERSION", "config", "identity.key", "identity.pub"] {
        let (owner, _, mode) = world.stat(&format!("{GATEWAY}/{file}"));
        assert_eq!((owner, mode), (relay, 0o600), "{file}");
    }
    for dir in ["certs", "lock", "peers", "sessions"] {
        assert_eq!(world.stat(&format!("{GATEWAY}/{dir}")).2, 0o700, "{dir}");
    }
}

#[test]
fn two_users_send_to_each_other() {
    let Some(world) = world() else { return };
    let Users {
        relay, anna, bert, ..
    } = world.users;
    let gid = world.users.group.1;
    let parcel = world.sent("hello");
    let waits = world.env.names(&format!("{GATEWAY}/spool/in"));
    let [name] = &waits[..] else {
        panic!("{waits:?}")
    };
    let stored = world.stat(&format!("{GATEWAY}/spool/in/{name}"));
    assert_eq!(stored, (anna.uid, gid, 0o640));
    // The same by way of the gateway's directory, of which anna can read nothing.
    let put = world.run(anna, "put", &["-N", GATEWAY]);
    put.stdin(&parcel[..]).ok().quiet().changes(&[]);
    let listed = world.run(anna, "list", &["-N", ANNA, "in"]).ok().quiet();
    assert_eq!(listed.text().lines().count(), 1);

    world.route().ok().quiet();
    let waiting = world.waiting("bob");
    let [path] = &waiting[..] else {
        panic!("{waiting:?}")
    };
    assert_eq!(world.env.names(&format!("{GATEWAY}/spool/in")), [""; 0]);
    assert_eq!(sha256(&world.env.read(path)), sha256(&parcel));
    // Anna cannot change it any more.
    assert_eq!(world.stat(path), (relay.uid, gid, 0o640));

    let listed = world.run(bert, "list", &["-N", BERT, "home", "-0"]).ok();
    assert_eq!(listed.quiet().text(), format!("{path}\0"));
    let opened = world.run(bert, "open", &["-N", BERT, "-o", "-", path]);
    opened.ok().stdout("hello");
    assert!(world.shell(bert, &format!("rm -f {path}")));

    let seal = world.run(bert, "seal", &["-N", BERT, "-t", "anna"]);
    let reply = seal.stdin("hello yourself").ok().stdout;
    let put = world.run(bert, "put", &["-N", BERT]);
    put.stdin(reply).ok().quiet();
    world.route().ok().quiet();
    let [path] = &world.waiting("alice")[..] else {
        panic!("no reply")
    };
    let opened = world.run(anna, "open", &["-N", ANNA, "-o", "-", path]);
    opened.ok().stdout("hello yourself");
}

#[test]
#[allow(clippy::too_many_lines)] // one story, told in order
fn each_takes_what_arrived_for_them() {
    let Some(world) = world() else { return };
    let Users {
        relay, anna, bert, ..
    } = world.users;
    let env = &world.env;
    let deliver = |args: &[&str]| {
        let call = world.run(bert, "deliver", &["-N", BERT]);
        call.args(args)
    };
    for dir in ["bert", "bert/files"] {
        env.mkdir(dir);
        own(env, bert, dir);
    }
    let mut parcels = Vec::new();
    for content in ["one", "two", "three"] {
        parcels.push(world.sent(content));
        world.route().ok().quiet();
        match content {
            "one" => {
                let looked = deliver(&["-n", "--dir", "bert/files"]).ok().quiet();
                assert!(looked.text().contains("\tdeliver\t"), "{}", looked.text());
                assert_eq!(world.waiting("bob").len(), 1);
                deliver(&["--dir", "bert/files"]).ok().quiet();
                let [name] = &env.names("bert/files/anna")[..] else {
                    panic!("not delivered")
                };
                assert_eq!(env.text(format!("bert/files/anna/{name}")), content);
            }
            "two" => {
                for dir in ["", "/new", "/cur", "/tmp"] {
                    let dir = format!("bert/mail{dir}");
                    env.mkdir(&dir);
                    own(env, bert, &dir);
                }
                deliver(&["--maildir", "bert/mail"]).ok().quiet();
                let [name] = &env.names("bert/mail/new")[..] else {
                    panic!("not delivered")
                };
                let mail = env.text(format!("bert/mail/new/{name}"));
                assert!(mail.contains("From: anna <"), "{mail}");
            }
            _ => {
                let script = "cat > bert/$RELAY_PEER";
                deliver(&["--", "/bin/sh", "-c", script]).ok().quiet();
                assert_eq!(env.text("bert/anna"), content);
            }
        }
        assert_eq!(world.waiting("bob"), [""; 0]);
    }
    // What comes again is dropped.
    for parcel in &parcels {
        let put = world.run(anna, "put", &["-N", ANNA]);
        put.stdin(&parcel[..]).ok().quiet();
    }
    world.route().ok().quiet();
    assert_eq!(world.waiting("bob").len(), parcels.len());
    deliver(&["--", "/bin/false"]).ok().quiet();
    assert_eq!(world.waiting("bob"), [""; 0]);
    // What their command refuses is set aside, in their own directory.
    let parcel = world.sent("four");
    world.route().ok().quiet();
    let refused = deliver(&["--", "/bin/sh", "-c", "exit 65"]).ok();
    assert!(refused.stderr.contains("set aside"), "{}", refused.stderr);
    // Only the gateway's user can run relay-route for them.
    assert!(
        refused.stderr.contains("relay-put puts such a file"),
        "{}",
        refused.stderr
    );
    assert!(!refused.stderr.contains("--retry"), "{}", refused.stderr);
    assert_eq!(world.waiting("bob"), [""; 0]);
    let failed = format!("{BERT}/spool/failed");
    let names = env.names(&failed);
    let aside = names.iter().find(|name| name.ends_with(".parcel")).unwrap();
    assert_eq!(
        sha256(&env.read(format!("{failed}/{aside}"))),
        sha256(&parcel)
    );
    let listed = world.run(bert, "list", &["-N", BERT, "failed"]).ok();
    assert_eq!(listed.text().lines().count(), 1);
    // From there they may send it on its way again.
    let aside = format!("{failed}/{aside}");
    let put = world.run(bert, "put", &["-N", BERT, &aside]);
    put.ok().quiet();
    world.route().ok().quiet();
    assert_eq!(world.waiting("bob").len(), 1);
    // Nobody else can take what is theirs.
    let other = ["-N", BERT, "--dir", "bert/files"];
    let ran = world.run(anna, "deliver", &other).run();
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    // Each checks what is theirs: only what was set aside is reported.
    world.run(relay, "check", &["-N", GATEWAY]).ok().stdout("");
    world.run(anna, "check", &["-N", ANNA]).ok().stdout("");
    let found = world.run(bert, "check", &["-N", BERT]).run();
    assert_eq!(found.status, 1, "{}", found.stderr);
    assert!(
        found.text().contains("1 message set aside") && !found.text().contains("--retry"),
        "{}",
        found.text()
    );
    assert_eq!(found.text().lines().count(), 1, "{}", found.text());
    // The same by way of the gateway's directory is for its user alone.
    let gateway = ["-N", GATEWAY, "--dir", "bert/files"];
    let ran = world.run(bert, "deliver", &gateway).run();
    assert_eq!(ran.status, 78, "{}", ran.stderr);
}

#[test]
fn cargo_comes_and_goes() {
    let Some(world) = world() else { return };
    let Users {
        relay, anna, bert, ..
    } = world.users;
    let env = &world.env;
    // Mallory is a gateway elsewhere, and carol a local endpoint of it.
    let keys = env.keys("mallory");
    let other = |program: &str, args: &[&str]| env.relay(program).at_any_time().args(args);
    other("keygen", &["--type", "gateway", "mallory"])
        .args(["--identity-key", &keys.identity])
        .ok();
    other("keygen", &["-N", "mallory", "--endpoint", "carol"]).ok();
    let root = ROOT;
    let carol = (root, "mallory/endpoints/carol", "carol");
    world.introduce((root, "mallory", "mallory"), (relay, GATEWAY, "gateway"));
    world.introduce((relay, GATEWAY, "gateway"), (root, "mallory", "mallory"));
    world.introduce((anna, ANNA, "anna"), carol);
    world.introduce(carol, (bert, BERT, "bert"));
    env.write(format!("{GATEWAY}/routes"), "* peer:mallory\n");
    own(env, relay, &format!("{GATEWAY}/routes"));
    env.write("mallory/routes", "* peer:gateway\n");
    env.mkdir("stick");
    own(env, relay, "stick");
    env.chmod("stick", 0o777);

    let seal = world.run(anna, "seal", &["-N", ANNA, "-t", "carol"]);
    let there = seal.stdin("there").ok().stdout;
    let put = world.run(anna, "put", &["-N", ANNA]);
    put.stdin(&there[..]).ok().quiet();
    world.route().ok().quiet();
    let sync = ["-N", GATEWAY, "--init", "stick"];
    world.run(relay, "sync", &sync).ok().quiet();
    let sync = || other("sync", &["-N", "mallory", "stick"]).ok().quiet();
    sync();
    other("route", &["-N", "mallory"]).ok().quiet();
    let home = other("list", &["-N", "mallory", "home", "-0"]).ok();
    let path = home.text().trim_end_matches('\0').to_owned();
    assert_eq!(sha256(&env.read(path)), sha256(&there));

    let back = other("seal", &["-N", carol.1, "-t", "bert"]);
    let back = back.stdin("back").ok().stdout;
    other("put", &["-N", carol.1]).stdin(back).ok().quiet();
    other("route", &["-N", "mallory"]).ok().quiet();
    sync();
    for file in walk(env, "stick") {
        own(env, relay, &file);
    }
    // Anna knows the id. An empty file under the name of the parcel neither has it acknowledged without being stored,
    // nor does one that says to be from mallory's cargo, and enormous, exhaust what mallory may use.
    env.write(
        format!("{GATEWAY}/config"),
        format!("{}quota = 1M\n", env.text(format!("{GATEWAY}/config"))),
    );
    let names = env.names(&format!("mallory/spool/out/{}", id("gateway")));
    let planted = format!("{GATEWAY}/spool/in/{}", names[0]);
    let hop = &id("mallory")[..16];
    let enormous = planted.replace(".parcel", &format!(".f{hop}.parcel"));
    let enormous = enormous.replace(&id("bob"), &id("alice"));
    assert!(world.shell(anna, &format!(": > {planted}; truncate -s 1T {enormous}")));
    let sync = world.run(relay, "sync", &["-N", GATEWAY, "stick"]);
    sync.ok().quiet();
    let ran = world.route().run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(
        ran.stderr.matches(": removed: ").count(),
        2,
        "{}",
        ran.stderr
    );
    let [path] = &world.waiting("bob")[..] else {
        panic!("nothing came")
    };
    let gid = world.users.group.1;
    assert_eq!(world.stat(path), (relay.uid, gid, 0o640));
    let opened = world.run(bert, "open", &["-N", BERT, "-o", "-", path]);
    opened.ok().stdout("back");
    assert!(world.shell(bert, &format!("rm -f {path}")));
    // What anna sent was acknowledged.
    let out = world.run(relay, "list", &["-N", GATEWAY, "out"]);
    out.ok().quiet().stdout("");
    // Each purges their own.
    for (user, node) in [(relay, GATEWAY), (anna, ANNA)] {
        world.run(user, "purge", &["-N", node]).ok().quiet();
    }
}

fn walk(env: &Env, dir: &str) -> Vec<String> {
    let mut found = vec![dir.to_owned()];
    for name in env.names(dir) {
        let path = format!("{dir}/{name}");
        if env.path(&path).is_dir() {
            found.extend(walk(env, &path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn what_is_not_ones_own_is_closed() {
    let Some(world) = world() else { return };
    let Users {
        anna, bert, carol, ..
    } = world.users;
    world.sent("hello");
    world.route().ok();
    let seal = world.run(bert, "seal", &["-N", BERT, "-t", "anna"]);
    let reply = seal.stdin("hello").ok().stdout;
    let put = world.run(bert, "put", &["-N", BERT]);
    put.stdin(reply).ok();
    world.route().ok();
    let parcel = world.sent("one more");
    let (mine, theirs) = (&world.waiting("bob")[0], &world.waiting("alice")[0]);
    let input = format!("{GATEWAY}/spool/in");
    let waits = world.env.names(&input).remove(0);
    for script in [
        format!("cat {ANNA}/identity.key"),
        format!("ls {ANNA}"),
        format!("cat {GATEWAY}/identity.key"),
        format!("cat {GATEWAY}/config"),
        format!("ls {GATEWAY}"),
        format!("ls {GATEWAY}/peers"),
        format!("ls {GATEWAY}/endpoints"),
        format!("ls {GATEWAY}/spool/home"),
        format!("ls {GATEWAY}/spool/sent"),
        format!("cat {theirs}"),
        format!("ls {}", home_of("alice")),
        format!("cp {mine} {}", home_of("alice")),
        format!("rm -f {theirs}"),
        format!("mv {theirs} {mine}"),
        format!("echo x >> {theirs}"),
        format!("rm -f {input}/{waits}"),
        format!("echo x >> {input}/{waits}"),
        format!("mkdir {GATEWAY}/spool/out"),
        format!("touch {GATEWAY}/spool/out/x"),
        format!("rmdir {}", home_of("bob")),
    ] {
        assert!(!world.shell(bert, &script), "{script}");
    }
    // What a group entails, and relay-spool(5) says.
    assert!(world.shell(bert, &format!("cat {input}/{waits}")));
    for (user, program, args, status, text) in [
        (bert, "open", &["-N", ANNA, theirs][..], 78, "cannot open"),
        (bert, "list", &["-N", ANNA], 78, "cannot open"),
        (bert, "put", &["-N", ANNA], 78, "cannot open"),
        (bert, "list", &["-N", GATEWAY], 78, "cannot open"),
        (bert, "route", &["-N", GATEWAY], 78, "cannot open"),
        (bert, "route", &["-N", BERT], 78, "cannot open"),
        (bert, "purge", &["-N", GATEWAY], 78, "cannot open"),
        (
            bert,
            "sync",
            &["-N", BERT, "."],
            64,
            "var/relay/endpoints/bert is an endpoint, not a gateway",
        ),
        (carol, "put", &["-N", GATEWAY], 78, "cannot open"),
        (carol, "put", &["-N", ANNA], 78, "cannot open"),
        (carol, "list", &["-N", GATEWAY], 78, "cannot open"),
        (carol, "route", &["-N", GATEWAY], 78, "cannot open"),
    ] {
        let call = world.run(user, program, args).stdin(&parcel[..]);
        let ran = call.fails(status, text);
        if status == 78 {
            assert!(ran.stderr.contains("Permission denied"), "{}", ran.stderr);
            assert!(ran.hints()[0].contains("another user's"), "{}", ran.stderr);
        }
    }
    assert!(!world.shell(carol, &format!("ls {GATEWAY} || ls {input} || cat {mine}")));
    // A member sees nothing of what waits for others.
    let listed = world.run(anna, "list", &["-N", ANNA, "home"]).ok();
    assert_eq!(listed.text().lines().count(), 1);
    assert!(listed.text().contains(&id("alice")));
}

/// A member signs what they like, for whom they like. The gateway copies it within the quota of that user, nothing ends
/// every run with a failure, and the others' mail arrives.
#[test]
fn a_member_fills_no_more_than_their_quota() {
    const QUOTA: u64 = 32 * 1024;
    let Some(world) = world() else { return };
    let env = &world.env;
    let Users { anna, bert, .. } = world.users;
    let group = world.users.group.1;
    let model = world.sent("model");
    world.route().ok().quiet();
    let config = format!("{GATEWAY}/config");
    env.write(&config, format!("{}quota = {QUOTA}\n", env.text(&config)));
    let left = |nth: usize, change: &dyn Fn(&mut Forgery)| {
        let parcel = forged(&model, "alice", |forgery| {
            forgery.fields.id = format!("number {nth}");
            change(forgery);
        });
        let name = Name::of(&Item::parse(parcel.clone()).unwrap(), jiff::Timestamp::MAX);
        let path = format!("{GATEWAY}/spool/in/{name}");
        env.write(&path, &parcel);
        env.chmod(&path, 0o640);
        chown(env.path(&path), Some(anna.uid), Some(group)).unwrap();
    };
    let size = |queue: &str| {
        let names = env.names(&format!("{GATEWAY}/spool/{queue}")).into_iter();
        let read = |name| env.read(format!("{GATEWAY}/spool/{queue}/{name}")).len() as u64;
        names.map(read).sum::<u64>()
    };
    let count = crate::bounds::count() / 5;
    for nth in 0..count {
        // Without a route, and of a time that nobody lives to see.
        left(nth, &|forgery| {
            forgery.fields.recipient = id("carol").parse().unwrap();
        });
        left(count + nth, &|forgery| {
            forgery.fields.date = "9998-12-31T00:00:00Z".parse().unwrap();
        });
    }
    let seal = world.run(bert, "seal", &["-N", BERT, "-t", "anna"]);
    let reply = seal.stdin("hello").ok().stdout;
    let put = world.run(bert, "put", &["-N", BERT]);
    put.stdin(&reply[..]).ok();
    let ran = world.route().run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(
        sha256(&env.read(&world.waiting("alice")[0])),
        sha256(&reply)
    );
    // For other nodes, and for the one here.
    assert!(
        (QUOTA..=2 * QUOTA).contains(&size("failed")),
        "{}",
        size("failed")
    );
    world.route().ok().quiet();

    // What has a route is not removed for want of room.
    let home = format!("home/{}", id("bob"));
    let before = size(&home);
    for nth in 0..count {
        left(nth, &|_| {});
    }
    for _ in 0..2 {
        let ran = world.route().run();
        assert_eq!(ran.status, 75, "{}", ran.stderr);
        assert!(size(&home) - before <= QUOTA, "{}", size(&home));
    }
    let there = world.waiting("bob").len() + env.names(&format!("{GATEWAY}/spool/in")).len();
    assert_eq!(there, count + 1);

    // What is alone over the quota never fits, and does not stay for ever.
    let name = "number 1000000";
    left(1_000_000, &|forgery| {
        forgery.payload.resize(40 * 1024, 0);
    });
    let ran = world.route().run();
    let line = ran
        .diagnostics()
        .into_iter()
        .find(|line| line.contains(": removed: "));
    let line = line.unwrap_or_else(|| panic!("{}", ran.stderr));
    assert!(
        line.contains("octets are more than the whole quota of 32768 octets"),
        "{line}"
    );
    assert!(line.starts_with(name), "{line}");
    let left = world.waiting("bob").len() + env.names(&format!("{GATEWAY}/spool/in")).len();
    assert_eq!(left, count + 1);
}

#[test]
fn a_member_cannot_keep_others_waiting() {
    let Some(world) = world() else { return };
    let Users {
        relay, anna, bert, ..
    } = world.users;
    let input = format!("{GATEWAY}/spool/in");
    world.sent("one");
    let names = world.env.names(&input);
    // Bert leaves messages that nobody can read, that are too long, and that are none.
    let (ids, rest) = names[0].split_at(2 * 66);
    // The names of other messages: with another digit than the one that is there.
    let name = |nth: usize| {
        let mut digits = "0123456".chars().filter(|digit| !rest.starts_with(*digit));
        format!("{ids}{}{}", digits.nth(nth).unwrap(), &rest[1..])
    };
    for script in [
        format!("umask 077; echo x > {input}/{}", name(1)),
        format!("umask 027; truncate -s 10M {input}/{}", name(2)),
        format!("umask 027; echo x > {input}/{}", name(0)),
        format!("mkfifo {input}/{}", name(3)),
        format!("mkdir -p {input}/{}/x", name(4)),
        format!("ln -s /etc/passwd {input}/{}", name(5)),
        // And they close their home.
        format!("chmod 0700 {}", home_of("bob")),
    ] {
        assert!(world.shell(bert, &script), "{script}");
    }
    let seal = world.run(bert, "seal", &["-N", BERT, "-t", "anna"]);
    let reply = seal.stdin("hello").ok().stdout;
    let put = world.run(bert, "put", &["-N", BERT]);
    put.stdin(&reply[..]).ok();
    let list = world.run(relay, "list", &["-N", GATEWAY, "home"]);
    list.fails(78, "home/");
    let routed = world.route().run();
    assert_ne!(routed.status, 0);
    let said = routed.diagnostics().join("\n");
    for text in ["Permission denied", "removed: "] {
        assert!(said.contains(text), "{text}: {said}");
    }
    let waiting = world.waiting("alice");
    assert_eq!(waiting.len(), 1, "{said}");
    assert_eq!(sha256(&world.env.read(&waiting[0])), sha256(&reply));
    let left = world.env.names(&input);
    assert!(left.contains(&names[0]), "{said}");
    assert!(
        !left.contains(&name(0)) && !left.contains(&name(2)),
        "{left:?}"
    );
    world.env.mkdir("stick");
    own(&world.env, relay, "stick");
    let sync = ["-N", GATEWAY, "--init", "stick"];
    world.run(relay, "sync", &sync).ok();
    world.run(relay, "purge", &["-N", GATEWAY]).ok();
    // A directory with the name of a temporary file is left alone wherever they may make one.
    let old = "mkdir -p $0/.relay-x.tmp/y $0/dir; echo x > $0/.relay-y.tmp; echo x > $0/dir/.relay-z.tmp; \
        touch -d 2020-01-01 $0/.relay-* $0/dir/.relay-*";
    for dir in ["in", "tmp"] {
        let dir = format!("{GATEWAY}/spool/{dir}");
        assert!(world.shell(bert, &old.replace("$0", &dir)));
        world.run(relay, "purge", &["-N", GATEWAY]).ok();
        let left = world.env.names(&dir);
        let is_left = |name: &str| left.iter().any(|left| left == name);
        assert!(
            is_left(".relay-x.tmp") && !is_left(".relay-y.tmp"),
            "{left:?}"
        );
        assert!(world.env.path(format!("{dir}/dir/.relay-z.tmp")).exists());
    }
    // He opens it again, and gets what waited.
    assert!(world.shell(bert, &format!("chmod 0770 {}", home_of("bob"))));
    world.route().run();
    assert_eq!(world.waiting("bob").len(), 1);
    // Nobody else could have changed what is theirs, and the gateway's user can remove it.
    assert!(!world.shell(anna, &format!("rm -f {input}/{}", name(1))));
    assert!(world.shell(relay, &format!("rm -f {input}/{}", name(1))));
    world.route().ok();
}

#[test]
fn what_is_put_under_another_name_harms_nobody() {
    let Some(world) = world() else { return };
    let Users { anna, bert, .. } = world.users;
    let parcel = world.sent("hello");
    let input = format!("{GATEWAY}/spool/in");
    let name = world.env.names(&input).remove(0);
    // Anna keeps a name of her own for the file that she put, and changes it when it was routed.
    assert!(world.shell(anna, &format!("ln {input}/{name} {ANNA}/kept")));
    world.route().ok().quiet();
    assert!(world.shell(anna, &format!("echo junk > {ANNA}/kept")));
    let [path] = &world.waiting("bob")[..] else {
        panic!("nothing came")
    };
    assert_eq!(sha256(&world.env.read(path)), sha256(&parcel));
    let opened = world.run(bert, "open", &["-N", BERT, "-o", "-", path]);
    opened.ok().stdout("hello");
}

#[test]
fn a_folder_is_the_node_that_the_gateway_registered_by_its_name() {
    let Some(world) = world() else { return };
    let Users { anna, .. } = world.users;
    // Anna makes her directory look like bert's, for all to read.
    let public = world.env.read(format!("{BERT}/identity.pub"));
    world.env.write(format!("{ANNA}/identity.pub"), public);
    assert!(world.shell(anna, &format!("chmod -R a+rX {ANNA}")));
    let parcel = world.run(world.users.bert, "seal", &["-N", BERT, "-t", "anna"]);
    let parcel = parcel.stdin("hello").ok().stdout;
    let put = world.run(world.users.bert, "put", &["-N", BERT]);
    put.stdin(parcel).ok();
    world.route().ok().quiet();
    assert_eq!(world.waiting("alice").len(), 1);
}

#[test]
fn a_gateway_gets_a_group_as_its_page_says() {
    let Some(world) = empty() else { return };
    let World { env, users } = &world;
    let gateway = ["--type", "gateway", "-N", GATEWAY];
    world.keygen("gateway", &gateway).ok().quiet();
    for (name, keys) in [("anna", "alice"), ("bert", "bob")] {
        let args = ["-N", GATEWAY, "--endpoint", name];
        world.keygen(keys, &args).ok();
    }
    let (anna, bert) = ((users.relay, ANNA, "anna"), (users.relay, BERT, "bert"));
    world.introduce(anna, bert);
    let send = |user: User, content: &str| {
        let seal = world.run(user, "seal", &["-N", ANNA, "-t", "bert"]);
        let parcel = seal.stdin(content).ok().stdout;
        let put = world.run(user, "put", &["-N", ANNA]);
        put.stdin(parcel).ok().quiet();
    };
    send(users.relay, "at home before");
    world.route().ok();
    send(users.relay, "under way");
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/relay-node.5"));
    let page = page.unwrap();
    let (_, commands) = page
        .split_once("and these commands in its directory")
        .unwrap();
    let (_, commands) = commands.split_once(".Bd -literal").unwrap();
    let (commands, _) = commands.split_once(".Ed").unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .collect();
    assert_eq!(commands.len(), 7);
    let script = format!(
        "set -e; cd {GATEWAY}; echo 'group = relay-users' >> config; {}",
        commands.join("; ")
    );
    let script = script.replace("relay-users", &users.group.0);
    assert!(world.shell(ROOT, &script));
    for (name, keys, user) in [("anna", "alice", users.anna), ("bert", "bob", users.bert)] {
        own_all(env, user, &format!("{GATEWAY}/endpoints/{name}"));
        world.route().ok(); // which makes the home of one for whom nothing has come
        chown(env.path(home_of(keys)), Some(user.uid), None).unwrap();
    }
    send(users.anna, "after");
    world.route().ok().quiet();
    let mut read = Vec::new();
    for path in world.waiting("bob") {
        let opened = world.run(users.bert, "open", &["-N", BERT, "-o", "-", &path]);
        read.push(opened.ok().text().to_owned());
        assert!(world.shell(users.bert, &format!("rm -f {path}")));
    }
    read.sort();
    assert_eq!(read, ["after", "at home before", "under way"]);
}

#[test]
fn who_is_not_in_the_group_cannot_make_such_a_node() {
    let Some(world) = empty() else { return };
    let Users {
        carol, ref group, ..
    } = world.users;
    world.env.mkdir("carol");
    own(&world.env, carol, "carol");
    for (group, text) in [
        (
            &group.0[..],
            "cannot share carol/node: Operation not permitted",
        ),
        ("no-such-group", "no such group: no-such-group"),
    ] {
        let set = format!("group={group}");
        let args = ["--type", "gateway", "--set", &set, "carol/node"];
        let ran = world.run(carol, "keygen", &args).run();
        assert_eq!(ran.status, 78, "{}", ran.stderr);
        let ran = ran.says(&[text]).stdout("");
        assert_eq!(ran.hints().len(), 1, "{}", ran.stderr);
        assert!(!world.env.path("carol/node/identity.key").exists());
    }
    let args = ["--set", "group=x", "-N", "carol/node", "--endpoint", "e"];
    let ran = world.run(carol, "keygen", &args);
    ran.fails(64, "the group of a local endpoint is that of its gateway");
}

#[test]
fn a_group_that_the_system_does_not_list_is_named_by_its_number() {
    let Some(world) = empty() else { return };
    let number = 61_500;
    let relay = User {
        group: Some(number),
        ..world.users.relay
    };
    let set = format!("group={number}");
    let args = ["--type", "gateway", "--set", &set, GATEWAY];
    world.run(relay, "keygen", &args).ok();
    for (path, mode) in [("", 0o710), ("/spool", 0o710), ("/spool/in", 0o3770)] {
        let found = fs::metadata(world.env.path(format!("{GATEWAY}{path}"))).unwrap();
        let found = (found.gid(), found.permissions().mode() & 0o7777);
        assert_eq!(found, (number, mode), "{path}");
    }
    let args = [
        "--type",
        "gateway",
        "--set",
        "group=4294967295",
        "var/other",
    ];
    let ran = world.run(relay, "keygen", &args).run();
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    ran.says(&["no such group: 4294967295"]).stdout("");
}

#[test]
fn what_another_member_leaves_in_a_home_is_not_taken_for_what_arrived_in_time() {
    let Some(world) = world() else { return };
    let Users { anna, bert, .. } = &world.users;
    let (env, relay) = (&world.env, world.users.relay.uid);
    env.mkdir("files");
    own(env, *bert, "files");
    world.sent("in time");
    world.route().ok().quiet();
    let [arrived] = &world.waiting("bob")[..] else {
        panic!("nothing came")
    };
    world.make_old_home("bob", *bert);
    for (user, content) in [(*anna, "of anna"), (ROOT, "of root")] {
        let seal = world.run(*anna, "seal", &["-N", ANNA, "-t", "bert"]);
        world.leave(user, &seal.stdin(content).ok().stdout, arrived);
    }
    assert_eq!(world.waiting("bob").len(), 3);
    world.takes_any_time(BERT);
    let deliver = || {
        let call = world.run(*bert, "deliver", &["-N", BERT, "--dir", "files"]);
        call.at(&in_a_year())
    };
    // No other message waits for what is not delivered, and nothing is set aside by a time that may be wrong.
    for status in [0, 75] {
        let ran = deliver().run();
        assert_eq!(ran.status, status, "{}", ran.stderr);
        ran.says_somewhere(": 2 messages wait until the clock is right");
        let [file] = &env.names("files/anna")[..] else {
            panic!("{:?}", env.names("files/anna"))
        };
        assert_eq!(env.text(format!("files/anna/{file}")), "in time");
        assert_eq!(world.waiting("bob").len(), 2);
    }
    let believe = ["-N", BERT, "--trust-clock"];
    world.run(*bert, "purge", &believe).at(&in_a_year()).ok();
    let ran = deliver().ok();
    let said = ran.diagnostics();
    assert_eq!(said.len(), 2, "{said:?}");
    // The line is cut, the reason is kept whole.
    let failed = format!("{BERT}/spool/failed");
    let names = env.names(&failed);
    let reasons = names.iter().filter(|name| name.contains(".why"));
    let reasons: Vec<_> = reasons
        .map(|name| env.text(format!("{failed}/{name}")))
        .collect();
    for owner in [anna.uid.to_string(), "root".to_owned()] {
        let why = format!(", and the file belongs to user {owner}, not to user {relay}\"");
        assert!(
            reasons.iter().any(|reason| reason.contains(&why)),
            "{why}: {reasons:?}"
        );
    }
    let is_said =
        |line: &String| line.contains(" from anna to this node: set aside in failed: expired");
    assert!(said.iter().all(is_said), "{said:?}");
    assert_eq!(env.names("files/anna").len(), 1);
    assert_eq!(world.waiting("bob"), [""; 0]);
    let aside = env.names(&format!("{BERT}/spool/failed"));
    assert_eq!(aside.len(), 4, "{aside:?}");
    deliver().ok().says(&[]);
}

#[test]
fn what_another_member_left_is_judged_before_it_goes_home_again() {
    let Some(world) = world() else { return };
    let Users { relay, anna, .. } = world.users;
    let env = &world.env;
    // An endpoint of the gateway's own user, in a home where every member may leave files.
    world
        .keygen("carol", &["-N", GATEWAY, "--endpoint", "carol"])
        .ok();
    let node = "var/relay/endpoints/carol";
    world.introduce((anna, ANNA, "anna"), (relay, node, "carol"));
    world.route().ok().quiet();
    world.make_old_home("carol", relay);
    let seal = world.run(anna, "seal", &["-N", ANNA, "-t", "carol"]);
    let parcel = seal.stdin("late").ok().stdout;
    let put = world.run(anna, "put", &["-N", ANNA]);
    put.stdin(&parcel[..]).ok().quiet();
    let input = format!("{GATEWAY}/spool/in");
    let name = env.names(&input).remove(0);
    let leave = format!("mv {input}/{name} {}/{name}", home_of("carol"));
    assert!(world.shell(anna, &leave));
    for node in [GATEWAY, node] {
        world.takes_any_time(node);
    }
    let at = in_a_year();
    let run = |program: &str, args: &[&str]| world.run(relay, program, args).at(&at);
    run("purge", &["-N", GATEWAY, "--trust-clock"]).ok();
    env.mkdir("files");
    own(env, relay, "files");
    let deliver = ["-N", node, "--dir", "files"];
    let ran = run("deliver", &deliver)
        .ok()
        .says_somewhere("set aside in failed: expired");
    assert_eq!(ran.diagnostics().len(), 1, "{}", ran.stderr);
    // The copy belongs to the gateway's user, and would be believed at home.
    let aside = format!("{GATEWAY}/spool/failed/{name}");
    assert_eq!(world.stat(&aside).0, relay.uid);
    assert!(env.text(format!("{aside}.why")).contains(r#""queue":"in""#));
    let retry = ["-N", GATEWAY, "--retry", &name];
    let ran = run("route", &retry)
        .ok()
        .says_somewhere("set aside in failed: expired");
    assert_eq!(ran.diagnostics().len(), 1, "{}", ran.stderr);
    run("deliver", &deliver).ok().says(&[]);
    assert_eq!(env.names("files"), [""; 0]);
    assert!(env.path(&aside).exists());
    run("route", &["-N", GATEWAY]).ok().says(&[]);
}

#[test]
fn what_comes_home_by_a_detour_arrives_in_time_and_can_be_read() {
    let Some(world) = world() else { return };
    let Users {
        relay, anna, bert, ..
    } = world.users;
    let env = &world.env;
    env.mkdir("files");
    own(env, bert, "files");
    let gid = world.users.group.1;
    let is_readable = || {
        let waiting = world.waiting("bob");
        let [path] = &waiting[..] else {
            panic!("{waiting:?}")
        };
        assert_eq!(world.stat(path), (relay.uid, gid, 0o640));
    };
    // It was set aside, since its way led nowhere, and comes back.
    env.write(format!("{GATEWAY}/routes"), "* dir:/nowhere\n");
    own(env, relay, &format!("{GATEWAY}/routes"));
    world.sent("by a table");
    let failed = format!("{GATEWAY}/spool/failed");
    let input = format!("{GATEWAY}/spool/in");
    let name = env.names(&input).remove(0);
    assert!(world.shell(relay, &format!("mkdir -p -m 700 {failed}")));
    let aside = format!("umask 077; cat {input}/{name} > {failed}/{name}");
    assert!(world.shell(relay, &aside));
    assert!(world.shell(anna, &format!("rm {input}/{name}")));
    env.write(format!("{GATEWAY}/routes"), "");
    let retry = world.run(relay, "route", &["-N", GATEWAY, "--retry", &name]);
    retry.ok().quiet();
    is_readable();
    // What bert's command refuses is set aside as a file of bert's, sent on its way again, and waits too long.
    let refuse = ["-N", BERT, "--", "/bin/sh", "-c", "exit 65"];
    let ran = world.run(bert, "deliver", &refuse).ok();
    assert!(ran.stderr.contains("set aside"), "{}", ran.stderr);
    let aside = format!("{BERT}/spool/failed/{name}");
    assert_eq!(world.stat(&aside).0, bert.uid);
    world.run(bert, "put", &["-N", BERT, &aside]).ok().quiet();
    world.route().ok().quiet();
    is_readable();
    world.takes_any_time(BERT);
    let late = world.run(bert, "deliver", &["-N", BERT, "--dir", "files"]);
    late.at(&in_a_year()).ok().says(&[]);
    assert_eq!(env.names("files/anna").len(), 1);
}

#[test]
#[allow(clippy::too_many_lines)] // one story, told in order
fn root_finishes_what_the_gateways_user_cannot() {
    let Some(world) = world() else { return };
    let Users {
        relay, anna, bert, ..
    } = world.users;
    let (env, home) = (&world.env, home_of("bob"));
    let gid = world.users.group.1;
    let check = |user: User, node: &str| world.run(user, "check", &["-N", node]).run();
    let right = (bert.uid, relay.uid, 0o770);
    let shut = format!(": user {} can put nothing there", relay.uid);
    let forms = [
        // As the gateway's user makes it.
        (
            (relay.uid, relay.uid, 0o770),
            "error",
            ": its user cannot take what waits there",
        ),
        // As earlier versions made it.
        (
            (bert.uid, gid, 0o3770),
            "warning",
            ": other members may write there",
        ),
        ((bert.uid, bert.uid, 0o770), "error", &shut),
        ((bert.uid, relay.uid, 0o2770), "warning", ""),
        (
            (relay.uid, gid, 0o750),
            "error",
            ": its user cannot take what waits there",
        ),
    ];
    for (form, level, why) in forms {
        let (owner, group, mode) = form;
        chown(env.path(&home), Some(owner), Some(group)).unwrap();
        assert!(world.shell(ROOT, &format!("chmod {mode:05o} {home}")));
        assert_eq!(world.stat(&home), form);
        world.sent(&format!("{form:?}"));
        let ran = world.route().run();
        let mut said = ran.diagnostics();
        // What the gateway's user cannot put there waits, and the next run does.
        let is_shut = group == bert.uid;
        assert_eq!(ran.status, if is_shut { 74 } else { 0 }, "{}", ran.stderr);
        if is_shut {
            assert!(
                said.remove(0).contains(": cannot create "),
                "{}",
                ran.stderr
            );
            assert!(ran.hints()[0].contains("relay-check"), "{}", ran.stderr);
        }
        if owner == relay.uid {
            let line = said.pop().unwrap();
            assert!(line.starts_with(&home) && line.ends_with(why), "{line}");
            let hints = ran.hints();
            let hint = format!("as root, run: chown {}:{} {home}", bert.uid, relay.uid);
            assert!(hints.len() == 1 && hints[0].starts_with(&hint), "{hints:?}");
        }
        assert_eq!(said, [""; 0]);
        let found = check(relay, GATEWAY);
        assert_eq!(found.status, 1, "{}", found.stderr);
        let line = found.text().lines().next().unwrap();
        let fields: Vec<&str> = line.split('\t').collect();
        // Which then cannot be listed, either.
        assert_eq!(found.text().lines().count(), 1 + usize::from(is_shut));
        let label = if group == gid {
            world.users.group.0.clone()
        } else {
            group.to_string()
        };
        let what = format!(
            "{owner}:{label} {mode:04o}, not {}:{} 0770{why}",
            bert.uid, relay.uid
        );
        assert_eq!(fields[..3], [level, &what, &home], "{fields:?}");
        // The user of the endpoint may ask, too; root knows of no group of a user without a name.
        if group != bert.uid && mode != 0o2770 {
            let theirs = check(bert, BERT);
            assert_eq!(theirs.status, 1, "{form:?} {}", theirs.stderr);
            assert!(theirs.text().contains(&home), "{}", theirs.text());
        }
        assert!(world.shell(ROOT, fields[3]), "{}", fields[3]);
        assert_eq!(world.stat(&home), right);
        check(relay, GATEWAY).quiet().stdout("");
        check(bert, BERT).quiet().stdout("");
    }
    assert_eq!(world.waiting("bob").len(), forms.len());
    world
        .run(bert, "deliver", &["-N", BERT, "--", "/bin/true"])
        .ok()
        .quiet();
    assert_eq!(world.waiting("bob"), [""; 0]);
    // Where the gateway's user has no group but that of all, members share what they shared before, and it is said.
    let mut shared = std::process::Command::new("setpriv");
    shared.args([
        "--reuid",
        &relay.uid.to_string(),
        "--regid",
        &gid.to_string(),
    ]);
    shared.args(["--clear-groups", "--"]);
    shared.args([env!("CARGO_BIN_EXE_relay-check"), "-N", GATEWAY]);
    let found = shared.current_dir(env.root()).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let name = &world.users.group.0;
    let what = format!(
        "warning\t{name} is the own group of user {}, and the node's: others may write in home\t",
        relay.uid
    );
    assert!(found.starts_with(&what), "{found}");
    assert!(world.shell(anna, "true"));
}

/// A successor has the routes of the node before it, and those name commands.
#[test]
fn nobody_makes_the_successor_of_another_users_node() {
    let Some(world) = world() else {
        return;
    };
    let users = &world.users;
    world.env.mkdir("stick");
    let routes = format!("{GATEWAY}/routes");
    world.env.write(&routes, "* exec:/bin/true\n");
    own(&world.env, users.relay, &routes);
    world.env.chmod(&routes, 0o600);
    let into: &[&str] = &["-N", GATEWAY, "--endpoint", "anna2"];
    let calls: [(User, &str, &[&str], &str); 5] = [
        (ROOT, GATEWAY, &["rnew"], GATEWAY),
        (ROOT, ANNA, &["-d", "stick", "rnew"], ANNA),
        (ROOT, ANNA, into, ANNA),
        // No command does it yet for an endpoint with a user of its own.
        (users.anna, ANNA, into, GATEWAY),
        (users.relay, ANNA, into, ANNA),
    ];
    for (user, old, args, refused) in calls {
        let call = world.run(user, "keygen", &["--successor", old]).args(args);
        let ran = call.run();
        assert_eq!(ran.status, 78, "{old} {args:?}: {}", ran.stderr);
        ran.changes(&[]).says_somewhere(refused);
    }
}

/// A run as root would leave files that the node's user could not use afterwards.
#[test]
fn root_reads_anybodys_node_and_changes_none() {
    let Some(world) = world() else {
        return;
    };
    let parcel = world.sent("content");
    world.env.write("one.parcel", &parcel);
    world.env.mkdir("stick");
    let reads: [(&str, &[&str]); 7] = [
        ("route", &["-n", "-N", GATEWAY]),
        ("list", &["-N", GATEWAY]),
        ("peers", &["-N", ANNA]),
        ("inspect", &["one.parcel"]),
        ("verify", &["-N", BERT, "one.parcel"]),
        ("export", &["-N", ANNA]),
        ("check", &["-q", "-N", ANNA]),
    ];
    for (program, args) in reads {
        let ran = world.run(ROOT, program, args).run();
        let is_done = ran.status == 0 || program == "check" && ran.status == 1;
        assert!(is_done, "{program}: {}", ran.stderr);
        ran.changes(&[]);
    }
    let changes: [(&str, &[&str], User); 11] = [
        ("enroll", &["-N", GATEWAY, "127.0.0.1:9"], world.users.relay),
        ("route", &["-N", GATEWAY], world.users.relay),
        ("purge", &["-N", GATEWAY], world.users.relay),
        ("purge", &["-N", ANNA], world.users.relay),
        ("put", &["-N", GATEWAY, "one.parcel"], world.users.relay),
        (
            "sync",
            &["-N", GATEWAY, "--init", "stick"],
            world.users.relay,
        ),
        (
            "keygen",
            &["-N", GATEWAY, "--endpoint", "carl"],
            world.users.relay,
        ),
        ("seal", &["-N", ANNA, "-t", "bert"], world.users.anna),
        ("open", &["-N", BERT, "one.parcel"], world.users.bert),
        ("deliver", &["-N", BERT, "--dir", "."], world.users.bert),
        ("peers", &["-N", ANNA, "--forget", "bert"], world.users.anna),
    ];
    for (program, args, user) in changes {
        let call = world.run(ROOT, program, args).stdin("x");
        let ran = call.run();
        assert_eq!(ran.status, 78, "{program} {args:?}: {}", ran.stderr);
        let remedy = format!("as that user: runuser -u {} -- relay-...", user.uid);
        assert!(ran.stderr.contains(&remedy), "{program}: {}", ran.stderr);
        let words = format!("belongs to user {}, and this is root", user.uid);
        ran.says_somewhere(&words);
    }
    // Nothing of root's came into any node.
    world
        .run(world.users.relay, "route", &["-N", GATEWAY])
        .ok()
        .quiet();
    let deliver = world.run(
        world.users.bert,
        "deliver",
        &["-N", BERT, "--", "/bin/true"],
    );
    deliver.ok().quiet();
    // Nor does anybody else use it, whatever its modes are.
    world.env.chmod(ANNA, 0o755);
    for name in ["VERSION", "config", "identity.pub"] {
        world.env.chmod(format!("{ANNA}/{name}"), 0o644);
    }
    world.env.chmod(GATEWAY, 0o755);
    world.env.chmod(format!("{GATEWAY}/endpoints"), 0o755);
    let ran = world.run(world.users.carol, "peers", &["-N", ANNA]).run();
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    ran.says_somewhere("belongs to user 61002, and this is user 61004");
}

/// What others own in a node is theirs, whatever its mode is.
#[test]
fn a_file_of_another_user_is_not_followed() {
    let Some(world) = world() else {
        return;
    };
    let routes = format!("{GATEWAY}/routes");
    world.env.write(&routes, "* exec:touch pwned\n");
    world.env.chmod(&routes, 0o644);
    world.sent("content");
    for (user, expected) in [(world.users.carol, 78), (ROOT, 0), (world.users.relay, 0)] {
        own(&world.env, user, &routes);
        let ran = world
            .run(world.users.relay, "route", &["-N", GATEWAY])
            .run();
        assert_eq!(ran.status, expected, "{}", ran.stderr);
        if expected == 78 {
            ran.says_somewhere("routes belongs to user 61004, and this is user 61001");
        }
    }
}

/// A member reads neither the queues nor the memory: the message of a run that was killed is made anew, and the gateway
/// keeps one of the two.
#[test]
fn what_a_member_drops_goes_on_once_though_a_run_is_killed() {
    let Some(world) = world() else { return };
    let env = &world.env;
    let drop = format!("{ANNA}/drop");
    for dir in [drop.clone(), format!("{drop}/bert")] {
        env.mkdir(&dir);
    }
    own_all(env, world.users.anna, &drop);
    let send = |name: &str| {
        let path = format!("{drop}/bert/{name}");
        env.write(&path, "content");
        own(env, world.users.anna, &path);
        let args = ["-N", ANNA, "--drop", &drop, "--settle", "0s"];
        world.run(world.users.anna, "send", &args)
    };
    let trace = env.path("var/trace");
    env.write("var/trace", "");
    own(env, world.users.anna, "var/trace");
    send("first").ok();
    // To see which step lets the file go.
    let traced = send("other").var("RELAY_FAULT", format!("trace:{}", trace.display()));
    traced.ok();
    let text = env.text("var/trace");
    let is_last = |line: &str| line.starts_with("remove") && line.ends_with("/bert/other");
    let at = text.lines().position(is_last).unwrap() + 1;
    let killed = send("third")
        .var("RELAY_FAULT", format!("kill:{at}"))
        .output();
    assert_eq!(killed.status.code(), None, "{killed:?}");
    send("fourth").ok();
    world.route().ok();
    // A member cannot look into the queue: a second later it is another parcel with the same id, which is delivered once.
    let waiting = world.waiting("bob");
    let ids: BTreeSet<_> = waiting.iter().map(|path| path.split('.').nth(2)).collect();
    assert_eq!(ids.len(), 4, "{waiting:?}");
}

/// An endpoint of another user renews what it gave by itself, through the gateway's spool; the gateway cannot do that.
#[test]
fn an_endpoint_of_another_user_is_rotated_by_them() {
    let Some(world) = world() else {
        return;
    };
    let users = &world.users;
    let month = jiff::SignedDuration::from_hours(40 * 24);
    let now = &(jiff::Timestamp::now() + month).to_string();
    let nodes = [
        (users.relay, GATEWAY),
        (users.anna, ANNA),
        (users.bert, BERT),
    ];
    for (user, node) in nodes {
        world.takes_any_time(node);
        let purge = ["-N", node, "--trust-clock"];
        world.run(user, "purge", &purge).at(now).ok();
    }
    let ran = world.run(users.relay, "rotate", &["-N", GATEWAY, "-v"]);
    let ran = ran.at(now).ok();
    let theirs = "belongs to another user, who runs relay-rotate for it";
    assert_eq!(ran.stderr.matches(theirs).count(), 2, "{}", ran.stderr);
    assert!(!ran.stderr.contains("event="), "{}", ran.stderr);
    let rotate = || world.run(users.anna, "rotate", &["-N", ANNA, "-v"]).at(now);
    let ran = rotate().ok();
    assert_eq!(
        ran.stderr.matches("event=renewed ").count(),
        1,
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("way=parcel"), "{}", ran.stderr);
    assert_eq!(world.env.names(&format!("{GATEWAY}/spool/in")).len(), 1);
    rotate().ok().quiet().changes(&[]);
    world
        .run(users.relay, "route", &["-N", GATEWAY])
        .at(now)
        .ok()
        .quiet();
    let held = format!("{BERT}/peers/{}/held", id("alice"));
    assert_eq!(world.env.names(&held).len(), 1);
    world.env.mkdir("inbox");
    own(&world.env, users.bert, "inbox");
    let deliver = ["-N", BERT, "--dir", "inbox"];
    world
        .run(users.bert, "deliver", &deliver)
        .at(now)
        .ok()
        .quiet();
    assert_eq!(world.env.names(&held).len(), 2);
    assert_eq!(world.env.names("inbox"), [""; 0]);
}
