//! Whether a template can give what a JSON Schema takes, as far as it is known before any event arrives.
//!
//! Not a validator: the host validates every input. This finds what can never fit: missing required members,
//! members the schema does not have, constants of a wrong type, and paths whose type is known and wrong.
//! Where the schema or a value says too little, nothing is reported.

mod types;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub(super) use self::types::Types;

use self::types::{allowed, branches, resolve};
use crate::{
    definition::{ConfigField, FieldKind, ValueMap},
    mapping::{Node, Piece, Root, Segment, escape, written},
    problem::Problem,
};

/// What is known of a value before it is there.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) schema: Option<Value>,
    pub(super) sample: Option<Value>,
    /// The custom event whose sample it is: its sample is its shape, so that a member it lacks is an error.
    pub(super) event: Option<String>,
}

/// What is known of everything a template may name.
#[derive(Debug)]
pub(super) struct Sources<'a> {
    trigger: Known,
    steps: BTreeMap<String, Known>,
    fields: &'a [ConfigField],
}

impl<'a> Sources<'a> {
    pub(super) const fn new(trigger: Known, fields: &'a [ConfigField]) -> Self {
        Self { trigger, steps: BTreeMap::new(), fields }
    }

    pub(super) fn add_step(&mut self, id: &str, known: Known) {
        self.steps.insert(id.to_owned(), known);
    }

    /// The types a path's value may have; an error where there can be none.
    fn types(&self, root: Root, path: &[Segment]) -> Result<Types, String> {
        match (root, path) {
            (Root::Trigger, rest) => self.trigger.types("trigger", rest),
            (Root::Steps, [Segment::Key(id), rest @ ..]) => match self.steps.get(id) {
                Some(known) => known.types(&format!("steps.{id}"), rest),
                None => Ok(Types::ALL),
            },
            (Root::Config, [Segment::Key(name)]) => {
                Ok(self.fields.iter().find(|field| field.name == *name).map_or(Types::ALL, field_types))
            }
            (Root::User, [Segment::Key(name)]) if name == "fullName" => Ok(Types::STRING | Types::NULL),
            (Root::User | Root::Run, [Segment::Key(_)]) => Ok(Types::STRING),
            (Root::Item, _) => Ok(Types::ALL),
            (Root::Index, _) => Ok(Types::INTEGER),
            (_, []) => Ok(Types::OBJECT),
            _ => Ok(Types::ALL),
        }
    }
}

fn field_types(field: &ConfigField) -> Types {
    match &field.kind {
        FieldKind::Text => Types::STRING,
        FieldKind::Number => Types::NUMBER,
        FieldKind::Boolean => Types::BOOLEAN,
        FieldKind::Choice { options } => {
            options.iter().fold(Types::NONE, |types, option| types | Types::of(&option.value))
        }
    }
}

impl Known {
    fn types(&self, name: &str, path: &[Segment]) -> Result<Types, String> {
        if let Some(schema) = &self.schema {
            match below(schema, name, path)? {
                Some(types) if types != Types::ALL => return Ok(types),
                _ => {}
            }
        }
        match &self.sample {
            Some(sample) => self.sampled(sample, name, path),
            None => Ok(Types::ALL),
        }
    }

    fn sampled(&self, sample: &Value, name: &str, path: &[Segment]) -> Result<Types, String> {
        let mut value = sample;
        let mut walked = name.to_owned();
        for segment in path {
            let next = match (segment, value) {
                (Segment::Key(key), Value::Object(members)) => members.get(key),
                (Segment::Index(index), Value::Array(items)) => items.get(*index).or_else(|| items.first()),
                _ => None,
            };
            match (next, &self.event, value, segment) {
                (Some(next), ..) => value = next,
                (None, Some(event), Value::Object(members), Segment::Key(key)) => {
                    let has = super::check::listed(members.keys().map(String::as_str));
                    return Err(format!(
                        "`{walked}{segment}` is not in the sample of the event `{event}`, where `{walked}` has {has}; correct the \
                         name, add `{key}` to the sample, or write `{{{{ {walked}{segment} | default(…) }}}}`"
                    ));
                }
                _ => return Ok(Types::ALL),
            }
            walked.push_str(&segment.to_string());
        }
        Ok(match value {
            // A sample's null says that there is nothing yet, not that there never is.
            Value::Null => Types::ALL,
            Value::Number(_) => Types::NUMBER | Types::NULL,
            other => Types::of(other) | Types::NULL,
        })
    }
}

