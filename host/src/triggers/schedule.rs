//! Schedules: each tick of an installation starts a run, through the one way in.
//!
//! A mark of each scheduled installation says up to which tick everything has been dealt with. It is durable, made
//! and removed in the installation's own commits, and moved in the very commit that accepts the tick. So no crash,
//! pause, upgrade or restart loses a tick or repeats one.
//!
//! What is in memory, a time for each installation, is only an index over the marks. A look at an installation reads
//! its mark, accepts what is due, and says when to look again: it takes no input and may come too often, so whoever
//! changes a mark has only to ask for one.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use trunnion_core::{
    clock::Timestamp,
    id::{InstallationId, UserId},
    records::{EventSource, ScheduleMark},
    schedule::{Schedule, Tick},
    scope::{Environment, Scope},
};
use trunnion_store::{
    Batch, CommitError, Deployment, ReadError, Select, Store, Version, Versioned,
    tables::{ScheduleMarks, Workspaces},
};

use super::accept::{Acceptor, Arrival, Seen};
use crate::{
    context::Context,
    error::{Error, Result},
    guard::unless_it_panics,
};

/// Looks under way at once: enough that the ticks of one moment share the store's syncs.
const AT_ONCE: usize = 64;

/// The longest sleep between two looks at the clock: one that is set, or a machine that slept, moves every tick.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// How long to rest after the store failed.
const REST: Duration = Duration::from_secs(5);

/// Marks of one read at start.
const PAGE: usize = 512;

/// Starts what is scheduled. A cheap handle.
#[derive(Clone, Debug)]
pub struct Schedules {
    context: Context,
    acceptor: Acceptor,
    plan: Arc<Plan>,
}

/// When to look at which installation.
#[derive(Debug, Default)]
struct Plan {
    times: Mutex<Times>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Times {
    by_place: HashMap<Place, Timestamp>,
    in_order: BTreeSet<(Timestamp, Place)>,
}

/// A scheduled installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place {
    scope: Scope,
    user: UserId,
    installation: InstallationId,
}

/// The trigger key of a scheduled installation.
#[must_use]
pub fn schedule_key(store: &Store, scope: &Scope, id: InstallationId) -> [u8; 16] {
    store.keyed_hash(scope, "trigger-schedule", id.as_bytes())
}

impl Schedules {
    /// Accepts into `acceptor`.
    #[must_use]
    pub fn new(context: Context, acceptor: Acceptor) -> Self {
        Self { context, acceptor, plan: Arc::default() }
    }

    /// Asks for a look at an installation, whose mark was just made, changed or removed.
    pub fn changed(&self, scope: Scope, user: UserId, installation: InstallationId) {
        self.plan.at(self.context.now(), Place { scope, user, installation });
    }

