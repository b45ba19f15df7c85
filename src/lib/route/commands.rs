//! Hands messages over to the commands of `routes`.

use super::run::{Decided, RouteOutcome};
use super::{Error, Router};
use crate::command::{self, Command, CommandFacts, Runs};
use crate::disk::{Lock, scratch};
use crate::node::peers::check_name;
use crate::spool::{Intents, QueueId};

impl Router<'_> {
    /// Hands messages over to commands, one after another, unless another run does. While one runs,
    /// nobody else is kept from the queues.
    pub(super) fn run_commands<E: From<Error>>(
        &self,
        lock: Option<Lock>,
        each: &mut dyn FnMut(RouteOutcome) -> Result<(), E>,
    ) -> Result<(), E> {
        let alone = self.spool.lock_commands().map_err(Error::from)?;
        if alone.is_none() {
            return Ok(());
        }
        drop(lock);
        let mut runs = Runs::new(self.commands);
        let mut intents = Intents::of(self.spool, QueueId::In).map_err(Error::from)?;
        let messages = self.spool.queue(QueueId::In).messages();
        for message in messages.map_err(Error::from)? {
            let Some(mut decided) = self.decide(message.map_err(Error::from)?)? else {
                continue;
            };
            let Some(command) = decided.command().cloned() else {
                continue;
            };
            // Before it is handed over: what is counted and not handed over is counted once all the same.
            self.count(std::slice::from_mut(&mut decided))?;
            let key = decided.message.name.to_string();
            let counted = (&mut intents, &*key);
            if decided.result.is_ok()
                && let Err(error) = self.run_command(&command, &decided, &mut runs, counted)
            {
                let is_stopped = matches!(error, Error::Command(command::Error::Stopped { .. }));
                if is_stopped {
                    return Err(error.into());
                }
                decided.result = Err(error);
            }
            if decided
                .result
                .as_ref()
                .err()
                .is_none_or(|error| self.is_settled(error))
            {
                intents.forget(&key);
            }
            // Another run may have moved the message meanwhile, or it has expired: it is removed and
            // remembered nevertheless. One by one, since a crash then repeats at most one.
            let _lock = self.spool.lock_again().map_err(Error::from)?;
            self.commit(vec![decided], each)?;
        }
        Ok(intents.finish().map_err(Error::from)?)
    }

    /// Hands a message to a user's command.
    fn run_command(
        &self,
        command: &Command,
        decided: &Decided,
        runs: &mut Runs,
        counted: (&mut Intents, &str),
    ) -> Result<(), Error> {
        let node = self.spool.owner();
        let identity = &decided.name.identity;
        let peer = node.peer(identity.sender)?.and_then(|peer| peer.name);
        let facts = CommandFacts {
            node: node.root(),
            sender: identity.sender,
            // The peer's name may have been edited by hand, and not be valid.
            peer: peer.as_deref().filter(|name| check_name(name).is_ok()),
            recipient: identity.recipient,
            id: decided.id.as_deref().unwrap_or_default(),
            date: decided.date,
            expiry: decided.name.expiry,
            media_type: None,
            name: None,
            size: decided.octets.len() as u64,
        };
        let input = scratch::holding(&self.spool.tmp(), &decided.octets)?;
        runs.run(command, &facts, input, counted)
    }
}
