//! Where a run would connect to, as `-n` prints it.

use serde_json::{Value, json};

use super::report;
use crate::binding::{CertificateRule, PeerPlace, Server};
use crate::describe;

/// A server that a run would connect to.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlannedServer<'a> {
    /// The Internet address, or the host that the operator named.
    pub(super) address: &'a str,
    /// Where the servers of that are.
    pub(super) place: &'a PeerPlace,
    pub(super) server: &'a Server,
}

impl PlannedServer<'_> {
    /// The columns: the address, the host, the port, how the certificate is judged, and who named the server.
    pub(super) fn columns(&self) -> String {
        let (address, host) = (report::escaped(self.address), self.server.host.to_string());
        let (host, port) = (report::escaped(&host), self.server.port);
        let rule = certificate_word(self.server.certificate);
        let from = self.place.named_by();
        format!("{address}\t{host}\t{port}\t{rule}\t{from}")
    }

    /// The same as JSON, after `owner`: the key and the id of whose servers these are, if they have one.
    pub(super) fn json(&self, owner: Option<(&str, String)>) -> Value {
        let mut line = json!({"v": describe::VERSION});
        if let Some((key, id)) = owner {
            line[key] = id.into();
        }
        line["address"] = self.address.into();
        line["host"] = self.server.host.to_string().into();
        line["port"] = self.server.port.into();
        line["certificate"] = certificate_word(self.server.certificate).into();
        line["from"] = self.place.named_by().into();
        line
    }
}

/// How a certificate is judged, in a word.
pub(super) fn certificate_word(rule: CertificateRule) -> &'static str {
    match rule {
        CertificateRule::Public => "public",
        CertificateRule::Pin(_) => "pin",
        CertificateRule::SelfSigned => "self-signed",
        CertificateRule::Plaintext => "none",
    }
}
