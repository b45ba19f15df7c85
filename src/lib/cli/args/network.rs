//! Options for how other nodes are reached.

use std::path::PathBuf;

use crate::binding::tls::Authorities;
use crate::binding::{self, Network, address::ResolverUrl};
use crate::node::Config;

/// The variable that names the file of the system's authorities.
const SYSTEM_FILE: &str = "SSL_CERT_FILE";

/// `--resolver` and `--ca`, for programs that use a network.
#[derive(Debug, Default, clap::Args)]
pub struct NetworkOptions {
    /// Ask the resolver at URL, not those of the node's config
    #[arg(long, value_name = "URL")]
    resolver: Vec<ResolverUrl>,
    /// Believe the authorities in FILE, not those of the node's config or the system
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl NetworkOptions {
    /// The network, by the settings of a node, if there is one, and these options.
    ///
    /// # Errors
    /// When a setting or option cannot be used, or the file of authorities cannot be read.
    pub fn network(&self, config: Option<&Config>) -> Result<Network, binding::Error> {
        let given = self.ca.as_deref().map(Authorities::from_file).transpose()?;
        let mut network = Network::of_config(config.unwrap_or(&Config::default()), given)?;
        if !self.resolver.is_empty() {
            network.resolvers.clone_from(&self.resolver);
        }
        if let Some(path) = std::env::var_os(SYSTEM_FILE).filter(|path| !path.is_empty()) {
            network.authorities.expect_file(SYSTEM_FILE, path.into());
        }
        Ok(network)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Program {
        #[command(flatten)]
        network: NetworkOptions,
    }

    #[test]
    fn options_replace_the_settings() {
        let config =
            Config::parse("resolver = https://127.0.0.1/a\nproxy = http://127.0.0.1:9\n").unwrap();
        let network = |args: &[&str]| {
            let args = ["program"].iter().chain(args);
            let program = Program::try_parse_from(args).unwrap();
            program.network.network(Some(&config))
        };
        let shown = |args: &[&str]| {
            let urls = network(args).ok().unwrap().resolvers;
            urls.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(shown(&[]), ["https://127.0.0.1/a"]);
        let (b, c) = ("https://127.0.0.2/b", "https://[::1]/c");
        assert_eq!(shown(&["--resolver", b, "--resolver", c]), [b, c]);
        assert!(network(&["--resolver", b]).ok().unwrap().proxy.is_some());
        for malformed in ["127.0.0.1", "http://127.0.0.1/a", "foo"] {
            let args = ["program", "--resolver", malformed];
            let error = Program::try_parse_from(args).unwrap_err();
            assert_eq!(error.kind(), clap::error::ErrorKind::ValueValidation);
        }
        assert!(network(&["--ca", "/nowhere/ca.pem"]).is_err());
        let config = Config::parse("ca = /nowhere/ca.pem\n").unwrap();
        let unread = NetworkOptions::default().network(Some(&config));
        assert!(unread.is_err());
    }
}
