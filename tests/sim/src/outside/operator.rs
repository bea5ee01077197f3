//! Whoever runs the integrations: pauses workflows and lets them go on, cancels runs, lets keys go on.

use trunnion::{runs::queue::LineView, workflows::install::Activity};
use trunnion_core::{
    id::{InstallationId, RunId},
    machine::{Outcome, Status},
};

use super::{Heard, Outside};
use crate::{
    clock::BEGINNING,
    flow::Line,
    seen::{Active, Cancelled, Skipped},
};

/// Keys of one listing.
const KEYS: usize = 16;

impl Outside {
    /// Pauses every user's copy of a workflow, or lets them go on, as it is to be by now.
    pub(super) async fn activity(&self, flow: usize) -> Heard {
        let (users, workflow) = {
            let state = self.world.state();
            (state.seen.users.clone(), state.seen.workflows.get(flow).copied())
        };
        let Some(workflow) = workflow else { return Heard::Answered };
        let wanted = || self.plan.active(flow, self.world.now().since(BEGINNING));
        loop {
            let active = wanted();
            let now = self.world.now();
            for known in self.world.state().seen.active.iter_mut().filter(|known| known.flow == flow) {
                // From here on nobody can tell.
                known.until.get_or_insert(now);
            }
            for user in &users {
                let activity = if active { Activity::Active } else { Activity::Paused };
                let set = self.services.installer.set_active(&self.scope, *user, workflow, activity).await;
                if self.life.ended() || set.is_err() {
                    return Heard::Nothing;
                }
            }
            // Another of these may have been quicker.
            if wanted() == active {
                self.world.note(format_args!("flow {flow} is active: {active}"));
                if active {
                    let from = self.world.now();
                    self.world.state().seen.active.push(Active { flow, from, until: None });
                }
                return Heard::Answered;
            }
        }
    }

    pub(super) async fn cancel(&self) -> Heard {
        let run = {
            let mut state = self.world.state();
            let state = &mut *state;
            let events = state.seen.events.iter().flat_map(|event| event.runs.iter().copied());
            let requests =
                state.seen.requests.iter().flat_map(|request| request.told.iter().map(|told| told.run));
            let runs: Vec<_> = events.chain(requests).collect();
            state.dice.pick(&runs).copied()
        };
        let Some(run) = run else { return Heard::Answered };
        let cancelled = self.services.runs.cancel(&self.scope, run).await;
        if self.life.ended() {
            return Heard::Nothing;
        }
        match cancelled {
            Ok(read) => {
                let too_late = matches!(&read.state.status, Status::Ended { outcome, .. } if *outcome != Outcome::Cancelled);
                self.world.note(format_args!("run {run} cancelled, too late {too_late}"));
                let mut state = self.world.state();
                let calls = state.seen.calls.len();
                state.seen.cancelled.push(Cancelled { run, too_late, calls });
            }
            Err(error) => self.world.note(format_args!("run {run} not cancelled: {error}")),
        }
        Heard::Answered
    }

    /// Lets every key go on that a failed run holds while others wait.
    pub(super) async fn skip(&self) -> Heard {
        let lines: Vec<_> = {
            let state = self.world.state();
            let ordered = self.plan.flows.iter().filter(|flow| flow.line == Line::Ordered);
            let of = |flow: usize| state.seen.installations.iter().filter(move |((_, it), _)| *it == flow);
            ordered.flat_map(|flow| of(flow.number)).map(|(_, installation)| *installation).collect()
        };
        for installation in lines {
            let mut lines = self.services.runs.keys(&self.scope, installation, None, KEYS);
            // Their keys are another in each simulation.
            lines.sort_by_key(|line| line.holders.first().copied());
            for line in lines {
                if line.waiting > 0
                    && let Some((_, holder)) = line.holders.first().copied()
                {
                    self.let_go_on(installation, &line, holder).await;
                }
                if self.life.ended() {
                    return Heard::Nothing;
                }
            }
        }
        Heard::Answered
    }

    async fn let_go_on(&self, installation: InstallationId, line: &LineView, holder: RunId) {
        let services = &self.services;
        let failed = matches!(
            services.runs.run(&self.scope, holder).await.map(|run| run.state.status),
            Ok(Status::Ended { outcome: Outcome::Failed { .. }, .. })
        );
        if !failed {
            return;
        }
        let at = self.world.now();
        let place = {
            let skipped = &mut self.world.state().seen.skipped;
            // Until it is heard which, it may be any.
            skipped.push(Skipped { run: None, at });
            skipped.len() - 1
        };
        let skipped = services.runs.skip(&self.scope, installation, line.key).await;
        if self.life.ended() {
            return;
        }
        match skipped {
            Ok(run) => {
                self.world.note(format_args!("run {run} skipped"));
                if let Some(skipped) = self.world.state().seen.skipped.get_mut(place) {
                    skipped.run = Some(run);
                }
            }
            Err(error) => self.world.note(format_args!("run {holder} not skipped: {error}")),
        }
    }
}