/// The types that a schema gives a path; `None` where it does not say.
fn below(root: &Value, name: &str, path: &[Segment]) -> Result<Option<Types>, String> {
    let mut schema = resolve(root, root);
    let mut walked = name.to_owned();
    for segment in path {
        let next = match segment {
            Segment::Key(key) => {
                let properties = schema.get("properties").and_then(Value::as_object);
                let next = properties.and_then(|properties| properties.get(key));
                let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
                if let (None, true, Some(properties)) = (next, closed, properties) {
                    let has = super::check::listed(properties.keys().map(String::as_str));
                    return Err(format!(
                        "there is no `{walked}{segment}`: `{walked}` has {has}; correct the name"
                    ));
                }
                next
            }
            Segment::Index(_) => schema.get("items"),
        };
        let Some(next) = next else { return Ok(None) };
        schema = resolve(next, root);
        walked.push_str(&segment.to_string());
    }
    Ok(Some(allowed(schema, root)))
}

/// Compares templates with one schema.
pub(super) struct Fit<'a> {
    sources: &'a Sources<'a>,
    schema: &'a Value,
    problems: Vec<Problem>,
}

impl<'a> Fit<'a> {
    pub(super) const fn new(sources: &'a Sources<'a>, schema: &'a Value) -> Self {
        Self { sources, schema, problems: Vec::new() }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Compares a whole template.
    pub(super) fn template(&mut self, node: &Node, at: &str) {
        self.node(node, self.schema, at);
    }

    fn problem(&mut self, at: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(at, message));
    }

    fn node(&mut self, node: &Node, schema: &'a Value, at: &str) {
        let schema = resolve(schema, self.schema);
        match node {
            Node::Constant(value) => self.constant(value, schema, at),
            Node::Expression(expression) => {
                if let Some((root, path)) = expression.path() {
                    self.path(root, path, schema, at);
                }
            }
            Node::Text(pieces) => {
                for piece in pieces {
                    if let Piece::Expression(expression) = piece
                        && let Some((root, path)) = expression.path()
                        && let Err(message) = self.sources.types(root, path)
                    {
                        self.problem(at, message);
                    }
                }
                self.takes(Types::STRING, "a text with expressions in it", schema, at);
            }
            Node::Map { name, map, of } => {
                self.node(of, &Value::Bool(true), &format!("{at}/of"));
                self.map(name, map, schema, at);
            }
            Node::Array(items) => {
                if self.takes(Types::ARRAY, "a list", schema, at) {
                    let item_schema =
                        only_branch(schema, self.schema, Types::ARRAY).and_then(|schema| schema.get("items"));
                    for (index, item) in items.iter().enumerate() {
                        self.node(item, item_schema.unwrap_or(&Value::Bool(true)), &format!("{at}/{index}"));
                    }
                }
            }
            Node::Object(members) => {
                if self.takes(Types::OBJECT, "an object", schema, at) {
                    let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
                    let object = self.object(&names, schema, at);
                    for (name, member) in members {
                        let schema = object.member(name);
                        self.node(member, schema, &format!("{at}/{}", escape(name)));
                    }
                }
            }
        }
    }

    /// Whether the schema takes any of `types`; a problem where it does not.
    fn takes(&mut self, types: Types, what: &str, schema: &Value, at: &str) -> bool {
        let takes = allowed(schema, self.schema);
        if takes.meets(types) {
            return true;
        }
        self.problem(at, format!("takes {takes}, but is given {what}; {}", remedy(takes, types)));
        false
    }

    fn path(&mut self, root: Root, path: &[Segment], schema: &Value, at: &str) {
        let types = match self.sources.types(root, path) {
            Ok(types) => types,
            Err(message) => return self.problem(at, message),
        };
        let takes = allowed(schema, self.schema);
        // Null comes with nearly every optional value: it alone neither saves nor condemns a mapping.
        let given = if types == Types::NULL { types } else { types.without(Types::NULL) };
        if !takes.meets(given) {
            let name = written(root, path);
            let remedy = conversion(&name, takes).unwrap_or_else(|| remedy(takes, given));
            self.problem(at, format!("takes {takes}, but `{name}` is {given}; {remedy}"));
        }
    }

