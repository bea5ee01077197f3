//! A workflow's definition: the JSON that the builder and the API edit.
//!
//! Three stages, each a type: a `Definition` is any well-formed draft, `release::check` turns it into a
//! compiled `Release` or says every problem at once. Unknown members are refused, so that nothing a person
//! wrote is silently ignored.

mod shape;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::problem::{Problem, Problems};

/// A workflow: one trigger and its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// What starts a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Trigger {
    /// An app's trigger.
    App {
        /// The app.
        app: String,
        /// The manifest's trigger.
        trigger: String,
    },
    /// A custom event, by `POST /run/event`.
    Event {
        /// The event's name.
        event: String,
    },
}

/// A value map: a value on the left becomes the value on the right; any other is an error that names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueMap {
    /// From text (numbers and booleans by their JSON text) to any JSON value.
    pub entries: BTreeMap<String, Value>,
}

/// A field the user fills at installation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[serde(deny_unknown_fields)]
pub struct FieldOption {
    /// What `config` holds.
    pub value: Value,
    /// What a person reads.
    pub title: String,
}

/// One block of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its id in `steps.<id>`; unique in the workflow: lower-case letters, digits and `_`.
    pub id: String,
    /// What it does.
    #[serde(flatten)]
    pub kind: StepKind,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum StepKind {
    /// Runs a connector's action; its result is the action's output.
    Action {
        /// The app.
        app: String,
        /// The manifest's action.
        action: String,
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
    /// Ends the run, as filtered, unless the condition holds.
    Filter {
        /// An expression, without braces, that must give a boolean.
        condition: String,
    },
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

    /// Every app the workflow needs a connection for, its trigger's first.
    #[must_use]
    pub fn apps(&self) -> Vec<&str> {
        let mut apps = Vec::new();
        let trigger = match &self.trigger {
            Trigger::App { app, .. } => Some(app.as_str()),
            Trigger::Event { .. } => None,
        };
        let steps = self.steps.iter().filter_map(|step| match &step.kind {
            StepKind::Action { app, .. } => Some(app.as_str()),
            StepKind::Stream { .. } | StepKind::Filter { .. } => None,
        });
        for app in trigger.into_iter().chain(steps) {
            if !apps.contains(&app) {
                apps.push(app);
            }
        }
        apps
    }
}
