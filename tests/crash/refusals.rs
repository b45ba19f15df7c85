//! A file system that says no: every call of a program on every path fails with every errno that the manual
//! of Linux has for it, one at a time, by strace(1). Whatever a program makes of that: it ends with a status of its page,
//! with a line for each failure, and with no temporary file; nothing is lost; and the same command finishes
//! the work once the file system is well again.
//!
//! By default a sample is tried, which is the same in each run; `RELAY_ALL_FAULTS=1` tries everything, and
//! `RELAY_ALL_FAULTS=K/N` the Kth of N shares.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::calls::{described, missing, parse, quoted};
use super::invariants;
use super::scene::{CONTENT, LATE, Outcome, SECOND, Scene, World, program};

/// How many points there are for each that is tried by default.
const SAMPLED: u64 = 32;

/// The errnos of open(2) and flock(2).
const OF_OPEN: [&str; 25] = [
    "EACCES",
    "EBUSY",
    "EDQUOT",
    "EEXIST",
    "EFBIG",
    "EINTR",
    "EINVAL",
    "EIO",
    "EISDIR",
    "ELOOP",
    "EMFILE",
    "ENAMETOOLONG",
    "ENFILE",
    "ENOENT",
    "ENODEV",
    "ENOLCK",
    "ENOMEM",
    "ENOSPC",
    "ENOTDIR",
    "EOPNOTSUPP",
    "EOVERFLOW",
    "EPERM",
    "EROFS",
    "ESTALE",
    "ETXTBSY",
];

/// The errnos of rename(2) and link(2).
const OF_RENAME: [&str; 20] = [
    "EACCES",
    "EBUSY",
    "EDQUOT",
    "EEXIST",
    "EINVAL",
    "EIO",
    "EISDIR",
    "ELOOP",
    "EMLINK",
    "ENAMETOOLONG",
    "ENOENT",
    "ENOMEM",
    "ENOSPC",
    "ENOTDIR",
    "ENOTEMPTY",
    "EOPNOTSUPP",
    "EPERM",
    "EROFS",
    "ESTALE",
    "EXDEV",
];

/// The errnos of the calls that a step stands for: open(2), mkdir(2), rename(2), link(2), unlink(2), fsync(2),
/// write(2), ftruncate(2), chmod(2), chown(2), utimensat(2).
pub(crate) fn documented(op: &str) -> &'static [&'static str] {
    match op {
        "create" | "scratch" | "lock" => &OF_OPEN,
        "mkdir" => &[
            "EACCES",
            "EDQUOT",
            "EEXIST",
            "EINVAL",
            "EIO",
            "ELOOP",
            "EMLINK",
            "ENAMETOOLONG",
            "ENOENT",
            "ENOMEM",
            "ENOSPC",
            "ENOTDIR",
            "EPERM",
            "EROFS",
            "ESTALE",
        ],
        "rename" | "link" => &OF_RENAME,
        // ENOENT says that nothing need be done.
        "remove" => &[
            "EACCES",
            "EBUSY",
            "EIO",
            "EISDIR",
            "ELOOP",
            "ENAMETOOLONG",
            "ENOMEM",
            "ENOTDIR",
            "ENOTEMPTY",
            "EPERM",
            "EROFS",
            "ESTALE",
        ],
        "sync" | "syncdir" | "syncfs" => &[
            "EDQUOT", "EINTR", "EINVAL", "EIO", "ENOSPC", "EROFS", "ESTALE",
        ],
        // EPIPE is the reader's.
        "write" | "append" | "emit" => &[
            "EAGAIN", "EDQUOT", "EFBIG", "EINTR", "EINVAL", "EIO", "ENOSPC", "EPERM", "ESTALE",
        ],
        "truncate" => &[
            "EACCES", "EFBIG", "EINTR", "EINVAL", "EIO", "EPERM", "EROFS", "ETXTBSY",
        ],
        "chmod" | "chown" | "share" => &["EACCES", "EIO", "ENOMEM", "EOPNOTSUPP", "EPERM", "EROFS"],
        "utime" => &[
            "EACCES",
            "EINVAL",
            "EIO",
            "ELOOP",
            "ENAMETOOLONG",
            "ENOENT",
            "ENOTDIR",
            "EOPNOTSUPP",
            "EPERM",
            "EROFS",
        ],
        op => panic!("{op}: not a step"),
    }
}

