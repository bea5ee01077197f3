//! What stands inside a `for_each`: each item is a small run of its own, decided by the same machine.
//!
//! Invariants: an item's state is durable before anything is performed that could not be repeated unknown; items
//! are found again by run, path and index after any stop; they are removed by the very commit that records what
//! the `for_each` came to, or that ends the run. Where a run ends as a dead letter they stay, so that it can go on
//! with the items that failed and does none again that was done.

mod pages;
mod progress;
pub(super) mod told;

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::RunId,
    machine::{
        self, Act, Decision, Event, Journal, Next, OnError, Outcome, Refused, RunState, Status, UNTIL_WOKEN,
        Waits,
    },
    manifest::Repeat,
    payload::{List, Part, Payload},
    records::{LiveItem, LogLevel, LogLine, PageMark},
    release::{CompiledKind, Items, Program},
    scope::Scope,
};
use trunnion_store::{Batch, Select, Store, Version, tables::LiveItems};

pub use self::progress::Progress;
use self::told::{Brief, Told, let_go_of_items, told, told_of_groups};
use super::{
    act::{Doing, Group, Place, groups},
    calls::still_waits,
    execute::{Executor, push_line},
    persist::persist,
};
use crate::{
    error::{Error, Result},
    outbox::Leaving,
};

/// Key of an item: the run, the path of its `for_each`, its index.
pub(super) type ItemKey = (RunId, String, u32);

/// Items that a commit of their run makes superfluous.
pub(super) type Spent = Vec<(ItemKey, Version)>;

/// What performing a step came to.
pub(super) struct Acted {
    pub(super) event: Event,
    pub(super) spent: Spent,
    /// What leaves the host with the same commit.
    pub(super) leaving: Leaving,
}

impl Acted {
    /// What a loop came to, whose items have been written down.
    const fn by_items(event: Event, spent: Spent) -> Self {
        Self { event, spent, leaving: Leaving::none() }
    }
}

/// An item as far as it came.
struct Driven {
    index: usize,
    state: RunState,
    log: Vec<LogLine>,
    /// Its stored version; none where it never had to be stored.
    version: Option<Version>,
    /// Where it is a page: what came before it.
    page: Option<PageMark>,
}

/// What an item begins with.
struct Start<'a> {
    index: usize,
    /// `item` and `index` inside it.
    item: Option<(Part<'a>, usize)>,
    group: Option<Group<'a>>,
    page: Option<PageMark>,
    /// As it was stored, where it was.
    known: Option<(LiveItem, Version)>,
    /// What its first commit makes superfluous.
    spent: Spent,
}

impl Driven {
    fn waits_to_be_woken(&self) -> bool {
        matches!(self.state.status, Status::Queued { not_before, .. } if not_before == UNTIL_WOKEN)
    }

    /// Whether it waits for something outside the run.
    const fn waits_outside(&self) -> bool {
        self.state.waits.is_some() && matches!(self.state.status, Status::Queued { .. })
    }

    const fn is_cancelled(&self) -> bool {
        matches!(self.state.status, Status::Ended { outcome: Outcome::Cancelled, .. })
    }
}

/// Whether a program has items that may have been stored.
pub(super) fn has_items(program: &Program) -> bool {
    let loops =
        |kind: &CompiledKind| matches!(kind, CompiledKind::ForEach { .. } | CompiledKind::Pages { .. });
    program.steps.iter().any(|step| loops(&step.kind))
}

/// Whatever items of a run there are.
pub(super) async fn items_of(store: &Store, scope: &Scope, run: RunId) -> Result<Spent> {
    let entries = store.list::<LiveItems>(scope, Select::all().prefix(&run)).await?;
    Ok(entries.into_iter().map(|entry| (entry.key, entry.version)).collect())
}

/// Removes items with whatever else a batch does.
pub(super) fn remove_items(batch: &mut Batch, scope: &Scope, spent: &Spent) {
    for (key, version) in spent {
        batch.remove::<LiveItems>(scope, key, *version);
    }
}

