//! Where a run, or one item of a `for_each`, stands: the durable part of the machine.

use serde::{Deserialize, Serialize};

use crate::{call::CallError, clock::Timestamp, id::ConnectionId, payload::Payload};

/// Who works on a run, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The holding process, fresh at each start.
    pub holder: String,
    /// When others may take over.
    pub until: Timestamp,
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Waiting, under way, or ended.
    pub status: Status,
    /// Index of the current step.
    pub step: usize,
    /// Attempts begun at the current step.
    pub attempt: u32,
    /// Whether the current step may have been carried out although no result is known.
    #[serde(default)]
    pub uncertain: bool,
    /// Leases lost to a dying process, over the whole run.
    #[serde(default)]
    pub recoveries: u32,
    /// Whether somebody asked for the run to end.
    #[serde(default)]
    pub cancelling: bool,
    /// The time the current step waits for by its own wish, where it does: a delay, or items that wait.
    #[serde(default)]
    pub parked: Option<Timestamp>,
    /// What outside the run the current step waits for, or waited for last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    /// Since when the vendor has refused the current step for now, where it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited_since: Option<Timestamp>,
    /// How often somebody had it go on after it had failed for good.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub redrives: u32,
    /// Finished steps, in order.
    pub results: Vec<StepResult>,
}

/// What outside a run its current step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Waits {
    /// Its turn at a vendor's rate limit.
    Limit,
    /// Somebody to mend a connection.
    Connection {
        /// Which.
        connection: ConnectionId,
        /// Since when.
        since: Timestamp,
    },
}

/// Waiting, under way, or ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// Waits for its time and for somebody to lease it.
    Queued {
        /// Not before.
        not_before: Timestamp,
        /// Why it waits, where an attempt failed.
        #[serde(default)]
        last_error: Option<CallError>,
    },
    /// Somebody works on the current step.
    Leased {
        /// Who, until when.
        lease: Lease,
        /// Whether the current step may have been begun.
        begun: Begun,
    },
    /// Over.
    Ended {
        /// How.
        outcome: Outcome,
        /// When.
        at: Timestamp,
    },
}

/// Whether a leased step may have been begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begun {
    /// It cannot have been: its intent is not yet durable.
    No,
    /// It may have been.
    Maybe,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Every step was done.
    Succeeded,
    /// A filter did not hold.
    Filtered {
        /// Which step.
        step: String,
    },
    /// A step failed for good.
    Failed {
        /// Which step.
        step: String,
        /// With what.
        error: CallError,
        /// Why it is a dead letter, kept for redrive; absent where trying again cannot help.
        #[serde(default)]
        dead_letter: Option<String>,
    },
    /// Somebody cancelled it.
    Cancelled,
}

/// A finished step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// The step's id.
    pub id: String,
    /// When its last attempt began.
    pub started_at: Timestamp,
    /// When it was done.
    pub ended_at: Timestamp,
    /// Attempts it took.
    pub attempts: u32,
    /// What it was given, after mapping.
    #[serde(default)]
    pub input: Payload,
    /// What it gave: `steps.<id>` in mappings; null where it failed, and `{"error": …}` where the run went on
    /// after that.
    pub output: Payload,
    /// What it failed with.
    #[serde(default)]
    pub error: Option<CallError>,
}

impl RunState {
    /// A run that nobody has leased yet.
    #[must_use]
    pub const fn queued(not_before: Timestamp) -> Self {
        Self {
            status: Status::Queued { not_before, last_error: None },
            step: 0,
            attempt: 0,
            uncertain: false,
            recoveries: 0,
            cancelling: false,
            parked: None,
            waits: None,
            limited_since: None,
            redrives: 0,
            results: Vec::new(),
        }
    }

    /// Whether the run is over.
    #[must_use]
    pub const fn ended(&self) -> bool {
        matches!(self.status, Status::Ended { .. })
    }

    /// When somebody may lease the run; `None` where it is over.
    #[must_use]
    pub const fn due(&self) -> Option<Timestamp> {
        match &self.status {
            Status::Queued { not_before, .. } => Some(*not_before),
            Status::Leased { lease, .. } => Some(lease.until),
            Status::Ended { .. } => None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_none_yet(redrives: &u32) -> bool {
    *redrives == 0
}
