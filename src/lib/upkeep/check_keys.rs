//! Checks certificates and session keys, and reports those that end soon.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::checker::Checker;
use super::endings::{Ending, EndingKind};
use super::finding::{Check, Level};
use crate::disk::FileRole;
use crate::disk::tree::{self, EntryKind};
use crate::node::certificates::{self, path_from_octets};
use crate::node::issued::is_once;
use crate::node::{Directory, ciphertexts, read_text, seen, sessions, unknown_senders};
use crate::pki::{Certificate, NodeId};

/// What makes all keys of a node alike.
const MIXTURE: &str = "relay-keygen --change-passphrase encrypts all keys, or none";

/// Of the certificates in a folder, the one that counts: compared field by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LatestPath {
    has_begun: bool,
    /// When it ends.
    pub(super) end: Timestamp,
    /// When it begins.
    pub(super) start: Timestamp,
    /// Whether it is never renewed.
    pub(super) is_once: bool,
}

impl Checker<'_> {
    /// The folders in `dir` that are named for nodes.
    pub(super) fn folders_of_nodes(&mut self, dir: &Path) -> Vec<(NodeId, PathBuf)> {
        let entries = match tree::entries(dir, FileRole::Node) {
            Ok(listing) => listing.entries,
            Err(error) => {
                self.damaged(dir, &error.into());
                return Vec::new();
            }
        };
        let folders = entries.into_iter().filter_map(|entry| {
            let id = entry.name.to_str()?.parse().ok()?;
            (entry.kind == EntryKind::Dir).then_some((id, entry.path))
        });
        folders.collect()
    }

    /// Checks the certificates that gateways gave this node.
    pub(super) fn registrations(&mut self, node: &Directory) {
        let mut latest: Option<Timestamp> = None;
        for ending in self.endings_of_registrations(node) {
            latest = latest.max(ending.end());
            self.ends(&ending, ending.remedy());
        }
        // Each registration was reported by itself; this one says that none is left.
        if let Some(end) = latest.filter(|end| *end < self.now) {
            let what = format!("no gateway certifies this node since {end}");
            let hint = "let one register it (relay-register), and import that".to_owned();
            let path = node.root().join("certs");
            self.report(Level::Warning, Check::Ending, &path, &what, Some(hint));
        }
    }

    /// Reports a local endpoint that its gateway certified before a gateway on the Internet registered that one: those on
    /// the Internet know nothing of such a certificate, and refuse parcels for the endpoint.
    pub fn endpoint_of(&mut self, gateway: &Directory, endpoint: &Directory) {
        let above = certificates::newest_from_gateway(gateway, self.now);
        let own = certificates::newest_from_gateway(endpoint, self.now);
        let (Ok(Some((above, _))), Ok(Some((issuer, path)))) = (above, own) else {
            return; // what cannot be read was reported
        };
        let has_address = gateway
            .peer(above)
            .is_ok_and(|peer| peer.is_some_and(|peer| peer.address.is_some()));
        let certified = path.authorities.first();
        let is_old = certified.is_some_and(Certificate::is_self_issued);
        if issuer != gateway.id() || !is_old || !has_address {
            return;
        }
        let (root, dir) = (gateway.root().display(), endpoint.root().display());
        let above = gateway.label_of(above);
        let what = format!(
            "certified before {above} registered this gateway, so {above} refuses parcels for it"
        );
        let hint = format!(
            "relay-register -N {root} {id} | relay-import --replace -N {dir}, then relay-authorize for each peer anew",
            id = endpoint.id()
        );
        let path = endpoint.root().join("certs");
        self.report(Level::Warning, Check::Ending, &path, &what, Some(hint));
    }

    /// The last registration with each gateway.
    pub(super) fn endings_of_registrations(&mut self, node: &Directory) -> Vec<Ending> {
        let mut endings = Vec::new();
        for (issuer, dir) in self.folders_of_nodes(&node.root().join("certs")) {
            let found = self.latest_in(&dir, node.id());
            if issuer == node.id() {
                continue; // the node issues itself a new one when it needs one
            }
            match node.peer(issuer) {
                // No certificate at all is not a finding here.
                Ok(Some(peer)) => endings.extend(found.map(|found| Ending {
                    kind: EndingKind::Registration,
                    peer: peer.label(),
                    span: Some((found.start, found.end)),
                    is_once: false,
                    is_revoked: false,
                    is_missed: false,
                    dir,
                })),
                Ok(None) => {
                    let what = "certificates of a gateway that is not known";
                    self.report(Level::Warning, Check::Orphan, &dir, &what, None);
                }
                Err(error) => self.damaged(&dir, &error),
            }
        }
        endings
    }

    /// The path in a folder that ends last, of those that have begun if there is one. Paths that
    /// are not for `subject` are reported, and those that begin in the future.
    pub(super) fn latest_in(&mut self, dir: &Path, subject: NodeId) -> Option<LatestPath> {
        let entries = match tree::entries(dir, FileRole::Node) {
            Ok(listing) => listing.entries,
            Err(error) => {
                self.damaged(dir, &error.into());
                return None;
            }
        };
        let (mut latest, mut early): (Option<LatestPath>, _) = (None, Vec::new());
        for entry in entries.into_iter().filter(|it| it.kind == EntryKind::File) {
            let path = read_text(&entry.path).and_then(|text| {
                let text = text.unwrap_or_default();
                Ok((path_from_octets(text.as_bytes())?, is_once(&text)))
            });
            match path {
                Ok((path, _)) if path.leaf.id() != subject => {
                    let what = format!("for {}", path.leaf.id());
                    self.report(Level::Error, Check::Damaged, &entry.path, &what, None);
                }
                Ok((path, is_once)) => {
                    let span = (path.leaf.not_before(), path.leaf.not_after());
                    let found = LatestPath {
                        has_begun: !self.window.is_before(span.0),
                        end: span.1,
                        start: span.0,
                        is_once,
                    };
                    if !found.has_begun {
                        early.push((entry.path, span.0));
                    }
                    latest = latest.max(Some(found));
                }
                Err(error) => self.damaged(&entry.path, &error),
            }
        }
        // Nothing is missed while another one is valid.
        let is_missed = latest.is_none_or(|it| !it.has_begun || it.end < self.now);
        for (path, start) in early {
            let what = format!("begins at {start}, which is still to come: of no use until then");
            let (level, hint) = if is_missed {
                let hint = "check this clock; if it is right, another one was wrong: have a new one issued";
                (Level::Warning, Some(hint.to_owned()))
            } else {
                (Level::Information, None)
            };
            self.report(level, Check::Clock, &path, &what, hint);
        }
        latest
    }

    /// Reports when a certificate ends that users renew by hand.
    pub(super) fn ends(&mut self, ending: &Ending, remedy: &str) {
        let Some(level) = ending.level(self.now) else {
            return;
        };
        let hint = (level == Level::Warning).then(|| remedy.to_owned());
        let what = ending.text(self.now);
        self.report(level, Check::Ending, &ending.dir, &what, hint);
    }

    /// Checks the records of what was received.
    pub(super) fn seen(&mut self, node: &Directory) {
        let dir = node.root().join("seen");
        match tree::entries(&dir, FileRole::Node) {
            Ok(listing) => {
                for entry in listing.entries {
                    let name = entry.name.to_str();
                    let is_of_day = name.is_some_and(|name| seen::end_of_seen_day(name).is_some());
                    if is_of_day && entry.kind == EntryKind::File {
                        self.records(&entry, seen::RECORD_LEN);
                    }
                }
            }
            Err(error) => self.damaged(&dir, &error.into()),
        }
    }

    /// Checks that a file has whole records of this length, in octets.
    fn records(&mut self, entry: &tree::Entry, of: usize) {
        let Ok(Some(stat)) = entry.stat() else {
            return; // it has gone, or was reported with the modes
        };
        let rest = stat.len % u64::try_from(of).unwrap_or(u64::MAX);
        if rest == 0 {
            return;
        }
        // Sorted records appear whole. Others are appended, which a kill or a crash cuts short.
        let is_sorted = entry.path.extension() == Some("sorted".as_ref());
        let (level, what, hint) = if is_sorted {
            let what = format!("not whole records of {of} octets");
            let hint =
                "records are lost: relay-check --restored refuses what they may have recorded";
            (Level::Error, what, hint)
        } else {
            let what = format!("{rest} octets of an incomplete record at the end");
            (
                Level::Warning,
                what,
                "a run was killed: the next record that is stored replaces it",
            )
        };
        let hint = Some(hint.to_owned());
        self.report(level, Check::Damaged, &entry.path, &what, hint);
    }

    /// Checks the private session keys.
    pub(super) fn sessions(&mut self, node: &Directory) {
        let top = node.root().join("sessions");
        let mut folders = vec![top.join(sessions::ANYBODY)];
        for (id, dir) in self.folders_of_nodes(&top) {
            // Unknown senders have session keys, too, but are not peers.
            let is_unknown_sender =
                || matches!(unknown_senders::is_known(node.root(), id), Ok(true));
            if matches!(node.peer(id), Ok(None)) && !is_unknown_sender() {
                let what = "session keys for a peer that is not known";
                self.report(Level::Warning, Check::Orphan, &dir, &what, None);
            }
            folders.push(dir);
        }
        let (mut encrypted, mut plain) = (0, 0);
        for dir in folders {
            let entries = match tree::entries(&dir, FileRole::Node) {
                Ok(listing) => listing.entries,
                Err(error) => {
                    self.damaged(&dir, &error.into());
                    continue;
                }
            };
            for entry in entries.into_iter().filter(|it| it.kind == EntryKind::File) {
                let name = entry.name.to_str();
                if name.is_some_and(sessions::is_senders) {
                    self.records(&entry, ciphertexts::RECORD_LEN);
                    continue;
                }
                match sessions::check(node, &entry.path) {
                    Ok(Some(true)) => encrypted += 1,
                    Ok(Some(false)) => plain += 1,
                    Ok(None) => {}
                    Err(error) => self.damaged(&entry.path, &error),
                }
            }
        }
        self.encryption(node, encrypted, plain);
    }

    /// Reports which keys are encrypted, and a mixture, of which a seized disk shows more than it need.
    fn encryption(&mut self, node: &Directory, encrypted: usize, plain: usize) {
        // What is wrong with the file is reported already.
        let Ok(is_encrypted) = node.is_encrypted() else {
            return;
        };
        let path = node.root().join("identity.key");
        let of_all = encrypted + plain;
        let (level, what) = match is_encrypted {
            true if plain > 0 => {
                let what = format!("encrypted, but {plain} of {of_all} session keys are not");
                (Level::Warning, what)
            }
            false if encrypted > 0 => {
                let what = format!("not encrypted, but {encrypted} of {of_all} session keys are");
                (Level::Warning, what)
            }
            true => {
                let what = format!("encrypted, as are the {of_all} session keys");
                (Level::Information, what)
            }
            false => return,
        };
        let hint = (level == Level::Warning).then(|| MIXTURE.to_owned());
        self.report(level, Check::Encryption, &path, &what, hint);
    }
}
