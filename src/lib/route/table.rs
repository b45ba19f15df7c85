//! The routes of a node: lines `PATTERN TARGET [priority=0-9] [ack=no] [copies=1-9]` in its file
//! `routes`. The first match counts.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::Error;
use super::target::Target;
use crate::asn1::text;
use crate::command::Command;
use crate::disk::{FileRole, files, tree};
use crate::node::Directory;
use crate::pki::NodeId;
use crate::ramf::Fields;
use crate::spool::name::{MAX_COPIES, MAX_PRIORITY};
use crate::upkeep::checker::Checker;
use crate::upkeep::finding::{Check, Level};

/// The largest table, in octets.
const MAX_LEN: usize = 1024 * 1024;

/// A table of routes.
#[derive(Debug, Default)]
pub struct Table {
    routes: Vec<Route>,
}

/// The valid lines of a table with their numbers, and the errors of the others.
type Lines = (Vec<(usize, Route)>, Vec<Error>);

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pattern: Pattern,
    /// The target of its messages.
    pub target: Target,
    /// Their priority, unless the sender set one.
    pub priority: Option<u8>,
    /// The number of copies to export, if the next hop will not acknowledge any.
    pub copies: Option<u8>,
}

/// The messages that a route is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Any,
    Recipient(NodeId),
    /// The Internet address of the recipient, or a suffix of it.
    Address {
        suffix: String,
        is_whole: bool,
    },
}

