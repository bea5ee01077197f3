//! The triggers, one file each.

pub(crate) mod rows;
