//! Polling triggers: the host asks again and again, and keeps the cursor.
//!
//! The host commits a page's records and its cursor together, drops every record that it saw before (by record and
//! version), and starts each round at the kept cursor. So a poll only ever has to say what it sees from a position on,
//! and where the next one starts; looking at a record twice costs nothing, never looking at it loses it. That is why
//! each round begins a little behind the last one: vendors show changes late, in another order than they happened,
//! several with the same time.
//!
//! [`Since`] is the cursor for a listing by time of change, which most vendors have:
//!
//! ```
//! use std::time::Duration;
//! use trunnion_sdk::{prelude::*, test::{Answer, FakeHost, Polls}};
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Task { id: u64, updated_ms: u64 }
//!
//! #[derive(Debug)]
//! struct TaskChanged;
//!
//! impl Poll for TaskChanged {
//!     type Data = Task;
//!     type Cursor = Since;
//!     const POLLING: Polling = Polling::every(Duration::from_secs(300)).overlap(Duration::from_secs(120));
//!
//!     fn start(ctx: &Context) -> Result<Since> {
//!         Ok(Since::now(ctx))
//!     }
//!     fn poll(ctx: &Context, cursor: Since) -> Result<Page<Task, Since>> {
//!         let window = cursor.window(ctx, &Self::POLLING);
//!         let tasks: Vec<Task> = ctx.http().get("https://api.acme.com/tasks?sort=updated&limit=50").auth_connection()
//!             .query("updated_since", &window.since_ms().to_string())
//!             .query("page", &window.page().to_string())
//!             .send()?.json()?;
//!         let more = tasks.len() == 50;
//!         let changes = tasks.into_iter().map(|task| {
//!             let (id, at) = (task.id, task.updated_ms);
//!             Occurrence::of_record(format!("task/{id}"), at, task).at_ms(Some(at))
//!         });
//!         Ok(window.answer(changes.collect(), more))
//!     }
//! }
//!
//! fn check(_: &Context) -> Result<trunnion_sdk::auth::Account> {
//!     Ok(trunnion_sdk::auth::Account::new("1", "Acme"))
//! }
//!
//! trunnion_sdk::connector! {
//!     id: "acme", title: "Acme", hosts: ["api.acme.com"], connection: Connection::new(), check: check,
//!     triggers: [Trigger::poll::<TaskChanged>("task_changed", "Task changed").sample(r#"{"id":7,"updated_ms":1}"#)],
//! }
//!
//! # fn main() {
//! // Natively, as the host polls: the cursor kept, repetitions dropped.
//! let host = FakeHost::new();
//! let now = host.context().now_ms();
//! host.http().on("GET", "https://api.acme.com/tasks", move |_| Answer::json(200, &json!([{"id": 7, "updated_ms": now}])));
//! let connector = connector();
//! let mut polls = Polls::new(&connector, &host, "task_changed");
//! assert_eq!(polls.round().unwrap()[0].data, json!({"id": 7, "updated_ms": now}));
//! assert!(polls.round().unwrap().is_empty());
//! # }
//! ```

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Occurrence, Source, Trigger, written};
use crate::{
    context::Context,
    error::{Error, Result},
    json::{self, Misfit},
};

/// How a trigger polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polling {
    pub(crate) interval: Duration,
    pub(crate) min_interval: Duration,
    pub(crate) overlap: Duration,
    pub(crate) recheck: Option<(Duration, Duration)>,
    pub(crate) writes: u32,
    pub(crate) reads: &'static [u32],
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

