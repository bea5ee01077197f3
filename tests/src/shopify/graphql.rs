//! GraphQL as the vendor answers it: a document is parsed, checked against the fake's schema, and becomes an
//! operation whose fields the fake carries out one by one.
//!
//! Errors of documents and variables are answered with HTTP 200 and the vendor's recorded words; nothing of
//! such a request is carried out.

mod schema;

use std::collections::HashMap;

use async_graphql_parser::{
    Pos, Positioned, parse_query,
    types::{
        DocumentOperations, ExecutableDocument, Field, FragmentDefinition, OperationDefinition,
        OperationType, Selection, SelectionSet,
    },
};
use async_graphql_value::{ConstValue, Name};
use serde_json::{Map, Value, json};

use self::schema::Schema;

/// An operation that fits the schema.
#[derive(Debug)]
pub(super) struct Operation {
    /// Its root fields in order.
    pub(super) roots: Vec<Selected>,
}

/// A field that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    /// What the answer calls it.
    pub(super) key: String,
    /// What the schema calls it.
    pub(super) name: String,
    /// Its arguments, variables put in.
    pub(super) arguments: Map<String, Value>,
    /// The only type of object that it is asked of, inside a fragment.
    on: Option<String>,
    /// The key by which it is carried out once.
    pub(super) idempotency: Option<String>,
    fields: Vec<Self>,
}

/// What a document is checked with.
struct Check<'a> {
    schema: &'a Schema,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    variables: &'a Map<String, Value>,
    /// `mutation Name`, then the fields on the way.
    path: Vec<String>,
}

/// An entry of `errors`.
pub(super) fn error(message: &str, pos: Pos, path: &[String], extensions: &Value) -> Value {
    let mut error = json!({
        "message": message,
        "locations": [{ "line": pos.line, "column": pos.column }],
    });
    if let Some(members) = error.as_object_mut() {
        if !path.is_empty() {
            members.insert("path".to_owned(), json!(path));
        }
        members.insert("extensions".to_owned(), extensions.clone());
    }
    error
}

/// The operation of a request's body, or what the vendor says is wrong with it.
pub(super) fn prepare(body: &[u8]) -> Result<Operation, Value> {
    let start = Pos { line: 1, column: 1 };
    let body: Value = serde_json::from_slice(body)
        .map_err(|_| error("Problems parsing JSON", start, &[], &json!({ "code": "PARSE_ERROR" })))?;
    let text = body.get("query").and_then(Value::as_str).unwrap_or_default();
    let document = parse_query(text).map_err(|problem| {
        let pos = problem.positions().next().unwrap_or(start);
        error(&format!("syntax error, {problem}"), pos, &[], &json!({ "code": "PARSE_ERROR" }))
    })?;
    let (name, operation) = chosen(&document, body.get("operationName").and_then(Value::as_str))?;
    let schema = Schema::the();
    let given = body.get("variables").and_then(Value::as_object).cloned().unwrap_or_default();
    let variables = schema.variables(&operation.node, given)?;
    let (kind, root) = match operation.node.ty {
        OperationType::Query => ("query", "QueryRoot"),
        OperationType::Mutation => ("mutation", "Mutation"),
        OperationType::Subscription => ("subscription", "Subscription"),
    };
    let path = vec![format!("{kind} {}", name.unwrap_or_default()).trim_end().to_owned()];
    let mut check = Check { schema, fragments: &document.fragments, variables: &variables, path };
    let roots = check.selection(&operation.node.selection_set, root, None)?;
    Ok(Operation { roots })
}

fn chosen<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<(Option<&'a str>, &'a Positioned<OperationDefinition>), Value> {
    let found = match &document.operations {
        DocumentOperations::Single(operation) => Some((None, operation)),
        DocumentOperations::Multiple(operations) => operations
            .iter()
            .find(|(known, _)| name.is_none_or(|name| known.as_str() == name))
            .map(|(known, operation)| (Some(known.as_str()), operation)),
    };
    found.ok_or_else(|| {
        let message = format!("No operation named \"{}\"", name.unwrap_or_default());
        error(&message, Pos { line: 1, column: 1 }, &[], &json!({ "code": "OPERATION_NOT_FOUND" }))
    })
}

