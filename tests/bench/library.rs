//! What the library takes in memory: parse, verify, seal and open.
//!
//! `cargo bench --bench library`; `RELAY_BENCH_RUNS` says how often each is run (21 times by default).

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a bench that cannot go on may as well stop

use jiff::{SignedDuration, Timestamp};
use relaynet::asn1::Buffer;
use relaynet::cms::EnvelopedData;
use relaynet::cms::enveloped_data::Cipher;
use relaynet::crypto::ecdh::Curve;
use relaynet::message::{ServiceMessage, service_message};
use relaynet::pki::issuance::{self, CertificateRole};
use relaynet::pki::{Certificate, IdentityKey, Trust, Window};
use relaynet::ramf::{Fields, Kind, SignedMessage, Valid};
use relaynet::session::{PrivateSessionKey, Sealed, agreement};

#[path = "ber.rs"]
mod ber;
#[path = "measure.rs"]
mod measure;

use measure::Samples;

/// bob, who may send to alice.
struct Pair {
    bob: IdentityKey,
    alice: Trust,
    authorization: Certificate,
    issuer: Certificate,
    of_alice: PrivateSessionKey,
    of_bob: PrivateSessionKey,
    fields: Fields,
    window: Window,
}

fn main() {
    // Makes glibc keep freed memory from here on: else the first figures have its page faults in them.
    drop(std::hint::black_box(vec![1_u8; 30_000_000]));
    let pair = Pair::new();
    println!("ms                              median     min");
    for (size, len) in [("1 KiB", 1024), ("8 MB", 8_000_000)] {
        for (form, cipher) in [
            ("CBC", Some(Cipher::Cbc { key_len: 16 })),
            ("GCM", Some(Cipher::Gcm { key_len: 16 })),
            ("BER", None),
        ] {
            let content = vec![7; len];
            let octets = match cipher {
                Some(cipher) => pair.seal(&content, cipher).as_slice().to_vec(),
                None => pair.seal_in_ber(&content),
            };
            let show = |what: &str, samples: &Samples| {
                let name = format!("{what} {size} {form}");
                println!("{name:<28} {:9.3} {:7.3}", samples.median(), samples.min());
            };
            let runs = measure::number("RELAY_BENCH_RUNS", 21);

            if let Some(cipher) = cipher {
                show(
                    "seal",
                    &Samples::repeat(runs, || pair.seal(&content, cipher)),
                );
            }
            let (mut parse, mut verify, mut open) =
                (Samples::default(), Samples::default(), Samples::default());
            for _ in 0..runs {
                let octets = octets.clone();
                let message = parse.time(|| SignedMessage::parse(octets)).unwrap();
                let message = verify.time(|| Valid::check(message, &pair.window)).unwrap();
                let content_len = open.time(|| pair.open(message));
                assert_eq!(content_len, len);
            }
            show("parse", &parse);
            show("verify", &verify);
            show("authorize and open", &open);
            let message = SignedMessage::parse(octets).unwrap();
            show(
                "parse the payload of",
                &Samples::repeat(runs, || EnvelopedData::parse(message.payload()).is_ok()),
            );
        }
    }
}

fn content_buffer(content: &[u8]) -> Buffer {
    let mut buffer = Buffer::with_capacity(content.len() + 4096);
    buffer.append(content);
    service_message::wrap(&mut buffer, "application/octet-stream").unwrap();
    buffer
}

impl Pair {
    fn new() -> Self {
        let [alice, bob] = [(); 2].map(|()| {
            let pkcs8 = IdentityKey::generate(2048).unwrap();
            IdentityKey::from_pkcs8(pkcs8.as_bytes()).unwrap()
        });
        let [of_alice, of_bob] =
            [(); 2].map(|()| PrivateSessionKey::generate(Curve::P256).unwrap());
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
        let validity = (
            now - issuance::BACKDATED,
            now + SignedDuration::from_hours(24 * 90),
        );
        let issuer = issuance::issue(
            &alice,
            None,
            alice.public(),
            CertificateRole::Endpoint,
            validity,
        )
        .unwrap();
        let authorization = issuance::issue(
            &alice,
            Some(&issuer),
            bob.public(),
            CertificateRole::DeliveryAuthorization(None),
            validity,
        )
        .unwrap();
        let fields = Fields {
            recipient: alice.id(),
            address: None,
            id: "d0a4ee43-3c7a-4a1f-8f9c-0d6f7b1d2f60".to_owned(),
            date: now,
            ttl: 86_400,
        };
        Self {
            alice: Trust::key(alice.public().clone()),
            authorization,
            issuer,
            bob,
            of_alice,
            of_bob,
            fields,
            window: Window::new(now, SignedDuration::from_hours(2)),
        }
    }

    fn seal(&self, content: &[u8], cipher: Cipher) -> Buffer {
        let content = content_buffer(content);
        let payload = agreement::seal(content, cipher, self.of_alice.public(), &self.of_bob);
        let certificates = [&self.authorization, &self.issuer];
        let (payload, fields) = (payload.unwrap(), &self.fields);
        SignedMessage::seal(payload, Kind::Parcel, fields, &self.bob, &certificates).unwrap()
    }

    fn seal_in_ber(&self, content: &[u8]) -> Vec<u8> {
        let parts = ber::Parts {
            fields: &self.fields,
            identity: &self.bob,
            certificates: &[&self.authorization, &self.issuer],
            recipient: self.of_alice.public(),
            originator: &self.of_bob,
        };
        ber::parcel(content_buffer(content), &parts)
    }

    /// Opens a parcel and gives the length of its content.
    fn open(&self, message: Valid) -> usize {
        let authorized = message.authorize(&self.alice, &[], &self.window).unwrap();
        let sealed = Sealed::parse(authorized.message().payload()).unwrap();
        let (_, mut octets, payload) = authorized.into_message().into_payload();
        let keys = std::slice::from_ref(&self.of_alice);
        let opened = sealed
            .open_in_place(keys, &mut octets[payload.clone()])
            .unwrap();
        let plaintext =
            payload.start + opened.plaintext.start..payload.start + opened.plaintext.end;
        ServiceMessage::parse_within(octets, plaintext)
            .unwrap()
            .content()
            .len()
    }
}
