//! Stopping and failing a program at each of its steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use super::invariants;
use super::law::{self, Step, Unsynced};
use super::refusals::{documented, is_sampled, statuses};
use super::scene::{Outcome, Scene, World, is_temporary};

/// A case: a command, its initial state, and the checks of its result.
pub(crate) struct Case<'a> {
    /// The name in the table.
    pub(crate) name: &'static str,
    pub(crate) program: &'static str,
    pub(crate) args: &'a [&'a str],
    pub(crate) now: &'static str,
    /// The nodes to start from.
    pub(crate) nodes: &'static [&'static str],
    /// Directories that are there from the beginning.
    pub(crate) dirs: &'static [&'static str],
    /// Beginnings of paths, in the order in which their first publications must come.
    pub(crate) order: &'static [&'static str],
    /// Whether the file system of the results can only create names and replace them.
    pub(crate) is_bare: bool,
    /// The faults that are tried at each step.
    pub(crate) faults: &'static [&'static str],
    /// What may look otherwise after a run that was stopped, by the beginnings of paths: what it did not finish goes
    /// once more, as relay-spool(5) says.
    pub(crate) unfinished: &'static [&'static str],
    /// How many files more than usual a second run may make beside what the first one left: keys and
    /// authorizations that were perhaps handed out already, or messages that perhaps left.
    pub(crate) spare: usize,
    /// Checks what a run left that was stopped or failed, given what it had printed.
    pub(crate) left: fn(&Scene, &[u8]),
    /// The status of the next run, given what the one before left.
    pub(crate) next: fn(&Scene) -> i32,
    /// The option that replaces an existing result.
    pub(crate) force: Option<&'static str>,
    /// Checks that the node works, given all that the runs have printed.
    pub(crate) proof: fn(&Scene, &[Vec<u8>]),
}

/// The result of an undisturbed run.
struct Undisturbed {
    steps: Vec<Step>,
    tree: BTreeMap<String, usize>,
    stdout: String,
}

/// Runs a case undisturbed, then with each fault at each step, and with each other errno that Linux has for it.
pub(crate) fn sweep(case: &Case<'_>) {
    let world = World::get();
    let undisturbed = undisturbed(case, &world);
    let count = undisturbed.steps.len();
    let mut failures = String::new();
    let mut points = 0;
    let mut attempt =
        |fault: &str, at: usize, run: fn(&Case<'_>, &Scene, &Undisturbed, &str, usize)| {
            points += 1;
            let tried = catch_unwind(AssertUnwindSafe(|| {
                run(case, &scene(case, &world), &undisturbed, fault, at);
            }));
            if let Err(panic) = tried {
                let text = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied());
                let step = &undisturbed.steps[at - 1];
                let _ = writeln!(
                    failures,
                    "{fault}:{at} ({} {:?}): {}",
                    step.op,
                    step.paths,
                    text.unwrap_or("?")
                );
            }
        };
    for fault in case.faults.iter().copied() {
        for at in 1..=count {
            // Torn where nothing is written is killed.
            let step = &undisturbed.steps[at - 1];
            if fault == "torn" && !step.writes() {
                continue;
            }
            // Media vanish, and what is not there need not be removed.
            let is_gone = fault == "ENOENT" && step.op == "remove";
            let is_rare = matches!(fault, "EDQUOT" | "EROFS" | "ENOENT");
            let is_everywhere = std::env::var_os("RELAY_ALL_FAULTS").is_some();
            if is_gone || is_rare && !step.is_on_a_medium() && !is_everywhere {
                continue;
            }
            let is_stopped = matches!(fault, "kill" | "torn");
            attempt(fault, at, if is_stopped { stop } else { fail });
        }
    }
    for at in 1..=count {
        for errno in documented(&undisturbed.steps[at - 1].op) {
            let is_done = case.faults.contains(errno);
            if !is_done && is_sampled(&format!("{} {at} {errno}", case.name)) {
                attempt(errno, at, answer);
            }
        }
    }
    record(case.name, count, points);
    assert!(failures.is_empty(), "{}:\n{failures}", case.name);
}

fn scene(case: &Case<'_>, world: &Arc<World>) -> Scene {
    let mut scene = world.scene(case.nodes);
    scene.is_bare = case.is_bare;
    for dir in case.dirs {
        fs::create_dir(scene.path(dir)).unwrap();
    }
    scene
}

