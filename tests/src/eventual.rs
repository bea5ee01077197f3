//! An eventually consistent vendor with a listing by time of change: what the guest `poller` polls.
//!
//! A change is stamped when it happens and shown when the test says: later, after newer ones, several with the very
//! same stamp. What changed lately comes in another order at every request, so that pages overlap or leave gaps. Time
//! is simulated and moved by hand; it begins some hours ago, so that no stamp lies ahead of the host's clock.
//!
//! Invariants: what is older than `SETTLED` has one order; every request is recorded, with what was served.

mod routes;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{net::TcpListener, task::JoinHandle};
use trunnion_core::clock::{Clock as _, ManualClock, SeededRandom, Timestamp};

use crate::{
    gate::{self, Gate, Held},
    wait,
};

/// What changed longer ago than this is listed in its order.
pub const SETTLED: Duration = Duration::from_secs(60);

/// How long before the host's present the vendor's time begins.
const BEGINS: Duration = Duration::from_secs(20 * 3600);

/// A running fake; stops with the last clone.
#[derive(Clone)]
pub struct Eventual {
    shared: Arc<Shared>,
    base: String,
    _server: Arc<Server>,
}

struct Shared {
    state: Mutex<State>,
    clock: ManualClock,
    random: SeededRandom,
}

#[derive(Default)]
struct State {
    /// By API key.
    accounts: BTreeMap<String, Account>,
    faults: VecDeque<(String, Fault)>,
    /// By account: what every listing meets.
    failing: BTreeMap<String, Fault>,
    holds: VecDeque<(String, Gate)>,
}

#[derive(Clone, Debug, Default)]
struct Account {
    id: String,
    /// By item: its versions, oldest first.
    items: BTreeMap<u64, Vec<Change>>,
    served: Vec<Served>,
    /// Listings that are being answered, and the most there ever were at once.
    under_way: usize,
    most_under_way: usize,
}

/// A version of an item.
#[derive(Clone, Debug)]
struct Change {
    version: u64,
    updated: Timestamp,
    shown: Timestamp,
    name: String,
}

/// A listing that was asked for.
#[derive(Clone, Debug)]
pub struct Served {
    /// Everything changed since then, in milliseconds.
    pub since: u64,
    /// Which page of it.
    pub page: usize,
    /// The status answered.
    pub status: u16,
    /// Item and version of what was served.
    pub items: Vec<(u64, u64)>,
}

/// What a listing meets.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// 429 with this many seconds as Retry-After.
    TooMany(u64),
    /// 503.
    Unavailable,
    /// An answer that is no listing.
    Nonsense,
}

struct Server(JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Eventual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eventual").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of(&mut self, account: &str) -> Option<&mut Account> {
        self.accounts.values_mut().find(|known| known.id == account)
    }
}

impl Account {
    fn change(&mut self, item: u64, name: &str, updated: Timestamp, shown: Timestamp) -> u64 {
        let versions = self.items.entry(item).or_default();
        let version = versions.last().map_or(1, |last| last.version + 1);
        versions.push(Change { version, updated, shown, name: name.to_owned() });
        version
    }
}

impl Eventual {
    /// Starts on a free loopback port; `seed` decides the order of what changed lately.
    pub async fn start(seed: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the vendor needs a loopback port")?;
        let base = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            clock: ManualClock::new(wait::wall_clock() - BEGINS),
            random: SeededRandom::new(seed),
        });
        let router = routes::router(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { shared, base, _server: Arc::new(Server(server)) })
    }

    /// Where it listens.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// Opens an account that answers to `key`.
    pub fn add_account(&self, id: &str, key: &str) {
        let account = Account { id: id.to_owned(), ..Account::default() };
        self.shared.state().accounts.insert(key.to_owned(), account);
    }

    /// Withdraws an account's key: calls with the old one are 401 from now on.
    pub fn change_key(&self, id: &str, key: &str) -> Result<()> {
        let mut state = self.shared.state();
        let old = state.accounts.iter().find(|(_, account)| account.id == id).map(|(key, _)| key.clone());
        let account =
            old.and_then(|old| state.accounts.remove(&old)).with_context(|| format!("no account `{id}`"))?;
        state.accounts.insert(key.to_owned(), account);
        Ok(())
    }

    /// An item changes now, and is shown after `lag`: the new version.
    pub fn change(&self, account: &str, item: u64, lag: Duration) -> Result<u64> {
        self.change_as(account, item, "Lamp", lag)
    }

    /// As `change`, with a name.
    pub fn change_as(&self, account: &str, item: u64, name: &str, lag: Duration) -> Result<u64> {
        let now = self.now();
        let mut state = self.shared.state();
        let account = state.of(account).with_context(|| format!("no account `{account}`"))?;
        Ok(account.change(item, name, now, now + lag))
    }

    /// The names of an account's items as they are now, shown or not.
    #[must_use]
    pub fn names(&self, account: &str) -> Vec<String> {
        let mut state = self.shared.state();
        let newest = |versions: &Vec<Change>| versions.last().map(|change| change.name.clone());
        state
            .of(account)
            .map(|account| account.items.values().filter_map(newest).collect())
            .unwrap_or_default()
    }

    /// Moves the simulated clock.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// The simulated time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The next listing of an account meets `fault`.
    pub fn fail_next(&self, account: &str, fault: Fault) {
        self.shared.state().faults.push_back((account.to_owned(), fault));
    }

    /// Every listing of an account meets `fault`, until there is none.
    pub fn fail(&self, account: &str, fault: Option<Fault>) {
        let mut state = self.shared.state();
        match fault {
            Some(fault) => drop(state.failing.insert(account.to_owned(), fault)),
            None => drop(state.failing.remove(account)),
        }
    }

    /// Keeps the next listing of an account waiting; what it shows is decided when it goes on.
    #[must_use]
    pub fn hold_next(&self, account: &str) -> Held {
        let (gate, held) = gate::gate();
        self.shared.state().holds.push_back((account.to_owned(), gate));
        held
    }

    /// Every listing that an account was asked for.
    #[must_use]
    pub fn served(&self, account: &str) -> Vec<Served> {
        self.shared.state().of(account).map(|account| account.served.clone()).unwrap_or_default()
    }

    /// Everything that an account was ever served, item and version.
    #[must_use]
    pub fn shown(&self, account: &str) -> BTreeSet<(u64, u64)> {
        self.served(account).into_iter().flat_map(|served| served.items).collect()
    }

    /// Every item of an account as it is now, shown or not: item and version.
    #[must_use]
    pub fn newest(&self, account: &str) -> BTreeSet<(u64, u64)> {
        let mut state = self.shared.state();
        let newest = |(item, versions): (&u64, &Vec<Change>)| Some((*item, versions.last()?.version));
        state.of(account).map(|account| account.items.iter().filter_map(newest).collect()).unwrap_or_default()
    }

    /// The most listings of an account that were ever under way at once.
    #[must_use]
    pub fn most_under_way(&self, account: &str) -> usize {
        self.shared.state().of(account).map_or(0, |account| account.most_under_way)
    }
}

#[cfg(test)]
mod tests;
