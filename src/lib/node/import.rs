//! Imports objects from other nodes: registrations, authorizations, parameters, rotations and
//! deauthorizations.
//!
//! Objects are hostile input. Only what signatures and our own keys prove is believed, and what was
//! imported before stays pinned unless the user asks for a change.

use jiff::Timestamp;

use super::ImportError;
pub use super::imported::{
    Confirmation, Imported, ImportedSuccession, Options, Remark, SuccessorFate,
};
use super::peers::Initial;
use super::unknown_senders::{Heard, SentAuthorization};
use super::{Directory, Error, NodeType, authorizations, certificates, unknown_senders};
use crate::crypto::hash;
use crate::message::Item;
use crate::message::item::Received;
use crate::message::{
    CertificationPath, NodeConnectionParams, Object, Pdd, PrivateEndpointConnectionParams,
    Registration, SuccessorNotice,
};
use crate::pki::path::Issuers;
use crate::pki::{Certificate, NodeId, PublicKey, Window, issuance};
use crate::ramf::InternetAddress;
use crate::session::PublicSessionKey;
use crate::session::ratchet::INITIAL_SEALED_FOR;

/// The peer that an object is from, and remarks for the user.
pub(super) struct ImportedFrom {
    peer: NodeId,
    remarks: Vec<Remark>,
}

/// The authorities to store with a path.
pub(super) struct KeptPath {
    /// The path to store; `None` if the stored one stays.
    pub(super) path: Option<CertificationPath>,
    /// A remark on it, for the user.
    pub(super) remark: Option<Remark>,
}

impl Directory {
    /// Imports an object that is all of `octets`. The caller holds the node's exclusive lock.
    ///
    /// # Errors
    /// When it is malformed, not for this node, not signed as it must be, or would change what is
    /// pinned.
    pub fn import(&self, octets: &[u8], options: &Options<'_>) -> Result<Imported, Error> {
        // Parsed before `expected` is checked, but an error counts only after: a wrong digest
        // explains more.
        let object = Object::parse(octets);
        if let Ok(Object::SuccessorNotice(notice)) = &object {
            return self.import_notice(notice, options);
        }
        if let Some(expected) = &options.expected {
            let file = hash::sha256(octets);
            let object = object.as_ref().ok().and_then(Object::digest);
            let is_of = |digest: &[u8; 32]| expected.is_of(digest);
            if !is_of(&file) && !object.as_ref().is_some_and(is_of) {
                return Err(Error::Import(ImportError::Expectation { file, object }));
            }
        }
        let object = object?;
        let not_importable = Error::Import(ImportError::NotImportable(object.word()));
        let Some(digest) = object.digest() else {
            return Err(not_importable);
        };
        let mut revocation = None;
        let (kind, taken) = match object {
            Object::Registration(registration) => (
                "registration",
                self.import_registration(&registration, options),
            ),
            Object::PrivateEndpointConnectionParams(params) => {
                ("authorization", self.import_authorization(&params, options))
            }
            Object::NodeConnectionParams(params) => (
                "connection-parameters",
                self.import_params(&params, options),
            ),
            Object::Message(item) => match *item {
                Item::Rotation(rotation) => ("rotation", self.import_rotation(&rotation, options)),
                Item::Pdd(pdd) => {
                    let taken = self.import_revocation(&pdd, options);
                    revocation = Some(pdd.octets().to_vec());
                    ("revocation", taken)
                }
                _ => return Err(not_importable),
            },
            _ => return Err(not_importable),
        };
        let ImportedFrom { peer, remarks } = taken?;
        Ok(Imported {
            peer,
            kind,
            digest,
            revocation,
            succession: None,
            remarks,
        })
    }

