//! The law that every trace keeps, so that a power failure costs no more than a kill:
//!
//! - a file is synced after its last write and before it gets its final name;
//! - the directory of that name is synced before anything relies on it: before octets leave on the
//!   standard output, before something is published elsewhere, before a message is remembered or a node
//!   declared complete, before a file is removed, and before the program ends well.
//!
//! A node directory is one place, a medium another, and everything outside of them a third. Content is thus on disk before the
//! session key of its sender, that before the memory of the message, and our own session key before the
//! message that carries it.

use std::collections::BTreeMap;
use std::path::Path;

use super::scene::{is_in_temporary, is_temporary};

/// A line of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) op: String,
    pub(crate) paths: Vec<String>,
}

impl Step {
    /// Whether octets are written in this step, so that it can be torn.
    pub(crate) fn writes(&self) -> bool {
        matches!(self.op.as_str(), "write" | "append" | "emit")
    }

    /// Whether it is for a file of a node, but not of its spool.
    pub(crate) fn is_in_a_node(&self) -> bool {
        self.paths.last().is_some_and(|path| {
            !matches!(place(path), OUTSIDE | "stick" | "blue") && !path.contains("/spool/")
        })
    }

    /// Whether it is for a file on a medium.
    pub(crate) fn is_on_a_medium(&self) -> bool {
        let path = self.paths.last();
        path.is_some_and(|path| matches!(place(path), "stick" | "blue"))
    }

    /// Whether it is for a file outside of nodes and media.
    pub(crate) fn is_outside(&self) -> bool {
        self.paths.last().is_some_and(|path| place(path) == OUTSIDE)
    }
}

/// What a run has changed and not yet synced.
#[derive(Debug, Default)]
pub(crate) struct Unsynced {
    /// Files with octets that are not synced.
    files: Vec<String>,
    /// Directories with names that are not synced, and what was done to them.
    dirs: BTreeMap<String, String>,
}

/// The place that is no node.
const OUTSIDE: &str = "out";

/// The node or medium that a path is in.
fn place(path: &str) -> &str {
    match path.split('/').next().unwrap_or_default() {
        place @ ("alice" | "bob" | "carol" | "hub" | "field" | "new" | "stick" | "blue")
            if path != place =>
        {
            place
        }
        _ => OUTSIDE,
    }
}

