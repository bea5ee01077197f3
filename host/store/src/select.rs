//! Which records a listing returns, and in which order. How many at once is the caller's affair: see
//! [`Store::page`](crate::Store::page).

use crate::key::Key;

/// In which order of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Smallest key first; for keys that begin with an id: oldest first.
    #[default]
    Forward,
    /// Largest key first.
    Backward,
}

/// Narrows a listing. The default is everything, forward.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Select {
    pub(crate) prefix: Vec<u8>,
    pub(crate) after: Option<Vec<u8>>,
    pub(crate) direction: Direction,
}

impl Select {
    /// Everything, forward.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only keys that begin with `part`: the leading members of a tuple key, or a whole key.
    #[must_use]
    pub fn prefix(mut self, part: &impl Key) -> Self {
        self.prefix.clear();
        part.encode(&mut self.prefix);
        self
    }

    /// Only keys beyond `key` in the listing's direction: where the page before says that the rest begins.
    #[must_use]
    pub fn after(mut self, key: &impl Key) -> Self {
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        self.after = Some(bytes);
        self
    }

    /// Largest key first.
    #[must_use]
    pub fn backward(mut self) -> Self {
        self.direction = Direction::Backward;
        self
    }
}
