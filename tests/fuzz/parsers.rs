//! Each parser, given octets that anybody may have made, and what must hold of whatever it accepts.
//!
//! The fuzz targets and `tests/corpus.rs` run these.

#![allow(clippy::unwrap_used)] // a panic is how a finding shows

use std::borrow::Cow;

use relaynet::archive::read::{ArchivedFile, TarReader};
use relaynet::archive::{MAX_DEPTH, MAX_PATH_LEN};
use relaynet::asn1::ber::{self, Framer, Framing};
use relaynet::asn1::{Buffer, Cursor, Element, pem, tag};
use relaynet::cms::{EnvelopedData, SignedData};
use relaynet::crypto::Secret;
use relaynet::crypto::pbes2::EncryptedKey;
use relaynet::message::parts::{self, Ledger, PartStream};
use relaynet::message::pdd::{MAX_LEN, MAX_SERIALS, RevocationScope};
use relaynet::message::registration::{RegistrationAuthorization, RegistrationRequest};
use relaynet::message::stream::Stream;
use relaynet::message::successor;
use relaynet::message::{
    CargoMessageSet, CollectionRequest, Item, NodeConnectionParams, Object, Part, Pca, Pdd,
    PrivateEndpointConnectionParams, Registration, Rotation, ServiceMessage, SuccessorNotice,
    cargo, message_set,
};
use relaynet::node::{key_file, revocations};
use relaynet::pki::{Certificate, PublicKey, RateLimit};
use relaynet::ramf::{Kind, SignedMessage, limits};
use relaynet::receive::AUTHORIZATION_TYPE;
use relaynet::session::agreement::Sealed;
use relaynet::transfer::join::{Join, Site};

