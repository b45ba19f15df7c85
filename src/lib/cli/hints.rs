//! Hints: what a user can do about an error.

use super::errors::{Fatal, ForNeighbour, ForTerminal, LeakedKey, LonePart, Unchecked};
use super::escape;
use crate::disk::{self, FileRole, Operation};
use crate::message::scanned;
use crate::node::nearest::Nearest;
use crate::node::succession::Succession;
use crate::ramf::{Kind, limits};
use crate::spool::QueueKind;
use crate::transfer::join;
use crate::{
    archive, asn1, command, deliver, medium, message, node, outbox, pki, ramf, route, spool,
};

/// The hint for an error or one of its causes, if there is one.
#[must_use]
pub fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(hint_for)
}

fn hint_for(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<disk::Error>() {
        return hint_for_disk(error);
    }
    if let Some(error) = cause.downcast_ref::<spool::Error>() {
        return hint_for_spool(error);
    }
    if let Some(error) = cause.downcast_ref::<route::Error>() {
        return hint_for_route(error);
    }
    if let Some(error) = cause.downcast_ref::<medium::Error>() {
        return hint_for_medium(error);
    }
    #[cfg(feature = "online")]
    if let Some(hint) = super::online_hints::hint_for_online(cause, &hint_for) {
        return hint;
    }
    if let Some(error) = cause.downcast_ref::<deliver::Error>() {
        return hint_for_deliver(error);
    }
    if let Some(error) = cause.downcast_ref::<outbox::Error>() {
        return hint_for_outbox(error);
    }
    match cause.downcast_ref::<join::Error>() {
        Some(join::Error::Missing(_)) => {
            let text = "run it again with the missing parts added, in any order";
            return Some(text.to_owned());
        }
        Some(join::Error::Disk(error)) => return hint_for_disk(error),
        _ => {}
    }
    if let Some(error) = cause.downcast_ref::<archive::Error>() {
        return hint_for_archive(error);
    }
    match cause.downcast_ref() {
        Some(Fatal::Aside(_)) => {
            return Some("set TMPDIR to another directory for temporary files".to_owned());
        }
        Some(Fatal::Output(error)) => return hint_for_disk(error),
        None => {}
    }
    if let Some(hint) = hint_for_command_line(cause) {
        return Some(hint);
    }
    if let Some(error) = cause.downcast_ref::<node::Error>() {
        return hint_for_node(error);
    }
    if let Some(error) = cause.downcast_ref::<node::DirectoryError>() {
        return hint_for_directory(error);
    }
    if let Some(error) = cause.downcast_ref::<node::PeerError>() {
        return hint_for_peer(error);
    }
    if let Some(hint) = hint_for_node_cause(cause) {
        return Some(hint.to_owned());
    }
    if let Some(error) = cause.downcast_ref::<pki::Error>() {
        return hint_for_pki(error);
    }
    if let Some(error) = cause.downcast_ref::<message::Error>() {
        return hint_for_message(error);
    }
    if let Some(asn1::Error::Utf16) = cause.downcast_ref() {
        return Some(AS_UTF8.to_owned());
    }
    cause.downcast_ref().and_then(hint_for_ramf)
}

/// For errors of the programs about what they were asked.
fn hint_for_command_line(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    if cause.is::<LeakedKey>() {
        return Some(LEAKED.to_owned());
    }
    if cause.is::<Unchecked>() {
        return Some("relay-register --complete checks and registers it".to_owned());
    }
    if let Some(ForNeighbour { node, .. }) = cause.downcast_ref() {
        return Some(format!(
            "it is for another node here: -N {}",
            escape::path(node)
        ));
    }
    if cause.is::<LonePart>() {
        return Some(
            "relay-open PARCEL... | relay-join -o FILE puts all parts together; -d DIR writes each into a file"
                .to_owned(),
        );
    }
    if cause.is::<ForTerminal>() {
        return Some("use -o FILE, or -o - to write it to the terminal anyway".to_owned());
    }
    None
}

