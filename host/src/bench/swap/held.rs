//! One call that the vendor holds while connectors are swapped: it must end well, on the version it began with.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use tokio::time::timeout;

use super::HELD_ORDER;
use crate::bench::{
    arrivals::{Arrivals, Calls, Hold},
    component::APP,
    load::Sender,
};

/// How long the event may take to become a call.
const PATIENCE: Duration = Duration::from_secs(60);

/// A call to be held.
#[derive(Debug)]
pub(super) struct Held {
    sender: Sender,
    arrivals: Arc<Arrivals>,
    hold: Option<Hold>,
    /// What was active when it was accepted.
    digest: String,
    /// Swaps while it was held.
    swaps: u32,
}

impl Held {
    /// The call that an event of `sender` makes.
    pub(super) const fn new(sender: Sender, arrivals: Arc<Arrivals>) -> Self {
        Self { sender, arrivals, hold: None, digest: String::new(), swaps: 0 }
    }

    /// Starts the run while `digest` is active, and waits until its call is at the vendor and held there.
    pub(super) async fn begin(&mut self, digest: &str) -> Result<()> {
        self.hold = Some(self.arrivals.hold(HELD_ORDER));
        digest.clone_into(&mut self.digest);
        let arrival = self.arrivals.expect(HELD_ORDER);
        let sent = self.sender.send(HELD_ORDER).await;
        sent.map_err(|reason| anyhow!("the event of the held call was not acknowledged: {reason}"))?;
        timeout(PATIENCE, arrival).await.context("the call to be held did not arrive at the vendor")??;
        Ok(())
    }

    /// A swap has happened.
    pub(super) fn swapped(&mut self) {
        self.swaps += u32::from(self.hold.is_some());
    }

    /// Lets the vendor answer.
    pub(super) fn release(&mut self) {
        self.hold = None;
    }

    /// Says over how many swaps it was held, or what went wrong.
    pub(super) fn verdict(&self, run: &Value, calls: Calls) -> Result<u32, String> {
        let member = |pointer| run.pointer(pointer).and_then(Value::as_str).unwrap_or("unknown");
        let status = member("/status");
        if status != "succeeded" {
            let error = member("/error/message");
            return Err(format!("the run whose call was held is `{status}` ({error})"));
        }
        let digest = member(&format!("/digests/{APP}")).to_owned();
        if digest != self.digest {
            return Err(format!("the run whose call was held used {digest}; {} was active", self.digest));
        }
        if calls.count != 1 {
            return Err(format!("the held call came {} times instead of once", calls.count));
        }
        match self.swaps {
            0 => Err("no swap happened while the call was held".to_owned()),
            swaps => Ok(swaps),
        }
    }
}
