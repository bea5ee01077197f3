//! Steps that have to wait for something outside their run: a vendor's rate limit, a connection to be mended.
//!
//! Nobody waits here, and no worker is kept: the run is told until when, and lets go of its lease.

use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    limit::{Asking, Pace, Turn},
    machine::Waits,
    records::Connection,
};
use trunnion_sandbox::Observation;

use super::{Actor, Effect, Place};
use crate::limits::{Drawn, Limited};

/// Whose limits a call draws from, and which.
pub(super) type Limits<'a> = (Limited, &'a Drawn<'a>);

/// The limit of whoever's limits no manifest declares.
pub(crate) const UNDECLARED: [(&str, Pace); 1] = [("", Pace::UNDECLARED)];

/// Why and until when a step waits for something outside the run.
#[derive(Debug)]
pub struct Wait {
    /// Until then.
    pub until: Timestamp,
    /// For what.
    pub waits: Waits,
    /// What it was refused with, where it was.
    pub error: Option<CallError>,
}

impl Actor {
    /// Where the vendor's limit is closed: until when the step waits for it.
    pub(super) fn wait_at_limit(&self, place: &Place<'_>, (of, drawn): &Limits<'_>) -> Option<Wait> {
        let asking = if place.state.waits == Some(Waits::Limit) { Asking::Again } else { Asking::First };
        match self.context.limits.turn(of, drawn, asking, self.context.now()) {
            Turn::Now => None,
            Turn::At(until) => Some(Wait { until, waits: Waits::Limit, error: None }),
        }
    }

    /// Notes what a call says about the vendor's limits; one that was refused for now waits for its turn.
    pub(super) fn limited(
        &self,
        (of, drawn): &Limits<'_>,
        observations: &[Observation],
        result: Result<Effect, CallError>,
    ) -> Result<Effect, CallError> {
        let error = result.as_ref().err();
        match self.context.limits.told(of, drawn, observations, error, self.context.now()) {
            None => result,
            Some(until) => {
                let error = result.err();
                Ok(Effect::Held(Wait { until, waits: Waits::Limit, error }))
            }
        }
    }

    /// Waits for somebody to mend a connection; the error, once that has taken too long.
    pub(super) fn wait_for(
        &self,
        place: &Place<'_>,
        connection: &Connection,
        error: CallError,
    ) -> Result<Wait, CallError> {
        let now = self.context.now();
        // An item of a `for_each` has waited for as long as its run.
        let waits = [place.state.waits, place.run.state.waits].into_iter().flatten();
        let mut since_when = waits.filter_map(|waits| match waits {
            Waits::Connection { connection: id, since } if id == connection.id => Some(since),
            Waits::Connection { .. } | Waits::Limit => None,
        });
        let since = since_when.next().unwrap_or(now);
        let until = since + self.vault.attention().patience();
        if until <= now {
            return Err(error);
        }
        Ok(Wait { until, waits: Waits::Connection { connection: connection.id, since }, error: Some(error) })
    }
}
