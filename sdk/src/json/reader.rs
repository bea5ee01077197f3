//! Reads a type from JSON, and says where what does not fit stands.
//!
//! Every typed thing a connector reads comes through here, so that the reader of a type is in a component once: types are
//! most of a component. That is also why a hint is taken at its word (a struct is read from an object and nothing
//! else), and why what does not depend on the type is a function of its own. A place is put together only on the way
//! out of a failure.

mod enums;
mod key;
mod leaf;
mod misfit;
mod raw;
mod text;

use std::borrow::Cow;

use serde::{
    de::{
        DeserializeOwned, DeserializeSeed, Deserializer, Error as _, Expected, MapAccess, SeqAccess, Visitor,
    },
    forward_to_deserialize_any,
};
use serde_json::Number;

pub use misfit::Misfit;

use key::Key;
use raw::{RAW, Raw};
use text::{Kind, Text};

/// A value to be read.
#[derive(Debug)]
pub(crate) struct Reader<'a, 'de>(&'a mut Text<'de>);

/// Reads a JSON text as a `T`.
///
/// Rather than by `serde_json`: everything that a connector reads by one reader makes half a component of it.
///
/// ```
/// use trunnion_sdk::{json, prelude::*};
///
/// #[derive(Debug, Deserialize)]
/// struct Task { id: u64 }
///
/// assert_eq!(json::read::<Vec<Task>>(br#"[{"id":7}]"#).unwrap()[0].id, 7);
/// let misfit = json::read::<Vec<Task>>(br#"[{"id":7},{"id":"x"}]"#).unwrap_err();
/// assert_eq!(misfit.to_string(), "invalid type: string \"x\", expected u64 at `/1/id`");
/// ```
///
/// # Errors
/// Where the text is no JSON, or says something else than a `T`.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Misfit> {
    let mut text = Text::of(text)?;
    let read = T::deserialize(Reader(&mut text))?;
    text.end()?;
    Ok(read)
}

/// What does not depend on the type that is read.
impl<'a, 'de> Reader<'a, 'de> {
    /// Refuses what is of another kind.
    #[inline(never)]
    fn is(&mut self, kind: Kind, expected: &dyn Expected) -> Result<(), Misfit> {
        if self.0.kind()? == kind { Ok(()) } else { Err(self.0.unexpected(expected)) }
    }

    #[inline(never)]
    fn text(mut self, expected: &dyn Expected) -> Result<Cow<'de, str>, Misfit> {
        self.is(Kind::Text, expected)?;
        self.0.string()
    }

    #[inline(never)]
    fn items(mut self, expected: &dyn Expected) -> Result<Items<'a, 'de>, Misfit> {
        self.is(Kind::List, expected)?;
        self.0.enter()?;
        Ok(Items { text: self.0, index: 0, has_ended: false })
    }

    #[inline(never)]
    fn members(mut self, expected: &dyn Expected) -> Result<Members<'a, 'de>, Misfit> {
        self.is(Kind::Object, expected)?;
        self.0.enter()?;
        Ok(Members { text: self.0, name: None, has_ended: false })
    }

    #[inline(never)]
    fn number(&mut self, expected: &dyn Expected) -> Result<Number, Misfit> {
        self.is(Kind::Number, expected)?;
        self.0.number()
    }

    /// A whole number: a fraction is not what is expected.
    #[inline(never)]
    fn whole(&mut self, expected: &dyn Expected) -> Result<Whole, Misfit> {
        let number = self.number(expected)?;
        match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Ok(Whole::Natural(number)),
            (None, Some(number)) => Ok(Whole::Negative(number)),
            (None, None) => Err(Misfit::unexpected(&number, expected)),
        }
    }
}

/// A whole number.
#[derive(Clone, Copy, Debug)]
enum Whole {
    Natural(u64),
    Negative(i64),
}

/// The items of an array that are not read yet.
#[derive(Debug)]
struct Items<'a, 'de> {
    text: &'a mut Text<'de>,
    index: usize,
    has_ended: bool,
}

/// The members of an object that are not read yet.
#[derive(Debug)]
struct Members<'a, 'de> {
    text: &'a mut Text<'de>,
    /// Of the member that was read last; none before the first.
    name: Option<Cow<'de, str>>,
    has_ended: bool,
}

