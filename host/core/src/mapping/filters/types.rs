//! Conversions between JSON's types: exact, or an error. A default stands in where the value is missing, null
//! or cannot be converted.

use minijinja::{
    Environment, Error, Value,
    value::{Kwargs, Rest, ValueKind},
};
use rust_decimal::{Decimal, prelude::ToPrimitive as _};

use super::{decimals, named, refuse};

pub(super) fn install(engine: &mut Environment<'static>) {
    engine.add_filter("bool", |value: &Value, rest: Rest<Value>, kwargs: Kwargs| {
        or_default("bool", boolean, value, &rest, &kwargs)
    });
    engine.add_filter("float", |value: &Value, rest: Rest<Value>, kwargs: Kwargs| {
        or_default("float", float, value, &rest, &kwargs)
    });
    engine.add_filter("int", |value: &Value, rest: Rest<Value>, kwargs: Kwargs| {
        or_default("int", int, value, &rest, &kwargs)
    });
    engine.add_filter("number", |value: &Value, rest: Rest<Value>, kwargs: Kwargs| {
        or_default("number", number, value, &rest, &kwargs)
    });
    for name in ["text", "string"] {
        engine.add_filter(name, move |value: &Value, rest: Rest<Value>, kwargs: Kwargs| {
            or_default(name, text, value, &rest, &kwargs)
        });
    }
}

/// A conversion, given the name it was called by.
type Conversion = fn(&str, &Value) -> Result<Value, Error>;

fn or_default(
    filter: &str,
    convert: Conversion,
    value: &Value,
    rest: &[Value],
    kwargs: &Kwargs,
) -> Result<Value, Error> {
    let named = kwargs.has("default").then(|| kwargs.get::<Value>("default")).transpose()?;
    kwargs.assert_all_used()?;
    let default = match (rest, named) {
        ([], default) => default,
        ([default], None) => Some(default.clone()),
        _ => return Err(refuse(filter, "takes one argument, the default; remove the others")),
    };
    convert(filter, value).or_else(|error| default.ok_or(error))
}

fn missing(filter: &str, value: &Value) -> Error {
    refuse(filter, format!("was given {}; say what to use instead, as in `{filter}(0)`", named(value)))
}

fn int(filter: &str, value: &Value) -> Result<Value, Error> {
    let number = decimal(filter, value)?;
    match number.normalize().to_i128().filter(|_| number.fract().is_zero()) {
        Some(whole) => Ok(whole.into()),
        None => Err(refuse(
            filter,
            format!(
                "would lose the fraction of {}; round it first, as with `decimal_round(0)`",
                named(value)
            ),
        )),
    }
}

fn number(filter: &str, value: &Value) -> Result<Value, Error> {
    if value.kind() == ValueKind::Number {
        return Ok(value.clone());
    }
    let exact = decimal(filter, value)?;
    match exact.to_i128().filter(|_| exact.scale() == 0) {
        Some(whole) => Ok(whole.into()),
        None => carried(filter, value, exact).map(Value::from),
    }
}

fn float(filter: &str, value: &Value) -> Result<Value, Error> {
    if value.kind() == ValueKind::Number && !value.is_integer() {
        return Ok(value.clone());
    }
    carried(filter, value, decimal(filter, value)?).map(Value::from)
}

/// The floating-point number that is written with the very same digits.
fn carried(filter: &str, value: &Value, exact: Decimal) -> Result<f64, Error> {
    let float: f64 = exact.to_string().parse().unwrap_or(f64::NAN);
    if decimals::of_float(float) == Some(exact) {
        return Ok(float);
    }
    Err(refuse(
        filter,
        format!(
            "cannot carry {} exactly, since JSON numbers keep about 15 digits; leave it a text",
            named(value)
        ),
    ))
}

fn decimal(filter: &str, value: &Value) -> Result<Decimal, Error> {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => Err(missing(filter, value)),
        _ => decimals::read(filter, value),
    }
}

fn boolean(filter: &str, value: &Value) -> Result<Value, Error> {
    const TRUE: [&str; 4] = ["true", "yes", "on", "1"];
    const FALSE: [&str; 4] = ["false", "no", "off", "0"];
    let is = |words: [&str; 4]| {
        value.as_str().is_some_and(|text| words.iter().any(|word| text.trim().eq_ignore_ascii_case(word)))
    };
    let one_of = |number| value.is_integer() && value.as_i64() == Some(number);
    match value.kind() {
        ValueKind::Bool => Ok(value.clone()),
        ValueKind::None | ValueKind::Undefined => Err(refuse(
            filter,
            format!("was given {}; say what to use instead, as in `{filter}(false)`", named(value)),
        )),
        _ if is(TRUE) || one_of(1) => Ok(true.into()),
        _ if is(FALSE) || one_of(0) => Ok(false.into()),
        _ => Err(refuse(
            filter,
            format!(
                "cannot read {}; it knows `true`, `yes`, `on`, `1` and their opposites: compare it instead, as in \
                 `trigger.count > 0`",
                named(value)
            ),
        )),
    }
}

fn text(filter: &str, value: &Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String => Ok(value.clone()),
        ValueKind::Number | ValueKind::Bool => super::written(filter, value).map(Value::from),
        ValueKind::None | ValueKind::Undefined => Err(refuse(
            filter,
            format!("was given {}; say what to use instead, as in `{filter}('')`", named(value)),
        )),
        _ => Err(refuse(
            filter,
            format!("takes one value, not {}; write it as JSON with `to_json`", named(value)),
        )),
    }
}
