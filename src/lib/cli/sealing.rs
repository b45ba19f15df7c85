//! Seals parcels and writes them to the output.

use std::path::Path;

use jiff::Timestamp;

use super::errors::Usage;
use super::outputs::{MessageOutput, Sink};
use super::parts::{PartFeed, PartJob};
use super::recipients::{Recipient, sealers};
use super::tally::{self, ENDED_EARLY};
use super::{files, progress, report};
use crate::asn1::Buffer;
use crate::describe::{json, lines};
use crate::message::certification_path::AUTHORIZATION_TYPE;
use crate::message::parts;
use crate::node::peers::short_id;
use crate::node::{self, Config, Directory, Keyring, NodeType, authorizations};
use crate::pipeline::workers::{self, Bounds};
use crate::pki::NodeId;
use crate::ramf::Kind;
use crate::send::{self, Draft, Sealer, Sent};

/// Checks that a node which sends its authorization along can be answered.
///
/// # Errors
/// A [`Usage`] error for a gateway.
pub fn check_answerable(config: Option<&Config>) -> anyhow::Result<()> {
    match config.map(Config::node_type) {
        Some(NodeType::Gateway) => {
            let text = "--authorize is for endpoints: nobody writes to a gateway";
            Err(Usage(text.to_owned()).into())
        }
        _ => Ok(()),
    }
}

/// How parcels are sealed, and where they go.
pub struct Sealing<'a> {
    /// The keys to seal with.
    pub keyring: &'a dyn Keyring,
    /// The recipients.
    pub peers: &'a [Recipient],
    /// The sender's choices.
    pub draft: &'a Draft<'a>,
    /// Where the parcels go.
    pub output: &'a MessageOutput,
    /// Whether a line of JSON is printed for each.
    pub json: bool,
    /// The node that lets each recipient answer: its authorization goes along.
    pub answerable: Option<&'a Directory>,
}

/// What is ready for a recipient before anything is written.
struct Prepared {
    sealer: Sealer,
    /// The connection parameters that let it answer.
    offer: Option<Vec<u8>>,
}

impl Sealing<'_> {
    /// Seals content for one or more peers.
    ///
    /// # Errors
    /// When a parcel cannot be sealed or written.
    pub fn seal(&self, content: Buffer) -> anyhow::Result<()> {
        let prepared = self.prepare()?;
        let mut written = Written::new(self.json);
        let ended = self.seal_into(content, &prepared, &mut written);
        written.finish(ended)
    }

    /// The sealers of all recipients, with the authorizations for them.
    fn prepare(&self) -> anyhow::Result<Vec<Prepared>> {
        let mut prepared = Vec::new();
        for sealer in sealers(self.keyring, self.peers, self.draft)? {
            let offer = match self.answerable {
                Some(node) => {
                    let path = authorizations::offer(node, sealer.peer().id, self.draft.now)?;
                    // The key that the parcels carry anyway, so that their order does not matter.
                    let key = sealer.session_key().clone();
                    Some(authorizations::params_of(node, path, key)?.to_der())
                }
                None => None,
            };
            prepared.push(Prepared { sealer, offer });
        }
        Ok(prepared)
    }

    /// Seals the authorization for a recipient.
    fn authorize(&self, prepared: &Prepared) -> anyhow::Result<Option<Sent>> {
        let Some(params) = &prepared.offer else {
            return Ok(None);
        };
        let draft = Draft {
            media_type: AUTHORIZATION_TYPE,
            id: None,
            ..*self.draft
        };
        let mut content = Buffer::with_capacity(params.len());
        content.append(params);
        Ok(Some(send::content(&prepared.sealer, content, &draft)?))
    }

    fn seal_into(
        &self,
        content: Buffer,
        prepared: &[Prepared],
        written: &mut Written,
    ) -> anyhow::Result<()> {
        let Some((last, others)) = prepared.split_last() else {
            return Err(Usage("-t PEER is needed".to_owned()).into());
        };
        let sender = self.keyring.node();
        let sender = sender.ok_or(node::Error::Needs("--identity-key"))?;
        // Files and directories take parcels one by one, since an incomplete file gets no name.
        // Standard output gets all parcels or none, so they are held until the last one is sealed.
        let mut sink = self.output.open("a parcel")?;
        let mut parcels = Vec::new();
        let mut finish = |sent: Sent, warns: bool| {
            report_sealed(&sent, warns);
            if self.output.leaves_stdout() {
                return put(&mut sink, sender, &sent, written);
            }
            parcels.push(sent);
            Ok(())
        };
        // Sealing encrypts in place, so every peer but the last gets a copy.
        for other in others {
            let mut copy = Buffer::with_capacity(content.len());
            copy.append(content.as_slice());
            finish(send::content(&other.sealer, copy, self.draft)?, true)?;
        }
        finish(send::content(&last.sealer, content, self.draft)?, true)?;
        for one in prepared {
            if let Some(sent) = self.authorize(one)? {
                finish(sent, false)?;
            }
        }
        for sent in &parcels {
            put(&mut sink, sender, sent, written)?;
        }
        sink.finish()
    }

    /// Seals each part by itself and writes each parcel at once, since reading all parts again would
    /// take long.
    ///
    /// # Errors
    /// When a part cannot be read, or a parcel be sealed or written.
    pub fn seal_parts(&self, path: &Path) -> anyhow::Result<()> {
        let mut feed = PartFeed::open(path, self.draft.id)?;
        let prepared = self.prepare()?;
        feed.for_peers(prepared.len());
        let mut written = Written::new(self.json);
        let ended = self.seal_parts_into(feed, &prepared, &mut written);
        written.finish(ended)
    }

    fn seal_parts_into(
        &self,
        mut feed: PartFeed,
        prepared: &[Prepared],
        written: &mut Written,
    ) -> anyhow::Result<()> {
        let mut sink = self.output.open("a parcel")?;
        let stager = sink.stager();
        let spare = feed.spare();
        // A warning for each part would repeat the same text up to thousands of times.
        let mut warned = vec![false; prepared.len()];
        workers::in_order(
            Bounds::octets(2 * parts::MAX_LEN),
            || feed.next_job(),
            |job: anyhow::Result<PartJob>| {
                let PartJob {
                    octets, peer, id, ..
                } = job?;
                let id = id.as_deref();
                let sealer = &prepared[peer].sealer;
                let sent = send::content(sealer, octets, &Draft { id, ..*self.draft })?;
                let name = sent.fields.file_name(sealer.sender(), Kind::Parcel.word());
                let ready = stager.stage(Kind::Parcel, &name, sent.octets.as_slice())?;
                Ok((peer, sent, ready))
            },
            |sealed: anyhow::Result<_>| {
                let (peer, sent, ready) = sealed?;
                let path = sink.take(ready, sent.octets.as_slice())?;
                report_sealed(&sent, !std::mem::replace(&mut warned[peer], true));
                let sender = prepared[peer].sealer.sender();
                written.add(&sent, sender, path.as_deref(), &sink)?;
                spare.put(sent.octets);
                anyhow::Ok(())
            },
        )?;
        for one in prepared {
            if let Some(sent) = self.authorize(one)? {
                report_sealed(&sent, false);
                put(&mut sink, one.sealer.sender(), &sent, written)?;
            }
        }
        sink.finish()
    }
}

