//! Workflows as the simulation draws them: a model that gives both the definition that is released and what the
//! oracle expects of a run.

mod node;

use serde_json::{Value, json};
use trunnion_core::schedule::Missed;

use self::node::Drawing;
pub use self::node::{Block, Node, RESPONDED};
use crate::{
    dice::Dice,
    outside::username,
    vendor::{APP, LISTED, TRIGGER},
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
    /// Which of its runs wait for each other.
    pub line: Line,
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
    /// The clock.
    Schedule {
        /// Minutes between two ticks.
        minutes: u64,
        /// What becomes of ticks that were missed.
        missed: Missed,
    },
    /// A request that waits for the answer.
    Request,
    /// A step of another workflow.
    Call,
}

/// Which runs of a user's copy of a workflow wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// None.
    Parallel,
    /// All beyond so many.
    Throttled(usize),
    /// Those of one key, in order.
    Ordered,
}

/// What a run knows of what started it, whatever that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Names it in everything that follows from it.
    pub marker: String,
    /// Which way a branch goes.
    pub odd: bool,
    /// Whether a filter holds.
    pub keep: bool,
    /// How many items a list has.
    pub items: usize,
    /// Which runs it waits for.
    pub key: String,
}

/// How mappings call the same facts.
#[derive(Clone, Copy, Debug)]
struct Names {
    marker: &'static str,
    odd: &'static str,
    keep: &'static str,
    list: &'static str,
    key: &'static str,
}

const OF_DATA: Names = Names {
    marker: "{{ trigger.marker }}",
    odd: "trigger.odd",
    keep: "trigger.keep",
    list: "trigger.list",
    key: "{{ trigger.key }}",
};
const OF_BODY: Names = Names {
    marker: "{{ trigger.body.marker }}",
    odd: "trigger.body.odd",
    keep: "trigger.body.keep",
    list: "trigger.body.list",
    key: "{{ trigger.body.key }}",
};
const OF_TICK: Names = Names {
    marker: "{{ user.username }} at {{ trigger.scheduled_at }}",
    odd: "trigger.count % 2 == 1",
    keep: "trigger.count > 0",
    list: "[{'n': 0}]",
    key: "tick",
};

impl Trigger {
    const fn names(&self) -> Names {
        match self {
            Self::Event(_) | Self::Webhook | Self::Poll | Self::Call => OF_DATA,
            Self::Request => OF_BODY,
            Self::Schedule { .. } => OF_TICK,
        }
    }

    /// Whether somebody waits for what its runs answer.
    #[must_use]
    pub const fn is_awaited(&self) -> bool {
        matches!(self, Self::Request | Self::Call)
    }
}

impl Flow {
    /// A workflow of a seed that may call those of the numbers `callable`.
    pub fn drawn(dice: &mut Dice, number: usize, callable: Vec<usize>) -> Self {
        let trigger = match dice.below(9) {
            0 | 1 => Trigger::Webhook,
            2 => Trigger::Poll,
            3 => Trigger::Request,
            4 => Trigger::Schedule {
                minutes: dice.within(1, 3),
                missed: if dice.below(2) == 0 { Missed::Skip } else { Missed::CatchUp },
            },
            // Two names, so that an event may start several workflows.
            _ => Trigger::Event(format!("event-{}", dice.below(2))),
        };
        Self::of(dice, number, trigger, callable)
    }

    /// A workflow that others call.
    pub fn called(dice: &mut Dice, number: usize, callable: Vec<usize>) -> Self {
        Self::of(dice, number, Trigger::Call, callable)
    }

    fn of(dice: &mut Dice, number: usize, trigger: Trigger, callable: Vec<usize>) -> Self {
        let ticks = matches!(trigger, Trigger::Schedule { .. });
        let line = match dice.below(8) {
            0 => Line::Throttled(usize::try_from(dice.within(1, 2)).unwrap_or(1)),
            1 | 2 if !ticks => Line::Ordered,
            _ => Line::Parallel,
        };
        // A schedule has many runs: each does less.
        let most = if ticks { 2 } else { 4 };
        let mut drawing = Drawing::new(callable);
        let mut nodes: Vec<_> = (0..dice.within(1, most)).map(|_| drawing.node(dice, 0)).collect();
        if trigger.is_awaited() && dice.below(2) == 0 {
            let place = usize::try_from(dice.below(nodes.len() as u64 + 1)).unwrap_or(0);
            nodes.insert(place, drawing.respond());
        }
        Self { number, trigger, line, nodes }
    }

