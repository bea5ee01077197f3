//! Records at the vendor that is polled: they change while the host lives and while it is dead, some several times and
//! some at the same moment, and are listed late and in another order at every request.
//!
//! Invariant: whatever changes is listed, in its order, while the trigger's overlap still covers it; so the form that a
//! record has at the end starts exactly one run, and so does each earlier one that the host was shown and lived to keep.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Chance, load::Aim, verdict::RECORD};
use crate::{
    eventual::{Eventual, SETTLED, Served},
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

/// What came of an account, or must have come.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Forms {
    /// Each record as it is now, and in each form that the host must have kept.
    pub(super) due: BTreeSet<(u64, u64)>,
    /// Everything that a listing ever showed.
    pub(super) shown: BTreeSet<(u64, u64)>,
}

impl Forms {
    /// Of what is `newest`, and was `served` in lives that began after so many listings each.
    pub(super) fn new(newest: BTreeSet<(u64, u64)>, served: &[Served], lives: &[usize]) -> Self {
        let mut forms = Self { due: newest, shown: BTreeSet::new() };
        for (index, listing) in served.iter().enumerate() {
            forms.shown.extend(&listing.items);
            // What the host was shown just before it was killed it need not have kept, and a form that was replaced since
            // is not shown again. The fake may note its answer to a dead host after the next life has begun.
            let interrupted = lives.iter().any(|began| index + 1 == *began || index == *began);
            if !interrupted {
                forms.due.extend(&listing.items);
            }
        }
        forms
    }
}

/// A record's form, as AcmeCo is told of it.
pub(super) fn told(account: &str, (item, version): (u64, u64)) -> Value {
    json!({ "kind": RECORD, "user": account, "item": item, "version": version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_was_shown_and_lived_to_keep_is_due() {
        let served = |item: u64| Served { since: 0, page: 1, status: 200, items: vec![(item, 1)] };
        let served: Vec<_> = (0..7).map(served).collect();
        let forms = Forms::new(BTreeSet::from([(9, 2)]), &served, &[3]);
        let due: Vec<_> = forms.due.into_iter().collect();
        assert_eq!(due, [(0, 1), (1, 1), (4, 1), (5, 1), (6, 1), (9, 2)], "but not around the kill");
        assert_eq!(forms.shown.len(), 7);
    }
}
