//! Batches: what several runs send to one destination goes there in one request.
//!
//! A step's item is durable in the step's own commit, and its run goes on; from there it is the batch's business. An item
//! waits until its destination has enough of them, in count or bytes, or the first has waited long enough. Then they
//! become a batch by a commit of its own, which gives it its id and fixes what is in it; only then is it sent.
//!
//! Invariants: a destination has one batch under way at a time, the oldest, so that items arrive in the order in which
//! they were taken in, whatever fails; a batch's items go in the commit that follows its being taken, or are kept beside
//! its dead letter in the commit that gives it up. Items are sealed under their users' keys and the batch holds their ids
//! alone: an erased user's are left out of whatever is still to be sent.

mod gathering;

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::{Id, UserId},
    limit::{Asking, Turn},
    payload::{Part, Payload},
    records::{BatchItem, BatchRule, DeadLetter, DeadWork, StreamBatch},
    retry::RetryPolicy,
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Select, Store, Version, Versioned,
    tables::{BatchItems, DeadLetters, StreamBatches, StreamDestinations},
};

pub use self::gathering::Gathering;
use super::Streams;
use crate::{
    context::Context,
    error::{Error, Result, present},
    limits::Limited,
    outbox::{Happening, Outbox},
    runs::{Queue, Work, act::UNDECLARED, persist::persist, queue::NOTICES},
};

/// Waiting items read at once: each may be large.
const READ_AT_ONCE: usize = 16;

/// Where the items of a destination wait, or those of one dead batch are kept.
pub type Line = [u8; 16];

/// An item on its way into a commit.
#[derive(Debug)]
pub struct Item {
    /// Its place: a later one of the same destination has a larger one.
    pub id: Id,
    /// The destination.
    pub stream: Arc<str>,
    /// Where its items wait.
    pub line: Line,
    /// When it makes a batch.
    pub rule: BatchRule,
    /// What is kept.
    pub record: BatchItem,
}

/// Where a destination's items wait.
#[must_use]
pub fn waiting_line(store: &Store, scope: &Scope, stream: &str) -> Line {
    store.keyed_hash(scope, "stream-batch", stream.as_bytes())
}

/// Where the items of a batch are kept that became a dead letter.
#[must_use]
pub fn dead_line(batch: Id) -> Line {
    let mut line = [0; 16];
    for (to, from) in line.iter_mut().zip(batch.as_bytes()) {
        *to = *from;
    }
    line
}

/// What looks after a destination's batches.
#[must_use]
pub const fn due(scope: Scope, stream: Arc<str>) -> Work {
    Work::BatchDue { scope, stream }
}

/// Makes and sends batches.
#[derive(Clone, Debug)]
pub struct Batches {
    context: Context,
    streams: Streams,
    queue: Arc<Queue>,
    outbox: Outbox,
}

/// What there is to do about a destination's batches.
enum Next {
    /// Nothing waits.
    Nothing,
    /// Nothing before this time.
    At(Timestamp),
    /// This batch is leased and to be sent.
    Send(Box<StreamBatch>, Version),
}

/// Items that would go together.
struct Ready {
    items: Vec<Id>,
    /// When the first of them came.
    since: Timestamp,
    /// Whether nothing else fits, so that there is nothing to wait for.
    full: bool,
}

impl Batches {
    /// Sends by `streams`; of what nobody took, `outbox` tells.
    #[must_use]
    pub const fn new(context: Context, streams: Streams, queue: Arc<Queue>, outbox: Outbox) -> Self {
        Self { context, streams, queue, outbox }
    }

    /// Looks after a destination's batches as far as that goes now.
    pub async fn look_after(&self, scope: Scope, stream: Arc<str>) -> Result<()> {
        let Some(mut in_hand) = self.outbox.gathering().enter(scope, &stream) else { return Ok(()) };
        loop {
            match self.next(&scope, &stream).await? {
                Next::Send(batch, version) => self.send(&scope, *batch, version).await?,
                Next::At(time) => {
                    self.queue.push_at_to(time, NOTICES, due(scope, Arc::clone(&stream)));
                    if !in_hand.is_asked_again() {
                        return Ok(());
                    }
                }
                Next::Nothing if in_hand.is_asked_again() => {}
                Next::Nothing => return Ok(()),
            }
        }
    }