/// A parser with its name.
pub(crate) type Parser = (&'static str, fn(&[u8]));

/// All of them.
#[allow(dead_code)] // a fuzz target runs one
pub(crate) const ALL: [Parser; 17] = [
    ("ber", ber),
    ("pem", pem),
    ("certificate", certificate),
    ("signed_data", signed_data),
    ("enveloped_data", enveloped_data),
    ("signed_message", signed_message),
    ("service_message", service_message),
    ("cargo", cargo),
    ("parameters", parameters),
    ("item", item),
    ("stream", stream),
    ("parts", parts),
    ("archive", archive),
    ("object", object),
    ("encrypted_key", encrypted_key),
    ("key_file", key_file),
    ("revocations", revocations),
];

pub(crate) fn ber(octets: &[u8]) {
    // The same end is found whether the octets come at once or piece by piece.
    let at_once = Framer::default().advance(octets, limits::MAX_MESSAGE_LEN);
    let mut framer = Framer::default();
    let mut have = 0;
    let piecewise = loop {
        match framer.advance(&octets[..have], limits::MAX_MESSAGE_LEN) {
            Ok(Framing::Needs(needed)) if have < octets.len() => {
                assert!(needed > have, "asks for what it has");
                have = needed.min(octets.len());
            }
            other => break other,
        }
    };
    if let Ok(Framing::Ends(end)) = at_once {
        assert!(end <= octets.len(), "ends outside of the octets");
        assert_eq!(
            piecewise,
            Ok(Framing::Ends(end)),
            "found another end piece by piece"
        );
        let mut cursor = Cursor::ber(octets);
        let element = cursor.any().unwrap().unwrap();
        assert_eq!(element.whole().len(), end, "the walk ends elsewhere");
    }
    let mut cursor = Cursor::ber(octets);
    while let Ok(Some(element)) = cursor.any() {
        let mut len = 0;
        let segments = element.segments(|segment| len += segment.len());
        if let Ok(joined) = element.joined() {
            assert!(
                segments.is_ok() && joined.len() == len,
                "joined to another length"
            );
        }
        if element.tag() & !0x20 == tag::OCTET_STRING {
            let mut copy = element.whole().to_vec();
            let len = copy.len();
            let in_place =
                ber::join_in_place(&mut copy, 0..len).map(|joined| copy[joined].to_vec());
            assert_eq!(
                in_place.ok(),
                element.joined().ok().map(Cow::into_owned),
                "joined differently in place"
            );
        }
        let _ = (
            element.oid(),
            element.small_integer(),
            element.bit_string(),
            element.boolean(),
        );
    }
    if let Ok(element) = Element::der(octets, tag::SEQUENCE) {
        assert_eq!(element.whole(), octets, "octets after the value");
    }
}

pub(crate) fn pem(octets: &[u8]) {
    if let Ok(blocks) = pem::blocks(octets) {
        assert!(!blocks.is_empty(), "no block is no PEM");
        for block in blocks {
            let again = pem::encode(block.label, &block.contents);
            let again = pem::blocks(again.as_bytes()).unwrap();
            assert_eq!(
                again[0].contents, block.contents,
                "another content when written again"
            );
        }
    }
    let _ = (pem::is_pem(octets), pem::private_key(octets));
}

pub(crate) fn certificate(octets: &[u8]) {
    let _ = PublicKey::parse(octets);
    if let Ok(certificate) = Certificate::parse(octets) {
        assert_eq!(certificate.octets(), octets, "octets were changed");
        let _ = certificate.verify_signature(certificate.key());
        let _ = (
            certificate.subject_common_name(),
            certificate.issuer_common_name(),
        );
        let _ = (
            certificate.path_len(),
            certificate.is_self_issued(),
            certificate.id().to_string(),
        );
        if let Some(rate) = certificate.rate_limit() {
            let again = RateLimit::new(rate.parcels(), rate.period());
            assert_eq!(again, Ok(rate), "a rate that nodes do not count");
            assert!(rate.to_string().contains('/'));
        }
    }
}

pub(crate) fn signed_data(octets: &[u8]) {
    if let Ok(signed) = SignedData::parse(octets) {
        let (content, signer, _, signature) = signed.into_parts();
        let _ = signature.verify(&signer, content.as_deref().unwrap_or_default());
    }
}

pub(crate) fn enveloped_data(octets: &[u8]) {
    if let Ok(enveloped) = EnvelopedData::parse(octets) {
        for len in [16, 24, 32] {
            let _ = enveloped.decrypt_in_place(&vec![7; len].into(), &mut octets.to_vec());
        }
    }
    let _ = Sealed::parse(octets).map(|sealed| sealed.originator_key_id());
}

pub(crate) fn signed_message(octets: &[u8]) {
    if let Ok(message) = SignedMessage::parse(octets.to_vec()) {
        assert_eq!(message.octets(), octets, "octets were changed");
        assert!(
            message.payload().len() <= limits::MAX_PAYLOAD_LEN,
            "payload over its limit"
        );
        assert!(
            (1..=limits::MAX_ID_LEN).contains(&message.fields().id.len()),
            "id out of its limits"
        );
        assert!(
            message.fields().expiry() >= message.fields().date,
            "expires before its date"
        );
        let _ = message.verify_signature();
        enveloped_data(message.payload());
    }
}

pub(crate) fn service_message(octets: &[u8]) {
    if let Ok(message) = ServiceMessage::parse(octets.to_vec()) {
        assert!(message.media_type().len() + message.content().len() < octets.len());
        assert!(
            message
                .media_type()
                .bytes()
                .all(|octet| (0x20..0x7f).contains(&octet))
        );
        // A renewed or reverse authorization is imported, whoever sends it.
        if message.media_type() == AUTHORIZATION_TYPE {
            object(message.content());
        }
    }
}

/// What is sealed in cargo and in a CCA.
pub(crate) fn cargo(octets: &[u8]) {
    if let Ok(set) = CargoMessageSet::parse(octets.to_vec()) {
        let messages: Vec<&[u8]> = set.messages().collect();
        assert_eq!(messages.len(), set.len(), "another number of messages");
        let sizes: Vec<usize> = messages.iter().map(|message| message.len()).collect();
        let len: usize = sizes.iter().map(|&size| message_set::item_len(size)).sum();
        assert!(len < octets.len(), "more octets than came in");
        let mut again = Buffer::with_capacity(len);
        for message in &messages {
            message_set::append_header(&mut again, message.len());
            again.append(message);
        }
        message_set::wrap(&mut again);
        assert_eq!(again.as_slice(), octets, "another set when written again");
        if sizes.iter().all(|&size| size <= limits::MAX_ITEM_LEN) {
            let mut packed = cargo::distribute(&sizes, cargo::ROOM).concat();
            packed.sort_unstable();
            assert!(packed.into_iter().eq(0..sizes.len()), "not each once");
        }
    }
    let _ = CollectionRequest::parse_within(octets, 0..octets.len());
}

pub(crate) fn parameters(octets: &[u8]) {
    if let Ok(parameters) = NodeConnectionParams::parse(octets) {
        let written = parameters.to_der();
        let again = NodeConnectionParams::parse(&written).unwrap();
        assert_eq!(
            again.to_der(),
            written,
            "other parameters when written again"
        );
    }
    if let Ok(parameters) = PrivateEndpointConnectionParams::parse(octets) {
        let written = parameters.to_der();
        let again = PrivateEndpointConnectionParams::parse(&written).unwrap();
        assert_eq!(
            again.to_der(),
            written,
            "other parameters when written again"
        );
    }
    if let Ok(registration) = Registration::parse(octets) {
        let _ = registration.verify();
        let again = Registration::parse(&registration.to_der()).unwrap();
        assert_eq!(
            again, registration,
            "another registration when written again"
        );
    }
    if let Ok(request) = RegistrationRequest::parse(octets) {
        let _ = request.verify();
        let again = RegistrationRequest::parse(&request.to_der()).unwrap();
        assert_eq!(again, request, "another request when written again");
    }
    if let Ok(authorization) = RegistrationAuthorization::parse(octets) {
        let again = RegistrationAuthorization::parse(&authorization.to_der()).unwrap();
        assert_eq!(again, authorization, "another promise when written again");
    }
    if let Ok(notice) = SuccessorNotice::parse(octets) {
        assert!(octets.len() <= successor::MAX_LEN && notice.octets() == octets);
        let _ = notice.verify();
    }
}

pub(crate) fn item(octets: &[u8]) {
    let _ = Item::parse(octets.to_vec());
    if let Ok(pca) = Pca::parse(octets) {
        let again = Pca::parse(&pca.to_octets()).unwrap();
        assert_eq!(again, pca, "another acknowledgement when written again");
    }
    if let Ok(pdd) = Pdd::parse(octets) {
        assert!(octets.len() <= MAX_LEN && pdd.scope.len() <= MAX_SERIALS);
        assert!(pdd.scope.covers(&pdd.scope) && RevocationScope::All.covers(&pdd.scope));
        if let RevocationScope::Serials(serials) = &pdd.scope {
            assert!(serials.iter().all(|serial| pdd.scope.includes(serial)));
            assert!(!pdd.scope.covers(&RevocationScope::All) && !serials.is_empty());
        }
        if let Ok(revoker) = pdd.verify() {
            assert_eq!(revoker.issuer_key().id(), pdd.issuer, "the key of another");
        }
    }
    if let Ok(rotation) = Rotation::parse(octets) {
        let _ = rotation.verify();
        let again = Rotation::parse(&rotation.to_octets()).unwrap();
        assert_eq!(again, rotation, "another rotation when written again");
    }
}

/// Hands out one octet at a time at first, then ever more.
struct Dribble<'a>(&'a [u8], usize);