/// Whether a point is tried now. Which ones are does not change from run to run, and differs between cases.
pub(crate) fn is_sampled(point: &str) -> bool {
    let hash = point
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
        });
    let share = std::env::var("RELAY_ALL_FAULTS").map(|share| match share.split_once('/') {
        Some((at, of)) => (at.parse().unwrap(), of.parse().unwrap()),
        None => (1, 1),
    });
    let (at, of): (u64, u64) = share.unwrap_or((SAMPLED, SAMPLED));
    assert!((1..=of).contains(&at), "RELAY_ALL_FAULTS={at}/{of}");
    (hash >> 17) % of == at % of
}

/// The statuses of a program, by its page.
pub(crate) fn statuses(program: &str) -> BTreeSet<i32> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("man/{program}.1"));
    let text = fs::read_to_string(page).unwrap();
    let (_, text) = text.split_once(".Sh EXIT STATUS\n").unwrap();
    let text = text.split("\n.Sh ").next().unwrap();
    let items = text.lines().filter_map(|line| line.strip_prefix(".It "));
    // 70 is a bug.
    items
        .filter_map(|item| item.parse().ok())
        .filter(|status| *status != 70)
        .collect()
}

/// The same for calls that read, and for those that change something, from outside of a program. Nothing that
/// the programs do alike is tried twice under another name.
fn documented_of_call(call: &str) -> &'static [&'static str] {
    match call {
        "openat" => &[
            "EACCES",
            "EINTR",
            "EIO",
            "ELOOP",
            "EMFILE",
            "ENAMETOOLONG",
            "ENFILE",
            "ENOENT",
            "ENOMEM",
            "ENOTDIR",
            "ENXIO",
            "EOVERFLOW",
            "EPERM",
            "ESTALE",
        ],
        "read" | "pread64" => &["EINTR", "EINVAL", "EIO", "EISDIR", "ESTALE"],
        "getdents64" => &["EINVAL", "EIO", "ENOENT", "ENOTDIR", "ESTALE"],
        "statx" | "newfstatat" | "fstat" => &[
            "EACCES",
            "EIO",
            "ELOOP",
            "ENAMETOOLONG",
            "ENOENT",
            "ENOMEM",
            "ENOTDIR",
            "EOVERFLOW",
            "ESTALE",
        ],
        "flock" => &["EINTR", "EINVAL", "ENOLCK"],
        "fsync" | "fdatasync" => documented("sync"),
        "write" | "writev" | "pwrite64" => documented("write"),
        "rename" | "renameat" | "renameat2" => documented("rename"),
        "link" | "linkat" => documented("link"),
        "unlink" | "unlinkat" | "rmdir" => documented("remove"),
        "mkdir" | "mkdirat" => documented("mkdir"),
        "ftruncate" => documented("truncate"),
        "fchmod" => documented("chmod"),
        call => panic!("{call}: not a call that is failed"),
    }
}

const CALLS: &str = "openat,read,pread64,getdents64,statx,newfstatat,fstat,flock,fsync,fdatasync,write,writev,pwrite64,\
    rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,mkdir,mkdirat,ftruncate,fchmod";

/// A run among several messages.
struct Run<'a> {
    program: &'static str,
    args: &'a [&'a str],
    now: &'static str,
    nodes: &'static [&'static str],
    dirs: &'static [&'static str],
    /// What is done before.
    before: fn(&Scene),
    /// The messages that are done.
    done: fn(&Scene, &Outcome) -> usize,
    /// Checks in the end that nothing is lost which is no result and in no queue.
    proof: fn(&Scene),
}

fn scene(run: &Run<'_>, world: &Arc<World>) -> Scene {
    let scene = world.scene(run.nodes);
    for dir in run.dirs {
        fs::create_dir(scene.path(dir)).unwrap();
    }
    (run.before)(&scene);
    scene
}

/// The command under strace.
fn traced(scene: &Scene, run: &Run<'_>, options: &[String]) -> Outcome {
    let plain = scene.command(run.program, run.args, run.now);
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-q", "-y", "-e", "signal=none"])
        .args(options)
        .arg(program(run.program))
        .args(plain.get_args())
        .current_dir(scene.path(""))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("RELAY_NOW", run.now)
        .stdin(Stdio::null());
    let output = strace.output().unwrap();
    Outcome {
        status: output.status,
        stdout: output.stdout,
        stderr: without_strace(&String::from_utf8_lossy(&output.stderr)),
    }
}

/// What the program said: strace tells what it makes of a relative path.
fn without_strace(text: &str) -> String {
    let lines = text.split_inclusive('\n');
    lines
        .filter(|line| !line.starts_with("strace: Requested path"))
        .collect()
}