impl Check<'_> {
    /// The fields of a selection on `on`, fragments dissolved.
    fn selection(
        &mut self,
        set: &Positioned<SelectionSet>,
        on: &str,
        only: Option<&str>,
    ) -> Result<Vec<Selected>, Value> {
        let mut fields = Vec::new();
        for item in &set.node.items {
            let unknown = item.node.directives().iter().find(|it| it.node.name.node != IDEMPOTENT);
            if let Some(directive) = unknown {
                let message = format!("Directive @{} is not known to the fake", directive.node.name.node);
                return Err(error(&message, item.pos, &self.path, &json!({ "code": "undefinedDirective" })));
            }
            match &item.node {
                Selection::Field(field) => fields.push(self.field(field, on, only)?),
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    let target = condition.map_or(on, |condition| condition.node.on.node.as_str());
                    fields.extend(self.fragment(&fragment.node.selection_set, on, target, item.pos)?);
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let Some(fragment) = self.fragments.get(name) else {
                        let message = format!("Fragment {name} was used, but not defined");
                        let extensions = json!({ "code": "useAndDefineFragment", "fragmentName": name });
                        return Err(error(&message, item.pos, &self.path, &extensions));
                    };
                    let target = fragment.node.type_condition.node.on.node.as_str();
                    fields.extend(self.fragment(&fragment.node.selection_set, on, target, item.pos)?);
                }
            }
        }
        Ok(fields)
    }

    fn fragment(
        &mut self,
        set: &Positioned<SelectionSet>,
        on: &str,
        target: &str,
        pos: Pos,
    ) -> Result<Vec<Selected>, Value> {
        if target != on && !self.schema.may_be(on, target) {
            let message = format!("Fragment on {target} can't be spread inside {on}");
            let extensions = json!({ "code": "cannotSpreadFragment", "typeName": target, "parentName": on });
            return Err(error(&message, pos, &self.path, &extensions));
        }
        self.selection(set, target, (target != on).then_some(target))
    }

    /// `@idempotent(key: …)`.
    fn idempotency(&self, field: &Field) -> Option<String> {
        let directive = field.directives.iter().find(|it| it.node.name.node == IDEMPOTENT)?;
        let key = directive.node.get_argument("key")?.node.clone();
        let key = key.into_const_with(|variable| {
            ConstValue::from_json(self.variables.get(variable.as_str()).cloned().unwrap_or(Value::Null))
        });
        key.and_then(ConstValue::into_json).ok()?.as_str().map(str::to_owned)
    }

    fn field(&mut self, field: &Positioned<Field>, on: &str, only: Option<&str>) -> Result<Selected, Value> {
        let Field { name, arguments, selection_set, .. } = &field.node;
        let name = name.node.as_str();
        let key = field.node.response_key().node.to_string();
        let only = only.map(str::to_owned);
        if name == "__typename" {
            let name = name.to_owned();
            let (arguments, fields) = (Map::new(), Vec::new());
            return Ok(Selected { key, name, arguments, on: only, idempotency: None, fields });
        }
        self.path.push(name.to_owned());
        let Some(known) = self.schema.field(on, name) else {
            let message = format!("Field '{name}' doesn't exist on type '{on}'");
            let extensions = json!({ "code": "undefinedField", "typeName": on, "fieldName": name });
            return Err(error(&message, field.pos, &self.path, &extensions));
        };
        let mut given = Map::new();
        for (argument, value) in arguments {
            let argument = argument.node.as_str();
            let value = value.node.clone().into_const_with(|variable| {
                let value = self.variables.get(variable.as_str()).cloned().unwrap_or(Value::Null);
                ConstValue::from_json(value)
            });
            let value = value.and_then(ConstValue::into_json).map_err(|problem| {
                error(
                    &problem.to_string(),
                    field.pos,
                    &self.path,
                    &json!({ "code": "argumentLiteralsIncompatible" }),
                )
            })?;
            given.insert(argument.to_owned(), value);
        }
        self.schema
            .arguments(known, &given)
            .map_err(|(message, extensions)| error(&message, field.pos, &self.path, &extensions))?;
        let ty = Schema::type_of(known);
        if ty.ends_with("Connection") && !["first", "last"].iter().any(|name| given.get(*name).is_some()) {
            let code = json!({ "code": "BAD_REQUEST" });
            return Err(error("you must provide one of first or last", field.pos, &self.path, &code));
        }
        let has_fields = self.schema.has_fields(ty);
        if has_fields == selection_set.node.items.is_empty() {
            let message = if has_fields {
                format!(
                    "Field must have selections (field '{name}' returns {ty} but has no selections. Did you mean '{name} {{ ... }}'?)"
                )
            } else {
                format!(
                    "Selections can't be made on scalars (field '{name}' returns {ty} but has selections)"
                )
            };
            let extensions =
                json!({ "code": "selectionMismatch", "nodeName": format!("field '{name}'"), "typeName": ty });
            return Err(error(&message, field.pos, &self.path, &extensions));
        }
        let fields = self.selection(selection_set, ty, None)?;
        self.path.pop();
        let idempotency = self.idempotency(&field.node);
        Ok(Selected { key, name: name.to_owned(), arguments: given, on: only, idempotency, fields })
    }
}

