//! JSON that clients send as a text inside of JSON: one official client does so for every object and list.

use serde_json::Value;
use trunnion_core::payload::Payload;

/// A JSON text that holds an object stands for the object; anything else for itself.
pub(super) fn object(value: Value) -> Value {
    match &value {
        Value::String(text) => match serde_json::from_str(text) {
            Ok(inner @ Value::Object(_)) => inner,
            _ => value,
        },
        _ => value,
    }
}

/// As [`object`] for what a run carries.
pub(super) fn payload(payload: Payload) -> Payload {
    let inner = payload.text().and_then(|text| serde_json::from_str(&text).ok());
    inner.filter(Value::is_object).map_or(payload, Payload::from)
}

/// As [`object`] for a list, which that client also writes as JavaScript would: `[{ username: 'ada' }]`.
pub(super) fn list(value: Value) -> Result<Value, String> {
    match value {
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(inner) => Ok(inner),
            Err(_) => json5::from_str(&text).map_err(|error| error.to_string()),
        },
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_stands_for_the_object_that_it_holds() {
        assert_eq!(object(json!({ "a": 1 })), json!({ "a": 1 }));
        assert_eq!(object(json!("{\"a\": 1}")), json!({ "a": 1 }));
        for other in [json!("text"), json!("[1]"), json!(1), json!(null)] {
            assert_eq!(object(other.clone()), other);
        }
    }

    #[test]
    fn a_list_is_read_as_javascript_writes_it() {
        let ada = json!([{ "username": "user123", "fullName": "Joe Smoe" }, { "username": "user456" }]);
        assert_eq!(list(ada.clone()), Ok(ada.clone()));
        assert_eq!(list(json!(ada.to_string())), Ok(ada.clone()));
        let literal = "[{ \tusername: 'user123', \tfullName: 'Joe Smoe' }, { \tusername: 'user456' }]";
        assert_eq!(list(json!(literal)), Ok(ada));
        assert!(list(json!("[{ username: ")).is_err());
    }
}
