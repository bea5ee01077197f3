//! Records at the vendor that is polled: they change while the host lives and while it is dead, some several times and
//! some at the same moment, and are listed late and in another order at every request.
//!
//! Invariant: whatever changes is listed, in its order, while the trigger's overlap still covers it; so each form that
//! a listing shows, and the one that a record has at the end, starts exactly one run.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Chance, load::Aim, verdict::RECORD};
use crate::{
    eventual::{Eventual, SETTLED},
    wait,
};

/// The longest that a change is kept from the listing, in milliseconds: with `SETTLED`, less than the overlap of 90 s.
const LONGEST_LAG: u64 = 20_000;

/// The longest pause between two changes, in milliseconds.
const PAUSE: u64 = 800;

/// The most records that change at the same moment.
const AT_ONCE: u64 = 3;

/// Who changes records.
pub(super) struct Changes {
    pub(super) listing: Eventual,
    pub(super) accounts: Vec<String>,
    pub(super) chance: Chance,
    pub(super) aimed: watch::Receiver<Aim>,
    pub(super) stopped: watch::Receiver<bool>,
}

impl Changes {
    /// Changes records until it is stopped, also while the host is down.
    pub(super) async fn run(mut self) -> Result<()> {
        let mut last_item = 0;
        while self.goes_on().await {
            self.listing.advance(wait::wall_clock().since(self.listing.now()));
            let accounts = u64::try_from(self.accounts.len())?;
            let account = usize::try_from(self.chance.below(accounts))?;
            for _ in 0..=self.chance.below(AT_ONCE) {
                // One that changed lately, or a new one.
                let item = last_item - self.chance.below(10).min(last_item);
                let item = if item == last_item { last_item + 1 } else { item };
                last_item = last_item.max(item);
                if let Some(account) = self.accounts.get(account) {
                    self.listing.change(account, item, self.chance.up_to(LONGEST_LAG))?;
                }
            }
            wait::pass(self.chance.up_to(PAUSE)).await;
        }
        Ok(())
    }

    /// Waits while all is quiet; whether there is to be more.
    async fn goes_on(&mut self) -> bool {
        if *self.stopped.borrow() {
            return false;
        }
        tokio::select! {
            aimed = self.aimed.wait_for(|aim| !matches!(aim, Aim::Quiet)) => aimed.is_ok(),
            _ = self.stopped.wait_for(|stopped| *stopped) => false,
        }
    }
}

/// Lets everything that changed be listed, in its order.
pub(super) fn settle(listing: &Eventual) {
    listing.advance(SETTLED + Duration::from_millis(LONGEST_LAG + 1));
}

/// What must come of an account: each record as it is now, and in each form that a listing ever showed.
pub(super) fn due(listing: &Eventual, account: &str) -> Vec<Value> {
    let forms: BTreeSet<_> = listing.newest(account).union(&listing.shown(account)).copied().collect();
    let record =
        |(item, version)| json!({ "kind": RECORD, "user": account, "item": item, "version": version });
    forms.into_iter().map(record).collect()
}
