//! relay-list: shows what waits in the spool, or what became of one message.

use std::process::ExitCode;

use clap::Parser;
use jiff::Timestamp;
use serde_json::{Value, json};

use relaynet::cli::args::NodeDir;
use relaynet::cli::clock::NowArgs;
use relaynet::cli::status::{Reported, Status};
use relaynet::cli::unexpected::UnexpectedReport;
use relaynet::cli::{self, files, report, table};
use relaynet::describe;
use relaynet::message::Item;
use relaynet::node::peers::short_id;
use relaynet::pki::NodeId;
use relaynet::ramf::SignedMessage;
use relaynet::spool::queue::{QueueEntry, Waiting};
use relaynet::spool::sent::Line;
use relaynet::spool::state::{MessageState, Story};
use relaynet::spool::{self, Queue, Spool};

/// List what waits in the spool, or tell what became of one message
#[derive(Debug, Parser)]
#[command(name = "relay-list", version)]
pub(crate) struct Args {
    /// in, failed, home, out, control, acks or cca; or one of these for a single node, as in out/hub
    #[arg(value_name = "QUEUE")]
    queue: Option<String>,
    #[command(flatten)]
    node: NodeDir,
    /// Tell what became of the message with this id; the exit status says it, too
    #[arg(long, value_name = "ID", conflicts_with_all = ["queue", "long", "null"])]
    id: Option<String>,
    /// Add what the messages themselves say, without verifying it: id, date, octets
    #[arg(long, conflicts_with = "null")]
    long: bool,
    /// Print the paths of the files, each followed by a NUL
    #[arg(short = '0', long, conflicts_with = "json")]
    null: bool,
    /// Print a line of JSON for each message
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    now: NowArgs,
}

fn main() -> ExitCode {
    cli::run(list)
}

fn list(args: &Args) -> anyhow::Result<()> {
    let spool = Spool::shared_with(args.node.open()?)?;
    let now = args.now.get(None)?;
    if let Some(id) = &args.id {
        return tell(&spool, id, now, args.json);
    }
    let queues = match &args.queue {
        Some(queue) => spool.find_queues(queue)?,
        None => spool.queues()?,
    };
    let mut lines = Lines::new(args);
    for queue in queues {
        let mut unexpected = UnexpectedReport::default();
        for found in queue.entries()? {
            match found? {
                QueueEntry::Message(message) => lines.add(&queue, &message)?,
                QueueEntry::Stray(path) => unexpected.add(path),
            }
        }
        unexpected.report();
    }
    lines.finish()
}

/// How many octets of lines are written at once.
const BLOCK: usize = 64 * 1024;

/// The lines of a list, written while it is read unless a terminal wants them aligned.
struct Lines<'a> {
    args: &'a Args,
    text: Vec<u8>,
    /// For a terminal.
    rows: Option<Vec<Vec<String>>>,
}

impl<'a> Lines<'a> {
    fn new(args: &'a Args) -> Self {
        let is_table = files::is_terminal() && !args.json && !args.null;
        Self {
            args,
            text: Vec::new(),
            rows: is_table.then(Vec::new),
        }
    }

