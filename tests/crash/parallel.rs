//! Two runs at once: locks let each see what the other has done, and neither waits for ever.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::invariants;
use super::scene::{ANSWER, CONTENT, FIRST, SECOND, Scene, World, carried_key};

/// The longest that runs may take which do not wait for each other.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a program. Nobody reads its output before it ends, so it must fit into a pipe.
fn start(scene: &Scene, name: &str, args: &[&str], now: &str) -> Child {
    let mut command = scene.command(name, args, now);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for all of them. Returns the status and output of each.
fn finish(mut children: Vec<Child>) -> Vec<(i32, Vec<u8>)> {
    let start = Instant::now();
    while children
        .iter_mut()
        .any(|child| child.try_wait().unwrap().is_none())
    {
        if start.elapsed() > PATIENCE {
            for child in &mut children {
                let _ = child.kill();
            }
            panic!("runs wait for each other");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let end = |child: Child| {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), None, "{text}");
        (output.status.code().unwrap(), output.stdout)
    };
    children.into_iter().map(end).collect()
}

#[test]
fn two_runs_do_not_open_the_same_parcel() {
    let world = World::get();
    for args in [
        &["-q", "-N", "alice", "in/first.parcel"][..],
        &["-q", "-N", "alice", "-d", "out", "in/first.parcel"],
        &[
            "-q",
            "-N",
            "alice",
            "-d",
            "out",
            "--keep-name",
            "in/first.parcel",
        ],
    ] {
        for _ in 0..4 {
            let scene = world.scene(&["friends/alice"]);
            let runs = [(); 2].map(|()| start(&scene, "relay-open", args, FIRST));
            let mut ends = finish(runs.into());
            ends.sort();
            assert_eq!([ends[0].0, ends[1].0], [0, 82], "{args:?}");
            assert!(ends[1].1.is_empty());
            let mut contents = scene.results();
            contents.extend(Some(ends[0].1.clone()).filter(|printed| !printed.is_empty()));
            assert_eq!(contents, [CONTENT], "{args:?}");
            assert_eq!(invariants::check(&scene), [""; 0]);
            let seen: u64 = scene
                .files("alice/seen")
                .iter()
                .map(|path| fs::metadata(scene.path(path)).unwrap().len())
                .sum();
            assert_eq!(seen, 32);
        }
    }
}

/// Waits until a run has this file open.
fn await_open(child: &Child, path: &Path) {
    let start = Instant::now();
    let dir = format!("/proc/{}/fd", child.id());
    let has = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == path))
    };
    while !fs::read_dir(&dir).is_ok_and(|mut entries| entries.any(has)) {
        assert!(
            start.elapsed() < PATIENCE,
            "{} is not opened",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Starts relay-open, which has the claim on the sender until somebody reads. Returns the file of that claim, too.
fn open_into_fifo(scene: &Scene) -> (Child, PathBuf) {
    let claim = format!("alice/lock/open.{}", scene.world().id("bob"));
    let root = fs::canonicalize(scene.path("alice")).unwrap();
    let claim = root.parent().unwrap().join(claim);
    let made = Command::new("mkfifo").arg(scene.path("tmp/fifo")).status();
    assert!(made.unwrap().success());
    let open = ["-q", "-N", "alice", "-o", "tmp/fifo", "in/first.parcel"];
    let open = start(scene, "relay-open", &open, SECOND);
    await_open(&open, &claim);
    (open, claim)
}

/// relay-deliver had read the memory before relay-open wrote to it, and delivered what that had written out.
#[test]
fn what_is_being_opened_is_not_delivered_as_well() {
    for destination in [
        &["--dir", "out"][..],
        &["--", "/bin/sh", "-c", "/bin/cat >> out/log"],
    ] {
        let scene = World::get().scene(&["arrived/alice"]);
        let (open, claim) = open_into_fifo(&scene);
        let deliver = [&["-v", "-N", "alice"][..], destination].concat();
        let deliver = start(&scene, "relay-deliver", &deliver, SECOND);
        await_open(&deliver, &claim);
        assert_eq!(fs::read(scene.path("tmp/fifo")).unwrap(), CONTENT);
        for (status, _) in finish(vec![open, deliver]) {
            assert_eq!(status, 0, "{destination:?}");
        }
        assert!(scene.results().is_empty(), "{destination:?}");
        let parcels = scene.files("alice/spool").into_iter();
        assert_eq!(parcels.filter(|path| path.ends_with(".parcel")).count(), 0);
    }
}

/// A pager that nobody leaves must keep neither the queue nor the messages of others.
#[test]
fn delivery_does_not_wait_for_ever_for_what_is_being_opened() {
    let scene = World::get().scene(&["arrived/alice"]);
    let (open, _) = open_into_fifo(&scene);
    let args = ["-q", "-N", "alice", "--dir", "out"];
    let deliver = scene.run("relay-deliver", &args, SECOND);
    deliver.expect(75);
    let line = "another run is handing out messages from bob";
    assert!(deliver.stderr.contains(line), "{}", deliver.stderr);
    assert!(scene.results().is_empty());
    assert_eq!(fs::read(scene.path("tmp/fifo")).unwrap(), CONTENT);
    assert_eq!(finish(vec![open])[0].0, 0);
    scene.run("relay-deliver", &args, SECOND).expect(0);
    assert!(scene.results().is_empty());
}

#[test]
fn eight_parcels_are_sealed_at_once() {
    let scene = World::get().scene(&["friends/alice", "friends/bob"]);
    let files: Vec<String> = (0..8).map(|at| format!("out/{at}")).collect();
    let runs = files.iter().map(|file| {
        let args = [
            "-q",
            "-N",
            "bob",
            "-t",
            "alice",
            "-o",
            file,
            "in/report.txt",
        ];
        start(&scene, "relay-seal", &args, FIRST)
    });
    let runs = runs.collect();
    for (status, _) in finish(runs) {
        assert_eq!(status, 0);
    }
    assert_eq!(invariants::check(&scene), [""; 0]);
    let mut keys: Vec<String> = scene.results().iter().map(|it| carried_key(it)).collect();
    assert_eq!(keys.len(), 8);
    keys.dedup();
    assert_eq!(keys.len(), 1, "one session key is current");
    let dir = format!("bob/sessions/{}", scene.world().id("alice"));
    let is_current = |path: &String| {
        let text = fs::read_to_string(scene.path(path)).unwrap();
        text.contains("Last-Carried: ")
    };
    let current = scene.files(&dir).into_iter().filter(is_current);
    assert_eq!(current.count(), 1);

    let opening = files.iter().map(|file| {
        let args = ["-q", "-N", "alice", file];
        start(&scene, "relay-open", &args, SECOND)
    });
    let opening = opening.collect();
    for (status, content) in finish(opening) {
        assert_eq!((status, &content[..]), (0, CONTENT));
    }
    let answer = scene.run(
        "relay-seal",
        &["-N", "alice", "-t", "bob", "in/report.txt"],
        ANSWER,
    );
    let file = scene.keep("answer", &answer.expect(0).stdout);
    scene
        .run("relay-open", &["-N", "bob", &file], ANSWER)
        .expect(0);
}

#[test]
fn opening_and_sealing_do_not_wait_for_each_other() {
    let scene = World::get().scene(&["friends/alice", "sealed/bob"]);
    let mut parcels = vec!["in/first.parcel".to_owned()];
    for at in 0..3 {
        let file = format!("out/{at}");
        let args = [
            "-q",
            "-N",
            "bob",
            "-t",
            "alice",
            "-o",
            &file,
            "in/report.txt",
        ];
        scene.run("relay-seal", &args, FIRST).expect(0);
        parcels.push(file);
    }
    let answers: Vec<String> = (0..4).map(|at| format!("tmp/{at}")).collect();
    let mut runs = Vec::new();
    for (parcel, answer) in parcels.iter().zip(&answers) {
        let open = ["-q", "-N", "alice", parcel];
        runs.push(start(&scene, "relay-open", &open, SECOND));
        let seal = [
            "-q",
            "-N",
            "alice",
            "-t",
            "bob",
            "-o",
            answer,
            "in/report.txt",
        ];
        runs.push(start(&scene, "relay-seal", &seal, SECOND));
        // What takes the whole node waits for these, and they for it, but not for each other.
        let rename = ["-q", "-N", "alice", "bob", "--rename", "bob"];
        runs.push(start(&scene, "relay-peers", &rename, SECOND));
    }
    for (status, _) in finish(runs) {
        assert_eq!(status, 0);
    }
    assert_eq!(invariants::check(&scene), [""; 0]);
    for answer in &answers {
        let opened = scene.run("relay-open", &["-q", "-N", "bob", answer], ANSWER);
        assert_eq!(opened.expect(0).stdout, CONTENT);
    }
}

#[test]
fn twenty_runs_deliver_each_message_once() {
    for destination in [
        &["--dir", "out"][..],
        &["--dir", "out", "--keep-name"],
        &["--", "/bin/sh", "-c", "/bin/cat >> out/log"],
    ] {
        let scene = World::get().scene(&["friends/alice", "friends/bob"]);
        for at in 0..8 {
            let file = format!("tmp/{at}");
            let mut args = vec!["-q", "-N", "bob", "-t", "alice", "--keep-name"];
            args.extend(["-o", &file, "in/report.txt"]);
            scene.run("relay-seal", &args, FIRST).expect(0);
            let args = ["-q", "-N", "alice", &file];
            scene.run("relay-put", &args, FIRST).expect(0);
        }
        scene
            .run("relay-route", &["-q", "-N", "alice"], FIRST)
            .expect(0);
        let runs = (0..20).map(|at| {
            let mut args = vec!["-q", "-N", "alice"];
            if at % 2 == 0 {
                args.extend(["--wait", "60s"]);
            }
            args.extend(destination);
            start(&scene, "relay-deliver", &args, SECOND)
        });
        let runs = runs.collect();
        for (number, (status, _)) in finish(runs).into_iter().enumerate() {
            let may_be = if number % 2 == 0 { &[0][..] } else { &[0, 75] };
            assert!(may_be.contains(&status), "{destination:?}: {status}");
        }
        assert_eq!(
            scene.results().concat(),
            CONTENT.repeat(8),
            "{destination:?}"
        );
        let parcels = scene.files("alice/spool").into_iter();
        assert_eq!(parcels.filter(|path| path.ends_with(".parcel")).count(), 0);
        let seen = scene.files("alice/seen").into_iter();
        let len = |path: String| fs::metadata(scene.path(&path)).unwrap();
        let records = seen.map(len).filter(fs::Metadata::is_file);
        assert_eq!(records.map(|file| file.len()).sum::<u64>(), 8 * 32);
    }
}
