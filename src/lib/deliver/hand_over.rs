//! Hands over a group of opened messages, one by one: files get their names, or the command is run.

use std::collections::HashSet;

use super::open::{OpenedContent, OpenedMessage, StagedContent};
use super::run::{Delivery, DeliveryEffect, DeliveryOutcome, DeliveryState, MessageHead};
use super::trees::NamedTree;
use super::{Content, Error};
use crate::disk::batch::{self, Staged};
use crate::disk::scratch;
use crate::node::ReplayKey;
use crate::receive::PendingReceipt;
use crate::spool::QueueId;
use crate::spool::queue::Waiting;

/// A message of a group.
pub(super) struct Task<'a> {
    pub(super) message: Waiting,
    pub(super) head: Option<MessageHead>,
    pub(super) content: Option<Content>,
    pub(super) due: Option<PendingReceipt<'a>>,
    pub(super) result: Result<DeliveryEffect, Error>,
    pub(super) disposition: Disposition,
}

/// How the message's file in the queue is treated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    Stays,
    Goes,
    SetAside,
    /// It stays and is tried again, because another message had its name or identity.
    Again,
}

impl<'a> Delivery<'a> {
    /// Delivers a group. Returns the results, and the messages to try again.
    pub(super) fn deliver(
        &self,
        group: Vec<Waiting>,
        is_last: bool,
        state: &mut DeliveryState<'a>,
    ) -> Result<(Vec<DeliveryOutcome>, Vec<Waiting>), Error> {
        if !self.is_dry {
            // Held until the messages are remembered.
            let senders = group.iter().map(|message| message.name.identity.sender);
            state.home.claim(&senders.collect())?;
        }
        let opened = self.open_all(&group, state)?;
        let mut tasks = self.hand_over_all(group, opened, state)?;
        if !self.is_dry {
            self.settle(&mut tasks, state)?;
            state.home.release();
        }
        let (mut outcomes, mut again) = (Vec::new(), Vec::new());
        for task in tasks {
            // In the last round nothing is tried again, so an error is reported.
            let is_wrong = is_last && task.result.is_err();
            if task.disposition == Disposition::Again && !is_wrong {
                again.push(task.message);
                continue;
            }
            outcomes.push(DeliveryOutcome {
                path: task.message.path,
                head: task.head,
                content: task.content,
                is_untimely: task.result.as_ref().is_err_and(|it| self.is_untimely(it)),
                result: task.result,
                is_joined: false,
                is_aside: task.disposition == Disposition::SetAside,
            });
        }
        Ok((outcomes, again))
    }