impl std::io::Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1 += 1;
        let len = buffer.len().min(self.0.len()).min(self.1);
        let (now, later) = self.0.split_at(len);
        buffer[..len].copy_from_slice(now);
        self.0 = later;
        Ok(len)
    }
}

pub(crate) fn stream(octets: &[u8]) {
    let take = |input: &mut dyn std::io::Read| {
        let mut stream = Stream::new(input);
        let mut messages = Vec::new();
        while let Some(next) = stream.next_message() {
            messages.push(next.map_err(|error| error.to_string()));
        }
        messages
    };
    let messages = take(&mut &*octets);
    assert_eq!(
        take(&mut Dribble(octets, 0)),
        messages,
        "other messages from a slow input"
    );
    let failed = messages.iter().position(Result::is_err);
    assert!(
        failed.is_none_or(|at| at + 1 == messages.len()),
        "went on after an error"
    );
    let good: Vec<Vec<u8>> = messages.into_iter().flatten().collect();
    assert!(
        good.iter().map(Vec::len).sum::<usize>() <= octets.len(),
        "more octets than came in"
    );
    // A PEM block is taken whole, whatever is in it.
    let has_pem = octets.windows(5).any(|window| window == b"-----");
    if !has_pem {
        let again: Vec<Vec<u8>> = take(&mut &*good.concat()).into_iter().flatten().collect();
        assert_eq!(again, good, "other messages when concatenated again");
    }
}

