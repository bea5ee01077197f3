//! One step of a trial: done as a run does it where it only computes, stood in for where it leaves the host, and carried
//! out where the caller says so.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    machine::{Event, OnError},
    manifest::ActionSpec,
    mapping::{MappingError, Template},
    payload::{List, Part, Payload},
    problem::Problem,
    release::{Catalog as _, CompiledKind, CompiledStep, Items, Program, Target},
};

use super::{
    MOST_BYTES, MOST_STEPS, Standing, Tried, Trying,
    walk::{Tries, behind, branch_of},
};
use crate::{
    error::{Error, Result},
    runs::act::{Doing, Effect, Performed, Place, unmapped},
    schema::Schema,
};

/// What is left of a trial's bounds, and what it has found out.
#[derive(Debug)]
pub(super) struct Left {
    steps: usize,
    bytes: usize,
    /// Why it does not go on.
    pub(super) stopped: Option<String>,
    /// The ids of steps whose results are not there to be used.
    pub(super) unavailable: BTreeSet<String>,
    /// Whether anything is not as a run would have it.
    pub(super) unsure: bool,
    /// The ids of the steps that were carried out.
    pub(super) performed: BTreeSet<String>,
}

/// How a trial goes on behind a step.
pub(super) enum Went {
    /// As the machine says.
    On(Event),
    /// At this step, without a result.
    Over(usize),
}

/// What a step came to.
pub(super) enum Came {
    Output(Value),
    Filtered,
    Failed(CallError),
    /// What it gives is not known, and why.
    Unknown(String),
}

/// What is given to somebody outside, and what stands in for what they say.
struct Outgoing<'a> {
    input: &'a Template,
    /// Whose schema the input is held against.
    action: Option<ActionSpec>,
    output: Option<Value>,
}

impl Left {
    pub(super) fn new(unavailable: BTreeSet<String>) -> Self {
        Self {
            steps: MOST_STEPS,
            bytes: MOST_BYTES,
            stopped: None,
            unsure: !unavailable.is_empty(),
            unavailable,
            performed: BTreeSet::new(),
        }
    }

    pub(super) const fn is_unsure(&self) -> bool {
        self.unsure || self.stopped.is_some()
    }

    /// Whether one more step may be done.
    pub(super) fn goes_on(&mut self, now: Timestamp, until: Timestamp) -> bool {
        if self.stopped.is_none() {
            self.stopped = if self.steps == 0 {
                Some(format!(
                    "{MOST_STEPS} steps were tried, which is the most; give a shorter sample or fewer `items`"
                ))
            } else if self.bytes == 0 {
                let megabytes = MOST_BYTES >> 20;
                Some(format!(
                    "what was tried has more than {megabytes} MB, which is the most; give a smaller sample"
                ))
            } else if now >= until {
                let seconds = super::LONGEST.as_secs();
                Some(format!(
                    "it took more than {seconds} s, which is the most; give a shorter sample, or perform less"
                ))
            } else {
                None
            };
        }
        self.steps = self.steps.saturating_sub(1);
        self.stopped.is_none()
    }

    pub(super) fn spend(&mut self, value: Option<&Value>) {
        self.bytes = self.bytes.saturating_sub(value.map_or(0, |value| Part::Parsed(value).bytes()));
    }
}

impl Tried {
    pub(super) fn fails(&mut self, error: &CallError) {
        self.standing = Standing::Failed;
        self.error = Some(error.clone());
    }
}

