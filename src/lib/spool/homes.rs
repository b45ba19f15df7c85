//! The folders of `home`, one for each local node, and their owners. In a shared spool each belongs
//! to the user of its node, and the spool's owner writes to it through their own group. Other
//! members have no access.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::{Error, QueueId, QueueKind, Spool};
use crate::disk::group::{self, Group};
use crate::disk::{FileRole, files, tree};
use crate::node::endpoints;
use crate::pki::NodeId;

/// A folder of `home` with a wrong owner, group or mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amiss {
    /// The node that it is for.
    pub node: NodeId,
    /// The folder.
    pub path: PathBuf,
    /// Its owner, group and mode, and the expected ones, in words.
    pub what: String,
    /// The commands by which root corrects it.
    pub remedy: String,
    /// Whether its owner or group is wrong, not only its mode.
    pub is_anothers: bool,
    /// Whether the user of the node cannot take messages from it.
    pub is_closed: bool,
    /// Whether the owner of the spool cannot put messages into it.
    pub is_shut: bool,
}

/// The primary group of a spool's owner, if it has other members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnGroup {
    /// The owner.
    pub user: String,
    /// The group.
    pub group: String,
    /// Whether it is the group that shares the spool.
    pub is_shared: bool,
    /// Its other members, as far as this machine lists them.
    pub others: Vec<String>,
}

/// The owner and groups that the folders are checked against.
struct Measure {
    /// The owner of `home`.
    keeper: u32,
    /// The group that shares the spool.
    shared: Group,
    /// The owner's primary group, if this machine knows it.
    own: Option<Group>,
    /// Whether the owner is its only member.
    is_alone: bool,
}

impl Measure {
    /// The groups and modes that a folder may have, the preferred one first.
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
    /// The folders of `home` with a wrong owner, group or mode; for a guest only their own. Empty
    /// if no group shares the spool.
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

    /// The primary group of the spool's owner, if it is the shared group or has other members: all
    /// of them may write to each folder of `home` that has this group.
    ///
    /// # Errors
    /// When the group or `home` cannot be examined.
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
            // A guest cannot read the owner's config, but `tmp` has the group.
            let found = tree::stat(&self.tmp(), FileRole::Spool)?;
            found.map(|found| Group::of_number(found.group))
        } else {
            // An unknown group is reported by the programs that need it.
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
            // A folder that only the spool's owner uses may be private.
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
        // To create files in a directory takes both write and execute permission.
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
            // GNU chmod clears the set-group-ID bit of a directory only with five digits.
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
        // Without an own group, the shared one is used; a folder that was given by the own group is
        // as good.
        let both = [(shared, group::SHARED), (own, group::GIVEN)];
        assert_eq!(forms(Some(own), false), both);
        assert_eq!(forms(Some(shared), false), [(shared, group::SHARED)]);
        assert_eq!(forms(None, true), []);
    }
}
