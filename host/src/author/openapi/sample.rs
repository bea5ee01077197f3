//! Schemas of a description as JSON Schemas that stand alone, and examples that fit them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::schema::Schema;

/// How deep an example goes; deeper members are left out where they may be.
const MAX_DEPTH: usize = 4;
/// Schemas larger than this would make the component large; the sample alone must do.
const MAX_SCHEMA_BYTES: usize = 16 * 1024;
const COMPONENTS: &str = "#/components/schemas/";

/// What a schema refers to, wherever it refers from.
pub(super) fn resolved<'a>(document: &'a Value, mut schema: &'a Value) -> &'a Value {
    // A description that refers in a circle has no such schema.
    for _ in 0..32 {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return schema };
        let Some(found) = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer)) else {
            return &Value::Null;
        };
        schema = found;
    }
    &Value::Null
}

/// Schema and example of an answer; `{}` where the schema is too large or its own example does not fit it.
pub(super) fn schema_and_sample(document: &Value, schema: &Value) -> (Value, Value) {
    let sample = example(document, schema, 0);
    let own = standing_alone(document, schema);
    let fits = own.to_string().len() <= MAX_SCHEMA_BYTES
        && Schema::new(&own).is_ok_and(|schema| schema.fits(&sample));
    (if fits { own } else { json!({}) }, sample)
}

/// The schema with what it refers to inside it, in the words of JSON Schema.
fn standing_alone(document: &Value, schema: &Value) -> Value {
    let (mut wanted, mut definitions) = (Vec::new(), Map::new());
    let mut own = translated(schema, &mut wanted);
    let mut known = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if !known.insert(name.clone()) {
            continue;
        }
        let found = document.pointer(&format!("/components/schemas/{name}")).unwrap_or(&Value::Null);
        let definition = if found.is_null() { json!({}) } else { translated(found, &mut wanted) };
        definitions.insert(name, definition);
    }
    if let (Value::Object(own), false) = (&mut own, definitions.is_empty()) {
        own.insert("$defs".to_owned(), Value::Object(definitions));
    }
    own
}

/// One schema in the words of JSON Schema; `wanted` gets the names that it refers to.
fn translated(schema: &Value, wanted: &mut Vec<String>) -> Value {
    match schema {
        Value::Object(members) => {
            let mut own = Map::new();
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("$ref", Value::String(reference)) => {
                        let target = reference.strip_prefix(COMPONENTS).unwrap_or(reference);
                        wanted.push(target.to_owned());
                        own.insert("$ref".to_owned(), Value::from(format!("#/$defs/{target}")));
                    }
                    // Words of OpenAPI's own, and those that only make a component larger.
                    ("nullable" | "discriminator" | "xml" | "externalDocs" | "example" | "examples", _) => {}
                    ("exclusiveMinimum" | "exclusiveMaximum", Value::Bool(_)) => {}
                    (name, _) if name.starts_with("x-") => {}
                    (_, member) => {
                        own.insert(name.clone(), translated(member, wanted));
                    }
                }
            }
            if members.get("nullable") == Some(&Value::Bool(true))
                && let Some(Value::String(kind)) = own.get("type").cloned()
            {
                own.insert("type".to_owned(), json!([kind, "null"]));
                if let Some(Value::Array(values)) = own.get_mut("enum") {
                    values.push(Value::Null);
                }
            }
            Value::Object(own)
        }
        Value::Array(items) => items.iter().map(|item| translated(item, wanted)).collect(),
        other => other.clone(),
    }
}

/// An example of a schema: its own, or made from its form.
pub(super) fn example(document: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolved(document, schema);
    let given = ["example", "default"].iter().find_map(|name| schema.get(*name));
    let listed =
        schema.pointer("/examples/0").or_else(|| schema.pointer("/enum/0")).or_else(|| schema.get("const"));
    if let Some(given) = given.or(listed).filter(|given| !given.is_null()) {
        return given.clone();
    }
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        return merged(parts.iter().map(|part| example(document, part, depth)));
    }
    if let Some(first) = ["oneOf", "anyOf"].iter().find_map(|name| schema.get(*name)?.get(0)) {
        return example(document, first, depth);
    }
    match kind(schema) {
        "object" => object(document, schema, depth),
        "array" => match schema.get("items") {
            Some(items) if depth < MAX_DEPTH => json!([example(document, items, depth + 1)]),
            _ => json!([]),
        },
        "integer" | "number" => {
            schema.get("minimum").filter(|least| least.is_number()).cloned().unwrap_or(json!(1))
        }
        "boolean" => json!(true),
        "string" => text(schema),
        _ => json!({}),
    }
}

/// The first type that is not null.
pub(super) fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default()
        }
        _ if schema.get("properties").is_some() => "object",
        _ => "",
    }
}

fn object(document: &Value, schema: &Value, depth: usize) -> Value {
    let required = |name: &String| {
        schema
            .get("required")
            .and_then(Value::as_array)
            .is_some_and(|names| names.iter().any(|one| one == name))
    };
    let members = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    members
        .filter(|(name, _)| depth < MAX_DEPTH || required(name))
        .filter(|_| depth < 2 * MAX_DEPTH)
        .map(|(name, member)| (name.clone(), example(document, member, depth + 1)))
        .collect::<Map<_, _>>()
        .into()
}

fn merged(parts: impl Iterator<Item = Value>) -> Value {
    let mut all = Map::new();
    for part in parts {
        if let Value::Object(members) = part {
            all.extend(members);
        }
    }
    Value::Object(all)
}

fn text(schema: &Value) -> Value {
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    let text = match format {
        "date-time" => "2026-01-01T00:00:00Z",
        "date" => "2026-01-01",
        "email" => "ada@example.com",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        "uri" | "url" => "https://example.com",
        _ => "text",
    };
    let least = schema.get("minLength").and_then(Value::as_u64).and_then(|least| usize::try_from(least).ok());
    let least = least.unwrap_or_default().min(256);
    Value::from(format!("{text}{}", "x".repeat(least.saturating_sub(text.len()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        json!({"components": {"schemas": {
            "Task": {"type": "object", "required": ["id"], "properties": {
                "id": {"type": "integer"}, "due": {"type": "string", "format": "date-time", "nullable": true},
                "parent": {"$ref": "#/components/schemas/Task"}, "tags": {"type": "array", "items": {"type": "string"}},
            }},
            "Circle": {"$ref": "#/components/schemas/Circle"},
        }}})
    }

    #[test]
    fn a_schema_stands_alone_and_its_example_fits() {
        let (schema, sample) = schema_and_sample(&document(), &json!({"$ref": "#/components/schemas/Task"}));
        assert_eq!(schema["$ref"], "#/$defs/Task");
        assert_eq!(schema["$defs"]["Task"]["properties"]["due"]["type"], json!(["string", "null"]));
        assert_eq!(schema["$defs"]["Task"]["properties"]["parent"]["$ref"], "#/$defs/Task");
        assert_eq!((&sample["id"], &sample["tags"]), (&json!(1), &json!(["text"])));
        assert!(Schema::new(&schema).unwrap().fits(&sample), "{sample}");
    }

    #[test]
    fn what_refers_to_itself_comes_to_an_end() {
        let (_, sample) = schema_and_sample(&document(), &json!({"$ref": "#/components/schemas/Circle"}));
        assert_eq!(sample, json!({}));
    }

    #[test]
    fn an_example_that_does_not_fit_leaves_the_schema_open() {
        let schema = json!({"type": "string", "pattern": "^[A-Z]{40}$"});
        assert_eq!(schema_and_sample(&document(), &schema), (json!({}), json!("text")));
    }
}
