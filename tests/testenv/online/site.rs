//! Nodes of a test with what they need to go online: an authority, a resolver and the gateway of the hub.

use relaynet::pki::NodeId;

use super::{Authority, Gateway, Resolver};
use crate::testenv::{Call, Env, HUB, copy_tree, id};

/// The server of the hub.
pub(crate) const HOST: &str = "poweb.hub.example.org";

/// Nodes, and servers for them.
pub(crate) struct Site {
    /// The nodes of [`Env::with_gateways`].
    pub(crate) env: Env,
    /// The authority, in `ca.pem`.
    pub(crate) authority: Authority,
    /// The resolver, which knows the hub's address.
    pub(crate) resolver: Resolver,
    /// The hub's server.
    pub(crate) gateway: Gateway,
}

impl Site {
    /// The gateways, all registered, and no parcels.
    pub(crate) fn new() -> Self {
        Self::of(Env::with_gateways())
    }

    /// Servers for these nodes.
    pub(crate) fn of(env: Env) -> Self {
        let authority = Authority::new();
        authority.write(&env);
        let resolver = Resolver::start(&authority);
        let gateway = Gateway::start(&env, "hub", &authority, HOST);
        gateway.announce(&resolver, HUB, HOST);
        Self {
            env,
            authority,
            resolver,
            gateway,
        }
    }

    /// Servers for a copy of these nodes.
    pub(crate) fn copy_of(made: &Env) -> Self {
        let env = Env::new();
        copy_tree(made.root(), env.root());
        Self::of(env)
    }

    /// A run of relay-online at a node.
    pub(crate) fn online(&self, node: &str) -> Call<'_> {
        self.networked("online").args(["-N", node])
    }

    /// A run of a program that uses the resolver and believes the authority.
    pub(crate) fn networked(&self, program: &str) -> Call<'_> {
        let url = self.resolver.url();
        let call = self.env.relay(program);
        call.args(["--resolver", &url, "--ca", "ca.pem"])
    }

    /// Puts a parcel into the spool of a node and routes it.
    pub(crate) fn put(&self, node: &str, parcel: impl Into<Vec<u8>>) {
        put(&self.env, node, parcel);
    }

    /// The names in a queue of a node.
    pub(crate) fn queue(&self, node: &str, queue: &str) -> Vec<String> {
        let dir = format!("{node}/spool/{queue}");
        if self.env.path(&dir).exists() {
            self.env.names(&dir)
        } else {
            Vec::new()
        }
    }

    /// What waits at a node for the hub.
    pub(crate) fn waiting(&self, node: &str) -> Vec<String> {
        self.queue(node, &format!("out/{}", id("hub")))
    }

    /// What relay-list says of a message: its status, and its state.
    pub(crate) fn state(&self, node: &str, message: &str) -> (i32, String) {
        let list = self.env.relay("list");
        let output = list.args(["-N", node, "--id", message]).output();
        let text = String::from_utf8(output.stdout).unwrap();
        let word = text.split('\t').next().unwrap_or_default().trim();
        (output.status.code().unwrap(), word.to_owned())
    }

    /// The state of the hub's server that a node keeps.
    pub(crate) fn host(&self, node: &str) -> serde_json::Value {
        let dir = format!("{node}/spool/hosts");
        let [name] = &self.env.names(&dir)[..] else {
            panic!("not one host");
        };
        serde_json::from_slice(&self.env.read(format!("{dir}/{name}"))).unwrap()
    }
}

/// Puts a parcel into the spool of a node and routes it.
pub(crate) fn put(env: &Env, node: &str, parcel: impl Into<Vec<u8>>) {
    let put = env.relay("put").args(["-q", "-N", node]);
    put.stdin(parcel).ok().quiet();
    env.relay("route").args(["-q", "-N", node]).ok().quiet();
}

/// The id of one of the nodes.
pub(crate) fn node_id(name: &str) -> NodeId {
    id(name).parse().unwrap()
}

/// Checks all rows of a table at once, since most of the time they wait.
pub(crate) fn each_at_once<T: Send>(table: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        let check = &check;
        let rows = table.into_iter().map(|row| scope.spawn(move || check(row)));
        let rows: Vec<_> = rows.collect();
        for row in rows {
            if let Err(panic) = row.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}
