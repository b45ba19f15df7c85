//! Seals parcels and writes them to the output.

use super::errors::Usage;
use super::outputs::{MessageOutput, Sink};
use super::parts::{PartFeed, PartJob};
use super::report;
use crate::asn1::Buffer;
use crate::message::parts;
use crate::node::peers::short_id;
use crate::node::{self, Keyring};
use crate::pipeline::workers::{self, Bounds};
use crate::pki::NodeId;
use crate::ramf::Kind;
use crate::send::{self, Draft, Sealer, Sent};

/// Seals content for one or more peers.
///
/// # Errors
/// When a parcel cannot be sealed or written.
pub fn seal(
    keyring: &dyn Keyring,
    content: Buffer,
    peers: &[NodeId],
    draft: &Draft<'_>,
    output: &MessageOutput,
) -> anyhow::Result<()> {
    let Some((last, others)) = peers.split_last() else {
        return Err(Usage("-t PEER is needed".to_owned()).into());
    };
    let sender = keyring.node().ok_or(node::Error::Needs("--identity-key"))?;
    // Files and directories take parcels one by one, since an incomplete file gets no name.
    // Standard output gets all parcels or none, so they are held until the last one is sealed.
    let mut sink = output.open("a parcel")?;
    let mut parcels = Vec::new();
    let mut finish = |sent: Sent| {
        report_sealed(&sent, true);
        if output.leaves_stdout() {
            return put(&mut sink, sender, &sent);
        }
        parcels.push(sent);
        Ok(())
    };
    // Sealing encrypts in place, so every peer but the last gets a copy.
    for peer in others {
        let mut copy = Buffer::with_capacity(content.len());
        copy.append(content.as_slice());
        finish(send::parcel(keyring, *peer, copy, draft)?)?;
    }
    finish(send::parcel(keyring, *last, content, draft)?)?;
    for sent in &parcels {
        put(&mut sink, sender, sent)?;
    }
    sink.finish()
}

/// Seals each part by itself and writes each parcel at once, since reading all parts again would
/// take long.
///
/// # Errors
/// When a part cannot be read, or a parcel be sealed or written.
pub fn seal_parts(
    keyring: &dyn Keyring,
    mut feed: PartFeed,
    peers: &[NodeId],
    draft: &Draft<'_>,
    output: &MessageOutput,
) -> anyhow::Result<()> {
    let draft = Draft {
        media_type: parts::MEDIA_TYPE,
        ..*draft
    };
    let sealers: Vec<Sealer> = peers
        .iter()
        .map(|peer| send::parcels(keyring, *peer, &draft))
        .collect::<Result<_, _>>()?;
    let mut sink = output.open("a parcel")?;
    let stager = sink.stager();
    let spare = feed.spare();
    // A warning for each part would repeat the same text up to thousands of times.
    let mut warned = vec![false; sealers.len()];
    workers::in_order(
        Bounds::octets(2 * parts::MAX_LEN),
        || feed.next_job(),
        |job: anyhow::Result<PartJob>| {
            let PartJob {
                octets, peer, id, ..
            } = job?;
            let id = id.as_deref();
            let sealer = &sealers[peer];
            let sent = send::content(sealer, octets, &Draft { id, ..draft })?;
            let name = sent.fields.file_name(sealer.sender(), Kind::Parcel.word());
            let ready = stager.stage(Kind::Parcel, &name, sent.octets.as_slice())?;
            Ok((peer, sent, ready))
        },
        |sealed: anyhow::Result<_>| {
            let (peer, sent, ready) = sealed?;
            sink.take(ready, sent.octets.as_slice())?;
            report_sealed(&sent, !std::mem::replace(&mut warned[peer], true));
            spare.put(sent.octets);
            anyhow::Ok(())
        },
    )?;
    sink.finish()
}

fn put(sink: &mut Sink, sender: NodeId, sent: &Sent) -> anyhow::Result<()> {
    let name = sent.fields.file_name(sender, Kind::Parcel.word());
    sink.put(Kind::Parcel, &name, sent.octets.as_slice())?;
    // Named now: a parcel in a directory need not wait for those to other peers.
    sink.settle()?;
    Ok(())
}

/// Reports a sealed parcel, and warns if its life was cut.
fn report_sealed(sent: &Sent, warns: bool) {
    if let (Some(at), true) = (sent.cut_to, warns) {
        let peer = short_id(sent.fields.recipient);
        report::warn(&format!(
            "the life of the parcel for {peer} is cut to {at}, when a certificate of its path ends"
        ));
    }
    if let (Some(at), true) = (sent.dated_ahead, warns) {
        let peer = short_id(sent.fields.recipient);
        report::warn(&format!(
            "earlier messages to {peer} were dated up to {at}, ahead of this clock: a new session key is used"
        ));
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
