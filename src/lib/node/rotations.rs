//! Imports rotations: renewed certificates from a gateway that certified this node, or that lets it
//! send cargo.

use super::import::{ImportedFrom, Options};
use super::{Directory, Error, ImportError, NodeType};
use super::{authorizations, certificates};
use crate::message::Rotation;
use crate::pki::{Certificate, NodeId};

impl Directory {
    /// Imports a rotation by hand, under the rules for one in cargo: our key in its leaf, signed by
    /// a pinned gateway, and ending later than the stored certificates.
    pub(super) fn import_rotation(
        &self,
        rotation: &Rotation,
        options: &Options<'_>,
    ) -> Result<ImportedFrom, Error> {
        let path = &rotation.path;
        self.check_subject(path, options)?;
        if !path.leaf.is_ca() {
            return self.import_renewed_authorization(rotation, options);
        }
        // A rotation does not name the gateway that issued it, so each one is tried.
        for issuer in certificates::issuers(self)? {
            if !self.has_issued(issuer, &path.leaf)? {
                continue;
            }
            let held = certificates::paths_from(self, issuer)?;
            check_lasts_longer(&path.leaf, held.iter().map(|it| &it.leaf), options)?;
            let admitted = self.admit_issued(issuer, path, options)?;
            self.store_issued(issuer, &path.leaf, &admitted, options)?;
            return self.finish(issuer, admitted.remark, options);
        }
        Err(Error::Import(ImportError::Unsuitable(
            "no gateway that registered this node signed it",
        )))
    }

    /// Imports a renewed authorization to send cargo (CDA): gateways that peer directly have no
    /// gateway above them that would carry it in a parcel.
    fn import_renewed_authorization(
        &self,
        rotation: &Rotation,
        options: &Options<'_>,
    ) -> Result<ImportedFrom, Error> {
        let path = &rotation.path;
        if self.config().node_type() == NodeType::Endpoint {
            return Err(Error::Import(ImportError::Unsuitable(
                "a rotation of something that is no registration",
            )));
        }
        for issuer in path.leaf.issuer_ids() {
            if !self.knows(issuer)? || !self.has_issued(issuer, &path.leaf)? {
                continue;
            }
            let held = authorizations::held(self, issuer)?;
            // What was never given cannot be renewed: the first one comes with a session key.
            if held.is_empty() {
                break;
            }
            check_lasts_longer(&path.leaf, held.iter().map(|it| &it.leaf), options)?;
            let admitted = self.admit_path(path, &held, options)?;
            match &admitted.path {
                Some(path) => authorizations::store_held(self, issuer, path)?,
                None => authorizations::rely_on_held(self, issuer, &path.leaf)?,
            }
            authorizations::keep_few(self, issuer)?;
            return self.finish(issuer, admitted.remark, options);
        }
        Err(Error::Import(ImportError::Unsuitable(
            "no gateway that lets this one send cargo signed it",
        )))
    }

    fn has_issued(&self, issuer: NodeId, leaf: &Certificate) -> Result<bool, Error> {
        Ok(leaf.verify_signature(&self.identity_of(issuer)?).is_ok())
    }
}

/// Checks that a certificate is stored already, or lasts longer than those that are.
fn check_lasts_longer<'a>(
    leaf: &Certificate,
    held: impl Iterator<Item = &'a Certificate> + Clone,
    options: &Options<'_>,
) -> Result<(), Error> {
    let is_held = held.clone().any(|held| held == leaf);
    let lasts_longer = held
        .into_iter()
        .all(|held| held.not_after() < leaf.not_after());
    if is_held || lasts_longer || options.replace {
        return Ok(());
    }
    Err(Error::Import(ImportError::Pinned(
        "the certificate here lasts as long or longer",
    )))
}
