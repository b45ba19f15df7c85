//! Codes that phones read: relay-export --qr, relay-inspect --qr, and the programs that read what a scanner gives back.

use std::io::Cursor;

use rqrr::PreparedImage;

use crate::testenv::{Env, fingerprint, id};

/// What a reader reads of a picture, of which each pixel is dark or light.
fn read(side: usize, is_dark: impl Fn(usize, usize) -> bool) -> String {
    let grey = |x, y| if is_dark(x, y) { 0 } else { 255 };
    let mut picture = PreparedImage::prepare_from_greyscale(side, side, grey);
    let found = picture.detect_grids();
    assert_eq!(found.len(), 1);
    found[0].decode().unwrap().1
}

/// What a reader reads of a code in blocks, each module of which is 4 pixels wide.
fn read_blocks(drawn: &str) -> String {
    let lines: Vec<Vec<char>> = drawn.lines().map(|line| line.chars().collect()).collect();
    let side = lines[0].len();
    assert_eq!(lines.len(), side.div_ceil(2));
    read(4 * side, |x, y| match lines[y / 8][x / 4] {
        ' ' => false,
        '█' => true,
        '▀' => y % 8 < 4,
        '▄' => y % 8 >= 4,
        other => panic!("{other:?} in {drawn}"),
    })
}

