//! Who sends what: events, deliveries and requests, and records that the vendor lists.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Act, Plan};
use crate::{
    clock::BEGINNING,
    dice::Dice,
    flow::Trigger,
    seen::{ListedRecord, SentDelivery, SentEvent, SentRequest},
    vendor::OVERLAP,
};

impl Plan {
    pub(super) fn draw_sends(&mut self, dice: &mut Dice, window: u64) {
        let begins: Vec<_> = self
            .flows
            .iter()
            .filter(|flow| !matches!(flow.trigger, Trigger::Call | Trigger::Schedule { .. }))
            .map(|flow| (flow.number, flow.trigger.clone()))
            .collect();
        for number in 0..dice.within(2, 8) {
            let user = usize::try_from(dice.below(self.users as u64)).unwrap_or(0);
            let sending = Sending { number, user, window };
            match dice.pick(&begins) {
                Some((_, Trigger::Event(name))) => self.draw_event(dice, sending, name),
                Some((_, Trigger::Webhook)) => self.draw_delivery(dice, sending),
                Some((_, Trigger::Poll)) => self.draw_records(dice, sending),
                Some((flow, Trigger::Request)) => self.draw_request(dice, sending, *flow),
                Some((_, Trigger::Call | Trigger::Schedule { .. })) | None => {}
            }
        }
    }

    fn draw_event(&mut self, dice: &mut Dice, sending: Sending, name: &str) {
        let (place, number) = (self.events.len(), sending.number);
        let marker = format!("e{number}");
        let key = (dice.below(3) > 0).then(|| format!("key-{number}"));
        let keyed = key.is_some();
        self.events.push(SentEvent {
            payload: payload(dice, &marker),
            marker,
            name: name.to_owned(),
            user: sending.user,
            key,
            ..SentEvent::default()
        });
        self.acts.push((sending.moment(dice), Act::Event(place)));
        if keyed && dice.below(4) == 0 {
            self.acts.push((sending.moment(dice), Act::Event(place)));
        }
        if keyed && dice.below(8) == 0 {
            self.acts.push((sending.moment(dice), Act::OtherBody(place)));
        }
    }

    fn draw_delivery(&mut self, dice: &mut Dice, sending: Sending) {
        let Sending { number, user, .. } = sending;
        let place = self.deliveries.len();
        let mut occurrences: Vec<_> =
            (0..dice.within(1, 3)).map(|part| payload(dice, &format!("d{number}-{part}"))).collect();
        // The vendor tells of the same thing in two deliveries.
        if let Some(told) = self.deliveries.last()
            && told.user == user
            && dice.below(3) == 0
        {
            occurrences.extend(told.occurrences.first().cloned());
        }
        let id = format!("delivery-{number}");
        self.deliveries.push(SentDelivery { id, user, occurrences, acknowledged: false, refused: None });
        self.acts.push((sending.moment(dice), Act::Deliver(place)));
        if dice.below(3) == 0 {
            self.acts.push((sending.moment(dice), Act::Deliver(place)));
        }
    }

    fn draw_records(&mut self, dice: &mut Dice, sending: Sending) {
        let mut at = BEGINNING + sending.moment(dice);
        for part in 0..dice.within(1, 4) {
            // Some have the time of the one before, some are shown late.
            if dice.below(3) > 0 {
                at = BEGINNING + sending.moment(dice);
            }
            let late = if dice.below(3) == 0 { dice.below(OVERLAP.as_secs()) } else { 0 };
            let marker = format!("p{}-{part}", sending.number);
            self.records.push(ListedRecord {
                payload: payload(dice, &marker),
                marker,
                user: sending.user,
                at,
                shown: at + Duration::from_secs(late),
            });
        }
    }

    fn draw_request(&mut self, dice: &mut Dice, sending: Sending, flow: usize) {
        let Sending { number, user, .. } = sending;
        let place = self.requests.len();
        let marker = format!("r{number}");
        let key = (dice.below(2) == 0).then(|| format!("key-{number}"));
        let keyed = key.is_some();
        self.requests.push(SentRequest {
            body: payload(dice, &marker),
            marker,
            user,
            flow,
            key,
            callback: dice.below(2) == 0,
            prefer: match dice.below(4) {
                0 => Some("respond-async".to_owned()),
                1 => Some(format!("wait={}", dice.within(1, 5))),
                _ => None,
            },
            sent_at: None,
            told: Vec::new(),
            cut_off: Vec::new(),
        });
        self.acts.push((sending.moment(dice), Act::Request(place)));
        if keyed && dice.below(2) == 0 {
            self.acts.push((sending.moment(dice), Act::Request(place)));
        }
        if dice.below(2) == 0 {
            self.acts.push((sending.moment(dice), Act::Ask(place)));
        }
        self.acts.push((self.calm + Duration::from_secs(dice.below(7_200)), Act::Ask(place)));
    }
}

/// One thing that is sent.
#[derive(Clone, Copy, Debug)]
struct Sending {
    number: u64,
    user: usize,
    window: u64,
}

impl Sending {
    fn moment(self, dice: &mut Dice) -> Duration {
        Duration::from_millis(dice.below(self.window))
    }
}

fn payload(dice: &mut Dice, marker: &str) -> Value {
    let list: Vec<_> = (0..dice.below(4)).map(|n| json!({ "n": n })).collect();
    let key = if dice.below(4) == 0 { "b" } else { "a" };
    json!({
        "marker": marker, "odd": dice.below(2) == 0, "keep": dice.below(5) > 0, "list": list, "key": key,
    })
}
