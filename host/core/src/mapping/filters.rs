//! The filters that integrations need beyond Jinja's own, and Jinja's own where they would guess or know no
//! bound.
//!
//! `host/docs/MAPPING.md` documents every filter with an example, and a test runs them.
//!
//! Invariants:
//! - a filter converts exactly or says why it cannot; it never guesses, rounds unasked or reads null as zero;
//! - an error names the filter, the value, shortened, and what to do;
//! - work and results are bounded by `engine`'s limits, whatever the arguments.

mod bounded;
mod codecs;
mod dates;
mod decimals;
mod lists;
mod texts;
mod types;
mod work;

use minijinja::{Environment, Error, ErrorKind, Value, value::ValueKind};

use super::{
    engine::{RESULT_TEXT_BYTES, RESULT_VALUES},
    shortened,
};

/// What Jinja has and mappings have not: without a bound, for people's eyes, or about HTML templates.
const REMOVED: [&str; 6] = ["batch", "e", "indent", "pprint", "safe", "slice"];

pub(super) fn install(engine: &mut Environment<'static>) {
    for filter in REMOVED {
        engine.remove_filter(filter);
    }
    bounded::install(engine);
    codecs::install(engine);
    dates::install(engine);
    decimals::install(engine);
    lists::install(engine);
    texts::install(engine);
    types::install(engine);
    work::install(engine);
}

/// An error of `filter`; `what` completes the sentence.
fn refuse(filter: &str, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("`{filter}` {what}"))
}

/// A value as messages name it.
fn named(value: &Value) -> String {
    match value.kind() {
        ValueKind::Undefined => "something that is not there".to_owned(),
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => value.is_true().to_string(),
        ValueKind::Number => format!("the number {value}"),
        ValueKind::String => format!("the text `{}`", shortened(value.as_str().unwrap_or_default())),
        ValueKind::Map => "an object".to_owned(),
        ValueKind::Seq | ValueKind::Iterable => "a list".to_owned(),
        kind => format!("a {kind} value"),
    }
}

/// A value that must be a text.
fn text<'v>(filter: &str, value: &'v Value) -> Result<&'v str, Error> {
    value.as_str().ok_or_else(|| {
        refuse(filter, format!("takes a text, not {}; convert it first, as with `text`", named(value)))
    })
}

/// A value as it stands inside a text: texts as they are, null as nothing, all else as JSON.
fn written(filter: &str, value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    match json(filter, value)? {
        serde_json::Value::Null => Ok(String::new()),
        value => Ok(value.to_string()),
    }
}

fn json(filter: &str, value: &Value) -> Result<serde_json::Value, Error> {
    super::engine::to_json(value).map_err(|reason| refuse(filter, format!("was given a value that {reason}")))
}

/// The items of a value that must be a list.
fn items(filter: &str, value: &Value) -> Result<Vec<Value>, Error> {
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return Err(refuse(
            filter,
            format!("takes a list, not {}; put it in `[…]`, or name a list", named(value)),
        ));
    }
    let mut items = Vec::new();
    for item in value.try_iter()? {
        if items.len() == RESULT_VALUES {
            return Err(refuse(filter, format!("was given more than {RESULT_VALUES} items; take fewer")));
        }
        if item.kind() == ValueKind::Invalid {
            return Err(refuse(filter, format!("was given an item that could not be made: {item}")));
        }
        items.push(item);
    }
    Ok(items)
}

/// The members of a value that must be an object, in their order.
fn members(filter: &str, value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    if value.kind() != ValueKind::Map {
        return Err(refuse(filter, format!("takes an object, not {}; name an object", named(value))));
    }
    let mut members = Vec::new();
    for name in value.try_iter()? {
        if members.len() == RESULT_VALUES {
            return Err(refuse(filter, format!("was given more than {RESULT_VALUES} members; take fewer")));
        }
        let member = value.get_item(&name)?;
        members.push((name, member));
    }
    Ok(members)
}

/// What stands at a dotted path such as `address.lines.0`; `None` where the path ends before.
fn at_path(value: &Value, path: &str) -> Option<Value> {
    path.split('.').try_fold(value.clone(), |value, part| {
        let next = match value.kind() {
            ValueKind::Map => value.get_item(&Value::from(part)),
            ValueKind::Seq | ValueKind::Iterable => value.get_item(&Value::from(part.parse::<usize>().ok()?)),
            _ => return None,
        };
        next.ok().filter(|next| !next.is_undefined())
    })
}

/// A size argument within bounds.
fn size(filter: &str, argument: &str, value: &Value, most: usize) -> Result<usize, Error> {
    value.as_usize().filter(|size| value.is_integer() && (1..=most).contains(size)).ok_or_else(|| {
        refuse(
            filter,
            format!("has {} for its {argument}; write a whole number from 1 to {most}", named(value)),
        )
    })
}

/// A text about to be made, if it is not too long.
fn bounded_text(filter: &str, length: Option<usize>) -> Result<(), Error> {
    match length {
        Some(length) if length <= RESULT_TEXT_BYTES => Ok(()),
        _ => {
            Err(refuse(filter, format!("would make more than {RESULT_TEXT_BYTES} bytes of text; take less")))
        }
    }
}

#[cfg(test)]
mod tests;
