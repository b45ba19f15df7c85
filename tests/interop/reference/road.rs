//! What both sides make and open: first parameters and registrations, so that each side has every kind of node,
//! then parcels, cargo, control messages, and a conversation.
//!
//! Ours are `hub` (an Internet gateway), `field` (a private gateway of theirs), `inet` (an Internet endpoint) and `anna` (a
//! private endpoint behind the gateway `home`, which is behind `hub`). Theirs are `rhub`, `rfield` (a private gateway of
//! ours), `rinet`, and `rend` behind `rhome` behind `rhub`.

use relaynet::asn1::Buffer;
use relaynet::cms::enveloped_data::Cipher;
use relaynet::message::Rotation;
use relaynet::message::certification_path::PathForm;
use relaynet::node::{Directory, Keyring as _, certificates};
use relaynet::ramf::Kind;
use relaynet::send::{self, Sealer};

use super::*;

pub(super) const OURS: &str = "hub.ours.example.org";
pub(super) const THEIRS: &str = "hub.theirs.example.org";

/// The contents that parcels have, in octets, but for the largest.
const SIZES: [usize; 4] = [0, 1, 999, 1_000_000];

/// The largest parcel that cargo takes.
const LARGEST: usize = 8_322_037;

/// Makes the nodes, and gives each side's Internet endpoint to the other.
pub(super) fn parameters(world: &mut World, them: &mut Reference) {
    for (name, options) in [
        ("hub", format!("--type gateway --address {OURS}")),
        ("home", "--type gateway".to_owned()),
        ("field", "--type gateway".to_owned()),
        ("inet", "--address inet.ours.example.org".to_owned()),
    ] {
        world.relay(&format!("keygen --set clock=test {options} {name}"));
        world.relay(&format!("export --der -N {name} -o {name}.out"));
        world.write(&format!("{name}.pub"), &identity_of(world, name));
    }
    for (name, kind) in [
        ("rhub", "gateway"),
        ("rhome", "gateway"),
        ("rfield", "gateway"),
        ("rend", "endpoint"),
        ("rinet", "endpoint"),
    ] {
        them.ask(&["node", name, kind]);
    }
    let ours = world.relay("inspect --id inet.pub");
    let read = them.ask(&["read-ncp", "rend", "inet.out"]);
    assert_eq!(read[..2], [ours.trim(), "inet.ours.example.org"]);
    let size = world.read("inet.out").len();
    world.row("connection parameters (NCP)", "us", them.name, size);

    them.ask(&[
        "write-ncp",
        "rinet",
        "rinet.theirs.example.org",
        "rinet.ncp",
    ]);
    let id = world.id("import -N inet --name rinet rinet.ncp");
    assert_eq!(id, world.id("inspect --id rinet.pub"));
    let size = world.read("rinet.ncp").len();
    world.row("connection parameters (NCP)", them.name, "us", size);
}

/// The DER public key of one of our nodes.
pub(super) fn identity_of(world: &World, name: &str) -> Vec<u8> {
    let node = Directory::open(&world.path(name)).unwrap();
    node.public().spki().to_vec()
}

