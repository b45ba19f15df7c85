//! The folders of `home`, one for each node here, and whose they are: where users share a spool, each is its user's,
//! and the owner of the spool puts files there by a group of their own. Other members have no access.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::{Error, QueueId, QueueKind, Spool};
use crate::disk::group::{self, Group};
use crate::disk::{FileRole, files, tree};
use crate::node::endpoints;
use crate::pki::NodeId;

/// A folder of `home` that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amiss {
    /// For which node it is.
    pub node: NodeId,
    /// The folder.
    pub path: PathBuf,
    /// What it is, and what it should be.
    pub what: String,
    /// What root types to make it so.
    pub remedy: String,
    /// Whether it belongs to others than it should, not only its mode is another one.
    pub is_anothers: bool,
    /// Whether the user of the node cannot take what is there.
    pub is_closed: bool,
    /// Whether the owner of the spool cannot put anything there.
    pub is_shut: bool,
}

/// The group that the owner of a spool has, where it is not theirs alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnGroup {
    /// The owner.
    pub user: String,
    /// The group.
    pub group: String,
    /// Whether it is the one that shares the spool.
    pub is_shared: bool,
    /// Who else is in it, as far as this machine lists that.
    pub others: Vec<String>,
}

/// What the folders of a spool are held against.
struct Measure {
    /// The owner of `home`.
    keeper: u32,
    /// The group of the members.
    shared: Group,
    /// That of the owner, if it is known here.
    own: Option<Group>,
    /// Whether the owner is alone in that.
    is_alone: bool,
}

impl Measure {
    /// The groups and modes that a folder may have, the best first.
    fn forms(&self) -> Vec<(Group, u32)> {
        let Some(own) = self.own else {
            return Vec::new();
        };
        let mut forms = Vec::new();
        if !self.is_alone {
            forms.push((self.shared, group::SHARED));
        }
        if own != self.shared {
            forms.push((own, group::GIVEN));
        }
        forms
    }
}

impl Spool {
    /// The folders of `home` that are not as they should be: of a guest only their own. Where no group shares the spool,
    /// there are none.
    ///
    /// # Errors
    /// When one cannot be examined.
    pub fn homes_amiss(&self) -> Result<Vec<Amiss>, Error> {
        let Some(measure) = self.measure()? else {
            return Ok(Vec::new());
        };
        let mut amiss = Vec::new();
        if self.is_guest() {
            let user = files::owner(self.owner().root(), FileRole::Node)?;
            let user = user.unwrap_or(measure.keeper);
            amiss.extend(self.amiss(self.owner().id(), user, &measure)?);
            return Ok(amiss);
        }
        let local = endpoints::local(self.owner())?;
        for (node, _) in self.queues_in(QueueKind::Home)? {
            let user = match local.iter().find(|local| local.id == node) {
                Some(local) => local.user()?,
                None => None,
            };
            let user = user.unwrap_or(measure.keeper);
            amiss.extend(self.amiss(node, user, &measure)?);
        }
        Ok(amiss)
    }

    /// The group that the owner of the spool has, where the members of the node's group are in it, or others are: who is
    /// in it may write into every folder of `home` that is given away by it.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn own_group_of_others(&self) -> Result<Option<OwnGroup>, Error> {
        let measure = self.measure()?.filter(|measure| !measure.is_alone);
        let (Some(measure), false) = (measure, self.is_guest()) else {
            return Ok(None);
        };
        Ok(measure.own.map(|own| OwnGroup {
            user: group::label_of_user(measure.keeper),
            group: own.label(),
            is_shared: own == measure.shared,
            others: own.others_than(measure.keeper),
        }))
    }

    fn measure(&self) -> Result<Option<Measure>, Error> {
        let Some(keeper) = self.keeper()? else {
            return Ok(None);
        };
        let shared = if self.is_guest() {
            let found = tree::stat(&self.tmp(), FileRole::Spool)?;
            found.map(|found| Group::of_number(found.group))
        } else {
            // A group that this machine does not know, programs that need it report.
            self.owner().config().find_group().ok().flatten()
        };
        let Some(shared) = shared else {
            return Ok(None);
        };
        let own = Group::of_user(keeper)?;
        Ok(Some(Measure {
            keeper,
            shared,
            own,
            is_alone: own.is_none() || shared.own_beside(keeper)?.is_some(),
        }))
    }

    fn amiss(&self, node: NodeId, user: u32, measure: &Measure) -> Result<Option<Amiss>, Error> {
        let queue = self.queue(QueueId::Home(node));
        let path = queue.dir();
        let Some(found) = tree::stat(path, FileRole::Spool)? else {
            return Ok(None);
        };
        let (group, mode) = (Group::of_number(found.group), found.mode);
        let forms = measure.forms();
        let is_right = match (forms.is_empty(), user == measure.keeper) {
            // What nobody else has to do with.
            (_, true) if mode == group::PRIVATE => true,
            (true, _) => group != measure.shared && mode == group::GIVEN,
            (false, _) => forms.contains(&(group, mode)),
        };
        let is_closed = found.owner != user;
        if is_right && !is_closed {
            return Ok(None);
        }
        let best = forms.first().copied();
        let (best_group, best_mode) = match best {
            Some((group, mode)) => (Some(group), mode),
            None => (
                Some(group).filter(|group| *group != measure.shared),
                group::GIVEN,
            ),
        };
        let is_anothers = is_closed || best_group != Some(group);
        let label = best_group.map_or_else(|| "GROUP".to_owned(), Group::label);
        let (owner, user) = (
            group::label_of_user(found.owner),
            group::label_of_user(user),
        );
        let mut what = format!(
            "{owner}:{} {mode:04o}, not {user}:{label} {best_mode:04o}",
            group.label()
        );
        let is_of_group = group == measure.shared && mode & 0o020 != 0;
        let is_writable = mode & 0o030 == 0o030 && (is_of_group || measure.own == Some(group));
        let is_shut = found.owner != measure.keeper && measure.own.is_some() && !is_writable;
        if is_closed {
            what.push_str(": its user cannot take what waits there");
        } else if is_shut {
            let keeper = group::label_of_user(measure.keeper);
            let _ = write!(what, ": user {keeper} can put nothing there");
        } else if best_group != Some(measure.shared) && is_of_group {
            what.push_str(": other members may write there");
        }
        let shown = path.display();
        let mut remedies = Vec::new();
        if is_anothers {
            remedies.push(format!("chown {user}:{label} {shown}"));
        }
        if mode != best_mode {
            // GNU's needs five digits to take the bit away that gives files the group.
            remedies.push(format!("chmod {best_mode:05o} {shown}"));
        }
        Ok(Some(Amiss {
            node,
            path: path.to_owned(),
            what,
            remedy: remedies.join(" && "),
            is_anothers,
            is_closed,
            is_shut,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_given_by_a_group_that_nobody_else_is_in() {
        let [shared, own] = [60, 1000].map(Group::of_number);
        let forms = |own: Option<Group>, is_alone: bool| {
            let measure = Measure {
                keeper: 1000,
                shared,
                own,
                is_alone,
            };
            measure.forms()
        };
        assert_eq!(forms(Some(own), true), [(own, group::GIVEN)]);
        // Where there is none, by the group of all; what was given before is no worse.
        let both = [(shared, group::SHARED), (own, group::GIVEN)];
        assert_eq!(forms(Some(own), false), both);
        assert_eq!(forms(Some(shared), false), [(shared, group::SHARED)]);
        assert_eq!(forms(None, true), []);
    }
}