/// What a reader reads of an image of a bit for each pixel.
fn read_png(octets: Vec<u8>) -> String {
    let mut reader = png::Decoder::new(Cursor::new(octets)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(frame.bit_depth, png::BitDepth::One);
    assert_eq!(frame.width, frame.height);
    let is_dark = |x: usize, y: usize| pixels[y * frame.line_size + x / 8] >> (7 - x % 8) & 1 == 0;
    read(frame.width as usize, is_dark)
}

/// The text of the code of a node's key.
fn scanned_key(env: &Env, node: &str) -> String {
    let ran = env
        .relay("export")
        .args(["-N", node, "--qr"])
        .ok()
        .quiet()
        .changes(&[]);
    read_blocks(ran.text())
}

#[test]
fn a_key_is_drawn_and_read_back() {
    let env = Env::with_peers();
    let text = scanned_key(&env, "bob");
    assert_eq!(text.len(), 480);
    let ran = env.relay("inspect").arg("--id").stdin(&*text).ok().quiet();
    assert_eq!(ran.text(), format!("{}\n", id("bob")));
    let export = |options: &[&str]| {
        env.relay("export")
            .args(["-N", "bob", "--qr"])
            .args(options)
    };
    for name in ["bob.png", "bob.PNG"] {
        export(&["-o", name])
            .ok()
            .quiet()
            .changes(&[&format!("+{name}")]);
        assert_eq!(read_png(env.read(name)), text);
    }
    export(&["-o", "bob.png"]).fails(73, "bob.png: already exists");
    export(&["-f", "-o", "bob.png"]).ok();
    export(&["-o", "bob.txt"])
        .ok()
        .quiet()
        .changes(&["+bob.txt"]);
    assert_eq!(read_blocks(&env.text("bob.txt")), text);
    assert_eq!(read_blocks(export(&["-o", "-"]).ok().text()), text);
    let keys = env.keys("bob");
    let ran = env
        .relay("export")
        .args(["--qr", "--identity-key", &keys.identity])
        .ok()
        .quiet();
    assert_eq!(read_blocks(ran.text()), text);
    for others in [
        &["--der"][..],
        &["--address", "x.example.org", "--session-key", &keys.session],
    ] {
        let ran = export(others).fails(64, "");
        assert!(
            ran.stderr.contains("'--qr' cannot be used with"),
            "{}",
            ran.stderr
        );
    }
}

/// Its connection parameters would be a session key that anybody may seal to, which a code does not hand out.
#[test]
fn an_internet_node_draws_its_key_and_changes_nothing() {
    let env = Env::new();
    env.make_node("alice", &["--address", "alice.example.org"]);
    let text = scanned_key(&env, "alice");
    let ran = env.relay("inspect").arg("--id").stdin(&*text).ok().quiet();
    assert_eq!(ran.text(), format!("{}\n", id("alice")));
}

/// On a dark terminal, plain blocks would be the light modules.
#[test]
fn a_terminal_has_black_on_white() {
    let env = Env::with_peers();
    let export = || env.relay("export").args(["-N", "bob", "--qr"]);
    let plain = export().ok().text().to_owned();
    let start = "\u{1b}[38;5;16;48;5;231m";
    let lines = plain
        .lines()
        .map(|line| format!("{start}{line}\u{1b}[0m\n"));
    export()
        .var("TERM", "xterm")
        .shown()
        .ok()
        .quiet()
        .stdout(lines.collect::<String>());
    export()
        .var("TERM", "dumb")
        .shown()
        .ok()
        .quiet()
        .stdout(&plain);
    export().shown_in(77).ok().quiet();
    export()
        .shown_in(76)
        .ok()
        .says(&["the code is 77 columns wide and this terminal 76"]);
}

#[test]
fn programs_take_what_a_scanner_gives_back() {
    let env = Env::with_peers();
    env.make_node("gateway", &["--type", "gateway"]);
    let text = scanned_key(&env, "bob");
    let wrapped: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    let shown = format!("bob: fingerprint {}", fingerprint("bob"));
    for (at, scanned) in [
        text.clone(),
        format!("\u{feff}{text}\r\n"),
        text.to_lowercase(),
        wrapped.join("\r\n"),
        format!("  {}\n", wrapped.join(" ")),
        format!("QR-Code:{text}\n"),
    ]
    .iter()
    .enumerate()
    {
        env.write("scanned.txt", scanned);
        let authorize = || env.relay("authorize").args(["-N", "alice"]);
        authorize()
            .arg("scanned.txt")
            .ok()
            .says(&[&shown, "bob: authorization as a whole "]);
        authorize()
            .stdin(&**scanned)
            .ok()
            .says(&[&shown, "bob: authorization as a whole "]);
        let made = format!("{at}.pnr");
        env.relay("register")
            .args(["-N", "gateway", "-o", &made, "scanned.txt"])
            .ok();
        let ran = env.relay("inspect").args(["--id", &made]).ok();
        assert_eq!(ran.text(), format!("{}\n", id("bob")));
    }
    let parcel = env.parcel("bob", "alice", b"x");
    env.write("alice.txt", scanned_key(&env, "alice"));
    env.relay("verify")
        .args(["--trust", "alice.txt"])
        .stdin(parcel)
        .ok();
    let ran = env
        .relay("import")
        .args(["-N", "alice", "scanned.txt"])
        .fails(65, "scanned.txt: ");
    assert_eq!(ran.hints(), ["relay-authorize takes it"]);
}

#[test]
fn what_was_scanned_badly_is_refused() {
    let env = Env::with_peers();
    let text = scanned_key(&env, "bob");
    let again = "scan the code again, or take the key as a file";
    for (scanned, problem) in [
        (text[..text.len() - 1].to_owned(), "cut short"),
        (text[..200].to_owned(), "cut short"),
        ("RELAYKEY:".to_owned(), "cut short"),
        (
            text.replacen("RELAYKEY:", "RELAYKEY:1", 1),
            "'1' is no digit of base32",
        ),
        (format!("{text}\n-- \nBob"), "'-' is no digit of base32"),
        (format!("{text}AAAAAAAA"), "octets after the last value"),
    ] {
        for (program, options) in [
            ("authorize", &["-N", "alice", "-"][..]),
            ("inspect", &["-"]),
        ] {
            let expected = format!("malformed RELAYKEY text: {problem}");
            let ran = env.relay(program).args(options).stdin(&*scanned).run();
            assert_eq!(ran.status, 65, "{program}: {scanned}");
            let said = ran.diagnostics();
            assert!(said.len() == 1 && said[0].ends_with(&expected), "{said:?}");
            assert_eq!(ran.hints(), [again]);
        }
    }
    // Octets that are no key.
    let ran = env.relay("inspect").stdin("RELAYKEY:GAAA").fails(65, "-: ");
    assert_eq!(ran.hints(), [again]);
    let digest = format!("RELAYEXPECT:{}", "AB".repeat(32));
    for program in ["import", "authorize"] {
        let ran = env
            .relay(program)
            .args(["-N", "alice"])
            .stdin(&*digest)
            .run();
        assert_eq!(ran.status, 65, "{program}");
        assert!(
            ran.stderr
                .contains("digits to compare an object with, not the object"),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.hints(), ["relay-import --expect takes them"]);
    }
}

#[test]
fn a_digest_is_drawn_and_expected() {
    let env = Env::new();
    env.make_node("alice", &[]);
    env.make_node("bob", &[]);
    let authorize = |file: &str| {
        env.relay("authorize")
            .args(["-N", "alice", "-o", file, "bob/identity.pub"])
            .ok();
        let ran = env
            .relay("inspect")
            .args(["--qr", file])
            .ok()
            .quiet()
            .changes(&[]);
        read_blocks(ran.text())
    };
    let (first, other) = (authorize("first.conn"), authorize("other.conn"));
    env.relay("inspect").args(["--id", "first.conn"]).ok();
    let ran = env.relay("inspect").args(["--json", "first.conn"]).ok();
    let digest = ran.json().remove(0)["sha256"]
        .as_str()
        .unwrap()
        .to_uppercase();
    assert_eq!(first, format!("RELAYEXPECT:{digest}"));
    let import = |expected: &str| {
        env.relay("import")
            .args(["-N", "bob", "--expect", expected, "first.conn"])
    };
    import(&other).fails(65, "first.conn: ");
    for cut in [&first[..12], &first[..12 + 32], &first[..70]] {
        import(cut).fails(64, "--expect needs the 64 hexadecimal digits of a SHA-256");
    }
    import(&first).ok();
    import(&format!("\u{feff}{}\r\n{}\r\n", &first[..40], &first[40..])).ok();
    import(&format!("QR-Code:{}", first.to_lowercase())).ok();
    let ran = env
        .relay("inspect")
        .args(["--qr", "bob/identity.pub"])
        .fails(65, "bob/identity.pub: ");
    assert!(
        ran.stderr.contains("no digest to compare in a public key"),
        "{}",
        ran.stderr
    );
    env.relay("inspect")
        .args(["--qr", "--json", "first.conn"])
        .fails(64, "");
    assert_ne!(first, other);
}
