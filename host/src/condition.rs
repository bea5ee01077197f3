//! What must hold of a thing for a change of it to be made: that it still is what its editor saw, or is not there yet.
//!
//! A service asks before it changes, and commits over the very version that it asked about.

use trunnion_store::Version;

use crate::error::{Error, Result};

/// What must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    #[default]
    Any,
    /// There is no such thing yet.
    Absent,
    /// There is such a thing.
    Present,
    /// It was written by one of these commits.
    OneOf(Vec<Version>),
}

impl Condition {
    /// Refuses where it does not hold of `what`, which the commit `found` wrote.
    pub fn holds(&self, found: Option<Version>, what: &str) -> Result<()> {
        let message = match (self, found) {
            (Self::Any, _) | (Self::Absent, None) | (Self::Present, Some(_)) => return Ok(()),
            (Self::OneOf(seen), Some(version)) if seen.contains(&version) => return Ok(()),
            (Self::Absent, Some(_)) => {
                format!(
                    "{what} is there already; change it without `If-None-Match: *`, or choose another name"
                )
            }
            (Self::Present | Self::OneOf(_), None) => {
                format!("{what} is not there (any more); make it without `If-Match`")
            }
            (Self::OneOf(_), Some(_)) => format!(
                "{what} was changed since it was read; read it again, make the change there, and send the new `ETag` as \
                 `If-Match`"
            ),
        };
        Err(Error::Unmet { message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_of_what_was_seen() {
        let (seen, other) = (Version(7), Version(8));
        for (condition, found, holds) in [
            (Condition::Any, None, true),
            (Condition::Any, Some(seen), true),
            (Condition::Absent, None, true),
            (Condition::Absent, Some(seen), false),
            (Condition::Present, None, false),
            (Condition::Present, Some(seen), true),
            (Condition::OneOf(vec![other, seen]), Some(seen), true),
            (Condition::OneOf(vec![other]), Some(seen), false),
            (Condition::OneOf(Vec::new()), Some(seen), false),
            (Condition::OneOf(vec![seen]), None, false),
        ] {
            let result = condition.holds(found, "event `E`");
            assert_eq!(result.is_ok(), holds, "{condition:?} of {found:?}: {result:?}");
        }
    }
}