fn parent(path: &str) -> String {
    path.rsplit_once('/')
        .map_or_else(String::new, |(above, _)| above.to_owned())
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Unsynced {
    /// Applies a step. Returns how it breaks the law, if it does.
    pub(crate) fn step(&mut self, step: &Step) -> Result<(), String> {
        let path = step.paths.first().map_or("", String::as_str);
        match (step.op.as_str(), &step.paths[..]) {
            ("create", _) => {
                self.files.push(path.to_owned());
                if !is_temporary(path) {
                    self.changed(path, "creation of");
                }
            }
            ("write" | "truncate", _) => self.written(path),
            ("append", _) => {
                // The file's own name may be as new as its first record.
                let own = parent(path);
                // What is noted of a message relies on its content, not on what the node learned from it.
                let is_note = path.contains("/spool/sent/");
                let here = place(path);
                // A file that comes back is known by what was remembered of it.
                let published = |dir: &str| {
                    let what = self.dirs.get(dir);
                    what.is_some_and(|what| !what.starts_with("removal"))
                };
                let rests = self.rests(
                    |dir| {
                        dir != own
                            && published(dir)
                            && !(is_note && place(&format!("{dir}/x")) == here)
                    },
                    |file| file != path && !(is_note && place(file) == here),
                );
                self.written(path);
                refuse(step, rests)?;
            }
            // A line promises nothing of a message that has no name in a queue yet: another core may write one.
            ("emit", _) => {
                let rests = self.rests(|_| true, |file| !file.contains("/spool/tmp/"));
                refuse(step, rests)?;
            }
            ("sync", _) => self.files.retain(|file| file != path),
            ("syncfs", _) => {
                self.files.clear();
                // The names below that directory, too; others may be on another file system.
                self.dirs.retain(|dir, _| !Path::new(dir).starts_with(path));
            }
            ("syncdir", _) => {
                self.dirs.remove(path);
            }
            ("rename" | "link", [from, to]) => {
                let here = place(to).to_owned();
                let is_declaration = name(to) == "VERSION";
                // A directory gets its name with all that is in it.
                let inside = |path: &str| path == from || path.starts_with(&format!("{from}/"));
                let rests = self.rests(
                    |dir| is_declaration || inside(dir) || place(&format!("{dir}/x")) != here,
                    |file| inside(file) || is_declaration || place(file) != here,
                );
                // What had the name before no longer matters.
                self.files.retain(|file| file != to);
                self.changed(to, "new name");
                if !is_temporary(from) {
                    self.changed(from, "old name");
                }
                refuse(step, rests)?;
            }
            // As a temporary file, it is garbage until it gets another name.
            ("mkdir", _) if is_temporary(path) => {}
            ("mkdir", _) => self.changed(path, "creation of"),
            // The name of a lock need not survive, nor its removal.
            ("remove", [path]) if path.contains("/lock/") => {}
            ("remove", _) if is_in_temporary(path) => {
                self.files.retain(|file| file != path);
                // What a directory lost no longer matters when it is gone itself.
                self.dirs.remove(path);
            }
            ("remove", _) => {
                let published = |unsynced: &Self, dir: &str| {
                    unsynced
                        .dirs
                        .get(dir)
                        .is_some_and(|what| !what.starts_with("removal"))
                };
                let rests = self.rests(|dir| published(self, dir), |file| file != path);
                self.files.retain(|file| file != path);
                self.dirs.remove(path);
                self.changed(path, "removal of");
                refuse(step, rests)?;
            }
            // The name of a lock need not survive, and modes are set before what they protect.
            ("lock" | "chmod" | "chown" | "utime" | "scratch", [_]) => {}
            (op, paths) => return Err(format!("{op} {paths:?}: not a step")),
        }
        Ok(())
    }

    /// Whether a run may report success now.
    fn end(&self) -> Result<(), String> {
        match self.rests(|_| true, |_| true) {
            Some(rest) => Err(format!("the end comes before a sync of {rest}")),
            None => Ok(()),
        }
    }

    /// Forgets unsynced files that a killed run left as garbage.
    pub(crate) fn survive_kill(&mut self) {
        self.files.retain(|file| !is_in_temporary(file));
        self.dirs.retain(|dir, _| !is_in_temporary(dir));
    }

    /// The same with paths rewritten.
    pub(crate) fn renamed(&self, rename: impl Fn(&str) -> String) -> Self {
        let dirs = self.dirs.iter();
        Self {
            files: self.files.iter().map(|file| rename(file)).collect(),
            dirs: dirs
                .map(|(dir, what)| (rename(dir), what.clone()))
                .collect(),
        }
    }

    fn written(&mut self, path: &str) {
        if !self.files.iter().any(|file| file == path) {
            self.files.push(path.to_owned());
        }
    }

    fn changed(&mut self, path: &str, what: &str) {
        self.dirs
            .insert(parent(path), format!("{what} {}", name(path)));
    }

    /// The first unsynced path among these directories and files.
    fn rests(&self, dirs: impl Fn(&str) -> bool, files: impl Fn(&str) -> bool) -> Option<String> {
        let dir = self.dirs.iter().find(|(dir, _)| dirs(dir));
        let file = self.files.iter().find(|file| files(file));
        match (dir, file) {
            (Some((dir, what)), _) => Some(format!("{dir:?} ({what})")),
            (None, file) => file.cloned(),
        }
    }
}

fn refuse(step: &Step, rests: Option<String>) -> Result<(), String> {
    match rests {
        Some(rest) => Err(format!(
            "{} {:?} comes before a sync of {rest}",
            step.op, step.paths
        )),
        None => Ok(()),
    }
}

/// Checks the whole trace of a successful run against the law.
pub(crate) fn check(steps: &[Step]) -> Result<(), String> {
    check_after(Unsynced::default(), steps)
}

/// The same for a run that follows one which left something unsynced.
pub(crate) fn check_after(mut unsynced: Unsynced, steps: &[Step]) -> Result<(), String> {
    let gets_name = |path: &String| {
        let mut steps = steps.iter();
        steps.any(|step| matches!(&*step.op, "rename" | "link") && step.paths.first() == Some(path))
    };
    for step in steps {
        // Nothing relies on a temporary file that never gets a name.
        let is_garbage = matches!(&*step.op, "create" | "write")
            && is_temporary(&step.paths[0])
            && !gets_name(&step.paths[0]);
        if !is_garbage {
            unsynced.step(step)?;
        }
    }
    unsynced.end()
}

/// Whether the first steps that come to, link or emit something under these beginnings of paths are in
/// this order; `-` is the standard output. After `remove ` it is about the first that leaves from there.
pub(crate) fn check_order(steps: &[Step], order: &[&str]) -> Result<(), String> {
    let mut after = None;
    for beginning in order {
        let removed = beginning.strip_prefix("remove ");
        let at = steps.iter().position(|step| {
            let is_it = match step.op.as_str() {
                "rename" | "link" | "append" | "emit" => removed.is_none(),
                "remove" => removed.is_some(),
                _ => false,
            };
            let beginning = removed.unwrap_or(beginning);
            let path = step.paths.last();
            is_it && path.is_some_and(|path| path.starts_with(beginning) && !is_temporary(path))
        });
        let Some(at) = at else {
            return Err(format!("nothing comes to {beginning}"));
        };
        if after.is_some_and(|after| after >= at) {
            return Err(format!("{beginning} comes before what it relies on"));
        }
        after = Some(at);
    }
    Ok(())
}

mod tests {
    use super::*;

    fn trace(text: &str) -> Vec<Step> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let step = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            Step {
                op: words.next().unwrap(),
                paths: words.collect(),
            }
        };
        lines.map(step).collect()
    }

    const OPEN: &str = "
        lock alice/lock/peer.x
        create out/.relay-1.tmp
        write out/.relay-1.tmp
        sync out/.relay-1.tmp
        rename out/.relay-1.tmp out/report
        syncdir out
        mkdir alice/peers/x
        syncdir alice/peers
        create alice/peers/x/.relay-2.tmp
        write alice/peers/x/.relay-2.tmp
        sync alice/peers/x/.relay-2.tmp
        rename alice/peers/x/.relay-2.tmp alice/peers/x/session.pem
        syncdir alice/peers/x
        lock alice/lock/seen
        create alice/seen/day
        append alice/seen/day
        sync alice/seen/day
        syncdir alice/seen";

    const SEAL: &str = "
        mkdir bob/sessions/x
        syncdir bob/sessions
        create bob/sessions/x/.relay-1.tmp
        write bob/sessions/x/.relay-1.tmp
        sync bob/sessions/x/.relay-1.tmp
        link bob/sessions/x/.relay-1.tmp bob/sessions/x/k.key
        remove bob/sessions/x/.relay-1.tmp
        syncdir bob/sessions/x
        emit -";

    const FORGET: &str = "
        remove bob/sessions/x/k.key
        remove bob/sessions/x
        syncdir bob/sessions
        remove bob/peers/x/name
        syncdir bob/peers/x
        remove bob/peers/x
        syncdir bob/peers";

    const TREE: &str = "
        mkdir out/.relay-1.tmp
        mkdir out/.relay-1.tmp/d
        create out/.relay-1.tmp/d/f
        write out/.relay-1.tmp/d/f
        utime out/.relay-1.tmp/d/f
        sync out/.relay-1.tmp/d/f
        syncdir out/.relay-1.tmp/d
        syncdir out/.relay-1.tmp
        rename out/.relay-1.tmp out/photos
        syncdir out";

    #[test]
    fn a_directory_is_synced_whole_before_it_has_its_name() {
        check(&trace(TREE)).unwrap();
        for sync in [
            "sync ",
            "syncdir out/.relay-1.tmp/d",
            "syncdir out/.relay-1.tmp\n",
        ] {
            let lines = TREE.split_inclusive('\n');
            let without: String = lines.filter(|line| !line.contains(sync)).collect();
            assert!(check(&trace(&without)).is_err(), "{sync}");
        }
    }

    #[test]
    fn lawful_traces_pass() {
        for text in [OPEN, SEAL, FORGET, ""] {
            check(&trace(text)).unwrap();
        }
        check_order(
            &trace(OPEN),
            &["out/", "alice/peers/x/session.pem", "alice/seen/"],
        )
        .unwrap();
        check_order(&trace(SEAL), &["bob/sessions/", "-"]).unwrap();
    }

    #[test]
    fn no_sync_can_be_left_out() {
        for text in [OPEN, SEAL] {
            let whole = trace(text);
            for (at, left_out) in whole.iter().enumerate() {
                if left_out.op.starts_with("sync") {
                    let mut steps = whole.clone();
                    steps.remove(at);
                    assert!(check(&steps).is_err(), "{left_out:?}");
                }
            }
        }
        // What was removed together may be synced together.
        assert!(check(&trace(&FORGET.replace("syncdir bob/sessions", ""))).is_err());
        assert!(check(&trace(FORGET.trim_end_matches("syncdir bob/peers"))).is_err());
    }

    #[test]
    fn no_write_may_follow_the_sync() {
        let late = SEAL.replace(
            "sync bob/sessions/x/.relay-1.tmp",
            "sync bob/sessions/x/.relay-1.tmp\n write bob/sessions/x/.relay-1.tmp",
        );
        assert!(check(&trace(&late)).is_err());
    }

    #[test]
    fn a_message_may_not_leave_before_its_key() {
        for early in ["mkdir bob/sessions/x", "syncdir bob/sessions/x"] {
            let text = SEAL.replace("emit -", "").replace(
                &format!("{early}\n"),
                &format!(
                    "{early}\n emit -\n {}\n",
                    early.replace("mkdir", "lock").replace("syncdir", "lock")
                ),
            );
            let result = check(&trace(&text));
            assert_eq!(result.is_err(), early.starts_with("mkdir"), "{early}");
        }
        let first = format!("emit -\n{}", SEAL.replace("emit -", ""));
        assert!(check_order(&trace(&first), &["bob/sessions/", "-"]).is_err());
        let to_file = SEAL.replace("syncdir bob/sessions/x\n", "").replace(
            "emit -",
            "create out/.relay-2.tmp\n write out/.relay-2.tmp\n sync out/.relay-2.tmp\n \
             rename out/.relay-2.tmp out/p\n syncdir out\n syncdir bob/sessions/x",
        );
        assert!(check(&trace(&to_file)).is_err());
    }

    #[test]
    fn a_message_may_not_be_remembered_before_its_content() {
        let (content, rest) = OPEN.split_once("mkdir").unwrap();
        let reversed = format!("mkdir{rest}\n{content}");
        let order = ["out/", "alice/peers/x/session.pem", "alice/seen/"];
        assert!(check_order(&trace(&reversed), &order).is_err());
        assert!(check_order(&trace(SEAL), &order).is_err());
    }

    const TAKE: &str = "
        create field/spool/in/.relay-1.tmp
        write field/spool/in/.relay-1.tmp
        sync field/spool/in/.relay-1.tmp
        link field/spool/in/.relay-1.tmp field/spool/in/parcel
        syncdir field/spool/in
        create field/seen/day
        append field/seen/day
        sync field/seen/day
        syncdir field/seen
        remove stick/relaynet/cargo/x
        syncdir stick/relaynet/cargo";

    const GIVE: &str = "
        create stick/relaynet/tmp/.relay-1.tmp
        write stick/relaynet/tmp/.relay-1.tmp
        sync stick/relaynet/tmp/.relay-1.tmp
        create field/spool/carried/.relay-2.tmp
        write field/spool/carried/.relay-2.tmp
        sync field/spool/carried/.relay-2.tmp
        rename field/spool/carried/.relay-2.tmp field/spool/carried/record
        syncdir field/spool/carried
        rename stick/relaynet/tmp/.relay-1.tmp stick/relaynet/cargo/x
        syncdir stick/relaynet/cargo
        remove field/spool/acks/y
        syncdir field/spool/acks";

    #[test]
    fn cargo_leaves_a_medium_and_comes_to_one_in_order() {
        let take = [
            "field/spool/in/",
            "field/seen/",
            "remove stick/relaynet/cargo/",
        ];
        let give = [
            "field/spool/carried/",
            "stick/relaynet/cargo/",
            "remove field/spool/acks/",
        ];
        for (text, order) in [(TAKE, take), (GIVE, give)] {
            let whole = trace(text);
            check(&whole).unwrap();
            check_order(&whole, &order).unwrap();
            for (at, left_out) in whole.iter().enumerate() {
                if left_out.op.starts_with("sync") {
                    let mut steps = whole.clone();
                    steps.remove(at);
                    assert!(check(&steps).is_err(), "{left_out:?}");
                }
            }
            let mut order = order;
            order.reverse();
            assert!(check_order(&whole, &order).is_err());
        }
    }

    #[test]
    fn nothing_is_removed_before_its_replacement_is_synced() {
        let text = "
            create out/.relay-1.tmp
            write out/.relay-1.tmp
            sync out/.relay-1.tmp
            rename out/.relay-1.tmp out/b
            remove bob/spool/a
            syncdir out
            syncdir bob/spool";
        assert!(check(&trace(text)).is_err());
    }

    #[test]
    fn a_node_is_not_declared_complete_before_it_is() {
        let text = "
            mkdir new/sessions
            create new/.relay-1.tmp
            write new/.relay-1.tmp
            sync new/.relay-1.tmp
            rename new/.relay-1.tmp new/VERSION
            syncdir new";
        assert!(check(&trace(text)).is_err());
    }

    #[test]
    fn what_a_killed_run_left_unsynced_counts() {
        let mut left = Unsynced::default();
        left.step(&trace("mkdir bob/sessions/x")[0]).unwrap();
        left.survive_kill();
        let (_, rest) = SEAL.split_once("syncdir bob/sessions\n").unwrap();
        assert!(check_after(left, &trace(rest)).is_err());
    }
}
