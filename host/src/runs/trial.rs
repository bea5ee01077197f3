//! Test-runs: the draft of a workflow is gone through once with a sample, to show what each step would be given and give.
//!
//! The run machine decides and the very mappings and conditions of runs are evaluated; only what leaves the host is stood
//! in for, unless the caller names a step that is to be carried out. A step that fails does not hide the faults behind it:
//! the trial goes on with whatever does not depend on it.
//!
//! Invariants: nothing of it is stored, neither run nor event nor dead letter. What is carried out goes by the vault, the
//! broker and the rate limits, as a run's does, under an idempotency key of its own. Time, steps, items and bytes are
//! bounded. `wish` checks what is asked for, `walk` goes through a block, `step` does one step, `loops` the lists, and
//! `listing` says it all in the definition's order.

mod listing;
mod loops;
mod step;
mod walk;
mod wish;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tokio::sync::Semaphore;
use trunnion_core::{
    answer::Answer,
    call::CallError,
    clock::Timestamp,
    definition::{Definition, Trigger},
    id::{ConnectionId, UserId, WorkflowId},
    machine::{Outcome, RunState, Status},
    mapping::UserNames,
    problem::Problem,
    records::{EventSource, LiveRun, LogLine, User},
    release,
    scope::Scope,
};

use self::{
    step::Left,
    walk::{Around, Block},
    wish::Granted,
};
use super::act::Actor;
use crate::{
    context::Context,
    error::{Error, Result},
    users::Users,
    vault::Vault,
    workflows::{Installer, Library, catalog::Catalog},
};

/// Trials that are under way at once.
const MOST_AT_ONCE: usize = 8;
/// When to come again where there are as many.
const BUSY: Duration = Duration::from_secs(1);
/// How long one takes at most.
const LONGEST: Duration = Duration::from_secs(30);
/// Steps that one goes through, those of every item counted.
const MOST_STEPS: usize = 1_000;
/// Bytes of inputs and outputs that one keeps, roughly.
const MOST_BYTES: usize = 8 << 20;
/// Items of each list that are tried, where nothing is said, and at most.
pub const ITEMS: usize = 5;
/// Items of each list that may be tried.
pub const MOST_ITEMS: usize = 50;
/// Who `user` is in mappings, where no user is named.
const NOBODY: (&str, &str) = ("sample-user", "Sample User");

/// Tries drafts.
#[derive(Clone, Debug)]
pub struct Trials {
    context: Context,
    actor: Actor,
    library: Library,
    installer: Installer,
    vault: Vault,
    users: Users,
    turns: Arc<Semaphore>,
}

/// What somebody wants to be tried, and with what.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// `trigger` in mappings; the trigger's own sample where absent.
    pub sample: Option<Value>,
    /// Whose run it would be, by id or username.
    pub user: Option<String>,
    /// The user's connections by app, where what their copy has, or the only one, is not meant.
    pub connections: BTreeMap<String, ConnectionId>,
    /// Values of configurable fields.
    pub config: BTreeMap<String, Value>,
    /// What steps are taken to give, by their ids; of a loop over a vendor's listing, its items.
    pub outputs: BTreeMap<String, Value>,
    /// The ids of the steps that are really carried out.
    pub perform: Vec<String>,
    /// How many items of each list are tried.
    pub items: Option<usize>,
}

/// What a trial showed.
#[derive(Debug)]
pub struct Trial {
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// Everything that keeps the draft from being released.
    pub problems: Vec<Problem>,
    /// What a run would come to.
    pub came_to: CameTo,
    /// The step that ended it, where one did.
    pub ended_at: Option<String>,
    /// Why not everything was gone through, where a bound was reached.
    pub stopped: Option<String>,
    /// `trigger` in mappings.
    pub trigger: Value,
    /// `config` in mappings.
    pub config: BTreeMap<String, Value>,
    /// Whose run it would be, where somebody was named.
    pub user: Option<UserId>,
    /// The ids of the steps that were carried out.
    pub performed: Vec<String>,
    /// Every step in the definition's order; those inside a loop stand with its items.
    pub steps: Vec<Tried>,
    /// What whoever waits for the run would be answered, where somebody would.
    pub answer: Option<Answer>,
    /// How long it took.
    pub took: Duration,
}