    /// Imports a successor notice: with the digits of the new node, this one takes the place of the
    /// old one; without, that waits for a person.
    fn import_notice(
        &self,
        notice: &SuccessorNotice,
        options: &Options<'_>,
    ) -> Result<Imported, Error> {
        let said = notice.verify()?;
        let mut peer = said.old.id();
        let (succession, remarks) = match &options.expected {
            Some(expected) if !expected.is_of(said.new.id().digest()) => {
                let label = self.label_of(peer);
                return Err(Error::Import(ImportError::SuccessorDigits(label)));
            }
            Some(_) => {
                let mut confirmed = self.confirm_successor(notice, options)?;
                let remarks = std::mem::take(&mut confirmed.remarks);
                peer = confirmed.new;
                (ImportedSuccession::Confirmed(confirmed), remarks)
            }
            None if options.name.is_some() => {
                return Err(Error::Import(ImportError::Unsuitable(
                    "nothing is named before its digits are compared: --name goes with --expect",
                )));
            }
            None => {
                let fate = self.keep_notice(notice, &options.window)?;
                (ImportedSuccession::Kept(fate), Vec::new())
            }
        };
        Ok(Imported {
            peer,
            kind: "successor-notice",
            digest: hash::sha256(notice.octets()),
            revocation: None,
            succession: Some(succession),
            remarks,
        })
    }

    /// Checks an authorization from a node that nobody vouches for: that it is for this node, that the
    /// enclosed key signed it, and that all its certificates are valid.
    pub(super) fn check_authorization(
        &self,
        params: &PrivateEndpointConnectionParams,
        window: &Window,
    ) -> Result<(), Error> {
        let path = &params.authorization;
        if path.leaf.id() != self.id() {
            return Err(Error::Import(ImportError::ForAnotherNode(path.leaf.id())));
        }
        path.leaf.check_dates(window)?;
        path.leaf.verify_signature(&params.identity)?;
        let issuers = Issuers {
            own: &path.authorities,
            pool: &[],
            known: &self.issuer_keys(&path.authorities)?,
        };
        issuers.checked(&path.leaf, window)?;
        Ok(())
    }

    /// Imports the authorization of a successor whose digits a person compared.
    pub(super) fn import_successor(
        &self,
        params: &PrivateEndpointConnectionParams,
        options: &Options<'_>,
    ) -> Result<Vec<Remark>, Error> {
        Ok(self.import_authorization(params, options)?.remarks)
    }

    fn check(&self, peer: &PublicKey, options: &Options<'_>) -> Result<(), Error> {
        if peer.id() == self.id() {
            return Err(Error::Import(ImportError::Unsuitable(
                "made by this node itself",
            )));
        }
        match options.name {
            Some(name) => self.check_peer_name(peer.id(), name, options.replace),
            None => Ok(()),
        }
    }

    /// Checks the address of a peer. It is pinned like the rest, since nothing signs it: any
    /// carrier could change it.
    fn check_address(
        &self,
        peer: NodeId,
        address: &InternetAddress,
        options: &Options<'_>,
    ) -> Result<(), Error> {
        let known = self.peer(peer)?.and_then(|peer| peer.address);
        let moved = !address.is_nowhere() && known.is_some_and(|known| known != *address);
        if moved && !options.may_change() {
            return Err(Error::Import(ImportError::Pinned(
                "the peer is known under another Internet address",
            )));
        }
        Ok(())
    }

    pub(super) fn check_subject(
        &self,
        path: &CertificationPath,
        options: &Options<'_>,
    ) -> Result<(), Error> {
        if path.leaf.id() != self.id() {
            return Err(Error::Import(ImportError::ForAnotherNode(path.leaf.id())));
        }
        path.leaf.check_dates(&options.window)?;
        Ok(())
    }

    /// Checks a path whose leaf is known to be well signed. Nothing signs the other certificates
    /// except each other. `held` are the stored paths of the same issuer: if one has this leaf, its
    /// authorities stay, unless the issuer itself sent the new ones.
    pub(super) fn admit_path(
        &self,
        path: &CertificationPath,
        held: &[CertificationPath],
        options: &Options<'_>,
    ) -> Result<KeptPath, Error> {
        let checked = |path: &CertificationPath| -> Result<CertificationPath, Error> {
            let issuers = Issuers {
                own: &path.authorities,
                pool: &[],
                known: &self.issuer_keys(&path.authorities)?,
            };
            let authorities = issuers.checked(&path.leaf, &options.window)?;
            Ok(CertificationPath {
                leaf: path.leaf.clone(),
                authorities: authorities.into_iter().cloned().collect(),
            })
        };
        let path = checked(path)?;
        let known = held.iter().find(|held| held.leaf == path.leaf);
        // A stored path is replaced if it is not valid, or lacks issuers that the new one has.
        let good = known.and_then(|known| checked(known).ok());
        let lacks =
            |good: &CertificationPath| good.authorities.is_empty() && !path.authorities.is_empty();
        Ok(
            match good.filter(|good| !options.may_change() && !lacks(good)) {
                Some(kept) => KeptPath {
                    remark: (kept.authorities != path.authorities)
                        .then_some(Remark::OtherIssuersKept),
                    path: None,
                },
                None => KeptPath {
                    path: Some(path),
                    remark: None,
                },
            },
        )
    }