/// Each side's Internet gateway registers a private gateway of its own and one of the other side, in three steps.
#[allow(clippy::too_many_lines)] // one story, told in order
pub(super) fn registrations(world: &mut World, them: &mut Reference) {
    // All ours, and all theirs, so that parcels have whole paths.
    world.relay("register -N hub --name home -o home.pnr home.pub");
    world.relay("import -N home --name hub home.pnr");
    world.relay("keygen -N home --endpoint anna --set clock=test");
    let anna = identity_of(world, "home/endpoints/anna");
    world.write("anna.pub", &anna);
    them.ask(&[
        "write-pnr",
        "rhub",
        THEIRS,
        "gateway",
        "rhome.pub",
        "rhome.pnr",
    ]);
    them.ask(&["read-pnr", "rhome", "rhome.pnr"]);
    them.ask(&[
        "write-pnr",
        "rhome",
        THEIRS,
        "endpoint",
        "rend.pub",
        "rend.pnr",
    ]);
    them.ask(&["read-pnr", "rend", "rend.pnr"]);

    // Their private gateway with our hub.
    world.relay("register -N hub --authorize --der -o rfield.pnra rfield.pub");
    if let Ok(data) = them.tell(&["read-pnra", "hub.pub", "rfield.pnra"]) {
        let digest = relaynet::crypto::sha256(&world.read("rfield.pub"));
        assert_eq!(data[0], relaynet::asn1::Hex(&digest).to_string());
        world.row(
            "registration authorization (PNRA)",
            "us",
            them.name,
            world.read("rfield.pnra").len(),
        );
        them.ask(&["write-pnrr", "rfield", "rfield.pnra", "rfield.pnrr"]);
        world.relay("register -N hub --complete --name rfield --der -o rfield.pnr rfield.pnrr");
        world.row(
            "registration request (PNRR)",
            them.name,
            "us",
            world.read("rfield.pnrr").len(),
        );
    } else {
        assert_ne!(them.name, "JavaScript");
        world.relay("register -N hub --name rfield --der -o rfield.pnr rfield.pub");
    }
    let read = them.ask(&["read-pnr", "rfield", "rfield.pnr"]);
    assert_eq!(read[..2], [world.id("inspect --id hub.pub").as_str(), OURS]);
    assert_ne!(read[2], "-", "a gateway gets a session key");
    world.row(
        "registration (PNR)",
        "us",
        them.name,
        world.read("rfield.pnr").len(),
    );

    // Our private gateway with their hub.
    if them
        .tell(&["write-pnra", "rhub", "field.pub", "field.pnra"])
        .is_ok()
    {
        world.row(
            "registration authorization (PNRA)",
            them.name,
            "us",
            world.read("field.pnra").len(),
        );
        world.relay("register -N field --request --der -o field.pnrr field.pnra");
        let read = them.ask(&["read-pnrr", "field.pnrr"]);
        assert_eq!(read[0], world.id("inspect --id field.pub"));
        world.row(
            "registration request (PNRR)",
            "us",
            them.name,
            world.read("field.pnrr").len(),
        );
    } else {
        assert_ne!(them.name, "JavaScript");
    }
    them.ask(&[
        "write-pnr",
        "rhub",
        THEIRS,
        "gateway",
        "field.pub",
        "field.pnr",
    ]);
    let id = world.id("import -N field --name rhub field.pnr");
    assert_eq!(id, world.id("inspect --id rhub.pub"));
    world.row(
        "registration (PNR)",
        them.name,
        "us",
        world.read("field.pnr").len(),
    );

    // Each side's private endpoint lets the other's send to it.
    world.relay(
        "authorize --der --rate 100/1d -N home/endpoints/anna --name rend -o anna.pecp rend.pub",
    );
    let read = them.ask(&["read-pecp", "rend", "anna.pecp"]);
    assert_eq!(
        read[..2],
        [world.id("inspect --id anna.pub").as_str(), OURS]
    );
    world.row(
        "private endpoint's parameters (PECP)",
        "us",
        them.name,
        world.read("anna.pecp").len(),
    );
    them.ask(&["write-pecp", "rend", THEIRS, "anna.pub", "rend.pecp"]);
    let id = world.id("import -N home/endpoints/anna rend.pecp");
    assert_eq!(id, world.id("inspect --id rend.pub"));
    world.row(
        "private endpoint's parameters (PECP)",
        them.name,
        "us",
        world.read("rend.pecp").len(),
    );
}