/// What a run of the draft would come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameTo {
    /// Every step on its way would be done.
    Succeeded,
    /// A filter would end it.
    Filtered,
    /// A step would fail it.
    Failed,
    /// Nobody can say: a step cannot be run, gives what is not known, or a bound was reached.
    Unknown,
}

/// What kind of step it is, as definitions name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `action`
    Action,
    /// `stream`
    Stream,
    /// `filter`
    Filter,
    /// `branch`
    Branch,
    /// `for_each`
    ForEach,
    /// `batch`
    Batch,
    /// `set`
    Set,
    /// `delay`
    Delay,
    /// `call`
    Call,
    /// `respond`
    Respond,
}

/// How a step, or an item, fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was done, as a run does it.
    Succeeded,
    /// It was really carried out.
    Performed,
    /// It was not carried out: its input is what it would be given, its output stands in.
    Simulated,
    /// Its condition does not hold.
    Filtered,
    /// It fails.
    Failed,
    /// It was not tried to its end: it needs what another step did not give, or a bound was reached.
    Skipped,
    /// The draft is wrong here, so that it cannot be run.
    Invalid,
    /// The way did not lead here.
    NotReached,
}

/// What came of one step.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Its id.
    pub id: String,
    /// JSON pointer to it in the definition.
    pub at: String,
    /// What kind it is.
    pub kind: Kind,
    /// How it fared.
    pub standing: Standing,
    /// Whether a run would have ended before it, by a step that fails.
    pub beyond: bool,
    /// What it was given, after mapping.
    pub input: Option<Value>,
    /// What it gives: `steps.<id>` in mappings.
    pub output: Option<Value>,
    /// What it fails with.
    pub error: Option<CallError>,
    /// Each field of its input that cannot be made or does not fit, by JSON pointer.
    pub problems: Vec<Problem>,
    /// What else there is to say of it.
    pub note: Option<String>,
    /// Of a branch: the ways that are gone, from 1; 0 is `otherwise`.
    pub ways: Option<Vec<usize>>,
    /// Of a delay: how long a run would wait.
    pub waits: Option<Duration>,
    /// Of a loop: what came of its items.
    pub items: Option<Items>,
    /// What was sent and what connectors said.
    pub log: Vec<LogLine>,
    /// How long it took.
    pub took: Duration,
}

/// What came of the items of a loop.
#[derive(Clone, Debug)]
pub struct Items {
    /// How many there are.
    pub count: usize,
    /// Those that were tried, which are the first.
    pub tried: Vec<TriedItem>,
}

/// What came of one item.
#[derive(Clone, Debug)]
pub struct TriedItem {
    /// Its place, from 0.
    pub index: usize,
    /// How it fared.
    pub standing: Standing,
    /// Of a `batch`: what the action is given for it.
    pub input: Option<Value>,
    /// Of a `batch`: what the action gives for it.
    pub output: Option<Value>,
    /// What it fails with.
    pub error: Option<CallError>,
    /// Of a `batch`: each field of its input that cannot be made or does not fit.
    pub problems: Vec<Problem>,
    /// Of a `for_each`: its steps.
    pub steps: Vec<Tried>,
}

/// A trial under way: what it is made of.
struct Trying<'a> {
    trials: &'a Trials,
    scope: &'a Scope,
    definition: &'a Definition,
    catalog: &'a Catalog,
    problems: &'a [Problem],
    run: LiveRun,
    user: UserNames<'a>,
    outputs: BTreeMap<String, Value>,
    perform: BTreeSet<String>,
    items: usize,
    until: Timestamp,
}