fn hint_for_message(error: &message::Error) -> Option<String> {
    match error {
        message::Error::Ramf(error) => hint_for_ramf(error),
        message::Error::Malformed {
            cause: asn1::Error::Utf16,
            ..
        } => Some(AS_UTF8.to_owned()),
        message::Error::Malformed {
            what: scanned::KEY_TEXT,
            ..
        } => Some("scan the code again, or take the key as a file".to_owned()),
        message::Error::TooManySerials { .. } => Some(MANY_SERIALS.to_owned()),
        message::Error::LoneDigest => Some("relay-import --expect takes them".to_owned()),
        _ => None,
    }
}

fn hint_for_node(error: &node::Error) -> Option<String> {
    use node::Error as E;
    let text = match error {
        E::UnreadablePeer { cause, .. } => return hint_for_node(cause),
        E::Disk(error) => return hint_for_disk(error),
        E::Ramf(error) => return hint_for_ramf(error),
        E::Message(error) => return hint_for_message(error),
        E::Asn1(asn1::Error::Utf16) => Some(AS_UTF8),
        E::Pki(error) => return hint_for_pki(error),
        E::Directory(error) => return hint_for_directory(error),
        E::Peer(error) => return hint_for_peer(error),
        E::Authorization(error) => hint_for_authorization(error),
        E::SessionKey(error) => hint_for_session_key(error),
        E::Replay(error) => Some(hint_for_replay(error)),
        E::Import(error) => hint_for_import(error),
        E::Passphrase(error) => hint_for_passphrase(error),
        _ => None,
    };
    text.map(str::to_owned)
}

/// What can be done about one of the causes of [`node::Error`] that stands alone.
fn hint_for_node_cause(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    (cause.downcast_ref().and_then(hint_for_authorization))
        .or_else(|| cause.downcast_ref().and_then(hint_for_session_key))
        .or_else(|| cause.downcast_ref().map(hint_for_replay))
        .or_else(|| cause.downcast_ref().and_then(hint_for_import))
        .or_else(|| cause.downcast_ref().and_then(hint_for_passphrase))
}

fn hint_for_directory(error: &node::DirectoryError) -> Option<String> {
    use node::DirectoryError as E;
    let text = match error {
        E::Anothers { user: None, .. } => {
            "map that user into this user namespace, or run it outside"
        }
        E::Anothers {
            user: Some(user),
            us: None,
            ..
        } => {
            return Some(format!(
                "as that user: runuser -u {user} -- relay-...; root would leave files there that {user} cannot change"
            ));
        }
        E::Anothers { .. } => {
            "only a node's own user may use it: -N or RELAY_NODE names another node"
        }
        E::Writable { path, .. } => {
            return Some(format!(
                "chmod go-w {}; a file system without modes, such as FAT, cannot hold a node",
                escape::path(path)
            ));
        }
        E::NotANode(_) => "relay-keygen makes one; -N or RELAY_NODE names another",
        E::Backup(path) => {
            return Some(format!(
                "never use it beside the node that it is of; relay-check -N {} --restored makes it a node",
                escape::path(path)
            ));
        }
        E::Locked { cause, .. } => return hint_for_passphrase(cause).map(str::to_owned),
        E::Succeeded { .. } => {
            "that node takes its place: relay-keygen --successor with its directory goes on with it"
        }
        E::TestClock => "only a node made with relay-keygen --set clock=test takes it",
        E::NotAGateway(_) => {
            "use -N with the directory of a gateway; relay-keygen --type gateway makes one"
        }
        E::UnknownGroup(_) => "make the group, or change the setting group in the node's config",
        _ => return None,
    };
    Some(text.to_owned())
}

fn hint_for_passphrase(error: &node::PassphraseError) -> Option<&'static str> {
    use node::PassphraseError as E;
    Some(match error {
        E::Missing => {
            "--passphrase-file names a file with it, --passphrase-fd a descriptor: relay-node(5)"
        }
        E::Refused(_) => "openssl-pkcs8(1) encrypts it anew",
        E::File {
            cause: disk::Error::Exposed { .. },
            ..
        } => "chmod 600 that file: anybody who reads it opens the keys",
        _ => return None,
    })
}

