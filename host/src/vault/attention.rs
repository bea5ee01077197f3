//! Who waits for a connection to be mended, so that they are woken when it is, and nobody looks again and again.
//!
//! In memory, beside the durable state of whoever waits: each says for which connection, and a start finds them.
//! Invariants: whoever waits is registered here before it looks whether the connection was mended meanwhile, and a
//! connection is mended before those registered are woken, so nobody is passed over; whoever waits comes back by
//! itself when its time is up, so what is older than that is forgotten here. Pollers do not register: they look at
//! their connection's record when any is mended.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use trunnion_core::{clock::Timestamp, id::ConnectionId};

use crate::runs::{Queue, Work};

/// How many wait for one connection before those whose time is up are looked for.
const FIRST_SWEEP: usize = 64;

/// Who waits for which connection.
#[derive(Debug)]
pub struct Attention {
    waiting: Mutex<HashMap<ConnectionId, Waiting>>,
    queue: Arc<Queue>,
    patience: Duration,
    mended: watch::Sender<()>,
}

/// Those who wait for one connection, and until when each does.
#[derive(Debug, Default)]
struct Waiting {
    works: Vec<(Timestamp, Work)>,
    sweep_at: usize,
}

impl Attention {
    /// Whoever is woken goes to `queue`; nobody waits for longer than `patience`.
    #[must_use]
    pub fn new(queue: Arc<Queue>, patience: Duration) -> Self {
        Self { waiting: Mutex::default(), queue, patience, mended: watch::Sender::new(()) }
    }

    /// How long work waits for a connection to be mended before it is given up.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        self.patience
    }

    /// Registers what is to go on when the connection is mended.
    pub fn wait(&self, connection: ConnectionId, work: Work, now: Timestamp) {
        let mut waiting = self.waiting();
        let Waiting { works, sweep_at } = waiting.entry(connection).or_default();
        if works.len() >= (*sweep_at).max(FIRST_SWEEP) {
            works.retain(|(until, _)| *until > now);
            *sweep_at = works.len() * 2;
        }
        works.push((now + self.patience, work));
    }

    /// Lets everything go on that waits for the connection. What has ended or gone on meanwhile finds nothing to do.
    pub fn wake(&self, connection: ConnectionId) {
        let woken = self.waiting().remove(&connection);
        for (_, work) in woken.into_iter().flat_map(|waiting| waiting.works) {
            self.queue.push(work);
        }
        self.mended.send_replace(());
    }

    /// Hears of it whenever a connection was mended.
    #[must_use]
    pub fn mended(&self) -> watch::Receiver<()> {
        self.mended.subscribe()
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<ConnectionId, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use trunnion_core::{
        clock::ManualClock,
        id::{Id, RunId, UserId, WorkspaceId},
        scope::{Environment, Scope},
    };

    use super::*;
    use crate::runs::queue::{Bounds, Limits, Load};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn work(number: u32) -> Work {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        let scope = Scope::new(WorkspaceId(Id::from_bytes([1; 12])), Environment::Development);
        Work::RunDue { scope, id: RunId(Id::from_bytes(bytes)), user: UserId(Id::from_bytes([2; 12])) }
    }

    #[test]
    fn whoever_waits_is_woken_and_whoever_waited_for_too_long_is_forgotten() {
        let load = Load { count: 10_000, bytes: 1 << 20 };
        let waiting = Bounds { all: load, per_user: load };
        let limits =
            Limits { workers: 9, per_connection: 9, waiting, kept_bytes: 1 << 20, working_bytes: 1 << 20 };
        let clock = Arc::new(ManualClock::new(Timestamp::ZERO));
        let queue = Arc::new(Queue::new(clock, "here".to_owned(), limits));
        let attention = Attention::new(Arc::clone(&queue), HOUR);
        let [broken, other] = [3, 4].map(|number| ConnectionId(Id::from_bytes([number; 12])));
        for number in 0..1_000 {
            attention.wait(broken, work(number), Timestamp::ZERO + Duration::from_secs(60) * number);
        }
        attention.wake(other);
        assert_eq!(queue.waiting().count, 0);
        attention.wake(broken);
        let woken = queue.waiting().count;
        assert!((60..=128).contains(&woken), "of the last hour and not many more: {woken}");
        attention.wake(broken);
        assert_eq!(queue.waiting().count, woken, "each is woken once");
    }
}