fn put(sink: &mut Sink, sender: NodeId, sent: &Sent, written: &mut Written) -> anyhow::Result<()> {
    let name = sent.fields.file_name(sender, Kind::Parcel.word());
    let path = sink.put(Kind::Parcel, &name, sent.octets.as_slice())?;
    // Named now: a parcel in a directory need not wait for those to other peers.
    sink.settle()?;
    written.add(sent, sender, path.as_deref(), sink)
}

/// The parcels that were written: counted, and printed as JSON once they are complete.
struct Written {
    json: bool,
    /// The lines of parcels that are not synced under their names yet.
    lines: Vec<String>,
    parcels: usize,
    octets: u64,
    /// How many are complete, whatever happens to the others, and their octets.
    settled: (usize, u64),
}

impl Written {
    fn new(json: bool) -> Self {
        Self {
            json,
            lines: Vec::new(),
            parcels: 0,
            octets: 0,
            settled: (0, 0),
        }
    }

    /// Adds a parcel that was given to the sink.
    fn add(
        &mut self,
        sent: &Sent,
        sender: NodeId,
        path: Option<&Path>,
        sink: &Sink,
    ) -> anyhow::Result<()> {
        self.parcels += 1;
        self.octets += u64::try_from(sent.octets.len()).unwrap_or(u64::MAX);
        if self.json {
            let facts = lines::sealed(sent, sender, path);
            self.lines.push(json::line(&facts));
        }
        if sink.is_settled() {
            self.settled = (self.parcels, self.octets);
            self.print()?;
        }
        Ok(())
    }

    fn print(&mut self) -> anyhow::Result<()> {
        for line in self.lines.drain(..) {
            files::print_line(&line)?;
        }
        Ok(())
    }

    /// Says what was done. Of a run that `ended` early only what is complete counts.
    fn finish(mut self, ended: anyhow::Result<()>) -> anyhow::Result<()> {
        let ended = ended.and_then(|()| {
            self.settled = (self.parcels, self.octets);
            self.print()
        });
        let (parcels, octets) = self.settled;
        let sealed = tally::counted(parcels, "parcel", "parcels");
        let text = format!("sealed {sealed}, {}", tally::size(octets));
        match ended {
            Ok(()) => report::summary(&text),
            Err(_) if parcels > 0 => report::summary(&format!("{text}; {ENDED_EARLY}")),
            Err(_) => {}
        }
        ended
    }
}

/// Reports a sealed parcel, and warns if its life was cut.
fn report_sealed(sent: &Sent, warns: bool) {
    progress::step();
    if warns {
        warn_of_life(sent.fields.recipient, sent.cut_to, sent.dated_ahead);
    }
    report::event(
        "sealed",
        &[
            ("id", &sent.fields.id),
            ("to", &sent.fields.recipient.to_string()),
            ("expiry", &sent.fields.expiry().to_string()),
        ],
    );
}

/// Warns where parcels for a peer live shorter than they should, or earlier ones were dated ahead; see [`Sent`].
pub fn warn_of_life(peer: NodeId, cut_to: Option<Timestamp>, dated_ahead: Option<Timestamp>) {
    let peer = short_id(peer);
    if let Some(at) = cut_to {
        report::warn(&format!(
            "the life of the parcel for {peer} is cut to {at}, when a certificate of its path ends"
        ));
    }
    if let Some(at) = dated_ahead {
        report::warn(&format!(
            "earlier messages to {peer} were dated up to {at}, ahead of this clock: a new session key is used"
        ));
    }
}
