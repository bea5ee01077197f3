//! Decimal arithmetic on texts, for money: no floating-point number is ever in between.
//!
//! Amounts are texts such as `12.34`, as vendors send them, with at most 28 digits; whole and fractional JSON
//! numbers are read by the digits they are written with. Results are texts and keep their places.

use minijinja::{
    Environment, Error, Value,
    value::{Kwargs, ValueKind},
};
use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive as _};

use super::{at_path, bounded::word, items, named, refuse};

/// Places beyond these are nobody's money.
const MOST_PLACES: u32 = 18;
/// ISO 4217: currencies whose minor unit is not a hundredth.
const NO_PLACES: [&str; 17] = [
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
    "XOF", "XPF",
];
const THREE_PLACES: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];
const FOUR_PLACES: [&str; 2] = ["CLF", "UYW"];

pub(super) fn install(engine: &mut Environment<'static>) {
    engine.add_filter("decimal", |value: &Value| read("decimal", value).map(written));
    engine.add_filter("decimal_round", decimal_round);
    engine.add_filter("decimal_sum", decimal_sum);
    engine.add_filter("divided_by", divided_by);
    engine.add_filter("from_minor", from_minor);
    engine.add_filter("minus", |value: &Value, other: &Value| {
        let (value, other) = (read("minus", value)?, read("minus", other)?);
        sum("minus", value, -other).map(written)
    });
    engine.add_filter("plus", |value: &Value, other: &Value| {
        let (value, other) = (read("plus", value)?, read("plus", other)?);
        sum("plus", value, other).map(written)
    });
    engine.add_filter("times", times);
    engine.add_filter("to_minor", to_minor);
}

/// Reads an amount; never rounds it.
pub(super) fn read(filter: &str, value: &Value) -> Result<Decimal, Error> {
    let number = match value.kind() {
        ValueKind::String => value.as_str().map(str::trim).and_then(of_text),
        ValueKind::Number if value.is_integer() => of_text(&value.to_string()),
        ValueKind::Number => f64::try_from(value.clone()).ok().and_then(of_float),
        _ => None,
    };
    number.ok_or_else(|| {
        refuse(
            filter,
            format!(
                "cannot read {} as a number; give it digits with a point, such as `1234.50`, at most 28 of them: remove \
                 signs and separators, as with `replace(',', '')`",
                named(value)
            ),
        )
    })
}

fn of_text(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = [whole, fraction]
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    plain.then(|| Decimal::from_str_exact(text).ok()).flatten()
}

/// By the digits that JSON writes a number with.
pub(super) fn of_float(number: f64) -> Option<Decimal> {
    let written = serde_json::Number::from_f64(number)?.to_string();
    if written.contains(['e', 'E']) {
        let exact = Decimal::from_scientific(&written).ok()?;
        // What is too small to be carried would come back as nothing.
        return exact.to_f64().filter(|back| *back == number).map(|_| exact);
    }
    of_text(&written)
}

fn written(number: Decimal) -> Value {
    // Money knows no negative zero.
    if number.is_zero() { number.abs().to_string().into() } else { number.to_string().into() }
}

fn too_long(filter: &str) -> Error {
    refuse(filter, "gives more than 28 digits; round what it is given, as with `decimal_round(6)`")
}

fn sum(filter: &str, one: Decimal, other: Decimal) -> Result<Decimal, Error> {
    let mut sum = one.checked_add(other).ok_or_else(|| too_long(filter))?;
    let places = one.scale().max(other.scale());
    // Beyond its digits the library rounds: then taking away again does not give back.
    if sum.checked_sub(other) != Some(one) || sum.checked_sub(one) != Some(other) {
        return Err(too_long(filter));
    }
    if sum.scale() < places {
        sum.rescale(places);
    }
    Ok(sum)
}

fn times(value: &Value, other: &Value) -> Result<Value, Error> {
    let (one, other) = (read("times", value)?, read("times", other)?);
    let product = one.checked_mul(other).ok_or_else(|| too_long("times"))?;
    if !product.is_zero() && product.scale() != one.scale() + other.scale() {
        return Err(too_long("times"));
    }
    if product.is_zero() && !one.is_zero() && !other.is_zero() {
        return Err(too_long("times"));
    }
    Ok(written(product))
}

fn divided_by(value: &Value, by: &Value, places: &Value, kwargs: Kwargs) -> Result<Value, Error> {
    let strategy = strategy("divided_by", &kwargs)?;
    let places = self::places("divided_by", places)?;
    let (one, other) = (read("divided_by", value)?, read("divided_by", by)?);
    if other.is_zero() {
        return Err(refuse(
            "divided_by",
            format!("was told to divide {} by zero; check it first", named(value)),
        ));
    }
    let quotient = one.checked_div(other).ok_or_else(|| too_long("divided_by"))?;
    rounded("divided_by", quotient, places, strategy).map(written)
}