    /// The same for a path that a gateway issued to this node. Its authorities are attached to
    /// everything that this node issues, so new ones must be vouched for.
    pub(super) fn admit_issued(
        &self,
        issuer: NodeId,
        path: &CertificationPath,
        options: &Options<'_>,
    ) -> Result<KeptPath, Error> {
        let held = certificates::paths_from(self, issuer)?;
        let admitted = self.admit_path(path, &held, options)?;
        let held: Vec<_> = held.iter().flat_map(|held| &held.authorities).collect();
        if let Some(path) = &admitted.path
            && !held.is_empty()
            && !options.may_change()
        {
            let issuers = Issuers {
                known: &self.issuer_keys(&path.authorities)?,
                ..Issuers::default()
            };
            // Authorities that a known key signed need nobody to vouch for them.
            let mut authorities = path.authorities.iter();
            if !authorities.all(|authority| held.contains(&authority) || issuers.show(authority)) {
                return Err(Error::Import(ImportError::Pinned(
                    "another certificate of the gateway than before, and nothing known here shows who issued it",
                )));
            }
        }
        Ok(admitted)
    }

    pub(super) fn store_issued(
        &self,
        issuer: NodeId,
        leaf: &Certificate,
        admitted: &KeptPath,
        options: &Options<'_>,
    ) -> Result<(), Error> {
        match &admitted.path {
            Some(path) => certificates::store_path(self, issuer, path)?,
            // A killed run may not have synced the stored path.
            None => certificates::rely_on_path(self, issuer, leaf)?,
        }
        if options.replace {
            certificates::keep_only(self, issuer, leaf)?;
        }
        Ok(())
    }

    /// Stores the identity key first, which makes the peer known: after a crash, the object can be
    /// imported again. The name comes last, since users rely on it.
    fn import_authorization(
        &self,
        params: &PrivateEndpointConnectionParams,
        options: &Options<'_>,
    ) -> Result<ImportedFrom, Error> {
        let peer = params.identity.id();
        let path = &params.authorization;
        self.check_subject(path, options)?;
        self.check(&params.identity, options)?;
        path.leaf.verify_signature(&params.identity)?;
        self.check_address(peer, &params.gateway_address, options)?;
        let held = authorizations::held(self, peer)?;
        let admitted = self.admit_path(path, &held, options)?;

        self.pin_identity(&params.identity)?;
        match &admitted.path {
            Some(path) => authorizations::store_held(self, peer, path)?,
            None => authorizations::rely_on_held(self, peer, &path.leaf)?,
        }
        if options.replace {
            authorizations::keep_only(self, peer, &path.leaf)?;
        }
        let end = path.leaf.not_after();
        let start = path.leaf.not_before();
        // Our programs issue authorizations for at most 180 days and keep the session key for 240.
        // How long others keep theirs is unknown, so the time to seal to it starts with the import.
        let is_ours = end.duration_since(start) <= issuance::MAX_LIFE;
        let sealed_until = match (options.one_way, is_ours) {
            (true, _) => end,
            (false, true) => start + INITIAL_SEALED_FOR,
            (false, false) => options.now + INITIAL_SEALED_FOR,
        };
        let taken =
            self.take_session_key(peer, &params.session_key, start, sealed_until, options)?;
        // A peer may send any number of authorizations. An import by hand removes none.
        if options.vouched {
            authorizations::keep_few(self, peer)?;
        } else {
            self.settle_unknown_sender(&params.identity, options)?;
        }
        self.set_address(peer, &params.gateway_address)?;
        let kept = (!taken).then_some(Remark::NewerSessionKeyKept);
        self.finish(peer, admitted.remark.into_iter().chain(kept), options)
    }

