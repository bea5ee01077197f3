//! What a page becomes: what is new of it, the poller's next position, and the one commit of both.

use std::collections::HashSet;

use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::InstallationId,
    polling,
    records::{Cursor, EventSource, LedgerEntry, Poller},
    scope::Scope,
};
use trunnion_sandbox::Occurrence;
use trunnion_store::{
    Batch, CommitError, Store, Table as _, Versioned,
    tables::{Ledger, Pollers},
};

use super::{
    Place,
    visit::{Standing, Visitor},
};
use crate::{
    error::{Error, Result},
    triggers::accept::{Arrival, Seen},
};

/// Pages of a round that bring nothing new before the cursor is written all the same, so that a crash does not lead
/// through all of them again.
const UNWRITTEN_PAGES: u32 = 50;

/// A page as it goes into the store.
pub(super) struct Sorted {
    pub(super) fresh: Vec<Arrival>,
    /// Known records that the ledger would forget although polls still see them.
    fading: Vec<([u8; 16], LedgerEntry)>,
    pub(super) duplicates: u64,
    pub(super) late: u64,
    /// The latest time of a record, new or not.
    latest: Option<Timestamp>,
}

/// The trigger key of a polling installation.
#[must_use]
pub(crate) fn poll_key(store: &Store, scope: &Scope, id: InstallationId) -> [u8; 16] {
    store.keyed_hash(scope, "trigger-poll", id.as_bytes())
}

