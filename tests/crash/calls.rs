//! No change of the file system bypasses the traced steps: the system calls of a run, as strace(1) sees
//! them, are its trace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::law::Step;
use super::scene::{CONTENT, FIRST, SECOND, Scene, World, is_in_temporary, is_temporary, program};

/// The calls that change files or names, or sync them. `?` lets strace pass over one that it does not know.
const CALLS: &str = "?open,?openat,?openat2,?creat,?write,?writev,?pwrite64,?pwritev,?pwritev2,?sendfile,\
    ?copy_file_range,?splice,?fsync,?fdatasync,?sync,?syncfs,?sync_file_range,?rename,?renameat,?renameat2,\
    ?link,?linkat,?symlink,?symlinkat,?unlink,?unlinkat,?mkdir,?mkdirat,?rmdir,?mknod,?mknodat,?truncate,\
    ?ftruncate,?fallocate,?chmod,?fchmod,?fchmodat,?fchmodat2,?chown,?fchown,?lchown,?fchownat,?utime,\
    ?utimes,?utimensat,?futimesat,?setxattr,?lsetxattr,?fsetxattr,?removexattr,?io_uring_setup";

/// A call as strace prints it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: String,
    result: String,
    pub(crate) failed: bool,
}

/// Reads `PID name(arguments) = result`.
pub(crate) fn parse(line: &str) -> Option<Call> {
    let line = line.trim_start_matches(|character: char| character.is_ascii_digit());
    let (name, rest) = line.trim_start().split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    Some(Call {
        name: name.to_owned(),
        arguments: arguments.trim_end().trim_end_matches(')').to_owned(),
        result: result.trim().to_owned(),
        failed: result.trim_start().starts_with('-'),
    })
}

/// The paths in quotes, each from the directory whose descriptor is before it. Nothing that the tests make needs
/// escapes.
pub(crate) fn quoted(arguments: &str) -> Vec<PathBuf> {
    let parts: Vec<&str> = arguments.split('"').collect();
    let named = parts.chunks_exact(2).map(|part| {
        let before = part[0].trim_end().trim_end_matches(',');
        let dir = before.rsplit_once('<').map(|(_, dir)| dir);
        let dir = dir.and_then(|dir| dir.strip_suffix('>'));
        Path::new(dir.unwrap_or_default()).join(part[1])
    });
    named.collect()
}

/// The file behind the first descriptor, as `-y` shows it: `3</tmp/x>`.
pub(crate) fn described(arguments: &str) -> (&str, &str) {
    let (descriptor, rest) = arguments.split_once('<').unwrap_or((arguments, ""));
    let (path, _) = rest.split_once('>').unwrap_or((rest, ""));
    (descriptor, path)
}

/// Files without a name that a run made: descriptor, path as strace shows it, and path in the trace.
type Unnamed = Vec<(String, PathBuf, PathBuf)>;

