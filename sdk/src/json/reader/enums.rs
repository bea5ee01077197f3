//! An enum's variant: a text, or an object of one member.

use std::borrow::Cow;

use super::{
    Misfit, Reader,
    key::Key,
    text::{Kind, Text},
};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error as _, Unexpected, VariantAccess, Visitor};

/// A variant that is not read yet; `name` is also where its content stands.
#[derive(Debug)]
pub(super) struct Variant<'a, 'de> {
    name: Cow<'de, str>,
    /// None where there is no content.
    text: Option<&'a mut Text<'de>>,
}

const EXPECTED: &str = "string or map with a single key";

/// Reads a variant, with whatever stands around it.
pub(super) fn variant<'de, V: Visitor<'de>>(text: &mut Text<'de>, visitor: V) -> Result<V::Value, Misfit> {
    let (name, has_content) = begun(text)?;
    let read = visitor.visit_enum(Variant { name, text: has_content.then_some(&mut *text) })?;
    if has_content {
        ended(text)?;
    }
    Ok(read)
}

/// The variant's name, and whether its content follows.
#[inline(never)]
fn begun<'de>(text: &mut Text<'de>) -> Result<(Cow<'de, str>, bool), Misfit> {
    match text.kind()? {
        Kind::Text => Ok((text.string()?, false)),
        Kind::Object => {
            text.enter()?;
            if text.another(b'}', true)? { Ok((text.name()?, true)) } else { Err(not_one()) }
        }
        _ => Err(text.unexpected(&EXPECTED)),
    }
}

#[inline(never)]
fn ended(text: &mut Text<'_>) -> Result<(), Misfit> {
    if text.another(b'}', false)? { Err(not_one()) } else { Ok(()) }
}

fn not_one() -> Misfit {
    Misfit::invalid_type(Unexpected::Map, &EXPECTED)
}

impl<'a, 'de> Variant<'a, 'de> {
    fn content(&mut self) -> Result<Reader<'a, 'de>, Misfit> {
        self.text
            .take()
            .map(Reader)
            .ok_or_else(|| Misfit::custom(format!("`{}` lacks its content", self.name)))
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Misfit;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Misfit> {
        Ok((seed.deserialize(Key(&self.name))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        let Some(text) = self.text else { return Ok(()) };
        match text.kind()? {
            Kind::Null => text.null(),
            _ => Err(text.unexpected(&"unit variant").inside(&self.name)),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(mut self, seed: S) -> Result<S::Value, Misfit> {
        let content = self.content()?;
        seed.deserialize(content).map_err(|misfit| misfit.inside(&self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(mut self, _: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.content()?.deserialize_seq(visitor).map_err(|misfit| misfit.inside(&self.name))
    }

    fn struct_variant<V: Visitor<'de>>(
        mut self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.content()?.deserialize_map(visitor).map_err(|misfit| misfit.inside(&self.name))
    }
}