fn hint_for_peer(error: &node::PeerError) -> Option<String> {
    use node::PeerError as E;
    let text = match error {
        E::BadName(name) => {
            return node::peers::nearest_name(name).map(|name| format!("{name} can be one"));
        }
        E::Unknown(_) | E::Mistyped { .. } => {
            "relay-peers lists known peers; use a name, an id, or its first 16 digits"
        }
        E::UnknownAlias { .. } => "a line in the node's aliases would define it: relay-node(5)",
        E::Ambiguous { .. } => "give more digits, or a name",
        E::ShortId(_) => "use the peer's name, or at least 16 digits: relay-peers shows both",
        E::NameTaken { .. } => "choose another name, or rename that peer with relay-peers --rename",
        E::NamedAlready(_) => "relay-peers --rename changes it",
        E::ManyMembers(_) => return None,
    };
    Some(text.to_owned())
}

fn hint_for_authorization(error: &node::AuthorizationError) -> Option<&'static str> {
    use node::AuthorizationError as E;
    Some(match error {
        E::NotAuthorized(_) => {
            "send them what relay-export prints, and import what their relay-authorize makes of it"
        }
        E::NotRegistered(_) => {
            "send it what relay-export prints, and import what its relay-register makes of it"
        }
        E::NotCarrier(_) => {
            "register with it (relay-register), answer its CCA (--cca), or let it authorize this gateway (relay-authorize)"
        }
        E::Withdrawn { .. } => "relay-authorize gives it another one",
        E::TakenBack { .. } => {
            "ask them for a new authorization (relay-authorize), and import that"
        }
        E::Revoked { .. } => "only a new authorization of the recipient helps (relay-authorize)",
        E::AllRevoked(_) => "make a new node (relay-keygen), and authorize peers there",
        E::TooManyRevoked(_) => MANY_SERIALS,
        E::NotGiven(_) => "relay-revoke -n PEER shows the serial numbers of a peer",
        E::UnknownCarrier(_) => "relay-register or relay-authorize makes it known again",
        E::EndpointCarrier(_) => "relay-register --type gateway registers it as a gateway",
        E::Expired { .. } => RENEW_AUTHORIZATION,
        E::RegistrationExpired { .. } => RENEW_REGISTRATION,
        E::Early { .. } | E::RegistrationEarly { .. } => "check this clock",
        E::OverRate(_) => {
            "relay-open --again and relay-route --retry let this one pass; relay-authorize --rate gives another rate"
        }
        E::CcaEnds { .. } => "ask the gateway for a new one (relay-request-cargo)",
        _ => return None,
    })
}

const MANY_SERIALS: &str =
    "relay-revoke --all revokes what a node gave without naming each authorization";
const RENEW_AUTHORIZATION: &str =
    "ask them for new connection parameters (relay-authorize), and import those";
const RENEW_REGISTRATION: &str = "let it register this node anew (relay-register), and import that";

fn hint_for_session_key(error: &node::SessionKeyError) -> Option<&'static str> {
    use node::SessionKeyError as E;
    Some(match error {
        E::Expired { .. } => RENEW_AUTHORIZATION,
        E::RegistrationExpired { .. } => RENEW_REGISTRATION,
        E::Missing(_) => {
            "let them authorize this node (relay-authorize), or register it as a gateway (relay-register --type gateway), and import that"
        }
        E::Unknown(_) => {
            "it was deleted, or is another node's: let the sender relay-import --replace new connection parameters"
        }
        _ => return None,
    })
}

fn hint_for_replay(error: &node::ReplayError) -> &'static str {
    use node::ReplayError as E;
    match error {
        E::Seen => "--again opens it once more, while its session key exists",
        E::Unjudged => "--again opens it all the same, while its session key exists",
        E::SentByAnother { .. } => {
            "--again opens it all the same, while its session key exists; quote nothing of it in an answer"
        }
        E::Claimed(_) => "run it again when that one has ended",
        E::CcaUsed => "each is good for one answer: ask the gateway for a new one",
    }
}

