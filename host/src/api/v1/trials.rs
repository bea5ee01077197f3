//! `/v1/workflows/{workflow}/test`: a draft is gone through with a sample, before it is released.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Extension, Json,
    extract::{Path, State},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trunnion_core::{
    answer::Answer,
    id::ConnectionId,
    problem::Problem,
    records::{LogLevel, LogLine},
};
use utoipa::ToSchema;

use crate::{
    api::{
        Services, body,
        caller::Tenant,
        error::Failure,
        once::{About, Unkept},
        path,
        schema::{Fault, Id, Moment},
    },
    runs::trial::{self, CameTo, Kind, Standing},
};

/// With what a draft is tried. Every member may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = WorkflowTest)]
pub(super) struct Wish {
    /// What `trigger` is in mappings; the trigger's own sample where it is left out.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Value)]
    sample: Option<Value>,
    /// Whose run it would be, by id or username: their connections are used, and the values of their copy.
    user_id: Option<String>,
    /// The user's connections by app, where it is not that of their copy, or their only one.
    connections: BTreeMap<String, String>,
    /// Values of configurable fields by name.
    config: BTreeMap<String, Value>,
    /// What actions, streams and calls are taken to give, by the ids of their steps. Of a loop over a vendor's listing,
    /// the list of its items.
    outputs: BTreeMap<String, Value>,
    /// The ids of the steps that are really carried out: actions, streams, batches and listings. All others are not.
    perform: Vec<String>,
    /// How many items of each list are tried: 1 to 50, and 5 where nothing is said.
    #[schema(minimum = 1, maximum = 50)]
    items: Option<usize>,
}

/// A null is a sample as well.
fn given<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

/// What a run of the draft would do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowTried)]
pub(super) struct Trial {
    workflow_id: Id,
    /// What a run would come to; `unknown` where the draft has problems, a step's result is not known, or a bound was
    /// reached before its end.
    status: RunWould,
    /// The step that fails the run, or the filter that ends it.
    #[schema(required)]
    ended_at: Option<String>,
    /// Why not all of it was tried, where a bound was reached.
    #[schema(required)]
    stopped: Option<String>,
    /// Everything that keeps the draft from being released.
    problems: Vec<Problem>,
    /// What `trigger` was in mappings.
    trigger: Value,
    /// What `config` was in mappings.
    config: BTreeMap<String, Value>,
    /// The user, where one was named.
    #[schema(required)]
    user_id: Option<Id>,
    /// The steps that were really carried out. Nothing else left the host.
    performed: Vec<String>,
    /// Every step in the definition's order. The steps of a branch stand behind it, those of a loop with its items.
    steps: Vec<Tried>,
    /// What whoever waits for the run would be answered, where the workflow is requested or called.
    #[schema(required)]
    answer: Option<Answered>,
    /// How long the test took, in milliseconds.
    duration_ms: u64,
}

/// What a run would come to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TestStatus)]
enum RunWould {
    Succeeded,
    Filtered,
    Failed,
    Unknown,
}

/// What whoever waits for a run is answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowAnswer)]
struct Answered {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Value,
}

/// What came of one step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StepTried)]
struct Tried {
    id: String,
    /// JSON pointer to it in the definition.
    at: String,
    #[serde(rename = "type")]
    kind: StepType,
    status: Fared,
    /// Whether a run would have failed before it. It is tried since what is wrong with it is wrong in any case.
    after_failure: bool,
    /// What it is given, after mapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Value>,
    /// What it gives, or is taken to give: `steps.<id>` in mappings.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Value>,
    /// What it fails with.
    #[schema(required)]
    error: Option<Fault>,
    /// Each field of what it is given that cannot be made or does not fit, by JSON pointer into it.
    problems: Vec<Problem>,
    /// What else there is to say of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// Of a branch: the ways that are gone, counted from 1; 0 is `otherwise`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ways: Option<Vec<usize>>,
    /// Of a delay: how long a run would wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_seconds: Option<f64>,
    /// Of a loop: what came of its items.
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Items>,
    /// What was sent, and what connectors said.
    log: Vec<Line>,
    duration_ms: u64,
}

/// What kind of step it is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StepType {
    Action,
    Stream,
    Filter,
    Branch,
    ForEach,
    Batch,
    Set,
    Delay,
    Call,
    Respond,
}

/// How a step or item fared: `succeeded` is computed as in a run, `performed` was really carried out, `simulated` was not,
/// `skipped` uses what another step did not give, or met a bound, `invalid` cannot be run as the draft is, `not_reached` is not on the way.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = StepFared)]
enum Fared {
    Succeeded,
    Performed,
    Simulated,
    Filtered,
    Failed,
    Skipped,
    Invalid,
    NotReached,
}

/// What came of the items of a loop.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ItemsTried)]
struct Items {
    /// How many there are.
    count: usize,
    /// How many of them were not tried.
    more: usize,
    /// The first, which were tried.
    tried: Vec<Item>,
}

