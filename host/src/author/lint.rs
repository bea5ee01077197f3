//! What is wrong with a connector that loads, and what could be better: read off its manifest, nothing is run.
//!
//! What a host refuses never comes here. A *fault* misleads whoever uses the connector: a sample that its own schema
//! refuses. A *warning* leaves them without help, or costs a host more than it has to. Every message says what to do.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use serde_json::Value;
use trunnion_core::manifest::Manifest;

use crate::schema::{Misfit, Schema};

/// Bytes that a connector in Rust stays below; larger ones take longer to upload, compile and start.
pub const USUAL_BYTES: usize = 400 * 1024;

/// How many complaints about one sample are listed: the rest mostly follows from the first.
const MAX_OF_ONE_SAMPLE: usize = 5;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// The connector is wrong.
    Fault,
    /// It could be better.
    Warning,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// JSON pointer into the manifest; empty for the component itself.
    pub at: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fault => "fault",
            Self::Warning => "warning",
        })
    }
}

/// Everything that is found in a manifest and a component of `size` bytes: faults first, then by place.
#[must_use]
pub fn lint(manifest: &Manifest, size: usize) -> Vec<Finding> {
    let mut found = Findings::default();
    found.component(manifest, size);
    for (index, trigger) in manifest.triggers.iter().enumerate() {
        let at = format!("/triggers/{index}");
        found.help(&at, "trigger", &trigger.id, &trigger.help);
        found.agree(&format!("{at}/sample"), &format!("{at}/schema"), &trigger.schema, &trigger.sample);
        if !trigger.options.is_null() {
            let schema_at = format!("{at}/options");
            found.agree(
                &format!("{at}/sample_options"),
                &schema_at,
                &trigger.options,
                &trigger.sample_options,
            );
            found.fields(&schema_at, &trigger.options);
        }
    }
    for (index, action) in manifest.actions.iter().enumerate() {
        let at = format!("/actions/{index}");
        found.help(&at, "action", &action.id, &action.help);
        found.agree(
            &format!("{at}/sample_input"),
            &format!("{at}/input"),
            &action.input,
            &action.sample_input,
        );
        found.agree(
            &format!("{at}/sample_output"),
            &format!("{at}/output"),
            &action.output,
            &action.sample_output,
        );
        found.fields(&format!("{at}/input"), &action.input);
    }
    found.titles("triggers", manifest.triggers.iter().map(|trigger| trigger.title.as_str()));
    found.titles("actions", manifest.actions.iter().map(|action| action.title.as_str()));
    found.0.sort_by_key(|finding| finding.weight);
    found.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn fault(&mut self, at: impl Into<String>, message: impl Into<String>) {
        self.0.push(Finding { weight: Weight::Fault, at: at.into(), message: message.into() });
    }

    fn warning(&mut self, at: impl Into<String>, message: impl Into<String>) {
        self.0.push(Finding { weight: Weight::Warning, at: at.into(), message: message.into() });
    }

    fn component(&mut self, manifest: &Manifest, size: usize) {
        if size > USUAL_BYTES {
            let message = format!(
                "the component has {} KB, more than {} KB; look for a large dependency, and shorten samples and schemas",
                size.div_ceil(1024),
                USUAL_BYTES / 1024
            );
            self.warning("", message);
        }
        if manifest.triggers.is_empty() && manifest.actions.is_empty() {
            self.fault(
                "",
                "there is neither a trigger nor an action, so that no workflow can use it; declare one",
            );
        }
        if manifest.buckets.is_empty() {
            self.warning(
                "/buckets",
                "names no rate limit, so that only the vendor's 429s slow a flood down; declare the vendor's limits",
            );
        }
    }

    fn help(&mut self, at: &str, what: &str, id: &str, help: &str) {
        if help.is_empty() {
            let message = format!("{what} `{id}` has no help text; say in a sentence what people get");
            self.warning(format!("{at}/help"), message);
        }
    }

    /// Whether the schema is one, and the sample fits it.
    fn agree(&mut self, at: &str, schema_at: &str, schema: &Value, sample: &Value) {
        let own = match Schema::new(schema) {
            Ok(own) => own,
            Err(why) => {
                self.fault(schema_at, format!("is not a JSON Schema: {why}; the builder cannot show it"));
                return;
            }
        };
        for Misfit { at: inside, message } in own.misfits(sample).into_iter().take(MAX_OF_ONE_SAMPLE) {
            let message = format!("does not fit its schema `{schema_at}`: {message}; change one of them");
            self.fault(format!("{at}{inside}"), message);
        }
        if sample.is_null() && own.fits(sample) && !answers_nothing(schema) {
            self.warning(at, "is null, which shows nobody what to expect; give an example");
        }
    }

    /// Fields of an input that a person has to guess.
    fn fields(&mut self, at: &str, schema: &Value) {
        let unexplained: Vec<String> = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter(|(_, field)| !explained(schema, field))
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        if !unexplained.is_empty() {
            let message = format!(
                "the fields {} have neither title nor description; a `///` comment on the field is one",
                unexplained.join(", ")
            );
            self.warning(at, message);
        }
    }

    fn titles<'a>(&mut self, what: &str, titles: impl Iterator<Item = &'a str>) {
        let mut first = BTreeMap::new();
        for (index, title) in titles.enumerate() {
            if let Some(earlier) = first.insert(title, index) {
                let message =
                    format!("is `{title}` like that of /{what}/{earlier}; nobody can tell them apart");
                self.warning(format!("/{what}/{index}/title"), message);
            }
        }
    }
}

