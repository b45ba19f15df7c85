//! Objects as JSON values with stable keys. A key is null if the object lacks that fact.

use serde_json::{Map, Value, json};

use crate::asn1::Hex;
use crate::asn1::hex::groups;
use crate::cms::enveloped_data::Cipher;
use crate::crypto::hash::{Digest, sha256};
use crate::message::pdd::RevocationScope;
use crate::message::registration::{RegistrationAuthorization, RegistrationRequest};
use crate::message::{CertificationPath, Item, Object, Registration, SuccessorNotice};
use crate::pki::{Certificate, PublicKey};
use crate::ramf::{InternetAddress, SignedMessage};
use crate::session::{PublicSessionKey, Sealed};

/// The facts about an object: `kind`, then those of its kind.
#[must_use]
pub fn object(object: &Object) -> Map<String, Value> {
    let mut facts = Map::new();
    facts.insert("kind".to_owned(), json!(object.word()));
    let own = match object {
        Object::Message(item) => item_facts(item),
        Object::Certificates(certificates) => json!({
            "certificates": certificates.iter().map(certificate).collect::<Vec<_>>(),
        }),
        Object::Path(path) => path_facts(path),
        Object::IdentityKey(key) => json!({ "node": node(key) , "private": false }),
        Object::PrivateIdentityKey(key) => json!({ "node": node(key), "private": true }),
        Object::SessionKey(key, id) => {
            let id = id.as_ref().map(ToString::to_string);
            json!({ "key_id": id, "curve": key.curve().to_string(), "sha256": hex(&sha256(&key.spki())), "private": false })
        }
        Object::PrivateSessionKey(key, id) => {
            let id = id.as_ref().map(ToString::to_string);
            json!({ "key_id": id, "curve": key.curve().to_string(), "sha256": hex(&sha256(&key.spki())), "private": true })
        }
        Object::NodeConnectionParams(params) => json!({
            "node": node(&params.identity),
            "address": params.address.as_str(),
            "session_key": session_key(&params.session_key),
        }),
        Object::PrivateEndpointConnectionParams(params) => json!({
            "node": node(&params.identity),
            "gateway_address": params.gateway_address.as_str(),
            "authorization": path_facts(&params.authorization),
            "session_key": session_key(&params.session_key),
        }),
        Object::Registration(registration) => registration_facts(registration),
        Object::SuccessorNotice(notice) => successor_facts(notice),
        Object::RegistrationAuthorization(authorization) => authorization_facts(authorization),
        Object::RegistrationRequest(request) => request_facts(request),
        Object::Challenge(nonce) => json!({ "nonce": hex(nonce) }),
        Object::Response(signatures) => json!({
            "signatures": signatures.iter().map(|signature| hex(&sha256(signature))).collect::<Vec<_>>(),
        }),
        Object::ParcelDelivery { id, parcel } => json!({
            "id": id, "parcel_size": parcel.len(), "parcel_sha256": hex(&sha256(parcel)),
        }),
        Object::Signature(signer) => json!({ "signer": certificate(signer) }),
        Object::ServiceMessage(message) => json!({
            "type": message.media_type(),
            "content_size": message.content().len(),
            "content_sha256": hex(&sha256(message.content())),
        }),
        Object::CargoMessageSet(messages) => json!({
            "messages": messages.messages().map(|message| json!({
                "size": message.len(), "sha256": hex(&sha256(message)),
            })).collect::<Vec<_>>(),
        }),
        Object::CargoCollectionRequest(request) => {
            json!({ "authorization": certificate(&request.authorization) })
        }
    };
    if let Value::Object(own) = own {
        facts.extend(own);
    }
    if let Some(digest) = object.digest() {
        facts.insert("sha256".to_owned(), json!(hex(&digest)));
        facts.insert("digits".to_owned(), json!(groups(&digest)));
    }
    facts
}

/// The facts about a peer's session key, with its date.
#[must_use]
pub fn peer_session_key(
    key: &PublicSessionKey,
    date: jiff::Timestamp,
    sealed_until: Option<jiff::Timestamp>,
) -> Value {
    let mut facts = session_key(key);
    if let Value::Object(facts) = &mut facts {
        facts.insert("date".to_owned(), json!(date.to_string()));
        facts.insert(
            "sealed_until".to_owned(),
            json!(sealed_until.map(|until| until.to_string())),
        );
    }
    facts
}

fn item_facts(item: &Item) -> Value {
    match item {
        Item::Parcel(parcel) => message(parcel.as_ref()),
        Item::Cargo(cargo) => message(cargo.as_ref()),
        Item::Cca(cca) => message(cca.as_ref()),
        Item::Pca(pca) => json!({
            "sender": pca.sender.to_string(), "recipient": pca.recipient.to_string(), "id": pca.parcel_id,
        }),
        Item::Rotation(rotation) => {
            let form = match rotation.form {
                crate::message::certification_path::PathForm::OctetStrings => "octet-strings",
                crate::message::certification_path::PathForm::Certificates => "certificates",
            };
            json!({ "form": form, "path": path_facts(&rotation.path) })
        }
        Item::Pdd(pdd) => {
            let serials = match &pdd.scope {
                RevocationScope::All => None,
                RevocationScope::Serials(serials) => {
                    Some(serials.iter().map(|serial| hex(serial)).collect::<Vec<_>>())
                }
            };
            json!({
                "issuer": pdd.issuer.to_string(),
                "signer": pdd.signer().to_string(),
                "all": serials.is_none(),
                "serials": serials,
                "expiry": pdd.expiry.to_string(),
                "certificates": pdd.certificates().map(certificate).collect::<Vec<_>>(),
            })
        }
    }
}

