//! The nodes that a gateway may register online: the file `register.allow`, an id in hexadecimal digits on each line.

use std::path::Path;

use super::files::{damaged, read_text, store};
use super::{Directory, Error};
use crate::pki::NodeId;

/// The name of the file, in the node directory.
pub const ALLOWED: &str = "register.allow";

/// The nodes that may be registered by the gateway whose directory is `root`, in ascending order.
///
/// # Errors
/// When the file cannot be read, or a line is neither an id nor a comment.
pub fn allowed(root: &Path) -> Result<Vec<NodeId>, Error> {
    let path = root.join(ALLOWED);
    let text = read_text(&path)?.unwrap_or_default();
    let mut ids = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let word = line.split_whitespace().next().unwrap_or_default();
        let id = word
            .parse()
            .map_err(|_| damaged(&path, &format!("line {number} does not begin with an id")))?;
        ids.push(id);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Allows a node to be registered, if it is not allowed yet. The caller holds the node's exclusive lock.
///
/// # Errors
/// When this node is not a gateway, or the file cannot be read or written.
pub fn allow(node: &Directory, id: NodeId) -> Result<(), Error> {
    node.check_is_gateway()?;
    if allowed(node.root())?.contains(&id) {
        return Ok(());
    }
    let path = node.root().join(ALLOWED);
    let mut text = read_text(&path)?.unwrap_or_else(|| {
        "# Nodes that may be registered online, an id a line: relay-node(5)\n".to_owned()
    });
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&id.to_string());
    text.push('\n');
    store(node.root(), &path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_an_id_a_line() {
        let dir = tempfile::tempdir().unwrap();
        assert!(allowed(dir.path()).unwrap().is_empty());
        let ids = [1, 2].map(|octet| NodeId::of_digest([octet; 32]));
        let text = format!(
            "# them\n\n{} Anna's phone\n  {}\n{}",
            ids[1], ids[0], ids[1]
        );
        std::fs::write(dir.path().join(ALLOWED), text).unwrap();
        assert_eq!(allowed(dir.path()).unwrap(), ids);
        std::fs::write(dir.path().join(ALLOWED), "Anna\n").unwrap();
        let error = allowed(dir.path()).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