/// The traced step that a call belongs to; `None` if it changes nothing.
fn step_of(call: &Call, scene: &Scene, trace: &Path, unnamed: &mut Unnamed) -> Option<Step> {
    let (descriptor, file) = described(&call.arguments);
    let mut file = Path::new(file);
    let step = |op: &str, paths: &[PathBuf]| {
        let paths = paths.iter().map(|path| scene.relative(path));
        Some(Step {
            op: op.to_owned(),
            paths: paths.collect(),
        })
    };
    if call.arguments.contains("O_TMPFILE") {
        let dir = quoted(&call.arguments).into_iter().next()?;
        let label = dir.join(format!(".relay-{}.tmp", unnamed.len()));
        let (descriptor, shown) = described(&call.result);
        unnamed.push((descriptor.to_owned(), shown.into(), label.clone()));
        return step("create", &[label]);
    }
    if let Some((_, _, label)) = unnamed.iter().find(|(_, shown, _)| shown == file) {
        file = label;
    }
    let named = |path: PathBuf| {
        let descriptor = path.strip_prefix("/proc/self/fd").ok();
        let mut opened = unnamed.iter().rev();
        let opened = opened.find(|(it, ..)| descriptor == Some(Path::new(it)));
        opened.map_or(path.clone(), |(_, _, label)| label.clone())
    };
    let whole = &[file.to_owned()];
    match call.name.as_str() {
        "open" | "openat" => {
            let path = quoted(&call.arguments).into_iter().next()?;
            if path == trace {
                return None;
            }
            assert!(!call.arguments.contains("O_TRUNC"), "{call:?}");
            let changes = call.arguments.contains("O_CREAT") && !call.failed;
            let is_lock = path.to_str().unwrap().contains("/lock/");
            changes
                .then(|| step(if is_lock { "lock" } else { "create" }, &[path]))
                .flatten()
        }
        "write" | "writev" if file == trace || descriptor == "2" => None,
        "write" | "writev" if descriptor == "1" => step("emit", &["-".into()]),
        "write" | "writev" if whole[0].to_str().unwrap().contains("/seen/") => {
            step("append", whole)
        }
        "write" | "writev" | "pwrite64" => step("write", whole),
        "fsync" | "fdatasync" if file.is_dir() => step("syncdir", whole),
        "fsync" | "fdatasync" => step("sync", whole),
        "rename" | "renameat" | "renameat2" => step("rename", &quoted(&call.arguments)),
        "link" | "linkat" => {
            let paths: Vec<_> = quoted(&call.arguments).into_iter().map(named).collect();
            step("link", &paths)
        }
        "unlink" | "unlinkat" | "rmdir" => step("remove", &quoted(&call.arguments)),
        "mkdir" | "mkdirat" => step("mkdir", &quoted(&call.arguments)),
        "utimensat" => match quoted(&call.arguments).into_iter().next() {
            Some(path) => step("utime", &[path]),
            None => step("utime", whole),
        },
        "ftruncate" => step("truncate", whole),
        "fchmod" => step("chmod", whole),
        "fchown" => step("chown", whole),
        other => Some(Step {
            op: format!("{other}({})", call.arguments),
            paths: Vec::new(),
        }),
    }
}

