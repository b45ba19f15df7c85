//! What a server of an Internet address does, and the name under which DNS has it (RS-000 §Addressing).

use crate::ramf::InternetAddress;

/// A role of a node at an Internet address. Each has SRV records of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// `CogRPC`: an Internet gateway takes cargo from couriers, and gives it.
    CargoRelay,
    /// `PoWeb` (RS-016): an Internet gateway serves its private gateways.
    GatewaySync,
    /// `PoHTTP` (RS-007): an Internet gateway or endpoint takes parcels.
    ParcelDelivery,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 3] = [Self::CargoRelay, Self::GatewaySync, Self::ParcelDelivery];

    /// The name that is registered for it, without the underscore: `awala-crc`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CargoRelay => "awala-crc",
            Self::GatewaySync => "awala-gsc",
            Self::ParcelDelivery => "awala-pdc",
        }
    }

    /// What the server would do, for diagnostics.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::CargoRelay => "cargo relay",
            Self::GatewaySync => "gateway synchronization",
            Self::ParcelDelivery => "parcel delivery",
        }
    }

    /// The owner name of its SRV records (RFC 2782): `_awala-crc._tcp.` and the address, without a dot at its end.
    #[must_use]
    pub fn owner_name(self, address: &InternetAddress) -> String {
        let address = address.as_str();
        let address = address.strip_suffix('.').unwrap_or(address);
        format!("_{}._tcp.{address}", self.name())
    }
}
