//! What the world does with the host: workflows, users, and when who sends what. Drawn whole from the seed before
//! anything runs, so that nothing the host does changes it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    clock::BEGINNING,
    dice::Dice,
    faults::Faults,
    flow::{Flow, Trigger},
    seen::{ListedRecord, SentDelivery, SentEvent},
};

/// How long after the last fault pollers go on: longer than one rests after failures.
const POLLED: Duration = Duration::from_secs(1_300);

/// A whole simulation, before it runs.
#[derive(Debug)]
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

/// What somebody outside does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Sends the event of this place.
    Event(usize),
    /// Sends an event's key with another body, which must be refused.
    OtherBody(usize),
    /// Delivers the delivery of this place.
    Deliver(usize),
    /// Pauses everything that polls: else the host would never be quiet.
    Pause,
    /// Cancels a run that was accepted, by chance.
    Cancel,
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
        let flows: Vec<_> = (0..usize::try_from(dice.within(1, 3)).unwrap_or(1))
            .map(|number| Flow::drawn(dice, number))
            .collect();
        let window = dice.within(1_000, 60_000);
        let mut plan = Self {
            users,
            flows,
            events: Vec::new(),
            deliveries: Vec::new(),
            records: Vec::new(),
            acts: Vec::new(),
            faults,
            calm: Duration::from_millis(window),
            workers: usize::try_from(*dice.pick(&[1, 2, 8, 64]).unwrap_or(&8)).unwrap_or(8),
            max_waiting: usize::try_from(*dice.pick(&[2, 1_000, 1_000]).unwrap_or(&1_000)).unwrap_or(1_000),
        };
        plan.draw_sends(dice, window);
        plan.draw_ends(dice, window);
        if plan.flows.iter().any(|flow| flow.trigger == Trigger::Poll) {
            plan.acts.push((plan.calm + POLLED, Act::Pause));
        }
        plan.acts.sort_by_key(|(at, _)| *at);
        plan
    }

    fn draw_sends(&mut self, dice: &mut Dice, window: u64) {
        let moment = |dice: &mut Dice| Duration::from_millis(dice.below(window));
        for number in 0..dice.within(2, 8) {
            let user = usize::try_from(dice.below(self.users as u64)).unwrap_or(0);
            let flow = dice.below(self.flows.len() as u64);
            let Some(flow) = usize::try_from(flow).ok().and_then(|flow| self.flows.get(flow)) else {
                continue;
            };
            match &flow.trigger {
                Trigger::Event(name) => {
                    let place = self.events.len();
                    let marker = format!("e{number}");
                    self.events.push(SentEvent {
                        payload: payload(dice, &marker),
                        marker,
                        name: name.clone(),
                        user,
                        key: (dice.below(3) > 0).then(|| format!("key-{number}")),
                        acknowledged: false,
                        runs: Vec::new(),
                        displaced: false,
                    });
                    self.acts.push((moment(dice), Act::Event(place)));
                    let keyed = self.events.last().is_some_and(|event| event.key.is_some());
                    if keyed && dice.below(4) == 0 {
                        self.acts.push((moment(dice), Act::Event(place)));
                    }
                    if keyed && dice.below(8) == 0 {
                        self.acts.push((moment(dice), Act::OtherBody(place)));
                    }
                }
                Trigger::Poll => {
                    for part in 0..dice.within(1, 3) {
                        let from = BEGINNING + moment(dice);
                        let payload = payload(dice, &format!("p{number}-{part}"));
                        self.records.push(ListedRecord { user, from, payload });
                    }
                    self.records.sort_by_key(|record| record.from);
                }
                Trigger::Webhook => {
                    let place = self.deliveries.len();
                    let mut occurrences: Vec<_> = (0..dice.within(1, 3))
                        .map(|part| payload(dice, &format!("d{number}-{part}")))
                        .collect();
                    // The vendor tells of the same thing in two deliveries.
                    if let Some(told) = self.deliveries.last()
                        && told.user == user
                        && dice.below(3) == 0
                    {
                        occurrences.extend(told.occurrences.first().cloned());
                    }
                    let id = format!("delivery-{number}");
                    self.deliveries.push(SentDelivery {
                        id,
                        user,
                        occurrences,
                        acknowledged: false,
                        refused: None,
                    });
                    self.acts.push((moment(dice), Act::Deliver(place)));
                    if dice.below(3) == 0 {
                        self.acts.push((moment(dice), Act::Deliver(place)));
                    }
                }
            }
        }
    }

    /// Deaths by the clock, stops and cancellations.
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
        if dice.below(3) == 0 {
            for _ in 0..dice.within(1, 3) {
                self.acts.push((Duration::from_millis(dice.below(window)), Act::Cancel));
            }
        }
    }
}

fn payload(dice: &mut Dice, marker: &str) -> Value {
    let list: Vec<_> = (0..dice.below(4)).map(|n| json!({ "n": n })).collect();
    json!({ "marker": marker, "odd": dice.below(2) == 0, "keep": dice.below(5) > 0, "list": list })
}