impl Trying<'_> {
    /// Tries the step of this index; `beyond` where a run would have ended before.
    pub(super) async fn step(
        &self,
        left: &mut Left,
        place: Place<'_>,
        (index, beyond): (usize, bool),
        tried: &mut Tries,
    ) -> Result<Went> {
        let (Some(compiled), Some(rule)) = (place.program.steps.get(index), place.program.rules.get(index))
        else {
            return Err(Error::Internal(format!("step {index} is not there")));
        };
        if matches!(compiled.kind, CompiledKind::Guard { .. }) {
            return self.guard(left, place, (index, beyond), tried).await;
        }
        let started_at = self.now();
        let Some(mut one) = self.about(&compiled.at) else {
            // What a pre-process flow ends with: nobody is called.
            return Ok(Went::Over(rule.next));
        };
        one.beyond = beyond;
        if let Some(reason) = lacks(&compiled.kind, &left.unavailable) {
            (one.standing, one.note) = (Standing::Skipped, Some(reason));
            left.unavailable.insert(compiled.id.clone());
            left.unsure = true;
            tried.insert(compiled.at.clone(), one);
            return Ok(Went::Over(rule.next));
        }
        let came = self.do_step(left, &place, index, &mut one).await?;
        one.took = self.now().since(started_at);
        let input = Payload::from(one.input.clone().unwrap_or_default());
        let went = match came {
            Came::Output(output) => {
                one.output = Some(output.clone());
                Went::On(Event::Done { started_at, input, output: output.into() })
            }
            Came::Filtered => {
                one.standing = Standing::Filtered;
                Went::On(Event::Filtered)
            }
            Came::Failed(error) => {
                one.fails(&error);
                if rule.on_error == OnError::Fail {
                    left.unavailable.insert(compiled.id.clone());
                }
                Went::On(Event::Failed { started_at, input, error, jitter: 0 })
            }
            Came::Unknown(reason) => {
                one.note = Some(reason);
                left.unavailable.insert(compiled.id.clone());
                left.unsure = true;
                Went::Over(rule.next)
            }
        };
        left.spend(one.input.as_ref());
        left.spend(one.output.as_ref());
        tried.insert(compiled.at.clone(), one);
        Ok(went)
    }

    /// A step as it is said, before anything came of it; none where it is not the definition's.
    fn about(&self, at: &str) -> Option<Tried> {
        let every = self.definition.every_step();
        every.into_iter().find(|(place, _)| place == at).map(|(_, step)| Tried::new(step, at))
    }

    /// The guard of a way.
    async fn guard(
        &self,
        left: &mut Left,
        place: Place<'_>,
        (index, beyond): (usize, bool),
        tried: &mut Tries,
    ) -> Result<Went> {
        let Some(CompiledStep { at, kind: kind @ CompiledKind::Guard { way, .. }, .. }) =
            place.program.steps.get(index)
        else {
            return Err(Error::Internal(format!("step {index} guards no way")));
        };
        let branch = branch_of(at);
        let Some(mut one) = tried.remove(branch).or_else(|| self.about(branch)) else {
            return Err(Error::Internal(format!("there is no branch at `{branch}`")));
        };
        one.beyond = beyond;
        let wrong = self.problems.iter().find(|problem| {
            let way = problem.at.strip_prefix(branch).and_then(|rest| rest.strip_prefix("/branches/"));
            way.and_then(|way| way.strip_suffix("/when")).is_some_and(|way| !way.contains('/'))
        });
        let over = behind(place.program, index);
        let went = if let Some(problem) = wrong {
            (one.standing, one.note) = (Standing::Invalid, Some(problem.message.clone()));
            self.lose(left, branch);
            Went::Over(over)
        } else if let Some(reason) = lacks(kind, &left.unavailable) {
            (one.standing, one.note) = (Standing::Skipped, Some(reason));
            self.lose(left, branch);
            Went::Over(over)
        } else {
            let started_at = self.now();
            let performed = self.evaluate(&place, index).await?;
            one.took += self.now().since(started_at);
            match performed.result {
                Ok(Effect::Guarded(holds)) => {
                    one.standing = Standing::Succeeded;
                    one.ways.get_or_insert_default().extend(holds.then_some(*way));
                    Went::On(Event::Guarded { holds })
                }
                Ok(other) => return Err(unexpected(&other)),
                Err(error) => {
                    one.fails(&error);
                    one.note = Some(format!("the condition of way {way} cannot be evaluated"));
                    self.lose(left, branch);
                    Went::On(Event::Failed { started_at, input: Payload::NULL, error, jitter: 0 })
                }
            }
        };
        tried.insert(branch.to_owned(), one);
        Ok(went)
    }

    /// Nothing inside this place is known.
    fn lose(&self, left: &mut Left, branch: &str) {
        let inside = |at: &str| at.strip_prefix(branch).is_some_and(|rest| rest.starts_with('/'));
        let lost = self.definition.every_step().into_iter().filter(|(at, _)| inside(at));
        left.unavailable.extend(lost.map(|(_, step)| step.id.clone()));
        left.unsure = true;
    }

    async fn do_step(
        &self,
        left: &mut Left,
        place: &Place<'_>,
        index: usize,
        one: &mut Tried,
    ) -> Result<Came> {
        let Some(CompiledStep { id, kind, .. }) = place.program.steps.get(index) else {
            return Err(Error::Internal(format!("step {index} is not there")));
        };
        one.standing = Standing::Succeeded;
        match kind {
            CompiledKind::Action { app, action, input, .. } => {
                let action = self.action(app, action);
                let output = action.as_ref().map(|action| action.sample_output.clone());
                self.outgoing(left, place, (index, id), Outgoing { input, action, output }, one).await
            }
            CompiledKind::Stream { body, .. } => {
                let output = Some(json!({ "status": 200 }));
                let outgoing = Outgoing { input: body, action: None, output };
                self.outgoing(left, place, (index, id), outgoing, one).await
            }
            CompiledKind::Call { input, .. } => {
                let outgoing = Outgoing { input, action: None, output: None };
                self.outgoing(left, place, (index, id), outgoing, one).await
            }
            CompiledKind::Pages { body } => self.pages(left, place, (id, body), one).await,
            CompiledKind::ForEach { items: Items::Given(_), group, body, .. } => {
                let performed = self.evaluate(place, index).await?;
                let made;
                let items = match performed.result {
                    Ok(Effect::Items(items)) => {
                        made = items;
                        made.whole().list()
                    }
                    Ok(Effect::ItemsInPlace) => place.list(index),
                    Ok(other) => return Err(unexpected(&other)),
                    Err(error) => return Ok(Came::Failed(error)),
                };
                let items = items.unwrap_or(List::Parsed(&[]));
                self.items(left, place, (id, body, group.is_some()), &items, one).await
            }
            _ => {
                let performed = self.evaluate(place, index).await?;
                match performed.result {
                    Ok(Effect::Output(output)) => Ok(Came::Output(output.to_value().into_owned())),
                    Ok(Effect::Filtered) => Ok(Came::Filtered),
                    Ok(Effect::Parked(until)) => {
                        one.standing = Standing::Simulated;
                        one.waits = Some(until.since(self.now()));
                        Ok(Came::Output(Value::Null))
                    }
                    Ok(other) => Err(unexpected(&other)),
                    Err(error) => {
                        one.problems = self.faults(kind, place, &error);
                        Ok(Came::Failed(error))
                    }
                }
            }
        }
    }

    /// Does what only computes, as a run does it.
    async fn evaluate(&self, place: &Place<'_>, index: usize) -> Result<Performed> {
        let in_place = place.list(index);
        self.trials.actor.act_for(self.user, *place, index, Doing::Perform, in_place.as_ref()).await
    }

    /// An action of an app's active connector.
    pub(super) fn action(&self, app: &str, action: &str) -> Option<ActionSpec> {
        self.catalog.manifest(app)?.action(action).cloned()
    }

    async fn outgoing(
        &self,
        left: &mut Left,
        place: &Place<'_>,
        (index, id): (usize, &str),
        Outgoing { input, action, output }: Outgoing<'_>,
        one: &mut Tried,
    ) -> Result<Came> {
        let (input, misfit) = match self.given(input, &place.environment(self.user), action.as_ref()) {
            Ok((input, problems)) => (input, problems),
            Err((error, problems)) => {
                one.problems = problems;
                return Ok(Came::Failed(error));
            }
        };
        one.input = Some(input);
        one.problems = misfit;
        if self.perform.contains(id) {
            return Ok(match self.carry_out(left, *place, (index, id), one).await? {
                Ok(output) => Came::Output(output),
                Err(error) => Came::Failed(error),
            });
        }
        one.standing = Standing::Simulated;
        if let Some(error) = misfits(&one.problems) {
            return Ok(Came::Failed(error));
        }
        Ok(match self.outputs.get(id).cloned().or(output) {
            Some(output) => Came::Output(output),
            None => Came::Unknown(format!(
                "what the called workflow answers is not known; give it as `{id}` in `outputs` to try what comes behind it"
            )),
        })
    }

    /// The input that a template gives, with what of it the action's schema does not take; else what cannot be made.
    pub(super) fn given(
        &self,
        input: &Template,
        environment: &trunnion_core::mapping::Environment<'_>,
        action: Option<&ActionSpec>,
    ) -> Result<(Value, Vec<Problem>), (CallError, Vec<Problem>)> {
        let input = input.render_whole(environment).map_err(|faults| {
            let first =
                faults.first().cloned().unwrap_or(MappingError { at: String::new(), message: String::new() });
            (unmapped(first), faults.into_iter().map(problem).collect::<Vec<_>>())
        })?;
        let problems = action.map_or_else(Vec::new, |action| unfit(action, &input));
        Ok((input, problems))
    }

    /// Really carries out a step, once, within the time that is left.
    pub(super) async fn carry_out(
        &self,
        left: &mut Left,
        place: Place<'_>,
        (index, id): (usize, &str),
        one: &mut Tried,
    ) -> Result<Result<Value, CallError>> {
        one.standing = Standing::Performed;
        left.performed.insert(id.to_owned());
        let time = self.until.since(self.now());
        let acting = self.evaluate(&place, index);
        let Ok(performed) = tokio::time::timeout(time, acting).await else {
            let message =
                "it did not end within the time of a test-run; whether it was carried out is not known"
                    .to_owned();
            return Ok(Err(CallError::Uncertain { message }));
        };
        let Performed { result, log, leaving, .. } = performed?;
        one.log.extend(log);
        Ok(match result {
            Ok(_) if !leaving.is_none() => {
                let message = "its destination gathers what several runs give into batches, which a test-run does not add \
                               to; nothing was sent";
                left.performed.remove(id);
                Err(CallError::Denied { message: message.to_owned() })
            }
            Ok(Effect::Output(output) | Effect::Sufficed(output)) => Ok(output.to_value().into_owned()),
            Ok(Effect::Held(wait)) => Err(wait.error.unwrap_or_else(|| {
                let wait = u64::try_from(wait.until.since(self.now()).as_millis()).unwrap_or(u64::MAX);
                CallError::RateLimited { retry_after_ms: Some(wait) }
            })),
            Ok(other) => return Err(unexpected(&other)),
            Err(error) => Err(error),
        })
    }

    /// Every fault of a step that only computes.
    fn faults(&self, kind: &CompiledKind, place: &Place<'_>, error: &CallError) -> Vec<Problem> {
        let environment = place.environment(self.user);
        let of = |at: &str, template: &Template| {
            let faults = template.render_whole(&environment).err().unwrap_or_default().into_iter();
            faults.map(|fault| Problem::new(format!("{at}{}", fault.at), fault.message)).collect::<Vec<_>>()
        };
        let found = match kind {
            CompiledKind::Set { value } => of("", value),
            CompiledKind::Respond { answer } => {
                let mut found = of("/status", &answer.status);
                found.extend(of("/headers", &answer.headers));
                found.extend(of("/body", &answer.body));
                found
            }
            _ => Vec::new(),
        };
        match error {
            CallError::InvalidInput { field, message } if found.is_empty() => {
                vec![Problem::new(field, message)]
            }
            _ => found,
        }
    }
}