fn undisturbed(case: &Case<'_>, world: &Arc<World>) -> Undisturbed {
    let scene = scene(case, world);
    let (outcome, steps) = scene.run_traced(case.program, case.args, case.now);
    outcome.expect(0);
    assert_eq!(outcome.stderr, "");
    assert_eq!(invariants::check(&scene), [""; 0]);
    law::check(&steps).unwrap();
    law::check_order(&steps, case.order).unwrap();
    let undisturbed = Undisturbed {
        tree: scene.tree(),
        stdout: scene.generic_content(&outcome.stdout),
        steps,
    };
    (case.left)(&scene, &outcome.stdout);
    (case.proof)(&scene, &[outcome.stdout]);
    undisturbed
}

/// Kills a run at a step, and repeats it.
fn stop(case: &Case<'_>, scene: &Scene, undisturbed: &Undisturbed, fault: &str, at: usize) {
    let killed = scene.run_under(&format!("{fault}:{at}"), case.program, case.args, case.now);
    assert_eq!(killed.status.signal(), Some(9), "{}", killed.stderr);
    invariants::check(scene);
    (case.left)(scene, &killed.stdout);
    let printed = repeat(case, scene, undisturbed, killed, Some(at), case.unfinished);
    (case.proof)(scene, &printed);
}

/// Fails a run at a step, and repeats it.
fn fail(case: &Case<'_>, scene: &Scene, undisturbed: &Undisturbed, fault: &str, at: usize) {
    let step = &undisturbed.steps[at - 1];
    let failed = scene.run_under(&format!("{fault}:{at}"), case.program, case.args, case.now);
    let leftovers = invariants::check(scene);
    // What is not removed does no harm, and what cannot be set aside may be read once more where it is. Media are
    // tried again where that may help.
    let tries_again = matches!(case.program, "relay-sync" | "relay-carry");
    let may_succeed = match step.op.as_str() {
        "remove" => is_temporary(&step.paths[0]) || step.paths[0].contains("/lock/") || tries_again,
        // Then the files of a new directory are synced one by one.
        "syncfs" => is_temporary(&step.paths[0]),
        // Not every file system has modes.
        "chmod" => is_temporary(&step.paths[0]) && case.is_bare,
        op => op == "scratch" || tries_again,
    };
    let code = failed.status.code().unwrap_or(-1);
    // What finds no room on a medium waits.
    let waits = code == 0
        && match fault {
            "ENOSPC" | "EDQUOT" => step.is_on_a_medium() && scene.tree() != undisturbed.tree,
            _ => false,
        };
    if code == 0 && !waits {
        assert!(may_succeed, "status 0");
        assert_eq!(failed.stderr, "");
        assert_eq!(scene.generic_content(&failed.stdout), undisturbed.stdout);
        compare(&scene.tree(), &undisturbed.tree, 0, &[]);
        (case.proof)(scene, &[failed.stdout]);
        return;
    }
    let may_be = match step.op.as_str() {
        "create" | "mkdir" if step.is_outside() => &[74, 73][..],
        // A file that gets no name is one that cannot be created.
        "link" | "rename" if step.is_outside() && matches!(fault, "EROFS" | "ENOENT") => &[74, 73],
        _ if waits => &[0],
        // A name that cannot be taken is one that cannot be created.
        "write" if case.is_bare && step.is_outside() => &[74, 73],
        // A node that cannot be written to cannot be used at all.
        _ if matches!(fault, "EROFS" | "ENOENT") && step.is_in_a_node() => &[74, 75, 78],
        // Of several things that did not fail, one did.
        _ if tries_again || matches!(case.program, "relay-route" | "relay-send") => &[74, 75],
        _ => &[74],
    };
    assert!(may_be.contains(&code), "status {code}: {}", failed.stderr);
    let prefix = format!("{}: ", case.program);
    let lines = failed.stderr.lines();
    let most = match case.program {
        _ if tries_again => 4,
        // What became of the operand, and why.
        "relay-send" => 2,
        _ => 1,
    };
    let is_said = (usize::from(code != 0)..=most).contains(&lines.clone().count());
    assert!(
        is_said && lines.clone().all(|line| line.starts_with(&prefix)),
        "not one line: {:?}",
        failed.stderr
    );
    assert_eq!(leftovers, [""; 0]);
    (case.left)(scene, &failed.stdout);
    let printed = repeat(case, scene, undisturbed, failed, None, case.unfinished);
    // What is done about one failure is done about the other.
    if fault == "ENOSPC" {
        (case.proof)(scene, &printed);
    }
}

