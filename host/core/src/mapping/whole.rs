//! Looking at a whole template: everything in it that cannot be made, and which steps it names.
//!
//! For people who try a draft. Runs stop at the first fault, since one is enough to fail a step.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Environment, Failure, MappingError, Node, Piece, escape, scope::Scope};

/// The JSON that a template gives, or every place of it where nothing can be made.
pub(super) fn render(node: &Node, environment: &Environment<'_>) -> Result<Value, Vec<MappingError>> {
    let scope = Scope::new(environment);
    let mut faults = Vec::new();
    let value = walk(node, &scope, "", &mut faults);
    if faults.is_empty() { Ok(value) } else { Err(faults) }
}

/// What stands here; null where that is a fault.
fn walk(node: &Node, scope: &Scope<'_>, at: &str, faults: &mut Vec<MappingError>) -> Value {
    match node {
        Node::Array(items) => {
            let each = items.iter().enumerate();
            Value::Array(
                each.map(|(index, item)| walk(item, scope, &format!("{at}/{index}"), faults)).collect(),
            )
        }
        Node::Object(members) => {
            let mut object = Map::with_capacity(members.len());
            for (name, member) in members {
                object.insert(name.clone(), walk(member, scope, &format!("{at}/{}", escape(name)), faults));
            }
            Value::Object(object)
        }
        Node::Constant(_) | Node::Expression(_) | Node::Text(_) | Node::Map { .. } => {
            super::render(node, scope).unwrap_or_else(|Failure { message, .. }| {
                faults.push(MappingError { at: at.to_owned(), message });
                Value::Null
            })
        }
    }
}

/// Adds the ids of the steps that a template names.
pub(super) fn steps<'a>(node: &'a Node, found: &mut BTreeSet<&'a str>) {
    match node {
        Node::Constant(_) => {}
        Node::Expression(expression) => found.extend(expression.steps().iter().map(String::as_str)),
        Node::Text(pieces) => {
            for piece in pieces {
                if let Piece::Expression(expression) = piece {
                    found.extend(expression.steps().iter().map(String::as_str));
                }
            }
        }
        Node::Map { of, .. } => steps(of, found),
        Node::Array(items) => items.iter().for_each(|item| steps(item, found)),
        Node::Object(members) => members.iter().for_each(|(_, member)| steps(member, found)),
    }
}
