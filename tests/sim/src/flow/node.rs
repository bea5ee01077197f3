//! Steps of workflows: as they are drawn, and as they are written in a definition.

use serde_json::{Value, json};
use trunnion_core::{machine::OnError, manifest::Repeat, retry::RetryPolicy};

use super::{Names, STREAM};
use crate::{
    dice::Dice,
    seen::Class,
    vendor::{ACTIONS, APP},
};

/// The status that a `respond` step answers with.
pub const RESPONDED: u16 = 201;

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
    /// Runs the workflow of this number.
    Call(usize),
    /// Answers with the marker.
    Respond,
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
}

/// The steps of one workflow, as they are drawn.
#[derive(Debug)]
pub(super) struct Drawing {
    counter: u32,
    callable: Vec<usize>,
}

impl Drawing {
    pub(super) const fn new(callable: Vec<usize>) -> Self {
        Self { counter: 0, callable }
    }

    fn id(&mut self) -> String {
        let id = format!("s{}", self.counter);
        self.counter += 1;
        id
    }

    pub(super) fn respond(&mut self) -> Node {
        Node { id: self.id(), on_error: OnError::Fail, retry: None, block: Block::Respond }
    }

    pub(super) fn node(&mut self, dice: &mut Dice, depth: u32) -> Node {
        let id = self.id();
        let calls = !self.callable.is_empty() && dice.below(5) == 0;
        let called = if calls { dice.pick(&self.callable).copied() } else { None };
        let block = match (called, dice.below(if depth == 0 { 16 } else { 11 })) {
            (Some(flow), _) => Block::Call(flow),
            (None, 0..=5) => Block::Action(dice.pick(&ACTIONS).map_or(Repeat::Safe, |(_, repeat)| *repeat)),
            (None, 6 | 7) => Block::Stream,
            (None, 8 | 9) => Block::Set,
            (None, 10 | 11) => Block::Delay(dice.within(1, 60)),
            (None, 12) => Block::Filter,
            (None, 13) => Block::Branch { odd: self.nodes(dice, 2, depth), even: self.nodes(dice, 2, depth) },
            (None, _) => Block::Each { concurrency: dice.within(1, 3), nodes: self.nodes(dice, 3, depth) },
        };
        let on_error = if dice.below(4) == 0 { OnError::Continue } else { OnError::Fail };
        let retry = (dice.below(3) == 0).then(|| RetryPolicy {
            attempts: u32::try_from(dice.within(1, 12)).unwrap_or(1),
            delay_ms: dice.within(1, 20_000),
            backoff: u32::try_from(dice.within(1, 4)).unwrap_or(1),
            max_delay_ms: 60_000,
        });
        Node { id, on_error, retry, block }
    }

    fn nodes(&mut self, dice: &mut Dice, most: u64, depth: u32) -> Vec<Node> {
        (0..dice.within(1, most)).map(|_| self.node(dice, depth + 1)).collect()
    }
}

/// The steps of one workflow, as they are written.
pub(super) struct Writing<'a> {
    pub(super) flow: usize,
    pub(super) names: Names,
    pub(super) workflows: &'a dyn Fn(usize) -> String,
}

impl Writing<'_> {
    /// A step, inside the loop `each` where it is in one.
    pub(super) fn step(&self, node: &Node, each: Option<&Node>) -> Value {
        let Names { marker, odd, keep, list, key } = self.names;
        let mut unit = json!({ "flow": self.flow, "step": node.id, "marker": marker });
        if let (Some(_), Some(unit)) = (each, unit.as_object_mut()) {
            unit.insert("item".to_owned(), json!("{{ index }}"));
        }
        let inner = |nodes: &[Node], each: Option<&Node>| {
            nodes.iter().map(|node| self.step(node, each)).collect::<Vec<_>>()
        };
        let mut step = match &node.block {
            Block::Action(repeat) => {
                let action = ACTIONS.iter().find(|(_, known)| known == repeat).map(|(name, _)| *name);
                json!({ "type": "action", "app": APP, "action": action, "input": unit })
            }
            Block::Stream => json!({ "type": "stream", "destination": STREAM, "body": unit }),
            Block::Set => json!({ "type": "set", "value": marker }),
            Block::Filter => json!({ "type": "filter", "condition": keep }),
            Block::Branch { odd: one, even: other } => json!({
                "type": "branch",
                "branches": [{ "when": odd, "steps": inner(one, each) }],
                "otherwise": inner(other, each),
            }),
            Block::Delay(seconds) => json!({ "type": "delay", "seconds": seconds }),
            Block::Each { concurrency, nodes } => json!({
                "type": "for_each", "items": format!("{{{{ {list} }}}}"), "concurrency": concurrency,
                "steps": inner(nodes, Some(node)),
            }),
            Block::Call(flow) => {
                let item = if each.is_some() { "[{{ index }}]" } else { "" };
                let input = json!({
                    "marker": format!("{marker}>f{}.{}{item}", self.flow, node.id),
                    "odd": format!("{{{{ {odd} }}}}"), "keep": format!("{{{{ {keep} }}}}"),
                    "list": format!("{{{{ {list} }}}}"), "key": key,
                });
                json!({ "type": "call", "workflow": (self.workflows)(*flow), "input": input })
            }
            Block::Respond => json!({
                "type": "respond", "status": RESPONDED, "headers": { "x-unit": marker },
                "body": { "marker": marker },
            }),
        };
        if let Some(step) = step.as_object_mut() {
            step.insert("id".to_owned(), json!(node.id));
            step.insert("on_error".to_owned(), json!(node.on_error));
            if let (Some(retry), Block::Action(_) | Block::Stream) = (&node.retry, &node.block) {
                step.insert("retry".to_owned(), json!(retry));
            }
        }
        step
    }
}
