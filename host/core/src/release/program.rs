//! How nested steps become a flat program: branches are guards that name what follows, a `for_each` has a
//! program of its own for its items.
//!
//! Invariant: a rule's `next` and `otherwise` point behind it, so a run always comes to its end.

use serde_json::Value;

use super::{Catalog, check};
use crate::{
    definition::{Branch, Definition, EventBlock, Listing, Pick, Step, StepKind, Trigger},
    id::WorkflowId,
    machine::{Act, OnError, StepRule},
    manifest::{ActionSpec, Repeat},
    mapping::{Condition, Names, Template},
    problem::Problem,
    retry::RetryPolicy,
};

/// Steps that are performed one after the other, as their rules say.
#[derive(Debug, Default)]
pub struct Program {
    /// What is performed.
    pub steps: Vec<CompiledStep>,
    /// What the machine knows of each step.
    pub rules: Vec<StepRule>,
}

/// A compiled step.
#[derive(Debug)]
pub struct CompiledStep {
    /// Its id; a guard has its branch's.
    pub id: String,
    /// JSON pointer to it in the definition.
    pub at: String,
    /// What it does.
    pub kind: CompiledKind,
}

/// What a compiled step does.
#[derive(Debug)]
pub enum CompiledKind {
    /// Runs a connector's action.
    Action {
        /// The app.
        app: String,
        /// The manifest's action.
        action: String,
        /// The environment's own connection, where it is not the user's.
        connection: Option<String>,
        /// Gives the input.
        input: Template,
    },
    /// Sends a signed POST.
    Stream {
        /// The destination's name.
        destination: String,
        /// Gives the body.
        body: Template,
        /// What starts the workflow, which a destination may be told.
        event: EventBlock,
    },
    /// Ends the run, as filtered, unless it holds.
    Filter {
        /// What must hold.
        condition: Condition,
    },
    /// Goes on with the next step where it holds, else where its rule says.
    Guard {
        /// The way it guards, as people count them: from 1; 0 is the way where no condition held.
        way: usize,
        /// What must hold; for way 0 what must not, each.
        conditions: Vec<Condition>,
    },
    /// Performs a program for each item of a list.
    ForEach {
        /// What gives the list.
        items: Items,
        /// How many items make one, at most; each stands for itself where absent.
        group: Option<usize>,
        /// Items, or groups of them, under way at once.
        concurrency: usize,
        /// What is performed for each.
        body: Program,
    },
    /// Performs a program for each page of a vendor's list, one after the other.
    Pages {
        /// Reads the page, then does what is done for its items.
        body: Program,
    },
    /// Reads one page of a vendor's list.
    Page {
        /// Whom it asks.
        target: Target,
        /// Gives the input.
        input: Template,
    },
    /// Has an action done for the items of a group at once.
    Send {
        /// Whom it asks.
        target: Target,
        /// Gives the input for each.
        input: Template,
    },
    /// Has an action done for one item that was refused of a group, once somebody says so.
    Again {
        /// Whom it asks.
        target: Target,
        /// Gives the input.
        input: Template,
    },
    /// Computes a value.
    Set {
        /// Gives it.
        value: Template,
    },
    /// Waits.
    Delay {
        /// Gives the seconds.
        seconds: Template,
    },
    /// Runs another workflow.
    Call {
        /// Which.
        workflow: WorkflowId,
        /// Gives its `trigger`.
        input: Template,
    },
    /// Starts the workflow that the step before names, for the user that it names.
    Route,
    /// Answers whoever waits.
    Respond {
        /// Gives the answer.
        answer: Box<AnswerTemplate>,
    },
}

/// A connector's action, and on whose connection.
#[derive(Clone, Debug)]
pub struct Target {
    /// The app.
    pub app: String,
    /// The manifest's action.
    pub action: String,
    /// The environment's own connection, where it is not the user's.
    pub connection: Option<String>,
}

/// What gives the items of a list.
#[derive(Debug)]
pub enum Items {
    /// The definition.
    Given(Template),
    /// The page that was read just before.
    OfPage,
    /// The group that was sent just before: what was refused of it.
    Refused,
}

