//! Numbers, and texts with escapes, as serde_json reads them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// What holds nothing else. Whatever may come is taken or refused here in so many words: serde_json's own refusals bring
/// the standard library's printing of floats, 20 KB.
#[derive(Debug)]
pub(super) enum Leaf {
    Number(Number),
    Text(String),
}

impl<'de> Deserialize<'de> for Leaf {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(AnyLeaf)
    }
}

struct AnyLeaf;

fn none<E: Error>() -> E {
    E::custom("expected a number or a text")
}

impl<'de> Visitor<'de> for AnyLeaf {
    type Value = Leaf;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a text")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Leaf, E> {
        Ok(Leaf::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Leaf, E> {
        Ok(Leaf::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Leaf, E> {
        Number::from_f64(number).map(Leaf::Number).ok_or_else(none)
    }

    fn visit_str<E>(self, text: &str) -> Result<Leaf, E> {
        Ok(Leaf::Text(text.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Leaf, E> {
        Err(none())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Leaf, E> {
        Err(none())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Leaf, A::Error> {
        Err(none())
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Leaf, A::Error> {
        Err(none())
    }
}
