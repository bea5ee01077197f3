//! The store's bytes: in memory, with the faults a disk has, and durable over lives.
//!
//! Keeps the contract of `Backend`: a commit that its caller no longer waits for goes on; a full disk changes
//! nothing; after a commit that failed otherwise, nobody knows whether it was applied, and no more is taken until
//! the next start.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use trunnion_store::{
    Version,
    backend::{Backend, BackendError, BoxFuture, RawBatch, RawEntry, RawRecord, RawScan},
};

use crate::world::{Life, World};

/// The disk of one life.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    world: Arc<World>,
    life: Arc<Life>,
    broken: AtomicBool,
}

/// What becomes of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Applied,
    Full,
    Broken { applied: bool },
    DeathBefore,
    DeathAfter,
}

impl Disk {
    /// Of a life.
    #[must_use]
    pub fn new(world: Arc<World>, life: Arc<Life>) -> Self {
        Self(Arc::new(Inner { world, life, broken: AtomicBool::new(false) }))
    }

    /// Whether it takes no more until the next start.
    #[must_use]
    pub fn broken(&self) -> bool {
        self.0.broken.load(Ordering::SeqCst)
    }
}

impl Inner {
    fn fate(&self) -> (Fate, [std::time::Duration; 2]) {
        let mut state = self.world.state();
        let faults = state.faults.clone();
        let dice = &mut state.dice;
        let mut moment = || std::time::Duration::from_millis(dice.below(6).saturating_sub(2));
        let waits = [moment(), moment()];
        let fate = if dice.happens(faults.full) {
            Fate::Full
        } else if dice.happens(faults.broken_disk) {
            Fate::Broken { applied: dice.below(2) == 0 }
        } else if dice.happens(faults.death_before_commit) {
            Fate::DeathBefore
        } else if dice.happens(faults.death_after_commit) {
            Fate::DeathAfter
        } else {
            Fate::Applied
        };
        (fate, waits)
    }

    async fn commit(&self, batch: RawBatch) -> Result<Version, BackendError> {
        self.life.living().await;
        let (fate, [before, after]) = self.fate();
        self.life.sleep(before).await;
        if self.broken.load(Ordering::SeqCst) {
            self.world.trouble("disk still broken");
            return Err(BackendError::broken("the simulated disk is broken; start again"));
        }
        match fate {
            Fate::Full => {
                self.world.trouble("disk full");
                return Err(BackendError::Full { message: "the simulated disk is full".to_owned() });
            }
            Fate::DeathBefore => {
                self.world.trouble("death before a commit");
                return self.life.die().await;
            }
            Fate::Broken { applied: false } => {}
            Fate::Applied | Fate::DeathAfter | Fate::Broken { applied: true } => {
                let tables = tables(&batch);
                let version = self.world.memory.commit(batch).await;
                match &version {
                    Ok(version) => self.world.note(format_args!("commit {version} of tables {tables:?}")),
                    Err(error) => self.world.note(format_args!("no commit of tables {tables:?}: {error}")),
                }
                if fate == Fate::DeathAfter {
                    self.world.trouble("death after a commit");
                    return self.life.die().await;
                }
                if fate == Fate::Applied {
                    self.life.sleep(after).await;
                    return version;
                }
            }
        }
        self.world.trouble("disk broken");
        self.broken.store(true, Ordering::SeqCst);
        Err(BackendError::broken("the simulated disk broke"))
    }

    async fn read(&self) -> Result<(), BackendError> {
        self.life.living().await;
        let fails = {
            let mut state = self.world.state();
            let chance = state.faults.read;
            state.dice.happens(chance)
        };
        if fails {
            self.world.trouble("read failed");
            return Err(BackendError::broken("the simulated disk could not be read"));
        }
        Ok(())
    }
}

/// Which tables a batch changes: the first byte of every key.
fn tables(batch: &RawBatch) -> Vec<u8> {
    batch.ops.iter().filter_map(|op| op.key.first().copied()).collect()
}

impl Backend for Disk {
    fn commit(&self, batch: RawBatch) -> BoxFuture<'_, Result<Version, BackendError>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let committed = tokio::spawn(async move { inner.commit(batch).await });
            committed
                .await
                .unwrap_or_else(|error| Err(BackendError::storage("the commit ended badly", error)))
        })
    }

    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<RawRecord>, BackendError>> {
        Box::pin(async move {
            self.0.read().await?;
            self.0.world.memory.get(key).await
        })
    }

    fn scan(&self, scan: RawScan) -> BoxFuture<'_, Result<Vec<RawEntry>, BackendError>> {
        Box::pin(async move {
            self.0.read().await?;
            self.0.world.memory.scan(scan).await
        })
    }

    fn writable(&self) -> Result<(), BackendError> {
        if self.broken() {
            return Err(BackendError::broken("the simulated disk is broken; start again"));
        }
        Ok(())
    }

    fn exclusive(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(async { Ok(()) })
    }
}
