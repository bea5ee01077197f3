//! Values that a connector keeps as the text they came as: serde_json's `RawValue`, to the last digit.

use serde::de::{DeserializeSeed, MapAccess, value::BorrowedStrDeserializer};

use super::{Misfit, key::Key};

/// The name by which serde_json's type asks a reader for text, which it takes as the only member of an object.
pub(super) const RAW: &str = "$serde_json::private::RawValue";

/// That object.
#[derive(Debug)]
pub(super) struct Raw<'de>(pub(super) Option<&'de str>);

impl<'de> MapAccess<'de> for Raw<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        if self.0.is_some() { seed.deserialize(Key(RAW)).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Misfit> {
        seed.deserialize(BorrowedStrDeserializer::new(self.0.take().unwrap_or_default()))
    }
}
