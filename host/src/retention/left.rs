//! What erased users and uninstalled workflows left behind: records that nobody can read any more, what only pointed to
//! them, and keys that nobody can let go of.
//!
//! Of an erased user nothing can be read from the moment of erasure; here it also stops taking up room. Whoever still
//! comes to such a record (a timer, a run that was due) finds nothing.

use trunnion_core::{
    clock::Timestamp,
    id::InstallationId,
    records::{KeptCall, LineKey, LinePlace},
    scope::Scope,
};
use trunnion_store::{
    Batch, KeyOwner, Position, Swept, Table,
    tables::{
        ActivePollers, BatchItems, Callbacks, CalledRuns, Connections, Consents, ConsentsByState, Deliveries,
        HeldKeys, InstallLinks, InstallSessions, Installations, KeptCalls, LiveItems, LiveRuns, Notices,
        OperatorCalls, Pollers, RequestPaths, ScheduleMarks, Subscriptions, Users, UsersByName,
    },
};

use super::{
    Forgotten,
    rest::Pace,
    steps::{Forgetting, STEP},
};
use crate::{
    error::{Result, present},
    repetition::KEPT,
    runs::Queue,
};

impl Forgetting<'_> {
    /// Everything of it, table by table.
    pub(super) async fn left_behind(&self, queue: &Queue, forgotten: &mut Forgotten) -> Result<()> {
        self.unreadable::<LiveRuns>(forgotten).await?;
        self.unreadable::<LiveItems>(forgotten).await?;
        self.unreadable::<Deliveries>(forgotten).await?;
        self.unreadable::<Callbacks>(forgotten).await?;
        self.unreadable::<Notices>(forgotten).await?;
        self.unreadable::<BatchItems>(forgotten).await?;
        self.unreadable::<ScheduleMarks>(forgotten).await?;
        self.unreadable::<Pollers>(forgotten).await?;
        self.unreadable::<Users>(forgotten).await?;
        self.unreadable::<Connections>(forgotten).await?;
        self.unreadable::<Installations>(forgotten).await?;
        self.unreadable::<InstallSessions>(forgotten).await?;
        self.unreadable::<Subscriptions>(forgotten).await?;
        self.consents(forgotten).await?;
        self.all_that::<InstallLinks>(forgotten, |swept| {
            swept.record.as_ref().is_none_or(|link| link.expires_at <= self.now)
        })
        .await?;
        let over = |call: Option<&KeptCall>| call.is_none_or(|call| call.begun_at + KEPT <= self.now);
        self.all_that::<KeptCalls>(forgotten, |swept| over(swept.record.as_ref())).await?;
        self.all_that::<OperatorCalls>(forgotten, |swept| over(swept.record.as_ref())).await?;
        let erased = |scope, user| self.store.keys().is_erased(KeyOwner::User(scope, user));
        self.all_that::<ActivePollers>(forgotten, |timer| {
            timer.record.as_ref().is_some_and(|record| erased(timer.place, record.user))
        })
        .await?;
        self.all_that::<UsersByName>(forgotten, |name| {
            name.record.as_ref().is_some_and(|record| erased(name.place, record.user))
        })
        .await?;
        self.all_that::<RequestPaths>(forgotten, |path| {
            path.record.as_ref().is_some_and(|record| erased(record.scope, record.user))
        })
        .await?;
        self.called_runs(forgotten).await?;
        self.held_keys(queue, forgotten).await
    }

    /// Consents that nobody came back from.
    async fn consents(&self, forgotten: &mut Forgotten) -> Result<()> {
        let over = |until: Timestamp| until <= self.now;
        self.all_that::<Consents>(forgotten, |swept| {
            swept.record.as_ref().is_none_or(|consent| over(consent.expires_at))
        })
        .await?;
        self.all_that::<ConsentsByState>(forgotten, |swept| {
            swept.record.as_ref().is_none_or(|target| over(target.expires_at))
        })
        .await
    }

    /// Records of erased users.
    async fn unreadable<T: Table>(&self, forgotten: &mut Forgotten) -> Result<()> {
        self.all_that::<T>(forgotten, |swept| swept.record.is_none()).await
    }

    async fn all_that<T: Table>(
        &self,
        forgotten: &mut Forgotten,
        goes: impl Fn(&Swept<T>) -> bool + Send + Sync,
    ) -> Result<()> {
        let mut position = Position::default();
        loop {
            let pace = Pace::start();
            let page = self.store.sweep::<T>(&position, STEP).await?;
            let Some(last) = page.last() else { return Ok(()) };
            position = Position::after::<T>(&last.place, &last.key);
            let mut batch = Batch::new();
            for swept in page.iter().filter(|swept| goes(swept)) {
                batch.remove::<T>(&swept.place, &swept.key, swept.version);
            }
            forgotten.left_behind += batch.len();
            self.commit(batch, forgotten).await?;
            pace.rest().await;
        }
    }

    /// Who called whom, where the called run is no longer under way: removed in the commit that ends it, unless that
    /// could not be read any more.
    async fn called_runs(&self, forgotten: &mut Forgotten) -> Result<()> {
        let mut position = Position::default();
        loop {
            let pace = Pace::start();
            let page = self.store.sweep::<CalledRuns>(&position, STEP).await?;
            let Some(last) = page.last() else { return Ok(()) };
            position = Position::after::<CalledRuns>(&last.place, &last.key);
            let mut batch = Batch::new();
            for swept in &page {
                let (_, called) = swept.key;
                if present(self.store.get::<LiveRuns>(&swept.place, &called).await)?.is_none() {
                    batch.remove::<CalledRuns>(&swept.place, &swept.key, swept.version);
                }
            }
            forgotten.left_behind += batch.len();
            self.commit(batch, forgotten).await?;
            pace.rest().await;
        }
    }

    /// Keys that runs of an uninstalled workflow hold, which failed after it was uninstalled, and those of erased users:
    /// whoever waits behind them begins.
    async fn held_keys(&self, queue: &Queue, forgotten: &mut Forgotten) -> Result<()> {
        let mut position = Position::default();
        loop {
            let pace = Pace::start();
            let page = self.store.sweep::<HeldKeys>(&position, STEP).await?;
            let Some(last) = page.last() else { return Ok(()) };
            position = Position::after::<HeldKeys>(&last.place, &last.key);
            let mut batch = Batch::new();
            let mut let_go: Vec<(Scope, InstallationId, LinePlace)> = Vec::new();
            for swept in &page {
                let (installation, key, order) = swept.key;
                let Some(held) = &swept.record else { continue };
                let owner = (held.user, installation);
                if present(self.store.get::<Installations>(&swept.place, &owner).await)?.is_none() {
                    batch.remove::<HeldKeys>(&swept.place, &swept.key, swept.version);
                    let place = LinePlace { key: LineKey(key), order, limit: 1, ordered: true };
                    let_go.push((swept.place, installation, place));
                }
            }
            forgotten.left_behind += batch.len();
            self.commit(batch, forgotten).await?;
            // Should the commit have been refused, these begin out of order, of a workflow that is uninstalled.
            for (scope, installation, place) in let_go {
                queue.leave(scope, installation, place);
            }
            pace.rest().await;
        }
    }
}
