//! Mapping: from a step's template to the JSON it is given.
//!
//! A template is any JSON. Inside it, a string with `{{ … }}` is an expression, and
//! `{"$map": "name", "of": …}` looks a value up in one of the definition's value maps; the rest is constant.
//!
//! Invariants:
//! - a string that is exactly one expression keeps the expression's JSON type, numbers to the last digit and
//!   the order of members; any other string becomes text: texts stand as they are, null as nothing, all else
//!   as JSON;
//! - what is not there is an error, never an empty value;
//! - everything a template names is known when it compiles, and rendering is bounded in work and size;
//! - plain paths take a short way past the expression engine, with the same results.

mod compile;
mod engine;
mod expression;
mod filters;
mod scope;
mod tokens;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::{
    definition::ValueMap,
    id::{RunId, UserId},
    machine::StepResult,
    payload::{Part, Payload},
    problem::Problem,
};

pub(crate) use self::{
    compile::{Node, Piece},
    expression::written,
    scope::Segment,
    tokens::Root,
};

use self::{expression::Expression, scope::Scope};

/// The names a template may use, known when it is compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Ids of the steps before this one.
    pub steps: Vec<String>,
    /// Ids of this step and those after it, which are not there yet.
    pub later_steps: Vec<String>,
    /// Fields of `config`.
    pub config: Vec<String>,
    /// Whether `item` and `index` are there: inside a `for_each`.
    pub item: bool,
}

/// What `user` is in mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserNames<'a> {
    /// `user.id`.
    pub id: UserId,
    /// `user.username`.
    pub username: &'a str,
    /// `user.fullName`; null where there is none.
    pub full_name: Option<&'a str>,
}

/// The finished steps that a step can see: its own run's or item's, then those around the `for_each`.
#[derive(Clone, Copy, Debug)]
pub struct Results<'a> {
    /// Its own.
    pub own: &'a [StepResult],
    /// Those around.
    pub outer: Option<&'a Self>,
}

impl<'a> Results<'a> {
    /// The newest result of the step `id`, from the inside out.
    fn of(&self, id: &str) -> Option<&'a StepResult> {
        let own = self.own.iter().rfind(|result| result.id == id);
        own.or_else(|| self.outer?.of(id))
    }

    /// All of them, the outermost first.
    fn all(&self) -> Vec<&'a StepResult> {
        let mut all = self.outer.map(Self::all).unwrap_or_default();
        all.extend(self.own);
        all
    }
}

/// What a template is rendered with.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'a> {
    /// `trigger`: the event's payload.
    pub trigger: Part<'a>,
    /// `steps.<id>`: the output of each finished step.
    pub steps: Results<'a>,
    /// `item` and `index` inside a `for_each`.
    pub item: Option<(Part<'a>, usize)>,
    /// `config`: the installation's field values.
    pub config: &'a BTreeMap<String, Value>,
    /// `user`.
    pub user: UserNames<'a>,
    /// `run.id`.
    pub run: RunId,
}

impl Environment<'_> {
    /// Whether anything here is kept as its text.
    fn has_texts(&self) -> bool {
        let is_text = |part: Part<'_>| matches!(part, Part::Text(_));
        let item = self.item.is_some_and(|(item, _)| is_text(item));
        item || is_text(self.trigger)
            || self.steps.all().into_iter().any(|result| is_text(result.output.whole()))
    }
}

/// Why a template gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if at.is_empty() { String::new() } else { format!("{at}: ") })]
pub struct MappingError {
    /// JSON pointer to the target field; empty for the whole.
    pub at: String,
    /// What is wrong, with which value, and what to do.
    pub message: String,
}

/// A compiled template.
#[derive(Debug)]
pub struct Template {
    root: Node,
}

impl Template {
    /// Compiles JSON with `{{ … }}` and value maps; every problem at once, with pointers into `value`.
    pub fn compile(
        value: &Value,
        maps: &BTreeMap<String, ValueMap>,
        names: &Names,
    ) -> Result<Self, Vec<Problem>> {
        compile::template(value, maps, names).map(|root| Self { root })
    }

    /// The JSON it gives. The error's `at` points to the field of the result that could not be made.
    pub fn render(&self, environment: &Environment<'_>) -> Result<Value, MappingError> {
        Ok(render(&self.root, &Scope::new(environment))?)
    }

    /// The same as JSON text. What is large is handed through without being parsed.
    pub fn write(&self, environment: &Environment<'_>) -> Result<String, MappingError> {
        let mut text = Vec::new();
        write(&self.root, &Scope::new(environment), &mut text)?;
        String::from_utf8(text).map_err(|error| Failure::from(error.to_string()).into())
    }

    /// The same as a payload.
    pub fn payload(&self, environment: &Environment<'_>) -> Result<Payload, MappingError> {
        if !environment.has_texts() {
            return self.render(environment).map(Payload::from);
        }
        Payload::written(self.write(environment)?).map_err(|error| Failure::from(error.to_string()).into())
    }