impl Polling {
    /// A poll every `interval` where a workflow says nothing else; at the most one a minute (or `interval`, where that is
    /// shorter). Each round looks two minutes back, and once an hour six hours.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        let shorter = interval.as_millis() < MINUTE.as_millis();
        let longer = interval.as_millis() > HOUR.as_millis();
        Self {
            interval,
            min_interval: if shorter { interval } else { MINUTE },
            overlap: Duration::from_secs(120),
            recheck: Some((if longer { interval } else { HOUR }, Duration::from_secs(6 * 3600))),
            writes: 1,
            reads: &[1],
        }
    }

    /// The shortest interval a workflow may choose.
    #[must_use]
    pub const fn at_least(mut self, interval: Duration) -> Self {
        self.min_interval = interval;
        self
    }

    /// How late the vendor may show a change: every round looks so far back. At most three and a half days.
    #[must_use]
    pub const fn overlap(mut self, overlap: Duration) -> Self {
        self.overlap = overlap;
        self
    }

    /// A deeper look now and then. What it finds is delivered, and counted as late for everybody to see.
    #[must_use]
    pub const fn recheck(mut self, every: Duration, look_back: Duration) -> Self {
        self.recheck = Some((every, look_back));
        self
    }

    /// No deeper look: what the vendor shows later than the overlap is never seen.
    #[must_use]
    pub const fn without_recheck(mut self) -> Self {
        self.recheck = None;
        self
    }

    /// The form of the cursors, a number that grows when [`Poll::Cursor`] changes so that an earlier version could not
    /// read it, and every form this version reads. The host refuses a version that cannot read what it keeps.
    #[must_use]
    pub const fn cursor_format(mut self, writes: u32, reads: &'static [u32]) -> Self {
        self.writes = writes;
        self.reads = reads;
        self
    }
}

/// A trigger that asks the vendor.
pub trait Poll: 'static {
    /// What workflows see as `trigger`.
    type Data: Serialize + DeserializeOwned + JsonSchema;
    /// A position at the vendor; the host keeps it.
    type Cursor: Serialize + DeserializeOwned;
    /// How it polls.
    const POLLING: Polling;

    /// Where the first poll starts: from now on, in most cases, so that an installation is not flooded with history.
    /// [`Context::polling_since_ms`] says when that is.
    ///
    /// # Errors
    /// As the vendor answers, where it has to be asked for a position.
    fn start(ctx: &Context) -> Result<Self::Cursor>;

    /// What there is from `cursor` on, one page of it, and where the next one starts.
    ///
    /// # Errors
    /// As the vendor answers. The host tries again, from the same cursor.
    fn poll(ctx: &Context, cursor: Self::Cursor) -> Result<Page<Self::Data, Self::Cursor>>;

    /// Reads a cursor of an earlier form that `POLLING` says is read.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn upgrade(format: u32, cursor: Value) -> Result<Self::Cursor> {
        let _ = cursor;
        Err(not_understood(&format!("its form is {format}, which `Poll::upgrade` does not read")))
    }
}

/// One page of what there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// What was seen, new or not.
    pub occurrences: Vec<Occurrence<T>>,
    /// Where the next page, or the next round, starts.
    pub cursor: C,
    /// Whether more is waiting right now.
    pub more: bool,
}

impl<T, C> Page<T, C> {
    /// The last page of a round.
    #[must_use]
    pub const fn last(occurrences: Vec<Occurrence<T>>, cursor: C) -> Self {
        Self { occurrences, cursor, more: false }
    }

    /// A page behind which more is waiting right now.
    #[must_use]
    pub const fn and_more(occurrences: Vec<Occurrence<T>>, cursor: C) -> Self {
        Self { occurrences, cursor, more: true }
    }
}

/// A position in a listing that is sorted by time of change, oldest first, and can be asked for everything since a
/// moment, that moment included.
///
/// Between pages it goes on from the latest change seen, by page number only through changes of the very same
/// moment, so that a record which moves in the listing meanwhile makes no other one slip through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// Nothing earlier is asked for.
    from_ms: u64,
    /// The latest change that finished rounds have seen.
    seen_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    round: Option<Round>,
}

/// A round under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Round {
    since_ms: u64,
    page: u32,
    highest_ms: u64,
}

/// What one page asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    cursor: Since,
    round: Round,
    now_ms: u64,
}

impl Since {
    /// From now on: from the moment the host began to poll.
    #[must_use]
    pub fn now(ctx: &Context) -> Self {
        Self::from_ms(ctx.polling_since_ms())
    }

    /// From a moment on, which may long have passed.
    #[must_use]
    pub const fn from_ms(from_ms: u64) -> Self {
        Self { from_ms, seen_ms: from_ms, round: None }
    }

