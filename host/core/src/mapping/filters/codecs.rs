//! JSON, Base64 and digests. Nothing here takes a secret: mappings have none.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use minijinja::{Environment, Error, Value, value::Kwargs};

use super::{bounded_text, json, refuse, shortened, text, written};
use crate::mapping::engine;

pub(super) fn install(engine: &mut Environment<'static>) {
    engine.add_filter("base64_decode", base64_decode);
    engine.add_filter("base64_encode", base64_encode);
    engine.add_filter("from_json", from_json);
    engine.add_filter("sha256", sha256);
    // Jinja's own escapes for HTML pages, which changes the bytes of a signed or compared text.
    engine.add_filter("tojson", |value: &Value| to_json("tojson", value));
    engine.add_filter("to_json", |value: &Value| to_json("to_json", value));
}

fn to_json(filter: &str, value: &Value) -> Result<Value, Error> {
    Ok(json(filter, value)?.to_string().into())
}

fn from_json(value: &Value) -> Result<Value, Error> {
    let text = text("from_json", value)?;
    bounded_text("from_json", Some(text.len()))?;
    let value = serde_json::from_str(text).map_err(|error| {
        refuse(
            "from_json",
            format!("cannot read the text `{}`: {error}; give it valid JSON", shortened(text)),
        )
    })?;
    Ok(engine::from_json(&value))
}

fn base64_encode(value: &Value, kwargs: Kwargs) -> Result<Value, Error> {
    let url_safe: Option<bool> = kwargs.get("url_safe")?;
    kwargs.assert_all_used()?;
    let text = text("base64_encode", value)?;
    bounded_text("base64_encode", text.len().checked_mul(4).map(|length| length / 3))?;
    let engine = if url_safe == Some(true) { &URL_SAFE_NO_PAD } else { &STANDARD };
    Ok(engine.encode(text).into())
}

/// Either alphabet, with padding or without.
fn base64_decode(value: &Value) -> Result<Value, Error> {
    let text = text("base64_decode", value)?;
    let refused = |what: &str, remedy: &str| {
        refuse("base64_decode", format!("cannot read the text `{}`: {what}; {remedy}", shortened(text)))
    };
    let plain: String = text
        .trim_end_matches('=')
        .chars()
        .map(|char| match char {
            '+' => '-',
            '/' => '_',
            char => char,
        })
        .collect();
    let bytes =
        URL_SAFE_NO_PAD.decode(plain).map_err(|error| refused(&error.to_string(), "give it Base64"))?;
    let decoded = String::from_utf8(bytes).map_err(|_| {
        refused("it holds bytes that are no text", "pass it on encoded; mappings carry text only")
    })?;
    Ok(decoded.into())
}

fn sha256(value: &Value) -> Result<Value, Error> {
    Ok(hex::encode(digest(&SHA256, written("sha256", value)?.as_bytes())).into())
}