impl Executor {
    /// Goes on with every item of a `for_each` as far as each goes now. Boxed, since an item may hold a
    /// `for_each` itself.
    pub(super) fn items<'a>(
        &'a self,
        place: Place<'a>,
        step: usize,
        items: List<'a>,
        started_at: Timestamp,
        log: &'a mut Vec<LogLine>,
    ) -> BoxFuture<'a, Result<Acted>> {
        Box::pin(self.every_item(place, step, items, started_at, log))
    }

    async fn every_item(
        &self,
        place: Place<'_>,
        step: usize,
        items: List<'_>,
        started_at: Timestamp,
        log: &mut Vec<LogLine>,
    ) -> Result<Acted> {
        let (Some(compiled), Some(rule)) = (place.program.steps.get(step), place.program.rules.get(step))
        else {
            return Err(Error::Internal(format!("step {step} is not there")));
        };
        let CompiledKind::ForEach { items: given, group, concurrency, body } = &compiled.kind else {
            return Err(Error::Internal(format!("step `{}` is no `for_each`", compiled.id)));
        };
        let groups = group.map(|most| groups(&items, most));
        let count = groups.as_ref().map_or(items.len(), Vec::len);
        let path = format!("{}{}", place.path, compiled.id);
        let mut known = self.known(&place, &path).await?;
        let mut driven: Vec<Driven> = Vec::with_capacity(count);
        let mut waits_outside = false;
        let mut under_way = FuturesUnordered::new();
        let most = (*concurrency).max(1);
        // An item that waits for a run which it called is under way there.
        let mut called = 0;
        let mut stopped = None;
        for index in 0..count {
            let known = known.remove(&index);
            while under_way.len() + called >= most
                && let Some(end) = under_way.next().await
            {
                match end {
                    Ok(end) => {
                        let end: Driven = end;
                        called += usize::from(end.waits_to_be_woken());
                        // Where one waits for something outside, the others would as well: they are begun after it.
                        waits_outside |= end.waits_outside();
                        driven.push(end);
                    }
                    Err(error) => stopped = stopped.or(Some(error)),
                }
            }
            if stopped.is_some() {
                break;
            }
            // Those that had begun are looked at in any case; others have to wait.
            if (called >= most || waits_outside) && known.is_none() {
                continue;
            }
            let (page, spent) = (None, Spent::new());
            let (item, group) = match &groups {
                Some(groups) => (None, groups.get(index).copied()),
                None => (items.get(index).map(|item| (item, index)), None),
            };
            let start = Start { index, item, group, page, known, spent };
            under_way.push(self.item(place, body, &path, start));
        }
        // Also where one could not go on: what the others have performed must be written down before this is let fall,
        // or it is performed again.
        while let Some(end) = under_way.next().await {
            match end {
                Ok(end) => driven.push(end),
                Err(error) => stopped = stopped.or(Some(error)),
            }
        }
        drop(under_way);
        if let Some(error) = stopped {
            return Err(error);
        }
        driven.sort_by_key(|item| item.index);
        // An item that was cancelled means that the run is to end here, which parking it does.
        let cancelled = driven.iter().any(Driven::is_cancelled).then(|| self.context.now());
        let waiting = driven.iter().filter_map(|item| item.state.due()).min();
        if let (Some(until), None) = (waiting, cancelled) {
            return Ok(Acted::by_items(parked(&driven, until, started_at), Spent::new()));
        }
        let mut spent = Spent::new();
        for item in &mut driven {
            let index = item.index;
            for line in item.log.drain(..) {
                let step = line.step.map(|step| format!("{}[{index}].{step}", compiled.id));
                push_line(log, LogLine { step, ..line });
            }
            if let Some(version) = item.version {
                spent.push(((place.run.id, path.clone(), narrow(index)?), version));
            }
        }
        if let Some(until) = cancelled {
            return Ok(Acted::by_items(Event::Parked { until }, Spent::new()));
        }
        let brief = if matches!(given, Items::OfPage) { Brief::Yes } else { Brief::No };
        let told = match &groups {
            Some(groups) => told_of_groups(&driven, groups, brief),
            None => told(driven.iter().map(|item| (item.index, &item.state)), brief),
        };
        let event = self.came_to(told, rule.on_error, &compiled.id, started_at, log);
        if matches!(event, Event::Failed { .. }) {
            // Going on with this run later is going on with these.
            spent.clear();
        }
        Ok(Acted::by_items(event, spent))
    }

    /// What a loop's end is to the machine.
    fn came_to(
        &self,
        told: Told,
        on_error: OnError,
        id: &str,
        started_at: Timestamp,
        log: &mut Vec<LogLine>,
    ) -> Event {
        let failure = told.failure().filter(|_| on_error == OnError::Fail);
        let output = told.output.into();
        let Some(error) = failure else {
            return Event::Done { started_at, input: Payload::NULL, output };
        };
        if let CallError::Other { message, .. } = &error {
            log.push(self.line(Some(id.to_owned()), LogLevel::Error, message.clone()));
        }
        Event::Failed { started_at, input: output, error, jitter: 0 }
    }

    /// The items that were stored, by index.
    async fn known(&self, place: &Place<'_>, path: &str) -> Result<BTreeMap<usize, (LiveItem, Version)>> {
        let select = Select::all().prefix(&(place.run.id, path.to_owned()));
        let entries = self.context.store.list::<LiveItems>(place.scope, select).await?;
        Ok(entries
            .into_iter()
            .filter_map(|entry| Some((usize::try_from(entry.key.2).ok()?, (entry.record, entry.version))))
            .collect())
    }

    /// Drives one item until it ends or waits.
    async fn item(
        &self,
        around: Place<'_>,
        body: &Program,
        path: &str,
        Start { index, item, group, page, known, mut spent }: Start<'_>,
    ) -> Result<Driven> {
        let now = self.context.now();
        let redrives = around.run.state.redrives;
        let mut driven = match known {
            Some((known, version)) => {
                let state = self.woken(around.scope, around.run.user, known.state).await?;
                // Whoever had the run go on had all its failed items go on.
                let redriven =
                    machine::redrive(&state, &body.rules, now).filter(|_| state.redrives < redrives);
                let state = redriven.map_or(state, |state| RunState { redrives, ..state });
                Driven { index, state, log: known.log, version: Some(version), page }
            }
            None => {
                let state = RunState { redrives, ..RunState::queued(now) };
                Driven { index, state, log: Vec::new(), version: None, page }
            }
        };
        let mut event = if self.queue.is_cancelled(around.run.id) {
            Event::Cancel
        } else if driven.waits_to_be_woken() {
            let inner = format!("{path}[{index}].");
            let place = (body, &driven.state, inner.as_str());
            if still_waits(&self.context.store, around.scope, around.run.id, place).await? {
                return Ok(driven);
            }
            Event::Woken(self.queue.lease(now))
        } else {
            Event::Leased(self.queue.lease(now))
        };
        let mut leaving = Leaving::none();
        loop {
            let first = matches!(event, Event::Leased(_)) && driven.version.is_none();
            let Decision { state, next, journal } =
                machine::apply(driven.state, &body.rules, event, self.context.now());
            driven.state = state;
            let_go_of_items(&mut driven.state, body);
            // Of an item that is not stored yet, nothing is known to have begun: where that may be repeated
            // unknown, its end is all that need be durable.
            let repeatable = matches!(next, Next::Perform(step) if may_repeat(body, step));
            if next == Next::End || (journal == Journal::First && !(first && repeatable)) {
                let also = (std::mem::take(&mut spent), std::mem::take(&mut leaving));
                self.store_item(&around, path, &mut driven, also).await?;
            }
            let (step, doing) = match next {
                Next::End | Next::Nothing | Next::Wait(_) => return Ok(driven),
                Next::Intend(_) => {
                    event = Event::Intended;
                    continue;
                }
                Next::Perform(step) => (step, Doing::Perform),
                Next::Reconcile(step) => (step, Doing::Reconcile),
            };
            let outer = around.results();
            let inner = format!("{path}[{index}].");
            let place = Place {
                program: body,
                state: &driven.state,
                outer: Some(&outer),
                item,
                group,
                path: &inner,
                cursor: driven.page.as_ref().and_then(|page| page.cursor.as_deref()),
                ..around
            };
            let mut log = Vec::new();
            let acted = self.act_at(place, step, doing, self.context.now(), &mut log).await?;
            spent.extend(acted.spent);
            leaving.extend(acted.leaving);
            event = acted.event;
            for line in log {
                push_line(&mut driven.log, line);
            }
        }
    }

    async fn store_item(
        &self,
        around: &Place<'_>,
        path: &str,
        driven: &mut Driven,
        (spent, leaving): (Spent, Leaving),
    ) -> Result<()> {
        let key = (around.run.id, path.to_owned(), narrow(driven.index)?);
        // Moved out and in again: a state may hold a whole page.
        let record = LiveItem {
            user: around.run.user,
            state: std::mem::replace(&mut driven.state, RunState::queued(Timestamp::from_millis(0))),
            log: std::mem::take(&mut driven.log),
            page: driven.page.take(),
        };
        let version = driven.version;
        let stored = persist(&self.context.store, around.run.id, || {
            let mut batch = Batch::new();
            match version {
                Some(version) => batch.replace::<LiveItems>(around.scope, &key, &record, version),
                None => batch.insert::<LiveItems>(around.scope, &key, &record),
            }
            remove_items(&mut batch, around.scope, &spent);
            leaving.add_to(&mut batch, around.scope);
            batch
        });
        let stored = stored.await;
        LiveItem { state: driven.state, log: driven.log, page: driven.page, .. } = record;
        // After a conflict, somebody else works on this run; taking it up again finds out.
        driven.version = Some(stored.map_err(Error::Commit)?);
        self.outbox.go(around.scope, leaving);
        Ok(())
    }
}

/// A `for_each` whose items wait, until the first of them is due. Where one waits for a connection, so does the run.
fn parked(items: &[Driven], until: Timestamp, started_at: Timestamp) -> Event {
    let for_connection = items.iter().find_map(|item| match (item.state.waits, &item.state.status) {
        (Some(waits @ Waits::Connection { .. }), Status::Queued { last_error, .. }) => {
            Some((waits, last_error.clone()))
        }
        _ => None,
    });
    match for_connection {
        None => Event::Parked { until },
        Some((waits, error)) => {
            let refused = error.map(|error| Refused { started_at, input: Payload::NULL, error });
            Event::Held { until, waits, refused }
        }
    }
}

/// Whether performing a step that is not known to have begun may repeat it without asking.
fn may_repeat(body: &Program, step: usize) -> bool {
    let act = body.rules.get(step).map(|rule| rule.act);
    !matches!(act, None | Some(Act::Outside(Repeat::Lookup | Repeat::Never)))
}

fn narrow(index: usize) -> Result<u32> {
    u32::try_from(index).map_err(|_| Error::Internal(format!("item {index} is beyond what can be counted")))
}