/// What of an input the action's schema does not take.
fn unfit(action: &ActionSpec, input: &Value) -> Vec<Problem> {
    // A schema that cannot be read says nothing; connectors are checked for that when they are pushed.
    let misfits = Schema::new(&action.input).map_or_else(|_| Vec::new(), |schema| schema.misfits(input));
    misfits.into_iter().map(|misfit| Problem::new(misfit.at, misfit.message)).collect()
}

/// What an input that does not fit is refused with.
pub(super) fn misfits(problems: &[Problem]) -> Option<CallError> {
    let Problem { at, message } = problems.first()?;
    Some(CallError::InvalidInput { field: at.clone(), message: message.clone() })
}

fn problem(fault: MappingError) -> Problem {
    Problem::new(fault.at, fault.message)
}

pub(super) fn unexpected(effect: &Effect) -> Error {
    Error::Internal(format!("a step of a test-run gave {effect:?}"))
}

/// Why a step cannot be tried: it names steps whose results are not there.
fn lacks(kind: &CompiledKind, unavailable: &BTreeSet<String>) -> Option<String> {
    let mut names = BTreeSet::new();
    named(kind, &mut names);
    let missing: Vec<_> =
        names.into_iter().filter(|id| unavailable.contains(*id)).map(|id| format!("`{id}`")).collect();
    (!missing.is_empty()).then(|| {
        let missing = missing.join(", ");
        format!("it uses what {missing} did not give here; mend that, or give an output for it in `outputs`")
    })
}

