//! Checks the files of peers, and whether this node can send to them.

use std::collections::HashMap;
use std::path::Path;

use super::checker::Checker;
use super::finding::{Check, Level};
use crate::node::SessionKeyError;
use crate::node::authorizations::HeldAuthorization;
use crate::node::key_file::public_key_from_pem;
use crate::node::{
    Directory, Error, NodeType, Peer, authorizations, certificates, peers, read_text,
};
use crate::pki::NodeId;

impl Checker<'_> {
    /// Checks the files of a peer. `names` collects the names of all peers, which must differ.
    pub(super) fn peer(
        &mut self,
        node: &Directory,
        id: NodeId,
        dir: &Path,
        names: &mut HashMap<String, NodeId>,
    ) {
        let peer = match node.peer(id) {
            Ok(Some(peer)) => peer,
            Ok(None) => {
                let what = "a peer without its key, which is not known";
                let hint = "import what it sent once more".to_owned();
                return self.report(Level::Warning, Check::Orphan, dir, &what, Some(hint));
            }
            Err(error) => return self.damaged(dir, &error),
        };
        let path = dir.join("identity.pub");
        match read_text(&path)
            .and_then(|text| public_key_from_pem(text.unwrap_or_default().as_bytes()))
        {
            // Programs look a peer up by the name of its directory.
            Ok(key) if key.id() != id => {
                let what = "not the key that the directory is named for";
                self.report(Level::Error, Check::Damaged, &path, &what, None);
            }
            Ok(_) => {}
            Err(error) => self.damaged(&path, &error),
        }
        if let Some(name) = &peer.name {
            let path = dir.join("name");
            if let Err(error) = peers::check_name(name) {
                self.damaged(&path, &error);
            }
            if let Some(other) = names.insert(name.clone(), id) {
                let what = format!("{name} is the name of {other}, too");
                let hint = "relay-peers ID --rename gives another".to_owned();
                self.report(Level::Error, Check::Damaged, &path, &what, Some(hint));
            }
        }
        let label = peer.label();
        let held = dir.join("held");
        let found = self.latest_in(&held, node.id());
        let hint = "ask them for a new one (relay-authorize), and import that";
        self.ends(
            &held,
            found,
            &format!("the authorization from {label}"),
            hint,
        );
        for (folder, what, program) in [
            ("given", "authorization", "relay-authorize"),
            ("registered", "registration", "relay-register"),
        ] {
            let dir = dir.join(folder);
            let found = self.latest_in(&dir, id);
            let what = format!("the {what} given to {label}");
            self.ends(&dir, found, &what, &format!("{program} gives a new one"));
        }
        self.sealed_to(node, &peer, dir);
    }

    /// Checks that there is a session key to seal to, if this node may send to the peer.
    fn sealed_to(&mut self, node: &Directory, peer: &Peer, dir: &Path) {
        let path = dir.join("session.pem");
        let stored = match node.session_key_of(peer.id) {
            Ok(stored) => stored,
            Err(error) => return self.damaged(&path, &error),
        };
        let may_send = match authorizations::newest_held(node, peer.id, self.now) {
            Ok(HeldAuthorization::Valid(_)) => true,
            Ok(_) => {
                let label = peer.label();
                // Gateways send cargo under a registration as well as under an authorization.
                node.config().node_type() == NodeType::Gateway
                    && certificates::registration_with(node, peer.id, &label, self.now).is_ok()
            }
            Err(_) => return, // `latest_in` reported it
        };
        if !may_send {
            return;
        }
        let error = match stored {
            None => Error::SessionKey(SessionKeyError::Missing(peer.label())),
            Some(stored) => match stored.sealed_until.filter(|until| *until < self.now) {
                None => return,
                Some(at) => Error::SessionKey(SessionKeyError::Expired {
                    peer: peer.label(),
                    at,
                }),
            },
        };
        let hint = "ask them for new connection parameters (relay-authorize), and import those";
        let (level, check) = (Level::Warning, Check::SessionKey);
        self.report(level, check, &path, &error, Some(hint.to_owned()));
    }
}
