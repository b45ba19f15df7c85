//! Fault injection for tests: each change of the file system is announced here, immediately before
//! it is made, and can be made to fail there.
//!
//! A program without `debug_assertions` contains none of this.

use std::io::{self, IoSlice, Write};
use std::path::Path;

use rustix::io::Errno;

use super::{Error, FileRole, Operation, Result};

/// Plans one fault for the rest of this process. Steps count from 1.
///
/// - `trace:FILE` appends a line for each step: its [`Operation::traced`] and its paths, separated
///   by tabs.
/// - `kill:N` kills this process, with SIGKILL, immediately before step N.
/// - `torn:N` writes half of the octets of step N, then kills; where nothing is written it just
///   kills.
/// - `ENOSPC:N` (or another errno's name) fails step N alone.
/// - `EINVAL=TEXT` (or another) fails each rename or link to a name with `TEXT` in it, as a file
///   system does that has no such names.
/// - `bare=TEXT` makes the file system of paths with `TEXT` in them one with neither renames that
///   replace nothing, nor hard links, nor files without a name. `bare=TEXT+PLAN` also plans one of
///   the faults above.
///
/// # Errors
///
/// A text: what is wrong with `spec`, or that this program was built without `debug_assertions`.
pub fn arm(spec: &str) -> std::result::Result<(), String> {
    #[cfg(debug_assertions)]
    return armed::arm(spec);
    #[cfg(not(debug_assertions))]
    Err(format!("{spec}: this program was built without faults"))
}

/// Announces one change of `paths` (two for a rename or link: old, new), which the caller makes
/// next.
#[cfg_attr(not(debug_assertions), allow(clippy::unnecessary_wraps))]
pub(super) fn step(operation: Operation, paths: &[&Path]) -> io::Result<()> {
    #[cfg(debug_assertions)]
    if armed::step(operation, paths)? == armed::FaultOutcome::Tear {
        armed::die();
    }
    #[cfg(not(debug_assertions))]
    let _ = (operation, paths);
    Ok(())
}

/// Fails with `errno` what a bare file system cannot do to a path.
#[cfg_attr(not(debug_assertions), allow(clippy::unnecessary_wraps))]
pub(super) fn bare(path: &Path, errno: Errno) -> std::result::Result<(), Errno> {
    #[cfg(debug_assertions)]
    if armed::is_bare(path) {
        return Err(errno);
    }
    #[cfg(not(debug_assertions))]
    let _ = (path, errno);
    Ok(())
}

/// Announces one change of `paths` and makes it; an error of either names `path`.
pub(super) fn change<T>(
    operation: Operation,
    paths: &[&Path],
    path: &Path,
    role: FileRole,
    make: impl FnOnce() -> io::Result<T>,
) -> Result<T> {
    step(operation, paths)
        .and_then(|()| make())
        .map_err(Error::io(path, role, operation))
}

/// Maximum octets in one write(2). For more, a file system allocates large pieces of page cache. In
/// a virtual machine these may have been given back to the host, and each has to be waited for.
const AT_ONCE: usize = 256 * 1024;

