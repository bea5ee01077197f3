//! Load: as much as the host does (a closed loop), or a fixed rate whatever the host does (an open loop).
//!
//! An event is done when it has arrived where it was to arrive ([`Done`]). In the open loop every event has an intended
//! start, and its time counts from there: an event that had to wait because the host was slow with earlier
//! ones counts its wait (without this, a stall would hide itself: coordinated omission).

use std::{
    collections::HashSet,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use reqwest::RequestBuilder;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{arrivals::Arrivals, report::Latency};

/// Events under way at once in the closed loop.
pub(super) const IN_FLIGHT: usize = 64;

/// Connections of the open loop: enough that none is ever waited for while the host keeps up.
const CONNECTIONS: usize = 128;

/// The first part of a closed loop does not count: connections and instances are made then.
const WARM_UP: f64 = 0.2;

/// How long a call may take to arrive before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes events, numbered on from the last.
#[derive(Debug)]
pub(super) struct Load {
    sender: Sender,
    arrivals: Arc<Arrivals>,
    done: Done,
    /// The next event's number; one sequence for all loads on the same arrivals.
    next: Arc<AtomicU64>,
}

/// When an event is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// When its effect has arrived at the other side.
    Arrived,
    /// When it is answered.
    Answered,
}

/// Sends events.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    http: reqwest::Client,
    requests: Arc<dyn Requests>,
}

/// The requests that make events.
pub(super) trait Requests: std::fmt::Debug + Send + Sync + 'static {
    /// The request that makes the event of this number.
    fn request(&self, http: &reqwest::Client, number: u64) -> RequestBuilder;
}

/// The events of one phase.
#[derive(Debug)]
pub(super) struct Sent {
    /// Their orders' numbers.
    pub(super) orders: Range<u64>,
    /// Those that the host did not acknowledge, and what it said.
    pub(super) refused: Vec<(u64, String)>,
    /// When the last had been sent.
    pub(super) ended: Instant,
    pace: Pace,
}

/// When events are meant to start.
#[derive(Clone, Copy, Debug)]
struct Pace {
    start: Instant,
    first: u64,
    every: Duration,
}

/// An open loop under way; `stop` ends it.
#[derive(Debug)]
pub(super) struct Open {
    plan: Arc<Plan>,
    lanes: JoinSet<()>,
}

#[derive(Debug)]
struct Plan {
    pace: Pace,
    sender: Sender,
    /// Where an answer is an arrival.
    answers: Option<Arc<Arrivals>>,
    next: AtomicU64,
    /// The first order that is not sent any more.
    end: AtomicU64,
    stopped: CancellationToken,
    refused: Mutex<Vec<(u64, String)>>,
}

/// What became of a phase's events.
#[derive(Debug)]
pub(super) struct Outcome {
    /// From the intended start to the arrival.
    pub(super) latency: Latency,
    /// Acknowledged, but their call never arrived.
    pub(super) lost: Vec<u64>,
    /// Calls beyond the first of an event.
    pub(super) repeated: u64,
    /// From the last event's sending until every call had arrived: what had piled up.
    pub(super) drained_in: Duration,
}

impl Sender {
    /// Sends `requests`.
    pub(super) fn new(requests: Arc<dyn Requests>) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).timeout(PATIENCE);
        Ok(Self { http: http.build().context("no HTTP client could be made")?, requests })
    }

    /// Sends one event; the error says why it was not acknowledged.
    pub(super) async fn send(&self, number: u64) -> Result<(), String> {
        let request = self.requests.request(&self.http, number);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.text().await.map_err(|error| error.to_string())?;
        if status.is_success() { Ok(()) } else { Err(format!("{status}: {body}")) }
    }
}

impl Load {
    /// Makes events numbered from `first`.
    pub(super) fn new(sender: Sender, arrivals: Arc<Arrivals>, done: Done, first: u64) -> Self {
        Self::numbered_by(sender, arrivals, done, Arc::new(AtomicU64::new(first)))
    }

    /// Makes events whose numbers come from `next`, which other loads on the same arrivals may share.
    pub(super) fn numbered_by(
        sender: Sender,
        arrivals: Arc<Arrivals>,
        done: Done,
        next: Arc<AtomicU64>,
    ) -> Self {
        Self { sender, arrivals, done, next }
    }

    /// Makes the same events another way; the two take turns, and numbers.
    pub(super) fn another(&self, sender: Sender) -> Self {
        Self { sender, arrivals: Arc::clone(&self.arrivals), done: self.done, next: Arc::clone(&self.next) }
    }

    /// Where an answer is an arrival.
    fn answers(&self) -> Option<Arc<Arrivals>> {
        (self.done == Done::Answered).then(|| Arc::clone(&self.arrivals))
    }

    /// The maximum: events per second with [`IN_FLIGHT`] under way, each until it is done.
    pub(super) async fn closed(&self, length: Duration) -> Result<(f64, Sent)> {
        let start = Instant::now();
        let deadline = start + length;
        let counted_from = start + length.mul_f64(WARM_UP);
        let first = self.next.load(Ordering::Relaxed);
        let mut lanes = JoinSet::new();
        for _ in 0..IN_FLIGHT {
            let (sender, arrivals, next) =
                (self.sender.clone(), Arc::clone(&self.arrivals), Arc::clone(&self.next));
            let done = self.done;
            lanes.spawn(async move {
                let mut counted = 0_u32;
                while Instant::now() < deadline {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let arrival = (done == Done::Arrived).then(|| arrivals.expect(number));
                    if let Err(reason) = sender.send(number).await {
                        bail!("event {number} was refused: {reason}");
                    }
                    match arrival {
                        None => drop(arrivals.arrived(number)),
                        Some(arrival) => {
                            let arrived = timeout(PATIENCE, arrival).await;
                            arrived
                                .with_context(|| format!("the call of event {number} did not arrive"))??;
                        }
                    }
                    let now = Instant::now();
                    counted += u32::from(now > counted_from && now <= deadline);
                }
                Ok(counted)
            });
        }
        let mut counted = 0;
        while let Some(lane) = lanes.join_next().await {
            counted += lane??;
        }
        let rate = f64::from(counted) / (deadline - counted_from).as_secs_f64();
        let pace = Pace { start, first, every: Duration::ZERO };
        let orders = first..self.next.load(Ordering::Relaxed);
        Ok((rate, Sent { orders, refused: Vec::new(), ended: Instant::now(), pace }))
    }