    async fn next(&self, scope: &Scope, stream: &Arc<str>) -> Result<Next> {
        let (store, now) = (&self.context.store, self.context.now());
        let line = waiting_line(store, scope, stream);
        let oldest = store.first::<StreamBatches>(scope, Select::all().prefix(&line)).await?;
        if let Some(entry) = oldest {
            return self
                .take_up(scope, entry.key, Versioned { record: entry.record, version: entry.version })
                .await;
        }
        let known = store.recall::<StreamDestinations>(scope, &stream.to_string()).await?;
        let Some(known) = known else { return Ok(Next::Nothing) };
        // Where it gathers no more, what waits goes as it is.
        let rule = known.record.batch.unwrap_or(BatchRule { max_wait_ms: 0, ..BatchRule::LARGEST });
        let Some(Ready { items, since, full }) = self.ready(scope, line, &rule).await? else {
            return Ok(Next::Nothing);
        };
        let time = since + Duration::from_millis(rule.max_wait_ms);
        if !full && time > now {
            return Ok(Next::At(time));
        }
        let batch = StreamBatch {
            id: self.context.ids.next(),
            stream: stream.to_string(),
            line,
            items,
            attempts: 1,
            lease: Some(self.queue.lease(now)),
            not_before: now,
            last_error: None,
        };
        let mut changes = Batch::new();
        changes.insert::<StreamBatches>(scope, &(line, batch.id), &batch);
        match store.commit(changes).await {
            Ok(version) => Ok(Next::Send(Box::new(batch), version)),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    /// The items of a line that would go together now; `None` where none waits. A few are read at a time and only their
    /// ids are kept, so that it holds no more in memory than these few, and reads no more than these beyond what goes.
    async fn ready(&self, scope: &Scope, line: Line, rule: &BatchRule) -> Result<Option<Ready>> {
        let most = usize::try_from(rule.max_items).unwrap_or(usize::MAX);
        let mut select = Select::all().prefix(&line);
        let mut bytes = 0;
        let mut ready: Option<Ready> = None;
        loop {
            let page = self.context.store.page::<BatchItems>(scope, select.clone(), READ_AT_ONCE).await?;
            for entry in page.entries {
                let (_, id) = entry.key;
                bytes += entry.record.bytes;
                let fits = bytes <= rule.max_bytes;
                let ready = match &mut ready {
                    // One that is too large for any batch goes alone.
                    none @ None => {
                        none.insert(Ready { items: vec![id], since: entry.record.at, full: false })
                    }
                    Some(ready) => {
                        if fits {
                            ready.items.push(id);
                        }
                        ready
                    }
                };
                ready.full = !fits || bytes == rule.max_bytes || ready.items.len() >= most;
                if ready.full {
                    break;
                }
            }
            match page.next {
                Some(next) if !ready.as_ref().is_some_and(|ready| ready.full) => select = select.after(&next),
                _ => return Ok(ready),
            }
        }
    }

    /// Leases the batch that is under way, where its time has come and its destination asks for no patience.
    async fn take_up(
        &self,
        scope: &Scope,
        key: (Line, Id),
        Versioned { record: mut batch, version }: Versioned<StreamBatch>,
    ) -> Result<Next> {
        let now = self.context.now();
        let leased =
            batch.lease.as_ref().filter(|lease| lease.until > now && !self.context.store.exclusive());
        if let Some(lease) = leased {
            return Ok(Next::At(lease.until));
        }
        let of = Limited::Destination(*scope, batch.stream.clone());
        if let Turn::At(until) = self.context.limits.turn(&of, &UNDECLARED, Asking::Again, now) {
            return Ok(Next::At(until.max(batch.not_before)));
        }
        if batch.not_before > now {
            return Ok(Next::At(batch.not_before));
        }
        batch.attempts += 1;
        batch.lease = Some(self.queue.lease(now));
        let mut changes = Batch::new();
        changes.replace::<StreamBatches>(scope, &key, &batch, version);
        match self.context.store.commit(changes).await {
            Ok(version) => Ok(Next::Send(Box::new(batch), version)),
            // Somebody else takes it up; whoever looks again sees how it fares.
            Err(CommitError::Conflict { .. }) => Ok(Next::At(now + Duration::from_secs(1))),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    async fn send(&self, scope: &Scope, batch: StreamBatch, version: Version) -> Result<()> {
        let items = self.items(scope, &batch).await?;
        if items.is_empty() {
            // Their users were erased meanwhile.
            return self.taken(scope, &batch, version).await;
        }
        let body = Value::Array(items.into_iter().map(|(_, item)| item.body).collect());
        let body = Payload::from(body);
        let sent = self.streams.send(scope, &batch.stream, &batch.id.to_string(), body.whole(), None).await?;
        let of = Limited::Destination(*scope, batch.stream.clone());
        let error = sent.result.as_ref().err();
        self.context.limits.told(&of, &UNDECLARED, &[], error, self.context.now());
        match sent.result {
            Ok(_) => self.taken(scope, &batch, version).await,
            Err(error) => self.failed(scope, batch, version, error).await,
        }
    }

    /// What of a batch can still be read.
    async fn items(&self, scope: &Scope, batch: &StreamBatch) -> Result<Vec<(Id, BatchItem)>> {
        let mut items = Vec::with_capacity(batch.items.len());
        for id in &batch.items {
            let found = present(self.context.store.get::<BatchItems>(scope, &(batch.line, *id)).await)?;
            items.extend(found.map(|found| (*id, found.record)));
        }
        Ok(items)
    }

    /// ONE COMMIT: the batch goes with its items.
    async fn taken(&self, scope: &Scope, batch: &StreamBatch, version: Version) -> Result<()> {
        let taken = || {
            let mut changes = Batch::new();
            changes.remove::<StreamBatches>(scope, &key_of(&self.context.store, scope, batch), version);
            remove_items(&mut changes, scope, batch);
            changes
        };
        settled(persist(&self.context.store, batch.id, taken).await)
    }

    async fn failed(
        &self,
        scope: &Scope,
        mut batch: StreamBatch,
        version: Version,
        error: CallError,
    ) -> Result<()> {
        let [jitter] = self.context.ids.bytes::<1>();
        let Some(delay) = RetryPolicy::stream().next(&error, batch.attempts, jitter) else {
            return self.bury(scope, batch, version, error).await;
        };
        tracing::info!(batch = %batch.id, attempt = batch.attempts, %error, "a batch was not taken; it will be tried again");
        (batch.lease, batch.not_before, batch.last_error) = (None, self.context.now() + delay, Some(error));
        let again = || {
            let mut changes = Batch::new();
            changes.replace::<StreamBatches>(
                scope,
                &key_of(&self.context.store, scope, &batch),
                &batch,
                version,
            );
            changes
        };
        settled(persist(&self.context.store, batch.id, again).await)
    }

    /// ONE COMMIT: the batch is a dead letter, and its items are kept beside it, out of the way of those that follow.
    async fn bury(
        &self,
        scope: &Scope,
        batch: StreamBatch,
        version: Version,
        error: CallError,
    ) -> Result<()> {
        tracing::warn!(batch = %batch.id, %error, "a batch was given up; it is among the dead letters");
        let items = self.items(scope, &batch).await?;
        let key = key_of(&self.context.store, scope, &batch);
        let about = json!({ "kind": "batch", "stream": batch.stream, "items": items.len() });
        let leaving = self.outbox.event(scope, Happening::dead_letter(batch.id, None, &error, about)).await?;
        let kept = StreamBatch {
            line: dead_line(batch.id),
            items: items.iter().map(|(id, _)| *id).collect(),
            lease: None,
            last_error: Some(error.clone()),
            ..batch.clone()
        };
        let letter = DeadLetter {
            at: self.context.now(),
            reason: format!("nobody took the batch in {} attempts: {error}", batch.attempts),
            work: DeadWork::Batch { batch: Box::new(kept.clone()) },
        };
        let buried = || {
            let mut changes = Batch::new();
            changes.remove::<StreamBatches>(scope, &key, version);
            changes.insert::<DeadLetters>(scope, &batch.id, &letter);
            if kept.line != batch.line {
                remove_items(&mut changes, scope, &batch);
                for (id, item) in &items {
                    changes.insert::<BatchItems>(scope, &(kept.line, *id), item);
                }
            }
            leaving.add_to(&mut changes, scope);
            changes
        };
        match persist(&self.context.store, batch.id, buried).await {
            Ok(_) => {
                self.outbox.go(scope, leaving);
                Ok(())
            }
            // A user was erased in this moment: the next attempt finds the batch without them.
            Err(CommitError::Conflict { .. } | CommitError::OwnerErased { .. }) => Ok(()),
            Err(error) => Err(Error::Commit(error)),
        }
    }
}

/// The key of a batch that is under way: in its destination's line, the oldest first.
#[must_use]
pub fn key_of(store: &Store, scope: &Scope, batch: &StreamBatch) -> (Line, Id) {
    (waiting_line(store, scope, &batch.stream), batch.id)
}

/// Adds the removal of a batch's items.
pub fn remove_items(changes: &mut Batch, scope: &Scope, batch: &StreamBatch) {
    for id in &batch.items {
        changes.delete::<BatchItems>(scope, &(batch.line, *id));
    }
}

/// An item of `user` for a destination that gathers.
#[must_use]
pub fn item_of(user: UserId, body: Part<'_>, at: Timestamp) -> BatchItem {
    let bytes = u64::try_from(body.to_text().len()).unwrap_or(u64::MAX);
    BatchItem { user, body: body.to_value().into_owned(), bytes, at }
}

fn settled(committed: Result<Version, CommitError>) -> Result<()> {
    match committed {
        Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
        Err(error) => Err(Error::Commit(error)),
    }
}