fn message(message: &SignedMessage) -> Value {
    let fields = message.fields();
    json!({
        "recipient": fields.recipient.to_string(),
        "address": fields.address.as_ref().map(InternetAddress::as_str),
        "sender": message.sender().to_string(),
        "id": fields.id,
        "date": fields.date.to_string(),
        "ttl": fields.ttl,
        "expiry": fields.expiry().to_string(),
        "size": message.octets().len(),
        "sender_certificate": certificate(message.sender_certificate()),
        "attached": message.attached().iter().map(certificate).collect::<Vec<_>>(),
        "payload": payload(message.payload()),
    })
}

fn payload(octets: &[u8]) -> Value {
    let mut facts = Map::new();
    facts.insert("size".to_owned(), json!(octets.len()));
    facts.insert("sha256".to_owned(), json!(hex(&sha256(octets))));
    match Sealed::parse(octets) {
        Ok(sealed) => {
            let agreement = sealed.agreement();
            let kdf = match agreement.kdf {
                Digest::Sha256 => "SHA-256",
                Digest::Sha384 => "SHA-384",
                Digest::Sha512 => "SHA-512",
            };
            facts.insert(
                "recipient_key_id".to_owned(),
                json!(sealed.recipient_key_id().to_string()),
            );
            let originator = sealed.originator_key_id().map(|id| id.to_string());
            facts.insert("originator_key_id".to_owned(), json!(originator));
            facts.insert("cipher".to_owned(), json!(cipher(sealed.cipher())));
            facts.insert("kdf".to_owned(), json!(kdf));
            facts.insert(
                "key_wrap".to_owned(),
                json!(format!("AES-{}", agreement.wrap_key_len * 8)),
            );
            facts.insert("error".to_owned(), Value::Null);
        }
        // Not an error: the message is well-formed, and only the recipient can judge its payload.
        Err(error) => {
            facts.insert("error".to_owned(), json!(error.to_string()));
        }
    }
    Value::Object(facts)
}

fn cipher(cipher: Cipher) -> String {
    let mode = match cipher {
        Cipher::Cbc { .. } => "CBC",
        Cipher::Gcm { .. } => "GCM",
    };
    format!("AES-{}-{mode}", cipher.key_len() * 8)
}

fn path_facts(path: &CertificationPath) -> Value {
    json!({
        "leaf": certificate(&path.leaf),
        "authorities": path.authorities.iter().map(certificate).collect::<Vec<_>>(),
    })
}

fn registration_facts(registration: &Registration) -> Value {
    json!({
        "node_certificate": certificate(&registration.node),
        "gateway_certificate": certificate(&registration.gateway),
        "gateway_address": registration.gateway_address.as_str(),
        "session_key": registration.session_key.as_ref().map(session_key),
    })
}

fn successor_facts(notice: &SuccessorNotice) -> Value {
    let said = notice.unverified();
    let params = said.params.as_ref();
    json!({
        "old": node(&said.old),
        "new": node(&said.new),
        "peer": said.peer.to_string(),
        "date": said.date.to_string(),
        "gateway_address": params.map(|params| params.gateway_address.as_str()),
        "authorization": params.map(|params| path_facts(&params.authorization)),
        "session_key": params.map(|params| session_key(&params.session_key)),
        "signed_by_both": notice.verify().is_ok(),
    })
}

fn authorization_facts(authorization: &RegistrationAuthorization) -> Value {
    json!({ "expiry": authorization.expiry.to_string(), "gateway_data": hex(&authorization.gateway_data) })
}

fn request_facts(request: &RegistrationRequest) -> Value {
    json!({
        "node": node(&request.node),
        "authorization": authorization_facts(&request.authorization),
        "authorization_sha256": hex(&sha256(&request.authorization_octets)),
    })
}

fn node(key: &PublicKey) -> Value {
    json!({ "id": key.id().to_string(), "fingerprint": key.id().fingerprint() })
}

fn session_key(key: &PublicSessionKey) -> Value {
    json!({
        "key_id": key.id().to_string(),
        "curve": key.curve().to_string(),
        "sha256": hex(&sha256(&key.spki())),
    })
}

fn certificate(certificate: &Certificate) -> Value {
    json!({
        "subject": certificate.id().to_string(),
        "subject_common_name": certificate.subject_common_name(),
        "issuer_common_name": certificate.issuer_common_name(),
        "issuer_key_id": certificate.authority_key_id().map(hex),
        "serial": hex(certificate.serial()),
        "from": certificate.not_before().to_string(),
        "until": certificate.not_after().to_string(),
        "ca": certificate.is_ca(),
        "path_length": certificate.path_len(),
        "rate": certificate.rate_limit().map(|rate| rate.to_string()),
        "sha256": hex(&certificate.sha256()),
    })
}

fn hex(octets: &[u8]) -> String {
    Hex(octets).to_string()
}