    /// Begins to send `rate` events per second.
    pub(super) fn open(&self, rate: f64) -> Open {
        let every = Duration::from_secs_f64(1.0 / rate);
        let first = self.next.load(Ordering::Relaxed);
        let pace = Pace { start: Instant::now(), first, every };
        let plan = Arc::new(Plan {
            pace,
            sender: self.sender.clone(),
            answers: self.answers(),
            next: AtomicU64::new(first),
            end: AtomicU64::new(u64::MAX),
            stopped: CancellationToken::new(),
            refused: Mutex::default(),
        });
        let mut lanes = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let plan = Arc::clone(&plan);
            lanes.spawn(async move { plan.lane().await });
        }
        Open { plan, lanes }
    }

    /// Ends an open loop: what was due by now is still sent.
    pub(super) async fn stop(&self, mut open: Open) -> Result<Sent> {
        let plan = &open.plan;
        plan.end.store(plan.pace.due(Instant::now()), Ordering::Release);
        plan.stopped.cancel();
        while let Some(lane) = open.lanes.join_next().await {
            lane?;
        }
        let orders = plan.pace.first..plan.end.load(Ordering::Acquire);
        self.next.store(orders.end, Ordering::Relaxed);
        let refused = std::mem::take(&mut *plan.refused.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Sent { orders, refused, ended: Instant::now(), pace: plan.pace })
    }

    /// An open loop for a while.
    pub(super) async fn open_for(&self, rate: f64, length: Duration) -> Result<Sent> {
        let open = self.open(rate);
        sleep_until(open.plan.pace.start + length).await;
        self.stop(open).await
    }

    /// Waits until every acknowledged event has arrived, or nothing arrives any more.
    pub(super) async fn outcome(&self, sent: &Sent) -> Result<Outcome> {
        let refused: HashSet<u64> = sent.refused.iter().map(|(order, _)| *order).collect();
        let mut missing: Vec<u64> = sent.orders.clone().filter(|order| !refused.contains(order)).collect();
        let mut look = tokio::time::interval(Duration::from_millis(2));
        let mut last_change = Instant::now();
        loop {
            let before = missing.len();
            missing.retain(|order| self.arrivals.calls(*order).first.is_none());
            let now = Instant::now();
            if missing.len() < before {
                last_change = now;
            }
            if missing.is_empty() || now.duration_since(last_change) > PATIENCE {
                break;
            }
            look.tick().await;
        }
        let mut latency = Latency::new()?;
        let (mut repeated, mut last) = (0, sent.ended);
        for order in sent.orders.clone() {
            let calls = self.arrivals.calls(order);
            let Some(arrived) = calls.first else { continue };
            latency.record(arrived.saturating_duration_since(sent.pace.intended(order)));
            repeated += u64::from(calls.count - 1);
            last = last.max(arrived);
        }
        let drained_in = last.saturating_duration_since(sent.ended);
        Ok(Outcome { latency, lost: missing, repeated, drained_in })
    }
}

impl Pace {
    /// When the event of `order` is meant to start.
    fn intended(&self, order: u64) -> Instant {
        let seconds = self.every.as_secs_f64() * count(order.saturating_sub(self.first));
        self.start + Duration::from_secs_f64(seconds)
    }

    /// The first order that is not due yet.
    fn due(&self, now: Instant) -> u64 {
        let mut order = self.first;
        let passed = now.duration_since(self.start).as_nanos() / self.every.as_nanos().max(1);
        order += u64::try_from(passed).unwrap_or(u64::MAX);
        // The division truncates where `intended` rounds.
        while self.intended(order) <= now {
            order += 1;
        }
        order
    }
}

impl Plan {
    async fn lane(&self) {
        loop {
            let order = self.next.fetch_add(1, Ordering::Relaxed);
            let at = self.pace.intended(order);
            if at > Instant::now() {
                tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.stopped.cancelled() => {}
                }
            }
            if order >= self.end.load(Ordering::Acquire) {
                return;
            }
            match (self.sender.send(order).await, &self.answers) {
                (Ok(()), Some(arrivals)) => drop(arrivals.arrived(order)),
                (Ok(()), None) => {}
                (Err(reason), _) => {
                    self.refused.lock().unwrap_or_else(PoisonError::into_inner).push((order, reason));
                }
            }
        }
    }
}

/// A count of events: far below where a float skips numbers.
#[expect(clippy::cast_precision_loss, reason = "no scenario makes 2^52 events")]
pub(super) const fn count(events: u64) -> f64 {
    events as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_due_has_its_intended_start_behind_it() {
        let start = Instant::now();
        for rate in [3.0, 997.0, 4_321.0] {
            let pace = Pace { start, first: 10, every: Duration::from_secs_f64(1.0 / rate) };
            assert_eq!(pace.intended(10), start);
            for millis in [0, 1, 333, 1_000, 20_000] {
                let now = start + Duration::from_millis(millis);
                let due = pace.due(now);
                assert!(pace.intended(due) > now, "{rate} {millis}");
                assert!(pace.intended(due - 1) <= now, "{rate} {millis}");
            }
        }
    }
}
