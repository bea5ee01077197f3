//! Which of a workflow's fields are chosen in the user's own account: those that stand, and nothing beside them, where an
//! app's schema names a lookup.
//!
//! An ISV says nothing more than where a field goes; what may stand there the connector has said already (`x-lookup`). A
//! lookup is told what stands beside the field, so that the stages offered are those of the pipeline that was chosen.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    definition::{Definition, Listing, StepKind, Trigger},
    manifest::Manifest,
};

/// Where a field's values come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The app whose account is asked.
    pub app: String,
    /// The manifest's lookup.
    pub lookup: String,
    /// What the lookup is told, by the names it knows.
    pub beside: BTreeMap<String, Beside>,
}

/// A value beside the one that is chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum Beside {
    /// That of another field.
    Field(String),
    /// The workflow's own.
    Fixed(Value),
}

/// The fields of `definition` that are chosen, by name. Where a field stands in several places, the first counts.
pub fn of<'a>(
    definition: &Definition,
    manifest: impl Fn(&str) -> Option<&'a Manifest>,
) -> BTreeMap<String, Choice> {
    let mut found = BTreeMap::new();
    let mut look = |app: &str, schema: Option<&Value>, value: &Value| {
        if let Some(schema) = schema {
            walk(app, schema, value, &mut found);
        }
    };
    if let Trigger::App { app, trigger, options, only, .. } = &definition.trigger
        && let Some(spec) = manifest(app).and_then(|manifest| manifest.trigger(trigger))
    {
        look(app, Some(&spec.options), options);
        // Each member has a list of values, of which every one may be a field.
        for (member, values) in only {
            for value in values {
                let members = Map::from_iter([(member.clone(), value.clone())]);
                look(app, Some(&spec.schema), &Value::Object(members));
            }
        }
    }
    let input = |app: &str, action: &str| manifest(app)?.action(action).map(|action| &action.input);
    for (_, step) in definition.every_step() {
        // What the environment's own connection is asked for is no user's to choose.
        match &step.kind {
            StepKind::Action { app, action, connection: None, input: value } => {
                look(app, input(app, action), value);
            }
            StepKind::Batch { app, action, connection, input: value, from, .. } => {
                if connection.is_none() {
                    look(app, input(app, action), value);
                }
                if let Some(Listing { app, action, connection: None, input: value }) = from {
                    look(app, input(app, action), value);
                }
            }
            StepKind::ForEach {
                from: Some(Listing { app, action, connection: None, input: value }), ..
            } => {
                look(app, input(app, action), value);
            }
            _ => {}
        }
    }
    found
}

fn walk(app: &str, schema: &Value, value: &Value, found: &mut BTreeMap<String, Choice>) {
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                let Some(schema) = schema.get("properties").and_then(|known| known.get(name)) else {
                    continue;
                };
                match (schema.get("x-lookup").and_then(Value::as_str), field(inner)) {
                    (Some(lookup), Some(field)) => {
                        let choice = || Choice {
                            app: app.to_owned(),
                            lookup: lookup.to_owned(),
                            beside: beside(members, name),
                        };
                        found.entry(field.to_owned()).or_insert_with(choice);
                    }
                    _ => walk(app, schema, inner, found),
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter().for_each(|item| walk(app, schema, item, found));
            }
        }
        _ => {}
    }
}

/// What a person has fixed, or fixes in the same form; what only a run knows is left out.
fn beside(members: &Map<String, Value>, but: &str) -> BTreeMap<String, Beside> {
    let others = members.iter().filter(|(name, _)| name.as_str() != but);
    let known = others.filter_map(|(name, value)| {
        let beside = match (field(value), value) {
            (Some(field), _) => Beside::Field(field.to_owned()),
            (None, Value::String(text)) if text.contains("{{") => return None,
            (None, Value::Object(_) | Value::Array(_) | Value::Null) => return None,
            (None, fixed) => Beside::Fixed(fixed.clone()),
        };
        Some((name.clone(), beside))
    });
    known.collect()
}

/// The field that a value is, where it is nothing else: `{{ config.NAME }}`.
fn field(value: &Value) -> Option<&str> {
    let inner = value.as_str()?.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let name = inner.strip_prefix("config.")?;
    (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        .then_some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn crm() -> Manifest {
        let text = json!({
            "manifest_version": 1, "id": "crm", "version": "1.0.0", "title": "CRM", "hosts": ["api.crm.example"],
            "connection": { "schemes": [{
                "id": "key", "title": "Key", "type": "fields",
                "fields": [{ "name": "key", "title": "Key" }],
                "place": [{ "in": "header", "name": "X-Key", "value": "{{secret:key}}" }],
            }] },
            "actions": [{
                "id": "create", "title": "Create", "repeat": "safe", "output": {}, "sample_input": {},
                "sample_output": {},
                "input": { "type": "object", "properties": {
                    "note": { "type": "string" },
                    "deal": { "type": "object", "properties": {
                        "pipeline": { "type": "string", "x-lookup": "pipelines" },
                        "stage": { "type": "string", "x-lookup": "stages" },
                        "amount": { "type": "number" },
                    } },
                    "owners": { "type": "array", "items": { "type": "object", "properties": {
                        "id": { "type": "integer", "x-lookup": "owners" },
                    } } },
                } },
            }],
            "lookups": [
                { "id": "pipelines", "title": "Pipelines" }, { "id": "stages", "title": "Stages" },
                { "id": "owners", "title": "Owners" },
            ],
        });
        Manifest::parse(&text.to_string()).unwrap()
    }

    fn choices(input: &Value, own: Option<&str>) -> BTreeMap<String, Choice> {
        let mut step =
            json!({ "id": "a", "type": "action", "app": "crm", "action": "create", "input": input });
        if let Some(own) = own {
            step["connection"] = json!(own);
        }
        let field = |name: &str| json!({ "name": name, "title": name, "kind": { "type": "text" } });
        let fields = ["pipeline", "stage", "owner", "note"].map(field);
        let definition =
            json!({ "name": "n", "trigger": { "type": "installed" }, "fields": fields, "steps": [step] });
        let definition = Definition::parse(&definition).unwrap();
        let manifest = crm();
        of(&definition, |app| (app == "crm").then_some(&manifest))
    }

    #[test]
    fn a_field_is_chosen_where_a_schema_names_a_lookup() {
        let input = json!({
            "note": "{{ config.note }}",
            "deal": { "pipeline": "{{ config.pipeline }}", "stage": "{{config.stage}}", "amount": 7,
                      "other": "{{ trigger.id }}" },
            "owners": [{ "id": "{{ config.owner }}" }],
        });
        let found = choices(&input, None);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["owner", "pipeline", "stage"]);
        let stage = &found["stage"];
        assert_eq!((stage.app.as_str(), stage.lookup.as_str()), ("crm", "stages"));
        let expected = BTreeMap::from([
            ("amount".to_owned(), Beside::Fixed(json!(7))),
            ("pipeline".to_owned(), Beside::Field("pipeline".to_owned())),
        ]);
        assert_eq!(stage.beside, expected);
        assert_eq!(found["owner"].lookup, "owners");
    }

    #[test]
    fn a_field_inside_a_text_is_typed_and_what_is_hidden_is_nobodys_to_choose() {
        let inside = json!({ "deal": { "stage": "is {{ config.stage }}" } });
        assert_eq!(choices(&inside, None), BTreeMap::new());
        let hidden = json!({ "deal": { "stage": "{{ config.stage }}" } });
        assert_eq!(choices(&hidden, Some("ours")), BTreeMap::new());
    }
}
