//! How a poller fares, as far as this process knows: what people are shown of it.

use std::{collections::HashMap, time::Duration};

use trunnion_core::{call::CallError, clock::Timestamp};

/// How a poller fares; since this process began. Kept for each of very many, so no number is wider than it must be.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// When the last visit began.
    pub last_started_at: Option<Timestamp>,
    /// When a round last ended well.
    pub last_ended_at: Option<Timestamp>,
    /// Records that were known already.
    pub duplicates: u64,
    /// How late the last visit began, in milliseconds.
    pub lag_ms: u32,
    /// Rounds that ended well.
    pub rounds: u32,
    /// Failures in a row.
    pub failures: u32,
    /// Times that the host had too much work waiting to take anything in.
    pub put_off: u32,
    /// What keeps it from polling.
    pub trouble: Option<Box<Trouble>>,
}

/// What keeps a poller from polling.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// The app.
    pub app: String,
    /// Since when.
    pub since: Timestamp,
    /// What it is.
    pub cause: Cause,
}

/// What keeps a poller from polling.
#[derive(Clone, Debug)]
pub enum Cause {
    /// The last poll failed.
    Failing(CallError),
    /// The credential has to be mended first.
    Attention(String),
}

/// What a poller does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for its time.
    Planned,
    /// It waits for another visit of its user to end.
    HeldBack,
    /// A visit is under way.
    UnderWay,
}

/// What one round came to, for whoever asked for it.
#[derive(Clone, Debug)]
pub enum Told {
    /// It ended well.
    Ended(Tally),
    /// It failed.
    Failed(CallError),
    /// The credential has to be mended first.
    Attention(String),
    /// The installation is paused or gone.
    Stopped,
}

/// What a round brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Pages.
    pub pages: u64,
    /// Records accepted.
    pub accepted: u64,
    /// Those of them that came later than the overlap covers.
    pub late: u64,
    /// Records that were known already.
    pub duplicates: u64,
}

/// A poller as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What it does.
    pub stage: Stage,
    /// When it is due.
    pub due: Timestamp,
    /// How often it polls.
    pub interval: Duration,
    /// Whether a round has more pages.
    pub backlog: bool,
    /// How it fares.
    pub status: Status,
}

/// All pollers at a glance.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// Active ones.
    pub pollers: usize,
    /// Visits under way.
    pub under_way: usize,
    /// Those that wait for another visit of their user.
    pub held_back: usize,
    /// Those whose time has come.
    pub overdue: usize,
    /// How long the first of them has been waiting.
    pub waiting: Duration,
    /// By app and what it is: how many are in trouble.
    pub troubled: HashMap<(String, &'static str), usize>,
}
