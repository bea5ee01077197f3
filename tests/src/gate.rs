//! A call that waits inside a fake until a test lets it go.

use std::sync::Arc;

use tokio::sync::Notify;

/// The fake's side: where the call waits.
#[derive(Debug)]
pub(crate) struct Gate(Arc<Signals>);

/// The test's side: keeps one future call waiting until it is released.
#[derive(Debug)]
pub struct Held(Arc<Signals>);

#[derive(Debug, Default)]
struct Signals {
    arrived: Notify,
    released: Notify,
}

/// Both sides of a new gate.
pub(crate) fn gate() -> (Gate, Held) {
    let signals = Arc::new(Signals::default());
    (Gate(Arc::clone(&signals)), Held(signals))
}

impl Gate {
    /// Says that the call is here, and waits until it may go on.
    pub(crate) async fn pass(self) {
        self.0.arrived.notify_one();
        self.0.released.notified().await;
    }
}

impl Held {
    /// Waits until the call has come in.
    pub async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    /// Lets the call be answered.
    pub fn release(self) {
        self.0.released.notify_one();
    }
}