    /// What the next page has to ask for.
    #[must_use]
    pub fn window(self, ctx: &Context, polling: &Polling) -> Window {
        let back = ctx.look_back().unwrap_or_default().max(polling.overlap);
        let back = u64::try_from(back.as_millis()).unwrap_or(u64::MAX);
        let round = self.round.unwrap_or_else(|| Round {
            since_ms: self.seen_ms.saturating_sub(back).max(self.from_ms),
            page: 1,
            highest_ms: self.seen_ms,
        });
        Window { cursor: self, round, now_ms: ctx.now_ms() }
    }
}

impl Window {
    /// Everything changed at this moment or later is asked for, in milliseconds since 1970.
    #[must_use]
    pub const fn since_ms(&self) -> u64 {
        self.round.since_ms
    }

    /// Which page of that, from 1.
    #[must_use]
    pub const fn page(&self) -> u32 {
        self.round.page
    }

    /// The page for the host: what was found, each with the time of its change as [`Occurrence::at_ms`], and whether the
    /// vendor has another page.
    #[must_use]
    pub fn answer<T>(self, occurrences: Vec<Occurrence<T>>, more: bool) -> Page<T, Since> {
        let Self { cursor: Since { from_ms, seen_ms, .. }, round, now_ms } = self;
        let latest = occurrences.iter().filter_map(|occurrence| occurrence.occurred_at_ms).max().unwrap_or(0);
        let highest_ms = round.highest_ms.max(latest);
        let next = if latest > round.since_ms {
            Round { since_ms: latest, page: 1, highest_ms }
        } else {
            Round { page: round.page.saturating_add(1), highest_ms, ..round }
        };
        if more {
            let cursor = Since { from_ms, seen_ms, round: Some(next) };
            return Page::and_more(occurrences, cursor);
        }
        // A time that lies ahead of the clock would hide everything until then.
        let seen_ms = seen_ms.max(highest_ms.min(now_ms));
        Page::last(occurrences, Since { from_ms, seen_ms, round: None })
    }
}

/// A cursor as the host keeps it: with its form.
#[derive(Serialize, Deserialize)]
struct Kept<C> {
    format: u32,
    at: C,
}

/// Its form alone.
#[derive(Deserialize)]
struct Form {
    format: u32,
}

impl Trigger {
    /// The trigger `id`, which people see as `title`, fed by `P`'s polls.
    #[must_use]
    pub fn poll<P: Poll>(id: &'static str, title: &'static str) -> Self {
        Self {
            id,
            title: json::said(title),
            help: "",
            schema: json::output_schema::<P::Data>(),
            sample: "",
            options: None,
            offers: &[],
            #[cfg(not(target_arch = "wasm32"))]
            accepts: |text| json::input::<P::Data>(text).map(drop),
            source: Source::Poll { polling: P::POLLING, poll: poll::<P> },
        }
    }
}

fn poll<P: Poll>(ctx: &Context, cursor: Option<&str>) -> Result<Page<String, String>> {
    let cursor = match cursor {
        Some(text) => read::<P>(text)?,
        None => P::start(ctx)?,
    };
    let Page { occurrences, cursor, more } = P::poll(ctx, cursor)?;
    let occurrences = written(occurrences)?;
    let cursor = json::output(&Kept { format: P::POLLING.writes, at: cursor })?;
    Ok(Page { occurrences, cursor, more })
}

fn read<P: Poll>(text: &str) -> Result<P::Cursor> {
    let unread = |misfit: Misfit| not_understood(&misfit.to_string());
    let Form { format } = json::read(text.as_bytes()).map_err(unread)?;
    if format == P::POLLING.writes {
        return Ok(json::read::<Kept<P::Cursor>>(text.as_bytes()).map_err(unread)?.at);
    }
    P::upgrade(format, json::read::<Kept<Value>>(text.as_bytes()).map_err(unread)?.at)
}

fn not_understood(why: &str) -> Error {
    let message = format!("the kept cursor cannot be read by this version of the connector: {why}");
    Error::other("cursor-not-understood", message)
}

#[cfg(test)]
mod tests;
