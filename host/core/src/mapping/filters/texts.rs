//! Texts: what Jinja's `lower`, `replace`, `split`, `trim` and their kin do not do.

use std::collections::HashMap;

use minijinja::{Environment, Error, State, Value, value::Kwargs};
use regex::{Regex, RegexBuilder};
use unicode_normalization::UnicodeNormalization as _;

use super::{bounded_text, refuse, shortened, size, text};
use crate::mapping::engine::RESULT_TEXT_BYTES;

/// A pattern's program; it and the time to match grow together.
const REGEX_BYTES: usize = 512 * 1024;
const REGEX_CACHE_BYTES: usize = 1024 * 1024;
/// The longest text that patterns look at.
const SEARCHED_BYTES: usize = 1024 * 1024;
const REGEX_NESTING: u32 = 32;
/// The widest text that `pad_start` makes.
const PAD_WIDTH: usize = 999;

pub(super) fn install(engine: &mut Environment<'static>) {
    engine.add_filter("digits", digits);
    engine.add_filter("pad_start", pad_start);
    engine.add_filter("regex_find", regex_find);
    engine.add_filter("regex_replace", regex_replace);
    engine.add_filter("slug", slug);
    engine.add_filter("truncate", truncate);
}

fn digits(value: &Value) -> Result<Value, Error> {
    Ok(text("digits", value)?.chars().filter(char::is_ascii_digit).collect::<String>().into())
}

fn pad_start(value: &Value, width: &Value, with: Option<&Value>) -> Result<Value, Error> {
    let given = text("pad_start", value)?;
    let width = size("pad_start", "width", width, PAD_WIDTH)?;
    let with = with.map_or(Ok("0"), |with| text("pad_start", with))?;
    let mut chars = with.chars();
    let (Some(pad), None) = (chars.next(), chars.next()) else {
        return Err(refuse(
            "pad_start",
            format!("pads with one character, not with the text `{}`", shortened(with)),
        ));
    };
    let missing = width.saturating_sub(given.chars().count());
    Ok(std::iter::repeat_n(pad, missing).chain(given.chars()).collect::<String>().into())
}

/// Lower-case ASCII words with a separator in between; accents are dropped, ligatures written out.
fn slug(value: &Value, separator: Option<&Value>) -> Result<Value, Error> {
    let given = text("slug", value)?;
    let separator = separator.map_or(Ok("-"), |separator| text("slug", separator))?;
    bounded_text("slug", given.len().checked_mul(separator.len() + 2))?;
    let mut slug = String::new();
    let mut between = false;
    for char in given.nfkd().flat_map(char::to_lowercase) {
        let letters = match char {
            'a'..='z' | '0'..='9' => {
                if between && !slug.is_empty() {
                    slug.push_str(separator);
                }
                slug.push(char);
                between = false;
                continue;
            }
            'ß' => "ss",
            'æ' => "ae",
            'œ' => "oe",
            'ø' => "o",
            'ł' => "l",
            'đ' | 'ð' => "d",
            'þ' => "th",
            'ı' => "i",
            // Accents, split off by the normalisation, and apostrophes end no word.
            '\u{300}'..='\u{36f}' | '\'' | '’' => continue,
            _ => {
                between = true;
                continue;
            }
        };
        if between && !slug.is_empty() {
            slug.push_str(separator);
        }
        slug.push_str(letters);
        between = false;
    }
    Ok(slug.into())
}

/// At most so many characters, the end included.
fn truncate(value: &Value, length: &Value, end: Option<&Value>) -> Result<Value, Error> {
    let given = text("truncate", value)?;
    let length = size("truncate", "length", length, RESULT_TEXT_BYTES)?;
    let end = end.map_or(Ok("…"), |end| text("truncate", end))?;
    if given.chars().nth(length).is_none() {
        return Ok(value.clone());
    }
    let Some(kept) = length.checked_sub(end.chars().count()) else {
        return Err(refuse(
            "truncate",
            format!("ends with `{}`, which is longer than {length} characters", shortened(end)),
        ));
    };
    Ok(given.chars().take(kept).chain(end.chars()).collect::<String>().into())
}

fn regex_find(state: &mut State<'_, '_>, value: &Value, pattern: &Value) -> Result<Value, Error> {
    let regex = compiled("regex_find", state, pattern)?;
    let Some(found) = regex.captures(searched("regex_find", value)?) else { return Ok(Value::from(())) };
    let part = found.get(1).or_else(|| found.get(0));
    Ok(part.map_or_else(|| Value::from(()), |part| Value::from(part.as_str())))
}

fn regex_replace(
    state: &mut State<'_, '_>,
    value: &Value,
    pattern: &Value,
    to: &Value,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let first: Option<bool> = kwargs.get("first")?;
    kwargs.assert_all_used()?;
    let (given, to) = (searched("regex_replace", value)?, text("regex_replace", to)?);
    let regex = compiled("regex_replace", state, pattern)?;
    let mut replaced = String::new();
    let mut rest = 0;
    for found in regex.captures_iter(given) {
        let Some(whole) = found.get(0) else { continue };
        replaced.push_str(given.get(rest..whole.start()).unwrap_or_default());
        found.expand(to, &mut replaced);
        // One more can add at most its groups, so that looking after each is soon enough.
        bounded_text("regex_replace", Some(replaced.len()))?;
        rest = whole.end();
        if first == Some(true) {
            break;
        }
    }
    replaced.push_str(given.get(rest..).unwrap_or_default());
    bounded_text("regex_replace", Some(replaced.len()))?;
    Ok(replaced.into())
}

/// The patterns of an evaluation, each compiled once: `map('regex_replace', …)` comes here for every item.
#[derive(Default)]
struct Patterns(HashMap<String, Regex>);

fn compiled(filter: &str, state: &mut State<'_, '_>, pattern: &Value) -> Result<Regex, Error> {
    let pattern = text(filter, pattern)?;
    let known = state.get_or_insert_extension(Patterns::default());
    if let Some(regex) = known.0.get(pattern) {
        return Ok(regex.clone());
    }
    let regex = RegexBuilder::new(pattern)
        .size_limit(REGEX_BYTES)
        .dfa_size_limit(REGEX_CACHE_BYTES)
        .nest_limit(REGEX_NESTING)
        .build()
        .map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            refuse(filter, format!("cannot use the pattern `{}`: {reason}; correct it", shortened(pattern)))
        })?;
    known.0.insert(pattern.to_owned(), regex.clone());
    Ok(regex)
}

/// A text that is not too long to be searched.
fn searched<'v>(filter: &str, value: &'v Value) -> Result<&'v str, Error> {
    let given = text(filter, value)?;
    if given.len() > SEARCHED_BYTES {
        return Err(refuse(
            filter,
            format!(
                "was given a text of {} bytes; give it at most {SEARCHED_BYTES}, as with `truncate`",
                given.len()
            ),
        ));
    }
    Ok(given)
}
