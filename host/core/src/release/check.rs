//! The rules between a definition's members and what the workspace has; each problem names its place and a
//! remedy.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    AnswerTemplate, Callee, Catalog, CompiledKind, Concurrent, Items, Program, Target, answers,
    fit::{Fit, Known, Sources},
    only,
    program::action_of,
};
use crate::{
    definition::{ConfigField, Definition, FieldKind, Step, StepKind, Trigger},
    manifest::{Manifest, TriggerSource, TriggerSpec, options},
    mapping::{Names, Node, Template, escape},
    polling,
    problem::{Problem, Problems},
    schedule::{Schedule, Tick},
};

const LONGEST_NAME: usize = 64;
const MOST_STEPS: usize = 500;
const MOST_ITEMS_AT_ONCE: u32 = 50;
const MOST_ATTEMPTS: u32 = 100;
const LONGEST_DELAY_SECONDS: f64 = 366.0 * 86_400.0;

pub(super) fn problems(
    definition: &Definition,
    catalog: &dyn Catalog,
    program: &Program,
    concurrent: &Concurrent,
) -> Vec<Problem> {
    let mut check = Check { definition, catalog, problems: Vec::new() };
    if definition.name.trim().is_empty() {
        check.problem("/name", "is empty; write what a person should call the workflow");
    }
    check.fields();
    check.maps();
    check.steps();
    check.problems.extend(answers::problems(definition));
    let trigger = check.trigger();
    let mut sources = Sources::new(trigger, &definition.fields);
    if let Concurrent::Ordered { by } = concurrent {
        check.fit(&sources, &Value::Bool(true), by.root(), "/concurrency/by");
    }
    check.mappings(program, &mut sources);
    check.problems
}

/// What to say of an app without a connector.
pub(super) fn unknown_app(app: &str) -> String {
    format!("there is no active connector for the app `{app}`; add one, or correct the app's name")
}

/// Names in a sentence.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names = names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.is_empty() { "none".to_owned() } else { names }
}

