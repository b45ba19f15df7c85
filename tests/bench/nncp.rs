//! Two nodes of NNCP, which does the same task with other formats: chunks, packets, and a spool that is carried.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::programs::Place;

const CHUNK_KIB: usize = 8192;

/// Two nodes, a and b, each with its configuration and its spool in the directory of the same name.
pub(crate) struct Pair {
    dir: PathBuf,
    ids: [String; 2],
}

/// The lines of a node's own block of a configuration.
struct Node(Vec<(String, String)>);

impl Node {
    /// A new node, made by `nncp-cfgnew`; nothing where NNCP is not installed.
    fn generate() -> Option<Self> {
        let made = Command::new("nncp-cfgnew")
            .arg("-nocomments")
            .output()
            .ok()?;
        let text = String::from_utf8(made.stdout).unwrap();
        let block = text
            .lines()
            .skip_while(|line| !line.contains("self: {"))
            .skip(1);
        let fields = block
            .take_while(|line| !line.contains('}'))
            .filter_map(|line| line.trim().split_once(": "));
        Some(Self(
            fields
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        ))
    }

    fn get(&self, key: &str) -> &str {
        let (_, value) = self.0.iter().find(|(name, _)| name == key).unwrap();
        value
    }

    fn block(&self, keys: &[&str]) -> String {
        let lines = keys.iter().map(|key| format!("{key}: {}\n", self.get(key)));
        lines.collect()
    }
}

impl Pair {
    /// Two nodes beside the others in `place`; nothing where NNCP is not installed.
    pub(crate) fn prepare(place: &Place) -> Option<Self> {
        let (Some(a), Some(b)) = (Node::generate(), Node::generate()) else {
            println!("NNCP is not installed (Debian's package nncp): nothing is compared with it");
            return None;
        };
        for (own, other, name) in [(&a, &b, "nncp-a"), (&b, &a, "nncp-b")] {
            let dir = place.dir.join(name);
            for sub in ["incoming", "spool"] {
                fs::create_dir_all(dir.join(sub)).unwrap();
            }
            let mut text = format!("{{\nspool: {0}/spool\nlog: {0}/log\n", dir.display());
            let secret = [
                "id", "exchpub", "exchprv", "signpub", "signprv", "noiseprv", "noisepub",
            ];
            let public = ["id", "exchpub", "signpub", "noisepub"];
            write!(text, "self: {{\n{}}}\n", own.block(&secret)).unwrap();
            write!(text, "neigh: {{\nself: {{\n{}}}\n", own.block(&public)).unwrap();
            write!(
                text,
                "other: {{\n{}incoming: {}/incoming\n}}\n}}\n}}\n",
                other.block(&public),
                dir.display()
            )
            .unwrap();
            fs::write(dir.join("config.hjson"), text).unwrap();
        }
        Some(Self {
            dir: place.dir.clone(),
            ids: [a.get("id").to_owned(), b.get("id").to_owned()],
        })
    }

    /// The command by which a sends a file (`NAME` or `NAME:NEW-NAME`) to b.
    pub(crate) fn send(file: &str, chunked: bool) -> String {
        let (file, name) = file.split_once(':').unwrap_or((file, file));
        let chunks = if chunked {
            format!(" -chunked {CHUNK_KIB}")
        } else {
            String::new()
        };
        format!("nncp-file -cfg nncp-a/config.hjson -quiet -noprogress{chunks} {file} other:{name}")
    }

    /// Moves what waits in a's spool for b into b's.
    pub(crate) fn carry(&self) {
        let [a, b] = &self.ids;
        let to = self.dir.join(format!("nncp-b/spool/{a}/rx"));
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(self.dir.join(format!("nncp-a/spool/{b}/tx"))).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::rename(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    }

    /// The command by which b takes what has come.
    pub(crate) fn toss() -> String {
        "nncp-toss -cfg nncp-b/config.hjson -quiet -noprogress".to_owned()
    }

    /// The command by which b puts chunks together.
    pub(crate) fn reassemble() -> String {
        "nncp-reass -cfg nncp-b/config.hjson -quiet -noprogress -all".to_owned()
    }

    /// Where a file is that has come.
    pub(crate) fn received(&self, name: &str) -> PathBuf {
        self.dir.join("nncp-b/incoming").join(name)
    }
}
