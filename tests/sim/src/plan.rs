//! What the world does with the host: workflows, users, and when who sends what. Drawn whole from the seed before
//! anything runs, so that nothing the host does changes it.

mod sends;

use std::time::Duration;

use crate::{
    dice::Dice,
    faults::Faults,
    flow::{Flow, Line, Trigger},
    seen::{ListedRecord, SentDelivery, SentEvent, SentRequest},
};

/// How long after the last fault pollers go on: longer than one rests after failures.
const POLLED: Duration = Duration::from_secs(1_300);

/// How long after the last fault schedules go on: a tick of each at least.
const SCHEDULED: Duration = Duration::from_secs(300);

/// A whole simulation, before it runs.
#[derive(Debug, Default)]
pub struct Plan {
    /// How many users there are; each installs every workflow.
    pub users: usize,
    /// The workflows.
    pub flows: Vec<Flow>,
    /// Events that will be sent.
    pub events: Vec<SentEvent>,
    /// Deliveries that will be sent.
    pub deliveries: Vec<SentDelivery>,
    /// Records that the vendor will list.
    pub records: Vec<ListedRecord>,
    /// Requests that will be sent.
    pub requests: Vec<SentRequest>,
    /// When which workflow is paused.
    pub pauses: Vec<Pause>,
    /// Who does what, and how long after the beginning.
    pub acts: Vec<(Duration, Act)>,
    /// What goes wrong.
    pub faults: Faults,
    /// After this, nothing goes wrong any more.
    pub calm: Duration,
    /// Pieces of work that the host does at once.
    pub workers: usize,
    /// Pieces of work that may wait.
    pub max_waiting: usize,
}

/// A time in which the users' copies of a workflow are to be paused.
#[derive(Clone, Copy, Debug)]
pub struct Pause {
    /// Which workflow.
    pub flow: usize,
    /// From when on, after the beginning.
    pub from: Duration,
    /// Until when; `None` for good.
    pub until: Option<Duration>,
}

/// What somebody outside does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Sends the event of this place.
    Event(usize),
    /// Sends an event's key with another body, which must be refused.
    OtherBody(usize),
    /// Delivers the delivery of this place.
    Deliver(usize),
    /// Sends the request of this place, and waits for the answer.
    Request(usize),
    /// Asks what the request of this place was answered.
    Ask(usize),
    /// Pauses the copies of the workflow of this number, or lets them go on, as the plan has it by now.
    Activity(usize),
    /// Cancels a run that was accepted, by chance.
    Cancel,
    /// Lets keys go on whose run failed.
    Skip,
    /// Kills the process.
    Kill,
    /// Asks the process to stop.
    Stop,
}

impl Plan {
    /// Of a seed.
    pub fn drawn(dice: &mut Dice) -> Self {
        let faults = Faults::drawn(dice);
        let users = usize::try_from(dice.within(1, 2)).unwrap_or(1);
        let flows = flows(dice);
        let ticks = flows.iter().any(|flow| matches!(flow.trigger, Trigger::Schedule { .. }));
        // No schedule ticks more often than once a minute.
        let window = if ticks { dice.within(60_000, 400_000) } else { dice.within(1_000, 60_000) };
        let mut plan = Self {
            users,
            flows,
            faults,
            calm: Duration::from_millis(window),
            workers: usize::try_from(*dice.pick(&[1, 2, 8, 64]).unwrap_or(&8)).unwrap_or(8),
            max_waiting: usize::try_from(*dice.pick(&[2, 1_000, 1_000]).unwrap_or(&1_000)).unwrap_or(1_000),
            ..Self::default()
        };
        plan.draw_sends(dice, window);
        plan.draw_pauses(dice, window);
        plan.draw_ends(dice, window);
        plan.acts.sort_by_key(|(at, _)| *at);
        plan
    }

    /// Whether the copies of a workflow are to be active so long after the beginning.
    #[must_use]
    pub fn active(&self, flow: usize, now: Duration) -> bool {
        let paused = |pause: &&Pause| {
            pause.flow == flow && pause.from <= now && pause.until.is_none_or(|until| now < until)
        };
        !self.pauses.iter().any(|pause| paused(&pause))
    }

    /// Pauses whatever begins by itself now and then, and in the end, since the host would else never be quiet.
    fn draw_pauses(&mut self, dice: &mut Dice, window: u64) {
        for flow in &self.flows {
            let goes_on = match flow.trigger {
                Trigger::Poll => POLLED,
                Trigger::Schedule { .. } => SCHEDULED,
                _ => continue,
            };
            let mut pause = |from, until: Option<Duration>| {
                self.acts.push((from, Act::Activity(flow.number)));
                self.acts.extend(until.map(|until| (until, Act::Activity(flow.number))));
                self.pauses.push(Pause { flow: flow.number, from, until });
            };
            if dice.below(3) == 0 {
                let from = dice.below(window);
                let until = from + dice.below(window - from);
                pause(Duration::from_millis(from), Some(Duration::from_millis(until)));
            }
            pause(self.calm + goes_on, None);
        }
    }

    /// Deaths by the clock, stops, cancellations and skips.
    fn draw_ends(&mut self, dice: &mut Dice, window: u64) {
        let every = self.faults.deaths_every * 1_000;
        let mut at = 0;
        while every > 0 && self.acts.len() < 64 {
            at += dice.within(1, every);
            if at >= window {
                break;
            }
            let end = if dice.below(4) == 0 { Act::Stop } else { Act::Kill };
            self.acts.push((Duration::from_millis(at), end));
        }
        let cancels = if dice.below(3) == 0 { dice.within(1, 3) } else { 0 };
        let ordered = self.flows.iter().any(|flow| flow.line == Line::Ordered);
        let skips = if ordered { dice.within(0, 2) } else { 0 };
        for (number, act) in [(cancels, Act::Cancel), (skips, Act::Skip)] {
            for _ in 0..number {
                self.acts.push((Duration::from_millis(dice.below(window)), act.clone()));
            }
        }
    }
}

/// Workflows that begin by themselves, before those that they call: each calls only later ones.
fn flows(dice: &mut Dice) -> Vec<Flow> {
    let (own, called) = (dice.within(1, 3), if dice.below(3) == 0 { dice.within(1, 2) } else { 0 });
    let [own, called] = [own, called].map(|number| usize::try_from(number).unwrap_or(1));
    let all = own + called;
    let begins = (0..own).map(|number| (number, (own..all).collect(), true));
    let others = (own..all).map(|number| (number, (number + 1..all).collect(), false));
    let drawn = begins.chain(others).map(|(number, callable, begins)| {
        if begins { Flow::drawn(dice, number, callable) } else { Flow::called(dice, number, callable) }
    });
    drawn.collect()
}
