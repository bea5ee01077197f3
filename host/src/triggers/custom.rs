//! Custom events: the ISV's own, by name, for one user.

use serde_json::Value;
use trunnion_core::{id::UserId, payload::Payload, records::EventSource, scope::Scope};

use super::accept::{Accepted, Acceptor, Arrival, Seen, custom_key};
use crate::{
    context::Context,
    error::{Error, Result},
    workflows::Library,
};

/// A custom event as it was sent.
#[derive(Clone, Debug)]
pub struct CustomEvent {
    /// For whom.
    pub user: UserId,
    /// The user's name, for messages.
    pub username: String,
    /// Its name.
    pub name: String,
    /// Its payload.
    pub data: Payload,
    /// The caller's Idempotency-Key, where it sent one.
    pub seen: Option<Seen>,
}

/// Checks an event against its schema and accepts it, in its user's turn.
pub async fn accept(
    context: &Context,
    library: &Library,
    acceptor: &Acceptor,
    scope: &Scope,
    event: CustomEvent,
) -> Result<Accepted> {
    let pass = acceptor.enter(scope, event.user).await?;
    let schema = library.event(scope, &event.name).await?;
    let CustomEvent { user, username, name, data, seen } = event;
    check(&name, &schema.sample, &data.to_value())?;
    let trigger = custom_key(&context.store, scope, user, &name);
    let unmatched = format!(
        "user `{username}` has no active workflow for event `{name}`; install one with /headless/startInstallation"
    );
    let arrival = Arrival {
        source: EventSource::Custom { event: name },
        data,
        trigger,
        seen,
        unmatched: Some(unmatched),
    };
    acceptor.accept_with(scope, pass, vec![arrival], |_, _| {}).await
}

fn check(name: &str, sample: &Value, data: &Value) -> Result<()> {
    if !data.is_object() {
        let message = format!("`data` of event `{name}` must be a JSON object");
        return Err(Error::invalid("event-data-invalid", message));
    }
    if let Some((at, expected)) = misfit(sample, data, String::new()) {
        let message = format!(
            "`data{at}` of event `{name}` must be {expected}, as in the event's sample (GET /v1/events)"
        );
        return Err(Error::invalid("event-data-invalid", message));
    }
    Ok(())
}

/// Where a payload has another type than the sample: members may be absent or null, and may be more.
fn misfit(sample: &Value, data: &Value, at: String) -> Option<(String, &'static str)> {
    match (sample, data) {
        (Value::Null, _) | (_, Value::Null) => None,
        (Value::Object(sample), Value::Object(data)) => sample.iter().find_map(|(name, sample)| {
            data.get(name).and_then(|data| misfit(sample, data, format!("{at}.{name}")))
        }),
        (Value::Array(sample), Value::Array(data)) => {
            let sample = sample.first()?;
            data.iter().enumerate().find_map(|(index, data)| misfit(sample, data, format!("{at}[{index}]")))
        }
        _ => {
            let (expected, given) = (kind(sample), kind(data));
            (expected != given).then_some((at, expected))
        }
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_payload_must_have_the_samples_types_where_it_has_its_members() {
        let sample = json!({ "id": "1", "lines": [{ "qty": 1 }], "note": null });
        let fits = |data: &Value| misfit(&sample, data, String::new());
        assert_eq!(fits(&json!({ "id": "2", "lines": [], "note": 5, "more": true })), None);
        assert_eq!(fits(&json!({})), None);
        assert_eq!(fits(&json!({ "id": 2 })), Some((".id".to_owned(), "text")));
        assert_eq!(
            fits(&json!({ "lines": [{ "qty": 1 }, { "qty": "2" }] })),
            Some((".lines[1].qty".to_owned(), "a number"))
        );
    }
}