/// Why strace cannot be used here, if it cannot.
pub(crate) fn missing() -> Option<String> {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-o", "/dev/null", "-e", "trace=?openat", "true"]);
    match strace.stdin(Stdio::null()).output() {
        Err(error) => Some(error.to_string()),
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// Runs a program under strace and compares what it did with what it announced.
fn compare(scene: &Scene, name: &str, args: &[&str], now: &str) {
    let (calls, trace) = (scene.path("tmp/calls"), scene.path("tmp/trace"));
    let _ = fs::remove_file(&trace);
    let plain = scene.command(name, args, now);
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-y", "-s", "0", "-e", &format!("trace={CALLS}")])
        .args(["-e", "signal=none", "-o"])
        .args([calls.as_os_str(), program(name).as_ref()])
        .args(plain.get_args())
        .current_dir(scene.path(""))
        .env("RELAY_FAULT", format!("trace:{}", trace.display()))
        .env("RELAY_NOW", now)
        .stdin(Stdio::null());
    let output = strace.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");

    let text = fs::read_to_string(&calls).unwrap();
    let lines = text.lines().filter(|line| !line.contains("+++"));
    let mut unnamed = Unnamed::new();
    let called = lines.filter_map(|line| {
        let call = parse(line).unwrap_or_else(|| panic!("{line}: not a call"));
        step_of(&call, scene, &trace, &mut unnamed)
    });
    let mut called: Vec<Step> = called.collect();
    // One announced write may take several calls.
    let mut announced = scene.trace();
    for steps in [&mut called, &mut announced] {
        // What was a directory cannot be seen any more when it has got its name.
        let renamed = steps.iter_mut().filter(|step| step.op == "syncdir");
        for step in renamed.filter(|step| is_in_temporary(&step.paths[0])) {
            "sync".clone_into(&mut step.op);
        }
        steps.dedup_by(|next, before| next.writes() && next == before);
    }
    assert_eq!(called, announced, "{name} {args:?}");
    assert!(called.len() > 2, "{called:?}");
}

#[test]
fn no_change_bypasses_the_trace() {
    if let Some(problem) = missing() {
        eprintln!("strace is not used, so nobody looked for changes outside of `disk`: {problem}");
        assert!(std::env::var_os("CI").is_none(), "strace is needed in CI");
        return;
    }
    let scene = World::get().scene(&["friends/alice", "friends/bob"]);
    let seal = [
        "-N",
        "bob",
        "-t",
        "alice",
        "-o",
        "out/parcel",
        "in/report.txt",
    ];
    compare(&scene, "relay-seal", &seal, FIRST);
    let seal = ["-N", "bob", "-t", "alice", "in/report.txt"];
    compare(&scene, "relay-seal", &seal, SECOND);
    let open = ["-N", "alice", "-d", "out", "--keep-name", "out/parcel"];
    compare(&scene, "relay-open", &open, SECOND);
    let open = ["-N", "alice", "in/first.parcel"];
    compare(&scene, "relay-open", &open, SECOND);
    let open = ["-N", "alice", "-d", "out", "--extract", "in/tree.parcel"];
    compare(&scene, "relay-open", &open, SECOND);
    let join = ["-f", "-o", "out/report", "in/report.parts"];
    compare(&scene, "relay-join", &join, SECOND);
    let scene = World::get().scene(&["both/stick", "both/blue"]);
    compare(&scene, "relay-carry", &["stick", "blue"], SECOND);
    let scene = World::get().scene(&["both/stick", "both/blue"]);
    compare(&scene, "relay-carry", &["--move", "stick", "blue"], SECOND);
}

/// Whatever close(2) says, as it may on a network file system that has gone: what was read is read.
#[test]
fn a_directory_that_cannot_be_closed_ends_no_run() {
    if missing().is_some() {
        eprintln!("strace is not used: nothing is known of close(2)");
        return;
    }
    let scene = World::get().scene(&["friends/alice", "friends/bob"]);
    for (name, args) in [
        ("relay-peers", &["-N", "alice"][..]),
        ("relay-seal", &["-N", "bob", "-t", "alice", "in/report.txt"]),
        ("relay-purge", &["-n", "-N", "alice"]),
    ] {
        let plain = scene.command(name, args, FIRST);
        let mut strace = Command::new("strace");
        for dir in ["alice/peers", "alice/seen", "bob/peers", "bob/sessions"] {
            strace.arg("-P").arg(scene.path(dir));
        }
        strace
            .args(["-f", "-o", "/dev/null", "-e", "trace=close"])
            .args(["-e", "inject=close:error=EIO"])
            .arg(program(name))
            .args(plain.get_args())
            .current_dir(scene.path(""))
            .env("RELAY_NOW", FIRST)
            .stdin(Stdio::null());
        let output = strace.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {text}");
    }
}

/// What the kernel says for a file system with neither renames that replace nothing nor hard links.
#[test]
fn results_are_written_where_names_can_only_be_replaced() {
    if let Some(problem) = missing() {
        eprintln!("strace is not used, so no file system says no: {problem}");
        assert!(std::env::var_os("CI").is_none(), "strace is needed in CI");
        return;
    }
    for errno in ["EINVAL", "EPERM", "EOPNOTSUPP", "ENOSYS"] {
        let scene = World::get().scene(&["arrived/alice", "sealed/bob", "alone/carol"]);
        let injected =
            ["renameat2", "link,linkat"].map(|calls| format!("inject={calls}:error={errno}"));
        for command in [
            "seal -q -N bob -t alice -o out/parcel in/report.txt",
            "seal -q -N bob -t alice -d out in/report.txt",
            "export -q -N carol -o out/carol.pub",
            "deliver -q -N alice --dir out --keep-name",
            "join -q -o out/joined in/report.parts",
            "open -q -N alice --again -d out --keep-name in/first.parcel",
            "open -q -N alice -d out --extract in/tree.parcel",
        ] {
            let mut words = command.split(' ');
            let name = &*format!("relay-{}", words.next().unwrap());
            let args = &*words.collect::<Vec<_>>();
            let plain = scene.command(name, args, SECOND);
            let mut strace = Command::new("strace");
            strace
                .args([
                    "-f",
                    "-q",
                    "-o",
                    "/dev/null",
                    "-e",
                    "trace=renameat2,link,linkat",
                ])
                .args(["-e", &injected[0], "-e", &injected[1]])
                .arg(program(name))
                .args(plain.get_args())
                .current_dir(scene.path(""))
                .env("RELAY_NOW", SECOND)
                .stdin(Stdio::null());
            let output = strace.output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{errno}: {name}: {text}");
        }
        assert_eq!(fs::read(scene.path("out/joined")).unwrap(), CONTENT);
        assert_eq!(fs::read(scene.path("out/report.txt")).unwrap(), CONTENT);
        assert_eq!(fs::read(scene.path("out/bob/report.txt")).unwrap(), CONTENT);
        assert_eq!(
            fs::read(scene.path("out/photos/report.txt")).unwrap(),
            CONTENT
        );
        assert_eq!(scene.results().len(), 7);
        assert!(!scene.files("out").iter().any(|path| is_temporary(path)));
    }
}

#[test]
fn calls_are_recognised() {
    let scene = World::get().scene(&[]);
    let root = scene.path("");
    let root = root.to_str().unwrap().trim_end_matches('/');
    let trace = scene.path("tmp/trace");
    let mut unnamed = Unnamed::new();
    let mut step = |line: &str| {
        let call = parse(&line.replace("ROOT", root)).unwrap();
        step_of(&call, &scene, &trace, &mut unnamed)
            .map(|step| format!("{} {}", step.op, step.paths.join(" ")))
    };
    for (line, expected) in [
        (
            "12 openat(AT_FDCWD, \"out/x\", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 3<ROOT/out/x>",
            Some("create out/x"),
        ),
        (
            "12 openat(AT_FDCWD, \"out/x\", O_RDONLY|O_CLOEXEC) = 3<ROOT/out/x>",
            None,
        ),
        (
            "12 openat(AT_FDCWD, \"out/x\", O_WRONLY|O_CREAT, 0666) = -1 EEXIST (File exists)",
            None,
        ),
        (
            "12 write(3<ROOT/out/x>, \"\"..., 9) = 9",
            Some("write out/x"),
        ),
        ("12 write(1<pipe:[7]>, \"\"..., 9) = 9", Some("emit -")),
        ("12 write(2<pipe:[8]>, \"\"..., 9) = 9", None),
        ("12 write(4<ROOT/tmp/trace>, \"\"..., 9) = 9", None),
        ("12 fsync(3<ROOT/out>) = 0", Some("syncdir out")),
        (
            "12 renameat2(AT_FDCWD, \"out/x\", AT_FDCWD, \"ROOT/out/y\", RENAME_NOREPLACE) = 0",
            Some("rename out/x out/y"),
        ),
        (
            "12 renameat(3<ROOT/out>, \"x\", 4<ROOT/in>, \"y\") = 0",
            Some("rename out/x in/y"),
        ),
        (
            "12 unlinkat(3<ROOT/out>, \"x\", 0) = 0",
            Some("remove out/x"),
        ),
        (
            "12 openat(3<ROOT/out>, \"x\", O_RDWR|O_CREAT|O_EXCL, 0666) = 5<ROOT/out/x>",
            Some("create out/x"),
        ),
        (
            "12 openat(AT_FDCWD, \"out\", O_RDWR|O_CLOEXEC|O_TMPFILE, 0666) = 6<ROOT/out/#12>(deleted)",
            Some("create out/.relay-0.tmp"),
        ),
        (
            "12 write(6<ROOT/out/#12>(deleted), \"\"..., 9) = 9",
            Some("write out/.relay-0.tmp"),
        ),
        (
            "12 linkat(AT_FDCWD, \"/proc/self/fd/6\", AT_FDCWD, \"ROOT/out/y\", AT_SYMLINK_FOLLOW) = 0",
            Some("link out/.relay-0.tmp out/y"),
        ),
        (
            "12 chmod(\"out/x\", 0600) = 0",
            Some("chmod(\"out/x\", 0600 "),
        ),
    ] {
        let found = step(line);
        match expected {
            Some(expected) => assert!(
                found.as_deref().is_some_and(|found| {
                    found.trim_end_matches(')').starts_with(expected.trim_end())
                }),
                "{line}: {found:?}"
            ),
            None => assert_eq!(found, None, "{line}"),
        }
    }
}