/// What gives an answer.
#[derive(Debug)]
pub struct AnswerTemplate {
    /// Gives the HTTP status.
    pub status: Template,
    /// Gives the headers.
    pub headers: Template,
    /// Gives the body.
    pub body: Template,
}

/// The id of the step that a pre-process flow ends with; no definition can have it.
pub const ROUTED: &str = "routed-to";

/// The ids of what stands inside a `batch`, and around the items of a page; no definition can have them.
const PAGE: &str = "page-read";
const OF_PAGE: &str = "page-items";
const SENT: &str = "batch-sent";
const REFUSED: &str = "batch-refused";
const AGAIN: &str = "refused-item";

/// Refused items of one batch that are under way at once.
const REFUSED_AT_ONCE: usize = 50;

/// How deep blocks may stand in each other.
const DEEPEST: usize = 8;

/// Compiles every step that can be; every problem at once.
pub(super) fn compile(definition: &Definition, catalog: &dyn Catalog) -> (Program, Vec<Problem>) {
    let every: Vec<String> = definition.every_step().into_iter().map(|(_, step)| step.id.clone()).collect();
    let mut compiler = Compiler { definition, catalog, every, problems: Vec::new() };
    let mut program = Program::default();
    compiler.block(&mut program, &definition.steps, "/steps", &Place::default());
    if matches!(definition.trigger, Trigger::Preprocess { .. }) {
        compiler.route(&mut program);
    }
    (program, compiler.problems)
}

struct Compiler<'a> {
    definition: &'a Definition,
    catalog: &'a dyn Catalog,
    /// The ids of all steps at any depth.
    every: Vec<String>,
    problems: Vec<Problem>,
}

/// What is done for each item of a loop.
struct Each {
    /// How many items make one, at most.
    group: Option<usize>,
    concurrency: u32,
    body: Program,
}

/// A step of a program's own, which no definition has.
fn inner(id: &str) -> Step {
    Step {
        id: id.to_owned(),
        on_error: OnError::Fail,
        retry: None,
        kind: StepKind::Set { value: Value::Null },
    }
}

/// What stands inside tries again for itself.
const fn once() -> RetryPolicy {
    RetryPolicy { attempts: 1, ..RetryPolicy::action() }
}

/// Where a step stands: what it can see, and how deep.
#[derive(Clone, Default)]
struct Place {
    /// Ids of the steps that may have been done before.
    seen: Vec<String>,
    /// Whether a `for_each` is around it.
    in_items: bool,
    depth: usize,
}