/// The calls of an undisturbed run, each with the path that it is about, from the scene.
fn called(scene: &Scene, run: &Run<'_>) -> BTreeSet<(String, String)> {
    let log = scene.path("tmp/calls");
    let to = ["-o", log.to_str().unwrap(), "-e", &format!("trace={CALLS}")].map(str::to_owned);
    traced(scene, run, &to).expect(0);
    let text = fs::read_to_string(&log).unwrap();
    let calls = text.lines().filter_map(parse).filter(|call| !call.failed);
    let about = calls.filter_map(|call| {
        let path = match quoted(&call.arguments).into_iter().next_back() {
            Some(path)
                if !matches!(
                    &*call.name,
                    "read" | "pread64" | "write" | "writev" | "pwrite64"
                ) =>
            {
                path
            }
            _ => described(&call.arguments).1.into(),
        };
        let path = if path.is_absolute() {
            path.strip_prefix(scene.path("")).ok()?.to_owned()
        } else {
            path
        };
        let path = path.to_str().unwrap().to_owned();
        // Names that differ in each run, and what the test itself made.
        let is_own = run.args.contains(&"--") && path.starts_with("out/");
        let is_fixed =
            !is_own && !path.contains(".relay-") && !path.contains('#') && !path.is_empty();
        (is_fixed && !path.starts_with("tmp/calls") && !path.starts_with('/'))
            .then_some((call.name, path))
    });
    about.collect()
}

/// What a run is for: results, queues and media, without what was noted of them.
fn work(scene: &Scene) -> BTreeMap<String, usize> {
    let mut tree = scene.tree();
    let is_work = |line: &str| {
        let is_queue = ["in/", "out/", "home/", "failed/", "control/"];
        let is_queue = is_queue
            .iter()
            .any(|queue| line.contains(&format!("/spool/{queue}")));
        is_queue || line.starts_with("out/") || line.contains("/relaynet/c")
    };
    tree.retain(|line, _| is_work(line) && !line.ends_with("directory"));
    let mut work = BTreeMap::new();
    for (line, count) in tree {
        // A name that is refused is another one.
        let line = match line.split_once(' ') {
            // Whose name cannot be read is called by the id.
            Some((path, mail)) if path.starts_with("out/") && mail.contains("X-Relay-Sender: ") => {
                "out mail".to_owned()
            }
            Some((path, content)) if path.starts_with("out/") => format!("out {content}"),
            _ => line,
        };
        *work.entry(line).or_default() += count;
    }
    work
}

/// Compares what was done. What was left for another run goes in cargo of its own, and cargo may be carried
/// further than a hint that could not be read asks for.
fn compare(found: &BTreeMap<String, usize>, expected: &BTreeMap<String, usize>, when: &str) {
    let is_cargo = |line: &str| line.contains("/relaynet/cargo/");
    for (line, count) in expected {
        let there = found.get(line).copied().unwrap_or_default();
        assert!(
            there == *count || is_cargo(line) && there > *count,
            "{when}: {there} for {count}: {line}"
        );
    }
    for line in found.keys().filter(|line| !is_cargo(line)) {
        assert!(expected.contains_key(line), "{when}: not expected: {line}");
    }
}

/// Fails each call on each path with each errno.
fn refuse(name: &str, run: &Run<'_>) {
    if let Some(problem) = missing() {
        eprintln!(
            "strace is not used, so {name} is not tried on a file system that says no: {problem}"
        );
        assert!(std::env::var_os("CI").is_none(), "strace is needed in CI");
        return;
    }
    let world = World::get();
    let undisturbed = scene(run, &world);
    let calls = called(&undisturbed, run);
    let expected = work(&undisturbed);
    (run.proof)(&undisturbed);
    let calls_differ = scene(run, &world);
    // Only what is the same in each copy of the scene can be failed by its name.
    let calls = calls
        .intersection(&called(&calls_differ, run))
        .cloned()
        .collect::<Vec<_>>();
    assert!(calls.len() > 20, "{calls:?}");
    let whole = scene(run, &world);
    let ran = whole.run(run.program, run.args, run.now);
    let all = (run.done)(&whole, &ran);
    let mut failures = String::new();
    let mut tried = 0;
    for (call, path) in &calls {
        for errno in documented_of_call(call) {
            if !is_sampled(&format!("{name} {call} {path} {errno}")) {
                continue;
            }
            tried += 1;
            let scene = scene(run, &world);
            let ended = catch_unwind(AssertUnwindSafe(|| {
                refuse_one(&scene, run, (call, path, errno), &expected, all);
            }));
            if let Err(panic) = ended {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                let _ = writeln!(
                    failures,
                    "{errno} by {call} on {path}: {}",
                    text.unwrap_or("?")
                );
            }
        }
    }
    assert!(tried > 0, "nothing was tried");
    assert!(failures.is_empty(), "{name}:\n{failures}");
}