impl Operation {
    /// The names of the root fields.
    pub(super) fn names(&self) -> Vec<String> {
        self.roots.iter().map(|root| root.name.clone()).collect()
    }

    /// What it may cost at most.
    pub(super) fn requested_cost(&self) -> u64 {
        self.roots.iter().map(Selected::requested_cost).sum()
    }
}

impl Selected {
    /// Recorded answers: a mutation 10, an object 1, a connection a little more than its objects.
    fn requested_cost(&self) -> u64 {
        match self.arguments.get("first").or_else(|| self.arguments.get("last")).and_then(Value::as_u64) {
            Some(count) => 2 + count.min(250),
            None if self.is_mutation() => 10,
            None => 1,
        }
    }

    fn is_mutation(&self) -> bool {
        ["Create", "Update", "Delete", "Set", "Cancel", "Add", "Remove", "Quantities"]
            .iter()
            .any(|verb| self.name.ends_with(verb))
    }

    /// What it did cost, given its answer.
    pub(super) fn actual_cost(&self, answer: &Value) -> u64 {
        let nodes = ["nodes", "edges"].iter().find_map(|name| answer.get(*name)?.as_array().map(Vec::len));
        nodes.map_or_else(|| self.requested_cost(), |count| 2 + count as u64)
    }

    /// What is asked for of `value`, under the names the answer wants. Lists are connections where a
    /// connection's members are asked of them.
    pub(super) fn project(&self, value: &Value) -> Value {
        if self.fields.is_empty() {
            return value.clone();
        }
        match value {
            Value::Array(all)
                if self.fields.iter().any(|field| CONNECTION.contains(&field.name.as_str())) =>
            {
                self.object(&connection(&self.paged(all), all.len()))
            }
            Value::Array(all) => all.iter().map(|one| self.object(one)).collect(),
            Value::Object(_) => self.object(value),
            _ => Value::Null,
        }
    }

    fn object(&self, value: &Value) -> Value {
        let typename = value.get("__typename").and_then(Value::as_str).unwrap_or_default();
        let mut members = Map::new();
        for field in &self.fields {
            if field.on.as_deref().is_none_or(|on| on == typename) {
                let member = value.get(&field.name).unwrap_or(&Value::Null);
                members.insert(field.key.clone(), field.project(member));
            }
        }
        Value::Object(members)
    }

    fn paged<'a>(&self, all: &'a [Value]) -> Vec<&'a Value> {
        let count = |name: &str| {
            self.arguments.get(name).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok())
        };
        let after = self.arguments.get("after").filter(|after| !after.is_null());
        let passed = after.and_then(|after| all.iter().position(|node| node.get("id") == Some(after)));
        let rest = all.iter().skip(passed.map_or(0, |at| at + 1));
        match (count("first"), count("last")) {
            (Some(first), _) => rest.take(first).collect(),
            (None, Some(last)) => rest.skip(all.len().saturating_sub(last)).collect(),
            (None, None) => rest.collect(),
        }
    }
}

/// The directive that a retry of the same mutation carries again.
const IDEMPOTENT: &str = "idempotent";

const CONNECTION: [&str; 3] = ["edges", "nodes", "pageInfo"];

fn connection(page: &[&Value], total: usize) -> Value {
    let cursor = |node: &&Value| node.get("id").cloned().unwrap_or(Value::Null);
    json!({
        "nodes": page,
        "edges": page.iter().map(|node| json!({ "cursor": cursor(node), "node": node })).collect::<Vec<_>>(),
        "pageInfo": {
            "hasNextPage": page.len() < total,
            "hasPreviousPage": false,
            "startCursor": page.first().map(cursor),
            "endCursor": page.last().map(cursor),
        },
    })
}
