//! The client that Internet gateways and endpoints run, against relay-serve.

use std::process::Command;

use super::World;
use super::javascript::installed;
use super::poweb::{Gateway, certify};

#[test]
fn the_pohttp_client_delivers_to_relay_serve() {
    let world = World::new();
    certify(&world);
    world.relay("keygen -q --address shop.example.org shop");
    world.relay("keygen -q bert");
    world.relay("export -N shop -o shop.params");
    world.relay("import -q -N bert --name shop shop.params");
    world.write("content", b"an order");
    world.relay("seal -N bert -t shop -o order content");
    let mut tampered = world.read("order");
    *tampered.last_mut().unwrap() ^= 1;
    world.write("tampered", &tampered);
    world.write("nonsense", b"nonsense");
    // One that is for another address.
    world.relay("keygen -q --address other.example.org other");
    world.relay("export -N other -o other.params");
    world.relay("import -q -N bert --name other other.params");
    world.relay("seal -N bert -t other -o strange content");

    let server = Gateway::serve(&world, "shop");
    let output = Command::new("node")
        .arg(installed().join("pohttp.cjs"))
        .arg(format!("https://127.0.0.1:{}", server.port))
        .args(["order", "order", "tampered", "strange", "nonsense"])
        .current_dir(world.dir.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("NODE_EXTRA_CA_CERTS", world.path("ca.pem"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let rejected = "PoHTTPInvalidParcelError: Server rejected parcel:";
    let expected = [
        "delivered order 202".to_owned(),
        "delivered order 202".to_owned(),
        format!("refused tampered {rejected} bad signature"),
        format!("refused strange {rejected} it is not for this server"),
        "refused nonsense PoHTTPClientBindingError: Server rejected request due to protocol \
         violation (HTTP 400): not a Relaynet message"
            .to_owned(),
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{errors}");
    drop(server);
    world.relay("route -q -N shop");
    assert_eq!(world.relay("list -q -N shop").lines().count(), 1);
}
