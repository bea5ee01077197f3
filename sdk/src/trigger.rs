//! Triggers: how work starts at the vendor. A trigger is a type that implements [`Webhook`], [`Delivered`] where
//! somebody else registers the webhook (see [`delivered`]), or [`Poll`] where the vendor has to be asked (see [`poll`]).
//! The host verifies, stores and deduplicates deliveries as the declaration
//! says, before `parse` sees them.
//!
//! ```
//! use trunnion_sdk::prelude::*;
//! use trunnion_sdk::trigger::{Dedup, Verification};
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Task { id: u64 }
//!
//! #[derive(Debug)]
//! struct TaskDone;
//!
//! impl Webhook for TaskDone {
//!     type Data = Task;
//!     type State = String;
//!
//!     fn subscribe(ctx: &Context, target: &Target) -> Result<String> {
//!         #[derive(Deserialize)]
//!         struct Hook { id: String }
//!         let body = json!({ "url": target.url, "token": secret("subscription") });
//!         let request = ctx.http().post("https://api.acme.com/hooks").auth_connection();
//!         Ok(request.json_with_secrets(&body)?.send()?.json::<Hook>()?.id)
//!     }
//!     fn unsubscribe(ctx: &Context, hook: String) -> Result<()> {
//!         ctx.http().delete(format!("https://api.acme.com/hooks/{hook}")).auth_connection().send().map(drop)
//!     }
//!     fn check(_: &Context, _: &Target, hook: String) -> Result<Health<String>> {
//!         Ok(Health::Active(hook))
//!     }
//!     fn parse(ctx: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<Task>>> {
//!         let task: Task = delivery.json()?;
//!         Ok(vec![Occurrence::new(&ctx.call().account, format!("task/{}/done", task.id), task)])
//!     }
//! }
//!
//! let trigger = Trigger::webhook::<TaskDone>(
//!     "task_done",
//!     "Task done",
//!     Verification::secret_header("x-token", "subscription"),
//!     Dedup::header("x-delivery-id"),
//! )
//! .sample(r#"{"id":7}"#);
//! assert_eq!(trigger.id(), "task_done");
//! ```

mod declaration;
pub mod delivered;
pub mod poll;

use std::fmt;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    context::Context,
    error::{Error, Result},
    json::{self, Misfit},
};

pub use declaration::{
    Dedup, HmacAlgorithm, SignatureEncoding, SignedPart, SignedTime, TimeUnit, Verification,
};
pub use delivered::Delivered;
pub use poll::{Page, Poll, Polling, Since};

/// Where the vendor shall deliver.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The public https URL of this subscription.
    pub url: String,
    /// Options the installation chose for the trigger.
    pub options: Value,
}

/// A vendor's webhook delivery, verified by the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The request method.
    pub method: String,
    /// The public URL that the vendor called.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The raw body.
    pub body: Vec<u8>,
}

impl Delivery {
    /// The first header of this name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `Other` with code `delivery-not-understood`, naming the position, where the body is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        json::read(&self.body).map_err(|misfit| delivery_not_understood(&misfit))
    }
}

#[cold]
#[inline(never)]
fn delivery_not_understood(misfit: &Misfit) -> Error {
    let message = format!("the delivery's body is not what the connector expects: {misfit}");
    Error::other("delivery-not-understood", message)
}

/// One occurrence at the vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence<T> {
    /// The account at the vendor that this belongs to; empty for the connection's own.
    pub account: String,
    /// The record's id and version: a real update never repeats one, a repeated delivery does.
    pub id: String,
    /// When it happened at the vendor, in milliseconds since 1970.
    pub occurred_at_ms: Option<u64>,
    /// What workflows see as `trigger`.
    pub data: T,
}

impl<T> Occurrence<T> {
    /// An occurrence whose time the vendor does not say.
    #[must_use]
    pub fn new(account: impl Into<String>, id: impl Into<String>, data: T) -> Self {
        Self { account: account.into(), id: id.into(), occurred_at_ms: None, data }
    }

    /// A version of a record of the connection's own account. The version is whatever differs after each change: a
    /// number, the time of the change, a hash.
    #[must_use]
    pub fn of_record(record: impl fmt::Display, version: impl fmt::Display, data: T) -> Self {
        Self::new("", format!("{record}@{version}"), data)
    }