    /// Hands over opened messages, one by one. All files get their names together, with one sync.
    fn hand_over_all<'b>(
        &self,
        group: Vec<Waiting>,
        opened: Vec<OpenedMessage<'b>>,
        state: &mut DeliveryState<'a>,
    ) -> Result<Vec<Task<'b>>, Error> {
        let mut tasks = Vec::new();
        let mut identities = HashSet::new();
        let mut named = NamedGroup::default();
        state.names.begin();
        for (message, opened) in group.into_iter().zip(opened) {
            let mut task = Task {
                message,
                head: None,
                content: None,
                due: None,
                result: Ok(DeliveryEffect::Repeated),
                disposition: Disposition::Goes,
            };
            match opened {
                OpenedMessage::Gone => continue,
                OpenedMessage::Repeated => {}
                OpenedMessage::Failed(error) => self.fail(&mut task, error),
                OpenedMessage::Left(content) => {
                    task.content = Some(content);
                    task.result = Ok(DeliveryEffect::Left);
                    task.disposition = Disposition::Stays;
                }
                OpenedMessage::Part(content, _) => {
                    task.content = Some(content);
                    task.result = Ok(DeliveryEffect::Part);
                    task.disposition = Disposition::Stays;
                }
                OpenedMessage::Content(opened) => {
                    let OpenedContent {
                        content,
                        due,
                        staged,
                    } = *opened;
                    let is_first = |identity: &ReplayKey| identities.insert(identity.clone());
                    // The replay memory is asked before the group is handed over, so it cannot see
                    // a repetition within the group.
                    if due.identity().is_none_or(is_first) {
                        match self.hand_over(&task.message, &content, staged, state, &mut named) {
                            Ok(done) => {
                                task.result = Ok(done);
                                task.due = Some(due);
                            }
                            Err(error) => self.fail(&mut task, error),
                        }
                    } else {
                        // The same message waits under two names: the next round asks the memory
                        // about the second.
                        task.disposition = Disposition::Again;
                    }
                    task.content = Some(content);
                }
            }
            tasks.push(task);
        }
        give_names(named, &mut tasks, state)?;
        Ok(tasks)
    }

    /// Chooses a file's name, or runs the command.
    fn hand_over(
        &self,
        message: &Waiting,
        content: &Content,
        staged: StagedContent<'_>,
        state: &mut DeliveryState<'a>,
        named: &mut NamedGroup,
    ) -> Result<DeliveryEffect, Error> {
        match staged {
            StagedContent::Done(effect) => Ok(effect),
            StagedContent::File(staged) => {
                // Noted before the file gets the name: see `give_names`.
                let (name, file) = state.names.choose(&staged.dir, staged.file, &staged.wish)?;
                if staged.is_noted {
                    state.intents.intend(&message.name.to_string(), &name);
                }
                let path = staged.dir.join(name);
                named.files.push(file);
                Ok(DeliveryEffect::Delivered(Some(path)))
            }
            StagedContent::Tree(staged) => {
                let tree = staged.choose(&mut state.names)?;
                state.intents.intend(&message.name.to_string(), tree.name());
                let path = tree.path.clone();
                named.trees.push(tree);
                Ok(DeliveryEffect::Delivered(Some(path)))
            }
            StagedContent::ForCommand(held, command) => {
                self.spool.make(QueueId::Home(self.node.id()))?;
                // On its standard input the command gets a file of its own, not the one in the
                // queue.
                let input = scratch::holding(&self.spool.tmp(), held.content())?;
                let name = content.safe_name();
                let facts = content.facts(&self.path, name.as_deref());
                let counted = (&mut state.intents, &*message.name.to_string());
                state.runs.run::<Error>(command, &facts, input, counted)?;
                Ok(DeliveryEffect::Delivered(None))
            }
        }
    }

    /// Records an error, and whether the message is set aside because of it.
    fn fail(&self, task: &mut Task<'_>, error: Error) {
        task.disposition = if error.is_settled() && !self.is_untimely(&error) {
            Disposition::SetAside
        } else {
            Disposition::Stays
        };
        task.result = Err(error);
    }
}

/// The files and directories of a group whose names are chosen.
#[derive(Default)]
struct NamedGroup {
    files: Vec<Staged>,
    trees: Vec<NamedTree>,
}

/// Gives the files and directories of a group their names. Names that a later run could not derive
/// from the messages are noted first.
fn give_names(
    named: NamedGroup,
    tasks: &mut [Task<'_>],
    state: &mut DeliveryState<'_>,
) -> Result<(), Error> {
    let intents = &mut state.intents;
    let (mut trees, mut failed) = (Vec::new(), Vec::new());
    for tree in named.trees {
        match tree.sync() {
            Ok(()) => trees.push(tree),
            Err(error) => failed.push((tree.path, error)),
        }
    }
    let of_files = batch::name_all(named.files, || intents.save().map_err(Error::from))?;
    failed.extend(of_files.into_iter().map(|it| (it.path().to_owned(), it)));
    for mut tree in trees {
        if let Err(error) = tree.place() {
            failed.push((tree.path, error));
        }
    }
    for (failed, error) in failed {
        // Another program took the name since it was chosen, or the file system refuses it: the
        // next round chooses another one.
        let is_of_name = error.is_of_name();
        if is_of_name {
            state.not_named(&error);
        }
        for task in &mut *tasks {
            let Ok(DeliveryEffect::Delivered(Some(path))) = &task.result else {
                continue;
            };
            // Where a directory could not be synced, no name in it is certain.
            if *path != failed && path.parent() != Some(&failed) {
                continue;
            }
            // Not delivered after all, so it must not be remembered.
            task.due = None;
            task.disposition = if is_of_name {
                Disposition::Again
            } else {
                Disposition::Stays
            };
            task.result = Err(error.repeated().into());
        }
    }
    Ok(())
}
