//! The ids of the parcels that a content becomes.

use crate::asn1::hex;
use crate::crypto::hash;
use crate::message::parts::TransferId;
use crate::pki::NodeId;
use crate::send::uuid;

/// What the ids of a content's parcels follow from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    /// This number, which nobody else has. Each recipient sees other ids: equal ones would show couriers who gets the
    /// same content.
    Drawn([u8; 16]),
    /// The same number, in a run that may repeat one which was killed.
    Repeated([u8; 16]),
    /// This text, which is the id for every recipient.
    Given(String),
}

/// What is done with the parcels of a content of which some cannot be stored, and with those that were stored before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum IdsKind {
    /// Those that are stored go: no other run makes the same ones.
    #[default]
    Drawn,
    /// Those that are stored stay, and those that were count as stored.
    Repeated,
    /// The same, but a content that was stored before as a whole is reported.
    Given,
}

impl Ids {
    pub(super) fn kind(&self) -> IdsKind {
        match self {
            Self::Drawn(_) => IdsKind::Drawn,
            Self::Repeated(_) => IdsKind::Repeated,
            Self::Given(_) => IdsKind::Given,
        }
    }

    /// The id of a content for a recipient; in parts, the part's index follows it.
    #[must_use]
    pub(super) fn id_for(&self, recipient: NodeId) -> String {
        match self {
            Self::Given(id) => id.clone(),
            Self::Drawn(_) | Self::Repeated(_) => uuid(self.number_for(recipient)),
        }
    }

    /// The transfer that parts of the content belong to: the digits of the id, if it has as many.
    #[must_use]
    pub(super) fn transfer_for(&self, recipient: NodeId) -> TransferId {
        let digits = self.id_for(recipient).replace('-', "");
        let octets = hex::parse(&digits).and_then(|octets| octets.try_into().ok());
        octets.unwrap_or_else(|| self.number_for(recipient)).into()
    }

    fn number_for(&self, recipient: NodeId) -> [u8; 16] {
        let known = match self {
            Self::Drawn(number) | Self::Repeated(number) => &number[..],
            Self::Given(id) => id.as_bytes(),
        };
        let digest = hash::sha256(&[known, recipient.to_string().as_bytes()].concat());
        let mut number = [0; 16];
        number.copy_from_slice(&digest[..16]);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_run_makes_the_same_ids_and_recipients_have_others() {
        let (bob, carol) = (NodeId::of_spki(b"bob"), NodeId::of_spki(b"carol"));
        let ids = Ids::Drawn([7; 16]);
        assert_eq!(ids.id_for(bob), Ids::Repeated([7; 16]).id_for(bob));
        assert_ne!(ids.id_for(bob), ids.id_for(carol));
        assert_ne!(ids.id_for(bob), Ids::Drawn([8; 16]).id_for(bob));
        assert_eq!(
            ids.transfer_for(bob).to_string(),
            ids.id_for(bob).replace('-', "")
        );
        let given = Ids::Given("order 7".to_owned());
        assert_eq!(given.id_for(bob), given.id_for(carol));
        assert_ne!(given.transfer_for(bob), given.transfer_for(carol));
    }
}