    /// The very value that it gives, where it is nothing but a path to one: what is large need not be copied to be looked
    /// at. Not for `user` and `run`.
    #[must_use]
    pub fn found<'a>(&self, environment: &Environment<'a>) -> Option<Part<'a>> {
        match &self.root {
            Node::Expression(expression) => {
                let (root, segments) = expression.path()?;
                scope::found(environment, root, segments)
            }
            _ => None,
        }
    }

    /// As [`Template::render`], with everything that cannot be made, each with its place.
    pub fn render_whole(&self, environment: &Environment<'_>) -> Result<Value, Vec<MappingError>> {
        whole::render(&self.root, environment)
    }

    /// The ids of the steps whose results it names.
    #[must_use]
    pub fn steps(&self) -> BTreeSet<&str> {
        let mut steps = BTreeSet::new();
        whole::steps(&self.root, &mut steps);
        steps
    }

    pub(crate) const fn root(&self) -> &Node {
        &self.root
    }
}

/// A compiled condition: an expression, without braces, that gives a boolean.
#[derive(Debug)]
pub struct Condition {
    expression: Expression,
}

impl Condition {
    /// Compiles an expression; every problem at once.
    pub fn compile(expression: &str, names: &Names) -> Result<Self, Vec<Problem>> {
        compile::condition(expression, names).map(|expression| Self { expression })
    }

    /// The ids of the steps whose results it names.
    #[must_use]
    pub fn steps(&self) -> &[String] {
        self.expression.steps()
    }

    /// Whether it holds.
    pub fn holds(&self, environment: &Environment<'_>) -> Result<bool, MappingError> {
        let fail = |message| MappingError { at: String::new(), message };
        match self.expression.value(&Scope::new(environment)).map_err(fail)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(fail(format!(
                "the condition `{}` gives {}, neither true nor false; compare it, as in `{} == 1`",
                self.expression.source(),
                named(&other),
                self.expression.source(),
            ))),
        }
    }
}

/// What went wrong, and the way to it from the inside out.
struct Failure {
    path: Vec<String>,
    message: String,
}

impl Failure {
    fn inside(mut self, part: impl ToString) -> Self {
        self.path.push(part.to_string());
        self
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self { path: Vec::new(), message }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::from(error.to_string())
    }
}

impl From<Failure> for MappingError {
    /// The pointer is only put together here: rendering that goes well pays nothing for it.
    fn from(Failure { mut path, message }: Failure) -> Self {
        path.reverse();
        let at = path.iter().map(|part| format!("/{}", escape(part))).collect();
        Self { at, message }
    }
}

fn render(node: &Node, scope: &Scope<'_>) -> Result<Value, Failure> {
    match node {
        Node::Constant(value) => Ok(value.clone()),
        Node::Expression(expression) => Ok(expression.value(scope)?),
        Node::Text(pieces) => Ok(Value::String(text(pieces, scope)?)),
        Node::Map { name, map, of } => {
            let value = render(of, scope)?;
            Ok(mapped(name, map, &value)?)
        }
        Node::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| render(item, scope).map_err(|failure| failure.inside(index)))
            .collect::<Result<_, _>>()
            .map(Value::Array),
        Node::Object(members) => {
            let mut object = Map::with_capacity(members.len());
            for (name, member) in members {
                object.insert(name.clone(), render(member, scope).map_err(|failure| failure.inside(name))?);
            }
            Ok(Value::Object(object))
        }
    }
}

/// As [`render`], as JSON text.
fn write(node: &Node, scope: &Scope<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    match node {
        Node::Constant(value) => serde_json::to_writer(out, value)?,
        Node::Expression(expression) => expression.write_json(scope, out)?,
        Node::Text(pieces) => serde_json::to_writer(out, &text(pieces, scope)?)?,
        Node::Map { .. } => serde_json::to_writer(out, &render(node, scope)?)?,
        Node::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, scope, out).map_err(|failure| failure.inside(index))?;
            }
            out.push(b']');
        }
        Node::Object(members) => {
            out.push(b'{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, name)?;
                out.push(b':');
                write(member, scope, out).map_err(|failure| failure.inside(name))?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn text(pieces: &[Piece], scope: &Scope<'_>) -> Result<String, Failure> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => text.push_str(literal),
            Piece::Expression(expression) => expression.write(scope, &mut text)?,
        }
    }
    Ok(text)
}

fn mapped(name: &str, map: &ValueMap, value: &Value) -> Result<Value, String> {
    let key = match value {
        Value::String(text) => std::borrow::Cow::Borrowed(text.as_str()),
        Value::Number(_) | Value::Bool(_) => std::borrow::Cow::Owned(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            return Err(format!(
                "the value map `{name}` was given {}; it maps texts, numbers and booleans only",
                named(value)
            ));
        }
    };
    map.entries.get(key.as_ref()).cloned().ok_or_else(|| {
        let known = map.entries.keys().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "nothing".to_owned() } else { known };
        format!("the value map `{name}` has no entry for `{}`; it knows {known}", shortened(&key))
    })
}

/// A value as messages name it.
fn named(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text `{}`", shortened(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// A payload's text in a message: no longer than a person wants to read.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// One part of a JSON pointer.
pub(crate) fn escape(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
