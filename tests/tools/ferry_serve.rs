//! relay-ferry and relay-serve: a site, a courier and an Internet gateway, with none but our programs. Everything is on
//! loopback.

use crate::online::hub::{HOST, Hub};
use crate::online::server::Server;
use crate::testenv::{Env, HUB, id};

/// The hub on the Internet, a courier with the medium red, and the gateway, who is offline.
struct Trip {
    hub: Hub,
    courier: Server,
}

impl Trip {
    fn new() -> Self {
        let env = Env::with_gateways();
        // What is for bob waits at the hub for mallory.
        env.write("hub/routes", "* peer:mallory\n");
        env.chmod("hub/routes", 0o600);
        env.mkdir("red");
        let init = env.relay("sync").args(["-N", "hub", "--init", "red"]);
        init.ok().quiet();
        let hub = Hub::of(env);
        let port = hub.server.port();
        hub.resolver.add_service("_awala-crc", HUB, HOST, port);
        hub.resolver.add_address(HOST);
        let courier = hub.env.relay("serve").args(["--courier", "red", "-v"]);
        let courier = Server::start(courier);
        Self { hub, courier }
    }

    fn put(&self, node: &str, ends: (&str, &str), message: &str) {
        let env = &self.hub.env;
        let parcel = env.parcel_with(ends.0, ends.1, message.as_bytes(), &["--id", message]);
        let put = env.relay("put").args(["-N", node]);
        put.stdin(parcel).ok();
        self.route(node);
    }

    /// The server routes by itself, too.
    fn route(&self, node: &str) {
        let route = self.hub.env.relay("route");
        route.args(["--wait", "60s", "-N", node]).ok();
    }

    /// The gateway is at the courier.
    fn sync(&self) -> String {
        let address = format!("127.0.0.1:{}", self.courier.port());
        let options = ["-v", "-N", "gateway", "--sync", "--courier-address"];
        let ferry = self.hub.env.relay("ferry").args(options).arg(&address);
        ferry.args(["--pause", "0s"]).ok().stderr
    }

    /// The courier is on the Internet.
    fn take(&self) -> String {
        let options = ["-v", "red", "--private", "--pause", "0s"];
        self.hub.networked("ferry").args(options).ok().stderr
    }

    fn count(&self, dir: &str) -> usize {
        if self.hub.env.path(dir).exists() {
            self.hub.env.names(dir).len()
        } else {
            0
        }
    }
}

#[test]
fn a_courier_takes_cargo_to_the_internet_and_brings_what_is_there() {
    let trip = Trip::new();
    trip.put("gateway", ("alice", "bob"), "m1");
    let said = trip.sync();
    assert!(said.contains("event=delivered"), "{said}");
    let (cargo, cca) = (
        format!("red/relaynet/cargo/{}", id("hub")),
        format!("red/relaynet/cca/{}", id("hub")),
    );
    assert_eq!((trip.count(&cargo), trip.count(&cca)), (1, 1), "{said}");
    // A parcel for alice waits at the hub meanwhile, which mallory brought.
    trip.put("mallory", ("bob", "alice"), "r1");
    let env = &trip.hub.env;
    env.relay("sync")
        .args(["-N", "mallory", "--init", "stick"])
        .ok();
    env.write(
        "hub/routes",
        format!("{} peer:gateway\n* peer:mallory\n", id("alice")),
    );
    let sync = env.relay("sync").args(["-N", "hub", "stick"]);
    sync.args(["--wait", "60s"]).ok();
    trip.route("hub");
    let said = trip.take();
    assert!(said.contains("event=delivered"), "{said}");
    assert_eq!((trip.count(&cargo), trip.count(&cca)), (0, 0), "{said}");
    assert!(said.contains("event=received"), "{said}");
    // The hub has the parcel, and passes it on.
    trip.route("hub");
    assert_eq!(trip.count(&format!("hub/spool/out/{}", id("mallory"))), 1);
    let said = trip.sync();
    assert!(said.contains("event=stored"), "{said}");
    trip.route("gateway");
    let mailbox = format!("gateway/spool/out/{}", id("alice"));
    assert_eq!(trip.count(&mailbox), 1, "{said}");
    // Acknowledgements go the same way, and everything ends.
    for _ in 0..2 {
        trip.take();
        trip.route("hub");
        trip.sync();
        trip.route("gateway");
    }
    assert_eq!(trip.count(&format!("hub/spool/out/{}", id("gateway"))), 0);
    assert_eq!(trip.count(&mailbox), 1, "nothing comes twice");
    let errors = [trip.courier.errors(), trip.hub.server.errors()];
    assert!(errors.concat().is_empty(), "{errors:?}");
}
