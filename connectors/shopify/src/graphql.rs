//! Shopify's Admin API: one way to send a document, and its answer as data or a typed error.
//!
//! Shopify answers almost everything with HTTP 200; what failed stands in the body. `refusal` reads it, `cost`
//! reads what the call used of the shop's points, `transport` reads answers that are not 200. Invariant: data
//! from outside travels in variables only, never inside a document of our own.

mod cost;
mod refusal;
mod transport;

use trunnion_sdk::{host::Level, prelude::*};

pub(crate) use cost::POINTS;

/// The API's version, which is part of its address; supported for a year from its first day.
const VERSION: &str = "2026-10";

/// The connection parameter that names the shop.
pub(crate) const SHOP: &str = "shop";

/// What repeating a document after a lost answer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing: it reads, or the same state results.
    Harmless,
    /// The thing is there twice.
    Doubles,
}

/// A document that only reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query(&'static str);

impl Query {
    pub(crate) const fn new(document: &'static str) -> Self {
        Self(document)
    }

    /// Answers `data`. Half an answer is a refusal: a member that the app may not read would look empty.
    pub(crate) fn send(self, ctx: &Context, variables: &Value) -> Result<Value> {
        let mut body = exchange(ctx, self.0, variables, Repeat::Harmless)?;
        if let Some(refusal) = refusal::of_errors(&body, Repeat::Harmless) {
            return Err(refusal);
        }
        match body.get_mut("data").map(Value::take) {
            Some(data) if data.is_object() => Ok(data),
            _ => Err(not_understood("has neither `data` nor `errors`")),
        }
    }
}

/// A document with one mutation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mutation {
    document: &'static str,
    field: &'static str,
    repeat: Repeat,
}

impl Mutation {
    /// `field` is the mutation's own name, under which its payload stands.
    pub(crate) const fn new(document: &'static str, field: &'static str, repeat: Repeat) -> Self {
        Self { document, field, repeat }
    }

    /// Answers the mutation's payload where Shopify carried it out.
    pub(crate) fn send(self, ctx: &Context, variables: &Value) -> Result<Value> {
        let mut body = exchange(ctx, self.document, variables, self.repeat)?;
        let refusal = refusal::of_errors(&body, self.repeat);
        let payload = body.get_mut("data").and_then(|data| data.get_mut(self.field)).map(Value::take);
        match (payload, refusal) {
            (Some(payload), refusal) if payload.is_object() => {
                // Carried out, although a part of the answer was refused: an error here would have it done again.
                if let Some(refusal) = refusal {
                    ctx.log(Level::Warn, &format!("`{}` was carried out, but: {refusal}", self.field));
                }
                refusal::of_user_errors(&payload).map_or(Ok(payload), Err)
            }
            (_, Some(refusal)) => Err(refusal),
            (_, None) => Err(not_understood(&format!("has neither a `{}` nor `errors`", self.field))),
        }
    }
}

/// Sends a document of the caller's own and answers its `data`. What a mutation says in `userErrors` stays there: only its
/// author knows whether it asked for them.
pub(crate) fn raw(ctx: &Context, document: &str, variables: &Value) -> Result<Value> {
    // Shopify carries out one operation of a document, and a document of several needs more than is sent here.
    let reads = document.trim_start().starts_with("query") || document.trim_start().starts_with('{');
    let repeat = if reads { Repeat::Harmless } else { Repeat::Doubles };
    let mut body = exchange(ctx, document, variables, repeat)?;
    if let Some(refusal) = refusal::of_errors(&body, repeat) {
        return Err(refusal);
    }
    match body.get_mut("data").map(Value::take) {
        Some(data) if data.is_object() => Ok(data),
        _ => Err(not_understood("has neither `data` nor `errors`")),
    }
}

/// Sends a document; any JSON body with HTTP 200 is a success here.
fn exchange(ctx: &Context, document: &str, variables: &Value, repeat: Repeat) -> Result<Value> {
    let shop = ctx.parameter(SHOP)?;
    let url = format!("https://{shop}.myshopify.com/admin/api/{VERSION}/graphql.json");
    // A redirected POST would arrive as a GET, at a shop that the connection does not name.
    let request = ctx.http().of(&transport::SHOPIFY).post(url).auth_connection().manual_redirects();
    let request = request.header("Accept", "application/json");
    let request = request.json(&json!({ "query": document, "variables": variables }))?;
    let request = if repeat == Repeat::Harmless { request.repeatable() } else { request };
    let body: Value = request.send()?.json()?;
    cost::observe(ctx, &body);
    Ok(body)
}

/// Shopify's answer is something else than its API promises.
pub(crate) fn not_understood(what: &str) -> Error {
    Error::other("answer-not-understood", format!("Shopify's answer {what}"))
}

/// What the tests of every module start from.
#[cfg(test)]
pub(crate) mod testing {
    use trunnion_sdk::{
        prelude::*,
        test::{Answer, FakeHost},
    };

    /// Where the test's shop answers.
    pub(crate) const URL: &str = "https://ada-engines.myshopify.com/admin/api/2026-10/graphql.json";

    /// The shop's domain, which is the account.
    pub(crate) const DOMAIN: &str = "ada-engines.myshopify.com";

    pub(crate) fn host() -> FakeHost {
        FakeHost::new().with_parameter(super::SHOP, "ada-engines").with_account(DOMAIN)
    }

    /// `data` as Shopify wraps it.
    pub(crate) fn answer(data: &Value) -> Answer {
        let throttle = json!({"maximumAvailable": 2000.0, "currentlyAvailable": 1990, "restoreRate": 100.0});
        let cost = json!({"requestedQueryCost": 10, "actualQueryCost": 10, "throttleStatus": throttle});
        Answer::json(200, &json!({"data": data, "extensions": {"cost": cost}}))
    }

    /// A refusal with this code, as Shopify wraps it.
    pub(crate) fn refused(message: &str, code: &str) -> Answer {
        Answer::json(200, &json!({"errors": [{"message": message, "extensions": {"code": code}}]}))
    }
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
