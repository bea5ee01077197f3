//! Polling triggers: the vendor is asked again and again, and what is new starts runs, through the one way in.
//!
//! Each polling installation has a poller of its own, so that pausing one leaves the position of every other one alone,
//! and a new one starts from now. `plan` says whose turn it is, `visit` asks for one page, `take` makes it durable, `place`
//! is the part of an installation's own commits. A poller's record is made and removed in those commits, and its
//! position moves only in a visit's: nothing else resets it.
//!
//! What is in memory is an index over the records, made anew at start in the background. Timers take no lease: see
//! `visit`.

mod place;
mod plan;
mod status;
mod take;
mod visit;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use trunnion_core::{
    clock::Timestamp,
    id::{InstallationId, UserId},
    polling::{self, Pace},
    records::Poller,
    scope::{Environment, Scope},
};
use trunnion_store::{
    Deployment, Select,
    tables::{ActivePollers, Pollers as Table, Workspaces},
};

pub(crate) use self::take::poll_key;
pub use self::{
    plan::Place,
    status::{Cause, Overview, Shown, Stage, Status, Tally, Told, Trouble},
};
use self::{
    plan::Plan,
    visit::{Ask, Visited, Visitor},
};
use super::accept::Acceptor;
use crate::{
    context::Context,
    error::{Error, Result},
    guard::unless_it_panics,
    registry::Standing,
    vault::Vault,
};

/// The longest sleep between two looks at the clock: one that is set, or a machine that slept, moves every time.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// How long to rest after the host itself could not work.
const REST: Duration = Duration::from_secs(5);
/// Timers of one read at start.
const PAGE: usize = 1_024;
/// From so many failures in a row on, a poller is worth an operator's look.
const WORTH_A_LOOK: u32 = 5;

/// How much is polled at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Polls under way at once. Default: 128.
    pub max_under_way: usize,
    /// Polls of one user under way at once; its others wait, and nobody else. Default: 16.
    pub max_under_way_per_user: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_under_way: 128, max_under_way_per_user: 16 }
    }
}

/// Polls. A cheap handle.
#[derive(Clone, Debug)]
pub struct Pollers {
    context: Context,
    visitor: Visitor,
    shared: Arc<Shared>,
    max_under_way: usize,
}

#[derive(Debug)]
struct Shared {
    plan: Mutex<Plan>,
    wake: Notify,
}

impl Pollers {
    /// Accepts into `acceptor`, with the vault's credentials.
    #[must_use]
    pub fn new(context: Context, acceptor: Acceptor, vault: Vault, options: &Options) -> Self {
        let plan = Mutex::new(Plan::new(options.max_under_way_per_user));
        let shared = Arc::new(Shared { plan, wake: Notify::new() });
        let visitor = Visitor { context: context.clone(), acceptor, vault };
        Self { context, visitor, shared, max_under_way: options.max_under_way.max(1) }
    }

    /// A poller was made, changed, let go on, paused or removed.
    pub fn changed(&self, scope: Scope, user: UserId, installation: InstallationId) {
        self.plan().changed(Place { scope, installation }, user, self.context.now());
        self.shared.wake.notify_one();
    }

    /// Asks for a round that begins now, looking back at least `look_back`; what it came to. `None` where the
    /// installation is paused.
    pub fn ask(&self, place: Place, look_back: Option<Duration>) -> Option<oneshot::Receiver<Told>> {
        let told = self.plan().ask(place, look_back, self.context.now());
        self.shared.wake.notify_one();
        told
    }

    /// A poller's record.
    pub async fn one(&self, scope: &Scope, installation: InstallationId) -> Result<Poller> {
        let stored = self.context.store.get::<Table>(scope, &installation).await?;
        stored.map(|stored| stored.record).ok_or_else(|| {
            let message =
                format!("there is no poller of installation `{installation}`; its trigger does not poll, or it was removed");
            Error::not_found("poller-unknown", message)
        })
    }

    /// At most `limit` of an environment's pollers after `after`, oldest first, and behind which the rest begins; none
    /// where nothing is left.
    pub async fn list(
        &self,
        scope: &Scope,
        after: Option<InstallationId>,
        limit: usize,
    ) -> Result<(Vec<Poller>, Option<InstallationId>)> {
        let mut select = Select::all();
        if let Some(after) = after {
            select = select.after(&after);
        }
        let page = self.context.store.page::<Table>(scope, select, limit).await?;
        Ok((page.entries.into_iter().map(|entry| entry.record).collect(), page.next))
    }

    /// How a poller stands; `None` where it is paused.
    #[must_use]
    pub fn shown(&self, place: &Place) -> Option<Shown> {
        self.plan().shown(place)
    }

    /// All pollers at a glance; without anybody's data.
    #[must_use]
    pub fn overview(&self) -> Overview {
        self.plan().overview(self.context.now())
    }

