//! What a run carries: its event's payload, what its steps were given and what they gave.
//!
//! Parsed JSON takes about ten times the memory of its text, and a run holds what it carries as long as vendors take to
//! answer. So what is large is kept as its text: a part of it is found by reading over what stands before it, and is only
//! parsed where somebody looks at its value.
//!
//! Invariant: a text is what `serde_json` writes of the parsed value. So any part of it can be handed through as it
//! stands, and nobody can tell in which form a payload is kept.

mod find;

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

/// What has about so many bytes of JSON is kept as its text. With less, reading over it again and again would cost more
/// than the memory is worth.
pub const LARGE: usize = 8 << 10;

/// What is nested deeper stays parsed: the parser would not go down there.
const DEEPEST: usize = 100;

/// What a member of a parsed object takes beside its name and value: the name's place, its hash, its share of the table's
/// index and of the room that is not used yet.
const MEMBER: usize = 80;

/// JSON that a run carries.
#[derive(Clone)]
pub struct Payload(Form);

#[derive(Clone)]
enum Form {
    Parsed(Value),
    /// Shared, since one event may start many runs.
    Text(Arc<RawValue>),
}

/// A payload, or a part of one, where it stands.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Parsed.
    Parsed(&'a Value),
    /// Text of a larger one.
    Text(&'a RawValue),
}

/// The items of a list, where they stand.
#[derive(Clone, Debug)]
pub enum List<'a> {
    /// Parsed.
    Parsed(&'a [Value]),
    /// Each a part of a text.
    Texts(Vec<&'a RawValue>),
}

impl Payload {
    /// Null.
    pub const NULL: Self = Self(Form::Parsed(Value::Null));

    /// What `value` is as JSON.
    ///
    /// # Errors
    /// Where it is not: a map's key may be no text.
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        Self::written(serde_json::to_string(value)?)
    }

    /// Of a text as `serde_json` writes it.
    pub(crate) fn written(text: String) -> Result<Self, serde_json::Error> {
        if text.len() < LARGE || depth(text.as_bytes()) > DEEPEST {
            return Ok(Self(Form::Parsed(serde_json::from_str(&text)?)));
        }
        Ok(Self(Form::Text(RawValue::from_string(text)?.into())))
    }

    /// `value` as its text, whatever its size.
    #[cfg(test)]
    pub(crate) fn in_text(value: &Value) -> Self {
        Self(Form::Text(to_raw_value(value).expect("JSON").into()))
    }

    /// All of it, where it stands.
    #[must_use]
    pub fn whole(&self) -> Part<'_> {
        match &self.0 {
            Form::Parsed(value) => Part::Parsed(value),
            Form::Text(text) => Part::Text(text),
        }
    }

    /// A member, where it is an object that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Part<'_>> {
        self.whole().get(name)
    }

    /// The text, where it is one.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'_, str>> {
        self.whole().text()
    }

    /// All of it, parsed.
    #[must_use]
    pub fn to_value(&self) -> Cow<'_, Value> {
        self.whole().to_value()
    }

    /// All of it as JSON text.
    #[must_use]
    pub fn to_text(&self) -> Cow<'_, str> {
        self.whole().to_text()
    }
}

