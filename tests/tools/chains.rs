//! Certification paths that show nothing: expired, by or for others, in circles, too long, too many, too deep.

use std::time::{Duration, Instant};

use relaynet::message::CertificationPath;
use relaynet::message::certification_path::PathForm;
use relaynet::node::certificates::path_to_pem;
use relaynet::pki::issuance::{self, CertificateRole};
use relaynet::pki::{Certificate, IdentityKey};

use crate::testenv::{Env, HUB, forged, id, identity};

const LONG: (&str, &str) = ("2026-02-01T00:00:00Z", "2026-07-01T00:00:00Z");
const ENDED: (&str, &str) = ("2026-02-01T00:00:00Z", "2026-02-20T00:00:00Z");

use CertificateRole::{DeliveryAuthorization, Endpoint, Gateway, SelfIssuedGateway};

/// A certificate of `subject` by `issuer`.
fn issued(
    issuer: &IdentityKey,
    above: Option<&Certificate>,
    subject: &IdentityKey,
    role: CertificateRole,
    (from, until): (&str, &str),
) -> Certificate {
    let days = (from.parse().unwrap(), until.parse().unwrap());
    issuance::issue(issuer, above, subject.public(), role, days).unwrap()
}

/// The certificate that a node issues to itself.
fn own(name: &str, role: CertificateRole) -> Certificate {
    let key = identity(name);
    issued(&key, None, &key, role, LONG)
}

/// Bob's parcel for alice under other certificates, the signer's first.
fn under(env: &Env, signer: &str, certificates: Vec<Certificate>) -> Vec<u8> {
    let parcel = env.parcel("bob", "alice", b"content");
    forged(&parcel, signer, |message| {
        message.certificates = certificates;
    })
}

#[test]
fn authorizations_that_let_nobody_send() {
    let env = Env::with_peers();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(identity);
    let recipient = own("alice", Endpoint);
    let stranger = own("carol", Endpoint);
    let by = |issuer: &IdentityKey, above: &Certificate, subject: &IdentityKey, days| {
        issued(
            issuer,
            Some(above),
            subject,
            DeliveryAuthorization(None),
            days,
        )
    };
    // A recipient authorizes, and nobody else: neither those whom it authorized, nor those beside it.
    let authorized = by(&alice, &recipient, &carol, LONG);
    let beside = issued(&alice, Some(&recipient), &carol, Endpoint, LONG);
    for (what, status, text, certificates) in [
        (
            "expired",
            80,
            "expired at ",
            vec![by(&alice, &recipient, &bob, ENDED), recipient.clone()],
        ),
        (
            "by somebody else",
            77,
            "",
            vec![by(&carol, &stranger, &bob, LONG), stranger.clone()],
        ),
        (
            "by somebody else, with the recipient's in tow",
            77,
            "",
            vec![
                by(&carol, &stranger, &bob, LONG),
                stranger,
                recipient.clone(),
            ],
        ),
        (
            "for somebody else",
            65,
            "",
            vec![by(&alice, &recipient, &carol, LONG), recipient.clone()],
        ),
        (
            "by one who may send himself",
            77,
            "",
            vec![
                by(&carol, &authorized, &bob, LONG),
                authorized,
                recipient.clone(),
            ],
        ),
        (
            "by an endpoint that is not the recipient",
            77,
            "",
            vec![by(&carol, &beside, &bob, LONG), beside, recipient],
        ),
    ] {
        let parcel = under(&env, "bob", certificates);
        let open = || env.relay("open").args(["-N", "alice", "-o", "out"]);
        let ran = open().stdin(parcel.clone()).fails(status, "-: ");
        assert!(ran.stderr.contains(text), "{what}: {}", ran.stderr);
        // Twice: it is not remembered.
        open().stdin(parcel.clone()).fails(status, "-: ");
        let verify = env.relay("verify").args(["-N", "alice"]).stdin(parcel);
        assert_eq!(verify.run().status, status, "{what}");
    }
}

/// A gateway that carries a parcel sees it by the recipient's certificate, which the gateway issued.
#[test]
fn a_gateway_is_shown_who_authorized_whom() {
    let env = Env::with_gateways();
    let [gateway, alice, bob, carol] = ["gateway", "alice", "bob", "carol"].map(identity);
    let root = own("gateway", SelfIssuedGateway);
    let endpoint = |key: &IdentityKey| issued(&gateway, Some(&root), key, Endpoint, LONG);
    let (alices, carols) = (endpoint(&alice), endpoint(&carol));
    let by = |issuer: &IdentityKey, above: &Certificate| {
        issued(issuer, Some(above), &bob, DeliveryAuthorization(None), LONG)
    };
    let put = |certificates| {
        let parcel = under(&env, "bob", certificates);
        env.relay("put")
            .args(["-N", "gateway"])
            .stdin(parcel)
            .run()
            .status
    };
    assert_eq!(put(vec![by(&carol, &carols), carols]), 77);
    assert_eq!(put(vec![by(&alice, &alices), alices]), 0);
}

/// Verifies, under trust in the hub, a parcel of bob's that shows this path.
fn verified(env: &Env, path: Vec<Certificate>) -> (i32, Duration) {
    let parcel = under(env, "bob", path);
    let began = Instant::now();
    let verify = env.relay("verify").args(["--trust", "trust"]).stdin(parcel);
    (verify.run().status, began.elapsed())
}

/// A world in which the hub is trusted.
fn trusting() -> (Env, IdentityKey, Certificate) {
    let env = Env::with_peers();
    env.make_node("hub", &["--type", "gateway", "--address", HUB]);
    let (key, root) = (identity("hub"), own("hub", SelfIssuedGateway));
    let path = CertificationPath {
        leaf: root.clone(),
        authorities: Vec::new(),
    };
    env.write("trust", path_to_pem(&path));
    (env, key, root)
}