    fn import_params(
        &self,
        params: &NodeConnectionParams,
        options: &Options<'_>,
    ) -> Result<ImportedFrom, Error> {
        let peer = params.identity.id();
        self.check(&params.identity, options)?;
        if params.address.is_nowhere() {
            return Err(Error::Import(ImportError::Unsuitable(
                "parameters of a node on the Internet without an address there",
            )));
        }
        let stored = self.session_key_of(peer)?;
        let changes = |stored: &super::peers::StoredSessionKey| stored.key != params.session_key;
        // A key from a message is newer than one in parameters, which have no date.
        if stored
            .as_ref()
            .is_some_and(|stored| !stored.is_undated && changes(stored))
            && !options.replace
        {
            return Err(Error::Import(ImportError::Pinned(
                "the session key here is newer than these parameters may be",
            )));
        }
        self.check_address(peer, &params.address, options)?;
        self.pin_identity(&params.identity)?;
        let other = stored.as_ref().is_some_and(changes) && !options.is_vouched();
        if stored.is_none_or(|stored| changes(&stored)) {
            let initial = Initial {
                sealed_until: options.now + INITIAL_SEALED_FOR,
                is_undated: true,
            };
            self.set_session_key(peer, &params.session_key, options.now, Some(initial))?;
        }
        self.set_address(peer, &params.address)?;
        self.settle_unknown_sender(&params.identity, options)?;
        let remark = other.then_some(Remark::OtherSessionKeyTaken);
        self.finish(peer, remark, options)
    }

    fn import_registration(
        &self,
        registration: &Registration,
        options: &Options<'_>,
    ) -> Result<ImportedFrom, Error> {
        let gateway = registration.gateway.key();
        let path = CertificationPath {
            leaf: registration.node.clone(),
            authorities: vec![registration.gateway.clone()],
        };
        self.check_subject(&path, options)?;
        registration.verify()?;
        registration.gateway.check_dates(&options.window)?;
        self.check(gateway, options)?;
        self.check_address(gateway.id(), &registration.gateway_address, options)?;
        let issuers = certificates::issuers(self)?;
        // A second gateway would vouch for this node, too, so the user has to confirm it. One that vouches already may renew.
        let is_second = !issuers.is_empty() && !issuers.contains(&gateway.id());
        if is_second && options.expected.is_none() && !options.replace {
            return Err(Error::Import(ImportError::Pinned(
                "this node is registered with another gateway",
            )));
        }
        let admitted = self.admit_issued(gateway.id(), &path, options)?;
        self.pin_identity(gateway)?;
        let date = registration.node.not_before();
        let taken = match &registration.session_key {
            Some(key) => {
                let sealed_until = date + INITIAL_SEALED_FOR;
                self.take_session_key(gateway.id(), key, date, sealed_until, options)?
            }
            None => true,
        };
        self.settle_unknown_sender(gateway, options)?;
        self.set_address(gateway.id(), &registration.gateway_address)?;
        self.store_issued(gateway.id(), &path.leaf, &admitted, options)?;
        let kept = (!taken).then_some(Remark::NewerSessionKeyKept);
        let is_new = !issuers.contains(&gateway.id());
        let new = is_new.then_some(Remark::NewGateway);
        let is_gateway = self.config().node_type() == NodeType::Gateway;
        // An endpoint seals nothing to its gateway.
        let is_keyless = is_gateway && self.session_key_of(gateway.id())?.is_none();
        let keyless = is_keyless.then_some(Remark::NoSessionKey);
        let remarks = new.into_iter().chain(admitted.remark).chain(kept);
        let remarks = remarks.chain(keyless);
        self.finish(gateway.id(), remarks, options)
    }

    /// Stores an imported session key that has a date. Returns whether it is the one to seal to
    /// now.
    fn take_session_key(
        &self,
        peer: NodeId,
        key: &PublicSessionKey,
        date: Timestamp,
        sealed_until: Timestamp,
        options: &Options<'_>,
    ) -> Result<bool, Error> {
        let initial = Some(Initial {
            sealed_until,
            is_undated: false,
        });
        if options.replace {
            self.set_session_key(peer, key, date, initial)?;
            return Ok(true);
        }
        self.offer_session_key(peer, key, date, initial)
    }

