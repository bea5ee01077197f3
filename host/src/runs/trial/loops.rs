//! Loops of a trial: the first items of a list, those of a vendor's listing, and the inputs of a `batch`.

use serde_json::{Value, json};
use trunnion_core::{
    call::CallError,
    machine::{OnError, Outcome, RunState, Status},
    mapping::Environment,
    payload::{List, Part},
    release::{CompiledKind, Program},
};

use super::{
    Items, Standing, Tried, TriedItem, Trying,
    step::{Came, Left, misfits, target_of},
    walk::{Around, Block},
};
use crate::{
    error::{Error, Result},
    runs::{
        act::{Group, Place, Sent},
        items::told::{Brief, Told, told},
    },
};

impl Trying<'_> {
    /// Tries the first items of a list: the body for each, or what is sent for each, where they are `grouped`.
    pub(super) async fn items(
        &self,
        left: &mut Left,
        place: &Place<'_>,
        (id, body, grouped): (&str, &Program, bool),
        items: &List<'_>,
        one: &mut Tried,
    ) -> Result<Came> {
        let told = self.tried_items(left, place, (id, body, grouped), items, one).await?;
        Ok(self.came_of(left, one, told))
    }

    /// What a loop came to, by what its items did.
    fn came_of(&self, left: &mut Left, one: &mut Tried, told: Told) -> Came {
        let tried = one.items.as_ref().map_or((0, 0), |items| (items.tried.len(), items.count));
        if tried.0 < tried.1 {
            one.note =
                Some(format!("the first {} of {} items were tried; `items` says how many", tried.0, tried.1));
        }
        let failure = told.failure();
        let continues = self.on_error(&one.id) == OnError::Continue;
        match failure.filter(|_| !continues) {
            Some(error) => {
                // What came of the items is what people look for, and nothing behind it reads it.
                one.output = Some(told.output);
                Came::Failed(error)
            }
            None if left.stopped.is_some() => {
                one.standing = Standing::Skipped;
                Came::Unknown("not every item was tried, so that what it gives is not known".to_owned())
            }
            None => Came::Output(told.output),
        }
    }

    fn on_error(&self, id: &str) -> OnError {
        let every = self.definition.every_step();
        every.into_iter().find(|(_, step)| step.id == id).map_or(OnError::Fail, |(_, step)| step.on_error)
    }

    async fn tried_items(
        &self,
        left: &mut Left,
        place: &Place<'_>,
        (id, body, grouped): (&str, &Program, bool),
        items: &List<'_>,
        one: &mut Tried,
    ) -> Result<Told> {
        let first = items.first(self.items);
        let mut tried = Vec::new();
        let told = if grouped {
            self.group(left, place, (id, body), &first, (one, &mut tried)).await?
        } else {
            let mut states = Vec::new();
            for (index, item) in first.iter().enumerate() {
                if left.stopped.is_some() {
                    break;
                }
                let around = left.unavailable.clone();
                let (item, state) = self.item(left, place, (&one.at, id, body), (item, index)).await?;
                // What was lost in one item is there in the next.
                left.unavailable = around;
                states.push((index, state));
                tried.push(item);
            }
            told(states.iter().map(|(index, state)| (*index, state)), Brief::No)
        };
        one.items = Some(Items { count: items.len(), tried });
        Ok(told)
    }

    async fn item(
        &self,
        left: &mut Left,
        place: &Place<'_>,
        (at, id, body): (&str, &str, &Program),
        (item, index): (Part<'_>, usize),
    ) -> Result<(TriedItem, RunState)> {
        let outer = place.results();
        let path = format!("{}{id}[{index}].", place.path);
        let around = Around { outer: Some(&outer), item: Some((item, index)), path, seeds: Vec::new() };
        let Block { state, mut tried } = self.block(left, body, around).await?;
        let every = self.definition.every_step();
        let inside = every.into_iter().find(|(place, _)| place == at).map(|(_, step)| step.blocks());
        let mut steps = Vec::new();
        for (below, block) in inside.unwrap_or_default() {
            steps.extend(self.listing(block, &format!("{at}{below}"), &mut tried));
        }
        let (standing, error) = match &state.status {
            Status::Ended { outcome: Outcome::Succeeded, .. } => (Standing::Succeeded, None),
            Status::Ended { outcome: Outcome::Filtered { .. }, .. } => (Standing::Filtered, None),
            Status::Ended { outcome: Outcome::Failed { error, .. }, .. } => {
                (Standing::Failed, Some(error.clone()))
            }
            _ => (Standing::Skipped, None),
        };
        let (input, output, problems) = (None, None, Vec::new());
        Ok((TriedItem { index, standing, input, output, error, problems, steps }, state))
    }

    /// What is sent for each item of a `batch`.
    async fn group(
        &self,
        left: &mut Left,
        place: &Place<'_>,
        (id, body): (&str, &Program),
        items: &List<'_>,
        (one, tried): (&mut Tried, &mut Vec<TriedItem>),
    ) -> Result<Told> {
        let Some((target, input)) = target_of(body.steps.first()) else {
            return Err(Error::Internal(format!("`{id}` sends nothing")));
        };
        let action = self.action(&target.app, &target.action);
        let sample = action.as_ref().map(|action| action.sample_output.clone()).unwrap_or_default();
        one.standing = Standing::Simulated;
        for (index, item) in items.iter().enumerate() {
            let environment = Environment { item: Some((item, index)), ..place.environment(self.user) };
            let (input, problems, error) = match self.given(input, &environment, action.as_ref()) {
                Ok((input, problems)) => {
                    let error = misfits(&problems);
                    (Some(input), problems, error)
                }
                Err((error, problems)) => (None, problems, Some(error)),
            };
            left.spend(input.as_ref());
            let standing = if error.is_some() { Standing::Failed } else { Standing::Simulated };
            let output = error.is_none().then(|| sample.clone());
            tried.push(TriedItem { index, standing, input, output, error, problems, steps: Vec::new() });
        }
        if self.perform.contains(id) && !items.is_empty() {
            let state = RunState::queued(self.now());
            let (group, path) = (Some(Group::of(items)), format!("{}{id}[0].", place.path));
            let place = Place { program: body, state: &state, group, path: &path, ..*place };
            let sent = self.carry_out(left, place, (0, id), one).await?;
            fared(tried, sent.and_then(read));
        }
        Ok(told_of(tried))
    }

    /// A loop over a vendor's listing: one page of it, read where the step is carried out.
    pub(super) async fn pages(
        &self,
        left: &mut Left,
        place: &Place<'_>,
        (id, body): (&str, &Program),
        one: &mut Tried,
    ) -> Result<Came> {
        let (Some((target, input)), Some(each)) = (target_of(body.steps.first()), body.steps.get(1)) else {
            return Err(Error::Internal(format!("`{id}` reads no pages")));
        };
        let CompiledKind::ForEach { group, body: inner, .. } = &each.kind else {
            return Err(Error::Internal(format!("`{id}` does nothing with its pages")));
        };
        let action = self.action(&target.app, &target.action);
        let (input, problems) = match self.given(input, &place.environment(self.user), action.as_ref()) {
            Ok(given) => given,
            Err((error, problems)) => {
                one.problems = problems;
                return Ok(Came::Failed(error));
            }
        };
        (one.input, one.problems) = (Some(input), problems);
        let state = RunState::queued(self.now());
        let page = if self.perform.contains(id) {
            let path = format!("{}{id}[0].", place.path);
            let page = Place { program: body, state: &state, path: &path, cursor: None, ..*place };
            match self.carry_out(left, page, (0, id), one).await? {
                Ok(page) => page,
                Err(error) => return Ok(Came::Failed(error)),
            }
        } else {
            if let Some(error) = misfits(&one.problems) {
                return Ok(Came::Failed(error));
            }
            let given = self.outputs.get(id).map(|items| json!({ "items": items }));
            given.or_else(|| action.map(|action| action.sample_output)).unwrap_or_default()
        };
        let items = page.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let items = &List::Parsed(items);
        let read = one.standing;
        let mut told = self.tried_items(left, place, (id, inner, group.is_some()), items, one).await?;
        one.standing = if read == Standing::Performed { read } else { Standing::Simulated };
        if let Value::Object(output) = &mut told.output {
            output.insert("pages".to_owned(), json!(1));
            // Of a listing of any length, only what failed is told.
            if let Some(Value::Array(results)) = output.get_mut("results") {
                results.retain(|result| result.get("status").is_some_and(|status| status == "failed"));
            }
        }
        Ok(self.came_of(left, one, told))
    }
}

