//! Records as BigCommerce gives them: kept whole, with the few members that the connector itself reads. What a workflow
//! is most likely to map is declared by a shape; everything else that BigCommerce gives is there as well.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Map;
use trunnion_sdk::{http::Response, prelude::*, trigger::fingerprint};

/// A record; `S` is the type whose schema it has.
#[derive(Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub(crate) struct Record<S> {
    members: Map<String, Value>,
    #[serde(skip)]
    shape: PhantomData<S>,
}

impl<S> Record<S> {
    pub(crate) const fn new(members: Map<String, Value>) -> Self {
        Self { members, shape: PhantomData }
    }

    /// The record that `value` is.
    pub(crate) fn of(value: Value) -> Result<Self> {
        match value {
            Value::Object(members) => Ok(Self::new(members)),
            other => Err(not_understood(&format!("has {} where a record stands", kind(&other)))),
        }
    }

    /// The same once more.
    pub(crate) fn copy(&self) -> Self {
        Self::new(self.members.clone())
    }

    pub(crate) fn id(&self) -> Result<u64> {
        self.get("id").and_then(Value::as_u64).ok_or_else(|| not_understood("has a record without `id`"))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// What differs after every change: the time of change has whole seconds only, so that what was changed twice in one
    /// is told apart by all that is in the record.
    pub(crate) fn version(&self, changed_at: &str) -> String {
        let record = serde_json::to_string(&self.members).unwrap_or_default();
        format!("{changed_at}-{}", fingerprint(&record))
    }
}

impl<S> fmt::Debug for Record<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.members.fmt(f)
    }
}

impl<S: JsonSchema> JsonSchema for Record<S> {
    fn schema_name() -> Cow<'static, str> {
        S::schema_name()
    }

    /// A shape's optional members are those that BigCommerce leaves out at times. In an answer's schema they would be
    /// members that are always there and may be null.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = S::json_schema(generator);
        let members = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let optional: Vec<String> =
            members.filter(|(_, member)| may_be_null(member)).map(|(name, _)| name.clone()).collect();
        let required = schema.get_mut("required");
        if let Some(required) = required.and_then(Value::as_array_mut) {
            required.retain(|name| !optional.iter().any(|optional| name == optional));
        }
        schema
    }
}

fn may_be_null(member: &Value) -> bool {
    let kinds = member.get("type").and_then(Value::as_array);
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "null"))
}

/// An answer's `data`, as v3 wraps it; null where there is none.
pub(crate) fn data(answer: &Response) -> Result<Value> {
    Ok(answer.json::<Value>()?.get_mut("data").map(Value::take).unwrap_or_default())
}

/// A list's records. BigCommerce answers 204 without a body where a list of v2 is empty.
pub(crate) fn list<S>(answer: &Response, wrapped: Wrapped) -> Result<Vec<Record<S>>> {
    items(answer, wrapped)?.into_iter().map(Record::of).collect()
}

fn items(answer: &Response, wrapped: Wrapped) -> Result<Vec<Value>> {
    if answer.body.is_empty() {
        return Ok(Vec::new());
    }
    let items = match wrapped {
        Wrapped::No => answer.json()?,
        Wrapped::InData => data(answer)?,
    };
    match items {
        Value::Array(items) => Ok(items),
        other => Err(not_understood(&format!("has {} where a list stands", kind(&other)))),
    }
}

/// Where an answer has its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapped {
    /// It is the list: v2.
    No,
    /// In `data`: v3.
    InData,
}

pub(crate) fn not_understood(what: &str) -> Error {
    Error::other("answer-not-understood", format!("BigCommerce's answer {what}"))
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
        Value::Bool(_) | Value::Number(_) | Value::String(_) => "a single value",
    }
}

/// A record's number, given as a number or as digits.
pub(crate) fn number(value: &Value) -> Result<u64, String> {
    let number = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("{value} is not a number of BigCommerce's; give digits, as in `123`"))
}

/// A number of BigCommerce's: a product's, a variant's, a location's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Number(pub(crate) u64);

impl TryFrom<Value> for Number {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        number(&value).map(Self)
    }
}

impl JsonSchema for Number {
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["integer", "string"], "minimum": 1, "pattern": "^[0-9]+$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: Value) -> Record<()> {
        Record::of(value).unwrap()
    }

    #[test]
    fn members_the_connector_does_not_know_survive() {
        let given = json!({"id": 1, "zeta": {"deep": [1, "2.5000"]}, "alpha": null});
        assert_eq!(serde_json::to_value(record(given.clone())).unwrap(), given);
        assert!(record(json!({"id": "1"})).id().is_err());
        let error = Record::<()>::of(json!([1])).unwrap_err();
        assert!(error.to_string().contains("a list where a record stands"), "{error}");
    }

    #[test]
    fn two_changes_within_a_second_are_two_versions() {
        let version = |note: &str| record(json!({"id": 1, "note": note})).version("09:30:00");
        assert_eq!(version("a"), version("a"));
        assert_ne!(version("a"), version("b"));
    }

    #[test]
    fn numbers_are_numbers_or_digits() {
        for given in [json!(7), json!("7"), json!(" 7 ")] {
            assert_eq!(number(&given), Ok(7));
        }
        for given in [json!("7/../8"), json!(""), json!(0), json!(-1), json!(1.5), json!(null), json!({})] {
            assert!(number(&given).unwrap_err().contains("as in `123`"), "{given}");
        }
    }

    #[test]
    fn an_empty_list_of_v2_has_no_body() {
        let answer = Response { status: 204, headers: Vec::new(), body: Vec::new() };
        assert!(list::<()>(&answer, Wrapped::No).unwrap().is_empty());
        let answer = Response { status: 200, headers: Vec::new(), body: b"{\"data\":[{\"id\":1}]}".to_vec() };
        assert_eq!(list::<()>(&answer, Wrapped::InData).unwrap().len(), 1);
        assert!(list::<()>(&answer, Wrapped::No).is_err());
    }
}