pub(crate) fn parts(octets: &[u8]) {
    if let Ok(part) = Part::parse(octets) {
        let mut again = Buffer::with_capacity(part.content().len());
        again.append(part.content());
        parts::wrap(&mut again, part.header()).unwrap();
        assert_eq!(again.as_slice(), octets, "another part when written again");
    }
    let take = |input: &mut dyn std::io::Read| {
        let mut stream = PartStream::new(input);
        let mut parts = Vec::new();
        let mut buffer = Vec::new();
        while let Some(next) = stream.next_part(&mut buffer) {
            let part = std::mem::take(&mut buffer);
            parts.push(next.map(|_| part).map_err(|error| error.to_string()));
        }
        parts
    };
    let taken = take(&mut &*octets);
    assert_eq!(
        take(&mut Dribble(octets, 0)),
        taken,
        "other parts from a slow input"
    );
    let failed = taken.iter().position(Result::is_err);
    assert!(
        failed.is_none_or(|at| at + 1 == taken.len()),
        "went on after an error"
    );
    let good: Vec<Vec<u8>> = taken.into_iter().flatten().collect();
    assert!(
        octets.starts_with(&good.concat()),
        "other octets than came in"
    );
    let mut good = good.iter().filter_map(|part| Part::parse(part).ok());
    let Some(first) = good.next() else {
        return;
    };
    // What is only said costs nothing: the file has holes, and only what came is read back. Not every file
    // system takes a file as long as may be said.
    let Ok(mut join) = Join::begin(&first, Site::aside(&std::env::temp_dir())) else {
        return;
    };
    let mut ledger = Ledger::of(first.header());
    ledger.note(&first).unwrap();
    for part in good {
        let noted = ledger.note(&part).ok();
        let added = join.add(&part);
        if added.is_err() {
            return;
        }
        assert_eq!(added.ok(), noted, "joined, but contradicts");
    }
    let is_complete = ledger.is_complete();
    let missing = ledger.missing();
    assert_eq!(
        missing.ranges.is_empty(),
        is_complete,
        "complete, and something is missing"
    );
    if let Ok(whole) = join.verify() {
        assert!(is_complete, "verified, and something is missing");
        let mut len = 0;
        let counted = whole.copy(|block| {
            len += block.len() as u64;
            Ok::<_, relaynet::disk::Error>(())
        });
        counted.unwrap();
        assert_eq!(ledger.len(), Some(len), "another length than said");
    }
}

pub(crate) fn archive(octets: &[u8]) {
    let whole = archived(octets, octets.len());
    assert_eq!(
        archived(octets, 1),
        whole,
        "other entries from a slow input"
    );
    // What is behind a checksum is never reached by chance.
    let mut summed = octets.to_vec();
    let headers = summed.chunks_exact_mut(512);
    for header in headers.filter(|header| header[257..262] == *b"ustar") {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|octet| u32::from(*octet)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    archived(&summed, summed.len()).ok();
}

/// The entries of an archive that comes in pieces of this many octets.
fn archived(octets: &[u8], piece: usize) -> Result<Vec<ArchivedFile>, String> {
    let slow = Pieces { octets, piece };
    let mut reader = TarReader::new(slow, octets.len() as u64);
    let mut files = Vec::new();
    loop {
        let file = match reader.next_file() {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(files),
            Err(error) => return Err(error.to_string()),
        };
        assert!((1..=MAX_DEPTH).contains(&file.names.len()));
        assert!(file.path().len() <= MAX_PATH_LEN);
        let leads_elsewhere =
            |name: &String| matches!(&**name, "" | "." | "..") || name.contains(['/', '\0']);
        assert!(!file.names.iter().any(leads_elsewhere), "{file:?}");
        assert!(file.len <= octets.len() as u64 && (!file.is_dir || file.len == 0));
        let mut block = [0; 100];
        let mut len = 0;
        loop {
            match reader.content(&mut block) {
                Ok(0) => break,
                Ok(read) => len += read as u64,
                Err(error) => return Err(error.to_string()),
            }
        }
        assert_eq!(len, file.len);
        files.push(file);
    }
}

/// Octets that are read in pieces.
struct Pieces<'a> {
    octets: &'a [u8],
    piece: usize,
}

