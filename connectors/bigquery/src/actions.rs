//! The actions, one file each.

pub(crate) mod columns;
pub(crate) mod load;
pub(crate) mod query;
pub(crate) mod stream;
pub(crate) mod table;
