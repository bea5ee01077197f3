//! Work that may panic: whoever drives it hears of that as of any other failure and goes on, instead of losing track of
//! what was under way.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

/// What `work` comes to; `None` where it panicked, which was told where it happened. To be asked of whole pieces of work
/// only, whose next attempt begins from what is stored: what one left half done in memory goes with it.
pub(crate) async fn unless_it_panics<T>(work: impl Future<Output = T> + Send) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}