fn refuse_one(
    scene: &Scene,
    run: &Run<'_>,
    point: (&str, &str, &str),
    expected: &BTreeMap<String, usize>,
    all: usize,
) {
    let (call, path, errno) = point;
    // A call that was interrupted is made again.
    let when = if matches!(errno, "EINTR" | "EAGAIN") {
        ":when=1"
    } else {
        ""
    };
    let options = [
        "-o",
        "/dev/null",
        "-P",
        path,
        "-e",
        &format!("trace={call}"),
        "-e",
        &format!("inject={call}:error={errno}{when}"),
    ];
    let failed = traced(scene, run, &options.map(str::to_owned));
    let code = failed.status.code().unwrap_or(-1);
    let text = &failed.stderr;
    assert!(
        statuses(run.program).contains(&code),
        "status {code}: {text}"
    );
    let prefix = format!("{}: ", run.program);
    assert!(text.lines().all(|line| line.starts_with(&prefix)), "{text}");
    assert!(
        code == 0 || !text.is_empty(),
        "status {code} and not a word"
    );
    let leftovers = invariants::check(scene);
    assert!(
        call.starts_with("unlink") || leftovers.is_empty(),
        "{leftovers:?}"
    );
    // Without a file that was not there all along, another end is right.
    let is_another = errno == "ENOENT" && !is_message(path);
    // What has gone, or is taken by what is not there, was done by another run.
    if code == 0 && text.is_empty() && !matches!(errno, "ENOENT" | "EEXIST") {
        compare(&work(scene), expected, "0, and not a word");
    }
    // Without descriptors or memory nothing can be read.
    let is_of_all = matches!(errno, "EMFILE" | "ENFILE" | "ENOMEM");
    if path.ends_with(".parcel") && matches!(call, "openat" | "read" | "pread64") && !is_of_all {
        let done = (run.done)(scene, &failed);
        assert!(
            done + 1 >= all,
            "{done} of {all} are done, by status {code}: {text}"
        );
    }
    let again = scene.run(run.program, run.args, run.now);
    let text = format!(
        "after {code}: {text}\nand again: {:?}: {}",
        again.status.code(),
        again.stderr
    );
    assert!(matches!(again.status.code(), Some(0 | 82)), "{text}");
    invariants::check(scene);
    if !is_another {
        compare(&work(scene), expected, &text);
    }
    // A message that has gone needs nothing.
    if errno != "ENOENT" {
        (run.proof)(scene);
    }
}

/// Whether a path is that of a message.
fn is_message(path: &str) -> bool {
    let kinds = ["parcel", "cargo", "cca", "pca", "rotation", "pdd"];
    kinds.iter().any(|kind| path.ends_with(&format!(".{kind}")))
}

fn contents(scene: &Scene, _: &Outcome) -> usize {
    scene.results().len()
}

fn put_more(scene: &Scene, node: &str) {
    let args = ["-q", "-N", node, "in/second.parcel", "in/long.parcel"];
    scene.run("relay-put", &args, SECOND).expect(0);
}

fn more_arrived(scene: &Scene) {
    put_more(scene, "alice");
    scene
        .run("relay-route", &["-q", "-N", "alice"], SECOND)
        .expect(0);
}

#[test]
fn route() {
    refuse(
        "route",
        &Run {
            program: "relay-route",
            args: &["-q", "-N", "hub"],
            now: SECOND,
            nodes: &["queued/hub"],
            dirs: &[],
            before: |scene| put_more(scene, "hub"),
            done: |scene, _| {
                let out = format!("hub/spool/out/{}", scene.world().id("field"));
                scene
                    .files(&out)
                    .iter()
                    .filter(|path| path.ends_with(".parcel"))
                    .count()
            },
            proof: |_| {},
        },
    );
}