fn decimal_round(value: &Value, places: Option<&Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let strategy = strategy("decimal_round", &kwargs)?;
    let places = places.map_or(Ok(2), |places| self::places("decimal_round", places))?;
    rounded("decimal_round", read("decimal_round", value)?, places, strategy).map(written)
}

fn rounded(filter: &str, number: Decimal, places: u32, strategy: RoundingStrategy) -> Result<Decimal, Error> {
    let mut rounded = number.round_dp_with_strategy(places, strategy);
    rounded.rescale(places);
    if rounded.scale() == places { Ok(rounded) } else { Err(too_long(filter)) }
}

fn strategy(filter: &str, kwargs: &Kwargs) -> Result<RoundingStrategy, Error> {
    let mode: Option<Value> = kwargs.get("mode")?;
    kwargs.assert_all_used()?;
    let Some(mode) = mode else { return Ok(RoundingStrategy::MidpointAwayFromZero) };
    Ok(match word(filter, "mode", &mode, &["half_up", "half_even", "up", "down"])? {
        "half_even" => RoundingStrategy::MidpointNearestEven,
        "up" => RoundingStrategy::AwayFromZero,
        "down" => RoundingStrategy::ToZero,
        _ => RoundingStrategy::MidpointAwayFromZero,
    })
}

fn places(filter: &str, value: &Value) -> Result<u32, Error> {
    let number = value.is_integer().then(|| value.as_i64()).flatten();
    number.and_then(|number| u32::try_from(number).ok()).filter(|places| *places <= MOST_PLACES).ok_or_else(
        || {
            refuse(
                filter,
                format!("has {} for its places; write a whole number from 0 to {MOST_PLACES}", named(value)),
            )
        },
    )
}

/// Places of the minor unit: a number of them, or a currency's.
fn minor_places(filter: &str, unit: Option<&Value>) -> Result<u32, Error> {
    let Some(unit) = unit else { return Ok(2) };
    let Some(code) = unit.as_str() else { return places(filter, unit) };
    let upper = code.to_ascii_uppercase();
    let listed = |codes: &[&str]| codes.contains(&upper.as_str());
    match upper.len() == 3 && upper.bytes().all(|byte| byte.is_ascii_uppercase()) {
        true if listed(&NO_PLACES) => Ok(0),
        true if listed(&THREE_PLACES) => Ok(3),
        true if listed(&FOUR_PLACES) => Ok(4),
        true => Ok(2),
        false => Err(refuse(
            filter,
            format!(
                "has {} for its unit; write a currency such as `EUR`, or the number of places",
                named(unit)
            ),
        )),
    }
}

fn to_minor(value: &Value, unit: Option<&Value>) -> Result<Value, Error> {
    let places = minor_places("to_minor", unit)?;
    let amount = read("to_minor", value)?;
    let factor = Decimal::from(10_u64.pow(places));
    let minor = amount.normalize().checked_mul(factor).ok_or_else(|| too_long("to_minor"))?;
    if !minor.fract().is_zero() {
        return Err(refuse(
            "to_minor",
            format!("would lose part of {}; round it first, as with `decimal_round({places})`", named(value)),
        ));
    }
    minor.to_i64().map(Value::from).ok_or_else(|| too_long("to_minor"))
}

fn from_minor(value: &Value, unit: Option<&Value>) -> Result<Value, Error> {
    let places = minor_places("from_minor", unit)?;
    let minor = read("from_minor", value)?;
    let whole = minor.fract().is_zero().then(|| minor.to_i128()).flatten();
    let whole = whole.ok_or_else(|| {
        refuse("from_minor", format!("takes a whole number of minor units, not {}", named(value)))
    })?;
    Decimal::try_from_i128_with_scale(whole, places).map(written).map_err(|_| too_long("from_minor"))
}

fn decimal_sum(list: &Value, kwargs: Kwargs) -> Result<Value, Error> {
    let attribute: Option<&str> = kwargs.get("attribute")?;
    kwargs.assert_all_used()?;
    let mut total = Decimal::ZERO;
    for (index, item) in items("decimal_sum", list)?.into_iter().enumerate() {
        let item = match attribute {
            None => item,
            Some(path) => at_path(&item, path).ok_or_else(|| {
                refuse("decimal_sum", format!("finds no `{path}` in item {index}; correct the path"))
            })?,
        };
        total = sum("decimal_sum", total, read("decimal_sum", &item)?)?;
    }
    Ok(written(total))
}
