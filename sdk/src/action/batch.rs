//! The batch form of an action: what the vendor takes many of at once.
//!
//! Invariant: every item gets an answer, at its own place; one that cannot be read is answered without the vendor,
//! and keeps no other from being sent.

use serde::{Serialize, de::DeserializeOwned};

use super::Action;
use crate::{
    context::Context,
    error::{Error, Result},
    json,
};

type RunBatch = Box<dyn Fn(&Context, &[&str]) -> Result<Vec<Result<String>>>>;

/// How many items at once, and what carries them out.
pub(crate) struct Batch {
    pub(crate) size: u32,
    pub(crate) run: RunBatch,
}

impl Action {
    /// The action can be carried out for up to `size` items at once: each is an input as the action itself takes it,
    /// and `run_batch` answers each, in their order.
    ///
    /// An error of one item is for good: that item was not carried out, and is not sent again by itself. What is to be
    /// tried again as a whole (the vendor is out of reach, asks to slow down) is an error of the whole call.
    /// [`Context::idempotency_key`] is the batch's: with the same items in the same order it is the same over every
    /// attempt. What became of an uncertain item cannot be looked up, so [`Action::reconciled_by`] excludes a batch form.
    ///
    /// ```
    /// use trunnion_sdk::{prelude::*, test::FakeHost};
    ///
    /// #[derive(Serialize, Deserialize, JsonSchema)]
    /// struct Row { id: u64 }
    ///
    /// fn one(ctx: &Context, row: Row) -> Result<u64> {
    ///     many(ctx, vec![row])?.pop().unwrap_or_else(|| Err(Error::other("no-answer", "the vendor left it out")))
    /// }
    /// fn many(_: &Context, rows: Vec<Row>) -> Result<Vec<Result<u64>>> {
    ///     let odd = |id| Error::rejected(400, format!("{id} is odd"));
    ///     Ok(rows.into_iter().map(|row| if row.id % 2 == 0 { Ok(row.id) } else { Err(odd(row.id)) }).collect())
    /// }
    /// # fn check(_: &Context) -> Result<trunnion_sdk::auth::Account> { Ok(trunnion_sdk::auth::Account::new("1", "Acme")) }
    ///
    /// trunnion_sdk::connector! {
    ///     id: "acme", title: "Acme", hosts: ["api.acme.com"], connection: Connection::new(), check: check,
    ///     actions: [Action::new("add_row", "Add a row", one).batch(500, many).safe_to_repeat().sample(r#"{"id":2}"#, "2")],
    /// }
    ///
    /// # fn main() {
    /// let answers = connector().run_batch(&FakeHost::new().calling("add_row"), &[r#"{"id":2}"#, r#"{"id":3}"#, "{}"]).unwrap();
    /// assert_eq!(answers[0].as_deref().unwrap(), "2");
    /// assert_eq!(answers[1].as_ref().unwrap_err().to_string(), "rejected (HTTP 400): 3 is odd");
    /// assert!(answers[2].as_ref().unwrap_err().to_string().contains("missing field `id`"));
    /// # }
    /// ```
    #[must_use]
    pub fn batch<I, O, F>(mut self, size: u32, run_batch: F) -> Self
    where
        I: DeserializeOwned,
        O: Serialize,
        F: Fn(&Context, Vec<I>) -> Result<Vec<Result<O>>> + 'static,
    {
        let id = self.id;
        let run = move |ctx: &Context, items: &[&str]| {
            let mut read = Vec::with_capacity(items.len());
            let unread: Vec<Option<Error>> =
                items.iter().map(|item| json::input::<I>(item).map(|item| read.push(item)).err()).collect();
            let answers = if read.is_empty() { Vec::new() } else { run_batch(ctx, read)? };
            let mut answers = answers.into_iter();
            let answered: Option<Vec<_>> = unread
                .into_iter()
                .map(|unread| match unread {
                    Some(error) => Some(Err(error)),
                    None => answers.next().map(|answer| answer.and_then(|output| json::output(&output))),
                })
                .collect();
            match (answered, answers.next()) {
                (Some(answered), None) => Ok(answered),
                _ => Err(Error::Uncertain(format!("`{id}` did not answer each item of its batch once"))),
            }
        };
        self.batch = Some(Batch { size, run: Box::new(run) });
        self
    }
}