/// Parcels of every size, to private endpoints and to those on the Internet.
pub(super) fn parcels(world: &mut World, them: &mut Reference) {
    let anna = world.id("inspect --id anna.pub");
    let inet = world.id("inspect --id inet.pub");
    let sizes = SIZES.into_iter().chain([largest_content(world, them)]);
    for size in sizes {
        let octets = content(size);
        world.write("content", &octets);
        world.relay("seal -f -N home/endpoints/anna -t rend -o ours.parcel content");
        // As the endpoint itself trusts its own certificate, and its Internet gateway nothing but its own.
        for trust in ["rend.registered.der", "rhub.der"] {
            them.ask(&["open-parcel", "rend", "ours.parcel", trust, "opened"]);
            assert!(world.read("opened") == octets, "{size}");
        }
        let len = world.read("ours.parcel").len();
        world.row(&format!("parcel of {size}"), "us", them.name, len);
        if size == SIZES[2] {
            world.relay("seal -f -N inet -t rinet -o ours.parcel content");
            them.ask(&["open-parcel", "rinet", "ours.parcel", "any", "opened"]);
            assert!(world.read("opened") == octets);
            let len = world.read("ours.parcel").len();
            world.row("parcel to an Internet endpoint", "us", them.name, len);
        }
    }
    let sizes = SIZES.into_iter().chain([8_280_000]);
    for size in sizes {
        let octets = content(size);
        world.write("content", &octets);
        them.ask(&[
            "parcel",
            "rend",
            &anna,
            OURS,
            "content",
            "300",
            "theirs.parcel",
        ]);
        world.relay("verify -N hub theirs.parcel");
        world.relay("open -f -N home/endpoints/anna -o opened theirs.parcel");
        assert!(world.read("opened") == octets, "{size}");
        let len = world.read("theirs.parcel").len();
        world.row(&format!("parcel of {size}"), them.name, "us", len);
        if size == SIZES[2] {
            them.ask(&[
                "parcel",
                "rend",
                &inet,
                "inet.ours.example.org",
                "content",
                "300",
                "theirs.parcel",
            ]);
            world.relay("open -f -N inet -o opened theirs.parcel");
            assert!(world.read("opened") == octets);
            let len = world.read("theirs.parcel").len();
            world.row("parcel to an Internet endpoint", them.name, "us", len);
        }
    }
}

/// How much content the largest parcel of ours takes.
fn largest_content(world: &World, _them: &Reference) -> usize {
    let guess = 8_300_000;
    world.write("content", &content(guess));
    world.relay("seal -f -N home/endpoints/anna -t rend -o ours.parcel content");
    // Encryption rounds up to 16 octets.
    let len = guess + (LARGEST - world.read("ours.parcel").len()) / 16 * 16;
    world.write("content", &content(len));
    world.relay("seal -f -N home/endpoints/anna -t rend -o largest.parcel content");
    assert!(LARGEST - world.read("largest.parcel").len() < 16);
    len
}

