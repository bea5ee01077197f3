//! Many merchants, each with a store of its own and the workflow installed, and stored runs: what a host has
//! after a while.

use std::{
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::task::JoinSet;
use trunnion_core::{
    id::{Id, RunId},
    records::{LedgerEntry, LiveRun},
    scope::Scope,
};
use trunnion_store::{
    Batch, KeyRing, MasterKey, Store,
    journal::{Journal, Options},
    tables::{EndedRuns, Ledger, RunOutline, RunsByWorkflow},
};

use super::{component::APP, host::Host, progress, shop};
use crate::keyfiles::read_master;

/// Merchants that are made at once.
const LANES: u32 = 32;

/// Stored runs of one commit.
const BATCH: u32 = 32;

/// Which app merchants use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// The app.
    pub(super) app: &'static str,
    /// The credential of a merchant of this name.
    pub(super) credential: fn(&str) -> Value,
}

/// Makes `merchants` with the workflow installed, through the host's own API; answers their
/// users.
pub(super) async fn settle(host: &Host, merchants: u32) -> Result<Vec<String>> {
    let integration = shop::integrate(&host.vendor_client()?).await?;
    install(host, &integration, Kind { app: APP, credential: shop::credential }, 0..merchants).await
}

/// Makes the merchants of these numbers with an integration installed, through the host's own API; answers their
/// users.
pub(super) async fn install(
    host: &Host,
    integration: &str,
    kind: Kind,
    merchants: Range<u32>,
) -> Result<Vec<String>> {
    progress(&format!("making {} merchants with an installation each", merchants.len()));
    let client = Arc::new(host.vendor_client()?);
    let integration: Arc<str> = integration.into();
    let next = Arc::new(AtomicU32::new(merchants.start));
    let mut users = Vec::new();
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let (client, integration, next) = (Arc::clone(&client), Arc::clone(&integration), Arc::clone(&next));
        lanes.spawn(async move {
            let mut users = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= merchants.end {
                    return anyhow::Ok(users);
                }
                let name = format!("m{number}");
                let credential = (kind.app, (kind.credential)(&name));
                users.push(shop::install(&client, &integration, &name, credential).await?);
            }
        });
    }
    while let Some(lane) = lanes.join_next().await {
        users.extend(lane??);
    }
    Ok(users)
}

/// Stores `runs` more ended runs in the data directory of a host that is stopped: copies of its newest one, under
/// ids of their own, each with what the ledger would hold of it.
pub(super) async fn store_runs(data: &Path, runs: u32) -> Result<()> {
    progress(&format!("storing {runs} runs"));
    let master = read_master(&data.join("master.key"))?;
    let keys = KeyRing::open(data.join("keys"), &MasterKey::new(master))?;
    let path = data.join("store");
    let journal = tokio::task::spawn_blocking(move || Journal::open(path, &Options::default())).await??;
    let store = Store::new(Arc::new(journal), Arc::new(keys));
    let mut newest = None;
    store.each::<EndedRuns>(|scope, entry| newest = Some((scope, entry))).await?;
    let Some((Some(scope), entry)) = newest else {
        bail!("the host has no ended run to copy");
    };
    let (scope, run) = (Arc::new(scope), Arc::new(entry.record));
    let next = Arc::new(AtomicU32::new(1));
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let (store, scope, run, next) =
            (store.clone(), Arc::clone(&scope), Arc::clone(&run), Arc::clone(&next));
        lanes.spawn(async move {
            loop {
                let first = next.fetch_add(BATCH, Ordering::Relaxed);
                if first > runs {
                    return anyhow::Ok(());
                }
                let mut batch = Batch::new();
                for number in first..(first + BATCH).min(runs + 1) {
                    copy(&mut batch, &scope, &run, number);
                    let seen = LedgerEntry {
                        at: run.accepted_at,
                        body_hash: None,
                        event: Some(run.event),
                        run: Some(run.id),
                    };
                    let key = store.keyed_hash(&scope, "bench", &number.to_be_bytes());
                    batch.insert::<Ledger>(&scope, &key, &seen);
                }
                store.commit(batch).await?;
            }
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    store.close().await.context("the filled store was not closed")
}

/// A copy of `run`, begun `number` milliseconds earlier.
fn copy(batch: &mut Batch, scope: &Scope, run: &LiveRun, number: u32) {
    let mut bytes = *run.id.as_bytes();
    // The first six bytes are the time: so copies are in order, and older than what the host goes on to do.
    let time = bytes.iter().take(6).fold(0_u64, |time, byte| time << 8 | u64::from(*byte));
    let earlier = time.saturating_sub(number.into()).to_be_bytes();
    for (to, from) in bytes.iter_mut().zip(earlier.iter().skip(2)) {
        *to = *from;
    }
    let copy = LiveRun { id: RunId(Id::from_bytes(bytes)), ..run.clone() };
    batch.insert::<EndedRuns>(scope, &copy.id, &copy);
    let outline = RunOutline { user: copy.user, failed: false, ended_at: None };
    batch.insert::<RunsByWorkflow>(scope, &(copy.workflow, copy.id), &outline);
}