fn hint_for_import(error: &node::ImportError) -> Option<&'static str> {
    use node::ImportError as E;
    Some(match error {
        E::NotImportable("public-key" | "certificate") => "relay-authorize takes it",
        E::NotImportable("private-key") => LEAKED,
        E::NotImportable("parcel") => "relay-open takes it",
        E::Pinned(_) => "--replace takes it all the same; first make sure that it is genuine",
        E::Expectation { .. } => {
            "the file was damaged or exchanged on its way: get it again, over an authentic channel"
        }
        E::NoSuccessor(_) => {
            "relay-peers shows those that wait; a file with a notice is imported first"
        }
        E::SuccessorDigits(_) => {
            "take no other: ask by voice for the fingerprint of the new node (relay-inspect shows it)"
        }
        E::OtherSuccessors(_) => Succession::NO_ROOM,
        _ => return None,
    })
}

/// The queue that was meant by a mistyped one.
fn nearest_queue(text: &str) -> Option<String> {
    let of_nodes = QueueKind::ALL.map(QueueKind::folder);
    if let Some((folder, node)) = text.split_once('/') {
        let meant = Nearest::of(folder, of_nodes)?;
        return Some(format!("{meant}/{}", escape::escaped(node)));
    }
    Nearest::of(text, of_nodes.into_iter().chain(["in", "failed"]))
}

fn hint_for_spool(error: &spool::Error) -> Option<String> {
    use spool::Error as E;
    let text = match error {
        E::Locked => "--wait DURATION waits for it",
        E::Quota { .. } => {
            "deliver or remove what waits (relay-list shows it), or raise quota in the node's config"
        }
        E::OverQuota { .. } => {
            "raise quota in the node's config, or ask for smaller parts (relay-split --size)"
        }
        E::Reserve { .. } => "the setting reserve in the node's config bounds it",
        E::Closed(_) => "relay-check names the owner and mode that it should have",
        E::Control(_) => "cargo that relay-sync unpacks may bring it",
        E::NoQueue(text) => {
            let lists = "relay-list without one lists them all";
            return Some(match nearest_queue(text) {
                Some(meant) => format!("did you mean {meant}? {lists}"),
                None => lists.to_owned(),
            });
        }
        E::ClockBehind { again, .. } | E::ClockAhead { again, .. } => {
            let text = match again {
                Some(again) => format!(
                    "check this clock; if it is right, a run from {again} on purges, or one of relay-purge --trust-clock"
                ),
                None => "check this clock; if it is right, relay-purge --trust-clock purges by it"
                    .to_owned(),
            };
            return Some(text);
        }
        E::AmbiguousMessage { .. } => "name one of them in full",
        E::NotSetAside { .. } => "relay-list failed lists what was set aside",
        E::UnknownMessage(text) if has_few_digits(text) => {
            "give at least 16 digits of it, as relay-list shows them"
        }
        E::UnknownMessage(_) => "relay-list lists what waits, relay-list failed what was set aside",
        E::HandedOn | E::Outdated | E::OtherContent => return None,
        E::Node(error) => return hint_for(error),
        E::Disk(error) => return hint_for_disk(error),
    };
    Some(text.to_owned())
}

/// Whether a text may be the first digits of something, and there are too few of them.
fn has_few_digits(text: &str) -> bool {
    (8..16).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_hexdigit())
}

fn hint_for_route(error: &route::Error) -> Option<String> {
    use route::Error as E;
    match error {
        E::NoRoute { is_direct_off: true, .. } => Some(
            "direct = fallback in the node's config lets relay-post deliver it to its recipient's server: relay-node(5)".to_owned(),
        ),
        E::NoRoute { .. } | E::Back(_) => {
            Some("a line in the node's routes would say where to: relay-routes(5)".to_owned())
        }
        E::Spool(error) => hint_for_spool(error),
        E::Node(error) => hint_for(error),
        E::Message(error) => hint_for(error),
        E::Disk(error) => hint_for_disk(error),
        E::NoDirectory(_) => Some("the node's routes lead there: relay-routes(5)".to_owned()),
        E::Command(error) => hint_for_command(error),
        E::Table { .. } | E::NotShown | E::Kind(_) | E::NoControl(_) => None,
    }
}