/// Cargo and CCAs, to Internet gateways and, in answer to CCAs, to private ones.
#[allow(clippy::too_many_lines)] // one story, told in order
pub(super) fn cargo(world: &mut World, them: &mut Reference) {
    let hub = world.id("inspect --id hub.pub");
    let rhub = world.id("inspect --id rhub.pub");
    let field = world.id("inspect --id field.pub");
    let rfield = world.id("inspect --id rfield.pub");
    world.write("content", &content(700));
    world.relay("seal -f -N home/endpoints/anna -t rend -o small.parcel content");
    world.relay("ack -f -o small.pca small.parcel");
    let [small, pca, largest] =
        ["small.parcel", "small.pca", "largest.parcel"].map(|name| world.read(name));
    let thousand = [small.repeat(999), pca.clone()].concat();
    let sets: [(&str, usize, Vec<u8>); 4] = [
        ("cargo, empty", 0, Vec::new()),
        ("cargo of 1", 1, small.clone()),
        ("cargo of 1000", 1000, thousand),
        ("cargo, largest", 1, largest),
    ];
    for (what, count, items) in &sets {
        world.write("items", items);
        // To their Internet gateway, under the certificate that it gave us.
        if *count == 0 {
            empty_cargo(world, "field", &rhub);
        } else {
            world.relay("pack-cargo -f -N field -t rhub -o ours.cargo items");
        }
        let read = them.ask(&["open-cargo", "rhub", "ours.cargo", "rhub.der", "opened"]);
        assert_eq!(
            (read[0].as_str(), &read[4]),
            (field.as_str(), &count.to_string()),
            "{what}"
        );
        assert!(world.read("opened") == *items, "{what}");
        world.row(
            &format!("{what}, to an Internet gateway"),
            "us",
            them.name,
            world.read("ours.cargo").len(),
        );

        // To their private gateway, in answer to its CCA.
        if *count != 0 {
            them.ask(&["cca", "rfield", &hub, OURS, "hub.pub", "theirs.cca"]);
            world.relay("verify -N hub theirs.cca");
            world.relay("pack-cargo -q -f -N hub -t rfield --cca theirs.cca -o ours.cargo items");
            let read = them.ask(&["open-cargo", "rfield", "ours.cargo", "rfield.der", "opened"]);
            assert_eq!(
                (read[0].as_str(), &read[4]),
                (hub.as_str(), &count.to_string()),
                "{what}"
            );
            assert!(world.read("opened") == *items, "{what}");
            world.row("CCA", them.name, "us", world.read("theirs.cca").len());
            world.row(
                &format!("{what}, in answer to a CCA"),
                "us",
                them.name,
                world.read("ours.cargo").len(),
            );
        }

        // From their private gateway to our Internet gateway, and from their Internet gateway to our private one.
        let theirs = theirs(world, *count, &small, &pca, items);
        let files: Vec<&str> = theirs.iter().map(String::as_str).collect();
        let make = |them: &mut Reference, name: &str, id: &str, address: &str| {
            let words = [
                &["cargo", name, id, address, "theirs.cargo"],
                files.as_slice(),
            ]
            .concat();
            them.ask(&words)
        };
        make(them, "rfield", &hub, OURS);
        unpack(world, "hub", items);
        world.row(
            &format!("{what}, to an Internet gateway"),
            them.name,
            "us",
            world.read("theirs.cargo").len(),
        );

        world.relay("request-cargo -f -N field -t rhub -o ours.cca");
        let read = them.ask(&["open-cca", "rhub", "ours.cca", "rhub.der"]);
        assert_eq!(read[0], field);
        world.row("CCA", "us", them.name, world.read("ours.cca").len());
        make(them, "rhub", &field, "-");
        unpack(world, "field", items);
        world.row(
            &format!("{what}, in answer to a CCA"),
            them.name,
            "us",
            world.read("theirs.cargo").len(),
        );
    }
    assert_ne!(rfield, field);
}

/// The files that hold the items of a set.
fn theirs(world: &World, count: usize, small: &[u8], pca: &[u8], items: &[u8]) -> Vec<String> {
    if count == 0 {
        return Vec::new();
    }
    world.write("pca.item", pca);
    world.write("item", if count == 1 { items } else { small });
    let mut files = vec!["item".to_owned(); count.max(2) - 1];
    if count > 1 {
        files.push("pca.item".to_owned());
    }
    files
}

/// Unpacks `theirs.cargo`, which holds these items.
fn unpack(world: &World, node: &str, items: &[u8]) {
    let line = format!("unpack-cargo -f -N {node} -o opened theirs.cargo");
    world.relay(&line);
    assert!(world.read("opened") == items, "{line}");
}

/// Cargo without a message, which no program makes.
fn empty_cargo(world: &World, node: &str, gateway: &str) {
    let node = Directory::open(&world.path(node)).unwrap();
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let peer = node
        .carrier(node.find_gateway(gateway).unwrap(), now)
        .unwrap();
    let cipher = Cipher::Cbc { key_len: 16 };
    let sealer = Sealer::new(&node, peer, Kind::Cargo, cipher, now).unwrap();
    let end = sealer.end();
    let sent = send::cargo(&sealer, Buffer::with_capacity(0), end).unwrap();
    world.write("ours.cargo", sent.octets.as_slice());
}

/// Which of the deployed encodings of a rotation the other side has.
#[derive(Clone, Copy)]
pub(super) enum Rotations {
    OctetStrings,
    Certificates,
}

