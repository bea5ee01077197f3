//! Listings: actions that read what the vendor has, page by page. The host keeps the cursor between pages and asks for
//! the next one when what is done with this one has been done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::Action;
use crate::{
    context::Context,
    error::{Error, Result},
    export::DESCRIBED,
    json::{self, Misfit},
};

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing<T, C = String> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one starts; none at the end.
    pub next: Option<C>,
}

/// A page whose items and cursor are JSON texts.
pub(crate) type Page = Box<dyn Fn(&Context, &str, Option<&str>) -> Result<Listing<String>>>;

impl Action {
    /// The listing `id`, which people see as `title`: `page` gives the page at a cursor, or the first one where there is
    /// none. What it reads may be read again, so it is safe to repeat.
    ///
    /// Workflows take it for the items of a `for_each` or a `batch`. As an ordinary action it gives the first page.
    ///
    /// ```
    /// use trunnion_sdk::{action::Listing, prelude::*, test::{FakeHost, every_item}};
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct Upto { last: u32 }
    ///
    /// fn numbers(_: &Context, upto: Upto, cursor: Option<u32>) -> Result<Listing<u32, u32>> {
    ///     let first = cursor.unwrap_or(1);
    ///     let end = first + 10;
    ///     let items = (first..end.min(upto.last + 1)).collect();
    ///     Ok(Listing { items, next: (end <= upto.last).then_some(end) })
    /// }
    /// # fn check(_: &Context) -> Result<trunnion_sdk::auth::Account> { Ok(trunnion_sdk::auth::Account::new("1", "Acme")) }
    ///
    /// trunnion_sdk::connector! {
    ///     id: "acme", title: "Acme", hosts: ["api.acme.com"], connection: Connection::new(), check: check,
    ///     actions: [Action::listing("numbers", "List numbers", numbers).sample(r#"{"last":2}"#, r#"{"items":[1,2],"next":null}"#)],
    /// }
    ///
    /// # fn main() {
    /// let host = FakeHost::new();
    /// let items = every_item(&connector(), &host.calling("numbers"), r#"{"last":25}"#).unwrap();
    /// assert_eq!((items.len(), &items[24]), (25, &json!(25)));
    /// # }
    /// ```
    #[must_use]
    pub fn listing<I, T, C, F>(id: &'static str, title: &'static str, page: F) -> Self
    where
        I: DeserializeOwned + JsonSchema + 'static,
        T: Serialize + JsonSchema + 'static,
        C: Serialize + DeserializeOwned + 'static,
        F: Fn(&Context, I, Option<C>) -> Result<Listing<T, C>> + Clone + 'static,
    {
        let first = page.clone();
        let run = move |ctx: &Context, input: &str| json::output(&first(ctx, json::input(input)?, None)?);
        let page = move |ctx: &Context, input: &str, cursor: Option<&str>| {
            let cursor = cursor.map(read_cursor).transpose()?;
            let Listing { items, next } = page(ctx, json::input(input)?, cursor)?;
            let items = items.iter().map(json::output).collect::<Result<_>>()?;
            Ok(Listing { items, next: next.as_ref().map(json::output).transpose()? })
        };
        Self {
            output_schema: if DESCRIBED { || Value::Null } else { listing_schema::<T> },
            page: Some(Box::new(page)),
            ..Self::made::<I>(id, title, Box::new(run)).safe_to_repeat()
        }
    }
}

fn read_cursor<C: DeserializeOwned>(text: &str) -> Result<C> {
    json::read(text.as_bytes()).map_err(|misfit| cursor_not_understood(&misfit))
}

#[cold]
#[inline(never)]
fn cursor_not_understood(misfit: &Misfit) -> Error {
    let message = format!("the listing's cursor cannot be read by this version of the connector: {misfit}");
    Error::other("cursor-not-understood", message)
}

fn listing_schema<T: JsonSchema>() -> Value {
    let items = json!({ "type": "array", "items": json::output_schema::<T>()() });
    json!({ "type": "object", "properties": { "items": items, "next": {} }, "required": ["items", "next"] })
}
