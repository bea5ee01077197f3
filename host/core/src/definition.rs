//! A workflow's definition: the JSON that the builder and the API edit.
//!
//! Three stages, each a type: a `Definition` is any well-formed draft, `release::check` turns it into a
//! compiled `Release` or says every problem at once. Unknown members are refused, so that nothing a person
//! wrote is silently ignored.

mod event_block;
mod shape;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::event_block::EventBlock;
use crate::{
    machine::OnError,
    problem::{Problem, Problems},
    retry::RetryPolicy,
    schedule::Timing,
};

/// A workflow: one trigger and its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What a person calls it; unique in its integration.
    pub name: String,
    /// What starts it.
    pub trigger: Trigger,
    /// Fields the user fills at installation: `config` in mappings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<ConfigField>,
    /// Value maps by name, used by `{"$map": NAME, "of": …}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub maps: BTreeMap<String, ValueMap>,
    /// How many runs of one installation are under way at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub concurrency: Concurrency,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// How many runs of one installation are under way at once. A run is under way from its beginning to its end, also
/// while it waits for a retry or a delay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Concurrency {
    /// As many as come.
    #[default]
    Parallel,
    /// At most so many; the others begin in the order in which their events were accepted.
    Throttled {
        /// How many.
        limit: u32,
    },
    /// One for each key, strictly in the order in which their events were accepted. A run that fails holds its key
    /// until it is redriven or skipped; runs of other keys go on.
    Ordered {
        /// Gives the key: text with `{{ … }}` over `trigger` and `config`.
        by: String,
    },
}

/// What starts a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Trigger {
    /// An app's trigger.
    App {
        /// The app.
        app: String,
        /// The manifest's trigger.
        trigger: String,
        /// How often a polling trigger polls, such as `5m`; its own interval where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        every: Option<String>,
        /// What the trigger has to be told: JSON in which `{{ config.NAME }}` may stand for a field.
        #[serde(default = "no_members", skip_serializing_if = "is_empty")]
        options: Value,
        /// Which of its occurrences start the workflow, by members of what it gives: one of these values each, fixed or
        /// `{{ config.NAME }}`. All do where it is empty.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        only: BTreeMap<String, Vec<Value>>,
    },
    /// A custom event, by `POST /run/event`.
    Event {
        /// The event's name.
        event: String,
    },
    /// The clock.
    Schedule(Timing),
    /// A user's installation of workflows of the integration, this one among them.
    Installed,
    /// A user's removal of a workflow of the integration, which may be this very one.
    Removed,
    /// A `call` step of another workflow: `trigger` in mappings is the step's input.
    Call {
        /// What an input looks like; `null` where that is not known.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        sample: Value,
    },
    /// A request for any user: what the last step gives names the workflow and the user that it is for.
    Preprocess {
        /// What a request's body looks like; `null` where that is not known.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        sample: Value,
    },
    /// A request to the installation's own address, which waits for the answer.
    Request {
        /// What a request's body looks like; `null` where that is not known.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        sample: Value,
    },
}

/// A value map: a value on the left becomes the value on the right; any other is an error that names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ValueMap {
    /// From text (numbers and booleans by their JSON text) to any JSON value.
    pub entries: BTreeMap<String, Value>,
}

/// A field the user fills at installation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfigField {
    /// Its name in `config`.
    pub name: String,
    /// What a person reads.
    pub title: String,
    /// What is asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// What a value looks like.
    pub kind: FieldKind,
    /// Whether installation needs a value.
    #[serde(default)]
    pub required: bool,
    /// The value where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

/// What a configurable field's value looks like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FieldKind {
    /// Text.
    Text,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// One of these.
    Choice {
        /// Value and title.
        options: Vec<FieldOption>,
    },
}

/// One choice of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FieldOption {
    /// What `config` holds.
    pub value: Value,
    /// What a person reads.
    pub title: String,
}

