//! What the vendor lists when it is polled: records by their own time, page by page, some of them shown only later.
//!
//! Keeps to what a connector owes the host: a round looks back over the overlap behind the moment at which the round
//! before it began, so that a record that is shown late is in some round, and in several as often as not.

use std::time::Duration;

use serde_json::json;
use trunnion_core::clock::Timestamp;

use crate::seen::ListedRecord;

/// How much later than its own time a record may be shown; what rounds look back over.
pub const OVERLAP: Duration = Duration::from_secs(60);

/// Records of a page.
const PAGE: usize = 2;

/// Where a poll stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// When the round before this one began.
    from: Timestamp,
    /// Of a round that has begun: when, and how many records its pages so far had.
    round: Option<(Timestamp, usize)>,
}

impl Position {
    /// Of a cursor, or of a poller that has none yet.
    pub(super) fn read(cursor: Option<&str>, since: Timestamp) -> Self {
        let cursor: serde_json::Value =
            cursor.and_then(|cursor| serde_json::from_str(cursor).ok()).unwrap_or_default();
        let number = |name: &str| cursor.get(name).and_then(serde_json::Value::as_u64);
        let skip = number("skip").and_then(|skip| usize::try_from(skip).ok());
        Self {
            from: number("from").map_or(since, Timestamp::from_millis),
            round: number("began").map(Timestamp::from_millis).zip(skip),
        }
    }

    /// As a cursor.
    pub(super) fn written(self) -> String {
        match self.round {
            Some((began, skip)) => {
                json!({ "from": self.from.as_millis(), "began": began.as_millis(), "skip": skip })
            }
            None => json!({ "from": self.from.as_millis() }),
        }
        .to_string()
    }

    /// The page that stands here, of all the `records` of an account, and the position behind it.
    pub(super) fn page<'a>(
        self,
        records: impl Iterator<Item = &'a ListedRecord>,
        now: Timestamp,
    ) -> (Vec<&'a ListedRecord>, Self) {
        let (began, skip) = self.round.unwrap_or((now, 0));
        // Below zero there is no time.
        let oldest = self.from.as_millis().saturating_sub(u64::try_from(OVERLAP.as_millis()).unwrap_or(0));
        let shown = |record: &&ListedRecord| record.shown <= now && record.at.as_millis() >= oldest;
        let mut listed: Vec<_> = records.filter(shown).collect();
        listed.sort_by(|one, other| (one.at, &one.marker).cmp(&(other.at, &other.marker)));
        let behind = skip + PAGE;
        let next = if behind < listed.len() {
            Self { from: self.from, round: Some((began, behind)) }
        } else {
            Self { from: began, round: None }
        };
        (listed.into_iter().skip(skip).take(PAGE).collect(), next)
    }

    /// Whether the round goes on from here.
    pub(super) const fn is_within_round(self) -> bool {
        self.round.is_some()
    }
}
