//! The names of the calls: what stands in `:path`.

/// A call of the service `CargoRelay` (RS-008 §Service).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// The client sends cargo, and the server acknowledges it.
    Deliver,
    /// The server sends cargo, and the client acknowledges it.
    Collect,
}

/// The names of the service: the one of all deployed peers, then the one of the specification.
const SERVICES: [&str; 2] = ["relaynet.cogrpc.CargoRelay", "awala.cogrpc.CargoRelay"];

impl Call {
    /// The name of its method.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Deliver => "DeliverCargo",
            Self::Collect => "CollectCargo",
        }
    }

    /// The path that a client asks for: by the name that deployed servers know.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Deliver => "/relaynet.cogrpc.CargoRelay/DeliverCargo",
            Self::Collect => "/relaynet.cogrpc.CargoRelay/CollectCargo",
        }
    }

    /// The paths by which a server is asked for it, by either name of the service.
    #[must_use]
    pub fn paths(self) -> [String; 2] {
        SERVICES.map(|service| format!("/{service}/{}", self.method()))
    }

    /// The call of a path, which is compared literally. `None` for every other path.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        [Self::Deliver, Self::Collect]
            .into_iter()
            .find(|call| call.paths().iter().any(|one| one == path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_the_service_are_known() {
        for call in [Call::Deliver, Call::Collect] {
            let [deployed, specified] = call.paths();
            assert_eq!(call.path(), deployed);
            assert_eq!(
                specified,
                format!("/awala.cogrpc.CargoRelay/{}", call.method())
            );
            assert_eq!(Call::of_path(&deployed), Some(call));
            assert_eq!(Call::of_path(&specified), Some(call));
        }
        for other in [
            "",
            "/",
            "/relaynet.cogrpc.CargoRelay/",
            "/relaynet.cogrpc.CargoRelay/DeliverCargo/",
            "/relaynet.cogrpc.CargoRelay/delivercargo",
            "relaynet.cogrpc.CargoRelay/DeliverCargo",
            "//relaynet.cogrpc.CargoRelay/DeliverCargo",
            "/grpc.health.v1.Health/Check",
        ] {
            assert_eq!(Call::of_path(other), None, "{other:?}");
        }
    }
}