fn hint_for_medium(error: &medium::Error) -> Option<String> {
    use medium::Error as E;
    match error {
        E::NotAMedium(_) => {
            Some("mount it; --init makes a new one, --if-present succeeds without it".to_owned())
        }
        E::Broken(_) => Some("--init gives it a new one; the files on it stay".to_owned()),
        E::Damaged => Some(
            "remove it: its sender writes it again on the next visit, else only after resend-after"
                .to_owned(),
        ),
        E::Unrouted(error) => hint_for_route(error),
        E::Loop => Some("relay-route -n shows where messages go: relay-routes(5)".to_owned()),
        E::Spool(error) => hint_for_spool(error),
        E::Node(error) => hint_for(error),
        E::Message(error) => hint_for(error),
        E::Unreadable(error) | E::Disk(error) => hint_for_disk(error),
        E::InTheWay(_) => {
            Some("remove it: a medium holds no links and no files of others".to_owned())
        }
        E::NotAPlace(_) => Some("name the directory that the stick is mounted on".to_owned()),
        E::Replaces => Some(
            "remove from spool/in what is no message: the cargo stays on the medium for the next run"
                .to_owned(),
        ),
        E::Version(_) | E::NotADirectory(_) | E::SameMedium(_) | E::OtherSender => None,
    }
}

fn hint_for_deliver(error: &deliver::Error) -> Option<String> {
    use deliver::Error as E;
    match error {
        E::NotAMaildir(_) => Some("a Maildir has the folders tmp, new and cur".to_owned()),
        E::TooManyParts(_) => Some(
            "the next run looks at others; if this goes on, ask the sender, or remove parts that will never be complete".to_owned(),
        ),
        E::Import(error) | E::Node(error) | E::Late { cause: error, .. } => hint_for(error),
        E::Spool(error) => hint_for_spool(error),
        E::Disk(error) | E::Join(join::Error::Disk(error)) => hint_for_disk(error),
        E::Parts { cause, .. } => hint_for_deliver(cause),
        E::Archive(error) => hint_for_archive(error),
        E::Command(error) => hint_for_command(error),
        E::Part(_) | E::Type(_) | E::Join(_) => None,
    }
}

fn hint_for_outbox(error: &outbox::Error) -> Option<String> {
    use outbox::Error as E;
    match error {
        E::OverQuota { .. } => {
            Some("raise quota in the node's config, or send it as several files".to_owned())
        }
        E::Spool(spool::Error::OverQuota { .. }) => {
            Some("raise quota in the node's config".to_owned())
        }
        E::OfNode(_) => Some("name a place outside, or single files".to_owned()),
        E::Archive(error) => hint_for_archive(error),
        E::Message(error) => hint_for_message(error),
        E::Node(error) => hint_for_node(error),
        E::Spool(error) => hint_for_spool(error),
        E::Disk(error) => hint_for_disk(error),
        _ => None,
    }
}

fn hint_for_archive(error: &archive::Error) -> Option<String> {
    use archive::Error as E;
    match error {
        E::Malformed { .. } | E::Unsuitable(..) => {
            Some("without --extract the archive is written as a file".to_owned())
        }
        E::Unsteady(_) => Some("try again when no program writes to it".to_owned()),
        E::Disk(error) => hint_for_disk(error),
        _ => None,
    }
}