#[test]
fn chains_in_circles_end() {
    let (env, hub, root) = trusting();
    let [alice, bob, carol, mallory] = ["alice", "bob", "carol", "mallory"].map(identity);
    // Carol's is by mallory, and mallory's by carol; alice's by carol.
    let start = own("mallory", Gateway);
    let carols = issued(&mallory, Some(&start), &carol, Gateway, LONG);
    let mallorys = issued(&carol, Some(&carols), &mallory, Gateway, LONG);
    let alices = issued(&carol, Some(&carols), &alice, Endpoint, LONG);
    let leaf = issued(
        &alice,
        Some(&alices),
        &bob,
        DeliveryAuthorization(None),
        LONG,
    );
    let circle = vec![
        leaf.clone(),
        alices.clone(),
        carols.clone(),
        mallorys.clone(),
    ];
    let (status, took) = verified(&env, circle.clone());
    assert_eq!(status, 77);
    assert!(took < Duration::from_secs(10), "{took:?}");
    // A way out of it is found.
    let good = issued(&hub, Some(&root), &carol, Gateway, LONG);
    let (status, _) = verified(&env, [circle, vec![good]].concat());
    assert_eq!(status, 0);
    // One that issues itself what it needs.
    let own = issued(&alice, Some(&alices), &alice, Gateway, LONG);
    assert_eq!(verified(&env, vec![leaf, own, alices]).0, 77);
}

#[test]
fn a_hundred_certificates_are_no_path() {
    let (env, hub, root) = trusting();
    let [alice, bob] = ["alice", "bob"].map(identity);
    let alices = issued(&hub, Some(&root), &alice, Endpoint, LONG);
    let leaf = issued(
        &alice,
        Some(&alices),
        &bob,
        DeliveryAuthorization(None),
        LONG,
    );
    // They name each other, and all could be the next.
    let carol = identity("carol");
    let mut many = vec![own("carol", Gateway)];
    while many.len() < 100 {
        let above = many.last().unwrap().clone();
        many.push(issued(&carol, Some(&above), &carol, Gateway, LONG));
    }
    let by_carol = issued(&carol, many.last(), &alice, Endpoint, LONG);
    let lost = issued(
        &alice,
        Some(&by_carol),
        &bob,
        DeliveryAuthorization(None),
        LONG,
    );
    // A message brings at most 64, and of those each is tried once.
    for (count, status) in [(100, 65), (60, 77)] {
        let path = [
            vec![lost.clone(), by_carol.clone()],
            many[100 - count..].to_vec(),
        ];
        let (found, took) = verified(&env, path.concat());
        assert_eq!(found, status, "{count}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
    // Beside a good path they do no harm.
    let path = [many[..60].to_vec(), vec![alices]].concat();
    let (found, took) = verified(&env, [vec![leaf], path].concat());
    assert_eq!(found, 0);
    assert!(took < Duration::from_secs(10), "{took:?}");
    // Nor are they stored: a path has at most 16 authorities.
    let path = CertificationPath {
        leaf: many[99].clone(),
        authorities: many,
    };
    let octets = path.to_der(0x30, PathForm::Certificates);
    let rotation = [&b"Awala\x10\x00"[..], &octets].concat();
    let import = env.relay("import").args(["-N", "alice"]).stdin(rotation);
    import.fails(65, "-: ");
}

/// An endpoint is an authority for those whom it lets send, and for no other endpoint or gateway.
#[test]
fn an_authority_is_not_one_for_authorities() {
    let (env, hub, root) = trusting();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(identity);
    for (role, status) in [
        (Endpoint, 77),
        (DeliveryAuthorization(None), 77),
        (Gateway, 0),
    ] {
        let carols = issued(&hub, Some(&root), &carol, role, LONG);
        let alices = issued(&carol, Some(&carols), &alice, Endpoint, LONG);
        let leaf = issued(
            &alice,
            Some(&alices),
            &bob,
            DeliveryAuthorization(None),
            LONG,
        );
        let (found, _) = verified(&env, vec![leaf, alices, carols]);
        assert_eq!(found, status, "{role:?}");
    }
}

/// What was renewed meanwhile is imported again: nothing is taken back.
#[test]
fn old_parameters_change_nothing() {
    let env = Env::with_peers();
    let given = |at: &str| {
        let authorize = env
            .relay("authorize")
            .args(["-q", "-N", "alice", "--valid", "100d"]);
        authorize.arg(id("bob")).at(at).ok().stdout
    };
    let (old, new) = (given("2026-03-02T12:00:00Z"), given("2026-03-05T12:00:00Z"));
    let import = |conn: &[u8]| {
        let import = env.relay("import").args(["-q", "-N", "bob"]).stdin(conn);
        import.at("2026-03-06T12:00:00Z")
    };
    import(&new).ok();
    let session = format!("bob/peers/{}/session.pem", id("alice"));
    let before = env.read(&session);
    for _ in 0..2 {
        import(&old).ok();
        assert_eq!(env.read(&session), before, "the newer key stays");
    }
    let held = env.names(&format!("bob/peers/{}/held", id("alice"))).len();
    import(&old).ok().changes(&[]);
    import(&new).ok().changes(&[]);
    assert_eq!(
        env.names(&format!("bob/peers/{}/held", id("alice"))).len(),
        held
    );
    // After its end it is refused.
    let late = env.relay("import").args(["-q", "-N", "bob"]).stdin(old);
    late.at("2026-08-01T12:00:00Z").fails(80, "-: ");
}