/// Announces the write, then writes all `parts` to `out`.
pub(super) fn write(
    operation: Operation,
    path: &Path,
    out: &mut impl Write,
    parts: &[&[u8]],
) -> io::Result<()> {
    #[cfg(debug_assertions)]
    if armed::step(operation, &[path])? == armed::FaultOutcome::Tear {
        armed::tear(out, parts);
    }
    #[cfg(not(debug_assertions))]
    let _ = (operation, path);
    // Parts are split where a write ends, so that whole slices make up each write.
    let mut slices = Vec::new();
    let mut room = AT_ONCE;
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(room.min(rest.len()));
            slices.push(IoSlice::new(piece));
            rest = behind;
            room = match room - piece.len() {
                0 => AT_ONCE,
                room => room,
            };
        }
    }
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        let mut len = 0;
        let fits = rest.iter().take_while(|slice| {
            len += slice.len();
            len <= AT_ONCE
        });
        let count = fits.count();
        match out.write_vectored(&rest[..count]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            // A write may be short: continue with the rest.
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Discards the plan of this thread's test.
#[cfg(all(test, debug_assertions))]
pub(crate) fn disarm() {
    armed::with_plan(|plan| *plan = armed::FaultPlan::default());
}

#[cfg(debug_assertions)]
mod armed {
    use std::fs::{File, OpenOptions};
    use std::io::{self, Write};
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::Path;

    use rustix::io::Errno;
    use rustix::process::{Signal, getpid, kill_process};

    use super::Operation;

    /// What is planned for this process.
    #[derive(Default)]
    pub(super) struct FaultPlan {
        bare: Option<String>,
        fault: Option<Fault>,
    }

    enum Fault {
        Trace(File),
        At { step: u64, seen: u64, act: Act },
        Named { text: String, errno: Errno },
    }

    #[derive(Clone, Copy)]
    pub(super) enum Act {
        Kill,
        Tear,
        Fail(Errno),
    }

    #[derive(PartialEq)]
    pub(super) enum FaultOutcome {
        Go,
        Tear,
    }

    const ERRNOS: [(&str, Errno); 32] = [
        ("EACCES", Errno::ACCESS),
        ("EAGAIN", Errno::AGAIN),
        ("EBUSY", Errno::BUSY),
        ("EDQUOT", Errno::DQUOT),
        ("EEXIST", Errno::EXIST),
        ("EFBIG", Errno::FBIG),
        ("EILSEQ", Errno::ILSEQ),
        ("EINTR", Errno::INTR),
        ("EINVAL", Errno::INVAL),
        ("EIO", Errno::IO),
        ("EISDIR", Errno::ISDIR),
        ("ELOOP", Errno::LOOP),
        ("EMFILE", Errno::MFILE),
        ("EMLINK", Errno::MLINK),
        ("ENAMETOOLONG", Errno::NAMETOOLONG),
        ("ENFILE", Errno::NFILE),
        ("ENODEV", Errno::NODEV),
        ("ENOENT", Errno::NOENT),
        ("ENOLCK", Errno::NOLCK),
        ("ENOMEM", Errno::NOMEM),
        ("ENOSPC", Errno::NOSPC),
        ("ENOSYS", Errno::NOSYS),
        ("ENOTDIR", Errno::NOTDIR),
        ("ENOTEMPTY", Errno::NOTEMPTY),
        ("EOPNOTSUPP", Errno::OPNOTSUPP),
        ("EOVERFLOW", Errno::OVERFLOW),
        ("EPERM", Errno::PERM),
        ("EPIPE", Errno::PIPE),
        ("EROFS", Errno::ROFS),
        ("ESTALE", Errno::STALE),
        ("ETXTBSY", Errno::TXTBSY),
        ("EXDEV", Errno::XDEV),
    ];

    #[cfg(not(test))]
    pub(super) fn with_plan<T>(change: impl FnOnce(&mut FaultPlan) -> T) -> T {
        static PLAN: std::sync::Mutex<FaultPlan> = std::sync::Mutex::new(FaultPlan {
            bare: None,
            fault: None,
        });
        change(&mut crate::pipeline::mutex::lock(&PLAN))
    }

    // Unit tests share a process, so each has a plan of its own.
    #[cfg(test)]
    pub(super) fn with_plan<T>(change: impl FnOnce(&mut FaultPlan) -> T) -> T {
        thread_local! {
            static PLAN: std::cell::RefCell<FaultPlan> = std::cell::RefCell::default();
        }
        PLAN.with_borrow_mut(change)
    }

    fn errno(name: &str) -> Result<Errno, String> {
        let known = ERRNOS.iter().find(|(known, _)| *known == name);
        known
            .map(|(_, errno)| *errno)
            .ok_or_else(|| format!("{name}: not a fault"))
    }

    pub(super) fn is_bare(path: &Path) -> bool {
        let is_in = |text: &String| path.to_string_lossy().contains(&**text);
        with_plan(|plan| plan.bare.as_ref().is_some_and(is_in))
    }

    pub(super) fn arm(spec: &str) -> Result<(), String> {
        let (bare, rest) = match spec.strip_prefix("bare=") {
            Some(rest) => match rest.split_once('+') {
                Some((text, rest)) => (Some(text.to_owned()), Some(rest)),
                None => (Some(rest.to_owned()), None),
            },
            None => (None, Some(spec)),
        };
        let fault = rest.map(fault).transpose()?;
        with_plan(|plan| *plan = FaultPlan { bare, fault });
        Ok(())
    }

    fn fault(spec: &str) -> Result<Fault, String> {
        if let Some((name, text)) = spec.split_once('=') {
            let errno = errno(name)?;
            let text = text.to_owned();
            return Ok(Fault::Named { text, errno });
        }
        let (what, argument) = spec
            .split_once(':')
            .ok_or_else(|| format!("{spec}: not WHAT:ARGUMENT"))?;
        if what == "trace" {
            let file = OpenOptions::new().append(true).create(true).open(argument);
            let file = file.map_err(|error| format!("{argument}: {error}"))?;
            Ok(Fault::Trace(file))
        } else {
            let act = match what {
                "kill" => Act::Kill,
                "torn" => Act::Tear,
                name => Act::Fail(errno(name)?),
            };
            match argument.parse() {
                Ok(step) if step > 0 => Ok(Fault::At { step, seen: 0, act }),
                _ => Err(format!("{argument}: not the number of a step")),
            }
        }
    }

    pub(super) fn step(operation: Operation, paths: &[&Path]) -> io::Result<FaultOutcome> {
        with_plan(|plan| match &mut plan.fault {
            None => Ok(FaultOutcome::Go),
            Some(Fault::Trace(file)) => {
                let mut line = operation.traced().as_bytes().to_vec();
                for path in paths {
                    line.push(b'\t');
                    line.extend_from_slice(path.as_os_str().as_bytes());
                }
                line.push(b'\n');
                file.write_all(&line)?;
                Ok(FaultOutcome::Go)
            }
            Some(Fault::Named { text, errno }) => {
                let name = paths.last().and_then(|path| path.file_name());
                let is_it = name.is_some_and(|name| name.to_string_lossy().contains(&**text));
                if is_it && matches!(operation, Operation::Rename | Operation::Link) {
                    return Err((*errno).into());
                }
                Ok(FaultOutcome::Go)
            }
            Some(Fault::At { step, seen, act }) => {
                *seen += 1;
                match act {
                    _ if seen != step => Ok(FaultOutcome::Go),
                    Act::Kill => die(),
                    Act::Tear => Ok(FaultOutcome::Tear),
                    Act::Fail(errno) => Err((*errno).into()),
                }
            }
        })
    }

    pub(super) fn tear(out: &mut impl Write, parts: &[&[u8]]) -> ! {
        // Half of everything, so that the tear may be inside any part.
        let mut left = parts.iter().map(|part| part.len()).sum::<usize>() / 2;
        for part in parts {
            let half = &part[..left.min(part.len())];
            left -= half.len();
            if out.write_all(half).is_err() {
                break;
            }
        }
        let _ = out.flush();
        die()
    }

    pub(super) fn die() -> ! {
        let _ = kill_process(getpid(), Signal::KILL);
        loop {
            std::thread::park(); // never returns from the signal, but the compiler cannot know
        }
    }
}

#[cfg(test)]
#[cfg(debug_assertions)]
mod tests {
    use std::fs;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use super::*;
    use crate::disk::names::TEMPORARY_PREFIX;
    use crate::disk::publish::publish;
    use crate::disk::records::append_record;
    use crate::disk::remove::remove;
    use crate::disk::testdir::mode;
    use crate::disk::{FileRole, IfExists, PublishOptions, tree};

    /// For a file that has a temporary name meanwhile.
    fn options() -> PublishOptions<'static> {
        PublishOptions::stored(FileRole::Output, IfExists::Refuse)
    }

    #[test]
    fn specs_are_checked() {
        for spec in [
            "",
            "kill",
            "kill:",
            "kill:0",
            "kill:x",
            "ENOPE:1",
            "trace:/nonexistent/file",
            "bare",
            "bare=+",
            "bare=x+kill",
        ] {
            assert!(arm(spec).is_err(), "{spec}");
        }
    }

    #[test]
    fn a_failing_step_is_reported_and_leaves_nothing() {
        // create, write, sync, rename, syncdir: when the last one fails, the file has its name
        for (step, left) in [(1, 0), (2, 0), (3, 0), (4, 0), (5, 1)] {
            let dir = tempfile::tempdir().unwrap();
            arm(&format!("ENOSPC:{step}")).unwrap();
            let error = publish(&dir.path().join("f"), &[b"octets"], &options()).unwrap_err();
            disarm();
            assert_eq!(error.io_kind(), Some(io::ErrorKind::StorageFull), "{step}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), left, "{step}");
        }
    }

    #[test]
    fn a_file_that_is_not_linked_is_copied() {
        for existing in [IfExists::Refuse, IfExists::Replace] {
            let dir = tempfile::tempdir().unwrap();
            let (path, usual) = (dir.path().join("f"), dir.path().join("usual"));
            fs::write(&usual, b"").unwrap();
            // create, write, sync, link
            arm("EPERM:4").unwrap();
            publish(&path, &[b"oct", b"ets"], &PublishOptions::output(existing)).unwrap();
            disarm();
            assert_eq!(fs::read(&path).unwrap(), b"octets");
            assert_eq!(mode(&path), mode(&usual));
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        }
    }

    #[test]
    fn a_trace_names_each_step_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let trace = dir.path().join("trace");
        arm(&format!("trace:{}", trace.display())).unwrap();
        publish(&dir.path().join("f"), &[b"octets"], &options()).unwrap();
        remove(&dir.path().join("f"), FileRole::Output).unwrap();
        disarm();
        let text = fs::read_to_string(trace).unwrap();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split('\t').collect())
            .collect();
        let ops: Vec<&str> = lines.iter().map(|line| line[0]).collect();
        assert_eq!(
            ops,
            [
                "create", "write", "sync", "rename", "syncdir", "remove", "syncdir"
            ]
        );
        assert_eq!(lines[3][1], lines[0][1]);
        assert_eq!(lines[3][2], dir.path().join("f").to_str().unwrap());
    }

    /// Runs `child` in another process under `fault`.
    fn killed(fault: &str, dir: &Path) {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "disk::fault::tests::child"])
            .env("DISK_TEST_FAULT", fault)
            .env("DISK_TEST_DIR", dir)
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(9), "{fault}");
    }

    #[test]
    fn child() {
        if let (Some(dir), Ok(fault)) = (
            std::env::var_os("DISK_TEST_DIR"),
            std::env::var("DISK_TEST_FAULT"),
        ) {
            let dir = Path::new(&dir);
            arm(&fault).unwrap();
            publish(&dir.join("f"), &[b"abc", b"def"], &options()).unwrap();
            append_record(&dir.join("seen"), FileRole::Node, b"12345678").unwrap();
        }
    }

    #[test]
    fn a_killed_run_leaves_a_whole_file_or_a_leftover() {
        for step in 1..=8 {
            let dir = tempfile::tempdir().unwrap();
            killed(&format!("kill:{step}"), dir.path());
            let names: Vec<String> = fs::read_dir(dir.path())
                .unwrap()
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect();
            let leftovers = names
                .iter()
                .filter(|name| name.starts_with(TEMPORARY_PREFIX))
                .count();
            assert_eq!(
                leftovers,
                usize::from((2..=4).contains(&step)),
                "{step}: {names:?}"
            );
            assert_eq!(
                fs::read(dir.path().join("f")).ok(),
                (step > 4).then(|| b"abcdef".to_vec()),
                "{step}"
            );
        }
    }

    #[test]
    fn a_torn_write_stops_half_way() {
        let dir = tempfile::tempdir().unwrap();
        killed("torn:2", dir.path());
        let leftover = fs::read_dir(dir.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        assert_eq!(fs::read(leftover).unwrap(), b"abc");
        assert!(
            tree::entries(dir.path(), FileRole::Node)
                .unwrap()
                .entries
                .is_empty()
        );

        let dir = tempfile::tempdir().unwrap();
        killed("torn:7", dir.path());
        assert_eq!(fs::read(dir.path().join("seen")).unwrap(), b"1234");
        append_record(&dir.path().join("seen"), FileRole::Node, b"abcdefgh").unwrap();
        assert_eq!(fs::read(dir.path().join("seen")).unwrap(), b"abcdefgh");
    }
}