/// Answers a step with an errno that is none of the usual ones, and repeats the run. A program may have another way, and
/// then does all there is to do. Otherwise it says what failed, and the next run does the rest.
fn answer(case: &Case<'_>, scene: &Scene, undisturbed: &Undisturbed, errno: &str, at: usize) {
    let step = &undisturbed.steps[at - 1];
    let failed = scene.run_under(&format!("{errno}:{at}"), case.program, case.args, case.now);
    let code = failed.status.code().unwrap_or(-1);
    let text = &failed.stderr;
    assert!(
        statuses(case.program).contains(&code),
        "status {code}: {text}"
    );
    let prefix = format!("{}: ", case.program);
    assert!(text.lines().all(|line| line.starts_with(&prefix)), "{text}");
    assert_eq!(code == 0, text.is_empty(), "status {code}: {text}");
    let leftovers = invariants::check(scene);
    assert!(
        step.op == "remove" || leftovers.is_empty(),
        "status {code}: {text}{leftovers:?}"
    );
    (case.left)(scene, &failed.stdout);
    if code == 0 {
        assert_eq!(scene.generic_content(&failed.stdout), undisturbed.stdout);
        let (mut found, mut expected) = (scene.tree(), undisturbed.tree.clone());
        // A name that is refused is another one; where a placeholder takes it, writing that is naming.
        let names = match &*step.op {
            "link" | "rename" | "create" => true,
            "write" => case.is_bare,
            _ => false,
        };
        if step.is_outside() && names {
            (found, expected) = (without_names(found), without_names(expected));
        }
        compare(&found, &expected, 0, &[]);
        (case.proof)(scene, &[failed.stdout]);
        return;
    }
    // What was taken and not remembered is taken again, and acknowledged once more.
    let again: &[&str] = match case.program {
        "relay-sync" => &[
            "hub/spool/acks/",
            "field/spool/acks/",
            "hub/seen/",
            "field/seen/",
        ],
        _ => &[],
    };
    let unfinished = [case.unfinished, again].concat();
    let printed = repeat(case, scene, undisturbed, failed, None, &unfinished);
    (case.proof)(scene, &printed);
}

/// A tree in which the names of results do not count.
fn without_names(tree: BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    let mut unnamed = BTreeMap::new();
    for (line, count) in tree {
        let line = match line.split_once(' ') {
            Some((path, content)) if path.starts_with("out/") => format!("out {content}"),
            _ => line,
        };
        *unnamed.entry(line).or_default() += count;
    }
    unnamed
}

/// Runs the command once more after a stopped run. Returns all that was printed.
fn repeat(
    case: &Case<'_>,
    scene: &Scene,
    undisturbed: &Undisturbed,
    before: Outcome,
    killed_at: Option<usize>,
    unfinished: &[&str],
) -> Vec<Vec<u8>> {
    let expected = (case.next)(scene);
    // A name that is only taken is nothing that the next run relies on.
    let killed_at = killed_at.filter(|_| !scene.has_taken_names());
    let (again, steps) = scene.run_traced(case.program, case.args, case.now);
    assert_eq!(
        again.status.code(),
        Some(expected),
        "repeated: {}",
        again.stderr
    );
    invariants::check(scene);
    if expected == 0 {
        assert_eq!(
            again.stderr, "",
            "what is said when all goes well the second time"
        );
        if case.program == "relay-send" {
            // What the first run printed, and let go, is not printed once more.
            let printed = [whole_lines(&before.stdout), whole_lines(&again.stdout)];
            let printed = printed.map(|lines| scene.generic_content(lines));
            let said = |text: &String| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
            let printed = printed.iter().filter(|text| *text != "\"\"").flat_map(said);
            assert_eq!(printed.collect::<BTreeSet<_>>(), said(&undisturbed.stdout));
        } else {
            assert_eq!(scene.generic_content(&again.stdout), undisturbed.stdout);
        }
        if let Some(at) = killed_at {
            check_synced(case, scene, &undisturbed.steps[..at - 1], &steps);
        }
    }
    let mut printed = vec![before.stdout, again.stdout];
    if let (73, Some(force)) = (expected, case.force) {
        let mut args = case.args.to_vec();
        args.push(force);
        let forced = scene.run(case.program, &args, case.now);
        assert!(
            matches!(forced.status.code(), Some(0 | 82)),
            "with {force}: {}",
            forced.stderr
        );
        printed.push(forced.stdout);
    }
    compare(&scene.tree(), &undisturbed.tree, case.spare, unfinished);
    printed
}

/// What is printed up to the end of the last line.
fn whole_lines(printed: &[u8]) -> &[u8] {
    let end = printed.iter().rposition(|octet| *octet == b'\n');
    &printed[..end.map_or(0, |at| at + 1)]
}