/// One block of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Step {
    /// Its id in `steps.<id>`; unique in the workflow: lower-case letters, digits and `_`.
    pub id: String,
    /// What follows when it has failed for good.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_error: OnError,
    /// How often it is tried; where absent, as its kind is usually tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// What it does.
    #[serde(flatten)]
    pub kind: StepKind,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum StepKind {
    /// Runs a connector's action; its result is the action's output.
    Action {
        /// The app.
        app: String,
        /// The manifest's action.
        action: String,
        /// The environment's own connection of this name; the user's where none is named. A step with it is hidden
        /// from users.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<String>,
        /// The input: JSON with `{{ … }}` and value maps.
        input: Value,
    },
    /// Sends a signed POST to one of the environment's stream destinations.
    Stream {
        /// The destination's name.
        destination: String,
        /// The body: JSON with `{{ … }}` and value maps.
        body: Value,
    },
    /// Ends the run, as filtered, unless the condition holds. Inside a `for_each` it ends the item.
    Filter {
        /// An expression, without braces, that must give a boolean.
        condition: String,
    },
    /// Goes one way or several, by conditions.
    Branch {
        /// How many of the branches are gone.
        #[serde(default, skip_serializing_if = "is_default")]
        pick: Pick,
        /// The ways, in order.
        branches: Vec<Branch>,
        /// What is done where no condition holds.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "schema", schema(no_recursion))]
        otherwise: Vec<Step>,
    },
    /// Does the same for each item of a list: `item` and `index` in its mappings. Its result has what each item
    /// came to; it fails, once every item has ended, where one failed.
    ForEach {
        /// The list: JSON with `{{ … }}` that gives one, usually one expression; `null` where the items come from pages.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        items: Value,
        /// A vendor's list, whose items come page by page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Listing>,
        /// Items under way at once; 1 where absent, so that they are done in order.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        concurrency: u32,
        /// What is done for each.
        #[cfg_attr(feature = "schema", schema(no_recursion))]
        steps: Vec<Step>,
    },
    /// Has a connector's action done for every item of a list, many at a time. What is refused of them fails for itself.
    Batch {
        /// The app.
        app: String,
        /// The manifest's action, which has a batch form.
        action: String,
        /// The environment's own connection of this name; the user's where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<String>,
        /// The list, as a `for_each` has it.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        items: Value,
        /// A vendor's list, whose items come page by page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Listing>,
        /// The input for each: JSON with `{{ … }}` and value maps, `item` and `index` among the names.
        input: Value,
        /// Batches under way at once; 1 where absent.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        concurrency: u32,
    },
    /// Computes a value: `steps.<id>` in later mappings.
    Set {
        /// JSON with `{{ … }}` and value maps.
        value: Value,
    },
    /// Waits; also while the host is down.
    Delay {
        /// How long, in seconds: a number or an expression that gives one.
        seconds: Value,
    },
    /// Runs another workflow for the same user and waits for its end; its result is what that one answered.
    Call {
        /// The workflow's id; its trigger is `call`.
        workflow: String,
        /// `trigger` of the called run: JSON with `{{ … }}` and value maps.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        input: Value,
    },
    /// Answers whoever waits for the run, which goes on after it.
    Respond {
        /// The HTTP status: a number or an expression that gives one.
        #[serde(default = "ok", skip_serializing_if = "is_ok")]
        status: Value,
        /// Headers by name: JSON with `{{ … }}`.
        #[serde(default = "no_members", skip_serializing_if = "is_empty")]
        headers: Value,
        /// The body: JSON with `{{ … }}` and value maps.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        body: Value,
    },
}

/// A vendor's list, read page by page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// The app.
    pub app: String,
    /// The manifest's action, which is a listing.
    pub action: String,
    /// The environment's own connection of this name; the user's where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The input: JSON with `{{ … }}` and value maps.
    #[serde(default = "no_members", skip_serializing_if = "is_empty")]
    pub input: Value,
}

/// How many branches are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The first whose condition holds.
    #[default]
    First,
    /// Every one whose condition holds, in order.
    All,
}

/// One way of a branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// An expression, without braces, that must give a boolean.
    pub when: String,
    /// What is done where it holds.
    #[cfg_attr(feature = "schema", schema(no_recursion))]
    pub steps: Vec<Step>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn ok() -> Value {
    Value::from(200)
}

fn is_ok(status: &Value) -> bool {
    *status == ok()
}

fn no_members() -> Value {
    Value::Object(serde_json::Map::new())
}