struct Check<'a> {
    definition: &'a Definition,
    catalog: &'a dyn Catalog,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn problem(&mut self, at: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem::new(at, message));
    }

    fn fields(&mut self) {
        let mut seen = BTreeSet::new();
        for (index, field) in self.definition.fields.iter().enumerate() {
            let at = format!("/fields/{index}");
            let name = &field.name;
            let word = name.len() <= LONGEST_NAME
                && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !word {
                self.problem(
                    format!("{at}/name"),
                    format!("`{name}` cannot stand in `config.{name}`; use letters, digits and `_`, at most {LONGEST_NAME}"),
                );
            }
            if !seen.insert(name.as_str()) {
                self.problem(
                    format!("{at}/name"),
                    format!("the field `{name}` is there twice; give each its own name"),
                );
            }
            if field.title.trim().is_empty() {
                self.problem(format!("{at}/title"), "is empty; write what a person should read");
            }
            if let FieldKind::Choice { options } = &field.kind {
                if options.is_empty() {
                    self.problem(
                        format!("{at}/kind/options"),
                        format!("the field `{name}` offers no choice; add options"),
                    );
                }
                for (other, option) in options.iter().enumerate() {
                    if options.iter().take(other).any(|earlier| earlier.value == option.value) {
                        self.problem(
                            format!("{at}/kind/options/{other}/value"),
                            format!("{} is there twice; remove one", option.value),
                        );
                    }
                }
            }
            if let Some(default) = &field.default
                && let Err(expected) = fits_kind(field, default)
            {
                self.problem(
                    format!("{at}/default"),
                    format!("the default {default} of `{name}` does not fit; write {expected}"),
                );
            }
        }
    }

    fn maps(&mut self) {
        for (name, map) in &self.definition.maps {
            let at = format!("/maps/{}", escape(name));
            if name.is_empty() {
                self.problem(at.as_str(), "a value map has no name; give it one");
            }
            if map.entries.is_empty() {
                self.problem(
                    format!("{at}/entries"),
                    format!(
                        "the value map `{name}` is empty, so that every value would be an error; add entries"
                    ),
                );
            }
            for (key, value) in &map.entries {
                if has_expression(value) {
                    self.problem(
                        format!("{at}/entries/{}", escape(key)),
                        format!("the value map `{name}` has an expression; its values are fixed: write the value itself"),
                    );
                }
            }
        }
    }

    fn steps(&mut self) {
        if self.definition.steps.is_empty() {
            self.problem("/steps", "there is no step; add at least one");
        }
        let every = self.definition.every_step();
        if every.len() > MOST_STEPS {
            let count = every.len();
            self.problem(
                "/steps",
                format!("there are {count} steps, at most {MOST_STEPS} are allowed; divide the workflow"),
            );
        }
        let mut seen = BTreeSet::new();
        for (at, step) in every {
            let id = &step.id;
            let fits = id.len() <= LONGEST_NAME
                && id.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
                && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            if !fits {
                self.problem(
                    format!("{at}/id"),
                    format!(
                        "`{id}` is not a step's id; use lower-case letters, digits and `_`, beginning with a letter, at most \
                         {LONGEST_NAME}"
                    ),
                );
            }
            if !seen.insert(id.as_str()) {
                self.problem(
                    format!("{at}/id"),
                    format!("the step `{id}` is there twice; give each its own id"),
                );
            }
            self.step(&at, step);
        }
    }

    /// The rules of one kind of step.
    fn step(&mut self, at: &str, step: &Step) {
        for (below, app, name) in step.own_connections() {
            self.own_connection(&format!("{at}{below}"), app, name);
        }
        match &step.kind {
            StepKind::Stream { destination, .. } if !self.catalog.destination(destination) => self.problem(
                format!("{at}/destination"),
                format!(
                    "there is no stream destination `{destination}`; create it first, or correct its name"
                ),
            ),
            StepKind::Call { workflow, .. } => self.call(&format!("{at}/workflow"), workflow),
            StepKind::Branch { branches, .. } if branches.is_empty() => {
                self.problem(
                    format!("{at}/branches"),
                    "a branch has no way to go; add one with its condition",
                );
            }
            StepKind::ForEach { items, from, .. } | StepKind::Batch { items, from, .. }
                if items.is_null() == from.is_none() =>
            {
                self.problem(
                    at,
                    format!(
                        "`{}` needs its items from one place; write `items`, or `from` with a vendor's listing",
                        step.id
                    ),
                );
            }
            StepKind::ForEach { concurrency, .. } | StepKind::Batch { concurrency, .. }
                if !(1..=MOST_ITEMS_AT_ONCE).contains(concurrency) =>
            {
                self.problem(
                    format!("{at}/concurrency"),
                    format!("is {concurrency}; write 1 (one after the other) to {MOST_ITEMS_AT_ONCE}"),
                )
            }
            StepKind::ForEach { steps, .. } if steps.is_empty() => {
                self.problem(format!("{at}/steps"), "there is no step to do for each item; add at least one");
            }
            StepKind::Delay { seconds } if seconds.as_f64().is_some_and(|seconds| !delay_fits(seconds)) => {
                self.problem(
                    format!("{at}/seconds"),
                    format!("is {seconds}; write 0 to {LONGEST_DELAY_SECONDS} (a year)"),
                )
            }
            _ => {}
        }
        let Some(retry) = &step.retry else { return };
        let outside =
            matches!(step.kind, StepKind::Action { .. } | StepKind::Stream { .. } | StepKind::Batch { .. });
        if !outside {
            self.problem(
                format!("{at}/retry"),
                "only actions and streams are tried again; remove it, or put it on the steps inside",
            );
        }
        if !(1..=MOST_ATTEMPTS).contains(&retry.attempts) {
            self.problem(
                format!("{at}/retry/attempts"),
                format!("is {}; write 1 (never again) to {MOST_ATTEMPTS}", retry.attempts),
            );
        }
    }

    /// Whether the environment has this connection of its own, to this app.
    fn own_connection(&mut self, at: &str, app: &str, name: &str) {
        let message = match self.catalog.connection(name) {
            Some(known) if known == app => return,
            Some(known) => {
                format!("the connection `{name}` is to `{known}`, not to `{app}`; name another one")
            }
            None => format!(
                "there is no connection `{name}` of the environment's own; make it with PUT /v1/connections/{name}"
            ),
        };
        self.problem(format!("{at}/connection"), message);
    }

    /// Whether a workflow can be called from here.
    fn call(&mut self, at: &str, workflow: &str) {
        // What is no id is said where it is compiled.
        let Ok(id) = workflow.parse() else { return };
        let message = match self.catalog.callee(id) {
            Callee::Callable => return,
            Callee::Unknown => format!("there is no workflow `{workflow}`; correct its id"),
            Callee::Unreleased => format!("the workflow `{workflow}` has no release yet; release it first"),
            Callee::OtherTrigger => format!(
                "the workflow `{workflow}` is not started by calls; give it the trigger `call` and release it"
            ),
            Callee::Itself => {
                "a workflow cannot call itself; put what is to be repeated into a `for_each`, or into a \
                               workflow of its own"
                    .to_owned()
            }
        };
        self.problem(at, message);
    }

    /// Checks the trigger; what is known of its payload.
    fn trigger(&mut self) -> Known {
        match &self.definition.trigger {
            Trigger::App { app, trigger, every, options, only } => {
                let Some(manifest) = self.catalog.manifest(app) else {
                    self.problem("/trigger/app", unknown_app(app));
                    return Known::default();
                };
                let Some(spec) = manifest.trigger(trigger) else {
                    self.problem("/trigger/trigger", unknown_trigger(&manifest, trigger));
                    return Known::default();
                };
                if let Some(message) = every.as_deref().and_then(|every| unfit_interval(spec, every)) {
                    self.problem("/trigger/every", message);
                }
                self.options(&manifest, spec, options);
                self.problems.extend(only::problems(spec, only, &self.definition.fields));
                Known { schema: Some(spec.schema.clone()), sample: Some(spec.sample.clone()), event: None }
            }
            Trigger::Event { event } => {
                let sample = self.catalog.event_sample(event);
                if sample.is_none() {
                    self.problem(
                        "/trigger/event",
                        format!(
                            "there is no event `{event}`; define it with a sample first, or correct its name"
                        ),
                    );
                }
                Known { schema: None, sample, event: Some(event.clone()) }
            }
            Trigger::Schedule(timing) => {
                if let Err(Problems(problems)) = Schedule::check(timing) {
                    let placed = problems.into_iter();
                    self.problems.extend(
                        placed.map(|problem| Problem { at: format!("/trigger{}", problem.at), ..problem }),
                    );
                }
                Known { schema: Some(Tick::schema()), sample: None, event: None }
            }
            Trigger::Installed | Trigger::Removed => {
                Known { schema: Some(deployed()), sample: None, event: None }
            }
            Trigger::Request { sample } | Trigger::Preprocess { sample } => requested(sample),
            Trigger::Call { sample } => {
                Known { schema: None, sample: (!sample.is_null()).then(|| sample.clone()), event: None }
            }
        }
    }

    /// Whether a trigger's options can be what it takes: values, with fields of `config` among them, since there is no
    /// event yet.
    fn options(&mut self, manifest: &Manifest, spec: &TriggerSpec, given: &Value) {
        const AT: &str = "/trigger/options";
        if spec.options.is_null() {
            if *given != options::none() {
                self.problem(AT, format!("`{}` has no options; remove them", spec.id));
            }
            return;
        }
        self.only_fields(AT, given);
        let names = Names {
            config: self.definition.fields.iter().map(|field| field.name.clone()).collect(),
            ..Names::default()
        };
        match Template::compile(given, &self.definition.maps, &names) {
            Ok(template) => {
                let sources = Sources::new(Known::default(), &self.definition.fields);
                self.fit(&sources, &spec.options, template.root(), AT);
            }
            Err(problems) => {
                let placed = problems.into_iter();
                self.problems
                    .extend(placed.map(|problem| Problem { at: format!("{AT}{}", problem.at), ..problem }));
            }
        }
        // What a user fills in is only known when the workflow is installed, and looked at then.
        if let TriggerSource::Webhook(webhook) = &spec.source
            && !has_expression(given)
        {
            let faults = webhook.faults(manifest, given).into_iter();
            self.problems
                .extend(faults.map(|problem| Problem { at: format!("{AT}{}", problem.at), ..problem }));
        }
    }

    fn only_fields(&mut self, at: &str, given: &Value) {
        match given {
            Value::String(text) if text.contains("{{") && options::field_of(text).is_none() => self.problem(
                at,
                "holds an expression; in a trigger's options only `{{ config.NAME }}` stands, alone: there is no event yet",
            ),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.only_fields(&format!("{at}/{index}"), item);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    self.only_fields(&format!("{at}/{}", escape(name)), member);
                }
            }
            _ => {}
        }
    }

    /// Whether what each step is given can be what it takes.
    fn mappings(&mut self, program: &Program, sources: &mut Sources<'_>) {
        for step in &program.steps {
            let at = &step.at;
            match &step.kind {
                CompiledKind::Action { app, action, input, .. } => {
                    let Ok(spec) = action_of(self.catalog, app, action, at) else { continue };
                    self.fit(sources, &spec.input, input.root(), &format!("{at}/input"));
                    let known =
                        Known { schema: Some(spec.output), sample: Some(spec.sample_output), event: None };
                    sources.add_step(&step.id, known);
                }
                CompiledKind::Stream { body, .. } => {
                    self.fit(sources, &Value::Bool(true), body.root(), &format!("{at}/body"));
                }
                CompiledKind::Set { value } => {
                    self.fit(sources, &Value::Bool(true), value.root(), &format!("{at}/value"));
                }
                CompiledKind::Delay { seconds } => {
                    self.fit(sources, &json!({ "type": "number" }), seconds.root(), &format!("{at}/seconds"));
                }
                CompiledKind::Call { input, .. } => {
                    self.fit(sources, &Value::Bool(true), input.root(), &format!("{at}/input"));
                }
                CompiledKind::Respond { answer } => {
                    let AnswerTemplate { status, headers, body } = answer.as_ref();
                    let number = json!({ "type": "integer" });
                    self.fit(sources, &number, status.root(), &format!("{at}/status"));
                    self.fit(sources, &json!({ "type": "object" }), headers.root(), &format!("{at}/headers"));
                    self.fit(sources, &Value::Bool(true), body.root(), &format!("{at}/body"));
                }
                CompiledKind::ForEach { items, body, .. } => {
                    if let Items::Given(items) = items {
                        let list = json!({ "type": "array" });
                        self.fit(sources, &list, items.root(), &format!("{at}/items"));
                    }
                    self.mappings(body, sources);
                }
                CompiledKind::Pages { body } => self.mappings(body, sources),
                CompiledKind::Page { target: Target { app, action, .. }, input } => {
                    let Ok(spec) = action_of(self.catalog, app, action, at) else { continue };
                    if !spec.pages {
                        self.problem(
                            format!("{at}/action"),
                            format!("`{action}` of `{app}` gives no pages; name one of its listings"),
                        );
                    }
                    self.fit(sources, &spec.input, input.root(), &format!("{at}/input"));
                }
                CompiledKind::Send { target: Target { app, action, .. }, input } => {
                    let Ok(spec) = action_of(self.catalog, app, action, at) else { continue };
                    self.fit(sources, &spec.input, input.root(), &format!("{at}/input"));
                }
                // The same input as that of the group.
                CompiledKind::Again { .. } => {}
                CompiledKind::Filter { .. } | CompiledKind::Guard { .. } | CompiledKind::Route => {}
            }
        }
    }

    fn fit(&mut self, sources: &Sources<'_>, schema: &Value, node: &Node, at: &str) {
        let mut fit = Fit::new(sources, schema);
        fit.template(node, at);
        self.problems.append(&mut fit.into_problems());
    }
}