    /// Polls until `shutdown`. A visit under way is then dropped, which is as if it had not begun.
    pub async fn run(self, shutdown: CancellationToken) {
        while let Err(error) = self.recover().await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "pollers could not be read; trying again"
            );
            tokio::select! {
                () = tokio::time::sleep(REST) => {}
                () = shutdown.cancelled() => return,
            }
        }
        let permits = Arc::new(Semaphore::new(self.max_under_way));
        let visits = TaskTracker::new();
        let mut standing = self.context.registry.standing();
        let mut mended = self.visitor.vault.attention().mended();
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
            let ask = tokio::select! {
                // A stop comes first: nothing is begun that it would only drop.
                biased;
                () = shutdown.cancelled() => break,
                ask = self.next(&mut standing, &mut mended) => ask,
            };
            let (this, shutdown) = (self.clone(), shutdown.clone());
            visits.spawn(async move {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => {}
                    () = this.visit(ask) => {}
                }
                drop(permit);
            });
        }
        visits.close();
        visits.wait().await;
    }

    /// Plans every active poller: reads only their timers, in pages, so that nothing else waits for it.
    async fn recover(&self) -> Result<()> {
        let store = &self.context.store;
        for workspace in store.list::<Workspaces>(&Deployment, Select::all()).await? {
            for environment in Environment::ALL {
                let scope = Scope::new(workspace.record.id, environment);
                let mut select = Select::all();
                loop {
                    let page = store.page::<ActivePollers>(&scope, select.clone(), PAGE).await?;
                    let now = self.context.now();
                    for entry in &page.entries {
                        let place = Place { scope, installation: entry.key };
                        let interval = Duration::from_millis(entry.record.interval_ms);
                        self.plan().recover(place, entry.record.user, Pace::new(interval, entry.key), now);
                    }
                    self.shared.wake.notify_one();
                    let Some(next) = page.next else { break };
                    select = select.after(&next);
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(())
    }

    /// Waits for the next visit that is due. Where another set of connectors became active since `standing`, those that
    /// failed try again at once; where a connection was mended, those that wait for one.
    async fn next(&self, standing: &mut Arc<Standing>, mended: &mut watch::Receiver<()>) -> Ask {
        loop {
            let woken = self.shared.wake.notified();
            let now = self.context.now();
            let present = self.context.registry.standing();
            if !Arc::ptr_eq(&present, standing) {
                *standing = present;
                self.plan().connectors_changed(now);
            }
            if mended.has_changed().is_ok_and(|changed| changed) {
                mended.mark_unchanged();
                self.plan().connection_mended(now);
            }
            let due = match self.plan().take(now) {
                Ok(ask) => return ask,
                Err(due) => due,
            };
            match due {
                Some(due) => {
                    tokio::select! {
                        () = woken => {}
                        _ = mended.changed() => self.plan().connection_mended(self.context.now()),
                        () = tokio::time::sleep(due.since(now).min(LONGEST_SLEEP)) => {}
                    }
                }
                None => woken.await,
            }
        }
    }

    /// One visit, and what follows from it.
    async fn visit(&self, ask: Ask) {
        let place = ask.place;
        let visited = unless_it_panics(Box::pin(self.visitor.visit(ask))).await;
        let now = self.context.now();
        let Some(visited) = visited else {
            tracing::error!(installation = %place.installation, "a poll panicked; trying again");
            self.plan().postpone(place, now, now + REST);
            self.shared.wake.notify_one();
            return;
        };
        match visited {
            Ok(Visited::Page(page)) => self.plan().page(place, page, now),
            Ok(Visited::Gone | Visited::Paused) => self.plan().forget(place, now),
            Ok(Visited::Superseded) => self.plan().postpone(place, now, now),
            Ok(Visited::Attention { app, reason, pace }) => {
                self.plan().attention(place, app, reason, pace, now)
            }
            Ok(Visited::Failed { app, error, pace }) => self.failed(place, (app, error), pace, now),
            Ok(Visited::Limited(held)) => self.plan().limited(place, held, now),
            // The vendor was not asked: it keeps what is new there.
            Err(Error::Busy { retry_after } | Error::UserBusy { retry_after }) => {
                self.plan().put_off(place, now, now + retry_after)
            }
            Err(error) => {
                tracing::error!(
                    installation = %place.installation, error = &error as &dyn std::error::Error,
                    "a poll could not be taken in; trying again"
                );
                self.plan().postpone(place, now, now + REST);
            }
        }
        self.shared.wake.notify_one();
    }

    fn failed(
        &self,
        place: Place,
        (app, error): (String, trunnion_core::call::CallError),
        pace: Pace,
        now: Timestamp,
    ) {
        let [jitter] = self.context.ids.bytes::<1>();
        let due = |error: &_, failures| polling::after_failure(pace, error, failures, jitter, now);
        let (named, kind) = (app.clone(), error.kind());
        let failures = self.plan().failed(place, (app, error), pace, now, due);
        let installation = place.installation;
        // Not the message: it is the vendor's text, which may name persons. The poller's page has it.
        if failures == WORTH_A_LOOK {
            tracing::warn!(app = named, %installation, kind, failures, "a poller keeps failing; it goes on trying");
        } else {
            tracing::debug!(app = named, %installation, kind, failures, "a poll failed; it will be tried again");
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