fn is_empty(members: &Value) -> bool {
    *members == no_members()
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_one(number: &u32) -> bool {
    *number == 1
}

impl Step {
    /// The environment's own connections that it names, each with its app and where it is named, below the step.
    #[must_use]
    pub fn own_connections(&self) -> Vec<(&'static str, &str, &str)> {
        let (own, from) = match &self.kind {
            StepKind::Action { app, connection, .. } => (Some((app, connection)), None),
            StepKind::Batch { app, connection, from, .. } => (Some((app, connection)), from.as_ref()),
            StepKind::ForEach { from, .. } => (None, from.as_ref()),
            _ => (None, None),
        };
        let listed = from.map(|listing| ("/from", &listing.app, &listing.connection));
        let every = own.map(|(app, connection)| ("", app, connection)).into_iter().chain(listed);
        every.filter_map(|(at, app, name)| Some((at, app.as_str(), name.as_deref()?))).collect()
    }

    /// The lists of steps inside it, each with its JSON pointer below the step.
    #[must_use]
    pub fn blocks(&self) -> Vec<(String, &[Self])> {
        match &self.kind {
            StepKind::Branch { branches, otherwise, .. } => branches
                .iter()
                .enumerate()
                .map(|(index, branch)| (format!("/branches/{index}/steps"), branch.steps.as_slice()))
                .chain([("/otherwise".to_owned(), otherwise.as_slice())])
                .collect(),
            StepKind::ForEach { steps, .. } => vec![("/steps".to_owned(), steps.as_slice())],
            StepKind::Action { .. }
            | StepKind::Stream { .. }
            | StepKind::Filter { .. }
            | StepKind::Batch { .. }
            | StepKind::Set { .. }
            | StepKind::Delay { .. }
            | StepKind::Call { .. }
            | StepKind::Respond { .. } => Vec::new(),
        }
    }
}

impl Definition {
    /// Reads a definition; every member that is unknown, missing or of the wrong type at once, each with its
    /// JSON pointer. Whether it could run is for `release::check` to say: a draft need not.
    pub fn parse(value: &Value) -> Result<Self, Problems> {
        let problems = shape::DEFINITION.problems(value);
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        Self::deserialize(value).map_err(|error| {
            Problems(vec![Problem::new("", format!("the definition cannot be read: {error}; correct it"))])
        })
    }

    /// Every app the workflow speaks to, its trigger's first.
    #[must_use]
    pub fn apps(&self) -> Vec<&str> {
        self.apps_that(|_| true)
    }

    /// Every app that a user connects for the workflow, its trigger's first: not those of hidden steps alone.
    #[must_use]
    pub fn connected_apps(&self) -> Vec<&str> {
        self.apps_that(Option::is_none)
    }

    /// The trigger's app, and those of actions whose own connection is as `fits` wants it.
    fn apps_that(&self, fits: impl Fn(&Option<String>) -> bool) -> Vec<&str> {
        let mut apps = Vec::new();
        let trigger = match &self.trigger {
            Trigger::App { app, .. } => Some(app.as_str()),
            Trigger::Event { .. }
            | Trigger::Schedule(_)
            | Trigger::Installed
            | Trigger::Removed
            | Trigger::Request { .. }
            | Trigger::Call { .. }
            | Trigger::Preprocess { .. } => None,
        };
        let steps = self.every_step();
        let steps = steps.iter().flat_map(|(_, step)| match &step.kind {
            StepKind::Action { app, connection, .. } => vec![(app, connection)],
            StepKind::Batch { app, connection, from, .. } => {
                let listed = from.iter().map(|listing| (&listing.app, &listing.connection));
                listed.chain([(app, connection)]).collect()
            }
            StepKind::ForEach { from, .. } => {
                from.iter().map(|listing| (&listing.app, &listing.connection)).collect()
            }
            _ => Vec::new(),
        });
        let steps = steps.filter(|(_, connection)| fits(connection)).map(|(app, _)| app.as_str());
        for app in trigger.into_iter().chain(steps) {
            if !apps.contains(&app) {
                apps.push(app);
            }
        }
        apps
    }

    /// Every step at any depth with its JSON pointer, in the order they are written.
    #[must_use]
    pub fn every_step(&self) -> Vec<(String, &Step)> {
        fn walk<'a>(steps: &'a [Step], at: &str, found: &mut Vec<(String, &'a Step)>) {
            for (index, step) in steps.iter().enumerate() {
                let at = format!("{at}/{index}");
                found.push((at.clone(), step));
                for (below, steps) in step.blocks() {
                    walk(steps, &format!("{at}{below}"), found);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.steps, "/steps", &mut found);
        found
    }
}