    /// Says when it happened, where that is known.
    #[must_use]
    pub const fn at_ms(mut self, time: Option<u64>) -> Self {
        self.occurred_at_ms = time;
        self
    }
}

/// Sixteen digits that differ where `text` does: a version for records whose time of change is not fine enough to tell two
/// changes apart. Not for anything that somebody might forge.
///
/// ```
/// use trunnion_sdk::trigger::fingerprint;
/// assert_eq!(fingerprint("a"), fingerprint("a"));
/// assert_ne!(fingerprint("a"), fingerprint("b"));
/// ```
#[must_use]
pub fn fingerprint(text: &str) -> String {
    // FNV-1a: a few bytes of code, where a cryptographic hash would be kilobytes.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// How a subscription fares at the vendor, with its state from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health<S> {
    /// As it should be.
    Active(S),
    /// Something was wrong and has been put right.
    Mended(S),
    /// It no longer exists; the host subscribes anew.
    Gone(S),
}

/// An answer to a delivery that the vendor wants answered at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// A webhook that the connector registers for each connection.
pub trait Webhook: 'static {
    /// What workflows see as `trigger`.
    type Data: Serialize + DeserializeOwned + JsonSchema;
    /// What the connector has to remember of its registration; the host keeps it.
    type State: Serialize + DeserializeOwned;

    /// Registers at the vendor. `{{secret:subscription}}` is a secret of this subscription's own, fresh for
    /// each, for a vendor that sends one back. Called again after a failure: it must cope with what an
    /// earlier attempt left behind.
    ///
    /// # Errors
    /// As the vendor answers.
    fn subscribe(ctx: &Context, target: &Target) -> Result<Self::State>;

    /// Takes the registration back; one that is gone already is not an error.
    ///
    /// # Errors
    /// As the vendor answers.
    fn unsubscribe(ctx: &Context, state: Self::State) -> Result<()>;

    /// Looks after the registration: vendors silently disable those that failed for a while.
    ///
    /// # Errors
    /// As the vendor answers.
    fn check(ctx: &Context, target: &Target, state: Self::State) -> Result<Health<Self::State>>;

    /// Turns a verified delivery into occurrences, none where it concerns nothing of interest.
    ///
    /// # Errors
    /// As the vendor answers, where the record has to be fetched.
    fn parse(ctx: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<Self::Data>>>;

    /// Answers a delivery that the vendor wants answered at once; none for everything else.
    ///
    /// # Errors
    /// Where the delivery is a handshake that cannot be answered.
    fn handshake(ctx: &Context, delivery: &Delivery) -> Result<Option<Reply>> {
        let (_, _) = (ctx, delivery);
        Ok(None)
    }
}

/// A declared trigger.
pub struct Trigger {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) help: &'static str,
    pub(crate) schema: fn() -> Value,
    pub(crate) sample: &'static str,
    pub(crate) options: Option<Options>,
    pub(crate) offers: &'static [(&'static str, &'static str)],
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) accepts: fn(&str) -> Result<()>,
    pub(crate) source: Source,
}

/// What a workflow has to say beside which trigger it is.
pub(crate) struct Options {
    pub(crate) schema: fn() -> Value,
    pub(crate) sample: &'static str,
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) accepts: fn(&str) -> Result<()>,
}

/// How occurrences arrive.
pub(crate) enum Source {
    Webhook(Hook),
    Poll { polling: Polling, poll: PollFn },
}

/// Polls from a cursor, both as texts.
pub(crate) type PollFn = fn(&Context, Option<&str>) -> Result<Page<String, String>>;

/// A webhook's declaration and functions.
pub(crate) struct Hook {
    pub(crate) verify: Verification,
    pub(crate) dedup: Dedup,
    pub(crate) registration: Registration,
    pub(crate) parse: ParseFn,
    pub(crate) handshake: fn(&Context, &Delivery) -> Result<Option<Reply>>,
}

/// Turns a delivery into occurrences, their data as texts.
pub(crate) type ParseFn = fn(&Context, &Delivery) -> Result<Vec<Occurrence<String>>>;

/// Who registers a webhook at the vendor.
#[derive(Clone, Copy)]
pub(crate) enum Registration {
    PerConnection(Registered),
    PerApp,
    Manual,
}