/// What came of one item.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ItemTried)]
struct Item {
    /// Its place, from 0.
    index: usize,
    status: Fared,
    /// Of a `batch`: what the action is given for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Value>,
    /// Of a `batch`: what the action gives for it, or is taken to give.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Value>,
    /// What it fails with.
    #[schema(required)]
    error: Option<Fault>,
    /// Of a `batch`: each field of its input that cannot be made or does not fit.
    problems: Vec<Problem>,
    /// Of a `for_each`: its steps.
    #[schema(no_recursion)]
    steps: Vec<Tried>,
}

/// What happened while a step was carried out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TestLine)]
struct Line {
    at: Moment,
    #[schema(value_type = String)]
    level: LogLevel,
    message: String,
}

/// Tries a workflow's draft
///
/// Goes through the draft once with a sample, as a run would, and shows what each step is given and gives. Nothing leaves
/// the host, but for the steps that `perform` names: what others would give is their connector's sample, or what `outputs`
/// says. Nothing is stored. What is wrong with the draft does not keep the rest from being tried.
#[utoipa::path(post, path = "/workflows/{workflow}/test", operation_id = "testWorkflow",
    security(("environment_key" = [])), request_body = Wish,
    responses((status = OK, description = "What a run would do.", body = Trial)))]
pub(super) async fn test(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(workflow): Path<String>,
    body: body::Json<Wish>,
) -> Result<impl IntoResponse, Failure> {
    let Wish { sample, user_id, connections, config, outputs, perform, items } = body.value;
    let connections =
        connections.into_iter().map(|(app, id)| Ok((app, path::id::<ConnectionId>(&id, "connection")?)));
    let wish = trial::Wish {
        sample,
        user: user_id,
        connections: connections.collect::<Result<_, Failure>>()?,
        config,
        outputs,
        perform,
        items,
    };
    let trial = services.trials.of_draft(&scope, path::id(&workflow, "workflow")?, wish).await?;
    // What computes gives the same again; what was carried out is not carried out again under the same key.
    let unkept = trial.performed.is_empty().then_some(Extension(Unkept));
    let about = trial.user.map(|user| Extension(About(user)));
    Ok((unkept, about, Json(Trial::from(trial))))
}

impl From<trial::Trial> for Trial {
    fn from(trial: trial::Trial) -> Self {
        let status = match trial.came_to {
            CameTo::Succeeded => RunWould::Succeeded,
            CameTo::Filtered => RunWould::Filtered,
            CameTo::Failed => RunWould::Failed,
            CameTo::Unknown => RunWould::Unknown,
        };
        Self {
            workflow_id: Id::of(trial.workflow),
            status,
            ended_at: trial.ended_at,
            stopped: trial.stopped,
            problems: trial.problems,
            trigger: trial.trigger,
            config: trial.config,
            user_id: trial.user.map(Id::of),
            performed: trial.performed,
            steps: trial.steps.into_iter().map(Tried::from).collect(),
            answer: trial.answer.map(|Answer { status, headers, body }| Answered { status, headers, body }),
            duration_ms: millis(trial.took),
        }
    }
}

impl From<trial::Tried> for Tried {
    fn from(one: trial::Tried) -> Self {
        Self {
            id: one.id,
            at: one.at,
            kind: one.kind.into(),
            status: one.standing.into(),
            after_failure: one.beyond,
            input: one.input,
            output: one.output,
            error: one.error.as_ref().map(Fault::from),
            problems: one.problems,
            note: one.note,
            ways: one.ways,
            waits_seconds: one.waits.map(|wait| wait.as_secs_f64()),
            items: one.items.map(Items::from),
            log: one.log.into_iter().map(Line::from).collect(),
            duration_ms: millis(one.took),
        }
    }
}

impl From<trial::Items> for Items {
    fn from(trial::Items { count, tried }: trial::Items) -> Self {
        let tried: Vec<_> = tried.into_iter().map(Item::from).collect();
        Self { count, more: count.saturating_sub(tried.len()), tried }
    }
}

impl From<trial::TriedItem> for Item {
    fn from(item: trial::TriedItem) -> Self {
        Self {
            index: item.index,
            status: item.standing.into(),
            input: item.input,
            output: item.output,
            error: item.error.as_ref().map(Fault::from),
            problems: item.problems,
            steps: item.steps.into_iter().map(Tried::from).collect(),
        }
    }
}

impl From<LogLine> for Line {
    fn from(LogLine { at, level, message, .. }: LogLine) -> Self {
        Self { at: Moment::of(at), level, message }
    }
}

impl From<Kind> for StepType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Action => Self::Action,
            Kind::Stream => Self::Stream,
            Kind::Filter => Self::Filter,
            Kind::Branch => Self::Branch,
            Kind::ForEach => Self::ForEach,
            Kind::Batch => Self::Batch,
            Kind::Set => Self::Set,
            Kind::Delay => Self::Delay,
            Kind::Call => Self::Call,
            Kind::Respond => Self::Respond,
        }
    }
}

impl From<Standing> for Fared {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Succeeded => Self::Succeeded,
            Standing::Performed => Self::Performed,
            Standing::Simulated => Self::Simulated,
            Standing::Filtered => Self::Filtered,
            Standing::Failed => Self::Failed,
            Standing::Skipped => Self::Skipped,
            Standing::Invalid => Self::Invalid,
            Standing::NotReached => Self::NotReached,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
