//! The errors of authorizations and registrations.

use jiff::Timestamp;

use crate::kind::ErrorKind;
use crate::pki::{NodeId, RateLimit};

/// Why nothing allows a message, for one of the two sides, at this time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizationError {
    /// The peer gave us no authorization.
    #[error("{0} has not authorized this node to send to it")]
    NotAuthorized(String),
    /// The gateway never certified this node.
    #[error("{0} has not registered this node")]
    NotRegistered(String),
    /// The gateway neither certified this node nor authorized it to send cargo.
    #[error("{0} has neither registered this node nor authorized it to send cargo")]
    NotCarrier(String),
    /// Every authorization that the peer gave us has expired, or is about to.
    #[error("the authorization from {peer} ends at {at}, and a message needs a day of it")]
    Expired {
        /// The peer.
        peer: String,
        /// When the last one ends or ended.
        at: Timestamp,
    },
    /// Every certificate that the gateway gave us has expired, or is about to.
    #[error("the registration with {peer} ends at {at}, and a message needs a day of it")]
    RegistrationExpired {
        /// The gateway.
        peer: String,
        /// When the last one ends or ended.
        at: Timestamp,
    },
    /// The authorization that the peer gave us is not valid yet, by this clock.
    #[error("the authorization from {peer} is valid only from {at}")]
    Early {
        /// The peer.
        peer: String,
        /// When it starts.
        at: Timestamp,
    },
    /// The certificate that the gateway gave us is not valid yet, by this clock.
    #[error("the registration with {peer} is valid only from {at}")]
    RegistrationEarly {
        /// The gateway.
        peer: String,
        /// When it starts.
        at: Timestamp,
    },
    /// The authorization in a CCA is about to expire.
    #[error("the CCA from {peer} ends at {at}, and cargo needs a day of it")]
    CcaEnds {
        /// The gateway that asks.
        peer: String,
        /// When its authorization ends.
        at: Timestamp,
    },
    /// The sender was not authorized, and this node opens nothing else.
    #[error("the sender of the authorization did not issue it, or it is not for this node")]
    Foreign,
    /// The authorization in a CCA is for another node, or was not issued by the sender of the CCA.
    #[error("the authorization in the CCA is for another node, or not from the CCA's sender")]
    ForeignCarrier,
    /// Cargo or a CCA from a node that this one certified, but that is not a peer any more.
    #[error("{0} is certified by this gateway, but not known here (any more)")]
    UnknownCarrier(NodeId),
    /// Cargo or a CCA under the certificate of an endpoint.
    #[error("{0} is registered here as an endpoint, and only gateways send cargo")]
    EndpointCarrier(NodeId),
    /// A rotation that was not signed by the gateway whose cargo brought it.
    #[error("a rotation that the cargo's sender did not sign")]
    ForeignRotation,
    /// An authorization to register that is for another node.
    #[error("the authorization is to register another node")]
    ForeignPromise,
    /// A CCA is from another gateway than the one that cargo is for.
    #[error("the CCA is from {0}, not from the gateway that the cargo is for")]
    OtherCollector(NodeId),
    /// The sender has sent as many parcels as its authorization allows.
    #[error("over the rate of its sender's authorization, {0}")]
    OverRate(RateLimit),
    /// An authorization to register that has expired.
    #[error("the authorization to register ended at {0}")]
    PromiseExpired(Timestamp),
    /// The authorization of a message's sender was revoked.
    #[error("the authorization of {sender} is revoked by {by} until {until}")]
    Revoked {
        /// The sender.
        sender: NodeId,
        /// Who revoked it: the recipient, or its gateway.
        by: NodeId,
        /// Until when.
        until: Timestamp,
    },
    /// An authorization is to be sent along to a peer from which this node withdrew the last one.
    #[error("this node revoked the authorization of {peer} until {until}")]
    Withdrawn {
        /// The peer.
        peer: String,
        /// Until when.
        until: Timestamp,
    },
    /// The peer, or its gateway, revoked what it gave this node.
    #[error("the authorization from {peer} is revoked until {until}")]
    TakenBack {
        /// The peer.
        peer: String,
        /// Until when.
        until: Timestamp,
    },
    /// This node revoked all authorizations under its key, those to come included.
    #[error("all authorizations of this node are revoked until {0}")]
    AllRevoked(Timestamp),
    /// A deauthorization by a node that this one has nothing to do with.
    #[error("a PDD of {0}, which is neither known here nor certified by a node that is")]
    UnknownRevoker(NodeId),
    /// As many authorizations of this issuer are revoked as may be, or as may be for the node
    /// that vouches for it.
    #[error("no room for more revoked authorizations of {0}")]
    TooManyRevoked(NodeId),
    /// No authorization that this node gave has this serial number.
    #[error("{0} is neither a peer nor the serial number of an authorization that this node gave")]
    NotGiven(String),
    /// A peer whose authorizations are to be revoked has none.
    #[error("nothing that was given to {0} is valid")]
    NothingGiven(String),
    /// The issuer of authorizations that are to be revoked was not certified by this node.
    #[error("{0} is not certified by this node, or that has ended")]
    NotCertified(String),
}

impl AuthorizationError {
    /// The reason, as callers of all floors tell reasons apart.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotAuthorized(_)
            | Self::NotRegistered(_)
            | Self::NotCarrier(_)
            | Self::Foreign
            | Self::ForeignCarrier
            | Self::UnknownCarrier(_)
            | Self::EndpointCarrier(_)
            | Self::ForeignRotation
            | Self::ForeignPromise
            | Self::AllRevoked(_)
            | Self::Withdrawn { .. }
            | Self::UnknownRevoker(_)
            | Self::NotCertified(_) => ErrorKind::Forbidden,
            Self::Revoked { .. } | Self::TakenBack { .. } => ErrorKind::Unauthorized,
            Self::TooManyRevoked(_) => ErrorKind::Full,
            Self::NotGiven(_) | Self::NothingGiven(_) => ErrorKind::UnknownPeer,
            Self::Expired { .. }
            | Self::RegistrationExpired { .. }
            | Self::CcaEnds { .. }
            | Self::PromiseExpired(_) => ErrorKind::Expired,
            Self::Early { .. } | Self::RegistrationEarly { .. } => ErrorKind::Early,
            Self::OtherCollector(_) => ErrorKind::OtherRecipient,
            Self::OverRate(_) => ErrorKind::OverRate,
        }
    }
}