/// The ids of the steps that a step's own mappings name.
fn named<'a>(kind: &'a CompiledKind, found: &mut BTreeSet<&'a str>) {
    match kind {
        CompiledKind::Action { input, .. }
        | CompiledKind::Call { input, .. }
        | CompiledKind::Page { input, .. }
        | CompiledKind::Send { input, .. } => found.extend(input.steps()),
        CompiledKind::Stream { body, .. } => found.extend(body.steps()),
        CompiledKind::Set { value } => found.extend(value.steps()),
        CompiledKind::Delay { seconds } => found.extend(seconds.steps()),
        CompiledKind::Respond { answer } => {
            found.extend(answer.status.steps());
            found.extend(answer.headers.steps());
            found.extend(answer.body.steps());
        }
        CompiledKind::Filter { condition } => found.extend(condition.steps().iter().map(String::as_str)),
        CompiledKind::Guard { conditions, .. } => {
            found.extend(conditions.iter().flat_map(|condition| condition.steps()).map(String::as_str));
        }
        CompiledKind::ForEach { items, group, body, .. } => {
            if let Items::Given(items) = items {
                found.extend(items.steps());
            }
            if group.is_some() {
                first(body, found);
            }
        }
        // The listing, and a `batch` over it; the steps of a `for_each` over it speak for themselves.
        CompiledKind::Pages { body } => body.steps.iter().for_each(|step| named(&step.kind, found)),
        CompiledKind::Again { .. } | CompiledKind::Route => {}
    }
}

fn first<'a>(body: &'a Program, found: &mut BTreeSet<&'a str>) {
    if let Some(step) = body.steps.first() {
        named(&step.kind, found);
    }
}

/// Whom a listing or batch asks.
pub(super) fn target_of(step: Option<&CompiledStep>) -> Option<(&Target, &Template)> {
    match &step?.kind {
        CompiledKind::Page { target, input } | CompiledKind::Send { target, input } => Some((target, input)),
        _ => None,
    }
}
