//! Aliases: names for several peers.

use std::os::unix::fs::PermissionsExt as _;

use crate::testenv::{Env, id};

/// The recipients that alice's relay-seal makes parcels for, by their names.
fn sealed_for(env: &Env, to: &[&str]) -> Vec<&'static str> {
    let options = to.iter().flat_map(|to| ["-t", to]);
    let parcels = env
        .relay("seal")
        .args(["-N", "alice"])
        .args(options)
        .stdin("content")
        .ok()
        .stdout;
    let facts = env.relay("inspect").arg("--json").stdin(parcels).ok();
    let names = ["alice", "bob", "carol"];
    let of = |it: &serde_json::Value| {
        let found = names.into_iter().find(|name| it["recipient"] == id(name));
        found.unwrap()
    };
    facts.json().iter().map(of).collect()
}

#[test]
fn an_alias_stands_for_its_members() {
    let env = Env::with_peers();
    env.write(
        "alice/aliases",
        "# for the whole valley\nteam: carol , bob,\nFriends: @team\nloop: @loop, @friends\n",
    );
    assert_eq!(sealed_for(&env, &["@team"]), ["carol", "bob"]);
    assert_eq!(sealed_for(&env, &["@FRIENDS"]), ["carol", "bob"]);
    assert_eq!(sealed_for(&env, &["@loop"]), ["carol", "bob"]);
    // A peer that is named twice gets one parcel.
    assert_eq!(sealed_for(&env, &["bob", "@team"]), ["bob", "carol"]);
    let all = sealed_for(&env, &["@all"]);
    assert!(all.len() == 2 && all.contains(&"bob") && all.contains(&"carol"));
    env.mkdir("alice/aliases.d");
    env.write(
        "alice/aliases.d/valley",
        format!("# by a program\n{}\n", id("bob")),
    );
    env.write("alice/aliases.d/.valley.swp", "no alias");
    assert_eq!(sealed_for(&env, &["@valley"]), ["bob"]);
    let found = env.relay("check").args(["-N", "alice"]).run();
    assert!(!found.text().contains("gets nothing"), "{}", found.text());
}

#[test]
fn a_member_that_cannot_be_reached_keeps_the_others_from_nothing() {
    let env = Env::with_peers();
    env.make_node("mallory", &[]);
    env.relay("export")
        .args(["-N", "mallory", "-o", "mallory.pub"])
        .ok();
    env.relay("authorize")
        .args([
            "-N",
            "alice",
            "--name",
            "mallory",
            "-o",
            "mallory.conn",
            "mallory.pub",
        ])
        .ok();
    env.write(
        "alice/aliases",
        "team: mallory, nobody, bob\nalone: mallory\nnone: nobody\ncircle: @ring\nring: circle\n",
    );
    let seal = |to: &str| {
        env.relay("seal")
            .args(["-N", "alice", "-t", to, "-d", "."])
            .stdin("content")
    };
    let ran = seal("@team").ok();
    ran.says_somewhere("nobody, a member of @team, gets nothing: no peer is known as nobody")
        .says_somewhere("@team: no session key of mallory is known");
    assert_eq!(seal("@alone").run().status, 67);
    let none = seal("@none").run();
    assert_eq!(none.status, 67);
    none.says_somewhere("@none: nobody to send to: no peer is known as nobody");
    seal("@circle").fails(
        78,
        "alice/aliases: the alias circle comes back to itself, and to no peer",
    );
    seal("team").fails(67, "no peer is known as team: did you mean @team?");
    seal("Circle").fails(67, "no peer is known as Circle: did you mean @circle?");
    // Those that are named are all or none.
    let parcels = || {
        env.names(".")
            .iter()
            .filter(|it| it.ends_with(".parcel"))
            .count()
    };
    let before = parcels();
    let named = env
        .relay("seal")
        .args(["-N", "alice", "-t", "bob", "-t", "mallory", "-d", "."])
        .stdin("content")
        .run();
    assert_eq!(named.status, 67);
    assert_eq!(parcels(), before);
    let found = env.relay("check").args(["-N", "alice"]).run();
    assert_eq!(found.status, 1);
    assert!(
        found
            .text()
            .contains("nobody, a member of team, gets nothing"),
        "{}",
        found.text()
    );
}

#[test]
fn lines_that_are_wrong() {
    let env = Env::with_peers();
    for (text, problem) in [
        ("team bob", "line 1: team bob: not NAME: MEMBER, ..."),
        ("\nteam:", "line 2: the alias team has no members"),
        (
            "team: bob\nTEAM: carol",
            "line 2: the alias team is defined twice",
        ),
        ("all: bob", "line 1: the alias all is built in"),
        ("../x: bob", "line 1: ../x cannot be an alias"),
        (
            "team: bob carol",
            "line 1: bob carol: a member has no blanks; a comma separates members",
        ),
    ] {
        env.write("alice/aliases", text);
        env.relay("seal")
            .args(["-N", "alice", "-t", "@team"])
            .stdin("")
            .fails(78, &format!("alice/aliases: {problem}"));
        let found = env.relay("check").args(["-N", "alice"]).run();
        assert_eq!(found.status, 1);
        assert!(found.text().contains(problem), "{}", found.text());
        // Without an alias nobody looks into the file.
        assert_eq!(sealed_for(&env, &["bob"]), ["bob"]);
    }
    env.write("alice/aliases", "team: bob\n");
    env.relay("seal")
        .args(["-N", "alice", "-t", "@crew"])
        .stdin("")
        .fails(67, "no alias is called crew");
    for (mistyped, meant) in [("taem", "team"), ("alll", "all")] {
        env.relay("seal")
            .args(["-N", "alice", "-t", &format!("@{mistyped}")])
            .stdin("")
            .fails(
                67,
                &format!("no alias is called {mistyped}: did you mean @{meant}?"),
            );
    }
}

#[test]
fn a_file_that_others_can_change_decides_nothing() {
    let env = Env::with_peers();
    env.write("alice/aliases", "team: bob\n");
    let mode = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(env.path("alice/aliases"), mode).unwrap();
    env.relay("seal")
        .args(["-N", "alice", "-t", "@team"])
        .stdin("")
        .fails(78, "alice/aliases can be changed by other users");
}
