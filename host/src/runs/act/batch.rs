//! Many items at once: a group is sent, and what the vendor refuses of it is told apart from what it took.
//!
//! Invariant: an item that was refused is not sent again by itself, unless its error says that it may be. Once somebody
//! has the run go on, it is, alone.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trunnion_core::{
    call::CallError,
    mapping::{Environment, Template},
    payload::{List, Part, Payload},
};

use super::{
    Actor, Effect, Performed, Place, unmapped,
    vendor::{Asked, Whom},
};
use crate::{
    error::{Error, Result},
    outbox::Leaving,
};

/// Bytes of JSON in one group, roughly: what a vendor and a guest's memory can take.
const MOST_BYTES: usize = 4 << 20;

/// Items that are sent together, where they stand: a list may be large.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// The place of the first in the whole list.
    pub(in crate::runs) first: usize,
    /// How many they are.
    pub(in crate::runs) count: usize,
    list: &'a List<'a>,
}

impl<'a> Group<'a> {
    /// A whole list, however long.
    pub(in crate::runs) fn of(list: &'a List<'a>) -> Self {
        Self { first: 0, count: list.len(), list }
    }

    /// The items.
    fn items(self) -> impl Iterator<Item = Part<'a>> {
        (self.first..self.first + self.count).filter_map(|index| self.list.get(index))
    }
}

/// What came of a group that was sent.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::runs) struct Sent {
    /// What was given for those that went well, where it was not null, with their places in the whole list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::runs) outputs: Vec<(usize, Value)>,
    /// Those that were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::runs) refused: Vec<Refused>,
}

/// An item that was refused.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::runs) struct Refused {
    /// Its place in the whole list.
    pub(in crate::runs) index: usize,
    /// The item.
    item: Payload,
    /// With what.
    pub(in crate::runs) error: CallError,
    /// How often somebody had had the run go on by then.
    #[serde(default)]
    redrives: u32,
}

/// Divides a list: the same list always gives the same groups, by which they are known over any stop.
pub(in crate::runs) fn groups<'a>(list: &'a List<'a>, most: usize) -> Vec<Group<'a>> {
    let mut groups = Vec::new();
    let (mut first, mut count, mut bytes) = (0, 0, 0);
    for item in list.iter() {
        let size = item.bytes();
        if count > 0 && (count >= most || bytes + size > MOST_BYTES) {
            groups.push(Group { first, count, list });
            first += count;
            (count, bytes) = (0, 0);
        }
        bytes += size;
        count += 1;
    }
    groups.extend((count > 0).then_some(Group { first, count, list }));
    groups
}

impl Actor {
    /// Sends the group that the place stands in.
    pub(super) async fn send(
        &self,
        place: &Place<'_>,
        step: &str,
        whom: Whom<'_>,
        input: &Template,
        environment: &Environment<'_>,
    ) -> Result<Performed> {
        let Some(group) = place.group else {
            return Err(Error::Internal(format!("step `{step}` stands in no group")));
        };
        let first = group.first;
        let mut texts = Vec::with_capacity(group.count);
        let unmapped: Vec<Option<CallError>> = group
            .items()
            .enumerate()
            .map(|(offset, item)| {
                let environment = Environment { item: Some((item, first + offset)), ..*environment };
                let written = input.write(&environment).map_err(unmapped);
                written.map(|input| texts.push(input)).err()
            })
            .collect();
        let redrives = place.run.state.redrives;
        let judge = |answers: Vec<Result<String, CallError>>| {
            let mut answers = answers.into_iter();
            let mut sent = Sent::default();
            for ((offset, item), unmapped) in group.items().enumerate().zip(&unmapped) {
                let index = first + offset;
                let answer = match unmapped {
                    Some(error) => Err(error.clone()),
                    None => {
                        answers.next().unwrap_or_else(|| Err(unanswered())).and_then(|text| parsed(&text))
                    }
                };
                match answer {
                    Ok(Value::Null) => {}
                    Ok(output) => sent.outputs.push((index, output)),
                    Err(error) => {
                        sent.refused.push(Refused { index, item: item.to_payload(), error, redrives });
                    }
                }
            }
            let nothing_left = sent.refused.is_empty();
            let output = Payload::from(json!(sent));
            if nothing_left { Effect::Sufficed(output) } else { Effect::Output(output) }
        };
        let (result, log) = if texts.is_empty() {
            (Ok(judge(Vec::new())), Vec::new())
        } else {
            self.ask(place, step, whom, Asked::Each(&texts, &judge)).await?
        };
        Ok(Performed { input: json!({ "items": group.count }).into(), result, log, leaving: Leaving::none() })
    }

    /// Fails as the group's item did; once somebody had the run go on, or the error says that it can help, the item is
    /// sent alone.
    pub(super) async fn again(
        &self,
        place: &Place<'_>,
        step: &str,
        whom: Whom<'_>,
        input: &Template,
        environment: &Environment<'_>,
    ) -> Result<Performed> {
        let refused = place.item.and_then(|(item, _)| item.read().ok());
        let Some(Refused { index, item, error, redrives }) = refused else {
            return Err(Error::Internal(format!("step `{step}` stands in nothing that was refused")));
        };
        if place.state.attempt <= 1 && place.run.state.redrives <= redrives {
            return Ok(Performed::early(item, error));
        }
        let environment = Environment { item: Some((item.whole(), index)), ..*environment };
        match input.payload(&environment) {
            Err(error) => Ok(Performed::early(item, unmapped(error))),
            Ok(input) => {
                let (result, log) = self.ask(place, step, whom, Asked::Run(&input.to_text())).await?;
                Ok(Performed { input, result, log, leaving: Leaving::none() })
            }
        }
    }
}

fn parsed(text: &str) -> Result<Value, CallError> {
    let not_json =
        |error| CallError::Trapped { message: format!("the action's output is not JSON: {error}") };
    serde_json::from_str(text).map_err(not_json)
}

/// The sandbox has counted the answers; what it let pass without one is in doubt.
fn unanswered() -> CallError {
    CallError::Uncertain { message: "the connector did not say what became of the item".to_owned() }
}
