//! Workflows as the simulation draws them: a model that gives both the definition that is released and what the
//! oracle expects of a run.

use serde_json::{Value, json};
use trunnion_core::{machine::OnError, manifest::Repeat, retry::RetryPolicy};

use crate::{
    dice::Dice,
    seen::Class,
    vendor::{ACTIONS, APP, LISTED, TRIGGER},
};

/// The stream that every workflow may send to.
pub const STREAM: &str = "isv";

/// A workflow.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its place among the workflows.
    pub number: usize,
    /// What starts it.
    pub trigger: Trigger,
    /// What it does.
    pub nodes: Vec<Node>,
}

/// What starts a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// This custom event.
    Event(String),
    /// The vendor's webhook.
    Webhook,
    /// Asking the vendor again and again.
    Poll,
}

/// A step.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// What follows an error.
    pub on_error: OnError,
    /// How often it is tried, where not as usual.
    pub retry: Option<RetryPolicy>,
    /// What it does.
    pub block: Block,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Block {
    /// An action of this repeat class.
    Action(Repeat),
    /// A stream.
    Stream,
    /// Computes.
    Set,
    /// Ends the run unless the payload says `keep`.
    Filter,
    /// One way or the other, by the payload's `odd`.
    Branch { odd: Vec<Node>, even: Vec<Node> },
    /// Waits so many seconds.
    Delay(u64),
    /// Does the same for each item of the payload's `list`.
    Each { concurrency: u64, nodes: Vec<Node> },
}

impl Node {
    /// The class of what it does outside, where it does anything there.
    #[must_use]
    pub const fn class(&self) -> Option<Class> {
        match self.block {
            Block::Action(repeat) => Some(Class::Action(repeat)),
            Block::Stream => Some(Class::Stream),
            _ => None,
        }
    }

    fn drawn(dice: &mut Dice, counter: &mut u32, depth: u32) -> Self {
        let id = format!("s{counter}");
        *counter += 1;
        let mut nodes = |dice: &mut Dice, most| {
            (0..dice.within(1, most)).map(|_| Self::drawn(dice, counter, depth + 1)).collect::<Vec<_>>()
        };
        let block = match dice.below(if depth == 0 { 16 } else { 11 }) {
            0..=5 => Block::Action(dice.pick(&ACTIONS).map_or(Repeat::Safe, |(_, repeat)| *repeat)),
            6 | 7 => Block::Stream,
            8 | 9 => Block::Set,
            10 | 11 => Block::Delay(dice.within(1, 60)),
            12 => Block::Filter,
            13 => Block::Branch { odd: nodes(dice, 2), even: nodes(dice, 2) },
            _ => Block::Each { concurrency: dice.within(1, 3), nodes: nodes(dice, 3) },
        };
        let on_error = if dice.below(4) == 0 { OnError::Continue } else { OnError::Fail };
        let retry = (dice.below(3) == 0).then(|| RetryPolicy {
            attempts: u32::try_from(dice.within(1, 12)).unwrap_or(1),
            delay_ms: dice.within(1, 20_000),
            backoff: u32::try_from(dice.within(1, 4)).unwrap_or(1),
            max_delay_ms: 60_000,
        });
        Self { id, on_error, retry, block }
    }

    fn json(&self, flow: usize, looped: bool) -> Value {
        let item = if looped { json!("{{ index }}") } else { Value::Null };
        let mut unit = json!({ "flow": flow, "step": self.id, "marker": "{{ trigger.marker }}" });
        if let (true, Some(unit)) = (looped, unit.as_object_mut()) {
            unit.insert("item".to_owned(), item);
        }
        let inner =
            |nodes: &[Self], looped| nodes.iter().map(|node| node.json(flow, looped)).collect::<Vec<_>>();
        let mut step = match &self.block {
            Block::Action(repeat) => {
                let action = ACTIONS.iter().find(|(_, known)| known == repeat).map(|(name, _)| *name);
                json!({ "type": "action", "app": APP, "action": action, "input": unit })
            }
            Block::Stream => json!({ "type": "stream", "destination": STREAM, "body": unit }),
            Block::Set => json!({ "type": "set", "value": "{{ trigger.marker }}" }),
            Block::Filter => json!({ "type": "filter", "condition": "trigger.keep" }),
            Block::Branch { odd, even } => json!({
                "type": "branch",
                "branches": [{ "when": "trigger.odd", "steps": inner(odd, looped) }],
                "otherwise": inner(even, looped),
            }),
            Block::Delay(seconds) => json!({ "type": "delay", "seconds": seconds }),
            Block::Each { concurrency, nodes } => json!({
                "type": "for_each", "items": "{{ trigger.list }}", "concurrency": concurrency,
                "steps": inner(nodes, true),
            }),
        };
        if let Some(step) = step.as_object_mut() {
            step.insert("id".to_owned(), json!(self.id));
            step.insert("on_error".to_owned(), json!(self.on_error));
            if let (Some(retry), Block::Action(_) | Block::Stream) = (&self.retry, &self.block) {
                step.insert("retry".to_owned(), json!(retry));
            }
        }
        step
    }
}

impl Flow {
    /// A workflow of a seed.
    pub fn drawn(dice: &mut Dice, number: usize) -> Self {
        let trigger = match dice.below(6) {
            0 | 1 => Trigger::Webhook,
            2 => Trigger::Poll,
            // Two names, so that an event may start several workflows.
            _ => Trigger::Event(format!("event-{}", dice.below(2))),
        };
        let mut counter = 0;
        let nodes = (0..dice.within(1, 4)).map(|_| Node::drawn(dice, &mut counter, 0)).collect();
        Self { number, trigger, nodes }
    }

    /// As it is released.
    #[must_use]
    pub fn definition(&self) -> Value {
        let trigger = match &self.trigger {
            Trigger::Event(event) => json!({ "type": "event", "event": event }),
            Trigger::Webhook => json!({ "type": "app", "app": APP, "trigger": TRIGGER }),
            Trigger::Poll => json!({ "type": "app", "app": APP, "trigger": LISTED }),
        };
        let steps: Vec<_> = self.nodes.iter().map(|node| node.json(self.number, false)).collect();
        json!({ "name": format!("flow {}", self.number), "trigger": trigger, "steps": steps })
    }

    /// The steps that a run with this payload comes to, in order, unless one of them fails or filters.
    #[must_use]
    pub fn path(&self, payload: &Value) -> Vec<&Node> {
        let odd = payload.get("odd").and_then(Value::as_bool).unwrap_or_default();
        let mut path = Vec::new();
        for node in &self.nodes {
            match &node.block {
                Block::Branch { odd: way, .. } if odd => path.extend(way),
                Block::Branch { even: way, .. } => path.extend(way),
                _ => path.push(node),
            }
        }
        path
    }
}
