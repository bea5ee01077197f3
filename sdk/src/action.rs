//! Actions: what a workflow can do at the vendor. An action is an ordinary function from a typed input to a
//! typed output; the types are also its JSON Schemas.
//!
//! ```
//! use trunnion_sdk::{action::Action, context::Context, error::Result};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Greet { name: String }
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Greeting { text: String }
//!
//! fn greet(_: &Context, input: Greet) -> Result<Greeting> {
//!     Ok(Greeting { text: format!("Hello {}", input.name) })
//! }
//!
//! let action = Action::new("greet", "Greet someone", greet)
//!     .safe_to_repeat()
//!     .sample(r#"{"name":"Ada"}"#, r#"{"text":"Hello Ada"}"#);
//! assert_eq!(action.id(), "greet");
//! ```
//!
//! Where the vendor takes many at once, [`Action::batch`] says how; a list of the vendor's, page by page, is an
//! [`Action::listing`].

mod batch;
mod listing;

use std::fmt;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{context::Context, error::Result, json};

/// What repeating the action after an uncertain outcome does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Repeat {
    Safe,
    Key,
    Lookup,
    Never,
}

/// What became of an attempt whose outcome was uncertain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconciled<O> {
    /// It was carried out; this is its output.
    Found(O),
    /// It was not carried out; doing it now is safe.
    Absent,
    /// Nobody can tell, and why.
    Unknown(String),
}

pub use listing::Listing;

pub(crate) use batch::Batch;
pub(crate) use listing::Page;

type Run = Box<dyn Fn(&Context, &str) -> Result<String>>;
type Shape = fn(&Context, &Map<String, Value>) -> Result<Value>;
type Reconcile = Box<dyn Fn(&Context, &str, &str) -> Result<Reconciled<String>>>;

/// A declared action.
pub struct Action {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) help: &'static str,
    pub(crate) repeat: Repeat,
    pub(crate) input_schema: fn() -> Value,
    pub(crate) output_schema: fn() -> Value,
    pub(crate) sample_input: &'static str,
    pub(crate) sample_output: &'static str,
    pub(crate) buckets: &'static [&'static str],
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) accepts: fn(&str) -> Result<()>,
    pub(crate) run: Run,
    pub(crate) reconcile: Option<Reconcile>,
    pub(crate) batch: Option<Batch>,
    pub(crate) page: Option<Page>,
    pub(crate) shape: Option<Shape>,
}

impl Action {
    /// The action `id`, which people see as `title` and `run` carries out.
    ///
    /// Until one of [`Self::safe_to_repeat`], [`Self::recognises_key`] and [`Self::reconciled_by`] says
    /// otherwise, an attempt with an uncertain outcome is never repeated.
    #[must_use]
    pub fn new<I, O, F>(id: &'static str, title: &'static str, run: F) -> Self
    where
        I: DeserializeOwned + JsonSchema + 'static,
        O: Serialize + JsonSchema + 'static,
        F: Fn(&Context, I) -> Result<O> + 'static,
    {
        let run = move |ctx: &Context, input: &str| json::output(&run(ctx, json::input(input)?)?);
        Self { output_schema: json::output_schema::<O>(), ..Self::made::<I>(id, title, Box::new(run)) }
    }

    /// With everything that an author may leave out.
    fn made<I: DeserializeOwned + JsonSchema>(id: &'static str, title: &'static str, run: Run) -> Self {
        Self {
            id,
            title: json::said(title),
            help: "",
            repeat: Repeat::Never,
            input_schema: json::input_schema::<I>(),
            output_schema: || Value::Bool(true),
            sample_input: "",
            sample_output: "",
            buckets: &[],
            #[cfg(not(target_arch = "wasm32"))]
            accepts: |text| json::input::<I>(text).map(drop),
            run,
            reconcile: None,
            batch: None,
            page: None,
            shape: None,
        }
    }

    /// Says what it does.
    #[must_use]
    #[inline(always)]
    pub const fn help(mut self, help: &'static str) -> Self {
        self.help = json::said(help);
        self
    }

    /// Names the rate limits (`connector::Bucket`) that its requests draw from. Where it names none, they draw from
    /// all of the connector's: then a 429 on this action keeps every other action of the connection waiting too.
    #[must_use]
    #[inline(always)]
    pub const fn draws_from(mut self, buckets: &'static [&'static str]) -> Self {
        self.buckets = buckets;
        self
    }

    /// An example of input and output, as JSON; the builder shows it, and `test::assert_sound` checks it.
    #[must_use]
    #[inline(always)]
    pub const fn sample(mut self, input: &'static str, output: &'static str) -> Self {
        self.sample_input = json::said(input);
        self.sample_output = json::said(output);
        self
    }

    /// Doing it twice results in the same state: a read, or setting a value.
    #[must_use]
    #[inline(always)]
    pub const fn safe_to_repeat(mut self) -> Self {
        self.repeat = Repeat::Safe;
        self
    }

    /// The vendor recognises `ctx.idempotency_key()`, which the action sends along.
    #[must_use]
    #[inline(always)]
    pub const fn recognises_key(mut self) -> Self {
        self.repeat = Repeat::Key;
        self
    }

    /// `reconcile` can look up at the vendor what became of an attempt, given its input and idempotency key.
    #[must_use]
    #[inline(always)]
    pub fn reconciled_by<I, O, F>(mut self, reconcile: F) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(&Context, I, &str) -> Result<Reconciled<O>> + 'static,
    {
        self.repeat = Repeat::Lookup;
        self.reconcile = Some(Box::new(move |ctx, input, key| {
            Ok(match reconcile(ctx, json::input(input)?, key)? {
                Reconciled::Found(output) => Reconciled::Found(json::output(&output)?),
                Reconciled::Absent => Reconciled::Absent,
                Reconciled::Unknown(why) => Reconciled::Unknown(why),
            })
        }));
        self
    }

    /// The input's schema differs by account (a table's columns, an object's own properties): `shape` answers it, given
    /// the values already chosen. The declared type's schema stays what releases are checked against.
    #[must_use]
    #[inline(always)]
    pub const fn shaped_by(mut self, shape: fn(&Context, &Map<String, Value>) -> Result<Value>) -> Self {
        self.shape = Some(shape);
        self
    }

    /// Its id in the manifest.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action").field("id", &self.id).field("repeat", &self.repeat).finish_non_exhaustive()
    }
}
