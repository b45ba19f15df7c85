//! Standard streams that are closed, or open in the wrong direction: no output is lost unnoticed, and no work
//! is done in vain.

use crate::testenv::*;

/// How standard output can be of no use: closed, open for reading, and what the runtime makes of a closed one.
const UNWRITABLE: [&str; 3] = [">&-", "1</dev/null", "1<>/dev/null"];

/// What is written to each of these is meant to go nowhere.
const DISCARDED: [&str; 2] = [">/dev/null", ">>/dev/null"];

/// relay-open: content that nobody gets is not remembered.
#[test]
fn content_for_a_closed_stream_is_opened_again() {
    for redirection in UNWRITABLE {
        for options in [&[][..], &["--cat"], &["-o", "/dev/stdout"]] {
            let env = Env::with_peers();
            let parcel = env.parcel("bob", "alice", b"content");
            let open = || {
                let open = env.relay("open").args(["-N", "alice"]);
                open.stdin(&*parcel)
            };
            open()
                .args(options)
                .shell("", redirection)
                .fails(74, "cannot write: standard output is ");
            open().ok().quiet().stdout("content");
        }
    }
    for redirection in DISCARDED {
        let env = Env::with_peers();
        let parcel = env.parcel("bob", "alice", b"content");
        let open = || env.relay("open").args(["-N", "alice"]).stdin(&*parcel);
        open().shell("", redirection).ok().quiet();
        open().fails(82, "-: already received");
    }
}

/// Where results have a file or a directory, standard output may be closed.
#[test]
fn files_and_directories_need_no_standard_output() {
    let env = Env::with_gateways();
    env.mkdir("dir");
    let parcel = env.parcel("bob", "alice", b"content");
    let cargo = env.cargo("gateway", "hub", &*parcel);
    for (call, file) in [
        (
            env.relay("open")
                .args(["-N", "alice", "-o", "content"])
                .stdin(&*parcel),
            "content",
        ),
        (
            env.relay("open")
                .args(["-N", "alice", "--again", "--json", "-d", "dir"])
                .stdin(&*parcel),
            "dir",
        ),
        (
            env.relay("unpack-cargo")
                .args(["-N", "hub", "--json", "-d", "dir"])
                .stdin(cargo),
            "dir",
        ),
        (
            env.relay("seal")
                .args(["-N", "bob", "-t", "alice", "-o", "parcel"])
                .stdin("x"),
            "parcel",
        ),
        (
            env.relay("request-cargo")
                .args(["-N", "gateway", "-t", "hub", "-o", "cca"]),
            "cca",
        ),
        (
            env.relay("export").args(["-N", "bob", "-o", "bob.pub"]),
            "bob.pub",
        ),
        (env.relay("ack").args(["-o", "pca"]).stdin(&*parcel), "pca"),
        (
            env.relay("split").args(["-o", "parts"]).stdin("content"),
            "parts",
        ),
    ] {
        call.shell("", ">&-").ok().quiet().stdout("");
        assert!(env.path(file).exists(), "{file}");
    }
}

/// Every program whose result goes to standard output: 74, before anything is done.
#[test]
fn results_for_a_closed_stream_are_not_made() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"content");
    env.write("parcel", &parcel);
    env.write("cargo", env.cargo("gateway", "hub", &*parcel));
    env.write("cca", env.cca("gateway", "hub"));
    env.write("parts", env.relay("split").stdin("content").ok().stdout);
    env.write(
        "bob.pub",
        env.relay("export").args(["-N", "bob"]).ok().stdout,
    );
    let authorize = env.relay("authorize").args(["-q", "-N", "hub", "bob.pub"]);
    env.write("conn", authorize.ok().stdout);
    for args in [
        "ack parcel",
        "authorize -q -N alice bob.pub",
        "export -N bob",
        "export -N hub",
        "import -N bob conn",
        "join parts",
        "keygen --set clock=test -N new",
        "keygen -N gateway --endpoint new",
        "open -N alice parcel",
        "pack-cargo -N gateway -t hub parcel",
        "pack-cargo -N hub --cca cca parcel",
        "register -q -N gateway bob.pub",
        "register -q -N gateway --authorize bob.pub",
        "request-cargo -N gateway -t hub",
        "seal -N bob -t alice parcel",
        "seal -N bob -t alice --parts parts",
        "split parcel",
        "unpack-cargo -N hub cargo",
    ] {
        for redirection in UNWRITABLE {
            let mut words = args.split(' ');
            let call = env.relay(words.next().unwrap()).args(words);
            let ran = call.shell("", redirection).run();
            assert_eq!(ran.status, 74, "{args} {redirection}: {}", ran.stderr);
            ran.says(&["cannot write: standard output is "])
                .changes(&[]);
        }
    }
    // Each of them can still be done.
    env.relay("pack-cargo")
        .args(["-N", "hub", "--cca", "cca", "parcel"])
        .ok();
    env.relay("unpack-cargo").args(["-N", "hub", "cargo"]).ok();
    env.relay("open").args(["-N", "alice", "parcel"]).ok();
}

