//! What `errors` and `userErrors` mean. Pure: from a body to the contract's error.
//!
//! `errors` speak about the document as a whole, `userErrors` about what was asked for. A path into `$order` is
//! given back as a pointer into the action's input, whose members bear the same names in snake case.

use std::time::Duration;

use trunnion_sdk::prelude::*;

use super::{Repeat, cost};
use crate::shape::snake_case;

/// Trial and development shops take five new orders a minute and then say only this.
const TOO_MANY: &str = "Too many attempts";
const TOO_MANY_WAIT: Duration = Duration::from_secs(60);

/// What the body's `errors` mean; none where there are none.
pub(super) fn of_errors(body: &Value, repeat: Repeat) -> Option<Error> {
    let errors = body.get("errors").filter(|errors| !errors.is_null())?;
    let list = errors.as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(first) = list.first() else {
        let text = errors.as_str()?;
        return Some(Error::rejected(200, format!("Shopify refuses this: {text}")));
    };
    let said = messages(list);
    let code = first.pointer("/extensions/code").and_then(Value::as_str).unwrap_or_default();
    Some(match code {
        "THROTTLED" => Error::RateLimited { retry_after: cost::wait(body) },
        "ACCESS_DENIED" => Error::rejected(
            200,
            format!(
                "Shopify denies access: {said}; give the app that scope (Develop apps › the app › Configuration), \
                 install it again and reconnect"
            ),
        ),
        "SHOP_INACTIVE" => {
            Error::rejected(200, format!("the shop is closed or frozen: {said}; its owner has to open it"))
        }
        "INTERNAL_SERVER_ERROR" | "TIMEOUT" if repeat == Repeat::Harmless => {
            Error::Unavailable(format!("Shopify failed: {said}"))
        }
        "INTERNAL_SERVER_ERROR" | "TIMEOUT" => {
            Error::Uncertain(format!("Shopify failed: {said}; it may have been carried out"))
        }
        "NOT_FOUND" | "RESOURCE_NOT_FOUND" => Error::NotFound(format!("Shopify has no such thing: {said}")),
        "INVALID_VARIABLE" => invalid_variable(first, &said),
        "MAX_COST_EXCEEDED" => {
            Error::rejected(200, format!("the document costs more than Shopify allows: {said}"))
        }
        _ => Error::rejected(200, format!("Shopify refuses this: {said}")),
    })
}

/// A value that does not fit the schema; Shopify says where inside the variable.
fn invalid_variable(error: &Value, said: &str) -> Error {
    let problem = error.pointer("/extensions/problems/0");
    let path = problem.and_then(|problem| problem.get("path")).and_then(Value::as_array);
    let why = problem.and_then(|problem| problem.get("explanation")).and_then(Value::as_str);
    let message = why.map_or_else(|| said.to_owned(), |why| format!("{said}: {why}"));
    Error::invalid_input(pointer(path.map(Vec::as_slice).unwrap_or_default()), message)
}

/// What a payload's `userErrors` mean; none where there are none.
pub(super) fn of_user_errors(payload: &Value) -> Option<Error> {
    let errors = payload.get("userErrors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let first = errors.first()?;
    let said = messages(errors);
    let code = first.get("code").and_then(Value::as_str).unwrap_or_default();
    let path = first.get("field").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let at = path.first().and_then(Value::as_str).unwrap_or_default();
    Some(match (code, at, path) {
        _ if said.starts_with(TOO_MANY) => Error::RateLimited { retry_after: Some(TOO_MANY_WAIT) },
        ("INVENTORY_CLAIM_FAILED", ..) => Error::Conflict(format!("Shopify cannot claim the stock: {said}")),
        ("SHOP_DORMANT", ..) => {
            Error::rejected(200, format!("the shop is dormant: {said}; its owner has to open it"))
        }
        ("IDEMPOTENCY_CONCURRENT_REQUEST", ..) => {
            Error::Unavailable(format!("Shopify is still carrying out an earlier attempt: {said}"))
        }
        ("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", ..) => {
            Error::Conflict(format!("this step has asked for something else before: {said}"))
        }
        (_, "order" | "input" | "fulfillment", [_, rest @ ..]) => Error::invalid_input(pointer(rest), said),
        (_, "id", _) if said.contains("does not exist") => Error::NotFound(format!("Shopify: {said}")),
        _ if said.contains("already been taken") => Error::Conflict(format!("Shopify: {said}")),
        _ => Error::rejected(200, format!("Shopify refuses this: {said}")),
    })
}

fn messages(errors: &[Value]) -> String {
    let messages: Vec<&str> =
        errors.iter().filter_map(|error| error.get("message").and_then(Value::as_str)).collect();
    if messages.is_empty() { "it does not say why".to_owned() } else { messages.join("; ") }
}

/// `["lineItems", "0", "priceSet", "shopMoney", "currencyCode"]` is `/line_items/0/price/currency` of the input.
fn pointer(path: &[Value]) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Value::String(name) if name == "shopMoney" => {}
            Value::String(name) if name == "currencyCode" => pointer.push_str("/currency"),
            Value::String(name) => {
                pointer.push('/');
                pointer.push_str(&snake_case(name.strip_suffix("Set").unwrap_or(name)));
            }
            index => pointer.push_str(&format!("/{index}")),
        }
    }
    pointer
}
