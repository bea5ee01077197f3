//! What the machine must know of a step, and the key that stays the same over its attempts.
//!
//! A release's steps are a flat program: each rule names the step that follows it, and a guard the step that
//! follows when it does not hold. So branches need nothing of the machine but an index.

use serde::{Deserialize, Serialize};

use crate::{
    id::{Id, RunId},
    manifest::Repeat,
    retry::RetryPolicy,
};

/// What the machine must know of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRule {
    /// Its id.
    pub id: String,
    /// What performing it does to the world.
    pub act: Act,
    /// How often it is tried.
    pub retry: RetryPolicy,
    /// What follows when it has failed for good.
    pub on_error: OnError,
    /// The index of the step that follows; past the last one, the run ends.
    pub next: usize,
    /// The index of the step that follows where a guard does not hold, or where a step left nothing for the next one.
    pub otherwise: usize,
}

/// What follows when a step has failed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The run fails.
    #[default]
    Fail,
    /// The run goes on; `steps.<id>.error` says what happened.
    Continue,
}

/// What performing a step does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing: it only computes.
    Pure,
    /// Something outside, with this repeat class.
    Outside(Repeat),
    /// Something that may wait and journals for itself, so that performing it again goes on where it stands:
    /// a delay, the items of a `for_each`, a called workflow, an answer.
    Resumable,
}

/// The UUID that stays the same over every attempt at one step of one run: connectors, vendors and streams
/// receive it. A redrive keeps it; a rerun is a new run and so makes a new one.
#[must_use]
pub fn idempotency_key(run: RunId, step: &str) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(run.as_bytes());
    context.update(step.as_bytes());
    let digest = context.finish();
    let mut bytes = [0_u8; 16];
    for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    // Version 8 (made by the application's own rule) and the RFC 9562 variant.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    let (a, rest) = hex.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// The id of the run that a step calls: it follows from the caller's, so that calling again finds the run that was
/// called, however long ago. Its time is the caller's.
#[must_use]
pub fn called_run(caller: RunId, step: &str) -> RunId {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(b"call");
    context.update(caller.as_bytes());
    context.update(step.as_bytes());
    let mut bytes = *caller.as_bytes();
    for (to, from) in bytes.iter_mut().skip(6).zip(context.finish().as_ref()) {
        *to = *from;
    }
    RunId(Id::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_called_run_has_one_id_for_its_caller_and_place() {
        let caller = RunId(Id::from_bytes([7; 12]));
        let called = called_run(caller, "each[3].sub");
        assert_eq!(called, called_run(caller, "each[3].sub"));
        let others = [
            called_run(caller, "each[4].sub"),
            called_run(called, "each[3].sub"),
            caller,
            called_run(RunId(Id::from_bytes([8; 12])), "each[3].sub"),
        ];
        assert!(others.iter().all(|other| *other != called));
        assert_eq!(called.as_bytes()[..6], caller.as_bytes()[..6], "it sorts with its caller");
    }
}