    fn map(&mut self, name: &str, map: &ValueMap, schema: &Value, at: &str) {
        let takes = allowed(schema, self.schema);
        let wrong = map.entries.iter().find(|(_, value)| !takes.meets(Types::of(value)));
        if let Some((key, value)) = wrong {
            self.problem(
                at,
                format!(
                    "takes {takes}, but the value map `{name}` gives {} for `{key}`; correct the map's entry",
                    Types::of(value)
                ),
            );
        }
    }

    fn constant(&mut self, value: &Value, schema: &'a Value, at: &str) {
        if !self.takes(Types::of(value), &shown(value), schema, at) {
            return;
        }
        if let Some(known) =
            schema.get("enum").and_then(Value::as_array).filter(|known| !known.contains(value))
        {
            let known: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
            self.problem(
                at,
                format!("is given {}, which it does not take; use one of {}", shown(value), known.join(", ")),
            );
        }
        match value {
            Value::Object(members) => {
                let names: Vec<_> = members.keys().map(String::as_str).collect();
                let object = self.object(&names, schema, at);
                for (name, member) in members {
                    let schema = resolve(object.member(name), self.schema);
                    self.constant(member, schema, &format!("{at}/{}", escape(name)));
                }
            }
            Value::Array(items) => {
                let item_schema =
                    only_branch(schema, self.schema, Types::ARRAY).and_then(|schema| schema.get("items"));
                let item_schema = resolve(item_schema.unwrap_or(&Value::Bool(true)), self.schema);
                for (index, item) in items.iter().enumerate() {
                    self.constant(item, item_schema, &format!("{at}/{index}"));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Compares an object's member names; the schemas of its members, as far as one branch says them.
    fn object(&mut self, names: &[&str], schema: &'a Value, at: &str) -> ObjectSchema<'a> {
        let Some(schema) = only_branch(schema, self.schema, Types::OBJECT) else {
            return ObjectSchema::default();
        };
        let object = ObjectSchema {
            properties: schema.get("properties").and_then(Value::as_object),
            additional: schema.get("additionalProperties"),
        };
        let required =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for name in required.filter(|name| !names.contains(name)) {
            let takes = allowed(resolve(object.member(name), self.schema), self.schema);
            self.problem(at, format!("lacks the required `{name}`; add it: it takes {takes}"));
        }
        if object.additional == Some(&Value::Bool(false)) && schema.get("patternProperties").is_none() {
            for name in
                names.iter().filter(|name| object.properties.is_none_or(|known| !known.contains_key(**name)))
            {
                let known = super::check::listed(
                    object.properties.into_iter().flat_map(Map::keys).map(String::as_str),
                );
                self.problem(
                    &format!("{at}/{}", escape(name)),
                    format!("there is no `{name}`; remove it or correct its name: {known}"),
                );
            }
        }
        object
    }
}

#[derive(Default)]
struct ObjectSchema<'a> {
    properties: Option<&'a Map<String, Value>>,
    additional: Option<&'a Value>,
}

impl<'a> ObjectSchema<'a> {
    fn member(&self, name: &str) -> &'a Value {
        let known = self.properties.and_then(|properties| properties.get(name));
        // A member that `additionalProperties: false` refuses is reported once, by its name.
        known.or_else(|| self.additional.filter(|schema| schema.is_object())).unwrap_or(&Value::Bool(true))
    }
}

/// The one branch of a schema that takes one of `types`; `None` where there are several to choose from.
fn only_branch<'s>(schema: &'s Value, root: &'s Value, types: Types) -> Option<&'s Value> {
    let mut fitting = branches(schema, root).into_iter().filter(|branch| allowed(branch, root).meets(types));
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => format!("`{other}`"),
    }
}

fn conversion(name: &str, takes: Types) -> Option<String> {
    let filter = if takes.meets(Types::STRING) {
        "string"
    } else if takes.meets(Types::FRACTION) {
        "float"
    } else if takes.meets(Types::INTEGER) {
        "int"
    } else {
        return None;
    };
    Some(format!("convert it, as in `{{{{ {name} | {filter} }}}}`"))
}

fn remedy(takes: Types, given: Types) -> String {
    if takes == Types::NONE {
        return "leave it out".to_owned();
    }
    if given == Types::STRING && takes.meets(Types::NUMBER | Types::BOOLEAN) {
        return "write the value without quotes".to_owned();
    }
    format!("write {takes}")
}
