//! Finds a part of a JSON text by reading over what stands before it, without keeping any of that.
//!
//! What stands behind it is not read at all, so the reader's complaint that it did not come to the end means nothing.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The value of a member; none where the text is no object, or has it not.
pub(super) fn member<'a>(text: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    let mut found = None;
    let member = Member { name, found: &mut found };
    drop(serde_json::Deserializer::from_str(text.get()).deserialize_map(member));
    found
}

/// An item; none where the text is no list, or has it not.
pub(super) fn item(text: &RawValue, index: usize) -> Option<&RawValue> {
    let mut found = None;
    let item = Item { index, found: &mut found };
    drop(serde_json::Deserializer::from_str(text.get()).deserialize_seq(item));
    found
}

struct Member<'n, 'f, 'a> {
    name: &'n str,
    found: &'f mut Option<&'a RawValue>,
}

impl<'de> Visitor<'de> for Member<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(is_it) = members.next_key_seed(Is(self.name))? {
            if is_it {
                *self.found = Some(members.next_value()?);
                return Ok(());
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

struct Item<'f, 'a> {
    index: usize,
    found: &'f mut Option<&'a RawValue>,
}

impl<'de> Visitor<'de> for Item<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for _ in 0..self.index {
            if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        *self.found = items.next_element()?;
        Ok(())
    }
}

/// Whether a member's name is this one.
struct Is<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<bool, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}