impl<'de> Items<'_, 'de> {
    #[inline(never)]
    fn next(&mut self) -> Result<Option<Reader<'_, 'de>>, Misfit> {
        if self.has_ended || !self.text.another(b']', self.index == 0)? {
            self.has_ended = true;
            return Ok(None);
        }
        self.index += 1;
        Ok(Some(Reader(self.text)))
    }

    /// Refuses an array of more items than a tuple has.
    #[inline(never)]
    fn end(mut self) -> Result<(), Misfit> {
        let read = self.index;
        while let Some(Reader(text)) = self.next()? {
            text.passed()?;
        }
        if self.index == read {
            Ok(())
        } else {
            Err(Misfit::invalid_length(self.index, &"fewer elements in array"))
        }
    }
}

impl Members<'_, '_> {
    #[inline(never)]
    fn next(&mut self) -> Result<Option<Key<'_>>, Misfit> {
        if self.has_ended || !self.text.another(b'}', self.name.is_none())? {
            self.has_ended = true;
            return Ok(None);
        }
        Ok(Some(Key(self.name.insert(self.text.name()?))))
    }

    /// Passes over what the type has left out.
    #[inline(never)]
    fn end(mut self) -> Result<(), Misfit> {
        while self.next()?.is_some() {
            self.text.passed()?;
        }
        Ok(())
    }

    fn inside(&self, misfit: Misfit) -> Misfit {
        misfit.inside(self.name.as_deref().unwrap_or_default())
    }
}

/// Members of `Deserializer` for numbers.
macro_rules! numbers {
    ($($hint:ident)*) => {$(
        fn $hint<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Misfit> {
            visit_number(&self.number(&visitor)?, visitor)
        }
    )*};
}

/// Members of `Deserializer` for whole numbers.
macro_rules! integers {
    ($($hint:ident)*) => {$(
        fn $hint<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Misfit> {
            match self.whole(&visitor)? {
                Whole::Natural(number) => visitor.visit_u64(number),
                Whole::Negative(number) => visitor.visit_i64(number),
            }
        }
    )*};
}

fn visit_text<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value, Misfit> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

fn visit_number<'de, V: Visitor<'de>>(number: &Number, visitor: V) -> Result<V::Value, Misfit> {
    match (number.as_u64(), number.as_i64(), number.as_f64()) {
        (Some(number), ..) => visitor.visit_u64(number),
        (None, Some(number), _) => visitor.visit_i64(number),
        (None, None, Some(number)) => visitor.visit_f64(number),
        (None, None, None) => Err(Misfit::custom("a number that no type of number holds")),
    }
}

impl<'de> Deserializer<'de> for Reader<'_, 'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0.kind()? {
            Kind::Null => {
                self.0.null()?;
                visitor.visit_unit()
            }
            Kind::Flag => visitor.visit_bool(self.0.flag()?),
            Kind::Number => visit_number(&self.0.number()?, visitor),
            Kind::Text => visit_text(self.0.string()?, visitor),
            Kind::List => self.deserialize_seq(visitor),
            Kind::Object => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Misfit> {
        self.is(Kind::Flag, &visitor)?;
        visitor.visit_bool(self.0.flag()?)
    }

    integers! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
    deserialize_u32 deserialize_u64 }

    numbers! { deserialize_f32 deserialize_f64 }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visit_text(self.text(&visitor)?, visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.0.is_null()? { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        if name == RAW {
            return visitor.visit_map(Raw(Some(self.0.passed()?)));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let mut items = self.items(&visitor)?;
        let read = visitor.visit_seq(&mut items)?;
        items.end()?;
        Ok(read)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let mut members = self.members(&visitor)?;
        let read = visitor.visit_map(&mut members)?;
        members.end()?;
        Ok(read)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        enums::variant(self.0, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.0.passed()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf unit unit_struct identifier }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some(item) = self.next()? else { return Ok(None) };
        match seed.deserialize(item) {
            Ok(item) => Ok(Some(item)),
            Err(misfit) => Err(misfit.inside(&(self.index - 1).to_string())),
        }
    }
}

impl<'de> MapAccess<'de> for &mut Members<'_, 'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some(key) = self.next()? else { return Ok(None) };
        match seed.deserialize(key) {
            Ok(key) => Ok(Some(key)),
            Err(misfit) => Err(self.inside(misfit)),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Misfit> {
        seed.deserialize(Reader(self.text)).map_err(|misfit| self.inside(misfit))
    }
}

#[cfg(test)]
mod tests;