/// Whether a run may be asked to wait so many seconds.
#[must_use]
pub fn delay_fits(seconds: f64) -> bool {
    (0.0..=LONGEST_DELAY_SECONDS).contains(&seconds)
}

/// What deploy-time flows are told.
fn deployed() -> Value {
    let text = json!({ "type": "string" });
    let workflow = json!({
        "type": "object", "additionalProperties": false,
        "properties": {
            "id": text, "name": text, "trigger": text, "release": { "type": "integer" },
            "previous_release": { "type": ["integer", "null"] }, "active": { "type": "boolean" },
            "webhook_url": { "type": ["string", "null"] }, "request_url": { "type": ["string", "null"] },
        },
    });
    json!({
        "type": "object", "additionalProperties": false,
        "properties": {
            "integration": {
                "type": "object", "additionalProperties": false, "properties": { "id": text, "app": text },
            },
            "workflows": { "type": "array", "items": workflow },
            "removed": { "type": "array", "items": workflow },
        },
    })
}

/// What is known of a request before it comes.
fn requested(sample: &Value) -> Known {
    let schema = json!({
        "type": "object", "additionalProperties": false,
        "properties": {
            "method": { "type": "string" }, "query": { "type": "object" }, "headers": { "type": "object" }, "body": {},
        },
    });
    let sample = (!sample.is_null()).then(|| json!({ "body": sample }));
    Known { schema: Some(schema), sample, event: None }
}

