//! Work that must come to its end though whoever waits for it may go away: a client that hangs up drops the future
//! that serves it, and what is then between a commit and its consequences would be left undone.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;

/// Does `work` where it is awaited, and in a task of its own from when it is dropped half done. Only that rare case
/// costs a task; whoever ends the runtime ends the work, as a crash would.
pub fn finish<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Finish<T> {
    Finish { work: Some(Box::pin(work)), begun: false }
}

/// See [`finish`].
pub struct Finish<T: Send + 'static> {
    /// Absent once it has ended.
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    begun: bool,
}

impl<T: Send> Future for Finish<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.begun = true;
        let Some(work) = &mut self.work else { return Poll::Pending };
        let ended = work.as_mut().poll(context);
        if ended.is_ready() {
            self.work = None;
        }
        ended
    }
}

impl<T: Send> Drop for Finish<T> {
    fn drop(&mut self) {
        // What was never begun has done nothing that must be finished. What panicked has no end.
        if let (Some(work), true, false) = (self.work.take(), self.begun, std::thread::panicking())
            && let Ok(runtime) = Handle::try_current()
        {
            drop(runtime.spawn(work));
        }
    }
}

impl<T: Send> std::fmt::Debug for Finish<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Finish").field("begun", &self.begun).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_awaited_is_done_where_it_is_awaited() {
        assert_eq!(finish(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn what_is_dropped_half_done_is_done_all_the_same() {
        let (go, gone) = oneshot::channel::<()>();
        let (done, ended) = oneshot::channel();
        let mut half = finish(async move {
            gone.await.unwrap();
            done.send("all of it").unwrap();
        });
        assert!(futures_util::poll!(&mut half).is_pending());
        drop(half);
        go.send(()).unwrap();
        assert_eq!(ended.await, Ok("all of it"));
    }

    #[tokio::test]
    async fn what_was_never_begun_is_not_done() {
        let (done, ended) = oneshot::channel::<()>();
        drop(finish(async move { done.send(()).unwrap() }));
        assert!(ended.await.is_err());
    }
}