    /// As it is released; `workflows` has the ids of those it may call, by number.
    #[must_use]
    pub fn definition(&self, workflows: &dyn Fn(usize) -> String) -> Value {
        let sample = crate::vendor::sample();
        let trigger = match &self.trigger {
            Trigger::Event(event) => json!({ "type": "event", "event": event }),
            Trigger::Webhook => json!({ "type": "app", "app": APP, "trigger": TRIGGER }),
            Trigger::Poll => json!({ "type": "app", "app": APP, "trigger": LISTED }),
            Trigger::Schedule { minutes, missed } => {
                json!({ "type": "schedule", "every": format!("{minutes}m"), "missed": missed })
            }
            Trigger::Request => json!({ "type": "request", "sample": sample }),
            Trigger::Call => json!({ "type": "call", "sample": sample }),
        };
        let names = self.trigger.names();
        let concurrency = match self.line {
            Line::Parallel => json!({ "type": "parallel" }),
            Line::Throttled(limit) => json!({ "type": "throttled", "limit": limit }),
            Line::Ordered => json!({ "type": "ordered", "by": names.key }),
        };
        let writing = node::Writing { flow: self.number, names, workflows };
        let steps: Vec<_> = self.nodes.iter().map(|node| writing.step(node, None)).collect();
        json!({
            "name": format!("flow {}", self.number), "trigger": trigger, "concurrency": concurrency,
            "steps": steps,
        })
    }

    /// What a run of `user` knows that was started with `payload`.
    #[must_use]
    pub fn facts(&self, payload: &Value, user: usize) -> Facts {
        if let Trigger::Schedule { .. } = self.trigger {
            let at = payload.get("scheduled_at").and_then(Value::as_str).unwrap_or_default();
            let count = payload.get("count").and_then(Value::as_u64).unwrap_or_default();
            return Facts {
                marker: tick(user, at),
                odd: count % 2 == 1,
                keep: count > 0,
                items: 1,
                key: "tick".to_owned(),
            };
        }
        let data = match self.trigger {
            Trigger::Request => payload.get("body").unwrap_or(&Value::Null),
            _ => payload,
        };
        let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is = |name: &str| data.get(name).and_then(Value::as_bool).unwrap_or_default();
        Facts {
            marker: text("marker"),
            odd: is("odd"),
            keep: is("keep"),
            items: data.get("list").and_then(Value::as_array).map_or(0, Vec::len),
            key: text("key"),
        }
    }

    /// The steps that a run comes to, in order, unless one of them fails or filters.
    #[must_use]
    pub fn path(&self, facts: &Facts) -> Vec<&Node> {
        let mut path = Vec::new();
        for node in &self.nodes {
            match &node.block {
                Block::Branch { odd: way, .. } if facts.odd => path.extend(way),
                Block::Branch { even: way, .. } => path.extend(way),
                _ => path.push(node),
            }
        }
        path
    }

    /// The loop that a step stands in.
    #[must_use]
    pub fn loop_of(&self, step: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| match &node.block {
            Block::Each { nodes, .. } => nodes.iter().any(|inner| inner.id == step),
            _ => false,
        })
    }

    /// The marker of the run that a step of this workflow calls, for one item where it stands in a loop.
    #[must_use]
    pub fn called_marker(&self, marker: &str, step: &str, item: Option<u64>) -> String {
        match item {
            Some(item) => format!("{marker}>f{}.{step}[{item}]", self.number),
            None => format!("{marker}>f{}.{step}", self.number),
        }
    }
}

/// The marker of a tick of a user's schedule.
#[must_use]
pub fn tick(user: usize, at: &str) -> String {
    format!("{} at {at}", username(user))
}
