//! From JSON to what rendering walks; constants are folded, so that they cost one clone.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Names, escape, expression::Expression, tokens};
use crate::{definition::ValueMap, problem::Problem};

/// A part of a compiled template.
#[derive(Debug)]
pub(crate) enum Node {
    /// Always this.
    Constant(Value),
    /// An expression alone, which keeps its type.
    Expression(Expression),
    /// Text with expressions inside.
    Text(Vec<Piece>),
    /// A value map's entry for a value.
    Map {
        /// The map's name.
        name: String,
        /// The map.
        map: ValueMap,
        /// Gives the value.
        of: Box<Self>,
    },
    /// A list with something to render in it.
    Array(Vec<Self>),
    /// An object with something to render in it.
    Object(Vec<(String, Self)>),
}

#[derive(Debug)]
pub(crate) enum Piece {
    Literal(String),
    Expression(Expression),
}

pub(super) fn template(
    value: &Value,
    maps: &BTreeMap<String, ValueMap>,
    names: &Names,
) -> Result<Node, Vec<Problem>> {
    let mut compiler = Compiler { maps, names, problems: Vec::new() };
    let node = compiler.node(value, "");
    if compiler.problems.is_empty() { Ok(node) } else { Err(compiler.problems) }
}

pub(super) fn condition(expression: &str, names: &Names) -> Result<Expression, Vec<Problem>> {
    let fail = |message: String| Problem::new("", message);
    if expression.contains("{{") || expression.contains("{%") {
        return Err(vec![fail(format!(
            "the condition `{expression}` has braces; write the expression alone, as in `trigger.total > 100`"
        ))]);
    }
    Expression::compile(expression, names).map_err(|messages| messages.into_iter().map(fail).collect())
}

struct Compiler<'a> {
    maps: &'a BTreeMap<String, ValueMap>,
    names: &'a Names,
    problems: Vec<Problem>,
}

impl Compiler<'_> {
    fn problem(&mut self, at: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(at, message));
    }

    /// After a problem the node is a placeholder that nobody renders.
    fn node(&mut self, value: &Value, at: &str) -> Node {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Node::Constant(value.clone()),
            Value::String(text) => self.text(text, at),
            Value::Array(items) => {
                let nodes: Vec<_> = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.node(item, &format!("{at}/{index}")))
                    .collect();
                if nodes.iter().all(|node| matches!(node, Node::Constant(_))) {
                    Node::Constant(value.clone())
                } else {
                    Node::Array(nodes)
                }
            }
            Value::Object(members) if members.contains_key("$map") => self.map(members, at),
            Value::Object(members) => {
                let mut nodes = Vec::with_capacity(members.len());
                for (name, member) in members {
                    let at = format!("{at}/{}", escape(name));
                    if name.contains("{{") || name.contains("{%") {
                        self.problem(
                            &at,
                            format!(
                                "the member name `{name}` has an expression; names are fixed: write it out"
                            ),
                        );
                    }
                    nodes.push((name.clone(), self.node(member, &at)));
                }
                if nodes.iter().all(|(_, node)| matches!(node, Node::Constant(_))) {
                    Node::Constant(value.clone())
                } else {
                    Node::Object(nodes)
                }
            }
        }
    }

    fn map(&mut self, members: &Map<String, Value>, at: &str) -> Node {
        for name in members.keys().filter(|name| !matches!(name.as_str(), "$map" | "of")) {
            self.problem(
                &format!("{at}/{}", escape(name)),
                format!("a value map takes `$map` and `of`, not `{name}`; remove it"),
            );
        }
        let of = match members.get("of") {
            Some(of) => self.node(of, &format!("{at}/of")),
            None => {
                self.problem(
                    at,
                    "a value map lacks `of`; add the value to map, as in `\"of\": \"{{ trigger.status }}\"`",
                );
                Node::Constant(Value::Null)
            }
        };
        let named = members.get("$map").and_then(Value::as_str);
        match named.map(|name| (name, self.maps.get(name))) {
            Some((name, Some(map))) => {
                Node::Map { name: name.to_owned(), map: map.clone(), of: Box::new(of) }
            }
            Some((name, None)) => {
                let known = self.maps.keys().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
                let known = if known.is_empty() { String::new() } else { format!(", or use {known}") };
                self.problem(
                    &format!("{at}/$map"),
                    format!("there is no value map `{name}`; add it to the workflow's `maps`{known}"),
                );
                of
            }
            None => {
                self.problem(
                    &format!("{at}/$map"),
                    "`$map` is the name of one of the workflow's `maps`: write it as text",
                );
                of
            }
        }
    }

    fn text(&mut self, text: &str, at: &str) -> Node {
        let parts = match split(text) {
            Ok(parts) => parts,
            Err(message) => {
                self.problem(at, message);
                return Node::Constant(Value::Null);
            }
        };
        let mut pieces = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Part::Literal(literal) => pieces.push(Piece::Literal(literal.to_owned())),
                Part::Expression(source) => match Expression::compile(source, self.names) {
                    Ok(expression) => pieces.push(Piece::Expression(expression)),
                    Err(messages) => messages.into_iter().for_each(|message| self.problem(at, message)),
                },
            }
        }
        if pieces.iter().all(|piece| matches!(piece, Piece::Literal(_))) {
            return Node::Constant(Value::String(text.to_owned()));
        }
        match (pieces.len(), pieces.pop()) {
            (1, Some(Piece::Expression(expression))) => Node::Expression(expression),
            (_, last) => {
                pieces.extend(last);
                Node::Text(pieces)
            }
        }
    }
}

enum Part<'a> {
    Literal(&'a str),
    Expression(&'a str),
}

/// Divides a text into what stands as it is and the insides of `{{ … }}`.
fn split(text: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let open = rest.find("{{");
        let literal = rest.get(..open.unwrap_or(rest.len())).unwrap_or_default();
        if literal.contains("{%") {
            return Err(format!(
                "`{text}` has a `{{%` statement; only `{{{{ … }}}}` expressions are read: write a condition as \
                 `{{{{ a if b else c }}}}`, and the characters themselves as `{{{{ '{{%' }}}}`"
            ));
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        let Some(open) = open else { break };
        let inside = rest.get(open + 2..).unwrap_or_default();
        let Some(length) = inside_length(inside) else {
            return Err(format!(
                "`{text}` opens `{{{{` without `}}}}`; close it, or write the characters themselves as `{{{{ '{{{{' }}}}`"
            ));
        };
        parts.push(Part::Expression(inside.get(..length).unwrap_or_default()));
        rest = inside.get(length + 2..).unwrap_or_default();
    }
    Ok(parts)
}

/// How far the expression reaches: up to the `}}` that is neither in a text literal nor closes an object.
fn inside_length(inside: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = inside.get(at..).filter(|rest| !rest.is_empty()) {
        let char = rest.chars().next()?;
        let mut length = char.len_utf8();
        match char {
            '"' | '\'' => length = tokens::quoted(rest, char).0,
            '{' => depth += 1,
            '}' if depth == 0 => return rest.starts_with("}}").then_some(at),
            '}' => depth -= 1,
            _ => {}
        }
        at += length;
    }
    None
}