impl Trials {
    /// Carries out by `actor` what it is asked to.
    #[must_use]
    pub fn new(
        context: Context,
        actor: Actor,
        (library, installer): (Library, Installer),
        (vault, users): (Vault, Users),
    ) -> Self {
        let turns = Arc::new(Semaphore::new(MOST_AT_ONCE));
        Self { context, actor, library, installer, vault, users, turns }
    }

    /// Goes through the draft of a workflow.
    pub async fn of_draft(&self, scope: &Scope, workflow: WorkflowId, wish: Wish) -> Result<Trial> {
        let stored = self.library.workflow(scope, workflow).await?;
        let user = match &wish.user {
            Some(user) => Some(self.users.find(scope, user).await?),
            None => None,
        };
        let Ok(_turn) = self.turns.try_acquire() else { return Err(Error::Busy { retry_after: BUSY }) };
        let definition = &stored.draft;
        let catalog = Catalog::of(&self.context, scope, definition).await?.of_workflow(workflow);
        let attempt = release::attempt(definition, &catalog);
        let problems = attempt.problems;
        let begun = self.context.now();
        let granted = self.grant(scope, (&stored, &catalog, &problems), wish, user.as_ref()).await?;
        let Granted { trigger, connections, config, outputs, perform, items } = granted;
        let nobody: UserId = self.context.ids.next();
        let run = LiveRun {
            id: self.context.ids.next(),
            event: self.context.ids.next(),
            source: EventSource::Request { callback: false },
            trigger: trigger.into(),
            user: user.as_ref().map_or(nobody, |user| user.id),
            installation: self.context.ids.next(),
            workflow,
            release: stored.latest_release.saturating_add(1),
            // Whatever is active is called: nothing was fixed by an accept.
            digests: BTreeMap::new(),
            connections,
            config,
            accepted_at: begun,
            state: RunState::queued(begun),
            line: None,
            replay_of: None,
            replays: Vec::new(),
            log: Vec::new(),
        };
        let (username, full_name) = names(user.as_ref());
        let trying = Trying {
            trials: self,
            scope,
            definition,
            catalog: &catalog,
            problems: &problems,
            user: UserNames { id: run.user, username, full_name },
            run,
            outputs,
            perform,
            items,
            until: begun + LONGEST,
        };
        let mut left = Left::new(trying.missing(&attempt.program));
        let around = Around { seeds: trying.seeds(&mut left), ..Around::default() };
        let Block { state, mut tried } = trying.block(&mut left, &attempt.program, around).await?;
        let steps = trying.listing(&definition.steps, "/steps", &mut tried);
        let (came_to, ended_at) = came_to(&state, !problems.is_empty() || left.is_unsure());
        let waited_for = matches!(definition.trigger, Trigger::Request { .. } | Trigger::Call { .. });
        let answer = attempt.program.answer(&state).filter(|_| waited_for && came_to != CameTo::Unknown);
        let Trying { run, .. } = trying;
        Ok(Trial {
            workflow,
            came_to,
            ended_at,
            stopped: left.stopped,
            trigger: run.trigger.to_value().into_owned(),
            config: run.config,
            user: user.map(|user| user.id),
            performed: left.performed.into_iter().collect(),
            steps,
            answer,
            took: self.context.now().since(begun),
            problems,
        })
    }
}

fn names(user: Option<&User>) -> (&str, Option<&str>) {
    match user {
        Some(user) => (&user.username, user.full_name.as_deref()),
        None => (NOBODY.0, Some(NOBODY.1)),
    }
}

/// What a run that stands so came to, where it is sure that it would have come so far.
fn came_to(state: &RunState, unsure: bool) -> (CameTo, Option<String>) {
    match &state.status {
        Status::Ended { outcome: Outcome::Failed { step, .. }, .. } => (CameTo::Failed, Some(step.clone())),
        Status::Ended { outcome: Outcome::Filtered { step }, .. } => (CameTo::Filtered, Some(step.clone())),
        Status::Ended { outcome: Outcome::Succeeded, .. } if !unsure => (CameTo::Succeeded, None),
        _ => (CameTo::Unknown, None),
    }
}
