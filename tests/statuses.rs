//! Pins the exit status and the hint of every error, and finds errors that have no line yet.
//!
//! `BLESS=1 cargo test --test statuses` rewrites `tests/fixtures/statuses.txt`. Its lines have three
//! columns: the error, its exit status, and its hint or `-`. Parentheses hold the values that the line is
//! about, if the variant alone does not decide; `*` is every value that this test tries. A variant that
//! holds another error is tried with every value of that error: `=` then means that it gives what the
//! error inside gives by itself, and each value that gives something else has its own line.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::any::type_name;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::error::Error as StdError;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use rustix::io::Errno;

use relaynet::binding::cogrpc::FrameError;
use relaynet::binding::pace::PaceFailure;
use relaynet::cli::{errors, hints, status};
use relaynet::crypto::ecdh::Curve;
use relaynet::deliver::LeftOut;
use relaynet::disk::{FileRole, Operation};
use relaynet::kind::ErrorKind;
use relaynet::message::parts::{Missing, TransferId};
use relaynet::message::stream::StreamError;
use relaynet::node::import::Remark;
use relaynet::pki::NodeId;
use relaynet::ramf::{Kind, limits};
use relaynet::session::KeyId;
use relaynet::transfer::join;
use relaynet::{
    archive, asn1, binding, cms, command, crypto, deliver, disk, medium, message, node, outbox,
    pki, ramf, route, serve, session, spool,
};

const PINNED: &str = "tests/fixtures/statuses.txt";

