//! Walks a whole table a page at a time, so that memory holds no more than one page: for recovery at start.

use bytes::Bytes;
use trunnion_core::scope::Scope;

use super::{Entry, Store, successor};
use crate::{
    backend::RawScan,
    error::ReadError,
    select::Direction,
    table::{Level, Table},
};

/// Records read at once: few, since one may be large.
const PAGE: usize = 64;

impl Store {
    /// Shows every record of every place to `visit`, in the order of their keys. Each page is a consistent view, the
    /// whole is not; records of erased owners are left out.
    ///
    /// # Errors
    /// As the variants say.
    pub async fn each<T: Table>(
        &self,
        mut visit: impl FnMut(Option<Scope>, Entry<T>) + Send,
    ) -> Result<(), ReadError> {
        let mut from = Bytes::from(vec![T::ID]);
        let to = successor(&[T::ID]).map(Bytes::from);
        loop {
            let scan = RawScan {
                from: from.clone(),
                to: to.clone(),
                limit: Some(PAGE),
                direction: Direction::Forward,
            };
            let page = self.backend.scan(scan).await;
            let page = page.map_err(|source| ReadError::Storage { table: T::NAME, source })?;
            for (raw, found) in &page {
                match self.entry::<T>(raw, found) {
                    Ok((place, entry)) => visit(<T::Level as Level>::scope(&place), entry),
                    Err(ReadError::Erased { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => from = [last, [0].as_slice()].concat().into(),
                _ => return Ok(()),
            }
        }
    }
}
