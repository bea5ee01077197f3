//! The filters that go through lists and may multiply work: Jinja's own, and `map`, which calls another filter
//! for every item, with a budget.
//!
//! The engine's fuel counts steps of an expression, and a filter is one step whatever it is given. So each value
//! and each byte of text that these filters go through is charged to the expression.

use std::sync::LazyLock;

use minijinja::{
    Environment, Error, ErrorKind, State, UndefinedBehavior, Value,
    value::{Kwargs, Rest, ValueKind, ValueOrKwargs, from_args},
};

use super::{at_path, items, named, refuse, text};
use crate::mapping::engine::RESULT_VALUES;

/// Bytes of work that one expression may cause.
const BUDGET: usize = 128 * 1024 * 1024;
/// What a value costs beside its text.
const VALUE: usize = 16;

/// Jinja's own filters, called once the work is paid for.
static JINJA: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut jinja = Environment::new();
    jinja.set_undefined_behavior(UndefinedBehavior::Strict);
    jinja
});

const PAID: [&str; 12] = [
    "dictsort",
    "groupby",
    "list",
    "max",
    "min",
    "reject",
    "rejectattr",
    "reverse",
    "select",
    "selectattr",
    "sort",
    "unique",
];

pub(super) fn install(engine: &mut Environment<'static>) {
    for filter in PAID {
        engine.add_filter(
            filter,
            move |state: &mut State<'_, '_>, value: &Value, rest: Rest<ValueOrKwargs>| {
                charge(filter, state, value)?;
                parted(filter, value.as_str().map_or(0, |text| text.chars().count()))?;
                jinja(filter, value, rest.into_values())
            },
        );
    }
    engine.add_filter("lines", |value: &Value| {
        parted("lines", text("lines", value)?.lines().count())?;
        jinja("lines", value, Vec::new())
    });
    engine.add_filter("split", |value: &Value, rest: Rest<Value>| {
        let given = text("split", value)?;
        let parts = match rest.first().filter(|separator| !separator.is_none()) {
            None => given.split_whitespace().count(),
            Some(separator) => given.split(text("split", separator)?).count(),
        };
        parted("split", parts)?;
        jinja("split", value, rest.0)
    });
    engine.add_filter("map", map);
    engine.add_filter("sum", sum);
}

fn jinja(filter: &str, value: &Value, rest: Vec<Value>) -> Result<Value, Error> {
    let arguments: Vec<_> = std::iter::once(value.clone()).chain(rest).collect();
    JINJA.empty_state().apply_filter(filter, &arguments)
}

/// A text about to be taken apart, if it is not into too many parts.
fn parted(filter: &str, parts: usize) -> Result<(), Error> {
    if parts > RESULT_VALUES {
        return Err(refuse(
            filter,
            format!("would give {parts} parts of a text; take at most {RESULT_VALUES}"),
        ));
    }
    Ok(())
}

/// What is left of the budget, kept with the evaluation.
struct Left(usize);

/// Takes a value's cost from the budget.
pub(super) fn charge(filter: &str, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let left = state.get_or_insert_extension(Left(BUDGET));
    if pay(value, &mut left.0) {
        return Ok(());
    }
    Err(refuse(
        filter,
        format!("would make the expression go through more than {BUDGET} bytes; take less, or fewer items"),
    ))
}

fn pay(value: &Value, left: &mut usize) -> bool {
    let cost = value.as_str().map_or(VALUE, |text| VALUE.saturating_add(text.len()));
    let Some(rest) = left.checked_sub(cost) else { return false };
    *left = rest;
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter().is_ok_and(|mut items| items.all(|item| pay(&item, left)))
        }
        ValueKind::Map => value.try_iter().is_ok_and(|mut names| {
            names.all(|name| pay(&name, left) && value.get_item(&name).is_ok_and(|member| pay(&member, left)))
        }),
        _ => true,
    }
}

fn map(state: &mut State<'_, '_>, list: &Value, rest: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let arguments = rest.into_values();
    let (_, kwargs) = from_args::<(&[Value], Kwargs)>(&arguments)?;
    if kwargs.has("attribute") {
        charge("map", state, list)?;
        return jinja("map", list, arguments);
    }
    let Some((name, arguments)) = arguments.split_first() else {
        return Err(refuse(
            "map",
            "was not told what to give for each item; write `attribute='…'` or a filter's name",
        ));
    };
    let name = text("map", name)?;
    let mut mapped = Vec::new();
    for item in items("map", list)? {
        charge("map", state, &item)?;
        let given: Vec<_> = std::iter::once(item).chain(arguments.iter().cloned()).collect();
        let result = state.apply_filter(name, &given).map_err(|error| match error.kind() {
            ErrorKind::UnknownFilter => refuse("map", format!("knows no filter `{name}`; correct its name")),
            _ => error,
        })?;
        charge("map", state, &result)?;
        mapped.push(result);
    }
    Ok(mapped.into())
}

/// Of numbers alone: Jinja's would also chain lists, each inside the one before.
fn sum(list: &Value, attribute: Option<&str>, kwargs: Kwargs) -> Result<Value, Error> {
    let attribute = match attribute {
        Some(attribute) => Some(attribute),
        None => kwargs.get("attribute")?,
    };
    kwargs.assert_all_used()?;
    let (mut whole, mut fraction) = (0_i64, None::<f64>);
    for (index, item) in items("sum", list)?.into_iter().enumerate() {
        let item = match attribute {
            None => item,
            Some(path) => at_path(&item, path).ok_or_else(|| {
                refuse("sum", format!("finds no `{path}` in item {index}; correct the path"))
            })?,
        };
        let integer = item.as_i64().filter(|_| item.is_integer());
        match (integer, item.kind()) {
            (Some(number), _) => {
                whole = whole.checked_add(number).ok_or_else(|| {
                    refuse("sum", "gives more than a whole number holds; use `decimal_sum`")
                })?;
            }
            (None, ValueKind::Number) => {
                let number = f64::try_from(item)?;
                fraction = Some(fraction.unwrap_or(0.0) + number);
            }
            _ => {
                return Err(refuse(
                    "sum",
                    format!(
                        "takes numbers, not {} as in item {index}; use `decimal_sum` for amounts",
                        named(&item)
                    ),
                ));
            }
        }
    }
    Ok(match fraction {
        None => whole.into(),
        // Integers join as the nearest number, as everywhere in JSON arithmetic.
        Some(fraction) => (fraction + whole as f64).into(),
    })
}