impl std::io::Read for Pieces<'_> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let len = room.len().min(self.piece);
        std::io::Read::read(&mut self.octets, &mut room[..len])
    }
}

/// What relay-import and relay-inspect take from anybody.
pub(crate) fn object(octets: &[u8]) {
    if let Ok(object) = Object::parse(octets) {
        assert!(!object.word().is_empty() && !object.phrase().is_empty());
        let _ = (object.digest(), object.address());
        if let Some(key) = object.identity_key() {
            assert_eq!(object.node(), Some(key.id()), "the id of another key");
        }
        if let Object::PrivateEndpointConnectionParams(params) = &object {
            parameters(&params.to_der());
        }
    }
}

/// Keys that are derived, of the lengths that ciphers take.
fn derived() -> [Secret; 3] {
    [16, 24, 32].map(|len| vec![7; len].into())
}

/// A private key under a passphrase. Nothing is derived, since that takes as long as the parameters say, within bounds.
pub(crate) fn encrypted_key(octets: &[u8]) {
    let Ok(encrypted) = EncryptedKey::parse(octets) else {
        return;
    };
    assert!(EncryptedKey::is_in(octets), "taken for another key");
    for key in derived() {
        let _ = encrypted.open(&key);
        let again = EncryptedKey::seal(encrypted.derivation(), &key, b"a key").unwrap();
        let again = EncryptedKey::parse(&again).unwrap();
        assert_eq!(again.derivation(), encrypted.derivation());
        assert_eq!(**again.open(&key).unwrap(), *b"a key");
    }
}

/// A file with a key and headers, plain or encrypted.
pub(crate) fn key_file(octets: &[u8]) {
    let open = |encrypted: &EncryptedKey| {
        let opened = derived().iter().find_map(|key| encrypted.open(key).ok());
        let pkcs8: Vec<u8> = opened.map(|pkcs8| pkcs8.to_vec()).unwrap_or_default();
        Ok(pkcs8.into())
    };
    let is_encrypted = key_file::is_encrypted(octets);
    let read = key_file::private_from_text(octets, None, &open);
    assert!(is_encrypted.is_ok() || read.is_err(), "read, and malformed");
    if let Ok((key, headers, _)) = read {
        let written = key_file::private_to_text(&key, &headers, None).unwrap();
        let (again, again_headers, has_id) =
            key_file::private_from_text(written.as_bytes(), None, &open).unwrap();
        assert!(has_id && again.public() == key.public());
        assert!(again_headers.get("Key-Id").is_some());
    }
    if let Ok((key, headers)) = key_file::public_from_text(octets) {
        let written = key_file::public_to_text(&key, &headers);
        let (again, _) = key_file::public_from_text(written.as_bytes()).unwrap();
        assert_eq!(again, key, "another key when written again");
    }
    let headers = key_file::headers_of(octets);
    let _ = headers.key_id();
}

/// The deauthorizations that a node keeps, as if somebody had written into its directory: a file, or its name.
pub(crate) fn revocations(octets: &[u8]) {
    if let Ok(name) = std::str::from_utf8(octets)
        && let Some(end) = revocations::end_in_name(name)
    {
        let digits: String = end.to_string().split(['-', ':']).collect();
        assert!(name.starts_with(&digits), "{name} is not of {end}");
        assert_eq!(name.len(), digits.len() + 1 + 64 + 4, "{name}");
    }
    if !octets.starts_with(&Kind::Pdd.signature()) {
        return;
    }
    let here = format!("{}-{:?}", std::process::id(), std::thread::current().id());
    let dir = std::env::temp_dir().join(format!("relay-revoked-{here}"));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join(format!("20260901T000000Z.{}.pdd", "0".repeat(64)));
    std::fs::write(&file, octets).unwrap();
    let stored = revocations::stored_in(&dir);
    let parsed = Pdd::parse(octets);
    std::fs::remove_dir_all(&dir).unwrap();
    match (stored, parsed) {
        (Ok(stored), Ok(parsed)) => {
            assert_eq!(stored.len(), 1);
            assert_eq!(stored[0].pdd.scope, parsed.scope);
            assert!(stored[0].end <= parsed.expiry, "counts longer than it says");
        }
        (stored, parsed) => assert!(stored.is_err() && parsed.is_err()),
    }
}
