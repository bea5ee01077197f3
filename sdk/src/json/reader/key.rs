//! A member's name, as what a type calls its members by.

use serde::{
    de::{Deserializer, Error as _, IntoDeserializer, Visitor, value::StrDeserializer},
    forward_to_deserialize_any,
};

use super::Misfit;

/// The name of a member. It stays with the object, which names it where its value does not fit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a>(pub(super) &'a str);

/// Members of `Deserializer` for whole numbers: maps by number have them as text.
macro_rules! integers {
    ($($hint:ident $visit:ident)*) => {$(
        fn $hint<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            match self.0.parse() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(Misfit::custom(format!("the name `{}` is no whole number that fits", self.0))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_string(self.0.to_owned())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_str(self.0)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let name: StrDeserializer<'_, Misfit> = self.0.into_deserializer();
        visitor.visit_enum(name)
    }

    integers! {
        deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32 deserialize_i64 visit_i64
        deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32 deserialize_u64 visit_u64
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct ignored_any
    }
}