/// How a connector registers a webhook.
#[derive(Clone, Copy)]
pub(crate) struct Registered {
    pub(crate) subscribe: fn(&Context, &Target) -> Result<String>,
    pub(crate) unsubscribe: fn(&Context, &str) -> Result<()>,
    pub(crate) check: fn(&Context, &Target, &str) -> Result<Health<String>>,
}

impl Trigger {
    /// The trigger `id`, which people see as `title`, fed by `W`'s webhook.
    #[must_use]
    pub fn webhook<W: Webhook>(
        id: &'static str,
        title: &'static str,
        verify: Verification,
        dedup: Dedup,
    ) -> Self {
        Self {
            id,
            title: json::said(title),
            help: "",
            schema: json::output_schema::<W::Data>(),
            sample: "",
            options: None,
            offers: &[],
            #[cfg(not(target_arch = "wasm32"))]
            accepts: |text| json::input::<W::Data>(text).map(drop),
            source: Source::Webhook(hook::<W>(verify, dedup)),
        }
    }

    /// Says when it fires.
    #[must_use]
    #[inline(always)]
    pub const fn help(mut self, help: &'static str) -> Self {
        self.help = json::said(help);
        self
    }

    /// An example of the data, as JSON; the builder shows it, and `test::assert_sound` checks it.
    #[must_use]
    #[inline(always)]
    pub const fn sample(mut self, data: &'static str) -> Self {
        self.sample = json::said(data);
        self
    }

    /// What a workflow has to say beside which trigger it is, as `T`, with an example: which table, which kind of
    /// record. Polls read it by [`Context::options`], and [`Webhook`]s are given it in their [`Target`].
    #[must_use]
    pub fn options<T: DeserializeOwned + JsonSchema>(mut self, sample: &'static str) -> Self {
        self.options = Some(Options {
            schema: json::input_schema::<T>(),
            sample: json::said(sample),
            #[cfg(not(target_arch = "wasm32"))]
            accepts: |text| json::input::<T>(text).map(drop),
        });
        self
    }

    /// Says which lookups offer values of which members of the data: a workflow may start for some values only.
    #[must_use]
    pub const fn offers(mut self, lookups: &'static [(&'static str, &'static str)]) -> Self {
        self.offers = lookups;
        self
    }

    /// Its id in the manifest.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }
}

fn hook<W: Webhook>(verify: Verification, dedup: Dedup) -> Hook {
    let registered = Registered {
        subscribe: |ctx, target| json::output(&W::subscribe(ctx, target)?),
        unsubscribe: |ctx, state| W::unsubscribe(ctx, read_state::<W>(state)?),
        check: |ctx, target, state| {
            Ok(match W::check(ctx, target, read_state::<W>(state)?)? {
                Health::Active(state) => Health::Active(json::output(&state)?),
                Health::Mended(state) => Health::Mended(json::output(&state)?),
                Health::Gone(state) => Health::Gone(json::output(&state)?),
            })
        },
    };
    Hook {
        verify,
        dedup,
        registration: Registration::PerConnection(registered),
        parse: |ctx, delivery| written(W::parse(ctx, delivery)?),
        handshake: W::handshake,
    }
}

/// Occurrences with their data as texts.
fn written<T: Serialize>(occurrences: Vec<Occurrence<T>>) -> Result<Vec<Occurrence<String>>> {
    let write = |occurrence: Occurrence<T>| {
        let Occurrence { account, id, occurred_at_ms, data } = occurrence;
        Ok(Occurrence { account, id, occurred_at_ms, data: json::output(&data)? })
    };
    occurrences.into_iter().map(write).collect()
}

fn read_state<W: Webhook>(state: &str) -> Result<W::State> {
    json::read(state.as_bytes()).map_err(|misfit| state_not_understood(&misfit))
}

#[cold]
#[inline(never)]
fn state_not_understood(misfit: &Misfit) -> Error {
    let message = format!(
        "the state kept of this subscription cannot be read by this version of the connector: {misfit}"
    );
    Error::other("subscription-state-not-understood", message)
}

impl fmt::Debug for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Trigger");
        shown.field("id", &self.id);
        match &self.source {
            Source::Webhook(hook) => shown.field("verify", &hook.verify).field("dedup", &hook.dedup),
            Source::Poll { polling, .. } => shown.field("polling", polling),
        };
        shown.finish_non_exhaustive()
    }
}