impl Visitor {
    /// Tells what is new from what was seen, by record and version.
    pub(super) async fn sort(
        &self,
        place: &Place,
        standing: &Standing,
        occurrences: Vec<Occurrence>,
    ) -> Result<Result<Sorted, CallError>> {
        let store = &self.context.store;
        let now = self.context.now();
        let poller = &standing.poller.record;
        let mut sorted =
            Sorted { fresh: Vec::new(), fading: Vec::new(), duplicates: 0, late: 0, latest: None };
        let mut keys = HashSet::with_capacity(occurrences.len());
        for occurrence in occurrences {
            sorted.latest = sorted.latest.max(occurrence.occurred_at);
            let mut name = place.installation.as_bytes().to_vec();
            name.extend_from_slice(occurrence.occurrence_id.as_bytes());
            let key = store.keyed_hash(&place.scope, "polled", &name);
            let known = store.get::<Ledger>(&place.scope, &key).await?;
            let again = !keys.insert(key);
            if again || known.is_some() {
                sorted.duplicates += 1;
                let entry = known.map(|known| known.record);
                let aged = |entry: &LedgerEntry| now.since(entry.at) > polling::REMEMBER_AFTER;
                if let Some(entry) = entry.filter(|entry| !again && aged(entry)) {
                    sorted.fading.push((key, LedgerEntry { at: now, ..entry }));
                }
                continue;
            }
            sorted.late +=
                u64::from(polling::is_late(&standing.spec, poller.watermark, occurrence.occurred_at));
            match self.arrival(place, standing, occurrence, key) {
                Ok(arrival) => sorted.fresh.push(arrival),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(sorted))
    }

    fn arrival(
        &self,
        place: &Place,
        standing: &Standing,
        occurrence: Occurrence,
        key: [u8; 16],
    ) -> Result<Arrival, CallError> {
        let Standing { poller, connection, .. } = standing;
        let Poller { app, trigger, installation, .. } = &poller.record;
        let Occurrence { account, occurrence_id, data, .. } = occurrence;
        if !account.is_empty() && account != connection.record.account {
            let message = format!(
                "the connector of `{app}` gave a record of another account than the connection's; a poll gives its own \
                 account's, or leaves the account empty"
            );
            return Err(CallError::Trapped { message });
        }
        let data = serde_json::from_str(&data).map_err(|error| CallError::Trapped {
            message: format!("a record's data is not JSON: {error}"),
        })?;
        Ok(Arrival {
            source: EventSource::Poll {
                app: app.clone(),
                trigger: trigger.clone(),
                occurrence: occurrence_id,
            },
            data,
            trigger: poll_key(&self.context.store, &place.scope, *installation),
            seen: Some(Seen { key, body_hash: None }),
            // Only an active installation may move its cursor over records: without one, nothing is committed.
            unmatched: Some(format!(
                "installation `{installation}` starts no run any more; install it again"
            )),
        })
    }

    /// The poller's next record, where there is something to write.
    pub(super) fn position(
        &self,
        standing: &Standing,
        sorted: &Sorted,
        next: &str,
        more: bool,
        unwritten: u32,
    ) -> Option<Result<Poller, CallError>> {
        let now = self.context.now();
        let Poller { cursor: kept, .. } = &standing.poller.record;
        let value: serde_json::Value = match serde_json::from_str(next) {
            Ok(value) => value,
            Err(error) => {
                let message = format!("the cursor that the connector gave is not JSON: {error}");
                return Some(Err(CallError::Trapped { message }));
            }
        };
        let due = match kept {
            None => true,
            // A round that ends leaves no cursor behind that stands in the middle of it.
            Some(kept) if kept.more && !more => true,
            Some(kept) if kept.value == value => false,
            Some(_) if more => unwritten >= UNWRITTEN_PAGES,
            Some(kept) => now.since(kept.at) > polling::KEEP_CURSOR_AFTER,
        };
        if sorted.fresh.is_empty() && sorted.fading.is_empty() && !due {
            return None;
        }
        let mut poller = standing.poller.record.clone();
        let fresh = u64::try_from(sorted.fresh.len()).unwrap_or(u64::MAX);
        poller.cursor = Some(Cursor { format: standing.spec.cursor_format.writes, value, at: now, more });
        poller.highest = poller.highest.max(sorted.latest);
        if !more {
            // A time that lies ahead would make everything until then late.
            let seen = poller.highest.take().map(|highest| highest.min(now));
            poller.watermark = poller.watermark.max(seen);
        }
        poller.accepted += fresh;
        poller.late += sorted.late;
        if fresh > 0 {
            poller.last_accepted_at = Some(now);
        }
        if sorted.late > 0 {
            poller.last_late_at = Some(now);
        }
        Some(Ok(poller))
    }

    /// ONE COMMIT: ledger, runs and position. A page larger than a commit may be goes in several, the position in the
    /// last of them: after a crash in between, the ledger knows what had been accepted.
    pub(super) async fn keep(
        &self,
        scope: &Scope,
        known: Versioned<Poller>,
        sorted: Sorted,
        next: Poller,
    ) -> Result<()> {
        let Sorted { fresh, fading, .. } = sorted;
        let mut version = known.version;
        let mut parts = vec![fresh];
        while let Some(part) = parts.pop() {
            let last = parts.is_empty();
            let record = if last { &next } else { &known.record };
            let also = |batch: &mut Batch| {
                batch.replace::<Pollers>(scope, &known.record.installation, record, version);
                if last {
                    fading.iter().for_each(|(key, entry)| batch.put::<Ledger>(scope, key, entry));
                }
            };
            match self.acceptor.accept(scope, part.clone(), also).await {
                Ok(_) if last => return Ok(()),
                Ok(_) => {
                    let stored = self.context.store.get::<Pollers>(scope, &known.record.installation).await?;
                    match stored.filter(|stored| stored.record == known.record) {
                        Some(stored) => version = stored.version,
                        None => {
                            return Err(Error::Commit(CommitError::Conflict { table: Pollers::NAME, op: 0 }));
                        }
                    }
                }
                Err(Error::Commit(CommitError::TooLarge { .. })) if part.len() > 1 => {
                    let mut first = part;
                    let second = first.split_off(first.len() / 2);
                    parts.push(second);
                    parts.push(first);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
