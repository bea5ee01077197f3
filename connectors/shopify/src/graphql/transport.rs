//! Answers other than 200: the shop itself is not there, frozen, moved or busy.
//!
//! Invariant: nothing here is `not-found`. A 404 is about the shop, never about the thing a document names, and
//! must not be taken for a webhook or order that is gone.

use std::time::Duration;

use trunnion_sdk::{
    http::{Response, Vendor},
    prelude::*,
};

use super::cost;

pub(super) static SHOPIFY: Vendor = Vendor::new().message(explanation).retry_after(wait).classify(classify);

/// `Retry-After` is written as `2.0`; a throttled body says the same in points.
fn wait(answer: &Response) -> Option<Duration> {
    let asked = answer.header("retry-after").and_then(|text| seconds(text.trim()));
    asked.or_else(|| cost::wait(&answer.json().ok()?))
}

/// Whole seconds, rounded up. By hand: reading a floating-point number would add 18 KB to the component.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let begun = fraction.bytes().any(|digit| digit != b'0');
    Some(Duration::from_secs(whole.parse::<u64>().ok()?.saturating_add(begun.into())))
}

/// `errors` is a text, a list of texts or of objects, or an object of such lists by field.
fn explanation(answer: &Response) -> Option<String> {
    fn first(errors: &Value) -> Option<&str> {
        match errors {
            Value::String(text) => Some(text),
            Value::Array(list) => first(list.first()?),
            Value::Object(object) => object.get("message").or_else(|| object.values().next()).and_then(first),
            _ => None,
        }
    }
    let body: Value = answer.json().ok()?;
    first(body.get("errors")?).map(str::to_owned)
}

fn classify(answer: &Response) -> Option<Error> {
    let said = |remedy: &str| {
        let status = answer.status;
        let why = explanation(answer).map(|why| format!(": {why}")).unwrap_or_default();
        Some(Error::rejected(status, format!("Shopify answered {status}{why}; {remedy}")))
    };
    match answer.status {
        300..=399 => {
            let place =
                answer.header("location").and_then(|url| url.split('/').nth(2)).unwrap_or("another place");
            said(&format!("the shop has moved to `{place}`: connect it again by that name"))
        }
        402 => said("the shop is frozen until its owner pays Shopify's bill"),
        403 => said("give the app the access it needs (see the connector's README), then reconnect"),
        404 => said("there is no such shop, or it has no such API: check the connection's shop name"),
        _ => None,
    }
}