impl Pattern {
    fn parse(text: &str, node: &Directory) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(address) = text.strip_prefix('@') {
            let (suffix, is_whole) = match address.strip_prefix('*') {
                Some(suffix) => (suffix, false),
                None => (address, true),
            };
            let is_domain = |octet: u8| octet.is_ascii_alphanumeric() || b".-_".contains(&octet);
            if suffix.is_empty() || !suffix.bytes().all(is_domain) {
                return Err(format!("{text}: neither @DOMAIN nor @*.DOMAIN"));
            }
            return Ok(Self::Address {
                suffix: suffix.to_ascii_lowercase(),
                is_whole,
            });
        }
        match text.parse() {
            Ok(id) => Ok(Self::Recipient(id)),
            Err(_) => match node.find_peer(text) {
                Ok(peer) => Ok(Self::Recipient(peer.id)),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    fn has(&self, fields: &Fields) -> bool {
        match self {
            Self::Any => true,
            Self::Recipient(id) => *id == fields.recipient,
            Self::Address { suffix, is_whole } => {
                let address = fields.address.as_ref();
                address.is_some_and(|address| {
                    let address = address.as_str().to_ascii_lowercase();
                    if *is_whole {
                        address == *suffix
                    } else {
                        address.ends_with(suffix)
                    }
                })
            }
        }
    }
}

impl Table {
    /// Reads the table of a node; a node without the file has an empty one.
    ///
    /// # Errors
    /// [`Error::Table`] for the first wrong line.
    pub fn of(node: &Directory) -> Result<Self, Error> {
        let (routes, mut problems) = Self::read(node)?;
        if problems.is_empty() {
            let routes = routes.into_iter().map(|(_, route)| route).collect();
            Ok(Self { routes })
        } else {
            Err(problems.swap_remove(0))
        }
    }

    /// Reports every wrong line in the table of a node, and each target that the node's user cannot
    /// use. Commands are searched in these directories.
    pub fn check(node: &Directory, search: &[PathBuf], checker: &mut Checker<'_>) {
        let (routes, problems) = match Self::read(node) {
            Ok(read) => read,
            Err(error) => (Vec::new(), vec![error]),
        };
        let path = node.root().join("routes");
        for error in problems {
            let what = match error {
                Error::Table { line, problem, .. } => format!("line {line}: {problem}"),
                error => error.to_string(),
            };
            checker.report(Level::Error, Check::Route, &path, &what, None);
        }
        let owner = tree::stat(node.root(), FileRole::Node).ok().flatten();
        let Some(owner) = owner.map(|stat| stat.owner) else {
            return;
        };
        for (line, route) in routes {
            if let Some((what, hint)) = route.target.amiss(owner, search) {
                let what = format!("line {line}: {what}");
                checker.report(Level::Warning, Check::Route, &path, &what, Some(hint));
            }
        }
    }

    /// The valid lines of a node's table with their numbers, and the errors of the others.
    fn read(node: &Directory) -> Result<Lines, Error> {
        let path = node.root().join("routes");
        let octets = match files::read(&path, FileRole::Node, MAX_LEN) {
            Ok(octets) => octets,
            Err(error) if error.is_not_found() => return Ok((Vec::new(), Vec::new())),
            Err(error) => return Err(error.into()),
        };
        let wrong = |line: usize, problem: String| Error::Table {
            path: path.clone(),
            line,
            problem,
        };
        let (mut routes, mut problems) = (Vec::new(), Vec::new());
        let text = match text::read(&octets) {
            Ok(text) => text,
            Err(error) => {
                problems.push(wrong(1, text::problem(&error).to_owned()));
                return Ok((routes, problems));
            }
        };
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match Route::parse(line, node) {
                Ok(route) => routes.push((number, route)),
                Err(problem) => problems.push(wrong(number, problem)),
            }
        }
        Ok((routes, problems))
    }

    /// The first route that matches a message.
    #[must_use]
    pub fn route(&self, fields: &Fields) -> Option<&Route> {
        self.routes.iter().find(|route| route.pattern.has(fields))
    }
}

impl Route {
    fn parse(line: &str, node: &Directory) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let pattern = words.next().unwrap_or_default();
        let pattern = Pattern::parse(pattern, node)?;
        let target = words.next().ok_or("PATTERN and TARGET are needed")?;
        let target = match target.split_once(':') {
            Some(("peer", peer)) => {
                Target::Out(node.find_peer(peer).map_err(|error| error.to_string())?.id)
            }
            Some(("exec", program)) => {
                // The rest of the line are arguments of the command, so no options can follow.
                let args: Vec<OsString> = words.map(OsString::from).collect();
                if program.is_empty() {
                    return Err("exec: a command is needed".to_owned());
                }
                return Ok(Self {
                    pattern,
                    target: Target::Command(Command::new(OsStr::new(program), &args)),
                    priority: None,
                    copies: None,
                });
            }
            Some(("dir", path)) if path.starts_with('/') => Target::Directory(PathBuf::from(path)),
            Some(("dir", path)) => return Err(format!("{path}: not a path from the root")),
            _ => {
                return Err(format!(
                    "{target}: neither peer:NAME, dir:PATH nor exec:COMMAND"
                ));
            }
        };
        let (mut priority, mut copies, mut is_acknowledged) = (None, None, true);
        for word in words {
            match word.split_once('=') {
                Some(("priority", digit)) => {
                    let digit = digit.parse().ok().filter(|digit| *digit <= MAX_PRIORITY);
                    priority = Some(digit.ok_or("priority: not a digit")?);
                }
                Some(("ack", "no")) if matches!(target, Target::Out(_)) => is_acknowledged = false,
                Some(("copies", digit)) => {
                    let digit = digit.parse().ok();
                    let digit = digit.filter(|digit| (1..=MAX_COPIES).contains(digit));
                    copies = Some(digit.ok_or("copies: not a digit from 1")?);
                }
                _ => return Err(format!("{word}: no such option")),
            }
        }
        let copies = match (is_acknowledged, copies) {
            (true, Some(_)) => return Err("copies: only beside ack=no".to_owned()),
            (true, None) => None,
            // Without acknowledgements, the number of copies decides when a message leaves its
            // queue.
            (false, copies) => Some(copies.unwrap_or(1)),
        };
        Ok(Self {
            pattern,
            target,
            priority,
            copies,
        })
    }
}
