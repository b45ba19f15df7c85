//! Parcels of 1 KiB, made by the library.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use relaynet::asn1::Buffer;
use relaynet::cms::enveloped_data::Cipher;
use relaynet::node::Directory;
use relaynet::send::{self, Draft, Sent};

/// Seals so many parcels from a node for bert, and hands each to `each`, with the node.
pub(crate) fn seal(node: &Path, parcels: usize, mut each: impl FnMut(&Directory, Sent)) {
    let node = Directory::open(node).unwrap();
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let draft = Draft {
        media_type: "application/octet-stream",
        ttl: SignedDuration::from_hours(24 * 30),
        id: None,
        cipher: Cipher::Cbc { key_len: 16 },
        now,
    };
    let peer = node.find_recipient("bert").unwrap();
    for _ in 0..parcels {
        let mut content = Buffer::with_capacity(1024);
        content.append(&[7; 1024]);
        each(&node, send::parcel(&node, peer, content, &draft).unwrap());
    }
}