fn hint_for_command(error: &command::Error) -> Option<String> {
    match error {
        command::Error::NotRun { cause, .. }
            if cause.kind() == std::io::ErrorKind::ArgumentListTooLong =>
        {
            Some("run this with fewer or shorter variables, as env -i does".to_owned())
        }
        command::Error::TimedOut { .. } if error.is_settled() => {
            Some("if it needs more time, give it with --timeout".to_owned())
        }
        command::Error::TimedOut { .. } => Some(
            "if it needs more time, give it with --timeout; a message is set aside after three"
                .to_owned(),
        ),
        command::Error::Hangs { .. } => Some(
            "try it by hand: it may wait for something that is down, or for a terminal".to_owned(),
        ),
        _ => None,
    }
}

fn hint_for_ramf(error: &ramf::Error) -> Option<String> {
    match error {
        ramf::Error::Expired(_) => {
            Some("ask the sender for a new one, or check this clock".to_owned())
        }
        ramf::Error::Kind { found, .. } => {
            let text = match found {
                Kind::Parcel => "relay-open takes it",
                Kind::Cargo => "relay-unpack-cargo takes it",
                Kind::Cca => "relay-pack-cargo --cca answers it",
                _ => return None,
            };
            Some(text.to_owned())
        }
        ramf::Error::TooLong {
            part: "content" | "parcel",
            limit: limits::MAX_EMITTED_PARCEL_LEN,
            ..
        } => Some(SPLIT.to_owned()),
        ramf::Error::Pki(error) => hint_for_pki(error),
        ramf::Error::Early(_) => Some("check this clock; --clock-drift allows for more".to_owned()),
        _ => None,
    }
}

fn hint_for_pki(error: &pki::Error) -> Option<String> {
    match error {
        pki::Error::Expired { .. } => {
            Some("a new one is needed, unless this clock is wrong".to_owned())
        }
        pki::Error::Early { .. } => {
            Some("check this clock; --clock-drift allows for more".to_owned())
        }
        _ => None,
    }
}

/// The hint for UTF-16.
const AS_UTF8: &str = "save it as UTF-8: in the editor, or with iconv(1)";

/// The hint after a private key was sent around.
const LEAKED: &str =
    "its owner makes a new node (relay-keygen), and sends what relay-export prints of that";

/// The hint for content that is too large for one parcel.
const SPLIT: &str = "relay-split cuts it into parts, which --parts seals";

fn hint_for_disk(error: &disk::Error) -> Option<String> {
    match error {
        disk::Error::Exposed { path, .. } => {
            Some(format!("chmod 600 {}", escape::path(path)))
        }
        disk::Error::Exists {
            role: FileRole::Output, ..
        } => Some("-f replaces it".to_owned()),
        disk::Error::Placeholder { .. } => {
            Some("run again what was to write it".to_owned())
        }
        disk::Error::CannotHold { .. } => Some(
            "use a file system that was made for this system, such as ext4, XFS or Btrfs: relay-node(5)".to_owned(),
        ),
        disk::Error::TooLarge {
            role: FileRole::Input,
            limit: limits::MAX_EMITTED_PARCEL_LEN,
            ..
        } => Some(SPLIT.to_owned()),
        disk::Error::Io {
            role: FileRole::Input,
            cause,
            ..
        } if cause.kind() == std::io::ErrorKind::IsADirectory => {
            Some("name the files in it".to_owned())
        }
        error if error.doing() == Some(Operation::SetGroupId) && error.is_denied() => Some(
            "a sandbox forbids the set-group-ID bit, which the directories of a group need: for systemd, RestrictSUIDSGID=no"
                .to_owned(),
        ),
        error if error.doing() == Some(Operation::Share) && error.is_denied() => Some(
            "its owner, if in the group, or root can share it with the group: relay-node(5)"
                .to_owned(),
        ),
        error if error.role() == FileRole::Node && error.is_denied() => Some(
            "it is another user's: relay-check lists such files; what members of a node's group may do is in relay-node(5)"
                .to_owned(),
        ),
        error if error.role() == FileRole::Spool && error.is_denied() => Some(
            "this user may not use it: relay-check says whose it is, and which command of root's puts that right"
                .to_owned(),
        ),
        _ => None,
    }
}