#[test]
fn every_error_has_the_status_and_hint_that_is_pinned() {
    let found: BTreeSet<String> = REPORT.lines().into_iter().collect();
    let path = root().join(PINNED);
    if env::var_os("BLESS").is_some() {
        let lines: Vec<&str> = found.iter().map(String::as_str).collect();
        fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    let text = fs::read_to_string(&path).unwrap_or_default();
    let pinned: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    let gone = pinned.difference(&found).map(|line| format!("-{line}"));
    let new = found.difference(&pinned).map(|line| format!("+{line}"));
    let mut differences: Vec<String> = gone.chain(new).collect();
    let name = |line: &str| line[1..].split('\t').next().map(str::to_owned);
    differences.sort_by_key(|line| (name(line), line.starts_with('+')));
    assert!(
        differences.is_empty(),
        "{PINNED} differs (- pinned, + found):\n{}\nBLESS=1 rewrites it",
        differences.join("\n")
    );
}

#[test]
fn every_error_of_the_sources_is_tried() {
    let sources = Sources::read(&root().join("src/lib"));
    let tried: BTreeSet<String> = REPORT.cases.keys().cloned().collect();
    let missing: Vec<&String> = sources.errors.difference(&tried).collect();
    assert!(missing.is_empty(), "add to tests/statuses.rs: {missing:#?}");
    let unknown: Vec<&String> = tried.difference(&sources.errors).collect();
    assert_eq!(
        unknown,
        [OTHER],
        "the sources have no such error, or Sources does not see it"
    );
    for (name, tried) in [
        ("disk::FileRole", words(&ROLES)),
        ("disk::operation::Operation", words(&OPERATIONS)),
        ("ramf::format_signature::Kind", words(&Kind::ALL)),
    ] {
        let declared = sources.enums.get(name).map(Vec::as_slice);
        assert_eq!(declared, Some(tried.as_slice()), "{name}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn words<T: std::fmt::Debug>(values: &[T]) -> Vec<String> {
    values.iter().map(|value| format!("{value:?}")).collect()
}

// The errors: a function for each type, with every variant and every value that could matter.

const OTHER: &str = "any other error";

static REPORT: LazyLock<Report> = LazyLock::new(|| {
    let mut report = Report::default();
    report.add(disk());
    report.add(asn1());
    report.add(crypto());
    report.add(pki());
    report.add(cms());
    report.add(session());
    report.add(ramf());
    report.add(message());
    report.add(stream());
    report.add(join());
    report.add(archive());
    report.add(node());
    report.add(node_directory());
    report.add(node_peer());
    report.add(node_authorization());
    report.add(node_session_key());
    report.add(node_replay());
    report.add(node_import());
    report.add(node_passphrase());
    report.add(plain([
        Remark::NewerSessionKeyKept,
        Remark::OtherSessionKeyTaken,
        Remark::NewGateway,
        Remark::NoSessionKey,
        Remark::OtherIssuersKept,
        Remark::RevokedAlready,
    ]));
    report.add(spool());
    report.add(plain([spool::name::NotAName]));
    report.add(command());
    report.add(route());
    report.add(outbox());
    report.add(deliver());
    report.add(medium());
    report.add(binding());
    report.add(serve());
    // They end calls of gRPC, on either side.
    report.add(plain([
        FrameError::Compressed,
        FrameError::TooLong { found: 2, limit: 1 },
        FrameError::Truncated,
        FrameError::Malformed,
    ]));
    // Inside an error of input and output, from which the binding makes its own.
    let waited = std::time::Duration::from_secs(30);
    report.add(plain([
        PaceFailure::Cut,
        PaceFailure::Silent(waited),
        PaceFailure::Slow(waited),
    ]));
    report.add(plain([errors::Changed]));
    report.add(around(disk(), errors::Fatal::Aside));
    report.add(around(disk(), errors::Fatal::Output));
    report.add(plain([errors::Usage(text())]));
    report.add(plain([errors::Empty]));
    report.add(plain([errors::Postponed(text())]));
    report.add(plain([errors::NoFile]));
    report.add(plain([errors::LonePart(3)]));
    report.add(plain([errors::ForNeighbour {
        cause: text(),
        node: "n".into(),
    }]));
    report.add(plain([errors::Unchecked]));
    report.add(plain([errors::LeakedKey]));
    report.add(plain([errors::NoCode(4297)]));
    report.add(plain([errors::Again]));
    report.add(plain([errors::ForTerminal(WORD)]));
    report.add(noted([
        ("of status 65", status::Reported(status::Status::DATA)),
        ("of status 80", status::Reported(status::Status::EXPIRED)),
    ]));
    report.add_as(OTHER, plain([io::Error::from(Errno::NOENT)]));
    report
});

const WORD: &str = "word";
const AT: Timestamp = Timestamp::UNIX_EPOCH;

fn text() -> String {
    WORD.to_owned()
}

fn path() -> PathBuf {
    PathBuf::from("a/b")
}

fn id() -> NodeId {
    NodeId::of_digest([7; 32])
}

const ROLES: [FileRole; 7] = [
    FileRole::Input,
    FileRole::Dropped,
    FileRole::Output,
    FileRole::Delivery,
    FileRole::Keys,
    FileRole::Node,
    FileRole::Spool,
];

const OPERATIONS: [Operation; 25] = [
    Operation::Open,
    Operation::Examine,
    Operation::Read,
    Operation::List,
    Operation::Lock,
    Operation::Share,
    Operation::SetGroupId,
    Operation::Create,
    Operation::CreateDir,
    Operation::CreateLock,
    Operation::CreateScratch,
    Operation::Write,
    Operation::WriteScratch,
    Operation::Append,
    Operation::Emit,
    Operation::Truncate,
    Operation::SetMode,
    Operation::SetGroup,
    Operation::SetTime,
    Operation::Sync,
    Operation::SyncDir,
    Operation::SyncFs,
    Operation::Rename,
    Operation::Link,
    Operation::Remove,
];

/// Those that an error names.
fn reported() -> impl Iterator<Item = Operation> {
    OPERATIONS.into_iter().filter(|it| it.reported() == *it)
}

/// What the system answers: one of each kind that is told apart, and some that are not.
fn answers() -> Vec<(&'static str, io::Error)> {
    let errnos = [
        ("ENOENT", Errno::NOENT),
        ("EACCES", Errno::ACCESS),
        ("EPERM", Errno::PERM),
        ("EROFS", Errno::ROFS),
        ("EISDIR", Errno::ISDIR),
        ("ENOTDIR", Errno::NOTDIR),
        ("EEXIST", Errno::EXIST),
        ("EAGAIN", Errno::AGAIN),
        ("EINVAL", Errno::INVAL),
        ("EPIPE", Errno::PIPE),
        ("ENOSPC", Errno::NOSPC),
        ("EDQUOT", Errno::DQUOT),
        ("EFBIG", Errno::FBIG),
        ("ENOMEM", Errno::NOMEM),
        ("EIO", Errno::IO),
    ];
    let mut answers: Vec<_> = errnos
        .into_iter()
        .map(|(name, errno)| (name, io::Error::from(errno)))
        .collect();
    answers.push(("end-of-file", io::ErrorKind::UnexpectedEof.into()));
    answers.push(("write-zero", io::ErrorKind::WriteZero.into()));
    answers
}

fn disk() -> Cases<disk::Error> {
    use disk::Error as E;
    let mut cases = Vec::new();
    for role in ROLES {
        let path = path();
        cases.extend([
            Case::new(E::NotRegular {
                path: path.clone(),
                role,
            })
            .note(&role),
            Case::new(E::IsInput {
                path: path.clone(),
                role,
            })
            .note(&role),
            Case::new(E::Differs {
                path: path.clone(),
                role,
            })
            .note(&role),
            Case::new(E::Exists {
                path: path.clone(),
                role,
            })
            .note(&role),
            Case::new(E::Placeholder {
                path: path.clone(),
                role,
            })
            .note(&role),
            Case::new(E::CannotHold {
                path: path.clone(),
                role,
            })
            .note(&role),
        ]);
        cases.push(
            Case::new(E::Exposed {
                path: path.clone(),
                role,
                mode: 0o644,
            })
            .note(&role),
        );
        for (name, limit) in [
            ("any", 1),
            ("emitted-parcel", limits::MAX_EMITTED_PARCEL_LEN),
        ] {
            let error = E::TooLarge {
                path: path.clone(),
                role,
                limit,
            };
            cases.push(Case::new(error).note(&role).word(name));
        }
        for doing in reported() {
            for (name, cause) in answers() {
                let error = E::Io {
                    path: path.clone(),
                    role,
                    doing,
                    cause,
                };
                cases.push(Case::new(error).word(name).note(&role).note(&doing));
            }
        }
    }
    cases
}

fn asn1() -> Cases<asn1::Error> {
    use asn1::Error as E;
    plain([
        E::Truncated,
        E::Length,
        E::Indefinite,
        E::TooDeep,
        E::TooLong(1),
        E::Tag {
            expected: 1,
            found: 2,
        },
        E::Missing(1),
        E::Trailing,
        E::Value(WORD),
        E::Unsupported(WORD),
        E::Utf16,
        E::Base32('1'),
    ])
}

fn crypto() -> Cases<crypto::Error> {
    use crypto::Error as E;
    let curve = Curve::P256;
    plain([
        E::Decrypt,
        E::Signature,
        E::Sign,
        E::Random,
        E::KeyMalformed { expected: WORD },
        E::KeyAlgorithm { expected: WORD },
        E::KeySize {
            bits: 1,
            min: 2,
            max: 3,
            step: 4,
        },
        E::KeyExponent,
        E::KeyInconsistent,
        E::Curve,
        E::PointForm { curve },
        E::PointOffCurve { curve },
        E::KeyLength { found: 1 },
        E::NonceLength { found: 1 },
        E::TagLength { found: 1 },
        E::Encryption(WORD),
        E::Costly,
        E::Range,
    ])
}

fn pki() -> Cases<pki::Error> {
    use pki::Error as E;
    let mut cases = plain([
        E::NodeId,
        E::SignatureAlgorithm,
        E::Signature,
        E::Issuer(id()),
        E::NoPath,
        E::Expired {
            subject: id(),
            at: AT,
        },
        E::Early {
            subject: id(),
            at: AT,
        },
    ]);
    cases.extend(around(asn1(), E::Key));
    cases.extend(around(crypto(), E::PrivateKey));
    cases.extend(around(asn1(), E::Certificate));
    cases.extend(around(crypto(), E::Crypto));
    cases
}

fn cms() -> Cases<cms::Error> {
    use cms::Error as E;
    let mut cases = plain([
        E::Count {
            what: WORD,
            found: 2,
        },
        E::NoSignerCertificate,
        E::NoContent,
        E::NotASession,
        E::Unsupported(WORD),
        E::Decrypt,
    ]);
    cases.extend(around(asn1(), |cause| E::Malformed { what: WORD, cause }));
    cases.extend(around(pki(), E::Pki));
    cases.extend(around(crypto(), E::Crypto));
    cases
}

fn session() -> Cases<session::Error> {
    use session::Error as E;
    let mut cases = plain([E::KeyId, E::Undecryptable]);
    cases.extend(around(asn1(), E::Key));
    cases.extend(around(crypto(), E::PrivateKey));
    cases.extend(around(cms(), E::Payload));
    cases.extend(around(crypto(), E::Crypto));
    cases.extend(around(cms(), E::Cms));
    cases
}

fn ramf() -> Cases<ramf::Error> {
    use ramf::Error as E;
    let mut cases = plain([
        E::NotRamf,
        E::FormerFormat,
        E::Version(1),
        E::Ttl(u32::MAX),
        E::Address,
        E::Expired(AT),
        E::Early(AT),
        E::Recipient(id()),
        E::Unauthorized { sender: id() },
    ]);
    for found in Kind::ALL {
        let expected = Kind::Parcel;
        cases.push(Case::new(E::Kind { expected, found }).note(&found));
    }
    for (name, limit) in [
        ("any", 1),
        ("emitted-parcel", limits::MAX_EMITTED_PARCEL_LEN),
    ] {
        for part in ["content", "parcel", "message"] {
            let error = E::TooLong {
                part,
                found: 9,
                limit,
            };
            cases.push(Case::new(error).word(part).word(name));
        }
    }
    cases.extend(around(asn1(), |cause| E::Field { field: WORD, cause }));
    cases.extend(around(cms(), E::Cms));
    cases.extend(around(pki(), E::Pki));
    cases
}

fn message() -> Cases<message::Error> {
    use message::Error as E;
    let mut cases = plain([
        E::Unknown,
        E::LoneDigest,
        E::Framing,
        E::Truncated,
        E::Pem,
        E::NotAMessage(text()),
        E::Signature(WORD),
        E::Revoker {
            signer: id(),
            issuer: id(),
        },
        E::TooManySerials {
            found: 257,
            limit: 256,
        },
        E::NotInCargo(Kind::Cargo),
        E::NotVerifiable(WORD),
        E::Lacks {
            object: WORD,
            what: WORD,
        },
        E::NotAPart,
        E::PartVersion(9),
        E::PartConflict {
            index: 1,
            what: WORD,
        },
        E::MediaType,
        E::NotAMediaType(text()),
        E::NotAWhole(text()),
        E::LongMediaType { len: 2, limit: 1 },
    ]);
    cases.extend(around(asn1(), |cause| E::Malformed { what: WORD, cause }));
    cases.extend(around(ramf(), E::Ramf));
    cases.extend(around(pki(), E::Pki));
    cases.extend(around(session(), E::Session));
    cases
}

fn stream() -> Cases<StreamError> {
    let mut cases: Cases<_> = answers()
        .into_iter()
        .map(|(name, cause)| Case::new(StreamError::Read(cause)).word(name))
        .collect();
    cases.extend(around(message(), StreamError::Message));
    cases
}

fn join() -> Cases<join::Error> {
    use join::Error as E;
    let missing = Missing {
        transfer: TransferId::from([7; 16]),
        name: None,
        parts: Some(3),
        ranges: vec![(2, Some(2))],
    };
    let mut cases = plain([E::Missing(Box::new(missing)), E::Digest]);
    cases.extend(around(message(), E::Part));
    cases.extend(around(disk(), E::Disk));
    cases
}

#[allow(clippy::too_many_lines)] // a line for each variant
fn node() -> Cases<node::Error> {
    use node::Error as E;
    let mut cases = plain([E::AfterCargo(AT), E::Needs(WORD)]);
    cases.extend(around(node_directory(), |cause| E::UnreadablePeer {
        peer: text(),
        cause: Box::new(E::Directory(cause)),
    }));
    cases.extend(around(node_directory(), E::Directory));
    cases.extend(around(node_peer(), E::Peer));
    cases.extend(around(node_authorization(), E::Authorization));
    cases.extend(around(node_session_key(), E::SessionKey));
    cases.extend(around(node_replay(), E::Replay));
    cases.extend(around(node_import(), E::Import));
    cases.extend(around(node_passphrase(), E::Passphrase));
    cases.extend(around(disk(), E::Disk));
    cases.extend(around(pki(), E::Pki));
    cases.extend(around(session(), E::Session));
    cases.extend(around(ramf(), E::Ramf));
    cases.extend(around(message(), E::Message));
    cases.extend(around(asn1(), E::Asn1));
    cases
}

fn node_directory() -> Cases<node::DirectoryError> {
    use node::DirectoryError as E;
    let mut cases = plain([
        E::NotANode(path()),
        E::Backup(path()),
        E::Version {
            path: path(),
            version: text(),
        },
        E::Exists(path()),
        E::Setting {
            setting: text(),
            problem: text(),
        },
        E::Config {
            path: path(),
            line: 1,
            problem: text(),
        },
        E::UnknownGroup(text()),
        E::Damaged {
            path: path(),
            problem: text(),
        },
        E::Anothers {
            path: path(),
            user: Some(text()),
            us: Some(text()),
        },
        E::Anothers {
            path: path(),
            user: Some(text()),
            us: None,
        },
        E::Anothers {
            path: path(),
            user: None,
            us: None,
        },
        E::Writable {
            path: path(),
            mode: 0o777,
        },
        E::TestClock,
        E::Succeeded {
            path: path(),
            by: id(),
        },
        E::NotAGateway(path()),
    ]);
    cases.extend(around(disk(), |cause| E::CannotMake {
        path: path(),
        cause,
    }));
    cases.extend(around(node_passphrase(), |cause| E::Locked {
        path: path(),
        cause,
    }));
    cases
}

fn node_passphrase() -> Cases<node::PassphraseError> {
    use node::PassphraseError as E;
    let mut cases = plain([E::Missing, E::Empty, E::Wrong]);
    cases.extend(around(disk(), |cause| E::File {
        path: path(),
        cause,
    }));
    cases.extend(around(crypto(), E::Refused));
    cases
}

fn node_peer() -> Cases<node::PeerError> {
    use node::PeerError as E;
    plain([
        E::Unknown(text()),
        E::Mistyped {
            text: text(),
            meant: text(),
        },
        E::Ambiguous {
            text: text(),
            ids: vec![text(), text()],
        },
        E::ShortId(text()),
        E::BadName(text()),
        E::NameTaken {
            name: text(),
            holder: id(),
        },
        E::NamedAlready(text()),
        E::UnknownAlias {
            name: text(),
            meant: None,
        },
        E::ManyMembers(text()),
    ])
}

fn node_authorization() -> Cases<node::AuthorizationError> {
    use node::AuthorizationError as E;
    plain([
        E::NotAuthorized(text()),
        E::NotRegistered(text()),
        E::NotCarrier(text()),
        E::Expired {
            peer: text(),
            at: AT,
        },
        E::RegistrationExpired {
            peer: text(),
            at: AT,
        },
        E::Early {
            peer: text(),
            at: AT,
        },
        E::RegistrationEarly {
            peer: text(),
            at: AT,
        },
        E::CcaEnds {
            peer: text(),
            at: AT,
        },
        E::Foreign,
        E::ForeignCarrier,
        E::UnknownCarrier(id()),
        E::EndpointCarrier(id()),
        E::ForeignRotation,
        E::ForeignPromise,
        E::OtherCollector(id()),
        E::OverRate(pki::RateLimit::new(24, SignedDuration::from_hours(24)).unwrap()),
        E::PromiseExpired(AT),
        E::Withdrawn {
            peer: text(),
            until: AT,
        },
        E::TakenBack {
            peer: text(),
            until: AT,
        },
        E::Revoked {
            sender: id(),
            by: id(),
            until: AT,
        },
        E::AllRevoked(AT),
        E::UnknownRevoker(id()),
        E::TooManyRevoked(id()),
        E::NotGiven(text()),
        E::NothingGiven(text()),
        E::NotCertified(text()),
    ])
}

fn node_session_key() -> Cases<node::SessionKeyError> {
    use node::SessionKeyError as E;
    let mut cases = plain([
        E::Missing(text()),
        E::Expired {
            peer: text(),
            at: AT,
        },
        E::RegistrationExpired {
            peer: text(),
            at: AT,
        },
        E::Unknown(KeyId::new(&[7]).unwrap()),
    ]);
    cases.extend(around(disk(), |cause| E::NotSaved {
        path: path(),
        cause,
    }));
    cases
}

fn node_replay() -> Cases<node::ReplayError> {
    use node::ReplayError as E;
    plain([
        E::Seen,
        E::Unjudged,
        E::SentByAnother {
            first: id(),
            sender: id(),
        },
        E::Claimed(WORD.to_owned()),
        E::CcaUsed,
    ])
}

fn node_import() -> Cases<node::ImportError> {
    use node::ImportError as E;
    let mut cases = plain([
        E::ForAnotherNode(id()),
        E::Unsuitable(WORD),
        E::Pinned(WORD),
        E::Expectation {
            file: [7; 32],
            object: None,
        },
        E::NoSuccessor(text()),
        E::SuccessorDigits(text()),
        E::OtherSuccessors(text()),
        E::SucceededByAnother,
    ]);
    for kind in ["public-key", "certificate", "parcel", "cargo", WORD] {
        cases.push(Case::new(E::NotImportable(kind)).word(kind));
    }
    cases
}

fn spool() -> Cases<spool::Error> {
    use spool::Error as E;
    let mut cases = plain([
        E::Locked,
        E::Closed("home/x".into()),
        E::Quota {
            peer: text(),
            used: 1,
            limit: 2,
        },
        E::OverQuota {
            peer: text(),
            len: 1,
            limit: 0,
        },
        E::Reserve {
            free: 1,
            reserve: 2,
        },
        E::Control(WORD),
        E::HandedOn,
        E::Outdated,
        E::OtherContent,
        E::UnknownMessage(text()),
        E::UnknownMessage("0123456789".to_owned()),
        E::NotSetAside {
            text: text(),
            state: "waits in home",
        },
        E::AmbiguousMessage {
            text: text(),
            names: vec![text(), text()],
        },
        E::NoQueue(text()),
    ]);
    for (name, again) in [("until a time", Some(AT)), ("for good", None)] {
        let error = E::ClockBehind {
            now: AT,
            known: AT,
            again,
        };
        cases.push(Case::new(error).word(name));
        let error = E::ClockAhead {
            now: AT,
            last: None,
            again,
        };
        cases.push(Case::new(error).word(name));
    }
    cases.extend(around(node(), E::Node));
    cases.extend(around(disk(), E::Disk));
    cases
}

fn command() -> Cases<command::Error> {
    use command::Error as E;
    let mut cases = plain([
        E::Unfit {
            variable: WORD,
            why: WORD,
        },
        E::Refused {
            command: text(),
            status: 65,
        },
        E::Hangs {
            command: text(),
            times: 5,
        },
        E::Stopped {
            command: text(),
            signal: WORD,
        },
    ]);
    for times in [1, command::MOST_TIMEOUTS] {
        let limit = std::time::Duration::from_secs(600);
        let command = text();
        let timed_out = E::TimedOut {
            command,
            limit,
            times,
        };
        cases.push(Case::new(timed_out).word(&format!("time-out {times}")));
    }
    let ends = [
        ("status 75", 75 << 8),
        ("status 1", 1 << 8),
        ("signal 9", 9),
    ];
    for (name, end) in ends {
        let end = ExitStatus::from_raw(end);
        cases.push(
            Case::new(E::Postponed {
                command: text(),
                end,
            })
            .word(name),
        );
    }
    let mut answers = answers();
    answers.push(("ETXTBSY", Errno::TXTBSY.into()));
    answers.push(("E2BIG", Errno::TOOBIG.into()));
    answers.push(("ENOEXEC", Errno::NOEXEC.into()));
    for (name, cause) in answers {
        cases.push(
            Case::new(E::NotRun {
                command: text(),
                cause,
            })
            .word(name),
        );
    }
    cases
}

fn route() -> Cases<route::Error> {
    use route::Error as E;
    let mut cases = plain([
        E::Table {
            path: path(),
            line: 1,
            problem: text(),
        },
        E::NoRoute {
            to: text(),
            is_direct_off: false,
        },
        E::Back(text()),
        E::NotShown,
        E::Kind(WORD),
        E::NoControl(WORD),
        E::NoDirectory(path()),
    ]);
    cases.extend(around(command(), E::Command));
    cases.extend(around(message(), E::Message));
    cases.extend(around(node(), E::Node));
    cases.extend(around(spool(), E::Spool));
    cases.extend(around(disk(), E::Disk));
    cases
}

fn archive() -> Cases<archive::Error> {
    use archive::Error as E;
    let mut cases = plain([
        E::TooMany,
        E::TooDeep(text()),
        E::LongPath(text()),
        E::BadName(text()),
        E::Unsteady(path()),
        E::Malformed { what: WORD, at: 7 },
        E::Unsuitable(text(), WORD),
        E::Source(io::Error::from(Errno::IO)),
    ]);
    cases.extend(around(disk(), E::Disk));
    cases
}

fn outbox() -> Cases<outbox::Error> {
    use outbox::Error as E;
    let mut cases = plain([
        E::Changed,
        E::Read(io::Error::from(Errno::IO)),
        E::TooManyParts,
        E::OverQuota { len: 3, limit: 2 },
        E::Locked(path()),
        E::Folder {
            path: path(),
            why: WORD,
        },
        E::NotTaken(WORD),
        E::OfNode(path()),
        E::NothingMissing,
    ]);
    cases.extend(around(archive(), E::Archive));
    cases.extend(around(message(), E::Message));
    cases.extend(around(node(), E::Node));
    cases.extend(around(spool(), E::Spool));
    cases.extend(around(disk(), E::Disk));
    cases
}

fn deliver() -> Cases<deliver::Error> {
    let mut cases = deliver_at_once();
    cases.extend(around(deliver_at_once(), |cause| deliver::Error::Parts {
        count: 2,
        transfer: TransferId::from([7; 16]),
        cause: Box::new(cause),
    }));
    cases
}

fn deliver_at_once() -> Cases<deliver::Error> {
    use deliver::Error as E;
    let left_out = LeftOut {
        sender: id(),
        others: 0,
        parts: 2,
    };
    let mut cases = plain([E::NotAMaildir(path()), E::TooManyParts(left_out)]);
    cases.extend(around(node(), E::Import));
    cases.extend(around(node(), E::Node));
    cases.extend(around(message(), E::Type));
    cases.extend(around(node(), |cause| E::Late {
        cause,
        owner: 7,
        keeper: None,
    }));
    cases.extend(around(message(), E::Part));
    cases.extend(around(join(), E::Join));
    cases.extend(around(archive(), E::Archive));
    cases.extend(around(command(), E::Command));
    cases.extend(around(spool(), E::Spool));
    cases.extend(around(disk(), E::Disk));
    cases
}

fn medium() -> Cases<medium::Error> {
    use medium::Error as E;
    let mut cases = plain([
        E::NotAMedium(path()),
        E::Broken(path()),
        E::NotADirectory(path()),
        E::NotAPlace(path()),
        E::Version(path()),
        E::SameMedium(path()),
        E::InTheWay(path()),
        E::Damaged,
        E::OtherSender,
        E::Loop,
        E::Replaces,
    ]);
    cases.extend(around(disk(), E::Unreadable));
    cases.extend(around(route(), |cause| E::Unrouted(Box::new(cause))));
    cases.extend(around(message(), E::Message));
    cases.extend(around(node(), E::Node));
    cases.extend(around(spool(), E::Spool));
    cases.extend(around(disk(), E::Disk));
    cases
}

fn undecided() -> binding::Error {
    binding::Error::Undecided {
        command: text(),
        waited: std::time::Duration::from_secs(30),
    }
}

/// What other floors say of what is stored.
fn stores() -> Cases<binding::Error> {
    use binding::Error as E;
    let mut cases = around(medium(), E::Medium);
    cases.extend(around(spool(), E::Spool));
    cases.extend(around(disk(), E::Disk));
    cases
}

/// Calls of gRPC that ended otherwise than they should.
fn calls() -> Cases<binding::Error> {
    use binding::Error as E;
    let mut cases = plain([E::Unacknowledged {
        server: text(),
        cargoes: 2,
    }]);
    for kind in [
        ErrorKind::Unreachable,
        ErrorKind::Refused,
        ErrorKind::Protocol,
    ] {
        let error = E::Grpc {
            server: text(),
            code: binding::GrpcCode::Internal,
            text: Some(text()),
            kind,
        };
        cases.push(Case::new(error).note(&kind));
    }
    cases
}

fn unauthenticated() -> impl Iterator<Item = Case<binding::Error>> {
    let kinds = [ErrorKind::Refused, ErrorKind::Protocol].into_iter();
    kinds.map(|kind| {
        let error = binding::Error::Unauthenticated {
            server: text(),
            answer: text(),
            kind,
        };
        Case::new(error).note(&kind)
    })
}

fn binding() -> Cases<binding::Error> {
    use binding::Error as E;
    let cause = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let server = text;
    let mut cases = plain([
        E::NoServer(text()),
        E::NoResolver(text()),
        E::NoAddress(text()),
        E::Setting {
            what: text(),
            problem: text(),
        },
        undecided(),
        E::Unresolved {
            name: text(),
            problem: text(),
        },
        E::NoService {
            address: text(),
            service: "PoWeb",
        },
        E::NoConnection {
            server: server(),
            cause: cause(),
        },
        E::PrivateAddress {
            server: server(),
            address: std::net::Ipv4Addr::LOCALHOST.into(),
        },
        E::Certificate {
            server: server(),
            problem: text(),
        },
        E::Proxy {
            server: server(),
            answer: text(),
        },
        E::Broken {
            server: server(),
            cause: cause(),
        },
        E::Protocol {
            server: server(),
            problem: text(),
        },
        E::Closed {
            server: server(),
            code: 1001,
            reason: text(),
        },
    ]);
    for kind in [
        ErrorKind::Unreachable,
        ErrorKind::Refused,
        ErrorKind::Protocol,
        ErrorKind::Unsuitable,
    ] {
        let error = E::Answer {
            server: server(),
            status: 503,
            text: text(),
            kind,
            retry_after: None,
        };
        cases.push(Case::new(error).note(&kind));
    }
    let waited = std::time::Duration::from_secs(30);
    let server = text();
    cases.extend(plain([E::Slow { server, waited }]));
    let server = text();
    cases.extend(plain([E::Silent { server, waited }]));
    cases.extend(unauthenticated());
    cases.extend(calls());
    cases.extend(plain([E::WrongRoutes, E::Loop]));
    cases.extend(around(route(), |cause| E::NotForUs(Box::new(cause))));
    cases.extend(around(route(), |cause| E::Unrouted(Box::new(cause))));
    cases.extend(around(message(), E::Message));
    cases.extend(around(node(), E::Node));
    cases.extend(stores());
    cases
}

fn serve() -> Cases<serve::Error> {
    use serve::Error as E;
    let mut cases = plain([
        E::Channel(io::Error::from(Errno::PIPE)),
        E::NoRole,
        E::FrontEnded,
        E::Sandbox(text()),
        E::Certificate { problem: text() },
    ]);
    for errno in [
        Errno::ADDRINUSE,
        Errno::ACCESS,
        Errno::ADDRNOTAVAIL,
        Errno::AFNOSUPPORT,
    ] {
        let (address, cause) = (text(), io::Error::from(errno));
        cases.push(Case::new(E::Listen { address, cause }).note(&errno));
    }
    cases.extend(around(message(), E::Message));
    cases.extend(around(node(), E::Node));
    cases.extend(around(route(), E::Route));
    cases.extend(around(spool(), E::Spool));
    cases.extend(around(medium(), E::Medium));
    cases.extend(around(disk(), E::Disk));
    cases
}

// What a case is, and how the cases become lines.

/// An error that `anyhow` takes.
trait Failure: StdError + Send + Sync + 'static {}

impl<E: StdError + Send + Sync + 'static> Failure for E {}

/// An error to ask the status of.
struct Case<E> {
    error: E,
    /// The values inside it that could matter, the outermost first.
    notes: Vec<String>,
    /// What the error inside gives by itself.
    alone: Option<Verdict>,
}

type Cases<E> = Vec<Case<E>>;

impl<E> Case<E> {
    fn new(error: E) -> Self {
        Self {
            error,
            notes: Vec::new(),
            alone: None,
        }
    }

    fn note(self, value: &impl std::fmt::Debug) -> Self {
        self.word(&format!("{value:?}").to_lowercase())
    }

    fn word(mut self, note: &str) -> Self {
        self.notes.push(note.to_owned());
        self
    }
}

fn plain<E, const N: usize>(errors: [E; N]) -> Cases<E> {
    errors.into_iter().map(Case::new).collect()
}

fn noted<E, const N: usize>(errors: [(&str, E); N]) -> Cases<E> {
    let cases = errors.into_iter();
    cases
        .map(|(note, error)| Case::new(error).word(note))
        .collect()
}

/// Puts each of these errors into another one.
fn around<I: Failure, O>(inner: Cases<I>, wrap: impl Fn(I) -> O) -> Cases<O> {
    let cases = inner.into_iter().map(|inside| {
        let mut notes = vec![name(&inside.error)];
        notes.extend(inside.notes);
        let error = anyhow::Error::new(inside.error);
        let alone = Some(judge(&error));
        let error = wrap(error.downcast().unwrap());
        Case {
            error,
            notes,
            alone,
        }
    });
    cases.collect()
}

/// The module, the type and the variant of an error. The value itself tells them, so the functions above need
/// not repeat names.
fn name<E: Failure>(error: &E) -> String {
    let of_type = type_name::<E>();
    let of_type = of_type.split_once("::").map_or(of_type, |(_, rest)| rest);
    let mut word = FirstWord(String::new());
    let _ = write!(word, "{error:?}"); // it fails where the word ends
    let FirstWord(word) = word;
    if of_type.rsplit("::").next() == Some(&word) {
        of_type.to_owned() // a struct
    } else {
        format!("{of_type}::{word}")
    }
}

/// Takes letters and digits, up to the first other character.
struct FirstWord(String);

impl std::fmt::Write for FirstWord {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = text.find(|c: char| !c.is_alphanumeric());
        self.0.push_str(&text[..end.unwrap_or(text.len())]);
        end.map_or(Ok(()), |_| Err(std::fmt::Error))
    }
}

/// The status and the hint of an error.
type Verdict = [String; 2];

fn judge(error: &anyhow::Error) -> Verdict {
    let hint = hints::hint(error).unwrap_or_else(|| "-".to_owned());
    [status::status(error).code().to_string(), hint]
}

struct Judged {
    notes: Vec<String>,
    verdict: Verdict,
    alone: Option<Verdict>,
}

/// What was found, by the names of errors.
#[derive(Default)]
struct Report {
    cases: BTreeMap<String, Vec<Judged>>,
}

impl Report {
    fn add<E: Failure>(&mut self, cases: Cases<E>) {
        for case in cases {
            self.add_as(&name(&case.error), vec![case]);
        }
    }

    fn add_as<E: Failure>(&mut self, name: &str, cases: Cases<E>) {
        let judged = cases.into_iter().map(|case| Judged {
            notes: case.notes,
            verdict: judge(&case.error.into()),
            alone: case.alone,
        });
        self.cases
            .entry(name.to_owned())
            .or_default()
            .extend(judged);
    }

    fn lines(&self) -> Vec<String> {
        self.cases
            .iter()
            .flat_map(|(name, cases)| lines(name, cases))
            .collect()
    }
}

/// The lines of one variant.
fn lines(name: &str, cases: &[Judged]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rows: Vec<(Vec<String>, &Verdict)> = Vec::new();
    if cases.iter().all(|case| case.alone.is_some()) {
        let [status, hint] = [0, 1].map(|column| {
            let first = &cases[0].verdict[column];
            let is_constant = cases.iter().all(|case| case.verdict[column] == *first);
            if is_constant { first.as_str() } else { "=" }
        });
        lines.push(format!("{name} (*)\t{status}\t{hint}"));
        let follows = |case: &Judged, column: usize, summary: &str| {
            let inside = case.alone.as_ref().map(|alone| &alone[column]);
            summary != "=" || inside == Some(&case.verdict[column])
        };
        let others = cases
            .iter()
            .filter(|case| !(follows(case, 0, status) && follows(case, 1, hint)));
        rows.extend(others.map(|case| (case.notes.clone(), &case.verdict)));
    } else {
        rows.extend(cases.iter().map(|case| (case.notes.clone(), &case.verdict)));
    }
    for (notes, [status, hint]) in merge(rows, cases) {
        let notes = match notes.as_slice() {
            [] => String::new(),
            notes => format!(" ({})", notes.join(", ")),
        };
        lines.push(format!("{name}{notes}\t{status}\t{hint}"));
    }
    lines
}

/// Joins the rows that differ in a single note, starting with the last note. A note that has every value that
/// occurs in `cases` becomes `*`.
fn merge<'a>(
    mut rows: Vec<(Vec<String>, &'a Verdict)>,
    cases: &[Judged],
) -> Vec<(Vec<String>, &'a Verdict)> {
    let depth = cases.iter().map(|case| case.notes.len()).max().unwrap_or(0);
    for level in (0..depth).rev() {
        let values: BTreeSet<&String> = cases
            .iter()
            .filter_map(|case| case.notes.get(level))
            .collect();
        let mut merged: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for (mut notes, verdict) in rows {
            let note = notes.get_mut(level).map(std::mem::take);
            merged.entry((notes, verdict)).or_default().extend(note);
        }
        let merged = merged.into_iter();
        rows = merged
            .map(|((mut notes, verdict), found)| {
                if let Some(note) = notes.get_mut(level) {
                    let is_all = values.len() > 1 && found.len() == values.len();
                    *note = if is_all {
                        "*".to_owned()
                    } else {
                        found.join(" ")
                    };
                }
                (notes, verdict)
            })
            .collect();
    }
    rows
}

// What the sources declare.

/// The enums and errors of the library, outside its unit tests.
#[derive(Default)]
struct Sources {
    /// Each variant of an error that is an enum, and each other error.
    errors: BTreeSet<String>,
    /// The variants of each enum.
    enums: BTreeMap<String, Vec<String>>,
}

impl Sources {
    fn read(top: &Path) -> Self {
        let mut sources = Self::default();
        for entry in walkdir::WalkDir::new(top) {
            let path = entry.unwrap().into_path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let file = syn::parse_file(&text)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let module = path.strip_prefix(top).unwrap().with_extension("");
                let module = module.to_str().unwrap().replace('/', "::");
                let module = module.strip_suffix("::mod").unwrap_or(&module);
                sources.take(module, &file.items);
            }
        }
        sources
    }

    fn take(&mut self, module: &str, items: &[syn::Item]) {
        let implemented: Vec<String> = items.iter().filter_map(implements_error).collect();
        for item in items {
            match item {
                syn::Item::Mod(inner) if !is_for_tests(&inner.attrs) => {
                    if let Some((_, items)) = &inner.content {
                        self.take(&format!("{module}::{}", inner.ident), items);
                    }
                }
                syn::Item::Struct(item) => {
                    let name = item.ident.to_string();
                    if derives_error(&item.attrs) || implemented.contains(&name) {
                        self.errors.insert(format!("{module}::{name}"));
                    }
                }
                syn::Item::Enum(item) => {
                    let name = item.ident.to_string();
                    let variants = item.variants.iter();
                    let variants: Vec<String> =
                        variants.map(|variant| variant.ident.to_string()).collect();
                    if name == "Error" || derives_error(&item.attrs) || implemented.contains(&name)
                    {
                        let names = variants
                            .iter()
                            .map(|variant| format!("{module}::{name}::{variant}"));
                        self.errors.extend(names);
                    }
                    self.enums.insert(format!("{module}::{name}"), variants);
                }
                _ => {}
            }
        }
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    let mut conditions = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"));
    conditions.any(|condition| {
        condition
            .parse_args::<syn::Ident>()
            .is_ok_and(|word| word == "test")
    })
}

fn derives_error(attributes: &[syn::Attribute]) -> bool {
    type Paths = syn::punctuated::Punctuated<syn::Path, syn::Token![,]>;
    let mut derives = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"));
    derives.any(|derive| {
        let traits = derive.parse_args_with(Paths::parse_terminated).unwrap();
        traits.iter().any(is_error)
    })
}

/// The type that an item implements `Error` for.
fn implements_error(item: &syn::Item) -> Option<String> {
    match item {
        syn::Item::Impl(block)
            if block
                .trait_
                .as_ref()
                .is_some_and(|(path, _)| is_error(path)) =>
        {
            match block.self_ty.as_ref() {
                syn::Type::Path(of) => Some(of.path.segments.last()?.ident.to_string()),
                _ => None,
            }
        }
        _ => None,
    }
}

fn is_error(path: &syn::Path) -> bool {
    path.segments
        .last()
        .is_some_and(|segment| segment.ident == "Error")
}