/// Acknowledgements and rotations.
pub(super) fn control_messages(world: &mut World, them: &mut Reference, rotations: Rotations) {
    let read = them.ask(&["read-pca", "small.pca"]);
    let parcel = world.inspect("small.parcel");
    let expected =
        ["sender", "recipient", "id"].map(|key| parcel[key].as_str().unwrap().to_owned());
    assert_eq!(read, expected);
    world.row(
        "acknowledgement (PCA)",
        "us",
        them.name,
        world.read("small.pca").len(),
    );
    them.ask(&[
        "write-pca",
        &expected[0],
        &expected[1],
        &expected[2],
        "theirs.pca",
    ]);
    assert_eq!(world.read("theirs.pca"), world.read("small.pca"));
    world.row(
        "acknowledgement (PCA)",
        them.name,
        "us",
        world.read("theirs.pca").len(),
    );

    let registered = world
        .path("hub/peers")
        .join(world.id("inspect --id rfield.pub"))
        .join("registered");
    let file = fs::read_dir(registered).unwrap().next().unwrap().unwrap();
    let path = certificates::path_from_octets(&fs::read(file.path()).unwrap()).unwrap();
    let form = match rotations {
        Rotations::OctetStrings => PathForm::OctetStrings,
        Rotations::Certificates => PathForm::Certificates,
    };
    let ours = Rotation { path, form }.to_octets();
    world.write("ours.rotation", &ours);
    let read = them.ask(&["read-rotation", "ours.rotation"]);
    assert_eq!(
        read,
        [
            world.id("inspect --id rfield.pub"),
            world.id("inspect --id hub.pub")
        ]
    );
    world.row("rotation", "us", them.name, ours.len());

    them.ask(&[
        "write-rotation",
        "rhub",
        "gateway",
        "field.pub",
        "theirs.rotation",
    ]);
    let id = world.id("import -N field theirs.rotation");
    assert_eq!(id, world.id("inspect --id rhub.pub"));
    assert_eq!(
        Rotation::parse(&world.read("theirs.rotation"))
            .unwrap()
            .form,
        form
    );
    world.row(
        "rotation",
        them.name,
        "us",
        world.read("theirs.rotation").len(),
    );
}

/// Ten turns each way, in which each side seals to the newest key of the other, and changes its own.
pub(super) fn conversation(world: &mut World, them: &mut Reference) {
    let anna = world.id("inspect --id anna.pub");
    let mut newest_of_theirs: Option<String> = None;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for turn in 0..10_i64 {
        let text = format!("turn {turn} of ours").into_bytes();
        world.write("content", &text);
        let at = ago(3000 - 200 * turn);
        world.relay(&format!(
            "seal -q -f --now {at} -N home/endpoints/anna -t rend -o turn.parcel content"
        ));
        let payload = &world.inspect("turn.parcel")["payload"];
        let [sealed_to, sent] = ["recipient_key_id", "originator_key_id"]
            .map(|key| payload[key].as_str().unwrap().to_owned());
        let read = them.ask(&[
            "open-parcel",
            "rend",
            "turn.parcel",
            "rend.registered.der",
            "opened",
        ]);
        assert_eq!(world.read("opened"), text);
        assert_eq!([&read[2], &read[3]], [&sealed_to, &sent]);
        if let Some(newest) = &newest_of_theirs {
            assert_eq!(
                sealed_to, *newest,
                "turn {turn}: not sealed to their newest key"
            );
        }
        ours.push(sent.clone());

        let text = format!("turn {turn} of theirs").into_bytes();
        world.write("content", &text);
        // Dated between our turns.
        let age = (3000 - 200 * turn - 100 + 300).to_string();
        them.ask(&[
            "parcel",
            "rend",
            &anna,
            OURS,
            "content",
            &age,
            "turn.parcel",
        ]);
        let payload = &world.inspect("turn.parcel")["payload"];
        assert_eq!(
            payload["recipient_key_id"],
            sent.as_str(),
            "turn {turn}: not sealed to our newest key"
        );
        newest_of_theirs = Some(payload["originator_key_id"].as_str().unwrap().to_owned());
        theirs.extend(newest_of_theirs.clone());
        let at = ago(3000 - 200 * turn - 100);
        world.relay(&format!(
            "open -q -f --now {at} -N home/endpoints/anna -o opened turn.parcel"
        ));
        assert_eq!(world.read("opened"), text);
    }
    for keys in [&mut ours, &mut theirs] {
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 10, "each turn brings a new key");
    }
    world.row("conversation, 10 turns each way", "both", "both", 0);
}