    /// Stores a deauthorization that was handed over.
    fn import_revocation(
        &self,
        pdd: &Received<Pdd>,
        options: &Options<'_>,
    ) -> Result<ImportedFrom, Error> {
        let times = (options.now, &options.window);
        let is_new = self.keep_revocation(pdd, pdd.octets(), times)?;
        Ok(ImportedFrom {
            peer: pdd.signer(),
            remarks: (!is_new)
                .then_some(Remark::RevokedAlready)
                .into_iter()
                .collect(),
        })
    }

    /// Stores an authorization from an unknown sender, with the session key and date of its
    /// message, until a user imports the sender. Returns whether the daily quota had room for it.
    /// The caller holds the lock of unknown senders.
    ///
    /// # Errors
    /// When it is not for this node, not signed as it must be, or cannot be stored.
    pub fn hear(
        &self,
        params: &PrivateEndpointConnectionParams,
        (key, date): (&PublicSessionKey, Timestamp),
        options: &Options<'_>,
    ) -> Result<bool, Error> {
        let path = &params.authorization;
        self.check_subject(path, options)?;
        self.check(&params.identity, options)?;
        path.leaf.verify_signature(&params.identity)?;
        let admitted = self.admit_path(path, &[], options)?;
        let address = Some(&params.gateway_address).filter(|address| !address.is_nowhere());
        let heard = Heard {
            key: key.clone(),
            date,
            authorization: admitted.path.map(|path| SentAuthorization {
                path,
                address: address.cloned(),
            }),
        };
        unknown_senders::store(self, params.identity.id(), heard, options.now)
    }

    /// Adopts what a node sent as an unknown sender, unless the import replaces everything.
    fn settle_unknown_sender(&self, key: &PublicKey, options: &Options<'_>) -> Result<(), Error> {
        if options.replace {
            unknown_senders::forget(self.root(), key.id())
        } else {
            self.adopt_unknown_sender(key, &options.window)
        }
    }

    /// Adopts what a new peer sent as an unknown sender: its session key, and its authorization if
    /// that is valid. The file stays until its day is purged, but is not read any more.
    pub(super) fn adopt_unknown_sender(
        &self,
        key: &PublicKey,
        window: &Window,
    ) -> Result<(), Error> {
        let peer = key.id();
        let Some(heard) = unknown_senders::newest(self.root(), peer)? else {
            return Ok(());
        };
        self.offer_session_key(peer, &heard.key, heard.date, None)?;
        match &heard.authorization {
            Some(authorization) => self.adopt_authorization(key, authorization, window),
            None => Ok(()),
        }
    }

    fn adopt_authorization(
        &self,
        key: &PublicKey,
        SentAuthorization { path, address }: &SentAuthorization,
        window: &Window,
    ) -> Result<(), Error> {
        let peer = key.id();
        let issuers = Issuers {
            own: &path.authorities,
            pool: &[],
            known: &self.issuer_keys(&path.authorities)?,
        };
        // Checked again: the file may be old, or edited.
        let holds = path.leaf.id() == self.id()
            && path.leaf.verify_signature(key).is_ok()
            && path.leaf.check_dates(window).is_ok()
            && issuers.checked(&path.leaf, window).is_ok();
        let held = authorizations::held(self, peer)?;
        if !holds || held.iter().any(|held| held.leaf == path.leaf) {
            return Ok(());
        }
        authorizations::store_held(self, peer, path)?;
        match address {
            Some(address) if self.peer(peer)?.is_some_and(|peer| peer.address.is_none()) => {
                self.set_address(peer, address)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn finish(
        &self,
        peer: NodeId,
        remarks: impl IntoIterator<Item = Remark>,
        options: &Options<'_>,
    ) -> Result<ImportedFrom, Error> {
        // What a peer sends says nothing of what a person here noted of it.
        if options.is_local || options.expected.is_some() {
            self.note_compared(peer)?;
        }
        if options.is_local || !options.vouched {
            self.expect_mail(peer, true)?;
        }
        // Last: a local endpoint that has the name of its gateway is complete.
        if let Some(name) = options.name {
            self.name_peer(peer, name)?;
        }
        Ok(ImportedFrom {
            peer,
            remarks: remarks.into_iter().collect(),
        })
    }
}
