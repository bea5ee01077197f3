//! What starts a workflow, in the words of Alloy's API: every workflow begins with an *event block* of a name and a type.
//!
//! Alloy shows it among a workflow's blocks and sends it with every stream as `X-Alloy-BlockName` and
//! `X-Alloy-BlockType`.

use serde::{Deserialize, Serialize};

use super::Trigger;
use crate::schedule::Schedule;

/// An event block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventBlock {
    /// What it is called: the trigger, the custom event, or what a schedule says.
    pub name: String,
    /// Its type: the app, or one of Alloy's own such as `customEvent` and `cron`.
    pub kind: String,
}

impl Trigger {
    /// The block that this trigger is.
    #[must_use]
    pub fn event_block(&self) -> EventBlock {
        let block = |name: &str, kind: &str| EventBlock { name: name.to_owned(), kind: kind.to_owned() };
        match self {
            Self::App { app, trigger, .. } => block(trigger, app),
            Self::Event { event } => block(event, "customEvent"),
            Self::Installed => block("installed", "installed"),
            Self::Removed => block("removed", "removed"),
            Self::Schedule(timing) => {
                let said =
                    Schedule::check(timing).map_or_else(|_| "schedule".to_owned(), |it| it.to_string());
                block(&said, "cron")
            }
            Self::Preprocess { .. } => block("Pre-process", "preprocess"),
            Self::Call { .. } => block("Call", "call"),
            Self::Request { .. } => block("Request", "request"),
        }
    }
}