/// Checks the trace of a run against the law, given what an earlier run had not synced when it was killed. The content of a message relies on nothing that an earlier run did.
fn check_synced(case: &Case<'_>, scene: &Scene, before: &[Step], steps: &[Step]) {
    let mut left = Unsynced::default();
    // A part that comes back after its content is known not to be needed.
    let counts = |step: &&Step| case.program != "relay-join" || step.op != "remove";
    for step in before.iter().filter(counts) {
        left.step(step).unwrap();
    }
    left.survive_kill();
    let left = left.renamed(|path| scene.generic(path));
    let generic = |step: &Step| Step {
        op: step.op.clone(),
        paths: step.paths.iter().map(|path| scene.generic(path)).collect(),
    };
    let relies = |step: &&Step| match case.program {
        "relay-open" => step.op != "emit",
        // Its file is tried to be named anew, and is the same.
        "relay-unpack-cargo" => !(matches!(&*step.op, "rename" | "link") && step.is_outside()),
        _ => true,
    };
    let steps: Vec<Step> = steps.iter().filter(relies).map(generic).collect();
    law::check_after(left, &steps).unwrap();
}

/// What the system may answer beside [`sweep`]'s, when a directory is not writable, not there or on another file
/// system, or a limit is reached.
const ERRNOS: [&str; 8] = [
    "EACCES", "EDQUOT", "EEXIST", "EMFILE", "ENOENT", "EPERM", "EROFS", "EXDEV",
];

/// Fails a run in each other way at each step. Whatever it says of that, the next run leaves all that there was
/// to get, and it is remembered only then.
pub(crate) fn sweep_errnos(case: &Case<'_>) {
    let world = World::get();
    let count = undisturbed(case, &world).steps.len();
    let mut failures = String::new();
    for errno in ERRNOS {
        for at in 1..=count {
            let tried = catch_unwind(AssertUnwindSafe(|| {
                let scene = world.scene(case.nodes);
                let fault = format!("{errno}:{at}");
                let failed = scene.run_under(&fault, case.program, case.args, case.now);
                invariants::check(&scene);
                (case.left)(&scene, &failed.stdout);
                let again = scene.run(case.program, case.args, case.now);
                if failed.status.success() {
                    // What could not be looked at under one name was written under another.
                    assert_eq!(again.status.code(), Some(82), "{}", again.stderr);
                } else {
                    assert_eq!(failed.stderr.lines().count(), 1, "{}", failed.stderr);
                }
                (case.proof)(&scene, &[failed.stdout, again.stdout]);
            }));
            if let Err(panic) = tried {
                let text = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied());
                let _ = writeln!(failures, "{errno}:{at}: {}", text.unwrap_or("?"));
            }
        }
    }
    assert!(failures.is_empty(), "{}:\n{failures}", case.name);
}

/// Compares what runs left, `spare` more of what is there anyway being allowed, and anything that is `unfinished`. A run
/// that is killed may leave the file of a lock that it would have removed: it holds nothing, and the next run takes it.
fn compare(
    found: &BTreeMap<String, usize>,
    expected: &BTreeMap<String, usize>,
    spare: usize,
    unfinished: &[&str],
) {
    let mut differences = String::new();
    let is_finished = |line: &String| !unfinished.iter().any(|start| line.starts_with(start));
    for (line, count) in expected.iter().filter(|(line, _)| is_finished(line)) {
        let found = found.get(line).copied().unwrap_or(0);
        if !(*count..=*count + spare).contains(&found) {
            let _ = writeln!(differences, "  {found} for {count}: {line}");
        }
    }
    let is_claim = |line: &String| line.contains("/lock/open.");
    let others = found
        .keys()
        .filter(|line| !expected.contains_key(*line) && !is_claim(line));
    for line in others.filter(|line| is_finished(line)) {
        let _ = writeln!(differences, "  not expected: {line}");
    }
    assert!(differences.is_empty(), "another tree:\n{differences}");
}

/// The steps and tried points of each case so far.
static TABLE: Mutex<Vec<(&str, usize, usize)>> = Mutex::new(Vec::new());

/// Records a case; the last one prints the table.
fn record(name: &'static str, steps: usize, points: usize) {
    let mut table = TABLE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    table.push((name, steps, points));
    if table.len() < super::programs::CASES {
        return;
    }
    table.sort_unstable();
    let mut text = format!("{:<52} {:>5} {:>6}\n", "program", "kills", "faults");
    for (name, steps, points) in table.iter() {
        let _ = writeln!(text, "{name:<52} {steps:>5} {points:>6}");
    }
    let (steps, points) = table
        .iter()
        .fold((0, 0), |sum, row| (sum.0 + row.1, sum.1 + row.2));
    let _ = writeln!(text, "{:<52} {steps:>5} {points:>6}", "sum");
    println!("{text}");
}