    /// Accepts ticks until `shutdown`, those first that fell due while no host was there.
    pub async fn run(self, shutdown: CancellationToken) {
        while let Err(error) = self.recover().await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "schedules could not be read; trying again"
            );
            tokio::select! {
                () = tokio::time::sleep(REST) => {}
                () = shutdown.cancelled() => return,
            }
        }
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let looks = TaskTracker::new();
        loop {
            let place = tokio::select! {
                // A stop comes first: what is due then is due at the next start.
                biased;
                () = shutdown.cancelled() => break,
                place = self.plan.next(&self.context) => place,
            };
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
            let this = self.clone();
            looks.spawn(async move {
                if let Some(next) = this.look_at(place).await {
                    this.plan.at(next, place);
                }
                drop(permit);
            });
        }
        looks.close();
        looks.wait().await;
    }

    /// Plans a look for every mark; in pages, so that nothing else waits for it.
    async fn recover(&self) -> Result<()> {
        let store = &self.context.store;
        for workspace in store.list::<Workspaces>(&Deployment, Select::all()).await? {
            for environment in Environment::ALL {
                let scope = Scope::new(workspace.record.id, environment);
                let mut select = Select::all();
                loop {
                    let page = store.page::<ScheduleMarks>(&scope, select.clone(), PAGE).await?;
                    for entry in &page.entries {
                        let (user, installation) = entry.key;
                        let place = Place { scope, user, installation };
                        if let Some(schedule) = read(&entry.record, place)
                            && let Some(next) = schedule.next_after(entry.record.handled)
                        {
                            self.plan.at(next, place);
                        }
                    }
                    let Some(next) = page.next else { break };
                    select = select.after(&next);
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(())
    }

    /// Does what is due of an installation; when to look again.
    async fn look_at(&self, place: Place) -> Option<Timestamp> {
        let again = |after| Some(self.context.now() + after);
        let Some(looked) = unless_it_panics(Box::pin(self.look(place))).await else {
            tracing::error!(installation = %place.installation, "a schedule panicked; trying again");
            return again(REST);
        };
        match looked {
            Ok(next) => next,
            // It was paused, upgraded or removed meanwhile, or another look was quicker.
            Err(Error::Commit(CommitError::Conflict { .. })) => again(Duration::ZERO),
            // The tick is not accepted, so it stays due.
            Err(Error::Busy { retry_after } | Error::UserBusy { retry_after }) => again(retry_after),
            Err(error) => {
                tracing::error!(
                    installation = %place.installation, error = &error as &dyn std::error::Error,
                    "a schedule could not go on; trying again"
                );
                again(REST)
            }
        }
    }

    async fn look(&self, place: Place) -> Result<Option<Timestamp>> {
        let key = (place.user, place.installation);
        let stored = match self.context.store.get::<ScheduleMarks>(&place.scope, &key).await {
            Ok(Some(stored)) => stored,
            Ok(None) | Err(ReadError::Erased { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Versioned { record: mark, version } = stored;
        let Some(schedule) = read(&mark, place) else { return Ok(None) };
        let now = self.context.now();
        if let Some(tick) = schedule.due(mark.handled, now) {
            self.acceptor.admit()?;
            self.accept(place, mark, version, tick).await?;
        }
        Ok(schedule.next_after(now))
    }

    /// ONE COMMIT: the tick's ledger entry, its run, and the mark moved up to it, if it is still the one that was
    /// read.
    async fn accept(&self, place: Place, mark: ScheduleMark, version: Version, tick: Tick) -> Result<()> {
        let Place { scope, user, installation } = place;
        let store = &self.context.store;
        let mut name = installation.as_bytes().to_vec();
        name.extend_from_slice(&tick.at.as_millis().to_be_bytes());
        let arrival = Arrival {
            source: EventSource::Schedule { scheduled_at: tick.at },
            data: tick.data().into(),
            trigger: schedule_key(store, &scope, installation),
            seen: Some(Seen { key: store.keyed_hash(&scope, "tick", &name), body_hash: None }),
            unmatched: None,
        };
        let moved = ScheduleMark { handled: tick.at, ..mark };
        let key = (user, installation);
        let moves = |batch: &mut Batch| batch.replace::<ScheduleMarks>(&scope, &key, &moved, version);
        self.acceptor.accept(&scope, vec![arrival], moves).await.map(drop)
    }
}

/// The schedule of a mark that is to be acted on.
fn read(mark: &ScheduleMark, place: Place) -> Option<Schedule> {
    if !mark.active {
        return None;
    }
    let schedule = Schedule::check(&mark.timing).inspect_err(|problems| {
        tracing::error!(
            installation = %place.installation, %problems,
            "a stored schedule cannot be read, so it starts nothing; release the workflow anew and install it again"
        );
    });
    schedule.ok()
}

impl Plan {
    /// Plans a look, unless an earlier one is planned already.
    fn at(&self, time: Timestamp, place: Place) {
        {
            let mut times = self.times();
            match times.by_place.get(&place).copied() {
                Some(earlier) if earlier <= time => return,
                Some(later) => {
                    times.in_order.remove(&(later, place));
                }
                None => {}
            }
            times.by_place.insert(place, time);
            times.in_order.insert((time, place));
        }
        self.wake.notify_one();
    }

    /// Waits until the first look is due.
    async fn next(&self, context: &Context) -> Place {
        loop {
            let now = context.now();
            let first = {
                let mut times = self.times();
                match times.in_order.first().copied() {
                    Some((due, place)) if due <= now => {
                        times.in_order.remove(&(due, place));
                        times.by_place.remove(&place);
                        return place;
                    }
                    first => first.map(|(due, _)| due.since(now)),
                }
            };
            let woken = self.wake.notified();
            match first {
                Some(wait) => {
                    tokio::select! {
                        () = woken => {}
                        () = tokio::time::sleep(wait.min(LONGEST_SLEEP)) => {}
                    }
                }
                None => woken.await,
            }
        }
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