    fn add(&mut self, queue: &Queue, message: &Waiting) -> anyhow::Result<()> {
        let header = if self.args.long {
            Heading::read(message)?
        } else {
            Heading::default()
        };
        if self.args.null {
            use std::os::unix::ffi::OsStrExt as _;
            self.text.extend(message.path.as_os_str().as_bytes());
            self.text.push(0);
        } else if self.args.json {
            let facts = facts(queue, message, self.args.long.then_some(&header));
            self.text.extend(facts.to_string().as_bytes());
            self.text.push(b'\n');
        } else if let Some(rows) = &mut self.rows {
            rows.push(columns(
                queue,
                message,
                self.args.long.then_some(&header),
                true,
            ));
        } else {
            let row = columns(queue, message, self.args.long.then_some(&header), false);
            self.text.extend(row.join("\t").as_bytes());
            self.text.push(b'\n');
        }
        if self.text.len() >= BLOCK {
            files::write_stdout(&[&std::mem::take(&mut self.text)])?;
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        let mut head = vec!["QUEUE", "KIND", "TO", "FROM", "EXPIRES", "PRIORITY", "NAME"];
        if self.args.long {
            head.extend(["ID", "DATE", "OCTETS"]);
        }
        match self.rows {
            Some(rows) => table::print(&head, &rows),
            None => files::write_stdout(&[&self.text]),
        }
    }
}

/// What a message itself says; nothing of it is verified.
#[derive(Default)]
struct Heading {
    id: Option<String>,
    date: Option<Timestamp>,
    len: Option<usize>,
}

impl Heading {
    fn read(message: &Waiting) -> anyhow::Result<Self> {
        let octets = match message.read() {
            Ok(Some(octets)) => octets,
            Ok(None) => return Ok(Self::default()),
            // The others are listed all the same.
            Err(error) if error.is_of_one_file() => {
                report::warn(&format!("{}: {error}", report::path(&message.path)));
                return Ok(Self::default());
            }
            Err(error) => return Err(error.into()),
        };
        let len = Some(octets.len());
        let item = Item::parse(octets).ok();
        let fields = item
            .as_ref()
            .and_then(Item::message)
            .map(SignedMessage::fields);
        Ok(Self {
            id: match &item {
                Some(Item::Pca(pca)) => Some(pca.parcel_id.clone()),
                _ => fields.map(|fields| fields.id.clone()),
            },
            date: fields.map(|fields| fields.date),
            len,
        })
    }
}

/// A queue as a list names it: `out/` and the id of a node.
fn queue_name(queue: &Queue) -> String {
    queue.place().path().to_string_lossy().into_owned()
}

fn columns(queue: &Queue, message: &Waiting, header: Option<&Heading>, short: bool) -> Vec<String> {
    let node = |id: NodeId| if short { short_id(id) } else { id.to_string() };
    let (name, identity) = (&message.name, &message.name.identity);
    let place = queue_name(queue);
    let mut row = vec![
        match place.split_once('/') {
            Some((folder, id)) if short => format!("{folder}/{}", id.get(..13).unwrap_or(id)),
            _ => place,
        },
        identity.kind.word().to_owned(),
        node(identity.recipient),
        node(identity.sender),
        name.expiry.to_string(),
        name.urgency().to_string(),
        name.to_string(),
    ];
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    if let Some(header) = header {
        row.extend([
            or_dash(header.id.as_deref().map(report::escaped)),
            or_dash(header.date.map(|date| date.to_string())),
            or_dash(header.len.map(|len| len.to_string())),
        ]);
    }
    row
}

fn facts(queue: &Queue, message: &Waiting, header: Option<&Heading>) -> Value {
    let (name, identity) = (&message.name, &message.name.identity);
    let mut facts = json!({
        "v": describe::VERSION,
        "queue": queue_name(queue),
        "path": message.path.to_string_lossy(),
        "name": name.to_string(),
        "kind": identity.kind.word(),
        "recipient": identity.recipient.to_string(),
        "sender": identity.sender.to_string(),
        "expiry": name.expiry.to_string(),
        "priority": name.urgency(),
    });
    if let Some(header) = header {
        facts["unverified"] = json!({
            "id": header.id,
            "date": header.date.map(|date| date.to_string()),
            "size": header.len,
        });
    }
    facts
}

/// Prints what became of the messages with this id; of several the one that is least done decides.
fn tell(spool: &Spool, id: &str, now: Timestamp, json: bool) -> anyhow::Result<()> {
    let stories = spool.stories(id, now)?;
    if stories.is_empty() {
        return Err(spool::Error::UnknownMessage(id.to_owned()).into());
    }
    let mut told = Vec::new();
    for story in stories {
        files::print_line(&if json {
            story_to_json(id, &story).to_string()
        } else {
            story_to_row(&story)
        })?;
        told.push(match story.state {
            MessageState::Acknowledged | MessageState::Released => Status::OK,
            MessageState::In | MessageState::Out | MessageState::Home => Status::TEMP_FAIL,
            MessageState::Expired => Status::EXPIRED,
            MessageState::Failed | MessageState::Missing => Status::NO_USER,
        });
    }
    let worst = [Status::TEMP_FAIL, Status::NO_USER, Status::EXPIRED];
    match worst.into_iter().find(|one| told.contains(one)) {
        Some(one) => Err(Reported(one).into()),
        None => Ok(()),
    }
}

fn story_to_json(id: &str, story: &Story) -> Value {
    let event = |line: &Line| json!({"time": line.time.to_string(), "event": line.event.word(), "to": line.to});
    json!({
        "v": describe::VERSION,
        "id": id,
        "recipient": story.recipient.to_string(),
        "sender": story.sender.to_string(),
        "state": story.state.word(),
        "events": story.lines.iter().map(event).collect::<Vec<_>>(),
    })
}

fn story_to_row(story: &Story) -> String {
    let last = story.lines.last();
    let since = last.map_or_else(|| "-".to_owned(), |line| line.time.to_string());
    let to = last.and_then(|line| line.to.as_deref()).unwrap_or("-");
    let row = [
        story.state.word().to_owned(),
        since,
        story.recipient.to_string(),
        story.sender.to_string(),
        report::escaped(to),
    ];
    row.join("\t")
}
