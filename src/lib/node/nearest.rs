//! The name that somebody meant who mistyped it.

/// Longer texts are no names, in octets. The time to compare grows with the product of both lengths.
const MAX_LEN: usize = 256;

/// Finds the one name that a mistyped one is nearest to.
#[derive(Debug)]
pub struct Nearest {
    typed: String,
    /// The most slips that still count as mistyped.
    within: usize,
    /// The nearest name so far, and by how many slips it differs.
    best: Option<(usize, String)>,
    /// Whether another name is as near as that.
    is_tied: bool,
}

impl Nearest {
    /// The nearest to this text. A slip is a character that is wrong, missing, too much or swapped with the next one;
    /// one in three may be. The end may be missing, too. Upper case is no slip, since no name has any.
    #[must_use]
    pub fn to(typed: &str) -> Self {
        let typed = typed.to_lowercase();
        let within = typed.chars().count() / 3;
        Self {
            typed,
            within,
            best: None,
            is_tied: false,
        }
    }

    /// The nearest of these names to a text.
    #[must_use]
    pub fn of(typed: &str, names: impl IntoIterator<Item = &'static str>) -> Option<String> {
        let mut nearest = Self::to(typed);
        for name in names {
            nearest.offer(name);
        }
        nearest.into_name()
    }

    /// Considers a name.
    pub fn offer(&mut self, name: &str) {
        if self.within == 0 {
            return;
        }
        let slips = if name.starts_with(&self.typed) {
            1
        } else if self.typed.len() > MAX_LEN || name.len() > MAX_LEN {
            return;
        } else {
            strsim::osa_distance(&self.typed, name)
        };
        if slips > self.within {
            return;
        }
        match &self.best {
            Some((best, _)) if slips > *best => {}
            Some((best, _)) if slips == *best => self.is_tied = true,
            _ => {
                self.best = Some((slips, name.to_owned()));
                self.is_tied = false;
            }
        }
    }

    /// The nearest name; `None` if none is near, or several are equally near, of which a guess could be wrong.
    #[must_use]
    pub fn into_name(self) -> Option<String> {
        let (_, name) = self.best.filter(|_| !self.is_tied)?;
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_in_three_characters_is_understood() {
        let names = [
            "bert", "village", "anna", "hub", "hub-2", "out", "stn-1", "stn-2",
        ];
        for (typed, meant) in [
            ("bret", Some("bert")),
            ("Bert", Some("bert")),
            ("BERT", Some("bert")),
            ("bertt", Some("bert")),
            ("vilage", Some("village")),
            ("vilaeg", Some("village")),
            ("hbu", Some("hub")),
            ("hub2", None),
            ("vill", Some("village")),
            ("stn", None),
            ("vi", None),
            ("bob", None),
            ("an", None),
            ("", None),
            ("x", None),
            ("stn-3", None),
            ("stick/bert.pub", None),
        ] {
            assert_eq!(Nearest::of(typed, names).as_deref(), meant, "{typed}");
        }
        assert_eq!(Nearest::of(&"é".repeat(100_000), names), None);
    }
}