/// Programs that were run for what they print, and have no effects.
#[test]
fn a_list_for_a_closed_stream_fails() {
    let env = Env::with_gateways();
    env.write("parcel", env.parcel("bob", "alice", b"content"));
    env.relay("put").args(["-N", "gateway", "parcel"]).ok();
    for args in [
        "inspect parcel",
        "inspect --json parcel",
        "list -N gateway",
        "peers -N gateway",
        "route -n -N gateway",
        "keygen --help",
    ] {
        for redirection in UNWRITABLE {
            let mut words = args.split(' ');
            let call = env.relay(words.next().unwrap()).args(words);
            let ran = call.shell("", redirection).run();
            assert_eq!(ran.status, 74, "{args} {redirection}: {}", ran.stderr);
            ran.says(&["cannot write: standard output is "])
                .changes(&[]);
        }
    }
    // Where there is nothing to print, nothing fails.
    env.relay("list")
        .args(["-N", "hub"])
        .shell("", ">&-")
        .ok()
        .quiet();
    env.relay("route")
        .args(["-N", "gateway"])
        .shell("", ">&-")
        .ok()
        .quiet();
}

/// Lines about work that counts by itself: a closed stream means that nobody wants them, as daemons have it, and
/// the status tells as much as ever. A stream that is not open for writing is a mistake.
#[test]
fn lines_that_nobody_wants_cost_nothing() {
    for redirection in [">&-", "1<>/dev/null"] {
        let env = Env::with_gateways();
        env.write(
            "parcel",
            env.parcel_with("bob", "alice", b"content", &["--id", "m"]),
        );
        let put = || env.relay("put").args(["-N", "gateway", "parcel"]);
        put()
            .shell("", "1</dev/null")
            .fails(74, "cannot write: standard output is ");
        put().shell("", redirection).ok().quiet();
        assert_eq!(env.names("gateway/spool/in").len(), 1);
        let list = env.relay("list").args(["-N", "gateway", "--id", "m"]);
        let ran = list.shell("", redirection).run().quiet();
        assert_eq!(ran.status, 75);
        let verify = env.relay("verify").arg("parcel");
        verify.shell("", redirection).ok().quiet();
        let check = env.relay("check").args(["-q", "-N", "gateway"]);
        let status = check.run().status;
        let check = env.relay("check").args(["-q", "-N", "gateway"]);
        assert_eq!(check.shell("", redirection).run().status, status);
    }
}

/// Standard input that is closed, or not open for reading, is empty: 66 in every program.
#[test]
fn a_closed_input_is_empty() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"content");
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok(); // makes the spool
    for args in [
        "ack",
        "authorize -q -N alice",
        "import -N bob",
        "inspect",
        "inspect --id",
        "join -o joined",
        "open -N alice",
        "pack-cargo -N gateway -t hub",
        "pack-cargo -N hub --cca - stick",
        "put -N gateway",
        "register -q -N gateway",
        "register -q -N hub --complete",
        "seal -N bob -t alice",
        "seal -N bob -t alice -",
        "seal -N bob -t alice --parts",
        "split",
        "unpack-cargo -N hub",
        "verify",
    ] {
        for redirection in ["<&-", "0>/dev/null", "0<>/dev/null"] {
            let mut words = args.split(' ');
            let call = env.relay(words.next().unwrap()).args(words);
            let ran = call.shell("", redirection).run();
            assert_eq!(ran.status, 66, "{args} {redirection}: {}", ran.stderr);
            assert_eq!(ran.stdout, b"", "{args} {redirection}");
            ran.changes(&[]);
        }
    }
    // Empty content is content.
    let seal = env.relay("seal").args(["-N", "bob", "-t", "alice"]);
    seal.shell("", "</dev/null").ok().quiet();
}

/// Standard error that is closed, full, or not open for writing changes no status.
#[test]
fn no_status_comes_from_standard_error() {
    for redirection in ["2>&-", "2>/dev/full", "2</dev/null"] {
        let env = Env::with_gateways();
        let parcel = env.parcel("bob", "alice", b"content");
        env.write("parcel", &parcel);
        env.write("cargo", env.cargo("gateway", "hub", &*parcel));
        env.write(
            "bob.pub",
            env.relay("export").args(["-N", "bob"]).ok().stdout,
        );
        for (args, status) in [
            ("ack parcel", 0),
            ("authorize -N alice bob.pub", 0),
            ("carry stick nowhere", 66),
            ("check -N nowhere", 78),
            ("deliver -v -N alice --dir stick", 0),
            ("export -N nowhere", 78),
            ("import -v -N bob bob.pub", 65),
            ("inspect parcel", 0),
            ("inspect bob.pub nothing", 66),
            ("join parcel", 65),
            ("keygen -v --set clock=test -N new", 0),
            ("keygen --no-such-option", 64),
            ("list -N gateway --id none", 67),
            ("open -v -N alice parcel", 0),
            ("open -v -N alice parcel", 82),
            ("pack-cargo -v -N gateway -t hub parcel", 0),
            ("peers -N nowhere", 78),
            ("purge -v -N gateway", 0),
            ("put -v -N gateway parcel", 0),
            ("register -v -N gateway bob.pub", 0),
            ("request-cargo -v -N gateway -t hub", 0),
            ("route -v -N gateway", 0),
            ("seal -v -N bob -t alice parcel", 0),
            ("split -v parcel", 0),
            ("sync -v -N gateway stick", 66),
            ("unpack-cargo -v -N hub cargo", 0),
            ("verify bob.pub", 65),
        ] {
            let mut words = args.split(' ');
            let call = env.relay(words.next().unwrap()).args(words);
            let ran = call.shell("", redirection).run();
            assert_eq!(ran.status, status, "{args} {redirection}");
            assert_eq!(ran.stderr, "", "{args} {redirection}");
        }
    }
}