/// What was said of a group that was sent.
fn read(output: Value) -> Result<Sent, CallError> {
    let trapped = |error: serde_json::Error| CallError::Trapped {
        message: format!("what it gave is not known: {error}"),
    };
    serde_json::from_value(output).map_err(trapped)
}

/// What the items of a group that was sent came to.
fn fared(tried: &mut [TriedItem], sent: Result<Sent, CallError>) {
    let sent = match sent {
        Ok(sent) => sent,
        Err(error) => {
            for item in tried.iter_mut() {
                (item.standing, item.output, item.error) = (Standing::Failed, None, Some(error.clone()));
            }
            return;
        }
    };
    for item in tried.iter_mut() {
        let refused = sent.refused.iter().find(|refused| refused.index == item.index);
        let output = sent.outputs.iter().find(|(index, _)| *index == item.index);
        item.output = output.map(|(_, output)| output.clone());
        item.error = refused.map(|refused| refused.error.clone());
        item.standing = if item.error.is_some() { Standing::Failed } else { Standing::Performed };
    }
}

/// What a `batch` gives, as runs have it.
fn told_of(tried: &[TriedItem]) -> Told {
    let named = tried.iter().filter_map(|TriedItem { index, output, error, .. }| match (error, output) {
        (Some(error), _) => {
            let error = json!({ "kind": error.kind(), "message": error.to_string() });
            Some(json!({ "index": index, "status": "failed", "error": error }))
        }
        (None, Some(output)) => Some(json!({ "index": index, "status": "succeeded", "output": output })),
        (None, None) => None,
    });
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let failed = count(tried.iter().filter(|item| item.error.is_some()).count());
    let all = count(tried.len());
    let first = tried
        .iter()
        .find_map(|item| Some((format!("item {}", item.index), item.error.as_ref()?.to_string())));
    let results: Vec<_> = named.collect();
    let output = json!({ "results": results, "succeeded": all - failed, "failed": failed, "filtered": 0 });
    Told { output, first_error: first, failed, count: all }
}
