//! Jinja's own filters whose results could be far larger than what they are given: the same, with a bound.

use minijinja::{
    Environment, Error, Value,
    formatting::{self, FormatStyle},
    value::{Kwargs, Rest},
};

use super::{at_path, bounded_text, items, named, refuse, text, written};

/// The widest field that `format` pads to.
const FORMAT_WIDTH: usize = 999;

pub(super) fn install(engine: &mut Environment<'static>) {
    engine.add_filter("format", format);
    engine.add_filter("join", join);
    engine.add_filter("replace", replace);
}

fn format(pattern: &Value, arguments: Rest<Value>) -> Result<Value, Error> {
    let pattern = text("format", pattern)?;
    if widths(pattern).any(|width| width.is_none_or(|width| width > FORMAT_WIDTH)) {
        return Err(refuse(
            "format",
            format!(
                "asks by `{}` for a width that is not a number up to {FORMAT_WIDTH}",
                super::shortened(pattern)
            ),
        ));
    }
    if arguments.iter().any(Value::is_undefined) {
        return Err(refuse(
            "format",
            "was given something that is not there; correct its name, or give a value for that case with `| default(…)`",
        ));
    }
    let mut longest = FORMAT_WIDTH;
    for argument in arguments.iter() {
        longest = longest.max(argument.as_str().map_or_else(|| argument.to_string().len(), str::len));
    }
    let places = pattern.matches('%').count();
    bounded_text("format", places.checked_mul(longest).and_then(|length| length.checked_add(pattern.len())))?;
    formatting::format(FormatStyle::Printf, pattern, &arguments).map(Value::from)
}

/// The widths and precisions after each `%`; `None` where an argument gives one (`*`) or it is no number.
fn widths(pattern: &str) -> impl Iterator<Item = Option<usize>> {
    pattern.split('%').skip(1).flat_map(|rest| {
        let rest = rest.split_once(')').filter(|_| rest.starts_with('(')).map_or(rest, |(_, rest)| rest);
        let end = rest.find(|char: char| !"#0- +.*123456789".contains(char)).unwrap_or(rest.len());
        let numbers = rest.get(..end).unwrap_or_default().split(['#', '-', ' ', '+', '.']);
        numbers.filter(|number| !number.is_empty()).map(|number| number.parse().ok()).collect::<Vec<_>>()
    })
}

fn join(list: &Value, between: Option<&Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let between = between.map_or(Ok(""), |between| text("join", between))?;
    let attribute: Option<&str> = kwargs.get("attribute")?;
    kwargs.assert_all_used()?;
    let mut joined = String::new();
    for (index, item) in items("join", list)?.into_iter().enumerate() {
        let item = match attribute {
            Some(path) => at_path(&item, path).ok_or_else(|| {
                refuse("join", format!("finds no `{path}` in item {index}; correct the path"))
            })?,
            None => item,
        };
        let item = written("join", &item)?;
        bounded_text("join", joined.len().checked_add(between.len() + item.len()))?;
        if index > 0 {
            joined.push_str(between);
        }
        joined.push_str(&item);
    }
    Ok(joined.into())
}

fn replace(value: &Value, from: &Value, to: &Value) -> Result<Value, Error> {
    let (value, from, to) = (text("replace", value)?, text("replace", from)?, text("replace", to)?);
    if from.is_empty() {
        return Err(refuse("replace", "was told to replace an empty text; write what is to be replaced"));
    }
    let found = value.matches(from).count();
    bounded_text("replace", found.checked_mul(to.len()).and_then(|more| more.checked_add(value.len())))?;
    Ok(value.replace(from, to).into())
}

/// For arguments that take a word out of a few.
pub(super) fn word<'w>(
    filter: &str,
    argument: &str,
    value: &Value,
    words: &[&'w str],
) -> Result<&'w str, Error> {
    let found = value.as_str().and_then(|given| words.iter().find(|word| **word == given));
    found.copied().ok_or_else(|| {
        let known = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        refuse(filter, format!("has {} for its {argument}; write one of {known}", named(value)))
    })
}