impl Compiler<'_> {
    fn problem(&mut self, at: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem::new(at, message));
    }

    fn names(&self, place: &Place) -> Names {
        Names {
            later_steps: self.every.iter().filter(|id| !place.seen.contains(id)).cloned().collect(),
            steps: place.seen.clone(),
            config: self.definition.fields.iter().map(|field| field.name.clone()).collect(),
            item: place.in_items,
        }
    }

    /// Adds steps to `program`; answers what a step behind them can see.
    fn block(&mut self, program: &mut Program, steps: &[Step], at: &str, place: &Place) -> Place {
        let mut place = place.clone();
        if place.depth > DEEPEST {
            self.problem(
                at,
                format!("steps stand {DEEPEST} blocks deep here; put some into a workflow of their own"),
            );
            return place;
        }
        for (index, step) in steps.iter().enumerate() {
            let at = format!("{at}/{index}");
            match &step.kind {
                StepKind::Branch { pick, branches, otherwise } => {
                    let inside = Place { depth: place.depth + 1, ..place.clone() };
                    let seen = self.branch(program, step, (*pick, branches, otherwise), &at, &inside);
                    place.seen = seen;
                }
                StepKind::ForEach { items, from, concurrency, steps } => {
                    let inside = Place { depth: place.depth + 1, in_items: true, ..place.clone() };
                    let mut body = Program::default();
                    self.block(&mut body, steps, &format!("{at}/steps"), &inside);
                    let each = Each { group: None, concurrency: *concurrency, body };
                    self.loops(program, step, &at, &place, (items, from.as_ref()), each);
                    place.seen.push(step.id.clone());
                }
                StepKind::Batch { app, action, connection, items, from, input, concurrency } => {
                    let (app, action, connection) = (app.clone(), action.clone(), connection.clone());
                    let target = Target { app, action, connection };
                    if let Some((group, body)) = self.batch(step, &at, &place, target, input) {
                        let each = Each { group: Some(group), concurrency: *concurrency, body };
                        self.loops(program, step, &at, &place, (items, from.as_ref()), each);
                    }
                    place.seen.push(step.id.clone());
                }
                _ => {
                    self.plain(program, step, &at, &place);
                    place.seen.push(step.id.clone());
                }
            }
        }
        place
    }

    /// A loop over what the definition gives, or over a vendor's pages.
    fn loops(
        &mut self,
        program: &mut Program,
        step: &Step,
        at: &str,
        place: &Place,
        (items, from): (&Value, Option<&Listing>),
        Each { group, concurrency, body }: Each,
    ) {
        let concurrency = usize::try_from(concurrency).unwrap_or(usize::MAX);
        let Some(Listing { app, action, connection, input }) = from else {
            // What is not there at all is said elsewhere.
            let items = Some(items).filter(|items| !items.is_null());
            if let Some(items) = items.and_then(|items| self.template(items, &format!("{at}/items"), place)) {
                let kind = CompiledKind::ForEach { items: Items::Given(items), group, concurrency, body };
                self.push(program, step, at, kind, Act::Resumable, once());
            }
            return;
        };
        let at_listing = format!("{at}/from");
        if let Err(problem) = action_of(self.catalog, app, action, &at_listing) {
            self.problems.push(problem);
        }
        let Some(input) = self.template(input, &format!("{at_listing}/input"), place) else { return };
        let mut pages = Program::default();
        let (app, action, connection) = (app.clone(), action.clone(), connection.clone());
        let read = CompiledKind::Page { target: Target { app, action, connection }, input };
        // Reading again what is there changes nothing, whatever the action says of itself.
        let act = Act::Outside(Repeat::Safe);
        let retry = step.retry.clone().unwrap_or_else(RetryPolicy::action);
        self.push(&mut pages, &inner(PAGE), &at_listing, read, act, retry);
        let each = CompiledKind::ForEach { items: Items::OfPage, group, concurrency, body };
        self.push(&mut pages, &inner(OF_PAGE), at, each, Act::Resumable, once());
        self.push(program, step, at, CompiledKind::Pages { body: pages }, Act::Resumable, once());
    }

    /// What is done for a group of items: it is sent, then what was refused of it fails one by one. With how many items
    /// make a group.
    fn batch(
        &mut self,
        step: &Step,
        at: &str,
        place: &Place,
        target: Target,
        input: &Value,
    ) -> Option<(usize, Program)> {
        let inside = Place { in_items: true, ..place.clone() };
        let at_input = format!("{at}/input");
        let whole = self.template(input, &at_input, &inside);
        let alone = Template::compile(input, &self.definition.maps, &self.names(&inside)).ok();
        let Target { app, action, .. } = &target;
        let spec = match action_of(self.catalog, app, action, at) {
            Ok(spec) => spec,
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        let Some(size) = spec.batch else {
            let message =
                format!("`{action}` of `{app}` takes one item at a time; use it in a `for_each` instead");
            self.problem(format!("{at}/action"), message);
            return None;
        };
        let (whole, alone) = whole.zip(alone)?;
        let retry = step.retry.clone().unwrap_or_else(RetryPolicy::action);
        let mut body = Program::default();
        let send = CompiledKind::Send { target: target.clone(), input: whole };
        self.push(&mut body, &inner(SENT), at, send, Act::Outside(spec.repeat), retry.clone());
        // Its key is not the group's, under which the vendor may know it: only what may be done twice is repeated unknown.
        let repeat = if spec.repeat == Repeat::Safe { Repeat::Safe } else { Repeat::Never };
        let again = CompiledKind::Again { target, input: alone };
        let mut refused = Program::default();
        self.push(&mut refused, &inner(AGAIN), at, again, Act::Outside(repeat), retry);
        let (items, concurrency) = (Items::Refused, REFUSED_AT_ONCE);
        let each = CompiledKind::ForEach { items, group: None, concurrency, body: refused };
        self.push(&mut body, &inner(REFUSED), at, each, Act::Resumable, once());
        let end = body.rules.len();
        if let Some(send) = body.rules.first_mut() {
            send.otherwise = end;
        }
        Some((usize::try_from(size).unwrap_or(usize::MAX), body))
    }

    /// A guard before each way. Ids inside the ways can be seen behind the branch: whether they are there
    /// depends on the way that was gone.
    fn branch(
        &mut self,
        program: &mut Program,
        step: &Step,
        (pick, branches, otherwise): (Pick, &[Branch], &[Step]),
        at: &str,
        place: &Place,
    ) -> Vec<String> {
        let mut seen = place.seen.clone();
        let mut ways = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            let at = format!("{at}/branches/{index}");
            let conditions = self.condition(&branch.when, &format!("{at}/when"), place).into_iter().collect();
            let guard = self.guard(program, step, &at, index + 1, conditions);
            let after = self.block(program, &branch.steps, &format!("{at}/steps"), place);
            seen.extend(after.seen.into_iter().skip(place.seen.len()));
            ways.push((guard, program.rules.len()));
        }
        if !otherwise.is_empty() {
            if pick == Pick::All {
                let conditions = branches
                    .iter()
                    .enumerate()
                    .filter_map(|(index, branch)| {
                        self.condition(&branch.when, &format!("{at}/branches/{index}/when"), place)
                    })
                    .collect();
                let guard = self.guard(program, step, at, 0, conditions);
                ways.push((guard, guard));
            }
            let after = self.block(program, otherwise, &format!("{at}/otherwise"), place);
            seen.extend(after.seen.into_iter().skip(place.seen.len()));
            if let (Pick::All, Some((_, end))) = (pick, ways.last_mut()) {
                *end = program.rules.len();
            }
        }
        let stop = program.rules.len();
        for (guard, end) in ways {
            if let Some(rule) = program.rules.get_mut(guard) {
                rule.otherwise = end;
            }
            if pick == Pick::First {
                // Whatever would go on behind this way leaves the branch.
                for (index, rule) in program.rules.iter_mut().enumerate().take(end).skip(guard) {
                    if rule.next == end {
                        rule.next = stop;
                    }
                    if rule.otherwise == end && index != guard {
                        rule.otherwise = stop;
                    }
                }
            }
        }
        seen
    }

    fn guard(
        &mut self,
        program: &mut Program,
        step: &Step,
        at: &str,
        way: usize,
        conditions: Vec<Condition>,
    ) -> usize {
        let index = program.rules.len();
        self.push(program, step, at, CompiledKind::Guard { way, conditions }, Act::Pure, once());
        index
    }

    /// A step without others inside it.
    fn plain(&mut self, program: &mut Program, step: &Step, at: &str, place: &Place) {
        let below = |member: &str| format!("{at}/{member}");
        let compiled = match &step.kind {
            StepKind::Action { app, action, connection, input } => {
                let repeat = match action_of(self.catalog, app, action, at) {
                    Ok(spec) => Some(spec.repeat),
                    Err(problem) => {
                        self.problems.push(problem);
                        None
                    }
                };
                let input = self.template(input, &below("input"), place);
                let kind = input.map(|input| CompiledKind::Action {
                    app: app.clone(),
                    action: action.clone(),
                    connection: connection.clone(),
                    input,
                });
                kind.zip(repeat).map(|(kind, repeat)| (kind, Act::Outside(repeat), RetryPolicy::action()))
            }
            StepKind::Stream { destination, body } => {
                let body = self.template(body, &below("body"), place);
                let event = self.definition.trigger.event_block();
                let destination = destination.clone();
                let kind = body.map(|body| CompiledKind::Stream { destination, body, event });
                kind.map(|kind| (kind, Act::Outside(Repeat::Key), RetryPolicy::stream()))
            }
            // Computing again gives the same: what cannot be computed fails at once.
            StepKind::Filter { condition } => {
                let condition = self.condition(condition, &below("condition"), place);
                condition
                    .map(|condition| (CompiledKind::Filter { condition }, Act::Pure, RetryPolicy::action()))
            }
            StepKind::Set { value } => {
                let value = self.template(value, &below("value"), place);
                value.map(|value| (CompiledKind::Set { value }, Act::Pure, RetryPolicy::action()))
            }
            StepKind::Delay { seconds } => {
                let seconds = self.template(seconds, &below("seconds"), place);
                seconds
                    .map(|seconds| (CompiledKind::Delay { seconds }, Act::Resumable, RetryPolicy::action()))
            }
            StepKind::Call { workflow, input } => {
                let workflow = workflow.parse::<WorkflowId>();
                if let Err(error) = &workflow {
                    self.problem(below("workflow"), format!("{error}; write the id of the workflow to call"));
                }
                let input = self.template(input, &below("input"), place);
                let kind =
                    input.zip(workflow.ok()).map(|(input, workflow)| CompiledKind::Call { workflow, input });
                // The called run tries again for itself.
                kind.map(|kind| (kind, Act::Resumable, once()))
            }
            StepKind::Respond { status, headers, body } => {
                let status = self.template(status, &below("status"), place);
                let headers = self.template(headers, &below("headers"), place);
                let body = self.template(body, &below("body"), place);
                let parts = status.zip(headers).zip(body);
                let answer = parts.map(|((status, headers), body)| AnswerTemplate { status, headers, body });
                let kind = answer.map(|answer| CompiledKind::Respond { answer: Box::new(answer) });
                // So that what is answered is durable first: whoever asks again is answered the same.
                kind.map(|kind| (kind, Act::Resumable, RetryPolicy::action()))
            }
            StepKind::Branch { .. } | StepKind::ForEach { .. } | StepKind::Batch { .. } => None,
        };
        if let Some((kind, act, retry)) = compiled {
            self.push(program, step, at, kind, act, retry);
        }
    }

    fn push(
        &mut self,
        program: &mut Program,
        step: &Step,
        at: &str,
        kind: CompiledKind,
        act: Act,
        retry: RetryPolicy,
    ) {
        let next = program.rules.len() + 1;
        let on_error = match kind {
            CompiledKind::Guard { .. } => OnError::Fail,
            _ => step.on_error,
        };
        let retry = step.retry.clone().filter(|_| matches!(act, Act::Outside(_))).unwrap_or(retry);
        program.rules.push(StepRule { id: step.id.clone(), act, retry, on_error, next, otherwise: next });
        program.steps.push(CompiledStep { id: step.id.clone(), at: at.to_owned(), kind });
    }

    /// What a pre-process flow ends with, whatever its steps are.
    fn route(&mut self, program: &mut Program) {
        self.push(program, &inner(ROUTED), "/trigger", CompiledKind::Route, Act::Resumable, once());
    }

    fn template(&mut self, value: &Value, at: &str, place: &Place) -> Option<Template> {
        let compiled = Template::compile(value, &self.definition.maps, &self.names(place));
        self.or_problems(compiled, at)
    }

    fn condition(&mut self, condition: &str, at: &str, place: &Place) -> Option<Condition> {
        let compiled = Condition::compile(condition, &self.names(place));
        self.or_problems(compiled, at)
    }

    fn or_problems<T>(&mut self, compiled: Result<T, Vec<Problem>>, at: &str) -> Option<T> {
        compiled
            .map_err(|problems| {
                self.problems.extend(
                    problems
                        .into_iter()
                        .map(|problem| Problem::new(format!("{at}{}", problem.at), problem.message)),
                );
            })
            .ok()
    }
}

/// The manifest's action, or what is wrong with naming it in the step at `at`.
pub(super) fn action_of(
    catalog: &dyn Catalog,
    app: &str,
    action: &str,
    at: &str,
) -> Result<ActionSpec, Problem> {
    let Some(manifest) = catalog.manifest(app) else {
        return Err(Problem::new(format!("{at}/app"), check::unknown_app(app)));
    };
    manifest.action(action).cloned().ok_or_else(|| {
        let known = check::listed(manifest.actions.iter().map(|action| action.id.as_str()));
        Problem::new(
            format!("{at}/action"),
            format!("`{app}` {} has no action `{action}`; it has {known}", manifest.version),
        )
    })
}