fn unfit_interval(spec: &TriggerSpec, every: &str) -> Option<String> {
    match &spec.source {
        TriggerSource::Poll(poll) => polling::unfit(poll, every),
        TriggerSource::Webhook(_) => {
            Some(format!("`{}` is a webhook, which nobody polls; remove `every`", spec.id))
        }
    }
}

fn unknown_trigger(manifest: &Manifest, trigger: &str) -> String {
    let known = listed(manifest.triggers.iter().map(|trigger| trigger.id.as_str()));
    format!("`{}` {} has no trigger `{trigger}`; it has {known}", manifest.id, manifest.version)
}

fn fits_kind(field: &ConfigField, value: &Value) -> Result<(), String> {
    match &field.kind {
        FieldKind::Text if value.is_string() => Ok(()),
        FieldKind::Number if value.is_number() => Ok(()),
        FieldKind::Boolean if value.is_boolean() => Ok(()),
        FieldKind::Choice { options } if options.iter().any(|option| option.value == *value) => Ok(()),
        FieldKind::Text => Err("a text".to_owned()),
        FieldKind::Number => Err("a number".to_owned()),
        FieldKind::Boolean => Err("true or false".to_owned()),
        FieldKind::Choice { options } => {
            let known: Vec<_> = options.iter().map(|option| format!("`{}`", option.value)).collect();
            Err(format!("one of {}", known.join(", ")))
        }
    }
}

fn has_expression(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{"),
        Value::Array(items) => items.iter().any(has_expression),
        Value::Object(members) => members.values().any(has_expression),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