/// Whether the schema says that there is nothing: `null` alone.
fn answers_nothing(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

/// Whether a field has words for people, its own or those of the type it refers to.
fn explained(root: &Value, field: &Value) -> bool {
    let says = |schema: &Value| ["title", "description"].iter().any(|word| schema.get(word).is_some());
    let named = |reference: &Value| root.pointer(reference.as_str()?.strip_prefix('#')?);
    let parts = ["allOf", "anyOf", "oneOf"];
    let inner = parts.iter().filter_map(|part| field.get(part)?.as_array()).flatten();
    [field]
        .into_iter()
        .chain(inner)
        .any(|schema| says(schema) || schema.get("$ref").and_then(named).is_some_and(says))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(change: impl FnOnce(&mut Value)) -> Manifest {
        let mut document = json!({
            "manifest_version": 1, "id": "acme", "version": "1.0.0", "title": "Acme", "hosts": ["api.acme.com"],
            "connection": {}, "triggers": [], "buckets": [{"id": "general", "capacity": 10, "window_ms": 1000}],
            "actions": [{
                "id": "create_task", "title": "Create a task", "help": "Makes one.", "repeat": "never",
                "input": {"type": "object", "required": ["title"], "properties": {
                    "title": {"type": "string", "description": "What is to be done."}
                }},
                "output": {"type": "object"}, "sample_input": {"title": "Call Ada"}, "sample_output": {"id": 7},
            }],
        });
        change(&mut document);
        Manifest::parse(&document.to_string()).unwrap()
    }

    fn found(change: impl FnOnce(&mut Value)) -> Vec<(Weight, String)> {
        lint(&manifest(change), 100_000).into_iter().map(|finding| (finding.weight, finding.at)).collect()
    }

    #[test]
    fn a_sound_manifest_has_nothing_to_find() {
        assert_eq!(found(|_| {}), []);
    }

    #[test]
    fn a_sample_that_its_schema_refuses_is_a_fault() {
        let faults =
            [("/actions/0/sample_input", json!({})), ("/actions/0/sample_input/title", json!({"title": 7}))];
        for (at, sample) in faults {
            let found = found(|document| document["actions"][0]["sample_input"] = sample);
            assert_eq!(found, [(Weight::Fault, at.to_owned())]);
        }
        let text = found_messages(|document| document["actions"][0]["sample_output"] = json!("text"));
        assert!(text.contains("/actions/0/output") && text.contains("change one of them"), "{text}");
    }

    fn found_messages(change: impl FnOnce(&mut Value)) -> String {
        lint(&manifest(change), 100_000).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn what_is_no_schema_is_a_fault() {
        let found = found(|document| document["actions"][0]["output"] = json!({"type": "objekt"}));
        assert_eq!(found, [(Weight::Fault, "/actions/0/output".to_owned())]);
    }

    #[test]
    fn what_leaves_people_alone_is_a_warning() {
        for (at, change) in [
            ("/actions/0/help", (|document| document["actions"][0]["help"] = json!("")) as fn(&mut Value)),
            ("/actions/0/input", |document| {
                document["actions"][0]["input"]["properties"]["title"] = json!({"type": "string"});
            }),
            ("/buckets", |document| document["buckets"] = json!([])),
            ("/actions/0/sample_output", |document| {
                document["actions"][0]["output"] = json!({});
                document["actions"][0]["sample_output"] = Value::Null;
            }),
            ("/actions/1/title", |document| {
                let mut twin = document["actions"][0].clone();
                twin["id"] = json!("make_task");
                document["actions"].as_array_mut().unwrap().push(twin);
            }),
        ] {
            assert_eq!(found(change), [(Weight::Warning, at.to_owned())], "{at}");
        }
    }

    #[test]
    fn a_field_is_explained_by_its_type_as_well() {
        let found = found(|document| {
            let input = &mut document["actions"][0]["input"];
            input["properties"]["title"] = json!({"$ref": "#/$defs/Title"});
            input["$defs"] = json!({"Title": {"type": "string", "description": "What is to be done."}});
        });
        assert_eq!(found, []);
    }

    #[test]
    fn a_large_component_and_one_that_does_nothing_are_found() {
        let large = lint(&manifest(|_| {}), USUAL_BYTES + 1);
        assert!(large[0].weight == Weight::Warning && large[0].message.contains("401 KB"), "{large:?}");
        let idle = found(|document| document["actions"] = json!([]));
        assert_eq!(idle, [(Weight::Fault, String::new())]);
    }
}