impl<'a> Part<'a> {
    /// A member, where this is an object that has it.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Self> {
        match self {
            Self::Parsed(value) => value.as_object()?.get(name).map(Self::Parsed),
            Self::Text(text) => find::member(text, name).map(Self::Text),
        }
    }

    /// An item, where this is a list that has it.
    #[must_use]
    pub fn item(self, index: usize) -> Option<Self> {
        match self {
            Self::Parsed(value) => value.as_array()?.get(index).map(Self::Parsed),
            Self::Text(text) => find::item(text, index).map(Self::Text),
        }
    }

    /// The items, where this is a list.
    #[must_use]
    pub fn list(self) -> Option<List<'a>> {
        match self {
            Self::Parsed(value) => value.as_array().map(|items| List::Parsed(items)),
            Self::Text(text) => serde_json::from_str(text.get()).ok().map(List::Texts),
        }
    }

    /// The text, where this is one.
    #[must_use]
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Parsed(value) => value.as_str().map(Cow::Borrowed),
            Self::Text(text) => serde_json::from_str(text.get()).ok().map(Cow::Owned),
        }
    }

    /// The number, where this is one that counts something.
    #[must_use]
    pub fn count(self) -> Option<u64> {
        match self {
            Self::Parsed(value) => value.as_u64(),
            Self::Text(text) => serde_json::from_str(text.get()).ok(),
        }
    }

    /// It, parsed.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "only what the parser goes through is kept as its text: `DEEPEST` sees to it"
    )]
    pub fn to_value(self) -> Cow<'a, Value> {
        match self {
            Self::Parsed(value) => Cow::Borrowed(value),
            Self::Text(text) => {
                Cow::Owned(serde_json::from_str(text.get()).expect("a payload's text can be parsed"))
            }
        }
    }

    /// It as JSON text.
    #[must_use]
    pub fn to_text(self) -> Cow<'a, str> {
        match self {
            Self::Parsed(value) => Cow::Owned(value.to_string()),
            Self::Text(text) => Cow::Borrowed(text.get()),
        }
    }

    /// It, as a type of one's own.
    ///
    /// # Errors
    /// Where it is not one.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        match self {
            Self::Parsed(value) => T::deserialize(value),
            Self::Text(text) => serde_json::from_str(text.get()),
        }
    }

    /// A copy of its own.
    #[must_use]
    pub fn to_payload(self) -> Payload {
        match self {
            Self::Text(text) if text.get().len() >= LARGE => {
                Payload(Form::Text(RawValue::to_owned(text).into()))
            }
            part => Payload(Form::Parsed(part.to_value().into_owned())),
        }
    }

    /// Appends it as JSON text.
    pub(crate) fn write(self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        match self {
            Self::Parsed(value) => serde_json::to_writer(out, value),
            Self::Text(text) => {
                out.extend_from_slice(text.get().as_bytes());
                Ok(())
            }
        }
    }

    /// About how many bytes of JSON it is.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Parsed(value) => bytes_of(value),
            Self::Text(text) => text.get().len(),
        }
    }

    /// About how many bytes of memory it takes.
    #[must_use]
    pub fn weight(self) -> usize {
        match self {
            Self::Parsed(value) => weight_of(value),
            Self::Text(text) => text.get().len(),
        }
    }
}

impl<'a> List<'a> {
    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Parsed(items) => items.len(),
            Self::Texts(items) => items.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An item.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Part<'a>> {
        match self {
            Self::Parsed(items) => items.get(index).map(Part::Parsed),
            Self::Texts(items) => items.get(index).copied().map(Part::Text),
        }
    }

    /// The first `most` items, or as many as there are.
    #[must_use]
    pub fn first(&self, most: usize) -> Self {
        let most = most.min(self.len());
        match self {
            Self::Parsed(items) => Self::Parsed(items.get(..most).unwrap_or_default()),
            Self::Texts(items) => Self::Texts(items.get(..most).unwrap_or_default().to_vec()),
        }
    }

    /// Every item.
    pub fn iter(&self) -> impl Iterator<Item = Part<'a>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        if bytes_of(&value) < LARGE {
            return Self(Form::Parsed(value));
        }
        match to_raw_value(&value) {
            Ok(text) if depth(text.get().as_bytes()) <= DEEPEST => Self(Form::Text(text.into())),
            _ => Self(Form::Parsed(value)),
        }
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::NULL
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.whole() == other.whole()
    }
}

impl PartialEq<Value> for Payload {
    fn eq(&self, other: &Value) -> bool {
        *self.to_value() == *other
    }
}

impl PartialEq for Part<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) if one.get() == other.get() => true,
            _ => *self.to_value() == *other.to_value(),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_value().fmt(f)
    }
}

impl fmt::Display for Payload {
    /// Writes it as JSON text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.whole().serialize(serializer)
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Parsed(value) => value.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}

/// How deep a JSON text is nested.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// About how many bytes of JSON a value is.
fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 10,
        Value::String(text) => text.len() + 3,
        Value::Array(items) => items.iter().map(bytes_of).sum::<usize>() + 2,
        Value::Object(members) => {
            members.iter().map(|(name, value)| name.len() + 4 + bytes_of(value)).sum::<usize>() + 2
        }
    }
}

/// About how many bytes of memory a value takes.
fn weight_of(value: &Value) -> usize {
    let inside = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight_of).sum(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| MEMBER + name.len() + weight_of(value)).sum()
        }
    };
    size_of::<Value>() + inside
}

#[cfg(test)]
mod tests;
