//! The expression engine: minijinja, set up once, and what its values are as JSON.
//!
//! Invariants: strict about what is undefined, bounded in steps and in the size of a result; of Jinja's filters
//! there are those that keep both, and `filters` adds the rest.

use std::sync::LazyLock;

use minijinja::{AutoEscape, Error, ErrorKind, UndefinedBehavior, value::ValueKind};
use serde_json::{Map, Number, Value};

use super::filters;

/// Engine steps that one expression may take.
const FUEL: u64 = 100_000;
/// Values and bytes of text that one expression may give.
pub(super) const RESULT_VALUES: usize = 1_000_000;
pub(super) const RESULT_TEXT_BYTES: usize = 16 * 1024 * 1024;

/// Immutable after it is made, and expressions borrow it: hence once for the process.
pub(super) static ENGINE: LazyLock<minijinja::Environment<'static>> = LazyLock::new(|| {
    let mut engine = minijinja::Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    engine.set_fuel(Some(FUEL));
    filters::install(&mut engine);
    for function in ["debug", "namespace"] {
        engine.remove_global(function);
    }
    engine
});

/// Functions that expressions may call.
pub(super) const FUNCTIONS: [&str; 2] = ["range", "dict"];

/// Whether a filter of this name exists.
pub(super) fn has_filter(name: &str) -> bool {
    knows("name is filter", name)
}

/// Whether a test of this name exists.
pub(super) fn has_test(name: &str) -> bool {
    knows("name is test", name)
}

fn knows(question: &'static str, name: &str) -> bool {
    ENGINE
        .compile_expression(question)
        .and_then(|question| question.eval(minijinja::context! { name }))
        .is_ok_and(|answer| answer.is_true())
}

/// The engine's own words for what went wrong, without its place in a one-line source.
pub(super) fn explain(error: &Error) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => format!("takes more than {FUEL} steps; make it simpler"),
        // The detail is the sentence; `filters` and arithmetic say all there is to say.
        (ErrorKind::InvalidOperation, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    }
}

/// JSON as an engine value: the same numbers, members in the same order.
pub(super) fn from_json(value: &Value) -> minijinja::Value {
    match value {
        Value::Null => minijinja::Value::from(()),
        Value::Bool(value) => minijinja::Value::from(*value),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), ..) => minijinja::Value::from(number),
            (None, Some(number), _) => minijinja::Value::from(number),
            (None, None, number) => minijinja::Value::from(number.unwrap_or(f64::NAN)),
        },
        Value::String(text) => minijinja::Value::from(text.as_str()),
        Value::Array(items) => items.iter().map(from_json).collect(),
        Value::Object(members) => minijinja::Value::from_pairs(
            members.iter().map(|(name, member)| (name.as_str(), from_json(member))),
        ),
    }
}

/// An engine value as JSON. The error completes a sentence that names the expression.
pub(super) fn to_json(value: &minijinja::Value) -> Result<Value, String> {
    let mut budget = Budget { values: RESULT_VALUES, bytes: RESULT_TEXT_BYTES };
    convert(value, &mut budget)
}

struct Budget {
    values: usize,
    bytes: usize,
}

fn convert(value: &minijinja::Value, budget: &mut Budget) -> Result<Value, String> {
    let too_large =
        || format!("gives more than {RESULT_VALUES} values or {RESULT_TEXT_BYTES} bytes of text; take less");
    budget.values = budget.values.checked_sub(1).ok_or_else(too_large)?;
    match value.kind() {
        ValueKind::None => Ok(Value::Null),
        ValueKind::Bool => Ok(Value::Bool(value.is_true())),
        ValueKind::Number => number(value),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            budget.bytes = budget.bytes.checked_sub(text.len()).ok_or_else(too_large)?;
            Ok(Value::String(text.to_owned()))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter().map_err(|error| explain(&error))?;
            items.map(|item| convert(&item, budget)).collect::<Result<_, _>>().map(Value::Array)
        }
        ValueKind::Map => {
            let mut members = Map::new();
            for key in value.try_iter().map_err(|error| explain(&error))? {
                let member = value.get_item(&key).map_err(|error| explain(&error))?;
                members.insert(key.to_string(), convert(&member, budget)?);
            }
            Ok(Value::Object(members))
        }
        ValueKind::Undefined => {
            Err("uses something that is not there; correct its name, or give a value for that \
                                     case with `| default(…)`"
                .to_owned())
        }
        ValueKind::Bytes | ValueKind::Plain | ValueKind::Invalid | _ => {
            Err(format!("gives a {} value, which JSON has not", value.kind()))
        }
    }
}

fn number(value: &minijinja::Value) -> Result<Value, String> {
    let number = if value.is_integer() {
        let unsigned = u64::try_from(value.clone()).ok().map(Number::from);
        unsigned.or_else(|| value.as_i64().map(Number::from))
    } else {
        f64::try_from(value.clone()).ok().and_then(Number::from_f64)
    };
    number.map(Value::Number).ok_or_else(|| format!("gives {value}, a number that JSON cannot carry exactly"))
}