#[test]
fn deliver() {
    for (name, args, dirs) in [
        (
            "deliver --dir",
            &["-q", "-N", "alice", "--dir", "out", "--keep-name"][..],
            &[][..],
        ),
        (
            "deliver --maildir",
            &["-q", "-N", "alice", "--maildir", "out"],
            &["out/tmp", "out/new", "out/cur"],
        ),
        (
            "deliver -- COMMAND",
            &[
                "-q",
                "-N",
                "alice",
                "--",
                "/bin/sh",
                "-c",
                "/bin/cat > out/$RELAY_ID",
            ],
            &[],
        ),
    ] {
        refuse(
            name,
            &Run {
                program: "relay-deliver",
                args,
                now: SECOND,
                nodes: &["arrived/alice"],
                dirs,
                before: more_arrived,
                done: contents,
                proof: |_| {},
            },
        );
    }
}

#[test]
fn open() {
    refuse(
        "open -d",
        &Run {
            program: "relay-open",
            args: &[
                "-q",
                "-N",
                "alice",
                "-d",
                "out",
                "tmp/1.parcel",
                "tmp/2.parcel",
                "tmp/3.parcel",
            ],
            now: SECOND,
            nodes: &["friends/alice"],
            dirs: &[],
            before: three_files,
            done: contents,
            proof: |_| {},
        },
    );
}

#[test]
fn put() {
    refuse(
        "put",
        &Run {
            program: "relay-put",
            args: &[
                "-q",
                "-N",
                "hub",
                "tmp/1.parcel",
                "tmp/2.parcel",
                "tmp/3.parcel",
            ],
            now: SECOND,
            nodes: &["gateways/hub"],
            dirs: &[],
            before: three_files,
            done: |scene, _| {
                let queue = scene.files("hub/spool/in");
                queue
                    .iter()
                    .filter(|path| path.ends_with(".parcel"))
                    .count()
            },
            proof: |_| {},
        },
    );
}

fn three_files(scene: &Scene) {
    for (at, name) in [(1, "first"), (2, "second"), (3, "long")] {
        let octets = fs::read(scene.path(&format!("in/{name}.parcel"))).unwrap();
        scene.keep(&format!("{at}.parcel"), &octets);
    }
}

/// For those of which only the end counts.
fn none(_: &Scene, _: &Outcome) -> usize {
    0
}

#[test]
fn sync() {
    for (name, args, nodes) in [
        (
            "sync, taking",
            &["-q", "-N", "field", "stick"],
            &["asked/field", "laden/stick"],
        ),
        (
            "sync, giving",
            &["-q", "-N", "field", "stick"],
            &["outgoing/field", "blank/stick"],
        ),
        (
            "sync, answering",
            &["-q", "-N", "hub", "stick"],
            &["routed/hub", "given/stick"],
        ),
    ] {
        refuse(
            name,
            &Run {
                program: "relay-sync",
                args,
                now: SECOND,
                nodes,
                dirs: &[],
                before: |_| {},
                done: none,
                proof: |_| {},
            },
        );
    }
}

#[test]
fn carry() {
    for (name, args) in [
        ("carry", &["-q", "stick", "blue"][..]),
        ("carry --move", &["-q", "--move", "stick", "blue"]),
    ] {
        let nodes = &["both/stick", "both/blue"];
        refuse(
            name,
            &Run {
                program: "relay-carry",
                args,
                now: SECOND,
                nodes,
                dirs: &[],
                before: |_| {},
                done: none,
                proof: |_| {},
            },
        );
    }
}

#[test]
fn join() {
    let args = &["-q", "--remove", "-d", "out", "box"];
    let nodes = &["parts/box"];
    refuse(
        "join",
        &Run {
            program: "relay-join",
            args,
            now: SECOND,
            nodes,
            dirs: &[],
            before: |_| {},
            done: none,
            proof: |_| {},
        },
    );
}

#[test]
fn purge() {
    for (name, args, nodes, proof) in [
        (
            "purge",
            &["-N", "field"],
            &["worn/field"],
            (|_| {}) as fn(&Scene),
        ),
        (
            "purge, with a message at home",
            &["-N", "alice"],
            &["worn/alice"],
            waiting_can_be_opened,
        ),
    ] {
        refuse(
            name,
            &Run {
                program: "relay-purge",
                args,
                now: LATE,
                nodes,
                dirs: &[],
                before: |_| {},
                done: none,
                proof,
            },
        );
    }
}

/// A session key that was removed because the message that names it could not be read cost the message.
fn waiting_can_be_opened(scene: &Scene) {
    let home = scene.files("alice/spool/home");
    let waiting = home.iter().find(|path| path.ends_with(".parcel")).unwrap();
    let opened = scene.run("relay-open", &["-q", "-N", "alice", waiting], LATE);
    opened.expect(0);
    assert_eq!(opened.stdout, CONTENT, "{}", opened.stderr);
}
